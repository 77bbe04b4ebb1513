/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies both ways: their length, their framing, and which side waits for the other. */
#include "unit/provider/http_rig.h"

static void test_a_body_of_known_length_is_sent_as_such(void)
{
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "POST", "/", 5);
	stream_say(&stream, "he", 2, false);
	stream_say(&stream, "", 0, false);
	stream_say(&stream, "llo", 3, false);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "hello");
	CHECK(strstr(text, "\r\nContent-Length: 5\r\n"));
	CHECK(strstr(text, "\r\nConnection: close\r\n"));
	CHECK_STR(strstr(text, "\r\n\r\n"), "\r\n\r\nhello");
	program_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK(program_is_left(fd));
	close(fd);
	web_fini(&web);
}

static void test_a_body_of_unknown_length_is_sent_in_chunks(void)
{
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "PUT", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	stream_say(&stream, "hello world, hel", 16, false);
	stream_say(&stream, "", 0, false);
	stream_say(&stream, "lo", 2, false);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "0\r\n\r\n");
	CHECK(strstr(text, "\r\nTransfer-Encoding: chunked\r\n"));
	CHECK(!strstr(text, "Content-Length"));
	CHECK_STR(strstr(text, "\r\n\r\n"),
		  "\r\n\r\n10\r\nhello world, hel\r\n2\r\nlo\r\n0\r\n\r\n");
	close(fd);
	web_fini(&web);
}

static void test_a_body_is_as_long_as_its_head_says(void)
{
	static const struct {
		uint64_t told;
		const char *said;
		const char *why;
	} rows[] = {
		{0, "x", "longer"},
		{4, "hello", "longer"},
		{6, "hello", "shorter"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct web web;

		web_init(&web);
		api_http_open(&web, &stream, "POST", "/", rows[i].told);
		stream_say(&stream, rows[i].said, strlen(rows[i].said), false);
		service_channel_finish(stream.channel);
		prig_run(&web.rig);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
		CHECK(strstr(stream.text, rows[i].why));
		web_fini(&web);
	}
}

static void test_an_answer_may_come_before_the_end_of_the_request(void)
{
	struct prig_stream stream = {.body = NULL};
	static char much[16000];
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "POST", "/", 1000000);
	stream_say(&stream, "x", 1, false);
	fd = serve(&web, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(status_of(&stream), 413);
	CHECK_EQ(stream.finished_cnt, 1);
	CHECK(program_is_left(fd));
	close(fd);
	/* What the caller still sends is thrown away. */
	for (unsigned i = 0; i < 40; i++) {
		stream_say(&stream, much, sizeof(much), false);
		prig_run(&web.rig);
	}
	service_channel_finish(stream.channel);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	web_fini(&web);
}

#define BIG_LEN (24u * 1024 * 1024)

static size_t push_until_full(int fd, size_t left)
{
	static char zeros[65536];
	size_t pushed = 0;

	while (left) {
		size_t len = left < sizeof(zeros) ? left : sizeof(zeros);
		ssize_t n = send(fd, zeros, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		pushed += (size_t)n;
		left -= (size_t)n;
	}
	return pushed;
}

static void test_a_slow_caller_stops_the_server_and_memory_stays_flat(void)
{
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	size_t pushed = 0, stuck;
	char head[128];
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/big", 0);
	service_channel_finish(stream.channel);
	stream.is_holding = true;
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BIG_LEN);
	fd = serve(&web, head);
	for (unsigned i = 0; i < 200; i++) {
		pushed += push_until_full(fd, BIG_LEN - pushed);
		prig_run(&web.rig);
	}
	provider_stats(web.rig.provider, &stats);
	CHECK(pushed < BIG_LEN);
	CHECK(stats.memory_peak_len <= 18 * 65536);
	/* It reads: everything comes. */
	stuck = pushed;
	stream.is_holding = false;
	service_channel_consume(stream.channel, stream.held_len);
	for (unsigned i = 0; i < 100000 && !stream.ended_cnt; i++) {
		pushed += push_until_full(fd, BIG_LEN - pushed);
		prig_turn(&web.rig, 0);
	}
	CHECK(pushed > stuck);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	CHECK_EQ(stream.body_len, BIG_LEN);
	provider_stats(web.rig.provider, &stats);
	CHECK(stats.memory_peak_len <= 18 * 65536);
	CHECK_EQ(stats.memory_used_len, 0);
	close(fd);
	web_fini(&web);
}

static void test_a_slow_server_stops_the_caller(void)
{
	static char much[16000], sink[65536];
	struct prig_stream stream = {.body = NULL};
	struct service_piece piece = {
		.data = (uint8_t *)much, .len = sizeof(much), .is_last = true};
	struct provider_stats stats;
	size_t said = 0, heard = 0;
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "POST", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	fd = program_accept(&web.rig, &web.server);
	for (unsigned i = 0; i < 3000; i++) {
		if (service_channel_send(stream.channel, &piece, NULL, NULL) == 0)
			said += sizeof(much);
		prig_turn(&web.rig, 0);
	}
	CHECK(said < 20u * 1024 * 1024);
	provider_stats(web.rig.provider, &stats);
	CHECK(stats.memory_peak_len < 1024 * 1024);
	for (unsigned i = 0; i < 100000 && heard < said; i++) {
		ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n > 0)
			heard += (size_t)n;
		else
			prig_turn(&web.rig, NS_PER_MS);
	}
	CHECK(heard >= said);
	close(fd);
	web_fini(&web);
}

