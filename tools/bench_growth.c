/* How the cost of a step grows with the length of texts, the batch, the width, and the vocabulary. */
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tools/bench_run.h"
#include "tools/bench_svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 3, MAX_VALUES = 12, MAX_MODELS = SVG_MAX_CURVES, AXES = 4 };

/* What is varied, all else being as the options say. */
typedef struct Axis {
    const char *name, *label;
    bool base_2;
    int count;
    int values[MAX_VALUES];
    size_t offset; /* of the member in BenchShape */
} Axis;

static const Axis axes[AXES] = {
    {"len", "tokens a text", true, 7, {16, 32, 64, 128, 256, 512, 1024}, offsetof(BenchShape, len)},
    {"batch",
     "texts a batch",
     true,
     10,
     {1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
     offsetof(BenchShape, batch)},
    {"hidden", "width of the state", true, 6, {32, 64, 128, 256, 512, 1024}, offsetof(BenchShape, hidden)},
    {"vocab",
     "words in the vocabulary",
     false,
     7,
     {1000, 5000, 20000, 50000, 100000, 300000, 1000000},
     offsetof(BenchShape, vocab)},
};

/* Words in use along the axis of the vocabulary, where it has as many. */
enum { WORDS_IN_USE = 20000 };

typedef struct Point {
    double step_ms, cpu_ms, peak_rss_mb;
} Point;

/* One value of one axis for one model. The steps adapt to how long they take. */
static ReelStatus measure_point(const BenchOptions *options, const ModelKind *kind, const Axis *axis,
                                int value, Point *point)
{
    BenchSetting setting = {.kind = kind,
                            .shape = options->shape,
                            .threads = options->threads,
                            .shards = options->shards ? options->shards : options->threads,
                            .seed = options->seed};
    memcpy((char *)&setting.shape + axis->offset, &value, sizeof value);
    if (axis->offset == offsetof(BenchShape, vocab))
        setting.shape.distinct = value < WORDS_IN_USE ? value : WORDS_IN_USE;
    BenchRun *run = reel_mem_calloc(1, sizeof *run);
    if (!run)
        return reel_status_no_memory(sizeof *run, "a run");
    ReelStatus status = bench_run_start(run, &setting);
    for (double begun = reel_clock_seconds(); reel_status_is_ok(&status) && run->count < options->steps;) {
        status = bench_run_steps(run, 1, true);
        if (run->count >= MAX_STEPS && reel_clock_seconds() - begun > 1)
            break;
    }
    if (reel_status_is_ok(&status)) {
        BenchSample m = bench_run_median(run);
        *point = (Point){1e3 * m.step, 1e3 * m.cpu, m.peak_rss_mb};
    }
    bench_run_end(run);
    reel_mem_free(run);
    return status;
}

/* The slope of log y over log x by least squares: 1 where y grows as x does. */
static double slope(const int *x, const double *y, int first, int count)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0, n = count - first;
    for (int i = first; i < count; i++) {
        double a = log(x[i]), b = log(y[i]);
        sx += a;
        sy += b;
        sxx += a * a;
        sxy += a * b;
    }
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static void write_point(ReelJsonWriter *json, const char *model, const Axis *axis, int value, const Point *p)
{
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", model);
    reel_json_string(json, "axis", axis->name);
    reel_json_integer(json, "value", value);
    reel_json_number(json, "step_ms", p->step_ms);
    reel_json_number(json, "cpu_ms", p->cpu_ms);
    reel_json_number(json, "peak_rss_mb", p->peak_rss_mb);
    reel_json_end_object(json);
}

/* Sums up what the points of an axis say. Memory: what is there without any text is taken off. */
static void sum_up(const Axis *axis, const char *model, const Point *points)
{
    double time[MAX_VALUES], memory[MAX_VALUES];
    int largest = axis->count - 1;
    for (int i = 0; i < axis->count; i++) {
        time[i] = points[i].cpu_ms;
        memory[i] = points[i].peak_rss_mb;
    }
    if (axis->offset == offsetof(BenchShape, vocab)) {
        double before = points[2].cpu_ms, step = points[2].step_ms;
        printf("  %-14s V = 10^6 against 20,000, the same words in use: processor time %+.1f %%, step %+.1f "
               "%%\n",
               model, 100 * (points[largest].cpu_ms / before - 1),
               100 * (points[largest].step_ms / step - 1));
        return;
    }
    double first = axis->values[largest - 2], last = axis->values[largest];
    double per_unit = (memory[largest] - memory[largest - 2]) / (last - first);
    double middle = memory[largest - 2] + per_unit * (axis->values[largest - 1] - first);
    printf("  %-14s processor time grows as %s^%.2f (from %d on); memory %.3f MB each, at %d %+.1f %% of a "
           "line\n",
           model, axis->name, slope(axis->values, time, axis->count / 2, axis->count),
           axis->values[axis->count / 2], per_unit, axis->values[largest - 1],
           100 * (memory[largest - 1] / middle - 1));
}

static ReelStatus measure_axis(const BenchOptions *options, const ModelKind *const *kinds, int models,
                               const Axis *axis, SvgPanel *panel, ReelJsonWriter *json)
{
    Point points[MAX_MODELS][MAX_VALUES] = {0};
    *panel = (SvgPanel){.title = axis->label,
                        .x_label = axis->label,
                        .y_label = "processor time of a step, ms",
                        .base_2 = axis->base_2,
                        .count = models};
    printf("\n%-14s", axis->name);
    for (int k = 0; k < models; k++)
        printf(" | %-13.13s ms  cpu ms      MB", kinds[k]->name);
    printf("\n");
    for (int i = 0; i < axis->count; i++) {
        printf("%-14d", axis->values[i]);
        for (int k = 0; k < models; k++) {
            ReelStatus status = measure_point(options, kinds[k], axis, axis->values[i], &points[k][i]);
            if (!reel_status_is_ok(&status))
                return status;
            const Point *p = &points[k][i];
            printf(" | %16.2f %7.2f %7.1f", p->step_ms, p->cpu_ms, p->peak_rss_mb);
            fflush(stdout);
            write_point(json, kinds[k]->name, axis, axis->values[i], p);
            panel->curves[k].name = kinds[k]->name;
            panel->curves[k].x[i] = axis->values[i];
            panel->curves[k].y[i] = p->cpu_ms;
            panel->curves[k].count = i + 1;
        }
        printf("\n");
    }
    for (int k = 0; k < models; k++)
        sum_up(axis, kinds[k]->name, points[k]);
    return reel_status_ok();
}

ReelStatus bench_growth(const BenchOptions *options)
{
    const ModelKind *kinds[MAX_MODELS];
    SvgPanel panels[AXES];
    int models;
    ReelStatus status = bench_choose_models(options->models, kinds, MAX_MODELS, &models);
    if (!reel_status_is_ok(&status))
        return status;
    ReelJsonWriter json = {0};
    bench_begin(&json);
    reel_json_begin_array(&json, "growth");
    for (int i = 0; i < AXES && reel_status_is_ok(&status); i++)
        status = measure_axis(options, kinds, models, &axes[i], &panels[i], &json);
    reel_json_end_array(&json);
    status = bench_end(&json, options, status);
    if (reel_status_is_ok(&status))
        status = svg_write(options->drawing, panels, AXES);
    return status;
}
