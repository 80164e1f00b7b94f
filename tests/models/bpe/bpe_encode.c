#define _GNU_SOURCE /* MAP_NORESERVE */
#include "tests/bpe_support.h"
#include "tensor/mem_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Unknown symbols by bytes and fused, whole pieces, an added token that eats the blank before it. */
START_TEST(odd_settings_as_hugging_face)
{
    ModelBpeTokenizer *t = bpe_support_load("odd.json");
    ck_assert(!t->rising);
    bpe_support_check_ids(t, "odd.ids");
    model_bpe_tokenizer_free(t);
}
END_TEST

/* subword-nmt writes "@@" behind a token that does not end its word. */
START_TEST(tokens_as_subword_nmt)
{
    ModelBpeTokenizer *t =
        bpe_support_learn_file((ModelBpeOptions){.pretokenizer = MODEL_BPE_SUBWORD_NMT, .max_merges = 300},
                               "tests/fixtures/bpe/text.txt");
    ReelBytes text = bpe_support_fixture("text.txt"), expected = bpe_support_fixture("codes.out"), got = {0};
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    ModelBpeIds ids = {0}, ends = {0};
    ck_assert_ok(model_bpe_encode_lines(encoder, text.data, text.size, &ids, &ends));
    size_t at = 0;
    for (size_t line = 0; line < ends.count; line++) {
        for (size_t begin = at; at < (size_t)ends.ids[line]; at++) {
            size_t size;
            const char *token = model_bpe_token_text(t, ids.ids[at], &size);
            bool final = size >= 4 && strcmp(token + size - 4, BPE_WORD_END) == 0;
            ck_assert(at == begin || reel_bytes_append(&got, " ", 1));
            ck_assert(reel_bytes_append(&got, token, final ? size - 4 : size));
            ck_assert(final || reel_bytes_append(&got, "@@", 2));
        }
        ck_assert(reel_bytes_append(&got, "\n", 1));
    }
    ck_assert_uint_eq(got.size, expected.size);
    ck_assert_int_eq(memcmp(got.data, expected.data, got.size), 0);
    model_bpe_encoder_free(encoder);
    model_bpe_ids_free(&ids);
    model_bpe_ids_free(&ends);
    reel_bytes_free(&text);
    reel_bytes_free(&expected);
    reel_bytes_free(&got);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* decode(encode(x)) == x for any bytes, from a block of the exact size. */
START_TEST(byte_level_gives_back_any_bytes)
{
    ModelBpeTokenizer *t = bpe_support_load("bytelevel.json");
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    TensorRandom random = tensor_random_new(1, 1);
    for (int round = 0; round < 3000; round++) {
        size_t size = tensor_random_below(&random, round % 50 ? 90 : 5000);
        char *text = reel_mem_alloc(size);
        for (size_t i = 0; i < size; i++)
            text[i] = round % 3 ? (char)tensor_random_u32(&random)
                                : " the's\n\xE6\x97\xA5\t\0"[tensor_random_below(&random, 12)];
        ModelBpeIds ids = {0};
        ReelBytes back = {0};
        ck_assert_ok(model_bpe_encode(encoder, text, size, &ids));
        ck_assert_ok(model_bpe_decode(t, ids.ids, ids.count, true, &back));
        ck_assert_uint_eq(back.size, size);
        ck_assert(size == 0 || memcmp(back.data, text, size) == 0);
        model_bpe_ids_free(&ids);
        reel_bytes_free(&back);
        reel_mem_free(text);
    }
    model_bpe_encoder_free(encoder);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* More different words than the cache holds at first, and longer ones than its keys: the same ids the
 * second time, and without a cache that is warm. */
START_TEST(the_cache_changes_nothing)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    ModelBpeEncoder *warm = model_bpe_encoder_new(t);
    TensorRandom random = tensor_random_new(2, 1);
    ModelBpeIds first = {0}, second = {0};
    for (int round = 0; round < 2; round++) {
        random.counter = 0;
        for (int i = 0; i < 12000; i++) {
            char word[64];
            int size = snprintf(word, sizeof word, "%x%.*s", tensor_random_u32(&random),
                                (int)tensor_random_below(&random, 30), "strategy-theyheroabcaaaaaaaaaa");
            ck_assert_ok(model_bpe_encode(warm, word, (size_t)size, round ? &second : &first));
            if (i % 500 == 0) {
                ModelBpeIds cold = bpe_support_encode(t, word, (size_t)size), *all = round ? &second : &first;
                ck_assert_uint_le(cold.count, all->count);
                ck_assert_int_eq(
                    memcmp(all->ids + all->count - cold.count, cold.ids, cold.count * sizeof *cold.ids), 0);
                model_bpe_ids_free(&cold);
            }
        }
    }
    ck_assert_uint_eq(first.count, second.count);
    ck_assert_int_eq(memcmp(first.ids, second.ids, first.count * sizeof *first.ids), 0);
    model_bpe_ids_free(&first);
    model_bpe_ids_free(&second);
    model_bpe_encoder_free(warm);
    model_bpe_tokenizer_free(t);
}
END_TEST

static ModelBpeIds dropped(ModelBpeEncoder *encoder, double probability, uint64_t seed)
{
    static const char text[] = "real-time strategy game of ancient warfare";
    ModelBpeIds ids = {0};
    model_bpe_encoder_set_dropout(encoder, probability, seed);
    for (int i = 0; i < 20; i++)
        ck_assert_ok(model_bpe_encode(encoder, text, sizeof text - 1, &ids));
    return ids;
}

static bool same(ModelBpeIds a, ModelBpeIds b)
{
    return a.count == b.count && memcmp(a.ids, b.ids, a.count * sizeof *a.ids) == 0;
}

START_TEST(dropout)
{
    ModelBpeTokenizer *t = bpe_support_load("bytelevel.json");
    ModelBpeEncoder *e = model_bpe_encoder_new(t);
    ModelBpeIds none = dropped(e, 0, 1), some = dropped(e, 0.3, 1), again = dropped(e, 0.3, 1),
                other = dropped(e, 0.3, 2);
    ModelBpeIds all = dropped(e, 1, 1), last = dropped(e, 0, 1);
    ReelBytes text = {0};
    ck_assert(same(some, again));
    ck_assert(!same(some, other));
    ck_assert(same(none, last));
    ck_assert_uint_lt(none.count, some.count);
    ck_assert_uint_eq(all.count, 20 * 42);
    ck_assert_ok(model_bpe_decode(t, some.ids, some.count, true, &text));
    ck_assert_uint_eq(text.size, 20 * 42);
    ck_assert_int_eq(memcmp(text.data + 42, "real-time strategy", 18), 0);
    reel_bytes_free(&text);
    /* Whole pieces come first only where nothing is dropped, as with Hugging Face. */
    t->config.ignore_merges = true;
    ModelBpeIds whole = dropped(e, 0.3, 1);
    ck_assert(same(whole, some));
    ModelBpeIds *lists[] = {&none, &some, &again, &other, &all, &last, &whole};
    for (int i = 0; i < 7; i++)
        model_bpe_ids_free(lists[i]);
    model_bpe_encoder_free(e);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* Two merges that do not meet, and a dropout of 1/2: the first one is made at once with 1/2; or, left out,
 * when the other was made and it comes back, with 1/2 times 1/2 times 1/2. */
START_TEST(what_dropout_leaves_out_comes_back_after_the_next_merge)
{
    enum { DRAWS = 4000 };
    static const char text[] = "ab ab ab cd cd abcd";
    ModelBpeTokenizer *t = bpe_support_learn(
        (ModelBpeOptions){.pretokenizer = MODEL_BPE_WHITESPACE, .vocab_size = 6}, text, sizeof text - 1);
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    int32_t ab = model_bpe_token_id(t, "ab", 2), cd = model_bpe_token_id(t, "cd", 2);
    ck_assert(ab >= 0 && cd > ab);
    int count[2] = {0};
    for (int i = 0; i < DRAWS; i++) {
        ModelBpeIds ids = {0};
        model_bpe_encoder_set_dropout(encoder, 0.5, (uint64_t)i);
        ck_assert_ok(model_bpe_encode(encoder, "abcd", 4, &ids));
        for (size_t k = 0; k < ids.count; k++) {
            count[0] += ids.ids[k] == ab;
            count[1] += ids.ids[k] == cd;
        }
        model_bpe_ids_free(&ids);
    }
    ck_assert(abs(count[0] - DRAWS * 5 / 8) < 150); /* five deviations */
    ck_assert(abs(count[1] - DRAWS / 2) < 160);
    model_bpe_encoder_free(encoder);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(the_parts_of_many_threads_are_the_whole)
{
    ModelBpeTokenizer *t = bpe_support_load("bytelevel.json");
    ReelBytes text = bpe_support_fixture("text.txt");
    ModelBpeEncoder *encoders[5];
    for (int i = 0; i < 5; i++)
        encoders[i] = model_bpe_encoder_new(t);
    TensorPool *pool = tensor_pool_new(2);
    for (size_t size = 0; size <= text.size; size += size < 40 ? 1 : 397) {
        ModelBpeIds ids[5] = {0}, ends[5] = {0}, whole = {0}, whole_ends = {0};
        ck_assert_ok(model_bpe_encode_parallel(encoders, 5, pool, text.data, size, ids, ends));
        ck_assert_ok(model_bpe_encode_lines(encoders[0], text.data, size, &whole, &whole_ends));
        size_t at = 0, line = 0;
        for (int part = 0; part < 5; part++) {
            for (size_t i = 0; i < ends[part].count; i++)
                ck_assert_int_eq(whole_ends.ids[line++], ends[part].ids[i] + (int32_t)at);
            ck_assert(ids[part].count == 0 ||
                      memcmp(whole.ids + at, ids[part].ids, ids[part].count * sizeof *whole.ids) == 0);
            at += ids[part].count;
            model_bpe_ids_free(&ids[part]);
            model_bpe_ids_free(&ends[part]);
        }
        ck_assert_uint_eq(at, whole.count);
        ck_assert_uint_eq(line, whole_ends.count);
        model_bpe_ids_free(&whole);
        model_bpe_ids_free(&whole_ends);
    }
    tensor_pool_free(pool);
    for (int i = 0; i < 5; i++)
        model_bpe_encoder_free(encoders[i]);
    reel_bytes_free(&text);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* In front of all else those that are not "normalized", then what is left is searched for the others, as
 * there (the ids are those of tokenizers 0.23). */
START_TEST(added_tokens_in_the_order_of_hugging_face)
{
    static const char form[] =
        "{\"added_tokens\":["
        "{\"id\":3,\"content\":\"bca\",\"normalized\":true},"
        "{\"id\":4,\"content\":\"ca\",\"normalized\":false},"
        "{\"id\":5,\"content\":\"c\",\"lstrip\":true,\"rstrip\":true,\"normalized\":false},"
        "{\"id\":6,\"content\":\" a\",\"normalized\":false}],"
        "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"q\":2},\"merges\":[]}}";
    static const struct {
        const char *text;
        int32_t ids[4];
        size_t count;
    } cases[] = {{"bca", {1, 4}, 2}, {"b  c  a", {1, 5, 6}, 3}, {"bqa", {1, 2, 0}, 3}, {"cb", {5, 1}, 2}};
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ModelBpeIds ids = bpe_support_encode(t, cases[i].text, strlen(cases[i].text));
        ck_assert_uint_eq(ids.count, cases[i].count);
        ck_assert_int_eq(memcmp(ids.ids, cases[i].ids, ids.count * sizeof *ids.ids), 0);
        model_bpe_ids_free(&ids);
    }
    model_bpe_tokenizer_free(t);
}
END_TEST

/* A byte without a symbol falls back to the bytes of the character that it is mapped to, where these have
 * tokens; what is no UTF-8 to those of U+FFFD (the ids are those of tokenizers 0.23). */
START_TEST(fallback_is_of_characters)
{
    static const char level[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\","
        "\"byte_fallback\":true,\"vocab\":{\"<0xC4>\":0,\"<0xA0>\":1,\"<0x20>\":2,\"a\":3,\"<0x62>\":4},"
        "\"merges\":[]}}";
    static const char white[] =
        "{\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"model\":{\"type\":\"BPE\",\"byte_fallback\":"
        "true,"
        "\"vocab\":{\"<0xFF>\":0,\"<0xEF>\":1,\"<0xBF>\":2,\"<0xBD>\":3},\"merges\":[]}}";
    static const struct {
        const char *form, *text;
        size_t count;
        int32_t ids[4];
    } cases[] = {{level, " a", 3, {0, 1, 3}},
                 {level, "ab", 2, {3, 4}},
                 {level, "\n", 0, {0}},
                 {white, "\xFF", 3, {1, 2, 3}},
                 {white, "\xE6", 3, {1, 2, 3}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ModelBpeTokenizer *t;
        ck_assert_ok(model_bpe_from_json(&t, cases[i].form, strlen(cases[i].form), "memory"));
        ModelBpeIds ids = bpe_support_encode(t, cases[i].text, strlen(cases[i].text));
        ck_assert_uint_eq(ids.count, cases[i].count);
        for (size_t k = 0; k < ids.count; k++)
            ck_assert_int_eq(ids.ids[k], cases[i].ids[k]);
        model_bpe_ids_free(&ids);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

/* All of ASCII but the white space that cuts, as words of one symbol, in each way of cutting. */
START_TEST(each_character_is_its_symbol)
{
    char text[512];
    size_t size = 0;
    for (int code = 0; code < 128; code++)
        if (!(code >= '\t' && code <= '\r') && code != ' ') {
            text[size++] = (char)code;
            text[size++] = ' ';
        }
    for (int mode = 0; mode < 3; mode++) {
        ModelBpeTokenizer *t = bpe_support_learn((ModelBpeOptions){.pretokenizer = (ModelBpePretokenizer)mode,
                                                                   .vocab_size = 300,
                                                                   .min_frequency = 99},
                                                 text, size);
        for (size_t at = 0; at < size; at += 2) {
            ModelBpeIds ids = bpe_support_encode(t, text + at, 1);
            ReelBytes back = {0};
            ck_assert_msg(ids.count == 1, "mode %d, U+%04X: %zu ids", mode, (unsigned)text[at], ids.count);
            ck_assert_ok(model_bpe_decode(t, ids.ids, 1, false, &back));
            ck_assert_uint_eq(back.size, 1);
            ck_assert_int_eq(back.data[0], text[at]);
            reel_bytes_free(&back);
            model_bpe_ids_free(&ids);
        }
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

/* More bytes than a first reservation holds, all of them three ids. */
START_TEST(long_pieces_that_fall_back)
{
    static const char form[] = "{\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"model\":{\"type\":"
                               "\"BPE\",\"byte_fallback\":true,"
                               "\"vocab\":{\"<0xEF>\":0,\"<0xBF>\":1,\"<0xBD>\":2},\"merges\":[]}}";
    char text[3000];
    memset(text, 0xFF, sizeof text);
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    ModelBpeIds ids = bpe_support_encode(t, text, sizeof text);
    ck_assert_uint_eq(ids.count, 9000);
    for (size_t i = 0; i < ids.count; i++)
        ck_assert_int_eq(ids.ids[i], (int32_t)(i % 3));
    model_bpe_ids_free(&ids);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* Ends of lines have 32 bits. The ids before are only said to be there. */
START_TEST(more_ids_than_ends_can_say)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    ModelBpeEncoder *e = model_bpe_encoder_new(t);
    size_t capacity = (size_t)INT32_MAX + (1 << 16), bytes = capacity * sizeof(int32_t);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    ck_assert(block != MAP_FAILED);
    ModelBpeIds ids = {block, (size_t)INT32_MAX - 1, capacity}, ends = {0};
    ck_assert_ok(model_bpe_encode_lines(e, "a\n", 2, &ids, &ends));
    ck_assert_int_eq(ends.ids[0], INT32_MAX);
    ck_assert_failed(model_bpe_encode_lines(e, "a\n", 2, &ids, &ends), REEL_STATUS_FAILED, "2147483647 ids");
    model_bpe_ids_free(&ends);
    munmap(block, bytes);
    model_bpe_encoder_free(e);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* One allocation fails: an error, or the right ids. */
START_TEST(no_memory_never_changes_ids)
{
    static const char form[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\","
        "\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[]}}";
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    for (int n = 0; n < 8; n++) {
        ModelBpeEncoder *e = model_bpe_encoder_new(t);
        ModelBpeIds ids = {0};
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_bpe_encode(e, "ab", 2, &ids);
        reel_mem_fail_at(-1, 0);
        ck_assert(!reel_status_is_ok(&status) || (ids.count == 1 && ids.ids[0] == 2));
        model_bpe_ids_free(&ids);
        model_bpe_encoder_free(e);
    }
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    static const char text[] =
        "some words, one_that_is_longer_than_a_slot_of_the_cache and \xE6\x97\xA5 <unk> some words";
    ModelBpeIds expected = bpe_support_encode(t, text, sizeof text - 1);
    int64_t live = reel_mem_stats().live_blocks;
    bool worked = false;
    for (int n = 0; !worked && n < 200; n++) { /* one allocation, then that one and all behind it */
        ModelBpeIds ids = {0};
        reel_mem_fail_at(n / 2, n % 2);
        ModelBpeEncoder *e = model_bpe_encoder_new(t);
        ReelStatus status =
            e ? model_bpe_encode(e, text, sizeof text - 1, &ids) : reel_status_failed("memory");
        reel_mem_fail_at(-1, 0);
        worked = reel_status_is_ok(&status) && n % 2;
        ck_assert(!reel_status_is_ok(&status) || same(ids, expected));
        if (e) { /* it is as good as new */
            ids.count = 0;
            ck_assert_ok(model_bpe_encode(e, text, sizeof text - 1, &ids));
            ck_assert(same(ids, expected));
        }
        model_bpe_encoder_free(e);
        model_bpe_ids_free(&ids);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert(worked);
    model_bpe_ids_free(&expected);
    model_bpe_tokenizer_free(t);
}
END_TEST

Suite *models_bpe_encode_suite(void);
Suite *models_bpe_encode_suite(void)
{
    Suite *suite = suite_create("models/bpe_encode");
    TCase *tcase = tcase_create("encoding");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, odd_settings_as_hugging_face);
    tcase_add_test(tcase, tokens_as_subword_nmt);
    bpe_support_add(tcase, byte_level_gives_back_any_bytes);
    tcase_add_test(tcase, the_cache_changes_nothing);
    bpe_support_add(tcase, dropout);
    tcase_add_test(tcase, what_dropout_leaves_out_comes_back_after_the_next_merge);
    bpe_support_add(tcase, the_parts_of_many_threads_are_the_whole);
    tcase_add_test(tcase, added_tokens_in_the_order_of_hugging_face);
    bpe_support_add(tcase, fallback_is_of_characters);
    bpe_support_add(tcase, each_character_is_its_symbol);
    tcase_add_test(tcase, long_pieces_that_fall_back);
    tcase_add_test(tcase, more_ids_than_ends_can_say);
    bpe_support_add(tcase, no_memory_never_changes_ids);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}
