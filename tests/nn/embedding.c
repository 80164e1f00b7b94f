#include "nn/embedding.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

START_TEST(ids_of_any_shape_become_rows)
{
    NnEmbedding m;
    nn_embedding_init(&m, 6, 4);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    int32_t ids[] = {5, 0, 5, 2, 2, 2, 1, 0};
    Tensor table = m.weight.core.value;
    for (int ndim = 0; ndim < 4; ndim++) {
        const int64_t shapes[4][3] = {{1}, {8}, {2, 4}, {2, 2, 2}};
        tape_begin(tape);
        Tensor index = tensor_from(ids, TENSOR_I32, ndim, shapes[ndim]);
        Tensor rows = var_value(nn_embedding(&m, tape_constant(tape, index)));
        ck_assert_tape_ok(tape);
        ck_assert_int_eq(rows.ndim, ndim + 1);
        int64_t n = tensor_numel(&index);
        Tensor flat = tensor_view_as(rows, TENSOR_SHAPE(n, 4));
        for (int64_t i = 0; i < n; i++)
            ck_assert(tensor_equal(tensor_select(flat, 0, i), tensor_select(table, 0, ids[i])));
    }
    nn_module_free(&m.base);
}
END_TEST

START_TEST(the_gradient_is_sparse_and_adds_up)
{
    for (int shaped = 0; shaped < 2; shaped++) {
        NnEmbedding m;
        nn_embedding_init(&m, 1000, 2);
        ck_assert_ok(nn_module_reset(&m.base, 1));
        int32_t ids[] = {7, 3, 7, 999, 7, 3};
        tape_begin(tape);
        Tensor index = shaped ? tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(2, 3))
                              : tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(6));
        tape_backward(var_sum(nn_embedding(&m, tape_constant(tape, index)), TENSOR_AXES_ALL, false));
        ck_assert_tape_ok(tape);
        TapeGradient g = tape_gradient(tape, &m.weight.core);
        ck_assert(!tensor_is_valid(g.dense));
        ck_assert_int_eq(g.ids.shape[0], 3);
        for (int64_t i = 0; i < 3; i++) {
            int32_t id = (int32_t)tensor_get(&g.ids, &i);
            ck_assert_double_eq(tensor_get(&g.rows, (int64_t[]){i, 1}), id == 7 ? 3 : id == 3 ? 2 : 1);
        }
        nn_module_free(&m.base);
    }
}
END_TEST

START_TEST(the_padding_row_is_zero_and_stays_so)
{
    NnEmbedding m;
    nn_embedding_init_padded(&m, 5, 3, 2);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    Tensor zero = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3));
    for (int64_t i = 0; i < 5; i++)
        ck_assert_int_eq(tensor_equal(tensor_select(m.weight.core.value, 0, i), zero), i == 2);
    for (int shaped = 0; shaped < 2; shaped++) {
        int32_t ids[] = {2, 1, 2, 4};
        tape_begin(tape);
        Tensor index = shaped ? tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(2, 2))
                              : tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(4));
        tape_backward(var_sum(nn_embedding(&m, tape_constant(tape, index)), TENSOR_AXES_ALL, false));
        NnNamed named;
        ck_assert(nn_find(&m.base, "weight", &named));
        Tensor g = named_gradient(tape, &named, &arena);
        for (int64_t i = 0; i < 5; i++)
            ck_assert_double_eq(tensor_get(&g, (int64_t[]){i, 0}), i == 1 || i == 4 ? 1 : 0);
    }
    nn_module_free(&m.base);
    nn_embedding_init_padded(&m, 5, 3, 5);
    ck_assert_failed(nn_module_reset(&m.base, 1), REEL_STATUS_FAILED, "padding id 5");
    nn_module_free(&m.base);
    nn_embedding_init_padded(&m, 5, 3, -2); /* PyTorch counts it from the end; here it would be none */
    ck_assert_failed(nn_module_reset(&m.base, 1), REEL_STATUS_FAILED, "padding id -2");
    nn_module_free(&m.base);
}
END_TEST

static Var run(Tape *t, Var input, void *context)
{
    (void)input;
    static int32_t ids[] = {1, 3, 1, 0, 1, 2};
    Var rows = nn_embedding(context, tape_constant(t, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(6))));
    return var_mul(rows, var_tanh(rows));
}

START_TEST(backward_agrees_with_differences)
{
    NnEmbedding m;
    nn_embedding_init(&m, 5, 3);
    ck_assert_ok(nn_module_reset_f64(&m.base, 1));
    check_module_gradients(&m.base, run, &m, tensor_invalid());
    nn_module_free(&m.base);
}
END_TEST

