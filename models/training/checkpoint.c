#include "models/training/checkpoint.h"
#include "models/training/results.h"
#include "models/training/run_settings.h"
#include "models/training/threshold.h"

#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG      "reel/config.json"
#define THRESHOLDS  "reel/thresholds"
#define CALIBRATION "reel/calibration"

/* What stands as "format": the lowest that says all. Thresholds are probabilities in the first and logits in
 * the second; in the third a text has one label, which readers of the others would miss; in the fourth
 * matrices are of 8 bits. */
enum { FORMAT = 1, FORMAT_OF_LOGITS = 2, FORMAT_OF_SINGLE = 3, FORMAT_OF_BYTES = 4, MOST_LAYERS = 1000 };

static bool is_known(const char *name)
{
    if (strcmp(name, CONFIG) == 0 || strcmp(name, THRESHOLDS) == 0 || strcmp(name, CALIBRATION) == 0 ||
        model_pipeline_has_member(name))
        return true;
    /* models/training/training_state.c, run_settings.c and results.c write these. */
    return strcmp(name, "reel/training.json") == 0 || strcmp(name, MODEL_RUN_SETTINGS) == 0 ||
           strcmp(name, MODEL_RESULTS_QUALITY) == 0 || strncmp(name, "reel/optimizer/", 15) == 0 ||
           strncmp(name, "reel/scales/", 12) == 0;
}

/* ---- Writing ---- */

static void add_config(NnSnapshot *snapshot, const Model *model, const ModelPipeline *text, bool notebook,
                       bool thresholds, bool quantized)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "format",
                      quantized                         ? FORMAT_OF_BYTES
                      : text->task == MODEL_TASK_SINGLE ? FORMAT_OF_SINGLE
                      : thresholds                      ? FORMAT_OF_LOGITS
                                                        : FORMAT);
    reel_json_string(&json, "model", model->kind->name);
    reel_json_integer(&json, "vocabulary", model->config.vocabulary);
    reel_json_integer(&json, "labels", model->config.labels);
    reel_json_integer(&json, "embed", model->config.embed);
    reel_json_integer(&json, "hidden", model->config.hidden);
    reel_json_integer(&json, "layers", model->config.layers);
    reel_json_string(&json, "reading", notebook ? "after-padding" : "last-token");
    model_pipeline_write_fields(text, &json);
    reel_json_end_object(&json);
    nn_snapshot_json(snapshot, CONFIG, &json);
}

/* What stands behind weights and configuration. */
static void add_text(NnSnapshot *snapshot, const ModelPipeline *text, const double *thresholds,
                     const double *calibration)
{
    model_pipeline_snapshot(text, snapshot);
    if (thresholds)
        nn_snapshot_tensor(
            snapshot, THRESHOLDS,
            tensor_from((void *)(uintptr_t)thresholds, TENSOR_F64, TENSOR_SHAPE(text->labels.count)));
    if (calibration)
        nn_snapshot_tensor(snapshot, CALIBRATION,
                           tensor_from((void *)(uintptr_t)calibration, TENSOR_F64,
                                       TENSOR_SHAPE(MODEL_CALIBRATION_ROWS, text->labels.count)));
}

void model_checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const ModelPipeline *text, bool notebook,
                               const double *thresholds, const double *calibration)
{
    nn_snapshot_parameters(snapshot, &model->base);
    add_config(snapshot, model, text, notebook, thresholds != NULL, false);
    add_text(snapshot, text, thresholds, calibration);
}

/* All of it, in a snapshot that must be freed before the checkpoint. */
static void take_snapshot(NnSnapshot *snapshot, const ModelCheckpoint *c, bool quantized)
{
    nn_snapshot_init(snapshot);
    if (quantized)
        nn_snapshot_quantized(snapshot, &c->model->base);
    else
        nn_snapshot_parameters(snapshot, &c->model->base);
    add_config(snapshot, c->model, &c->text, c->notebook, c->thresholds != NULL, quantized);
    add_text(snapshot, &c->text, c->thresholds, c->calibration);
    nn_snapshot_append(snapshot, &c->told);
    nn_snapshot_append(snapshot, &c->unknown);
}

