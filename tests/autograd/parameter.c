#include "autograd/parameter.h"
#include "tensor/mem_internal.h"
#include "tests/autograd_support.h"

static float memory[6] = {1, 2, 3, 4, 5, 6};

static void read_doubled(const void *context, Tensor ids, Tensor out)
{
    (void)context;
    for (int64_t i = 0; i < ids.shape[0]; i++)
        for (int64_t j = 0; j < 2; j++)
            tensor_f32(out)[2 * i + j] = 2 * memory[2 * tensor_i32(ids)[i] + j];
}

START_TEST(panels_are_packed_once_for_a_version)
{
    TapeParameter p;
    int64_t live = reel_mem_stats().live_blocks;
    tape_parameter_init(&p, tensor_from(memory, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    ck_assert(tape_parameter_prepare(&p)); /* nobody has asked for any */
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    const TensorPanels *transposed = tape_parameter_panels(&p, true),
                       *plain = tape_parameter_panels(&p, false);
    ck_assert(transposed && plain && transposed != plain);
    ck_assert(transposed->k == 2 && transposed->n == 3 && plain->k == 3 && plain->n == 2);
    uint64_t calls = reel_mem_stats().calls;
    ck_assert_ptr_eq(tape_parameter_panels(&p, true), transposed);
    tape_parameter_changed(&p);
    ck_assert(tape_parameter_prepare(&p));
    ck_assert_uint_eq(p.by_row.version, p.version);
    ck_assert_uint_eq(p.by_column.version, p.version);
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
    tape_parameter_release(&p);
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
}
END_TEST

/* Products with a view of some columns, forward and backward, and after a change. */
START_TEST(columns_of_a_weight_have_panels_of_their_own)
{
    int64_t live = reel_mem_stats().live_blocks;
    float weight[6] = {1, 2, 3, 4, 5, 6}, row[2] = {10, 100};
    TapeParameter p;
    tape_parameter_init(&p, tensor_from(weight, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    for (int change = 0; change < 2; change++) {
        Tape *tape = tape_new();
        Var x = tape_leaf(tape, tensor_from(row, TENSOR_F32, TENSOR_SHAPE(1, 2))),
            columns = var_slice(tape_parameter(tape, &p), 1, 1, 3, 1); /* {2, 3; 5, 6} */
        Var y = var_linear(x, columns, VAR_NONE);
        ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
        ck_assert_ptr_nonnull(p.columns);
        ck_assert_ptr_null(p.columns->next);
        ck_assert_uint_eq(p.columns->by_column.version, p.version);
        ck_assert_uint_eq(p.columns->by_row.version, p.version);
        ck_assert_ptr_null(p.by_column.panels.data);
        expect(var_value(y), 0, change ? 330 : 320, change ? 660 : 650);
        expect(var_grad(x), 0, change ? 9 : 7, 9);
        expect(var_grad(tape_parameter(tape, &p)), 0, 0, 10, 100, 0, 10, 100);
        tape_free(tape);
        weight[1] += 1;
        weight[4] += 1;
        tape_parameter_changed(&p);
        ck_assert(tape_parameter_prepare(&p));
    }
    tape_parameter_release(&p);
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
}
END_TEST

/* Whoever cuts a weight in ever other places has products, but not ever more panels. */
START_TEST(a_weight_has_panels_of_some_parts_alone)
{
    enum { COLUMNS = 40 };
    float weight[COLUMNS], row[1] = {2};
    TapeParameter p;
    for (int i = 0; i < COLUMNS; i++)
        weight[i] = (float)i;
    tape_parameter_init(&p, tensor_from(weight, TENSOR_F32, TENSOR_SHAPE(1, COLUMNS)));
    Tape *tape = tape_new();
    for (int i = 0; i < COLUMNS; i++) {
        tape_begin(tape);
        Var x = tape_leaf(tape, tensor_from(row, TENSOR_F32, TENSOR_SHAPE(1, 1)));
        Var y = var_linear(x, var_slice(tape_parameter(tape, &p), 1, i, i + 1, 1), VAR_NONE);
        expect(var_value(y), 0, 2.0 * i);
    }
    int parts = 0;
    for (const TapeParameterColumns *part = p.columns; part; part = part->next)
        parts++;
    ck_assert_int_eq(parts, 8);
    tape_free(tape);
    tape_parameter_release(&p);
}
END_TEST

START_TEST(what_has_no_panels_says_so)
{
    TapeParameter p;
    double wide[4] = {0};
    tape_parameter_init(&p, tensor_from(wide, TENSOR_F64, TENSOR_SHAPE(2, 2)));
    ck_assert_ptr_null(tape_parameter_panels(&p, false));
    tape_parameter_init(&p, tensor_from(memory, TENSOR_F32, TENSOR_SHAPE(6)));
    ck_assert_ptr_null(tape_parameter_panels(&p, false));
    tape_parameter_init(&p, tensor_from(memory, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    reel_mem_fail_at(0, 1);
    ck_assert_ptr_null(tape_parameter_panels(&p, false));
    reel_mem_fail_at(-1, 0);
    ck_assert_ptr_nonnull(tape_parameter_panels(&p, false));
    tape_parameter_release(&p);
}
END_TEST

START_TEST(rows_and_snapshots_are_current)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    int32_t numbers[2] = {2, 0};
    Tensor ids = tensor_from(numbers, TENSOR_I32, TENSOR_SHAPE(2)),
           out = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(2, 2));
    TapeParameter p;
    tape_parameter_init(&p, tensor_from(memory, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    tape_parameter_read_rows(&p, ids, out);
    expect(out, 0, 5, 6, 1, 2);
    expect(tape_parameter_snapshot(&p, &arena), 0, 1, 2, 3, 4, 5, 6);
    p.read = read_doubled;
    tape_parameter_read_rows(&p, ids, out);
    expect(out, 0, 10, 12, 2, 4);
    expect(tape_parameter_snapshot(&p, &arena), 0, 2, 4, 6, 8, 10, 12);
    expect(p.value, 0, 1, 2, 3, 4, 5, 6);
    tape_parameter_release(&p);
    tensor_arena_free(&arena);
}
END_TEST

Suite *autograd_parameter_suite(void);
Suite *autograd_parameter_suite(void)
{
    Suite *suite = suite_create("autograd/parameter");
    TCase *cases = tcase_create("parameter");
    tcase_add_test(cases, panels_are_packed_once_for_a_version);
    tcase_add_test(cases, columns_of_a_weight_have_panels_of_their_own);
    tcase_add_test(cases, a_weight_has_panels_of_some_parts_alone);
    tcase_add_test(cases, what_has_no_panels_says_so);
    tcase_add_test(cases, rows_and_snapshots_are_current);
    suite_add_tcase(suite, cases);
    return suite;
}
