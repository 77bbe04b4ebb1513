/* SPDX-License-Identifier: Apache-2.0 */
/* A knock, and what a QUIC server says to it. */
#include "node/knock.h"

#include <string.h>

#include "base/random.h"
#include "support/check.h"
#include "support/quic_net.h"

static struct random rng;
static uint8_t answer[2000];
static size_t answer_len;
static uint8_t knock[KNOCK_LEN];

static bool keep_answer(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	if (dgram->len > sizeof(answer))
		return false;
	memcpy(answer, dgram->data, dgram->len);
	answer_len = dgram->len;
	return false;
}

/* A server that knows nothing of who knocks. */
static void ask_server(void)
{
	struct quic_net net;
	struct quic_node *server;
	struct addr from = {.ip = {192, 0, 2, 1}, .port = 4711, .family = ADDR_IPV4};

	random_init_seeded(&rng, 7);
	quic_net_init(&net, 410);
	server = quic_net_add(&net, 1, NULL);
	net.tap = keep_answer;
	answer_len = 0;
	knock_write(knock, &rng);
	quic_net_inject(server, &from, knock, sizeof(knock));
	quic_net_settle(&net, 1000 * 1000);
	quic_net_fini(&net);
}

static void test_server_answers_and_keeps_nothing(void)
{
	ask_server();
	CHECK(answer_len > 0);
	CHECK(answer_len < KNOCK_LEN);
	CHECK(knock_is_answer(knock, answer, answer_len));
}

static void test_what_is_no_answer_is_not_taken_for_one(void)
{
	uint8_t other[KNOCK_LEN];

	ask_server();
	for (size_t len = 0; len < 24; len++)
		CHECK(!knock_is_answer(knock, answer, len < 23 ? len : 0));
	/* The version 0, and every byte of both ids. */
	for (size_t i = 1; i < 23; i++) {
		answer[i] ^= 1;
		CHECK(!knock_is_answer(knock, answer, answer_len));
		answer[i] ^= 1;
	}
	answer[0] &= 0x7f;
	CHECK(!knock_is_answer(knock, answer, answer_len));
	answer[0] |= 0x80;
	CHECK(knock_is_answer(knock, answer, answer_len));
	/* To another knock. */
	knock_write(other, &rng);
	CHECK(!knock_is_answer(other, answer, answer_len));
}

int main(void)
{
	RUN(test_server_answers_and_keeps_nothing);
	RUN(test_what_is_no_answer_is_not_taken_for_one);
	return check_done();
}
