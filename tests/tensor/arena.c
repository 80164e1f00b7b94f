#include "tensor/arena.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

START_TEST(blocks_are_aligned_and_distinct)
{
    TensorArena arena;
    tensor_arena_init(&arena, 256);
    unsigned char *blocks[40];
    for (int i = 0; i < 40; i++) {
        blocks[i] = tensor_arena_alloc(&arena, 100);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i, 100);
    }
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 100; j++)
            ck_assert_int_eq(blocks[i][j], i);
    tensor_arena_free(&arena);
}
END_TEST

START_TEST(rewinding_gives_the_same_memory_again_and_allocates_nothing)
{
    TensorArena arena;
    tensor_arena_init(&arena, 256);
    tensor_arena_alloc(&arena, 10);
    TensorArenaMark mark = tensor_arena_mark(&arena);
    void *first = tensor_arena_alloc(&arena, 200), *large = tensor_arena_alloc(&arena, 5000);
    size_t used = arena.used;
    uint64_t calls = reel_mem_stats().calls;
    for (int round = 0; round < 3; round++) {
        tensor_arena_rewind(&arena, mark);
        ck_assert_ptr_eq(tensor_arena_alloc(&arena, 200), first);
        ck_assert_ptr_eq(tensor_arena_alloc(&arena, 5000), large);
    }
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
    ck_assert_uint_eq(arena.used, used);
    ck_assert_uint_eq(arena.peak, used);
    tensor_arena_free(&arena);
}
END_TEST

START_TEST(no_memory_is_null_and_the_arena_stays_usable)
{
    int64_t live = reel_mem_stats().live_blocks;
    TensorArena arena;
    tensor_arena_init(&arena, 256);
    ck_assert_ptr_nonnull(tensor_arena_alloc(&arena, 200));
    for (int n = 0; n < 2; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert_ptr_null(tensor_arena_alloc(&arena, 1000));
        reel_mem_fail_at(-1, 0);
    }
    ck_assert(arena.failed);
    tensor_arena_reset(&arena);
    ck_assert(!arena.failed);
    ck_assert_ptr_null(tensor_arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_nonnull(tensor_arena_alloc(&arena, 1000));
    ck_assert(arena.failed); /* until the next reset */
    tensor_arena_free(&arena);
    ck_assert_int_eq(reel_mem_stats().live_blocks, live);
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
