/* Predicts the labels of texts with a saved model. */
#include "models/json/json_writer.h"
#include "models/training/metrics.h"
#include "models/training/predictor.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What is in memory at a time: so many texts, of so many bytes in all, unless one text has more. */
enum { WINDOW_TEXTS = 8192, WINDOW_BYTES = 4 << 20, LONGEST_LINE = 64 << 20 };

/* The command line. */
typedef struct Settings {
    int top, threads;
    double threshold; /* NAN: the model's */
    const char *eval;
    bool json, attention, quiet, help;
} Settings;

#define SETTINGS_OPTIONS(s)                                                                                   \
    {                                                                                                         \
        {"top", "K", OPTION_INTEGER, &(s)->top, 1, 1e9, "the K most probable labels, whatever they reach"},   \
            {"threshold", "X", OPTION_NUMBER, &(s)->threshold, 0, 1, "labels above X (the model's, or 0.5)"}, \
            {"json", NULL, OPTION_FLAG, &(s)->json, 0, 0, "an object of JSON for each text"},                 \
            {"attention", NULL, OPTION_FLAG, &(s)->attention, 0, 0, "show the weight of each word"},          \
            {"eval",                                                                                          \
             "FILE",                                                                                          \
             OPTION_TEXT,                                                                                     \
             &(s)->eval,                                                                                      \
             0,                                                                                               \
             0,                                                                                               \
             "print the quality on a TSV with the columns text and labels"},                                  \
            {"threads", "N", OPTION_INTEGER, &(s)->threads, 1, 1024, "threads (all processors)"},             \
            {"quiet", NULL, OPTION_FLAG, &(s)->quiet, 0, 0, "no speed on the standard error"},                \
            {"help", NULL, OPTION_FLAG, &(s)->help, 0, 0, "this text"},                                       \
    }

/* All that the parts below need. */
typedef struct Run {
    const Settings *settings;
    const Checkpoint *checkpoint;
    Predictor *predictor;
    int32_t labels;     /* K */
    float *limits;      /* [K]: logits above are predicted */
    float *logits;      /* [WINDOW_TEXTS, K] */
    int32_t *ranking;   /* [K] */
    int64_t texts;      /* done */
    bool colour, shows; /* colours on the terminal; progress there */
    double began, shown;
} Run;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double probability(float logit)
{
    return 1 / (1 + exp(-(double)logit));
}

static void show_speed(Run *run, bool last)
{
    double time = now();
    if (run->settings->quiet || (!last && (!run->shows || time - run->shown < 0.2)))
        return;
    run->shown = time;
    double seconds = time - run->began;
    fprintf(stderr, "%s%lld texts, %.1f s, %.0f texts/s%s", run->shows ? "\r" : "", (long long)run->texts,
            seconds, (double)run->texts / (seconds > 0 ? seconds : 1), last ? "\n" : "");
}

/* ---- One text's line ---- */

/* A stable order is wanted, so equal logits go by number. qsort() knows no context. */
static const float *ranked;

