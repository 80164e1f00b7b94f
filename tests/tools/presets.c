/* The recommended model as it comes, on generated texts: from 2 to 5,000 labels, balanced or not, few texts
 * and many. What is asked is that training neither breaks away nor needs a lower rate, and that it learns
 * what there is. */
#include "models/training/run.h"
#include "tensor/random.h"
#include "tests/text_support.h"
#include "models/training/zoo_settings.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum Frequencies {
    BALANCED, /* one or two labels, all alike */
    COMMON,   /* the first on 84 % of the texts, another, which of them is alike, on half of them */
    ZIPF,     /* label k on one text in k + 1; some texts have none */
    MANY      /* five labels a text, each about as often */
} Frequencies;

enum { MOST_LABELS_OF_TEXT = 64, OWN_WORDS = 3, NOISE_WORDS = 300 };

static int32_t draw(TensorRandom *random, int32_t below)
{
    return (int32_t)(tensor_random_uniform_f64(random) * below);
}

/* The labels of a text: numbers below `labels`, in `chosen`. */
static int draw_labels(TensorRandom *random, Frequencies how, int32_t text, int32_t labels, int32_t *chosen)
{
    int count = 0;
    switch (how) {
    case BALANCED:
        chosen[count++] = draw(random, labels);
        if (tensor_random_uniform_f64(random) < 0.3)
            chosen[count++] = draw(random, labels);
        break;
    case COMMON:
        if (tensor_random_uniform_f64(random) < 0.84)
            chosen[count++] = 0;
        if (tensor_random_uniform_f64(random) < 0.5)
            chosen[count++] = 1 + draw(random, labels - 1);
        break;
    case ZIPF:
        for (int32_t k = 0; k < labels && count < MOST_LABELS_OF_TEXT; k++)
            if (tensor_random_uniform_f64(random) < 1.0 / (k + 1))
                chosen[count++] = k;
        break;
    case MANY:
        for (; count < 5; count++)
            chosen[count] = (5 * text + count) % labels;
        break;
    }
    return count;
}

/* Each label gives its text two of its own three words, between noise. */
static ModelDataset *generate(Frequencies how, int32_t labels, int32_t rows, uint64_t seed,
                              const ModelZooSettings *settings)
{
    char *tsv;
    size_t size;
    FILE *file = open_memstream(&tsv, &size);
    TensorRandom random = tensor_random_new(seed, 17);
    fprintf(file, "text\tlabels\n");
    for (int32_t i = 0; i < rows; i++) {
        int32_t chosen[MOST_LABELS_OF_TEXT];
        int count = draw_labels(&random, how, i, labels, chosen);
        for (int w = 0; w < 6; w++) {
            double u = tensor_random_uniform_f64(&random);
            fprintf(file, "n%d ", (int)(u * u * NOISE_WORDS));
        }
        for (int c = 0; c < 2 * count; c++)
            fprintf(file, "own%dw%d n%d ", chosen[c / 2], draw(&random, OWN_WORDS),
                    draw(&random, NOISE_WORDS));
        for (int c = 0; c < count; c++)
            fprintf(file, "%sl%d", c ? ", " : "\t", chosen[c]);
        fprintf(file, "%s\n", count ? "" : "\t");
    }
    fclose(file);
    ModelCorpus corpus = text_support_corpus(tsv);
    free(tsv);
    ModelDataset *dataset;
    ModelDatasetOptions options;
    ck_assert_ok(model_zoo_dataset_options(settings, &options));
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "generated.tsv", &options));
    model_corpus_free(&corpus);
    return dataset;
}

/* Labels, rows, seeds, epochs (0: as the preset has them), --pos-weight, and the least macro F1 on the test
 * part. */
static const struct {
    Frequencies how;
    int32_t labels, rows, seeds;
    int epochs;
    double pos_weight, least;
} cases[] = {
    {BALANCED, 2, 200, 5, 0, 0, 0.85},   {BALANCED, 2, 2000, 1, 0, 0, 0.98},
    {BALANCED, 3, 600, 5, 0, 0, 0.95},   {BALANCED, 8, 600, 5, 0, 0, 0.9},
    {BALANCED, 57, 2000, 1, 0, 0, 0.9},  {BALANCED, 365, 3000, 1, 4, 0, 0.2},
    {COMMON, 2, 200, 5, 0, 0, 0.85},     {COMMON, 6, 600, 5, 0, 0, 0.9},
    {COMMON, 57, 2000, 1, 0, 0, 0.7},    {COMMON, 57, 2000, 1, 0, 0.5, 0.7},
    {COMMON, 57, 2000, 1, 0, 1, 0.7},    {ZIPF, 5, 400, 5, 0, 0, 0.9},
    {ZIPF, 200, 1000, 1, 0, 0, 0.1},     {ZIPF, 200, 1000, 1, 0, 1, 0.1},
    {BALANCED, 2, 200, 5, 0, 1, 0.85},   {MANY, 5000, 3000, 1, 2, 0, 0.003},
    {BALANCED, 5, 20000, 1, 6, 0, 0.98}, {MANY, 25, 1000, 1, 0, 0, 0.95},
};

START_TEST(the_recommended_model_holds)
{
    ModelZooSettings settings = model_zoo_best();
    settings.threads = 1;
    settings.shards = 2;
    settings.pos_weight = cases[_i].pos_weight;
    if (cases[_i].labels > 1000)
        settings.embed = 32; /* for the sake of time */
    if (cases[_i].epochs)
        settings.epochs = cases[_i].epochs;
    ModelRunOptions options;
    ck_assert_ok(model_zoo_run_options(&settings, &options));
    for (int32_t seed = 0; seed < cases[_i].seeds; seed++) {
        ModelDataset *dataset =
            generate(cases[_i].how, cases[_i].labels, cases[_i].rows, (uint64_t)seed, &settings);
        ck_assert_int_eq(model_dataset_num_classes(dataset), cases[_i].labels);
        options.seed = (uint64_t)seed;
        options.trainer.schedule.total =
            options.epochs * ((dataset->train.count + options.batch - 1) / options.batch);
        ModelRunResult result;
        ck_assert_ok(model_run_model(&result, NULL, model_zoo_find("wide"), dataset, &options, NULL));
        const ModelRunEpoch *first = &result.epochs[0], *last = &result.epochs[result.count - 1];
        ck_assert_msg(result.rate >= (cases[_i].rows > 200 ? 1 : 0.5), "seed %d: needed %g of the rate", seed,
                      result.rate);
        ck_assert(last->train_loss < first->train_loss);
        ck_assert_msg(result.selected.tuned.macro_f1 >= cases[_i].least, "seed %d: macro F1 %g", seed,
                      result.selected.tuned.macro_f1);
        model_run_result_free(&result);
        model_dataset_free(dataset);
    }
}
END_TEST

Suite *tools_presets_suite(void);
Suite *tools_presets_suite(void)
{
    Suite *suite = suite_create("tools/presets");
    TCase *c = tcase_create("presets");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, the_recommended_model_holds, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(suite, c);
    return suite;
}
