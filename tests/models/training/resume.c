#include "models/training/run.h"

#include "models/training/checkpoint.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/shell_support.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Places to die at ----
 *
 * These stand before the system's functions of the same name. Where `die_at` says so, the process kills
 * itself instead of, or right after, what it was asked for: as when the power goes while a checkpoint is
 * written. */

static _Atomic int calls, die_at = -1;
static _Atomic bool
    unsynced; /* a killed process loses nothing that was written: no need to wait for the disk */

static void maybe_die(void)
{
    if (die_at >= 0 && calls++ == die_at)
        kill(getpid(), SIGKILL);
}

int fsync(int fd)
{
    maybe_die();
    return unsynced ? 0 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    maybe_die();
    int result = (int)syscall(SYS_renameat2, -100, from, -100, to, 0); /* -100: AT_FDCWD */
    maybe_die();
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    static _Atomic int writes;
    if (writes++ % 13 == 0) {
        maybe_die();
        size = size > 1 ? size / 2 : size; /* some are cut short */
    }
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

/* ---- A small run ---- */

static const char *folder;
static char whole[300], cut[300];
static ModelDataset *dataset;
static ModelRunOptions options;

static void setup(void)
{
    static char text[20000];
    static const char *const words[] = {"red",  "green", "blue", "apple", "pie",
                                        "fire", "truck", "sky",  "sea"};
    size_t used = (size_t)snprintf(text, sizeof text, "text\tlabels\n");
    for (unsigned i = 0; i < 40; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s %s %s\t%s\n", words[i * 7 % 9],
                                 words[i * 5 % 8], words[i * i % 9], words[i / 3 % 9],
                                 i % 3 == 0   ? "colour, thing"
                                 : i % 3 == 1 ? "colour"
                                              : "thing");
    ModelCorpus corpus = text_support_corpus(text);
    ModelDatasetOptions how = model_dataset_defaults();
    how.vocabulary.min_df = 1;
    how.clean.stop_words = "none";
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "test.tsv", &how));
    model_corpus_free(&corpus);
    folder = shell_folder();
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    options = model_run_defaults();
    options.epochs = 2;
    options.batch = 11; /* 3 an epoch */
    options.config = (ModelConfig){.embed = 4, .hidden = 3};
    options.trainer.shards = options.trainer.threads = 2;
    options.trainer.schedule.lr = 0.05;
    options.files.every = 1;
    options.files.level = 1;
    options.files.resume = true;
    strcpy(options.files.id, "0badcafe");
    unsynced = true;
}

static void teardown(void)
{
    model_dataset_free(dataset);
    shell_remove_folder(folder);
}

typedef struct Watch {
    int batches, stop_after; /* 0: never */
} Watch;

static void count_batches(void *context, const ModelRunProgress *progress)
{
    Watch *watch = context;
    watch->batches += !progress->finished;
}

static bool stop_then(void *context)
{
    Watch *watch = context;
    return watch->stop_after && watch->batches >= watch->stop_after;
}

static ReelStatus train(const char *kind, const char *where, Watch *watch, ModelRunResult *result)
{
    ModelRunWatcher watcher = {.context = watch, .progress = count_batches, .stop = stop_then};
    ModelRunResult mine;
    mkdir(where, 0777);
    options.files.folder = where;
    ReelStatus status = model_run_model(&mine, NULL, model_zoo_find(kind), dataset, &options, &watcher);
    if (result)
        *result = mine;
    else if (reel_status_is_ok(&status))
        model_run_result_free(&mine);
    return status;
}

/* The same in a process of its own, which dies at a place (-1: not). Returns whether it died. */
static bool train_and_die(const char *kind, const char *where, int place)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Watch watch = {0};
        die_at = place;
        ReelStatus status = train(kind, where, &watch, NULL);
        if (!reel_status_is_ok(&status))
            fprintf(stderr, "%s\n", status.message);
        _exit(reel_status_is_ok(&status) ? 0 : 1);
    }
    int how;
    while (waitpid(child, &how, 0) < 0 && errno == EINTR)
        continue;
    ck_assert_msg(WIFSIGNALED(how) ? WTERMSIG(how) == SIGKILL : WEXITSTATUS(how) == 0, "the run failed");
    return WIFSIGNALED(how);
}

