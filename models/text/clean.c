#include "models/text/clean.h"
#include "models/text/clean_internal.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"

#include <string.h>

/* scikit-learn's ENGLISH_STOP_WORDS: 318 words, after those of the Glasgow Information Retrieval Group. */
static const char *const ENGLISH_STOP_WORDS[] = {
    "a",         "about",      "above",      "across",       "after",      "afterwards", "again",
    "against",   "all",        "almost",     "alone",        "along",      "already",    "also",
    "although",  "always",     "am",         "among",        "amongst",    "amoungst",   "amount",
    "an",        "and",        "another",    "any",          "anyhow",     "anyone",     "anything",
    "anyway",    "anywhere",   "are",        "around",       "as",         "at",         "back",
    "be",        "became",     "because",    "become",       "becomes",    "becoming",   "been",
    "before",    "beforehand", "behind",     "being",        "below",      "beside",     "besides",
    "between",   "beyond",     "bill",       "both",         "bottom",     "but",        "by",
    "call",      "can",        "cannot",     "cant",         "co",         "con",        "could",
    "couldnt",   "cry",        "de",         "describe",     "detail",     "do",         "done",
    "down",      "due",        "during",     "each",         "eg",         "eight",      "either",
    "eleven",    "else",       "elsewhere",  "empty",        "enough",     "etc",        "even",
    "ever",      "every",      "everyone",   "everything",   "everywhere", "except",     "few",
    "fifteen",   "fifty",      "fill",       "find",         "fire",       "first",      "five",
    "for",       "former",     "formerly",   "forty",        "found",      "four",       "from",
    "front",     "full",       "further",    "get",          "give",       "go",         "had",
    "has",       "hasnt",      "have",       "he",           "hence",      "her",        "here",
    "hereafter", "hereby",     "herein",     "hereupon",     "hers",       "herself",    "him",
    "himself",   "his",        "how",        "however",      "hundred",    "i",          "ie",
    "if",        "in",         "inc",        "indeed",       "interest",   "into",       "is",
    "it",        "its",        "itself",     "keep",         "last",       "latter",     "latterly",
    "least",     "less",       "ltd",        "made",         "many",       "may",        "me",
    "meanwhile", "might",      "mill",       "mine",         "more",       "moreover",   "most",
    "mostly",    "move",       "much",       "must",         "my",         "myself",     "name",
    "namely",    "neither",    "never",      "nevertheless", "next",       "nine",       "no",
    "nobody",    "none",       "noone",      "nor",          "not",        "nothing",    "now",
    "nowhere",   "of",         "off",        "often",        "on",         "once",       "one",
    "only",      "onto",       "or",         "other",        "others",     "otherwise",  "our",
    "ours",      "ourselves",  "out",        "over",         "own",        "part",       "per",
    "perhaps",   "please",     "put",        "rather",       "re",         "same",       "see",
    "seem",      "seemed",     "seeming",    "seems",        "serious",    "several",    "she",
    "should",    "show",       "side",       "since",        "sincere",    "six",        "sixty",
    "so",        "some",       "somehow",    "someone",      "something",  "sometime",   "sometimes",
    "somewhere", "still",      "such",       "system",       "take",       "ten",        "than",
    "that",      "the",        "their",      "them",         "themselves", "then",       "thence",
    "there",     "thereafter", "thereby",    "therefore",    "therein",    "thereupon",  "these",
    "they",      "thick",      "thin",       "third",        "this",       "those",      "though",
    "three",     "through",    "throughout", "thru",         "thus",       "to",         "together",
    "too",       "top",        "toward",     "towards",      "twelve",     "twenty",     "two",
    "un",        "under",      "until",      "up",           "upon",       "us",         "very",
    "via",       "was",        "we",         "well",         "were",       "what",       "whatever",
    "when",      "whence",     "whenever",   "where",        "whereafter", "whereas",    "whereby",
    "wherein",   "whereupon",  "wherever",   "whether",      "which",      "while",      "whither",
    "who",       "whoever",    "whole",      "whom",         "whose",      "why",        "will",
    "with",      "within",     "without",    "would",        "yet",        "you",        "your",
    "yours",     "yourself",   "yourselves"};

