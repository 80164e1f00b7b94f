/* bpe: trains, uses, shows and converts byte-pair tokenizers. */
#define _GNU_SOURCE
#include "models/bpe/bpe.h"
#include "models/json/json_writer.h"
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum { BLOCK_BYTES = 4 << 20, MAX_THREADS = 64, MAX_SPECIALS = 256 };

/* ---- Progress: a line that is drawn anew, where stderr is a terminal ---- */

typedef struct Meter {
    bool shown;
    double start, drawn;
    uint64_t total; /* bytes, 0: not known */
} Meter;

static Meter meter_start(void)
{
    return (Meter){.shown = isatty(STDERR_FILENO), .start = clock_seconds()};
}

static void meter_bytes(Meter *meter, const char *what, uint64_t done)
{
    double at = clock_seconds();
    if (!meter->shown || at - meter->drawn < 0.1)
        return;
    meter->drawn = at;
    double megabytes = (double)done / 1e6;
    fprintf(stderr, "\r%s %.1f MB, %.1f MB/s\033[K", what, megabytes, megabytes / (at - meter->start + 1e-9));
}

static void meter_clear(const Meter *meter)
{
    if (meter->shown)
        fprintf(stderr, "\r\033[K");
}

static void show_training(void *context, const char *phase, uint64_t done, uint64_t total)
{
    Meter *meter = context;
    if (strcmp(phase, "count") == 0)
        meter_bytes(meter, "reading", done);
    else if (meter->shown && clock_seconds() - meter->drawn > 0.1) {
        meter->drawn = clock_seconds();
        fprintf(stderr, "\rlearning %llu of %llu tokens\033[K", (unsigned long long)done,
                (unsigned long long)total);
    }
}

/* ---- Blocks of whole lines from files ---- */

typedef struct Input {
    int fd;
    const char *name;
    BpeBytes bytes; /* the block, then what was read behind it */
    size_t block;
    bool ended;
    uint64_t read;
} Input;

static Status input_open(Input *input, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    *input = (Input){.fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC),
                     .name = is_stdin ? "standard input" : path};
    return input->fd < 0 ? status_failed("%s: cannot open: %s", path, strerror(errno)) : status_ok();
}

static void input_close(Input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    mem_free(input->bytes.data);
}

static Status input_more(Input *input)
{
    BpeBytes *b = &input->bytes;
    if (b->capacity - b->size < BLOCK_BYTES) {
        size_t wanted = b->capacity * 2 + BLOCK_BYTES;
        char *moved = mem_realloc(b->data, wanted);
        if (!moved)
            return status_no_memory(wanted, "a block of text");
        b->data = moved;
        b->capacity = wanted;
    }
    ssize_t got = read(input->fd, b->data + b->size, b->capacity - b->size);
    if (got < 0 && errno == EINTR)
        return status_ok();
    if (got < 0)
        return status_failed("%s: cannot read: %s", input->name, strerror(errno));
    input->ended = got == 0;
    b->size += (size_t)got;
    input->read += (uint64_t)got;
    return status_ok();
}

/* The next `at_least` bytes or more of whole lines, in bytes.data[0 .. block); 0 at the end. */
static Status input_next(Input *input, size_t at_least)
{
    BpeBytes *b = &input->bytes;
    if (b->size > input->block)
        memmove(b->data, b->data + input->block, b->size - input->block);
    b->size -= input->block;
    input->block = 0;
    for (size_t looked = 0; input->block == 0 && !input->ended;) {
        Status status = input_more(input);
        if (!status_is_ok(&status))
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
    return status_ok();
}

static Status write_all(const char *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size)
        return status_failed("standard output: cannot write: %s", strerror(errno));
    return status_ok();
}

static Status flush_output(void)
{
    if (fflush(stdout) != 0)
        return status_failed("standard output: cannot write: %s", strerror(errno));
    return status_ok();
}

static Status out_of_memory(void)
{
    return status_no_memory(BLOCK_BYTES, "output");
}

/* Room for `more` bytes. */
static char *room(BpeBytes *bytes, size_t more)
{
    if (bytes->capacity - bytes->size < more) {
        size_t wanted = bytes->capacity * 2 + more;
        char *moved = mem_realloc(bytes->data, wanted);
        if (!moved)
            return NULL;
        bytes->data = moved;
        bytes->capacity = wanted;
    }
    return bytes->data + bytes->size;
}

