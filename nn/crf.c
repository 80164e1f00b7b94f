#include "nn/crf.h"

#include <math.h>

void nn_crf_init(NnCrf *m, int64_t tags)
{
    nn_module_init(&m->base);
    m->tags = tags;
    NnInit uniform = nn_init_uniform(0.1);
    nn_module_add_parameter(&m->base, &m->start_transitions, "start_transitions", TENSOR_SHAPE(tags),
                            uniform);
    nn_module_add_parameter(&m->base, &m->end_transitions, "end_transitions", TENSOR_SHAPE(tags), uniform);
    nn_module_add_parameter(&m->base, &m->transitions, "transitions", TENSOR_SHAPE(tags, tags), uniform);
}

/* ---- The sum over all tags: forward algorithm as a cell of the scan ---- */

/* log sum exp over an axis; the largest is taken out, and needs no gradient. */
static Var log_sum_exp(Var a, int axis)
{
    Var largest = var_detach(var_max(a, TENSOR_AXIS(axis), true));
    Var sum = var_sum(var_exp(var_sub(a, largest)), TENSOR_AXIS(axis), true);
    return var_select(var_add(var_log(sum), largest), axis, 0);
}

typedef struct Run {
    Var start, transitions; /* [K], [K, K] */
} Run;

/* x [n, K]: the emissions; the state is alpha [n, K], the log of the sum over all ways to each tag. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    const Run *run = self;
    if (!before[0].tape) {
        after[0] = var_add(x, run->start);
        return;
    }
    int64_t n = var_size(before[0], 0), tags = var_size(before[0], 1);
    Var ways = var_add(var_reshape(before[0], TENSOR_SHAPE(n, tags, 1)), run->transitions); /* [n, K, K] */
    after[0] = var_add(x, log_sum_exp(ways, 1));
}

static Var log_partition(NnCrf *m, NnSequence emissions)
{
    static const NnCell cell = {.step = step, .states = 1};
    Tape *tape = emissions.rows.tape;
    Run run = {nn_var(&m->start_transitions, tape), nn_var(&m->transitions, tape)};
    NnScan scan = nn_scan(&cell, &run, emissions, NULL);
    return log_sum_exp(var_add(nn_scan_last(scan, 0), nn_var(&m->end_transitions, tape)), 1); /* [B] */
}

/* ---- The score of the given tags ---- */

/* Places in the flattened transitions, and which text each is of. */
typedef struct Ways {
    Var first, last;   /* i32 [B]: the tags at the ends */
    Var places, texts; /* i32 [N - B] */
    int64_t count;
} Ways;

static bool find_ways(Ways *ways, NnCrf *m, NnSequence emissions, const int32_t *tags)
{
    Tape *tape = emissions.rows.tape;
    const NnPacking *packing = emissions.packing;
    size_t texts = (size_t)packing->texts, rows = (size_t)packing->rows;
    int32_t *memory = tensor_arena_alloc(tape_arena(tape), 2 * (texts + rows) * sizeof *memory);
    if (!memory) {
        tape_fail(tape, "nn_crf: out of memory");
        return false;
    }
    int32_t *first = memory, *last = first + texts, *places = last + texts, *of_text = places + rows;
    int64_t count = 0;
    for (int32_t b = 0; b < packing->texts; b++) {
        int32_t place = packing->place[b], before = 0;
        for (int32_t t = 0; t < packing->length[b]; t++) {
            int32_t tag = tags[packing->first[t] + place];
            if (tag < 0 || tag >= m->tags) {
                tape_fail(tape, "nn_crf: word %d of text %d has tag %d of %lld", t, b, tag,
                          (long long)m->tags);
                return false;
            }
            if (t == 0)
                first[b] = tag;
            else {
                places[count] = (int32_t)(before * m->tags + tag);
                of_text[count++] = b;
            }
            before = last[b] = tag;
        }
    }
    *ways = (Ways){tape_constant(tape, tensor_from(first, TENSOR_I32, TENSOR_SHAPE(packing->texts))),
                   tape_constant(tape, tensor_from(last, TENSOR_I32, TENSOR_SHAPE(packing->texts))),
                   tape_constant(tape, tensor_from(places, TENSOR_I32, TENSOR_SHAPE(count))),
                   tape_constant(tape, tensor_from(of_text, TENSOR_I32, TENSOR_SHAPE(count))), count};
    return true;
}

static Var score_of(NnCrf *m, NnSequence emissions, Var tags)
{
    Tape *tape = emissions.rows.tape;
    int64_t texts = emissions.packing->texts, rows = emissions.packing->rows;
    Ways ways;
    if (!find_ways(&ways, m, emissions, tensor_i32(var_value(tags))))
        return (Var){.tape = tape};
    Var emitted = var_select(var_gather(emissions.rows, 1, var_reshape(tags, TENSOR_SHAPE(rows, 1))), 1, 0);
    Var score = var_segment_sum(emitted, nn_text_of_row(emissions), texts);
    score = var_add(score, var_gather_rows(nn_var(&m->start_transitions, tape), ways.first));
    score = var_add(score, var_gather_rows(nn_var(&m->end_transitions, tape), ways.last));
    if (ways.count == 0)
        return score;
    Var all = var_reshape(nn_var(&m->transitions, tape), TENSOR_SHAPE(m->tags * m->tags));
    return var_add(score, var_segment_sum(var_gather_rows(all, ways.places), ways.texts, texts));
}

