#include "nn/parallel.h"
#include "nn/module_internal.h"
#include "nn/parallel_internal.h"
#include "tensor/clock.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

/* ---- Life ---- */

static bool begin_shard(NnParallel *p, Shard *shard, int number)
{
    shard->number = number;
    size_t count = (size_t)p->parameter_count;
    shard->tape = tape_new();
    shard->fresh = reel_mem_calloc(count, sizeof *shard->fresh);
    shard->kept = reel_mem_calloc(count, sizeof *shard->kept);
    nn_seen_init(&shard->seen);
    if (shard->tape) {
        tape_set_check_finite(shard->tape, p->options.check_finite);
        tape_set_owner(shard->tape, &shard->seen);
    }
    return shard->tape && shard->fresh && shard->kept;
}

static bool begin(NnParallel *p)
{
    int rank = nn_comm_rank(p->options.comm);
    p->first = nn_parallel_first_shard(p, rank);
    p->count = nn_parallel_first_shard(p, rank + 1) - p->first;
    p->pool = tensor_pool_new(p->options.threads);
    p->shards = reel_mem_calloc((size_t)p->count, sizeof *p->shards);
    p->results = reel_mem_calloc((size_t)p->count, sizeof *p->results);
    p->messages = reel_mem_calloc((size_t)nn_comm_size(p->options.comm), sizeof *p->messages);
    if (!p->pool || !p->shards || !p->results || !p->messages || !nn_parallel_list(p))
        return false;
    p->whole = reel_mem_calloc((size_t)p->parameter_count, sizeof *p->whole);
    for (int i = 0; i < p->count; i++)
        if (!begin_shard(p, &p->shards[i], p->first + i))
            return false;
    return p->whole;
}

static ReelStatus check_options(const NnParallelOptions *options)
{
    int ranks = nn_comm_size(options->comm);
    if (options->shards < 1 || options->shards > NN_MOST_SHARDS)
        return reel_status_usage("nn_parallel: shards is %d and must be 1 to %d", options->shards,
                                 NN_MOST_SHARDS);
    if (options->threads < 1)
        return reel_status_usage("nn_parallel: threads is %d and must be at least 1", options->threads);
    if (options->shards < ranks)
        return reel_status_usage(
            "%d ranks for %d shards: a rank without a shard has nothing to do; use at most "
            "%d ranks, or %d shards (results depend on the shards)",
            ranks, options->shards, options->shards, ranks);
    return reel_status_ok();
}

static ReelStatus broadcast_value(const NnParallel *p, NnParameter *q)
{
    Tensor value = q->core.value;
    if (!tensor_is_valid(value))
        return reel_status_ok();
    ReelStatus status = nn_comm_broadcast(p->options.comm, value.data,
                                          (size_t)tensor_numel(&value) * tensor_dtype_size(value.dtype), 0);
    tape_parameter_changed(&q->core);
    return status;
}

/* All ranks begin with the values of rank 0. */
static ReelStatus broadcast_values(NnParallel *p)
{
    ReelStatus status = reel_status_ok();
    NnIterator it = nn_iterate(p->module);
    for (NnParameter *q = nn_first_parameter(p->module); q && reel_status_is_ok(&status);
         q = nn_next_parameter(p->module, q))
        status = broadcast_value(p, q);
    while (reel_status_is_ok(&status) && nn_next_buffer(&it))
        status = broadcast_value(p, it.named.parameter);
    return status;
}

/* A word for what must be the same everywhere before anything is sent. */
static uint32_t shape_of_all(const NnParallel *p)
{
    uint32_t crc = (uint32_t)crc32_z(0, (const void *)&p->options.shards, sizeof p->options.shards);
    for (NnParameter *q = nn_first_parameter(p->module); q; q = nn_next_parameter(p->module, q))
        crc = (uint32_t)crc32_z(crc, (const void *)q->shape, (size_t)q->ndim * sizeof *q->shape);
    return crc;
}

