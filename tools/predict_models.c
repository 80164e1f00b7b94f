/* tools/predict: one model, or several that answer together. */
#include "models/training/threshold.h"
#include "tools/predict.h"
#include "tools/program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Says on the standard error which members of the file Reel does not know. */
static void report_unknown(const char *path, const NnSnapshot *unknown)
{
    enum { SHOWN = 8 };
    const char *name = nn_snapshot_name(unknown, 0);
    if (!name)
        return;
    fprintf(stderr, "%s: %s: passed over, since this Reel does not know them: ", program_name(), path);
    for (int i = 0; i < SHOWN && name; name = nn_snapshot_name(unknown, ++i))
        fprintf(stderr, "%s%s", i ? ", " : "", name);
    fputs(name ? ", ...\n" : "\n", stderr);
}

ReelStatus predict_load_models(PredictRun *run, const char *const *paths, int count)
{
    ReelStatus status = reel_status_ok();
    run->paths = paths;
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        status = model_checkpoint_load(&run->checkpoints[i], paths[i]);
        if (!reel_status_is_ok(&status))
            break;
        run->models = i + 1;
        if (!run->settings->quiet)
            report_unknown(paths[i], &run->checkpoints[i]->unknown);
        if (model_string_table_difference(&run->checkpoints[0]->text.labels,
                                          &run->checkpoints[i]->text.labels) >= 0)
            status = reel_status_failed(
                "%s: has other labels than the first model; ask models of the same data together", paths[i]);
        else if (run->checkpoints[i]->text.task != run->checkpoints[0]->text.task)
            status = reel_status_failed(
                "%s: is of the task %s and the first model of %s; ask models of one task together", paths[i],
                model_task_name(run->checkpoints[i]->text.task),
                model_task_name(run->checkpoints[0]->text.task));
    }
    run->checkpoint = run->checkpoints[0];
    return status;
}

void predict_free_models(PredictRun *run)
{
    for (int i = 0; i < run->models; i++) {
        model_predictor_free(run->predictors[i]);
        model_checkpoint_free(run->checkpoints[i]);
    }
}

/* One model's. NaN is above no threshold, and would read as a text without labels. */
static ReelStatus ask(PredictRun *run, int model, const ModelTextSpan *texts, int64_t count, bool attention)
{
    ReelStatus status = model_predictor_run(run->predictors[model], texts, count, attention, run->logits);
    size_t n = (size_t)count * (size_t)run->labels;
    for (size_t i = 0; i < n && reel_status_is_ok(&status); i++)
        if (isnan(run->logits[i]))
            status =
                reel_status_failed("%s: its answer to text %lld is not a number; some of its weights are "
                                   "NaN or too large, train it again",
                                   run->paths[model], (long long)run->texts + (long long)i / run->labels + 1);
    return status;
}

ReelStatus predict_logits(PredictRun *run, const ModelTextSpan *texts, int64_t count, bool attention)
{
    ReelStatus status = ask(run, 0, texts, count, attention);
    if (reel_status_is_ok(&status))
        predict_look_at_texts(run, count);
    if (run->models == 1 || !reel_status_is_ok(&status))
        return status;
    size_t n = (size_t)count * (size_t)run->labels;
    for (size_t i = 0; i < n; i++)
        run->mean[i] = run->logits[i] / (float)run->models;
    for (int m = 1; m < run->models && reel_status_is_ok(&status); m++) {
        status = ask(run, m, texts, count, false);
        for (size_t i = 0; i < n && reel_status_is_ok(&status); i++)
            run->mean[i] += run->logits[i] / (float)run->models;
    }
    memcpy(run->logits, run->mean, n * sizeof *run->logits);
    return status;
}

double predict_threshold(const PredictRun *run, int32_t k)
{
    double sum = 0;
    const double most = model_threshold_log_odds(1 - 1e-7); /* one that decides by itself leaves no mean */
    for (int i = 0; i < run->models; i++) {
        double threshold = model_checkpoint_threshold(run->checkpoints[i], k);
        if (run->models == 1)
            return threshold;
        sum += fmin(fmax(threshold, -most), most);
    }
    return sum / run->models;
}

void predict_decide(PredictRun *run, const float *logits)
{
    ModelTask task = run->checkpoint->text.task;
    double given = run->settings->threshold;
    model_task_probabilities(task, logits, run->labels, run->probabilities);
    memcpy(run->scores, logits, (size_t)run->labels * sizeof *run->scores);
    model_task_scores(task, run->scores, 1, run->labels);
    for (int32_t k = 0; k < run->labels; k++)
        run->scores[k] = isnan(given) ? (float)((double)run->scores[k] - run->limits[k])
                                      : (float)(run->probabilities[k] - given);
}
