/* The interface of a chapter that holds values in another form than a tensor in memory. The engine knows such
 * values by these functions alone. */
#ifndef REEL_AUTOGRAD_HELD_INTERNAL_H
#define REEL_AUTOGRAD_HELD_INTERNAL_H

#include "autograd/tape_internal.h"

struct HeldKind {
    /* out = the value. */
    bool (*write)(const Held *held, Tensor out);
    /* out [N, ...] = its rows ids, i32 [N] in range. */
    bool (*read_rows)(const Held *held, Tensor ids, Tensor out);
    /* Runs the forward of a rowwise op on what is held instead of the value and sets *done, if that is right
     * and pays. NULL: never. False: forward failed. */
    bool (*apply)(OpContext *c, const Held *input, bool *done);
    /* Takes a term of a value that is held. NULL: it is like any other's. */
    bool (*take)(TapeWalk *walk, uint32_t value, const OpTerm *term);
    /* Runs the backward of the node that made values which are held. NULL: it is like any other's. */
    void (*backward)(OpContext *c, OpTerm *terms);
    /* The tensor in whose form the gradient of the value is summed. NULL: the value's own. */
    const Tensor *(*like)(const Held *held);
};

/* ---- Repeated rows (repeated.c): a value that is rows [U, ...] and an index [N] ---- */

/* Holds output 0 as the rows `rows` by `index`; in a build without chapters, or for an op without backward,
 * puts them into memory. */
bool tape_repeated_hold(OpContext *c, Tensor rows, Tensor index);
/* Whether working on `rows` instead of the rows by index pays: each is in use, and they are not more. */
bool tape_repeated_worth(OpContext *c, const Tensor *rows, Tensor index);
/* Output 0 = rows by index (i32 [N], in range) of input 0, where that is itself held so; false: it is not. */
bool tape_repeated_gather(OpContext *c, Tensor index);
/* Output 0 = a slice of the rows of input 0, where that is held so; false: it is not. */
bool tape_repeated_slice(OpContext *c, int64_t start, int64_t stop, int64_t step);
/* Whether output 0 of the context is held as repeated rows in this walk: gradients of it are of the distinct
 * rows. */
bool tape_repeated_is_distinct(const OpContext *c);

/* ---- Late rows (late.c): a parameter whose rows are updated when they are read ---- */

/* Holds the value of a parameter that has a reader. */
bool tape_late_hold(Tape *tape, Value *value, const TapeParameter *parameter);

#endif
