/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints on a fabric that the test plays: which caller has the places, and bytes between a stream
 * and the descriptor that a program gets.
 */
#include "provider/endpoint/program_endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory/heap.h"
#include "base/monotonic.h"
#include "provider/endpoint/endpoints.h"
#include "provider/program_offer.h"
#include "support/check.h"

#define STREAM_CNT 700

/* ---- the fabric ---- */

struct service_channel {
	const struct service_channel_events *events;
	void *arg;
	unsigned ended_cnt, finished_cnt;
	enum service_status status;
	bool is_full; /* it takes nothing */
	size_t sent_len, used_len;
	uint8_t sent[64];
};

static struct {
	struct arena arena;
	struct provider provider;
	struct timer_wheel timers;
	const struct service_handler *handler;
	void *handler_ctx;
	unsigned offer_cnt, withdrawn_cnt;
	struct service_channel channels[STREAM_CNT];
	unsigned channel_cnt;
	uint64_t now_ns;
} desk;

int service_offer(struct service *service, const struct service_offering *offering, uint64_t now_ns,
		  struct service_offer **out_offer, const char **out_why)
{
	(void)service, (void)now_ns, (void)out_why;
	weft_assert(!offering->is_published);
	desk.handler = offering->handler;
	desk.handler_ctx = offering->ctx;
	desk.offer_cnt++;
	*out_offer = NULL;
	return 0;
}

int service_set_access(struct service_offer *offer, const struct service_offering *offering)
{
	(void)offer, (void)offering;
	return 0;
}

void service_withdraw(struct service_offer *offer, uint64_t now_ns)
{
	(void)offer, (void)now_ns;
	desk.withdrawn_cnt++;
}

int service_channel_open(struct service *service, const struct service_request *request,
			 uint64_t now_ns, struct service_channel **out_channel)
{
	struct service_channel *channel = &desk.channels[desk.channel_cnt++];

	(void)service, (void)now_ns;
	channel->events = request->events;
	channel->arg = request->arg;
	*out_channel = channel;
	return 0;
}

void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg)
{
	channel->events = events;
	channel->arg = arg;
}

int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg)
{
	(void)done, (void)arg;
	weft_assert(piece->is_last);
	if (channel->is_full)
		return WEFT_EFULL;
	for (size_t i = 0; i < piece->len && channel->sent_len + i < sizeof(channel->sent); i++)
		channel->sent[channel->sent_len + i] = piece->data[i];
	channel->sent_len += piece->len;
	return 0;
}

void service_channel_finish(struct service_channel *channel)
{
	channel->finished_cnt++;
}

void service_channel_consume(struct service_channel *channel, size_t len)
{
	channel->used_len += len;
}

void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text)
{
	(void)text;
	channel->ended_cnt++;
	channel->status = status;
}

/* ---- the desk ---- */

static struct endpoint *desk_start(void)
{
	const struct endpoint_params params = {.name = "hall", .user = 7};
	struct endpoint *endpoint;
	const char *why;

	memset(&desk, 0, sizeof(desk));
	desk.now_ns = NS_PER_S;
	timer_wheel_init(&desk.timers, desk.now_ns);
	desk.provider.timers = &desk.timers;
	weft_assert(poller_new(1024, &desk.provider.poller) == 0);
	weft_assert(heap_new(16 << 20, &desk.provider.heap) == 0);
	weft_assert(arena_open(&desk.arena, ARENA_GROWS) == 0);
	weft_assert(provider_endpoints_init(&desk.provider, &desk.arena) == 0);
	weft_assert(provider_endpoint_open(&desk.provider, &params, desk.now_ns, &endpoint, &why) ==
		    0);
	return endpoint;
}

static void desk_stop(void)
{
	provider_endpoints_end(&desk.provider, desk.now_ns);
	poller_free(desk.provider.poller);
	heap_free(desk.provider.heap);
	arena_close(&desk.arena);
}

static void desk_run(void)
{
	for (unsigned i = 0; i < 8; i++) {
		weft_assert(poller_wait(desk.provider.poller, 0) >= 0);
		desk.now_ns += NS_PER_MS;
		timer_wheel_expire(&desk.timers, desk.now_ns);
	}
}

/* A caller with a key of its own in a network. */
static struct service_channel *desk_call(unsigned network, unsigned key)
{
	const struct fair_paths paths = {.secret = {1, 2}};
	struct addr addr;
	struct service_caller caller = {
		.key = {(uint8_t)network, (uint8_t)key, (uint8_t)(key >> 8)}};
	const struct service_input input = {.caller = &caller, .method = "Connect"};
	struct service_channel *channel = &desk.channels[desk.channel_cnt++];
	char text[ADDR_TEXT_CAP];

	snprintf(text, sizeof(text), "10.%u.0.1:7000", network);
	weft_assert(addr_parse(text, &addr) == 0);
	fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, &caller.path);
	fair_path_add(&paths, &caller.path, caller.key, sizeof(caller.key));
	desk.now_ns += NS_PER_MS;
	desk.handler->stream(desk.handler_ctx, channel, &input, desk.now_ns);
	return channel;
}

