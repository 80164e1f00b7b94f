/* An optimizer's state in a file: members reel/optimizer/..., which docs/checkpoints.md lists. */
#include "nn/optimizer_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "reel/optimizer/"

enum { MEMBER_SIZE = NN_NAME_SIZE + 32, SCHEDULE_COLUMNS = 2, MOST_UPDATES = INT32_MAX / 2 };

static const char *kind_name(NnOptimizerKind kind)
{
    return kind == NN_SGD ? "sgd" : kind == NN_ADAM ? "adam" : "adamw";
}

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
    float *columns = mem_alloc(bytes);
    if (!columns) {
        if (status_is_ok(&snapshot->status))
            snapshot->status = status_no_memory(bytes, "the optimizer's schedule");
        return;
    }
    for (int32_t k = 0; k < state->steps; k++) {
        columns[SCHEDULE_COLUMNS * k] = state->schedule[k].step_size;
        columns[SCHEDULE_COLUMNS * k + 1] = state->schedule[k].keep;
    }
    member_name(state, "schedule", name);
    nn_snapshot_tensor(snapshot, name,
                       tensor_from(columns, DTYPE_F32, SHAPE(state->steps, SCHEDULE_COLUMNS)));
    mem_free(columns);
}

static void add_steps(NnSnapshot *snapshot, const NnOptimizer *o)
{
    size_t bytes = (size_t)o->count * sizeof(int32_t);
    int32_t *steps = mem_alloc(bytes);
    if (!steps) {
        if (status_is_ok(&snapshot->status))
            snapshot->status = status_no_memory(bytes, "the optimizer's counts");
        return;
    }
    for (int i = 0; i < o->count; i++)
        steps[i] = o->states[i].steps;
    nn_snapshot_tensor(snapshot, PREFIX "steps", tensor_from(steps, DTYPE_I32, SHAPE(o->count)));
    mem_free(steps);
}