/* Text without the lines that hold times. */
static void drop_times(char *text)
{
    char *to = text;
    for (char *line = text, *next; *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        size_t length = (size_t)(next - line);
        char copy[200];
        snprintf(copy, sizeof copy, "%.*s", (int)length, line);
        if (strstr(copy, "\"seconds\""))
            continue;
        memmove(to, line, length);
        to += length;
    }
    *to = '\0';
}

static void same_member(const TensorNpz *a, const TensorNpz *b, const char *name, TensorArena *arena)
{
    const void *p, *q;
    size_t size, other;
    ck_assert_msg(tensor_npz_find(b, name) != NULL, "%s is missing", name);
    ck_assert_ok(tensor_npz_read_bytes(a, tensor_npz_find(a, name), arena, &p, &size));
    ck_assert_ok(tensor_npz_read_bytes(b, tensor_npz_find(b, name), arena, &q, &other));
    if (strcmp(name, "reel/training.json") == 0) {
        drop_times((char *)(uintptr_t)p);
        drop_times((char *)(uintptr_t)q);
        ck_assert_str_eq((const char *)p, (const char *)q);
        return;
    }
    ck_assert_msg(size == other && memcmp(p, q, size) == 0, "%s differs", name);
}

/* Both folders hold the same `best`, byte for byte, and the same `last` but for times; and nothing else. */
static void same_files(const char *kind)
{
    char a[400], b[400];
    TensorArena arena;
    TensorNpz *one, *two;
    ck_assert_int_eq(shell_run("cmp %s/%s.best.npz %s/%s.best.npz", whole, kind, cut, kind), 0);
    snprintf(a, sizeof a, "%s/%s.last.npz", whole, kind);
    snprintf(b, sizeof b, "%s/%s.last.npz", cut, kind);
    ck_assert_ok(tensor_npz_open(&one, a));
    ck_assert_ok(tensor_npz_open(&two, b));
    ck_assert_int_eq(tensor_npz_count(one), tensor_npz_count(two));
    tensor_arena_init(&arena, 0);
    for (int i = 0; i < tensor_npz_count(one); i++)
        same_member(one, two, tensor_npz_member(one, i)->name, &arena);
    tensor_arena_free(&arena);
    tensor_npz_close(one);
    tensor_npz_close(two);
    ck_assert_int_eq(shell_run("test $(ls %s | wc -l) = 2", cut), 0);
}

/* ---- Dying ---- */

START_TEST(a_run_that_dies_anywhere_goes_on_to_the_same_bytes)
{
    ck_assert(!train_and_die("lstm", whole, -1));
    int deaths = 0;
    for (int place = 0;; place++) {
        shell_must("rm -rf %s", cut);
        if (!train_and_die("lstm", cut, place))
            break;
        deaths++;
        ck_assert(!train_and_die("lstm", cut, -1));
        same_files("lstm");
    }
    ck_assert_int_gt(deaths, 40);
}
END_TEST

START_TEST(a_run_that_dies_again_and_again_gets_there)
{
    ck_assert(!train_and_die("attention", whole, -1));
    int deaths = 0;
    while (train_and_die("attention", cut, 23 + deaths % 5)) /* more than one checkpoint, less than the run */
        ck_assert_int_lt(deaths++, 100);
    ck_assert_int_gt(deaths, 1);
    same_files("attention");
}
END_TEST

static const struct {
    NnOptimizerKind kind;
    double momentum, decay, clip;
    NnScheduleKind schedule;
    bool notebook;
} variants[] = {{NN_ADAM, 0, 0, 0.1, NN_COSINE, false},
                {NN_ADAM, 0, 0.01, 0, NN_CONSTANT, false},
                {NN_ADAMW, 0, 0.1, 0, NN_COSINE, true},
                {NN_SGD, 0, 0, 0, NN_CONSTANT, false},
                {NN_SGD, 0.9, 0, 0, NN_CONSTANT, true}};

