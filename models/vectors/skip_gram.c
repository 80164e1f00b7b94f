#include "models/vectors/skip_gram.h"

#include "autograd/ops.h"
#include "nn/optimizer.h"
#include "nn/parallel.h"
#include "nn/training_place.h"
#include "tensor/clock.h"
#include "tensor/elementwise.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define PLACE "reel/skip_gram.json"

enum { SMOOTHING = 1000, SETTINGS_SIZE = 400, STRANDS = 8 };

/* The first word of a sentence in the list of an epoch's words. */
enum { FIRST = INT32_MIN };

/* A draw from the words by their frequency to the power 3/4 (Walker's method of aliases, 1977). */
typedef struct Alias {
    float keep;    /* the probability of the word itself */
    int32_t other; /* else */
} Alias;

/* What one shard of an update works with. */
typedef struct ShardText {
    int32_t *words, *segment; /* [batch * 2 window] */
    int32_t *targets;         /* [batch * (1 + negative)] */
    int32_t *pieces, *owner; /* of all words of the shard, where there are pieces: rows, and whose they are */
    size_t pieces_capacity, owner_capacity;
    int32_t pairs, centres;
} ShardText;

struct ModelSkipGram {
    NnModule base;
    NnParameter input, output;
    const ModelSentences *sentences;
    ModelSkipGramOptions options;
    NnParallel *parallel;
    NnOptimizer *optimizer;
    Alias *aliases;       /* [V] */
    float *keep;          /* [V] the probability with which a word stays */
    int32_t *piece_rows;  /* the rows of each word's pieces ... */
    int64_t *piece_begin; /* ... [V + 1]: from piece_rows[piece_begin[w]] */
    ShardText *shards;

    int32_t *text; /* the words of this epoch that are left, in its order; FIRST | w begins a sentence */
    int64_t size;
    int epoch;    /* from 1 */
    int64_t done; /* words of it that are predicted */
    double loss;  /* mean for each pair, smoothed */
};

ModelSkipGramOptions model_skip_gram_defaults(void)
{
    return (ModelSkipGramOptions){.width = 100,
                                  .window = 5,
                                  .negative = 5,
                                  .epochs = 5,
                                  .sample = 1e-3,
                                  .lr = 0.025,
                                  .least_lr = 1e-4,
                                  .batch = 64,
                                  .shards = 2,
                                  .threads = 1,
                                  .min_piece = 3,
                                  .max_piece = 6};
}

/* ---- Random words ---- */

static void fill_keep(ModelSkipGram *m)
{
    const ModelSentences *s = m->sentences;
    for (int32_t w = 0; w < s->words.count; w++) {
        double f = (double)s->counts[w] / (double)s->offsets[s->count], t = m->options.sample;
        m->keep[w] = t > 0 ? (float)(sqrt(t / f) + t / f) : 1;
    }
}

/* Words with less than the mean share are filled up by ones with more, until each place holds two at most. */
static bool fill_aliases(ModelSkipGram *m)
{
    int32_t count = m->sentences->words.count, poor = 0, rich = count;
    double *share = reel_mem_alloc((size_t)count * sizeof *share), sum = 0;
    int32_t *stack = reel_mem_alloc((size_t)count * sizeof *stack);
    for (int32_t w = 0; share && stack && w < count; w++)
        sum += share[w] = pow((double)m->sentences->counts[w], 0.75);
    for (int32_t w = 0; share && stack && w < count; w++) {
        share[w] *= count / sum;
        m->aliases[w] = (Alias){1, w};
        stack[share[w] < 1 ? poor++ : --rich] = w;
    }
    while (share && stack && poor > 0 && rich < count) {
        int32_t less = stack[--poor], more = stack[rich];
        m->aliases[less] = (Alias){(float)share[less], more};
        share[more] -= 1 - share[less];
        if (share[more] < 1) {
            rich++;
            stack[poor++] = more;
        }
    }
    reel_mem_free(share);
    reel_mem_free(stack);
    return share && stack;
}

