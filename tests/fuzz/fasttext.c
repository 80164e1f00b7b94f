/* Fuzz target: fastText's format, and a format that is to be found; see read_corpus.h. */
#include "tests/fuzz/read_corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_corpus(data, size, &(ModelCorpusOptions){.format = MODEL_FASTTEXT});
    return read_corpus(data, size, NULL);
}
