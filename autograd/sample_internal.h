/* The inputs that an op's sample draws; see "Inside sample" in autograd/op.h. */
#ifndef REEL_AUTOGRAD_SAMPLE_INTERNAL_H
#define REEL_AUTOGRAD_SAMPLE_INTERNAL_H

#include "autograd/gradcheck.h"

enum { SAMPLE_MAX_INPUTS = 16, SAMPLE_SIZES = 4 };

/* A sample is evaluated many times, on a new step of the tape each time. The first time makes the inputs;
 * later ones find them as they are, perturbed perhaps. */
struct OpSample {
    Tape *tape;
    TensorArena *arena; /* for the inputs: longer than a step */
    OpLayout layout;
    TensorDtype dtype;
    uint64_t seed;
    TensorRandom choices; /* starts anew with each evaluation */
    int64_t sizes[SAMPLE_SIZES];
    int count;      /* inputs that exist, constants among them */
    int next;       /* the one that is drawn next in this evaluation */
    int leaf_count; /* inputs with a gradient that exist */
    int next_leaf;  /* the one of these that is drawn next */
    Tensor inputs[SAMPLE_MAX_INPUTS];
    Tensor leaves[SAMPLE_MAX_INPUTS]; /* those of `inputs` that have a gradient */
    Var vars[SAMPLE_MAX_INPUTS];      /* their handles in this evaluation */
};

void op_sample_init(OpSample *s, Tape *tape, TensorArena *arena, OpLayout layout, TensorDtype dtype,
                    uint64_t seed);
/* Before each evaluation, after tape_begin(). */
void op_sample_begin(OpSample *s);

#endif
