#include "models/text/subword_dropout.h"
#include "models/text/subwords.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char corpus_text[] = "text\tlabels\n"
                                  "lower lowest newest widest\ta\n"
                                  "newest newest widest lower\tb\n"
                                  "low low lower lowest\ta, b\n"
                                  "wide wider widest\tb\n"
                                  "new newer newest\ta\n";

static ModelCorpus corpus;
static ModelDataset *dataset;

static void make(bool keep)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.byte_pairs = 30;
    options.keep_texts = keep;
    ReelStatus status = model_corpus_parse(&corpus, "memory", corpus_text, sizeof corpus_text - 1, NULL);
    if (reel_status_is_ok(&status))
        status = model_dataset_new(&dataset, &corpus, "memory", &options);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
}

static void drop(void)
{
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}

static void draw(ModelSubwordDropout *dropout, int64_t epoch)
{
    ReelStatus status = model_subword_dropout_draw(dropout, epoch);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
}

static bool same_ids(const ModelDatasetPart *a, int64_t i, const ModelDatasetPart *b, int64_t j)
{
    int32_t one[64], other[64], length = model_dataset_part_length(a, i);
    ReelStatus status = model_dataset_part_ids(a, i, one);
    if (reel_status_is_ok(&status))
        status = model_dataset_part_ids(b, j, other);
    return reel_status_is_ok(&status) && length == model_dataset_part_length(b, j) &&
           memcmp(one, other, (size_t)length * sizeof *one) == 0;
}

/* Whether two parts have the same ids. */
static bool same(const ModelDatasetPart *a, const ModelDatasetPart *b)
{
    bool same = memcmp(a->offsets, b->offsets, (size_t)(a->count + 1) * sizeof *a->offsets) == 0;
    for (int64_t i = 0; same && i < a->count; i++)
        same = same_ids(a, i, b, i);
    return same;
}

START_TEST(an_epoch_is_a_function_of_seed_and_epoch)
{
    make(true);
    ModelSubwordDropout one, other, third;
    ReelStatus status = model_subword_dropout_init(&one, dataset, 0.3, 7);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    status = model_subword_dropout_init(&other, dataset, 0.3, 7);
    ck_assert(reel_status_is_ok(&status));
    status = model_subword_dropout_init(&third, dataset, 0.3, 8);
    ck_assert(reel_status_is_ok(&status));
    draw(&one, 0);
    draw(&one, 1);
    draw(&one, 5);
    draw(&other, 5);
    draw(&third, 5);
    ck_assert(same(&one.part, &other.part));
    ck_assert(!same(&one.part, &third.part));
    draw(&other, 6);
    ck_assert(!same(&one.part, &other.part));
    model_subword_dropout_free(&one);
    model_subword_dropout_free(&other);
    model_subword_dropout_free(&third);
    drop();
}
END_TEST

START_TEST(probability_0_changes_nothing_and_1_leaves_letters)
{
    make(true);
    ModelSubwordDropout none, all;
    ReelStatus status = model_subword_dropout_init(&none, dataset, 0, 1);
    ck_assert(reel_status_is_ok(&status));
    status = model_subword_dropout_init(&all, dataset, 1, 1);
    ck_assert(reel_status_is_ok(&status));
    draw(&none, 3);
    draw(&all, 3);
    ck_assert(same(&none.part, &dataset->train));
    for (int64_t i = 0; i < dataset->train.count; i++) {
        ModelTextSpan text = dataset->train_texts[i];
        int64_t letters = 0;
        for (size_t at = 0; at < text.length; at++)
            letters += text.bytes[at] != ' ';
        ck_assert_int_eq(all.part.offsets[i + 1] - all.part.offsets[i], letters + 2);
    }
    model_subword_dropout_free(&none);
    model_subword_dropout_free(&all);
    drop();
}
END_TEST