static unsigned ended_cnt(unsigned begin, unsigned end)
{
	unsigned cnt = 0;

	for (; begin < end; begin++)
		cnt += desk.channels[begin].ended_cnt;
	return cnt;
}

/* ---- places ---- */

static void test_keys_of_one_network_leave_room_for_another(void)
{
	struct endpoint_fills fills;
	struct service_channel *other;

	(void)desk_start();
	for (unsigned key = 0; key < ENDPOINT_WAITING_MAX; key++)
		CHECK_EQ(desk_call(1, key)->ended_cnt, 0);
	other = desk_call(2, 0);
	CHECK_EQ(other->ended_cnt, 0);
	CHECK_EQ(ended_cnt(0, ENDPOINT_WAITING_MAX), 1);
	/* More keys get no more than their network's part. */
	for (unsigned key = 100; key < 200; key++)
		(void)desk_call(1, key);
	CHECK_EQ(other->ended_cnt, 0);
	provider_endpoint_fills(&desk.provider, &fills);
	CHECK_EQ(fills.waiting_cnt, ENDPOINT_WAITING_MAX);
	CHECK_EQ(fills.stream_cnt, ENDPOINT_WAITING_MAX);
	desk_stop();
}

static void test_accepted_streams_are_bounded_and_shared(void)
{
	struct endpoint *endpoint = desk_start();
	static int fds[STREAM_CNT];
	uint8_t key[MESH_KEY_LEN];
	unsigned fd_cnt = 0;

	for (unsigned i = 0; i < ENDPOINT_STREAM_MAX; i++) {
		CHECK_EQ(desk_call(1, i)->ended_cnt, 0);
		fds[fd_cnt] = provider_endpoint_take(endpoint, key, desk.now_ns);
		CHECK(fds[fd_cnt++] >= 0);
	}
	(void)desk_call(1, 999);
	CHECK_EQ(ended_cnt(0, ENDPOINT_STREAM_MAX + 1), 1);
	CHECK_EQ(desk_call(2, 0)->ended_cnt, 0);
	CHECK_EQ(ended_cnt(0, ENDPOINT_STREAM_MAX + 2), 2);
	while (fd_cnt)
		close(fds[--fd_cnt]);
	desk_stop();
}

static void test_streams_that_programs_open_are_bounded(void)
{
	const struct endpoint_ask ask = {.request = {.target = {.name = "endpoint.x"}}};
	struct endpoint_stream *stream;

	(void)desk_start();
	for (unsigned i = 0; i < ENDPOINT_ASKED_MAX; i++)
		CHECK_EQ(provider_endpoint_connect(&desk.provider, &ask, desk.now_ns, &stream), 0);
	CHECK_EQ(provider_endpoint_connect(&desk.provider, &ask, desk.now_ns, &stream), WEFT_EFULL);
	provider_endpoint_cancel(stream, desk.now_ns);
	CHECK_EQ(provider_endpoint_connect(&desk.provider, &ask, desk.now_ns, &stream), 0);
	desk_stop();
}

/* ---- bytes ---- */

/* The descriptor of a program, and the channel of its stream. */
static int joined(struct endpoint *endpoint, struct service_channel **out_channel)
{
	uint8_t key[MESH_KEY_LEN];
	int fd;

	*out_channel = desk_call(1, 1);
	fd = provider_endpoint_take(endpoint, key, desk.now_ns);
	weft_assert(fd >= 0);
	desk_run();
	return fd;
}

static void piece_comes(struct service_channel *channel, const char *text)
{
	const struct service_piece piece = {
		.data = (const uint8_t *)text, .len = strlen(text), .is_last = true};

	channel->events->piece(channel->arg, &piece, desk.now_ns);
}

static void test_each_direction_ends_alone(void)
{
	struct endpoint *endpoint = desk_start();
	struct service_channel *channel;
	int fd = joined(endpoint, &channel);
	char data[16];

	CHECK_EQ(write(fd, "there", 5), 5);
	CHECK_EQ(shutdown(fd, SHUT_WR), 0);
	desk_run();
	CHECK_EQ(channel->sent_len, 5);
	CHECK_MEM(channel->sent, "there", 5);
	CHECK_EQ(channel->finished_cnt, 1);
	piece_comes(channel, "back");
	CHECK_EQ(read(fd, data, sizeof(data)), 4);
	CHECK_EQ(channel->used_len, 4);
	CHECK_EQ(read(fd, data, sizeof(data)), -1);
	CHECK_EQ(errno, EAGAIN);
	channel->events->finished(channel->arg, desk.now_ns);
	CHECK_EQ(read(fd, data, sizeof(data)), 0);
	channel->events->ended(channel->arg, &(struct service_answer){.status = SERVICE_OK},
			       desk.now_ns);
	CHECK_EQ(desk.provider.endpoints->streams.used_cnt, 0);
	close(fd);
	desk_stop();
}

