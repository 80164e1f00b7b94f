#include "models/text/dataset_internal.h"
#include "models/text/division.h"
#include "models/text/encoding.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

ModelDatasetOptions model_dataset_defaults(void)
{
    return (ModelDatasetOptions){
        .test_size = 0.2, .vocabulary = model_vocabulary_defaults(), .max_len = 64, .task = MODEL_TASK_AUTO};
}

/* What is wrong with the data says in which file. */
static ReelStatus name_file(ReelStatus status, const char *name)
{
    return status.code == REEL_STATUS_FAILED ? reel_status_failed("%s: %s", name, status.message) : status;
}

static void tell(const ModelDatasetOptions *options, const char *doing)
{
    if (options->progress)
        options->progress(options->progress_context, doing, 0, 0);
}

/* ---- Filling ---- */

enum { LABEL_UNKNOWN = -1, LABEL_RARE = -2 };

/* The data set's number of each of the corpus' labels: LABEL_UNKNOWN where training has none of it,
 * LABEL_RARE where too few rows bear it. */
typedef struct Labels {
    int32_t *id_of;
    int32_t count; /* of the data set's */
    ModelTask task;
} Labels;

/* Those of an example become ascending, which they mostly are. */
static void sort_labels(int32_t *labels, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        int64_t to = i;
        int32_t label = labels[i];
        for (; to > 0 && labels[to - 1] > label; to--)
            labels[to] = labels[to - 1];
        labels[to] = label;
    }
}

/* Labels that training does not know are left out, and counted. */
static ReelStatus fill_labels(ModelDatasetPart *part, const ModelCorpus *corpus, const Labels *labels)
{
    int64_t total = 0;
    for (int64_t i = 0; i < part->count; i++)
        total += corpus->label_offsets[part->rows[i] + 1] - corpus->label_offsets[part->rows[i]];
    part->labels = reel_mem_alloc((size_t)total * sizeof *part->labels);
    if (!part->labels)
        return reel_status_no_memory((size_t)total * sizeof *part->labels, "the labels");
    part->label_offsets[0] = 0;
    for (int64_t i = 0; i < part->count; i++) {
        int64_t to = part->label_offsets[i], from = corpus->label_offsets[part->rows[i]];
        for (; from < corpus->label_offsets[part->rows[i] + 1]; from++) {
            int32_t id = labels->id_of[corpus->labels[from]];
            part->missed += id == LABEL_UNKNOWN;
            if (id < 0)
                continue;
            part->labels[to++] = id;
            part->label_counts[id]++;
        }
        part->label_offsets[i + 1] = to;
        sort_labels(part->labels + part->label_offsets[i], to - part->label_offsets[i]);
    }
    return reel_status_ok();
}

static ReelStatus fill_part(ModelDatasetPart *part, const int32_t *rows, int64_t count,
                            const ModelCorpus *corpus, const Labels *labels, ModelEncoding *encoding)
{
    size_t n = (size_t)count;
    part->count = count;
    part->num_classes = labels->count;
    part->task = labels->task;
    part->rows = reel_mem_alloc(n * sizeof *part->rows);
    part->offsets = reel_mem_alloc((n + 1) * sizeof *part->offsets);
    part->label_offsets = reel_mem_alloc((n + 1) * sizeof *part->label_offsets);
    part->label_counts = reel_mem_calloc((size_t)part->num_classes, sizeof *part->label_counts);
    if (!part->rows || !part->offsets || !part->label_offsets || !part->label_counts)
        return reel_status_no_memory(n * (sizeof *part->rows + 2 * sizeof *part->offsets), "the examples");
    if (n > 0)
        memcpy(part->rows, rows, n * sizeof *rows);
    ReelStatus status = fill_labels(part, corpus, labels);
    return reel_status_is_ok(&status) ? model_encoding_fill(encoding, part) : status;
}

static void part_free(ModelDatasetPart *part)
{
    reel_mem_free(part->rows);
    reel_mem_free(part->offsets);
    reel_mem_free((void *)(uintptr_t)part->ids.wide);
    reel_mem_free((void *)(uintptr_t)part->ids.narrow);
    reel_mem_free(part->label_offsets);
    reel_mem_free(part->labels);
    reel_mem_free(part->label_counts);
}

/* ---- Labels ---- */

static int64_t *count_labels(const ModelCorpus *corpus, const ModelDivision *rows)
{
    int64_t *counts = reel_mem_calloc((size_t)corpus->classes.count, sizeof *counts);
    const int32_t *lists[] = {rows->train, rows->valid};
    const int64_t sizes[] = {rows->num_train, rows->num_valid};
    for (int l = 0; counts && l < 2; l++)
        for (int64_t i = 0; i < sizes[l]; i++)
            for (int64_t at = corpus->label_offsets[lists[l][i]]; at < corpus->label_offsets[lists[l][i] + 1];
                 at++)
                counts[corpus->labels[at]]++;
    return counts;
}

