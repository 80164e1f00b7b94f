#include "tests/autograd_support.h"
#include "tests/tape_support.h"
#include "tensor/vmath_internal.h"

#include <math.h>

static Var numbers(int64_t n, int64_t m, double start, double step)
{
    Tensor t = tensor_new(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(n, m));
    for (int64_t i = 0; i < n * m; i++)
        tensor_f64(t)[i] = start + step * (double)(i % 17);
    return tape_leaf(tape, t);
}

static Var gate(Var z, int place)
{
    return var_slice(z, 1, 3 * place, 3 * place + 3, 1);
}

/* The fused op against the composition that defines it, values and gradients. */
START_TEST(gated_memory_is_its_formula)
{
    const VarGateOrder orders[] = {{0, 1, 2, 3}, {1, 0, 3, 2}};
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        VarGateOrder order = orders[i & 1];
        Var za = numbers(4, 12, -1.5, 0.2), zb = numbers(4, 12, -1.5, 0.2), c, first = VAR_NONE;
        Var ca = i < 2 ? numbers(4, 3, -1, 0.15) : VAR_NONE, cb = i < 2 ? numbers(4, 3, -1, 0.15) : VAR_NONE;
        Var h = var_gated_memory(za, ca, order, &c);
        Var fresh = var_mul(var_sigmoid(gate(zb, order.input)), var_tanh(gate(zb, order.cell)));
        if (i < 2)
            first = var_mul(var_sigmoid(gate(zb, order.forget)), cb);
        Var c2 = i < 2 ? var_add(first, fresh) : fresh;
        Var h2 = var_mul(var_sigmoid(gate(zb, order.output)), var_tanh(c2));
        expect_same(var_value(h), var_value(h2), 1e-14);
        expect_same(var_value(c), var_value(c2), 1e-14);
        ck_assert(tape_backward(var_sum(var_mul(h, var_exp(c)), TENSOR_AXES_ALL, false)));
        ck_assert(tape_backward(var_sum(var_mul(h2, var_exp(c2)), TENSOR_AXES_ALL, false)));
        expect_same(var_grad(za), var_grad(zb), 1e-13);
        if (i < 2)
            expect_same(var_grad(ca), var_grad(cb), 1e-13);
    }
}
END_TEST

/* Numbers of f32 in either dtype. */
static void fill_with_sines(Tensor t, double factor)
{
    for (int64_t r = 0; r < t.shape[0]; r++)
        for (int64_t k = 0; k < t.shape[1]; k++)
            tensor_set(&t, (const int64_t[]){r, k},
                       (float)(factor * sin((double)(7 * (r * t.shape[1] + k)))));
}

/* A cell in this version of the loops: values, and gradients from h, from c or from both. */
static void run_cell(TensorVmathLevel level, TensorDtype dtype, bool with_c_prev, int asked,
                     Tensor results[4])
{
    enum { ROWS = 2, HIDDEN = 309 }; /* more than a block of units, and a tail */
    tensor_vmath_set_level(level);
    Tensor z = tensor_new(&arena, dtype, TENSOR_SHAPE(ROWS, 4 * HIDDEN)),
           c_prev = tensor_new(&arena, dtype, TENSOR_SHAPE(ROWS, HIDDEN));
    fill_with_sines(z, 6);
    fill_with_sines(c_prev, 2);
    Var in = tape_leaf(tape, z), before = with_c_prev ? tape_leaf(tape, c_prev) : VAR_NONE, c;
    Var h = var_gated_memory(in, before, (VarGateOrder){1, 0, 2, 3}, &c);
    Var loss = asked == 1 ? var_mul(h, h) : asked == 2 ? var_mul(c, c) : var_mul(h, c);
    ck_assert(tape_backward(var_sum(loss, TENSOR_AXES_ALL, false)));
    const Tensor all[4] = {var_value(h), var_value(c), var_grad(in),
                           with_c_prev ? var_grad(before) : var_value(h)};
    for (int i = 0; i < 4; i++)
        results[i] = tensor_copy(&arena, all[i]);
}

/* Bits of _i: with c_prev; gradients from h, c or both. */
START_TEST(gated_memory_of_f32_has_the_same_bits_in_every_version)
{
    Tensor first[4], other[4], wanted[4];
    TensorVmathLevel in_use = tensor_vmath_level();
    bool with_c_prev = _i & 1;
    int asked = 1 + (_i >> 1);
    run_cell(TENSOR_VMATH_PORTABLE, TENSOR_F32, with_c_prev, asked, first);
    run_cell(TENSOR_VMATH_PORTABLE, TENSOR_F64, with_c_prev, asked, wanted);
    for (int i = 0; i < 4; i++)
        expect_same(tensor_cast(&arena, first[i], TENSOR_F64), wanted[i], 2e-6);
    for (int level = 1; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        run_cell((TensorVmathLevel)level, TENSOR_F32, with_c_prev, asked, other);
        for (int i = 0; i < 4; i++)
            ck_assert_mem_eq(other[i].data, first[i].data, sizeof(float) * (size_t)tensor_numel(&first[i]));
    }
    tensor_vmath_set_level(in_use);
}
END_TEST

