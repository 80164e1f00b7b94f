/* The page: head, what was run, the table; the figures are in files of their own. */
#include "tools/report/report_internal.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Series ---- */

static double median_epoch_seconds(const ModelResult *model)
{
    int count = 0;
    size_t all = 0;
    for (int s = 0; s < model->num_seeds; s++)
        all += (size_t)model->seeds[s].count;
    double *values = reel_mem_alloc(all * sizeof *values);
    for (int s = 0; values && s < model->num_seeds; s++)
        for (int i = 0; i < model->seeds[s].count; i++)
            if (isfinite(model->seeds[s].epochs[i].seconds))
                values[count++] = model->seeds[s].epochs[i].seconds;
    double median = count > 0 ? model_spread_median(values, count) : 0;
    reel_mem_free(values);
    return median;
}

/* NULL where there are none. */
static const ReportDetails *details_of(const ReportRun *run, const char *model)
{
    for (int i = 0; i < run->num_details; i++)
        if (strcmp(run->details[i].name, model) == 0)
            return &run->details[i];
    return NULL;
}

static void make_series(ReportSeries *series, const ReportRun *run, const ModelResult *model,
                        bool several_runs)
{
    *series = (ReportSeries){.run = run,
                             .model = model,
                             .details = details_of(run, model->name),
                             .epoch_seconds = median_epoch_seconds(model)};
    if (several_runs)
        snprintf(series->name, sizeof series->name, "%s/%s", run->label, model->name);
    else
        snprintf(series->name, sizeof series->name, "%s", model->name);
    if (series->epoch_seconds > 0)
        series->ids_per_second = (double)run->train_ids / series->epoch_seconds;
    for (int s = 0; s < model->num_seeds; s++)
        series->interrupted = series->interrupted || model->seeds[s].interrupted;
}

static bool on_same_data(const ReportRun *runs, int count)
{
    for (int i = 1; i < count; i++)
        if (!report_same_data(runs[0].results.data_hash, runs[i].results.data_hash))
            return false;
    return true;
}

static ReelStatus init(Report *report, const ReportRun *runs, int num_runs)
{
    int count = 0;
    for (int i = 0; i < num_runs; i++)
        count += runs[i].results.num_models;
    *report = (Report){.runs = runs, .num_runs = num_runs, .same_data = on_same_data(runs, num_runs)};
    report->series = reel_mem_calloc((size_t)count, sizeof *report->series);
    if (!report->series)
        return reel_status_no_memory((size_t)count * sizeof *report->series, "the report");
    for (int i = 0; i < num_runs; i++)
        for (int m = 0; m < runs[i].results.num_models; m++) {
            const ModelResult *model = &runs[i].results.models[m];
            make_series(&report->series[report->count], &runs[i], model, num_runs > 1);
            if (model->macro.mean > report->series[report->best].model->macro.mean)
                report->best = report->count;
            if (model->best.n > report->max_seeds)
                report->max_seeds = model->best.n;
            report->tests = report->tests || model->best.n > 0;
            report->tuned = report->tuned || model->tuned.n > 0;
            report->single = report->single || report_is_single(&runs[i]);
            report->count++;
        }
    return reel_status_ok();
}

static void free_report(Report *report)
{
    reel_mem_free(report->series);
    reel_bytes_free(&report->out.bytes);
}

/* ---- What was run ---- */

static void fact(ReportOut *out, const char *what, const char *value)
{
    report_putf(out, "<div><dt>%s</dt>", what);
    report_around(out, "<dd>", value, "</dd></div>\n");
}

static void count_fact(ReportOut *out, const char *what, int64_t value)
{
    char text[32];
    fact(out, what, report_count(text, value));
}

