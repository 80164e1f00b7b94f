/* Compiles the file KERNELS once for each floating dtype: REAL is the C type, REAL_DTYPE the dtype, and
 * FN(name) a name of its own for each, name_f32 or name_f64, between which TENSOR_BY_DTYPE(dtype, name)
 * chooses.
 *
 *     #define KERNELS "tensor/rows_kernels_internal.h"
 *     #include "tensor/each_real.h"
 *     TENSOR_BY_DTYPE(t.dtype, gather)(...); */
#ifndef TENSOR_BY_DTYPE
/* Of a function in KERNELS, that of the dtype. */
#define TENSOR_BY_DTYPE(dtype, name) ((dtype) == TENSOR_F32 ? name##_f32 : name##_f64)
#endif

#ifdef KERNELS
/* The type, the dtype, and a name. */
#define REAL       float
#define REAL_DTYPE TENSOR_F32
#define FN(name)   name##_f32
#include KERNELS
#undef REAL
#undef REAL_DTYPE
#undef FN
#define REAL       double
#define REAL_DTYPE TENSOR_F64
#define FN(name)   name##_f64
#include KERNELS
#undef REAL
#undef REAL_DTYPE
#undef FN
#undef KERNELS
#endif
