#include "tests/autograd_support.h"
#include "tests/tape_support.h"

static Var table(void)
{
    return tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(4, 2)));
}

START_TEST(embedding_takes_rows_and_padding_gets_no_gradient)
{
    Var t = table(), rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(4), 3, 0, 3, 1), 0);
    expect(var_value(rows), 0, 7, 8, 1, 2, 7, 8, 3, 4);
    ck_assert(tape_backward(var_sum(var_mul(rows, rows), TENSOR_AXES_ALL, false)));
    expect(var_grad(t), 0, 0, 0, 6, 8, 0, 0, 28, 32);
}
END_TEST

START_TEST(no_ids_of_a_table_without_rows_are_no_error)
{
    Tape *fresh = tape_new(); /* no step has counted ids on it */
    tape_begin(fresh);
    Tensor none = tensor_zeros(tape_arena(fresh), TENSOR_F32, TENSOR_SHAPE(0, 2));
    Tensor ids = tensor_zeros(tape_arena(fresh), TENSOR_I32, TENSOR_SHAPE(0));
    Var out = var_embedding(tape_constant(fresh, none), tape_constant(fresh, ids), -1);
    ck_assert_msg(!var_is_empty(out), "%s", tape_status(fresh)->message);
    tape_free(fresh);
}
END_TEST

START_TEST(ids_of_any_shape_give_one_axis_more)
{
    Var t = table(), rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(2, 2), 3, 0, 3, 1), -1);
    ck_assert(var_ndim(rows) == 3 && var_size(rows, 2) == 2);
    expect(var_value(rows), 0, 7, 8, 1, 2, 7, 8, 3, 4);
    ck_assert(tape_backward(var_sum(rows, TENSOR_AXES_ALL, false)));
    expect(var_grad(t), 0, 1, 1, 1, 1, 0, 0, 2, 2);
    Var one = var_embedding(t, INDEX(tape, SCALAR, 2), -1);
    expect(var_value(one), 0, 5, 6);
    Var none = var_embedding(t, INDEX(tape, TENSOR_SHAPE(0, 3), 0), -1);
    ck_assert(var_ndim(none) == 3 && var_size(none, 0) == 0);
}
END_TEST

START_TEST(a_table_that_is_computed_gets_a_dense_gradient)
{
    Var t = table(), doubled = var_scale(t, 2, 0);
    Var rows = var_embedding(doubled, INDEX(tape, TENSOR_SHAPE(3), 1, 1, 2), -1);
    Var again = var_embedding(rows, INDEX(tape, TENSOR_SHAPE(2), 2, 0), -1); /* of a repeated-rows value */
    expect(var_value(again), 0, 10, 12, 6, 8);
    ck_assert(tape_backward(var_sum(var_add(again, var_slice(rows, 0, 0, 2, 1)), TENSOR_AXES_ALL, false)));
    expect(var_grad(t), 0, 0, 0, 6, 6, 2, 2, 0, 0);
}
END_TEST

/* Every `step`-th of the numbers, backwards with a negative step: an index with gaps. */
static Var strided(Var index, int64_t step)
{
    Tensor t = var_value(index);
    return tape_constant(tape, tensor_slice(t, 0, step < 0 ? -1 : 0, TENSOR_END, step));
}

START_TEST(an_index_may_have_strides)
{
    Var t = table(), index = INDEX(tape, TENSOR_SHAPE(5), 3, 0, 1, 2, 3);
    Var rows = var_gather_rows(t, strided(index, 2)), back = var_gather_rows(t, strided(index, -2));
    Var embedded = var_embedding(t, strided(index, 2), -1);
    expect(var_value(rows), 0, 7, 8, 3, 4, 7, 8);
    expect(var_value(back), 0, 7, 8, 3, 4, 7, 8);
    expect(var_value(embedded), 0, 7, 8, 3, 4, 7, 8);
    Var factors = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 10, 100);
    Var sum = var_add(var_mul(rows, factors), var_mul(embedded, factors));
    ck_assert(tape_backward(var_sum(sum, TENSOR_AXES_ALL, false)));
    expect(var_grad(t), 0, 0, 0, 20, 20, 0, 0, 202, 202);
}
END_TEST

