/* The figures that compare models: curves, quality, costs. */
#include "tools/report/report_internal.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 460 };

/* Where nothing has been learned yet, an axis still ends at a number that has room. */
#define LEAST_TOP 0.01

/* ---- The legend that all figures share ---- */

static void draw_legend(Report *report)
{
    ReportOut *out = &report->out;
    report_put(out, "<ul class=\"legend\" aria-label=\"Legend\">\n");
    for (int i = 0; i < report->count; i++) {
        report_putf(
            out,
            "<li><svg class=\"key s%d\" viewBox=\"0 0 44 16\" aria-hidden=\"true\"><path class=\"line\" "
            "stroke-dasharray=\"%s\" d=\"M1 8H43\"/>",
            i % 7, report_dash(i));
        report_marker(out, i, 22, 8, 4);
        report_around(out, "</svg>", report->series[i].name, "</li>\n");
    }
    report_put(out, "</ul>\n");
}

/* ---- Curves ---- */

typedef double (*EpochValue)(const ModelRunEpoch *epoch);

static double loss_of(const ModelRunEpoch *epoch)
{
    return epoch->train_loss;
}

static double f1_of(const ModelRunEpoch *epoch)
{
    return epoch->test_f1;
}

/* Over the seeds that have finished epoch number i (from 0). */
static ModelSpread at_epoch(const ModelResult *model, int i, EpochValue value)
{
    double values[MODEL_RESULTS_MAX_SEEDS];
    int n = 0;
    for (int s = 0; s < model->num_seeds && n < MODEL_RESULTS_MAX_SEEDS; s++)
        if (i < model->seeds[s].count && isfinite(value(&model->seeds[s].epochs[i])))
            values[n++] = value(&model->seeds[s].epochs[i]);
    return model_spread_of(values, n);
}

static int most_epochs(const ModelResult *model)
{
    int most = 0;
    for (int s = 0; s < model->num_seeds; s++)
        most = model->seeds[s].count > most ? model->seeds[s].count : most;
    return most;
}

/* The range over the seeds as a pale band. */
static void draw_band(Chart *chart, const ModelResult *model, int epochs, EpochValue value)
{
    report_put(chart->out, "<path class=\"band\" d=\"");
    for (int i = 0; i < epochs; i++)
        report_putf(chart->out, "%c%.1f %.1f", i ? 'L' : 'M', report_x(chart, i + 1),
                    report_y(chart, at_epoch(model, i, value).high));
    for (int i = epochs - 1; i >= 0; i--)
        report_putf(chart->out, "L%.1f %.1f", report_x(chart, i + 1),
                    report_y(chart, at_epoch(model, i, value).low));
    report_put(chart->out, "z\"/>\n");
}

/* The epoch of the highest mean, from 0. */
static int best_epoch_of(const ModelResult *model, int epochs)
{
    int best = 0;
    for (int i = 1; i < epochs; i++)
        if (at_epoch(model, i, f1_of).mean > at_epoch(model, best, f1_of).mean)
            best = i;
    return best;
}

static void draw_curve(Report *report, Chart *chart, int series, EpochValue value)
{
    ReportOut *out = chart->out;
    const ModelResult *model = report->series[series].model;
    int epochs = most_epochs(model);
    if (epochs == 0)
        return;
    report_putf(out, "<g class=\"s%d\">", series % 7);
    report_around(out, "<title>", report->series[series].name, "</title>\n");
    if (model->num_seeds > 1)
        draw_band(chart, model, epochs, value);
    report_putf(out, "<path class=\"line\" stroke-dasharray=\"%s\" d=\"", report_dash(series));
    for (int i = 0; i < epochs; i++)
        report_putf(out, "%c%.1f %.1f", i ? 'L' : 'M', report_x(chart, i + 1),
                    report_y(chart, at_epoch(model, i, value).mean));
    report_put(out, "\"/>\n");
    /* Markers at a few epochs, each series at others, so that they do not hide one another. */
    int every = epochs <= 10 ? 1 : (epochs + 7) / 8;
    for (int i = epochs <= 10 ? 0 : series % every; i < epochs; i += every)
        report_marker(out, series, report_x(chart, i + 1), report_y(chart, at_epoch(model, i, value).mean),
                      2.8);
    int best = best_epoch_of(model, epochs);
    double x = report_x(chart, best + 1), y = report_y(chart, at_epoch(model, best, value).mean);
    report_marker(out, series, x, y, 4.2);
    report_putf(out, "<circle class=\"best\" cx=\"%.1f\" cy=\"%.1f\" r=\"8\"/></g>\n", x, y);
}

