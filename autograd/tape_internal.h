/* What a tape is made of; for autograd/ only. */
#ifndef REEL_AUTOGRAD_TAPE_INTERNAL_H
#define REEL_AUTOGRAD_TAPE_INTERNAL_H

#include "autograd/op.h"

/* False: a build in which values are always in memory and products are multiplied at once. */
#ifndef REEL_CHAPTERS
#define REEL_CHAPTERS 1
#endif

typedef struct TapeWalk TapeWalk;
typedef struct TapeProfile TapeProfile;
typedef struct HeldKind HeldKind;

/* How a value that is not in memory is held; each chapter has a struct that begins with this one. */
typedef struct Held {
    const HeldKind *kind;
} Held;

/* One tensor that a leaf or an op brought onto the tape. */
typedef struct Value {
    Tensor t;        /* always the shape; data is NULL while the value is only held */
    Held *held;      /* NULL: in memory */
    uint32_t maker;  /* its node */
    uint32_t stamp;  /* of the step (0: never made) */
    uint32_t record; /* 1 + the place of its record; 0: none */
    bool wants;      /* a gradient */
    bool seen;       /* the caller has its memory: var_value() */
    bool gone;       /* its memory was used again: tape_backward_last() */
} Value;

/* One use of an op, or a leaf (op NULL). */
typedef struct Node {
    const OpKind *op;
    const void *attributes;
    void *saved;
    const TapeScope *scope;
    const char *file;
    uint32_t line;
    uint32_t first_input, count; /* in the tape's list of inputs */
    uint32_t first_output;
    uint16_t outputs;
} Node;

/* Gradients of some rows of a leaf, the most recent first. */
typedef struct RowGradient {
    struct RowGradient *next;
    Tensor rows, ids;
    bool distinct; /* no id twice */
} RowGradient;

/* What only few values have: a parameter behind them, a gradient that is kept. */
typedef struct Record {
    uint32_t value;
    TapeParameter *parameter;
    uint64_t version;  /* of the parameter when it came onto the tape */
    Tensor grad;       /* of a leaf, or of a value whose gradient is retained */
    RowGradient *rows; /* of a leaf: more gradient, of some rows */
    bool grad_owned;   /* the memory of `grad` is its own */
    bool retain;       /* keep the gradient of an inner value */
    bool backward_run; /* tape_backward() has started here */
    VarHook *hook;     /* is shown the gradient; NULL: none */
    void *hook_context;
} Record;

/* Memory that forward of a node has made and that lives until backward has passed the node. */
typedef struct MadeBlock {
    char *data;
    size_t bytes, position; /* of the arena behind it */
    uint32_t node;
} MadeBlock;

/* Elements in blocks that never move. */
enum { BLOCK_BITS = 10, BLOCK_SIZE = 1 << BLOCK_BITS };

typedef struct Blocks {
    char **blocks;
    size_t count, capacity; /* of blocks */
} Blocks;

struct Tape {
    TensorArena arena;
    TensorArena scratch;   /* see op_scratch() */
    Tape *child;           /* of tape_checkpoint(); NULL: none yet */
    TapeProfile *profile;  /* measures ops while it is on (profile_internal.h); NULL: nothing is measured */
    TapeProfile *measured; /* what was measured, to be read; the tape's own */
    Blocks values, nodes;
    uint32_t value_count, node_count;
    uint32_t *inputs;
    size_t input_count, input_capacity;
    MadeBlock *made; /* in the order of nodes; see blocks.c */
    size_t made_count, made_capacity;
    uint32_t closed; /* nodes below this one cannot be differentiated any more */
    Record *records;
    size_t record_count, record_capacity;
    uint32_t stamp;         /* of the values that are made now */
    uint32_t retained_held; /* values not in memory whose gradient is retained */
    bool grad_enabled;
    bool was_disabled; /* for some of this step at least */
    bool check_finite;
    bool is_repeating;
    void *owner;
    ReelStatus status;
    const OpKind *differentiated; /* whose formula runs; NULL: none */
    const TapeScope *scope;
    const TapeScope **scopes; /* the stack that tape_leave() returns through */
    size_t scope_count, scope_capacity;
    TensorRandom random;
    int32_t *slots; /* see tape_slots() */
    int64_t slot_count;
    uint32_t *parameter_values; /* open hash: index of a value + 1, 0 is free */
    size_t parameter_capacity, parameter_count;
};

