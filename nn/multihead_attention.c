#include "nn/multihead_attention.h"

#include <math.h>

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

/* Which rows are whose, for var_multihead_attention(): text after text, each from its first row to its last.
 */
typedef struct Layout {
    Var start, row;
} Layout;

static Layout layout_of(NnSequence x)
{
    Tape *tape = x.rows.tape;
    const NnPacking *packing = x.packing;
    int32_t *start = tensor_arena_alloc(tape_arena(tape), (size_t)(packing->texts + 1) * sizeof *start);
    int32_t *row = tensor_arena_alloc(tape_arena(tape), (size_t)packing->rows * sizeof *row);
    if (!start || !row)
        return (Layout){tape_fail(tape, "nn_multihead_attention: out of memory"), {.tape = tape}};
    int32_t n = 0;
    for (int32_t b = 0; b < packing->texts; b++) {
        start[b] = n;
        for (int32_t t = 0; t < packing->length[b]; t++)
            row[n++] = packing->first[t] + packing->place[b];
    }
    start[packing->texts] = n;
    return (Layout){tape_constant(tape, tensor_from(start, TENSOR_I32, TENSOR_SHAPE(packing->texts + 1))),
                    tape_constant(tape, tensor_from(row, TENSOR_I32, TENSOR_SHAPE(packing->rows)))};
}

/* queries [N, E], keys and values [M, E] -> [N, E]. */
static Var attend(const NnMultiheadAttention *m, Var query, Layout asking, Var key, Var value, Layout asked,
                  bool causal)
{
    return var_multihead_attention(
        query, key, value, asking.start, asking.row, asked.start, asked.row,
        (VarAttention){.heads = m->heads, .causal = causal, .dropout = m->base.training ? m->dropout.p : 0});
}

/* Part number `part` of rows [N, parts E]. */
static Var part_of(const NnMultiheadAttention *m, Var rows, int part)
{
    return var_slice(rows, 1, part * m->width, (part + 1) * m->width, 1);
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

NnSequence(nn_multihead_attention)(NnMultiheadAttention *m, NnSequence x, bool causal)
{
    Tape *tape = x.rows.tape;
    NnSequence out = nn_with_rows(x, (Var){.tape = tape});
    nn_enter(&m->base, tape);
    if (may_attend(x, x)) {
        Var rows = var_linear(x.rows, nn_var(&m->in_proj_weight, tape), nn_var(&m->in_proj_bias, tape));
        Layout layout = layout_of(x);
        Var mixed =
            attend(m, part_of(m, rows, 0), layout, part_of(m, rows, 1), part_of(m, rows, 2), layout, causal);
        out = nn_linear_sequence(&m->out_proj, nn_with_rows(x, mixed));
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
        Var asking =
            var_linear(query.rows, var_slice(weight, 0, 0, width, 1), var_slice(bias, 0, 0, width, 1));
        Var known = var_linear(memory.rows, var_slice(weight, 0, width, 3 * width, 1),
                               var_slice(bias, 0, width, 3 * width, 1));
        Var mixed = attend(m, asking, layout_of(query), part_of(m, known, 0), part_of(m, known, 1),
                           layout_of(memory), false);
        out = nn_linear_sequence(&m->out_proj, nn_with_rows(query, mixed));
    }
    nn_leave(tape);
    return out;
}
