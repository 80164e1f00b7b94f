/* From text to ids: cut into pieces, look each piece up in a cache, merge where it is not there.
 *
 * Words repeat, so nearly all the time goes into finding pieces and into the cache: a slot is half a cache
 * line and holds the text of a piece and its ids; the slots that a batch of pieces needs are prefetched
 * before the first of them is read. */
#define _GNU_SOURCE
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

#include <stdlib.h>

enum {
    BATCH = 256,
    SLOT_IDS = 4,
    FIRST_SLOTS = 1 << 14,
    MAX_SLOTS = 1 << 20, /* 32 MiB; a full cache is emptied */
    MAX_SPILLED_BYTES = 64 << 20,
    MAX_CACHED_PIECE = 1024,
    SPILLED = 255
};

/* ids[0] has the number of ids in its upper 8 bits. SPILLED: the number is in the other 24 bits, and
 * ids[1], ids[2] say where in `spilled` the entry is: text size (0 where the key is the text), text padded to
 * a multiple of 8, ids. */
typedef struct Slot {
    BpeKey key; /* all zero: empty */
    uint32_t ids[SLOT_IDS];
} Slot;

enum { NO_SLOT = -1, LINE_FEED = -2 };

typedef struct ModelBatch {
    BpePiece pieces[BATCH];
    BpeKey keys[BATCH];
    uint64_t hashes[BATCH];
    int32_t slots[BATCH]; /* or NO_SLOT: the piece is not cached, or LINE_FEED */
    size_t count;
    BpeShortWord words[BATCH]; /* new ones */
    uint32_t word_slots[BATCH];
    size_t word_count;
} ModelBatch;

struct ModelBpeEncoder {
    const ModelBpeTokenizer *tokenizer;
    Slot *slots;
    size_t slot_count, used;
    ReelBytes spilled;
    BpeScratch scratch;
    ReelBytes valid, normalized, prefixed, mapped;
    double dropout;
    TensorRandom random;
    ModelBatch batch;
};

ModelBpeEncoder *model_bpe_encoder_new(const ModelBpeTokenizer *tokenizer)
{
    ModelBpeEncoder *encoder = reel_mem_calloc(1, sizeof *encoder);
    if (!encoder)
        return NULL;
    encoder->tokenizer = tokenizer;
    encoder->slots = reel_mem_calloc(FIRST_SLOTS, sizeof *encoder->slots);
    encoder->slot_count = FIRST_SLOTS;
    if (encoder->slots)
        return encoder;
    model_bpe_encoder_free(encoder);
    return NULL;
}

void model_bpe_encoder_free(ModelBpeEncoder *encoder)
{
    if (!encoder)
        return;
    reel_mem_free(encoder->slots);
    reel_bytes_free(&encoder->spilled);
    reel_bytes_free(&encoder->valid);
    reel_bytes_free(&encoder->normalized);
    reel_bytes_free(&encoder->prefixed);
    reel_bytes_free(&encoder->mapped);
    model_bpe_scratch_free(&encoder->scratch);
    reel_mem_free(encoder);
}

void model_bpe_encoder_set_dropout(ModelBpeEncoder *encoder, double probability, uint64_t seed)
{
    encoder->dropout = probability;
    encoder->random = tensor_random_new(seed, tensor_random_stream("bpe dropout"));
}

/* ---- The cache ---- */

static bool is_spilled(const Slot *slot)
{
    return slot->ids[0] >> 24 == SPILLED;
}

static const char *spilled_entry(const ModelBpeEncoder *e, const Slot *slot)
{
    return e->spilled.data + (slot->ids[1] | (size_t)slot->ids[2] << 32);
}

static bool is_same_text(const ModelBpeEncoder *e, const Slot *slot, BpePiece piece)
{
    const char *entry = spilled_entry(e, slot);
    return bpe_load64(entry) == piece.size && memcmp(entry + 8, piece.text, piece.size) == 0;
}

static void empty_cache(ModelBpeEncoder *e)
{
    memset(e->slots, 0, e->slot_count * sizeof *e->slots);
    e->used = 0;
    e->spilled.size = 0;
}

