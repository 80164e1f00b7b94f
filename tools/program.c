#define _GNU_SOURCE /* program_invocation_short_name */
#include "tools/program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef REEL_VERSION
#define REEL_VERSION "unknown"
#endif

enum { LINE_WIDTH = 100 };

const char *program_name(void)
{
    return program_invocation_short_name;
}

void program_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_name());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

ReelStatus program_check_output(void)
{
    return fflush(stdout) == 0 && !ferror(stdout)
               ? reel_status_ok()
               : reel_status_failed("cannot write the output: %s; check where it goes", strerror(errno));
}

ReelStatus program_print_json(ReelJsonWriter *json, FILE *to)
{
    const char *text = reel_json_finish(json);
    if (text)
        fputs(text, to);
    reel_json_free(json);
    return text ? reel_status_ok() : reel_status_no_memory(0, "the output");
}

int program_report(const ReelStatus *status)
{
    ReelStatus own = status ? *status : reel_status_ok();
    if (reel_status_is_ok(&own))
        own = program_check_output();
    if (!reel_status_is_ok(&own))
        program_warn("%s%s", own.message, own.code == REEL_STATUS_USAGE ? " (--help lists the options)" : "");
    return (int)own.code;
}

/* What every program has besides its own options. */
static const ModelOption common[] = {
    {"help", NULL, MODEL_OPTION_FLAG, NULL, 0, 0, "this text"},
    {"man", NULL, MODEL_OPTION_FLAG, NULL, 0, 0, "this text as a manual page, for man -l -"},
    {"version", NULL, MODEL_OPTION_FLAG, NULL, 0, 0, "the version of Reel"},
};
static const ModelOption negation = {
    "no-NAME", NULL, MODEL_OPTION_FLAG, NULL, 0, 0, "turns off a switch (an option without a value)"};

static bool has_switches(const Program *program)
{
    for (int i = 0; i < program->count; i++)
        if (program->options[i].kind == MODEL_OPTION_FLAG)
            return true;
    return false;
}

/* ---- Help ---- */

static void print_filled(const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t length = strcspn(text, " \n");
        bool breaks = column > 0 && column + 1 + length > LINE_WIDTH;
        printf("%s%.*s", breaks ? "\n" : column > 0 ? " " : "", (int)length, text);
        column = (breaks ? 0 : column + (column > 0)) + length;
        text += length;
        if (*text == '\n') {
            printf("\n");
            column = 0;
        }
        text += *text != '\0';
    }
    printf("\n\n");
}

static void print_option(const ModelOption *option)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    printf("  %-26s %s\n", left, option->help);
}

static void print_help(const Program *p)
{
    const char *lead = "usage:";
    for (const char *form = p->synopsis; *form; form += *form == '\n') {
        int length = (int)strcspn(form, "\n");
        printf("%-6s %s %s%s%.*s\n", lead, program_name(), p->is_command ? p->name : "",
               p->is_command ? " " : "", length, form);
        lead = "";
        form += length;
    }
    printf("\n");
    if (*p->description)
        print_filled(p->description);
    if (p->commands)
        p->commands(false);
    for (int i = 0; i < p->count; i++)
        print_option(&p->options[i]);
    for (int i = 0; i < OPTION_COUNT(common); i++)
        print_option(&common[i]);
    if (has_switches(p))
        print_option(&negation);
}

/* ---- The manual page ---- */

static void put_roff(const char *text, size_t length)
{
    bool begins = true;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (begins && (c == '.' || c == '\''))
            fputs("\\&", stdout);
        begins = c == '\n';
        if (c == '\n')
            fputs("\n.PP\n", stdout);
        else if (c == '-')
            fputs("\\-", stdout);
        else if (c == '\\')
            fputs("\\e", stdout);
        else
            putchar(c);
    }
}

static void put_section(const char *title, const char *text)
{
    printf(".SH %s\n", title);
    put_roff(text, strlen(text));
    printf("\n");
}

static void put_option(const ModelOption *option)
{
    printf(".TP\n\\fB\\-\\-");
    put_roff(option->name, strlen(option->name));
    printf("\\fR");
    if (option->argument)
        printf(" \\fI%s\\fR", option->argument);
    printf("\n");
    put_roff(option->help, strlen(option->help));
    printf("\n");
}

static void put_synopsis(const Program *p, const char *name)
{
    for (const char *form = p->synopsis; *form; form += *form == '\n') {
        size_t length = strcspn(form, "\n");
        printf("%s\\fB", form == p->synopsis ? "" : ".br\n");
        put_roff(name, strlen(name));
        printf("\\fR ");
        put_roff(form, length);
        printf("\n");
        form += length;
    }
}

static void put_options(const Program *p)
{
    for (int i = 0; i < p->count; i++)
        put_option(&p->options[i]);
    for (int i = 0; i < OPTION_COUNT(common) && !p->is_command; i++)
        put_option(&common[i]);
    if (has_switches(p))
        put_option(&negation);
}

/* A command is a part of the OPTIONS of its program. */
static void put_command(const Program *p)
{
    printf(".SS ");
    put_roff(p->name, strlen(p->name));
    printf("\n");
    put_roff(p->summary, strlen(p->summary));
    printf("\n.PP\n");
    put_synopsis(p, p->name);
    if (*p->description) {
        printf(".PP\n");
        put_roff(p->description, strlen(p->description));
        printf("\n");
    }
    put_options(p);
}

static void put_page(const Program *p)
{
    printf(".TH %s 1 \"\" \"Reel " REEL_VERSION "\" \"Reel\"\n.SH NAME\n", p->name);
    printf("%s \\- ", p->name);
    put_roff(p->summary, strlen(p->summary));
    printf("\n.SH SYNOPSIS\n");
    put_synopsis(p, p->name);
    put_section("DESCRIPTION", p->description);
    printf(".SH OPTIONS\n");
    put_options(p);
    if (p->commands)
        p->commands(true);
    put_section("EXIT STATUS",
                "0: all is well. 1: data or I/O; the message names file, line and remedy. 2: wrong "
                "usage. 128 + n: ended by signal n.");
    printf(".SH SEE ALSO\n\\fBreel\\-train\\fR(1), \\fBreel\\-predict\\fR(1), \\fBreel\\-bpe\\fR(1), "
           "\\fBreel\\-vectors\\fR(1), \\fBreel\\-lm\\fR(1), \\fBreel\\-gradcheck\\fR(1), "
           "\\fBreel\\-bench\\fR(1)\n");
}

bool program_tells(const Program *program, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0)
            print_help(program);
        else if (strcmp(argv[i], "--man") == 0 && program->is_command)
            put_command(program);
        else if (strcmp(argv[i], "--man") == 0)
            put_page(program);
        else if (strcmp(argv[i], "--version") == 0)
            printf("%s (Reel) " REEL_VERSION "\n", program_name());
        else
            continue;
        return true;
    }
    return false;
}

bool program_reads(const Program *program, int argc, char **argv, const char **rest, int *rest_count,
                   ReelStatus *status)
{
    *status = reel_status_ok();
    if (program_tells(program, argc, argv))
        return false;
    *status = options_parse(program->options, program->count, argc, argv, rest, rest_count, NULL);
    return reel_status_is_ok(status);
}
