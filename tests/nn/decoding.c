#include "nn/decoding.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

/* A model of four tokens, 0 the beginning and 3 the end, whose scores depend on the last two tokens. It keeps
 * the last but one for each sequence, in the order of the parents, as a model keeps its state. */
enum { TOKENS = 4, BEGIN = 0, END = 3, MOST = 4, BEAM = 4 };

typedef struct Chain {
    float scores[TOKENS][TOKENS][TOKENS]; /* after the last but one and the last */
    int32_t last[64];
    int calls, fail_at, most;
} Chain;

static ReelStatus next_token(void *context, const int32_t *ids, const int32_t *parents, int count,
                             float *scores)
{
    Chain *chain = context;
    int32_t before[64];
    if (++chain->calls == chain->fail_at)
        return reel_status_failed("the model is tired");
    for (int i = 0; i < count; i++) {
        before[i] = chain->calls == 1 ? BEGIN : chain->last[parents[i]];
        memcpy(scores + i * TOKENS, chain->scores[before[i]][ids[i]], TOKENS * sizeof *scores);
    }
    memcpy(chain->last, ids, (size_t)count * sizeof *ids);
    chain->most = count > chain->most ? count : chain->most;
    return reel_status_ok();
}

static void draw_chain(Chain *chain, uint64_t seed)
{
    TensorRandom random = tensor_random_new(seed, 0);
    memset(chain, 0, sizeof *chain);
    for (int i = 0; i < TOKENS * TOKENS * TOKENS; i++)
        (&chain->scores[0][0][0])[i] = (float)(3 * tensor_random_normal(&random));
}

static double log_p(const Chain *chain, int32_t a, int32_t b, int32_t token)
{
    double sum = 0;
    for (int v = 0; v < TOKENS; v++)
        sum += exp((double)chain->scores[a][b][v]);
    return chain->scores[a][b][token] - log(sum);
}

/* The best of all sequences that end, or have MOST tokens. */
static double best_of_all(const Chain *chain, int32_t a, int32_t b, int length, double so_far, double penalty)
{
    if (length == MOST)
        return so_far / pow(length, penalty);
    double ended = so_far + log_p(chain, a, b, END), best = length ? ended / pow(length, penalty) : ended;
    for (int32_t v = 0; v < END; v++)
        best = fmax(best, best_of_all(chain, b, v, length + 1, so_far + log_p(chain, a, b, v), penalty));
    return best;
}

static double value_of(const Chain *chain, const int32_t *ids, int32_t count, double penalty)
{
    int32_t a = BEGIN, b = BEGIN;
    double sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += log_p(chain, a, b, ids[i]);
        a = b;
        b = ids[i];
    }
    sum += count < MOST ? log_p(chain, a, b, END) : 0;
    return count ? sum / pow(count, penalty) : sum;
}

/* A beam as wide as there are tokens finds nearly always the best of all, and never better; one of one is
 * greedy. */
START_TEST(a_beam_finds_the_best_sequence)
{
    int found = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        Chain chain;
        int32_t ids[MOST], greedy[MOST], count, greedy_count;
        NnDecodeOptions options = nn_decode_options(TOKENS, BEGIN, END, MOST);
        options.length_penalty = seed % 2 ? 0 : 0.7;
        draw_chain(&chain, seed);
        double best = best_of_all(&chain, BEGIN, BEGIN, 0, 0, options.length_penalty);
        ck_assert_ok(nn_decode_beam(next_token, &chain, options, greedy, &greedy_count));
        ck_assert_int_eq(chain.most, 1);
        int32_t a = BEGIN, b = BEGIN;
        for (int32_t i = 0; i <= greedy_count && i < MOST; i++) {
            int32_t token = i < greedy_count ? greedy[i] : END;
            for (int v = 0; v < TOKENS; v++)
                ck_assert(chain.scores[a][b][token] >= chain.scores[a][b][v]);
            a = b;
            b = token;
        }
        options.beam = BEAM;
        chain.calls = 0;
        ck_assert_ok(nn_decode_beam(next_token, &chain, options, ids, &count));
        double value = value_of(&chain, ids, count, options.length_penalty);
        ck_assert(value <= best + 1e-9);
        found += value > best - 1e-6;
    }
    ck_assert_int_ge(found, 95);
}
END_TEST

