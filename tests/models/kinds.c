/* The models without a notebook to be compared with: their gradients, that a text's logits do not depend on
 * its company, and a formula by hand. */
#include "models/model.h"
#include "tests/text_support.h"

#include <math.h>

static const char *const NAMES[] = {"bag", "cnn", "gru", "bilstm", "bilstm_attention", "transformer", "wide"};
enum { KINDS = sizeof NAMES / sizeof NAMES[0], K = 3 };
static const int32_t IDS[] = {4, 5, 6, 4, 7, 8, 5, 9, 6}, OFFSETS[] = {0, 2, 6, 9};

static Model *new_model(const char *name)
{
    Model *model;
    const ModelConfig config = {
        .vocabulary = 10, .labels = K, .embed = 8, .hidden = 4, .forget_bias = 1, .orthogonal = true};
    ck_assert_ok(model_new(&model, model_zoo_find(name), config, 1));
    ck_assert_ok(nn_module_reset_f64(&model->base, 1));
    nn_module_train(&model->base, false);
    return model;
}

/* The logits of some of the texts, weighed and added up. */
static Var loss_of(Model *model, Tape *tape)
{
    tape_begin(tape);
    Var logits =
        model_forward(model, model_input(model, tape, text_support_texts(IDS, OFFSETS, 3), 3)).logits;
    return var_sum(var_mul(logits, var_tanh(logits)), TENSOR_AXES_ALL, false);
}

START_TEST(gradients_are_those_of_differences)
{
    Model *model = new_model(NAMES[_i]);
    Tape *tape = tape_new();
    for (NnParameter *p = nn_first_parameter(&model->base); p; p = nn_next_parameter(&model->base, p)) {
        Tensor value = p->core.value;
        int64_t n = tensor_numel(&value);
        double analytic[3];
        int64_t places[3] = {n / 2, n - 1, n > 5 ? 5 : 0};
        ck_assert(tape_backward(loss_of(model, tape)));
        Tensor grad = var_grad(tape_parameter(tape, &p->core));
        ck_assert(tensor_is_valid(grad));
        for (int i = 0; i < 3; i++)
            analytic[i] = ((const double *)grad.data)[places[i]];
        for (int i = 0; i < 3; i++) {
            double *at = (double *)value.data + places[i], kept = *at, side[2];
            for (int k = 0; k < 2; k++) {
                *at = kept + (k ? 1e-5 : -1e-5);
                tape_parameter_changed(&p->core);
                side[k] = var_item(loss_of(model, tape));
            }
            *at = kept;
            tape_parameter_changed(&p->core);
            double numeric = (side[1] - side[0]) / 2e-5;
            ck_assert_msg(fabs(numeric - analytic[i]) <= 1e-6 * fmax(1, fabs(numeric)),
                          "%s %s[%lld]: %g, not %g", NAMES[_i], p->name, (long long)places[i], analytic[i],
                          numeric);
        }
    }
    tape_free(tape);
    model_free(model);
}
END_TEST

START_TEST(a_text_alone_has_the_same_logits)
{
    Model *model = new_model(NAMES[_i]);
    Tape *together = tape_new(), *alone = tape_new();
    tape_begin(together);
    Tensor all = var_value(
        model_forward(model, model_input(model, together, text_support_texts(IDS, OFFSETS, 3), 3)).logits);
    ck_assert_msg(tape_ok(together), "%s", tape_status(together)->message);
    for (int b = 0; b < 3; b++) {
        const NnIds text = {IDS + OFFSETS[b], OFFSETS[b + 1] - OFFSETS[b]};
        tape_begin(alone);
        Tensor one = var_value(model_forward(model, model_input(model, alone, &text, 1)).logits);
        for (int64_t k = 0; k < K; k++)
            ck_assert_double_eq_tol(tensor_get(&one, (int64_t[]){0, k}), tensor_get(&all, (int64_t[]){b, k}),
                                    1e-9);
    }
    tape_free(together);
    tape_free(alone);
    model_free(model);
}
END_TEST

static const double *values_of(Model *model, const char *name)
{
    NnNamed named;
    ck_assert_msg(nn_find(&model->base, name, &named), "%s", name);
    return nn_named_view(&named).data;
}

/* The formula at the head of models/wide.c, with the words of models/text/words.h, for the text <bos> 5 7 5
 * <unk>. */
START_TEST(wide_is_its_formula)
{
    static const int32_t ids[] = {2, 5, 7, 5, 1};
    const NnIds text = {ids, 5};
    const double counts[2] = {(1 + 3) + (1 + 3 * exp(-2.0 / 8)), 1 + 3 * exp(-1.0 / 8)};
    Model *model = new_model("wide");
    const double *scores = values_of(model, "word_score.weight"),
                 *rows = values_of(model, "embedding.weight"), *bias = values_of(model, "bias"),
                 *weight = values_of(model, "fc.weight"), *shift = values_of(model, "fc.bias");
    ((double *)(uintptr_t)scores)[5] = 0.5;
    double x[2] = {exp(0.5) * (1 + log(counts[0])), 1 + log(counts[1])}, norm = hypot(x[0], x[1]);
    Tape *tape = tape_new();
    tape_begin(tape);
    Tensor logits = var_value(model_forward(model, model_input(model, tape, &text, 1)).logits);
    for (int64_t k = 0; k < K; k++) {
        double expected = shift[k];
        for (int e = 0; e < 8; e++)
            expected += weight[k * 8 + e] *
                        fmax(0, 16 * (x[0] * rows[5 * 8 + e] + x[1] * rows[7 * 8 + e]) / norm + bias[e]);
        ck_assert_double_eq_tol(tensor_get(&logits, (int64_t[]){0, k}), expected, 1e-9);
    }
    tape_free(tape);
    model_free(model);
}
END_TEST

Suite *models_kinds_suite(void);
Suite *models_kinds_suite(void)
{
    Suite *suite = suite_create("models/kinds");
    TCase *tcase = tcase_create("kinds");
    tcase_add_loop_test(tcase, gradients_are_those_of_differences, 0, KINDS);
    tcase_add_loop_test(tcase, a_text_alone_has_the_same_logits, 0, KINDS);
    tcase_add_test(tcase, wide_is_its_formula);
    suite_add_tcase(suite, tcase);
    return suite;
}
