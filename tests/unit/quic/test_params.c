/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ClientHello in Initials that the test seals itself: what becomes of one
 * without QUIC transport parameters (RFC 9001 8.2), however it is cut up.
 */
#include "support/check.h"
#include "support/quic_duel.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

#define FRAME_CRYPTO 0x06
#define FRAME_CLOSE  0x1c
#define PAYLOAD_LEN  1150 /* an Initial of more than 1200 bytes */
#define PARAMS_TYPE  57
#define MISSING	     0x16d

struct hello {
	struct quic_pair pair;
	uint8_t dgram[2048]; /* the dialler's first, then the listener's answer */
	size_t dgram_len;
	uint8_t dcid[QUIC_SEAL_CID_MAX], scid[QUIC_SEAL_CID_MAX];
	size_t dcid_len, scid_len;
	struct quic_keys client, server;
	uint8_t message[1024];
	size_t message_len;
	uint64_t next_number;
};

static bool capture(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct hello *hello = net->tap_arg;

	hello->dgram_len = dgram->len;
	memcpy(hello->dgram, dgram->data, dgram->len < 2048 ? dgram->len : 2048);
	return false;
}

/* The CRYPTO frames of payload as one message; others are padding and PING. */
static void message_gather(struct hello *hello, const uint8_t *payload, size_t len)
{
	uint64_t crypto_off, crypto_len;

	for (size_t i = 0; i < len; i++) {
		if (payload[i] != FRAME_CRYPTO)
			continue;
		i++;
		i += quic_varint_read(payload + i, len - i, &crypto_off);
		i += quic_varint_read(payload + i, len - i, &crypto_len);
		memcpy(hello->message + crypto_off, payload + i, crypto_len);
		if (crypto_off + crypto_len > hello->message_len)
			hello->message_len = crypto_off + crypto_len;
		i += crypto_len - 1;
	}
}

static bool hello_init(struct hello *hello, uint64_t seed)
{
	struct quic_packet packet;
	uint8_t plain[2048];
	size_t len;

	memset(hello, 0, sizeof(*hello));
	quic_pair_init(&hello->pair, seed, NULL);
	hello->pair.net.tap = capture;
	hello->pair.net.tap_arg = hello;
	if (!quic_net_dial(hello->pair.a, hello->pair.b))
		return false;
	quic_engine_flush(hello->pair.a->engine, hello->pair.net.now_ns);
	if (!quic_next(hello->dgram, hello->dgram_len, 0, &packet, &len))
		return false;
	hello->dcid_len = packet.dcid_len;
	hello->scid_len = packet.scid_len;
	memcpy(hello->dcid, packet.dcid, packet.dcid_len);
	memcpy(hello->scid, packet.scid, packet.scid_len);
	quic_keys_initial(&hello->client, &hello->server, hello->dcid, hello->dcid_len);
	if (!quic_open(&hello->client, hello->dgram, len, &packet, plain))
		return false;
	message_gather(hello, packet.payload, packet.payload_len);
	hello->next_number = packet.number + 1;
	hello->dgram_len = 0;
	return hello->message_len > 4;
}

static void hello_fini(struct hello *hello)
{
	quic_keys_fini(&hello->client);
	quic_keys_fini(&hello->server);
	quic_pair_fini(&hello->pair);
}

/* Where the list of extensions of the ClientHello begins. */
static size_t extensions_off(const struct hello *hello)
{
	const uint8_t *data = hello->message;
	size_t off = 4 + 2 + 32;

	off += 1 + data[off];
	off += 2 + ((size_t)data[off] << 8 | data[off + 1]);
	off += 1 + data[off];
	return off + 2;
}

/* Where an extension begins; 0: it has none of that type. */
static size_t extension_find(const struct hello *hello, unsigned type)
{
	const uint8_t *data = hello->message;

	for (size_t off = extensions_off(hello); off + 4 <= hello->message_len;
	     off += 4 + ((size_t)data[off + 2] << 8 | data[off + 3]))
		if (((unsigned)data[off] << 8 | data[off + 1]) == type)
			return off;
	return 0;
}

static void hello_drop_params(struct hello *hello)
{
	uint8_t *data = hello->message;
	size_t off = extension_find(hello, PARAMS_TYPE), list = extensions_off(hello) - 2;
	size_t len = 4 + ((size_t)data[off + 2] << 8 | data[off + 3]), body, list_len;

	memmove(data + off, data + off + len, hello->message_len - off - len);
	hello->message_len -= len;
	list_len = hello->message_len - list - 2;
	body = hello->message_len - 4;
	data[list] = (uint8_t)(list_len >> 8);
	data[list + 1] = (uint8_t)list_len;
	data[2] = (uint8_t)(body >> 8);
	data[3] = (uint8_t)body;
}

