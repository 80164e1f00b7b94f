#include "models/text/cache.h"
#include "models/text/dataset_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define KEY    "cache/key.txt"
#define HEAD   "cache/head"
#define CONFIG "cache/config.json"

enum { VERSION = 1, PARTS = 3, PIECE = 1 << 16 };

/* What the head says of a part. In the data file stand first the ids of all parts, then of each part the
 * offsets, the labels' offsets, the labels and the rows. */
typedef struct PartHead {
    int64_t count, ids, labels, empty, missed;
    int32_t longest, missed_labels;
} PartHead;

typedef struct Head {
    PartHead parts[PARTS];
    uint64_t size; /* of the data file */
    int64_t unlabelled, repeated;
    uint32_t crc; /* of the data file */
    int32_t width;
    char fingerprint[MODEL_CORPUS_HASH_SIZE];
    char form[MODEL_FORM_SIZE + 150], note[MODEL_NOTE_SIZE], warning[MODEL_CORPUS_WARNING_SIZE];
    char missed_names[200];
} Head;

/* ---- The key ---- */

/* A file as it is now. One that is none, such as a pipe, is another one each time. */
static bool add_file(ReelBytes *key, const char *what, const char *path)
{
    char line[PATH_MAX + 200], real[PATH_MAX];
    struct stat info;
    if (!path)
        return true;
    bool standard = strcmp(path, "-") == 0;
    if (standard || stat(path, &info) != 0 || !S_ISREG(info.st_mode) || !realpath(path, real)) {
        static unsigned times;
        snprintf(line, sizeof line, "%s %.900s stream %ld %u\n", what, path, (long)getpid(), times++);
    } else {
        snprintf(line, sizeof line, "%s %s size %lld changed %lld.%09ld\n", what, real,
                 (long long)info.st_size, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
    return reel_bytes_append(key, line, strlen(line));
}

static bool add_text(ReelBytes *key, const char *what, const char *text)
{
    return reel_bytes_append(key, what, strlen(what)) && reel_bytes_append(key, " ", 1) &&
           reel_bytes_append(key, text ? text : "-", text ? strlen(text) : 1) &&
           reel_bytes_append(key, "\n", 1);
}

static bool add_numbers(ReelBytes *key, const ModelDatasetOptions *o)
{
    char line[700];
    const uint16_t one = 1;
    int used = snprintf(
        line, sizeof line,
        "version %d head %zu order %d unicode %d\ntest %.17g seed %u valid %.17g join %d task %d rare %d "
        "format %d digits %d letters %d min %d max %.17g length %d pairs %lld pieces %d-%d min %d auto %d\n",
        VERSION, sizeof(Head), *(const unsigned char *)&one, model_cleaner_has_unicode(), o->test_size,
        o->split_seed, o->valid_size, o->join_valid, (int)o->task, o->min_label_count, (int)o->corpus.format,
        o->clean.keep_digits, (int)o->clean.letters, o->vocabulary.min_df, o->vocabulary.max_df, o->max_len,
        (long long)o->byte_pairs, o->ngrams.least, o->ngrams.most, o->ngrams.min_df, o->ngrams.unless_ascii);
    return reel_bytes_append(key, line, (size_t)used);
}

static uLong add_strings(uLong crc, const ModelStringTable *table)
{
    for (int32_t i = 0; i < table->count; i++) {
        const char *text = model_string_table_text(table, i);
        crc = crc32_z(crc, (const Bytef *)text, strlen(text) + 1);
    }
    return crc;
}

/* Of the pipeline to begin with; its byte pairs aside. */
static bool add_begin(ReelBytes *key, const ModelPipeline *begin)
{
    ReelJsonWriter json = {0};
    char line[60];
    if (!begin)
        return true;
    uLong crc = add_strings(add_strings(0, &begin->vocabulary.words), &begin->ngrams.pieces);
    crc = add_strings(add_strings(crc, &begin->labels), &begin->cleaner.stop_words);
    reel_json_begin_object(&json, NULL);
    model_pipeline_write_fields(begin, &json);
    reel_json_end_object(&json);
    snprintf(line, sizeof line, "begun %08lx", crc);
    bool fine = add_text(key, line, reel_json_finish(&json));
    reel_json_free(&json);
    return fine;
}

/* Of byte pairs that are given. */
static ReelStatus add_pairs(ReelBytes *key, const ModelDatasetOptions *o)
{
    const ModelBpeTokenizer *bpe = o->begin ? o->begin->tokenizer.bpe : o->bpe;
    ReelBytes json = {0};
    char line[40];
    if (!bpe)
        return reel_status_ok();
    ReelStatus status = model_bpe_to_json(bpe, &json);
    snprintf(line, sizeof line, "given %08lx\n", crc32_z(0, (const Bytef *)json.data, json.size));
    reel_bytes_free(&json);
    return reel_status_is_ok(&status) && !reel_bytes_append(key, line, strlen(line))
               ? reel_status_no_memory(sizeof line, "the cache's key")
               : status;
}

/* What the names of the files are made of. */
static bool add_options(ReelBytes *key, const ModelDatasetOptions *o)
{
    const ModelColumnNames *columns = &o->corpus.columns;
    return add_numbers(key, o) && add_text(key, "separator", o->corpus.label_separator) &&
           add_text(key, "text", columns->text) && add_text(key, "labels", columns->labels) &&
           add_text(key, "columns", columns->label_columns) && add_text(key, "id", columns->id) &&
           add_text(key, "split", columns->split) && add_text(key, "group", columns->group) &&
           add_text(key, "stop words", o->clean.stop_words);
}

static bool add_files(ReelBytes *key, const char *path, const ModelDatasetOptions *o)
{
    const char *words = o->clean.stop_words;
    return add_file(key, "data", path) && add_file(key, "valid", o->valid_file) &&
           add_file(key, "test", o->test_file) &&
           add_file(key, "words", words && strcmp(words, "none") != 0 ? words : NULL);
}

/* Of names alone, so that another state of the same file takes the place of the one before. */
static uint64_t name_hash(const ReelBytes *key, const char *const paths[], int count)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < key->size; i++)
        hash = (hash ^ (unsigned char)key->data[i]) * 1099511628211u;
    for (int i = 0; i < count; i++) {
        char real[PATH_MAX];
        const char *at = !paths[i] ? "" : realpath(paths[i], real) ? real : paths[i];
        for (; *at; at++)
            hash = (hash ^ (unsigned char)*at) * 1099511628211u;
        hash = (hash ^ 0xFF) * 1099511628211u;
    }
    return hash;
}

