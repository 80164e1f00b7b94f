/* What the shards of a step have, which those who add up, exchange and follow it all ask. */
#include "nn/module_internal.h"
#include "nn/parallel_internal.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- Parameters, by address ---- */

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (NnParameter *const *)a, y = (uintptr_t) * (NnParameter *const *)b;
    return (x > y) - (x < y);
}

bool nn_parallel_list(NnParallel *p)
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

int nn_parallel_number(const NnParallel *p, const NnParameter *parameter)
{
    NnParameter *const *found =
        bsearch(&parameter, p->parameters, (size_t)p->parameter_count, sizeof(NnParameter *), by_address);
    return found ? (int)(found - p->parameters) : -1;
}

/* ---- Gradients ---- */

int nn_parallel_first_shard(const NnParallel *p, int rank)
{
    return (int)((int64_t)p->options.shards * rank / nn_comm_size(p->options.comm));
}

bool nn_gradient_is_present(const TapeGradient *gradient)
{
    return tensor_is_valid(gradient->dense) || tensor_is_valid(gradient->rows);
}

TapeGradient nn_parallel_gradient(const NnParallel *p, int shard, const NnParameter *parameter)
{
    int number = nn_parallel_number(p, parameter);
    if (number < 0)
        return (TapeGradient){0};
    const TapeGradient *fresh = &p->shards[shard].fresh[number];
    return nn_gradient_is_present(fresh)
               ? *fresh
               : nn_kept_view(&p->shards[shard].kept[number], parameter->core.value);
}

void nn_parallel_set_whole(NnParallel *p, const NnParameter *parameter, TapeGradient gradient)
{
    int number = nn_parallel_number(p, parameter);
    if (number >= 0)
        p->whole[number] = gradient;
}

/* ---- What the ranks tell each other ---- */

ReelStatus nn_parallel_tell(NnParallel *p, const ReelStatus *mine, char *message, size_t size)
{
    int64_t failed = !reel_status_is_ok(mine);
    memcpy(message, &failed, sizeof failed);
    ReelStatus status = nn_comm_gather_all(p->options.comm, (NnBytes){message, size}, p->messages);
    bool any = false;
    for (int r = 0; r < nn_comm_size(p->options.comm) && reel_status_is_ok(&status); r++) {
        if (p->messages[r].size < sizeof failed)
            return reel_status_failed("rank %d does something else than rank %d", r,
                                      nn_comm_rank(p->options.comm));
        memcpy(&failed, p->messages[r].data, sizeof failed);
        p->messages[r].data = (const char *)p->messages[r].data + sizeof failed;
        p->messages[r].size -= sizeof failed;
        any = any || failed;
    }
    return reel_status_is_ok(&status) && any ? nn_comm_agree(p->options.comm, mine) : status;
}
