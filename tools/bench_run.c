#define _GNU_SOURCE
#include "tensor/clock.h"
#include "tools/bench_run.h"
#include "models/training/trainer.h"
#include "tensor/flops.h"
#include "tensor/mem.h"
#include "tensor/usage.h"
#include "tools/bench_draw.h"
#include "tools/bench_limits.h"
#include "tools/bench_products.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WARM_UP = 3, ALONE_TURNS = 5 };

/* What the process answers: to being started, to a step, to a measurement of the peak. */
typedef struct Answer {
    ReelStatus status;
    BenchShape shape;
    int64_t parameters;
    BenchSample sample;
    double peak, alone;
} Answer;

/* ---- In the process ---- */

/* All that it has. */
typedef struct Worker {
    const BenchSetting *setting;
    Model *model;
    ModelTrainer *trainer;
    BenchDraw draw;
    double peak_rss_mb;
    BenchProducts products;
} Worker;

static ReelStatus open_worker(Worker *w, const BenchSetting *setting, Answer *answer)
{
    const BenchShape *s = &setting->shape;
    w->setting = setting;
    ModelConfig config = {.vocabulary = s->vocab,
                          .labels = s->labels,
                          .embed = s->embed,
                          .hidden = s->hidden,
                          .layers = s->layers};
    ReelStatus status = model_new(&w->model, setting->kind, config, setting->seed);
    if (!reel_status_is_ok(&status))
        return status;
    answer->parameters = model_count(w->model);
    answer->shape = *s;
    answer->shape.embed = (int)w->model->config.embed;
    answer->shape.hidden = (int)w->model->config.hidden;
    answer->shape.layers = w->model->config.layers;
    ModelTrainerOptions options = model_trainer_defaults();
    options.threads = setting->threads;
    options.shards = setting->shards;
    options.seed = setting->seed;
    status = model_trainer_new(&w->trainer, w->model, &options);
    if (reel_status_is_ok(&status) && !bench_draw_init(&w->draw, s, setting->seed))
        status = reel_status_no_memory(0, "batches");
    return status;
}

static uint64_t count_mallocs(const Worker *w)
{
    return w->setting->malloc_calls ? w->setting->malloc_calls() : reel_mem_stats().calls;
}

static ReelStatus take_step(Worker *w, BenchSample *sample)
{
    ModelBatch batch = bench_draw_next(&w->draw);
    uint64_t flops = tensor_flops_count(), mallocs = reel_mem_stats().calls, all = count_mallocs(w);
    double cpu = reel_usage_cpu_seconds(), started = reel_clock_seconds();
    ReelStatus status = model_trainer_step(w->trainer, &batch, &sample->loss);
    sample->step = reel_clock_seconds() - started;
    sample->cpu = reel_usage_cpu_seconds() - cpu;
    sample->flops = tensor_flops_count() - flops;
    sample->mallocs = reel_mem_stats().calls - mallocs;
    sample->other = count_mallocs(w) - all - sample->mallocs;
    ModelTrainerTimes times = model_trainer_times(w->trainer);
    sample->forward = times.forward;
    sample->backward = times.backward;
    sample->optimizer = times.optimizer;
    double rss = reel_usage_peak_mb();
    if (rss > w->peak_rss_mb)
        w->peak_rss_mb = rss;
    sample->peak_rss_mb = w->peak_rss_mb;
    return status;
}

/* The products of one more step by themselves, as a share of the peak beside them. */
static ReelStatus measure_alone(Worker *w, double *share)
{
    BenchSample sample;
    bench_products_note(&w->products);
    ReelStatus status = take_step(w, &sample);
    bench_products_stop();
    double peak = limits_sgemm(1);
    *share = bench_products_gflops(&w->products) / peak;
    return status;
}