START_TEST(rows_are_gathered_from_a_stepped_slice_of_repeated_rows)
{
    for (int back = 0; back < 2; back++) {
        tape_begin(tape);
        Var t = table(), repeated = var_embedding(t, INDEX(tape, TENSOR_SHAPE(5), 3, 0, 1, 2, 2), -1);
        /* Of the five rows every other one: of the table the rows 3, 1, 2, or 2, 1, 3. */
        Var slice = back ? var_slice(repeated, 0, -1, TENSOR_END, -2) : var_slice(repeated, 0, 0, 5, 2);
        Var picked = var_gather_rows(slice, strided(INDEX(tape, TENSOR_SHAPE(5), 1, 9, 0, 9, 1), 2));
        if (back)
            expect(var_value(picked), 0, 3, 4, 5, 6, 3, 4);
        else
            expect(var_value(picked), 0, 3, 4, 7, 8, 3, 4);
        Var factors = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 10, 100);
        ck_assert(tape_backward(var_sum(var_mul(picked, factors), TENSOR_AXES_ALL, false)));
        if (back)
            expect(var_grad(t), 0, 0, 0, 101, 101, 10, 10, 0, 0);
        else
            expect(var_grad(t), 0, 0, 0, 101, 101, 0, 0, 10, 10);
    }
}
END_TEST

/* As many rows as the table has, and one of the table not among them. */
START_TEST(rows_that_nobody_selects_do_not_count)
{
    tape_set_check_finite(tape, true);
    Var a = LEAF(tape, TENSOR_SHAPE(3, 1), 0, 4, 9),
        rows = var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(4), 1, 2, 1, 2));
    ck_assert(tape_backward(var_sum(var_sqrt(rows), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 1e-15, 0, 0.5, 1.0 / 3);
    Var b = LEAF(tape, TENSOR_SHAPE(3, 1), 0, 4, 9);
    rows = var_slice(var_embedding(b, INDEX(tape, TENSOR_SHAPE(5), 0, 1, 2, 1, 2), -1), 0, 1, 5, 1);
    ck_assert(tape_backward(var_sum(var_log(rows), TENSOR_AXES_ALL, false)));
    expect(var_grad(b), 1e-15, 0, 0.5, 2.0 / 9);
    assert_ok(tape);
}
END_TEST

START_TEST(an_embedding_may_look_into_a_stepped_slice_of_repeated_rows)
{
    Var t = table(), rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(5), 3, 0, 1, 2, 2), -1);
    Var slice = var_slice(rows, 0, 0, 5, 2); /* the rows 3, 1, 2 of the table */
    Var looked = var_embedding(slice, INDEX(tape, TENSOR_SHAPE(3), 1, 2, 1), -1);
    expect(var_value(looked), 0, 3, 4, 5, 6, 3, 4);
    Var factors = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 10, 100);
    ck_assert(tape_backward(var_sum(var_mul(looked, factors), TENSOR_AXES_ALL, false)));
    expect(var_grad(t), 0, 0, 0, 101, 101, 10, 10, 0, 0);
}
END_TEST

/* A table that one op reads by rows and another as a whole. */
START_TEST(gradients_of_rows_and_whole_ones_add_up)
{
    for (int rows_last = 0; rows_last < 2; rows_last++) {
        TapeParameter parameter;
        tape_begin(tape);
        tape_parameter_init(&parameter, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)));
        Var t = tape_parameter(tape, &parameter), parts[2];
        for (int i = 0; i < 2; i++)
            parts[i] = i == rows_last ? var_sum(var_mul(t, t), TENSOR_AXES_ALL, false)
                                      : var_sum(var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 2, 0, 2), -1),
                                                TENSOR_AXES_ALL, false);
        ck_assert(tape_backward(var_add(parts[0], parts[1])));
        TapeGradient gradient = tape_gradient(tape, &parameter);
        ck_assert(!tensor_is_valid(gradient.rows));
        expect(gradient.dense, 0, 3, 5, 6, 8, 12, 14);
        for (int i = 0; i < 2; i++) /* reading changes nothing */
            expect(var_grad(t), 0, 3, 5, 6, 8, 12, 14);
        tape_parameter_release(&parameter);
    }
}
END_TEST

