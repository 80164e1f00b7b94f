/* The figures about labels: F1 of each, what is missed for what, how many there are. */
#include "tools/report/report_internal.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 460, ROW = 20, MOST_ROWS = 60, SOME_ROWS = 15, MOST_FREQUENT = 40, MATRIX = 12, PAIRS = 10 };

typedef struct Ranked {
    int label;
    double key, second;
    const char *name; /* where it is asked for */
} Ranked;

static int higher_first(const void *a, const void *b)
{
    const Ranked *left = a, *right = b;
    if (left->key != right->key)
        return left->key < right->key ? 1 : -1;
    if (left->second != right->second)
        return left->second < right->second ? 1 : -1;
    return left->label - right->label;
}

/* The series whose details stand for all: the best one, or the first that has any; -1: none. */
static int shown_series(const Report *report)
{
    if (report->series[report->best].details && report->series[report->best].details->num_scores)
        return report->best;
    for (int i = 0; i < report->count; i++)
        if (report->series[i].details && report->series[i].details->num_scores)
            return i;
    return -1;
}

/* In one order, too: a model that a run began with has its own. */
static bool same_labels(const ReportSeries *a, const ReportSeries *b)
{
    bool same = a->details && b->details && a->details->num_scores == b->details->num_scores &&
                report_same_data(a->run->results.data_hash, b->run->results.data_hash);
    for (int k = 0; same && a->run != b->run && k < a->details->num_scores; k++)
        same = strcmp(a->run->classes[k].name, b->run->classes[k].name) == 0;
    return same;
}

/* ---- F1 of each label ---- */

static void class_row(Report *report, Chart *chart, int shown, int label, int row)
{
    ReportOut *out = chart->out;
    const ReportSeries *best = &report->series[shown];
    const ModelLabelCounts *counts = &best->details->scores[label];
    double low = 1, high = 0, y = chart->top + ROW * (row + 0.5);
    ModelScores scores = model_metrics_of(*counts);
    int others = 0;
    for (int i = 0; i < report->count; i++)
        if (i != shown && same_labels(best, &report->series[i])) {
            double other = model_metrics_f1(report->series[i].details->scores[label]);
            low = fmin(low, other);
            high = fmax(high, other);
            others++;
        }
    report_name(out, chart->left - 6, y + 4, "end", best->run->classes[label].name, 19);
    report_putf(out, "<g><title>precision %.3f, recall %.3f, F1 %.3f</title>", scores.precision,
                scores.recall, scores.f1);
    report_putf(out, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\"/></g>",
                chart->left, y - 6, report_x(chart, scores.f1) - chart->left);
    if (others > 0)
        report_putf(out, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>",
                    report_x(chart, low), y, report_x(chart, high), report_x(chart, low), y - 4,
                    report_x(chart, high), y - 4);
    report_label(out, chart->right + 34, y + 4, "end", "t", "%.2f", scores.f1);
    report_label(out, WIDTH - 4, y + 4, "end", "tick", "%lld", (long long)counts->support);
}

static void class_table(Report *report, int shown, const Ranked *order, int count)
{
    ReportOut *out = &report->out;
    const ReportSeries *best = &report->series[shown];
    report_put(out, "<details><summary>All labels, all models: F1 in numbers</summary>\n"
                    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"F1 of each label\">"
                    "<table><thead><tr><th scope=\"col\">label</th><th scope=\"col\">test texts</th>");
    for (int i = 0; i < report->count; i++)
        if (same_labels(best, &report->series[i]))
            report_around(out, "<th scope=\"col\">", report->series[i].name, "</th>");
    report_put(out, "</tr></thead><tbody>\n");
    for (int row = 0; row < count; row++) {
        int label = order[row].label;
        report_around(out, "<tr><th scope=\"row\">", best->run->classes[label].name, "</th>");
        report_putf(out, "<td>%lld</td>", (long long)best->run->classes[label].test);
        for (int i = 0; i < report->count; i++)
            if (same_labels(best, &report->series[i]))
                report_putf(out, "<td>%.3f</td>", model_metrics_f1(report->series[i].details->scores[label]));
        report_put(out, "</tr>\n");
    }
    report_put(out, "</tbody></table></div></details>\n");
}

