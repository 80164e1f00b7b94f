#include "tests/autograd_support.h"
#include "tests/tape_support.h"
#include "tensor/mem_internal.h"

#include <math.h>
#include <stdio.h>

/* ---- Errors ---- */

START_TEST(an_error_says_op_shapes_modules_and_caller)
{
    TapeScope outer = {.name = "classifier"}, inner = {.name = "fc", .parent = &outer};
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    Var b = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(4)));
    tape_enter(tape, &outer);
    tape_enter(tape, &inner);
    int line = __LINE__ + 1;
    Var sum = var_add(a, b);
    tape_leave(tape);
    tape_leave(tape);
    ck_assert(var_is_empty(sum));
    char place[200];
    snprintf(place, sizeof place, "%s:%d", __FILE__, line);
    assert_fails(tape, "add([2, 3], [4])", "do not broadcast", "in classifier.fc", place);
    ck_assert_ptr_null(strchr(tape_status(tape)->message, '\n'));
}
END_TEST

START_TEST(an_error_says_the_shape_of_all_repeated_rows)
{
    Var rows = var_gather_rows(LEAF(tape, TENSOR_SHAPE(2, 1), 1, 2), INDEX(tape, TENSOR_SHAPE(3), 1, 0, 1));
    ck_assert(var_is_empty(var_reshape(rows, TENSOR_SHAPE(5))));
    assert_fails(tape, "reshape([3, 1])");
}
END_TEST

START_TEST(errors_stick_until_the_next_step)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    Var bad = var_reshape(a, TENSOR_SHAPE(3));
    ReelStatus first = *tape_status(tape);
    Var later = var_mul(var_exp(bad), a), elsewhere = var_add(a, a);
    ck_assert(var_is_empty(later) && var_is_empty(elsewhere));
    ck_assert(!tensor_is_valid(var_value(later)));
    ck_assert(isnan(var_item(later)));
    ck_assert(!tape_backward(later));
    ck_assert(!tensor_is_valid(var_grad(later)));
    ck_assert_str_eq(tape_status(tape)->message, first.message);
    tape_begin(tape);
    assert_ok(tape);
    expect(var_value(var_neg(LEAF(tape, TENSOR_SHAPE(1), 4))), 0, -4);
}
END_TEST

START_TEST(a_stale_handle_is_an_error)
{
    Var old = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    tape_begin(tape);
    Var now = LEAF(tape, TENSOR_SHAPE(2), 3, 4);
    ck_assert(var_is_empty(var_add(now, old)));
    assert_fails(tape, "add", "stale");
    tape_begin(tape);
    ck_assert(!tensor_is_valid(var_value(now)));
    assert_fails(tape, "var_value", "stale");
    tape_begin(tape);
    ck_assert(!tape_backward(now));
    assert_fails(tape, "tape_backward", "stale");
}
END_TEST

START_TEST(handles_of_two_tapes_are_an_error)
{
    Tape *other = tape_new();
    tape_begin(other);
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(other, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_mul(a, b)));
    assert_fails(tape, "mul", "input 1", "another tape");
    ck_assert(tape_ok(other));
    tape_free(other);
}
END_TEST

START_TEST(no_value_at_all_is_an_error_or_empty)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_neg(VAR_NONE)));
    ck_assert(var_is_empty(var_concat(&a, 0, 0)));
    assert_ok(tape); /* without a handle there is no tape to record it on */
    ck_assert(var_is_empty(var_add(a, VAR_NONE)));
    assert_fails(tape, "add", "input 1");
    tape_begin(tape);
    ck_assert(var_is_empty(tape_leaf(tape, tensor_invalid())));
    assert_fails(tape, "tape_leaf", "not valid");
    tape_begin(tape);
    ck_assert(var_is_empty(tape_leaf(tape, test_count_up(tape, TENSOR_I32, TENSOR_SHAPE(2)))));
    assert_fails(tape, "tape_leaf", "i32");
}
END_TEST

START_TEST(mixed_dtypes_are_an_error)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2),
        b = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2)));
    ck_assert(var_is_empty(var_add(a, b)));
    assert_fails(tape, "add", "f64", "f32");
}
END_TEST

