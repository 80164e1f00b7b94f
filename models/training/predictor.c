#include "models/training/predictor.h"

#include "models/training/calibration.h"
#include "models/training/predictions.h"
#include "tensor/mem.h"

enum { TEXTS_PER_THREAD = 64 };

struct ModelPredictor {
    const ModelCheckpoint *checkpoint;
    ModelTrainer *trainer;
    int batch; /* texts at once */

    /* Of the run at hand. */
    ModelIdList ids;
    int64_t *offsets; /* [count + 1] into ids */
    int64_t capacity;
    int32_t longest;
    float *weights;  /* [ids.count], or NULL */
    ReelBytes clean; /* the text at hand */
};

ReelStatus model_predictor_new(ModelPredictor **out, const ModelCheckpoint *checkpoint, int threads)
{
    *out = NULL;
    ModelPredictor *p = reel_mem_calloc(1, sizeof *p);
    if (!p)
        return reel_status_no_memory(sizeof *p, "the predictor");
    p->checkpoint = checkpoint;
    p->batch = TEXTS_PER_THREAD * threads;
    ModelTrainerOptions options = model_trainer_defaults();
    options.shards = options.threads = threads;
    options.optimizer = nn_optimizer_options(NN_SGD); /* which keeps nothing beside the weights */
    ReelStatus status = model_trainer_new(&p->trainer, checkpoint->model, &options);
    if (reel_status_is_ok(&status))
        *out = p;
    else
        model_predictor_free(p);
    return status;
}

void model_predictor_free(ModelPredictor *p)
{
    if (!p)
        return;
    model_trainer_free(p->trainer);
    model_id_list_free(&p->ids);
    reel_mem_free(p->offsets);
    reel_mem_free(p->weights);
    reel_bytes_free(&p->clean);
    reel_mem_free(p);
}

static bool reserve(ModelPredictor *p, int64_t count)
{
    if (count <= p->capacity && p->offsets)
        return true;
    int64_t *offsets = reel_mem_realloc(p->offsets, (size_t)(count + 1) * sizeof *offsets);
    p->offsets = offsets ? offsets : p->offsets;
    p->capacity = offsets ? count : p->capacity;
    return offsets != NULL;
}

static int32_t length_of(const ModelPredictor *p, int64_t i)
{
    return (int32_t)(p->offsets[i + 1] - p->offsets[i]);
}

static bool encode(ModelPredictor *p, const ModelTextSpan *texts, int64_t count)
{
    const ModelPipeline *how = &p->checkpoint->text;
    p->ids.count = 0;
    p->longest = 0;
    p->offsets[0] = 0;
    for (int64_t i = 0; i < count; i++) {
        size_t end = p->ids.count + (size_t)how->max_len;
        if (!model_pipeline_encode(how, texts[i], &p->clean, &p->ids))
            return false;
        while (p->checkpoint->notebook && p->ids.count < end)
            if (!model_id_list_push(&p->ids, MODEL_TOKEN_PAD))
                return false;
        p->offsets[i + 1] = (int64_t)p->ids.count;
        p->longest = length_of(p, i) > p->longest ? length_of(p, i) : p->longest;
    }
    return true;
}

/* Asks for `width` numbers a text. */
static ReelStatus run(ModelPredictor *p, const ModelTextSpan *texts, int64_t count, bool attention,
                      int64_t width, float *out)
{
    reel_mem_free(p->weights);
    p->weights = NULL;
    if (!reserve(p, count) || !encode(p, texts, count))
        return reel_status_failed("out of memory for %lld texts", (long long)count);
    if (count == 0)
        return reel_status_ok();
    ModelDatasetPart part = {.count = count,
                             .offsets = p->offsets,
                             .ids = {.wide = p->ids.ids},
                             .num_classes = (int32_t)width,
                             .longest = p->longest};
    ModelPredictions said = {.logits = out};
    attention = attention && p->checkpoint->model->kind->has_attention;
    ReelStatus status =
        model_predict_part(&said, p->trainer, &part,
                           &(ModelLoaderOptions){.batch = p->batch, .by_length = true}, attention, NULL);
    p->weights = said.attention;
    return status;
}

ReelStatus model_predictor_run(ModelPredictor *p, const ModelTextSpan *texts, int64_t count, bool attention,
                               float *logits)
{
    int32_t labels = p->checkpoint->text.labels.count;
    ReelStatus status = run(p, texts, count, attention, labels, logits);
    if (reel_status_is_ok(&status))
        model_calibration_apply(p->checkpoint->calibration, logits, count, labels);
    return status;
}

ReelStatus model_predictor_vectors(ModelPredictor *p, const ModelTextSpan *texts, int64_t count,
                                   float *vectors)
{
    model_trainer_say_vectors(p->trainer, true);
    ReelStatus status = run(p, texts, count, false, model_width(p->checkpoint->model), vectors);
    model_trainer_say_vectors(p->trainer, false);
    return status;
}

ModelPredictorText model_predictor_text(const ModelPredictor *p, int64_t i)
{
    return (ModelPredictorText){.count = length_of(p, i),
                                .ids = p->ids.ids + p->offsets[i],
                                .weights = p->weights ? p->weights + p->offsets[i] : NULL};
}

bool model_predictor_text_is_empty(const ModelPredictor *p, int64_t i)
{
    const int32_t *ids = p->ids.ids + p->offsets[i];
    return length_of(p, i) >= MODEL_TOKENIZER_LEAST_MAX_LEN && ids[1] == MODEL_TOKEN_UNK &&
           ids[2] == MODEL_TOKEN_EOS;
}

const char *model_predictor_word(const ModelPredictor *p, int32_t id)
{
    return model_pipeline_word(&p->checkpoint->text, id, NULL);
}
