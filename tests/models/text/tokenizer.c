#include "models/text/tokenizer.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

/* One id a byte; "!" is no memory. */
static bool encode_bytes(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    int32_t shift = *(const int32_t *)state;
    for (size_t i = 0; i < text.length && i < limit; i++)
        if (text.bytes[i] == '!' || !model_id_list_push(list, text.bytes[i] + shift))
            return false;
    return true;
}

static const int32_t SHIFT = 1000;
static const ModelTokenizer BYTES = {.state = &SHIFT, .vocab_size = 1256, .encode = encode_bytes};

START_TEST(texts_stand_between_bos_and_eos)
{
    ModelIdList list = {0};
    ck_assert(model_tokenizer_encode(&BYTES, model_text_span("abc"), 64, &list));
    ck_assert(model_tokenizer_encode(&BYTES, model_text_span(""), 64, &list));
    ck_assert(model_tokenizer_encode(&BYTES, model_text_span("abc"), 4, &list));
    static const int32_t expected[] = {2, 1097, 1098, 1099, 3, 2, 1, 3, 2, 1097, 1098, 3};
    ck_assert_uint_eq(list.count, sizeof expected / sizeof *expected);
    ck_assert_mem_eq(list.ids, expected, sizeof expected);
    model_id_list_free(&list);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(no_memory_leaves_the_list_as_it_was)
{
    ModelIdList list = {0};
    reel_mem_fail_at(0, 0);
    ck_assert(!model_tokenizer_encode(&BYTES, model_text_span("abc"), 64, &list));
    reel_mem_fail_at(-1, 0);
    ck_assert_uint_eq(list.count, 0);
    ck_assert(model_tokenizer_encode(&BYTES, model_text_span("abc"), 64, &list));
    ck_assert(!model_tokenizer_encode(&BYTES, model_text_span("ab!"), 64, &list));
    ck_assert_uint_eq(list.count, 5);
    model_id_list_free(&list);
}
END_TEST

Suite *models_tokenizer_suite(void);
Suite *models_tokenizer_suite(void)
{
    Suite *suite = suite_create("models/tokenizer");
    TCase *tcase = tcase_create("tokenizer");
    tcase_add_test(tcase, texts_stand_between_bos_and_eos);
    tcase_add_test(tcase, no_memory_leaves_the_list_as_it_was);
    suite_add_tcase(suite, tcase);
    return suite;
}
