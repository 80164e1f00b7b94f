/* What train_zoo tells before it trains, and of what the models came to. */
#include "tools/train.h"
#include "models/training/results.h"
#include "models/training/threshold.h"
#include "tensor/pool.h"
#include "tools/program.h"

#include <math.h>
#include <stdio.h>

void train_print_first(const ModelZooSettings *s, const NnComm *ranks)
{
    int processors = tensor_pool_processors(), busy = s->threads < s->shards ? s->threads : s->shards;
    if (nn_comm_size(ranks) > 1) {
        if (s->threads > processors)
            program_warn("a rank has %d threads and may use %d processor%s; with mpirun add --bind-to none",
                         s->threads, processors, train_plural(processors));
    } else if (busy < processors)
        printf("%d of %d processors stay idle: a batch has %d part%s (--shards; results depend on it), and "
               "there "
               "%s --threads %d\n",
               processors - busy, processors, s->shards, train_plural(s->shards),
               s->threads == 1 ? "is" : "are", s->threads);
    fflush(stdout);
}

/* What the data add to the model that the run begins with. */
static void print_begun(const TrainJob *job)
{
    const ModelPipeline *text = &job->dataset->text;
    int32_t labels = text->labels.count, words = model_vocabulary_size(&text->vocabulary);
    if (job->begun_labels == 0)
        return;
    printf("begins with %s: %d of %d labels", job->run.files.init, labels - job->begun_labels, labels);
    if (words > 0)
        printf(" and %d of %d words are new; texts are read as its own were\n", words - job->begun_words,
               words - MODEL_NUM_SPECIAL_TOKENS);
    else
        printf(" are new; texts are read as its own were, by its byte pairs\n");
}

void train_print_head(const TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    const ModelDataset *dataset = job->dataset;
    int shards = job->run.trainer.shards;
    char valid[48] = "", test[48] = "nothing", unlabelled[48] = "";
    if (dataset->valid.count > 0)
        snprintf(valid, sizeof valid, ", %lld to validate", (long long)dataset->valid.count);
    if (dataset->test.count > 0)
        snprintf(test, sizeof test, "%lld", (long long)dataset->test.count);
    if (dataset->unlabelled > 0)
        snprintf(unlabelled, sizeof unlabelled, " (%lld row%s without)", (long long)dataset->unlabelled,
                 train_plural(dataset->unlabelled));
    const char *single = dataset->text.task == MODEL_TASK_SINGLE ? ", one a text" : "";
    printf("%s: %s\n", s->data, dataset->form);
    if (dataset->note[0])
        printf("%s\n", dataset->note);
    printf("%lld rows (hash %s), %lld to train%s, %s to test, %d labels%s%s, %d different ids, %.1f ids a "
           "text\n",
           (long long)model_dataset_rows(dataset), dataset->text.data_hash, (long long)dataset->train.count,
           valid, test, model_dataset_num_classes(dataset), single, unlabelled,
           dataset->text.tokenizer.vocab_size,
           (double)dataset->train.offsets[dataset->train.count] / (double)dataset->train.count);
    print_begun(job);
    if (dataset->file.path)
        printf("the ids are in %s\n", dataset->file.path);
    printf("%d epoch%s, batches of %d, lr %g, seed %llu, %d thread%s, %d shard%s%s\n", s->epochs,
           train_plural(s->epochs), s->batch, s->lr, (unsigned long long)s->seed, s->threads,
           train_plural(s->threads), shards, train_plural(shards),
           s->notebook ? ", as the notebook reads" : "");
    fflush(stdout);
}

void train_warn_of_data(const ModelDataset *dataset)
{
    const ModelDatasetPart *test = &dataset->test;
    if (test->missed > 0)
        program_warn(
            "%d label%s of the test part that training does not know (%s) count%s as missed, %lld times",
            test->missed_labels, train_plural(test->missed_labels), dataset->missed_names,
            test->missed_labels == 1 ? "s" : "", (long long)test->missed);
    if (dataset->repeated > 0)
        program_warn(
            "%lld texts of the other parts are trained on as well, word for word; what is measured on them "
            "says little",
            (long long)dataset->repeated);
    if (dataset->warning[0])
        program_warn("%s", dataset->warning);
}

void train_print_tuned(const ModelTuned *tuned, bool single)
{
    if (!single)
        printf("threshold %.3f: ",
               model_threshold_probability(model_calibration_common(&tuned->line, tuned->threshold)));
    printf("macro F1 %.4f on the validation part", tuned->valid_f1);
    if (isfinite(tuned->macro_f1))
        printf(", %.4f on the test part (95 %% interval %.4f to %.4f)", tuned->macro_f1, tuned->interval.low,
               tuned->interval.high);
    if (tuned->line.slope > 0 && isfinite(tuned->error))
        printf("; calibration error there %.4f, without calibration %.4f", tuned->error, tuned->error_before);
    printf("\n");
}

/* A column of the table; what was not measured is a stroke. */
static void print_figure(int width, double value)
{
    if (isfinite(value))
        printf(" %*.4f", width, value);
    else
        printf(" %*s", width, "-");
}

void train_print_table(const ModelRunResult *results, int count, bool several_seeds, bool single)
{
    bool tests = false;
    printf("\n%-16s %s%11s %6s %8s %8s%s %8s %5s %8s %8s\n", "model", several_seeds ? " seed " : "",
           "parameters", "epoch", "macro F1", "micro F1", single ? " accuracy" : "", "best F1*", "in",
           "seconds", "peak MB");
    for (int i = 0; i < count; i++) {
        const ModelRunResult *r = &results[i];
        ModelDelivered delivered = model_run_delivered(r);
        printf("%-16s ", r->name);
        if (several_seeds)
            printf("%5llu ", (unsigned long long)r->seed);
        printf("%11lld %6d", (long long)r->params, delivered.epoch);
        print_figure(8, delivered.macro_f1);
        print_figure(8, delivered.micro_f1);
        if (single)
            print_figure(8, delivered.accuracy);
        print_figure(8, r->best_f1);
        tests = tests || isfinite(r->best_f1);
        printf(" %5d %8.1f %8.0f%s\n", r->best_epoch, r->seconds, r->peak_rss_mb,
               r->interrupted ? "  (interrupted)" : "");
    }
    for (int i = 0; i < count; i++) {
        const ModelSelection *chosen = &results[i].selected;
        if (!chosen->epoch)
            continue;
        printf("%-16s epoch %d, ", results[i].name, chosen->epoch);
        train_print_tuned(&chosen->tuned, single);
    }
    for (int i = 0; i < count; i++)
        if (results[i].rate < 1)
            printf(
                "%-16s seed %llu: trained with %g of the learning rate, with more of which its loss grew\n",
                results[i].name, (unsigned long long)results[i].seed, results[i].rate);
    if (tests)
        printf("* macro F1 at 0.5, the homework's maximum over epochs on the test part; the columns before "
               "it are "
               "of the model in NAME.best.npz\n");
    else
        printf("there is no test part, and so nothing is said of how good the models are\n");
}
