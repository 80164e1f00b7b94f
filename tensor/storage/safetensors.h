/* Hugging Face's .safetensors files (https://huggingface.co/docs/safetensors):
 *
 *     8 bytes: the header's length N, little-endian
 *     N bytes: JSON, {"fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}, blanks
 * behind the elements of all tensors, little-endian, in C order; offsets count from here
 *
 * tensor_npz_open() reads them, as it reads .npz files, and is as strict: the tensors lie end to end, without
 * gap or overlap, up to the end of the file, and no name is there twice. There are no checksums.
 * "__metadata__" (texts) is passed over. bfloat16 is read as f32; tensors of other types that Reel lacks
 * (float8) are listed as unreadable.
 *
 * This header writes them. */
#ifndef REEL_TENSOR_SAFETENSORS_H
#define REEL_TENSOR_SAFETENSORS_H

#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdbool.h>

REEL_BEGIN_DECLS

/* A tensor of a file to be. */
typedef struct TensorSafetensorsEntry {
    const char *name; /* UTF-8 */
    Tensor tensor;    /* with any strides */
} TensorSafetensorsEntry;

/* Whether a path ends in ".safetensors". */
bool tensor_safetensors_is_path(const char *path);
/* Writes the tensors in this order, with the metadata {"format": "pt"} that other readers look for. The file
 * appears whole or not at all, and its bytes depend on the entries alone. Errors: a name that is not text or
 * is there twice, a tensor that is not valid, no memory, those of the disk. */
ReelStatus tensor_safetensors_write(const char *path, const TensorSafetensorsEntry *entries, int count);

REEL_END_DECLS

#endif
