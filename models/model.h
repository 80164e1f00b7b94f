/* A model of the zoo: a module that turns a batch of texts into logits, with a name and settings.
 *
 * To add one, write a file like models/rnn.c and name its kind in models/zoo.c. */
#ifndef REEL_MODELS_MODEL_H
#define REEL_MODELS_MODEL_H

#include "models/text/words.h"
#include "nn/nn.h"

REEL_BEGIN_DECLS

/* A model, and the kind that it is of. */
typedef struct Model Model;
typedef struct ModelKind ModelKind;

/* Sizes of a model. */
typedef struct ModelConfig {
    int64_t vocabulary;  /* V */
    int64_t labels;      /* K */
    int32_t first_piece; /* ids from it on are pieces of words; 0: none. For a kind that reads_words */
    int64_t embed;       /* E; 0: the kind's own */
    int64_t hidden;      /* H; 0: the kind's own */
    int layers;          /* 0: the kind's own */
    /* First values. */
    double embed_scale; /* deviation of the embeddings; 0: the kind's own */
    double forget_bias; /* of gated memories; 0: the kind's own, which may be 0: as PyTorch's */
    bool orthogonal;    /* recurrent weights */
    /* While training only; negative: the kind's own. */
    double embed_dropout, dropout; /* of the embeddings, of what the output layer reads */
} ModelConfig;

/* What a model reads: a batch of B texts. */
typedef struct ModelInput {
    NnSequence text; /* rows i32 [N] of ids */
    /* The different words of each text (models/text/words.h), for a kind that reads_words; else VAR_NONE. */
    Var words, word_texts; /* i32 [M]: the word, and the text that it is in */
    Var word_weights;      /* [M]: the logarithm of its frequency's weight */
} ModelInput;

/* What a model says about it. */
typedef struct ModelOutput {
    Var logits;    /* [B, K] */
    Var vectors;   /* [B, W]: what the last layer reads, before dropout */
    Var attention; /* [N]: the weight of each row, adding up to 1 in a text; VAR_NONE: the kind has none */
} ModelOutput;

/* What a kind of model is: its name, its sizes, how it is built and run. */
struct ModelKind {
    const char *name;        /* "lstm" */
    const char *description; /* one line */
    size_t size;             /* of the struct, whose first member is a Model */
    ModelConfig defaults;    /* all but vocabulary and labels; embed_scale 0: 1 */
    /* Declares the parts; errors go to the module (nn_module_fail). */
    void (*build)(Model *model);
    ModelOutput (*forward)(Model *model, ModelInput input);
    /* The state of its recurrent layers at each row of a text, [N, H] or, of both_ways, [N, 2H]; NULL: it has
     * none. What learns a language learns it there. */
    NnSequence (*states)(Model *model, NnSequence text);
    bool both_ways;
    /* Sets first values from how many of so many training texts each id [V] is in; NULL: there are none such.
     */
    void (*begin)(Model *model, const int64_t *frequencies, int64_t texts);
    bool has_attention;
    bool reads_words; /* and not their order */
    bool several_layers;
};

/* What every model begins with: see MODEL_HEAD. */
struct Model {
    NnModule base;
    const ModelKind *kind;
    TapeScope scope; /* of messages: around all parts, without being a part of their names */
    ModelConfig config;
    NnLinear *output;       /* the last layer, [K, W]; its bias starts at the labels' log-odds */
    NnRecurrent *recurrent; /* NULL: it has none */
    NnDropout embed_dropout, dropout;
};

/* At the head of a kind's struct: makes `base` its own member, so that NN_ADD() works on it. */
#define MODEL_HEAD                                                                                           \
    union {                                                                                                  \
        Model model;                                                                                         \
        NnModule base;                                                                                       \
    }

/* ---- The zoo ---- */

int model_zoo_count(void);
const ModelKind *model_zoo_kind(int i);
/* NULL where there is none of that name. */
const ModelKind *model_zoo_find(const char *name);
/* Those of a list of names separated by commas, or (all) the whole zoo: at most `most`. `own` (may be NULL)
 * is a kind beside the zoo's. Errors: a name that there is not, none, too many. */
ReelStatus model_zoo_choose(const char *list, const ModelKind *own, const ModelKind **kinds, int most,
                            int *count);

/* ---- One model ---- */

/* A new model with first values drawn from the seed. */
ReelStatus model_new(Model **model, const ModelKind *kind, ModelConfig config, uint64_t seed);
/* The same with no memory for values yet: for a model that is loaded (nn_load), which checks sizes first. */
ReelStatus model_new_without_values(Model **model, const ModelKind *kind, ModelConfig config);
void model_free(Model *model);
/* A batch as the model reads it. */
ModelInput model_input(const Model *model, Tape *tape, const NnIds *texts, int32_t count);
ModelOutput model_forward(Model *model, ModelInput input);
/* The states of a kind that has any. */
NnSequence model_states(Model *model, NnSequence text);
int64_t model_count(Model *model);
/* The embedding's table, or NULL. */
NnParameter *model_embedding(Model *model);
/* How deep a parameter lies: 0 for what the output is made by, then the recurrent layers from the top one,
 * and last the embedding, model_depth(). */
int model_depth_of(Model *model, const NnParameter *parameter);
int model_depth(const Model *model);
/* How many numbers without the embedding's table. */
int64_t model_count_without_embedding(Model *model);
/* W. */
int64_t model_width(const Model *model);
/* Sets the output bias to log(p / (1 - p)) of each label's frequency p = counts / examples, so that training
 * starts at the labels' base rates; p is kept within half an example of 0 and 1. */
void model_set_output_bias(Model *model, const int64_t *counts, int64_t examples);

/* ---- For the kinds ---- */

/* Adds the embedding with the config's width and first values. */
void model_add_embedding(Model *model, NnEmbedding *embedding);
/* Adds the word scores, [V, 1], all 0 at first. */
void model_add_word_scores(Model *model, NnEmbedding *scores);
/* Sets them to log(log((1 + texts) / (1 + frequency)) + 1): a softmax over the words of a text then weighs
 * them by their inverse document frequencies, as scikit-learn smooths them. */
void model_set_word_scores(NnEmbedding *scores, const int64_t *frequencies, int64_t texts);
/* The output of what a kind without attention makes of the texts, [B, W]: through dropout and the last layer.
 */
ModelOutput model_output(Model *model, Var vectors);
/* The embedded text, with dropout. */
NnSequence model_embed(Model *model, NnEmbedding *embedding, NnSequence text);
/* The config as recurrent layers take it. */
NnRecurrentOptions model_recurrent_options(const Model *model);

TAPE_TRACE_RETURNS(ModelInput)
TAPE_TRACE_RETURNS(ModelOutput)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define model_input(...)   TAPE_TRACE(ModelInput, model_input(__VA_ARGS__))
#define model_forward(...) TAPE_TRACE(ModelOutput, model_forward(__VA_ARGS__))
#endif

#endif
