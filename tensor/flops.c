#include "tensor/flops.h"

#include <stdatomic.h>

/* One counter for all threads: a product takes a thousand times as long as adding to it. */
static atomic_uint_fast64_t count;
static _Thread_local uint64_t count_here;

static TensorFlopsWatch *told;
static void *told_context;

void tensor_flops_watch(TensorFlopsWatch *watch, void *context)
{
    told = watch;
    told_context = context;
}

void tensor_flops_add_product(TensorProductKind kind, int64_t m, int64_t n, int64_t k)
{
    if (told)
        told(told_context, kind, m, n, k);
    uint64_t operations = 2 * (uint64_t)m * (uint64_t)n * (uint64_t)k;
    atomic_fetch_add_explicit(&count, operations, memory_order_relaxed);
    count_here += operations;
}

uint64_t tensor_flops_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

uint64_t tensor_flops_count_here(void)
{
    return count_here;
}
