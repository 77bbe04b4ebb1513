/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/provider/http_rig.h"

#include "base/container_of.h"
#include "provider/http/http_upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SWITCHED                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
#define SOCKET SWITCHED "Upgrade: websocket\r\n\r\n"
#define PLACES 16

static struct web web;

/* socket_start has PLACES places for WebSockets. */
static void socket_start(void)
{
	prig_init(&web.rig);
	prig_stop(&web.rig, false);
	web.rig.config.upgrade_cap = PLACES;
	prig_start(&web.rig);
	program_listen_tcp(&web.server, 0);
	web_publish(&web, web_spec);
}

static struct service_http_request socket_request(const char *verb)
{
	struct service_http_request request = request_of(verb, "/room?id=7", 0);

	request.headers.list[0] =
		(struct service_http_header){"Sec-WebSocket-Key", KEY, 17, sizeof(KEY) - 1};
	request.headers.list[1] =
		(struct service_http_header){"Origin", "http://web.localhost:5030", 6, 25};
	request.headers.list[2] = (struct service_http_header){"Upgrade", "h2c", 7, 3};
	request.headers.cnt = 3;
	return request;
}

static void socket_ask(struct prig_stream *stream, const struct service_http_request *request)
{
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));

	memset(stream, 0, offsetof(struct prig_stream, body));
	stream->is_http = true;
	stream->body_len = stream->message_cnt = stream->finished_cnt = stream->ended_cnt = 0;
	weft_assert(service_http_request_write(&w, request) == 0);
	weft_assert(prig_open(&web.rig, stream, "web", SERVICE_HTTP_UPGRADE, head,
			      writer_len(&w)) == 0);
	prig_run(&web.rig);
}

static int socket_open(struct prig_stream *stream)
{
	struct service_http_request request = socket_request("GET");

	socket_ask(stream, &request);
	return serve(&web, SOCKET);
}

static unsigned switch_status_of(const struct prig_stream *stream)
{
	struct service_http_answer answer;

	if (!stream->has_head ||
	    service_http_switch_parse(stream->head, stream->head_len, &answer) < 0)
		return 0;
	return answer.status;
}

