/* What the optimizer, its rules (sgd.c, adam.c, ...) and its late rows share. */
#ifndef REEL_NN_OPTIMIZER_INTERNAL_H
#define REEL_NN_OPTIMIZER_INTERNAL_H

#include "nn/module_internal.h"
#include "nn/optimizer.h"
#include "nn/sum_internal.h"

typedef struct OptimizerState OptimizerState;

/* The settings of one update: adam.c; RMSprop and Adagrad have a step size alone. */
typedef struct AdamStep {
    float step_size; /* lr sqrt(1 - beta2^t) / (1 - beta1^t) */
    float eps;       /* epsilon sqrt(1 - beta2^t) */
    float keep;      /* 1 - lr * decoupled weight decay */
} AdamStep;

/* What a row without gradient does in an update that its parameter takes part in. */
typedef enum { ROWS_STAND, ROWS_ARE_LATE, ROWS_MOVE } IdleRows;

enum { MOMENT_M = 1, MOMENT_V = 2 };

/* A rule of updating. */
typedef struct UpdateRule {
    /* What is kept beside each of the parameter's numbers: MOMENT_M | MOMENT_V. */
    int (*moments)(const NnOptimizerOptions *options);
    /* What v begins with; NULL: 0. */
    double (*first_v)(const NnOptimizerOptions *options);
    IdleRows (*idle_rows)(const NnOptimizerOptions *options);
    /* Before update number state->steps of the parameter; late rows have room for its settings. */
    void (*begin)(OptimizerState *state);
    /* Updates w [n], which begins at number `at` of the parameter, from its gradient, which is written over,
     * but not where `only_reads` and rows without gradient do not move. */
    bool only_reads;
    void (*update_f32)(const OptimizerState *state, int64_t at, float *w, float *g, int64_t n);
    void (*update_f64)(const OptimizerState *state, int64_t at, double *w, double *g, int64_t n);
    /* Where rows are late: moves w [width] from after update `from` to after `to`, with gradients that are
     * zero; m and v are those after `from`, NULL where the rule has none. */
    void (*idle)(const OptimizerState *state, float *w, const float *m, const float *v, int32_t from,
                 int32_t to);
    /* The same for m and v themselves. */
    void (*decay)(const OptimizerState *state, float *m, float *v, int32_t from, int32_t to);
} UpdateRule;

extern const UpdateRule nn_sgd_rule, nn_adam_rule, nn_rmsprop_rule, nn_adagrad_rule;

/* Parameters that share options. */
typedef struct OptimizerGroup {
    NnOptimizerOptions options;
    double lr;      /* now */
    int32_t memory; /* so many updates after a gradient its moments no longer move anything */
} OptimizerGroup;

/* What belongs to one parameter. */
struct OptimizerState {
    NnOptimizer *optimizer;
    const OptimizerGroup *group;
    NnParameter *parameter;
    TensorDtype dtype; /* of its value when the optimizer was made */
    int64_t width;     /* elements of a row */
    int32_t steps;     /* updates that it took part in */
    Tensor m, v;       /* Adam's moments; m is a momentum, v what squares are kept in */
    AdamStep now;      /* of the update at hand */
    bool by_rows;      /* rows alone are updated where gradients are sparse */

    /* Rows that are late (late_rows.c). */
    Tensor last;        /* i32 [V], the update of each row's last gradient; 0: none yet; invalid: not late */
    AdamStep *schedule; /* [steps]: the settings of each update */
    size_t capacity;
    int32_t rise; /* no update of the schedule from here on is larger than the one before */

    /* Of the update that is being made; memory of the pieces' arena. */
    bool takes_part;
    bool goes_by_rows; /* only `rows` get a gradient, and are all that is updated */
    Addend *addends;   /* otherwise: the pieces that have one */
    int addend_count;
    SumRows rows;
};

/* A range of a parameter's elements, or of its `rows`: the work of one task. */
typedef struct OptimizerItem {
    OptimizerState *state;
    int64_t begin, end;
    double squares;
} OptimizerItem;

struct NnOptimizer {
    NnModule *module;
    const UpdateRule *rule;
    OptimizerGroup *groups; /* the first: of parameters that are in no other */
    int group_count;
    double norm;
    int32_t step; /* updates made */
    OptimizerState *states;
    int count;

    int pieces;
    OptimizerItem *items;
    int item_count;
    double scale; /* of the gradients, by clipping */
};

/* ---- Options and groups (optimizer_options.c) ---- */

/* Sets the optimizer's rule, its groups, which have memory, and the group of each parameter's state. */
ReelStatus nn_optimizer_set_groups(NnOptimizer *optimizer, NnOptimizerOptions options,
                                   const NnParameterGroup *groups);

/* ---- Adam (adam.c) ---- */

/* So many updates after a gradient its moments no longer move anything. */
int32_t nn_adam_memory(const NnOptimizerOptions *options);
/* The settings of update `step`, from 1, at a learning rate. */
AdamStep nn_adam_step(const NnOptimizerOptions *options, double lr, int32_t step);
/* Writes the settings of update `step` into the schedule, which has room for them. */
void nn_adam_schedule(OptimizerState *state, int32_t step, AdamStep settings);
/* Beside the rule for tests: the loops, in all versions with the same bits. */
void nn_adam_update(float *w, float *m, float *v, const float *g, const NnOptimizerOptions *options,
                    AdamStep step, size_t n);

/* ---- Late rows (late_rows.c) ---- */

/* Row `row` of m or v; NULL where there is none. */
static inline float *moment_row(const OptimizerState *state, Tensor moment, int64_t row)
{
    return tensor_is_valid(moment) ? tensor_f32(moment) + row * state->width : NULL;
}

static inline bool is_late(const OptimizerState *state)
{
    return tensor_is_valid(state->last);
}

/* Makes a parameter late: false: no memory. */
bool nn_late_rows_begin(OptimizerState *state);
/* Brings all rows up to date for good. */
void nn_late_rows_end(OptimizerState *state);
/* Room in the schedule for `count` updates. False: no memory. */
bool nn_late_rows_reserve(OptimizerState *state, int32_t count);
/* Brings a row, or all of them, to after update `to`. */
void nn_late_rows_settle(OptimizerState *state, int64_t row, int32_t to);
void nn_late_rows_settle_all(OptimizerState *state, int32_t to);
/* Says that the value was updated by the optimizer, and which rows are up to date: `rows`, or all. */
void nn_late_rows_updated(OptimizerState *state);
/* Says that the value is that of a file, whose rows are as the optimizer keeps them. */
void nn_late_rows_loaded(OptimizerState *state);

#endif
