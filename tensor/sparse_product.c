#include "tensor/sparse_product_internal.h"
#include "tensor/levels.h"

#include <string.h>

enum {
    LEAST_SIZE = 4096, /* of the left operand */
    PAYS = 32,   /* one number in so many, drawn anywhere, is multiplied alone in the time of all, or less */
    LOOKS = 128, /* at so many numbers before all are looked at */
    RUN = 32     /* numbers that are passed over together where all are 0 */
};

/* ---- Which numbers are not 0 ---- */

/* Whether there is anything but 0 among count <= RUN numbers. Bits, since the compiler makes vectors of them.
 */
static bool any_number(const float *from, int64_t count)
{
    uint32_t bits[RUN] = {0}, any = 0;
    if (count == RUN) /* a size that the compiler knows */
        memcpy(bits, from, sizeof bits);
    else
        memcpy(bits, from, (size_t)count * sizeof *bits);
    for (int i = 0; i < RUN; i++)
        any |= bits[i];
    return any << 1; /* -0 is 0 */
}

/* Whether few of some numbers from all over a are not 0. */
static bool looks_sparse(const Tensor *a)
{
    int64_t size = a->shape[0] * a->shape[1], seen = 0;
    for (int64_t i = 0; i < LOOKS && size > 0; i++) {
        int64_t at = (int64_t)((uint64_t)i * 2654435761u % (uint64_t)size);
        seen +=
            ((const float *)a->data)[at / a->shape[1] * a->strides[0] + at % a->shape[1] * a->strides[1]] !=
            0;
    }
    return seen < 2 * LOOKS / PAYS;
}

/* Visits the numbers of the matrices that are not 0, as long as there are at most `most`: counts them by
 * their row of the left operand or, where sparse->numbers is there, writes them down. False: there are more.
 */
static bool visit(TensorSparse *sparse, const Tensor *a, int64_t count, bool transposed, int64_t most)
{
    int64_t seen = 0, above = 0;
    for (int64_t k = 0; k < count; above += a[k].shape[0], k++)
        for (int64_t r = 0; r < a[k].shape[0]; r++) {
            const float *row = (const float *)a[k].data + r * a[k].strides[0];
            for (int64_t begin = 0, n = a[k].shape[1]; begin < n; begin += RUN) {
                int64_t end = begin + RUN < n ? begin + RUN : n;
                if (!any_number(row + begin, end - begin))
                    continue;
                for (int64_t i = begin; i < end; i++) {
                    if (row[i] == 0)
                        continue;
                    int32_t *next = &sparse->end[transposed ? i : above + r];
                    if (sparse->numbers)
                        sparse->numbers[*next] =
                            (TensorSparseNumber){(int32_t)(transposed ? above + r : i), row[i]};
                    ++*next;
                    seen++;
                }
            }
            if (seen > most)
                return false;
        }
    sparse->count = seen;
    return true;
}

bool tensor_sparse_find(TensorSparse *sparse, const Tensor *a, int64_t count, bool transposed,
                        TensorArena *arena)
{
    int64_t rows = 0, columns = count > 0 ? a[0].shape[1] : 0;
    for (int64_t i = 0; i < count; i++) {
        if (a[i].strides[1] != 1 && a[i].shape[1] > 1)
            return false;
        rows += a[i].shape[0];
    }
    if (rows == 0 || columns == 0 || rows > INT32_MAX / columns || rows * columns < LEAST_SIZE)
        return false;
    for (int64_t i = 0; i < count; i++)
        if (a[i].shape[0] > 0 && !looks_sparse(&a[i]))
            return false;
    TensorArenaMark mark = tensor_arena_mark(arena);
    *sparse = (TensorSparse){.rows = transposed ? columns : rows};
    size_t bytes = (size_t)sparse->rows * sizeof *sparse->end;
    sparse->next = tensor_arena_alloc(arena, bytes);
    sparse->end = tensor_arena_alloc(arena, bytes);
    if (sparse->next && sparse->end) {
        memset(sparse->end, 0, bytes);
        if (visit(sparse, a, count, transposed, rows * columns / PAYS))
            sparse->numbers =
                tensor_arena_alloc(arena, ((size_t)sparse->count + 1) * sizeof *sparse->numbers);
    }
    if (!sparse->numbers) {
        tensor_arena_rewind(arena, mark);
        return false;
    }
    for (int64_t i = 0, first = 0; i < sparse->rows; i++) {
        int32_t here = sparse->end[i];
        sparse->next[i] = sparse->end[i] = (int32_t)first;
        first += here;
    }
    return visit(sparse, a, count, transposed, rows * columns);
}