START_TEST(rows_are_given_once_with_no_id_twice)
{
    TapeParameter parameter;
    tape_parameter_init(&parameter, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(4, 1)));
    Var t = tape_parameter(tape, &parameter);
    Var first = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 3, 1, 3), -1);
    Var second = var_embedding(t, INDEX(tape, TENSOR_SHAPE(2), 0, 3), -1);
    Var both = var_add(var_sum(first, TENSOR_AXES_ALL, false),
                       var_scale(var_sum(second, TENSOR_AXES_ALL, false), 10, 0));
    ck_assert(tape_backward(both));
    for (int look = 0; look < 2; look++) {
        TapeGradient gradient = tape_gradient(tape, &parameter);
        ck_assert(tensor_is_valid(gradient.rows) && !tensor_is_valid(gradient.dense));
        ck_assert_int_eq(gradient.ids.shape[0], 3);
        double dense[4] = {0};
        for (int i = 0; i < 3; i++)
            dense[tensor_i32(gradient.ids)[i]] += (double)tensor_f32(gradient.rows)[i];
        ck_assert(dense[0] == 10 && dense[1] == 1 && dense[2] == 0 && dense[3] == 12);
    }
    expect(var_grad(t), 0, 10, 1, 0, 12);
    tape_parameter_release(&parameter);
}
END_TEST

/* By an embedding and by gather_rows(), which may give an id twice; of two losses. */
START_TEST(row_gradients_of_several_losses_add_up)
{
    for (int gather = 0; gather < 2; gather++) {
        TapeParameter parameter;
        tape_begin(tape);
        tape_parameter_init(&parameter, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(4, 1)));
        Var t = tape_parameter(tape, &parameter), ids = INDEX(tape, TENSOR_SHAPE(3), 3, 1, 3);
        for (int loss = 1; loss <= 2; loss++) {
            Var rows = gather ? var_gather_rows(t, ids) : var_embedding(t, ids, -1);
            ck_assert(tape_backward(var_scale(var_sum(rows, TENSOR_AXES_ALL, false), loss, 0)));
        }
        TapeGradient gradient = tape_gradient(tape, &parameter);
        double dense[4] = {0};
        bool seen[4] = {false};
        for (int64_t i = 0; tensor_is_valid(gradient.rows) && i < gradient.ids.shape[0]; i++) {
            int32_t id = tensor_i32(gradient.ids)[i];
            ck_assert(!seen[id]);
            seen[id] = true;
            dense[id] = (double)tensor_f32(gradient.rows)[i];
        }
        if (tensor_is_valid(gradient.rows))
            ck_assert(dense[0] == 0 && dense[1] == 3 && dense[2] == 0 && dense[3] == 6);
        expect(var_grad(t), 0, 0, 3, 0, 6);
        tape_parameter_release(&parameter);
    }
}
END_TEST

/* Which token mattered: each row has a gradient of its own, also where rows are equal. */
START_TEST(the_gradient_of_an_embeddings_output_can_be_retained)
{
    Var t = table(), rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 3, 0, 3), -1),
        twice = var_scale(rows, 2, 0);
    var_retain_grad(rows);
    ck_assert(tape_backward(
        var_sum(var_mul(twice, LEAF(tape, TENSOR_SHAPE(3, 1), 1, 10, 100)), TENSOR_AXES_ALL, false)));
    expect(var_grad(rows), 0, 2, 2, 20, 20, 200, 200);
    expect(var_grad(t), 0, 20, 20, 0, 0, 0, 0, 202, 202);
    assert_ok(tape);
}
END_TEST

START_TEST(rewinding_forgets_the_gradients_of_rows)
{
    TapeParameter parameter;
    tape_parameter_init(&parameter, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 1)));
    tape_parameter(tape, &parameter);
    TapeMark mark = tape_mark(tape);
    for (int id = 0; id < 2; id++) {
        Var rows = var_embedding(tape_parameter(tape, &parameter), INDEX(tape, TENSOR_SHAPE(1), id), -1);
        ck_assert(tape_backward(var_sum(rows, TENSOR_AXES_ALL, false)));
        TapeGradient gradient = tape_gradient(tape, &parameter);
        expect(gradient.ids, 0, id);
        expect(gradient.rows, 0, 1);
        tape_rewind(tape, mark);
    }
    TapeGradient none = tape_gradient(tape, &parameter);
    ck_assert(!tensor_is_valid(none.rows) && !tensor_is_valid(none.dense));
    tape_parameter_release(&parameter);
}
END_TEST

