/* Command lines of Reel's programs: long options with values that are checked. */
#ifndef REEL_TOOLS_OPTIONS_H
#define REEL_TOOLS_OPTIONS_H

#include "tensor/status.h"

#include <stdint.h>

typedef enum { OPTION_FLAG, OPTION_TEXT, OPTION_INTEGER, OPTION_NUMBER, OPTION_SEED } OptionKind;

/* One option. `value` points to a bool, const char *, int, double or uint64_t. */
typedef struct Option {
    const char *name;     /* without the dashes */
    const char *argument; /* how --help names the value; NULL for a flag */
    OptionKind kind;
    void *value;
    double low, high; /* INTEGER, NUMBER: the range, both ends allowed */
    const char *help;
} Option;

/* Reads --name VALUE, --name=VALUE and --flag; what is no option goes to `rest` (may be NULL: then it is an
 * error), *rest_count of them. "--" ends the options. An error is STATUS_USAGE and names the option. To be
 * called before a file is opened: a standard stream that is closed is kept from becoming that file. */
Status options_parse(const Option *options, int count, int argc, char **argv, const char **rest,
                     int *rest_count);
/* Prints one line for each option. */
void options_print(const Option *options, int count);
/* Prints "PROGRAM: message" to stderr, with a hint at --help for a usage error; returns the exit code. Output
 * that could not be written to stdout is an error, too. */
int options_report(const char *program, const Status *status);

#endif
