/* bpe encode: from lines of text to lines of ids. */
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

typedef struct EncodeArguments {
    const char *tokenizer;
    bool ids, json;
    int threads;
    double dropout;
    uint64_t seed;
} EncodeArguments;

typedef struct EncodeWorker {
    ModelBpeEncoder *encoder;
    ModelBpeIds ids, ends;
    ReelBytes out;
    bool no_memory;
} EncodeWorker;

typedef struct Encoding {
    const EncodeArguments *arguments;
    const ModelBpeTokenizer *tokenizer;
    EncodeWorker *workers;
    int count;
    TensorPool *pool;
    uint64_t lines, ids;
} Encoding;

static char *put_number(char *out, uint32_t number)
{
    char digits[10];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *out++ = digits[--count];
    return out;
}

static bool print_token(const Encoding *e, ReelBytes *out, int32_t id)
{
    size_t size = 0;
    const char *text = model_bpe_token_text(e->tokenizer, id, &size);
    return reel_bytes_append(out, text, size) && reel_bytes_append(out, " ", 1);
}

/* What a worker has encoded, as lines of text. */
static void print_part(void *context, int task)
{
    Encoding *e = context;
    EncodeWorker *w = &e->workers[task];
    w->out.size = 0;
    bool fine = true;
    for (size_t line = 0, at = 0; line < w->ends.count && fine; line++) {
        size_t end = (size_t)w->ends.ids[line], begin = w->out.size;
        if (!(fine = reel_bytes_reserve(&w->out, (end - at) * 11 + 1)))
            break;
        char *to = w->out.data + w->out.size;
        for (; at < end && e->arguments->ids; at++) {
            to = put_number(to, (uint32_t)w->ids.ids[at]);
            *to++ = ' ';
        }
        w->out.size = (size_t)(to - w->out.data);
        for (; at < end && fine; at++)
            fine = print_token(e, &w->out, w->ids.ids[at]);
        if (fine && w->out.size > begin)
            w->out.data[w->out.size - 1] = '\n';
        else if (fine)
            fine = reel_bytes_append(&w->out, "\n", 1);
    }
    w->no_memory = !fine;
}

static ReelStatus encode_block(void *context, const char *name, bool is_first, const char *text, size_t size)
{
    Encoding *e = context;
    (void)name, (void)is_first;
    ModelBpeEncoder *encoders[BPE_MAX_THREADS];
    ModelBpeIds ids[BPE_MAX_THREADS], ends[BPE_MAX_THREADS];
    for (int i = 0; i < e->count; i++) {
        EncodeWorker *w = &e->workers[i];
        w->ids.count = w->ends.count = 0;
        encoders[i] = w->encoder;
        ids[i] = w->ids;
        ends[i] = w->ends;
    }
    ReelStatus status = model_bpe_encode_parallel(encoders, e->count, e->pool, text, size, ids, ends);
    for (int i = 0; i < e->count; i++) {
        e->workers[i].ids = ids[i];
        e->workers[i].ends = ends[i];
        e->lines += ends[i].count;
        e->ids += ids[i].count;
    }
    if (!reel_status_is_ok(&status))
        return status;
    tensor_pool_run(e->pool, print_part, e, e->count);
    for (int i = 0; i < e->count; i++)
        if (e->workers[i].no_memory)
            return reel_status_no_memory(BPE_BLOCK_BYTES, "output");
    for (int i = 0; i < e->count && reel_status_is_ok(&status); i++)
        status = bpe_write(e->workers[i].out.data, e->workers[i].out.size);
    return status;
}

static ReelStatus encoding_start(Encoding *e)
{
    e->workers = reel_mem_calloc((size_t)e->count, sizeof *e->workers);
    e->pool = tensor_pool_new(e->count);
    if (!e->workers || !e->pool)
        return reel_status_no_memory(0, "threads");
    for (int i = 0; i < e->count; i++) {
        if (!(e->workers[i].encoder = model_bpe_encoder_new(e->tokenizer)))
            return reel_status_no_memory(0, "an encoder");
        model_bpe_encoder_set_dropout(e->workers[i].encoder, e->arguments->dropout, e->arguments->seed);
    }
    return reel_status_ok();
}

