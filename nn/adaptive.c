#include "nn/adaptive.h"

#include <math.h>

NnAdaptiveOptions nn_adaptive_options(void)
{
    return (NnAdaptiveOptions){.div_value = 4};
}

static ReelStatus check(const NnAdaptiveOptions *o, int64_t in, int64_t classes)
{
    if (o->count < 0 || o->count > NN_ADAPTIVE_MAX_CLUSTERS)
        return reel_status_usage("nn_adaptive_softmax: %d cutoffs; 0 to %d can be", o->count,
                                 NN_ADAPTIVE_MAX_CLUSTERS);
    for (int i = 0; i < o->count; i++)
        if (o->cutoffs[i] <= (i > 0 ? o->cutoffs[i - 1] : 0) || o->cutoffs[i] >= classes)
            return reel_status_usage(
                "nn_adaptive_softmax: cutoff %d is %lld; cutoffs grow, from 1 to %lld with %lld classes", i,
                (long long)o->cutoffs[i], (long long)classes - 1, (long long)classes);
    if (o->count > 0 && !((double)in / pow(o->div_value, o->count) >= 1))
        return reel_status_usage("nn_adaptive_softmax: cluster %d would have a width below 1 (%lld / %g^%d)",
                                 o->count - 1, (long long)in, o->div_value, o->count);
    return reel_status_ok();
}

static void cluster_init(NnAdaptiveCluster *m, int64_t in, int64_t width, int64_t classes)
{
    nn_module_init(&m->base);
    nn_linear_init_without_bias(&m->narrow, in, width);
    nn_linear_init_without_bias(&m->out, width, classes);
    nn_module_add(&m->base, &m->narrow.base, "0");
    nn_module_add(&m->base, &m->out.base, "1");
}

void nn_adaptive_softmax_init(NnAdaptiveSoftmax *m, int64_t in, int64_t classes, NnAdaptiveOptions options)
{
    nn_module_init(&m->base);
    ReelStatus status = check(&options, in, classes);
    if (!reel_status_is_ok(&status)) {
        nn_module_fail(&m->base, status);
        options.count = 0;
    }
    m->classes = classes;
    m->clusters = options.count;
    for (int i = 0; i < options.count; i++)
        m->cutoffs[i] = options.cutoffs[i];
    m->cutoffs[options.count] = classes;
    (options.head_bias ? nn_linear_init : nn_linear_init_without_bias)(&m->head, in,
                                                                       m->cutoffs[0] + options.count);
    nn_module_add(&m->base, &m->head.base, "head");
    for (int i = 0; i < options.count; i++) {
        int64_t width = (int64_t)((double)in / pow(options.div_value, i + 1));
        NN_ADD_AT(m, tail, i, cluster_init, in, width, m->cutoffs[i + 1] - m->cutoffs[i]);
    }
}

static Var in_cluster(NnAdaptiveCluster *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var logits = nn_linear(&m->out, nn_linear(&m->narrow, x));
    nn_leave(x.tape);
    return logits;
}

/* Which rows have their class in which cluster. */
typedef struct Sorted {
    int32_t *head;           /* [N] the class among those of the head */
    int32_t *rows, *classes; /* [N] cluster after cluster: the rows, and the classes within it */
    int64_t first[NN_ADAPTIVE_MAX_CLUSTERS + 1];
} Sorted;

/* The cluster of a class; -1: the head. */
static int cluster_of(const NnAdaptiveSoftmax *m, int32_t class)
{
    int i = -1;
    while (i + 1 < m->clusters && class >= m->cutoffs[i + 1])
        i++;
    return i;
}

