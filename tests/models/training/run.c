/* Training runs on real texts (120 package descriptions), with models small enough for a test. */
#include "models/training/predictions_internal.h"
#include "models/training/run.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <math.h>
#include <stdio.h>

static ModelDataset *dataset;

static void setup(void)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.max_len = 12;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static const char *const names[] = {"rnn", "lstm", "lstm_matched", "attention", "attention_fed", "stacked"};
enum { MODELS = 6, TRAIN = 96, K = 47 };

static ModelRunOptions small_run(int epochs)
{
    ModelRunOptions options = model_run_defaults();
    options.epochs = epochs;
    options.batch = 20; /* five batches an epoch, the last of 16 */
    options.config.embed = 8;
    options.config.hidden = 6;
    options.trainer.shards = 2;
    options.trainer.threads = 1;
    options.trainer.schedule.lr = 0.01;
    return options;
}

static ModelRunResult run(const char *name, const ModelRunOptions *options, const ModelRunWatcher *watcher,
                          Model **model)
{
    ModelRunResult result;
    ck_assert_ok(model_run_model(&result, model, model_zoo_find(name), dataset, options, watcher));
    return result;
}

static void check_same(const ModelRunResult *a, const ModelRunResult *b)
{
    ck_assert_int_eq(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        ck_assert(a->epochs[i].train_loss == b->epochs[i].train_loss);
        ck_assert(a->epochs[i].test_f1 == b->epochs[i].test_f1);
        ck_assert(a->epochs[i].test_micro_f1 == b->epochs[i].test_micro_f1);
    }
    ck_assert(a->best_f1 == b->best_f1 && a->best_epoch == b->best_epoch);
}

START_TEST(defaults_are_the_homeworks)
{
    ModelRunOptions options = model_run_defaults();
    ck_assert_int_eq(options.epochs, 50);
    ck_assert_int_eq(options.batch, 64);
    ck_assert_double_eq(options.trainer.schedule.lr, 2e-3);
    ck_assert_int_eq(options.trainer.optimizer.kind, NN_ADAM);
    ck_assert(options.log_odds_bias && !options.notebook && options.seed == 0);
    ck_assert(options.trainer.shards >= 1 && options.trainer.threads >= 1);
}
END_TEST

START_TEST(every_model_trains)
{
    ModelRunOptions options = small_run(4);
    Model *model;
    ModelRunResult result = run(names[_i], &options, NULL, &model);
    ck_assert_str_eq(result.name, names[_i]);
    ck_assert_int_eq(result.count, 4);
    ck_assert(!result.interrupted);
    ck_assert_int_eq(result.params, model_count(model));
    ck_assert_int_eq(result.params_without_embedding, result.params - 8 * dataset->text.tokenizer.vocab_size);
    ck_assert_int_eq(model->config.labels, K);
    double best = -1;
    int best_epoch = 0;
    for (int i = 0; i < 4; i++) {
        const ModelRunEpoch *e = &result.epochs[i];
        ck_assert_int_eq(e->epoch, i + 1);
        ck_assert(isfinite(e->train_loss) && e->train_loss > 0 && e->test_f1 >= 0 && e->test_f1 <= 1 &&
                  e->test_micro_f1 >= 0);
        if (e->test_f1 > best) { /* the first of equals */
            best = e->test_f1;
            best_epoch = i + 1;
        }
    }
    ck_assert(result.best_f1 == best && result.best_epoch == best_epoch);
    ck_assert(result.epochs[3].train_loss < result.epochs[0].train_loss);
    ck_assert(result.epochs[0].train_loss < 0.5); /* 0.693 without the log-odds bias */
    ck_assert(model_metrics_macro(&result.metrics).f1 == result.epochs[3].test_f1);
    model_run_result_free(&result);
    model_free(model);
}
END_TEST

