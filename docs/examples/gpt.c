/* A small GPT: reads a text letter by letter through causal transformer layers, guesses the next letter, and
 * then writes some of its own, one step a letter. Its head is the embedding. */
#include <reel/reel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LETTERS = 128, WIDTH = 48, LAYERS = 2, HEADS = 4, LENGTH = 48, TEXTS = 8, STEPS = 150 };

static const char text[] =
    "a tape records what forward did and is read from its end to its start. an op hands on the gradient "
    "that it was given, and a leaf keeps it. a tensor is a view of memory that somebody else owns. ";

typedef struct {
    NnModule base;
    NnEmbedding letters, places;
    NnTransformerEncoder layers;
    NnAttentionCache *cache; /* while it writes */
    Tape *tape;
} Gpt;

static void gpt_init(Gpt *m)
{
    NnTransformerOptions layer = nn_transformer_options(HEADS, 4 * WIDTH);
    layer.causal = layer.norm_first = layer.last_norm = true;
    layer.dropout = layer.inner_dropout = 0;
    nn_module_init(&m->base);
    NN_ADD(m, letters, nn_embedding_init, LETTERS, WIDTH);
    NN_ADD(m, places, nn_embedding_init, LENGTH, WIDTH);
    NN_ADD(m, layers, nn_transformer_encoder_init, WIDTH, LAYERS, layer);
    m->letters.weight.init = m->places.weight.init = nn_init_normal(0.1);
}

/* Letters and places, rows [N], to logits [N, LETTERS]; without a packing it is a step with the cache. */
static Var gpt_layers(Gpt *m, NnSequence letters, Var places)
{
    Var x = var_add(nn_embedding(&m->letters, letters.rows), nn_embedding(&m->places, places));
    x = letters.packing ? nn_transformer_encoder(&m->layers, nn_with_rows(letters, x)).rows
                        : nn_transformer_encoder_step(&m->layers, m->cache, x);
    return var_linear(x, nn_var(&m->letters.weight, m->tape), VAR_NONE);
}

static void must(ReelStatus status)
{
    if (status.code != REEL_STATUS_OK) {
        fprintf(stderr, "gpt: %s\n", status.message);
        exit(1);
    }
}

static void train(Gpt *m, NnOptimizer *optimizer)
{
    static int32_t ids[TEXTS * LENGTH], next[TEXTS * LENGTH], offsets[TEXTS + 1];
    TensorRandom random = tensor_random_new(0, 1);
    for (int step = 1; step <= STEPS; step++) {
        for (int i = 0, at = 0; i < TEXTS * LENGTH; i++, at++) { /* TEXTS pieces from anywhere */
            at = i % LENGTH ? at : (int)tensor_random_below(&random, (uint32_t)sizeof text - 1 - LENGTH);
            ids[i] = text[at] & 127;
            next[i] = text[at + 1] & 127;
            offsets[i / LENGTH + 1] = i + 1;
        }
        tape_begin(m->tape);
        NnSequence x = nn_pack(m->tape, ids, offsets, TEXTS), y = nn_pack(m->tape, next, offsets, TEXTS);
        Var loss = var_cross_entropy(gpt_layers(m, x, nn_position_of_row(x)), y.rows, VAR_REDUCTION_MEAN);
        tape_backward(loss);
        must(*tape_status(m->tape));
        must(nn_optimizer_step(optimizer, nn_tape_pieces(&m->tape, 1)));
        if (step % 50 == 0)
            printf("step %3d: %.3f bits a letter\n", step, var_item(loss) / log(2.0));
    }
}

/* What comes behind each of `count` sequences, for nn_decode_sample(). */
static ReelStatus next_letter(void *context, const int32_t *ids, const int32_t *parents, int count,
                              float *scores)
{
    Gpt *m = context;
    must(nn_attention_cache_begin(m->cache, parents, count));
    int32_t place = nn_attention_cache_position(m->cache);
    tape_begin(m->tape);
    Var letters = tape_constant(m->tape, tensor_from((void *)ids, TENSOR_I32, TENSOR_SHAPE(count)));
    Var places = tape_constant(m->tape, tensor_from(&place, TENSOR_I32, TENSOR_SHAPE(1)));
    Var logits = gpt_layers(m, (NnSequence){letters, NULL}, places);
    tensor_copy_into(tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(count, LETTERS)), var_value(logits));
    return *tape_status(m->tape);
}

int main(void)
{
    Gpt m = {.cache = nn_attention_cache_new(), .tape = tape_new()};
    NnOptimizer *optimizer;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 5e-3;
    gpt_init(&m);
    must(nn_module_reset(&m.base, 0));
    must(nn_optimizer_new(&optimizer, &m.base, options));
    train(&m, optimizer);
    int32_t ids[LENGTH], count;
    TensorRandom random = tensor_random_new(0, 2);
    NnDecodeOptions decode = nn_decode_options(LETTERS, 'a', -1, LENGTH - 1);
    decode.temperature = 0.5;
    tape_set_grad_enabled(m.tape, false);
    must(nn_decode_sample(next_letter, &m, decode, &random, ids, &count));
    for (int i = 0; i < count; i++)
        printf("%s%c%s", i ? "" : "a", ids[i], i + 1 < count ? "" : "\n");
    nn_optimizer_free(optimizer);
    nn_module_free(&m.base);
    nn_attention_cache_free(m.cache);
    tape_free(m.tape);
    return 0;
}
