#include "models/text/ngrams.h"
#include "models/text/dataset.h"
#include "models/text/words.h"
#include "tensor/mem.h"
#include "tests/text_support.h"

#include <check.h>
#include <stdio.h>

static const ModelNgramOptions TWO_TO_THREE = {.least = 2, .most = 3, .min_df = 1};

/* All texts are for training. */
static ModelDataset *dataset_of(const char *tsv, ModelNgramOptions ngrams, int threads)
{
    ModelDatasetOptions options = model_dataset_defaults();
    ModelDataset *dataset;
    ModelCorpus corpus = text_support_corpus(tsv);
    options.test_size = 0;
    options.vocabulary = (ModelVocabularyOptions){.min_df = 1, .max_df = 1};
    options.clean.stop_words = "none";
    options.clean.letters = model_cleaner_has_unicode() ? MODEL_CLEAN_UNICODE : MODEL_CLEAN_ASCII;
    options.ngrams = ngrams;
    options.threads = threads;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", &options));
    model_corpus_free(&corpus);
    return dataset;
}

/* What a text is read as, words and pieces with a space behind each. */
static const char *read_as(const ModelPipeline *pipeline, const char *text)
{
    static char out[4096];
    ReelBytes scratch = {0};
    ModelIdList list = {0};
    size_t used = 0;
    ck_assert(model_pipeline_encode(pipeline, model_text_span(text), &scratch, &list));
    out[0] = '\0';
    for (size_t i = 1; i + 1 < list.count; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s ",
                                 model_pipeline_word(pipeline, list.ids[i], NULL));
    model_id_list_free(&list);
    reel_bytes_free(&scratch);
    return out;
}