static void print_report(FILE *to, JsonWriter *json)
{
    const char *text = json_finish(json);
    if (text)
        fputs(text, to);
    json_free(json);
}

/* ---- train ---- */

typedef struct TrainArguments {
    int vocab, merges, min_frequency, max_token_length, threads;
    const char *pretokenizer, *out, *special, *unk;
    bool add_prefix_space, json;
} TrainArguments;

static Status find_pretokenizer(const char *name, BpePretokenizer *found)
{
    for (int i = BPE_WHITESPACE; i <= BPE_SUBWORD_NMT; i++)
        if (strcmp(name, bpe_pretokenizer_name((BpePretokenizer)i)) == 0) {
            *found = (BpePretokenizer)i;
            return status_ok();
        }
    return status_usage("--pretokenizer %s: there are whitespace, bytelevel and subword-nmt", name);
}

/* Cuts `list` at its commas. */
static Status split_specials(char *list, const char **specials, size_t *count)
{
    for (char *text; (text = strsep(&list, ",")) != NULL;) {
        if (*count == MAX_SPECIALS)
            return status_usage("--special: more than %d tokens", MAX_SPECIALS);
        specials[(*count)++] = text;
    }
    return status_ok();
}

static void report_training(const TrainArguments *a, const BpeTokenizer *t, BpeCounts counts, double seconds)
{
    if (!a->json) {
        fprintf(stderr, "%s: %d tokens, %lld merges, from %.1f MB (%llu pieces, %llu different) in %.2f s\n",
                a->out, bpe_vocab_size(t), (long long)bpe_merge_count(t), (double)counts.bytes / 1e6,
                (unsigned long long)counts.pieces, (unsigned long long)counts.different, seconds);
        return;
    }
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_string(&json, "tokenizer", a->out);
    json_string(&json, "pretokenizer", bpe_pretokenizer_name(bpe_pretokenizer(t)));
    json_integer(&json, "vocab", bpe_vocab_size(t));
    json_integer(&json, "merges", bpe_merge_count(t));
    json_integer(&json, "bytes", (int64_t)counts.bytes);
    json_integer(&json, "pieces", (int64_t)counts.pieces);
    json_integer(&json, "different_pieces", (int64_t)counts.different);
    json_number(&json, "seconds", seconds);
    json_end_object(&json);
    print_report(stdout, &json);
}

static Status train_on(const TrainArguments *a, BpeOptions *options, const char **files, int file_count)
{
    Meter meter = meter_start();
    options->progress = show_training;
    options->progress_context = &meter;
    BpeCounter *counter = bpe_counter_new(options);
    BpeTokenizer *tokenizer = NULL;
    Status status = counter ? status_ok() : status_no_memory(0, "the counter");
    for (int i = 0; i < file_count && status_is_ok(&status); i++)
        status = bpe_counter_add_file(counter, files[i]);
    BpeCounts counts = counter ? bpe_counter_counts(counter) : (BpeCounts){0};
    if (status_is_ok(&status))
        status = bpe_train(&tokenizer, counter);
    bpe_counter_free(counter);
    meter_clear(&meter);
    if (status_is_ok(&status))
        status = bpe_save(tokenizer, a->out);
    if (status_is_ok(&status))
        report_training(a, tokenizer, counts, clock_seconds() - meter.start);
    bpe_tokenizer_free(tokenizer);
    return status;
}

