#include "models/training/training_state.h"

#include "models/training/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRAINING "reel/training.json"

/* More than any run counts; sums of such numbers do not overflow. */
#define MOST_COUNTED ((int64_t)1 << 40)

/* reel/training.json as it stands there. */
typedef struct Stored {
    const char *run;
    ModelTrainingState at;
    ModelRunResult result;
    double *thresholds;
    double *calibration; /* all rows, or in versions before the first two */
    int64_t *counts;     /* of each label: hits, predicted, support */
    int num_thresholds, num_calibration, num_counts;
} Stored;

/* clang-format off */
REEL_JSON_TABLE(chosen_shape, Stored,
    REEL_JSON_LIST(Stored, thresholds, num_thresholds, &reel_json_numbers),
    REEL_JSON_LIST(Stored, calibration, num_calibration, &reel_json_numbers));

REEL_JSON_TABLE(stored_shape, Stored,
    REEL_JSON_NAMED(Stored, "run",       run,         TEXT), /* the first: the rest of another run's need not fit */
    REEL_JSON_NAMED(Stored, "epoch",     at.epoch,    INT),
    REEL_JSON_NAMED(Stored, "batch",     at.batch,    INTEGER),
    REEL_JSON_NAMED(Stored, "updates",   at.updates,  INTEGER),
    REEL_JSON_NAMED(Stored, "loss_sum",  at.loss_sum, NUMBER),
    REEL_JSON_NAMED(Stored, "seen",      at.seen,     INTEGER),
    REEL_JSON_NAMED(Stored, "tokens",    at.tokens,   INTEGER),
    REEL_JSON_NAMED(Stored, "loss_form", result.form, INT),
    REEL_JSON_PART(Stored,  NULL,        result,      REEL_JSON_ALWAYS, &model_run_shape),
    {NULL, REEL_JSON_FIELD_PART, 0, offsetof(Stored, num_thresholds), &chosen_shape},
    REEL_JSON_NAMED(Stored, "test_examples", result.metrics.examples, INTEGER),
    REEL_JSON_NAMED(Stored, "test_exact",    result.metrics.exact,    INTEGER),
    {"test_counts", REEL_JSON_FIELD_LIST, offsetof(Stored, counts), offsetof(Stored, num_counts), &reel_json_integers});
/* clang-format on */

/* ---- Writing ---- */

void model_training_state_snapshot(NnSnapshot *snapshot, const ModelTrainingState *state,
                                   const ModelRunResult *result, NnOptimizer *optimizer)
{
    ReelJsonWriter json = {0};
    int labels = result->metrics.num_labels;
    Stored stored = {.run = state->run,
                     .at = *state,
                     .result = *result,
                     .thresholds = result->selected.thresholds,
                     .num_thresholds = result->selected.epoch ? labels : 0,
                     .calibration = result->selected.calibration,
                     .num_calibration = result->selected.epoch ? MODEL_CALIBRATION_ROWS * labels : 0,
                     .counts = (int64_t *)result->metrics.labels,
                     .num_counts = 3 * labels};
    _Static_assert(sizeof(ModelLabelCounts) == 3 * sizeof(int64_t), "counts are written as numbers in a row");
    reel_json_write_fields(&json, NULL, &stored_shape, &stored);
    nn_snapshot_json(snapshot, TRAINING, &json);
    nn_snapshot_optimizer(snapshot, optimizer);
}

/* ---- Reading ---- */

static ReelStatus impossible(const char *path, const char *what, int64_t value, int64_t low, int64_t high)
{
    return reel_status_failed("%s: " TRAINING
                              ": %s is %lld and not from %lld to %lld; go on from another file",
                              path, what, (long long)value, (long long)low, (long long)high);
}

/* Whether the numbers can be, and go together. */
static ReelStatus check_stored(const char *path, const Stored *s, int32_t labels, int most_epochs)
{
    int epochs = s->result.count, thresholds = s->result.selected.epoch ? labels : 0;
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
                  {"loss_form", s->result.form, MODEL_LOSS_MEAN, MODEL_LOSS_SUM},
                  {"test_examples", s->result.metrics.examples, 0, MOST_COUNTED},
                  {"test_exact", s->result.metrics.exact, 0, s->result.metrics.examples},
                  {"the number of thresholds", s->num_thresholds, thresholds, thresholds},
                  {"the number of test_counts", s->num_counts, 3 * (int64_t)labels, 3 * (int64_t)labels}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return impossible(path, ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high);
    if (!(s->result.rate > 0 && s->result.rate <= 1))
        return reel_status_failed("%s: " TRAINING ": rate is %g and not in (0, 1]; go on from another file",
                                  path, s->result.rate);
    int64_t most = MODEL_CALIBRATION_ROWS * (int64_t)thresholds;
    if (s->num_calibration != 0 && s->num_calibration != 2 * thresholds && s->num_calibration != most)
        return impossible(path, "the number of the calibration's numbers", s->num_calibration, 0, most);
    for (int i = 0; i < s->num_counts; i++)
        if (s->counts[i] < 0 || s->counts[i] > MOST_COUNTED)
            return impossible(path, "one of test_counts", s->counts[i], 0, MOST_COUNTED);
    return reel_status_ok();
}

