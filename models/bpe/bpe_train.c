/* Learning merges.
 *
 * All different words lie in one array of cells, one cell a symbol, with a border between words. A token
 * that was merged from several symbols spans their cells, and its id is written in the first and in the
 * last of them: so the token that ends before a cell and the one that begins behind a span are read
 * directly, and no links are kept. An occurrence of a pair is the cell where it begins. It is stale once
 * the ids found there are others; a token's cells are never given the same id twice, so this shows.
 *
 * Every occurrence of a pair is made in the step that makes the younger of its two tokens. Its count is
 * known then and can only fall: when a new token r = p + q stands behind l as often as w, the pair (l, p) has
 * lost w, so one look-up for each different neighbour keeps the counts exact, none for each occurrence. For
 * the same reason the queue is an array of buckets, one for each count, that is walked downwards once; a
 * pair whose count has fallen is filed anew when its old bucket is reached; only the pairs of the present
 * count are in a heap, which settles ties.
 *
 * Most pairs are rare and are never merged. Those below a floor are not kept; when the queue has run
 * down to the floor, the cells are compacted (one a token), all pairs are counted anew, and the floor is
 * lowered. This changes no result: a pair below the floor cannot be the best while others are above. */
#include "models/bpe/bpe_internal.h"
#include "tensor/arena.h"
#include "tensor/mem.h"

#include <stdlib.h>

#define BORDER  UINT32_MAX
#define NO_PAIR UINT32_MAX

/* Counts up to BUCKETS have a bucket each. The first floor is a FIRST_RATIO-th of the text, a later one a
 * FLOOR_RATIO-th of the one before. */
enum { BUCKETS = 1 << 16, FIRST_RATIO = 1 << 15, FLOOR_RATIO = 64, AHEAD = 12 };

/* Token and count of the word beside each other: an occurrence costs one cache miss. */
typedef struct Cell {
    uint32_t token; /* or BORDER */
    uint32_t class; /* which count the word has */
} Cell;

typedef struct Pair {
    uint64_t count;
    uint32_t *places; /* where it began when it was made, in rising order; some are stale */
    uint32_t left, right, place_count;
    uint32_t next; /* in its bucket */
} Pair;

/* An entry of a heap: the pair, and what puts it in order. */
typedef struct Entry {
    uint64_t key;
    uint32_t pair;
} Entry;

typedef struct Heap {
    Entry *entries;
    size_t count, capacity;
} Heap;

/* What the neighbours of new tokens are counted with, by the neighbour's id. */
typedef struct Tally {
    uint64_t weight;
    uint32_t *fill; /* where its next place goes, or NULL: too rare */
    uint32_t count;
} Tally;

typedef struct Trainer {
    const BpeOptions *options;
    uint64_t min_frequency;
    BpeTokenizer parts; /* under construction: tokens and merges */
    size_t merge_capacity;

    Cell *cells; /* border, word, border, word, ..., border */
    size_t cell_count;
    uint64_t *counts; /* by class */

    /* By token. */
    size_t token_capacity;
    uint32_t *spans;   /* cells */
    uint32_t *lengths; /* symbols of the alphabet; 0: a special token that no symbol or merge is (yet) */
    Tally *tallies;
    uint32_t *touched; /* tokens whose tally is not zero */
    size_t touched_count;

    Pair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *pair_slots; /* open addressing, by left and right: index + 1, or 0 */
    size_t pair_mask;
    Arena places;
    uint32_t *neighbours; /* of the places of one merge */
    size_t neighbour_capacity;

    uint32_t *buckets; /* first pair of each count */
    Heap high;         /* pairs that are counted BUCKETS times and more, by count */
    Heap level_heap;   /* pairs of count `level`, by rule */
    uint64_t level, floor;
    bool dropped; /* whether pairs below the floor were left out */
} Trainer;

/* ---- Order ---- */

/* Hugging Face: the smaller left id, then the smaller right id; that is the key. subword-nmt: the larger
 * left string, then the larger right one. */
