/* From a labelled corpus to what a model trains on: split, clean, vocabulary, ids. */
#ifndef REEL_MODELS_DATASET_H
#define REEL_MODELS_DATASET_H

#include "models/text/id_store.h"
#include "models/text/pipeline.h"
#include "nn/sequence.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdint.h>

REEL_BEGIN_DECLS

/* Makes a tokenizer from the cleaned texts of the training part. `context` is the caller's, and so is
 * what the tokenizer refers to: it must live as long as the data set. */
typedef ReelStatus (*ModelTokenizerFit)(void *context, const ModelTextSpan *texts, int64_t count,
                                        ModelTokenizer *tokenizer);

/* Told what is being done, and with how many of how many rows (0 of 0: it cannot be said). */
typedef void (*ModelDatasetProgress)(void *context, const char *doing, int64_t done, int64_t rows);

typedef struct ModelDatasetOptions {
    double test_size;    /* part of the rows that is kept for testing, in [0, 1); 0: none */
    uint32_t split_seed; /* random_state of the split */
    double valid_size;   /* part of the training rows, in [0, 1), that is set aside for validation, stratified
                            (models/text/stratify.h); the vocabulary is of the rest */
    /* Where the file itself says which rows are for validation and testing (CorpusOptions.columns.split), or
     * where these name files of their own, that counts. */
    const char *valid_file, *test_file; /* for model_dataset_read_corpus(); NULL: none */
    ModelTask task;                     /* MODEL_TASK_SINGLE refuses rows without exactly one label */
    bool join_valid; /* rows for validation are trained on as well: behind the others, and valid is empty */
    int32_t
        min_label_count; /* labels that fewer rows for training and validation bear are left out; 0: none */
    ModelCorpusOptions corpus;
    ModelCleanOptions clean;
    ModelVocabularyOptions vocabulary;
    ModelNgramOptions ngrams; /* of the words, beside them; all zeros: none */
    int32_t max_len;          /* ids a text at most, bos and eos included; 3 or more */
    int64_t
        byte_pairs; /* ids of byte pairs, learned from the training part; 0: words, as `vocabulary` says */
    const ModelBpeTokenizer
        *bpe; /* NULL, or byte pairs that are there: nothing is learned, and a copy is kept */
    /* NULL, or the pipeline of a model to go on from, which replaces all options of how texts are cleaned,
     * cut into tokens and shortened. Its words, their pieces and its labels keep their ids, new ones stand
     * behind them as `vocabulary`, `ngrams` and min_label_count say; byte pairs stay as they are. Its task is
     * the one, unless `task` names another. */
    const ModelPipeline *begin;
    ModelTokenizerFit fit; /* NULL, or the caller's own tokenizer */
    void *fit_context;
    int threads;                   /* of reading and encoding; 0: all processors. The result is the same */
    const char *cache;             /* NULL, or a folder for what is not to be in memory while texts are read
                                      (models/text/cache.h) */
    bool keep_texts;               /* the cleaned texts of the training part stay */
    ModelDatasetProgress progress; /* NULL: nobody looks on */
    void *progress_context;
} ModelDatasetOptions;

/* The examples of one part. Example i has the ids number offsets[i] up to offsets[i + 1] of the store, and
 * its labels likewise. */
typedef struct ModelDatasetPart {
    int64_t count;
    int32_t *rows;          /* [count] which row of the corpus, from 0 */
    int64_t *offsets;       /* [count + 1] */
    ModelIdStore ids;       /* [offsets[count]] */
    int64_t *label_offsets; /* [count + 1] */
    int32_t *labels;        /* ascending within an example */
    int64_t *label_counts;  /* [classes] how many examples bear each label */
    int32_t num_classes;    /* K */
    ModelTask task;         /* how many of them an example has */
    int32_t longest;        /* the most ids of an example */
    int64_t empty;          /* examples of which <unk> is all that is left */
    int64_t missed;         /* how often labels stand in it that training does not know, and so misses */
    int32_t missed_labels;  /* how many such labels there are */
} ModelDatasetPart;

