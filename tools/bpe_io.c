#define _GNU_SOURCE /* memrchr() */
#include "tools/bpe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void bpe_show_bytes(Meter *meter, const char *what, uint64_t done)
{
    double megabytes = (double)done / 1e6;
    if (meter_is_due(meter))
        meter_draw(meter, "%s %.1f MB, %.1f MB/s", what, megabytes, megabytes / meter_seconds(meter));
}

/* ---- Blocks of whole lines from files ---- */

ReelStatus input_open(Input *input, const char *path)
{
    *input = (Input){0};
    return reel_text_source_open(&input->source, path);
}

void input_close(Input *input)
{
    reel_text_source_close(&input->source);
    reel_bytes_free(&input->bytes);
}

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

ReelStatus input_next(Input *input, size_t at_least)
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

ReelStatus output_write(const char *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size)
        return reel_status_failed("standard output: cannot write: %s", strerror(errno));
    return reel_status_ok();
}

ReelStatus output_flush(void)
{
    if (fflush(stdout) != 0)
        return reel_status_failed("standard output: cannot write: %s", strerror(errno));
    return reel_status_ok();
}

ReelStatus output_no_memory(void)
{
    return reel_status_no_memory(BPE_BLOCK_BYTES, "output");
}

void output_report(FILE *to, ReelJsonWriter *json)
{
    const char *text = reel_json_finish(json);
    if (text)
        fputs(text, to);
    reel_json_free(json);
}
