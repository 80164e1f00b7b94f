/* Command lines of Reel's programs: long options with values that are checked. */
#ifndef REEL_TOOLS_OPTIONS_H
#define REEL_TOOLS_OPTIONS_H

#include "models/training/settings.h"

/* Reads --name VALUE, --name=VALUE, and of flags --name and --no-name; the last one counts. What is no option
 * goes to `rest` (may be NULL: then it is an error), *rest_count of them. "--" ends the options. `given` (may
 * be NULL) tells of each option whether it was there, and is not set otherwise. An error is REEL_STATUS_USAGE
 * and names the option; an empty text is one. To be called before a file is opened: a standard stream that is
 * closed is kept from becoming that file. */
ReelStatus options_parse(const ModelOption *options, int count, int argc, char **argv, const char **rest,
                         int *rest_count, bool *given);
#endif
