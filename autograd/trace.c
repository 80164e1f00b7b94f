#include "autograd/trace.h"

/* Deeper nests than this keep the outermost sites. */
enum { MAX_DEPTH = 64 };

static _Thread_local TraceSite sites[MAX_DEPTH];
static _Thread_local int depth;

void trace_push(const char *file, int line)
{
    if (depth < MAX_DEPTH)
        sites[depth] = (TraceSite){file, line};
    depth++;
}

void trace_pop(void)
{
    depth--;
}

TraceSite trace_site(void)
{
    if (depth <= 0)
        return (TraceSite){0};
    return sites[depth <= MAX_DEPTH ? depth - 1 : MAX_DEPTH - 1];
}
