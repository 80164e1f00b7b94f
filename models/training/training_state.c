#include "models/training/training_state.h"

#include "models/json/json_reader.h"
#include "models/json/json_writer.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define TRAINING  "reel/training.json"
#define OPTIMIZER "reel/optimizer/"

/* An embedding's rows as the optimizer keeps them: at their last gradient. The rows under the parameter's own
 * name are up to date, which they are made at the cost of rounding: from those no run could go on exactly. */
#define LATE_ROWS OPTIMIZER "w/"

enum { MEMBER_SIZE = NN_NAME_SIZE + 32 };

/* More than any run counts; sums of such numbers do not overflow. */
#define MOST_COUNTED ((int64_t)1 << 40)

/* ---- Writing ---- */

static void add_result(JsonWriter *json, const RunResult *result)
{
    json_number(json, "best_f1", result->best_f1);
    json_integer(json, "best_epoch", result->best_epoch);
    if (result->selected.epoch) {
        const Selection *selected = &result->selected;
        json_integer(json, "selected_epoch", selected->epoch);
        json_number(json, "valid_f1", selected->valid_f1);
        json_number(json, "threshold", selected->threshold);
        json_number(json, "tuned_f1", selected->tuned_f1);
        json_number(json, "tuned_micro_f1", selected->tuned_micro_f1);
        json_number(json, "tuned_f1_low", selected->tuned_interval.low);
        json_number(json, "tuned_f1_high", selected->tuned_interval.high);
        json_begin_array(json, "thresholds");
        for (int32_t k = 0; k < result->metrics.num_labels; k++)
            json_number(json, NULL, selected->thresholds[k]);
        json_end_array(json);
    }
    json_begin_array(json, "epochs");
    for (int i = 0; i < result->count; i++) {
        const RunEpoch *epoch = &result->epochs[i];
        json_begin_object(json, NULL);
        json_number(json, "train_loss", epoch->train_loss);
        json_number(json, "test_f1", epoch->test_f1);
        json_number(json, "test_micro_f1", epoch->test_micro_f1);
        json_number(json, "seconds", epoch->seconds);
        json_end_object(json);
    }
    json_end_array(json);
    const Metrics *metrics = &result->metrics;
    json_integer(json, "test_examples", metrics->examples);
    json_begin_array(json, "test_counts"); /* of each label: hits, predicted, support */
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        json_integer(json, NULL, metrics->labels[k].hits);
        json_integer(json, NULL, metrics->labels[k].predicted);
        json_integer(json, NULL, metrics->labels[k].support);
    }
    json_end_array(json);
}

static void add_json(NnSnapshot *snapshot, const TrainingState *state, const RunResult *result)
{
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_string(&json, "run", state->run);
    json_integer(&json, "epoch", state->epoch);
    json_integer(&json, "batch", state->batch);
    json_integer(&json, "updates", state->updates);
    json_number(&json, "loss_sum", state->loss_sum);
    json_integer(&json, "seen", state->seen);
    json_integer(&json, "tokens", state->tokens);
    json_number(&json, "seconds", state->seconds);
    add_result(&json, result);
    json_end_object(&json);
    const char *bytes = json_finish(&json);
    if (bytes)
        nn_snapshot_bytes(snapshot, TRAINING, bytes, json.size);
    else if (status_is_ok(&snapshot->status))
        snapshot->status = status_no_memory(json.size, TRAINING);
    json_free(&json);
}

