/* What clean.c asks of clean_unicode.c. */
#ifndef REEL_MODELS_CLEAN_INTERNAL_H
#define REEL_MODELS_CLEAN_INTERNAL_H

#include "models/strings/text.h"
#include "tensor/bytes.h"

/* Appends the words of a text, case-folded NFKC, each with a space in front. False: no memory. */
bool model_cleaner_unicode_words(ModelTextSpan text, ReelBytes *out);

#endif