/* Whether any model has an F1 above 0. */
static bool is_found(const Report *report, int shown, int label)
{
    for (int i = 0; i < report->count; i++)
        if (same_labels(&report->series[shown], &report->series[i]) &&
            report->series[i].details->scores[label].hits > 0)
            return true;
    return report->series[shown].details->scores[label].hits > 0;
}

static void draw_classes(Report *report, int shown, const Ranked *order, int rows, const char *title,
                         const char *caption)
{
    char whole[REPORT_NAME_SIZE + 60], text[400];
    snprintf(whole, sizeof whole, "%s: %s", title, report->series[shown].name);
    Chart chart = report_chart(report, WIDTH, rows * ROW + 72, whole);
    chart.left = 180;
    chart.right = WIDTH - 78;
    chart.top = 30;
    report_axis_x(&chart, "F1 on the test part", false);
    report_label(chart.out, chart.right + 34, 20, "end", "unit", "F1");
    report_label(chart.out, WIDTH - 4, 20, "end", "unit", "texts");
    report_putf(chart.out, "<g class=\"s%d\">\n", shown % 7);
    for (int row = 0; row < rows; row++)
        class_row(report, &chart, shown, order[row].label, row);
    report_put(chart.out, "</g>\n");
    snprintf(text, sizeof text, "%s At the right the test texts that bear the label (support).%s", caption,
             report->count > 1
                 ? " The thin line reaches from the lowest to the highest F1 of the other models."
                 : "");
    report_chart_end(&chart, text);
}

/* All labels in one figure, down to the last that any model finds. */
static void draw_all_classes(Report *report, int shown, const Ranked *order, int count)
{
    int rows = count;
    char caption[100] = "Sorted by F1.";
    while (rows > 1 && !is_found(report, shown, order[rows - 1].label))
        rows--;
    if (rows < count)
        snprintf(caption, sizeof caption, "Sorted by F1; the other %d are only in the table.", count - rows);
    draw_classes(report, shown, order, rows, "F1 of each label", caption);
}

/* The key of a figure of some labels among many; the highest are shown. */
static double best_key(const ModelLabelCounts *counts)
{
    return model_metrics_f1(*counts);
}

/* Of the labels that are there. */
static double worst_key(const ModelLabelCounts *counts)
{
    return counts->support > 0 ? -model_metrics_f1(*counts) : -2;
}

static double largest_key(const ModelLabelCounts *counts)
{
    return (double)counts->support;
}

/* Best, worst and largest, each label where it comes first. */
static void draw_some_classes(Report *report, int shown, Ranked *order, int count)
{
    static const struct {
        const char *title, *caption;
        double (*key)(const ModelLabelCounts *counts);
    } figures[] = {
        {"The best labels", "The highest F1 on the test part.", best_key},
        {"The worst labels", "The lowest F1 among labels that some test text bears, frequent ones first.",
         worst_key},
        {"The largest labels", "The most test texts.", largest_key},
    };
    const ModelLabelCounts *scores = report->series[shown].details->scores;
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        for (int k = 0; k < count; k++)
            order[k] =
                (Ranked){.label = k, .key = figures[f].key(&scores[k]), .second = (double)scores[k].support};
        qsort(order, (size_t)count, sizeof *order, higher_first);
        draw_classes(report, shown, order, SOME_ROWS, figures[f].title, figures[f].caption);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Ranked *)a)->name, ((const Ranked *)b)->name);
}