static ReelStatus save(const char *path, const ModelCheckpoint *c, bool quantized, TensorNpzOptions options)
{
    NnSnapshot snapshot;
    take_snapshot(&snapshot, c, quantized);
    ReelStatus status = nn_snapshot_write(&snapshot, path, options);
    nn_snapshot_free(&snapshot);
    return status;
}

ReelStatus model_checkpoint_save(const char *path, const ModelCheckpoint *c, TensorNpzOptions options)
{
    return save(path, c, false, options);
}

ReelStatus model_checkpoint_export(const char *path, const ModelCheckpoint *c, bool quantized)
{
    return save(path, c, quantized, (TensorNpzOptions){.in_place = true});
}

ReelStatus model_checkpoint_save_memory(ReelBytes *bytes, const ModelCheckpoint *c, TensorNpzOptions options)
{
    NnSnapshot snapshot;
    take_snapshot(&snapshot, c, false);
    ReelStatus status = nn_snapshot_write_memory(&snapshot, bytes, options);
    nn_snapshot_free(&snapshot);
    return status;
}

/* Copies what the file tells of the model. */
static ReelStatus keep_told(NnSnapshot *told, const TensorNpz *npz)
{
    static const char *const names[] = {MODEL_RESULTS_QUALITY, MODEL_RUN_SETTINGS};
    for (int i = 0; i < 2; i++) {
        const TensorNpzMember *member = tensor_npz_find(npz, names[i]);
        if (member)
            nn_snapshot_member(told, npz, member);
    }
    return told->status;
}

void model_checkpoint_keep_unknown(NnSnapshot *snapshot, const TensorNpz *npz)
{
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        if (nn_is_reel_member(member->name) && !is_known(member->name))
            nn_snapshot_member(snapshot, npz, member);
    }
}

/* ---- Reading ---- */

/* A checkpoint that is being read. */
typedef struct Reader {
    const TensorNpz *npz;
    NnLoadOptions options;
    TensorArena *arena;
    ModelCheckpoint *checkpoint;
    const ModelKind *kind;
    ModelConfig config;
    int64_t format;
} Reader;

static bool read_kind(Reader *reader, ReelJsonReader *json)
{
    char name[64];
    if (!reel_json_reader_string(json))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)json->string.size, json->string.data);
    reader->kind = model_zoo_find(name);
    return reader->kind || reel_json_reader_fail(json, "there is no model '%s'", name);
}

static bool read_field(void *context, ReelJsonReader *json)
{
    Reader *reader = context;
    int64_t value = 0;
    bool ok;
    if (reel_json_reader_is(json, "format"))
        return reel_json_reader_int_in(json, FORMAT, FORMAT_OF_BYTES, &reader->format);
    if (reel_json_reader_is(json, "model"))
        return read_kind(reader, json);
    if (reel_json_reader_is(json, "vocabulary"))
        return reel_json_reader_int_in(json, 1, INT32_MAX, &reader->config.vocabulary);
    if (reel_json_reader_is(json, "labels"))
        return reel_json_reader_int_in(json, 1, INT32_MAX, &reader->config.labels);
    if (reel_json_reader_is(json, "embed"))
        return reel_json_reader_int_in(json, 1, INT32_MAX, &reader->config.embed);
    if (reel_json_reader_is(json, "hidden"))
        return reel_json_reader_int_in(json, 1, INT32_MAX, &reader->config.hidden);
    if (reel_json_reader_is(json, "layers")) {
        ok = reel_json_reader_int_in(json, 1, MOST_LAYERS, &value);
        reader->config.layers = (int)value;
        return ok;
    }
    if (reel_json_reader_is(json, "reading"))
        return reel_json_reader_choice(json, "last-token", "after-padding", &reader->checkpoint->notebook);
    return model_pipeline_read_field(&reader->checkpoint->text, json);
}

