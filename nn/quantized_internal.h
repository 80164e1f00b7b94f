/* A parameter of 8 bits as a file has it (state_dict.h): read in whole when it is loaded, or kept so, and
 * rows made floats when they are read. */
#ifndef REEL_NN_QUANTIZED_INTERNAL_H
#define REEL_NN_QUANTIZED_INTERNAL_H

#include "nn/module.h"
#include "tensor/storage/npz.h"

/* In front of the name of the weight that they are for. */
#define NN_SCALES "reel/scales/"

/* Whether a member of a file is a matrix of 8 bits. */
bool nn_is_quantized(const TensorNpzMember *member);
/* Opens the weight `name`, the member `rows` of the file; what lies in the file's memory stays there. `name`
 * is the file's. Errors: its scales are missing or cannot be, no memory. */
ReelStatus nn_quantized_open(NnQuantized **quantized, const TensorNpz *npz, const TensorNpzMember *rows,
                             const char *name);
/* NULL is allowed. */
void nn_quantized_free(NnQuantized *quantized);
/* All its rows, f32 [rows, ...]. */
void nn_quantized_read(const NnQuantized *quantized, Tensor out);
/* From now on the parameter, which has no value or another of 8 bits, is this one, and owns it. */
void nn_quantized_keep(NnParameter *parameter, NnQuantized *quantized);
/* The parameter has no value any more. */
void nn_quantized_drop(NnParameter *parameter);

#endif
