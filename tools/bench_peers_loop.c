/* A training loop with everything, as tools/pytorch_peers.py has it: what tests/pytorch_gradients.py compares
 * in values and tests/tools/pages.c in lines, as in bench_peers_models.c. */
#include "tools/bench_peers.h"

#include <stdio.h>
#include <stdlib.h>

/* Ends the program where something went wrong. */
static void must(ReelStatus status);

/* ---- loop ---- */
/* No decay for biases and norms, a rate of its own for the table of pretrained vectors, four batches an
 * update, one norm that clips all gradients, a moving average of the weights, and its best by a held-out
 * loss. */

typedef struct Reader {
    NnModule base;
    NnEmbedding words;
    NnLayerNorm norm;
    NnLinear fc;
} Reader;

static void reader_init(Reader *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, 200, 32);
    NN_ADD(m, norm, nn_layer_norm_init, 32);
    NN_ADD(m, fc, nn_linear_init, 32, 4);
}

static Var reader_loss(Reader *m, NnBatch batch, Tape *tape)
{
    Var x = nn_pool_mean(nn_embedding_sequence(&m->words, nn_batch_texts(batch, tape, 0)));
    Var scores = nn_linear(&m->fc, nn_layer_norm(&m->norm, x));
    return var_cross_entropy(scores, nn_batch_rows(batch, tape, 1), VAR_REDUCTION_MEAN);
}

static double held_out_loss(Reader *m, NnLoader *held_out, Tape *tape)
{
    double sum = 0;
    NnBatch batch;
    for (nn_loader_start_epoch(held_out, 0); nn_loader_next(held_out, &batch);) {
        tape_begin(tape);
        sum += var_item(reader_loss(m, batch, tape));
    }
    return sum / (double)nn_loader_num_batches(held_out);
}

static int train(Reader *m, Reader *mean, Reader *best, Tensor vectors, NnLoader *training,
                 NnLoader *held_out)
{
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAMW);
    options.clip_norm = 0.5;
    NnOptimizerOptions bare = options, slow = options;
    bare.weight_decay = 0;
    slow.lr = 1e-4;
    NnParameterGroup groups[] = {nn_group_where(nn_parameter_is_vector, NULL, bare),
                                 nn_group_of((NnParameter *[]){&m->words.weight}, 1, slow)};
    NnParallel *parallel;
    NnOptimizer *optimizer;
    must(nn_parameter_write(&m->words.weight, vectors));
    must(nn_parallel_new(&parallel, &m->base, &(NnParallelOptions){.shards = 1, .threads = 1}));
    must(nn_optimizer_new_grouped(&optimizer, &m->base, options, groups, 2));
    NnEarlyStopping stopping = nn_early_stopping_new(2, 0);
    NnBatch batch;
    Tape *tape = tape_new();
    bool stop = false, improved;
    for (int epoch = 0, part = 0; epoch < 40 && !stop; epoch++) {
        for (nn_loader_start_epoch(training, epoch); nn_loader_next(training, &batch);) {
            Var loss = reader_loss(m, batch, nn_parallel_begin(parallel));
            must(nn_parallel_end(parallel, var_scale(loss, 1.0 / 4, 0)));
            if (++part % 4 == 0) {
                must(nn_optimizer_step(optimizer, nn_parallel_pieces(parallel)));
                must(nn_module_blend(&mean->base, &m->base, part == 4 ? 1 : 1 - 0.9));
            }
        }
        stop = nn_early_stopping_look(&stopping, held_out_loss(mean, held_out, tape), &improved);
        if (improved)
            must(nn_module_copy(&best->base, &mean->base));
    }
    nn_optimizer_free(optimizer);
    nn_parallel_free(parallel);
    tape_free(tape);
    return stopping.best_look;
}

/* ---- What it is run on ---- */

static void must(ReelStatus status)
{
    if (reel_status_is_ok(&status))
        return;
    fprintf(stderr, "bench: loop: %s\n", status.message);
    exit((int)status.code);
}

enum { TRAINED = 96, HELD_OUT = 64, TEXTS = TRAINED + HELD_OUT, LENGTH = 8, BATCH = 8 };

/* Texts, and for each a class that its first word decides. */
static void add_data(NnLoader *loader, const float *numbers, int first, int count)
{
    static int32_t ids[TEXTS][LENGTH], classes[TEXTS];
    static NnIds texts[TEXTS];
    for (int i = first; i < first + count; i++) {
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = (int32_t)(numbers[LENGTH * i + k] * 200);
        classes[i] = (int32_t)(numbers[LENGTH * i] * 4);
        texts[i] = (NnIds){ids[i], LENGTH};
    }
    nn_loader_add_texts(loader, texts + first, count);
    nn_loader_add(loader, tensor_from(classes + first, TENSOR_I32, TENSOR_SHAPE(count)));
}

ReelStatus bench_check_loop(uint64_t seed, TensorNpzWriter *out)
{
    Reader m, mean, best, *all[] = {&m, &mean, &best};
    NnLoader *training, *held_out;
    Tensor numbers = bench_peers_draw(seed);
    Tensor vectors = tensor_from(tensor_f32(numbers) + TEXTS * LENGTH, TENSOR_F32, TENSOR_SHAPE(200, 32));
    must(nn_loader_new(&training, (NnLoaderOptions){.batch = BATCH}));
    must(nn_loader_new(&held_out, (NnLoaderOptions){.batch = BATCH}));
    add_data(training, tensor_f32(numbers), 0, TRAINED);
    add_data(held_out, tensor_f32(numbers), TRAINED, HELD_OUT);
    for (int i = 0; i < 3; i++) {
        reader_init(all[i]);
        must(nn_module_reset(&all[i]->base, seed));
    }
    tensor_npz_add_tensor(out, "numbers", numbers);
    bench_peers_add_weights(out, &m.base, "");
    int32_t epoch = train(&m, &mean, &best, vectors, training, held_out);
    must(nn_loader_status(training));
    must(nn_loader_status(held_out));
    bench_peers_add_weights(out, &m.base, "last/");
    bench_peers_add_weights(out, &mean.base, "mean/");
    bench_peers_add_weights(out, &best.base, "best/");
    tensor_npz_add_array(out, "epoch", 'i', 4, TENSOR_SHAPE(1), &epoch);
    for (int i = 0; i < 3; i++)
        nn_module_free(&all[i]->base);
    nn_loader_free(training);
    nn_loader_free(held_out);
    return reel_status_ok();
}
