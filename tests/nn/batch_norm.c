/* Batch normalisation, and buffers. */
#include "nn/nn.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANNELS = 3 };

static Tensor of_case(Fixture *fixture, const char *name, int step, const char *what, TensorDtype dtype)
{
    return tensor_cast(&arena, fixture_tensor(fixture, "%s/%d/%s", name, step, what), dtype);
}

/* The state is PyTorch's, with its 64-bit count. */
static void load(Fixture *fixture, const char *name, NnModule *module)
{
    char prefix[40];
    snprintf(prefix, sizeof prefix, "%s/first/", name);
    ck_assert_ok(nn_load_from(module, fixture->npz,
                              (NnLoadOptions){.allow_extra = true, .convert = true, .prefix = prefix}));
}

static void compare_with_pytorch(const char *name, TensorDtype dtype)
{
    Fixture fixture = fixture_open("batch_norm");
    double limit = dtype == TENSOR_F64 ? 3e-7 : 3e-6;
    NnBatchNorm m;
    nn_batch_norm_init(&m, CHANNELS);
    m.momentum = 0.3;
    ck_assert_ok(dtype == TENSOR_F64 ? nn_module_reset_f64(&m.base, 0) : nn_module_reset(&m.base, 0));
    load(&fixture, name, &m.base);
    for (int step = 0; step < 3; step++) {
        tape_begin(tape);
        nn_module_train(&m.base, step < 2);
        Var x = tape_leaf(tape, of_case(&fixture, name, step, "input", dtype));
        Var y = nn_batch_norm(&m, x);
        ck_assert_close(var_value(y), of_case(&fixture, name, step, "output", dtype), limit);
        Var dy = tape_constant(tape, of_case(&fixture, name, step, "grad_output", dtype));
        ck_assert(tape_backward(var_sum(var_mul(y, dy), TENSOR_AXES_ALL, false)));
        ck_assert_close(var_grad(x), of_case(&fixture, name, step, "grad_input", dtype), limit);
        ck_assert_close(nn_gradient(&m.base, "weight", tape),
                        of_case(&fixture, name, step, "grad/weight", dtype), 4 * limit);
        ck_assert_close(nn_gradient(&m.base, "bias", tape), of_case(&fixture, name, step, "grad/bias", dtype),
                        4 * limit);
        ck_assert_close(m.running_mean.core.value, of_case(&fixture, name, step, "running_mean", dtype),
                        limit);
        ck_assert_close(m.running_var.core.value, of_case(&fixture, name, step, "running_var", dtype), limit);
        ck_assert_int_eq(tensor_i32(m.num_batches_tracked.core.value)[0], step < 2 ? step + 1 : 2);
    }
    nn_module_free(&m.base);
    fixture_close(&fixture);
}

START_TEST(training_and_evaluation_are_pytorchs)
{
    compare_with_pytorch("rows", TENSOR_F32);
    compare_with_pytorch("rows", TENSOR_F64);
    compare_with_pytorch("image", TENSOR_F32);
    compare_with_pytorch("image", TENSOR_F64);
}
END_TEST

static Var apply(Tape *t, Var x, void *context)
{
    (void)t;
    return nn_batch_norm(context, x);
}

START_TEST(gradients_are_differences)
{
    for (int training = 0; training < 2; training++)
        for (int signal = 0; signal < 2; signal++) {
            NnBatchNorm m;
            TensorRandom random = tensor_random_new(3, 0);
            Tensor x = signal ? tensor_new(&arena, TENSOR_F64, TENSOR_SHAPE(2, CHANNELS, 4))
                              : tensor_new(&arena, TENSOR_F64, TENSOR_SHAPE(5, CHANNELS));
            tensor_random_fill_normal(&random, x, 1, 2);
            nn_batch_norm_init(&m, CHANNELS);
            ck_assert_ok(nn_module_reset_f64(&m.base, 0));
            nn_module_train(&m.base, training);
            check_module_gradients(&m.base, apply, &m, x);
            nn_module_free(&m.base);
        }
}
END_TEST

/* ---- Shards ---- */

enum { ROWS = 24 };

