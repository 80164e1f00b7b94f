/* Fuzz target: JSON lines, once with a key of labels and once with keys of 0 and 1; see read_corpus.h. */
#include "tests/fuzz/read_corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_corpus(data, size, &(ModelCorpusOptions){.format = MODEL_JSONL});
    return read_corpus(data, size,
                       &(ModelCorpusOptions){.format = MODEL_JSONL, .columns = {.label_columns = "*"}});
}