/* With h, and without. */
START_TEST(gated_unit_is_its_formula)
{
    for (int i = 0; i < 2; i++) {
        tape_begin(tape);
        Var x[2], u[2], h[2], out[2];
        for (int k = 0; k < 2; k++) {
            x[k] = numbers(4, 9, -1.5, 0.2);
            u[k] = numbers(4, 9, 1, -0.15);
            h[k] = i ? numbers(4, 3, -1, 0.15) : VAR_NONE;
        }
        out[0] = var_gated_unit(x[0], u[0], h[0]);
        Var r = var_sigmoid(var_add(gate(x[1], 0), gate(u[1], 0))),
            z = var_sigmoid(var_add(gate(x[1], 1), gate(u[1], 1))),
            n = var_tanh(var_add(gate(x[1], 2), var_mul(r, gate(u[1], 2))));
        out[1] = var_mul(var_scale(z, -1, 1), n);
        if (i)
            out[1] = var_add(out[1], var_mul(z, h[1]));
        expect_same(var_value(out[0]), var_value(out[1]), 1e-14);
        for (int k = 0; k < 2; k++)
            ck_assert(tape_backward(var_sum(var_mul(out[k], out[k]), TENSOR_AXES_ALL, false)));
        expect_same(var_grad(x[0]), var_grad(x[1]), 1e-13);
        expect_same(var_grad(u[0]), var_grad(u[1]), 1e-13);
        if (i)
            expect_same(var_grad(h[0]), var_grad(h[1]), 1e-13);
    }
}
END_TEST

START_TEST(gated_unit_of_f32_has_the_same_bits_in_every_version)
{
    enum { ROWS = 2, HIDDEN = 309 };
    Tensor first[2], tensors[3];
    TensorVmathLevel in_use = tensor_vmath_level();
    for (int i = 0; i < 3; i++) {
        tensors[i] = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(ROWS, i < 2 ? 3 * HIDDEN : HIDDEN));
        fill_with_sines(tensors[i], i < 2 ? 6 : 1);
    }
    for (int level = 0; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        Var x = tape_leaf(tape, tensors[0]);
        Var h = var_gated_unit(x, tape_leaf(tape, tensors[1]), tape_leaf(tape, tensors[2]));
        ck_assert(tape_backward(var_sum(h, TENSOR_AXES_ALL, false)));
        const Tensor all[2] = {var_value(h), var_grad(x)};
        for (int i = 0; i < 2; i++) {
            if (level == 0)
                first[i] = tensor_copy(&arena, all[i]);
            ck_assert_mem_eq(all[i].data, first[i].data, sizeof(float) * (size_t)tensor_numel(&all[i]));
        }
    }
    tensor_vmath_set_level(in_use);
}
END_TEST

START_TEST(additive_score_and_weighted_sum_are_their_formulas)
{
    Var q = numbers(2, 5, -1, 0.1), v = LEAF(tape, TENSOR_SHAPE(5), 1, -2, 3, 0.5, 0.25), keys[3], columns[3];
    Var q2 = numbers(2, 5, -1, 0.1), v2 = LEAF(tape, TENSOR_SHAPE(5), 1, -2, 3, 0.5, 0.25), keys2[3],
        sum = VAR_NONE;
    for (int s = 0; s < 3; s++) {
        keys[s] = numbers(4 - s, 5, 0.3 * s, -0.1);
        keys2[s] = numbers(4 - s, 5, 0.3 * s, -0.1);
        Var first = var_slice(keys2[s], 0, 0, 2, 1);
        columns[s] = var_sum(var_mul(var_tanh(var_add(q2, first)), v2), TENSOR_AXIS(1), false);
    }
    Var score = var_additive_score(q, keys, 3, v), score2 = var_stack(columns, 3, 1);
    Var out = var_weighted_sum(var_softmax(score, 1), keys, 3), weights = var_softmax(score2, 1);
    for (int s = 0; s < 3; s++) {
        Var part = var_mul(var_slice(weights, 1, s, s + 1, 1), var_slice(keys2[s], 0, 0, 2, 1));
        sum = s ? var_add(sum, part) : part;
    }
    expect_same(var_value(score), var_value(score2), 1e-14);
    expect_same(var_value(out), var_value(sum), 1e-14);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_sum(var_mul(sum, sum), TENSOR_AXES_ALL, false)));
    expect_same(var_grad(q), var_grad(q2), 1e-13);
    expect_same(var_grad(v), var_grad(v2), 1e-13);
    for (int s = 0; s < 3; s++)
        expect_same(var_grad(keys[s]), var_grad(keys2[s]), 1e-13);
}
END_TEST

Suite *autograd_op_cell_suite(void);
Suite *autograd_op_cell_suite(void)
{
    Suite *suite = suite_create("autograd/op_cell");
    TCase *cases = tcase_create("op_cell");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, gated_memory_is_its_formula);
    tcase_add_loop_test(cases, gated_memory_of_f32_has_the_same_bits_in_every_version, 0, 6);
    tcase_add_test(cases, gated_unit_is_its_formula);
    tcase_add_test(cases, gated_unit_of_f32_has_the_same_bits_in_every_version);
    tcase_add_test(cases, additive_score_and_weighted_sum_are_their_formulas);
    suite_add_tcase(suite, cases);
    return suite;
}
