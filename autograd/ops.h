/* The ops: functions on Vars, declared from autograd/op_list.h, which documents each, and from
 * tensor/elementwise_table.h. See autograd/op.h for how one is written. */
#ifndef REEL_AUTOGRAD_OPS_H
#define REEL_AUTOGRAD_OPS_H

#include "autograd/op.h"
#include "tensor/reduce.h"

REEL_BEGIN_DECLS

/* Stands for an optional operand that is not given. */
#ifdef __cplusplus
#define VAR_NONE (Var())
#else
#define VAR_NONE ((Var){0})
#endif

/* An array of Vars, each made from its number: VAR_LIST(parts, i, 3, nn_linear(&m->heads[i], x)) defines
 * parts[0..3), for var_concat() or var_stack(). */
#define VAR_LIST(name, i, count, ...)                                                                        \
    Var name[count];                                                                                         \
    for (int i = 0; i < (count); i++)                                                                        \
    name[i] = (__VA_ARGS__)

/* Positions of the four gates in the axis of 4H pre-activations. */
typedef struct VarGateOrder {
    int input, forget, cell, output;
} VarGateOrder;
/* How var_multihead_attention() looks at keys. */
typedef struct VarAttention {
    int heads;
    bool causal;    /* a text's last query sees all its keys, and each query before it one key less */
    double dropout; /* of weights, which are scaled accordingly; 0: none */
} VarAttention;
/* What a loss makes of the losses of its elements. */
typedef enum { VAR_REDUCTION_MEAN, VAR_REDUCTION_SUM, VAR_REDUCTION_NONE } VarReduction;

/* op_add and var_add(), and so on. */
#define OP_ROW(name, arguments)                                                                              \
    extern OpKind op_##name;                                                                                 \
    Var var_##name arguments;
#include "autograd/op_list.h"

/* Without a gradient, so that nothing of them is to be checked: var_sign(), var_floor() and the like, and
 * comparisons, which give i32.
 */
#define TENSOR_UNARY_FLAT(NAME, name, f)  Var var_##name(Var a);
#define TENSOR_BINARY_FLAT(NAME, name, f) Var var_##name(Var a, Var b);
#include "tensor/elementwise_table.h"

/* var_gated_memory() of z = x + h W^T, x [N, 4H], h [N, in], weight [4H, in]; z is not kept. VAR_NONE as h: z
 * = x. */
Var var_gated_memory_step(Var x, Var h, Var weight, Var c_prev, VarGateOrder order, Var *c);

/* ---- Made of ops, so that their gradients are those ops' ---- */

Var var_min(Var a, unsigned axes, bool keepdim); /* as var_max() */
/* The mean of the squared distances from the mean, with n - correction instead of n (PyTorch's is 1); NaN
 * where that is not above 0. std: its root, whose gradient at 0 is 0. */
Var var_var(Var a, unsigned axes, double correction, bool keepdim);
Var var_std(Var a, unsigned axes, double correction, bool keepdim);
/* (sum of |a|^p)^(1/p); the largest |a| for p = INFINITY, the smallest for -INFINITY, and for p = 0 how many
 * are not 0. The gradient at 0 is 0. */
Var var_norm(Var a, double p, unsigned axes, bool keepdim);
Var var_prod(Var a, unsigned axes, bool keepdim); /* of nothing 1 */
/* a / max(norm, eps) along an axis, and the sum of products of two such; PyTorch's eps are 1e-12 and 1e-8. */
Var var_normalize(Var a, double p, int axis, double eps);
Var var_cosine_similarity(Var a, Var b, int axis, double eps);
/* The first half along an axis times sigmoid of the second (Dauphin et al. 2017, arXiv 1612.08083). */
Var var_glu(Var a, int axis);
/* Views: an axis of size 1 in front of `axis` (of the result), or without one (a itself where its size is not
 * 1); a set of axes in reverse. */