/* ---- Backward ---- */

START_TEST(a_second_backward_is_an_error)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), loss = var_sum(var_mul(a, a), TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(loss));
    expect(var_grad(a), 0, 2, 4);
    ck_assert(!tape_backward(loss));
    assert_fails(tape, "tape_backward", "already");
}
END_TEST

START_TEST(several_losses_add_up)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), square = var_mul(a, a);
    Var one = var_sum(square, TENSOR_AXES_ALL, false),
        two = var_sum(var_mul(square, a), TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(one));
    ck_assert(tape_backward(two));
    expect(var_grad(a), 0, 2 + 3, 4 + 12);
}
END_TEST

START_TEST(a_loss_must_be_one_number_that_wants_a_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(!tape_backward(a));
    assert_fails(tape, "one number", "[2]");
    tape_begin(tape);
    Var c = tape_constant(tape, test_values(tape, TENSOR_F64, 0, NULL, NUMBERS(1)));
    ck_assert(!tape_backward(var_exp(c)));
    assert_fails(tape, "no value that wants a gradient");
    tape_begin(tape);
    Var leaf = LEAF(tape, SCALAR, 3);
    ck_assert(tape_backward(leaf));
    expect(var_grad(leaf), 0, 1);
    Var one = LEAF(tape, TENSOR_SHAPE(1, 1), 3); /* one number, whatever its axes */
    ck_assert(tape_backward(var_mul(one, one)));
    expect(var_grad(one), 0, 6);
    ck_assert(!tape_backward(var_output(leaf, 1)));
    assert_fails(tape, "tape_backward", "empty value");
    ck_assert(!tape_backward(VAR_NONE));
}
END_TEST

START_TEST(a_value_used_twice_gets_the_sum)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    Var both = var_add(var_add(a, a), var_mul(a, var_add(a, a)));
    ck_assert(tape_backward(var_sum(both, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2 + 4, 2 + 8);
}
END_TEST

START_TEST(what_no_loss_depends_on_has_no_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    var_exp(b);
    ck_assert(tape_backward(var_sum(a, TENSOR_AXES_ALL, false)));
    ck_assert(!tensor_is_valid(var_grad(b)));
    expect(var_grad(a), 0, 1, 1);
    Tensor grad = var_grad(a);
    ck_assert(tensor_is_contiguous(&grad));
}
END_TEST

START_TEST(no_grad_and_detach_cut_the_path)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(tape_set_grad_enabled(tape, false));
    Var constant = var_exp(a);
    ck_assert(!tape_set_grad_enabled(tape, true));
    Var detached = var_detach(var_mul(a, a));
    Var loss = var_sum(var_mul(a, var_add(constant, detached)), TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(loss));
    expect(var_grad(a), 1e-12, exp(1) + 1, exp(2) + 4);
}
END_TEST

START_TEST(sizes_are_counted_from_either_end)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3))),
        rows = var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(5), 0, 1, 0, 1, 1));
    ck_assert(var_size(a, 1) == 3 && var_size(a, -1) == 3 && var_size(a, -2) == 2);
    ck_assert(var_size(a, 2) == 0 && var_size(a, -3) == 0 && var_ndim(a) == 2);
    ck_assert(var_size(rows, 0) == 5 && var_size(rows, -2) == 5 && var_size(rows, -1) == 3);
    ck_assert(var_size(VAR_NONE, 0) == 0 && var_ndim(VAR_NONE) == 0);
}
END_TEST

START_TEST(gradients_stay_off_from_step_to_step)
{
    ck_assert(tape_set_grad_enabled(tape, false));
    for (int step = 0; step < 2; step++) {
        tape_begin(tape);
        Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
        ck_assert(!tape_backward(var_sum(var_mul(a, a), TENSOR_AXES_ALL, false)));
        assert_fails(tape, "in this step gradients were off: tape_set_grad_enabled(tape, true)");
    }
    ck_assert(!tape_set_grad_enabled(tape, true));
    tape_begin(tape);
    Var constant = tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1)));
    ck_assert(!tape_backward(var_exp(constant)));
    assert_fails(tape, "no value that wants a gradient (called"); /* where nothing was off */
    tape_begin(tape);
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(tape_backward(var_sum(var_mul(a, a), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 4);
}
END_TEST

START_TEST(an_item_is_one_number)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(isnan(var_item(a)));
    assert_fails(tape, "var_item: the value must be one number, but has shape [2] (called at");
    tape_begin(tape);
    ck_assert_double_eq(var_item(LEAF(tape, TENSOR_SHAPE(1, 1), 7)), 7);
    ck_assert(isnan(var_item(VAR_NONE)));
    ck_assert(tape_ok(tape));
}
END_TEST