/* Stopped after every batch in turn, in one process. */
START_TEST(every_optimizer_goes_on_exactly)
{
    ModelTrainerOptions *trainer = &options.trainer;
    trainer->optimizer = nn_optimizer_options(variants[_i].kind);
    trainer->optimizer.momentum = variants[_i].momentum;
    trainer->optimizer.weight_decay = variants[_i].decay;
    trainer->optimizer.clip_norm = variants[_i].clip;
    trainer->schedule.kind = variants[_i].schedule;
    trainer->schedule.total = 6;
    options.notebook = variants[_i].notebook;
    Watch watch = {0};
    ModelRunResult all, rest;
    ck_assert_ok(train("stacked", whole, &watch, &all));
    ck_assert_int_eq(watch.batches, 6);
    for (int stop = 1; stop < 6; stop++) {
        shell_must("rm -rf %s", cut);
        watch = (Watch){.stop_after = stop};
        options.files.every = 0;
        ck_assert_ok(train("stacked", cut, &watch, &rest));
        ck_assert(rest.interrupted);
        ck_assert_int_eq(watch.batches, stop);
        model_run_result_free(&rest);
        watch = (Watch){0};
        ck_assert_ok(train("stacked", cut, &watch, &rest));
        ck_assert_int_eq(watch.batches, 6 - stop);
        same_files("stacked");
        ck_assert(!rest.interrupted);
        ck_assert_int_eq(rest.count, all.count);
        ck_assert_int_eq(rest.best_epoch, all.best_epoch);
        for (int e = 0; e < all.count; e++) {
            ck_assert_int_eq(rest.epochs[e].epoch, all.epochs[e].epoch);
            ck_assert_double_eq(rest.epochs[e].train_loss, all.epochs[e].train_loss);
            ck_assert_double_eq(rest.epochs[e].test_f1, all.epochs[e].test_f1);
        }
        ck_assert_int_eq(rest.metrics.examples, all.metrics.examples);
        ck_assert_mem_eq(rest.metrics.labels, all.metrics.labels, 2 * sizeof *all.metrics.labels);
        model_run_result_free(&rest);
    }
    model_run_result_free(&all);
}
END_TEST

/* What was begun again with a lower rate is stopped before and after that. */
START_TEST(a_run_that_was_begun_again_goes_on_exactly)
{
    options.trainer.optimizer = nn_optimizer_options(NN_SGD);
    options.trainer.schedule.lr = 2e4;
    options.epochs = 3;
    Watch watch = {0};
    ModelRunResult all, rest;
    ck_assert_ok(train("wide", whole, &watch, &all));
    int batches = watch.batches;
    ck_assert(all.rate < 1 && batches > 9);
    for (int stop = 1; stop < batches; stop++) {
        shell_must("rm -rf %s", cut);
        watch = (Watch){.stop_after = stop};
        ck_assert_ok(train("wide", cut, &watch, &rest));
        model_run_result_free(&rest);
        watch = (Watch){0};
        ck_assert_ok(train("wide", cut, &watch, &rest));
        same_files("wide");
        ck_assert(rest.rate == all.rate);
        model_run_result_free(&rest);
    }
    model_run_result_free(&all);
}
END_TEST

/* ---- What is gone on from, and what is not ---- */

START_TEST(a_finished_run_is_not_trained_again)
{
    Watch watch = {0};
    ModelRunResult first, again;
    ck_assert_ok(train("rnn", whole, &watch, &first));
    watch = (Watch){0};
    ck_assert_ok(train("rnn", whole, &watch, &again));
    ck_assert_int_eq(watch.batches, 0);
    ck_assert_int_eq(again.count, first.count);
    ck_assert_double_eq(again.best_f1, first.best_f1);
    ck_assert_int_eq(again.params, first.params);
    double epochs = 0; /* that the first process took: they count for the second as well */
    for (int e = 0; e < first.count; e++) {
        ck_assert(again.epochs[e].seconds == first.epochs[e].seconds);
        epochs += first.epochs[e].seconds;
    }
    ck_assert(again.seconds >= epochs * 0.999);
    model_run_result_free(&first);
    model_run_result_free(&again);
}
END_TEST

