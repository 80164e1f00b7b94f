/* tools/predict --info: what a file holds. */
#include "models/training/results.h"
#include "models/training/run_settings.h"
#include "models/training/threshold.h"
#include "tensor/storage/json_reader.h"
#include "tools/predict.h"

#include <stdio.h>
#include <string.h>

/* Members that are objects of JSON already; not every file has them. */
static const struct {
    const char *key, *member;
} members[] = {
    {"quality", MODEL_RESULTS_QUALITY}, {"training", "reel/training.json"}, {"settings", MODEL_RUN_SETTINGS}};

static void write_text(ReelJsonWriter *json, const ModelPipeline *text)
{
    bool words = !text->tokenizer.bpe;
    reel_json_begin_object(json, "texts");
    reel_json_string(json, "task", model_task_name(text->task));
    reel_json_string(json, "tokenizer", words ? "words" : "byte pairs");
    reel_json_bool(json, "digits", text->cleaner.keep_digits);
    reel_json_integer(json, "stop_words", text->cleaner.stop_words.count);
    reel_json_integer(json, "max_len", text->max_len);
    reel_json_string(json, "label_separator", model_pipeline_separator(text));
    reel_json_string(json, "data_hash", text->data_hash);
    reel_json_end_object(json);
}

static void write_checkpoint(ReelJsonWriter *json, const ModelCheckpoint *c)
{
    const Model *model = c->model;
    reel_json_string(json, "model", model->kind->name);
    reel_json_string(json, "description", model->kind->description);
    reel_json_string(json, "reads", c->notebook ? "the state after the padding" : "the last word's state");
    reel_json_integer(json, "parameters", model_count(c->model));
    reel_json_string(json, "weights", model_checkpoint_is_in_place(c) ? "mapped" : "copied");
    reel_json_integer(json, "bits", c->quantized ? 8 : 32);
    reel_json_begin_object(json, "sizes");
    reel_json_integer(json, "vocabulary", model->config.vocabulary);
    reel_json_integer(json, "labels", model->config.labels);
    reel_json_integer(json, "embed", model->config.embed);
    reel_json_integer(json, "hidden", model->config.hidden);
    reel_json_integer(json, "layers", model->config.layers);
    reel_json_end_object(json);
    write_text(json, &c->text);
    reel_json_bool(json, "calibrated", c->calibration != NULL);
}

/* The labels, each with the probability above which it is predicted. */
static void write_labels(ReelJsonWriter *json, const ModelCheckpoint *c)
{
    reel_json_begin_object(json, NULL);
    for (int32_t k = 0; k < c->text.labels.count; k++)
        if (c->text.task == MODEL_TASK_SINGLE) /* the most probable one is predicted */
            reel_json_null(json, model_string_table_text(&c->text.labels, k));
        else
            reel_json_number(json, model_string_table_text(&c->text.labels, k),
                             model_threshold_probability(model_checkpoint_threshold(c, k)));
    reel_json_end_object(json);
}

/* An object: the checkpoint's facts, and behind them the members as they stand in the file. */
static ReelStatus compose(ReelBytes *out, const ModelCheckpoint *c, const TensorNpz *npz, TensorArena *arena)
{
    static const char labels_key[] = ",\n  \"labels\": ";
    ReelJsonWriter json = {0}, labels = {0};
    reel_json_begin_object(&json, NULL);
    write_checkpoint(&json, c);
    write_labels(&labels, c);
    bool fine = !json.failed && !labels.failed && reel_bytes_append(out, json.text, json.size);
    ReelStatus status = reel_status_ok();
    for (size_t i = 0; i < sizeof members / sizeof members[0] && fine; i++) {
        const char *text = NULL;
        size_t size;
        char key[40];
        if (!tensor_npz_find(npz, members[i].member))
            continue;
        status = model_text_member(npz, members[i].member, arena, &text, &size);
        if (!reel_status_is_ok(&status))
            break;
        int length = snprintf(key, sizeof key, ",\n  \"%s\": ", members[i].key);
        fine = reel_bytes_append(out, key, (size_t)length) && reel_bytes_append(out, text, size);
    }
    fine = fine && reel_bytes_append(out, labels_key, sizeof labels_key - 1) &&
           reel_bytes_append(out, labels.text, labels.size) && reel_bytes_append(out, "\n}\n", 3);
    reel_json_free(&json);
    reel_json_free(&labels);
    return fine ? status : reel_status_no_memory(out->size, "what the file holds");
}

/* One line for each member, those of an object indented; lists, such as a curve, are for --json. */
static void print_members(ReelJsonReader *json, int indent)
{
    bool first = true, truth;
    double number;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        ReelJsonKind kind = reel_json_reader_peek(json);
        if (kind != REEL_JSON_ARRAY)
            printf("%*s%-*.*s ", indent, "", 32 - indent, (int)json->string.size, json->string.data);
        if (kind == REEL_JSON_OBJECT) {
            printf("\n");
            print_members(json, indent + 2);
        } else if (kind == REEL_JSON_STRING && reel_json_reader_string(json)) {
            printf("%.*s\n", (int)json->string.size, json->string.size ? json->string.data : "");
        } else if (kind == REEL_JSON_NUMBER && reel_json_reader_number(json, &number)) {
            printf("%.6g\n", number);
        } else if ((kind == REEL_JSON_TRUE || kind == REEL_JSON_FALSE) &&
                   reel_json_reader_bool(json, &truth)) {
            printf("%s\n", truth ? "yes" : "no");
        } else {
            printf("%s", kind == REEL_JSON_NULL ? "-\n" : "");
            reel_json_reader_skip(json);
        }
    }
}

static ReelStatus print(const char *path, const ReelBytes *object, bool as_json)
{
    ReelJsonReader json;
    if (as_json) {
        fwrite(object->data, 1, object->size, stdout);
        return reel_status_ok();
    }
    reel_json_reader_open(&json, object->data, object->size, path);
    print_members(&json, 0);
    ReelStatus status = json.status;
    reel_json_reader_close(&json);
    return status;
}

ReelStatus predict_info(const char *path, bool as_json)
{
    TensorNpz *npz;
    ModelCheckpoint *checkpoint = NULL;
    TensorArena arena;
    ReelBytes object = {0};
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_open_mapped(&npz, path);
    if (reel_status_is_ok(&status))
        status = model_checkpoint_load_from(&checkpoint, npz, (NnLoadOptions){.in_place = true});
    if (reel_status_is_ok(&status))
        status = compose(&object, checkpoint, npz, &arena);
    if (reel_status_is_ok(&status))
        status = print(path, &object, as_json);
    reel_bytes_free(&object);
    model_checkpoint_free(checkpoint);
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    return status;
}
