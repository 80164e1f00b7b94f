#include "models/text/dataset.h"
#include "models/text/split.h"
#include "models/text/stratify.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

DatasetOptions dataset_defaults(void)
{
    return (DatasetOptions){.test_size = 0.2, .vocabulary = vocabulary_defaults(), .max_len = 64};
}

/* What is wrong with the data says in which file. */
static ReelStatus name_file(ReelStatus status, const char *name)
{
    return status.code == REEL_STATUS_FAILED ? reel_status_failed("%s: %s", name, status.message) : status;
}

/* Tells who looks on, in a loop over rows now and then. */
static void tell(const DatasetOptions *options, const char *doing, int64_t done, int64_t rows)
{
    if (options && options->progress && done % 1024 == 0)
        options->progress(options->progress_context, doing, done, rows);
}

/* The cleaned texts of a corpus, in one block. */
typedef struct {
    char *bytes;
    TextSpan *texts; /* [rows] */
} CleanTexts;

static void clean_texts_free(CleanTexts *clean)
{
    reel_mem_free(clean->bytes);
    reel_mem_free(clean->texts);
}

static ReelStatus clean_texts(CleanTexts *clean, const Cleaner *cleaner, const Corpus *corpus,
                              const char *name, const DatasetOptions *options)
{
    size_t bytes = 0, used = 0;
    for (int64_t i = 0; i < corpus->rows; i++)
        bytes += corpus->texts[i].length;
    clean->bytes = reel_mem_alloc(bytes);
    clean->texts = reel_mem_alloc((size_t)corpus->rows * sizeof *clean->texts);
    if (!clean->bytes || !clean->texts)
        return reel_status_no_memory(bytes, "the cleaned texts");
    for (int64_t i = 0; i < corpus->rows; i++) {
        char *out = clean->bytes + used;
        tell(options, "cleaning texts", i, corpus->rows);
        clean->texts[i] = (TextSpan){out, cleaner_run(cleaner, corpus->texts[i], out)};
        used += clean->texts[i].length;
    }
    if (used == 0)
        return reel_status_failed(
            "%s: all texts are empty after cleaning, which keeps words of the letters a-z "
            "that are no stop words; check the column 'text', or the stop words",
            name);
    return reel_status_ok();
}

/* ---- The division of the rows ---- */

typedef struct Division {
    Split split;
    int64_t num_train, num_valid, num_test;
    const int32_t *train, *valid, *test;
    int32_t *rows; /* the memory of train and valid where there is a validation part */
} Division;

static void division_free(Division *division)
{
    split_free(&division->split);
    reel_mem_free(division->rows);
}

/* part_of [num_train]: 1 for the rows of the split's training part that become the validation part. */
static ReelStatus stratify_rows(const Corpus *corpus, const Split *split, double valid_size, uint32_t seed,
                                int32_t *part_of)
{
    int64_t n = split->num_train, total = 0;
    for (int64_t i = 0; i < n; i++)
        total += corpus->label_offsets[split->train[i] + 1] - corpus->label_offsets[split->train[i]];
    size_t bytes = (size_t)(n + 1) * sizeof(int64_t) + (size_t)total * sizeof(int32_t);
    int64_t *offsets = reel_mem_alloc(bytes);
    if (!offsets)
        return reel_status_no_memory(bytes, "the validation part");
    int32_t *labels = (int32_t *)(offsets + n + 1);
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t *ends = corpus->label_offsets + split->train[i];
        offsets[i + 1] = offsets[i] + ends[1] - ends[0];
        memcpy(labels + offsets[i], corpus->labels + ends[0], (size_t)(ends[1] - ends[0]) * sizeof *labels);
    }
    ReelStatus status = stratify(offsets, labels, n, corpus_num_classes(corpus),
                                 (double[]){1 - valid_size, valid_size}, 2, seed, part_of);
    reel_mem_free(offsets);
    return status;
}

