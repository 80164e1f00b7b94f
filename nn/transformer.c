#include "nn/transformer.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

NnTransformerOptions nn_transformer_options(int heads, int64_t hidden)
{
    return (NnTransformerOptions){
        .heads = heads, .hidden = hidden, .dropout = 0.1, .inner_dropout = 0.1, .activation = var_relu};
}

/* ---- Halves ---- */

/* What a half reads, and what stands when it has added its rows, with the norm on one side or the other. */
static Var before_half(const NnTransformerOptions *options, NnLayerNorm *norm, Var x)
{
    return options->norm_first ? nn_layer_norm(norm, x) : x;
}

static Var after_half(const NnTransformerOptions *options, NnLayerNorm *norm, NnDropout *dropout, Var x,
                      Var added)
{
    Var sum = var_add(x, nn_dropout(dropout, added));
    return options->norm_first ? sum : nn_layer_norm(norm, sum);
}

static Var feed_forward(const NnTransformerOptions *options, NnLinear *linear1, NnDropout *dropout,
                        NnLinear *linear2, Var x)
{
    return nn_linear(linear2, nn_dropout(dropout, options->activation(nn_linear(linear1, x))));
}

/* ---- Encoder ---- */

void nn_transformer_encoder_layer_init(NnTransformerEncoderLayer *m, int64_t width,
                                       NnTransformerOptions options)
{
    nn_module_init(&m->base);
    m->options = options;
    NN_ADD(m, self_attn, nn_multihead_attention_init, width, options.heads);
    m->self_attn.dropout.p = options.inner_dropout;
    NN_ADD(m, linear1, nn_linear_init, width, options.hidden);
    NN_ADD(m, dropout, nn_dropout_init, options.inner_dropout);
    NN_ADD(m, linear2, nn_linear_init, options.hidden, width);
    NN_ADD(m, norm1, nn_layer_norm_init, width);
    NN_ADD(m, norm2, nn_layer_norm_init, width);
    NN_ADD(m, dropout1, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout2, nn_dropout_init, options.dropout);
}

/* The layer on rows x, of which `mixed` is what attention has made. */
static Var encode(NnTransformerEncoderLayer *m, Var x, Var mixed)
{
    const NnTransformerOptions *options = &m->options;
    x = after_half(options, &m->norm1, &m->dropout1, x, mixed);
    Var fed =
        feed_forward(options, &m->linear1, &m->dropout, &m->linear2, before_half(options, &m->norm2, x));
    return after_half(options, &m->norm2, &m->dropout2, x, fed);
}

NnSequence(nn_transformer_encoder_layer)(NnTransformerEncoderLayer *m, NnSequence x)
{
    Tape *tape = x.rows.tape;
    nn_enter(&m->base, tape);
    NnSequence seen = nn_with_rows(x, before_half(&m->options, &m->norm1, x.rows));
    Var mixed = nn_multihead_attention(&m->self_attn, seen, m->options.causal).rows;
    x = nn_with_rows(x, encode(m, x.rows, mixed));
    nn_leave(tape);
    return x;
}

Var(nn_transformer_encoder_layer_step)(NnTransformerEncoderLayer *m, NnAttentionCache *cache, Var x)
{
    nn_enter(&m->base, x.tape);
    if (!m->options.causal && x.tape)
        tape_fail(x.tape, "nn_transformer_encoder_layer_step: the layer is not causal");
    Var seen = before_half(&m->options, &m->norm1, x);
    Var out = encode(m, x, nn_multihead_attention_step(&m->self_attn, cache, seen));
    nn_leave(x.tape);
    return out;
}

static void release_layers(NnModule *module)
{
    NnTransformerEncoder *m = (NnTransformerEncoder *)(void *)module;
    reel_mem_free(m->layers);
    m->layers = NULL;
    m->count = 0;
}

void nn_transformer_encoder_init(NnTransformerEncoder *m, int64_t width, int layers,
                                 NnTransformerOptions options)
{
    nn_module_init(&m->base);
    m->base.release = release_layers;
    m->count = 0;
    m->layers = NULL;
    m->last_norm = options.last_norm;
    if (layers < 1) {
        nn_module_fail(&m->base, reel_status_usage("nn_transformer_encoder: %d layers", layers));
        return;
    }
    m->layers = reel_mem_calloc((size_t)layers, sizeof *m->layers);
    if (!m->layers) {
        nn_module_fail(&m->base, reel_status_no_memory((size_t)layers * sizeof *m->layers, "the layers"));
        return;
    }
    m->count = layers;
    for (int i = 0; i < layers; i++)
        NN_ADD_AT(m, layers, i, nn_transformer_encoder_layer_init, width, options);
    if (options.last_norm)
        NN_ADD(m, norm, nn_layer_norm_init, width);
}

