/* Text to words: lower case, everything but letters to a space, stop words out. What letters are: a-z, or all
 * of Unicode's. */
#ifndef REEL_MODELS_CLEAN_H
#define REEL_MODELS_CLEAN_H

#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "tensor/bytes.h"
#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* Bytes of a line about what was decided. */
enum { MODEL_NOTE_SIZE = 400 };

typedef enum ModelClean {
    MODEL_CLEAN_ASCII,
    MODEL_CLEAN_UNICODE, /* NFKC, full case folding; words are of letters, marks and digits by general
                            category, and a Han, kana or Thai character is a word; needs utf8proc */
    MODEL_CLEAN_AUTO     /* of a data set: ASCII where nearly all letters are a-z, or utf8proc is missing */
} ModelClean;

/* All zeros are the homework's choices. */
typedef struct ModelCleanOptions {
    /* NULL: scikit-learn's English list without "no" and "not"; "none": no stop words; otherwise a file
     * with words separated by white space. */
    const char *stop_words;
    bool keep_digits; /* keep 0-9 beside a-z; Unicode's are always kept */
    ModelClean letters;
} ModelCleanOptions;

/* What cleans texts in one way. */
typedef struct ModelCleaner {
    bool keep_digits, unicode;
    char map[256]; /* what stands for each byte: itself, its lower case, or a space */
    ModelStringTable stop_words;
    uint32_t
        stop_lengths[256]; /* by first byte: bit n where a stop word has n bytes, bit 31 for 31 and more */
} ModelCleaner;

/* Errors: those of reel_text_file_read() and reel_text_file_check() for the stop words' file, no memory. */
ReelStatus model_cleaner_init(ModelCleaner *cleaner, const ModelCleanOptions *options);
/* One more stop word, in lower case: as kept in a checkpoint. Errors: no memory. */
ReelStatus model_cleaner_add_stop_word(ModelCleaner *cleaner, ModelTextSpan word);
void model_cleaner_free(ModelCleaner *cleaner);
/* A copy of its own. Errors: no memory; the copy is then to be freed as well. */
ReelStatus model_cleaner_copy(ModelCleaner *copy, const ModelCleaner *cleaner);
/* Without stop words, for a text that is not English. */
void model_cleaner_keep_all(ModelCleaner *cleaner);

/* Appends the cleaned text: the words that are left, in their order, one space between two. To ASCII a byte
 * that is not of it stands for a space, so that "naive" with a diaeresis is "na ve"; to Unicode one that is
 * no UTF-8. False: no memory. */
bool model_cleaner_append(const ModelCleaner *cleaner, ModelTextSpan text, ReelBytes *out);
/* The same of an ASCII cleaner, to `out`, which has room for text.length bytes and may be text.bytes itself.
 * Returns the number of bytes written. */
size_t model_cleaner_run(const ModelCleaner *cleaner, ModelTextSpan text, char *out);
/* Adds to the words of a text, as a cleaner leaves them, and to those of them that are stop words. */
void model_cleaner_count_stop_words(const ModelCleaner *cleaner, ModelTextSpan clean, int64_t *words,
                                    int64_t *stop_words);

/* Whether a character is of a script that puts no space between words (Han, kana, Thai): to Unicode each is a
 * word. */
bool model_cleaner_stands_alone(uint32_t code);
/* Whether Reel is built with utf8proc. */
bool model_cleaner_has_unicode(void);
/* Adds to the letters of a text that are a-z or A-Z, and to those that are not. */
void model_cleaner_count_letters(ModelTextSpan text, int64_t *ascii, int64_t *others);

REEL_END_DECLS

#endif
