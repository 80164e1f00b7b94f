/* Checks the gradient of every op and prints a table. */
#include "autograd/gradcheck.h"
#include "autograd/ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: gradcheck [--op NAME] [--seed N] [--seeds COUNT] [--json] [--help]\n"
    "\n"
    "Checks the backward of every op against central differences in f64, and f32 against f64, with inputs\n"
    "in all layouts (contiguous, transposed, sliced, broadcast, size-1, empty, behind another op, large).\n"
    "\n"
    "  --op NAME      this op alone\n"
    "  --seed N       the first seed of shapes and values (default 0)\n"
    "  --seeds COUNT  how many seeds to go through (default 3)\n"
    "  --json         one JSON object a line instead of the table\n"
    "\n"
    "Exit code: 0 all gradients are right, 1 some are wrong, 2 wrong usage.\n";

typedef struct Options {
    const char *op;
    uint64_t seed, seeds;
    bool json;
} Options;

/* What was found about one op. */
typedef struct Row {
    int layouts;
    int64_t checked;
    double worst, worst_f32;
    Status status; /* the first failure */
} Row;

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || parsed < least || parsed > most)
        return false;
    *value = parsed;
    return true;
}

/* Returns whether to go on; otherwise *code is the exit code. */
static bool parse(int argc, char **argv, Options *options, int *code)
{
    *code = STATUS_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            *code = STATUS_OK;
            return false;
        }
        if (strcmp(name, "--json") == 0) {
            options->json = true;
            continue;
        }
        bool known = strcmp(name, "--op") == 0 || strcmp(name, "--seed") == 0 || strcmp(name, "--seeds") == 0;
        if (!known || !value) {
            fprintf(stderr,
                    known ? "gradcheck: %s needs a value\n" : "gradcheck: unknown option %s; see --help\n",
                    name);
            return false;
        }
        i++;
        if (strcmp(name, "--op") == 0) {
            options->op = value;
            if (op_find(value))
                continue;
            fprintf(stderr, "gradcheck: there is no op named %s; without --op all are listed\n", value);
            return false;
        }
        bool count = strcmp(name, "--seeds") == 0;
        if (!parse_number(value, count, count ? 1000 : UINT64_MAX,
                          count ? &options->seeds : &options->seed)) {
            fprintf(stderr, "gradcheck: %s needs a whole number%s, not %s\n", name,
                    count ? " from 1 to 1000" : "", value);
            return false;
        }
    }
    return true;
}

static void note(Row *row, const GradcheckResult *result, double *worst)
{
    row->checked += result->checked;
    if (!(result->worst_error <= *worst))
        *worst = result->worst_error;
    if (status_is_ok(&row->status))
        row->status = result->status;
}

static Row check_op(const Op *op, const Options *options)
{
    Row row = {.status = status_ok()};
    for (Layout layout = 0; layout < LAYOUT_COUNT; layout++, row.layouts++)
        for (uint64_t i = 0; i < options->seeds; i++) {
            GradcheckResult wide = gradcheck_op(op, layout, options->seed + i);
            GradcheckResult narrow = gradcheck_op_f32(op, layout, options->seed + i);
            note(&row, &wide, &row.worst);
            narrow.checked = 0;
            note(&row, &narrow, &row.worst_f32);
        }
    /* Nothing compared is nothing checked. */
    if (row.checked == 0 && status_is_ok(&row.status))
        row.status = status_failed("%s: no element was compared", op->name);
    return row;
}

static void print_row(const Op *op, const Row *row, const Options *options)
{
    bool ok = status_is_ok(&row->status);
    if (options->json) {
        printf("{\"op\": \"%s\", \"layouts\": %d, \"elements\": %lld, \"worst_error\": %.3g, "
               "\"worst_error_f32\": %.3g, \"ok\": %s}\n",
               op->name, row->layouts, (long long)row->checked, row->worst, row->worst_f32,
               ok ? "true" : "false");
        return;
    }
    printf("%-16s %7d %9lld %12.1e %12.1e  %s\n", op->name, row->layouts, (long long)row->checked, row->worst,
           row->worst_f32, ok ? "ok" : "WRONG");
    if (!ok)
        printf("    %s\n", row->status.message);
}

int main(int argc, char **argv)
{
    Options options = {.seeds = 3};
    int code, wrong = 0, checked = 0;
    if (!parse(argc, argv, &options, &code))
        return code;
    if (!options.json)
        printf("%-16s %7s %9s %12s %12s\n", "op", "layouts", "elements", "worst error", "f32 vs f64");
    for (int i = 0; i < op_count(); i++) {
        const Op *op = op_at(i);
        if (options.op && strcmp(options.op, op->name) != 0)
            continue;
        Row row = check_op(op, &options);
        print_row(op, &row, &options);
        checked++;
        wrong += !status_is_ok(&row.status);
    }
    if (!options.json)
        printf("%d ops checked, %d wrong (tolerance %g)\n", checked, wrong, GRADCHECK_TOLERANCE);
    return wrong ? STATUS_FAILED : STATUS_OK;
}
