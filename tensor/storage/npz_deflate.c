#include "tensor/storage/npz_deflate_internal.h"

#include "tensor/mem.h"
#include "tensor/storage/npz_format_internal.h"

#include <string.h>

bool tensor_npz_deflater_open(NpzDeflater *deflater, int level)
{
    *deflater = (NpzDeflater){.level = level, .in = reel_mem_alloc(NPZ_BLOCK_BYTES)};
    if (!deflater->in || level == 0)
        return deflater->in != NULL;
    deflater->out = reel_mem_alloc(NPZ_BLOCK_OUT_BYTES);
    deflater->stream = (z_stream){.zalloc = tensor_npz_zalloc, .zfree = tensor_npz_zfree};
    deflater->has_stream = deflateInit2(&deflater->stream, level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                                        Z_DEFAULT_STRATEGY) == Z_OK;
    return deflater->out && deflater->has_stream;
}

void tensor_npz_deflater_close(NpzDeflater *deflater)
{
    if (deflater->has_stream)
        deflateEnd(&deflater->stream);
    reel_mem_free(deflater->in);
    reel_mem_free(deflater->out);
    *deflater = (NpzDeflater){0};
}

size_t tensor_npz_deflater_fill(NpzDeflater *deflater, const void *data, size_t size)
{
    size_t room = NPZ_BLOCK_BYTES - deflater->in_size, part = room < size ? room : size;
    memcpy(deflater->in + deflater->in_size, data, part);
    deflater->in_size += part;
    return part;
}

bool tensor_npz_deflater_flush(NpzDeflater *deflater, int strategy, bool last, NpzBlock *block)
{
    z_stream *stream = &deflater->stream;
    size_t size = deflater->in_size;
    deflater->in_size = 0;
    *block = (NpzBlock){.bytes = deflater->in,
                        .size = size,
                        .in_size = size,
                        .crc = (uint32_t)crc32_z(0, deflater->in, size)};
    if (deflater->level == 0)
        return true;
    if (deflateReset(stream) != Z_OK || deflateParams(stream, deflater->level, strategy) != Z_OK)
        return false;
    stream->next_in = deflater->in;
    stream->avail_in = (uInt)size;
    stream->next_out = deflater->out;
    stream->avail_out = NPZ_BLOCK_OUT_BYTES;
    int result = deflate(stream, last ? Z_FINISH : Z_SYNC_FLUSH);
    block->bytes = deflater->out;
    block->size = NPZ_BLOCK_OUT_BYTES - stream->avail_out;
    return result == (last ? Z_STREAM_END : Z_OK) && stream->avail_in == 0 && stream->avail_out > 0;
}