static void test_a_channel_that_takes_nothing_holds_the_program_back(void)
{
	static const uint8_t data[65536];
	struct endpoint *endpoint = desk_start();
	struct service_channel *channel;
	int fd = joined(endpoint, &channel);
	size_t len = 0;
	ssize_t n;

	channel->is_full = true;
	for (unsigned i = 0; i < 100; i++) {
		while ((n = write(fd, data, sizeof(data))) > 0)
			len += (size_t)n;
		desk_run();
	}
	CHECK(len > 0 && len < (2u << 20));
	CHECK_EQ(channel->sent_len, 0);
	/* The program closes: what it wrote is not lost. */
	close(fd);
	desk_run();
	CHECK_EQ(channel->finished_cnt, 0);
	channel->is_full = false;
	channel->events->writable(channel->arg, desk.now_ns);
	desk_run();
	CHECK_EQ(channel->sent_len, len);
	CHECK_EQ(channel->finished_cnt, 1);
	/* The other side still has its direction, but not for long. */
	CHECK_EQ(channel->ended_cnt, 0);
	desk.now_ns += 61 * NS_PER_S;
	desk_run();
	CHECK_EQ(channel->ended_cnt, 1);
	CHECK_EQ(desk.provider.endpoints->streams.used_cnt, 0);
	desk_stop();
}

static void test_bytes_that_are_not_read_are_not_used(void)
{
	static char text[8192];
	struct endpoint *endpoint = desk_start();
	struct service_channel *channel;
	int fd = joined(endpoint, &channel);
	size_t came = 0, before;
	struct heap_usage usage;

	memset(text, 'x', sizeof(text) - 1);
	for (; came < (2u << 20); came += sizeof(text) - 1)
		piece_comes(channel, text);
	before = channel->used_len;
	CHECK(before > 0 && before < (1u << 20));
	heap_usage(desk.provider.heap, &usage);
	CHECK(usage.used_len >= came - before);
	for (size_t got = 0; got < came; desk_run()) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		if (n > 0)
			got += (size_t)n;
	}
	CHECK_EQ(channel->used_len, came);
	heap_usage(desk.provider.heap, &usage);
	CHECK_EQ(usage.used_len, 0);
	/* Bytes beyond the memory of all streams end the one that does not read. */
	for (came = 0; came < (32u << 20) && !channel->ended_cnt; came += sizeof(text) - 1)
		piece_comes(channel, text);
	CHECK_EQ(channel->ended_cnt, 1);
	CHECK_EQ(channel->status, SERVICE_UNAVAILABLE);
	close(fd);
	desk_stop();
}

static void test_a_program_that_left_ends_a_stream_that_writes(void)
{
	struct endpoint *endpoint = desk_start();
	struct service_channel *channel;

	close(joined(endpoint, &channel));
	desk_run();
	CHECK_EQ(channel->finished_cnt, 1);
	CHECK_EQ(channel->ended_cnt, 0);
	piece_comes(channel, "nobody reads this");
	CHECK_EQ(channel->ended_cnt, 1);
	CHECK_EQ(desk.provider.endpoints->streams.used_cnt, 0);
	desk_stop();
}

/* ---- life ---- */

static void test_accepted_streams_outlast_their_endpoint(void)
{
	struct endpoint *endpoint = desk_start();
	const struct endpoint_params again = {.name = "hall", .user = 7};
	struct service_channel *channel, *waiting;
	const char *why;
	int fd = joined(endpoint, &channel);

	waiting = desk_call(2, 2);
	CHECK(provider_endpoint_lookup(&desk.provider, "hall", 7) == endpoint);
	CHECK(!provider_endpoint_lookup(&desk.provider, "hall", 8));
	provider_endpoint_close(endpoint, desk.now_ns);
	CHECK_EQ(waiting->ended_cnt, 1);
	CHECK_EQ(channel->ended_cnt, 0);
	CHECK_EQ(desk.withdrawn_cnt, 0);
	CHECK(!provider_endpoint_lookup(&desk.provider, "hall", 7));
	CHECK_EQ(desk_call(2, 3)->status, SERVICE_UNAVAILABLE);
	CHECK_EQ(provider_endpoint_open(&desk.provider, &again, desk.now_ns, &endpoint, &why), 0);
	CHECK_EQ(desk.offer_cnt, 1);
	provider_endpoint_close(endpoint, desk.now_ns);
	close(fd);
	desk_run();
	piece_comes(channel, "x");
	CHECK_EQ(desk.withdrawn_cnt, 1);
	desk_stop();
}

int main(void)
{
	RUN(test_keys_of_one_network_leave_room_for_another);
	RUN(test_accepted_streams_are_bounded_and_shared);
	RUN(test_streams_that_programs_open_are_bounded);
	RUN(test_each_direction_ends_alone);
	RUN(test_a_channel_that_takes_nothing_holds_the_program_back);
	RUN(test_bytes_that_are_not_read_are_not_used);
	RUN(test_a_program_that_left_ends_a_stream_that_writes);
	RUN(test_accepted_streams_outlast_their_endpoint);
	return check_done();
}
