#include "models/text/tokenizer.h"
#include "models/training/trainer.h"
#include "models/training/metrics.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <math.h>
#include <stdlib.h>

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* ---- Small models and batches ---- */

enum { V = 23, K = 3, MOST_TEXTS = 24, MOST_IDS = 24 * 12 };

static const char *const names[] = {"rnn", "lstm", "lstm_matched", "attention", "attention_fed", "stacked"};
enum { MODELS = 6 };

static ModelConfig small(int64_t width)
{
    return (ModelConfig){.vocabulary = V, .labels = K, .embed = width, .hidden = width};
}

typedef struct TestBatch {
    ModelBatch batch;
    int32_t ids[MOST_IDS], label_ids[MOST_TEXTS * K];
    NnIds texts[MOST_TEXTS], labels[MOST_TEXTS];
} TestBatch;

static void make_batch(TestBatch *b, TensorRandom *random, int32_t size, int32_t longest)
{
    int32_t *id = b->ids, *label = b->label_ids;
    for (int32_t i = 0; i < size; i++) {
        b->texts[i] = (NnIds){id, 1 + (int32_t)tensor_random_below(random, (uint32_t)longest)};
        for (int32_t k = 0; k < b->texts[i].count; k++)
            *id++ = (int32_t)(tensor_random_uniform(random) * tensor_random_uniform(random) *
                              V); /* some more often */
        b->labels[i] = (NnIds){.ids = label};
        for (int32_t k = 0; k < K; k++)
            if (tensor_random_below(random, 3) == 0)
                *label++ = k;
        b->labels[i].count = (int32_t)(label - b->labels[i].ids);
    }
    b->batch =
        (ModelBatch){.size = size, .num_ids = (int32_t)(id - b->ids), .texts = b->texts, .labels = b->labels};
}

typedef struct Run {
    Model *model;
    ModelTrainer *trainer;
} Run;

static Run start(const ModelKind *kind, ModelTrainerOptions options, int64_t width)
{
    Run run;
    ck_assert_ok(model_new(&run.model, kind, small(width), 11));
    ck_assert_ok(model_trainer_new(&run.trainer, run.model, &options));
    return run;
}

static void finish(Run *run)
{
    model_trainer_free(run->trainer);
    model_free(run->model);
}

static ModelTrainerOptions with_shards(int shards, int threads)
{
    ModelTrainerOptions options = model_trainer_defaults();
    options.shards = shards;
    options.threads = threads;
    options.schedule = (NnSchedule){.kind = NN_COSINE, .lr = 0.02, .warmup = 5, .total = 40};
    return options;
}

static double step(Run *run, const ModelBatch *batch)
{
    double loss = NAN;
    ck_assert_ok(model_trainer_step(run->trainer, batch, &loss));
    ck_assert(isfinite(loss));
    return loss;
}

/* A number of batches drawn from the seed. Returns the sum of the losses. */
static double train(Run *run, int steps, uint64_t seed)
{
    TensorRandom random = tensor_random_new(seed, 0);
    TestBatch b;
    double sum = 0;
    for (int s = 0; s < steps; s++) {
        make_batch(&b, &random, 1 + (int32_t)tensor_random_below(&random, MOST_TEXTS), 12);
        sum += step(run, &b.batch);
    }
    return sum;
}

static void predict(Run *run, const ModelBatch *batch, float *logits)
{
    ck_assert_ok(model_trainer_predict(run->trainer, batch,
                                       tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(batch->size, K)), NULL));
}

