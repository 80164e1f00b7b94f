/* A checkpoint: one .npz file with all that a model needs to read texts and to name labels.
 *
 * Weights have their state_dict names, all else is named "reel/..." (docs/checkpoints.md lists the members).
 * What training needs to go on is added by models/training/training_state.h. */
#ifndef REEL_MODELS_CHECKPOINT_H
#define REEL_MODELS_CHECKPOINT_H

#include "models/text/clean.h"
#include "models/text/corpus.h"
#include "models/text/dataset.h"
#include "models/model.h"
#include "models/text/string_table.h"
#include "models/text/subwords.h"
#include "models/text/tokenizer.h"
#include "models/text/vocabulary.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

/* The way from a text to ids and from logits to labels. All is borrowed. */
typedef struct CheckpointText {
    const Cleaner *cleaner;
    const Vocabulary *vocabulary; /* words, or NULL: */
    const BpeTokenizer *bpe;      /* byte pairs */
    const StringTable *labels;    /* K names */
    const float *thresholds;      /* [K] probabilities; NULL: 0.5 for all */
    int32_t max_len;
    bool notebook;               /* texts are padded, and the state after the padding is read */
    const char *data_hash;       /* of the corpus that it was trained on, or NULL */
    const char *label_separator; /* what separates labels in that corpus; NULL: ", " */
} CheckpointText;

/* What a data set does with a text. */
CheckpointText checkpoint_text_of(const Dataset *dataset, bool notebook);

typedef struct Checkpoint {
    Model *model;
    CheckpointText text; /* of what follows */
    Cleaner cleaner;
    Vocabulary vocabulary;
    Subwords subwords;
    Tokenizer tokenizer; /* one thread at a time where it is of byte pairs */
    StringTable labels;
    float *thresholds;
    char data_hash[CORPUS_HASH_SIZE];
    char label_separator[CORPUS_SEPARATOR_SIZE];
    NnSnapshot unknown; /* members that Reel does not know; they are written again */
} Checkpoint;

/* Reads a checkpoint; *checkpoint is NULL on failure. Errors: those of npz_open() and nn_load(), a member is
 * missing or says what cannot be, vocabulary or labels do not fit the weights. */
Status checkpoint_load(Checkpoint **checkpoint, const char *path);
/* The same from an open file. `options` are those for its weights. */
Status checkpoint_load_from(Checkpoint **checkpoint, const Npz *npz, NnLoadOptions options);
void checkpoint_free(Checkpoint *checkpoint);

/* Adds a model with its text to a file to be. */
void checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const CheckpointText *text);
/* Adds the members of a file that are named "reel/..." and that Reel does not know. */
void checkpoint_keep_unknown(NnSnapshot *snapshot, const Npz *npz);
/* Writes a model at once. */
Status checkpoint_save(const char *path, Model *model, const CheckpointText *text, NpzOptions options);

REEL_END_DECLS

#endif
