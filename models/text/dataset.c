#include "models/text/dataset.h"
#include "models/text/division.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>
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

/* Tells who looks on, in a loop over rows now and then. */
static void tell(const ModelDatasetOptions *options, const char *doing, int64_t done, int64_t rows)
{
    if (options && options->progress && done % 1024 == 0)
        options->progress(options->progress_context, doing, done, rows);
}

/* The cleaned texts of a corpus, in one block. */
typedef struct {
    char *bytes;
    ModelTextSpan *texts; /* [rows] */
} CleanTexts;

static void clean_texts_free(CleanTexts *clean)
{
    reel_mem_free(clean->bytes);
    reel_mem_free(clean->texts);
}

/* What "nearly all" and "not English" mean. */
static const double FOREIGN_LETTERS = 0.005, STOP_WORDS = 0.01;
enum { LEAST_WORDS = 1000 }; /* of which the share of stop words says something */

/* Which letters words are of, where that is to be seen from the texts; it is noted in dataset->form. */
static ModelClean choose_letters(ModelDataset *dataset, const ModelCorpus *corpus,
                                 const ModelDatasetOptions *options)
{
    int64_t ascii = 0, others = 0;
    ModelClean letters = options->clean.letters;
    for (int64_t i = 0; letters == MODEL_CLEAN_AUTO && i < corpus->rows; i++)
        model_cleaner_count_letters(corpus->texts[i], &ascii, &others);
    bool foreign = (double)others > FOREIGN_LETTERS * (double)(ascii + others);
    if (letters == MODEL_CLEAN_AUTO)
        letters = foreign && model_cleaner_has_unicode() ? MODEL_CLEAN_UNICODE : MODEL_CLEAN_ASCII;
    size_t used = strlen(dataset->form);
    used += (size_t)snprintf(dataset->form + used, sizeof dataset->form - used, "; words of %s letters",
                             letters == MODEL_CLEAN_UNICODE ? "Unicode's" : "ASCII");
    if (foreign)
        snprintf(dataset->form + used, sizeof dataset->form - used, " (%.0f %% are not ASCII%s)",
                 100 * (double)others / (double)(ascii + others),
                 letters == MODEL_CLEAN_UNICODE ? "" : ", and this Reel is built without utf8proc");
    return letters;
}

/* English stop words say nothing of texts in another language, where some of them are words that count. */
static ReelStatus check_language(ModelDataset *dataset, const ModelCorpus *corpus,
                                 const ModelDatasetOptions *options, ModelClean letters)
{
    enum { SAMPLE = 2000 };
    ModelCleaner all;
    ReelBytes scratch = {0};
    int64_t words = 0, stop_words = 0, step = corpus->rows / SAMPLE + 1;
    if (options->clean.stop_words)
        return reel_status_ok();
    ReelStatus status =
        model_cleaner_init(&all, &(ModelCleanOptions){.stop_words = "none", .letters = letters});
    for (int64_t i = 0; reel_status_is_ok(&status) && i < corpus->rows; i += step) {
        scratch.size = 0;
        if (!model_cleaner_append(&all, corpus->texts[i], &scratch))
            status = reel_status_no_memory(corpus->texts[i].length, "the cleaned texts");
        else
            model_cleaner_count_stop_words(&dataset->text.cleaner,
                                           (ModelTextSpan){scratch.data, scratch.size}, &words, &stop_words);
    }
    if (reel_status_is_ok(&status) && words >= LEAST_WORDS &&
        (double)stop_words < STOP_WORDS * (double)words) {
        model_cleaner_keep_all(&dataset->text.cleaner);
        snprintf(
            dataset->note, sizeof dataset->note,
            "no stop words are taken out: the texts are not English, whose stop words are %.1f %% of their "
            "words (--stop-words FILE)",
            100 * (double)stop_words / (double)words);
    }
    model_cleaner_free(&all);
    reel_bytes_free(&scratch);
    return status;
}

static ReelStatus clean_texts(CleanTexts *clean, const ModelCleaner *cleaner, const ModelCorpus *corpus,
                              const char *name, const ModelDatasetOptions *options)
{
    ReelBytes bytes = {0};
    size_t most = 0;
    for (int64_t i = 0; i < corpus->rows; i++)
        most += corpus->texts[i].length;
    clean->texts = reel_mem_alloc((size_t)corpus->rows * sizeof *clean->texts);
    bool fine = clean->texts && reel_bytes_reserve(&bytes, most);
    for (int64_t i = 0; fine && i < corpus->rows; i++) {
        size_t begin = bytes.size;
        tell(options, "cleaning texts", i, corpus->rows);
        fine = model_cleaner_append(cleaner, corpus->texts[i], &bytes);
        clean->texts[i].length = bytes.size - begin;
    }
    clean->bytes = bytes.data;
    if (!fine)
        return reel_status_no_memory(most, "the cleaned texts");
    size_t at = 0; /* not before all are there: folded texts may grow, and the bytes move */
    for (int64_t i = 0; i < corpus->rows; i++) {
        clean->texts[i].bytes = bytes.data + at;
        at += clean->texts[i].length;
    }
    if (bytes.size == 0)
        return reel_status_failed("%s: all texts are empty after cleaning, which keeps words of %s "
                                  "that are no stop words; check the column of the texts, or the stop words",
                                  name, cleaner->unicode ? "letters and digits" : "the letters a-z");
    return reel_status_ok();
}

