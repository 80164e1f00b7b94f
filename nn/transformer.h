/* Layers of a transformer (Vaswani et al. 2017, arXiv 1706.03762), over packed sequences, without padding.
 * Parameters have PyTorch's names and layouts. */
#ifndef REEL_NN_TRANSFORMER_H
#define REEL_NN_TRANSFORMER_H

#include "nn/attention_cache.h"
#include "nn/embedding.h"

REEL_BEGIN_DECLS

typedef struct NnTransformerOptions {
    int heads;      /* divides the width */
    int64_t hidden; /* of the feed-forward half */
    bool
        norm_first; /* normalise what a half reads (Xiong et al. 2020, arXiv 2002.04745), not what it gives */
    bool causal;    /* encoder layer: a row sees those before it alone. A decoder layer's does always */
    bool last_norm; /* of NnTransformerEncoder: a layer norm behind the layers */
    double dropout; /* of what each half adds */
    double inner_dropout;     /* of attention's weights and of the hidden rows; PyTorch has one p for all */
    Var (*activation)(Var x); /* of the hidden rows */
} NnTransformerOptions;
/* Norm behind and none behind the layers, relu, no mask, both dropouts 0.1, as PyTorch. */
NnTransformerOptions nn_transformer_options(int heads, int64_t hidden);

/* x + Attention(x), then x + linear2(relu(linear1(x))), each with a layer norm. */
typedef struct NnTransformerEncoderLayer {
    NnModule base;
    NnTransformerOptions options;
    NnMultiheadAttention self_attn;
    NnLinear linear1, linear2;
    NnLayerNorm norm1, norm2;
    NnDropout dropout, dropout1, dropout2;
} NnTransformerEncoderLayer;

/* The same, with attention over a memory between its halves. */
typedef struct NnTransformerDecoderLayer {
    NnModule base;
    NnTransformerOptions options;
    NnMultiheadAttention self_attn, multihead_attn;
    NnLinear linear1, linear2;
    NnLayerNorm norm1, norm2, norm3;
    NnDropout dropout, dropout1, dropout2, dropout3;
} NnTransformerDecoderLayer;

/* Encoder layers in a row, named layers.0, layers.1, ..., and `norm`, where there is one. */
typedef struct NnTransformerEncoder {
    NnModule base;
    int count;
    NnTransformerEncoderLayer *layers; /* [count]; the module's own memory */
    NnLayerNorm norm;
    bool last_norm;
} NnTransformerEncoder;

/* Layers that read and make rows of `width`. */
void nn_transformer_encoder_layer_init(NnTransformerEncoderLayer *m, int64_t width,
                                       NnTransformerOptions options);
/* The same with a memory. */
void nn_transformer_decoder_layer_init(NnTransformerDecoderLayer *m, int64_t width,
                                       NnTransformerOptions options);
/* So many encoder layers, at least one. */
void nn_transformer_encoder_init(NnTransformerEncoder *m, int64_t width, int layers,
                                 NnTransformerOptions options);
/* rows [N, E] -> rows [N, E]. */
NnSequence nn_transformer_encoder(NnTransformerEncoder *m, NnSequence x);
/* The same of one layer. */
NnSequence nn_transformer_encoder_layer(NnTransformerEncoderLayer *m, NnSequence x);
/* Text b of x sees itself up to each row, and all of text b of the memory. */
NnSequence nn_transformer_decoder_layer(NnTransformerDecoderLayer *m, NnSequence x, NnSequence memory);

/* The same for the last row of each text, token after token: nn/attention_cache.h. x [count, E] -> [count,
 * E]. The encoder layer must be causal. */
Var nn_transformer_encoder_layer_step(NnTransformerEncoderLayer *m, NnAttentionCache *cache, Var x);
Var nn_transformer_encoder_step(NnTransformerEncoder *m, NnAttentionCache *cache, Var x);
Var nn_transformer_decoder_layer_step(NnTransformerDecoderLayer *m, NnAttentionCache *cache, Var x,
                                      NnSequence memory);
/* For the place t of each row in its text sin(t w_i) and cos(t w_i), w_i = 10000^(-2i/E): [N, E], of the
 * width and dtype of x. `interleaved`: the two of a frequency side by side, as the paper writes them; else
 * all sines first, as its authors' program has them. */
Var nn_sinusoids(NnSequence x, bool interleaved);
/* x with learned positions: to each row that of its place in its text is added. A text that is longer than
 * the table is an error. */
NnSequence nn_learned_positions(NnEmbedding *m, NnSequence x);
/* Of the step that a cache is in: [1, E]. */
Var nn_sinusoids_step(const NnAttentionCache *cache, Var x, bool interleaved);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_transformer_encoder_layer(...)      TAPE_TRACE(NnSequence, nn_transformer_encoder_layer(__VA_ARGS__))
#define nn_transformer_decoder_layer(...)      TAPE_TRACE(NnSequence, nn_transformer_decoder_layer(__VA_ARGS__))
#define nn_transformer_encoder_layer_step(...) TAPE_TRACE(Var, nn_transformer_encoder_layer_step(__VA_ARGS__))
#define nn_transformer_decoder_layer_step(...) TAPE_TRACE(Var, nn_transformer_decoder_layer_step(__VA_ARGS__))
#define nn_transformer_encoder(...)            TAPE_TRACE(NnSequence, nn_transformer_encoder(__VA_ARGS__))
#define nn_transformer_encoder_step(...)       TAPE_TRACE(Var, nn_transformer_encoder_step(__VA_ARGS__))
#define nn_learned_positions(...)              TAPE_TRACE(NnSequence, nn_learned_positions(__VA_ARGS__))
#define nn_sinusoids(...)                      TAPE_TRACE(Var, nn_sinusoids(__VA_ARGS__))
#define nn_sinusoids_step(...)                 TAPE_TRACE(Var, nn_sinusoids_step(__VA_ARGS__))
#endif

#endif
