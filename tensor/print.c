#include "tensor/print.h"

enum { MOST_SHOWN = 8, ENDS = 3 };

/* The elements of t, whose rows begin `depth` brackets to the right. */
static void print_elements(Tensor t, int depth, FILE *file)
{
    if (t.ndim == 0) {
        double value = tensor_get(&t, NULL);
        if (t.dtype == TENSOR_I32)
            fprintf(file, "%.0f", value);
        else
            fprintf(file, "%.4g", value);
        return;
    }
    int64_t size = t.shape[0];
    bool is_long = size > MOST_SHOWN;
    fputc('[', file);
    for (int64_t i = 0; i < size; i++) {
        if (i > 0 && t.ndim == 1)
            fputs(", ", file);
        else if (i > 0)
            fprintf(file, ",\n%*s", depth + 1, "");
        if (is_long && i == ENDS) {
            fputs("...", file);
            i = size - ENDS - 1;
            continue;
        }
        print_elements(tensor_select(t, 0, i), depth + 1, file);
    }
    fputc(']', file);
}

void tensor_print(Tensor t, FILE *file)
{
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    if (!tensor_is_valid(t)) {
        fputs("no tensor\n", file);
        return;
    }
    fprintf(file, "%s %s\n", tensor_shape_text(&t, shape), tensor_dtype_name(t.dtype));
    print_elements(t, 0, file);
    fputc('\n', file);
}
