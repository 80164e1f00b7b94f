/* What clean.c asks of clean_unicode.c. */
#ifndef REEL_MODELS_CLEAN_INTERNAL_H
#define REEL_MODELS_CLEAN_INTERNAL_H

#include "models/strings/text.h"
#include "tensor/bytes.h"

/* Appends the words of a text, case-folded NFKC, each with a space in front. False: no memory. */
bool cleaner_unicode_words(TextSpan text, ReelBytes *out);

#endif