/* Room for a batch at a load of at most 3/4; where there is no memory for more, the cache stays as it is. */
static void make_room(ModelBpeEncoder *e)
{
    bool too_many = (e->used + BATCH) * 4 > e->slot_count * 3;
    if (e->spilled.size > MAX_SPILLED_BYTES || (too_many && e->slot_count >= MAX_SLOTS)) {
        empty_cache(e);
        return;
    }
    if (!too_many)
        return;
    size_t wanted = e->slot_count * 4;
    Slot *slots = model_bpe_table_alloc(wanted, sizeof *slots);
    if (!slots) {
        empty_cache(e);
        return;
    }
    for (size_t i = 0; i < e->slot_count; i++) {
        if (e->slots[i].key.high == 0)
            continue;
        size_t to = bpe_key_hash(e->slots[i].key) & (wanted - 1);
        while (slots[to].key.high)
            to = (to + 1) & (wanted - 1);
        slots[to] = e->slots[i];
    }
    reel_mem_free(e->slots);
    e->slots = slots;
    e->slot_count = wanted;
}

/* Ids that do not fit, or the text that does not: into `spilled`. False: no memory, nothing was stored. */
static bool spill(ModelBpeEncoder *e, Slot *slot, BpePiece piece, const uint32_t *ids, size_t count)
{
    size_t place = e->spilled.size, size = piece.size > BPE_KEY_INLINE ? piece.size : 0;
    size_t padded = (size + 7) / 8 * 8, total = 8 + padded + (count * sizeof *ids + 7) / 8 * 8;
    if (!reel_bytes_reserve(&e->spilled, total))
        return false;
    char *entry = e->spilled.data + place;
    uint64_t stored = size;
    memset(entry, 0, total);
    memcpy(entry, &stored, sizeof stored);
    memcpy(entry + 8, piece.text, size);
    if (count)
        memcpy(entry + 8 + padded, ids, count * sizeof *ids);
    e->spilled.size += total;
    slot->ids[0] = (uint32_t)SPILLED << 24 | (uint32_t)count;
    slot->ids[1] = (uint32_t)place;
    slot->ids[2] = (uint32_t)(place >> 32);
    return true;
}

/* The ids of a slot. `piece` is empty where the key is the whole text. */
static bool store(ModelBpeEncoder *e, Slot *slot, BpePiece piece, const uint32_t *ids, size_t count)
{
    if (count > SLOT_IDS || piece.size > BPE_KEY_INLINE)
        return spill(e, slot, piece, ids, count);
    for (size_t i = 0; i < count; i++)
        slot->ids[i] = ids[i];
    slot->ids[0] |= (uint32_t)count << 24;
    return true;
}

/* False: there was no memory to keep it, and the slot is still empty. */
static bool remember(ModelBpeEncoder *e, Slot *slot, BpeKey key, BpePiece piece, const uint32_t *ids,
                     size_t count)
{
    if (!store(e, slot, piece, ids, count))
        return false;
    slot->key = key;
    e->used++;
    return true;
}

/* ---- Pieces that are not in the cache ---- */

/* *id: the token that is the whole piece, or BPE_NONE. False: no memory. */
static bool whole_token(ModelBpeEncoder *e, BpePiece piece, int64_t *id)
{
    if (e->tokenizer->config.pretokenizer != MODEL_BPE_BYTELEVEL) {
        *id = bpe_model_id(e->tokenizer, piece.text, piece.size);
        return true;
    }
    e->mapped.size = 0;
    if (!reel_bytes_reserve(&e->mapped, 2 * piece.size))
        return false;
    for (size_t i = 0; i < piece.size; i++)
        e->mapped.size += (size_t)reel_utf8_encode(model_bpe_byte_to_code((uint8_t)piece.text[i]),
                                                   e->mapped.data + e->mapped.size);
    *id = bpe_model_id(e->tokenizer, e->mapped.data, e->mapped.size);
    return true;
}

