/* How an op is written. An op is one block in one place: its formula, its forward, its backward, a
 * sample for the gradient check, and the Op that names them; autograd/op_list.h names the op once more,
 * and that is all. A program outside the library writes the same block and calls op_apply(); see
 * docs/new-op.md.
 *
 * The contract of backward
 * - It is called at most once for each tape_backward(), after everything that used the output has run
 *   backward, and only if a loss depends on the output and some input wants a gradient.
 * - c->grad is the whole gradient of the output, of the output's shape; it is never written again by
 *   anybody, so it may be passed on as it is.
 * - Gradients are given to op_add_grad(), the one door: it sums over axes on which the input was broadcast,
 *   and writes first or adds after. What is passed must be memory of the step's arena that nobody writes
 *   afterwards: the door may keep it instead of copying.
 * - An input for which op_needs_grad() is false need not be served (the door ignores what it gets).
 * - c->inputs, c->output and c->saved are as forward left them.
 *
 * Repeated rows
 * A value may be held as (rows [U, ...], index [N]), meaning rows[index[n]]: what an embedding makes of
 * a batch with repeated tokens. Ops get whole values, unless they set OP_ROWWISE (the output's row n depends
 * on row n of input 0 alone, elementwise or through shared operands): forward and backward then see the
 * distinct rows as input 0, and the output has the same index. OP_GETS_ROWS leaves it to the op. */
#ifndef REEL_AUTOGRAD_OP_H
#define REEL_AUTOGRAD_OP_H

#include "autograd/tape.h"

REEL_BEGIN_DECLS

/* One use of an op, and the drawing of inputs for its check. */
typedef struct OpContext OpContext;
typedef struct OpSample OpSample;

enum {
    OP_ROWWISE = 1 << 0,
    OP_GETS_ROWS = 1 << 1,
    /* Input 0 may be a parameter whose rows are updated late; the op reads it by parameter_read_rows(). Other
     * ops get a copy that is up to date. */
    OP_READS_LATE = 1 << 2
};

/* An op: what it is called and does. */
typedef struct Op {
    const char *name;
    /* Checks the inputs, makes c->output (op_output(), or a view of an input), fills it. False: op_error()
     * was called. */
    bool (*forward)(OpContext *c);
    /* NULL: the output never wants a gradient. */
    void (*backward)(OpContext *c);
    /* Draws inputs with op_sample() and applies the op to them, once for each call. */
    Var (*sample)(OpSample *s);
    unsigned flags;
} Op;

/* What forward and backward see of one use of an op. */
struct OpContext {
    Tape *tape;
    const void *attributes; /* what op_apply() was given: a copy that lives as long as the node */
    int input_count;
    const Tensor *inputs; /* values; the distinct rows for an input with an index (see OP_ROWWISE) */
    const Tensor *index;  /* OP_GETS_ROWS: per input the row index, invalid where the value is whole */
    Tensor output;
    Tensor output_index; /* OP_GETS_ROWS: valid makes the output a repeated-rows value */
    bool same_rows; /* OP_GETS_ROWS: the output is other rows of input 0's distinct rows (a slice of them):
                     * gradients go there directly and backward is not called */
    Tensor second;  /* a second output, if forward sets it; reached by op_second() */
    Tensor grad;    /* backward: of the output, in the same form as the output. With a second output
                     * either gradient may be invalid, meaning zero */
    Tensor second_grad;
    void *saved; /* from forward to backward; arena memory */
    const Op *op;
    uint32_t node;
    const uint32_t *input_nodes;
    /* Sees every gradient on its way to the door; for the gradient checker's own tests, which break ops on
     * purpose. False drops the gradient. */
    bool (*filter)(OpContext *c, int input, Tensor *grad);
};

/* Applies an op. `attributes` (size bytes, may be NULL) are copied. Checks what is common to all ops:
 * empty and stale handles, handles of two tapes, mixed dtypes of floating inputs. */
Var op_apply(const Op *op, const Var *inputs, int count, const void *attributes, size_t size);

/* The second output of an op that has one; empty otherwise. */
Var op_second(Var first);

/* ---- Inside forward ---- */

/* Makes c->output: a new tensor of the dtype of input 0. */
bool op_output(OpContext *c, int ndim, const int64_t *shape);
bool op_output_like(OpContext *c, Tensor t);
/* Records an error with the op's name, the shapes of all inputs, the module path and the caller's
 * place, and returns false. */
bool op_error(OpContext *c, const char *format, ...) REEL_PRINTF(2, 3);

/* ---- Inside both ---- */

/* New arena memory of the dtype of input 0; invalid (and an error recorded) where there is none. */
Tensor op_new(OpContext *c, int ndim, const int64_t *shape);
Tensor op_new_like(OpContext *c, Tensor t);
void *op_alloc(OpContext *c, size_t bytes);
Arena *op_arena(OpContext *c);

/* ---- Inside backward ---- */

bool op_needs_grad(const OpContext *c, int input);
/* The door. `grad` has the output-side shape of a broadcast operand, or the input's own shape. An
 * invalid tensor (an allocation that failed) is ignored. */
void op_add_grad(OpContext *c, int input, Tensor grad);
/* Adds `grad` to indices start, start + step, ... of one axis of the input's gradient; start counts from the
 * front. Many parts of one value cost no more than the value. The memory is not
 * kept, so it may be scratch. */
void op_add_grad_slice(OpContext *c, int input, Tensor grad, int axis, int64_t start, int64_t step);
/* Adds the gradient dy^T x, dy [R, N], x [R, K], to input [N, K]. The product is put off until the walk
 * backward reaches that value and done for all its uses in one go; both tensors must stay as they are until
 * then. */
void op_add_grad_product(OpContext *c, int input, Tensor dy, Tensor x);
/* Adds rows [U, ...] to the rows ids [U] (none twice) of the gradient of input; a leaf keeps them
 * sparse. */
void op_add_grad_rows(OpContext *c, int input, Tensor rows, Tensor ids);

/* Input i made whole, in an op that gets rows (OP_GETS_ROWS). */
Tensor op_whole(OpContext *c, int input);
/* The parameter behind input i, or NULL: for ops that use its panels, or its reader (OP_READS_LATE). */
Parameter *op_parameter(const OpContext *c, int input);
/* A map for finding distinct ids: int32 slots[size], arbitrary contents, kept by the tape. */
int32_t *op_slots(OpContext *c, int64_t size);

/* ---- Inside sample ---- */

/* A size between 2 and 5, the same for each call with this `which` (0 to 3). Size 0 is the one that
 * is set to 0 when empty inputs are checked; all are 1 when size-1 inputs are. */
int64_t op_sample_size(OpSample *s, int which);
/* The next random input, uniform in [low, high), in the layout that is being checked. */
Var op_sample(OpSample *s, int ndim, const int64_t *shape, double low, double high);
/* The same, but |x - kink| >= 0.05 for each element: for functions with a kink or a pole there. */
Var op_sample_away(OpSample *s, int ndim, const int64_t *shape, double low, double high, double kink);
/* A constant input (no gradient is checked), e.g. a target. */
Var op_sample_constant(OpSample *s, int ndim, const int64_t *shape, double low, double high);
/* A constant i32 tensor with values in [0, limit). */
Var op_sample_index(OpSample *s, int ndim, const int64_t *shape, int64_t limit);
/* A random number in [0, limit), the same at every repetition: for choosing axes and the like. */
int64_t op_sample_choice(OpSample *s, int64_t limit);
Tape *op_sample_tape(OpSample *s);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define op_apply(...) TRACE(op_apply(__VA_ARGS__))
#endif

#endif
