#include "autograd/trace.h"

/* Deeper nests than this keep the outermost sites. */
enum { MAX_DEPTH = 64 };

static _Thread_local TapeTraceSite sites[MAX_DEPTH];
static _Thread_local int depth;

void tape_trace_push(const char *file, int line)
{
    if (depth < MAX_DEPTH)
        sites[depth] = (TapeTraceSite){file, line};
    depth++;
}

void tape_trace_pop(void)
{
    depth--;
}

TapeTraceSite tape_trace_site(void)
{
    if (depth <= 0)
        return (TapeTraceSite){0};
    return sites[depth <= MAX_DEPTH ? depth - 1 : MAX_DEPTH - 1];
}