static Status train(int argc, char **argv)
{
    TrainArguments a = {.threads = 1, .pretokenizer = "whitespace"};
    const Option options[] = {
        {"vocab", "N", OPTION_INTEGER, &a.vocab, 1, BPE_MAX_TOKENS,
         "size of the vocabulary, alphabet included"},
        {"out", "FILE", OPTION_TEXT, &a.out, 0, 0, "the tokenizer.json to write"},
        {"pretokenizer", "NAME", OPTION_TEXT, &a.pretokenizer, 0, 0,
         "whitespace (default), bytelevel, subword-nmt"},
        {"min-frequency", "N", OPTION_INTEGER, &a.min_frequency, 0, 2147483647,
         "merge no pair that is rarer (default 1; subword-nmt 2)"},
        {"merges", "N", OPTION_INTEGER, &a.merges, 1, BPE_MAX_TOKENS, "stop after so many merges"},
        {"max-token-length", "N", OPTION_INTEGER, &a.max_token_length, 1, 2147483647,
         "tokens are shorter than that (in symbols)"},
        {"special", "LIST", OPTION_TEXT, &a.special, 0, 0,
         "special tokens, with commas between; the first ids"},
        {"unk", "TOKEN", OPTION_TEXT, &a.unk, 0, 0, "which of them stands for unknown symbols"},
        {"add-prefix-space", NULL, OPTION_FLAG, &a.add_prefix_space, 0, 0,
         "bytelevel: begin each text with a blank"},
        {"threads", "N", OPTION_INTEGER, &a.threads, 1, MAX_THREADS,
         "threads for counting; changes no result"},
        {"json", NULL, OPTION_FLAG, &a.json, 0, 0, "report as JSON on standard output"},
    };
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe train --vocab N --out FILE [options] TEXT...   (- is standard input)");
        options_print(options, COUNT(options));
        return status_ok();
    }
    const char *files[argc], *specials[MAX_SPECIALS];
    int file_count;
    BpeOptions o = {0};
    Status status = options_parse(options, COUNT(options), argc, argv, files, &file_count);
    if (status_is_ok(&status))
        status = find_pretokenizer(a.pretokenizer, &o.pretokenizer);
    if (!status_is_ok(&status))
        return status;
    if ((!a.vocab && !a.merges) || !a.out || file_count == 0)
        return status_usage("train needs --vocab N (or --merges N), --out FILE and at least one text");
    char *list = a.special ? mem_strdup(a.special) : NULL;
    if (list)
        status = split_specials(list, specials, &o.special_count);
    o.vocab_size = a.vocab;
    o.max_merges = a.merges;
    o.min_frequency = a.min_frequency;
    o.max_token_length = a.max_token_length;
    o.special_tokens = specials;
    o.unk_token = a.unk;
    o.add_prefix_space = a.add_prefix_space;
    o.threads = a.threads;
    if (status_is_ok(&status))
        status = train_on(&a, &o, files, file_count);
    mem_free(list);
    return status;
}

/* ---- encode ---- */

typedef struct EncodeArguments {
    const char *tokenizer;
    bool ids, json;
    int threads;
    double dropout;
    uint64_t seed;
} EncodeArguments;

typedef struct EncodeWorker {
    BpeEncoder *encoder;
    BpeIds ids, ends;
    BpeBytes out;
    bool no_memory;
} EncodeWorker;

typedef struct Encoding {
    const EncodeArguments *arguments;
    const BpeTokenizer *tokenizer;
    EncodeWorker *workers;
    int count;
    Pool *pool;
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

static bool print_token(const Encoding *e, BpeBytes *out, int32_t id)
{
    size_t size = 0;
    const char *text = bpe_token_text(e->tokenizer, id, &size);
    char *to = room(out, size + 1);
    if (!to)
        return false;
    memcpy(to, text, size);
    to[size] = ' ';
    out->size += size + 1;
    return true;
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
        char *to = room(&w->out, (end - at) * 11 + 1);
        if (!(fine = to != NULL))
            break;
        for (; at < end && e->arguments->ids; at++) {
            to = put_number(to, (uint32_t)w->ids.ids[at]);
            *to++ = ' ';
        }
        w->out.size = (size_t)(to - w->out.data);
        for (; at < end && fine; at++)
            fine = print_token(e, &w->out, w->ids.ids[at]);
        if (fine && w->out.size > begin)
            w->out.data[w->out.size - 1] = '\n';
        else if (fine && (fine = room(&w->out, 1) != NULL))
            w->out.data[w->out.size++] = '\n';
    }
    w->no_memory = !fine;
}

static Status encode_block(Encoding *e, const char *text, size_t size)
{
    BpeEncoder *encoders[MAX_THREADS];
    BpeIds ids[MAX_THREADS], ends[MAX_THREADS];
    for (int i = 0; i < e->count; i++) {
        EncodeWorker *w = &e->workers[i];
        w->ids.count = w->ends.count = 0;
        encoders[i] = w->encoder;
        ids[i] = w->ids;
        ends[i] = w->ends;
    }
    Status status = bpe_encode_parallel(encoders, e->count, e->pool, text, size, ids, ends);
    for (int i = 0; i < e->count; i++) {
        e->workers[i].ids = ids[i];
        e->workers[i].ends = ends[i];
        e->lines += ends[i].count;
        e->ids += ids[i].count;
    }
    if (!status_is_ok(&status))
        return status;
    pool_run(e->pool, print_part, e, e->count);
    for (int i = 0; i < e->count; i++)
        if (e->workers[i].no_memory)
            return out_of_memory();
    for (int i = 0; i < e->count && status_is_ok(&status); i++)
        status = write_all(e->workers[i].out.data, e->workers[i].out.size);
    return status;
}

