#include "models/training/calibration.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

/* Newton's steps, of which ten are many. */
enum { MOST_STEPS = 60, MOST_HALVINGS = 30 };

static const ModelCalibrationLine NONE = {1, 0, 1, 1, 0};

/* ---- A line through logits ---- */

/* Some columns of a part's logits [count, K], with their truth. */
typedef struct Columns {
    const float *logits;
    const uint8_t *truth; /* [count, K] */
    int64_t count;
    int32_t labels, first, stop; /* columns first to stop - 1 */
} Columns;

static int64_t count_true(const Columns *c)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->count; i++)
        for (int32_t k = c->first; k < c->stop; k++)
            n += c->truth[i * c->labels + k];
    return n;
}

/* A loss with its gradient and curvature in slope and shift. */
typedef struct Point {
    double loss, slope, shift, slope2, both, shift2;
} Point;

/* -sum t ln p + (1 - t) ln(1 - p) at p = sigmoid(a z + b), where t is `high` for what is true and `low` for
 * the rest. */
static Point look(const Columns *c, ModelCalibrationLine line, double high, double low)
{
    Point at = {0};
    for (int64_t i = 0; i < c->count; i++)
        for (int32_t k = c->first; k < c->stop; k++) {
            double z = (double)c->logits[i * c->labels + k], u = line.slope * z + line.shift;
            double t = c->truth[i * c->labels + k] ? high : low, e = exp(-fabs(u));
            double p = u >= 0 ? 1 / (1 + e) : e / (1 + e), w = e / ((1 + e) * (1 + e));
            at.loss += (u > 0 ? u : 0) + log1p(e) - t * u;
            at.slope += (p - t) * z;
            at.shift += p - t;
            at.slope2 += w * z * z;
            at.both += w * z;
            at.shift2 += w;
        }
    return at;
}

/* The line with the least loss, which is convex, by Newton's method. Targets are not 0 and 1, but what a
 * uniform prior leaves of them, as Platt has it: the line stays finite where a threshold divides the two. */
static ModelCalibrationLine fit_line(const Columns *c)
{
    ModelCalibrationLine line = NONE;
    double n = (double)count_true(c), all = (double)c->count * (c->stop - c->first);
    double high = (n + 1) / (n + 2), low = 1 / (all - n + 2);
    Point at = look(c, line, high, low);
    for (int step = 0; step < MOST_STEPS; step++) {
        double ridge = 1e-9 * (at.slope2 + at.shift2) + 1e-12, s2 = at.slope2 + ridge, b2 = at.shift2 + ridge;
        double determinant = s2 * b2 - at.both * at.both;
        double slope = (b2 * at.slope - at.both * at.shift) / determinant,
               shift = (s2 * at.shift - at.both * at.slope) / determinant;
        double gain = slope * at.slope + shift * at.shift;
        if (!(gain > 1e-10 * (1 + at.loss)))
            break;
        ModelCalibrationLine next = line;
        Point there = at;
        double part = 1;
        for (int half = 0; half < MOST_HALVINGS; half++, part /= 2) {
            next.slope = line.slope - part * slope;
            next.shift = line.shift - part * shift;
            there = look(c, next, high, low);
            if (there.loss <= at.loss - 1e-4 * part * gain)
                break;
        }
        if (!(there.loss < at.loss))
            break;
        line = next;
        at = there;
    }
    return line;
}

static bool is_usable(ModelCalibrationLine line)
{
    return line.slope > 0 && isfinite(line.slope) && isfinite(line.shift);
}

static void fit_labels(double *calibration, ModelCalibrationLine *common, Columns c, double strength)
{
    int32_t labels = c.labels;
    c.first = 0;
    c.stop = labels;
    *common = fit_line(&c);
    bool any = is_usable(*common);
    if (!any)
        *common = NONE;
    for (int32_t k = 0; k < labels; k++) {
        c.first = k;
        c.stop = k + 1;
        double n = any && isfinite(strength) ? (double)count_true(&c) : 0;
        ModelCalibrationLine own = n > 0 ? fit_line(&c) : *common;
        if (!is_usable(own))
            own = *common;
        double part = n > 0 ? n / (n + strength) : 0;
        calibration[k] = part * own.slope + (1 - part) * common->slope;
        calibration[labels + k] = part * own.shift + (1 - part) * common->shift;
    }
}

/* ---- A curve through what the lines say ---- */

