/* SPDX-License-Identifier: Apache-2.0 */
/* A port probe, and the answer of a QUIC server. */
#include "net/port_probe.h"

#include <string.h>

#include "base/random.h"
#include "support/check.h"
#include "support/quic_net.h"

static struct random rng;
static uint8_t answer[2000];
static size_t answer_len;
static uint8_t port_probe[PORT_PROBE_LEN];

static bool keep_answer(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	if (dgram->len > sizeof(answer))
		return false;
	memcpy(answer, dgram->data, dgram->len);
	answer_len = dgram->len;
	return false;
}

/* A server that knows nothing of the prober. */
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
	net_port_probe_write(port_probe, &rng);
	quic_net_inject(server, &from, port_probe, sizeof(port_probe));
	quic_net_settle(&net, 1000 * 1000);
	quic_net_fini(&net);
}

static void test_server_answers_and_keeps_nothing(void)
{
	ask_server();
	CHECK(answer_len > 0);
	CHECK(answer_len < PORT_PROBE_LEN);
	CHECK(net_port_probe_is_answer(port_probe, answer, answer_len));
}

static void test_what_is_no_answer_is_not_taken_for_one(void)
{
	uint8_t other[PORT_PROBE_LEN];

	ask_server();
	for (size_t len = 0; len < 24; len++)
		CHECK(!net_port_probe_is_answer(port_probe, answer, len < 23 ? len : 0));
	/* The version 0, and every byte of both ids. */
	for (size_t i = 1; i < 23; i++) {
		answer[i] ^= 1;
		CHECK(!net_port_probe_is_answer(port_probe, answer, answer_len));
		answer[i] ^= 1;
	}
	answer[0] &= 0x7f;
	CHECK(!net_port_probe_is_answer(port_probe, answer, answer_len));
	answer[0] |= 0x80;
	CHECK(net_port_probe_is_answer(port_probe, answer, answer_len));
	/* To another port probe. */
	net_port_probe_write(other, &rng);
	CHECK(!net_port_probe_is_answer(other, answer, answer_len));
}

int main(void)
{
	RUN(test_server_answers_and_keeps_nothing);
	RUN(test_what_is_no_answer_is_not_taken_for_one);
	return check_done();
}
