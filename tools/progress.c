#include "tools/progress.h"
#include "tensor/clock.h"
#include "tools/meter.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Seconds between lines about the data. */
enum { READING_SILENCE = 5 };

enum { LEVELS = 8, NAME_COLUMNS = 14, LEAST_TAIL = 20 };

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The encoding that the environment asks for; the program's own locale stays as it is. */
static bool is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (!locale)
        return false;
    bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return utf8;
}

void progress_init(Progress *progress, bool quiet)
{
    bool live = !quiet && meter_can_draw(STDOUT_FILENO) && meter_can_draw(STDERR_FILENO);
    *progress = (Progress){.out = stdout,
                           .live = live,
                           .colour = live && meter_has_colours(STDOUT_FILENO),
                           .utf8 = is_utf8(),
                           .quiet = quiet,
                           .width = live ? terminal_width() : 80};
}

/* ---- What has been seen of the model at hand ---- */

static void begin_model(Progress *progress, const ModelRunProgress *at)
{
    memset(progress->sums, 0, sizeof progress->sums);
    memset(progress->counts, 0, sizeof progress->counts);
    progress->model = at->model;
    progress->last_epoch = 0;
    progress->began = reel_clock_seconds();
    progress->drawn = progress->live ? 0 : progress->began;
}

static void note_batch(Progress *progress, const ModelRunProgress *at)
{
    int64_t done = (at->epoch - 1) * at->batches + at->batch - 1, all = at->epochs * at->batches;
    int64_t cell = all > 0 ? done * PROGRESS_CELLS / all : 0;
    if (cell >= 0 && cell < PROGRESS_CELLS) {
        progress->sums[cell] += at->batch_loss;
        progress->counts[cell]++;
    }
}

static void note_epoch(Progress *progress, const ModelRunEpoch *epoch)
{
    progress->last_loss = epoch->train_loss;
    progress->last_epoch = epoch->epoch;
}

/* ---- Text ---- */

char *progress_sparkline(const Progress *progress, char *text, size_t size)
{
    static const char *const blocks[LEVELS] = {"\xE2\x96\x81", "\xE2\x96\x82", "\xE2\x96\x83",
                                               "\xE2\x96\x84", "\xE2\x96\x85", "\xE2\x96\x86",
                                               "\xE2\x96\x87", "\xE2\x96\x88"};
    static const char *const ascii[LEVELS] = {"_", ".", "-", "~", "=", "+", "*", "#"};
    double low = 0, high = 0;
    bool any = false;
    for (int i = 0; i < PROGRESS_CELLS; i++) {
        if (progress->counts[i] == 0)
            continue;
        double mean = progress->sums[i] / progress->counts[i];
        low = !any || mean < low ? mean : low;
        high = !any || mean > high ? mean : high;
        any = true;
    }
    text[0] = '\0';
    size_t used = 0;
    for (int i = 0; i < PROGRESS_CELLS; i++) {
        if (progress->counts[i] == 0)
            continue;
        double mean = progress->sums[i] / progress->counts[i];
        int level = high > low ? (int)((mean - low) / (high - low) * (LEVELS - 1) + 0.5) : LEVELS / 2;
        const char *mark = (progress->utf8 ? blocks : ascii)[level];
        if (used + strlen(mark) + 1 > size)
            break;
        used += (size_t)snprintf(text + used, size - used, "%s", mark);
    }
    return text;
}