static double softplus(double u)
{
    return (u > 0 ? u : 0) + log1p(exp(-fabs(u)));
}

static bool is_curved(const double *calibration, int32_t labels, int32_t k)
{
    return calibration[MODEL_CALIBRATION_BELOW * labels + k] != 1 ||
           calibration[MODEL_CALIBRATION_ABOVE * labels + k] != 1 ||
           calibration[MODEL_CALIBRATION_BEND * labels + k] != 0;
}

void model_calibration_straighten(double *calibration, int32_t labels)
{
    for (int32_t k = 0; k < labels; k++) {
        calibration[MODEL_CALIBRATION_BELOW * labels + k] = 1;
        calibration[MODEL_CALIBRATION_ABOVE * labels + k] = 1;
        calibration[MODEL_CALIBRATION_BEND * labels + k] = 0;
    }
}

bool model_calibration_is_sound(const double *calibration, int32_t labels)
{
    bool sound = true;
    for (int row = 0; row < MODEL_CALIBRATION_ROWS; row++)
        for (int32_t k = 0; k < labels; k++) {
            double x = calibration[row * labels + k];
            bool slope = row != MODEL_CALIBRATION_SHIFT && row != MODEL_CALIBRATION_BEND;
            sound = sound && isfinite(x) && (!slope || x > 0);
        }
    return sound;
}

double model_calibration_log_odds(const double *calibration, int32_t labels, int32_t k, double logit)
{
    if (!calibration)
        return logit;
    double u = calibration[k] * logit + calibration[labels + k];
    if (!is_curved(calibration, labels, k) || !isfinite(u))
        return u;
    return calibration[MODEL_CALIBRATION_ABOVE * labels + k] * softplus(u) -
           calibration[MODEL_CALIBRATION_BELOW * labels + k] * softplus(-u) +
           calibration[MODEL_CALIBRATION_BEND * labels + k];
}

double model_calibration_common(const ModelCalibrationLine *line, double logit)
{
    bool curved = line->below > 0;
    double one[MODEL_CALIBRATION_ROWS] = {line->slope, line->shift, curved ? line->below : 1,
                                          curved ? line->above : 1, curved ? line->bend : 0};
    return line->slope > 0 ? model_calibration_log_odds(one, 1, 0, logit) : logit;
}

double model_calibration_logit(const double *calibration, int32_t labels, int32_t k, double log_odds)
{
    double line = (log_odds - calibration[labels + k]) / calibration[k], low = line, high = line, step = 1;
    if (!is_curved(calibration, labels, k))
        return line;
    for (; model_calibration_log_odds(calibration, labels, k, low) > log_odds; step *= 2)
        low -= step;
    for (step = 1; model_calibration_log_odds(calibration, labels, k, high) < log_odds; step *= 2)
        high += step;
    for (int i = 0; i < 2 * MOST_STEPS && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (middle == low || middle == high)
            break;
        if (model_calibration_log_odds(calibration, labels, k, middle) < log_odds)
            low = middle;
        else
            high = middle;
    }
    return high;
}

enum { CURVE = 3 }; /* below, above, bend */

/* The same as a Point, of a curve. */
typedef struct CurvePoint {
    double loss, gradient[CURVE], curvature[CURVE][CURVE];
} CurvePoint;

static CurvePoint look_at_curve(const Columns *c, const double *lines, const double curve[CURVE], double high,
                                double low)
{
    CurvePoint at = {0};
    for (int64_t i = 0; i < c->count; i++)
        for (int32_t k = 0; k < c->labels; k++) {
            double u = lines[k] * (double)c->logits[i * c->labels + k] + lines[c->labels + k];
            double x[CURVE] = {-softplus(-u), softplus(u), 1};
            double v = curve[0] * x[0] + curve[1] * x[1] + curve[2], e = exp(-fabs(v));
            double p = v >= 0 ? 1 / (1 + e) : e / (1 + e), t = c->truth[i * c->labels + k] ? high : low;
            at.loss += (v > 0 ? v : 0) + log1p(e) - t * v;
            for (int a = 0; a < CURVE; a++) {
                at.gradient[a] += (p - t) * x[a];
                for (int b = 0; b < CURVE; b++)
                    at.curvature[a][b] += p * (1 - p) * x[a] * x[b];
            }
        }
    return at;
}

