#include "tests/bpe_support.h"
#include "tensor/mem_internal.h"
#include "tensor/random.h"
#include "tests/shell_support.h"

#include <stdio.h>

static const char TEXT[] = "tests/fixtures/bpe/text.txt";

/* ---- Against Hugging Face and subword-nmt ---- */

static void check_learned(ModelBpeOptions options, const char *json, const char *ids)
{
    for (int threads = 1; threads <= 3; threads++) {
        options.threads = threads;
        ModelBpeTokenizer *learned = bpe_support_learn_file(options, TEXT),
                          *expected = bpe_support_load(json);
        bpe_support_check_same(learned, expected);
        bpe_support_check_ids(learned, ids);
        model_bpe_tokenizer_free(learned);
        model_bpe_tokenizer_free(expected);
    }
}

START_TEST(whitespace_as_hugging_face)
{
    static const char *const specials[] = {"<pad>", "<unk>"};
    check_learned(
        (ModelBpeOptions){
            .vocab_size = 400, .special_tokens = specials, .special_count = 2, .unk_token = "<unk>"},
        "whitespace.json", "whitespace.ids");
}
END_TEST

START_TEST(byte_level_as_hugging_face)
{
    check_learned((ModelBpeOptions){.pretokenizer = MODEL_BPE_BYTELEVEL, .vocab_size = 600}, "bytelevel.json",
                  "bytelevel.ids");
}
END_TEST

/* A special token whose text is learned keeps its id; a least frequency, a longest token, a blank in front.
 */
START_TEST(all_options_as_hugging_face)
{
    static const char *const specials[] = {"<s>", "th"};
    check_learned((ModelBpeOptions){.pretokenizer = MODEL_BPE_BYTELEVEL,
                                    .vocab_size = 600,
                                    .min_frequency = 3,
                                    .max_token_length = 5,
                                    .special_tokens = specials,
                                    .special_count = 2,
                                    .add_prefix_space = true},
                  "limited.json", "limited.ids");
}
END_TEST

/* In symbols and exclusive, but that every pair of two may be merged, as in Hugging Face's trainer. */
START_TEST(the_longest_token_has_one_symbol_less)
{
    static const char text[] = "abcdefgh abcdefgh abcdefgh";
    for (int limit = 1; limit <= 10; limit++) {
        size_t longest = 0, size;
        ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){.pretokenizer = MODEL_BPE_WHITESPACE,
                                                                   .vocab_size = 100,
                                                                   .max_token_length = limit},
                                                 text, sizeof text - 1);
        for (int64_t id = 0; id < model_bpe_vocab_size(t); id++) {
            model_bpe_token_text(t, (int32_t)id, &size);
            longest = size > longest ? size : longest;
        }
        ck_assert_uint_eq(longest, limit <= 4 ? 2 : limit <= 8 ? 4 : 8); /* tokens double */
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

START_TEST(merges_as_subword_nmt)
{
    ModelBpeTokenizer *t = bpe_support_learn_file(
        (ModelBpeOptions){.pretokenizer = MODEL_BPE_SUBWORD_NMT, .max_merges = 300}, TEXT);
    ReelBytes codes = bpe_support_fixture("codes"), got = {0};
    ck_assert(reel_bytes_append(&got, "#version: 0.2\n", 14));
    int32_t left, right, product;
    for (int64_t rank = 0; model_bpe_merge(t, rank, &left, &right, &product); rank++) {
        char line[256];
        int size = snprintf(line, sizeof line, "%s %s\n", model_bpe_token_text(t, left, NULL),
                            model_bpe_token_text(t, right, NULL));
        ck_assert(reel_bytes_append(&got, line, (size_t)size));
    }
    ck_assert_uint_eq(got.size, codes.size);
    ck_assert_int_eq(memcmp(got.data, codes.data, codes.size), 0);
    reel_bytes_free(&codes);
    reel_bytes_free(&got);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* ---- Against the rule itself, counted anew before each merge ---- */

enum { MOST = 400 };

/* One word of byte symbols with repeats; the words of a text are separated by blanks. */
typedef struct Naive {
    uint32_t symbols[MOST];
    size_t count;
} Naive;

static uint32_t pair_count(const Naive *words, size_t word_count, uint32_t left, uint32_t right)
{
    uint32_t count = 0;
    for (size_t w = 0; w < word_count; w++)
        for (size_t i = 0; i + 1 < words[w].count; i++)
            count += words[w].symbols[i] == left && words[w].symbols[i + 1] == right;
    return count;
}

static void naive_merge(Naive *word, uint32_t left, uint32_t right, uint32_t product)
{
    size_t kept = 0;
    for (size_t i = 0; i < word->count; kept++) {
        bool both = i + 1 < word->count && word->symbols[i] == left && word->symbols[i + 1] == right;
        word->symbols[kept] = both ? product : word->symbols[i];
        i += both ? 2 : 1;
    }
    word->count = kept;
}

/* The best pair: highest count, then the smallest ids. Returns its count. */
static uint32_t naive_best(const Naive *words, size_t word_count, uint32_t *left, uint32_t *right)
{
    uint32_t best = 0;
    for (size_t w = 0; w < word_count; w++)
        for (size_t i = 0; i + 1 < words[w].count; i++) {
            uint32_t a = words[w].symbols[i], b = words[w].symbols[i + 1],
                     n = pair_count(words, word_count, a, b);
            if (n > best || (n == best && (a < *left || (a == *left && b < *right)))) {
                best = n;
                *left = a;
                *right = b;
            }
        }
    return best;
}

static size_t naive_words(const ModelBpeTokenizer *t, const char *text, Naive *words)
{
    size_t count = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] == ' ')
            continue;
        if (i == 0 || text[i - 1] == ' ')
            words[count++].count = 0;
        Naive *word = &words[count - 1];
        word->symbols[word->count++] = (uint32_t)model_bpe_token_id(t, &text[i], 1);
    }
    return count;
}

