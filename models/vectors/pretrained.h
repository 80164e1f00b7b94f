/* Word vectors as the first values of an embedding. */
#ifndef REEL_MODELS_PRETRAINED_H
#define REEL_MODELS_PRETRAINED_H

#include "models/text/vocabulary.h"
#include "tensor/arena.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

REEL_BEGIN_DECLS

/* The rows of the words of one vocabulary. All zeros is none. */
typedef struct ModelPretrained {
    const char *format;     /* of the file */
    Tensor rows;            /* f32 [V, d] */
    int64_t in_file;        /* words of the file */
    int32_t found;          /* words of the vocabulary that the file has, those in lower case included */
    int32_t lowered;        /* of them, those that it has only in other letters: Linux for linux */
    double mean, deviation; /* of the numbers found: what the other words' rows are drawn with */
    TensorArena arena;
} ModelPretrained;

/* Reads a file of word vectors for the words of a vocabulary. A word that is not in the file as it stands
 * takes the first one that differs from it in the case of ASCII letters alone. Rows of words that are not in
 * the file, and of the special ones, are drawn (normal, of the mean and deviation of the numbers found).
 * `width`: that of the embedding; `deviation`: what all rows are scaled to, 0: as in the file. Errors: those
 * of the reader; another width (the message names --embed); a word that is there twice; no word found; no
 * memory. */
ReelStatus model_pretrained_read(ModelPretrained *pretrained, const char *path,
                                 const ModelVocabulary *vocabulary, int64_t width, double deviation,
                                 uint64_t seed);
void model_pretrained_free(ModelPretrained *pretrained);

REEL_END_DECLS

#endif
