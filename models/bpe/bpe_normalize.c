/* Unicode normalization of a text before it is cut, by utf8proc where Reel is built with it. Bytes that are
 * no UTF-8 stay as they are, and nothing is composed or put in order across them. */
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

#ifdef REEL_UTF8PROC
#include <utf8proc.h>
#endif

static const char *const names[] = {"NFC", "NFD", "NFKC", "NFKD"};

const char *model_bpe_normal_form_name(BpeNormalForm form)
{
    return names[form];
}

bool model_bpe_normal_form_find(const char *name, BpeNormalForm *form)
{
    for (int i = 0; i < BPE_NORMAL_FORM_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *form = (BpeNormalForm)i;
            return true;
        }
    return false;
}

static bool is_ascii(const char *text, size_t size)
{
    uint64_t high = 0;
    size_t at = 0;
    for (; at + 8 <= size; at += 8)
        high |= bpe_load64(text + at);
    for (; at < size; at++)
        high |= (uint64_t)(uint8_t)text[at];
    return (high & 0x8080808080808080u) == 0;
}

bool model_bpe_is_normal(const BpeConfig *config, const char *text, size_t size)
{
    return config->normal_form_count == 0 || is_ascii(text, size);
}

#ifdef REEL_UTF8PROC
/* One run of valid UTF-8. */
static bool normalize_run(BpeNormalForm form, const char *text, size_t size, ReelBytes *out)
{
    static const int options[] = {UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE, UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                  UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    utf8proc_option_t option = (utf8proc_option_t)(UTF8PROC_STABLE | options[form]);
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    if (is_ascii(text, size))
        return reel_bytes_append(out, text, size);
    utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)size, NULL, 0, option);
    utf8proc_int32_t *codes = count < 0 ? NULL : reel_mem_alloc(((size_t)count + 1) * sizeof *codes);
    if (!codes)
        return false;
    utf8proc_decompose(bytes, (utf8proc_ssize_t)size, codes, count, option);
    utf8proc_ssize_t written = utf8proc_reencode(codes, count, option);
    bool fine = written >= 0 && reel_bytes_append(out, (const char *)codes, (size_t)written);
    reel_mem_free(codes);
    return fine;
}

static bool normalize(BpeNormalForm form, const char *text, size_t size, ReelBytes *out)
{
    while (size > 0) {
        size_t valid = reel_utf8_valid(text, size), skipped = valid < size;
        if (!normalize_run(form, text, valid, out) || !reel_bytes_append(out, text + valid, skipped))
            return false;
        text += valid + skipped;
        size -= valid + skipped;
    }
    return true;
}
#else
/* No file that needs it is read. */
static bool normalize(BpeNormalForm form, const char *text, size_t size, ReelBytes *out)
{
    (void)form;
    return reel_bytes_append(out, text, size);
}
#endif

bool model_bpe_normalize(const BpeConfig *config, const char *text, size_t size, ReelBytes *out)
{
    if (config->normal_form_count == 0)
        return reel_bytes_append(out, text, size);
    ReelBytes from = {0}, to = {0};
    bool fine = normalize(config->normal_forms[0], text, size, &to);
    for (int i = 1; i < config->normal_form_count && fine; i++) {
        ReelBytes empty = from;
        from = to;
        to = empty;
        to.size = 0;
        fine = normalize(config->normal_forms[i], from.data ? from.data : "", from.size, &to);
    }
    fine = fine && reel_bytes_append(out, to.data ? to.data : "", to.size);
    reel_bytes_free(&from);
    reel_bytes_free(&to);
    return fine;
}