/* A run that cannot go on from a file leaves it as it is. */
static void must_be_refused(const char *message)
{
    Watch watch = {0};
    shell_must("cp %s/rnn.last.npz %s/saved.npz", whole, whole);
    ck_assert_failed(train("rnn", whole, &watch, NULL), REEL_STATUS_FAILED, message);
    ck_assert_int_eq(watch.batches, 0);
    shell_must("cmp %s/rnn.last.npz %s/saved.npz", whole, whole);
}

START_TEST(files_of_another_run_are_refused)
{
    Watch watch = {0};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    strcpy(options.files.id, "11111111");
    must_be_refused("rnn.last.npz: is of another run");
    options.epochs = 1; /* also where its state would not fit this one */
    must_be_refused("rnn.last.npz: is of another run");
    options.epochs = 2;
    options.files.resume = false;
    watch = (Watch){0};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    ck_assert_int_eq(watch.batches, 6);
}
END_TEST

/* The settings are compared by name, whatever the id. */
START_TEST(a_run_goes_on_with_the_same_settings)
{
    const ModelRunSetting first[] = {{"lr", "0.05", NULL, false}, {"clip", "0", "0", false}},
                          turned[] = {{"clip", "0", "0", false}, {"lr", "0.05", NULL, false}},
                          more[] = {{"lr", "0.05", NULL, false},
                                    {"clip", "0", "0", false},
                                    {"later", "old", "old", false}};
    Watch watch = {.stop_after = 2};
    options.files.settings = first;
    options.files.num_settings = 2;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    strcpy(options.files.id, "11111111");
    options.files.settings = turned;
    watch = (Watch){.stop_after = 1};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    ck_assert_int_eq(watch.batches, 1);
    options.files.settings = more; /* a later version has one more, which then was as if it were "old" */
    options.files.num_settings = 3;
    watch = (Watch){0};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    ck_assert_int_eq(watch.batches, 3);
}
END_TEST

START_TEST(another_setting_is_refused_by_name)
{
    const ModelRunSetting first[] = {{"lr", "0.05", NULL, false}, {"init", "", NULL, false}};
    ModelRunSetting other[] = {
        {"lr", "0.05", NULL, false}, {"init", "", NULL, false}, {"later", "new", "old", false}};
    Watch watch = {.stop_after = 2};
    options.files.settings = first;
    options.files.num_settings = 2;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    options.files.settings = other;
    options.files.num_settings = 3;
    must_be_refused("was trained with later old, and the run is one with later new");
    options.files.num_settings = 2;
    other[0].value = "0.1";
    must_be_refused("was trained with lr 0.05, and the run is one with lr 0.1");
    other[0].value = "0.05";
    other[1].value = "x.npz";
    must_be_refused("was trained with init not given, and the run is one with init x.npz");
    options.files.num_settings = 1;
    must_be_refused("the setting 'init', which this version does not know");
    options.files.num_settings = 0; /* nothing to compare by but the id */
    ck_assert_ok(train("rnn", whole, &watch, NULL));
}
END_TEST

START_TEST(a_file_that_cannot_be_gone_on_from_is_an_error)
{
    Watch watch = {.stop_after = 2};
    char path[400];
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    snprintf(path, sizeof path, "%s/rnn.last.npz", whole);
    shell_must("cp %s %s/saved && head -c 1000 %s/saved > %s", path, whole, whole, path);
    ReelStatus status = train("rnn", whole, &watch, NULL);
    ck_assert_failed(status, REEL_STATUS_FAILED, "delete the file to train the model from the start");
    /* One of a model with other sizes. */
    shell_must("cp %s/saved %s", whole, path);
    options.config.hidden = 5;
    status = train("rnn", whole, &watch, NULL);
    ck_assert_failed(status, REEL_STATUS_FAILED, "is [3] in the file and [5] in the model");
    /* The best weights are no place to go on from. */
    options.config.hidden = 3;
    options.files.every = 0;
    watch = (Watch){0};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    shell_must("cp %s/rnn.best.npz %s", whole, path);
    status = train("rnn", whole, &watch, NULL);
    ck_assert_failed(status, REEL_STATUS_FAILED, "has no member reel/training.json");
}
END_TEST