START_TEST(a_parameter_seen_without_gradients_first_still_gets_one)
{
    float values[2] = {2, 3};
    TapeParameter weight;
    tape_parameter_init(&weight, tensor_from(values, TENSOR_F32, TENSOR_SHAPE(2)));
    tape_set_grad_enabled(tape, false);
    Var looked = var_exp(tape_parameter(tape, &weight));
    tape_set_grad_enabled(tape, true);
    Var w = tape_parameter(tape, &weight);
    ck_assert(tape_backward(var_sum(var_mul(var_mul(w, w), looked), TENSOR_AXES_ALL, false)));
    expect(var_grad(w), 1e-6, 4 * exp(2), 6 * exp(3)); /* nothing through the exp */
    tape_parameter_release(&weight);
}
END_TEST

START_TEST(a_detached_repeated_rows_value_keeps_its_rows)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 1), 5, 6);
    Var rows = var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(3), 1, 0, 1)), cut = var_detach(rows);
    ck_assert_int_eq(var_size(cut, 0), 3);
    expect(var_value(cut), 0, 6, 5, 6);
    ck_assert(tape_backward(var_sum(var_mul(rows, cut), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 5, 12);
}
END_TEST

START_TEST(retained_gradients_of_inner_values_add_up)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), inner = var_mul(a, a), other = var_exp(a);
    var_retain_grad(inner);
    ck_assert(tape_backward(var_sum(var_scale(inner, 3, 0), TENSOR_AXES_ALL, false)));
    expect(var_grad(inner), 0, 3, 3);
    ck_assert(tape_backward(var_sum(var_mul(inner, inner), TENSOR_AXES_ALL, false)));
    expect(var_grad(inner), 0, 3 + 2, 3 + 8);
    ck_assert(!tensor_is_valid(var_grad(other)));
    assert_ok(tape);
}
END_TEST

START_TEST(a_retained_gradient_is_not_its_inputs)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(tape, TENSOR_SHAPE(2), 3, 4), inner = var_add(a, b);
    var_retain_grad(inner);
    Var twice = var_add(var_scale(inner, 3, 0), var_scale(inner, 5, 0));
    ck_assert(tape_backward(var_sum(twice, TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_sum(var_scale(inner, 2, 0), TENSOR_AXES_ALL, false)));
    expect(var_grad(inner), 0, 10, 10);
    expect(var_grad(a), 0, 10, 10);
    expect(var_grad(b), 0, 10, 10);
}
END_TEST

