#include "tools/run_folder.h"

#include "models/training/run_settings.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"
#include "models/training/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

void run_folder_init(RunFolder *folder)
{
    *folder = (RunFolder){.lock = -1};
    tensor_arena_init(&folder->arena, 4096);
}

/* So that whatever is in a folder has a path that fits PATH_MAX. */
enum { MOST_PATH = 1024 };

static ReelStatus check_path(const char *path)
{
    return strlen(path) < MOST_PATH
               ? reel_status_ok()
               : reel_status_failed("%.200s: the path is too long; choose a shorter one", path);
}

const char *run_folder_path(const char *folder, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

ReelStatus run_folder_make(const char *path)
{
    char part[MOST_PATH];
    ReelStatus status = check_path(path);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return reel_status_failed("%s: cannot make the folder: %s; choose another with --out", part,
                                      strerror(errno));
        if (!slash)
            break;
        *slash = '/';
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return reel_status_failed("%s: is not a folder; choose another with --out", path);
    if (access(path, W_OK | X_OK) != 0)
        return reel_status_failed("%s: cannot be written: %s; make it writable, or choose another with --out",
                                  path, strerror(errno));
    return reel_status_ok();
}

/* What in settings.json is no option. */
enum { FOLDER_OPTIONS = 11 };

static void folder_options(RunFolder *f, ModelOption options[FOLDER_OPTIONS])
{
    const ModelOption all[FOLDER_OPTIONS] = {
        {"data_path", "", MODEL_OPTION_TEXT, &f->data_path, 0, 0, ""},
        {"stop_words_path", "", MODEL_OPTION_TEXT, &f->stop_words_path, 0, 0, ""},
        {"init_path", "", MODEL_OPTION_TEXT, &f->init_path, 0, 0, ""},
        {"vectors_path", "", MODEL_OPTION_TEXT, &f->vectors_path, 0, 0, ""},
        {"pretrain_path", "", MODEL_OPTION_TEXT, &f->pretrain_path, 0, 0, ""},
        {"pretrain_hash", "", MODEL_OPTION_TEXT, &f->pretrain_hash, 0, 0, ""},
        {"data_hash", "", MODEL_OPTION_TEXT, &f->data_hash, 0, 0, ""},
        {"fingerprint", "", MODEL_OPTION_TEXT, &f->fingerprint, 0, 0, ""},
        {"init_hash", "", MODEL_OPTION_TEXT, &f->init_hash, 0, 0, ""},
        {"vectors_hash", "", MODEL_OPTION_TEXT, &f->vectors_hash, 0, 0, ""},
        {"run", "", MODEL_OPTION_TEXT, &f->run, 0, 0, ""},
    };
    memcpy(options, all, sizeof all);
}

/* Two runs in one folder would overwrite each other's files. One that was killed may still be on its way out
 * while the disk is busy, which is worth a few seconds of patience. */
ReelStatus run_folder_lock(RunFolder *folder, const char *path)
{
    enum { TRIES = 50 };
    const struct timespec pause = {.tv_nsec = 100000000};
    if (folder->reads_only)
        return reel_status_ok();
    folder->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; folder->lock >= 0 && flock(folder->lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            break; /* a file system that knows no locks */
        if (i == TRIES || nanosleep(&pause, NULL) != 0)
            return reel_status_failed(
                "%s: another run is at work in this folder; wait for it or choose another", path);
    }
    return reel_status_ok();
}

void run_folder_free(RunFolder *folder)
{
    if (folder->lock >= 0)
        close(folder->lock);
    tensor_arena_free(&folder->arena);
}

static const char *absolute(RunFolder *folder, const char *path)
{
    char *full = path ? realpath(path, NULL) : NULL;
    const char *copy = full ? tensor_arena_memdup(&folder->arena, full, strlen(full) + 1) : path;
    free(full);
    return copy;
}

/* The same of a list with commas. */
static const char *absolute_list(RunFolder *folder, const char *list)
{
    size_t size = 0, used = 0;
    if (!list)
        return NULL;
    for (const char *at = list; *at; at++)
        size += *at == ',';
    char *copy = tensor_arena_memdup(&folder->arena, list, strlen(list) + 1),
         *all = tensor_arena_alloc(&folder->arena, (size + 1) * PATH_MAX);
    if (!copy || !all)
        return NULL;
    *all = '\0';
    for (char *part; (part = strsep(&copy, ",")) != NULL;)
        if (*part)
            used += (size_t)snprintf(all + used, PATH_MAX, "%s%s", used ? "," : "", absolute(folder, part));
    return all;
}

/* `none` and `default` are no files. */
static const char *absolute_stop_words(RunFolder *folder, const char *path)
{
    return path && (strcmp(path, "none") == 0 || strcmp(path, "default") == 0) ? path
                                                                               : absolute(folder, path);
}

/* All that a run is told, as it stands in settings.json. */
static const char *all_settings(ReelJsonWriter *json, const ModelZooSettings *s, RunFolder *folder)
{
    ModelZooSettings copy = *s;
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS];
    ModelOption more[FOLDER_OPTIONS];
    copy.valid.file = absolute(folder, s->valid.file);
    copy.test.file = absolute(folder, s->test.file);
    int count = model_zoo_settings(&copy, settings);
    folder_options(folder, more);
    reel_json_begin_object(json, NULL);
    for (int i = 0; i < count; i++)
        if (settings[i].use != MODEL_SETTING_COMMAND)
            model_settings_write(json, &settings[i].option);
    for (int i = 0; i < FOLDER_OPTIONS; i++)
        model_settings_write(json, &more[i]);
    reel_json_end_object(json);
    return reel_json_finish(json);
}

