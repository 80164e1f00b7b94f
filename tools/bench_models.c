/* Training steps of whole models: time, arithmetic, memory. */
#include "tensor/mem.h"
#include "tools/bench_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Runs that take turns. */
typedef struct Runs {
    int count;
    BenchRun runs[BENCH_MAX_RUNS];
} Runs;

/* docs/examples/own_cell.c */
extern const ModelKind own_cell_model;

ReelStatus bench_choose_models(const char *list, const ModelKind **kinds, int most, int *count)
{
    return model_zoo_choose(list, &own_cell_model, kinds, most, count);
}

static ReelStatus start(Runs *runs, const ModelKind *kind, const BenchOptions *options, int threads)
{
    if (runs->count == BENCH_MAX_RUNS)
        return reel_status_usage("more than %d models at a time", BENCH_MAX_RUNS);
    BenchSetting setting = {.kind = kind,
                            .shape = options->shape,
                            .threads = threads,
                            .shards = options->shards ? options->shards : threads,
                            .seed = options->seed,
                            .malloc_calls = options->malloc_calls};
    ReelStatus status = bench_run_start(&runs->runs[runs->count], &setting);
    runs->count += runs->runs[runs->count].samples != NULL;
    return status;
}

static void end_all(Runs *runs)
{
    for (int i = 0; runs && i < runs->count; i++)
        bench_run_end(&runs->runs[i]);
    reel_mem_free(runs);
}

/* In every round each run has some steps and then measures the peak. */
static ReelStatus take_turns(Runs *runs, const BenchOptions *options)
{
    int each = (options->steps + options->rounds - 1) / options->rounds;
    for (int round = 0; round < options->rounds; round++)
        for (int i = 0; i < runs->count; i++) {
            ReelStatus status = bench_run_steps(&runs->runs[i], each, true);
            if (reel_status_is_ok(&status))
                status = bench_run_peak(&runs->runs[i]);
            if (!reel_status_is_ok(&status))
                return status;
        }
    return reel_status_ok();
}

/* ---- Showing ---- */

typedef struct Figures {
    BenchSample median;
    double notebook, executed, gflops, peak, tokens_per_s; /* GFLOP, GFLOP/s */
    double mallocs, others;                                /* a step */
} Figures;

static Figures figures_of(const BenchRun *run)
{
    Figures f = {.median = bench_run_median(run), .peak = bench_run_median_peak(run)};
    f.notebook = 1e-9 * bench_notebook_flops(run->setting.kind->name, &run->shape);
    f.executed = 1e-9 * (double)f.median.flops;
    f.gflops = f.executed / f.median.step;
    f.tokens_per_s = (double)run->shape.batch * run->shape.len / f.median.step;
    f.mallocs = (double)f.median.mallocs / run->count;
    f.others = run->setting.malloc_calls ? (double)f.median.other / run->count : NAN;
    return f;
}

static void print_head(void)
{
    printf("%-14s %8s %8s %8s %8s %8s %8s %9s %9s %8s %8s %6s %6s %9s %8s %7s %7s\n", "model", "step ms",
           "least", "forward", "backward", "optim.", "cpu ms", "GFLOP nb.", "executed", "GFLOP/s", "peak",
           "share", "alone", "tokens/s", "peak MB", "mallocs", "others");
}

static void print_run(const BenchRun *run)
{
    Figures f = figures_of(run);
    const BenchSample *m = &f.median;
    printf("%-14s %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f %9.2f %9.2f %8.1f %8.1f %5.0f%% %5.0f%% %9.0f %8.1f "
           "%7.2f %7.2f\n",
           run->setting.kind->name, 1e3 * m->step, 1e3 * bench_run_least_step(run), 1e3 * m->forward,
           1e3 * m->backward, 1e3 * m->optimizer, 1e3 * m->cpu, f.notebook, f.executed, f.gflops, f.peak,
           100 * f.gflops / f.peak, 100 * run->alone, f.tokens_per_s, m->peak_rss_mb, f.mallocs, f.others);
}

static void write_run(ReelJsonWriter *json, const BenchRun *run)
{
    Figures f = figures_of(run);
    const BenchSample *m = &f.median;
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", run->setting.kind->name);
    reel_json_number(json, "step_ms", 1e3 * m->step);
    reel_json_number(json, "step_ms_min", 1e3 * bench_run_least_step(run));
    reel_json_number(json, "forward_ms", 1e3 * m->forward);
    reel_json_number(json, "backward_ms", 1e3 * m->backward);
    reel_json_number(json, "optimizer_ms", 1e3 * m->optimizer);
    reel_json_number(json, "cpu_ms", 1e3 * m->cpu);
    reel_json_number(json, "gflop_notebook", f.notebook);
    reel_json_number(json, "gflop_executed", f.executed);
    reel_json_number(json, "gflops", f.gflops);
    reel_json_number(json, "peak_gflops", f.peak);
    reel_json_number(json, "share_of_peak", f.gflops / f.peak);
    reel_json_number(json, "share_of_products_alone", run->alone);
    reel_json_number(json, "tokens_per_s", f.tokens_per_s);
    reel_json_number(json, "peak_rss_mb", m->peak_rss_mb);
    reel_json_number(json, "mallocs_per_step", f.mallocs);
    reel_json_number(json, "other_mallocs_per_step", f.others);
    reel_json_integer(json, "threads", run->setting.threads);
    reel_json_integer(json, "shards", run->setting.shards);
    reel_json_integer(json, "params", run->parameters);
    reel_json_integer(json, "embed", run->shape.embed);
    reel_json_integer(json, "hidden", run->shape.hidden);
    reel_json_integer(json, "layers", run->shape.layers);
    reel_json_integer(json, "steps", run->count);
    reel_json_end_object(json);
}

