/* Everything of the nn layer. A program that trains models of its own includes this one header. */
#ifndef REEL_NN_NN_H
#define REEL_NN_NN_H

#include "nn/adaptive.h"
#include "nn/attention.h"
#include "nn/attention_cache.h"
#include "nn/average.h"
#include "nn/batch_norm.h"
#include "nn/comm.h"
#include "nn/convolution.h"
#include "nn/crf.h"
#include "nn/data.h"
#include "nn/decoding.h"
#include "nn/embedding.h"
#include "nn/inspect.h"
#include "nn/layers.h"
#include "nn/linear.h"
#include "nn/losses.h"
#include "nn/module.h"
#include "nn/multihead_attention.h"
#include "nn/optimizer.h"
#include "nn/parallel.h"
#include "nn/pieces.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"
#include "nn/scan.h"
#include "nn/sequence.h"
#include "nn/state_dict.h"
#include "nn/training_place.h"
#include "nn/transformer.h"
#include "tensor/tensor.h"

#endif
