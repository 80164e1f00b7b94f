/* bpe info: what is in a tokenizer. */
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

static ReelStatus print_info(const ModelBpeTokenizer *t, bool as_json)
{
    size_t longest = 0, size;
    int32_t longest_id = 0;
    for (int32_t id = 0; id < model_bpe_vocab_size(t); id++)
        if (model_bpe_token_text(t, id, &size) && size > longest) {
            longest = size;
            longest_id = id;
        }
    const char *unk = model_bpe_token_text(t, model_bpe_unk_id(t), NULL),
               *name = model_bpe_pretokenizer_name(model_bpe_pretokenizer(t));
    if (!as_json) {
        printf("pretokenizer   %s\ntokens         %d\nmerges         %lld\nunknown token  %s\nlongest token  "
               "id %d, %zu "
               "bytes\n",
               name, model_bpe_vocab_size(t), (long long)model_bpe_merge_count(t), unk ? unk : "none",
               longest_id, longest);
        return reel_status_ok();
    }
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "pretokenizer", name);
    reel_json_integer(&json, "vocab", model_bpe_vocab_size(t));
    reel_json_integer(&json, "merges", model_bpe_merge_count(t));
    reel_json_integer(&json, "unk_id", model_bpe_unk_id(t));
    reel_json_integer(&json, "longest_token_bytes", (int64_t)longest);
    reel_json_end_object(&json);
    return program_print_json(&json, stdout);
}

ReelStatus bpe_command_info(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const ModelOption options[] = {
        {"tokenizer", "FILE", MODEL_OPTION_TEXT, &path, 0, 0, "the tokenizer.json"},
        {"json", NULL, MODEL_OPTION_FLAG, &json, 0, 0, "as JSON"},
    };
    const Program program = {.name = "info",
                             .summary = "show what is in a tokenizer",
                             .synopsis = "--tokenizer FILE [--json]",
                             .description = "",
                             .options = options,
                             .count = OPTION_COUNT(options),
                             .is_command = true};
    ModelBpeTokenizer *tokenizer;
    ReelStatus status;
    if (!program_reads(&program, argc, argv, NULL, NULL, &status))
        return status;
    if (!path)
        return reel_status_usage("info needs --tokenizer FILE");
    status = model_bpe_load(&tokenizer, path);
    if (!reel_status_is_ok(&status))
        return status;
    status = print_info(tokenizer, json);
    model_bpe_tokenizer_free(tokenizer);
    return status;
}
