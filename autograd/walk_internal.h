/* The walk backward: from some outputs to the values they depend on. */
#ifndef REEL_AUTOGRAD_WALK_INTERNAL_H
#define REEL_AUTOGRAD_WALK_INTERNAL_H

#include "autograd/held_internal.h"

/* Products dy^T x that are still to be added to a gradient, in blocks of the arena. */
typedef struct PairList {
    TensorPanelsPair *pairs;
    int64_t count, capacity;
} PairList;

/* Memory that a walk has made for gradients, and by how many it is read yet: by none, the walk uses it again.
 */
typedef struct GradientBlock {
    struct GradientBlock *next; /* of those that are free */
    char *data;
    size_t bytes;
    int holders;
    bool was_free;
} GradientBlock;

/* What a node's turn has made so far. */
typedef struct NewBlock {
    char *data;
    size_t bytes, position; /* of the arena behind it */
    GradientBlock *block;   /* NULL: nobody has held it */
} NewBlock;
enum { MOST_NEW_BLOCKS = 32 };

/* A block that what waits lies in. */
typedef struct HeldBlock {
    struct HeldBlock *next;
    GradientBlock *block;
} HeldBlock;

/* What has come so far for the gradient of one value. */
typedef struct Pending {
    struct Pending *next; /* in the list of those that are free */
    Tensor sum;           /* of dense terms and parts; invalid: none has come */
    bool owned;           /* the memory of `sum` is its own: it may be added to in place */
    bool unfinished;      /* `sum` is written at the indices first .. stop of an axis only: parts came */
    int axis;
    int64_t first, stop;
    const OpKind *giver;  /* of the last product */
    PairList products;    /* these wait for the value's turn, */
    RowGradient *rows;    /* and these; the most recent first */
    GradientBlock *block; /* that `sum` lies in; NULL: none of the walk's */
    HeldBlock *held;      /* that products lie in */
} Pending;

/* The values between some inputs and all that has been made of them. */
typedef struct Path {
    const bool *on; /* [limit - base]; NULL: every value */
    uint32_t base, limit;
    uint32_t first_node;
} Path;

/* Walks nest: a backward may run one of its own. */
struct TapeWalk {
    Tape *tape;
    Path path;         /* gradients of values on it are found */
    Pending **pending; /* by value, from path.base; NULL: nothing has come */
    Pending *free;
    bool plain;  /* values count as in memory, however they are held */
    bool reuses; /* memory of gradients that nobody reads any more (blocks.c) */
    int new_count;
    NewBlock new_blocks[MOST_NEW_BLOCKS];
    GradientBlock *free_blocks;
    GradientBlock *lent; /* of the values, by address: see tape_blocks_lend() */
    size_t lent_count;
    HeldBlock *free_held;
    OpContext *running; /* the use of an op whose terms are taken, and the number of the input; NULL: none */
    int input;
    /* Gets the gradient of a value at its turn, complete, instead of the leaf's record. NULL: leaves and
     * retained values keep theirs. */
    bool (*arrive)(TapeWalk *walk, uint32_t value, Pending *pending);
    void *context;
};

/* Makes a walk along a path (NULL: over all values that are there now); false (an error) where there is no
 * memory. */
bool tape_walk_begin(TapeWalk *walk, Tape *tape, const Path *path);
/* The one door: checks a term of the gradient of a value and adds it to what is pending, or lets it wait. The
 * memory of dense terms may be kept. False: an error was recorded. */
bool tape_walk_take(TapeWalk *walk, uint32_t value, const OpTerm *term);
/* The same without the checks, for a gradient that is summed in the form `like`. */
bool tape_walk_add(TapeWalk *walk, uint32_t value, const Tensor *like, const OpTerm *term);
/* One term of a value of the form `like` by itself. */
bool tape_walk_whole_term(TapeWalk *walk, const Tensor *like, const OpTerm *term, Tensor *sum);
/* Runs all nodes from the newest, `first`, down to `last`. */
bool tape_walk_run(TapeWalk *walk, uint32_t first, uint32_t last);
/* Puts the inputs and outputs that backward reads into memory, except those in `except`. False: an error. */
bool tape_walk_fetch(OpContext *c, unsigned except);

