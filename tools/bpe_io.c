#define _GNU_SOURCE /* memrchr() */
#include "tensor/storage/text_source.h"
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

void bpe_show_bytes(Meter *meter, const char *what, uint64_t done)
{
    double megabytes = (double)done / 1e6;
    if (meter_is_due(meter))
        meter_draw(meter, "%s %.1f MB, %.1f MB/s", what, megabytes, megabytes / meter_seconds(meter));
}

/* ---- Blocks of whole lines from files ---- */

/* A file at hand. */
typedef struct Input {
    ReelTextSource source;
    ReelBytes bytes; /* the block, then what was read behind it */
    size_t block;
    uint64_t read;
} Input;

static ReelStatus input_more(Input *input)
{
    ReelBytes *b = &input->bytes;
    size_t got = 0;
    if (!reel_bytes_reserve(b, BPE_BLOCK_BYTES))
        return reel_status_no_memory(b->size + BPE_BLOCK_BYTES, "a block of text");
    ReelStatus status = reel_text_source_read(&input->source, b->data + b->size, b->capacity - b->size, &got);
    b->size += got;
    input->read += got;
    return status;
}

/* The next `at_least` bytes or more of whole lines, in bytes.data[0 .. block); 0 at the end. */
static ReelStatus input_next(Input *input, size_t at_least)
{
    ReelBytes *b = &input->bytes;
    if (b->size > input->block)
        memmove(b->data, b->data + input->block, b->size - input->block);
    b->size -= input->block;
    input->block = 0;
    for (size_t looked = 0; input->block == 0 && !input->source.ended;) {
        ReelStatus status = input_more(input);
        if (!reel_status_is_ok(&status))
            return status;
        if (b->size < at_least)
            continue;
        const char *feed = memrchr(b->data + looked, '\n', b->size - looked);
        looked = b->size;
        if (feed)
            input->block = (size_t)(feed - b->data) + 1;
    }
    if (input->block == 0)
        input->block = b->size;
    return reel_status_ok();
}

ReelStatus bpe_each_block(const char **files, int count, const char *what, size_t at_least,
                          BpeTakeBlock *take, void *context, uint64_t *bytes)
{
    Meter meter = meter_start();
    ReelStatus status = reel_status_ok();
    uint64_t before = 0;
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        Input input = {0};
        bool is_first = true;
        status = reel_text_source_open(&input.source, files[i]);
        if (reel_status_is_ok(&status))
            status = input_next(&input, at_least);
        for (; reel_status_is_ok(&status) && input.block > 0; is_first = false) {
            status = take(context, input.source.name, is_first, input.bytes.data, input.block);
            bpe_show_bytes(&meter, what, before + input.read);
            if (reel_status_is_ok(&status))
                status = input_next(&input, at_least);
        }
        before += input.read;
        reel_text_source_close(&input.source);
        reel_bytes_free(&input.bytes);
    }
    meter_clear(&meter);
    if (bytes)
        *bytes = before;
    return status;
}

ReelStatus bpe_write(const char *data, size_t size)
{
    return fwrite(data, 1, size, stdout) == size ? reel_status_ok() : program_check_output();
}
