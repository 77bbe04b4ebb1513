/* SPDX-License-Identifier: Apache-2.0 */
/* A worker on its thread, with a store and sockets of its own. */
#include "worker/worker_handle.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "blobs/serve/servers.h"
#include "crypto/node_key.h"
#include "config/config.h"
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
	struct workers *workers;
	struct blobs_servers *servers; /* hears what the worker's content reports */
	struct timer_wheel timers;
	struct worker_handle *handle; /* of the one worker */
	int reports_fd;
};

static bool lab_open(struct lab *lab)
{
	static const struct config_override overrides[] = {
		{"node", "listen", "127.0.0.1:0", false}};
	const struct config_ask ask = {NULL, overrides, 1};
	struct worker_params params = {.idx = 1, .now_ns = clock_monotonic_ns()};
	char message[CONFIG_MESSAGE_CAP], what[WORKER_WHAT_CAP];
	const struct blobs_servers_params servers = {.timers = &lab->timers, .cnt = 1};
	struct store_config store;

	memset(lab, 0, sizeof(*lab));
	scratch_make(lab->dir);
	store_config_defaults(&store);
	store.dir = lab->dir;
	lab->reports_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (config_load(&ask, &lab->config, message) < 0 || node_key_generate(&lab->key) < 0 ||
	    store_open(&store, &lab->store) < 0)
		return false;
	lab->worker_config = node_worker_config(lab->config);
	params.config = &lab->worker_config;
	params.key = lab->key;
	params.store = lab->store;
	timer_wheel_init(&lab->timers, params.now_ns);
	if (blobs_servers_new(&servers, &lab->servers) < 0)
		return false;
	lab->workers = calloc(1, sizeof(*lab->workers) + sizeof(*lab->handle));
	if (!lab->workers)
		return false;
	lab->workers->cnt = 1;
	lab->handle = lab->workers->handles;
	lab->handle->workers = lab->workers;
	return worker_handle_init(lab->handle, &params, lab->reports_fd, what) == 0 &&
	       worker_handle_start(lab->handle, what) == 0;
}

static void lab_close(struct lab *lab)
{
	worker_handle_fini(lab->handle);
	free(lab->workers);
	blobs_servers_free(lab->servers);
	store_close(lab->store);
	node_key_free(lab->key);
	config_free(lab->config);
	close(lab->reports_fd);
	scratch_remove(lab->dir);
}

/* The worker reports figures when it has done something, here what was ordered, and then sleeps. */
static bool figures_are_reported(struct lab *lab)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	struct pollfd fd = {.fd = lab->reports_fd, .events = POLLIN};

	workers_set_wall(lab->workers, clock_wall_s(), clock_monotonic_ns());
	while (!lab->handle->figures.turn_cnt && clock_monotonic_ns() < deadline_ns &&
	       poll(&fd, 1, 1000) >= 0)
		if (!mailbox_run(&lab->handle->reports, (void *[]){lab->handle, lab->servers}))
			mailbox_rest(lab->reports_fd);
	return lab->handle->figures.turn_cnt > 0;
}

/*
 * The order wakes it once, and that wake-up is used up by the turn in which
 * it is obeyed: no wait may follow.
 */
static void test_one_order_ends_a_worker_that_sleeps(void)
{
	struct lab lab;

	CHECK(lab_open(&lab));
	CHECK(figures_are_reported(&lab));
	CHECK(worker_handle_stop(lab.handle, 0));
	CHECK(worker_handle_join(lab.handle, WAIT_NS));
	CHECK_EQ(lab.handle->err, 0);
	lab_close(&lab);
}

int main(void)
{
	RUN(test_one_order_ends_a_worker_that_sleeps);
	return check_done();
}
