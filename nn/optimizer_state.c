/* An optimizer's state in a file: members reel/optimizer/..., which docs/checkpoints.md lists. */
#include "nn/optimizer_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "reel/optimizer/"

enum { MEMBER_SIZE = NN_NAME_SIZE + 32, SCHEDULE_COLUMNS = 2, MOST_UPDATES = INT32_MAX / 2 };

/* The arrays of a parameter: its moments, and where rows are late, when each had its last gradient and what
 * it was then. The rows under the parameter's own name are up to date, which they are made at the cost of
 * rounding: from those nothing could go on exactly. */
enum { ARRAYS = 4 };
static Tensor array_of(const OptimizerState *state, int i, const char **stem)
{
    static const char *const stems[ARRAYS] = {"m", "v", "last", "w"};
    *stem = stems[i];
    switch (i) {
    case 0:
        return state->m;
    case 1:
        return state->v;
    case 2:
        return state->last;
    default:
        return is_late(state) ? state->parameter->core.value : tensor_invalid();
    }
}

static void member_name(const OptimizerState *state, const char *stem, char *name)
{
    char path[NN_NAME_SIZE];
    nn_parameter_name(state->optimizer->module, state->parameter, path);
    snprintf(name, MEMBER_SIZE, PREFIX "%s/%s", stem, path);
}

/* ---- Writing ---- */

/* [steps, 2]: step_size and keep of each update. */
static void add_schedule(NnSnapshot *snapshot, const OptimizerState *state)
{
    char name[MEMBER_SIZE];
    size_t bytes = (size_t)state->steps * SCHEDULE_COLUMNS * sizeof(float);
    float *columns = reel_mem_alloc(bytes);
    if (!columns) {
        if (reel_status_is_ok(&snapshot->status))
            snapshot->status = reel_status_no_memory(bytes, "the optimizer's schedule");
        return;
    }
    for (int32_t k = 0; k < state->steps; k++) {
        columns[SCHEDULE_COLUMNS * k] = state->schedule[k].step_size;
        columns[SCHEDULE_COLUMNS * k + 1] = state->schedule[k].keep;
    }
    member_name(state, "schedule", name);
    nn_snapshot_tensor(snapshot, name,
                       tensor_from(columns, TENSOR_F32, TENSOR_SHAPE(state->steps, SCHEDULE_COLUMNS)));
    reel_mem_free(columns);
}

/* Of each group, that of all other parameters first. */
static void add_rates(NnSnapshot *snapshot, const NnOptimizer *o)
{
    size_t bytes = (size_t)o->group_count * sizeof(double);
    double *rates = reel_mem_alloc(bytes);
    if (!rates) {
        if (reel_status_is_ok(&snapshot->status))
            snapshot->status = reel_status_no_memory(bytes, "the optimizer's rates");
        return;
    }
    for (int i = 0; i < o->group_count; i++)
        rates[i] = o->groups[i].lr;
    nn_snapshot_tensor(snapshot, PREFIX "lr", tensor_from(rates, TENSOR_F64, TENSOR_SHAPE(o->group_count)));
    reel_mem_free(rates);
}

static void add_steps(NnSnapshot *snapshot, const NnOptimizer *o)
{
    size_t bytes = (size_t)o->count * sizeof(int32_t);
    int32_t *steps = reel_mem_alloc(bytes);
    if (!steps) {
        if (reel_status_is_ok(&snapshot->status))
            snapshot->status = reel_status_no_memory(bytes, "the optimizer's counts");
        return;
    }
    for (int i = 0; i < o->count; i++)
        steps[i] = o->states[i].steps;
    nn_snapshot_tensor(snapshot, PREFIX "steps", tensor_from(steps, TENSOR_I32, TENSOR_SHAPE(o->count)));
    reel_mem_free(steps);
}

void nn_snapshot_optimizer(NnSnapshot *snapshot, NnOptimizer *o)
{
    char name[MEMBER_SIZE];
    const char *stem;
    const char *kind = nn_optimizer_kind_name(o->groups[0].options.kind);
    nn_snapshot_bytes(snapshot, PREFIX "kind", kind, strlen(kind));
    nn_snapshot_tensor(snapshot, PREFIX "step", tensor_from(&o->step, TENSOR_I32, TENSOR_SHAPE(1)));
    add_rates(snapshot, o);
    add_steps(snapshot, o);
    for (int k = 0; k < o->count; k++) {
        const OptimizerState *state = &o->states[k];
        ReelStatus status = nn_parameter_status(state->parameter);
        if (!reel_status_is_ok(&status) && reel_status_is_ok(&snapshot->status))
            snapshot->status = status;
        for (int i = 0; i < ARRAYS; i++) {
            Tensor array = array_of(state, i, &stem);
            if (!tensor_is_valid(array))
                continue;
            member_name(state, stem, name);
            nn_snapshot_tensor(snapshot, name, array);
        }
        if (is_late(state))
            add_schedule(snapshot, state);
    }
}

