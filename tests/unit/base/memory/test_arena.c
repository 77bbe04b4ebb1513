/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory/arena.h"
#include "support/check.h"

#define MIB ((size_t)1 << 20)

static bool is_zero(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static void test_a_fixed_arena_refuses_one_byte_more_than_it_has(void)
{
	struct arena arena;
	char *first, *second;

	CHECK_EQ(arena_open(&arena, 128), 0);
	first = arena_alloc(&arena, 1);
	second = arena_alloc(&arena, 64);
	CHECK(first && second == first + 64);
	CHECK(!arena_alloc(&arena, 1));
	CHECK(!arena_alloc(&arena, SIZE_MAX));
	CHECK_EQ(arena.used_len, 128);
	arena_close(&arena);
}

static void test_a_growing_arena_gives_what_is_asked_for(void)
{
	static const size_t lens[] = {1, MIB, 5 * MIB, 64, 3 * MIB - 1, 2 * MIB};
	struct arena arena;
	size_t sum = 0;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		unsigned char *at = arena_alloc(&arena, lens[i]);

		CHECK(at == (unsigned char *)arena.start + sum);
		CHECK(is_zero(at, lens[i]));
		memset(at, 0xff, lens[i]);
		sum += (lens[i] + 63) / 64 * 64;
		CHECK_EQ(arena.used_len, sum);
	}
	arena_close(&arena);
}

static void test_a_growing_arena_refuses_more_than_its_address_space(void)
{
	struct arena arena;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK(!arena_alloc(&arena, arena.cap + 1));
	CHECK(!arena_alloc(&arena, SIZE_MAX - 1));
	CHECK(arena_alloc(&arena, 1));
	CHECK_EQ(arena.used_len, 64);
	arena_close(&arena);
}

/* Address space that this process has, in bytes. */
static size_t space_len(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t page_cnt = 0;

	if (!file || fscanf(file, "%zu", &page_cnt) != 1)
		abort();
	fclose(file);
	return page_cnt * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_a_growing_arena_takes_less_where_address_space_is_short(void)
{
	struct rlimit was, limit;
	struct arena arena;
	int err;

	CHECK_EQ(getrlimit(RLIMIT_AS, &was), 0);
	limit = was;
	limit.rlim_cur = space_len() + 8192 * MIB;
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	err = arena_open(&arena, ARENA_GROWS);
	(void)setrlimit(RLIMIT_AS, &was);
	CHECK_EQ(err, 0);
	CHECK(arena.cap >= 1024 * MIB && arena.cap <= 8192 * MIB);
	CHECK(arena_alloc(&arena, 5 * MIB));
	CHECK(!arena_alloc(&arena, arena.cap));
	arena_close(&arena);
}

static void test_a_fitted_arena_keeps_its_bytes_and_grows_no_more(void)
{
	struct arena arena;
	char *at;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	at = arena_alloc(&arena, 100);
	CHECK(at);
	strcpy(at, "kept");
	arena_fit(&arena);
	CHECK_EQ(arena.cap, arena.open_len);
	CHECK(arena.cap < 64 * MIB);
	CHECK_STR(at, "kept");
	CHECK(!arena_alloc(&arena, arena.cap));
	CHECK_EQ(arena.used_len, 128);
	arena_fit(&arena); /* once more is nothing */
	CHECK_STR(at, "kept");
	arena_close(&arena);
}

static void test_an_empty_arena_can_be_fitted_and_closed(void)
{
	struct arena arena;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	arena_fit(&arena);
	CHECK(arena.cap < MIB);
	CHECK(arena_alloc(&arena, 1));
	arena_close(&arena);
	arena_close(&arena);
	arena_close(NULL);
}

int main(void)
{
	RUN(test_a_fixed_arena_refuses_one_byte_more_than_it_has);
	RUN(test_a_growing_arena_gives_what_is_asked_for);
	RUN(test_a_growing_arena_refuses_more_than_its_address_space);
	RUN(test_a_growing_arena_takes_less_where_address_space_is_short);
	RUN(test_a_fitted_arena_keeps_its_bytes_and_grows_no_more);
	RUN(test_an_empty_arena_can_be_fitted_and_closed);
	return check_done();
}
