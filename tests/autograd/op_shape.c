#include "tests/autograd_support.h"
#include "tests/tape_support.h"

static Var matrix(void)
{
    return tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
}

START_TEST(views_share_the_memory_of_their_input)
{
    Var a = matrix();
    char *data = var_value(a).data;
    ck_assert_ptr_eq(var_value(var_transpose(a, 0, 1)).data, data);
    ck_assert_ptr_eq(var_value(var_reshape(a, TENSOR_SHAPE(3, 2))).data, data);
    ck_assert_ptr_eq(var_value(var_expand(a, TENSOR_SHAPE(4, 2, 3))).data, data);
    ck_assert_ptr_eq(var_value(var_slice(a, 1, 1, 3, 1)).data, data + sizeof(double));
    ck_assert_ptr_eq(var_value(var_select(a, 0, 1)).data, data + 3 * sizeof(double));
    ck_assert_ptr_eq(var_value(var_slice(a, -1, 0, TENSOR_END, 1)).data, data);
}
END_TEST

START_TEST(reshape_infers_one_size_and_copies_where_it_must)
{
    Var a = matrix(), flat = var_reshape(var_transpose(a, 0, 1), TENSOR_SHAPE(-1));
    expect(var_value(flat), 0, 1, 4, 2, 5, 3, 6);
    Var cube = var_reshape(a, TENSOR_SHAPE(3, -1, 1));
    ck_assert(var_size(cube, 0) == 3 && var_size(cube, 1) == 2);
    ck_assert_int_eq(var_ndim(var_reshape(var_slice(var_slice(a, 0, 0, 1, 1), 1, 2, 3, 1), 0, NULL)), 0);
    ck_assert(tape_backward(var_sum(var_mul(flat, LEAF(tape, TENSOR_SHAPE(6), 1, 2, 3, 4, 5, 6)), 1, false)));
    expect(var_grad(a), 0, 1, 3, 5, 2, 4, 6);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_errors)
{
    struct {
        int ndim;
        int64_t shape[8];
    } cases[] = {{2, {2, 4}}, {2, {-1, -1}}, {1, {-2}},           {2, {-1, 0}},    {2, {-1, 4}},
                 {7, {1}},    {-1, {0}},     {2, {INT64_MAX, 4}}, {1, {INT64_MAX}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tape_begin(tape);
        ck_assert(var_is_empty(var_reshape(matrix(), cases[i].ndim, cases[i].shape)));
        assert_fails(tape, "reshape([2, 3])");
        tape_begin(tape);
        ck_assert(var_is_empty(var_expand(matrix(), cases[i].ndim, cases[i].shape)));
        assert_fails(tape, "expand([2, 3])");
    }
}
END_TEST

START_TEST(slices_and_selections_count_as_numpy_does)
{
    Var a = matrix();
    expect(var_value(var_slice(a, 1, -2, TENSOR_END, 1)), 0, 2, 3, 5, 6);
    expect(var_value(var_slice(a, 1, -1, TENSOR_END, -2)), 0, 3, 1, 6, 4);
    expect(var_value(var_slice(a, 1, -100, 2, 1)), 0, 1, 2, 4, 5);
    expect(var_value(var_select(a, -1, -3)), 0, 1, 4);
    Var first = var_slice(a, 1, -100, 2, 1), last = var_slice(a, 1, 100, TENSOR_END, -2);
    ck_assert(tape_backward(var_sum(first, TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_scale(var_sum(last, TENSOR_AXES_ALL, false), 10, 0)));
    ck_assert(tape_backward(var_scale(var_sum(var_select(a, 0, -1), TENSOR_AXES_ALL, false), 100, 0)));
    expect(var_grad(a), 0, 11, 1, 10, 111, 101, 110);
    ck_assert(var_is_empty(var_select(a, 1, 3)));
    assert_fails(tape, "select([2, 3])", "index 3 is out of range for size 3 of axis 1");
    tape_begin(tape);
    ck_assert(var_is_empty(var_slice(matrix(), 0, 0, 1, 0)));
    assert_fails(tape, "slice([2, 3])", "step is 0");
    tape_begin(tape);
    ck_assert(var_is_empty(var_transpose(matrix(), 0, -3)));
    assert_fails(tape, "transpose([2, 3])", "axis -3");
}
END_TEST

START_TEST(concat_and_stack_join)
{
    Var a = matrix(), b = LEAF(tape, TENSOR_SHAPE(2, 1), 7, 8), none = LEAF(tape, TENSOR_SHAPE(2, 0), 0);
    Var joined = var_concat((Var[]){a, none, b, b}, 4, -1);
    expect(var_value(joined), 0, 1, 2, 3, 7, 7, 4, 5, 6, 8, 8);
    Var piled = var_stack((Var[]){b, b}, 2, -1);
    ck_assert_int_eq(var_ndim(piled), 3);
    expect(var_value(piled), 0, 7, 7, 8, 8);
    ck_assert(tape_backward(var_sum(var_mul(joined, joined), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 4, 6, 8, 10, 12);
    expect(var_grad(b), 0, 28, 32);
    Var parts[20];
    for (int i = 0; i < 20; i++)
        parts[i] = b;
    for (int count = 7; count < 20; count++)
        expect(var_value(var_slice(var_concat(parts, count, 0), 0, -1, TENSOR_END, 1)), 0, 8);
    Var many = var_concat(parts, 20, 0);
    ck_assert_int_eq(var_size(many, 0), 40);
    ck_assert(tape_backward(var_sum(many, TENSOR_AXES_ALL, false)));
    expect(var_grad(b), 0, 48, 52);
    Var ids = var_concat((Var[]){INDEX(tape, TENSOR_SHAPE(1), 4), INDEX(tape, TENSOR_SHAPE(2), 5, 6)}, 2, 0);
    expect(var_value(ids), 0, 4, 5, 6);
    assert_ok(tape);
    ck_assert(var_is_empty(var_concat((Var[]){a, b}, 2, 0)));
    assert_fails(tape, "concat([2, 3], [2, 1])", "part 1");
    tape_begin(tape);
    Var c = matrix();
    ck_assert(var_is_empty(var_stack((Var[]){c, INDEX(tape, TENSOR_SHAPE(2, 3), 1, 2, 3, 4, 5, 6)}, 2, 0)));
    assert_fails(tape, "stack", "different dtypes");
}
END_TEST

/* The sum over slices of factor times all elements; the last one is taken first by the walk. */
typedef struct Slice {
    int axis;
    int64_t start, stop, step;
    double factor;
} Slice;

static Var gradient_of_slices(const Slice *slices, int count)
{
    Var a = tape_leaf(tape, tensor_zeros(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(4, 2))), sum = VAR_NONE;
    for (int i = 0; i < count; i++) {
        Slice s = slices[i];
        Var part = var_sum(var_scale(var_slice(a, s.axis, s.start, s.stop, s.step), s.factor, 0),
                           TENSOR_AXES_ALL, false);
        sum = i ? var_add(sum, part) : part;
    }
    ck_assert(tape_backward(sum));
    return a;
}
#define SLICES(...) (const Slice[]){__VA_ARGS__}, (int)(sizeof((const Slice[]){__VA_ARGS__}) / sizeof(Slice))

/* Parts of a gradient that lie side by side, with a gap, over one another, along another axis, with a step.
 */
START_TEST(slices_add_up_wherever_they_lie)
{
    Var steps = gradient_of_slices(SLICES({0, 0, 1, 1, 1}, {0, 1, 3, 1, 2}, {0, 3, 4, 1, 3}));
    expect(var_grad(steps), 0, 1, 1, 2, 2, 2, 2, 3, 3);
    Var later = gradient_of_slices(SLICES({0, 2, 3, 1, 1}, {0, 1, 2, 1, 2}));
    expect(var_grad(later), 0, 0, 0, 2, 2, 1, 1, 0, 0);
    Var gap = gradient_of_slices(SLICES({0, 1, 2, 1, 1}, {0, 3, 4, 1, 2}));
    expect(var_grad(gap), 0, 0, 0, 1, 1, 0, 0, 2, 2);
    Var within = gradient_of_slices(SLICES({0, 3, 4, 1, 5}, {0, 1, 2, 1, 1}, {0, 0, 3, 1, 2}));
    expect(var_grad(within), 0, 2, 2, 3, 3, 2, 2, 5, 5);
    Var across = gradient_of_slices(SLICES({0, 1, 3, 1, 1}, {1, 1, 2, 1, 2}));
    expect(var_grad(across), 0, 0, 2, 1, 3, 1, 3, 0, 2);
    Var with_step = gradient_of_slices(SLICES({0, 1, 4, 2, 1}, {0, 0, 1, 1, 2}));
    expect(var_grad(with_step), 0, 2, 2, 1, 1, 0, 0, 1, 1);
    Var overlapping = gradient_of_slices(SLICES({0, 1, 4, 1, 1}, {0, 0, 2, 1, 2}));
    expect(var_grad(overlapping), 0, 2, 2, 3, 3, 1, 1, 1, 1);
}
END_TEST

Suite *autograd_op_shape_suite(void);
Suite *autograd_op_shape_suite(void)
{
    Suite *suite = suite_create("autograd/op_shape");
    TCase *cases = tcase_create("op_shape");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, views_share_the_memory_of_their_input);
    tcase_add_test(cases, reshape_infers_one_size_and_copies_where_it_must);
    tcase_add_test(cases, shapes_that_do_not_fit_are_errors);
    tcase_add_test(cases, slices_and_selections_count_as_numpy_does);
    tcase_add_test(cases, concat_and_stack_join);
    tcase_add_test(cases, slices_add_up_wherever_they_lie);
    suite_add_tcase(suite, cases);
    return suite;
}
