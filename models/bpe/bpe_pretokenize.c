/* Cutting a text into pieces, 64 bytes at a time.
 *
 * Each block becomes a few masks of 64 bits, one for each class of characters, in which bit i is byte i.
 * Where a segment begins is then a handful of shifts and ands over the whole block; no byte is branched on.
 * Only bytes from 0x80 on and apostrophes are looked at one by one. A segment is a piece or a gap (white
 * space that is dropped); that all segments follow each other without holes makes emitting them free of
 * branches. */
#include "models/bpe/bpe_internal.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Of ASCII only, but for `high`. */
typedef struct Masks {
    uint64_t letter, number, space, blank, newline, apostrophe, high;
} Masks;

#if defined(__SSE2__)
static inline uint64_t bits(__m128i v)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(v);
}

/* first <= byte <= first + span, unsigned. */
static inline __m128i in_range(__m128i bytes, int first, int span)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8((char)first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)span)), offset);
}

static inline Masks classify(const char *block)
{
    Masks m = {0};
    for (int i = 0; i < 64; i += 16) {
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(block + i));
        __m128i blank = _mm_cmpeq_epi8(b, _mm_set1_epi8(' '));
        m.letter |= bits(in_range(_mm_or_si128(b, _mm_set1_epi8(0x20)), 'a', 25)) << i;
        m.number |= bits(in_range(b, '0', 9)) << i;
        m.space |= bits(_mm_or_si128(blank, in_range(b, '\t', 4))) << i;
        m.blank |= bits(blank) << i;
        m.newline |= bits(_mm_cmpeq_epi8(b, _mm_set1_epi8('\n'))) << i;
        m.apostrophe |= bits(_mm_cmpeq_epi8(b, _mm_set1_epi8('\''))) << i;
        m.high |= bits(b) << i;
    }
    return m;
}
#else
static inline Masks classify(const char *block)
{
    Masks m = {0};
    for (int i = 0; i < 64; i++) {
        uint8_t b = (uint8_t)block[i];
        m.letter |= (uint64_t)((uint8_t)((b | 0x20) - 'a') <= 25) << i;
        m.number |= (uint64_t)((uint8_t)(b - '0') <= 9) << i;
        m.space |= (uint64_t)(b == ' ' || (uint8_t)(b - '\t') <= 4) << i;
        m.blank |= (uint64_t)(b == ' ') << i;
        m.newline |= (uint64_t)(b == '\n') << i;
        m.apostrophe |= (uint64_t)(b == '\'') << i;
        m.high |= (uint64_t)(b >> 7) << i;
    }
    return m;
}
#endif

void model_bpe_split(BpeSplitter *splitter, ModelBpePretokenizer mode, BpeLines lines, const char *text,
                     size_t size)
{
    *splitter = (BpeSplitter){.mode = mode, .lines = lines, .text = text, .size = size, .open_is_gap = true};
}

/* The class of the character that begins at `at`; bytes that are no UTF-8 are "other". */
static BpeClass class_at(const BpeSplitter *s, size_t at)
{
    uint32_t code;
    int length = reel_utf8_decode((const uint8_t *)s->text + at, s->size - at, &code);
    return length ? model_bpe_class(code) : BPE_OTHER;
}

static void add_class(Masks *m, BpeClass class, uint64_t mask)
{
    if (class == BPE_LETTER)
        m->letter |= mask;
    else if (class == BPE_NUMBER)
        m->number |= mask;
    else if (class == BPE_SPACE)
        m->space |= mask;
}

/* Puts the characters outside of ASCII into the masks, all their bytes. *wide_space: bytes of such white
 * space; *lone: its first bytes where something else than white space follows. */
