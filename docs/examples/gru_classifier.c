/* A GRU text classifier with a training loop of its own: gru_classifier [FILE.tsv [EPOCHS]]; see
 * docs/data.md. */
#include "models/text/dataset.h"
#include "models/text/loader.h"
#include "models/training/metrics.h"
#include "nn/nn.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    NnModule base;
    NnEmbedding embedding;
    NnGru gru;
    NnLinear fc;
} Classifier;

static void classifier_init(Classifier *m, int64_t words, int64_t labels)
{
    NnRecurrentOptions options = nn_recurrent_options();
    options.bidirectional = true;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, words, 64);
    NN_ADD(m, gru, nn_gru_init_with, 64, 48, options);
    NN_ADD(m, fc, nn_linear_init, 2 * 48, labels);
}

static Var classifier_forward(Classifier *m, Tape *tape, const Batch *batch)
{
    NnSequence text = nn_pack(tape, batch->ids, batch->offsets, batch->size);
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    return nn_linear(&m->fc, nn_gru(&m->gru, x).last); /* [B, labels] */
}

/* One pass over the training part; *mean is the loss of the average batch. */
static ReelStatus train(Classifier *m, NnOptimizer *optimizer, Tape *tape, Loader *loader, double *mean)
{
    Batch batch;
    *mean = 0;
    while (loader_next(loader, &batch)) {
        tape_begin(tape);
        Var loss = var_bce_with_logits(classifier_forward(m, tape, &batch), tape_constant(tape, batch.labels),
                                       VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN);
        if (!tape_backward(loss))
            return *tape_status(tape);
        ReelStatus status = nn_optimizer_step(optimizer, &tape, 1);
        if (!reel_status_is_ok(&status))
            return status;
        *mean += var_item(loss) / (double)loader_num_batches(loader);
    }
    return reel_status_ok();
}

/* Counts the predictions on the test part, without gradients. */
static ReelStatus test(Classifier *m, Tape *tape, Loader *loader, Metrics *metrics)
{
    Batch batch;
    metrics_reset(metrics);
    loader_start_epoch(loader, 0);
    while (loader_next(loader, &batch)) {
        tape_begin(tape);
        bool before = tape_set_grad_enabled(tape, false);
        Tensor logits = var_value(classifier_forward(m, tape, &batch));
        tape_set_grad_enabled(tape, before);
        if (!tape_ok(tape))
            return *tape_status(tape);
        metrics_add(metrics, logits, batch.labels, 0.0);
    }
    return reel_status_ok();
}

static ReelStatus run(const Dataset *dataset, int epochs)
{
    Classifier model;
    Loader training = {0}, testing = {0};
    Metrics metrics = {0};
    NnOptimizer *optimizer = NULL;
    NnOptimizerOptions adam = nn_optimizer_options(NN_ADAM);
    adam.lr = 1e-2;
    LoaderOptions in_batches = {.batch = 16, .shuffle = true};
    Tape *tape = tape_new();
    classifier_init(&model, dataset->text.tokenizer.vocab_size, dataset_num_classes(dataset));
    ReelStatus status = nn_module_reset(&model.base, 0);
    if (reel_status_is_ok(&status) && tape)
        status = nn_optimizer_new(&optimizer, &model.base, adam, NULL);
    if (reel_status_is_ok(&status))
        status = loader_init(&training, &dataset->train, &in_batches);
    if (reel_status_is_ok(&status))
        status = loader_init(&testing, &dataset->test, &in_batches);
    if (reel_status_is_ok(&status))
        status = metrics_init(&metrics, dataset_num_classes(dataset));
    double loss;
    for (int epoch = 0; tape && epoch < epochs && reel_status_is_ok(&status); epoch++) {
        loader_start_epoch(&training, epoch);
        status = train(&model, optimizer, tape, &training, &loss);
        if (reel_status_is_ok(&status))
            status = test(&model, tape, &testing, &metrics);
        if (epoch % 5 == 4)
            printf("epoch %2d: loss %.4f, test micro F1 %.3f\n", epoch + 1, loss, metrics_micro(&metrics).f1);
    }
    metrics_free(&metrics);
    loader_free(&training);
    loader_free(&testing);
    nn_optimizer_free(optimizer);
    nn_module_free(&model.base);
    tape_free(tape);
    return status;
}

int main(int argc, char **argv)
{
    Dataset *dataset = NULL;
    ReelStatus status = dataset_read(&dataset, argc > 1 ? argv[1] : "tests/fixtures/debian_120.tsv", NULL);
    if (reel_status_is_ok(&status))
        status = run(dataset, argc > 2 ? atoi(argv[2]) : 15);
    if (!reel_status_is_ok(&status))
        fprintf(stderr, "gru_classifier: %s\n", status.message);
    dataset_free(dataset);
    return (int)status.code;
}