START_TEST(ids_outside_of_the_table_are_errors)
{
    NnEmbedding m;
    nn_embedding_init(&m, 5, 3);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    const int32_t bad[] = {5, -1, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        int32_t ids[] = {0, 4, bad[i], 1};
        tape_begin(tape);
        ck_assert(var_is_empty(
            nn_embedding(&m, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(4))))));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "at place 2");
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/embedding.c:");
    }
    tape_begin(tape);
    Tensor real = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3));
    ck_assert(var_is_empty(nn_embedding(&m, tape_constant(tape, real))));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "i32");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_sequence_of_ids_becomes_one_of_vectors)
{
    NnEmbedding m;
    nn_embedding_init(&m, 9, 2);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    int32_t ids[] = {8, 1, 2, 8, 4, 5}, offsets[] = {0, 1, 4, 6};
    NnSequence x = nn_embedding_sequence(&m, nn_pack(tape, ids, offsets, 3));
    Tensor rows = var_value(nn_unpack(x));
    for (int64_t i = 0; i < 6; i++)
        ck_assert(tensor_equal(tensor_select(rows, 0, i), tensor_select(m.weight.core.value, 0, ids[i])));
    nn_module_free(&m.base);
}
END_TEST

/* ---- Bags ---- */

START_TEST(bags_are_pytorchs)
{
    static const char *const names[] = {"sum", "mean", "max"};
    Fixture fixture = fixture_open("embedding_bag");
    for (int mode = 0; mode < 3; mode++)
        for (int f64 = 0; f64 < 2; f64++) {
            TensorDtype dtype = f64 ? TENSOR_F64 : TENSOR_F32;
            double limit = f64 ? 1e-6 : 1e-5;
            NnEmbeddingBag m;
            nn_embedding_bag_init(&m, 5, 3, (NnBagMode)mode);
            ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 0) : nn_module_reset(&m.base, 0));
            fixture_load(&fixture, &m.base);
            tape_begin(tape);
            Var ids = tape_constant(tape, fixture_tensor(&fixture, "reel/ids")),
                bag = tape_constant(tape, fixture_tensor(&fixture, "reel/bag")), weights = VAR_NONE;
            if (mode == NN_BAG_SUM)
                weights =
                    tape_constant(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/weights"), dtype));
            Tensor expected = fixture_tensor(&fixture, "reel/%s", names[mode]),
                   dy = tensor_cast(&arena, fixture_tensor(&fixture, "reel/grad_output"), dtype);
            int64_t count = 4;
            if (mode == NN_BAG_MAX) { /* which has no bag without ids: 3 becomes 2 */
                for (int i = 4; i < 6; i++)
                    tensor_i32(var_value(bag))[i] = 2;
                tensor_copy_into(tensor_select(expected, 0, 2), tensor_select(expected, 0, 3));
                tensor_copy_into(tensor_select(dy, 0, 2), tensor_select(dy, 0, 3));
                expected = tensor_slice(expected, 0, 0, 3, 1);
                dy = tensor_slice(dy, 0, 0, 3, 1);
                count = 3;
            }
            Var y = nn_embedding_bag(&m, ids, bag, count, weights);
            ck_assert_tape_ok(tape);
            ck_assert_close(var_value(y), expected, limit);
            ck_assert(tape_backward(var_sum(var_mul(y, tape_constant(tape, dy)), TENSOR_AXES_ALL, false)));
            NnNamed named;
            ck_assert(nn_find(&m.base, "weight", &named));
            ck_assert_norm_close(named_gradient(tape, &named, &arena),
                                 fixture_tensor(&fixture, "reel/grad/%s", names[mode]), 10 * limit,
                                 names[mode]);
            nn_module_free(&m.base);
        }
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_text_is_a_bag)
{
    NnEmbeddingBag m;
    int32_t ids[] = {3, 1, 4}, offsets[] = {0, 1, 3};
    nn_embedding_bag_init(&m, 5, 2, NN_BAG_MEAN);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    tape_begin(tape);
    NnSequence text = nn_pack(tape, ids, offsets, 2);
    Tensor y = var_value(nn_embedding_bag_sequence(&m, text)), table = m.weight.core.value;
    ck_assert_tape_ok(tape);
    for (int64_t k = 0; k < 2; k++) {
        ck_assert_double_eq_tol(tensor_get(&y, (int64_t[]){0, k}), tensor_get(&table, (int64_t[]){3, k}),
                                1e-6);
        ck_assert_double_eq_tol(
            tensor_get(&y, (int64_t[]){1, k}),
            (tensor_get(&table, (int64_t[]){1, k}) + tensor_get(&table, (int64_t[]){4, k})) / 2, 1e-6);
    }
    Var weights = tape_constant(tape, tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(3), 1));
    ck_assert(var_is_empty(nn_embedding_bag(&m, text.rows, nn_text_of_row(text), 2, weights)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "weights are of a sum");
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_embedding_suite(void);
Suite *nn_embedding_suite(void)
{
    Suite *suite = suite_create("nn/embedding");
    TCase *c = tcase_create("embedding");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, ids_of_any_shape_become_rows);
    tcase_add_test(c, the_gradient_is_sparse_and_adds_up);
    tcase_add_test(c, the_padding_row_is_zero_and_stays_so);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, ids_outside_of_the_table_are_errors);
    tcase_add_test(c, a_sequence_of_ids_becomes_one_of_vectors);
    tcase_add_test(c, bags_are_pytorchs);
    tcase_add_test(c, a_text_is_a_bag);
    suite_add_tcase(suite, c);
    return suite;
}