static void run_facts(ReportOut *out, const ReportRun *of)
{
    const ModelResults *run = &of->results;
    char text[100], train[32], valid[32], test[32];
    report_put(out, "<dl>\n");
    fact(out, "data", run->data ? run->data : "?");
    fact(out, "hash (CRC-32)", run->data_hash ? run->data_hash : "?");
    count_fact(out, "rows", run->rows);
    report_count(train, run->train);
    report_count(test, run->test);
    if (run->valid > 0)
        snprintf(text, sizeof text, "%s / %s / %s", train, report_count(valid, run->valid), test);
    else
        snprintf(text, sizeof text, "%s / %s", train, test);
    fact(out, run->valid > 0 ? "to train / to validate / to test" : "to train / to test", text);
    count_fact(out, "labels", run->labels);
    fact(out, "labels a text", report_is_single(of) ? "exactly one" : "any number");
    count_fact(out, "vocabulary", run->vocab);
    count_fact(out, "ids a text, at most", run->max_len);
    count_fact(out, "texts a batch", run->batch);
    snprintf(text, sizeof text, "%g", run->lr);
    fact(out, "learning rate", text);
    snprintf(text, sizeof text, "%lld", (long long)run->seed);
    fact(out, "first seed", text);
    snprintf(text, sizeof text, "%lld / %lld", (long long)run->threads, (long long)run->shards);
    fact(out, "threads / shards", text);
    fact(out, "last state", run->notebook ? "after the padding (notebook)" : "at the last word");
    report_put(out, "</dl>\n");
}

static void what_was_run(Report *report)
{
    ReportOut *out = &report->out;
    report_put(out, "<section id=\"run\"><h2>What was run</h2>\n");
    for (int i = 0; i < report->num_runs; i++) {
        if (report->num_runs > 1)
            report_around(out, "<h3>", report->runs[i].label, "</h3>\n");
        run_facts(out, &report->runs[i]);
    }
    report_put(out, "</section>\n");
}

/* ---- The table ---- */

static void spread_cell(ReportOut *out, const ModelSpread *spread)
{
    if (spread->n < 1)
        report_put(out, "<td>\xE2\x80\x93</td>");
    else if (spread->n == 1)
        report_putf(out, "<td>%.4f</td>", spread->mean);
    else
        report_putf(out, "<td>%.3f\xC2\xA0\xC2\xB1\xC2\xA0%.3f</td>", spread->mean, spread->sd);
}

static int delivered_epoch(const ModelRunResult *run)
{
    return model_run_delivered(run).epoch;
}

static int best_epoch(const ModelRunResult *run)
{
    return run->best_epoch;
}

/* Epochs of the seeds: "12", or "9 to 14". */
static void epoch_cell(ReportOut *out, const ModelResult *model, int (*epoch_of)(const ModelRunResult *run))
{
    int low = 0, high = 0;
    for (int s = 0; s < model->num_seeds; s++) {
        int epoch = epoch_of(&model->seeds[s]);
        low = s == 0 || epoch < low ? epoch : low;
        high = s == 0 || epoch > high ? epoch : high;
    }
    if (low == high)
        report_putf(out, "<td>%d</td>", low);
    else
        report_putf(out, "<td>%d to %d</td>", low, high);
}

static double total_seconds(const ModelResult *model)
{
    double seconds = 0;
    for (int s = 0; s < model->num_seeds; s++)
        seconds += model->seeds[s].seconds;
    return seconds;
}

static void table_row(Report *report, int i)
{
    ReportOut *out = &report->out;
    const ReportSeries *series = &report->series[i];
    const ModelResult *model = series->model;
    char text[32];
    report_putf(out, "<tr%s><th scope=\"row\">", i == report->best ? " class=\"top\"" : "");
    report_text(out, series->name);
    report_put(out, series->interrupted ? " (interrupted)</th>" : "</th>");
    report_putf(out, "<td>%s</td>", report_count(text, model->params));
    if (report->max_seeds > 1)
        report_putf(out, "<td>%d</td>", model->best.n);
    epoch_cell(out, model, delivered_epoch);
    spread_cell(out, &model->macro);
    spread_cell(out, &model->micro);
    if (report->single)
        spread_cell(out, &model->accuracy);
    spread_cell(out, &model->best);
    epoch_cell(out, model, best_epoch);
    spread_cell(out, &model->last);
    report_putf(out, "<td>%s</td>", report_duration(text, series->epoch_seconds));
    report_putf(out, "<td>%s</td>", report_duration(text, total_seconds(model)));
    if (model->first.peak_rss_mb > 0 && isfinite(model->first.peak_rss_mb))
        report_putf(out, "<td>%.0f</td></tr>\n", model->first.peak_rss_mb);
    else
        report_put(out, "<td>\xE2\x80\x93</td></tr>\n");
}

