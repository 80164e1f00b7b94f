#include "models/text/cache.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static ModelDatasetOptions options;
static const char *data;

static void setup(void)
{
    strcpy(folder, "/tmp/reel-cache-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    options = model_dataset_defaults();
    options.cache = folder;
    data = TEXT_SUPPORT_DEBIAN;
}

/* The n-th file of the folder whose name ends so; "" where there is none. */
static char *file_of(const char *end, char path[400])
{
    DIR *dir = opendir(folder);
    path[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length > strlen(end) && strcmp(entry->d_name + length - strlen(end), end) == 0)
            snprintf(path, 400, "%s/%s", folder, entry->d_name);
    }
    closedir(dir);
    return path;
}

static int count_files(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void teardown(void)
{
    char path[600];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

/* What a program does. *made: it was not there; `why` is told. */
static ReelStatus get(ModelDataset **dataset, bool *made, char why[MODEL_CACHE_WHY_SIZE])
{
    ModelCache cache;
    ModelCorpus corpus = {0};
    *made = false;
    *dataset = NULL;
    ReelStatus status = model_cache_open(&cache, folder, data, &options);
    if (reel_status_is_ok(&status))
        status = model_cache_load(&cache, dataset);
    if (why)
        memcpy(why, cache.why, MODEL_CACHE_WHY_SIZE);
    if (reel_status_is_ok(&status) && !*dataset) {
        *made = true;
        status = model_dataset_read_corpus(&corpus, data, &options);
        if (reel_status_is_ok(&status))
            status = model_cache_make(&cache, dataset, &corpus, data, &options);
        model_corpus_free(&corpus);
    }
    model_cache_close(&cache);
    return status;
}

static void same_parts(const ModelDatasetPart *a, const ModelDatasetPart *b)
{
    int32_t one[64], other[64];
    ck_assert_int_eq(a->count, b->count);
    ck_assert_int_eq(a->num_classes, b->num_classes);
    ck_assert_int_eq(a->longest, b->longest);
    ck_assert_int_eq(a->empty, b->empty);
    ck_assert_int_eq(a->missed, b->missed);
    ck_assert_int_eq(a->missed_labels, b->missed_labels);
    ck_assert_int_eq(a->task, b->task);
    if (a->count == 0)
        return;
    size_t n = (size_t)a->count;
    ck_assert_mem_eq(a->offsets, b->offsets, (n + 1) * sizeof *a->offsets);
    ck_assert_mem_eq(a->rows, b->rows, n * sizeof *a->rows);
    ck_assert_mem_eq(a->label_offsets, b->label_offsets, (n + 1) * sizeof *a->label_offsets);
    ck_assert_mem_eq(a->labels, b->labels, (size_t)a->label_offsets[n] * sizeof *a->labels);
    ck_assert_mem_eq(a->label_counts, b->label_counts, (size_t)a->num_classes * sizeof *a->label_counts);
    for (int64_t i = 0; i < a->count; i++) {
        ck_assert_ok(model_dataset_part_ids(a, i, one));
        ck_assert_ok(model_dataset_part_ids(b, i, other));
        ck_assert_mem_eq(one, other, (size_t)model_dataset_part_length(a, i) * sizeof *one);
    }
}

static void same(const ModelDataset *a, const ModelDataset *b)
{
    char one[MODEL_CORPUS_HASH_SIZE], other[MODEL_CORPUS_HASH_SIZE];
    same_parts(&a->train, &b->train);
    same_parts(&a->valid, &b->valid);
    same_parts(&a->test, &b->test);
    ck_assert_ok(model_dataset_fingerprint(a, one));
    ck_assert_ok(model_dataset_fingerprint(b, other));
    ck_assert_str_eq(one, other);
    ck_assert_str_eq(a->form, b->form);
    ck_assert_str_eq(a->note, b->note);
    ck_assert_str_eq(a->warning, b->warning);
    ck_assert_str_eq(a->missed_names, b->missed_names);
    ck_assert_int_eq(a->repeated, b->repeated);
    ck_assert_int_eq(a->unlabelled, b->unlabelled);
    ck_assert_int_eq(a->text.task, b->text.task);
    ck_assert_int_eq(a->text.max_len, b->text.max_len);
    ck_assert_str_eq(a->text.data_hash, b->text.data_hash);
    ck_assert_int_eq(model_string_table_difference(&a->text.labels, &b->text.labels), -1);
    ck_assert_int_eq(model_string_table_difference(&a->text.cleaner.stop_words, &b->text.cleaner.stop_words),
                     -1);
    ck_assert_int_eq(model_string_table_difference(&a->text.vocabulary.words, &b->text.vocabulary.words), -1);
    ck_assert_int_eq(a->text.tokenizer.vocab_size, b->text.tokenizer.vocab_size);
}

/* Made, and found again, it is the one in memory. */
static void check(void)
{
    ModelDataset *in_memory, *dataset;
    ModelDatasetOptions without = options;
    bool made;
    without.cache = NULL;
    ck_assert_ok(model_dataset_read(&in_memory, data, &without));
    for (int again = 0; again < 2; again++) {
        ck_assert_ok(get(&dataset, &made, NULL));
        ck_assert(made == !again);
        ck_assert_int_ge(dataset->file.fd, 0);
        ck_assert_ptr_nonnull(dataset->train.ids.file);
        same(in_memory, dataset);
        model_dataset_free(dataset);
    }
    model_dataset_free(in_memory);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

START_TEST(a_data_set_is_the_one_in_memory)
{
    check();
    options.valid_size = 0.25;
    options.min_label_count = 2;
    options.clean.keep_digits = true;
    check();
    options.byte_pairs = 300;
    check();
    options.test_size = 0;
    options.byte_pairs = 0;
    options.vocabulary = (ModelVocabularyOptions){1, 1};
    check();
    data = "tests/fixtures/russian.tsv";
    options.clean.letters = MODEL_CLEAN_AUTO;
    options.test_size = 0.5;
    options.valid_size = 0;
    check();
    ck_assert_int_eq(count_files(), 5 * 3);
}
END_TEST

START_TEST(parts_that_the_file_names)
{
    const char *tsv =
        "text\tlabels\tof\tpart\nred car\ta\tg\ttrain\nblue car\tb\th\ttrain\nred sky\ta, c\tg\tvalid\n"
        "blue sky\tb, d\th\ttest\nred car\td\ti\ttest\n";
    data = text_support_file(tsv, strlen(tsv));
    options.vocabulary.min_df = 1;
    options.corpus.columns = (ModelColumnNames){.split = "part"};
    check();
    options.join_valid = true;
    check();
    options.corpus.columns = (ModelColumnNames){.group = "of"};
    options.join_valid = false;
    options.test_size = 0.4;
    check();
}
END_TEST

/* More than 16 bits of ids. */
START_TEST(ids_of_32_bits)
{
    enum { ROWS = 1400, WORDS = 50 };
    char *tsv = malloc(ROWS * (WORDS * 5 + 10) + 100), *to = tsv + sprintf(tsv, "text\tlabels\n");
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < WORDS; k++) {
            int word = i * WORDS + k;
            to += sprintf(to, "%c%c%c%c ", 'a' + word / 17576, 'a' + word / 676 % 26, 'a' + word / 26 % 26,
                          'a' + word % 26);
        }
        to += sprintf(to, "\t%c\n", 'a' + i % 3);
    }
    data = text_support_file(tsv, (size_t)(to - tsv));
    free(tsv);
    options.vocabulary = (ModelVocabularyOptions){1, 1};
    options.test_size = 0.01;
    options.clean.stop_words = "none";
    check();
    ModelDataset *dataset;
    bool made;
    ck_assert_ok(get(&dataset, &made, NULL));
    ck_assert_int_eq(dataset->file.width, 4);
    ck_assert_int_gt(dataset->text.tokenizer.vocab_size, 1 << 16);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(of_other_data_it_is_made_anew)
{
    const char *tsv = "text\tlabels\nred car\ta\nblue car\tb\nred sky\ta\nblue sky\tb\nred blue\ta\n";
    char why[MODEL_CACHE_WHY_SIZE];
    ModelDataset *dataset;
    bool made;
    data = text_support_file(tsv, strlen(tsv));
    options.vocabulary.min_df = 1;
    check();
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, data, times, 0), 0);
    ck_assert_ok(get(&dataset, &made, why));
    ck_assert(made);
    ck_assert_ptr_nonnull(strstr(why, "is of the data as they were before"));
    model_dataset_free(dataset);
    ck_assert_ok(get(&dataset, &made, why));
    ck_assert(!made);
    model_dataset_free(dataset);
    ck_assert_int_eq(count_files(), 3);
}
END_TEST

