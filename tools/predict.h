/* What the parts of tools/predict share: predict.c sets up, predict_output.c writes the line of a text,
 * predict_eval.c measures quality on labelled texts, predict_models.c asks one model or several,
 * predict_doubts.c warns of lines that are hardly texts, predict_export.c writes the weights for other
 * programs, predict_info.c says what a file holds. */
#ifndef REEL_TOOLS_PREDICT_H
#define REEL_TOOLS_PREDICT_H

#include "models/text/columns.h"
#include "models/training/predictor.h"
#include "models/training/task.h"
#include "tensor/storage/atomic_file.h"
#include "tools/meter.h"

/* Texts that are predicted in one go, and models that may be asked together. */
enum { PREDICT_TEXTS = 8192, PREDICT_MODELS = 32 };

/* What a text's answer is written as. */
typedef enum PredictFormat { PREDICT_TSV, PREDICT_CSV, PREDICT_JSONL } PredictFormat;

/* The command line. */
typedef struct PredictSettings {
    int top, threads;
    double threshold; /* NAN: the model's */
    const char *eval, *label_separator, *export_path, *input_format, *output_format, *embeddings;
    ModelColumnNames columns;
    PredictFormat format; /* of output_format, or json */
    bool json, all, attention, info, quiet, quantize;
} PredictSettings;

/* Texts of which there is something to say. */
typedef struct PredictDoubt {
    int64_t count, first; /* its number, from 1 */
} PredictDoubt;

typedef struct PredictRun {
    const PredictSettings *settings;
    ModelCheckpoint *checkpoints[PREDICT_MODELS];
    ModelPredictor *predictors[PREDICT_MODELS];
    const char *const *paths; /* of the models; borrowed */
    int models;
    const ModelCheckpoint *checkpoint; /* the first one */
    ModelPredictor *predictor;         /* the first one */
    int32_t labels;                    /* K */
    double *limits;                    /* [K]: scores of models/training/task.h above are predicted */
    float *logits;                     /* [PREDICT_TEXTS, K] */
    float *mean;                       /* [PREDICT_TEXTS, K]: of several models; NULL: there is one */
    int32_t *ranking;                  /* [K] */
    float *scores;                     /* [K]: of the text at hand; above 0 are predicted */
    double *probabilities;             /* [K] */
    int64_t texts;                     /* done */
    PredictDoubt not_utf8, with_cr, empty;
    const ModelField *passed; /* [window, num_passed] the other columns of a table; NULL: there is none */
    const char **passed_names;
    int num_passed;
    bool colour;    /* on the terminal */
    float *vectors; /* [PREDICT_TEXTS, W]; NULL: not asked for */
    ReelAtomicFile vectors_file;
    Meter meter;
} PredictRun;

/* The name of label k. */
static inline const char *predict_label(const PredictRun *run, int32_t k)
{
    return model_string_table_text(&run->checkpoint->text.labels, k);
}

/* Reads the model files; several must name the same labels. */
ReelStatus predict_load_models(PredictRun *run, const char *const *paths, int count);
void predict_free_models(PredictRun *run);
/* run->logits of at most PREDICT_TEXTS texts; of several models the mean. The
 * first one keeps its attention where asked to. Errors: no memory, a model that answers NaN. */
ReelStatus predict_logits(PredictRun *run, const ModelTextSpan *texts, int64_t count, bool attention);
/* The score above which label k is predicted: of several models' thresholds the mean. */
double predict_threshold(const PredictRun *run, int32_t k);
/* What a text's logits come to: run->scores and run->probabilities. */
void predict_decide(PredictRun *run, const float *logits);

/* Writes the line that names the columns, where the format has one. */
void predict_header(const PredictRun *run);
/* Predicts texts, at most PREDICT_TEXTS, and writes a line for each to the standard output. */
ReelStatus predict_texts(PredictRun *run, const ModelTextSpan *texts, int64_t count);

/* Notes which texts, about to be predicted, are hardly some; of a table they may have line ends. */
void predict_look_at_lines(PredictRun *run, const ModelTextSpan *lines, int64_t count, bool is_table);
/* Notes of which texts, the last `count` that the first model was asked, nothing was left. */
void predict_look_at_texts(PredictRun *run, int64_t count);
/* Says on the standard error what was noted about the file `name`. */
void predict_warn(const PredictRun *run, const char *name);

/* Writes the model for prediction, without what training needs, where the path ends in .npz, with
 * matrices of 8 bits where it is quantized; the weights
 * alone, its state_dict, where it ends in .safetensors. */
ReelStatus predict_export(const char *model, const char *path, bool quantized);

/* Prints what a model's file holds: model, sizes, texts, thresholds, and where the file has them quality and
 * settings. */
ReelStatus predict_info(const char *model, bool as_json);

/* Opens settings->embeddings, a .npy file; writes the vectors of texts, at most PREDICT_TEXTS; ends the file.
 */
ReelStatus predict_open_vectors(PredictRun *run);
ReelStatus predict_vectors(PredictRun *run, const ModelTextSpan *texts, int64_t count);
ReelStatus predict_close_vectors(PredictRun *run);

/* Predicts the texts of settings->eval and prints precision, recall, F1 and support of each label. */
ReelStatus predict_evaluate(PredictRun *run);

/* Notes `count` more texts as done and, on a terminal, shows how fast. */
void predict_progress(PredictRun *run, int64_t count);
/* Says how fast it went. */
void predict_show_speed(PredictRun *run);

#endif