static inline bool path_has(const Path *path, uint32_t value)
{
    return value >= path->base && value < path->limit && (!path->on || path->on[value - path->base]);
}

static inline bool walk_wants(const TapeWalk *walk, uint32_t value)
{
    return path_has(&walk->path, value) && tape_value(walk->tape, value)->wants;
}

/* Where what is pending for a value stands. */
static inline Pending **walk_place(const TapeWalk *walk, uint32_t value)
{
    return &walk->pending[value - walk->path.base];
}

/* ---- Memory of gradients (blocks.c) ---- */

/* A tensor for a gradient, or for what is needed on the way to it. */
Tensor tape_blocks_new(TapeWalk *walk, TensorDtype dtype, int ndim, const int64_t *shape);
/* `sum` is the sum from now on, instead of what was. */
void tape_blocks_set_sum(TapeWalk *walk, Pending *pending, Tensor sum);
/* A tensor waits with what is pending; or is kept for longer than the walk. False: no memory. */
bool tape_blocks_hold(TapeWalk *walk, Pending *pending, const Tensor *t);
void tape_blocks_keep(TapeWalk *walk, const Tensor *t);
/* What was pending is not read any more, but for its sum where that is kept. */
void tape_blocks_release(TapeWalk *walk, Pending *pending, bool keeps_sum);
/* Behind an op's backward, which may have rewound the arena: what it has made and released is no block. */
void tape_blocks_end_backward(TapeWalk *walk);
/* A node's turn is over: new blocks without a holder are free. */
void tape_blocks_end_turn(TapeWalk *walk);
/* From now on the walk uses the memory of values, too, that backward has passed, as far as nobody has seen
 * them. False: no memory. */
bool tape_blocks_lend(TapeWalk *walk);
/* Backward has passed a node, and all that are newer. */
void tape_blocks_pass(TapeWalk *walk, uint32_t node);
/* Behind the walk: values whose memory was used again are gone, and what there was is closed. */
void tape_blocks_close(TapeWalk *walk);

/* ---- terms.c ---- */

/* What is pending for a value, made if need be; NULL (an error) where there is no memory. */
Pending *tape_walk_pending(TapeWalk *walk, uint32_t value);
/* Forgets what is pending for a value, but for its sum where that is kept. */
void tape_walk_release(TapeWalk *walk, uint32_t value, bool keeps_sum);
/* Whether a term fits a value of the form `like`; false: an error was recorded. */
bool tape_term_check(TapeWalk *walk, const Tensor *like, const OpTerm *term);
/* Adds to a sum of the form `like`. */
bool tape_fold_dense(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *grad);
bool tape_fold_part(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *grad, OpPart part);
bool tape_fold_rows(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *rows, Tensor ids);
/* Writes zeros where no part has come. */
void tape_fold_finish(Pending *pending);
/* Makes the sum memory of its own; zeros if there was nothing. */
bool tape_fold_own(TapeWalk *walk, Pending *pending, const Tensor *like);
/* The indices of `t` that a part is of; as many as `grad` has. */
Tensor tape_part_of(Tensor t, const Tensor *grad, OpPart part);

/* ---- Put-off products (products.c) ---- */

bool tape_products_take(TapeWalk *walk, Pending *pending, const Tensor *like, const OpTerm *term);
/* Adds the products that wait to the sum. */
bool tape_products_finish(TapeWalk *walk, Pending *pending, const Tensor *like);

/* ---- Gradients that are values of the tape (graph.c) ---- */

/* The sum of terms, dense ones, parts and rows, as a value of the shape of `like` (op_terms.c). */
Var tape_graph_sum(Tape *tape, const Tensor *like, const OpVarTerm *terms, int count);
/* The sum of products, as one of what stands one below the other; and a value of its own that is `v`. */
Var tape_graph_products(Tape *tape, const OpVarTerm *terms, int count);
Var tape_graph_alias(Var v);
/* backward of an op that has only a formula or a composition. */
void tape_graph_backward(OpContext *c, OpTerm *terms);
/* tape_vjp() with a graph. */
bool tape_graph_vjp(Tape *tape, const Path *path, const Var *outputs, const Var *seeds, int n,
                    const Var *inputs, int m, Var *gradients);

#endif