ReelStatus nn_optimizer_save(NnOptimizer *o, const char *path)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    nn_snapshot_optimizer(&snapshot, o);
    ReelStatus status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 1});
    nn_snapshot_free(&snapshot);
    return status;
}

/* ---- Reading: all of it is looked at before anything changes ---- */

typedef struct Loaded {
    int32_t steps;
    Tensor arrays[ARRAYS];
    Tensor schedule; /* f32 [steps, 2], or i32 [steps, 8]: OLD_WORDS */
} Loaded;

typedef struct Reading {
    const TensorNpz *npz;
    TensorArena *arena;
    NnOptimizer *optimizer;
    int32_t step;
    Tensor rates; /* f64 [groups]; invalid: the file has none */
    Loaded *states;
} Reading;

static ReelStatus missing(const TensorNpz *npz, const char *name)
{
    return reel_status_failed("%s: has no member %s; it holds no state of this optimizer",
                              tensor_npz_path(npz), name);
}

/* Reads an array of that type and shape. */
static ReelStatus read_array(const Reading *r, const char *name, TensorDtype dtype, int ndim,
                             const int64_t *shape, Tensor *value)
{
    char in_file[TENSOR_SHAPE_TEXT_SIZE], in_model[TENSOR_SHAPE_TEXT_SIZE];
    const TensorNpzMember *member = tensor_npz_find(r->npz, name);
    if (!member)
        return missing(r->npz, name);
    ReelStatus status = tensor_npz_read_tensor(r->npz, member, r->arena, value);
    if (!reel_status_is_ok(&status))
        return status;
    bool same = value->dtype == dtype && value->ndim == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = value->shape[i] == shape[i];
    if (same)
        return status;
    return reel_status_failed(
        "%s: %s is %s %s in the file and %s %s in the model; go on with the same settings",
        tensor_npz_path(r->npz), name, tensor_dtype_name(value->dtype), tensor_shape_text(value, in_file),
        tensor_dtype_name(dtype), tensor_dims_text(ndim, shape, in_model));
}

static ReelStatus check_kind(const Reading *r)
{
    const TensorNpzMember *member = tensor_npz_find(r->npz, PREFIX "kind");
    const char *own = nn_optimizer_kind_name(r->optimizer->groups[0].options.kind);
    const void *text;
    size_t size;
    if (!member) /* before version 0.2 */
        return reel_status_ok();
    ReelStatus status = tensor_npz_read_bytes(r->npz, member, r->arena, &text, &size);
    if (reel_status_is_ok(&status) && (size != strlen(own) || memcmp(text, own, size) != 0))
        status =
            reel_status_failed("%s: the optimizer's state is of %.*s and not of %s", tensor_npz_path(r->npz),
                               size < 20 ? (int)size : 20, (const char *)text, own);
    return status;
}

static ReelStatus check_count(const Reading *r, const char *what, int64_t count, int64_t most)
{
    if (count >= 0 && count <= most)
        return reel_status_ok();
    return reel_status_failed("%s: " PREFIX "%s is %lld and not from 0 to %lld; go on from another file",
                              tensor_npz_path(r->npz), what, (long long)count, (long long)most);
}

/* How often each parameter was updated; before version 0.2 that was counted for all at once. */
static ReelStatus read_counts(Reading *r)
{
    NnOptimizer *o = r->optimizer;
    Tensor value;
    ReelStatus status = read_array(r, PREFIX "step", TENSOR_I32, TENSOR_SHAPE(1), &value);
    if (reel_status_is_ok(&status)) {
        r->step = tensor_i32(value)[0];
        status = check_count(r, "step", r->step, MOST_UPDATES);
    }
    if (reel_status_is_ok(&status) && tensor_npz_find(r->npz, PREFIX "lr"))
        status = read_array(r, PREFIX "lr", TENSOR_F64, TENSOR_SHAPE(o->group_count), &r->rates);
    bool counted = tensor_npz_find(r->npz, PREFIX "steps");
    if (reel_status_is_ok(&status) && counted)
        status = read_array(r, PREFIX "steps", TENSOR_I32, TENSOR_SHAPE(o->count), &value);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++) {
        r->states[i].steps = counted ? tensor_i32(value)[i] : r->step;
        status = check_count(r, "steps", r->states[i].steps, r->step);
    }
    return status;
}

/* A row's last gradient lies at no later update than the parameter's last one. The optimizer takes both for
 * indices into its schedule. */
static ReelStatus check_last(const Reading *r, const char *name, const Loaded *state)
{
    Tensor last = state->arrays[2];
    for (int64_t i = 0; i < last.shape[0]; i++)
        if (tensor_i32(last)[i] < 0 || tensor_i32(last)[i] > state->steps)
            return reel_status_failed("%s: %s: row %lld is at update %d of %d; go on from another file",
                                      tensor_npz_path(r->npz), name, (long long)i, tensor_i32(last)[i],
                                      state->steps);
    return reel_status_ok();
}

/* Before version 0.2 there was one schedule for all, in words of 32 bits: beta1 and beta2 as double, then
 * step_size, eps, keep, and one without meaning. */