static inline Value *tape_value(const Tape *tape, uint32_t i)
{
    return (Value *)(void *)tape->values.blocks[i >> BLOCK_BITS] + (i & (BLOCK_SIZE - 1));
}

static inline Node *tape_node(const Tape *tape, uint32_t i)
{
    return (Node *)(void *)tape->nodes.blocks[i >> BLOCK_BITS] + (i & (BLOCK_SIZE - 1));
}

/* Input i of a node. */
static inline uint32_t node_input(const Tape *tape, const Node *node, int i)
{
    return tape->inputs[node->first_input + (uint32_t)i];
}

/* ---- tape.c ---- */

/* A new node with the current stamp, scope and place, and room for its inputs and its outputs (not yet made).
 * Its number, or UINT32_MAX with an error where there is no memory. */
uint32_t tape_add_node(Tape *tape, const OpKind *op, int count, int outputs);
/* Takes the last node back, or marks it as never made if others have come since. */
void tape_drop_node(Tape *tape, uint32_t node);
Var tape_handle(Tape *tape, uint32_t value);
static inline Var tape_empty(Tape *tape)
{
    return (Var){.tape = tape};
}

/* ---- value.c ---- */

/* The value of a handle, or NULL with an error recorded (stale) or not (empty). `user` names the op for
 * messages. */
Value *tape_find(Var v, const char *user);

/* ---- record.c ---- */

/* The record of a value, made if need be; NULL where there is no memory. Records move when one is made. */
Record *tape_record(Tape *tape, uint32_t value);
/* The value of a parameter in this step, or NULL. */
Value *tape_find_parameter(const Tape *tape, const TapeParameter *parameter);
bool tape_records_add_parameter(Tape *tape, uint32_t value, TapeParameter *parameter);
/* Shows a value's gradient to its hook, if it has one. */
void tape_record_call_hook(Tape *tape, uint32_t value, Var gradient);
/* Forgets the records of values that are gone, and all gradients. */
void tape_records_rewind(Tape *tape);

/* ---- value.c ---- */

/* The value in memory; NULL where there is none left. */
Tensor *tape_whole(Tape *tape, Value *value);

/* False, with an error, where the value's memory was used again. */
bool tape_is_there(Tape *tape, const Value *value, const char *user);
/* False, with an error, where the node cannot be differentiated any more. */
bool tape_is_open(Tape *tape, uint32_t node);

/* ---- blocks.c ---- */

/* Memory that a running forward has made. */
void tape_blocks_note(OpContext *c, const Tensor *t);
/* Behind forward: what it has released again is forgotten, and all unless backward will pass the node. */
void tape_blocks_end_forward(Tape *tape, uint32_t node, bool will_pass);

/* ---- apply.c ---- */

/* Whether the outputs are there, and finite if that is asked for. */
bool op_check_outputs(OpContext *c);

/* The parameter behind an input, whatever holds its value. */
const TapeParameter *op_parameter_behind(const OpContext *c, int input);

/* ---- derivatives.c ---- */

/* tape_backward_last() of a value of any shape, whose gradient is given. No value is read after it. */
bool tape_backward_from(Var output, Tensor gradient);

/* ---- sparse.c ---- */

/* A map for finding distinct ids: slots[size], arbitrary contents. NULL where there is no memory. */
int32_t *tape_slots(Tape *tape, int64_t size);
/* All row gradients of a record as one in which no id stands twice, in the order of first appearance. */
bool tape_coalesce_rows(Tape *tape, Record *record, const Tensor *like);

#endif