/* These turn a sentence round, so they stay words. */
static bool is_negation(const char *word)
{
    return strcmp(word, "no") == 0 || strcmp(word, "not") == 0;
}

static uint32_t length_bit(ModelTextSpan word)
{
    return 1u << (word.length < 31 ? word.length : 31);
}

ReelStatus model_cleaner_add_stop_word(ModelCleaner *cleaner, ModelTextSpan word)
{
    if (word.length == 0)
        return reel_status_ok();
    cleaner->stop_lengths[(unsigned char)word.bytes[0]] |= length_bit(word);
    return model_string_table_add(&cleaner->stop_words, word) < 0
               ? reel_status_no_memory(word.length, "the stop words")
               : reel_status_ok();
}

/* Most words are told from stop words by their first letter and length, without a look into the table. */
static bool is_stop_word(const ModelCleaner *cleaner, ModelTextSpan word)
{
    return (cleaner->stop_lengths[(unsigned char)word.bytes[0]] & length_bit(word)) != 0 &&
           model_string_table_find(&cleaner->stop_words, word) >= 0;
}

static ReelStatus add_english(ModelCleaner *cleaner)
{
    ReelStatus status = reel_status_ok();
    for (size_t i = 0; i < sizeof ENGLISH_STOP_WORDS / sizeof *ENGLISH_STOP_WORDS; i++)
        if (reel_status_is_ok(&status) && !is_negation(ENGLISH_STOP_WORDS[i]))
            status = model_cleaner_add_stop_word(cleaner, model_text_span(ENGLISH_STOP_WORDS[i]));
    return status;
}

/* They are folded as texts are. */
static ReelStatus add_unicode_words(ModelCleaner *cleaner, ModelTextSpan text)
{
    ReelBytes words = {0};
    ModelTextSpan rest, word;
    ReelStatus status = model_cleaner_unicode_words(text, &words)
                            ? reel_status_ok()
                            : reel_status_no_memory(text.length, "the stop words");
    rest = (ModelTextSpan){words.data, words.size};
    while (reel_status_is_ok(&status) && model_text_next_word(&rest, &word))
        status = model_cleaner_add_stop_word(cleaner, word);
    reel_bytes_free(&words);
    return status;
}

/* A word with anything but letters in it ("don't") can do no harm: no cleaned text has it. */
static ReelStatus add_file(ModelCleaner *cleaner, const char *path)
{
    char *bytes;
    size_t size;
    ReelStatus status = reel_text_file_read(path, &bytes, &size);
    if (!reel_status_is_ok(&status))
        return status;
    status = size > 0 ? reel_text_file_check(path, bytes, size) : reel_text_file_empty(path);
    if (reel_status_is_ok(&status) && cleaner->unicode)
        status = add_unicode_words(cleaner, (ModelTextSpan){bytes, size});
    for (size_t i = 0; i < size && !cleaner->unicode; i++) {
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] += 'a' - 'A';
        else if (bytes[i] >= '\t' && bytes[i] <= '\r')
            bytes[i] = ' ';
    }
    size_t mark = reel_text_file_mark(bytes, size);
    ModelTextSpan text = {bytes + mark, size - mark}, word;
    while (reel_status_is_ok(&status) && !cleaner->unicode && model_text_next_word(&text, &word))
        status = model_cleaner_add_stop_word(cleaner, word);
    reel_mem_free(bytes);
    return status;
}

