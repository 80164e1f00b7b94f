/* The header of NumPy's .npy format, versions 1.0, 2.0 and 3.0
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
 *
 *     "\x93NUMPY" major minor length  {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } \n
 *
 * with the length in 2 bytes (1.0) or 4 (2.0, 3.0), followed by the elements. */
#ifndef REEL_TENSOR_NPY_H
#define REEL_TENSOR_NPY_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum {
    TENSOR_NPY_MAX_DIMS = 32,      /* NumPy's own limit before 2.0 */
    TENSOR_NPY_MAX_HEADER = 65536, /* longest header read; NumPy reads 10,000 bytes unless told otherwise */
    TENSOR_NPY_HEADER_CAPACITY = 2048, /* room for any header that tensor_npy_format() writes */
    TENSOR_NPY_REASON_SIZE = 160,
    TENSOR_NPY_ALIGNMENT = 64 /* of the length of headers, as NumPy writes them */
};

/* bfloat16, which NumPy does not have but other files (safetensors.h). */
#define TENSOR_NPY_BFLOAT16 'B'

/* What the header of an array says. */
typedef struct TensorNpyHeader {
    char kind;          /* NumPy's letter: f i u b c (complex) S U V (bytes) M m (times) O (pickled objects);
                         * TENSOR_NPY_BFLOAT16 */
    int64_t item_bytes; /* of one element in the file; 0 for O, whose length says nothing */
    bool big_endian;
    bool fortran_order; /* the first index varies fastest in the file */
    int ndim;
    int64_t shape[TENSOR_NPY_MAX_DIMS];
    int64_t count;       /* elements */
    int64_t bytes;       /* count * item_bytes: overflow has been ruled out */
    size_t header_bytes; /* offset of the first element */
} TensorNpyHeader;

/* Fills in `count` and `bytes` from shape and item_bytes. False: more than any memory. */
bool tensor_npy_count(TensorNpyHeader *header);

/* Bytes that must be read to know how long the header is. */
enum { TENSOR_NPY_PREFIX_BYTES = 12 };

/* The length of the whole header, prefix included, from its first TENSOR_NPY_PREFIX_BYTES bytes (`size` where
 * there are fewer). 0 where this is not a .npy file of a known version or the header is too long;
 * `reason` (room for TENSOR_NPY_REASON_SIZE bytes) then says why. */
size_t tensor_npy_header_length(const void *prefix, size_t size, char *reason);
/* Parses a whole header of `size` bytes: what NumPy reads back, old and new, and other writers' spellings of
 * the same ("<u1", "|f4", "(2L,)"). A byte order that is not said is taken for little-endian. All else is
 * refused, with a reason. */
bool tensor_npy_parse(const void *header, size_t size, TensorNpyHeader *result, char *reason);

/* Writes the header of a little-endian array in C order, version 1.0, padded as NumPy pads it so that
 * the elements start at a multiple of 64. `kind` and `item_bytes` as above. Returns its length;
 * `out` has room for TENSOR_NPY_HEADER_CAPACITY bytes. */
size_t tensor_npy_format(char kind, int item_bytes, int ndim, const int64_t *shape, char *out);

REEL_END_DECLS

#endif