/* Solves m x = y, of a matrix that is positive definite, in their place: y becomes x. */
static void solve(double m[CURVE][CURVE], double y[CURVE])
{
    for (int a = 0; a < CURVE; a++)
        for (int b = a + 1; b < CURVE; b++) {
            double factor = m[b][a] / m[a][a];
            for (int i = a; i < CURVE; i++)
                m[b][i] -= factor * m[a][i];
            y[b] -= factor * y[a];
        }
    for (int a = CURVE - 1; a >= 0; a--) {
        for (int b = a + 1; b < CURVE; b++)
            y[a] -= m[a][b] * y[b];
        y[a] /= m[a][a];
    }
}

/* The curve with the least loss, by Newton's method as well, for all labels; straight where it is none. */
static void fit_curve(double *calibration, const Columns *c)
{
    double curve[CURVE] = {1, 1, 0}, next[CURVE];
    double n = (double)count_true(c), all = (double)c->count * c->labels;
    double high = (n + 1) / (n + 2), low = 1 / (all - n + 2);
    model_calibration_straighten(calibration, c->labels);
    CurvePoint at = look_at_curve(c, calibration, curve, high, low);
    for (int step = 0; step < MOST_STEPS; step++) {
        double move[CURVE], gain = 0, part = 1;
        CurvePoint there = at;
        memcpy(move, at.gradient, sizeof move);
        for (int a = 0; a < CURVE; a++)
            at.curvature[a][a] += 1e-6 * (1 + at.curvature[a][a]); /* features may be one and the same */
        solve(at.curvature, move);
        for (int a = 0; a < CURVE; a++)
            gain += move[a] * at.gradient[a];
        if (!(gain > 1e-10 * (1 + at.loss)))
            break;
        for (int half = 0; half < MOST_HALVINGS; half++, part /= 2) {
            for (int a = 0; a < CURVE; a++)
                next[a] = curve[a] - part * move[a];
            there = look_at_curve(c, calibration, next, high, low);
            if (there.loss <= at.loss - 1e-4 * part * gain)
                break;
        }
        if (!(there.loss < at.loss))
            break;
        memcpy(curve, next, sizeof curve);
        at = there;
    }
    if (!(curve[0] > 0 && curve[1] > 0 && isfinite(curve[0]) && isfinite(curve[1]) && isfinite(curve[2])))
        return;
    for (int32_t k = 0; k < c->labels; k++)
        for (int row = 0; row < CURVE; row++)
            calibration[(MODEL_CALIBRATION_BELOW + row) * c->labels + k] = curve[row];
}

/* ---- A temperature ---- */

/* The slope of -sum ln softmax(a z) of the true label, and its curvature: sums over texts of what is expected
 * of z less the true one's, and of its variance. */
static Point look_at_texts(const float *logits, const NnIds *truth, int64_t count, int32_t labels, double a)
{
    Point at = {0};
    for (int64_t i = 0; i < count; i++, logits += labels) {
        if (truth[i].count != 1)
            continue;
        double most = -INFINITY, sum = 0, mean = 0, square = 0, z = (double)logits[truth[i].ids[0]];
        for (int32_t k = 0; k < labels; k++)
            most = fmax(most, (double)logits[k]);
        for (int32_t k = 0; k < labels; k++) {
            double d = (double)logits[k] - most, e = exp(a * d);
            sum += e;
            mean += e * d;
            square += e * d * d;
        }
        mean /= sum;
        at.loss += log(sum) - a * (z - most);
        at.slope += mean - (z - most);
        at.slope2 += square / sum - mean * mean;
    }
    return at;
}

/* Slopes from 1/1000 to 1000. */
static double fit_temperature(const float *logits, const NnIds *truth, int64_t count, int32_t labels)
{
    double low = 1e-3, high = 1e3, a = 1;
    if (look_at_texts(logits, truth, count, labels, low).slope >=
        0) /* the less, the better: they tell nothing */
        return 1;
    for (int step = 0; step < MOST_STEPS && high / low > 1 + 1e-9; step++) {
        Point at = look_at_texts(logits, truth, count, labels, a);
        if (at.slope < 0)
            low = a;
        else
            high = a;
        double next = a - at.slope / at.slope2;
        a = next > low && next < high ? next : sqrt(low * high);
    }
    return a;
}

/* ---- Both ---- */

static uint8_t *matrix_of(const NnIds *truth, int64_t count, int32_t labels)
{
    uint8_t *matrix = reel_mem_calloc((size_t)count * (size_t)labels, sizeof *matrix);
    for (int64_t i = 0; matrix && i < count; i++)
        for (int32_t j = 0; j < truth[i].count; j++)
            matrix[i * labels + truth[i].ids[j]] = 1;
    return matrix;
}