/* One step of SGD moves a layer by its part of the rate. */
START_TEST(layers_have_rates_of_their_own)
{
    ModelTrainerOptions options = model_trainer_defaults();
    options.optimizer = nn_optimizer_options(NN_SGD);
    options.schedule.lr = 1;
    TensorRandom random = tensor_random_new(1, 0);
    TensorArena arena;
    TestBatch b;
    Run runs[4]; /* one that is not trained; one rate; half of it for each layer; a tenth for the embedding */
    tensor_arena_init(&arena, 0);
    make_batch(&b, &random, 8, 6);
    for (int i = 0; i < 4; i++) {
        options.layer_rate = i >= 2 ? 0.5 : 0;
        options.embedding_rate = i == 3 ? 0.1 : 0;
        runs[i] = start(model_zoo_find("stacked"), options, 6);
        if (i > 0)
            step(&runs[i], &b.batch);
    }
    NnParameter *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = nn_first_parameter(&runs[i].model->base);
    while (p[0]) {
        Tensor values[4];
        for (int i = 0; i < 4; i++)
            values[i] = nn_parameter_read(p[i], &arena);
        int depth = model_depth_of(runs[0].model, p[0]);
        double rates[4] = {0, 1, pow(0.5, depth), depth == 3 ? 0.1 : pow(0.5, depth)};
        for (int64_t k = 0; k < tensor_numel(&values[0]); k++) {
            double move = (double)tensor_f32(values[1])[k] - (double)tensor_f32(values[0])[k];
            for (int i = 2; i < 4; i++)
                ck_assert_double_eq_tol((double)tensor_f32(values[i])[k] - (double)tensor_f32(values[0])[k],
                                        rates[i] * move, 1e-6);
        }
        for (int i = 0; i < 4; i++)
            p[i] = nn_next_parameter(&runs[i].model->base, p[i]);
    }
    for (int i = 0; i < 4; i++)
        finish(&runs[i]);
    tensor_arena_free(&arena);
}
END_TEST

/* All parameters as readers see them have the same bytes. */
static bool same_weights(Run *a, Run *b)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    bool same = true;
    NnParameter *p = nn_first_parameter(&a->model->base), *q = nn_first_parameter(&b->model->base);
    for (; p && q; p = nn_next_parameter(&a->model->base, p), q = nn_next_parameter(&b->model->base, q))
        same = same && tensor_equal(tape_parameter_snapshot(&p->core, &arena),
                                    tape_parameter_snapshot(&q->core, &arena));
    tensor_arena_free(&arena);
    return same && !p && !q;
}

static double distance(Run *a, Run *b)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    double largest = 0;
    NnParameter *p = nn_first_parameter(&a->model->base), *q = nn_first_parameter(&b->model->base);
    for (; p && q; p = nn_next_parameter(&a->model->base, p), q = nn_next_parameter(&b->model->base, q))
        largest = fmax(largest, largest_difference(tape_parameter_snapshot(&p->core, &arena),
                                                   tape_parameter_snapshot(&q->core, &arena)));
    tensor_arena_free(&arena);
    return largest;
}

/* ---- A model with dropout, which the zoo has not ---- */

typedef struct Dropping {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnDropout drop;
    NnLinear fc;
} Dropping;

static float masks[16][8];
static int mask_count;

static void dropping_build(Model *model)
{
    Dropping *m = (Dropping *)model;
    NN_ADD(m, embedding, nn_embedding_init, model->config.vocabulary, model->config.embed);
    NN_ADD(m, drop, nn_dropout_init, 0.5);
    NN_ADD(m, fc, nn_linear_init, model->config.embed, model->config.labels);
    model->output = &m->fc;
}

static ModelOutput dropping_forward(Model *model, ModelInput input)
{
    NnSequence text = input.text;
    Dropping *m = (Dropping *)model;
    Tape *tape = text.rows.tape;
    Var ones = tape_constant(tape, tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(8), 1.0));
    memcpy(masks[mask_count++ % 16], var_value(nn_dropout(&m->drop, ones)).data, sizeof masks[0]);
    NnSequence x = nn_dropout_sequence(&m->drop, nn_embedding_sequence(&m->embedding, text));
    return model_output(model, var_segment_sum(x.rows, nn_text_of_row(text), text.packing->texts));
}

static const ModelKind dropping = {.name = "dropping",
                                   .description = "for this test",
                                   .size = sizeof(Dropping),
                                   .defaults = {.embed = 4, .hidden = 4, .layers = 1},
                                   .build = dropping_build,
                                   .forward = dropping_forward};

