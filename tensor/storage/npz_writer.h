/* Writes a .npz file: arrays and plain members, deflated, atomically.
 *
 *     TensorNpzWriter *writer;
 *     ReelStatus status = tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1});
 *     if (!reel_status_is_ok(&status))
 *         return status;
 *     tensor_npz_add_tensor(writer, "fc.weight", weight);
 *     tensor_npz_add_bytes(writer, "reel/config.json", text, strlen(text));
 *     return tensor_npz_writer_finish(writer);
 *
 * Errors stick to the writer: what is added after one is ignored, and finishing reports the first.
 * What is added is copied before the call returns. The bytes of the file depend on what was added and on
 * the level, not on the time. (Another release of zlib may deflate to other bytes; they inflate to the same.)
 */
#ifndef REEL_TENSOR_NPZ_WRITER_H
#define REEL_TENSOR_NPZ_WRITER_H

#include "tensor/bytes.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* How a file is written. */
typedef struct TensorNpzOptions {
    int level;  /* 0: stored as it is, to 9: zlib's levels. Up to 6, floats are searched for runs only, which
                 * is faster and no worse; 7 to 9 search them for repeated stretches too. */
    bool zip64; /* 64-bit records also where the sizes do not need them (for tests) */
    bool in_place; /* the elements of each array begin at a multiple of TENSOR_NPY_ALIGNMENT bytes, to be read
                    * where they lie (tensor_npz_view()); with level 0 alone */
} TensorNpzOptions;

/* A file that is being written. */
typedef struct TensorNpzWriter TensorNpzWriter;

/* Opens the temporary file beside `path`; see atomic_file.h. */
ReelStatus tensor_npz_writer_open(TensorNpzWriter **writer, const char *path, TensorNpzOptions options);
/* The same into memory, which is the caller's: empty at first, and the file when finishing has succeeded. */
ReelStatus tensor_npz_writer_open_memory(TensorNpzWriter **writer, ReelBytes *bytes,
                                         TensorNpzOptions options);

/* Adds a view with any strides as the array `name`.npy, little-endian, in C order. */
void tensor_npz_add_tensor(TensorNpzWriter *writer, const char *name, Tensor tensor);
/* Adds a contiguous array of a type that Tensor lacks. `kind` is NumPy's letter ('f', 'i', 'u', 'b') and
 * `item_bytes` the size of an element in this machine's byte order: ('u', 1) is uint8. At most
 * TENSOR_NPY_MAX_DIMS axes. */
void tensor_npz_add_array(TensorNpzWriter *writer, const char *name, char kind, int item_bytes, int ndim,
                          const int64_t *shape, const void *data);
/* Adds an array as a whole .npy file, header and elements, whatever its type: what tensor_npz_read_whole()
 * gives. */
void tensor_npz_add_npy(TensorNpzWriter *writer, const char *name, const void *npy, size_t size);
/* Adds a member that is not an array; numpy.load gives it as bytes. Its name must not end in ".npy". */
void tensor_npz_add_bytes(TensorNpzWriter *writer, const char *name, const void *data, size_t size);

/* Writes the directory and puts the file in place, or on failure keeps the old one. Always frees the writer.
 */
ReelStatus tensor_npz_writer_finish(TensorNpzWriter *writer);
/* Discards the new file, keeps the old one, and frees the writer. NULL is allowed. */
void tensor_npz_writer_abandon(TensorNpzWriter *writer);

REEL_END_DECLS

#endif
