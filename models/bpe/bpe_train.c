/* Learning merges.
 *
 * All different words lie in one array of cells, one cell a symbol, with a border between words. A token
 * that was merged from several symbols spans their cells, and its id is written in the first and in the
 * last of them: so the token that ends before a cell and the one that begins behind a span are read
 * directly, and no links are kept. An occurrence of a pair is the cell where it begins. It is stale once
 * the ids found there are others; a token's cells are never given the same id twice, so this shows.
 *
 * Every occurrence of a pair is made in the step that makes the younger of its two tokens. Its count is
 * known then and can only fall: when a new token r = p + q stands behind l as often as w, the pair (l, p) has
 * lost w, so one look-up for each different neighbour keeps the counts exact, none for each occurrence. For
 * the same reason the queue (bpe_queue.c) is walked downwards once.
 *
 * Most pairs are rare and are never merged. Those below a floor are not kept; when the queue has run
 * down to the floor, the cells are compacted (one a token), all pairs are counted anew, and the floor is
 * lowered. This changes no result: a pair below the floor cannot be the best while others are above. */
#include "models/bpe/bpe_train_internal.h"
#include "tensor/mem.h"

/* The first floor is a FIRST_RATIO-th of the text, a later one a FLOOR_RATIO-th of the one before. */
enum { FIRST_RATIO = 1 << 15, FLOOR_RATIO = 64, AHEAD = 12 };

/* ---- Pairs by their tokens ---- */

static size_t pair_slot(const BpeTrainer *t, uint32_t left, uint32_t right)
{
    return bpe_mix((uint64_t)left << 32 | right, 0x9E3779B97F4A7C15u) & t->pair_mask;
}

static void put_pair(BpeTrainer *t, uint32_t index)
{
    size_t slot = pair_slot(t, t->pairs[index].left, t->pairs[index].right);
    while (t->pair_slots[slot])
        slot = (slot + 1) & t->pair_mask;
    t->pair_slots[slot] = index + 1;
}

/* Room for one more pair. */
static bool reserve_pair(BpeTrainer *t)
{
    BpePair *pairs = reel_mem_grow(t->pairs, t->pair_count, &t->pair_capacity, sizeof *pairs);
    if (!pairs || t->pair_count >= BPE_NO_PAIR - 1)
        return false;
    t->pairs = pairs;
    if (t->pair_slots && t->pair_count * 2 <= t->pair_mask)
        return true;
    size_t slots = t->pair_slots ? (t->pair_mask + 1) * 2 : 1 << 14;
    reel_mem_free(t->pair_slots);
    t->pair_mask = slots - 1;
    if (!(t->pair_slots = reel_mem_calloc(slots, sizeof *t->pair_slots)))
        return false;
    for (size_t i = 0; i < t->pair_count; i++)
        put_pair(t, (uint32_t)i);
    return true;
}

/* The pair has lost occurrences, if it is one that is kept. */
static inline void lose(BpeTrainer *t, uint32_t left, uint32_t right, uint64_t weight)
{
    for (size_t slot = pair_slot(t, left, right); t->pair_slots[slot]; slot = (slot + 1) & t->pair_mask) {
        BpePair *pair = &t->pairs[t->pair_slots[slot] - 1];
        if (pair->left != left || pair->right != right)
            continue;
        pair->count -= weight;
        return;
    }
}

/* ---- Pairs that one token makes with its neighbours ---- */

static inline void tally(BpeTrainer *t, uint32_t neighbour, uint64_t weight)
{
    BpeTally *tally = &t->tallies[neighbour];
    if (tally->count++ == 0)
        t->touched[t->touched_count++] = neighbour;
    tally->weight += weight;
}

/* Hugging Face counts a pair only if its length stays below the limit, but all those of the beginning. */
static bool is_too_long(const BpeTrainer *t, uint32_t left, uint32_t right)
{
    int64_t limit = t->options->max_token_length, length = (int64_t)t->lengths[left] + t->lengths[right];
    return limit > 0 && length > 2 && length >= limit;
}

/* A new pair with room for its places; they follow. */
static bool add_pair(BpeTrainer *t, uint32_t left, uint32_t right, const BpeTally *tally, uint32_t *places)
{
    if (!reserve_pair(t))
        return false;
    t->pairs[t->pair_count] = (BpePair){
        .count = tally->weight, .places = places, .left = left, .right = right, .place_count = tally->count};
    put_pair(t, (uint32_t)t->pair_count);
    return model_bpe_queue_add(t, (uint32_t)t->pair_count++);
}

