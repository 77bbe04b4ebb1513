/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes between home and a worker, and a worker that does not answer. */
#include "worker/worker_handle.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "firewall/ban_list.h"
#include "support/check.h"

/* Of a worker that never was: nobody takes what is posted. */
static bool member_make(struct worker_handle *member)
{
	memset(member, 0, sizeof(*member));
	sem_init(&member->ended, 0, 0);
	return worker_mailbox_init(&member->orders, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0;
}

static void member_remove(struct worker_handle *member)
{
	close(member->orders.fd);
	worker_mailbox_fini(&member->orders);
	sem_destroy(&member->ended);
}

static void fill(struct mailbox *mailbox)
{
	for (unsigned i = 0; i < WORKER_MESSAGE_CNT_MAX; i++)
		CHECK(worker_mailbox_post(mailbox, worker_message_new(WORKER_MESSAGE_WALL, 0)));
}

static void test_one_letter_more_than_fits_is_refused_and_counted(void)
{
	struct worker_handle member;
	uint64_t posted_cnt = 0;

	CHECK(member_make(&member));
	fill(&member.orders);
	CHECK_EQ(worker_mailbox_fill(&member.orders), WORKER_MESSAGE_CNT_MAX);
	CHECK_EQ(member.orders.lost_cnt, 0);
	CHECK(!worker_mailbox_post(&member.orders, worker_message_new(WORKER_MESSAGE_WALL, 0)));
	CHECK_EQ(member.orders.lost_cnt, 1);
	CHECK_EQ(read(member.orders.fd, &posted_cnt, sizeof(posted_cnt)), sizeof(posted_cnt));
	CHECK_EQ(posted_cnt, WORKER_MESSAGE_CNT_MAX);
	worker_message_free(worker_mailbox_take(&member.orders));
	CHECK(worker_mailbox_post(&member.orders, worker_message_new(WORKER_MESSAGE_WALL, 0)));
	member_remove(&member);
}

static void test_a_letter_for_which_there_was_no_memory_is_counted(void)
{
	struct worker_handle member;

	CHECK(member_make(&member));
	CHECK(!worker_mailbox_post(&member.orders, NULL));
	CHECK_EQ(member.orders.lost_cnt, 1);
	CHECK(worker_mailbox_take(&member.orders) == NULL);
	member_remove(&member);
}

/* The sanitizer finds what is not. */
static void test_what_an_unread_letter_holds_is_freed(void)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_BANS, 0);
	struct worker_handle member;

	CHECK(member_make(&member));
	message->bans = calloc(1, sizeof(*message->bans));
	CHECK(worker_mailbox_post(&member.orders, message));
	member_remove(&member);
}

static void test_a_worker_that_takes_no_orders_is_not_waited_for(void)
{
	struct worker_handle member;

	CHECK(member_make(&member));
	fill(&member.orders);
	CHECK(!worker_handle_stop(&member, 0));
	CHECK(!worker_handle_has_ended(&member));
	member_remove(&member);
}

static void test_a_worker_that_has_ended_needs_no_order(void)
{
	struct worker_handle member;

	CHECK(member_make(&member));
	fill(&member.orders);
	member.err = -EIO; /* as one whose event loop failed */
	sem_post(&member.ended);
	CHECK(worker_handle_stop(&member, UINT64_MAX / 2));
	CHECK(worker_handle_has_ended(&member));
	CHECK(worker_handle_has_ended(&member));
	CHECK_EQ(member.orders.lost_cnt, 0);
	member_remove(&member);
}

static struct message_credit credit;

static bool credit_make(struct mailbox *reports)
{
	static const struct fair_paths paths = {.secret = {1, 2}};

	worker_message_credit_init(&credit, reports, &paths);
	return worker_mailbox_init(reports, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0;
}

static bool report(struct worker_message_account account)
{
	return worker_message_credit_post(&credit, worker_message_new(WORKER_MESSAGE_MEMBER, 0),
					  account);
}

/* Of a peer at 10.0.NETWORK.1. */
static struct worker_message_account account_of(uint8_t network, const uint8_t key[static 32])
{
	const struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, network, 1}};

	return worker_message_account_of_peer(&credit, key, &addr);
}

