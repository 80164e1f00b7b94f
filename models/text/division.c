#include "models/text/division.h"
#include "models/text/split.h"
#include "models/text/stratify.h"
#include "tensor/mem.h"

#include <string.h>

void model_division_free(ModelDivision *d)
{
    reel_mem_free(d->train);
    reel_mem_free(d->valid);
    reel_mem_free(d->test);
    *d = (ModelDivision){0};
}

/* What the corpus says. */
static void take_said(ModelDivision *d, const ModelCorpus *corpus)
{
    for (int64_t row = 0; row < corpus->rows; row++)
        switch (corpus->parts ? corpus->parts[row] : MODEL_PART_ANY) {
        case MODEL_PART_VALID:
            d->valid[d->num_valid++] = (int32_t)row;
            break;
        case MODEL_PART_TEST:
            d->test[d->num_test++] = (int32_t)row;
            break;
        default:
            d->train[d->num_train++] = (int32_t)row;
        }
}

/* Parts that are said leave groups whole as well. Rows of other files have none. */
static ReelStatus check_groups(const ModelCorpus *corpus)
{
    const uint8_t *parts = corpus->parts;
    const int32_t *group_of = corpus->group_of;
    uint8_t *part_of = parts && group_of ? reel_mem_calloc((size_t)corpus->groups.count, 1) : NULL;
    ReelStatus status = parts && group_of && !part_of
                            ? reel_status_no_memory((size_t)corpus->groups.count, "the groups")
                            : reel_status_ok();
    for (int64_t row = 0; part_of && reel_status_is_ok(&status) && row < corpus->rows; row++) {
        if (group_of[row] < 0 || parts[row] == MODEL_PART_ANY)
            continue;
        uint8_t *part = &part_of[group_of[row]];
        if (*part && *part != parts[row])
            status = reel_status_failed(
                "the group '%.60s' is in two parts by the column that says them; put its rows into one of "
                "them, or leave out --group",
                model_string_table_text(&corpus->groups, group_of[row]));
        *part = parts[row];
    }
    reel_mem_free(part_of);
    return status;
}

static bool says_all(const ModelCorpus *corpus)
{
    return corpus->parts && !memchr(corpus->parts, MODEL_PART_ANY, (size_t)corpus->rows);
}

/* Moves the training rows that are marked to another list; both keep their order. */
static void move_marked(ModelDivision *d, const uint8_t *marked, int32_t *to, int64_t *num_to)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < d->num_train; i++)
        if (marked[i])
            to[(*num_to)++] = d->train[i];
        else
            d->train[kept++] = d->train[i];
    d->num_train = kept;
}

/* Marks the rows of whole groups, drawn until they are `size` of all. */
static ReelStatus mark_groups(const ModelDivision *d, const ModelCorpus *corpus, double size, uint32_t seed,
                              uint8_t *marked)
{
    int32_t groups = corpus->groups.count;
    ModelSplit order;
    int64_t *rows_of = reel_mem_calloc((size_t)groups, sizeof *rows_of);
    uint8_t *chosen = reel_mem_calloc((size_t)groups, 1);
    ReelStatus status = rows_of && chosen ? model_split_new(&order, groups, 0.5, seed)
                                          : reel_status_no_memory((size_t)groups, "the groups");
    if (reel_status_is_ok(&status)) {
        int64_t sum = 0;
        for (int64_t i = 0; i < d->num_train; i++)
            rows_of[corpus->group_of[d->train[i]]]++;
        for (int32_t g = 0; g < groups && (double)sum < size * (double)d->num_train; g++) {
            chosen[order.test[g]] = 1; /* both parts of a split lie one behind the other */
            sum += rows_of[order.test[g]];
        }
        for (int64_t i = 0; i < d->num_train; i++)
            marked[i] = chosen[corpus->group_of[d->train[i]]];
        model_split_free(&order);
    }
    reel_mem_free(rows_of);
    reel_mem_free(chosen);
    return status;
}

/* Draws the test part: of single rows index for index as scikit-learn does. */
static ReelStatus draw_test(ModelDivision *d, const ModelCorpus *corpus, const ModelDivisionOptions *options,
                            uint8_t *marked)
{
    ModelSplit split;
    if (corpus->group_of) {
        ReelStatus status = mark_groups(d, corpus, options->test_size, options->seed, marked);
        if (reel_status_is_ok(&status))
            move_marked(d, marked, d->test, &d->num_test);
        return status;
    }
    ReelStatus status = model_split_new(&split, d->num_train, options->test_size, options->seed);
    if (!reel_status_is_ok(&status))
        return status;
    for (int64_t i = 0; i < split.num_test; i++)
        split.test[i] = d->train[split.test[i]];
    for (int64_t i = 0; i < split.num_train; i++)
        split.train[i] = d->train[split.train[i]];
    memcpy(d->test, split.test, (size_t)split.num_test * sizeof *d->test);
    memcpy(d->train, split.train, (size_t)split.num_train * sizeof *d->train);
    d->num_test = split.num_test;
    d->num_train = split.num_train;
    model_split_free(&split);
    return status;
}

