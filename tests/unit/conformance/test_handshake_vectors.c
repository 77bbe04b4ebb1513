/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes of two nodes of weft, datagram by datagram, with the secrets of their TLS. With a
 * path as its argument this program writes them there, as it did
 * tests/vectors/handshakes.json: tests/conformance/test_handshakes.py opens both, and judges
 * them without our code. OpenSSL, ngtcp2 and the greeting's agent change the bytes of a
 * handshake, so bytes are not compared. Here the nodes have to end each as its scene says, and
 * to refuse changed bytes.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "quic/engine.h"
#include "support/check.h"
#include "support/quic_duel.h"
#include "support/sim.h"

#define FILE_CAP  (1u << 20)
#define DGRAM_CAP 64 /* of one transcript; what comes later is not of the handshake */

enum side { DIALLER, LISTENER };

struct scene {
	const char *name;
	const char *alpn; /* what the dialler offers, NULL: what it always does */
	bool is_x509, is_resumed, is_wrong_key;
	int err; /* that the dialler is told */
};

static const struct scene scenes[] = {
	{.name = "raw public keys"},
	{.name = "X.509", .is_x509 = true},
	{.name = "resumed", .is_resumed = true},
	{.name = "a wrong key", .is_wrong_key = true, .err = WEFT_EWRONGKEY},
	{.name = "a wrong ALPN", .alpn = "\x02h3", .err = WEFT_EREFUSED},
};
#define SCENE_CNT (sizeof(scenes) / sizeof(scenes[0]))

static const struct mem_link wire = {.delay_ns = 10 * NS_PER_MS};
static struct sim sim;
static struct sim_node *nodes[2], *wanted;
static const struct packet_rx_ops *plain_ops;

/* What goes over the wire, and what is done to it there. */
static struct {
	bool is_on;
	unsigned cnt, flight_cnt;
	struct {
		enum side from;
		size_t len;
		uint8_t data[2048];
	} dgrams[DGRAM_CAP];
	enum side flip_side;
	unsigned flip_flight; /* from this flight on, what flip_side sends is changed; 0: never */
} tape;

static char *text;
static size_t text_len;
static char secrets[4096];
static uint8_t psk[64];
static size_t psk_len;
static struct {
	bool is_over;
	int err;
} outcome;

static void text_add(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_len += (size_t)vsnprintf(text + text_len, FILE_CAP - text_len, fmt, args);
	va_end(args);
	if (text_len >= FILE_CAP)
		abort();
}

static void text_add_hex(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_add("%02x", bytes[i]);
}

static void tape_add(struct dgram *dgram)
{
	enum side from = addr_equal(&dgram->remote, &nodes[DIALLER]->addr) ? DIALLER : LISTENER;

	if (!tape.flight_cnt || tape.dgrams[(tape.cnt - 1) % DGRAM_CAP].from != from)
		tape.flight_cnt++;
	tape.dgrams[tape.cnt % DGRAM_CAP].from = from;
	if (tape.cnt < DGRAM_CAP && dgram->len <= sizeof(tape.dgrams[0].data)) {
		memcpy(tape.dgrams[tape.cnt].data, dgram->data, dgram->len);
		tape.dgrams[tape.cnt].len = dgram->len;
	}
	tape.cnt++;
	/* In what is sealed: a header is at most 7 + 2 * 20 + 2 bytes of what begins a datagram. */
	if (tape.flip_flight && tape.flight_cnt >= tape.flip_flight && from == tape.flip_side)
		dgram->data[dgram->len > 128 ? 100 : dgram->len - 1] ^= 0x10;
}

static unsigned burst_taped(struct packet_rx *rx, struct dgram *out_dgrams, unsigned cap)
{
	unsigned cnt = plain_ops->burst(rx, out_dgrams, cap);

	for (unsigned i = 0; i < cnt && tape.is_on; i++)
		tape_add(&out_dgrams[i]);
	return cnt;
}

static void rx_close(struct packet_rx *rx)
{
	plain_ops->close(rx);
}

static const struct packet_rx_ops taped_ops = {.burst = burst_taped, .close = rx_close};

static void on_secret(const SSL *ssl, const char *line)
{
	size_t len = strlen(secrets);

	(void)ssl;
	snprintf(secrets + len, sizeof(secrets) - len, "%s    \"%s\"", len ? ",\n" : "", line);
}

