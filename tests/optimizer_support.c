#include "tests/optimizer_support.h"

#include <stdio.h>

const char *const trial_parameters[TRIAL_PARAMETERS] = {"a", "b", "e"};

/* What a parameter does in an update. */
enum { NOT_THERE, FROZEN, WITH_GRADIENT, ZERO_GRADIENT };

typedef struct Trial {
    const TensorNpz *npz;
    int number;
    bool f64;
    TensorArena *arena;
    ReelStatus status;
    NnModule base;
    NnParameter a, b; /* [3, 2], [2] */
    NnEmbedding e;    /* [6, 2], padded */
    Tensor parts, ids, gradients[TRIAL_PARAMETERS];
} Trial;

static Tensor member(Trial *t, const char *name)
{
    char path[60];
    Tensor value = tensor_invalid();
    snprintf(path, sizeof path, "%d/%s", t->number, name);
    const TensorNpzMember *found = tensor_npz_find(t->npz, path);
    if (!found && reel_status_is_ok(&t->status))
        t->status = reel_status_failed("%s: has no member %s", tensor_npz_path(t->npz), path);
    if (reel_status_is_ok(&t->status))
        t->status = tensor_npz_read_tensor(t->npz, found, t->arena, &value);
    return value;
}

static Tensor cast(const Trial *t, Tensor value)
{
    return tensor_cast(t->arena, value, t->f64 ? TENSOR_F64 : TENSOR_F32);
}

static NnParameter *parameter_of(Trial *t, int i)
{
    return i == 0 ? &t->a : i == 1 ? &t->b : &t->e.weight;
}

static NnOptimizerOptions options_of(Trial *t)
{
    Tensor given = member(t, "options");
    if (!reel_status_is_ok(&t->status))
        return nn_optimizer_options(NN_SGD);
    const double *o = tensor_f64(given);
    return (NnOptimizerOptions){.kind = (NnOptimizerKind)o[0],
                                .lr = o[1],
                                .momentum = o[2],
                                .beta1 = o[3],
                                .beta2 = o[4],
                                .eps = o[5],
                                .weight_decay = o[6],
                                .clip_norm = o[7],
                                .alpha = o[8],
                                .lr_decay = o[9],
                                .initial_accumulator = o[10]};
}

static void build(Trial *t)
{
    Tensor padding = member(t, "padding");
    nn_module_init(&t->base);
    if (!reel_status_is_ok(&t->status))
        return;
    nn_module_add_parameter(&t->base, &t->a, "a", TENSOR_SHAPE(3, 2), nn_init_constant(0));
    nn_module_add_parameter(&t->base, &t->b, "b", TENSOR_SHAPE(2), nn_init_constant(0));
    nn_embedding_init_padded(&t->e, 6, 2, tensor_i32(padding)[0]);
    nn_module_add(&t->base, &t->e.base, "e");
    t->status = t->f64 ? nn_module_reset_f64(&t->base, 0) : nn_module_reset(&t->base, 0);
    for (int i = 0; i < TRIAL_PARAMETERS && reel_status_is_ok(&t->status); i++) {
        char name[20];
        snprintf(name, sizeof name, "first/%s", trial_parameters[i]);
        Tensor first = member(t, name);
        snprintf(name, sizeof name, "grad/%s", trial_parameters[i]);
        t->gradients[i] = member(t, name);
        if (reel_status_is_ok(&t->status))
            t->status = nn_parameter_write(parameter_of(t, i), first);
    }
    t->parts = member(t, "parts");
    t->ids = member(t, "ids");
}

/* sum of the parameter, or of some rows of the embedding, times their gradients. */
static Var pull(Trial *t, Tape *tape, int64_t step, int i)
{
    Var value = i == 2 ? nn_embedding(&t->e, tape_constant(tape, tensor_select(t->ids, 0, step)))
                       : nn_var(parameter_of(t, i), tape);
    Var gradient = tape_constant(tape, cast(t, tensor_select(t->gradients[i], 0, step)));
    return var_sum(var_mul(value, gradient), TENSOR_AXES_ALL, false);
}

static void update(Trial *t, NnOptimizer *optimizer, Tape *tape, int64_t step)
{
    bool any = false;
    tape_begin(tape);
    Var loss = tape_constant(tape, cast(t, tensor_zeros(t->arena, TENSOR_F32, 0, NULL)));
    for (int i = 0; i < TRIAL_PARAMETERS; i++) {
        int part = tensor_i32(t->parts)[step * TRIAL_PARAMETERS + i];
        parameter_of(t, i)->core.frozen = part == FROZEN;
        if (part == NOT_THERE)
            continue;
        any = any || part != FROZEN;
        loss = var_add(loss, var_scale(pull(t, tape, step, i), part == ZERO_GRADIENT ? 0 : 1, 0));
    }
    if (any && tape_ok(tape))
        tape_backward(loss);
    t->status = nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1));
}

/* With groups: b and e have a rate, in proportion, and a decay of their own. */
static void start(Trial *t, NnOptimizer **optimizer)
{
    enum { GROUPS = TRIAL_PARAMETERS - 1 };
    NnOptimizerOptions options = options_of(t);
    Tensor given = member(t, "groups");
    if (!reel_status_is_ok(&t->status))
        return;
    NnParameter *own[GROUPS] = {parameter_of(t, 1), parameter_of(t, 2)};
    NnParameterGroup groups[GROUPS];
    int count = (int)given.shape[0];
    for (int i = 0; i < count && i < GROUPS; i++) {
        groups[i] = nn_group_of(&own[i], 1, options);
        groups[i].options.lr *= tensor_get(&given, (int64_t[]){i, 0});
        groups[i].options.weight_decay = tensor_get(&given, (int64_t[]){i, 1});
    }
    t->status = nn_optimizer_new_grouped(optimizer, &t->base, options, groups, count);
}

static void run(Trial *t, Tensor results[TRIAL_PARAMETERS])
{
    NnOptimizer *optimizer = NULL;
    Tensor rates = member(t, "rates");
    start(t, &optimizer);
    Tape *tape = tape_new();
    int64_t steps = rates.shape[0];
    for (int i = 0; i < TRIAL_PARAMETERS && reel_status_is_ok(&t->status); i++) {
        Tensor value = parameter_of(t, i)->core.value;
        results[i] =
            tensor_new(t->arena, value.dtype, value.ndim + 1, (const int64_t[]){steps, value.shape[0], 2});
    }
    for (int64_t s = 0; s < steps && reel_status_is_ok(&t->status); s++) {
        nn_optimizer_set_lr(optimizer, tensor_f64(rates)[s]);
        update(t, optimizer, tape, s);
        for (int i = 0; i < TRIAL_PARAMETERS && reel_status_is_ok(&t->status); i++)
            tensor_copy_into(tensor_select(results[i], 0, s),
                             nn_parameter_read(parameter_of(t, i), t->arena));
    }
    tape_free(tape);
    nn_optimizer_free(optimizer);
}

ReelStatus optimizer_trial(const TensorNpz *npz, int trial, bool f64, TensorArena *arena,
                           Tensor results[TRIAL_PARAMETERS])
{
    Trial t = {.npz = npz, .number = trial, .f64 = f64, .arena = arena, .status = reel_status_ok()};
    build(&t);
    if (reel_status_is_ok(&t.status))
        run(&t, results);
    nn_module_free(&t.base);
    return t.status;
}
