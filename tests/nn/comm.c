/* Ranks that are forked: each test forks a process that opens them, and looks at how it ends. */
#include "nn/nn.h"
#include "tests/nn_support.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a rank does; returns the program's exit code. */
typedef int Program(NnComm *comm);

static char output[4096];

/* Runs a program on so many ranks; what they print is in `output`. Returns its exit code, 256 + a signal. */
static int run(Program *program, const char *ranks)
{
    int pipes[2], status;
    size_t used = 0;
    ck_assert_int_eq(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char name[] = "/bin/program", option[] = "--ranks", value[16], rest[] = "rest";
        char *arguments[] = {name, option, value, rest, NULL}, **argv = arguments;
        int argc = 4;
        NnComm *comm = NULL;
        snprintf(value, sizeof value, "%s", ranks);
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        ReelStatus opened = nn_comm_open(&comm, &argc, &argv);
        if (!reel_status_is_ok(&opened)) {
            fprintf(stderr, "%s\n", opened.message);
            fflush(NULL);
            _exit((int)opened.code);
        }
        if (argc != 2 || strcmp(argv[1], "rest") != 0 || argv[2])
            _exit(77);
        int code = program(comm);
        fflush(NULL);
        _exit(code);
    }
    close(pipes[1]);
    for (ssize_t n; (n = read(pipes[0], output + used, sizeof output - 1 - used)) > 0;)
        used += (size_t)n;
    output[used] = '\0';
    close(pipes[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Ends as a program should. */
static int end(NnComm *comm, ReelStatus status)
{
    if (!reel_status_is_ok(&status) && nn_comm_report(comm, &status))
        fprintf(stderr, "%s\n", status.message);
    fflush(NULL);
    nn_comm_close(comm);
    return (int)status.code;
}

static int times_in_output(const char *text)
{
    int count = 0;
    for (const char *at = output; (at = strstr(at, text)); at++)
        count++;
    return count;
}

enum { RANKS = 4, LARGE = 3000000 };

/* A byte that says who sent it to whom. */
static char mark(int from, int to)
{
    return (char)(16 * from + to + 1);
}

static int talk(NnComm *comm)
{
    int rank = nn_comm_rank(comm), size = nn_comm_size(comm);
    NnBytes to[RANKS], from[RANKS];
    if (size != RANKS)
        return 10;
    for (int round = 0; round < 3; round++) {
        for (int r = 0; r < size; r++) {
            size_t bytes = (size_t)(rank + r) * (round == 1 ? LARGE / 10 : 3);
            char *data = malloc(bytes + 1);
            memset(data, mark(rank, r), bytes + 1);
            to[r] = (NnBytes){data, bytes};
        }
        ReelStatus status = nn_comm_exchange(comm, to, from);
        if (!reel_status_is_ok(&status))
            return 11;
        for (int r = 0; r < size; r++) {
            if (from[r].size != to[r].size) /* symmetric */
                return 12;
            for (size_t i = 0; i < from[r].size; i++)
                if (((const char *)from[r].data)[i] != mark(r, rank))
                    return 13;
        }
        for (int r = 0; r < size; r++)
            free((void *)(uintptr_t)to[r].data);
    }
    int64_t values[2] = {rank, 1};
    int word = rank == 2 ? 42 : 0;
    ReelStatus status = nn_comm_sum_i64(comm, values, 2);
    if (!reel_status_is_ok(&status) || values[0] != 6 || values[1] != RANKS)
        return 14;
    status = nn_comm_broadcast(comm, &word, sizeof word, 2);
    if (!reel_status_is_ok(&status) || word != 42)
        return 15;
    return end(comm, nn_comm_same(comm, 7, "sevens"));
}

START_TEST(messages_arrive)
{
    ck_assert_int_eq(run(talk, "4"), 0);
}
END_TEST

static int alone(NnComm *comm)
{
    NnBytes to = {"x", 1}, from;
    ReelStatus status = nn_comm_exchange(comm, &to, &from);
    int64_t value = 5;
    if (nn_comm_size(comm) != 1 || from.data != to.data || !reel_status_is_ok(&status))
        return 20;
    status = nn_comm_sum_i64(comm, &value, 1);
    if (value != 5 || nn_comm_size(NULL) != 1 || nn_comm_rank(NULL) != 0)
        return 21;
    status = nn_comm_sum_i64(NULL, &value, 1);
    nn_comm_raise(comm, 3);
    nn_comm_sum_i64(comm, &value, 1);
    return nn_comm_raised(comm) == 3 ? end(comm, status) : 22;
}

START_TEST(one_rank_needs_nobody)
{
    ck_assert_int_eq(run(alone, "1"), 0);
}
END_TEST

START_TEST(ranks_must_be_a_number)
{
    static const char *const bad[] = {"0", "-1", "x", "2x", "1025", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(run(alone, bad[i]), 2);
        ck_assert_ptr_nonnull(strstr(output, "--ranks"));
    }
}
END_TEST

/* ---- Failures ---- */

static int one_disagrees(NnComm *comm)
{
    ReelStatus mine = nn_comm_rank(comm) == 2 ? reel_status_usage("no such file") : reel_status_ok();
    return end(comm, nn_comm_agree(comm, &mine));
}

static int all_disagree(NnComm *comm)
{
    ReelStatus mine = reel_status_failed("bad data");
    return end(comm, nn_comm_agree(comm, &mine));
}

static int one_differs(NnComm *comm)
{
    return end(comm, nn_comm_same(comm, nn_comm_rank(comm) == 1, "the weights after epoch 3"));
}

START_TEST(an_error_that_all_know_is_told_once)
{
    ck_assert_int_eq(run(one_disagrees, "4"), 2);
    ck_assert_str_eq(output, "rank 2: no such file\n");
    ck_assert_int_eq(run(all_disagree, "3"), 1);
    ck_assert_str_eq(output, "bad data\n");
    ck_assert_int_eq(run(one_differs, "3"), 1);
    ck_assert_int_eq(times_in_output("rank 1: the weights after epoch 3 differ"), 1);
}
END_TEST

/* One ends while the others wait for it. */
static int one_fails(NnComm *comm)
{
    int64_t value = 1;
    ReelStatus status =
        nn_comm_rank(comm) == 1 ? reel_status_failed("the disk is full") : nn_comm_sum_i64(comm, &value, 1);
    return end(comm, status);
}

static int one_is_killed(NnComm *comm)
{
    int64_t value = 1;
    if (nn_comm_rank(comm) == 1)
        raise(SIGKILL);
    return end(comm, nn_comm_sum_i64(comm, &value, 1));
}

static int one_stops(NnComm *comm)
{
    int64_t value = 1;
    nn_comm_set_timeout(comm, 0.5);
    if (nn_comm_rank(comm) == 1)
        raise(SIGSTOP);
    return end(comm, nn_comm_sum_i64(comm, &value, 1));
}

static double seconds_of(Program *program, int *code)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    *code = run(program, "3");
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

START_TEST(the_first_failure_ends_all)
{
    int code;
    ck_assert_double_lt(seconds_of(one_fails, &code), 10);
    ck_assert_int_eq(code, 1);
    ck_assert_str_eq(output, "rank 1: the disk is full\n");
    ck_assert_double_lt(seconds_of(one_is_killed, &code), 10);
    ck_assert_int_eq(code, 1);
    ck_assert_int_eq(times_in_output("rank 1 was ended by signal 9"), 1);
    ck_assert_double_lt(seconds_of(one_stops, &code), 10);
    ck_assert_int_eq(code, 1);
    ck_assert_int_eq(times_in_output("rank 1 has not answered for 0.5 s"), 1);
}
END_TEST

/* What one raises all know at the same place. */
static int one_raises(NnComm *comm)
{
    for (int step = 0; step < 20; step++) {
        int64_t value = 1;
        if (nn_comm_rank(comm) == 1 && step == 7)
            nn_comm_raise(comm, 12);
        ReelStatus status = nn_comm_sum_i64(comm, &value, 1);
        if (!reel_status_is_ok(&status) || nn_comm_raised(comm) != (step < 7 ? 0 : 12))
            return 30;
    }
    return end(comm, reel_status_ok());
}

START_TEST(what_one_raises_all_know)
{
    ck_assert_int_eq(run(one_raises, "3"), 0);
}
END_TEST

/* ---- Steps on ranks ---- */

enum { WORDS = 50, WIDTH = 5 };

typedef struct Net {
    NnModule base;
    NnEmbedding words;
    NnLinear out, side;
    NnBatchNorm norm;
} Net;

typedef struct Work {
    Net *net;
    int step;
} Work;

/* Rows, whole tables and nothing at all, as the step has it. */
static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    const Work *work = context;
    Net *m = work->net;
    if ((work->step + shard) % 5 == 4)
        return VAR_NONE;
    int32_t ids[7];
    TensorRandom random = tensor_random_new((uint64_t)work->step, (uint64_t)shard);
    for (int i = 0; i < 7; i++)
        ids[i] = (int32_t)tensor_random_below(&random, WORDS);
    Tensor copy = tensor_copy(tape_arena(tape), tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(7)));
    Var x = nn_embedding(&m->words, tape_constant(tape, copy));
    Var y = shard % 3 == 0 ? nn_linear(&m->side, x) : nn_linear(&m->out, x);
    Var loss = var_sum(var_tanh(nn_batch_norm(&m->norm, y)), TENSOR_AXES_ALL, false);
    if (work->step == 5 && shard == 1) /* makes the table's gradient dense */
        loss = var_add(loss, var_sum(nn_var(&m->words.weight, tape), TENSOR_AXES_ALL, false));
    return var_scale(loss, 1.0 / shards, 0.0);
}

static Tensor square(void *context, Tape *tape, int task)
{
    (void)context;
    Tensor t = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(task % 3));
    for (int i = 0; i < task % 3; i++)
        tensor_f32(t)[i] = (float)(task * task);
    return task % 4 == 3 ? tensor_invalid() : t;
}

