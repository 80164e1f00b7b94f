#include "tests/bpe_support.h"
#include "tensor/mem.h"

/* The definition: the lowest rank, leftmost among equals, until there is none. */
static size_t naive(const ModelBpeTokenizer *t, uint32_t *symbols, size_t count)
{
    for (;;) {
        uint32_t lowest = BPE_NO_RANK;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t rank = bpe_pair_rank(t, symbols[i], symbols[i + 1]);
            if (rank < lowest) {
                lowest = rank;
                at = i;
            }
        }
        if (lowest == BPE_NO_RANK)
            return count;
        symbols[at] = t->merges[lowest].product;
        count--;
        memmove(symbols + at + 1, symbols + at + 2, (count - at - 1) * sizeof *symbols);
    }
}

/* All three ways and, where the word is short enough, the one for many words at once. */
static void check(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    BpeScratch scratch = {0};
    size_t count, expected_count;
    ck_assert(model_bpe_piece_symbols(t, &scratch, text, size, &count));
    uint32_t *expected = reel_mem_alloc((count + 1) * sizeof *expected);
    memcpy(expected, scratch.symbols, count * sizeof *expected);
    BpeShortWord word = {.alive = count > 0 && count <= BPE_LANES ? (1u << count) - 1 : 0};
    if (word.alive) {
        memcpy(word.symbols, expected, count * sizeof *expected);
        model_bpe_merge_words(t, &word, 1);
    }
    expected_count = naive(t, expected, count);
    ck_assert(model_bpe_merge_symbols(t, &scratch, &count, 0, NULL));
    ck_assert_uint_eq(count, expected_count);
    ck_assert_int_eq(memcmp(scratch.symbols, expected, count * sizeof *expected), 0);
    size_t at = 0;
    for (uint32_t left = word.alive; left; left &= left - 1)
        ck_assert_uint_eq(word.symbols[__builtin_ctz(left)], expected[at++]);
    ck_assert(!word.alive || at == count);
    reel_mem_free(expected);
    model_bpe_scratch_free(&scratch);
}

static void fill(TensorRandom *random, char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + tensor_random_below(random, 2 + tensor_random_below(random, 2)));
}

/* Ranks in the order of learning, and in any order. */
static ModelBpeTokenizer *tokenizer(TensorRandom *random, bool shuffled)
{
    char text[600];
    fill(random, text, sizeof text);
    for (size_t i = 9; i < sizeof text; i += 10)
        text[i] = ' ';
    memcpy(text, "z ", 2); /* of the alphabet, and in no merge */
    ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){.vocab_size = 60}, text, sizeof text), *other;
    ck_assert(t->rising);
    if (!shuffled)
        return t;
    ModelBpeTokenizer parts = {.config = t->config,
                               .merges = reel_mem_alloc(t->merge_count * sizeof *t->merges)};
    for (size_t i = 0; i < (size_t)t->tokens.count; i++)
        ck_assert(model_string_table_append(&parts.tokens, model_string_table_span(&t->tokens, i)) >= 0);
    int32_t order[64];
    tensor_random_permutation(random, order, (int32_t)t->merge_count);
    for (size_t i = 0; i < t->merge_count; i++)
        parts.merges[parts.merge_count++] = t->merges[order[i]];
    ck_assert_ok(model_bpe_tokenizer_make(&other, &parts));
    model_bpe_tokenizer_free(t);
    return other;
}

START_TEST(every_length_as_defined)
{
    TensorRandom random = tensor_random_new(3, 1);
    char text[300];
    for (int round = 0; round < 12; round++) {
        ModelBpeTokenizer *t = tokenizer(&random, round % 2);
        for (size_t size = 0; size < sizeof text; size++) {
            fill(&random, text, size);
            check(t, text, size);
        }
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

/* 20,000 symbols and more go by lists, if ranks rise: against the heap, which other ranks force. */
START_TEST(very_long_as_by_the_heap)
{
    TensorRandom random = tensor_random_new(4, 1);
    enum { SIZE = 30000 };
    char *text = reel_mem_alloc(SIZE);
    fill(&random, text, SIZE);
    memset(text, 'a', 5000);
    ModelBpeTokenizer *t = tokenizer(&random, false);
    ModelBpeIds by_lists = bpe_support_encode(t, text, SIZE);
    t->rising = false;
    ModelBpeIds by_heap = bpe_support_encode(t, text, SIZE);
    ck_assert_uint_eq(by_lists.count, by_heap.count);
    ck_assert_int_eq(memcmp(by_lists.ids, by_heap.ids, by_heap.count * sizeof *by_heap.ids), 0);
    model_bpe_ids_free(&by_lists);
    model_bpe_ids_free(&by_heap);
    model_bpe_tokenizer_free(t);
    reel_mem_free(text);
}
END_TEST

/* Where ranks do not rise a merge may make a pair that an earlier one joins: such lengths do not go by lists.
 */
START_TEST(very_long_with_ranks_in_any_order)
{
    TensorRandom random = tensor_random_new(5, 1);
    enum { BLOCK = 40, BLOCKS = 600 };
    static char text[BLOCK * BLOCKS];
    for (int round = 0; round < 4; round++) {
        ModelBpeTokenizer *t = tokenizer(&random, true);
        fill(&random, text, BLOCK);
        text[BLOCK - 1] = 'z'; /* no merge crosses it */
        for (size_t i = BLOCK; i < sizeof text; i++)
            text[i] = text[i - BLOCK];
        ModelBpeIds one = bpe_support_encode(t, text, BLOCK), all = bpe_support_encode(t, text, sizeof text);
        ck_assert(!t->rising);
        ck_assert_uint_eq(all.count, BLOCKS * one.count);
        for (size_t i = 0; i < all.count; i++)
            ck_assert_int_eq(all.ids[i], one.ids[i % one.count]);
        model_bpe_ids_free(&one);
        model_bpe_ids_free(&all);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

Suite *models_bpe_merge_suite(void);
Suite *models_bpe_merge_suite(void)
{
    Suite *suite = suite_create("models/bpe_merge");
    TCase *tcase = tcase_create("merging");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_length_as_defined);
    tcase_add_test(tcase, very_long_as_by_the_heap);
    tcase_add_test(tcase, very_long_with_ranks_in_any_order);
    suite_add_tcase(suite, tcase);
    return suite;
}
