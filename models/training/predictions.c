#include "models/training/predictions_internal.h"
#include "models/training/task.h"
#include "tensor/mem.h"

#include <string.h>

void model_predictions_free(ModelPredictions *predictions)
{
    reel_mem_free(predictions->logits);
    reel_mem_free(predictions->attention);
    *predictions = (ModelPredictions){0};
}

/* Texts that a part is predicted by; of the longest ones a quarter, so that a step of training, with batches
 * of 64, stays what most of the memory is for. */
enum { TEXTS_AT_ONCE = 256 };

ModelLoaderOptions model_prediction_batches(const ModelDatasetPart *part, int padded)
{
    return padded ? (ModelLoaderOptions){.batch = padded, .pad = true}
                  : (ModelLoaderOptions){.batch = TEXTS_AT_ONCE,
                                         .most_ids = TEXTS_AT_ONCE / 4 * part->longest,
                                         .by_length = true};
}

/* What takes a batch's predictions. */
typedef struct Room {
    float *logits;     /* [batch, K] */
    float **attention; /* [batch]: where each text's weights go; NULL: not asked for */
} Room;

static ReelStatus predict_batch(ModelPredictions *p, ModelShares *shares, const ModelDatasetPart *part,
                                const ModelBatch *batch, const Room *room, ModelMetrics *metrics)
{
    size_t classes = (size_t)part->num_classes;
    Tensor scores = tensor_from(room->logits, TENSOR_F32, TENSOR_SHAPE(batch->size, part->num_classes));
    for (int32_t i = 0; room->attention && i < batch->size; i++)
        room->attention[i] = p->attention + part->offsets[batch->examples[i]];
    ReelStatus status = model_shares_predict(shares, batch, scores, room->attention);
    if (!reel_status_is_ok(&status))
        return status;
    for (int32_t i = 0; i < batch->size; i++)
        memcpy(p->logits + (size_t)batch->examples[i] * classes, room->logits + (size_t)i * classes,
               classes * sizeof(float));
    if (metrics) {
        model_task_scores(part->task, room->logits, batch->size, part->num_classes);
        model_metrics_add(metrics, scores, batch->labels, 0.0);
    }
    return status;
}

ReelStatus model_predict_part(ModelPredictions *p, ModelShares *shares, const ModelDatasetPart *part,
                              const ModelLoaderOptions *options, bool attends, ModelMetrics *metrics)
{
    size_t count = (size_t)part->count, classes = (size_t)part->num_classes,
           most = options->batch < part->count ? (size_t)options->batch : count;
    Room room = {.logits = reel_mem_alloc(most * classes * sizeof(float))};
    if (!p->logits)
        p->logits = reel_mem_alloc(count * classes * sizeof(float));
    if (attends) {
        room.attention = reel_mem_alloc(most * sizeof *room.attention);
        p->attention =
            p->attention ? p->attention : reel_mem_alloc((size_t)part->offsets[count] * sizeof(float));
    }
    ModelLoader loader = {0};
    ReelStatus status =
        room.logits && p->logits && (!attends || (room.attention && p->attention))
            ? model_loader_init(&loader, part, options)
            : reel_status_no_memory(count * classes * sizeof(float), "the predictions of a part");
    ModelBatch texts;
    nn_module_train(&shares->model->base, false);
    if (metrics)
        model_metrics_reset(metrics);
    while (reel_status_is_ok(&status) && model_loader_next(&loader, &texts))
        status = predict_batch(p, shares, part, &texts, &room, metrics);
    if (reel_status_is_ok(&status))
        status = loader.status;
    model_loader_free(&loader);
    reel_mem_free(room.logits);
    reel_mem_free(room.attention);
    return status;
}