/* Random numbers, four at a time. */
typedef struct Draws {
    uint64_t seed, stream, block;
    uint32_t numbers[4];
    int left;
} Draws;

static uint32_t draw(Draws *d)
{
    if (d->left == 0) {
        tensor_random_block(d->seed, d->stream, d->block++, d->numbers);
        d->left = 4;
    }
    return d->numbers[--d->left];
}

/* In [0, bound), with a bias of bound / 2^32 at most. */
static int32_t draw_below(Draws *d, int32_t bound)
{
    return (int32_t)((uint64_t)draw(d) * (uint64_t)bound >> 32);
}

static int32_t draw_word(const ModelSkipGram *m, Draws *d)
{
    int32_t word = draw_below(d, m->sentences->words.count);
    const Alias *alias = &m->aliases[word];
    return (float)(draw(d) >> 8) * 0x1p-24f < alias->keep ? word : alias->other;
}

/* ---- The text of an epoch ---- */

static ReelStatus begin_epoch(ModelSkipGram *m)
{
    const ModelSentences *s = m->sentences;
    uint64_t epoch = (uint64_t)m->epoch << 32;
    int32_t *order = reel_mem_alloc((size_t)s->count * sizeof *order);
    if (!order)
        return reel_status_no_memory((size_t)s->count * sizeof *order, "the order of the texts");
    TensorRandom shuffle = tensor_random_new(m->options.seed ^ tensor_random_stream("order"), epoch);
    tensor_random_permutation(&shuffle, order, (int32_t)s->count);
    m->size = 0;
    for (int64_t i = 0; i < s->count; i++) {
        Draws draws = {.seed = m->options.seed ^ tensor_random_stream("sample"),
                       .stream = epoch + (uint64_t)order[i]};
        int64_t first = m->size;
        for (int64_t at = s->offsets[order[i]]; at < s->offsets[order[i] + 1]; at++) {
            float keep = m->keep[s->ids[at]];
            if (keep >= 1 || (float)(draw(&draws) >> 8) * 0x1p-24f < keep)
                m->text[m->size++] = s->ids[at];
        }
        if (m->size > first)
            m->text[first] |= FIRST;
    }
    reel_mem_free(order);
    return reel_status_ok();
}

/* Adds the neighbours of the word at `at` and its targets to a shard's text. A word without neighbours adds
 * nothing. */
static void add_centre(const ModelSkipGram *m, ShardText *shard, Draws *draws, int64_t at)
{
    int32_t word = m->text[at] & INT32_MAX, pairs = shard->pairs;
    int reach = 1 + draw_below(draws, m->options.window), negative = m->options.negative;
    int64_t from = at, to = at;
    while (from > 0 && at - from < reach && !(m->text[from] & FIRST))
        from--;
    while (to + 1 < m->size && to - at < reach && !(m->text[to + 1] & FIRST))
        to++;
    for (int64_t i = from; i <= to; i++)
        if (i != at) {
            shard->words[shard->pairs] = m->text[i] & INT32_MAX;
            shard->segment[shard->pairs++] = shard->centres;
        }
    if (shard->pairs == pairs)
        return;
    int32_t *targets = shard->targets + shard->centres++ * (1 + negative);
    targets[0] = word;
    for (int k = 1; k <= negative; k++)
        do
            targets[k] = draw_word(m, draws);
        while (targets[k] == word);
}

/* ---- Pieces of words ---- */