static void add_wide(BpeSplitter *s, Masks *m, size_t base, uint64_t *wide_space, uint64_t *lone)
{
    uint64_t high = m->high;
    if (s->wide_left) {
        uint64_t mask = ((uint64_t)1 << s->wide_left) - 1;
        add_class(m, s->wide_class, mask);
        if (s->wide_class == BPE_SPACE)
            *wide_space |= mask;
        high &= ~mask;
        s->wide_left = 0;
    }
    while (high) {
        unsigned bit = (unsigned)__builtin_ctzll(high);
        size_t at = base + bit;
        uint32_t code;
        unsigned length = (unsigned)reel_utf8_decode((const uint8_t *)s->text + at, s->size - at, &code);
        if (length == 0) {
            high &= high - 1;
            continue;
        }
        uint64_t mask = (((uint64_t)1 << length) - 1) << bit;
        BpeClass class = model_bpe_class(code);
        add_class(m, class, mask);
        if (class == BPE_SPACE) {
            *wide_space |= mask;
            if (at + length < s->size && class_at(s, at + length) != BPE_SPACE)
                *lone |= (uint64_t)1 << bit;
        }
        high &= ~mask;
        if (bit + length > 64) {
            s->wide_class = class;
            s->wide_left = bit + length - 64;
        }
    }
}

