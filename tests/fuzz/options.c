/* Fuzz target: any bytes, cut at NULs into the words of a command line, and read as one; then the same bytes
 * as a file of settings. A crash, a leak, a read out of bounds or undefined behaviour is a finding; so is a
 * value out of its range, or a message that is not one line. */
#include "tools/options.h"
#include "models/training/settings.h"

#include "tensor/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* One option of each kind, as the programs have them. */
typedef struct Values {
    bool flag;
    const char *text;
    int integer;
    double number;
    uint64_t seed;
} Values;

#define OPTIONS(v)                                                                                           \
    {                                                                                                        \
        {"json", NULL, MODEL_OPTION_FLAG, &(v)->flag, 0, 0, "flag"},                                         \
            {"data", "FILE", MODEL_OPTION_TEXT, &(v)->text, 0, 0, "text"},                                   \
            {"epochs", "N", MODEL_OPTION_INTEGER, &(v)->integer, 1, 1e6, "integer"},                         \
            {"lr", "X", MODEL_OPTION_NUMBER, &(v)->number, 1e-12, 1e3, "number"},                            \
            {"seed", "N", MODEL_OPTION_SEED, &(v)->seed, 0, 0, "seed"},                                      \
    }

enum { WORDS = 64, COUNT = 5 };

static void check(const Values *v, const ReelStatus *status)
{
    require(!strchr(status->message, '\n'));
    require(reel_status_is_ok(status) || status->message[0]);
    require(v->integer >= 1 && v->integer <= 1000000);
    require(v->number >= 1e-12 && v->number <= 1e3);
}

static void parse_words(char *text, size_t size)
{
    Values values = {.integer = 50, .number = 1};
    const ModelOption options[] = OPTIONS(&values);
    char *words[WORDS] = {(char[]){"program"}};
    const char *rest[WORDS];
    bool given[COUNT] = {false};
    int count = 1, rest_count;
    for (size_t at = 0; at < size && count < WORDS; at += strlen(text + at) + 1)
        words[count++] = text + at;
    ReelStatus status = options_parse(options, COUNT, count, words, rest, &rest_count, given);
    check(&values, &status);
    require(rest_count < count);

    for (int i = 0; i < rest_count; i++)
        require(rest[i] >= text && rest[i] <= text + size);
    status = options_parse(options, COUNT, count, words, NULL, NULL, NULL);
    check(&values, &status);
}

/* What was read is written, read again, and the same. */
static void parse_settings(const char *text, size_t size)
{
    Values values = {.integer = 50, .number = 1}, again = values;
    const ModelOption options[] = OPTIONS(&values), others[] = OPTIONS(&again);
    TensorArena arena;
    tensor_arena_init(&arena, 4096);
    ReelStatus status = model_settings_read(options, COUNT, "fuzz", text, size, &arena);
    check(&values, &status);
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    for (int i = 0; i < COUNT; i++)
        model_settings_write(&json, &options[i]);
    reel_json_end_object(&json);
    const char *written = reel_json_finish(&json);
    require(written != NULL);
    status = model_settings_read(others, COUNT, "fuzz", written, json.size, &arena);
    require(reel_status_is_ok(&status));
    for (int i = 0; i < COUNT; i++)
        require(strcmp(model_settings_text(&options[i], &arena), model_settings_text(&others[i], &arena)) ==
                0);
    reel_json_free(&json);
    tensor_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = reel_mem_stats().live_blocks;
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    parse_words(text, size);
    parse_settings(text, size);
    free(text);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}
