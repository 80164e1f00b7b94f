/* Everything of the autograd layer: the tape, the ops, how to write one, and how to check it. */
#ifndef REEL_AUTOGRAD_AUTOGRAD_H
#define REEL_AUTOGRAD_AUTOGRAD_H

#include "autograd/draw.h"
#include "autograd/gradcheck.h"
#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/parameter.h"
#include "autograd/profile.h"
#include "autograd/tape.h"
#include "autograd/trace.h"

#endif