/* The parts, and what made ids of their texts. */
typedef struct ModelDataset {
    ModelDatasetPart train, test;
    ModelDatasetPart valid;                   /* without examples unless options.valid_size asks for them */
    ModelPipeline text;                       /* what makes ids of a text; its labels are
                                                 sorted, behind those of options.begin */
    ModelTextSpan *train_texts;               /* [train.count] cleaned, or NULL: not kept */
    char *text_bytes;                         /* their memory */
    ModelIdFile file;                         /* where the ids are; fd -1: in memory */
    char fingerprint[MODEL_CORPUS_HASH_SIZE]; /* as a cache knows it; or empty */
    int64_t unlabelled;                       /* rows without labels: nothing applies to them */
    char form[MODEL_FORM_SIZE + 150]; /* format and columns of the file and what words are, in words */
    char note[MODEL_NOTE_SIZE];       /* what was decided by looking at the texts; or empty */
    int64_t repeated; /* texts for validation or testing that are trained on too, once they are cleaned */
    char missed_names[200];                  /* some of the test part's missed labels */
    char warning[MODEL_CORPUS_WARNING_SIZE]; /* the corpus's, about its labels; or empty */
} ModelDataset;

/* The homework's values, and the task that the rows ask for: test_size 0.2, random_state 0, English stop
 * words without "no" and "not", min_df 2, max_df 0.9, max_len 64, words without pieces. */
ModelDatasetOptions model_dataset_defaults(void);
/* Reads a TSV file (models/text/corpus.h); `options` may be NULL. model_dataset_free() frees what it made.
 * Errors: those of the parts, and: all texts are empty after cleaning, no row has a label, or all the same
 * single one. */
ReelStatus model_dataset_read(ModelDataset **dataset, const char *path, const ModelDatasetOptions *options);
/* Reads the corpus of a data set or several: `path` with the files for validation and testing. */
ReelStatus model_dataset_read_corpus(ModelCorpus *corpus, const char *path,
                                     const ModelDatasetOptions *options);
/* From a corpus, which is not needed afterwards; `name` stands for the file in messages. */
ReelStatus model_dataset_new(ModelDataset **dataset, const ModelCorpus *corpus, const char *name,
                             const ModelDatasetOptions *options);
void model_dataset_free(ModelDataset *dataset);

/* K. */
static inline int32_t model_dataset_num_classes(const ModelDataset *dataset)
{
    return dataset->text.labels.count;
}
/* How many rows the file has. */
static inline int64_t model_dataset_rows(const ModelDataset *dataset)
{
    return dataset->train.count + dataset->valid.count + dataset->test.count;
}
/* CRC-32 of the examples of all parts and the labels' names, eight hexadecimal digits: the same data,
 * prepared in the same way, have the same. Errors: those of model_dataset_part_ids(). */
ReelStatus model_dataset_fingerprint(const ModelDataset *dataset, char text[MODEL_CORPUS_HASH_SIZE]);

/* In how many training texts each id is; room for tokenizer.vocab_size. Errors: no memory, and those of
 * model_dataset_part_ids(). */
ReelStatus model_dataset_document_frequencies(const ModelDataset *dataset, int64_t *frequencies);

/* How many ids an example has, and the ids, to where there is room for them; from any thread. Errors: where
 * they are in a file, those of model_id_store_read(). */
static inline int32_t model_dataset_part_length(const ModelDatasetPart *part, int64_t example)
{
    return (int32_t)(part->offsets[example + 1] - part->offsets[example]);
}
/* The ids of an example, as above. */
static inline ReelStatus model_dataset_part_ids(const ModelDatasetPart *part, int64_t example, int32_t *ids)
{
    return model_id_store_read(&part->ids, part->offsets[example], model_dataset_part_length(part, example),
                               ids);
}

/* The labels of each example, [count], where the part has them. NULL: no memory. */
const NnIds *model_dataset_part_labels(TensorArena *arena, const ModelDatasetPart *part);

REEL_END_DECLS

#endif