START_TEST(results_depend_on_seed_and_shards_alone)
{
    ModelRunOptions options = small_run(2);
    ModelRunResult first = run(names[_i], &options, NULL, NULL), again = run(names[_i], &options, NULL, NULL);
    check_same(&first, &again);
    model_run_result_free(&again);
    options.trainer.threads = 3;
    again = run(names[_i], &options, NULL, NULL);
    check_same(&first, &again);
    model_run_result_free(&again);
    options.seed = 1;
    again = run(names[_i], &options, NULL, NULL);
    ck_assert(first.epochs[0].train_loss != again.epochs[0].train_loss);
    model_run_result_free(&again);
    model_run_result_free(&first);
}
END_TEST

/* The mean of the losses of all decisions about the training part, by PyTorch's formula. */
static double mean_loss(Model *model)
{
    const ModelDatasetPart *part = &dataset->train;
    TensorArena arena;
    ModelTrainer *trainer;
    ModelTrainerOptions options = model_trainer_defaults();
    tensor_arena_init(&arena, 0);
    ck_assert_ok(model_trainer_new(&trainer, model, &options));
    ModelPredictions predictions = {0};
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    ck_assert_ok(model_predict_part(&predictions, model_trainer_shares(trainer), part,
                                    &(ModelLoaderOptions){.batch = 7}, false, NULL));
    double sum = 0;
    for (int64_t i = 0; i < part->count * K; i++) {
        int32_t seen = 0;
        double x = (double)predictions.logits[i], t = model_metrics_bears(truth[i / K], i % K, &seen);
        sum += fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
    }
    model_trainer_free(trainer);
    model_predictions_free(&predictions);
    tensor_arena_free(&arena);
    return sum / (double)(part->count * K);
}

static void note_loss(void *context, const ModelRunProgress *progress)
{
    if (!progress->finished)
        *(double *)context = progress->loss;
}

/* A model that stands still has one loss, whatever the batches and shards: the last batch, which is smaller,
 * counts by its texts. */
START_TEST(the_loss_that_is_shown_is_the_mean_of_all_decisions)
{
    for (int shards = 1; shards <= 3; shards++) {
        ModelRunOptions options = small_run(2);
        double shown = NAN;
        Model *model;
        options.trainer.shards = shards;
        options.trainer.schedule.lr = 0;
        options.batch = 50 - 9 * shards;
        ModelRunResult result =
            run("rnn", &options, &(ModelRunWatcher){.progress = note_loss, .context = &shown}, &model);
        double wanted = mean_loss(model);
        ck_assert(wanted > 0.05 && wanted < 0.5);
        for (int e = 0; e < 2; e++)
            ck_assert_double_eq_tol(result.epochs[e].train_loss, wanted, 1e-6);
        ck_assert_double_eq_tol(shown, wanted, 1e-6);
        model_run_result_free(&result);
        model_free(model);
    }
}
END_TEST

typedef struct TimeLeft {
    double first, second, last, taken;
} TimeLeft;

static void note_time(void *context, const ModelRunProgress *progress)
{
    TimeLeft *time = context;
    if (progress->finished)
        return;
    if (progress->batch == 1)
        time->first = progress->seconds_left;
    if (progress->batch == 2)
        time->second = progress->seconds_left;
    time->last = progress->seconds_left;
    time->taken = progress->seconds;
}

START_TEST(the_time_left_runs_out_with_the_batches)
{
    ModelRunOptions options = small_run(1);
    TimeLeft time = {0};
    options.batch = 2;
    ModelRunResult result =
        run("rnn", &options, &(ModelRunWatcher){.progress = note_time, .context = &time}, NULL);
    ck_assert(time.first < 0); /* the first batch pays for what came before it: no measure */
    ck_assert(time.second > 0);
    ck_assert(time.last >= 0 && time.last < 0.5 * time.taken);
    model_run_result_free(&result);
}
END_TEST

static int64_t counts_sum(const ModelMetrics *m, int which)
{
    int64_t sum = 0;
    for (int32_t k = 0; k < m->num_labels; k++)
        sum += (k + 1) * (which == 0   ? m->labels[k].hits
                          : which == 1 ? m->labels[k].predicted
                                       : m->labels[k].support);
    return sum;
}