/* A word for how this processor and its BLIS round. False: no memory. */
static bool product_of_all(TensorArena *arena, uint32_t *crc)
{
    enum { M = 37, K = 301, N = 53 };
    Tensor a = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(M, K)),
           b = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(K, N));
    Tensor c = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(M, N));
    TensorRandom random = tensor_random_new(0, 0);
    if (!tensor_is_valid(a) || !tensor_is_valid(b) || !tensor_is_valid(c))
        return false;
    tensor_random_fill_uniform(&random, a, -1, 1);
    tensor_random_fill_uniform(&random, b, -1, 1);
    bool done = tensor_matmul(c, 1, a, b, 0);
    *crc = (uint32_t)crc32_z(0, c.data, M * N * sizeof(float));
    tensor_arena_reset(arena);
    return done;
}

/* What must be the same on all ranks. */
static ReelStatus compare_ranks(NnParallel *p)
{
    uint32_t crc;
    ReelStatus status =
        nn_comm_same(p->options.comm, shape_of_all(p), "the shards or the shapes of parameters");
    if (!reel_status_is_ok(&status))
        return status;
    if (!product_of_all(&p->arena, &crc))
        return reel_status_failed("out of memory for a product");
    return nn_comm_same(p->options.comm, crc, "the bits of a matrix product");
}

ReelStatus nn_parallel_new(NnParallel **parallel, NnModule *module, const NnParallelOptions *options)
{
    *parallel = NULL;
    ReelStatus status = check_options(options);
    if (reel_status_is_ok(&status))
        status = nn_module_status(module);
    NnParallel *p = reel_status_is_ok(&status) ? reel_mem_calloc(1, sizeof *p) : NULL;
    if (p) {
        p->module = module;
        p->options = *options;
        tensor_arena_init(&p->arena, 0);
        if (!begin(p))
            status = reel_status_failed("out of memory or threads for %d shards", options->shards);
    } else if (reel_status_is_ok(&status)) {
        status = reel_status_no_memory(sizeof *p, "nn_parallel");
    }
    if (nn_comm_size(options->comm) > 1) {
        status = nn_comm_agree(options->comm, &status);
        if (reel_status_is_ok(&status))
            status = compare_ranks(p);
        if (reel_status_is_ok(&status))
            status = broadcast_values(p);
    }
    if (reel_status_is_ok(&status))
        *parallel = p;
    else
        nn_parallel_free(p);
    return status;
}

static uint32_t crc_of_value(uint32_t crc, const NnParameter *q)
{
    Tensor value = q->core.value;
    size_t size = (size_t)tensor_numel(&value) * tensor_dtype_size(value.dtype);
    return tensor_is_valid(value) ? (uint32_t)crc32_z(crc, value.data, size) : crc;
}

ReelStatus nn_parallel_check(NnParallel *p, const char *what)
{
    uint32_t crc = 0;
    if (nn_comm_size(p->options.comm) == 1)
        return reel_status_ok();
    NnIterator it = nn_iterate(p->module);
    for (NnParameter *q = nn_first_parameter(p->module); q; q = nn_next_parameter(p->module, q))
        crc = crc_of_value(crc, q);
    while (nn_next_buffer(&it))
        crc = crc_of_value(crc, it.named.parameter);
    return nn_comm_same(p->options.comm, crc, what);
}

void nn_parallel_free(NnParallel *p)
{
    if (!p)
        return;
    for (int i = 0; p->shards && i < p->count; i++) {
        Shard *shard = &p->shards[i];
        tape_free(shard->tape);
        nn_seen_free(&shard->seen);
        for (int k = 0; shard->kept && k < p->parameter_count; k++)
            nn_kept_free(&shard->kept[k]);
        reel_mem_free(shard->fresh);
        reel_mem_free(shard->kept);
    }
    tensor_pool_free(p->pool);
    tensor_arena_free(&p->arena);
    reel_mem_free(p->shards);
    reel_mem_free(p->results);
    reel_mem_free(p->messages);
    reel_mem_free(p->whole);
    reel_mem_free(p->parameters);
    reel_mem_free(p);
}

