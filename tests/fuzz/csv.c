/* Fuzz target: a CSV, once with a column of labels and once with columns of 0 and 1; see read_corpus.h. */
#include "tests/fuzz/read_corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_corpus(data, size, &(ModelCorpusOptions){.format = MODEL_CSV});
    return read_corpus(data, size,
                       &(ModelCorpusOptions){.format = MODEL_CSV, .columns = {.label_columns = "*"}});
}