START_TEST(the_model_that_is_left_is_the_one_that_was_measured)
{
    ModelRunOptions options = small_run(15);
    options.trainer.schedule.lr = 0.03;
    Model *model;
    ModelRunResult result = run(names[_i], &options, NULL, &model);
    ModelTrainerOptions other = model_trainer_defaults();
    ModelTrainer *trainer;
    ModelMetrics metrics;
    ModelPredictions predictions = {0}, of_train = {0};
    ck_assert_ok(model_trainer_new(&trainer, model, &other));
    ck_assert_ok(model_metrics_init(&metrics, K));
    for (int batch = 1; batch < 40; batch += 19) { /* whatever the batches are */
        ck_assert_ok(model_predict_part(
            &predictions, model_trainer_shares(trainer), &dataset->test,
            &(ModelLoaderOptions){.batch = batch, .most_ids = 10 * batch, .by_length = batch > 1}, false,
            &metrics));
        ck_assert_mem_eq(predictions.logits, result.test.logits,
                         (size_t)(dataset->test.count * K) * sizeof(float));
        ck_assert_int_eq(metrics.examples, dataset->test.count);
        for (int which = 0; which < 3; which++)
            ck_assert_int_eq(counts_sum(&metrics, which), counts_sum(&result.metrics, which));
    }
    ck_assert_int_gt(counts_sum(&metrics, 2), 0);
    /* Trained long enough to predict something. */
    ck_assert_ok(model_predict_part(&of_train, model_trainer_shares(trainer), &dataset->train,
                                    &(ModelLoaderOptions){.batch = 10}, false, &metrics));
    ck_assert_int_gt(counts_sum(&metrics, 0), 0);
    model_metrics_free(&metrics);
    model_predictions_free(&predictions);
    model_predictions_free(&of_train);
    model_trainer_free(trainer);
    model_run_result_free(&result);
    model_free(model);
}
END_TEST

START_TEST(the_notebooks_way_pads_and_starts_without_log_odds)
{
    ModelRunOptions options = small_run(1);
    options.notebook = true;
    ModelRunResult notebook = run(names[_i], &options, NULL, NULL);
    options.notebook = false;
    options.log_odds_bias = false;
    ModelRunResult plain = run(names[_i], &options, NULL, NULL);
    options.log_odds_bias = true;
    ModelRunResult log_odds = run(names[_i], &options, NULL, NULL);
    ck_assert(notebook.epochs[0].train_loss > 0.4 && plain.epochs[0].train_loss > 0.4);
    ck_assert(log_odds.epochs[0].train_loss < 0.4);
    ck_assert(notebook.epochs[0].train_loss != plain.epochs[0].train_loss);
    model_run_result_free(&notebook);
    model_run_result_free(&plain);
    model_run_result_free(&log_odds);
}
END_TEST

/* ---- Watching ---- */

typedef struct Watch {
    int batches, epochs, stop_after; /* batches; 0: never */
    int64_t tokens;
} Watch;

static void watch(void *context, const ModelRunProgress *p)
{
    Watch *w = context;
    ck_assert_str_eq(p->model, "rnn");
    ck_assert_int_eq(p->batches, 5);
    if (p->finished) {
        w->epochs++;
        ck_assert_int_eq(p->finished->epoch, w->epochs);
        ck_assert_int_eq(p->batch, 5);
        w->tokens = 0;
        return;
    }
    ck_assert_int_eq(p->epoch, w->batches / 5 + 1);
    ck_assert_int_eq(p->batch, w->batches % 5 + 1);
    ck_assert(p->tokens > w->tokens && isfinite(p->loss));
    ck_assert((p->seconds_left >= 0) == (w->batches > 0));
    w->tokens = p->tokens;
    w->batches++;
}

