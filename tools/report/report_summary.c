/* The paragraph that compares the models, and says how far the comparison carries. */
#include "tools/report/report_internal.h"

#include <math.h>

static void name(Report *report, int series)
{
    report_around(&report->out, "<b>", report->series[series].name, "</b>");
}

static void value(Report *report, const ModelSpread *spread)
{
    report_putf(&report->out, "%.3f", spread->mean);
    if (spread->n > 1)
        report_putf(&report->out, "\xC2\xA0\xC2\xB1\xC2\xA0%.3f", spread->sd);
}

/* Whether the mean of `a` is above that of `b` by more than two standard errors of the difference. Without at
 * least two seeds of each there is nothing to tell it by. */
static bool told_apart(const ReportSeries *a, const ReportSeries *b)
{
    const ModelSpread *x = &a->model->macro, *y = &b->model->macro;
    if (x->n < 2 || y->n < 2)
        return false;
    return x->mean - y->mean > 2 * sqrt(x->sd * x->sd / x->n + y->sd * y->sd / y->n);
}

static int runner_up(const Report *report)
{
    int second = -1;
    for (int i = 0; i < report->count; i++)
        if (i != report->best &&
            (second < 0 || report->series[i].model->macro.mean > report->series[second].model->macro.mean))
            second = i;
    return second;
}

static void ranking(Report *report)
{
    ReportOut *out = &report->out;
    int second = runner_up(report);
    name(report, report->best);
    report_put(out,
               second < 0 ? " reaches a macro F1 of " : " reaches the highest macro F1 on the test part, ");
    value(report, &report->series[report->best].model->macro);
    if (report->max_seeds > 1)
        report_put(out, " (mean and standard deviation over the seeds)");
    if (second >= 0) {
        report_put(out, "; next is ");
        name(report, second);
        report_put(out, " with ");
        value(report, &report->series[second].model->macro);
    }
    report_put(out, ". ");
}

/* Where there is no common measure: the best of each run. */
static void run_by_run(Report *report)
{
    for (int r = 0; r < report->num_runs; r++) {
        int best = -1;
        for (int i = 0; i < report->count; i++)
            if (report->series[i].run == &report->runs[r] &&
                (best < 0 || report->series[i].model->macro.mean > report->series[best].model->macro.mean))
                best = i;
        if (best < 0)
            continue;
        report_put(&report->out, r ? "; " : "The best macro F1 of each: ");
        name(report, best);
        report_put(&report->out, " ");
        value(report, &report->series[best].model->macro);
    }
    report_put(&report->out, ". ");
}

static void certainty(Report *report)
{
    ReportOut *out = &report->out;
    const ReportSeries *best = &report->series[report->best];
    if (report->count < 2)
        return;
    if (report->max_seeds < 2) {
        report_put(out,
                   "Only one seed of each model ran, so the spread is not known: a distance of one or two "
                   "hundredths can be the seed's alone, and the order should not be taken for a ranking "
                   "before <code>--seeds 5</code> has confirmed it. ");
        return;
    }
    int close = 0, single = 0;
    for (int i = 0; i < report->count; i++) {
        single += report->series[i].model->macro.n < 2;
        close += i != report->best && !told_apart(best, &report->series[i]);
    }
    if (single > 0) {
        report_put(out, "Not every model ran from several seeds, so the spread of some is not known and the "
                        "order should not be taken for a ranking. ");
        return;
    }
    if (close == 0) {
        report_put(out,
                   "Its distance to every other model is more than two standard errors of the difference, "
                   "more than the seeds explain. ");
        return;
    }
    report_put(out, "The seeds do not tell it apart from ");
    for (int i = 0, left = close; i < report->count; i++)
        if (i != report->best && !told_apart(best, &report->series[i])) {
            name(report, i);
            left--;
            report_put(out, left > 1 ? ", " : left == 1 ? " and " : "");
        }
    report_put(out, ": there the distance is less than two standard errors of the difference. ");
}

static void optimism(Report *report)
{
    ReportOut *out = &report->out;
    int best_last = 0, fallen = 0;
    for (int i = 0; i < report->count; i++) {
        if (report->series[i].model->last.mean > report->series[best_last].model->last.mean)
            best_last = i;
        fallen += report->series[i].model->best.mean - report->series[i].model->last.mean > 0.02;
    }
    report_put(out,
               "These are maxima over epochs taken on the test part itself, as the homework asks, and so "
               "flatter every model a little; after the last epoch ");
    name(report, best_last);
    report_put(out, best_last == report->best ? " stands at " : " is ahead with ");
    value(report, &report->series[best_last].model->last);
    report_put(out, ". ");
    if (fallen > 0)
        report_putf(out, "%d of %d lost more than 0.02 between the best epoch and the last. ", fallen,
                    report->count);
}

