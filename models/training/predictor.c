#include "models/training/predictor.h"

#include "models/training/trainer.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS_PER_THREAD = 64 };

struct Predictor {
    const Checkpoint *checkpoint;
    Trainer *trainer;
    int32_t labels; /* K */
    int32_t batch;  /* texts at once */

    /* Of the run at hand. */
    int64_t count, capacity;
    IdList ids;
    int64_t *offsets; /* [count + 1] into ids */
    int64_t *order;   /* [count] longest first */
    float *weights;   /* [ids.count] */
    size_t weights_capacity;
    ReelBytes clean; /* the text at hand */

    /* Of one batch. */
    int32_t *batch_ids, *batch_offsets;
    size_t batch_capacity;
    float *batch_logits, *batch_weights;
};

ReelStatus predictor_new(Predictor **out, const Checkpoint *checkpoint, int threads)
{
    *out = NULL;
    Predictor *p = reel_mem_calloc(1, sizeof *p);
    if (!p)
        return reel_status_no_memory(sizeof *p, "the predictor");
    p->checkpoint = checkpoint;
    p->labels = checkpoint->text.labels.count;
    p->batch = TEXTS_PER_THREAD * threads;
    size_t batch = (size_t)p->batch;
    p->batch_offsets = reel_mem_alloc((batch + 1) * sizeof *p->batch_offsets);
    p->batch_logits = reel_mem_alloc(batch * (size_t)p->labels * sizeof *p->batch_logits);
    TrainerOptions options = trainer_defaults();
    options.shards = options.threads = threads;
    options.optimizer = nn_optimizer_options(NN_SGD); /* which keeps nothing beside the weights */
    ReelStatus status =
        p->batch_offsets && p->batch_logits
            ? trainer_new(&p->trainer, checkpoint->model, &options)
            : reel_status_no_memory(batch * (size_t)p->labels * sizeof(float), "the predictor");
    if (reel_status_is_ok(&status))
        *out = p;
    else
        predictor_free(p);
    return status;
}

void predictor_free(Predictor *p)
{
    if (!p)
        return;
    trainer_free(p->trainer);
    id_list_free(&p->ids);
    reel_mem_free(p->offsets);
    reel_mem_free(p->order);
    reel_mem_free(p->weights);
    reel_bytes_free(&p->clean);
    reel_mem_free(p->batch_ids);
    reel_mem_free(p->batch_offsets);
    reel_mem_free(p->batch_logits);
    reel_mem_free(p->batch_weights);
    reel_mem_free(p);
}

/* ---- Texts to ids ---- */

static bool reserve(Predictor *p, int64_t count)
{
    if (count > p->capacity) {
        int64_t *offsets = reel_mem_realloc(p->offsets, (size_t)(count + 1) * sizeof *offsets);
        p->offsets = offsets ? offsets : p->offsets;
        int64_t *order = reel_mem_realloc(p->order, (size_t)count * sizeof *order);
        p->order = order ? order : p->order;
        if (!offsets || !order)
            return false;
        p->capacity = count;
    }
    return true;
}

static bool encode(Predictor *p, const TextSpan *texts, int64_t count)
{
    const ModelPipeline *how = &p->checkpoint->text;
    p->ids.count = 0;
    p->offsets[0] = 0;
    for (int64_t i = 0; i < count; i++) {
        size_t end = p->ids.count + (size_t)how->max_len;
        if (!model_pipeline_encode(how, texts[i], &p->clean, &p->ids))
            return false;
        while (p->checkpoint->notebook && p->ids.count < end)
            if (!id_list_push(&p->ids, TOKEN_PAD))
                return false;
        p->offsets[i + 1] = (int64_t)p->ids.count;
    }
    return true;
}

static int64_t length_of(const Predictor *p, int64_t i)
{
    return p->offsets[i + 1] - p->offsets[i];
}

/* Longest first, equal ones in their order: by counting. False: no memory. */
static bool order_by_length(Predictor *p, int64_t count)
{
    int64_t most = p->checkpoint->text.max_len;
    int64_t *starts = reel_mem_calloc((size_t)most + 2, sizeof *starts);
    if (!starts)
        return false;
    for (int64_t i = 0; i < count; i++)
        starts[most - length_of(p, i) + 1]++;
    for (int64_t k = 1; k <= most + 1; k++)
        starts[k] += starts[k - 1];
    for (int64_t i = 0; i < count; i++)
        p->order[starts[most - length_of(p, i)]++] = i;
    reel_mem_free(starts);
    return true;
}

