#define _GNU_SOURCE
#include "tools/bench_svg.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/decls.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 560, HEIGHT = 380, LEFT = 70, RIGHT = 120, TOP = 36, BOTTOM = 52, COLUMNS = 2 };

static const char *const colours[] = {"#1b6ca8", "#d1495b", "#2e933c", "#8f5bb5", "#c77d0a", "#3d3d3d"};
enum { COLOURS = sizeof colours / sizeof colours[0] };

/* From values to places within a panel. */
typedef struct Frame {
    double x_low, x_high, y_low, y_high; /* logarithms, base 10 */
} Frame;

static double place_x(const Frame *f, double x)
{
    return LEFT + (log10(x) - f->x_low) / (f->x_high - f->x_low) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const Frame *f, double y)
{
    return HEIGHT - BOTTOM - (log10(y) - f->y_low) / (f->y_high - f->y_low) * (HEIGHT - TOP - BOTTOM);
}

static bool is_shown(const SvgCurve *c, int i)
{
    return c->x[i] > 0 && c->y[i] > 0 && isfinite(c->y[i]);
}

static Frame frame_of(const SvgPanel *panel)
{
    Frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int c = 0; c < panel->count; c++)
        for (int i = 0; i < panel->curves[c].count; i++) {
            if (!is_shown(&panel->curves[c], i))
                continue;
            double x = log10(panel->curves[c].x[i]), y = log10(panel->curves[c].y[i]);
            f = (Frame){fmin(f.x_low, x), fmax(f.x_high, x), fmin(f.y_low, y), fmax(f.y_high, y)};
        }
    if (!isfinite(f.x_low))
        return (Frame){0, 1, 0, 1};
    f.y_low = floor(f.y_low);
    f.y_high = fmax(ceil(f.y_high), f.y_low + 1);
    f.x_high = fmax(f.x_high, f.x_low + 0.1);
    return f;
}

static void draw_text(FILE *file, double x, double y, const char *anchor, const char *more,
                      const char *format, ...) REEL_PRINTF(6, 7);
static void draw_text(FILE *file, double x, double y, const char *anchor, const char *more,
                      const char *format, ...)
{
    va_list args;
    fprintf(file, "<text x='%.1f' y='%.1f' text-anchor='%s' %s>", x, y, anchor, more);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fputs("</text>\n", file);
}

static void draw_line(FILE *file, double x1, double y1, double x2, double y2)
{
    fprintf(file, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n", x1, y1, x2, y2);
}

static void draw_axes(FILE *file, const SvgPanel *panel, const Frame *f)
{
    double base = panel->base_2 ? 2 : 10, bottom = HEIGHT - BOTTOM, right = WIDTH - RIGHT;
    int first = (int)ceil(f->x_low / log10(base) - 1e-9), last = (int)floor(f->x_high / log10(base) + 1e-9);
    for (int k = first; k <= last; k++) {
        double x = place_x(f, pow(base, k));
        draw_line(file, x, TOP, x, bottom);
        draw_text(file, x, bottom + 16, "middle", "", "%g", pow(base, k));
    }
    for (int k = (int)f->y_low; k <= (int)f->y_high; k++) {
        double y = place_y(f, pow(10, k));
        draw_line(file, LEFT, y, right, y);
        draw_text(file, LEFT - 6, y + 4, "end", "", "%g", pow(10, k));
    }
    fprintf(file, "<rect x='%d' y='%d' width='%.1f' height='%.1f' fill='none' stroke='#555'/>\n", LEFT, TOP,
            right - LEFT, bottom - TOP);
    draw_text(file, (LEFT + right) / 2, HEIGHT - 14, "middle", "", "%s", panel->x_label);
    draw_text(file, (LEFT + right) / 2, 22, "middle", "font-weight='bold'", "%s", panel->title);
    fprintf(file, "<g transform='translate(16 %.1f) rotate(-90)'>", (TOP + bottom) / 2);
    draw_text(file, 0, 0, "middle", "", "%s", panel->y_label);
    fputs("</g>\n", file);
}

static void draw_curve(FILE *file, const SvgCurve *curve, const Frame *f, int number)
{
    const char *colour = colours[number % COLOURS];
    fprintf(file, "<polyline fill='none' stroke='%s' stroke-width='1.8' points='", colour);
    for (int i = 0; i < curve->count; i++)
        if (is_shown(curve, i))
            fprintf(file, "%.1f,%.1f ", place_x(f, curve->x[i]), place_y(f, curve->y[i]));
    fputs("'/>\n", file);
    for (int i = 0; i < curve->count; i++)
        if (is_shown(curve, i))
            fprintf(file, "<circle cx='%.1f' cy='%.1f' r='2.6' fill='%s'/>\n", place_x(f, curve->x[i]),
                    place_y(f, curve->y[i]), colour);
    double y = TOP + 12 + 18 * number;
    fprintf(file, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='%s' stroke-width='2.5'/>\n",
            WIDTH - RIGHT + 8, y - 4, WIDTH - RIGHT + 24, y - 4, colour);
    draw_text(file, WIDTH - RIGHT + 29, y, "start", "", "%s", curve->name);
}

ReelStatus svg_write(const char *path, const SvgPanel *panels, int count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return reel_status_no_memory(0, path);
    int rows = (count + COLUMNS - 1) / COLUMNS;
    fprintf(file,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' "
            "font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n",
            COLUMNS * WIDTH, rows * HEIGHT);
    for (int i = 0; i < count; i++) {
        Frame frame = frame_of(&panels[i]);
        fprintf(file, "<g transform='translate(%d %d)'>\n", i % COLUMNS * WIDTH, i / COLUMNS * HEIGHT);
        draw_axes(file, &panels[i], &frame);
        for (int c = 0; c < panels[i].count; c++)
            draw_curve(file, &panels[i].curves[c], &frame, c);
        fputs("</g>\n", file);
    }
    fputs("</svg>\n", file);
    bool whole = !ferror(file);
    ReelStatus status =
        fclose(file) == 0 && whole ? reel_atomic_file_put(path, text, size) : reel_status_no_memory(0, path);
    free(text);
    return status;
}
