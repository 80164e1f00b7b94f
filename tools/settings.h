/* The settings of a run in a file, by the names of their options: what --resume needs to know. */
#ifndef REEL_TOOLS_SETTINGS_H
#define REEL_TOOLS_SETTINGS_H

#include "tensor/storage/json_writer.h"
#include "tensor/arena.h"
#include "tools/options.h"

#include <stdbool.h>

/* Writes the value of an option under its name. */
void settings_write(JsonWriter *json, const Option *option);
/* Sets the options from an object in a file's text; other names are passed over. Strings go
 * to the arena. Errors name `path`. */
Status settings_read(const Option *options, int count, const char *path, const char *text, size_t size,
                     Arena *arena);
/* Whether two options of the same kind have the same value. */
bool settings_same(const Option *a, const Option *b);

#endif
