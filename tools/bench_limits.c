#define _GNU_SOURCE
#include "tools/bench_limits.h"
#include "tensor/matmul.h"
#include "tensor/clock.h"
#include "tensor/pool.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_THREADS = 256, PRODUCT = 1024, REPEATS = 3 };

/* What a thread copies in all, at least. */
static const size_t COPIED_BYTES = (size_t)64 << 20;

/* One thread's part. All begin together. */
typedef struct Part {
    pthread_barrier_t *start;
    size_t copies; /* bytes of a block; 0: products */
    void *memory;
    double rate;
} Part;

/* Memory straight from the system, so that nothing of it stays in the process. */
static size_t part_bytes(size_t copies)
{
    return copies ? 2 * copies : 3 * sizeof(float) * PRODUCT * PRODUCT;
}

static void run_products(Part *part)
{
    float *data = part->memory;
    Tensor t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = tensor_from(data + (size_t)i * PRODUCT * PRODUCT, TENSOR_F32, TENSOR_SHAPE(PRODUCT, PRODUCT));
        tensor_fill(t[i], 0.5 * (i + 1));
    }
    tensor_matmul(t[0], 1, t[1], t[2], 0); /* the first one finds no buffers yet, and a core at rest */
    pthread_barrier_wait(part->start);
    double started = reel_clock_seconds();
    for (int i = 0; i < REPEATS; i++)
        tensor_matmul(t[0], 1, t[1], t[2], 0);
    part->rate = REPEATS * 2.0 * PRODUCT * PRODUCT * PRODUCT / (reel_clock_seconds() - started);
}

static void run_copies(Part *part)
{
    size_t bytes = part->copies, repeats = COPIED_BYTES / bytes + 1;
    char *first = part->memory, *second = first + bytes;
    memset(first, 1, 2 * bytes);
    pthread_barrier_wait(part->start);
    double started = reel_clock_seconds();
    for (size_t i = 0; i < repeats; i++) {
        memcpy(second, first, bytes);
        __asm__ volatile("" : : "r"(second) : "memory"); /* every copy counts */
    }
    part->rate = (double)repeats * 2.0 * (double)bytes / (reel_clock_seconds() - started);
}

/* A task of the pool; each has a thread of its own, since all wait for the last one. */
static void run_part(void *parts, int i)
{
    Part *part = (Part *)parts + i;
    if (part->copies)
        run_copies(part);
    else
        run_products(part);
}

static double run_all(int threads, size_t copies)
{
    Part parts[MAX_THREADS];
    pthread_barrier_t start;
    double sum = 0;
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    size_t bytes = part_bytes(copies) * (size_t)threads;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    for (int i = 0; i < threads; i++)
        parts[i] = (Part){&start, copies, memory + (size_t)i * part_bytes(copies), 0};
    TensorPool *pool = tensor_pool_new(threads);
    if (pool && pthread_barrier_init(&start, NULL, (unsigned)threads) == 0) {
        tensor_pool_run(pool, run_part, parts, threads);
        pthread_barrier_destroy(&start);
    }
    tensor_pool_free(pool);
    for (int i = 0; i < threads; i++)
        sum += parts[i].rate;
    munmap(memory, bytes);
    return 1e-9 * sum;
}

double limits_sgemm(int threads)
{
    return run_all(threads, 0);
}

double limits_copy(int threads, size_t bytes)
{
    return run_all(threads, bytes);
}