static ReelStatus read_config(Reader *reader)
{
    const char *text = NULL;
    size_t size;
    ReelStatus status = model_text_member(reader->npz, CONFIG, reader->arena, &text, &size);
    if (!reel_status_is_ok(&status))
        return status;
    char label[400];
    snprintf(label, sizeof label, "%.300s: " CONFIG, tensor_npz_path(reader->npz));
    status = reel_json_read_object(text, size, label, read_field, reader);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.440s; see docs/checkpoints.md", status.message);
    if (!reader->kind)
        return reel_status_failed("%s: does not name the model; add \"model\"", label);
    if (!reader->checkpoint->text.max_len)
        return reel_status_failed("%s: does not say how many ids a text has; add \"max_len\"", label);
    return status;
}

/* The numbers of a member, [rows, labels] or with one row [labels], which are `what`; *numbers stays NULL
 * where there is no such member. */
static ReelStatus read_numbers(Reader *reader, const char *name, int64_t rows, const char *what,
                               double **numbers)
{
    int64_t labels = reader->checkpoint->text.labels.count;
    const TensorNpzMember *member = tensor_npz_find(reader->npz, name);
    Tensor t;
    if (!member)
        return reel_status_ok();
    ReelStatus status = tensor_npz_read_tensor(reader->npz, member, reader->arena, &t);
    if (!reel_status_is_ok(&status))
        return status;
    bool fits = rows == 1 ? t.ndim == 1 && t.shape[0] == labels
                          : t.ndim == 2 && t.shape[0] == rows && t.shape[1] == labels;
    if ((t.dtype != TENSOR_F32 && t.dtype != TENSOR_F64) || !fits)
        return reel_status_failed("%s: %s is not %s for each of the %lld labels; save the model again",
                                  tensor_npz_path(reader->npz), name, what, (long long)labels);
    size_t bytes = (size_t)(rows * labels) * sizeof **numbers;
    *numbers = reel_mem_alloc(bytes);
    if (!*numbers)
        return reel_status_no_memory(bytes, name);
    tensor_copy_into(tensor_from(*numbers, TENSOR_F64, t.ndim, t.shape), t);
    return status;
}

static ReelStatus read_thresholds(Reader *reader)
{
    ModelCheckpoint *c = reader->checkpoint;
    ReelStatus status = read_numbers(reader, THRESHOLDS, 1, "one number", &c->thresholds);
    for (int32_t k = 0; reader->format < FORMAT_OF_LOGITS && c->thresholds && k < c->text.labels.count; k++)
        c->thresholds[k] = model_threshold_log_odds(c->thresholds[k]);
    return status;
}

static ReelStatus read_calibration(Reader *reader)
{
    ModelCheckpoint *c = reader->checkpoint;
    int32_t labels = c->text.labels.count;
    const TensorNpzMember *member = tensor_npz_find(reader->npz, CALIBRATION);
    bool lines = member && member->is_array && member->array.ndim == 2 && member->array.shape[0] == 2;
    int rows = lines ? 2 : MODEL_CALIBRATION_ROWS; /* versions before had lines alone */
    ReelStatus status = read_numbers(reader, CALIBRATION, rows, "a calibration", &c->calibration);
    if (lines && c->calibration) {
        size_t bytes = MODEL_CALIBRATION_ROWS * (size_t)labels * sizeof *c->calibration;
        double *larger = reel_mem_realloc(c->calibration, bytes);
        if (!larger)
            return reel_status_no_memory(bytes, CALIBRATION);
        c->calibration = larger;
        model_calibration_straighten(larger, labels);
    }
    if (c->calibration && !model_calibration_is_sound(c->calibration, labels))
        return reel_status_failed(
            "%s: %s has a slope that is not above 0, or a number that is not finite; save "
            "the model again",
            tensor_npz_path(reader->npz), CALIBRATION);
    return status;
}

/* Whether a size that the configuration states, where it does, is what was found. */
static ReelStatus check_size(const Reader *reader, const char *what, int64_t stated, int64_t found)
{
    if (stated == 0 || stated == found)
        return reel_status_ok();
    return reel_status_failed("%s: " CONFIG " says %lld %s and the file names %lld; save the model again",
                              tensor_npz_path(reader->npz), (long long)stated, what, (long long)found);
}

