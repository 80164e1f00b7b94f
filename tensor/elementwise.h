/* Elementwise functions over strided tensors, broadcasting, f32 and f64.
 *
 * `out` gives the shape; operands are broadcast to it. All have one dtype (`where` and the masks take
 * an i32 condition, nonzero meaning true). An operand may be `out` itself (the same view), but must not
 * overlap it in another way. False: shapes, dtypes or a broadcast output do not fit. */
#ifndef REEL_TENSOR_ELEMENTWISE_H
#define REEL_TENSOR_ELEMENTWISE_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

/* TENSOR_UNARY_NEG, ...: the functions of one operand in tensor/elementwise_table.h. */
typedef enum {
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain) TENSOR_UNARY_##NAME,
#define TENSOR_UNARY_FLAT(NAME, name, f)                            TENSOR_UNARY_##NAME,
#include "tensor/elementwise_table.h"
    TENSOR_UNARY_COUNT
} TensorUnaryOp;

/* TENSOR_BINARY_ADD, ...: those of two. */
typedef enum {
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b) TENSOR_BINARY_##NAME,
#define TENSOR_BINARY_FLAT(NAME, name, f)                                  TENSOR_BINARY_##NAME,
#include "tensor/elementwise_table.h"
    TENSOR_BINARY_COUNT
} TensorBinaryOp;

/* out = op(a); out = op(a, b). */
bool tensor_unary(TensorUnaryOp op, Tensor out, Tensor a);
bool tensor_binary(TensorBinaryOp op, Tensor out, Tensor a, Tensor b);
/* The same with the parameters of a function that has some: two numbers. */
bool tensor_unary_with(TensorUnaryOp op, Tensor out, Tensor a, const double *parameters);
/* out = the gradient of an operand from that of the result, *g; the function is y = op(x), or y = op(a, b).
 * What the function's row does not use may be NULL; where it has DA, that is *g. False also where the
 * function has no gradient. */
bool tensor_unary_slope(TensorUnaryOp op, Tensor out, const Tensor *g, const Tensor *x, const Tensor *y,
                        const double *parameters);
bool tensor_binary_slope(TensorBinaryOp op, int operand, Tensor out, const Tensor *g, const Tensor *a,
                         const Tensor *b, const Tensor *y);
/* out[i] = op(x[i]) for i < n, floats or doubles side by side; out may be x. */
void tensor_map(TensorUnaryOp op, TensorDtype dtype, void *out, const void *x, int64_t n);
/* out = alpha * a + beta * out (beta 0: out is not read). */
bool tensor_axpby(Tensor out, double alpha, Tensor a, double beta);
/* out = out + alpha * a * b: the gradient of a product, in one pass. */
bool tensor_addcmul(Tensor out, double alpha, Tensor a, Tensor b);
/* out = condition ? a : b; the condition is i32. */
bool tensor_where(Tensor out, Tensor condition, Tensor a, Tensor b);

REEL_END_DECLS

#endif
