/* A character-level language model: a GRU reads a line and guesses each next character. It trains on the
 * lines of a file (char_lm FILE) or of a short text that is built in, and then writes the likeliest line. */
#include <reel/reel.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHARS = 128, EMBED = 16, HIDDEN = 64, LINES = 16, MAX_LINE = 80, STEPS = 100, END = '\n' };

typedef struct {
    NnModule base;
    NnEmbedding embedding;
    NnGru gru;
    NnLinear fc;
} CharLm;

static char text[1 << 16] = "a tape records what forward did\na tape is read from its end to its start\n"
                            "an op hands on the gradient it was given\na tensor is a view of memory\n";

static void char_lm_init(CharLm *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, CHARS, EMBED);
    NN_ADD(m, gru, nn_gru_init, EMBED, HIDDEN);
    NN_ADD(m, fc, nn_linear_init, HIDDEN, CHARS);
}

/* Logits [N, CHARS] of the next character after each row, text after text. */
static Var char_lm_forward(CharLm *m, NnSequence text)
{
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    return nn_linear(&m->fc, nn_unpack(nn_recurrent_sequence(nn_gru(&m->gru, x))));
}

/* LINES lines from a place on: inputs are END and the line, targets the line and END. */
static const char *take_batch(const char *at, int32_t *ids, int32_t *next, int32_t *offsets)
{
    int32_t n = 0;
    for (int line = 0; line < LINES; line++) {
        at = *at ? at : text;
        offsets[line] = n;
        int32_t before = END;
        size_t length = strcspn(at, "\n");
        for (size_t i = 0; i < length && i < MAX_LINE - 1; i++, n++) {
            ids[n] = before;
            before = next[n] = at[i] & 127;
        }
        ids[n] = before;
        next[n++] = END;
        at += length + (at[length] == '\n');
    }
    offsets[LINES] = n;
    return at;
}

static ReelStatus train(CharLm *m, NnOptimizer *optimizer, Tape *tape)
{
    static int32_t ids[LINES * MAX_LINE], next[LINES * MAX_LINE], offsets[LINES + 1];
    const char *at = text;
    for (int step = 1; step <= STEPS; step++) {
        at = take_batch(at, ids, next, offsets);
        tape_begin(tape);
        Var logits = char_lm_forward(m, nn_pack(tape, ids, offsets, LINES));
        Var target = tape_constant(tape, tensor_from(next, TENSOR_I32, TENSOR_SHAPE(offsets[LINES])));
        Var loss = var_cross_entropy(logits, target, VAR_REDUCTION_MEAN);
        if (!tape_backward(loss))
            return *tape_status(tape);
        if (nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)).code != REEL_STATUS_OK)
            return reel_status_failed("the update failed");
        if (step % 50 == 0)
            printf("step %3d: %.3f bits a character\n", step, var_item(loss) / log(2.0));
    }
    return reel_status_ok();
}

/* The likeliest line: reads what it has written so far, again and again. */
static void write_line(CharLm *m, Tape *tape)
{
    int32_t ids[MAX_LINE] = {END}, offsets[] = {0, 1}, best = 0;
    for (; offsets[1] < MAX_LINE && best != END; offsets[1]++) {
        tape_begin(tape);
        Tensor logits = var_value(char_lm_forward(m, nn_pack(tape, ids, offsets, 1)));
        Tensor last = tensor_select(logits, 0, -1); /* [CHARS] */
        best = END;
        for (int32_t c = 0; c < CHARS && tape_ok(tape); c++)
            best = tensor_f32(last)[c] > tensor_f32(last)[best] ? c : best;
        putchar(best);
        ids[offsets[1]] = best;
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !freopen(argv[1], "r", stdin)) {
        perror(argv[1]);
        return 1;
    }
    if (argc > 1)
        text[fread(text, 1, sizeof text - 1, stdin)] = '\0';
    CharLm model;
    NnOptimizer *optimizer = NULL;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 1e-2;
    Tape *tape = tape_new();
    char_lm_init(&model);
    ReelStatus status = tape ? nn_module_reset(&model.base, 0) : reel_status_failed("out of memory");
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, &model.base, options);
    if (reel_status_is_ok(&status))
        status = train(&model, optimizer, tape);
    if (reel_status_is_ok(&status))
        write_line(&model, tape);
    else
        fprintf(stderr, "char_lm: %s\n", status.message);
    nn_optimizer_free(optimizer);
    nn_module_free(&model.base);
    tape_free(tape);
    return (int)status.code;
}
