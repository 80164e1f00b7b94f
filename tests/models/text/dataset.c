#include "models/model.h"
#include "models/text/dataset.h"
#include "models/text/split.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Ten rows; the split of 10 is train 4 9 1 6 7 3 0 5, test 2 8. */
static const char *const TEN = "text\tlabels\n"
                               "red green\tb\n"
                               "red the blue\ta\n"
                               "green yellow red\ta, c\n"
                               "42\ta\n"
                               "blue BLUE blue\tb, a\n"
                               "green\tb\n"
                               "red\ta\n"
                               "not red, green\tb\n"
                               "yellow\tc\n"
                               "blue not only\ta\n";

static void check_ids(const ModelDatasetPart *part, int64_t example, int64_t count, const int32_t *ids)
{
    int32_t own[64];
    ck_assert_int_eq(model_dataset_part_length(part, example), count);
    ck_assert_ok(model_dataset_part_ids(part, example, own));
    ck_assert_mem_eq(own, ids, (size_t)count * sizeof *ids);
}

START_TEST(ten_rows_by_hand)
{
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", NULL));
    model_corpus_free(&corpus);
    ck_assert_int_eq(dataset->train.count, 8);
    ck_assert_int_eq(dataset->test.count, 2);
    ck_assert_mem_eq(dataset->train.rows, ((int32_t[]){4, 9, 1, 6, 7, 3, 0, 5}), 8 * sizeof(int32_t));
    ck_assert_mem_eq(dataset->test.rows, ((int32_t[]){2, 8}), 2 * sizeof(int32_t));
    /* blue 3, green 3, not 2 and red 4 of 8 training texts; yellow is in the test part alone. */
    ck_assert_int_eq(model_vocabulary_size(&dataset->text.vocabulary), 8);
    ck_assert_int_eq(dataset->text.tokenizer.vocab_size, 8);
    ck_assert_str_eq(model_vocabulary_word(&dataset->text.vocabulary, 6), "not");
    check_ids(&dataset->train, 0, 5, (int32_t[]){2, 4, 4, 4, 3});
    check_ids(&dataset->train, 4, 5, (int32_t[]){2, 6, 7, 5, 3});
    check_ids(&dataset->train, 5, 3, (int32_t[]){2, 1, 3});
    check_ids(&dataset->test, 0, 4, (int32_t[]){2, 5, 7, 3});
    check_ids(&dataset->test, 1, 3, (int32_t[]){2, 1, 3});
    ck_assert_int_eq(dataset->train.empty, 1);
    ck_assert_int_eq(dataset->test.empty, 1);
    ck_assert_int_eq(dataset->train.longest, 5);
    ck_assert_int_eq(dataset->test.longest, 4);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

static void check_labels(NnIds labels, const int32_t *expected, int32_t count)
{
    ck_assert_int_eq(labels.count, count);
    ck_assert_mem_eq(labels.ids, expected, (size_t)count * sizeof *expected);
}

START_TEST(labels_belong_to_their_examples)
{
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", NULL));
    model_corpus_free(&corpus);
    ck_assert_int_eq(model_dataset_num_classes(dataset), 3);
    ck_assert_str_eq(model_string_table_text(&dataset->text.labels, 2), "c");
    ck_assert_mem_eq(dataset->train.label_counts, ((int64_t[]){5, 4, 0}), 3 * sizeof(int64_t));
    ck_assert_mem_eq(dataset->test.label_counts, ((int64_t[]){1, 0, 2}), 3 * sizeof(int64_t));
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    const NnIds *test = model_dataset_part_labels(&arena, &dataset->test),
                *train = model_dataset_part_labels(&arena, &dataset->train);
    check_labels(test[0], (int32_t[]){0, 2}, 2);
    check_labels(test[1], (int32_t[]){2}, 1);
    check_labels(train[7], (int32_t[]){1}, 1);
    check_labels(train[0], (int32_t[]){0, 1}, 2);
    tensor_arena_free(&arena);
    model_dataset_free(dataset);
}
END_TEST

static uint32_t crc_ids(const ModelDatasetPart *part)
{
    uLong crc = 0;
    int32_t ids[64];
    for (int64_t i = 0; i < part->count; i++) {
        ck_assert_ok(model_dataset_part_ids(part, i, ids));
        crc = crc32_z(crc, (const Bytef *)ids, (size_t)model_dataset_part_length(part, i) * sizeof *ids);
    }
    return (uint32_t)crc;
}

/* Against the same pipeline written in Python with re.sub, str.split and scikit-learn's split. */
START_TEST(real_data_gives_the_ids_that_python_gives)
{
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, NULL));
    ck_assert_int_eq(dataset->train.count, 96);
    ck_assert_int_eq(dataset->test.count, 24);
    ck_assert_int_eq(model_vocabulary_size(&dataset->text.vocabulary), 495);
    ck_assert_int_eq(dataset->train.offsets[96], 2629);
    ck_assert_int_eq(dataset->test.offsets[24], 536);
    ck_assert_uint_eq(crc_ids(&dataset->train), 0x7d2cc582);
    ck_assert_uint_eq(crc_ids(&dataset->test), 0x310f1af4);
    model_dataset_free(dataset);
}
END_TEST