/* The ids of a piece, in scratch.symbols. */
static bool merge_piece(ModelBpeEncoder *e, BpePiece piece, size_t *count)
{
    if (!model_bpe_piece_symbols(e->tokenizer, &e->scratch, piece.text, piece.size, count))
        return false;
    bool drops = e->dropout > 0;
    if (e->tokenizer->config.ignore_merges && !drops) {
        int64_t whole;
        if (!whole_token(e, piece, &whole))
            return false;
        if (whole >= 0) {
            e->scratch.symbols[0] = (uint32_t)whole;
            *count = 1;
            return true;
        }
    }
    return model_bpe_merge_symbols(e->tokenizer, &e->scratch, count, e->dropout, drops ? &e->random : NULL);
}

static bool append(ModelBpeIds *ids, const uint32_t *from, size_t count)
{
    if (!model_bpe_ids_reserve(ids, count + (size_t)BATCH * SLOT_IDS))
        return false;
    if (count)
        memcpy(ids->ids + ids->count, from, count * sizeof *from);
    ids->count += count;
    return true;
}

/* ---- A batch of pieces: find all, merge those that are new, then put out all in order ---- */

/* The slot of a key, or the empty one where it would be. */
static inline size_t find_slot(const ModelBpeEncoder *e, BpeKey key, uint64_t hash, BpePiece piece)
{
    size_t mask = e->slot_count - 1, at = hash & mask;
    for (;; at = (at + 1) & mask) {
        const Slot *slot = &e->slots[at];
        if (slot->key.high == 0)
            return at;
        if (slot->key.low == key.low && slot->key.high == key.high &&
            (piece.size <= BPE_KEY_INLINE || is_same_text(e, slot, piece)))
            return at;
    }
}

/* A piece that is seen for the first time: if it is short, it waits for model_bpe_merge_words(), and its slot
 * has the key already. */
static __attribute__((noinline)) bool add_new(ModelBpeEncoder *e, ModelBatch *b, size_t i, size_t at)
{
    BpePiece piece = b->pieces[i];
    size_t count;
    b->slots[i] = NO_SLOT;
    if (piece.size > MAX_CACHED_PIECE)
        return true; /* merged when it is put out */
    if (!e->tokenizer->config.ignore_merges && piece.size <= BPE_KEY_INLINE) {
        BpeShortWord *word = &b->words[b->word_count];
        if (!model_bpe_piece_symbols(e->tokenizer, &e->scratch, piece.text, piece.size, &count))
            return false;
        if (count > 0 && count <= BPE_LANES) {
            memcpy(word->symbols, e->scratch.symbols, count * sizeof *word->symbols);
            word->alive = (1u << count) - 1;
            b->word_slots[b->word_count++] = (uint32_t)at;
            e->slots[at].key = b->keys[i];
            e->used++;
            b->slots[i] = (int32_t)at;
            return true;
        }
    }
    if (!merge_piece(e, piece, &count))
        return false;
    if (remember(e, &e->slots[at], b->keys[i], piece, e->scratch.symbols, count))
        b->slots[i] = (int32_t)at;
    return true;
}

static bool find_all(ModelBpeEncoder *e, ModelBatch *b, bool lines)
{
    b->word_count = 0;
    for (size_t i = 0; i < b->count; i++) {
        BpeKey key = b->keys[i];
        if (lines && key.low == '\n' && key.high == (uint64_t)1 << 56) {
            b->slots[i] = LINE_FEED;
            continue;
        }
        if (__builtin_expect(e->dropout > 0, 0)) { /* each time is another: what is cached does not count */
            b->slots[i] = NO_SLOT;
            continue;
        }
        size_t at = find_slot(e, key, b->hashes[i], b->pieces[i]);
        b->slots[i] = (int32_t)at;
        if (__builtin_expect(e->slots[at].key.high == 0, 0) && !add_new(e, b, i, at))
            return false;
    }
    return true;
}

