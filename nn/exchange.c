/* How ranks add up their gradients. Every rank has the shards of an interval. In the tree of summation
 * (pieces.h) that interval is a few nodes, whose sums it takes by itself and sends: of a dense gradient, each
 * rank gets a range of all elements, and of a gradient by rows, the rows whose id modulo the number of ranks
 * is its own. There they are added up in the order of the tree, and the sums go to all. So each rank sends
 * about twice what it has, however many ranks there are, and the bytes are those of one process. */
#include "nn/parallel_internal.h"

#include <string.h>

enum { MOST_NODES = 2 * SUM_DEPTH, LINE = 64 };

/* What there is of a gradient; the largest of all pieces decides how it is sent. */
enum { ABSENT, BY_ROWS, DENSE };

/* A node of the tree: its shards. */
typedef struct SumNode {
    int first, leaves;
} SumNode;

typedef struct Exchange {
    NnParallel *p;
    TensorArena *arena;
    NnParameter *const *parameters;
    int count; /* of parameters */
    int ranks, rank;
    SumNode *nodes;          /* of all ranks */
    int *first_node;         /* [ranks + 1] */
    uint8_t *kinds;          /* [nodes, count] */
    uint8_t *modes;          /* [count]: the largest kind of any node */
    size_t *offsets;         /* [count + 1]: of dense gradients in one buffer of all */
    Tensor *dense;           /* [shards of this rank, count]: where modes is DENSE */
    SumRows *rows;           /* [nodes of this rank, count]: where modes is BY_ROWS */
    const void **sent;       /* [nodes, count]: this rank's range of a dense gradient, as it came */
    TapeGradient *sent_rows; /* [nodes, count]: its rows */
    NnBytes *to, *from;      /* [ranks] */
} Exchange;

