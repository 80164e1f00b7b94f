#include "models/training/checkpoint.h"
#include "models/training/run_settings.h"

#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define CONFIG     "reel/config.json"
#define VOCABULARY "reel/vocabulary.txt"
#define TOKENIZER  "reel/tokenizer.json"
#define LABELS     "reel/labels.txt"
#define STOP_WORDS "reel/stop_words.txt"
#define THRESHOLDS "reel/thresholds"

enum { FORMAT = 1, MOST_LAYERS = 1000 };

static bool is_known(const char *name)
{
    static const char *const known[] = {CONFIG, VOCABULARY, TOKENIZER, LABELS, STOP_WORDS, THRESHOLDS};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    /* models/training/training_state.c and run_settings.c write these. */
    return strcmp(name, "reel/training.json") == 0 || strcmp(name, RUN_SETTINGS) == 0 ||
           strncmp(name, "reel/optimizer/", 15) == 0;
}

/* ---- Writing ---- */

CheckpointText checkpoint_text_of(const Dataset *dataset, bool notebook)
{
    return (CheckpointText){.cleaner = &dataset->cleaner,
                            .vocabulary = dataset->tokenizer.bpe ? NULL : &dataset->vocabulary,
                            .bpe = dataset->tokenizer.bpe,
                            .labels = &dataset->classes,
                            .max_len = dataset->max_len,
                            .notebook = notebook,
                            .data_hash = dataset->hash,
                            .label_separator = dataset->label_separator};
}

static void add_config(NnSnapshot *snapshot, const Model *model, const CheckpointText *text)
{
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_integer(&json, "format", FORMAT);
    json_string(&json, "model", model->kind->name);
    json_integer(&json, "vocabulary", model->config.vocabulary);
    json_integer(&json, "labels", model->config.labels);
    json_integer(&json, "embed", model->config.embed);
    json_integer(&json, "hidden", model->config.hidden);
    json_integer(&json, "layers", model->config.layers);
    json_string(&json, "reading", text->notebook ? "after-padding" : "last-token");
    json_integer(&json, "pad_id", TOKEN_PAD);
    json_integer(&json, "max_len", text->max_len);
    json_string(&json, "tokenizer", text->bpe ? "bpe" : "words");
    json_bool(&json, "keep_digits", text->cleaner->map['0'] == '0');
    if (text->data_hash && *text->data_hash)
        json_string(&json, "data_hash", text->data_hash);
    if (text->label_separator && strcmp(text->label_separator, ", ") != 0)
        json_string(&json, "label_separator", text->label_separator);
    json_end_object(&json);
    const char *bytes = json_finish(&json);
    if (bytes)
        nn_snapshot_bytes(snapshot, CONFIG, bytes, json.size);
    else if (status_is_ok(&snapshot->status))
        snapshot->status = status_no_memory(json.size, CONFIG);
    json_free(&json);
}

/* One string a line. */
static void add_lines(NnSnapshot *snapshot, const char *name, const StringTable *table)
{
    size_t size = table->bytes_used;
    char *lines = mem_alloc(size);
    if (!lines) {
        if (status_is_ok(&snapshot->status))
            snapshot->status = status_no_memory(size, name);
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
    mem_free(lines);
}

static void add_tokenizer(NnSnapshot *snapshot, const BpeTokenizer *bpe)
{
    Bytes json = {0};
    Status status = bpe_to_json(bpe, &json);
    if (status_is_ok(&status))
        nn_snapshot_bytes(snapshot, TOKENIZER, json.data, json.size);
    else if (status_is_ok(&snapshot->status))
        snapshot->status = status;
    bytes_free(&json);
}

void checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const CheckpointText *text)
{
    nn_snapshot_parameters(snapshot, &model->base);
    add_config(snapshot, model, text);
    if (text->bpe)
        add_tokenizer(snapshot, text->bpe);
    else
        add_lines(snapshot, VOCABULARY, &text->vocabulary->words);
    add_lines(snapshot, LABELS, text->labels);
    add_lines(snapshot, STOP_WORDS, &text->cleaner->stop_words);
    if (text->thresholds)
        nn_snapshot_tensor(
            snapshot, THRESHOLDS,
            tensor_from((void *)(uintptr_t)text->thresholds, DTYPE_F32, SHAPE(text->labels->count)));
}

