/* Ranks that are processes of one machine, forked, with a pair of sockets between any two of them. The
 * process that forks them is no rank: it waits for them. */
#define _GNU_SOURCE
#include "nn/comm_internal.h"
#include "tensor/clock.h"
#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- The process that waits ---- */

/* So long a rank that fails leaves the others to end by themselves: to print what they know, and to finish a
 * file. Those that wait for it are patient for longer. */
enum { GRACE_SECONDS = 2, PATIENCE_SECONDS = 5 };

typedef struct Family {
    const char *program;
    int count, left;
    pid_t *pids; /* [count]; 0: has ended */
    int code;    /* of the first that failed; 0: none has */
    double deadline;
} Family;

static void signal_all(const Family *family, int signal)
{
    for (int r = 0; r < family->count; r++)
        if (family->pids[r])
            kill(family->pids[r], signal);
}

static void note_end(Family *family, int rank, int status)
{
    family->pids[rank] = 0;
    family->left--;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (code == 0 || family->code != 0)
        return;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: rank %d was ended by signal %d (%s); the others end too\n", family->program,
                rank, WTERMSIG(status), strsignal(WTERMSIG(status)));
    family->code = code;
    family->deadline = reel_clock_seconds() + GRACE_SECONDS;
}

static void reap(Family *family)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int r = 0; r < family->count; r++)
            if (family->pids[r] == pid)
                note_end(family, r, status);
}

/* Waits for all; what others than the terminal send goes to the ranks, to which the terminal sends itself. */
static _Noreturn void wait_for_all(Family *family, const sigset_t *signals)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    while (family->left > 0) {
        siginfo_t info;
        int signal = sigtimedwait(signals, &info, &pause);
        if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
            signal_all(family, signal);
        reap(family);
        if (family->code && reel_clock_seconds() > family->deadline)
            signal_all(family, SIGKILL);
    }
    fflush(NULL);
    _exit(family->code);
}

/* ---- Messages ---- */

/* What is on its way between this rank and another. */
typedef struct Peer {
    int fd; /* -1: this rank itself */
    CommHeader out, in;
    const char *data;
    size_t sent, received; /* bytes, of the header too */
    char *buffer;          /* of what is received */
    size_t capacity;
} Peer;

static size_t out_size(const Peer *peer)
{
    return sizeof peer->out + (size_t)peer->out.size;
}

static size_t in_size(const Peer *peer)
{
    return sizeof peer->in + (peer->received < sizeof peer->in ? 0 : (size_t)peer->in.size);
}

/* Whether a call could not go on at the moment (1), the other side has ended (-1), or it went on (0). */
static int result_of(ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 1;
    return n <= 0 ? -1 : 0;
}

