/* Elementwise functions over strided tensors, broadcasting, f32 and f64.
 *
 * `out` gives the shape; operands are broadcast to it. All have one dtype (`where` and the masks take
 * an i32 condition, nonzero meaning true). An operand may be `out` itself (the same view), but must not
 * overlap it in another way. False: shapes, dtypes or a broadcast output do not fit. */
#ifndef REEL_TENSOR_ELEMENTWISE_H
#define REEL_TENSOR_ELEMENTWISE_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

typedef enum {
    UNARY_NEG,
    UNARY_EXP,
    UNARY_LOG,
    UNARY_SQRT,
    UNARY_ABS,
    UNARY_SIGN, /* -1, 0, 1; NaN stays NaN */
    UNARY_RELU,
    UNARY_TANH,
    UNARY_SIGMOID,
    UNARY_SOFTPLUS, /* log(1 + exp(x)) */
    UNARY_SQUARE,
    UNARY_RECIPROCAL
} UnaryOp;

/* Functions of two operands. */
typedef enum {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_POW,
    BINARY_MAXIMUM, /* NaN where either is NaN, as NumPy */
    BINARY_GREATER, /* 1 where a > b, else 0 */
    BINARY_EQUAL
} BinaryOp;

/* out = op(a); out = op(a, b). */
bool tensor_unary(UnaryOp op, Tensor out, Tensor a);
bool tensor_binary(BinaryOp op, Tensor out, Tensor a, Tensor b);
/* out = alpha * a + beta * out (beta 0: what was in out is not read). */
bool tensor_axpby(Tensor out, double alpha, Tensor a, double beta);
/* out = out + alpha * a * b: the gradient of a product, in one pass. */
bool tensor_addcmul(Tensor out, double alpha, Tensor a, Tensor b);
/* out = condition ? a : b; the condition is i32. */
bool tensor_where(Tensor out, Tensor condition, Tensor a, Tensor b);

REEL_END_DECLS

#endif