Status checkpoint_save(const char *path, Model *model, const CheckpointText *text, NpzOptions options)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    checkpoint_snapshot(&snapshot, model, text);
    Status status = nn_snapshot_write(&snapshot, path, options);
    nn_snapshot_free(&snapshot);
    return status;
}

void checkpoint_keep_unknown(NnSnapshot *snapshot, const Npz *npz)
{
    for (int i = 0; i < npz_count(npz); i++) {
        const NpzMember *member = npz_member(npz, i);
        if (nn_is_reel_member(member->name) && !is_known(member->name))
            nn_snapshot_member(snapshot, npz, member);
    }
}

/* ---- Reading ---- */

/* A checkpoint that is being read. */
typedef struct Reader {
    const Npz *npz;
    NnLoadOptions options;
    Arena *arena;
    Checkpoint *checkpoint;
    const ModelKind *kind;
    ModelConfig config;
    bool is_bpe, keep_digits;
} Reader;

/* Arrays that numpy.savez makes of text: of uint8, or one string of bytes, which is what numpy.load gives for
 * a plain member. */
static bool is_text_array(const NpyHeader *array)
{
    bool bytes = array->item_bytes == 1 && (array->kind == 'u' || array->kind == 'S');
    return bytes || (array->kind == 'S' && array->count == 1);
}

/* The bytes of a text member, plain or an array. */
static Status read_text(const Reader *reader, const char *name, const char **text, size_t *size)
{
    const NpzMember *member = npz_find(reader->npz, name);
    const void *bytes = NULL;
    if (!member)
        return status_failed(
            "%s: has no member %s; where it is a bare state_dict, export it as docs/pytorch.md "
            "shows",
            npz_path(reader->npz), name);
    if (member->is_array && !member->unreadable && !is_text_array(&member->array))
        return status_failed("%s: %s is not text; write it as an array of uint8, as docs/pytorch.md shows",
                             npz_path(reader->npz), name);
    Status status = npz_read_bytes(reader->npz, member, reader->arena, &bytes, size);
    *text = bytes;
    bool padded = member->is_array && member->array.kind == 'S' && member->array.count == 1;
    while (padded && *size > 0 && (*text)[*size - 1] == '\0') /* no text is one zero byte */
        --*size;
    char label[400];
    snprintf(label, sizeof label, "%.300s: %s", npz_path(reader->npz), name);
    return status_is_ok(&status) ? text_file_check(label, *text, *size) : status;
}

/* Reads a string that must be one of two; *second tells which. */
static bool read_choice(JsonReader *json, const char *first, const char *other, bool *second)
{
    if (!json_reader_string(json))
        return false;
    *second = json_reader_is(json, other);
    return *second || json_reader_is(json, first) ||
           json_reader_fail(json, "'%.*s' is neither '%s' nor '%s'", (int)json->string.size,
                            json->string.data, first, other);
}

static bool read_kind(Reader *reader, JsonReader *json)
{
    char name[64];
    if (!json_reader_string(json))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)json->string.size, json->string.data);
    reader->kind = zoo_find(name);
    return reader->kind || json_reader_fail(json, "there is no model '%s'", name);
}

static bool read_hash(Checkpoint *checkpoint, JsonReader *json)
{
    if (!json_reader_string(json))
        return false;
    snprintf(checkpoint->data_hash, sizeof checkpoint->data_hash, "%.*s", (int)json->string.size,
             json->string.data);
    return true;
}