NnSequence(nn_transformer_encoder)(NnTransformerEncoder *m, NnSequence x)
{
    Tape *tape = x.rows.tape;
    nn_enter(&m->base, tape);
    for (int i = 0; i < m->count; i++)
        x = nn_transformer_encoder_layer(&m->layers[i], x);
    if (m->last_norm)
        x = nn_with_rows(x, nn_layer_norm(&m->norm, x.rows));
    nn_leave(tape);
    return x;
}

Var(nn_transformer_encoder_step)(NnTransformerEncoder *m, NnAttentionCache *cache, Var x)
{
    Tape *tape = x.tape;
    nn_enter(&m->base, tape);
    for (int i = 0; i < m->count; i++)
        x = nn_transformer_encoder_layer_step(&m->layers[i], cache, x);
    x = m->last_norm ? nn_layer_norm(&m->norm, x) : x;
    nn_leave(tape);
    return x;
}

/* ---- Decoder ---- */

void nn_transformer_decoder_layer_init(NnTransformerDecoderLayer *m, int64_t width,
                                       NnTransformerOptions options)
{
    nn_module_init(&m->base);
    m->options = options;
    NN_ADD(m, self_attn, nn_multihead_attention_init, width, options.heads);
    NN_ADD(m, multihead_attn, nn_multihead_attention_init, width, options.heads);
    m->self_attn.dropout.p = m->multihead_attn.dropout.p = options.inner_dropout;
    NN_ADD(m, linear1, nn_linear_init, width, options.hidden);
    NN_ADD(m, dropout, nn_dropout_init, options.inner_dropout);
    NN_ADD(m, linear2, nn_linear_init, options.hidden, width);
    NN_ADD(m, norm1, nn_layer_norm_init, width);
    NN_ADD(m, norm2, nn_layer_norm_init, width);
    NN_ADD(m, norm3, nn_layer_norm_init, width);
    NN_ADD(m, dropout1, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout2, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout3, nn_dropout_init, options.dropout);
}

/* What the layer asks the memory, and all behind the answer. */
static Var decoder_question(NnTransformerDecoderLayer *m, Var *x, Var mixed)
{
    *x = after_half(&m->options, &m->norm1, &m->dropout1, *x, mixed);
    return before_half(&m->options, &m->norm2, *x);
}

static Var decode(NnTransformerDecoderLayer *m, Var x, Var answer)
{
    const NnTransformerOptions *options = &m->options;
    x = after_half(options, &m->norm2, &m->dropout2, x, answer);
    Var fed =
        feed_forward(options, &m->linear1, &m->dropout, &m->linear2, before_half(options, &m->norm3, x));
    return after_half(options, &m->norm3, &m->dropout3, x, fed);
}

NnSequence(nn_transformer_decoder_layer)(NnTransformerDecoderLayer *m, NnSequence x, NnSequence memory)
{
    Tape *tape = x.rows.tape;
    nn_enter(&m->base, tape);
    NnSequence seen = nn_with_rows(x, before_half(&m->options, &m->norm1, x.rows));
    Var rows = x.rows, mixed = nn_multihead_attention(&m->self_attn, seen, true).rows;
    seen = nn_with_rows(x, decoder_question(m, &rows, mixed));
    Var answer = nn_multihead_attention_over(&m->multihead_attn, seen, memory).rows;
    x = nn_with_rows(x, decode(m, rows, answer));
    nn_leave(tape);
    return x;
}

Var(nn_transformer_decoder_layer_step)(NnTransformerDecoderLayer *m, NnAttentionCache *cache, Var x,
                                       NnSequence memory)
{
    nn_enter(&m->base, x.tape);
    Var seen = before_half(&m->options, &m->norm1, x);
    Var question = decoder_question(m, &x, nn_multihead_attention_step(&m->self_attn, cache, seen));
    Var answer = nn_multihead_attention_over_step(&m->multihead_attn, cache, question, memory);
    Var out = decode(m, x, answer);
    nn_leave(x.tape);
    return out;
}

