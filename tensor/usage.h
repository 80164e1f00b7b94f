/* What the process has used of the machine so far. */
#ifndef REEL_TENSOR_USAGE_H
#define REEL_TENSOR_USAGE_H

#include "tensor/decls.h"

REEL_BEGIN_DECLS

/* Processor time of all threads. */
double reel_usage_cpu_seconds(void);
/* The most resident memory, in MB of 2^20 bytes, since reel_usage_reset_peak() or, where the kernel cannot
 * set it back, since the start; 0: not known. */
double reel_usage_peak_mb(void);
void reel_usage_reset_peak(void);

/* The bytes of memory that the process may have: the machine's, or what a limit (ulimit -d, -v) leaves of
 * them. */
double reel_usage_most_memory(void);

REEL_END_DECLS

#endif
