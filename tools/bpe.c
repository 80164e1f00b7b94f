/* bpe: trains, uses, shows and converts byte-pair tokenizers. */
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    Status (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", bpe_command_train, "learn a tokenizer from texts"},
    {"encode", bpe_command_encode, "from lines of text to lines of ids"},
    {"decode", bpe_command_decode, "from lines of ids to lines of text"},
    {"info", bpe_command_info, "what is in a tokenizer"},
    {"convert", bpe_command_convert, "between tokenizer.json, GPT-2's and subword-nmt's files"},
};

int main(int argc, char **argv)
{
    Status status = status_usage("a command is expected: train, encode, decode, info or convert");
    for (int i = 0; argc > 1 && i < OPTION_COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            status = commands[i].run(argc - 1, argv + 1);
            return options_report("bpe", &status);
        }
    if (options_ask_help(argc, argv)) {
        puts("bpe COMMAND [options]; bpe COMMAND --help lists a command's options");
        for (int i = 0; i < OPTION_COUNT(commands); i++)
            printf("  %-10s %s\n", commands[i].name, commands[i].help);
        status = status_ok();
    }
    return options_report("bpe", &status);
}