/* ---- Running the shards ---- */

/* Adds what the last step has left to what earlier ones have; with `all`, since the tape is used again, also
 * where there is nothing yet to add to. */
static bool keep_gradients(const NnParallel *p, Shard *shard, bool all)
{
    bool kept = true;
    for (int k = 0; k < p->parameter_count; k++) {
        TapeGradient *fresh = &shard->fresh[k];
        if (!nn_gradient_is_present(fresh) || !(all || kept_any(&shard->kept[k])))
            continue;
        kept = nn_kept_add(&shard->kept[k], fresh, p->parameters[k]->core.value) && kept;
        *fresh = (TapeGradient){0};
    }
    return kept;
}

/* Starts the tape's next step. */
static Tape *begin_tape(const NnParallel *p, Shard *shard, bool with_gradients)
{
    bool kept = keep_gradients(p, shard, true);
    shard->value = shard->forward = shard->backward = 0;
    nn_seen_clear(&shard->seen);
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
        if (!nn_gradient_is_present(fresh))
            continue;
        Tensor *data = tensor_is_valid(fresh->rows) ? &fresh->rows : &fresh->dense;
        *data = tensor_contiguous(tape_arena(tape), *data);
        if (!tensor_is_valid(*data))
            tape_fail(tape, "nn_parallel: out of memory for gradients");
    }
}

/* A shard's tape as its loss's function gets it. */
static Tape *start_shard(const NnParallel *p, Shard *shard)
{
    Tape *tape = begin_tape(p, shard, true);
    tape_set_random(
        tape, tensor_random_new(p->options.seed ^ tensor_random_stream("dropout"),
                                (uint64_t)p->step * (uint64_t)p->options.shards + (uint64_t)shard->number));
    shard->value = NAN;
    return tape;
}

static void finish_shard(const NnParallel *p, Shard *shard, Var loss)
{
    if (!var_is_empty(loss) && tape_backward_last(loss))
        read_gradients(p, shard);
    if (isnan(shard->value))
        shard->value = var_is_empty(loss) ? 0 : var_item(loss);
    shard->status = *tape_status(shard->tape);
}

static void run_shard(void *context, int index)
{
    NnParallel *p = context;
    Shard *shard = &p->shards[index];
    double started = reel_clock_seconds();
    Tape *tape = start_shard(p, shard);
    Var loss = tape_ok(tape) ? p->loss(p->context, tape, shard->number, p->options.shards) : VAR_NONE;
    double middle = reel_clock_seconds();
    shard->forward = middle - started;
    finish_shard(p, shard, loss);
    shard->backward = reel_clock_seconds() - middle;
}

