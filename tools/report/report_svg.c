/* Figures: axes, labels, markers. Coordinates are those of the viewBox; the page scales it to its width. */
#include "tools/report/report_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLOURS = 7, DASHES = 6, MARKERS = 7, TICKS = 5 };

Chart report_chart(Report *report, int width, int height, const char *title)
{
    ReportOut *out = &report->out;
    int id = ++report->figures;
    report_putf(out, "<figure><h3 id=\"fig%d\">", id);
    report_text(out, title);
    report_putf(out,
                "</h3>\n<svg role=\"img\" aria-labelledby=\"fig%d-title\" viewBox=\"0 0 %d %d\" "
                "xmlns=\"http://www.w3.org/2000/svg\"><title id=\"fig%d-title\">",
                id, width, height, id);
    report_text(out, title);
    report_put(out, "</title>\n");
    return report_plot(out, width, height);
}

Chart report_plot(ReportOut *out, int width, int height)
{
    return (Chart){.out = out,
                   .width = width,
                   .height = height,
                   .left = 62,
                   .top = 12,
                   .right = width - 26,
                   .bottom = height - 42,
                   .x1 = 1,
                   .y1 = 1};
}

void report_chart_end(Chart *chart, const char *caption)
{
    report_around(chart->out, "</svg>\n<figcaption>", caption, "</figcaption></figure>\n");
}

/* A value as its place on an axis is told by: itself, or the power of the base that it is. */
static double scaled(double value, int base)
{
    return base ? log(value) / log(base) : value;
}

/* Where a value stands on an axis, from 0 to 1. */
static double place(double value, double from, double to, int base)
{
    return (scaled(value, base) - scaled(from, base)) / (scaled(to, base) - scaled(from, base));
}

double report_x(const Chart *chart, double value)
{
    return chart->left + place(value, chart->x0, chart->x1, chart->base_x) * (chart->right - chart->left);
}

double report_y(const Chart *chart, double value)
{
    return chart->bottom - place(value, chart->y0, chart->y1, chart->base_y) * (chart->bottom - chart->top);
}

/* 1, 2 or 5 times a power of ten, at least `value`. */
static double round_step(double value)
{
    if (!(value > 0) || !isfinite(value))
        return 1;
    double power = pow(10, floor(log10(value)));
    static const double factors[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++)
        if (factors[i] * power >= value * (1 - 1e-9))
            return factors[i] * power;
    return 10 * power;
}

double report_round_up(double value)
{
    double step = round_step(value / TICKS);
    return value > 0 && isfinite(value) ? step * ceil(value / step - 1e-9) : 1;
}

/* Where an axis has grid lines: at multiples of a step, or at the powers of its base. */
typedef struct Ticks {
    int first, last, base;
    double step;
} Ticks;

static Ticks ticks_of(double from, double to, int base, bool whole)
{
    double low = scaled(from, base), high = scaled(to, base),
           step = base ? 1 : round_step((high - low) / TICKS);
    if (whole && step < 1)
        step = 1;
    return (Ticks){(int)ceil(low / step - 1e-9), (int)floor(high / step + 1e-9), base, step};
}

/* The value of a tick, and what it says. */
static double tick(const Ticks *ticks, int i, char text[32])
{
    double value = ticks->base ? pow(ticks->base, i) : i * ticks->step, step = ticks->step;
    if (ticks->base) {
        snprintf(text, 32, "%g", value);
        return value;
    }
    double shown = fabs(value) < 1e-9 * step ? 0 : value; /* not -0 */
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    if (fabs(shown) >= 10000)
        report_short(text, shown);
    else
        snprintf(text, 32, "%.*f", digits, shown);
    return value;
}

void report_label(ReportOut *out, double x, double y, const char *anchor, const char *class_name,
                  const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report_putf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
                class_name);
    report_text(out, text);
    report_put(out, "</text>\n");
}

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

/* Where the character number `n` of the text begins; its end where there are fewer. */
static size_t character_at(const char *text, int n)
{
    size_t at = 0;
    for (; text[at]; at++)
        if (starts_character(text[at]) && n-- == 0)
            break;
    return at;
}