START_TEST(a_retained_gradient_is_retained_after_a_rewind)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), inner = var_mul(a, a);
    var_retain_grad(inner);
    TapeMark mark = tape_mark(tape);
    for (int i = 1; i <= 3; i++) {
        ck_assert(tape_backward(var_sum(var_scale(inner, i, 0), TENSOR_AXES_ALL, false)));
        expect(var_grad(inner), 0, i, i);
        tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(a_shared_gradient_is_not_added_into)
{
    /* add() passes one gradient to both of its inputs; the one that gets more must not change the other. */
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(tape, TENSOR_SHAPE(2), 3, 4);
    Var sum = var_add(a, b);
    ck_assert(tape_backward(var_sum(var_add(sum, var_scale(a, 10, 0)), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 11, 11);
    expect(var_grad(b), 0, 1, 1);
    ck_assert(tape_backward(var_sum(var_select(b, 0, 1), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 11, 11);
    expect(var_grad(b), 0, 1, 2);
}
END_TEST

START_TEST(many_slices_of_one_value_get_one_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(4), 1, 2, 3, 4), square = var_mul(a, a), sum = VAR_NONE;
    for (int i = 0; i < 4; i++) {
        Var part = var_scale(var_slice(square, 0, i, i + 1, 1), i + 1, 0);
        sum = i ? var_add(sum, part) : part;
    }
    sum = var_add(sum, var_sum(var_slice(square, 0, -1, TENSOR_END, -2), 1, true));
    ck_assert(tape_backward(var_sum(sum, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2 * 1, 4 * (2 + 1), 6 * 3, 8 * (4 + 1));
}
END_TEST

/* ---- Debugging ---- */

START_TEST(check_finite_names_op_module_and_caller)
{
    TapeScope scope = {.name = "head"};
    tape_set_check_finite(tape, true);
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 0);
    tape_enter(tape, &scope);
    Var bad = var_log(a);
    tape_leave(tape);
    ck_assert(var_is_empty(bad));
    assert_fails(tape, "log([2])", "NaN or an infinity", "in head", __FILE__);
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(2), 1, 0);
    tape_enter(tape, &scope);
    Var root = var_sqrt(a);
    tape_leave(tape);
    assert_ok(tape);
    ck_assert(!tape_backward(var_sum(root, TENSOR_AXES_ALL, false)));
    assert_fails(tape, "backward of sqrt", "NaN or an infinity", "in head", __FILE__);
    /* A weight's gradient is made at the end of the walk: 1e200 times 1e200. */
    tape_begin(tape);
    tape_enter(tape, &scope);
    Var weight = LEAF(tape, TENSOR_SHAPE(1, 1), 1e-200);
    Var out = var_linear(LEAF(tape, TENSOR_SHAPE(1, 1), 1e200), weight, VAR_NONE);
    tape_leave(tape);
    ck_assert(!tape_backward(var_sum(var_scale(out, 1e200, 0), TENSOR_AXES_ALL, false)));
    assert_fails(tape, "backward of linear", "NaN or an infinity", "in head", __FILE__);
    tape_set_check_finite(tape, false);
    tape_begin(tape);
    ck_assert(tape_backward(var_sum(var_sqrt(LEAF(tape, TENSOR_SHAPE(1), 0)), TENSOR_AXES_ALL, false)));
}
END_TEST

/* A gradient of a part, and one of rows, that is made of finite numbers. */
START_TEST(check_finite_sees_gradients_of_parts_and_rows)
{
    for (int rows = 0; rows < 2; rows++) {
        tape_begin(tape);
        tape_set_check_finite(tape, true);
        Var zero = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(1, 1), NUMBERS(0)));
        Var huge = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(1), NUMBERS(1e200)));
        Var key = LEAF(tape, TENSOR_SHAPE(1, 1), 0), out;
        if (rows)
            out = var_embedding(LEAF(tape, TENSOR_SHAPE(1, 1), 0), INDEX(tape, TENSOR_SHAPE(1, 2), 0, 0), -1);
        else
            out = var_additive_score(zero, &key, 1, huge);
        assert_ok(tape);
        ck_assert(!tape_backward(var_sum(var_scale(out, rows ? 1e308 : 1e200, 0), TENSOR_AXES_ALL, false)));
        if (rows)
            assert_fails(tape, "embedding", "NaN or an infinity", __FILE__);
        else
            assert_fails(tape, "additive_score", "NaN or an infinity", __FILE__);
    }
}
END_TEST

/* Of rows that are held once each, those that somebody selected. */
START_TEST(check_finite_sees_values_that_repeat_their_rows)
{
    for (int used = 0; used < 2; used++) {
        tape_begin(tape);
        tape_set_check_finite(tape, true);
        Var table = LEAF(tape, TENSOR_SHAPE(3, 1), 1, NAN, 2);
        Var out = var_embedding(table, INDEX(tape, TENSOR_SHAPE(4), 0, 2, used, 0), -1);
        if (used)
            assert_fails(tape, "embedding", "NaN or an infinity", __FILE__);
        else
            expect(var_value(var_exp(out)), 1e-12, exp(1), exp(2), exp(1), exp(1));
    }
}
END_TEST