/* What a validation part has chosen is the fairer measure. */
static void validation(Report *report)
{
    int tuned = 0, best = 0;
    for (int i = 0; i < report->count; i++) {
        tuned += report->series[i].model->tuned.n > 0;
        if (report->series[i].model->best.mean > report->series[best].model->best.mean)
            best = i;
    }
    if (tuned < report->count) {
        optimism(report);
        if (tuned > 0)
            report_putf(
                &report->out,
                "For %d of %d models a validation part chose epoch and thresholds, and the test part had no "
                "say: they are at a disadvantage here. ",
                tuned, report->count);
        return;
    }
    report_put(
        &report->out,
        "Epoch and thresholds were chosen by a validation part, in which the test part has no say; the "
        "homework's maximum over epochs on the test part itself, at threshold 0.5, is ");
    value(report, &report->series[best].model->best);
    if (report->count > 1) {
        report_put(&report->out, ", of ");
        name(report, best);
    }
    report_put(&report->out, ". ");
}

static void costs(Report *report)
{
    ReportOut *out = &report->out;
    const ReportSeries *best = &report->series[report->best];
    int smallest = 0;
    char number[32], time[32];
    for (int i = 0; i < report->count; i++)
        if (report->series[i].model->params < report->series[smallest].model->params)
            smallest = i;
    const ReportSeries *small = &report->series[smallest];
    if (smallest != report->best && small->model->params > 0) {
        name(report, report->best);
        report_putf(out, " has %s parameters, ", report_short(number, (double)best->model->params));
        double ratio = (double)best->model->params / (double)small->model->params;
        if (ratio < 1.15)
            report_putf(out, "only %.0f\xC2\xA0%% more than ", 100 * (ratio - 1));
        else
            report_putf(out, "%.*f times as many as ", ratio < 9.95, ratio);
        name(report, smallest);
        report_put(out, ", which reaches ");
        value(report, &small->model->macro);
        report_putf(out, " at %s an epoch ", report_duration(time, small->epoch_seconds));
        report_putf(out, "against %s. ", report_duration(time, best->epoch_seconds));
    }
}

static void labels(Report *report)
{
    const ReportSeries *best = &report->series[report->best];
    if (!best->details || best->details->num_scores < 1)
        return;
    int rare = 0, never = 0, count = best->details->num_scores;
    for (int k = 0; k < count; k++) {
        rare += best->run->classes[k].test < 10;
        never += best->details->scores[k].hits == 0;
    }
    if (rare > 0)
        report_putf(
            &report->out,
            "%d of the %d labels stand on fewer than 10 test texts each, yet count as much in macro F1 "
            "as the frequent ones: their part of the score is mostly luck. ",
            rare, count);
    if (never > 0)
        report_putf(&report->out, "%d %s never found by the best model. ", never,
                    never == 1 ? "label is" : "labels are");
}

static void reservations(Report *report)
{
    ReportOut *out = &report->out;
    int interrupted = 0;
    for (int i = 0; i < report->count; i++)
        interrupted += report->series[i].interrupted;
    if (interrupted > 0)
        report_putf(out,
                    "<strong>%d of %d models %s interrupted</strong> and trained for fewer epochs than asked "
                    "for. ",
                    interrupted, report->count, interrupted == 1 ? "was" : "were");
    if (!report->same_data)
        report_put(out, "<strong>The runs are on different data</strong> (their hashes differ): their scores "
                        "stand side by side, but do not compare. ");
}

void report_summary(Report *report)
{
    report_put(&report->out, "<section id=\"summary\"><h2>In short</h2>\n<p>");
    reservations(report);
    if (!report->same_data) {
        run_by_run(report);
    } else if (!report->tests) {
        report_put(&report->out,
                   "There is no test part, or no epoch was finished: nothing is said of quality.");
    } else if (report->series[report->best].model->best.n > 0) {
        ranking(report);
        certainty(report);
        validation(report);
        costs(report);
        labels(report);
    }
    report_put(&report->out, "</p></section>\n");
}
