#include "nn/module_internal.h"
#include "nn/quantized_internal.h"
#include "tensor/mem.h"
#include "tensor/view.h"

#include <stdio.h>
#include <string.h>

/* ---- Building ---- */

void nn_module_init(NnModule *module)
{
    memset(module, 0, sizeof *module);
    module->self = module;
    module->scope.name = "";
    module->training = true;
    module->status = reel_status_ok();
}

void nn_module_fail(NnModule *module, ReelStatus status)
{
    if (module->self == module && reel_status_is_ok(&module->status))
        module->status = status;
}

/* Notes that the name stands for something else already; true where it is free. */
static bool name_is_free(NnModule *module, const char *name)
{
    char path[NN_NAME_SIZE];
    if (!nn_module_has_name(module, name))
        return true;
    nn_module_path(module, path);
    nn_module_fail(module,
                   reel_status_usage("%s%s: the name is taken by another part or parameter", path, name));
    return false;
}

/* The same for what a part that adds nothing to names brings with it. */
static bool names_are_free(NnModule *module, const NnModule *part)
{
    const char *name;
    for (int i = 0; (name = nn_module_own_name(part, i)); i++)
        if (!name_is_free(module, name))
            return false;
    for (const NnPart *inner = part->names ? NULL : part->parts; inner; inner = inner->next)
        if (*inner->name ? !name_is_free(module, inner->name) : !names_are_free(module, inner->module))
            return false;
    return true;
}

static bool has_part(const NnModule *module, const NnModule *part, const char *name)
{
    for (const NnPart *p = module->parts; p; p = p->next)
        if (p->module == part && strcmp(p->name, name) == 0)
            return true;
    return false;
}

/* Whether the part may be added; notes why not. */
static bool may_add(NnModule *module, NnModule *part, const char *name)
{
    ReelStatus status = nn_module_stays(part);
    if (!reel_status_is_ok(&status))
        nn_module_fail(module, status);
    else if (part == module || nn_module_contains(part, module))
        nn_module_fail(module, reel_status_usage("%s: a module cannot be a part of itself", name));
    else if (nn_module_depth(module) + 1 + nn_module_height(part) > NN_MAX_DEPTH)
        nn_module_fail(module, reel_status_usage("%s: more than %d parts within parts", name, NN_MAX_DEPTH));
    else
        return *name ? name_is_free(module, name) : names_are_free(module, part);
    return false;
}

/* The use that was made; NULL where the part may not be added, or is there already. */
static NnPart *add_part(NnModule *module, NnModule *part, const char *name)
{
    if (module->self != module || has_part(module, part, name) || !may_add(module, part, name))
        return NULL;
    NnPart *use = part->uses == 0 ? &part->first_use : reel_mem_calloc(1, sizeof *use);
    if (!use) {
        nn_module_fail(module, reel_status_no_memory(sizeof *use, name));
        return NULL;
    }
    *use = (NnPart){.module = part, .name = name};
    if (part->uses++ == 0) {
        part->scope = (TapeScope){.name = name, .parent = &module->scope};
        part->parent = module;
    }
    NnPart **link = &module->parts;
    while (*link)
        link = &(*link)->next;
    *link = use;
    return use;
}

void nn_module_add(NnModule *module, NnModule *part, const char *name)
{
    add_part(module, part, name);
}

void nn_module_add_at(NnModule *module, NnModule *part, const char *name, int i)
{
    char numbered[NN_NUMBERED_SIZE];
    int size = snprintf(numbered, sizeof numbered, "%s%s%d", name, *name ? "." : "", i);
    if (size >= NN_NUMBERED_SIZE) {
        nn_module_fail(module, reel_status_usage("%s.%d: the name of an array of parts has %d characters at "
                                                 "most",
                                                 name, i, NN_NUMBERED_SIZE - 12));
        return;
    }
    NnPart *use = add_part(module, part, numbered);
    if (!use)
        return;
    memcpy(use->numbered, numbered, sizeof numbered);
    use->name = use->numbered;
    if (use == &part->first_use)
        part->scope.name = use->numbered;
}

static bool has_parameter(const NnModule *module, const NnParameter *parameter)
{
    const NnParameter *p = module->parameters, *b = module->buffers;
    while (p && p != parameter)
        p = p->next;
    while (b && b != parameter)
        b = b->next;
    return p || b;
}

