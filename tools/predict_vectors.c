/* tools/predict --embeddings: the vectors of texts as an array of NumPy's. */
#include "tensor/mem.h"
#include "tensor/storage/npy.h"
#include "tools/predict.h"

#include <string.h>

/* The header stands in front and is written last, when the number of texts is known; its length does not
 * depend on it. */
static size_t format_header(const PredictRun *run, char header[TENSOR_NPY_HEADER_CAPACITY])
{
    return tensor_npy_format('f', sizeof(float), 2,
                             (int64_t[]){run->texts, model_width(run->checkpoint->model)}, header);
}

ReelStatus predict_open_vectors(PredictRun *run)
{
    size_t bytes = PREDICT_TEXTS * (size_t)model_width(run->checkpoint->model) * sizeof *run->vectors;
    run->vectors = reel_mem_alloc(bytes);
    return run->vectors ? reel_atomic_file_open(&run->vectors_file, run->settings->embeddings)
                        : reel_status_no_memory(bytes, "the vectors");
}

ReelStatus predict_vectors(PredictRun *run, const ModelTextSpan *texts, int64_t count)
{
    char header[TENSOR_NPY_HEADER_CAPACITY];
    size_t row = (size_t)model_width(run->checkpoint->model) * sizeof *run->vectors,
           at = format_header(run, header) + (size_t)run->texts * row;
    ReelStatus status = model_predictor_vectors(run->predictor, texts, count, run->vectors);
    if (reel_status_is_ok(&status))
        predict_look_at_texts(run, count);
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_write(&run->vectors_file, at, run->vectors, (size_t)count * row);
    predict_progress(run, count);
    return status;
}

ReelStatus predict_close_vectors(PredictRun *run)
{
    char header[TENSOR_NPY_HEADER_CAPACITY];
    size_t size = format_header(run, header);
    ReelStatus status = reel_atomic_file_write(&run->vectors_file, 0, header, size);
    return reel_status_is_ok(&status) ? reel_atomic_file_commit(&run->vectors_file) : status;
}
