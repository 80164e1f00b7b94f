/* What tests ask of tensor/vmath.h. */
#ifndef REEL_TENSOR_VMATH_INTERNAL_H
#define REEL_TENSOR_VMATH_INTERNAL_H

#include "tensor/vmath.h"

/* Takes that version from now on; false where the processor lacks it. Not while other threads compute. */
bool tensor_vmath_set_level(TensorVmathLevel level);

#endif
