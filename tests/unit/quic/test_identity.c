/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/monotonic.h"
#include "quic/engine.h"

static void test_handshake_proves_both_keys(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 1, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.b->conn_cnt, 1);
	CHECK(p.b->conns[0].is_ready);
	CHECK_MEM(conn->info.peer_key, quic_node_key(p.b), 32);
	CHECK_MEM(p.b->conns[0].info.peer_key, quic_node_key(p.a), 32);
	CHECK(conn->info.is_dialler && !p.b->conns[0].info.is_dialler);
	CHECK(!conn->info.is_resumed);
	CHECK(conn->conn && p.b->conns[0].conn);
	quic_pair_fini(&p);
}

static void test_both_ends_export_the_same_secret(void)
{
	static const char label[] = "EXPORTER-mesh-session-v1";
	uint8_t a_secret[32], b_secret[32], other[32];
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 2, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.a->transport->ops->exporter(conn->conn, label, a_secret, 32), 0);
	CHECK_EQ(p.b->transport->ops->exporter(p.b->conns[0].conn, label, b_secret, 32), 0);
	CHECK_MEM(a_secret, b_secret, 32);
	CHECK_EQ(p.a->transport->ops->exporter(conn->conn, "EXPORTER-other", other, 32), 0);
	CHECK(memcmp(a_secret, other, 32) != 0);
	quic_pair_fini(&p);
}

static void test_wrong_key_is_refused_and_both_keys_are_known(void)
{
	uint8_t wanted[32];
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 3, NULL);
	memcpy(wanted, quic_node_key(p.b), 32);
	wanted[7] ^= 1;
	conn = quic_net_dial_key(p.a, &p.b->outer, wanted);
	CHECK(conn);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK(conn->is_closed && !conn->is_ready);
	CHECK_EQ(conn->close.err, WEFT_EWRONGKEY);
	CHECK_EQ(conn->close.code, 0x100 + 42);
	CHECK(!conn->close.by_peer && conn->close.has_key);
	CHECK_MEM(conn->close.actual_key, quic_node_key(p.b), 32);
	/* The listener never learned which node asked. */
	CHECK_EQ(p.b->conn_cnt, 0);
	quic_pair_fini(&p);
}

static void test_foreign_alpn_is_refused_with_0x178(void)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 4, NULL);
	SSL_CTX_set_alpn_protos(p.a->engine->tls.client, (const uint8_t *)"\x02h3", 3);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_EREFUSED);
	CHECK_EQ(conn->close.code, 0x178);
	CHECK(conn->close.by_peer);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.refused_alpn_cnt, 1);
	CHECK_EQ(stats.conn_cnt, 0);
	quic_pair_fini(&p);
}

static void test_absent_alpn_is_refused_with_0x178(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 5, NULL);
	SSL_CTX_set_alpn_protos(p.a->engine->tls.client, NULL, 0);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_closed);
	CHECK_EQ(conn->close.code, 0x178);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.b->conn_cnt, 0);
	quic_pair_fini(&p);
}

/* Takes raw public keys away from ctx: what is left is X.509. */
static void only_x509(SSL_CTX *ctx)
{
	SSL_CTX_set1_server_cert_type(ctx, NULL, 0);
	SSL_CTX_set1_client_cert_type(ctx, NULL, 0);
}

static void test_x509_with_the_key_is_as_good(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 6 + i, NULL);
		only_x509(i ? p.b->engine->tls.server : p.a->engine->tls.client);
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn && conn->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(p.b->conn_cnt, 1);
		CHECK_MEM(conn->info.peer_key, quic_node_key(p.b), 32);
		CHECK_MEM(p.b->conns[0].info.peer_key, quic_node_key(p.a), 32);
		CHECK(quic_net_transfer(conn, 10000, 10 * NS_PER_S));
		quic_pair_fini(&p);
	}
}

static SSL_CTX *unknown_peer_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\x06mesh/1", 7);
	return ctx;
}

