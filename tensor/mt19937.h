/* MT19937 as NumPy's legacy RandomState has it (Matsumoto & Nishimura 1998). It exists so that the
 * train/test split is scikit-learn's, index for index; everything else draws from tensor/random.h. */
#ifndef REEL_TENSOR_MT19937_H
#define REEL_TENSOR_MT19937_H

#include "tensor/decls.h"

#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct TensorMt19937 {
    uint32_t state[624];
    int position;
} TensorMt19937;

/* As RandomState(seed). */
void tensor_mt19937_seed(TensorMt19937 *mt, uint32_t seed);
uint32_t tensor_mt19937_u32(TensorMt19937 *mt);
/* In [0, max], by masked rejection as RandomState's shuffle does it. */
uint32_t tensor_mt19937_interval(TensorMt19937 *mt, uint32_t max);
/* RandomState.permutation(n). */
void tensor_mt19937_permutation(TensorMt19937 *mt, int32_t *out, int32_t n);

REEL_END_DECLS

#endif
