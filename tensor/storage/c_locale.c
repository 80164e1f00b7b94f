#include "tensor/storage/c_locale_internal.h"

#include <pthread.h>

static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
    c_locale = newlocale(LC_NUMERIC_MASK, "C", NULL);
}

/* newlocale() of "C" needs no file and no memory in glibc; were it to fail, the locale stays as it is. */
locale_t reel_c_locale_enter(void)
{
    pthread_once(&once, make);
    return c_locale ? uselocale(c_locale) : (locale_t)0;
}

void reel_c_locale_leave(locale_t before)
{
    if (before)
        uselocale(before);
}
