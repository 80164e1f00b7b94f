#include "models/training/predictions.h"
#include "tensor/mem.h"

#include <string.h>

void model_predictions_free(ModelPredictions *predictions)
{
    reel_mem_free(predictions->logits);
    reel_mem_free(predictions->attention);
    *predictions = (ModelPredictions){0};
}

/* Of one batch. */
typedef struct Room {
    float *logits, *weights; /* weights NULL: not asked for */
} Room;

/* What was said goes where the texts are in the part; padding has no weight there. */
static void keep(ModelPredictions *p, const ModelDatasetPart *part, const ModelBatch *batch, const Room *room)
{
    size_t classes = (size_t)part->num_classes;
    for (int32_t i = 0; i < batch->size; i++) {
        size_t example = (size_t)batch->examples[i];
        const int64_t *ends = part->offsets + example;
        memcpy(p->logits + example * classes, room->logits + (size_t)i * classes, classes * sizeof(float));
        if (room->weights)
            memcpy(p->attention + ends[0], room->weights + batch->offsets[i],
                   (size_t)(ends[1] - ends[0]) * sizeof(float));
    }
}

static ReelStatus predict_batches(ModelPredictions *p, ModelTrainer *trainer, ModelLoader *loader,
                                  const Room *room, ModelMetrics *metrics)
{
    ModelBatch batch;
    if (metrics)
        model_metrics_reset(metrics);
    while (model_loader_next(loader, &batch)) {
        Tensor scores =
            tensor_from(room->logits, TENSOR_F32, TENSOR_SHAPE(batch.size, loader->part->num_classes));
        ReelStatus status = model_trainer_predict(trainer, &batch, scores, room->weights);
        if (!reel_status_is_ok(&status))
            return status;
        keep(p, loader->part, &batch, room);
        if (!metrics)
            continue;
        model_task_scores(loader->part->task, room->logits, batch.size, loader->part->num_classes);
        model_metrics_add(metrics, scores, batch.labels, 0.0);
    }
    return loader->status;
}

ReelStatus model_predict_part(ModelPredictions *p, ModelTrainer *trainer, const ModelDatasetPart *part,
                              int batch, bool pad, bool attends, ModelMetrics *metrics)
{
    size_t count = (size_t)part->count, classes = (size_t)part->num_classes,
           most = batch < part->count ? (size_t)batch : count;
    Room room = {.logits = reel_mem_alloc(most * classes * sizeof(float))};
    if (!p->logits)
        p->logits = reel_mem_alloc(count * classes * sizeof(float));
    if (attends && !p->attention)
        p->attention = reel_mem_alloc((size_t)part->offsets[count] * sizeof(float));
    ModelLoader loader = {0};
    ReelStatus status =
        room.logits && p->logits && (!attends || p->attention)
            ? model_loader_init(&loader, part,
                                &(ModelLoaderOptions){.batch = batch, .pad = pad, .by_length = !pad})
            : reel_status_no_memory(count * classes * sizeof(float), "the predictions of a part");
    if (reel_status_is_ok(&status) && attends &&
        !(room.weights = reel_mem_alloc(model_loader_most_ids(&loader) * sizeof(float))))
        status =
            reel_status_no_memory(model_loader_most_ids(&loader) * sizeof(float), "the weights of a batch");
    if (reel_status_is_ok(&status))
        status = predict_batches(p, trainer, &loader, &room, metrics);
    model_loader_free(&loader);
    reel_mem_free(room.logits);
    reel_mem_free(room.weights);
    return status;
}
