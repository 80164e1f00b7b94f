/* Trains models of the zoo on a labelled corpus and compares them: the command line, the ranks, and the order
 * of things. */
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static NnComm *ranks;

/* The data, the folder, and what stands in it. */
static ReelStatus prepare(TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    RunFolder *folder = job->folder;
    ModelRunOptions *run = &job->run;
    run->files.init = s->resume ? folder->init_path : s->init;
    run->files.init_prefix = s->init_prefix;
    ReelStatus status = train_read_data(job);
    if (reel_status_is_ok(&status) && run->loss == MODEL_LOSS_SOFTMAX &&
        job->dataset->text.task != MODEL_TASK_SINGLE)
        status =
            reel_status_usage("--loss softmax: is of one label a text, and some rows have none or several");
    if (reel_status_is_ok(&status))
        status = train_check_models(job);
    if (reel_status_is_ok(&status))
        status = train_read_vectors(job);
    if (reel_status_is_ok(&status))
        status = train_read_language(job);
    if (reel_status_is_ok(&status))
        status = run_folder_make(s->out);
    if (reel_status_is_ok(&status) && !s->resume)
        status = run_folder_lock(folder, s->out);
    if (reel_status_is_ok(&status))
        status = run_folder_settle(folder, s, job->kinds, job->count,
                                   job->choice ? job->choice : job->dataset, &run->files);
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
            size, s->resume, s->shards, train_plural(s->shards), program_name(), s->resume, s->shards);
    return reel_status_usage(
        "%d ranks and %d shard%s: a rank without a shard has nothing to do; use: %s --data %s "
        "--ranks %d, or add --shards %d (results depend on the shards)",
        size, s->shards, train_plural(s->shards), program_name(), s->data, s->shards, size);
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

/* All that one rank may find wrong before the ranks begin together. */
static ReelStatus begin_job(TrainJob *job, ModelZooSettings *s, const bool *given)
{
    RunFolder *folder = job->folder;
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
        train_print_first(s, ranks);
    return prepare(job);
}

static ReelStatus train_zoo(ModelZooSettings *s, const bool *given, RunFolder *folder)
{
    TrainJob job = {.settings = s, .ranks = ranks, .folder = folder};
    nn_comm_set_timeout(ranks, 0); /* they read files for as long as it takes */
    ReelStatus status = begin_job(&job, s, given);
    if (job.dataset && nn_comm_rank(ranks) == 0)
        train_warn_of_data(job.dataset);
    if (nn_comm_size(ranks) > 1)
        status = nn_comm_agree(ranks, &status);
    if (reel_status_is_ok(&status))
        status = check_ranks(&job.run.files);
    nn_comm_set_timeout(ranks, s->rank_timeout);
    if (reel_status_is_ok(&status)) {
        if (!s->quiet)
            train_print_head(&job);
        status = train_models(&job);
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
    interrupt_catch(ranks);
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
        status = nn_comm_rank(ranks) == 0 ? train_compare(&settings, rest, rest_count) : status;
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
    code = interrupt_exit_code(code); /* a signal that comes later finds nothing to interrupt */
    interrupt_close(ranks);
    return code;
}
