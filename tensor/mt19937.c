#include "tensor/mt19937.h"

enum { MT_SIZE = 624, MT_MIDDLE = 397 };

void tensor_mt19937_seed(TensorMt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < MT_SIZE; i++)
        mt->state[i] = 1812433253u * (mt->state[i - 1] ^ mt->state[i - 1] >> 30) + i;
    mt->position = MT_SIZE;
}

static void twist(TensorMt19937 *mt)
{
    for (int i = 0; i < MT_SIZE; i++) {
        uint32_t next = mt->state[(i + 1) % MT_SIZE];
        uint32_t joined = (mt->state[i] & 0x80000000u) | (next & 0x7fffffffu);
        mt->state[i] = mt->state[(i + MT_MIDDLE) % MT_SIZE] ^ joined >> 1 ^ (next & 1 ? 0x9908b0dfu : 0);
    }
    mt->position = 0;
}

uint32_t tensor_mt19937_u32(TensorMt19937 *mt)
{
    if (mt->position >= MT_SIZE)
        twist(mt);
    uint32_t y = mt->state[mt->position++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* Draws until a number under the smallest mask 2^k - 1 >= max falls into the interval. A max of 0 draws
 * nothing: that is part of the sequence. */
uint32_t tensor_mt19937_interval(TensorMt19937 *mt, uint32_t max)
{
    if (max == 0)
        return 0;
    uint32_t mask = UINT32_MAX >> __builtin_clz(max), value;
    do
        value = tensor_mt19937_u32(mt) & mask;
    while (value > max);
    return value;
}

void tensor_mt19937_permutation(TensorMt19937 *mt, int32_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = i;
    for (int32_t i = n - 1; i > 0; i--) {
        uint32_t j = tensor_mt19937_interval(mt, (uint32_t)i);
        int32_t swapped = out[i];
        out[i] = out[j];
        out[j] = swapped;
    }
}
