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
#define GRADCHECK_TOLERANCE 1e-6

/* The function to check: from leaves to one value of any shape (it is summed with random weights). Called
 * many times; it must give the same for the same values. */
typedef Var GradcheckFunction(Tape *tape, const Var *inputs, void *context);

typedef struct GradcheckResult {
    Status status;      /* STATUS_OK, or the first mismatch: op, input, index and both values */
    double worst_error; /* the largest relative error as defined above */
    int64_t checked;    /* how many elements were compared */
} GradcheckResult;

/* Checks `function` at f64 tensors `inputs` (memory of the caller, perturbed and restored). `name` stands in
 * the message. */
GradcheckResult gradcheck(const char *name, GradcheckFunction *function, void *context, const Tensor *inputs,
                          int count, uint64_t seed);

/* The ways in which an op's inputs are laid out. */
typedef enum {
    LAYOUT_CONTIGUOUS,
    LAYOUT_TRANSPOSED, /* the last two axes swapped in memory */
    LAYOUT_SLICED,     /* every second element of a larger tensor, the last axis reversed */
    LAYOUT_BROADCAST,  /* the first axis of size 1 in memory, expanded by an op in front */
    LAYOUT_SIZE_1,     /* every op_sample_size() is 1 */
    LAYOUT_EMPTY,      /* op_sample_size(s, 0) is 0 */
    LAYOUT_BEHIND,     /* each input is the result of another op */
    LAYOUT_REPEATED, /* rows by an index: each several times, or some of them and NaN in those that are not in
                        use */
    LAYOUT_LARGE,    /* values ten times as large, where the op's domain allows it */
    LAYOUT_COUNT
} Layout;
/* "contiguous", "transposed", ... */
const char *layout_name(Layout layout);

/* Checks a registered op through its sample, in f64. An op without a gradient or a sample is an error. */
GradcheckResult gradcheck_op(const OpKind *op, Layout layout, uint64_t seed);
/* The gradient of a weighted sum of the outputs, differentiated again, against differences of the gradient.
 * An op that cannot be differentiated twice is an error. */
GradcheckResult gradcheck_op_twice(const OpKind *op, Layout layout, uint64_t seed);
/* The same sample in f32 against f64: outputs within 1e-5 and gradients within 1e-4 of the tensor's largest
 * value (or of a tenth of the largest output, if that is more). */
GradcheckResult gradcheck_op_f32(const OpKind *op, Layout layout, uint64_t seed);

REEL_END_DECLS

#endif
