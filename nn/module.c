#include "nn/module.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- Building ---- */

void nn_module_init(NnModule *module)
{
    memset(module, 0, sizeof *module);
    module->scope.name = "";
    module->training = true;
    module->status = status_ok();
}

void nn_module_fail(NnModule *module, Status status)
{
    if (status_is_ok(&module->status))
        module->status = status;
}

void nn_module_add(NnModule *module, NnModule *part, const char *name)
{
    part->scope = (TapeScope){.name = name, .parent = &module->scope};
    part->parent = module;
    NnModule **link = &module->children;
    while (*link)
        link = &(*link)->next;
    *link = part;
}

static void declare(NnModule *module, NnParameter *parameter, int ndim, const int64_t *shape)
{
    memset(parameter, 0, sizeof *parameter);
    parameter_init(&parameter->core, tensor_invalid());
    parameter->module = module;
    parameter->ndim = ndim;
    if (ndim < 1 || ndim > TENSOR_MAX_DIMS) {
        nn_module_fail(module,
                       status_failed("a parameter must have 1 to %d axes, not %d", TENSOR_MAX_DIMS, ndim));
        parameter->ndim = 0;
        return;
    }
    for (int i = 0; i < ndim; i++) {
        parameter->shape[i] = shape[i];
        if (shape[i] < 1)
            nn_module_fail(module, status_failed("a parameter's sizes must be at least 1, not %lld",
                                                 (long long)shape[i]));
    }
    NnParameter **link = &module->parameters;
    while (*link)
        link = &(*link)->next;
    *link = parameter;
}

void nn_module_add_parameter(NnModule *module, NnParameter *parameter, const char *name, int ndim,
                             const int64_t *shape, NnInit init)
{
    declare(module, parameter, ndim, shape);
    parameter->name = name;
    parameter->init = init;
}

void nn_module_add_block(NnModule *module, NnParameter *block, int ndim, const int64_t *shape)
{
    declare(module, block, ndim, shape);
}

void nn_module_add_slice(NnModule *module, NnSlice *slice, const char *name, NnParameter *block,
                         int64_t first, int64_t rows, NnInit init)
{
    *slice = (NnSlice){.name = name, .block = block, .first = first, .rows = rows, .init = init};
    if (first < 0 || rows < 1 || first > block->shape[0] - rows) {
        nn_module_fail(module, status_failed("%s: %lld rows from %lld on are not in a block of %lld", name,
                                             (long long)rows, (long long)first, (long long)block->shape[0]));
        return;
    }
    NnSlice **link = &module->slices;
    while (*link)
        link = &(*link)->next;
    *link = slice;
    link = &block->slices;
    while (*link)
        link = &(*link)->next_of_block;
    *link = slice;
}

/* ---- Walking ---- */

/* The module behind `module` in depth-first order below `root`, or NULL. */
static NnModule *next_module(const NnModule *root, NnModule *module)
{
    if (module->children)
        return module->children;
    while (module != root) {
        if (module->next)
            return module->next;
        module = module->parent;
    }
    return NULL;
}

NnParameter *nn_first_parameter(NnModule *module)
{
    for (NnModule *m = module; m; m = next_module(module, m))
        if (m->parameters)
            return m->parameters;
    return NULL;
}

NnParameter *nn_next_parameter(NnModule *root, const NnParameter *parameter)
{
    if (parameter->next)
        return parameter->next;
    for (NnModule *m = next_module(root, parameter->module); m; m = next_module(root, m))
        if (m->parameters)
            return m->parameters;
    return NULL;
}

/* "a.b" of the module's path below `root`, with a dot behind it unless it is empty. */
static size_t module_prefix(const NnModule *root, const NnModule *module, char *path)
{
    if (!module || module == root)
        return 0;
    size_t used = module_prefix(root, module->parent, path);
    if (*module->scope.name)
        used += (size_t)snprintf(path + used, NN_NAME_SIZE - used, "%s.", module->scope.name);
    return used < NN_NAME_SIZE ? used : NN_NAME_SIZE - 1;
}

static void fill_named(NnIterator *it, const char *name, NnParameter *parameter, int64_t first, int64_t rows)
{
    size_t used = module_prefix(it->root, it->module, it->named.name);
    snprintf(it->named.name + used, NN_NAME_SIZE - used, "%s", name);
    it->named.parameter = parameter;
    it->named.first = first;
    it->named.rows = rows;
}

NnIterator nn_iterate(NnModule *module)
{
    return (NnIterator){
        .root = module, .module = module, .parameter = module->parameters, .slice = module->slices};
}

