/* A piece of text that someone else owns, and the words in it. */
#ifndef REEL_MODELS_TEXT_H
#define REEL_MODELS_TEXT_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

REEL_BEGIN_DECLS

/* Not ended by a NUL. */
typedef struct ModelTextSpan {
    const char *bytes;
    size_t length;
} ModelTextSpan;

/* A string as a span, which lives as long as the string. */
static inline ModelTextSpan model_text_span(const char *text)
{
    ModelTextSpan span = {text, strlen(text)};
    return span;
}

/* Takes the next word off the front of a *cleaned* text (models/text/clean.h: words are separated by spaces,
 * nothing else is white space). False where there is none left. */
static inline bool model_text_next_word(ModelTextSpan *text, ModelTextSpan *word)
{
    const char *at = text->bytes, *end = at + text->length;
    while (at < end && *at == ' ')
        at++;
    const char *start = at;
    while (at < end && *at != ' ')
        at++;
    word->bytes = start;
    word->length = (size_t)(at - start);
    text->bytes = at;
    text->length = (size_t)(end - at);
    return word->length > 0;
}

REEL_END_DECLS

#endif