START_TEST(masks_differ_by_step_and_shard_and_not_by_run)
{
    float first[16][8] = {{0}};
    TestBatch b;
    TensorRandom random = tensor_random_new(1, 0);
    make_batch(&b, &random, 8, 5);
    for (int run_number = 0; run_number < 3; run_number++) {
        ModelTrainerOptions options = with_shards(2, 1);
        options.seed = run_number < 2 ? 5 : 6;
        Run run = start(&dropping, options, 4);
        mask_count = 0;
        for (int s = 0; s < 8; s++)
            step(&run, &b.batch);
        ck_assert_int_eq(mask_count, 16);
        if (run_number == 0)
            memcpy(first, masks, sizeof masks);
        if (run_number == 1)
            ck_assert_mem_eq(first, masks, sizeof masks);
        if (run_number == 2)
            ck_assert_mem_ne(first, masks, sizeof masks);
        finish(&run);
    }
    int same = 0, zeros = 0;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 8; k++) {
            ck_assert(first[i][k] == 0 || first[i][k] == 2);
            zeros += first[i][k] == 0;
            for (int j = 0; k == 0 && j < i; j++)
                same += memcmp(first[i], first[j], sizeof first[i]) == 0;
        }
    ck_assert_int_le(same, 4); /* of 120 pairs of 8 bits: 0.5 are expected */
    ck_assert(zeros > 40 && zeros < 88);
}
END_TEST

START_TEST(predictions_drop_nothing)
{
    Run run = start(&dropping, with_shards(2, 1), 4);
    TestBatch b;
    TensorRandom random = tensor_random_new(1, 0);
    make_batch(&b, &random, 8, 5);
    float one[8 * K], two[8 * K];
    predict(&run, &b.batch, one);
    ck_assert(masks[(mask_count + 15) % 16][3] == 1.0f);
    step(&run, &b.batch);
    predict(&run, &b.batch, one);
    predict(&run, &b.batch, two);
    ck_assert_mem_eq(one, two, sizeof one);
    finish(&run);
}
END_TEST

/* ---- Dropped words: drawn from the seed, the step and the text's place in the batch ---- */

enum { DROP_TEXTS = 8, DROP_WORDS = 12, DROP_STEPS = 6 };

static bool dropped[DROP_STEPS + 1][DROP_TEXTS][DROP_WORDS]; /* the last: of a prediction */
static int drop_step;

/* Text b is <bos>, the same words as the others, b + 1 words more, <eos>. */
static ModelOutput watching_forward(Model *model, ModelInput input)
{
    NnSequence text = input.text;
    const NnPacking *packing = text.packing;
    const int32_t *ids = tensor_i32(var_value(text.rows));
    for (int32_t i = 0; i < packing->texts; i++) {
        int32_t length = packing->length[i], b = length - DROP_WORDS - 3;
        for (int32_t t = 0; t < length; t++) {
            int32_t id = ids[packing->first[t] + packing->place[i]];
            if (t >= 1 && t <= DROP_WORDS)
                dropped[drop_step][b][t - 1] = id == MODEL_TOKEN_UNK;
            ck_assert_int_eq(id, t == 0                  ? MODEL_TOKEN_BOS
                                 : t == length - 1       ? MODEL_TOKEN_EOS
                                 : id == MODEL_TOKEN_UNK ? id
                                                         : 9);
        }
    }
    return dropping_forward(model, input);
}

/* What is dropped in DROP_STEPS updates goes to `found`. */
static void watch_words(uint64_t seed, int shards, double rate,
                        bool found[DROP_STEPS][DROP_TEXTS][DROP_WORDS])
{
    ModelKind kind = dropping;
    ModelTrainerOptions options = with_shards(shards, 1);
    TestBatch b = {.batch = {.size = DROP_TEXTS}};
    float logits[DROP_TEXTS * K];
    int32_t *id = b.ids;
    kind.forward = watching_forward;
    options.seed = seed;
    options.word_dropout = rate;
    for (int i = 0; i < DROP_TEXTS; i++) {
        int32_t length = DROP_WORDS + 3 + i;
        b.texts[i] = (NnIds){id, length};
        for (int32_t t = 0; t < length; t++)
            *id++ = t == 0 ? MODEL_TOKEN_BOS : t == length - 1 ? MODEL_TOKEN_EOS : 9;
    }
    b.batch.num_ids = (int32_t)(id - b.ids);
    b.batch.texts = b.texts;
    b.batch.labels = b.labels;
    Run run = start(&kind, options, 4);
    memset(dropped, 0, sizeof dropped);
    for (drop_step = 0; drop_step < DROP_STEPS; drop_step++)
        step(&run, &b.batch);
    predict(&run, &b.batch, logits);
    for (int i = 0; i < DROP_TEXTS * DROP_WORDS; i++)
        ck_assert(!dropped[DROP_STEPS][i / DROP_WORDS][i % DROP_WORDS]);
    memcpy(found, dropped, sizeof dropped[0] * DROP_STEPS);
    finish(&run);
}