Var var_unsqueeze(Var a, int axis);
Var var_squeeze(Var a, int axis);
Var var_flip(Var a, unsigned axes);
/* All axes from `first` on as one. */
Var var_flatten(Var a, int first);
/* Slices of these sizes, which sum to the axis's, one after the other; and all indices of an axis, which
 * goes: parts[var_size(a, axis)]. False: an error was recorded, and parts of split are empty. */
bool var_split(Var a, int axis, const int64_t *sizes, int count, Var *parts);
bool var_unbind(Var a, int axis, Var *parts);
/* a so many times, one after the other along an axis. */
Var var_repeat(Var a, int axis, int64_t times);
/* The indices index[0], index[1], ... of an axis: index i32 [N]. */
Var var_index_select(Var a, int axis, Var index);
/* a, with index i of source added at index[i] of the axis: source of the shape of a but for this axis, [N].
 */
Var var_index_add(Var a, int axis, Var index, Var source);
/* Of the last two axes what is not above the diagonal, or not below; 0 elsewhere. Diagonal 1 is the one above
 * 0. */
Var var_tril(Var a, int64_t diagonal);
Var var_triu(Var a, int64_t diagonal);
/* The k largest along an axis, the largest first; *index (or NULL): where, i32. NaN is the largest, and of
 * equals the first comes first. The smallest are those of var_neg(). */
Var var_topk(Var a, int64_t k, int axis, Var *index);

/* ---- Indices and masks, i32: without a gradient ---- */

Var var_argmax(Var a, int axis, bool keepdim); /* the first of equals; NaN is the largest */
/* 1 or 0, of what is not 0 and what is, in any dtype; NaN is not 0. */
Var var_logical_and(Var a, Var b);
Var var_logical_or(Var a, Var b);
Var var_logical_xor(Var a, Var b);
Var var_logical_not(Var a);
/* ids i32 of any shape S, in [0, classes) -> S + [classes] of `dtype`: 1 at the id, else 0. */
Var var_one_hot(Var ids, int64_t classes, TensorDtype dtype);
/* [rows, columns]: 1 where column <= row + diagonal, else 0. */
Var tape_tril(Tape *tape, int64_t rows, int64_t columns, int64_t diagonal);

