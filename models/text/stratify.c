#include "models/text/stratify.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <math.h>
#include <string.h>

enum { UNASSIGNED = -1 };

typedef struct Stratifier {
    const int64_t *label_offsets;
    const int32_t *labels;
    int64_t count;
    int32_t num_labels;
    int parts;
    double wanted[MODEL_STRATIFY_MAX_PARTS]; /* examples that each part still lacks */
    double *wanted_of;                       /* [num_labels, parts] the same of each label */
    int64_t *left;                           /* [num_labels] examples that are not assigned yet */
    int32_t *order;                          /* [count] the examples, shuffled */
    int32_t *part_of;                        /* [count] the caller's */
    TensorRandom random;
} Stratifier;

static bool init(Stratifier *s, const double *shares)
{
    size_t labels = (size_t)s->num_labels;
    s->wanted_of = reel_mem_calloc(labels * (size_t)s->parts, sizeof *s->wanted_of);
    s->left = reel_mem_calloc(labels, sizeof *s->left);
    s->order = reel_mem_alloc((size_t)s->count * sizeof *s->order);
    if (!s->wanted_of || !s->left || !s->order)
        return false;
    tensor_random_permutation(&s->random, s->order, (int32_t)s->count);
    for (int64_t at = s->label_offsets[0]; at < s->label_offsets[s->count]; at++)
        s->left[s->labels[at]]++;
    for (int p = 0; p < s->parts; p++) {
        s->wanted[p] = shares[p] * (double)s->count;
        for (int32_t k = 0; k < s->num_labels; k++)
            s->wanted_of[k * s->parts + p] = shares[p] * (double)s->left[k];
    }
    for (int64_t i = 0; i < s->count; i++)
        s->part_of[i] = UNASSIGNED;
    return true;
}

/* The label with the fewest examples left, -1 where none has any. */
static int32_t rarest(const Stratifier *s)
{
    int32_t best = -1;
    for (int32_t k = 0; k < s->num_labels; k++)
        if (s->left[k] > 0 && (best < 0 || s->left[k] < s->left[best]))
            best = k;
    return best;
}

/* The part that lacks most of a label (NULL: of examples alone). Differences below 1e-9 are rounding. */
static int neediest(Stratifier *s, const double *of_label)
{
    int best = 0, ties = 1;
    for (int p = 1; p < s->parts; p++) {
        double more = of_label ? of_label[p] - of_label[best] : 0;
        if (fabs(more) < 1e-9)
            more = s->wanted[p] - s->wanted[best];
        if (more >= 1e-9) {
            best = p;
            ties = 1;
        } else if (more > -1e-9 && tensor_random_below(&s->random, (uint32_t)++ties) == 0) {
            best = p;
        }
    }
    return best;
}

static void assign(Stratifier *s, int32_t example, int part)
{
    s->part_of[example] = part;
    s->wanted[part] -= 1;
    for (int64_t at = s->label_offsets[example]; at < s->label_offsets[example + 1]; at++) {
        s->left[s->labels[at]]--;
        s->wanted_of[s->labels[at] * s->parts + part] -= 1;
    }
}

static bool bears(const Stratifier *s, int32_t example, int32_t label)
{
    for (int64_t at = s->label_offsets[example]; at < s->label_offsets[example + 1]; at++)
        if (s->labels[at] == label)
            return true;
    return false;
}

static void deal(Stratifier *s)
{
    for (int32_t k = rarest(s); k >= 0; k = rarest(s))
        for (int64_t i = 0; i < s->count; i++)
            if (s->part_of[s->order[i]] == UNASSIGNED && bears(s, s->order[i], k))
                assign(s, s->order[i], neediest(s, s->wanted_of + k * s->parts));
    for (int64_t i = 0; i < s->count; i++)
        if (s->part_of[s->order[i]] == UNASSIGNED)
            assign(s, s->order[i], neediest(s, NULL));
}

static ReelStatus check(int64_t count, const double *shares, int parts)
{
    if (parts < 1 || parts > MODEL_STRATIFY_MAX_PARTS || count > INT32_MAX)
        return reel_status_usage(
            "%lld examples cannot be divided into %d parts; at most %d examples and %d parts",
            (long long)count, parts, INT32_MAX, MODEL_STRATIFY_MAX_PARTS);
    double sum = 0;
    for (int p = 0; p < parts; p++) {
        if (!(shares[p] > 0))
            return reel_status_usage("a part is %g of the examples and must be more than 0", shares[p]);
        sum += shares[p];
    }
    return fabs(sum - 1) < 1e-6 ? reel_status_ok()
                                : reel_status_usage("the parts add up to %g instead of 1", sum);
}

ReelStatus model_stratify(const int64_t *label_offsets, const int32_t *labels, int64_t count,
                          int32_t num_labels, const double *shares, int parts, uint64_t seed,
                          int32_t *part_of)
{
    ReelStatus status = check(count, shares, parts);
    if (!reel_status_is_ok(&status) || count == 0)
        return status;
    Stratifier s = {.label_offsets = label_offsets,
                    .labels = labels,
                    .count = count,
                    .num_labels = num_labels,
                    .parts = parts,
                    .part_of = part_of,
                    .random = tensor_random_new(seed, tensor_random_stream("stratify"))};
    if (init(&s, shares))
        deal(&s);
    else
        status = reel_status_no_memory((size_t)count * sizeof *s.order, "the division of the examples");
    reel_mem_free(s.wanted_of);
    reel_mem_free(s.left);
    reel_mem_free(s.order);
    return status;
}