static bool stop(void *context)
{
    const Watch *w = context;
    return w->stop_after && w->batches >= w->stop_after;
}

static ModelRunResult watched(int epochs, int stop_after, Watch *w)
{
    *w = (Watch){.stop_after = stop_after};
    ModelRunWatcher watcher = {.context = w, .progress = watch, .stop = stop};
    ModelRunOptions options = small_run(epochs);
    return run("rnn", &options, &watcher, NULL);
}

START_TEST(a_watcher_sees_every_batch_and_changes_nothing)
{
    Watch w;
    ModelRunResult seen = watched(3, 0, &w);
    ck_assert_int_eq(w.batches, 15);
    ck_assert_int_eq(w.epochs, 3);
    ModelRunOptions options = small_run(3);
    ModelRunResult unseen = run("rnn", &options, NULL, NULL);
    check_same(&seen, &unseen);
    model_run_result_free(&seen);
    model_run_result_free(&unseen);
}
END_TEST

START_TEST(a_run_that_is_stopped_ends_in_good_order)
{
    static const struct {
        int after, finished;
        bool interrupted;
    } cases[] = {{1, 0, true}, {5, 1, true}, {7, 1, true}, {10, 2, true}, {15, 3, false}, {14, 2, true}};
    Watch w;
    ModelRunResult whole = watched(3, 0, &w);
    for (int i = 0; i < 6; i++) {
        ModelRunResult result = watched(3, cases[i].after, &w);
        ck_assert_int_eq(w.batches, cases[i].after);
        ck_assert_int_eq(result.count, cases[i].finished);
        ck_assert_int_eq(result.interrupted, cases[i].interrupted);
        for (int e = 0; e < result.count; e++)
            ck_assert(result.epochs[e].train_loss == whole.epochs[e].train_loss);
        ck_assert_int_eq(result.best_epoch == 0, result.count == 0);
        model_run_result_free(&result);
    }
    model_run_result_free(&whole);
}
END_TEST

START_TEST(without_a_test_part_the_last_epoch_is_kept)
{
    ModelDatasetOptions all = model_dataset_defaults();
    ModelDataset *small = dataset;
    all.test_size = 0;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &all));
    ck_assert_int_eq(dataset->train.count, small->train.count + small->test.count);
    NnSnapshot kept;
    nn_snapshot_init(&kept);
    ModelRunOptions options = small_run(3);
    options.files.kept = &kept;
    Model *model;
    ModelRunResult result = run("lstm", &options, NULL, &model);
    ck_assert_int_eq(result.best_epoch, 3);
    ck_assert(isnan(result.best_f1) && isnan(result.last_micro_f1) && isnan(result.last_accuracy));
    ReelBytes bytes = {0};
    TensorNpz *npz;
    ck_assert_ok(nn_snapshot_write_memory(&kept, &bytes, (TensorNpzOptions){0}));
    ck_assert_ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "memory"));
    NnNamed named;
    TensorArena arena = {0};
    Tensor last;
    ck_assert(nn_find(&model->base, "fc.weight", &named));
    ck_assert_ok(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "fc.weight"), &arena, &last));
    Tensor view = nn_named_view(&named);
    ck_assert_mem_eq(tensor_f32(last), tensor_f32(view), (size_t)tensor_numel(&view) * sizeof(float));
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    reel_bytes_free(&bytes);
    nn_snapshot_free(&kept);
    model_free(model);
    model_run_result_free(&result);
    model_dataset_free(dataset);
    dataset = small;
}
END_TEST

START_TEST(no_epochs_leave_a_new_model)
{
    ModelRunOptions options = small_run(0);
    Model *model;
    ModelRunResult result = run("lstm", &options, NULL, &model);
    ck_assert_int_eq(result.count, 0);
    ck_assert_int_eq(result.best_epoch, 0);
    ck_assert_ptr_nonnull(model);
    model_run_result_free(&result);
    model_free(model);
}
END_TEST

/* ---- Errors ---- */

