/* UTF-8: one decoder, one encoder, one check for all that reads or writes text. */
#ifndef REEL_TENSOR_UTF8_H
#define REEL_TENSOR_UTF8_H

#include "tensor/decls.h"

#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* The length of the character at `p`, 1 to 4, or 0 where it is not well-formed UTF-8 (Unicode 16, table
 * 3-7); `left` > 0 bytes may be read. */
int reel_utf8_decode(const uint8_t *p, size_t left, uint32_t *code);
/* Writes the character `code` (a Unicode scalar value), up to 4 bytes, to `out`; returns how many. */
int reel_utf8_encode(uint32_t code, char *out);
/* The offset of the first byte that is not well-formed, or size. */
size_t reel_utf8_valid(const char *text, size_t size);

REEL_END_DECLS

#endif
