#include "nn/state_dict.h"

#include "nn/module_internal.h"
#include "nn/quantized_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/safetensors.h"

#include <stdio.h>
#include <string.h>

bool nn_is_reel_member(const char *name)
{
    return strncmp(name, "reel/", 5) == 0;
}

/* ---- Snapshots ---- */

struct NnSnapshotMember {
    const char *name;
    Tensor tensor; /* invalid: `bytes` counts */
    const void *bytes;
    size_t size;
    bool is_npy; /* the bytes are a whole .npy file */
    NnSnapshotMember *next;
};

void nn_snapshot_init(NnSnapshot *snapshot)
{
    memset(snapshot, 0, sizeof *snapshot);
    tensor_arena_init(&snapshot->arena, 0);
    snapshot->status = reel_status_ok();
}

void nn_snapshot_free(NnSnapshot *snapshot)
{
    tensor_arena_free(&snapshot->arena);
    snapshot->first = snapshot->last = NULL;
}

void nn_snapshot_clear(NnSnapshot *snapshot)
{
    tensor_arena_reset(&snapshot->arena);
    snapshot->first = snapshot->last = NULL;
    snapshot->status = reel_status_ok();
}

static void fail(NnSnapshot *snapshot, ReelStatus status)
{
    if (reel_status_is_ok(&snapshot->status))
        snapshot->status = status;
}

/* A new member at the end, NULL where there is no memory or there was an error before. */
static NnSnapshotMember *add(NnSnapshot *snapshot, const char *name)
{
    if (!reel_status_is_ok(&snapshot->status))
        return NULL;
    NnSnapshotMember *member = tensor_arena_calloc(&snapshot->arena, sizeof *member);
    const char *copy = tensor_arena_memdup(&snapshot->arena, name, strlen(name) + 1);
    if (!member || !copy) {
        fail(snapshot, reel_status_no_memory(sizeof *member, name));
        return NULL;
    }
    member->name = copy;
    if (snapshot->last)
        snapshot->last->next = member;
    else
        snapshot->first = member;
    snapshot->last = member;
    return member;
}

void nn_snapshot_tensor(NnSnapshot *snapshot, const char *name, Tensor tensor)
{
    NnSnapshotMember *member = add(snapshot, name);
    if (!member)
        return;
    member->tensor = tensor_copy(&snapshot->arena, tensor);
    if (!tensor_is_valid(member->tensor))
        fail(snapshot,
             reel_status_no_memory((size_t)tensor_numel(&tensor) * tensor_dtype_size(tensor.dtype), name));
}

void nn_snapshot_bytes(NnSnapshot *snapshot, const char *name, const void *data, size_t size)
{
    NnSnapshotMember *member = add(snapshot, name);
    if (!member)
        return;
    member->bytes = tensor_arena_memdup(&snapshot->arena, data, size);
    member->size = size;
    if (!member->bytes)
        fail(snapshot, reel_status_no_memory(size, name));
}

void nn_snapshot_array(NnSnapshot *snapshot, const char *name, char kind, int item_bytes, int ndim,
                       const int64_t *shape, const void *data)
{
    char header[TENSOR_NPY_HEADER_CAPACITY];
    size_t length = tensor_npy_format(kind, item_bytes, ndim, shape, header), bytes = (size_t)item_bytes;
    NnSnapshotMember *member = add(snapshot, name);
    if (!member)
        return;
    for (int i = 0; i < ndim; i++)
        bytes *= (size_t)shape[i];
    char *npy = tensor_arena_alloc(&snapshot->arena, length + bytes);
    if (!npy) {
        fail(snapshot, reel_status_no_memory(length + bytes, name));
        return;
    }
    memcpy(npy, header, length);
    memcpy(npy + length, data, bytes);
    member->bytes = npy;
    member->size = length + bytes;
    member->is_npy = true;
}

void nn_snapshot_json(NnSnapshot *snapshot, const char *name, ReelJsonWriter *json)
{
    const char *text = reel_json_finish(json);
    if (text)
        nn_snapshot_bytes(snapshot, name, text, json->size);
    else
        fail(snapshot, reel_status_no_memory(json->size, name));
    reel_json_free(json);
}

