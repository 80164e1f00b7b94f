/* Taking notes of what each use of an op takes. */
#include "autograd/profile_internal.h"
#include "tensor/clock.h"
#include "tensor/flops.h"
#include "tensor/mem.h"

#include <string.h>

/* ---- Life ---- */

void tape_profile_free_rows(TapeProfile *profile)
{
    for (size_t i = 0; i < profile->row_count; i++)
        reel_mem_free((char *)(uintptr_t)profile->rows[i].name);
    reel_mem_free(profile->rows);
    profile->rows = NULL;
    profile->row_count = profile->row_capacity = 0;
}

void tape_profile_free(TapeProfile *profile)
{
    if (!profile)
        return;
    for (size_t i = 0; i < profile->module_count; i++)
        reel_mem_free(profile->modules[i]);
    reel_mem_free(profile->modules);
    reel_mem_free(profile->events);
    tape_profile_free_rows(profile);
    reel_mem_free(profile);
}

bool tape_profile(Tape *tape, bool on)
{
    tape->profile = NULL;
    if (!on)
        return true;
    tape_profile_free(tape->measured);
    tape->measured = reel_mem_calloc(1, sizeof *tape->measured);
    tape->profile = tape->measured;
    if (tape->profile)
        tape->profile->open = -1;
    return tape->profile != NULL;
}

/* ---- Notes ---- */

/* The number of a path of modules. Uses of a module come one after the other, so the search begins at the one
 * that was needed last. -1: no memory. */
static int32_t module_number(TapeProfile *profile, const char *path)
{
    size_t last = profile->count ? (size_t)profile->events[profile->count - 1].module : 0;
    for (size_t i = 0; i < profile->module_count; i++) {
        size_t at = (last + i) % profile->module_count;
        if (strcmp(profile->modules[at], path) == 0)
            return (int32_t)at;
    }
    char **modules =
        reel_mem_grow(profile->modules, profile->module_count, &profile->module_capacity, sizeof *modules);
    if (!modules)
        return -1;
    profile->modules = modules;
    modules[profile->module_count] = reel_mem_strdup(path);
    return modules[profile->module_count] ? (int32_t)profile->module_count++ : -1;
}

void tape_profile_begin(Tape *tape, const OpKind *op, uint32_t node, bool backward)
{
    TapeProfile *profile = tape->profile;
    char path[200] = "";
    if (tape->scope)
        tape_scope_text(tape->scope, path, sizeof path);
    int32_t module = profile->missed ? -1 : module_number(profile, path);
    ProfileEvent *events =
        module < 0 ? NULL
                   : reel_mem_grow(profile->events, profile->count, &profile->capacity, sizeof *events);
    if (!events) {
        profile->missed++;
        profile->incomplete = true;
        return;
    }
    profile->events = events;
    TapeTraceSite site = tape_trace_site();
    const ProfileEvent *outer = profile->open >= 0 ? &events[profile->open] : NULL;
    events[profile->count] = (ProfileEvent){.op = op ? op->name : "leaf",
                                            .file = site.file,
                                            .line = (uint32_t)site.line,
                                            .tape = tape,
                                            .node = node,
                                            .stamp = tape->stamp,
                                            .module = module,
                                            .outer = profile->open,
                                            .backward = backward || (outer && outer->backward),
                                            .start = reel_clock_seconds(),
                                            .bytes = -(int64_t)tape->arena.used,
                                            .operations = -(int64_t)tensor_flops_count_here()};
    profile->open = (int32_t)profile->count++;
}

void tape_profile_end(Tape *tape)
{
    TapeProfile *profile = tape->profile;
    if (profile->missed > 0) {
        profile->missed--;
        return;
    }
    ProfileEvent *event = &profile->events[profile->open];
    event->seconds = reel_clock_seconds() - event->start;
    event->bytes += (int64_t)tape->arena.used;
    event->operations += (int64_t)tensor_flops_count_here();
    profile->open = event->outer;
    if (event->outer < 0)
        return;
    ProfileEvent *outer = &profile->events[event->outer];
    outer->inner_seconds += event->seconds;
    outer->inner_operations += event->operations;
    if (outer->tape == event->tape)
        outer->inner_bytes += event->bytes;
}