/* Writes a `last` again with all elements of an array of int32 changed to `value`; or with the first `from`
 * in reel/training.json changed to `to`. */
static void change_member(const char *path, const char *name, int32_t value, const char *from, const char *to)
{
    TensorNpz *npz;
    NnSnapshot snapshot;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ck_assert_ok(tensor_npz_open(&npz, path));
    nn_snapshot_init(&snapshot);
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        if (strcmp(member->name, name) != 0) {
            nn_snapshot_member(&snapshot, npz, member);
        } else if (member->is_array) {
            Tensor t;
            ck_assert_ok(tensor_npz_read_tensor(npz, member, &arena, &t));
            for (int64_t k = 0; k < tensor_numel(&t); k++)
                tensor_i32(t)[k] = value;
            nn_snapshot_tensor(&snapshot, name, t);
        } else {
            const void *text;
            size_t size;
            char changed[4096];
            ck_assert_ok(tensor_npz_read_bytes(npz, member, &arena, &text, &size));
            const char *at = strstr(text, from);
            ck_assert_msg(at != NULL, "'%s' is not in: %s", from, (const char *)text);
            int length = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - (const char *)text),
                                  (const char *)text, to, at + strlen(from));
            ck_assert_int_lt(length, (int)sizeof changed);
            nn_snapshot_bytes(&snapshot, name, changed, (size_t)length);
        }
    }
    tensor_npz_close(npz);
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0}));
    nn_snapshot_free(&snapshot);
    tensor_arena_free(&arena);
}

START_TEST(the_time_that_earlier_processes_took_counts)
{
    ModelRunResult result;
    char path[400];
    snprintf(path, sizeof path, "%s/rnn.last.npz", whole);
    for (int process = 0; process < 3; process++) {
        Watch watch = {.stop_after = 1};
        ck_assert_ok(train("rnn", whole, &watch, &result));
        ck_assert(result.interrupted);
        ck_assert_double_gt(result.seconds, process > 0 ? 1000 : 0);
        ck_assert_double_lt(result.seconds, process > 0 ? 1e6 : 1000);
        model_run_result_free(&result);
        if (process == 0) /* a thousand seconds and more */
            change_member(path, "reel/training.json", 0, "\n  \"seconds\": ", "\n  \"seconds\": 1000");
    }
}
END_TEST

/* Stops a run after some batches, changes a member of its file (see change_member()), and goes on: refused
 * with the message, and nothing is left in memory. */
static void must_refuse_change(int stop_after, const char *member, int32_t value, const char *from,
                               const char *to, const char *message)
{
    Watch watch = {.stop_after = stop_after};
    char path[400];
    snprintf(path, sizeof path, "%s/rnn.last.npz", whole);
    if (access(path, F_OK) != 0) {
        ck_assert_ok(train("rnn", whole, &watch, NULL));
        shell_must("cp %s %s/saved", path, whole);
    }
    shell_must("cp %s/saved %s", whole, path);
    change_member(path, member, value, from, to);
    int64_t live = reel_mem_stats().live_blocks;
    watch = (Watch){0};
    ck_assert_failed(train("rnn", whole, &watch, NULL), REEL_STATUS_FAILED, message);
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
}