/* The best of them is what a search for one finds; all have their own log probability, the best first. */
START_TEST(a_beam_tells_all_that_it_finds)
{
    int fewer = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        Chain chain;
        int32_t ids[BEAM][MOST], counts[BEAM], one[MOST], one_count;
        double log_ps[BEAM];
        int found;
        NnDecodeOptions options = nn_decode_options(TOKENS, BEGIN, END, MOST);
        options.beam = BEAM;
        options.length_penalty = seed % 2 ? 0 : 0.7;
        draw_chain(&chain, seed);
        ck_assert_ok(nn_decode_beam(next_token, &chain, options, one, &one_count));
        chain.calls = 0;
        ck_assert_ok(nn_decode_beams(next_token, &chain, options, &ids[0][0], counts, log_ps, &found));
        ck_assert_int_eq(found, BEAM);
        ck_assert_int_eq(counts[0], one_count);
        ck_assert_mem_eq(ids[0], one, (size_t)one_count * sizeof *one);
        for (int i = 0; i < found; i++) {
            double value = value_of(&chain, ids[i], counts[i], options.length_penalty);
            ck_assert_double_eq_tol(log_ps[i], value_of(&chain, ids[i], counts[i], 0), 1e-5);
            ck_assert(i == 0 ||
                      value <= 1e-5 + value_of(&chain, ids[i - 1], counts[i - 1], options.length_penalty));
            for (int j = 0; j < i; j++)
                ck_assert(counts[i] != counts[j] ||
                          memcmp(ids[i], ids[j], (size_t)counts[i] * sizeof *ids[i]) != 0);
            fewer += counts[i] < MOST;
        }
    }
    ck_assert(fewer > 50 && fewer < 350);
}
END_TEST

START_TEST(drawn_tokens_have_their_probabilities)
{
    static const double p[TOKENS] = {0.5, 0.2, 0.2, 0.1};
    static const struct {
        double temperature, top_p;
        int top_k;
        double expected[TOKENS];
    } cases[] = {{1, 1, 0, {0.5, 0.2, 0.2, 0.1}},
                 {0.5, 1, 0, {0.25 / 0.34, 0.04 / 0.34, 0.04 / 0.34, 0.01 / 0.34}},
                 {1, 1, 2, {5.0 / 7, 2.0 / 7, 0, 0}},
                 {1, 0.6, 0, {5.0 / 7, 2.0 / 7, 0, 0}},
                 {1, 0.4, 0, {1, 0, 0, 0}},
                 {1, 0.85, 3, {5.0 / 9, 2.0 / 9, 2.0 / 9, 0}}};
    enum { DRAWS = 20000 };
    TensorRandom random = tensor_random_new(1, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int counts[TOKENS] = {0};
        NnDecodeOptions options = nn_decode_options(TOKENS, BEGIN, END, MOST);
        options.temperature = cases[i].temperature;
        options.top_k = cases[i].top_k;
        options.top_p = cases[i].top_p;
        for (int n = 0; n < DRAWS; n++) {
            float scores[TOKENS];
            for (int v = 0; v < TOKENS; v++)
                scores[v] = (float)log(p[v]);
            counts[nn_sample(scores, options, &random)]++;
        }
        for (int v = 0; v < TOKENS; v++)
            ck_assert(fabs((double)counts[v] / DRAWS - cases[i].expected[v]) <
                      (cases[i].expected[v] == 0 ? 1e-9 : 0.015));
    }
}
END_TEST