/* ---- Filling ---- */

enum { LABEL_UNKNOWN = -1, LABEL_RARE = -2 };

/* The data set's number of each of the corpus' labels: LABEL_UNKNOWN where training has none of it,
 * LABEL_RARE where too few rows bear it. */
typedef struct Labels {
    int32_t *id_of;
} Labels;

/* The texts of the training part, for what learns from them. */
static ReelStatus fit_tokenizer(ModelDataset *dataset, const CleanTexts *clean, const char *name,
                                const ModelDivision *rows, const ModelDatasetOptions *options)
{
    size_t bytes = (size_t)rows->num_train * sizeof(ModelTextSpan);
    ModelTextSpan *texts = reel_mem_alloc(bytes);
    if (!texts)
        return reel_status_no_memory(bytes, "the training texts");
    for (int64_t i = 0; i < rows->num_train; i++)
        texts[i] = clean->texts[rows->train[i]];
    tell(options, options->fit || options->byte_pairs > 0 ? "learning the tokenizer" : "counting words", 0,
         0);
    ReelStatus status;
    ModelPipeline *text = &dataset->text;
    if (options->fit) {
        status = options->fit(options->fit_context, texts, rows->num_train, &text->tokenizer);
    } else if (options->bpe) {
        status = model_subwords_copy(&text->subwords, options->bpe, &text->tokenizer);
    } else if (options->byte_pairs > 0) {
        status = model_subwords_fit(&text->subwords, texts, rows->num_train, &text->tokenizer);
    } else {
        status = model_vocabulary_build(&text->vocabulary, texts, rows->num_train, &options->vocabulary);
        status = name_file(status, name);
        text->tokenizer = model_vocabulary_tokenizer(&text->vocabulary);
    }
    reel_mem_free(texts);
    return status;
}

static bool is_unknown(const int32_t *ids, int64_t count)
{
    return count == 3 && ids[1] == MODEL_TOKEN_UNK;
}

static ReelStatus fill_ids(ModelDatasetPart *part, const CleanTexts *clean, const ModelDataset *dataset,
                           const ModelDatasetOptions *options)
{
    ModelIdList list = {0};
    part->offsets[0] = 0;
    for (int64_t i = 0; i < part->count; i++) {
        tell(options, "making ids", i, part->count);
        if (!model_tokenizer_encode(&dataset->text.tokenizer, clean->texts[part->rows[i]],
                                    dataset->text.max_len, &list)) {
            ReelStatus status = reel_status_no_memory(list.count * sizeof *list.ids, "the ids of the texts");
            model_id_list_free(&list);
            return status;
        }
        part->offsets[i + 1] = (int64_t)list.count;
        int64_t length = part->offsets[i + 1] - part->offsets[i];
        if (length > part->longest)
            part->longest = (int32_t)length;
        part->empty += is_unknown(list.ids + part->offsets[i], length);
    }
    part->ids.wide = list.ids;
    return reel_status_ok();
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
    }
    return reel_status_ok();
}

static ReelStatus fill_part(ModelDatasetPart *part, const int32_t *rows, int64_t count,
                            const ModelCorpus *corpus, const Labels *labels, const CleanTexts *clean,
                            const ModelDataset *dataset, const ModelDatasetOptions *options)
{
    size_t n = (size_t)count;
    part->count = count;
    part->num_classes = model_dataset_num_classes(dataset);
    part->task = dataset->text.task;
    part->rows = reel_mem_alloc(n * sizeof *part->rows);
    part->offsets = reel_mem_alloc((n + 1) * sizeof *part->offsets);
    part->label_offsets = reel_mem_alloc((n + 1) * sizeof *part->label_offsets);
    part->label_counts = reel_mem_calloc((size_t)part->num_classes, sizeof *part->label_counts);
    if (!part->rows || !part->offsets || !part->label_offsets || !part->label_counts)
        return reel_status_no_memory(n * (sizeof *part->rows + 2 * sizeof *part->offsets), "the examples");
    memcpy(part->rows, rows, n * sizeof *rows);
    ReelStatus status = fill_labels(part, corpus, labels);
    if (reel_status_is_ok(&status))
        status = fill_ids(part, clean, dataset, options);
    return status;
}

