/* What tests ask of the allocator. */
#ifndef REEL_TENSOR_MEM_INTERNAL_H
#define REEL_TENSOR_MEM_INTERNAL_H

#include "tensor/mem.h"

/* The n-th call from now on fails (0: the next one), and all later ones too if `persistent`. A negative n
 * turns it off. */
void reel_mem_fail_at(int64_t n, int persistent);

#endif