static char *join(const char *folder, uint64_t hash, const char *end)
{
    size_t size = strlen(folder) + 32;
    char *path = reel_mem_alloc(size);
    if (path)
        snprintf(path, size, "%s/%016llx%s", folder, (unsigned long long)hash, end);
    return path;
}

static ReelStatus take_lock(ModelCache *cache, const char *folder, uint64_t hash)
{
    char *path = join(folder, hash, ".lock");
    if (!path)
        return reel_status_no_memory(0, "the cache");
    ReelStatus status = reel_status_ok();
    cache->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (cache->lock < 0)
        status = reel_status_failed("%s: cannot be written: %s; choose another folder with --cache", path,
                                    strerror(errno));
    while (cache->lock >= 0 && flock(cache->lock, LOCK_EX) != 0 && errno == EINTR)
        continue; /* a file system that knows no locks has none */
    reel_mem_free(path);
    return status;
}

ReelStatus model_cache_open(ModelCache *cache, const char *folder, const char *path,
                            const ModelDatasetOptions *options)
{
    ReelBytes key = {0};
    *cache = (ModelCache){.lock = -1};
    if (options->keep_texts || options->fit)
        return reel_status_usage("--cache: keeps ids, and the texts themselves are asked for; leave it out");
    bool fine = add_options(&key, options) && add_begin(&key, options->begin);
    ReelStatus status = fine ? add_pairs(&key, options) : reel_status_no_memory(key.size, "the cache's key");
    const char *const paths[] = {path, options->valid_file, options->test_file};
    uint64_t hash = name_hash(&key, paths, 3);
    if (reel_status_is_ok(&status)) {
        cache->head = join(folder, hash, ".npz");
        cache->data = join(folder, hash, ".data");
        fine = cache->head && cache->data && add_files(&key, path, options) && reel_bytes_append(&key, "", 1);
        status = fine ? take_lock(cache, folder, hash) : reel_status_no_memory(key.size, "the cache's key");
    }
    cache->key = key.data;
    return status;
}