/* The settings that a model's file must have been trained with. */
static ReelStatus name_settings(RunFolder *folder, const ModelZooSettings *s, ModelRunFiles *files)
{
    ModelZooSettings copy = *s;
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_settings(&copy, settings), used = 0;
    for (int i = 0; i < count; i++) {
        const ModelSetting *setting = &settings[i];
        if (setting->use != MODEL_SETTING_MODEL || setting->option.value == &copy.models)
            continue;
        const char *value = model_settings_text(&setting->option, &folder->arena);
        if (!value)
            return reel_status_no_memory(0, "the settings");
        const char *before = setting->option.kind == MODEL_OPTION_FLAG ? "off" : setting->before;
        bool is_file = setting->option.kind == MODEL_OPTION_PART &&
                       ((const ModelOptionPart *)setting->option.value)->file;
        folder->settings[used++] = (ModelRunSetting){setting->option.name, value, before, is_file};
    }
    folder->settings[used++] = (ModelRunSetting){"data_hash", folder->data_hash, NULL, false};
    folder->settings[used++] = (ModelRunSetting){"fingerprint", folder->fingerprint, NULL, false};
    files->settings = folder->settings;
    files->num_settings = used;
    snprintf(files->id, sizeof files->id, "%s", folder->run ? folder->run : "");
    return reel_status_ok();
}

static ReelStatus remove_file(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
        return reel_status_failed("%.400s: cannot remove what another run has left: %s; choose another --out",
                                  path, strerror(errno));
    return reel_status_ok();
}

static ReelStatus remove_last(const char *path, const ModelRunFiles *files)
{
    (void)files;
    return remove_file(path);
}

/* Calls `visit` for each file that a model of the run goes on from, whether it is there or not. */
static ReelStatus each_last(const ModelZooSettings *s, const ModelKind *const *kinds, int count,
                            const ModelRunFiles *files,
                            ReelStatus (*visit)(const char *path, const ModelRunFiles *files))
{
    char path[PATH_MAX], seed[64] = "";
    ReelStatus status = reel_status_ok();
    for (int n = 0; n < s->seeds; n++) {
        if (n > 0)
            snprintf(seed, sizeof seed, MODEL_ZOO_SEED_FOLDER "/", s->seed + (uint64_t)n);
        for (int i = 0; i < 2 * count && reel_status_is_ok(&status); i++) {
            snprintf(path, sizeof path, "%s/%s%s%s.last.npz", s->out, seed,
                     i % 2 ? MODEL_ZOO_CHOICE_FOLDER "/" : "", kinds[i / 2]->name);
            status = visit(path, files);
        }
    }
    return status;
}

/* What another run in this folder has come to would pass for this run's beside the new settings, and so would
 * the files that it could have gone on from. */
