/* The contract of tools/bench: its options, and the names in its JSON. */
#include "tensor/storage/json_reader.h"
#include "tensor/storage/npz.h"
#include "tools/bench_draw.h"
#include "tools/bench_limits.h"
#include "tools/bench_products.h"
#include "tools/bench_peers.h"
#include "tools/bench_run.h"
#include "tools/bench_svg.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the program; returns its exit code. */
static int run(const char *arguments)
{
    const char *folder = getenv("REEL_TOOLS");
    char command[1024];
    snprintf(command, sizeof command, "%s/bench %s > /dev/null 2>&1", folder ? folder : "tools", arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A file's text, to be freed; it is removed. */
static char *take_file(const char *path)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s was not written", path);
    char *text = calloc(1, 1 << 16);
    size_t size = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    unlink(path);
    ck_assert_uint_gt(size, 0);
    return text;
}

/* Fails where it is no JSON. */
static void check_json(const char *text)
{
    ReelJsonReader json;
    reel_json_reader_open(&json, text, strlen(text), "the results");
    reel_json_reader_skip(&json);
    reel_json_reader_end(&json);
    ck_assert_msg(reel_status_is_ok(&json.status), "%s\n%s", json.status.message, text);
    reel_json_reader_close(&json);
}

static int count(const char *text, const char *word)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        found++;
    return found;
}

START_TEST(every_model_has_every_name)
{
    static const char *const names[] = {"name",
                                        "step_ms",
                                        "forward_ms",
                                        "backward_ms",
                                        "optimizer_ms",
                                        "gflop_notebook",
                                        "gflop_executed",
                                        "gflops",
                                        "peak_gflops",
                                        "share_of_peak",
                                        "share_of_products_alone",
                                        "tokens_per_s",
                                        "peak_rss_mb",
                                        "mallocs_per_step",
                                        "threads"};
    char path[64], arguments[512];
    snprintf(path, sizeof path, "/tmp/reel_bench_%d.json", (int)getpid());
    snprintf(
        arguments, sizeof arguments,
        "--models rnn,own_cell --batch 3 --len 4 --vocab 50 --distinct 20 --embed 4 --hidden 6 --labels 3 "
        "--threads 2 --seed 5 --steps 2 --rounds 1 --json %s",
        path);
    ck_assert_int_eq(run(arguments), 0);
    char *text = take_file(path);
    check_json(text);
    ck_assert_int_eq(count(text, "\"models\": ["), 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char key[64];
        snprintf(key, sizeof key, "\n      \"%s\": ", names[i]);
        ck_assert_msg(count(text, key) == 2, "%s stands there %d times\n%s", names[i], count(text, key),
                      text);
    }
    free(text);
}
END_TEST

START_TEST(byte_pairs_have_every_name)
{
    static const char *const names[] = {"train_8k_s",       "train_32k_s",         "encode_mb_s",
                                        "encode_gpt2_mb_s", "decode_mb_s",         "peak_rss_mb",
                                        "threads",          "train_32k_threads_s", "encode_threads_mb_s"};
    char text_path[64], path[64], arguments[512];
    snprintf(text_path, sizeof text_path, "/tmp/reel_bench_%d.txt", (int)getpid());
    snprintf(path, sizeof path, "/tmp/reel_bench_%d.json", (int)getpid());
    FILE *file = fopen(text_path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 3000; i++)
        fprintf(file, "line %d of a text, number %d, and don't forget %x\n", i, i * 7919 % 1000, i * 40503);
    fclose(file);
    for (int threads = 1; threads <= 2; threads++) {
        snprintf(arguments, sizeof arguments, "--bpe %s --threads %d --rounds 3 --json %s", text_path,
                 threads, path);
        ck_assert_int_eq(run(arguments), 0);
        char *text = take_file(path);
        check_json(text);
        ck_assert_int_eq(count(text, "\"bpe\": {"), 1);
        for (size_t i = 0; i < (threads == 1 ? 7 : sizeof names / sizeof names[0]); i++) {
            char key[64];
            snprintf(key, sizeof key, "\n    \"%s\": ", names[i]);
            ck_assert_msg(count(text, key) == 1, "%s stands there %d times\n%s", names[i], count(text, key),
                          text);
        }
        ck_assert_int_eq(count(text, "threads_s"), threads - 1);
        free(text);
    }
    unlink(text_path);
    ck_assert_int_eq(run("--bpe /nowhere/text.txt"), REEL_STATUS_FAILED);
}
END_TEST

