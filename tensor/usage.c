#include "tensor/usage.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

double reel_usage_cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* The kernel's high-water mark. */
double reel_usage_peak_mb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld kB", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return (double)kb / 1024;
}

void reel_usage_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

double reel_usage_most_memory(void)
{
    double most = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    struct rlimit data, all;
    if (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY && (double)data.rlim_cur < most)
        most = (double)data.rlim_cur;
    if (getrlimit(RLIMIT_AS, &all) == 0 && all.rlim_cur != RLIM_INFINITY && (double)all.rlim_cur < most)
        most = (double)all.rlim_cur;
    return most;
}