static void use_p256_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* A stock client: no key of a kind we know. It gets a handshake and a polite end. */
static void test_client_without_a_node_key_is_refused_as_such(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 10 + i, NULL);
		SSL_CTX_free(p.a->engine->tls.client);
		p.a->engine->tls.client = unknown_peer_context();
		if (i)
			use_p256_certificate(p.a->engine->tls.client);
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn && conn->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(conn->is_closed);
		CHECK_EQ(conn->close.err, WEFT_EREFUSED);
		CHECK_EQ(conn->close.code, QUIC_CLOSE_NO_KEY);
		CHECK(conn->close.by_peer);
		CHECK_EQ(p.b->conn_cnt, 0);
		quic_pair_fini(&p);
	}
}

static void close_and_settle(struct quic_test_conn *conn)
{
	quic_net_settle(conn->node->net, NS_PER_S); /* the ticket comes after the handshake */
	conn->node->transport->ops->close(conn->conn, 7, "bye");
	quic_net_settle(conn->node->net, 5 * NS_PER_S);
}

static void test_second_dial_resumes_with_the_same_keys(void)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 12, NULL);
	for (unsigned i = 0; i < 3; i++) {
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn && conn->is_ready);
		CHECK_EQ(conn->info.is_resumed, i > 0);
		CHECK_MEM(conn->info.peer_key, quic_node_key(p.b), 32);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(p.b->conn_cnt, i + 1);
		CHECK_EQ(p.b->conns[i].info.is_resumed, i > 0);
		CHECK_MEM(p.b->conns[i].info.peer_key, quic_node_key(p.a), 32);
		CHECK(quic_net_transfer(conn, 5000, 10 * NS_PER_S));
		close_and_settle(conn);
	}
	quic_node_stats(p.a, &stats);
	CHECK_EQ(stats.resumed_cnt, 2);
	CHECK_EQ(stats.completed_cnt, 3);
	quic_pair_fini(&p);
}

static void test_resumption_remembers_an_x509_peer(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 13, NULL);
	only_x509(p.a->engine->tls.client);
	close_and_settle(quic_net_connect(p.a, p.b));
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready && conn->info.is_resumed);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.b->conn_cnt, 2);
	CHECK_MEM(p.b->conns[1].info.peer_key, quic_node_key(p.a), 32);
	quic_pair_fini(&p);
}

/* A ticket of b, offered to c under c's name: c cannot open it, and proves its own key. */
static void test_ticket_does_not_speak_for_another_key(void)
{
	struct quic_test_conn *conn;
	struct tls_session *ticket;
	struct quic_node *c;
	struct quic_pair p;

	quic_pair_init(&p, 14, NULL);
	c = quic_net_add(&p.net, 3, NULL);
	close_and_settle(quic_net_connect(p.a, p.b));
	ticket = p.a->engine->tls.newest;
	CHECK(ticket);
	(void)map_delete(&p.a->engine->tls.session_by_key, quic_node_key(p.b));
	CHECK_EQ(map_put(&p.a->engine->tls.session_by_key, quic_node_key(c), ticket), 0);
	conn = quic_net_dial_key(p.a, &p.b->outer, quic_node_key(c));
	quic_net_settle(&p.net, 5 * NS_PER_S);
	CHECK(conn->is_closed && !conn->is_ready);
	CHECK_EQ(conn->close.err, WEFT_EWRONGKEY);
	CHECK_MEM(conn->close.actual_key, quic_node_key(p.b), 32);
	quic_pair_fini(&p);
}

static void test_ticket_store_is_bounded(void)
{
	struct tls *tls;
	uint8_t key[32] = {0};
	struct quic_pair p;

	quic_pair_init(&p, 15, NULL);
	tls = &p.a->engine->tls;
	for (uint32_t i = 0; i <= tls->sessions.cap_cnt; i++) {
		memcpy(key, &i, sizeof(i));
		tls_keep_session(tls, key, SSL_SESSION_new());
	}
	CHECK_EQ(tls->sessions.used_cnt, tls->sessions.cap_cnt);
	memset(key, 0, sizeof(key));
	CHECK(!map_lookup(&tls->session_by_key, key));
	quic_pair_fini(&p);
}

