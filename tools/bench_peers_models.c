/* The models that are compared with PyTorch's; sizes are those of tools/pytorch_peers.py. */
#include "tools/bench_peers.h"

#include <math.h>

/* What examples are made of, drawn once: the steps that are measured draw none. */
enum { NUMBERS = 128 * 784 };
static float uniform[NUMBERS];

void bench_peers_draw(uint64_t seed)
{
    TensorRandom random = tensor_random_new(seed, tensor_random_stream("examples"));
    tensor_random_fill_uniform(&random, tensor_from(uniform, TENSOR_F32, TENSOR_SHAPE(NUMBERS)), 0, 1);
}

static Var draw_uniform(Tape *tape, int ndim, const int64_t *shape)
{
    return tape_constant(tape, tensor_from(uniform, TENSOR_F32, ndim, shape));
}

/* Ids below a number. */
static Var draw_ids(Tape *tape, int ndim, const int64_t *shape, int below)
{
    Tensor t = tensor_new(tape_arena(tape), TENSOR_I32, ndim, shape);
    for (int64_t i = 0, n = tensor_is_valid(t) ? tensor_numel(&t) : 0; i < n; i++)
        tensor_i32(t)[i] = (int32_t)(uniform[i] * (float)below);
    return tape_constant(tape, t);
}

/* `texts` texts of `length` ids, packed. */
static NnSequence draw_texts(Tape *tape, int texts, int length, int below)
{
    int32_t *offsets = tensor_arena_alloc(tape_arena(tape), ((size_t)texts + 1) * sizeof *offsets);
    Var ids = draw_ids(tape, TENSOR_SHAPE((int64_t)texts * length), below);
    for (int i = 0; offsets && i <= texts; i++)
        offsets[i] = i * length;
    return nn_pack(tape, tensor_i32(var_value(ids)), offsets, texts);
}

/* ---- MLP, without and with batch normalisation ---- */

typedef struct Mlp {
    NnModule base;
    NnLinear first, second, last;
    NnBatchNorm norm1, norm2;
    bool normalised;
} Mlp;

static void mlp_init(NnModule *module)
{
    Mlp *m = (Mlp *)module;
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_linear_init, 784, 512);
    NN_ADD(m, second, nn_linear_init, 512, 256);
    NN_ADD(m, last, nn_linear_init, 256, 10);
}

static void mlp_norm_init(NnModule *module)
{
    Mlp *m = (Mlp *)module;
    mlp_init(module);
    NN_ADD(m, norm1, nn_batch_norm_init, 512);
    NN_ADD(m, norm2, nn_batch_norm_init, 256);
    m->normalised = true;
}

static Var mlp_loss(NnModule *module, Tape *tape, int count)
{
    Mlp *m = (Mlp *)module;
    Var x = nn_linear(&m->first, draw_uniform(tape, TENSOR_SHAPE(count, 784)));
    x = var_relu(m->normalised ? nn_batch_norm(&m->norm1, x) : x);
    x = nn_linear(&m->second, x);
    x = var_relu(m->normalised ? nn_batch_norm(&m->norm2, x) : x);
    return var_cross_entropy(nn_linear(&m->last, x), draw_ids(tape, TENSOR_SHAPE(count), 10),
                             VAR_REDUCTION_MEAN);
}

/* ---- A convolutional net on images of 8 x 8 ---- */

typedef struct Digits {
    NnModule base;
    NnConv2d first, second;
    NnLinear fc;
} Digits;

static void digits_init(NnModule *module)
{
    Digits *m = (Digits *)module;
    NnConvOptions same = {.stride = 1, .padding = 1, .dilation = 1};
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_conv2d_init, 1, 16, 3, 3, same);
    NN_ADD(m, second, nn_conv2d_init, 16, 32, 3, 3, same);
    NN_ADD(m, fc, nn_linear_init, 128, 10);
}

static Var digits_loss(NnModule *module, Tape *tape, int count)
{
    Digits *m = (Digits *)module;
    Var x = draw_uniform(tape, TENSOR_SHAPE(count, 1, 8, 8));
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->first, x)), 2, 2, 0);
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->second, x)), 2, 2, 0);
    return var_cross_entropy(nn_linear(&m->fc, var_reshape(x, TENSOR_SHAPE(count, 128))),
                             draw_ids(tape, TENSOR_SHAPE(count), 10), VAR_REDUCTION_MEAN);
}

/* ---- Convolutions over the words of texts (Kim 2014) ---- */

typedef struct TextCnn {
    NnModule base;
    NnEmbedding embedding;
    NnConv1d conv[3];
    NnDropout dropout;
    NnLinear fc;
} TextCnn;

