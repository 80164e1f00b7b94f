/* First values of parameters, drawn from a stream of their own: the same for a seed and a name, whatever
 * other parameters there are. */
#include "nn/module_internal.h"
#include "tensor/mem.h"

#include <math.h>

NnInit nn_init_constant(double value)
{
    return (NnInit){.kind = NN_INIT_CONSTANT, .value = value};
}

NnInit nn_init_uniform(double bound)
{
    return (NnInit){.kind = NN_INIT_UNIFORM, .value = bound};
}

NnInit nn_init_normal(double deviation)
{
    return (NnInit){.kind = NN_INIT_NORMAL, .value = deviation};
}

NnInit nn_init_orthogonal(double gain)
{
    return (NnInit){.kind = NN_INIT_ORTHOGONAL, .value = gain};
}

/* Gram-Schmidt, twice for accuracy, over the rows of q [rows, columns], rows <= columns. */
static void orthonormalize(double *q, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        double *row = q + i * columns;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double *other = q + j * columns;
                double dot = 0;
                for (int64_t k = 0; k < columns; k++)
                    dot += row[k] * other[k];
                for (int64_t k = 0; k < columns; k++)
                    row[k] -= dot * other[k];
            }
        double norm = 0;
        for (int64_t k = 0; k < columns; k++)
            norm += row[k] * row[k];
        norm = sqrt(norm);
        for (int64_t k = 0; k < columns; k++)
            row[k] /= norm;
    }
}

static bool fill_orthogonal(TensorRandom *random, Tensor t, double gain)
{
    int64_t rows = t.shape[0], columns = t.shape[1];
    bool wide = rows <= columns;
    int64_t few = wide ? rows : columns, many = wide ? columns : rows;
    double *q = reel_mem_alloc((size_t)(few * many) * sizeof *q);
    if (!q)
        return false;
    for (int64_t i = 0; i < few * many; i++)
        q[i] = tensor_random_normal(random);
    orthonormalize(q, few, many);
    for (int64_t i = 0; i < few; i++)
        for (int64_t j = 0; j < many; j++) {
            int64_t index[2] = {wide ? i : j, wide ? j : i};
            tensor_set(&t, index, gain * q[i * many + j]);
        }
    reel_mem_free(q);
    return true;
}

ReelStatus nn_named_reset(const NnNamed *named, uint64_t seed)
{
    Tensor t = nn_named_view(named);
    TensorRandom random = tensor_random_new(seed, tensor_random_stream(named->name));
    tape_parameter_settle(&named->parameter->core);
    NnInit init = named->init;
    switch (init.kind) {
    case NN_INIT_CONSTANT:
        tensor_fill(t, init.value);
        break;
    case NN_INIT_UNIFORM:
        tensor_random_fill_uniform(&random, t, -init.value, init.value);
        break;
    case NN_INIT_NORMAL:
        tensor_random_fill_normal(&random, t, 0.0, init.value);
        break;
    case NN_INIT_ORTHOGONAL:
        if (t.ndim != 2)
            return reel_status_failed("%s: orthogonal first values need a matrix", named->name);
        /* A stack of square matrices, such as the gates' [4H, H]: each for itself. */
        for (int64_t first = 0; first < t.shape[0]; first += t.shape[1]) {
            int64_t stop = t.shape[0] % t.shape[1] == 0 ? first + t.shape[1] : t.shape[0];
            if (!fill_orthogonal(&random, tensor_slice(t, 0, first, stop, 1), init.value))
                return reel_status_no_memory((size_t)tensor_numel(&t) * sizeof(double), named->name);
            if (stop == t.shape[0])
                break;
        }
        break;
    }
    const NnParameter *p = named->parameter;
    int64_t first = p->fill_first - named->first, stop = p->fill_stop - named->first;
    first = first < 0 ? 0 : first;
    stop = stop > named->rows ? named->rows : stop;
    if (first < stop)
        tensor_fill(tensor_slice(t, 0, first, stop, 1), p->fill_value);
    tape_parameter_changed(&named->parameter->core);
    return reel_status_ok();
}
