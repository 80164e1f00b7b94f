/* Convolutions and pooling over axes, in PyTorch's layouts. Over texts that are packed see
 * nn_conv1d_sequence() and nn/pooling.h. */
#ifndef REEL_NN_CONVOLUTION_H
#define REEL_NN_CONVOLUTION_H

#include "nn/linear.h"

REEL_BEGIN_DECLS

/* The same on both axes. */
typedef struct NnConvOptions {
    int stride;   /* from one window to the next */
    int padding;  /* zeros on each side */
    int dilation; /* from one element of a window to the next */
} NnConvOptions;
/* 1, 0, 1. */
NnConvOptions nn_conv_options(void);
/* 1, padding, 1. */
NnConvOptions nn_conv_padded(int padding);

/* out[b, o] = bias[o] + sum_c weight[o, c] * x[b, c], the cross-correlation. Parameters: weight [out, in,
 * kernel] or [out, in, kernel height, width] and bias [out], all U(-k, k), k = 1 / sqrt(in x window). */
typedef struct NnConv {
    NnModule base;
    NnParameter weight, bias;
    int64_t in, out;
    int kernel[2]; /* height (1 of one axis), width */
    int axes;      /* 1 or 2 */
    NnConvOptions options;
} NnConv;
/* The same struct; how many axes it has, init decides. */
typedef NnConv NnConv1d;
/* Of two axes. */
typedef NnConv NnConv2d;

/* Channels in and out, and the sizes of the window. */
void nn_conv1d_init(NnConv1d *m, int64_t in, int64_t out, int kernel, NnConvOptions options);
/* The same of two axes. */
void nn_conv2d_init(NnConv2d *m, int64_t in, int64_t out, int kernel_height, int kernel_width,
                    NnConvOptions options);
/* x [B, in, L] -> [B, out, L']. */
Var nn_conv1d(NnConv1d *m, Var x);
/* x [B, in, H, W] -> [B, out, H', W']. */
Var nn_conv2d(NnConv2d *m, Var x);
/* Over the words of texts, each by itself with zeros beyond its ends: rows [N, in] -> rows [N, out]. Row t's
 * window begins at t - padding; of a stride and dilation of 1. */
NnSequence nn_conv1d_sequence(NnConv1d *m, NnSequence x);

/* Over windows of the last axis (1d) or the last two, x [B, C, ...]; a window of `kernel` elements an axis
 * every `stride`. Padding is never the largest, and counts as zeros in the mean; it is at most half the
 * kernel. Ties share the gradient of the largest equally. */
Var nn_max_pool1d(Var x, int kernel, int stride, int padding);
Var nn_max_pool2d(Var x, int kernel, int stride, int padding);
Var nn_avg_pool1d(Var x, int kernel, int stride, int padding);
Var nn_avg_pool2d(Var x, int kernel, int stride, int padding);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_conv1d(...)          TAPE_TRACE(Var, nn_conv1d(__VA_ARGS__))
#define nn_conv2d(...)          TAPE_TRACE(Var, nn_conv2d(__VA_ARGS__))
#define nn_conv1d_sequence(...) TAPE_TRACE(NnSequence, nn_conv1d_sequence(__VA_ARGS__))
#define nn_max_pool1d(...)      TAPE_TRACE(Var, nn_max_pool1d(__VA_ARGS__))
#define nn_max_pool2d(...)      TAPE_TRACE(Var, nn_max_pool2d(__VA_ARGS__))
#define nn_avg_pool1d(...)      TAPE_TRACE(Var, nn_avg_pool1d(__VA_ARGS__))
#define nn_avg_pool2d(...)      TAPE_TRACE(Var, nn_avg_pool2d(__VA_ARGS__))
#endif

#endif
