#include "models/text/dataset.h"
#include "models/text/subwords.h"
#include "tensor/mem.h"

#include <check.h>
#include <string.h>

static const char corpus_text[] = "text\tlabels\n"
                                  "lower lowest newest widest\ta\n"
                                  "newest newest widest lower\tb\n"
                                  "low low lower lowest\ta, b\n"
                                  "wide wider widest\tb\n"
                                  "new newer newest\ta\n";

static Status make(Dataset **dataset, Subwords *subwords, Corpus *corpus)
{
    DatasetOptions options = dataset_defaults();
    options.fit = subwords_fit;
    options.fit_context = subwords;
    Status status = corpus_parse(corpus, "memory", corpus_text, sizeof corpus_text - 1, NULL);
    return status_is_ok(&status) ? dataset_new(dataset, corpus, "memory", &options) : status;
}

START_TEST(a_data_set_is_encoded_with_pairs_learned_from_its_training_part)
{
    Corpus corpus = {0};
    Dataset *dataset = NULL;
    Subwords subwords = {.vocabulary = 24};
    Status status = make(&dataset, &subwords, &corpus);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    ck_assert_int_eq(dataset->tokenizer.vocab_size, bpe_vocab_size(subwords.tokenizer));
    ck_assert_int_le(dataset->tokenizer.vocab_size, 24);
    for (int64_t i = 0; i < dataset->train.count; i++) {
        const int32_t *ids = dataset->train.ids + dataset->train.offsets[i];
        int64_t length = dataset->train.offsets[i + 1] - dataset->train.offsets[i];
        ck_assert_int_eq(ids[0], TOKEN_BOS);
        ck_assert_int_eq(ids[length - 1], TOKEN_EOS);
        for (int64_t j = 1; j + 1 < length; j++)
            ck_assert(ids[j] >= NUM_SPECIAL_TOKENS && ids[j] < dataset->tokenizer.vocab_size);
    }
    dataset_free(dataset);
    corpus_free(&corpus);
    subwords_free(&subwords);
}
END_TEST

START_TEST(an_adopted_tokenizer_gives_the_same_ids)
{
    Corpus corpus = {0};
    Dataset *dataset = NULL;
    Subwords subwords = {.vocabulary = 24}, again = {0};
    Status status = make(&dataset, &subwords, &corpus);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    Bytes json = {0};
    BpeTokenizer *copy = NULL;
    status = bpe_to_json(subwords.tokenizer, &json);
    ck_assert(status_is_ok(&status));
    status = bpe_from_json(&copy, json.data, json.size, "memory");
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    Tokenizer tokenizer;
    status = subwords_adopt(&again, copy, &tokenizer);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    TextSpan text = {.bytes = "newest lower unseen", .length = 19};
    IdList a = {0}, b = {0};
    ck_assert(tokenizer_encode(&dataset->tokenizer, text, 64, &a));
    ck_assert(tokenizer_encode(&tokenizer, text, 64, &b));
    ck_assert_uint_eq(a.count, b.count);
    ck_assert_mem_eq(a.ids, b.ids, a.count * sizeof *a.ids);
    id_list_free(&a);
    id_list_free(&b);
    bytes_free(&json);
    dataset_free(dataset);
    corpus_free(&corpus);
    subwords_free(&subwords);
    subwords_free(&again);
}
END_TEST

START_TEST(a_tokenizer_without_the_special_tokens_is_refused)
{
    BpeOptions options = {.vocab_size = 20};
    BpeCounter *counter = bpe_counter_new(&options);
    Status status = bpe_counter_add(counter, "aa ab aa", 8);
    ck_assert(status_is_ok(&status));
    BpeTokenizer *learned = NULL;
    status = bpe_train(&learned, counter);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    bpe_counter_free(counter);
    Subwords subwords = {0};
    Tokenizer tokenizer;
    status = subwords_adopt(&subwords, learned, &tokenizer);
    ck_assert_int_eq(status.code, STATUS_FAILED);
    ck_assert_ptr_nonnull(strstr(status.message, "<pad>"));
    subwords_free(&subwords);
}
END_TEST

Suite *models_subwords_suite(void);
Suite *models_subwords_suite(void)
{
    Suite *suite = suite_create("models/subwords");
    TCase *tcase = tcase_create("subwords");
    tcase_add_test(tcase, a_data_set_is_encoded_with_pairs_learned_from_its_training_part);
    tcase_add_test(tcase, an_adopted_tokenizer_gives_the_same_ids);
    tcase_add_test(tcase, a_tokenizer_without_the_special_tokens_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
