#include "models/text/clean_texts.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What "nearly all" and "not English" mean. */
static const double FOREIGN_LETTERS = 0.005, STOP_WORDS = 0.01;
enum { LEAST_WORDS = 1000 }; /* of which the share of stop words says something */
/* The rows whose stop words are counted: the first ones, and of the others one in so many. */
enum { FIRST_ROWS = 2000, ONE_IN = 16 };

/* What was seen of the texts. */
typedef struct Seen {
    int64_t ascii, others, words, stop_words;
} Seen;

/* What is decided by it. */
typedef struct Decision {
    ModelClean letters;
    bool keeps_all; /* no stop words are taken out */
} Decision;

/* Texts that are being cleaned. */
typedef struct Cleaning {
    ModelCleanTexts *clean;
    const ModelDatasetOptions *options;
    Decision how;
    ModelCleaner every; /* as clean->cleaner, without stop words */
    ModelCleaner stop;  /* knows them */
    bool made;          /* the cleaners are */
    Seen seen;
    int64_t before; /* rows of the files before the one at hand */
    const ReelTextSource *source;
} Cleaning;

/* ---- Looking ---- */

typedef struct Look {
    const Cleaning *cleaning;
    const ModelTextSpan *texts;
    int64_t first, count;
    bool letters; /* or else the language */
    bool fine;
    Seen seen;
} Look;

static void look(void *context, int number)
{
    Look *task = &((Look *)context)[number];
    Seen *seen = &task->seen;
    ReelBytes scratch = {0};
    for (int64_t i = 0; task->letters && i < task->count; i++)
        model_cleaner_count_letters(task->texts[i], &seen->ascii, &seen->others);
    for (int64_t i = 0; !task->letters && task->fine && i < task->count; i++) {
        if (task->first + i >= FIRST_ROWS && (task->first + i) % ONE_IN != 0)
            continue;
        scratch.size = 0;
        task->fine = model_cleaner_append(&task->cleaning->every, task->texts[i], &scratch);
        if (task->fine)
            model_cleaner_count_stop_words(&task->cleaning->stop, (ModelTextSpan){scratch.data, scratch.size},
                                           &seen->words, &seen->stop_words);
    }
    reel_bytes_free(&scratch);
}

/* Adds to what was seen: of the letters or of the language. */
static ReelStatus look_at(Cleaning *c, const ModelTextSpan *texts, int64_t first, int64_t count, bool letters)
{
    const ModelDatasetOptions *o = c->options;
    bool asked =
        letters ? o->begin || o->clean.letters == MODEL_CLEAN_AUTO : !o->begin && !o->clean.stop_words;
    size_t bytes = 0;
    if (!asked)
        return reel_status_ok();
    for (int64_t i = 0; i < count; i++)
        bytes += texts[i].length;
    TensorPool *pool = model_word_texts_pool(&c->clean->texts, bytes);
    int num_tasks = pool ? 4 * c->clean->texts.threads : 1;
    Look *tasks = reel_mem_calloc((size_t)num_tasks, sizeof *tasks);
    if (!tasks)
        return reel_status_no_memory((size_t)num_tasks * sizeof *tasks, "the texts");
    for (int i = 0; i < num_tasks; i++) {
        int64_t from = count * i / num_tasks, to = count * (i + 1) / num_tasks;
        tasks[i] = (Look){.cleaning = c,
                          .texts = texts + from,
                          .first = first + from,
                          .count = to - from,
                          .letters = letters,
                          .fine = true};
    }
    tensor_pool_run(pool, look, tasks, num_tasks);
    bool fine = true;
    for (int i = 0; i < num_tasks; i++) {
        const Seen *seen = &tasks[i].seen;
        c->seen.ascii += seen->ascii;
        c->seen.others += seen->others;
        c->seen.words += seen->words;
        c->seen.stop_words += seen->stop_words;
        fine = fine && tasks[i].fine;
    }
    reel_mem_free(tasks);
    return fine ? reel_status_ok() : reel_status_no_memory(bytes, "the cleaned texts");
}

/* ---- Deciding ---- */

static bool is_foreign(const Seen *seen)
{
    return (double)seen->others > FOREIGN_LETTERS * (double)(seen->ascii + seen->others);
}

