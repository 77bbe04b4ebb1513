/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store thread: takes what waits, commits it as one group, hands it
 * back. Rings carry the batches, eventfds the news.
 */
#include "store/store_state.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/process/crash.h"
#include "base/process/privilege.h"
#include "base/process/sandbox.h"
#include "base/thread/ring.h"

/* One commit takes at most about so much; LMDB keeps its dirty pages in memory, and for ever. */
#define GROUP_LEN_MAX (16ull << 20)
/* After commits of so much, and without work for so long, the thread lets go of memory. */
#define REST_LEN      (4ull << 20)
#define REST_AFTER_MS 1000

void store_wake_raise(int fd)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then it is readable anyway. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void store_wake_lower(int fd)
{
	uint64_t cnt;

	if (read(fd, &cnt, sizeof(cnt)) < 0)
		return;
}

bool store_wake_wait(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

/* group_take links what waits into a list; true when the stop batch was met. */
static bool group_take(struct store *store, struct store_batch **out_first, uint64_t *out_len)
{
	struct store_batch *batch, **link = out_first;
	uint64_t len = 0;

	*link = NULL;
	while (len < GROUP_LEN_MAX && (batch = ring_pop(store->waiting))) {
		if (batch == &store->stop)
			return true;
		len += batch->len + batch->put_len;
		*out_len += batch->len + batch->put_len;
		*link = batch;
		link = &batch->next;
		*link = NULL;
	}
	return false;
}

static void group_finish(struct store *store, struct store_batch *first)
{
	while (first) {
		struct store_batch *batch = first;

		first = batch->next;
		/* Never full: no more are in flight than fit in. */
		if (ring_push(store->finished, batch) < 0)
			weft_assert(!"the ring of finished batches is full");
	}
	store_wake_raise(store->done_fd);
}

/* True when there may be work; false when there was none for long after much. */
static bool work_wait(struct store *store, uint64_t len)
{
	bool is_woken = store_wake_wait(store->wake_fd, len < REST_LEN ? -1 : REST_AFTER_MS);

	store_wake_lower(store->wake_fd);
	return is_woken;
}

static void *store_main(void *arg)
{
	struct store *store = arg;
	struct store_batch *first;
	uint64_t len = 0; /* committed since the last rest */
	bool is_stopping = false;

	crash_thread_begin("store");
	(void)privilege_drop();
	sandbox_enter(SANDBOX_STORE);
	while (!is_stopping) {
		is_stopping = group_take(store, &first, &len);
		if (first) {
			store_commit_group(store, first);
			group_finish(store, first);
		} else if (is_stopping || store_proof_next(&store->env.proof)) {
			continue;
		} else if (!work_wait(store, len)) {
			store_rest(store);
			len = 0;
		}
	}
	return NULL;
}

static uint32_t ring_cap_for(unsigned batch_cap)
{
	uint32_t cap = 2;

	while (cap < batch_cap + 1)
		cap *= 2;
	return cap;
}

int store_thread_start(struct store *store)
{
	int err;

	store->waiting = ring_new(ring_cap_for(store->config.batch_cap));
	store->finished = ring_new(ring_cap_for(store->config.batch_cap));
	if (!store->waiting || !store->finished)
		return -ENOMEM;
	store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->wake_fd < 0 || store->done_fd < 0)
		return -errno;
	err = pthread_create(&store->thread, NULL, store_main, store);
	if (err)
		return -err;
	store->has_thread = true;
	return 0;
}

void store_thread_stop(struct store *store)
{
	if (!store->has_thread)
		return;
	if (ring_push(store->waiting, &store->stop) < 0)
		weft_assert(!"the ring of waiting batches is full");
	store_wake_raise(store->wake_fd);
	pthread_join(store->thread, NULL);
	store->has_thread = false;
}
