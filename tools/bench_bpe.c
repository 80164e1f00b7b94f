/* How fast the tokenizer learns, encodes and decodes.
 *
 * One thread is measured in user seconds of the processor, which other programs on the machine disturb least;
 * many threads by the clock. Encoders start with an empty cache. Memory is that of a process of its own
 * that does nothing but train. */
#define _GNU_SOURCE
#include "tools/bench.h"
#include "models/bpe/bpe.h"
#include "tensor/clock.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROUNDS = 32, MOST_THREADS = 64, SMALL = 8000, LARGE = 32000 };

typedef struct Times {
    double values[MOST_ROUNDS];
    int count;
} Times;

typedef struct BpeBench {
    const char *path;
    int threads, rounds;
    ReelBytes text;
    ModelBpeTokenizer *words, *bytes;
    Times train_small, train_large, encode, encode_bytes, decode;
    /* By the clock, on one thread and on all. */
    Times count_one, count_threads, train_one, train_threads, encode_one, encode_threads;
    double peak_mb;
} BpeBench;

static double user_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec;
}

static void note(Times *times, double seconds)
{
    if (times)
        times->values[times->count++] = seconds;
}

/* `counting`: where the seconds by the clock are noted until the words are counted and brought together. */
static ReelStatus learn(const BpeBench *b, ModelBpePretokenizer pretokenizer, int64_t vocab, int threads,
                        Times *counting, ModelBpeTokenizer **out)
{
    double began = reel_clock_seconds();
    ModelBpeOptions options = {.pretokenizer = pretokenizer, .vocab_size = vocab, .threads = threads};
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    if (!counter)
        return reel_status_no_memory(0, "the counter");
    ReelStatus status = model_bpe_counter_add_file(counter, b->path);
    model_bpe_counter_counts(counter);
    note(counting, reel_clock_seconds() - began);
    if (reel_status_is_ok(&status))
        status = model_bpe_train(out, counter);
    model_bpe_counter_free(counter);
    return status;
}

/* One training in a process of its own: megabytes of memory at most. */
static double peak_of_training(const BpeBench *b)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        ModelBpeTokenizer *tokenizer;
        ReelStatus status = learn(b, MODEL_BPE_WHITESPACE, LARGE, 1, NULL, &tokenizer);
        _exit((int)status.code);
    }
    int result;
    struct rusage usage;
    if (child < 0 || wait4(child, &result, 0, &usage) != child || result != 0)
        return 0;
    return (double)usage.ru_maxrss / 1024;
}

/* `counting`, `clock`, `user`: where seconds of the clock (of counting, of all) and of the processor are
 * noted, or NULL. */
static ReelStatus measure_training(BpeBench *b, int64_t vocab, int threads, Times *counting, Times *clock,
                                   Times *user)
{
    ModelBpeTokenizer *tokenizer = NULL;
    double began = reel_clock_seconds(), began_user = user_seconds();
    ReelStatus status = learn(b, MODEL_BPE_WHITESPACE, vocab, threads, counting, &tokenizer);
    note(user, user_seconds() - began_user);
    note(clock, reel_clock_seconds() - began);
    model_bpe_tokenizer_free(tokenizer);
    return status;
}

/* Encodes all lines; the ids of the last part stay in ids[0]. */
static ReelStatus measure_encoding(const BpeBench *b, const ModelBpeTokenizer *t, int threads,
                                   TensorPool *pool, ModelBpeIds *ids, ModelBpeIds *ends, Times *clock,
                                   Times *user)
{
    ModelBpeEncoder *encoders[MOST_THREADS] = {NULL};
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < threads; i++) {
        ids[i].count = ends[i].count = 0;
        if (!(encoders[i] = model_bpe_encoder_new(t)))
            status = reel_status_no_memory(0, "an encoder");
    }
    double began = reel_clock_seconds(), began_user = user_seconds();
    if (reel_status_is_ok(&status))
        status = model_bpe_encode_parallel(encoders, threads, pool, b->text.data, b->text.size, ids, ends);
    note(user, user_seconds() - began_user);
    note(clock, reel_clock_seconds() - began);
    for (int i = 0; i < threads; i++)
        model_bpe_encoder_free(encoders[i]);
    return status;
}

static ReelStatus measure_decoding(const ModelBpeTokenizer *t, const ModelBpeIds *ids, ReelBytes *out,
                                   Times *times)
{
    out->size = 0;
    double began = user_seconds();
    ReelStatus status = model_bpe_decode(t, ids->ids, ids->count, true, out);
    note(times, user_seconds() - began);
    return status;
}

static ReelStatus run_round(BpeBench *b, TensorPool *pool, ModelBpeIds *ids, ModelBpeIds *ends,
                            ReelBytes *decoded)
{
    int threads = b->threads;
    ReelStatus status = measure_training(b, SMALL, 1, NULL, NULL, &b->train_small);
    if (reel_status_is_ok(&status))
        status = measure_training(b, LARGE, 1, &b->count_one, &b->train_one, &b->train_large);
    if (reel_status_is_ok(&status) && threads > 1)
        status = measure_training(b, LARGE, threads, &b->count_threads, &b->train_threads, NULL);
    if (reel_status_is_ok(&status))
        status = measure_encoding(b, b->words, 1, NULL, ids, ends, &b->encode_one, &b->encode);
    if (reel_status_is_ok(&status) && threads > 1)
        status = measure_encoding(b, b->words, threads, pool, ids, ends, &b->encode_threads, NULL);
    if (reel_status_is_ok(&status))
        status = measure_encoding(b, b->bytes, 1, NULL, ids, ends, NULL, &b->encode_bytes);
    if (reel_status_is_ok(&status))
        status = measure_decoding(b->bytes, &ids[0], decoded, &b->decode);
    return status;
}

