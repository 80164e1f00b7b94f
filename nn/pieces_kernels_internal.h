/* The kernel of pieces.c: see tensor/each_real.h. */

const REAL *FN(nn_sum_addends)(const Addend *addends, int count, int first, int leaves, int64_t at, int64_t n,
                               SumBuffer *buffers)
{
    if (count == 1)
        return (const REAL *)addends->data + at;
    int cut = nn_sum_cut(leaves), left = 0;
    while (left < count && addends[left].place < first + cut)
        left++;
    if (left == 0)
        return FN(nn_sum_addends)(addends, count, first + cut, leaves - cut, at, n, buffers);
    if (left == count)
        return FN(nn_sum_addends)(addends, count, first, cut, at, n, buffers);
    const REAL *x = FN(nn_sum_addends)(addends, left, first, cut, at, n, buffers);
    const REAL *y =
        FN(nn_sum_addends)(addends + left, count - left, first + cut, leaves - cut, at, n, buffers + 1);
    REAL *sum = (REAL *)(void *)buffers;
    for (int64_t j = 0; j < n; j++)
        sum[j] = x[j] + y[j];
    return sum;
}