typedef struct Net {
    NnModule base;
    NnBatchNorm norm; /* twice: of the rows, and of what becomes of them */
    NnLinear fc;
    Tensor rows; /* f32 [ROWS, CHANNELS] */
    bool fail;
} Net;

static void net_init(Net *m)
{
    TensorRandom random = tensor_random_new(5, 0);
    nn_module_init(&m->base);
    NN_ADD(m, norm, nn_batch_norm_init, CHANNELS);
    NN_ADD(m, fc, nn_linear_init, CHANNELS, CHANNELS);
    ck_assert_ok(nn_module_reset(&m->base, 1));
    m->rows = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(ROWS, CHANNELS));
    tensor_random_fill_normal(&random, m->rows, 3, 2);
    m->fail = false;
}

/* Shards are of unlike sizes; one of five has nothing to do. */
static Var net_loss(void *context, Tape *t, int shard, int shards)
{
    Net *m = context;
    int64_t first = shard == 0 ? 0 : 2 * shard + 2, stop = shard + 1 == shards ? ROWS : 2 * shard + 4;
    if (shards == 5 && shard == 4)
        return VAR_NONE;
    stop = shards == 5 && shard == 3 ? ROWS : stop;
    Var x = tape_constant(t, tensor_slice(m->rows, 0, first, stop, 1));
    Var y = nn_batch_norm(&m->norm, nn_linear(&m->fc, nn_batch_norm(&m->norm, x)));
    if (m->fail && shard == 1)
        return tape_fail(t, "no data");
    return var_sum(var_mul(y, y), TENSOR_AXES_ALL, false);
}

static void net_step(Net *m, int shards, int threads, int steps)
{
    NnParallel *p;
    ck_assert_ok(nn_parallel_new(&p, &m->base, &(NnParallelOptions){.shards = shards, .threads = threads}));
    for (int s = 0; s < steps; s++)
        ck_assert_ok(nn_parallel_backward(p, net_loss, m, NULL));
    nn_parallel_free(p);
}

START_TEST(shards_see_the_whole_batch_together)
{
    Net m;
    for (int shards = 1; shards <= 5; shards += 2) {
        net_init(&m);
        m.norm.momentum = 1; /* running is what was seen last: fc's output */
        net_step(&m, shards, 1, 1);
        ck_assert_int_eq(tensor_i32(m.norm.num_batches_tracked.core.value)[0], 2);
        nn_module_free(&m.base);
    }
    /* Of the first use alone, by hand. */
    double mean = 0, squares = 0;
    net_init(&m);
    for (int64_t i = 0; i < ROWS; i++)
        mean += tensor_get(&m.rows, (int64_t[]){i, 1}) / ROWS;
    for (int64_t i = 0; i < ROWS; i++)
        squares += pow(tensor_get(&m.rows, (int64_t[]){i, 1}) - mean, 2);
    ck_assert_ok(nn_parameter_write(&m.fc.weight, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3, 3))));
    ck_assert_ok(nn_parameter_write(&m.fc.bias, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3))));
    m.norm.momentum = 0.5;
    net_step(&m, 5, 2, 1); /* after which zeros were seen, with variance 0 */
    ck_assert_double_eq_tol(tensor_f32(m.norm.running_mean.core.value)[1], 0.25 * mean, 1e-6);
    ck_assert_double_eq_tol(tensor_f32(m.norm.running_var.core.value)[1], 0.25 + 0.25 * squares / (ROWS - 1),
                            1e-5);
    nn_module_free(&m.base);
}
END_TEST

static bool same_state(Net *a, Net *b)
{
    bool same = true;
    NnIterator i = nn_iterate(&a->base), j = nn_iterate(&b->base);
    while (nn_next(&i) && nn_next(&j))
        same = same && strcmp(i.named.name, j.named.name) == 0 &&
               tensor_equal(i.named.parameter->core.value, j.named.parameter->core.value);
    return same;
}

START_TEST(bytes_do_not_depend_on_threads)
{
    Net one, two;
    net_init(&one);
    net_init(&two);
    net_step(&one, 5, 1, 4);
    net_step(&two, 5, 3, 4);
    ck_assert(same_state(&one, &two));
    nn_module_free(&one.base);
    nn_module_free(&two.base);
}
END_TEST

