/* What the files that read archives share: npz_reader.c opens files and gives their members, npz_directory.c
 * checks the frame of a .npz file's records, safetensors_reader.c and npy_reader.c those of the other
 * formats, npz_stream.c reads and inflates the contents, npz_messages.c says what is wrong with a file. */
#ifndef REEL_TENSOR_NPZ_READER_INTERNAL_H
#define REEL_TENSOR_NPZ_READER_INTERNAL_H

#include "tensor/storage/npz_reader.h"

struct TensorNpz {
    char *path;
    int fd;              /* -1: the bytes are in memory */
    const uint8_t *data; /* where they are in memory */
    void *map;           /* NULL: they are the caller's */
    uint64_t size;
    bool is_bare;      /* .safetensors or .npy: without checksums; no member is deflated, none has a header */
    TensorArena arena; /* holds the members and their names */
    TensorNpzMember *members;
    const TensorNpzMember **by_name; /* sorted */
    int count;
};

/* ---- Messages ---- */

#define NPZ_RESTORE "the file is damaged, restore it from a copy or save it again"
#define NPZ_REWRITE "write it again with numpy.savez_compressed or with Reel"

ReelStatus tensor_npz_damaged(const TensorNpz *npz, const char *what);
ReelStatus tensor_npz_damaged_member(const TensorNpz *npz, const char *name, const char *what);
/* It is sound, but Reel does not read such. */
ReelStatus tensor_npz_unsupported(const TensorNpz *npz, const char *name, const char *what);

/* ---- The frame ---- */

/* Reads the directory into members and by_name. They lie end to end from the first byte on, their local
 * headers say the same, and no name is there twice; their contents, and so `array` and `bytes`, are not yet
 * known. */
ReelStatus tensor_npz_read_directory(TensorNpz *npz);
/* The same from the header of a .safetensors file; `array` and `bytes` are then known. */
ReelStatus tensor_npz_read_safetensors(TensorNpz *npz);
/* Whether that is what the file, by its name or its first bytes, is meant to be. */
bool tensor_npz_looks_like_safetensors(const TensorNpz *npz);
/* The same of a .npy file, whose one member is "array"; whether that is what the file is. */
ReelStatus tensor_npz_read_npy(TensorNpz *npz);
bool tensor_npz_looks_like_npy(const TensorNpz *npz);
/* Sorts by_name. An error: a name is there twice. */
ReelStatus tensor_npz_index_names(TensorNpz *npz);
/* Orders pointers to members by their names. */
int tensor_npz_compare_members(const void *a, const void *b);

/* ---- The contents ---- */

/* Bytes of the file, all of them or an error. */
ReelStatus tensor_npz_read_at(const TensorNpz *npz, uint64_t offset, void *out, size_t size);
/* Reads a member through a small buffer: its length and CRC-32 must be right. Fills in `bytes`, and `array`
 * from an array's header, or `unreadable` where that cannot be or does not fit the length. */
ReelStatus tensor_npz_check_contents(TensorNpz *npz, TensorNpzMember *member);
/* What is behind the first `skip` bytes of a member, as it is in the file; length and CRC-32 are checked
 * again. */
ReelStatus tensor_npz_read_plain(const TensorNpz *npz, const TensorNpzMember *member, size_t skip, void *out);

#endif