/* The optimizer takes some of these numbers for indices, also while it is freed. */
START_TEST(a_state_that_points_nowhere_is_refused)
{
    static const struct {
        const char *name, *message;
        int32_t value;
        const char *from, *to;
    } cases[] = {{"reel/optimizer/step", "has made 1000000 updates, and the run 2", 1000000, NULL, NULL},
                 {"reel/optimizer/step", "step is -1 and not from 0", -1, NULL, NULL},
                 {"reel/optimizer/steps", "steps is 1000000 and not from 0 to 2", 1000000, NULL, NULL},
                 {"reel/optimizer/steps", "is at update 2 of 1", 1, NULL, NULL},
                 {"reel/optimizer/steps", "steps is -1 and not from 0 to 2", -1, NULL, NULL},
                 {"reel/optimizer/last/embedding.weight", "row 0 is at update 3 of 2", 3, NULL, NULL},
                 {"reel/optimizer/last/embedding.weight", "row 0 is at update -100000000 of 2", -100000000,
                  NULL, NULL},
                 {"reel/training.json", "2 updates, and the run 3", 0, "\"updates\": 2", "\"updates\": 3"},
                 {"reel/training.json", "2 updates, and the run 2000000000", 0, "\"updates\": 2",
                  "\"updates\": 2000000000"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_refuse_change(2, cases[i].name, cases[i].value, cases[i].from, cases[i].to, cases[i].message);
}
END_TEST

/* After an epoch and two batches of the second: what does not go together is not gone on from. */
START_TEST(a_state_that_cannot_be_is_refused)
{
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"epochs\": [", "\"selected_epoch\": 1, \"epochs\": [", "thresholds is 0 and not from 2 to 2"},
        {"\"epochs\": [", "\"selected_epoch\": 2, \"thresholds\": [0, 0], \"epochs\": [",
         "selected_epoch is 2 and not from 0 to 1"},
        {"\"epochs\": [", "\"selected_epoch\": 1, \"thresholds\": [0], \"epochs\": [",
         "thresholds is 1 and not from 2 to 2"},
        {"\"epochs\": [", "\"selected_epoch\": 1, \"thresholds\": [0, 0, 0], \"epochs\": [",
         "thresholds is 3 and not from 2 to 2"},
        {"\"best_epoch\": 1", "\"best_epoch\": 0", "best_epoch is 0 and not from 1 to 1"},
        {"\"best_epoch\": 1", "\"best_epoch\": 2", "best_epoch is 2 and not from 1 to 1"},
        {"\"epoch\": 2", "\"epoch\": 1", "epoch is 1 and not from 2 to 2"},
        {"\"batch\": ", "\"batch\": -1, \"of\": ", "batch is -1 and not from 0 to"},
        {"\"updates\": ", "\"updates\": 2147483648, \"of\": ", "updates is 2147483648 and not from 0 to"},
        {"\"tokens\": ", "\"tokens\": 9223372036854775807, \"of\": ", "tokens is 9223372036854775807 and"},
        {"\"seen\": ", "\"seen\": 9223372036854775807, \"of\": ", "seen is 9223372036854775807 and"},
        {"\"test_counts\": [", "\"test_counts\": [9223372036854775807, 1, 1, 1, 1, 1], \"of\": [",
         "one of test_counts is 9223372036854775807 and"},
        {"\"test_counts\": [", "\"test_counts\": [1, 1, 1, 1, 1], \"of\": [",
         "test_counts is 5 and not from 6 to 6"},
        {"\"test_counts\": [", "\"test_counts\": [1, 1, 1, 1, 1, 1, 1], \"of\": [",
         "test_counts is 7 and not from 6 to 6"},
        {"\"rate\": ", "\"rate\": 0, \"of\": ", "rate is 0 and not in (0, 1]"},
        {"\"loss_form\": ", "\"loss_form\": 2, \"of\": ", "loss_form is 2 and not from 0 to 1"},
        {"\"train_loss\": ", "\"train_loss\": true, \"of\": ", "a number is expected here"},
        {"\"epochs\": [", "\"epochs\": [{}, {}, {}], \"of\": [",
         "the number of epochs is 3 and not from 0 to 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_refuse_change(5, "reel/training.json", 0, cases[i].from, cases[i].to, cases[i].message);
}
END_TEST

START_TEST(members_of_others_survive)
{
    Watch watch = {.stop_after = 2};
    char path[400];
    TensorNpz *npz;
    NnSnapshot snapshot;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    snprintf(path, sizeof path, "%s/rnn.last.npz", whole);
    ck_assert_ok(tensor_npz_open(&npz, path));
    nn_snapshot_init(&snapshot);
    for (int i = 0; i < tensor_npz_count(npz); i++)
        nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
    nn_snapshot_bytes(&snapshot, "reel/notes.txt", "mine", 4);
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0}));
    nn_snapshot_free(&snapshot);
    tensor_npz_close(npz);
    watch = (Watch){0};
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_ptr_nonnull(tensor_npz_find(npz, "reel/notes.txt"));
    tensor_npz_close(npz);
}
END_TEST

