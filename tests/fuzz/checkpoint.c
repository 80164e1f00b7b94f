/* Fuzz target: any bytes, read as a checkpoint of a model, and as the state of a training run. A crash, a
 * leak, a read out of bounds or undefined behaviour is a finding; so is a message that is not one line, or a
 * model that was loaded and cannot be run on a text or saved again as the same file. Fuzzers are to define
 * FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION, so that a wrong checksum does not keep them out. */
#include "models/training/checkpoint.h"
#include "models/training/predictor.h"
#include "models/training/training_state.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool is_fine(const ReelStatus *status)
{
    require(reel_status_is_ok(status) || (!strchr(status->message, '\n') && strchr(status->message, ';')));
    return reel_status_is_ok(status);
}

/* Texts are short and few, and so is what a fuzzer is to wait for. */
static void run(const ModelCheckpoint *c)
{
    const ModelTextSpan texts[] = {model_text_span("red apple"), model_text_span(""),
                                   model_text_span("green truck fire sky")};
    ModelPredictor *predictor;
    if (c->text.max_len > 64 || c->text.labels.count > 1000)
        return;
    float *logits = reel_mem_alloc(3 * (size_t)c->text.labels.count * sizeof *logits);
    ReelStatus status = model_predictor_new(&predictor, c, 1);
    require(logits && reel_status_is_ok(&status));
    status = model_predictor_run(predictor, texts, 3, true, logits);
    require(reel_status_is_ok(&status));
    for (int i = 0; i < 3; i++) {
        ModelPredictorText text = model_predictor_text(predictor, i);
        require(text.count >= 3 && text.count <= c->text.max_len);
        for (int32_t j = 0; j < text.count; j++)
            require(model_predictor_word(predictor, text.ids[j]) != NULL);
    }
    model_predictor_free(predictor);
    reel_mem_free(logits);
}

static void read_state(const TensorNpz *npz, Model *model, int32_t labels)
{
    enum { EPOCHS = 3 };
    ModelRunEpoch epochs[EPOCHS];
    ModelRunResult result = {.epochs = epochs};
    ModelTrainingState state;
    NnOptimizer *optimizer;
    ReelStatus status = model_metrics_init(&result.metrics, labels);
    require(reel_status_is_ok(&status));
    status = model_training_state_read(npz, &state, &result, EPOCHS);
    bool fine = reel_status_is_ok(&status);
    require(!strchr(status.message, '\n'));
    if (fine && model) {
        status = nn_optimizer_new(&optimizer, &model->base, nn_optimizer_options(NN_ADAM));
        require(reel_status_is_ok(&status));
        status = model_training_state_restore(npz, &state, optimizer);
        require(!strchr(status.message, '\n'));
        nn_optimizer_free(optimizer);
    }
    model_metrics_free(&result.metrics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = reel_mem_stats().live_blocks;
    TensorNpz *npz;
    ModelCheckpoint *c = NULL;
    ReelStatus status = tensor_npz_open_memory(&npz, data, size, "fuzz");
    if (is_fine(&status)) {
        status = model_checkpoint_load_from(&c, npz, (NnLoadOptions){.in_place = true});
        if (is_fine(&status))
            run(c);
        read_state(npz, c ? c->model : NULL, c && c->text.labels.count < 1000 ? c->text.labels.count : 2);
    }
    model_checkpoint_free(c);
    tensor_npz_close(npz);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}