static int compare_tokens(const BpeStrings *tokens, uint32_t a, uint32_t b)
{
    size_t a_size = bpe_string_size(tokens, a), b_size = bpe_string_size(tokens, b);
    int order = memcmp(bpe_string(tokens, a), bpe_string(tokens, b), a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static bool comes_first(const Trainer *t, const Entry *a, const Entry *b)
{
    if (t->options->pretokenizer != BPE_SUBWORD_NMT)
        return a->key < b->key;
    if (a->key != b->key) /* the first eight bytes of the left string */
        return a->key > b->key;
    const Pair *p = &t->pairs[a->pair], *q = &t->pairs[b->pair];
    int order = compare_tokens(&t->parts.tokens, p->left, q->left);
    return order ? order > 0 : compare_tokens(&t->parts.tokens, p->right, q->right) > 0;
}

static uint64_t order_key(const Trainer *t, const Pair *pair)
{
    if (t->options->pretokenizer != BPE_SUBWORD_NMT)
        return (uint64_t)pair->left << 32 | pair->right;
    size_t size = bpe_string_size(&t->parts.tokens, pair->left);
    const char *text = bpe_string(&t->parts.tokens, pair->left);
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++)
        key = key << 8 | (i < size ? (uint8_t)text[i] : 0);
    return key;
}

static bool is_above(const Trainer *t, const Heap *heap, const Entry *a, const Entry *b)
{
    return heap == &t->high ? a->key > b->key : comes_first(t, a, b);
}

static bool heap_push(const Trainer *t, Heap *heap, Entry entry)
{
    Entry *entries = mem_grow(heap->entries, heap->count, &heap->capacity, sizeof *entries);
    if (!entries)
        return false;
    heap->entries = entries;
    size_t at = heap->count++;
    for (; at > 0 && is_above(t, heap, &entry, &entries[(at - 1) / 2]); at = (at - 1) / 2)
        entries[at] = entries[(at - 1) / 2];
    entries[at] = entry;
    return true;
}

static Entry heap_pop(const Trainer *t, Heap *heap)
{
    Entry *entries = heap->entries, top = entries[0], last = entries[--heap->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && is_above(t, heap, &entries[child + 1], &entries[child]))
            child++;
        if (!is_above(t, heap, &entries[child], &last))
            break;
        entries[at] = entries[child];
    }
    entries[at] = last;
    return top;
}

/* ---- The queue ---- */

/* Files the pair under its count, which is not above the present level. */
static bool enqueue(Trainer *t, uint32_t index)
{
    Pair *pair = &t->pairs[index];
    if (pair->count == t->level)
        return heap_push(t, &t->level_heap, (Entry){order_key(t, pair), index});
    if (pair->count >= BUCKETS)
        return heap_push(t, &t->high, (Entry){pair->count, index});
    pair->next = t->buckets[pair->count];
    t->buckets[pair->count] = index;
    return true;
}

/* Goes down to the next count that pairs are filed under; false: there is none above the floor. */
static bool next_level(Trainer *t, bool *no_memory)
{
    if (t->high.count) {
        t->level = t->high.entries[0].key;
        while (t->high.count && t->high.entries[0].key == t->level) {
            uint32_t index = heap_pop(t, &t->high).pair;
            *no_memory |= !heap_push(t, &t->level_heap, (Entry){order_key(t, &t->pairs[index]), index});
        }
        return !*no_memory;
    }
    if (t->level > BUCKETS)
        t->level = BUCKETS;
    while (t->level > t->floor) {
        uint32_t index = t->buckets[--t->level];
        if (index == NO_PAIR)
            continue;
        t->buckets[t->level] = NO_PAIR;
        for (; index != NO_PAIR; index = t->pairs[index].next)
            *no_memory |= !heap_push(t, &t->level_heap, (Entry){order_key(t, &t->pairs[index]), index});
        return !*no_memory;
    }
    return false;
}

/* Whether `pair` begins at `place` still. */
static inline bool is_at(const Trainer *t, const Pair *pair, uint32_t span, uint32_t place)
{
    const Cell *cell = t->cells + place;
    return cell[0].token == pair->left && cell[span - 1].token == pair->left &&
           cell[span].token == pair->right;
}

