/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/memory/heap.h"
#include "provider/queue.h"

#define HEAP_LEN (256 * 1024)

static size_t heap_used(const struct heap *heap)
{
	struct heap_usage usage;

	heap_usage(heap, &usage);
	return usage.used_len;
}

static void test_bytes_come_out_as_they_went_in(void)
{
	static uint8_t sent[100000], got[100000];
	struct queue queue = {.len = 0};
	size_t got_len = 0;
	int fds[2];

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 13 % 251);
	CHECK_EQ(heap_new(HEAP_LEN, &queue.heap), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	/* In pieces that end before, at and behind the end of a block. */
	for (size_t at = 0, step = 1; at < sizeof(sent); at += step, step = step * 3 % 20011 + 1) {
		size_t len = sizeof(sent) - at < step ? sizeof(sent) - at : step;

		CHECK_EQ(provider_queue_push(&queue, sent + at, len), 0);
	}
	CHECK_EQ(queue.len, sizeof(sent));
	while (got_len < sizeof(sent)) {
		ssize_t n;

		CHECK(provider_queue_flush(&queue, fds[0]) >= 0);
		n = read(fds[1], got + got_len, sizeof(got) - got_len);
		got_len += n > 0 ? (size_t)n : 0;
	}
	CHECK_MEM(got, sent, sizeof(sent));
	CHECK_EQ(queue.len, 0);
	CHECK_EQ(heap_used(queue.heap), 0);
	close(fds[1]);
	CHECK_EQ(provider_queue_push(&queue, "x", 1), 0);
	CHECK(provider_queue_flush(&queue, fds[0]) < 0);
	provider_queue_clear(&queue);
	CHECK_EQ(heap_used(queue.heap), 0);
	close(fds[0]);
	heap_free(queue.heap);
}

static void test_a_full_heap_takes_all_or_nothing(void)
{
	static uint8_t much[HEAP_LEN];
	struct queue queue = {.len = 0};

	CHECK_EQ(heap_new(HEAP_LEN, &queue.heap), 0);
	CHECK_EQ(provider_queue_push(&queue, much, 1000), 0);
	CHECK_EQ(provider_queue_push(&queue, much, sizeof(much)), WEFT_EFULL);
	CHECK_EQ(queue.len, 1000);
	CHECK_EQ(provider_queue_push(&queue, much, 1000), 0);
	CHECK_EQ(queue.len, 2000);
	provider_queue_clear(&queue);
	CHECK_EQ(heap_used(queue.heap), 0);
	heap_free(queue.heap);
}

static void test_one_queue_goes_behind_another(void)
{
	struct queue queue = {.len = 0}, behind = {.len = 0};
	char got[16] = "";
	int fds[2];

	CHECK_EQ(heap_new(HEAP_LEN, &queue.heap), 0);
	behind.heap = queue.heap;
	provider_queue_append(&queue, &behind);
	CHECK_EQ(queue.len, 0);
	CHECK_EQ(provider_queue_push(&behind, "cd", 2), 0);
	CHECK_EQ(provider_queue_push(&queue, "ab", 2), 0);
	provider_queue_append(&queue, &behind);
	CHECK_EQ(behind.len, 0);
	CHECK_EQ(provider_queue_push(&queue, "ef", 2), 0);
	CHECK_EQ(provider_queue_push(&behind, "gh", 2), 0);
	provider_queue_append(&queue, &behind);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CHECK_EQ(provider_queue_flush(&queue, fds[0]), 8);
	CHECK_EQ(read(fds[1], got, sizeof(got)), 8);
	CHECK_STR(got, "abcdefgh");
	CHECK_EQ(heap_used(queue.heap), 0);
	close(fds[0]);
	close(fds[1]);
	heap_free(queue.heap);
}

int main(void)
{
	RUN(test_bytes_come_out_as_they_went_in);
	RUN(test_a_full_heap_takes_all_or_nothing);
	RUN(test_one_queue_goes_behind_another);
	return check_done();
}