static double speed(const BpeBench *b, Times *times)
{
    double median = model_spread_median(times->values, times->count);
    return median > 0 ? (double)b->text.size / 1e6 / median : 0;
}

static void report_threads(BpeBench *b, ReelJsonWriter *json)
{
    double one = model_spread_median(b->train_one.values, b->train_one.count);
    double many = model_spread_median(b->train_threads.values, b->train_threads.count);
    double encode = speed(b, &b->encode_one), encode_many = speed(b, &b->encode_threads);
    double count = speed(b, &b->count_one), count_many = speed(b, &b->count_threads);
    printf(
        "by the clock, 1 and %d threads: count words %.1f and %.1f MB/s, train 32k %.3f and %.3f s, encode "
        "%.1f and %.1f MB/s\n",
        b->threads, count, count_many, one, many, encode, encode_many);
    reel_json_number(json, "count_clock_mb_s", count);
    reel_json_number(json, "count_threads_mb_s", count_many);
    reel_json_number(json, "train_32k_clock_s", one);
    reel_json_number(json, "train_32k_threads_s", many);
    reel_json_number(json, "encode_clock_mb_s", encode);
    reel_json_number(json, "encode_threads_mb_s", encode_many);
}

static ReelStatus report(BpeBench *b, const BenchOptions *options)
{
    ReelJsonWriter json = {0};
    double small = model_spread_median(b->train_small.values, b->train_small.count);
    double large = model_spread_median(b->train_large.values, b->train_large.count);
    double encode = speed(b, &b->encode), bytes = speed(b, &b->encode_bytes), decode = speed(b, &b->decode);
    bench_begin(&json);
    printf("%.1f MB of text, medians of %d, user seconds\n", (double)b->text.size / 1e6, b->rounds);
    printf("train 8k       %8.3f s\ntrain 32k      %8.3f s   %.0f MB of memory\n", small, large, b->peak_mb);
    if (model_bpe_vocab_size(b->words) < LARGE)
        printf("the text gives %d tokens only: train on more\n", model_bpe_vocab_size(b->words));
    printf("encode         %8.1f MB/s\nencode GPT-2   %8.1f MB/s\ndecode         %8.1f MB/s\n", encode, bytes,
           decode);
    reel_json_begin_object(&json, "bpe");
    reel_json_number(&json, "train_8k_s", small);
    reel_json_number(&json, "train_32k_s", large);
    reel_json_integer(&json, "train_32k_vocab", model_bpe_vocab_size(b->words));
    reel_json_number(&json, "encode_mb_s", encode);
    reel_json_number(&json, "encode_gpt2_mb_s", bytes);
    reel_json_number(&json, "decode_mb_s", decode);
    reel_json_number(&json, "peak_rss_mb", b->peak_mb);
    reel_json_integer(&json, "threads", b->threads);
    if (b->threads > 1)
        report_threads(b, &json);
    reel_json_end_object(&json);
    return bench_end(&json, options, reel_status_ok());
}

static ReelStatus read_text(BpeBench *b)
{
    ReelStatus status = reel_text_file_read(b->path, &b->text.data, &b->text.size);
    return reel_status_is_ok(&status) && b->text.size == 0 ? reel_text_file_empty(b->path) : status;
}

ReelStatus bench_bpe(const BenchOptions *options, const char *path)
{
    BpeBench b = {.path = path, .threads = options->threads, .rounds = options->rounds};
    b.threads = b.threads < 1 ? 1 : b.threads > MOST_THREADS ? MOST_THREADS : b.threads;
    b.rounds = b.rounds < 3 ? 3 : b.rounds > MOST_ROUNDS ? MOST_ROUNDS : b.rounds;
    b.peak_mb = peak_of_training(&b); /* first: what is read later would count */
    ModelBpeIds ids[MOST_THREADS] = {{0}}, ends[MOST_THREADS] = {{0}};
    ReelBytes decoded = {0};
    TensorPool *pool = tensor_pool_new(b.threads);
    ReelStatus status = pool ? read_text(&b) : reel_status_no_memory(0, "threads");
    if (reel_status_is_ok(&status))
        status = learn(&b, MODEL_BPE_WHITESPACE, LARGE, 1, NULL, &b.words);
    if (reel_status_is_ok(&status))
        status = learn(&b, MODEL_BPE_BYTELEVEL, LARGE, 1, NULL, &b.bytes);
    for (int round = 0; round < b.rounds && reel_status_is_ok(&status); round++)
        status = run_round(&b, pool, ids, ends, &decoded);
    if (reel_status_is_ok(&status))
        status = report(&b, options);
    for (int i = 0; i < b.threads; i++) {
        model_bpe_ids_free(&ids[i]);
        model_bpe_ids_free(&ends[i]);
    }
    reel_bytes_free(&decoded);
    reel_bytes_free(&b.text);
    model_bpe_tokenizer_free(b.words);
    model_bpe_tokenizer_free(b.bytes);
    tensor_pool_free(pool);
    return status;
}