static ReelStatus remove_old_run(const ModelZooSettings *s, const ModelKind *const *kinds, int count)
{
    static const char *const names[] = {"results.json", "report.json", "report.html"};
    char path[PATH_MAX];
    ReelStatus status = reel_status_ok();
    for (size_t i = 0; i < sizeof names / sizeof names[0] && reel_status_is_ok(&status); i++) {
        snprintf(path, sizeof path, "%s/%s", s->out, names[i]);
        status = remove_file(path);
    }
    return reel_status_is_ok(&status) ? each_last(s, kinds, count, NULL, remove_last) : status;
}

/* Of a run that goes on. */
static ReelStatus same_data(const RunFolder *folder, const ModelZooSettings *s, const char *hash,
                            const char *fingerprint, const char *init_hash, const char *vectors_hash,
                            const char *pretrain_hash)
{
    if (strcmp(folder->data_hash, hash) != 0)
        return reel_status_failed(
            "%s: has hash %s, and the run in %s was trained on data with hash %s; put the data "
            "back, or start a new run",
            folder->data_path, hash, s->out, folder->data_hash);
    if (folder->init_hash && init_hash && strcmp(folder->init_hash, init_hash) != 0)
        return reel_status_failed(
            "%s: is not the file that the run in %s began with; put it back, or start a new run",
            folder->init_path, s->out);
    if (folder->vectors_hash && vectors_hash && strcmp(folder->vectors_hash, vectors_hash) != 0)
        return reel_status_failed(
            "%s: are not the vectors that the run in %s began with; put them back, or start a new run",
            folder->vectors_path, s->out);
    if (folder->pretrain_hash && pretrain_hash && strcmp(folder->pretrain_hash, pretrain_hash) != 0)
        return reel_status_failed("%s: are not the texts that the run in %s learned a language from; put "
                                  "them back, or start a new run",
                                  folder->pretrain_path, s->out);
    if (strcmp(folder->fingerprint, fingerprint) != 0)
        return reel_status_failed(
            "%s: gives different ids from those that the run in %s began with; put the file of stop words "
            "back, or start a new run",
            folder->data_path, s->out);
    return reel_status_ok();
}

static ReelStatus file_hash(const char *path, TensorArena *arena, const char **hash)
{
    char *bytes, text[MODEL_CORPUS_HASH_SIZE];
    size_t size;
    *hash = NULL;
    if (!path)
        return reel_status_ok();
    ReelStatus status = reel_text_file_read(path, &bytes, &size);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(text, sizeof text, "%08lx", crc32_z(0, (const Bytef *)bytes, size) & 0xffffffff);
    reel_mem_free(bytes);
    *hash = tensor_arena_memdup(arena, text, sizeof text);
    return *hash ? reel_status_ok() : reel_status_no_memory(sizeof text, path);
}

/* One hash of several files. */
static ReelStatus list_hash(const char *list, TensorArena *arena, const char **hash)
{
    char *copy = list ? tensor_arena_memdup(arena, list, strlen(list) + 1) : NULL,
         text[MODEL_CORPUS_HASH_SIZE];
    uLong crc = 0;
    *hash = NULL;
    if (!copy)
        return list ? reel_status_no_memory(0, list) : reel_status_ok();
    for (char *part; (part = strsep(&copy, ",")) != NULL;) {
        const char *one = NULL;
        ReelStatus status = *part ? file_hash(part, arena, &one) : reel_status_ok();
        if (!reel_status_is_ok(&status))
            return status;
        crc = one ? crc32_z(crc, (const Bytef *)one, strlen(one)) : crc;
    }
    snprintf(text, sizeof text, "%08lx", crc & 0xffffffff);
    *hash = tensor_arena_memdup(arena, text, sizeof text);
    return *hash ? reel_status_ok() : reel_status_no_memory(sizeof text, list);
}

/* Writes the settings, where there are others than these. */
static ReelStatus write_settings(RunFolder *folder, const ModelZooSettings *s)
{
    char path[PATH_MAX];
    ReelJsonWriter json = {0};
    const char *text = all_settings(&json, s, folder);
    bool same = text && folder->written && strcmp(folder->written, text) == 0;
    snprintf(path, sizeof path, "%s/settings.json", s->out);
    return reel_json_save(&json, same ? NULL : path);
}

