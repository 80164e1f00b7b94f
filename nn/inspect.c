#include "nn/inspect.h"

enum { NAME_WIDTH = 32, SHAPE_WIDTH = 16, COUNT_WIDTH = 14 };

static void print_line(FILE *file, int depth, const char *name, const char *shape, int64_t count)
{
    fprintf(file, "%*s%-*s%-*s%*lld\n", 2 * depth, "", NAME_WIDTH - 2 * depth, name, SHAPE_WIDTH, shape,
            COUNT_WIDTH, (long long)count);
}

static void print_parameter(FILE *file, int depth, NnName name)
{
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    int64_t dims[TENSOR_MAX_DIMS], count = 1;
    const NnParameter *p = name.parameter;
    for (int i = 0; i < p->ndim; i++)
        count *= dims[i] = i == 0 ? name.rows : p->shape[i];
    print_line(file, depth, name.name, tensor_dims_text(p->ndim, dims, shape),
               p->tied || p->is_buffer ? 0 : count);
}

/* What stands below a module. */
static void print_inside(NnModule *module, FILE *file, int depth)
{
    for (int i = 0; module->names && i < module->name_count; i++)
        print_parameter(file, depth, module->names[i]);
    if (module->names)
        return;
    for (NnParameter *p = module->parameters; p; p = p->next)
        print_parameter(file, depth, nn_name(p->name, p));
    for (NnParameter *p = module->buffers; p; p = p->next)
        print_parameter(file, depth, nn_name(p->name, p));
    for (const NnPart *part = module->parts; part; part = part->next) {
        bool named = *part->name;
        if (named)
            print_line(file, depth, part->name, "", nn_module_count(part->module));
        print_inside(part->module, file, depth + named);
    }
}

void nn_module_print(NnModule *module, FILE *file)
{
    int64_t frozen = 0;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p)) {
        int64_t count = 1;
        for (int i = 0; i < p->ndim; i++)
            count *= p->shape[i];
        frozen += p->core.frozen ? count : 0;
    }
    print_inside(module, file, 0);
    fprintf(file, "%lld numbers, %lld of them frozen\n", (long long)nn_module_count(module),
            (long long)frozen);
}

Tensor nn_gradient(NnModule *module, const char *name, Tape *tape)
{
    NnNamed named;
    if (!nn_find(module, name, &named))
        return tensor_invalid();
    const NnParameter *p = named.parameter;
    TapeGradient gradient = tape_gradient(tape, &p->core);
    Tensor all = gradient.dense;
    if (tensor_is_valid(gradient.rows)) {
        all = tensor_zeros(tape_arena(tape), gradient.rows.dtype, p->ndim, p->shape);
        for (int64_t i = 0; tensor_is_valid(all) && i < gradient.ids.shape[0]; i++)
            tensor_copy_into(tensor_select(all, 0, (int64_t)tensor_get(&gradient.ids, &i)),
                             tensor_select(gradient.rows, 0, i));
    }
    if (!tensor_is_valid(all) || p->ndim == 0)
        return all;
    return tensor_slice(all, 0, named.first, named.first + named.rows, 1);
}
