#define _GNU_SOURCE
#include "tools/bench_limits.h"
#include "tensor/matmul.h"
#include "tensor/clock.h"
#include "tools/bench.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_THREADS = 256, PRODUCT = 1024, REPEATS = 3 };

/* What a thread copies in all, at least. */
static const size_t COPIED_BYTES = (size_t)64 << 20;

/* Where all threads wait for the last one; a barrier that can be given up, as when a thread cannot be had. */
typedef struct Gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int missing;
    bool given_up;
} Gate;

/* False where it is given up. */
static bool gate_pass(Gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    if (--gate->missing == 0)
        pthread_cond_broadcast(&gate->changed);
    while (gate->missing > 0 && !gate->given_up)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    bool open = !gate->given_up;
    pthread_mutex_unlock(&gate->mutex);
    return open;
}

static void gate_give_up(Gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->given_up = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

/* One thread's part. All begin together. */
typedef struct Part {
    Gate *start;
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
    if (!gate_pass(part->start))
        return;
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
    if (!gate_pass(part->start))
        return;
    double started = reel_clock_seconds();
    for (size_t i = 0; i < repeats; i++) {
        memcpy(second, first, bytes);
        __asm__ volatile("" : : "r"(second) : "memory"); /* every copy counts */
    }
    part->rate = (double)repeats * 2.0 * (double)bytes / (reel_clock_seconds() - started);
}

static void *run_part(void *argument)
{
    Part *part = argument;
    if (part->copies)
        run_copies(part);
    else
        run_products(part);
    return NULL;
}

static double run_all(int threads, size_t copies)
{
    pthread_t ids[MAX_THREADS];
    Part parts[MAX_THREADS];
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    Gate start = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, threads, false};
    size_t bytes = part_bytes(copies) * (size_t)threads;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    int count = 1;
    double sum = 0;
    for (int i = 0; i < threads; i++)
        parts[i] =
            (Part){.start = &start, .copies = copies, .memory = memory + (size_t)i * part_bytes(copies)};
    while (count < threads && pthread_create(&ids[count], NULL, run_part, &parts[count]) == 0)
        count++;
    if (count < threads)
        gate_give_up(&start);
    else
        run_part(&parts[0]);
    for (int i = 1; i < count; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < count; i++)
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
