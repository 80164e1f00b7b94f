/* The ops: functions on Vars. Shapes follow NumPy and PyTorch; elementwise ops broadcast. An axis may
 * be negative, counting from the end. See autograd/op.h for how one is written. */
#ifndef REEL_AUTOGRAD_OPS_H
#define REEL_AUTOGRAD_OPS_H

#include "autograd/op.h"

REEL_BEGIN_DECLS

/* Stands for an optional operand that is not given. */
#define VAR_NONE ((Var){0})
/* A set of axes: TENSOR_AXIS(0) | TENSOR_AXIS(-1). */
#define TENSOR_AXIS(i)  (1u << ((i)&31))
#define TENSOR_AXES_ALL (~0u)

/* ---- Elementwise, two operands ---- */
Var var_add(Var a, Var b);
Var var_sub(Var a, Var b);
Var var_mul(Var a, Var b);
Var var_div(Var a, Var b);
Var var_pow(Var a, Var b);     /* a^b; a > 0 where b wants a gradient */
Var var_maximum(Var a, Var b); /* ties share the gradient in halves */

/* ---- Elementwise, one operand ---- */
Var var_neg(Var a);
Var var_exp(Var a);
Var var_log(Var a);
Var var_sqrt(Var a);
Var var_abs(Var a); /* gradient 0 at 0 */
Var var_relu(Var a);
Var var_tanh(Var a);
Var var_sigmoid(Var a);
Var var_softplus(Var a);
Var var_scale(Var a, double factor, double offset); /* factor * a + offset */

/* ---- Choosing ---- */
/* condition: i32, nonzero takes a. What is not taken gets the gradient 0, which is NaN times an infinite
 * derivative: for the root of what may be 0, choose before the root as well. */
Var var_where(Var condition, Var a, Var b);
Var var_masked_fill(Var a, Var mask, double value); /* value where the i32 mask is nonzero */
/* Zero with probability p, else a / (1 - p) (Srivastava et al. 2014), drawn from tape_random(). */
Var var_dropout(Var a, double p);

/* ---- Reductions; reduced axes go, or stay with size 1 where keepdim ---- */
Var var_sum(Var a, unsigned axes, bool keepdim);
Var var_mean(Var a, unsigned axes, bool keepdim);
Var var_max(Var a, unsigned axes, bool keepdim); /* ties share the gradient equally */
Var var_softmax(Var a, int axis);
Var var_log_softmax(Var a, int axis);
/* (a - mean) / sqrt(variance + eps) over the last axis, times weight [D], plus bias [D] (Ba et al. 2016,
 * arXiv 1607.06450). */
Var var_layer_norm(Var a, Var weight, Var bias, double eps);

/* ---- Products ---- */
/* [..., M, K] x [..., K, N] -> [..., M, N], leading axes broadcast. */
Var var_matmul(Var a, Var b);
/* x [N, in] weight [out, in] bias [out] or VAR_NONE: x W^T + b -> [N, out]. Keeps repeated rows. */
Var var_linear(Var x, Var weight, Var bias);
/* base [N, out] + x [N, in] W^T: the recurrent half of a cell. */
Var var_addmm(Var base, Var x, Var weight);

/* ---- Shapes ---- */
Var var_reshape(Var a, int ndim, const int64_t *shape);
Var var_transpose(Var a, int axis_a, int axis_b);
Var var_expand(Var a, int ndim, const int64_t *shape);
Var var_slice(Var a, int axis, int64_t start, int64_t stop, int64_t step);
Var var_select(Var a, int axis, int64_t index);
Var var_alias(Var a); /* the same value with a gradient of its own */
Var var_concat(const Var *parts, int count, int axis);
Var var_stack(const Var *parts, int count, int axis);

/* ---- Rows by index ---- */
/* table [V, E], ids i32 of any shape S -> S + [E]. The gradient of a leaf table is sparse; rows of
 * padding_id (or none: -1) get none. ids [N] give a value held as repeated rows. */
