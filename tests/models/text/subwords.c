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

static ReelStatus make(Dataset **dataset, Corpus *corpus)
{
    DatasetOptions options = dataset_defaults();
    options.byte_pairs = 24;
    ReelStatus status = corpus_parse(corpus, "memory", corpus_text, sizeof corpus_text - 1, NULL);
    return reel_status_is_ok(&status) ? dataset_new(dataset, corpus, "memory", &options) : status;
}

START_TEST(a_data_set_is_encoded_with_pairs_learned_from_its_training_part)
{
    Corpus corpus = {0};
    Dataset *dataset = NULL;
    ReelStatus status = make(&dataset, &corpus);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_int_eq(dataset->text.tokenizer.vocab_size, bpe_vocab_size(dataset->text.tokenizer.bpe));
    ck_assert_int_le(dataset->text.tokenizer.vocab_size, 24);
    for (int64_t i = 0; i < dataset->train.count; i++) {
        const int32_t *ids = dataset->train.ids + dataset->train.offsets[i];
        int64_t length = dataset->train.offsets[i + 1] - dataset->train.offsets[i];
        ck_assert_int_eq(ids[0], TOKEN_BOS);
        ck_assert_int_eq(ids[length - 1], TOKEN_EOS);
        for (int64_t j = 1; j + 1 < length; j++)
            ck_assert(ids[j] >= NUM_SPECIAL_TOKENS && ids[j] < dataset->text.tokenizer.vocab_size);
    }
    dataset_free(dataset);
    corpus_free(&corpus);
}
END_TEST

START_TEST(a_copied_tokenizer_gives_the_same_ids)
{
    Corpus corpus = {0};
    Dataset *dataset = NULL;
    Subwords again = {0};
    ReelStatus status = make(&dataset, &corpus);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    Tokenizer tokenizer;
    status = subwords_copy(&again, dataset->text.tokenizer.bpe, &tokenizer);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    TextSpan text = {.bytes = "newest lower unseen", .length = 19};
    IdList a = {0}, b = {0};
    ck_assert(tokenizer_encode(&dataset->text.tokenizer, text, 64, &a));
    ck_assert(tokenizer_encode(&tokenizer, text, 64, &b));
    ck_assert_uint_eq(a.count, b.count);
    ck_assert_mem_eq(a.ids, b.ids, a.count * sizeof *a.ids);
    id_list_free(&a);
    id_list_free(&b);
    dataset_free(dataset);
    corpus_free(&corpus);
    subwords_free(&again);
}
END_TEST

START_TEST(a_tokenizer_without_the_special_tokens_is_refused)
{
    BpeOptions options = {.vocab_size = 20};
    BpeCounter *counter = bpe_counter_new(&options);
    ReelStatus status = bpe_counter_add(counter, "aa ab aa", 8);
    ck_assert(reel_status_is_ok(&status));
    BpeTokenizer *learned = NULL;
    status = bpe_train(&learned, counter);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    bpe_counter_free(counter);
    Subwords subwords = {0};
    Tokenizer tokenizer;
    status = subwords_adopt(&subwords, learned, &tokenizer);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
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
    tcase_add_test(tcase, a_copied_tokenizer_gives_the_same_ids);
    tcase_add_test(tcase, a_tokenizer_without_the_special_tokens_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
