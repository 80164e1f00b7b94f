/* Test texts as the models read them: words shaded by attention, predicted labels against the true ones. */
#include "tools/report/report_internal.h"

#include <math.h>

enum { UNDERLINED = 3, EVEN_SHARES = 4 };

/* Signs and words tell them apart, not only colours. */
static void chip(ReportOut *out, const char *kind, const char *sign, const char *says, const char *label)
{
    report_putf(out, "<li class=\"%s\"><span aria-hidden=\"true\">%s </span>", kind, sign);
    report_text(out, label);
    report_putf(out, "<span class=\"says\"> (%s)</span></li>", says);
}

static void labels(ReportOut *out, const ReportRun *run, const ReportText *text, const ReportReading *reading)
{
    report_put(out, "<ul class=\"chips\">");
    for (int i = 0; i < text->num_labels; i++) {
        const char *name = run->classes[text->labels[i]].name;
        if (report_contains(reading->predicted, reading->num_predicted, text->labels[i]))
            chip(out, "hit", "\xE2\x9C\x93", "right", name);
        else
            chip(out, "miss", "\xE2\x88\x92", "missed", name);
    }
    for (int i = 0; i < reading->num_predicted; i++)
        if (!report_contains(text->labels, text->num_labels, reading->predicted[i]))
            chip(out, "wrong", "+", "wrong", run->classes[reading->predicted[i]].name);
    report_put(out, "</ul>\n");
}

/* Whether fewer than UNDERLINED words weigh more. */
static bool is_heavy(const ReportReading *reading, int word)
{
    int heavier = 0;
    for (int i = 0; i < reading->num_weights; i++)
        heavier += reading->weights[i] > reading->weights[word] ||
                   (reading->weights[i] == reading->weights[word] && i < word);
    return heavier < UNDERLINED;
}

static void words(ReportOut *out, const ReportText *text, const ReportReading *reading)
{
    double heaviest = 0, even = 1.0 / text->num_words;
    for (int i = 0; i < reading->num_weights; i++)
        heaviest = fmax(heaviest, reading->weights[i]);
    double full = fmax(heaviest, EVEN_SHARES * even); /* so that even attention looks pale */
    report_put(out, "<p class=\"words\">");
    for (int i = 0; i < text->num_words; i++) {
        double weight = reading->weights[i], share = weight / full;
        report_putf(out, "<span class=\"w%s\" style=\"--a:%.2f\" title=\"%.1f %%\">",
                    is_heavy(reading, i) ? " h" : "", isfinite(share) && share > 0 ? share : 0, 100 * weight);
        report_text(out, text->words[i]);
        report_put(out, "</span> ");
    }
    report_putf(out, "<span class=\"says\">heaviest: %.1f&#160;%%</span></p>\n", 100 * heaviest);
}

static void one_text(Report *report, const ReportRun *run, int number)
{
    ReportOut *out = &report->out;
    const ReportText *text = &run->texts[number];
    report_putf(out, "<article><h3>Test text in row %d</h3>\n", text->row + 1);
    for (int i = 0; i < report->count; i++) {
        const ReportSeries *series = &report->series[i];
        if (series->run != run || !series->details || !series->details->has_attention)
            continue;
        const ReportReading *reading = &series->details->readings[number];
        if (reading->num_weights != text->num_words)
            continue;
        report_around(out, "<h4>", series->name, "</h4>\n");
        words(out, text, reading);
        labels(out, run, text, reading);
    }
    report_put(out, "</article>\n");
}

static bool has_attention(const Report *report, const ReportRun *run)
{
    for (int i = 0; i < report->count; i++)
        if (report->series[i].run == run && report->series[i].details &&
            report->series[i].details->has_attention)
            return run->num_texts > 0;
    return false;
}

void report_attention(Report *report)
{
    ReportOut *out = &report->out;
    bool any = false;
    for (int r = 0; r < report->num_runs; r++)
        any = any || has_attention(report, &report->runs[r]);
    if (!any)
        return;
    report_put(out,
               "<section id=\"attention\"><h2>Where attention looks</h2>\n"
               "<p>Test texts at even distances through the test part, not chosen by result, as the "
               "delivered models read them. The stronger the shade, the larger its weight in the last step's "
               "attention; the full shade is the heaviest word's, or four even shares where no word has as "
               "much. The "
               "three heaviest are underlined. "
               "Labels: <span class=\"chip hit\">\xE2\x9C\x93 right</span> "
               "<span class=\"chip miss\">\xE2\x88\x92 true but missed</span> "
               "<span class=\"chip wrong\">+ predicted but not true</span>. A weight says where a model "
               "looked, not why it decided.</p>\n");
    for (int r = 0; r < report->num_runs; r++) {
        const ReportRun *run = &report->runs[r];
        for (int i = 0; has_attention(report, run) && i < run->num_texts; i++)
            one_text(report, run, i);
    }
    report_put(out, "</section>\n");
}
