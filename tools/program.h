/* What a program says of itself: --help, --man, --version and its errors. Help and manual page are made from
 * the table of options that the command line is read by. */
#ifndef REEL_TOOLS_PROGRAM_H
#define REEL_TOOLS_PROGRAM_H

#include "tensor/storage/json_writer.h"
#include "tools/options.h"

#include <stdio.h>

#define OPTION_COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* A program, or one of its commands. */
typedef struct Program {
    const char *name;        /* as it is installed: "reel-predict"; of a command "train" */
    const char *summary;     /* "label texts with a saved model" */
    const char *synopsis;    /* what follows the name, a line for each form */
    const char *description; /* a line for each paragraph, however long; "" for none */
    const ModelOption *options;
    int count;
    bool is_command;
    void (*commands)(bool man); /* tells of the program's commands; NULL where it has none */
} Program;

/* The name that the program was called by. */
const char *program_name(void);
/* Answers --help, --man and --version, which may stand behind words that are wrong: true, and the program has
 * nothing more to do. To be asked before the options are read. */
bool program_tells(const Program *program, int argc, char **argv);
/* The same, and otherwise reads the options (options_parse()). False: the program has nothing more to do, and
 * *status says whether all is well. */
bool program_reads(const Program *program, int argc, char **argv, const char **rest, int *rest_count,
                   ReelStatus *status);
/* Prints "NAME: message" and a line feed to stderr. */
void program_warn(const char *format, ...) REEL_PRINTF(1, 2);
/* Whether all could be written to the standard output so far; for output that goes on. */
ReelStatus program_check_output(void);
/* Writes what was put together to a stream, and frees it. */
ReelStatus program_print_json(ReelJsonWriter *json, FILE *to);
/* Prints what went wrong (NULL: nothing), with a hint at --help for a usage error; returns the exit code.
 * Output that could not be written to stdout is an error, too. */
int program_report(const ReelStatus *status);

#endif