static void text_cnn_init(NnModule *module)
{
    TextCnn *m = (TextCnn *)module;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 10000, 128);
    for (int i = 0; i < 3; i++)
        NN_ADD_AT(m, conv, i, nn_conv1d_init, 128, 100, 3 + i,
                  ((NnConvOptions){.stride = 1, .padding = 2, .dilation = 1}));
    NN_ADD(m, dropout, nn_dropout_init, 0.5);
    NN_ADD(m, fc, nn_linear_init, 300, 4);
}

static Var text_cnn_loss(NnModule *module, Tape *tape, int count)
{
    TextCnn *m = (TextCnn *)module;
    NnSequence x = nn_embedding_sequence(&m->embedding, draw_texts(tape, count, 64, 10000));
    Var parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = var_relu(nn_pool_max(nn_conv1d_sequence(&m->conv[i], x)));
    Var logits = nn_linear(&m->fc, nn_dropout(&m->dropout, var_concat(parts, 3, 1)));
    return var_cross_entropy(logits, draw_ids(tape, TENSOR_SHAPE(count), 4), VAR_REDUCTION_MEAN);
}

/* ---- Transformers: an encoder that classifies, and a GPT whose head is the embedding ---- */

typedef struct Transformer {
    NnModule base;
    NnEmbedding tokens, places;
    NnTransformerEncoderLayer layers[4];
    NnLayerNorm norm;
    NnLinear head;
} Transformer;

static void transformer_init(Transformer *m, int layers, int width, int length, int vocabulary,
                             NnTransformerOptions options)
{
    nn_module_init(&m->base);
    NN_ADD(m, tokens, nn_embedding_init, vocabulary, width);
    NN_ADD(m, places, nn_embedding_init, length, width);
    for (int i = 0; i < layers; i++)
        NN_ADD_AT(m, layers, i, nn_transformer_encoder_layer_init, width, options);
    NN_ADD(m, norm, nn_layer_norm_init, width);
}

static NnSequence transformer(Transformer *m, NnSequence ids, int layers)
{
    Var places = nn_embedding(&m->places, nn_position_of_row(ids));
    NnSequence x = nn_with_rows(ids, var_add(nn_embedding(&m->tokens, ids.rows), places));
    for (int i = 0; i < layers; i++)
        x = nn_transformer_encoder_layer(&m->layers[i], x);
    return nn_with_rows(x, nn_layer_norm(&m->norm, x.rows));
}

static void encoder_init(NnModule *module)
{
    Transformer *m = (Transformer *)module;
    NnTransformerOptions options = nn_transformer_options(4, 512);
    options.norm_first = true;
    transformer_init(m, 2, 128, 64, 10000, options);
    NN_ADD(m, head, nn_linear_init, 128, 4);
}

static Var encoder_loss(NnModule *module, Tape *tape, int count)
{
    Transformer *m = (Transformer *)module;
    NnSequence x = transformer(m, draw_texts(tape, count, 64, 10000), 2);
    return var_cross_entropy(nn_linear(&m->head, nn_pool_mean(x)), draw_ids(tape, TENSOR_SHAPE(count), 4),
                             VAR_REDUCTION_MEAN);
}

static void gpt_init(NnModule *module)
{
    Transformer *m = (Transformer *)module;
    NnTransformerOptions options = nn_transformer_options(4, 1024);
    options.norm_first = options.causal = true;
    options.dropout = options.inner_dropout = 0;
    options.activation = var_gelu;
    transformer_init(m, 4, 256, 128, 1000, options);
    NN_ADD(m, head, nn_linear_init_without_bias, 256, 1000);
    nn_parameter_tie(&m->head.weight, &m->tokens.weight);
    m->tokens.weight.init = m->places.weight.init = nn_init_normal(0.02);
}

static Var gpt_loss(NnModule *module, Tape *tape, int count)
{
    Transformer *m = (Transformer *)module;
    NnSequence x = transformer(m, draw_texts(tape, count, 128, 1000), 4);
    return var_cross_entropy(nn_linear(&m->head, x.rows),
                             draw_ids(tape, TENSOR_SHAPE(128 * (int64_t)count), 1000), VAR_REDUCTION_MEAN);
}

/* ---- A tagger: BiLSTM and CRF ---- */

typedef struct Tagger {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear scores;
    NnCrf crf;
} Tagger;

static void tagger_init(NnModule *module)
{
    Tagger *m = (Tagger *)module;
    NnRecurrentOptions both = nn_recurrent_options();
    both.bidirectional = true;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 5000, 100);
    NN_ADD(m, lstm, nn_lstm_init_with, 100, 100, both);
    NN_ADD(m, scores, nn_linear_init, 200, 9);
    NN_ADD(m, crf, nn_crf_init, 9);
}