/* Begins a list of results behind the settings. */
static void begin_list(ReelJsonWriter *json, const BenchOptions *options, const char *list)
{
    reel_json_begin_object(json, NULL);
    reel_json_begin_object(json, "settings");
    reel_json_integer(json, "batch", options->shape.batch);
    reel_json_integer(json, "len", options->shape.len);
    reel_json_integer(json, "vocab", options->shape.vocab);
    reel_json_integer(json, "distinct", options->shape.distinct);
    reel_json_integer(json, "labels", options->shape.labels);
    reel_json_integer(json, "seed", (int64_t)options->seed);
    reel_json_integer(json, "rounds", options->rounds);
    bench_describe_machine(json);
    reel_json_end_object(json);
    reel_json_begin_array(json, list);
}

ReelStatus bench_models(const BenchOptions *options)
{
    const ModelKind *kinds[BENCH_MAX_RUNS];
    int count;
    ReelStatus status = bench_choose_models(options->models, kinds, BENCH_MAX_RUNS, &count);
    Runs *runs = reel_mem_calloc(1, sizeof *runs);
    if (!runs)
        return reel_status_no_memory(sizeof *runs, "the runs");
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        status = start(runs, kinds[i], options, options->threads);
    if (reel_status_is_ok(&status))
        status = take_turns(runs, options);
    for (int i = 0; options->threads == 1 && i < runs->count && reel_status_is_ok(&status); i++)
        status = bench_run_alone(&runs->runs[i]);
    if (reel_status_is_ok(&status)) {
        ReelJsonWriter json = {0};
        begin_list(&json, options, "models");
        print_head();
        for (int i = 0; i < runs->count; i++) {
            print_run(&runs->runs[i]);
            write_run(&json, &runs->runs[i]);
        }
        reel_json_end_array(&json);
        status = bench_end(&json, options, status);
    }
    end_all(runs);
    return status;
}

/* ---- From one thread to all ---- */

/* runs->runs[t - 1] has t threads. */
static void show_scaling(const Runs *runs, int threads, ReelJsonWriter *json)
{
    const BenchRun *one = &runs->runs[0];
    double step = bench_run_median(one).step, peak = bench_run_median_peak(one);
    for (int t = 1; t <= threads; t++) {
        const BenchRun *run = &runs->runs[t - 1];
        double speedup = step / bench_run_median(run).step;
        double products = bench_run_median_peak(run) / peak;
        printf("%-14s %7d %9.2f %9.2f %9.2f %9.2f\n", run->setting.kind->name, t,
               1e3 * bench_run_median(run).step, speedup, products, speedup / products);
        reel_json_begin_object(json, NULL);
        reel_json_string(json, "name", run->setting.kind->name);
        reel_json_integer(json, "threads", t);
        reel_json_number(json, "step_ms", 1e3 * bench_run_median(run).step);
        reel_json_number(json, "speedup", speedup);
        reel_json_number(json, "speedup_of_products", products);
        reel_json_number(json, "ratio", speedup / products);
        reel_json_end_object(json);
    }
}

ReelStatus bench_scaling(const BenchOptions *options)
{
    const ModelKind *kinds[BENCH_MAX_RUNS];
    int count;
    ReelStatus status = bench_choose_models(options->models, kinds, BENCH_MAX_RUNS, &count);
    if (!reel_status_is_ok(&status))
        return status;
    ReelJsonWriter json = {0};
    begin_list(&json, options, "scaling");
    printf("%-14s %7s %9s %9s %9s %9s\n", "model", "threads", "step ms", "speedup", "products", "ratio");
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        Runs *runs = reel_mem_calloc(1, sizeof *runs);
        if (!runs)
            status = reel_status_no_memory(sizeof *runs, "the runs");
        for (int t = 1; t <= options->threads && reel_status_is_ok(&status); t++)
            status = start(runs, kinds[i], options, t);
        if (reel_status_is_ok(&status))
            status = take_turns(runs, options);
        if (reel_status_is_ok(&status))
            show_scaling(runs, options->threads, &json);
        end_all(runs);
    }
    reel_json_end_array(&json);
    return bench_end(&json, options, status);
}
