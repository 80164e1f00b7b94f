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

/* Positions of the four gates in the axis of 4H pre-activations. */
typedef struct VarGateOrder {
    int input, forget, cell, output;
} VarGateOrder;
/* What a loss makes of the losses of its elements. */
typedef enum { VAR_REDUCTION_MEAN, VAR_REDUCTION_SUM, VAR_REDUCTION_NONE } VarReduction;

/* op_add and var_add(), and so on. */
#define OP_ROW(name, arguments)                                                                              \
    extern OpKind op_##name;                                                                                 \
    Var var_##name arguments;
#include "autograd/op_list.h"

/* Without a gradient, so that nothing of them is to be checked: var_sign(), and comparisons, which give i32.
 */
#define TENSOR_UNARY_FLAT(NAME, name, f)  Var var_##name(Var a);
#define TENSOR_BINARY_FLAT(NAME, name, f) Var var_##name(Var a, Var b);
#include "tensor/elementwise_table.h"

/* var_gated_memory() of z = x + h W^T, x [N, 4H], h [N, in], weight [4H, in]; z is not kept. VAR_NONE as h: z
 * = x. */
Var var_gated_memory_step(Var x, Var h, Var weight, Var c_prev, VarGateOrder order, Var *c);

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
#define var_skip_gram(...)            TAPE_TRACE(Var, var_skip_gram(__VA_ARGS__))
#endif

#endif
