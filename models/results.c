#include "models/results.h"
#include "models/json_writer.h"
#include "nn/atomic_file.h"

#include <math.h>
#include <string.h>

static void write_model(JsonWriter *json, const RunResult *model)
{
    const RunEpoch *last = model->count ? &model->epochs[model->count - 1] : NULL;
    json_begin_object(json, NULL);
    json_string(json, "name", model->name);
    json_integer(json, "params", model->params);
    json_integer(json, "params_without_embedding", model->params_without_embedding);
    json_number(json, "best_f1", model->best_f1);
    json_integer(json, "best_epoch", model->best_epoch);
    json_number(json, "last_f1", last ? last->test_f1 : 0);
    json_number(json, "last_micro_f1", last ? last->test_micro_f1 : 0);
    if (model->selected.epoch) {
        json_integer(json, "selected_epoch", model->selected.epoch);
        json_number(json, "valid_f1", model->selected.valid_f1);
        json_number(json, "threshold", 1 / (1 + exp(-model->selected.threshold)));
        json_number(json, "tuned_f1", model->selected.tuned_f1);
        json_number(json, "tuned_micro_f1", model->selected.tuned_micro_f1);
    }
    json_number(json, "seconds", model->seconds);
    json_number(json, "peak_rss_mb", model->peak_rss_mb);
    json_bool(json, "interrupted", model->interrupted);
    json_begin_array(json, "epochs");
    for (int i = 0; i < model->count; i++) {
        json_begin_object(json, NULL);
        json_integer(json, "epoch", model->epochs[i].epoch);
        json_number(json, "train_loss", model->epochs[i].train_loss);
        json_number(json, "test_f1", model->epochs[i].test_f1);
        json_number(json, "test_micro_f1", model->epochs[i].test_micro_f1);
        json_number(json, "seconds", model->epochs[i].seconds);
        json_end_object(json);
    }
    json_end_array(json);
    json_end_object(json);
}

Status results_write(const Results *results, const char *path)
{
    JsonWriter json = {0};
    const Dataset *dataset = results->dataset;
    json_begin_object(&json, NULL);
    json_string(&json, "data", results->data);
    json_string(&json, "data_hash", dataset->hash);
    json_integer(&json, "rows", dataset->train.count + dataset->test.count);
    json_integer(&json, "train", dataset->train.count);
    json_integer(&json, "test", dataset->test.count);
    json_integer(&json, "labels", dataset_num_classes(dataset));
    json_integer(&json, "vocab", dataset->tokenizer.vocab_size);
    json_integer(&json, "max_len", dataset->max_len);
    json_integer(&json, "seed", (int64_t)results->seed);
    json_integer(&json, "threads", results->threads);
    json_integer(&json, "shards", results->shards);
    json_integer(&json, "batch", results->batch);
    json_number(&json, "lr", results->lr);
    json_bool(&json, "notebook", results->notebook);
    json_string(&json, "best_f1_is",
                "the maximum over epochs of macro F1 on the test part, as in the homework");
    json_begin_array(&json, "models");
    for (int i = 0; i < results->count; i++)
        write_model(&json, &results->models[i]);
    json_end_array(&json);
    json_end_object(&json);
    const char *text = json_finish(&json);
    Status status = text ? atomic_file_put(path, text, json.size) : status_no_memory(json.size, path);
    json_free(&json);
    return status;
}