void report_classes(Report *report)
{
    int shown = shown_series(report);
    if (shown < 0)
        return;
    const ReportDetails *details = report->series[shown].details;
    int count = details->num_scores;
    Ranked *order = reel_mem_alloc((size_t)count * sizeof *order);
    if (!order) {
        report->out.failed = true;
        return;
    }
    for (int k = 0; k < count; k++)
        order[k] = (Ranked){.label = k,
                            .key = model_metrics_f1(details->scores[k]),
                            .second = (double)details->scores[k].support};
    qsort(order, (size_t)count, sizeof *order, higher_first);
    report_put(&report->out, "<section id=\"labels\"><h2>Label by label</h2>\n");
    if (count <= MOST_ROWS) {
        draw_all_classes(report, shown, order, count);
    } else {
        draw_some_classes(report, shown, order, count);
        report_putf(
            &report->out,
            "<p class=\"note\">All %d labels are in the table below, by name: the browser's search finds "
            "one there.</p>\n",
            count);
        for (int k = 0; k < count; k++)
            order[k].name = report->series[shown].run->classes[order[k].label].name;
        qsort(order, (size_t)count, sizeof *order, by_name);
    }
    class_table(report, shown, order, count);
    report_put(&report->out, "</section>\n");
    reel_mem_free(order);
}

/* ---- What is missed for what ---- */

/* What stands in a column instead of a label. */
enum { NOTHING = -1, OTHERS = -2 };

/* The labels of the matrix, and its columns, which are one more. */
typedef struct Matrix {
    int labels[REPORT_MATRIX], count;
    int columns[REPORT_MATRIX + 1], num_columns;
    bool single; /* a text has one label: what was right stands there, too */
} Matrix;

/* The labels that are missed most often; where a text has one and all have room, all of them by number. */
static void choose_missed(Matrix *m, const ReportDetails *details)
{
    bool all = m->single && details->num_scores <= REPORT_MATRIX;
    m->count = all ? details->num_scores
                   : report_most_missed(details, m->single ? REPORT_MATRIX : MATRIX, m->labels);
    for (int k = 0; all && k < m->count; k++)
        m->labels[k] = k;
    memcpy(m->columns, m->labels, sizeof m->labels);
    m->num_columns = m->count;
    if (!all)
        m->columns[m->num_columns++] = m->single ? OTHERS : NOTHING;
}

static int64_t misses_of(const ReportDetails *details, int missed, int instead)
{
    for (int i = 0; i < details->num_misses; i++)
        if (details->misses[i].missed == missed && details->misses[i].instead == instead)
            return details->misses[i].texts;
    return 0;
}

static int64_t cell_of(const Matrix *m, const ReportDetails *details, int row, int column)
{
    int label = m->labels[row], instead = m->columns[column];
    const ModelLabelCounts *counts = &details->scores[label];
    if (instead == label)
        return m->single ? counts->hits : 0;
    if (instead != OTHERS)
        return misses_of(details, label, instead);
    int64_t others = counts->support;
    for (int j = 0; j < column; j++)
        others -= cell_of(m, details, row, j);
    return others;
}

static void matrix_column(const Report *report, Chart *chart, int shown, int label, double x)
{
    const ReportSeries *series = &report->series[shown];
    report_putf(chart->out, "<g transform=\"translate(%.1f %.1f) rotate(-70)\">", x, chart->top - 6);
    report_name(chart->out, 0, 0, "start",
                label == NOTHING  ? "nothing instead"
                : label == OTHERS ? "another label"
                                  : series->run->classes[label].name,
                16);
    report_put(chart->out, "</g>\n");
}

