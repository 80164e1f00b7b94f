#include "models/training/shares_internal.h"
#include "models/text/tokenizer.h"
#include "tensor/mem.h"

#include <string.h>

ReelStatus model_shares_init(ModelShares *shares, Model *model, const NnParallelOptions *options)
{
    size_t bytes = (size_t)options->shards * sizeof *shares->shares;
    *shares = (ModelShares){.model = model, .count = options->shards};
    ReelStatus status = nn_parallel_new(&shares->parallel, &model->base, options);
    if (reel_status_is_ok(&status) &&
        !(shares->shares = reel_mem_calloc((size_t)options->shards, sizeof *shares->shares)))
        status = reel_status_no_memory(bytes, "the shards");
    return status;
}

void model_shares_free(ModelShares *shares)
{
    nn_parallel_free(shares->parallel);
    for (int i = 0; shares->shares && i < shares->count; i++) {
        reel_mem_free(shares->shares[i].texts);
        reel_mem_free(shares->shares[i].labels);
        reel_mem_free(shares->shares[i].places);
        reel_mem_free(shares->shares[i].ids);
    }
    reel_mem_free(shares->shares);
    reel_mem_free(shares->order);
    reel_mem_free(shares->first);
    *shares = (ModelShares){0};
}

/* ---- Dealing a batch out ---- */

static int32_t length_of(const ModelBatch *batch, int32_t text)
{
    return batch->padded ? batch->padded : batch->texts[text].count;
}

static int32_t longest_of(const ModelBatch *batch)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < batch->size; i++)
        longest = length_of(batch, i) > longest ? length_of(batch, i) : longest;
    return longest;
}

/* Room for `count` ids. */
static bool grow(int32_t **array, int64_t count)
{
    int32_t *larger = reel_mem_realloc(*array, (size_t)count * sizeof *larger);
    if (larger)
        *array = larger;
    return larger != NULL;
}

/* Room to sort a batch. Grows to the largest and stays. */
static bool reserve(ModelShares *shares, const ModelBatch *batch)
{
    int32_t longest = longest_of(batch);
    if (longest > shares->length_capacity || !shares->first) {
        if (!grow(&shares->first, (int64_t)longest + 2))
            return false;
        shares->length_capacity = longest;
    }
    if (batch->size > shares->text_capacity) {
        if (!grow(&shares->order, batch->size))
            return false;
        shares->text_capacity = batch->size;
    }
    return true;
}

/* Room in a share for `count` texts. */
static bool reserve_share(ModelShare *share, int32_t count)
{
    if (count <= share->text_capacity)
        return true;
    NnIds *texts = reel_mem_realloc(share->texts, (size_t)count * sizeof *texts),
          *labels = reel_mem_realloc(share->labels, (size_t)count * sizeof *labels);
    share->texts = texts ? texts : share->texts;
    share->labels = labels ? labels : share->labels;
    if (!texts || !labels || !grow(&share->places, count))
        return false;
    share->text_capacity = count;
    return true;
}

void model_order_by_length(const NnIds *texts, int32_t count, int32_t longest, int32_t *first, int32_t *order)
{
    memset(first, 0, ((size_t)longest + 2) * sizeof *first);
    for (int32_t i = 0; i < count; i++)
        first[longest - texts[i].count + 1]++;
    for (int32_t l = 0; l <= longest; l++)
        first[l + 1] += first[l];
    for (int32_t i = 0; i < count; i++)
        order[first[longest - texts[i].count]++] = i;
}

/* Padded texts are all of one length. */
static void order_texts(ModelShares *shares, const ModelBatch *batch)
{
    for (int32_t i = 0; batch->padded && i < batch->size; i++)
        shares->order[i] = i;
    if (!batch->padded)
        model_order_by_length(batch->texts, batch->size, longest_of(batch), shares->first, shares->order);
}

/* Copies the texts of a share, filled up with <pad> where the batch is padded. False: no memory. */
static bool copy_texts(ModelShare *share, const ModelBatch *batch)
{
    int64_t needed = 0;
    for (int32_t i = 0; i < share->count; i++)
        needed += length_of(batch, share->places[i]);
    if (needed > share->id_capacity) {
        if (!grow(&share->ids, needed))
            return false;
        share->id_capacity = needed;
    }
    int32_t *to = share->ids;
    for (int32_t i = 0; i < share->count; i++) {
        NnIds text = share->texts[i];
        int32_t length = length_of(batch, share->places[i]);
        memcpy(to, text.ids, (size_t)text.count * sizeof *to);
        for (int32_t t = text.count; t < length; t++)
            to[t] = MODEL_TOKEN_PAD;
        share->texts[i] = (NnIds){to, length};
        to += length;
    }
    return true;
}

