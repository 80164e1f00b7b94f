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
    TENSOR_UNARY_NEG,
    TENSOR_UNARY_EXP,
    TENSOR_UNARY_LOG,
    TENSOR_UNARY_SQRT,
    TENSOR_UNARY_ABS,
    TENSOR_UNARY_SIGN, /* -1, 0, 1; NaN stays NaN */
    TENSOR_UNARY_RELU,
    TENSOR_UNARY_TANH,
    TENSOR_UNARY_SIGMOID,
    TENSOR_UNARY_SOFTPLUS, /* log(1 + exp(x)) */
    TENSOR_UNARY_SQUARE,
    TENSOR_UNARY_RECIPROCAL
} TensorUnaryOp;

/* Functions of two operands. */
typedef enum {
    TENSOR_BINARY_ADD,
    TENSOR_BINARY_SUB,
    TENSOR_BINARY_MUL,
    TENSOR_BINARY_DIV,
    TENSOR_BINARY_POW,
    TENSOR_BINARY_MAXIMUM, /* NaN where either is NaN, as NumPy */
    TENSOR_BINARY_GREATER, /* 1 where a > b, else 0 */
    TENSOR_BINARY_EQUAL
} TensorBinaryOp;

/* out = op(a); out = op(a, b). */
bool tensor_unary(TensorUnaryOp op, Tensor out, Tensor a);
bool tensor_binary(TensorBinaryOp op, Tensor out, Tensor a, Tensor b);
/* out = alpha * a + beta * out (beta 0: what was in out is not read). */
bool tensor_axpby(Tensor out, double alpha, Tensor a, double beta);
/* out = out + alpha * a * b: the gradient of a product, in one pass. */
bool tensor_addcmul(Tensor out, double alpha, Tensor a, Tensor b);
/* out = condition ? a : b; the condition is i32. */
bool tensor_where(Tensor out, Tensor condition, Tensor a, Tensor b);

REEL_END_DECLS

#endif