START_TEST(dropped_words_differ_by_seed_step_and_text_and_not_by_shard)
{
    static bool one[DROP_STEPS][DROP_TEXTS][DROP_WORDS], two[DROP_STEPS][DROP_TEXTS][DROP_WORDS];
    int count = 0, same_text = 0, same_step = 0;
    watch_words(5, 1, 0.3, one);
    watch_words(5, 3, 0.3, two);
    ck_assert_mem_eq(one, two, sizeof one);
    watch_words(6, 1, 0.3, two);
    ck_assert_mem_ne(one, two, sizeof one);
    for (int s = 0; s < DROP_STEPS; s++)
        for (int b = 0; b < DROP_TEXTS; b++) {
            for (int w = 0; w < DROP_WORDS; w++)
                count += one[s][b][w];
            same_text += b > 0 && memcmp(one[s][b], one[s][0], sizeof one[s][b]) == 0;
            same_step += s > 0 && memcmp(one[s][b], one[0][b], sizeof one[s][b]) == 0;
        }
    /* Two patterns of twelve words agree once in a thousand times. */
    ck_assert_int_le(same_text, 1);
    ck_assert_int_le(same_step, 1);
    ck_assert(count > 115 && count < 231); /* of 576; 173 are expected, with a deviation of 11 */
    watch_words(5, 1, 0, one);
    for (int i = 0; i < DROP_STEPS * DROP_TEXTS * DROP_WORDS; i++)
        ck_assert(!(&one[0][0][0])[i]);
}
END_TEST

/* ---- Determinism ---- */

START_TEST(bytes_depend_on_the_shards_and_not_on_the_threads)
{
    for (int shards = 1; shards <= 4; shards += 3) {
        Run one = start(model_zoo_find(names[_i]), with_shards(shards, 1), 6),
            two = start(model_zoo_find(names[_i]), with_shards(shards, 2), 6),
            five = start(model_zoo_find(names[_i]), with_shards(shards, 5), 6);
        double loss = train(&one, 12, 1);
        ck_assert(train(&two, 12, 1) == loss && train(&five, 12, 1) == loss);
        ck_assert(same_weights(&one, &two) && same_weights(&one, &five));
        finish(&one);
        finish(&two);
        finish(&five);
    }
}
END_TEST

START_TEST(shards_differ_by_rounding_alone)
{
    Run one = start(model_zoo_find(names[_i]), with_shards(1, 1), 6),
        four = start(model_zoo_find(names[_i]), with_shards(4, 2), 6);
    ck_assert_double_eq_tol(train(&one, 8, 2), train(&four, 8, 2), 1e-4);
    ck_assert_double_lt(distance(&one, &four), 1e-3);
    finish(&one);
    finish(&four);
}
END_TEST

START_TEST(evaluating_changes_no_weight)
{
    Run often = start(model_zoo_find(names[_i]), with_shards(3, 2), 6),
        never = start(model_zoo_find(names[_i]), with_shards(3, 2), 6);
    TestBatch b;
    TensorRandom random = tensor_random_new(4, 0), other = tensor_random_new(5, 0);
    float logits[MOST_TEXTS * K];
    for (int s = 0; s < 15; s++) {
        make_batch(&b, &random, 1 + s, 12);
        ck_assert(step(&often, &b.batch) == step(&never, &b.batch));
        for (int k = 0; k < s % 4; k++) {
            make_batch(&b, &other, 1 + 2 * k, 12);
            predict(&often, &b.batch, logits);
        }
    }
    ck_assert(same_weights(&often, &never));
    finish(&often);
    finish(&never);
}
END_TEST

START_TEST(predictions_are_those_of_a_model_that_was_never_late)
{
    /* What predictions read of waiting rows is what the table holds once the optimizer has gone. */
    Run run = start(model_zoo_find(names[_i]), with_shards(2, 1), 6);
    train(&run, 20, 3);
    TestBatch b;
    TensorRandom random = tensor_random_new(9, 0);
    make_batch(&b, &random, 20, 12);
    float before[20 * K], after[20 * K];
    predict(&run, &b.batch, before);
    model_trainer_free(run.trainer);
    ModelTrainerOptions options = with_shards(1, 1);
    ck_assert_ok(model_trainer_new(&run.trainer, run.model, &options));
    predict(&run, &b.batch, after);
    ck_assert_mem_eq(before, after, sizeof before); /* whatever the shards, too */
    finish(&run);
}
END_TEST

