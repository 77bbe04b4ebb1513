/* SPDX-License-Identifier: Apache-2.0 */
/* Which callers hold the memory of bodies, when keys are free. */
#include "service/limits/service_memory.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/fair/fair_path.h"
#include "base/memory/heap.h"
#include "support/check.h"

#define MIB	 (1u << 20)
#define CAP	 (64u * MIB)
#define CALL_CNT 256

static struct {
	struct arena arena;
	struct service_memory memory;
	struct service_memory_hold holds[CALL_CNT];
	void *bodies[CALL_CNT];
	unsigned cnt;
} desk;

static void start(void)
{
	static const uint64_t secret[2];

	memset(&desk, 0, sizeof(desk));
	if (arena_open(&desk.arena, ARENA_GROWS) < 0 ||
	    service_memory_init(&desk.memory, &desk.arena, CALL_CNT, secret) < 0 ||
	    heap_new(CAP, &desk.memory.heap) < 0)
		abort();
	desk.memory.cap_len = CAP;
}

static void release(unsigned i)
{
	heap_release(desk.memory.heap, desk.bodies[i]);
	service_memory_release(&desk.memory, &desk.holds[i]);
}

static void stop(void)
{
	for (unsigned i = 0; i < desk.cnt; i++)
		release(i);
	CHECK_EQ(desk.memory.networks.used_cnt, 0);
	heap_free(desk.memory.heap);
	arena_close(&desk.arena);
}

/* A caller of that network which holds nothing else, with a key of its own. */
static bool hold(unsigned network, enum fair_class class, size_t key_len, size_t len)
{
	static const struct fair_paths paths;
	struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, (uint8_t)network, 1}};
	struct fair_path path;

	fair_path_of_addr(&paths, &addr, class, &path);
	fair_path_add(&paths, &path, &desk.cnt, sizeof(desk.cnt));
	if (!service_memory_hold(&desk.memory, &path, key_len, len, &desk.holds[desk.cnt]))
		return false;
	desk.bodies[desk.cnt] = heap_alloc(desk.memory.heap, len);
	return desk.bodies[desk.cnt++] != NULL;
}

static void test_a_key_holds_a_quarter(void)
{
	start();
	CHECK(hold(1, FAIR_UNKNOWN, CAP / 4 - MIB, MIB));
	CHECK(!hold(1, FAIR_UNKNOWN, CAP / 4 - MIB + 1, MIB));
	CHECK(!hold(1, FAIR_CHOSEN, CAP / 4, 1));
	stop();
}

static void test_the_keys_of_a_network_leave_a_quarter_to_others(void)
{
	start();
	while (hold(1, FAIR_UNKNOWN, 0, MIB))
		;
	CHECK_EQ(desk.cnt, 48);
	for (unsigned i = 0; i < 12; i++)
		CHECK(hold(2, FAIR_UNKNOWN, 0, MIB));
	/* Two leave a seventh to a third, and the chosen have all that is free. */
	CHECK(hold(3, FAIR_UNKNOWN, 0, 2 * MIB));
	CHECK(hold(4, FAIR_CHOSEN, 0, 2 * MIB));
	CHECK(!hold(5, FAIR_UNKNOWN, 0, MIB));
	/* What is given back may be held again. */
	for (unsigned i = 0; i < 4; i++) {
		release(i);
		desk.bodies[i] = NULL;
	}
	CHECK(hold(5, FAIR_UNKNOWN, 0, MIB));
	stop();
}

int main(void)
{
	RUN(test_a_key_holds_a_quarter);
	RUN(test_the_keys_of_a_network_leave_a_quarter_to_others);
	return check_done();
}
