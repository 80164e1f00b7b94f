/* Vectorised elementary functions for f32, at most 2 ULP from the correctly rounded value (silu 3, gelu 4);
 * NaN, infinities and signed zeros as in libm, overflow and gradual underflow too. Contiguous arrays of any
 * alignment; n may be 0. An output may be one of the inputs; otherwise they must not overlap.
 *
 * One binary holds several versions of each loop (portable, AVX2+FMA, AVX-512); the table of the widest one
 * that the processor has is chosen at the first use. All versions give the same bits (where several NaNs
 * meet, which of them is passed on is open). */
#ifndef REEL_TENSOR_VMATH_H
#define REEL_TENSOR_VMATH_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* out[i] = f(x[i]) for i < n; out may be x. */
void tensor_vmath_exp(float *out, const float *x, size_t n);
void tensor_vmath_log(float *out, const float *x, size_t n);
void tensor_vmath_tanh(float *out, const float *x, size_t n);
void tensor_vmath_sigmoid(float *out, const float *x, size_t n);    /* 1 / (1 + exp(-x)) */
void tensor_vmath_softplus(float *out, const float *x, size_t n);   /* log(1 + exp(x)) */
void tensor_vmath_logsigmoid(float *out, const float *x, size_t n); /* -log(1 + exp(-x)) */
void tensor_vmath_silu(float *out, const float *x, size_t n);       /* x sigmoid(x) */
void tensor_vmath_expm1(float *out, const float *x, size_t n);      /* exp(x) - 1 */
void tensor_vmath_log1p(float *out, const float *x, size_t n);      /* log(1 + x) */
void tensor_vmath_erf(float *out, const float *x, size_t n);
void tensor_vmath_gelu(float *out, const float *x, size_t n); /* x (1 + erf(x / sqrt(2))) / 2 */
/* out[i] = g[i] gelu'(x[i]); out may be g or x. The slope is off by at most 2^-22 and 4 ULP, whichever is
 * more. */
void tensor_vmath_gelu_gradient(float *out, const float *g, const float *x, size_t n);

/* ---- Simple loops ---- */
void tensor_vmath_add(float *out, const float *a, const float *b, size_t n); /* out = a + b */
void tensor_vmath_axpy(float *out, float alpha, const float *x, size_t n);   /* out += alpha x */

/* ---- The version in use ---- */

typedef enum {
    TENSOR_VMATH_PORTABLE = 0,
    TENSOR_VMATH_AVX2,
    TENSOR_VMATH_AVX512,
    TENSOR_VMATH_LEVELS
} TensorVmathLevel;
/* The version in use. The environment variable REEL_VMATH (portable, avx2, avx512) chooses at start; a name
 * that it does not know, or a version that the processor lacks, is passed over. */
TensorVmathLevel tensor_vmath_level(void);
const char *tensor_vmath_level_name(TensorVmathLevel level);

/* Flushes denormals to zero on this thread and returns the mode that was set before; tensor_vmath_restore()
 * brings it back. */
unsigned tensor_vmath_flush_denormals(void);
void tensor_vmath_restore(unsigned mode);

REEL_END_DECLS

#endif
