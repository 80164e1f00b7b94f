/* The models that are compared with PyTorch's, in the order and of the sizes of tools/pytorch_peers.py: in
 * speed by tools/bench_pytorch.py --peers, in values and gradients by tests/pytorch_gradients.py, in lines by
 * tests/tools/pages.c, which counts those between one heading and the next. */
#include "nn/decoding.h"
#include "tools/bench_peers.h"

#include <math.h>

/* Noise of the shape of x, two axes. */
static Var normal_like(Var x);

/* ---- mlp ---- */

static void mlp_init(NnSequential *m)
{
    nn_sequential_init(m);
    NN_APPEND(m, NnLinear, nn_linear_init, 784, 512);
    NN_APPEND(m, NnRelu, nn_relu_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 512, 256);
    NN_APPEND(m, NnRelu, nn_relu_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 256, 10);
}

/* ---- mlp_norm ---- */

static void mlp_norm_init(NnSequential *m)
{
    nn_sequential_init(m);
    NN_APPEND(m, NnLinear, nn_linear_init, 784, 512);
    NN_APPEND(m, NnBatchNorm, nn_batch_norm_init, 512);
    NN_APPEND(m, NnRelu, nn_relu_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 512, 256);
    NN_APPEND(m, NnBatchNorm, nn_batch_norm_init, 256);
    NN_APPEND(m, NnRelu, nn_relu_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 256, 10);
}

/* ---- digits ---- */

typedef struct Digits {
    NnModule base;
    NnConv2d first, second;
    NnLinear fc;
} Digits;

static void digits_init(Digits *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_conv2d_init, 1, 16, 3, 3, nn_conv_padded(1));
    NN_ADD(m, second, nn_conv2d_init, 16, 32, 3, 3, nn_conv_padded(1));
    NN_ADD(m, fc, nn_linear_init, 128, 10);
}

static Var digits(Digits *m, Var x)
{
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->first, x)), 2, 2, 0);
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->second, x)), 2, 2, 0);
    return nn_linear(&m->fc, var_flatten(x, 1));
}

/* ---- text_cnn ---- */
/* Convolutions over the words of texts (Kim 2014). */

typedef struct TextCnn {
    NnModule base;
    NnEmbedding embedding;
    NnConv1d conv[3];
    NnDropout dropout;
    NnLinear fc;
} TextCnn;

static void text_cnn_init(TextCnn *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 10000, 128);
    NN_ADD_EACH(m, conv, i, nn_conv1d_init, 128, 100, 3 + 2 * i, nn_conv_padded(1 + i));
    NN_ADD(m, dropout, nn_dropout_init, 0.5);
    NN_ADD(m, fc, nn_linear_init, 300, 4);
}

static Var text_cnn(TextCnn *m, NnSequence text)
{
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    VAR_LIST(parts, i, 3, var_relu(nn_pool_max(nn_conv1d_sequence(&m->conv[i], x))));
    return nn_linear(&m->fc, nn_dropout(&m->dropout, var_concat(parts, 3, 1)));
}

/* ---- encoder ---- */

typedef struct Encoder {
    NnModule base;
    NnEmbedding tokens, places;
    NnTransformerEncoder layers;
    NnLinear head;
} Encoder;

static void encoder_init(Encoder *m)
{
    NnTransformerOptions options = nn_transformer_options(4, 512);
    options.norm_first = options.last_norm = true;
    nn_module_init(&m->base);
    NN_ADD(m, tokens, nn_embedding_init, 10000, 128);
    NN_ADD(m, places, nn_embedding_init, 64, 128);
    NN_ADD(m, layers, nn_transformer_encoder_init, 128, 2, options);
    NN_ADD(m, head, nn_linear_init, 128, 4);
}

static Var encoder(Encoder *m, NnSequence text)
{
    NnSequence x = nn_learned_positions(&m->places, nn_embedding_sequence(&m->tokens, text));
    return nn_linear(&m->head, nn_pool_mean(nn_transformer_encoder(&m->layers, x)));
}

/* ---- gpt ---- */
/* Its head is the embedding. */

typedef struct Gpt {
    NnModule base;
    NnEmbedding tokens, places;
    NnTransformerEncoder layers;
} Gpt;

