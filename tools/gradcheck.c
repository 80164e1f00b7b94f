/* Checks the gradient of every op and prints a table. */
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tools/program.h"

#include <stdio.h>
#include <string.h>

typedef struct Settings {
    const char *op;
    uint64_t seed;
    int seeds;
    bool json;
} Settings;

/* What was found about one op. */
typedef struct Row {
    int layouts;
    int64_t checked;
    double worst, worst_f32, worst_second;
    ReelStatus status; /* the first failure */
} Row;

static void note(Row *row, const TapeGradcheckResult *result, double *worst)
{
    row->checked += result->checked;
    if (!(result->worst_error <= *worst))
        *worst = result->worst_error;
    if (reel_status_is_ok(&row->status))
        row->status = result->status;
}

static Row check_op(const OpKind *op, const Settings *settings)
{
    Row row = {.status = reel_status_ok()};
    for (OpLayout layout = 0; layout < OP_LAYOUT_COUNT; layout++, row.layouts++)
        for (uint64_t i = 0; i < (uint64_t)settings->seeds; i++) {
            TapeGradcheckResult wide = op_gradcheck(op, layout, settings->seed + i);
            TapeGradcheckResult narrow = op_gradcheck_f32(op, layout, settings->seed + i);
            TapeGradcheckResult twice = op_gradcheck_twice(op, layout, settings->seed + i);
            note(&row, &wide, &row.worst);
            note(&row, &twice, &row.worst_second);
            narrow.checked = 0;
            note(&row, &narrow, &row.worst_f32);
        }
    /* Nothing compared is nothing checked. */
    if (row.checked == 0 && reel_status_is_ok(&row.status))
        row.status = reel_status_failed("%s: no element was compared", op->name);
    return row;
}

static void print_row(const OpKind *op, const Row *row, const Settings *settings)
{
    bool ok = reel_status_is_ok(&row->status);
    if (settings->json) {
        printf("{\"op\": \"%s\", \"layouts\": %d, \"elements\": %lld, \"worst_error\": %.3g, "
               "\"worst_error_f32\": %.3g, \"worst_error_second\": %.3g, \"ok\": %s}\n",
               op->name, row->layouts, (long long)row->checked, row->worst, row->worst_f32, row->worst_second,
               ok ? "true" : "false");
        return;
    }
    printf("%-22s %7d %9lld %12.1e %12.1e %12.1e  %s\n", op->name, row->layouts, (long long)row->checked,
           row->worst, row->worst_f32, row->worst_second, ok ? "ok" : "WRONG");
    if (!ok)
        printf("    %s\n", row->status.message);
}

/* Checks the ops and prints what comes of it. */
static ReelStatus check_ops(const Settings *settings)
{
    int wrong = 0, checked = 0;
    if (settings->op && !op_find(settings->op))
        return reel_status_usage("--op %s: there is no such op; without --op all are listed", settings->op);
    if (!settings->json)
        printf("%-22s %7s %9s %12s %12s %12s\n", "op", "layouts", "elements", "worst error", "f32 vs f64",
               "second");
    for (int i = 0; i < op_count(); i++) {
        const OpKind *op = op_at(i);
        if (settings->op && strcmp(settings->op, op->name) != 0)
            continue;
        Row row = check_op(op, settings);
        print_row(op, &row, settings);
        checked++;
        wrong += !reel_status_is_ok(&row.status);
    }
    if (!settings->json)
        printf("%d ops checked, %d wrong (tolerance %g)\n", checked, wrong, TAPE_GRADCHECK_TOLERANCE);
    return wrong ? reel_status_failed("the gradients of %d of %d ops are wrong", wrong, checked)
                 : reel_status_ok();
}

int main(int argc, char **argv)
{
    Settings settings = {.seeds = 3};
    const ModelOption options[] = {
        {"op", "NAME", MODEL_OPTION_TEXT, &settings.op, 0, 0, "this op alone"},
        {"seed", "N", MODEL_OPTION_SEED, &settings.seed, 0, 0, "the first seed of shapes and values (0)"},
        {"seeds", "N", MODEL_OPTION_INTEGER, &settings.seeds, 1, 1000, "how many seeds to go through (3)"},
        {"json", NULL, MODEL_OPTION_FLAG, &settings.json, 0, 0,
         "one JSON object a line instead of the table"},
    };
    const Program program = {
        .name = "reel-gradcheck",
        .summary = "check the gradient of every op",
        .synopsis = "[options]",
        .description = "Checks the backward of every op against central differences in f64, f32 against f64, "
                       "and the op's formula and its derivative against differences, with inputs "
                       "in all layouts (contiguous, transposed, sliced, broadcast, size-1, empty, behind "
                       "another op, large).\n"
                       "Exit code: 0 all gradients are right, 1 some are wrong, 2 wrong usage.",
        .options = options,
        .count = OPTION_COUNT(options),
    };
    ReelStatus status;
    if (program_reads(&program, argc, argv, NULL, NULL, &status))
        status = check_ops(&settings);
    return program_report(&status);
}