/* The length of 's, 't, 're, 've, 'm, 'll or 'd at `at`, or 0. */
static unsigned contraction(const BpeSplitter *s, size_t at)
{
    size_t left = s->size - at;
    if (left < 2)
        return 0;
    char a = s->text[at + 1], b = left > 2 ? s->text[at + 2] : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* Contractions end where no class changes; `starts` is corrected for this block and the next one. */
static uint64_t with_contractions(BpeSplitter *s, uint64_t starts, uint64_t apostrophes, size_t base)
{
    starts = (starts & ~s->clear_next) | s->set_next;
    s->clear_next = s->set_next = 0;
    for (uint64_t left = apostrophes & starts; left; left &= left - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(left), length = contraction(s, base + bit);
        if (length == 0)
            continue;
        if (bit + 1 < 64)
            starts &= ~((uint64_t)1 << (bit + 1));
        else
            s->clear_next |= 1;
        if (bit + length < 64)
            starts |= (uint64_t)1 << (bit + length);
        else
            s->set_next |= (uint64_t)1 << (bit + length - 64);
    }
    return starts;
}

/* Where the pieces of GPT-2's expression begin:
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * A run of one class begins a piece, unless a blank precedes it, which then does. Of a run of white space
 * that something follows, the last character is on its own (or is that blank). */
static uint64_t byte_level_starts(BpeSplitter *s, Masks m, size_t base, size_t count)
{
    uint64_t wide_space = 0, lone = 0;
    if (m.high)
        add_wide(s, &m, base, &wide_space, &lone);
    uint64_t newline = s->lines == BPE_ONE_TEXT ? 0 : m.newline;
    uint64_t other = ~(m.letter | m.number | m.space);
    uint64_t same = (m.letter & (m.letter << 1 | s->letter)) | (m.number & (m.number << 1 | s->number)) |
                    (other & (other << 1 | s->other));
    uint64_t starts = ~m.space & ~same & ~(m.blank << 1 | s->blank);
    uint64_t after_newline = newline << 1 | s->newline;
    starts |= m.space & (~(m.space << 1 | s->space) | after_newline);
    uint64_t last = count - 1;
    uint64_t next_is_space = m.space >> 1;
    if (m.space >> last & 1) { /* what follows the block's last character: nothing counts as white space */
        size_t next = base + count;
        if (next >= s->size || class_at(s, next) == BPE_SPACE)
            next_is_space |= (uint64_t)1 << last;
    }
    starts |= (m.space & ~next_is_space & ~wide_space & ~newline) | lone;
    if (s->lines == BPE_LINES_MARKED)
        starts |= newline;
    starts = with_contractions(s, starts, m.apostrophe, base);
    s->letter = m.letter >> 63;
    s->number = m.number >> 63;
    s->other = other >> 63;
    s->space = m.space >> 63;
    s->blank = m.blank >> 63;
    s->newline = newline >> 63;
    return starts;
}

/* Runs of what is not a gap, and line feeds where they are marked. */
static uint64_t run_starts(BpeSplitter *s, Masks m, size_t base, uint64_t *gaps)
{
    uint64_t gap = m.blank | m.newline;
    if (s->mode == MODEL_BPE_WHITESPACE) {
        uint64_t ignored = 0;
        if (m.high)
            add_wide(s, &m, base, &ignored, &ignored);
        gap = m.space;
    }
    uint64_t newline = s->lines == BPE_LINES_MARKED ? m.newline : 0;
    uint64_t starts = (gap ^ (gap << 1 | s->space)) | newline | newline << 1 | s->newline;
    s->space = gap >> 63;
    s->newline = newline >> 63;
    *gaps = gap & ~newline;
    return starts;
}

/* Fills `starts` and `gaps` from the next block. */
static void next_block(BpeSplitter *s)
{
    size_t base = s->block, count = s->size - base;
    char padded[64];
    const char *bytes = s->text + base;
    if (count < 64) {
        memset(padded, ' ', sizeof padded);
        memcpy(padded, bytes, count);
        bytes = padded;
    } else {
        count = 64;
    }
    Masks masks = classify(bytes);
    s->gaps = 0;
    if (s->mode == MODEL_BPE_BYTELEVEL)
        s->starts = byte_level_starts(s, masks, base, count);
    else
        s->starts = run_starts(s, masks, base, &s->gaps);
    if (base == 0)
        s->starts |= 1;
    if (count < 64)
        s->starts &= ((uint64_t)1 << count) - 1;
    s->block += count;
}

/* subword-nmt strips carriage returns (and blanks) from both ends of a line. */
static bool is_stripped(char c)
{
    return c == ' ' || c == '\r';
}

/* Whether nothing but such characters stands between the line's begin and `at`. Both this and the look
 * ahead below remember how far they got, or a line of them would take quadratic time. */
static bool is_line_begin(BpeSplitter *s, size_t at)
{
    size_t before = at;
    while (before > s->lead && is_stripped(s->text[before - 1]))
        before--;
    if (before > s->lead)
        s->is_lead = s->text[before - 1] == '\n';
    else if (before == 0)
        s->is_lead = true;
    s->lead = at;
    return s->is_lead;
}

static BpePiece stripped(BpeSplitter *s, BpePiece piece)
{
    if (piece.text[0] == '\r' && is_line_begin(s, (size_t)(piece.text - s->text)))
        for (; piece.size && piece.text[0] == '\r'; piece.text++)
            piece.size--;
    if (piece.size && piece.text[piece.size - 1] == '\r') {
        size_t after = (size_t)(piece.text - s->text) + piece.size;
        if (after < s->solid)
            after = s->solid;
        while (after < s->size && is_stripped(s->text[after]))
            after++;
        s->solid = after;
        if (after == s->size || s->text[after] == '\n')
            while (piece.size && piece.text[piece.size - 1] == '\r')
                piece.size--;
    }
    return piece;
}

static size_t strip_pieces(BpeSplitter *s, BpePiece *pieces, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        BpePiece piece = pieces[i];
        if (piece.text[0] == '\r' || piece.text[piece.size - 1] == '\r')
            piece = stripped(s, piece);
        pieces[kept] = piece;
        kept += piece.size > 0;
    }
    return kept;
}

static size_t next_pieces(BpeSplitter *s, BpePiece *pieces, size_t room)
{
    size_t count = 0;
    size_t open = s->open;
    bool open_is_gap = s->open_is_gap;
    while (count + 64 <= room && s->block < s->size) {
        size_t base = s->block;
        next_block(s);
        for (uint64_t left = s->starts; left; left &= left - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(left);
            pieces[count] = (BpePiece){s->text + open, base + bit - open};
            count += !open_is_gap;
            open = base + bit;
            open_is_gap = s->gaps >> bit & 1;
        }
    }
    if (s->block >= s->size && !s->done && count < room) {
        s->done = true;
        if (!open_is_gap)
            pieces[count++] = (BpePiece){s->text + open, s->size - open};
    }
    s->open = open;
    s->open_is_gap = open_is_gap;
    return count;
}

size_t model_bpe_split_next(BpeSplitter *s, BpePiece *pieces, size_t room)
{
    for (;;) {
        size_t count = next_pieces(s, pieces, room);
        if (s->mode == MODEL_BPE_SUBWORD_NMT && count) {
            count = strip_pieces(s, pieces, count);
            if (count == 0)
                continue;
        }
        if (count || s->done)
            return count;
    }
}