/* The best pair, or NO_PAIR: none is left at or above the floor. */
static uint32_t best_pair(Trainer *t, bool *no_memory)
{
    for (;;) {
        while (t->level_heap.count) {
            uint32_t index = heap_pop(t, &t->level_heap).pair;
            Pair *pair = &t->pairs[index];
            if (pair->count == t->level)
                return index;
            if (pair->count >= t->floor)
                *no_memory |= !enqueue(t, index);
            else
                t->dropped |= pair->count > 0;
        }
        if (!next_level(t, no_memory))
            return NO_PAIR;
    }
}

/* ---- Pairs by their tokens ---- */

static size_t pair_slot(const Trainer *t, uint32_t left, uint32_t right)
{
    return bpe_mix((uint64_t)left << 32 | right, 0x9E3779B97F4A7C15u) & t->pair_mask;
}

static void put_pair(Trainer *t, uint32_t index)
{
    size_t slot = pair_slot(t, t->pairs[index].left, t->pairs[index].right);
    while (t->pair_slots[slot])
        slot = (slot + 1) & t->pair_mask;
    t->pair_slots[slot] = index + 1;
}

/* Room for one more pair. */
static bool reserve_pair(Trainer *t)
{
    Pair *pairs = mem_grow(t->pairs, t->pair_count, &t->pair_capacity, sizeof *pairs);
    if (!pairs || t->pair_count >= NO_PAIR - 1)
        return false;
    t->pairs = pairs;
    if (t->pair_slots && t->pair_count * 2 <= t->pair_mask)
        return true;
    size_t slots = t->pair_slots ? (t->pair_mask + 1) * 2 : 1 << 14;
    mem_free(t->pair_slots);
    t->pair_mask = slots - 1;
    if (!(t->pair_slots = mem_calloc(slots, sizeof *t->pair_slots)))
        return false;
    for (size_t i = 0; i < t->pair_count; i++)
        put_pair(t, (uint32_t)i);
    return true;
}

/* The pair has lost occurrences, if it is one that is kept. */
static inline void lose(Trainer *t, uint32_t left, uint32_t right, uint64_t weight)
{
    for (size_t slot = pair_slot(t, left, right); t->pair_slots[slot]; slot = (slot + 1) & t->pair_mask) {
        Pair *pair = &t->pairs[t->pair_slots[slot] - 1];
        if (pair->left != left || pair->right != right)
            continue;
        pair->count -= weight;
        return;
    }
}

/* ---- Pairs that one token makes with its neighbours ---- */

static inline void tally(Trainer *t, uint32_t neighbour, uint64_t weight)
{
    Tally *tally = &t->tallies[neighbour];
    if (tally->count++ == 0)
        t->touched[t->touched_count++] = neighbour;
    tally->weight += weight;
}

/* Hugging Face counts a pair only if its length stays below the limit, but all those of the beginning. */
static bool is_too_long(const Trainer *t, uint32_t left, uint32_t right)
{
    int64_t limit = t->options->max_token_length, length = (int64_t)t->lengths[left] + t->lengths[right];
    return limit > 0 && length > 2 && length >= limit;
}

/* A new pair with room for its places; they follow. */
static bool add_pair(Trainer *t, uint32_t left, uint32_t right, const Tally *tally, uint32_t *places)
{
    if (!reserve_pair(t))
        return false;
    t->pairs[t->pair_count] = (Pair){
        .count = tally->weight, .places = places, .left = left, .right = right, .place_count = tally->count};
    put_pair(t, (uint32_t)t->pair_count);
    return enqueue(t, (uint32_t)t->pair_count++);
}

/* Turns what was tallied into pairs of `token` with its neighbours (right or left of it), as far as they
 * are not below the floor. *kept: the number of their places. */
static bool make_pairs(Trainer *t, uint32_t token, bool neighbour_is_left, size_t *kept)
{
    *kept = 0;
    for (size_t i = 0; i < t->touched_count; i++) {
        uint32_t other = t->touched[i];
        Tally *tally = &t->tallies[other];
        bool long_one = is_too_long(t, neighbour_is_left ? other : token, neighbour_is_left ? token : other);
        if (tally->weight < t->floor || long_one) {
            t->dropped |= !long_one;
            tally->weight = 0;
        } else {
            *kept += tally->count;
        }
    }
    uint32_t *places = NULL;
    if (*kept && !(places = arena_alloc(&t->places, *kept * sizeof *places)))
        return false;
    for (size_t i = 0; i < t->touched_count && *kept; i++) {
        uint32_t other = t->touched[i];
        Tally *tally = &t->tallies[other];
        if (tally->weight == 0)
            continue;
        tally->fill = places;
        if (!add_pair(t, neighbour_is_left ? other : token, neighbour_is_left ? token : other, tally, places))
            return false;
        places += tally->count;
    }
    return true;
}