static void check_failure(ModelRunOptions options, ReelStatusCode code, const char *part)
{
    ModelRunResult result;
    Model *model = (Model *)&result; /* must be taken back */
    ck_assert_failed(model_run_model(&result, &model, model_zoo_find("attention"), dataset, &options, NULL),
                     code, part);
    ck_assert_ptr_null(model);
    ck_assert_ptr_null(result.epochs);
    model_run_result_free(&result);
}

START_TEST(options_out_of_range_are_errors)
{
    ModelRunOptions options = small_run(-1);
    check_failure(options, REEL_STATUS_USAGE, "epochs");
    options = small_run(1);
    options.batch = 0;
    check_failure(options, REEL_STATUS_USAGE, "batches");
    options = small_run(1);
    options.config.hidden = -2;
    check_failure(options, REEL_STATUS_FAILED, "at least 1");
    options = small_run(1);
    options.trainer.shards = 0;
    check_failure(options, REEL_STATUS_USAGE, "shard");
    options = small_run(1);
    options.trainer.optimizer.beta1 = 1;
    check_failure(options, REEL_STATUS_USAGE, "beta1");
}
END_TEST

START_TEST(a_loss_that_is_no_number_ends_the_run)
{
    ModelRunOptions options = small_run(5);
    options.trainer.optimizer = nn_optimizer_options(NN_SGD);
    options.trainer.schedule.lr = 1e300; /* infinite in f32 */
    check_failure(options, REEL_STATUS_FAILED, "attention: the loss is not a number in epoch 1");
    options.trainer.check_finite = true;
    check_failure(options, REEL_STATUS_FAILED, "NaN or an infinity");
}
END_TEST

typedef struct Again {
    int times;
    double rate;
    char why[200]; /* the first time */
} Again;

static void note_again(void *context, const ModelRunProgress *progress)
{
    Again *again = context;
    if (!progress->again)
        return;
    again->times++;
    again->rate = progress->rate;
    if (again->times == 1)
        snprintf(again->why, sizeof again->why, "%s", progress->again);
}

/* The recommended model, with so much of its rate. */
static ModelRunOptions steep_run(double rate)
{
    ModelRunOptions options = small_run(12);
    options.config = (ModelConfig){.embed_dropout = -1, .dropout = -1};
    options.trainer.optimizer = nn_optimizer_options(NN_SGD);
    options.trainer.schedule.lr = rate;
    return options;
}

static void same_weights(Model *a, Model *b)
{
    NnParameter *q = nn_first_parameter(&b->base);
    for (NnParameter *p = nn_first_parameter(&a->base); p;
         p = nn_next_parameter(&a->base, p), q = nn_next_parameter(&b->base, q))
        ck_assert_mem_eq(p->core.value.data, q->core.value.data,
                         (size_t)tensor_numel(&p->core.value) * sizeof(float));
}

/* With the first rate the loss is soon infinite, with the second it grows and comes to rest. Then the run is
 * one that was begun with the lower rate. */
START_TEST(a_loss_that_grows_is_begun_again_with_a_lower_rate)
{
    static const double rates[] = {1920, 240};
    static const char *const whys[] = {"wide: the loss is not a number in epoch", "wide: the loss grew to"};
    ModelRunOptions options = steep_run(rates[_i]);
    Again again = {0};
    ModelRunWatcher watcher = {.context = &again, .progress = note_again};
    Model *model, *other;
    ModelRunResult result = run("wide", &options, &watcher, &model);
    ck_assert_int_ge(again.times, 1);
    ck_assert(result.rate == again.rate && result.rate == pow(0.5, again.times));
    ck_assert_int_eq(result.count, 12);
    ck_assert(result.epochs[11].train_loss < result.epochs[0].train_loss);
    ck_assert_msg(strstr(again.why, whys[_i]) != NULL, "%s", again.why);
    options = steep_run(rates[_i] * result.rate);
    ModelRunResult low = run("wide", &options, NULL, &other);
    ck_assert(low.rate == 1);
    check_same(&result, &low);
    same_weights(model, other);
    model_run_result_free(&result);
    model_run_result_free(&low);
    model_free(model);
    model_free(other);
}
END_TEST