static void table(Report *report)
{
    ReportOut *out = &report->out;
    const char *heading = report->count > 1 ? "The models compared" : "The model";
    report_putf(out,
                "<section id=\"table\"><h2>%s</h2>\n<div class=\"scroll\" tabindex=\"0\" "
                "role=\"region\" aria-label=\"%s\"><table><thead><tr>"
                "<th scope=\"col\">model</th><th scope=\"col\">parameters</th>",
                heading, heading);
    if (report->max_seeds > 1)
        report_put(out, "<th scope=\"col\">seeds</th>");
    report_put(out, "<th scope=\"col\">epoch</th><th scope=\"col\">macro F1</th>"
                    "<th scope=\"col\">micro F1</th>");
    if (report->single)
        report_put(out, "<th scope=\"col\">accuracy</th>");
    report_put(out, "<th scope=\"col\">best macro F1</th><th scope=\"col\">in epoch</th>"
                    "<th scope=\"col\">last macro F1</th>"
                    "<th scope=\"col\">an epoch</th><th scope=\"col\">in all</th>"
                    "<th scope=\"col\">peak MB</th></tr></thead><tbody>\n");
    for (int i = 0; i < report->count; i++)
        table_row(report, i);
    report_put(out, "</tbody></table></div>\n<p class=\"note\">");
    if (report->max_seeds > 1)
        report_put(out, "Mean \xC2\xB1 standard deviation over the seeds. ");
    if (report->tests)
        report_put(out,
                   report->tuned
                       ? "Epoch, macro and micro F1 are those of the model that is delivered: on the test "
                         "part, with the epoch and the thresholds that the validation part chose, in which "
                         "the test part has no say. "
                       : "Epoch, macro and micro F1 are those of the model that is delivered: on the test "
                         "part, which has chosen the epoch. ");
    report_put(out, report->tests
                        ? "Best: the maximum over epochs on the test part at threshold 0.5, as in the "
                          "homework; last: after the last epoch.</p>\n"
                        : "There is no test part, so nothing is said of quality.</p>\n");
    report_put(out, "</section>\n");
}

/* ---- The page ---- */

static void title(Report *report)
{
    ReportOut *out = &report->out;
    if (report->num_runs > 1)
        report_putf(out, "%d runs compared", report->num_runs);
    else
        report_putf(out, "%d model%s on ", report->count, report->count > 1 ? "s" : "");
    if (report->num_runs == 1) {
        const char *data = report->runs[0].results.data ? report->runs[0].results.data : "?";
        const char *slash = strrchr(data, '/');
        report_text(out, slash && slash[1] ? slash + 1 : data);
    }
}

static void head(Report *report)
{
    ReportOut *out = &report->out;
    report_put(out,
               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
               "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
               "'unsafe-inline'; img-src data:\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n<title>Reel: ");
    title(report);
    report_put(out, "</title>\n<style>\n");
    report_style(out);
    report_put(out, "</style>\n</head>\n<body>\n<header><h1>");
    title(report);
    report_put(out, "</h1>\n<nav aria-label=\"Sections\"><ul>\n");
}