/* Which labels the data set has: those of the model to begin with, and those that come to them. Where rows
 * say their parts, labels of the test part alone are unknown. */
static ReelStatus choose_labels(ModelDataset *dataset, const ModelCorpus *corpus, const ModelDivision *rows,
                                const ModelDatasetOptions *options, Labels *labels)
{
    int32_t count = corpus->classes.count, missed = 0;
    size_t bytes = (size_t)count * sizeof *labels->id_of;
    int64_t *counts = count_labels(corpus, rows);
    ModelStringTable *known = &dataset->text.labels;
    labels->id_of = reel_mem_alloc(bytes);
    bool fine = counts && labels->id_of &&
                (!options->begin || model_string_table_add_all(known, &options->begin->labels));
    for (int32_t k = 0; fine && k < count; k++) {
        ModelTextSpan name = model_text_span(model_string_table_text(&corpus->classes, k));
        labels->id_of[k] = model_string_table_find(known, name);
        if (labels->id_of[k] >= 0)
            continue;
        bool unknown = corpus->parts && counts[k] == 0;
        labels->id_of[k] = unknown ? LABEL_UNKNOWN : LABEL_RARE;
        if (!unknown && counts[k] >= options->min_label_count)
            fine = (labels->id_of[k] = model_string_table_add(known, name)) >= 0;
        size_t used = strlen(dataset->missed_names);
        if (unknown && missed++ < 3)
            snprintf(dataset->missed_names + used, sizeof dataset->missed_names - used, "%s'%.50s'",
                     used ? ", " : "", name.bytes);
    }
    dataset->test.missed_labels = missed;
    reel_mem_free(counts);
    return fine ? reel_status_ok() : reel_status_no_memory(bytes, "the labels");
}

/* ---- Texts that stand in two parts ---- */

/* Of a text's words, whose numbers are the same where they are; 0: it has none. */
static ReelStatus hash_of(const ModelWordTexts *texts, int32_t row, ReelBytes *scratch, uint64_t *hash)
{
    ModelWordBytes bytes;
    ReelStatus status = model_word_texts_bytes(texts, row, scratch, &bytes);
    bool empty = bytes.at == bytes.end;
    *hash = 14695981039346656037u; /* FNV-1a */
    for (; reel_status_is_ok(&status) && bytes.at < bytes.end; bytes.at++)
        *hash = (*hash ^ *bytes.at) * 1099511628211u;
    *hash = empty ? 0 : *hash ? *hash : 1;
    return status;
}

/* The place of a hash in a table of 2^n, or a free one. */
static size_t place_of(const uint64_t *table, size_t size, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (size - 1);
    while (table[at] && table[at] != hash)
        at = (at + 1) & (size - 1);
    return at;
}

static ReelStatus count_repeated(ModelDataset *dataset, const ModelWordTexts *texts,
                                 const ModelDivision *rows)
{
    size_t size = 64;
    uint64_t hash;
    ReelBytes scratch = {0};
    if (rows->num_valid + rows->num_test == 0)
        return reel_status_ok();
    while (size < 2 * (size_t)rows->num_train)
        size *= 2;
    uint64_t *table = reel_mem_calloc(size, sizeof *table);
    ReelStatus status =
        table ? reel_status_ok() : reel_status_no_memory(size * sizeof *table, "the texts that repeat");
    for (int64_t i = 0; reel_status_is_ok(&status) && i < rows->num_train; i++) {
        status = hash_of(texts, rows->train[i], &scratch, &hash);
        if (reel_status_is_ok(&status) && hash)
            table[place_of(table, size, hash)] = hash;
    }
    const int32_t *lists[] = {rows->valid, rows->test};
    const int64_t sizes[] = {rows->num_valid, rows->num_test};
    for (int l = 0; l < 2; l++)
        for (int64_t i = 0; reel_status_is_ok(&status) && i < sizes[l]; i++) {
            status = hash_of(texts, lists[l][i], &scratch, &hash);
            if (reel_status_is_ok(&status))
                dataset->repeated += hash && table[place_of(table, size, hash)];
        }
    reel_bytes_free(&scratch);
    reel_mem_free(table);
    return status;
}