static void clear_tallies(Trainer *t)
{
    for (size_t i = 0; i < t->touched_count; i++)
        t->tallies[t->touched[i]] = (Tally){0};
    t->touched_count = 0;
}

static inline void put_place(Trainer *t, uint32_t neighbour, uint32_t place)
{
    Tally *tally = &t->tallies[neighbour];
    if (tally->fill)
        *tally->fill++ = place;
}

/* ---- Phases ---- */

/* One cell a token; words of one token go. */
static void compact(Trainer *t)
{
    size_t to = 1;
    for (size_t from = 1; from < t->cell_count;) {
        size_t begin = to;
        uint32_t class = t->cells[from].class;
        while (t->cells[from].token != BORDER) {
            uint32_t token = t->cells[from].token;
            from += t->spans[token];
            t->cells[to++] = (Cell){token, class};
        }
        from++;
        if (to - begin < 2)
            to = begin;
        else
            t->cells[to++] = (Cell){BORDER, class};
    }
    t->cell_count = to;
    for (size_t i = 0; i < t->parts.tokens.count; i++)
        t->spans[i] = 1;
}

/* The places of each left token, one after the other, behind ends[token - 1]; in rising order. */
static uint32_t *places_by_left(const Trainer *t, size_t *ends)
{
    size_t total = 0;
    for (size_t i = 1; i < t->cell_count; i++)
        if (t->cells[i].token != BORDER && t->cells[i + 1].token != BORDER)
            ends[t->cells[i].token]++;
    for (size_t i = 0; i < t->parts.tokens.count; i++) {
        size_t count = ends[i];
        ends[i] = total;
        total += count;
    }
    uint32_t *places = mem_alloc((total + 1) * sizeof *places);
    for (size_t i = 1; places && i < t->cell_count; i++)
        if (t->cells[i].token != BORDER && t->cells[i + 1].token != BORDER)
            places[ends[t->cells[i].token]++] = (uint32_t)i;
    return places;
}

static bool pairs_of_left(Trainer *t, uint32_t left, const uint32_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&t->cells[places[i + AHEAD]]);
        tally(t, t->cells[places[i] + 1].token, t->counts[t->cells[places[i]].class]);
    }
    size_t kept;
    bool fine = make_pairs(t, left, false, &kept);
    for (size_t i = 0; fine && kept && i < count; i++)
        put_place(t, t->cells[places[i] + 1].token, places[i]);
    clear_tallies(t);
    return fine;
}

/* Finds all pairs of at least `floor` from the cells. */
static bool start_phase(Trainer *t, uint64_t floor)
{
    t->floor = floor;
    t->dropped = false;
    t->pair_count = 0;
    t->level = UINT64_MAX;
    arena_reset(&t->places);
    if (t->pair_slots)
        memset(t->pair_slots, 0, (t->pair_mask + 1) * sizeof *t->pair_slots);
    for (size_t i = 0; i < BUCKETS; i++)
        t->buckets[i] = NO_PAIR;
    size_t tokens = t->parts.tokens.count;
    size_t *ends = mem_calloc(tokens + 1, sizeof *ends);
    uint32_t *places = ends ? places_by_left(t, ends) : NULL;
    bool fine = places != NULL;
    for (size_t token = 0; fine && token < tokens; token++) {
        size_t begin = token ? ends[token - 1] : 0;
        fine = pairs_of_left(t, (uint32_t)token, places + begin, ends[token] - begin);
    }
    mem_free(places);
    mem_free(ends);
    return fine;
}

/* ---- One merge ---- */

static void *resized(void *block, size_t count, size_t element, bool *fine)
{
    void *moved = mem_realloc(block, count * element);
    *fine &= moved != NULL;
    return moved ? moved : block;
}

