/* The gradients of a step as an optimizer takes them: in pieces, each from an interval of the step's shards.
 *
 * They are added up in the order of a binary tree over their numbers: n pieces are the sum of the first 2^k
 * and of the rest, 2^k the largest power of two below n, and both are such sums again. What has no gradient
 * is left out. So the sum of an interval that is a node of the tree may be taken anywhere, by another thread
 * or another process, and the bytes of the whole stay the same. */
#ifndef REEL_NN_PIECES_H
#define REEL_NN_PIECES_H

#include "nn/module.h"
#include "tensor/pool.h"

REEL_BEGIN_DECLS

/* At most so many pieces, and so many shards of a step. */
enum { NN_MOST_SHARDS = 4096 };

/* Where gradients come from; nn_tape_pieces() and nn_parallel_pieces() make one. */
typedef struct NnPieces {
    void *context;
    int count; /* 1 or more */
    /* Makes ready what the pieces have for some parameters: those of one update, in the order of their
     * module. */
    ReelStatus (*begin)(const struct NnPieces *pieces, NnParameter *const *parameters, int count);
    /* What a piece has for one of them, to be read only. */
    TapeGradient (*gradient)(void *context, int piece, const NnParameter *parameter);
    /* Called for each parameter once it was updated, so that it is not updated from the same gradients again;
     * NULL: whoever makes the pieces sees to it. */
    void (*clear)(void *context, const NnParameter *parameter);
    TensorArena *arena; /* for what an update needs while it runs */
    TensorPool *pool;   /* which runs it; NULL: the caller's thread */
} NnPieces;

/* A piece a tape, to be used before its next tape_begin(): the gradients of `count` tapes. */
NnPieces nn_tape_pieces(Tape *const *tapes, int count);

REEL_END_DECLS

#endif