static size_t pad(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* ---- Who has what ---- */

static void add_nodes(SumNode *nodes, int *count, SumNode node, int first, int last)
{
    int end = node.first + node.leaves;
    if (end <= first || node.first >= last)
        return;
    if (node.first >= first && end <= last) {
        nodes[(*count)++] = node;
        return;
    }
    int cut = nn_sum_cut(node.leaves);
    add_nodes(nodes, count, (SumNode){node.first, cut}, first, last);
    add_nodes(nodes, count, (SumNode){node.first + cut, node.leaves - cut}, first, last);
}

static bool list_nodes(Exchange *x)
{
    int count = 0, shards = x->p->options.shards;
    x->first_node = tensor_arena_alloc(x->arena, ((size_t)x->ranks + 1) * sizeof *x->first_node);
    x->nodes = tensor_arena_alloc(x->arena, (size_t)shards * sizeof *x->nodes);
    if (!x->first_node || !x->nodes)
        return false;
    for (int r = 0; r < x->ranks; r++) {
        x->first_node[r] = count;
        add_nodes(x->nodes, &count, (SumNode){0, shards}, nn_parallel_first_shard(x->p, r),
                  nn_parallel_first_shard(x->p, r + 1));
    }
    x->first_node[x->ranks] = count;
    return true;
}

static int nodes_of(const Exchange *x, int rank)
{
    return x->first_node[rank + 1] - x->first_node[rank];
}

static int kind_of(const TapeGradient *gradient)
{
    return tensor_is_valid(gradient->dense) ? DENSE : tensor_is_valid(gradient->rows) ? BY_ROWS : ABSENT;
}

/* The gradient of a shard of this rank, by its number in the step. */
static TapeGradient gradient_of(const Exchange *x, int shard, int k)
{
    return nn_parallel_gradient(x->p, shard - nn_parallel_first_shard(x->p, x->rank), x->parameters[k]);
}

/* Tells the kinds of this rank's nodes and learns those of all. */
static ReelStatus agree_on_kinds(Exchange *x)
{
    size_t count = (size_t)x->count, mine = (size_t)nodes_of(x, x->rank) * count;
    uint8_t *kinds = x->kinds + (size_t)x->first_node[x->rank] * count;
    for (int n = 0; n < nodes_of(x, x->rank); n++) {
        SumNode node = x->nodes[x->first_node[x->rank] + n];
        for (int k = 0; k < x->count; k++)
            for (int s = node.first; s < node.first + node.leaves; s++) {
                TapeGradient gradient = gradient_of(x, s, k);
                uint8_t kind = (uint8_t)kind_of(&gradient), *largest = &kinds[(size_t)n * count + (size_t)k];
                *largest = kind > *largest ? kind : *largest;
            }
    }
    ReelStatus status = nn_comm_gather_all(x->p->options.comm, (NnBytes){kinds, mine}, x->from);
    for (int r = 0; r < x->ranks && reel_status_is_ok(&status); r++) {
        size_t size = (size_t)nodes_of(x, r) * count;
        if (x->from[r].size != size)
            return reel_status_failed(
                "rank %d has a gradient of another model; the ranks do different things", r);
        if (r != x->rank)
            memcpy(x->kinds + (size_t)x->first_node[r] * count, x->from[r].data, size);
    }
    for (int n = 0; n < x->first_node[x->ranks]; n++)
        for (int k = 0; k < x->count; k++) {
            uint8_t kind = x->kinds[(size_t)n * count + (size_t)k];
            x->modes[k] = kind > x->modes[k] ? kind : x->modes[k];
        }
    return status;
}

static size_t bytes_of(const Exchange *x, int k)
{
    Tensor value = x->parameters[k]->core.value;
    return (size_t)tensor_numel(&value) * tensor_dtype_size(value.dtype);
}

/* Bytes of a row. */
static size_t row_bytes(const Exchange *x, int k)
{
    Tensor value = x->parameters[k]->core.value;
    return value.ndim && value.shape[0] ? bytes_of(x, k) / (size_t)value.shape[0] : 0;
}

static void lay_out(Exchange *x)
{
    size_t total = 0;
    for (int k = 0; k < x->count; k++) {
        x->offsets[k] = total;
        if (x->modes[k] == DENSE)
            total += (bytes_of(x, k) + LINE - 1) / LINE * LINE;
    }
    x->offsets[x->count] = total;
}

/* Where the range of a rank begins, in the buffer of all dense gradients. */
static size_t range_of(const Exchange *x, int rank)
{
    return x->offsets[x->count] / LINE * (size_t)rank / (size_t)x->ranks * LINE;
}

/* The part of a dense gradient that is in a rank's range: its first byte, and how many. */
static size_t part_of(const Exchange *x, int k, int rank, size_t *begin)
{
    size_t first = range_of(x, rank), last = range_of(x, rank + 1), at = x->offsets[k],
           end = at + bytes_of(x, k);
    first = first > at ? first : at;
    last = last < end ? last : end;
    *begin = first - at;
    return x->modes[k] == DENSE && last > first ? last - first : 0;
}

/* ---- Sending nodes to the owners ---- */

static bool has_node(const Exchange *x, int node, int k)
{
    return x->kinds[(size_t)node * (size_t)x->count + (size_t)k] != ABSENT;
}

static Tensor *dense_of(const Exchange *x, int shard, int k)
{
    return &x->dense[(shard - nn_parallel_first_shard(x->p, x->rank)) * x->count + k];
}

/* Makes the gradients of this rank's shards dense, and sorts rows, as the modes say. */
static bool prepare_nodes(Exchange *x)
{
    int first = nn_parallel_first_shard(x->p, x->rank), base = x->first_node[x->rank];
    for (int k = 0; k < x->count; k++)
        for (int s = first; s < nn_parallel_first_shard(x->p, x->rank + 1) && x->modes[k] == DENSE; s++) {
            TapeGradient gradient = gradient_of(x, s, k);
            if (kind_of(&gradient) == ABSENT)
                continue;
            *dense_of(x, s, k) = nn_sum_densify(&gradient, x->parameters[k]->core.value, x->arena);
            if (!tensor_is_valid(*dense_of(x, s, k)))
                return false;
        }
    for (int n = 0; n < nodes_of(x, x->rank); n++)
        for (int k = 0; k < x->count; k++) {
            SumNode node = x->nodes[base + n];
            if (x->modes[k] != BY_ROWS || !has_node(x, base + n, k))
                continue;
            TapeGradient *gradients = tensor_arena_alloc(x->arena, (size_t)node.leaves * sizeof *gradients);
            int *places = tensor_arena_alloc(x->arena, (size_t)node.leaves * sizeof *places);
            if (!gradients || !places)
                return false;
            for (int i = 0; i < node.leaves; i++) {
                gradients[i] = gradient_of(x, node.first + i, k);
                places[i] = node.first + i;
            }
            if (!nn_sum_rows_find(&x->rows[n * x->count + k], gradients, places, node.leaves, x->arena))
                return false;
        }
    return true;
}

/* Bytes of `count` rows with their ids and number. */
static size_t block_bytes(const Exchange *x, int k, int64_t count)
{
    return sizeof(int64_t) + pad((size_t)count * sizeof(int32_t)) + pad((size_t)count * row_bytes(x, k));
}

static bool owns(const Exchange *x, int rank, int32_t id)
{
    return id % x->ranks == rank;
}

static int64_t rows_for(const Exchange *x, const SumRows *rows, int rank)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows->count; i++)
        count += owns(x, rank, rows->ids[i]);
    return count;
}