/* Room in the arrays by token for one more. */
static bool reserve_token(Trainer *t)
{
    if (t->parts.tokens.count < t->token_capacity)
        return true;
    size_t wanted = t->parts.tokens.count * 2 + 1024, old = t->token_capacity;
    bool fine = true;
    t->spans = resized(t->spans, wanted, sizeof *t->spans, &fine);
    t->lengths = resized(t->lengths, wanted, sizeof *t->lengths, &fine);
    t->tallies = resized(t->tallies, wanted, sizeof *t->tallies, &fine);
    t->touched = resized(t->touched, wanted, sizeof *t->touched, &fine);
    if (!fine)
        return false;
    memset(t->tallies + old, 0, (wanted - old) * sizeof *t->tallies);
    t->token_capacity = wanted;
    return true;
}

/* The token for a + b: a new one, or the special token that is written so. BORDER: the text belongs to
 * another token already (subword-nmt, where the text itself has "</w>" in it), or to a special token that
 * stands for something else already: a token has one span. */
static bool joined_token(Trainer *t, uint32_t a, uint32_t b, uint32_t *token)
{
    BpeStrings *tokens = &t->parts.tokens;
    if (!reserve_token(t) || !bpe_strings_add_joined(tokens, a, b))
        return false;
    *token = (uint32_t)tokens->count - 1;
    uint32_t found =
        (uint32_t)bpe_strings_find(tokens, bpe_string(tokens, *token), bpe_string_size(tokens, *token));
    if (found != *token) {
        bpe_strings_drop_last(tokens);
        *token = found < t->options->special_count && t->lengths[found] == 0 ? found : BORDER;
    }
    return true;
}

/* Writes `token` over the pair's occurrences; overlapping ones go from left to right. What is left in
 * pair->places are the places where it was written. */
static void replace(Trainer *t, Pair *pair, uint32_t token)
{
    uint32_t span = t->spans[pair->left], whole = t->spans[token], kept = 0;
    for (uint32_t i = 0; i < pair->place_count; i++) {
        uint32_t place = pair->places[i];
        if (i + AHEAD < pair->place_count)
            __builtin_prefetch(&t->cells[pair->places[i + AHEAD]], 1);
        if (!is_at(t, pair, span, place))
            continue;
        t->cells[place].token = token;
        t->cells[place + whole - 1].token = token;
        pair->places[kept++] = place;
    }
    pair->place_count = kept;
}

/* The pairs of the new token with the tokens on its left. Where that is the new token again, the pair is
 * found from the other one. */
static bool pairs_on_left(Trainer *t, uint32_t token, const Pair *pair)
{
    const uint32_t *places = pair->places;
    uint32_t count = pair->place_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t left = t->cells[places[i] - 1].token;
        t->neighbours[i] = left = left == token ? BORDER : left;
        if (left != BORDER)
            tally(t, left, t->counts[t->cells[places[i]].class]);
    }
    for (size_t i = 0; i < t->touched_count; i++)
        lose(t, t->touched[i], pair->left, t->tallies[t->touched[i]].weight);
    size_t kept;
    bool fine = make_pairs(t, token, true, &kept);
    for (uint32_t i = 0; fine && kept && i < count; i++)
        if (t->neighbours[i] != BORDER)
            put_place(t, t->neighbours[i], places[i] - t->spans[t->neighbours[i]]);
    clear_tallies(t);
    return fine;
}

/* Where the token stands twice, what was lost is the pair between: (right, left). */
static bool pairs_on_right(Trainer *t, uint32_t token, const Pair *pair)
{
    const uint32_t *places = pair->places;
    uint32_t count = pair->place_count, span = t->spans[token];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t right = t->cells[places[i] + span].token;
        t->neighbours[i] = right;
        if (right != BORDER)
            tally(t, right, t->counts[t->cells[places[i]].class]);
    }
    for (size_t i = 0; i < t->touched_count; i++) {
        uint32_t right = t->touched[i];
        lose(t, pair->right, right == token ? pair->left : right, t->tallies[right].weight);
    }
    size_t kept;
    bool fine = make_pairs(t, token, false, &kept);
    for (uint32_t i = 0; fine && kept && i < count; i++)
        if (t->neighbours[i] != BORDER)
            put_place(t, t->neighbours[i], places[i]);
    clear_tallies(t);
    return fine;
}

