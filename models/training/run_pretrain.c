/* The first weights of a run, learned as a language model (Dai & Le 2015, arXiv 1511.01432): the model's own
 * embedding and recurrent layers predict the next word, and where they read both ways also the one before. */
#include "models/training/run_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

ReelStatus model_run_check_pretraining(const ModelKind *kind, int layers)
{
    if (!kind->states)
        return reel_status_usage("--pretrain: %s has no recurrent layers that could learn a language",
                                 kind->name);
    if (kind->both_ways && (layers ? layers : kind->defaults.layers) > 1)
        return reel_status_usage("--pretrain: of several layers that read both ways (%s) the upper ones have "
                                 "seen the word that is to be predicted; use --layers 1",
                                 kind->name);
    return reel_status_ok();
}

static NnSequence states(void *context, NnSequence ids)
{
    return model_states(context, ids);
}

static ReelStatus save(Run *run, ModelLanguage *language, const char *path)
{
    if (!*path || nn_comm_rank(run->options->trainer.comm) > 0)
        return reel_status_ok();
    return model_language_save(language, path, run->options->files.level);
}

typedef struct Watch {
    Run *run;
    ModelLanguage *language;
    const char *path;
    double saved;
    bool stopped;
    ReelStatus status;
} Watch;

static void report(const Run *run, const ModelLanguageProgress *p)
{
    int64_t left = p->batches * (p->epochs - p->epoch + 1) - p->batch, done = p->batches * p->epochs - left;
    if (!run->watcher || !run->watcher->progress)
        return;
    ModelRunProgress progress = {.model = run->kind->name,
                                 .pretraining = true,
                                 .epoch = p->epoch,
                                 .epochs = p->epochs,
                                 .batch = p->batch,
                                 .batches = p->batches,
                                 .tokens = p->tokens,
                                 .seconds = p->seconds,
                                 .seconds_left = p->seconds / (double)done * (double)left,
                                 .batch_loss = p->loss,
                                 .loss = p->loss};
    run->watcher->progress(run->watcher->context, &progress);
}

static bool watch(void *context, const ModelLanguageProgress *progress)
{
    Watch *w = context;
    double now = reel_clock_seconds();
    report(w->run, progress);
    w->stopped = model_run_wants_stop(w->run);
    if (w->stopped || now - w->saved >= w->run->options->files.seconds) {
        w->status = save(w->run, w->language, w->path);
        w->saved = now;
    }
    return !w->stopped && reel_status_is_ok(&w->status);
}

/* Where an earlier process left it, or this one did before it began again. */
static ReelStatus load(Run *run, ModelLanguage *language, const char *path)
{
    bool wanted = *path && (run->options->files.resume || run->pretrained) && access(path, F_OK) == 0;
    return wanted ? model_language_load(language, path) : reel_status_ok();
}

static ReelStatus learn(Run *run, ModelLanguage *language)
{
    char path[MODEL_RUN_PATH_SIZE];
    bool finished = false;
    model_run_path(run, "pretrained", path);
    ReelStatus status = load(run, language, path);
    Watch w = {.run = run,
               .language = language,
               .path = path,
               .saved = reel_clock_seconds(),
               .status = reel_status_ok()};
    if (reel_status_is_ok(&status))
        status = model_language_train(language, run->options->pretraining->epochs, watch, &w, &finished);
    if (reel_status_is_ok(&status))
        status = w.status;
    if (reel_status_is_ok(&status) && finished)
        status = save(run, language, path);
    run->pretrained = finished;
    run->result->interrupted = w.stopped;
    return status;
}

ReelStatus model_run_pretrain(Run *run)
{
    const ModelPretraining *p = run->options->pretraining;
    const ModelTrainerOptions *trainer = &run->options->trainer;
    Model *model = run->model, *twin;
    ModelLanguage *language = NULL;
    ReelStatus status = model_run_check_pretraining(run->kind, model->config.layers);
    if (!reel_status_is_ok(&status))
        return status;
    /* What learns the language belongs to it; so it is a model beside the run's. */
    status = model_new(&twin, run->kind, model->config, run->options->seed);
    if (!reel_status_is_ok(&status))
        return status;
    status = nn_module_copy(&twin->base, &model->base);
    twin->embed_dropout.p = p->dropout;
    ModelLanguageEncoder encoder = {.module = &twin->base,
                                    .states = states,
                                    .context = twin,
                                    .width = model->config.hidden,
                                    .both = run->kind->both_ways};
    ModelLanguageOptions options = model_language_defaults();
    options.epochs = p->epochs;
    options.lr = p->lr;
    options.dropout = p->dropout;
    options.shards = trainer->shards;
    options.threads = trainer->threads;
    options.comm = trainer->comm;
    options.seed = run->options->seed;
    if (reel_status_is_ok(&status))
        status =
            model_language_new(&language, encoder, (int32_t)model->config.vocabulary, &p->texts, &options);
    if (reel_status_is_ok(&status))
        status = learn(run, language);
    if (reel_status_is_ok(&status))
        status = nn_module_copy(&model->base, &twin->base);
    model_language_free(language);
    model_free(twin);
    return status;
}

void model_run_forget_pretraining(Run *run, bool resumes)
{
    char path[MODEL_RUN_PATH_SIZE];
    if (!run->options->pretraining || resumes || nn_comm_rank(run->options->trainer.comm) > 0)
        return;
    model_run_path(run, "pretrained", path);
    if (*path)
        unlink(path);
}
