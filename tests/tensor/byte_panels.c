#include "tensor/byte_panels.h"
#include "tensor/mem_internal.h"
#include "tensor/vmath_internal.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static TensorArena arena, scratch;
static TensorVmathLevel best;
static uint32_t random_state;

static int draw(int bound)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int)(((uint64_t)random_state * (uint32_t)bound) >> 32);
}

static void set_up(void)
{
    random_state = 4711;
    best = tensor_vmath_level();
    tensor_arena_init(&arena, 0);
    tensor_arena_init(&scratch, 0);
}

static void tear_down(void)
{
    ck_assert(tensor_vmath_set_level(best));
    tensor_arena_free(&arena);
    tensor_arena_free(&scratch);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* The same numbers in another order of memory: by columns, or every other of a larger matrix. */
static Tensor stored(Tensor t, int way)
{
    Tensor to =
        way == 1
            ? tensor_transpose(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(t.shape[1], t.shape[0])), 0, 1)
            : tensor_slice(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(t.shape[0], 2 * t.shape[1])), 1, 0,
                           2 * t.shape[1], 2);
    if (way == 0)
        return t;
    tensor_copy_into(to, t);
    return to;
}

/* Rows of whole numbers, 127 or -127 among them, times a number; one row is 0. */
static Tensor draw_weight(int64_t n, int64_t k)
{
    Tensor w = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(n, k));
    for (int64_t i = 0; i < n; i++) {
        float scale = ldexpf((float)(draw(1000) + 1), -draw(20));
        for (int64_t j = 0; j < k; j++)
            tensor_f32(w)[i * k + j] = i == 2 ? 0 : scale * (float)(draw(255) - 127);
        if (i != 2 && k > 0)
            tensor_f32(w)[i * k + draw((int)k)] = draw(2) ? scale * 127 : scale * -127;
    }
    return w;
}

static Tensor draw_x(int64_t m, int64_t k)
{
    Tensor x = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(m, k));
    for (int64_t i = 0; i < m; i++) {
        float scale = ldexpf(1, draw(40) - 20);
        for (int64_t j = 0; j < k; j++)
            tensor_f32(x)[i * k + j] = i == 1 ? 0 : scale * (float)(draw(20001) - 10000);
    }
    return x;
}

static double at(Tensor t, int64_t i, int64_t j)
{
    return tensor_get(&t, (int64_t[]){i, j});
}

/* Within the error that the header says, and the rounding of floats. */
static void check(Tensor out, Tensor before, Tensor x, Tensor w, double beta)
{
    for (int64_t i = 0; i < out.shape[0]; i++)
        for (int64_t j = 0; j < out.shape[1]; j++) {
            double old = beta == 0 ? 0 : beta * at(before, i, j), sum = old, most = 0, weights = 0,
                   size = fabs(old);
            for (int64_t k = 0; k < x.shape[1]; k++) {
                sum += at(x, i, k) * at(w, j, k);
                size += fabs(at(x, i, k) * at(w, j, k));
                most = fmax(most, fabs(at(x, i, k)));
                weights += fabs(at(w, j, k));
            }
            ck_assert_double_le(fabs(at(out, i, j) - sum), 0x1p-16 * most * weights + 0x1p-20 * size);
        }
}

static const double betas[] = {0, 1, -0.5};

static void check_product(int64_t m, int64_t n, int64_t k, double beta)
{
    Tensor w = draw_weight(n, k), x = draw_x(m, k), before = draw_x(m, n), first = tensor_invalid();
    TensorBytePanels panels = {0};
    ck_assert(tensor_byte_panels_pack(&panels, stored(w, draw(3))));
    ck_assert_ptr_nonnull(panels.data);
    for (TensorVmathLevel level = 0; level < TENSOR_VMATH_LEVELS; level++)
        for (int way = 0; way < 3 && tensor_vmath_set_level(level); way++) {
            Tensor out = stored(tensor_copy(&arena, before), way);
            if (beta == 0)
                tensor_fill(out, NAN); /* is not read */
            ck_assert(tensor_byte_panels_matmul(out, stored(x, way), &panels, beta, &scratch));
            ck_assert_uint_eq(scratch.used, 0);
            if (!tensor_is_valid(first))
                check(first = out, before, x, w, beta);
            ck_assert(tensor_equal(out, first));
        }
    /* A row alone has the same bits. */
    for (int64_t i = 0; i < m; i++) {
        Tensor row = tensor_copy(&arena, tensor_slice(before, 0, i, i + 1, 1));
        ck_assert(tensor_byte_panels_matmul(row, tensor_slice(x, 0, i, i + 1, 1), &panels, beta, &scratch));
        ck_assert(tensor_equal(row, tensor_slice(first, 0, i, i + 1, 1)));
    }
    tensor_byte_panels_free(&panels);
    tensor_arena_reset(&arena);
}