static void gpt_init(Gpt *m)
{
    NnTransformerOptions options = nn_transformer_options(4, 1024);
    options.norm_first = options.last_norm = options.causal = true;
    options.dropout = options.inner_dropout = 0;
    options.activation = var_gelu;
    nn_module_init(&m->base);
    NN_ADD(m, tokens, nn_embedding_init, 1000, 256);
    NN_ADD(m, places, nn_embedding_init, 128, 256);
    NN_ADD(m, layers, nn_transformer_encoder_init, 256, 4, options);
    m->tokens.weight.init = m->places.weight.init = nn_init_normal(0.02);
}

static Var gpt(Gpt *m, NnSequence text)
{
    NnSequence x = nn_learned_positions(&m->places, nn_embedding_sequence(&m->tokens, text));
    x = nn_transformer_encoder(&m->layers, x);
    return var_linear(x.rows, nn_var(&m->tokens.weight, x.rows.tape), VAR_NONE);
}

/* ---- tagger ---- */

typedef struct Tagger {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear scores;
    NnCrf crf;
} Tagger;

static void tagger_init(Tagger *m)
{
    NnRecurrentOptions both = nn_recurrent_options();
    both.bidirectional = true;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 5000, 100);
    NN_ADD(m, lstm, nn_lstm_init_with, 100, 100, both);
    NN_ADD(m, scores, nn_linear_init, 200, 9);
    NN_ADD(m, crf, nn_crf_init, 9);
}

static Var tagger_loss(Tagger *m, NnSequence text, Var tags)
{
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    x = nn_linear_sequence(&m->scores, nn_recurrent_sequence(nn_lstm(&m->lstm, x)));
    return nn_crf_loss(&m->crf, x, tags, VAR_REDUCTION_MEAN);
}

/* ---- seq2seq ---- */
/* The decoder begins with the encoder's state, and attention over its states (Bahdanau et al. 2015). */

typedef struct Seq2seq {
    NnModule base;
    NnEmbedding letters;
    NnGru encoder, decoder;
    NnAdditiveAttention attention;
    NnLinear out;
} Seq2seq;

static void seq2seq_init(Seq2seq *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, letters, nn_embedding_init, 100, 64);
    NN_ADD(m, encoder, nn_gru_init, 64, 128);
    NN_ADD(m, decoder, nn_gru_init, 64 + 128, 128);
    NN_ADD(m, attention, nn_additive_attention_init, 128, 128, 128);
    NN_ADD(m, out, nn_linear_init, 128, 100);
}

static Var seq2seq_step(Seq2seq *m, Var letter, NnSequence memory, NnRecurrentState *state)
{
    Var seen = nn_additive_attention(&m->attention, var_select(state->h, 0, 0), memory).context;
    return nn_recurrent_step(&m->decoder, var_concat((Var[]){letter, seen}, 2, 1), state);
}

static Var seq2seq(Seq2seq *m, NnSequence text, Var last)
{
    NnRecurrentOutput read = nn_gru(&m->encoder, nn_embedding_sequence(&m->letters, text));
    NnSequence memory = nn_recurrent_sequence(read);
    NnRecurrentState state = nn_recurrent_state(read);
    Var states[10], written = nn_embedding(&m->letters, last);
    for (int t = 0; t < 10; t++)
        states[t] = seq2seq_step(m, var_select(written, 1, t), memory, &state);
    return nn_linear(&m->out, var_stack(states, 10, 1));
}

/* ---- beam_search ---- */
/* What seq2seq writes for one text of ten letters: the likeliest sequences, by their length. */

enum { BEGIN, END, MOST = 10, BEAM = 4 };

typedef struct Writer {
    Seq2seq *m;
    Var memory; /* [10, 128] */
    NnRecurrentState state;
} Writer;

static ReelStatus write_letter(void *context, const int32_t *ids, const int32_t *from, int n, float *scores)
{
    static const int32_t lengths[BEAM] = {10, 10, 10, 10};
    Writer *w = context;
    Tape *tape = w->memory.tape;
    Var last = tape_constant(tape, tensor_from((void *)ids, TENSOR_I32, TENSOR_SHAPE(n)));
    Var parents = tape_constant(tape, tensor_from((void *)from, TENSOR_I32, TENSOR_SHAPE(n)));
    NnSequence memory = nn_pack_rows(var_repeat(w->memory, 0, n), lengths, n);
    w->state.h = var_index_select(w->state.h, 1, parents);
    Var h = seq2seq_step(w->m, nn_embedding(&w->m->letters, last), memory, &w->state);
    Tensor all = tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(n, 100));
    tensor_copy_into(all, var_value(nn_linear(&w->m->out, h)));
    return *tape_status(tape);
}