/* ---- The registry ---- */
int op_count(void);
OpKind *op_at(int i);
/* NULL where there is none of that name. */
OpKind *op_find(const char *name);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define var_add(...)                  TAPE_TRACE(Var, var_add(__VA_ARGS__))
#define var_sub(...)                  TAPE_TRACE(Var, var_sub(__VA_ARGS__))
#define var_mul(...)                  TAPE_TRACE(Var, var_mul(__VA_ARGS__))
#define var_div(...)                  TAPE_TRACE(Var, var_div(__VA_ARGS__))
#define var_pow(...)                  TAPE_TRACE(Var, var_pow(__VA_ARGS__))
#define var_maximum(...)              TAPE_TRACE(Var, var_maximum(__VA_ARGS__))
#define var_neg(...)                  TAPE_TRACE(Var, var_neg(__VA_ARGS__))
#define var_exp(...)                  TAPE_TRACE(Var, var_exp(__VA_ARGS__))
#define var_log(...)                  TAPE_TRACE(Var, var_log(__VA_ARGS__))
#define var_sqrt(...)                 TAPE_TRACE(Var, var_sqrt(__VA_ARGS__))
#define var_abs(...)                  TAPE_TRACE(Var, var_abs(__VA_ARGS__))
#define var_relu(...)                 TAPE_TRACE(Var, var_relu(__VA_ARGS__))
#define var_tanh(...)                 TAPE_TRACE(Var, var_tanh(__VA_ARGS__))
#define var_sigmoid(...)              TAPE_TRACE(Var, var_sigmoid(__VA_ARGS__))
#define var_softplus(...)             TAPE_TRACE(Var, var_softplus(__VA_ARGS__))
#define var_square(...)               TAPE_TRACE(Var, var_square(__VA_ARGS__))
#define var_reciprocal(...)           TAPE_TRACE(Var, var_reciprocal(__VA_ARGS__))
#define var_minimum(...)              TAPE_TRACE(Var, var_minimum(__VA_ARGS__))
#define var_rsqrt(...)                TAPE_TRACE(Var, var_rsqrt(__VA_ARGS__))
#define var_log1p(...)                TAPE_TRACE(Var, var_log1p(__VA_ARGS__))
#define var_expm1(...)                TAPE_TRACE(Var, var_expm1(__VA_ARGS__))
#define var_sin(...)                  TAPE_TRACE(Var, var_sin(__VA_ARGS__))
#define var_cos(...)                  TAPE_TRACE(Var, var_cos(__VA_ARGS__))
#define var_erf(...)                  TAPE_TRACE(Var, var_erf(__VA_ARGS__))
#define var_gelu(...)                 TAPE_TRACE(Var, var_gelu(__VA_ARGS__))
#define var_silu(...)                 TAPE_TRACE(Var, var_silu(__VA_ARGS__))
#define var_logsigmoid(...)           TAPE_TRACE(Var, var_logsigmoid(__VA_ARGS__))
#define var_leaky_relu(...)           TAPE_TRACE(Var, var_leaky_relu(__VA_ARGS__))
#define var_elu(...)                  TAPE_TRACE(Var, var_elu(__VA_ARGS__))
#define var_tan(...)                  TAPE_TRACE(Var, var_tan(__VA_ARGS__))
#define var_asin(...)                 TAPE_TRACE(Var, var_asin(__VA_ARGS__))
#define var_acos(...)                 TAPE_TRACE(Var, var_acos(__VA_ARGS__))
#define var_atan(...)                 TAPE_TRACE(Var, var_atan(__VA_ARGS__))
#define var_sinh(...)                 TAPE_TRACE(Var, var_sinh(__VA_ARGS__))
#define var_cosh(...)                 TAPE_TRACE(Var, var_cosh(__VA_ARGS__))
#define var_asinh(...)                TAPE_TRACE(Var, var_asinh(__VA_ARGS__))
#define var_acosh(...)                TAPE_TRACE(Var, var_acosh(__VA_ARGS__))
#define var_atanh(...)                TAPE_TRACE(Var, var_atanh(__VA_ARGS__))
#define var_exp2(...)                 TAPE_TRACE(Var, var_exp2(__VA_ARGS__))
#define var_log2(...)                 TAPE_TRACE(Var, var_log2(__VA_ARGS__))
#define var_log10(...)                TAPE_TRACE(Var, var_log10(__VA_ARGS__))
#define var_erfc(...)                 TAPE_TRACE(Var, var_erfc(__VA_ARGS__))
#define var_floor(...)                TAPE_TRACE(Var, var_floor(__VA_ARGS__))
#define var_ceil(...)                 TAPE_TRACE(Var, var_ceil(__VA_ARGS__))
#define var_trunc(...)                TAPE_TRACE(Var, var_trunc(__VA_ARGS__))
#define var_round(...)                TAPE_TRACE(Var, var_round(__VA_ARGS__))
#define var_atan2(...)                TAPE_TRACE(Var, var_atan2(__VA_ARGS__))
#define var_hypot(...)                TAPE_TRACE(Var, var_hypot(__VA_ARGS__))
#define var_clamp(...)                TAPE_TRACE(Var, var_clamp(__VA_ARGS__))
#define var_sign(...)                 TAPE_TRACE(Var, var_sign(__VA_ARGS__))
#define var_greater(...)              TAPE_TRACE(Var, var_greater(__VA_ARGS__))
#define var_greater_equal(...)        TAPE_TRACE(Var, var_greater_equal(__VA_ARGS__))
#define var_less(...)                 TAPE_TRACE(Var, var_less(__VA_ARGS__))
#define var_less_equal(...)           TAPE_TRACE(Var, var_less_equal(__VA_ARGS__))
#define var_equal(...)                TAPE_TRACE(Var, var_equal(__VA_ARGS__))
#define var_not_equal(...)            TAPE_TRACE(Var, var_not_equal(__VA_ARGS__))
#define var_scale(...)                TAPE_TRACE(Var, var_scale(__VA_ARGS__))
#define var_where(...)                TAPE_TRACE(Var, var_where(__VA_ARGS__))
#define var_masked_fill(...)          TAPE_TRACE(Var, var_masked_fill(__VA_ARGS__))
#define var_dropout(...)              TAPE_TRACE(Var, var_dropout(__VA_ARGS__))
#define var_sum(...)                  TAPE_TRACE(Var, var_sum(__VA_ARGS__))
#define var_mean(...)                 TAPE_TRACE(Var, var_mean(__VA_ARGS__))
#define var_max(...)                  TAPE_TRACE(Var, var_max(__VA_ARGS__))
#define var_softmax(...)              TAPE_TRACE(Var, var_softmax(__VA_ARGS__))
#define var_log_softmax(...)          TAPE_TRACE(Var, var_log_softmax(__VA_ARGS__))
#define var_layer_norm(...)           TAPE_TRACE(Var, var_layer_norm(__VA_ARGS__))
#define var_matmul(...)               TAPE_TRACE(Var, var_matmul(__VA_ARGS__))
#define var_linear(...)               TAPE_TRACE(Var, var_linear(__VA_ARGS__))
#define var_window_linear(...)        TAPE_TRACE(Var, var_window_linear(__VA_ARGS__))
#define var_addmm(...)                TAPE_TRACE(Var, var_addmm(__VA_ARGS__))
#define var_reshape(...)              TAPE_TRACE(Var, var_reshape(__VA_ARGS__))
#define var_transpose(...)            TAPE_TRACE(Var, var_transpose(__VA_ARGS__))
#define var_expand(...)               TAPE_TRACE(Var, var_expand(__VA_ARGS__))
#define var_slice(...)                TAPE_TRACE(Var, var_slice(__VA_ARGS__))
#define var_alias(...)                TAPE_TRACE(Var, var_alias(__VA_ARGS__))
#define var_select(...)               TAPE_TRACE(Var, var_select(__VA_ARGS__))
#define var_concat(...)               TAPE_TRACE(Var, var_concat(__VA_ARGS__))
#define var_stack(...)                TAPE_TRACE(Var, var_stack(__VA_ARGS__))
#define var_embedding(...)            TAPE_TRACE(Var, var_embedding(__VA_ARGS__))
#define var_gather_rows(...)          TAPE_TRACE(Var, var_gather_rows(__VA_ARGS__))
#define var_gather(...)               TAPE_TRACE(Var, var_gather(__VA_ARGS__))
#define var_segment_sum(...)          TAPE_TRACE(Var, var_segment_sum(__VA_ARGS__))
#define var_segment_softmax(...)      TAPE_TRACE(Var, var_segment_softmax(__VA_ARGS__))
#define var_segment_max(...)          TAPE_TRACE(Var, var_segment_max(__VA_ARGS__))
#define var_gated_memory_step(...)    TAPE_TRACE(Var, var_gated_memory_step(__VA_ARGS__))
#define var_gated_unit(...)           TAPE_TRACE(Var, var_gated_unit(__VA_ARGS__))
#define var_gated_memory(...)         TAPE_TRACE(Var, var_gated_memory(__VA_ARGS__))
#define var_segment_score(...)        TAPE_TRACE(Var, var_segment_score(__VA_ARGS__))
#define var_segment_weighted_sum(...) TAPE_TRACE(Var, var_segment_weighted_sum(__VA_ARGS__))
#define var_additive_score(...)       TAPE_TRACE(Var, var_additive_score(__VA_ARGS__))
#define var_multihead_attention(...)  TAPE_TRACE(Var, var_multihead_attention(__VA_ARGS__))
#define var_weighted_sum(...)         TAPE_TRACE(Var, var_weighted_sum(__VA_ARGS__))
#define var_bce(...)                  TAPE_TRACE(Var, var_bce(__VA_ARGS__))
#define var_bce_with_logits(...)      TAPE_TRACE(Var, var_bce_with_logits(__VA_ARGS__))
#define var_cross_entropy(...)        TAPE_TRACE(Var, var_cross_entropy(__VA_ARGS__))
#define var_logsumexp(...)            TAPE_TRACE(Var, var_logsumexp(__VA_ARGS__))
#define var_cumsum(...)               TAPE_TRACE(Var, var_cumsum(__VA_ARGS__))
#define var_permute(...)              TAPE_TRACE(Var, var_permute(__VA_ARGS__))
#define var_pad(...)                  TAPE_TRACE(Var, var_pad(__VA_ARGS__))
#define var_cast(...)                 TAPE_TRACE(Var, var_cast(__VA_ARGS__))
#define var_scatter_add(...)          TAPE_TRACE(Var, var_scatter_add(__VA_ARGS__))
#define var_min(...)                  TAPE_TRACE(Var, var_min(__VA_ARGS__))
#define var_var(...)                  TAPE_TRACE(Var, var_var(__VA_ARGS__))
#define var_std(...)                  TAPE_TRACE(Var, var_std(__VA_ARGS__))
#define var_norm(...)                 TAPE_TRACE(Var, var_norm(__VA_ARGS__))
#define var_prod(...)                 TAPE_TRACE(Var, var_prod(__VA_ARGS__))
#define var_normalize(...)            TAPE_TRACE(Var, var_normalize(__VA_ARGS__))
#define var_cosine_similarity(...)    TAPE_TRACE(Var, var_cosine_similarity(__VA_ARGS__))
#define var_glu(...)                  TAPE_TRACE(Var, var_glu(__VA_ARGS__))
#define var_unsqueeze(...)            TAPE_TRACE(Var, var_unsqueeze(__VA_ARGS__))
#define var_flatten(...)              TAPE_TRACE(Var, var_flatten(__VA_ARGS__))
#define var_squeeze(...)              TAPE_TRACE(Var, var_squeeze(__VA_ARGS__))
#define var_flip(...)                 TAPE_TRACE(Var, var_flip(__VA_ARGS__))
#define var_repeat(...)               TAPE_TRACE(Var, var_repeat(__VA_ARGS__))
#define var_index_select(...)         TAPE_TRACE(Var, var_index_select(__VA_ARGS__))
#define var_index_add(...)            TAPE_TRACE(Var, var_index_add(__VA_ARGS__))
#define var_tril(...)                 TAPE_TRACE(Var, var_tril(__VA_ARGS__))
#define var_triu(...)                 TAPE_TRACE(Var, var_triu(__VA_ARGS__))
#define var_topk(...)                 TAPE_TRACE(Var, var_topk(__VA_ARGS__))
#define var_argmax(...)               TAPE_TRACE(Var, var_argmax(__VA_ARGS__))
#define var_logical_and(...)          TAPE_TRACE(Var, var_logical_and(__VA_ARGS__))
#define var_logical_or(...)           TAPE_TRACE(Var, var_logical_or(__VA_ARGS__))
#define var_logical_xor(...)          TAPE_TRACE(Var, var_logical_xor(__VA_ARGS__))
#define var_logical_not(...)          TAPE_TRACE(Var, var_logical_not(__VA_ARGS__))
#define var_one_hot(...)              TAPE_TRACE(Var, var_one_hot(__VA_ARGS__))
#define tape_tril(...)                TAPE_TRACE(Var, tape_tril(__VA_ARGS__))
#define var_split(...)                TAPE_TRACE(bool, var_split(__VA_ARGS__))
#define var_unbind(...)               TAPE_TRACE(bool, var_unbind(__VA_ARGS__))
#define var_mse(...)                  TAPE_TRACE(Var, var_mse(__VA_ARGS__))
#define var_skip_gram(...)            TAPE_TRACE(Var, var_skip_gram(__VA_ARGS__))
#endif

#endif