/* Which letters words are of, where that is to be seen from the texts. */
static ModelClean choose_letters(const Cleaning *c)
{
    ModelClean letters = c->options->clean.letters;
    if (c->options->begin)
        return c->options->begin->cleaner.unicode ? MODEL_CLEAN_UNICODE : MODEL_CLEAN_ASCII;
    if (letters != MODEL_CLEAN_AUTO)
        return letters;
    return is_foreign(&c->seen) && model_cleaner_has_unicode() ? MODEL_CLEAN_UNICODE : MODEL_CLEAN_ASCII;
}

/* English stop words say nothing of texts in another language, where some of them are words that count. */
static bool is_not_english(const Cleaning *c)
{
    return c->seen.words >= LEAST_WORDS && (double)c->seen.stop_words < STOP_WORDS * (double)c->seen.words;
}

static void free_cleaners(Cleaning *c)
{
    model_cleaner_free(&c->clean->cleaner);
    model_cleaner_free(&c->every);
    model_cleaner_free(&c->stop);
    c->clean->cleaner = c->every = c->stop = (ModelCleaner){0};
    c->made = false;
}

static ReelStatus make_cleaners(Cleaning *c)
{
    ModelCleanOptions how = c->options->clean;
    how.letters = c->how.letters;
    c->made = true;
    if (c->options->begin)
        return model_cleaner_copy(&c->clean->cleaner, &c->options->begin->cleaner);
    ReelStatus status = model_cleaner_init(&c->clean->cleaner, &how);
    if (reel_status_is_ok(&status))
        status = model_cleaner_init(&c->stop, &how);
    how.stop_words = "none";
    if (reel_status_is_ok(&status))
        status = model_cleaner_init(&c->every, &how);
    if (reel_status_is_ok(&status) && c->how.keeps_all)
        model_cleaner_keep_all(&c->clean->cleaner);
    return status;
}

/* As the texts at hand ask for, which are all or the first ones. */
static ReelStatus decide(Cleaning *c, const ModelTextSpan *texts, int64_t count)
{
    ReelStatus status = look_at(c, texts, 0, count, true);
    c->how = (Decision){.letters = choose_letters(c)};
    if (reel_status_is_ok(&status))
        status = make_cleaners(c);
    if (reel_status_is_ok(&status))
        status = look_at(c, texts, 0, count, false);
    c->how.keeps_all = is_not_english(c);
    if (c->how.keeps_all)
        model_cleaner_keep_all(&c->clean->cleaner);
    return status;
}

/* What was decided, in words. */
static void describe(const Cleaning *c)
{
    ModelCleanTexts *clean = c->clean;
    bool unicode = c->how.letters == MODEL_CLEAN_UNICODE;
    int used =
        snprintf(clean->form, sizeof clean->form, "; words of %s letters", unicode ? "Unicode's" : "ASCII");
    if (is_foreign(&c->seen))
        snprintf(clean->form + used, sizeof clean->form - (size_t)used, " (%.0f %% are not ASCII%s)",
                 100 * (double)c->seen.others / (double)(c->seen.ascii + c->seen.others),
                 unicode             ? ""
                 : c->options->begin ? ", which the model does not read"
                                     : ", and this Reel is built without utf8proc");
    if (c->how.keeps_all)
        snprintf(
            clean->note, sizeof clean->note,
            "no stop words are taken out: the texts are not English, whose stop words are %.1f %% of their "
            "words (--stop-words FILE)",
            100 * (double)c->seen.stop_words / (double)c->seen.words);
}

static void end_cleaning(Cleaning *c)
{
    model_cleaner_free(&c->every);
    model_cleaner_free(&c->stop);
}

/* ---- In memory ---- */

ReelStatus model_clean_texts_make(ModelCleanTexts *clean, const ModelTextSpan *texts, int64_t count,
                                  const ModelDatasetOptions *options)
{
    *clean = (ModelCleanTexts){0};
    model_word_texts_init(&clean->texts, options->threads, -1, NULL);
    Cleaning c = {.clean = clean, .options = options};
    ReelStatus status = decide(&c, texts, count);
    if (reel_status_is_ok(&status))
        status = model_word_texts_add(&clean->texts, &clean->cleaner, texts, count);
    describe(&c);
    end_cleaning(&c);
    if (!reel_status_is_ok(&status))
        model_clean_texts_free(clean);
    return status;
}