START_TEST(a_word_is_followed_by_its_pieces)
{
    ModelDataset *dataset = dataset_of("text\tlabels\nabc a\tx\nb\ty\n", TWO_TO_THREE, 1);
    ck_assert_str_eq(read_as(&dataset->text, "abc a"), "abc <a ab <ab bc abc c> bc> a <a a> ");
    /* Of a word that nobody knows those pieces that somebody does. */
    ck_assert_str_eq(read_as(&dataset->text, "xabc"), "ab bc abc c> bc> ");
    ck_assert_str_eq(read_as(&dataset->text, "zz"), "<unk> ");
    ck_assert_int_eq(dataset->text.tokenizer.first_piece, model_vocabulary_size(&dataset->text.vocabulary));
    ck_assert_int_eq(dataset->train.empty, 0);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(pieces_are_of_characters_and_not_of_bytes)
{
    if (!model_cleaner_has_unicode())
        return;
    ModelDataset *dataset = dataset_of("text\tlabels\nжук\tx\nab\ty\n", TWO_TO_THREE, 1);
    ck_assert_str_eq(read_as(&dataset->text, "Жук"), "жук <ж жу <жу ук жук к> ук> ");
    model_dataset_free(dataset);
}
END_TEST

/* Characters that are words of their own are cut together, up to the next word of letters. */
START_TEST(scripts_without_spaces_give_pieces_over_their_words)
{
    if (!model_cleaner_has_unicode())
        return;
    ModelDataset *dataset = dataset_of("text\tlabels\n日本ab\tx\n本\ty\n",
                                       (ModelNgramOptions){.least = 2, .most = 2, .min_df = 1}, 1);
    ck_assert_str_eq(read_as(&dataset->text, "日本ab"), "日 <日 本 日本 本> ab <a ab b> ");
    model_dataset_free(dataset);
}
END_TEST

/* The limit is one of words. */
START_TEST(pieces_do_not_shorten_a_text)
{
    ModelDataset *dataset = dataset_of("text\tlabels\naa bb cc dd\tx\nbb\ty\n", TWO_TO_THREE, 1);
    dataset->text.max_len = 5;
    ck_assert_str_eq(read_as(&dataset->text, "aa bb cc dd"),
                     "aa <a aa <aa a> aa> bb <b bb <bb b> bb> cc <c cc <cc c> cc> ");
    model_dataset_free(dataset);
}
END_TEST

START_TEST(rare_pieces_go)
{
    const ModelNgramOptions twice = {.least = 2, .most = 2, .min_df = 2};
    ModelDataset *dataset = dataset_of("text\tlabels\nabab\tx\nxab\ty\nq\tz\n", twice, 1);
    ck_assert_int_eq(dataset->text.ngrams.pieces.count, 2); /* ab, b> */
    ck_assert_str_eq(read_as(&dataset->text, "abab"), "abab ab ab b> ");
    model_dataset_free(dataset);
}
END_TEST

START_TEST(they_are_the_same_in_training_and_prediction_and_on_any_threads)
{
    ModelDatasetOptions options = model_dataset_defaults();
    ModelDataset *one, *three;
    ModelCorpus corpus;
    options.ngrams = model_ngrams_defaults();
    options.ngrams.unless_ascii = false;
    options.threads = 1;
    ck_assert_ok(model_dataset_read(&one, TEXT_SUPPORT_DEBIAN, &options));
    options.threads = 3;
    ck_assert_ok(model_dataset_read(&three, TEXT_SUPPORT_DEBIAN, &options));
    char first[MODEL_CORPUS_HASH_SIZE], other[MODEL_CORPUS_HASH_SIZE];
    ck_assert_ok(model_dataset_fingerprint(one, first));
    ck_assert_ok(model_dataset_fingerprint(three, other));
    ck_assert_str_eq(first, other);
    ck_assert_int_gt(one->text.ngrams.pieces.count, 500);
    ck_assert_ok(model_corpus_read(&corpus, TEXT_SUPPORT_DEBIAN, NULL));
    ReelBytes scratch = {0};
    for (int64_t i = 0; i < one->train.count; i++) {
        ModelIdList list = {0};
        int32_t length = model_dataset_part_length(&one->train, i), ids[8192];
        ck_assert(length < 8192);
        ck_assert(model_pipeline_encode(&one->text, corpus.texts[one->train.rows[i]], &scratch, &list));
        ck_assert_ok(model_dataset_part_ids(&one->train, i, ids));
        ck_assert_uint_eq(list.count, length);
        ck_assert_mem_eq(list.ids, ids, (size_t)length * sizeof *ids);
        model_id_list_free(&list);
    }
    reel_bytes_free(&scratch);
    model_corpus_free(&corpus);
    model_dataset_free(one);
    model_dataset_free(three);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(ascii_may_go_without)
{
    ModelNgramOptions options = model_ngrams_defaults();
    options.min_df = 1;
    ModelDatasetOptions how = model_dataset_defaults();
    ModelDataset *dataset;
    how.ngrams = options;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &how));
    ck_assert_int_eq(dataset->text.ngrams.pieces.count, 0);
    ck_assert_int_eq(dataset->text.tokenizer.first_piece, 0);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(places_are_those_of_the_words)
{
    static const int32_t ids[] = {MODEL_TOKEN_BOS, 9, 4, 8, 9, 5, 9, MODEL_TOKEN_EOS};
    static const int32_t words_of[] = {4, 5, 8, 9};
    const double n[] = {1 + 3, 1 + 3 * exp(-1.0 / 8), 1 + 3, 3 + 3 + 3 + 3 * exp(-1.0 / 8)};
    TensorArena arena;
    ModelTextWords words;
    tensor_arena_init(&arena, 0);
    ck_assert(model_text_words(&words, &arena, &(NnIds){ids, 8}, 1, 8));
    ck_assert_int_eq(words.count, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(words.ids[i], words_of[i]);
        ck_assert_double_eq_tol(words.log_weights[i], log(1 + log(n[i])), 1e-14);
    }
    tensor_arena_free(&arena);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const ModelNgramOptions wrong[] = {{.least = 0, .most = 3, .min_df = 1},
                                              {.least = 4, .most = 3, .min_df = 1},
                                              {.least = 2, .most = MODEL_NGRAMS_LONGEST + 1, .min_df = 1},
                                              {.least = 2, .most = 3, .min_df = 0}};
    static const char *const twice[] = {"ab", "bc", "ab"}, *const empty[] = {"ab", ""};
    ModelNgrams ngrams;
    ModelWordTexts texts;
    model_word_texts_init(&texts, 1, -1, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_failed(model_ngrams_learn(&ngrams, NULL, &texts, NULL, 0, &wrong[i]), REEL_STATUS_USAGE,
                         i < 3 ? "--char-ngrams" : "--ngram-min-df");
    model_word_texts_free(&texts);
    ck_assert_failed(model_ngrams_restore(&ngrams, twice, 3), REEL_STATUS_FAILED, "twice");
    model_ngrams_free(&ngrams);
    ck_assert_failed(model_ngrams_restore(&ngrams, empty, 2), REEL_STATUS_FAILED, "none");
    model_ngrams_free(&ngrams);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_ngrams_suite(void);
Suite *models_ngrams_suite(void)
{
    Suite *suite = suite_create("models/ngrams");
    TCase *tcase = tcase_create("ngrams");
    tcase_add_test(tcase, a_word_is_followed_by_its_pieces);
    tcase_add_test(tcase, pieces_are_of_characters_and_not_of_bytes);
    tcase_add_test(tcase, scripts_without_spaces_give_pieces_over_their_words);
    tcase_add_test(tcase, pieces_do_not_shorten_a_text);
    tcase_add_test(tcase, rare_pieces_go);
    tcase_add_test(tcase, they_are_the_same_in_training_and_prediction_and_on_any_threads);
    tcase_add_test(tcase, ascii_may_go_without);
    tcase_add_test(tcase, places_are_those_of_the_words);
    tcase_add_test(tcase, what_cannot_be_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