START_TEST(epochs_are_kept_when_asked_for)
{
    Watch watch = {0};
    options.epochs = 5;
    options.files.keep = 2;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    shell_must("ls %s", whole);
    ck_assert_str_eq(shell_output(), "rnn.best.npz\nrnn.epoch-4.npz\nrnn.epoch-5.npz\nrnn.last.npz\n");
    ModelCheckpoint *c;
    char path[400];
    snprintf(path, sizeof path, "%s/rnn.epoch-5.npz", whole);
    ck_assert_ok(model_checkpoint_load(&c, path));
    model_checkpoint_free(c);
}
END_TEST

START_TEST(weights_are_begun_with)
{
    Watch watch = {0};
    char path[400];
    TensorNpz *one, *two;
    TensorArena arena;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    snprintf(path, sizeof path, "%s/rnn.best.npz", whole);
    options.files.init = path;
    options.trainer.schedule.lr = 1e-30;
    options.epochs = 1;
    options.trainer.optimizer = nn_optimizer_options(NN_SGD);
    watch = (Watch){0};
    ck_assert_ok(train("rnn", cut, &watch, NULL));
    ck_assert_ok(tensor_npz_open(&one, path));
    snprintf(path, sizeof path, "%s/rnn.best.npz", cut);
    ck_assert_ok(tensor_npz_open(&two, path));
    tensor_arena_init(&arena, 0);
    same_member(one, two, "embedding.weight", &arena);
    same_member(one, two, "hidden_linear.weight", &arena);
    tensor_arena_free(&arena);
    tensor_npz_close(one);
    tensor_npz_close(two);
    options.files.init = "nowhere.npz";
    options.files.resume = false;
    ck_assert_failed(train("rnn", cut, &watch, NULL), REEL_STATUS_FAILED, "nowhere.npz");
}
END_TEST

/* The message names the file, and not the learning rate of this run. */
START_TEST(weights_that_are_no_numbers_are_not_begun_with)
{
    Watch watch = {0};
    char path[400];
    ModelCheckpoint *c;
    NnNamed bias;
    ck_assert_ok(train("rnn", whole, &watch, NULL));
    snprintf(path, sizeof path, "%s/rnn.best.npz", whole);
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert(nn_find(&c->model->base, "output_layer.bias", &bias));
    ((float *)nn_named_view(&bias).data)[1] = NAN;
    snprintf(path, sizeof path, "%s/nan.npz", folder);
    ck_assert_ok(nn_save(&c->model->base, path));
    model_checkpoint_free(c);
    options.files.init = path;
    watch = (Watch){0};
    ck_assert_failed(train("rnn", cut, &watch, NULL), REEL_STATUS_FAILED,
                     "nan.npz: output_layer.bias has values that are not numbers");
}
END_TEST

/* ---- When the world is against it ---- */