/* ---- As they are read ---- */

static void tell(const Cleaning *c)
{
    struct stat info;
    enum { MEGABYTE = 20 };
    off_t at = lseek(c->source->fd, 0, SEEK_CUR);
    if (!c->options->progress)
        return;
    bool known = at >= 0 && fstat(c->source->fd, &info) == 0 && S_ISREG(info.st_mode);
    c->options->progress(c->options->progress_context, known ? "megabytes read:" : "reading",
                         known ? at >> MEGABYTE : 0, known ? info.st_size >> MEGABYTE : 0);
}

static ReelStatus take(void *context, const ModelTextSpan *texts, int64_t first, int64_t count)
{
    Cleaning *c = context;
    ReelStatus status = reel_status_ok();
    bool begins = !c->made;
    tell(c);
    first += c->before;
    if (begins && first == 0 && c->how.letters == MODEL_CLEAN_AUTO) {
        status = decide(c, texts, count);
    } else {
        if (begins)
            status = make_cleaners(c);
        if (reel_status_is_ok(&status))
            status = look_at(c, texts, first, count, true);
        if (reel_status_is_ok(&status))
            status = look_at(c, texts, first, count, false);
    }
    return reel_status_is_ok(&status)
               ? model_word_texts_add(&c->clean->texts, &c->clean->cleaner, texts, count)
               : status;
}

/* A file of texts, and where it cannot be read twice what was put into a file of its own; -1: it can. */
typedef struct Input {
    const char *path;
    int copy;
} Input;

/* Where what is not in memory is put for a while. */
static const char *temporary_folder(const ModelDatasetOptions *options)
{
    const char *folder = getenv("TMPDIR");
    return options->cache ? options->cache : folder && folder[0] ? folder : "/tmp";
}

/* A file without a name. */
static ReelStatus open_nameless(const char *folder, int *fd)
{
    char path[1024];
    snprintf(path, sizeof path, "%.1000s/reel-XXXXXX", folder);
    *fd = mkstemp(path);
    if (*fd < 0)
        return reel_status_failed(
            "%.400s: cannot write a file there: %s; name another folder with --cache or TMPDIR", folder,
            strerror(errno));
    unlink(path);
    return reel_status_ok();
}

