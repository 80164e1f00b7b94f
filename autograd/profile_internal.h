/* Measuring: notes of what each use of an op took. */
#ifndef REEL_AUTOGRAD_PROFILE_INTERNAL_H
#define REEL_AUTOGRAD_PROFILE_INTERNAL_H

#include "autograd/profile.h"
#include "autograd/tape_internal.h"

/* One use of an op forward, or one turn of a node backward. */
typedef struct ProfileEvent {
    const char *op; /* static strings both */
    const char *file;
    const Tape *tape; /* the measured one, or the one of a checkpoint's part */
    uint32_t line, node, stamp;
    int32_t module; /* number of its path */
    int32_t outer;  /* the event it happened within; -1: none */
    bool backward;
    double start, seconds;
    int64_t bytes, operations;
    double inner_seconds; /* of events within it; their figures count there */
    int64_t inner_bytes, inner_operations;
} ProfileEvent;

struct TapeProfile {
    ProfileEvent *events;
    size_t count, capacity;
    int32_t open; /* the innermost event that goes on; -1: none */
    int missed;   /* begun without memory for a note, and not ended */
    bool incomplete;
    char **modules; /* paths */
    size_t module_count, module_capacity;
    TapeProfileRow *rows; /* of the last tape_profile_rows(); the names are the profile's */
    size_t row_count, row_capacity;
};

/* Begins a note of node number `node`, whose scope and place they are; where nothing is measured (`profile`
 * NULL) neither is called. */
void tape_profile_begin(Tape *tape, const OpKind *op, uint32_t node, bool backward);
void tape_profile_end(Tape *tape);
void tape_profile_free(TapeProfile *profile);
void tape_profile_free_rows(TapeProfile *profile);

/* "file.c:12" of a place, without its folders; "" where there is none. */
enum { PLACE_SIZE = 100 };
void tape_place_text(const char *file, uint32_t line, char *text);

/* "a.b.c" of a scope, cut at `size`. Returns its length. */
size_t tape_scope_text(const TapeScope *scope, char *text, size_t size);

#endif