START_TEST(a_failed_step_and_an_evaluation_leave_them)
{
    Net m, untouched;
    net_init(&m);
    net_init(&untouched);
    NnParallel *p;
    ck_assert_ok(nn_parallel_new(&p, &m.base, &(NnParallelOptions){.shards = 3, .threads = 2}));
    m.fail = true;
    ck_assert_failed(nn_parallel_backward(p, net_loss, &m, NULL), REEL_STATUS_FAILED, "no data");
    ck_assert(same_state(&m, &untouched));
    nn_module_train(&m.base, false);
    m.fail = false;
    ck_assert_ok(nn_parallel_backward(p, net_loss, &m, NULL));
    ck_assert(same_state(&m, &untouched));
    nn_parallel_free(p);
    nn_module_free(&m.base);
    nn_module_free(&untouched.base);
}
END_TEST

static Var part(Tape *t, const Var *inputs, int count, void *context)
{
    (void)t, (void)count;
    return nn_batch_norm(context, inputs[0]);
}

START_TEST(a_part_that_is_run_twice_counts_once)
{
    Net m;
    net_init(&m);
    Var x = tape_leaf(tape, m.rows);
    ck_assert(tape_backward(var_sum(tape_checkpoint(part, &m.norm, &x, 1), TENSOR_AXES_ALL, false)));
    ck_assert_int_eq(tensor_i32(m.norm.num_batches_tracked.core.value)[0], 1);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Buffers ---- */

START_TEST(buffers_are_state_and_no_parameters)
{
    Net m;
    NnOptimizer *optimizer;
    static const char *const names[] = {
        "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
        "fc.weight",   "fc.bias"};
    int count = 0;
    net_init(&m);
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it);)
        ck_assert_str_eq(it.named.name, names[count++]);
    ck_assert_int_eq(count, 7);
    ck_assert_int_eq(nn_module_count(&m.base), 2 * CHANNELS + CHANNELS * CHANNELS + CHANNELS);
    for (const NnParameter *p = nn_first_parameter(&m.base); p; p = nn_next_parameter(&m.base, p))
        ck_assert(!p->is_buffer);
    /* Neither freezing nor an optimizer with decay moves them. */
    nn_module_freeze(&m.base, false);
    NnOptimizerOptions options = nn_optimizer_options(NN_SGD);
    options.weight_decay = 0.5;
    ck_assert_ok(nn_optimizer_new(&optimizer, &m.base, options));
    nn_module_train(&m.base, false);
    Var buffer = nn_var(&m.norm.running_var, tape);
    ck_assert(!var_wants_grad(buffer));
    Var y = nn_batch_norm(&m.norm, var_mul(tape_constant(tape, m.rows), buffer));
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
    for (int i = 0; i < CHANNELS; i++)
        ck_assert_float_eq(tensor_f32(m.norm.running_var.core.value)[i], 1);
    nn_optimizer_free(optimizer);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(buffers_are_saved_loaded_and_copied)
{
    static const char *const endings[] = {"npz", "safetensors"};
    Net m, other, average;
    net_init(&m);
    net_step(&m, 3, 1, 2);
    for (int i = 0; i < 2; i++) {
        char path[60];
        snprintf(path, sizeof path, "/tmp/reel-buffers-%d.%s", (int)getpid(), endings[i]);
        ck_assert_ok(nn_save(&m.base, path));
        net_init(&other);
        ck_assert(!same_state(&m, &other));
        ck_assert_ok(nn_load(&other.base, path));
        ck_assert(same_state(&m, &other));
        nn_module_free(&other.base);
        unlink(path);
    }
    net_init(&other);
    ck_assert_ok(nn_module_copy(&other.base, &m.base));
    ck_assert(same_state(&m, &other));
    /* An average takes the parameters' share, and buffers as they are: AveragedModel's default. */
    net_init(&average);
    ck_assert_ok(nn_parameter_write(&m.fc.bias, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(CHANNELS))));
    double before = tensor_f32(average.fc.bias.core.value)[0];
    ck_assert_ok(nn_module_blend(&average.base, &m.base, 0.25));
    ck_assert_double_eq_tol(tensor_f32(average.fc.bias.core.value)[0], 0.75 * before, 1e-7);
    ck_assert(tensor_equal(average.norm.running_var.core.value, m.norm.running_var.core.value));
    ck_assert(
        tensor_equal(average.norm.num_batches_tracked.core.value, m.norm.num_batches_tracked.core.value));
    /* Anew, they begin anew. */
    ck_assert_ok(nn_module_reset(&m.base, 1));
    ck_assert_int_eq(tensor_i32(m.norm.num_batches_tracked.core.value)[0], 0);
    ck_assert_float_eq(tensor_f32(m.norm.running_mean.core.value)[0], 0);
    nn_module_free(&m.base);
    nn_module_free(&other.base);
    nn_module_free(&average.base);
}
END_TEST