static Var tagger_loss(NnModule *module, Tape *tape, int count)
{
    Tagger *m = (Tagger *)module;
    NnSequence x = nn_embedding_sequence(&m->embedding, draw_texts(tape, count, 24, 5000));
    x = nn_linear_sequence(&m->scores, nn_recurrent_sequence(nn_lstm(&m->lstm, x)));
    return nn_crf_loss(&m->crf, x, draw_ids(tape, TENSOR_SHAPE(24 * (int64_t)count), 9), VAR_REDUCTION_MEAN);
}

/* ---- Sequence to sequence with attention ---- */

enum { WORD = 10, LETTERS = 100 };

typedef struct Translator {
    NnModule base;
    NnEmbedding letters;
    NnGru encoder, decoder;
    NnAdditiveAttention attention;
    NnLinear out;
} Translator;

static void translator_init(NnModule *module)
{
    Translator *m = (Translator *)module;
    nn_module_init(&m->base);
    NN_ADD(m, letters, nn_embedding_init, LETTERS, 64);
    NN_ADD(m, encoder, nn_gru_init, 64, 128);
    NN_ADD(m, decoder, nn_gru_init, 64 + 128, 128);
    NN_ADD(m, attention, nn_additive_attention_init, 128, 128, 128);
    NN_ADD(m, out, nn_linear_init, 128, LETTERS);
}

static Var translator_loss(NnModule *module, Tape *tape, int count)
{
    Translator *m = (Translator *)module;
    NnSequence text = nn_embedding_sequence(&m->letters, draw_texts(tape, count, WORD, LETTERS));
    NnSequence memory = nn_recurrent_sequence(nn_gru(&m->encoder, text));
    Var ids = draw_ids(tape, TENSOR_SHAPE(WORD, count), LETTERS), states[WORD];
    Tensor zeros = tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1, count, 128));
    NnRecurrentState state = {.h = tape_constant(tape, zeros)};
    for (int t = 0; t < WORD; t++) {
        Var seen = nn_additive_attention(&m->attention, var_select(state.h, 0, 0), memory).context;
        Var x = var_concat((Var[]){nn_embedding(&m->letters, var_select(ids, 0, t)), seen}, 2, 1);
        states[t] = nn_recurrent_step(&m->decoder, x, &state);
    }
    return var_cross_entropy(nn_linear(&m->out, var_concat(states, WORD, 0)),
                             var_reshape(ids, TENSOR_SHAPE(WORD * (int64_t)count)), VAR_REDUCTION_MEAN);
}

/* ---- Word vectors: a pair and five words at random, as a batched product ---- */

typedef struct SkipGram {
    NnModule base;
    NnEmbedding words, contexts;
} SkipGram;

static void skip_gram_init(NnModule *module)
{
    SkipGram *m = (SkipGram *)module;
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, 20000, 100);
    NN_ADD(m, contexts, nn_embedding_init, 20000, 100);
}

static Var skip_gram_loss(NnModule *module, Tape *tape, int count)
{
    SkipGram *m = (SkipGram *)module;
    Var words = nn_embedding(&m->words, draw_ids(tape, TENSOR_SHAPE(count), 20000));
    Var contexts = nn_embedding(&m->contexts, draw_ids(tape, TENSOR_SHAPE(count, 6), 20000));
    Var scores = var_matmul(contexts, var_reshape(words, TENSOR_SHAPE(count, 100, 1)));
    Tensor wanted = tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(count, 6));
    for (int i = 0; tensor_is_valid(wanted) && i < count; i++)
        tensor_f32(wanted)[6 * i] = 1;
    return var_bce_with_logits(var_reshape(scores, TENSOR_SHAPE(count, 6)), tape_constant(tape, wanted),
                               VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN);
}

/* ---- A variational autoencoder (Kingma & Welling 2014) ---- */

typedef struct Vae {
    NnModule base;
    NnLinear read, mean, log_var, write, out;
} Vae;

static void vae_init(NnModule *module)
{
    Vae *m = (Vae *)module;
    nn_module_init(&m->base);
    NN_ADD(m, read, nn_linear_init, 784, 400);
    NN_ADD(m, mean, nn_linear_init, 400, 20);
    NN_ADD(m, log_var, nn_linear_init, 400, 20);
    NN_ADD(m, write, nn_linear_init, 20, 400);
    NN_ADD(m, out, nn_linear_init, 400, 784);
}