static void draw_matrix(Report *report, int shown, const Matrix *m)
{
    const ReportSeries *series = &report->series[shown];
    const ReportDetails *details = series->details;
    char title[REPORT_NAME_SIZE + 40];
    snprintf(title, sizeof title, m->single ? "Confusion matrix: %s" : "Missed, and predicted instead: %s",
             series->name);
    double cell = 22, high = 1, width = 160 + cell * m->num_columns;
    Chart chart =
        report_chart(report, width > WIDTH ? (int)width : WIDTH, (int)(m->count * cell) + 150, title);
    chart.left = 140;
    chart.top = 140;
    for (int i = 0; i < m->count; i++)
        for (int j = 0; j < m->num_columns; j++)
            if (m->columns[j] != m->labels[i])
                high = fmax(high, (double)cell_of(m, details, i, j));
    for (int j = 0; j < m->num_columns; j++)
        matrix_column(report, &chart, shown, m->columns[j], chart.left + cell * (j + 0.6));
    for (int i = 0; i < m->count; i++) {
        double y = chart.top + cell * i;
        report_name(chart.out, chart.left - 6, y + 15, "end", series->run->classes[m->labels[i]].name, 16);
        for (int j = 0; j < m->num_columns; j++) {
            double x = chart.left + cell * j;
            int64_t texts = cell_of(m, details, i, j);
            bool right = m->columns[j] == m->labels[i];
            report_putf(chart.out,
                        "<rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" "
                        "fill-opacity=\"%.3f\"/>",
                        x, y, cell - 1, cell - 1,
                        right || texts == 0 ? 0.0 : 0.08 + 0.5 * (double)texts / high);
            if (texts > 0)
                report_label(chart.out, x + cell / 2 - 0.5, y + 15, "middle", right ? "count b" : "count",
                             "%lld", (long long)texts);
        }
    }
    report_chart_end(
        &chart, m->single
                    ? "Rows: the true label. Columns: the predicted one; what was right is on the diagonal."
                    : "Rows: the labels missed most often (true, not predicted). Columns: labels that were "
                      "predicted in the same texts without being true; a text with several counts in "
                      "each. Last column: nothing wrong was predicted, the label is just missing.");
}

static void pairs_table(Report *report)
{
    ReportOut *out = &report->out;
    report_put(
        out,
        "<details><summary>The most frequent confusions of every model</summary>\n"
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusions\"><table>"
        "<thead><tr><th scope=\"col\">model</th><th scope=\"col\">missed</th>"
        "<th scope=\"col\">predicted instead</th><th scope=\"col\">test texts</th></tr></thead><tbody>\n");
    for (int i = 0; i < report->count; i++) {
        const ReportSeries *series = &report->series[i];
        int shown = 0;
        for (int m = 0; series->details && m < series->details->num_misses && shown < PAIRS; m++) {
            const ReportMiss *miss = &series->details->misses[m];
            if (miss->instead < 0)
                continue;
            report_around(out, "<tr><th scope=\"row\">", series->name, "</th>");
            report_around(out, "<td class=\"l\">", series->run->classes[miss->missed].name, "</td>");
            report_around(out, "<td class=\"l\">", series->run->classes[miss->instead].name, "</td>");
            report_putf(out, "<td>%lld</td></tr>\n", (long long)miss->texts);
            shown++;
        }
    }
    report_put(out, "</tbody></table></div></details>\n");
}

void report_confusions(Report *report)
{
    int shown = shown_series(report);
    if (shown < 0)
        return;
    Matrix matrix = {.single = report_is_single(report->series[shown].run)};
    choose_missed(&matrix, report->series[shown].details);
    report_put(&report->out, "<section id=\"confusions\"><h2>Which labels are missed for which</h2>\n");
    if (matrix.count > 0) {
        draw_matrix(report, shown, &matrix);
        pairs_table(report);
    } else {
        report_put(&report->out, "<p>No label was missed.</p>\n");
    }
    report_put(&report->out, "</section>\n");
}

/* ---- Whether probabilities can be believed ---- */

/* A mark for each tenth that has decisions; rings without the calibration. */
static void draw_reliability(const Chart *chart, const ModelReliabilityBin *bins, int series, bool ring)
{
    for (int b = 0; b < MODEL_RELIABILITY_BINS; b++) {
        if (bins[b].count == 0)
            continue;
        double n = (double)bins[b].count, said = bins[b].said / n, is = (double)bins[b].right / n;
        report_putf(chart->out, "<g><title>said %.3f, is %.3f, of %lld</title>", said, is,
                    (long long)bins[b].count);
        if (ring)
            report_putf(chart->out, "<circle class=\"last\" cx=\"%.1f\" cy=\"%.1f\" r=\"7\"/>",
                        report_x(chart, said), report_y(chart, is));
        else
            report_marker(chart->out, series, report_x(chart, said), report_y(chart, is), 4.5);
        report_put(chart->out, "</g>\n");
    }
}