/* Marks a part of the training rows, every label's share of them. */
static ReelStatus mark_stratified(const ModelDivision *d, const ModelCorpus *corpus, double size,
                                  uint32_t seed, uint8_t *marked)
{
    int64_t n = d->num_train, total = 0;
    for (int64_t i = 0; i < n; i++)
        total += corpus->label_offsets[d->train[i] + 1] - corpus->label_offsets[d->train[i]];
    size_t bytes = (size_t)(n + 1) * sizeof(int64_t) + (size_t)(total + n) * sizeof(int32_t);
    int64_t *offsets = reel_mem_alloc(bytes);
    if (!offsets)
        return reel_status_no_memory(bytes, "the validation part");
    int32_t *part_of = (int32_t *)(offsets + n + 1), *labels = part_of + n;
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t *ends = corpus->label_offsets + d->train[i];
        offsets[i + 1] = offsets[i] + ends[1] - ends[0];
        if (ends[1] > ends[0])
            memcpy(labels + offsets[i], corpus->labels + ends[0],
                   (size_t)(ends[1] - ends[0]) * sizeof *labels);
    }
    ReelStatus status = model_stratify(offsets, labels, n, model_corpus_num_classes(corpus),
                                       (double[]){1 - size, size}, 2, seed, part_of);
    for (int64_t i = 0; reel_status_is_ok(&status) && i < n; i++)
        marked[i] = part_of[i] == 1;
    reel_mem_free(offsets);
    return status;
}

static ReelStatus draw_valid(ModelDivision *d, const ModelCorpus *corpus, const ModelDivisionOptions *options,
                             uint8_t *marked)
{
    int64_t n = d->num_train;
    ReelStatus status = corpus->group_of
                            ? mark_groups(d, corpus, options->valid_size, options->seed + 1, marked)
                            : mark_stratified(d, corpus, options->valid_size, options->seed, marked);
    if (!reel_status_is_ok(&status))
        return status;
    move_marked(d, marked, d->valid, &d->num_valid);
    if (d->num_train == 0 || d->num_valid == 0)
        return reel_status_failed("%lld rows cannot be divided into a training and a validation part (%g of "
                                  "them); add rows, or ask for another part",
                                  (long long)n, options->valid_size);
    return status;
}

static ReelStatus divide(ModelDivision *d, const ModelCorpus *corpus, const ModelDivisionOptions *options,
                         uint8_t *marked)
{
    ReelStatus status = check_groups(corpus);
    if (!reel_status_is_ok(&status))
        return status;
    take_said(d, corpus);
    bool tests = d->num_test > 0 || options->test_size != 0;
    if (tests && d->num_test == 0 && says_all(corpus))
        return reel_status_failed("no row is for testing; name some in the column, or a file with --test");
    if (d->num_train == 0)
        return reel_status_failed("no row is for training; name some in the column");
    if (tests && d->num_test == 0)
        status = draw_test(d, corpus, options, marked);
    if (reel_status_is_ok(&status) && (d->num_train == 0 || (tests && d->num_test == 0)))
        status =
            reel_status_failed("the %d groups cannot be divided into a training and a test part; add some",
                               corpus->groups.count);
    if (!reel_status_is_ok(&status))
        return status;
    if (d->num_valid == 0 && options->valid_size > 0 && !options->join_valid)
        return draw_valid(d, corpus, options, marked);
    if (options->join_valid) {
        memcpy(d->train + d->num_train, d->valid, (size_t)d->num_valid * sizeof *d->train);
        d->num_train += d->num_valid;
        d->num_valid = 0;
    }
    return status;
}

ReelStatus model_division_new(ModelDivision *d, const ModelCorpus *corpus,
                              const ModelDivisionOptions *options)
{
    *d = (ModelDivision){0};
    if (!(options->valid_size >= 0 && options->valid_size < 1))
        return reel_status_usage("the validation part is %g of the training rows and must lie in [0, 1)",
                                 options->valid_size);
    size_t rows = (size_t)corpus->rows;
    uint8_t *marked = reel_mem_alloc(rows);
    d->train = reel_mem_alloc(rows * sizeof *d->train);
    d->valid = reel_mem_alloc(rows * sizeof *d->valid);
    d->test = reel_mem_alloc(rows * sizeof *d->test);
    ReelStatus status = marked && d->train && d->valid && d->test
                            ? divide(d, corpus, options, marked)
                            : reel_status_no_memory(3 * rows * sizeof *d->train, "the split");
    reel_mem_free(marked);
    if (!reel_status_is_ok(&status))
        model_division_free(d);
    return status;
}