/* ---- Their products ---- */

/* out[0 .. columns) = a row's numbers times the first `width` >= columns of their rows' tiles. */
TENSOR_INLINE void multiply_tile(const TensorSparseNumber *numbers, int32_t count, TensorSparseRight right,
                                 int64_t tile, bool add, float *out, int64_t columns, int64_t width, bool fma)
{
    float sum[TENSOR_SPARSE_TILE] = {0};
    for (int32_t i = 0; i < count; i++) {
        const float *row = right.each ? right.each[numbers[i].at] : right.data + numbers[i].at * right.row;
        row += tile * right.tile;
        __asm__ volatile(""); /* else gcc 12 takes two rows at a time, and their columns one by one */
        for (int64_t j = 0; j < width; j++)
            sum[j] = tensor_fused(numbers[i].value, row[j], sum[j], fma);
    }
    for (int64_t j = 0; j < columns; j++)
        out[j] = add ? sum[j] + out[j] : sum[j];
}

/* One row of the product. The compiler knows `width`, and keeps a tile's sums in registers. */
TENSOR_INLINE void multiply_row(const TensorSparseNumber *numbers, int32_t count, TensorSparseRight right,
                                bool add, float *out, int64_t columns, int64_t width, bool fma)
{
    int64_t tile = 0, at = 0;
    for (; at + width <= columns; tile++, at += width)
        multiply_tile(numbers, count, right, tile, add, out + at, width, width, fma);
    if (at == columns)
        return;
    if (right.each) /* nothing lies behind its rows */
        multiply_tile(numbers, count, right, tile, add, out + at, columns - at, columns - at, fma);
    else
        multiply_tile(numbers, count, right, tile, add, out + at, columns - at, width, fma);
}

TENSOR_INLINE void multiply_loop(TensorSparse *sparse, int64_t end, TensorSparseRight right, bool add,
                                 float *out, int64_t row_stride, int64_t columns, int64_t width, bool fma)
{
    for (int64_t i = 0; i < sparse->rows; i++, out += row_stride) {
        const TensorSparseNumber *numbers = sparse->numbers + sparse->next[i];
        int32_t count = 0, left = sparse->end[i] - sparse->next[i];
        while (count < left && numbers[count].at < end)
            count++;
        sparse->next[i] += count;
        if (count > 0)
            multiply_row(numbers, count, right, add, out, columns, width, fma);
        else if (!add)
            memset(out, 0, (size_t)columns * sizeof *out);
    }
}

/* A loop for each width of the kernels' panels, and one for any. */
#define MULTIPLY(name, width)                                                                                \
    TENSOR_INLINE void name##_loop(TensorSparse *sparse, int64_t end, TensorSparseRight right, bool add,     \
                                   float *out, int64_t row_stride, int64_t columns, bool fma)                \
    {                                                                                                        \
        multiply_loop(sparse, end, right, add, out, row_stride, columns, width, fma);                        \
    }                                                                                                        \
    TENSOR_LEVELS(name, name##_loop,                                                                         \
                  (TensorSparse * sparse, int64_t end, TensorSparseRight right, bool add, float *out,        \
                   int64_t row_stride, int64_t columns),                                                     \
                  sparse, end, right, add, out, row_stride, columns)
MULTIPLY(multiply_32, 32)
MULTIPLY(multiply_16, 16)
MULTIPLY(multiply_any, right.width)

void tensor_sparse_multiply(TensorSparse *sparse, int64_t end, TensorSparseRight right, bool add, float *out,
                            int64_t row_stride, int64_t columns)
{
    (right.width == 32   ? multiply_32
     : right.width == 16 ? multiply_16
                         : multiply_any)(sparse, end, right, add, out, row_stride, columns);
}
