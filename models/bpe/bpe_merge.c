/* The merges of one piece: lowest rank first, leftmost among equals.
 *
 * Ways to the same result. Short pieces: the ranks of all neighbours in an array, whose minimum is
 * looked for before each merge; with some ten symbols nothing is faster. Longer ones: a heap of (rank,
 * place), so that the time is n log n. Very long ones: a list of places for each rank, walked upwards, which
 * takes linear time; right where no merge makes a pair of lower rank than its own (ModelBpeTokenizer.rising),
 * as in everything that was trained. */
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

enum { SCAN_LIMIT = 64, LIST_LIMIT = 20000 };

#define GONE UINT32_MAX
/* Twice a place or an entry has 32 bits, too. */
#define MAX_PLACE (UINT32_MAX / 2)

void model_bpe_scratch_free(BpeScratch *s)
{
    reel_mem_free(s->symbols);
    reel_mem_free(s->heap);
    reel_mem_free(s->skipped);
    reel_mem_free(s->links);
    reel_mem_free(s->lists);
    *s = (BpeScratch){0};
}

/* What a merge makes; without a look into memory where tokens were numbered as they were learned. */
static inline uint32_t product_of(const ModelBpeTokenizer *t, uint32_t rank)
{
    return t->product_base >= 0 ? (uint32_t)t->product_base + rank : t->merges[rank].product;
}

/* ---- Short: scan for the minimum ---- */

static size_t merge_by_scan(const ModelBpeTokenizer *t, uint32_t *symbols, size_t count)
{
    uint32_t ranks[SCAN_LIMIT];
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = bpe_symbol_pair_rank(t, symbols[i], symbols[i + 1]);
    while (count > 1) {
        uint32_t lowest = ranks[0];
        size_t at = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            at = ranks[i] < lowest ? i : at;
            lowest = ranks[i] < lowest ? ranks[i] : lowest;
        }
        if (lowest == BPE_NO_RANK)
            break;
        symbols[at] = product_of(t, lowest);
        count--;
        for (size_t i = at + 1; i < count; i++)
            symbols[i] = symbols[i + 1];
        for (size_t i = at + 1; i + 1 < count; i++)
            ranks[i] = ranks[i + 1];
        if (at > 0)
            ranks[at - 1] = bpe_pair_rank(t, symbols[at - 1], symbols[at]);
        if (at + 1 < count)
            ranks[at] = bpe_pair_rank(t, symbols[at], symbols[at + 1]);
    }
    return count;
}

/* ---- Many short words at once ---- */

/* Symbols stay in the lane where they were, `alive` tells which are left; keys[i] is the rank of the pair
 * that begins in lane i, with i in the lowest bits, so that the minimum is also the leftmost. */
enum { LANE_BITS = 4, NO_KEY = INT32_MAX };

static inline int32_t lane_key(uint32_t rank, unsigned lane)
{
    return rank == BPE_NO_RANK ? NO_KEY : (int32_t)(rank << LANE_BITS | lane);
}

static inline int32_t lowest_key(const int32_t *keys)
{
    int32_t lanes[BPE_LANES];
    memcpy(lanes, keys, sizeof lanes);
    for (int half = BPE_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] = lanes[i + half] < lanes[i] ? lanes[i + half] : lanes[i];
    return lanes[0];
}

static void start_word(const ModelBpeTokenizer *t, BpeShortWord *w)
{
    unsigned count = 32 - (unsigned)__builtin_clz(w->alive);
    for (unsigned i = 0; i < BPE_LANES; i++)
        w->keys[i] = NO_KEY;
    for (unsigned i = 0; i + 1 < count; i++)
        w->keys[i] = lane_key(bpe_symbol_pair_rank(t, w->symbols[i], w->symbols[i + 1]), i);
}

/* The lanes before and behind the one of the last merge; BPE_LANES: there is none. */
typedef struct Neighbours {
    uint8_t at, before, behind;
} Neighbours;

static inline void prefetch_pair(const ModelBpeTokenizer *t, uint32_t left, uint32_t right)
{
    __builtin_prefetch(&t->pairs[bpe_pair_hash(bpe_pair_key(left, right), t->pair_shift)]);
}

