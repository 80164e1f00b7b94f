/* The tape: define-by-run, reverse-mode differentiation (see Baydin et al. 2018, arXiv 1502.05767).
 *
 * A step is: tape_begin(), ops (autograd/ops.h) that record nodes, tape_backward() of one or more
 * scalar losses, reading gradients. Everything a step makes lives in the tape's arena until the next
 * tape_begin(); to keep a value longer, copy it (tensor_copy). A tape is used by one thread at a time.
 *
 * Errors stick: the first op that is given something it cannot do records one message, with its name,
 * the shapes, the module path and the caller's file:line, and returns an empty Var, which later ops
 * pass on. One look at tape_status() a step is enough. */
#ifndef REEL_AUTOGRAD_TAPE_H
#define REEL_AUTOGRAD_TAPE_H

#include "autograd/parameter.h"
#include "autograd/trace.h"
#include "tensor/arena.h"
#include "tensor/random.h"
#include "tensor/status.h"
#include "tensor/view.h"

REEL_BEGIN_DECLS

/* The record of one step after another. */
typedef struct Tape Tape;

/* A handle of a value on a tape; passed by value. By `stamp` a handle of an earlier step is recognised. */
typedef struct Var {
    Tape *tape;
    uint32_t index;
    uint32_t stamp; /* 0: the empty Var of a failed op */
} Var;

/* A link of the path of modules that are running: "classifier.lstm.cell". */
typedef struct TapeScope {
    const char *name;
    const struct TapeScope *parent;
} TapeScope;

/* ---- Life ---- */

Tape *tape_new(void); /* NULL where there is no memory */
void tape_free(Tape *tape);
/* Starts a step: all values and handles of the previous step become invalid, and its memory is reused. The
 * error, if there was one, is cleared. */
void tape_begin(Tape *tape);
/* For values needed only temporarily inside a step (inference in pieces): nodes and memory since the mark
 * are released, and their handles become stale. All gradients of the step are discarded. */
typedef struct TapeMark {
    TensorArenaMark arena;
    uint32_t values, nodes;
    size_t inputs;
} TapeMark;
TapeMark tape_mark(const Tape *tape);
void tape_rewind(Tape *tape, TapeMark mark);

/* REEL_STATUS_OK, or the first error since tape_begin(). */
const ReelStatus *tape_status(const Tape *tape);
bool tape_ok(const Tape *tape);
/* Records an error, unless there is one already; returns the empty Var. For code above the ops. */
Var tape_fail(Tape *tape, const char *format, ...) REEL_PRINTF(2, 3);
/* The arena of the step. */
TensorArena *tape_arena(Tape *tape);
/* The largest number of bytes that a step has used. */
size_t tape_peak_bytes(const Tape *tape);

/* ---- Leaves ---- */

/* A value without gradient. The memory is not copied and must live until the end of the step. */
Var tape_constant(Tape *tape, Tensor value);
/* A value whose gradient is wanted; f32 or f64. */
Var tape_leaf(Tape *tape, Tensor value);
/* A parameter, the same value each time in a step. Its gradient is wanted unless it is frozen. */
Var tape_parameter(Tape *tape, TapeParameter *parameter);
/* The scalar `value` in the dtype of `like`. */
Var tape_scalar(Var like, double value);
/* Random constants, f32 or f64, from tape_random(): of the normal distribution, or the same throughout [low,
 * high). */
Var tape_normal(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, double mean, double deviation);
Var tape_uniform(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, double low, double high);

/* ---- Values and gradients ---- */

bool var_is_empty(Var v);
/* The value, materialised if necessary; invalid for an empty Var. A view into the step's memory. */
Tensor var_value(Var v);
/* Its sizes, which do not require it to be materialised. 0 for an empty Var. */
int var_ndim(Var v);
int64_t var_size(Var v, int axis);
/* Whether its gradient may be asked for: a leaf, or made of one while gradients were enabled. */
bool var_wants_grad(Var v);
/* The number in a value of one element; NaN for an empty Var. Of any other number of elements: an error. */
double var_item(Var v);
/* The same value, detached from the graph. */
Var var_detach(Var v);
/* While off, ops record no gradient path. Returns what was set before. */
bool tape_set_grad_enabled(Tape *tape, bool enabled);

/* Runs backward from a scalar loss: adds d loss / d leaf to every leaf that the loss depends on.
 * Several losses of one step may each be run backward once; the gradients add up. False: an error was
 * recorded (now or before), or the loss knows no tape. */
bool tape_backward(Var loss);
/* The same, of the last or only loss of a step, in less memory: values that backward has passed lend theirs
 * to gradients. What var_value() was called of before stays; of other inner values it is an error afterwards,
 * as is differentiating again what was on the tape. Where a value has a hook, it is tape_backward(). */
bool tape_backward_last(Var loss);
/* The gradient of a leaf after tape_backward(), as a dense tensor of its shape; invalid where no loss
 * depended on it. For other values only after var_retain_grad(). */
