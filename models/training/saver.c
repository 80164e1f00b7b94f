#include "models/training/saver.h"

#include "tensor/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One is written while the other is filled. */
enum { JOBS = 2, PATH_SIZE = 4096 };

typedef struct Job {
    NnSnapshot snapshot;
    char path[PATH_SIZE], remove[PATH_SIZE];
} Job;

/* Jobs go round in a ring: filled by the caller, submitted, written by the thread. */
struct ModelSaver {
    TensorNpzOptions options;
    Job jobs[JOBS];
    uint64_t submitted, written;
    bool stop;
    ReelStatus status; /* the first failure */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

static ReelStatus write_job(const ModelSaver *saver, const Job *job)
{
    ReelStatus status = nn_snapshot_write(&job->snapshot, job->path, saver->options);
    if (reel_status_is_ok(&status) && job->remove[0])
        unlink(job->remove);
    return status;
}

static void *run(void *context)
{
    ModelSaver *saver = context;
    pthread_mutex_lock(&saver->lock);
    for (;;) {
        while (saver->written == saver->submitted && !saver->stop)
            pthread_cond_wait(&saver->changed, &saver->lock);
        if (saver->written == saver->submitted)
            break;
        bool go_on = reel_status_is_ok(&saver->status);
        Job *job = &saver->jobs[saver->written % JOBS];
        pthread_mutex_unlock(&saver->lock);
        ReelStatus status = go_on ? write_job(saver, job) : reel_status_ok();
        /* A copy of weights and moments is large, and the next one is far away. */
        nn_snapshot_free(&job->snapshot);
        pthread_mutex_lock(&saver->lock);
        if (!reel_status_is_ok(&status))
            saver->status = status;
        saver->written++;
        pthread_cond_broadcast(&saver->changed);
    }
    pthread_mutex_unlock(&saver->lock);
    return NULL;
}

ReelStatus model_saver_new(ModelSaver **out, TensorNpzOptions options)
{
    *out = NULL;
    ModelSaver *saver = reel_mem_calloc(1, sizeof *saver);
    if (!saver)
        return reel_status_no_memory(sizeof *saver, "the saver");
    saver->options = options;
    saver->status = reel_status_ok();
    for (int i = 0; i < JOBS; i++)
        nn_snapshot_init(&saver->jobs[i].snapshot);
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->changed, NULL);
    /* Signals are for the caller's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&saver->thread, NULL, run, saver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_cond_destroy(&saver->changed);
        pthread_mutex_destroy(&saver->lock);
        reel_mem_free(saver);
        return reel_status_failed("cannot start a thread that writes checkpoints: %s", strerror(error));
    }
    *out = saver;
    return reel_status_ok();
}

ReelStatus model_saver_free(ModelSaver *saver)
{
    if (!saver)
        return reel_status_ok();
    pthread_mutex_lock(&saver->lock);
    saver->stop = true;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
    pthread_join(saver->thread, NULL);
    ReelStatus status = saver->status;
    for (int i = 0; i < JOBS; i++)
        nn_snapshot_free(&saver->jobs[i].snapshot);
    pthread_cond_destroy(&saver->changed);
    pthread_mutex_destroy(&saver->lock);
    reel_mem_free(saver);
    return status;
}

NnSnapshot *model_saver_begin(ModelSaver *saver, ReelStatus *status)
{
    pthread_mutex_lock(&saver->lock);
    while (saver->submitted - saver->written == JOBS)
        pthread_cond_wait(&saver->changed, &saver->lock);
    *status = saver->status;
    Job *job = &saver->jobs[saver->submitted % JOBS];
    pthread_mutex_unlock(&saver->lock);
    if (!reel_status_is_ok(status))
        return NULL;
    nn_snapshot_clear(&job->snapshot);
    return &job->snapshot;
}

ReelStatus model_saver_submit(ModelSaver *saver, NnSnapshot *snapshot, const char *path, const char *remove)
{
    Job *job = &saver->jobs[saver->submitted % JOBS];
    if (!reel_status_is_ok(&snapshot->status))
        return snapshot->status;
    if (snprintf(job->path, sizeof job->path, "%s", path) >= (int)sizeof job->path ||
        snprintf(job->remove, sizeof job->remove, "%s", remove ? remove : "") >= (int)sizeof job->remove)
        return reel_status_failed("%.300s: the path is too long; choose a shorter one", path);
    pthread_mutex_lock(&saver->lock);
    saver->submitted++;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
    return reel_status_ok();
}

bool model_saver_is_idle(ModelSaver *saver)
{
    pthread_mutex_lock(&saver->lock);
    bool idle = saver->submitted == saver->written;
    pthread_mutex_unlock(&saver->lock);
    return idle;
}
