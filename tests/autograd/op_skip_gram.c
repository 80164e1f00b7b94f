#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

static double softplus(double x)
{
    return log1p(exp(x));
}

/* Two words of one window, one present target and one drawn; a row that is there twice gets both gradients.
 */
START_TEST(the_loss_is_that_of_the_definition)
{
    Var input = LEAF(tape, TENSOR_SHAPE(3, 2), 1, 2, 3, -1, 0.5, 0.5);
    Var output = LEAF(tape, TENSOR_SHAPE(2, 2), 0.5, 1, -1, 0.25);
    Var loss = var_skip_gram(input, output, INDEX(tape, TENSOR_SHAPE(2), 0, 0),
                             INDEX(tape, TENSOR_SHAPE(2), 0, 0), INDEX(tape, TENSOR_SHAPE(1, 2), 1, 0));
    double present = -1 + 0.5, drawn = 0.5 + 2; /* scores */
    ck_assert_double_eq_tol(var_item(loss), 2 * (softplus(-present) + softplus(drawn)), 1e-12);
    ck_assert(tape_backward(loss));
    double a = -1 / (1 + exp(present)), b = 1 / (1 + exp(-drawn));
    expect(var_grad(input), 1e-12, 2 * (a * -1 + b * 0.5), 2 * (a * 0.25 + b), 0, 0, 0, 0);
    expect(var_grad(output), 1e-12, 2 * b, 4 * b, 2 * a, 4 * a);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    static const char *const says[] = {"input 2 holds 3, which is not in [0, 3)",
                                       "input 4 holds -1",
                                       "input 3 holds 1, which is not in [0, 1)",
                                       "there are 2 words and 1 segments",
                                       "[V, d] and [W, d]",
                                       "input 2 has 2 axes instead of 1"};
    for (int i = 0; i < 6; i++) {
        tape_begin(tape);
        Var input = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)));
        Var output = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, i == 4 ? 3 : 2)));
        Var words =
            i == 5 ? INDEX(tape, TENSOR_SHAPE(2, 1), 0, 1) : INDEX(tape, TENSOR_SHAPE(2), 0, i == 0 ? 3 : 1);
        Var segment =
            i == 3 ? INDEX(tape, TENSOR_SHAPE(1), 0) : INDEX(tape, TENSOR_SHAPE(2), 0, i == 2 ? 1 : 0);
        Var targets = INDEX(tape, TENSOR_SHAPE(1, 2), 1, i == 1 ? -1 : 0);
        ck_assert(var_is_empty(var_skip_gram(input, output, words, segment, targets)));
        assert_fails(tape, "skip_gram([3, 2]", says[i]);
    }
}
END_TEST

Suite *autograd_op_skip_gram_suite(void);
Suite *autograd_op_skip_gram_suite(void)
{
    Suite *suite = suite_create("autograd/op_skip_gram");
    TCase *cases = tcase_create("op_skip_gram");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, the_loss_is_that_of_the_definition);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}
