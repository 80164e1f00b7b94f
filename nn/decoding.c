#include "nn/decoding.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

NnDecodeOptions nn_decode_options(int32_t tokens, int32_t begin, int32_t end, int32_t most)
{
    return (NnDecodeOptions){
        .tokens = tokens, .begin = begin, .end = end, .most = most, .beam = 1, .temperature = 1, .top_p = 1};
}

static ReelStatus check_options(NnDecodeOptions o)
{
    if (o.tokens < 1)
        return reel_status_usage("decoding: tokens is %d and must be at least 1", o.tokens);
    if (o.begin < 0 || o.begin >= o.tokens)
        return reel_status_usage("decoding: begin is %d and must be one of %d tokens", o.begin, o.tokens);
    if (o.end >= o.tokens)
        return reel_status_usage("decoding: end is %d and must be one of %d tokens, or negative for none",
                                 o.end, o.tokens);
    if (o.most < 0)
        return reel_status_usage("decoding: most is %d and must be at least 0", o.most);
    if (o.beam < 1 || o.beam > o.tokens)
        return reel_status_usage("decoding: beam is %d and must be 1 to %d, the tokens", o.beam, o.tokens);
    if (!(o.temperature > 0))
        return reel_status_usage("decoding: temperature is %g and must be above 0", o.temperature);
    if (o.top_k < 0)
        return reel_status_usage("decoding: top_k is %d and must be at least 0; 0 is off", o.top_k);
    if (!(o.top_p > 0 && o.top_p <= 1))
        return reel_status_usage("decoding: top_p is %g and must be in (0, 1]", o.top_p);
    return reel_status_ok();
}

/* ---- Sampling ---- */

typedef struct Token {
    float score;
    int32_t id;
} Token;

/* Best first; of equal ones the first. */
static int by_score(const void *a, const void *b)
{
    const Token *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->id > y->id) - (x->id < y->id);
}

/* Draws from the first `count` of sorted tokens. */
static int32_t draw(const Token *sorted, int32_t count, double top_p, TensorRandom *random)
{
    double total = 0, kept = 0;
    for (int32_t i = 0; i < count; i++)
        total += exp((double)sorted[i].score - sorted[0].score);
    int32_t stop = 0;
    while (stop < count && (stop == 0 || kept < top_p * total))
        kept += exp((double)sorted[stop++].score - sorted[0].score);
    double at = tensor_random_uniform_f64(random) * kept;
    for (int32_t i = 0; i < stop - 1; i++) {
        at -= exp((double)sorted[i].score - sorted[0].score);
        if (at < 0)
            return sorted[i].id;
    }
    return sorted[stop - 1].id;
}

int32_t nn_sample(float *scores, NnDecodeOptions o, TensorRandom *random)
{
    Token *sorted = reel_mem_alloc((size_t)o.tokens * sizeof *sorted);
    int32_t count = 0, id = -1;
    for (int32_t i = 0; sorted && i < o.tokens; i++) {
        scores[i] = (float)(scores[i] / o.temperature);
        if (scores[i] > -INFINITY && !isinf(scores[i]))
            sorted[count++] = (Token){scores[i], i};
    }
    if (count > 0) {
        qsort(sorted, (size_t)count, sizeof *sorted, by_score);
        id = draw(sorted, o.top_k > 0 && o.top_k < count ? o.top_k : count, o.top_p, random);
    }
    reel_mem_free(sorted);
    return id;
}

ReelStatus nn_decode_sample(NnNextFunction *next, void *context, NnDecodeOptions o, TensorRandom *random,
                            int32_t *ids, int32_t *count)
{
    *count = 0;
    ReelStatus status = check_options(o);
    if (!reel_status_is_ok(&status))
        return status;
    size_t bytes = (size_t)o.tokens * sizeof(float);
    float *scores = reel_mem_alloc(bytes);
    if (!scores)
        return reel_status_no_memory(bytes, "the tokens' scores");
    int32_t id = o.begin, parent = 0;
    while (*count < o.most) {
        status = next(context, &id, &parent, 1, scores);
        if (!reel_status_is_ok(&status))
            break;
        id = nn_sample(scores, o, random);
        if (id < 0)
            status = reel_status_failed("decoding: no token has a score that is a number, or no memory");
        if (id < 0 || id == o.end)
            break;
        ids[(*count)++] = id;
    }
    reel_mem_free(scores);
    return status;
}

