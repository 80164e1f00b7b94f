/* Command lines of Reel's programs: long options with values that are checked. */
#ifndef REEL_TOOLS_OPTIONS_H
#define REEL_TOOLS_OPTIONS_H

#include "tensor/status.h"

#include <stdbool.h>
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

/* Reads --name VALUE, --name=VALUE, and of flags --name and --no-name; the last one counts. What is no option
 * goes to `rest` (may be NULL: then it is an error), *rest_count of them. "--" ends the options. `given` (may
 * be NULL) tells of each option whether it was there, and is not set otherwise. An error is REEL_STATUS_USAGE
 * and names the option; an empty text is one. To be called before a file is opened: a standard stream that is
 * closed is kept from becoming that file. */
ReelStatus options_parse(const Option *options, int count, int argc, char **argv, const char **rest,
                         int *rest_count, bool *given);
/* Sets one option from its text. Infinity is a number where the range has it. */
ReelStatus options_set(const Option *option, const char *text);
/* Gives an option the value of another of its kind. */
void options_copy(const Option *to, const Option *from);

#endif
