/* Modules without parameters, and layer normalisation: what stands between the others. */
#ifndef REEL_NN_LAYERS_H
#define REEL_NN_LAYERS_H

#include "nn/module.h"
#include "nn/sequence.h"

REEL_BEGIN_DECLS

/* ---- Activations as modules, for nn_sequential() ---- */
typedef struct NnActivation {
    NnModule base;
    Var (*function)(Var x);
    int axis; /* of softmax */
} NnActivation;
typedef NnActivation NnTanh;
typedef NnActivation NnSigmoid;
typedef NnActivation NnRelu;
typedef NnActivation NnSoftmax;

/* Any function of one value: nn_activation_init(&m, var_softplus). */
void nn_activation_init(NnActivation *m, Var (*function)(Var x));
Var nn_activation(NnActivation *m, Var x);
void nn_tanh_init(NnTanh *m);
void nn_sigmoid_init(NnSigmoid *m);
void nn_relu_init(NnRelu *m);
void nn_softmax_init(NnSoftmax *m, int axis);
Var nn_tanh(NnTanh *m, Var x);
Var nn_sigmoid(NnSigmoid *m, Var x);
Var nn_relu(NnRelu *m, Var x);
Var nn_softmax(NnSoftmax *m, Var x);

/* ---- Dropout: while training, zero with probability p, else x / (1 - p) (Srivastava et al. 2014) ---- */
typedef struct NnDropout {
    NnModule base;
    double p;
} NnDropout;

void nn_dropout_init(NnDropout *m, double p);
Var nn_dropout(NnDropout *m, Var x);
NnSequence nn_dropout_sequence(NnDropout *m, NnSequence x);
/* One mask for all rows of a text: x [N, D] (Gal & Ghahramani 2016, arXiv 1512.05287). */
NnSequence nn_dropout_locked(NnDropout *m, NnSequence x);

/* ---- Layer normalisation over the last axis (Ba et al. 2016, arXiv 1607.06450). Parameters: weight [D] (1
 * at first), bias [D] (0) ---- */
typedef struct NnLayerNorm {
    NnModule base;
    NnParameter weight, bias;
    double eps; /* 1e-5 */
} NnLayerNorm;

void nn_layer_norm_init(NnLayerNorm *m, int64_t width);
Var nn_layer_norm(NnLayerNorm *m, Var x);

/* ---- x / sqrt(mean(x^2) + eps) over the last axis, times weight [D], 1 at first (Zhang & Sennrich 2019,
 * arXiv 1910.07467) ---- */
typedef struct NnRmsNorm {
    NnModule base;
    NnParameter weight;
    double eps; /* 2^-23, PyTorch's for f32 */
} NnRmsNorm;

void nn_rms_norm_init(NnRmsNorm *m, int64_t width);
Var nn_rms_norm(NnRmsNorm *m, Var x);

/* ---- Sequential: parts in a row, named "0", "1", ... ---- */
enum { NN_SEQUENTIAL_MAX = 32 };
typedef struct NnSequential {
    NnModule base;
    int count;
    NnModule *parts[NN_SEQUENTIAL_MAX];
    int held_count;
    void *held[NN_SEQUENTIAL_MAX]; /* the structs that are its own */
} NnSequential;

void nn_sequential_init(NnSequential *m);
/* `part` is the `base` of an initialised module, whose init function has set `forward`. */
void nn_sequential_add(NnSequential *m, NnModule *part);
/* NN_APPEND(m, NnLinear, nn_linear_init, 784, 512): adds a part of that type whose struct is the module's
 * own, and freed with it; it is not to be a part of anything else. */
#define NN_APPEND(m, Type, ...)                                                                              \
    do {                                                                                                     \
        Type *nn_part_ = (Type *)nn_sequential_hold(m, sizeof(Type));                                        \
        if (nn_part_) {                                                                                      \
            NN_INIT_(nn_part_, __VA_ARGS__);                                                                 \
            nn_sequential_add(m, &nn_part_->base);                                                           \
        }                                                                                                    \
    } while (0)
/* Memory for the struct of a part, for NN_APPEND. NULL: an error was noted. */
void *nn_sequential_hold(NnSequential *m, size_t size);
Var nn_sequential(NnSequential *m, Var x);

/* ---- Losses as modules ---- */
typedef struct NnBce {
    NnModule base;
    VarReduction reduction;
    Tensor pos_weight; /* invalid: none; the memory is the caller's */
} NnBce;
typedef NnBce NnBceWithLogits;

void nn_bce_init(NnBce *m);
void nn_bce_with_logits_init(NnBceWithLogits *m);
Var nn_bce(NnBce *m, Var p, Var target);
Var nn_bce_with_logits(NnBceWithLogits *m, Var x, Var target);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_activation(...)       TAPE_TRACE(Var, nn_activation(__VA_ARGS__))
#define nn_rms_norm(...)         TAPE_TRACE(Var, nn_rms_norm(__VA_ARGS__))
#define nn_tanh(...)             TAPE_TRACE(Var, nn_tanh(__VA_ARGS__))
#define nn_sigmoid(...)          TAPE_TRACE(Var, nn_sigmoid(__VA_ARGS__))
#define nn_relu(...)             TAPE_TRACE(Var, nn_relu(__VA_ARGS__))
#define nn_softmax(...)          TAPE_TRACE(Var, nn_softmax(__VA_ARGS__))
#define nn_dropout(...)          TAPE_TRACE(Var, nn_dropout(__VA_ARGS__))
#define nn_dropout_sequence(...) TAPE_TRACE(NnSequence, nn_dropout_sequence(__VA_ARGS__))
#define nn_dropout_locked(...)   TAPE_TRACE(NnSequence, nn_dropout_locked(__VA_ARGS__))
#define nn_layer_norm(...)       TAPE_TRACE(Var, nn_layer_norm(__VA_ARGS__))
#define nn_sequential(...)       TAPE_TRACE(Var, nn_sequential(__VA_ARGS__))
#define nn_bce(...)              TAPE_TRACE(Var, nn_bce(__VA_ARGS__))
#define nn_bce_with_logits(...)  TAPE_TRACE(Var, nn_bce_with_logits(__VA_ARGS__))
#endif

#endif