/* Makes the next merge and asks for the slots of the two pairs that it makes. False: there is none. */
static inline bool merge_next(const ModelBpeTokenizer *t, BpeShortWord *w, Neighbours *n)
{
    int32_t key = lowest_key(w->keys);
    if (key == NO_KEY)
        return false;
    uint32_t rank = (uint32_t)key >> LANE_BITS, at = (uint32_t)key & (BPE_LANES - 1);
    uint32_t above = w->alive & ~((2u << at) - 1), below = w->alive & ((1u << at) - 1);
    unsigned gone = (unsigned)__builtin_ctz(above);
    above &= above - 1;
    w->alive &= ~(1u << gone);
    w->symbols[at] = product_of(t, rank);
    w->keys[gone] = w->keys[at] = NO_KEY;
    *n = (Neighbours){(uint8_t)at, BPE_LANES, BPE_LANES};
    if (above) {
        n->behind = (uint8_t)__builtin_ctz(above);
        prefetch_pair(t, w->symbols[at], w->symbols[n->behind]);
    }
    if (below) {
        n->before = (uint8_t)(31 - __builtin_clz(below));
        prefetch_pair(t, w->symbols[n->before], w->symbols[at]);
    }
    return true;
}

static inline void look_up(const ModelBpeTokenizer *t, BpeShortWord *w, Neighbours n)
{
    if (n.behind < BPE_LANES)
        w->keys[n.at] = lane_key(bpe_pair_rank(t, w->symbols[n.at], w->symbols[n.behind]), n.at);
    if (n.before < BPE_LANES)
        w->keys[n.before] = lane_key(bpe_pair_rank(t, w->symbols[n.before], w->symbols[n.at]), n.before);
}

enum { GROUP = 16 };

static void merge_group(const ModelBpeTokenizer *t, BpeShortWord *words, size_t count)
{
    Neighbours neighbours[GROUP];
    uint8_t open[GROUP];
    for (size_t i = 0; i < count; i++) {
        start_word(t, &words[i]);
        open[i] = (uint8_t)i;
    }
    while (count) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            open[kept] = open[i];
            kept += merge_next(t, &words[open[i]], &neighbours[kept]);
        }
        count = kept;
        for (size_t i = 0; i < count; i++)
            look_up(t, &words[open[i]], neighbours[i]);
    }
}

void model_bpe_merge_words(const ModelBpeTokenizer *t, BpeShortWord *words, size_t count)
{
    for (size_t at = 0; at < count; at += GROUP)
        merge_group(t, words + at, count - at < GROUP ? count - at : GROUP);
}

/* ---- Long: a heap ---- */