/* FNV-1a, as fastText has it. */
static uint32_t hash_piece(const char *bytes, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint32_t)(int32_t)(signed char)bytes[i]) * 16777619u;
    return hash;
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* The rows of a word: its own, and one for each of its pieces. Returns how many; `rows` may be NULL. */
static int64_t find_pieces(const ModelSkipGram *m, int32_t word, int32_t *rows)
{
    const ModelStringTable *words = &m->sentences->words;
    size_t length = words->items[word].length + 2;
    const char *text = model_string_table_text(words, word);
    int64_t count = 1;
    if (rows)
        rows[0] = word;
    for (size_t from = 0; from < length; from++) {
        char piece[256];
        size_t size = 0;
        for (int characters = 0; from + size < length && size + 4 < sizeof piece;) {
            do {
                size_t at = from + size;
                piece[size++] = (char)(at == 0 ? '<' : at == length - 1 ? '>' : text[at - 1]);
            } while (from + size < length - 1 && !begins_character(text[from + size - 1]));
            characters++;
            if (!begins_character(piece[0]) || characters > m->options.max_piece)
                break;
            if (characters < m->options.min_piece || size == length)
                continue;
            if (rows)
                rows[count] =
                    words->count + (int32_t)(hash_piece(piece, size) % (uint32_t)m->options.buckets);
            count++;
        }
    }
    return count;
}

static ReelStatus prepare_pieces(ModelSkipGram *m)
{
    int32_t words = m->sentences->words.count;
    m->piece_begin = reel_mem_calloc((size_t)words + 1, sizeof *m->piece_begin);
    for (int32_t w = 0; m->piece_begin && w < words; w++)
        m->piece_begin[w + 1] = m->piece_begin[w] + find_pieces(m, w, NULL);
    size_t bytes = m->piece_begin ? (size_t)m->piece_begin[words] * sizeof *m->piece_rows : 0;
    m->piece_rows = m->piece_begin ? reel_mem_alloc(bytes) : NULL;
    if (!m->piece_rows)
        return reel_status_no_memory(bytes, "the pieces of the words");
    for (int32_t w = 0; w < words; w++)
        find_pieces(m, w, m->piece_rows + m->piece_begin[w]);
    return reel_status_ok();
}

/* The vectors of a shard's words as sums of their pieces' rows, one for each pair [P, d]; shard->words become
 * the places in it. */
static Var sum_pieces(ModelSkipGram *m, ShardText *shard, Var input)
{
    int64_t count = 0;
    for (int32_t p = 0; p < shard->pairs; p++) {
        int64_t first = m->piece_begin[shard->words[p]], more = m->piece_begin[shard->words[p] + 1] - first;
        int32_t *pieces = reel_mem_reserve(shard->pieces, (size_t)count, (size_t)more,
                                           &shard->pieces_capacity, sizeof *pieces);
        shard->pieces = pieces ? pieces : shard->pieces;
        int32_t *owner = reel_mem_reserve(shard->owner, (size_t)count, (size_t)more, &shard->owner_capacity,
                                          sizeof *owner);
        shard->owner = owner ? owner : shard->owner;
        if (!pieces || !owner) {
            tape_fail(input.tape, "out of memory");
            return VAR_NONE;
        }
        memcpy(pieces + count, m->piece_rows + first, (size_t)more * sizeof *pieces);
        for (int64_t i = 0; i < more; i++)
            owner[count++] = p;
        shard->words[p] = p;
    }
    Var ids = tape_constant(input.tape, tensor_from(shard->pieces, TENSOR_I32, TENSOR_SHAPE(count)));
    Var owner = tape_constant(input.tape, tensor_from(shard->owner, TENSOR_I32, TENSOR_SHAPE(count)));
    return var_segment_sum(var_embedding(input, ids, -1), owner, shard->pairs);
}

/* ---- An update ---- */

/* Where in the epoch word number `item` of an update is, or -1. An update takes a run of words from each of
 * STRANDS places: in one long run a word may be so often that its summed gradients overshoot. */
static int64_t place_of(const ModelSkipGram *m, int item)
{
    int64_t length = (m->size + STRANDS - 1) / STRANDS;
    int run = m->options.batch / STRANDS, strand = item / run, at = item % run;
    int64_t within = m->done / STRANDS + at, place = strand * length + within;
    return strand < STRANDS && within < length && place < m->size ? place : -1;
}