/* Deals the texts out by length, there and back again, so that the shards have the same to do. False: no
 * memory. */
static bool deal(ModelShares *shares, const ModelBatch *batch, bool with_labels)
{
    int count = shares->count;
    for (int i = 0; i < count; i++) {
        shares->shares[i].count = 0;
        if (!reserve_share(&shares->shares[i], batch->size / count + 1))
            return false;
    }
    order_texts(shares, batch);
    for (int32_t i = 0; i < batch->size; i++) {
        int round = i / count, place = i % count;
        ModelShare *share = &shares->shares[round % 2 ? count - 1 - place : place];
        int32_t text = shares->order[i];
        share->texts[share->count] = batch->texts[text];
        if (with_labels)
            share->labels[share->count] = batch->labels[text];
        share->places[share->count++] = text;
    }
    return true;
}

ReelStatus model_shares_deal(ModelShares *shares, const ModelBatch *batch, bool with_labels, bool copied)
{
    if (batch->size < 1)
        return reel_status_failed("a batch must have at least one text");
    shares->batch = batch;
    bool ok = reserve(shares, batch) && deal(shares, batch, with_labels);
    for (int i = 0; (copied || batch->padded) && ok && i < shares->count; i++)
        if (nn_parallel_has(shares->parallel, i))
            ok = copy_texts(&shares->shares[i], batch);
    return ok ? reel_status_ok() : reel_status_failed("out of memory for a batch of %d texts", batch->size);
}

/* ---- What the model says ---- */

ModelInput model_share_input(const ModelShares *shares, const ModelShare *share, Tape *tape)
{
    return model_input(shares->model, tape, share->texts, share->count);
}

/* The logits of a shard's texts, [texts, K], and behind them the weights of its ids, where these are wanted.
 */
static Tensor predict_shard(void *context, Tape *tape, int index)
{
    const ModelShares *shares = context;
    const ModelShare *share = &shares->shares[index];
    if (share->count == 0)
        return tensor_invalid();
    ModelInput input = model_share_input(shares, share, tape);
    ModelOutput output = model_forward(shares->model, input);
    Var said = shares->says_vectors ? output.vectors : output.logits;
    Tensor logits = tensor_contiguous(tape_arena(tape), var_value(said));
    if (!shares->attention || !output.attention.tape || !tensor_is_valid(logits))
        return logits;
    Tensor weights = var_value(nn_unpack(nn_with_rows(input.text, output.attention)));
    int64_t scores = tensor_numel(&logits), ids = tensor_numel(&weights);
    Tensor both = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(scores + ids));
    if (!tensor_is_valid(weights) || !tensor_is_valid(both))
        return tensor_invalid();
    memcpy(tensor_f32(both), tensor_f32(logits), (size_t)scores * sizeof(float));
    memcpy(tensor_f32(both) + scores, tensor_f32(weights), (size_t)ids * sizeof(float));
    return both;
}

static void take_predictions(void *context, int index, Tensor result)
{
    const ModelShares *shares = context;
    const ModelShare *share = &shares->shares[index];
    int64_t width = shares->said.shape[1], scores = share->count * width;
    if (!tensor_is_valid(result))
        return;
    for (int32_t i = 0; i < share->count; i++)
        tensor_copy_into(tensor_select(shares->said, 0, share->places[i]),
                         tensor_from(tensor_f32(result) + i * width, TENSOR_F32, TENSOR_SHAPE(width)));
    if (tensor_numel(&result) == scores)
        return;
    const float *weights = tensor_f32(result) + scores;
    for (int32_t i = 0; i < share->count; weights += share->texts[i++].count)
        memcpy(shares->attention[share->places[i]], weights,
               (size_t)shares->batch->texts[share->places[i]].count * sizeof(float));
}

ReelStatus model_shares_predict(ModelShares *shares, const ModelBatch *batch, Tensor said,
                                float *const *attention)
{
    const Model *model = shares->model;
    int64_t width = shares->says_vectors ? model_width(model) : model->config.labels;
    if (said.dtype != TENSOR_F32 || said.ndim != 2 || said.shape[0] != batch->size || said.shape[1] != width)
        return reel_status_failed("trainer: the %s of %d texts must be f32 [%d, %lld]",
                                  shares->says_vectors ? "vectors" : "logits", batch->size, batch->size,
                                  (long long)width);
    shares->said = said;
    shares->attention = attention;
    ReelStatus status = model_shares_deal(shares, batch, false, false);
    return reel_status_is_ok(&status)
               ? nn_parallel_each(shares->parallel, predict_shard, take_predictions, shares, shares->count)
               : status;
}
