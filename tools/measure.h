/* One op on large inputs, run again and again, to find what it costs. The inputs are those that its sample
 * draws (autograd/op.h), with op_sample_size() as large as it takes. */
#ifndef REEL_TOOLS_MEASURE_H
#define REEL_TOOLS_MEASURE_H

#include "autograd/gradcheck.h"

enum { MEASURE_REPEATS = 1000, MEASURE_INPUTS = 16 };

/* What one direction of an op costs. */
typedef struct MeasureCost {
    double times[MEASURE_REPEATS]; /* seconds */
    int count;                     /* of them; 0: there is no such direction, or it failed */
    double gflop;                  /* of products, each time */
} MeasureCost;

/* An op that is measured. */
typedef struct OpMeasure {
    OpKind *op, real; /* the registered op, and what it was */
    Tape *tape;
    TensorArena arena;    /* of the inputs */
    char shapes[64];      /* of the inputs, "[3, 4] [4]", cut where they are too long */
    int64_t elements;     /* of all inputs and the output */
    int64_t input_bytes;  /* of all inputs */
    int64_t output_bytes; /* of the outputs; 0 where the output is a view of an input */
    int64_t grad_bytes;   /* that backward makes: 0 where gradients are views of its own */
    double seconds;       /* how long each direction runs */
    MeasureCost forward, backward;
    double entered; /* when backward began; 0: not yet */
    bool runs;      /* forward is measured when it is next called */
} OpMeasure;

/* Draws f32 inputs of about `elements` elements, the output's among them, and measures forward alone, and
 * backward alone for random gradients with all that the walk does for the op's inputs, for some `seconds` and
 * five times at least. Errors: an op without a sample, one whose sample does not use it, no memory. */
ReelStatus measure_op(OpMeasure *measure, const OpKind *op, int64_t elements, uint64_t seed, double seconds);

#endif
