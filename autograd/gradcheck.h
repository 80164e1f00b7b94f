/* Gradient checking: backward against central differences in f64.
 *
 * The check compares signed values. For each element of each input,
 * |analytic - numeric| <= tolerance * max(|analytic|, |numeric|, scale), where `scale` is 1e-3 of the largest
 * gradient of that input, so that one lost element among large ones is found, and rounding in elements that
 * are all but zero is not. It is at least 1e-5 of the largest output: a gradient below that drowns in the
 * rounding of the differences. */
#ifndef REEL_AUTOGRAD_GRADCHECK_H
#define REEL_AUTOGRAD_GRADCHECK_H

#include "autograd/op.h"

REEL_BEGIN_DECLS

/* The largest relative error that passes in f64. */
#define TAPE_GRADCHECK_TOLERANCE 1e-6

/* The function to check: from leaves to one value of any shape (it is summed with random weights). Called
 * many times; it must give the same for the same values. */
typedef Var TapeGradcheckFunction(Tape *tape, const Var *inputs, void *context);

typedef struct TapeGradcheckResult {
    ReelStatus status;  /* REEL_STATUS_OK, or the first mismatch: op, input, index and both values */
    double worst_error; /* the largest relative error as defined above */
    int64_t checked;    /* how many elements were compared */
} TapeGradcheckResult;

/* Checks `function` at f64 tensors `inputs` (memory of the caller, perturbed and restored). `name` stands in
 * the message. */
TapeGradcheckResult tape_gradcheck(const char *name, TapeGradcheckFunction *function, void *context,
                                   const Tensor *inputs, int count, uint64_t seed);

/* The ways in which an op's inputs are laid out. */
typedef enum {
    OP_LAYOUT_CONTIGUOUS,
    OP_LAYOUT_TRANSPOSED, /* the last two axes swapped in memory */
    OP_LAYOUT_SLICED,     /* every second element of a larger tensor, the last axis reversed */
    OP_LAYOUT_BROADCAST,  /* the first axis of size 1 in memory, expanded by an op in front */
    OP_LAYOUT_SIZE_1,     /* every op_sample_size() is 1 */
    OP_LAYOUT_EMPTY,      /* op_sample_size(s, 0) is 0 */
    OP_LAYOUT_BEHIND,     /* each input is the result of another op */
    OP_LAYOUT_REPEATED, /* rows by an index: each several times, or some of them and NaN in those that are not
                        in use */
    OP_LAYOUT_LARGE,    /* values ten times as large, where the op's domain allows it */
    OP_LAYOUT_COUNT
} OpLayout;
/* "contiguous", "transposed", ... */
const char *op_layout_name(OpLayout layout);

/* Checks a registered op through its sample, in f64. An op without a gradient or a sample is an error. */
TapeGradcheckResult op_gradcheck(const OpKind *op, OpLayout layout, uint64_t seed);
/* The gradient by the op's formula or composition, against differences of the outputs; and that gradient,
 * differentiated again, against differences of the gradient. An op that cannot be differentiated twice is an
 * error. */
TapeGradcheckResult op_gradcheck_twice(const OpKind *op, OpLayout layout, uint64_t seed);
/* The same sample in f32 against f64: outputs within 1e-5 and gradients within 1e-4 of the tensor's largest
 * value (or of a tenth of the largest output, if that is more). */
TapeGradcheckResult op_gradcheck_f32(const OpKind *op, OpLayout layout, uint64_t seed);

/* The value of an op's sample in f32, with every op_sample_size() `size`, on the tape's step. The inputs are
 * in the arena; `leaves`, room for 16, are those that have a gradient. Empty with an error on the tape. */
Var op_gradcheck_draw(const OpKind *op, Tape *tape, TensorArena *arena, int64_t size, uint64_t seed,
                      Var *leaves, int *count);

REEL_END_DECLS

#endif