/* Takes the validation part out of the split's training part; both keep their order. */
static ReelStatus set_aside(Division *d, const Corpus *corpus, double valid_size, uint32_t seed)
{
    int64_t n = d->split.num_train;
    size_t bytes = (size_t)n * sizeof(int32_t);
    int32_t *part_of = reel_mem_alloc(bytes);
    d->rows = reel_mem_alloc(bytes);
    ReelStatus status = part_of && d->rows ? stratify_rows(corpus, &d->split, valid_size, seed, part_of)
                                           : reel_status_no_memory(bytes, "the validation part");
    if (reel_status_is_ok(&status)) {
        d->num_train = 0;
        for (int64_t i = 0; i < n; i++)
            d->num_train += part_of[i] == 0;
        int64_t next[2] = {0, d->num_train};
        for (int64_t i = 0; i < n; i++)
            d->rows[next[part_of[i]]++] = d->split.train[i];
        d->num_valid = n - d->num_train;
        d->train = d->rows;
        d->valid = d->rows + d->num_train;
        if (d->num_train == 0 || d->num_valid == 0)
            status =
                reel_status_failed("%lld rows cannot be divided into a training and a validation part (%g of "
                                   "them); add rows, or ask for another part",
                                   (long long)n, valid_size);
    }
    reel_mem_free(part_of);
    return status;
}

static ReelStatus divide(Division *d, const Corpus *corpus, const DatasetOptions *options)
{
    *d = (Division){0};
    if (!(options->valid_size >= 0 && options->valid_size < 1))
        return reel_status_usage("the validation part is %g of the training rows and must lie in [0, 1)",
                                 options->valid_size);
    ReelStatus status = split_new(&d->split, corpus->rows, options->test_size, options->split_seed);
    if (!reel_status_is_ok(&status))
        return status;
    d->num_train = d->split.num_train;
    d->train = d->split.train;
    d->num_test = d->split.num_test;
    d->test = d->split.test;
    if (options->valid_size > 0)
        status = set_aside(d, corpus, options->valid_size, options->split_seed);
    if (!reel_status_is_ok(&status))
        division_free(d);
    return status;
}

/* ---- Filling ---- */

/* The texts of the training part, for what learns from them. */
static ReelStatus fit_tokenizer(Dataset *dataset, const CleanTexts *clean, const char *name,
                                const Division *rows, const DatasetOptions *options)
{
    size_t bytes = (size_t)rows->num_train * sizeof(TextSpan);
    TextSpan *texts = reel_mem_alloc(bytes);
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
        status = subwords_copy(&text->subwords, options->bpe, &text->tokenizer);
    } else if (options->byte_pairs > 0) {
        status = subwords_fit(&text->subwords, texts, rows->num_train, &text->tokenizer);
    } else {
        status = vocabulary_build(&text->vocabulary, texts, rows->num_train, &options->vocabulary);
        status = name_file(status, name);
        text->tokenizer = vocabulary_tokenizer(&text->vocabulary);
    }
    reel_mem_free(texts);
    return status;
}

static bool is_unknown(const int32_t *ids, int64_t count)
{
    return count == 3 && ids[1] == TOKEN_UNK;
}

static ReelStatus fill_ids(DatasetPart *part, const CleanTexts *clean, const Dataset *dataset,
                           const DatasetOptions *options)
{
    IdList list = {0};
    part->offsets[0] = 0;
    for (int64_t i = 0; i < part->count; i++) {
        tell(options, "making ids", i, part->count);
        if (!tokenizer_encode(&dataset->text.tokenizer, clean->texts[part->rows[i]], dataset->text.max_len,
                              &list)) {
            ReelStatus status = reel_status_no_memory(list.count * sizeof *list.ids, "the ids of the texts");
            id_list_free(&list);
            return status;
        }
        part->offsets[i + 1] = (int64_t)list.count;
        int64_t length = part->offsets[i + 1] - part->offsets[i];
        if (length > part->longest)
            part->longest = (int32_t)length;
        part->empty += is_unknown(list.ids + part->offsets[i], length);
    }
    part->ids = list.ids;
    return reel_status_ok();
}

static ReelStatus fill_labels(DatasetPart *part, const Corpus *corpus)
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
            part->labels[to++] = corpus->labels[from];
            part->label_counts[corpus->labels[from]]++;
        }
        part->label_offsets[i + 1] = to;
    }
    return reel_status_ok();
}