/* Writes the sums of rows that belong to a rank (-1: all); returns what comes behind them. */
static char *write_rows(const Exchange *x, int k, const SumRows *rows, SumNode node, int rank, char *at)
{
    TensorDtype dtype = x->parameters[k]->core.value.dtype;
    size_t bytes = row_bytes(x, k);
    int64_t count = rank < 0 ? rows->count : rows_for(x, rows, rank), used = 0;
    memcpy(at, &count, sizeof count);
    int32_t *ids = (int32_t *)(void *)(at + sizeof count);
    char *data = (char *)ids + pad((size_t)count * sizeof *ids);
    for (int64_t i = 0; i < rows->count; i++) {
        if (rank >= 0 && !owns(x, rank, rows->ids[i]))
            continue;
        ids[used] = rows->ids[i];
        nn_sum_into(data + (size_t)used++ * bytes, dtype, rows->addends + rows->first[i],
                    (int)(rows->first[i + 1] - rows->first[i]), node.first, node.leaves, 0,
                    (int64_t)(bytes / tensor_dtype_size(dtype)));
    }
    return at + block_bytes(x, k, count);
}

static size_t message_bytes(const Exchange *x, int rank)
{
    size_t bytes = 0, begin;
    int base = x->first_node[x->rank];
    for (int n = 0; n < nodes_of(x, x->rank); n++)
        for (int k = 0; k < x->count; k++)
            if (has_node(x, base + n, k))
                bytes += x->modes[k] == DENSE
                             ? pad(part_of(x, k, rank, &begin))
                             : block_bytes(x, k, rows_for(x, &x->rows[n * x->count + k], rank));
    return bytes;
}

/* The sum of a node's shards, as far as it is in the rank's range. */
static char *write_dense(const Exchange *x, int k, SumNode node, int rank, char *at)
{
    size_t begin, bytes = part_of(x, k, rank, &begin), size;
    TensorDtype dtype = x->parameters[k]->core.value.dtype;
    Addend addends[NN_MOST_SHARDS];
    int count = 0;
    if (bytes == 0)
        return at;
    size = tensor_dtype_size(dtype);
    for (int s = node.first; s < node.first + node.leaves; s++)
        if (tensor_is_valid(*dense_of(x, s, k)))
            addends[count++] = (Addend){s, dense_of(x, s, k)->data};
    nn_sum_into(at, dtype, addends, count, node.first, node.leaves, (int64_t)(begin / size),
                (int64_t)(bytes / size));
    return at + pad(bytes);
}

/* The message to one rank: a task of the pool. */
static void write_message(void *context, int rank)
{
    Exchange *x = context;
    int base = x->first_node[x->rank];
    char *at = (char *)(uintptr_t)x->to[rank].data;
    for (int n = 0; n < nodes_of(x, x->rank); n++)
        for (int k = 0; k < x->count; k++) {
            SumNode node = x->nodes[base + n];
            if (!has_node(x, base + n, k))
                continue;
            at = x->modes[k] == DENSE ? write_dense(x, k, node, rank, at)
                                      : write_rows(x, k, &x->rows[n * x->count + k], node, rank, at);
        }
}

static bool write_messages(Exchange *x)
{
    for (int r = 0; r < x->ranks; r++) {
        size_t size = message_bytes(x, r);
        x->to[r] = (NnBytes){tensor_arena_alloc(x->arena, size), size};
        if (!x->to[r].data)
            return false;
    }
    tensor_pool_run(x->p->pool, write_message, x, x->ranks);
    return true;
}

/* ---- Adding up what this rank owns ---- */

/* A block of rows as it came; NULL: it is cut off. Returns what comes behind it. */
static const char *read_rows(const Exchange *x, int k, const char *at, const char *end,
                             TapeGradient *gradient)
{
    int64_t count, shape[TENSOR_MAX_DIMS];
    if (!at || (size_t)(end - at) < sizeof count)
        return NULL;
    memcpy(&count, at, sizeof count);
    if (count < 0 || (size_t)(end - at) < block_bytes(x, k, count))
        return NULL;
    Tensor value = x->parameters[k]->core.value;
    char *ids = (char *)(uintptr_t)at + sizeof count;
    memcpy(shape, value.shape, sizeof shape);
    shape[0] = count;
    *gradient = (TapeGradient){
        .ids = tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(count)),
        .rows = tensor_from(ids + pad((size_t)count * sizeof(int32_t)), value.dtype, value.ndim, shape)};
    return at + block_bytes(x, k, count);
}