/* One merge, so that a word stays in two pieces exactly as often as the merge is left out. */
START_TEST(merges_are_left_out_as_often_as_is_said)
{
    enum { ROWS = 100, WORDS = 40 };
    static const double probabilities[] = {0.1, 0.3, 0.5};
    char *tsv = malloc(ROWS * WORDS * 3 + ROWS * 8 + 20);
    char *to = tsv + sprintf(tsv, "text\tlabels\n");
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < WORDS; i++)
            to += sprintf(to, "xy ");
        to += sprintf(to, "\t%c\n", 'a' + row % 2);
    }
    ModelDatasetOptions options = model_dataset_defaults();
    options.byte_pairs = MODEL_NUM_SPECIAL_TOKENS + 3;
    options.keep_texts = true;
    ReelStatus status = model_corpus_parse(&corpus, "memory", tsv, strlen(tsv), NULL);
    free(tsv);
    if (reel_status_is_ok(&status))
        status = model_dataset_new(&dataset, &corpus, "memory", &options);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    int64_t rows = dataset->train.count, merged = rows * WORDS;
    ck_assert_int_eq(dataset->train.offsets[rows], merged + 2 * rows);
    for (int i = 0; i < 3; i++) {
        ModelSubwordDropout dropout;
        status = model_subword_dropout_init(&dropout, dataset, probabilities[i], 3);
        ck_assert(reel_status_is_ok(&status));
        draw(&dropout, 0);
        double apart = (double)(dropout.part.offsets[rows] - dataset->train.offsets[rows]) / (double)merged;
        ck_assert_double_eq_tol(apart, probabilities[i], 0.035); /* four deviations of 3,200 draws */
        model_subword_dropout_free(&dropout);
    }
    drop();
}
END_TEST

/* What is drawn for a text depends on its row in the file, and not on the texts before it or on its place in
 * the training part: a validation part that is taken out changes nothing of it. */
START_TEST(a_text_is_cut_by_its_row_alone)
{
    make(true);
    ModelDatasetOptions options = model_dataset_defaults();
    options.bpe = dataset->text.tokenizer.bpe;
    options.keep_texts = true;
    options.valid_size = 0.5;
    ModelDataset *half;
    ReelStatus status = model_dataset_new(&half, &corpus, "memory", &options);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_int_lt(half->train.count, dataset->train.count);
    ModelSubwordDropout all, some;
    status = model_subword_dropout_init(&all, dataset, 0.4, 9);
    ck_assert(reel_status_is_ok(&status));
    status = model_subword_dropout_init(&some, half, 0.4, 9);
    ck_assert(reel_status_is_ok(&status));
    for (int64_t epoch = 0; epoch < 8; epoch++) {
        draw(&all, epoch);
        draw(&some, epoch);
        for (int64_t i = 0; i < some.part.count; i++) {
            int64_t j = 0;
            while (all.part.rows[j] != some.part.rows[i])
                j++;
            ck_assert(same_ids(&all.part, j, &some.part, i));
        }
    }
    model_subword_dropout_free(&all);
    model_subword_dropout_free(&some);
    model_dataset_free(half);
    drop();
}
END_TEST

START_TEST(what_it_needs_is_asked_for)
{
    ModelSubwordDropout dropout;
    make(false);
    ReelStatus status = model_subword_dropout_init(&dropout, dataset, 0.1, 1);
    ck_assert_int_eq(status.code, REEL_STATUS_USAGE);
    drop();
    make(true);
    status = model_subword_dropout_init(&dropout, dataset, 1.5, 1);
    ck_assert_int_eq(status.code, REEL_STATUS_USAGE);
    drop();
}
END_TEST

Suite *models_subword_dropout_suite(void);
Suite *models_subword_dropout_suite(void)
{
    Suite *suite = suite_create("models/subword_dropout");
    TCase *tcase = tcase_create("dropout");
    tcase_add_test(tcase, an_epoch_is_a_function_of_seed_and_epoch);
    tcase_add_test(tcase, probability_0_changes_nothing_and_1_leaves_letters);
    tcase_add_test(tcase, merges_are_left_out_as_often_as_is_said);
    tcase_add_test(tcase, a_text_is_cut_by_its_row_alone);
    tcase_add_test(tcase, what_it_needs_is_asked_for);
    suite_add_tcase(suite, tcase);
    return suite;
}
