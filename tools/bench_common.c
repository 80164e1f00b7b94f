#define _GNU_SOURCE
#include "tensor/pool.h"
#include "tensor/vmath.h"
#include "tools/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void bench_describe_machine(ReelJsonWriter *json)
{
    char name[256];
    int processors = tensor_pool_processors();
    const char *vectors = tensor_vmath_level_name(tensor_vmath_level());
    double load;
    if (getloadavg(&load, 1) != 1)
        load = NAN;
    processor_name(name, sizeof name);
    reel_json_string(json, "processor", name);
    reel_json_integer(json, "processors", processors);
    reel_json_string(json, "vectors", vectors);
    reel_json_number(json, "load_average", load);
    printf("%s, %d processors; vectors %s; load average %.1f\n", name, processors, vectors, load);
}

void bench_begin(ReelJsonWriter *json)
{
    reel_json_begin_object(json, NULL);
    bench_describe_machine(json);
}

ReelStatus bench_end(ReelJsonWriter *json, const BenchOptions *options, ReelStatus status)
{
    reel_json_end_object(json);
    ReelStatus written = reel_json_save(json, reel_status_is_ok(&status) ? options->json : NULL);
    return reel_status_is_ok(&status) ? written : status;
}
