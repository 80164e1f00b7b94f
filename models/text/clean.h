/* Text to words: lower case, everything but letters to a space, stop words out. */
#ifndef REEL_MODELS_CLEAN_H
#define REEL_MODELS_CLEAN_H

#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* All zeros are the homework's choices. */
typedef struct CleanOptions {
    /* NULL: scikit-learn's English list without "no" and "not"; "none": no stop words; otherwise a file
     * with words separated by white space. */
    const char *stop_words;
    bool keep_digits; /* keep 0-9 beside a-z */
} CleanOptions;

typedef struct Cleaner {
    bool keep_digits;
    char map[256]; /* what stands for each byte: itself, its lower case, or a space */
    StringTable stop_words;
    uint32_t
        stop_lengths[256]; /* by first byte: bit n where a stop word has n bytes, bit 31 for 31 and more */
} Cleaner;

/* Errors: those of reel_text_file_read() and reel_text_file_check() for the stop words' file, no memory. */
ReelStatus cleaner_init(Cleaner *cleaner, const CleanOptions *options);
/* One more stop word, in lower case: as kept in a checkpoint. Errors: no memory. */
ReelStatus cleaner_add_stop_word(Cleaner *cleaner, TextSpan word);
void cleaner_free(Cleaner *cleaner);

/* Writes the cleaned text to `out`, which has room for text.length bytes and may be text.bytes itself:
 * the words that are left, in their order, one space between two. Returns the number of bytes written. A
 * byte that is not ASCII stands for a space, so that "naive" with a diaeresis is "na ve". */
size_t cleaner_run(const Cleaner *cleaner, TextSpan text, char *out);

REEL_END_DECLS

#endif
