/* What a tape is made of; for autograd/ only. */
#ifndef REEL_AUTOGRAD_TAPE_INTERNAL_H
#define REEL_AUTOGRAD_TAPE_INTERNAL_H

#include "autograd/op.h"

#include <stddef.h>

/* Gradients of some rows of a leaf, the last that came first. */
typedef struct RowGradient {
    struct RowGradient *next;
    Tensor rows, ids;
} RowGradient;

/* Products dy^T x that are still to be added to a gradient, in blocks of the arena. */
typedef struct PairList {
    PanelsPair *pairs;
    int64_t count, capacity;
} PairList;

typedef struct Node {
    const Op *op;         /* NULL: a leaf or a constant */
    Parameter *parameter; /* of a leaf that is one */
    Tensor value;         /* the distinct rows where `index` is valid */
    Tensor index;         /* i32 [N]: row n of the value is value[index[n]] */
    Tensor whole;         /* the value made whole, once somebody has asked */
    Tensor grad;          /* in the form of `value`; invalid: nothing has come yet */
    Tensor kept;          /* for var_retain_grad() */
    RowGradient *row_gradients;
    PairList pairs;
    uint32_t *inputs;
    int input_count;
    const void *attributes;
    void *saved;
    const TapeScope *scope;
    TraceSite site;
    uint32_t stamp;
    bool wants_grad;
    bool grad_owned;   /* the memory of `grad` may be added to in place */
    bool retain;       /* keep the gradient of an inner value */
    bool same_rows;    /* other rows of the distinct rows of input 0: gradients go to that node's */
    bool is_second;    /* the second output of the node before */
    bool has_second;   /* the node behind is the second output */
    bool backward_run; /* tape_backward() has started here */
} Node;

struct Tape {
    Arena arena;
    Node *nodes;
    uint32_t count;
    size_t capacity;
    uint32_t stamp; /* of the nodes that are made now */
    bool grad_enabled;
    bool check_finite;
    Status status;
    const TapeScope *scope;
    const TapeScope **scopes; /* the stack that tape_leave() returns through */
    size_t scope_count, scope_capacity;
    Random random;
    int32_t *slots; /* see op_slots() */
    int64_t slot_count;
    uint32_t *parameter_nodes; /* open hash: node index + 1, 0 is free */
    size_t parameter_capacity, parameter_count;
};

/* The node of a handle, or NULL with an error recorded (stale) or not (empty). `user` names the op for
 * messages. */
Node *tape_node(Var v, const char *user);
/* A new node with the stamp, scope and site of now; NULL and an error where there is no memory. */
Node *tape_add_node(Tape *tape);
/* The node of a parameter in this step, or NULL. */
Node *tape_find_parameter(const Tape *tape, const Parameter *parameter);
Var tape_handle(Tape *tape, const Node *node);
Var tape_empty(Tape *tape);
/* The value of a node, made whole if need be; invalid where there is no memory. */
Tensor tape_whole(Tape *tape, Node *node);
/* The same; of a parameter whose rows are updated late, a copy that is up to date. */
Tensor tape_readable(Tape *tape, Node *node);
/* Adds to a node's gradient. `rows`: grad has the form of the distinct rows. */
void tape_add_grad(Tape *tape, Node *node, Tensor grad, bool rows, const char *op_name);
/* The same to indices start, start + step, ... of one axis; start counts from the front. */
void tape_add_grad_slice(Tape *tape, Node *node, Tensor grad, int axis, int64_t start, int64_t step,
                         const char *op_name);
void tape_add_pair(Tape *tape, Node *node, Tensor dy, Tensor x);
/* Turns the put-off products of a node into gradient. */
void tape_flush_pairs(Tape *tape, Node *node);
/* Runs a node's forward once more and drops what it makes. */
bool op_rerun_forward(Tape *tape, uint32_t index);
/* Runs a node's backward. */
void op_run_backward(Tape *tape, uint32_t index);
/* See op_slots(). */
int32_t *tape_slots(Tape *tape, int64_t size);
void tape_fail_memory(Tape *tape);
/* " (in a.b.c, at file.c:12)" for messages. */
void tape_place_text(const Tape *tape, const TapeScope *scope, TraceSite site, char *text, size_t size);

#endif
