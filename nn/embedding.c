#include "nn/embedding.h"

static Var forward(NnModule *module, Var ids)
{
    return nn_embedding((NnEmbedding *)(void *)module, ids);
}

void nn_embedding_init(NnEmbedding *m, int64_t vocabulary, int64_t width)
{
    nn_embedding_init_padded(m, vocabulary, width, -1);
}

void nn_embedding_init_padded(NnEmbedding *m, int64_t vocabulary, int64_t width, int64_t padding_id)
{
    nn_module_init(&m->base);
    m->base.forward = forward;
    m->padding_id = padding_id;
    nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(vocabulary, width),
                            nn_init_normal(1.0));
    m->weight.sparse = true;
    if (padding_id >= 0) {
        m->weight.fill_first = padding_id;
        m->weight.fill_stop = padding_id + 1;
    }
    if (padding_id < -1 || padding_id >= vocabulary)
        nn_module_fail(&m->base,
                       reel_status_failed("nn_embedding: the padding id %lld is not below the vocabulary "
                                          "%lld, and not -1 for none",
                                          (long long)padding_id, (long long)vocabulary));
}

Var(nn_embedding)(NnEmbedding *m, Var ids)
{
    if (!ids.tape)
        return ids;
    nn_enter(&m->base, ids.tape);
    Var out = var_embedding(nn_var(&m->weight, ids.tape), ids, m->padding_id);
    nn_leave(ids.tape);
    return out;
}

NnSequence(nn_embedding_sequence)(NnEmbedding *m, NnSequence ids)
{
    return nn_with_rows(ids, nn_embedding(m, ids.rows));
}

/* ---- Bags ---- */

void nn_embedding_bag_init(NnEmbeddingBag *m, int64_t vocabulary, int64_t width, NnBagMode mode)
{
    nn_module_init(&m->base);
    m->mode = mode;
    nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(vocabulary, width),
                            nn_init_normal(1.0));
    m->weight.sparse = true;
}

/* 1 / how many ids its bag has, for each id: [N]. */
static Var shares(Var like, Var bag, int64_t count)
{
    Var ones = var_expand(tape_scalar(like, 1), TENSOR_SHAPE(var_size(bag, 0)));
    return var_div(ones, var_gather_rows(var_segment_sum(ones, bag, count), bag));
}

Var(nn_embedding_bag)(NnEmbeddingBag *m, Var ids, Var bag, int64_t count, Var weights)
{
    Tape *tape = ids.tape;
    if (!tape)
        return ids;
    Var out = {.tape = tape};
    nn_enter(&m->base, tape);
    Var rows = var_embedding(nn_var(&m->weight, tape), ids, -1); /* [N, E] */
    if (weights.tape && m->mode != NN_BAG_SUM)
        tape_fail(tape, "nn_embedding_bag: weights are of a sum");
    if (!var_is_empty(rows) && !var_is_empty(bag) && tape_ok(tape)) {
        if (m->mode == NN_BAG_MAX)
            out = var_segment_max(rows, bag, count);
        else if (m->mode == NN_BAG_MEAN)
            out = var_segment_weighted_sum(shares(rows, bag, count), rows, bag, count);
        else
            out = weights.tape ? var_segment_weighted_sum(weights, rows, bag, count)
                               : var_segment_sum(rows, bag, count);
    }
    nn_leave(tape);
    return out;
}

Var(nn_embedding_bag_sequence)(NnEmbeddingBag *m, NnSequence ids)
{
    if (!ids.packing)
        return (Var){.tape = ids.rows.tape};
    return nn_embedding_bag(m, ids.rows, nn_text_of_row(ids), ids.packing->texts, VAR_NONE);
}
