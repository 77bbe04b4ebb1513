/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes over a pipe in memory: what a peer may show, and which key it is then known by. */
#include "tls/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/memory/arena.h"
#include "crypto/node_key.h"
#include "support/check.h"

#define SESSION_CAP 4
#define ROUNDS_MAX  20

static const uint64_t secret[2] = {1, 2};

struct end {
	struct node_key *key;
	struct arena arena;
	struct tls tls;
};

/* One connection of dialler and listener; alert is the last one that either side sent. */
struct meeting {
	SSL *client, *server;
	int alert;
};

static struct end dialler, listener, other;
/* What keep_ticket was given, by the peer that proved itself then. */
static unsigned ticket_cnt;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	uint8_t key[TRANSPORT_KEY_LEN];

	if (!tls_peer_key(ssl, key))
		return 0;
	ticket_cnt++;
	tls_keep_session(&dialler.tls, key, session);
	return 1;
}

static void end_open(struct end *end, uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};

	if (node_key_from_seed(seed, &end->key) < 0 || arena_open(&end->arena, ARENA_GROWS) < 0 ||
	    tls_init(&end->tls, &end->arena, end->key, SESSION_CAP, secret) < 0)
		abort();
}

static void end_close(struct end *end)
{
	tls_fini(&end->tls);
	arena_close(&end->arena);
	node_key_free(end->key);
}

static void set_up(void)
{
	end_open(&dialler, 1);
	end_open(&listener, 2);
	end_open(&other, 3);
	ticket_cnt = 0;
	SSL_CTX_sess_set_new_cb(dialler.tls.client, keep_ticket);
}

static void clear(void)
{
	end_close(&dialler);
	end_close(&listener);
	end_close(&other);
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct meeting *meeting = SSL_get_app_data(ssl);

	if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT)
		meeting->alert = value & 0xff;
}

static void meeting_open(struct meeting *meeting, struct end *to, const struct end *dialled)
{
	BIO *near, *far;

	*meeting = (struct meeting){
		.client = tls_dial(&dialler.tls, node_key_public(dialled->key)),
		.server = tls_accept(&to->tls),
	};
	if (!meeting->client || !meeting->server || BIO_new_bio_pair(&near, 0, &far, 0) != 1)
		abort();
	SSL_set_bio(meeting->client, near, near);
	SSL_set_bio(meeting->server, far, far);
	SSL_set_app_data(meeting->client, meeting);
	SSL_set_app_data(meeting->server, meeting);
	SSL_set_info_callback(meeting->client, on_info);
	SSL_set_info_callback(meeting->server, on_info);
}

/* Returns whether both ends finished; the dialler has read the ticket then. */
static bool meeting_run(struct meeting *meeting)
{
	int is_done[2] = {0, 0};
	char byte;

	for (unsigned i = 0; i < ROUNDS_MAX && !(is_done[0] == 1 && is_done[1] == 1); i++) {
		is_done[0] = SSL_do_handshake(meeting->client);
		is_done[1] = SSL_do_handshake(meeting->server);
	}
	(void)SSL_read(meeting->client, &byte, 1);
	ERR_clear_error();
	return is_done[0] == 1 && is_done[1] == 1;
}