static Status encode_file(Encoding *e, const char *path, Meter *meter, uint64_t *bytes)
{
    Input input;
    Status status = input_open(&input, path);
    if (!status_is_ok(&status))
        return status;
    while (status_is_ok(&status)) {
        status = input_next(&input, e->count > 1 ? (size_t)BLOCK_BYTES : 1);
        if (!status_is_ok(&status) || input.block == 0)
            break;
        status = encode_block(e, input.bytes.data, input.block);
        meter_bytes(meter, "encoding", *bytes + input.read);
    }
    *bytes += input.read;
    input_close(&input);
    return status;
}

static Status encoding_start(Encoding *e)
{
    e->workers = mem_calloc((size_t)e->count, sizeof *e->workers);
    e->pool = pool_new(e->count);
    if (!e->workers || !e->pool)
        return status_no_memory(0, "threads");
    for (int i = 0; i < e->count; i++) {
        if (!(e->workers[i].encoder = bpe_encoder_new(e->tokenizer)))
            return status_no_memory(0, "an encoder");
        bpe_encoder_set_dropout(e->workers[i].encoder, e->arguments->dropout, e->arguments->seed);
    }
    return status_ok();
}

static void encoding_stop(Encoding *e)
{
    for (int i = 0; e->workers && i < e->count; i++) {
        bpe_encoder_free(e->workers[i].encoder);
        bpe_ids_free(&e->workers[i].ids);
        bpe_ids_free(&e->workers[i].ends);
        mem_free(e->workers[i].out.data);
    }
    mem_free(e->workers);
    pool_free(e->pool);
}

static void report_encoding(const Encoding *e, uint64_t bytes, double seconds)
{
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_integer(&json, "bytes", (int64_t)bytes);
    json_integer(&json, "lines", (int64_t)e->lines);
    json_integer(&json, "ids", (int64_t)e->ids);
    json_number(&json, "seconds", seconds);
    json_integer(&json, "threads", e->count);
    json_end_object(&json);
    print_report(stderr, &json);
}

static Status encode_files(const EncodeArguments *a, const char **files, int file_count)
{
    BpeTokenizer *tokenizer;
    Status status = bpe_load(&tokenizer, a->tokenizer);
    if (!status_is_ok(&status))
        return status;
    /* What dropout draws follows the texts one by one, so it has one encoder. */
    Encoding e = {.arguments = a, .tokenizer = tokenizer, .count = a->dropout > 0 ? 1 : a->threads};
    Meter meter = meter_start();
    uint64_t bytes = 0;
    status = encoding_start(&e);
    for (int i = 0; i < file_count && status_is_ok(&status); i++)
        status = encode_file(&e, files[i], &meter, &bytes);
    if (status_is_ok(&status))
        status = flush_output();
    meter_clear(&meter);
    if (status_is_ok(&status) && a->json)
        report_encoding(&e, bytes, clock_seconds() - meter.start);
    encoding_stop(&e);
    bpe_tokenizer_free(tokenizer);
    return status;
}

static Status encode(int argc, char **argv)
{
    EncodeArguments a = {.threads = 1};
    const Option options[] = {
        {"tokenizer", "FILE", OPTION_TEXT, &a.tokenizer, 0, 0, "the tokenizer.json"},
        {"ids", NULL, OPTION_FLAG, &a.ids, 0, 0, "print ids (otherwise tokens as the file writes them)"},
        {"dropout", "P", OPTION_NUMBER, &a.dropout, 0, 1,
         "BPE dropout: leave merges out with this probability"},
        {"seed", "N", OPTION_SEED, &a.seed, 0, 0, "what dropout draws from (default 0)"},
        {"threads", "N", OPTION_INTEGER, &a.threads, 1, MAX_THREADS, "threads; changes no result"},
        {"json", NULL, OPTION_FLAG, &a.json, 0, 0, "report as JSON on standard error"},
    };
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe encode --tokenizer FILE --ids TEXT...   (- is standard input)\nOne line for each line of "
             "text.");
        options_print(options, COUNT(options));
        return status_ok();
    }
    const char *files[argc];
    int file_count;
    Status status = options_parse(options, COUNT(options), argc, argv, files, &file_count);
    if (!status_is_ok(&status))
        return status;
    if (!a.tokenizer || file_count == 0)
        return status_usage("encode needs --tokenizer FILE and at least one text");
    return encode_files(&a, files, file_count);
}

