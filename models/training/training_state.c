#include "models/training/training_state.h"

#include "tensor/storage/json_fields.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define TRAINING "reel/training.json"

/* More than any run counts; sums of such numbers do not overflow. */
#define MOST_COUNTED ((int64_t)1 << 40)

/* ---- Writing ---- */

static void add_result(ReelJsonWriter *json, const RunResult *result)
{
    reel_json_number(json, "best_f1", result->best_f1);
    reel_json_integer(json, "best_epoch", result->best_epoch);
    if (result->selected.epoch) {
        const Selection *selected = &result->selected;
        reel_json_integer(json, "selected_epoch", selected->epoch);
        reel_json_number(json, "valid_f1", selected->valid_f1);
        reel_json_number(json, "threshold", selected->threshold);
        reel_json_number(json, "tuned_f1", selected->tuned_f1);
        reel_json_number(json, "tuned_micro_f1", selected->tuned_micro_f1);
        reel_json_number(json, "tuned_f1_low", selected->tuned_interval.low);
        reel_json_number(json, "tuned_f1_high", selected->tuned_interval.high);
        reel_json_begin_array(json, "thresholds");
        for (int32_t k = 0; k < result->metrics.num_labels; k++)
            reel_json_number(json, NULL, selected->thresholds[k]);
        reel_json_end_array(json);
    }
    reel_json_begin_array(json, "epochs");
    for (int i = 0; i < result->count; i++) {
        const RunEpoch *epoch = &result->epochs[i];
        reel_json_begin_object(json, NULL);
        reel_json_number(json, "train_loss", epoch->train_loss);
        reel_json_number(json, "test_f1", epoch->test_f1);
        reel_json_number(json, "test_micro_f1", epoch->test_micro_f1);
        reel_json_number(json, "seconds", epoch->seconds);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    const Metrics *metrics = &result->metrics;
    reel_json_integer(json, "test_examples", metrics->examples);
    reel_json_begin_array(json, "test_counts"); /* of each label: hits, predicted, support */
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        reel_json_integer(json, NULL, metrics->labels[k].hits);
        reel_json_integer(json, NULL, metrics->labels[k].predicted);
        reel_json_integer(json, NULL, metrics->labels[k].support);
    }
    reel_json_end_array(json);
}

static void add_json(NnSnapshot *snapshot, const TrainingState *state, const RunResult *result)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "run", state->run);
    reel_json_integer(&json, "epoch", state->epoch);
    reel_json_integer(&json, "batch", state->batch);
    reel_json_integer(&json, "updates", state->updates);
    reel_json_number(&json, "loss_sum", state->loss_sum);
    reel_json_integer(&json, "seen", state->seen);
    reel_json_integer(&json, "tokens", state->tokens);
    reel_json_number(&json, "seconds", state->seconds);
    reel_json_integer(&json, "loss_form", state->form);
    reel_json_number(&json, "rate", state->rate);
    add_result(&json, result);
    reel_json_end_object(&json);
    const char *bytes = reel_json_finish(&json);
    if (bytes)
        nn_snapshot_bytes(snapshot, TRAINING, bytes, json.size);
    else if (reel_status_is_ok(&snapshot->status))
        snapshot->status = reel_status_no_memory(json.size, TRAINING);
    reel_json_free(&json);
}

void training_state_snapshot(NnSnapshot *snapshot, const TrainingState *state, const RunResult *result,
                             NnOptimizer *optimizer)
{
    add_json(snapshot, state, result);
    nn_snapshot_optimizer(snapshot, optimizer);
}

/* ---- Reading ---- */

/* reel/training.json as it stands there. */
typedef struct Stored {
    char *run;
    TrainingState at;
    RunResult result; /* of it the plain members, and of `selected` */
    double *thresholds;
    RunEpoch *epochs;
    int64_t *counts;
    int num_thresholds, num_epochs, num_counts, loss_form;
} Stored;

