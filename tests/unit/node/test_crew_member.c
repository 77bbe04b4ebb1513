/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes between home and a worker, and a worker that does not answer. */
#include "node/crew/crew_member.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/bans/ban_list.h"
#include "support/check.h"

/* Of a worker that never was: nobody takes what is posted. */
static bool member_make(struct crew_member *member)
{
	memset(member, 0, sizeof(*member));
	sem_init(&member->ended, 0, 0);
	return mailbox_init(&member->orders, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0;
}

static void member_remove(struct crew_member *member)
{
	close(member->orders.fd);
	mailbox_fini(&member->orders);
	sem_destroy(&member->ended);
}

static void fill(struct mailbox *mailbox)
{
	for (unsigned i = 0; i < LETTER_CNT_MAX; i++)
		CHECK(mailbox_post(mailbox, letter_new(LETTER_WALL, 0)));
}

static void test_one_letter_more_than_fits_is_refused_and_counted(void)
{
	struct crew_member member;
	uint64_t posted_cnt = 0;

	CHECK(member_make(&member));
	fill(&member.orders);
	CHECK_EQ(mailbox_fill(&member.orders), LETTER_CNT_MAX);
	CHECK_EQ(member.orders.lost_cnt, 0);
	CHECK(!mailbox_post(&member.orders, letter_new(LETTER_WALL, 0)));
	CHECK_EQ(member.orders.lost_cnt, 1);
	CHECK_EQ(read(member.orders.fd, &posted_cnt, sizeof(posted_cnt)), sizeof(posted_cnt));
	CHECK_EQ(posted_cnt, LETTER_CNT_MAX);
	letter_free(mailbox_take(&member.orders));
	CHECK(mailbox_post(&member.orders, letter_new(LETTER_WALL, 0)));
	member_remove(&member);
}

static void test_a_letter_for_which_there_was_no_memory_is_counted(void)
{
	struct crew_member member;

	CHECK(member_make(&member));
	CHECK(!mailbox_post(&member.orders, NULL));
	CHECK_EQ(member.orders.lost_cnt, 1);
	CHECK(mailbox_take(&member.orders) == NULL);
	member_remove(&member);
}

/* The sanitizer finds what is not. */
static void test_what_an_unread_letter_holds_is_freed(void)
{
	struct letter *letter = letter_new(LETTER_BANS, 0);
	struct crew_member member;

	CHECK(member_make(&member));
	letter->bans = calloc(1, sizeof(*letter->bans));
	CHECK(mailbox_post(&member.orders, letter));
	member_remove(&member);
}

static void test_a_worker_that_takes_no_orders_is_not_waited_for(void)
{
	struct crew_member member;

	CHECK(member_make(&member));
	fill(&member.orders);
	CHECK(!crew_member_stop(&member, 0));
	CHECK(!crew_member_has_ended(&member));
	member_remove(&member);
}

static void test_a_worker_that_has_ended_needs_no_order(void)
{
	struct crew_member member;

	CHECK(member_make(&member));
	fill(&member.orders);
	member.err = -EIO; /* as one whose event loop failed */
	sem_post(&member.ended);
	CHECK(crew_member_stop(&member, UINT64_MAX / 2));
	CHECK(crew_member_has_ended(&member));
	CHECK(crew_member_has_ended(&member));
	CHECK_EQ(member.orders.lost_cnt, 0);
	member_remove(&member);
}

int main(void)
{
	RUN(test_one_letter_more_than_fits_is_refused_and_counted);
	RUN(test_a_letter_for_which_there_was_no_memory_is_counted);
	RUN(test_what_an_unread_letter_holds_is_freed);
	RUN(test_a_worker_that_takes_no_orders_is_not_waited_for);
	RUN(test_a_worker_that_has_ended_needs_no_order);
	return check_done();
}