static void take(void *context, int task, Tensor result)
{
    int *wrong = context;
    if (task % 4 == 3 ? tensor_is_valid(result) : result.shape[0] != task % 3)
        ++*wrong;
    for (int i = 0; task % 4 != 3 && i < task % 3; i++)
        *wrong += tensor_f32(result)[i] != (float)(task * task);
}

/* Prints a word for all weights and losses: the same on any number of ranks. */
static int train(NnComm *comm)
{
    Net m;
    NnParallel *p = NULL;
    NnOptimizer *o = NULL;
    nn_module_init(&m.base);
    NN_ADD(&m, words, nn_embedding_init, WORDS, WIDTH);
    NN_ADD(&m, out, nn_linear_init, WIDTH, 3);
    NN_ADD(&m, side, nn_linear_init, WIDTH, 3);
    NN_ADD(&m, norm, nn_batch_norm_init, 3);
    ReelStatus status = nn_module_reset(&m.base, (uint64_t)nn_comm_rank(comm)); /* rank 0's count */
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAMW);
    options.clip_norm = 0.5;
    NnParameter *table[] = {&m.words.weight};
    NnParameterGroup groups[] = {nn_group_of(table, 1, options),
                                 nn_group_where(nn_parameter_is_vector, NULL, options)};
    groups[0].options.lr = 3 * options.lr;
    groups[1].options.weight_decay = 0;
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(
            &p, &m.base,
            &(NnParallelOptions){.shards = 7, .threads = 1 + nn_comm_size(comm) % 2, .comm = comm});
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new_grouped(&o, &m.base, options, groups, 2);
    double total = 0, loss;
    for (int step = 0; step < 12 && reel_status_is_ok(&status); step++) {
        Work work = {&m, step};
        status = nn_parallel_backward(p, loss_of_shard, &work, &loss);
        total += loss;
        if (reel_status_is_ok(&status) && step % 4 != 1) /* two steps accumulate */
            status = nn_optimizer_step(o, nn_parallel_pieces(p));
    }
    int wrong = 0;
    if (reel_status_is_ok(&status))
        status = nn_parallel_each(p, square, take, &wrong, 23);
    if (reel_status_is_ok(&status))
        status = nn_parallel_check(p, "the weights");
    if (wrong)
        return 40;
    double sum = 0;
    TensorArena memory = {0};
    for (NnParameter *q = nn_first_parameter(&m.base); q && reel_status_is_ok(&status);
         q = nn_next_parameter(&m.base, q)) {
        Tensor value = nn_parameter_read(q, &memory);
        for (int64_t i = 0; i < tensor_numel(&value); i++)
            sum += (double)(i + 1) * (double)tensor_f32(value)[i];
    }
    for (int64_t i = 0; i < 3; i++)
        sum += tensor_get(&m.norm.running_mean.core.value, &i) +
               2 * tensor_get(&m.norm.running_var.core.value, &i);
    if (reel_status_is_ok(&status) && nn_comm_rank(comm) == 0)
        printf("%.17g %.17g %.17g\n", total, sum, nn_optimizer_norm(o));
    tensor_arena_free(&memory);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    nn_module_free(&m.base);
    return end(comm, status);
}

