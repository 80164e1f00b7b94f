/* What the two tasks make of logits: scores that decide, probabilities, losses. */
#include "models/training/metrics.h"
#include "models/training/task.h"
#include "tests/tape_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { K = 4 };

static int predicted(const float *scores)
{
    int label = -1, count = 0;
    for (int k = 0; k < K; k++)
        if (scores[k] > 0) {
            label = k;
            count++;
        }
    ck_assert_int_eq(count, label >= 0);
    return label;
}

START_TEST(a_text_gets_exactly_one_label)
{
    static const struct {
        float logits[K];
        int label;
    } cases[] = {{{-3, -1, -2, -9}, 1},     {{5, 1, 2, 4}, 0},     {{1, 2, 2, 2}, 1},
                 {{0, 0, 0, 0}, 0},         {{1e30f, 1, 1, 1}, 0}, {{-1e30f, -1e30f, -1e30f, -2e29f}, 3},
                 {{1, 1.0000001f, 1, 1}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float scores[K];
        memcpy(scores, cases[i].logits, sizeof scores);
        model_task_scores(MODEL_TASK_SINGLE, scores, 1, K);
        ck_assert_int_eq(predicted(scores), cases[i].label);
    }
    float distances[K] = {3, 7, 4, -1};
    model_task_scores(MODEL_TASK_SINGLE, distances, 1, K);
    ck_assert(distances[0] == -4 && distances[1] == 3 && distances[2] == -3 && distances[3] == -8);
    float one[1] = {-5};
    model_task_scores(MODEL_TASK_SINGLE, one, 1, 1);
    ck_assert(one[0] > 0);
}
END_TEST

START_TEST(what_is_no_number_predicts_nothing)
{
    for (int at = 0; at < K; at++) {
        float scores[K] = {1, 2, 3, 4};
        scores[at] = NAN;
        model_task_scores(MODEL_TASK_SINGLE, scores, 1, K);
        ck_assert_int_eq(predicted(scores), -1);
    }
}
END_TEST

START_TEST(any_number_of_labels_are_decided_by_their_logits)
{
    float logits[2][K] = {{-1, 0, 3, NAN}, {4, 5, 6, 7}}, scores[2][K];
    memcpy(scores, logits, sizeof scores);
    model_task_scores(MODEL_TASK_MULTILABEL, scores[0], 2, K);
    ck_assert_mem_eq(scores, logits, sizeof scores);
}
END_TEST

START_TEST(probabilities_of_one_label_add_up_to_one)
{
    static const float cases[][K] = {{1, 2, 3, 4}, {-800, -801, -900, -800}, {1000, 0, -1000, 999}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double p[K], sum = 0, total = 0;
        model_task_probabilities(MODEL_TASK_SINGLE, cases[i], K, p);
        for (int k = 0; k < K; k++)
            total += exp((double)cases[i][k] - (double)cases[i][0]);
        for (int k = 0; k < K; k++) {
            ck_assert_double_eq_tol(p[k], exp((double)cases[i][k] - (double)cases[i][0]) / total, 1e-12);
            sum += p[k];
        }
        ck_assert_double_eq_tol(sum, 1, 1e-12);
    }
    double each[K];
    model_task_probabilities(MODEL_TASK_MULTILABEL, cases[0], K, each);
    for (int k = 0; k < K; k++)
        ck_assert_double_eq_tol(each[k], 1 / (1 + exp(-(double)cases[0][k])), 1e-12);
}
END_TEST

/* -sum w_k y_k ln softmax(z)_k. */
START_TEST(softmax_is_cross_entropy)
{
    double z[2][3] = {{1, -2, 0.5}, {0, 3, 1}}, y[2][3] = {{0, 0, 1}, {1, 0, 0}}, w[3] = {2, 1, 0.5};
    Tape *tape = tape_new();
    tape_begin(tape);
    Var x = tape_constant(tape, tensor_from(z, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var truth = tape_constant(tape, tensor_from(y, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var weights = _i ? tape_constant(tape, tensor_from(w, TENSOR_F64, TENSOR_SHAPE(3))) : VAR_NONE;
    Var loss = model_loss_softmax(x, truth, weights, VAR_NONE);
    ck_assert(tape_ok(tape));
    double expected = 0;
    for (int i = 0; i < 2; i++) {
        double sum = exp(z[i][0]) + exp(z[i][1]) + exp(z[i][2]);
        for (int k = 0; k < 3; k++)
            expected -= y[i][k] * (_i ? w[k] : 1) * (z[i][k] - log(sum));
    }
    ck_assert_double_eq_tol(var_item(loss), expected, 1e-12);
    tape_free(tape);
}
END_TEST

Suite *models_task_suite(void);
Suite *models_task_suite(void)
{
    Suite *suite = suite_create("models/task");
    TCase *c = tcase_create("task");
    tcase_add_test(c, a_text_gets_exactly_one_label);
    tcase_add_test(c, what_is_no_number_predicts_nothing);
    tcase_add_test(c, any_number_of_labels_are_decided_by_their_logits);
    tcase_add_test(c, probabilities_of_one_label_add_up_to_one);
    tcase_add_loop_test(c, softmax_is_cross_entropy, 0, 2);
    suite_add_tcase(suite, c);
    return suite;
}
