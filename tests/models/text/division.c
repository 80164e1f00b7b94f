#include "models/text/division.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

static const char TSV[] = "text\tlabels\tpart\na\tx\ttrain\nb\ty\tvalid\nc\tx\ttest\nd\ty\ttrain\n";

static ModelCorpus parted(const char *tsv, const char *split)
{
    ModelCorpus corpus;
    ModelCorpusOptions options = {.columns = {.split = split}};
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv), &options));
    return corpus;
}

START_TEST(what_the_corpus_says_counts)
{
    ModelCorpus corpus = parted(TSV, "part");
    ModelDivisionOptions options = {.test_size = 0.5, .valid_size = 0.5};
    ModelDivision d;
    ck_assert_ok(model_division_new(&d, &corpus, &options));
    ck_assert_int_eq(d.num_train, 2);
    ck_assert_int_eq(d.num_valid, 1);
    ck_assert_int_eq(d.num_test, 1);
    ck_assert_int_eq(d.valid[0], 1);
    model_division_free(&d);
    options.join_valid = true;
    ck_assert_ok(model_division_new(&d, &corpus, &options));
    ck_assert_int_eq(d.num_valid, 0);
    ck_assert_mem_eq(d.train, ((int32_t[]){0, 3, 1}), 3 * sizeof(int32_t));
    model_division_free(&d);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(parts_that_cannot_be)
{
    ModelDivision d;
    ModelDivisionOptions options = {.test_size = 0.5, .valid_size = 1};
    ModelCorpus corpus = parted(TSV, NULL);
    ck_assert_failed(model_division_new(&d, &corpus, &options), REEL_STATUS_USAGE,
                     "the validation part is 1");
    options.valid_size = 0;
    for (int n = 0; n < 4; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert_failed(model_division_new(&d, &corpus, &options), REEL_STATUS_FAILED, "out of memory");
        reel_mem_fail_at(-1, 0);
    }
    model_corpus_free(&corpus);
    corpus = parted("text\tlabels\tpart\na\tx\ttrain\nb\ty\tdev\n", "part");
    ck_assert_failed(model_division_new(&d, &corpus, &options), REEL_STATUS_FAILED, "no row is for testing");
    model_corpus_free(&corpus);
    corpus = parted("text\tlabels\tpart\na\tx\ttest\nb\ty\ttest\n", "part");
    ck_assert_failed(model_division_new(&d, &corpus, &options), REEL_STATUS_FAILED, "no row is for training");
    model_corpus_free(&corpus);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_division_suite(void);
Suite *models_division_suite(void)
{
    Suite *suite = suite_create("models/division");
    TCase *tcase = tcase_create("division");
    tcase_add_test(tcase, what_the_corpus_says_counts);
    tcase_add_test(tcase, parts_that_cannot_be);
    suite_add_tcase(suite, tcase);
    return suite;
}
