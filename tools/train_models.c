/* Trains the models of a run one after another, and writes what they came to. */
#include "tensor/mem.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/progress.h"
#include "tools/report/report.h"
#include "tools/train.h"

#include <limits.h>
#include <stdio.h>

/* A run at work. */
typedef struct Zoo {
    const TrainJob *job;
    ModelRunOptions options;
    ModelRunWatcher watcher;
    Progress progress;
    ReportRun report;        /* with results.json in it */
    ModelRunResult *results; /* [done], the seeds of a model one after another */
    int done;
} Zoo;

static void show(void *context, const ModelRunProgress *progress)
{
    progress_show(context, progress);
}

/* results.json, after each model. */
static ReelStatus write_results(Zoo *zoo)
{
    char path[PATH_MAX];
    ModelResults *results = &zoo->report.results;
    ReelStatus status = model_results_set_runs(results, zoo->results, zoo->done, &zoo->report.arena);
    return reel_status_is_ok(&status) && nn_comm_rank(zoo->job->ranks) == 0
               ? model_results_write(results, run_folder_path(zoo->job->settings->out, "results.json", path))
               : status;
}

/* report.json, and the page made from it and from the results; at the end. */
static ReelStatus write_report(Zoo *zoo)
{
    char path[PATH_MAX];
    if (nn_comm_rank(zoo->job->ranks) > 0)
        return reel_status_ok();
    ReelStatus status =
        report_save(&zoo->report, run_folder_path(zoo->job->settings->out, "report.json", path));
    return reel_status_is_ok(&status)
               ? report_write(&zoo->report, 1, run_folder_path(zoo->job->settings->out, "report.html", path))
               : status;
}

/* Trains a model; with --refit twice. */
static ReelStatus train_model(Zoo *zoo, const ModelKind *kind, const ModelRunOptions *options)
{
    char folder[PATH_MAX];
    const TrainJob *job = zoo->job;
    ModelRefit refit = {job->choice, job->settings->vectors ? &job->vectors[1] : NULL,
                        job->settings->pretrain ? &job->pretraining[1] : NULL, folder};
    ReelStatus status = reel_status_ok();
    if (job->choice)
        status = run_folder_make(run_folder_path(options->files.folder, MODEL_ZOO_CHOICE_FOLDER, folder));
    if (reel_status_is_ok(&status))
        status =
            model_run_refit(&zoo->results[zoo->done], kind, job->dataset, &refit, options, &zoo->watcher);
    return status;
}

/* One model from one seed, the first of which also gives the report its details. The checkpoints of the
 * others are in folders of their own. */
static ReelStatus train_one(Zoo *zoo, const ModelKind *kind, int seed)
{
    const ModelZooSettings *s = zoo->job->settings;
    const ModelDataset *dataset = zoo->job->dataset;
    char folder[PATH_MAX], name[32];
    ModelRunOptions options = zoo->options;
    ReelStatus status = reel_status_ok();
    options.seed = s->seed + (uint64_t)seed;
    if (seed > 0) {
        snprintf(name, sizeof name, MODEL_ZOO_SEED_FOLDER, options.seed);
        status = run_folder_make(run_folder_path(s->out, name, folder));
        options.files.folder = folder;
    }
    if (reel_status_is_ok(&status))
        status = train_model(zoo, kind, &options);
    progress_clear(&zoo->progress);
    if (!reel_status_is_ok(&status))
        return status;
    ModelRunResult *result = &zoo->results[zoo->done++];
    bool details = seed == 0 && result->test.logits && dataset->test.count > 0;
    if (details && nn_comm_rank(zoo->job->ranks) == 0)
        status = model_run_ask_delivered(result, kind, dataset, &options);
    if (details && reel_status_is_ok(&status))
        status = report_add(&zoo->report, kind, dataset, result);
    model_predictions_free(&result->test);
    return reel_status_is_ok(&status) ? write_results(zoo) : status;
}

/* All models and seeds together. Logits of what an earlier process has finished are not at hand. */
static ReelStatus add_ensemble(Zoo *zoo)
{
    const ModelDataset *dataset = zoo->job->choice ? zoo->job->choice : zoo->job->dataset;
    ModelEnsemble *ensemble = &zoo->report.results.ensemble;
    ReelStatus status =
        model_ensemble_find(ensemble, zoo->results, zoo->done, dataset, &zoo->options.selection);
    if (!reel_status_is_ok(&status))
        return status;
    if (ensemble->members < zoo->done)
        program_warn("%d of %d models were trained by an earlier process; the ensemble is of the rest",
                     zoo->done - ensemble->members, zoo->done);
    return write_results(zoo);
}

