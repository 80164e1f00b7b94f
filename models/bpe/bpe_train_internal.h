/* What the files of the trainer share: bpe_train.c (which tells how it works), bpe_cells.c, bpe_queue.c. */
#ifndef REEL_MODELS_BPE_TRAIN_INTERNAL_H
#define REEL_MODELS_BPE_TRAIN_INTERNAL_H

#include "models/bpe/bpe_internal.h"
#include "tensor/arena.h"

#define BPE_BORDER  UINT32_MAX
#define BPE_NO_PAIR UINT32_MAX

/* Counts up to BPE_BUCKETS have a bucket each. */
enum { BPE_BUCKETS = 1 << 16 };

/* Token and count of the word beside each other: an occurrence costs one cache miss. */
typedef struct BpeCell {
    uint32_t token; /* or BPE_BORDER */
    uint32_t class; /* which count the word has */
} BpeCell;

typedef struct BpePair {
    uint64_t count;
    uint32_t *places; /* where it began when it was made, in rising order; some are stale */
    uint32_t left, right, place_count;
    uint32_t next; /* in its bucket */
} BpePair;

/* An entry of a heap: the pair, and what puts it in order. */
typedef struct BpeHeapEntry {
    uint64_t key;
    uint32_t pair;
} BpeHeapEntry;

typedef struct BpeHeap {
    BpeHeapEntry *entries;
    size_t count, capacity;
} BpeHeap;

/* What the neighbours of new tokens are counted with, by the neighbour's id. */
typedef struct BpeTally {
    uint64_t weight;
    uint32_t *fill; /* where its next place goes, or NULL: too rare */
    uint32_t count;
} BpeTally;

typedef struct BpeTrainer {
    const ModelBpeOptions *options;
    uint64_t min_frequency;
    ModelBpeTokenizer parts; /* under construction: tokens and merges */
    size_t merge_capacity;
    ReelBytes joined; /* the text of the pair at hand */

    BpeCell *cells; /* border, word, border, word, ..., border */
    size_t cell_count;
    uint64_t *counts; /* by class */

    /* By token. */
    size_t token_capacity;
    uint32_t *spans;   /* cells */
    uint32_t *lengths; /* symbols of the alphabet; 0: a special token that no symbol or merge is (yet) */
    BpeTally *tallies;
    uint32_t *touched; /* tokens whose tally is not zero */
    size_t touched_count;

    BpePair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *pair_slots; /* open addressing, by left and right: index + 1, or 0 */
    size_t pair_mask;
    TensorArena places;
    uint32_t *neighbours; /* of the places of one merge */
    size_t neighbour_capacity;

    uint32_t *buckets;  /* first pair of each count */
    BpeHeap high;       /* pairs that are counted BPE_BUCKETS times and more, by count */
    BpeHeap level_heap; /* pairs of count `level`, by rule */
    uint64_t level, floor;
    bool dropped; /* whether pairs below the floor were left out */
} BpeTrainer;

/* ---- From words to cells (bpe_cells.c) ---- */

/* Room in the arrays by token for one more. */
bool model_bpe_trainer_reserve_token(BpeTrainer *t);
/* Gives ids to the alphabet and fills cells and counts from the words. */
ReelStatus model_bpe_cells_make(BpeTrainer *t, ModelBpeCounter *counter);

/* ---- The queue of pairs (bpe_queue.c) ---- */

/* Empties it, for a phase to begin. */
void model_bpe_queue_start(BpeTrainer *t);
/* Files the pair under its count, which is not above the present level. False: no memory. */
bool model_bpe_queue_add(BpeTrainer *t, uint32_t index);
/* The best pair, or BPE_NO_PAIR: none is left at or above the floor, or *no_memory is set. */
uint32_t model_bpe_queue_best(BpeTrainer *t, bool *no_memory);

#endif