static void draw_curves(Report *report, EpochValue value, const char *title, const char *unit,
                        const char *caption)
{
    Chart chart = report_chart(report, WIDTH, 320, title);
    double high = 0;
    int epochs = 1;
    for (int i = 0; i < report->count; i++) {
        const ModelResult *model = report->series[i].model;
        int count = most_epochs(model);
        epochs = count > epochs ? count : epochs;
        for (int e = 0; e < count; e++)
            high = fmax(high, at_epoch(model, e, value).high);
    }
    chart.x0 = epochs > 1 ? 1 : 0;
    chart.x1 = epochs > 1 ? epochs : 2;
    chart.y1 = report_round_up(fmax(high, LEAST_TOP));
    report_axis_y(&chart, unit);
    report_axis_x(&chart, "epoch", true);
    for (int i = report->count - 1; i >= 0; i--)
        draw_curve(report, &chart, i, value);
    report_chart_end(&chart, caption);
}

void report_curves(Report *report)
{
    bool seeds = report->max_seeds > 1;
    report_put(&report->out, "<section id=\"curves\"><h2>While training</h2>\n");
    if (report->count > 1)
        draw_legend(report);
    report_put(&report->out, "<div class=\"pair\">\n");
    if (report->tests)
        draw_curves(
            report, f1_of, "Macro F1 on the test part", "macro F1",
            seeds ? "The mean over the seeds; the pale band reaches from the lowest seed to the highest. A "
                    "ring marks the best epoch of the mean."
                  : "After each epoch, at threshold 0.5. A ring marks the best epoch.");
    draw_curves(report, loss_of, "Training loss", "mean loss, nats a decision",
                "The mean over an epoch's decisions, each before its update. The ring is at the epoch of the "
                "best macro F1.");
    report_put(&report->out, "</div></section>\n");
}

/* ---- Rows: one line a model, a value to the right ---- */

enum { ROW = 30 };

/* A chart of `count` rows with room for names at the left and values at the right. */
static Chart rows_chart(Report *report, int count, const char *title)
{
    Chart chart = report_chart(report, WIDTH, count * ROW + 62, title);
    chart.left = 112;
    chart.right = WIDTH - 76;
    return chart;
}

static double row_y(const Chart *chart, int row)
{
    return chart->top + ROW * (row + 0.5);
}

static void row_name(Report *report, const Chart *chart, int series)
{
    report_name(chart->out, chart->left - 8, row_y(chart, series) + 4, "end", report->series[series].name,
                16);
}

static void quality_row(Report *report, Chart *chart, int i)
{
    ReportOut *out = chart->out;
    const ReportSeries *series = &report->series[i];
    const ModelSpread *best = &series->model->best;
    double y = row_y(chart, i);
    row_name(report, chart, i);
    report_putf(out, "<g class=\"s%d\">", i % 7);
    if (best->n > 1)
        report_putf(out, "<path class=\"range\" d=\"M%.1f %.1fH%.1f\"/>",
                    report_x(chart, best->mean - best->sd), y, report_x(chart, best->mean + best->sd));
    for (int s = 0; s < series->model->num_seeds; s++)
        if (series->model->seeds[s].count > 0) {
            const ModelRunResult *seed = &series->model->seeds[s];
            report_putf(out,
                        "<path class=\"open\" d=\"M%.1f %.1fV%.1f\"><title>seed %lld: best %.4f in epoch %d, "
                        "last %.4f</title></path>",
                        report_x(chart, seed->best_f1), y - 7, y + 7, (long long)seed->seed, seed->best_f1,
                        seed->best_epoch, seed->last_f1);
        }
    report_marker(out, i, report_x(chart, best->mean), y, 5);
    report_put(out, "</g>\n");
    report_putf(out, "<circle class=\"last\" cx=\"%.1f\" cy=\"%.1f\" r=\"8\"/>\n",
                report_x(chart, series->model->last.mean), y);
    if (best->n > 1)
        report_label(out, WIDTH - 4, y + 4, "end", "t", "%.3f\xC2\xB1%.3f", best->mean, best->sd);
    else
        report_label(out, WIDTH - 4, y + 4, "end", "t", "%.4f", best->mean);
}

static void draw_quality(Report *report)
{
    double low = INFINITY, high = 0;
    for (int i = 0; i < report->count; i++) {
        const ModelSpread *best = &report->series[i].model->best;
        double last = report->series[i].model->last.mean;
        low = fmin(low, fmin(best->mean - best->sd, fmin(best->low, last)));
        high = fmax(high, fmax(best->mean + best->sd, fmax(best->high, last)));
    }
    Chart chart = rows_chart(report, report->count, "Best and last macro F1");
    double margin = fmax(0.02, 0.08 * (high - low));
    chart.x0 = fmax(0, low - margin);
    chart.x1 = fmin(1, high + margin);
    if (chart.x1 - chart.x0 < 1e-6)
        chart.x0 = chart.x1 - 0.05;
    report_axis_x(&chart, "macro F1 on the test part", false);
    for (int i = 0; i < report->count; i++)
        quality_row(report, &chart, i);
    char caption[300];
    snprintf(
        caption, sizeof caption, "%s%s",
        report->max_seeds > 1
            ? "Marker: the mean over the seeds of each seed's best epoch; bar: one standard deviation to "
              "either side; strokes: the seeds; ring: the mean after the last epoch."
            : "Marker: the best epoch; ring: after the last epoch.",
        chart.x0 > 0 ? " The axis does not begin at 0." : "");
    report_chart_end(&chart, caption);
}