/* ---- Odd batches ---- */

START_TEST(batches_may_be_smaller_than_the_shards)
{
    Run eight = start(model_zoo_find(names[_i]), with_shards(8, 3), 6),
        one = start(model_zoo_find(names[_i]), with_shards(1, 1), 6);
    TestBatch b;
    TensorRandom random = tensor_random_new(7, 0);
    const int32_t sizes[] = {20, 1, 3, 8, 1, 24, 7, 2};
    for (int i = 0; i < 8; i++) {
        make_batch(&b, &random, sizes[i], i % 3 == 1 ? 1 : 12); /* texts of one id as well */
        ck_assert_double_eq_tol(step(&eight, &b.batch), step(&one, &b.batch), 1e-5);
        float x[MOST_TEXTS * K], y[MOST_TEXTS * K];
        predict(&eight, &b.batch, x);
        predict(&one, &b.batch, y);
        for (int k = 0; k < sizes[i] * K; k++)
            ck_assert_float_eq_tol(x[k], y[k], 1e-3f);
    }
    ck_assert_int_eq(nn_optimizer_steps(model_trainer_optimizer(eight.trainer)), 8);
    ck_assert_double_lt(distance(&eight, &one), 1e-3);
    finish(&eight);
    finish(&one);
}
END_TEST

START_TEST(the_loss_falls)
{
    ModelTrainerOptions options = with_shards(2, 2);
    options.schedule = (NnSchedule){.kind = NN_CONSTANT, .lr = 0.02};
    Run run = start(model_zoo_find(names[_i]), options, 8);
    TestBatch b;
    TensorRandom random = tensor_random_new(7, 0);
    make_batch(&b, &random, 16, 8);
    double first = step(&run, &b.batch), last = first;
    for (int s = 0; s < 150; s++)
        last = step(&run, &b.batch);
    ck_assert_msg(last < 0.1 * first, "%s: from %g to %g", names[_i], first, last);
    finish(&run);
}
END_TEST

/* The loss of a step against that of the logits before it, where a label's true decisions have a weight, and
 * all of its decisions have one. */
static void check_weighted_loss(ModelTrainerOptions options, const float *of_true, const float *of_all)
{
    Run run = start(model_zoo_find("rnn"), options, 4);
    TestBatch b;
    TensorRandom random = tensor_random_new(7, 0);
    make_batch(&b, &random, 9, 5);
    float logits[9 * K];
    predict(&run, &b.batch, logits);
    double expected = 0;
    for (int i = 0; i < 9 * K; i++) {
        int32_t seen = 0;
        double p = 1 / (1 + exp(-logits[i])), t = model_metrics_bears(b.labels[i / K], i % K, &seen);
        expected -= of_all[i % K] * (of_true[i % K] * t * log(p) + (1 - t) * log(1 - p));
    }
    ck_assert_double_eq_tol(step(&run, &b.batch), expected / (9 * K), 1e-6);
    finish(&run);
}

START_TEST(positive_labels_can_weigh_more)
{
    float weights[K] = {1, 2, 5};
    ModelTrainerOptions options = with_shards(2, 1);
    options.pos_weight = tensor_from(weights, TENSOR_F32, TENSOR_SHAPE(K));
    check_weighted_loss(options, weights, (float[K]){1, 1, 1});
}
END_TEST

/* A label that weighs 0 does not matter; one that weighs 2 is as two. */
START_TEST(labels_can_weigh_more)
{
    float weights[K] = {0, 1, 2};
    ModelTrainerOptions options = with_shards(2, 1);
    options.weight = tensor_from(weights, TENSOR_F32, TENSOR_SHAPE(K));
    check_weighted_loss(options, (float[K]){1, 1, 1}, weights);
}
END_TEST

/* The gradient's, not that of the loss that is told. */
START_TEST(the_sum_over_labels_has_a_scale)
{
    ModelTrainerOptions mean = with_shards(2, 1), sum = mean;
    mean.optimizer = sum.optimizer = nn_optimizer_options(NN_SGD);
    mean.schedule = sum.schedule = (NnSchedule){.kind = NN_CONSTANT, .lr = 0.5};
    sum.labels = 2 * K;
    sum.schedule.lr = 1;
    Run a = start(model_zoo_find("rnn"), mean, 4), b = start(model_zoo_find("rnn"), sum, 4);
    TestBatch batch;
    TensorRandom random = tensor_random_new(7, 0);
    make_batch(&batch, &random, 9, 5);
    for (int i = 0; i < 3; i++)
        ck_assert(step(&a, &batch.batch) == step(&b, &batch.batch));
    finish(&a);
    finish(&b);
}
END_TEST