START_TEST(wrong_usage_is_told_apart)
{
    static const char *const wrong[] = {"--models none",
                                        "--batch 0",
                                        "--vocab 10 --distinct 11",
                                        "--unknown",
                                        "--len 100000 --batch 100000",
                                        "--labels 100000 --batch 100000",
                                        "--threads 0",
                                        "--seed 9223372036854775808",
                                        "--scaling --threads 65",
                                        "--exchange",
                                        "--exchange --ranks 2 --vocab 799",
                                        "--growth --ranks 2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(run(wrong[i]) == REEL_STATUS_USAGE, "%s", wrong[i]);
    ck_assert_int_eq(run("--help"), 0);
}
END_TEST

static double number_in(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    ck_assert_msg(at != NULL, "no %s in %s", name, text);
    return atof(at + strlen(name));
}

START_TEST(ranks_measure_what_they_send)
{
    char path[64], arguments[512];
    snprintf(path, sizeof path, "/tmp/reel_bench_%d.json", (int)getpid());
    snprintf(arguments, sizeof arguments, "--exchange --ranks 2 --shards 4 --vocab 2000 --steps 3 --json %s",
             path);
    ck_assert_int_eq(run(arguments), 0);
    char *text = take_file(path);
    check_json(text);
    double formula = number_in(text, "\"formula\": ");
    ck_assert_double_eq_tol(number_in(text, "\"sent\": "), formula, 0.03 * formula);
    ck_assert_double_ge(number_in(text, "\"message_seconds\": "),
                        number_in(text, "\"least_message_seconds\": "));
    ck_assert_double_gt(number_in(text, "\"bytes_a_second\": "), 0);
    ck_assert_double_ge(number_in(text, "\"network\": "), 0);
    free(text);
}
END_TEST

#define TINY                                                                                                 \
    "--batch 2 --len 3 --vocab 20 --embed 2 --hidden 2 --labels 2 --threads 1 --steps 1 --rounds 1 "         \
    "--models "

START_TEST(other_measurements_give_json_too)
{
    static const char *const ways[] = {"--scaling --threads 2", "--pipeline tests/fixtures/debian_120.tsv",
                                       "--serving tests/fixtures/debian_120.tsv"};
    char path[64], arguments[512];
    snprintf(path, sizeof path, "/tmp/reel_bench_%d.json", (int)getpid());
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(arguments, sizeof arguments, TINY "rnn %s --json %s", ways[i], path);
        ck_assert_int_eq(run(arguments), 0);
        char *text = take_file(path);
        check_json(text);
        free(text);
    }
    ck_assert_int_eq(run("--pipeline /nowhere/data.tsv"), REEL_STATUS_FAILED);
    ck_assert_int_eq(run("--serving /nowhere/data.tsv"), REEL_STATUS_FAILED);
    ck_assert_int_eq(run("--serving tests/fixtures/debian_120.tsv --models nobody"), REEL_STATUS_USAGE);
}
END_TEST

START_TEST(where_results_cannot_go_is_said_before_measuring)
{
    ck_assert_int_eq(run("--growth --json /nowhere/bench.json"), REEL_STATUS_FAILED);
    ck_assert_int_eq(run("--growth --drawing /nowhere/bench.svg"), REEL_STATUS_FAILED);
    ck_assert_int_eq(run("--growth --json /tmp"), REEL_STATUS_FAILED);
}
END_TEST

