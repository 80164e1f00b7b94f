/* The loops of tensor/vmath.h as one version of them provides them. */
#ifndef REEL_TENSOR_VMATH_TABLE_INTERNAL_H
#define REEL_TENSOR_VMATH_TABLE_INTERNAL_H

#include "tensor/vmath.h"

typedef void VmathUnary(float *out, const float *x, size_t n);
typedef double VmathSum(const float *x, size_t n);

typedef struct VmathTable {
    VmathLevel level;
    VmathUnary *exp, *log, *tanh, *sigmoid, *softplus;
    __typeof__(vmath_gated_memory) *gated_memory;
    __typeof__(vmath_gated_memory_backward) *gated_memory_backward;
    __typeof__(vmath_add) *add;
    __typeof__(vmath_axpy) *axpy;
    __typeof__(vmath_accumulate) *accumulate;
    VmathSum *sum, *sum_of_squares;
} VmathTable;

extern const VmathTable vmath_portable_table;
#if defined(__x86_64__)
extern const VmathTable vmath_avx2_table, vmath_avx512_table;
#endif

#endif
