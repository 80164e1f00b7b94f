#include "models/vectors/sentences.h"

#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

ReelStatus model_sentences_add(ModelSentences *s, ModelTextSpan text)
{
    ModelTextSpan word;
    size_t at = s->count > 0 ? (size_t)s->offsets[s->count] : 0;
    int64_t *offsets =
        reel_mem_reserve(s->offsets, (size_t)s->count, 2, &s->offsets_capacity, sizeof *offsets);
    if (!offsets)
        return reel_status_no_memory(0, "the texts");
    s->offsets = offsets;
    s->offsets[s->count] = (int64_t)at;
    while (model_text_next_word(&text, &word)) {
        int32_t *ids = reel_mem_grow(s->ids, at, &s->ids_capacity, sizeof *ids);
        if (ids)
            s->ids = ids;
        int64_t *counts =
            reel_mem_grow(s->counts, (size_t)s->words.count, &s->words_capacity, sizeof *counts);
        if (counts)
            s->counts = counts;
        int32_t before = s->words.count, id = ids && counts ? model_string_table_add(&s->words, word) : -1;
        if (id < 0)
            return reel_status_no_memory(0, "the texts' words");
        if (id == before)
            s->counts[id] = 0;
        s->counts[id]++;
        s->ids[at++] = id;
    }
    s->offsets[++s->count] = (int64_t)at;
    return reel_status_ok();
}

/* A word to be numbered. */
typedef struct Ranked {
    int64_t count;
    int32_t id;
    const char *text;
} Ranked;

static int by_count(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->text, y->text);
}

/* The words in their new order, and the new number of each old one, -1 where it is left out. */
static bool rank_words(ModelSentences *s, int64_t min_count, Ranked *ranked, int32_t *new_ids,
                       ModelStringTable *words, int64_t *counts)
{
    for (int32_t i = 0; i < s->words.count; i++)
        ranked[i] = (Ranked){s->counts[i], i, model_string_table_text(&s->words, i)};
    qsort(ranked, (size_t)s->words.count, sizeof *ranked, by_count);
    for (int32_t i = 0; i < s->words.count; i++) {
        const Ranked *word = &ranked[i];
        new_ids[word->id] = -1;
        if (word->count < min_count)
            continue;
        counts[words->count] = word->count;
        new_ids[word->id] = model_string_table_add(words, model_text_span(word->text));
        if (new_ids[word->id] < 0)
            return false;
    }
    return true;
}

static void renumber(ModelSentences *s, const int32_t *new_ids)
{
    int64_t to = 0, sentences = 0, begin = 0;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t end = s->offsets[i + 1], first = to;
        for (int64_t from = begin; from < end; from++)
            if (new_ids[s->ids[from]] >= 0)
                s->ids[to++] = new_ids[s->ids[from]];
        begin = end;
        if (to > first)
            s->offsets[++sentences] = to;
    }
    s->count = sentences;
}

ReelStatus model_sentences_number(ModelSentences *s, int64_t min_count)
{
    size_t count = (size_t)s->words.count;
    Ranked *ranked = reel_mem_alloc(count * sizeof *ranked);
    int32_t *new_ids = reel_mem_alloc(count * sizeof *new_ids);
    int64_t *counts = reel_mem_alloc(count * sizeof *counts);
    ModelStringTable words = {0};
    if (!ranked || !new_ids || !counts || !rank_words(s, min_count, ranked, new_ids, &words, counts)) {
        reel_mem_free(ranked);
        reel_mem_free(new_ids);
        reel_mem_free(counts);
        model_string_table_free(&words);
        return reel_status_no_memory(count * sizeof *ranked, "the order of the words");
    }
    renumber(s, new_ids);
    model_string_table_free(&s->words);
    reel_mem_free(s->counts);
    reel_mem_free(ranked);
    reel_mem_free(new_ids);
    s->words = words;
    s->counts = counts;
    s->words_capacity = count;
    if (words.count < 2)
        return reel_status_failed(
            "%d word%s there at least %lld times; give more texts, or a smaller --min-count", words.count,
            words.count == 1 ? " is" : "s are", (long long)min_count);
    return reel_status_ok();
}

void model_sentences_free(ModelSentences *s)
{
    model_string_table_free(&s->words);
    reel_mem_free(s->counts);
    reel_mem_free(s->offsets);
    reel_mem_free(s->ids);
    *s = (ModelSentences){0};
}