static const ReelJsonField epoch_fields[] = {REEL_JSON_FIELD(RunEpoch, train_loss, REEL_JSON_FIELD_NUMBER),
                                             REEL_JSON_FIELD(RunEpoch, test_f1, REEL_JSON_FIELD_NUMBER),
                                             REEL_JSON_FIELD(RunEpoch, test_micro_f1, REEL_JSON_FIELD_NUMBER),
                                             REEL_JSON_FIELD(RunEpoch, seconds, REEL_JSON_FIELD_NUMBER)};
static const ReelJsonShape epoch_shape = REEL_JSON_SHAPE(RunEpoch, epoch_fields);

#define PLAIN(name, member, kind)                                                                            \
    {                                                                                                        \
        name, REEL_JSON_FIELD_##kind, offsetof(Stored, member), 0, NULL                                      \
    }
#define LIST(name, member, shape)                                                                            \
    {                                                                                                        \
        name, REEL_JSON_FIELD_LIST, offsetof(Stored, member), offsetof(Stored, num_##member), shape          \
    }
static const ReelJsonField stored_fields[] = {
    PLAIN("run", run, TEXT),
    PLAIN("epoch", at.epoch, INT),
    PLAIN("batch", at.batch, INTEGER),
    PLAIN("updates", at.updates, INTEGER),
    PLAIN("loss_sum", at.loss_sum, NUMBER),
    PLAIN("seen", at.seen, INTEGER),
    PLAIN("tokens", at.tokens, INTEGER),
    PLAIN("seconds", at.seconds, NUMBER),
    PLAIN("loss_form", loss_form, INT),
    PLAIN("rate", at.rate, NUMBER),
    PLAIN("best_f1", result.best_f1, NUMBER),
    PLAIN("best_epoch", result.best_epoch, INT),
    PLAIN("selected_epoch", result.selected.epoch, INT),
    PLAIN("valid_f1", result.selected.valid_f1, NUMBER),
    PLAIN("threshold", result.selected.threshold, NUMBER),
    PLAIN("tuned_f1", result.selected.tuned_f1, NUMBER),
    PLAIN("tuned_micro_f1", result.selected.tuned_micro_f1, NUMBER),
    PLAIN("tuned_f1_low", result.selected.tuned_interval.low, NUMBER),
    PLAIN("tuned_f1_high", result.selected.tuned_interval.high, NUMBER),
    LIST("thresholds", thresholds, &reel_json_numbers),
    LIST("epochs", epochs, &epoch_shape),
    PLAIN("test_examples", result.metrics.examples, INTEGER),
    LIST("test_counts", counts, &reel_json_integers)};
static const ReelJsonShape stored_shape = REEL_JSON_SHAPE(Stored, stored_fields);

static ReelStatus impossible(const char *path, const char *what, int64_t value, int64_t low, int64_t high)
{
    return reel_status_failed("%s: " TRAINING
                              ": %s is %lld and not from %lld to %lld; go on from another file",
                              path, what, (long long)value, (long long)low, (long long)high);
}

/* Whether the numbers can be, and go together. */
static ReelStatus check_stored(const char *path, const Stored *s, int32_t labels, int most_epochs)
{
    int epochs = s->num_epochs, thresholds = s->result.selected.epoch ? labels : 0;
    const struct {
        const char *what;
        int64_t value, low, high;
    } ranges[] = {{"the number of epochs", epochs, 0, most_epochs},
                  {"epoch", s->at.epoch, epochs + 1, epochs + 1},
                  {"best_epoch", s->result.best_epoch, epochs > 0, epochs},
                  {"selected_epoch", s->result.selected.epoch, 0, epochs},
                  {"batch", s->at.batch, 0, INT32_MAX},
                  {"updates", s->at.updates, 0, INT32_MAX},
                  {"seen", s->at.seen, 0, MOST_COUNTED},
                  {"tokens", s->at.tokens, 0, MOST_COUNTED},
                  {"loss_form", s->loss_form, LOSS_MEAN, LOSS_SUM},
                  {"test_examples", s->result.metrics.examples, 0, MOST_COUNTED},
                  {"the number of thresholds", s->num_thresholds, thresholds, thresholds},
                  {"the number of test_counts", s->num_counts, 3 * (int64_t)labels, 3 * (int64_t)labels}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return impossible(path, ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high);
    if (!(s->at.rate > 0 && s->at.rate <= 1))
        return reel_status_failed("%s: " TRAINING ": rate is %g and not in (0, 1]; go on from another file",
                                  path, s->at.rate);
    for (int i = 0; i < s->num_counts; i++)
        if (s->counts[i] < 0 || s->counts[i] > MOST_COUNTED)
            return impossible(path, "one of test_counts", s->counts[i], 0, MOST_COUNTED);
    return reel_status_ok();
}

static ReelStatus take_result(const Stored *s, RunResult *result)
{
    Metrics *metrics = &result->metrics;
    result->best_f1 = s->result.best_f1;
    result->best_epoch = s->result.best_epoch;
    result->count = s->num_epochs;
    for (int i = 0; i < s->num_epochs; i++) {
        result->epochs[i] = s->epochs[i];
        result->epochs[i].epoch = i + 1;
    }
    metrics->examples = s->result.metrics.examples;
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        const int64_t *counts = s->counts + 3 * (int64_t)k;
        metrics->labels[k] = (LabelCounts){.hits = counts[0], .predicted = counts[1], .support = counts[2]};
    }
    result->selected = s->result.selected;
    ReelStatus status = reel_status_ok();
    if (s->num_thresholds > 0)
        status = selection_reserve(&result->selected, metrics->num_labels);
    for (int i = 0; reel_status_is_ok(&status) && i < s->num_thresholds; i++)
        result->selected.thresholds[i] = s->thresholds[i];
    return status;
}

static ReelStatus read_stored(const TensorNpz *npz, const TensorNpzMember *member, Stored *stored,
                              TensorArena *arena)
{
    const void *text;
    size_t size;
    char label[400];
    ReelStatus status = tensor_npz_read_bytes(npz, member, arena, &text, &size);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(label, sizeof label, "%.300s: " TRAINING, tensor_npz_path(npz));
    return reel_json_read_fields(text, size, label, &stored_shape, stored, arena);
}

ReelStatus training_state_read(const TensorNpz *npz, TrainingState *state, RunResult *result, int most_epochs)
{
    *state = (TrainingState){0};
    const TensorNpzMember *member = tensor_npz_find(npz, TRAINING);
    if (!member)
        return reel_status_failed("%s: has no member " TRAINING "; go on from a file that ends in .last.npz",
                                  tensor_npz_path(npz));
    TensorArena arena;
    Stored stored = {.loss_form = LOSS_MEAN, .at.rate = 1}; /* of what version 0.1.0 wrote */
    tensor_arena_init(&arena, 0);
    ReelStatus status = read_stored(npz, member, &stored, &arena);
    /* Also of a state that cannot be: it may be another run's. */
    snprintf(stored.at.run, sizeof stored.at.run, "%s", stored.run ? stored.run : "");
    *state = stored.at;
    state->form = (LossForm)stored.loss_form;
    if (reel_status_is_ok(&status))
        status = check_stored(tensor_npz_path(npz), &stored, result->metrics.num_labels, most_epochs);
    if (reel_status_is_ok(&status))
        status = take_result(&stored, result);
    tensor_arena_free(&arena);
    return status;
}

void training_state_run(const TensorNpz *npz, char run[RUN_ID_SIZE])
{
    const TensorNpzMember *member = tensor_npz_find(npz, TRAINING);
    TensorArena arena;
    Stored stored = {0};
    tensor_arena_init(&arena, 0);
    if (member)
        read_stored(npz, member, &stored, &arena); /* what comes behind the id need not fit */
    snprintf(run, RUN_ID_SIZE, "%s", stored.run ? stored.run : "");
    tensor_arena_free(&arena);
}

ReelStatus training_state_restore(const TensorNpz *npz, const TrainingState *state, NnOptimizer *optimizer)
{
    ReelStatus status = nn_optimizer_load_from(optimizer, npz);
    if (reel_status_is_ok(&status) && nn_optimizer_steps(optimizer) != state->updates)
        status = reel_status_failed(
            "%s: the optimizer has made %lld updates, and the run %lld; go on from another "
            "file",
            tensor_npz_path(npz), (long long)nn_optimizer_steps(optimizer), (long long)state->updates);
    return status;
}
