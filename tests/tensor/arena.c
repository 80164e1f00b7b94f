#include "tensor/arena.h"
#include "tensor/mem.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

START_TEST(blocks_are_aligned_and_distinct)
{
    Arena arena;
    arena_init(&arena, 256);
    unsigned char *blocks[40];
    for (int i = 0; i < 40; i++) {
        blocks[i] = arena_alloc(&arena, 100);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i, 100);
    }
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 100; j++)
            ck_assert_int_eq(blocks[i][j], i);
    arena_free(&arena);
}
END_TEST

START_TEST(rewinding_gives_the_same_memory_again_and_allocates_nothing)
{
    Arena arena;
    arena_init(&arena, 256);
    arena_alloc(&arena, 10);
    ArenaMark mark = arena_mark(&arena);
    void *first = arena_alloc(&arena, 200), *large = arena_alloc(&arena, 5000);
    size_t used = arena.used;
    uint64_t calls = mem_stats().calls;
    for (int round = 0; round < 3; round++) {
        arena_rewind(&arena, mark);
        ck_assert_ptr_eq(arena_alloc(&arena, 200), first);
        ck_assert_ptr_eq(arena_alloc(&arena, 5000), large);
    }
    ck_assert_uint_eq(mem_stats().calls, calls);
    ck_assert_uint_eq(arena.used, used);
    ck_assert_uint_eq(arena.peak, used);
    arena_free(&arena);
}
END_TEST

START_TEST(no_memory_is_null_and_the_arena_stays_usable)
{
    int64_t live = mem_stats().live_blocks;
    Arena arena;
    arena_init(&arena, 256);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 200));
    for (int n = 0; n < 2; n++) {
        mem_fail_at(n, 0);
        ck_assert_ptr_null(arena_alloc(&arena, 1000));
        mem_fail_at(-1, 0);
    }
    ck_assert(arena.failed);
    arena_reset(&arena);
    ck_assert(!arena.failed);
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
    ck_assert(arena.failed); /* until the next reset */
    arena_free(&arena);
    ck_assert_int_eq(mem_stats().live_blocks, live);
}
END_TEST

Suite *tensor_arena_suite(void);
Suite *tensor_arena_suite(void)
{
    Suite *suite = suite_create("tensor/arena");
    TCase *tcase = tcase_create("arena");
    tcase_add_test(tcase, blocks_are_aligned_and_distinct);
    tcase_add_test(tcase, rewinding_gives_the_same_memory_again_and_allocates_nothing);
    tcase_add_test(tcase, no_memory_is_null_and_the_arena_stays_usable);
    suite_add_tcase(suite, tcase);
    return suite;
}
