#include "models/bpe/bpe_internal.h"

/* Whether a code point is inside of one of the ranges. */
static bool is_inside(uint32_t code, const uint32_t *turns, size_t count)
{
    size_t low = 0, high = count; /* how many turns are at or before it */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (turns[middle] <= code)
            low = middle + 1;
        else
            high = middle;
    }
    return low % 2;
}

bool bpe_is_word(uint32_t code)
{
    return bpe_class(code) == BPE_LETTER || is_inside(code, bpe_unicode_words, bpe_unicode_words_count);
}

bool bpe_is_unnormalized(uint32_t code)
{
    return is_inside(code, bpe_unicode_unnormalized, bpe_unicode_unnormalized_count);
}

/* Bytes that print in Latin-1 stand for themselves; the other 68 are U+0100 and on, in order: 0x00 to
 * 0x20, 0x7F to 0xA0, 0xAD. (OpenAI's GPT-2 encoder, bytes_to_unicode.) */
uint32_t bpe_byte_to_code(uint8_t byte)
{
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x121u + byte - 0x7Fu;
    return byte == 0xAD ? 0x143u : byte;
}

int bpe_code_to_byte(uint32_t code)
{
    if (code >= 0x100 && code <= 0x120)
        return (int)code - 0x100;
    if (code >= 0x121 && code <= 0x142)
        return (int)code - 0x121 + 0x7F;
    if (code == 0x143)
        return 0xAD;
    return code <= 0xFF && bpe_byte_to_code((uint8_t)code) == code ? (int)code : -1;
}
