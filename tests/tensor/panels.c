#include "tensor/flops.h"
#include "tensor/mem_internal.h"
#include "tensor/panels.h"
#include "tensor/panels_internal.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Random matrices in every kind of storage ---- */

static uint32_t random_state;

static uint32_t draw(uint32_t bound)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)random_state * bound) >> 32);
}

static float draw_value(void)
{
    return (float)draw(2001) / 1000.0f - 1.0f;
}

/* A view and the whole memory around it. */
typedef struct Matrix {
    Tensor view;
    float *block;
    size_t size;
} Matrix;

typedef enum {
    BY_ROWS,
    BY_ROWS_WIDE, /* a column slice of a wider matrix */
    BY_COLUMNS,
    EVERY_OTHER, /* neither stride is 1 */
    REVERSED,    /* both strides negative */
    STORAGES
} Storage;

static Matrix matrix_new(int64_t rows, int64_t columns, Storage storage)
{
    enum { GAP = 7 };
    int64_t row_stride = columns, column_stride = 1, first = GAP;
    switch (storage) {
    case BY_ROWS_WIDE:
        row_stride = columns + 5;
        break;
    case BY_COLUMNS:
        row_stride = 1, column_stride = rows + 3;
        break;
    case EVERY_OTHER:
        row_stride = 2 * columns + 1, column_stride = 2;
        break;
    case REVERSED:
        row_stride = -columns, column_stride = -1;
        first += rows > 0 && columns > 0 ? rows * columns - 1 : 0;
        break;
    default:
        break;
    }
    Matrix m = {.size = (size_t)(2 * (rows + 3) * (columns + 5) + 2 * GAP + 64)};
    m.block = malloc(m.size * sizeof *m.block);
    ck_assert_ptr_nonnull(m.block);
    for (size_t i = 0; i < m.size; i++)
        m.block[i] = draw_value();
    m.view = (Tensor){.data = m.block + first,
                      .dtype = TENSOR_F32,
                      .ndim = 2,
                      .shape = {rows, columns},
                      .strides = {row_stride, column_stride}};
    return m;
}

static float *at(Tensor t, int64_t i, int64_t j)
{
    return (float *)t.data + i * t.strides[0] + j * t.strides[1];
}

static Tensor rows_of(Tensor t, int64_t first, int64_t count)
{
    t.data = at(t, first, 0);
    t.shape[0] = count;
    return t;
}

static Tensor transposed(Tensor t)
{
    Tensor swapped = t;
    swapped.shape[0] = t.shape[1], swapped.shape[1] = t.shape[0];
    swapped.strides[0] = t.strides[1], swapped.strides[1] = t.strides[0];
    return swapped;
}

/* expected[i, j] += sum over k of a[i, k] b[k, j], and the same of absolute values into `scale`. */
static void naive_product(double *expected, double *scale, Tensor a, Tensor b)
{
    for (int64_t i = 0; i < a.shape[0]; i++)
        for (int64_t k = 0; k < a.shape[1]; k++)
            for (int64_t j = 0; j < b.shape[1]; j++) {
                double product = (double)*at(a, i, k) * *at(b, k, j);
                expected[i * b.shape[1] + j] += product;
                scale[i * b.shape[1] + j] += fabs(product);
            }
}

/* Starts expected and scale with beta * out. */
static void naive_start(double *expected, double *scale, Tensor out, double beta)
{
    for (int64_t i = 0; i < out.shape[0]; i++)
        for (int64_t j = 0; j < out.shape[1]; j++) {
            double value = beta == 0 ? 0 : beta * *at(out, i, j);
            expected[i * out.shape[1] + j] = value;
            scale[i * out.shape[1] + j] = fabs(value);
        }
}

static void check_close(Tensor out, const double *expected, const double *scale, int64_t depth)
{
    double unit = ldexp(1, -24) * (4 + sqrt((double)depth));
    for (int64_t i = 0; i < out.shape[0]; i++)
        for (int64_t j = 0; j < out.shape[1]; j++) {
            int64_t at_ij = i * out.shape[1] + j;
            double error = fabs(*at(out, i, j) - expected[at_ij]);
            ck_assert_msg(error <= unit * scale[at_ij], "[%d, %d]: %.9g instead of %.9g", (int)i, (int)j,
                          (double)*at(out, i, j), expected[at_ij]);
        }
}