/* Keys are rank << 32 | place. Links: next in links[2i], previous in links[2i + 1]. */
static bool push(BpeScratch *s, uint64_t key)
{
    uint64_t *heap = reel_mem_grow(s->heap, s->heap_count, &s->heap_capacity, sizeof *heap);
    if (!heap)
        return false;
    s->heap = heap;
    size_t at = s->heap_count++;
    for (; at > 0 && key < heap[(at - 1) / 2]; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
    return true;
}

static uint64_t pop(BpeScratch *s)
{
    uint64_t *heap = s->heap, top = heap[0], last = heap[--s->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < s->heap_count; at = child) {
        child += child + 1 < s->heap_count && heap[child + 1] < heap[child];
        if (last <= heap[child])
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

static bool push_pair(const ModelBpeTokenizer *t, BpeScratch *s, uint32_t place)
{
    uint32_t next = s->links[2 * place];
    if (next == GONE)
        return true;
    uint32_t rank = bpe_pair_rank(t, s->symbols[place], s->symbols[next]);
    return rank == BPE_NO_RANK || push(s, (uint64_t)rank << 32 | place);
}

static bool make_links(BpeScratch *s, size_t count)
{
    if (count > s->links_capacity) {
        reel_mem_free(s->links);
        s->links_capacity = 0;
        if (!(s->links = reel_mem_alloc(count * 2 * sizeof *s->links)))
            return false;
        s->links_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        s->links[2 * i] = i + 1 < count ? (uint32_t)i + 1 : GONE;
        s->links[2 * i + 1] = i ? (uint32_t)i - 1 : GONE;
    }
    return true;
}

/* Joins the symbol at `place` with the next one, as `product`. */
static void join(BpeScratch *s, uint32_t place, uint32_t product)
{
    uint32_t gone = s->links[2 * place], next = s->links[2 * gone];
    s->symbols[place] = product;
    s->symbols[gone] = GONE;
    s->links[2 * place] = next;
    if (next != GONE)
        s->links[2 * next + 1] = place;
}

static size_t gather(BpeScratch *s, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (s->symbols[i] != GONE)
            s->symbols[kept++] = s->symbols[i];
    return kept;
}

/* Whether the pair that a key was made for is still at its place. */
static bool is_current(const ModelBpeTokenizer *t, const BpeScratch *s, uint32_t place, uint32_t rank)
{
    const BpeMerge *merge = &t->merges[rank];
    return s->symbols[place] == merge->left && s->links[2 * place] != GONE &&
           s->symbols[s->links[2 * place]] == merge->right;
}

/* With dropout, a candidate is left out until the next merge is made; where all are, the piece is done. */
static bool merge_by_heap(const ModelBpeTokenizer *t, BpeScratch *s, size_t *count, double dropout,
                          TensorRandom *random)
{
    size_t skipped = 0;
    bool fine = make_links(s, *count);
    s->heap_count = 0;
    for (size_t i = 0; fine && i + 1 < *count; i++)
        fine = push_pair(t, s, (uint32_t)i);
    while (fine && s->heap_count) {
        uint64_t key = pop(s);
        uint32_t rank = (uint32_t)(key >> 32), place = (uint32_t)key;
        if (!is_current(t, s, place, rank))
            continue;
        if (random && tensor_random_uniform_f64(random) < dropout) {
            uint64_t *keys = reel_mem_grow(s->skipped, skipped, &s->skipped_capacity, sizeof *keys);
            if (!(fine = keys != NULL))
                break;
            s->skipped = keys;
            keys[skipped++] = key;
            continue;
        }
        while (fine && skipped)
            fine = push(s, s->skipped[--skipped]);
        join(s, place, product_of(t, rank));
        if (s->links[2 * place + 1] != GONE)
            fine = fine && push_pair(t, s, s->links[2 * place + 1]);
        fine = fine && push_pair(t, s, place);
    }
    *count = gather(s, *count);
    return fine;
}

/* ---- Very long: a list for each rank ---- */

/* lists: [2 * merges] first and last entry of each rank, then the entries: place and next. All places of
 * a rank are found while that of its younger part is worked on, left to right, so a list is in order. */
typedef struct Lists {
    uint32_t *ends, *entries;
    size_t used, capacity;
} Lists;

static bool append_pair(const ModelBpeTokenizer *t, BpeScratch *s, Lists *lists, uint32_t place)
{
    uint32_t next = s->links[2 * place];
    uint32_t rank = next == GONE ? BPE_NO_RANK : bpe_pair_rank(t, s->symbols[place], s->symbols[next]);
    if (rank == BPE_NO_RANK)
        return true;
    if (lists->used > MAX_PLACE)
        return false;
    if (lists->used == lists->capacity) {
        uint32_t *moved = reel_mem_realloc(lists->entries, lists->capacity * 3 / 2 * 2 * sizeof *moved);
        if (!moved)
            return false;
        lists->entries = moved;
        lists->capacity = lists->capacity * 3 / 2;
    }
    uint32_t entry = (uint32_t)lists->used++;
    lists->entries[2 * entry] = place;
    lists->entries[2 * entry + 1] = GONE;
    uint32_t *ends = &lists->ends[2 * rank];
    if (ends[0] == GONE)
        ends[0] = entry;
    else
        lists->entries[2 * ends[1] + 1] = entry;
    ends[1] = entry;
    return true;
}

static bool merge_by_lists(const ModelBpeTokenizer *t, BpeScratch *s, size_t *count)
{
    Lists lists = {.capacity = *count};
    lists.ends = reel_mem_alloc(2 * t->merge_count * sizeof *lists.ends);
    lists.entries = reel_mem_alloc(2 * lists.capacity * sizeof *lists.entries);
    bool fine = lists.ends && lists.entries && make_links(s, *count);
    if (fine)
        memset(lists.ends, 0xFF, 2 * t->merge_count * sizeof *lists.ends);
    for (size_t i = 0; fine && i + 1 < *count; i++)
        fine = append_pair(t, s, &lists, (uint32_t)i);
    for (uint32_t rank = 0; fine && rank < t->merge_count; rank++) {
        for (uint32_t entry = lists.ends[2 * rank]; fine && entry != GONE;
             entry = lists.entries[2 * entry + 1]) {
            uint32_t place = lists.entries[2 * entry];
            if (!is_current(t, s, place, rank))
                continue;
            join(s, place, product_of(t, rank));
            if (s->links[2 * place + 1] != GONE)
                fine = append_pair(t, s, &lists, s->links[2 * place + 1]);
            fine = fine && append_pair(t, s, &lists, place);
        }
    }
    reel_mem_free(lists.ends);
    reel_mem_free(lists.entries);
    *count = gather(s, *count);
    return fine;
}

bool model_bpe_merge_symbols(const ModelBpeTokenizer *t, BpeScratch *s, size_t *count, double dropout,
                             TensorRandom *random)
{
    if (*count < 2)
        return true;
    if (random)
        return merge_by_heap(t, s, count, dropout, random);
    if (*count <= SCAN_LIMIT) {
        *count = merge_by_scan(t, s->symbols, *count);
        return true;
    }
    if (*count >= LIST_LIMIT && t->rising)
        return merge_by_lists(t, s, count);
    return merge_by_heap(t, s, count, 0, NULL);
}

/* ---- From a piece to symbols ---- */

static bool reserve(BpeScratch *s, size_t count)
{
    if (count <= s->capacity)
        return true;
    if (count > MAX_PLACE)
        return false;
    size_t wanted = count + count / 2 + 64;
    reel_mem_free(s->symbols);
    s->symbols = reel_mem_alloc(wanted * sizeof *s->symbols);
    s->capacity = s->symbols ? wanted : 0;
    return s->capacity > 0;
}

/* A character as the vocabulary would have it; the size. */
static size_t spell(const ModelBpeTokenizer *t, uint32_t code, bool is_final, char out[8])
{
    size_t size = (size_t)reel_utf8_encode(code, out);
    if (!is_final || t->config.pretokenizer != MODEL_BPE_SUBWORD_NMT)
        return size;
    memcpy(out + size, BPE_WORD_END, 4);
    return size + 4;
}

/* The symbol of one character, or BPE_NONE. */
static int32_t symbol_of(const ModelBpeTokenizer *t, uint32_t code, bool is_final)
{
    char text[8];
    size_t size = spell(t, code, is_final, text);
    return (int32_t)bpe_model_id(t, text, size);
}

/* What stands for a character without a symbol goes to out[count]; the new count. Hugging Face keeps an
 * unknown token back until the next known symbol, so that several can be fused; *unk tells. */
static size_t add_unknown(const ModelBpeTokenizer *t, uint32_t code, bool is_final, bool *unk, uint32_t *out,
                          size_t count)
{
    bool fallback = t->config.byte_fallback;
    char bytes[8];
    size_t size = spell(t, code, is_final, bytes);
    for (size_t i = 0; i < size && fallback; i++)
        fallback = t->fallback_ids[(uint8_t)bytes[i]] >= 0;
    if (fallback) {
        for (size_t i = 0; i < size; i++)
            out[count++] = (uint32_t)t->fallback_ids[(uint8_t)bytes[i]];
        return count;
    }
    if (t->config.unk_id < 0)
        return count;
    if (*unk && !t->config.fuse_unk)
        out[count++] = (uint32_t)t->config.unk_id;
    *unk = true;
    return count;
}

bool model_bpe_piece_symbols(const ModelBpeTokenizer *t, BpeScratch *s, const char *text, size_t size,
                             size_t *count)
{
    /* With fallback a byte becomes the two of its mapped character, or the three of U+FFFD. */
    if (!reserve(s, (t->config.byte_fallback ? 3 * size : size) + 5))
        return false;
    bool bytes = t->config.pretokenizer == MODEL_BPE_BYTELEVEL, unk = false;
    uint32_t *out = s->symbols;
    size_t n = 0;
    for (size_t at = 0; at < size;) {
        uint8_t first = (uint8_t)text[at];
        int length = 1;
        uint32_t code = first;
        int32_t symbol;
        if (bytes || first < 0x80) {
            symbol = at + 1 == size ? t->final_ids[first] : t->byte_ids[first];
        } else {
            length = reel_utf8_decode((const uint8_t *)text + at, size - at, &code);
            code = length ? code : 0xFFFD;
            length = length ? length : 1;
            symbol = symbol_of(t, code, at + (size_t)length == size);
        }
        if (symbol < 0) {
            if (bytes)
                code = model_bpe_byte_to_code(first);
            n = add_unknown(t, code, at + (size_t)length == size, &unk, out, n);
        } else {
            if (unk)
                out[n++] = (uint32_t)t->config.unk_id;
            unk = false;
            out[n++] = (uint32_t)symbol;
        }
        at += (size_t)length;
    }
    if (unk)
        out[n++] = (uint32_t)t->config.unk_id;
    *count = n;
    return true;
}