void nn_snapshot_parameters(NnSnapshot *snapshot, NnModule *module)
{
    ReelStatus status = nn_module_status(module);
    if (!reel_status_is_ok(&status))
        fail(snapshot, status);
    /* Names of the same parameter follow each other mostly, and its rows are read once for all of them. */
    const NnParameter *read = NULL;
    Tensor current = tensor_invalid();
    for (NnIterator it = nn_iterate(module); nn_next(&it);) {
        const NnNamed *named = &it.named;
        status = nn_parameter_status(named->parameter);
        if (!reel_status_is_ok(&status))
            fail(snapshot, status);
        if (!named->parameter->core.read) {
            nn_snapshot_tensor(snapshot, named->name, nn_named_view(named));
            continue;
        }
        NnSnapshotMember *member = add(snapshot, named->name);
        if (!member)
            return;
        if (read != named->parameter)
            current = tape_parameter_snapshot(&named->parameter->core, &snapshot->arena);
        read = named->parameter;
        member->tensor = tensor_slice(current, 0, named->first, named->first + named->rows, 1);
        if (!tensor_is_valid(member->tensor))
            fail(snapshot, reel_status_failed("%s: out of memory for a copy of the parameter", named->name));
    }
}

void nn_snapshot_member(NnSnapshot *snapshot, const TensorNpz *npz, const TensorNpzMember *from)
{
    NnSnapshotMember *member = add(snapshot, from->name);
    if (!member)
        return;
    member->is_npy = from->is_array;
    ReelStatus status = tensor_npz_read_whole(npz, from, &snapshot->arena, &member->bytes, &member->size);
    if (!reel_status_is_ok(&status))
        fail(snapshot, status);
}

void nn_snapshot_append(NnSnapshot *snapshot, const NnSnapshot *from)
{
    for (const NnSnapshotMember *m = from->first; m; m = m->next) {
        NnSnapshotMember *member = add(snapshot, m->name);
        if (!member)
            return;
        const char *name = member->name;
        *member = *m;
        member->name = name;
        member->next = NULL;
    }
    if (!reel_status_is_ok(&from->status))
        fail(snapshot, from->status);
}

const char *nn_snapshot_name(const NnSnapshot *snapshot, int i)
{
    const NnSnapshotMember *member = snapshot->first;
    while (member && i-- > 0)
        member = member->next;
    return member ? member->name : NULL;
}

static ReelStatus write_members(const NnSnapshot *snapshot, TensorNpzWriter *writer)
{
    for (const NnSnapshotMember *m = snapshot->first; m; m = m->next) {
        if (tensor_is_valid(m->tensor))
            tensor_npz_add_tensor(writer, m->name, m->tensor);
        else if (m->is_npy)
            tensor_npz_add_npy(writer, m->name, m->bytes, m->size);
        else
            tensor_npz_add_bytes(writer, m->name, m->bytes, m->size);
    }
    return tensor_npz_writer_finish(writer);
}

ReelStatus nn_snapshot_write(const NnSnapshot *snapshot, const char *path, TensorNpzOptions options)
{
    TensorNpzWriter *writer;
    ReelStatus status = snapshot->status;
    if (reel_status_is_ok(&status))
        status = tensor_npz_writer_open(&writer, path, options);
    return reel_status_is_ok(&status) ? write_members(snapshot, writer) : status;
}

ReelStatus nn_snapshot_write_memory(const NnSnapshot *snapshot, ReelBytes *bytes, TensorNpzOptions options)
{
    TensorNpzWriter *writer;
    ReelStatus status = snapshot->status;
    if (reel_status_is_ok(&status))
        status = tensor_npz_writer_open_memory(&writer, bytes, options);
    return reel_status_is_ok(&status) ? write_members(snapshot, writer) : status;
}

/* The tensors alone. */
static ReelStatus write_safetensors(NnSnapshot *snapshot, const char *path)
{
    int count = 0;
    for (const NnSnapshotMember *m = snapshot->first; m; m = m->next)
        count++;
    TensorSafetensorsEntry *entries = tensor_arena_alloc(&snapshot->arena, (size_t)count * sizeof *entries);
    if (!reel_status_is_ok(&snapshot->status))
        return snapshot->status;
    if (!entries)
        return reel_status_no_memory((size_t)count * sizeof *entries, path);
    count = 0;
    for (const NnSnapshotMember *m = snapshot->first; m; m = m->next)
        entries[count++] = (TensorSafetensorsEntry){m->name, m->tensor};
    return tensor_safetensors_write(path, entries, count);
}

