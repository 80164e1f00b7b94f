#include "nn/parallel.h"
#include "nn/parallel_internal.h"
#include "tensor/clock.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Life ---- */

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (NnParameter *const *)a, y = (uintptr_t) * (NnParameter *const *)b;
    return (x > y) - (x < y);
}

static bool list_parameters(NnParallel *p)
{
    int count = 0;
    for (NnParameter *q = nn_first_parameter(p->module); q; q = nn_next_parameter(p->module, q))
        count++;
    p->parameters = reel_mem_alloc((size_t)count * sizeof(NnParameter *));
    if (!p->parameters)
        return false;
    for (NnParameter *q = nn_first_parameter(p->module); q; q = nn_next_parameter(p->module, q))
        p->parameters[p->parameter_count++] = q;
    qsort(p->parameters, (size_t)count, sizeof(NnParameter *), by_address);
    return true;
}

/* The number of a parameter, or -1: it is none of the module's. */
static int number_of(const NnParallel *p, const NnParameter *parameter)
{
    NnParameter *const *found =
        bsearch(&parameter, p->parameters, (size_t)p->parameter_count, sizeof(NnParameter *), by_address);
    return found ? (int)(found - p->parameters) : -1;
}

static bool begin_shard(NnParallel *p, Shard *shard)
{
    size_t count = (size_t)p->parameter_count;
    shard->tape = tape_new();
    shard->fresh = reel_mem_calloc(count, sizeof *shard->fresh);
    shard->kept = reel_mem_calloc(count, sizeof *shard->kept);
    if (shard->tape)
        tape_set_check_finite(shard->tape, p->options.check_finite);
    return shard->tape && shard->fresh && shard->kept;
}

static bool begin(NnParallel *p)
{
    size_t shards = (size_t)p->options.shards;
    p->pool = tensor_pool_new(p->options.threads);
    p->shards = reel_mem_calloc(shards, sizeof *p->shards);
    p->results = reel_mem_calloc(shards, sizeof *p->results);
    if (!p->pool || !p->shards || !p->results || !list_parameters(p))
        return false;
    for (size_t i = 0; i < shards; i++)
        if (!begin_shard(p, &p->shards[i]))
            return false;
    return true;
}

ReelStatus nn_parallel_new(NnParallel **parallel, NnModule *module, const NnParallelOptions *options)
{
    *parallel = NULL;
    if (options->shards < 1 || options->shards > NN_MOST_SHARDS || options->threads < 1)
        return reel_status_usage(
            "nn_parallel: %d shards and %d threads; there must be 1 to %d shards and at least 1 "
            "thread",
            options->shards, options->threads, NN_MOST_SHARDS);
    ReelStatus status = nn_module_status(module);
    if (!reel_status_is_ok(&status))
        return status;
    NnParallel *p = reel_mem_calloc(1, sizeof *p);
    if (!p)
        return reel_status_no_memory(sizeof *p, "nn_parallel");
    p->module = module;
    p->options = *options;
    tensor_arena_init(&p->arena, 0);
    if (!begin(p)) {
        nn_parallel_free(p);
        return reel_status_failed("out of memory or threads for %d shards", options->shards);
    }
    *parallel = p;
    return reel_status_ok();
}

void nn_parallel_free(NnParallel *p)
{
    if (!p)
        return;
    for (int i = 0; p->shards && i < p->options.shards; i++) {
        Shard *shard = &p->shards[i];
        tape_free(shard->tape);
        for (int k = 0; shard->kept && k < p->parameter_count; k++)
            kept_free(&shard->kept[k]);
        reel_mem_free(shard->fresh);
        reel_mem_free(shard->kept);
    }
    tensor_pool_free(p->pool);
    tensor_arena_free(&p->arena);
    reel_mem_free(p->shards);
    reel_mem_free(p->results);
    reel_mem_free(p->parameters);
    reel_mem_free(p);
}

/* ---- Running the shards ---- */

static bool is_present(const TapeGradient *gradient)
{
    return tensor_is_valid(gradient->dense) || tensor_is_valid(gradient->rows);
}

