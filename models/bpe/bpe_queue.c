/* The queue of pairs: which one is merged next.
 *
 * Counts only fall, so it is an array of buckets, one for each count, that is walked downwards once; a pair
 * whose count has fallen is filed anew when its old bucket is reached; only the pairs of the present count
 * are in a heap, which settles ties. */
#include "models/bpe/bpe_train_internal.h"
#include "tensor/mem.h"

/* ---- Order ---- */

/* Hugging Face: the smaller left id, then the smaller right id; that is the key. subword-nmt: the larger
 * left string, then the larger right one. */
static int compare_tokens(const ModelStringTable *tokens, uint32_t a, uint32_t b)
{
    ModelTextSpan x = model_string_table_span(tokens, a), y = model_string_table_span(tokens, b);
    int order = memcmp(x.bytes, y.bytes, x.length < y.length ? x.length : y.length);
    return order ? order : (x.length > y.length) - (x.length < y.length);
}

static bool comes_first(const BpeTrainer *t, const BpeHeapEntry *a, const BpeHeapEntry *b)
{
    if (t->options->pretokenizer != MODEL_BPE_SUBWORD_NMT)
        return a->key < b->key;
    if (a->key != b->key) /* the first eight bytes of the left string */
        return a->key > b->key;
    const BpePair *p = &t->pairs[a->pair], *q = &t->pairs[b->pair];
    int order = compare_tokens(&t->parts.tokens, p->left, q->left);
    return order ? order > 0 : compare_tokens(&t->parts.tokens, p->right, q->right) > 0;
}

static uint64_t order_key(const BpeTrainer *t, const BpePair *pair)
{
    if (t->options->pretokenizer != MODEL_BPE_SUBWORD_NMT)
        return (uint64_t)pair->left << 32 | pair->right;
    ModelTextSpan left = model_string_table_span(&t->parts.tokens, pair->left);
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++)
        key = key << 8 | (i < left.length ? (uint8_t)left.bytes[i] : 0);
    return key;
}

static bool is_above(const BpeTrainer *t, const BpeHeap *heap, const BpeHeapEntry *a, const BpeHeapEntry *b)
{
    return heap == &t->high ? a->key > b->key : comes_first(t, a, b);
}

static bool heap_push(const BpeTrainer *t, BpeHeap *heap, BpeHeapEntry entry)
{
    BpeHeapEntry *entries = reel_mem_grow(heap->entries, heap->count, &heap->capacity, sizeof *entries);
    if (!entries)
        return false;
    heap->entries = entries;
    size_t at = heap->count++;
    for (; at > 0 && is_above(t, heap, &entry, &entries[(at - 1) / 2]); at = (at - 1) / 2)
        entries[at] = entries[(at - 1) / 2];
    entries[at] = entry;
    return true;
}

static BpeHeapEntry heap_pop(const BpeTrainer *t, BpeHeap *heap)
{
    BpeHeapEntry *entries = heap->entries, top = entries[0], last = entries[--heap->count];
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

void model_bpe_queue_start(BpeTrainer *t)
{
    t->level = UINT64_MAX;
    t->level_heap.count = t->high.count = 0;
    for (size_t i = 0; i < BPE_BUCKETS; i++)
        t->buckets[i] = BPE_NO_PAIR;
}

bool model_bpe_queue_add(BpeTrainer *t, uint32_t index)
{
    BpePair *pair = &t->pairs[index];
    if (pair->count == t->level)
        return heap_push(t, &t->level_heap, (BpeHeapEntry){order_key(t, pair), index});
    if (pair->count >= BPE_BUCKETS)
        return heap_push(t, &t->high, (BpeHeapEntry){pair->count, index});
    pair->next = t->buckets[pair->count];
    t->buckets[pair->count] = index;
    return true;
}

/* Goes down to the next count that pairs are filed under; false: there is none above the floor. */
static bool next_level(BpeTrainer *t, bool *no_memory)
{
    if (t->high.count) {
        t->level = t->high.entries[0].key;
        while (t->high.count && t->high.entries[0].key == t->level) {
            uint32_t index = heap_pop(t, &t->high).pair;
            *no_memory |=
                !heap_push(t, &t->level_heap, (BpeHeapEntry){order_key(t, &t->pairs[index]), index});
        }
        return !*no_memory;
    }
    if (t->level > BPE_BUCKETS)
        t->level = BPE_BUCKETS;
    while (t->level > t->floor) {
        uint32_t index = t->buckets[--t->level];
        if (index == BPE_NO_PAIR)
            continue;
        t->buckets[t->level] = BPE_NO_PAIR;
        for (; index != BPE_NO_PAIR; index = t->pairs[index].next)
            *no_memory |=
                !heap_push(t, &t->level_heap, (BpeHeapEntry){order_key(t, &t->pairs[index]), index});
        return !*no_memory;
    }
    return false;
}

uint32_t model_bpe_queue_best(BpeTrainer *t, bool *no_memory)
{
    for (;;) {
        while (t->level_heap.count) {
            uint32_t index = heap_pop(t, &t->level_heap).pair;
            BpePair *pair = &t->pairs[index];
            if (pair->count == t->level)
                return index;
            if (pair->count >= t->floor)
                *no_memory |= !model_bpe_queue_add(t, index);
            else
                t->dropped |= pair->count > 0;
        }
        if (!next_level(t, no_memory))
            return BPE_NO_PAIR;
    }
}
