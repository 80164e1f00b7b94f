#include "tools/bench_svg.h"
#include "tensor/storage/atomic_file.h"
#include "tools/report/report_internal.h"

#include <math.h>

enum { WIDTH = 560, HEIGHT = 380, COLUMNS = 2, COLOURS = 7 };

static bool is_shown(const SvgCurve *c, int i)
{
    return c->x[i] > 0 && c->y[i] > 0 && isfinite(c->y[i]);
}

/* From the least to the most, the times in whole powers of ten. */
static Chart chart_of(ReportOut *out, const SvgPanel *panel)
{
    Chart chart = report_plot(out, WIDTH, HEIGHT);
    double left = INFINITY, right = 0, low = INFINITY, high = 0;
    for (int c = 0; c < panel->count; c++)
        for (int i = 0; i < panel->curves[c].count; i++)
            if (is_shown(&panel->curves[c], i)) {
                double x = panel->curves[c].x[i], y = log10(panel->curves[c].y[i]);
                left = fmin(left, x);
                right = fmax(right, x);
                low = isfinite(low) ? fmin(low, floor(y)) : floor(y);
                high = fmax(fmax(high, ceil(y)), low + 1);
            }
    bool any = isfinite(left);
    chart.x0 = any ? left : 1;
    chart.x1 = any ? fmax(right, 1.3 * left) : 10;
    chart.y0 = any ? pow(10, low) : 1;
    chart.y1 = any ? pow(10, high) : 10;
    chart.base_x = panel->base_2 ? 2 : 10;
    chart.base_y = 10;
    chart.top = 36;
    chart.right = WIDTH - 120;
    return chart;
}

static void draw_curve(const Chart *chart, const SvgCurve *curve, int number)
{
    ReportOut *out = chart->out;
    double key = chart->right + 16, y = chart->top + 12 + 18 * number;
    char step = 'M';
    report_putf(out, "<g class=\"s%d\"><path class=\"line\" stroke-dasharray=\"%s\" d=\"", number % COLOURS,
                report_dash(number));
    for (int i = 0; i < curve->count; i++)
        if (is_shown(curve, i)) {
            report_putf(out, "%c%.1f %.1f", step, report_x(chart, curve->x[i]), report_y(chart, curve->y[i]));
            step = 'L';
        }
    report_put(out, "\"/>");
    for (int i = 0; i < curve->count; i++)
        if (is_shown(curve, i))
            report_marker(out, number, report_x(chart, curve->x[i]), report_y(chart, curve->y[i]), 2.8);
    report_marker(out, number, key, y - 4, 4);
    report_put(out, "</g>\n");
    report_name(out, key + 10, y, "start", curve->name, 14);
}

ReelStatus svg_write(const char *path, const SvgPanel *panels, int count)
{
    ReportOut out = {0};
    report_putf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"><style>",
                COLUMNS * WIDTH, (count + COLUMNS - 1) / COLUMNS * HEIGHT);
    report_style(&out);
    report_put(&out, "</style>\n<rect width=\"100%\" height=\"100%\" fill=\"var(--bg)\"/>\n");
    for (int i = 0; i < count; i++) {
        Chart chart = chart_of(&out, &panels[i]);
        report_putf(&out, "<g transform=\"translate(%d %d)\">\n", i % COLUMNS * WIDTH, i / COLUMNS * HEIGHT);
        report_axis_x(&chart, panels[i].x_label, false);
        report_axis_y(&chart, panels[i].y_label);
        report_label(&out, (chart.left + chart.right) / 2, 22, "middle", "t", "%s", panels[i].title);
        for (int c = 0; c < panels[i].count; c++)
            draw_curve(&chart, &panels[i].curves[c], c);
        report_put(&out, "</g>\n");
    }
    report_put(&out, "</svg>\n");
    ReelStatus status = out.failed ? reel_status_no_memory(0, path)
                                   : reel_atomic_file_put(path, out.bytes.data, out.bytes.size);
    reel_bytes_free(&out.bytes);
    return status;
}
