/* Training steps and predictions on all cores.
 *
 * A batch is split into shards, one tape each, with no synchronisation inside a step. The number of shards
 * is a setting of the run: sums run over them in a fixed order, so the weights depend on it and on the
 * seed, and on nothing else; threads only execute shards. */
#ifndef REEL_MODELS_TRAINER_H
#define REEL_MODELS_TRAINER_H

#include "models/text/loader.h"
#include "models/training/task.h"
#include "models/model.h"

REEL_BEGIN_DECLS

typedef struct ModelTrainerOptions {
    int shards;   /* 1 or more */
    int threads;  /* 1 or more */
    NnComm *comm; /* the ranks, all of which make the same calls; NULL: this process alone */
    NnOptimizerOptions optimizer;
    NnSchedule schedule; /* lr counts, optimizer.lr does not */
    double
        embedding_rate; /* the embedding's learning rate is this times the others'; 0: as layer_rate says */
    /* A layer's learning rate is this times that of the layer above it (model_depth_of()); 0: the same. */
    double layer_rate;
    uint64_t seed;           /* of dropout */
    double word_dropout;     /* part of the ids that are replaced by <unk> while training, in [0, 1) */
    ModelLossFunction *loss; /* NULL: model_loss_sigmoid */
    Tensor pos_weight;       /* f32 [K], or invalid: the loss's weight of positive labels */
    Tensor weight;           /* f32 [K], or invalid: of all of a label's decisions */
    double labels;    /* the gradient is that of the loss's mean over texts of its sum over labels, divided by
                         this; 0: by K, which makes it a mean over labels */
    double decisions; /* of a text, for the mean loss that is told; 0: K */
    bool check_finite; /* debug: stop at the first NaN or infinity and name its op and module */
} ModelTrainerOptions;

/* One shard, one thread, Adam with the homework's lr 2e-3, constant. */
ModelTrainerOptions model_trainer_defaults(void);

/* Where the time of the last step went, in seconds; of the slowest shard. */
typedef struct ModelTrainerTimes {
    double prepare, forward, backward, optimizer, step;
} ModelTrainerTimes;

/* A model in training. */
typedef struct ModelTrainer ModelTrainer;

/* The model must outlive the trainer. Errors: an option out of range, no memory. */
ReelStatus model_trainer_new(ModelTrainer **trainer, Model *model, const ModelTrainerOptions *options);
void model_trainer_free(ModelTrainer *trainer);

/* One update; *loss is the mean loss over the batch's decisions (B x K, or B times options.decisions), before
 * it, whatever options.labels is; NAN where gradients that are to be clipped have no finite norm, an error.
 */
ReelStatus model_trainer_step(ModelTrainer *trainer, const ModelBatch *batch, double *loss);
/* The logits of a batch, f32 [B, K] into memory of the caller, in the order of the batch. Dropout is off and
 * nothing is changed. `attention` (NULL: not wanted): where each text's weights go, one for each of its ids,
 * those of padding left out; nothing is written where the model has no attention. */
ReelStatus model_trainer_predict(ModelTrainer *trainer, const ModelBatch *batch, Tensor logits,
                                 float *const *attention);

/* An error where the weights, which `what` names, are not the same on all ranks. */
ReelStatus model_trainer_check(ModelTrainer *trainer, const char *what);

/* What the trainer holds: its optimizer, the times of the last step. */
NnOptimizer *model_trainer_optimizer(ModelTrainer *trainer);
ModelTrainerTimes model_trainer_times(const ModelTrainer *trainer);

REEL_END_DECLS

#endif
