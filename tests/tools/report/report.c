/* report.html without a browser: it is well formed, holds what it should, and nothing of the data gets out of
 * its place; what is broken is refused. */
#include "tools/report/report.h"
#include "tools/report/report_internal.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem_internal.h"
#include "tests/report_support.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *folder;
static char page_path[600];
static char *page;

static void setup(void)
{
    folder = shell_folder();
    snprintf(page_path, sizeof page_path, "%s/report.html", folder);
    page = NULL;
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    reel_mem_free(page);
    shell_remove_folder(folder);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static ReelStatus write_page(const char *const *folders, int count)
{
    ReportRun runs[2];
    ReelStatus status = report_read(runs, folders, count);
    if (reel_status_is_ok(&status))
        status = report_write(runs, count, page_path);
    report_free(runs, count);
    return status;
}

static const char *make_page(int seeds, double gap, int details)
{
    size_t size;
    report_support_run(folder, seeds, gap, details);
    ck_assert_ok(write_page(&folder, 1));
    reel_mem_free(page);
    ck_assert_ok(reel_text_file_read(page_path, &page, &size));
    ck_assert_uint_eq(strlen(page), size);
    return page;
}

/* ---- Form ---- */

enum { DEEPEST = 64, NAME = 32 };

/* Reads a quoted attribute; returns what follows it. */
static const char *read_attribute(const char *p, const char *end)
{
    const char *equals = memchr(p, '=', (size_t)(end - p));
    ck_assert_msg(equals != NULL && equals[1] == '"', "an attribute without quotes at %.60s", p);
    const char *close = memchr(equals + 2, '"', (size_t)(end - equals - 2));
    ck_assert_msg(close != NULL && memchr(equals, '<', (size_t)(close - equals)) == NULL,
                  "an attribute that does not end at %.60s", p);
    return close + 1;
}

/* Checks an open or close tag between p and end, against the stack of open elements. */
static void read_tag(const char *p, const char *end, char stack[DEEPEST][NAME], int *depth)
{
    char name[NAME];
    bool closing = *p == '/', alone = end[-1] == '/';
    p += closing;
    size_t length = strcspn(p, " />\n");
    ck_assert_uint_lt(length, NAME);
    memcpy(name, p, length);
    name[length] = '\0';
    if (closing) {
        ck_assert_int_gt(*depth, 0);
        ck_assert_msg(strcmp(stack[*depth - 1], name) == 0, "</%s> where <%s> is open", name,
                      stack[*depth - 1]);
        --*depth;
        return;
    }
    for (p += length; p < end - alone && *p == ' ';)
        if (*++p != '/' && p < end - alone)
            p = read_attribute(p, end);
    ck_assert_msg(p == end - alone, "<%s>: something odd behind the attributes: %.40s", name, p);
    if (!alone) {
        ck_assert_int_lt(*depth, DEEPEST);
        strcpy(stack[(*depth)++], name);
    }
}

static void check_text(const char *p, const char *end)
{
    for (; p < end; p++) {
        ck_assert_msg(*p != '>', "a bare > at %.40s", p);
        if (*p == '&')
            ck_assert_msg(strcspn(p, ";") < 8 && strcspn(p, " <\n") > strcspn(p, ";"), "a bare & at %.40s",
                          p);
    }
}

/* Every element is closed, in order; attributes are quoted; text is escaped. */
static void check_well_formed(const char *text)
{
    char stack[DEEPEST][NAME];
    int depth = 0;
    const char *p = strstr(text, "<html");
    ck_assert_ptr_nonnull(p);
    while (*p) {
        const char *next = p + strcspn(p, "<");
        if (depth == 0 || strcmp(stack[depth - 1], "style") != 0)
            check_text(p, next);
        if (!*next)
            break;
        const char *end = strchr(next, '>');
        ck_assert_ptr_nonnull(end);
        read_tag(next + 1, end, stack, &depth);
        p = end + 1;
    }
    ck_assert_int_eq(depth, 0);
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        count++;
    return count;
}

static void check_self_contained(const char *text)
{
    static const char *const forbidden[] = {"<script", "<img",    "<iframe", "<object", "<embed",     "src=",
                                            "url(",    "@import", "onload",  "onclick", "javascript:"};
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        ck_assert_msg(!strstr(text, forbidden[i]), "the page has %s", forbidden[i]);
    /* The only address is the name of SVG. */
    ck_assert_int_eq(count_of(text, "://"), count_of(text, "xmlns=\"http://www.w3.org/2000/svg\""));
    for (const char *p = text; (p = strstr(p, "href=\"")); p++)
        ck_assert_msg(p[6] == '#' || strncmp(p + 6, "data:,", 6) == 0, "%.60s", p);
}

static void check_no_odd_numbers(const char *text)
{
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_null(strstr(text, "\"inf"));
    ck_assert_ptr_null(strstr(text, ">-0.0"));
}

static void check_page(const char *text)
{
    check_well_formed(text);
    check_self_contained(text);
    check_no_odd_numbers(text);
    ck_assert_ptr_null(strstr(text, REPORT_SUPPORT_EVIL));
    int figures = count_of(text, "<figure>");
    ck_assert_int_eq(count_of(text, "role=\"img\""), figures);
    ck_assert_int_eq(count_of(text, "-title\">"), figures);
    ck_assert_int_eq(count_of(text, "<figcaption>"), figures);
}

static void check_sections(const char *text, const char *const *names, int there)
{
    for (; *names; names++) {
        char section[60], link[60];
        snprintf(section, sizeof section, "<section id=\"%s\">", *names);
        snprintf(link, sizeof link, "href=\"#%s\"", *names);
        ck_assert_msg(count_of(text, section) == there, "section %s", *names);
        ck_assert_msg(count_of(text, link) == there, "link to %s", *names);
    }
}

static const char *const always[] = {"summary", "table", "curves", "costs", "run", NULL};
static const char *const with_details[] = {"labels", "confusions", "attention", "data", NULL};

START_TEST(a_page_has_all_sections_and_figures)
{
    const char *text = make_page(3, 0.002, 1);
    check_page(text);
    check_sections(text, always, 1);
    check_sections(text, with_details, 1);
    ck_assert_int_eq(count_of(text, "<figure>"), 10);
    ck_assert_int_eq(count_of(text, "class=\"best\""), 2 * 3);
    ck_assert_int_eq(count_of(text, "class=\"band\""), 2 * 3);
    ck_assert_ptr_nonnull(strstr(text, "prefers-color-scheme:dark"));
    ck_assert_ptr_nonnull(strstr(text, "@media print"));
    ck_assert_ptr_nonnull(strstr(text, "name=\"viewport\""));
    ck_assert_ptr_nonnull(
        strstr(text, "&lt;/title&gt;&lt;script&gt;alert(&quot;1&quot; &amp;&amp; &#39;2&#39;)"));
    ck_assert_ptr_nonnull(strstr(text, "&lt;b&gt;&amp;amp;"));
}
END_TEST

START_TEST(a_page_does_without_details)
{
    const char *text = make_page(0, 0.1, 0);
    check_page(text);
    check_sections(text, always, 1);
    check_sections(text, with_details, 0);
    ck_assert_int_eq(count_of(text, "<figure>"), 6);
    ck_assert_int_eq(count_of(text, "class=\"band\""), 0);
}
END_TEST

START_TEST(attention_is_shown_word_by_word_with_the_labels)
{
    const char *text = make_page(1, 0.1, 1);
    ck_assert_int_eq(count_of(text, "<article>"), 2);
    ck_assert_int_eq(count_of(text, "<span class=\"w"), 2 * 6);
    ck_assert_int_eq(count_of(text, "<span class=\"w h\""), 2 * 3);
    /* Four even shares, 4 / 6, are more than the heaviest word's 0.5. */
    ck_assert_ptr_nonnull(strstr(text, "style=\"--a:0.75\" title=\"50.0 %\">editor</span>"));
    ck_assert_ptr_nonnull(strstr(text, ">&amp;colour</span>"));
    ck_assert_int_eq(count_of(text, "<li class=\"hit\">"), 2);   /* label 1 */
    ck_assert_int_eq(count_of(text, "<li class=\"miss\">"), 2);  /* label 0 */
    ck_assert_int_eq(count_of(text, "<li class=\"wrong\">"), 2); /* label 2 */
}
END_TEST

/* The first number behind `key`, which is searched for from `place` on. */
static double number_behind(const char *place, const char *key)
{
    const char *at = place ? strstr(place, key) : NULL;
    ck_assert_msg(at != NULL, "there is no %s", key);
    return strtod(at + strlen(key), NULL);
}

/* Of label k model m has 3 + m - k of 10 - 2 k texts right and predicts 6 (tests/report_support.c). */
START_TEST(the_figures_of_labels_are_the_counts)
{
    const char *text = make_page(1, 0.1, 1);
    ck_assert_ptr_nonnull(
        strstr(text, "role::program</th><td>8</td><td>0.286</td><td>0.429</td><td>0.571</td>"));
    ck_assert_ptr_nonnull(strstr(text, "a &amp; b</th><td>6</td><td>0.167</td><td>0.333</td><td>0.500</td>"));
    ck_assert_ptr_nonnull(strstr(text, "&lt;i&gt;</th><td>4</td><td>0.000</td><td>0.000</td><td>0.000</td>"));
    ck_assert_ptr_nonnull(strstr(text, "precision 0.667, recall 0.500, F1 0.571"));
    /* Missed most: 5 texts of label 0, 4 of 1 and of 3, 3 of 2. */
    const char *confusions = strstr(text, "<section id=\"confusions\">");
    ck_assert_ptr_nonnull(confusions);
    const char *second = strstr(confusions, "role::program"), *third = strstr(confusions, "&lt;i&gt;"),
               *fourth = strstr(confusions, "a &amp; b");
    ck_assert(second && third && fourth && second < third && third < fourth);
    ck_assert_int_eq(count_of(text, "<h3>Test text in row 1</h3>"), 1);
    ck_assert_int_eq(count_of(text, "<h3>Test text in row 11</h3>"), 1);
    /* Each bin has the same part of both parts: the stroke lies on top of the bar. */
    const char *bins = strstr(text, "<title>0 to 7 ids: 12 to train, 3 to test</title>");
    ck_assert_double_eq(number_behind(bins, "\" y=\""), number_behind(strstr(bins, "d=\"M"), " "));
}
END_TEST

/* ---- What is said ---- */

START_TEST(the_paragraph_says_no_more_than_the_seeds_do)
{
    const char *text = make_page(1, 0.1, 1);
    ck_assert_ptr_nonnull(strstr(text, "Only one seed of each model ran"));
    /* Standard deviations of 0.01 over three seeds: 0.1 apart is clear, 0.001 is not. */
    text = make_page(3, 0.1, 1);
    ck_assert_ptr_nonnull(strstr(text, "is more than two standard errors"));
    ck_assert_ptr_null(strstr(text, "do not tell it apart"));
    ck_assert_ptr_nonnull(strstr(text, "0.610\xC2\xA0\xC2\xB1\xC2\xA0"
                                       "0.010"));
    text = make_page(3, 0.001, 1);
    ck_assert_ptr_nonnull(strstr(text, "do not tell it apart from <b>lstm</b> and <b>attention</b>"));
    /* A standard error of a difference is 0.0082: 0.012 are between one and two. */
    text = make_page(3, 0.012, 1);
    ck_assert_ptr_nonnull(strstr(text, "do not tell it apart from <b>attention</b>"));
    ck_assert_ptr_nonnull(strstr(text, "3 of 3 lost more than 0.02"));
    ck_assert_ptr_nonnull(strstr(text, "For 1 of 3 models a validation part chose epoch and thresholds"));
    ck_assert_ptr_nonnull(strstr(text, "0.422\xC2\xA0\xC2\xB1\xC2\xA0"
                                       "0.010")); /* what attention delivers */
}
END_TEST

START_TEST(spread_is_the_sample_standard_deviation)
{
    ModelSpread spread = model_spread_of((double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8);
    ck_assert_double_eq_tol(spread.mean, 5, 1e-12);
    ck_assert_double_eq_tol(spread.sd, 2.1380899352993952, 1e-12); /* numpy.std(ddof=1) */
    ck_assert(spread.low == 2 && spread.high == 9 && spread.n == 8);
    spread = model_spread_of((double[]){3}, 1);
    ck_assert(spread.mean == 3 && spread.sd == 0);
    spread = model_spread_of(NULL, 0);
    ck_assert_int_eq(spread.n, 0);
}
END_TEST

START_TEST(runs_are_put_side_by_side)
{
    char other[600];
    size_t size;
    report_support_run(folder, 2, 0.1, 1);
    snprintf(other, sizeof other, "%s/other/", folder);
    shell_must("mkdir '%s'", other);
    report_support_run(other, 2, 0.05, 1);
    const char *folders[] = {folder, other};
    ck_assert_ok(write_page(folders, 2));
    ck_assert_ok(reel_text_file_read(page_path, &page, &size));
    check_page(page);
    ck_assert_ptr_nonnull(strstr(page, "<h1>2 runs compared</h1>"));
    ck_assert_ptr_nonnull(strstr(page, "other/attention"));
    ck_assert_ptr_null(strstr(page, "different data"));
    ck_assert_int_eq(count_of(page, "Lengths of the texts</h3>"), 1);
    /* Other data in one of them: nothing is ranked. */
    shell_must("sed -i s/0123abcd/89abcdef/ '%s/results.json' '%s/report.json'", other, other);
    ck_assert_ok(write_page(folders, 2));
    reel_mem_free(page);
    ck_assert_ok(reel_text_file_read(page_path, &page, &size));
    check_page(page);
    ck_assert_ptr_nonnull(strstr(page, "The runs are on different data"));
    ck_assert_ptr_null(strstr(page, "highest macro F1"));
    ck_assert_int_eq(count_of(page, "Lengths of the texts</h3>"), 2);
}
END_TEST

START_TEST(details_of_other_data_do_not_count)
{
    report_support_run(folder, 1, 0.1, 1);
    shell_must("sed -i s/0123abcd/89abcdef/ '%s/report.json'", folder);
    ReportRun run;
    ck_assert_ok(report_read(&run, &folder, 1));
    ck_assert_int_eq(run.num_details, 0);
    ck_assert_int_eq(run.num_classes, 0);
    ck_assert_int_eq(run.results.num_models, 3);
    report_free(&run, 1);
}
END_TEST

/* ---- What is broken ---- */

static const struct {
    const char *edit, *file, *says;
} broken[] = {
    {"s/\"missed\": 1/\"missed\": 4/", "report.json", "contradict"},
    {"s/\"instead\": 0/\"instead\": -2/", "report.json", "contradict"},
    {"0,/\"hits\": 3/s//\"hits\": 9223372036854775807/", "report.json", "contradict"},
    {"0,/\"to\": 7/s//\"to\": -7/", "report.json", "contradict"},
    {"0,/\"row\": 0/s//\"row\": -1/", "report.json", "contradict"},
    {"0,/0.5,/s///", "report.json", "contradict"},
    {"s/\"instead\": 1/\"instead\": true/", "report.json", "number"},
    {"s/\"models\"/\"modules\"/", "results.json", "no models"},
    {"s/\"name\"/\"nom\"/", "results.json", "has no name"},
    {"s/\"params\": 1/\"params\": x/", "results.json", "byte"},
    {"$d", "results.json", "byte"},
};

START_TEST(what_is_broken_is_refused_and_the_old_page_stays)
{
    make_page(1, 0.1, 1);
    shell_must("sed -i '%s' '%s/%s'", broken[_i].edit, folder, broken[_i].file);
    ReelStatus status = write_page(&folder, 1);
    ck_assert_failed(status, REEL_STATUS_FAILED, broken[_i].says);
    ck_assert_failed(status, REEL_STATUS_FAILED, broken[_i].file);
    shell_must("grep -q '</html>' '%s'", page_path);
}
END_TEST

START_TEST(what_is_not_there_is_said)
{
    ck_assert_failed(write_page(&folder, 1), REEL_STATUS_FAILED, "results.json");
    ck_assert_int_ne(access(page_path, F_OK), 0);
}
END_TEST

/* Every 16th allocation, so that the test stays quick. */
START_TEST(failed_allocations_are_errors)
{
    report_support_run(folder, 2, 0.1, 1);
    int failures = 0;
    for (int n = 0;; n += n < 40 ? 1 : 16) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = write_page(&folder, 1);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
        failures++;
    }
    ck_assert_int_gt(failures, 5);
}
END_TEST

/* ---- Collecting ---- */

static ReelStatus collect(ReportRun *run, const ModelDataset *dataset, const char *kind,
                          ModelRunOptions *options)
{
    *options = model_run_defaults();
    options->epochs = 1;
    options->batch = 7;
    options->config = (ModelConfig){.embed = 8, .hidden = 8};
    options->trainer.threads = 1;
    options->trainer.shards = 2;
    ModelRunResult result;
    ReelStatus status = model_run_model(&result, NULL, model_zoo_find(kind), dataset, options, NULL);
    if (!reel_status_is_ok(&status))
        return status;
    status = report_begin(run, folder, dataset);
    if (reel_status_is_ok(&status))
        status = report_add(run, model_zoo_find(kind), dataset, &result);
    /* The details are of the same predictions as the run's last evaluation. */
    const ReportDetails *details = &run->details[0];
    for (int k = 0; k < details->num_scores; k++) {
        ck_assert_int_eq(details->scores[k].hits, result.metrics.labels[k].hits);
        ck_assert_int_eq(details->scores[k].predicted, result.metrics.labels[k].predicted);
        ck_assert_int_eq(details->scores[k].support, result.metrics.labels[k].support);
    }
    model_run_result_free(&result);
    return status;
}

START_TEST(details_are_what_the_model_says_and_survive_their_file)
{
    ModelDataset *dataset;
    ModelRunOptions options;
    ReportRun run, back;
    char path[600];
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, NULL));
    ck_assert_ok(collect(&run, dataset, "attention", &options));
    ck_assert_int_eq(run.num_classes, model_dataset_num_classes(dataset));
    ck_assert_int_eq(run.num_texts, 12);
    ck_assert_int_eq(run.num_details, 1);
    int64_t train = 0, test = 0;
    for (int i = 0; i < run.num_bins; i++) {
        train += run.bins[i].train;
        test += run.bins[i].test;
        ck_assert_int_eq(run.bins[i].from, i ? run.bins[i - 1].to + 1 : 0);
    }
    ck_assert_int_eq(train, dataset->train.count);
    ck_assert_int_eq(test, dataset->test.count);
    for (int i = 0; i < run.num_texts; i++) {
        const ReportReading *reading = &run.details[0].readings[i];
        double sum = 0;
        ck_assert_int_eq(reading->num_weights, run.texts[i].num_words);
        for (int w = 0; w < reading->num_weights; w++)
            sum += reading->weights[w];
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        ck_assert_str_eq(run.texts[i].words[0],
                         model_vocabulary_word(&dataset->text.vocabulary, MODEL_TOKEN_BOS));
        ck_assert_int_gt(run.texts[i].num_labels, 0);
    }
    report_support_run(folder, 1, 0.1, 0);
    shell_must("sed -i s/0123abcd/%s/ '%s/results.json'", dataset->text.data_hash, folder);
    snprintf(path, sizeof path, "%s/report.json", folder);
    ck_assert_ok(report_save(&run, path));
    ck_assert_ok(report_read(&back, &folder, 1));
    ck_assert_int_eq(back.num_details, 1);
    ck_assert_int_eq(back.train_ids, run.train_ids);
    ck_assert_int_eq(back.details[0].num_misses, run.details[0].num_misses);
    for (int i = 0; i < run.num_texts; i++)
        ck_assert_mem_eq(back.details[0].readings[i].weights, run.details[0].readings[i].weights,
                         (size_t)run.texts[i].num_words * sizeof(double));
    report_free(&back, 1);
    report_free(&run, 1);
    model_dataset_free(dataset);
}
END_TEST

