/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ngtcp2 finds no memory: at each allocation of a connection in turn, in both
 * roles, from the handshake to streams in pieces. The connection may end, and
 * nothing of it stays behind.
 */
#include "support/check.h"
#include "support/quic_duel.h"

#include "base/monotonic.h"
#include "quic/engine.h"

static struct quic_duel duel;
static ngtcp2_mem real;
static unsigned left; /* allocations until the one that fails; 0: none does */

static bool fails(void)
{
	return left && --left == 0;
}

static void *try_malloc(size_t len, void *user)
{
	return fails() ? NULL : real.malloc(len, user);
}

static void *try_calloc(size_t cnt, size_t len, void *user)
{
	return fails() ? NULL : real.calloc(cnt, len, user);
}

static void *try_realloc(void *at, size_t len, void *user)
{
	return fails() ? NULL : real.realloc(at, len, user);
}

/* One byte of every second place of a stream, and of many streams: tables grow at both ends. */
static void send_pieces(void)
{
	uint8_t payload[64];

	for (unsigned i = 0; i < 400 && !duel.peer.is_closed; i++) {
		size_t len = 0;

		payload[len++] = 0x0e; /* STREAM with offset and length */
		payload[len++] = (uint8_t)((duel.peer.config.is_server ? 1 : 0) + 4 * (i % 2));
		len += quic_varint_write(payload + len, 2 + 2 * i);
		payload[len++] = 1;
		payload[len++] = 0x77;
		quic_peer_send(&duel.peer, QUIC_PEER_APP, payload, len, 0);
		if (i % 16 == 0)
			quic_duel_run(&duel);
	}
}

/* Whether the nth allocation was asked for at all. */
static bool duel_with(const struct quic_peer_config *config, unsigned nth)
{
	static const uint8_t done[4] = {0x1e};
	uint8_t ack[32] = {0};
	bool was_reached;

	left = nth;
	quic_duel_begin(&duel, config);
	quic_duel_run(&duel);
	if (config->is_server)
		quic_peer_send(&duel.peer, QUIC_PEER_APP, done, sizeof(done), 0);
	if (quic_peer_ack(&duel.peer, QUIC_PEER_APP, ack))
		quic_peer_send(&duel.peer, QUIC_PEER_APP, ack, sizeof(ack), 0);
	quic_duel_run(&duel);
	send_pieces();
	quic_duel_wait(&duel, NS_PER_S);
	was_reached = !left;
	left = 0;
	quic_duel_end(&duel);
	return was_reached;
}

static void test_no_failed_allocation_leaves_anything(void)
{
	for (unsigned role = 0; role < 2; role++) {
		const struct quic_peer_config config = {.is_server = role};
		unsigned nth = 1;

		(void)duel_with(&config, 0);
		real = duel.engine->mem;
		duel.engine->mem.malloc = try_malloc;
		duel.engine->mem.calloc = try_calloc;
		duel.engine->mem.realloc = try_realloc;
		while (duel_with(&config, nth))
			nth++;
		duel.engine->mem = real;
		printf("# role %u: %u allocations\n", role, nth);
		CHECK(nth > 100);
		/* The engine is as good as it was. */
		(void)duel_with(&config, 0);
		CHECK(duel.was_ready);
	}
}

int main(void)
{
	RUN(test_no_failed_allocation_leaves_anything);
	return check_done();
}
