/* Sequence to sequence: an encoder reads a word, a decoder writes it backwards, attention tells it where to
 * look (Bahdanau et al. 2015), and beam search finds the likeliest word. */
#include <reel/reel.h>
#include <stdio.h>
#include <stdlib.h>

enum { BEGIN = 8, END, TOKENS, EMBED = 16, HIDDEN = 48 }; /* 8 letters, and how a word begins and ends */
enum { TEXTS = 32, MOST = 7, STEPS = 1200, BEAM = 3, TESTS = 50 };

typedef struct {
    NnModule base;
    NnEmbedding letters;
    NnGru encoder, decoder;
    NnAdditiveAttention attention;
    NnLinear out;
    Tape *tape; /* and what a search keeps: the word and the decoder's states, for each sequence */
    int32_t word[BEAM * MOST], offsets[BEAM + 1];
    float h[BEAM * HIDDEN];
} Translator;

static void translator_init(Translator *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, letters, nn_embedding_init, TOKENS, EMBED);
    NN_ADD(m, encoder, nn_gru_init, EMBED, HIDDEN);
    NN_ADD(m, decoder, nn_gru_init, EMBED + HIDDEN, HIDDEN);
    NN_ADD(m, attention, nn_additive_attention_init, HIDDEN, HIDDEN, HIDDEN);
    NN_ADD(m, out, nn_linear_init, HIDDEN, TOKENS);
}

static NnSequence encode(Translator *m, NnSequence words)
{
    return nn_recurrent_sequence(nn_gru(&m->encoder, nn_embedding_sequence(&m->letters, words)));
}

static Var decode_step(Translator *m, const int32_t *last, NnSequence memory, NnRecurrentState *state)
{
    Tensor ids = tensor_from((void *)last, TENSOR_I32, TENSOR_SHAPE(memory.packing->texts));
    Var seen = nn_additive_attention(&m->attention, var_select(state->h, 0, 0), memory).context;
    Var x = var_concat((Var[]){nn_embedding(&m->letters, tape_constant(m->tape, ids)), seen}, 2, 1);
    return nn_linear(&m->out, nn_recurrent_step(&m->decoder, x, state));
}

static void must(ReelStatus status)
{
    if (status.code != REEL_STATUS_OK) {
        fprintf(stderr, "translate: %s\n", status.message);
        exit(1);
    }
}

static Var loss_of(Translator *m, TensorRandom *random)
{
    static int32_t ids[TEXTS * MOST], offsets[TEXTS + 1], letters[MOST + 2][TEXTS];
    int length = 2 + (int)tensor_random_below(random, MOST - 1);
    for (int b = 0; b < TEXTS; b++) {
        offsets[b + 1] = (b + 1) * length;
        letters[0][b] = BEGIN, letters[length + 1][b] = END;
        for (int i = 0; i < length; i++)
            ids[b * length + i] = letters[length - i][b] = (int32_t)tensor_random_below(random, BEGIN);
    }
    NnSequence memory = encode(m, nn_pack(m->tape, ids, offsets, TEXTS));
    Tensor zeros = tensor_zeros(tape_arena(m->tape), TENSOR_F32, TENSOR_SHAPE(1, TEXTS, HIDDEN));
    NnRecurrentState state = {.h = tape_constant(m->tape, zeros)};
    Var logits[MOST + 1];
    for (int t = 0; t <= length; t++)
        logits[t] = decode_step(m, letters[t], memory, &state);
    Tensor wanted = tensor_from(letters[1], TENSOR_I32, TENSOR_SHAPE((length + 1) * TEXTS));
    Var all = var_concat(logits, length + 1, 0), target = tape_constant(m->tape, wanted);
    return var_cross_entropy(all, target, VAR_REDUCTION_MEAN);
}

static ReelStatus next(void *context, const int32_t *ids, const int32_t *parents, int count, float *scores)
{
    Translator *m = context;
    tape_begin(m->tape);
    Var own = tape_constant(m->tape, tensor_from((void *)parents, TENSOR_I32, TENSOR_SHAPE(count)));
    Var h = tape_constant(m->tape, tensor_from(m->h, TENSOR_F32, TENSOR_SHAPE(BEAM, HIDDEN)));
    h = var_scale(var_gather_rows(h, own), ids[0] != BEGIN, 0); /* 0 at first */
    NnRecurrentState state = {.h = var_reshape(h, TENSOR_SHAPE(1, count, HIDDEN))};
    Var logits = decode_step(m, ids, encode(m, nn_pack(m->tape, m->word, m->offsets, count)), &state);
    tensor_copy_into(tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(count, TOKENS)), var_value(logits));
    tensor_copy_into(tensor_from(m->h, TENSOR_F32, TENSOR_SHAPE(1, count, HIDDEN)), var_value(state.h));
    return *tape_status(m->tape);
}

int main(void)
{
    Translator m = {.tape = tape_new()};
    NnOptimizer *optimizer;
    TensorRandom random = tensor_random_new(0, 1);
    translator_init(&m);
    must(nn_module_reset(&m.base, 0));
    must(nn_optimizer_new(&optimizer, &m.base, nn_optimizer_options(NN_ADAM)));
    for (int step = 0; step < STEPS; step++) {
        tape_begin(m.tape);
        tape_backward(loss_of(&m, &random));
        must(*tape_status(m.tape));
        must(nn_optimizer_step(optimizer, nn_tape_pieces(&m.tape, 1)));
    }
    NnDecodeOptions decode = nn_decode_options(TOKENS, BEGIN, END, MOST + 1);
    int right = 0;
    decode.beam = BEAM;
    for (int test = 0; test < TESTS; test++) {
        int32_t found[MOST + 1], count, same = 0, length = 2 + test % (MOST - 1);
        for (int i = 0; i < BEAM * length; i++, m.offsets[(i - 1) / length + 1] = i)
            m.word[i] = i < length ? (int32_t)tensor_random_below(&random, BEGIN) : m.word[i - length];
        must(nn_decode_beam(next, &m, decode, found, &count));
        while (same < length && same < count && found[same] == m.word[length - 1 - same])
            same++;
        right += same == length && count == length;
    }
    printf("right: %.2f\n", (double)right / TESTS);
    nn_optimizer_free(optimizer);
    nn_module_free(&m.base);
    tape_free(m.tape);
    return 0;
}