static bool merge(Trainer *t, uint32_t index)
{
    Pair pair = t->pairs[index]; /* by value: the array may move */
    uint32_t token;
    if (!joined_token(t, pair.left, pair.right, &token))
        return false;
    if (token == BORDER)
        return true;
    BpeMerge *merges =
        mem_grow(t->parts.merges, t->parts.merge_count, &t->merge_capacity, sizeof *t->parts.merges);
    if (!merges)
        return false;
    t->parts.merges = merges;
    merges[t->parts.merge_count++] = (BpeMerge){pair.left, pair.right, token};
    t->spans[token] = t->spans[pair.left] + t->spans[pair.right];
    t->lengths[token] = t->lengths[pair.left] + t->lengths[pair.right];
    replace(t, &pair, token);
    if (pair.place_count > t->neighbour_capacity) {
        mem_free(t->neighbours);
        t->neighbour_capacity = pair.place_count * (size_t)3 / 2;
        if (!(t->neighbours = mem_alloc(t->neighbour_capacity * sizeof *t->neighbours)))
            return false;
    }
    return pairs_on_left(t, token, &pair) && pairs_on_right(t, token, &pair);
}

static bool is_enough(const Trainer *t)
{
    int64_t vocab = t->options->vocab_size, merges = t->options->max_merges;
    return (vocab > 0 && t->parts.tokens.count >= (size_t)vocab) ||
           (merges > 0 && t->parts.merge_count >= (size_t)merges) || t->parts.tokens.count >= BPE_MAX_TOKENS;
}

static void report(const Trainer *t)
{
    if (t->options->progress)
        t->options->progress(t->options->progress_context, "merge", t->parts.tokens.count,
                             (uint64_t)t->options->vocab_size);
}

static bool learn(Trainer *t)
{
    uint64_t symbols = 0;
    for (size_t i = 0; i < t->cell_count; i++)
        symbols += t->cells[i].token != BORDER ? t->counts[t->cells[i].class] : 0;
    uint64_t floor = symbols / FIRST_RATIO;
    bool no_memory = false;
    for (;;) {
        floor = floor > t->min_frequency ? floor : t->min_frequency;
        if (is_enough(t) || !start_phase(t, floor))
            break;
        for (uint32_t best; !is_enough(t) && (best = best_pair(t, &no_memory)) != NO_PAIR && !no_memory;) {
            if (!merge(t, best))
                return false;
            if (t->parts.merge_count % 256 == 0)
                report(t);
        }
        if (no_memory)
            return false;
        if (is_enough(t) || !t->dropped || floor == t->min_frequency) {
            report(t);
            return true;
        }
        t->level_heap.count = t->high.count = 0;
        compact(t);
        floor /= FLOOR_RATIO;
    }
    return is_enough(t);
}

/* ---- From words to cells ---- */

/* Counts below this are their own class; a word that occurs more often has one for itself. */
enum { OWN_CLASSES = 4096, MAX_CODE = 0x110000 };

typedef struct Alphabet {
    uint8_t *seen;   /* [2 * MAX_CODE]: code points, then those at the end of a word (subword-nmt) */
    uint32_t *ids;   /* the same places */
    size_t cells;    /* with borders */
    size_t frequent; /* words that occur OWN_CLASSES times or more */
} Alphabet;

/* The next symbol of a word: a code point (byte level: the byte's), a broken byte counting as U+FFFD; with
 * MAX_CODE added where it ends a word of subword-nmt. */
static size_t next_symbol(BpePretokenizer mode, const BpeWord *word, size_t at, uint32_t *symbol)
{
    if (mode == BPE_BYTELEVEL) {
        *symbol = bpe_byte_to_code((uint8_t)word->text[at]);
        return 1;
    }
    int length = utf8_decode((const uint8_t *)word->text + at, word->size - at, symbol);
    if (length == 0) {
        length = 1;
        *symbol = 0xFFFD;
    }
    if (mode == BPE_SUBWORD_NMT && at + (size_t)length == word->size)
        *symbol += MAX_CODE;
    return (size_t)length;
}