static void print_outcome(const Zoo *zoo, bool fine)
{
    const ModelZooSettings *s = zoo->job->settings;
    bool single = zoo->job->dataset->text.task == MODEL_TASK_SINGLE;
    train_print_table(zoo->results, zoo->done, s->seeds > 1, single);
    const ModelEnsemble *e = &zoo->report.results.ensemble;
    if (e->members) {
        printf("%d together: ", e->members);
        train_print_tuned(&e->tuned, single);
    }
    if (s->seeds > 1 && fine) {
        printf("\n");
        report_print(&zoo->report, 1);
    }
    if (interrupt_signal() && fine)
        printf("interrupted: ended after the batch in hand; go on with: %s --resume %s\n", program_name(),
               s->out);
    printf("results: %s/results.json\nreport: %s/report.html\n", s->out, s->out);
}

ReelStatus train_models(const TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    Zoo zoo = {.job = job, .options = job->run};
    zoo.options.vectors = s->vectors ? &job->vectors[0] : NULL;
    zoo.options.pretraining = s->pretrain ? &job->pretraining[0] : NULL;
    size_t runs = (size_t)job->count * (size_t)s->seeds;
    zoo.results = reel_mem_calloc(runs, sizeof *zoo.results);
    if (!zoo.results)
        return reel_status_no_memory(runs * sizeof *zoo.results, "the results");
    progress_init(&zoo.progress, s->quiet);
    zoo.watcher = (ModelRunWatcher){.context = &zoo.progress, .progress = show, .stop = interrupt_asked};
    ReelStatus status = report_begin(&zoo.report, s->out, job->dataset);
    ModelResults *results = &zoo.report.results;
    results->data = s->data;
    results->seed = (int64_t)s->seed;
    results->threads = s->threads;
    results->shards = job->run.trainer.shards;
    results->batch = s->batch;
    results->lr = s->lr;
    results->notebook = s->notebook;
    for (int i = 0; i < job->count * s->seeds && !interrupt_signal() && reel_status_is_ok(&status); i++)
        status = train_one(&zoo, job->kinds[i / s->seeds], i % s->seeds);
    if (zoo.done == 0 && interrupt_signal() && reel_status_is_ok(&status))
        printf("interrupted: before the first batch; go on with: %s --resume %s\n", program_name(), s->out);
    if (s->ensemble && !interrupt_signal() && reel_status_is_ok(&status))
        status = add_ensemble(&zoo);
    if (zoo.done > 0) { /* of what there is, also after an error */
        ReelStatus written = write_report(&zoo);
        status = reel_status_is_ok(&status) ? written : status;
        print_outcome(&zoo, reel_status_is_ok(&status));
    }
    for (int i = 0; i < zoo.done; i++)
        model_run_result_free(&zoo.results[i]);
    reel_mem_free(zoo.results);
    report_free(&zoo.report, 1);
    return status;
}

/* ---- Comparing finished runs ---- */

static ReelStatus compare_runs(const ReportRun *runs, int count, const char *out)
{
    char path[PATH_MAX];
    ReelStatus status = report_print(runs, count);
    if (reel_status_is_ok(&status))
        status = run_folder_make(out);
    if (reel_status_is_ok(&status))
        status = report_write(runs, count, run_folder_path(out, "report.html", path));
    if (reel_status_is_ok(&status))
        printf("report: %s\n", path);
    return status;
}

ReelStatus train_compare(const ModelZooSettings *s, const char *const *folders, int count)
{
    if (count < 1)
        return reel_status_usage("--compare: name the folders of the runs");
    ReportRun *runs = reel_mem_calloc((size_t)count, sizeof *runs);
    if (!runs)
        return reel_status_no_memory((size_t)count * sizeof *runs, "the runs");
    ReelStatus status = report_read(runs, folders, count);
    if (reel_status_is_ok(&status))
        status = compare_runs(runs, count, s->out ? s->out : "runs/compare");
    report_free(runs, count);
    reel_mem_free(runs);
    return status;
}
