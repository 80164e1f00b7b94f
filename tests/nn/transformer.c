#include "nn/transformer.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { WIDTH = 4, HEADS = 2, HIDDEN = 6, TEXTS = 3 };

static const int32_t lengths[TEXTS] = {3, 5, 1}, memory_lengths[TEXTS] = {2, 4, 3};

static NnTransformerOptions options_with(bool norm_first)
{
    NnTransformerOptions options = nn_transformer_options(HEADS, HIDDEN);
    options.norm_first = norm_first;
    options.dropout = options.inner_dropout = 0;
    return options;
}

/* ---- Against PyTorch ---- */

static Var encode(Fixture *fixture, Var input, Var memory, void *context)
{
    (void)fixture, (void)memory;
    return nn_unpack(nn_transformer_encoder_layer(context, nn_pack_rows(input, lengths, TEXTS)));
}

static Var decode(Fixture *fixture, Var input, Var memory, void *context)
{
    (void)fixture;
    return nn_unpack(nn_transformer_decoder_layer(context, nn_pack_rows(input, lengths, TEXTS),
                                                  nn_pack_rows(memory, memory_lengths, TEXTS)));
}

START_TEST(an_encoder_layer_is_pytorchs)
{
    static const char *const names[] = {"transformer_encoder", "transformer_encoder_norm_first"};
    for (int norm_first = 0; norm_first < 2; norm_first++) {
        NnTransformerEncoderLayer m;
        nn_transformer_encoder_layer_init(&m, WIDTH, options_with(norm_first));
        check_module_with_pytorch(names[norm_first], &m.base, encode, &m);
        Fixture fixture = fixture_open(names[norm_first]);
        m.options.causal = true;
        tape_begin(tape);
        Var x = tape_constant(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/input"), TENSOR_F64));
        ck_assert_close(var_value(encode(&fixture, x, VAR_NONE, &m)),
                        fixture_tensor(&fixture, "reel/causal_output"), 1e-6);
        fixture_close(&fixture);
        nn_module_free(&m.base);
    }
}
END_TEST

START_TEST(a_decoder_layer_is_pytorchs)
{
    NnTransformerDecoderLayer m;
    nn_transformer_decoder_layer_init(&m, WIDTH, options_with(false));
    check_module_with_pytorch("transformer_decoder", &m.base, decode, &m);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(options_are_pytorchs_defaults)
{
    NnTransformerEncoderLayer m;
    nn_transformer_encoder_layer_init(&m, 8, nn_transformer_options(2, 16));
    ck_assert(m.dropout.p == 0.1 && m.dropout1.p == 0.1 && m.dropout2.p == 0.1 &&
              m.self_attn.dropout.p == 0.1);
    ck_assert(!m.options.norm_first && !m.options.causal);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    double most = 0;
    Tensor weight = m.self_attn.in_proj_weight.core.value;
    for (int64_t i = 0; i < tensor_numel(&weight); i++)
        most = fmax(most, fabs((double)tensor_f32(weight)[i]));
    ck_assert(most <= sqrt(6.0 / 32) && most > 0.95 * sqrt(6.0 / 32));
    for (int64_t i = 0; i < 8; i++)
        ck_assert(tensor_f32(m.self_attn.in_proj_bias.core.value)[i] == 0 &&
                  tensor_f32(m.self_attn.out_proj.bias.core.value)[i] == 0);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Gradients ---- */

typedef struct Checked {
    NnTransformerEncoderLayer encoder;
    NnTransformerDecoderLayer decoder;
    bool decodes;
} Checked;

static Var run(Tape *t, Var input, void *context)
{
    (void)t;
    Checked *c = context;
    NnSequence x = nn_pack_rows(input, lengths, TEXTS);
    return c->decodes ? nn_transformer_decoder_layer(&c->decoder, x, x).rows
                      : nn_transformer_encoder_layer(&c->encoder, x).rows;
}

static Tensor noise(TensorDtype dtype, int64_t rows, int64_t columns)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

START_TEST(backward_agrees_with_differences)
{
    for (int form = 0; form < 4; form++) {
        Checked c = {.decodes = form / 2};
        NnTransformerOptions options = options_with(form % 2);
        options.causal = form % 2;
        options.activation = var_tanh; /* without kinks */
        nn_transformer_encoder_layer_init(&c.encoder, WIDTH, options);
        nn_transformer_decoder_layer_init(&c.decoder, WIDTH, options);
        NnModule *module = c.decodes ? &c.decoder.base : &c.encoder.base;
        ck_assert_ok(nn_module_reset_f64(module, 4));
        check_module_gradients(module, run, &c, noise(TENSOR_F64, 9, WIDTH));
        nn_module_free(module);
    }
}
END_TEST

/* ---- A whole encoder ---- */

START_TEST(an_encoder_is_its_layers)
{
    NnTransformerEncoder m;
    NnEmbedding places;
    NnTransformerOptions options = options_with(true);
    options.causal = options.last_norm = true;
    nn_transformer_encoder_init(&m, WIDTH, 2, options);
    nn_embedding_init(&places, 5, WIDTH);
    ck_assert_ok(nn_module_reset_f64(&m.base, 4));
    ck_assert_ok(nn_module_reset_f64(&places.base, 5));
    NnNamed named;
    ck_assert(nn_find(&m.base, "layers.1.self_attn.in_proj_weight", &named) &&
              nn_find(&m.base, "norm.bias", &named));
    NnSequence x = nn_pack_rows(tape_constant(tape, noise(TENSOR_F64, 9, WIDTH)), lengths, TEXTS);
    NnSequence y = nn_learned_positions(&places, x);
    Tensor table = places.weight.core.value, moved = var_value(nn_unpack(y)),
           before = var_value(nn_unpack(x));
    for (int64_t b = 0, row = 0; b < TEXTS; b++)
        for (int64_t t = 0; t < lengths[b]; t++, row++)
            for (int64_t i = 0; i < WIDTH; i++)
                ck_assert_double_eq(tensor_get(&moved, (int64_t[]){row, i}),
                                    tensor_get(&before, (int64_t[]){row, i}) +
                                        tensor_get(&table, (int64_t[]){t, i}));
    Tensor all = var_value(nn_transformer_encoder(&m, y).rows);
    NnSequence by_hand =
        nn_transformer_encoder_layer(&m.layers[1], nn_transformer_encoder_layer(&m.layers[0], y));
    ck_assert(tensor_equal(all, var_value(nn_layer_norm(&m.norm, by_hand.rows))));
    ck_assert_tape_ok(tape);
    NnSequence longer = nn_pack_rows(y.rows, (const int32_t[]){6, 3}, 2);
    ck_assert(var_is_empty(nn_learned_positions(&places, longer).rows)); /* six places of five */
    ck_assert(var_is_empty(nn_learned_positions(&places, (NnSequence){VAR_NONE, NULL}).rows));
    nn_module_free(&places.base);
    nn_module_free(&m.base);
    nn_transformer_encoder_init(&m, WIDTH, 1, options_with(false));
    ck_assert(!nn_find(&m.base, "norm.bias", &named));
    nn_module_free(&m.base);
    nn_transformer_encoder_init(&m, WIDTH, 0, options);
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "0 layers");
    nn_module_free(&m.base);
}
END_TEST

/* ---- A text and its company ---- */

/* What a text comes to does not depend on the others, and (causal) a row not on those behind it. */
START_TEST(a_text_sees_itself_alone)
{
    NnTransformerEncoderLayer m;
    nn_transformer_encoder_layer_init(&m, WIDTH, options_with(true));
    ck_assert_ok(nn_module_reset_f64(&m.base, 4));
    Tensor x = noise(TENSOR_F64, 9, WIDTH);
    for (int causal = 0; causal < 2; causal++) {
        m.options.causal = causal;
        Var all = tape_constant(tape, x),
            some = tape_constant(tape, tensor_slice(x, 0, 3, causal ? 6 : 8, 1));
        Tensor together =
            var_value(nn_unpack(nn_transformer_encoder_layer(&m, nn_pack_rows(all, lengths, TEXTS))));
        Tensor alone = var_value(nn_unpack(
            nn_transformer_encoder_layer(&m, nn_pack_rows(some, (const int32_t[]){causal ? 3 : 5}, 1))));
        ck_assert_tape_ok(tape);
        ck_assert_close(tensor_slice(together, 0, 3, causal ? 6 : 8, 1), alone, 1e-12);
    }
    nn_module_free(&m.base);
}
END_TEST

START_TEST(all_four_dropouts_drop)
{
    NnTransformerEncoderLayer m;
    nn_transformer_encoder_layer_init(&m, WIDTH, options_with(true));
    ck_assert_ok(nn_module_reset_f64(&m.base, 4));
    Var x = tape_constant(tape, noise(TENSOR_F64, 9, WIDTH));
    NnSequence text = nn_pack_rows(x, lengths, TEXTS);
    Tensor without = var_value(nn_transformer_encoder_layer(&m, text).rows);
    NnDropout *all[] = {&m.dropout, &m.dropout1, &m.dropout2, &m.self_attn.dropout};
    for (int i = 0; i < 4; i++) {
        all[i]->p = 0.5;
        tape_set_random(tape, tensor_random_new(1, 2));
        ck_assert(!tensor_equal(var_value(nn_transformer_encoder_layer(&m, text).rows), without));
        nn_module_train(&m.base, false);
        ck_assert(tensor_equal(var_value(nn_transformer_encoder_layer(&m, text).rows), without));
        nn_module_train(&m.base, true);
        all[i]->p = 0;
    }
    ck_assert_tape_ok(tape);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Positions ---- */

START_TEST(sinusoids_are_the_papers_in_both_orders)
{
    for (int64_t width = 1; width < 6; width++)
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            tape_begin(tape);
            NnSequence x = nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, 9, width)), lengths, TEXTS);
            Tensor p = var_value(nn_unpack(nn_with_rows(x, nn_sinusoids(x, interleaved))));
            ck_assert_tape_ok(tape);
            for (int64_t b = 0, row = 0; b < TEXTS; b++)
                for (int64_t t = 0; t < lengths[b]; t++, row++)
                    for (int64_t i = 0; i < width; i++) {
                        int64_t half = (width + 1) / 2, pair = interleaved ? i / 2 : i % half;
                        double angle = (double)t / pow(10000, 2.0 * (double)pair / (double)width);
                        double expected = (interleaved ? i % 2 == 0 : i < half) ? sin(angle) : cos(angle);
                        ck_assert_double_eq_tol(tensor_get(&p, (int64_t[]){row, i}), expected, 1e-6);
                    }
        }
}
END_TEST

