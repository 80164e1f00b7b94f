/* The settings of a run in a file, by the names of their options: what --resume needs to know. */
#ifndef REEL_TOOLS_SETTINGS_H
#define REEL_TOOLS_SETTINGS_H

#include "tensor/storage/json_writer.h"
#include "tensor/arena.h"
#include "tools/options.h"

#include <stdbool.h>

/* Writes the value of an option under its name. A text that is not UTF-8 (a file's name may be any bytes) is
 * written as the list of its bytes. */
void settings_write(ReelJsonWriter *json, const Option *option);
/* Sets the options from an object in a file's text; a name that none of them has is an error. Strings go to
 * the arena. Errors name `path`. */
ReelStatus settings_read(const Option *options, int count, const char *path, const char *text, size_t size,
                         TensorArena *arena);
/* The value of an option as options_set() reads it, "" for a text that was not given, in the arena; NULL: no
 * memory. The same values have the same text. */
const char *settings_text(const Option *option, TensorArena *arena);

#endif