static bool merge_new(ModelBpeEncoder *e, ModelBatch *b)
{
    model_bpe_merge_words(e->tokenizer, b->words, b->word_count);
    for (size_t i = 0; i < b->word_count; i++) {
        Slot *slot = &e->slots[b->word_slots[i]];
        uint32_t ids[BPE_LANES], count = 0;
        for (uint32_t left = b->words[i].alive; left; left &= left - 1)
            ids[count++] = b->words[i].symbols[__builtin_ctz(left)];
        if (!store(e, slot, (BpePiece){"", 0}, ids, count))
            return false;
    }
    return true;
}

static __attribute__((noinline)) bool put_spilled(ModelBpeEncoder *e, const Slot *slot, ModelBpeIds *ids)
{
    const char *entry = spilled_entry(e, slot);
    size_t padded = ((size_t)bpe_load64(entry) + 7) / 8 * 8;
    return append(ids, (const uint32_t *)(const void *)(entry + 8 + padded), slot->ids[0] & 0xFFFFFF);
}

static __attribute__((noinline)) bool put_uncached(ModelBpeEncoder *e, BpePiece piece, ModelBpeIds *ids)
{
    size_t count;
    return merge_piece(e, piece, &count) && append(ids, e->scratch.symbols, count);
}

static bool end_line(const ModelBpeIds *ids, ModelBpeIds *ends)
{
    if (!model_bpe_ids_reserve(ends, 1))
        return false;
    ends->ids[ends->count++] = (int32_t)ids->count;
    return true;
}

static bool put_all(ModelBpeEncoder *e, const ModelBatch *b, ModelBpeIds *ids, ModelBpeIds *ends)
{
    if (!model_bpe_ids_reserve(ids, (size_t)BATCH * SLOT_IDS))
        return false;
    for (size_t i = 0; i < b->count; i++) {
        if (__builtin_expect(b->slots[i] < 0, 0)) {
            if (b->slots[i] == LINE_FEED ? !end_line(ids, ends) : !put_uncached(e, b->pieces[i], ids))
                return false;
            continue;
        }
        const Slot *slot = &e->slots[b->slots[i]];
        if (__builtin_expect(is_spilled(slot), 0)) {
            if (!put_spilled(e, slot, ids))
                return false;
            continue;
        }
        memcpy(ids->ids + ids->count, slot->ids, sizeof slot->ids);
        ids->ids[ids->count] &= 0xFFFFFF;
        ids->count += slot->ids[0] >> 24;
    }
    return true;
}

/* `ends` NULL: one text. */
static bool encode_pieces(ModelBpeEncoder *e, const char *text, size_t size, ModelBpeIds *ids,
                          ModelBpeIds *ends)
{
    BpeSplitter splitter;
    ModelBatch *b = &e->batch;
    const char *end = text + size;
    model_bpe_split(&splitter, e->tokenizer->config.pretokenizer, ends ? BPE_LINES_MARKED : BPE_ONE_TEXT,
                    text, size);
    while ((b->count = model_bpe_split_next(&splitter, b->pieces, BATCH)) > 0) {
        make_room(e);
        for (size_t i = 0; i < b->count; i++) {
            b->keys[i] = bpe_key(b->pieces[i].text, b->pieces[i].size, end);
            b->hashes[i] = bpe_key_hash(b->keys[i]);
            __builtin_prefetch(&e->slots[b->hashes[i] & (e->slot_count - 1)]);
        }
        if (!find_all(e, b, ends != NULL) || !merge_new(e, b)) {
            empty_cache(e); /* it has keys without ids */
            return false;
        }
        if (!put_all(e, b, ids, ends))
            return false;
    }
    return !ends || size == 0 || text[size - 1] == '\n' || end_line(ids, ends);
}

/* ---- Added tokens ---- */

/* As Hugging Face finds them: what a token took on its right may be found again as another token, but one
 * that takes white space on its left itself begins behind the token before, and does not count if nothing is
 * left. */
typedef struct Found {
    size_t begin, end, next; /* white space included; where the search goes on */
    uint32_t id;
} Found;

/* Places in t->added. */
typedef struct Range {
    size_t begin, end;
} Range;

