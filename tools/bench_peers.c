/* One of the models that PyTorch has a peer of, a training step for each line that is read. */
#include "tools/bench_peers.h"
#include "tensor/clock.h"
#include "tensor/flops.h"
#include "tensor/mem.h"
#include "tensor/storage/npz_writer.h"
#include "tensor/vmath.h"
#include "tools/bench_limits.h"

#include <stdio.h>
#include <string.h>

typedef struct Run {
    const BenchPeer *peer;
    NnModule *module;
    Tensor numbers;
} Run;

static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    const Run *run = context;
    int examples = run->peer->examples;
    int count = examples * (shard + 1) / shards - examples * shard / shards;
    return var_scale(run->peer->loss(run->module, tape, count), (double)count / examples, 0);
}

/* ---- What PyTorch's gradients are compared with: tests/pytorch_gradients.py ---- */

/* No dropout; what has running statistics goes on by those of the batch, as while training. */
static void stop_noise(NnModule *module)
{
    bool has_buffers = false;
    for (NnIterator it = nn_iterate(module); nn_next(&it);)
        has_buffers = has_buffers || it.named.parameter->is_buffer;
    nn_module_train(module, has_buffers);
    bench_peers_draw_noise(false);
}

static ReelStatus write_gradients(const Run *run, Tape *tape, const char *path)
{
    TensorNpzWriter *writer;
    ReelStatus status = tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1});
    if (!reel_status_is_ok(&status))
        return status;
    tensor_npz_add_tensor(writer, "numbers", run->numbers);
    for (NnIterator it = nn_iterate(run->module); nn_next(&it);) {
        if (it.named.parameter->is_buffer)
            continue;
        char name[NN_NAME_SIZE + 8];
        snprintf(name, sizeof name, "grad/%s", it.named.name);
        tensor_npz_add_tensor(writer, it.named.name, nn_named_view(&it.named));
        tensor_npz_add_tensor(writer, name, nn_gradient(run->module, it.named.name, tape));
    }
    return tensor_npz_writer_finish(writer);
}

static ReelStatus check(const Run *run, const char *path)
{
    Tape *tape = tape_new();
    if (!tape)
        return reel_status_no_memory(0, "a tape");
    stop_noise(run->module);
    Var loss = run->peer->loss(run->module, tape, run->peer->examples);
    tape_backward(loss);
    ReelStatus status = *tape_status(tape);
    if (reel_status_is_ok(&status))
        status = write_gradients(run, tape, path);
    printf("{\"loss\": %.9g}\n", var_item(loss));
    tape_free(tape);
    return status;
}

/* ---- Steps ---- */

static ReelStatus answer_lines(Run *run, NnParallel *parallel, NnOptimizer *optimizer, int threads)
{
    char line[512];
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "check ", 6) == 0) {
            status = check(run, line + 6);
        } else if (strncmp(line, "peak", 4) == 0) {
            printf("{\"peak_gflops\": %.1f}\n", limits_sgemm(threads));
        } else {
            double loss, started = reel_clock_seconds();
            uint64_t flops = tensor_flops_count();
            status = nn_parallel_backward(parallel, loss_of_shard, run, &loss);
            if (reel_status_is_ok(&status))
                status = nn_optimizer_step(optimizer, nn_parallel_pieces(parallel));
            printf("{\"step_ms\": %.4f, \"loss\": %.6g, \"gflop\": %.6g}\n",
                   1e3 * (reel_clock_seconds() - started), loss,
                   1e-9 * (double)(tensor_flops_count() - flops));
        }
        fflush(stdout);
    }
    return status;
}

static ReelStatus run_lines(Run *run, int threads, uint64_t seed)
{
    const BenchPeer *peer = run->peer;
    int shards = threads < peer->most_shards ? threads : peer->most_shards;
    NnParallel *parallel = NULL;
    NnOptimizer *optimizer = NULL;
    run->numbers = bench_peers_draw(seed);
    peer->init(run->module);
    ReelStatus status = nn_module_reset(run->module, seed);
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(&parallel, run->module,
                                 &(NnParallelOptions){.shards = shards, .threads = shards, .seed = seed});
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, run->module, nn_optimizer_options(peer->optimizer));
    if (reel_status_is_ok(&status)) {
        printf("{\"params\": %lld, \"vectors\": \"%s\"}\n", (long long)nn_module_count(run->module),
               tensor_vmath_level_name(tensor_vmath_level()));
        fflush(stdout);
        status = answer_lines(run, parallel, optimizer, threads);
    }
    nn_optimizer_free(optimizer);
    nn_parallel_free(parallel);
    nn_module_free(run->module);
    return status;
}

/* ---- Programs ---- */

const BenchProgram bench_programs[] = {{"beam_search", bench_check_beam_search}, {"loop", bench_check_loop}};
const int bench_program_count = sizeof bench_programs / sizeof *bench_programs;

static ReelStatus check_program(const BenchProgram *program, const char *path, uint64_t seed)
{
    TensorNpzWriter *writer;
    ReelStatus status = tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1});
    if (!reel_status_is_ok(&status))
        return status;
    ReelStatus checked = program->check(seed, writer);
    status = tensor_npz_writer_finish(writer);
    return reel_status_is_ok(&checked) ? status : checked;
}

static ReelStatus run_program(const BenchProgram *program, uint64_t seed)
{
    char line[512];
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "check ", 6) != 0)
            return reel_status_usage("--peer %s: answers \"check PATH\" alone", program->name);
        status = check_program(program, line + 6, seed);
    }
    return status;
}

ReelStatus bench_peer(const char *name, int threads, uint64_t seed)
{
    for (int i = 0; i < bench_peer_count; i++) {
        if (strcmp(bench_peers[i].name, name) != 0)
            continue;
        Run run = {.peer = &bench_peers[i], .module = reel_mem_calloc(1, bench_peers[i].size)};
        if (!run.module)
            return reel_status_no_memory(bench_peers[i].size, "the model");
        ReelStatus status = run_lines(&run, threads, seed);
        reel_mem_free(run.module);
        return status;
    }
    for (int i = 0; i < bench_program_count; i++)
        if (strcmp(bench_programs[i].name, name) == 0)
            return run_program(&bench_programs[i], seed);
    return reel_status_usage("--peer %.40s: there is no such model; tools/pytorch_peers.py has the list",
                             name);
}
