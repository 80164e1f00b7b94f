#include "tensor/storage/npz_deflate_internal.h"

#include "tensor/storage/npz_format_internal.h"
#include "tensor/mem.h"

#include <signal.h>
#include <string.h>

static void deflate_block(z_stream *stream, NpzBlock *block, int level)
{
    block->crc = (uint32_t)crc32_z(0, block->in, block->in_size);
    block->result = level == 0 ? block->in : block->out;
    block->result_size = block->in_size;
    if (level == 0)
        return;
    block->failed = deflateReset(stream) != Z_OK || deflateParams(stream, level, block->strategy) != Z_OK;
    stream->next_in = block->in;
    stream->avail_in = (uInt)block->in_size;
    stream->next_out = block->out;
    stream->avail_out = NPZ_BLOCK_OUT_BYTES;
    int result = block->failed ? Z_OK : deflate(stream, block->last ? Z_FINISH : Z_SYNC_FLUSH);
    if (result != (block->last ? Z_STREAM_END : Z_OK) || stream->avail_in > 0 || stream->avail_out == 0)
        block->failed = true;
    block->result_size = NPZ_BLOCK_OUT_BYTES - stream->avail_out;
}

typedef struct Worker {
    NpzDeflater *deflater;
    z_stream *stream;
} Worker;

static void *work(void *argument)
{
    Worker worker = *(Worker *)argument;
    NpzDeflater *deflater = worker.deflater;
    mem_free(argument);
    pthread_mutex_lock(&deflater->lock);
    for (;;) {
        while (deflater->taken == deflater->submitted && !deflater->stop)
            pthread_cond_wait(&deflater->submitted_one, &deflater->lock);
        if (deflater->taken == deflater->submitted)
            break;
        NpzBlock *block = &deflater->blocks[deflater->taken++ % deflater->block_count];
        pthread_mutex_unlock(&deflater->lock);
        deflate_block(worker.stream, block, deflater->level);
        pthread_mutex_lock(&deflater->lock);
        block->done = true;
        pthread_cond_signal(&deflater->done_one);
    }
    pthread_mutex_unlock(&deflater->lock);
    return NULL;
}

/* Signals are for the caller's threads, which expect them. */
static void start_threads(NpzDeflater *deflater)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (deflater->thread_count < deflater->stream_count) {
        Worker *worker = mem_alloc(sizeof *worker);
        if (!worker)
            break;
        *worker = (Worker){deflater, &deflater->streams[deflater->thread_count]};
        if (pthread_create(&deflater->threads[deflater->thread_count], NULL, work, worker) != 0) {
            mem_free(worker);
            break;
        }
        deflater->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_threads(NpzDeflater *deflater)
{
    pthread_mutex_lock(&deflater->lock);
    deflater->stop = true;
    pthread_cond_broadcast(&deflater->submitted_one);
    pthread_mutex_unlock(&deflater->lock);
    for (int i = 0; i < deflater->thread_count; i++)
        pthread_join(deflater->threads[i], NULL);
    deflater->thread_count = 0;
}

/* ---- Opening and closing ---- */

static bool make_buffers(NpzDeflater *deflater, size_t threads)
{
    bool deflated = deflater->level > 0;
    deflater->block_count = threads > 1 ? threads * NPZ_BLOCKS_PER_THREAD : 1;
    deflater->blocks = mem_calloc(deflater->block_count, sizeof *deflater->blocks);
    deflater->streams = mem_calloc(threads, sizeof *deflater->streams);
    deflater->threads = mem_calloc(threads, sizeof *deflater->threads);
    if (!deflater->blocks || !deflater->streams || !deflater->threads)
        return false;
    for (size_t i = 0; i < deflater->block_count; i++) {
        NpzBlock *block = &deflater->blocks[i];
        block->in = mem_alloc(NPZ_BLOCK_BYTES);
        block->out = deflated ? mem_alloc(NPZ_BLOCK_OUT_BYTES) : NULL;
        if (!block->in || (deflated && !block->out))
            return false;
    }
    for (; deflated && deflater->stream_count < (int)threads; deflater->stream_count++) {
        z_stream *stream = &deflater->streams[deflater->stream_count];
        *stream = (z_stream){.zalloc = npz_zalloc, .zfree = npz_zfree};
        if (deflateInit2(stream, deflater->level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            return false;
    }
    return true;
}

bool npz_deflater_open(NpzDeflater *deflater, int level, int threads)
{
    *deflater = (NpzDeflater){.level = level};
    pthread_mutex_init(&deflater->lock, NULL);
    pthread_cond_init(&deflater->submitted_one, NULL);
    pthread_cond_init(&deflater->done_one, NULL);
    if (!make_buffers(deflater, (size_t)threads))
        return false;
    if (threads > 1)
        start_threads(deflater);
    return true;
}

void npz_deflater_close(NpzDeflater *deflater)
{
    stop_threads(deflater);
    for (int i = 0; i < deflater->stream_count; i++)
        deflateEnd(&deflater->streams[i]);
    for (size_t i = 0; deflater->blocks && i < deflater->block_count; i++) {
        mem_free(deflater->blocks[i].in);
        mem_free(deflater->blocks[i].out);
    }
    mem_free(deflater->blocks);
    mem_free(deflater->streams);
    mem_free(deflater->threads);
    pthread_mutex_destroy(&deflater->lock);
    pthread_cond_destroy(&deflater->submitted_one);
    pthread_cond_destroy(&deflater->done_one);
}

/* ---- The ring ---- */

/* The block that is being filled: the one behind the last that was submitted. */
static NpzBlock *filling(NpzDeflater *deflater)
{
    return &deflater->blocks[deflater->submitted % deflater->block_count];
}

bool npz_deflater_is_full(const NpzDeflater *deflater)
{
    return deflater->submitted - deflater->retired == deflater->block_count;
}

bool npz_deflater_is_busy(const NpzDeflater *deflater)
{
    return deflater->retired < deflater->submitted;
}

void npz_deflater_begin(NpzDeflater *deflater, size_t entry, int strategy, bool first)
{
    NpzBlock *block = filling(deflater);
    *block =
        (NpzBlock){.in = block->in, .out = block->out, .entry = entry, .strategy = strategy, .first = first};
}

size_t npz_deflater_fill(NpzDeflater *deflater, const void *data, size_t size)
{
    NpzBlock *block = filling(deflater);
    size_t room = NPZ_BLOCK_BYTES - block->in_size, part = room < size ? room : size;
    memcpy(block->in + block->in_size, data, part);
    block->in_size += part;
    return part;
}

void npz_deflater_submit(NpzDeflater *deflater, bool last)
{
    NpzBlock *block = filling(deflater);
    block->last = last;
    if (deflater->thread_count == 0) {
        deflate_block(deflater->streams, block, deflater->level);
        block->done = true;
    }
    pthread_mutex_lock(&deflater->lock);
    deflater->submitted++;
    deflater->taken += deflater->thread_count == 0;
    pthread_cond_signal(&deflater->submitted_one);
    pthread_mutex_unlock(&deflater->lock);
}

const NpzBlock *npz_deflater_wait(NpzDeflater *deflater)
{
    const NpzBlock *block = &deflater->blocks[deflater->retired % deflater->block_count];
    pthread_mutex_lock(&deflater->lock);
    while (!block->done)
        pthread_cond_wait(&deflater->done_one, &deflater->lock);
    pthread_mutex_unlock(&deflater->lock);
    return block;
}

void npz_deflater_retire(NpzDeflater *deflater)
{
    deflater->retired++;
}