START_TEST(rows_that_are_not_there_are_an_error)
{
    ck_assert(var_is_empty(var_embedding(table(), INDEX(tape, TENSOR_SHAPE(2), 1, 4), -1)));
    assert_fails(tape, "embedding([4, 2], [2])", "id 4 at place 1");
    tape_begin(tape);
    ck_assert(var_is_empty(var_gather_rows(table(), INDEX(tape, TENSOR_SHAPE(2), 1, -1))));
    assert_fails(tape, "gather_rows([4, 2], [2])", "place 1");
    tape_begin(tape);
    Var index = INDEX(tape, TENSOR_SHAPE(2), 1, 0);
    ck_assert(var_is_empty(var_gather_rows(index, index)));
    assert_fails(tape, "gather_rows([2], [2])", "f32 or f64");
}
END_TEST

/* A table whose rows are updated late: what is stored is 1, 2, ..., what is read is a hundred more. */
static void read_late(const void *context, Tensor ids, Tensor out)
{
    const TapeParameter *parameter = context;
    for (int64_t i = 0; i < ids.shape[0]; i++)
        for (int64_t j = 0; j < out.shape[1]; j++)
            tensor_f32(out)[i * out.shape[1] + j] =
                100 + tensor_f32(parameter->value)[tensor_i32(ids)[i] * out.shape[1] + j];
}

START_TEST(every_op_sees_late_rows_up_to_date)
{
    TapeParameter late;
    tape_parameter_init(&late, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    late.read = read_late;
    late.read_context = &late;
    Var t = tape_parameter(tape, &late);
    expect(var_value(t), 0, 101, 102, 103, 104, 105, 106);
    expect(var_value(var_embedding(t, INDEX(tape, TENSOR_SHAPE(2), 2, 0), -1)), 0, 105, 106, 101, 102);
    expect(var_value(var_gather_rows(t, INDEX(tape, TENSOR_SHAPE(2), 2, 0))), 0, 105, 106, 101, 102);
    expect(var_value(var_neg(t)), 0, -101, -102, -103, -104, -105, -106);
    expect(var_value(var_detach(t)), 0, 101, 102, 103, 104, 105, 106);
    Var x = tape_constant(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(1, 2), NUMBERS(1, 0)));
    expect(var_value(var_linear(x, t, VAR_NONE)), 0, 101, 103, 105);
    Var base = tape_constant(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(1, 3), NUMBERS(0, 0, 0)));
    expect(var_value(var_addmm(base, x, t)), 0, 101, 103, 105);
    assert_ok(tape);
    tape_parameter_release(&late);
}
END_TEST

Suite *autograd_op_rows_suite(void);
Suite *autograd_op_rows_suite(void)
{
    Suite *suite = suite_create("autograd/op_rows");
    TCase *cases = tcase_create("op_rows");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, embedding_takes_rows_and_padding_gets_no_gradient);
    tcase_add_test(cases, no_ids_of_a_table_without_rows_are_no_error);
    tcase_add_test(cases, ids_of_any_shape_give_one_axis_more);
    tcase_add_test(cases, a_table_that_is_computed_gets_a_dense_gradient);
    tcase_add_test(cases, an_index_may_have_strides);
    tcase_add_test(cases, rows_are_gathered_from_a_stepped_slice_of_repeated_rows);
    tcase_add_test(cases, rows_that_nobody_selects_do_not_count);
    tcase_add_test(cases, an_embedding_may_look_into_a_stepped_slice_of_repeated_rows);
    tcase_add_test(cases, gradients_of_rows_and_whole_ones_add_up);
    tcase_add_test(cases, rows_are_given_once_with_no_id_twice);
    tcase_add_test(cases, row_gradients_of_several_losses_add_up);
    tcase_add_test(cases, the_gradient_of_an_embeddings_output_can_be_retained);
    tcase_add_test(cases, rewinding_forgets_the_gradients_of_rows);
    tcase_add_test(cases, rows_that_are_not_there_are_an_error);
    tcase_add_test(cases, every_op_sees_late_rows_up_to_date);
    suite_add_tcase(suite, cases);
    return suite;
}
