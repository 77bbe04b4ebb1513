/* SPDX-License-Identifier: Apache-2.0 */
/* The credit for reports, a worker that does not answer, and an order to all. */
#include "worker/worker_handle.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "quic/engine.h"
#include "support/check.h"

static void nothing(void *object, const void *bytes, size_t len)
{
	(void)object, (void)bytes, (void)len;
}

/* A worker whose thread never ran: its orders stay unread. */
static bool handle_make(struct worker_handle *handle)
{
	memset(handle, 0, sizeof(*handle));
	sem_init(&handle->ended, 0, 0);
	return mailbox_init(&handle->orders, WORKER_ORDER_CNT_MAX, 1 << 20,
			    eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0;
}

static void handle_remove(struct worker_handle *handle)
{
	close(handle->orders.fd);
	mailbox_fini(&handle->orders);
	sem_destroy(&handle->ended);
}

static void fill(struct mailbox *mailbox)
{
	const struct mailbox_message message = {.run = nothing};

	for (unsigned i = 0; i < WORKER_ORDER_CNT_MAX; i++)
		CHECK(mailbox_post(mailbox, &message));
}

static void test_a_worker_that_takes_no_orders_is_not_waited_for(void)
{
	struct worker_handle handle;

	CHECK(handle_make(&handle));
	fill(&handle.orders);
	CHECK(!worker_handle_stop(&handle, 0));
	CHECK(!worker_handle_has_ended(&handle));
	handle_remove(&handle);
}

static void test_a_worker_that_has_ended_needs_no_order(void)
{
	struct worker_handle handle;

	CHECK(handle_make(&handle));
	fill(&handle.orders);
	handle.err = -EIO; /* as one whose event loop failed */
	sem_post(&handle.ended);
	CHECK(worker_handle_stop(&handle, UINT64_MAX / 2));
	CHECK(worker_handle_has_ended(&handle));
	CHECK(worker_handle_has_ended(&handle));
	CHECK_EQ(handle.orders.lost_cnt, 0);
	handle_remove(&handle);
}

/* The NAT of the network is that of all workers' sessions. An order that finds no room is given again. */
static void test_the_keepalive_of_the_network_reaches_each_worker(void)
{
	struct workers *workers = calloc(1, sizeof(*workers) + 2 * sizeof(workers->handles[0]));

	CHECK(workers);
	workers->cnt = 2;
	for (unsigned i = 0; i < 2; i++) {
		CHECK(handle_make(&workers->handles[i]));
		workers->handles[i].worker.quic = calloc(1, sizeof(struct quic_engine));
	}
	fill(&workers->handles[1].orders);
	CHECK(!workers_spread_keepalive(workers, 7));
	while (mailbox_run(&workers->handles[1].orders, (void *[]){&workers->handles[1]}))
		;
	CHECK(workers_spread_keepalive(workers, 7));
	for (unsigned i = 0; i < 2; i++) {
		while (mailbox_run(&workers->handles[i].orders, (void *[]){&workers->handles[i]}))
			;
		CHECK_EQ(workers->handles[i].worker.quic->nat_keepalive_ns, 7);
		free(workers->handles[i].worker.quic);
		handle_remove(&workers->handles[i]);
	}
	free(workers);
}

static struct report_credit credit;

static bool credit_make(struct mailbox *reports)
{
	static const struct fair_paths paths = {.secret = {1, 2}};
	int err = mailbox_init(reports, WORKERS_REPORT_MAX, 1 << 20,
			       eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	worker_report_credit_init(&credit, reports, &paths);
	return err == 0;
}

static bool report(struct worker_report_account account)
{
	const struct mailbox_message message = {.run = nothing};

	return worker_report_post(&credit, &message, account);
}

/* Of a peer at 10.0.NETWORK.1. */
static struct worker_report_account account_of(uint8_t network, const uint8_t key[static 32])
{
	const struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, network, 1}};

	return worker_report_account_of_peer(&credit, key, &addr);
}