START_TEST(merges_follow_the_rule)
{
    TensorRandom random = tensor_random_new(7, 2);
    static Naive words[MOST];
    for (int round = 0; round < 120; round++) {
        char text[MOST] = "";
        size_t size = 1 + tensor_random_below(&random, MOST - 2);
        uint32_t letters = 1 + tensor_random_below(&random, 4),
                 blanks = tensor_random_below(&random, 3) ? 8 : 1000;
        for (size_t i = 0; i < size; i++)
            text[i] = tensor_random_below(&random, blanks) == 0
                          ? ' '
                          : (char)('a' + tensor_random_below(&random, letters));
        ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){0}, text, size);
        size_t word_count = naive_words(t, text, words);
        int32_t left, right, product;
        for (int64_t rank = 0; model_bpe_merge(t, rank, &left, &right, &product); rank++) {
            uint32_t a = 0, b = 0;
            ck_assert_uint_gt(naive_best(words, word_count, &a, &b), 0);
            ck_assert_msg(a == (uint32_t)left && b == (uint32_t)right, "round %d, merge %d: %s", round,
                          (int)rank, text);
            for (size_t w = 0; w < word_count; w++)
                naive_merge(&words[w], a, b, (uint32_t)product);
        }
        for (size_t w = 0; w < word_count; w++)
            ck_assert_uint_eq(words[w].count, 1);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

/* Large enough that the floor is lowered several times, with counts above the buckets. */
START_TEST(phases_change_nothing)
{
    ReelBytes text = {0};
    TensorRandom random = tensor_random_new(11, 3);
    for (int i = 0; i < 200000; i++) {
        char word[4] = {(char)('a' + tensor_random_below(&random, 3)),
                        (char)('a' + tensor_random_below(&random, 2)), 'z', ' '};
        ck_assert(reel_bytes_append(&text, word + tensor_random_below(&random, 2),
                                    3 - tensor_random_below(&random, 2)));
        if (i % 3 == 0)
            ck_assert(reel_bytes_append(&text, " ", 1));
    }
    ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){.vocab_size = 2000}, text.data, text.size);
    ModelBpeIds ids = bpe_support_encode(t, text.data, text.size);
    int64_t *counts = reel_mem_calloc((size_t)model_bpe_vocab_size(t), sizeof *counts);
    for (size_t i = 0; i < ids.count; i++)
        counts[ids.ids[i]]++;
    ck_assert_int_eq(model_bpe_vocab_size(t), 2000);
    ck_assert_uint_lt(ids.count * 3, text.size);
    ck_assert_int_gt(counts[1999], 0);
    reel_mem_free(counts);
    model_bpe_ids_free(&ids);
    reel_bytes_free(&text);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(one_letter_a_hundred_thousand_times)
{
    size_t size = 100000;
    char *text = reel_mem_alloc(size);
    memset(text, 'a', size);
    ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){.vocab_size = 1000}, text, size);
    ModelBpeIds ids = bpe_support_encode(t, text, size);
    ck_assert_uint_eq(ids.count, 1);
    ck_assert_int_lt(model_bpe_vocab_size(t), 60);
    model_bpe_ids_free(&ids);
    model_bpe_tokenizer_free(t);
    reel_mem_free(text);
}
END_TEST