/* Turns what was tallied into pairs of `token` with its neighbours (right or left of it), as far as they
 * are not below the floor. *kept: the number of their places. */
static bool make_pairs(BpeTrainer *t, uint32_t token, bool neighbour_is_left, size_t *kept)
{
    *kept = 0;
    for (size_t i = 0; i < t->touched_count; i++) {
        uint32_t other = t->touched[i];
        BpeTally *tally = &t->tallies[other];
        bool long_one = is_too_long(t, neighbour_is_left ? other : token, neighbour_is_left ? token : other);
        if (tally->weight < t->floor || long_one) {
            t->dropped |= !long_one;
            tally->weight = 0;
        } else {
            *kept += tally->count;
        }
    }
    uint32_t *places = NULL;
    if (*kept && !(places = tensor_arena_alloc(&t->places, *kept * sizeof *places)))
        return false;
    for (size_t i = 0; i < t->touched_count && *kept; i++) {
        uint32_t other = t->touched[i];
        BpeTally *tally = &t->tallies[other];
        if (tally->weight == 0)
            continue;
        tally->fill = places;
        if (!add_pair(t, neighbour_is_left ? other : token, neighbour_is_left ? token : other, tally, places))
            return false;
        places += tally->count;
    }
    return true;
}

static void clear_tallies(BpeTrainer *t)
{
    for (size_t i = 0; i < t->touched_count; i++)
        t->tallies[t->touched[i]] = (BpeTally){0};
    t->touched_count = 0;
}

static inline void put_place(BpeTrainer *t, uint32_t neighbour, uint32_t place)
{
    BpeTally *tally = &t->tallies[neighbour];
    if (tally->fill)
        *tally->fill++ = place;
}

/* ---- Phases ---- */

/* One cell a token; words of one token go. */
static void compact(BpeTrainer *t)
{
    size_t to = 1;
    for (size_t from = 1; from < t->cell_count;) {
        size_t begin = to;
        uint32_t class = t->cells[from].class;
        while (t->cells[from].token != BPE_BORDER) {
            uint32_t token = t->cells[from].token;
            from += t->spans[token];
            t->cells[to++] = (BpeCell){token, class};
        }
        from++;
        if (to - begin < 2)
            to = begin;
        else
            t->cells[to++] = (BpeCell){BPE_BORDER, class};
    }
    t->cell_count = to;
    for (size_t i = 0; i < (size_t)t->parts.tokens.count; i++)
        t->spans[i] = 1;
}

/* The places of each left token, one after the other, behind ends[token - 1]; in rising order. */
static uint32_t *places_by_left(const BpeTrainer *t, size_t *ends)
{
    size_t total = 0;
    for (size_t i = 1; i < t->cell_count; i++)
        if (t->cells[i].token != BPE_BORDER && t->cells[i + 1].token != BPE_BORDER)
            ends[t->cells[i].token]++;
    for (size_t i = 0; i < (size_t)t->parts.tokens.count; i++) {
        size_t count = ends[i];
        ends[i] = total;
        total += count;
    }
    uint32_t *places = reel_mem_alloc((total + 1) * sizeof *places);
    for (size_t i = 1; places && i < t->cell_count; i++)
        if (t->cells[i].token != BPE_BORDER && t->cells[i + 1].token != BPE_BORDER)
            places[ends[t->cells[i].token]++] = (uint32_t)i;
    return places;
}

static bool pairs_of_left(BpeTrainer *t, uint32_t left, const uint32_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&t->cells[places[i + AHEAD]]);
        tally(t, t->cells[places[i] + 1].token, t->counts[t->cells[places[i]].class]);
    }
    size_t kept;
    bool fine = make_pairs(t, left, false, &kept);
    for (size_t i = 0; fine && kept && i < count; i++)
        put_place(t, t->cells[places[i] + 1].token, places[i]);
    clear_tallies(t);
    return fine;
}

