#include "tensor/storage/npz_format_internal.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <string.h>

bool tensor_npz_is_text(const char *name, size_t length)
{
    const uint8_t *p = (const uint8_t *)name, *end = p + length;
    while (p < end) {
        uint32_t code;
        int step = reel_utf8_decode(p, (size_t)(end - p), &code);
        if (step == 0 || code < 32 || (code >= 127 && code < 160))
            return false;
        p += step;
    }
    return true;
}

/* "c:" in front of a path; "w:0" is how TensorFlow counts the outputs of w. */
static bool begins_with_drive(const char *name, size_t length)
{
    bool letter = length > 1 && ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z'));
    size_t digits = 2;
    if (!letter || name[1] != ':')
        return false;
    while (digits < length && name[digits] >= '0' && name[digits] <= '9')
        digits++;
    return digits == 2 || digits < length;
}

const char *tensor_npz_check_name(const char *name, size_t length)
{
    if (length == 0 || length > NPZ_MAX_NAME)
        return "its name is empty or longer than 1024 bytes";
    if (!tensor_npz_is_text(name, length))
        return "its name is not UTF-8 text without control characters";
    if (memchr(name, '\\', length) || begins_with_drive(name, length))
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

bool tensor_npz_is_ascii(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] >= 0x80)
            return false;
    return true;
}

void *tensor_npz_zalloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return reel_mem_calloc(count, size);
}

void tensor_npz_zfree(void *opaque, void *block)
{
    (void)opaque;
    reel_mem_free(block);
}

void tensor_npz_swap(void *data, size_t unit, size_t count)
{
    unsigned char *p = data;
    for (; count > 0; count--, p += unit)
        for (size_t i = 0; i < unit / 2; i++) {
            unsigned char swapped = p[i];
            p[i] = p[unit - 1 - i];
            p[unit - 1 - i] = swapped;
        }
}