void report_reliability(Report *report)
{
    int shown = shown_series(report);
    const ReportDetails *details = shown < 0 ? NULL : report->series[shown].details;
    if (!details || details->num_raw == 0)
        return;
    bool single = report_is_single(report->series[shown].run), calibrated = details->num_calibrated > 0;
    char title[REPORT_NAME_SIZE + 40], caption[400];
    snprintf(title, sizeof title, "What is said and what is: %s", report->series[shown].name);
    report_put(&report->out, "<section id=\"reliability\"><h2>Whether probabilities can be believed</h2>\n"
                             "<div class=\"pair\">\n");
    Chart chart = report_chart(report, WIDTH, 340, title);
    report_axis_y(&chart, single ? "part of texts where it is right" : "part of decisions where it is true");
    report_axis_x(&chart, single ? "probability of the most probable label" : "probability of a label",
                  false);
    report_putf(chart.out, "<path class=\"whisker\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n<g class=\"s%d\">\n",
                report_x(&chart, 0), report_y(&chart, 0), report_x(&chart, 1), report_y(&chart, 1),
                shown % 7);
    if (calibrated)
        draw_reliability(&chart, details->raw, shown, true);
    draw_reliability(&chart, calibrated ? details->calibrated : details->raw, shown, false);
    report_put(chart.out, "</g>\n");
    int used =
        snprintf(caption, sizeof caption,
                 "A mark for each tenth of the probabilities on the test part; on the line what is said is "
                 "what is. Expected calibration error %.4f",
                 model_reliability_error(calibrated ? details->calibrated : details->raw));
    if (calibrated)
        snprintf(caption + used, sizeof caption - (size_t)used, "; rings: without the calibration, %.4f.",
                 model_reliability_error(details->raw));
    else
        snprintf(caption + used, sizeof caption - (size_t)used,
                 ". There was no validation part to calibrate them on.");
    report_chart_end(&chart, caption);
    report_put(&report->out, "</div></section>\n");
}

/* ---- The data ---- */

/* So many texts in per cent of their part. */
static double percent(int64_t texts, int64_t part)
{
    return 100 * (double)texts / fmax(1, (double)part);
}

static void draw_lengths(Report *report, const ReportRun *run)
{
    Chart chart = report_chart(report, WIDTH, 280, "Lengths of the texts");
    double high = 0;
    for (int i = 0; i < run->num_bins; i++) {
        high = fmax(high, percent(run->bins[i].train, run->results.train));
        high = fmax(high, percent(run->bins[i].test, run->results.test));
    }
    chart.x0 = run->bins[0].from;
    chart.x1 = run->bins[run->num_bins - 1].to + 1;
    chart.y1 = report_round_up(high);
    report_axis_y(&chart, "texts, % of their part");
    report_axis_x(&chart, "ids a text, <bos> and <eos> included", true);
    for (int i = 0; i < run->num_bins; i++) {
        const ReportBin *bin = &run->bins[i];
        double train = percent(bin->train, run->results.train);
        double test = percent(bin->test, run->results.test);
        double x = report_x(&chart, bin->from), next = report_x(&chart, bin->to + 1);
        report_putf(
            chart.out,
            "<g><title>%d to %d ids: %lld to train, %lld to test</title><rect class=\"train\" x=\"%.1f\" "
            "y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
            bin->from, bin->to, (long long)bin->train, (long long)bin->test, x + 0.5, report_y(&chart, train),
            fmax(0.5, next - x - 1), chart.bottom - report_y(&chart, train));
        report_putf(chart.out, "<path class=\"test\" d=\"M%.1f %.1fH%.1f\"/></g>\n", x,
                    report_y(&chart, test), next);
    }
    report_chart_end(&chart,
                     "Bars: the training part; strokes: the test part. Longer texts are cut, so that the "
                     "last bar also holds what was longer.");
}