START_TEST(nothing_to_learn_from)
{
    static const char *const texts[] = {"", " \n ", "a b"};
    for (size_t i = 0; i < 3; i++) {
        ModelBpeTokenizer *t =
            bpe_support_learn((ModelBpeOptions){.vocab_size = 100}, texts[i], strlen(texts[i]));
        ck_assert_int_eq(model_bpe_merge_count(t), 0);
        ck_assert_int_eq(model_bpe_vocab_size(t), i == 2 ? 2 : 0);
        ModelBpeIds ids = bpe_support_encode(t, "ab", 2);
        ck_assert_uint_eq(ids.count, i == 2 ? 2 : 0);
        model_bpe_ids_free(&ids);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

static ReelStatus learn_with(ModelBpeOptions options)
{
    ModelBpeTokenizer *t;
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    ReelStatus status = model_bpe_train(&t, counter);
    ck_assert(reel_status_is_ok(&status) || t == NULL);
    model_bpe_tokenizer_free(t);
    model_bpe_counter_free(counter);
    return status;
}

START_TEST(bad_options_are_usage_errors)
{
    static const char *const twice[] = {"<a>", "<a>"}, *const broken[] = {"\xFF"}, *const empty[] = {""};
    ck_assert_failed(learn_with((ModelBpeOptions){.vocab_size = -1}), REEL_STATUS_USAGE, "vocabulary");
    ck_assert_failed(learn_with((ModelBpeOptions){.min_frequency = -1}), REEL_STATUS_USAGE, "negative");
    ck_assert_failed(learn_with((ModelBpeOptions){.special_tokens = twice, .special_count = 2}),
                     REEL_STATUS_USAGE, "twice");
    ck_assert_failed(learn_with((ModelBpeOptions){.special_tokens = broken, .special_count = 1}),
                     REEL_STATUS_USAGE, "UTF-8");
    ck_assert_failed(learn_with((ModelBpeOptions){.special_tokens = empty, .special_count = 1}),
                     REEL_STATUS_USAGE, "empty");
    ck_assert_failed(learn_with((ModelBpeOptions){.unk_token = "<u>"}), REEL_STATUS_USAGE,
                     "not one of the special");
    ModelBpeCounter *counter = model_bpe_counter_new(&(ModelBpeOptions){0});
    ck_assert_failed(model_bpe_counter_add_file(counter, "no/such/file"), REEL_STATUS_FAILED, "no/such/file");
    model_bpe_counter_free(counter);
}
END_TEST

/* A special token whose text is that of a symbol or a merge at the end of a word, and of a merge of what the
 * text itself spells out: it stands for one of them. */
START_TEST(special_tokens_that_end_a_word)
{
    static const char *const specials[] = {"a</w>", "ab</w>", "za</w>"};
    static const char text[] = "ab</w>x ab ab zab zab</w>y ab</w>x zzab yab za</w>q a a a za za\n";
    for (size_t count = 0; count <= 3; count++) {
        ModelBpeOptions options = {.pretokenizer = MODEL_BPE_SUBWORD_NMT,
                                   .vocab_size = 200,
                                   .min_frequency = 1,
                                   .special_tokens = specials,
                                   .special_count = count};
        ModelBpeTokenizer *t = bpe_support_learn(options, text, sizeof text - 1);
        for (int32_t id = (int32_t)count; id < model_bpe_vocab_size(t); id++) {
            size_t size;
            const char *token = model_bpe_token_text(t, id, &size);
            ck_assert_int_eq(model_bpe_token_id(t, token, size), id);
        }
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

static uint64_t total_of(const ModelBpeCounter *counter)
{
    uint64_t total = 0;
    BpeWord word;
    for (size_t i = 0; i < model_bpe_counter_slots(counter); i++)
        total += model_bpe_counter_word(counter, i, &word) ? word.count : 0;
    return total;
}

/* Counts are brought together in two goes, the first of which runs out of memory midway. */
START_TEST(no_memory_counts_nothing_twice)
{
    enum { WORDS = 600000 };
    ReelBytes text = {0};
    TensorRandom random = tensor_random_new(3, 1);
    for (int i = 0; i < WORDS; i++) {
        char word[32];
        int size = snprintf(word, sizeof word, "%x\n", tensor_random_below(&random, 100000));
        ck_assert(reel_bytes_append(&text, word, (size_t)size));
    }
    const char *path = text_support_file(text.data, text.size);
    for (int n = 0; n < 3; n++) {
        ModelBpeOptions options = {.threads = 4};
        ModelBpeCounter *counter = model_bpe_counter_new(&options);
        ck_assert_ok(model_bpe_counter_add_file(counter, path));
        reel_mem_fail_at(n, 1);
        model_bpe_counter_counts(counter);
        reel_mem_fail_at(-1, 0);
        ck_assert(model_bpe_counter_gather(counter));
        ck_assert_uint_eq(total_of(counter), WORDS);
        ck_assert_uint_eq(model_bpe_counter_counts(counter).pieces, WORDS);
        model_bpe_counter_free(counter);
    }
    reel_bytes_free(&text);
}
END_TEST

/* With half of a key equal to what it is mixed with, a product alone would be 0 whatever the other half. */
START_TEST(no_half_of_a_key_hides_the_other)
{
    uint64_t low = 0x9E3779B97F4A7C15u, high = 0xD1B54A32D192ED03u, inner[4] = {0, high, 1, 2};
    ck_assert(bpe_key_hash((BpeKey){low, 1}) != bpe_key_hash((BpeKey){low, 2}));
    ck_assert(bpe_key_hash((BpeKey){1, high}) != bpe_key_hash((BpeKey){2, high}));
    uint64_t hash = model_bpe_hash_bytes((const char *)inner, sizeof inner);
    inner[0] = 1;
    ck_assert(model_bpe_hash_bytes((const char *)inner, sizeof inner) != hash);
}
END_TEST

/* Any allocation may fail: an error, nothing leaked, and the same result once there is memory. */
START_TEST(no_memory_is_an_error)
{
    static const char text[] =
        "a long enough text to learn from, aaaa bbbb abab the the a_word_longer_than_a_slot ab";
    bool worked = false;
    ModelBpeTokenizer *expected =
        bpe_support_learn((ModelBpeOptions){.vocab_size = 40}, text, sizeof text - 1);
    int64_t live = reel_mem_stats().live_blocks;
    for (int n = 0; !worked && n < 1000; n++) { /* one allocation, then that one and all behind it */
        ModelBpeOptions options = {.vocab_size = 40};
        ModelBpeTokenizer *t = NULL;
        reel_mem_fail_at(n / 2, n % 2);
        ModelBpeCounter *counter = model_bpe_counter_new(&options);
        ReelStatus status =
            counter ? model_bpe_counter_add(counter, text, sizeof text - 1) : reel_status_failed("memory");
        if (reel_status_is_ok(&status))
            status = model_bpe_train(&t, counter);
        reel_mem_fail_at(-1, 0);
        worked = reel_status_is_ok(&status) && n % 2;
        ck_assert(reel_status_is_ok(&status) == (t != NULL));
        if (t)
            bpe_support_check_same(t, expected);
        model_bpe_tokenizer_free(t);
        model_bpe_counter_free(counter);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert(worked);
    model_bpe_tokenizer_free(expected);
}
END_TEST

/* A line is read in blocks of 1 MB and is one text all the same: cut at a blank, byte level would learn words
 * that do not begin with one. */
START_TEST(a_line_of_more_than_a_block_is_not_cut)
{
    const char *folder = shell_folder();
    char path[200];
    snprintf(path, sizeof path, "%s/line.txt", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("zz", file);
    for (int i = 0; i < 300000; i++)
        fputs(" ab ac", file); /* the blank and the a are merged first */
    fputs("\n", file);
    fclose(file);
    for (int threads = 1; threads <= 2; threads++) {
        ModelBpeTokenizer *t = bpe_support_learn_file(
            (ModelBpeOptions){.pretokenizer = MODEL_BPE_BYTELEVEL, .vocab_size = 300, .threads = threads},
            path);
        ck_assert_int_ge(model_bpe_token_id(t,
                                            "\xC4\xA0"
                                            "ab",
                                            4),
                         0);
        ck_assert_int_ge(model_bpe_token_id(t, "zz", 2), 0);
        ck_assert(model_bpe_token_id(t, "ab", 2) < 0 && model_bpe_token_id(t, "ac", 2) < 0);
        model_bpe_tokenizer_free(t);
    }
    shell_remove_folder(folder);
}
END_TEST

Suite *models_bpe_train_suite(void);
Suite *models_bpe_train_suite(void)
{
    Suite *suite = suite_create("models/bpe_train");
    TCase *tcase = tcase_create("training");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, whitespace_as_hugging_face);
    bpe_support_add(tcase, byte_level_as_hugging_face);
    bpe_support_add(tcase, all_options_as_hugging_face);
    tcase_add_test(tcase, the_longest_token_has_one_symbol_less);
    tcase_add_test(tcase, merges_as_subword_nmt);
    bpe_support_add(tcase, a_line_of_more_than_a_block_is_not_cut);
    tcase_add_test(tcase, merges_follow_the_rule);
    tcase_add_test(tcase, phases_change_nothing);
    tcase_add_test(tcase, one_letter_a_hundred_thousand_times);
    tcase_add_test(tcase, nothing_to_learn_from);
    tcase_add_test(tcase, bad_options_are_usage_errors);
    tcase_add_test(tcase, special_tokens_that_end_a_word);
    tcase_add_test(tcase, no_memory_counts_nothing_twice);
    tcase_add_test(tcase, no_half_of_a_key_hides_the_other);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}
