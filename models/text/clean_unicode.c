/* Cleaning by Unicode's properties: NFKC, full case folding, words by general category. */
#include "models/text/clean.h"
#include "models/text/clean_internal.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

bool model_cleaner_stands_alone(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0x0E00, 0x0E7F}, {0x2E80, 0x2FDF}, {0x3005, 0x3007},   {0x3021, 0x3029},
                  {0x3031, 0x3035}, {0x3038, 0x30FF}, {0x31F0, 0x31FF},   {0x3400, 0x4DBF},
                  {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x1AFF0, 0x1B16F}, {0x20000, 0x3FFFF}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && c >= ranges[i].first; i++)
        if (c <= ranges[i].last)
            return true;
    return false;
}

#ifdef REEL_UTF8PROC
#include <utf8proc.h>

bool model_cleaner_has_unicode(void)
{
    return true;
}

typedef enum { SPACE, LETTER, MARK, ALONE } Kind;

static Kind kind_of(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
        return model_cleaner_stands_alone((uint32_t)c) ? ALONE : LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return MARK;
    default:
        return SPACE;
    }
}

/* A text as words, each but the first with a space in front; a word ends where the next one begins. */
static bool append_words(const utf8proc_int32_t *codes, utf8proc_ssize_t count, ReelBytes *out)
{
    Kind before = SPACE;
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        char character[4];
        Kind kind = kind_of(codes[i]);
        bool begins = kind != SPACE && before == SPACE;
        begins = begins || kind == ALONE || (kind == LETTER && before == ALONE);
        if (begins && !reel_bytes_append(out, " ", 1))
            return false;
        if (kind != SPACE &&
            !reel_bytes_append(out, character, (size_t)reel_utf8_encode((uint32_t)codes[i], character)))
            return false;
        before = kind == MARK && before != SPACE ? before : kind == MARK ? LETTER : kind;
    }
    return true;
}

/* One run of valid UTF-8. */
static bool append_run(const char *text, size_t size, ReelBytes *out)
{
    const utf8proc_option_t options =
        (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t length = (utf8proc_ssize_t)size;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, length, NULL, 0, options);
    utf8proc_int32_t *codes = count < 0 ? NULL : reel_mem_alloc(((size_t)count + 1) * sizeof *codes);
    if (!codes)
        return false;
    utf8proc_decompose(bytes, length, codes, count, options);
    count = utf8proc_normalize_utf32(codes, count, options);
    bool fine = count >= 0 && append_words(codes, count, out);
    reel_mem_free(codes);
    return fine;
}

/* Most of most texts is ASCII, which needs no tables. */
static size_t append_ascii(const char *text, size_t size, ReelBytes *out)
{
    size_t used = 0;
    bool in_word = false;
    if (!reel_bytes_reserve(out, 2 * size))
        return SIZE_MAX;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (letter && !in_word)
            out->data[out->size + used++] = ' ';
        if (letter)
            out->data[out->size + used++] = c;
        in_word = letter;
    }
    out->size += used;
    return used;
}

static bool is_ascii(const char *text, size_t size)
{
    unsigned char all = 0;
    for (size_t i = 0; i < size; i++)
        all |= (unsigned char)text[i];
    return all < 0x80;
}

bool model_cleaner_unicode_words(ModelTextSpan text, ReelBytes *out)
{
    if (is_ascii(text.bytes, text.length))
        return append_ascii(text.bytes, text.length, out) != SIZE_MAX;
    while (text.length > 0) { /* a byte that is none of UTF-8 stands for a space */
        size_t valid = reel_utf8_valid(text.bytes, text.length), taken = valid + (valid < text.length);
        if (!append_run(text.bytes, valid, out))
            return false;
        text = (ModelTextSpan){text.bytes + taken, text.length - taken};
    }
    return true;
}
#else
bool model_cleaner_has_unicode(void)
{
    return false;
}

bool model_cleaner_unicode_words(ModelTextSpan text, ReelBytes *out)
{
    (void)text, (void)out;
    return false;
}
#endif

/* ---- Which text is ASCII ---- */

/* Punctuation and symbols apart, which quotes and dashes of English texts are. */
static bool is_foreign_letter(uint32_t c)
{
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c < 0x2C00) &&
           !(c >= 0x3000 && c < 0x3005) && !(c >= 0xFE00 && c < 0xFE70) && c < 0x1F000;
}

void model_cleaner_count_letters(ModelTextSpan text, int64_t *ascii, int64_t *others)
{
    const uint8_t *at = (const uint8_t *)text.bytes, *end = at + text.length;
    while (at < end) {
        uint32_t code = *at;
        int length = code < 0x80 ? 1 : reel_utf8_decode(at, (size_t)(end - at), &code);
        *ascii += (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
        *others += length > 1 && is_foreign_letter(code);
        at += length > 0 ? length : 1;
    }
}
