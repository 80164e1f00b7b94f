/* Each op of the list alone, on one thread, against what this machine can do. */
#include "autograd/ops.h"
#include "tensor/clock.h"
#include "tools/bench.h"
#include "tools/bench_limits.h"
#include "tools/measure.h"

#include <math.h>
#include <stdio.h>

/* How long each direction of an op is measured. */
static const double SECONDS = 0.05;

/* Inputs that the second-level cache holds, and inputs that it does not. */
static const int64_t sizes[] = {1 << 15, 1 << 20};

typedef struct Cost {
    double seconds; /* median; NaN: there is none */
    double gflop;   /* in products */
    double bytes;   /* that must be moved at least */
} Cost;

static Cost cost_of(MeasureCost *measured, double bytes)
{
    double seconds = measured->count ? model_spread_median(measured->times, measured->count) : NAN;
    return (Cost){.seconds = seconds, .gflop = measured->gflop, .bytes = bytes};
}

typedef struct Limits {
    double gflops, copy; /* GFLOP/s, and GB/s of copies as large as the inputs; on one thread */
} Limits;

/* The best of some tries: a limit is not what a busy machine leaves of it. */
static Limits find_limits(int64_t elements)
{
    Limits limits = {0};
    for (int i = 0; i < 5; i++) {
        limits.gflops = fmax(limits.gflops, limits_sgemm(1));
        limits.copy = fmax(limits.copy, limits_copy(1, (size_t)elements * sizeof(float) / 2));
    }
    return limits;
}

/* "123.4 us  56.7 GB/s  80%": the rate is that of products where there are any; none for a view. */
static void print_cost(const Cost *cost, const Limits *limits)
{
    if (isnan(cost->seconds)) {
        printf(" %10s %15s %5s", "-", "", "");
        return;
    }
    bool products = cost->gflop > 0;
    double rate = (products ? cost->gflop : 1e-9 * cost->bytes) / cost->seconds;
    printf(" %10.1f", 1e6 * cost->seconds);
    if (!products && cost->bytes == 0)
        printf(" %15s %5s", "view", "");
    else
        printf(" %7.1f %-7s %4.0f%%", rate, products ? "GFLOP/s" : "GB/s",
               100 * rate / (products ? limits->gflops : limits->copy));
}

static void write_cost(ReelJsonWriter *json, const char *key, const Cost *cost)
{
    reel_json_begin_object(json, key);
    reel_json_number(json, "us", 1e6 * cost->seconds);
    reel_json_number(json, "bytes", cost->bytes);
    reel_json_number(json, "gb_per_s", 1e-9 * cost->bytes / cost->seconds);
    reel_json_number(json, "gflop", cost->gflop);
    reel_json_number(json, "gflops", cost->gflop / cost->seconds);
    reel_json_end_object(json);
}

static ReelStatus bench_op(const OpKind *op, int64_t elements, uint64_t seed, const Limits *limits,
                           ReelJsonWriter *json)
{
    OpMeasure m;
    ReelStatus status = measure_op(&m, op, elements, seed, SECONDS);
    if (!reel_status_is_ok(&status))
        return status;
    bool view = m.output_bytes == 0;
    Cost forward = cost_of(&m.forward, view ? 0 : (double)(m.input_bytes + m.output_bytes));
    Cost backward = cost_of(&m.backward, m.grad_bytes ? (double)(m.grad_bytes + m.output_bytes) : 0);
    printf("%-22s %9lld", op->name, (long long)m.elements);
    print_cost(&forward, limits);
    print_cost(&backward, limits);
    printf("  %s\n", m.shapes);
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", op->name);
    reel_json_string(json, "inputs", m.shapes);
    reel_json_integer(json, "elements", m.elements);
    reel_json_bool(json, "view", view);
    reel_json_number(json, "limit_gflops", limits->gflops);
    reel_json_number(json, "limit_gb_per_s", limits->copy);
    write_cost(json, "forward", &forward);
    write_cost(json, "backward", &backward);
    reel_json_end_object(json);
    return status;
}

/* What an op costs by itself: tanh and mul in turn, of one number. */
static ReelStatus measure_own_cost(ReelJsonWriter *json)
{
    enum { OPS = 100000, STEPS = 5 };
    double one = 0.5, factor = 1.0001, first[2] = {0}, least[2] = {INFINITY, INFINITY};
    Tape *tape = tape_new();
    if (!tape)
        return reel_status_no_memory(0, "a tape");
    for (int step = 0; step < STEPS && tape_ok(tape); step++) {
        tape_begin(tape);
        double start = reel_clock_seconds();
        Var x = tape_leaf(tape, tensor_from(&one, TENSOR_F64, 0, NULL)), y = x;
        Var k = tape_leaf(tape, tensor_from(&factor, TENSOR_F64, 0, NULL));
        for (int i = 0; i < OPS; i += 2)
            y = var_mul(var_tanh(y), k);
        double half = reel_clock_seconds();
        tape_backward(y);
        double took[2] = {(half - start) / OPS * 1e9, (reel_clock_seconds() - half) / OPS * 1e9};
        for (int way = 0; way < 2; way++) {
            first[way] = step == 0 ? took[way] : first[way];
            least[way] = fmin(least[way], took[way]);
        }
    }
    ReelStatus status = *tape_status(tape);
    double bytes = (double)tape_peak_bytes(tape) / OPS;
    tape_free(tape);
    printf("an op on one number: forward %.0f ns, backward %.0f ns (in the first step %.0f and %.0f), %.0f "
           "bytes of "
           "data and gradients\n",
           least[0], least[1], first[0], first[1], bytes);
    reel_json_begin_object(json, "own_cost");
    reel_json_number(json, "forward_ns", least[0]);
    reel_json_number(json, "backward_ns", least[1]);
    reel_json_number(json, "first_forward_ns", first[0]);
    reel_json_number(json, "first_backward_ns", first[1]);
    reel_json_end_object(json);
    return status;
}

ReelStatus bench_ops(const BenchOptions *options)
{
    if (options->op && !op_find(options->op))
        return reel_status_usage("there is no op %s", options->op);
    ReelJsonWriter json = {0};
    Limits limits[2] = {find_limits(sizes[0]), find_limits(sizes[1])};
    ReelStatus status = reel_status_ok();
    bench_begin(&json);
    for (int i = 0; i < 2; i++)
        printf("limits on one thread, %lld elements: products %.1f GFLOP/s, copies %.1f GB/s (read and "
               "written)\n",
               (long long)sizes[i], limits[i].gflops, limits[i].copy);
    if (!options->op)
        status = measure_own_cost(&json);
    printf("bytes are the least that must be moved: inputs and outputs; backward, the gradients of both\n");
    printf("%-22s %9s %10s %15s %5s %10s %15s %5s  %s\n", "op", "elements", "forward us", "", "limit",
           "backw. us", "", "limit", "inputs");
    reel_json_begin_array(&json, "ops");
    for (int i = 0; i < op_count() && reel_status_is_ok(&status); i++)
        for (int size = 0; size < 2 && reel_status_is_ok(&status); size++)
            if (!options->op || op_at(i) == op_find(options->op))
                status = bench_op(op_at(i), sizes[size], options->seed, &limits[size], &json);
    reel_json_end_array(&json);
    return bench_end(&json, options, status);
}