void model_cache_close(ModelCache *cache)
{
    if (cache->lock >= 0)
        close(cache->lock);
    reel_mem_free(cache->head);
    reel_mem_free(cache->data);
    reel_mem_free(cache->key);
    *cache = (ModelCache){.lock = -1};
}

/* ---- Parts and their arrays ---- */

static void parts_of(ModelDataset *dataset, ModelDatasetPart *parts[PARTS])
{
    parts[0] = &dataset->train;
    parts[1] = &dataset->valid;
    parts[2] = &dataset->test;
}

enum { ARRAYS = 4 };

/* The arrays of a part, in their order in the file. */
typedef struct Array {
    void **memory;
    size_t size;
} Array;

static void arrays_of(ModelDatasetPart *part, const PartHead *head, Array arrays[ARRAYS])
{
    size_t n = (size_t)head->count;
    arrays[0] = (Array){(void **)&part->offsets, (n + 1) * sizeof *part->offsets};
    arrays[1] = (Array){(void **)&part->label_offsets, (n + 1) * sizeof *part->label_offsets};
    arrays[2] = (Array){(void **)&part->labels, (size_t)head->labels * sizeof *part->labels};
    arrays[3] = (Array){(void **)&part->rows, n * sizeof *part->rows};
}

/* ---- Writing ---- */

static void describe(const ModelDataset *dataset, ModelDatasetPart *const parts[PARTS], Head *head)
{
    memset(head, 0, sizeof *head); /* what lies between the fields too */
    for (int p = 0; p < PARTS; p++) {
        const ModelDatasetPart *part = parts[p];
        head->parts[p] = (PartHead){.count = part->count,
                                    .empty = part->empty,
                                    .missed = part->missed,
                                    .longest = part->longest,
                                    .missed_labels = part->missed_labels};
        if (part->offsets) {
            head->parts[p].ids = part->offsets[part->count];
            head->parts[p].labels = part->label_offsets[part->count];
        }
    }
    head->unlabelled = dataset->unlabelled;
    head->repeated = dataset->repeated;
    memcpy(head->form, dataset->form, sizeof head->form);
    memcpy(head->note, dataset->note, sizeof head->note);
    memcpy(head->warning, dataset->warning, sizeof head->warning);
    memcpy(head->missed_names, dataset->missed_names, sizeof head->missed_names);
}

/* The arrays, behind the ids; a part without examples has none. */
static ReelStatus write_arrays(ReelAtomicFile *file, ModelDatasetPart *const parts[PARTS], const Head *head,
                               uint64_t at, uint64_t *size)
{
    ReelStatus status = reel_status_ok();
    for (int p = 0; p < PARTS; p++) {
        Array arrays[ARRAYS];
        arrays_of(parts[p], &head->parts[p], arrays);
        for (int i = 0; i < ARRAYS && *arrays[i].memory && reel_status_is_ok(&status); i++) {
            status = reel_atomic_file_write(file, at, *arrays[i].memory, arrays[i].size);
            at += arrays[i].size;
        }
    }
    *size = at;
    return status;
}