void nn_snapshot_optimizer(NnSnapshot *snapshot, NnOptimizer *o)
{
    char name[MEMBER_SIZE];
    const char *stem;
    nn_snapshot_bytes(snapshot, PREFIX "kind", kind_name(o->options.kind),
                      strlen(kind_name(o->options.kind)));
    nn_snapshot_tensor(snapshot, PREFIX "step", tensor_from(&o->step, DTYPE_I32, SHAPE(1)));
    nn_snapshot_tensor(snapshot, PREFIX "lr", tensor_from(&o->lr, DTYPE_F64, SHAPE(1)));
    add_steps(snapshot, o);
    for (int k = 0; k < o->count; k++) {
        const OptimizerState *state = &o->states[k];
        Status status = nn_parameter_status(state->parameter);
        if (!status_is_ok(&status) && status_is_ok(&snapshot->status))
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

Status nn_optimizer_save(NnOptimizer *o, const char *path)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    nn_snapshot_optimizer(&snapshot, o);
    Status status = nn_snapshot_write(&snapshot, path, (NpzOptions){.level = 1});
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
    const Npz *npz;
    Arena *arena;
    NnOptimizer *optimizer;
    int32_t step;
    double lr;
    Loaded *states;
} Reading;

static Status missing(const Npz *npz, const char *name)
{
    return status_failed("%s: has no member %s; it holds no state of this optimizer", npz_path(npz), name);
}

/* Reads an array of that type and shape. */
static Status read_array(const Reading *r, const char *name, Dtype dtype, int ndim, const int64_t *shape,
                         Tensor *value)
{
    char in_file[SHAPE_TEXT_SIZE], in_model[SHAPE_TEXT_SIZE];
    const NpzMember *member = npz_find(r->npz, name);
    if (!member)
        return missing(r->npz, name);
    Status status = npz_read_tensor(r->npz, member, r->arena, value);
    if (!status_is_ok(&status))
        return status;
    bool same = value->dtype == dtype && value->ndim == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = value->shape[i] == shape[i];
    if (same)
        return status;
    return status_failed("%s: %s is %s %s in the file and %s %s in the model; go on with the same settings",
                         npz_path(r->npz), name, dtype_name(value->dtype), tensor_shape_text(value, in_file),
                         dtype_name(dtype), shape_text(ndim, shape, in_model));
}

static Status check_kind(const Reading *r)
{
    const NpzMember *member = npz_find(r->npz, PREFIX "kind");
    const char *own = kind_name(r->optimizer->options.kind);
    const void *text;
    size_t size;
    if (!member) /* before version 0.2 */
        return status_ok();
    Status status = npz_read_bytes(r->npz, member, r->arena, &text, &size);
    if (status_is_ok(&status) && (size != strlen(own) || memcmp(text, own, size) != 0))
        status = status_failed("%s: the optimizer's state is of %.*s and not of %s", npz_path(r->npz),
                               size < 20 ? (int)size : 20, (const char *)text, own);
    return status;
}

static Status check_count(const Reading *r, const char *what, int64_t count, int64_t most)
{
    if (count >= 0 && count <= most)
        return status_ok();
    return status_failed("%s: " PREFIX "%s is %lld and not from 0 to %lld; go on from another file",
                         npz_path(r->npz), what, (long long)count, (long long)most);
}

/* How often each parameter was updated; before version 0.2 that was counted for all at once. */
static Status read_counts(Reading *r)
{
    NnOptimizer *o = r->optimizer;
    Tensor value;
    Status status = read_array(r, PREFIX "step", DTYPE_I32, SHAPE(1), &value);
    if (status_is_ok(&status)) {
        r->step = tensor_i32(value)[0];
        status = check_count(r, "step", r->step, MOST_UPDATES);
    }
    r->lr = o->lr;
    if (status_is_ok(&status) && npz_find(r->npz, PREFIX "lr")) {
        status = read_array(r, PREFIX "lr", DTYPE_F64, SHAPE(1), &value);
        r->lr = status_is_ok(&status) ? tensor_f64(value)[0] : o->lr;
    }
    bool counted = npz_find(r->npz, PREFIX "steps");
    if (status_is_ok(&status) && counted)
        status = read_array(r, PREFIX "steps", DTYPE_I32, SHAPE(o->count), &value);
    for (int i = 0; i < o->count && status_is_ok(&status); i++) {
        r->states[i].steps = counted ? tensor_i32(value)[i] : r->step;
        status = check_count(r, "steps", r->states[i].steps, r->step);
    }
    return status;
}

/* A row's last gradient lies at no later update than the parameter's last one. The optimizer takes both for
 * indices into its schedule. */
static Status check_last(const Reading *r, const char *name, const Loaded *state)
{
    Tensor last = state->arrays[2];
    for (int64_t i = 0; i < last.shape[0]; i++)
        if (tensor_i32(last)[i] < 0 || tensor_i32(last)[i] > state->steps)
            return status_failed("%s: %s: row %lld is at update %d of %d; go on from another file",
                                 npz_path(r->npz), name, (long long)i, tensor_i32(last)[i], state->steps);
    return status_ok();
}

/* Before version 0.2 there was one schedule for all, in words of 32 bits: beta1 and beta2 as double, then
 * step_size, eps, keep, and one without meaning. */
enum { OLD_WORDS = 8, OLD_STEP_SIZE = 4, OLD_KEEP = 6 };

/* The schedule has a row for each update: how many there were is believed, and room made for them, only where
 * the file has as many. */
static Status read_schedule(const Reading *r, const OptimizerState *state, Loaded *loaded)
{
    char name[MEMBER_SIZE];
    member_name(state, "schedule", name);
    bool is_old = !npz_find(r->npz, name) && npz_find(r->npz, PREFIX "schedule");
    if (is_old)
        snprintf(name, sizeof name, PREFIX "schedule");
    const NpzMember *member = npz_find(r->npz, name);
    if (!member || !member->is_array || member->array.ndim != 2 || member->array.shape[0] != loaded->steps)
        return status_failed("%s: %s does not have a row for each of %d updates; go on from another file",
                             npz_path(r->npz), name, loaded->steps);
    return read_array(r, name, is_old ? DTYPE_I32 : DTYPE_F32,
                      SHAPE(loaded->steps, is_old ? OLD_WORDS : SCHEDULE_COLUMNS), &loaded->schedule);
}

static Status read_state(const Reading *r, const OptimizerState *state, Loaded *loaded)
{
    char name[MEMBER_SIZE];
    const char *stem;
    Status status = status_ok();
    for (int i = 0; i < ARRAYS && status_is_ok(&status); i++) {
        Tensor own = array_of(state, i, &stem);
        member_name(state, stem, name);
        if (tensor_is_valid(own))
            status = read_array(r, name, own.dtype, own.ndim, own.shape, &loaded->arrays[i]);
        else if (i == 2 && tensor_is_valid(state->v) && npz_find(r->npz, name))
            status = status_failed("%s: %s: the rows are updated late in the file, and here with all others; "
                                   "make the optimizer as it was",
                                   npz_path(r->npz), name);
        if (i == 2 && status_is_ok(&status) && tensor_is_valid(own))
            status = check_last(r, name, loaded);
    }
    if (status_is_ok(&status) && is_late(state))
        status = read_schedule(r, state, loaded);
    return status;
}

static Status read_all(Reading *r)
{
    NnOptimizer *o = r->optimizer;
    Status status = check_kind(r);
    r->states = arena_calloc(r->arena, (size_t)o->count * sizeof *r->states);
    if (!r->states)
        return status_no_memory((size_t)o->count * sizeof *r->states, "the optimizer's state");
    if (status_is_ok(&status))
        status = read_counts(r);
    for (int i = 0; i < o->count && status_is_ok(&status); i++)
        status = read_state(r, &o->states[i], &r->states[i]);
    for (int i = 0; i < o->count && status_is_ok(&status); i++)
        if (is_late(&o->states[i]) && !late_rows_reserve(&o->states[i], r->states[i].steps))
            status = status_no_memory((size_t)r->states[i].steps * sizeof(AdamStep), "the schedule");
    return status;
}

/* eps comes from the options; the other two from the file, as they were. */
static void take_schedule(OptimizerState *state, Tensor schedule)
{
    bool is_old = schedule.dtype == DTYPE_I32;
    state->rise = 0;
    for (int32_t k = 0; k < state->steps; k++) {
        AdamStep step = adam_step(&state->optimizer->options, 0, k + 1);
        const float *row = is_old ? NULL : tensor_f32(schedule) + (int64_t)SCHEDULE_COLUMNS * k;
        const int32_t *words = is_old ? tensor_i32(schedule) + (int64_t)OLD_WORDS * k : NULL;
        memcpy(&step.step_size, is_old ? (const void *)(words + OLD_STEP_SIZE) : row, sizeof(float));
        memcpy(&step.keep, is_old ? (const void *)(words + OLD_KEEP) : row + 1, sizeof(float));
        adam_schedule(state, k + 1, step);
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
    late_rows_loaded(state);
}

Status nn_optimizer_load_from(NnOptimizer *o, const Npz *npz)
{
    Arena arena;
    arena_init(&arena, 0);
    Reading r = {.npz = npz, .arena = &arena, .optimizer = o};
    Status status = read_all(&r);
    if (status_is_ok(&status)) {
        o->step = r.step;
        o->lr = r.lr;
        for (int i = 0; i < o->count; i++)
            take_state(&o->states[i], &r.states[i]);
    }
    arena_free(&arena);
    return status;
}

Status nn_optimizer_load(NnOptimizer *o, const char *path)
{
    Npz *npz;
    Status status = npz_open(&npz, path);
    if (status_is_ok(&status))
        status = nn_optimizer_load_from(o, npz);
    npz_close(npz);
    return status;
}
