/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A STORE node is killed by SIGKILL at any moment, again and again. It counts in shared memory the deposits
 * that it answered for. Behind each kill it has all of them, and none that was never put.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "deposits/deposits.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define LIFE_CNT      12u
#define RECIPIENT_CNT 64u
#define PUT_MAX	      (RECIPIENT_CNT * DEPOSITS_PER_RECIPIENT)
#define AHEAD_MAX     300u /* deposits that are not durable yet */

static char dir[SCRATCH_CAP];
static struct shared {
	uint32_t put_cnt, kept_cnt; /* of all lives: begun, and answered for */
} *shared;

static struct mesh_lab lab;
static struct random dice;
static struct timer_wheel timers;
static struct node_key *key, *recipients[RECIPIENT_CNT];
static uint32_t ahead_cnt;

static uint64_t on_wall_s(void *ctx)
{
	(void)ctx;
	return MESH_LAB_WALL_S;
}

static enum fair_class on_class(void *ctx, const uint8_t *of)
{
	(void)ctx, (void)of;
	return FAIR_UNKNOWN;
}

static void on_kept(void *arg, int err)
{
	(void)arg;
	ahead_cnt--;
	shared->kept_cnt += err == 0;
}

static struct deposits *open_deposits(struct store *store)
{
	struct deposits *deposits;
	struct deposits_params params = {
		.key = key,
		.store = store,
		.mesh = mesh_lab_seam_of(&lab.nodes[0]),
		.neighbours = &mesh_lab_neighbours,
		.timers = &timers,
		.random = &dice,
		.wall_s = on_wall_s,
		.class_of = on_class,
		.now_ns = NS_PER_S,
	};

	deposits_config_defaults(&params.config);
	timer_wheel_init(&timers, NS_PER_S);
	mesh_lab_up(&lab.nodes[0]);
	if (deposits_open(&params, &deposits) < 0)
		abort();
	return deposits;
}

static void leave_one(struct deposits *deposits, uint64_t now_ns)
{
	static const uint8_t depositor[MESH_KEY_LEN] = {3};
	uint32_t number = shared->put_cnt;
	struct deposit_draft draft = {
		.kind = DEPOSIT_SERVICE_MESSAGE,
		.content = &number,
		.len = sizeof(number),
		.recipient = node_key_public(recipients[number % RECIPIENT_CNT]),
		.expires_s = MESH_LAB_WALL_S + 3600,
		.done = on_kept,
	};

	shared->put_cnt++;
	ahead_cnt++;
	if (deposits_keep(deposits, &draft, depositor, now_ns) < 0)
		abort();
}

static void live(void)
{
	struct store *store = scratch_store(dir, false);
	struct deposits *deposits = open_deposits(store);

	for (uint64_t now_ns = NS_PER_S;; now_ns += NS_PER_MS) {
		const struct timespec pause = {.tv_nsec = 100000};

		timer_wheel_expire(&timers, now_ns);
		(void)store_reap(store);
		if (ahead_cnt < AHEAD_MAX && shared->put_cnt < PUT_MAX)
			leave_one(deposits, now_ns);
		else
			(void)nanosleep(&pause, NULL);
	}
}

/* How many deposits the node has when it starts. */
static uint32_t held_behind_a_kill(void)
{
	struct store *store = scratch_store(dir, true);
	struct deposits *deposits = open_deposits(store);
	struct deposits_stats stats;

	deposits_stats(deposits, &stats);
	deposits_close(deposits);
	mesh_lab_down(&lab.nodes[0]);
	store_close(store);
	return stats.held_cnt;
}

static void test_what_was_answered_for_outlives_each_kill(void)
{
	for (unsigned i = 0; i < LIFE_CNT; i++) {
		const struct timespec life = {.tv_nsec = (long)(20 + random_below(&dice, 200)) *
							 1000000};
		pid_t child = fork();
		uint32_t held_cnt;

		if (child == 0)
			live();
		(void)nanosleep(&life, NULL);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		held_cnt = held_behind_a_kill();
		CHECK(held_cnt >= shared->kept_cnt);
		CHECK(held_cnt <= shared->put_cnt);
		printf("# life %u: put %u, answered %u, held %u\n", i, shared->put_cnt,
		       shared->kept_cnt, held_cnt);
	}
	CHECK(shared->kept_cnt > LIFE_CNT);
}

int main(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {9};

	random_init_system(&dice);
	scratch_make(dir);
	mesh_lab_init(&lab, 1, 1, NULL);
	(void)mesh_lab_add(&lab);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || node_key_from_seed(seed, &key) < 0)
		return 1;
	for (unsigned i = 0; i < RECIPIENT_CNT; i++) {
		seed[1] = (uint8_t)(i + 1);
		if (node_key_from_seed(seed, &recipients[i]) < 0)
			return 1;
	}
	RUN(test_what_was_answered_for_outlives_each_kill);
	for (unsigned i = 0; i < RECIPIENT_CNT; i++)
		node_key_free(recipients[i]);
	node_key_free(key);
	mesh_lab_fini(&lab);
	scratch_remove(dir);
	return check_done();
}
