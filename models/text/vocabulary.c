#include "models/text/vocabulary.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const SPECIAL_WORDS[MODEL_NUM_SPECIAL_TOKENS] = {"<pad>", "<unk>", "<bos>", "<eos>"};

ModelVocabularyOptions model_vocabulary_defaults(void)
{
    return (ModelVocabularyOptions){.min_df = 2, .max_df = 0.9};
}

static ReelStatus check_options(const ModelVocabularyOptions *options, int64_t count)
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

static bool add_special_words(ModelStringTable *words)
{
    for (int i = 0; i < MODEL_NUM_SPECIAL_TOKENS; i++)
        if (model_string_table_add(words, model_text_span(SPECIAL_WORDS[i])) < 0)
            return false;
    return true;
}

/* A word that passes. */
typedef struct Candidate {
    const char *text;
    int32_t number;
} Candidate;

static int compare_candidates(const void *a, const void *b)
{
    return strcmp(((const Candidate *)a)->text, ((const Candidate *)b)->text);
}

/* Puts the words that pass into the vocabulary, behind those that are there, in the order of their bytes.
 * `candidates` has room for all. */
static bool choose_words(ModelVocabulary *vocabulary, const ModelStringTable *words, const int32_t *texts,
                         int64_t count, const ModelVocabularyOptions *options, Candidate *candidates,
                         int32_t *ids)
{
    size_t passed = 0;
    bool has_words = model_vocabulary_size(vocabulary) > MODEL_NUM_SPECIAL_TOKENS;
    for (int32_t number = 0; number < words->count; number++) {
        ids[number] =
            has_words ? model_vocabulary_id(vocabulary, model_string_table_span(words, (size_t)number)) : -1;
        if (ids[number] >= 0 || texts[number] == 0)
            continue;
        if (texts[number] < options->min_df)
            vocabulary->rare_words++;
        else if (texts[number] > options->max_df * (double)count)
            vocabulary->frequent_words++;
        else
            candidates[passed++] = (Candidate){model_string_table_text(words, number), number};
    }
    qsort(candidates, passed, sizeof *candidates, compare_candidates);
    bool fine = true;
    for (size_t i = 0; fine && i < passed; i++)
        fine = (ids[candidates[i].number] =
                    model_string_table_add(&vocabulary->words, model_text_span(candidates[i].text))) >= 0;
    return fine;
}

ReelStatus model_vocabulary_build(ModelVocabulary *vocabulary, const ModelVocabulary *begin,
                                  const ModelStringTable *words, const int32_t *texts, int64_t count,
                                  const ModelVocabularyOptions *options, int32_t *ids)
{
    *vocabulary = (ModelVocabulary){0};
    ReelStatus status = check_options(options, count);
    if (!reel_status_is_ok(&status))
        return status;
    size_t bytes = (size_t)words->count * sizeof(Candidate);
    Candidate *candidates = reel_mem_alloc(bytes);
    bool fine = candidates && add_special_words(&vocabulary->words) &&
                (!begin || model_string_table_add_all(&vocabulary->words, &begin->words));
    if (!fine || !choose_words(vocabulary, words, texts, count, options, candidates, ids))
        status = reel_status_no_memory(bytes, "the vocabulary");
    else if (model_vocabulary_size(vocabulary) == MODEL_NUM_SPECIAL_TOKENS)
        status =
            reel_status_failed("no word is in at least %d of %lld training texts and in at most %g of them; "
                               "lower --min-df, raise --max-df, or add texts",
                               options->min_df, (long long)count, options->max_df);
    reel_mem_free(candidates);
    if (!reel_status_is_ok(&status))
        model_vocabulary_free(vocabulary);
    return status;
}

static ReelStatus restore_word(ModelVocabulary *vocabulary, const char *word, int32_t id)
{
    if (id < MODEL_NUM_SPECIAL_TOKENS && strcmp(word, SPECIAL_WORDS[id]) != 0)
        return reel_status_failed(
            "word %d of the vocabulary is '%.100s' and must be '%s'; use a vocabulary that "
            "Reel has saved",
            id, word, SPECIAL_WORDS[id]);
    if (word[0] == '\0')
        return reel_status_failed("word %d of the vocabulary is empty; use one that Reel has saved", id);
    int32_t given = model_string_table_add(&vocabulary->words, model_text_span(word));
    if (given < 0)
        return reel_status_no_memory(strlen(word), "the vocabulary");
    if (given != id)
        return reel_status_failed(
            "the words %d and %d of the vocabulary are both '%.100s'; use one that Reel has "
            "saved",
            given, id, word);
    return reel_status_ok();
}

ReelStatus model_vocabulary_restore(ModelVocabulary *vocabulary, const char *const *words, int32_t count)
{
    *vocabulary = (ModelVocabulary){0};
    ReelStatus status =
        count >= MODEL_NUM_SPECIAL_TOKENS
            ? reel_status_ok()
            : reel_status_failed("a vocabulary of %d words has no room for <pad> <unk> <bos> <eos>; "
                                 "use one that Reel has saved",
                                 count);
    for (int32_t id = 0; reel_status_is_ok(&status) && id < count; id++)
        status = restore_word(vocabulary, words[id], id);
    if (!reel_status_is_ok(&status))
        model_vocabulary_free(vocabulary);
    return status;
}

void model_vocabulary_free(ModelVocabulary *vocabulary)
{
    model_string_table_free(&vocabulary->words);
    *vocabulary = (ModelVocabulary){0};
}

const char *model_vocabulary_word(const ModelVocabulary *vocabulary, int32_t id)
{
    return model_string_table_text(&vocabulary->words, id);
}

int32_t model_vocabulary_id(const ModelVocabulary *vocabulary, ModelTextSpan word)
{
    return model_string_table_find(&vocabulary->words, word);
}

static bool encode_words(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    const ModelVocabulary *vocabulary = state;
    size_t end = list->count + limit;
    ModelTextSpan word;
    while (list->count < end && model_text_next_word(&text, &word)) {
        int32_t id = model_vocabulary_id(vocabulary, word);
        if (id >= MODEL_NUM_SPECIAL_TOKENS && !model_id_list_push(list, id))
            return false;
    }
    return true;
}

ModelTokenizer model_vocabulary_tokenizer(const ModelVocabulary *vocabulary)
{
    return (ModelTokenizer){
        .state = vocabulary, .vocab_size = model_vocabulary_size(vocabulary), .encode = encode_words};
}