/* ---- Costs ---- */

/* A bar from 0; the part from `from` on is paler. */
static void draw_bar(Report *report, Chart *chart, int i, double from, double to)
{
    double y = row_y(chart, i) - 9;
    report_putf(chart->out,
                "<g class=\"s%d\"><rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\"/>",
                i % 7, chart->left, y, report_x(chart, from) - chart->left);
    if (to > from)
        report_putf(chart->out,
                    "<rect class=\"bar pale\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\"/>",
                    report_x(chart, from), y, report_x(chart, to) - report_x(chart, from));
    report_put(chart->out, "</g>\n");
    row_name(report, chart, i);
}

/* Quality against what it costs. */
static void draw_bargain(Report *report)
{
    Chart chart = report_chart(report, WIDTH, 262, "Quality for the time");
    double seconds = 0, high = 0;
    for (int i = 0; i < report->count; i++) {
        seconds = fmax(seconds, report->series[i].epoch_seconds);
        high = fmax(high, report->series[i].model->best.mean + report->series[i].model->best.sd);
    }
    chart.x1 = report_round_up(seconds);
    chart.y1 = report_round_up(fmax(high, LEAST_TOP));
    report_axis_y(&chart, "best macro F1");
    report_axis_x(&chart, "seconds an epoch (median)", false);
    for (int i = 0; i < report->count; i++) {
        const ReportSeries *series = &report->series[i];
        const ModelSpread *best = &series->model->best;
        double x = report_x(&chart, series->epoch_seconds), y = report_y(&chart, best->mean);
        report_putf(chart.out, "<g class=\"s%d\">", i % 7);
        report_around(chart.out, "<title>", series->name, "</title>\n");
        if (best->n > 1)
            report_putf(chart.out, "<path class=\"open\" d=\"M%.1f %.1fV%.1f\"/>", x,
                        report_y(&chart, best->mean - best->sd), report_y(&chart, best->mean + best->sd));
        report_marker(chart.out, i, x, y, 5.5);
        report_put(chart.out, "</g>\n");
    }
    report_chart_end(&chart,
                     report->max_seeds > 1
                         ? "Better is up and to the left. Strokes: one standard deviation over the seeds."
                         : "Better is up and to the left.");
}

static void draw_parameters(Report *report)
{
    Chart chart = rows_chart(report, report->count, "Parameters");
    double high = 1;
    for (int i = 0; i < report->count; i++)
        high = fmax(high, (double)report->series[i].model->params);
    chart.x1 = report_round_up(high);
    report_axis_x(&chart, "parameters", false);
    for (int i = 0; i < report->count; i++) {
        const ModelResult *model = report->series[i].model;
        char text[32];
        draw_bar(report, &chart, i, (double)model->params_without_embedding, (double)model->params);
        report_label(chart.out, WIDTH - 4, row_y(&chart, i) + 4, "end", "t", "%s",
                     report_short(text, (double)model->params));
    }
    report_chart_end(&chart, "Full: all but the embedding; pale: the embedding's table.");
}

static void draw_speed(Report *report)
{
    Chart chart = rows_chart(report, report->count, "Time an epoch");
    double high = 0;
    for (int i = 0; i < report->count; i++)
        high = fmax(high, report->series[i].epoch_seconds);
    chart.x1 = report_round_up(high);
    report_axis_x(&chart, "seconds an epoch (median)", false);
    for (int i = 0; i < report->count; i++) {
        const ReportSeries *series = &report->series[i];
        char text[32];
        draw_bar(report, &chart, i, series->epoch_seconds, series->epoch_seconds);
        if (series->ids_per_second > 0)
            report_label(chart.out, WIDTH - 4, row_y(&chart, i) + 4, "end", "t", "%s/s",
                         report_short(text, series->ids_per_second));
        else
            report_label(chart.out, WIDTH - 4, row_y(&chart, i) + 4, "end", "t", "%s",
                         report_duration(text, series->epoch_seconds));
    }
    report_chart_end(&chart,
                     "Training and evaluation. At the right: the training part's ids (words, with <bos> "
                     "and <eos>) a second.");
}

/* What sets models side by side says nothing of one. */
void report_costs(Report *report)
{
    if (report->count < 2)
        return;
    report_put(&report->out, "<section id=\"costs\"><h2>Quality, size and speed</h2>\n");
    draw_legend(report);
    report_put(&report->out, "<div class=\"pair\">\n");
    if (report->tests) {
        draw_quality(report);
        draw_bargain(report);
    }
    draw_parameters(report);
    draw_speed(report);
    report_put(&report->out, "</div></section>\n");
}