/* Finds the parts of what came. False: a message is cut off. */
static bool read_messages(Exchange *x)
{
    for (int r = 0; r < x->ranks; r++) {
        const char *at = x->from[r].data, *end = at + x->from[r].size;
        for (int n = x->first_node[r]; n < x->first_node[r + 1]; n++)
            for (int k = 0; k < x->count; k++) {
                size_t begin, bytes = pad(part_of(x, k, x->rank, &begin));
                if (!has_node(x, n, k))
                    continue;
                if (x->modes[k] == DENSE) {
                    if ((size_t)(end - at) < bytes)
                        return false;
                    x->sent[n * x->count + k] = at;
                    at += bytes;
                } else if (!(at = read_rows(x, k, at, end, &x->sent_rows[n * x->count + k]))) {
                    return false;
                }
            }
    }
    return true;
}

/* A part of a gradient that is added up by itself: a task of the pool. */
typedef struct SumWork {
    const Exchange *x;
    char *out;
} SumWork;

static void sum_dense(void *context, int k)
{
    const SumWork *work = context;
    const Exchange *x = work->x;
    size_t begin, bytes = part_of(x, k, x->rank, &begin);
    TensorDtype dtype = x->parameters[k]->core.value.dtype;
    Addend addends[NN_MOST_SHARDS];
    int count = 0;
    if (bytes == 0)
        return;
    for (int n = 0; n < x->first_node[x->ranks]; n++)
        if (has_node(x, n, k))
            addends[count++] = (Addend){x->nodes[n].first, x->sent[n * x->count + k]};
    nn_sum_into(work->out + (x->offsets[k] + begin - range_of(x, x->rank)), dtype, addends, count, 0,
                x->p->options.shards, 0, (int64_t)(bytes / tensor_dtype_size(dtype)));
}

/* This rank's sums: its range of the dense gradients, and its rows. NULL: no memory. */
static char *sum_own(Exchange *x, size_t *size)
{
    size_t range = range_of(x, x->rank + 1) - range_of(x, x->rank);
    int nodes = x->first_node[x->ranks];
    SumRows *rows = tensor_arena_calloc(x->arena, (size_t)x->count * sizeof *rows);
    TapeGradient *gradients = tensor_arena_alloc(x->arena, (size_t)nodes * sizeof *gradients);
    int *places = tensor_arena_alloc(x->arena, (size_t)nodes * sizeof *places);
    if (!rows || !gradients || !places)
        return NULL;
    *size = range;
    for (int k = 0; k < x->count; k++) {
        if (x->modes[k] != BY_ROWS)
            continue;
        for (int n = 0; n < nodes; n++) {
            gradients[n] = x->sent_rows[n * x->count + k];
            places[n] = x->nodes[n].first;
        }
        if (!nn_sum_rows_find(&rows[k], gradients, places, nodes, x->arena))
            return NULL;
        *size += block_bytes(x, k, rows[k].count);
    }
    char *out = tensor_arena_calloc(x->arena, *size), *at = out + range;
    if (!out)
        return NULL;
    SumWork work = {x, out};
    tensor_pool_run(x->p->pool, sum_dense, &work, x->count);
    for (int k = 0; k < x->count; k++)
        if (x->modes[k] == BY_ROWS)
            at = write_rows(x, k, &rows[k], (SumNode){0, x->p->options.shards}, -1, at);
    return out;
}

/* ---- What all get ---- */

