/* Running statistics of a step made of shards: what each shard saw is put together in their order, which the
 * ranks tell each other, and followed once. */
#include "nn/module_internal.h"
#include "nn/parallel_internal.h"

#include <string.h>

/* ---- One shard ---- */

void nn_seen_init(SeenList *list)
{
    *list = (SeenList){0};
    tensor_arena_init(&list->arena, 0);
}

void nn_seen_free(SeenList *list)
{
    tensor_arena_free(&list->arena);
}

void nn_seen_clear(SeenList *list)
{
    tensor_arena_reset(&list->arena);
    list->first = list->last = NULL;
}

static double number_at(const Tensor *t, int64_t i)
{
    return t->dtype == TENSOR_F64 ? tensor_f64(*t)[i] : (double)tensor_f32(*t)[i];
}

bool nn_seen_add(SeenList *list, NnBatchNorm *norm, double count, Tensor mean, Tensor variance)
{
    int64_t width = norm->weight.shape[0];
    Seen *seen = tensor_arena_calloc(&list->arena, sizeof *seen);
    double *numbers = tensor_arena_alloc(&list->arena, 2 * (size_t)width * sizeof *numbers);
    mean = tensor_contiguous(&list->arena, mean);
    variance = tensor_contiguous(&list->arena, variance);
    if (!seen || !numbers || !tensor_is_valid(mean) || !tensor_is_valid(variance))
        return false;
    *seen = (Seen){.norm = norm, .count = count, .mean = numbers, .squares = numbers + width};
    for (int64_t i = 0; i < width; i++) {
        seen->mean[i] = number_at(&mean, i);
        seen->squares[i] = number_at(&variance, i) * count;
    }
    if (list->last)
        list->last->next = seen;
    else
        list->first = seen;
    list->last = seen;
    return true;
}

static void follow(NnParameter *buffer, const double *seen, double divisor, double momentum)
{
    Tensor value = buffer->core.value;
    for (int64_t i = 0; i < buffer->shape[0]; i++) {
        double next = (1 - momentum) * number_at(&value, i) + momentum * (seen[i] / divisor);
        if (value.dtype == TENSOR_F64)
            tensor_f64(value)[i] = next;
        else
            tensor_f32(value)[i] = (float)next;
    }
    tape_parameter_changed(&buffer->core);
}

void nn_seen_follow(const Seen *seen)
{
    NnBatchNorm *m = seen->norm;
    follow(&m->running_mean, seen->mean, 1, m->momentum);
    follow(&m->running_var, seen->squares, seen->count - 1, m->momentum);
    tensor_i32(m->num_batches_tracked.core.value)[0]++;
    tape_parameter_changed(&m->num_batches_tracked.core);
}

/* ---- All shards ---- */

/* A use of a module as it is sent, before its means and squares. */
typedef struct SeenHeader {
    int64_t shard, number; /* of the module, in the order of places */
    double count;
} SeenHeader;

/* A module's n-th use in all shards so far. */
typedef struct Total {
    Seen seen;
    int64_t number, shard; /* the last that was added */
    struct Total *next;
} Total;

static int64_t number_of(NnModule *root, const NnModule *module)
{
    int64_t number = 0;
    for (NnPlace place = nn_place_first(root); place.module && place.module != module; nn_place_next(&place))
        number++;
    return number;
}

static NnModule *module_of(NnModule *root, int64_t number)
{
    NnPlace place = nn_place_first(root);
    for (; place.module && number > 0; number--)
        nn_place_next(&place);
    return place.module;
}

static size_t bytes_of(const Seen *seen)
{
    return sizeof(SeenHeader) + 2 * (size_t)seen->norm->weight.shape[0] * sizeof(double);
}

/* What this rank's shards saw, behind room for what nn_parallel_tell() puts in front. */
static ReelStatus write_seen(NnParallel *p, char **message, size_t *size)
{
    *size = sizeof(int64_t);
    for (int i = 0; i < p->count; i++)
        for (const Seen *s = p->shards[i].seen.first; s; s = s->next)
            *size += bytes_of(s);
    char *at = *message = tensor_arena_calloc(&p->arena, *size);
    if (!at)
        return reel_status_no_memory(*size, "running statistics");
    at += sizeof(int64_t);
    for (int i = 0; i < p->count; i++)
        for (const Seen *s = p->shards[i].seen.first; s; s = s->next) {
            SeenHeader header = {p->shards[i].number, number_of(p->module, &s->norm->base), s->count};
            size_t numbers = bytes_of(s) - sizeof header;
            memcpy(at, &header, sizeof header);
            memcpy(at + sizeof header, s->mean, numbers); /* and the squares behind */
            at += bytes_of(s);
        }
    return reel_status_ok();
}

/* The total that a shard's next use of a module belongs to; NULL: no memory. */
static Total *find_total(NnParallel *p, Total **first, const SeenHeader *header)
{
    Total **link = first;
    for (; *link; link = &(*link)->next)
        if ((*link)->number == header->number && (*link)->shard != header->shard) {
            (*link)->shard = header->shard;
            return *link;
        }
    NnBatchNorm *norm = (NnBatchNorm *)module_of(p->module, header->number);
    Total *total = tensor_arena_calloc(&p->arena, sizeof *total);
    size_t width = (size_t)norm->weight.shape[0];
    double *numbers = tensor_arena_calloc(&p->arena, 2 * width * sizeof *numbers);
    if (!total || !numbers)
        return NULL;
    *total = (Total){.seen = {.norm = norm, .mean = numbers, .squares = numbers + width},
                     .number = header->number,
                     .shard = header->shard};
    return *link = total;
}

/* Messages begin at any address. */
static double sent_number(const char *numbers, int64_t i)
{
    double number;
    memcpy(&number, numbers + (size_t)i * sizeof number, sizeof number);
    return number;
}

/* Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample variances". */
static void add_to(Seen *total, double count, const char *numbers)
{
    int64_t width = total->norm->weight.shape[0];
    double all = total->count + count, share = count / all;
    for (int64_t i = 0; i < width; i++) {
        double apart = sent_number(numbers, i) - total->mean[i];
        total->mean[i] += apart * share;
        total->squares[i] += sent_number(numbers, width + i) + apart * apart * total->count * share;
    }
    total->count = all;
}

ReelStatus nn_parallel_follow(NnParallel *p)
{
    NnIterator it = nn_iterate(p->module);
    char *message;
    size_t size;
    Total *totals = NULL;
    if (!nn_next_buffer(&it))
        return reel_status_ok();
    ReelStatus status = write_seen(p, &message, &size);
    int64_t nothing[1];
    status = message ? nn_parallel_tell(p, &status, message, size)
                     : nn_parallel_tell(p, &status, (char *)nothing, sizeof nothing);
    for (int r = 0; r < nn_comm_size(p->options.comm) && reel_status_is_ok(&status); r++) {
        const char *at = p->messages[r].data, *end = at + p->messages[r].size;
        while (at < end && reel_status_is_ok(&status)) {
            SeenHeader header;
            memcpy(&header, at, sizeof header);
            Total *total = find_total(p, &totals, &header);
            if (!total)
                return reel_status_no_memory(sizeof *total, "running statistics");
            add_to(&total->seen, header.count, at + sizeof header);
            at += bytes_of(&total->seen);
        }
    }
    for (const Total *total = totals; total && reel_status_is_ok(&status); total = total->next)
        nn_seen_follow(&total->seen);
    return status;
}
