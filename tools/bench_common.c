#define _GNU_SOURCE
#include "tensor/pool.h"
#include "tensor/vmath.h"
#include "tools/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    if (count < 1)
        return NAN;
    qsort(values, (size_t)count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* ---- The machine ---- */

static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

static double load_average(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : NAN;
}

void bench_describe_machine(ReelJsonWriter *json)
{
    char name[256];
    processor_name(name, sizeof name);
    reel_json_string(json, "processor", name);
    reel_json_integer(json, "processors", tensor_pool_processors());
    reel_json_string(json, "vectors", tensor_vmath_level_name(tensor_vmath_level()));
    reel_json_number(json, "load_average", load_average());
}

void bench_print_machine(void)
{
    char name[256];
    processor_name(name, sizeof name);
    printf("%s, %d processors; vectors %s; load average %.1f\n", name, tensor_pool_processors(),
           tensor_vmath_level_name(tensor_vmath_level()), load_average());
}
