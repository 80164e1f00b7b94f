#include "models/text/dataset.h"
#include "models/text/subwords.h"
#include "tensor/mem.h"
#include "tests/text_support.h"

#include <string.h>

static const char corpus_text[] = "text\tlabels\n"
                                  "lower lowest newest widest\ta\n"
                                  "newest newest widest lower\tb\n"
                                  "low low lower lowest\ta, b\n"
                                  "wide wider widest\tb\n"
                                  "new newer newest\ta\n";

static ReelStatus make(ModelDataset **dataset, ModelCorpus *corpus)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.byte_pairs = 24;
    ReelStatus status = model_corpus_parse(corpus, "memory", corpus_text, sizeof corpus_text - 1, NULL);
    return reel_status_is_ok(&status) ? model_dataset_new(dataset, corpus, "memory", &options) : status;
}

START_TEST(a_data_set_is_encoded_with_pairs_learned_from_its_training_part)
{
    ModelCorpus corpus = {0};
    ModelDataset *dataset = NULL;
    ReelStatus status = make(&dataset, &corpus);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_int_eq(dataset->text.tokenizer.vocab_size, model_bpe_vocab_size(dataset->text.tokenizer.bpe));
    ck_assert_int_le(dataset->text.tokenizer.vocab_size, 24);
    for (int64_t i = 0; i < dataset->train.count; i++) {
        int32_t ids[64], length = model_dataset_part_length(&dataset->train, i);
        ck_assert_ok(model_dataset_part_ids(&dataset->train, i, ids));
        ck_assert_int_eq(ids[0], MODEL_TOKEN_BOS);
        ck_assert_int_eq(ids[length - 1], MODEL_TOKEN_EOS);
        for (int32_t j = 1; j + 1 < length; j++)
            ck_assert(ids[j] >= MODEL_NUM_SPECIAL_TOKENS && ids[j] < dataset->text.tokenizer.vocab_size);
    }
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
}
END_TEST

START_TEST(a_copied_tokenizer_gives_the_same_ids)
{
    ModelCorpus corpus = {0};
    ModelDataset *dataset = NULL;
    ModelSubwords again = {0};
    ReelStatus status = make(&dataset, &corpus);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ModelTokenizer tokenizer;
    status = model_subwords_copy(&again, dataset->text.tokenizer.bpe, &tokenizer);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ModelTextSpan text = {.bytes = "newest lower unseen", .length = 19};
    ModelIdList a = {0}, b = {0};
    ck_assert(model_tokenizer_encode(&dataset->text.tokenizer, text, 64, &a));
    ck_assert(model_tokenizer_encode(&tokenizer, text, 64, &b));
    ck_assert_uint_eq(a.count, b.count);
    ck_assert_mem_eq(a.ids, b.ids, a.count * sizeof *a.ids);
    model_id_list_free(&a);
    model_id_list_free(&b);
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
    model_subwords_free(&again);
}
END_TEST

START_TEST(a_tokenizer_without_the_special_tokens_is_refused)
{
    ModelBpeOptions options = {.vocab_size = 20};
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    ReelStatus status = model_bpe_counter_add(counter, "aa ab aa", 8);
    ck_assert(reel_status_is_ok(&status));
    ModelBpeTokenizer *learned = NULL;
    status = model_bpe_train(&learned, counter);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    model_bpe_counter_free(counter);
    ModelSubwords subwords = {0};
    ModelTokenizer tokenizer;
    status = model_subwords_adopt(&subwords, learned, &tokenizer);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    ck_assert_ptr_nonnull(strstr(status.message, "<pad>"));
    model_subwords_free(&subwords);
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