static ReelStatus beam_search(Seq2seq *m, NnSequence text, int32_t *ids, int32_t *counts, double *log_p,
                              int *n)
{
    NnRecurrentOutput read = nn_gru(&m->encoder, nn_embedding_sequence(&m->letters, text));
    Writer writer = {m, nn_unpack(nn_recurrent_sequence(read)), nn_recurrent_state(read)};
    NnDecodeOptions options = nn_decode_options(100, BEGIN, END, MOST);
    options.beam = BEAM;
    options.length_penalty = 0.9;
    return nn_decode_beams(write_letter, &writer, options, ids, counts, log_p, n);
}

/* ---- skip_gram ---- */
/* Word vectors: a word's neighbour and five words at random, told apart by products. */

typedef struct SkipGram {
    NnModule base;
    NnEmbedding words, contexts;
} SkipGram;

static void skip_gram_init(SkipGram *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, 20000, 100);
    NN_ADD(m, contexts, nn_embedding_init, 20000, 100);
}

static Var skip_gram(SkipGram *m, Var word, Var context)
{
    Var of_word = var_unsqueeze(nn_embedding(&m->words, word), 2);
    return var_squeeze(var_matmul(nn_embedding(&m->contexts, context), of_word), 2);
}

/* ---- vae ---- */
/* A variational autoencoder (Kingma & Welling 2014). */

typedef struct Vae {
    NnModule base;
    NnLinear read, mean, log_var, write, out;
} Vae;

static void vae_init(Vae *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, read, nn_linear_init, 784, 400);
    NN_ADD(m, mean, nn_linear_init, 400, 20);
    NN_ADD(m, log_var, nn_linear_init, 400, 20);
    NN_ADD(m, write, nn_linear_init, 20, 400);
    NN_ADD(m, out, nn_linear_init, 400, 784);
}

static Var vae_loss(Vae *m, Var x)
{
    Var h = var_relu(nn_linear(&m->read, x));
    Var mean = nn_linear(&m->mean, h), log_var = nn_linear(&m->log_var, h);
    Var z = var_add(mean, var_mul(normal_like(mean), var_exp(var_scale(log_var, 0.5, 0))));
    Var logits = nn_linear(&m->out, var_relu(nn_linear(&m->write, z)));
    Var seen = var_bce_with_logits(logits, x, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
    Var far = var_sub(var_add(var_square(mean), var_exp(log_var)), var_scale(log_var, 1, 1));
    far = var_scale(var_sum(far, TENSOR_AXES_ALL, false), 0.5, 0);
    return var_scale(var_add(seen, far), 1.0 / (double)var_size(x, 0), 0);
}

/* ---- physics ---- */
/* Burgers' equation u_t + u u_x = 0.01 / pi u_xx (Raissi et al. 2019). */

static void physics_init(NnSequential *m)
{
    nn_sequential_init(m);
    NN_APPEND(m, NnLinear, nn_linear_init, 2, 64);
    NN_APPEND(m, NnTanh, nn_tanh_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 64, 64);
    NN_APPEND(m, NnTanh, nn_tanh_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 64, 64);
    NN_APPEND(m, NnTanh, nn_tanh_init);
    NN_APPEND(m, NnLinear, nn_linear_init, 64, 1);
}

static Var physics_loss(NnSequential *m, Var x)
{
    Var u = nn_sequential(m, x), slope = var_gradient(u, x);
    Var by_x = var_slice(slope, 1, 0, 1, 1), by_t = var_slice(slope, 1, 1, 2, 1);
    Var bend = var_slice(var_gradient(by_x, x), 1, 0, 1, 1);
    Var rest = var_add(var_add(by_t, var_mul(u, by_x)), var_scale(bend, -0.01 / acos(-1), 0));
    return var_mean(var_square(rest), TENSOR_AXES_ALL, false);
}

/* ---- one_text ---- */
/* What is answered one text at a time. */

typedef struct OneText {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear fc;
} OneText;

static void one_text_init(OneText *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 10000, 256);
    NN_ADD(m, lstm, nn_lstm_init, 256, 256);
    NN_ADD(m, fc, nn_linear_init, 256, 29);
}

static Var one_text(OneText *m, NnSequence text)
{
    return nn_linear(&m->fc, nn_lstm(&m->lstm, nn_embedding_sequence(&m->embedding, text)).last);
}