static bool declare(NnModule *module, NnParameter *parameter, int ndim, const int64_t *shape)
{
    if (module->self != module)
        return false;
    if (has_parameter(module, parameter)) {
        nn_module_fail(module, reel_status_usage("a parameter is declared twice; nn_parameter_tie() gives it "
                                                 "another name"));
        return false;
    }
    memset(parameter, 0, sizeof *parameter);
    tape_parameter_init(&parameter->core, tensor_invalid());
    parameter->self = parameter;
    parameter->module = module;
    if (ndim < 0 || ndim > TENSOR_MAX_DIMS) {
        nn_module_fail(
            module, reel_status_failed("a parameter must have 0 to %d axes, not %d", TENSOR_MAX_DIMS, ndim));
        return false;
    }
    parameter->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        parameter->shape[i] = shape[i];
        if (shape[i] < 1)
            nn_module_fail(module, reel_status_failed("a parameter's sizes must be at least 1, not %lld",
                                                      (long long)shape[i]));
    }
    return true;
}

static void append(NnParameter **link, NnParameter *parameter)
{
    while (*link)
        link = &(*link)->next;
    *link = parameter;
}

void nn_module_add_parameter(NnModule *module, NnParameter *parameter, const char *name, int ndim,
                             const int64_t *shape, NnInit init)
{
    bool is_free = module->self == module && name_is_free(module, name);
    if (!declare(module, parameter, ndim, shape))
        return;
    append(&module->parameters, parameter);
    parameter->name = is_free ? name : "";
    parameter->core.name = parameter->name;
    parameter->init = init;
}

void nn_module_add_buffer(NnModule *module, NnParameter *buffer, const char *name, TensorDtype dtype,
                          int ndim, const int64_t *shape, NnInit init)
{
    bool is_free = module->self == module && name_is_free(module, name);
    if (!declare(module, buffer, ndim, shape))
        return;
    append(&module->buffers, buffer);
    buffer->name = is_free ? name : "";
    buffer->core.name = buffer->name;
    buffer->init = init;
    buffer->is_buffer = true;
    buffer->dtype = dtype;
    buffer->core.frozen = true;
}

void nn_module_rename(NnModule *module, const NnName *names, int count)
{
    for (int i = 0; i < count; i++) {
        const NnName *name = &names[i];
        int64_t all = nn_name("", name->parameter).rows;
        if (all < 1)
            return; /* the module that declared it knows of the error */
        if (name->first < 0 || name->rows < 1 || name->first > all - name->rows) {
            nn_module_fail(module,
                           reel_status_usage("%s: %lld rows from %lld on are not in a parameter of %lld",
                                             name->name, (long long)name->rows, (long long)name->first,
                                             (long long)all));
            return;
        }
    }
    size_t size = (size_t)count * sizeof *names;
    reel_mem_free(module->names);
    module->names = reel_mem_alloc(size);
    if (!module->names) {
        nn_module_fail(module, reel_status_no_memory(size, "the names of parameters"));
        return;
    }
    memcpy(module->names, names, size);
    module->name_count = count;
}