/* As many as there are accounts want to post; home does not read. */
static void test_one_peer_leaves_room_for_letters_of_others(void)
{
	uint8_t loud[32] = {1}, other[32] = {2};
	struct mailbox reports;
	unsigned cnt = 0;

	CHECK(credit_make(&reports));
	while (report(account_of(1, loud)))
		cnt++;
	/* Half of what is shared: with one more it would hold more than it leaves free. */
	CHECK_EQ(cnt, WORKER_MESSAGE_SHARED_MAX / 2);
	CHECK_EQ(credit.refused_cnt, 1);
	CHECK_EQ(reports.lost_cnt, 0);
	CHECK(report(account_of(2, other)));
	CHECK(report(worker_message_account_of_kind(WORKER_MESSAGE_SAMPLE)));
	CHECK(!report(account_of(1, loud)));
	/* Keys without end leave the worker's own a quarter. */
	for (unsigned i = 0; i < WORKER_MESSAGE_CNT_MAX; i++) {
		uint8_t key[32] = {3, (uint8_t)i, (uint8_t)(i >> 8)};

		(void)report(account_of((uint8_t)i, key));
	}
	CHECK_EQ(worker_mailbox_fill(&reports), WORKER_MESSAGE_SHARED_MAX);
	for (unsigned i = WORKER_MESSAGE_SHARED_MAX; i < WORKER_MESSAGE_CNT_MAX; i++)
		CHECK(report(WORKER_MESSAGE_OWN));
	CHECK(!report(WORKER_MESSAGE_OWN));
	CHECK_EQ(reports.lost_cnt, 1);
	close(reports.fd);
	worker_mailbox_fini(&reports);
}

static void test_free_keys_of_one_network_leave_room_for_letters_of_others(void)
{
	struct mailbox reports;
	unsigned cnt = 0;

	CHECK(credit_make(&reports));
	for (unsigned i = 0; i < WORKER_MESSAGE_CNT_MAX; i++) {
		uint8_t key[32] = {3, (uint8_t)i, (uint8_t)(i >> 8)};

		cnt += report(account_of(1, key));
	}
	/* Three times what it leaves free. */
	CHECK_EQ(cnt, WORKER_MESSAGE_SHARED_MAX / 4 * 3);
	CHECK_EQ(credit.refused_cnt, WORKER_MESSAGE_CNT_MAX - cnt);
	for (unsigned i = 0; i < WORKER_MESSAGE_SHARED_MAX / 8; i++) {
		uint8_t key[32] = {4, (uint8_t)i, (uint8_t)(i >> 8)};

		CHECK(report(account_of(2, key)));
	}
	CHECK(report(worker_message_account_of_kind(WORKER_MESSAGE_SAMPLE)));
	CHECK_EQ(reports.lost_cnt, 0);
	close(reports.fd);
	worker_mailbox_fini(&reports);
}

static void test_what_home_has_read_is_credit_again(void)
{
	uint8_t loud[32] = {1};
	struct mailbox reports;
	struct worker_message_account account;

	CHECK(credit_make(&reports));
	account = account_of(1, loud);
	for (unsigned round = 0; round < 5; round++) {
		CHECK(report(WORKER_MESSAGE_OWN));
		for (unsigned i = 0; i < 300; i++)
			CHECK(report(account));
		while (report(account))
			;
		CHECK(worker_mailbox_fill(&reports) < WORKER_MESSAGE_SHARED_MAX);
		for (struct worker_message *message; (message = worker_mailbox_take(&reports));)
			worker_message_free(message);
	}
	CHECK_EQ(credit.refused_cnt, 5);
	close(reports.fd);
	worker_mailbox_fini(&reports);
}

int main(void)
{
	RUN(test_one_peer_leaves_room_for_letters_of_others);
	RUN(test_free_keys_of_one_network_leave_room_for_letters_of_others);
	RUN(test_what_home_has_read_is_credit_again);
	RUN(test_one_letter_more_than_fits_is_refused_and_counted);
	RUN(test_a_letter_for_which_there_was_no_memory_is_counted);
	RUN(test_what_an_unread_letter_holds_is_freed);
	RUN(test_a_worker_that_takes_no_orders_is_not_waited_for);
	RUN(test_a_worker_that_has_ended_needs_no_order);
	return check_done();
}