/* Finds all pairs of at least `floor` from the cells. */
static bool start_phase(BpeTrainer *t, uint64_t floor)
{
    t->floor = floor;
    t->dropped = false;
    t->pair_count = 0;
    model_bpe_queue_start(t);
    tensor_arena_reset(&t->places);
    if (t->pair_slots)
        memset(t->pair_slots, 0, (t->pair_mask + 1) * sizeof *t->pair_slots);
    size_t tokens = (size_t)t->parts.tokens.count;
    size_t *ends = reel_mem_calloc(tokens + 1, sizeof *ends);
    uint32_t *places = ends ? places_by_left(t, ends) : NULL;
    bool fine = places != NULL;
    for (size_t token = 0; fine && token < tokens; token++) {
        size_t begin = token ? ends[token - 1] : 0;
        fine = pairs_of_left(t, (uint32_t)token, places + begin, ends[token] - begin);
    }
    reel_mem_free(places);
    reel_mem_free(ends);
    return fine;
}

/* ---- One merge ---- */

/* The token for a + b: a new one, or the special token that is written so. BPE_BORDER: the text belongs to
 * another token already (subword-nmt, where the text itself has "</w>" in it), or to a special token that
 * stands for something else already: a token has one span. */
static bool joined_token(BpeTrainer *t, uint32_t a, uint32_t b, uint32_t *token)
{
    ModelStringTable *tokens = &t->parts.tokens;
    ReelBytes *text = &t->joined;
    ModelTextSpan left = model_string_table_span(tokens, a), right = model_string_table_span(tokens, b);
    text->size = 0;
    if (!model_bpe_trainer_reserve_token(t) || !reel_bytes_append(text, left.bytes, left.length) ||
        !reel_bytes_append(text, right.bytes, right.length))
        return false;
    int64_t found = model_string_table_find(tokens, (ModelTextSpan){text->data, text->size});
    *token = (uint32_t)tokens->count;
    if (found < 0)
        return model_string_table_append(tokens, (ModelTextSpan){text->data, text->size}) >= 0;
    bool special = (size_t)found < t->options->special_count && t->lengths[found] == 0;
    *token = special ? (uint32_t)found : BPE_BORDER;
    return true;
}

/* Whether `pair` begins at `place` still. */
static inline bool is_at(const BpeTrainer *t, const BpePair *pair, uint32_t span, uint32_t place)
{
    const BpeCell *cell = t->cells + place;
    return cell[0].token == pair->left && cell[span - 1].token == pair->left &&
           cell[span].token == pair->right;
}

/* Writes `token` over the pair's occurrences; overlapping ones go from left to right. What is left in
 * pair->places are the places where it was written. */
static void replace(BpeTrainer *t, BpePair *pair, uint32_t token)
{
    uint32_t span = t->spans[pair->left], whole = t->spans[token], kept = 0;
    for (uint32_t i = 0; i < pair->place_count; i++) {
        uint32_t place = pair->places[i];
        if (i + AHEAD < pair->place_count)
            __builtin_prefetch(&t->cells[pair->places[i + AHEAD]], 1);
        if (!is_at(t, pair, span, place))
            continue;
        t->cells[place].token = token;
        t->cells[place + whole - 1].token = token;
        pair->places[kept++] = place;
    }
    pair->place_count = kept;
}

/* The pairs of the new token with the tokens on its left. Where that is the new token again, the pair is
 * found from the other one. */
static bool pairs_on_left(BpeTrainer *t, uint32_t token, const BpePair *pair)
{
    const uint32_t *places = pair->places;
    uint32_t count = pair->place_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t left = t->cells[places[i] - 1].token;
        t->neighbours[i] = left = left == token ? BPE_BORDER : left;
        if (left != BPE_BORDER)
            tally(t, left, t->counts[t->cells[places[i]].class]);
    }
    for (size_t i = 0; i < t->touched_count; i++)
        lose(t, t->touched[i], pair->left, t->tallies[t->touched[i]].weight);
    size_t kept;
    bool fine = make_pairs(t, token, true, &kept);
    for (uint32_t i = 0; fine && kept && i < count; i++)
        if (t->neighbours[i] != BPE_BORDER)
            put_place(t, t->neighbours[i], places[i] - t->spans[t->neighbours[i]]);
    clear_tallies(t);
    return fine;
}