/* Powers stand at even distances; what is not above 0 is left out; a panel may be empty. */
START_TEST(curves_are_drawn_on_logarithmic_axes)
{
    SvgPanel panels[2] = {
        {.title = "a & b", .x_label = "tokens", .y_label = "ms", .base_2 = true, .count = 1},
        {.title = "nothing", .x_label = "x", .y_label = "y"}};
    panels[0].curves[0] =
        (SvgCurve){.name = "rnn", .count = 5, .x = {2, 4, 0, 8, 8}, .y = {1, 10, 5, 100, NAN}};
    char path[64];
    snprintf(path, sizeof path, "/tmp/reel_bench_%d.svg", (int)getpid());
    ck_assert_ok(svg_write(path, panels, 2));
    char *text = take_file(path);
    double x[3], y[3];
    const char *line = strstr(text, "stroke-dasharray");
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(sscanf(strstr(line, " d="), " d=\"M%lf %lfL%lf %lfL%lf %lf\"/>", &x[0], &y[0], &x[1],
                            &y[1], &x[2], &y[2]),
                     6);
    ck_assert_double_eq_tol(x[1] - x[0], x[2] - x[1], 0.11);
    ck_assert_double_eq_tol(y[1] - y[0], y[2] - y[1], 0.11);
    ck_assert(x[2] > x[0] && y[2] < y[0]);
    for (const char *const *part = (const char *const[]){">2<", ">4<", ">8<", ">1<", ">10<", ">100<",
                                                         "a &amp; b", "nothing", "</svg>", NULL};
         *part; part++)
        ck_assert_msg(strstr(text, *part) != NULL, "%s", *part);
    ck_assert(!strstr(text, "nan") && !strstr(text, "inf"));
    free(text);
    ck_assert_failed(svg_write("/nowhere/bench.svg", panels, 2), REEL_STATUS_FAILED, "/nowhere");
}
END_TEST

START_TEST(products_are_multiplied_again)
{
    BenchProducts products = {0};
    bench_products_note(&products);
    for (int i = 0; i < 300; i++) /* more than the list had room for */
        tensor_flops_add_product((TensorProductKind)(i % 3), 1 + i % 7, 64, 32);
    bench_products_stop();
    tensor_flops_add_product(TENSOR_PRODUCT_PLAIN, 1, 1, 1);
    ck_assert_int_eq(products.count, 300);
    ck_assert_double_gt(bench_products_gflops(&products), 0);
    ck_assert_int_eq(products.count, 0);
    bench_products_free(&products);
}
END_TEST

/* Each model takes a file number for its process. */
START_TEST(too_few_file_numbers_are_an_error)
{
    const char *folder = getenv("REEL_TOOLS");
    char command[1024];
    snprintf(command, sizeof command, "ulimit -n 14; exec %s/bench " TINY "all > /dev/null 2>&1",
             folder ? folder : "tools");
    int status = system(command);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), REEL_STATUS_FAILED);
}
END_TEST

START_TEST(limits_are_positive)
{
    for (int threads = 1; threads <= 3; threads++) {
        ck_assert_double_gt(limits_sgemm(threads), 0);
        ck_assert_double_gt(limits_copy(threads, 1 << 16), 0);
    }
}
END_TEST

START_TEST(words_are_spread_over_the_vocabulary)
{
    BenchShape shape = {.batch = 50, .len = 40, .vocab = 1004, .distinct = 10, .labels = 4};
    BenchDraw draw;
    int counts[10] = {0};
    ck_assert(bench_draw_init(&draw, &shape, 1));
    for (int round = 0; round < 20; round++) {
        ModelBatch batch = bench_draw_next(&draw);
        ck_assert_int_eq(batch.num_ids, 50 * 40);
        for (int i = 0; i < batch.num_ids; i++) {
            ck_assert_int_eq((batch.texts[0].ids[i] - 4) % 100, 0);
            ck_assert_int_lt(batch.texts[0].ids[i], 1004);
            counts[(batch.texts[0].ids[i] - 4) / 100]++;
        }
    }
    /* p(i) = 1/(i+1) over their sum, 2.929; 40,000 draws, so 3 % are more than five deviations. */
    for (int i = 0; i < 10; i++)
        ck_assert_double_eq_tol(counts[i] / 40000.0, 1.0 / (i + 1) / 2.9289682539682538,
                                0.03 / (i + 1) + 0.005);
    bench_draw_free(&draw);
}
END_TEST

