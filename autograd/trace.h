/* Where an op was called: the file and line of the outermost call in the user's code.
 *
 * Every public function that returns a Var or a bundle of them is also a macro of the same name which
 * notes __FILE__ and __LINE__ around the call. Calls nest as expressions nest. Inside the library
 * (REEL_LIBRARY) the macro adds nothing, so that nn_linear() in a user's file is reported there and not
 * in nn/linear.c. */
#ifndef REEL_AUTOGRAD_TRACE_H
#define REEL_AUTOGRAD_TRACE_H

#include "tensor/decls.h"

REEL_BEGIN_DECLS

typedef struct TapeTraceSite {
    const char *file;
    int line;
} TapeTraceSite;

/* Push and pop the place of a call; for TAPE_TRACE(). */
void tape_trace_push(const char *file, int line);
void tape_trace_pop(void);
/* The innermost site on this thread; file is NULL where there is none. */
TapeTraceSite tape_trace_site(void);

/* TAPE_TRACE(T, f(x)): f(x), which returns a T, with the place of this line noted while it runs. An
 * expression and not a block: what is made in the arguments, such as a compound literal, lives on after the
 * call. Each type that is returned so is named once by TAPE_TRACE_RETURNS(T). */
#ifdef REEL_LIBRARY
#define TAPE_TRACE(T, call) call
#elif defined(__cplusplus)
#define TAPE_TRACE(T, call) (::tape_trace_push(__FILE__, __LINE__), ::tape_trace_returned(call))
#else
#define TAPE_TRACE(T, call) (tape_trace_push(__FILE__, __LINE__), tape_trace_returned_##T(call))
#endif

/* trace_returned_T(): passes a value on that a noted call has returned. */
#define TAPE_TRACE_RETURNS(T)                                                                                \
    static inline T tape_trace_returned_##T(T value)                                                         \
    {                                                                                                        \
        tape_trace_pop();                                                                                    \
        return value;                                                                                        \
    }

REEL_END_DECLS

#ifdef __cplusplus
template <typename T>
static inline T tape_trace_returned(T value)
{
    tape_trace_pop();
    return value;
}
#endif

#endif