static void part_free(ModelDatasetPart *part)
{
    reel_mem_free(part->rows);
    reel_mem_free(part->offsets);
    reel_mem_free((void *)(uintptr_t)part->ids.wide);
    reel_mem_free(part->label_offsets);
    reel_mem_free(part->labels);
    reel_mem_free(part->label_counts);
}

/* The data set takes the texts over. */
static ReelStatus keep_texts(ModelDataset *dataset, CleanTexts *clean)
{
    size_t count = (size_t)dataset->train.count;
    dataset->train_texts = reel_mem_alloc(count * sizeof *dataset->train_texts);
    if (!dataset->train_texts)
        return reel_status_no_memory(count * sizeof *dataset->train_texts, "the training texts");
    for (size_t i = 0; i < count; i++)
        dataset->train_texts[i] = clean->texts[dataset->train.rows[i]];
    dataset->text_bytes = clean->bytes;
    clean->bytes = NULL;
    return reel_status_ok();
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

/* Which labels the data set has. Where rows say their parts, those of the test part alone are unknown. */
static ReelStatus choose_labels(ModelDataset *dataset, const ModelCorpus *corpus, const ModelDivision *rows,
                                const ModelDatasetOptions *options, Labels *labels)
{
    int32_t count = corpus->classes.count, missed = 0;
    size_t bytes = (size_t)count * sizeof *labels->id_of;
    int64_t *counts = count_labels(corpus, rows);
    labels->id_of = reel_mem_alloc(bytes);
    bool fine = counts && labels->id_of;
    for (int32_t k = 0; fine && k < count; k++) {
        ModelTextSpan name = model_text_span(model_string_table_text(&corpus->classes, k));
        bool unknown = corpus->parts && counts[k] == 0;
        labels->id_of[k] = unknown ? LABEL_UNKNOWN : LABEL_RARE;
        if (!unknown && counts[k] >= options->min_label_count)
            fine = (labels->id_of[k] = model_string_table_add(&dataset->text.labels, name)) >= 0;
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

static uint64_t hash_of(ModelTextSpan text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.bytes[i]) * 1099511628211u;
    return hash ? hash : 1;
}

/* The place of a hash in a table of 2^n, or a free one. */
static size_t place_of(const uint64_t *table, size_t size, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (size - 1);
    while (table[at] && table[at] != hash)
        at = (at + 1) & (size - 1);
    return at;
}

static ReelStatus count_repeated(ModelDataset *dataset, const CleanTexts *clean, const ModelDivision *rows)
{
    size_t size = 64;
    while (size < 2 * (size_t)rows->num_train)
        size *= 2;
    uint64_t *table = reel_mem_calloc(size, sizeof *table);
    if (!table)
        return reel_status_no_memory(size * sizeof *table, "the texts that repeat");
    for (int64_t i = 0; i < rows->num_train; i++) {
        ModelTextSpan text = clean->texts[rows->train[i]];
        if (text.length > 0)
            table[place_of(table, size, hash_of(text))] = hash_of(text);
    }
    const int32_t *lists[] = {rows->valid, rows->test};
    const int64_t sizes[] = {rows->num_valid, rows->num_test};
    for (int l = 0; l < 2; l++)
        for (int64_t i = 0; i < sizes[l]; i++) {
            ModelTextSpan text = clean->texts[lists[l][i]];
            dataset->repeated += text.length > 0 && table[place_of(table, size, hash_of(text))];
        }
    reel_mem_free(table);
    return reel_status_ok();
}

/* Everything between the split and the examples. */
static ReelStatus fill(ModelDataset *dataset, const ModelCorpus *corpus, const char *name,
                       const ModelDivision *rows, const ModelDatasetOptions *options)
{
    CleanTexts clean = {0};
    Labels labels = {0};
    ModelCleanOptions how = options->clean;
    how.letters = choose_letters(dataset, corpus, options);
    ReelStatus status = model_cleaner_init(&dataset->text.cleaner, &how);
    if (reel_status_is_ok(&status))
        status = check_language(dataset, corpus, options, how.letters);
    if (reel_status_is_ok(&status))
        status = clean_texts(&clean, &dataset->text.cleaner, corpus, name, options);
    if (reel_status_is_ok(&status))
        status = fit_tokenizer(dataset, &clean, name, rows, options);
    if (reel_status_is_ok(&status))
        status = choose_labels(dataset, corpus, rows, options, &labels);
    if (reel_status_is_ok(&status) && dataset->text.labels.count == 0)
        status = reel_status_failed("%s: no label is borne by %d rows; lower --min-label-count", name,
                                    options->min_label_count);
    if (reel_status_is_ok(&status))
        status = count_repeated(dataset, &clean, rows);
    if (reel_status_is_ok(&status))
        status = fill_part(&dataset->train, rows->train, rows->num_train, corpus, &labels, &clean, dataset,
                           options);
    if (reel_status_is_ok(&status) && rows->num_valid > 0)
        status = fill_part(&dataset->valid, rows->valid, rows->num_valid, corpus, &labels, &clean, dataset,
                           options);
    if (reel_status_is_ok(&status))
        status =
            fill_part(&dataset->test, rows->test, rows->num_test, corpus, &labels, &clean, dataset, options);
    if (reel_status_is_ok(&status) && options->keep_texts)
        status = keep_texts(dataset, &clean);
    clean_texts_free(&clean);
    reel_mem_free(labels.id_of);
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

/* What is not asked for goes by the rows. */
static ReelStatus choose_task(ModelDataset *dataset, const ModelCorpus *corpus, const char *name,
                              ModelTask task)
{
    int64_t row = task == MODEL_TASK_MULTILABEL ? -1 : find_not_single(corpus);
    dataset->text.task = task != MODEL_TASK_AUTO ? task : row < 0 ? MODEL_TASK_SINGLE : MODEL_TASK_MULTILABEL;
    if (task != MODEL_TASK_SINGLE || row < 0)
        return reel_status_ok();
    return reel_status_failed(
        "%s: row %lld has %lld labels, and one label a text is asked for; give each row "
        "exactly one, or use --task multilabel",
        name, (long long)row + 1, (long long)(corpus->label_offsets[row + 1] - corpus->label_offsets[row]));
}

/* Whether the labels tell any rows apart. */
static ReelStatus check_labels(const ModelCorpus *corpus, const char *name)
{
    if (corpus->classes.count == 0)
        return reel_status_failed("%s: no row has a label; there is nothing to learn, name some", name);
    if (corpus->classes.count == 1 && corpus->unlabelled == 0)
        return reel_status_failed(
            "%s: all rows have the same single label '%.100s'; there is nothing to learn, add "
            "rows with others or without labels",
            name, model_string_table_text(&corpus->classes, 0));
    return reel_status_ok();
}

ReelStatus model_dataset_new(ModelDataset **out, const ModelCorpus *corpus, const char *name,
                             const ModelDatasetOptions *options)
{
    const ModelDatasetOptions defaults = model_dataset_defaults();
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->max_len < MODEL_TOKENIZER_LEAST_MAX_LEN)
        return reel_status_usage("at most %d ids a text leave no room for a word between <bos> and <eos>; "
                                 "max_len is %d or more",
                                 options->max_len, MODEL_TOKENIZER_LEAST_MAX_LEN);
    ModelDivision rows;
    ReelStatus status = check_labels(corpus, name);
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
    dataset->text.max_len = options->max_len;
    memcpy(dataset->text.data_hash, corpus->hash, sizeof dataset->text.data_hash);
    memcpy(dataset->text.label_separator, corpus->label_separator, sizeof dataset->text.label_separator);
    dataset->text.subwords.wanted = options->byte_pairs;
    dataset->unlabelled = corpus->unlabelled;
    memcpy(dataset->warning, corpus->warning, sizeof dataset->warning);
    memcpy(dataset->form, corpus->form, sizeof corpus->form);
    status = choose_task(dataset, corpus, name, options->task);
    if (reel_status_is_ok(&status))
        status = fill(dataset, corpus, name, &rows, options);
    model_division_free(&rows);
    if (reel_status_is_ok(&status))
        *out = dataset;
    else
        model_dataset_free(dataset);
    return status;
}

/* Reads one more file, all of whose rows are of one part. */
static ReelStatus append_file(ModelCorpus *corpus, const char *path, ModelCorpusOptions options,
                              ModelPart part)
{
    ModelCorpus other;
    if (!path)
        return reel_status_ok();
    options.columns.split = options.columns.group = NULL;
    ReelStatus status = model_corpus_read(&other, path, &options);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_corpus_append(corpus, &other, part);
    model_corpus_free(&other);
    return status;
}

ReelStatus model_dataset_read_corpus(ModelCorpus *corpus, const char *path,
                                     const ModelDatasetOptions *options)
{
    const ModelDatasetOptions defaults = model_dataset_defaults();
    options = options ? options : &defaults;
    tell(options, "reading", 0, 0);
    ReelStatus status = model_corpus_read(corpus, path, &options->corpus);
    if (!reel_status_is_ok(&status))
        return status;
    status = append_file(corpus, options->valid_file, options->corpus, MODEL_PART_VALID);
    if (reel_status_is_ok(&status))
        status = append_file(corpus, options->test_file, options->corpus, MODEL_PART_TEST);
    if (!reel_status_is_ok(&status))
        model_corpus_free(corpus);
    return status;
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
