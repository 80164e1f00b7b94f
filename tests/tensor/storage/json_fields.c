#include "tensor/storage/json_fields.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <math.h>

typedef struct Point {
    int x;
    double y;
} Point;

typedef struct Thing {
    char *name;
    int64_t large;
    bool flag;
    double number;
    Point *points;
    int num_points;
    char **words;
    int num_words;
} Thing;

static const ReelJsonField point_fields[] = {REEL_JSON_FIELD(Point, x, REEL_JSON_FIELD_INT),
                                             REEL_JSON_FIELD(Point, y, REEL_JSON_FIELD_NUMBER)};
static const ReelJsonShape point_shape = REEL_JSON_SHAPE(Point, point_fields);
static const ReelJsonField thing_fields[] = {REEL_JSON_FIELD(Thing, name, REEL_JSON_FIELD_TEXT),
                                             REEL_JSON_FIELD(Thing, large, REEL_JSON_FIELD_INTEGER),
                                             REEL_JSON_FIELD(Thing, flag, REEL_JSON_FIELD_BOOL),
                                             REEL_JSON_FIELD(Thing, number, REEL_JSON_FIELD_NUMBER),
                                             REEL_JSON_LIST(Thing, points, num_points, &point_shape),
                                             REEL_JSON_LIST(Thing, words, num_words, &reel_json_texts)};
static const ReelJsonShape thing_shape = REEL_JSON_SHAPE(Thing, thing_fields);

static TensorArena arena;