/* Nothing outside of the view was written: `before` is a copy of the block. */
static void check_surroundings(const Matrix *m, const float *before)
{
    unsigned char *inside = calloc(m->size, 1);
    ck_assert_ptr_nonnull(inside);
    for (int64_t i = 0; i < m->view.shape[0]; i++)
        for (int64_t j = 0; j < m->view.shape[1]; j++)
            inside[at(m->view, i, j) - m->block] = 1;
    for (size_t i = 0; i < m->size; i++)
        if (!inside[i])
            ck_assert(memcmp(&m->block[i], &before[i], sizeof(float)) == 0);
    free(inside);
}

static float *copy_of(const Matrix *m)
{
    float *copy = malloc(m->size * sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    return memcpy(copy, m->block, m->size * sizeof *copy);
}

static double *numbers(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof *values);
    ck_assert_ptr_nonnull(values);
    return values;
}

static TensorPanels pack(Tensor b)
{
    TensorPanels panels = {0};
    ck_assert(tensor_panels_pack(&panels, b));
    return panels;
}

static TensorArena scratch;

/* Every way of computing: a micro-kernel, none at all (plain copies through bli_sgemm), and the fallback
 * on what was packed for a kernel. */
static const char *const paths[] = {"avx512", "avx2", "blis", "none", "fallback"};
enum { PATHS = sizeof paths / sizeof paths[0], PACKED = 3 /* those with a kernel come first */ };

/* False, and a line on stderr, where this processor lacks it. */
static bool take_path(int path)
{
    bool fallback = path == PATHS - 1;
    tensor_panels_force_fallback(fallback);
    if (fallback || tensor_panels_set_kernel(paths[path]))
        return true;
    fprintf(stderr, "skipped: no kernel '%s' for panels here\n", paths[path]);
    return false;
}

static const TensorPanelsKernel *best;

static void set_up(void)
{
    random_state = 12345;
    tensor_arena_init(&scratch, 0);
    best = tensor_panels_kernel();
}

static void tear_down(void)
{
    ck_assert(tensor_panels_set_kernel(best ? best->name : "none"));
    tensor_panels_force_fallback(false);
    tensor_arena_free(&scratch);
}

/* ---- Values ---- */

static const double betas[] = {0, 1, 0.5, -3};

static void check_matmul(int64_t m, int64_t n, int64_t k, double beta)
{
    Matrix a = matrix_new(m, k, draw(STORAGES)), b = matrix_new(k, n, draw(STORAGES));
    Matrix out = matrix_new(m, n, draw(STORAGES));
    if (beta == 0 && m > 0 && n > 0) /* must not be read */
        *at(out.view, m - 1, n - 1) = NAN;
    TensorPanels panels = pack(b.view);
    double *expected = numbers(m * n), *magnitude = numbers(m * n);
    naive_start(expected, magnitude, out.view, beta);
    naive_product(expected, magnitude, a.view, b.view);
    float *before = copy_of(&out);
    ck_assert(tensor_panels_matmul(out.view, a.view, &panels, beta, &scratch));
    check_close(out.view, expected, magnitude, k);
    check_surroundings(&out, before);
    ck_assert_uint_eq(scratch.used, 0);
    tensor_panels_free(&panels);
    free(before), free(expected), free(magnitude);
    free(a.block), free(b.block), free(out.block);
}

START_TEST(products_of_random_shapes_and_strides)
{
    if (!take_path(_i))
        return;
    for (int round = 0; round < 80; round++) {
        uint32_t limit = round % 20 == 0 ? 300 : 70;
        check_matmul(draw(limit), draw(limit), draw(limit), betas[round % 4]);
    }
}
END_TEST

/* More rows and a longer inner axis than one block. */
START_TEST(products_of_several_blocks)
{
    if (!take_path(_i))
        return;
    check_matmul(613, 40, 30, 0);
    check_matmul(7, 50, 1100, 1);
    check_matmul(330, 33, 900, 0.5);
    check_matmul(150, 48, 1024, 0);
}
END_TEST

