#include "models/training/predictions.h"
#include "tensor/mem.h"

#include <string.h>

void model_predictions_free(ModelPredictions *predictions)
{
    reel_mem_free(predictions->logits);
    reel_mem_free(predictions->attention);
    *predictions = (ModelPredictions){0};
}

/* `weights`: room for those of a batch, or NULL. Of padding they are left out. */
static ReelStatus predict_batches(ModelPredictions *p, Trainer *trainer, Loader *loader, float *weights,
                                  Metrics *metrics)
{
    const DatasetPart *part = loader->part;
    Batch batch;
    float *logits = p->logits;
    if (metrics)
        metrics_reset(metrics);
    while (loader_next(loader, &batch)) {
        Tensor scores = tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(batch.size, part->num_classes));
        ReelStatus status = trainer_predict(trainer, &batch, scores, weights);
        if (!reel_status_is_ok(&status))
            return status;
        if (metrics)
            metrics_add(metrics, scores, batch.labels, 0.0);
        for (int32_t i = 0; weights && i < batch.size; i++) {
            const int64_t *ends = part->offsets + batch.examples[i];
            memcpy(p->attention + ends[0], weights + batch.offsets[i],
                   (size_t)(ends[1] - ends[0]) * sizeof *weights);
        }
        logits += (int64_t)batch.size * part->num_classes;
    }
    return reel_status_ok();
}

ReelStatus model_predict_part(ModelPredictions *p, Trainer *trainer, const DatasetPart *part, int batch,
                              bool pad, bool attends, Metrics *metrics)
{
    size_t bytes = (size_t)part->count * (size_t)part->num_classes * sizeof(float),
           ids = (size_t)part->offsets[part->count];
    int64_t most = batch < part->count ? batch : part->count;
    float *weights = NULL;
    if (!p->logits)
        p->logits = reel_mem_alloc(bytes);
    if (attends) {
        if (!p->attention)
            p->attention = reel_mem_alloc(ids * sizeof *p->attention);
        weights = reel_mem_alloc((size_t)most * (size_t)part->longest * sizeof *weights);
    }
    if (!p->logits || (attends && (!p->attention || !weights))) {
        reel_mem_free(weights);
        return reel_status_no_memory(bytes, "the predictions of a part");
    }
    Loader loader;
    ReelStatus status = loader_init(&loader, part, &(LoaderOptions){.batch = batch, .pad = pad});
    if (reel_status_is_ok(&status))
        status = predict_batches(p, trainer, &loader, weights, metrics);
    loader_free(&loader);
    reel_mem_free(weights);
    return status;
}