static void survey(const BpeCounter *counter, BpePretokenizer mode, Alphabet *alphabet)
{
    size_t slots = bpe_counter_slots(counter);
    BpeWord word;
    alphabet->cells = 1;
    for (size_t slot = 0; slot < slots; slot++) {
        if (!bpe_counter_word(counter, slot, &word))
            continue;
        size_t symbols = 0;
        uint32_t symbol;
        for (size_t at = 0; at < word.size; symbols++) {
            at += next_symbol(mode, &word, at, &symbol);
            alphabet->seen[symbol] = 1;
        }
        alphabet->cells += symbols > 1 ? symbols + 1 : 0;
        alphabet->frequent += word.count >= OWN_CLASSES;
    }
    if (mode == BPE_BYTELEVEL)
        for (int byte = 0; byte < 256; byte++)
            alphabet->seen[bpe_byte_to_code((uint8_t)byte)] = 1;
}

static bool add_symbol(Trainer *t, Alphabet *alphabet, uint32_t symbol)
{
    char text[8];
    uint32_t code = symbol >= MAX_CODE ? symbol - MAX_CODE : symbol;
    size_t size = (size_t)utf8_encode(code, text);
    if (symbol >= MAX_CODE) {
        memcpy(text + size, BPE_WORD_END, 4);
        size += 4;
    }
    int64_t id = bpe_strings_find(&t->parts.tokens, text, size);
    if (id < 0) {
        id = (int64_t)t->parts.tokens.count;
        if (!reserve_token(t) || !bpe_strings_add(&t->parts.tokens, text, size))
            return false;
    }
    alphabet->ids[symbol] = (uint32_t)id;
    t->spans[id] = t->lengths[id] = 1;
    return true;
}

/* By code point; the symbol at the end of a word behind the one within. */
static bool number_alphabet(Trainer *t, Alphabet *alphabet)
{
    for (uint32_t code = 0; code < MAX_CODE; code++) {
        if (alphabet->seen[code] && !add_symbol(t, alphabet, code))
            return false;
        if (alphabet->seen[MAX_CODE + code] && !add_symbol(t, alphabet, MAX_CODE + code))
            return false;
    }
    return true;
}

static void fill_cells(Trainer *t, const BpeCounter *counter, const Alphabet *alphabet)
{
    size_t slots = bpe_counter_slots(counter), to = 1;
    uint32_t next_class = OWN_CLASSES;
    for (uint32_t i = 0; i < OWN_CLASSES; i++)
        t->counts[i] = i;
    BpeWord word;
    t->cells[0] = (Cell){BORDER, 0};
    for (size_t slot = 0; slot < slots; slot++) {
        if (!bpe_counter_word(counter, slot, &word))
            continue;
        uint32_t class = word.count < OWN_CLASSES ? (uint32_t)word.count : next_class, symbol;
        size_t begin = to;
        for (size_t at = 0; at < word.size;) {
            at += next_symbol(t->options->pretokenizer, &word, at, &symbol);
            if (at == word.size && to == begin)
                break; /* a single symbol */
            t->cells[to++] = (Cell){alphabet->ids[symbol], class};
        }
        if (to == begin)
            continue;
        t->cells[to++] = (Cell){BORDER, class};
        if (class >= OWN_CLASSES)
            t->counts[next_class++] = word.count;
    }
    t->cell_count = to;
}

static Status lay_out(Trainer *t, BpeCounter *counter)
{
    Alphabet alphabet = {.seen = mem_calloc(2 * MAX_CODE, 1),
                         .ids = mem_alloc(2 * MAX_CODE * sizeof(uint32_t))};
    Status status = status_no_memory(2 * MAX_CODE * sizeof(uint32_t), "the alphabet");
    if (alphabet.seen && alphabet.ids) {
        survey(counter, t->options->pretokenizer, &alphabet);
        size_t cells = alphabet.cells + 1;
        if (cells < BORDER) {
            t->cells = bpe_table_alloc(cells, sizeof *t->cells);
            t->counts = mem_alloc((OWN_CLASSES + alphabet.frequent) * sizeof *t->counts);
        }
        if (cells >= BORDER)
            status = status_failed("the different words have %zu symbols, 4294967294 are the most", cells);
        else if (!t->cells || !t->counts || !number_alphabet(t, &alphabet))
            status = status_no_memory(cells * sizeof *t->cells, "the words");
        else {
            fill_cells(t, counter, &alphabet);
            status = status_ok();
        }
    }
    mem_free(alphabet.seen);
    mem_free(alphabet.ids);
    return status;
}