static ReelStatus read_model(Reader *reader)
{
    ModelCheckpoint *c = reader->checkpoint;
    ModelConfig *config = &reader->config;
    if (c->text.labels.count < 1)
        return reel_status_failed("%s: %s has no label in it; save the model again",
                                  tensor_npz_path(reader->npz), "reel/labels.txt");
    ReelStatus status = check_size(reader, "words", config->vocabulary, c->text.tokenizer.vocab_size);
    if (reel_status_is_ok(&status))
        status = check_size(reader, "labels", config->labels, c->text.labels.count);
    if (!reel_status_is_ok(&status))
        return status;
    config->vocabulary = c->text.tokenizer.vocab_size;
    config->first_piece = c->text.tokenizer.first_piece;
    config->labels = c->text.labels.count;
    status = model_new_without_values(&c->model, reader->kind, *config);
    if (reel_status_is_ok(&status))
        status = nn_load_from(&c->model->base, reader->npz, reader->options);
    if (c->model)
        nn_module_train(&c->model->base, false); /* for predictors, who write nothing */
    return status;
}

static ReelStatus read_parts(Reader *reader)
{
    ReelStatus status = read_config(reader);
    reader->checkpoint->quantized = reader->format == FORMAT_OF_BYTES;
    if (reel_status_is_ok(&status))
        status = model_pipeline_load(&reader->checkpoint->text, reader->npz, reader->arena);
    if (reel_status_is_ok(&status))
        status = read_thresholds(reader);
    if (reel_status_is_ok(&status))
        status = read_calibration(reader);
    return reel_status_is_ok(&status) ? read_model(reader) : status;
}

ReelStatus model_checkpoint_load_from(ModelCheckpoint **out, const TensorNpz *npz, NnLoadOptions options)
{
    TensorArena arena;
    *out = NULL;
    ModelCheckpoint *c = reel_mem_calloc(1, sizeof *c);
    if (!c)
        return reel_status_no_memory(sizeof *c, tensor_npz_path(npz));
    nn_snapshot_init(&c->told);
    nn_snapshot_init(&c->unknown);
    tensor_arena_init(&arena, 0);
    Reader reader = {.npz = npz,
                     .options = options,
                     .arena = &arena,
                     .checkpoint = c,
                     .config = {.embed_dropout = -1, .dropout = -1}}; /* the kind's own */
    ReelStatus status = read_parts(&reader);
    tensor_arena_free(&arena);
    if (reel_status_is_ok(&status))
        status = keep_told(&c->told, npz);
    if (reel_status_is_ok(&status)) {
        model_checkpoint_keep_unknown(&c->unknown, npz);
        status = c->unknown.status;
    }
    if (reel_status_is_ok(&status))
        *out = c;
    else
        model_checkpoint_free(c);
    return status;
}

bool model_checkpoint_is_in_place(const ModelCheckpoint *c)
{
    for (NnIterator it = nn_iterate(&c->model->base); nn_next(&it);)
        if (it.named.parameter->is_borrowed || it.named.parameter->quantized)
            return true;
    return false;
}

ReelStatus model_checkpoint_load(ModelCheckpoint **out, const char *path)
{
    TensorNpz *npz;
    *out = NULL;
    ReelStatus status = tensor_npz_open_mapped(&npz, path);
    if (reel_status_is_ok(&status))
        status = model_checkpoint_load_from(out, npz, (NnLoadOptions){.in_place = true});
    if (reel_status_is_ok(&status) && model_checkpoint_is_in_place(*out))
        (*out)->file = npz;
    else
        tensor_npz_close(npz);
    return status;
}

double model_checkpoint_threshold(const ModelCheckpoint *c, int32_t k)
{
    return model_calibration_log_odds(c->calibration, c->text.labels.count, k,
                                      c->thresholds ? c->thresholds[k] : 0);
}

void model_checkpoint_free(ModelCheckpoint *c)
{
    if (!c)
        return;
    model_free(c->model);
    model_pipeline_free(&c->text);
    reel_mem_free(c->thresholds);
    reel_mem_free(c->calibration);
    nn_snapshot_free(&c->told);
    nn_snapshot_free(&c->unknown);
    tensor_npz_close(c->file);
    reel_mem_free(c);
}
