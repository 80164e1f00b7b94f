/* The way from a text to ids, and from the numbers of labels to their names: cleaner, tokenizer, labels and
 * length as one object. Training builds it (models/text/dataset.h), checkpoints save and load it as one, and
 * prediction asks it. */
#ifndef REEL_MODELS_PIPELINE_H
#define REEL_MODELS_PIPELINE_H

#include "models/text/clean.h"
#include "models/text/corpus.h"
#include "models/strings/string_table.h"
#include "models/text/ngrams.h"
#include "models/text/subwords.h"
#include "models/text/tokenizer.h"
#include "models/text/vocabulary.h"
#include "nn/state_dict.h"
#include "tensor/bytes.h"
#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"

REEL_BEGIN_DECLS

/* How many labels a text has. */
typedef enum ModelTask {
    MODEL_TASK_MULTILABEL, /* any number */
    MODEL_TASK_SINGLE,     /* exactly one */
    MODEL_TASK_AUTO        /* of options alone: one where every row has exactly one */
} ModelTask;

/* All zeros is an empty one that may be freed. It stays where it is: `tokenizer` refers to it. */
typedef struct ModelPipeline {
    ModelCleaner cleaner;
    ModelVocabulary vocabulary; /* where ids are words, otherwise empty */
    ModelNgrams ngrams;         /* pieces of words beside them; mostly none */
    ModelSubwords subwords;     /* where they are byte pairs */
    ModelTokenizer tokenizer;   /* of one of these, or the caller's own; byte pairs: one thread at a time */
    ModelStringTable labels;    /* K names */
    ModelTask task;             /* how many of them a text has */
    int32_t max_len;            /* ids a text at most, bos and eos included */
    char data_hash[MODEL_CORPUS_HASH_SIZE];            /* of the corpus that it was made from, or "" */
    char label_separator[MODEL_CORPUS_SEPARATOR_SIZE]; /* or "": see model_pipeline_separator() */
} ModelPipeline;

/* Frees what it holds and leaves it empty. */
void model_pipeline_free(ModelPipeline *pipeline);

/* Appends the ids of a text as it stands in a file; `scratch` is for the cleaned text. False where there is
 * no memory; the list is then as before. */
bool model_pipeline_encode(const ModelPipeline *pipeline, ModelTextSpan text, ReelBytes *scratch,
                           ModelIdList *list);
/* The same by a tokenizer that encodes as the pipeline's does: another thread's. */
bool model_pipeline_encode_by(const ModelPipeline *pipeline, const ModelTokenizer *tokenizer,
                              ModelTextSpan text, ReelBytes *scratch, ModelIdList *list);
/* The word, the piece of one or the byte pairs of an id, NULL where the tokenizer is the caller's own. */
const char *model_pipeline_word(const ModelPipeline *pipeline, int32_t id, size_t *size);

/* What separates labels in the corpus that it was made from. */
const char *model_pipeline_separator(const ModelPipeline *pipeline);

/* ---- In a checkpoint: some fields of reel/config.json, and members (docs/checkpoints.md) ---- */

/* Whether a member of that name is the pipeline's. */
bool model_pipeline_has_member(const char *name);
/* Adds the members to a file to be, and its fields to the open object. */
void model_pipeline_snapshot(const ModelPipeline *pipeline, NnSnapshot *snapshot);
void model_pipeline_write_fields(const ModelPipeline *pipeline, ReelJsonWriter *json);
/* Reads the field whose key was read last, in front of what follows; another's is passed over. */
bool model_pipeline_read_field(ModelPipeline *pipeline, ReelJsonReader *json);
/* Reads the members, when all fields are read. Errors name file and member. */
ReelStatus model_pipeline_load(ModelPipeline *pipeline, const TensorNpz *npz, TensorArena *arena);
/* The bytes of a text member, plain or an array as numpy.savez makes one, checked to be UTF-8. */
ReelStatus model_text_member(const TensorNpz *npz, const char *name, TensorArena *arena, const char **text,
                             size_t *size);

REEL_END_DECLS

#endif
