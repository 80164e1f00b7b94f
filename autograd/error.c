/* Errors of a tape, and the path of the modules that run, which they name. */
#include "autograd/profile_internal.h"
#include "tensor/mem.h"

#include <stdarg.h>
#include <stdio.h>

size_t tape_scope_text(const TapeScope *scope, char *text, size_t size)
{
    size_t used = scope->parent ? tape_scope_text(scope->parent, text, size) : 0;
    const char *name = scope->name ? scope->name : "";
    int written = snprintf(text + used, size - used, "%s%s", used && *name ? "." : "", name);
    return written < 0 || used + (size_t)written >= size ? size - 1 : used + (size_t)written;
}

/* " (in a.b.c, called at file.c:12)" */
static void place_text(const TapeScope *scope, TapeTraceSite site, char *text, size_t size)
{
    char path[200] = "";
    if (scope)
        tape_scope_text(scope, path, sizeof path);
    text[0] = '\0';
    if (*path && site.file)
        snprintf(text, size, " (in %s, called at %s:%d)", path, site.file, site.line);
    else if (*path)
        snprintf(text, size, " (in %s)", path);
    else if (site.file)
        snprintf(text, size, " (called at %s:%d)", site.file, site.line);
}

static void record(Tape *tape, const char *text)
{
    char place[300];
    place_text(tape->scope, tape_trace_site(), place, sizeof place);
    const OpKind *op = tape->differentiated;
    tape->status = reel_status_failed("%s%s%s%s%s", op ? "backward of " : "", op ? op->name : "",
                                      op ? ": " : "", text, place);
}

/* The one place that reports lack of memory: the arenas know whether an allocation failed. */
bool tape_ok(const Tape *tape)
{
    if (reel_status_is_ok(&tape->status) && (tape->arena.failed || tape->scratch.failed)) {
        char text[100];
        snprintf(text, sizeof text, "out of memory: the step holds %zu MB", tape->arena.used >> 20);
        record((Tape *)(uintptr_t)tape, text);
    }
    return reel_status_is_ok(&tape->status);
}

const ReelStatus *tape_status(const Tape *tape)
{
    tape_ok(tape);
    return &tape->status;
}

Var tape_fail(Tape *tape, const char *format, ...)
{
    if (tape_ok(tape)) {
        char text[400];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        record(tape, text);
    }
    return tape_empty(tape);
}

void tape_enter(Tape *tape, const TapeScope *scope)
{
    const TapeScope **scopes =
        reel_mem_grow(tape->scopes, tape->scope_count, &tape->scope_capacity, sizeof *scopes);
    if (!scopes) {
        tape->arena.failed = true;
        tape->scope_count++; /* keeps enter and leave in step; the path of messages is then too short */
        return;
    }
    tape->scopes = scopes;
    if (tape->scope_count < tape->scope_capacity)
        scopes[tape->scope_count] = tape->scope;
    tape->scope_count++;
    tape->scope = scope;
}

void tape_leave(Tape *tape)
{
    if (tape->scope_count == 0)
        return;
    tape->scope_count--;
    if (tape->scope_count < tape->scope_capacity)
        tape->scope = tape->scopes[tape->scope_count];
}

/* ---- Inside ops ---- */

bool op_error(OpContext *c, const char *format, ...)
{
    char text[200], shapes[300] = "", shape[TENSOR_SHAPE_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t used = 0;
    const Node *node = tape_node(c->tape, c->node);
    for (int i = 0; i < c->count && used < sizeof shapes - TENSOR_SHAPE_TEXT_SIZE; i++)
        used +=
            (size_t)snprintf(shapes + used, sizeof shapes - used, "%s%s", i ? ", " : "",
                             tensor_shape_text(&tape_value(c->tape, node_input(c->tape, node, i))->t, shape));
    tape_fail(c->tape, "%s%s(%s): %s", c->walk ? "backward of " : "", c->op->name, shapes, text);
    return false;
}