static void put_byte(const char *path, long at, int byte)
{
    FILE *file = fopen(path, "r+");
    ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
    ck_assert_int_eq(fputc(byte, file), byte);
    ck_assert_int_eq(fclose(file), 0);
}

static int byte_at(const char *path, long at)
{
    FILE *file = fopen(path, "r");
    ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    fclose(file);
    return byte;
}

/* A byte that is changed, or an end that is missing, is noticed; and nothing of it stays. */
START_TEST(a_damaged_one_is_made_anew)
{
    static const char *const ends[] = {".npz", ".data"};
    char why[MODEL_CACHE_WHY_SIZE], path[400];
    ModelDataset *in_memory, *dataset;
    ModelDatasetOptions without = options;
    bool made;
    without.cache = NULL;
    ck_assert_ok(model_dataset_read(&in_memory, data, &without));
    ck_assert_ok(get(&dataset, &made, why));
    model_dataset_free(dataset);
    for (int f = 0; f < 2; f++) {
        struct stat info;
        ck_assert_int_eq(stat(file_of(ends[f], path), &info), 0);
        for (long at = 0; at < info.st_size; at += 1 + info.st_size / 90) {
            ck_assert_int_eq(stat(path, &info), 0);
            put_byte(path, at, byte_at(path, at) ^ 0x41);
            ck_assert_ok(get(&dataset, &made, why));
            ck_assert_msg(made || f == 0, "%s: byte %ld", path, at);
            ck_assert(!made || strlen(why) > 0);
            same(in_memory, dataset);
            model_dataset_free(dataset);
            if (!made)
                put_byte(path, at, byte_at(path, at) ^ 0x41);
        }
        for (long size = 0; size < info.st_size; size += 1 + info.st_size / 20) {
            ck_assert_int_eq(truncate(path, size), 0);
            ck_assert_ok(get(&dataset, &made, why));
            ck_assert(made && strlen(why) > 0);
            same(in_memory, dataset);
            model_dataset_free(dataset);
        }
    }
    model_dataset_free(in_memory);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* As what a killed process leaves: one of the two, or files that were not renamed. */
START_TEST(a_half_written_one_is_made_anew)
{
    char path[400], other[450];
    ModelDataset *dataset;
    bool made;
    for (int f = 0; f < 3; f++) {
        ck_assert_ok(get(&dataset, &made, NULL));
        ck_assert(made);
        model_dataset_free(dataset);
        file_of(f == 1 ? ".npz" : ".data", path);
        snprintf(other, sizeof other, "%s.tmp", path);
        ck_assert_int_eq(f < 2 ? unlink(path) : rename(path, other), 0);
    }
    ck_assert_ok(get(&dataset, &made, NULL));
    ck_assert(made);
    model_dataset_free(dataset);
    ck_assert_int_eq(count_files(), 3);
}
END_TEST

/* A limit on the size of files is as a disk that is full. */
START_TEST(a_full_disk_is_an_error_and_leaves_nothing)
{
    ModelDataset *dataset;
    bool made;
    struct rlimit before, limit;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    static const rlim_t limits[] = {100, 2000, 6000, 9000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        limit = (struct rlimit){limits[i], before.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_failed(get(&dataset, &made, NULL), REEL_STATUS_FAILED, "File too large");
        ck_assert_int_eq(count_files(), 1); /* the lock */
    }
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    check();
}
END_TEST

START_TEST(several_processes_make_it_once)
{
    enum { PROCESSES = 4 };
    int made_by = 0;
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            ModelDataset *dataset;
            bool made;
            ReelStatus status = get(&dataset, &made, NULL);
            _exit(!reel_status_is_ok(&status) ? 2 : made ? 1 : 0);
        }
    for (int i = 0; i < PROCESSES; i++) {
        int code;
        ck_assert_int_gt(wait(&code), 0);
        ck_assert(WIFEXITED(code) && WEXITSTATUS(code) < 2);
        made_by += WEXITSTATUS(code);
    }
    ck_assert_int_eq(made_by, 1);
    ModelDataset *dataset;
    bool made;
    ck_assert_ok(get(&dataset, &made, NULL));
    ck_assert(!made);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(what_cannot_be)
{
    ModelDataset *dataset;
    bool made;
    options.keep_texts = true;
    ck_assert_failed(get(&dataset, &made, NULL), REEL_STATUS_USAGE, "--cache");
    options.keep_texts = false;
    teardown();
    ck_assert_failed(get(&dataset, &made, NULL), REEL_STATUS_FAILED, "choose another folder with --cache");
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    ck_assert_ok(get(&dataset, &made, NULL));
    char path[400];
    ck_assert_int_eq(truncate(file_of(".data", path), 10), 0);
    int32_t ids[64];
    ck_assert_failed(model_dataset_part_ids(&dataset->train, 5, ids), REEL_STATUS_FAILED, path);
    model_dataset_free(dataset);
    for (int n = 0;; n += 1 + n / 8) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = get(&dataset, &made, NULL);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status)) {
            model_dataset_free(dataset);
            if (!made)
                break;
        }
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
}
END_TEST

Suite *models_cache_suite(void);
Suite *models_cache_suite(void)
{
    Suite *suite = suite_create("models/cache");
    TCase *tcase = tcase_create("cache");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_data_set_is_the_one_in_memory);
    tcase_add_test(tcase, parts_that_the_file_names);
    tcase_add_test(tcase, ids_of_32_bits);
    tcase_add_test(tcase, of_other_data_it_is_made_anew);
    tcase_add_test(tcase, a_damaged_one_is_made_anew);
    tcase_add_test(tcase, a_half_written_one_is_made_anew);
    tcase_add_test(tcase, a_full_disk_is_an_error_and_leaves_nothing);
    tcase_add_test(tcase, several_processes_make_it_once);
    tcase_add_test(tcase, what_cannot_be);
    suite_add_tcase(suite, tcase);
    return suite;
}