START_TEST(scopes_survive_more_leaves_than_enters)
{
    TapeScope scope = {.name = "a"};
    for (int i = 0; i < 100; i++)
        tape_enter(tape, &scope);
    for (int i = 0; i < 103; i++)
        tape_leave(tape);
    var_reshape(LEAF(tape, TENSOR_SHAPE(1), 0), TENSOR_SHAPE(5));
    ck_assert(!strstr(tape_status(tape)->message, "(in "));
}
END_TEST

/* ---- Memory ---- */

static TapeParameter weights[300];
static float weight_values[300][4];

static void make_weights(int count)
{
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < 4; j++)
            weight_values[i][j] = (float)(0.1 * j - 0.01 * i);
        tape_parameter_init(&weights[i], tensor_from(weight_values[i], TENSOR_F32, TENSOR_SHAPE(2, 2)));
    }
}

static void free_weights(int count)
{
    for (int i = 0; i < count; i++)
        tape_parameter_release(&weights[i]);
}

/* A step that uses `count` parameters, each twice. */
static bool step(int count)
{
    tape_begin(tape);
    Var x = tape_constant(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    for (int use = 0; use < 2; use++)
        for (int i = 0; i < count; i++)
            x = var_tanh(var_linear(x, tape_parameter(tape, &weights[i]), VAR_NONE));
    Var bias = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2)));
    Var loss = var_mean(var_slice(var_add(x, bias), 0, 0, 2, 1), TENSOR_AXES_ALL, false);
    return tape_backward(loss);
}

START_TEST(a_parameter_is_one_node_in_a_step)
{
    make_weights(300);
    Var first[300];
    for (int round = 0; round < 3; round++) {
        tape_begin(tape);
        for (int i = 0; i < 300; i++)
            first[i] = tape_parameter(tape, &weights[i]);
        for (int i = 300; i-- > 0;) {
            ck_assert_uint_eq(tape_parameter(tape, &weights[i]).index, first[i].index);
            ck_assert_ptr_eq(var_value(first[i]).data, weight_values[i]);
        }
    }
    ck_assert(step(300));
    for (int i = 0; i < 300; i++)
        ck_assert(tensor_is_valid(tape_gradient(tape, &weights[i]).dense));
    TapeParameter unused;
    tape_parameter_init(&unused, tensor_from(weight_values[0], TENSOR_F32, TENSOR_SHAPE(4)));
    TapeGradient none = tape_gradient(tape, &unused);
    ck_assert(!tensor_is_valid(none.dense) && !tensor_is_valid(none.rows));
    free_weights(300);
}
END_TEST

/* Adds 1 to every number, as clipping by hand might. */
static void spoil(Tensor t)
{
    for (int64_t i = 0, n = tensor_numel(&t); i < n; i++)
        tensor_f32(t)[i] += 1;
}

/* Bits of _i: the parameters are read as rows; the second is read through a concat with the first. */
START_TEST(no_two_parameters_have_one_gradient_in_memory)
{
    make_weights(2);
    tape_begin(tape);
    bool rows = _i & 1, joined = _i & 2;
    Var index = INDEX(tape, TENSOR_SHAPE(1), 1), v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = tape_parameter(tape, &weights[i]);
        v[i] = rows ? var_gather_rows(v[i], index) : v[i];
    }
    Var all = joined ? var_concat((Var[]){v[0], var_scale(v[1], 1, 0), v[1]}, 3, 0) : var_add(v[0], v[1]);
    ck_assert(tape_backward(var_sum(var_mul(all, all), TENSOR_AXES_ALL, false)));
    TapeGradient g[2];
    for (int i = 0; i < 2; i++)
        g[i] = tape_gradient(tape, &weights[i]);
    Tensor first = rows ? g[0].rows : g[0].dense, second = rows ? g[1].rows : g[1].dense;
    Tensor before = tensor_copy(&arena, second);
    ck_assert(tensor_is_valid(first) && tensor_is_valid(second));
    spoil(first);
    ck_assert(tensor_equal(second, before));
    free_weights(2);
}
END_TEST

START_TEST(a_frozen_parameter_gets_no_gradient)
{
    make_weights(2);
    weights[0].frozen = true;
    ck_assert(step(2));
    ck_assert(!tensor_is_valid(tape_gradient(tape, &weights[0]).dense));
    ck_assert(tensor_is_valid(tape_gradient(tape, &weights[1]).dense));
    free_weights(2);
    TapeParameter empty;
    tape_parameter_init(&empty, tensor_invalid());
    ck_assert(var_is_empty(tape_parameter(tape, &empty)));
    assert_fails(tape, "no value yet");
}
END_TEST