/* ---- Beam search ---- */

/* A sequence that goes on, or has come to its end. */
typedef struct Way {
    double log_p;
    int32_t parent, id; /* the sequence of the last step that it goes on from, and its token */
} Way;

/* A sequence that has ended; its tokens are in a row of Search.ended_ids. */
typedef struct Ended {
    double judged, log_p;
    int32_t length, row;
} Ended;

/* All that a search keeps. */
typedef struct Search {
    NnDecodeOptions o;
    float *scores;           /* [beam, V] */
    Way *ways, *found;       /* [beam]: that go on; [2 beam]: the best ones of a step */
    int32_t *ids, *next_ids; /* [beam, most]: tokens so far */
    int32_t *last, *parents; /* [beam] */
    int count;               /* that go on */
    int32_t steps;
    Ended *ended;       /* [wanted]: the best so far, best first */
    int32_t *ended_ids; /* [wanted, most] */
    int ended_count, wanted;
} Search;

static double judged(const Search *s, double log_p, int32_t length)
{
    return s->o.length_penalty == 0 || length == 0 ? log_p : log_p / pow(length, s->o.length_penalty);
}

/* Puts a way among the best 2 beam of a step, best first. */
static void keep(Search *s, int *kept, Way way)
{
    int most = 2 * s->o.beam, at = *kept;
    if (at == most && way.log_p <= s->found[most - 1].log_p)
        return;
    at = at == most ? most - 1 : at;
    for (; at > 0 && s->found[at - 1].log_p < way.log_p; at--)
        s->found[at] = s->found[at - 1];
    s->found[at] = way;
    *kept += *kept < most;
}

/* The best ways on from all sequences; -1 where scores are NaN. */
static int find_ways(Search *s)
{
    int kept = 0;
    for (int i = 0; i < s->count; i++) {
        const float *scores = s->scores + (size_t)i * (size_t)s->o.tokens;
        double largest = -INFINITY, sum = 0;
        for (int32_t v = 0; v < s->o.tokens; v++)
            largest = scores[v] > largest ? scores[v] : largest;
        for (int32_t v = 0; v < s->o.tokens; v++)
            sum += exp(scores[v] - largest);
        if (!isfinite(sum))
            return -1;
        for (int32_t v = 0; v < s->o.tokens; v++)
            if (scores[v] > -INFINITY)
                keep(s, &kept, (Way){s->ways[i].log_p + scores[v] - largest - log(sum), i, v});
    }
    return kept;
}

static void end_sequence(Search *s, Way way)
{
    size_t most = (size_t)s->o.most;
    bool full = s->ended_count == s->wanted;
    int at = full ? s->wanted - 1 : s->ended_count;
    Ended now = {judged(s, way.log_p, s->steps), way.log_p, s->steps, full ? s->ended[at].row : at};
    if (full && now.judged <= s->ended[at].judged)
        return;
    for (; at > 0 && s->ended[at - 1].judged < now.judged; at--)
        s->ended[at] = s->ended[at - 1];
    s->ended[at] = now;
    s->ended_count += !full;
    memcpy(s->ended_ids + (size_t)now.row * most, s->ids + (size_t)way.parent * most,
           (size_t)s->steps * sizeof *s->ids);
}

/* One token more for each sequence. */
static ReelStatus go_on(Search *s, NnNextFunction *next, void *context)
{
    size_t most = (size_t)s->o.most;
    ReelStatus status = next(context, s->last, s->parents, s->count, s->scores);
    if (!reel_status_is_ok(&status))
        return status;
    int found = find_ways(s);
    if (found < 0)
        return reel_status_failed("decoding: scores of token %d are not numbers", s->steps + 1);
    s->count = 0;
    for (int i = 0; i < found && s->count < s->o.beam; i++) {
        Way way = s->found[i];
        if (way.id == s->o.end) {
            end_sequence(s, way);
            if (s->o.beam == 1)
                return reel_status_ok(); /* none goes on */
            continue;
        }
        int32_t *to = s->next_ids + (size_t)s->count * most;
        memcpy(to, s->ids + (size_t)way.parent * most, (size_t)s->steps * sizeof *to);
        to[s->steps] = s->last[s->count] = way.id;
        s->parents[s->count] = way.parent;
        s->ways[s->count++] = way;
    }
    int32_t *swap = s->ids;
    s->ids = s->next_ids;
    s->next_ids = swap;
    s->steps++;
    return reel_status_ok();
}

