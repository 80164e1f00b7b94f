#include "tools/meter.h"
#include "tensor/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool meter_can_draw(int fd)
{
    const char *terminal = getenv("TERM");
    return isatty(fd) && terminal && terminal[0] && strcmp(terminal, "dumb") != 0;
}

bool meter_has_colours(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    return meter_can_draw(fd) && !(no_colour && no_colour[0]);
}

Meter meter_start(void)
{
    return (Meter){.shown = meter_can_draw(STDERR_FILENO), .start = reel_clock_seconds()};
}

double meter_seconds(const Meter *meter)
{
    return reel_clock_seconds() - meter->start + 1e-9; /* not 0, to divide by */
}

bool meter_is_due(Meter *meter)
{
    double now = reel_clock_seconds();
    if (!meter->shown || now - meter->last < 0.1)
        return false;
    meter->last = now;
    return true;
}

void meter_draw(Meter *meter, const char *format, ...)
{
    va_list args;
    meter->drawn = true;
    fputc('\r', stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\033[K", stderr);
}

void meter_clear(Meter *meter)
{
    if (meter->drawn)
        fputs("\r\033[K", stderr);
    meter->drawn = false;
}