static int send_some(Peer *peer)
{
    bool head = peer->sent < sizeof peer->out;
    const char *from =
        head ? (const char *)&peer->out + peer->sent : peer->data + (peer->sent - sizeof peer->out);
    size_t left = (head ? sizeof peer->out : out_size(peer)) - peer->sent;
    ssize_t n = send(peer->fd, from, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        peer->sent += (size_t)n;
    return result_of(n);
}

static bool make_room(Peer *peer)
{
    size_t size = (size_t)peer->in.size;
    if (size <= peer->capacity)
        return true;
    char *buffer = reel_mem_alloc(size + size / 4);
    if (!buffer)
        return false;
    reel_mem_free(peer->buffer);
    peer->buffer = buffer;
    peer->capacity = size + size / 4;
    return true;
}

/* -2: no memory. */
static int receive_some(Peer *peer)
{
    bool head = peer->received < sizeof peer->in;
    char *to = head ? (char *)&peer->in + peer->received : peer->buffer + (peer->received - sizeof peer->in);
    size_t left = (head ? sizeof peer->in : in_size(peer)) - peer->received;
    ssize_t n = recv(peer->fd, to, left, MSG_DONTWAIT);
    if (n > 0)
        peer->received += (size_t)n;
    if (n > 0 && head && peer->received == sizeof peer->in && !make_room(peer))
        return -2;
    return result_of(n);
}

/* Sends and receives what goes. Sets *moved where anything did. */
static int move(Peer *peer, bool *moved)
{
    int result = 0;
    while (result == 0 && peer->sent < out_size(peer)) {
        result = send_some(peer);
        *moved = *moved || result == 0;
    }
    if (result < 0)
        return result;
    result = 0;
    while (result == 0 && (peer->received < sizeof peer->in || peer->received < in_size(peer))) {
        result = receive_some(peer);
        *moved = *moved || result == 0;
    }
    return result < 0 ? result : 0;
}

static bool is_done(const Peer *peer)
{
    return peer->fd < 0 || (peer->sent == out_size(peer) && peer->received >= sizeof peer->in &&
                            peer->received == in_size(peer));
}

/* The parent ends all when a rank has ended; this one leaves the telling to it. */
static ReelStatus wait_for_the_end(NnComm *comm, int rank)
{
    const struct timespec patience = {.tv_sec = PATIENCE_SECONDS};
    nanosleep(&patience, NULL);
    return nn_comm_ended(comm, rank);
}

/* Waits until something can go on, for a part of a second. */
static void wait_a_while(const NnComm *comm, struct pollfd *polls)
{
    Peer *peers = comm->own;
    nfds_t count = 0;
    for (int r = 0; r < comm->size; r++)
        if (!is_done(&peers[r]))
            polls[count++] =
                (struct pollfd){.fd = peers[r].fd,
                                .events = (short)((peers[r].sent < out_size(&peers[r]) ? POLLOUT : 0) |
                                                  (peers[r].received < in_size(&peers[r]) ? POLLIN : 0))};
    poll(polls, count, 200);
}

static ReelStatus timed_out(NnComm *comm)
{
    const Peer *peers = comm->own;
    bool *missing = reel_mem_calloc((size_t)comm->size, sizeof *missing);
    if (!missing)
        return reel_status_no_memory((size_t)comm->size, "the ranks");
    for (int r = 0; r < comm->size; r++)
        missing[r] = !is_done(&peers[r]);
    ReelStatus status = nn_comm_missing(comm, missing);
    reel_mem_free(missing);
    return status;
}

/* Until all messages have gone and come. */
static ReelStatus move_all(NnComm *comm, struct pollfd *polls)
{
    Peer *peers = comm->own;
    double last = reel_clock_seconds();
    for (;;) {
        bool moved = false, done = true;
        for (int r = 0; r < comm->size; r++) {
            int result = is_done(&peers[r]) ? 0 : move(&peers[r], &moved);
            if (result == -2)
                return reel_status_no_memory((size_t)peers[r].in.size, "a message");
            if (result < 0)
                return wait_for_the_end(comm, r);
            done = done && is_done(&peers[r]);
        }
        if (done)
            return reel_status_ok();
        if (moved) {
            last = reel_clock_seconds();
            continue;
        }
        if (comm->timeout > 0 && reel_clock_seconds() - last > comm->timeout)
            return timed_out(comm);
        wait_a_while(comm, polls);
    }
}

static ReelStatus exchange(NnComm *comm, const NnBytes *to, NnBytes *from, CommHeader *headers)
{
    Peer *peers = comm->own;
    struct pollfd *polls = reel_mem_alloc((size_t)comm->size * sizeof *polls);
    if (!polls)
        return reel_status_no_memory((size_t)comm->size * sizeof *polls, "the ranks");
    for (int r = 0; r < comm->size; r++) {
        peers[r].out = (CommHeader){(int64_t)to[r].size, headers[comm->rank].raised};
        peers[r].data = to[r].data;
        peers[r].sent = peers[r].received = 0;
    }
    ReelStatus status = move_all(comm, polls);
    reel_mem_free(polls);
    for (int r = 0; r < comm->size && reel_status_is_ok(&status); r++)
        if (r != comm->rank) {
            headers[r] = peers[r].in;
            from[r] = (NnBytes){peers[r].buffer, (size_t)peers[r].in.size};
        }
    return status;
}

static ReelStatus gather(NnComm *comm, NnBytes mine, NnBytes *all, CommHeader *headers)
{
    for (int r = 0; r < comm->size; r++)
        comm->to[r] = mine;
    return exchange(comm, comm->to, all, headers);
}

static void name(const NnComm *comm, char *name, size_t size)
{
    snprintf(name, size, "rank %d", comm->rank);
}

static void close_peers(Peer *peers, int count)
{
    for (int r = 0; r < count; r++) {
        if (peers[r].fd >= 0)
            close(peers[r].fd);
        reel_mem_free(peers[r].buffer);
    }
    reel_mem_free(peers);
}

static void close_comm(NnComm *comm, bool alone)
{
    (void)alone; /* the parent sees the exit code */
    close_peers(comm->own, comm->size);
}

static const CommKind fork_kind = {.exchange = exchange, .gather = gather, .name = name, .close = close_comm};

/* ---- Forking ---- */

/* fds[a * ranks + b]: the end of rank a of the pair between a and b; -1: none. */
static bool make_pairs(int *fds, int ranks)
{
    for (int i = 0; i < ranks * ranks; i++)
        fds[i] = -1;
    for (int a = 0; a < ranks; a++)
        for (int b = 0; b < a; b++) {
            int pair[2], bytes = 4 << 20;
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
                return false;
            for (int k = 0; k < 2; k++)
                setsockopt(pair[k], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
            fds[a * ranks + b] = pair[0];
            fds[b * ranks + a] = pair[1];
        }
    return true;
}

static void close_others(const int *fds, int ranks, int rank)
{
    for (int a = 0; a < ranks; a++)
        for (int b = 0; b < ranks; b++)
            if (a != rank && fds[a * ranks + b] >= 0)
                close(fds[a * ranks + b]);
}

static ReelStatus begin_rank(NnComm **comm, const int *fds, int ranks, int rank)
{
    Peer *peers = reel_mem_calloc((size_t)ranks, sizeof *peers);
    close_others(fds, ranks, rank);
    *comm = peers ? nn_comm_new(&fork_kind, rank, ranks, peers) : NULL;
    for (int r = 0; peers && r < ranks; r++)
        peers[r].fd = fds[rank * ranks + r];
    return *comm ? reel_status_ok() : reel_status_no_memory((size_t)ranks * sizeof *peers, "the ranks");
}

static void watched_signals(sigset_t *signals)
{
    static const int all[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    sigemptyset(signals);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sigaddset(signals, all[i]);
}

ReelStatus nn_comm_fork(NnComm **comm, int ranks, const char *program)
{
    sigset_t signals, before;
    pid_t parent = getpid();
    const char *slash = strrchr(program, '/');
    Family family = {.program = slash ? slash + 1 : program,
                     .count = ranks,
                     .pids = reel_mem_calloc((size_t)ranks, sizeof(pid_t))};
    int *fds = reel_mem_alloc((size_t)ranks * (size_t)ranks * sizeof *fds);
    if (!fds || !family.pids)
        return reel_status_no_memory((size_t)ranks * (size_t)ranks * sizeof *fds, "the ranks");
    if (!make_pairs(fds, ranks))
        return reel_status_failed("--ranks %d: cannot connect them: %s; use fewer, or raise `ulimit -n`",
                                  ranks, strerror(errno));
    watched_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &before);
    fflush(NULL);
    for (int r = 0; r < ranks; r++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            ReelStatus status = begin_rank(comm, fds, ranks, r);
            reel_mem_free(fds);
            reel_mem_free(family.pids);
            sigprocmask(SIG_SETMASK, &before, NULL);
            return status;
        }
        if (pid < 0) {
            ReelStatus status =
                reel_status_failed("--ranks %d: cannot start rank %d: %s", ranks, r, strerror(errno));
            signal_all(&family, SIGKILL);
            sigprocmask(SIG_SETMASK, &before, NULL);
            return status;
        }
        family.pids[r] = pid;
        family.left++;
    }
    close_others(fds, ranks, -1);
    wait_for_all(&family, &signals);
}