/* Far from the start, where they are turned many times, and the same bits at each length. */
START_TEST(sinusoids_far_out_are_the_nearest_floats)
{
    enum { FAR = 700, SHORT = 129, E = 64 };
    const int32_t lengths_[] = {FAR, SHORT};
    tape_begin(tape);
    NnSequence x = nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, FAR + SHORT, E)), lengths_, 2);
    Tensor p = var_value(nn_unpack(nn_with_rows(x, nn_sinusoids(x, false))));
    ck_assert_tape_ok(tape);
    for (int64_t t = 0; t < FAR; t++)
        for (int64_t i = 0; i < E; i++) {
            double angle = (double)t * pow(10000, -2.0 * (double)(i % (E / 2)) / E);
            double is = tensor_get(&p, (int64_t[]){t, i}), expected = i < E / 2 ? sin(angle) : cos(angle);
            ck_assert_double_eq_tol(is, expected,
                                    6.1e-8); /* half a unit in the last place below 1, and a bit */
            if (t < SHORT)
                ck_assert_double_eq(is, tensor_get(&p, (int64_t[]){FAR + t, i}));
        }
}
END_TEST

/* ---- Errors ---- */

START_TEST(what_does_not_fit_is_an_error)
{
    NnTransformerDecoderLayer m;
    nn_transformer_decoder_layer_init(&m, WIDTH, options_with(false));
    ck_assert_ok(nn_module_reset(&m.base, 0));
    for (int i = 0; i < 3; i++) {
        tape_begin(tape);
        NnSequence x =
            nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, 9, i == 0 ? 3 : WIDTH)), lengths, TEXTS);
        NnSequence memory = nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, 9, i == 1 ? 3 : WIDTH)),
                                         i == 2 ? (const int32_t[]){4, 5} : memory_lengths, i == 2 ? 2 : 3);
        ck_assert(var_is_empty(nn_transformer_decoder_layer(&m, x, memory).rows));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, i == 0 ? "self_attn" : "multihead_attn");
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/transformer.c:");
    }
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_transformer_suite(void);
Suite *nn_transformer_suite(void)
{
    Suite *suite = suite_create("nn/transformer");
    TCase *c = tcase_create("transformer");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, an_encoder_layer_is_pytorchs);
    tcase_add_test(c, a_decoder_layer_is_pytorchs);
    tcase_add_test(c, options_are_pytorchs_defaults);
    tcase_add_test(c, an_encoder_is_its_layers);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, a_text_sees_itself_alone);
    tcase_add_test(c, all_four_dropouts_drop);
    tcase_add_test(c, sinusoids_are_the_papers_in_both_orders);
    tcase_add_test(c, sinusoids_far_out_are_the_nearest_floats);
    tcase_add_test(c, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}
