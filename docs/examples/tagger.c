/* A tagger: a bidirectional LSTM says how well each tag suits each word, and a conditional random field knows
 * which tags follow each other (Huang et al. 2015, arXiv 1508.01991). It learns to mark dates, "the 12 of
 * may", in made-up sentences: B begins one, I goes on, O is outside. */
#include <reel/reel.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 12, TAGS = 3, EMBED = 16, HIDDEN = 16, TEXTS = 32, LONGEST = 12, STEPS = 120 };
enum { O, B, I };
static const char *const words[WORDS] = {"the", "12",  "3",  "of",   "may", "june",
                                         "we",  "met", "on", "cats", "in",  "."};

typedef struct {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear scores;
    NnCrf crf;
} Tagger;

static void tagger_init(Tagger *m)
{
    NnRecurrentOptions both = nn_recurrent_options();
    both.bidirectional = true;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, WORDS, EMBED);
    NN_ADD(m, lstm, nn_lstm_init_with, EMBED, HIDDEN, both);
    NN_ADD(m, scores, nn_linear_init, 2 * HIDDEN, TAGS);
    NN_ADD(m, crf, nn_crf_init, TAGS);
}

static NnSequence tagger_scores(Tagger *m, NnSequence text)
{
    NnRecurrentOutput out = nn_lstm(&m->lstm, nn_embedding_sequence(&m->embedding, text));
    return nn_linear_sequence(&m->scores, nn_recurrent_sequence(out));
}

static void must(ReelStatus status)
{
    if (status.code != REEL_STATUS_OK) {
        fprintf(stderr, "tagger: %s\n", status.message);
        exit(1);
    }
}

/* Sentences of words at random, in which "the NUMBER [of MONTH]" is a date unless "the" is not followed by a
 * number. */
static void draw(TensorRandom *random, int32_t *ids, int32_t *tags, int32_t *offsets)
{
    int32_t n = 0;
    for (int b = 0; b < TEXTS; b++) {
        offsets[b] = n;
        int32_t stop = n + 4 + (int32_t)tensor_random_below(random, LONGEST - 4);
        for (; n < stop; n++) {
            ids[n] = (int32_t)tensor_random_below(random, WORDS);
            tags[n] = O;
            if (n + 4 > stop || tensor_random_below(random, 3) > 0)
                continue;
            const int32_t date[] = {0, 1 + (int32_t)tensor_random_below(random, 2), 3,
                                    4 + (int32_t)tensor_random_below(random, 2)};
            int length = tensor_random_below(random, 2) ? 4 : 2;
            for (int i = 0; i < length; i++, n++) {
                ids[n] = date[i];
                tags[n] = i == 0 ? B : I;
            }
            ids[n] = 6 + (int32_t)tensor_random_below(random, 5); /* so that it ends there */
            tags[n] = O;
        }
        for (int32_t i = offsets[b]; i + 1 < n; i++) /* "the 12" by chance is a date as well */
            if (tags[i] == O && ids[i] == 0 && (ids[i + 1] == 1 || ids[i + 1] == 2))
                ids[i] = 9;
    }
    offsets[TEXTS] = n;
}

int main(void)
{
    static int32_t ids[TEXTS * 2 * LONGEST], tags[TEXTS * 2 * LONGEST], found[TEXTS * 2 * LONGEST],
        offsets[TEXTS + 1];
    static const char letters[] = {'O', 'B', 'I'};
    Tagger m;
    Tape *tape = tape_new();
    NnOptimizer *optimizer;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 1e-2;
    TensorRandom random = tensor_random_new(0, 1);
    tagger_init(&m);
    must(nn_module_reset(&m.base, 0));
    must(nn_optimizer_new(&optimizer, &m.base, options));
    for (int step = 1; step <= STEPS; step++) {
        draw(&random, ids, tags, offsets);
        tape_begin(tape);
        Var loss = nn_crf_loss(&m.crf, tagger_scores(&m, nn_pack(tape, ids, offsets, TEXTS)),
                               nn_pack(tape, tags, offsets, TEXTS).rows, VAR_REDUCTION_MEAN);
        tape_backward(loss);
        must(*tape_status(tape));
        must(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
        if (step % 40 == 0)
            printf("step %3d: loss %.4f\n", step, var_item(loss));
    }
    draw(&random, ids, tags, offsets);
    tape_begin(tape);
    if (!nn_crf_decode(&m.crf, tagger_scores(&m, nn_pack(tape, ids, offsets, TEXTS)), found))
        must(*tape_status(tape));
    int right = 0;
    for (int32_t i = 0; i < offsets[TEXTS]; i++)
        right += found[i] == tags[i];
    for (int32_t i = 0; i < offsets[1]; i++)
        printf("%s/%c ", words[ids[i]], letters[found[i]]);
    printf("\nright: %.3f\n", (double)right / offsets[TEXTS]);
    nn_optimizer_free(optimizer);
    nn_module_free(&m.base);
    tape_free(tape);
    return 0;
}