/* Where the token stands twice, what was lost is the pair between: (right, left). */
static bool pairs_on_right(BpeTrainer *t, uint32_t token, const BpePair *pair)
{
    const uint32_t *places = pair->places;
    uint32_t count = pair->place_count, span = t->spans[token];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t right = t->cells[places[i] + span].token;
        t->neighbours[i] = right;
        if (right != BPE_BORDER)
            tally(t, right, t->counts[t->cells[places[i]].class]);
    }
    for (size_t i = 0; i < t->touched_count; i++) {
        uint32_t right = t->touched[i];
        lose(t, pair->right, right == token ? pair->left : right, t->tallies[right].weight);
    }
    size_t kept;
    bool fine = make_pairs(t, token, false, &kept);
    for (uint32_t i = 0; fine && kept && i < count; i++)
        if (t->neighbours[i] != BPE_BORDER)
            put_place(t, t->neighbours[i], places[i]);
    clear_tallies(t);
    return fine;
}

static bool merge(BpeTrainer *t, uint32_t index)
{
    BpePair pair = t->pairs[index]; /* by value: the array may move */
    uint32_t token;
    if (!joined_token(t, pair.left, pair.right, &token))
        return false;
    if (token == BPE_BORDER)
        return true;
    BpeMerge *merges =
        reel_mem_grow(t->parts.merges, t->parts.merge_count, &t->merge_capacity, sizeof *t->parts.merges);
    if (!merges)
        return false;
    t->parts.merges = merges;
    merges[t->parts.merge_count++] = (BpeMerge){pair.left, pair.right, token};
    t->spans[token] = t->spans[pair.left] + t->spans[pair.right];
    t->lengths[token] = t->lengths[pair.left] + t->lengths[pair.right];
    replace(t, &pair, token);
    if (pair.place_count > t->neighbour_capacity) {
        reel_mem_free(t->neighbours);
        t->neighbour_capacity = pair.place_count * (size_t)3 / 2;
        if (!(t->neighbours = reel_mem_alloc(t->neighbour_capacity * sizeof *t->neighbours)))
            return false;
    }
    return pairs_on_left(t, token, &pair) && pairs_on_right(t, token, &pair);
}

static bool is_enough(const BpeTrainer *t)
{
    int64_t vocab = t->options->vocab_size, merges = t->options->max_merges;
    return (vocab > 0 && (size_t)t->parts.tokens.count >= (size_t)vocab) ||
           (merges > 0 && t->parts.merge_count >= (size_t)merges) ||
           (size_t)t->parts.tokens.count >= MODEL_BPE_MAX_TOKENS;
}

static void report(const BpeTrainer *t)
{
    if (t->options->progress)
        t->options->progress(t->options->progress_context, "merge", (size_t)t->parts.tokens.count,
                             (uint64_t)t->options->vocab_size);
}

static bool learn(BpeTrainer *t)
{
    uint64_t symbols = 0;
    for (size_t i = 0; i < t->cell_count; i++)
        symbols += t->cells[i].token != BPE_BORDER ? t->counts[t->cells[i].class] : 0;
    uint64_t floor = symbols / FIRST_RATIO;
    bool no_memory = false;
    for (;;) {
        floor = floor > t->min_frequency ? floor : t->min_frequency;
        if (is_enough(t) || !start_phase(t, floor))
            break;
        for (uint32_t best;
             !is_enough(t) && (best = model_bpe_queue_best(t, &no_memory)) != BPE_NO_PAIR && !no_memory;) {
            if (!merge(t, best))
                return false;
            if (t->parts.merge_count % 256 == 0)
                report(t);
        }
        if (no_memory)
            return false;
        if (is_enough(t) || !t->dropped || floor == t->min_frequency) {
            report(t);
            return true;
        }
        compact(t);
        floor /= FLOOR_RATIO;
    }
    return is_enough(t);
}

/* ---- The whole ---- */