static int more_probable(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (ranked[i] != ranked[j])
        return ranked[i] > ranked[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* The labels to be shown, the most probable first, in run->ranking. */
static int32_t choose(Run *run, const float *logits)
{
    const Settings *s = run->settings;
    bool limited = !s->top || !isnan(s->threshold);
    int32_t count = 0;
    for (int32_t k = 0; k < run->labels; k++)
        if (!limited || logits[k] > run->limits[k])
            run->ranking[count++] = k;
    ranked = logits;
    qsort(run->ranking, (size_t)count, sizeof *run->ranking, more_probable);
    return s->top && count > s->top ? s->top : count;
}

/* A shade of red, the darker the more weight, with the words in black. */
static void print_coloured(const Run *run, PredictorText text)
{
    static const int shades[] = {231, 224, 217, 210, 203, 196};
    float most = 0;
    for (int32_t i = 0; i < text.count; i++)
        most = text.weights[i] > most ? text.weights[i] : most;
    for (int32_t i = 0; i < text.count; i++) {
        int shade = most > 0 ? (int)(text.weights[i] / most * 5.0f + 0.5f) : 0;
        printf("%s\033[48;5;%dm\033[38;5;16m%s\033[0m", i ? " " : "", shades[shade],
               predictor_word(run->predictor, text.ids[i]));
    }
    putchar('\t');
}

static void print_attention(const Run *run, PredictorText text)
{
    if (!text.weights)
        return;
    if (run->colour) {
        print_coloured(run, text);
        return;
    }
    for (int32_t i = 0; i < text.count; i++)
        printf("%s%s:%.4f", i ? " " : "", predictor_word(run->predictor, text.ids[i]),
               (double)text.weights[i]);
    putchar('\t');
}

static void print_tsv(Run *run, int64_t i, const float *logits)
{
    int32_t count = choose(run, logits);
    if (run->settings->attention)
        print_attention(run, predictor_text(run->predictor, i));
    for (int32_t k = 0; k < count; k++)
        printf("%s%s\t%.6f", k ? "\t" : "", string_table_text(&run->checkpoint->labels, run->ranking[k]),
               probability(logits[run->ranking[k]]));
    putchar('\n');
}

static Status print_json(Run *run, int64_t i, const float *logits)
{
    JsonWriter json = {.compact = true};
    int32_t count = choose(run, logits);
    json_begin_object(&json, NULL);
    json_integer(&json, "line", run->texts + i + 1);
    json_begin_array(&json, "labels");
    for (int32_t k = 0; k < count; k++) {
        json_begin_object(&json, NULL);
        json_string(&json, "label", string_table_text(&run->checkpoint->labels, run->ranking[k]));
        json_number(&json, "probability", probability(logits[run->ranking[k]]));
        json_end_object(&json);
    }
    json_end_array(&json);
    PredictorText text = predictor_text(run->predictor, i);
    if (run->settings->attention && text.weights) {
        json_begin_array(&json, "attention");
        for (int32_t w = 0; w < text.count; w++) {
            json_begin_object(&json, NULL);
            json_string(&json, "word", predictor_word(run->predictor, text.ids[w]));
            json_number(&json, "weight", (double)text.weights[w]);
            json_end_object(&json);
        }
        json_end_array(&json);
    }
    json_end_object(&json);
    const char *line = json_finish(&json);
    if (line)
        fputs(line, stdout);
    json_free(&json);
    return line ? status_ok() : status_no_memory(0, "the output");
}

static Status check_output(void)
{
    return fflush(stdout) == 0 && !ferror(stdout)
               ? status_ok()
               : status_failed("cannot write the output: %s; check where it goes", strerror(errno));
}

static Status predict_texts(Run *run, const TextSpan *texts, int64_t count)
{
    if (count == 0)
        return status_ok();
    Status status = predictor_run(run->predictor, texts, count, run->settings->attention, run->logits);
    for (int64_t i = 0; status_is_ok(&status) && i < count; i++) {
        const float *logits = run->logits + i * run->labels;
        if (run->settings->json)
            status = print_json(run, i, logits);
        else
            print_tsv(run, i, logits);
    }
    if (status_is_ok(&status))
        status = check_output();
    run->texts += count;
    show_speed(run, false);
    return status;
}

/* ---- A stream of lines ---- */

typedef struct Stream {
    int fd;
    const char *name;
    char *bytes;
    size_t size, capacity; /* of `bytes` */
    TextSpan *lines;       /* [WINDOW_TEXTS], into `bytes` */
    int64_t count;
    bool ended;
} Stream;

static Status stream_open(Stream *stream, const char *path)
{
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    *stream = (Stream){.fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC),
                       .name = standard ? "the standard input" : path,
                       .capacity = WINDOW_BYTES};
    if (stream->fd < 0)
        return status_failed("%s: cannot read the file: %s; check the path", path, strerror(errno));
    if (fstat(stream->fd, &info) == 0 && S_ISDIR(info.st_mode))
        return status_failed("%s: is a directory; name a file in it", path);
    stream->bytes = mem_alloc(stream->capacity);
    stream->lines = mem_alloc(WINDOW_TEXTS * sizeof *stream->lines);
    return stream->bytes && stream->lines ? status_ok() : status_no_memory(stream->capacity, path);
}

static void stream_close(Stream *stream)
{
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    mem_free(stream->bytes);
    mem_free(stream->lines);
}

/* Whether more can be read without waiting. */
static bool is_ready(const Stream *stream)
{
    struct pollfd poll_fd = {.fd = stream->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Reads once, behind what is there. */
static Status read_some(Stream *stream, int64_t lines_before)
{
    if (stream->size == stream->capacity) {
        size_t capacity = 2 * stream->capacity;
        if (stream->size >= LONGEST_LINE)
            return status_failed("%s:%lld: the line is longer than %d MB; a text is one line", stream->name,
                                 (long long)lines_before + 1, LONGEST_LINE >> 20);
        char *larger = mem_realloc(stream->bytes, capacity);
        if (!larger)
            return status_no_memory(capacity, stream->name);
        stream->bytes = larger;
        stream->capacity = capacity;
    }
    ssize_t got;
    do
        got = read(stream->fd, stream->bytes + stream->size, stream->capacity - stream->size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return status_failed("%s: cannot read: %s; check the disk, or copy the file elsewhere", stream->name,
                             strerror(errno));
    stream->ended = got == 0;
    stream->size += (size_t)got;
    return status_ok();
}

/* Cuts the whole lines off the front, at most WINDOW_TEXTS. Returns how many bytes they have. */
static size_t cut_lines(Stream *stream)
{
    char *at = stream->bytes, *end = stream->bytes + stream->size;
    stream->count = 0;
    while (at < end && stream->count < WINDOW_TEXTS) {
        char *feed = memchr(at, '\n', (size_t)(end - at));
        if (!feed && !stream->ended)
            break;
        char *stop = feed ? feed : end;
        size_t length = (size_t)(stop - at);
        length -= length > 0 && at[length - 1] == '\r';
        stream->lines[stream->count++] = (TextSpan){at, length};
        at = feed ? feed + 1 : end;
    }
    return (size_t)(at - stream->bytes);
}

/* A window is full, or the input pauses: then what there is is answered, so that one can type. */
static bool window_is_due(const Stream *stream)
{
    return stream->ended || stream->size == stream->capacity || !is_ready(stream);
}

static Status predict_stream(Run *run, Stream *stream)
{
    Status status = status_ok();
    while (status_is_ok(&status) && !(stream->ended && stream->size == 0)) {
        if (!stream->ended && stream->size < stream->capacity) {
            status = read_some(stream, run->texts);
            if (!status_is_ok(&status) || !window_is_due(stream))
                continue;
        }
        size_t used = cut_lines(stream);
        if (used == 0 && !stream->ended && stream->size == stream->capacity) {
            status = read_some(stream, run->texts); /* one long line: makes room */
            continue;
        }
        status = predict_texts(run, stream->lines, stream->count);
        memmove(stream->bytes, stream->bytes + used, stream->size - used);
        stream->size -= used;
    }
    return status;
}

static Status predict_file(Run *run, const char *path)
{
    Stream stream;
    Status status = stream_open(&stream, path);
    if (status_is_ok(&status))
        status = predict_stream(run, &stream);
    stream_close(&stream);
    return status;
}

/* ---- Quality ---- */

/* The model's number of each of the corpus' labels, -1 where it knows none of that name. */
static Status match_labels(const Run *run, const Corpus *corpus, int32_t **numbers)
{
    int32_t unknown = 0, example = 0;
    size_t bytes = (size_t)corpus->classes.count * sizeof **numbers;
    *numbers = mem_alloc(bytes);
    if (!*numbers)
        return status_no_memory(bytes, "the labels");
    for (int32_t i = 0; i < corpus->classes.count; i++) {
        (*numbers)[i] =
            string_table_find(&run->checkpoint->labels, text_span(string_table_text(&corpus->classes, i)));
        if ((*numbers)[i] < 0 && unknown++ == 0)
            example = i;
    }
    if (unknown == corpus->classes.count)
        return status_failed(
            "%s: the model knows none of its labels, such as '%.80s'; evaluate on data with the "
            "model's labels",
            run->settings->eval, string_table_text(&corpus->classes, example));
    if (unknown)
        fprintf(stderr,
                "predict: %s: the model does not know %d of %d labels, such as '%s'; they do not count\n",
                run->settings->eval, unknown, corpus->classes.count,
                string_table_text(&corpus->classes, example));
    return status_ok();
}

static Status evaluate_window(Run *run, const Corpus *corpus, const int32_t *numbers, int64_t first,
                              int64_t count, float *truth, Metrics *metrics)
{
    size_t k = (size_t)run->labels;
    Status status = predictor_run(run->predictor, corpus->texts + first, count, false, run->logits);
    if (!status_is_ok(&status))
        return status;
    memset(truth, 0, (size_t)count * k * sizeof *truth);
    for (int64_t i = 0; i < count; i++) {
        for (size_t j = 0; j < k; j++)
            run->logits[(size_t)i * k + j] -= run->limits[j];
        for (int64_t at = corpus->label_offsets[first + i]; at < corpus->label_offsets[first + i + 1]; at++)
            if (numbers[corpus->labels[at]] >= 0)
                truth[(size_t)i * k + (size_t)numbers[corpus->labels[at]]] = 1.0f;
    }
    metrics_add(metrics, tensor_from(run->logits, DTYPE_F32, SHAPE(count, run->labels)),
                tensor_from(truth, DTYPE_F32, SHAPE(count, run->labels)), 0.0);
    run->texts += count;
    show_speed(run, false);
    return status;
}

static void write_scores(JsonWriter *json, const char *key, const char *label, Scores scores)
{
    json_begin_object(json, key);
    if (label)
        json_string(json, "label", label);
    json_number(json, "precision", scores.precision);
    json_number(json, "recall", scores.recall);
    json_number(json, "f1", scores.f1);
    json_integer(json, "support", scores.support);
    json_end_object(json);
}

static Status print_quality_json(const Run *run, const Metrics *metrics)
{
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    json_integer(&json, "texts", metrics->examples);
    json_begin_array(&json, "labels");
    for (int32_t k = 0; k < run->labels; k++)
        write_scores(&json, NULL, string_table_text(&run->checkpoint->labels, k), metrics_label(metrics, k));
    json_end_array(&json);
    write_scores(&json, "micro", NULL, metrics_micro(metrics));
    write_scores(&json, "macro", NULL, metrics_macro(metrics));
    json_end_object(&json);
    const char *text = json_finish(&json);
    if (text)
        fputs(text, stdout);
    json_free(&json);
    return text ? status_ok() : status_no_memory(0, "the output");
}

static void print_scores(int width, const char *name, Scores scores)
{
    printf("%-*s %9.4f %9.4f %9.4f %9lld\n", width, name, scores.precision, scores.recall, scores.f1,
           (long long)scores.support);
}

static void print_quality(const Run *run, const Metrics *metrics)
{
    int width = 8;
    for (int32_t k = 0; k < run->labels; k++) {
        int length = (int)strlen(string_table_text(&run->checkpoint->labels, k));
        width = length > width ? length : width;
    }
    printf("%-*s %9s %9s %9s %9s\n", width, "label", "precision", "recall", "F1", "support");
    for (int32_t k = 0; k < run->labels; k++)
        print_scores(width, string_table_text(&run->checkpoint->labels, k), metrics_label(metrics, k));
    print_scores(width, "micro", metrics_micro(metrics));
    print_scores(width, "macro", metrics_macro(metrics));
}

static Status evaluate_corpus(Run *run, const Corpus *corpus, const int32_t *numbers, Metrics *metrics)
{
    size_t bytes = (size_t)WINDOW_TEXTS * (size_t)run->labels * sizeof(float);
    float *truth = mem_alloc(bytes);
    Status status = truth ? status_ok() : status_no_memory(bytes, "the labels");
    for (int64_t at = 0; status_is_ok(&status) && at < corpus->rows; at += WINDOW_TEXTS) {
        int64_t left = corpus->rows - at;
        status = evaluate_window(run, corpus, numbers, at, left < WINDOW_TEXTS ? left : WINDOW_TEXTS, truth,
                                 metrics);
    }
    mem_free(truth);
    if (!status_is_ok(&status))
        return status;
    if (run->settings->json)
        status = print_quality_json(run, metrics);
    else
        print_quality(run, metrics);
    return status_is_ok(&status) ? check_output() : status;
}

static Status evaluate(Run *run)
{
    Corpus corpus;
    Status status = corpus_read(&corpus, run->settings->eval);
    if (!status_is_ok(&status))
        return status;
    int32_t *numbers = NULL;
    Metrics metrics = {0};
    status = match_labels(run, &corpus, &numbers);
    if (status_is_ok(&status))
        status = metrics_init(&metrics, run->labels);
    if (status_is_ok(&status))
        status = evaluate_corpus(run, &corpus, numbers, &metrics);
    metrics_free(&metrics);
    mem_free(numbers);
    corpus_free(&corpus);
    return status;
}

/* ---- All together ---- */

/* The logit above which a label is predicted. */
static float limit_of(const Run *run, int32_t k)
{
    const float *own = run->checkpoint->text.thresholds;
    double threshold = !isnan(run->settings->threshold) ? run->settings->threshold
                       : own                            ? (double)own[k]
                                                        : 0.5;
    return (float)log(threshold / (1 - threshold));
}

static Status prepare(Run *run)
{
    const Checkpoint *checkpoint = run->checkpoint;
    if (run->settings->attention && !checkpoint->model->kind->has_attention)
        return status_usage("--attention: the model %s has none", checkpoint->model->kind->name);
    size_t k = (size_t)(run->labels = checkpoint->labels.count);
    run->limits = mem_alloc(k * sizeof *run->limits);
    run->ranking = mem_alloc(k * sizeof *run->ranking);
    run->logits = mem_alloc(WINDOW_TEXTS * k * sizeof *run->logits);
    if (!run->limits || !run->ranking || !run->logits)
        return status_no_memory(WINDOW_TEXTS * k * sizeof *run->logits, "the predictions");
    for (int32_t i = 0; i < run->labels; i++)
        run->limits[i] = limit_of(run, i);
    run->colour = !run->settings->json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    run->shows = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    run->began = now();
    return predictor_new(&run->predictor, checkpoint, run->settings->threads);
}

static Status predict(const Settings *settings, const char *model, const char *input)
{
    Checkpoint *checkpoint;
    Status status = checkpoint_load(&checkpoint, model);
    if (!status_is_ok(&status))
        return status;
    Run run = {.settings = settings, .checkpoint = checkpoint};
    status = prepare(&run);
    if (status_is_ok(&status))
        status = settings->eval ? evaluate(&run) : predict_file(&run, input);
    if (status_is_ok(&status))
        show_speed(&run, true);
    predictor_free(run.predictor);
    mem_free(run.limits);
    mem_free(run.ranking);
    mem_free(run.logits);
    checkpoint_free(checkpoint);
    return status;
}

static void print_help(const Option *options, int count)
{
    printf(
        "usage: predict MODEL.npz [FILE|-] [options]\n\n"
        "Reads one text a line and writes a line for each: labels and their probabilities, separated by "
        "tabs,\n"
        "the most probable first. With --attention a column of the words and their weights comes first.\n\n");
    options_print(options, count);
}

int main(int argc, char **argv)
{
    Settings settings = {.threads = pool_processors(), .threshold = NAN};
    const Option options[] = SETTINGS_OPTIONS(&settings);
    int count = (int)(sizeof options / sizeof options[0]), given = 0;
    const char **rest = mem_alloc((size_t)argc * sizeof *rest);
    Status status =
        rest ? options_parse(options, count, argc, argv, rest, &given) : status_no_memory(0, "predict");
    if (status_is_ok(&status) && settings.help)
        print_help(options, count);
    else if (status_is_ok(&status) && given < 1)
        status = status_usage("a model is required");
    else if (status_is_ok(&status) && (given > 2 || (given == 2 && settings.eval)))
        status = status_usage("'%s': one argument too many", rest[given - 1]);
    else if (status_is_ok(&status))
        status = predict(&settings, rest[0], given > 1 ? rest[1] : "-");
    mem_free(rest);
    return options_report("predict", &status);
}