ReelStatus run_folder_settle(RunFolder *folder, const ModelZooSettings *s, const ModelKind *const *kinds,
                             int count, const ModelDataset *dataset, ModelRunFiles *files)
{
    char fingerprint[MODEL_CORPUS_HASH_SIZE];
    const char *init_hash, *vectors_hash = NULL, *pretrain_hash = NULL;
    ReelStatus status = model_dataset_fingerprint(dataset, fingerprint);
    if (reel_status_is_ok(&status))
        status = file_hash(s->resume ? folder->init_path : s->init, &folder->arena, &init_hash);
    if (reel_status_is_ok(&status))
        status = file_hash(s->resume ? folder->vectors_path : s->vectors, &folder->arena, &vectors_hash);
    if (reel_status_is_ok(&status))
        status = list_hash(s->resume ? folder->pretrain_path : s->pretrain, &folder->arena, &pretrain_hash);
    if (reel_status_is_ok(&status) && s->resume)
        status = same_data(folder, s, dataset->text.data_hash, fingerprint, init_hash, vectors_hash,
                           pretrain_hash);
    if (!reel_status_is_ok(&status))
        return status;
    if (!s->resume) {
        folder->data_path = absolute(folder, s->data);
        folder->stop_words_path = absolute_stop_words(folder, s->stop_words);
        folder->init_path = absolute(folder, s->init);
        folder->vectors_path = absolute(folder, s->vectors);
        folder->pretrain_path = absolute_list(folder, s->pretrain);
        folder->data_hash =
            tensor_arena_memdup(&folder->arena, dataset->text.data_hash, sizeof dataset->text.data_hash);
        folder->fingerprint = tensor_arena_memdup(&folder->arena, fingerprint, sizeof fingerprint);
        if (!folder->data_hash || !folder->fingerprint)
            return reel_status_no_memory(sizeof fingerprint, "the settings");
        if (!folder->reads_only)
            status = remove_old_run(s, kinds, count);
    }
    folder->init_hash = init_hash;
    folder->vectors_hash = vectors_hash;
    folder->pretrain_hash = pretrain_hash;
    if (reel_status_is_ok(&status))
        status = name_settings(folder, s, files);
    if (reel_status_is_ok(&status) && s->resume) /* what is refused leaves the folder as it was */
        status = each_last(s, kinds, count, files, model_run_settings_check_file);
    return reel_status_is_ok(&status) && !folder->reads_only ? write_settings(folder, s) : status;
}

/* ---- Going on ---- */

/* What a run without any files would have: the settings as they were before there were any to choose. */
static ReelStatus set_before(const ModelSetting *settings, int count)
{
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        if (settings[i].before)
            status = model_options_set(&settings[i].option, settings[i].before);
        else if (settings[i].use == MODEL_SETTING_MODEL && settings[i].option.kind == MODEL_OPTION_FLAG)
            *(bool *)settings[i].option.value = false;
    return status;
}

/* Takes what was given, where a run can go on with it. */
static ReelStatus take_given(const char *folder, const ModelSetting *given, const ModelSetting *of_run)
{
    TensorArena arena;
    ReelStatus status = reel_status_ok();
    tensor_arena_init(&arena, 0);
    const char *mine = model_settings_text(&given->option, &arena),
               *its = model_settings_text(&of_run->option, &arena);
    bool moved = given->option.kind == MODEL_OPTION_PART && ((ModelOptionPart *)given->option.value)->file &&
                 ((ModelOptionPart *)of_run->option.value)->file; /* what is in it is compared later */
    if (!mine || !its)
        status = reel_status_no_memory(0, "the settings");
    else if (given->use == MODEL_SETTING_MODEL && strcmp(mine, its) != 0 && !moved)
        status = reel_status_usage(
            "--%s %s: the run in %s was begun with %s, and would come to another model; leave the "
            "option out, or start a new run with another --out",
            given->option.name, mine, folder, *its ? its : "the default");
    else
        model_options_copy(&of_run->option, &given->option);
    tensor_arena_free(&arena);
    return status;
}