static bool read_separator(Checkpoint *checkpoint, JsonReader *json)
{
    if (!json_reader_string(json))
        return false;
    if (json->string.size == 0 || json->string.size >= sizeof checkpoint->label_separator)
        return json_reader_fail(json, "label_separator has %zu bytes, not 1 to %zu", json->string.size,
                                sizeof checkpoint->label_separator - 1);
    snprintf(checkpoint->label_separator, sizeof checkpoint->label_separator, "%.*s", (int)json->string.size,
             json->string.data);
    checkpoint->text.label_separator = checkpoint->label_separator;
    return true;
}

static bool read_field(Reader *reader, JsonReader *json)
{
    CheckpointText *text = &reader->checkpoint->text;
    int64_t value = 0;
    bool ok;
    if (json_reader_is(json, "format"))
        return json_reader_int_in(json, 1, FORMAT, &value);
    if (json_reader_is(json, "model"))
        return read_kind(reader, json);
    if (json_reader_is(json, "vocabulary"))
        return json_reader_int_in(json, 1, INT32_MAX, &reader->config.vocabulary);
    if (json_reader_is(json, "labels"))
        return json_reader_int_in(json, 1, INT32_MAX, &reader->config.labels);
    if (json_reader_is(json, "embed"))
        return json_reader_int_in(json, 1, INT32_MAX, &reader->config.embed);
    if (json_reader_is(json, "hidden"))
        return json_reader_int_in(json, 1, INT32_MAX, &reader->config.hidden);
    if (json_reader_is(json, "layers")) {
        ok = json_reader_int_in(json, 1, MOST_LAYERS, &value);
        reader->config.layers = (int)value;
        return ok;
    }
    if (json_reader_is(json, "max_len")) {
        ok = json_reader_int_in(json, TOKENIZER_LEAST_MAX_LEN, 1 << 20, &value);
        text->max_len = (int32_t)value;
        return ok;
    }
    if (json_reader_is(json, "pad_id"))
        return json_reader_int_in(json, TOKEN_PAD, TOKEN_PAD, &value);
    if (json_reader_is(json, "reading"))
        return read_choice(json, "last-token", "after-padding", &text->notebook);
    if (json_reader_is(json, "tokenizer"))
        return read_choice(json, "words", "bpe", &reader->is_bpe);
    if (json_reader_is(json, "keep_digits"))
        return json_reader_bool(json, &reader->keep_digits);
    if (json_reader_is(json, "data_hash"))
        return read_hash(reader->checkpoint, json);
    if (json_reader_is(json, "label_separator"))
        return read_separator(reader->checkpoint, json);
    return json_reader_skip(json);
}

static Status read_config(Reader *reader)
{
    const char *text = NULL;
    size_t size;
    Status status = read_text(reader, CONFIG, &text, &size);
    if (!status_is_ok(&status))
        return status;
    char label[400];
    JsonReader json;
    bool first = true;
    snprintf(label, sizeof label, "%.300s: " CONFIG, npz_path(reader->npz));
    json_reader_open(&json, text, size, label);
    json_reader_open_object(&json);
    while (json_reader_next_key(&json, &first) && read_field(reader, &json))
        continue;
    json_reader_end(&json);
    status = json.status;
    json_reader_close(&json);
    if (!status_is_ok(&status))
        return status_failed("%.440s; see docs/checkpoints.md", status.message);
    if (!reader->kind)
        return status_failed("%s: does not name the model; add \"model\"", label);
    if (!reader->checkpoint->text.max_len)
        return status_failed("%s: does not say how many ids a text has; add \"max_len\"", label);
    return status;
}