START_TEST(bytes_do_not_depend_on_the_ranks)
{
    char expected[sizeof output];
    ck_assert_int_eq(run(train, "1"), 0);
    strcpy(expected, output);
    ck_assert_uint_gt(strlen(expected), 20);
    for (int ranks = 2; ranks <= 7; ranks++) {
        char number[8];
        snprintf(number, sizeof number, "%d", ranks);
        ck_assert_int_eq(run(train, number), 0);
        ck_assert_str_eq(output, expected);
    }
    ck_assert_int_eq(run(train, "8"), 2);
    ck_assert_int_eq(times_in_output("8 ranks for 7 shards"), 1);
}
END_TEST

/* ---- Bytes ---- */

enum { USED = 40000, IDS = 400, ROW = 64, SIDE = 300 };

typedef struct Wide {
    NnModule base;
    NnEmbedding words;
    NnLinear fc;
} Wide;

/* No id is in two shards. */
static Var wide_loss(void *context, Tape *tape, int shard, int shards)
{
    Wide *m = context;
    (void)shards;
    Tensor ids = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(IDS));
    for (int i = 0; i < IDS; i++)
        tensor_i32(ids)[i] = IDS * shard + i;
    Var rows = var_sum(nn_embedding(&m->words, tape_constant(tape, ids)), TENSOR_AXES_ALL, false);
    Tensor x = tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1, SIDE), 1.0);
    return var_add(rows, var_sum(nn_linear(&m->fc, tape_constant(tape, x)), TENSOR_AXES_ALL, false));
}

