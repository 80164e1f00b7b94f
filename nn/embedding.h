#ifndef REEL_NN_EMBEDDING_H
#define REEL_NN_EMBEDDING_H

#include "nn/module.h"
#include "nn/sequence.h"

REEL_BEGIN_DECLS

/* A table of vectors. Parameter: weight [V, E], N(0, 1) at first. Its gradient is sparse. */
typedef struct NnEmbedding {
    NnModule base;
    NnParameter weight;
    int64_t padding_id; /* this row starts at 0 and gets no gradient; -1: none */
} NnEmbedding;

/* V rows of width E; padded: with a row that starts at 0 and gets no gradient. */
void nn_embedding_init(NnEmbedding *m, int64_t vocabulary, int64_t width);
void nn_embedding_init_padded(NnEmbedding *m, int64_t vocabulary, int64_t width, int64_t padding_id);
/* ids i32 of any shape S -> S + [E]. */
Var nn_embedding(NnEmbedding *m, Var ids);
/* A sequence of ids (nn_pack) to one of vectors: rows [N, E], repeated ids held once. */
NnSequence nn_embedding_sequence(NnEmbedding *m, NnSequence ids);

/* Rows of a table put together, as in a text whose order does not count. Parameter: weight [V, E], as
 * NnEmbedding's. */
typedef enum { NN_BAG_SUM, NN_BAG_MEAN, NN_BAG_MAX } NnBagMode;
typedef struct NnEmbeddingBag {
    NnModule base;
    NnParameter weight;
    NnBagMode mode;
} NnEmbeddingBag;

/* Declares a table of V rows of width E. */
void nn_embedding_bag_init(NnEmbeddingBag *m, int64_t vocabulary, int64_t width, NnBagMode mode);
/* ids i32 [N], bag i32 [N] in [0, count): which bag each is in -> [count, E]. weights [N] or VAR_NONE: of the
 * sum. A bag without ids is 0; of NN_BAG_MAX it is an error. */
Var nn_embedding_bag(NnEmbeddingBag *m, Var ids, Var bag, int64_t count, Var weights);
/* A bag for each text of a packed batch. */
Var nn_embedding_bag_sequence(NnEmbeddingBag *m, NnSequence ids);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_embedding(...)              TAPE_TRACE(Var, nn_embedding(__VA_ARGS__))
#define nn_embedding_bag(...)          TAPE_TRACE(Var, nn_embedding_bag(__VA_ARGS__))
#define nn_embedding_bag_sequence(...) TAPE_TRACE(Var, nn_embedding_bag_sequence(__VA_ARGS__))
#define nn_embedding_sequence(...)     TAPE_TRACE(NnSequence, nn_embedding_sequence(__VA_ARGS__))
#endif

#endif
