#include "models/training/predictor.h"

#include "models/training/calibration.h"
#include "models/training/shares_internal.h"
#include "tensor/mem.h"

#include <string.h>

enum { TEXTS_PER_THREAD = 64 };

struct ModelPredictor {
    const ModelCheckpoint *checkpoint;
    ModelShares shares;
    ModelSubwords subwords; /* where the tokenizer is byte pairs: an encoder of this predictor's own */
    ModelTokenizer tokenizer;
    int batch; /* texts at once */

    /* Of the run at hand. */
    TensorArena arena; /* of what follows but the ids */
    ModelIdList ids;
    int64_t *offsets; /* [count + 1] into ids */
    NnIds *texts;     /* [count] */
    int32_t *order;   /* [count]: longest first */
    int32_t longest;
    float *weights;    /* [ids.count], or NULL */
    float *said;       /* [batch, width] */
    NnIds *of_batch;   /* [batch] */
    float **attention; /* [batch] */
    ReelBytes clean;   /* the text at hand */
};

ReelStatus model_predictor_new(ModelPredictor **out, const ModelCheckpoint *checkpoint, int threads)
{
    *out = NULL;
    ModelPredictor *p = reel_mem_calloc(1, sizeof *p);
    if (!p)
        return reel_status_no_memory(sizeof *p, "the predictor");
    p->checkpoint = checkpoint;
    p->tokenizer = checkpoint->text.tokenizer;
    p->batch = TEXTS_PER_THREAD * threads;
    tensor_arena_init(&p->arena, 16 << 10);
    ReelStatus status = model_shares_init(&p->shares, checkpoint->model,
                                          &(NnParallelOptions){.shards = threads, .threads = threads});
    if (reel_status_is_ok(&status) && p->tokenizer.bpe)
        status = model_subwords_share(&p->subwords, &checkpoint->text.subwords, &p->tokenizer);
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
    model_shares_free(&p->shares);
    model_subwords_free(&p->subwords);
    model_id_list_free(&p->ids);
    tensor_arena_free(&p->arena);
    reel_bytes_free(&p->clean);
    reel_mem_free(p);
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
        if (!model_pipeline_encode_by(how, &p->tokenizer, texts[i], &p->clean, &p->ids))
            return false;
        while (p->checkpoint->notebook && p->ids.count < end)
            if (!model_id_list_push(&p->ids, MODEL_TOKEN_PAD))
                return false;
        p->offsets[i + 1] = (int64_t)p->ids.count;
        p->longest = length_of(p, i) > p->longest ? length_of(p, i) : p->longest;
    }
    return true;
}

/* The ids of all texts, and the order in which they are asked, longest first: texts of one length together
 * take the fewest steps. False: no memory. */
static bool prepare(ModelPredictor *p, const ModelTextSpan *texts, int64_t count, bool attends, int64_t width)
{
    TensorArena *arena = &p->arena;
    size_t n = (size_t)count, room = n < (size_t)p->batch ? n : (size_t)p->batch;
    tensor_arena_reset(arena);
    p->weights = NULL;
    p->offsets = tensor_arena_alloc(arena, (n + 1) * sizeof *p->offsets);
    p->texts = tensor_arena_alloc(arena, n * sizeof *p->texts);
    p->order = tensor_arena_alloc(arena, n * sizeof *p->order);
    p->said = tensor_arena_alloc(arena, room * (size_t)width * sizeof *p->said);
    p->of_batch = tensor_arena_alloc(arena, room * sizeof *p->of_batch);
    p->attention = tensor_arena_alloc(arena, room * sizeof *p->attention);
    if (!p->offsets || !p->texts || !p->order || !p->said || !p->of_batch || !p->attention ||
        !encode(p, texts, count))
        return false;
    int32_t *first = tensor_arena_alloc(arena, ((size_t)p->longest + 2) * sizeof *first);
    if (attends)
        p->weights = tensor_arena_alloc(arena, p->ids.count * sizeof *p->weights);
    if (!first || (attends && !p->weights))
        return false;
    for (int64_t i = 0; i < count; i++)
        p->texts[i] = (NnIds){p->ids.ids + p->offsets[i], length_of(p, i)};
    model_order_by_length(p->texts, (int32_t)count, p->longest, first, p->order);
    return true;
}

/* Asks `size` texts at once, those that order[] names; out [count, width]. */
static ReelStatus ask(ModelPredictor *p, const int32_t *order, int32_t size, int64_t width, float *out)
{
    ModelBatch batch = {.size = size, .texts = p->of_batch};
    for (int32_t i = 0; i < size; i++) {
        p->of_batch[i] = p->texts[order[i]];
        p->attention[i] = p->weights ? p->weights + p->offsets[order[i]] : NULL;
    }
    ReelStatus status =
        model_shares_predict(&p->shares, &batch, tensor_from(p->said, TENSOR_F32, TENSOR_SHAPE(size, width)),
                             p->weights ? p->attention : NULL);
    for (int32_t i = 0; i < size && reel_status_is_ok(&status); i++)
        memcpy(out + order[i] * width, p->said + i * width, (size_t)width * sizeof *out);
    return status;
}

/* Asks for `width` numbers a text. */
static ReelStatus run(ModelPredictor *p, const ModelTextSpan *texts, int64_t count, bool attention,
                      int64_t width, float *out)
{
    bool attends = attention && p->checkpoint->model->kind->has_attention;
    if (count > INT32_MAX)
        return reel_status_usage("%lld texts are more than can be asked at once", (long long)count);
    if (!prepare(p, texts, count, attends, width))
        return reel_status_failed("out of memory for %lld texts", (long long)count);
    ReelStatus status = reel_status_ok();
    for (int64_t at = 0; at < count && reel_status_is_ok(&status); at += p->batch) {
        int64_t left = count - at;
        status = ask(p, p->order + at, left < p->batch ? (int32_t)left : p->batch, width, out);
    }
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
    p->shares.says_vectors = true;
    ReelStatus status = run(p, texts, count, false, model_width(p->checkpoint->model), vectors);
    p->shares.says_vectors = false;
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