START_TEST(a_frozen_part_is_not_trained)
{
    Run run = start(model_zoo_find("attention"), with_shards(2, 1), 6),
        before = start(model_zoo_find("attention"), with_shards(2, 1), 6);
    for (const NnPart *part = run.model->base.parts; part; part = part->next)
        if (strcmp(part->name, "embedding") == 0 || strcmp(part->name, "lstm") == 0)
            nn_module_freeze(part->module, true);
    train(&run, 5, 3);
    NnIterator x = nn_iterate(&run.model->base), y = nn_iterate(&before.model->base);
    while (nn_next(&x) && nn_next(&y)) {
        bool frozen = strncmp(x.named.name, "embedding", 9) == 0 || strncmp(x.named.name, "lstm", 4) == 0;
        ck_assert_int_eq(tensor_equal(nn_named_view(&x.named), nn_named_view(&y.named)), frozen);
    }
    finish(&run);
    finish(&before);
}
END_TEST

/* ---- Memory ---- */

START_TEST(a_steady_step_asks_for_no_memory)
{
    ModelTrainerOptions options = with_shards(2, 2);
    options.optimizer.clip_norm = 1;
    Run run = start(model_zoo_find(names[_i]), options, 8);
    TestBatch b;
    TensorRandom random = tensor_random_new(7, 0);
    float logits[MOST_TEXTS * K];
    for (int s = 0; s < 3; s++) { /* the largest batch that there will be */
        make_batch(&b, &random, MOST_TEXTS, 1);
        for (int i = 0; i < MOST_TEXTS; i++)
            b.texts[i] = (NnIds){b.ids + 12 * (size_t)i, 12};
        for (int i = 0; i < MOST_IDS; i++)
            b.ids[i] = i % V;
        b.batch.num_ids = MOST_IDS;
        step(&run, &b.batch);
        predict(&run, &b.batch, logits);
    }
    uint64_t calls = 0;
    for (int s = 0; s < 100; s++) {
        if (s == 30) /* a batch of texts of all lengths has more nodes than one of equal ones */
            calls = reel_mem_stats().calls;
        make_batch(&b, &random, 1 + (int32_t)tensor_random_below(&random, MOST_TEXTS), 12);
        step(&run, &b.batch);
        if (s % 7 == 0)
            predict(&run, &b.batch, logits);
    }
    ck_assert_uint_eq(reel_mem_stats().calls - calls, 0);
    finish(&run);
}
END_TEST

/* A whole small life. The status of what failed first. */
static ReelStatus live(const ModelKind *kind, const ModelTrainerOptions *options, bool *finished)
{
    Model *model;
    ModelTrainer *trainer = NULL;
    TestBatch b;
    TensorRandom random = tensor_random_new(3, 0);
    float logits[MOST_TEXTS * K];
    double loss = 0;
    *finished = false;
    ReelStatus status = model_new(&model, kind, small(4), 1);
    if (reel_status_is_ok(&status))
        status = model_trainer_new(&trainer, model, options);
    for (int s = 0; s < 2 && reel_status_is_ok(&status); s++) {
        make_batch(&b, &random, 5 + s, 6);
        status = model_trainer_step(trainer, &b.batch, &loss);
    }
    if (reel_status_is_ok(&status))
        status = model_trainer_predict(trainer, &b.batch, tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(6, K)),
                                       NULL);
    if (reel_status_is_ok(&status)) {
        *finished = true;
        ck_assert(isfinite(loss));
        for (int i = 0; i < 6 * K; i++)
            ck_assert(isfinite(logits[i]));
    }
    model_trainer_free(trainer);
    model_free(model);
    return status;
}

