/* How an op is written. An op is one block in one place: its formula, its forward, its backward, a
 * sample for the gradient check, and the OpKind that names them; autograd/op_list.h names the op once more,
 * with its arguments, and autograd/ops.h has the macro that notes where it is called. A program outside the
 * library writes the same block and calls op_apply(); see docs/new-op.md.
 *
 * The contract of backward
 * - It is called at most once for each walk, after everything that used the outputs has run backward, and
 *   only if some output has a gradient and some input wants one.
 * - *c->grad[k] is the whole gradient of output k, of its shape; NULL: that output has none, it is zero. It
 *   is not written again by anybody, so it may be passed on as it is.
 * - It returns one term for each input in terms[i], by one of the op_give functions; a term that is
 *   not set is no gradient. The engine checks the terms and adds them up, and sums over axes on which an
 * input was broadcast. What is given must be memory of the step's arena (or of op_scratch()) that nobody
 * writes afterwards: the engine may keep it instead of copying. One tensor may be given to several inputs.
 * - An input for which op_needs_grad() is false need not be served.
 * - c->in, c->out and c->saved are as forward left them. Of values that backward does not read
 *   (`backward_reads`) only the shape is there. */
#ifndef REEL_AUTOGRAD_OP_H
#define REEL_AUTOGRAD_OP_H

#include "autograd/tape.h"

REEL_BEGIN_DECLS

/* One use of an op, and the drawing of inputs for its check. */
typedef struct OpContext OpContext;
typedef struct OpSample OpSample;
typedef struct OpKind OpKind;

/* ---- Terms: what a gradient is the sum of ---- */

typedef enum {
    OP_TERM_NONE,   /* no gradient */
    OP_TERM_DENSE,  /* a: of the input's shape, or of one that the input was broadcast to */
    OP_TERM_PART,   /* a: of the indices start, start + step, ... of one axis; zero elsewhere */
    OP_TERM_ROWS,   /* a [U, ...]: of the rows b, i32 [U]; zero elsewhere */
    OP_TERM_PRODUCT /* a^T b, a [R, N], b [R, K]: put off until all uses of the input are known */
} OpTermKind;

typedef struct OpPart {
    int axis;
    int64_t start, step; /* start counts from the front */
} OpPart;

typedef struct OpTerm {
    OpTermKind kind;
    bool distinct; /* of rows: no id occurs twice */
    bool of_held;  /* it is of what is held instead of the value (held_internal.h) */
    OpPart part;
    Tensor a, b;
} OpTerm;

/* The same over Vars, for gradients that have a graph of their own. */
typedef struct OpVarTerm {
    OpTermKind kind;
    OpPart part;
    Var a, b;
} OpVarTerm;

/* ---- The op ---- */

enum {
    /* Row n of the outputs depends on row n of input 0 alone, elementwise or through operands that all rows
     * share. Forward and backward may then be run on the distinct rows of a value that repeats its rows. */
    OP_ROWWISE = 1 << 0
};

/* Bits of `lazy_forward` and `backward_reads`; inputs from 15 on share one. */
#define OP_IN(i)         (1u << ((i) < 15 ? (i) : 15))
#define OP_OUT(k)        (1u << (16 + (k)))
#define OP_READS_NOTHING (1u << 31)

/* One use of an op as a formula sees it. */
typedef struct OpUse {
    const OpKind *op;
    Tape *tape;
    const void *attributes, *saved;
    int count, outputs;
    const Var *in, *out;
    const Var *grad;   /* of each output; empty: zero */
    const bool *wants; /* for each input: whether its gradient is wanted */
} OpUse;

/* An op: what it is called and does. */
struct OpKind {
    const char *name;
    /* Checks the inputs, makes the outputs *c->out[k] (op_output(), or a view of an input), fills them.
     * False: op_error() was called. */
    bool (*forward)(OpContext *c);
    /* The terms of the gradient on tensors; see above. NULL: `formula` is used. */
    void (*backward)(OpContext *c, OpTerm *terms);
    /* The same over Vars, in one to three lines: for gradients of gradients. */
    void (*formula)(const OpUse *use, OpVarTerm *terms);
    /* Instead of a formula, for an op that fuses others: the outputs computed from use->in by them. */
    void (*composition)(const OpUse *use, Var *out);
    /* Draws inputs with op_sample() and applies the op to them, once for each call. */
    Var (*sample)(OpSample *s);
    int outputs; /* 0 means 1 */
    unsigned flags;
    /* The inputs that forward does not need to have in memory: OP_IN(0) | ...; it reads them by op_write(),
     * op_read_rows() or op_whole(). */
    unsigned lazy_forward;
    /* What backward reads: OP_IN(0) | OP_OUT(0) | ...; of all else it gets the shape. 0: everything. */
    unsigned backward_reads;
};

