/* An optimizer's options: defaults, ranges, and which parameters have which. */
#include "nn/optimizer_internal.h"

#include <math.h>
#include <stdio.h>

enum { KINDS = NN_ADAGRAD + 1 };

/* With PyTorch's defaults. */
static const struct {
    const char *name;
    const UpdateRule *rule;
    double lr, eps, weight_decay;
} kinds[KINDS] = {[NN_SGD] = {"sgd", &nn_sgd_rule, 1e-3, 1e-8, 0},
                  [NN_ADAM] = {"adam", &nn_adam_rule, 1e-3, 1e-8, 0},
                  [NN_ADAMW] = {"adamw", &nn_adam_rule, 1e-3, 1e-8, 0.01},
                  [NN_RMSPROP] = {"rmsprop", &nn_rmsprop_rule, 1e-2, 1e-8, 0},
                  [NN_ADAGRAD] = {"adagrad", &nn_adagrad_rule, 1e-2, 1e-10, 0}};

static bool is_kind(NnOptimizerKind kind)
{
    return (unsigned)kind < KINDS;
}

NnOptimizerOptions nn_optimizer_options(NnOptimizerKind kind)
{
    NnOptimizerOptions options = {.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .alpha = 0.99};
    if (!is_kind(kind))
        return options;
    options.lr = kinds[kind].lr;
    options.eps = kinds[kind].eps;
    options.weight_decay = kinds[kind].weight_decay;
    return options;
}

const char *nn_optimizer_kind_name(NnOptimizerKind kind)
{
    return is_kind(kind) ? kinds[kind].name : NULL;
}

/* ---- Ranges ---- */

/* `whose`: "optimizer", or "optimizer, group 0". */
static ReelStatus check_options(const char *whose, const NnOptimizerOptions *options)
{
    const struct {
        const char *name;
        double value;
        bool is_share; /* below 1 */
    } numbers[] = {{"lr", options->lr, false},
                   {"momentum", options->momentum, true},
                   {"beta1", options->beta1, true},
                   {"beta2", options->beta2, true},
                   {"eps", options->eps, false},
                   {"weight_decay", options->weight_decay, false},
                   {"alpha", options->alpha, true},
                   {"lr_decay", options->lr_decay, false},
                   {"initial_accumulator", options->initial_accumulator, false}};
    if (!is_kind(options->kind))
        return reel_status_usage("%s: there is no kind number %d", whose, (int)options->kind);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value = numbers[i].value;
        if (!(value >= 0) || !isfinite(value) || (numbers[i].is_share && value >= 1))
            return reel_status_usage("%s: %s is %g and must be %s", whose, numbers[i].name, value,
                                     numbers[i].is_share ? "in [0, 1)" : "finite and at least 0");
    }
    if (!(options->clip_norm >= 0))
        return reel_status_usage("%s: clip_norm is %g and must be at least 0; 0 is off", whose,
                                 options->clip_norm);
    return reel_status_ok();
}

/* ---- Groups ---- */

NnParameterGroup nn_group_of(NnParameter *const *parameters, int count, NnOptimizerOptions options)
{
    return (NnParameterGroup){.options = options, .parameters = parameters, .count = count};
}

NnParameterGroup nn_group_where(bool (*holds)(const NnParameter *parameter, void *context), void *context,
                                NnOptimizerOptions options)
{
    return (NnParameterGroup){.options = options, .holds = holds, .context = context};
}

bool nn_parameter_is_vector(const NnParameter *parameter, void *unused)
{
    (void)unused;
    return parameter->ndim <= 1;
}

static ReelStatus check_group(const NnOptimizerOptions *base, const NnOptimizerOptions *own, int number)
{
    char whose[40];
    snprintf(whose, sizeof whose, "optimizer, group %d", number);
    ReelStatus status = check_options(whose, own);
    if (!reel_status_is_ok(&status))
        return status;
    if (own->kind != base->kind)
        return reel_status_usage("%s: its kind is %s and the optimizer's %s; make an optimizer for each kind",
                                 whose, kinds[own->kind].name, kinds[base->kind].name);
    if (own->clip_norm != 0 && own->clip_norm != base->clip_norm)
        return reel_status_usage("%s: clip_norm is %g and the optimizer's %g; there is one norm over all",
                                 whose, own->clip_norm, base->clip_norm);
    if (base->lr == 0 && own->lr != 0)
        return reel_status_usage("%s: lr is %g in proportion to the optimizer's, which is 0", whose, own->lr);
    return status;
}

static ReelStatus put_in_group(OptimizerState *state, int number)
{
    const OptimizerGroup *groups = state->optimizer->groups;
    char path[NN_NAME_SIZE];
    if (state->group == groups) {
        state->group = &groups[number + 1];
        return reel_status_ok();
    }
    nn_parameter_path(state->parameter, path);
    return reel_status_usage("optimizer: parameter %s is in group %d and in group %d", path,
                             (int)(state->group - groups) - 1, number);
}

static ReelStatus put_listed(NnOptimizer *o, const NnParameter *parameter, int number)
{
    const NnParameter *itself = nn_parameter_itself(parameter);
    for (int i = 0; i < o->count; i++)
        if (o->states[i].parameter == itself)
            return put_in_group(&o->states[i], number);
    char path[NN_NAME_SIZE];
    nn_parameter_path(parameter, path);
    return reel_status_usage("optimizer, group %d: parameter %s is not of the optimizer's module", number,
                             path);
}

static ReelStatus fill_group(NnOptimizer *o, const NnParameterGroup *group, int number)
{
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < group->count && reel_status_is_ok(&status); i++)
        status = put_listed(o, group->parameters[i], number);
    for (int i = 0; group->holds && i < o->count && reel_status_is_ok(&status); i++)
        if (group->holds(o->states[i].parameter, group->context))
            status = put_in_group(&o->states[i], number);
    return status;
}

static OptimizerGroup group_with(NnOptimizerOptions options)
{
    return (OptimizerGroup){.options = options, .lr = options.lr, .memory = nn_adam_memory(&options)};
}

ReelStatus nn_optimizer_set_groups(NnOptimizer *o, NnOptimizerOptions options, const NnParameterGroup *groups)
{
    ReelStatus status = check_options("optimizer", &options);
    if (!reel_status_is_ok(&status))
        return status;
    o->rule = kinds[options.kind].rule;
    o->groups[0] = group_with(options);
    for (int i = 0; i < o->count; i++)
        o->states[i].group = o->groups;
    for (int k = 0; k + 1 < o->group_count && reel_status_is_ok(&status); k++) {
        status = check_group(&options, &groups[k].options, k);
        o->groups[k + 1] = group_with(groups[k].options);
        if (reel_status_is_ok(&status))
            status = fill_group(o, &groups[k], k);
    }
    return status;
}