static Var shard_loss(void *context, Tape *tape, int number, int shards)
{
    ModelSkipGram *m = context;
    ShardText *shard = &m->shards[number];
    int from = (int)((int64_t)m->options.batch * number / shards);
    int to = (int)((int64_t)m->options.batch * (number + 1) / shards);
    Draws draws = {.seed = m->options.seed ^ tensor_random_stream("negative"),
                   .stream = ((uint64_t)m->epoch << 40) + (uint64_t)(m->done + from)};
    shard->pairs = shard->centres = 0;
    for (int item = from; item < to; item++) {
        int64_t place = place_of(m, item);
        if (place >= 0)
            add_centre(m, shard, &draws, place);
    }
    if (shard->pairs == 0)
        return VAR_NONE;
    Var input = nn_var(&m->input, tape);
    if (m->piece_rows)
        input = sum_pieces(m, shard, input);
    Tensor words = tensor_from(shard->words, TENSOR_I32, TENSOR_SHAPE(shard->pairs));
    Tensor segment = tensor_from(shard->segment, TENSOR_I32, TENSOR_SHAPE(shard->pairs));
    Tensor targets =
        tensor_from(shard->targets, TENSOR_I32, TENSOR_SHAPE(shard->centres, 1 + m->options.negative));
    return var_skip_gram(input, nn_var(&m->output, tape), tape_constant(tape, words),
                         tape_constant(tape, segment), tape_constant(tape, targets));
}

static ReelStatus update(ModelSkipGram *m)
{
    const ModelSkipGramOptions *o = &m->options;
    double sum, passed = (m->epoch - 1 + (double)m->done / (double)m->size) / o->epochs;
    int64_t pairs = 0;
    nn_optimizer_set_lr(m->optimizer, fmax(o->lr * (1 - passed), o->least_lr));
    ReelStatus status = nn_parallel_backward(m->parallel, shard_loss, m, &sum);
    for (int i = 0; i < o->shards; i++)
        pairs += m->shards[i].pairs;
    if (reel_status_is_ok(&status) && !isfinite(sum))
        status = reel_status_failed("the loss is not a number in epoch %d; lower --lr or --batch", m->epoch);
    if (reel_status_is_ok(&status) && pairs > 0)
        status = nn_optimizer_step(m->optimizer, nn_parallel_pieces(m->parallel));
    if (pairs > 0)
        m->loss += (sum / (double)pairs - m->loss) / (m->loss == 0 ? 1 : SMOOTHING);
    m->done = m->done + o->batch < m->size ? m->done + o->batch : m->size;
    return status;
}

ReelStatus model_skip_gram_train(ModelSkipGram *m, ModelSkipGramWatcher *watcher, void *context,
                                 bool *finished)
{
    double started = reel_clock_seconds();
    int64_t words = 0;
    *finished = false;
    while (m->epoch <= m->options.epochs) {
        ReelStatus status = begin_epoch(m);
        while (reel_status_is_ok(&status) && m->done < m->size) {
            int64_t before = m->done;
            status = update(m);
            words += m->done - before;
            ModelSkipGramProgress progress = {m->epoch, m->options.epochs, m->done,
                                              m->size,  m->loss,           reel_clock_seconds() - started,
                                              words};
            if (reel_status_is_ok(&status) && watcher && !watcher(context, &progress))
                return status;
        }
        if (!reel_status_is_ok(&status))
            return status;
        m->epoch++;
        m->done = 0;
    }
    *finished = true;
    return reel_status_ok();
}

