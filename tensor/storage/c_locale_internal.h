/* Numbers in files have a point, whatever the program that links this library has told setlocale(): with
 * "de_DE" printf() writes 0,5 and strtod() reads 0.5 as 0. Between these two calls the thread's numbers are
 * C's. */
#ifndef REEL_TENSOR_STORAGE_C_LOCALE_INTERNAL_H
#define REEL_TENSOR_STORAGE_C_LOCALE_INTERNAL_H

#include <locale.h>

/* Gives the locale to hand to reel_c_locale_leave(). */
locale_t reel_c_locale_enter(void);
void reel_c_locale_leave(locale_t before);

#endif