START_TEST(a_broadcast_operand_is_read_as_any_other)
{
    if (!take_path(_i))
        return;
    /* Bit 0 and 1: a's strides are 0; bit 2 and 3: b's. */
    for (int zero = 0; zero < 16; zero++) {
        Matrix a = matrix_new(20, 30, BY_ROWS), b = matrix_new(30, 40, BY_ROWS);
        Matrix out = matrix_new(20, 40, BY_ROWS);
        for (int axis = 0; axis < 2; axis++) {
            a.view.strides[axis] *= !(zero >> axis & 1);
            b.view.strides[axis] *= !(zero >> (2 + axis) & 1);
        }
        TensorPanels panels = pack(b.view);
        TensorPanelsPair pair = {transposed(a.view), b.view};
        double *expected = numbers(800), *magnitude = numbers(800);
        naive_product(expected, magnitude, a.view, b.view);
        ck_assert(tensor_panels_matmul(out.view, a.view, &panels, 0, &scratch));
        check_close(out.view, expected, magnitude, 30);
        naive_product(expected, magnitude, a.view, b.view);
        ck_assert(tensor_panels_accumulate(out.view, &pair, 1, 1, &scratch));
        check_close(out.view, expected, magnitude, 60);
        tensor_panels_free(&panels);
        free(expected), free(magnitude), free(a.block), free(b.block), free(out.block);
    }
}
END_TEST

/* Pairs of random lengths, some of them empty. */
static void check_accumulate(int64_t n, int64_t k, int64_t count, uint32_t longest, double beta)
{
    Matrix dy[80], x[80];
    TensorPanelsPair pairs[80];
    int64_t total = 0;
    Matrix out = matrix_new(n, k, draw(STORAGES));
    double *expected = numbers(n * k), *magnitude = numbers(n * k);
    naive_start(expected, magnitude, out.view, beta);
    for (int64_t i = 0; i < count; i++) {
        int64_t rows = draw(longest + 1);
        dy[i] = matrix_new(rows, n, draw(STORAGES));
        x[i] = matrix_new(rows, k, draw(STORAGES));
        pairs[i] = (TensorPanelsPair){dy[i].view, x[i].view};
        naive_product(expected, magnitude, transposed(dy[i].view), x[i].view);
        total += rows;
    }
    if (beta == 0 && n > 0 && k > 0)
        *at(out.view, 0, k - 1) = NAN;
    float *before = copy_of(&out);
    ck_assert(tensor_panels_accumulate(out.view, pairs, count, beta, &scratch));
    check_close(out.view, expected, magnitude, total);
    check_surroundings(&out, before);
    ck_assert_uint_eq(scratch.used, 0);
    for (int64_t i = 0; i < count; i++)
        free(dy[i].block), free(x[i].block);
    free(before), free(expected), free(magnitude), free(out.block);
}

START_TEST(accumulated_gradients_of_random_shapes_and_strides)
{
    if (!take_path(_i))
        return;
    for (int round = 0; round < 40; round++)
        check_accumulate(draw(60), draw(60), draw(9), 40, betas[round % 4]);
    check_accumulate(290, 40, 3, 20, 1);
    check_accumulate(20, 35, 64, 64, 0);
    check_accumulate(20, 35, 1, 3000, 0.5);
    check_accumulate(19, 30, 0, 1, 0.5);
    check_accumulate(19, 30, 0, 1, 0);
}
END_TEST

START_TEST(empty_shapes)
{
    if (!take_path(_i))
        return;
    check_matmul(0, 5, 4, 0);
    check_matmul(5, 0, 4, 1);
    for (int i = 0; i < 4; i++)
        check_matmul(5, 4, 0, betas[i]);
    check_accumulate(0, 4, 3, 5, 1);
    check_accumulate(4, 0, 3, 5, 1);
    for (int i = 0; i < 4; i++)
        check_accumulate(4, 5, 3, 0, betas[i]);
}
END_TEST

/* ---- The same bits ---- */