static ReelStatus add_specials(BpeTrainer *t)
{
    const ModelBpeOptions *o = t->options;
    ModelBpeTokenizer *parts = &t->parts;
    if (o->special_count > MODEL_BPE_MAX_SPECIAL_TOKENS)
        return reel_status_usage("%zu special tokens, %d are the most", o->special_count,
                                 MODEL_BPE_MAX_SPECIAL_TOKENS);
    parts->added = reel_mem_calloc(o->special_count, sizeof *parts->added);
    for (size_t i = 0; i < o->special_count; i++) {
        const char *text = o->special_tokens[i];
        size_t size = strlen(text);
        if (size == 0 || reel_utf8_valid(text, size) != size)
            return reel_status_usage("special token %zu is empty or not UTF-8", i);
        if (model_string_table_find(&parts->tokens, (ModelTextSpan){text, size}) >= 0)
            return reel_status_usage("special token '%s' is given twice", text);
        if (!parts->added || !model_bpe_trainer_reserve_token(t) ||
            model_string_table_append(&parts->tokens, (ModelTextSpan){text, size}) < 0)
            return reel_status_no_memory(size, "special tokens");
        t->spans[i] = 1;
        t->lengths[i] = 0;
        parts->added[parts->added_count++] = (BpeAdded){.id = (uint32_t)i, .special = true};
    }
    if (o->unk_token) {
        parts->config.unk_id = (int32_t)model_string_table_find(
            &parts->tokens, (ModelTextSpan){o->unk_token, strlen(o->unk_token)});
        if (parts->config.unk_id < 0)
            return reel_status_usage("unk token '%s' is not one of the special tokens", o->unk_token);
    }
    return reel_status_ok();
}

static ReelStatus prepare(BpeTrainer *t, ModelBpeCounter *counter)
{
    ReelStatus status = add_specials(t);
    if (!reel_status_is_ok(&status))
        return status;
    if (!model_bpe_counter_gather(counter))
        return reel_status_no_memory(model_bpe_counter_slots(counter), "the table of words");
    status = model_bpe_cells_make(t, counter);
    model_bpe_counter_clear(counter);
    return status;
}

static void model_trainer_free(BpeTrainer *t)
{
    reel_bytes_free(&t->joined);
    reel_mem_free(t->cells);
    reel_mem_free(t->counts);
    reel_mem_free(t->spans);
    reel_mem_free(t->lengths);
    reel_mem_free(t->pair_slots);
    reel_mem_free(t->tallies);
    reel_mem_free(t->touched);
    reel_mem_free(t->pairs);
    reel_mem_free(t->neighbours);
    reel_mem_free(t->buckets);
    reel_mem_free(t->high.entries);
    reel_mem_free(t->level_heap.entries);
    tensor_arena_free(&t->places);
}

static ReelStatus check_options(const ModelBpeOptions *o)
{
    if (o->vocab_size < 0 || o->vocab_size > MODEL_BPE_MAX_TOKENS)
        return reel_status_usage("vocabulary of %lld: 1 to %d are possible", (long long)o->vocab_size,
                                 MODEL_BPE_MAX_TOKENS);
    if (o->min_frequency < 0 || o->max_merges < 0 || o->max_token_length < 0)
        return reel_status_usage("minimum frequency, merges and token length must not be negative");
    return model_bpe_check_unicode(&(BpeConfig){.pretokenizer = o->pretokenizer}, false);
}

ReelStatus model_bpe_train(ModelBpeTokenizer **tokenizer, ModelBpeCounter *counter)
{
    const ModelBpeOptions *o = model_bpe_counter_options(counter);
    *tokenizer = NULL;
    ReelStatus status = check_options(o);
    if (!reel_status_is_ok(&status))
        return status;
    BpeTrainer t = {.options = o};
    t.min_frequency = o->min_frequency                           ? (uint64_t)o->min_frequency
                      : o->pretokenizer == MODEL_BPE_SUBWORD_NMT ? 2
                                                                 : 1;
    t.parts.config = (BpeConfig){.pretokenizer = o->pretokenizer,
                                 .add_prefix_space = o->add_prefix_space,
                                 .trim_offsets = true,
                                 .unk_id = BPE_NONE};
    tensor_arena_init(&t.places, 0);
    t.buckets = reel_mem_alloc(BPE_BUCKETS * sizeof *t.buckets);
    status = t.buckets ? prepare(&t, counter) : reel_status_no_memory(BPE_BUCKETS, "the queue");
    if (reel_status_is_ok(&status) && !learn(&t))
        status = reel_status_no_memory(t.pair_count * sizeof(BpePair), "learning merges");
    ModelBpeTokenizer parts = t.parts;
    model_trainer_free(&t);
    if (reel_status_is_ok(&status))
        return model_bpe_tokenizer_make(tokenizer, &parts);
    model_bpe_tokenizer_drop(&parts);
    return status;
}