static void encoding_stop(Encoding *e)
{
    for (int i = 0; e->workers && i < e->count; i++) {
        model_bpe_encoder_free(e->workers[i].encoder);
        model_bpe_ids_free(&e->workers[i].ids);
        model_bpe_ids_free(&e->workers[i].ends);
        reel_mem_free(e->workers[i].out.data);
    }
    reel_mem_free(e->workers);
    tensor_pool_free(e->pool);
}

static ReelStatus report_encoding(const Encoding *e, uint64_t bytes, double seconds)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "bytes", (int64_t)bytes);
    reel_json_integer(&json, "lines", (int64_t)e->lines);
    reel_json_integer(&json, "ids", (int64_t)e->ids);
    reel_json_number(&json, "seconds", seconds);
    reel_json_integer(&json, "threads", e->count);
    reel_json_end_object(&json);
    return program_print_json(&json, stderr);
}

static ReelStatus encode_files(const EncodeArguments *a, const char **files, int file_count)
{
    ModelBpeTokenizer *tokenizer;
    ReelStatus status = model_bpe_load(&tokenizer, a->tokenizer);
    if (!reel_status_is_ok(&status))
        return status;
    /* What dropout draws follows the texts one by one, so it has one encoder. */
    Encoding e = {.arguments = a, .tokenizer = tokenizer, .count = a->dropout > 0 ? 1 : a->threads};
    double started = reel_clock_seconds();
    uint64_t bytes = 0;
    status = encoding_start(&e);
    if (reel_status_is_ok(&status))
        status = bpe_each_block(files, file_count, "encoding", e.count > 1 ? (size_t)BPE_BLOCK_BYTES : 1,
                                encode_block, &e, &bytes);
    if (reel_status_is_ok(&status) && a->json)
        status = report_encoding(&e, bytes, reel_clock_seconds() - started + 1e-9);
    encoding_stop(&e);
    model_bpe_tokenizer_free(tokenizer);
    return status;
}

ReelStatus bpe_command_encode(int argc, char **argv)
{
    EncodeArguments a = {.threads = 1};
    const ModelOption options[] = {
        {"tokenizer", "FILE", MODEL_OPTION_TEXT, &a.tokenizer, 0, 0, "the tokenizer.json"},
        {"ids", NULL, MODEL_OPTION_FLAG, &a.ids, 0, 0,
         "print ids (otherwise tokens as the file writes them)"},
        {"dropout", "P", MODEL_OPTION_NUMBER, &a.dropout, 0, 1,
         "BPE dropout: leave merges out with this probability"},
        {"seed", "N", MODEL_OPTION_SEED, &a.seed, 0, 0, "what dropout draws from (default 0)"},
        {"threads", "N", MODEL_OPTION_INTEGER, &a.threads, 1, BPE_MAX_THREADS, "threads; changes no result"},
        {"json", NULL, MODEL_OPTION_FLAG, &a.json, 0, 0, "report as JSON on standard error"},
    };
    const Program program = {.name = "encode",
                             .summary = "turn lines of text into lines of ids",
                             .synopsis = "--tokenizer FILE --ids TEXT...",
                             .description = "One line for each line of text; - is standard input.",
                             .options = options,
                             .count = OPTION_COUNT(options),
                             .is_command = true};
    const char *files[argc];
    int file_count;
    ReelStatus status;
    if (!program_reads(&program, argc, argv, files, &file_count, &status))
        return status;
    if (!a.tokenizer || file_count == 0)
        return reel_status_usage("encode needs --tokenizer FILE and at least one text");
    return encode_files(&a, files, file_count);
}
