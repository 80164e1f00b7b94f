/* Fuzz target: a TSV; see read_corpus.h. */
#include "tests/fuzz/read_corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return read_corpus(data, size, &(ModelCorpusOptions){.format = MODEL_TSV});
}