/* ---- The whole ---- */

static Status add_specials(Trainer *t)
{
    const BpeOptions *o = t->options;
    BpeTokenizer *parts = &t->parts;
    if (o->special_count > BPE_MAX_SPECIAL_TOKENS)
        return status_usage("%zu special tokens, %d are the most", o->special_count, BPE_MAX_SPECIAL_TOKENS);
    parts->added = mem_calloc(o->special_count, sizeof *parts->added);
    for (size_t i = 0; i < o->special_count; i++) {
        const char *text = o->special_tokens[i];
        size_t size = strlen(text);
        if (size == 0 || utf8_valid(text, size) != size)
            return status_usage("special token %zu is empty or not UTF-8", i);
        if (bpe_strings_find(&parts->tokens, text, size) >= 0)
            return status_usage("special token '%s' is given twice", text);
        if (!parts->added || !reserve_token(t) || !bpe_strings_add(&parts->tokens, text, size))
            return status_no_memory(size, "special tokens");
        t->spans[i] = 1;
        t->lengths[i] = 0;
        parts->added[parts->added_count++] = (BpeAdded){.id = (uint32_t)i, .special = true};
    }
    if (o->unk_token) {
        parts->config.unk_id = (int32_t)bpe_strings_find(&parts->tokens, o->unk_token, strlen(o->unk_token));
        if (parts->config.unk_id < 0)
            return status_usage("unk token '%s' is not one of the special tokens", o->unk_token);
    }
    return status_ok();
}

static Status prepare(Trainer *t, BpeCounter *counter)
{
    Status status = add_specials(t);
    if (!status_is_ok(&status))
        return status;
    if (!bpe_counter_gather(counter))
        return status_no_memory(bpe_counter_slots(counter), "the table of words");
    status = lay_out(t, counter);
    bpe_counter_clear(counter);
    return status;
}

static void trainer_free(Trainer *t)
{
    mem_free(t->cells);
    mem_free(t->counts);
    mem_free(t->spans);
    mem_free(t->lengths);
    mem_free(t->pair_slots);
    mem_free(t->tallies);
    mem_free(t->touched);
    mem_free(t->pairs);
    mem_free(t->neighbours);
    mem_free(t->buckets);
    mem_free(t->high.entries);
    mem_free(t->level_heap.entries);
    arena_free(&t->places);
}

static Status check_options(const BpeOptions *o)
{
    if (o->vocab_size < 0 || o->vocab_size > BPE_MAX_TOKENS)
        return status_usage("vocabulary of %lld: 1 to %d are possible", (long long)o->vocab_size,
                            BPE_MAX_TOKENS);
    if (o->min_frequency < 0 || o->max_merges < 0 || o->max_token_length < 0)
        return status_usage("minimum frequency, merges and token length must not be negative");
    return status_ok();
}

Status bpe_train(BpeTokenizer **tokenizer, BpeCounter *counter)
{
    const BpeOptions *o = bpe_counter_options(counter);
    *tokenizer = NULL;
    Status status = check_options(o);
    if (!status_is_ok(&status))
        return status;
    Trainer t = {.options = o};
    t.min_frequency = o->min_frequency                     ? (uint64_t)o->min_frequency
                      : o->pretokenizer == BPE_SUBWORD_NMT ? 2
                                                           : 1;
    t.parts.config = (BpeConfig){.pretokenizer = o->pretokenizer,
                                 .add_prefix_space = o->add_prefix_space,
                                 .trim_offsets = true,
                                 .unk_id = BPE_NONE};
    arena_init(&t.places, 0);
    t.buckets = mem_alloc(BUCKETS * sizeof *t.buckets);
    status = t.buckets ? prepare(&t, counter) : status_no_memory(BUCKETS, "the queue");
    if (status_is_ok(&status) && !learn(&t))
        status = status_no_memory(t.pair_count * sizeof(Pair), "learning merges");
    BpeTokenizer parts = t.parts;
    trainer_free(&t);
    if (status_is_ok(&status))
        return bpe_tokenizer_make(tokenizer, &parts);
    bpe_tokenizer_drop(&parts);
    return status;
}