/* Whether a sequence that goes on may still become one of the best: a log probability only falls, and without
 * a penalty no length makes up for it. */
static bool may_improve(const Search *s)
{
    return s->ended_count < s->wanted || s->o.length_penalty != 0 ||
           s->ways[0].log_p > s->ended[s->wanted - 1].judged;
}

static bool search_init(Search *s, NnDecodeOptions o, int wanted)
{
    size_t beam = (size_t)o.beam, most = (size_t)o.most + 1;
    *s = (Search){.o = o,
                  .scores = reel_mem_alloc(beam * (size_t)o.tokens * sizeof(float)),
                  .ways = reel_mem_alloc(beam * sizeof(Way)),
                  .found = reel_mem_alloc(2 * beam * sizeof(Way)),
                  .ids = reel_mem_alloc(beam * most * sizeof(int32_t)),
                  .next_ids = reel_mem_alloc(beam * most * sizeof(int32_t)),
                  .last = reel_mem_alloc(beam * sizeof(int32_t)),
                  .parents = reel_mem_alloc(beam * sizeof(int32_t)),
                  .ended = reel_mem_alloc((size_t)wanted * sizeof(Ended)),
                  .ended_ids = reel_mem_alloc((size_t)wanted * most * sizeof(int32_t)),
                  .wanted = wanted,
                  .count = 1};
    if (!s->scores || !s->ways || !s->found || !s->ids || !s->next_ids || !s->last || !s->parents ||
        !s->ended || !s->ended_ids)
        return false;
    s->ways[0] = (Way){0, 0, o.begin};
    s->last[0] = o.begin;
    s->parents[0] = 0;
    return true;
}

static void search_free(Search *s)
{
    reel_mem_free(s->scores);
    reel_mem_free(s->ways);
    reel_mem_free(s->found);
    reel_mem_free(s->ids);
    reel_mem_free(s->next_ids);
    reel_mem_free(s->last);
    reel_mem_free(s->parents);
    reel_mem_free(s->ended);
    reel_mem_free(s->ended_ids);
}

/* Searches until the best `wanted` sequences are found; there may be fewer. Frees nothing. */
static ReelStatus search(Search *s, NnNextFunction *next, void *context, NnDecodeOptions o, int wanted)
{
    ReelStatus status = check_options(o);
    if (!reel_status_is_ok(&status))
        return status;
    if (!search_init(s, o, wanted))
        status = reel_status_no_memory((size_t)o.beam * (size_t)o.tokens * sizeof(float), "a beam");
    while (reel_status_is_ok(&status) && s->count > 0 && s->steps < o.most && may_improve(s))
        status = go_on(s, next, context);
    /* What has not come to its end within the most tokens is judged as it stands. */
    for (int i = 0; reel_status_is_ok(&status) && i < s->count && s->steps == o.most; i++)
        end_sequence(s, (Way){s->ways[i].log_p, i, o.end});
    return status;
}

ReelStatus nn_decode_beam(NnNextFunction *next, void *context, NnDecodeOptions o, int32_t *ids,
                          int32_t *count)
{
    Search s = {0};
    ReelStatus status = search(&s, next, context, o, 1);
    *count = reel_status_is_ok(&status) && s.ended_count > 0 ? s.ended[0].length : 0;
    if (*count > 0)
        memcpy(ids, s.ended_ids, (size_t)*count * sizeof *ids);
    search_free(&s);
    return status;
}

ReelStatus nn_decode_beams(NnNextFunction *next, void *context, NnDecodeOptions o, int32_t *ids,
                           int32_t *counts, double *log_p, int *found)
{
    Search s = {0};
    ReelStatus status = search(&s, next, context, o, o.beam);
    *found = reel_status_is_ok(&status) ? s.ended_count : 0;
    for (int i = 0; i < *found; i++) {
        const Ended *one = &s.ended[i];
        size_t most = (size_t)o.most;
        memcpy(ids + (size_t)i * most, s.ended_ids + (size_t)one->row * most,
               (size_t)one->length * sizeof *ids);
        counts[i] = one->length;
        log_p[i] = one->log_p;
    }
    search_free(&s);
    return status;
}
