/* fastText's lines: labels, and a text. */
#define _GNU_SOURCE /* memmem */
#include "models/text/records_internal.h"

#include <string.h>

/* The next word of a line; white space as fastText has it. */
static bool next_word(ModelTextSpan *rest, ModelTextSpan *word)
{
    const char *at = rest->bytes, *end = at + rest->length;
    while (at < end && model_is_space(*at))
        at++;
    const char *start = at;
    while (at < end && !model_is_space(*at))
        at++;
    *word = (ModelTextSpan){start, (size_t)(at - start)};
    *rest = (ModelTextSpan){at, (size_t)(end - at)};
    return word->length > 0;
}

static bool is_label(ModelTextSpan word)
{
    size_t prefix = strlen(MODEL_FASTTEXT_LABEL);
    return word.length > prefix && memcmp(word.bytes, MODEL_FASTTEXT_LABEL, prefix) == 0;
}

/* Labels go to the front of the line, without their prefix and each with a line end, which no word has: they
 * take less room so. */
static char *take_labels(char *to, ModelTextSpan *rest, ReelBytes *words, bool *fine)
{
    ModelTextSpan word;
    for (ModelTextSpan before = *rest; next_word(rest, &word); before = *rest) {
        if (is_label(word)) {
            size_t length = word.length - strlen(MODEL_FASTTEXT_LABEL);
            memmove(to, word.bytes + strlen(MODEL_FASTTEXT_LABEL), length);
            to[length] = '\n';
            to += length + 1;
        } else if (words) {
            *fine = *fine && (words->size == 0 || reel_bytes_append(words, " ", 1)) &&
                    reel_bytes_append(words, word.bytes, word.length);
        } else {
            *rest = before; /* the first word of the text */
            break;
        }
    }
    return to;
}

ReelStatus model_records_next_fasttext(ModelRecords *records, bool *more)
{
    ModelTextSpan line;
    do
        *more = model_records_line(records, &line);
    while (*more && model_trim(line).length == 0);
    if (!*more)
        return reel_status_ok();
    ReelBytes *words = &records->json.string; /* scratch memory, which the other format has as well */
    char *front = (char *)line.bytes;
    bool fine = true;
    char *to = take_labels(front, &line, NULL, &fine);
    ModelTextSpan text = model_trim(line);
    if (memmem(text.bytes, text.length, MODEL_FASTTEXT_LABEL,
               strlen(MODEL_FASTTEXT_LABEL))) { /* others stand behind it */
        words->size = 0;
        to = take_labels(to, &text, words, &fine);
        if (!fine)
            return model_records_no_memory(records);
        if (words->size > 0)
            memcpy(to, words->data, words->size);
        text = (ModelTextSpan){to, words->size};
    }
    records->fields[0] = (ModelField){text, REEL_JSON_STRING};
    records->fields[1] = (ModelField){{front, (size_t)(to - front)}, REEL_JSON_STRING};
    return reel_status_ok();
}
