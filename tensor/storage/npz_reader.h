/* Reads .npz files, and trusts nothing in them that it has not verified. Files of the other format that
 * weights come in, safetensors.h, are opened and read by the same functions, and so is a .npy file: one
 * array, named "array".
 *
 * Opening checks the whole file once: every record and its copy, that the members lie end to end without
 * gap or overlap from the first byte to the directory, the names (UTF-8, relative, none twice), and every
 * member's length, CRC-32 and .npy header, by inflating it through a small buffer. Nothing is allocated on
 * the word of a header: when a shape is seen here, its elements have been there. A file that is cut or
 * has a byte changed is refused or gives exactly the same contents. Reading checks length and CRC again,
 * since the file may have been changed in between.
 *
 * A member that is sound but not for Reel (encrypted, packed by another method, of a type that NumPy does not
 * have) is listed with what is in the way, and refused when it is read. The whole file is refused, although
 * other programs may write such, for several disks, data descriptors (a .npz that was written to a pipe),
 * folders. */
#ifndef REEL_TENSOR_NPZ_READER_H
#define REEL_TENSOR_NPZ_READER_H

#include "tensor/storage/npy.h"
#include "tensor/arena.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct TensorNpzMember {
    const char *name; /* as numpy.load gives it: an array's without ".npy" */
    bool is_array;
    const char *unreadable; /* NULL, or why its values cannot be read */
    bool locked;            /* nor its bytes: it is encrypted, or packed by another method */
    TensorNpyHeader array;  /* where is_array and not unreadable; `shape` is as NumPy shows it */
    uint64_t bytes;         /* of the contents, a readable array's without its header */
    bool deflated;          /* the rest says where it lies in the file */
    uint32_t crc;
    uint64_t offset, size, packed_size;
} TensorNpzMember;

/* An open file. */
typedef struct TensorNpz TensorNpz;

/* Opens and checks a file; *npz is NULL on failure. */
ReelStatus tensor_npz_open(TensorNpz **npz, const char *path);
/* The same, with the file mapped into memory where that can be, for tensor_npz_view(). The file must not be
 * shortened while it is open (one that another is renamed onto is not). */
ReelStatus tensor_npz_open_mapped(TensorNpz **npz, const char *path);
/* The same for bytes in memory, which must stay as they are until tensor_npz_close(). `label` stands for the
 * file's name in messages. */
ReelStatus tensor_npz_open_memory(TensorNpz **npz, const void *data, size_t size, const char *label);
/* NULL is allowed. */
void tensor_npz_close(TensorNpz *npz);

/* The path that it was opened with. */
const char *tensor_npz_path(const TensorNpz *npz);
/* The members in the order of the file, 0 to tensor_npz_count() - 1. They live as long as `npz`. */
int tensor_npz_count(const TensorNpz *npz);
const TensorNpzMember *tensor_npz_member(const TensorNpz *npz, int index);
/* NULL where there is none of this name. */
const TensorNpzMember *tensor_npz_find(const TensorNpz *npz, const char *name);

/* "f32", "f64", "i32" as Reel names them, and else NumPy's "<i8": for messages and listings. `text` has
 * room for 32 bytes and is returned. */
const char *tensor_npz_type_text(const TensorNpzMember *member, char *text);

/* An array as a contiguous tensor in the arena, whatever its byte order or its order in the file was:
 * bf16, f16 and f32 as TENSOR_F32, f64 as TENSOR_F64, bool and integers as TENSOR_I32 (an error where a value
 * does not fit). Other types and more than TENSOR_MAX_DIMS axes are errors. Threads may read at once, each
 * into an arena of its own. */
ReelStatus tensor_npz_read_tensor(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                  Tensor *tensor);
/* The array where it lies in mapped or given memory, a view that lives as long as `npz`; false where it is
 * not there as a tensor has it: deflated, converted, in another order, not aligned (TENSOR_NPY_ALIGNMENT), or
 * the file is not in memory. What is written to a mapped one is this process's alone. */
bool tensor_npz_view(const TensorNpz *npz, const TensorNpzMember *member, Tensor *tensor);
/* The same of any type: its elements in C order and this machine's byte order. */
bool tensor_npz_view_bytes(const TensorNpz *npz, const TensorNpzMember *member, const void **data);
/* The array of a .npy file, or the only one of an archive. */
ReelStatus tensor_npy_read(const char *path, TensorArena *arena, Tensor *tensor);
/* The contents in the arena: of an array its elements in C order and this machine's byte order, without
 * the header; of any other member its bytes. A zero byte, not counted, stands behind. */
ReelStatus tensor_npz_read_bytes(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                 const void **data, size_t *size);
/* All bytes of the member as they are in the file, an array's with its header: what tensor_npz_add_npy()
 * takes. */
ReelStatus tensor_npz_read_whole(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                 const void **data, size_t *size);

REEL_END_DECLS

#endif
