#include "models/training/label_loss.h"
#include "tensor/mem.h"

#include <math.h>

/* Learning rates were chosen on a corpus of 57 labels, as the rates of a mean over labels, where the
 * curvatures' sum is 1.6. They are kept as rates of the sum over labels divided by 57. Four times as steep a
 * loss breaks away there, and is not gone near. */
#define UNIT            57.0
#define MOST_CURVATURE  4.0
#define MOST_OF_EXAMPLE 2.0

/* The weights of a label of frequency p in (0, 1). */
static void weigh(ModelLossForm form, double p, double power, float *pos_weight, float *weight)
{
    double w = pow((1 - p) / p, power), u = 1;
    if (form == MODEL_LOSS_SUM) {
        u = (1 - p + w * p) / w;
        u /= fmax(1, fmax(u, u * w) / MOST_OF_EXAMPLE);
    }
    *pos_weight = (float)w;
    *weight = (float)u;
}

/* The weights of a label's texts under softmax, and the loss of the best constant logits. */
static void weigh_texts(ModelLabelLoss *loss, const ModelDatasetPart *part, double power)
{
    double mean = 0, most = 0, n = (double)part->count;
    for (int32_t k = 0; k < part->num_classes; k++) {
        double p = (double)part->label_counts[k] / n, w = p > 0 && p < 1 ? pow((1 - p) / p, power) : 1;
        mean += p * w;
        most = fmax(most, w);
        if (loss->pos_weight)
            loss->pos_weight[k] = (float)w;
    }
    double u = 1 / fmax(mean, most / MOST_OF_EXAMPLE);
    for (int32_t k = 0; k < part->num_classes; k++) {
        double p = (double)part->label_counts[k] / n, w = loss->pos_weight ? u * loss->pos_weight[k] : 1;
        if (loss->pos_weight)
            loss->pos_weight[k] = (float)w;
        if (p > 0)
            loss->base -= p * w * log(p * w / (loss->pos_weight ? u * mean : 1));
    }
}

static ReelStatus init_softmax(ModelLabelLoss *loss, const ModelDatasetPart *part, double power)
{
    size_t bytes = (size_t)part->num_classes * sizeof *loss->pos_weight;
    *loss = (ModelLabelLoss){.function = model_loss_softmax, .labels = UNIT, .decisions = 1};
    if (power > 0 && !(loss->pos_weight = reel_mem_alloc(bytes)))
        return reel_status_no_memory(bytes, "the labels' weights");
    weigh_texts(loss, part, power);
    return reel_status_ok();
}

ReelStatus model_label_loss_init(ModelLabelLoss *loss, ModelLossKind kind, ModelLossForm form,
                                 const ModelDatasetPart *part, double power)
{
    if (kind == MODEL_LOSS_SOFTMAX)
        return init_softmax(loss, part, power);
    size_t count = (size_t)part->num_classes;
    *loss = (ModelLabelLoss){.function = model_loss_sigmoid, .decisions = (double)count};
    if (power > 0) {
        loss->pos_weight = reel_mem_alloc(count * sizeof *loss->pos_weight);
        loss->weight = reel_mem_alloc(count * sizeof *loss->weight);
        if (!loss->pos_weight || !loss->weight) {
            model_label_loss_free(loss);
            return reel_status_no_memory(2 * count * sizeof(float), "the labels' weights");
        }
    }
    double curvature = 0;
    for (size_t k = 0; k < count; k++) {
        double p = (double)part->label_counts[k] / (double)part->count;
        float w = 1, u = 1;
        if (power > 0 && p > 0 && p < 1)
            weigh(form, p, power, &w, &u);
        if (power > 0) {
            loss->pos_weight[k] = w;
            loss->weight[k] = u;
        }
        double q = w * p / (1 - p + w * p); /* what the best constant logit says */
        if (q > 0 && q < 1)
            loss->base -= u * (w * p * log(q) + (1 - p) * log(1 - q)) / (double)count;
        curvature += p * (1 - p);
    }
    if (form == MODEL_LOSS_SUM)
        loss->labels = UNIT * fmax(1, curvature / MOST_CURVATURE);
    return reel_status_ok();
}

void model_label_loss_free(ModelLabelLoss *loss)
{
    reel_mem_free(loss->pos_weight);
    reel_mem_free(loss->weight);
    *loss = (ModelLabelLoss){0};
}

void model_label_loss_shift_bias(const ModelLabelLoss *loss, ModelLossForm form, Model *model)
{
    Tensor bias = model->output->bias.core.value;
    bool softmax = loss->function == model_loss_softmax;
    if ((!loss->pos_weight && !softmax) || form != MODEL_LOSS_SUM)
        return;
    for (int64_t k = 0; k < bias.shape[0]; k++) {
        double z = tensor_get(&bias, (int64_t[]){k}), w = loss->pos_weight ? (double)loss->pos_weight[k] : 1;
        tensor_set(&bias, (int64_t[]){k}, z + log(w) - (softmax ? log1p(exp(z)) : 0)); /* ln p of log-odds */
    }
    tape_parameter_changed(&model->output->bias.core);
}