static void late_name(const NnParameter *parameter, char *name)
{
    char path[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    snprintf(name, MEMBER_SIZE, LATE_ROWS "%s", path);
}

void training_state_snapshot(NnSnapshot *snapshot, const TrainingState *state, const RunResult *result,
                             NnOptimizer *optimizer, NnModule *module)
{
    char stem[NN_NAME_SIZE], name[MEMBER_SIZE];
    Tensor tensor;
    add_json(snapshot, state, result);
    for (int i = 0; nn_optimizer_state(optimizer, i, stem, &tensor); i++) {
        snprintf(name, sizeof name, OPTIMIZER "%s", stem);
        nn_snapshot_tensor(snapshot, name, tensor);
    }
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        if (p->core.read) {
            late_name(p, name);
            nn_snapshot_tensor(snapshot, name, p->core.value);
        }
}

/* ---- Reading ---- */

static bool read_int(JsonReader *json, int low, int high, int *out)
{
    int64_t value = 0;
    bool ok = json_reader_int_in(json, low, high, &value);
    *out = (int)value;
    return ok;
}

static bool read_epoch(JsonReader *json, RunEpoch *epoch)
{
    bool first = true, ok = json_reader_open_object(json);
    while (ok && json_reader_next_key(json, &first))
        ok = json_reader_is(json, "train_loss")      ? json_reader_number(json, &epoch->train_loss)
             : json_reader_is(json, "test_f1")       ? json_reader_number(json, &epoch->test_f1)
             : json_reader_is(json, "test_micro_f1") ? json_reader_number(json, &epoch->test_micro_f1)
             : json_reader_is(json, "seconds")       ? json_reader_number(json, &epoch->seconds)
                                                     : json_reader_skip(json);
    return ok;
}

static bool read_epochs(JsonReader *json, RunResult *result, int most)
{
    bool first = true, ok = json_reader_open_array(json);
    result->count = 0;
    while (ok && json_reader_next_item(json, &first)) {
        if (result->count == most)
            return json_reader_fail(json, "more than %d epochs", most);
        result->epochs[result->count] = (RunEpoch){.epoch = result->count + 1};
        ok = read_epoch(json, &result->epochs[result->count++]);
    }
    return ok;
}

static bool read_thresholds(JsonReader *json, RunResult *result)
{
    int32_t at = 0, count = result->metrics.num_labels;
    Status status = selection_reserve(&result->selected, count);
    if (!status_is_ok(&status))
        return json_reader_fail(json, "out of memory");
    bool first = true, ok = json_reader_open_array(json);
    while (ok && json_reader_next_item(json, &first)) {
        if (at == count)
            return json_reader_fail(json, "thresholds of more than %d labels", count);
        ok = json_reader_number(json, &result->selected.thresholds[at++]);
    }
    return ok && (at == count || json_reader_fail(json, "thresholds of fewer than %d labels", count));
}

static bool read_counts(JsonReader *json, Metrics *metrics)
{
    bool first = true, ok = json_reader_open_array(json);
    int32_t at = 0;
    while (ok && json_reader_next_item(json, &first)) {
        if (at == 3 * metrics->num_labels)
            return json_reader_fail(json, "counts of more than %d labels", metrics->num_labels);
        LabelCounts *label = &metrics->labels[at / 3];
        int64_t *const fields[3] = {&label->hits, &label->predicted, &label->support};
        ok = json_reader_int_in(json, 0, MOST_COUNTED, fields[at++ % 3]);
    }
    return ok && (at == 3 * metrics->num_labels ||
                  json_reader_fail(json, "counts of fewer than %d labels", metrics->num_labels));
}

static bool read_run(JsonReader *json, TrainingState *state)
{
    if (!json_reader_string(json))
        return false;
    snprintf(state->run, sizeof state->run, "%.*s", (int)json->string.size, json->string.data);
    return true;
}

static bool read_field(JsonReader *json, TrainingState *state, RunResult *result, int most)
{
    if (json_reader_is(json, "run"))
        return read_run(json, state);
    if (json_reader_is(json, "epoch"))
        return read_int(json, 1, most + 1, &state->epoch);
    if (json_reader_is(json, "batch"))
        return json_reader_int_in(json, 0, INT32_MAX, &state->batch);
    if (json_reader_is(json, "updates"))
        return json_reader_int_in(json, 0, INT32_MAX, &state->updates);
    if (json_reader_is(json, "loss_sum"))
        return json_reader_number(json, &state->loss_sum);
    if (json_reader_is(json, "seen"))
        return json_reader_int_in(json, 0, MOST_COUNTED, &state->seen);
    if (json_reader_is(json, "tokens"))
        return json_reader_int_in(json, 0, MOST_COUNTED, &state->tokens);
    if (json_reader_is(json, "seconds"))
        return json_reader_number(json, &state->seconds);
    if (json_reader_is(json, "best_f1"))
        return json_reader_number(json, &result->best_f1);
    if (json_reader_is(json, "best_epoch"))
        return read_int(json, 0, most, &result->best_epoch);
    if (json_reader_is(json, "selected_epoch"))
        return read_int(json, 0, most, &result->selected.epoch);
    if (json_reader_is(json, "valid_f1"))
        return json_reader_number(json, &result->selected.valid_f1);
    if (json_reader_is(json, "threshold"))
        return json_reader_number(json, &result->selected.threshold);
    if (json_reader_is(json, "tuned_f1"))
        return json_reader_number(json, &result->selected.tuned_f1);
    if (json_reader_is(json, "tuned_micro_f1"))
        return json_reader_number(json, &result->selected.tuned_micro_f1);
    if (json_reader_is(json, "tuned_f1_low"))
        return json_reader_number(json, &result->selected.tuned_interval.low);
    if (json_reader_is(json, "tuned_f1_high"))
        return json_reader_number(json, &result->selected.tuned_interval.high);
    if (json_reader_is(json, "thresholds"))
        return read_thresholds(json, result);
    if (json_reader_is(json, "epochs"))
        return read_epochs(json, result, most);
    if (json_reader_is(json, "test_examples"))
        return json_reader_int_in(json, 0, MOST_COUNTED, &result->metrics.examples);
    if (json_reader_is(json, "test_counts"))
        return read_counts(json, &result->metrics);
    return json_reader_skip(json);
}

/* Whether the epochs that are named have been, and the selected one left its thresholds. */
static Status check_epochs(const Npz *npz, const TrainingState *state, const RunResult *result)
{
    const char *path = npz_path(npz);
    int count = result->count, best = result->best_epoch, selected = result->selected.epoch;
    if (state->epoch != count + 1)
        return status_failed("%s: " TRAINING " has %d epochs and is in epoch %d; go on from another file",
                             path, count, state->epoch);
    if (best > count || (best == 0) != (count == 0) || selected > count)
        return status_failed("%s: " TRAINING
                             " has %d epochs, and epoch %d is the best; go on from another file",
                             path, count, selected > count ? selected : best);
    if (selected > 0 && !result->selected.thresholds)
        return status_failed("%s: " TRAINING " has no thresholds for epoch %d; go on from another file", path,
                             selected);
    return status_ok();
}

Status training_state_read(const Npz *npz, TrainingState *state, RunResult *result, int most_epochs)
{
    *state = (TrainingState){0};
    const NpzMember *member = npz_find(npz, TRAINING);
    if (!member)
        return status_failed("%s: has no member " TRAINING "; go on from a file that ends in .last.npz",
                             npz_path(npz));
    Arena arena;
    const void *text;
    size_t size;
    arena_init(&arena, 0);
    Status status = npz_read_bytes(npz, member, &arena, &text, &size);
    if (status_is_ok(&status)) {
        JsonReader json;
        bool first = true;
        char label[400];
        snprintf(label, sizeof label, "%.300s: " TRAINING, npz_path(npz));
        json_reader_open(&json, text, size, label);
        json_reader_open_object(&json);
        while (json_reader_next_key(&json, &first) && read_field(&json, state, result, most_epochs))
            continue;
        json_reader_end(&json);
        status = json.status;
        json_reader_close(&json);
    }
    arena_free(&arena);
    return status_is_ok(&status) ? check_epochs(npz, state, result) : status;
}

/* A row's last gradient lies at no later update than the last one, which `step` counts. The optimizer takes
 * both for indices into its schedule. */
static Status check_indices(const Npz *npz, const char *name, const char *stem, Tensor value, int64_t updates)
{
    if (strcmp(stem, "step") == 0 && tensor_i32(value)[0] != updates)
        return status_failed("%s: %s is %d and not %lld; go on from another file", npz_path(npz), name,
                             tensor_i32(value)[0], (long long)updates);
    for (int64_t i = 0; strncmp(stem, "last/", 5) == 0 && i < value.shape[0]; i++)
        if (tensor_i32(value)[i] < 0 || tensor_i32(value)[i] > updates)
            return status_failed("%s: %s: row %lld is at update %d of %lld; go on from another file",
                                 npz_path(npz), name, (long long)i, tensor_i32(value)[i], (long long)updates);
    return status_ok();
}

/* Reads an array into memory that is there, which is left as it is where the array does not fit. `stem` is
 * the optimizer's name for it. */
static Status read_into(const Npz *npz, const char *name, const char *stem, int64_t updates, Tensor target,
                        Arena *arena)
{
    const NpzMember *member = npz_find(npz, name);
    if (!member)
        return status_failed("%s: has no member %s; go on from a file that ends in .last.npz", npz_path(npz),
                             name);
    ArenaMark mark = arena_mark(arena);
    Tensor value = tensor_invalid();
    Status status = npz_read_tensor(npz, member, arena, &value);
    if (status_is_ok(&status) && (value.dtype != target.dtype || !tensor_same_shape(&value, &target))) {
        char in_file[SHAPE_TEXT_SIZE], in_model[SHAPE_TEXT_SIZE];
        status =
            status_failed("%s: %s is %s %s in the file and %s %s in the model; go on with the same settings",
                          npz_path(npz), name, dtype_name(value.dtype), tensor_shape_text(&value, in_file),
                          dtype_name(target.dtype), tensor_shape_text(&target, in_model));
    }
    if (status_is_ok(&status))
        status = check_indices(npz, name, stem, value, updates);
    if (status_is_ok(&status))
        tensor_copy_into(target, value);
    arena_rewind(arena, mark);
    return status;
}

/* The schedule has a row for each update: how many there were is believed, and room made for them, only where
 * the file has as many. */
static Status check_schedule(const Npz *npz, int64_t updates)
{
    const NpzMember *member = npz_find(npz, OPTIMIZER "schedule");
    if (!member || !member->is_array || member->array.ndim != 2 || member->array.shape[0] != updates)
        return status_failed("%s: " OPTIMIZER
                             "schedule does not have a row for each of %lld updates; go on from another file",
                             npz_path(npz), (long long)updates);
    return status_ok();
}

static Status restore(const Npz *npz, const TrainingState *state, NnOptimizer *optimizer, NnModule *module,
                      Arena *arena)
{
    char stem[NN_NAME_SIZE], name[MEMBER_SIZE];
    Tensor tensor;
    Status status = check_schedule(npz, state->updates);
    if (status_is_ok(&status))
        status = nn_optimizer_restore(optimizer, state->updates);
    for (int i = 0; status_is_ok(&status) && nn_optimizer_state(optimizer, i, stem, &tensor); i++) {
        snprintf(name, sizeof name, OPTIMIZER "%s", stem);
        status = read_into(npz, name, stem, state->updates, tensor, arena);
    }
    for (NnParameter *p = nn_first_parameter(module); p && status_is_ok(&status);
         p = nn_next_parameter(module, p))
        if (p->core.read) {
            late_name(p, name);
            status = read_into(npz, name, "w", state->updates, p->core.value, arena);
            parameter_changed(&p->core);
        }
    return status;
}

Status training_state_restore(const Npz *npz, const TrainingState *state, NnOptimizer *optimizer,
                              NnModule *module)
{
    Arena arena;
    arena_init(&arena, 0);
    Status status = restore(npz, state, optimizer, module, &arena);
    arena_free(&arena);
    return status;
}
