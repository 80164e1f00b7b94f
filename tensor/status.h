/* The result of whatever can fail outside of a tape: files, memory, usage. */
#ifndef REEL_TENSOR_STATUS_H
#define REEL_TENSOR_STATUS_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

/* The values are the exit codes of Reel's programs. */
typedef enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1, /* data, I/O, memory */
    STATUS_USAGE = 2   /* wrong options or arguments */
} StatusCode;

/* `message` is one line without a line feed: what is wrong, where (file:line), and the remedy. */
typedef struct Status {
    StatusCode code;
    char message[508];
} Status;

/* All is well. */
Status status_ok(void);
/* STATUS_FAILED with a printf-style message; a message that is too long is cut. */
Status status_failed(const char *format, ...) REEL_PRINTF(1, 2);
/* STATUS_USAGE with a printf-style message. */
Status status_usage(const char *format, ...) REEL_PRINTF(1, 2);
/* The status for an allocation of `bytes` bytes that failed. */
Status status_no_memory(size_t bytes, const char *what);

/* Whether all is well. */
static inline bool status_is_ok(const Status *status)
{
    return status->code == STATUS_OK;
}

REEL_END_DECLS

#endif
