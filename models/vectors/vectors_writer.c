#include "models/vectors/vectors_writer.h"

#include "tensor/mem.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/storage/npz_writer.h"

#include <stdio.h>
#include <string.h>

static ReelStatus write_npz(const char *path, const ModelStringTable *words, Tensor rows)
{
    size_t size = 0, at = 0;
    for (int32_t i = 0; i < words->count; i++)
        size += words->items[i].length + 1;
    char *lines = reel_mem_alloc(size);
    if (!lines)
        return reel_status_no_memory(size, path);
    for (int32_t i = 0; i < words->count; i++) {
        memcpy(lines + at, model_string_table_text(words, i), words->items[i].length);
        at += words->items[i].length;
        lines[at++] = '\n';
    }
    TensorNpzWriter *writer;
    ReelStatus status = tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1});
    if (reel_status_is_ok(&status)) {
        tensor_npz_add_tensor(writer, "vectors", rows);
        tensor_npz_add_bytes(writer, "words.txt", lines, size);
        status = tensor_npz_writer_finish(writer);
    }
    reel_mem_free(lines);
    return status;
}

/* What is to be written next, and where. */
typedef struct Output {
    ReelAtomicFile file;
    uint64_t at;
    char *bytes;
    size_t used, capacity;
} Output;

static ReelStatus flush(Output *out)
{
    ReelStatus status = reel_atomic_file_write(&out->file, out->at, out->bytes, out->used);
    out->at += out->used;
    out->used = 0;
    return status;
}

/* A row as text: nine digits tell every float from the next. */
static void print_row(Output *out, const float *row, int64_t width)
{
    for (int64_t j = 0; j < width; j++)
        out->used += (size_t)snprintf(out->bytes + out->used, 32, " %.9g", (double)row[j]);
    out->bytes[out->used++] = '\n';
}

static void copy_row(Output *out, const float *row, int64_t width)
{
    out->bytes[out->used++] = ' ';
    memcpy(out->bytes + out->used, row, (size_t)width * sizeof *row);
    out->used += (size_t)width * sizeof *row;
    out->bytes[out->used++] = '\n';
}

static ReelStatus write_rows(Output *out, const ModelStringTable *words, Tensor rows, bool binary)
{
    int64_t width = rows.shape[1];
    out->used = (size_t)snprintf(out->bytes, out->capacity, "%d %lld\n", words->count, (long long)width);
    for (int32_t i = 0; i < words->count; i++) {
        size_t length = words->items[i].length;
        ReelStatus status = reel_status_ok();
        if (out->used + length + (size_t)(width + 1) * 32 > out->capacity)
            status = flush(out);
        if (!reel_status_is_ok(&status))
            return status;
        memcpy(out->bytes + out->used, model_string_table_text(words, i), length);
        out->used += length;
        (binary ? copy_row : print_row)(out, tensor_f32(rows) + i * width, width);
    }
    return flush(out);
}

static ReelStatus write_word2vec(const char *path, const ModelStringTable *words, Tensor rows, bool binary)
{
    size_t longest = 0;
    for (int32_t i = 0; i < words->count; i++)
        longest = words->items[i].length > longest ? words->items[i].length : longest;
    Output out = {.capacity = (1 << 20) + longest + (size_t)(rows.shape[1] + 1) * 32};
    out.bytes = reel_mem_alloc(out.capacity);
    if (!out.bytes)
        return reel_status_no_memory(out.capacity, path);
    ReelStatus status = reel_atomic_file_open(&out.file, path);
    if (reel_status_is_ok(&status)) {
        status = write_rows(&out, words, rows, binary);
        if (reel_status_is_ok(&status))
            status = reel_atomic_file_commit(&out.file);
        else
            reel_atomic_file_abandon(&out.file);
    }
    reel_mem_free(out.bytes);
    return status;
}

ReelStatus model_vectors_write(const char *path, const ModelStringTable *words, Tensor rows)
{
    if (rows.dtype != TENSOR_F32 || rows.ndim != 2 || rows.shape[0] != words->count ||
        !tensor_is_contiguous(&rows))
        return reel_status_failed("%s: the vectors must be f32 [%d, d] without gaps", path, words->count);
    if (reel_path_ends(path, ".npz"))
        return write_npz(path, words, rows);
    return write_word2vec(path, words, rows, reel_path_ends(path, ".bin"));
}