START_TEST(an_allocation_that_fails_is_an_error)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        ModelTrainerOptions options = with_shards(2, _i % 2 + 1);
        options.optimizer.clip_norm = 1;
        bool finished;
        uint64_t before = reel_mem_stats().calls;
        ck_assert_ok(live(model_zoo_find(names[_i]), &options, &finished));
        int64_t all = (int64_t)(reel_mem_stats().calls - before), survived = 0;
        ck_assert_int_gt(all, 20);
        for (int64_t n = 0; n < all; n++) {
            reel_mem_fail_at(n, persistent);
            ReelStatus status = live(model_zoo_find(names[_i]), &options, &finished);
            reel_mem_fail_at(-1, 0);
            ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
            survived += finished;
            if (!finished)
                ck_assert_msg(strstr(status.message, "memory") != NULL, "call %lld of %lld: '%s'",
                              (long long)n, (long long)all, status.message);
        }
        /* Packed weights, and the scratch of products with them, have a plan B. */
        ck_assert_msg(survived <= all / 3, "%s: %lld of %lld failures did not matter", names[_i],
                      (long long)survived, (long long)all);
    }
}
END_TEST

/* ---- Errors ---- */

START_TEST(options_out_of_range_are_errors)
{
    Model *model;
    ModelTrainer *trainer;
    ck_assert_ok(model_new(&model, model_zoo_find("rnn"), small(4), 0));
    ModelTrainerOptions options = with_shards(0, 1);
    ck_assert_failed(model_trainer_new(&trainer, model, &options), REEL_STATUS_USAGE, "shard");
    options = with_shards(1, 0);
    ck_assert_failed(model_trainer_new(&trainer, model, &options), REEL_STATUS_USAGE, "thread");
    options = with_shards(-1, -1);
    ck_assert_failed(model_trainer_new(&trainer, model, &options), REEL_STATUS_USAGE, "shard");
    options = with_shards(1, 1);
    options.optimizer.beta2 = 1;
    ck_assert_failed(model_trainer_new(&trainer, model, &options), REEL_STATUS_USAGE, "beta");
    ck_assert_ptr_null(trainer);
    model_trainer_free(NULL);
    model_free(model);
    model_free(NULL);
}
END_TEST

START_TEST(a_batch_that_cannot_be_read_changes_nothing)
{
    Run run = start(model_zoo_find(names[_i]), with_shards(3, 2), 5),
        other = start(model_zoo_find(names[_i]), with_shards(3, 2), 5);
    train(&run, 3, 1);
    train(&other, 3, 1);
    TestBatch b;
    TensorRandom random = tensor_random_new(2, 0);
    double loss;
    make_batch(&b, &random, 9, 6);
    int32_t *first = &b.ids[b.texts[4].ids - b.ids];
    *first = V;
    ck_assert_failed(model_trainer_step(run.trainer, &b.batch, &loss), REEL_STATUS_FAILED, "embedding");
    ck_assert_failed(model_trainer_step(run.trainer, &b.batch, &loss), REEL_STATUS_FAILED, "id 23");
    float logits[9 * K];
    Tensor out = tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(9, K));
    ck_assert_failed(model_trainer_predict(run.trainer, &b.batch, out, NULL), REEL_STATUS_FAILED, "id 23");
    *first = 0;
    b.texts[8].count = 0;
    ck_assert_failed(model_trainer_step(run.trainer, &b.batch, &loss), REEL_STATUS_FAILED, "no tokens");
    make_batch(&b, &random, 9, 6);
    ModelBatch wrong = b.batch;
    wrong.size = 0;
    ck_assert_failed(model_trainer_step(run.trainer, &wrong, &loss), REEL_STATUS_FAILED, "at least one text");
    wrong = b.batch;
    for (int32_t label = -1; label <= K; label += K + 1) {
        b.labels[7] = (NnIds){&label, 1};
        ck_assert_failed(model_trainer_step(run.trainer, &wrong, &loss), REEL_STATUS_FAILED,
                         "text 7 has label");
    }
    wrong.labels = NULL;
    ck_assert_failed(model_trainer_step(run.trainer, &wrong, &loss), REEL_STATUS_FAILED, "no labels");
    ck_assert_failed(model_trainer_predict(run.trainer, &b.batch,
                                           tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(8, K)), NULL),
                     REEL_STATUS_FAILED, "logits");
    ck_assert_int_eq(nn_optimizer_steps(model_trainer_optimizer(run.trainer)), 3);
    ck_assert(same_weights(&run, &other));
    ck_assert(train(&run, 3, 8) == train(&other, 3, 8));
    ck_assert(same_weights(&run, &other));
    finish(&run);
    finish(&other);
}
END_TEST