ReelStatus nn_save(NnModule *module, const char *path)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    nn_snapshot_parameters(&snapshot, module);
    ReelStatus status = tensor_safetensors_is_path(path)
                            ? write_safetensors(&snapshot, path)
                            : nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 1});
    nn_snapshot_free(&snapshot);
    return status;
}

/* ---- Loading ---- */

static TensorDtype dtype_of(const NnParameter *parameter)
{
    if (parameter->dtype != TENSOR_DTYPE_NONE)
        return parameter->dtype;
    return tensor_is_valid(parameter->core.value) ? parameter->core.value.dtype : TENSOR_F32;
}

static bool same_shape(const NnNamed *named, const TensorNpzMember *member)
{
    const NnParameter *p = named->parameter;
    bool same = member->array.ndim == p->ndim && (p->ndim == 0 || member->array.shape[0] == named->rows);
    for (int i = 1; same && i < p->ndim; i++)
        same = member->array.shape[i] == p->shape[i];
    return same;
}

static ReelStatus shape_differs(const NnNamed *named, const TensorNpz *npz, const TensorNpzMember *member)
{
    char in_file[TENSOR_SHAPE_TEXT_SIZE], in_model[TENSOR_SHAPE_TEXT_SIZE];
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, named->parameter->shape, sizeof shape);
    shape[0] = named->rows;
    int ndim = member->array.ndim;
    if (ndim > TENSOR_MAX_DIMS)
        snprintf(in_file, sizeof in_file, "of %d axes", ndim);
    else
        tensor_dims_text(ndim, member->array.shape, in_file);
    return reel_status_failed(
        "%s: parameter '%s' is %s in the file and %s in the model; load it into a model of "
        "the same sizes",
        tensor_npz_path(npz), named->name, in_file,
        tensor_dims_text(named->parameter->ndim, shape, in_model));
}

/* The parameter's name in the file; `text` has room for FILE_NAME_SIZE bytes. */
enum { FILE_NAME_SIZE = 2 * NN_NAME_SIZE };

static const char *name_in_file(const NnNamed *named, NnLoadOptions options, char *text)
{
    snprintf(text, FILE_NAME_SIZE, "%s%s", options.prefix ? options.prefix : "", named->name);
    return text;
}

/* How long the prefix is with which the file has the name, as wrappers such as DataParallel ("module.") and
 * torch.compile ("_orig_mod.") put it before all names; 0: there is none. */
static int find_prefix(const TensorNpz *npz, const char *name, const char **full)
{
    size_t length = strlen(name);
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        *full = tensor_npz_member(npz, i)->name;
        size_t whole = strlen(*full);
        if (whole > length + 1 && whole - length < NN_NAME_SIZE && (*full)[whole - length - 1] == '.' &&
            strcmp(*full + whole - length, name) == 0)
            return (int)(whole - length);
    }
    return 0;
}

static ReelStatus is_missing(const NnNamed *named, const TensorNpz *npz)
{
    const char *full;
    int prefix = find_prefix(npz, named->name, &full);
    if (prefix > 0)
        return reel_status_failed(
            "%s: parameter '%s' is '%.*s%s' in the file; take the prefix off with --init-prefix "
            "%.*s (reel-train) or NnLoadOptions.prefix",
            tensor_npz_path(npz), named->name, prefix, full, named->name, prefix, full);
    return reel_status_failed("%s: parameter '%s' is missing in the file; it was saved from another model",
                              tensor_npz_path(npz), named->name);
}

