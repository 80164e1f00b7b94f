/* The limits that this machine sets, measured: what a product and a copy can reach. */
#ifndef REEL_TOOLS_BENCH_LIMITS_H
#define REEL_TOOLS_BENCH_LIMITS_H

#include <stddef.h>

/* The sum over `threads` threads of what each reaches in one-thread 1024^3 products (bli_sgemm), all at the
 * same time, in GFLOP/s, the first one not counted; 0 where there is no memory or no thread. The memory is
 * given back to the system. */
double limits_sgemm(int threads);
/* Bytes read and written per second, in GB/s, by copies of blocks of so many bytes, on as many threads. */
double limits_copy(int threads, size_t bytes);

#endif