/* A schedule leads the rate down over all epochs; and what was trained is not forgotten. */
static ReelStatus check_length(const char *folder, const ModelZooSettings *s, int epochs)
{
    if (s->epochs != epochs && strcmp(s->schedule, "constant") != 0)
        return reel_status_usage(
            "--epochs %d: the run in %s has --schedule %s, which has led the learning rate down over "
            "%d epochs; leave the option out, or start a new run with another --out",
            s->epochs, folder, s->schedule, epochs);
    if (s->epochs < epochs)
        return reel_status_usage(
            "--epochs %d: the run in %s is one of %d, which may become more but not fewer; end it "
            "by Ctrl-C, or start a new run with another --out",
            s->epochs, folder, epochs);
    return reel_status_ok();
}

/* The paths that were given. */
static void take_paths(RunFolder *folder, const ModelZooSettings *s, const ModelSetting *settings, int count,
                       const bool *given)
{
    for (int i = 0; i < count; i++) {
        if (settings[i].use != MODEL_SETTING_FILE || !given[i])
            continue;
        if (settings[i].option.value == &s->data)
            folder->data_path = absolute(folder, s->data);
        else if (settings[i].option.value == &s->stop_words)
            folder->stop_words_path = absolute_stop_words(folder, s->stop_words);
        else if (settings[i].option.value == &s->vectors)
            folder->vectors_path = absolute(folder, s->vectors);
        else if (settings[i].option.value == &s->pretrain)
            folder->pretrain_path = absolute_list(folder, s->pretrain);
        else
            folder->init_path = absolute(folder, s->init);
    }
}

/* The run's id where settings.json has none, which is not the same as null. */
#define ABSENT ""

/* Reads settings.json. */
static ReelStatus read_file(RunFolder *folder, const char *run, const ModelSetting *settings, int count)
{
    char path[PATH_MAX], *text;
    size_t size;
    ModelOption all[MODEL_ZOO_MAX_OPTIONS + FOLDER_OPTIONS];
    int used = 0;
    for (int i = 0; i < count; i++)
        if (settings[i].use != MODEL_SETTING_COMMAND)
            all[used++] = settings[i].option;
    folder_options(folder, all + used);
    ReelStatus status = check_path(run);
    snprintf(path, sizeof path, "%s/settings.json", run);
    if (reel_status_is_ok(&status))
        status = reel_text_file_read(path, &text, &size);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.350s; --resume needs the folder of a run (--out)", status.message);
    folder->run = ABSENT;
    status = model_settings_read(all, used + FOLDER_OPTIONS, path, text, size, &folder->arena);
    if (reel_status_is_ok(&status) && !(folder->data_path && folder->data_hash && folder->fingerprint))
        status = reel_status_failed(
            "%s: does not name the data, so it was not written by a run; choose the folder of another", path);
    folder->written = tensor_arena_memdup(&folder->arena, text, size + 1);
    /* Checkpoints of version 0.1.0 know the run by the file itself. */
    if (reel_status_is_ok(&status) && folder->run && strcmp(folder->run, ABSENT) == 0) {
        char id[MODEL_RUN_ID_SIZE];
        snprintf(id, sizeof id, "%08lx", crc32_z(0, (const Bytef *)text, size) & 0xffffffff);
        folder->run = tensor_arena_memdup(&folder->arena, id, sizeof id);
    }
    reel_mem_free(text);
    return status;
}

ReelStatus run_folder_read_settings(RunFolder *folder, ModelZooSettings *s, const bool *given)
{
    ModelZooSettings command = *s;
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS], of_command[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_settings(s, settings);
    model_zoo_settings(&command, of_command);
    *s = model_zoo_defaults();
    ReelStatus status = set_before(settings, count);
    if (reel_status_is_ok(&status))
        status = read_file(folder, command.resume, settings, count);
    if (!reel_status_is_ok(&status))
        return status;
    if (s->shards == 0) /* as many as there were threads, whatever there are now */
        s->shards = s->threads;
    if (strcmp(s->models, "best") == 0)
        s->models = "wide"; /* version 0.1.0's */
    int epochs = s->epochs;
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        if (given[i])
            status = take_given(command.resume, &of_command[i], &settings[i]);
    if (reel_status_is_ok(&status) && s->out && strcmp(s->out, command.resume) != 0)
        status = reel_status_usage("--out %s: a run goes on in its own folder; leave the option out", s->out);
    if (reel_status_is_ok(&status))
        status = check_length(command.resume, s, epochs);
    take_paths(folder, s, settings, count, given);
    s->out = s->resume = command.resume;
    return status;
}