/* Adds what the last step has left to what earlier ones have; with `all`, since the tape is used again, also
 * where there is nothing yet to add to. */
static bool keep_gradients(const NnParallel *p, Shard *shard, bool all)
{
    bool kept = true;
    for (int k = 0; k < p->parameter_count; k++) {
        TapeGradient *fresh = &shard->fresh[k];
        if (!is_present(fresh) || !(all || kept_any(&shard->kept[k])))
            continue;
        kept = kept_add(&shard->kept[k], fresh, p->parameters[k]->core.value) && kept;
        *fresh = (TapeGradient){0};
    }
    return kept;
}

/* Starts the tape's next step. */
static Tape *begin_tape(const NnParallel *p, Shard *shard, bool with_gradients)
{
    bool kept = keep_gradients(p, shard, true);
    shard->value = shard->forward = shard->backward = 0;
    tape_begin(shard->tape);
    if (!kept)
        tape_fail(shard->tape, "nn_parallel: out of memory for gradients that accumulate");
    tape_set_grad_enabled(shard->tape, with_gradients);
    return shard->tape;
}

static void read_gradients(const NnParallel *p, Shard *shard)
{
    Tape *tape = shard->tape;
    for (int k = 0; k < p->parameter_count; k++) {
        TapeGradient *fresh = &shard->fresh[k];
        *fresh = tape_gradient(tape, &p->parameters[k]->core);
        if (!is_present(fresh))
            continue;
        Tensor *data = tensor_is_valid(fresh->rows) ? &fresh->rows : &fresh->dense;
        *data = tensor_contiguous(tape_arena(tape), *data);
        if (!tensor_is_valid(*data))
            tape_fail(tape, "nn_parallel: out of memory for gradients");
    }
}

static void run_shard(void *context, int index)
{
    NnParallel *p = context;
    Shard *shard = &p->shards[index];
    double started = reel_clock_seconds();
    Tape *tape = begin_tape(p, shard, true);
    tape_set_random(tape,
                    tensor_random_new(p->options.seed ^ tensor_random_stream("dropout"),
                                      (uint64_t)p->step * (uint64_t)p->options.shards + (uint64_t)index));
    shard->value = NAN;
    Var loss = tape_ok(tape) ? p->loss(p->context, tape, index, p->options.shards) : VAR_NONE;
    double middle = reel_clock_seconds();
    shard->forward = middle - started;
    if (!var_is_empty(loss) && tape_backward(loss))
        read_gradients(p, shard);
    if (isnan(shard->value))
        shard->value = var_is_empty(loss) ? 0 : var_item(loss);
    shard->backward = reel_clock_seconds() - middle;
    shard->status = *tape_status(tape);
}

/* Of a step with an error. What the tapes hold goes with it. */
static void forget_step(NnParallel *p)
{
    for (int i = 0; i < p->options.shards; i++) {
        memset(p->shards[i].fresh, 0, (size_t)p->parameter_count * sizeof *p->shards[i].fresh);
        p->shards[i].status = reel_status_ok();
    }
}

/* The first shard's error. */
static ReelStatus error_of(const NnParallel *p, int count)
{
    for (int i = 0; i < count; i++)
        if (!reel_status_is_ok(&p->shards[i].status))
            return p->shards[i].status;
    return reel_status_ok();
}

/* Packs the weights; *seconds: how long that took. */
static ReelStatus prepare(NnParallel *p, double *seconds)
{
    double started = reel_clock_seconds();
    bool ok = nn_module_prepare(p->module);
    *seconds = reel_clock_seconds() - started;
    return ok ? reel_status_ok() : reel_status_failed("out of memory for packed weights");
}