char *progress_clock(double seconds, char text[32])
{
    long long s = seconds > 0 && seconds < 1e9 ? (long long)(seconds + 0.5) : 0;
    if (s < 3600)
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

/* How many cells have something to show. */
static int filled(const Progress *progress)
{
    int count = 0;
    for (int i = 0; i < PROGRESS_CELLS; i++)
        count += progress->counts[i] > 0;
    return count;
}

/* What stands behind the sparkline, cut to the terminal's width: a line that wraps cannot be redrawn. */
static void live_tail(const Progress *progress, const ModelRunProgress *at, char text[PROGRESS_LINE_SIZE])
{
    char left[32] = "?", best[40] = "";
    double rate = at->seconds > 0 ? (double)at->tokens / at->seconds : 0;
    if (progress->best_epoch > 0 && isfinite(progress->best_f1))
        snprintf(best, sizeof best, " F1 %.3f", progress->best_f1);
    snprintf(text, PROGRESS_LINE_SIZE, "%*s %*d/%d loss %.4f%s %.0fk tok/s %s left",
             PROGRESS_CELLS - filled(progress), "", at->epochs > 99 ? 3 : 2, at->epoch, at->epochs, at->loss,
             best, rate / 1e3, at->seconds_left < 0 ? left : progress_clock(at->seconds_left, left));
}

static void summary_tail(const Progress *progress, char text[PROGRESS_LINE_SIZE])
{
    char time[32], best[48] = "";
    if (isfinite(progress->best_f1))
        snprintf(best, sizeof best, ", best F1 %.4f in %d", progress->best_f1, progress->best_epoch);
    snprintf(text, PROGRESS_LINE_SIZE, "%*s %d epochs, loss %.4f%s, %s", PROGRESS_CELLS - filled(progress),
             "", progress->last_epoch, progress->last_loss, best,
             progress_clock(reel_clock_seconds() - progress->began, time));
}

/* Name, sparkline, tail; the sparkline goes where there is no room for it. */
static char *compose(const Progress *progress, const char *tail, bool colour, char text[PROGRESS_LINE_SIZE])
{
    char spark[4 * PROGRESS_CELLS + 1];
    bool room = progress->width > NAME_COLUMNS + PROGRESS_CELLS + LEAST_TAIL;
    int columns = progress->width - 1 - NAME_COLUMNS - (room ? filled(progress) : 0);
    snprintf(text, PROGRESS_LINE_SIZE, "%-*.*s%s%s%s%.*s", NAME_COLUMNS, NAME_COLUMNS - 1, progress->model,
             colour && room ? "\033[36m" : "", room ? progress_sparkline(progress, spark, sizeof spark) : "",
             colour && room ? "\033[0m" : "", columns > 0 ? columns : 0,
             room ? tail : tail + strspn(tail, " "));
    return text;
}

char *progress_line(const Progress *progress, const ModelRunProgress *at, char text[PROGRESS_LINE_SIZE])
{
    char tail[PROGRESS_LINE_SIZE];
    live_tail(progress, at, tail);
    return compose(progress, tail, false, text);
}

/* ---- Drawing ---- */

static void take_away(const Progress *progress)
{
    if (progress->live)
        fputs("\r\033[K", progress->out);
}

static void draw(Progress *progress, const ModelRunProgress *at)
{
    char tail[PROGRESS_LINE_SIZE], line[PROGRESS_LINE_SIZE];
    live_tail(progress, at, tail);
    fprintf(progress->out, "\r%s\033[K", compose(progress, tail, progress->colour, line));
    fflush(progress->out);
    progress->drawn = reel_clock_seconds();
}

void progress_reading(Progress *progress, const char *doing, int64_t done, int64_t rows)
{
    double now = reel_clock_seconds();
    char place[64] = "";
    if (progress->quiet)
        return;
    if (progress->began == 0)
        progress->began = progress->drawn = now;
    /* A new thing is said when it takes long, not when it begins: what is over in a second needs no word. */
    if (now - progress->drawn < (progress->live ? 0.1 : READING_SILENCE) && !progress->impatient)
        return;
    if (rows > 0)
        snprintf(place, sizeof place, " %lld of %lld", (long long)done, (long long)rows);
    fprintf(progress->out, progress->live ? "\r%s%s\033[K" : "%s%s\n", doing, place);
    fflush(progress->out);
    progress->drawn = now;
    progress->impatient = false;
}

/* Where no line can be drawn anew, a long epoch says now and then how far it is. */
static void print_batch(Progress *progress, const ModelRunProgress *at)
{
    char left[32] = "?";
    fprintf(progress->out, "%-13s epoch %2d/%d  batch %lld/%lld  train loss %.4f  %s left\n", at->model,
            at->epoch, at->epochs, (long long)at->batch, (long long)at->batches, at->loss,
            at->seconds_left < 0 ? left : progress_clock(at->seconds_left, left));
    fflush(progress->out);
    progress->drawn = reel_clock_seconds();
}

/* A line at the end of each pass, and where no line can be drawn anew one now and then. */
static void show_pretraining(Progress *progress, const ModelRunProgress *at)
{
    double since = reel_clock_seconds() - progress->drawn;
    char left[32];
    bool ends = at->batch == at->batches;
    if (!ends && since < (progress->live ? 0.1 : PROGRESS_SILENCE))
        return;
    fprintf(progress->out,
            "%s%-13s language pass %d/%d  batch %lld/%lld  perplexity %.1f  %.0fk words/s  %s left%s",
            progress->live ? "\r" : "", at->model, at->epoch, at->epochs, (long long)at->batch,
            (long long)at->batches, exp(at->loss),
            at->seconds > 0 ? (double)at->tokens / at->seconds / 1e3 : 0,
            progress_clock(at->seconds_left, left), progress->live ? "\033[K" : "\n");
    if (ends && progress->live)
        fputc('\n', progress->out);
    fflush(progress->out);
    progress->drawn = reel_clock_seconds();
    if (ends && at->epoch == at->epochs)
        progress->model = NULL; /* the loss of labels is another one */
}

void progress_show(Progress *progress, const ModelRunProgress *at)
{
    if (progress->quiet)
        return;
    if (!progress->model)
        begin_model(progress, at);
    if (at->chosen) {
        progress_clear(progress);
        fprintf(progress->out,
                "%s: epoch %d of %d was the best on the validation part; now on all training texts, up to "
                "there\n",
                at->model, at->chosen, at->epochs);
        fflush(progress->out);
        return;
    }
    if (at->again) {
        take_away(progress);
        fprintf(progress->out, "%.*s: begun again with %g of the learning rate\n",
                (int)strcspn(at->again, ";"), at->again, at->rate);
        fflush(progress->out);
        begin_model(progress, at);
        return;
    }
    if (at->pretraining) {
        show_pretraining(progress, at);
        return;
    }
    progress->best_f1 = at->best_f1;
    progress->best_epoch = at->best_epoch;
    if (at->finished) {
        const ModelRunEpoch *epoch = at->finished;
        note_epoch(progress, epoch);
        char test[40] = "";
        if (isfinite(epoch->test_f1))
            snprintf(test, sizeof test, "test macro F1 %.4f  ", epoch->test_f1);
        take_away(progress);
        fprintf(progress->out, "%-13s epoch %2d/%d  train loss %.4f  %s%.1f s\n", at->model, epoch->epoch,
                at->epochs, epoch->train_loss, test, epoch->seconds);
        fflush(progress->out);
        progress->drawn = progress->live ? 0 : reel_clock_seconds();
        return;
    }
    note_batch(progress, at);
    double since = reel_clock_seconds() - progress->drawn;
    if (progress->live && since > 0.05)
        draw(progress, at);
    else if (!progress->live && since > PROGRESS_SILENCE)
        print_batch(progress, at);
}

void progress_clear(Progress *progress)
{
    if (progress->quiet)
        return;
    take_away(progress);
    if (!progress->model)
        return;
    if (progress->live && progress->last_epoch > 0) {
        char tail[PROGRESS_LINE_SIZE], line[PROGRESS_LINE_SIZE];
        summary_tail(progress, tail);
        fprintf(progress->out, "%s\n", compose(progress, tail, progress->colour, line));
    }
    fflush(progress->out);
    progress->model = NULL;
}
