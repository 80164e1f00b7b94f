#include "models/training/refit.h"

/* Room for the learning rate's way down. */
static void set_schedule(ModelRunOptions *options, const ModelDataset *dataset)
{
    options->trainer.schedule.total =
        (int64_t)options->epochs * ((dataset->train.count + options->batch - 1) / options->batch);
}

/* Trains with the validation part left out, only to choose by it. */
static ReelStatus choose(ModelRunResult *chosen, const ModelKind *kind, const ModelRefit *refit,
                         ModelRunOptions options, const ModelRunWatcher *watcher)
{
    options.files.folder = refit->folder;
    options.vectors = refit->vectors;
    options.pretraining = refit->pretraining;
    set_schedule(&options, refit->choice);
    return model_run_model(chosen, NULL, kind, refit->choice, &options, watcher);
}

static void tell(const ModelRunWatcher *watcher, const ModelKind *kind, const ModelRunOptions *options)
{
    if (watcher && watcher->progress)
        watcher->progress(watcher->context, &(ModelRunProgress){.model = kind->name,
                                                                .epochs = options->epochs,
                                                                .chosen = options->selected->epoch});
}

ReelStatus model_run_refit(ModelRunResult *result, const ModelKind *kind, const ModelDataset *dataset,
                           const ModelRefit *refit, const ModelRunOptions *options,
                           const ModelRunWatcher *watcher)
{
    ModelRunResult chosen = {0};
    ModelRunOptions how = *options;
    if (refit->choice) {
        ReelStatus status = choose(&chosen, kind, refit, how, watcher);
        if (!reel_status_is_ok(&status) || chosen.interrupted) {
            *result = chosen; /* nothing to report but that it was interrupted */
            model_predictions_free(&result->test);
            return status;
        }
        how.selected = &chosen.selected;
        how.form = chosen.form;
        how.rate = chosen.rate;
        tell(watcher, kind, &how);
    }
    set_schedule(&how, dataset);
    ReelStatus status = model_run_model(result, NULL, kind, dataset, &how, watcher);
    result->seconds += chosen.seconds;
    if (reel_status_is_ok(&status) && refit->choice) {
        result->selected.valid_logits = chosen.selected.valid_logits;
        chosen.selected.valid_logits = NULL;
    }
    model_run_result_free(&chosen);
    return status;
}