/* False, and no signal, where the other side has ended. */
static bool send_all(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, void *data, size_t size)
{
    for (char *at = data; size > 0;) {
        ssize_t got = read(fd, at, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* Answers a letter at a time: s, a step; p, the peak; a, products alone; anything else ends it. */
static void serve(const BenchSetting *setting, int line)
{
    Worker w = {0};
    Answer answer = {.status = reel_status_ok()};
    answer.status = open_worker(&w, setting, &answer);
    bool open = send_all(line, &answer, sizeof answer) && reel_status_is_ok(&answer.status);
    for (char letter; open && receive_all(line, &letter, 1);) {
        if (letter == 's') {
            answer.status = take_step(&w, &answer.sample);
        } else if (letter == 'p') {
            answer.peak = limits_sgemm(setting->threads);
            reel_usage_reset_peak(); /* what the measurement took is no part of training */
        } else if (letter == 'a') {
            answer.status = measure_alone(&w, &answer.alone);
        } else {
            break;
        }
        open = send_all(line, &answer, sizeof answer);
    }
    bench_draw_free(&w.draw);
    bench_products_free(&w.products);
    model_trainer_free(w.trainer);
    model_free(w.model);
}

/* ---- Outside ---- */

static ReelStatus ask(BenchRun *run, char letter, Answer *answer)
{
    if ((letter && !send_all(run->line, &letter, 1)) || !receive_all(run->line, answer, sizeof *answer))
        return reel_status_failed("%s: its process ended early; perhaps there is too little memory for it",
                                  run->setting.kind->name);
    return answer->status;
}

ReelStatus bench_run_start(BenchRun *run, const BenchSetting *setting)
{
    *run =
        (BenchRun){.setting = *setting, .samples = reel_mem_calloc(BENCH_MAX_SAMPLES, sizeof(BenchSample))};
    int lines[2];
    if (!run->samples)
        return reel_status_no_memory(BENCH_MAX_SAMPLES * sizeof(BenchSample), "samples");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, lines) != 0) {
        ReelStatus status = reel_status_failed("cannot make a connection to a process: %s", strerror(errno));
        reel_mem_free(run->samples);
        *run = (BenchRun){0};
        return status;
    }
    fflush(NULL);
    run->process = fork();
    if (run->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(lines[0]);
        serve(setting, lines[1]);
        _exit(0);
    }
    close(lines[1]);
    run->line = lines[0];
    Answer answer;
    ReelStatus status = run->process < 0 ? reel_status_failed("cannot start a process: %s", strerror(errno))
                                         : ask(run, 0, &answer);
    if (!reel_status_is_ok(&status)) {
        bench_run_end(run);
        return status;
    }
    run->shape = answer.shape;
    run->parameters = answer.parameters;
    return bench_run_steps(run, WARM_UP, false);
}

void bench_run_end(BenchRun *run)
{
    if (!run->samples)
        return;
    char quit = 'q';
    if (run->process > 0) {
        send_all(run->line, &quit, 1);
        waitpid(run->process, NULL, 0);
    }
    close(run->line);
    reel_mem_free(run->samples);
    *run = (BenchRun){0};
}

ReelStatus bench_run_steps(BenchRun *run, int count, bool keep)
{
    for (int i = 0; i < count; i++) {
        Answer answer;
        ReelStatus status = ask(run, 's', &answer);
        if (!reel_status_is_ok(&status))
            return status;
        if (!isfinite(answer.sample.loss))
            return reel_status_failed("%s: the loss is not finite", run->setting.kind->name);
        if (keep && run->count < BENCH_MAX_SAMPLES)
            run->samples[run->count++] = answer.sample;
    }
    return reel_status_ok();
}

ReelStatus bench_run_peak(BenchRun *run)
{
    Answer answer;
    ReelStatus status = ask(run, 'p', &answer);
    if (reel_status_is_ok(&status) && run->peak_count < (int)(sizeof run->peaks / sizeof run->peaks[0]))
        run->peaks[run->peak_count++] = answer.peak;
    return status;
}

ReelStatus bench_run_alone(BenchRun *run)
{
    double shares[ALONE_TURNS];
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < ALONE_TURNS && reel_status_is_ok(&status); i++) {
        Answer answer;
        status = ask(run, 'a', &answer);
        shares[i] = answer.alone;
    }
    if (reel_status_is_ok(&status))
        run->alone = model_spread_median(shares, ALONE_TURNS);
    return status;
}

/* ---- What came of it ---- */

static double median_of(const BenchRun *run, size_t offset)
{
    double values[BENCH_MAX_SAMPLES];
    for (int i = 0; i < run->count; i++)
        values[i] = *(const double *)(const void *)((const char *)&run->samples[i] + offset);
    return model_spread_median(values, run->count);
}

BenchSample bench_run_median(const BenchRun *run)
{
    BenchSample m = {.step = median_of(run, offsetof(BenchSample, step)),
                     .forward = median_of(run, offsetof(BenchSample, forward)),
                     .backward = median_of(run, offsetof(BenchSample, backward)),
                     .optimizer = median_of(run, offsetof(BenchSample, optimizer)),
                     .cpu = median_of(run, offsetof(BenchSample, cpu)),
                     .loss = median_of(run, offsetof(BenchSample, loss))};
    uint64_t count = (uint64_t)(run->count ? run->count : 1);
    for (int i = 0; i < run->count; i++) {
        m.flops += run->samples[i].flops;
        m.mallocs += run->samples[i].mallocs;
        m.other += run->samples[i].other;
        m.peak_rss_mb = fmax(m.peak_rss_mb, run->samples[i].peak_rss_mb);
    }
    m.flops /= count;
    return m;
}

double bench_run_least_step(const BenchRun *run)
{
    double least = INFINITY;
    for (int i = 0; i < run->count; i++)
        least = fmin(least, run->samples[i].step);
    return least;
}

double bench_run_median_peak(const BenchRun *run)
{
    double values[sizeof run->peaks / sizeof run->peaks[0]];
    memcpy(values, run->peaks, sizeof values);
    return model_spread_median(values, run->peak_count);
}