/* The accepting side keeps sessions, not peers' tickets: the oldest makes room there too. */
static void test_sessions_kept_for_peers_are_bounded(void)
{
	const struct tls *tls;
	struct quic_pair p;

	quic_pair_init(&p, 17, NULL);
	tls = &p.b->engine->tls;
	CHECK_EQ(SSL_CTX_sess_get_cache_size(tls->server), (long)tls->sessions.cap_cnt + 1);
	SSL_CTX_sess_set_cache_size(tls->server, 2 + 1);
	for (unsigned seed = 3; seed < 6; seed++)
		close_and_settle(quic_net_connect(quic_net_add(&p.net, seed, NULL), p.b));
	CHECK_EQ(SSL_CTX_sess_number(tls->server), 2);
	/* The last peer resumes; the first one's is gone, so it proves its key again. */
	CHECK(quic_net_connect(p.net.nodes[4], p.b)->info.is_resumed);
	CHECK(!quic_net_connect(p.net.nodes[2], p.b)->info.is_resumed);
	CHECK(p.b->conns[3].info.is_resumed && !p.b->conns[4].info.is_resumed);
	quic_pair_fini(&p);
}

static void test_clients_without_a_key_leave_no_session(void)
{
	struct quic_node *unknown;
	const struct tls *tls;
	struct quic_pair p;

	quic_pair_init(&p, 18, NULL);
	tls = &p.b->engine->tls;
	SSL_CTX_sess_set_cache_size(tls->server, 1 + 1);
	close_and_settle(quic_net_connect(p.a, p.b));
	CHECK_EQ(SSL_CTX_sess_number(tls->server), 1);
	unknown = quic_net_add(&p.net, 3, NULL);
	SSL_CTX_free(unknown->engine->tls.client);
	unknown->engine->tls.client = unknown_peer_context();
	for (unsigned i = 0; i < 4; i++) {
		/* The first two have no certificate, the others one of another kind. */
		if (i == 2)
			use_p256_certificate(unknown->engine->tls.client);
		CHECK(quic_net_connect(unknown, p.b)->is_ready);
		quic_net_settle(&p.net, 5 * NS_PER_S);
	}
	CHECK_EQ(SSL_CTX_sess_number(tls->server), 1);
	CHECK(quic_net_connect(p.a, p.b)->info.is_resumed);
	quic_pair_fini(&p);
}

/* OpenSSL 3.5 would send two datagrams for its default groups. */
static bool count_first_flight(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)dgram;
	++*(unsigned *)net->tap_arg;
	return false;
}

static void test_client_hello_fits_one_datagram(void)
{
	unsigned cnt = 0;
	struct quic_pair p;

	quic_pair_init(&p, 16, NULL);
	p.net.tap = count_first_flight;
	p.net.tap_arg = &cnt;
	CHECK(quic_net_dial(p.a, p.b));
	quic_engine_flush(p.a->engine, p.net.now_ns);
	CHECK_EQ(cnt, 1);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_handshake_proves_both_keys);
	RUN(test_both_ends_export_the_same_secret);
	RUN(test_wrong_key_is_refused_and_both_keys_are_known);
	RUN(test_foreign_alpn_is_refused_with_0x178);
	RUN(test_absent_alpn_is_refused_with_0x178);
	RUN(test_x509_with_the_key_is_as_good);
	RUN(test_client_without_a_node_key_is_refused_as_such);
	RUN(test_second_dial_resumes_with_the_same_keys);
	RUN(test_resumption_remembers_an_x509_peer);
	RUN(test_ticket_does_not_speak_for_another_key);
	RUN(test_ticket_store_is_bounded);
	RUN(test_sessions_kept_for_peers_are_bounded);
	RUN(test_clients_without_a_key_leave_no_session);
	RUN(test_client_hello_fits_one_datagram);
	return check_done();
}