/* scikit-learn 1.9.1: TfidfVectorizer().fit() on the cleaned training texts of TEN, of which one is empty. */
START_TEST(words_start_with_the_rarity_that_scikit_learn_gives)
{
    static const char *const words[] = {"blue", "green", "not", "red"};
    static const double idf[] = {1.8109302162163288, 1.8109302162163288, 2.09861228866811, 1.587786664902119};
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDataset *dataset;
    Model *model;
    int64_t frequencies[8];
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", NULL));
    model_corpus_free(&corpus);
    ck_assert_ok(model_dataset_document_frequencies(dataset, frequencies));
    ck_assert_ok(model_new(&model, model_zoo_find("wide"),
                           (ModelConfig){.vocabulary = 8, .labels = 3, .embed = 2, .hidden = 1}, 0));
    model->kind->begin(model, frequencies, dataset->train.count);
    NnNamed scores;
    ck_assert(nn_find(&model->base, "word_score.weight", &scores));
    Tensor values = nn_named_view(&scores);
    for (int i = 0; i < 4; i++) {
        int64_t at[] = {model_vocabulary_id(&dataset->text.vocabulary, model_text_span(words[i])), 0};
        ck_assert_double_eq_tol(exp(tensor_get(&values, at)), idf[i], 1e-6);
    }
    model_free(model);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(options_are_heeded)
{
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDatasetOptions options = model_dataset_defaults();
    options.test_size = 0.5;
    options.clean = (ModelCleanOptions){.stop_words = "none", .keep_digits = true};
    options.vocabulary = (ModelVocabularyOptions){.min_df = 1, .max_df = 1.0};
    options.max_len = 3;
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", &options));
    ck_assert_int_eq(dataset->test.count, 5);
    ck_assert_int_eq(dataset->train.longest, 3);
    ck_assert_int_eq(dataset->test.longest, 3);
    ck_assert_int_ge(model_vocabulary_id(&dataset->text.vocabulary, model_text_span("42")), 4);
    model_dataset_free(dataset);
    options.split_seed = 1;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", &options));
    ModelSplit split;
    ck_assert_ok(model_split_new(&split, 10, 0.5, 1));
    ck_assert_mem_eq(dataset->train.rows, split.train, 5 * sizeof(int32_t));
    model_split_free(&split);
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(other_texts_are_encoded_likewise)
{
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", NULL));
    ModelIdList list = {0};
    ReelBytes scratch = {0};
    ck_assert(model_pipeline_encode(&dataset->text, model_text_span("The RED; yellow\nnot-green"), &scratch,
                                    &list));
    reel_bytes_free(&scratch);
    ck_assert_uint_eq(list.count, 5);
    ck_assert_mem_eq(list.ids, ((int32_t[]){2, 7, 6, 5, 3}), 5 * sizeof(int32_t));
    model_id_list_free(&list);
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}
END_TEST

/* A tokenizer of letters, which notes what it was fitted on. */
static bool encode_letters(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    (void)state;
    for (size_t i = 0; i < text.length && i < limit; i++)
        if (!model_id_list_push(list, text.bytes[i] == ' ' ? 4 : text.bytes[i] - 'a' + 5))
            return false;
    return true;
}

static ReelStatus fit_letters(void *context, const ModelTextSpan *texts, int64_t count,
                              ModelTokenizer *tokenizer)
{
    *(int64_t *)context = count;
    ck_assert_uint_eq(texts[2].length, strlen("red blue"));
    ck_assert_mem_eq(texts[2].bytes, "red blue", strlen("red blue"));
    *tokenizer = (ModelTokenizer){.state = context, .vocab_size = 31, .encode = encode_letters};
    return reel_status_ok();
}

static ReelStatus fit_nothing(void *context, const ModelTextSpan *texts, int64_t count,
                              ModelTokenizer *tokenizer)
{
    (void)context, (void)texts, (void)count, (void)tokenizer;
    return reel_status_failed("no tokenizer today");
}

START_TEST(a_tokenizer_can_be_brought_along)
{
    ModelCorpus corpus = text_support_corpus(TEN);
    ModelDatasetOptions options = model_dataset_defaults();
    int64_t fitted = 0;
    options.fit = fit_letters;
    options.fit_context = &fitted;
    options.max_len = 6;
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", &options));
    ck_assert_int_eq(fitted, 8);
    ck_assert_int_eq(dataset->text.tokenizer.vocab_size, 31);
    check_ids(&dataset->train, 2, 6, (int32_t[]){2, 22, 9, 8, 4, 3});
    model_dataset_free(dataset);
    options.fit = fit_nothing;
    ck_assert_failed(model_dataset_new(&dataset, &corpus, "ten.tsv", &options), REEL_STATUS_FAILED,
                     "no tokenizer today");
    ck_assert_ptr_null(dataset);
    model_corpus_free(&corpus);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

static ReelStatus make(const char *tsv, const ModelDatasetOptions *options)
{
    ModelCorpus corpus = text_support_corpus(tsv);
    ModelDataset *dataset;
    ReelStatus status = model_dataset_new(&dataset, &corpus, "x.tsv", options);
    ck_assert_int_eq(reel_status_is_ok(&status), dataset != NULL);
    model_corpus_free(&corpus);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    return status;
}

/* Rows to which nothing applies; the division of the rows is that of their number. */
START_TEST(rows_without_labels_stay)
{
    char tsv[600];
    snprintf(tsv, sizeof tsv, "%s", TEN);
    char *label = strstr(tsv, "red the blue\ta") + strlen("red the blue\t");
    memmove(label, label + 1, strlen(label));
    ModelCorpus corpus = text_support_corpus(tsv);
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "ten.tsv", NULL));
    model_corpus_free(&corpus);
    ck_assert_int_eq(dataset->unlabelled, 1);
    ck_assert_int_eq(model_dataset_rows(dataset), 10);
    ck_assert_mem_eq(dataset->train.rows, ((int32_t[]){4, 9, 1, 6, 7, 3, 0, 5}), 8 * sizeof(int32_t));
    ck_assert_int_eq(dataset->train.label_offsets[2], dataset->train.label_offsets[3]);
    ck_assert_mem_eq(dataset->train.label_counts, ((int64_t[]){4, 4, 0}), 3 * sizeof(int64_t));
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Also in the parts: 40 rows of which every other has none, and a label that half of the others bear. */
START_TEST(rows_without_labels_are_divided)
{
    char tsv[2000] = "text\tlabels\n";
    for (int i = 0; i < 40; i++)
        sprintf(tsv + strlen(tsv), "some words here\t%s\n", i % 2 ? "" : i % 4 ? "a, b" : "b");
    ModelCorpus corpus = text_support_corpus(tsv);
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.max_df = 1;
    options.valid_size = 0.25;
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", &options));
    model_corpus_free(&corpus);
    const ModelDatasetPart *valid = &dataset->valid;
    int64_t none = 0;
    ck_assert_int_eq(valid->count, 8);
    for (int64_t i = 0; i < valid->count; i++)
        none += valid->label_offsets[i] == valid->label_offsets[i + 1];
    ck_assert_int_ge(none, 3);
    ck_assert_int_le(none, 5);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(data_sets_that_cannot_be)
{
    ModelDataset *dataset;
    ck_assert_failed(make("text\tlabels\nx y\ta\nx z\ta, a\n", NULL), REEL_STATUS_FAILED,
                     "x.tsv: all rows have the same single label 'a'");
    ck_assert_failed(make("text\tlabels\nx y\t\nx z\t\n", NULL), REEL_STATUS_FAILED,
                     "x.tsv: no row has a label");
    ck_assert_ok(make(
        "text\tlabels\nx y\ta\nx z\t\nx\ta\nx y\t\n", /* one label tells them apart */
        &(ModelDatasetOptions){.test_size = 0.25, .vocabulary = {.min_df = 1, .max_df = 1}, .max_len = 9}));
    ck_assert_failed(model_dataset_read(&dataset, "no/such.tsv", NULL), REEL_STATUS_FAILED, "no/such.tsv: ");
    ck_assert_ptr_null(dataset);
    ck_assert_failed(make("text\tlabels\nx\ta, b\n", NULL), REEL_STATUS_FAILED,
                     "x.tsv: 1 row cannot be split");
    ck_assert_failed(make("text\tlabels\nthe\ta\n1 2\tb\n\ta\n", NULL), REEL_STATUS_FAILED,
                     "x.tsv: all texts are empty after cleaning");
    ck_assert_failed(make("text\tlabels\nx y\ta\nz\tb\nw\ta\n", NULL), REEL_STATUS_FAILED,
                     "x.tsv: no word is in");
    ModelDatasetOptions options = model_dataset_defaults();
    options.max_len = 2;
    ck_assert_failed(make(TEN, &options), REEL_STATUS_USAGE, "max_len is 3 or more");
    options = model_dataset_defaults();
    options.test_size = 2;
    ck_assert_failed(make(TEN, &options), REEL_STATUS_USAGE, "the test part is 2");
    options = model_dataset_defaults();
    options.vocabulary.min_df = -1;
    ck_assert_failed(make(TEN, &options), REEL_STATUS_USAGE, "--min-df");
    options = model_dataset_defaults();
    options.clean.stop_words = "no/such";
    ck_assert_failed(make(TEN, &options), REEL_STATUS_FAILED, "no/such: ");
}
END_TEST

START_TEST(no_memory_is_a_status)
{
    ModelDataset *dataset;
    int n = 0;
    for (;; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, NULL);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_failed(status, REEL_STATUS_FAILED, "out of memory");
        ck_assert_ptr_null(dataset);
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
    ck_assert_int_gt(n, 40);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(a_validation_part_is_taken_from_the_training_part)
{
    ModelDataset *whole, *divided;
    ModelDatasetOptions options = model_dataset_defaults();
    ck_assert_ok(model_dataset_read(&whole, TEXT_SUPPORT_DEBIAN, &options));
    options.valid_size = 0.25;
    ck_assert_ok(model_dataset_read(&divided, TEXT_SUPPORT_DEBIAN, &options));
    ck_assert_int_eq(whole->valid.count, 0);
    ck_assert_int_eq(divided->test.count, whole->test.count);
    ck_assert_mem_eq(divided->test.rows, whole->test.rows, (size_t)whole->test.count * sizeof(int32_t));
    ck_assert_int_eq(divided->train.count + divided->valid.count, whole->train.count);
    ck_assert_int_le(llabs((long long)divided->valid.count * 4 - (long long)whole->train.count), 32);
    /* (About a quarter: labels of one or two examples come before the number of rows.)
     * Both parts keep the order: merged they are the training part again. */
    int64_t t = 0, v = 0;
    for (int64_t i = 0; i < whole->train.count; i++)
        if (t < divided->train.count && divided->train.rows[t] == whole->train.rows[i])
            t++;
        else
            ck_assert_int_eq(divided->valid.rows[v++], whole->train.rows[i]);
    char a[MODEL_CORPUS_HASH_SIZE], b[MODEL_CORPUS_HASH_SIZE];
    model_dataset_fingerprint(whole, a);
    model_dataset_fingerprint(divided, b);
    ck_assert_str_ne(a, b);
    model_dataset_free(whole);
    model_dataset_free(divided);
    options.valid_size = 1;
    ck_assert_failed(model_dataset_read(&divided, TEXT_SUPPORT_DEBIAN, &options), REEL_STATUS_USAGE,
                     "[0, 1)");
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* ---- Letters and languages ---- */

static ModelDataset *dataset_of(const char *tsv, const ModelDatasetOptions *options)
{
    ModelCorpus corpus = text_support_corpus(tsv);
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", options));
    model_corpus_free(&corpus);
    return dataset;
}

/* Many rows of one text. */
static char *repeat(const char *text, int rows)
{
    static char tsv[1 << 18];
    char *to = tsv + sprintf(tsv, "text\tlabels\n");
    for (int i = 0; i < rows; i++)
        to += sprintf(to, "%s q%c\t%c\n", text, 'a' + i % 20, 'a' + i % 2);
    return tsv;
}

START_TEST(texts_tell_which_letters_words_are_of)
{
    static const struct {
        const char *text;
        bool unicode, stop_words;
    } cases[] = {
        {"the red apple and it is a good one", false, true},
        {"the caf\u00E9 \u2014 it is good, and so it was in the old days of the long cold winter we had "
         "before this one, when nobody knew what was to come and all were out on the great lake and did "
         "what they could do there until it was too dark to see much of it, and then some more of it came to "
         "us all through the "
         "night and through the day until there was no more",
         false, true},
        {"красное яблоко и зелёный лес", true, false},
        {"der gr\u00FCne Wald und das sch\u00F6ne Haus", true, false},
        {"rosso verde mela casa bosco", false, false}};
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.max_df = 1;
    options.clean.letters = MODEL_CLEAN_AUTO;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ModelDataset *dataset = dataset_of(repeat(cases[i].text, 220), &options);
        ck_assert_int_eq(dataset->text.cleaner.unicode, cases[i].unicode && model_cleaner_has_unicode());
        ck_assert_int_eq(dataset->text.cleaner.stop_words.count > 0, cases[i].stop_words);
        ck_assert_int_eq(dataset->note[0] == '\0', cases[i].stop_words);
        ck_assert_msg(strstr(dataset->form, "; words of ") != NULL, "%s", dataset->form);
        model_dataset_free(dataset);
    }
    options.clean.stop_words = "none"; /* was asked for: nothing to be said */
    ModelDataset *dataset = dataset_of(repeat("rosso verde mela", 220), &options);
    ck_assert_str_eq(dataset->note, "");
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* ---- Parts ---- */

static const char PARTED[] =
    "text\tlabels\tpart\tof\n"
    "red apple\ta, b\ttrain\tx\nblue sky\tb\ttrain\tx\nred apple\tc\ttest\ty\n"
    "green sky\ta, d\ttest\ty\nRed, apple!\ta\tvalid\tz\nblue apple\tb, c\ttest\tz\n";

START_TEST(a_column_says_the_parts)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    ModelCorpus corpus;
    ModelCorpusOptions how = {.columns = {.split = "part"}};
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", PARTED, sizeof PARTED - 1, &how));
    for (int join = 0; join < 2; join++) {
        options.join_valid = join;
        ModelDataset *dataset;
        ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", &options));
        ck_assert_int_eq(dataset->train.count, 2 + join);
        ck_assert_int_eq(dataset->valid.count, 1 - join);
        ck_assert_int_eq(dataset->test.count, 3);
        ck_assert_mem_eq(dataset->test.rows, ((int32_t[]){2, 3, 5}), 3 * sizeof(int32_t));
        ck_assert_int_eq(model_dataset_num_classes(dataset), 2); /* c and d are of the test part alone */
        ck_assert_int_eq(dataset->test.missed, 3);
        ck_assert_int_eq(dataset->test.missed_labels, 2);
        ck_assert_str_eq(dataset->missed_names, "'c', 'd'");
        ck_assert_int_eq(dataset->test.label_offsets[3], 2);
        ck_assert_int_eq(dataset->repeated, join ? 1 : 2);
        model_dataset_free(dataset);
    }
    model_corpus_free(&corpus);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(groups_stay_together)
{
    char tsv[4000] = "text\tlabels\tof\n";
    for (int i = 0; i < 60; i++)
        sprintf(tsv + strlen(tsv), "word%d red\t%c\tg%d\n", i % 7, 'a' + i % 3, i * i % 11);
    ModelCorpus corpus;
    ModelCorpusOptions how = {.columns = {.group = "of"}};
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv), &how));
    ModelDatasetOptions options = model_dataset_defaults();
    options.valid_size = 0.3;
    options.vocabulary = (ModelVocabularyOptions){.min_df = 1, .max_df = 1};
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", &options));
    const ModelDatasetPart *parts[] = {&dataset->train, &dataset->valid, &dataset->test};
    int part_of[20] = {0};
    int64_t rows = 0;
    for (int p = 0; p < 3; p++) {
        ck_assert_int_gt(parts[p]->count, 0);
        rows += parts[p]->count;
        for (int64_t i = 0; i < parts[p]->count; i++) {
            int *group = &part_of[corpus.group_of[parts[p]->rows[i]]];
            ck_assert(*group == 0 || *group == p + 1);
            *group = p + 1;
        }
    }
    ck_assert_int_eq(rows, 60);
    ck_assert_int_ge(dataset->test.count, 12);
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(parts_that_are_said_leave_groups_whole)
{
    ModelCorpusOptions how = {.columns = {.split = "part", .group = "of"}};
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    ModelDataset *dataset;
    for (int whole = 0; whole < 2; whole++) {
        char tsv[200];
        ModelCorpus corpus;
        sprintf(tsv, "text\tlabels\tpart\tof\nred\ta\ttrain\tg1\nblue\tb\ttrain\tg2\nsky\tb\ttest\tg%d\n",
                whole ? 3 : 2);
        ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, strlen(tsv), &how));
        ReelStatus status = model_dataset_new(&dataset, &corpus, "x.tsv", &options);
        if (whole)
            ck_assert_ok(status);
        else
            ck_assert_failed(status, REEL_STATUS_FAILED, "x.tsv: the group 'g2' is in two parts");
        model_dataset_free(dataset);
        model_corpus_free(&corpus);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(parts_may_be_files)
{
    const char *test = "content\tlabel\nblue sky\tb\nnew words\tz, z\n";
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    options.test_file = text_support_file(test, strlen(test));
    options.valid_file = "tests/fixtures/fasttext.txt";
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
    ck_assert_int_eq(dataset->train.count, 120); /* all that is given */
    ck_assert_int_eq(dataset->valid.count, 40);
    ck_assert_int_eq(dataset->test.count, 2);
    ck_assert_int_ge(model_dataset_num_classes(dataset), 47);
    ck_assert_int_eq(dataset->test.missed, 2); /* b and z */
    model_dataset_free(dataset);
    options.test_file = NULL; /* drawn from the data, not from the file for validation */
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
    ck_assert_int_eq(dataset->train.count, 96);
    ck_assert_int_eq(dataset->test.count, 24);
    model_dataset_free(dataset);
    options.test_file = "no/such";
    ck_assert_failed(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options), REEL_STATUS_FAILED,
                     "no/such: cannot");
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(rare_labels_may_be_left_out)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    const char *tsv = "text\tlabels\na x\ta\nb x\ta, b\nc x\ta\nd x\tb\ne x\tc\nf x\ta\ng x\ta\nh x\ta, b\ni "
                      "x\tb\nj x\ta\n";
    ModelDataset *all = dataset_of(tsv, &options);
    options.min_label_count = 2;
    ModelDataset *some = dataset_of(tsv, &options);
    ck_assert_int_eq(model_dataset_num_classes(all), 3);
    ck_assert_int_eq(model_dataset_num_classes(some), 2);
    ck_assert_int_eq(some->train.count, all->train.count);
    ck_assert_int_eq(some->test.missed, 0);
    model_dataset_free(all);
    model_dataset_free(some);
    options.min_label_count = 100;
    ck_assert_failed(make(tsv, &options), REEL_STATUS_FAILED, "no label is borne by 100 rows; lower");
}
END_TEST

Suite *models_dataset_suite(void);
Suite *models_dataset_suite(void)
{
    Suite *suite = suite_create("models/dataset");
    TCase *tcase = tcase_create("dataset");
    tcase_add_test(tcase, ten_rows_by_hand);
    tcase_add_test(tcase, labels_belong_to_their_examples);
    tcase_add_test(tcase, real_data_gives_the_ids_that_python_gives);
    tcase_add_test(tcase, words_start_with_the_rarity_that_scikit_learn_gives);
    tcase_add_test(tcase, options_are_heeded);
    tcase_add_test(tcase, other_texts_are_encoded_likewise);
    tcase_add_test(tcase, a_tokenizer_can_be_brought_along);
    tcase_add_test(tcase, rows_without_labels_stay);
    tcase_add_test(tcase, rows_without_labels_are_divided);
    tcase_add_test(tcase, data_sets_that_cannot_be);
    tcase_add_test(tcase, no_memory_is_a_status);
    tcase_add_test(tcase, a_validation_part_is_taken_from_the_training_part);
    tcase_add_test(tcase, texts_tell_which_letters_words_are_of);
    tcase_add_test(tcase, a_column_says_the_parts);
    tcase_add_test(tcase, groups_stay_together);
    tcase_add_test(tcase, parts_that_are_said_leave_groups_whole);
    tcase_add_test(tcase, parts_may_be_files);
    tcase_add_test(tcase, rare_labels_may_be_left_out);
    suite_add_tcase(suite, tcase);
    return suite;
}
