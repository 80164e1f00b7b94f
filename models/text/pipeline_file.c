/* What a checkpoint keeps of the way from a text to ids. */
#include "models/text/pipeline.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <string.h>

#define VOCABULARY "reel/vocabulary.txt"
#define TOKENIZER  "reel/tokenizer.json"
#define LABELS     "reel/labels.txt"
#define STOP_WORDS "reel/stop_words.txt"
#define PIECES     "reel/pieces.txt"

bool model_pipeline_has_member(const char *name)
{
    static const char *const known[] = {VOCABULARY, TOKENIZER, LABELS, STOP_WORDS, PIECES};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

/* ---- Writing ---- */

void model_pipeline_write_fields(const ModelPipeline *pipeline, ReelJsonWriter *json)
{
    reel_json_integer(json, "pad_id", MODEL_TOKEN_PAD);
    reel_json_integer(json, "max_len", pipeline->max_len);
    reel_json_string(json, "tokenizer", pipeline->tokenizer.bpe ? "bpe" : "words");
    if (pipeline->cleaner.unicode)
        reel_json_string(json, "clean", "unicode");
    reel_json_bool(json, "keep_digits", pipeline->cleaner.keep_digits);
    if (pipeline->tokenizer.first_piece > 0) {
        reel_json_integer(json, "ngrams_least", pipeline->ngrams.least);
        reel_json_integer(json, "ngrams_most", pipeline->ngrams.most);
    }
    if (pipeline->task == MODEL_TASK_SINGLE)
        reel_json_string(json, "task", "single");
    if (pipeline->data_hash[0])
        reel_json_string(json, "data_hash", pipeline->data_hash);
    if (strcmp(model_pipeline_separator(pipeline), ", ") != 0)
        reel_json_string(json, "label_separator", pipeline->label_separator);
}

/* One string a line. */
static void add_lines(NnSnapshot *snapshot, const char *name, const ModelStringTable *table)
{
    size_t size = table->bytes_used;
    char *lines = reel_mem_alloc(size);
    if (!lines) {
        if (reel_status_is_ok(&snapshot->status))
            snapshot->status = reel_status_no_memory(size, name);
        return;
    }
    /* The table ends each string with a NUL, but not in the order of the numbers once it was sorted. */
    size_t used = 0;
    for (int32_t i = 0; i < table->count; i++) {
        size_t length = table->items[i].length;
        memcpy(lines + used, table->bytes + table->items[i].offset, length);
        used += length;
        lines[used++] = '\n';
    }
    nn_snapshot_bytes(snapshot, name, lines, used);
    reel_mem_free(lines);
}

static void add_tokenizer(NnSnapshot *snapshot, const ModelBpeTokenizer *bpe)
{
    ReelBytes json = {0};
    ReelStatus status = model_bpe_to_json(bpe, &json);
    if (reel_status_is_ok(&status))
        nn_snapshot_bytes(snapshot, TOKENIZER, json.data, json.size);
    else if (reel_status_is_ok(&snapshot->status))
        snapshot->status = status;
    reel_bytes_free(&json);
}

void model_pipeline_snapshot(const ModelPipeline *pipeline, NnSnapshot *snapshot)
{
    if (pipeline->tokenizer.bpe)
        add_tokenizer(snapshot, pipeline->tokenizer.bpe);
    else
        add_lines(snapshot, VOCABULARY, &pipeline->vocabulary.words);
    if (pipeline->tokenizer.first_piece > 0)
        add_lines(snapshot, PIECES, &pipeline->ngrams.pieces);
    add_lines(snapshot, LABELS, &pipeline->labels);
    add_lines(snapshot, STOP_WORDS, &pipeline->cleaner.stop_words);
}

/* ---- Fields ---- */

static bool read_tokenizer_kind(ModelPipeline *pipeline, ReelJsonReader *json)
{
    bool bpe = false, ok = reel_json_reader_choice(json, "words", "bpe", &bpe);
    pipeline->subwords.wanted = bpe;
    return ok;
}

static bool read_task(ModelPipeline *pipeline, ReelJsonReader *json)
{
    bool single = false, ok = reel_json_reader_choice(json, "multilabel", "single", &single);
    pipeline->task = single ? MODEL_TASK_SINGLE : MODEL_TASK_MULTILABEL;
    return ok;
}

static bool read_hash(ModelPipeline *pipeline, ReelJsonReader *json)
{
    if (!reel_json_reader_string(json))
        return false;
    snprintf(pipeline->data_hash, sizeof pipeline->data_hash, "%.*s", (int)json->string.size,
             json->string.data);
    return true;
}

static bool read_separator(ModelPipeline *pipeline, ReelJsonReader *json)
{
    if (!reel_json_reader_string(json))
        return false;
    if (json->string.size == 0 || json->string.size >= sizeof pipeline->label_separator)
        return reel_json_reader_fail(json, "label_separator has %zu bytes, not 1 to %zu", json->string.size,
                                     sizeof pipeline->label_separator - 1);
    snprintf(pipeline->label_separator, sizeof pipeline->label_separator, "%.*s", (int)json->string.size,
             json->string.data);
    return true;
}

static bool read_max_len(ModelPipeline *pipeline, ReelJsonReader *json)
{
    int64_t value = 0;
    bool ok = reel_json_reader_int_in(json, MODEL_TOKENIZER_LEAST_MAX_LEN, 1 << 20, &value);
    pipeline->max_len = (int32_t)value;
    return ok;
}

static bool read_ngrams(ReelJsonReader *json, int32_t *size)
{
    int64_t value = 0;
    bool ok = reel_json_reader_int_in(json, 1, MODEL_NGRAMS_LONGEST, &value);
    *size = (int32_t)value;
    return ok;
}

bool model_pipeline_read_field(ModelPipeline *pipeline, ReelJsonReader *json)
{
    int64_t value;
    if (reel_json_reader_is(json, "max_len"))
        return read_max_len(pipeline, json);
    if (reel_json_reader_is(json, "pad_id"))
        return reel_json_reader_int_in(json, MODEL_TOKEN_PAD, MODEL_TOKEN_PAD, &value);
    if (reel_json_reader_is(json, "tokenizer"))
        return read_tokenizer_kind(pipeline, json);
    if (reel_json_reader_is(json, "clean"))
        return reel_json_reader_choice(json, "ascii", "unicode", &pipeline->cleaner.unicode);
    if (reel_json_reader_is(json, "keep_digits"))
        return reel_json_reader_bool(json, &pipeline->cleaner.keep_digits);
    if (reel_json_reader_is(json, "ngrams_least"))
        return read_ngrams(json, &pipeline->ngrams.least);
    if (reel_json_reader_is(json, "ngrams_most"))
        return read_ngrams(json, &pipeline->ngrams.most);
    if (reel_json_reader_is(json, "task"))
        return read_task(pipeline, json);
    if (reel_json_reader_is(json, "data_hash"))
        return read_hash(pipeline, json);
    if (reel_json_reader_is(json, "label_separator"))
        return read_separator(pipeline, json);
    return reel_json_reader_skip(json);
}

/* ---- Members ---- */

/* Arrays that numpy.savez makes of text: of uint8, or one string of bytes, which is what numpy.load gives for
 * a plain member. */
static bool is_text_array(const TensorNpyHeader *array)
{
    bool bytes = array->item_bytes == 1 && (array->kind == 'u' || array->kind == 'S');
    return bytes || (array->kind == 'S' && array->count == 1);
}

ReelStatus model_text_member(const TensorNpz *npz, const char *name, TensorArena *arena, const char **text,
                             size_t *size)
{
    const TensorNpzMember *member = tensor_npz_find(npz, name);
    const void *bytes = NULL;
    if (!member)
        return reel_status_failed(
            "%s: has no member %s; where it is a bare state_dict, export it as docs/pytorch.md "
            "shows",
            tensor_npz_path(npz), name);
    if (member->is_array && !member->unreadable && !is_text_array(&member->array))
        return reel_status_failed(
            "%s: %s is not text; write it as an array of uint8, as docs/pytorch.md shows",
            tensor_npz_path(npz), name);
    ReelStatus status = tensor_npz_read_bytes(npz, member, arena, &bytes, size);
    *text = bytes;
    bool padded = member->is_array && member->array.kind == 'S' && member->array.count == 1;
    while (padded && *size > 0 && (*text)[*size - 1] == '\0') /* no text is one zero byte */
        --*size;
    char label[400];
    snprintf(label, sizeof label, "%.300s: %s", tensor_npz_path(npz), name);
    return reel_status_is_ok(&status) ? reel_text_file_check(label, *text, *size) : status;
}

/* Cuts text into lines, each ended by a NUL in place of its line feed. */
static ReelStatus read_lines(const TensorNpz *npz, const char *name, TensorArena *arena,
                             const char *const **lines, int32_t *count)
{
    const char *text = NULL;
    size_t size, used = 0;
    *lines = NULL;
    *count = 0;
    ReelStatus status = model_text_member(npz, name, arena, &text, &size);
    if (!reel_status_is_ok(&status))
        return status;
    if (size > 0 && text[size - 1] != '\n')
        return reel_status_failed(
            "%s: the last line of %s does not end in a line feed; write one name a line",
            tensor_npz_path(npz), name);
    for (size_t i = 0; i < size; i++)
        used += text[i] == '\n';
    if (used > INT32_MAX)
        return reel_status_failed("%s: %s has too many lines", tensor_npz_path(npz), name);
    const char **found = tensor_arena_alloc(arena, used * sizeof *found);
    char *copy = tensor_arena_memdup(arena, text, size);
    if (!found || !copy)
        return reel_status_no_memory(used * sizeof *found + size, name);
    char *at = copy;
    for (size_t i = 0; i < used; i++) {
        char *end = memchr(at, '\n', (size_t)(copy + size - at));
        *end = '\0';
        found[i] = at;
        at = end + 1;
    }
    *lines = found;
    *count = (int32_t)used;
    return status;
}

/* None empty and none twice. */
static ReelStatus read_labels(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    const char *const *lines;
    int32_t count;
    ReelStatus status = read_lines(npz, LABELS, arena, &lines, &count);
    for (int32_t i = 0; reel_status_is_ok(&status) && i < count; i++) {
        int32_t given =
            lines[i][0] ? model_string_table_add(&pipeline->labels, model_text_span(lines[i])) : i;
        if (given < 0)
            status = reel_status_no_memory(strlen(lines[i]), LABELS);
        else if (given != i || !lines[i][0])
            status = reel_status_failed("%s: %s: line %d is %s; save the model again", tensor_npz_path(npz),
                                        LABELS, i + 1, lines[i][0] ? "there twice" : "empty");
    }
    return status;
}

static ReelStatus read_bpe(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    ModelBpeTokenizer *learned = NULL;
    const char *text = NULL;
    size_t size;
    ReelStatus status = model_text_member(npz, TOKENIZER, arena, &text, &size);
    if (!reel_status_is_ok(&status))
        return status;
    char label[400];
    snprintf(label, sizeof label, "%.300s: " TOKENIZER, tensor_npz_path(npz));
    status = model_bpe_from_json(&learned, text, size, label);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.440s; see docs/checkpoints.md", status.message);
    status = model_subwords_adopt(&pipeline->subwords, learned, &pipeline->tokenizer);
    return reel_status_is_ok(&status) ? status
                                      : reel_status_failed("%s: %s: %.300s; see docs/checkpoints.md",
                                                           tensor_npz_path(npz), TOKENIZER, status.message);
}

static ReelStatus read_pieces(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    const char *const *pieces;
    int32_t count;
    if (pipeline->ngrams.least < 1 || pipeline->ngrams.most < pipeline->ngrams.least)
        return reel_status_failed("%s: pieces of %d to %d characters cannot be; save the model again",
                                  tensor_npz_path(npz), pipeline->ngrams.least, pipeline->ngrams.most);
    ReelStatus status = read_lines(npz, PIECES, arena, &pieces, &count);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_ngrams_restore(&pipeline->ngrams, pieces, count);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%s: " PIECES ": %s", tensor_npz_path(npz), status.message);
    pipeline->tokenizer = model_ngrams_tokenizer(&pipeline->ngrams, &pipeline->vocabulary);
    return status;
}

static ReelStatus read_vocabulary(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    const char *const *words;
    int32_t count;
    ReelStatus status = read_lines(npz, VOCABULARY, arena, &words, &count);
    if (reel_status_is_ok(&status))
        status = model_vocabulary_restore(&pipeline->vocabulary, words, count);
    if (!reel_status_is_ok(&status))
        return strncmp(status.message, tensor_npz_path(npz), strlen(tensor_npz_path(npz))) == 0
                   ? status
                   : reel_status_failed("%s: %s", tensor_npz_path(npz), status.message);
    pipeline->tokenizer = model_vocabulary_tokenizer(&pipeline->vocabulary);
    return pipeline->ngrams.least == 0 && pipeline->ngrams.most == 0 ? status
                                                                     : read_pieces(pipeline, npz, arena);
}

static ReelStatus read_cleaner(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    ModelCleanOptions options = {.stop_words = "none",
                                 .keep_digits = pipeline->cleaner.keep_digits,
                                 .letters =
                                     pipeline->cleaner.unicode ? MODEL_CLEAN_UNICODE : MODEL_CLEAN_ASCII};
    ReelStatus status = model_cleaner_init(&pipeline->cleaner, &options);
    if (status.code == REEL_STATUS_FAILED && options.letters == MODEL_CLEAN_UNICODE &&
        !model_cleaner_has_unicode())
        return reel_status_failed("%s: %s", tensor_npz_path(npz), status.message);
    const char *const *words;
    int32_t count = 0;
    if (reel_status_is_ok(&status) && tensor_npz_find(npz, STOP_WORDS))
        status = read_lines(npz, STOP_WORDS, arena, &words, &count);
    for (int32_t i = 0; reel_status_is_ok(&status) && i < count; i++)
        status = model_cleaner_add_stop_word(&pipeline->cleaner, model_text_span(words[i]));
    return status;
}

ReelStatus model_pipeline_load(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena)
{
    ReelStatus status = read_cleaner(pipeline, npz, arena);
    if (reel_status_is_ok(&status))
        status = pipeline->subwords.wanted ? read_bpe(pipeline, npz, arena)
                                           : read_vocabulary(pipeline, npz, arena);
    return reel_status_is_ok(&status) ? read_labels(pipeline, npz, arena) : status;
}
