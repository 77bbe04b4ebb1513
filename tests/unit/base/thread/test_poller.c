/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "support/check.h"

#define WATCH_CNT 4

struct probe {
	struct poller_watch watch;
	unsigned ready_cnt;
	unsigned events;
};

static struct probe probes[WATCH_CNT];
static struct poller *poller;

static void probe_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct probe *probe = (struct probe *)watch;

	(void)now_ns;
	probe->ready_cnt++;
	probe->events = events;
}

static void probes_open(void)
{
	if (poller_new(WATCH_CNT, &poller) < 0)
		abort();
	for (unsigned i = 0; i < WATCH_CNT; i++) {
		probes[i] = (struct probe){.watch = {.ready = probe_ready}};
		probes[i].watch.fd = eventfd(1, EFD_CLOEXEC);
		if (poller_add(poller, &probes[i].watch, POLLER_IN) < 0)
			abort();
	}
}

static void probes_close(void)
{
	poller_free(poller);
	for (unsigned i = 0; i < WATCH_CNT; i++)
		close(probes[i].watch.fd);
}

static void test_only_requested_events_are_reported(void)
{
	probes_open();
	CHECK_EQ(poller_change(poller, &probes[1].watch, POLLER_OUT), 0);
	CHECK_EQ(poller_change(poller, &probes[2].watch, POLLER_IN | POLLER_OUT), 0);
	CHECK_EQ(poller_change(poller, &probes[3].watch, 0), 0);
	CHECK_EQ(poller_wait(poller, 0), 3);
	CHECK_EQ(probes[0].events, POLLER_IN);
	CHECK_EQ(probes[1].events, POLLER_OUT);
	CHECK_EQ(probes[2].events, POLLER_IN | POLLER_OUT);
	CHECK_EQ(probes[3].ready_cnt, 0);
	probes_close();
}

static void test_a_full_poller_refuses_one_more(void)
{
	struct probe extra = {.watch = {.ready = probe_ready}};

	probes_open();
	extra.watch.fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(poller_add(poller, &extra.watch, POLLER_IN), WEFT_EFULL);
	poller_remove(poller, &probes[0].watch);
	CHECK_EQ(poller_add(poller, &extra.watch, POLLER_IN), 0);
	close(extra.watch.fd);
	poller_remove(poller, &extra.watch);
	CHECK_EQ(poller_add(poller, &probes[0].watch, POLLER_IN), 0);
	probes_close();
}

/* The first callback removes all others, though their events were fetched already. */
static void remove_others(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	probe_ready(watch, events, now_ns);
	for (unsigned i = 0; i < WATCH_CNT; i++)
		if (&probes[i].watch != watch)
			poller_remove(poller, &probes[i].watch);
}

static void test_a_removed_watch_is_not_called(void)
{
	unsigned called_cnt = 0;

	probes_open();
	for (unsigned i = 0; i < WATCH_CNT; i++)
		probes[i].watch.ready = remove_others;
	CHECK(poller_wait(poller, 0) > 0);
	for (unsigned i = 0; i < WATCH_CNT; i++)
		called_cnt += probes[i].ready_cnt;
	CHECK_EQ(called_cnt, 1);
	probes_close();
}

static void test_waiting_ends_at_its_deadline_and_not_before(void)
{
	uint64_t start_ns, deadline_ns;

	CHECK_EQ(poller_new(1, &poller), 0);
	start_ns = clock_monotonic_ns();
	deadline_ns = start_ns + 2 * NS_PER_MS;
	CHECK_EQ(poller_wait(poller, deadline_ns), 0);
	CHECK(clock_monotonic_ns() >= deadline_ns);
	CHECK_EQ(poller_wait(poller, start_ns), 0);
	poller_free(poller);
}

int main(void)
{
	RUN(test_only_requested_events_are_reported);
	RUN(test_a_full_poller_refuses_one_more);
	RUN(test_a_removed_watch_is_not_called);
	RUN(test_waiting_ends_at_its_deadline_and_not_before);
	return check_done();
}
