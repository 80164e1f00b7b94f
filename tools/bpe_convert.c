/* bpe convert: between tokenizer.json, GPT-2's and subword-nmt's files. */
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

static ReelStatus convert_files(const char *from, const char *to, const char *unk, const char **files,
                                int count)
{
    bool two_in = strcmp(from, "gpt2") == 0, two_out = strcmp(to, "gpt2") == 0;
    if (count != 2 + two_in + two_out)
        return reel_status_usage("convert --from %s --to %s takes %d files, not %d", from, to,
                                 2 + two_in + two_out, count);
    ModelBpeTokenizer *tokenizer = NULL;
    ReelStatus status;
    if (two_in)
        status = model_bpe_load_gpt2(&tokenizer, files[0], files[1]);
    else if (strcmp(from, "codes") == 0)
        status = model_bpe_load_codes(&tokenizer, files[0], unk);
    else
        status = model_bpe_load(&tokenizer, files[0]);
    const char **out = files + 1 + two_in;
    if (reel_status_is_ok(&status) && two_out)
        status = model_bpe_save_gpt2(tokenizer, out[0], out[1]);
    else if (reel_status_is_ok(&status) && strcmp(to, "codes") == 0)
        status = model_bpe_save_codes(tokenizer, out[0]);
    else if (reel_status_is_ok(&status))
        status = model_bpe_save(tokenizer, out[0]);
    model_bpe_tokenizer_free(tokenizer);
    return status;
}

static bool is_format(const char *name)
{
    return strcmp(name, "json") == 0 || strcmp(name, "gpt2") == 0 || strcmp(name, "codes") == 0;
}

ReelStatus bpe_command_convert(int argc, char **argv)
{
    const char *from = "json", *to = "json", *unk = NULL;
    const ModelOption options[] = {
        {"from", "FORMAT", MODEL_OPTION_TEXT, &from, 0, 0,
         "json (default): tokenizer.json; gpt2: vocab.json merges.txt;"},
        {"to", "FORMAT", MODEL_OPTION_TEXT, &to, 0, 0, "codes: subword-nmt's codes"},
        {"unk", "TOKEN", MODEL_OPTION_TEXT, &unk, 0, 0, "from codes: the token for unknown symbols"},
    };
    const Program program = {.name = "convert",
                             .summary = "convert between tokenizer.json, GPT-2's and subword-nmt's files",
                             .synopsis = "--from FORMAT --to FORMAT IN... OUT...",
                             .description = "",
                             .options = options,
                             .count = OPTION_COUNT(options),
                             .is_command = true};
    const char *files[argc];
    int count;
    ReelStatus status;
    if (!program_reads(&program, argc, argv, files, &count, &status))
        return status;
    if (!is_format(from) || !is_format(to))
        return reel_status_usage("%s: the formats are json, gpt2 and codes", is_format(from) ? to : from);
    return convert_files(from, to, unk, files, count);
}
