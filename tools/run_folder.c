#include "tools/run_folder.h"

#include "tensor/storage/text_file.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/mem.h"
#include "tools/settings.h"

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
    arena_init(&folder->arena, 4096);
}

Status run_folder_make(const char *path)
{
    char part[1024];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return status_failed("%s: the path is too long", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return status_failed("%s: cannot make the folder: %s; choose another with --out", part,
                                 strerror(errno));
        if (!slash)
            break;
        *slash = '/';
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return status_failed("%s: is not a folder; choose another with --out", path);
    if (access(path, W_OK | X_OK) != 0)
        return status_failed("%s: cannot be written: %s; make it writable, or choose another with --out",
                             path, strerror(errno));
    return status_ok();
}

/* What in settings.json is no option. */
#define FOLDER_OPTIONS(f)                                                                                    \
    {                                                                                                        \
        {"data_path", "", OPTION_TEXT, &(f)->data_path, 0, 0, ""},                                           \
            {"stop_words_path", "", OPTION_TEXT, &(f)->stop_words_path, 0, 0, ""},                           \
            {"init_path", "", OPTION_TEXT, &(f)->init_path, 0, 0, ""},                                       \
            {"data_hash", "", OPTION_TEXT, &(f)->data_hash, 0, 0, ""},                                       \
            {"fingerprint", "", OPTION_TEXT, &(f)->fingerprint, 0, 0, ""},                                   \
    }

/* Of an option of this command, not of the run. */
static bool is_of_command(const char *name)
{
    return strcmp(name, "resume") == 0 || strcmp(name, "quiet") == 0 || strcmp(name, "help") == 0 ||
           strcmp(name, "list") == 0 || strcmp(name, "out") == 0 || strcmp(name, "compare") == 0;
}

/* Two runs in one folder would overwrite each other's files. One that was killed may still be on its way out
 * while the disk is busy, which is worth a few seconds of patience. */
Status run_folder_lock(RunFolder *folder, const char *path)
{
    enum { TRIES = 50 };
    const struct timespec pause = {.tv_nsec = 100000000};
    folder->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; folder->lock >= 0 && flock(folder->lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            break; /* a file system that knows no locks */
        if (i == TRIES || nanosleep(&pause, NULL) != 0)
            return status_failed(
                "%s: another train_zoo is at work in this folder; wait for it or choose another", path);
    }
    return status_ok();
}

void run_folder_free(RunFolder *folder)
{
    subwords_free(&folder->subwords);
    if (folder->lock >= 0)
        close(folder->lock);
    arena_free(&folder->arena);
}

static const char *absolute(RunFolder *folder, const char *path)
{
    char *full = path ? realpath(path, NULL) : NULL;
    const char *copy = full ? arena_memdup(&folder->arena, full, strlen(full) + 1) : path;
    free(full);
    return copy;
}

static Status settings_path(const char *folder, char *path, size_t size)
{
    if (snprintf(path, size, "%s/settings.json", folder) >= (int)size)
        return status_failed("%.200s: the path is too long; choose a shorter one", folder);
    return status_ok();
}

/* The settings as text: what the run depends on. */
static const char *settings_text(JsonWriter *json, const ZooSettings *s, RunFolder *folder)
{
    ZooSettings copy = *s;
    Option options[ZOO_MAX_OPTIONS];
    const Option more[] = FOLDER_OPTIONS(folder);
    int count = zoo_options(&copy, options);
    json_begin_object(json, NULL);
    for (int i = 0; i < count; i++)
        if (!is_of_command(options[i].name) &&
            (copy.label_separator ||
             strcmp(options[i].name, "label-separator") != 0)) /* older runs lack it */
            settings_write(json, &options[i]);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        settings_write(json, &more[i]);
    json_end_object(json);
    return json_finish(json);
}

/* What another run in this folder has come to: beside the new settings it would pass for this run's. */
static Status remove_old_results(const char *folder)
{
    static const char *const names[] = {"results.json", "report.json", "report.html"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) >= (int)sizeof path)
            return status_failed("%.200s: the path is too long; choose a shorter one", folder);
        if (unlink(path) != 0 && errno != ENOENT)
            return status_failed("%.400s: cannot remove what another run has left: %s; choose another --out",
                                 path, strerror(errno));
    }
    return status_ok();
}

Status run_folder_settle(RunFolder *folder, const ZooSettings *s, const Dataset *dataset, RunFiles *files)
{
    char path[PATH_MAX], hash[CORPUS_HASH_SIZE], fingerprint[CORPUS_HASH_SIZE];
    snprintf(hash, sizeof hash, "%s", dataset->hash);
    dataset_fingerprint(dataset, fingerprint);
    if (s->resume && strcmp(folder->data_hash, hash) != 0)
        return status_failed(
            "%s: has hash %s, and the run in %s was trained on data with hash %s; put the data "
            "back, or start a new run",
            folder->data_path, hash, s->out, folder->data_hash);
    if (s->resume && strcmp(folder->fingerprint, fingerprint) != 0)
        return status_failed("%s: gives other ids than when the run in %s began; put the file of stop words "
                             "back, or start a new run",
                             folder->data_path, s->out);
    if (!s->resume) {
        folder->data_path = absolute(folder, s->data);
        folder->stop_words_path = absolute(folder, s->stop_words);
        folder->init_path = absolute(folder, s->init);
        folder->data_hash = hash;
        folder->fingerprint = fingerprint;
    }
    JsonWriter json = {0};
    const char *text = settings_text(&json, s, folder);
    Status status = text ? settings_path(s->out, path, sizeof path) : status_no_memory(0, "the settings");
    if (status_is_ok(&status)) {
        uLong crc = crc32_z(0, (const Bytef *)text, json.size);
        snprintf(files->id, sizeof files->id, "%08lx", crc & 0xffffffff);
        if (!s->resume)
            status = atomic_file_put(path, text, json.size);
        if (status_is_ok(&status) && !s->resume)
            status = remove_old_results(s->out);
    }
    json_free(&json);
    return status;
}

Status run_folder_read_settings(RunFolder *folder, ZooSettings *s)
{
    char path[PATH_MAX];
    char *text;
    size_t size;
    ZooSettings given = *s, standard = zoo_defaults();
    Option options[ZOO_MAX_OPTIONS], other[ZOO_MAX_OPTIONS];
    const Option more[] = FOLDER_OPTIONS(folder);
    int count = zoo_options(s, options);
    zoo_options(&standard, other);
    for (int i = 0; i < count; i++)
        if ((!is_of_command(options[i].name) || strcmp(options[i].name, "out") == 0) &&
            !settings_same(&options[i], &other[i]))
            return status_usage(
                "--resume goes on with the settings in %s; leave out --%s, or start a new run", given.resume,
                options[i].name);
    Status status = settings_path(given.resume, path, sizeof path);
    if (status_is_ok(&status))
        status = text_file_read(path, &text, &size);
    if (!status_is_ok(&status))
        return status_failed("%.350s; --resume needs the folder of a run (--out)", status.message);
    status = settings_read(options, count, path, text, size, &folder->arena);
    if (status_is_ok(&status))
        status = settings_read(more, (int)(sizeof more / sizeof more[0]), path, text, size, &folder->arena);
    mem_free(text);
    if (status_is_ok(&status) &&
        (!s->data || !folder->data_path || !folder->data_hash || !folder->fingerprint))
        status = status_failed("%s: does not name the data; it is not of a run", path);
    s->out = s->resume = given.resume;
    s->quiet = given.quiet;
    return status;
}