/* ---- What they are run on ---- */

/* Drawn once: the steps that are measured draw none. */
enum { NUMBERS = 128 * 784, PAIRS = 4096, CONTEXTS = 6 };
static float numbers[NUMBERS], wanted[PAIRS * CONTEXTS];
static bool noise_is_drawn = true;

Tensor bench_peers_draw(uint64_t seed)
{
    TensorRandom random = tensor_random_new(seed, tensor_random_stream("examples"));
    Tensor all = tensor_from(numbers, TENSOR_F32, TENSOR_SHAPE(NUMBERS));
    tensor_random_fill_uniform(&random, all, 0, 1);
    for (int i = 0; i < PAIRS; i++)
        wanted[CONTEXTS * i] = 1;
    return all;
}

void bench_peers_draw_noise(bool drawn)
{
    noise_is_drawn = drawn;
}

static Var draw_uniform(Tape *tape, int ndim, const int64_t *shape)
{
    return tape_constant(tape, tensor_from(numbers, TENSOR_F32, ndim, shape));
}

static Var normal_like(Var x)
{
    const int64_t shape[] = {var_size(x, 0), var_size(x, 1)};
    return noise_is_drawn ? tape_normal(x.tape, TENSOR_F32, 2, shape, 0, 1) : draw_uniform(x.tape, 2, shape);
}

/* Ids below a number. */
static Var draw_ids(Tape *tape, int ndim, const int64_t *shape, int below)
{
    Tensor t = tensor_new(tape_arena(tape), TENSOR_I32, ndim, shape);
    for (int64_t i = 0, n = tensor_is_valid(t) ? tensor_numel(&t) : 0; i < n; i++)
        tensor_i32(t)[i] = (int32_t)(numbers[i] * (float)below);
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

/* Classes of `count` examples, as what logits are compared with. */
static Var classes_loss(Var logits, int count, int classes)
{
    Var target = draw_ids(logits.tape, TENSOR_SHAPE(count), classes);
    return var_cross_entropy(logits, target, VAR_REDUCTION_MEAN);
}

/* Init and loss of a peer: `loss` is of the model m on `count` examples of the tape. */
#define PEER(name, Type, loss)                                                                               \
    static void name##_peer_init(NnModule *module)                                                           \
    {                                                                                                        \
        name##_init((Type *)(void *)module);                                                                 \
    }                                                                                                        \
    static Var name##_peer_loss(NnModule *module, Tape *tape, int count)                                     \
    {                                                                                                        \
        Type *m = (Type *)(void *)module;                                                                    \
        return loss;                                                                                         \
    }
#define TEXTS(length, below) draw_texts(tape, count, length, below)

PEER(mlp, NnSequential,
     classes_loss(nn_sequential(m, draw_uniform(tape, TENSOR_SHAPE(count, 784))), count, 10))
PEER(mlp_norm, NnSequential,
     classes_loss(nn_sequential(m, draw_uniform(tape, TENSOR_SHAPE(count, 784))), count, 10))
PEER(digits, Digits, classes_loss(digits(m, draw_uniform(tape, TENSOR_SHAPE(count, 1, 8, 8))), count, 10))
PEER(text_cnn, TextCnn, classes_loss(text_cnn(m, TEXTS(64, 10000)), count, 4))
PEER(encoder, Encoder, classes_loss(encoder(m, TEXTS(64, 10000)), count, 4))
PEER(gpt, Gpt, var_cross_entropy(gpt(m, TEXTS(128, 1000)), TEXTS(128, 1000).rows, VAR_REDUCTION_MEAN))
PEER(tagger, Tagger, tagger_loss(m, TEXTS(24, 5000), TEXTS(24, 9).rows))
PEER(seq2seq, Seq2seq,
     classes_loss(var_reshape(seq2seq(m, TEXTS(10, 100), draw_ids(tape, TENSOR_SHAPE(count, 10), 100)),
                              TENSOR_SHAPE((int64_t)count * 10, 100)),
                  count * 10, 100))
PEER(skip_gram, SkipGram,
     var_bce_with_logits(skip_gram(m, draw_ids(tape, TENSOR_SHAPE(count), 20000),
                                   draw_ids(tape, TENSOR_SHAPE(count, CONTEXTS), 20000)),
                         tape_constant(tape, tensor_from(wanted, TENSOR_F32, TENSOR_SHAPE(count, CONTEXTS))),
                         VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN))
PEER(vae, Vae, vae_loss(m, draw_uniform(tape, TENSOR_SHAPE(count, 784))))
PEER(physics, NnSequential,
     physics_loss(m, tape_leaf(tape, tensor_from(numbers, TENSOR_F32, TENSOR_SHAPE(count, 2)))))
PEER(one_text, OneText, classes_loss(one_text(m, TEXTS(64, 10000)), count, 29))

#define ROW(name, Type, examples, most_shards, optimizer)                                                    \
    {                                                                                                        \
#name, sizeof(Type), examples, most_shards, optimizer, name##_peer_init, name##_peer_loss            \
    }
const BenchPeer bench_peers[] = {
    ROW(mlp, NnSequential, 128, 256, NN_ADAM),      ROW(mlp_norm, NnSequential, 128, 64, NN_ADAM),
    ROW(digits, Digits, 64, 64, NN_ADAM),           ROW(text_cnn, TextCnn, 64, 64, NN_ADAM),
    ROW(encoder, Encoder, 32, 32, NN_ADAM),         ROW(gpt, Gpt, 8, 8, NN_ADAM),
    ROW(tagger, Tagger, 32, 32, NN_ADAM),           ROW(seq2seq, Seq2seq, 64, 64, NN_ADAM),
    ROW(skip_gram, SkipGram, PAIRS, 256, NN_SGD),   ROW(vae, Vae, 128, 128, NN_ADAM),
    ROW(physics, NnSequential, 1024, 256, NN_ADAM), ROW(one_text, OneText, 1, 1, NN_ADAM),
};
const int bench_peer_count = sizeof bench_peers / sizeof *bench_peers;

/* ---- What beam search finds: tests/pytorch_gradients.py ---- */

enum { SEARCHES = 16 };

void bench_peers_add_weights(TensorNpzWriter *out, NnModule *module, const char *prefix)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    for (NnIterator it = nn_iterate(module); nn_next(&it);) {
        char name[NN_NAME_SIZE + 8];
        snprintf(name, sizeof name, "%s%s", prefix, it.named.name);
        tensor_npz_add_tensor(out, name, nn_parameter_read(it.named.parameter, &arena));
    }
    tensor_arena_free(&arena);
}

