#include "nn/attention.h"

void nn_additive_attention_init(NnAdditiveAttention *m, int64_t query, int64_t memory, int64_t hidden)
{
    nn_module_init(&m->base);
    NN_ADD(m, W_h, nn_linear_init, memory, hidden);
    NN_ADD(m, W_s, nn_linear_init, query, hidden);
    NN_ADD(m, v_a, nn_linear_init_without_bias, hidden, 1);
}

NnAttention(nn_additive_attention)(NnAdditiveAttention *m, Var query, NnSequence memory)
{
    Tape *tape = query.tape;
    if (!tape || !tape_ok(tape) || !memory.packing)
        return (NnAttention){.context = {.tape = tape}, .weights = {.tape = tape}};
    nn_enter(&m->base, tape);
    int64_t texts = memory.packing->texts;
    Var text = nn_text_of_row(memory);
    Var keys = nn_linear(&m->W_h, memory.rows);             /* [N, A] */
    Var queries = nn_linear(&m->W_s, query);                /* [B, A] */
    Var v = var_select(nn_var(&m->v_a.weight, tape), 0, 0); /* [A] */
    Var scores = var_segment_score(queries, keys, text, v);
    Var weights = var_segment_softmax(scores, text, texts); /* [N] */
    NnAttention out = {.context = var_segment_weighted_sum(weights, memory.rows, text, texts),
                       .weights = weights};
    nn_leave(tape);
    return out;
}

Var(nn_attention_key)(NnAdditiveAttention *m, Var value)
{
    nn_enter(&m->base, value.tape);
    Var key = nn_linear(&m->W_h, value);
    nn_leave(value.tape);
    return key;
}

Var(nn_attention_over_steps)(NnAdditiveAttention *m, Var query, const Var *keys, const Var *values, int count)
{
    Tape *tape = query.tape;
    if (!tape)
        return query;
    nn_enter(&m->base, tape);
    Var v = var_select(nn_var(&m->v_a.weight, tape), 0, 0); /* [A] */
    Var scores = var_additive_score(nn_linear(&m->W_s, query), keys, count, v);
    Var context = var_weighted_sum(var_softmax(scores, 1), values, count);
    nn_leave(tape);
    return context;
}
