#include "tensor/utf8.h"

#include <stdbool.h>

static bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

int reel_utf8_decode(const uint8_t *p, size_t left, uint32_t *code)
{
    uint8_t a = p[0];
    if (a < 0x80) {
        *code = a;
        return 1;
    }
    if (a >= 0xC2 && a <= 0xDF && left >= 2 && is_tail(p[1])) {
        *code = (uint32_t)(a & 0x1F) << 6 | (p[1] & 0x3F);
        return 2;
    }
    if ((a & 0xF0) == 0xE0 && left >= 3 && is_tail(p[1]) && is_tail(p[2])) {
        uint32_t c = (uint32_t)(a & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
        *code = c;
        return c >= 0x800 && (c < 0xD800 || c > 0xDFFF) ? 3 : 0;
    }
    if (a >= 0xF0 && a <= 0xF4 && left >= 4 && is_tail(p[1]) && is_tail(p[2]) && is_tail(p[3])) {
        uint32_t c = (uint32_t)(a & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
                     (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
        *code = c;
        return c >= 0x10000 && c <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

int reel_utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

size_t reel_utf8_valid(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        int length = reel_utf8_decode(p + at, size - at, &code);
        if (length == 0)
            return at;
        at += (size_t)length;
    }
    return size;
}
