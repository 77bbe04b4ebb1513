/* SPDX-License-Identifier: Apache-2.0 */
/* A worker of the crew on its thread, with a store and sockets of its own. */
#include "worker/worker_handle.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "node/config/config.h"
#include "node/node_state.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"

#define WAIT_NS (20 * NS_PER_S)

struct lab {
	char dir[SCRATCH_CAP];
	struct node_config *config;
	struct worker_config worker_config;
	struct node_key *key;
	struct store *store;
	struct worker_handle member;
	int reports_fd;
};

static bool lab_open(struct lab *lab)
{
	static const struct config_override overrides[] = {
		{"node", "listen", "127.0.0.1:0", false}};
	const struct config_ask ask = {NULL, overrides, 1};
	struct worker_params params = {.idx = 1, .now_ns = clock_monotonic_ns()};
	char message[CONFIG_MESSAGE_CAP], what[WORKER_WHAT_CAP];
	struct store_config store;

	memset(lab, 0, sizeof(*lab));
	scratch_make(lab->dir);
	store_config_defaults(&store);
	store.dir = lab->dir;
	lab->reports_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (node_config_load(&ask, &lab->config, message) < 0 || node_key_generate(&lab->key) < 0 ||
	    store_open(&store, &lab->store) < 0)
		return false;
	lab->worker_config = node_worker_config(lab->config);
	params.config = &lab->worker_config;
	params.key = lab->key;
	params.store = lab->store;
	return worker_handle_init(&lab->member, &params, lab->reports_fd, what) == 0 &&
	       worker_handle_start(&lab->member, what) == 0;
}

static void lab_close(struct lab *lab)
{
	worker_handle_fini(&lab->member);
	store_close(lab->store);
	node_key_free(lab->key);
	node_config_free(lab->config);
	close(lab->reports_fd);
	scratch_remove(lab->dir);
}

/* It tells figures when it has done something, here what it was ordered, and then sleeps. */
static bool figures_are_told(struct lab *lab)
{
	struct worker_message *order = worker_message_new(WORKER_MESSAGE_WALL, 0);
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	struct pollfd fd = {.fd = lab->reports_fd, .events = POLLIN};
	bool is_told = false;

	if (!order)
		return false;
	order->wall.wall_s = clock_wall_s();
	order->wall.now_ns = clock_monotonic_ns();
	if (!worker_mailbox_post(&lab->member.orders, order))
		return false;
	while (!is_told && clock_monotonic_ns() < deadline_ns && poll(&fd, 1, 1000) >= 0) {
		struct worker_message *worker_message = worker_mailbox_take(&lab->member.reports);

		if (!worker_message)
			worker_mailbox_rest(lab->reports_fd);
		is_told = worker_message && worker_message->kind == WORKER_MESSAGE_FIGURES;
		worker_message_free(worker_message);
	}
	return is_told;
}

/*
 * The order wakes it once, and that wake-up is used up by the turn in which
 * it is obeyed: no wait may follow.
 */
static void test_one_order_ends_a_worker_that_sleeps(void)
{
	struct lab lab;

	CHECK(lab_open(&lab));
	CHECK(figures_are_told(&lab));
	CHECK(worker_handle_stop(&lab.member, 0));
	CHECK(worker_handle_join(&lab.member, WAIT_NS));
	CHECK_EQ(lab.member.err, 0);
	lab_close(&lab);
}

int main(void)
{
	RUN(test_one_order_ends_a_worker_that_sleeps);
	return check_done();
}
