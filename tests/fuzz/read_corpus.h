/* What the fuzz targets of corpora share: any bytes in one format, read as a labelled corpus and made into a
 * data set and batches. A crash, a leak, a read out of bounds or undefined behaviour is a finding; so is an
 * index out of range, and a message that is not one line that names the file. */
#ifndef REEL_TESTS_FUZZ_READ_CORPUS_H
#define REEL_TESTS_FUZZ_READ_CORPUS_H

#include "models/text/dataset.h"
#include "models/text/loader.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

/* What is refused is refused in one line, and what is wrong with the data says where. */
static inline bool is_fine(const ReelStatus *status)
{
    if (reel_status_is_ok(status))
        return true;
    require(strchr(status->message, '\n') == NULL);
    require(status->code == REEL_STATUS_FAILED && strncmp(status->message, "fuzz:", 5) == 0);
    return false;
}

static inline void check_corpus(const ModelCorpus *corpus)
{
    size_t sum = 0;
    for (int64_t row = 0; row < corpus->rows; row++) {
        for (size_t i = 0; i < corpus->texts[row].length; i++)
            sum += (unsigned char)corpus->texts[row].bytes[i]; /* the sanitizer sees whether it may be read */
        int64_t from = corpus->label_offsets[row], to = corpus->label_offsets[row + 1];
        require(from <= to);
        for (int64_t i = from; i < to; i++)
            require(corpus->labels[i] >= 0 && corpus->labels[i] < model_corpus_num_classes(corpus) &&
                    (i == from || corpus->labels[i - 1] < corpus->labels[i]));
    }
    require(sum < SIZE_MAX);
}

static inline void check_batches(const ModelDataset *dataset, const ModelDatasetPart *part)
{
    ModelLoaderOptions options = {.batch = 3, .shuffle = true, .pad = true};
    ModelLoader loader;
    ReelStatus status = model_loader_init(&loader, part, &options);
    require(reel_status_is_ok(&status));
    ModelBatch batch;
    int64_t seen = 0;
    while (model_loader_next(&loader, &batch)) {
        seen += batch.size;
        for (int32_t i = 0; i < batch.size; i++) {
            NnIds text = batch.texts[i];
            require(text.count >= 3 && text.count <= dataset->text.max_len && text.count <= batch.padded);
            require(text.ids[0] == MODEL_TOKEN_BOS && text.ids[text.count - 1] == MODEL_TOKEN_EOS);
            for (int32_t t = 0; t < text.count; t++)
                require(text.ids[t] >= 0 && text.ids[t] < dataset->text.tokenizer.vocab_size);
        }
    }
    require(seen == part->count);
    model_loader_free(&loader);
}

static inline int read_corpus(const uint8_t *data, size_t size, const ModelCorpusOptions *how)
{
    int64_t live = reel_mem_stats().live_blocks;
    ModelCorpus corpus;
    ReelStatus status = model_corpus_parse(&corpus, "fuzz", (const char *)data, size, how);
    if (is_fine(&status)) {
        check_corpus(&corpus);
        ModelDatasetOptions options = model_dataset_defaults();
        options.vocabulary.min_df = 1;
        options.max_len = 5;
        ModelDataset *dataset;
        status = model_dataset_new(&dataset, &corpus, "fuzz", &options);
        if (is_fine(&status)) {
            check_batches(dataset, &dataset->train);
            check_batches(dataset, &dataset->test);
        }
        model_dataset_free(dataset);
    }
    model_corpus_free(&corpus);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}

#endif