static ReelStatus fill_part(DatasetPart *part, const int32_t *rows, int64_t count, const Corpus *corpus,
                            const CleanTexts *clean, const Dataset *dataset, const DatasetOptions *options)
{
    size_t n = (size_t)count;
    part->count = count;
    part->num_classes = corpus_num_classes(corpus);
    part->rows = reel_mem_alloc(n * sizeof *part->rows);
    part->offsets = reel_mem_alloc((n + 1) * sizeof *part->offsets);
    part->label_offsets = reel_mem_alloc((n + 1) * sizeof *part->label_offsets);
    part->label_counts = reel_mem_calloc((size_t)part->num_classes, sizeof *part->label_counts);
    if (!part->rows || !part->offsets || !part->label_offsets || !part->label_counts)
        return reel_status_no_memory(n * (sizeof *part->rows + 2 * sizeof *part->offsets), "the examples");
    memcpy(part->rows, rows, n * sizeof *rows);
    ReelStatus status = fill_labels(part, corpus);
    if (reel_status_is_ok(&status))
        status = fill_ids(part, clean, dataset, options);
    return status;
}

static void part_free(DatasetPart *part)
{
    reel_mem_free(part->rows);
    reel_mem_free(part->offsets);
    reel_mem_free(part->ids);
    reel_mem_free(part->label_offsets);
    reel_mem_free(part->labels);
    reel_mem_free(part->label_counts);
}

/* The data set takes the texts over. */
static ReelStatus keep_texts(Dataset *dataset, CleanTexts *clean)
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

static ReelStatus copy_classes(Dataset *dataset, const Corpus *corpus)
{
    for (int32_t id = 0; id < corpus->classes.count; id++)
        if (string_table_add(&dataset->text.labels, text_span(string_table_text(&corpus->classes, id))) < 0)
            return reel_status_no_memory(corpus->classes.bytes_used, "the labels' names");
    return reel_status_ok();
}

/* Everything between the split and the examples. */
static ReelStatus fill(Dataset *dataset, const Corpus *corpus, const char *name, const Division *rows,
                       const DatasetOptions *options)
{
    CleanTexts clean = {0};
    ReelStatus status = cleaner_init(&dataset->text.cleaner, &options->clean);
    if (reel_status_is_ok(&status))
        status = clean_texts(&clean, &dataset->text.cleaner, corpus, name, options);
    if (reel_status_is_ok(&status))
        status = fit_tokenizer(dataset, &clean, name, rows, options);
    if (reel_status_is_ok(&status))
        status = copy_classes(dataset, corpus);
    if (reel_status_is_ok(&status))
        status = fill_part(&dataset->train, rows->train, rows->num_train, corpus, &clean, dataset, options);
    if (reel_status_is_ok(&status) && rows->num_valid > 0)
        status = fill_part(&dataset->valid, rows->valid, rows->num_valid, corpus, &clean, dataset, options);
    if (reel_status_is_ok(&status))
        status = fill_part(&dataset->test, rows->test, rows->num_test, corpus, &clean, dataset, options);
    if (reel_status_is_ok(&status) && options->keep_texts)
        status = keep_texts(dataset, &clean);
    clean_texts_free(&clean);
    return status;
}

/* Whether the labels tell any rows apart. */
static ReelStatus check_labels(const Corpus *corpus, const char *name)
{
    if (corpus->classes.count == 0)
        return reel_status_failed("%s: no row has a label; there is nothing to learn, name some", name);
    if (corpus->classes.count == 1 && corpus->unlabelled == 0)
        return reel_status_failed(
            "%s: all rows have the same single label '%.100s'; there is nothing to learn, add "
            "rows with others or without labels",
            name, string_table_text(&corpus->classes, 0));
    return reel_status_ok();
}

