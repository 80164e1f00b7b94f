/* The figures of a profile: rows, tables, Chrome's trace format. */
#include "autograd/profile_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/storage/json_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 260 };

/* ---- Rows ---- */

void tape_place_text(const char *file, uint32_t line, char *text)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    text[0] = '\0';
    if (file)
        snprintf(text, PLACE_SIZE, "%.80s:%u", slash ? slash + 1 : file, line);
}

/* The row of a name, new if need be; NULL: no memory. */
static TapeProfileRow *row_of(TapeProfile *profile, const char *name)
{
    for (size_t i = profile->row_count; i-- > 0;)
        if (strcmp(profile->rows[i].name, name) == 0)
            return &profile->rows[i];
    TapeProfileRow *rows =
        reel_mem_grow(profile->rows, profile->row_count, &profile->row_capacity, sizeof *rows);
    if (!rows)
        return NULL;
    profile->rows = rows;
    rows[profile->row_count] = (TapeProfileRow){.name = reel_mem_strdup(name)};
    return rows[profile->row_count].name ? &rows[profile->row_count++] : NULL;
}

static bool add_event(TapeProfile *profile, const ProfileEvent *event, const char *name)
{
    TapeProfileRow *row = row_of(profile, name);
    if (!row)
        return false;
    TapeProfileCost *cost = event->backward ? &row->backward : &row->forward;
    cost->calls++;
    cost->seconds += event->seconds - event->inner_seconds;
    cost->bytes += event->bytes - event->inner_bytes;
    cost->operations += event->operations - event->inner_operations;
    return true;
}

/* An event counts for its module and for all that this one is a part of. */
static bool add_to_modules(TapeProfile *profile, const ProfileEvent *event)
{
    char path[NAME_SIZE];
    const char *whole = profile->modules[event->module];
    size_t length = strlen(whole);
    bool done = add_event(profile, event, "");
    for (size_t i = 1; i <= length && done; i++) {
        if (whole[i] != '.' && whole[i] != '\0')
            continue;
        snprintf(path, sizeof path, "%.*s", (int)i, whole);
        done = add_event(profile, event, path);
    }
    return done;
}

static bool add_to_row(TapeProfile *profile, const ProfileEvent *event, TapeProfileKind kind)
{
    char place[PLACE_SIZE];
    if (kind == TAPE_PROFILE_MODULES)
        return add_to_modules(profile, event);
    if (kind == TAPE_PROFILE_OPS)
        return add_event(profile, event, event->op);
    tape_place_text(event->file, event->line, place);
    return add_event(profile, event, *place ? place : "(no line)");
}

static int by_time(const void *a, const void *b)
{
    const TapeProfileRow *x = a, *y = b;
    double p = x->forward.seconds + x->backward.seconds, q = y->forward.seconds + y->backward.seconds;
    return p > q ? -1 : p < q ? 1 : strcmp(x->name, y->name);
}

const TapeProfileRow *tape_profile_rows(Tape *tape, TapeProfileKind kind, int *count)
{
    TapeProfile *profile = tape->measured;
    *count = 0;
    if (!profile)
        return NULL;
    tape_profile_free_rows(profile);
    for (size_t i = 0; i < profile->count; i++)
        if (!add_to_row(profile, &profile->events[i], kind))
            return NULL;
    if (kind != TAPE_PROFILE_MODULES && profile->row_count > 0)
        qsort(profile->rows, profile->row_count, sizeof *profile->rows, by_time);
    *count = (int)profile->row_count;
    return profile->rows;
}

/* ---- The tables ---- */

/* A file's text; `failed`: there was no memory. */
typedef struct Text {
    ReelBytes bytes;
    bool failed;
} Text;

REEL_PRINTF(2, 3) static void put(Text *text, const char *format, ...)
{
    char line[NAME_SIZE + 200];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0 || !reel_bytes_append(&text->bytes, line, strlen(line)))
        text->failed = true;
}

static void put_cost(Text *text, const TapeProfileCost *cost)
{
    put(text, "  %8lld %10.3f %9.2f %11.2f", (long long)cost->calls, 1e3 * cost->seconds,
        (double)cost->bytes / 1e6, (double)cost->operations / 1e6);
}

/* `whole`: seconds of all rows, of which the last column is a share. */
static void put_table(Text *text, const char *title, const TapeProfileRow *rows, int count, double whole)
{
    int width = 12;
    for (int i = 0; i < count; i++)
        width = (int)strlen(rows[i].name) > width ? (int)strlen(rows[i].name) : width;
    put(text, "%-*s  %-41s  %-41s\n", width, "", "forward", "backward");
    put(text, "%-*s", width, title);
    for (int i = 0; i < 2; i++)
        put(text, "  %8s %10s %9s %11s", "calls", "ms", "MB", "MFLOP");
    put(text, "   time\n");
    for (int i = 0; i < count; i++) {
        put(text, "%-*s", width, *rows[i].name ? rows[i].name : "(all)");
        put_cost(text, &rows[i].forward);
        put_cost(text, &rows[i].backward);
        double share = rows[i].forward.seconds + rows[i].backward.seconds;
        put(text, " %5.1f%%\n", whole > 0 ? 100 * share / whole : 0.0);
    }
}