Tensor model_skip_gram_vectors(const ModelSkipGram *m, TensorArena *arena)
{
    int64_t words = m->sentences->words.count, width = m->options.width;
    Tensor all = nn_parameter_read(&m->input, arena),
           rows = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(words, width));
    if (!tensor_is_valid(all) || !tensor_is_valid(rows))
        return tensor_invalid();
    for (int64_t w = 0; w < words; w++) {
        Tensor row = tensor_select(rows, 0, w);
        tensor_copy_into(row, tensor_select(all, 0, w));
        for (int64_t i = 1; m->piece_rows && i < m->piece_begin[w + 1] - m->piece_begin[w]; i++)
            tensor_axpby(row, 1, tensor_select(all, 0, m->piece_rows[m->piece_begin[w] + i]), 1);
    }
    return rows;
}

/* ---- Making and freeing ---- */

static ReelStatus check_options(const ModelSkipGramOptions *o)
{
    if (o->width < 1 || o->window < 1 || o->negative < 1 || o->epochs < 1 || o->batch < 1 || o->shards < 1 ||
        o->threads < 1 || o->sample < 0 || !(o->lr > 0) || o->least_lr < 0 || o->buckets < 0)
        return reel_status_usage(
            "skip-gram: width, window, negative, epochs, batch, shards, threads and lr must be "
            "positive, sample, least_lr and buckets not negative");
    if (o->buckets > 0 && (o->min_piece < 1 || o->max_piece < o->min_piece || o->max_piece > 50))
        return reel_status_usage(
            "skip-gram: pieces of %d to %d characters cannot be; at most 50, and the least first",
            o->min_piece, o->max_piece);
    return reel_status_ok();
}

static ReelStatus prepare_shards(ModelSkipGram *m)
{
    const ModelSkipGramOptions *o = &m->options;
    size_t pairs = (size_t)o->batch * 2 * (size_t)o->window, bytes = pairs * sizeof(int32_t);
    size_t targets = (size_t)o->batch * (size_t)(1 + o->negative) * sizeof(int32_t);
    m->shards = reel_mem_calloc((size_t)o->shards, sizeof *m->shards);
    for (int i = 0; m->shards && i < o->shards; i++) {
        m->shards[i] = (ShardText){.words = reel_mem_alloc(bytes),
                                   .segment = reel_mem_alloc(bytes),
                                   .targets = reel_mem_alloc(targets)};
        if (!m->shards[i].words || !m->shards[i].segment || !m->shards[i].targets)
            return reel_status_no_memory(bytes, "the words of an update");
    }
    return m->shards ? reel_status_ok() : reel_status_no_memory(0, "the shards");
}

static ReelStatus prepare(ModelSkipGram *m)
{
    const ModelSkipGramOptions *o = &m->options;
    const ModelSentences *s = m->sentences;
    int64_t words = s->words.count;
    nn_module_init(&m->base);
    nn_module_add_parameter(&m->base, &m->input, "input", TENSOR_SHAPE(words + o->buckets, o->width),
                            nn_init_uniform(0.5 / (double)o->width));
    nn_module_add_parameter(&m->base, &m->output, "output", TENSOR_SHAPE(words, o->width),
                            nn_init_constant(0));
    m->input.sparse = m->output.sparse = true;
    m->aliases = reel_mem_alloc((size_t)words * sizeof *m->aliases);
    m->keep = reel_mem_alloc((size_t)words * sizeof *m->keep);
    m->text = reel_mem_alloc((size_t)s->offsets[s->count] * sizeof *m->text);
    if (!m->aliases || !m->keep || !m->text || !fill_aliases(m))
        return reel_status_no_memory((size_t)s->offsets[s->count] * sizeof *m->text, "the words of an epoch");
    fill_keep(m);
    ReelStatus status = prepare_shards(m);
    if (reel_status_is_ok(&status) && o->buckets > 0)
        status = prepare_pieces(m);
    if (reel_status_is_ok(&status))
        status = nn_module_reset(&m->base, o->seed);
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(
            &m->parallel, &m->base,
            &(NnParallelOptions){.shards = o->shards, .threads = o->threads, .seed = o->seed});
    NnOptimizerOptions sgd = nn_optimizer_options(NN_SGD);
    sgd.lr = o->lr;
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&m->optimizer, &m->base, sgd);
    return status;
}

