/* Writing token after token with a cache, against reading all that was written anew at each step. */
#include "nn/attention_cache.h"
#include "nn/decoding.h"
#include "nn/nn.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <string.h>

enum { TOKENS = 11, WIDTH = 8, LAYERS = 2, MOST = 12, BEAM = 4, WORDS = 5 };

typedef struct Writer {
    NnModule base;
    NnEmbedding embedding;
    NnTransformerEncoder layers;
    NnTransformerEncoderLayer reader;
    NnTransformerDecoderLayer decoder;
    NnLinear fc;
    /* Not of the module. */
    bool has_memory;
    NnAttentionCache *cache; /* NULL: reads all anew */
    int32_t written[BEAM][MOST + 1], steps;
} Writer;

static void writer_init(Writer *m, bool has_memory)
{
    memset(m, 0, sizeof *m);
    nn_module_init(&m->base);
    NnTransformerOptions options = nn_transformer_options(2, 16), reading = options;
    options.causal = options.norm_first = options.last_norm = true;
    NN_ADD(m, embedding, nn_embedding_init, TOKENS, WIDTH);
    NN_ADD(m, layers, nn_transformer_encoder_init, WIDTH, LAYERS, options);
    NN_ADD(m, reader, nn_transformer_encoder_layer_init, WIDTH, reading);
    NN_ADD(m, decoder, nn_transformer_decoder_layer_init, WIDTH, options);
    NN_ADD(m, fc, nn_linear_init, WIDTH, TOKENS);
    ck_assert_ok(nn_module_reset(&m->base, 3));
    nn_module_train(&m->base, false);
    m->has_memory = has_memory;
}

static NnSequence read_memory(Writer *m)
{
    static const int32_t words[WORDS] = {3, 1, 4, 1, 5}, offsets[] = {0, WORDS};
    return nn_transformer_encoder_layer(
        &m->reader, nn_embedding_sequence(&m->embedding, nn_pack(tape, words, offsets, 1)));
}

/* Logits [count, TOKENS] of what comes next. */
static Var step_with_cache(Writer *m, const int32_t *ids, const int32_t *parents, int count)
{
    ck_assert_ok(nn_attention_cache_begin(m->cache, parents, count));
    int32_t *own = tensor_arena_memdup(tape_arena(tape), ids, (size_t)count * sizeof *ids);
    Var x =
        nn_embedding(&m->embedding, tape_constant(tape, tensor_from(own, TENSOR_I32, TENSOR_SHAPE(count))));
    x = var_add(x, nn_sinusoids_step(m->cache, x, true));
    x = nn_transformer_encoder_step(&m->layers, m->cache, x);
    NnSequence memory = {0};
    if (m->has_memory && nn_attention_cache_position(m->cache) == 0)
        memory = read_memory(m);
    if (m->has_memory)
        x = nn_transformer_decoder_layer_step(&m->decoder, m->cache, x, memory);
    return nn_linear(&m->fc, x);
}

static Var read_all(Writer *m, const int32_t *ids, const int32_t *parents, int count)
{
    int32_t before[BEAM][MOST + 1];
    memcpy(before, m->written, sizeof before);
    Var *last = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *last);
    m->steps++;
    for (int i = 0; i < count; i++) {
        memcpy(m->written[i], before[parents[i]], sizeof before[0]);
        m->written[i][m->steps - 1] = ids[i];
        NnSequence x = nn_embedding_sequence(&m->embedding,
                                             nn_pack(tape, m->written[i], (const int32_t[]){0, m->steps}, 1));
        x.rows = var_add(x.rows, nn_sinusoids(x, true));
        x = nn_transformer_encoder(&m->layers, x);
        if (m->has_memory)
            x = nn_transformer_decoder_layer(&m->decoder, x, read_memory(m));
        last[i] = var_slice(x.rows, 0, m->steps - 1, m->steps, 1);
    }
    return nn_linear(&m->fc, var_concat(last, count, 0));
}

static ReelStatus next(void *context, const int32_t *ids, const int32_t *parents, int count, float *scores)
{
    Writer *m = context;
    tape_begin(tape);
    tape_set_grad_enabled(tape, false);
    Var logits = m->cache ? step_with_cache(m, ids, parents, count) : read_all(m, ids, parents, count);
    if (tape_ok(tape))
        tensor_copy_into(tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(count, TOKENS)), var_value(logits));
    return *tape_status(tape);
}

/* Without and with a cache: the same tokens. */
static void check_same(bool has_memory, int beam, bool draws)
{
    int32_t ids[2][MOST], count[2];
    Writer m;
    writer_init(&m, has_memory);
    NnAttentionCache *cache = nn_attention_cache_new();
    ck_assert_ptr_nonnull(cache);
    for (int text = 0; text < 2; text++) { /* the second one after a reset */
        NnDecodeOptions options = nn_decode_options(TOKENS, 1 + text, text ? 0 : -1, MOST);
        options.beam = beam;
        options.temperature = draws ? 1.5 : 1;
        nn_attention_cache_reset(cache);
        for (int with = 0; with < 2; with++) {
            TensorRandom random = tensor_random_new(7, (uint64_t)text);
            m.cache = with ? cache : NULL;
            m.steps = 0;
            ck_assert_ok(draws ? nn_decode_sample(next, &m, options, &random, ids[with], &count[with])
                               : nn_decode_beam(next, &m, options, ids[with], &count[with]));
        }
        ck_assert_int_eq(text > 0 || count[0] == MOST, 1);
        ck_assert_int_eq(count[0], count[1]);
        ck_assert_mem_eq(ids[0], ids[1], (size_t)count[0] * sizeof ids[0][0]);
    }
    nn_attention_cache_free(cache);
    nn_module_free(&m.base);
}