/* A model by which some sequences end, and others do not. */
static ReelStatus search_init(Seq2seq *m, uint64_t seed)
{
    float bias[100] = {[END] = 3.0F};
    seq2seq_init(m);
    ReelStatus status = nn_module_reset(&m->base, seed);
    if (!reel_status_is_ok(&status))
        return status;
    return nn_parameter_write(&m->out.bias, tensor_from(bias, TENSOR_F32, TENSOR_SHAPE(100)));
}

ReelStatus bench_check_beam_search(uint64_t seed, TensorNpzWriter *out)
{
    static int32_t ids[SEARCHES][BEAM][MOST], counts[SEARCHES][BEAM];
    static double log_p[SEARCHES][BEAM];
    int32_t text[10];
    Seq2seq m;
    Tape *tape = tape_new();
    Tensor all = bench_peers_draw(seed);
    ReelStatus status = search_init(&m, seed);
    if (!tape)
        status = reel_status_no_memory(0, "a tape");
    for (int i = 0; i < SEARCHES && reel_status_is_ok(&status); i++) {
        int found;
        for (int k = 0; k < 10; k++)
            text[k] = (int32_t)(numbers[10 * i + k] * 100);
        tape_begin(tape);
        tape_set_grad_enabled(tape, false);
        status = beam_search(&m, nn_pack(tape, text, (int32_t[]){0, 10}, 1), ids[i][0], counts[i], log_p[i],
                             &found);
        if (reel_status_is_ok(&status) && found != BEAM)
            status = reel_status_failed("%d sequences were found, not %d", found, BEAM);
    }
    if (reel_status_is_ok(&status)) {
        bench_peers_add_weights(out, &m.base, "");
        tensor_npz_add_tensor(out, "numbers", all);
        tensor_npz_add_array(out, "ids", 'i', 4, TENSOR_SHAPE(SEARCHES, BEAM, MOST), ids);
        tensor_npz_add_array(out, "counts", 'i', 4, TENSOR_SHAPE(SEARCHES, BEAM), counts);
        tensor_npz_add_array(out, "log_p", 'f', 8, TENSOR_SHAPE(SEARCHES, BEAM), log_p);
    }
    nn_module_free(&m.base);
    tape_free(tape);
    return status;
}
