/* The result of operations that can fail outside a tape: files, memory, usage. */
#ifndef REEL_TENSOR_STATUS_H
#define REEL_TENSOR_STATUS_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

/* The values are the exit codes of Reel's programs. */
typedef enum {
    REEL_STATUS_OK = 0,
    REEL_STATUS_FAILED = 1, /* data, I/O, memory */
    REEL_STATUS_USAGE = 2   /* wrong options or arguments */
} ReelStatusCode;

/* `message` is one line without a line feed: what is wrong, where (file:line), and the remedy. */
typedef struct ReelStatus {
    ReelStatusCode code;
    char message[508];
} ReelStatus;

/* Success. */
ReelStatus reel_status_ok(void);
/* REEL_STATUS_FAILED with a printf-style message; a message that is too long is truncated. */
ReelStatus reel_status_failed(const char *format, ...) REEL_PRINTF(1, 2);
/* REEL_STATUS_USAGE with a printf-style message. */
ReelStatus reel_status_usage(const char *format, ...) REEL_PRINTF(1, 2);
/* The status for an allocation of `bytes` bytes that failed. */
ReelStatus reel_status_no_memory(size_t bytes, const char *what);

/* Whether the operation succeeded. */
static inline bool reel_status_is_ok(const ReelStatus *status)
{
    return status->code == REEL_STATUS_OK;
}

REEL_END_DECLS

#endif