void nn_parameter_tie(NnParameter *parameter, NnParameter *to)
{
    NnModule *module = parameter->module;
    char path[NN_NAME_SIZE], other[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    nn_parameter_path(to, other);
    bool same = parameter->ndim == to->ndim;
    for (int i = 0; same && i < to->ndim; i++)
        same = parameter->shape[i] == to->shape[i];
    if (parameter == to || parameter->is_shared || to->tied || !same || parameter->is_buffer ||
        to->is_buffer || tensor_is_valid(parameter->core.value)) {
        nn_module_fail(module,
                       reel_status_usage("%s cannot be tied to %s: both must be whole parameters of one "
                                         "shape, tied once and before there are values",
                                         path, other));
        return;
    }
    parameter->tied = to;
    parameter->is_shared = to->is_shared = true;
}

/* ---- Values ---- */

ReelStatus nn_parameter_allocate(NnParameter *parameter, TensorDtype dtype)
{
    Tensor *value = &parameter->core.value;
    dtype = parameter->dtype != TENSOR_DTYPE_NONE ? parameter->dtype : dtype;
    if (tensor_is_valid(*value) && value->dtype == dtype && !parameter->quantized)
        return reel_status_ok();
    char path[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    if (parameter->core.read && !parameter->quantized)
        return reel_status_failed(
            "%s: an optimizer updates it as %s; free the optimizer before the type changes", path,
            tensor_dtype_name(value->dtype));
    int64_t count = 1;
    for (int i = 0; i < parameter->ndim; i++)
        if (__builtin_mul_overflow(count, parameter->shape[i], &count))
            count = INT64_MAX / 8;
    size_t bytes = (size_t)count * tensor_dtype_size(dtype);
    void *data = reel_mem_alloc(bytes);
    if (!data)
        return reel_status_no_memory(bytes, path);
    if (!parameter->is_borrowed)
        reel_mem_free(value->data);
    nn_quantized_drop(parameter);
    parameter->is_borrowed = false;
    *value = tensor_from(data, dtype, parameter->ndim, parameter->shape);
    tape_parameter_changed(&parameter->core);
    return reel_status_ok();
}

void nn_parameter_begin_write(NnParameter *parameter)
{
    tape_parameter_settle(&parameter->core);
    parameter->core.is_lost = false;
}

static ReelStatus reset(NnModule *module, uint64_t seed, TensorDtype dtype)
{
    ReelStatus status = nn_module_status(module);
    for (NnParameter *p = nn_first_parameter(module); p && reel_status_is_ok(&status);
         p = nn_next_parameter(module, p)) {
        status = nn_parameter_allocate(p, dtype);
        if (reel_status_is_ok(&status))
            nn_parameter_begin_write(p);
    }
    for (NnIterator it = nn_iterate(module); reel_status_is_ok(&status) && nn_next_buffer(&it);)
        status = nn_parameter_allocate(it.named.parameter, dtype);
    for (NnIterator it = nn_iterate(module); reel_status_is_ok(&status) && nn_next(&it);)
        if (!it.named.again)
            status = nn_named_reset(&it.named, seed);
    return status;
}

ReelStatus nn_module_reset(NnModule *module, uint64_t seed)
{
    return reset(module, seed, TENSOR_F32);
}

ReelStatus nn_module_reset_f64(NnModule *module, uint64_t seed)
{
    return reset(module, seed, TENSOR_F64);
}

static ReelStatus lost(const NnParameter *parameter)
{
    char path[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    return reel_status_usage("parameter %s was written by hand while an optimizer updates its rows late; use "
                             "nn_parameter_write()",
                             path);
}

ReelStatus nn_parameter_status(const NnParameter *parameter)
{
    char path[NN_NAME_SIZE];
    if (parameter->self != parameter)
        return reel_status_usage(
            "a parameter was copied, or its module returned by value; initialise the module "
            "where it stays, and pass it by pointer");
    const NnParameter *itself = nn_parameter_itself(parameter);
    if (itself->core.is_lost)
        return lost(itself);
    if (tensor_is_valid(itself->core.value))
        return reel_status_ok();
    nn_parameter_path(parameter, path);
    return reel_status_failed("parameter %s has no value yet: call nn_module_reset() or load a checkpoint",
                              path);
}

Tensor nn_parameter_read(const NnParameter *parameter, TensorArena *arena)
{
    ReelStatus status = nn_parameter_status(parameter);
    return reel_status_is_ok(&status) ? tape_parameter_snapshot(&nn_parameter_itself(parameter)->core, arena)
                                      : tensor_invalid();
}

ReelStatus nn_parameter_write(NnParameter *parameter, Tensor value)
{
    ReelStatus status = nn_parameter_status(parameter);
    NnParameter *itself = nn_parameter_itself(parameter);
    bool has_value = tensor_is_valid(itself->core.value) && !itself->quantized;
    if (parameter->self != parameter)
        return status;
    bool same = value.ndim == itself->ndim &&
                (itself->dtype != TENSOR_DTYPE_NONE ? value.dtype == itself->dtype
                                                    : value.dtype == TENSOR_F32 || value.dtype == TENSOR_F64);
    for (int i = 0; same && i < value.ndim; i++)
        same = value.shape[i] == itself->shape[i];
    if (!same) {
        char path[NN_NAME_SIZE], given[TENSOR_SHAPE_TEXT_SIZE], own[TENSOR_SHAPE_TEXT_SIZE];
        nn_parameter_path(parameter, path);
        return reel_status_usage("parameter %s is %s and cannot be set to %s %s", path,
                                 tensor_dims_text(itself->ndim, itself->shape, own),
                                 tensor_dtype_name(value.dtype), tensor_shape_text(&value, given));
    }
    status = has_value ? reel_status_ok() : nn_parameter_allocate(itself, value.dtype);
    if (!reel_status_is_ok(&status))
        return status;
    nn_parameter_begin_write(itself);
    tensor_copy_into(itself->core.value, value);
    tape_parameter_changed(&itself->core);
    return reel_status_ok();
}

/* ---- The end ---- */

/* Modules in the order in which they are freed. */
typedef struct Freed {
    NnModule *first, *last;
} Freed;

static Freed take_apart(NnModule *module);

/* Parts may lie in memory that their parent allocated: they are freed first, from the leaves up; a part of
 * several modules before all of them. */
static void free_use(Freed *list, NnPart *use)
{
    NnModule *part = use->module;
    bool is_shared = use != &part->first_use;
    if (is_shared)
        reel_mem_free(use);
    if (--part->uses > 0)
        return;
    part->parent = NULL;
    part->scope.parent = NULL;
    Freed inner = take_apart(part);
    if (is_shared) {
        inner.last->next_freed = list->first;
        list->first = inner.first;
        list->last = list->last ? list->last : inner.last;
    } else {
        if (list->last)
            list->last->next_freed = inner.first;
        list->first = list->first ? list->first : inner.first;
        list->last = inner.last;
    }
}

static Freed take_apart(NnModule *module)
{
    Freed list = {NULL, NULL};
    for (NnPart *use = module->parts, *next; use; use = next) {
        next = use->next;
        if (use->module->parent == module) {
            use->module->parent = NULL; /* it may live on elsewhere */
            use->module->scope.parent = NULL;
        }
        free_use(&list, use);
    }
    module->parts = NULL;
    module->next_freed = NULL;
    if (list.last)
        list.last->next_freed = module;
    else
        list.first = module;
    list.last = module;
    return list;
}

static void free_values(NnParameter *first)
{
    for (NnParameter *p = first; p; p = p->next) {
        if (!p->is_borrowed)
            reel_mem_free(p->core.value.data);
        p->is_borrowed = false;
        nn_quantized_drop(p);
        tape_parameter_release(&p->core);
        p->core.value = tensor_invalid();
    }
}

static void free_one(NnModule *module)
{
    free_values(module->parameters);
    free_values(module->buffers);
    module->parameters = module->buffers = NULL;
    reel_mem_free(module->names);
    module->names = NULL;
    if (module->release)
        module->release(module);
}

void nn_module_free(NnModule *module)
{
    if (module->self != module)
        return;
    for (NnModule *m = take_apart(module).first, *next; m; m = next) {
        next = m->next_freed;
        free_one(m);
    }
}

/* ---- All at once ---- */

void nn_module_train(NnModule *module, bool training)
{
    for (NnPlace place = nn_place_first(module); place.module; nn_place_next(&place))
        if (place.module->training != training) /* several threads may say what is so */
            place.module->training = training;
}

void nn_module_freeze(NnModule *module, bool frozen)
{
    for (NnPlace place = nn_place_first(module); place.module; nn_place_next(&place))
        for (NnParameter *p = place.module->parameters; p; p = p->next)
            nn_parameter_itself(p)->core.frozen = frozen;
}

bool nn_module_prepare(NnModule *module)
{
    bool ok = true;
    for (NnPlace place = nn_place_first(module); place.module; nn_place_next(&place))
        for (NnParameter *p = place.module->parameters; p; p = p->next)
            ok = tape_parameter_prepare(&nn_parameter_itself(p)->core) && ok;
    return ok;
}

/* ---- Inside forward ---- */

Var nn_var(NnParameter *parameter, Tape *tape)
{
    ReelStatus status = nn_parameter_status(parameter);
    if (reel_status_is_ok(&status))
        return tape_parameter(tape, &nn_parameter_itself(parameter)->core);
    return tape_fail(tape, "%s", status.message);
}

void nn_enter(NnModule *module, Tape *tape)
{
    static const TapeScope nowhere = {.name = ""};
    if (!tape)
        return;
    ReelStatus status = nn_module_stays(module);
    if (!reel_status_is_ok(&status))
        tape_fail(tape, "%s", status.message);
    tape_enter(tape, reel_status_is_ok(&status) ? &module->scope : &nowhere);
}

void nn_leave(Tape *tape)
{
    if (tape)
        tape_leave(tape);
}
