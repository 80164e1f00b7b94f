#include "models/text/vocabulary.h"
#include "tensor/mem.h"

#include <string.h>

static const char *const SPECIAL_WORDS[NUM_SPECIAL_TOKENS] = {"<pad>", "<unk>", "<bos>", "<eos>"};

/* In how many texts each word is. */
typedef struct {
    StringTable words;
    int32_t *texts; /* [words] */
    int32_t *last;  /* [words] the last text it was seen in, to count none twice */
    size_t texts_capacity, last_capacity;
} WordCounts;

static void counts_free(WordCounts *counts)
{
    string_table_free(&counts->words);
    reel_mem_free(counts->texts);
    reel_mem_free(counts->last);
}

/* Room for the counts of one more word. */
static bool counts_grow(WordCounts *counts)
{
    size_t used = (size_t)counts->words.count;
    int32_t *texts = reel_mem_grow(counts->texts, used, &counts->texts_capacity, sizeof *texts);
    if (texts)
        counts->texts = texts;
    int32_t *last = reel_mem_grow(counts->last, used, &counts->last_capacity, sizeof *last);
    if (last)
        counts->last = last;
    return texts && last;
}

static bool count_text(WordCounts *counts, TextSpan text, int32_t number)
{
    TextSpan word;
    while (text_next_word(&text, &word)) {
        int32_t before = counts->words.count;
        if (!counts_grow(counts))
            return false;
        int32_t id = string_table_add(&counts->words, word);
        if (id < 0)
            return false;
        if (id == before) {
            counts->texts[id] = 1;
            counts->last[id] = number;
        } else if (counts->last[id] != number) {
            counts->texts[id]++;
            counts->last[id] = number;
        }
    }
    return true;
}

VocabularyOptions vocabulary_defaults(void)
{
    return (VocabularyOptions){.min_df = 2, .max_df = 0.9};
}

static ReelStatus check_options(const VocabularyOptions *options, int64_t count)
{
    if (options->min_df < 1)
        return reel_status_usage("a word cannot be asked to be in at least %d texts; --min-df is 1 or more",
                                 options->min_df);
    if (!(options->max_df > 0.0 && options->max_df <= 1.0))
        return reel_status_usage(
            "a word cannot be asked to be in at most %g of the texts; --max-df is more than 0 "
            "and at most 1",
            options->max_df);
    if (count > INT32_MAX)
        return reel_status_failed("%lld texts are too many; at most %d can be counted", (long long)count,
                                  INT32_MAX);
    return reel_status_ok();
}

static bool add_special_words(StringTable *words)
{
    for (int i = 0; i < NUM_SPECIAL_TOKENS; i++)
        if (string_table_add(words, text_span(SPECIAL_WORDS[i])) < 0)
            return false;
    return true;
}

/* Moves the words that pass to the vocabulary. The counts' words are sorted as they are taken. */
static bool choose_words(Vocabulary *vocabulary, WordCounts *counts, int64_t count,
                         const VocabularyOptions *options)
{
    int32_t number = counts->words.count;
    size_t bytes = (size_t)number * sizeof(int32_t);
    int32_t *new_ids = reel_mem_alloc(bytes), *texts = reel_mem_alloc(bytes);
    bool ok = new_ids && texts && string_table_sort(&counts->words, new_ids) &&
              add_special_words(&vocabulary->words);
    for (int32_t old = 0; ok && old < number; old++)
        texts[new_ids[old]] = counts->texts[old];
    for (int32_t id = 0; ok && id < number; id++) {
        const char *word = string_table_text(&counts->words, id);
        if (texts[id] < options->min_df)
            vocabulary->rare_words++;
        else if (texts[id] > options->max_df * (double)count)
            vocabulary->frequent_words++;
        else
            ok = string_table_add(&vocabulary->words, text_span(word)) >= 0;
    }
    reel_mem_free(new_ids);
    reel_mem_free(texts);
    return ok;
}

ReelStatus vocabulary_build(Vocabulary *vocabulary, const TextSpan *texts, int64_t count,
                            const VocabularyOptions *options)
{
    *vocabulary = (Vocabulary){0};
    ReelStatus status = check_options(options, count);
    if (!reel_status_is_ok(&status))
        return status;
    WordCounts counts = {0};
    bool ok = true;
    for (int64_t i = 0; ok && i < count; i++)
        ok = count_text(&counts, texts[i], (int32_t)i);
    ok = ok && choose_words(vocabulary, &counts, count, options);
    if (!ok)
        status = reel_status_no_memory((size_t)counts.words.count * sizeof(StringItem), "the vocabulary");
    else if (vocabulary_size(vocabulary) == NUM_SPECIAL_TOKENS)
        status =
            reel_status_failed("no word is in at least %d of %lld training texts and in at most %g of them; "
                               "lower --min-df, raise --max-df, or add texts",
                               options->min_df, (long long)count, options->max_df);
    counts_free(&counts);
    if (!reel_status_is_ok(&status))
        vocabulary_free(vocabulary);
    return status;
}

static ReelStatus restore_word(Vocabulary *vocabulary, const char *word, int32_t id)
{
    if (id < NUM_SPECIAL_TOKENS && strcmp(word, SPECIAL_WORDS[id]) != 0)
        return reel_status_failed(
            "word %d of the vocabulary is '%.100s' and must be '%s'; use a vocabulary that "
            "Reel has saved",
            id, word, SPECIAL_WORDS[id]);
    if (word[0] == '\0')
        return reel_status_failed("word %d of the vocabulary is empty; use one that Reel has saved", id);
    int32_t given = string_table_add(&vocabulary->words, text_span(word));
    if (given < 0)
        return reel_status_no_memory(strlen(word), "the vocabulary");
    if (given != id)
        return reel_status_failed(
            "the words %d and %d of the vocabulary are both '%.100s'; use one that Reel has "
            "saved",
            given, id, word);
    return reel_status_ok();
}

ReelStatus vocabulary_restore(Vocabulary *vocabulary, const char *const *words, int32_t count)
{
    *vocabulary = (Vocabulary){0};
    ReelStatus status =
        count >= NUM_SPECIAL_TOKENS
            ? reel_status_ok()
            : reel_status_failed("a vocabulary of %d words has no room for <pad> <unk> <bos> <eos>; "
                                 "use one that Reel has saved",
                                 count);
    for (int32_t id = 0; reel_status_is_ok(&status) && id < count; id++)
        status = restore_word(vocabulary, words[id], id);
    if (!reel_status_is_ok(&status))
        vocabulary_free(vocabulary);
    return status;
}

void vocabulary_free(Vocabulary *vocabulary)
{
    string_table_free(&vocabulary->words);
    *vocabulary = (Vocabulary){0};
}

const char *vocabulary_word(const Vocabulary *vocabulary, int32_t id)
{
    return string_table_text(&vocabulary->words, id);
}

int32_t vocabulary_id(const Vocabulary *vocabulary, TextSpan word)
{
    return string_table_find(&vocabulary->words, word);
}

static bool encode_words(const void *state, TextSpan text, size_t limit, IdList *list)
{
    const Vocabulary *vocabulary = state;
    size_t end = list->count + limit;
    TextSpan word;
    while (list->count < end && text_next_word(&text, &word)) {
        int32_t id = vocabulary_id(vocabulary, word);
        if (id >= NUM_SPECIAL_TOKENS && !id_list_push(list, id))
            return false;
    }
    return true;
}

Tokenizer vocabulary_tokenizer(const Vocabulary *vocabulary)
{
    return (Tokenizer){
        .state = vocabulary, .vocab_size = vocabulary_size(vocabulary), .encode = encode_words};
}