/* What is read becomes the result, in whose memory the lists go. */
static ReelStatus take_result(const Stored *s, ModelRunResult *result)
{
    ModelRunResult taken = s->result;
    int32_t labels = taken.metrics.num_labels;
    memcpy(taken.metrics.labels, s->counts, (size_t)labels * sizeof *taken.metrics.labels);
    taken.epochs = result->epochs;
    taken.interrupted = false;
    if (isnan(taken.selected.tuned.valid_score))
        taken.selected.tuned.valid_score = taken.selected.tuned.valid_f1;
    for (int i = 0; i < taken.count; i++) {
        taken.epochs[i] = s->result.epochs[i];
        taken.epochs[i].epoch = i + 1;
        taken.last_f1 = taken.epochs[i].test_f1;
        taken.last_micro_f1 = taken.epochs[i].test_micro_f1;
        taken.last_accuracy = taken.epochs[i].test_accuracy;
    }
    *result = taken;
    if (s->num_thresholds == 0)
        return reel_status_ok();
    ReelStatus status = model_selection_reserve(&result->selected, labels);
    if (reel_status_is_ok(&status))
        memcpy(result->selected.thresholds, s->thresholds, (size_t)labels * sizeof *s->thresholds);
    if (reel_status_is_ok(&status) && s->num_calibration > 0)
        memcpy(result->selected.calibration, s->calibration,
               (size_t)s->num_calibration * sizeof *s->calibration);
    if (reel_status_is_ok(&status) && !model_calibration_is_sound(result->selected.calibration, labels))
        return reel_status_failed(TRAINING
                                  ": the calibration has a slope that is not above 0, or a number that "
                                  "is not finite; go on from another file");
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

ReelStatus model_training_state_read(const TensorNpz *npz, ModelTrainingState *state, ModelRunResult *result,
                                     int most_epochs)
{
    *state = (ModelTrainingState){0};
    const TensorNpzMember *member = tensor_npz_find(npz, TRAINING);
    if (!member)
        return reel_status_failed("%s: has no member " TRAINING "; go on from a file that ends in .last.npz",
                                  tensor_npz_path(npz));
    TensorArena arena;
    Stored stored = {.result = *result};
    stored.result.form = MODEL_LOSS_MEAN; /* of what version 0.1.0 wrote */
    stored.result.rate = 1;
    stored.result.selected.tuned.valid_score = NAN; /* where macro F1 alone decided */
    stored.result.epochs = NULL;
    stored.result.count = 0;
    tensor_arena_init(&arena, 0);
    ReelStatus status = read_stored(npz, member, &stored, &arena);
    /* Also of a state that cannot be: it may be another run's. */
    snprintf(stored.at.run, sizeof stored.at.run, "%s", stored.run ? stored.run : "");
    *state = stored.at;
    if (reel_status_is_ok(&status))
        status = check_stored(tensor_npz_path(npz), &stored, result->metrics.num_labels, most_epochs);
    if (reel_status_is_ok(&status))
        status = take_result(&stored, result);
    tensor_arena_free(&arena);
    return status;
}

void model_training_state_run(const TensorNpz *npz, char run[MODEL_RUN_ID_SIZE])
{
    const TensorNpzMember *member = tensor_npz_find(npz, TRAINING);
    TensorArena arena;
    Stored stored = {0};
    tensor_arena_init(&arena, 0);
    if (member)
        read_stored(npz, member, &stored, &arena); /* what comes behind the id need not fit */
    snprintf(run, MODEL_RUN_ID_SIZE, "%s", stored.run ? stored.run : "");
    tensor_arena_free(&arena);
}

ReelStatus model_training_state_restore(const TensorNpz *npz, const ModelTrainingState *state,
                                        NnOptimizer *optimizer)
{
    ReelStatus status = nn_optimizer_load_from(optimizer, npz);
    if (reel_status_is_ok(&status) && nn_optimizer_steps(optimizer) != state->updates)
        status = reel_status_failed(
            "%s: the optimizer has made %lld updates, and the run %lld; go on from another "
            "file",
            tensor_npz_path(npz), (long long)nn_optimizer_steps(optimizer), (long long)state->updates);
    return status;
}