static void on_outcome(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	outcome.is_over = true;
	outcome.err = err;
}

static bool is_over(void *arg)
{
	(void)arg;
	return outcome.is_over;
}

static SSL_CTX *dialler_tls(void)
{
	return node_quic(nodes[DIALLER]->node)->tls.client;
}

static uint32_t session_cnt(enum side side)
{
	struct mesh_stats stats;

	mesh_stats(node_mesh(nodes[side]->node), &stats);
	return stats.session_cnt;
}

/* Dials the key that is wanted, until that is over and what follows has been said. */
static void dial(const struct scene *scene)
{
	struct mesh_peer peer = {.addrs = &nodes[LISTENER]->addr, .addr_cnt = 1};

	wanted = scene->is_wrong_key ? sim_add(&sim) : nodes[LISTENER];
	memcpy(peer.key, node_key_public(wanted->key), sizeof(peer.key));
	memset(&outcome, 0, sizeof(outcome));
	sim_wake(nodes[DIALLER]);
	CHECK_EQ(mesh_connect(node_mesh(nodes[DIALLER]->node),
			      &(struct mesh_connect){.peer = &peer,
						     .timeout_ns = 20 * NS_PER_S,
						     .done = on_outcome,
						     .arg = NULL},
			      sim.now_ns),
		 0);
	CHECK(sim_run(&sim, 30 * NS_PER_S, is_over, NULL));
	sim_run(&sim, NS_PER_S / 5, NULL, NULL);
}

static void scene_begin(const struct scene *scene)
{
	sim_init(&sim, 49, &wire);
	memset(&tape, 0, sizeof(tape));
	secrets[0] = '\0';
	psk_len = 0;
	for (unsigned i = 0; i < 2; i++) {
		nodes[i] = sim_add(&sim);
		sim_start(nodes[i]);
		plain_ops = nodes[i]->rx->ops;
		nodes[i]->rx->ops = &taped_ops;
	}
	if (scene->is_x509) {
		SSL_CTX_set1_server_cert_type(dialler_tls(), NULL, 0);
		SSL_CTX_set1_client_cert_type(dialler_tls(), NULL, 0);
	}
	if (scene->alpn)
		CHECK_EQ(SSL_CTX_set_alpn_protos(dialler_tls(), (const uint8_t *)scene->alpn,
						 (unsigned)strlen(scene->alpn)),
			 0);
	SSL_CTX_set_keylog_callback(dialler_tls(), on_secret);
	tape.is_on = true;
}

/* A first session, which both sides forget in silence, and the key that its ticket came with. */
static void meet_before(const struct scene *scene)
{
	SSL *ssl;

	tape.is_on = false;
	dial(scene);
	sim_set_group(nodes[LISTENER], 1);
	sim_run(&sim, 200 * NS_PER_S, NULL, NULL);
	sim_set_group(nodes[LISTENER], 0);
	CHECK_EQ(session_cnt(DIALLER), 0);
	secrets[0] = '\0';
	/* One that is taken out is used up, and goes back for the dial to come. */
	ssl = tls_dial(&node_quic(nodes[DIALLER]->node)->tls,
		       node_key_public(nodes[LISTENER]->key));
	CHECK(SSL_get_session(ssl));
	psk_len = SSL_SESSION_get_master_key(SSL_get_session(ssl), psk, sizeof(psk));
	tls_keep_session(&node_quic(nodes[DIALLER]->node)->tls,
			 node_key_public(nodes[LISTENER]->key), SSL_get1_session(ssl));
	SSL_free(ssl);
	tape.is_on = true;
}

static void text_add_key(const char *name, const uint8_t *key)
{
	text_add("   \"%s\": \"", name);
	text_add_hex(key, NODE_KEY_LEN);
	text_add("\",\n");
}

