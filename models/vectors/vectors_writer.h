/* Writes word vectors as a file that others read too. */
#ifndef REEL_MODELS_VECTORS_WRITER_H
#define REEL_MODELS_VECTORS_WRITER_H

#include "models/strings/string_table.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

REEL_BEGIN_DECLS

/* Writes the words 0 to V - 1 and their rows, f32 [V, d], contiguous: NAME.npz with the members vectors and
 * words.txt, NAME.bin as word2vec's binary, every other name as word2vec's text, with numbers that read back
 * to the same floats. The file appears whole or not at all. */
ReelStatus model_vectors_write(const char *path, const ModelStringTable *words, Tensor rows);

REEL_END_DECLS

#endif