/* The labels, what is counted of them and of the texts, and the examples. */
static ReelStatus fill_parts(ModelDataset *dataset, const ModelCorpus *corpus, const char *name,
                             const ModelDivision *rows, ModelEncoding *encoding)
{
    const ModelDatasetOptions *options = encoding->options;
    Labels labels = {.task = dataset->text.task};
    ReelStatus status = choose_labels(dataset, corpus, rows, options, &labels);
    labels.count = dataset->text.labels.count;
    if (reel_status_is_ok(&status) && labels.count == 0)
        status = reel_status_failed("%s: no label is borne by %d rows; lower --min-label-count", name,
                                    options->min_label_count);
    if (reel_status_is_ok(&status))
        status = count_repeated(dataset, encoding->texts, rows);
    if (reel_status_is_ok(&status))
        status = fill_part(&dataset->train, rows->train, rows->num_train, corpus, &labels, encoding);
    if (reel_status_is_ok(&status) && rows->num_valid > 0)
        status = fill_part(&dataset->valid, rows->valid, rows->num_valid, corpus, &labels, encoding);
    if (reel_status_is_ok(&status))
        status = fill_part(&dataset->test, rows->test, rows->num_test, corpus, &labels, encoding);
    reel_mem_free(labels.id_of);
    return status;
}

/* Everything between the split and the examples. */
static ReelStatus fill(ModelDataset *dataset, const ModelCorpus *corpus, ModelCleanTexts *clean,
                       const char *name, const ModelDivision *rows, const ModelDatasetOptions *options)
{
    ModelEncoding encoding = {0};
    size_t used = strlen(dataset->form);
    snprintf(dataset->form + used, sizeof dataset->form - used, "%s", clean->form);
    memcpy(dataset->note, clean->note, sizeof dataset->note);
    ReelStatus status = model_cleaner_copy(&dataset->text.cleaner, &clean->cleaner);
    if (reel_status_is_ok(&status) && clean->texts.words.count == 0)
        status =
            reel_status_failed("%s: all texts are empty after cleaning, which keeps words of %s "
                               "that are no stop words; check the column of the texts, or the stop words",
                               name, clean->cleaner.unicode ? "letters and digits" : "the letters a-z");
    if (reel_status_is_ok(&status)) {
        tell(options, options->fit || options->byte_pairs > 0 ? "learning the tokenizer" : "counting words");
        status = model_encoding_learn(&encoding, &clean->texts, &dataset->text, rows->train, rows->num_train,
                                      options);
        if (!options->fit && !options->bpe && options->byte_pairs == 0 && !dataset->text.tokenizer.bpe)
            status = name_file(status, name);
    }
    used = strlen(dataset->form);
    if (dataset->text.tokenizer.first_piece > 0)
        snprintf(dataset->form + used, sizeof dataset->form - used,
                 ", and their pieces of %d to %d characters", dataset->text.ngrams.least,
                 dataset->text.ngrams.most);
    if (dataset->file.fd >= 0) {
        dataset->file.width = dataset->text.tokenizer.vocab_size <= 1 << 16 ? 2 : 4;
        encoding.file = &dataset->file;
    }
    if (reel_status_is_ok(&status))
        status = fill_parts(dataset, corpus, name, rows, &encoding);
    if (reel_status_is_ok(&status) && options->keep_texts)
        status = model_word_texts_copy(&clean->texts, rows->train, rows->num_train, &dataset->train_texts,
                                       &dataset->text_bytes);
    model_encoding_free(&encoding);
    return status;
}

/* Of texts that are in memory as they stand in the file. */
static ReelStatus clean_and_fill(ModelDataset *dataset, const ModelCorpus *corpus, const char *name,
                                 const ModelDivision *rows, const ModelDatasetOptions *options)
{
    ModelCleanTexts clean;
    if (corpus->cleaned)
        return fill(dataset, corpus, corpus->cleaned, name, rows, options);
    ReelStatus status = model_clean_texts_make(&clean, corpus->texts, corpus->rows, options);
    if (!reel_status_is_ok(&status))
        return status;
    status = fill(dataset, corpus, &clean, name, rows, options);
    model_clean_texts_free(&clean);
    return status;
}

/* The first row without exactly one label; -1: there is none. */
static int64_t find_not_single(const ModelCorpus *corpus)
{
    for (int64_t i = 0; i < corpus->rows; i++)
        if (corpus->label_offsets[i + 1] - corpus->label_offsets[i] != 1)
            return i;
    return -1;
}