/* By hand: 64 texts of 64 tokens, E = H = 256, K = 29. */
START_TEST(arithmetic_of_the_notebook)
{
    BenchShape shape = {.batch = 64, .len = 64, .embed = 256, .hidden = 256, .layers = 1, .labels = 29};
    double output = 6.0 * 64 * 256 * 29, lstm = 6.0 * 4096 * 1024 * 512;
    ck_assert_double_eq(bench_notebook_flops("rnn", &shape), 6.0 * 4096 * 256 * 512 + output);
    ck_assert_double_eq(bench_notebook_flops("lstm", &shape), lstm + output);
    /* 2080 pairs of steps a text */
    double attention = 6.0 * 64 * 2080 * (256 * 256 + 512) + 6.0 * 4096 * 3 * 256 * 256;
    ck_assert_double_eq(bench_notebook_flops("attention", &shape), lstm + attention + output);
    ck_assert_double_eq(bench_notebook_flops("own_cell", &shape), 0);
    /* What torch.utils.flop_counter counts in tools/pytorch_models.py's models, and what it does not: the
     * gradient of h_0, which is no product there, and the weighted sum, which is one of elements. */
    shape = (BenchShape){.batch = 3, .len = 5, .embed = 7, .hidden = 11, .layers = 1, .labels = 4};
    double first = 2.0 * 3 * 11 * 11, sums = 6.0 * 3 * 15 * 11, sums_before = 6.0 * 3 * 10 * 11;
    ck_assert_double_eq(bench_notebook_flops("rnn", &shape), 17886 + first);
    ck_assert_double_eq(bench_notebook_flops("lstm", &shape), 69168 + 4 * first);
    ck_assert_double_eq(bench_notebook_flops("attention", &shape), 137478 + 4 * first + sums);
    ck_assert_double_eq(bench_notebook_flops("attention_fed", &shape), 145200 + 4 * first + sums_before);
    shape.layers = 2;
    ck_assert_double_eq(bench_notebook_flops("stacked", &shape), 221694 + 8 * first + sums);
}
END_TEST

/* Every model that PyTorch has a peer of answers a step with its time and a loss that is a number. */
START_TEST(peers_answer_steps)
{
    const char *folder = getenv("REEL_TOOLS");
    const BenchPeer *peer = &bench_peers[_i];
    char command[512], about[256] = "", step[256] = "";
    double ms = -1, loss = NAN;
    snprintf(command, sizeof command, "echo step | %s/bench --peer %s --threads 2", folder ? folder : "tools",
             peer->name);
    FILE *answers = popen(command, "r");
    ck_assert(answers && fgets(about, sizeof about, answers) && fgets(step, sizeof step, answers));
    ck_assert_int_eq(pclose(answers), 0);
    check_json(about);
    check_json(step);
    ck_assert_int_eq(sscanf(step, "{\"step_ms\": %lf, \"loss\": %lf", &ms, &loss), 2);
    ck_assert_double_gt(ms, 0);
    ck_assert(isfinite(loss));
}
END_TEST

/* Every program that PyTorch has one of runs; what comes of it is the same twice. */
START_TEST(programs_write_what_comes_of_them)
{
    const char *tools = shell_setting("REEL_TOOLS"), *folder = shell_folder();
    for (int i = 0; i < 2; i++)
        shell_must("echo 'check %s/%d.npz' | '%s/bench' --peer %s", folder, i, tools,
                   bench_programs[_i].name);
    shell_must("cmp '%s/0.npz' '%s/1.npz'", folder, folder);
    shell_remove_folder(folder);
    ck_assert_int_ne(shell_run("echo step | '%s/bench' --peer %s", tools, bench_programs[_i].name), 0);
}
END_TEST