START_TEST(a_buffer_has_a_type_and_a_name)
{
    NnBatchNorm m;
    NnLinear without;
    nn_batch_norm_init(&m, CHANNELS);
    ck_assert_ok(nn_module_reset_f64(&m.base, 0));
    ck_assert_int_eq(m.running_mean.core.value.dtype, TENSOR_F64);
    ck_assert_int_eq(m.num_batches_tracked.core.value.dtype, TENSOR_I32);
    int32_t seven = 7;
    double half = 0.5;
    ck_assert_ok(nn_parameter_write(&m.num_batches_tracked, tensor_from(&seven, TENSOR_I32, 0, NULL)));
    ck_assert_int_eq(tensor_i32(m.num_batches_tracked.core.value)[0], 7);
    ck_assert_failed(nn_parameter_write(&m.num_batches_tracked, tensor_from(&half, TENSOR_F64, 0, NULL)),
                     REEL_STATUS_USAGE, "num_batches_tracked is [] and cannot be set to f64 []");
    nn_linear_init(&without, 2, 2);
    ck_assert_failed(nn_module_copy(&without.base, &m.base), REEL_STATUS_USAGE, "not of one kind and size");
    nn_module_add_buffer(&m.base, &without.weight, "bias", TENSOR_DTYPE_NONE, TENSOR_SHAPE(2),
                         nn_init_constant(0));
    ck_assert_failed(nn_module_status(&m.base), REEL_STATUS_USAGE, "bias: the name is taken");
    nn_module_free(&m.base);
}
END_TEST

static void must_fail(NnBatchNorm *m, Tensor x, const char *expected)
{
    tape_begin(tape);
    Var y = nn_batch_norm(m, tape_constant(tape, x));
    ck_assert(var_is_empty(y));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, expected);
}

START_TEST(what_cannot_be_normalised_is_an_error)
{
    NnBatchNorm m;
    nn_batch_norm_init(&m, CHANNELS);
    must_fail(&m, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, CHANNELS)), "has no value yet");
    ck_assert_ok(nn_module_reset(&m.base, 0));
    must_fail(&m, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 4)),
              "axis 1 of x must have the 3 channels; x has 2 axes, and 4");
    must_fail(&m, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(CHANNELS)), "x has 1 axes");
    must_fail(&m, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, CHANNELS)), "1 values a channel");
    ck_assert_int_eq(tensor_i32(m.num_batches_tracked.core.value)[0], 0);
    nn_module_train(&m.base, false);
    tape_begin(tape);
    nn_batch_norm(&m, tape_constant(tape, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, CHANNELS))));
    ck_assert_tape_ok(tape);
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_batch_norm_suite(void);
Suite *nn_batch_norm_suite(void)
{
    Suite *suite = suite_create("nn/batch_norm");
    TCase *c = tcase_create("batch_norm");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, training_and_evaluation_are_pytorchs);
    tcase_add_test(c, gradients_are_differences);
    tcase_add_test(c, shards_see_the_whole_batch_together);
    tcase_add_test(c, bytes_do_not_depend_on_threads);
    tcase_add_test(c, a_failed_step_and_an_evaluation_leave_them);
    tcase_add_test(c, a_part_that_is_run_twice_counts_once);
    tcase_add_test(c, buffers_are_state_and_no_parameters);
    tcase_add_test(c, buffers_are_saved_loaded_and_copied);
    tcase_add_test(c, a_buffer_has_a_type_and_a_name);
    tcase_add_test(c, what_cannot_be_normalised_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}