/* ---- Batches ---- */

static bool reserve_batch(Predictor *p, size_t ids, bool attention)
{
    if (ids > p->batch_capacity || !p->batch_ids) {
        int32_t *larger = reel_mem_realloc(p->batch_ids, ids * sizeof *larger);
        p->batch_ids = larger ? larger : p->batch_ids;
        float *weights = reel_mem_realloc(p->batch_weights, ids * sizeof *weights);
        p->batch_weights = weights ? weights : p->batch_weights;
        if (!larger || !weights)
            return false;
        p->batch_capacity = ids;
    }
    if (attention && p->ids.count > p->weights_capacity) {
        float *weights = reel_mem_realloc(p->weights, p->ids.count * sizeof *weights);
        if (!weights)
            return false;
        p->weights = weights;
        p->weights_capacity = p->ids.count;
    }
    return true;
}

static ReelStatus run_batch(Predictor *p, const int64_t *texts, int32_t size, bool attention, float *logits)
{
    size_t ids = 0, k = (size_t)p->labels;
    for (int32_t i = 0; i < size; i++)
        ids += (size_t)length_of(p, texts[i]);
    if (!reserve_batch(p, ids, attention))
        return reel_status_no_memory(ids * sizeof(int32_t), "a batch");
    int32_t used = 0;
    for (int32_t i = 0; i < size; i++) {
        int32_t length = (int32_t)length_of(p, texts[i]);
        p->batch_offsets[i] = used;
        memcpy(p->batch_ids + used, p->ids.ids + p->offsets[texts[i]], (size_t)length * sizeof *p->batch_ids);
        used += length;
    }
    p->batch_offsets[size] = used;
    Batch batch = {.size = size, .num_ids = used, .ids = p->batch_ids, .offsets = p->batch_offsets};
    Tensor scores = tensor_from(p->batch_logits, TENSOR_F32, TENSOR_SHAPE(size, p->labels));
    ReelStatus status = trainer_predict(p->trainer, &batch, scores, attention ? p->batch_weights : NULL);
    for (int32_t i = 0; reel_status_is_ok(&status) && i < size; i++) {
        memcpy(logits + (size_t)texts[i] * k, p->batch_logits + (size_t)i * k, k * sizeof *logits);
        if (attention)
            memcpy(p->weights + p->offsets[texts[i]], p->batch_weights + p->batch_offsets[i],
                   (size_t)length_of(p, texts[i]) * sizeof *p->weights);
    }
    return status;
}

ReelStatus predictor_run(Predictor *p, const TextSpan *texts, int64_t count, bool attention, float *logits)
{
    p->count = 0;
    attention = attention && p->checkpoint->model->kind->has_attention;
    if (!reserve(p, count) || !encode(p, texts, count) || !order_by_length(p, count))
        return reel_status_failed("out of memory for %lld texts", (long long)count);
    ReelStatus status = reel_status_ok();
    for (int64_t at = 0; reel_status_is_ok(&status) && at < count; at += p->batch) {
        int64_t left = count - at;
        status = run_batch(p, p->order + at, left < p->batch ? (int32_t)left : p->batch, attention, logits);
    }
    if (!attention) {
        reel_mem_free(p->weights);
        p->weights = NULL;
        p->weights_capacity = 0;
    }
    p->count = count;
    return status;
}

PredictorText predictor_text(const Predictor *p, int64_t i)
{
    return (PredictorText){.count = (int32_t)length_of(p, i),
                           .ids = p->ids.ids + p->offsets[i],
                           .weights = p->weights ? p->weights + p->offsets[i] : NULL};
}

bool predictor_text_is_empty(const Predictor *p, int64_t i)
{
    const int32_t *ids = p->ids.ids + p->offsets[i];
    return length_of(p, i) >= TOKENIZER_LEAST_MAX_LEN && ids[1] == TOKEN_UNK && ids[2] == TOKEN_EOS;
}

const char *predictor_word(const Predictor *p, int32_t id)
{
    return model_pipeline_word(&p->checkpoint->text, id, NULL);
}