START_TEST(the_first_value_that_is_not_finite_is_named)
{
    ModelTrainerOptions options = with_shards(2, 1);
    options.check_finite = true;
    Run run = start(model_zoo_find("attention"), options, 5);
    TestBatch b;
    TensorRandom random = tensor_random_new(2, 0);
    make_batch(&b, &random, 6, 6);
    step(&run, &b.batch);
    NnNamed named;
    ck_assert(nn_find(&run.model->base, "W_c.weight", &named));
    tensor_fill(nn_named_view(&named), NAN);
    tape_parameter_changed(&named.parameter->core);
    double loss;
    ck_assert_failed(model_trainer_step(run.trainer, &b.batch, &loss), REEL_STATUS_FAILED, "W_c");
    ck_assert_failed(model_trainer_step(run.trainer, &b.batch, &loss), REEL_STATUS_FAILED, "linear");
    finish(&run);
}
END_TEST

/* Also where the op stands in the model itself and not in a part of it: the model is named then. */
START_TEST(a_value_that_is_not_finite_has_a_place_in_every_model)
{
    const ModelKind *kind = model_zoo_kind(_i);
    ModelTrainerOptions options = with_shards(1, 1);
    options.check_finite = true;
    TestBatch b;
    TensorRandom random = tensor_random_new(2, 0);
    make_batch(&b, &random, 6, 6);
    Run first = start(kind, options, 5);
    int parameters = 0, failures = 0;
    for (NnIterator it = nn_iterate(&first.model->base); nn_next(&it);)
        parameters++;
    finish(&first);
    for (int i = 0; i < parameters; i++) {
        Run run = start(kind, options, 5);
        NnIterator it = nn_iterate(&run.model->base);
        for (int k = 0; k <= i; k++)
            ck_assert(nn_next(&it));
        tensor_fill(nn_named_view(&it.named), INFINITY);
        tape_parameter_changed(&it.named.parameter->core);
        double loss;
        ReelStatus status = model_trainer_step(run.trainer, &b.batch, &loss);
        const char *place = strstr(status.message, "made a NaN or an infinity (in ");
        if (!reel_status_is_ok(&status)) /* behind a tanh infinity may be lost */
            ck_assert_msg(place && strstr(place, kind->name), "%s: %s", it.named.name, status.message);
        failures += !reel_status_is_ok(&status);
        finish(&run);
    }
    ck_assert_int_gt(failures, 1);
}
END_TEST

Suite *models_trainer_suite(void);
Suite *models_trainer_suite(void)
{
    Suite *suite = suite_create("models/trainer");
    TCase *c = tcase_create("trainer");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, layers_have_rates_of_their_own);
    tcase_add_test(c, masks_differ_by_step_and_shard_and_not_by_run);
    tcase_add_test(c, predictions_drop_nothing);
    tcase_add_test(c, dropped_words_differ_by_seed_step_and_text_and_not_by_shard);
    tcase_add_loop_test(c, bytes_depend_on_the_shards_and_not_on_the_threads, 0, MODELS);
    tcase_add_loop_test(c, shards_differ_by_rounding_alone, 0, MODELS);
    tcase_add_loop_test(c, evaluating_changes_no_weight, 0, MODELS);
    tcase_add_loop_test(c, predictions_are_those_of_a_model_that_was_never_late, 0, MODELS);
    tcase_add_loop_test(c, batches_may_be_smaller_than_the_shards, 0, MODELS);
    tcase_add_loop_test(c, the_loss_falls, 0, MODELS);
    tcase_add_test(c, positive_labels_can_weigh_more);
    tcase_add_test(c, labels_can_weigh_more);
    tcase_add_test(c, the_sum_over_labels_has_a_scale);
    tcase_add_test(c, a_frozen_part_is_not_trained);
    tcase_add_loop_test(c, a_steady_step_asks_for_no_memory, 0, MODELS);
    tcase_add_loop_test(c, an_allocation_that_fails_is_an_error, 0, MODELS);
    tcase_add_test(c, options_out_of_range_are_errors);
    tcase_add_loop_test(c, a_batch_that_cannot_be_read_changes_nothing, 0, MODELS);
    tcase_add_test(c, the_first_value_that_is_not_finite_is_named);
    tcase_add_loop_test(c, a_value_that_is_not_finite_has_a_place_in_every_model, 0, model_zoo_count());
    suite_add_tcase(suite, c);
    return suite;
}