START_TEST(a_steady_state_allocates_nothing)
{
    make_weights(20);
    for (int i = 0; i < 3; i++)
        ck_assert(step(20));
    uint64_t calls = reel_mem_stats().calls;
    size_t peak = tape_peak_bytes(tape);
    for (int i = 0; i < 5; i++)
        ck_assert(step(20));
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
    ck_assert_uint_eq(tape_peak_bytes(tape), peak);
    free_weights(20);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    tape_free(tape);
    tape = NULL;
    int64_t live = reel_mem_stats().live_blocks;
    make_weights(3);
    for (int persistent = 0; persistent < 2; persistent++) {
        bool ok = false;
        for (int n = 0; n < 100 && !ok; n++) {
            reel_mem_fail_at(n, persistent);
            tape = tape_new();
            ok = tape && step(3) && tensor_is_valid(tape_gradient(tape, &weights[1]).dense);
            if (tape && !ok)
                ck_assert_msg(strstr(tape_status(tape)->message, "memory") ||
                                  strstr(tape_status(tape)->message, "allocation"),
                              "%s", tape_status(tape)->message);
            reel_mem_fail_at(-1, 0);
            if (tape && !ok) /* and the tape can be used again */
                ck_assert(step(3));
            tape_free(tape);
            tape = NULL;
            free_weights(3);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
        }
        ck_assert(ok);
    }
}
END_TEST

START_TEST(rewinding_gives_nodes_and_memory_back)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 1), 1, 2);
    Var rows = var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(3), 1, 1, 0));
    make_weights(1);
    TapeMark mark = tape_mark(tape);
    size_t used = tape_arena(tape)->used;
    Var inner = VAR_NONE;
    for (int i = 0; i < 3; i++) {
        inner = var_mul(rows, rows);
        expect(var_value(rows), 0, 2, 2, 1);
        tape_parameter(tape, &weights[0]);
        ck_assert(tape_backward(var_sum(inner, TENSOR_AXES_ALL, false)));
        expect(var_grad(a), 0, 2, 8);
        tape_rewind(tape, mark);
        ck_assert_uint_eq(tape_arena(tape)->used, used);
        ck_assert(!tensor_is_valid(var_grad(a)));
        assert_ok(tape);
    }
    var_neg(a); /* takes the place of what is gone */
    ck_assert(!tensor_is_valid(var_value(inner)));
    assert_fails(tape, "stale");
    free_weights(1);
}
END_TEST

START_TEST(a_parameter_that_was_rewound_is_a_new_node)
{
    make_weights(1);
    TapeMark mark = tape_mark(tape);
    for (int i = 0; i < 3; i++) {
        Var before = i ? VAR_NONE : LEAF(tape, SCALAR, 1), w = tape_parameter(tape, &weights[0]);
        (void)before;
        ck_assert_ptr_eq(var_value(w).data, weight_values[0]);
        ck_assert(tape_backward(var_sum(var_mul(w, w), TENSOR_AXES_ALL, false)));
        expect(tape_gradient(tape, &weights[0]).dense, 1e-6, 0, 0.2, 0.4, 0.6);
        tape_rewind(tape, mark);
        ck_assert(!tensor_is_valid(tape_gradient(tape, &weights[0]).dense));
        assert_ok(tape);
    }
    free_weights(1);
}
END_TEST

