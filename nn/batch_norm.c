#include "nn/batch_norm.h"
#include "nn/module_internal.h"
#include "nn/running_internal.h"

static Var forward(NnModule *m, Var x)
{
    return nn_batch_norm((NnBatchNorm *)m, x);
}

void nn_batch_norm_init(NnBatchNorm *m, int64_t channels)
{
    NnModule *base = &m->base;
    nn_module_init(base);
    base->forward = forward;
    m->eps = 1e-5;
    m->momentum = 0.1;
    nn_module_add_parameter(base, &m->weight, "weight", TENSOR_SHAPE(channels), nn_init_constant(1));
    nn_module_add_parameter(base, &m->bias, "bias", TENSOR_SHAPE(channels), nn_init_constant(0));
    nn_module_add_buffer(base, &m->running_mean, "running_mean", TENSOR_DTYPE_NONE, TENSOR_SHAPE(channels),
                         nn_init_constant(0));
    nn_module_add_buffer(base, &m->running_var, "running_var", TENSOR_DTYPE_NONE, TENSOR_SHAPE(channels),
                         nn_init_constant(1));
    nn_module_add_buffer(base, &m->num_batches_tracked, "num_batches_tracked", TENSOR_I32, 0, NULL,
                         nn_init_constant(0));
}

/* [C] as it stands beside x: [1, C, 1, ...]. */
static Var beside(Var v, int ndim)
{
    int64_t shape[TENSOR_MAX_DIMS];
    for (int i = 0; i < ndim; i++)
        shape[i] = i == 1 ? var_size(v, 0) : 1;
    return var_reshape(v, ndim, shape);
}

/* A copy for this step: a later step's running statistics are others. */
static Var running(NnParameter *buffer, Tape *tape, int ndim)
{
    return beside(tape_constant(tape, nn_parameter_read(buffer, tape_arena(tape))), ndim);
}

static void note(NnBatchNorm *m, double count, Var mean, Var variance)
{
    Tape *tape = mean.tape;
    SeenList own, *list = tape_owner(tape);
    if (!tape_ok(tape) || tape_is_repeating(tape))
        return;
    if (!list)
        nn_seen_init(&own);
    if (!nn_seen_add(list ? list : &own, m, count, var_value(mean), var_value(variance)))
        tape_fail(tape, "batch_norm: out of memory for the running statistics");
    else if (!list)
        nn_seen_follow(own.first);
    if (!list)
        nn_seen_free(&own);
}

static Var normalised(NnBatchNorm *m, Var x, Var mean, Var variance)
{
    Var scale =
        var_mul(beside(nn_var(&m->weight, x.tape), var_ndim(x)), var_rsqrt(var_scale(variance, 1, m->eps)));
    return var_add(var_mul(var_sub(x, mean), scale), beside(nn_var(&m->bias, x.tape), var_ndim(x)));
}

static Var by_batch(NnBatchNorm *m, Var x)
{
    unsigned axes = 0;
    int64_t count = 1;
    for (int i = 0; i < var_ndim(x); i++)
        if (i != 1) {
            axes |= TENSOR_AXIS(i);
            count *= var_size(x, i);
        }
    if (count < 2)
        return tape_fail(x.tape,
                         "batch_norm: %lld values a channel have no variance; while training there "
                         "must be at least two (in each shard)",
                         (long long)count);
    Var mean = var_mean(x, axes, true), centred = var_sub(x, mean);
    Var variance = var_mean(var_mul(centred, centred), axes, true);
    note(m, (double)count, mean, variance);
    return normalised(m, x, mean, variance);
}

Var(nn_batch_norm)(NnBatchNorm *m, Var x)
{
    Tape *tape = x.tape;
    if (!tape)
        return x;
    nn_enter(&m->base, tape);
    ReelStatus status = nn_parameter_status(&m->running_mean);
    Var y = x;
    if (!tape_ok(tape) || var_is_empty(x))
        ;
    else if (!reel_status_is_ok(&status))
        y = tape_fail(tape, "%s", status.message);
    else if (var_ndim(x) < 2 || var_size(x, 1) != m->weight.shape[0])
        y = tape_fail(tape, "batch_norm: axis 1 of x must have the %lld channels; x has %d axes, and %lld",
                      (long long)m->weight.shape[0], var_ndim(x),
                      var_ndim(x) < 2 ? 0LL : (long long)var_size(x, 1));
    else if (m->base.training)
        y = by_batch(m, x);
    else
        y = normalised(m, x, running(&m->running_mean, tape, var_ndim(x)),
                       running(&m->running_var, tape, var_ndim(x)));
    nn_leave(tape);
    return y;
}