ReelStatus dataset_new(Dataset **out, const Corpus *corpus, const char *name, const DatasetOptions *options)
{
    const DatasetOptions defaults = dataset_defaults();
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->max_len < TOKENIZER_LEAST_MAX_LEN)
        return reel_status_usage("at most %d ids a text leave no room for a word between <bos> and <eos>; "
                                 "max_len is %d or more",
                                 options->max_len, TOKENIZER_LEAST_MAX_LEN);
    Division rows;
    ReelStatus status = check_labels(corpus, name);
    if (!reel_status_is_ok(&status))
        return status;
    status = divide(&rows, corpus, options);
    if (!reel_status_is_ok(&status))
        return name_file(status, name);
    Dataset *dataset = reel_mem_calloc(1, sizeof *dataset);
    if (!dataset) {
        division_free(&rows);
        return reel_status_no_memory(sizeof *dataset, "the data set");
    }
    dataset->text.max_len = options->max_len;
    memcpy(dataset->text.data_hash, corpus->hash, sizeof dataset->text.data_hash);
    memcpy(dataset->text.label_separator, corpus->label_separator, sizeof dataset->text.label_separator);
    dataset->text.subwords.wanted = options->byte_pairs;
    dataset->unlabelled = corpus->unlabelled;
    memcpy(dataset->warning, corpus->warning, sizeof dataset->warning);
    memcpy(dataset->form, corpus->form, sizeof dataset->form);
    status = fill(dataset, corpus, name, &rows, options);
    division_free(&rows);
    if (reel_status_is_ok(&status))
        *out = dataset;
    else
        dataset_free(dataset);
    return status;
}

ReelStatus dataset_read(Dataset **dataset, const char *path, const DatasetOptions *options)
{
    *dataset = NULL;
    Corpus corpus;
    tell(options, "reading", 0, 0);
    ReelStatus status = corpus_read(&corpus, path, options ? &options->corpus : NULL);
    if (!reel_status_is_ok(&status))
        return status;
    status = dataset_new(dataset, &corpus, path, options);
    corpus_free(&corpus);
    return status;
}

void dataset_free(Dataset *dataset)
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

static uLong part_crc(uLong crc, const DatasetPart *part)
{
    size_t n = (size_t)part->count;
    if (n == 0)
        return crc;
    crc = crc32_z(crc, (const Bytef *)part->offsets, (n + 1) * sizeof *part->offsets);
    crc = crc32_z(crc, (const Bytef *)part->ids, (size_t)part->offsets[n] * sizeof *part->ids);
    crc = crc32_z(crc, (const Bytef *)part->label_offsets, (n + 1) * sizeof *part->label_offsets);
    return crc32_z(crc, (const Bytef *)part->labels, (size_t)part->label_offsets[n] * sizeof *part->labels);
}

void dataset_fingerprint(const Dataset *dataset, char text[CORPUS_HASH_SIZE])
{
    uLong crc = part_crc(part_crc(part_crc(0, &dataset->train), &dataset->valid), &dataset->test);
    for (int32_t i = 0; i < dataset->text.labels.count; i++) {
        const char *name = string_table_text(&dataset->text.labels, i);
        crc = crc32_z(crc, (const Bytef *)name, strlen(name) + 1);
    }
    snprintf(text, CORPUS_HASH_SIZE, "%08lx", crc & 0xffffffff);
}

bool dataset_document_frequencies(const Dataset *dataset, int64_t *frequencies)
{
    const DatasetPart *part = &dataset->train;
    int32_t size = dataset->text.tokenizer.vocab_size;
    int64_t *last_seen = reel_mem_calloc((size_t)size, sizeof *last_seen);
    if (!last_seen)
        return false;
    memset(frequencies, 0, (size_t)size * sizeof *frequencies);
    for (int64_t i = 0; i < part->count; i++)
        for (int64_t at = part->offsets[i]; at < part->offsets[i + 1]; at++) {
            int32_t id = part->ids[at];
            frequencies[id] += last_seen[id] != i + 1;
            last_seen[id] = i + 1;
        }
    reel_mem_free(last_seen);
    return true;
}

void dataset_part_labels(const DatasetPart *part, const int32_t *examples, int64_t count, float *out)
{
    memset(out, 0, (size_t)count * (size_t)part->num_classes * sizeof *out);
    for (int64_t i = 0; i < count; i++, out += part->num_classes) {
        int64_t example = examples ? examples[i] : i;
        for (int64_t at = part->label_offsets[example]; at < part->label_offsets[example + 1]; at++)
            out[part->labels[at]] = 1.0f;
    }
}

Tensor dataset_part_label_matrix(TensorArena *arena, const DatasetPart *part)
{
    Tensor matrix = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    if (tensor_is_valid(matrix))
        dataset_part_labels(part, NULL, part->count, tensor_f32(matrix));
    return matrix;
}