/* A model that predicts nothing misses every label, and has nothing instead. */
START_TEST(misses_are_counted_against_what_was_predicted_instead)
{
    ModelCorpus corpus = text_support_corpus("text\tlabels\n"
                                             "alpha beta\tone\nalpha gamma\tone, two\nbeta gamma\ttwo\n"
                                             "alpha beta gamma\tthree\nbeta beta\tone\ngamma\ttwo, three\n");
    ModelDatasetOptions settings = model_dataset_defaults();
    settings.vocabulary.min_df = 1;
    settings.vocabulary.max_df = 1;
    settings.test_size = 0.5;
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x", &settings));
    TensorArena arena = {0};
    ModelRunResult result = {0};
    ReportRun run;
    const int64_t decisions = dataset->test.count * 3;
    const NnIds *truth = model_dataset_part_labels(&arena, &dataset->test);
    result.test.logits = reel_mem_alloc((size_t)decisions * sizeof(float));
    ck_assert_ok(model_metrics_init(&result.metrics, 3));
    ck_assert_ok(report_begin(&run, folder, dataset));
    for (int always_one = 0; always_one < 2; always_one++) { /* labels in order: one, three, two */
        for (int64_t i = 0; i < decisions; i++)
            result.test.logits[i] = i % 3 == 0 && always_one ? 100 : -100;
        model_metrics_reset(&result.metrics);
        model_metrics_add(&result.metrics,
                          tensor_from(result.test.logits, TENSOR_F32, TENSOR_SHAPE(dataset->test.count, 3)),
                          truth, 0);
        ck_assert_ok(report_add(&run, model_zoo_find("rnn"), dataset, &result));
        ck_assert_int_eq(run.num_details, 1 + always_one);
        const ReportDetails *details = &run.details[always_one];
        int64_t missed = 0, support = 0, beside_one = 0;
        for (int k = 0; k < 3; k++)
            support += k == 0 && always_one ? 0 : details->scores[k].support;
        for (int32_t i = 0; i < dataset->test.count; i++) {
            int32_t seen = 0;
            bool one = model_metrics_bears(truth[i], 0, &seen);
            beside_one += one && model_metrics_bears(truth[i], 2, &seen);
        }
        ck_assert_int_gt(beside_one, 0);
        for (int i = 0; always_one && i < details->num_misses; i++) /* right is not instead */
            if (details->misses[i].missed == 2)
                ck_assert_int_eq(details->misses[i].texts, details->misses[i].instead < 0
                                                               ? beside_one
                                                               : details->scores[2].support - beside_one);
        for (int i = 0; i < details->num_misses; i++) {
            missed += details->misses[i].texts;
            ck_assert(details->misses[i].instead == -1 || (always_one && details->misses[i].instead == 0));
            ck_assert(!always_one || details->misses[i].missed != 0);
        }
        ck_assert_int_eq(missed, support);
    }
    report_free(&run, 1);
    model_run_result_free(&result);
    tensor_arena_free(&arena);
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}
END_TEST