/* Cuts text into lines, each ended by a NUL in place of its line feed. */
static Status read_lines(const Reader *reader, const char *name, const char *const **lines, int32_t *count)
{
    const char *text = NULL;
    size_t size, used = 0;
    *lines = NULL;
    *count = 0;
    Status status = read_text(reader, name, &text, &size);
    if (!status_is_ok(&status))
        return status;
    if (size > 0 && text[size - 1] != '\n')
        return status_failed("%s: the last line of %s does not end in a line feed; write one name a line",
                             npz_path(reader->npz), name);
    for (size_t i = 0; i < size; i++)
        used += text[i] == '\n';
    if (used > INT32_MAX)
        return status_failed("%s: %s has too many lines", npz_path(reader->npz), name);
    const char **found = arena_alloc(reader->arena, used * sizeof *found);
    char *copy = arena_memdup(reader->arena, text, size);
    if (!found || !copy)
        return status_no_memory(used * sizeof *found + size, name);
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

/* Reads names, none empty and none twice. */
static Status read_names(const Reader *reader, const char *name, StringTable *table)
{
    const char *const *lines;
    int32_t count;
    Status status = read_lines(reader, name, &lines, &count);
    for (int32_t i = 0; status_is_ok(&status) && i < count; i++) {
        int32_t given = lines[i][0] ? string_table_add(table, text_span(lines[i])) : i;
        if (given < 0)
            status = status_no_memory(strlen(lines[i]), name);
        else if (given != i || !lines[i][0])
            status = status_failed("%s: %s: line %d is %s; save the model again", npz_path(reader->npz), name,
                                   i + 1, lines[i][0] ? "there twice" : "empty");
    }
    return status;
}

static Status read_bpe(Reader *reader)
{
    Checkpoint *c = reader->checkpoint;
    BpeTokenizer *learned = NULL;
    const char *text = NULL;
    size_t size;
    Status status = read_text(reader, TOKENIZER, &text, &size);
    if (!status_is_ok(&status))
        return status;
    char label[400];
    snprintf(label, sizeof label, "%.300s: " TOKENIZER, npz_path(reader->npz));
    status = bpe_from_json(&learned, text, size, label);
    if (!status_is_ok(&status))
        return status_failed("%.440s; see docs/checkpoints.md", status.message);
    status = subwords_adopt(&c->subwords, learned, &c->tokenizer);
    c->text.bpe = c->tokenizer.bpe;
    return status_is_ok(&status) ? status
                                 : status_failed("%s: %s: %.300s; see docs/checkpoints.md",
                                                 npz_path(reader->npz), TOKENIZER, status.message);
}

static Status read_vocabulary(Reader *reader)
{
    Checkpoint *c = reader->checkpoint;
    const char *const *words;
    int32_t count;
    Status status = read_lines(reader, VOCABULARY, &words, &count);
    if (status_is_ok(&status))
        status = vocabulary_restore(&c->vocabulary, words, count);
    if (!status_is_ok(&status))
        return strncmp(status.message, npz_path(reader->npz), strlen(npz_path(reader->npz))) == 0
                   ? status
                   : status_failed("%s: %s", npz_path(reader->npz), status.message);
    c->text.vocabulary = &c->vocabulary;
    c->tokenizer = vocabulary_tokenizer(&c->vocabulary);
    return status;
}

static Status read_cleaner(Reader *reader)
{
    Checkpoint *c = reader->checkpoint;
    CleanOptions options = {.stop_words = "none", .keep_digits = reader->keep_digits};
    Status status = cleaner_init(&c->cleaner, &options);
    c->text.cleaner = &c->cleaner;
    const char *const *words;
    int32_t count = 0;
    if (status_is_ok(&status) && npz_find(reader->npz, STOP_WORDS))
        status = read_lines(reader, STOP_WORDS, &words, &count);
    for (int32_t i = 0; status_is_ok(&status) && i < count; i++)
        status = cleaner_add_stop_word(&c->cleaner, text_span(words[i]));
    return status;
}

static Status read_thresholds(Reader *reader)
{
    Checkpoint *c = reader->checkpoint;
    const NpzMember *member = npz_find(reader->npz, THRESHOLDS);
    Tensor t;
    if (!member)
        return status_ok();
    Status status = npz_read_tensor(reader->npz, member, reader->arena, &t);
    if (!status_is_ok(&status))
        return status;
    if (t.dtype != DTYPE_F32 || t.ndim != 1 || t.shape[0] != c->labels.count)
        return status_failed("%s: %s is not one float32 for each of the %d labels", npz_path(reader->npz),
                             THRESHOLDS, c->labels.count);
    size_t bytes = (size_t)c->labels.count * sizeof(float);
    c->thresholds = mem_alloc(bytes);
    if (!c->thresholds)
        return status_no_memory(bytes, THRESHOLDS);
    memcpy(c->thresholds, t.data, bytes);
    c->text.thresholds = c->thresholds;
    return status;
}

/* Whether a size that the configuration states, where it does, is what was found. */
static Status check_size(const Reader *reader, const char *what, int64_t stated, int64_t found)
{
    if (stated == 0 || stated == found)
        return status_ok();
    return status_failed("%s: " CONFIG " says %lld %s and the file names %lld; save the model again",
                         npz_path(reader->npz), (long long)stated, what, (long long)found);
}

static Status read_model(Reader *reader)
{
    Checkpoint *c = reader->checkpoint;
    ModelConfig *config = &reader->config;
    if (c->labels.count < 1)
        return status_failed("%s: %s has no label in it; save the model again", npz_path(reader->npz),
                             LABELS);
    Status status = check_size(reader, "words", config->vocabulary, c->tokenizer.vocab_size);
    if (status_is_ok(&status))
        status = check_size(reader, "labels", config->labels, c->labels.count);
    if (!status_is_ok(&status))
        return status;
    config->vocabulary = c->tokenizer.vocab_size;
    config->labels = c->labels.count;
    status = model_new_without_values(&c->model, reader->kind, *config);
    if (status_is_ok(&status))
        status = nn_load_from(&c->model->base, reader->npz, reader->options);
    return status;
}

static Status read_labels(Reader *reader)
{
    reader->checkpoint->text.labels = &reader->checkpoint->labels;
    return read_names(reader, LABELS, &reader->checkpoint->labels);
}

static Status read_tokenizer(Reader *reader)
{
    return reader->is_bpe ? read_bpe(reader) : read_vocabulary(reader);
}

static Status read_parts(Reader *reader)
{
    Status (*const parts[])(Reader *) = {read_config, read_cleaner,    read_tokenizer,
                                         read_labels, read_thresholds, read_model};
    Status status = status_ok();
    for (size_t i = 0; status_is_ok(&status) && i < sizeof parts / sizeof parts[0]; i++)
        status = parts[i](reader);
    return status;
}

Status checkpoint_load_from(Checkpoint **out, const Npz *npz, NnLoadOptions options)
{
    Arena arena;
    *out = NULL;
    Checkpoint *c = mem_calloc(1, sizeof *c);
    if (!c)
        return status_no_memory(sizeof *c, npz_path(npz));
    nn_snapshot_init(&c->unknown);
    c->text.data_hash = c->data_hash;
    arena_init(&arena, 0);
    Reader reader = {.npz = npz,
                     .options = options,
                     .arena = &arena,
                     .checkpoint = c,
                     .config = {.embed_dropout = -1, .dropout = -1}}; /* the kind's own */
    Status status = read_parts(&reader);
    arena_free(&arena);
    if (status_is_ok(&status)) {
        checkpoint_keep_unknown(&c->unknown, npz);
        status = c->unknown.status;
    }
    if (status_is_ok(&status))
        *out = c;
    else
        checkpoint_free(c);
    return status;
}

Status checkpoint_load(Checkpoint **out, const char *path)
{
    Npz *npz;
    *out = NULL;
    Status status = npz_open(&npz, path);
    if (status_is_ok(&status))
        status = checkpoint_load_from(out, npz, (NnLoadOptions){0});
    npz_close(npz);
    return status;
}

void checkpoint_free(Checkpoint *c)
{
    if (!c)
        return;
    model_free(c->model);
    cleaner_free(&c->cleaner);
    vocabulary_free(&c->vocabulary);
    subwords_free(&c->subwords);
    string_table_free(&c->labels);
    mem_free(c->thresholds);
    nn_snapshot_free(&c->unknown);
    mem_free(c);
}
