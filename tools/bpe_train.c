/* bpe train: learns a tokenizer from texts. */
#include "tensor/mem.h"
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SPECIALS = 256 };

static void show_training(void *context, const char *phase, uint64_t done, uint64_t total)
{
    Meter *meter = context;
    if (strcmp(phase, "count") == 0)
        bpe_show_bytes(meter, "reading", done);
    else if (meter_is_due(meter))
        meter_draw(meter, "learning %llu of %llu tokens", (unsigned long long)done,
                   (unsigned long long)total);
}

typedef struct TrainArguments {
    int vocab, merges, min_frequency, max_token_length, threads;
    const char *pretokenizer, *out, *special, *unk;
    bool add_prefix_space, json;
} TrainArguments;

static ReelStatus find_pretokenizer(const char *name, ModelBpePretokenizer *found)
{
    for (int i = MODEL_BPE_WHITESPACE; i <= MODEL_BPE_SUBWORD_NMT; i++)
        if (strcmp(name, model_bpe_pretokenizer_name((ModelBpePretokenizer)i)) == 0) {
            *found = (ModelBpePretokenizer)i;
            return reel_status_ok();
        }
    return reel_status_usage("--pretokenizer %s: there are whitespace, bytelevel and subword-nmt", name);
}

/* Cuts `list` at its commas. */
static ReelStatus split_specials(char *list, const char **specials, size_t *count)
{
    for (char *text; (text = strsep(&list, ",")) != NULL;) {
        if (*count == MAX_SPECIALS)
            return reel_status_usage("--special: more than %d tokens", MAX_SPECIALS);
        specials[(*count)++] = text;
    }
    return reel_status_ok();
}

static ReelStatus report_training(const TrainArguments *a, const ModelBpeTokenizer *t, ModelBpeCounts counts,
                                  double seconds)
{
    if (!a->json) {
        fprintf(stderr, "%s: %d tokens, %lld merges, from %.1f MB (%llu pieces, %llu different) in %.2f s\n",
                a->out, model_bpe_vocab_size(t), (long long)model_bpe_merge_count(t),
                (double)counts.bytes / 1e6, (unsigned long long)counts.pieces,
                (unsigned long long)counts.different, seconds);
        return reel_status_ok();
    }
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "tokenizer", a->out);
    reel_json_string(&json, "pretokenizer", model_bpe_pretokenizer_name(model_bpe_pretokenizer(t)));
    reel_json_integer(&json, "vocab", model_bpe_vocab_size(t));
    reel_json_integer(&json, "merges", model_bpe_merge_count(t));
    reel_json_integer(&json, "bytes", (int64_t)counts.bytes);
    reel_json_integer(&json, "pieces", (int64_t)counts.pieces);
    reel_json_integer(&json, "different_pieces", (int64_t)counts.different);
    reel_json_number(&json, "seconds", seconds);
    reel_json_end_object(&json);
    return program_print_json(&json, stdout);
}

static ReelStatus train_on(const TrainArguments *a, ModelBpeOptions *options, const char **files,
                           int file_count)
{
    Meter meter = meter_start();
    options->progress = show_training;
    options->progress_context = &meter;
    ModelBpeCounter *counter = model_bpe_counter_new(options);
    ModelBpeTokenizer *tokenizer = NULL;
    ReelStatus status = counter ? reel_status_ok() : reel_status_no_memory(0, "the counter");
    for (int i = 0; i < file_count && reel_status_is_ok(&status); i++)
        status = model_bpe_counter_add_file(counter, files[i]);
    ModelBpeCounts counts = counter ? model_bpe_counter_counts(counter) : (ModelBpeCounts){0};
    if (reel_status_is_ok(&status))
        status = model_bpe_train(&tokenizer, counter);
    model_bpe_counter_free(counter);
    meter_clear(&meter);
    if (reel_status_is_ok(&status))
        status = model_bpe_save(tokenizer, a->out);
    if (reel_status_is_ok(&status))
        status = report_training(a, tokenizer, counts, meter_seconds(&meter));
    model_bpe_tokenizer_free(tokenizer);
    return status;
}

ReelStatus bpe_command_train(int argc, char **argv)
{
    TrainArguments a = {.threads = 1, .pretokenizer = "whitespace"};
    const ModelOption options[] = {
        {"vocab", "N", MODEL_OPTION_INTEGER, &a.vocab, 1, MODEL_BPE_MAX_TOKENS,
         "size of the vocabulary, alphabet included"},
        {"out", "FILE", MODEL_OPTION_TEXT, &a.out, 0, 0, "the tokenizer.json to write"},
        {"pretokenizer", "NAME", MODEL_OPTION_TEXT, &a.pretokenizer, 0, 0,
         "whitespace (default), bytelevel, subword-nmt"},
        {"min-frequency", "N", MODEL_OPTION_INTEGER, &a.min_frequency, 0, 2147483647,
         "merge no pair that is rarer (default 1; subword-nmt 2)"},
        {"merges", "N", MODEL_OPTION_INTEGER, &a.merges, 1, MODEL_BPE_MAX_TOKENS,
         "stop after so many merges"},
        {"max-token-length", "N", MODEL_OPTION_INTEGER, &a.max_token_length, 1, 2147483647,
         "tokens are shorter than that (in symbols)"},
        {"special", "LIST", MODEL_OPTION_TEXT, &a.special, 0, 0,
         "special tokens, with commas between; the first ids"},
        {"unk", "TOKEN", MODEL_OPTION_TEXT, &a.unk, 0, 0, "which of them stands for unknown symbols"},
        {"add-prefix-space", NULL, MODEL_OPTION_FLAG, &a.add_prefix_space, 0, 0,
         "bytelevel: begin each text with a blank"},
        {"threads", "N", MODEL_OPTION_INTEGER, &a.threads, 1, BPE_MAX_THREADS,
         "threads for counting; changes no result"},
        {"json", NULL, MODEL_OPTION_FLAG, &a.json, 0, 0, "report as JSON on standard output"},
    };
    const Program program = {.name = "train",
                             .summary = "learn a tokenizer from texts",
                             .synopsis = "--vocab N --out FILE [options] TEXT...",
                             .description = "- is standard input.",
                             .options = options,
                             .count = OPTION_COUNT(options),
                             .is_command = true};
    const char *files[argc], *specials[MAX_SPECIALS];
    int file_count;
    ModelBpeOptions o = {0};
    ReelStatus status;
    if (!program_reads(&program, argc, argv, files, &file_count, &status))
        return status;
    status = find_pretokenizer(a.pretokenizer, &o.pretokenizer);
    if (!reel_status_is_ok(&status))
        return status;
    if ((!a.vocab && !a.merges) || !a.out || file_count == 0)
        return reel_status_usage("train needs --vocab N (or --merges N), --out FILE and at least one text");
    char *list = reel_mem_strdup(a.special ? a.special : "");
    if (!list)
        return reel_status_no_memory(0, "special tokens");
    if (a.special)
        status = split_specials(list, specials, &o.special_count);
    o.vocab_size = a.vocab;
    o.max_merges = a.merges;
    o.min_frequency = a.min_frequency;
    o.max_token_length = a.max_token_length;
    o.special_tokens = specials;
    o.unk_token = a.unk;
    o.add_prefix_space = a.add_prefix_space;
    o.threads = a.threads;
    if (reel_status_is_ok(&status))
        status = train_on(&a, &o, files, file_count);
    reel_mem_free(list);
    return status;
}