/* ---- Positions ---- */

/* Positions between two whose sines are computed anew. */
enum { TURNS = 64 };

/* sin(t w) and cos(t w) of each frequency w, and those of w itself, which turn them to the next position:
 * four products instead of two calls. In f64, so that what TURNS of them round is far below what an f32
 * holds. */
typedef struct Wave {
    double sine, cosine, step_sine, step_cosine, frequency;
} Wave;

/* Those of a row of `width` numbers, (width + 1) / 2 of them, before position 0. NULL: no memory. */
static Wave *new_waves(TensorArena *arena, int64_t width)
{
    int64_t half = (width + 1) / 2;
    Wave *waves = tensor_arena_alloc(arena, (size_t)half * sizeof *waves);
    for (int64_t i = 0; waves && i < half; i++) {
        double frequency = pow(10000.0, -2.0 * (double)i / (double)width);
        waves[i] = (Wave){.step_sine = sin(frequency), .step_cosine = cos(frequency), .frequency = frequency};
    }
    return waves;
}

/* Goes on to position t, from the one before it or to a multiple of TURNS. */
static void turn(Wave *waves, int64_t count, int32_t t)
{
    for (int64_t i = 0; i < count; i++) {
        Wave *w = &waves[i];
        double sine = w->sine, cosine = w->cosine;
        bool anew = t % TURNS == 0;
        w->sine = anew ? sin(t * w->frequency) : sine * w->step_cosine + cosine * w->step_sine;
        w->cosine = anew ? cos(t * w->frequency) : cosine * w->step_cosine - sine * w->step_sine;
    }
}

static void write_waves(const Wave *waves, float *row, int64_t width, bool interleaved)
{
    int64_t half = (width + 1) / 2;
    for (int64_t i = 0; i < half; i++) {
        int64_t cosine = interleaved ? 2 * i + 1 : half + i;
        row[interleaved ? 2 * i : i] = (float)waves[i].sine;
        if (cosine < width)
            row[cosine] = (float)waves[i].cosine;
    }
}

/* Of the dtype of `like`. */
static Var angles_var(Var like, Tensor angles)
{
    TensorDtype dtype = var_value(tape_scalar(like, 0)).dtype;
    return tape_constant(like.tape, tensor_cast(tape_arena(like.tape), angles, dtype));
}

Var(nn_sinusoids)(NnSequence x, bool interleaved)
{
    Tape *tape = x.rows.tape;
    const NnPacking *packing = x.packing;
    if (!packing || var_is_empty(x.rows))
        return (Var){.tape = tape};
    int64_t width = var_size(x.rows, 1);
    Tensor angles = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(packing->rows, width));
    Wave *waves = new_waves(tape_arena(tape), width);
    if (!tensor_is_valid(angles) || !waves)
        return tape_fail(tape, "nn_sinusoids: out of memory");
    for (int32_t t = 0; t < packing->steps; t++) {
        float *first = tensor_f32(angles) + packing->first[t] * width;
        turn(waves, (width + 1) / 2, t);
        write_waves(waves, first, width, interleaved);
        for (int32_t row = packing->first[t] + 1; row < packing->first[t + 1]; row++)
            memcpy(tensor_f32(angles) + row * width, first, (size_t)width * sizeof *first);
    }
    return angles_var(x.rows, angles);
}

NnSequence(nn_learned_positions)(NnEmbedding *m, NnSequence x)
{
    if (!x.packing || var_is_empty(x.rows))
        return x;
    return nn_with_rows(x, var_add(x.rows, nn_embedding(m, nn_position_of_row(x))));
}

Var(nn_sinusoids_step)(const NnAttentionCache *cache, Var x, bool interleaved)
{
    if (var_is_empty(x))
        return x;
    int64_t width = var_size(x, -1);
    Tensor angles = tensor_new(tape_arena(x.tape), TENSOR_F32, TENSOR_SHAPE(1, width));
    Wave *waves = new_waves(tape_arena(x.tape), width);
    if (!tensor_is_valid(angles) || !waves)
        return tape_fail(x.tape, "nn_sinusoids: out of memory");
    int32_t position = nn_attention_cache_position(cache);
    for (int32_t t = position - position % TURNS; t <= position; t++)
        turn(waves, (width + 1) / 2, t);
    write_waves(waves, tensor_f32(angles), width, interleaved);
    return angles_var(x, angles);
}
