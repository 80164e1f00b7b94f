/* What the optimizer and its late rows share. */
#ifndef REEL_NN_OPTIMIZER_INTERNAL_H
#define REEL_NN_OPTIMIZER_INTERNAL_H

#include "nn/optimizer.h"
#include "tensor/vmath.h"

/* What belongs to one parameter. */
typedef struct OptimizerState {
    NnOptimizer *optimizer;
    NnParameter *parameter;
    bool late;      /* rows are brought up to date when they are needed */
    int64_t width;  /* elements of a row */
    Tensor m, v;    /* Adam's moments; m is SGD's momentum */
    Tensor last;    /* late: i32 [V], the step of each row's last gradient; 0: none yet */
    int32_t *slots; /* late: a sparse set over the rows, see late_rows_find() */

    /* Of the step that is being made; memory of the first tape's arena. */
    Tensor *dense; /* [tapes]: contiguous gradients, invalid where a tape has none */
    TapeGradient *sparse;
    int32_t *ids;     /* [rows]: the rows that get a gradient */
    int32_t *sources; /* [rows * tapes]: which row of which tape's gradient, or -1 */
    int64_t rows;
} OptimizerState;

/* A range of a parameter's elements, or of its `ids`: the work of one task. */
typedef struct OptimizerItem {
    OptimizerState *state;
    int64_t begin, end;
    double squares;
} OptimizerItem;

struct NnOptimizer {
    NnModule *module;
    NnOptimizerOptions options;
    Pool *pool;
    double lr, norm;
    int32_t step; /* updates made */
    int32_t rise; /* no update of the schedule from here on is larger than the one before: add_settings() */
    VmathAdam *schedule; /* [step]: the settings of each update */
    size_t schedule_capacity;
    int32_t memory; /* so many steps after a gradient its moments no longer move anything */
    OptimizerState *states;
    int count;

    int tapes;
    OptimizerItem *items;
    int item_count;
    float scale; /* of the gradients, by clipping */
};

/* Adam or AdamW: there are moments. */
static inline bool optimizer_is_adam(const NnOptimizer *o)
{
    return o->options.kind != NN_SGD;
}

/* ---- Late rows (late_rows.c) ---- */

/* Whether rows without gradient move in no way, or in one that can be made up for later. */
bool late_rows_are_possible(const NnOptimizer *o);
/* So many updates after a gradient its moments no longer move anything. */
int32_t late_rows_memory(const NnOptimizerOptions *options);
/* A parameter's reader: `context` is its state; ids i32 [n], out [n, ...] gets the rows as they are now. */
void late_rows_read(const void *context, Tensor ids, Tensor out);
/* Brings a row, or all of them, to after step `to`. */
void late_rows_settle(OptimizerState *state, int64_t row, int32_t to);
void late_rows_settle_all(OptimizerState *state, int32_t to);
/* A parameter's settler. */
void late_rows_settle_now(const void *context);
/* The coming update leaves a frozen table as it is: its rows do not even go on with their momentum. */
void late_rows_stand_still(OptimizerState *state);
/* Finds the rows that get a gradient from any tape, and where it comes from: ids, sources, rows. False: no
 * memory. */
bool late_rows_find(NnOptimizer *o, OptimizerState *state, Arena *arena);

#endif
