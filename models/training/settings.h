/* Settings as a table: a row names one, says what it may be and what it means, and where its value is.
 * Command lines, help, manual pages and the files of a run are made from it. */
#ifndef REEL_MODELS_SETTINGS_H
#define REEL_MODELS_SETTINGS_H

#include "tensor/storage/json_writer.h"
#include "tensor/arena.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef enum {
    MODEL_OPTION_FLAG,
    MODEL_OPTION_TEXT,
    MODEL_OPTION_INTEGER,
    MODEL_OPTION_NUMBER,
    MODEL_OPTION_SEED,
    MODEL_OPTION_PART
} ModelOptionKind;

/* A part of the data by its size, or a file that holds it. */
typedef struct ModelOptionPart {
    double size;
    const char *file; /* NULL: the size counts */
} ModelOptionPart;

/* One option. `value` points to a bool, const char *, int, double, uint64_t or ModelOptionPart. */
typedef struct ModelOption {
    const char *name;     /* without the dashes */
    const char *argument; /* how --help names the value; NULL for a flag */
    ModelOptionKind kind;
    void *value;
    double low, high; /* INTEGER, NUMBER: the range, both ends allowed */
    const char *help;
} ModelOption;

/* Sets one option from its text. Infinity is a number where the range has it. */
ReelStatus model_options_set(const ModelOption *option, const char *text);
/* Which of the names, NULL behind the last, the text of an option is; 0 where it is none of them, and *status
 * says so unless it is an error already. */
int model_options_choose(const char *option, const char *text, const char *const *names, ReelStatus *status);
/* Gives an option the value of another of its kind. */
void model_options_copy(const ModelOption *to, const ModelOption *from);

/* Writes the value of an option under its name. A text that is not UTF-8 (a file's name may be any bytes) is
 * written as the list of its bytes. */
void model_settings_write(ReelJsonWriter *json, const ModelOption *option);
/* Sets the options from an object in a file's text; a name that none of them has is an error. Strings go to
 * the arena. Errors name `path`. */
ReelStatus model_settings_read(const ModelOption *options, int count, const char *path, const char *text,
                               size_t size, TensorArena *arena);
/* The value of an option as model_options_set() reads it, "" for a text that was not given, in the arena;
 * NULL: no memory. The same values have the same text. */
const char *model_settings_text(const ModelOption *option, TensorArena *arena);

REEL_END_DECLS

#endif
