#ifndef REEL_NN_LINEAR_H
#define REEL_NN_LINEAR_H

#include "nn/module.h"
#include "nn/sequence.h"

REEL_BEGIN_DECLS

/* y = x W^T + b. Parameters: weight [out, in], bias [out], both U(-1/sqrt(in), 1/sqrt(in)) at first. */
typedef struct NnLinear {
    NnModule base;
    NnParameter weight, bias;
    bool biased;
} NnLinear;

/* Declares weight [out, in] and bias [out], or no bias. */
void nn_linear_init(NnLinear *m, int64_t in, int64_t out);
void nn_linear_init_without_bias(NnLinear *m, int64_t in, int64_t out);
/* How PyTorch draws the weights and biases of a layer that sums `in` products: U(-1/sqrt(in), 1/sqrt(in)). */
NnInit nn_init_linear(int64_t in);
/* x [N, in] -> [N, out]. */
Var nn_linear(NnLinear *m, Var x);
/* The same for each row of a sequence. */
NnSequence nn_linear_sequence(NnLinear *m, NnSequence x);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_linear(...)          TAPE_TRACE(Var, nn_linear(__VA_ARGS__))
#define nn_linear_sequence(...) TAPE_TRACE(NnSequence, nn_linear_sequence(__VA_ARGS__))
#endif

#endif