static void hello_shoot(struct hello *hello, size_t begin, size_t end)
{
	struct quic_packet packet = {.type = QUIC_SEAL_INITIAL,
				     .dcid = hello->dcid,
				     .dcid_len = hello->dcid_len,
				     .scid = hello->scid,
				     .scid_len = hello->scid_len,
				     .number = hello->next_number++};
	uint8_t payload[PAYLOAD_LEN] = {FRAME_CRYPTO}, dgram[1500];
	size_t len = 1;

	len += quic_varint_write(payload + len, begin);
	len += quic_varint_write(payload + len, end - begin);
	memcpy(payload + len, hello->message + begin, end - begin);
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	len = quic_seal(&hello->client, &packet, dgram);
	quic_net_inject(hello->pair.b, &hello->pair.a->outer, dgram, len);
}

/* The code of the CONNECTION_CLOSE in an Initial that b sent last; -1: it sent no such. */
static int64_t close_code(const struct hello *hello)
{
	struct quic_packet packet;
	uint8_t plain[2048];
	uint64_t code = 0;
	size_t len;

	if (!quic_next(hello->dgram, hello->dgram_len, 0, &packet, &len) ||
	    !quic_open(&hello->server, hello->dgram, len, &packet, plain))
		return -1;
	for (size_t i = 0; i < packet.payload_len; i++) {
		if (packet.payload[i] != FRAME_CLOSE)
			continue;
		return quic_varint_read(packet.payload + i + 1, packet.payload_len - i - 1, &code)
			       ? (int64_t)code
			       : -1;
	}
	return -1;
}

/* b refused, keeps nothing of it beyond the close, and serves the next. */
static void check_refused(struct hello *hello)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;

	CHECK_EQ(close_code(hello), MISSING);
	quic_node_stats(hello->pair.b, &stats);
	CHECK_EQ(stats.conn_cnt, 0);
	CHECK_EQ(hello->pair.b->conn_cnt, 0);
	hello->pair.net.tap = NULL;
	conn = quic_net_connect(quic_net_add(&hello->pair.net, 9, NULL), hello->pair.b);
	CHECK(conn && conn->is_ready);
}

static void test_client_without_transport_parameters_is_refused_with_0x16d(void)
{
	struct hello hello;

	CHECK(hello_init(&hello, 1));
	CHECK(extension_find(&hello, PARAMS_TYPE));
	hello_drop_params(&hello);
	CHECK(!extension_find(&hello, PARAMS_TYPE));
	hello_shoot(&hello, 0, hello.message_len);
	check_refused(&hello);
	hello_fini(&hello);
}

static void test_its_client_hello_may_come_in_pieces_of_any_order(void)
{
	/* What comes before the beginning makes no connection, and is sent again. */
	static const uint8_t orders[][5] = {{0, 1, 2}, {0, 2, 1}, {2, 1, 0, 2, 1}, {1, 0, 1, 0, 2}};

	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct hello hello;

		CHECK(hello_init(&hello, 2 + i));
		hello_drop_params(&hello);
		for (unsigned j = 0; j < (i < 2 ? 3 : 5); j++) {
			CHECK_EQ(close_code(&hello), -1);
			hello_shoot(&hello, hello.message_len * orders[i][j] / 3,
				    hello.message_len * (orders[i][j] + 1u) / 3);
		}
		check_refused(&hello);
		hello_fini(&hello);
	}
}

/* Only the key share is empty: the listener asks for another hello (RFC 8446 4.1.4) at most. */
static void test_a_retried_hello_without_them_is_refused_at_once(void)
{
	struct hello hello;
	size_t share;

	CHECK(hello_init(&hello, 6));
	hello_drop_params(&hello);
	share = extension_find(&hello, 51);
	CHECK(share);
	/* A share of X25519 becomes one of a group that is not spoken here. */
	hello.message[share + 6] = 0x7f;
	hello_shoot(&hello, 0, hello.message_len);
	check_refused(&hello);
	hello_fini(&hello);
}

static void test_empty_transport_parameters_are_refused(void)
{
	struct hello hello;
	size_t off, len;

	CHECK(hello_init(&hello, 7));
	off = extension_find(&hello, PARAMS_TYPE);
	len = (size_t)hello.message[off + 2] << 8 | hello.message[off + 3];
	/* The rest becomes an extension that means nothing. */
	memset(hello.message + off + 2, 0, 2);
	hello.message[off + 4] = 0x7a;
	hello.message[off + 5] = 0x7a;
	hello.message[off + 6] = (uint8_t)((len - 4) >> 8);
	hello.message[off + 7] = (uint8_t)(len - 4);
	hello_shoot(&hello, 0, hello.message_len);
	/* RFC 9000 7.3: TRANSPORT_PARAMETER_ERROR. */
	CHECK_EQ(close_code(&hello), 0x8);
	hello_fini(&hello);
}

