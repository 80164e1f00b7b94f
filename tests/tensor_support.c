#include "tests/tensor_support.h"

#include <string.h>

static Tensor last_block;

/* splitmix64: Steele, Lea & Flood 2014. */
static uint64_t next_bits(TestRandom *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t test_below(TestRandom *random, int64_t n)
{
    return (int64_t)(next_bits(random) % (uint64_t)n);
}

double test_uniform(TestRandom *random)
{
    return (double)(next_bits(random) >> 11) * 0x1p-52 - 1;
}

static void fill_randomly(TestRandom *random, Tensor t)
{
    int64_t index[TENSOR_MAX_DIMS];
    for (bool more = test_first(t.ndim, t.shape, index); more; more = test_next(t.ndim, t.shape, index))
        tensor_set(&t, index,
                   t.dtype == TENSOR_I32 ? (double)(test_below(random, 19) - 9) : test_uniform(random));
}

Tensor test_tensor(TensorArena *arena, TestRandom *random, TestLayout layout, TensorDtype dtype, int ndim,
                   const int64_t *shape)
{
    int64_t padded[TENSOR_MAX_DIMS], own[TENSOR_MAX_DIMS], step[TENSOR_MAX_DIMS], start[TENSOR_MAX_DIMS];
    int place[TENSOR_MAX_DIMS]; /* axis i of the tensor is axis place[i] of the block */
    for (int i = 0; i < ndim; i++) {
        bool strided = layout != OP_LAYOUT_CONTIGUOUS;
        own[i] = layout == OP_LAYOUT_BROADCAST && test_below(random, 3) == 0 ? 1 : shape[i];
        step[i] = strided && test_below(random, 2) ? 1 + test_below(random, 3) : 1;
        start[i] = strided ? test_below(random, 3) : 0;
        int j = strided ? (int)test_below(random, i + 1) : i;
        place[i] = place[j];
        place[j] = i;
    }
    for (int i = 0; i < ndim; i++)
        padded[place[i]] = start[i] + own[i] * step[i];
    Tensor t = tensor_new(arena, dtype, ndim, padded);
    last_block = t;
    fill_randomly(random, t);
    t = tensor_permute(t, place);
    for (int i = 0; i < ndim; i++) {
        t = tensor_slice(t, i, start[i], TENSOR_END, step[i]);
        if (layout != OP_LAYOUT_CONTIGUOUS && test_below(random, 3) == 0)
            t = tensor_slice(t, i, TENSOR_END, TENSOR_END, -1);
    }
    return tensor_expand(t, ndim, shape);
}

int test_shape(TestRandom *random, int least_axes, int most_axes, int64_t most, int64_t *shape)
{
    int ndim = least_axes + (int)test_below(random, most_axes - least_axes + 1);
    for (int i = 0; i < ndim; i++)
        shape[i] = test_below(random, 25) == 0 ? 0 : 1 + test_below(random, most);
    return ndim;
}

int test_narrower_shape(TestRandom *random, int ndim, const int64_t *shape, int64_t *narrower)
{
    int less = test_below(random, 2) && ndim ? (int)test_below(random, ndim + 1) : 0;
    for (int i = less; i < ndim; i++)
        narrower[i - less] = test_below(random, 3) == 0 ? 1 : shape[i];
    return ndim - less;
}

bool test_first(int ndim, const int64_t *shape, int64_t *index)
{
    bool any = true;
    for (int i = 0; i < ndim; i++) {
        index[i] = 0;
        any = any && shape[i] > 0;
    }
    return any;
}

bool test_next(int ndim, const int64_t *shape, int64_t *index)
{
    for (int i = ndim - 1; i >= 0; i--) {
        if (++index[i] < shape[i])
            return true;
        index[i] = 0;
    }
    return false;
}

TestBlock test_last_block(TensorArena *arena)
{
    size_t bytes = (size_t)tensor_numel(&last_block) * tensor_dtype_size(last_block.dtype);
    return (TestBlock){last_block.data, tensor_arena_memdup(arena, last_block.data, bytes), bytes};
}

bool test_outside_is_unchanged(const TestBlock *block, Tensor t)
{
    int64_t index[TENSOR_MAX_DIMS], size = (int64_t)tensor_dtype_size(t.dtype);
    for (bool more = test_first(t.ndim, t.shape, index); more; more = test_next(t.ndim, t.shape, index)) {
        const char *place = t.data;
        for (int i = 0; i < t.ndim; i++)
            place += index[i] * t.strides[i] * size;
        memcpy(block->before + (place - block->now), place, (size_t)size);
    }
    return memcmp(block->before, block->now, block->bytes) == 0;
}