static int characters_in(const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += starts_character(*text);
    return count;
}

void report_name(ReportOut *out, double x, double y, const char *anchor, const char *name, int limit)
{
    char shortened[REPORT_NAME_SIZE];
    int count = characters_in(name), head = limit / 3;
    bool is_long = count > limit;
    report_putf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"t\">", x, y, anchor);
    if (is_long) {
        report_around(out, "<title>", name, "</title>");
        snprintf(shortened, sizeof shortened, "%.*s\xE2\x80\xA6%s", (int)character_at(name, head), name,
                 name + character_at(name, count - (limit - 1 - head)));
    }
    report_text(out, is_long ? shortened : name);
    report_put(out, "</text>\n");
}

void report_axis_x(Chart *chart, const char *label, bool whole)
{
    ReportOut *out = chart->out;
    Ticks ticks = ticks_of(chart->x0, chart->x1, chart->base_x, whole);
    for (int i = ticks.first; i <= ticks.last; i++) {
        char text[32];
        double x = report_x(chart, tick(&ticks, i, text));
        report_putf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, chart->top, chart->bottom);
        report_label(out, x, chart->bottom + 16, "middle", "tick", "%s", text);
    }
    report_putf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", chart->left, chart->bottom,
                chart->right);
    report_label(out, (chart->left + chart->right) / 2, chart->height - 8, "middle", "unit", "%s", label);
}

void report_axis_y(Chart *chart, const char *label)
{
    ReportOut *out = chart->out;
    Ticks ticks = ticks_of(chart->y0, chart->y1, chart->base_y, false);
    for (int i = ticks.first; i <= ticks.last; i++) {
        char text[32];
        double y = report_y(chart, tick(&ticks, i, text));
        report_putf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", chart->left, y, chart->right);
        report_label(out, chart->left - 6, y + 4, "end", "tick", "%s", text);
    }
    double middle = (chart->top + chart->bottom) / 2;
    report_putf(out,
                "<text class=\"unit\" text-anchor=\"middle\" transform=\"translate(13 %.1f) rotate(-90)\">",
                middle);
    report_text(out, label);
    report_put(out, "</text>\n");
}

/* ---- What tells one series from another: colour, dash and marker, each enough by itself for a few ---- */

const char *report_dash(int series)
{
    static const char *const dashes[DASHES] = {"none", "7 3", "2 3", "10 3 2 3", "14 4", "6 2 2 2 2 2"};
    return dashes[(series + series / COLOURS) % DASHES];
}

void report_marker(ReportOut *out, int series, double x, double y, double radius)
{
    double r = radius;
    switch ((series + 3 * (series / COLOURS)) % MARKERS) {
    case 0:
        report_putf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", x, y, r);
        break;
    case 1:
        report_putf(out, "<path d=\"M%.1f %.1fh%.1fv%.1fh%.1fz\"/>", x - 0.9 * r, y - 0.9 * r, 1.8 * r,
                    1.8 * r, -1.8 * r);
        break;
    case 2:
        report_putf(out, "<path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"/>", x, y - 1.2 * r, 1.15 * r, 2 * r,
                    -2.3 * r);
        break;
    case 3:
        report_putf(out, "<path d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz\"/>", x, y - 1.3 * r, 1.3 * r,
                    1.3 * r, -1.3 * r, 1.3 * r, -1.3 * r, -1.3 * r);
        break;
    case 4:
        report_putf(out, "<path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"/>", x, y + 1.2 * r, 1.15 * r, -2 * r,
                    -2.3 * r);
        break;
    case 5:
        report_putf(out, "<path class=\"open\" d=\"M%.1f %.1fv%.1fM%.1f %.1fh%.1f\"/>", x, y - 1.3 * r,
                    2.6 * r, x - 1.3 * r, y, 2.6 * r);
        break;
    default:
        report_putf(out, "<path class=\"open\" d=\"M%.1f %.1fl%.1f %.1fm0 %.1fl%.1f %.1f\"/>", x - r, y - r,
                    2 * r, 2 * r, -2 * r, -2 * r, 2 * r);
        break;
    }
}