static Var vae_loss(NnModule *module, Tape *tape, int count)
{
    Vae *m = (Vae *)module;
    Var x = draw_uniform(tape, TENSOR_SHAPE(count, 784)), h = var_relu(nn_linear(&m->read, x));
    Var mean = nn_linear(&m->mean, h), log_var = nn_linear(&m->log_var, h);
    Var noise = tape_normal(tape, TENSOR_F32, TENSOR_SHAPE(count, 20), 0, 1);
    Var z = var_add(mean, var_mul(noise, var_exp(var_scale(log_var, 0.5, 0))));
    Var logits = nn_linear(&m->out, var_relu(nn_linear(&m->write, z)));
    Var seen = var_bce_with_logits(logits, x, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
    Var far = var_sub(var_add(var_square(mean), var_exp(log_var)), var_scale(log_var, 1, 1));
    return var_scale(var_add(seen, var_scale(var_sum(far, TENSOR_AXES_ALL, false), 0.5, 0)), 1.0 / count, 0);
}

/* ---- Burgers' equation u_t + u u_x = 0.01 / pi u_xx (Raissi et al. 2019) ---- */

typedef struct Physics {
    NnModule base;
    NnLinear layers[4];
} Physics;

static void physics_init(NnModule *module)
{
    static const int widths[] = {2, 64, 64, 64, 1};
    Physics *m = (Physics *)module;
    nn_module_init(&m->base);
    for (int i = 0; i < 4; i++)
        NN_ADD_AT(m, layers, i, nn_linear_init, widths[i], widths[i + 1]);
}

static Var physics_loss(NnModule *module, Tape *tape, int count)
{
    Physics *m = (Physics *)module;
    Var x = tape_leaf(tape, var_value(draw_uniform(tape, TENSOR_SHAPE(count, 2)))), u = x, slope, curve;
    for (int i = 0; i < 4; i++)
        u = i < 3 ? var_tanh(nn_linear(&m->layers[i], u)) : nn_linear(&m->layers[i], u);
    Var sum = var_sum(u, TENSOR_AXES_ALL, false);
    tape_vjp(&sum, NULL, 1, &x, 1, true, &slope);
    Var by_x = var_slice(slope, 1, 0, 1, 1), by_t = var_slice(slope, 1, 1, 2, 1);
    sum = var_sum(by_x, TENSOR_AXES_ALL, false);
    tape_vjp(&sum, NULL, 1, &x, 1, true, &curve);
    Var bend = var_scale(var_slice(curve, 1, 0, 1, 1), -0.01 / acos(-1), 0);
    Var rest = var_add(var_add(by_t, var_mul(u, by_x)), bend);
    return var_mean(var_square(rest), TENSOR_AXES_ALL, false);
}

/* ---- One text of an LSTM ---- */

typedef struct OneText {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear fc;
} OneText;

static void one_text_init(NnModule *module)
{
    OneText *m = (OneText *)module;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 10000, 256);
    NN_ADD(m, lstm, nn_lstm_init, 256, 256);
    NN_ADD(m, fc, nn_linear_init, 256, 29);
}

static Var one_text_loss(NnModule *module, Tape *tape, int count)
{
    OneText *m = (OneText *)module;
    NnSequence x = nn_embedding_sequence(&m->embedding, draw_texts(tape, count, 64, 10000));
    return var_cross_entropy(nn_linear(&m->fc, nn_lstm(&m->lstm, x).last),
                             draw_ids(tape, TENSOR_SHAPE(count), 29), VAR_REDUCTION_MEAN);
}

const BenchPeer bench_peers[] = {
    {"mlp", sizeof(Mlp), 128, 256, NN_ADAM, mlp_init, mlp_loss},
    {"mlp_norm", sizeof(Mlp), 128, 64, NN_ADAM, mlp_norm_init, mlp_loss},
    {"digits", sizeof(Digits), 64, 64, NN_ADAM, digits_init, digits_loss},
    {"text_cnn", sizeof(TextCnn), 64, 64, NN_ADAM, text_cnn_init, text_cnn_loss},
    {"encoder", sizeof(Transformer), 32, 32, NN_ADAM, encoder_init, encoder_loss},
    {"gpt", sizeof(Transformer), 8, 8, NN_ADAM, gpt_init, gpt_loss},
    {"tagger", sizeof(Tagger), 32, 32, NN_ADAM, tagger_init, tagger_loss},
    {"seq2seq", sizeof(Translator), 64, 64, NN_ADAM, translator_init, translator_loss},
    {"skip_gram", sizeof(SkipGram), 4096, 256, NN_SGD, skip_gram_init, skip_gram_loss},
    {"vae", sizeof(Vae), 128, 128, NN_ADAM, vae_init, vae_loss},
    {"physics", sizeof(Physics), 1024, 256, NN_ADAM, physics_init, physics_loss},
    {"one_text", sizeof(OneText), 1, 1, NN_ADAM, one_text_init, one_text_loss},
};
const int bench_peer_count = sizeof bench_peers / sizeof *bench_peers;