ReelStatus model_calibration_fit(double *calibration, ModelCalibrationLine *common, const float *logits,
                                 const ModelDatasetPart *part, double strength)
{
    int32_t labels = part->num_classes;
    TensorArena arena = {0};
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    uint8_t *matrix = truth && part->task != MODEL_TASK_SINGLE ? matrix_of(truth, part->count, labels) : NULL;
    bool fine = truth && (matrix || part->task == MODEL_TASK_SINGLE);
    if (fine && part->task == MODEL_TASK_SINGLE) {
        *common = NONE;
        common->slope = fit_temperature(logits, truth, part->count, labels);
        for (int32_t k = 0; k < labels; k++) {
            calibration[k] = common->slope;
            calibration[labels + k] = 0;
        }
        model_calibration_straighten(calibration, labels);
    } else if (fine) {
        Columns all = {logits, matrix, part->count, labels, 0, labels};
        fit_labels(calibration, common, all, strength);
        fit_curve(calibration, &all);
        common->below = calibration[MODEL_CALIBRATION_BELOW * labels];
        common->above = calibration[MODEL_CALIBRATION_ABOVE * labels];
        common->bend = calibration[MODEL_CALIBRATION_BEND * labels];
    }
    reel_mem_free(matrix);
    tensor_arena_free(&arena);
    return fine ? reel_status_ok()
                : reel_status_no_memory((size_t)part->count * (size_t)labels, "the labels of a part");
}

void model_calibration_apply(const double *calibration, float *logits, int64_t texts, int32_t labels)
{
    for (int64_t i = 0; calibration && i < texts; i++, logits += labels)
        for (int32_t k = 0; k < labels; k++)
            logits[k] = (float)model_calibration_log_odds(calibration, labels, k, (double)logits[k]);
}

/* ---- Reliability ---- */

static void add_decision(ModelReliability *r, double p, bool is_true)
{
    int bin = (int)(p * MODEL_RELIABILITY_BINS);
    ModelReliabilityBin *b = &r->bins[bin < MODEL_RELIABILITY_BINS ? bin : MODEL_RELIABILITY_BINS - 1];
    b->count++;
    b->said += p;
    b->right += is_true;
}

static bool bears(NnIds truth, int32_t label)
{
    for (int32_t j = 0; j < truth.count; j++)
        if (truth.ids[j] == label)
            return true;
    return false;
}

static void add_text(ModelReliability *r, ModelTask task, const double *p, int32_t labels, NnIds truth)
{
    int32_t best = 0;
    for (int32_t k = 0; k < labels; k++) {
        if (task != MODEL_TASK_SINGLE)
            add_decision(r, p[k], bears(truth, k));
        best = p[k] > p[best] ? k : best;
    }
    if (task == MODEL_TASK_SINGLE)
        add_decision(r, p[best], bears(truth, best));
}

ReelStatus model_reliability_add(ModelReliability *reliability, const double *calibration,
                                 const float *logits, const ModelDatasetPart *part)
{
    int32_t labels = part->num_classes;
    size_t bytes = (size_t)labels * (sizeof(double) + sizeof(float));
    TensorArena arena = {0};
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    double *p = tensor_arena_alloc(&arena, (size_t)labels * sizeof *p);
    float *room = tensor_arena_alloc(&arena, (size_t)labels * sizeof *room);
    bool fine = truth && p && room;
    for (int64_t i = 0; fine && i < part->count; i++) {
        memcpy(room, logits + i * labels, (size_t)labels * sizeof *room);
        model_calibration_apply(calibration, room, 1, labels);
        model_task_probabilities(part->task, room, labels, p);
        add_text(reliability, part->task, p, labels, truth[i]);
    }
    tensor_arena_free(&arena);
    return fine ? reel_status_ok() : reel_status_no_memory(bytes, "the probabilities");
}

double model_reliability_error(const ModelReliabilityBin bins[MODEL_RELIABILITY_BINS])
{
    double sum = 0, all = 0;
    for (int b = 0; b < MODEL_RELIABILITY_BINS; b++) {
        sum += fabs(bins[b].said - (double)bins[b].right);
        all += (double)bins[b].count;
    }
    return all > 0 ? sum / all : 0;
}