/* Row r of the product of all rows, of any run of rows around it, into any storage, must be the same. */
START_TEST(a_row_does_not_depend_on_its_neighbours)
{
    enum { M = 45, N = 211 };
    if (!take_path(_i / 8))
        return;
    int64_t k = _i & 1 ? 1000 : 100;
    double beta = betas[_i % 8 / 2];
    Matrix a = matrix_new(M, k, BY_ROWS), b = matrix_new(k, N, BY_ROWS), start = matrix_new(M, N, BY_ROWS);
    Matrix whole = matrix_new(M, N, BY_ROWS), out = matrix_new(M, N, BY_ROWS);
    TensorPanels panels = pack(b.view);
    memcpy(whole.block, start.block, start.size * sizeof(float));
    ck_assert(tensor_panels_matmul(whole.view, a.view, &panels, beta, &scratch));
    for (int64_t count = 1; count <= 14; count++) {
        int64_t first = draw((uint32_t)(M - count + 1));
        memcpy(out.block, start.block, start.size * sizeof(float));
        ck_assert(tensor_panels_matmul(rows_of(out.view, first, count), rows_of(a.view, first, count),
                                       &panels, beta, &scratch));
        for (int64_t i = first; i < first + count; i++)
            ck_assert(memcmp(at(out.view, i, 0), at(whole.view, i, 0), N * sizeof(float)) == 0);
    }
    /* A neighbour that is not a number stays by itself. */
    *at(a.view, 3, 1) = NAN;
    memcpy(out.block, start.block, start.size * sizeof(float));
    ck_assert(tensor_panels_matmul(out.view, a.view, &panels, beta, &scratch));
    for (int64_t i = 0; i < M; i++)
        if (i == 3)
            ck_assert(isnan(*at(out.view, i, 5)));
        else
            ck_assert(memcmp(at(out.view, i, 0), at(whole.view, i, 0), N * sizeof(float)) == 0);
    tensor_panels_free(&panels);
    free(a.block), free(b.block), free(start.block), free(whole.block), free(out.block);
}
END_TEST

/* On the packed path not even the storage matters. */
START_TEST(a_product_does_not_depend_on_the_storage)
{
    enum { M = 39, N = 70, K = 300 };
    if (!take_path(_i))
        return;
    Matrix a = matrix_new(M, K, BY_ROWS), b = matrix_new(K, N, BY_ROWS), out = matrix_new(M, N, BY_ROWS);
    TensorPanels panels = pack(b.view);
    ck_assert(tensor_panels_matmul(out.view, a.view, &panels, 0, &scratch));
    for (Storage s = 0; s < STORAGES; s++) {
        Matrix other_a = matrix_new(M, K, s), other_b = matrix_new(K, N, s), other = matrix_new(M, N, s);
        for (int64_t i = 0; i < M; i++)
            for (int64_t k = 0; k < K; k++)
                *at(other_a.view, i, k) = *at(a.view, i, k);
        for (int64_t k = 0; k < K; k++)
            for (int64_t j = 0; j < N; j++)
                *at(other_b.view, k, j) = *at(b.view, k, j);
        ck_assert(tensor_panels_pack(&panels, other_b.view));
        ck_assert(tensor_panels_matmul(other.view, other_a.view, &panels, 0, &scratch));
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++)
                ck_assert(memcmp(at(other.view, i, j), at(out.view, i, j), sizeof(float)) == 0);
        free(other_a.block), free(other_b.block), free(other.block);
    }
    tensor_panels_free(&panels);
    free(a.block), free(b.block), free(out.block);
}
END_TEST

/* The pairs are one product over all rows: where they are cut does not matter. */
START_TEST(accumulation_does_not_depend_on_how_rows_are_paired)
{
    enum { ROWS = 900, N = 50, K = 45 };
    if (!take_path(_i))
        return;
    Matrix dy = matrix_new(ROWS, N, BY_ROWS_WIDE), x = matrix_new(ROWS, K, BY_ROWS);
    Matrix whole = matrix_new(N, K, BY_ROWS), out = matrix_new(N, K, BY_ROWS);
    TensorPanelsPair pair = {dy.view, x.view}, pairs[ROWS];
    ck_assert(tensor_panels_accumulate(whole.view, &pair, 1, 0, &scratch));
    for (int round = 0; round < 10; round++) {
        int64_t count = 0;
        for (int64_t row = 0, rows; row < ROWS; row += rows, count++) {
            rows = 1 + draw(64);
            rows = rows < ROWS - row ? rows : ROWS - row;
            pairs[count] = (TensorPanelsPair){rows_of(dy.view, row, rows), rows_of(x.view, row, rows)};
        }
        ck_assert(tensor_panels_accumulate(out.view, pairs, count, 0, &scratch));
        ck_assert(memcmp(out.view.data, whole.view.data, sizeof(float) * N * K) == 0);
    }
    free(dy.block), free(x.block), free(whole.block), free(out.block);
}
END_TEST