/* Of a step with an error. What the tapes hold goes with it. */
static void forget_step(NnParallel *p)
{
    for (int i = 0; i < p->count; i++) {
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

/* ---- What the ranks tell each other after the shards have run ---- */

/* The sum of all shards' values in their order. */
static ReelStatus sum_values(NnParallel *p, const ReelStatus *mine, double *sum)
{
    size_t size = sizeof(int64_t) + (size_t)p->count * sizeof(double);
    char *message = tensor_arena_calloc(&p->arena, size);
    if (!message) /* which the others will notice */
        return reel_status_no_memory(size, "the losses");
    for (int i = 0; i < p->count; i++)
        memcpy(message + sizeof(int64_t) + (size_t)i * sizeof(double), &p->shards[i].value, sizeof(double));
    ReelStatus status = nn_parallel_tell(p, mine, message, size);
    *sum = 0;
    for (int r = 0; r < nn_comm_size(p->options.comm) && reel_status_is_ok(&status); r++)
        for (size_t at = 0; at + sizeof(double) <= p->messages[r].size; at += sizeof(double)) {
            double value;
            memcpy(&value, (const char *)p->messages[r].data + at, sizeof value);
            *sum += value;
        }
    return status;
}

ReelStatus nn_parallel_backward(NnParallel *p, NnShardLoss *loss, void *context, double *sum)
{
    NnParallelTimes times = {0};
    double total = 0;
    ReelStatus status = prepare(p, &times.prepare);
    p->loss = loss;
    p->context = context;
    if (reel_status_is_ok(&status)) {
        tensor_pool_run(p->pool, run_shard, p, p->count);
        status = error_of(p, p->count);
    }
    p->step++;
    for (int i = 0; i < p->count; i++) {
        times.forward = fmax(times.forward, p->shards[i].forward);
        times.backward = fmax(times.backward, p->shards[i].backward);
    }
    p->times = times;
    tensor_arena_reset(&p->arena);
    status = sum_values(p, &status, &total);
    if (reel_status_is_ok(&status))
        status = nn_parallel_follow(p);
    if (!reel_status_is_ok(&status))
        forget_step(p);
    if (sum)
        *sum = total;
    return status;
}

Tape *nn_parallel_begin(NnParallel *p)
{
    double seconds;
    ReelStatus status = prepare(p, &seconds);
    Tape *tape = start_shard(p, &p->shards[0]);
    if (p->options.shards != 1)
        tape_fail(
            tape,
            "nn_parallel_begin: there are %d shards, and it is for one; nn_parallel_backward() runs several",
            p->options.shards);
    if (!reel_status_is_ok(&status))
        tape_fail(tape, "%s", status.message);
    return tape;
}

ReelStatus nn_parallel_end(NnParallel *p, Var loss)
{
    finish_shard(p, &p->shards[0], loss);
    ReelStatus status = p->shards[0].status;
    p->step++;
    if (!reel_status_is_ok(&status))
        forget_step(p);
    return status;
}

bool nn_parallel_has(const NnParallel *p, int shard)
{
    return shard >= p->first && shard < p->first + p->count;
}

void nn_parallel_report(NnParallel *p, int shard, double value)
{
    p->shards[shard - p->first].value = value;
}

void nn_parallel_set_step(NnParallel *p, int64_t step)
{
    p->step = step;
}

/* ---- Handing the gradients over ---- */

/* A piece is a shard, or with several ranks the sum of all. */
static TapeGradient gradient_of_piece(void *context, int piece, const NnParameter *parameter)
{
    const NnParallel *p = context;
    int number = nn_parallel_number(p, parameter);
    if (nn_comm_size(p->options.comm) == 1)
        return nn_parallel_gradient(p, piece, parameter);
    return number < 0 ? (TapeGradient){0} : p->whole[number];
}

static void complete_shard(void *context, int index)
{
    NnParallel *p = context;
    Shard *shard = &p->shards[index];
    shard->status = keep_gradients(p, shard, false)
                        ? reel_status_ok()
                        : reel_status_failed("nn_parallel: out of memory for gradients that accumulate");
}

static ReelStatus begin_pieces(const NnPieces *pieces, NnParameter *const *parameters, int count)
{
    NnParallel *p = pieces->context;
    tensor_pool_run(p->pool, complete_shard, p, p->count);
    ReelStatus status = error_of(p, p->count);
    return reel_status_is_ok(&status) && nn_comm_size(p->options.comm) > 1
               ? nn_parallel_exchange(p, parameters, count)
               : status;
}

static void clear_gradient(NnParallel *p, int number)
{
    p->whole[number] = (TapeGradient){0};
    for (int i = 0; i < p->count; i++) {
        p->shards[i].fresh[number] = (TapeGradient){0};
        nn_kept_clear(&p->shards[i].kept[number]);
    }
}

static void clear_parameter(void *context, const NnParameter *parameter)
{
    NnParallel *p = context;
    int number = nn_parallel_number(p, parameter);
    if (number >= 0)
        clear_gradient(p, number);
}

NnPieces nn_parallel_pieces(NnParallel *p)
{
    tensor_arena_reset(&p->arena);
    return (NnPieces){.context = p,
                      .count = nn_comm_size(p->options.comm) == 1 ? p->options.shards : 1,
                      .begin = begin_pieces,
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
    p->results[index] =
        tape_ok(tape) ? p->task(p->context, tape, p->first_task + shard->number) : tensor_invalid();
    shard->status = *tape_status(tape);
}

/* How a result is sent: this, and its numbers. */
typedef struct ResultHeader {
    int64_t is_valid, ndim, dtype;
    int64_t shape[TENSOR_MAX_DIMS];
} ResultHeader;

static size_t result_bytes(const Tensor *result)
{
    size_t size =
        tensor_is_valid(*result) ? (size_t)tensor_numel(result) * tensor_dtype_size(result->dtype) : 0;
    return (size + 7) & ~(size_t)7;
}

static char *write_result(const Tensor *result, char *at)
{
    ResultHeader header = {
        .is_valid = tensor_is_valid(*result), .ndim = result->ndim, .dtype = result->dtype};
    memcpy(header.shape, result->shape, sizeof header.shape);
    memcpy(at, &header, sizeof header);
    if (header.is_valid)
        memcpy(at + sizeof header, result->data,
               (size_t)tensor_numel(result) * tensor_dtype_size(result->dtype));
    return at + sizeof header + result_bytes(result);
}

static const char *read_result(const char *at, Tensor *result)
{
    ResultHeader header;
    memcpy(&header, at, sizeof header);
    *result = header.is_valid ? tensor_from((char *)(uintptr_t)at + sizeof header, (TensorDtype)header.dtype,
                                            (int)header.ndim, header.shape)
                              : tensor_invalid();
    return at + sizeof header + result_bytes(result);
}

/* Sends the results of this rank's `count` tasks and takes those of all, `now` in number. */
static ReelStatus share_results(NnParallel *p, const ReelStatus *mine, NnTakeResult *take, int count, int now)
{
    size_t size = sizeof(int64_t);
    tensor_arena_reset(&p->arena);
    for (int i = 0; i < count && reel_status_is_ok(mine); i++)
        size += sizeof(ResultHeader) + result_bytes(&p->results[i]);
    char *message = tensor_arena_calloc(&p->arena, size), *at = message + sizeof(int64_t);
    if (!message)
        return reel_status_no_memory(size, "results");
    for (int i = 0; i < count && reel_status_is_ok(mine); i++)
        at = write_result(&p->results[i], at);
    ReelStatus status = nn_parallel_tell(p, mine, message, size);
    for (int r = 0, done = 0; r < nn_comm_size(p->options.comm) && reel_status_is_ok(&status); r++) {
        const char *from = p->messages[r].data;
        for (; done < nn_parallel_first_shard(p, r + 1) && done < now; done++) {
            Tensor result;
            from = read_result(from, &result);
            take(p->context, p->first_task + done, result);
        }
    }
    return status;
}

ReelStatus nn_parallel_each(NnParallel *p, NnShardTask *task, NnTakeResult *take, void *context, int count)
{
    double seconds;
    ReelStatus status = prepare(p, &seconds);
    bool alone = nn_comm_size(p->options.comm) == 1;
    p->task = task;
    p->context = context;
    for (int done = 0; done < count && (reel_status_is_ok(&status) || done == 0); done += p->options.shards) {
        int now = count - done < p->options.shards ? count - done : p->options.shards;
        int mine = now - p->first < p->count ? now - p->first : p->count;
        p->first_task = done;
        if (reel_status_is_ok(&status)) {
            tensor_pool_run(p->pool, run_task, p, mine > 0 ? mine : 0);
            status = error_of(p, mine);
        }
        if (!alone)
            status = share_results(p, &status, take, mine, now);
        if (!reel_status_is_ok(&status))
            forget_step(p);
        for (int i = 0; alone && i < now && reel_status_is_ok(&status); i++)
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
    for (int i = 0; i < p->count; i++)
        bytes += tape_peak_bytes(p->shards[i].tape);
    return bytes;
}
