/* What kind of character a code point is, by utf8proc where Reel is built with it. Without it ASCII and white
 * space are known; tokenizers that ask for more are refused when they are made. */
#include "models/bpe/bpe_internal.h"

#ifdef REEL_UTF8PROC
#include <utf8proc.h>
#endif

/* The property White_Space, which has been the same since Unicode 6.3. */
static bool is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
           code == 0x205F || code == 0x3000;
}

#ifdef REEL_UTF8PROC
bool model_bpe_knows_unicode(void)
{
    return true;
}

static utf8proc_category_t category_of(uint32_t code)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    /* CJK extension I (Unicode 15.1) and the extended Egyptian hieroglyphs (16): letters in the tables of
     * Hugging Face's tokenizers, and not assigned yet in those of Debian 12. */
    bool late = (code >= 0x2EBF0 && code <= 0x2EE5D) || (code >= 0x13460 && code <= 0x143FA);
    return category == UTF8PROC_CATEGORY_CN && late ? UTF8PROC_CATEGORY_LO : category;
}

BpeClass model_bpe_class(uint32_t code)
{
    if (is_space(code))
        return BPE_SPACE;
    utf8proc_category_t category = category_of(code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return BPE_LETTER;
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO ? BPE_NUMBER : BPE_OTHER;
}

/* Alphabetic is letters, marks, letter numbers and the circled Latin letters. */
bool model_bpe_is_word(uint32_t code)
{
    utf8proc_category_t category = category_of(code);
    bool circled = (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
                   (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
    bool joiner = code == 0x200C || code == 0x200D;
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC || circled || joiner;
}
#else
bool model_bpe_knows_unicode(void)
{
    return false;
}

BpeClass model_bpe_class(uint32_t code)
{
    uint32_t lower = code | 0x20;
    return is_space(code)                 ? BPE_SPACE
           : lower >= 'a' && lower <= 'z' ? BPE_LETTER
           : code >= '0' && code <= '9'   ? BPE_NUMBER
                                          : BPE_OTHER;
}

bool model_bpe_is_word(uint32_t code)
{
    BpeClass class = model_bpe_class(code);
    return class == BPE_LETTER || class == BPE_NUMBER || code == '_';
}
#endif

/* Bytes that print in Latin-1 stand for themselves; the other 68 are U+0100 and on, in order: 0x00 to
 * 0x20, 0x7F to 0xA0, 0xAD. (OpenAI's GPT-2 encoder, bytes_to_unicode.) */
uint32_t model_bpe_byte_to_code(uint8_t byte)
{
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x121u + byte - 0x7Fu;
    return byte == 0xAD ? 0x143u : byte;
}

int model_bpe_code_to_byte(uint32_t code)
{
    if (code >= 0x100 && code <= 0x120)
        return (int)code - 0x100;
    if (code >= 0x121 && code <= 0x142)
        return (int)code - 0x121 + 0x7F;
    if (code == 0x143)
        return 0xAD;
    return code <= 0xFF && model_bpe_byte_to_code((uint8_t)code) == code ? (int)code : -1;
}