/* ---- decode ---- */

typedef struct Decoding {
    const BpeTokenizer *tokenizer;
    bool keep_special;
    BpeIds ids;
    BpeBytes out;
    uint64_t line;
} Decoding;

static Status parse_ids(Decoding *d, const char *name, const char *text, const char *end)
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
        if (text == begin || !ended || id >= bpe_vocab_size(d->tokenizer))
            return status_failed("%s:%llu: an id from 0 to %d is expected at column %zu", name,
                                 (unsigned long long)d->line, bpe_vocab_size(d->tokenizer) - 1,
                                 (size_t)(begin - line) + 1);
        int32_t *ids = mem_grow(d->ids.ids, d->ids.count, &d->ids.capacity, sizeof *ids);
        if (!ids)
            return out_of_memory();
        d->ids.ids = ids;
        ids[d->ids.count++] = (int32_t)id;
    }
    return status_ok();
}

static Status decode_block(Decoding *d, const char *name, const char *text, size_t size)
{
    Status status = status_ok();
    d->out.size = 0;
    for (const char *end = text + size; text < end && status_is_ok(&status);) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed ? feed : end;
        d->line++;
        status = parse_ids(d, name, text, stop);
        if (status_is_ok(&status))
            status = bpe_decode(d->tokenizer, d->ids.ids, d->ids.count, !d->keep_special, &d->out);
        if (status_is_ok(&status) && !room(&d->out, 1))
            status = out_of_memory();
        if (status_is_ok(&status))
            d->out.data[d->out.size++] = '\n';
        text = stop + (feed != NULL);
    }
    Status written = write_all(d->out.data, d->out.size);
    return status_is_ok(&status) ? written : status;
}

static Status decode_file(Decoding *d, const char *path, Meter *meter)
{
    Input input;
    Status status = input_open(&input, path);
    if (!status_is_ok(&status))
        return status;
    d->line = 0;
    while (status_is_ok(&status)) {
        status = input_next(&input, 1);
        if (!status_is_ok(&status) || input.block == 0)
            break;
        status = decode_block(d, input.name, input.bytes.data, input.block);
        meter_bytes(meter, "decoding", input.read);
    }
    input_close(&input);
    return status;
}

static Status decode(int argc, char **argv)
{
    const char *path = NULL;
    Decoding d = {0};
    const Option options[] = {
        {"tokenizer", "FILE", OPTION_TEXT, &path, 0, 0, "the tokenizer.json"},
        {"keep-special", NULL, OPTION_FLAG, &d.keep_special, 0, 0, "print special tokens too"},
    };
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe decode --tokenizer FILE IDS...   (- is standard input)\nOne line of text for each line of "
             "ids.");
        options_print(options, COUNT(options));
        return status_ok();
    }
    const char *files[argc];
    int file_count;
    Status status = options_parse(options, COUNT(options), argc, argv, files, &file_count);
    if (status_is_ok(&status) && (!path || file_count == 0))
        status = status_usage("decode needs --tokenizer FILE and at least one file of ids");
    BpeTokenizer *tokenizer = NULL;
    if (status_is_ok(&status))
        status = bpe_load(&tokenizer, path);
    d.tokenizer = tokenizer;
    Meter meter = meter_start();
    for (int i = 0; i < file_count && status_is_ok(&status); i++)
        status = decode_file(&d, files[i], &meter);
    if (status_is_ok(&status))
        status = flush_output();
    meter_clear(&meter);
    bpe_tokenizer_free(tokenizer);
    mem_free(d.ids.ids);
    mem_free(d.out.data);
    return status;
}

/* ---- info ---- */

static void print_info(const BpeTokenizer *t, bool as_json)
{
    size_t longest = 0, size;
    int32_t longest_id = 0;
    for (int32_t id = 0; id < bpe_vocab_size(t); id++)
        if (bpe_token_text(t, id, &size) && size > longest) {
            longest = size;
            longest_id = id;
        }
    const char *unk = bpe_token_text(t, bpe_unk_id(t), NULL),
               *name = bpe_pretokenizer_name(bpe_pretokenizer(t));
    if (!as_json) {
        printf("pretokenizer   %s\ntokens         %d\nmerges         %lld\nunknown token  %s\nlongest token  "
               "id %d, %zu "
               "bytes\n",
               name, bpe_vocab_size(t), (long long)bpe_merge_count(t), unk ? unk : "none", longest_id,
               longest);
        return;
    }
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_string(&json, "pretokenizer", name);
    json_integer(&json, "vocab", bpe_vocab_size(t));
    json_integer(&json, "merges", bpe_merge_count(t));
    json_integer(&json, "unk_id", bpe_unk_id(t));
    json_integer(&json, "longest_token_bytes", (int64_t)longest);
    json_end_object(&json);
    print_report(stdout, &json);
}