Var var_embedding(Var table, Var ids, int64_t padding_id);
/* out[n, ...] = a[index[n], ...], index i32 [N]. Held as repeated rows where that pays. */
Var var_gather_rows(Var a, Var index);
/* out[.., i, ..] = a[.., index[.., i, ..], ..] along `axis` (torch.gather): index i32 of a's rank. */
Var var_gather(Var a, int axis, Var index);
/* Sums rows of equal segment: a [N, ...], segment i32 [N] in [0, count) -> [count, ...]. */
Var var_segment_sum(Var a, Var segment, int64_t count);
/* Softmax among the elements of each segment: a [N], segment i32 [N] in [0, count) -> [N]. */
Var var_segment_softmax(Var a, Var segment, int64_t count);
/* Largest row of each segment, elementwise; the first of equals gets the gradient, and NaN is the largest. A
 * segment without rows is an error. */
Var var_segment_max(Var a, Var segment, int64_t count);

/* ---- Cells: the elementwise parts of recurrent cells, fused ---- */
/* Positions of the four gates in the axis of 4H pre-activations. */
typedef struct VarGateOrder {
    int input, forget, cell, output;
} VarGateOrder;
/* z [N, 4H], c_prev [N, H] or VAR_NONE (zeros): c = sigmoid(z_f) c_prev + sigmoid(z_i) tanh(z_g),
 * h = sigmoid(z_o) tanh(c) (Hochreiter & Schmidhuber 1997; Gers et al. 2000). Returns h [N, H] and c. */
Var var_gated_memory(Var z, Var c_prev, VarGateOrder order, Var *c);
/* The same of z = x + h W^T, x [N, 4H], h [N, in], weight [4H, in]; z is not kept. VAR_NONE as h: z = x. */
Var var_gated_memory_step(Var x, Var h, Var weight, Var c_prev, VarGateOrder order, Var *c);

/* ---- Additive attention: Bahdanau et al. 2015's alignment (arXiv 1409.0473), fused ---- */
/* Over packed rows: score[n] = v . tanh(keys[n] + query[segment[n]]), keys [N, A], query [B, A], segment i32
 * [N], v [A]
 * -> [N]. */
Var var_segment_score(Var keys, Var query, Var segment, Var v);
/* out[s] = sum of weights[n] values[n] over segment[n] = s: weights [N], values [N, H] -> [count, H]. */
Var var_segment_weighted_sum(Var weights, Var values, Var segment, int64_t count);
/* Over a list of steps: score[n, s] = v . tanh(query[n] + keys[s][n]), query [N, A], keys[s] [N_s >= N, A] of
 * which the first N rows count, v [A] -> [N, S]. */
Var var_additive_score(Var query, const Var *keys, int count, Var v);
/* out[n] = sum_s weights[n, s] values[s][n]: weights [N, S], values[s] [N_s >= N, H] -> [N, H]. */
Var var_weighted_sum(Var weights, const Var *values, int count);

/* ---- Losses ---- */
typedef enum { VAR_REDUCTION_MEAN, VAR_REDUCTION_SUM, VAR_REDUCTION_NONE } VarReduction;
/* p in (0, 1), target of its shape; logarithms are clamped at -100 as PyTorch's. weight broadcasts; VAR_NONE.
 */
Var var_bce(Var p, Var target, Var weight, VarReduction reduction);
/* (1 - t) x + (1 + (pos_weight - 1) t) softplus(-x), times weight; both weights broadcast; VAR_NONE. */
Var var_bce_with_logits(Var x, Var target, Var pos_weight, Var weight, VarReduction reduction);
/* logits [N, C], classes i32 [N]. */
Var var_cross_entropy(Var logits, Var classes, VarReduction reduction);
Var var_mse(Var x, Var target, VarReduction reduction);

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
#define var_gated_memory(...)         TAPE_TRACE(Var, var_gated_memory(__VA_ARGS__))
#define var_segment_score(...)        TAPE_TRACE(Var, var_segment_score(__VA_ARGS__))
#define var_segment_weighted_sum(...) TAPE_TRACE(Var, var_segment_weighted_sum(__VA_ARGS__))
#define var_additive_score(...)       TAPE_TRACE(Var, var_additive_score(__VA_ARGS__))
#define var_weighted_sum(...)         TAPE_TRACE(Var, var_weighted_sum(__VA_ARGS__))
#define var_bce(...)                  TAPE_TRACE(Var, var_bce(__VA_ARGS__))
#define var_bce_with_logits(...)      TAPE_TRACE(Var, var_bce_with_logits(__VA_ARGS__))
#define var_cross_entropy(...)        TAPE_TRACE(Var, var_cross_entropy(__VA_ARGS__))
#define var_mse(...)                  TAPE_TRACE(Var, var_mse(__VA_ARGS__))
#endif

#endif
