#include "models/training/checkpoint.h"
#include "models/training/results.h"
#include "models/training/run_internal.h"
#include "models/training/run_settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void model_run_path(const Run *run, const char *kind, char path[MODEL_RUN_PATH_SIZE])
{
    const char *folder = run->options->files.folder;
    snprintf(path, folder ? MODEL_RUN_PATH_SIZE : 1, "%s/%s.%s.npz", folder ? folder : "", run->kind->name,
             kind);
}

ReelStatus model_run_ask_delivered(ModelRunResult *result, const ModelKind *kind, const ModelDataset *dataset,
                                   const ModelRunOptions *options)
{
    int best = result->selected.epoch ? result->selected.epoch : result->best_epoch;
    if (best == result->count || dataset->test.count == 0)
        return reel_status_ok();
    Run run = {.options = options, .kind = kind};
    char path[MODEL_RUN_PATH_SIZE];
    ModelCheckpoint *checkpoint;
    ModelShares shares = {0};
    NnParallelOptions parallel = {.shards = options->trainer.shards, .threads = options->trainer.threads};
    ModelLoaderOptions batches =
        model_prediction_batches(&dataset->test, options->notebook ? options->batch : 0);
    model_run_path(&run, "best", path);
    ReelStatus status = model_checkpoint_load(&checkpoint, path);
    if (reel_status_is_ok(&status))
        status = model_shares_init(&shares, checkpoint->model, &parallel);
    if (reel_status_is_ok(&status))
        status =
            model_predict_part(&result->test, &shares, &dataset->test, &batches, kind->has_attention, NULL);
    model_shares_free(&shares);
    model_checkpoint_free(checkpoint);
    return status;
}

static void copy_weights(Run *run, NnSnapshot *snapshot)
{
    const ModelSelection *selected = &run->result->selected;
    model_checkpoint_snapshot(snapshot, run->model, &run->dataset->text, run->options->notebook,
                              selected->epoch ? selected->thresholds : NULL,
                              selected->epoch ? selected->calibration : NULL);
}

/* The same with what is known of them: how good they are, and by which settings they came about. */
static void copy_told_weights(Run *run, NnSnapshot *snapshot, const ModelRunEpoch *epoch)
{
    copy_weights(run, snapshot);
    model_results_snapshot_quality(snapshot, epoch, run->result, run->dataset->train.count);
    model_run_settings_snapshot(snapshot, &run->options->files);
}

/* The weights after an epoch, where the last `keep` are kept. */
static ReelStatus save_weights(Run *run, const ModelRunEpoch *epoch)
{
    char path[MODEL_RUN_PATH_SIZE], old[MODEL_RUN_PATH_SIZE] = "", kind[32];
    int keep = run->options->files.keep;
    ReelStatus status;
    NnSnapshot *snapshot = model_saver_begin(run->saver, &status);
    if (!snapshot)
        return status;
    copy_told_weights(run, snapshot, epoch);
    snprintf(kind, sizeof kind, "epoch-%d", epoch->epoch - keep);
    if (epoch->epoch > keep)
        model_run_path(run, kind, old);
    snprintf(kind, sizeof kind, "epoch-%d", epoch->epoch);
    model_run_path(run, kind, path);
    return model_saver_submit(run->saver, snapshot, path, old);
}

/* Early epochs are all better than those before, and writing each would cost a short run more than 3 % of its
 * time. So the best weights wait in memory until `last` is due, which must not be there before them. */
static ReelStatus save_best(Run *run)
{
    char path[MODEL_RUN_PATH_SIZE];
    ReelStatus status;
    if (!run->best_waits)
        return reel_status_ok();
    NnSnapshot *snapshot = model_saver_begin(run->saver, &status), free_one;
    if (!snapshot)
        return status;
    free_one = *snapshot;
    *snapshot = run->best;
    run->best = free_one;
    run->best_waits = false;
    model_run_path(run, "best", path);
    return model_saver_submit(run->saver, snapshot, path, NULL);
}