/* An array that a program wrote. */
static Tensor written(const TensorNpz *npz, const char *name, TensorArena *arena)
{
    Tensor t = {0};
    ck_assert_msg(tensor_npz_find(npz, name) != NULL, "no %s", name);
    ck_assert_ok(tensor_npz_read_tensor(npz, tensor_npz_find(npz, name), arena, &t));
    return t;
}

static TensorNpz *run_program(const char *name)
{
    TensorNpz *npz;
    const char *folder = shell_folder();
    char path[512];
    shell_must("echo 'check %s/out.npz' | '%s/bench' --peer %s", folder, shell_setting("REEL_TOOLS"), name);
    snprintf(path, sizeof path, "%s/out.npz", folder);
    ck_assert_ok(tensor_npz_open(&npz, path));
    shell_remove_folder(folder);
    return npz;
}

/* Some sequences end and some do not; the best by its length comes first. */
START_TEST(beams_are_in_order)
{
    TensorNpz *npz = run_program("beam_search");
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor counts = written(npz, "counts", &arena), log_p = written(npz, "log_p", &arena);
    int ended = 0;
    ck_assert_int_eq(tensor_numel(&counts), 64);
    for (int i = 0; i < 64; i++) {
        double value = tensor_f64(log_p)[i] / pow(fmax(tensor_i32(counts)[i], 1), 0.9), before = INFINITY;
        before =
            i % 4 == 0 ? before : tensor_f64(log_p)[i - 1] / pow(fmax(tensor_i32(counts)[i - 1], 1), 0.9);
        ck_assert(value <= before && value < 0);
        ended += tensor_i32(counts)[i] < 10;
    }
    ck_assert(ended > 0 && ended < 64);
    tensor_arena_free(&arena);
    tensor_npz_close(npz);
}
END_TEST

/* Training ends early; the best average is neither the last one nor the weights that it began with. */
START_TEST(a_loop_finds_its_best_epoch)
{
    TensorNpz *npz = run_program("loop");
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor epoch = written(npz, "epoch", &arena), best = written(npz, "best/fc.weight", &arena);
    Tensor mean = written(npz, "mean/fc.weight", &arena), first = written(npz, "fc.weight", &arena);
    ck_assert_int_gt(tensor_i32(epoch)[0], 1);
    ck_assert_int_lt(tensor_i32(epoch)[0], 39);
    size_t bytes = (size_t)tensor_numel(&best) * sizeof(float);
    ck_assert_mem_ne(tensor_f32(best), tensor_f32(mean), bytes);
    ck_assert_mem_ne(tensor_f32(best), tensor_f32(first), bytes);
    tensor_arena_free(&arena);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(a_peer_that_is_none_is_an_error)
{
    ck_assert_int_eq(run("--peer nothing"), REEL_STATUS_USAGE);
}
END_TEST

Suite *tools_bench_suite(void);
Suite *tools_bench_suite(void)
{
    Suite *suite = suite_create("tools/bench");
    TCase *tcase = tcase_create("bench");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_model_has_every_name);
    tcase_add_test(tcase, byte_pairs_have_every_name);
    tcase_add_test(tcase, wrong_usage_is_told_apart);
    tcase_add_test(tcase, ranks_measure_what_they_send);
    tcase_add_test(tcase, other_measurements_give_json_too);
    tcase_add_test(tcase, curves_are_drawn_on_logarithmic_axes);
    tcase_add_test(tcase, where_results_cannot_go_is_said_before_measuring);
    tcase_add_test(tcase, too_few_file_numbers_are_an_error);
    tcase_add_test(tcase, limits_are_positive);
    tcase_add_test(tcase, products_are_multiplied_again);
    tcase_add_test(tcase, words_are_spread_over_the_vocabulary);
    tcase_add_test(tcase, arithmetic_of_the_notebook);
    tcase_add_loop_test(tcase, peers_answer_steps, 0, bench_peer_count);
    tcase_add_loop_test(tcase, programs_write_what_comes_of_them, 0, bench_program_count);
    tcase_add_test(tcase, beams_are_in_order);
    tcase_add_test(tcase, a_loop_finds_its_best_epoch);
    tcase_add_test(tcase, a_peer_that_is_none_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}