START_TEST(a_full_disk_stops_the_run_and_leaves_the_old_files)
{
    Watch watch = {.stop_after = 2};
    ck_assert_ok(train("lstm", cut, &watch, NULL));
    shell_must("cp %s/lstm.last.npz %s/saved", cut, folder);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {.rlim_cur = 2000, .rlim_max = 2000};
        setrlimit(RLIMIT_FSIZE, &limit);
        watch = (Watch){0};
        ReelStatus status = train("lstm", cut, &watch, NULL);
        _exit(!reel_status_is_ok(&status) && strstr(status.message, ".npz") && strchr(status.message, ';')
                  ? 0
                  : 1);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    ck_assert_int_eq(shell_run("cmp %s/lstm.last.npz %s/saved", cut, folder), 0);
    ck_assert(!train_and_die("lstm", cut, -1));
    ck_assert(!train_and_die("lstm", whole, -1));
    same_files("lstm");
}
END_TEST

START_TEST(a_folder_that_is_gone_is_an_error)
{
    Watch watch = {0};
    ModelRunResult result;
    options.files.folder = "/nowhere/at/all";
    ModelRunWatcher watcher = {.context = &watch, .progress = count_batches};
    ReelStatus status = model_run_model(&result, NULL, model_zoo_find("rnn"), dataset, &options, &watcher);
    ck_assert_failed(status, REEL_STATUS_FAILED, "/nowhere/at/all");
}
END_TEST

/* A short run with its checkpoints and a second half that is loaded. BLIS allocates for itself. */
START_TEST(memory_that_fails_is_an_error_at_every_place)
{
    options.trainer.shards = options.trainer.threads = 1;
    options.epochs = 1;
    options.batch = 20;
    Watch watch = {0};
    ck_assert_ok(train("attention", cut, &watch, NULL)); /* whatever is allocated once and for all */
    int failures = 0;
    for (int second = 0; second < 2; second++)
        for (int n = 0;; n++) {
            if (!second)
                shell_must("rm -rf %s", cut);
            watch = (Watch){.stop_after = !second};
            int64_t live = reel_mem_stats().live_blocks;
            reel_mem_fail_at(n, n % 2);
            ReelStatus status = train("attention", cut, &watch, NULL);
            reel_mem_fail_at(-1, 0);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
            if (reel_status_is_ok(&status))
                break;
            failures++;
            ck_assert_ptr_null(strchr(status.message, '\n'));
            ck_assert_msg(strstr(status.message, "memory") != NULL, "place %d: %s", n, status.message);
        }
    ck_assert_int_gt(failures, 100);
}
END_TEST

Suite *models_resume_suite(void);
Suite *models_resume_suite(void)
{
    Suite *suite = suite_create("models/resume");
    TCase *tcase = tcase_create("run");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_run_that_dies_anywhere_goes_on_to_the_same_bytes);
    tcase_add_test(tcase, a_run_that_dies_again_and_again_gets_there);
    tcase_add_test(tcase, a_run_that_was_begun_again_goes_on_exactly);
    tcase_add_loop_test(tcase, every_optimizer_goes_on_exactly, 0,
                        (int)(sizeof variants / sizeof variants[0]));
    tcase_add_test(tcase, a_finished_run_is_not_trained_again);
    tcase_add_test(tcase, files_of_another_run_are_refused);
    tcase_add_test(tcase, a_run_goes_on_with_the_same_settings);
    tcase_add_test(tcase, another_setting_is_refused_by_name);
    tcase_add_test(tcase, a_file_that_cannot_be_gone_on_from_is_an_error);
    tcase_add_test(tcase, the_time_that_earlier_processes_took_counts);
    tcase_add_test(tcase, a_state_that_points_nowhere_is_refused);
    tcase_add_test(tcase, a_state_that_cannot_be_is_refused);
    tcase_add_test(tcase, members_of_others_survive);
    tcase_add_test(tcase, epochs_are_kept_when_asked_for);
    tcase_add_test(tcase, weights_are_begun_with);
    tcase_add_test(tcase, weights_that_are_no_numbers_are_not_begun_with);
    tcase_add_test(tcase, a_full_disk_stops_the_run_and_leaves_the_old_files);
    tcase_add_test(tcase, a_folder_that_is_gone_is_an_error);
    tcase_add_test(tcase, memory_that_fails_is_an_error_at_every_place);
    suite_add_tcase(suite, tcase);
    return suite;
}
