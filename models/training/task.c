#include "models/training/task.h"
#include "models/training/threshold.h"

#include <float.h>
#include <math.h>

Var model_loss_sigmoid(Var logits, Var truth, Var pos_weight, Var weight)
{
    return var_bce_with_logits(logits, truth, pos_weight, weight, VAR_REDUCTION_SUM);
}

Var model_loss_softmax(Var logits, Var truth, Var pos_weight, Var weight)
{
    Var weighted = pos_weight.tape ? var_mul(truth, pos_weight) : truth;
    if (weight.tape)
        weighted = var_mul(weighted, weight);
    return var_neg(var_sum(var_mul(weighted, var_log_softmax(logits, 1)), TENSOR_AXES_ALL, false));
}

const char *model_task_name(ModelTask task)
{
    return task == MODEL_TASK_SINGLE ? "single" : "multilabel";
}

/* ---- Scores ---- */

/* Of one text that has one label. */
static void score_single(float *logits, int32_t labels)
{
    int32_t best = 0;
    float second = -INFINITY;
    bool is_nan = isnan(logits[0]);
    for (int32_t k = 1; k < labels; k++) {
        is_nan = is_nan || isnan(logits[k]);
        if (logits[k] > logits[best]) {
            second = logits[best];
            best = k;
        } else if (logits[k] > second) {
            second = logits[k];
        }
    }
    float most = logits[best];
    for (int32_t k = 0; k < labels; k++)
        logits[k] = is_nan ? NAN : k == best ? fmaxf(most - second, FLT_MIN) : fminf(logits[k] - most, 0);
}

void model_task_scores(ModelTask task, float *logits, int64_t texts, int32_t labels)
{
    for (int64_t i = 0; task == MODEL_TASK_SINGLE && i < texts; i++)
        score_single(logits + i * labels, labels);
}

/* ---- Probabilities ---- */

static void softmax(const float *logits, int32_t labels, double *probabilities)
{
    double most = -INFINITY, sum = 0;
    for (int32_t k = 0; k < labels; k++)
        most = fmax(most, (double)logits[k]);
    for (int32_t k = 0; k < labels; k++)
        sum += probabilities[k] = exp((double)logits[k] - most);
    for (int32_t k = 0; k < labels; k++)
        probabilities[k] /= sum;
}

void model_task_probabilities(ModelTask task, const float *logits, int32_t labels, double *probabilities)
{
    if (task == MODEL_TASK_SINGLE) {
        softmax(logits, labels, probabilities);
        return;
    }
    for (int32_t k = 0; k < labels; k++)
        probabilities[k] = model_threshold_probability((double)logits[k]);
}
