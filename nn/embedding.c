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
