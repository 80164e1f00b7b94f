/* What the reader and the writer of .npz files share: the records of a zip archive (PKWARE's APPNOTE.TXT
 * 6.3, sections 4.3 and 4.5) and the rule for names.
 *
 * Why not minizip: it believes the central directory and does not compare it with the local headers; it
 * allows members that overlap, gaps, trailing bytes, any name, a name twice; it reads memory only through
 * a table of callbacks of one's own; and its writer takes one member at a time. All of that
 * would have had to be checked or done around it, by parsing the same records again. What is left of the
 * format once compression is zlib's is the six records below. */
#ifndef REEL_TENSOR_NPZ_FORMAT_INTERNAL_H
#define REEL_TENSOR_NPZ_FORMAT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ZIP_LOCAL = 0x04034b50,     /* in front of each member */
    ZIP_CENTRAL = 0x02014b50,   /* one for each member, behind the last */
    ZIP_END = 0x06054b50,       /* the last record */
    ZIP64_END = 0x06064b50,     /* 64-bit version of ZIP_END, in front of its locator */
    ZIP64_LOCATOR = 0x07064b50, /* in front of ZIP_END */

    ZIP_LOCAL_BYTES = 30, /* without name and extra field, as the next */
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP64_END_BYTES = 56,
    ZIP64_LOCATOR_BYTES = 20,

    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
    ZIP_FLAG_UTF8 = 0x800,       /* the name is UTF-8; where it is not set, ASCII alone is accepted */
    ZIP_FLAGS_KNOWN = 0x800 | 6, /* bits 1 and 2 are hints at the level of compression */
    ZIP_VERSION = 20,            /* needed to extract: deflate */
    ZIP_VERSION_64 = 45,         /* Zip64 */
    ZIP_EXTRA_64 = 0x0001,       /* extra field with the 64-bit sizes */
    ZIP_EXTRA_UNICODE = 0x7075,  /* extra field with another name */
    ZIP_EXTRA_ALIGN = 0xd935,    /* extra field of Android's zipalign: an alignment, and zeros for it */
    ZIP_DATE = 1 << 5 | 1,       /* 1980-01-01: the same contents give the same bytes */

    NPZ_MAX_NAME = 1024
};

#define ZIP_FULL16 0xffffu /* the value stands in a Zip64 record */
#define ZIP_FULL32 0xffffffffu

static inline uint16_t zip_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t zip_get32(const uint8_t *p)
{
    return zip_get16(p) | (uint32_t)zip_get16(p + 2) << 16;
}
static inline uint64_t zip_get64(const uint8_t *p)
{
    return zip_get32(p) | (uint64_t)zip_get32(p + 4) << 32;
}

/* These append to a record that is being built and return the place behind. */
static inline uint8_t *zip_put16(uint8_t *p, unsigned value)
{
    *p++ = (uint8_t)value;
    *p++ = (uint8_t)(value >> 8);
    return p;
}
static inline uint8_t *zip_put32(uint8_t *p, uint32_t value)
{
    return zip_put16(zip_put16(p, value & 0xffff), value >> 16);
}
static inline uint8_t *zip_put64(uint8_t *p, uint64_t value)
{
    return zip_put32(zip_put32(p, (uint32_t)value), (uint32_t)(value >> 32));
}

/* Whether the name of a member, or of an array (then without ".npy"), is harmless: UTF-8 without control
 * characters, a relative path without "." and ".." and empty parts. NULL, or what is wrong. */
const char *tensor_npz_check_name(const char *name, size_t length);
/* Whether it is UTF-8 without control characters. */
bool tensor_npz_is_text(const char *name, size_t length);
bool tensor_npz_is_ascii(const char *name, size_t length);

/* zlib's allocator, through tensor/mem.h. */
void *tensor_npz_zalloc(void *opaque, unsigned count, unsigned size);
void tensor_npz_zfree(void *opaque, void *block);

/* Reverses the bytes of each of `count` numbers of `unit` bytes. */
void tensor_npz_swap(void *data, size_t unit, size_t count);

#endif
