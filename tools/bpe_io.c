#define _GNU_SOURCE /* memrchr() */
#include "tensor/storage/text_file.h"
#include "tools/bpe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void bpe_show_bytes(Meter *meter, const char *what, uint64_t done)
{
    double megabytes = (double)done / 1e6;
    if (meter_is_due(meter))
        meter_draw(meter, "%s %.1f MB, %.1f MB/s", what, megabytes, megabytes / meter_seconds(meter));
}

/* ---- Blocks of whole lines from files ---- */

ReelStatus input_open(Input *input, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    *input = (Input){.fd = STDIN_FILENO, .name = is_stdin ? "standard input" : path};
    return is_stdin ? reel_status_ok() : reel_text_file_open(path, &input->fd);
}

void input_close(Input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    reel_bytes_free(&input->bytes);
}

static ReelStatus input_more(Input *input)
{
    ReelBytes *b = &input->bytes;
    if (!reel_bytes_reserve(b, BPE_BLOCK_BYTES))
        return reel_status_no_memory(b->size + BPE_BLOCK_BYTES, "a block of text");
    ssize_t got = read(input->fd, b->data + b->size, b->capacity - b->size);
    if (got < 0 && errno == EINTR)
        return reel_status_ok();
    if (got < 0)
        return reel_status_failed("%s: cannot read: %s", input->name, strerror(errno));
    input->ended = got == 0;
    b->size += (size_t)got;
    input->read += (uint64_t)got;
    return reel_status_ok();
}

ReelStatus input_next(Input *input, size_t at_least)
{
    ReelBytes *b = &input->bytes;
    if (b->size > input->block)
        memmove(b->data, b->data + input->block, b->size - input->block);
    b->size -= input->block;
    input->block = 0;
    for (size_t looked = 0; input->block == 0 && !input->ended;) {
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