Tensor var_grad(Var v);
void var_retain_grad(Var v);
/* Shows the gradient of a value to a function, in each walk that finds it, once it is complete; with a graph
 * it is a value like any other. One for each value. */
typedef void VarHook(Var gradient, void *context);
void var_set_hook(Var v, VarHook *hook, void *context);

/* Gradients of other values than losses, with respect to some inputs: of the sum over i of outputs[i]
 * seeds[i], seeds of their outputs' shapes (NULL: outputs are numbers, and the seeds 1). gradients[j] is that
 * of inputs[j], of its shape, or an empty Var where no output depends on it. With `create_graph` gradients
 * are values like any other, to compute a loss of or to differentiate again, as often as you like; without
 * they are constants. What tape_backward() adds up is left alone. False: an error was recorded. */
bool tape_vjp(const Var *outputs, const Var *seeds, int n, const Var *inputs, int m, bool create_graph,
              Var *gradients);
/* The gradient of the sum of y with respect to x, of x's shape, as a value to go on from (with
 * `create_graph`); zeros where y does not depend on x. */
Var var_gradient(Var y, Var x);
/* products[i] = sum over j of H[i, j] vectors[j]: the Hessian of a loss with respect to the inputs times
 * vectors of their shapes, without making it. Empty where it is zero. */
bool tape_hvp(Var loss, const Var *vectors, const Var *inputs, int m, Var *products);

/* A parameter's gradient as an optimizer wants it, or none. Either dense is valid, in memory of its own, or
 * rows and ids are, to be read only: gradients of some rows, rows [U, ...], ids i32 [U], no id twice. */
typedef struct TapeGradient {
    Tensor dense;
    Tensor rows, ids;
} TapeGradient;
TapeGradient tape_gradient(Tape *tape, const TapeParameter *parameter);

/* A part of a model: from inputs to one value of the tape that it is given, which may be another one than
 * theirs. */
typedef Var TapeFunction(Tape *tape, const Var *inputs, int count, void *context);
/* function(inputs), of which only the result is kept: backward runs it once more, with the same
 * random numbers. Parameters may be read inside; other values come as inputs. What context points to must
 * live until backward has run. Cannot be differentiated twice. */
Var tape_checkpoint(TapeFunction *function, void *context, const Var *inputs, int count);

/* ---- Running ---- */

/* The stack of running modules, from which paths in messages are made. */
void tape_enter(Tape *tape, const TapeScope *scope);
void tape_leave(Tape *tape);
/* Debug: stop with an error at the op (and module) that makes the first NaN or infinity, forward or backward.
 */
void tape_set_check_finite(Tape *tape, bool check);
/* The generator that dropout draws from; set it at the start of a step to make the step repeatable. */
void tape_set_random(Tape *tape, TensorRandom random);
TensorRandom *tape_random(Tape *tape);
/* A pointer of whoever runs the steps (NULL at first), for what modules leave beside values, such as running
 * statistics; the tapes of tape_checkpoint() have it too. */
void tape_set_owner(Tape *tape, void *owner);
void *tape_owner(const Tape *tape);
/* Whether backward runs a part once more (tape_checkpoint()), which then leaves nothing again. */
bool tape_is_repeating(const Tape *tape);

TAPE_TRACE_RETURNS(Var)
TAPE_TRACE_RETURNS(Tensor)
TAPE_TRACE_RETURNS(bool)
TAPE_TRACE_RETURNS(double)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define tape_constant(...)      TAPE_TRACE(Var, tape_constant(__VA_ARGS__))
#define tape_leaf(...)          TAPE_TRACE(Var, tape_leaf(__VA_ARGS__))
#define tape_normal(...)        TAPE_TRACE(Var, tape_normal(__VA_ARGS__))
#define tape_uniform(...)       TAPE_TRACE(Var, tape_uniform(__VA_ARGS__))
#define tape_parameter(...)     TAPE_TRACE(Var, tape_parameter(__VA_ARGS__))
#define tape_backward(...)      TAPE_TRACE(bool, tape_backward(__VA_ARGS__))
#define tape_backward_last(...) TAPE_TRACE(bool, tape_backward_last(__VA_ARGS__))
#define tape_checkpoint(...)    TAPE_TRACE(Var, tape_checkpoint(__VA_ARGS__))
#define tape_vjp(...)           TAPE_TRACE(bool, tape_vjp(__VA_ARGS__))
#define tape_hvp(...)           TAPE_TRACE(bool, tape_hvp(__VA_ARGS__))
#define var_gradient(...)       TAPE_TRACE(Var, var_gradient(__VA_ARGS__))
#define var_value(...)          TAPE_TRACE(Tensor, var_value(__VA_ARGS__))
#define var_item(...)           TAPE_TRACE(double, var_item(__VA_ARGS__))
#define var_detach(...)         TAPE_TRACE(Var, var_detach(__VA_ARGS__))
#endif

#endif