static bool put_tables(Text *text, Tape *tape)
{
    static const char *const titles[] = {"op", "module", "line"};
    double whole = 0;
    int count = 0;
    for (int kind = TAPE_PROFILE_OPS; kind <= TAPE_PROFILE_LINES; kind++) {
        const TapeProfileRow *rows = tape_profile_rows(tape, (TapeProfileKind)kind, &count);
        if (!rows && tape->measured->count > 0)
            return false;
        if (kind == TAPE_PROFILE_OPS)
            for (int i = 0; i < count; i++)
                whole += rows[i].forward.seconds + rows[i].backward.seconds;
        put(text, "%s", kind == TAPE_PROFILE_OPS ? "" : "\n");
        put_table(text, titles[kind], rows, count, whole);
    }
    return !text->failed;
}

/* ---- Chrome's trace format ---- */

typedef struct Timeline {
    ReelJsonWriter *json;
    double zero;          /* the clock's time of the first event */
    char path[NAME_SIZE]; /* of the modules that are open */
} Timeline;

static void begin_entry(const Timeline *line, const char *name, const char *phase, double time)
{
    ReelJsonWriter *json = line->json;
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", name);
    reel_json_string(json, "ph", phase);
    reel_json_number(json, "ts", 1e6 * (time - line->zero));
    reel_json_integer(json, "pid", 1);
    reel_json_integer(json, "tid", 1);
}

/* Goes from the modules that are open to those of `path`: a bar begins or ends for each. */
static void go_to(Timeline *line, const char *path, double end_of_last, double start_of_next)
{
    size_t same = 0, length = strlen(line->path), wanted = strlen(path);
    for (size_t i = 0; i <= length && i <= wanted; i++) {
        bool end_here = (i == length || line->path[i] == '.') && (i == wanted || path[i] == '.');
        if (end_here)
            same = i;
        if (line->path[i] != path[i])
            break;
    }
    while (length > same) {
        while (length > same && line->path[length - 1] != '.')
            length--;
        begin_entry(line, line->path + length, "E", end_of_last);
        reel_json_end_object(line->json);
        length -= length > same;
        line->path[length] = '\0';
    }
    for (size_t at = same; at < wanted;) {
        at += path[at] == '.';
        size_t part = strcspn(path + at, ".");
        snprintf(line->path, sizeof line->path, "%.*s", (int)part, path + at);
        begin_entry(line, line->path, "B", start_of_next);
        reel_json_end_object(line->json);
        at += part;
    }
    snprintf(line->path, sizeof line->path, "%s", path);
}

static void write_event(const Timeline *line, const ProfileEvent *event, const char *module)
{
    ReelJsonWriter *json = line->json;
    char place[PLACE_SIZE];
    tape_place_text(event->file, event->line, place);
    begin_entry(line, event->op, "X", event->start);
    reel_json_number(json, "dur", 1e6 * event->seconds);
    reel_json_string(json, "cat", event->backward ? "backward" : "forward");
    reel_json_begin_object(json, "args");
    reel_json_string(json, "module", module);
    reel_json_string(json, "line", place);
    reel_json_integer(json, "bytes", event->bytes);
    reel_json_integer(json, "operations", event->operations);
    reel_json_end_object(json);
    reel_json_end_object(json);
}

static ReelStatus save_trace(const TapeProfile *profile, const char *path)
{
    ReelJsonWriter json = {.compact = true};
    Timeline line = {.json = &json, .zero = profile->count ? profile->events[0].start : 0};
    double end = line.zero;
    bool backward = false;
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "displayTimeUnit", "ms");
    reel_json_begin_array(&json, "traceEvents");
    for (size_t i = 0; i < profile->count; i++) {
        const ProfileEvent *event = &profile->events[i];
        if (event->outer < 0) {
            if (event->backward != backward)
                go_to(&line, "", end, event->start);
            go_to(&line, profile->modules[event->module], end, event->start);
            backward = event->backward;
            end = event->start + event->seconds;
        }
        write_event(&line, event, profile->modules[event->module]);
    }
    go_to(&line, "", end, end);
    reel_json_end_array(&json);
    reel_json_end_object(&json);
    return reel_json_save(&json, path);
}

ReelStatus tape_profile_save(Tape *tape, const char *path)
{
    const TapeProfile *profile = tape->measured;
    if (!profile)
        return reel_status_usage(
            "tape_profile_save: nothing was measured: call tape_profile(tape, true) first");
    if (profile->incomplete)
        return reel_status_no_memory(profile->count * sizeof *profile->events, "the profile");
    if (reel_path_ends(path, ".json"))
        return save_trace(profile, path);
    Text text = {0};
    ReelStatus status = put_tables(&text, tape) ? reel_atomic_file_put(path, text.bytes.data, text.bytes.size)
                                                : reel_status_no_memory(text.bytes.size, "the profile");
    reel_bytes_free(&text.bytes);
    return status;
}
