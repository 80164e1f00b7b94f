#include "tools/training_watch.h"
#include "tensor/clock.h"
#include "tools/interrupt.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Seconds between two savings, and between two lines where lines stay. */
static const double SAVE_EVERY = 60, SHOW_EVERY_IN_A_FILE = 30;

ReelStatus training_watch_begin(TrainingWatch *watch, const char *out, bool quiet)
{
    double now = reel_clock_seconds();
    *watch = (TrainingWatch){.quiet = quiet, .meter = meter_start(), .shown = now, .saved = now};
    int length = snprintf(watch->state_path, sizeof watch->state_path, "%s.state.npz", out);
    if ((size_t)length >= sizeof watch->state_path)
        return reel_status_usage("--out: the path is too long");
    interrupt_catch(NULL);
    return reel_status_ok();
}

bool training_watch_is_due(TrainingWatch *watch, bool at_end)
{
    if (watch->quiet)
        return false;
    if (watch->meter.shown)
        return meter_is_due(&watch->meter) || at_end;
    double now = reel_clock_seconds();
    if (now - watch->shown <= SHOW_EVERY_IN_A_FILE && !at_end)
        return false;
    watch->shown = now;
    return true;
}

void training_watch_show(TrainingWatch *watch, bool at_end, const char *format, ...)
{
    char line[300];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (watch->meter.shown)
        meter_draw(&watch->meter, "%s%s", line, at_end ? "\n" : "");
    else
        fprintf(stderr, "%s\n", line);
}

bool training_watch_goes_on(TrainingWatch *watch)
{
    double now = reel_clock_seconds();
    bool ends = interrupt_asked(NULL);
    if (now - watch->saved > SAVE_EVERY || ends) {
        watch->saved = now;
        watch->status = watch->save(watch->context, watch->state_path);
    }
    return !ends && reel_status_is_ok(&watch->status);
}

void training_watch_end(const TrainingWatch *watch)
{
    if (!interrupt_signal())
        unlink(watch->state_path);
    else if (!watch->quiet)
        fprintf(stderr, "%sinterrupted; --resume goes on from %s\n", watch->meter.shown ? "\n" : "",
                watch->state_path);
}