static Status info(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const Option options[] = {
        {"tokenizer", "FILE", OPTION_TEXT, &path, 0, 0, "the tokenizer.json"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, "as JSON"},
    };
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe info --tokenizer FILE [--json]");
        options_print(options, COUNT(options));
        return status_ok();
    }
    BpeTokenizer *tokenizer;
    Status status = options_parse(options, COUNT(options), argc, argv, NULL, NULL);
    if (status_is_ok(&status) && !path)
        status = status_usage("info needs --tokenizer FILE");
    if (status_is_ok(&status))
        status = bpe_load(&tokenizer, path);
    if (!status_is_ok(&status))
        return status;
    print_info(tokenizer, json);
    bpe_tokenizer_free(tokenizer);
    return flush_output();
}

/* ---- convert ---- */

static Status convert_files(const char *from, const char *to, const char *unk, const char **files, int count)
{
    bool two_in = strcmp(from, "gpt2") == 0, two_out = strcmp(to, "gpt2") == 0;
    if (count != 2 + two_in + two_out)
        return status_usage("convert --from %s --to %s takes %d files, not %d", from, to,
                            2 + two_in + two_out, count);
    BpeTokenizer *tokenizer = NULL;
    Status status;
    if (two_in)
        status = bpe_load_gpt2(&tokenizer, files[0], files[1]);
    else if (strcmp(from, "codes") == 0)
        status = bpe_load_codes(&tokenizer, files[0], unk);
    else
        status = bpe_load(&tokenizer, files[0]);
    const char **out = files + 1 + two_in;
    if (status_is_ok(&status) && two_out)
        status = bpe_save_gpt2(tokenizer, out[0], out[1]);
    else if (status_is_ok(&status) && strcmp(to, "codes") == 0)
        status = bpe_save_codes(tokenizer, out[0]);
    else if (status_is_ok(&status))
        status = bpe_save(tokenizer, out[0]);
    bpe_tokenizer_free(tokenizer);
    return status;
}

static bool is_format(const char *name)
{
    return strcmp(name, "json") == 0 || strcmp(name, "gpt2") == 0 || strcmp(name, "codes") == 0;
}

static Status convert(int argc, char **argv)
{
    const char *from = "json", *to = "json", *unk = NULL;
    const Option options[] = {
        {"from", "FORMAT", OPTION_TEXT, &from, 0, 0,
         "json (default): tokenizer.json; gpt2: vocab.json merges.txt;"},
        {"to", "FORMAT", OPTION_TEXT, &to, 0, 0, "codes: subword-nmt's codes"},
        {"unk", "TOKEN", OPTION_TEXT, &unk, 0, 0, "from codes: the token for unknown symbols"},
    };
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe convert --from FORMAT --to FORMAT IN... OUT...");
        options_print(options, COUNT(options));
        return status_ok();
    }
    const char *files[argc];
    int count;
    Status status = options_parse(options, COUNT(options), argc, argv, files, &count);
    if (!status_is_ok(&status))
        return status;
    if (!is_format(from) || !is_format(to))
        return status_usage("%s: the formats are json, gpt2 and codes", is_format(from) ? to : from);
    return convert_files(from, to, unk, files, count);
}

/* ---- The program ---- */

static const struct {
    const char *name;
    Status (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", train, "learn a tokenizer from texts"},
    {"encode", encode, "from lines of text to lines of ids"},
    {"decode", decode, "from lines of ids to lines of text"},
    {"info", info, "what is in a tokenizer"},
    {"convert", convert, "between tokenizer.json, GPT-2's and subword-nmt's files"},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("bpe COMMAND [options]; bpe COMMAND --help lists a command's options");
        for (int i = 0; i < COUNT(commands); i++)
            printf("  %-10s %s\n", commands[i].name, commands[i].help);
        return STATUS_OK;
    }
    Status status = status_usage("a command is expected: train, encode, decode, info or convert");
    for (int i = 0; argc > 1 && i < COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            status = commands[i].run(argc - 1, argv + 1);
    return options_report("bpe", &status);
}