/* AVX2 and AVX-512 make every element by the same chain, and panels know what they were packed for. */
START_TEST(all_vector_widths_give_the_same_bits)
{
    enum { M = 31, N = 99, K = 800 };
    Matrix a = matrix_new(M, K, BY_ROWS), b = matrix_new(K, N, BY_ROWS), dy = matrix_new(M, N, BY_ROWS);
    Matrix out[2], gradient[2];
    TensorPanels panels[2] = {{0}, {0}};
    TensorPanelsPair pairs[] = {{dy.view, a.view}, {dy.view, a.view}};
    bool both = true;
    for (int path = 0; path < 2; path++) {
        out[path] = matrix_new(M, N, BY_ROWS), gradient[path] = matrix_new(N, K, BY_ROWS);
        both = take_path(path) && both;
        ck_assert(tensor_panels_pack(&panels[path], b.view));
        ck_assert(tensor_panels_accumulate(gradient[path].view, pairs, 2, 0, &scratch));
    }
    for (int path = 0; path < 2; path++)
        ck_assert(tensor_panels_matmul(out[path].view, a.view, &panels[path], 0, &scratch));
    if (both) {
        ck_assert(memcmp(out[0].view.data, out[1].view.data, sizeof(float) * M * N) == 0);
        ck_assert(memcmp(gradient[0].view.data, gradient[1].view.data, sizeof(float) * N * K) == 0);
    }
    for (int path = 0; path < 2; path++) {
        tensor_panels_free(&panels[path]);
        free(out[path].block), free(gradient[path].block);
    }
    free(a.block), free(b.block), free(dy.block);
}
END_TEST

/* Zeros all over but for one number in `one_of`. */
static Matrix sparse_new(int64_t rows, int64_t columns, uint32_t one_of)
{
    Matrix m = matrix_new(rows, columns, BY_ROWS);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            if (draw(one_of) != 0)
                *at(m.view, i, j) = draw(2) ? 0.0f : -0.0f;
    return m;
}

/* What is not zero is multiplied alone where it is little, and a number more than that changes no bit of the
 * other rows, which then come from the kernels. */
START_TEST(a_matrix_of_few_numbers_gives_the_same_bits)
{
    enum { M = 420, N = 75, K = 800, SIZE = M * N };
    if (!take_path(_i))
        return;
    for (int add = 0; add < 2; add++) {
        Matrix a = sparse_new(M, K, 40), b = matrix_new(K, N, BY_ROWS), out = matrix_new(M, N, BY_ROWS),
               other = matrix_new(M, N, BY_ROWS);
        memcpy(other.block, out.block, out.size * sizeof *out.block);
        TensorPanels panels = pack(b.view);
        uint64_t before = tensor_flops_count_here();
        ck_assert(tensor_panels_matmul(out.view, a.view, &panels, add, &scratch));
        uint64_t few = tensor_flops_count_here() - before;
        ck_assert_msg(few < 2 * M * N * K / 30, "%llu", (unsigned long long)few);
        Tensor dense = rows_of(a.view, 0, M / 4); /* enough that it does not pay */
        for (int64_t i = 0; i < dense.shape[0]; i++)
            for (int64_t j = 0; j < K; j++)
                *at(dense, i, j) = draw_value();
        ck_assert(tensor_panels_matmul(other.view, a.view, &panels, add, &scratch));
        for (int64_t i = M / 4; i < M; i++)
            ck_assert(memcmp(at(out.view, i, 0), at(other.view, i, 0), N * sizeof(float)) == 0);
        tensor_panels_free(&panels);
        free(a.block), free(b.block), free(out.block), free(other.block);
    }
}
END_TEST

/* The same of gradients of weights: the first columns of dy are dense the second time. */
START_TEST(accumulated_gradients_of_few_numbers_have_the_same_bits)
{
    enum { ROWS = 900, N = 80, K = 75 };
    if (!take_path(_i))
        return;
    for (int add = 0; add < 2; add++) {
        Matrix dy = sparse_new(ROWS, N, 40), x = matrix_new(ROWS, K, BY_ROWS),
               out = matrix_new(N, K, BY_ROWS), other = matrix_new(N, K, BY_ROWS);
        memcpy(other.block, out.block, out.size * sizeof *out.block);
        TensorPanelsPair pairs[2];
        for (int i = 0; i < 2; i++)
            pairs[i] = (TensorPanelsPair){rows_of(dy.view, 400 * i, i ? ROWS - 400 : 400),
                                          rows_of(x.view, 400 * i, i ? ROWS - 400 : 400)};
        uint64_t before = tensor_flops_count_here();
        ck_assert(tensor_panels_accumulate(out.view, pairs, 2, add, &scratch));
        ck_assert(tensor_flops_count_here() - before < 2 * ROWS * N * K / 30);
        for (int64_t i = 0; i < ROWS; i++)
            for (int64_t j = 0; j < N / 4; j++)
                *at(dy.view, i, j) = draw_value();
        ck_assert(tensor_panels_accumulate(other.view, pairs, 2, add, &scratch));
        for (int64_t i = N / 4; i < N; i++)
            ck_assert(memcmp(at(out.view, i, 0), at(other.view, i, 0), K * sizeof(float)) == 0);
        ck_assert_uint_eq(scratch.used, 0);
        free(dy.block), free(x.block), free(out.block), free(other.block);
    }
}
END_TEST

