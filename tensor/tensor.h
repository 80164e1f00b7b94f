/* Everything of the tensor layer: strided views, memory, kernels, products, random numbers. */
#ifndef REEL_TENSOR_TENSOR_H
#define REEL_TENSOR_TENSOR_H

#include "tensor/arena.h"
#include "tensor/byte_panels.h"
#include "tensor/bytes.h"
#include "tensor/elementwise.h"
#include "tensor/flops.h"
#include "tensor/functions.h"
#include "tensor/levels.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/mt19937.h"
#include "tensor/panels.h"
#include "tensor/pool.h"
#include "tensor/print.h"
#include "tensor/random.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"
#include "tensor/status.h"
#include "tensor/utf8.h"
#include "tensor/view.h"
#include "tensor/vmath.h"

#endif