static struct quic_duel duel;

/* Takes the parameters out of every message of the peer that has them. */
static void edit_drop_params(void *arg, struct quic_peer_said *said)
{
	size_t list = quic_peer_extensions(said->data, said->len), body;

	(void)arg;
	for (size_t off = list + 2; list && off + 4 <= said->len; off += 4 + body) {
		body = (size_t)said->data[off + 2] << 8 | said->data[off + 3];
		/* To an extension that means nothing, which a server may not send. */
		if (said->data[off] != 0 || said->data[off + 1] != PARAMS_TYPE)
			continue;
		memmove(said->data + off, said->data + off + 4 + body, said->len - off - 4 - body);
		said->len -= 4 + body;
		said->data[list] = (uint8_t)((said->len - list - 2) >> 8);
		said->data[list + 1] = (uint8_t)(said->len - list - 2);
		said->data[2] = (uint8_t)((said->len - 4) >> 8);
		said->data[3] = (uint8_t)(said->len - 4);
		return;
	}
}

static void test_a_handmade_peer_connects_in_both_roles(void)
{
	static const struct quic_peer_config rows[] = {
		{.is_server = false},
		{.is_server = true},
		{.is_server = true, .asks_retry = true},
		{.is_server = false, .piece_len = 33, .is_reversed = true},
		{.is_server = true, .piece_len = 33, .is_reversed = true},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		quic_duel_begin(&duel, &rows[i]);
		quic_duel_run(&duel);
		CHECK(duel.peer.is_done);
		CHECK(duel.was_ready);
		CHECK(!duel.peer.is_closed);
		quic_duel_end(&duel);
	}
}

/* The engine follows, and goes on reading; its own packets come under the next keys too. */
static void test_a_handmade_peer_may_update_its_keys(void)
{
	static const uint8_t done[4] = {0x1e}, ping[4] = {1}, data[] = {0x0a, 0, 2, 'h', 'i'};

	for (unsigned role = 0; role < 2; role++) {
		const struct quic_peer_config config = {.is_server = role};
		uint8_t payload[sizeof(data)];
		uint64_t heard;

		quic_duel_begin(&duel, &config);
		quic_duel_run(&duel);
		quic_peer_send(&duel.peer, QUIC_PEER_APP, role ? done : ping, sizeof(done), 0);
		quic_duel_wait(&duel, NS_PER_S);
		heard = duel.peer.heard_number[QUIC_PEER_APP];
		quic_peer_update_keys(&duel.peer);
		memcpy(payload, data, sizeof(data));
		payload[1] = (uint8_t)role;
		quic_peer_send(&duel.peer, QUIC_PEER_APP, payload, sizeof(payload), 0);
		quic_duel_wait(&duel, NS_PER_S);
		CHECK_EQ(duel.received_len, 2);
		CHECK(duel.peer.heard_number[QUIC_PEER_APP] > heard);
		CHECK(!duel.peer.is_closed);
		quic_duel_end(&duel);
	}
}

static void test_server_without_transport_parameters_is_refused_with_0x16d(void)
{
	static const size_t piece_lens[] = {0, 20};

	for (unsigned i = 0; i < 4; i++) {
		const struct quic_peer_config config = {.is_server = true,
							.edit = edit_drop_params,
							.piece_len = piece_lens[i % 2],
							.is_reversed = i / 2};

		quic_duel_begin(&duel, &config);
		quic_duel_run(&duel);
		CHECK(!duel.was_ready);
		CHECK(duel.is_over);
		CHECK_EQ(duel.close_err, WEFT_EREFUSED);
		CHECK(duel.peer.is_closed);
		CHECK_EQ(duel.peer.close_code, MISSING);
		quic_duel_end(&duel);
	}
}

int main(void)
{
	RUN(test_a_handmade_peer_connects_in_both_roles);
	RUN(test_a_handmade_peer_may_update_its_keys);
	RUN(test_server_without_transport_parameters_is_refused_with_0x16d);
	RUN(test_client_without_transport_parameters_is_refused_with_0x16d);
	RUN(test_its_client_hello_may_come_in_pieces_of_any_order);
	RUN(test_a_retried_hello_without_them_is_refused_at_once);
	RUN(test_empty_transport_parameters_are_refused);
	return check_done();
}
