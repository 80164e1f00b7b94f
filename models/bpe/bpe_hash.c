#include "models/bpe/bpe_internal.h"

/* A table, for whether a word is longer than eight bytes cannot be predicted. */
#define LOW(n) (((uint64_t)1 << 8 * (n)) - 1)
const BpeKey model_bpe_key_masks[BPE_KEY_INLINE + 1] = {
    {LOW(0), 0},          {LOW(1), 0},          {LOW(2), 0},          {LOW(3), 0},
    {LOW(4), 0},          {LOW(5), 0},          {LOW(6), 0},          {LOW(7), 0},
    {UINT64_MAX, LOW(0)}, {UINT64_MAX, LOW(1)}, {UINT64_MAX, LOW(2)}, {UINT64_MAX, LOW(3)},
    {UINT64_MAX, LOW(4)}, {UINT64_MAX, LOW(5)}, {UINT64_MAX, LOW(6)}, {UINT64_MAX, LOW(7)}};

uint64_t model_bpe_hash_bytes(const char *text, size_t size)
{
    uint64_t hash = 0x9E3779B97F4A7C15u ^ size;
    size_t at = 0;
    for (; at + 16 <= size; at += 16)
        hash = bpe_mix(bpe_load64(text + at) ^ hash, bpe_load64(text + at + 8) ^ 0xD1B54A32D192ED03u);
    uint64_t tail[2] = {0, 0};
    if (at < size)
        memcpy(tail, text + at, size - at);
    return bpe_mix(tail[0] ^ hash, tail[1] ^ 0xA0761D6478BD642Fu);
}