/* A provider with room for two slabs: one of heads, and one block of a body. */
static void small_init(struct web *web)
{
	prig_init(&web->rig);
	prig_stop(&web->rig, false);
	web->rig.config.memory_len = 2 * 65536;
	prig_start(&web->rig);
	program_listen_tcp(&web->server, 0);
	web_publish(web, web_spec);
}

static void test_an_exchange_waits_for_memory_and_goes_on(void)
{
	struct prig_stream greedy = {.body = NULL}, modest = {.body = NULL};
	struct provider_stats stats;
	struct web web;
	int fds[2];

	small_init(&web);
	api_http_open(&web, &greedy, "GET", "/big", 0);
	service_channel_finish(greedy.channel);
	greedy.is_holding = true;
	fds[0] = serve(&web, "HTTP/1.1 200 OK\r\n\r\n");
	for (unsigned i = 0; i < 100; i++) {
		push_until_full(fds[0], BIG_LEN);
		prig_run(&web.rig);
	}
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.memory_used_len, 65536); /* the block; the slab of heads stays theirs */
	api_http_open(&web, &modest, "GET", "/", 0);
	service_channel_finish(modest.channel);
	fds[1] = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	prig_run(&web.rig);
	CHECK_EQ(modest.ended_cnt, 0);
	CHECK_EQ(status_of(&modest), 0);
	service_channel_end(greedy.channel, SERVICE_OK, "");
	prig_run(&web.rig);
	prig_pass(&web.rig, 10 * NS_PER_MS);
	CHECK_EQ(status_of(&modest), 200);
	CHECK_EQ(modest.ended_cnt, 1);
	CHECK_EQ(modest.status, SERVICE_OK);
	close(fds[0]);
	close(fds[1]);
	web_fini(&web);
}

static void test_a_body_that_finds_no_memory_ends(void)
{
	static char much[16000];
	struct service_piece piece = {
		.data = (uint8_t *)much, .len = sizeof(much), .is_last = true};
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	struct web web;
	int fd;

	small_init(&web);
	api_http_open(&web, &stream, "POST", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	fd = program_accept(&web.rig, &web.server);
	for (unsigned i = 0; i < 5000 && !stream.ended_cnt; i++) {
		(void)!service_channel_send(stream.channel, &piece, NULL, NULL);
		prig_turn(&web.rig, 0);
	}
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.memory_used_len, 0);
	close(fd);
	web_fini(&web);
}

int main(void)
{
	RUN(test_a_body_of_known_length_is_sent_as_such);
	RUN(test_a_body_of_unknown_length_is_sent_in_chunks);
	RUN(test_a_body_is_as_long_as_its_head_says);
	RUN(test_an_answer_may_come_before_the_end_of_the_request);
	RUN(test_a_slow_caller_stops_the_server_and_memory_stays_flat);
	RUN(test_a_slow_server_stops_the_caller);
	RUN(test_an_exchange_waits_for_memory_and_goes_on);
	RUN(test_a_body_that_finds_no_memory_ends);
	return check_done();
}