static void scene_write(const struct scene *scene)
{
	scene_begin(scene);
	if (scene->is_resumed)
		meet_before(scene);
	dial(scene);
	CHECK_EQ(outcome.err, scene->err);
	CHECK_EQ(session_cnt(LISTENER), scene->err == 0);
	CHECK(tape.cnt <= DGRAM_CAP);
	text_add("%s  {\n   \"name\": \"%s\",\n", text[text_len - 2] == '[' ? "" : ",\n",
		 scene->name);
	text_add_key("dialler", node_key_public(nodes[DIALLER]->key));
	text_add_key("listener", node_key_public(nodes[LISTENER]->key));
	text_add_key("wanted", node_key_public(wanted->key));
	text_add("   \"psk\": \"");
	text_add_hex(psk, psk_len);
	text_add("\",\n   \"outcome\": \"%s\",\n", outcome.err ? weft_err_text(outcome.err) : "");
	text_add("   \"secrets\": [\n%s\n   ],\n   \"datagrams\": [\n", secrets);
	for (unsigned i = 0; i < tape.cnt && i < DGRAM_CAP; i++) {
		text_add("%s    [\"%s\", \"", i ? ",\n" : "",
			 tape.dgrams[i].from == DIALLER ? "dialler" : "listener");
		text_add_hex(tape.dgrams[i].data, tape.dgrams[i].len);
		text_add("\"]");
	}
	text_add("\n   ]\n  }");
	sim_fini(&sim);
}

static void scenes_write(void)
{
	text_len = 0;
	text_add("{\n \"source\": \"Handshakes of this program as they were on the wire, and the "
		 "secrets of TLS "
		 "(tests/unit/conformance/test_handshake_vectors PATH).\",\n \"transcripts\": "
		 "[\n");
	for (size_t i = 0; i < SCENE_CNT; i++)
		scene_write(&scenes[i]);
	text_add("\n ]\n}\n");
}

static void test_each_handshake_ends_as_its_scene_says(void)
{
	scenes_write();
}

/* Whatever is changed from some flight on, the side that it was for has no session. */
static void test_a_byte_changed_in_any_flight_makes_no_session(void)
{
	unsigned flight_cnt;

	scene_begin(&scenes[0]);
	dial(&scenes[0]);
	flight_cnt = tape.flight_cnt;
	CHECK(flight_cnt >= 3);
	sim_fini(&sim);
	for (unsigned flight = 1; flight <= 3; flight++) {
		scene_begin(&scenes[0]);
		tape.flip_flight = flight;
		tape.flip_side = flight % 2 ? DIALLER : LISTENER;
		dial(&scenes[0]);
		CHECK_EQ(session_cnt(tape.flip_side == DIALLER ? LISTENER : DIALLER), 0);
		sim_fini(&sim);
	}
}

/* --- within what is sealed --- */

static void flip_one_byte(void *arg, struct quic_peer_said *said)
{
	if (said->which == *(const enum quic_peer_message *)arg)
		said->data[said->len - 10] ^= 1;
}

/* The peer's own keys follow what it said: only what proves its key is wrong then. */
static void test_a_byte_changed_in_a_proof_of_the_key_is_refused(void)
{
	static const enum quic_peer_message proofs[] = {QUIC_PEER_MESSAGES, QUIC_PEER_CERT,
							QUIC_PEER_CERT_VERIFY, QUIC_PEER_FINISHED};
	static struct quic_duel duel;

	for (unsigned i = 0; i < 8; i++) {
		enum quic_peer_message which = proofs[i / 2];
		struct quic_peer_config config = {
			.is_server = i % 2, .edit = flip_one_byte, .arg = &which};

		quic_duel_begin(&duel, &config);
		quic_duel_run(&duel);
		CHECK_EQ(duel.was_ready, which == QUIC_PEER_MESSAGES);
		quic_duel_end(&duel);
	}
}

int main(int argc, char **argv)
{
	FILE *file;
	bool is_written;

	text = calloc(1, FILE_CAP);
	if (!text)
		abort();
	if (argc < 2) {
		RUN(test_each_handshake_ends_as_its_scene_says);
		RUN(test_a_byte_changed_in_any_flight_makes_no_session);
		RUN(test_a_byte_changed_in_a_proof_of_the_key_is_refused);
		free(text);
		return check_done();
	}
	file = fopen(argv[1], "w");
	if (!file)
		return 1;
	scenes_write();
	is_written = fwrite(text, 1, text_len, file) == text_len;
	free(text);
	return fclose(file) == 0 && is_written && !check_failed ? 0 : 1;
}