/* What forward and backward see of one use of an op. */
struct OpContext {
    Tape *tape;
    const OpKind *op;
    const void *attributes; /* what op_apply() was given: a copy that lives as long as the node */
    void *saved;            /* from forward to backward; arena memory */
    int count, outputs;
    Tensor **in;   /* [count] the values of the inputs */
    Tensor **out;  /* [outputs] */
    Tensor **grad; /* backward: [outputs] gradients; NULL: zero */
    struct TapeWalk *walk;
    uint32_t node;
};

/* Applies an op. `attributes` (size bytes, may be NULL) are copied. Checks what is common to all ops:
 * empty and stale handles, handles of two tapes, mixed dtypes of floating inputs. Returns output 0; the
 * others are reached by var_output(). */
Var op_apply(const OpKind *op, const Var *inputs, int count, const void *attributes, size_t size);

/* Output number `which` of the op that made `v`; empty where there is none. */
Var var_output(Var v, int which);

/* ---- Inside forward ---- */

/* Makes output 0: a new tensor of the dtype of input 0. */
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
TensorArena *op_arena(OpContext *c);
/* Input i in memory. */
Tensor op_whole(OpContext *c, int input);
/* out = input i, of its shape. */
bool op_write(OpContext *c, int input, Tensor out);
/* out [N, ...] = the rows `ids` (i32 [N], in range) of input i. */
bool op_read_rows(OpContext *c, int input, Tensor ids, Tensor out);
/* The parameter behind input i, or NULL. */
TapeParameter *op_parameter(const OpContext *c, int input);
/* The panels of the matrix W that is input i, or of W^T (transposed), for y = x W^T: where it is a parameter,
 * or a view of some columns of one. NULL: there are none. */
const TensorPanels *op_panels(const OpContext *c, int input, bool transposed);

/* ---- Inside backward ---- */

bool op_needs_grad(const OpContext *c, int input);
/* Memory for terms that are parts: it is given back as soon as backward has returned and the parts are added.
 */
TensorArena *op_scratch(OpContext *c);

/* The gradient of an input. An invalid tensor (a failed allocation) counts as no gradient. */
static inline void op_give(OpTerm *term, Tensor grad)
{
    term->kind = tensor_is_valid(grad) ? OP_TERM_DENSE : OP_TERM_NONE;
    term->distinct = term->of_held = false;
    term->a = grad;
}

/* `grad` is of the indices start, start + step, ... of one axis; start counts from the front. Many parts of
 * one value cost no more than the value. */
static inline void op_give_part(OpTerm *term, Tensor grad, int axis, int64_t start, int64_t step)
{
    op_give(term, grad);
    if (term->kind)
        term->kind = OP_TERM_PART;
    term->part.axis = axis;
    term->part.start = start;
    term->part.step = step;
}

/* `rows` [U, ...] is of the rows ids [U]; `distinct`: no id occurs twice. A leaf keeps them sparse. */
static inline void op_give_rows(OpTerm *term, Tensor rows, Tensor ids, bool distinct)
{
    op_give(term, rows);
    if (term->kind)
        term->kind = OP_TERM_ROWS;
    term->b = ids;
    term->distinct = distinct;
}

/* dy^T x, dy [R, N], x [R, K], of an input [N, K]. The product may be put off and done for all uses of the
 * input in one go; both tensors must stay as they are until then. */
static inline void op_give_product(OpTerm *term, Tensor dy, Tensor x)
{
    op_give(term, dy);
    if (term->kind)
        term->kind = tensor_is_valid(x) ? OP_TERM_PRODUCT : OP_TERM_NONE;
    term->b = x;
}

/* Adds the term of an input at once and empties it, so that the memory of a part may be written again: where
 * the parts of many inputs would otherwise be in memory together. */
void op_take_now(OpContext *c, int input, OpTerm *term);

/* ---- Inside formula ---- */

static inline void op_give_var(OpVarTerm *term, Var grad)
{
    term->kind = var_is_empty(grad) ? OP_TERM_NONE : OP_TERM_DENSE;
    term->a = grad;
}

static inline void op_give_var_part(OpVarTerm *term, Var grad, int axis, int64_t start, int64_t step)
{
    op_give_var(term, grad);
    if (term->kind)
        term->kind = OP_TERM_PART;
    term->part.axis = axis;
    term->part.start = start;
    term->part.step = step;
}

static inline void op_give_var_rows(OpVarTerm *term, Var rows, Var ids)
{
    op_give_var(term, rows);
    if (term->kind)
        term->kind = OP_TERM_ROWS;
    term->b = ids;
}

static inline void op_give_var_product(OpVarTerm *term, Var dy, Var x)
{
    op_give_var(term, dy);
    if (term->kind)
        term->kind = OP_TERM_PRODUCT;
    term->b = x;
}

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
#define op_apply(...) TAPE_TRACE(Var, op_apply(__VA_ARGS__))
#endif

#endif
