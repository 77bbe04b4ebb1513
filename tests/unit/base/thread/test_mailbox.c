/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/random.h"
#include "support/check.h"

#define MESSAGE_CNT 64
#define MEMORY_LEN  4096

static struct mailbox mailbox;

/* The messages that ran. */
struct log {
	unsigned run_cnt, next;
	size_t len;
};

static void count(void *object, const void *bytes, size_t len)
{
	struct log *log = object;

	(void)bytes;
	log->run_cnt++;
	log->len += len;
}

static bool open_mailbox(void)
{
	return mailbox_init(&mailbox, MESSAGE_CNT, MEMORY_LEN,
			    eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0;
}

static bool run_one(struct log *log)
{
	return mailbox_run(&mailbox, (void *[]){log});
}

static void close_mailbox(void)
{
	close(mailbox.fd);
	mailbox_fini(&mailbox);
}

static void test_one_message_more_than_fits_is_refused_and_counted(void)
{
	const struct mailbox_message message = {.run = count};
	struct log log = {0};
	uint64_t posted_cnt = 0;

	CHECK(open_mailbox());
	for (unsigned i = 0; i < MESSAGE_CNT; i++)
		CHECK(mailbox_post(&mailbox, &message));
	CHECK_EQ(mailbox_fill(&mailbox), MESSAGE_CNT);
	CHECK_EQ(mailbox.lost_cnt, 0);
	CHECK(!mailbox_post(&mailbox, &message));
	CHECK_EQ(mailbox.lost_cnt, 1);
	CHECK_EQ(read(mailbox.fd, &posted_cnt, sizeof(posted_cnt)), sizeof(posted_cnt));
	CHECK_EQ(posted_cnt, MESSAGE_CNT);
	CHECK(run_one(&log));
	CHECK(mailbox_post(&mailbox, &message));
	while (run_one(&log))
		;
	CHECK_EQ(log.run_cnt, MESSAGE_CNT + 1);
	close_mailbox();
}

static void test_full_memory_refuses_a_message_until_one_is_read(void)
{
	static const uint8_t bytes[MEMORY_LEN / 4 - 32];
	const struct mailbox_message message = {.run = count, .bytes = bytes, .len = sizeof(bytes)};
	const struct mailbox_message tiny = {.run = count};
	struct log log = {0};

	CHECK(open_mailbox());
	for (unsigned i = 0; i < 4; i++)
		CHECK(mailbox_post(&mailbox, &message));
	CHECK(!mailbox_post(&mailbox, &tiny));
	for (unsigned i = 0; i < 10; i++) {
		CHECK(run_one(&log));
		CHECK(mailbox_post(&mailbox, &message));
		CHECK(!mailbox_post(&mailbox, &tiny));
	}
	CHECK_EQ(mailbox.lost_cnt, 11);
	CHECK_EQ(log.len, 10 * sizeof(bytes));
	close_mailbox();
}

static void test_message_larger_than_the_memory_is_refused(void)
{
	static const uint8_t bytes[MEMORY_LEN];
	struct mailbox_message message = {
		.run = count, .bytes = bytes, .len = MEMORY_LEN - 31, .tail = bytes};

	CHECK(open_mailbox());
	CHECK(!mailbox_post(&mailbox, &message));
	message.len = MEMORY_LEN - 64;
	message.tail_len = 32;
	CHECK(mailbox_post(&mailbox, &message));
	close_mailbox();
}

/* Each message is its number, as often as it is long. */
static void check_next(void *object, const void *bytes, size_t len)
{
	struct log *log = object;
	const uint8_t *byte = bytes;

	CHECK_EQ((uintptr_t)bytes % 16, 0);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ(byte[i], (uint8_t)log->next);
	log->next++;
}

static void test_bytes_arrive_whole_and_in_order(void)
{
	uint8_t bytes[600];
	struct random random;
	struct log log = {0};
	unsigned posted_cnt = 0;

	random_init_seeded(&random, 7);
	CHECK(open_mailbox());
	while (posted_cnt < 20000) {
		size_t len = random_below(&random, sizeof(bytes) + 1);
		size_t head_len = random_below(&random, len + 1);
		const struct mailbox_message message = {.run = check_next,
							.bytes = bytes,
							.len = head_len,
							.tail = bytes + head_len,
							.tail_len = len - head_len};

		memset(bytes, (uint8_t)posted_cnt, sizeof(bytes));
		posted_cnt += mailbox_post(&mailbox, &message);
		for (uint64_t i = random_below(&random, 3); i > 0; i--)
			(void)run_one(&log);
	}
	while (run_one(&log))
		;
	CHECK_EQ(log.next, posted_cnt);
	close_mailbox();
}

static void *post_many(void *arg)
{
	uint8_t bytes[100];

	for (unsigned i = 0; i < 20000; i++) {
		const struct mailbox_message message = {
			.run = check_next, .bytes = bytes, .len = i % sizeof(bytes)};

		memset(bytes, (uint8_t)i, sizeof(bytes));
		while (!mailbox_post(arg, &message))
			sched_yield();
	}
	return NULL;
}

static void test_two_threads_pass_every_message_once_and_in_order(void)
{
	struct log log = {0};
	pthread_t thread;

	CHECK(open_mailbox());
	CHECK_EQ(pthread_create(&thread, NULL, post_many, &mailbox), 0);
	while (log.next < 20000)
		if (!run_one(&log))
			sched_yield();
	pthread_join(thread, NULL);
	CHECK(!run_one(&log));
	close_mailbox();
}

static void test_message_runs_with_the_object_it_is_for(void)
{
	struct mailbox_message message = {.run = count};
	struct log logs[2] = {0};
	void *const objects[] = {&logs[0], &logs[1]};

	CHECK(open_mailbox());
	for (message.to = 0; message.to < 2; message.to++)
		for (unsigned i = 0; i <= message.to; i++)
			CHECK(mailbox_post(&mailbox, &message));
	while (mailbox_run(&mailbox, objects))
		;
	CHECK_EQ(logs[0].run_cnt, 1);
	CHECK_EQ(logs[1].run_cnt, 2);
	close_mailbox();
}

static void object_free(const void *bytes)
{
	free(*(void *const *)bytes);
}

static void object_take(void *object, const void *bytes, size_t len)
{
	(void)object;
	CHECK_EQ(len, sizeof(void *));
	object_free(bytes);
}

/* The sanitizer finds what is not freed. */
static void test_object_of_an_unread_or_refused_message_is_dropped(void)
{
	CHECK(open_mailbox());
	for (unsigned i = 0; i < MESSAGE_CNT; i++)
		CHECK(mailbox_post_object(&mailbox, object_take, object_free, malloc(1)));
	CHECK(!mailbox_post_object(&mailbox, object_take, object_free, malloc(1)));
	CHECK(run_one(NULL));
	close_mailbox();
}

static void test_object_without_memory_counts_as_lost(void)
{
	CHECK(open_mailbox());
	CHECK(!mailbox_post_object(&mailbox, object_take, object_free, NULL));
	CHECK_EQ(mailbox.lost_cnt, 1);
	CHECK(!run_one(NULL));
	close_mailbox();
}

int main(void)
{
	RUN(test_one_message_more_than_fits_is_refused_and_counted);
	RUN(test_full_memory_refuses_a_message_until_one_is_read);
	RUN(test_message_larger_than_the_memory_is_refused);
	RUN(test_bytes_arrive_whole_and_in_order);
	RUN(test_message_runs_with_the_object_it_is_for);
	RUN(test_two_threads_pass_every_message_once_and_in_order);
	RUN(test_object_of_an_unread_or_refused_message_is_dropped);
	RUN(test_object_without_memory_counts_as_lost);
	return check_done();
}