START_TEST(the_same_tokens_as_without)
{
    bool has_memory = _i % 2;
    check_same(has_memory, 1, false);
    check_same(has_memory, BEAM, false);
    check_same(has_memory, 1, true);
}
END_TEST

START_TEST(the_same_numbers_as_without)
{
    Writer m;
    writer_init(&m, true);
    NnAttentionCache *cache = nn_attention_cache_new();
    /* Sequences of the second step go on from the first; then 1 and 0 change places, and 1 goes on twice. */
    static const int32_t ids[4][BEAM] = {{1}, {2, 3, 4}, {5, 6, 7}, {8, 9, 2, 3}},
                         parents[4][BEAM] = {{0}, {0, 0, 0}, {1, 0, 2}, {1, 1, 0, 2}};
    static const int counts[4] = {1, 3, 3, 4};
    for (int step = 0; step < 4; step++) {
        float scores[2][BEAM * TOKENS];
        for (int with = 0; with < 2; with++) {
            m.cache = with ? cache : NULL;
            ck_assert_ok(next(&m, ids[step], parents[step], counts[step], scores[with]));
        }
        for (int i = 0; i < counts[step] * TOKENS; i++)
            ck_assert_float_eq_tol(scores[0][i], scores[1][i], 1e-6F);
    }
    nn_attention_cache_free(cache);
    nn_module_free(&m.base);
}
END_TEST

/* The products of a step, which are those of one row of each sequence but for the keys that it looks at. */
START_TEST(a_step_reads_one_row_of_each_sequence)
{
    Writer m;
    writer_init(&m, false);
    m.cache = nn_attention_cache_new();
    uint64_t first = 0;
    float scores[TOKENS];
    for (int step = 0; step < 200; step++) {
        int32_t id = step % TOKENS, parent = 0;
        uint64_t before = tensor_flops_count_here();
        ck_assert_ok(next(&m, &id, &parent, 1, scores));
        uint64_t now = tensor_flops_count_here() - before;
        first = step == 0 ? now : first;
        /* Scores and the sum of values: 2 products of [1, WIDTH] with all keys, in each layer. */
        ck_assert_uint_eq(now, first + (uint64_t)(step * LAYERS * 2 * 2 * WIDTH));
    }
    nn_attention_cache_free(m.cache);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(wrong_steps_are_refused)
{
    Writer m;
    writer_init(&m, true);
    m.cache = nn_attention_cache_new();
    int32_t parents[2] = {0, 1};
    float row[2 * WIDTH] = {0};
    Var x = tape_constant(tape, tensor_from(row, TENSOR_F32, TENSOR_SHAPE(2, WIDTH)));
    ck_assert(var_is_empty(nn_multihead_attention_step(&m.layers.layers[0].self_attn, m.cache, x)));
    ck_assert_ptr_nonnull(strstr(tape_status(tape)->message, "nn_attention_cache_begin() comes before"));
    ck_assert_failed(nn_attention_cache_begin(m.cache, parents, 0), REEL_STATUS_USAGE, "0 sequences");
    ck_assert_ok(nn_attention_cache_begin(m.cache, parents, 1));
    ck_assert_failed(nn_attention_cache_begin(m.cache, parents, 2), REEL_STATUS_USAGE, "goes on from 1 of 1");
    static const char *const messages[] = {"a row for each sequence", "once", "memory of one text",
                                           "not causal"};
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        x = tape_constant(tape, tensor_from(row, TENSOR_F32, TENSOR_SHAPE(i == 0 ? 2 : 1, WIDTH)));
        if (i == 1)
            nn_multihead_attention_step(&m.layers.layers[0].self_attn, m.cache, x);
        if (i < 2)
            nn_multihead_attention_step(&m.layers.layers[0].self_attn, m.cache, x);
        if (i == 2)
            nn_multihead_attention_over_step(&m.decoder.multihead_attn, m.cache, x, (NnSequence){0});
        if (i == 3)
            nn_transformer_encoder_layer_step(&m.reader, m.cache, x);
        ck_assert_ptr_nonnull(strstr(tape_status(tape)->message, messages[i]));
    }
    nn_attention_cache_free(m.cache);
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_attention_cache_suite(void);
Suite *nn_attention_cache_suite(void)
{
    Suite *suite = suite_create("nn/attention_cache");
    TCase *c = tcase_create("attention_cache");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_loop_test(c, the_same_tokens_as_without, 0, 2);
    tcase_add_test(c, the_same_numbers_as_without);
    tcase_add_test(c, a_step_reads_one_row_of_each_sequence);
    tcase_add_test(c, wrong_steps_are_refused);
    suite_add_tcase(suite, c);
    return suite;
}