/* What is not asked for goes by the model to begin with, or by the rows. */
static ReelStatus choose_task(ModelDataset *dataset, const ModelCorpus *corpus, const char *name,
                              const ModelDatasetOptions *options)
{
    ModelTask task =
        options->task == MODEL_TASK_AUTO && options->begin ? options->begin->task : options->task;
    int64_t row = task == MODEL_TASK_MULTILABEL ? -1 : find_not_single(corpus);
    dataset->text.task = task != MODEL_TASK_AUTO ? task : row < 0 ? MODEL_TASK_SINGLE : MODEL_TASK_MULTILABEL;
    if (task != MODEL_TASK_SINGLE || row < 0)
        return reel_status_ok();
    return reel_status_failed(
        "%s: row %lld has %lld labels, and one label a text is asked for%s; give each row "
        "exactly one, or use --task multilabel",
        name, (long long)row + 1, (long long)(corpus->label_offsets[row + 1] - corpus->label_offsets[row]),
        options->task == MODEL_TASK_AUTO ? " by the model to begin with" : "");
}

/* Whether the labels tell any rows apart, also from what the model to begin with knows. */
static ReelStatus check_labels(const ModelCorpus *corpus, const char *name, const ModelPipeline *begin)
{
    if (corpus->classes.count == 0)
        return reel_status_failed("%s: no row has a label; there is nothing to learn, name some", name);
    if (corpus->classes.count == 1 && corpus->unlabelled == 0 && !begin)
        return reel_status_failed(
            "%s: all rows have the same single label '%.100s'; there is nothing to learn, add "
            "rows with others or without labels",
            name, model_string_table_text(&corpus->classes, 0));
    return reel_status_ok();
}

ReelStatus model_dataset_new(ModelDataset **dataset, const ModelCorpus *corpus, const char *name,
                             const ModelDatasetOptions *options)
{
    return model_dataset_new_in_file(dataset, corpus, name, options, -1, NULL);
}

ReelStatus model_dataset_new_in_file(ModelDataset **out, const ModelCorpus *corpus, const char *name,
                                     const ModelDatasetOptions *options, int fd, const char *path)
{
    const ModelDatasetOptions defaults = model_dataset_defaults();
    *out = NULL;
    if (!options)
        options = &defaults;
    int32_t max_len = options->begin ? options->begin->max_len : options->max_len;
    if (max_len < MODEL_TOKENIZER_LEAST_MAX_LEN)
        return reel_status_usage("at most %d ids a text leave no room for a word between <bos> and <eos>; "
                                 "max_len is %d or more",
                                 max_len, MODEL_TOKENIZER_LEAST_MAX_LEN);
    ModelDivision rows;
    ReelStatus status = check_labels(corpus, name, options->begin);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_division_new(&rows, corpus,
                                &(ModelDivisionOptions){.test_size = options->test_size,
                                                        .valid_size = options->valid_size,
                                                        .seed = options->split_seed,
                                                        .join_valid = options->join_valid});
    if (!reel_status_is_ok(&status))
        return name_file(status, name);
    ModelDataset *dataset = reel_mem_calloc(1, sizeof *dataset);
    if (!dataset) {
        model_division_free(&rows);
        return reel_status_no_memory(sizeof *dataset, "the data set");
    }
    dataset->file = (ModelIdFile){.fd = fd, .path = path ? reel_mem_strdup(path) : NULL};
    dataset->text.max_len = max_len;
    memcpy(dataset->text.data_hash, corpus->hash, sizeof dataset->text.data_hash);
    memcpy(dataset->text.label_separator, corpus->label_separator, sizeof dataset->text.label_separator);
    dataset->text.subwords.wanted = options->byte_pairs;
    dataset->unlabelled = corpus->unlabelled;
    memcpy(dataset->warning, corpus->warning, sizeof dataset->warning);
    memcpy(dataset->form, corpus->form, sizeof corpus->form);
    status = choose_task(dataset, corpus, name, options);
    if (path && !dataset->file.path)
        status = reel_status_no_memory(strlen(path), "the data set");
    if (reel_status_is_ok(&status))
        status = clean_and_fill(dataset, corpus, name, &rows, options);
    model_division_free(&rows);
    if (reel_status_is_ok(&status)) {
        *out = dataset;
        return status;
    }
    dataset->file.fd = -1;
    model_dataset_free(dataset);
    return status;
}

ReelStatus model_dataset_read_corpus(ModelCorpus *corpus, const char *path,
                                     const ModelDatasetOptions *options)
{
    const ModelDatasetOptions defaults = model_dataset_defaults();
    return model_clean_texts_read(corpus, path, options ? options : &defaults);
}

ReelStatus model_dataset_read(ModelDataset **dataset, const char *path, const ModelDatasetOptions *options)
{
    *dataset = NULL;
    ModelCorpus corpus;
    ReelStatus status = model_dataset_read_corpus(&corpus, path, options);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_dataset_new(dataset, &corpus, path, options);
    model_corpus_free(&corpus);
    return status;
}

