/* bpe decode: from lines of ids to lines of text. */
#include "tensor/mem.h"
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

typedef struct Decoding {
    const ModelBpeTokenizer *tokenizer;
    bool keep_special;
    ModelBpeIds ids;
    ReelBytes out;
    uint64_t line;
} Decoding;

static ReelStatus parse_ids(Decoding *d, const char *name, const char *text, const char *end)
{
    const char *line = text;
    d->ids.count = 0;
    while (text < end) {
        if (*text == ' ' || *text == '\t' || *text == '\r') {
            text++;
            continue;
        }
        int64_t id = 0;
        const char *begin = text;
        for (; text < end && *text >= '0' && *text <= '9' && id <= INT32_MAX; text++)
            id = id * 10 + (*text - '0');
        bool ended = text == end || *text == ' ' || *text == '\t' || *text == '\r';
        if (text == begin || !ended || id >= model_bpe_vocab_size(d->tokenizer))
            return reel_status_failed("%s:%llu: an id from 0 to %d is expected at column %zu", name,
                                      (unsigned long long)d->line, model_bpe_vocab_size(d->tokenizer) - 1,
                                      (size_t)(begin - line) + 1);
        int32_t *ids = reel_mem_grow(d->ids.ids, d->ids.count, &d->ids.capacity, sizeof *ids);
        if (!ids)
            return reel_status_no_memory(BPE_BLOCK_BYTES, "output");
        d->ids.ids = ids;
        ids[d->ids.count++] = (int32_t)id;
    }
    return reel_status_ok();
}

static ReelStatus decode_block(void *context, const char *name, bool is_first, const char *text, size_t size)
{
    Decoding *d = context;
    ReelStatus status = reel_status_ok();
    d->out.size = 0;
    d->line = is_first ? 0 : d->line;
    for (const char *end = text + size; text < end && reel_status_is_ok(&status);) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed ? feed : end;
        d->line++;
        status = parse_ids(d, name, text, stop);
        if (reel_status_is_ok(&status))
            status = model_bpe_decode(d->tokenizer, d->ids.ids, d->ids.count, !d->keep_special, &d->out);
        if (reel_status_is_ok(&status) && !reel_bytes_append(&d->out, "\n", 1))
            status = reel_status_no_memory(BPE_BLOCK_BYTES, "output");
        text = stop + (feed != NULL);
    }
    ReelStatus written = bpe_write(d->out.data, d->out.size);
    return reel_status_is_ok(&status) ? written : status;
}

ReelStatus bpe_command_decode(int argc, char **argv)
{
    const char *path = NULL;
    Decoding d = {0};
    const ModelOption options[] = {
        {"tokenizer", "FILE", MODEL_OPTION_TEXT, &path, 0, 0, "the tokenizer.json"},
        {"keep-special", NULL, MODEL_OPTION_FLAG, &d.keep_special, 0, 0, "print special tokens too"},
    };
    const Program program = {.name = "decode",
                             .summary = "turn lines of ids into lines of text",
                             .synopsis = "--tokenizer FILE IDS...",
                             .description = "One line of text for each line of ids; - is standard input.",
                             .options = options,
                             .count = OPTION_COUNT(options),
                             .is_command = true};
    const char *files[argc];
    int file_count;
    ReelStatus status;
    if (!program_reads(&program, argc, argv, files, &file_count, &status))
        return status;
    if (!path || file_count == 0)
        return reel_status_usage("decode needs --tokenizer FILE and at least one file of ids");
    ModelBpeTokenizer *tokenizer = NULL;
    status = model_bpe_load(&tokenizer, path);
    d.tokenizer = tokenizer;
    if (reel_status_is_ok(&status))
        status = bpe_each_block(files, file_count, "decoding", 1, decode_block, &d, NULL);
    model_bpe_tokenizer_free(tokenizer);
    reel_mem_free(d.ids.ids);
    reel_mem_free(d.out.data);
    return status;
}
