#ifndef REEL_TENSOR_CLOCK_H
#define REEL_TENSOR_CLOCK_H

#include "tensor/decls.h"

REEL_BEGIN_DECLS

/* Seconds of a clock that only goes forward, from an arbitrary start. */
double reel_clock_seconds(void);

REEL_END_DECLS

#endif