ReelStatus model_skip_gram_new(ModelSkipGram **model, const ModelSentences *sentences,
                               const ModelSkipGramOptions *options)
{
    *model = NULL;
    ReelStatus status = check_options(options);
    if (!reel_status_is_ok(&status))
        return status;
    ModelSkipGram *m = reel_mem_calloc(1, sizeof *m);
    if (!m)
        return reel_status_no_memory(sizeof *m, "the model");
    m->sentences = sentences;
    m->options = *options;
    m->options.batch = (options->batch + STRANDS - 1) / STRANDS * STRANDS;
    m->epoch = 1;
    status = prepare(m);
    if (!reel_status_is_ok(&status)) {
        model_skip_gram_free(m);
        return status;
    }
    *model = m;
    return status;
}

void model_skip_gram_free(ModelSkipGram *m)
{
    if (!m)
        return;
    nn_optimizer_free(m->optimizer);
    nn_parallel_free(m->parallel);
    nn_module_free(&m->base);
    for (int i = 0; m->shards && i < m->options.shards; i++) {
        reel_mem_free(m->shards[i].words);
        reel_mem_free(m->shards[i].segment);
        reel_mem_free(m->shards[i].targets);
        reel_mem_free(m->shards[i].pieces);
        reel_mem_free(m->shards[i].owner);
    }
    reel_mem_free(m->shards);
    reel_mem_free(m->piece_rows);
    reel_mem_free(m->piece_begin);
    reel_mem_free(m->aliases);
    reel_mem_free(m->keep);
    reel_mem_free(m->text);
    reel_mem_free(m);
}

/* ---- Going on ---- */

/* All that the bytes depend on. */
static void describe(const ModelSkipGram *m, char settings[SETTINGS_SIZE])
{
    const ModelSkipGramOptions *o = &m->options;
    const ModelSentences *s = m->sentences;
    uLong crc = crc32_z(0, (const Bytef *)s->ids, (size_t)s->offsets[s->count] * sizeof *s->ids);
    crc = crc32_z(crc, (const Bytef *)s->words.bytes, s->words.bytes_used);
    snprintf(settings, SETTINGS_SIZE,
             "width %" PRId64
             ", window %d, negative %d, epochs %d, sample %.17g, lr %.17g to %.17g, batch %d, shards "
             "%d, seed %" PRIu64 ", buckets %d, pieces %d to %d, texts %08lx",
             o->width, o->window, o->negative, o->epochs, o->sample, o->lr, o->least_lr, o->batch, o->shards,
             o->seed, o->buckets, o->min_piece, o->max_piece, crc);
}

ReelStatus model_skip_gram_save(ModelSkipGram *m, const char *path)
{
    char settings[SETTINGS_SIZE];
    NnSnapshot snapshot;
    describe(m, settings);
    nn_snapshot_init(&snapshot);
    nn_snapshot_parameters(&snapshot, &m->base);
    nn_snapshot_training_place(
        &snapshot, PLACE,
        &(NnTrainingPlace){.settings = settings, .epoch = m->epoch, .done = m->done, .loss = m->loss});
    ReelStatus status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 0});
    nn_snapshot_free(&snapshot);
    return status;
}

ReelStatus model_skip_gram_load(ModelSkipGram *m, const char *path)
{
    char settings[SETTINGS_SIZE];
    NnTrainingPlace place;
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, path);
    describe(m, settings);
    if (reel_status_is_ok(&status))
        status = nn_load_training_place(npz, PLACE, "word vectors", settings, m->options.epochs, INT64_MAX,
                                        &place);
    if (reel_status_is_ok(&status)) {
        m->epoch = place.epoch;
        m->done = place.done;
        m->loss = place.loss;
        status = nn_load_from(&m->base, npz, (NnLoadOptions){0});
    }
    tensor_npz_close(npz);
    return status;
}