static bool sort_rows(const NnAdaptiveSoftmax *m, Tape *tape, Tensor target, Sorted *s)
{
    int64_t n = target.shape[0], count = 0;
    s->head = tensor_arena_alloc(tape_arena(tape), 3 * (size_t)n * sizeof *s->head);
    if (!s->head) {
        tape_fail(tape, "nn_adaptive_softmax: out of memory");
        return false;
    }
    s->rows = s->head + n;
    s->classes = s->rows + n;
    for (int64_t i = 0; i < n; i++) {
        int32_t class = tensor_i32(target)[i * target.strides[0]];
        if (class < 0 || class >= m->classes) {
            tape_fail(tape, "nn_adaptive_softmax: class %d of row %lld is out of range for %lld classes",
                      (int)class, (long long)i, (long long)m->classes);
            return false;
        }
        int cluster = cluster_of(m, class);
        s->head[i] = cluster < 0 ? class : (int32_t)m->cutoffs[0] + cluster;
    }
    for (int k = 0; k < m->clusters; k++) {
        s->first[k] = count;
        for (int64_t i = 0; i < n; i++)
            if (s->head[i] == m->cutoffs[0] + k) {
                s->rows[count] = (int32_t)i;
                s->classes[count++] = tensor_i32(target)[i * target.strides[0]] - (int32_t)m->cutoffs[k];
            }
    }
    s->first[m->clusters] = count;
    return true;
}

static Var ids(Tape *tape, int32_t *first, int64_t count)
{
    return tape_constant(tape, tensor_from(first, TENSOR_I32, TENSOR_SHAPE(count)));
}

static Var losses_of_rows(NnAdaptiveSoftmax *m, Var x, Var target)
{
    Tape *tape = x.tape;
    Sorted s;
    Tensor classes = var_value(target);
    if (!tensor_is_valid(classes) || classes.dtype != TENSOR_I32 || classes.ndim != 1 ||
        !tensor_is_valid(var_value(x)) || var_value(x).ndim != 2 || classes.shape[0] != var_size(x, 0))
        return tape_fail(tape, "nn_adaptive_softmax: wanted are x [N, in] and classes i32 [N]");
    if (!sort_rows(m, tape, classes, &s))
        return (Var){.tape = tape};
    int64_t n = classes.shape[0];
    Var losses = var_cross_entropy(nn_linear(&m->head, x), ids(tape, s.head, n), VAR_REDUCTION_NONE);
    for (int k = 0; k < m->clusters; k++) {
        int64_t count = s.first[k + 1] - s.first[k];
        if (count == 0)
            continue;
        Var rows = ids(tape, s.rows + s.first[k], count);
        Var logits = in_cluster(&m->tail[k], var_gather_rows(x, rows));
        Var within = var_cross_entropy(logits, ids(tape, s.classes + s.first[k], count), VAR_REDUCTION_NONE);
        losses = var_add(losses, var_segment_sum(within, rows, n));
    }
    return losses;
}

Var(nn_adaptive_softmax_loss)(NnAdaptiveSoftmax *m, Var x, Var target, VarReduction reduction)
{
    if (!x.tape || !tape_ok(x.tape))
        return x;
    nn_enter(&m->base, x.tape);
    Var losses = losses_of_rows(m, x, target);
    if (reduction != VAR_REDUCTION_NONE)
        losses = (reduction == VAR_REDUCTION_MEAN ? var_mean : var_sum)(losses, TENSOR_AXES_ALL, false);
    nn_leave(x.tape);
    return losses;
}

Var(nn_adaptive_softmax_log_prob)(NnAdaptiveSoftmax *m, Var x)
{
    if (!x.tape || !tape_ok(x.tape))
        return x;
    nn_enter(&m->base, x.tape);
    Var head = var_log_softmax(nn_linear(&m->head, x), 1), all[NN_ADAPTIVE_MAX_CLUSTERS + 1];
    all[0] = var_slice(head, 1, 0, m->cutoffs[0], 1);
    for (int k = 0; k < m->clusters; k++) {
        int64_t at = m->cutoffs[0] + k;
        all[k + 1] =
            var_add(var_log_softmax(in_cluster(&m->tail[k], x), 1), var_slice(head, 1, at, at + 1, 1));
    }
    Var joined = m->clusters > 0 ? var_concat(all, m->clusters + 1, 1) : head;
    nn_leave(x.tape);
    return joined;
}