static void page(Report *report)
{
    static const struct {
        const char *id, *name;
        void (*write)(Report *report);
    } sections[] = {
        {"summary", "In short", report_summary},
        {"table", "Table", table},
        {"curves", "Curves", report_curves},
        {"costs", "Quality, size and speed", report_costs},
        {"labels", "Labels", report_classes},
        {"confusions", "Confusions", report_confusions},
        {"reliability", "Probabilities", report_reliability},
        {"attention", "Attention", report_attention},
        {"data", "Data", report_data_figures},
        {"run", "Run", what_was_run},
    };
    enum { SECTIONS = sizeof sections / sizeof sections[0] };
    /* The sections first, to know which there are. */
    Report body = *report;
    body.out = (ReportOut){0};
    size_t sizes[SECTIONS];
    for (int i = 0; i < SECTIONS; i++) {
        if (sections[i].write == report_classes) /* on a wide page beside the confusions */
            report_put(&body.out, "<div class=\"pair\">\n");
        size_t before = body.out.bytes.size;
        sections[i].write(&body);
        sizes[i] = body.out.bytes.size - before;
        if (sections[i].write == report_confusions)
            report_put(&body.out, "</div>\n");
    }
    head(report);
    for (int i = 0; i < SECTIONS; i++)
        if (sizes[i] > 0)
            report_putf(&report->out, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].name);
    report_put(&report->out, "</ul></nav></header>\n<main>\n");
    report_put_bytes(&report->out, body.out.bytes.data, body.out.bytes.size);
    report_put(&report->out, "</main>\n<footer><p>Written by Reel's train_zoo; what is shown is in "
                             "<code>results.json</code> and <code>report.json</code> beside this page. "
                             "<code>train_zoo --compare FOLDER...</code> makes one page of several runs.</p>"
                             "</footer>\n</body>\n</html>\n");
    report->out.failed = report->out.failed || body.out.failed;
    report->figures = body.figures;
    reel_bytes_free(&body.out.bytes);
}

/* ---- Runs in, page out ---- */

ReelStatus report_write(const ReportRun *runs, int count, const char *path)
{
    Report report;
    ReelStatus status = init(&report, runs, count);
    if (reel_status_is_ok(&status))
        page(&report);
    if (report.out.failed)
        status = reel_status_no_memory(report.out.bytes.capacity, path);
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_put(path, report.out.bytes.data, report.out.bytes.size);
    free_report(&report);
    return status;
}

static void print_spread(const ModelSpread *spread, bool seeds)
{
    if (spread->n == 0)
        printf(" %*s", seeds ? 17 : 9, "-");
    else if (seeds && spread->n > 1)
        printf(" %7.4f +- %.4f", spread->mean, spread->sd);
    else if (seeds)
        printf(" %7.4f %9s", spread->mean, "");
    else
        printf(" %9.4f", spread->mean);
}

static void print_table(const Report *report)
{
    int width = 14;
    bool seeds = report->max_seeds > 1;
    for (int i = 0; i < report->count; i++)
        width = (int)strlen(report->series[i].name) > width ? (int)strlen(report->series[i].name) : width;
    printf("%-*s %11s %5s %*s %*s %*s %9s\n", width, "model", "parameters", "seeds", seeds ? 17 : 9,
           "macro F1", seeds ? 17 : 9, "micro F1", seeds ? 17 : 9, "best F1*", "s/epoch");
    for (int i = 0; i < report->count; i++) {
        const ReportSeries *series = &report->series[i];
        printf("%-*s %11lld %5d", width, series->name, (long long)series->model->params,
               report->tests ? series->model->best.n : series->model->num_seeds);
        print_spread(&series->model->macro, seeds);
        print_spread(&series->model->micro, seeds);
        print_spread(&series->model->best, seeds);
        printf(" %9.2f%s\n", series->epoch_seconds, series->interrupted ? "  (interrupted)" : "");
    }
    printf("* macro F1 at 0.5, the homework's maximum over epochs on the test part; before it, the model in "
           "NAME.best.npz%s\n",
           seeds ? "; mean +- standard deviation over the seeds" : "");
    if (!report->same_data)
        printf("the runs are on different data: their scores do not compare\n");
}

ReelStatus report_print(const ReportRun *runs, int count)
{
    Report report;
    ReelStatus status = init(&report, runs, count);
    if (reel_status_is_ok(&status))
        print_table(&report);
    free_report(&report);
    return status;
}