enum { OLD_WORDS = 8, OLD_STEP_SIZE = 4, OLD_KEEP = 6 };

/* The schedule has a row for each update: how many there were is believed, and room made for them, only where
 * the file has as many. */
static ReelStatus read_schedule(const Reading *r, const OptimizerState *state, Loaded *loaded)
{
    char name[MEMBER_SIZE];
    member_name(state, "schedule", name);
    bool is_old = !tensor_npz_find(r->npz, name) && tensor_npz_find(r->npz, PREFIX "schedule");
    if (is_old)
        snprintf(name, sizeof name, PREFIX "schedule");
    const TensorNpzMember *member = tensor_npz_find(r->npz, name);
    if (!member || !member->is_array || member->array.ndim != 2 || member->array.shape[0] != loaded->steps)
        return reel_status_failed(
            "%s: %s does not have a row for each of %d updates; go on from another file",
            tensor_npz_path(r->npz), name, loaded->steps);
    return read_array(r, name, is_old ? TENSOR_I32 : TENSOR_F32,
                      TENSOR_SHAPE(loaded->steps, is_old ? OLD_WORDS : SCHEDULE_COLUMNS), &loaded->schedule);
}

static ReelStatus read_state(const Reading *r, const OptimizerState *state, Loaded *loaded)
{
    char name[MEMBER_SIZE];
    const char *stem;
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < ARRAYS && reel_status_is_ok(&status); i++) {
        Tensor own = array_of(state, i, &stem);
        member_name(state, stem, name);
        if (tensor_is_valid(own))
            status = read_array(r, name, own.dtype, own.ndim, own.shape, &loaded->arrays[i]);
        else if (i == 2 && tensor_is_valid(state->v) && tensor_npz_find(r->npz, name))
            status =
                reel_status_failed("%s: %s: the rows are updated late in the file, and here with all others; "
                                   "make the optimizer as it was",
                                   tensor_npz_path(r->npz), name);
        if (i == 2 && reel_status_is_ok(&status) && tensor_is_valid(own))
            status = check_last(r, name, loaded);
    }
    if (reel_status_is_ok(&status) && is_late(state))
        status = read_schedule(r, state, loaded);
    return status;
}

static ReelStatus read_all(Reading *r)
{
    NnOptimizer *o = r->optimizer;
    ReelStatus status = check_kind(r);
    r->states = tensor_arena_calloc(r->arena, (size_t)o->count * sizeof *r->states);
    if (!r->states)
        return reel_status_no_memory((size_t)o->count * sizeof *r->states, "the optimizer's state");
    if (reel_status_is_ok(&status))
        status = read_counts(r);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++)
        status = read_state(r, &o->states[i], &r->states[i]);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++)
        if (is_late(&o->states[i]) && !nn_late_rows_reserve(&o->states[i], r->states[i].steps))
            status = reel_status_no_memory((size_t)r->states[i].steps * sizeof(AdamStep), "the schedule");
    return status;
}

/* eps comes from the options; the other two from the file, as they were. */
static void take_schedule(OptimizerState *state, Tensor schedule)
{
    bool is_old = schedule.dtype == TENSOR_I32;
    state->rise = 0;
    for (int32_t k = 0; k < state->steps; k++) {
        AdamStep step = nn_adam_step(&state->group->options, 0, k + 1);
        const float *row = is_old ? NULL : tensor_f32(schedule) + (int64_t)SCHEDULE_COLUMNS * k;
        const int32_t *words = is_old ? tensor_i32(schedule) + (int64_t)OLD_WORDS * k : NULL;
        memcpy(&step.step_size, is_old ? (const void *)(words + OLD_STEP_SIZE) : row, sizeof(float));
        memcpy(&step.keep, is_old ? (const void *)(words + OLD_KEEP) : row + 1, sizeof(float));
        nn_adam_schedule(state, k + 1, step);
    }
}

static void take_state(OptimizerState *state, const Loaded *loaded)
{
    const char *stem;
    state->steps = loaded->steps;
    for (int i = 0; i < ARRAYS; i++)
        if (tensor_is_valid(loaded->arrays[i]))
            tensor_copy_into(array_of(state, i, &stem), loaded->arrays[i]);
    if (!is_late(state))
        return;
    take_schedule(state, loaded->schedule);
    nn_late_rows_loaded(state);
}

ReelStatus nn_optimizer_load_from(NnOptimizer *o, const TensorNpz *npz)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Reading r = {.npz = npz, .arena = &arena, .optimizer = o};
    ReelStatus status = read_all(&r);
    if (reel_status_is_ok(&status)) {
        o->step = r.step;
        for (int i = 0; i < o->group_count && tensor_is_valid(r.rates); i++)
            o->groups[i].lr = tensor_f64(r.rates)[i];
        for (int i = 0; i < o->count; i++)
            take_state(&o->states[i], &r.states[i]);
    }
    tensor_arena_free(&arena);
    return status;
}

ReelStatus nn_optimizer_load(NnOptimizer *o, const char *path)
{
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, path);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_load_from(o, npz);
    tensor_npz_close(npz);
    return status;
}
