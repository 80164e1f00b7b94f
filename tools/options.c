#include "tools/options.h"

#include <fcntl.h>
#include <stdbool.h>
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

static const ModelOption *find(const ModelOption *options, int count, const char *name, size_t length)
{
    for (int i = 0; i < count; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

/* --no-NAME of a switch. */
static const ModelOption *find_switch(const ModelOption *options, int count, const char *name)
{
    const ModelOption *option =
        strncmp(name, "no-", 3) == 0 ? find(options, count, name + 3, strlen(name + 3)) : NULL;
    return option && option->kind == MODEL_OPTION_FLAG ? option : NULL;
}

/* The option at argv[*at]; moves on to its value, where that is a word of its own. */
static ReelStatus parse_option(const ModelOption *options, int count, int argc, char **argv, int *at,
                               bool *given)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
    const ModelOption *option = find(options, count, name, equals ? (size_t)(equals - name) : strlen(name)),
                      *off = option ? NULL : find_switch(options, count, name);
    if (off) {
        *(bool *)off->value = false;
        option = off;
    }
    if (!option)
        return reel_status_usage("unknown option '%s'", argv[*at]);
    if (given)
        given[option - options] = true;
    if (off)
        return reel_status_ok();
    if (option->kind == MODEL_OPTION_FLAG && value)
        return reel_status_usage("--%s takes no value", option->name);
    if (option->kind != MODEL_OPTION_FLAG && !value) {
        if (*at + 1 >= argc)
            return reel_status_usage("--%s needs a value", option->name);
        value = argv[++*at];
    }
    return model_options_set(option, value);
}

ReelStatus options_parse(const ModelOption *options, int count, int argc, char **argv, const char **rest,
                         int *rest_count, bool *given)
{
    bool ended = false;
    occupy_closed_streams();
    if (rest_count)
        *rest_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (ended || strncmp(word, "--", 2) != 0) {
            if (!rest)
                return reel_status_usage("'%s': an argument where an option is expected", word);
            if (!*word)
                return reel_status_usage("an argument is empty; name a file or folder, or leave it out");
            rest[(*rest_count)++] = word;
            continue;
        }
        if (word[2] == '\0') {
            ended = true;
            continue;
        }
        ReelStatus status = parse_option(options, count, argc, argv, &i, given);
        if (!reel_status_is_ok(&status))
            return status;
    }
    return reel_status_ok();
}
