/* What the files that write report.html share. */
#ifndef REEL_TOOLS_REPORT_INTERNAL_H
#define REEL_TOOLS_REPORT_INTERNAL_H

#include "tensor/bytes.h"
#include "tools/report/report.h"

#include <stddef.h>
#include <string.h>

/* REPORT_MATRIX: the most labels that a matrix of confusions shows. */
enum { REPORT_PATH_SIZE = 1200, REPORT_NAME_SIZE = 120, REPORT_MATRIX = 20 };

/* Begins a run with the name of its folder. */
ReelStatus report_open(ReportRun *run, const char *folder);

/* ---- Text that grows ---- */

/* All zeros is an empty one. After a failure to get memory nothing more is added. */
typedef struct ReportOut {
    ReelBytes bytes;
    bool failed;
} ReportOut;

/* Bytes as they stand. */
void report_put_bytes(ReportOut *out, const char *bytes, size_t size);
/* Markup as it stands. */
void report_put(ReportOut *out, const char *markup);
/* printf for markup: no string of the data may come through here. */
void report_putf(ReportOut *out, const char *format, ...) REEL_PRINTF(2, 3);
/* Text: what HTML or XML could misread is escaped, and what they forbid is replaced by U+FFFD. */
void report_text(ReportOut *out, const char *text);
/* Text with markup before and after it. */
void report_around(ReportOut *out, const char *before, const char *text, const char *after);

/* 1234567 as 1,234,567, and as 1.23 M; `text` has room for 32 bytes and is returned. */
char *report_count(char text[32], int64_t value);
char *report_short(char text[32], double value);
/* Seconds as 0.42 s, 12.3 s, 4 min 05 s, 1 h 02 min. */
char *report_duration(char text[32], double seconds);

/* ---- The models that are compared ---- */

/* One model of one run, under one name, colour, dash and marker in all figures. */
typedef struct ReportSeries {
    const ReportRun *run;
    const ModelResult *model;
    const ReportDetails *details; /* may be NULL */
    char name[REPORT_NAME_SIZE];  /* with the run's where there are several */
    double epoch_seconds;         /* median over all epochs of all seeds */
    double ids_per_second;        /* of a whole epoch, evaluation included; 0: not known */
    bool interrupted;
} ReportSeries;

typedef struct Report {
    const ReportRun *runs;
    int num_runs;
    ReportSeries *series; /* [count] */
    int count;
    int best;      /* the highest mean best F1 */
    int max_seeds; /* of any model */
    int figures;   /* so far, for ids */
    bool same_data;
    bool tests;  /* some run has a test part */
    bool tuned;  /* some model has a validation part */
    bool single; /* in some run a text has one label */
    ReportOut out;
} Report;

/* Whether a text has exactly one label. */
static inline bool report_is_single(const ReportRun *run)
{
    return run->results.task && strcmp(run->results.task, model_task_name(MODEL_TASK_SINGLE)) == 0;
}

/* Whether two hashes are known and those of the same data. */
static inline bool report_same_data(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static inline bool report_contains(const int *list, int count, int value)
{
    for (int i = 0; i < count; i++)
        if (list[i] == value)
            return true;
    return false;
}

/* The labels that are missed most often, at most `most`, of equal ones the first; returns how many. */
int report_most_missed(const ReportDetails *details, int most, int *labels);

/* ---- SVG ---- */

/* A figure and the part of it that shows data. */
typedef struct Chart {
    ReportOut *out;
    int width, height;
    double left, top, right, bottom; /* the plot's edges, from the figure's upper left corner */
    double x0, x1, y0, y1;           /* the values at the edges */
    int base_x, base_y;              /* of a logarithmic axis; 0: it is linear */
} Chart;

/* A plot of 0 to 1 in a figure of that size. */
Chart report_plot(ReportOut *out, int width, int height);

/* Opens <figure><svg> with a title for those who cannot see it. */
Chart report_chart(Report *report, int width, int height, const char *title);
/* Closes both; `caption` is text. */
void report_chart_end(Chart *chart, const char *caption);
double report_x(const Chart *chart, double value);
double report_y(const Chart *chart, double value);
/* Axes with grid lines at round values and what they measure. */
void report_axis_x(Chart *chart, const char *label, bool whole);
void report_axis_y(Chart *chart, const char *label);
/* Text at a point; anchor: start, middle, end. `class_name` is the project's own. */
void report_label(ReportOut *out, double x, double y, const char *anchor, const char *class_name,
                  const char *format, ...) REEL_PRINTF(6, 7);
/* A name of at most `limit` characters (up to 24); a longer one loses its middle, since labels often begin
 * alike, and has the whole as a tooltip. */
void report_name(ReportOut *out, double x, double y, const char *anchor, const char *name, int limit);
/* The next round number at or above a value that is to be shown in full. */
double report_round_up(double value);
/* Colour class and dash pattern of a series, and its marker at a point. */
const char *report_dash(int series);
void report_marker(ReportOut *out, int series, double x, double y, double radius);

/* ---- Parts of the page: one file each group ---- */

void report_style(ReportOut *out);
void report_summary(Report *report);
void report_curves(Report *report);

void report_costs(Report *report);
void report_classes(Report *report);
void report_attention(Report *report);
void report_confusions(Report *report);
void report_reliability(Report *report);
void report_data_figures(Report *report);

#endif