static void meeting_close(struct meeting *meeting)
{
	/* Else OpenSSL takes a connection that was not shut down for one whose ticket is spoilt. */
	SSL_set_shutdown(meeting->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_set_shutdown(meeting->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(meeting->client);
	SSL_free(meeting->server);
}

static bool is_known_as(SSL *ssl, const struct end *end)
{
	uint8_t key[TRANSPORT_KEY_LEN];

	return tls_peer_key(ssl, key) && memcmp(key, node_key_public(end->key), sizeof(key)) == 0;
}

static void test_each_end_learns_the_key_that_the_other_proved(void)
{
	struct meeting meeting;

	set_up();
	meeting_open(&meeting, &listener, &listener);
	CHECK(!is_known_as(meeting.client, &listener));
	CHECK(meeting_run(&meeting));
	CHECK(is_known_as(meeting.client, &listener));
	CHECK(is_known_as(meeting.server, &dialler));
	CHECK(tls_has_alpn(meeting.client) && tls_has_alpn(meeting.server));
	CHECK_EQ(SSL_version(meeting.client), TLS1_3_VERSION);
	meeting_close(&meeting);
	clear();
}

/* The connection compares the keys, so it needs the key of the node that answered. */
static void test_node_that_answers_in_place_of_the_dialled_one_is_known_by_its_own_key(void)
{
	struct meeting meeting;

	set_up();
	meeting_open(&meeting, &other, &listener);
	CHECK(meeting_run(&meeting));
	CHECK(!is_known_as(meeting.client, &listener));
	CHECK(is_known_as(meeting.client, &other));
	meeting_close(&meeting);
	clear();
}

static void test_certificate_names_the_same_key_as_a_raw_public_key(void)
{
	static const unsigned char x509[] = {TLSEXT_cert_type_x509};

	for (unsigned i = 0; i < 4; i++) {
		struct meeting meeting;

		set_up();
		meeting_open(&meeting, &listener, &listener);
		if (i & 1)
			CHECK(SSL_set1_server_cert_type(meeting.client, x509, sizeof(x509)));
		if (i & 2)
			CHECK(SSL_set1_client_cert_type(meeting.client, x509, sizeof(x509)));
		CHECK(meeting_run(&meeting));
		CHECK_EQ(SSL_get0_peer_rpk(meeting.client) != NULL, !(i & 1));
		CHECK_EQ(SSL_get0_peer_rpk(meeting.server) != NULL, !(i & 2));
		CHECK(is_known_as(meeting.client, &listener));
		CHECK(is_known_as(meeting.server, &dialler));
		meeting_close(&meeting);
		clear();
	}
}

static void test_other_protocol_or_none_is_not_agreed_on(void)
{
	static const struct {
		const char *offered;
		unsigned len;
		bool is_taken;
	} rows[] = {
		{"\x06mesh/1", 7, true},	   {"\x02h3\x06mesh/1", 10, true},
		{"\x06mesh/2", 7, false},	   {"\x07mesh/10", 8, false},
		{"\x05mesh/", 6, false},	   {"\x06MESH/1", 7, false},
		{"\x02h3\x08http/1.1", 12, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct meeting meeting;

		set_up();
		meeting_open(&meeting, &listener, &listener);
		CHECK_EQ(SSL_set_alpn_protos(meeting.client, (const uint8_t *)rows[i].offered,
					     rows[i].len),
			 0);
		CHECK_EQ(meeting_run(&meeting), rows[i].is_taken);
		CHECK_EQ(tls_has_alpn(meeting.server), rows[i].is_taken);
		CHECK_EQ(meeting.alert, rows[i].is_taken ? 0 : TLS_ALERT_NO_APPLICATION_PROTOCOL);
		meeting_close(&meeting);
		clear();
	}
}

/* OpenSSL lets it pass: the connection asks tls_has_alpn. */
static void test_peer_that_offers_no_protocol_has_none(void)
{
	struct meeting meeting;

	set_up();
	SSL_CTX_set_alpn_protos(dialler.tls.client, NULL, 0);
	meeting_open(&meeting, &listener, &listener);
	CHECK(meeting_run(&meeting));
	CHECK(!tls_has_alpn(meeting.client) && !tls_has_alpn(meeting.server));
	meeting_close(&meeting);
	clear();
}

static void test_client_that_speaks_less_than_tls_1_3_is_refused(void)
{
	struct meeting meeting;

	set_up();
	meeting_open(&meeting, &listener, &listener);
	CHECK(SSL_set_min_proto_version(meeting.client, TLS1_2_VERSION));
	CHECK(SSL_set_max_proto_version(meeting.client, TLS1_2_VERSION));
	CHECK(!meeting_run(&meeting));
	CHECK(!is_known_as(meeting.server, &dialler));
	meeting_close(&meeting);
	clear();
}

/* A listener that could be any node: its certificate is of a curve that no node key lies on. */
static void test_key_of_another_kind_is_no_node_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = X509_new();
	SSL_CTX *ctx;
	struct meeting meeting;

	set_up();
	ctx = listener.tls.server;
	CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
	      X509_gmtime_adj(X509_getm_notAfter(cert), 1000) && X509_set_pubkey(cert, key) &&
	      X509_sign(cert, key, EVP_sha256()) > 0);
	CHECK(SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256") &&
	      SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key));
	meeting_open(&meeting, &listener, &listener);
	CHECK(!meeting_run(&meeting));
	CHECK(!is_known_as(meeting.client, &listener));
	meeting_close(&meeting);
	/* Even where the dialler's list of algorithms does not refuse it before. */
	meeting_open(&meeting, &listener, &listener);
	CHECK(SSL_set1_sigalgs_list(meeting.client, "ECDSA+SHA256:ed25519"));
	CHECK(SSL_set1_sigalgs_list(meeting.server, "ECDSA+SHA256:ed25519"));
	CHECK(meeting_run(&meeting));
	CHECK(SSL_get0_peer_rpk(meeting.client) || SSL_get0_peer_certificate(meeting.client));
	CHECK(!tls_peer_key(meeting.client, (uint8_t[TRANSPORT_KEY_LEN]){0}));
	meeting_close(&meeting);
	X509_free(cert);
	EVP_PKEY_free(key);
	clear();
}

static void test_ticket_resumes_with_the_peer_that_gave_it_once(void)
{
	static const bool is_resumed[] = {false, true, true};
	struct meeting meeting;

	set_up();
	for (unsigned i = 0; i < 3; i++) {
		meeting_open(&meeting, &listener, &listener);
		/* It was taken out to be shown. */
		CHECK_EQ(dialler.tls.sessions.used_cnt, 0);
		CHECK(meeting_run(&meeting));
		CHECK_EQ(SSL_session_reused(meeting.client), is_resumed[i]);
		CHECK(is_known_as(meeting.client, &listener));
		CHECK(is_known_as(meeting.server, &dialler));
		CHECK_EQ(ticket_cnt, i + 1);
		CHECK_EQ(dialler.tls.sessions.used_cnt, 1);
		meeting_close(&meeting);
	}
	clear();
}