/* After the last update there is no loss that would tell. */
START_TEST(a_last_update_that_left_no_numbers_ends_the_run)
{
    ModelRunOptions options = small_run(1);
    options.batch = TRAIN;
    options.trainer.optimizer = nn_optimizer_options(NN_SGD);
    options.trainer.schedule.lr = 1e300;
    check_failure(options, REEL_STATUS_FAILED, "attention: after epoch 1: the logits are not numbers");
}
END_TEST

/* The bag, whose row for padding, which no text has, is spoilt while training. */
static ModelOutput spoil_padding(Model *model, ModelInput input)
{
    NnParameter *first = nn_first_parameter(&model->base);
    if (model->base.training)
        tensor_set(&first->core.value, (int64_t[]){0, 0}, NAN);
    return model_zoo_find("bag")->forward(model, input);
}

START_TEST(a_weight_that_is_no_number_at_the_end_is_an_error)
{
    ModelRunOptions options = small_run(2);
    ModelKind kind = *model_zoo_find("bag");
    kind.forward = spoil_padding;
    options.trainer.shards = 1;
    ModelRunResult result;
    ck_assert_failed(model_run_model(&result, NULL, &kind, dataset, &options, NULL), REEL_STATUS_FAILED,
                     "bag: the last update left values in embedding.weight that are not numbers");
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    ModelRunOptions options = small_run(1);
    options.config.embed = options.config.hidden = 3;
    uint64_t before = reel_mem_stats().calls;
    ModelRunResult result = run(names[_i], &options, NULL, NULL);
    model_run_result_free(&result);
    int64_t all = (int64_t)(reel_mem_stats().calls - before), live = reel_mem_stats().live_blocks;
    for (int64_t n = 0; n < all; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status =
            model_run_model(&result, NULL, model_zoo_find(names[_i]), dataset, &options, NULL);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            model_run_result_free(&result);
        else
            ck_assert_msg(strstr(status.message, "memory") != NULL, "call %lld: '%s'", (long long)n,
                          status.message);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
}
END_TEST

Suite *models_run_suite(void);
Suite *models_run_suite(void)
{
    Suite *suite = suite_create("models/run");
    TCase *c = tcase_create("run");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, defaults_are_the_homeworks);
    tcase_add_loop_test(c, every_model_trains, 0, MODELS);
    tcase_add_loop_test(c, results_depend_on_seed_and_shards_alone, 0, MODELS);
    tcase_add_test(c, the_time_left_runs_out_with_the_batches);
    tcase_add_test(c, the_loss_that_is_shown_is_the_mean_of_all_decisions);
    tcase_add_loop_test(c, the_model_that_is_left_is_the_one_that_was_measured, 0, MODELS);
    tcase_add_loop_test(c, the_notebooks_way_pads_and_starts_without_log_odds, 0, MODELS);
    tcase_add_test(c, a_watcher_sees_every_batch_and_changes_nothing);
    tcase_add_test(c, a_run_that_is_stopped_ends_in_good_order);
    tcase_add_test(c, without_a_test_part_the_last_epoch_is_kept);
    tcase_add_test(c, no_epochs_leave_a_new_model);
    tcase_add_test(c, options_out_of_range_are_errors);
    tcase_add_test(c, a_loss_that_is_no_number_ends_the_run);
    tcase_add_loop_test(c, a_loss_that_grows_is_begun_again_with_a_lower_rate, 0, 2);
    tcase_add_test(c, a_last_update_that_left_no_numbers_ends_the_run);
    tcase_add_test(c, a_weight_that_is_no_number_at_the_end_is_an_error);
    tcase_add_loop_test(c, no_memory_is_an_error, 0, MODELS);
    suite_add_tcase(suite, c);
    return suite;
}