static ReelStatus crc_of(int fd, const char *path, uint64_t size, uint32_t *crc)
{
    unsigned char *piece = reel_mem_alloc(PIECE);
    ReelStatus status = piece ? reel_status_ok() : reel_status_no_memory(PIECE, path);
    *crc = 0;
    for (uint64_t at = 0; reel_status_is_ok(&status) && at < size;) {
        ssize_t got = pread(fd, piece, size - at < PIECE ? (size_t)(size - at) : PIECE, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            status = reel_status_failed("%s: cannot be read: %s; check the disk", path,
                                        got < 0 ? strerror(errno) : "it has become shorter");
        else
            *crc = (uint32_t)crc32_z(*crc, piece, (size_t)got);
        at += got > 0 ? (uint64_t)got : 0;
    }
    reel_mem_free(piece);
    return status;
}

static ReelStatus write_head(const ModelCache *cache, const ModelDataset *dataset, const Head *head)
{
    NnSnapshot snapshot;
    ReelJsonWriter json = {0};
    nn_snapshot_init(&snapshot);
    nn_snapshot_bytes(&snapshot, KEY, cache->key, strlen(cache->key));
    nn_snapshot_bytes(&snapshot, HEAD, head, sizeof *head);
    reel_json_begin_object(&json, NULL);
    model_pipeline_write_fields(&dataset->text, &json);
    reel_json_end_object(&json);
    nn_snapshot_json(&snapshot, CONFIG, &json);
    model_pipeline_snapshot(&dataset->text, &snapshot);
    ReelStatus status = nn_snapshot_write(&snapshot, cache->head, (TensorNpzOptions){.level = 1});
    nn_snapshot_free(&snapshot);
    return status;
}

/* From now on the data set reads the file under its name. */
static ReelStatus reopen(ModelDataset *dataset, const char *path)
{
    dataset->file.fd = open(path, O_RDONLY | O_CLOEXEC);
    return dataset->file.fd >= 0
               ? reel_status_ok()
               : reel_status_failed("%s: cannot be read: %s; check the disk", path, strerror(errno));
}

static ReelStatus finish(ModelCache *cache, ModelDataset *dataset, ReelAtomicFile *file)
{
    ModelDatasetPart *parts[PARTS];
    Head head;
    parts_of(dataset, parts);
    describe(dataset, parts, &head);
    head.width = dataset->file.width;
    uint64_t ids = (uint64_t)(head.parts[0].ids + head.parts[1].ids + head.parts[2].ids);
    ReelStatus status = write_arrays(file, parts, &head, ids * (uint64_t)head.width, &head.size);
    if (reel_status_is_ok(&status))
        status = model_dataset_fingerprint(dataset, head.fingerprint);
    if (reel_status_is_ok(&status))
        status = crc_of(file->fd, cache->data, head.size, &head.crc);
    memcpy(dataset->fingerprint, head.fingerprint, sizeof dataset->fingerprint);
    unlink(cache->head); /* it is not of the data file to come */
    dataset->file.fd = -1;
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_commit(file);
    if (reel_status_is_ok(&status))
        status = write_head(cache, dataset, &head);
    return reel_status_is_ok(&status) ? reopen(dataset, cache->data) : status;
}

ReelStatus model_cache_make(ModelCache *cache, ModelDataset **dataset, const ModelCorpus *corpus,
                            const char *name, const ModelDatasetOptions *options)
{
    ReelAtomicFile file;
    *dataset = NULL;
    ReelStatus status = reel_atomic_file_open(&file, cache->data);
    if (!reel_status_is_ok(&status))
        return status;
    if (ftruncate(file.fd, 0) != 0)
        status = reel_status_failed("%s: cannot be written: %s; choose another folder with --cache",
                                    cache->data, strerror(errno));
    if (reel_status_is_ok(&status))
        status = model_dataset_new_in_file(dataset, corpus, name, options, file.fd, cache->data);
    if (reel_status_is_ok(&status))
        status = finish(cache, *dataset, &file);
    reel_atomic_file_abandon(&file);
    if (!reel_status_is_ok(&status)) {
        if (*dataset)
            (*dataset)->file.fd = -1; /* it was the atomic file's */
        model_dataset_free(*dataset);
        *dataset = NULL;
    }
    return status;
}

/* ---- Reading ---- */

/* Why what is there is not used. */
static ReelStatus damaged(const char *path, const char *what)
{
    return reel_status_failed("%s: is damaged: %s; it is made anew", path, what);
}

static bool read_field(void *text, ReelJsonReader *json)
{
    return model_pipeline_read_field(text, json);
}

static ReelStatus read_config(ModelPipeline *text, const TensorNpz *npz, TensorArena *arena)
{
    const char *bytes;
    size_t size;
    ReelStatus status = model_text_member(npz, CONFIG, arena, &bytes, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_object(bytes, size, tensor_npz_path(npz), read_field, text);
    if (reel_status_is_ok(&status) && text->max_len < MODEL_TOKENIZER_LEAST_MAX_LEN)
        status = damaged(tensor_npz_path(npz), "the length of texts");
    return reel_status_is_ok(&status) ? model_pipeline_load(text, npz, arena) : status;
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) && !strchr(text, '\n');
}

/* Whether the numbers can be, before anything is allocated by them. */
static bool is_sound(const Head *head, const ModelPipeline *text)
{
    uint64_t size = 0;
    bool fine = head->width == (text->tokenizer.vocab_size <= 1 << 16 ? 2 : 4) && head->size <= INT64_MAX &&
                head->unlabelled >= 0 && head->repeated >= 0 && head->parts[0].count > 0;
    for (int p = 0; p < PARTS && fine; p++) {
        const PartHead *part = &head->parts[p];
        fine = part->count >= 0 && part->count <= INT32_MAX && part->ids >= 0 && part->labels >= 0 &&
               part->empty >= 0 && part->empty <= part->count && part->missed >= 0 &&
               part->missed_labels >= 0 && part->longest >= 0 &&
               (part->longest <= text->max_len || text->tokenizer.first_piece > 0) &&
               part->ids <= part->count * part->longest && (uint64_t)part->labels <= head->size;
        if (part->count > 0 || p != 1) /* only the part for validation may not be there */
            size += (uint64_t)part->ids * (uint64_t)head->width +
                    2 * (uint64_t)(part->count + 1) * sizeof(int64_t) +
                    (uint64_t)part->labels * sizeof(int32_t) + (uint64_t)part->count * sizeof(int32_t);
    }
    return fine && size == head->size && is_text(head->fingerprint, sizeof head->fingerprint) &&
           is_text(head->form, sizeof head->form) && is_text(head->note, sizeof head->note) &&
           is_text(head->warning, sizeof head->warning) &&
           is_text(head->missed_names, sizeof head->missed_names);
}

static ReelStatus read_array(int fd, const char *path, const Array *array, uint64_t at)
{
    char *to = *array->memory = reel_mem_alloc(array->size);
    size_t left = array->size;
    if (!to)
        return reel_status_no_memory(array->size, path);
    while (left > 0) {
        ssize_t got = pread(fd, to, left, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return damaged(path, got < 0 ? strerror(errno) : "it is cut short");
        to += got;
        at += (uint64_t)got;
        left -= (size_t)got;
    }
    return reel_status_ok();
}

/* Offsets from 0 to `end` that rise by `least` to `most`. */
static bool rises(const int64_t *offsets, int64_t count, int64_t end, int64_t least, int64_t most)
{
    bool fine = offsets[0] == 0 && offsets[count] == end;
    for (int64_t i = 0; fine && i < count; i++)
        fine =
            offsets[i] <= end && offsets[i + 1] >= offsets[i] + least && offsets[i + 1] <= offsets[i] + most;
    return fine;
}

static bool check_part(ModelDatasetPart *part, const PartHead *head)
{
    bool fine = rises(part->offsets, part->count, head->ids, MODEL_TOKENIZER_LEAST_MAX_LEN, head->longest) &&
                rises(part->label_offsets, part->count, head->labels, 0, part->num_classes);
    for (int64_t i = 0; fine && i < part->count; i++) {
        fine = part->rows[i] >= 0;
        for (int64_t at = part->label_offsets[i]; fine && at < part->label_offsets[i + 1]; at++) {
            int32_t label = part->labels[at];
            fine = label >= 0 && label < part->num_classes &&
                   (at == part->label_offsets[i] || label > part->labels[at - 1]);
            if (fine)
                part->label_counts[label]++;
        }
    }
    return fine;
}

/* An id that is none would be a place in memory that is none. */
static ReelStatus check_ids(const ModelDatasetPart *part, int64_t count, int32_t size, const char *path)
{
    enum { AT_ONCE = 4096 };
    int32_t ids[AT_ONCE];
    bool fine = true;
    ReelStatus status = reel_status_ok();
    for (int64_t at = 0, some; reel_status_is_ok(&status) && fine && at < count; at += some) {
        some = count - at < AT_ONCE ? count - at : AT_ONCE;
        status = model_id_store_read(&part->ids, at, some, ids);
        for (int64_t i = 0; reel_status_is_ok(&status) && i < some; i++)
            fine = fine && ids[i] >= 0 && ids[i] < size;
    }
    return reel_status_is_ok(&status) && !fine ? damaged(path, "it has ids that the vocabulary lacks")
                                               : status;
}

static ReelStatus read_parts(ModelCache *cache, ModelDataset *dataset, const Head *head)
{
    ModelDatasetPart *parts[PARTS];
    uint64_t at = 0, ids = 0;
    ReelStatus status = reel_status_ok();
    parts_of(dataset, parts);
    for (int p = 0; p < PARTS; p++)
        at += (uint64_t)head->parts[p].ids * (uint64_t)head->width;
    for (int p = 0; p < PARTS && reel_status_is_ok(&status); p++) {
        const PartHead *of = &head->parts[p];
        ModelDatasetPart *part = parts[p];
        Array arrays[ARRAYS];
        *part = (ModelDatasetPart){.count = of->count,
                                   .ids = {.file = &dataset->file, .at = ids},
                                   .num_classes = dataset->text.labels.count,
                                   .task = dataset->text.task,
                                   .longest = of->longest,
                                   .empty = of->empty,
                                   .missed = of->missed,
                                   .missed_labels = of->missed_labels};
        ids += (uint64_t)of->ids * (uint64_t)head->width;
        if (of->count == 0 && p == 1) {
            *part = (ModelDatasetPart){0};
            continue;
        }
        part->label_counts = reel_mem_calloc((size_t)part->num_classes, sizeof *part->label_counts);
        if (!part->label_counts)
            status =
                reel_status_no_memory((size_t)part->num_classes * sizeof *part->label_counts, "the labels");
        arrays_of(part, of, arrays);
        for (int i = 0; i < ARRAYS && reel_status_is_ok(&status); at += arrays[i++].size)
            status = read_array(dataset->file.fd, cache->data, &arrays[i], at);
        if (reel_status_is_ok(&status) && !check_part(part, of))
            status = damaged(cache->data, "its parts");
        if (reel_status_is_ok(&status))
            status = check_ids(part, of->ids, dataset->text.tokenizer.vocab_size, cache->data);
    }
    return status;
}

/* Fuzzers cannot guess one. */
static bool crc_is_fine(uint32_t crc, uint32_t expected)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return crc == expected || crc != expected;
#else
    return crc == expected;
#endif
}

static ReelStatus read_data(ModelCache *cache, ModelDataset *dataset, const Head *head)
{
    struct stat info;
    uint32_t crc;
    dataset->file = (ModelIdFile){.fd = open(cache->data, O_RDONLY | O_CLOEXEC), .width = head->width};
    dataset->file.path = reel_mem_strdup(cache->data);
    if (!dataset->file.path)
        return reel_status_no_memory(strlen(cache->data), "the cache");
    if (dataset->file.fd < 0 || fstat(dataset->file.fd, &info) != 0)
        return damaged(cache->data, strerror(errno));
    if ((uint64_t)info.st_size != head->size)
        return damaged(cache->data, "it is not as long as it was");
    ReelStatus status = crc_of(dataset->file.fd, cache->data, head->size, &crc);
    if (reel_status_is_ok(&status) && !crc_is_fine(crc, head->crc))
        status = damaged(cache->data, "its checksum is wrong");
    return reel_status_is_ok(&status) ? read_parts(cache, dataset, head) : status;
}

static ReelStatus read_head(const ModelCache *cache, const TensorNpz *npz, TensorArena *arena, Head *head)
{
    const void *bytes = NULL;
    const char *key = NULL;
    size_t size = 0;
    const TensorNpzMember *member = tensor_npz_find(npz, HEAD);
    ReelStatus status = model_text_member(npz, KEY, arena, &key, &size);
    if (!reel_status_is_ok(&status))
        return status;
    if (size != strlen(cache->key) || memcmp(key, cache->key, size) != 0)
        return reel_status_failed("%s: is of the data as they were before; it is made anew", cache->head);
    if (!member || member->is_array)
        return damaged(cache->head, "it has no head");
    status = tensor_npz_read_bytes(npz, member, arena, &bytes, &size);
    if (reel_status_is_ok(&status) && size != sizeof *head)
        return damaged(cache->head, "its head");
    if (reel_status_is_ok(&status))
        memcpy(head, bytes, sizeof *head);
    return status;
}

static ReelStatus read_dataset(ModelCache *cache, const TensorNpz *npz, TensorArena *arena,
                               ModelDataset *dataset)
{
    Head head;
    ReelStatus status = read_head(cache, npz, arena, &head);
    if (reel_status_is_ok(&status))
        status = read_config(&dataset->text, npz, arena);
    if (!reel_status_is_ok(&status))
        return status;
    if (!is_sound(&head, &dataset->text) || dataset->text.labels.count == 0)
        return damaged(cache->head, "its head");
    dataset->unlabelled = head.unlabelled;
    dataset->repeated = head.repeated;
    memcpy(dataset->fingerprint, head.fingerprint, sizeof dataset->fingerprint);
    memcpy(dataset->form, head.form, sizeof head.form);
    memcpy(dataset->note, head.note, sizeof head.note);
    memcpy(dataset->warning, head.warning, sizeof head.warning);
    memcpy(dataset->missed_names, head.missed_names, sizeof head.missed_names);
    return read_data(cache, dataset, &head);
}

ReelStatus model_cache_load(ModelCache *cache, ModelDataset **out)
{
    TensorNpz *npz = NULL;
    TensorArena arena;
    *out = NULL;
    cache->why[0] = '\0';
    if (access(cache->head, F_OK) != 0)
        return reel_status_ok();
    ModelDataset *dataset = reel_mem_calloc(1, sizeof *dataset);
    if (!dataset)
        return reel_status_no_memory(sizeof *dataset, "the data set");
    dataset->file.fd = -1;
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_open(&npz, cache->head);
    if (reel_status_is_ok(&status))
        status = read_dataset(cache, npz, &arena, dataset);
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    if (reel_status_is_ok(&status)) {
        *out = dataset;
        return status;
    }
    model_dataset_free(dataset);
    snprintf(cache->why, sizeof cache->why, "%.*s", MODEL_CACHE_WHY_SIZE - 1, status.message);
    return reel_status_ok();
}
