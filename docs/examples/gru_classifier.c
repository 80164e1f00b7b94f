/* A GRU text classifier with a training loop of its own, on all cores and on several ranks:
 * gru_classifier [FILE.tsv [EPOCHS [THREADS]]] [--ranks N]; see docs/data.md and docs/parallel.md. */
#include <reel/reel.h>
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

/* A batch is cut into so many parts; results depend on it, and not on the threads that execute them. */
enum { SHARDS = 4 };

typedef struct {
    Classifier *model;
    const ModelBatch *batch;
    ModelMetrics *metrics;
} Work;

/* A shard's first text in the batch; where it is the next one's too, the shard has none. */
static int32_t first_of(const ModelBatch *batch, int shard)
{
    return batch->size * shard / SHARDS;
}

/* The logits [texts, labels] of a shard's texts; called from several threads. */
static Var forward(const Work *work, Tape *tape, int shard)
{
    Classifier *m = work->model;
    int32_t first = first_of(work->batch, shard), count = first_of(work->batch, shard + 1) - first;
    if (count == 0)
        return VAR_NONE;
    NnSequence text = nn_pack_texts(tape, work->batch->texts + first, count);
    return nn_linear(&m->fc, nn_gru(&m->gru, nn_embedding_sequence(&m->embedding, text)).last);
}

/* A shard's part of the mean over the batch. */
static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    const Work *work = context;
    Var logits = forward(work, tape, shard);
    if (!logits.tape || shards != SHARDS)
        return VAR_NONE;
    int64_t texts = var_size(logits, 0), labels = var_size(logits, 1);
    const NnIds *borne = work->batch->labels + first_of(work->batch, shard);
    Var target = model_label_rows(tape, borne, (int32_t)texts, labels);
    Var sum = var_bce_with_logits(logits, target, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
    return var_scale(sum, 1.0 / (double)(work->batch->size * labels), 0.0);
}

static Tensor logits_of_shard(void *context, Tape *tape, int shard)
{
    return var_value(forward(context, tape, shard));
}

static void count_shard(void *context, int shard, Tensor logits)
{
    const Work *work = context;
    model_metrics_add(work->metrics, logits, work->batch->labels + first_of(work->batch, shard), 0.0);
}

/* One pass over the training part, the mean loss to *mean, or with `metrics` over the test part. */
static ReelStatus pass(Classifier *m, NnParallel *parallel, NnOptimizer *optimizer, ModelLoader *loader,
                       double *mean, ModelMetrics *metrics)
{
    ModelBatch batch;
    Work work = {.model = m, .batch = &batch, .metrics = metrics};
    ReelStatus status = reel_status_ok();
    double loss;
    while (reel_status_is_ok(&status) && model_loader_next(loader, &batch)) {
        if (metrics) {
            status = nn_parallel_each(parallel, logits_of_shard, count_shard, &work, SHARDS);
            continue;
        }
        status = nn_parallel_backward(parallel, loss_of_shard, &work, &loss);
        if (reel_status_is_ok(&status))
            status = nn_optimizer_step(optimizer, nn_parallel_pieces(parallel));
        *mean += loss / (double)model_loader_num_batches(loader);
    }
    return reel_status_is_ok(&status) ? loader->status : status;
}

static ReelStatus run(const ModelDataset *dataset, int epochs, int threads, NnComm *comm)
{
    Classifier model;
    ModelLoader training = {0}, testing = {0};
    ModelMetrics metrics = {0};
    NnOptimizer *optimizer = NULL;
    NnOptimizerOptions adam = nn_optimizer_options(NN_ADAM);
    adam.lr = 1e-2;
    ModelLoaderOptions in_batches = {.batch = 16, .shuffle = true};
    NnParallel *parallel = NULL;
    NnParallelOptions cores = {.shards = SHARDS, .threads = threads, .comm = comm};
    classifier_init(&model, dataset->text.tokenizer.vocab_size, model_dataset_num_classes(dataset));
    ReelStatus status = nn_module_reset(&model.base, 0);
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(&parallel, &model.base, &cores);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, &model.base, adam);
    if (reel_status_is_ok(&status))
        status = model_loader_init(&training, &dataset->train, &in_batches);
    if (reel_status_is_ok(&status))
        status = model_loader_init(&testing, &dataset->test, &in_batches);
    if (reel_status_is_ok(&status))
        status = model_metrics_init(&metrics, model_dataset_num_classes(dataset));
    for (int epoch = 0; epoch < epochs && reel_status_is_ok(&status); epoch++) {
        double loss = 0;
        model_metrics_reset(&metrics);
        model_loader_start_epoch(&training, epoch);
        model_loader_start_epoch(&testing, 0);
        status = pass(&model, parallel, optimizer, &training, &loss, NULL);
        if (reel_status_is_ok(&status))
            status = pass(&model, parallel, NULL, &testing, NULL, &metrics);
        if (epoch % 5 == 4 && nn_comm_rank(comm) == 0)
            printf("epoch %2d: loss %.4f, test micro F1 %.3f\n", epoch + 1, loss,
                   model_metrics_micro(&metrics).f1);
    }
    model_metrics_free(&metrics);
    model_loader_free(&training);
    model_loader_free(&testing);
    nn_optimizer_free(optimizer);
    nn_parallel_free(parallel);
    nn_module_free(&model.base);
    return status;
}

int main(int argc, char **argv)
{
    ModelDataset *dataset = NULL;
    NnComm *comm = NULL;
    ReelStatus status = nn_comm_open(&comm, &argc, &argv);
    if (reel_status_is_ok(&status))
        status = model_dataset_read(&dataset, argc > 1 ? argv[1] : "tests/fixtures/debian_120.tsv", NULL);
    status = nn_comm_agree(comm, &status); /* an error on one rank ends all */
    if (reel_status_is_ok(&status))
        status = run(dataset, argc > 2 ? atoi(argv[2]) : 15, argc > 3 ? atoi(argv[3]) : 2, comm);
    if (!reel_status_is_ok(&status) && nn_comm_report(comm, &status))
        fprintf(stderr, "gru_classifier: %s\n", status.message);
    nn_comm_close(comm);
    model_dataset_free(dataset);
    return (int)status.code;
}
