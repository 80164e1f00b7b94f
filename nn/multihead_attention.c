#include "nn/multihead_attention.h"
#include "nn/pooling.h"

#include <math.h>

#define NOTHING (-1e9) /* a score whose softmax is 0 */

void nn_multihead_attention_init(NnMultiheadAttention *m, int64_t width, int heads)
{
    nn_module_init(&m->base);
    m->width = width;
    m->heads = heads;
    NnInit uniform = nn_init_uniform(sqrt(6.0 / (4.0 * (double)width))); /* Glorot & Bengio 2010 */
    nn_module_add_parameter(&m->base, &m->in_proj_weight, "in_proj_weight", TENSOR_SHAPE(3 * width, width),
                            uniform);
    nn_module_add_parameter(&m->base, &m->in_proj_bias, "in_proj_bias", TENSOR_SHAPE(3 * width),
                            nn_init_constant(0.0));
    NN_ADD(m, out_proj, nn_linear_init, width, width);
    m->out_proj.bias.init = nn_init_constant(0.0);
    NN_ADD(m, dropout, nn_dropout_init, 0.0);
    if (heads < 1 || width % heads != 0)
        nn_module_fail(&m->base,
                       reel_status_usage("nn_multihead_attention: %d heads do not divide a width of %lld",
                                         heads, (long long)width));
}

/* Part number `part` of the padded projection [B, T, parts E] as heads: [B, heads, T, E / heads]. */
static Var heads_of(const NnMultiheadAttention *m, Var projected, int part)
{
    if (var_is_empty(projected))
        return projected;
    int64_t texts = var_size(projected, 0), steps = var_size(projected, 1);
    Var own = var_slice(projected, 2, part * m->width, (part + 1) * m->width, 1);
    return var_transpose(var_reshape(own, TENSOR_SHAPE(texts, steps, m->heads, m->width / m->heads)), 1, 2);
}

/* i32 [T, T]: 1 where a key comes after its query. */
static Var later_keys(Tape *tape, int64_t steps)
{
    int32_t *mask = tensor_arena_alloc(tape_arena(tape), (size_t)(steps * steps) * sizeof *mask);
    if (!mask)
        return tape_fail(tape, "nn_multihead_attention: out of memory");
    for (int64_t i = 0; i < steps * steps; i++)
        mask[i] = i % steps > i / steps;
    return tape_constant(tape, tensor_from(mask, TENSOR_I32, TENSOR_SHAPE(steps, steps)));
}

/* What no query of a text may look at: behind the text's end, or (causal) behind itself, which says as much
 * for all queries that there are. Broadcasts to [B, heads, T, S]. */
static Var mask_of(NnSequence memory, bool causal)
{
    if (causal)
        return later_keys(memory.rows.tape, memory.packing->steps);
    return var_reshape(nn_padding_mask(memory),
                       TENSOR_SHAPE(memory.packing->texts, 1, 1, memory.packing->steps));
}

/* queries [B, heads, T, d], keys and values [B, heads, S, d] -> [B, T, E]. */
static Var attend(NnMultiheadAttention *m, Var query, Var key, Var value, Var mask)
{
    Tape *tape = query.tape;
    if (!tape_ok(tape))
        return (Var){.tape = tape};
    int64_t texts = var_size(query, 0), steps = var_size(query, 2), keys = var_size(key, 2);
    Var scores = var_scale(var_matmul(query, var_transpose(key, 2, 3)),
                           1 / sqrt((double)(m->width / m->heads)), 0); /* [B, heads, T, S] */
    Var hidden = var_expand(mask, TENSOR_SHAPE(texts, m->heads, steps, keys));
    Var weights = nn_dropout(&m->dropout, var_softmax(var_masked_fill(scores, hidden, NOTHING), 3));
    return var_reshape(var_transpose(var_matmul(weights, value), 1, 2), TENSOR_SHAPE(texts, steps, m->width));
}

static bool may_attend(NnSequence query, NnSequence memory)
{
    Tape *tape = query.rows.tape;
    if (!tape || !tape_ok(tape) || !query.packing || !memory.packing)
        return false;
    if (query.packing->texts != memory.packing->texts)
        tape_fail(tape, "nn_multihead_attention: %d texts ask and %d are asked", query.packing->texts,
                  memory.packing->texts);
    return tape_ok(tape);
}

static NnSequence project(NnSequence x, Var weight, Var bias)
{
    return nn_with_rows(x, var_linear(x.rows, weight, bias));
}

NnSequence(nn_multihead_attention)(NnMultiheadAttention *m, NnSequence x, bool causal)
{
    Tape *tape = x.rows.tape;
    NnSequence out = nn_with_rows(x, (Var){.tape = tape});
    nn_enter(&m->base, tape);
    if (may_attend(x, x)) {
        NnSequence projected = project(x, nn_var(&m->in_proj_weight, tape), nn_var(&m->in_proj_bias, tape));
        Var padded = nn_pad(projected); /* [B, T, 3E] */
        Var mixed = attend(m, heads_of(m, padded, 0), heads_of(m, padded, 1), heads_of(m, padded, 2),
                           mask_of(x, causal));
        out = nn_linear_sequence(&m->out_proj, nn_unpad(x, mixed));
    }
    nn_leave(tape);
    return out;
}

NnSequence(nn_multihead_attention_over)(NnMultiheadAttention *m, NnSequence query, NnSequence memory)
{
    Tape *tape = query.rows.tape;
    NnSequence out = nn_with_rows(query, (Var){.tape = tape});
    int64_t width = m->width;
    nn_enter(&m->base, tape);
    if (may_attend(query, memory)) {
        Var weight = nn_var(&m->in_proj_weight, tape), bias = nn_var(&m->in_proj_bias, tape);
        Var asked = nn_pad(project(query, var_slice(weight, 0, 0, width, 1),
                                   var_slice(bias, 0, 0, width, 1))); /* [B, T, E] */
        Var known = nn_pad(project(memory, var_slice(weight, 0, width, 3 * width, 1),
                                   var_slice(bias, 0, width, 3 * width, 1))); /* [B, S, 2E] */
        Var mixed = attend(m, heads_of(m, asked, 0), heads_of(m, known, 0), heads_of(m, known, 1),
                           mask_of(memory, false));
        out = nn_linear_sequence(&m->out_proj, nn_unpad(query, mixed));
    }
    nn_leave(tape);
    return out;
}
