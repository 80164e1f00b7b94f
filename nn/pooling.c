#include "nn/pooling.h"

static int64_t texts_of(NnSequence x)
{
    return x.packing ? x.packing->texts : 0;
}

/* `count` indices in the step's memory; NULL (and an error) where there is none, or no sequence. */
static int32_t *new_indices(NnSequence x, int64_t count)
{
    Tape *tape = x.rows.tape;
    if (!tape || !x.packing || !tape_ok(tape))
        return NULL;
    int32_t *indices = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *indices);
    if (!indices)
        tape_fail(tape, "nn/pooling: out of memory");
    return indices;
}

static Var failed(NnSequence x)
{
    return (Var){.tape = x.rows.tape};
}

static Var index_var(NnSequence x, int32_t *indices, int ndim, const int64_t *shape)
{
    return tape_constant(x.rows.tape, tensor_from(indices, TENSOR_I32, ndim, shape));
}

/* The rows with one of zeros behind them, which stands for what is not there. */
static Var with_zero_row(Var rows)
{
    Var zeros = var_expand(tape_scalar(rows, 0.0), TENSOR_SHAPE(1, var_size(rows, 1)));
    return var_concat((Var[]){rows, zeros}, 2, 0);
}

/* ---- Pooling ---- */

Var(nn_pool_max)(NnSequence x)
{
    return var_segment_max(x.rows, nn_text_of_row(x), texts_of(x));
}

Var(nn_pool_weighted)(NnSequence x, Var scores, Var *weights)
{
    Var text = nn_text_of_row(x);
    Var a = var_segment_softmax(scores, text, texts_of(x)); /* [N] */
    if (weights)
        *weights = a;
    return var_segment_weighted_sum(a, x.rows, text, texts_of(x));
}

Var(nn_pool_mean)(NnSequence x)
{
    if (var_is_empty(x.rows))
        return failed(x);
    /* The softmax of equal scores is 1 / length. */
    return nn_pool_weighted(x, var_expand(tape_scalar(x.rows, 0.0), TENSOR_SHAPE(var_size(x.rows, 0))), NULL);
}

/* ---- Neighbours ---- */

/* In packed order a text's row at step t + offset lies at first[t + offset] + place. */
static Var neighbours(NnSequence x, Var padded, int offset)
{
    const NnPacking *packing = x.packing;
    int32_t *source = new_indices(x, packing->rows);
    if (!source)
        return failed(x);
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t place = 0; place < nn_running(packing, t); place++) {
            int32_t other = t + offset;
            bool is_there = other >= 0 && other < packing->length[packing->text[place]];
            source[packing->first[t] + place] = is_there ? packing->first[other] + place : packing->rows;
        }
    return var_gather_rows(padded, index_var(x, source, TENSOR_SHAPE(packing->rows)));
}

enum { MOST_NEIGHBOURS = 32 };

NnSequence(nn_windows)(NnSequence x, int before, int after)
{
    Var parts[MOST_NEIGHBOURS];
    int count = before + 1 + after;
    if (var_is_empty(x.rows) || !x.packing)
        return nn_with_rows(x, failed(x));
    if (before < 0 || after < 0 || count > MOST_NEIGHBOURS)
        return nn_with_rows(x, tape_fail(x.rows.tape,
                                         "nn_windows: %d rows before and %d after; at most %d in all", before,
                                         after, MOST_NEIGHBOURS));
    if (count == 1)
        return x;
    Var padded = with_zero_row(x.rows);
    for (int i = 0; i < count; i++)
        parts[i] = i == before ? x.rows : neighbours(x, padded, i - before);
    return nn_with_rows(x, var_concat(parts, count, 1));
}

/* ---- Padding ---- */

Var(nn_pad)(NnSequence x)
{
    const NnPacking *packing = x.packing;
    int32_t *source = packing ? new_indices(x, (int64_t)packing->texts * packing->steps) : NULL;
    if (!source)
        return failed(x);
    int32_t *at = source;
    for (int32_t b = 0; b < packing->texts; b++)
        for (int32_t t = 0; t < packing->steps; t++)
            *at++ = t < packing->length[b] ? packing->first[t] + packing->place[b] : packing->rows;
    int64_t texts = packing->texts, steps = packing->steps;
    Var rows = var_gather_rows(with_zero_row(x.rows), index_var(x, source, TENSOR_SHAPE(texts * steps)));
    return var_reshape(rows, TENSOR_SHAPE(texts, steps, var_size(x.rows, 1)));
}

NnSequence(nn_unpad)(NnSequence like, Var padded)
{
    const NnPacking *packing = like.packing;
    int32_t *source = packing ? new_indices(like, packing->rows) : NULL;
    if (!source || var_is_empty(padded))
        return nn_with_rows(like, failed(like));
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t place = 0; place < nn_running(packing, t); place++)
            source[packing->first[t] + place] = packing->text[place] * packing->steps + t;
    Var rows =
        var_reshape(padded, TENSOR_SHAPE((int64_t)packing->texts * packing->steps, var_size(padded, 2)));
    return nn_with_rows(like, var_gather_rows(rows, index_var(like, source, TENSOR_SHAPE(packing->rows))));
}

Var nn_padding_mask(NnSequence x)
{
    const NnPacking *packing = x.packing;
    int32_t *mask = packing ? new_indices(x, (int64_t)packing->texts * packing->steps) : NULL;
    if (!mask)
        return failed(x);
    int32_t *at = mask;
    for (int32_t b = 0; b < packing->texts; b++)
        for (int32_t t = 0; t < packing->steps; t++)
            *at++ = t >= packing->length[b];
    return index_var(x, mask, TENSOR_SHAPE(packing->texts, 1, packing->steps));
}