ReelStatus model_cleaner_init(ModelCleaner *cleaner, const ModelCleanOptions *options)
{
    *cleaner = (ModelCleaner){.keep_digits = options->keep_digits,
                              .unicode = options->letters == MODEL_CLEAN_UNICODE};
    if (cleaner->unicode && !model_cleaner_has_unicode())
        return reel_status_failed(
            "cleaning by Unicode's letters needs utf8proc, which this Reel is built without; "
            "install libutf8proc-dev and build it again, or use --clean ascii");
    memset(cleaner->map, ' ', sizeof cleaner->map);
    for (int c = 'a'; c <= 'z'; c++)
        cleaner->map[c] = cleaner->map[c - 'a' + 'A'] = (char)c;
    for (int c = '0'; options->keep_digits && c <= '9'; c++)
        cleaner->map[c] = (char)c;
    ReelStatus status = !options->stop_words                       ? add_english(cleaner)
                        : strcmp(options->stop_words, "none") == 0 ? reel_status_ok()
                                                                   : add_file(cleaner, options->stop_words);
    if (!reel_status_is_ok(&status))
        model_cleaner_free(cleaner);
    return status;
}

ReelStatus model_cleaner_copy(ModelCleaner *copy, const ModelCleaner *cleaner)
{
    ReelStatus status = reel_status_ok();
    *copy = *cleaner;
    copy->stop_words = (ModelStringTable){0};
    for (int32_t i = 0; reel_status_is_ok(&status) && i < cleaner->stop_words.count; i++)
        status = model_cleaner_add_stop_word(
            copy, model_text_span(model_string_table_text(&cleaner->stop_words, i)));
    return status;
}

void model_cleaner_free(ModelCleaner *cleaner)
{
    model_string_table_free(&cleaner->stop_words);
}

void model_cleaner_keep_all(ModelCleaner *cleaner)
{
    model_string_table_free(&cleaner->stop_words);
    memset(cleaner->stop_lengths, 0, sizeof cleaner->stop_lengths);
}

void model_cleaner_count_stop_words(const ModelCleaner *cleaner, ModelTextSpan clean, int64_t *words,
                                    int64_t *stop_words)
{
    for (ModelTextSpan word; model_text_next_word(&clean, &word); ++*words)
        *stop_words += is_stop_word(cleaner, word);
}

/* Takes the stop words out of what was appended behind `begin`, and the space in front of its first word. */
static void drop_stop_words(const ModelCleaner *cleaner, ReelBytes *out, size_t begin)
{
    ModelTextSpan rest = {out->data + begin, out->size - begin}, word;
    size_t to = begin;
    while (model_text_next_word(&rest, &word)) {
        if (is_stop_word(cleaner, word))
            continue;
        if (to > begin)
            out->data[to++] = ' ';
        memmove(out->data + to, word.bytes, word.length);
        to += word.length;
    }
    out->size = to;
}

bool model_cleaner_append(const ModelCleaner *cleaner, ModelTextSpan text, ReelBytes *out)
{
    size_t begin = out->size;
    /* Also of an empty text there is a place where it stands. */
    if (!reel_bytes_reserve(out, text.length + 1))
        return false;
    if (cleaner->unicode) {
        if (!model_cleaner_unicode_words(text, out))
            return false;
        if (out->size > begin)
            drop_stop_words(cleaner, out, begin);
        return true;
    }
    out->size += model_cleaner_run(cleaner, text, out->data + begin);
    return true;
}

size_t model_cleaner_run(const ModelCleaner *cleaner, ModelTextSpan text, char *out)
{
    const unsigned char *in = (const unsigned char *)text.bytes, *end = in + text.length;
    char *to = out;
    while (in < end) {
        /* `to` never passes `in`: a word is written with the space in front of it, which is one byte that
         * was read, except for the first. */
        char *word = to > out ? to + 1 : to, *at = word;
        while (in < end && cleaner->map[*in] != ' ')
            *at++ = cleaner->map[*in++];
        while (in < end && cleaner->map[*in] == ' ')
            in++;
        ModelTextSpan found = {word, (size_t)(at - word)};
        if (found.length == 0 || is_stop_word(cleaner, found))
            continue;
        if (word > out)
            *to = ' ';
        to = at;
    }
    return (size_t)(to - out);
}