static ReelStatus copy_to(int from, int to, const char *name, const char *folder)
{
    enum { PIECE = 1 << 16 };
    char *piece = reel_mem_alloc(PIECE);
    ReelStatus status = piece ? reel_status_ok() : reel_status_no_memory(PIECE, name);
    for (ssize_t got = 1; reel_status_is_ok(&status) && got != 0;) {
        got = read(from, piece, PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status =
                reel_status_failed("%s: cannot read the file: %s; check the disk", name, strerror(errno));
        for (ssize_t put, at = 0; reel_status_is_ok(&status) && at<got; at += put> 0 ? put : 0) {
            put = write(to, piece + at, (size_t)(got - at));
            if (put < 0 && errno != EINTR)
                status = reel_status_failed("%s: cannot be put into a file in %.200s, to be read twice: %s; "
                                            "make room there, or name another "
                                            "folder with --cache or TMPDIR",
                                            name, folder, strerror(errno));
        }
    }
    reel_mem_free(piece);
    return status;
}

/* Where something is to be decided that all texts have a say in, they may be read twice. */
static ReelStatus open_input(Input *input, const char *path, const ModelDatasetOptions *options)
{
    ReelTextSource source;
    struct stat info;
    *input = (Input){.path = path, .copy = -1};
    ReelStatus status = reel_text_source_open(&source, path);
    if (reel_status_is_ok(&status) && source.fd != STDIN_FILENO)
        status = reel_text_file_check_kind(path, source.fd);
    bool decides =
        !options->begin && (options->clean.letters == MODEL_CLEAN_AUTO || !options->clean.stop_words);
    bool pipe = reel_status_is_ok(&status) &&
                (source.fd == STDIN_FILENO || fstat(source.fd, &info) != 0 || !S_ISREG(info.st_mode));
    if (pipe && decides) {
        status = open_nameless(temporary_folder(options), &input->copy);
        if (reel_status_is_ok(&status))
            status = copy_to(source.fd, input->copy, source.name, temporary_folder(options));
    }
    reel_text_source_close(&source);
    return status;
}

static void close_input(Input *input)
{
    if (input->copy >= 0)
        close(input->copy);
    input->copy = -1;
}

/* Reads one file. */
static ReelStatus read_input(Cleaning *c, const Input *input, const ModelCorpusOptions *options,
                             ModelCorpus *corpus)
{
    ReelTextSource source;
    *corpus = (ModelCorpus){0};
    ReelStatus status = reel_status_ok();
    if (input->copy >= 0)
        source = reel_text_source_at(strcmp(input->path, "-") == 0 ? "the standard input" : input->path,
                                     input->copy);
    else
        status = reel_text_source_open(&source, input->path);
    c->source = &source;
    if (reel_status_is_ok(&status))
        status = model_corpus_stream(corpus, &source, options, take, c);
    reel_text_source_close(&source);
    c->before += corpus->rows;
    return status;
}

enum { MAIN, VALID, TEST, INPUTS };

/* Reads all files. */
static ReelStatus read_inputs(Cleaning *c, const Input inputs[INPUTS], ModelCorpus *corpus)
{
    static const ModelPart parts[INPUTS] = {MODEL_PART_ANY, MODEL_PART_VALID, MODEL_PART_TEST};
    ModelCorpusOptions options = c->options->corpus;
    c->before = 0;
    ReelStatus status = read_input(c, &inputs[MAIN], &options, corpus);
    options.columns.split = options.columns.group = NULL;
    for (int i = VALID; i < INPUTS && reel_status_is_ok(&status); i++) {
        ModelCorpus other;
        if (!inputs[i].path)
            continue;
        status = read_input(c, &inputs[i], &options, &other);
        if (reel_status_is_ok(&status))
            status = model_corpus_append(corpus, &other, parts[i]);
        model_corpus_free(&other);
    }
    return status;
}

/* Reads until the texts are cleaned as all of them ask for. */
static ReelStatus read_as_asked(Cleaning *c, const Input inputs[INPUTS], ModelCorpus *corpus)
{
    for (;;) {
        ReelStatus status = read_inputs(c, inputs, corpus);
        if (!reel_status_is_ok(&status))
            return status;
        Decision asked = {choose_letters(c), is_not_english(c)};
        if (asked.letters == c->how.letters && asked.keeps_all == c->how.keeps_all)
            return status;
        free_cleaners(c);
        c->how = asked;
        c->seen = (Seen){0};
        model_corpus_free(corpus);
        status = model_word_texts_clear(&c->clean->texts);
        if (!reel_status_is_ok(&status))
            return status;
    }
}

ReelStatus model_clean_texts_read(ModelCorpus *corpus, const char *path, const ModelDatasetOptions *options)
{
    *corpus = (ModelCorpus){0};
    const char *paths[INPUTS] = {path, options->valid_file, options->test_file};
    Input inputs[INPUTS] = {{.copy = -1}, {.copy = -1}, {.copy = -1}};
    ModelCleanTexts *clean = reel_mem_calloc(1, sizeof *clean);
    if (!clean)
        return reel_status_no_memory(sizeof *clean, "the texts");
    int fd = -1;
    ReelStatus status = options->cache ? open_nameless(options->cache, &fd) : reel_status_ok();
    model_word_texts_init(&clean->texts, options->threads, fd, options->cache);
    Cleaning c = {.clean = clean, .options = options, .how = {.letters = MODEL_CLEAN_AUTO}};
    for (int i = 0; i < INPUTS && reel_status_is_ok(&status); i++)
        if (paths[i])
            status = open_input(&inputs[i], paths[i], options);
    if (reel_status_is_ok(&status))
        status = read_as_asked(&c, inputs, corpus);
    for (int i = 0; i < INPUTS; i++)
        close_input(&inputs[i]);
    describe(&c);
    end_cleaning(&c);
    if (reel_status_is_ok(&status)) {
        corpus->cleaned = clean;
        return status;
    }
    model_corpus_free(corpus);
    model_clean_texts_free(clean);
    reel_mem_free(clean);
    return status;
}