START_TEST(a_kernel_that_is_not_there_is_refused)
{
    ck_assert(!tensor_panels_set_kernel("abacus"));
    ck_assert_ptr_eq(tensor_panels_kernel(), best);
}
END_TEST

typedef struct Job {
    const TensorPanels *panels;
    Tensor a, dy, out, gradient;
    bool done;
} Job;

static void *run_job(void *argument)
{
    Job *job = argument;
    TensorArena own;
    tensor_arena_init(&own, 0);
    TensorPanelsPair pair = {job->dy, job->a};
    job->done = true;
    for (int i = 0; i < 5; i++)
        job->done = job->done && tensor_panels_matmul(job->out, job->a, job->panels, 0, &own) &&
                    tensor_panels_accumulate(job->gradient, &pair, 1, 0, &own);
    tensor_arena_free(&own);
    return NULL;
}

START_TEST(threads_with_their_own_scratch_share_panels)
{
    enum { THREADS = 4, M = 50, N = 90, K = 280 };
    if (!take_path(_i))
        return;
    Matrix a = matrix_new(M, K, BY_ROWS), b = matrix_new(K, N, BY_ROWS), dy = matrix_new(M, N, BY_ROWS);
    Matrix out[THREADS], gradient[THREADS];
    TensorPanels panels = pack(b.view);
    Job jobs[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        out[i] = matrix_new(M, N, BY_ROWS), gradient[i] = matrix_new(N, K, BY_ROWS);
        jobs[i] = (Job){&panels, a.view, dy.view, out[i].view, gradient[i].view, false};
    }
    for (int i = 1; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    run_job(&jobs[0]);
    for (int i = 1; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        ck_assert(jobs[i].done);
        ck_assert(memcmp(out[i].view.data, out[0].view.data, sizeof(float) * M * N) == 0);
        ck_assert(memcmp(gradient[i].view.data, gradient[0].view.data, sizeof(float) * N * K) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        free(out[i].block), free(gradient[i].block);
    tensor_panels_free(&panels);
    free(a.block), free(b.block), free(dy.block);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(what_does_not_fit_is_refused)
{
    if (!take_path(_i))
        return;
    Matrix a = matrix_new(3, 4, BY_ROWS), b = matrix_new(4, 5, BY_ROWS), out = matrix_new(3, 5, BY_ROWS);
    TensorPanels none = {0}, panels = pack(b.view);
    Tensor wrong;
    float *before = copy_of(&out);
    ck_assert(!tensor_panels_matmul(out.view, a.view, &none, 0, &scratch));
    ck_assert(!tensor_panels_matmul(rows_of(out.view, 0, 2), a.view, &panels, 0, &scratch));
    ck_assert(!tensor_panels_matmul(out.view, transposed(a.view), &panels, 0, &scratch));
    ck_assert(!tensor_panels_matmul(a.view, a.view, &panels, 0, &scratch));
    for (int axis = 0; axis < 2; axis++) {
        wrong = out.view, wrong.strides[axis] = 0;
        ck_assert(!tensor_panels_matmul(wrong, a.view, &panels, 0, &scratch));
    }
    wrong = out.view, wrong.dtype = TENSOR_I32;
    ck_assert(!tensor_panels_matmul(wrong, a.view, &panels, 0, &scratch));
    wrong = a.view, wrong.dtype = TENSOR_F64;
    ck_assert(!tensor_panels_matmul(out.view, wrong, &panels, 0, &scratch));
    wrong.dtype = TENSOR_DTYPE_NONE;
    ck_assert(!tensor_panels_matmul(out.view, wrong, &panels, 0, &scratch));
    wrong = a.view, wrong.ndim = 3, wrong.shape[2] = 1;
    ck_assert(!tensor_panels_matmul(out.view, wrong, &panels, 0, &scratch));
    wrong = b.view, wrong.dtype = TENSOR_F64;
    ck_assert(!tensor_panels_pack(&panels, wrong));
    wrong = b.view, wrong.ndim = 1;
    ck_assert(!tensor_panels_pack(&panels, wrong));
    ck_assert(memcmp(before, out.block, out.size * sizeof(float)) == 0);
    /* A stride 0 on an axis of one element is no broadcast; and the panels are still the old ones. */
    wrong = rows_of(out.view, 0, 1), wrong.strides[0] = 0;
    ck_assert(tensor_panels_matmul(wrong, rows_of(a.view, 0, 1), &panels, 0, &scratch));
    tensor_panels_free(&panels);
    ck_assert_ptr_null(panels.data);
    tensor_panels_free(&panels);
    free(before), free(a.block), free(b.block), free(out.block);
}
END_TEST

START_TEST(pairs_that_do_not_fit_are_refused)
{
    if (!take_path(_i))
        return;
    Matrix dy = matrix_new(6, 3, BY_ROWS), x = matrix_new(6, 4, BY_ROWS), out = matrix_new(3, 4, BY_ROWS);
    TensorPanelsPair pairs[2] = {{dy.view, x.view}, {dy.view, x.view}};
    float *before = copy_of(&out);
    Tensor wrong = out.view;
    ck_assert(!tensor_panels_accumulate(transposed(out.view), pairs, 2, 0, &scratch));
    ck_assert(!tensor_panels_accumulate(out.view, pairs, -1, 0, &scratch));
    wrong.strides[0] = 0;
    ck_assert(!tensor_panels_accumulate(wrong, pairs, 2, 0, &scratch));
    wrong = out.view, wrong.dtype = TENSOR_F64;
    ck_assert(!tensor_panels_accumulate(wrong, pairs, 2, 0, &scratch));
    pairs[1].x = rows_of(x.view, 0, 5);
    ck_assert(!tensor_panels_accumulate(out.view, pairs, 2, 0, &scratch));
    pairs[1].x = dy.view;
    ck_assert(!tensor_panels_accumulate(out.view, pairs, 2, 0, &scratch));
    pairs[1] = (TensorPanelsPair){x.view, x.view};
    ck_assert(!tensor_panels_accumulate(out.view, pairs, 2, 0, &scratch));
    pairs[1] = (TensorPanelsPair){dy.view, x.view};
    pairs[1].dy.dtype = TENSOR_I32;
    ck_assert(!tensor_panels_accumulate(out.view, pairs, 2, 0, &scratch));
    pairs[1] = (TensorPanelsPair){dy.view, x.view};
    pairs[1].x.ndim = 0;
    ck_assert(!tensor_panels_accumulate(out.view, pairs, 2, 0, &scratch));
    ck_assert(memcmp(before, out.block, out.size * sizeof(float)) == 0);
    free(before), free(dy.block), free(x.block), free(out.block);
}
END_TEST

/* ---- Memory ---- */

START_TEST(without_memory_all_fail_and_nothing_is_written)
{
    Matrix a = matrix_new(9, 300, BY_ROWS), b = matrix_new(300, 50, BY_ROWS),
           out = matrix_new(9, 50, BY_ROWS);
    Matrix small = matrix_new(300, 4, BY_ROWS), few = matrix_new(9, 4, BY_ROWS);
    TensorPanelsPair pair = {out.view, a.view};
    Matrix gradient = matrix_new(50, 300, BY_ROWS);
    float *before = copy_of(&gradient);
    int64_t live = reel_mem_stats().live_blocks;
    TensorPanels panels = {0};
    reel_mem_fail_at(0, 0);
    ck_assert(!tensor_panels_pack(&panels, b.view));
    ck_assert_ptr_null(panels.data);
    panels = pack(small.view);
    reel_mem_fail_at(0, 0);
    ck_assert(!tensor_panels_pack(&panels, b.view));
    reel_mem_fail_at(-1, 0);
    ck_assert(tensor_panels_matmul(few.view, a.view, &panels, 0, &scratch)); /* the old ones are whole */
    tensor_panels_free(&panels);
    tensor_arena_free(&scratch);

    tensor_arena_init(&scratch, 64); /* so small that every block is a chunk of its own */
    panels = pack(b.view);
    bool done = false;
    int failures = 0;
    for (int n = 0; !done; n++, tensor_arena_free(&scratch)) {
        reel_mem_fail_at(n, 1);
        done = tensor_panels_accumulate(gradient.view, &pair, 1, 0.5, &scratch);
        reel_mem_fail_at(-1, 0);
        ck_assert_uint_eq(scratch.used, 0);
        failures += !done;
        if (!done)
            ck_assert(memcmp(before, gradient.block, gradient.size * sizeof(float)) == 0);
    }
    ck_assert_int_ge(failures, 2);
    reel_mem_fail_at(0, 1);
    memcpy(before, out.block, 450 * sizeof(float));
    ck_assert(!tensor_panels_matmul(out.view, a.view, &panels, 0.5, &scratch));
    reel_mem_fail_at(-1, 0);
    ck_assert(memcmp(before, out.block, 450 * sizeof(float)) == 0);
    ck_assert(tensor_panels_matmul(out.view, a.view, &panels, 0.5, &scratch));
    tensor_arena_free(&scratch);
    tensor_panels_free(&panels);
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    free(before), free(a.block), free(b.block), free(out.block);
    free(small.block), free(few.block), free(gradient.block);
}
END_TEST

START_TEST(a_steady_state_allocates_nothing)
{
    if (!take_path(_i))
        return;
    Matrix a = matrix_new(64, 300, BY_ROWS), b = matrix_new(300, 50, BY_ROWS),
           out = matrix_new(64, 50, BY_ROWS);
    Matrix gradient = matrix_new(50, 300, BY_ROWS);
    TensorPanelsPair pair = {out.view, a.view};
    TensorPanels panels = {0};
    uint64_t calls = 0;
    for (int round = 0; round < 4; round++) {
        ck_assert(tensor_panels_pack(&panels, b.view));
        ck_assert(tensor_panels_matmul(out.view, a.view, &panels, 0, &scratch));
        ck_assert(tensor_panels_accumulate(gradient.view, &pair, 1, 0, &scratch));
        if (round == 0)
            calls = reel_mem_stats().calls;
    }
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
    tensor_panels_free(&panels);
    free(a.block), free(b.block), free(out.block), free(gradient.block);
}
END_TEST

Suite *tensor_panels_suite(void);
Suite *tensor_panels_suite(void)
{
    Suite *suite = suite_create("tensor/panels");
    TCase *tcase = tcase_create("panels");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, products_of_random_shapes_and_strides, 0, PATHS);
    tcase_add_loop_test(tcase, products_of_several_blocks, 0, PATHS);
    tcase_add_loop_test(tcase, a_broadcast_operand_is_read_as_any_other, 0, PATHS);
    tcase_add_loop_test(tcase, accumulated_gradients_of_random_shapes_and_strides, 0, PATHS);
    tcase_add_loop_test(tcase, empty_shapes, 0, PATHS);
    tcase_add_loop_test(tcase, a_row_does_not_depend_on_its_neighbours, 0, 8 * PATHS);
    tcase_add_loop_test(tcase, a_product_does_not_depend_on_the_storage, 0, PACKED);
    tcase_add_loop_test(tcase, accumulation_does_not_depend_on_how_rows_are_paired, 0, PACKED);
    tcase_add_loop_test(tcase, a_matrix_of_few_numbers_gives_the_same_bits, 0, PACKED);
    tcase_add_loop_test(tcase, accumulated_gradients_of_few_numbers_have_the_same_bits, 0, PACKED);
    tcase_add_test(tcase, all_vector_widths_give_the_same_bits);
    tcase_add_test(tcase, a_kernel_that_is_not_there_is_refused);
    tcase_add_loop_test(tcase, threads_with_their_own_scratch_share_panels, 0, PATHS);
    tcase_add_loop_test(tcase, what_does_not_fit_is_refused, 0, PATHS);
    tcase_add_loop_test(tcase, pairs_that_do_not_fit_are_refused, 0, PATHS);
    tcase_add_test(tcase, without_memory_all_fail_and_nothing_is_written);
    tcase_add_loop_test(tcase, a_steady_state_allocates_nothing, 0, PATHS);
    suite_add_tcase(suite, tcase);
    return suite;
}
