#include "tools/progress.h"
#include "tensor/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };

void progress_init(Progress *progress, bool quiet)
{
    *progress = (Progress){.bar = !quiet && isatty(STDERR_FILENO), .quiet = quiet};
}

static void draw_bar(const RunProgress *at)
{
    char cells[BAR_CELLS + 1];
    int filled = at->batches ? (int)(at->batch * BAR_CELLS / at->batches) : 0;
    memset(cells, '.', BAR_CELLS);
    memset(cells, '=', (size_t)filled);
    cells[BAR_CELLS] = '\0';
    double rate = at->seconds > 0 ? (double)at->tokens / at->seconds : 0;
    int left = (int)(at->seconds_left + 0.5);
    fprintf(stderr, "\r%-13s epoch %2d/%d [%s] %3lld/%lld  loss %.4f  %5.0fk tokens/s  %d:%02d left \033[K",
            at->model, at->epoch, at->epochs, cells, (long long)at->batch, (long long)at->batches, at->loss,
            rate / 1e3, left / 60, left % 60);
}

void progress_clear(Progress *progress)
{
    if (progress->bar)
        fprintf(stderr, "\r\033[K");
}

void progress_show(Progress *progress, const RunProgress *at)
{
    if (progress->quiet)
        return;
    if (at->finished) {
        progress_clear(progress);
        const RunEpoch *epoch = at->finished;
        printf("%-13s epoch %2d/%d  train loss %.4f  test macro F1 %.4f  %.1f s\n", at->model, epoch->epoch,
               at->epochs, epoch->train_loss, epoch->test_f1, epoch->seconds);
        fflush(stdout);
    } else if (progress->bar && clock_seconds() - progress->drawn > 0.05) {
        progress->drawn = clock_seconds();
        draw_bar(at);
    }
}