static size_t space_before(const char *text, size_t from, size_t at)
{
    while (at > from) {
        size_t before = at - 1;
        while (before > from && ((uint8_t)text[before] & 0xC0) == 0x80)
            before--;
        uint32_t code;
        int length = reel_utf8_decode((const uint8_t *)text + before, at - before, &code);
        if (length == 0 || model_bpe_class(code) != BPE_SPACE)
            break;
        at = before;
    }
    return at;
}

static size_t space_behind(const char *text, size_t at, size_t size)
{
    while (at < size) {
        uint32_t code;
        int length = reel_utf8_decode((const uint8_t *)text + at, size - at, &code);
        if (length == 0 || model_bpe_class(code) != BPE_SPACE)
            break;
        at += (size_t)length;
    }
    return at;
}

/* Whether a character of words ends at `at`, or begins there. */
static bool is_word_before(const char *text, size_t at)
{
    size_t before = at;
    while (before > 0 && at - before < 4 && ((uint8_t)text[--before] & 0xC0) == 0x80)
        continue;
    uint32_t code;
    int length = at > 0 ? reel_utf8_decode((const uint8_t *)text + before, at - before, &code) : 0;
    return length > 0 && before + (size_t)length == at && model_bpe_is_word(code);
}

static bool is_word_behind(const char *text, size_t at, size_t size)
{
    uint32_t code;
    return at < size && reel_utf8_decode((const uint8_t *)text + at, size - at, &code) &&
           model_bpe_is_word(code);
}

/* The longest of the added tokens that begin at `at`, or NULL. */
static const BpeAdded *added_at(const ModelBpeTokenizer *t, Range range, const char *text, size_t at,
                                size_t size)
{
    for (size_t i = range.begin; i < range.end; i++) {
        const BpeAdded *added = &t->added[i];
        ModelTextSpan pattern = model_string_table_span(&t->patterns, added->pattern);
        if (pattern.length <= size - at && memcmp(text + at, pattern.bytes, pattern.length) == 0)
            return added;
    }
    return NULL;
}

/* The leftmost added token at or behind `at`; what is before `from` is another's. One that must be a word of
 * its own, and is not, is passed over as a whole. */
static bool find_added(const ModelBpeTokenizer *t, Range range, const char *text, size_t from, size_t at,
                       size_t size, Found *found)
{
    for (; at < size; at++) {
        if (t->added_byte >= 0) {
            const char *next = memchr(text + at, t->added_byte, size - at);
            if (!next)
                return false;
            at = (size_t)(next - text);
        } else if (!t->added_first[(uint8_t)text[at]]) {
            continue;
        }
        const BpeAdded *added = added_at(t, range, text, at, size);
        if (!added)
            continue;
        size_t end = at + model_string_table_span(&t->patterns, added->pattern).length;
        if (added->single_word && (is_word_before(text, at) || is_word_behind(text, end, size))) {
            at = end - 1;
            continue;
        }
        *found = (Found){at, end, end, added->id};
        if (added->lstrip)
            found->begin = at > from ? space_before(text, from, at) : from;
        if (added->rstrip) /* before `from` there is the white space that another took; it ends there */
            found->end = end <= from ? from : space_behind(text, end, size);
        return true;
    }
    return false;
}

static bool encode_section(ModelBpeEncoder *e, const char *text, size_t size, ModelBpeIds *ids)
{
    if (size == 0)
        return true;
    const BpeConfig *config = &e->tokenizer->config;
    if (!config->add_prefix_space || config->pretokenizer != MODEL_BPE_BYTELEVEL)
        return encode_pieces(e, text, size, ids, NULL);
    return model_bpe_prefix_text(&e->prefixed, text, size) &&
           encode_pieces(e, e->prefixed.data, e->prefixed.size, ids, NULL);
}

/* First the tokens that are not "normalized" (pass 0); what is between them is normalized and searched for
 * those that are (pass 1), between these the text. */
