/* One op on large inputs, run again and again, for measuring what it costs. The inputs are those that its
 * sample draws (autograd/op.h), with op_sample_size() as large as it takes. */
#ifndef REEL_AUTOGRAD_MEASURE_H
#define REEL_AUTOGRAD_MEASURE_H

#include "autograd/op.h"

REEL_BEGIN_DECLS

enum { OP_MEASURE_MAX_OUTPUTS = 4 };

/* An op that is measured. */
typedef struct OpMeasure {
    Tape *tape;
    TensorArena arena; /* of the inputs */
    uint32_t node;     /* the op's */
    Tensor grads[OP_MEASURE_MAX_OUTPUTS];
    int64_t elements;     /* of all inputs and the output */
    int64_t input_bytes;  /* of all inputs */
    int64_t output_bytes; /* of the outputs; 0 where the output is a view of an input */
    int64_t grad_bytes; /* that the last op_measure_backward() made: 0 where gradients are views of its own */
} OpMeasure;

/* Draws f32 inputs of about `elements` elements, the output's among them. On success op_measure_free() ends
 * it. Errors: an op without a sample, one whose sample does not use it, no memory. */
ReelStatus op_measure_init(OpMeasure *measure, const OpKind *op, int64_t elements, uint64_t seed);
void op_measure_free(OpMeasure *measure);
/* The shapes of the inputs, "[3, 4] [4]", cut where they are too long. */
void op_measure_shapes(const OpMeasure *measure, char *text, size_t size);
/* Runs the op's forward alone, on the same inputs; false where it fails. */
bool op_measure_forward(OpMeasure *measure);
/* Runs its backward alone for a random gradient, put-off products included; false where it fails or there
 * is none. */
bool op_measure_backward(OpMeasure *measure);

REEL_END_DECLS

#endif