static void draw_frequencies(Report *report, const ReportRun *run, const Ranked *order)
{
    int rows = run->num_classes < MOST_FREQUENT ? run->num_classes : MOST_FREQUENT;
    Chart chart = report_chart(report, WIDTH, rows * ROW + 54, "How often each label occurs");
    chart.left = 180;
    chart.right = WIDTH - 44;
    double high = 0;
    for (int row = 0; row < rows; row++) {
        const ReportLabel *label = &run->classes[order[row].label];
        high = fmax(high, percent(label->train, run->results.train));
        high = fmax(high, percent(label->test, run->results.test));
    }
    chart.x1 = report_round_up(high);
    report_axis_x(&chart, "texts that bear it, % of their part", false);
    for (int row = 0; row < rows; row++) {
        const ReportLabel *label = &run->classes[order[row].label];
        double y = chart.top + ROW * (row + 0.5);
        double train = report_x(&chart, percent(label->train, run->results.train));
        double test = report_x(&chart, percent(label->test, run->results.test));
        report_name(chart.out, chart.left - 6, y + 4, "end", label->name, 19);
        report_putf(
            chart.out,
            "<g><title>%lld to train, %lld to test</title><rect class=\"train\" x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"12\"/><path class=\"test\" d=\"M%.1f %.1fv16\"/></g>\n",
            (long long)label->train, (long long)label->test, chart.left, y - 6, train - chart.left, test,
            y - 8);
        report_label(chart.out, WIDTH - 4, y + 4, "end", "tick", "%lld",
                     (long long)(label->train + label->test));
    }
    char caption[200];
    int used = snprintf(caption, sizeof caption,
                        "Bars: the training part; strokes: the test part; at the right: texts in all.");
    if (rows < run->num_classes)
        snprintf(caption + used, sizeof caption - (size_t)used, " The %d most frequent of %d labels.", rows,
                 run->num_classes);
    report_chart_end(&chart, caption);
}

static void draw_data(Report *report, const ReportRun *run)
{
    Ranked *order = reel_mem_alloc(((size_t)run->num_classes + 1) * sizeof *order);
    if (!order) {
        report->out.failed = true;
        return;
    }
    for (int k = 0; k < run->num_classes; k++)
        order[k] = (Ranked){.label = k, .key = (double)run->classes[k].train + (double)run->classes[k].test};
    qsort(order, (size_t)run->num_classes, sizeof *order, higher_first);
    report_put(&report->out, "<div class=\"pair\">\n");
    if (run->num_bins > 0)
        draw_lengths(report, run);
    if (run->num_classes > 0)
        draw_frequencies(report, run, order);
    report_put(&report->out, "</div>\n");
    reel_mem_free(order);
}

/* Whether an earlier run is on the same data and has been shown. */
static bool shown_before(const Report *report, int run)
{
    for (int i = 0; i < run; i++)
        if (report->runs[i].num_classes > 0 &&
            report_same_data(report->runs[i].details_hash, report->runs[run].details_hash))
            return true;
    return false;
}

void report_data_figures(Report *report)
{
    bool any = false;
    for (int i = 0; i < report->num_runs; i++)
        any = any || report->runs[i].num_classes > 0;
    if (!any)
        return;
    report_put(&report->out, "<section id=\"data\"><h2>The data</h2>\n");
    for (int i = 0; i < report->num_runs; i++) {
        const ReportRun *run = &report->runs[i];
        if (run->num_classes < 1 || shown_before(report, i))
            continue;
        if (report->num_runs > 1 && run->results.data)
            report_around(&report->out, "<p class=\"note\">", run->results.data, "</p>\n");
        draw_data(report, run);
    }
    report_put(&report->out, "</section>\n");
}
