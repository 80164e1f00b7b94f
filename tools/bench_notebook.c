/* The arithmetic of a training step as the notebook writes the models: products alone, 2 M N K each, and
 * three of each kind (forward, gradient of the operand, gradient of the weight). B texts of T tokens. */
#include "tools/bench_run.h"

#include <string.h>

/* Multiplications of additive attention at every step: step t has `keys` rows h_s, all projected anew by
 * W_h [H, H], scored by v_a [H] and summed up; and one query, projected by W_s. */
static double attention_at_every_step(double texts, double pairs, double queries, double hidden)
{
    return texts * pairs * (hidden * hidden + 2 * hidden) + texts * queries * hidden * hidden;
}

double bench_notebook_flops(const char *model, const BenchShape *shape)
{
    double b = shape->batch, t = shape->len, e = shape->embed, h = shape->hidden, layers = shape->layers;
    double tokens = b * t, products = 0;
    bool lstm = strcmp(model, "lstm") == 0 || strcmp(model, "lstm_matched") == 0;
    if (strcmp(model, "rnn") == 0) {
        products = tokens * h * (e + h);
    } else if (lstm) {
        products = tokens * 4 * h * (e + h);
    } else if (strcmp(model, "attention") == 0 || strcmp(model, "stacked") == 0) {
        /* s <= t, and W_c [H, 2H] at every step */
        products = tokens * 4 * h * (e + h) + (layers - 1) * tokens * 4 * h * 2 * h +
                   attention_at_every_step(b, t * (t + 1) / 2, t, h) + tokens * 2 * h * h;
    } else if (strcmp(model, "attention_fed") == 0) {
        /* s < t, and the context beside x_t as the cell's input */
        products = tokens * 4 * h * (e + h + h) + attention_at_every_step(b, t * (t - 1) / 2, t - 1, h);
    } else {
        return 0;
    }
    return 3 * 2 * (products + b * h * shape->labels);
}
