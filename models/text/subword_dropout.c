#include "models/text/subword_dropout.h"
#include "tensor/mem.h"

static bool encode(const void *state, TextSpan text, size_t limit, IdList *list)
{
    SubwordDropout *d = (SubwordDropout *)(uintptr_t)state;
    d->scratch.count = 0;
    ReelStatus status = bpe_encode(d->encoder, text.bytes, text.length, &d->scratch);
    bool fine = reel_status_is_ok(&status);
    for (size_t i = 0; fine && i < d->scratch.count && i < limit; i++)
        fine = id_list_push(list, d->scratch.ids[i]);
    return fine;
}

ReelStatus subword_dropout_init(SubwordDropout *d, const Dataset *dataset, double probability, uint64_t seed)
{
    *d = (SubwordDropout){.dataset = dataset, .probability = probability, .seed = seed};
    if (!(probability >= 0 && probability <= 1))
        return reel_status_usage("the BPE dropout is %g and must lie in [0, 1]", probability);
    if (!dataset->text.tokenizer.bpe || !dataset->train_texts)
        return reel_status_usage("BPE dropout needs a data set of byte pairs that has kept its texts");
    size_t bytes = (size_t)(dataset->train.count + 1) * sizeof(int64_t);
    int64_t *offsets = reel_mem_calloc((size_t)dataset->train.count + 1, sizeof *offsets);
    d->encoder = bpe_encoder_new(dataset->text.tokenizer.bpe);
    d->part = dataset->train;
    d->part.offsets = offsets;
    d->part.ids = NULL;
    d->part.longest = dataset->text.max_len;
    if (offsets && d->encoder)
        return reel_status_ok();
    subword_dropout_free(d);
    return reel_status_no_memory(bytes, "BPE dropout");
}

/* What the encoder draws for one text. */
static uint64_t text_seed(const SubwordDropout *d, int64_t epoch, int32_t row)
{
    uint32_t drawn[4];
    tensor_random_block(d->seed, tensor_random_stream("subword dropout") + (uint64_t)epoch, (uint64_t)row,
                        drawn);
    return (uint64_t)drawn[1] << 32 | drawn[0];
}

ReelStatus subword_dropout_draw(SubwordDropout *d, int64_t epoch)
{
    const Tokenizer tokenizer = {
        .state = d, .vocab_size = d->dataset->text.tokenizer.vocab_size, .encode = encode};
    d->list.count = 0;
    for (int64_t i = 0; i < d->part.count; i++) {
        bpe_encoder_set_dropout(d->encoder, d->probability, text_seed(d, epoch, d->part.rows[i]));
        if (!tokenizer_encode(&tokenizer, d->dataset->train_texts[i], d->dataset->text.max_len, &d->list))
            return reel_status_no_memory(d->list.count * sizeof *d->list.ids, "the ids of the texts");
        d->part.offsets[i + 1] = (int64_t)d->list.count;
    }
    d->part.ids = d->list.ids;
    return reel_status_ok();
}

void subword_dropout_free(SubwordDropout *d)
{
    reel_mem_free(d->part.offsets);
    bpe_encoder_free(d->encoder);
    bpe_ids_free(&d->scratch);
    id_list_free(&d->list);
    *d = (SubwordDropout){0};
}
