/* What every public header of Reel opens and closes with.
 *
 * The library is compiled with hidden visibility; declarations between REEL_BEGIN_DECLS and
 * REEL_END_DECLS are the exported ones, and have C linkage when a C++ compiler reads them. */
#ifndef REEL_TENSOR_DECLS_H
#define REEL_TENSOR_DECLS_H

/* clang-format off */
#ifdef __cplusplus
#define REEL_BEGIN_DECLS                                                                                     \
    extern "C" {                                                                                             \
    _Pragma("GCC visibility push(default)")
#define REEL_END_DECLS                                                                                       \
    _Pragma("GCC visibility pop")                                                                            \
    }
#else
#define REEL_BEGIN_DECLS _Pragma("GCC visibility push(default)")
#define REEL_END_DECLS   _Pragma("GCC visibility pop")
#endif
/* clang-format on */

/* The argument number `fmt` is a printf format, checked against those from `first` on. */
#define REEL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#endif
