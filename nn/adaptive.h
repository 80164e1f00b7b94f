/* A softmax over many classes, most of which are rare (Grave et al. 2017, arXiv 1609.04309). */
#ifndef REEL_NN_ADAPTIVE_H
#define REEL_NN_ADAPTIVE_H

#include "nn/linear.h"

REEL_BEGIN_DECLS

/* Clusters of rare classes, at most. */
enum { NN_ADAPTIVE_MAX_CLUSTERS = 8 };

/* The classes of one cluster: x goes through a narrow layer to them. Parameters: 0.weight [width, in],
 * 1.weight [classes, width], as PyTorch's Sequential has them. */
typedef struct NnAdaptiveCluster {
    NnModule base;
    NnLinear narrow, out;
} NnAdaptiveCluster;

/* PyTorch's AdaptiveLogSoftmaxWithLoss. Classes are numbered from the most frequent one; those before the
 * first cutoff are in the head, beside a place for each cluster; cluster i has the classes from cutoff i up
 * to the next one, behind a layer of width in / div_value^(i + 1). Parameters: head.weight [cutoff 0 +
 * clusters, in], head.bias where it is asked for, tail.i.0.weight, tail.i.1.weight. */
typedef struct NnAdaptiveSoftmax {
    NnModule base;
    NnLinear head;
    NnAdaptiveCluster tail[NN_ADAPTIVE_MAX_CLUSTERS];
    int64_t classes, cutoffs[NN_ADAPTIVE_MAX_CLUSTERS + 1]; /* [clusters + 1]: the last one is `classes` */
    int clusters;
} NnAdaptiveSoftmax;

/* Where classes are cut, and how much narrower each cluster is than the one before it. */
typedef struct NnAdaptiveOptions {
    int64_t cutoffs[NN_ADAPTIVE_MAX_CLUSTERS]; /* growing, in (0, classes) */
    int count;                                 /* of them; 0: a full softmax */
    double div_value;                          /* 4 */
    bool head_bias;
} NnAdaptiveOptions;
/* No cutoffs, div_value 4, no bias. */
NnAdaptiveOptions nn_adaptive_options(void);

/* Errors, which nn_module_reset() returns: cutoffs that do not grow or are out of range, too many of them, a
 * cluster whose layer would have no width. */
void nn_adaptive_softmax_init(NnAdaptiveSoftmax *m, int64_t in, int64_t classes, NnAdaptiveOptions options);
/* Minus the log probability of each row's class: x [N, in], target i32 [N]. Costs the head for all rows, and
 * a cluster for the rows whose class is in it. */
Var nn_adaptive_softmax_loss(NnAdaptiveSoftmax *m, Var x, Var target, VarReduction reduction);
/* The log probabilities of all classes: [N, classes]. */
Var nn_adaptive_softmax_log_prob(NnAdaptiveSoftmax *m, Var x);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_adaptive_softmax_loss(...)     TAPE_TRACE(Var, nn_adaptive_softmax_loss(__VA_ARGS__))
#define nn_adaptive_softmax_log_prob(...) TAPE_TRACE(Var, nn_adaptive_softmax_log_prob(__VA_ARGS__))
#endif

#endif