ReelStatus model_run_save_last(Run *run)
{
    char path[MODEL_RUN_PATH_SIZE];
    ReelStatus status;
    if (!run->saver)
        return reel_status_ok();
    status = save_best(run);
    if (!reel_status_is_ok(&status))
        return status;
    NnSnapshot *snapshot = model_saver_begin(run->saver, &status);
    if (!snapshot)
        return status;
    NnOptimizer *optimizer = model_trainer_optimizer(run->trainer);
    copy_weights(run, snapshot);
    run->at.updates = nn_optimizer_steps(optimizer);
    run->result->seconds = model_run_seconds(run);
    memcpy(run->at.run, run->options->files.id, sizeof run->at.run);
    model_training_state_snapshot(snapshot, &run->at, run->result, optimizer);
    model_run_settings_snapshot(snapshot, &run->options->files);
    nn_snapshot_append(snapshot, &run->unknown);
    model_run_path(run, "last", path);
    run->saved = reel_clock_seconds();
    return model_saver_submit(run->saver, snapshot, path, NULL);
}

/* The epoch whose weights are the best that are known. */
static int best_epoch(const Run *run)
{
    return run->result->selected.epoch ? run->result->selected.epoch : run->result->best_epoch;
}

/* Of a run with an earlier one's choice only the epoch that was chosen counts: one that is stopped before
 * leaves in memory what is there from the earlier one. */
static ReelStatus keep_in_memory(Run *run, const ModelRunEpoch *epoch)
{
    const ModelRunOptions *options = run->options;
    NnSnapshot *kept = options->files.kept;
    int best = options->selected ? options->selected->epoch : best_epoch(run);
    if (!kept || best != epoch->epoch)
        return reel_status_ok();
    nn_snapshot_clear(kept);
    copy_told_weights(run, kept, epoch);
    return kept->status;
}

ReelStatus model_run_after_epoch(Run *run, const ModelRunEpoch *epoch)
{
    ReelStatus status = keep_in_memory(run, epoch);
    if (!reel_status_is_ok(&status))
        return status;
    if (!run->saver)
        return reel_status_ok();
    if (best_epoch(run) == epoch->epoch) {
        nn_snapshot_clear(&run->best);
        copy_told_weights(run, &run->best, epoch);
        run->best_waits = true;
    }
    return run->options->files.keep > 0 ? save_weights(run, epoch) : reel_status_ok();
}

bool model_run_save_is_due(const Run *run)
{
    const ModelRunFiles *files = &run->options->files;
    if (!run->saver)
        return false;
    if (files->every == MODEL_RUN_EVERY_SO_OFTEN)
        return reel_clock_seconds() - run->saved >= files->seconds && model_saver_is_idle(run->saver);
    return run->at.batch == 0 || (files->every > 0 && run->at.batch % files->every == 0);
}

ReelStatus model_run_open_last(Run *run, TensorNpz **npz)
{
    const ModelRunFiles *files = &run->options->files;
    ModelRunResult *result = run->result;
    char path[MODEL_RUN_PATH_SIZE];
    *npz = NULL;
    model_run_path(run, "last", path);
    if (!files->folder || !files->resume || access(path, F_OK) != 0)
        return reel_status_ok();
    ReelStatus status = tensor_npz_open(npz, path);
    if (reel_status_is_ok(&status))
        status = model_training_state_read(*npz, &run->at, result, run->options->epochs);
    /* The run's id comes first in the file: the rest of another run's need not fit this one. */
    if (*npz && (reel_status_is_ok(&status) || run->at.run[0] || tensor_npz_find(*npz, MODEL_RUN_SETTINGS))) {
        ReelStatus same = model_run_settings_check(*npz, files, run->at.run);
        if (!reel_status_is_ok(&same))
            return same;
    }
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.400s; or delete the file to train the model from the start",
                                  status.message);
    run->seconds_before = result->seconds;
    model_checkpoint_keep_unknown(&run->unknown, *npz);
    return run->unknown.status;
}

void model_run_close_files(Run *run, ReelStatus *status)
{
    ReelStatus best = run->saver ? save_best(run) : reel_status_ok(), saved = model_saver_free(run->saver);
    if (reel_status_is_ok(status))
        *status = reel_status_is_ok(&saved) ? best : saved;
    nn_snapshot_free(&run->best);
    nn_snapshot_free(&run->unknown);
}