START_TEST(products_are_those_of_floats_and_have_the_same_bits_at_every_level)
{
    for (int round = 0; round < 60; round++)
        check_product(1 + draw(9), 1 + draw(90), 1 + draw(80), betas[round % 3]);
    check_product(1, 300, 256, 1);
    check_product(3, 150, 515, 0);
    check_product(5, 17, 1537, 1);
}
END_TEST

/* 512 products of the largest numbers, and a row of numbers that are hardly there. */
START_TEST(the_largest_sums_fit)
{
    enum { K = 1024 };
    Tensor w = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(2, K));
    Tensor x = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(3, K)), out;
    tensor_fill(w, 127);
    tensor_fill(tensor_select(w, 0, 1), -127);
    tensor_fill(x, 0x1p60);
    tensor_fill(tensor_select(x, 0, 1), -0x1p60);
    tensor_fill(tensor_select(x, 0, 2), 0x1p-140);
    TensorBytePanels panels = {0};
    ck_assert(tensor_byte_panels_pack(&panels, w));
    for (TensorVmathLevel level = 0; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level(level))
            continue;
        out = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(3, 2));
        ck_assert(tensor_byte_panels_matmul(out, x, &panels, 0, &scratch));
        double all = 127.0 * K * 0x1p60;
        for (int i = 0; i < 4; i++)
            ck_assert_double_eq_tol(at(out, i / 2, i % 2) / all, i == 0 || i == 3 ? 1 : -1, 1e-6);
        ck_assert_double_le(fabs(at(out, 2, 0)), 0x1p-120);
    }
    tensor_byte_panels_free(&panels);
}
END_TEST

START_TEST(a_row_that_is_not_finite_is_nan)
{
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    Tensor w = draw_weight(5, 20);
    TensorBytePanels panels = {0};
    ck_assert(tensor_byte_panels_pack(&panels, w));
    for (int i = 0; i < 3; i++) {
        Tensor x = draw_x(3, 20), out = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(3, 5));
        tensor_f32(x)[2 * 20 + 7] = wrong[i];
        ck_assert(tensor_byte_panels_matmul(out, x, &panels, 0, &scratch));
        for (int j = 0; j < 5; j++)
            ck_assert(isnan(at(out, 2, j)) && at(out, 1, j) == 0);
    }
    tensor_byte_panels_free(&panels);
}
END_TEST

START_TEST(what_is_not_of_8_bits_is_not_packed)
{
    Tensor w = draw_weight(5, 20), f64 = tensor_new(&arena, TENSOR_F64, TENSOR_SHAPE(5, 20));
    Tensor out = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(1, 5)), x = draw_x(1, 20);
    TensorBytePanels panels = {0};
    ck_assert(tensor_byte_panels_pack(&panels, f64) && !panels.data);
    ck_assert(tensor_byte_panels_pack(&panels, tensor_select(w, 0, 0)) && !panels.data);
    ck_assert(!tensor_byte_panels_matmul(out, x, &panels, 0, &scratch));
    ck_assert(tensor_byte_panels_pack(&panels, w) && panels.data);
    ck_assert(!tensor_byte_panels_matmul(out, tensor_slice(x, 1, 0, 19, 1), &panels, 0, &scratch));
    ck_assert(!tensor_byte_panels_matmul(x, x, &panels, 0, &scratch));
    tensor_f32(w)[3 * 20 + 4] = 0.5F * panels.scales[3]; /* half a step */
    ck_assert(tensor_byte_panels_pack(&panels, w) && !panels.data);
    tensor_f32(w)[3 * 20 + 4] = NAN;
    ck_assert(tensor_byte_panels_pack(&panels, w) && !panels.data);
    tensor_f32(w)[3 * 20 + 4] = 0;
    for (int n = 0; n < 2; n++) {
        reel_mem_fail_at(n, 1);
        ck_assert(!tensor_byte_panels_pack(&panels, w) && !panels.data);
        reel_mem_fail_at(-1, 0);
    }
}
END_TEST

Suite *tensor_byte_panels_suite(void);
Suite *tensor_byte_panels_suite(void)
{
    Suite *suite = suite_create("tensor/byte_panels");
    TCase *tcase = tcase_create("byte_panels");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, products_are_those_of_floats_and_have_the_same_bits_at_every_level);
    tcase_add_test(tcase, the_largest_sums_fit);
    tcase_add_test(tcase, a_row_that_is_not_finite_is_nan);
    tcase_add_test(tcase, what_is_not_of_8_bits_is_not_packed);
    suite_add_tcase(suite, tcase);
    return suite;
}