/* The rows of all owners. False: no memory, or a message that is cut off. */
static bool join_rows(const Exchange *x, int k, const char **at, TapeGradient *whole)
{
    int64_t total = 0, shape[TENSOR_MAX_DIMS], done = 0;
    TapeGradient *parts = tensor_arena_alloc(x->arena, (size_t)x->ranks * sizeof *parts);
    if (!parts)
        return false;
    for (int r = 0; r < x->ranks; r++) {
        at[r] = read_rows(x, k, at[r], (const char *)x->from[r].data + x->from[r].size, &parts[r]);
        if (!at[r])
            return false;
        total += parts[r].ids.shape[0];
    }
    Tensor value = x->parameters[k]->core.value;
    memcpy(shape, value.shape, sizeof shape);
    shape[0] = total;
    whole->ids = tensor_new(x->arena, TENSOR_I32, TENSOR_SHAPE(total));
    whole->rows = tensor_new(x->arena, value.dtype, value.ndim, shape);
    if (!tensor_is_valid(whole->ids) || !tensor_is_valid(whole->rows))
        return false;
    for (int r = 0; r < x->ranks; r++) {
        int64_t count = parts[r].ids.shape[0];
        memcpy(tensor_i32(whole->ids) + done, parts[r].ids.data, (size_t)count * sizeof(int32_t));
        memcpy((char *)whole->rows.data + (size_t)done * row_bytes(x, k), parts[r].rows.data,
               (size_t)count * row_bytes(x, k));
        done += count;
    }
    return true;
}

static bool take_sums(Exchange *x)
{
    char *buffer = tensor_arena_alloc(x->arena, x->offsets[x->count]);
    const char **at = tensor_arena_alloc(x->arena, (size_t)x->ranks * sizeof *at);
    if (!buffer || !at)
        return false;
    for (int r = 0; r < x->ranks; r++) {
        size_t range = range_of(x, r + 1) - range_of(x, r);
        if (x->from[r].size < range)
            return false;
        memcpy(buffer + range_of(x, r), x->from[r].data, range);
        at[r] = (const char *)x->from[r].data + range;
    }
    for (int k = 0; k < x->count; k++) {
        Tensor value = x->parameters[k]->core.value;
        TapeGradient whole = {0};
        if (x->modes[k] == DENSE)
            whole.dense = tensor_from(buffer + x->offsets[k], value.dtype, value.ndim, value.shape);
        else if (x->modes[k] == BY_ROWS && !join_rows(x, k, at, &whole))
            return false;
        nn_parallel_set_whole(x->p, x->parameters[k], whole);
    }
    return true;
}

static bool begin(Exchange *x)
{
    if (!list_nodes(x))
        return false;
    size_t count = (size_t)x->count, nodes = (size_t)x->first_node[x->ranks];
    x->kinds = tensor_arena_calloc(x->arena, nodes * count);
    x->modes = tensor_arena_calloc(x->arena, count);
    x->offsets = tensor_arena_calloc(x->arena, (count + 1) * sizeof *x->offsets);
    x->dense = tensor_arena_calloc(x->arena, (size_t)x->p->count * count * sizeof *x->dense);
    x->rows = tensor_arena_calloc(x->arena, (size_t)nodes_of(x, x->rank) * count * sizeof *x->rows);
    x->sent = tensor_arena_calloc(x->arena, nodes * count * sizeof *x->sent);
    x->sent_rows = tensor_arena_calloc(x->arena, nodes * count * sizeof *x->sent_rows);
    x->to = tensor_arena_calloc(x->arena, (size_t)x->ranks * sizeof *x->to);
    x->from = tensor_arena_calloc(x->arena, (size_t)x->ranks * sizeof *x->from);
    return x->kinds && x->modes && x->offsets && x->dense && x->rows && x->sent && x->sent_rows && x->to &&
           x->from;
}

ReelStatus nn_parallel_exchange(NnParallel *p, NnParameter *const *parameters, int count)
{
    Exchange x = {.p = p,
                  .arena = &p->arena,
                  .parameters = parameters,
                  .count = count,
                  .ranks = nn_comm_size(p->options.comm),
                  .rank = nn_comm_rank(p->options.comm)};
    const ReelStatus no_memory = reel_status_failed("out of memory to exchange gradients");
    const ReelStatus cut_off =
        reel_status_failed("a message of gradients cannot be read; the ranks do different "
                           "things");
    if (!begin(&x))
        return no_memory;
    ReelStatus status = agree_on_kinds(&x);
    if (!reel_status_is_ok(&status))
        return status;
    lay_out(&x);
    if (!prepare_nodes(&x) || !write_messages(&x))
        return no_memory;
    status = nn_comm_exchange(p->options.comm, x.to, x.from);
    if (!reel_status_is_ok(&status))
        return status;
    if (!read_messages(&x))
        return cut_off;
    size_t size;
    const char *own = sum_own(&x, &size);
    if (!own)
        return no_memory;
    status = nn_comm_gather_all(p->options.comm, (NnBytes){own, size}, x.from);
    if (!reel_status_is_ok(&status))
        return status;
    return take_sums(&x) ? status : cut_off;
}