/* The tickets of one peer stay apart from those of all others. */
static void test_ticket_of_another_key_is_not_shown(void)
{
	struct meeting meeting;

	set_up();
	meeting_open(&meeting, &listener, &listener);
	CHECK(meeting_run(&meeting));
	meeting_close(&meeting);
	CHECK_EQ(ticket_cnt, 1);
	meeting_open(&meeting, &other, &other);
	CHECK(!SSL_get0_session(meeting.client));
	CHECK_EQ(dialler.tls.sessions.used_cnt, 1);
	CHECK(meeting_run(&meeting));
	CHECK(!SSL_session_reused(meeting.client));
	meeting_close(&meeting);
	clear();
}

/* Shown to a node that took over the address: a full handshake, and its own key. */
static void test_ticket_shown_to_another_node_only_means_a_full_handshake(void)
{
	struct meeting meeting;

	set_up();
	meeting_open(&meeting, &listener, &listener);
	CHECK(meeting_run(&meeting));
	meeting_close(&meeting);
	meeting_open(&meeting, &other, &listener);
	CHECK(SSL_get0_session(meeting.client));
	CHECK(meeting_run(&meeting));
	CHECK(!SSL_session_reused(meeting.client));
	CHECK(is_known_as(meeting.client, &other));
	meeting_close(&meeting);
	clear();
}

static bool has_ticket_of(uint8_t number)
{
	uint8_t key[TRANSPORT_KEY_LEN] = {number};

	return map_lookup(&dialler.tls.session_by_key, key) != NULL;
}

static void test_oldest_ticket_makes_room_for_one_more_than_fit(void)
{
	uint8_t key[TRANSPORT_KEY_LEN] = {0};

	set_up();
	for (key[0] = 1; key[0] <= SESSION_CAP; key[0]++)
		tls_keep_session(&dialler.tls, key, SSL_SESSION_new());
	/* A newer ticket of the oldest peer takes the place of its own. */
	key[0] = 1;
	tls_keep_session(&dialler.tls, key, SSL_SESSION_new());
	CHECK_EQ(dialler.tls.sessions.used_cnt, SESSION_CAP);
	for (uint8_t i = 1; i <= SESSION_CAP; i++)
		CHECK(has_ticket_of(i));
	key[0] = SESSION_CAP + 1;
	tls_keep_session(&dialler.tls, key, SSL_SESSION_new());
	CHECK_EQ(dialler.tls.sessions.used_cnt, SESSION_CAP);
	CHECK(has_ticket_of(1) && !has_ticket_of(2) && has_ticket_of(SESSION_CAP + 1));
	clear();
}

static void test_half_built_tls_is_taken_down(void)
{
	struct arena arena;
	struct tls tls;

	set_up();
	if (arena_open(&arena, 64) < 0)
		abort();
	CHECK_EQ(tls_init(&tls, &arena, dialler.key, SESSION_CAP, secret), WEFT_EFULL);
	tls_fini(&tls);
	CHECK(!tls.server && !tls.client);
	arena_close(&arena);
	clear();
}

static void test_derived_secret_depends_on_key_and_label(void)
{
	uint8_t a[32], again[32], label[32], key[32];

	set_up();
	CHECK_EQ(tls_derive(dialler.key, "one", a), 0);
	CHECK_EQ(tls_derive(dialler.key, "one", again), 0);
	CHECK_EQ(tls_derive(dialler.key, "two", label), 0);
	CHECK_EQ(tls_derive(other.key, "one", key), 0);
	CHECK_MEM(a, again, sizeof(a));
	CHECK(memcmp(a, label, sizeof(a)) != 0);
	CHECK(memcmp(a, key, sizeof(a)) != 0);
	clear();
}

int main(void)
{
	RUN(test_each_end_learns_the_key_that_the_other_proved);
	RUN(test_node_that_answers_in_place_of_the_dialled_one_is_known_by_its_own_key);
	RUN(test_certificate_names_the_same_key_as_a_raw_public_key);
	RUN(test_other_protocol_or_none_is_not_agreed_on);
	RUN(test_peer_that_offers_no_protocol_has_none);
	RUN(test_client_that_speaks_less_than_tls_1_3_is_refused);
	RUN(test_key_of_another_kind_is_no_node_key);
	RUN(test_ticket_resumes_with_the_peer_that_gave_it_once);
	RUN(test_ticket_of_another_key_is_not_shown);
	RUN(test_ticket_shown_to_another_node_only_means_a_full_handshake);
	RUN(test_oldest_ticket_makes_room_for_one_more_than_fit);
	RUN(test_half_built_tls_is_taken_down);
	RUN(test_derived_secret_depends_on_key_and_label);
	return check_done();
}
