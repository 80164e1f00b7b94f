/* What train_zoo trains on: the corpus as ids, in memory or in a cache. */
#include "models/text/cache.h"
#include "tensor/usage.h"
#include "tools/program.h"
#include "tools/progress.h"
#include "tools/train.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of data that take seconds to read. */
enum { LARGE_FILE = 1 << 25 };

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
static ReelStatus choose_cache(const TrainJob *job, const char *path, char folder[PATH_MAX],
                               ModelDatasetOptions *options)
{
    const ModelZooSettings *s = job->settings;
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
    if (nn_comm_size(job->ranks) > 1 && strcmp(path, "-") == 0)
        return reel_status_usage("--data -: several ranks cannot read one stream; write it into a file");
    options->cache = s->cache ? s->cache : run_folder_path(s->out, "cache", folder);
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
static ReelStatus read_both_cached(TrainJob *job, const char *path, ModelDatasetOptions options)
{
    ModelCorpus corpus = {0};
    ReelStatus status =
        job->settings->refit ? read_cached(path, &options, &corpus, &job->choice) : reel_status_ok();
    options.join_valid = job->settings->refit;
    if (reel_status_is_ok(&status))
        status = read_cached(path, &options, &corpus, &job->dataset);
    model_corpus_free(&corpus);
    return status;
}

/* All models of a run begin with the same file, which therefore is of all their kinds. */
static ReelStatus begin(TrainJob *job, const ModelCheckpoint *first, ModelDatasetOptions *options)
{
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < job->count && reel_status_is_ok(&status); i++)
        status = model_zoo_begin(job->settings, first, job->kinds[i], &job->run, options);
    if (first) {
        job->begun_labels = first->text.labels.count;
        job->begun_words = model_vocabulary_size(&first->text.vocabulary);
    }
    return status;
}

/* The data as the options say. */
static ReelStatus read_data(TrainJob *job, ModelDatasetOptions options)
{
    const ModelZooSettings *s = job->settings;
    const char *path = s->resume ? job->folder->data_path : s->data;
    ReelStatus status = s->resume ? check_there(s, "data", path) : reel_status_ok();
    if (reel_status_is_ok(&status) && s->resume)
        status = check_there(s, "valid", s->valid.file);
    if (reel_status_is_ok(&status) && s->resume)
        status = check_there(s, "test", s->test.file);
    if (!reel_status_is_ok(&status))
        return status;
    Progress progress;
    struct stat info;
    progress_init(&progress, s->quiet);
    progress.impatient = stat(path, &info) == 0 && info.st_size > LARGE_FILE;
    options.progress = show_reading;
    options.progress_context = &progress;
    ModelCorpus corpus = {0};
    char folder_of_cache[PATH_MAX];
    show_reading(&progress, "reading", 0, 0);
    status = choose_cache(job, path, folder_of_cache, &options);
    if (reel_status_is_ok(&status) && options.cache) {
        status = read_both_cached(job, path, options);
    } else if (reel_status_is_ok(&status)) {
        status = model_dataset_read_corpus(&corpus, path, &options);
        if (reel_status_is_ok(&status))
            status = model_zoo_datasets(s, &corpus, path, options, &job->dataset, &job->choice);
        model_corpus_free(&corpus);
    }
    progress_clear(&progress);
    return status;
}

ReelStatus train_read_data(TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    ModelDatasetOptions options;
    ModelCheckpoint *first = NULL;
    ReelStatus status = model_zoo_dataset_options(s, &options);
    if (reel_status_is_ok(&status) && s->resume)
        model_zoo_stop_words(&options, job->folder->stop_words_path);
    if (reel_status_is_ok(&status) && s->resume)
        status = check_there(s, "init", job->run.files.init);
    if (reel_status_is_ok(&status))
        status = model_run_read_init(&first, &job->run.files);
    if (reel_status_is_ok(&status))
        status = begin(job, first, &options);
    if (reel_status_is_ok(&status))
        status = read_data(job, options);
    model_checkpoint_free(first);
    return status;
}
