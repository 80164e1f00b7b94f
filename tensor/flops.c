#include "tensor/flops.h"

#include <stdatomic.h>

/* One counter for all threads: a product takes a thousand times as long as adding to it. */
static atomic_uint_fast64_t count;

void tensor_flops_add_product(int64_t m, int64_t n, int64_t k)
{
    atomic_fetch_add_explicit(&count, 2 * (uint64_t)m * (uint64_t)n * (uint64_t)k, memory_order_relaxed);
}

uint64_t tensor_flops_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}