void model_dataset_free(ModelDataset *dataset)
{
    if (!dataset)
        return;
    part_free(&dataset->train);
    part_free(&dataset->valid);
    part_free(&dataset->test);
    model_pipeline_free(&dataset->text);
    if (dataset->file.fd >= 0)
        close(dataset->file.fd);
    reel_mem_free((void *)(uintptr_t)dataset->file.path);
    reel_mem_free(dataset->train_texts);
    reel_mem_free(dataset->text_bytes);
    reel_mem_free(dataset);
}

/* Of ids as numbers of 32 bits, wherever they are. */
static ReelStatus ids_crc(uLong *crc, const ModelDatasetPart *part)
{
    enum { AT_ONCE = 4096 };
    int32_t ids[AT_ONCE];
    ReelStatus status = reel_status_ok();
    int64_t count = part->offsets[part->count];
    for (int64_t at = 0, some; reel_status_is_ok(&status) && at < count; at += some) {
        some = count - at < AT_ONCE ? count - at : AT_ONCE;
        status = model_id_store_read(&part->ids, at, some, ids);
        if (reel_status_is_ok(&status))
            *crc = crc32_z(*crc, (const Bytef *)ids, (size_t)some * sizeof *ids);
    }
    return status;
}

static ReelStatus part_crc(uLong *crc, const ModelDatasetPart *part)
{
    size_t n = (size_t)part->count;
    if (n == 0)
        return reel_status_ok();
    *crc = crc32_z(*crc, (const Bytef *)part->offsets, (n + 1) * sizeof *part->offsets);
    ReelStatus status = ids_crc(crc, part);
    *crc = crc32_z(*crc, (const Bytef *)part->label_offsets, (n + 1) * sizeof *part->label_offsets);
    *crc = crc32_z(*crc, (const Bytef *)part->labels, (size_t)part->label_offsets[n] * sizeof *part->labels);
    return status;
}

ReelStatus model_dataset_fingerprint(const ModelDataset *dataset, char text[MODEL_CORPUS_HASH_SIZE])
{
    const ModelDatasetPart *parts[] = {&dataset->train, &dataset->valid, &dataset->test};
    uLong crc = 0;
    ReelStatus status = reel_status_ok();
    if (dataset->fingerprint[0]) {
        memcpy(text, dataset->fingerprint, MODEL_CORPUS_HASH_SIZE);
        return status;
    }
    for (int i = 0; i < 3 && reel_status_is_ok(&status); i++)
        status = part_crc(&crc, parts[i]);
    for (int32_t i = 0; i < dataset->text.labels.count; i++) {
        const char *name = model_string_table_text(&dataset->text.labels, i);
        crc = crc32_z(crc, (const Bytef *)name, strlen(name) + 1);
    }
    snprintf(text, MODEL_CORPUS_HASH_SIZE, "%08lx", crc & 0xffffffff);
    return status;
}

ReelStatus model_dataset_document_frequencies(const ModelDataset *dataset, int64_t *frequencies)
{
    const ModelDatasetPart *part = &dataset->train;
    int32_t size = dataset->text.tokenizer.vocab_size;
    int64_t *last_seen = reel_mem_calloc((size_t)size, sizeof *last_seen);
    int32_t *ids = reel_mem_alloc((size_t)part->longest * sizeof *ids);
    ReelStatus status =
        last_seen && ids ? reel_status_ok()
                         : reel_status_no_memory((size_t)size * sizeof *last_seen, "the words' frequencies");
    memset(frequencies, 0, (size_t)size * sizeof *frequencies);
    for (int64_t i = 0; i < part->count && reel_status_is_ok(&status); i++) {
        status = model_dataset_part_ids(part, i, ids);
        for (int32_t k = 0; reel_status_is_ok(&status) && k < model_dataset_part_length(part, i); k++) {
            frequencies[ids[k]] += last_seen[ids[k]] != i + 1;
            last_seen[ids[k]] = i + 1;
        }
    }
    reel_mem_free(ids);
    reel_mem_free(last_seen);
    return status;
}

const NnIds *model_dataset_part_labels(TensorArena *arena, const ModelDatasetPart *part)
{
    NnIds *labels = tensor_arena_alloc(arena, (size_t)part->count * sizeof *labels);
    for (int64_t i = 0; labels && i < part->count; i++)
        labels[i] = (NnIds){part->labels + part->label_offsets[i],
                            (int32_t)(part->label_offsets[i + 1] - part->label_offsets[i])};
    return labels;
}