static void test_a_server_is_asked_for_a_websocket_and_nothing_else(void)
{
	static struct prig_stream stream;
	struct service_http_request request = socket_request("GET");
	char text[4000];
	int fd;

	socket_start();
	socket_ask(&stream, &request);
	fd = program_accept(&web.rig, &web.server);
	(void)program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK(strstr(text, "GET /room?id=7 HTTP/1.1\r\nHost: 127.0.0.1:"));
	CHECK(strstr(text, "\r\nX-Mesh-Peer: "));
	CHECK(strstr(text, "\r\nSec-WebSocket-Key: " KEY "\r\n"));
	CHECK(strstr(text, "\r\nOrigin: http://127.0.0.1:"));
	CHECK(!strstr(text, "web.localhost"));
	CHECK(strstr(text, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
	CHECK(!strstr(text, "h2c") && !strstr(text, "Content-Length"));
	close(fd);
	web_fini(&web);
}

static void test_bytes_go_both_ways_as_they_are(void)
{
	static struct prig_stream stream;
	static char body[64];
	char text[64];
	int fd;

	stream.body = body;
	stream.body_cap = sizeof(body);
	socket_start();
	{
		struct service_http_request request = socket_request("GET");

		socket_ask(&stream, &request);
	}
	/* What comes with the head is the WebSocket's already. */
	fd = serve(&web, SOCKET "\x81\x02hi");
	CHECK_EQ(switch_status_of(&stream), SERVICE_HTTP_SWITCHED);
	CHECK_EQ(status_of(&stream), 0);
	CHECK_EQ(stream.body_len, 4);
	CHECK_MEM(body, "\x81\x02hi", 4);
	stream_say(&stream, "GET / HTTP/1.1\r\n\r\n", 18, false);
	prig_run(&web.rig);
	CHECK_EQ(program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n"), 18);
	program_say(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
	prig_run(&web.rig);
	CHECK_EQ(stream.body_len, 23);
	/* The caller ends: the server hears it behind all else, and may still speak. */
	stream_say(&stream, "bye", 3, false);
	service_channel_finish(stream.channel);
	prig_run(&web.rig);
	CHECK_EQ(program_hear(&web.rig, fd, text, sizeof(text), "no end"), 3);
	program_say(fd, "bye", 3);
	close(fd);
	prig_run(&web.rig);
	CHECK_EQ(stream.body_len, 26);
	CHECK_EQ(stream.finished_cnt, 1);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	web_fini(&web);
}

static void test_silence_ends_nothing_and_a_receiver_that_takes_nothing_does(void)
{
	static struct prig_stream stream;
	static char block[16000];
	struct service_piece piece = {
		.data = (uint8_t *)block, .len = sizeof(block), .is_last = true};
	int fd;

	socket_start();
	fd = socket_open(&stream);
	for (unsigned day = 0; day < 3; day++)
		prig_pass(&web.rig, 24 * 3600 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	/* The server does not read. */
	while (service_channel_send(stream.channel, &piece, NULL, NULL) == 0)
		prig_run(&web.rig);
	prig_run(&web.rig);
	prig_pass(&web.rig, 59 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	prig_pass(&web.rig, 2 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_TIMEOUT);
	CHECK_EQ(prig_view(&web.rig).failed_cnt, 0);
	close(fd);
	web_fini(&web);
}

static void test_one_side_does_not_outlive_the_other_for_long(void)
{
	static struct prig_stream stream;
	int fd;

	socket_start();
	fd = socket_open(&stream);
	service_channel_finish(stream.channel);
	prig_run(&web.rig);
	prig_pass(&web.rig, 59 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	prig_pass(&web.rig, 2 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 1);
	close(fd);
	web_fini(&web);
}

static void test_bytes_before_the_answer_reach_no_server(void)
{
	static struct prig_stream stream;
	struct service_http_request request = socket_request("GET");
	char text[4000];
	int fd;

	socket_start();
	socket_ask(&stream, &request);
	stream_say(&stream, "GET /admin HTTP/1.1\r\nX-Mesh-Peer: forged\r\n\r\n", 44, false);
	prig_run(&web.rig);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	fd = program_accept(&web.rig, &web.server);
	(void)program_hear(&web.rig, fd, text, sizeof(text), "forged");
	CHECK(!strstr(text, "forged"));
	close(fd);
	web_fini(&web);
}

static void test_what_asks_for_no_websocket_is_none(void)
{
	static struct prig_stream stream;
	struct service_http_request request = socket_request("POST");

	socket_start();
	socket_ask(&stream, &request);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	request = socket_request("GET");
	request.headers.list[0].name = "Sec-WebSocket-Kex";
	socket_ask(&stream, &request);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	request = socket_request("GET");
	request.body_len = 1;
	socket_ask(&stream, &request);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	web_fini(&web);
}

static void test_another_protocol_is_a_fault_and_a_refusal_is_an_answer(void)
{
	static const struct {
		const char *answer;
		unsigned status;
	} rows[] = {
		{SWITCHED "Upgrade: h2c\r\n\r\n", 502},
		{SWITCHED "\r\n", 502},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403},
		{"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", 426},
		{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage", 200},
	};
	static struct prig_stream stream;

	socket_start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_http_request request = socket_request("GET");

		socket_ask(&stream, &request);
		close(serve(&web, rows[i].answer));
		prig_run(&web.rig);
		CHECK_EQ(switch_status_of(&stream), rows[i].status);
		service_channel_finish(stream.channel);
		prig_run(&web.rig);
		CHECK_EQ(stream.ended_cnt, 1);
	}
	web_fini(&web);
}

static void test_places_are_exceeded_by_one_and_shared_with_others(void)
{
	static struct prig_stream streams[PLACES + 1];
	const struct service_caller unknown = {.key = {9}};
	struct service_http_request request = socket_request("GET");
	struct provider_stats stats;
	struct http_stream *other;
	struct offer *offer;
	int fds[PLACES];

	socket_start();
	for (unsigned i = 0; i < PLACES; i++)
		fds[i] = socket_open(&streams[i]);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.upgrades.held_cnt, PLACES);
	/* The limits of calls do not count them. */
	CHECK_EQ(stats.active_cnt, 0);
	socket_ask(&streams[PLACES], &request);
	CHECK_EQ(streams[PLACES].status, SERVICE_UNAVAILABLE);
	/* Another caller takes one of the caller that has them all. */
	offer = container_of(web.rig.provider->offer_list.next, struct offer, link);
	other = provider_http_stream_new(offer, &unknown, prig_now(&web.rig));
	CHECK(provider_http_upgrade_enter(other, &unknown, prig_now(&web.rig)));
	prig_run(&web.rig);
	CHECK_EQ(streams[PLACES - 1].ended_cnt, 1);
	CHECK_EQ(streams[PLACES - 1].status, SERVICE_UNAVAILABLE);
	CHECK_EQ(streams[0].ended_cnt, 0);
	provider_http_upgrade_leave(other);
	provider_http_stream_cancel(other);
	for (unsigned i = 0; i < PLACES; i++)
		close(fds[i]);
	prig_run(&web.rig);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.upgrades.held_cnt, 0);
	web_fini(&web);
}

static void test_an_offer_that_is_withdrawn_ends_its_websockets(void)
{
	static struct prig_stream stream;
	int fd;

	socket_start();
	fd = socket_open(&stream);
	CHECK_EQ(provider_withdraw(web.rig.provider, "web", PROVIDER_MAJOR_ANY,
				   &(struct provider_waiter){prig_done, &web.rig},
				   prig_now(&web.rig)),
		 0);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK(program_is_left(fd));
	close(fd);
	web_fini(&web);
}

int main(void)
{
	RUN(test_a_server_is_asked_for_a_websocket_and_nothing_else);
	RUN(test_bytes_go_both_ways_as_they_are);
	RUN(test_silence_ends_nothing_and_a_receiver_that_takes_nothing_does);
	RUN(test_one_side_does_not_outlive_the_other_for_long);
	RUN(test_bytes_before_the_answer_reach_no_server);
	RUN(test_what_asks_for_no_websocket_is_none);
	RUN(test_another_protocol_is_a_fault_and_a_refusal_is_an_answer);
	RUN(test_places_are_exceeded_by_one_and_shared_with_others);
	RUN(test_an_offer_that_is_withdrawn_ends_its_websockets);
	return check_done();
}