/* ---- The loss ---- */

static bool may_run(NnCrf *m, NnSequence emissions, Var tags)
{
    Tape *tape = emissions.rows.tape;
    if (var_is_empty(emissions.rows) || !emissions.packing || !tape_ok(tape))
        return false;
    if (var_ndim(emissions.rows) != 2 || var_size(emissions.rows, 1) != m->tags)
        tape_fail(tape, "nn_crf: emissions must be rows of %lld tags", (long long)m->tags);
    else if (tags.tape && (var_is_empty(tags) || var_value(tags).dtype != TENSOR_I32 || var_ndim(tags) != 1 ||
                           var_size(tags, 0) != emissions.packing->rows))
        tape_fail(tape, "nn_crf: tags must be i32 [%d], one for each row", emissions.packing->rows);
    return tape_ok(tape);
}

Var(nn_crf_loss)(NnCrf *m, NnSequence emissions, Var tags, VarReduction reduction)
{
    Tape *tape = emissions.rows.tape;
    Var loss = {.tape = tape};
    nn_enter(&m->base, tape);
    if (may_run(m, emissions, tags))
        loss = var_sub(log_partition(m, emissions), score_of(m, emissions, tags));
    if (reduction == VAR_REDUCTION_MEAN)
        loss = var_mean(loss, TENSOR_AXES_ALL, false);
    if (reduction == VAR_REDUCTION_SUM)
        loss = var_sum(loss, TENSOR_AXES_ALL, false);
    nn_leave(tape);
    return loss;
}

/* ---- The best tags ---- */

/* What Viterbi's algorithm reads and keeps of one text. */
typedef struct Viterbi {
    Tensor start, end, transitions, emissions;
    int64_t tags;
    double *score, *next; /* [K]: of the best way to each tag */
    int32_t *from;        /* [T, K]: the tag before on that way */
} Viterbi;

static double emission(const Viterbi *v, int32_t row, int64_t tag)
{
    return tensor_get(&v->emissions, (int64_t[]){row, tag});
}

static void go_forward(Viterbi *v, int32_t t, int32_t row)
{
    for (int64_t to = 0; to < v->tags; to++) {
        int64_t best = 0;
        double most = -INFINITY;
        for (int64_t from = 0; from < v->tags; from++) {
            double score = v->score[from] + tensor_get(&v->transitions, (int64_t[]){from, to});
            if (score > most) {
                most = score;
                best = from;
            }
        }
        v->next[to] = most + emission(v, row, to);
        v->from[t * v->tags + to] = (int32_t)best;
    }
    double *swap = v->score;
    v->score = v->next;
    v->next = swap;
}

static void decode_text(Viterbi *v, const NnPacking *packing, int32_t text, int32_t *tags)
{
    int32_t place = packing->place[text], length = packing->length[text];
    for (int64_t k = 0; k < v->tags; k++)
        v->score[k] = tensor_get(&v->start, &k) + emission(v, place, k);
    for (int32_t t = 1; t < length; t++)
        go_forward(v, t, packing->first[t] + place);
    int64_t best = 0;
    for (int64_t k = 0; k < v->tags; k++) {
        v->score[k] += tensor_get(&v->end, &k);
        best = v->score[k] > v->score[best] ? k : best;
    }
    for (int32_t t = length - 1; t >= 0; t--) {
        tags[t] = (int32_t)best;
        best = t > 0 ? v->from[t * v->tags + best] : 0;
    }
}

bool nn_crf_decode(NnCrf *m, NnSequence emissions, int32_t *tags)
{
    Tape *tape = emissions.rows.tape;
    if (!may_run(m, emissions, VAR_NONE))
        return false;
    const NnPacking *packing = emissions.packing;
    TensorArena *arena = tape_arena(tape);
    size_t tag_count = (size_t)m->tags;
    Viterbi v = {.start = var_value(nn_var(&m->start_transitions, tape)),
                 .end = var_value(nn_var(&m->end_transitions, tape)),
                 .transitions = var_value(nn_var(&m->transitions, tape)),
                 .emissions = var_value(emissions.rows),
                 .tags = m->tags,
                 .score = tensor_arena_alloc(arena, tag_count * sizeof(double)),
                 .next = tensor_arena_alloc(arena, tag_count * sizeof(double)),
                 .from = tensor_arena_alloc(arena, (size_t)packing->steps * tag_count * sizeof(int32_t))};
    if (!tape_ok(tape) || !v.score || !v.next || !v.from)
        return false;
    for (int32_t b = 0; b < packing->texts; b++) {
        decode_text(&v, packing, b, tags);
        tags += packing->length[b];
    }
    return true;
}
