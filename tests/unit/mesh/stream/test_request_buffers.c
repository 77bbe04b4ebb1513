/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/memory/arena.h"
#include "mesh/stream/request_buffers.h"

static const uint32_t cnts[MESH_BUFFER_SIZE_CNT] = {3, 2, 1, 2};

static void test_each_shelf_gives_what_it_has_and_no_more(void)
{
	static const size_t lens[] = {1223, 66560 + 23, 2097175};
	struct mesh_buffers buffers;
	struct arena arena;
	uint8_t *got[8];

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(mesh_buffers_init(&buffers, &arena, cnts), 0);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = MESH_BUFFER_SMALL; i <= MESH_BUFFER_LARGE; i++) {
			for (uint32_t k = 0; k < cnts[i]; k++) {
				got[k] = mesh_buffers_acquire(&buffers, lens[i]);
				CHECK(got[k]);
				memset(got[k], (int)k, lens[i]); /* the sanitizer watches */
			}
			CHECK(!mesh_buffers_acquire(&buffers, lens[i]));
			for (uint32_t k = 0; k < cnts[i]; k++) {
				CHECK_EQ(got[k][0], k);
				CHECK_EQ(got[k][lens[i] - 1], k);
				mesh_buffers_release(&buffers, got[k]);
			}
		}
	CHECK(!mesh_buffers_acquire(&buffers, 2097152 + 1024));
	mesh_buffers_release(&buffers, NULL);
	arena_close(&arena);
}

static void test_peers_leave_medium_buffers_for_own_requests(void)
{
	struct mesh_buffers buffers;
	struct arena arena;
	uint8_t *got[2];

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(mesh_buffers_init(&buffers, &arena, cnts), 0);
	CHECK(mesh_buffers_acquire(&buffers, 60000));
	CHECK(mesh_buffers_acquire(&buffers, 60000));
	CHECK(!mesh_buffers_acquire(&buffers, 60000));
	for (unsigned i = 0; i < 2; i++) {
		got[i] = mesh_buffers_acquire_own(&buffers, 60000);
		CHECK(got[i]);
		memset(got[i], 1, 60000);
	}
	CHECK(!mesh_buffers_acquire_own(&buffers, 60000));
	mesh_buffers_release(&buffers, got[0]);
	CHECK(!mesh_buffers_acquire(&buffers, 60000));
	CHECK(mesh_buffers_acquire_own(&buffers, 60000) == got[0]);
	arena_close(&arena);
}

static void test_arena_too_small_is_refused(void)
{
	struct mesh_buffers buffers;
	struct arena arena;

	size_t len;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(mesh_buffers_init(&buffers, &arena, cnts), 0);
	len = arena.used_len;
	arena_close(&arena);
	CHECK_EQ(arena_open(&arena, len / 2), 0);
	CHECK_EQ(mesh_buffers_init(&buffers, &arena, cnts), WEFT_EFULL);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_each_shelf_gives_what_it_has_and_no_more);
	RUN(test_peers_leave_medium_buffers_for_own_requests);
	RUN(test_arena_too_small_is_refused);
	return check_done();
}
