/* Saving and loading the parameters of a module, of the zoo or of your own:
 *
 *     ReelStatus status = nn_save(&my_model.base, "my_model.npz");
 *     ...
 *     my_model_init(&my_model);                        // no nn_module_reset() is needed
 *     status = nn_load(&my_model.base, "my_model.npz");
 *
 * The file is a .npz with one array for each parameter under its state_dict name, as
 * numpy.savez_compressed(path, **{k: v.numpy() for k, v in model.state_dict().items()}) writes it. Members
 * whose names begin with "reel/" are not parameters. A .safetensors file does as well. docs/checkpoints.md
 * describes what Reel puts there. */
#ifndef REEL_NN_STATE_DICT_H
#define REEL_NN_STATE_DICT_H

#include "nn/module.h"
#include "tensor/storage/json_writer.h"
#include "tensor/storage/npz.h"

REEL_BEGIN_DECLS

/* Writes all parameters: to a path that ends in ".safetensors" in that format, else as .npz, deflated at
 * zlib's level 1; the file appears whole or not at all. A parameter that an optimizer updates late is written
 * as its current value. */
ReelStatus nn_save(NnModule *module, const char *path);
/* Reads all parameters, allocating those that have no value yet (as f32). Errors, with the parameter's name:
 * one is missing, has another shape or type, or is too many; the module is then as it was. An optimizer that
 * lives goes on from the new values with the state that it has. */
ReelStatus nn_load(NnModule *module, const char *path);

typedef struct NnLoadOptions {
    bool allow_missing; /* parameters without an array in the file keep their values */
    bool allow_extra;   /* arrays without a parameter are passed over */
    bool in_place; /* values that have no memory yet stay where the file has them, where they lie there as
                    * the model wants them (tensor_npz_view()): the file must then stay open as long as
                    * the module */
    bool convert;  /* bf16, f16, f32 and f64 are converted to the parameter's type */
    const char *prefix; /* NULL, or what stands before each name in the file: "module.", "_orig_mod." */
} NnLoadOptions;

/* The same from an open file. */
ReelStatus nn_load_from(NnModule *module, const TensorNpz *npz, NnLoadOptions options);
/* Whether a member is for Reel: named "reel/...". */
bool nn_is_reel_member(const char *name);

/* ---- A file to be, in memory ----
 *
 * Copies of what is to be written, so that a thread can write them while training goes on. Errors stick: the
 * first one is what nn_snapshot_write() returns. */

typedef struct NnSnapshotMember NnSnapshotMember;

typedef struct NnSnapshot {
    TensorArena arena;
    NnSnapshotMember *first, *last;
    ReelStatus status;
} NnSnapshot;

void nn_snapshot_init(NnSnapshot *snapshot);
void nn_snapshot_free(NnSnapshot *snapshot);
/* Empty again; the memory is kept. */
void nn_snapshot_clear(NnSnapshot *snapshot);
/* Adds a copy of an array or of text. */
void nn_snapshot_tensor(NnSnapshot *snapshot, const char *name, Tensor tensor);
void nn_snapshot_bytes(NnSnapshot *snapshot, const char *name, const void *data, size_t size);
/* Adds a copy of a contiguous array of a type that Tensor lacks, as tensor_npz_add_array() takes it. */
void nn_snapshot_array(NnSnapshot *snapshot, const char *name, char kind, int item_bytes, int ndim,
                       const int64_t *shape, const void *data);
/* Adds the writer's text and frees the writer. */
void nn_snapshot_json(NnSnapshot *snapshot, const char *name, ReelJsonWriter *json);
/* Adds all parameters of a module, brought up to date, in state_dict order. */
void nn_snapshot_parameters(NnSnapshot *snapshot, NnModule *module);
/* The same, with matrices as 8 bits: NAME as int8, and reel/scales/NAME, f32, the number of each row by which
 * its integers are multiplied. Loading such a file makes floats of them; with NnLoadOptions.in_place an
 * embedding stays as it is, and its rows are made floats when they are read, and products read matrices as 8
 * bits (tensor/byte_panels.h) until they are written. */
void nn_snapshot_quantized(NnSnapshot *snapshot, NnModule *module);
/* Adds a member of a file as it is there, array or not. */
void nn_snapshot_member(NnSnapshot *snapshot, const TensorNpz *npz, const TensorNpzMember *member);
/* Adds the members of another one, which must outlive this one's use: they are not copied. */
void nn_snapshot_append(NnSnapshot *snapshot, const NnSnapshot *from);
/* The name of member number i from 0, in the order in which they were added; NULL past the last one. */
const char *nn_snapshot_name(const NnSnapshot *snapshot, int i);
ReelStatus nn_snapshot_write(const NnSnapshot *snapshot, const char *path, TensorNpzOptions options);
/* The same into memory, which is empty at first. */
ReelStatus nn_snapshot_write_memory(const NnSnapshot *snapshot, ReelBytes *bytes, TensorNpzOptions options);

REEL_END_DECLS

#endif
