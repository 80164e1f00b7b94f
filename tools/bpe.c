/* bpe: trains, uses, shows and converts byte-pair tokenizers. */
#include "tools/bpe.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    ReelStatus (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", bpe_command_train, "learn a tokenizer from texts"},
    {"encode", bpe_command_encode, "from lines of text to lines of ids"},
    {"decode", bpe_command_decode, "from lines of ids to lines of text"},
    {"info", bpe_command_info, "what is in a tokenizer"},
    {"convert", bpe_command_convert, "between tokenizer.json, GPT-2's and subword-nmt's files"},
};

/* For --help a line for each command, for the manual page all that it says of itself. */
static void tell_commands(bool man)
{
    char *ask[] = {"", "--man", NULL};
    for (int i = 0; i < OPTION_COUNT(commands); i++) {
        if (man)
            (void)commands[i].run(2, ask);
        else
            printf("  %-10s %s\n", commands[i].name, commands[i].help);
    }
    printf("%s", man ? "" : "\n");
}

int main(int argc, char **argv)
{
    const Program program = {.name = "reel-bpe",
                             .summary = "train, use, show and convert byte-pair tokenizers",
                             .synopsis = "COMMAND [options]",
                             .description = "COMMAND --help lists a command's options.",
                             .commands = tell_commands};
    for (int i = 0; argc > 1 && i < OPTION_COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            ReelStatus status = commands[i].run(argc - 1, argv + 1);
            return program_report(&status);
        }
    if (program_tells(&program, argc, argv))
        return program_report(NULL);
    ReelStatus status = reel_status_usage("a command is expected: train, encode, decode, info or convert");
    return program_report(&status);
}