static void setup(void)
{
    tensor_arena_init(&arena, 1024);
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    tensor_arena_free(&arena);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static ReelStatus parse(Thing *thing, const char *text)
{
    memset(thing, 0, sizeof *thing);
    return reel_json_read_fields(text, strlen(text), "x.json", &thing_shape, thing, &arena);
}

START_TEST(what_is_written_is_read_again)
{
    Point points[20];
    char *words[] = {"a", "", "tab\t quote\" \xC3\xA9"};
    for (int i = 0; i < 20; i++)
        points[i] = (Point){i - 3, i / 7.0};
    Thing thing = {.name = "n", .large = INT64_MIN + 1, .flag = true, .number = 0.1}, back;
    thing.points = points;
    thing.num_points = 20;
    thing.words = words;
    thing.num_words = 3;
    ReelJsonWriter json = {0};
    reel_json_write_fields(&json, NULL, &thing_shape, &thing);
    ck_assert_ok(parse(&back, reel_json_finish(&json)));
    reel_json_free(&json);
    ck_assert_str_eq(back.name, "n");
    ck_assert_int_eq(back.large, thing.large);
    ck_assert(back.flag && back.number == 0.1);
    ck_assert_int_eq(back.num_points, 20);
    for (int i = 0; i < 20; i++)
        ck_assert(back.points[i].x == points[i].x && back.points[i].y == points[i].y);
    ck_assert_int_eq(back.num_words, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(back.words[i], words[i]);
}
END_TEST

START_TEST(unknown_keys_are_passed_over_and_missing_ones_stay)
{
    Thing thing;
    ck_assert_ok(parse(&thing, "{\"new\": [1, {\"x\": null}], \"large\": 5, \"number\": null}"));
    ck_assert_int_eq(thing.large, 5);
    ck_assert(isnan(thing.number) && thing.name == NULL && thing.num_points == 0);
}
END_TEST

START_TEST(strings_that_are_not_utf8_can_still_be_read)
{
    ReelJsonWriter json = {.compact = true};
    reel_json_string(&json, NULL,
                     "a\xE9"
                     "b\xC3\xA9\xE2\x82");
    ck_assert_str_eq(reel_json_finish(&json), "\"a\xEF\xBF\xBD"
                                              "b\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\"\n");
    reel_json_free(&json);
    json = (ReelJsonWriter){.compact = true};
    reel_json_string(&json, NULL, "\xFF");
    ck_assert_str_eq(reel_json_finish(&json), "\"\xEF\xBF\xBD\"\n");
    reel_json_free(&json);
}
END_TEST

START_TEST(escapes_are_the_characters_that_they_stand_for)
{
    Thing thing;
    ck_assert_ok(parse(&thing, "{\"words\": [\"\\u00e9\\u20AC\", \"\\ud83d\\ude00\\uDBFF\\uDFFF\", "
                               "\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"]}"));
    ck_assert_int_eq(thing.num_words, 3);
    ck_assert_str_eq(thing.words[0], "\xC3\xA9\xE2\x82\xAC");
    ck_assert_str_eq(thing.words[1], "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF");
    ck_assert_str_eq(thing.words[2], "\b\f\n\r\t/\\\"");
}
END_TEST

static const struct {
    const char *text, *says;
} wrong[] = {
    {"{\"name\": \"\\ud83d\"}", "surrogate"},
    {"{\"name\": \"\\ude00\"}", "surrogate"},
    {"{\"name\": \"\\ud83d\\ud83d\"}", "surrogate"},
    {"", "ends"},
    {"[]", "an object"},
    {"{\"name\": 3}", "a string"},
    {"{\"name\": null}", "a string"},
    {"{\"large\": 1.5}", "whole number"},
    {"{\"large\": 9223372036854775808}", "whole number"},
    {"{\"points\": [{\"x\": 3000000000}]}", "too large"},
    {"{\"points\": {}}", "an array"},
    {"{\"points\": [3]}", "an object"},
    {"{\"flag\": 0}", "true or false"},
    {"{\"number\": \"1\"}", "a number"},
    {"{\"number\": 01}", "expected"},
    {"{\"words\": [\"a\\u0000b\"]}", "zero byte"},
    {"{\"words\": [\"\xFF\"]}", "UTF-8"},
    {"{\"large\": 5} x", "follows"},
    {"{\"large\": 5,}", "byte 12"},
};

START_TEST(what_is_wrong_is_said)
{
    Thing thing;
    ck_assert_failed(parse(&thing, wrong[_i].text), REEL_STATUS_FAILED, wrong[_i].says);
    ck_assert_failed(parse(&thing, wrong[_i].text), REEL_STATUS_FAILED, "x.json");
}
END_TEST

/* A struct inside: members of the same object, an object of its own, and none where the int is 0. */
typedef struct Pair {
    Point at, to;
    int has_to;
} Pair;

REEL_JSON_TABLE(pair_shape, Pair, REEL_JSON_PART(Pair, NULL, at, REEL_JSON_ALWAYS, &point_shape),
                REEL_JSON_PART(Pair, "to", to, offsetof(Pair, has_to), &point_shape));

START_TEST(parts_are_members_or_objects)
{
    const char *const texts[] = {"{\"x\": 1, \"y\": 0.5}\n",
                                 "{\"x\": 1, \"y\": 0.5, \"to\": {\"x\": 3, \"y\": 4}}\n"};
    for (int has_to = 0; has_to < 2; has_to++) {
        Pair pair = {.at = {1, 0.5}, .to = {3, 4}, .has_to = has_to}, back = {.has_to = has_to};
        ReelJsonWriter json = {.compact = true};
        reel_json_write_fields(&json, NULL, &pair_shape, &pair);
        const char *text = reel_json_finish(&json);
        ck_assert_str_eq(text, texts[has_to]);
        ck_assert_ok(reel_json_read_fields(text, strlen(text), "x.json", &pair_shape, &back, &arena));
        ck_assert(back.at.x == 1 && back.at.y == 0.5 && back.to.x == 3 * has_to && back.to.y == 4 * has_to);
        reel_json_free(&json);
    }
}
END_TEST

START_TEST(a_failed_allocation_is_an_error)
{
    Thing thing;
    for (int n = 0;; n++) {
        tensor_arena_free(&arena);
        reel_mem_fail_at(n, 0);
        ReelStatus status = parse(&thing, "{\"name\": \"n\", \"points\": [{}, {}], \"words\": [\"a\"]}");
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status)) {
            ck_assert_int_gt(n, 0);
            break;
        }
        ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
    }
}
END_TEST

Suite *tensor_json_fields_suite(void);
Suite *tensor_json_fields_suite(void)
{
    Suite *suite = suite_create("tensor/json_fields");
    TCase *tcase = tcase_create("json_fields");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_written_is_read_again);
    tcase_add_test(tcase, unknown_keys_are_passed_over_and_missing_ones_stay);
    tcase_add_test(tcase, escapes_are_the_characters_that_they_stand_for);
    tcase_add_test(tcase, strings_that_are_not_utf8_can_still_be_read);
    tcase_add_loop_test(tcase, what_is_wrong_is_said, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tcase, parts_are_members_or_objects);
    tcase_add_test(tcase, a_failed_allocation_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}
