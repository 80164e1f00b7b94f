#include "nn/optimizer.h"

#include <math.h>

double nn_schedule_lr(const NnSchedule *schedule, int64_t step)
{
    double lr = schedule->lr;
    if (step < schedule->warmup)
        return lr * (double)(step + 1) / (double)schedule->warmup;
    switch (schedule->kind) {
    case NN_CONSTANT:
        break;
    case NN_STEP:
        if (schedule->period > 0)
            lr *= pow(schedule->factor, (double)(step / schedule->period));
        break;
    case NN_COSINE: {
        /* Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts */
        double left = (double)(schedule->total - schedule->warmup);
        double done = left > 0 ? (double)(step - schedule->warmup) / left : 1;
        done = done > 1 ? 1 : done;
        lr = schedule->floor + (lr - schedule->floor) * 0.5 * (1 + cos(3.14159265358979323846 * done));
        break;
    }
    }
    return lr;
}