/* As many as there are accounts want to post; home does not read. */
static void test_one_peer_leaves_room_for_reports_of_others(void)
{
	uint8_t loud[32] = {1}, other[32] = {2};
	struct mailbox reports;
	unsigned cnt = 0;

	CHECK(credit_make(&reports));
	while (report(account_of(1, loud)))
		cnt++;
	/* Half of what is shared: with one more it would hold more than it leaves free. */
	CHECK_EQ(cnt, WORKER_REPORT_SHARED_MAX / 2);
	CHECK_EQ(credit.refused_cnt, 1);
	CHECK_EQ(reports.lost_cnt, 0);
	CHECK(report(account_of(2, other)));
	CHECK(report(worker_report_account_of_function(nothing)));
	CHECK(!report(account_of(1, loud)));
	/* Keys without end leave the worker's own a quarter. */
	for (unsigned i = 0; i < WORKERS_REPORT_MAX; i++) {
		uint8_t key[32] = {3, (uint8_t)i, (uint8_t)(i >> 8)};

		(void)report(account_of((uint8_t)i, key));
	}
	CHECK_EQ(mailbox_fill(&reports), WORKER_REPORT_SHARED_MAX);
	for (unsigned i = WORKER_REPORT_SHARED_MAX; i < WORKERS_REPORT_MAX; i++)
		CHECK(report(WORKER_REPORT_OWN));
	CHECK(!report(WORKER_REPORT_OWN));
	CHECK_EQ(reports.lost_cnt, 1);
	close(reports.fd);
	mailbox_fini(&reports);
}

static void test_free_keys_of_one_network_leave_room_for_reports_of_others(void)
{
	struct mailbox reports;
	unsigned cnt = 0;

	CHECK(credit_make(&reports));
	for (unsigned i = 0; i < WORKERS_REPORT_MAX; i++) {
		uint8_t key[32] = {3, (uint8_t)i, (uint8_t)(i >> 8)};

		cnt += report(account_of(1, key));
	}
	/* Three times what it leaves free. */
	CHECK_EQ(cnt, WORKER_REPORT_SHARED_MAX / 4 * 3);
	CHECK_EQ(credit.refused_cnt, WORKERS_REPORT_MAX - cnt);
	for (unsigned i = 0; i < WORKER_REPORT_SHARED_MAX / 8; i++) {
		uint8_t key[32] = {4, (uint8_t)i, (uint8_t)(i >> 8)};

		CHECK(report(account_of(2, key)));
	}
	CHECK(report(worker_report_account_of_function(nothing)));
	CHECK_EQ(reports.lost_cnt, 0);
	close(reports.fd);
	mailbox_fini(&reports);
}

static void test_what_home_has_read_is_credit_again(void)
{
	uint8_t loud[32] = {1};
	struct mailbox reports;
	struct worker_report_account account;

	CHECK(credit_make(&reports));
	account = account_of(1, loud);
	for (unsigned round = 0; round < 5; round++) {
		CHECK(report(WORKER_REPORT_OWN));
		for (unsigned i = 0; i < 300; i++)
			CHECK(report(account));
		while (report(account))
			;
		CHECK(mailbox_fill(&reports) < WORKER_REPORT_SHARED_MAX);
		while (mailbox_run(&reports, (void *[]){NULL}))
			;
	}
	CHECK_EQ(credit.refused_cnt, 5);
	close(reports.fd);
	mailbox_fini(&reports);
}

int main(void)
{
	RUN(test_one_peer_leaves_room_for_reports_of_others);
	RUN(test_free_keys_of_one_network_leave_room_for_reports_of_others);
	RUN(test_what_home_has_read_is_credit_again);
	RUN(test_a_worker_that_takes_no_orders_is_not_waited_for);
	RUN(test_a_worker_that_has_ended_needs_no_order);
	RUN(test_the_keepalive_of_the_network_reaches_each_worker);
	return check_done();
}
