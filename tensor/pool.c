#define _GNU_SOURCE
#include "tensor/pool.h"
#include "tensor/mem.h"
#include "tensor/vmath.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

struct TensorPool {
    int threads;
    pthread_t *others; /* [threads - 1] */
    int started;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    /* All below under the lock. */
    TensorPoolTask *task;
    void *context;
    int next, count, running;
    unsigned round; /* grows with each tensor_pool_run() */
    bool stop;
};

/* Takes tasks until none is left. Called and left with the lock held. */
static void work_off(TensorPool *pool)
{
    while (pool->next < pool->count) {
        int task = pool->next++;
        TensorPoolTask *function = pool->task;
        void *context = pool->context;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        unsigned mode = tensor_vmath_flush_denormals();
        function(context, task);
        tensor_vmath_restore(mode);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    if (pool->running == 0)
        pthread_cond_broadcast(&pool->done);
}

static void *other_thread(void *argument)
{
    TensorPool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    unsigned seen = 0;
    for (;;) {
        while (!pool->stop && pool->round == seen)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->stop)
            break;
        seen = pool->round;
        work_off(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

TensorPool *tensor_pool_new(int threads)
{
    TensorPool *pool = reel_mem_calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->threads = threads < 1 ? 1 : threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->others = reel_mem_calloc((size_t)pool->threads, sizeof *pool->others);
    if (!pool->others) {
        tensor_pool_free(pool);
        return NULL;
    }
    for (; pool->started < pool->threads - 1; pool->started++)
        if (pthread_create(&pool->others[pool->started], NULL, other_thread, pool) != 0) {
            tensor_pool_free(pool);
            return NULL;
        }
    return pool;
}

void tensor_pool_free(TensorPool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->others[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    reel_mem_free(pool->others);
    reel_mem_free(pool);
}

void tensor_pool_run(TensorPool *pool, TensorPoolTask *task, void *context, int count)
{
    if (!pool || pool->threads == 1 || count <= 1) {
        unsigned mode = tensor_vmath_flush_denormals();
        for (int i = 0; i < count; i++)
            task(context, i);
        tensor_vmath_restore(mode);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->context = context;
    pool->next = 0;
    pool->count = count;
    pool->round++;
    pthread_cond_broadcast(&pool->work);
    work_off(pool);
    while (pool->running > 0 || pool->next < pool->count)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

int tensor_pool_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}
