#include "models/training/checkpoint.h"
#include "models/training/run_settings.h"

#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define CONFIG     "reel/config.json"
#define THRESHOLDS "reel/thresholds"

enum { FORMAT = 1, MOST_LAYERS = 1000 };

static bool is_known(const char *name)
{
    if (strcmp(name, CONFIG) == 0 || strcmp(name, THRESHOLDS) == 0 || model_pipeline_has_member(name))
        return true;
    /* models/training/training_state.c and run_settings.c write these. */
    return strcmp(name, "reel/training.json") == 0 || strcmp(name, RUN_SETTINGS) == 0 ||
           strncmp(name, "reel/optimizer/", 15) == 0;
}

/* ---- Writing ---- */

static void add_config(NnSnapshot *snapshot, const Model *model, const ModelPipeline *text, bool notebook)
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
    json_string(&json, "reading", notebook ? "after-padding" : "last-token");
    model_pipeline_write_fields(text, &json);
    json_end_object(&json);
    const char *bytes = json_finish(&json);
    if (bytes)
        nn_snapshot_bytes(snapshot, CONFIG, bytes, json.size);
    else if (status_is_ok(&snapshot->status))
        snapshot->status = status_no_memory(json.size, CONFIG);
    json_free(&json);
}

void checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const ModelPipeline *text, bool notebook,
                         const float *thresholds)
{
    nn_snapshot_parameters(snapshot, &model->base);
    add_config(snapshot, model, text, notebook);
    model_pipeline_snapshot(text, snapshot);
    if (thresholds)
        nn_snapshot_tensor(snapshot, THRESHOLDS,
                           tensor_from((void *)(uintptr_t)thresholds, DTYPE_F32, SHAPE(text->labels.count)));
}

Status checkpoint_save(const char *path, const Checkpoint *c, NpzOptions options)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    checkpoint_snapshot(&snapshot, c->model, &c->text, c->notebook, c->thresholds);
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
} Reader;

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

static bool read_field(Reader *reader, JsonReader *json)
{
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
    if (json_reader_is(json, "reading"))
        return read_choice(json, "last-token", "after-padding", &reader->checkpoint->notebook);
    return model_pipeline_read_field(&reader->checkpoint->text, json);
}

static Status read_config(Reader *reader)
{
    const char *text = NULL;
    size_t size;
    Status status = model_text_member(reader->npz, CONFIG, reader->arena, &text, &size);
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
    if (t.dtype != DTYPE_F32 || t.ndim != 1 || t.shape[0] != c->text.labels.count)
        return status_failed("%s: %s is not one float32 for each of the %d labels", npz_path(reader->npz),
                             THRESHOLDS, c->text.labels.count);
    size_t bytes = (size_t)c->text.labels.count * sizeof(float);
    c->thresholds = mem_alloc(bytes);
    if (!c->thresholds)
        return status_no_memory(bytes, THRESHOLDS);
    memcpy(c->thresholds, t.data, bytes);
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
    if (c->text.labels.count < 1)
        return status_failed("%s: %s has no label in it; save the model again", npz_path(reader->npz),
                             "reel/labels.txt");
    Status status = check_size(reader, "words", config->vocabulary, c->text.tokenizer.vocab_size);
    if (status_is_ok(&status))
        status = check_size(reader, "labels", config->labels, c->text.labels.count);
    if (!status_is_ok(&status))
        return status;
    config->vocabulary = c->text.tokenizer.vocab_size;
    config->labels = c->text.labels.count;
    status = model_new_without_values(&c->model, reader->kind, *config);
    if (status_is_ok(&status))
        status = nn_load_from(&c->model->base, reader->npz, reader->options);
    return status;
}

static Status read_parts(Reader *reader)
{
    Status status = read_config(reader);
    if (status_is_ok(&status))
        status = model_pipeline_load(&reader->checkpoint->text, reader->npz, reader->arena);
    if (status_is_ok(&status))
        status = read_thresholds(reader);
    return status_is_ok(&status) ? read_model(reader) : status;
}

Status checkpoint_load_from(Checkpoint **out, const Npz *npz, NnLoadOptions options)
{
    Arena arena;
    *out = NULL;
    Checkpoint *c = mem_calloc(1, sizeof *c);
    if (!c)
        return status_no_memory(sizeof *c, npz_path(npz));
    nn_snapshot_init(&c->unknown);
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
    model_pipeline_free(&c->text);
    mem_free(c->thresholds);
    nn_snapshot_free(&c->unknown);
    mem_free(c);
}
