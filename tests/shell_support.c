#include "tests/shell_support.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char command[8192], output[65536];

static int run(void)
{
    fflush(NULL);
    FILE *pipe = popen(command, "r");
    ck_assert_msg(pipe != NULL, "cannot run %s", command);
    size_t used = 0, got;
    while ((got = fread(output + used, 1, sizeof output - 1 - used, pipe)) > 0)
        used += got;
    output[used] = '\0';
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0) /* or the program would be killed by the closed pipe */
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void write_command(const char *format, va_list arguments)
{
    static const char both[] = "exec 2>&1; ";
    int length = snprintf(command, sizeof command, "%s", both);
    length += vsnprintf(command + length, sizeof command - (size_t)length, format, arguments);
    ck_assert_msg(length < (int)sizeof command, "the command is too long: %.200s...", command);
}

int shell_run(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_command(format, arguments);
    va_end(arguments);
    return run();
}

void shell_must(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_command(format, arguments);
    va_end(arguments);
    int code = run();
    ck_assert_msg(code == 0, "%s\nended with %d and printed:\n%s", command, code, output);
}

const char *shell_output(void)
{
    return output;
}

bool shell_has(const char *program)
{
    return shell_run("command -v %s", program) == 0;
}

const char *shell_folder(void)
{
    static char path[256];
    const char *parent = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/reel-test-XXXXXX", parent ? parent : "/tmp");
    ck_assert_msg(mkdtemp(path) != NULL, "cannot make the folder %s", path);
    return path;
}

void shell_remove_folder(const char *folder)
{
    shell_must("rm -rf '%s'", folder);
}

const char *shell_setting(const char *name)
{
    const char *value = getenv(name);
    ck_assert_msg(value != NULL, "%s is not set: run the tests by make test", name);
    return value;
}