/* Whether the file has what the parameter needs; *member is NULL where it may keep its value. */
static ReelStatus check_parameter(const NnNamed *named, const TensorNpz *npz, NnLoadOptions options,
                                  const TensorNpzMember **member)
{
    const char *path = tensor_npz_path(npz);
    char type[32], name[FILE_NAME_SIZE];
    *member = tensor_npz_find(npz, name_in_file(named, options, name));
    if (!*member) {
        if (options.allow_missing && tensor_is_valid(named->parameter->core.value))
            return reel_status_ok();
        return is_missing(named, npz);
    }
    if (!(*member)->is_array)
        return reel_status_failed(
            "%s: '%s' is not an array in the file but a parameter of the model; save it with "
            "numpy.savez_compressed",
            path, named->name);
    if ((*member)->unreadable) {
        Tensor none;
        return tensor_npz_read_tensor(npz, *member, NULL, &none);
    }
    if (!same_shape(named, *member))
        return shape_differs(named, npz, *member);
    TensorDtype dtype = dtype_of(named->parameter);
    char kind = (*member)->array.kind;
    if (dtype == TENSOR_F32 && nn_is_quantized(*member))
        return reel_status_ok();
    bool fits = (kind == 'f' || kind == TENSOR_NPY_BFLOAT16) &&
                (options.convert || (*member)->array.item_bytes == (int64_t)tensor_dtype_size(dtype));
    if (dtype == TENSOR_I32 ? kind != 'i' && kind != 'u' : !fits)
        return reel_status_failed(
            "%s: parameter '%s' is of type %s in the file and %s in the model; save it as "
            "%s",
            path, named->name, tensor_npz_type_text(*member, type), tensor_dtype_name(dtype),
            dtype == TENSOR_I32   ? "int64"
            : dtype == TENSOR_F64 ? "float64"
                                  : "float32");
    return reel_status_ok();
}

static ReelStatus check_extra(NnModule *module, const TensorNpz *npz, NnLoadOptions options)
{
    NnNamed named;
    size_t prefix = options.prefix ? strlen(options.prefix) : 0;
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const char *name = tensor_npz_member(npz, i)->name;
        bool ours = prefix == 0 || strncmp(name, options.prefix, prefix) == 0;
        if (!nn_is_reel_member(name) && !(ours && nn_find(module, name + prefix, &named)))
            return reel_status_failed(
                "%s: '%.100s' is in the file and the model has no such parameter; it was "
                "saved from another model",
                tensor_npz_path(npz), name);
    }
    return reel_status_ok();
}

/* What is read is kept apart until all of it is there. */
typedef struct Read {
    NnNamed named;
    Tensor value;
    bool allocated;         /* the parameter had no memory before */
    bool in_place;          /* the value is to be the parameter's own */
    NnQuantized *quantized; /* and so is this; NULL: the value counts */
    bool of_bytes;          /* products may read it as 8 bits */
} Read;

static bool has_memory(const NnParameter *parameter)
{
    return tensor_is_valid(parameter->core.value) && !parameter->quantized;
}

static bool is_whole(const NnNamed *named)
{
    return named->first == 0 && (named->parameter->ndim == 0 || named->rows == named->parameter->shape[0]);
}

/* The value where the file has it, if it is one for a whole parameter without memory. */
static bool view_value(const NnNamed *named, const TensorNpz *npz, NnLoadOptions options,
                       const TensorNpzMember *member, Tensor *value)
{
    const NnParameter *p = named->parameter;
    return options.in_place && !has_memory(p) && is_whole(named) && tensor_npz_view(npz, member, value) &&
           value->dtype == dtype_of(p);
}

/* Of 8 bits: kept so where rows are read by their numbers, else made floats. */
static ReelStatus read_quantized(Read *read, const TensorNpz *npz, NnLoadOptions options,
                                 const TensorNpzMember *member, TensorArena *arena)
{
    const NnParameter *p = read->named.parameter;
    ReelStatus status = nn_quantized_open(&read->quantized, npz, member, member->name);
    if (!reel_status_is_ok(&status))
        return status;
    read->in_place =
        options.in_place && p->sparse && !p->is_shared && !has_memory(p) && is_whole(&read->named);
    if (read->in_place)
        return status;
    read->of_bytes = options.in_place && member->array.ndim == 2;
    read->value = tensor_new(arena, TENSOR_F32, member->array.ndim, member->array.shape);
    if (tensor_is_valid(read->value))
        nn_quantized_read(read->quantized, read->value);
    else
        status = reel_status_no_memory((size_t)member->array.count * sizeof(float), member->name);
    nn_quantized_free(read->quantized);
    read->quantized = NULL;
    return status;
}

