/* Cleaned texts as the numbers of their words, in memory or in a file: a byte or two for most words, and
 * exact, since between two words of a cleaned text is one space. Words have the next number when they come
 * first, so that numbers do not depend on the threads that count. */
#ifndef REEL_MODELS_WORD_TEXTS_H
#define REEL_MODELS_WORD_TEXTS_H

#include "models/strings/string_table.h"
#include "models/text/clean.h"
#include "models/text/tokenizer.h"
#include "tensor/pool.h"

REEL_BEGIN_DECLS

/* All zeros may be freed. */
typedef struct ModelWordTexts {
    ModelStringTable words;
    int64_t count;
    uint64_t *ends; /* [count] where each text ends among the bytes */
    size_t ends_capacity;
    struct ModelWordBlock *blocks; /* [num_blocks] what was added at a time; none where there is a file */
    size_t num_blocks, blocks_capacity;
    int fd;           /* of the file, or -1 */
    const char *path; /* for messages */
    int threads;
    TensorPool *pool; /* NULL: not needed so far */
} ModelWordTexts;

/* An empty one in memory, or in the file where `fd` is not -1, which model_word_texts_free() closes. */
void model_word_texts_init(ModelWordTexts *texts, int threads, int fd, const char *path);
void model_word_texts_free(ModelWordTexts *texts);
/* Takes all texts out, the words as well. Errors: the disk. */
ReelStatus model_word_texts_clear(ModelWordTexts *texts);
/* Cleans texts and adds them, on all threads. Errors: no memory, a full disk. */
ReelStatus model_word_texts_add(ModelWordTexts *texts, const ModelCleaner *cleaner, const ModelTextSpan *raw,
                                int64_t count);
/* The pool for `bytes` bytes of work; NULL: they are not worth one. */
TensorPool *model_word_texts_pool(ModelWordTexts *texts, size_t bytes);

/* The bytes of a text, which model_word_texts_next() takes apart. */
typedef struct ModelWordBytes {
    const unsigned char *at, *end;
} ModelWordBytes;
/* The bytes of a text: in memory of the texts, or in `scratch`, into which they are read first. From any
 * thread. Errors: no memory, the disk. */
ReelStatus model_word_texts_bytes(const ModelWordTexts *texts, int64_t text, ReelBytes *scratch,
                                  ModelWordBytes *bytes);
/* The cleaned text itself, at the end of `out`. */
ReelStatus model_word_texts_text(const ModelWordTexts *texts, int64_t text, ReelBytes *scratch,
                                 ReelBytes *out);

/* Copies of texts, `count` of them by their numbers, in one block: the caller frees both. */
ReelStatus model_word_texts_copy(const ModelWordTexts *texts, const int32_t *numbers, int64_t count,
                                 ModelTextSpan **copies, char **bytes);

/* Such texts, and how they were cleaned. All zeros may be freed. */
typedef struct ModelCleanTexts {
    ModelCleaner cleaner;
    ModelWordTexts texts;
    char form[100];             /* what words are, in words: behind the corpus's form */
    char note[MODEL_NOTE_SIZE]; /* what was decided by looking at them; or empty */
} ModelCleanTexts;

/* Frees what it holds and leaves it empty. */
void model_clean_texts_free(ModelCleanTexts *clean);

/* The next word's number; false at the end. */
static inline bool model_word_texts_next(ModelWordBytes *bytes, int32_t *number)
{
    uint32_t value = 0;
    if (bytes->at == bytes->end)
        return false;
    for (int shift = 0;; shift += 7) {
        unsigned char byte = *bytes->at++;
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    *number = (int32_t)value;
    return true;
}

REEL_END_DECLS

#endif
