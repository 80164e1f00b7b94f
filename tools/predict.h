/* What the parts of tools/predict share: predict.c sets up, predict_output.c writes the line of a text,
 * predict_eval.c measures quality on labelled texts. */
#ifndef REEL_TOOLS_PREDICT_H
#define REEL_TOOLS_PREDICT_H

#include "models/training/predictor.h"

/* Texts that are predicted in one go. */
enum { PREDICT_TEXTS = 8192 };

/* The command line. */
typedef struct PredictSettings {
    int top, threads;
    double threshold; /* NAN: the model's */
    const char *eval;
    bool json, attention, quiet, help;
} PredictSettings;

typedef struct PredictRun {
    const PredictSettings *settings;
    const Checkpoint *checkpoint;
    Predictor *predictor;
    int32_t labels;     /* K */
    float *limits;      /* [K]: logits above are predicted */
    float *logits;      /* [PREDICT_TEXTS, K] */
    int32_t *ranking;   /* [K] */
    int64_t texts;      /* done */
    bool colour, shows; /* colours on the terminal; progress there */
    double began, shown;
} PredictRun;

/* The name of label k. */
static inline const char *predict_label(const PredictRun *run, int32_t k)
{
    return string_table_text(&run->checkpoint->labels, k);
}

/* Predicts texts, at most PREDICT_TEXTS, and writes a line for each to the standard output. */
Status predict_texts(PredictRun *run, const TextSpan *texts, int64_t count);
/* Whether all could be written to the standard output so far. */
Status predict_check_output(void);

/* Predicts the texts of settings->eval and prints precision, recall, F1 and support of each label. */
Status predict_evaluate(PredictRun *run);

/* Notes `count` more texts as done and, on a terminal, shows how fast. */
void predict_progress(PredictRun *run, int64_t count);
/* Shows texts a second: the last time always, before only now and then and on a terminal. */
void predict_show_speed(PredictRun *run, bool last);

#endif