ReelStatus nn_parallel_backward(NnParallel *p, NnShardLoss *loss, void *context, double *sum)
{
    NnParallelTimes times = {0};
    ReelStatus status = prepare(p, &times.prepare);
    if (!reel_status_is_ok(&status))
        return status;
    p->loss = loss;
    p->context = context;
    tensor_pool_run(p->pool, run_shard, p, p->options.shards);
    p->step++;
    double total = 0;
    for (int i = 0; i < p->options.shards; i++) {
        const Shard *shard = &p->shards[i];
        total += shard->value;
        times.forward = fmax(times.forward, shard->forward);
        times.backward = fmax(times.backward, shard->backward);
    }
    p->times = times;
    if (sum)
        *sum = total;
    status = error_of(p, p->options.shards);
    if (!reel_status_is_ok(&status))
        forget_step(p);
    return status;
}

void nn_parallel_report(NnParallel *p, int shard, double value)
{
    p->shards[shard].value = value;
}

void nn_parallel_set_step(NnParallel *p, int64_t step)
{
    p->step = step;
}

/* ---- Handing the gradients over ---- */

static const ReelStatus *status_of_piece(void *context, int piece)
{
    const NnParallel *p = context;
    return &p->shards[piece].status;
}

static TapeGradient gradient_of_piece(void *context, int piece, const NnParameter *parameter)
{
    const NnParallel *p = context;
    int number = number_of(p, parameter);
    if (number < 0)
        return (TapeGradient){0};
    const Shard *shard = &p->shards[piece];
    return is_present(&shard->fresh[number]) ? shard->fresh[number]
                                             : kept_view(&shard->kept[number], parameter->core.value);
}

static void clear_gradient(NnParallel *p, int number)
{
    for (int i = 0; i < p->options.shards; i++) {
        p->shards[i].fresh[number] = (TapeGradient){0};
        kept_clear(&p->shards[i].kept[number]);
    }
}

static void clear_parameter(void *context, const NnParameter *parameter)
{
    NnParallel *p = context;
    int number = number_of(p, parameter);
    if (number >= 0)
        clear_gradient(p, number);
}

static void complete_shard(void *context, int index)
{
    NnParallel *p = context;
    Shard *shard = &p->shards[index];
    if (!keep_gradients(p, shard, false))
        shard->status = reel_status_failed("nn_parallel: out of memory for gradients that accumulate");
}

NnPieces nn_parallel_pieces(NnParallel *p)
{
    tensor_arena_reset(&p->arena);
    tensor_pool_run(p->pool, complete_shard, p, p->options.shards);
    return (NnPieces){.context = p,
                      .count = p->options.shards,
                      .status = status_of_piece,
                      .gradient = gradient_of_piece,
                      .clear = clear_parameter,
                      .arena = &p->arena,
                      .pool = p->pool};
}

void nn_parallel_clear(NnParallel *p)
{
    for (int k = 0; k < p->parameter_count; k++)
        clear_gradient(p, k);
}

/* ---- Evaluation ---- */

static void run_task(void *context, int index)
{
    NnParallel *p = context;
    Shard *shard = &p->shards[index];
    Tape *tape = begin_tape(p, shard, false);
    p->results[index] = tape_ok(tape) ? p->task(p->context, tape, p->first_task + index) : tensor_invalid();
    shard->status = *tape_status(tape);
}

ReelStatus nn_parallel_each(NnParallel *p, NnShardTask *task, NnTakeResult *take, void *context, int count)
{
    double seconds;
    ReelStatus status = prepare(p, &seconds);
    p->task = task;
    p->context = context;
    for (int done = 0; done < count && reel_status_is_ok(&status); done += p->options.shards) {
        int now = count - done < p->options.shards ? count - done : p->options.shards;
        p->first_task = done;
        tensor_pool_run(p->pool, run_task, p, now);
        status = error_of(p, now);
        if (!reel_status_is_ok(&status))
            forget_step(p);
        for (int i = 0; i < now && reel_status_is_ok(&status); i++)
            take(context, done + i, p->results[i]);
    }
    return status;
}

/* ---- What was measured ---- */

NnParallelTimes nn_parallel_times(const NnParallel *p)
{
    return p->times;
}

size_t nn_parallel_tape_bytes(const NnParallel *p)
{
    size_t bytes = 0;
    for (int i = 0; i < p->options.shards; i++)
        bytes += tape_peak_bytes(p->shards[i].tape);
    return bytes;
}