START_TEST(sparse_gradients_hold_no_id_twice)
{
    float values[10] = {0};
    TapeParameter table;
    tape_parameter_init(&table, tensor_from(values, TENSOR_F32, TENSOR_SHAPE(5, 2)));
    Var t = tape_parameter(tape, &table);
    Var one = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 4, 1, 4), -1);
    Var two = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 1, 0, 3), 3);
    Var loss =
        var_add(var_sum(one, TENSOR_AXES_ALL, false), var_scale(var_sum(two, TENSOR_AXES_ALL, false), 10, 0));
    ck_assert(tape_backward(loss));
    TapeGradient g = tape_gradient(tape, &table);
    ck_assert(!tensor_is_valid(g.dense) && tensor_is_valid(g.rows));
    double sums[5] = {0};
    int seen[5] = {0};
    for (int64_t i = 0; i < g.ids.shape[0]; i++) {
        int id = tensor_i32(g.ids)[i];
        ck_assert_int_eq(seen[id]++, 0);
        sums[id] = tensor_get(&g.rows, (int64_t[]){i, 1});
    }
    ck_assert(sums[0] == 10 && sums[1] == 11 && sums[2] == 0 && sums[3] == 0 && sums[4] == 2);
    expect(var_grad(t), 0, 10, 10, 11, 11, 0, 0, 0, 0, 2, 2);
    tape_parameter_release(&table);
}
END_TEST

Suite *autograd_tape_suite(void);
Suite *autograd_tape_suite(void)
{
    Suite *suite = suite_create("autograd/tape");
    TCase *errors = tcase_create("errors");
    tcase_add_checked_fixture(errors, tape_set_up, tape_tear_down);
    tcase_add_loop_test(errors, no_two_parameters_have_one_gradient_in_memory, 0, 4);
    tcase_add_test(errors, an_error_says_op_shapes_modules_and_caller);
    tcase_add_test(errors, an_error_says_the_shape_of_all_repeated_rows);
    tcase_add_test(errors, errors_stick_until_the_next_step);
    tcase_add_test(errors, a_stale_handle_is_an_error);
    tcase_add_test(errors, handles_of_two_tapes_are_an_error);
    tcase_add_test(errors, no_value_at_all_is_an_error_or_empty);
    tcase_add_test(errors, mixed_dtypes_are_an_error);
    tcase_add_test(errors, check_finite_names_op_module_and_caller);
    tcase_add_test(errors, check_finite_sees_gradients_of_parts_and_rows);
    tcase_add_test(errors, check_finite_sees_values_that_repeat_their_rows);
    tcase_add_test(errors, scopes_survive_more_leaves_than_enters);
    suite_add_tcase(suite, errors);
    TCase *backward = tcase_create("backward");
    tcase_add_checked_fixture(backward, tape_set_up, tape_tear_down);
    tcase_add_test(backward, a_second_backward_is_an_error);
    tcase_add_test(backward, several_losses_add_up);
    tcase_add_test(backward, a_loss_must_be_one_number_that_wants_a_gradient);
    tcase_add_test(backward, a_value_used_twice_gets_the_sum);
    tcase_add_test(backward, what_no_loss_depends_on_has_no_gradient);
    tcase_add_test(backward, no_grad_and_detach_cut_the_path);
    tcase_add_test(backward, sizes_are_counted_from_either_end);
    tcase_add_test(backward, gradients_stay_off_from_step_to_step);
    tcase_add_test(backward, an_item_is_one_number);
    tcase_add_test(backward, a_parameter_seen_without_gradients_first_still_gets_one);
    tcase_add_test(backward, a_detached_repeated_rows_value_keeps_its_rows);
    tcase_add_test(backward, retained_gradients_of_inner_values_add_up);
    tcase_add_test(backward, a_retained_gradient_is_not_its_inputs);
    tcase_add_test(backward, a_retained_gradient_is_retained_after_a_rewind);
    tcase_add_test(backward, a_shared_gradient_is_not_added_into);
    tcase_add_test(backward, many_slices_of_one_value_get_one_gradient);
    tcase_add_test(backward, sparse_gradients_hold_no_id_twice);
    suite_add_tcase(suite, backward);
    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, tape_set_up, tape_tear_down);
    tcase_add_test(memory, a_parameter_is_one_node_in_a_step);
    tcase_add_test(memory, a_frozen_parameter_gets_no_gradient);
    tcase_add_test(memory, a_steady_state_allocates_nothing);
    tcase_add_test(memory, every_allocation_may_fail);
    tcase_add_test(memory, rewinding_gives_nodes_and_memory_back);
    tcase_add_test(memory, a_parameter_that_was_rewound_is_a_new_node);
    suite_add_tcase(suite, memory);
    return suite;
}
