/* clang-format off */
/* The list of ops, a row each: the name and the arguments of its function. From it come the declarations
 * (autograd/ops.h), the registry, the gradient checks, tools/gradcheck and the bench. Include with
 * OP_ROW(name, arguments) defined. Shapes follow NumPy and PyTorch; elementwise ops broadcast. An axis may be
 * negative, counting from the end. */
#ifndef OP_ROW
/* A row. */
#define OP_ROW(name, arguments)
#endif
/* ---- Elementwise (op_elementwise.c) ---- */
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain) \
    OP_ROW(name, (Var a TENSOR_ARGUMENTS_##parameters))
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b) \
    OP_ROW(name, (Var a, Var b))
#include "tensor/elementwise_table.h"

/* ---- Choosing (op_choose.c) ---- */
/* condition: i32, nonzero takes a. What is not taken gets the gradient 0, which is NaN times an infinite
 * derivative: for the root of what may be 0, choose before the root as well. */
OP_ROW(where, (Var condition, Var a, Var b))
OP_ROW(masked_fill, (Var a, Var mask, double value)) /* value where the i32 mask is nonzero */
/* zero with probability p, else a / (1 - p) (Srivastava et al. 2014), drawn from tape_random() */
OP_ROW(dropout, (Var a, double p))

/* ---- Reductions; reduced axes go, or stay with size 1 where keepdim (op_reduce.c, op_normalize.c). Axis 0
 * of a value without axes is all of it ---- */
OP_ROW(sum, (Var a, unsigned axes, bool keepdim))
OP_ROW(mean, (Var a, unsigned axes, bool keepdim))
OP_ROW(max, (Var a, unsigned axes, bool keepdim)) /* ties share the gradient equally */
/* ln of the sum of e^a, without overflow; of nothing, and of -infinity alone, -infinity, with gradient 0 */
OP_ROW(logsumexp, (Var a, unsigned axes, bool keepdim))
OP_ROW(cumsum, (Var a, int axis)) /* sums from the beginning of an axis, in double (op_cumsum.c) */
OP_ROW(softmax, (Var a, int axis))
OP_ROW(log_softmax, (Var a, int axis))
/* (a - mean) / sqrt(variance + eps) over the last axis, times weight [D], plus bias [D] (Ba et al. 2016,
 * arXiv 1607.06450). */
OP_ROW(layer_norm, (Var a, Var weight, Var bias, double eps))

/* ---- Products (op_product.c) ---- */
/* [..., M, K] x [..., K, N] -> [..., M, N], leading axes broadcast. A vector is a row as a, a column as b, whose
 * axis goes. With a matrix as b it is one product over all leading axes of a. */
OP_ROW(matmul, (Var a, Var b))
/* x [..., in] weight [out, in] bias [out] or VAR_NONE: x W^T + b -> [..., out]. Keeps repeated rows. */
OP_ROW(linear, (Var x, Var weight, Var bias))
/* out[r] = weight [x[index[r, 0]] ... x[index[r, taps - 1]]] + bias: x [N, in], index i32 [R, taps] in [0, N], N
 * being a row of zeros, weight [out, taps in], bias [out] or VAR_NONE -> [R, out] (op_windows.c) */
OP_ROW(window_linear, (Var x, Var index, Var weight, Var bias))
OP_ROW(addmm, (Var base, Var x, Var weight)) /* base [N, out] + x [N, in] W^T: the recurrent half of a cell */

/* ---- Shapes (op_shape.c) ---- */
OP_ROW(reshape, (Var a, int ndim, const int64_t *shape))
OP_ROW(transpose, (Var a, int axis_a, int axis_b))
OP_ROW(permute, (Var a, const int *axes)) /* axis axes[i] of a becomes axis i (op_arrange.c) */
OP_ROW(expand, (Var a, int ndim, const int64_t *shape))
OP_ROW(slice, (Var a, int axis, int64_t start, int64_t stop, int64_t step))
OP_ROW(select, (Var a, int axis, int64_t index))
/* `value` before and after a along an axis; where one is negative, so much less of a (op_arrange.c) */
OP_ROW(pad, (Var a, int axis, int64_t before, int64_t after, double value))
/* a in another dtype (op_arrange.c). f64 is rounded to f32; to i32, towards 0, and without a gradient: what is out
 * of range is its nearest, NaN is 0. */
OP_ROW(cast, (Var a, TensorDtype dtype))
OP_ROW(alias, (Var a)) /* the same value with a gradient of its own */
OP_ROW(concat, (const Var *parts, int count, int axis))
OP_ROW(stack, (const Var *parts, int count, int axis))

/* ---- Rows by index (op_rows.c, op_gather.c, op_segment.c) ---- */
/* table [V, E], ids i32 of any shape S -> S + [E]. The gradient of a leaf table is sparse; rows of
 * padding_id (or none: -1) get none. ids [N] give a value held as repeated rows. */
OP_ROW(embedding, (Var table, Var ids, int64_t padding_id))
/* out[n, ...] = a[index[n], ...], index i32 [N]. Held as repeated rows where that pays. */
OP_ROW(gather_rows, (Var a, Var index))
/* out[.., i, ..] = a[.., index[.., i, ..], ..] along `axis` (torch.gather): index i32 of a's rank, negative from the
 * end. */
OP_ROW(gather, (Var a, int axis, Var index))
/* a, with source[.., i, ..] added at [.., index[.., i, ..], ..] (torch.scatter_add); source may be larger than the index. */
OP_ROW(scatter_add, (Var a, int axis, Var index, Var source))
/* sums rows of equal segment: a [N, ...], segment i32 [N] in [0, count) -> [count, ...] */
OP_ROW(segment_sum, (Var a, Var segment, int64_t count))
/* softmax among the elements of each segment: a [N], segment i32 [N] in [0, count) -> [N] */
OP_ROW(segment_softmax, (Var a, Var segment, int64_t count))
/* Largest row of each segment, elementwise; the first of equals gets the gradient, and NaN is the largest. A
 * segment without rows is an error. */
OP_ROW(segment_max, (Var a, Var segment, int64_t count))

/* ---- Cells: the elementwise parts of recurrent cells, fused (op_cell.c) ---- */
/* z [N, 4H], c_prev [N, H] or VAR_NONE (zeros): c = sigmoid(z_f) c_prev + sigmoid(z_i) tanh(z_g),
 * h = sigmoid(z_o) tanh(c) (Hochreiter & Schmidhuber 1997; Gers et al. 2000). Returns h [N, H] and c. */
OP_ROW(gated_memory, (Var z, Var c_prev, VarGateOrder order, Var *c))
/* x, u [N, 3H], h [N, H] or VAR_NONE (zeros), each of x and u in the order r, z, n: r = sigmoid(x_r + u_r),
 * z = sigmoid(x_z + u_z), n = tanh(x_n + r u_n) -> n + z (h - n), [N, H] (Cho et al. 2014). */
OP_ROW(gated_unit, (Var x, Var u, Var h))

/* ---- Additive attention: Bahdanau et al. 2015's alignment (arXiv 1409.0473), fused (op_attention.c) ---- */
/* Over packed rows: score[n] = v . tanh(keys[n] + query[segment[n]]), keys [N, A], query [B, A], segment i32
 * [N], v [A] -> [N]. */
OP_ROW(segment_score, (Var query, Var keys, Var segment, Var v))
/* out[s] = sum of weights[n] values[n] over segment[n] = s: weights [N], values [N, H] -> [count, H]. */
OP_ROW(segment_weighted_sum, (Var weights, Var values, Var segment, int64_t count))
/* Over a list of steps: score[n, s] = v . tanh(query[n] + keys[s][n]), query [N, A], keys[s] [N_s >= N, A] of
 * which the first N rows count, v [A] -> [N, S]. */
OP_ROW(additive_score, (Var query, const Var *keys, int count, Var v))
/* out[n] = sum_s weights[n, s] values[s][n]: weights [N, S], values[s] [N_s >= N, H] -> [N, H]. */
OP_ROW(weighted_sum, (Var weights, const Var *values, int count))

/* ---- Attention of several heads (op_multihead.c) ---- */
/* For each text and head softmax(Q K^T / sqrt(d)) V: query [N, E], key [M, E], value [M, V] -> [N, V], head h having
 * columns h E / heads and so on of each. Text b's queries are the rows query_row[query_start[b]] to
 * query_row[query_start[b + 1] - 1], in this order, its keys likewise: i32 [texts + 1] and i32 [N], [any]. A query stands
 * once; a key may be of several texts, or of none. A text without keys gets 0. Memory: N, not N^2. */
OP_ROW(multihead_attention, (Var query, Var key, Var value, Var query_start, Var query_row, Var key_start,
                             Var key_row, VarAttention options))

/* ---- Losses (op_loss.c) ---- */
/* p in (0, 1), target of its shape; logarithms are clamped at -100 as PyTorch's. weight broadcasts; VAR_NONE. */
OP_ROW(bce, (Var p, Var target, Var weight, VarReduction reduction))
/* (1 - t) x + (1 + (pos_weight - 1) t) softplus(-x), times weight; both weights broadcast; VAR_NONE. */
OP_ROW(bce_with_logits, (Var x, Var target, Var pos_weight, Var weight, VarReduction reduction))
OP_ROW(cross_entropy, (Var logits, Var classes, VarReduction reduction)) /* logits [N, C], classes i32 [N] */
OP_ROW(mse, (Var x, Var target, VarReduction reduction))
/* Skip-gram with negative sampling (Mikolov et al. 2013, arXiv 1310.4546; op_skip_gram.c): input [V, d], output
 * [W, d], words i32 [P] in [0, V), segment i32 [P] in [0, N), targets i32 [N, M] in [0, W). The sum over p and k of
 * softplus(-s) for k = 0 and softplus(s) for k > 0, s = input[words[p]] . output[targets[segment[p], k]]: the words
 * of a window predict the one in the middle, and not those that were drawn. Gradients are rows. */
OP_ROW(skip_gram, (Var input, Var output, Var words, Var segment, Var targets))

/* clang-format on */
#undef OP_ROW