static bool encode_pass(ModelBpeEncoder *e, int pass, const char *text, size_t size, ModelBpeIds *ids)
{
    const ModelBpeTokenizer *t = e->tokenizer;
    if (pass == 1 && !model_bpe_is_normal(&t->config, text, size)) {
        e->normalized.size = 0;
        if (!model_bpe_normalize(&t->config, text, size, &e->normalized))
            return false;
        text = e->normalized.data;
        size = e->normalized.size;
    }
    const Range ranges[2] = {{0, t->added_raw}, {t->added_raw, t->added_count}};
    size_t at = 0, next = 0;
    if (pass == 2)
        return encode_section(e, text, size, ids);
    Range range = ranges[pass];
    for (Found found; range.begin < range.end && find_added(t, range, text, at, next, size, &found);) {
        if (found.begin > at && !encode_pass(e, pass + 1, text + at, found.begin - at, ids))
            return false;
        if (found.begin < found.end && !append(ids, &found.id, 1))
            return false;
        at = found.end;
        next = found.next;
    }
    return encode_pass(e, pass + 1, text + at, size - at, ids);
}

/* Where byte level is not, bytes that are no UTF-8 count as U+FFFD. Mostly it is enough that their symbols
 * do. */
static bool is_valid(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    return !t->needs_valid || t->config.pretokenizer == MODEL_BPE_BYTELEVEL ||
           reel_utf8_valid(text, size) == size;
}

static bool replace_invalid(const char *text, size_t size, ReelBytes *out)
{
    out->size = 0;
    while (size) {
        size_t valid = reel_utf8_valid(text, size);
        if (!reel_bytes_append(out, text, valid))
            return false;
        if (valid == size)
            break;
        if (!reel_bytes_append(out, BPE_REPLACEMENT, strlen(BPE_REPLACEMENT)))
            return false;
        text += valid + 1;
        size -= valid + 1;
    }
    return true;
}

static bool encode_text(ModelBpeEncoder *e, const char *text, size_t size, ModelBpeIds *ids)
{
    if (!is_valid(e->tokenizer, text, size)) {
        if (!replace_invalid(text, size, &e->valid))
            return false;
        text = e->valid.data;
        size = e->valid.size;
    }
    return encode_pass(e, 0, text, size, ids);
}

static bool encode_line_by_line(ModelBpeEncoder *e, const char *text, size_t size, ModelBpeIds *ids,
                                ModelBpeIds *ends)
{
    for (const char *end = text + size; text < end;) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed ? feed : end;
        if (!encode_text(e, text, (size_t)(stop - text), ids) || !end_line(ids, ends))
            return false;
        text = stop + (feed != NULL);
    }
    return true;
}

static ReelStatus outcome(bool fine, const ModelBpeIds *ids)
{
    return fine ? reel_status_ok()
                : reel_status_no_memory(ids->count * sizeof *ids->ids, "the ids of a text");
}

ReelStatus model_bpe_encode(ModelBpeEncoder *encoder, const char *text, size_t size, ModelBpeIds *ids)
{
    return outcome(encode_text(encoder, text, size, ids), ids);
}

ReelStatus model_bpe_encode_lines(ModelBpeEncoder *encoder, const char *text, size_t size, ModelBpeIds *ids,
                                  ModelBpeIds *ends)
{
    const ModelBpeTokenizer *t = encoder->tokenizer;
    Found found;
    bool prefixes = t->config.add_prefix_space && t->config.pretokenizer == MODEL_BPE_BYTELEVEL;
    Range all = {0, t->added_count};
    bool plain = !prefixes && model_bpe_is_normal(&t->config, text, size) && is_valid(t, text, size) &&
                 !(t->added_count && find_added(t, all, text, 0, 0, size, &found));
    ReelStatus status = outcome(plain ? encode_pieces(encoder, text, size, ids, ends)
                                      : encode_line_by_line(encoder, text, size, ids, ends),
                                ids);
    if (reel_status_is_ok(&status) && ids->count > INT32_MAX)
        return reel_status_failed("more than %d ids of lines in one list: encode fewer lines at a time",
                                  INT32_MAX);
    return status;
}
