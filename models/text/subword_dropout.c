#include "models/text/subword_dropout.h"
#include "tensor/mem.h"

static bool encode(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    ModelSubwordDropout *d = (ModelSubwordDropout *)(uintptr_t)state;
    d->scratch.count = 0;
    ReelStatus status = model_bpe_encode(d->encoder, text.bytes, text.length, &d->scratch);
    bool fine = reel_status_is_ok(&status);
    for (size_t i = 0; fine && i < d->scratch.count && i < limit; i++)
        fine = model_id_list_push(list, d->scratch.ids[i]);
    return fine;
}

ReelStatus model_subword_dropout_init(ModelSubwordDropout *d, const ModelDataset *dataset, double probability,
                                      uint64_t seed)
{
    *d = (ModelSubwordDropout){.dataset = dataset, .probability = probability, .seed = seed};
    if (!(probability >= 0 && probability <= 1))
        return reel_status_usage("the BPE dropout is %g and must lie in [0, 1]", probability);
    if (!dataset->text.tokenizer.bpe || !dataset->train_texts)
        return reel_status_usage("BPE dropout needs a data set of byte pairs that has kept its texts");
    size_t bytes = (size_t)(dataset->train.count + 1) * sizeof(int64_t);
    int64_t *offsets = reel_mem_calloc((size_t)dataset->train.count + 1, sizeof *offsets);
    d->encoder = model_bpe_encoder_new(dataset->text.tokenizer.bpe);
    d->part = dataset->train;
    d->part.offsets = offsets;
    d->part.ids = (ModelIdStore){0};
    d->part.longest = dataset->text.max_len;
    if (offsets && d->encoder)
        return reel_status_ok();
    model_subword_dropout_free(d);
    return reel_status_no_memory(bytes, "BPE dropout");
}

/* What the encoder draws for one text. */
static uint64_t text_seed(const ModelSubwordDropout *d, int64_t epoch, int32_t row)
{
    uint32_t drawn[4];
    tensor_random_block(d->seed, tensor_random_stream("subword dropout") + (uint64_t)epoch, (uint64_t)row,
                        drawn);
    return (uint64_t)drawn[1] << 32 | drawn[0];
}

ReelStatus model_subword_dropout_draw(ModelSubwordDropout *d, int64_t epoch)
{
    const ModelTokenizer tokenizer = {
        .state = d, .vocab_size = d->dataset->text.tokenizer.vocab_size, .encode = encode};
    d->list.count = 0;
    for (int64_t i = 0; i < d->part.count; i++) {
        model_bpe_encoder_set_dropout(d->encoder, d->probability, text_seed(d, epoch, d->part.rows[i]));
        if (!model_tokenizer_encode(&tokenizer, d->dataset->train_texts[i], d->dataset->text.max_len,
                                    &d->list))
            return reel_status_no_memory(d->list.count * sizeof *d->list.ids, "the ids of the texts");
        d->part.offsets[i + 1] = (int64_t)d->list.count;
    }
    d->part.ids.wide = d->list.ids;
    return reel_status_ok();
}

void model_subword_dropout_free(ModelSubwordDropout *d)
{
    reel_mem_free(d->part.offsets);
    model_bpe_encoder_free(d->encoder);
    model_bpe_ids_free(&d->scratch);
    model_id_list_free(&d->list);
    *d = (ModelSubwordDropout){0};
}
