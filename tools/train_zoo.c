/* Trains models of the zoo on a labelled corpus and compares them. */
#include "models/text/cache.h"
#include "models/training/checkpoint.h"
#include "models/training/refit.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tensor/usage.h"
#include "tools/program.h"
#include "tools/progress.h"
#include "tools/raw_texts.h"
#include "tools/report/report.h"
#include "tools/run_folder.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Bytes of data that take seconds to read. */
enum { LARGE_FILE = 1 << 25 };

/* ---- While it runs ---- */

static NnComm *ranks;
static volatile sig_atomic_t interrupted; /* by this signal; 0: not yet. On all ranks at the same place */

static void on_interrupt(int signal)
{
    nn_comm_raise(ranks, signal);
    if (nn_comm_size(ranks) == 1)
        interrupted = signal;
}

static bool asked_to_stop(void *context)
{
    (void)context;
    if (nn_comm_size(ranks) > 1)
        interrupted = nn_comm_raised(ranks);
    return interrupted != 0;
}

static void show(void *context, const ModelRunProgress *progress)
{
    progress_show(context, progress);
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* Before the data are read, which takes its time. */
static void print_first(const ModelZooSettings *s)
{
    int processors = tensor_pool_processors(), busy = s->threads < s->shards ? s->threads : s->shards;
    if (nn_comm_size(ranks) > 1) {
        if (s->threads > processors)
            program_warn("a rank has %d threads and may use %d processor%s; with mpirun add --bind-to none",
                         s->threads, processors, plural(processors));
    } else if (busy < processors)
        printf("%d of %d processors stay idle: a batch has %d part%s (--shards; results depend on it), and "
               "there "
               "%s --threads %d\n",
               processors - busy, processors, s->shards, plural(s->shards), s->threads == 1 ? "is" : "are",
               s->threads);
    fflush(stdout);
}

static void print_head(const ModelZooSettings *s, const ModelRunOptions *run, const ModelDataset *dataset)
{
    char valid[48] = "", test[48] = "nothing", unlabelled[48] = "";
    if (dataset->valid.count > 0)
        snprintf(valid, sizeof valid, ", %lld to validate", (long long)dataset->valid.count);
    if (dataset->test.count > 0)
        snprintf(test, sizeof test, "%lld", (long long)dataset->test.count);
    if (dataset->unlabelled > 0)
        snprintf(unlabelled, sizeof unlabelled, " (%lld row%s without)", (long long)dataset->unlabelled,
                 plural(dataset->unlabelled));
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
    if (dataset->file.path)
        printf("the ids are in %s\n", dataset->file.path);
    printf("%d epoch%s, batches of %d, lr %g, seed %llu, %d thread%s, %d shard%s%s\n", s->epochs,
           plural(s->epochs), s->batch, s->lr, (unsigned long long)s->seed, s->threads, plural(s->threads),
           run->trainer.shards, plural(run->trainer.shards), s->notebook ? ", as the notebook reads" : "");
    fflush(stdout);
}

/* What a validation part chose, and what that comes to. */
static void print_tuned(const ModelTuned *tuned, bool single)
{
    if (!single)
        printf("threshold %.3f: ",
               model_threshold_probability(tuned->line.slope > 0
                                               ? tuned->line.slope * tuned->threshold + tuned->line.shift
                                               : tuned->threshold));
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

static void print_table(const ModelRunResult *results, int count, bool several_seeds, bool single)
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
        print_tuned(&chosen->tuned, single);
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

/* ---- Beginning with given weights ---- */

static ReelStatus same_names(const char *path, const char *what, const ModelStringTable *in_file,
                             const ModelStringTable *in_data)
{
    int32_t i = model_string_table_difference(in_file, in_data);
    if (in_file->count != in_data->count)
        return reel_status_failed("%s: has %d %s and the data %d; begin with a model of the same data", path,
                                  in_file->count, what, in_data->count);
    return i < 0
               ? reel_status_ok()
               : reel_status_failed(
                     "%s: number %d of its %s is '%.80s' and in the data '%.80s'; begin with a model "
                     "of the same data",
                     path, i, what, model_string_table_text(in_file, i), model_string_table_text(in_data, i));
}

/* Reads the file to begin with where it says more than weights; otherwise *checkpoint is NULL. */
static ReelStatus read_init(const ModelRunFiles *files, ModelCheckpoint **checkpoint)
{
    TensorNpz *npz;
    *checkpoint = NULL;
    ReelStatus status = tensor_npz_open(&npz, files->init);
    if (reel_status_is_ok(&status) && tensor_npz_find(npz, "reel/config.json"))
        status = model_checkpoint_load_from(checkpoint, npz, model_run_init_options(files));
    tensor_npz_close(npz);
    return status;
}

/* What the file says must fit the data. Sizes are taken from it. */
static ReelStatus check_init(const char *path, const ModelCheckpoint *checkpoint, const ModelKind **kinds,
                             int count, ModelRunOptions *run, const ModelDataset *dataset)
{
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        if (kinds[i] != checkpoint->model->kind)
            status = reel_status_failed("%s: holds the model %s and cannot begin %s; choose --models %s",
                                        path, checkpoint->model->kind->name, kinds[i]->name,
                                        checkpoint->model->kind->name);
    if (reel_status_is_ok(&status) && checkpoint->notebook != run->notebook)
        status = reel_status_failed("%s: was trained %s; %s --notebook", path,
                                    run->notebook ? "to read the last word" : "as the notebook reads",
                                    run->notebook ? "leave out" : "add");
    bool bpe = checkpoint->text.tokenizer.bpe != NULL;
    if (reel_status_is_ok(&status) && bpe != (dataset->text.tokenizer.bpe != NULL))
        status = reel_status_failed("%s: reads %s; %s --tokenizer bpe", path, bpe ? "byte pairs" : "words",
                                    bpe ? "add" : "leave out");
    if (reel_status_is_ok(&status) && !bpe)
        status =
            same_names(path, "words", &checkpoint->text.vocabulary.words, &dataset->text.vocabulary.words);
    if (reel_status_is_ok(&status))
        status = same_names(path, "labels", &checkpoint->text.labels, &dataset->text.labels);
    run->config.embed = checkpoint->model->config.embed;
    run->config.hidden = checkpoint->model->config.hidden;
    run->config.layers = checkpoint->model->config.layers;
    return status;
}

/* ---- Training ---- */

/* A run of several models, each from several seeds. */
typedef struct Zoo {
    const ModelZooSettings *settings;
    const ModelDataset *dataset; /* what the models are trained on */
    const ModelDataset *choice;  /* --refit: the same with a validation part, to choose by; or NULL */
    const ModelPretrained *vectors, *choice_vectors; /* of their words; or NULL */
    const ModelPretraining *choice_pretraining;
    ModelRunOptions options;
    ModelRunWatcher watcher;
    Progress progress;
    ReportRun report;        /* with results.json in it */
    ModelRunResult *results; /* [done], the seeds of a model one after another */
    int done;
} Zoo;

/* FOLDER/NAME; a folder that could be made leaves room. */
static const char *path_of(const char *folder, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

/* results.json, after each model. */
static ReelStatus write_results(Zoo *zoo)
{
    char path[PATH_MAX];
    ModelResults *results = &zoo->report.results;
    ReelStatus status = model_results_set_runs(results, zoo->results, zoo->done, &zoo->report.arena);
    return reel_status_is_ok(&status) && nn_comm_rank(ranks) == 0
               ? model_results_write(results, path_of(zoo->settings->out, "results.json", path))
               : status;
}

/* report.json, and the page made from it and from the results; at the end. */
static ReelStatus write_report(Zoo *zoo)
{
    char path[PATH_MAX];
    if (nn_comm_rank(ranks) > 0)
        return reel_status_ok();
    ReelStatus status = report_save(&zoo->report, path_of(zoo->settings->out, "report.json", path));
    return reel_status_is_ok(&status)
               ? report_write(&zoo->report, 1, path_of(zoo->settings->out, "report.html", path))
               : status;
}

/* Trains a model; with --refit twice. */
static ReelStatus train_model(Zoo *zoo, const ModelKind *kind, const ModelRunOptions *options)
{
    char folder[PATH_MAX];
    ModelRefit refit = {zoo->choice, zoo->choice_vectors, zoo->choice_pretraining, folder};
    ReelStatus status = reel_status_ok();
    if (zoo->choice)
        status = run_folder_make(path_of(options->files.folder, MODEL_ZOO_CHOICE_FOLDER, folder));
    if (reel_status_is_ok(&status))
        status =
            model_run_refit(&zoo->results[zoo->done], kind, zoo->dataset, &refit, options, &zoo->watcher);
    return status;
}

/* One model from one seed, the first of which also gives the report its details. The checkpoints of the
 * others are in folders of their own. */
static ReelStatus train_one(Zoo *zoo, const ModelKind *kind, int seed)
{
    const ModelZooSettings *s = zoo->settings;
    char folder[PATH_MAX], name[32];
    ModelRunOptions options = zoo->options;
    ReelStatus status = reel_status_ok();
    options.seed = s->seed + (uint64_t)seed;
    if (seed > 0) {
        snprintf(name, sizeof name, MODEL_ZOO_SEED_FOLDER, options.seed);
        status = run_folder_make(path_of(s->out, name, folder));
        options.files.folder = folder;
    }
    if (reel_status_is_ok(&status))
        status = train_model(zoo, kind, &options);
    progress_clear(&zoo->progress);
    if (!reel_status_is_ok(&status))
        return status;
    ModelRunResult *result = &zoo->results[zoo->done++];
    bool details = seed == 0 && result->test.logits && zoo->dataset->test.count > 0;
    if (details && nn_comm_rank(ranks) == 0)
        status = model_run_ask_delivered(result, kind, zoo->dataset, &options);
    if (details && reel_status_is_ok(&status))
        status = report_add(&zoo->report, kind, zoo->dataset, result);
    model_predictions_free(&result->test);
    return reel_status_is_ok(&status) ? write_results(zoo) : status;
}

/* All models and seeds together. Logits of what an earlier process has finished are not at hand. */
static ReelStatus add_ensemble(Zoo *zoo)
{
    const ModelDataset *dataset = zoo->choice ? zoo->choice : zoo->dataset;
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
    const ModelZooSettings *s = zoo->settings;
    bool single = zoo->dataset->text.task == MODEL_TASK_SINGLE;
    print_table(zoo->results, zoo->done, s->seeds > 1, single);
    const ModelEnsemble *e = &zoo->report.results.ensemble;
    if (e->members) {
        printf("%d together: ", e->members);
        print_tuned(&e->tuned, single);
    }
    if (s->seeds > 1 && fine) {
        printf("\n");
        report_print(&zoo->report, 1);
    }
    if (interrupted && fine)
        printf("interrupted: ended after the batch in hand; go on with: %s --resume %s\n", program_name(),
               s->out);
    printf("results: %s/results.json\nreport: %s/report.html\n", s->out, s->out);
}

static ReelStatus train_all(const ModelZooSettings *s, const ModelKind **kinds, int count,
                            const ModelRunOptions *run, const ModelDataset *dataset,
                            const ModelDataset *choice, const ModelPretrained vectors[2],
                            const ModelPretraining pretraining[2])
{
    Zoo zoo = {.settings = s, .dataset = dataset, .choice = choice, .options = *run};
    zoo.options.vectors = s->vectors ? &vectors[0] : NULL;
    zoo.choice_vectors = s->vectors ? &vectors[1] : NULL;
    zoo.options.pretraining = s->pretrain ? &pretraining[0] : NULL;
    zoo.choice_pretraining = s->pretrain ? &pretraining[1] : NULL;
    size_t runs = (size_t)count * (size_t)s->seeds;
    zoo.results = reel_mem_calloc(runs, sizeof *zoo.results);
    if (!zoo.results)
        return reel_status_no_memory(runs * sizeof *zoo.results, "the results");
    progress_init(&zoo.progress, s->quiet);
    zoo.watcher = (ModelRunWatcher){.context = &zoo.progress, .progress = show, .stop = asked_to_stop};
    ReelStatus status = report_begin(&zoo.report, s->out, dataset);
    ModelResults *results = &zoo.report.results;
    results->data = s->data;
    results->seed = (int64_t)s->seed;
    results->threads = s->threads;
    results->shards = run->trainer.shards;
    results->batch = s->batch;
    results->lr = s->lr;
    results->notebook = s->notebook;
    for (int i = 0; i < count * s->seeds && !interrupted && reel_status_is_ok(&status); i++)
        status = train_one(&zoo, kinds[i / s->seeds], i % s->seeds);
    if (zoo.done == 0 && interrupted && reel_status_is_ok(&status))
        printf("interrupted: before the first batch; go on with: %s --resume %s\n", program_name(), s->out);
    if (s->ensemble && !interrupted && reel_status_is_ok(&status))
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
        status = report_write(runs, count, path_of(out, "report.html", path));
    if (reel_status_is_ok(&status))
        printf("report: %s\n", path);
    return status;
}

static ReelStatus compare(const ModelZooSettings *s, const char *const *folders, int count)
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

static void show_reading(void *context, const char *doing, int64_t done, int64_t rows)
{
    progress_reading(context, doing, done, rows);
}

/* A file of a run that goes on. */
static ReelStatus check_there(const ModelZooSettings *s, const char *option, const char *path)
{
    if (!path || access(path, F_OK) == 0)
        return reel_status_ok();
    return reel_status_failed(
        "%.200s: is not there any more: %s; where it was moved, name it: --resume %.100s --%s FILE", path,
        strerror(errno), s->resume, option);
}

static off_t size_of(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

/* The folder for ids that are not to be in memory, which is made; NULL: they are. */
static ReelStatus choose_cache(const ModelZooSettings *s, const char *path, char folder[PATH_MAX],
                               ModelDatasetOptions *options)
{
    off_t size = size_of(path) + size_of(s->valid.file) + size_of(s->test.file);
    bool in_memory = s->cache ? strcmp(s->cache, "none") == 0
                              : options->keep_texts || (double)size <= reel_usage_most_memory() / 2;
    if (in_memory && s->shuffle_block > 0)
        return reel_status_usage(
            "--shuffle-block: is for ids in files, and they are in memory; add --cache DIR, "
            "or leave it out");
    if (in_memory)
        return reel_status_ok();
    if (options->keep_texts)
        return reel_status_usage(
            "--cache: keeps ids, and --bpe-dropout asks for the texts; leave one of them out");
    if (nn_comm_size(ranks) > 1 && strcmp(path, "-") == 0)
        return reel_status_usage("--data -: several ranks cannot read one stream; write it into a file");
    options->cache = s->cache ? s->cache : path_of(s->out, "cache", folder);
    return run_folder_make(options->cache);
}

/* A data set as the cache has it, or made for it; the corpus is read where it is asked for first. */
static ReelStatus read_cached(const char *path, const ModelDatasetOptions *options, ModelCorpus *corpus,
                              ModelDataset **dataset)
{
    ModelCache cache;
    ReelStatus status = model_cache_open(&cache, options->cache, path, options);
    if (reel_status_is_ok(&status))
        status = model_cache_load(&cache, dataset);
    if (reel_status_is_ok(&status) && !*dataset) {
        if (cache.why[0])
            program_warn("%s", cache.why);
        if (corpus->rows == 0)
            status = model_dataset_read_corpus(corpus, path, options);
        if (reel_status_is_ok(&status))
            status = model_cache_make(&cache, dataset, corpus, path, options);
    }
    model_cache_close(&cache);
    return status;
}

/* With --refit both of them, as model_zoo_datasets() does. */
static ReelStatus read_both_cached(const ModelZooSettings *s, const char *path, ModelDatasetOptions options,
                                   ModelDataset **dataset, ModelDataset **choice)
{
    ModelCorpus corpus = {0};
    ReelStatus status = s->refit ? read_cached(path, &options, &corpus, choice) : reel_status_ok();
    options.join_valid = s->refit;
    if (reel_status_is_ok(&status))
        status = read_cached(path, &options, &corpus, dataset);
    model_corpus_free(&corpus);
    return status;
}

/* The data as ids; with --refit twice: whole, and with a validation part for the choice. Byte pairs are
 * learned from them, or are those of the file to begin with. */
static ReelStatus read_data(const ModelZooSettings *s, RunFolder *folder, const ModelCheckpoint *first,
                            ModelDataset **dataset, ModelDataset **choice)
{
    ModelDatasetOptions options;
    ReelStatus status = model_zoo_dataset_options(s, &options);
    const char *path = s->resume ? folder->data_path : s->data;
    if (s->resume)
        model_zoo_stop_words(&options, folder->stop_words_path);
    if (!reel_status_is_ok(&status))
        return status;
    if (s->resume) {
        status = check_there(s, "data", path);
        if (reel_status_is_ok(&status))
            status = check_there(s, "valid", s->valid.file);
        if (reel_status_is_ok(&status))
            status = check_there(s, "test", s->test.file);
    }
    if (!reel_status_is_ok(&status))
        return status;
    options.bpe = first && options.byte_pairs > 0 ? first->text.tokenizer.bpe : NULL;
    Progress progress;
    struct stat info;
    progress_init(&progress, s->quiet);
    progress.impatient = stat(path, &info) == 0 && info.st_size > LARGE_FILE;
    options.progress = show_reading;
    options.progress_context = &progress;
    ModelCorpus corpus = {0};
    char folder_of_cache[PATH_MAX];
    show_reading(&progress, "reading", 0, 0);
    status = choose_cache(s, path, folder_of_cache, &options);
    if (reel_status_is_ok(&status) && options.cache) {
        status = read_both_cached(s, path, options, dataset, choice);
    } else if (reel_status_is_ok(&status)) {
        status = model_dataset_read_corpus(&corpus, path, &options);
        if (reel_status_is_ok(&status))
            status = model_zoo_datasets(s, &corpus, path, options, dataset, choice);
        model_corpus_free(&corpus);
    }
    progress_clear(&progress);
    return status;
}

/* What a model would refuse at its turn is refused before any has trained. */
static ReelStatus check_models(const ModelKind **kinds, int count, const ModelRunOptions *run,
                               const ModelDataset *dataset)
{
    ModelConfig config = run->config;
    config.vocabulary = dataset->text.tokenizer.vocab_size;
    config.first_piece = dataset->text.tokenizer.first_piece;
    config.labels = model_dataset_num_classes(dataset);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        Model *model;
        status = model_new_without_values(&model, kinds[i], config);
        if (reel_status_is_ok(&status))
            status = nn_module_status(&model->base);
        model_free(model);
    }
    return status;
}

/* Reads --vectors for the words of a data set. All models must have embeddings of one width. */
static ReelStatus read_vectors(const ModelZooSettings *s, const char *path, const ModelKind **kinds,
                               int count, const ModelRunOptions *run, const ModelDataset *dataset,
                               ModelPretrained *vectors)
{
    int64_t width = 0;
    for (int i = 0; i < count; i++) {
        int64_t own = run->config.embed ? run->config.embed : kinds[i]->defaults.embed;
        if (i > 0 && own != width)
            return reel_status_usage(
                "--vectors: the embedding of %s is %lld wide and that of %s %lld; give --embed",
                kinds[0]->name, (long long)width, kinds[i]->name, (long long)own);
        width = own;
    }
    ReelStatus status =
        model_pretrained_read(vectors, path, &dataset->text.vocabulary, width, s->embed_scale, s->seed);
    if (reel_status_is_ok(&status) && !s->quiet)
        printf("%s: %s, %lld words; of %d words to train with it has %d (%d of them in other letters only); "
               "the others "
               "are drawn with mean %.3g and deviation %.3g\n",
               path, vectors->format, (long long)vectors->in_file,
               model_vocabulary_size(&dataset->text.vocabulary) - MODEL_NUM_SPECIAL_TOKENS, vectors->found,
               vectors->lowered, vectors->mean, vectors->deviation);
    return status;
}

/* ---- A language to learn first ---- */

typedef struct LanguageTaker {
    ModelLanguageTexts *texts;
    const ModelPipeline *pipeline;
    ReelBytes scratch;
} LanguageTaker;

static ReelStatus take_language(void *context, ModelTextSpan text)
{
    LanguageTaker *taker = context;
    return model_language_texts_add(taker->texts, taker->pipeline, MODEL_UNKNOWN_DROPPED, text,
                                    &taker->scratch);
}

static ReelStatus add_training_part(ModelLanguageTexts *texts, const ModelDataset *dataset)
{
    const ModelDatasetPart *part = &dataset->train;
    int32_t *ids = reel_mem_alloc((size_t)dataset->text.max_len * sizeof *ids);
    ReelStatus status = ids ? reel_status_ok() : reel_status_no_memory(0, "a text");
    for (int64_t i = 0; i < part->count && reel_status_is_ok(&status); i++) {
        status = model_dataset_part_ids(part, i, ids);
        if (reel_status_is_ok(&status))
            status = model_language_texts_add_ids(texts, ids, model_dataset_part_length(part, i));
    }
    reel_mem_free(ids);
    return status;
}

/* Reads the texts of --pretrain as the data set's pipeline has them, and adds those of its training part. */
static ReelStatus read_language(const ModelZooSettings *s, const char *paths, const ModelKind **kinds,
                                int count, const ModelDataset *dataset, ModelPretraining *pretraining)
{
    const ModelCleanOptions clean = {.stop_words = "none", .keep_digits = s->keep_digits};
    ModelLanguageTexts *texts = &pretraining->texts;
    LanguageTaker taker = {.texts = texts, .pipeline = &dataset->text};
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        status = model_run_check_pretraining(kinds[i], s->layers);
    if (reel_status_is_ok(&status))
        status = raw_texts_read(paths, &clean, s->quiet, take_language, &taker);
    reel_bytes_free(&taker.scratch);
    int64_t read = texts->count;
    if (reel_status_is_ok(&status) && read == 0)
        status = reel_status_failed("%s: holds no text with words of the training part", paths);
    if (reel_status_is_ok(&status))
        status = add_training_part(texts, dataset);
    pretraining->epochs = s->pretrain_epochs;
    pretraining->lr = s->pretrain_lr;
    pretraining->dropout = s->pretrain_dropout;
    if (reel_status_is_ok(&status) && !s->quiet)
        printf("%s: %lld texts, and %lld of the training part, to learn their language from: %lld ids\n",
               paths, (long long)read, (long long)dataset->train.count, (long long)texts->ids.count);
    return status;
}

/* The data, the folder, and what stands in it. */
static ReelStatus prepare(const ModelZooSettings *s, RunFolder *folder, const ModelKind **kinds, int count,
                          ModelRunOptions *run, ModelDataset **dataset, ModelDataset **choice,
                          ModelPretrained vectors[2], ModelPretraining pretraining[2])
{
    ModelCheckpoint *first = NULL;
    const char *vectors_path = s->resume ? folder->vectors_path : s->vectors;
    const char *pretrain_paths = s->resume ? folder->pretrain_path : s->pretrain;
    run->files.init = s->resume ? folder->init_path : s->init;
    run->files.init_prefix = s->init_prefix;
    ReelStatus status = run->files.init ? read_init(&run->files, &first) : reel_status_ok();
    if (reel_status_is_ok(&status))
        status = read_data(s, folder, first, dataset, choice);
    if (reel_status_is_ok(&status) && first)
        status = check_init(run->files.init, first, kinds, count, run, *dataset);
    model_checkpoint_free(first);
    if (reel_status_is_ok(&status) && run->loss == MODEL_LOSS_SOFTMAX &&
        (*dataset)->text.task != MODEL_TASK_SINGLE)
        status =
            reel_status_usage("--loss softmax: is of one label a text, and some rows have none or several");
    if (reel_status_is_ok(&status))
        status = check_models(kinds, count, run, *dataset);
    if (reel_status_is_ok(&status) && vectors_path)
        status = read_vectors(s, vectors_path, kinds, count, run, *dataset, &vectors[0]);
    if (reel_status_is_ok(&status) && vectors_path && *choice)
        status = read_vectors(s, vectors_path, kinds, count, run, *choice, &vectors[1]);
    if (reel_status_is_ok(&status) && pretrain_paths)
        status = read_language(s, pretrain_paths, kinds, count, *dataset, &pretraining[0]);
    if (reel_status_is_ok(&status) && pretrain_paths && *choice)
        status = read_language(s, pretrain_paths, kinds, count, *choice, &pretraining[1]);
    if (reel_status_is_ok(&status))
        status = run_folder_make(s->out);
    if (reel_status_is_ok(&status) && !s->resume)
        status = run_folder_lock(folder, s->out);
    if (reel_status_is_ok(&status))
        status = run_folder_settle(folder, s, kinds, count, *choice ? *choice : *dataset, &run->files);
    if (folder->run) /* of version 0.1.0, whose loss all its models have */
        run->form = MODEL_LOSS_MEAN;
    run->files.folder = s->out;
    run->files.every = s->checkpoint_every;
    run->files.keep = s->keep;
    run->files.level = s->compress;
    run->files.resume = s->resume != NULL;
    return status;
}

/* A rank without a shard would have nothing to do. */
static ReelStatus check_shards(const ModelZooSettings *s)
{
    int size = nn_comm_size(ranks);
    if (s->shards >= size)
        return reel_status_ok();
    if (s->resume)
        return reel_status_usage(
            "%d ranks, and the run in %s has %d shard%s: a rank without a shard has nothing to "
            "do; use: %s --resume %s --ranks %d",
            size, s->resume, s->shards, plural(s->shards), program_name(), s->resume, s->shards);
    return reel_status_usage(
        "%d ranks and %d shard%s: a rank without a shard has nothing to do; use: %s --data %s "
        "--ranks %d, or add --shards %d (results depend on the shards)",
        size, s->shards, plural(s->shards), program_name(), s->data, s->shards, size);
}

/* Ranks that would train differently must not begin. */
static ReelStatus check_ranks(const ModelRunFiles *files)
{
    uLong crc = 0;
    for (int i = 0; i < files->num_settings; i++) {
        const ModelRunSetting *setting = &files->settings[i];
        crc = crc32_z(crc, (const Bytef *)setting->name, strlen(setting->name) + 1);
        if (setting->value)
            crc = crc32_z(crc, (const Bytef *)setting->value, strlen(setting->value) + 1);
    }
    return nn_comm_same(ranks, (uint32_t)crc, "the settings or the data");
}

typedef struct Job {
    const ModelKind *kinds[MODEL_ZOO_MAX_MODELS];
    int count;
    ModelRunOptions run;
    ModelDataset *dataset, *choice;
    ModelPretrained vectors[2];
    ModelPretraining pretraining[2];
} Job;

/* All that one rank may find wrong before the ranks begin together. */
static ReelStatus begin_job(Job *job, ModelZooSettings *s, const bool *given, RunFolder *folder)
{
    folder->reads_only = nn_comm_rank(ranks) > 0;
    /* Another run in that folder may be about to write other settings. */
    ReelStatus status = s->resume ? run_folder_lock(folder, s->resume) : reel_status_ok();
    if (reel_status_is_ok(&status) && s->resume)
        status = run_folder_read_settings(folder, s, given);
    if (!s->out)
        s->out = "runs/zoo";
    if (reel_status_is_ok(&status) && !s->data)
        return reel_status_usage("--data FILE is required");
    if (reel_status_is_ok(&status))
        status = check_shards(s);
    if (reel_status_is_ok(&status))
        status = model_zoo_choose_models(s->models, job->kinds, &job->count);
    if (reel_status_is_ok(&status))
        status = model_zoo_run_options(s, &job->run);
    if (!reel_status_is_ok(&status))
        return status;
    job->run.trainer.comm = ranks;
    if (!s->quiet)
        print_first(s);
    return prepare(s, folder, job->kinds, job->count, &job->run, &job->dataset, &job->choice, job->vectors,
                   job->pretraining);
}

static void warn_of_data(const ModelDataset *dataset)
{
    const ModelDatasetPart *test = &dataset->test;
    if (test->missed > 0)
        program_warn(
            "%d label%s of the test part that training does not know (%s) count%s as missed, %lld times",
            test->missed_labels, plural(test->missed_labels), dataset->missed_names,
            test->missed_labels == 1 ? "s" : "", (long long)test->missed);
    if (dataset->repeated > 0)
        program_warn(
            "%lld texts of the other parts are trained on as well, word for word; what is measured on them "
            "says little",
            (long long)dataset->repeated);
    if (dataset->warning[0])
        program_warn("%s", dataset->warning);
}

static ReelStatus train_zoo(ModelZooSettings *s, const bool *given, RunFolder *folder)
{
    Job job = {0};
    nn_comm_set_timeout(ranks, 0); /* they read files for as long as it takes */
    ReelStatus status = begin_job(&job, s, given, folder);
    if (job.dataset && nn_comm_rank(ranks) == 0)
        warn_of_data(job.dataset);
    if (nn_comm_size(ranks) > 1)
        status = nn_comm_agree(ranks, &status);
    if (reel_status_is_ok(&status))
        status = check_ranks(&job.run.files);
    nn_comm_set_timeout(ranks, s->rank_timeout);
    if (reel_status_is_ok(&status)) {
        if (!s->quiet)
            print_head(s, &job.run, job.dataset);
        status = train_all(s, job.kinds, job.count, &job.run, job.dataset, job.choice, job.vectors,
                           job.pretraining);
    }
    model_pretrained_free(&job.vectors[0]);
    model_pretrained_free(&job.vectors[1]);
    model_language_texts_free(&job.pretraining[0].texts);
    model_language_texts_free(&job.pretraining[1].texts);
    model_dataset_free(job.choice);
    model_dataset_free(job.dataset);
    return status;
}

static bool tells(int argc, char **argv)
{
    ModelZooSettings standard = model_zoo_defaults();
    ModelOption options[MODEL_ZOO_MAX_OPTIONS];
    const Program program = {
        .name = "reel-train",
        .summary = "train text classifiers on a labelled corpus and compare them",
        .synopsis = "--data FILE [options]\n--resume DIR [options]\n--compare RUN... [--out DIR]",
        .description =
            "Trains models of the zoo on a labelled corpus, one after another, shows their quality on the "
            "test part "
            "after each epoch, and compares them in DIR/report.html. With --compare, makes one such page "
            "(runs/compare/report.html) of several finished runs.",
        .options = options,
        .count = model_zoo_options(&standard, options),
    };
    return program_tells(&program, argc, argv);
}

/* What the options say, and what else there is on the command line, which moves to the front of `argv`. */
static ReelStatus read_command_line(ModelZooSettings *s, int argc, char **argv, bool *given,
                                    const char ***rest, int *rest_count)
{
    ModelOption options[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_options(s, options);
    *rest = (const char **)argv;
    ReelStatus status = options_parse(options, count, argc, argv, *rest, rest_count, given);
    if (!reel_status_is_ok(&status))
        return status;
    if (*rest_count > 0 && !s->compare)
        return reel_status_usage("'%.100s': an argument where an option is expected", (*rest)[0]);
    if (s->shards == 0)
        s->shards = s->threads * nn_comm_size(ranks);
    if (strcmp(s->models, "best") == 0 && s->resume) {
        s->models = model_zoo_best().models;
    } else if (strcmp(s->models, "best") == 0) {
        const char *excluded = model_zoo_use_best(s, given);
        if (excluded && !s->quiet)
            printf("--models best without its --refit, which does not go with %s\n", excluded);
    }
    return reel_status_ok();
}

static ReelStatus train_until_interrupted(ModelZooSettings *s, const bool *given)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* which mpirun hands on, while SIGKILL follows its SIGTERM */
    RunFolder folder;
    run_folder_init(&folder);
    ReelStatus status = train_zoo(s, given, &folder);
    run_folder_free(&folder);
    return status;
}

static void list_models(void)
{
    for (int i = 0; i < model_zoo_count(); i++)
        printf("%-16s %s\n", model_zoo_kind(i)->name, model_zoo_kind(i)->description);
}

/* Of several ranks, rank 0 speaks. */
static void begin_rank(ModelZooSettings *s)
{
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"); /* of mpirun: the ranks of this machine */
    int neighbours = here && atoi(here) > 0 ? atoi(here) : nn_comm_size(ranks);
    s->threads = s->threads / neighbours > 0 ? s->threads / neighbours : 1;
    if (nn_comm_rank(ranks) > 0) {
        s->quiet = true;
        if (!freopen("/dev/null", "w", stdout))
            fclose(stdout);
    }
}

static ReelStatus run(int argc, char **argv)
{
    ModelZooSettings settings = model_zoo_defaults();
    bool given[MODEL_ZOO_MAX_OPTIONS] = {false};
    const char **rest;
    int rest_count = 0;
    begin_rank(&settings);
    if (tells(argc, argv))
        return reel_status_ok();
    ReelStatus status = read_command_line(&settings, argc, argv, given, &rest, &rest_count);
    settings.quiet = settings.quiet || nn_comm_rank(ranks) > 0;
    if (nn_comm_size(ranks) > 1)
        status = nn_comm_agree(ranks, &status);
    if (!reel_status_is_ok(&status))
        return status;
    if (settings.list)
        list_models();
    else if (settings.compare)
        status = nn_comm_rank(ranks) == 0 ? compare(&settings, rest, rest_count) : status;
    else
        status = train_until_interrupted(&settings, given);
    return status;
}

int main(int argc, char **argv)
{
    ReelStatus status = nn_comm_open(&ranks, &argc, &argv);
    if (reel_status_is_ok(&status))
        status = run(argc, argv);
    int code = nn_comm_report(ranks, &status) ? program_report(&status) : (int)status.code;
    nn_comm_close(ranks);
    return code == 0 && interrupted ? 128 + interrupted : code; /* as a shell tells it */
}
