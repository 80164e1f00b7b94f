#include "tensor/storage/npz_format_internal.h"
#include "tensor/mem.h"

#include <string.h>

/* The length of the UTF-8 sequence at `p` (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80   ? 1
                    : p[0] < 0xc0 ? 0
                    : p[0] < 0xe0 ? 2
                    : p[0] < 0xf0 ? 3
                    : p[0] < 0xf8 ? 4
                                  : 0;
    if (length <= 1)
        return length;
    if (length > left)
        return 0;
    uint32_t code = p[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < least[length] || code > 0x10ffff || surrogate ? 0 : length;
}

static bool is_text(const char *name, size_t length)
{
    const unsigned char *p = (const unsigned char *)name, *end = p + length;
    while (p < end) {
        size_t step = utf8_length(p, (size_t)(end - p));
        bool control = *p < 32 || *p == 127 || (step == 2 && p[0] == 0xc2 && p[1] < 0xa0);
        if (step == 0 || control)
            return false;
        p += step;
    }
    return true;
}

const char *npz_check_name(const char *name, size_t length)
{
    if (length == 0 || length > NPZ_MAX_NAME)
        return "its name is empty or longer than 1024 bytes";
    if (!is_text(name, length))
        return "its name is not UTF-8 text without control characters";
    if (memchr(name, '\\', length) || (length > 1 && name[1] == ':'))
        return "its name is not a relative path";
    for (size_t start = 0, end; start <= length; start = end + 1) {
        const char *slash = start < length ? memchr(name + start, '/', length - start) : NULL;
        end = slash ? (size_t)(slash - name) : length;
        size_t part = end - start;
        if (part == 0)
            return "its name is a folder or not a relative path";
        if (name[start] == '.' && (part == 1 || (part == 2 && name[start + 1] == '.')))
            return "its name has a part \".\" or \"..\"";
    }
    return NULL;
}

bool npz_is_ascii(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] >= 0x80)
            return false;
    return true;
}

void *npz_zalloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return mem_calloc(count, size);
}

void npz_zfree(void *opaque, void *block)
{
    (void)opaque;
    mem_free(block);
}

void npz_swap(void *data, size_t unit, size_t count)
{
    unsigned char *p = data;
    for (; count > 0; count--, p += unit)
        for (size_t i = 0; i < unit / 2; i++) {
            unsigned char swapped = p[i];
            p[i] = p[unit - 1 - i];
            p[unit - 1 - i] = swapped;
        }
}
