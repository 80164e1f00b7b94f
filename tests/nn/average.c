#include "nn/average.h"
#include "nn/nn.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

typedef struct Net {
    NnModule base;
    NnEmbedding words;
    NnLinear fc;
} Net;

static void net_init(Net *m, int64_t words)
{
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, words, 3);
    NN_ADD(m, fc, nn_linear_init, 3, 2);
}

static double value_of(Net *m, const char *name, int64_t i)
{
    NnNamed named;
    ck_assert(nn_find(&m->base, name, &named));
    Tensor t = nn_parameter_read(named.parameter, &arena);
    return t.ndim == 1 ? tensor_get(&t, &i) : tensor_get(&t, (int64_t[]){i, 1});
}

/* An embedding's rows are late under Adam: what is copied is their value. */
START_TEST(an_average_follows_a_training)
{
    Net net, average;
    NnOptimizer *optimizer;
    net_init(&net, 6);
    net_init(&average, 6);
    ck_assert_ok(nn_module_reset(&net.base, 1));
    ck_assert_ok(nn_module_copy(&average.base, &net.base)); /* which had no values */
    ck_assert_ok(nn_optimizer_new(&optimizer, &net.base, nn_optimizer_options(NN_ADAM)));
    double expected[2] = {value_of(&net, "words.weight", 1), value_of(&net, "fc.bias", 1)};
    for (int step = 0; step < 5; step++) {
        int32_t ids[] = {step == 0 ? 1 : 4, 2};
        tape_begin(tape);
        Var x = nn_embedding(&net.words, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(2))));
        ck_assert(tape_backward(var_sum(nn_linear(&net.fc, x), TENSOR_AXES_ALL, false)));
        ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
        ck_assert_ok(nn_module_blend(&average.base, &net.base, 0.25));
        expected[0] = 0.75 * expected[0] + 0.25 * value_of(&net, "words.weight", 1);
        expected[1] = 0.75 * expected[1] + 0.25 * value_of(&net, "fc.bias", 1);
        ck_assert_double_eq_tol(value_of(&average, "words.weight", 1), expected[0], 1e-6);
        ck_assert_double_eq_tol(value_of(&average, "fc.bias", 1), expected[1], 1e-6);
    }
    ck_assert(fabs(expected[0] - value_of(&net, "words.weight", 1)) > 1e-4);
    /* Back: the optimizer goes on from there. */
    ck_assert_ok(nn_module_copy(&net.base, &average.base));
    ck_assert_double_eq(value_of(&net, "words.weight", 1), value_of(&average, "words.weight", 1));
    nn_optimizer_free(optimizer);
    nn_module_free(&net.base);
    nn_module_free(&average.base);
}
END_TEST

START_TEST(modules_must_be_of_one_kind)
{
    Net a, b;
    NnLinear fc;
    net_init(&a, 6);
    net_init(&b, 7);
    nn_linear_init(&fc, 3, 2);
    ck_assert_failed(nn_module_copy(&b.base, &a.base), REEL_STATUS_USAGE,
                     "words.weight cannot become those of");
    ck_assert_failed(nn_module_copy(&fc.base, &a.base), REEL_STATUS_USAGE, "not of one kind and size");
    NnModule none;
    nn_module_init(&none);
    ck_assert_failed(nn_module_copy(&none, &a.base), REEL_STATUS_USAGE, "more parameters than the other");
    nn_module_free(&b.base);
    net_init(&b, 6);
    ck_assert_failed(nn_module_copy(&b.base, &a.base), REEL_STATUS_FAILED, "has no value yet");
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_failed(nn_module_blend(&b.base, &a.base, 0.5), REEL_STATUS_FAILED, "has no value yet");
    nn_module_free(&a.base);
    nn_module_free(&b.base);
    nn_module_free(&fc.base);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    Net a, b;
    net_init(&a, 6);
    net_init(&b, 6);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    int n = 0;
    for (;; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = nn_module_copy(&b.base, &a.base);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_ptr_nonnull(strstr(status.message, "memory"));
    }
    ck_assert_int_gt(n, 1);
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

START_TEST(it_is_time_to_stop_after_so_many_looks_without_a_fall)
{
    static const double losses[] = {3, 2, 2.5, 1.95, NAN, 1.9, 1.8, 1.75, 1.79, 1.8};
    static const bool best[] = {1, 1, 0, 0, 0, 0, 1, 0, 0, 0};
    static const bool stop[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    NnEarlyStopping stopping = nn_early_stopping_new(5, 0.1);
    for (int i = 0; i < 10; i++) {
        bool improved;
        ck_assert_int_eq(nn_early_stopping_look(&stopping, losses[i], &improved), stop[i]);
        ck_assert_int_eq(improved, best[i]);
    }
    ck_assert(nn_early_stopping_look(&stopping, 1.72, NULL) == false && stopping.best_look == 7);
    ck_assert(nn_early_stopping_look(&stopping, 1.71, NULL)); /* five since 1.8 at the seventh */
    stopping = nn_early_stopping_new(2, 0);
    ck_assert(!nn_early_stopping_look(&stopping, NAN, NULL));
    ck_assert(nn_early_stopping_look(&stopping, NAN, NULL));
}
END_TEST

Suite *nn_average_suite(void);
Suite *nn_average_suite(void)
{
    Suite *suite = suite_create("nn/average");
    TCase *c = tcase_create("average");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, an_average_follows_a_training);
    tcase_add_test(c, modules_must_be_of_one_kind);
    tcase_add_test(c, no_memory_is_an_error);
    tcase_add_test(c, it_is_time_to_stop_after_so_many_looks_without_a_fall);
    suite_add_tcase(suite, c);
    return suite;
}