START_TEST(a_drawn_sequence_ends)
{
    Chain chain;
    int32_t ids[MOST], again[MOST], count, again_count, ended = 0;
    NnDecodeOptions options = nn_decode_options(TOKENS, BEGIN, END, MOST);
    for (uint64_t seed = 0; seed < 50; seed++) {
        TensorRandom random = tensor_random_new(seed, 1), same = random;
        draw_chain(&chain, seed);
        ck_assert_ok(nn_decode_sample(next_token, &chain, options, &random, ids, &count));
        chain.calls = 0;
        ck_assert_ok(nn_decode_sample(next_token, &chain, options, &same, again, &again_count));
        ck_assert_int_eq(count, again_count);
        ck_assert_mem_eq(ids, again, (size_t)count * sizeof *ids);
        for (int32_t i = 0; i < count; i++)
            ck_assert(ids[i] >= 0 && ids[i] < END);
        ended += count < MOST;
    }
    ck_assert(ended > 5 && ended < 50);
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    Chain chain;
    int32_t ids[MOST], count;
    TensorRandom random = tensor_random_new(0, 0);
    draw_chain(&chain, 1);
    NnDecodeOptions good = nn_decode_options(TOKENS, BEGIN, END, MOST), bad[6];
    for (int i = 0; i < 6; i++)
        bad[i] = good;
    static const char *const says[] = {"begin is 4 ", "beam is 0 ",   "temperature is 0 ",
                                       "top_p is 0 ", "top_k is -1 ", "beam is "};
    bad[0].begin = 4;
    bad[1].beam = 0;
    bad[2].temperature = 0;
    bad[3].top_p = 0;
    bad[4].top_k = -1;
    bad[5].beam = TOKENS + 1;
    for (int i = 0; i < 6; i++) {
        ck_assert_failed(nn_decode_beam(next_token, &chain, bad[i], ids, &count), REEL_STATUS_USAGE, says[i]);
        ck_assert_failed(nn_decode_sample(next_token, &chain, bad[i], &random, ids, &count),
                         REEL_STATUS_USAGE, says[i]);
    }
    chain.fail_at = 1;
    ck_assert_failed(nn_decode_beam(next_token, &chain, good, ids, &count), REEL_STATUS_FAILED, "tired");
    chain.calls = 0;
    ck_assert_failed(nn_decode_sample(next_token, &chain, good, &random, ids, &count), REEL_STATUS_FAILED,
                     "tired");
    chain.fail_at = -1;
    for (int v = 0; v < TOKENS; v++)
        chain.scores[BEGIN][BEGIN][v] = NAN;
    chain.calls = 0;
    ck_assert_failed(nn_decode_beam(next_token, &chain, good, ids, &count), REEL_STATUS_FAILED,
                     "not numbers");
    chain.calls = 0;
    ck_assert_failed(nn_decode_sample(next_token, &chain, good, &random, ids, &count), REEL_STATUS_FAILED,
                     "a number");
    good.most = 0;
    ck_assert_ok(nn_decode_beam(next_token, &chain, good, ids, &count));
    ck_assert_int_eq(count, 0);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    for (int n = 0;; n++) {
        Chain chain;
        int32_t ids[MOST], count;
        draw_chain(&chain, 1);
        reel_mem_fail_at(n, 0);
        ReelStatus status =
            nn_decode_beam(next_token, &chain, nn_decode_options(TOKENS, BEGIN, END, MOST), ids, &count);
        reel_mem_fail_at(-1, 0);
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
        ck_assert_int_eq(reel_status_is_ok(&status), n == 9);
        if (n == 9)
            break;
    }
}
END_TEST

Suite *nn_decoding_suite(void);
Suite *nn_decoding_suite(void)
{
    Suite *suite = suite_create("nn/decoding");
    TCase *c = tcase_create("decoding");
    tcase_add_test(c, a_beam_finds_the_best_sequence);
    tcase_add_test(c, a_beam_tells_all_that_it_finds);
    tcase_add_test(c, drawn_tokens_have_their_probabilities);
    tcase_add_test(c, a_drawn_sequence_ends);
    tcase_add_test(c, what_cannot_be_is_an_error);
    tcase_add_test(c, no_memory_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}
