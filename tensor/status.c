#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>

ReelStatus reel_status_ok(void)
{
    ReelStatus status;
    status.code = REEL_STATUS_OK;
    status.message[0] = '\0';
    return status;
}

static ReelStatus make(ReelStatusCode code, const char *format, va_list args)
{
    ReelStatus status;
    status.code = code;
    vsnprintf(status.message, sizeof status.message, format, args);
    /* What is quoted (a path, an argument) may hold line feeds, or sequences that command a terminal. */
    for (char *at = status.message; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return status;
}

ReelStatus reel_status_failed(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ReelStatus status = make(REEL_STATUS_FAILED, format, args);
    va_end(args);
    return status;
}

ReelStatus reel_status_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ReelStatus status = make(REEL_STATUS_USAGE, format, args);
    va_end(args);
    return status;
}

ReelStatus reel_status_no_memory(size_t bytes, const char *what)
{
    return reel_status_failed("out of memory: %zu bytes for %s", bytes, what);
}
