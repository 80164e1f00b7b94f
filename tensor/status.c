#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>

Status status_ok(void)
{
    Status status;
    status.code = STATUS_OK;
    status.message[0] = '\0';
    return status;
}

static Status make(StatusCode code, const char *format, va_list args)
{
    Status status;
    status.code = code;
    vsnprintf(status.message, sizeof status.message, format, args);
    /* What is quoted (a path, an argument) may hold line feeds, or sequences that command a terminal. */
    for (char *at = status.message; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return status;
}

Status status_failed(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Status status = make(STATUS_FAILED, format, args);
    va_end(args);
    return status;
}

Status status_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Status status = make(STATUS_USAGE, format, args);
    va_end(args);
    return status;
}

Status status_no_memory(size_t bytes, const char *what)
{
    return status_failed("out of memory: %zu bytes for %s", bytes, what);
}