/* Labels often begin alike, so that it is the middle that a long one loses, whole characters of it. */
START_TEST(long_names_lose_their_middle)
{
    const char *const names[][2] = {
        {"use::editing", ">use::editing</text>"},
        {"works-with::image:raster", "</title>works-\xE2\x80\xA6image:raster</text>"},
        {"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"
         "\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6",
         "</title>\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xE2\x80\xA6\xC3\xA4\xC3\xB6"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ReportOut out = {0};
        report_name(&out, 1, 2, "end", names[i][0], 18 + (i == 1));
        ck_assert(!out.failed);
        report_put_bytes(&out, "", 1);
        ck_assert_msg(strstr(out.bytes.data, names[i][1]) != NULL, "%s", out.bytes.data);
        reel_bytes_free(&out.bytes);
    }
}
END_TEST

Suite *tools_report_suite(void);
Suite *tools_report_suite(void)
{
    Suite *suite = suite_create("tools/report");
    TCase *tcase = tcase_create("report");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_page_has_all_sections_and_figures);
    tcase_add_test(tcase, a_page_does_without_details);
    tcase_add_test(tcase, the_figures_of_labels_are_the_counts);
    tcase_add_test(tcase, attention_is_shown_word_by_word_with_the_labels);
    tcase_add_test(tcase, the_paragraph_says_no_more_than_the_seeds_do);
    tcase_add_test(tcase, spread_is_the_sample_standard_deviation);
    tcase_add_test(tcase, runs_are_put_side_by_side);
    tcase_add_test(tcase, details_of_other_data_do_not_count);
    tcase_add_loop_test(tcase, what_is_broken_is_refused_and_the_old_page_stays, 0,
                        sizeof broken / sizeof broken[0]);
    tcase_add_test(tcase, what_is_not_there_is_said);
    tcase_add_test(tcase, failed_allocations_are_errors);
    tcase_add_test(tcase, details_are_what_the_model_says_and_survive_their_file);
    tcase_add_test(tcase, long_names_lose_their_middle);
    tcase_add_test(tcase, misses_are_counted_against_what_was_predicted_instead);
    suite_add_tcase(suite, tcase);
    return suite;
}