static ReelStatus read_all(NnModule *module, const TensorNpz *npz, NnLoadOptions options, TensorArena *arena,
                           Read *reads, int *count)
{
    *count = 0;
    for (NnIterator it = nn_iterate(module); nn_next(&it);) {
        const TensorNpzMember *member;
        ReelStatus status = check_parameter(&it.named, npz, options, &member);
        Read *read = &reads[*count];
        if (reel_status_is_ok(&status) && member) {
            *read = (Read){.named = it.named};
            read->in_place = view_value(&it.named, npz, options, member, &read->value);
            if (nn_is_quantized(member) && dtype_of(it.named.parameter) == TENSOR_F32)
                status = read_quantized(read, npz, options, member, arena);
            else if (!read->in_place)
                status = tensor_npz_read_tensor(npz, member, arena, &read->value);
            ++*count;
        }
        if (!reel_status_is_ok(&status))
            return status;
    }
    return reel_status_ok();
}

/* Memory for the parameters that have none: for all of them or for none. */
static ReelStatus allocate_all(Read *reads, int count)
{
    ReelStatus status = reel_status_ok();
    for (int i = 0; reel_status_is_ok(&status) && i < count; i++) {
        reads[i].allocated = !reads[i].in_place && !has_memory(reads[i].named.parameter);
        if (reads[i].allocated)
            status = nn_parameter_allocate(reads[i].named.parameter, TENSOR_F32);
    }
    for (int i = 0; !reel_status_is_ok(&status) && i < count; i++)
        if (reads[i].allocated) {
            NnParameter *p = reads[i].named.parameter;
            reel_mem_free(p->core.value.data);
            p->core.value = tensor_invalid();
        }
    return status;
}

/* Whether an optimizer that updates rows late shows these values already: then its rows stay as they are, and
 * model and optimizer may be loaded in either order. */
static bool is_there(const NnNamed *named, Tensor value, TensorArena *arena)
{
    const TapeParameter *core = &named->parameter->core;
    if (!core->read || core->is_lost)
        return false;
    Tensor now = tape_parameter_snapshot(core, arena);
    return tensor_is_valid(now) &&
           tensor_equal(tensor_slice(now, 0, named->first, named->first + named->rows, 1), value);
}

static ReelStatus load(NnModule *module, const TensorNpz *npz, NnLoadOptions options, TensorArena *arena)
{
    size_t most = 0;
    int count = 0;
    for (NnIterator it = nn_iterate(module); nn_next(&it);)
        most++;
    Read *reads = tensor_arena_alloc(arena, most * sizeof *reads);
    if (!reads)
        return reel_status_no_memory(most * sizeof *reads, "the list of parameters");
    ReelStatus status = nn_module_status(module);
    if (reel_status_is_ok(&status))
        status = read_all(module, npz, options, arena, reads, &count);
    if (reel_status_is_ok(&status) && !options.allow_extra)
        status = check_extra(module, npz, options);
    if (reel_status_is_ok(&status))
        status = allocate_all(reads, count);
    for (int i = 0; reel_status_is_ok(&status) && i < count; i++) {
        NnParameter *p = reads[i].named.parameter;
        if (reads[i].quantized) {
            nn_quantized_keep(p, reads[i].quantized);
            reads[i].quantized = NULL;
            continue;
        }
        if (is_there(&reads[i].named, reads[i].value, arena))
            continue;
        nn_parameter_begin_write(p);
        if (reads[i].in_place)
            p->core.value = reads[i].value;
        else
            tensor_copy_into(nn_named_view(&reads[i].named), reads[i].value);
        p->is_borrowed = p->is_borrowed || reads[i].in_place;
        tape_parameter_changed(&p->core);
    }
    for (int i = 0; reel_status_is_ok(&status) && i < count; i++)
        if (reads[i].of_bytes && !tape_parameter_use_bytes(&reads[i].named.parameter->core))
            status = reel_status_no_memory((size_t)tensor_numel(&reads[i].value), reads[i].named.name);
    for (int i = 0; i < count; i++)
        nn_quantized_free(reads[i].quantized);
    return status;
}

ReelStatus nn_load_from(NnModule *module, const TensorNpz *npz, NnLoadOptions options)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = load(module, npz, options, &arena);
    tensor_arena_free(&arena);
    return status;
}

ReelStatus nn_load(NnModule *module, const char *path)
{
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, path);
    if (reel_status_is_ok(&status))
        status = nn_load_from(module, npz, (NnLoadOptions){0});
    tensor_npz_close(npz);
    return status;
}
