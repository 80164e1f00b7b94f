#include "models/text/words.h"
#include "tests/text_support.h"
#include "models/text/tokenizer.h"

#include <check.h>
#include <math.h>

static double weight(double n)
{
    return log(1 + log(n));
}

/* <bos> 7 5 7 <unk> <eos>, a text without words, 5. */
START_TEST(each_texts_words_come_once_with_their_weights)
{
    static const int32_t ids[] = {MODEL_TOKEN_BOS, 7, 5, 7, MODEL_TOKEN_UNK, MODEL_TOKEN_EOS,
                                  MODEL_TOKEN_UNK, 5},
                         offsets[] = {0, 6, 7, 8};
    static const int32_t words_of[] = {5, 7, 5}, texts[] = {0, 0, 2};
    const double n[] = {1 + 3 * exp(-1.0 / 8), 2 + 3 + 3 * exp(-2.0 / 8), 1 + 3 * exp(1.0 / 8)};
    TensorArena arena;
    ModelTextWords words;
    tensor_arena_init(&arena, 0);
    ck_assert(model_text_words(&words, &arena, text_support_texts(ids, offsets, 3), 3, 0));
    ck_assert_int_eq(words.count, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(words.ids[i], words_of[i]);
        ck_assert_int_eq(words.texts[i], texts[i]);
        ck_assert_double_eq_tol(words.log_weights[i], weight(n[i]), 1e-14);
    }
    ck_assert(model_text_words(&words, &arena, &(NnIds){ids + 6, 1}, 1, 0));
    ck_assert_int_eq(words.count, 0);
    ck_assert(model_text_words(&words, &arena, &(NnIds){(const int32_t[]){-3}, 1}, 1, 0));
    ck_assert_int_eq(words.count, 1); /* the embedding says what is wrong with it */
    tensor_arena_free(&arena);
}
END_TEST

Suite *models_words_suite(void);
Suite *models_words_suite(void)
{
    Suite *suite = suite_create("models/words");
    TCase *c = tcase_create("words");
    tcase_add_test(c, each_texts_words_come_once_with_their_weights);
    suite_add_tcase(suite, c);
    return suite;
}