bool nn_next(NnIterator *it)
{
    while (it->module) {
        while (it->parameter) {
            NnParameter *parameter = it->parameter;
            it->parameter = parameter->next;
            if (!parameter->slices) {
                fill_named(it, parameter->name, parameter, 0, parameter->shape[0]);
                return true;
            }
        }
        if (it->slice) {
            NnSlice *slice = it->slice;
            it->slice = slice->next;
            fill_named(it, slice->name, slice->block, slice->first, slice->rows);
            return true;
        }
        it->module = next_module(it->root, it->module);
        if (it->module) {
            it->parameter = it->module->parameters;
            it->slice = it->module->slices;
        }
    }
    return false;
}

Tensor nn_named_view(const NnNamed *named)
{
    return tensor_slice(named->parameter->core.value, 0, named->first, named->first + named->rows, 1);
}

bool nn_find(NnModule *module, const char *name, NnNamed *named)
{
    for (NnIterator it = nn_iterate(module); nn_next(&it);)
        if (strcmp(it.named.name, name) == 0) {
            *named = it.named;
            return true;
        }
    return false;
}

int64_t nn_module_count(NnModule *module)
{
    int64_t count = 0;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p)) {
        int64_t size = 1;
        for (int i = 0; i < p->ndim; i++)
            size *= p->shape[i];
        count += size;
    }
    return count;
}

void nn_parameter_path(const NnParameter *parameter, char *path)
{
    size_t used = module_prefix(NULL, parameter->module, path);
    const char *name = parameter->name ? parameter->name : parameter->slices ? parameter->slices->name : "";
    snprintf(path + used, NN_NAME_SIZE - used, "%s", name);
}

/* ---- First values ---- */

Status nn_module_status(NnModule *module)
{
    for (NnModule *m = module; m; m = next_module(module, m))
        if (!status_is_ok(&m->status))
            return m->status;
    return status_ok();
}

static Status reset(NnModule *module, uint64_t seed, Dtype dtype)
{
    Status status = nn_module_status(module);
    for (NnParameter *p = nn_first_parameter(module); p && status_is_ok(&status);
         p = nn_next_parameter(module, p)) {
        int64_t count = 1;
        for (int i = 0; i < p->ndim; i++)
            if (__builtin_mul_overflow(count, p->shape[i], &count))
                count = INT64_MAX / 8;
        size_t bytes = (size_t)count * dtype_size(dtype);
        void *data = mem_alloc(bytes);
        if (!data) {
            char path[NN_NAME_SIZE];
            nn_parameter_path(p, path);
            return status_no_memory(bytes, path);
        }
        mem_free(p->core.value.data);
        p->core.value = tensor_from(data, dtype, p->ndim, p->shape);
        parameter_changed(&p->core);
    }
    for (NnIterator it = nn_iterate(module); status_is_ok(&status) && nn_next(&it);)
        status = nn_named_reset(&it.named, seed);
    return status;
}

Status nn_module_reset(NnModule *module, uint64_t seed)
{
    return reset(module, seed, DTYPE_F32);
}

Status nn_module_reset_f64(NnModule *module, uint64_t seed)
{
    return reset(module, seed, DTYPE_F64);
}

void nn_module_free(NnModule *module)
{
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p)) {
        mem_free(p->core.value.data);
        parameter_release(&p->core);
        p->core.value = tensor_invalid();
    }
    /* Parts may lie in memory that their parent allocated: they are released first, from the leaves up. */
    for (NnModule *part = module->children, *next; part; part = next) {
        next = part->next;
        nn_module_free(part);
    }
    if (module->release)
        module->release(module);
    module->children = NULL;
    module->parameters = NULL;
    module->slices = NULL;
}

void nn_module_train(NnModule *module, bool training)
{
    for (NnModule *m = module; m; m = next_module(module, m))
        m->training = training;
}

void nn_module_freeze(NnModule *module, bool frozen)
{
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        p->core.frozen = frozen;
}

bool nn_module_prepare(NnModule *module)
{
    bool ok = true;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        ok = parameter_prepare(&p->core) && ok;
    return ok;
}

/* ---- Inside forward ---- */

Var nn_var(NnParameter *parameter, Tape *tape)
{
    if (tensor_is_valid(parameter->core.value))
        return tape_parameter(tape, &parameter->core);
    char path[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    return tape_fail(tape, "parameter %s has no value yet: call nn_module_reset() or load a checkpoint",
                     path);
}

void nn_enter(NnModule *module, Tape *tape)
{
    if (tape)
        tape_enter(tape, &module->scope);
}

void nn_leave(Tape *tape)
{
    if (tape)
        tape_leave(tape);
}
