#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program started with >&- would give the number of its standard output to the next file that it opens, a
 * checkpoint, and print into it. What is put in the way can only be used the wrong way round, so that using
 * it fails as before. */
static void occupy_closed_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* gets the lowest number */
}

static const Option *find(const Option *options, int count, const char *name, size_t length)
{
    for (int i = 0; i < count; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static Status set_number(const Option *option, const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool integer = option->kind == OPTION_INTEGER;
    if (end == text || *end || errno || !isfinite(value) || (integer && value != floor(value)))
        return status_usage("--%s %s: not %s", option->name, text, integer ? "a whole number" : "a number");
    if (value < option->low || value > option->high)
        return status_usage("--%s %s: must lie between %g and %g", option->name, text, option->low,
                            option->high);
    if (integer)
        *(int *)option->value = (int)value;
    else
        *(double *)option->value = value;
    return status_ok();
}

static Status set(const Option *option, const char *text)
{
    char *end;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->value = true;
        return status_ok();
    case OPTION_TEXT:
        *(const char **)option->value = text;
        return status_ok();
    case OPTION_INTEGER:
    case OPTION_NUMBER:
        return set_number(option, text);
    case OPTION_SEED:
        errno = 0;
        *(uint64_t *)option->value = strtoull(text, &end, 10);
        if (end == text || *end || errno || strchr(text, '-'))
            return status_usage("--%s %s: not a whole number from 0 to 2^64 - 1", option->name, text);
        return status_ok();
    }
    return status_ok();
}

Status options_parse(const Option *options, int count, int argc, char **argv, const char **rest,
                     int *rest_count)
{
    bool ended = false;
    occupy_closed_streams();
    if (rest_count)
        *rest_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (ended || strncmp(word, "--", 2) != 0) {
            if (!rest)
                return status_usage("'%s': an argument where an option is expected", word);
            rest[(*rest_count)++] = word;
            continue;
        }
        if (word[2] == '\0') {
            ended = true;
            continue;
        }
        const char *name = word + 2, *equals = strchr(name, '=');
        const Option *option = find(options, count, name, equals ? (size_t)(equals - name) : strlen(name));
        if (!option)
            return status_usage("unknown option '%s'", word);
        const char *value = equals ? equals + 1 : NULL;
        if (option->kind == OPTION_FLAG && value)
            return status_usage("--%s takes no value", option->name);
        if (option->kind != OPTION_FLAG && !value) {
            if (i + 1 >= argc)
                return status_usage("--%s needs a value", option->name);
            value = argv[++i];
        }
        Status status = set(option, value);
        if (!status_is_ok(&status))
            return status;
    }
    return status_ok();
}

void options_print(const Option *options, int count)
{
    for (int i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].argument ? " " : "",
                 options[i].argument ? options[i].argument : "");
        printf("  %-26s %s\n", left, options[i].help);
    }
}

int options_report(const char *program, const Status *status)
{
    Status own = *status;
    if (status_is_ok(&own) && (fflush(stdout) != 0 || ferror(stdout)))
        own = status_failed("cannot write the output: %s; check where it goes", strerror(errno));
    if (!status_is_ok(&own))
        fprintf(stderr, "%s: %s%s\n", program, own.message,
                own.code == STATUS_USAGE ? " (--help lists the options)" : "");
    return (int)own.code;
}