/* Bytes of a step, of all ranks together, against the formula of docs/parallel.md. */
static int count_bytes(NnComm *comm, int64_t vocabulary)
{
    enum { SHARDS = 4, STEPS = 3 };
    Wide m;
    NnParallel *p;
    NnOptimizer *o;
    int ranks = nn_comm_size(comm);
    nn_module_init(&m.base);
    NN_ADD(&m, words, nn_embedding_init, vocabulary, ROW);
    NN_ADD(&m, fc, nn_linear_init, SIDE, SIDE);
    ReelStatus status = nn_module_reset(&m.base, 0);
    status = nn_parallel_new(&p, &m.base, &(NnParallelOptions){.shards = SHARDS, .threads = 1, .comm = comm});
    status = nn_optimizer_new(&o, &m.base, nn_optimizer_options(NN_ADAM));
    int64_t before = nn_comm_bytes(comm);
    for (int step = 0; step < STEPS && reel_status_is_ok(&status); step++) {
        status = nn_parallel_backward(p, wide_loss, &m, NULL);
        if (reel_status_is_ok(&status))
            status = nn_optimizer_step(o, nn_parallel_pieces(p));
    }
    int64_t sent = nn_comm_bytes(comm) - before;
    status = nn_comm_sum_i64(comm, &sent, 1);
    double dense = 4.0 * (SIDE * SIDE + SIDE), row = 4 + 4.0 * ROW, distinct = SHARDS * IDS;
    double of_ranks = SHARDS * IDS; /* the sum of the ranks' distinct ids */
    double expected = (ranks - 1) * (2 * dense + (of_ranks / ranks + distinct) * row);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    nn_module_free(&m.base);
    if (nn_comm_rank(comm) == 0)
        printf("%.4f\n", (double)sent / STEPS / expected);
    return end(comm, status);
}

static int count_bytes_of_few(NnComm *comm)
{
    return count_bytes(comm, USED);
}

static int count_bytes_of_many(NnComm *comm)
{
    return count_bytes(comm, 1000000);
}

START_TEST(bytes_sent_are_as_the_formula_says)
{
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        char number[8];
        snprintf(number, sizeof number, "%d", ranks);
        ck_assert_int_eq(run(count_bytes_of_few, number), 0);
        double few = atof(output);
        ck_assert_double_eq_tol(few, 1, 0.03);
        ck_assert_int_eq(run(count_bytes_of_many, number), 0);
        ck_assert_double_eq_tol(atof(output), few, 0.01 * few);
    }
}
END_TEST

static Var failing(void *context, Tape *tape, int shard, int shards)
{
    (void)context;
    (void)shards;
    return shard == 3 ? tape_fail(tape, "shard %d has no text", shard) : VAR_NONE;
}

static int one_shard_fails(NnComm *comm)
{
    NnLinear fc;
    NnParallel *p;
    nn_linear_init(&fc, 2, 2);
    ReelStatus status = nn_module_reset(&fc.base, 0);
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(&p, &fc.base, &(NnParallelOptions){.shards = 4, .threads = 1, .comm = comm});
    if (reel_status_is_ok(&status))
        status = nn_parallel_backward(p, failing, NULL, NULL);
    return end(comm, status);
}

START_TEST(an_error_of_a_shard_ends_all)
{
    ck_assert_int_eq(run(one_shard_fails, "3"), 1);
    ck_assert_str_eq(output, "rank 2: shard 3 has no text\n");
}
END_TEST

Suite *nn_comm_suite(void);
Suite *nn_comm_suite(void)
{
    Suite *suite = suite_create("nn/comm");
    TCase *tcase = tcase_create("comm");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, messages_arrive);
    tcase_add_test(tcase, one_rank_needs_nobody);
    tcase_add_test(tcase, ranks_must_be_a_number);
    tcase_add_test(tcase, an_error_that_all_know_is_told_once);
    tcase_add_test(tcase, the_first_failure_ends_all);
    tcase_add_test(tcase, what_one_raises_all_know);
    tcase_add_test(tcase, bytes_do_not_depend_on_the_ranks);
    tcase_add_test(tcase, bytes_sent_are_as_the_formula_says);
    tcase_add_test(tcase, an_error_of_a_shard_ends_all);
    suite_add_tcase(suite, tcase);
    return suite;
}
