/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3, for QUIC (RFC 9001) and for TCP: contexts, the peer's identity, and tickets.
 * OpenSSL verifies that the peer holds the key it shows. After that proof the
 * connection decides whether it is the wanted key, so an error names a key that really
 * answered. No name, date or chain of a certificate means anything here.
 */
#include "tls/tls.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/memory/arena.h"
#include "crypto/node_key.h"
#include "tls/signer.h"
#include "tls/tls_library.h"

/* A self-signed Ed25519 certificate takes 250 bytes; room for talkative tools. */
#define PEER_CERT_LEN_MAX 8192
#define TICKET_LIFE_S	  86400

struct tls_session {
	uint8_t peer_key[TRANSPORT_KEY_LEN];
	SSL_SESSION *session;
	struct tls_session *newer, *older;
};

#define ALPN_HTTP "http/1.1"

static const uint8_t alpn_wire[] = "\x06" TLS_ALPN;
#define ALPN_WIRE_LEN (sizeof(alpn_wire) - 1)
#define ALPN_LEN_MAX  16u

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct tls *tls = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, tls->alpns, tls->alpns_len, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Trust is decided by the connection on the key alone; see the file comment. */
static int accept_any_peer(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	bool is_ok;

	is_ok = cert && name && X509_set_version(cert, X509_VERSION_3) &&
		ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)TLS_SNI,
					   -1, -1, 0) &&
		X509_set_subject_name(cert, name) && X509_set_issuer_name(cert, name) &&
		ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "700101000000Z") &&
		ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235959Z") &&
		X509_set_pubkey(cert, key) && X509_sign(cert, key, NULL) > 0;
	X509_NAME_free(name);
	if (is_ok)
		return cert;
	X509_free(cert);
	return NULL;
}

/* AES-GCM is 2.7 times ChaCha20 with AES instructions, and half of it without. */
static const char *cipher_order(void)
{
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("aes"))
		return "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
#endif
	return "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
}

static SSL_CTX *make_context(EVP_PKEY *key, X509 *cert)
{
	static const unsigned char types[] = {TLSEXT_cert_type_rpk, TLSEXT_cert_type_x509};
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* A certificate of 250 bytes gains nothing, and an unvalidated source's bytes meet no decompressor. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION |
					 SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_cert_list(ctx, PEER_CERT_LEN_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, accept_any_peer, NULL);
	SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_ciphersuites(ctx, cipher_order()) &&
	    SSL_CTX_set1_groups_list(ctx, "X25519") && SSL_CTX_set1_sigalgs_list(ctx, "ed25519") &&
	    SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key) &&
	    SSL_CTX_set1_server_cert_type(ctx, types, sizeof(types)) &&
	    SSL_CTX_set1_client_cert_type(ctx, types, sizeof(types)))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/*
 * A client without a right key is closed at once. If its session were kept, any
 * client could push out those of peers for the price of a handshake.
 */
static int cache_session(SSL *ssl, SSL_SESSION *session)
{
	uint8_t key[TRANSPORT_KEY_LEN];

	if (tls_peer_key(ssl, key))
		(void)SSL_CTX_add_session(SSL_get_SSL_CTX(ssl), session);
	return 0; /* what the cache holds is a reference of its own */
}

/*
 * Tickets name a session that is kept here (RFC 8446 4.6.1), the oldest
 * making room. Sealing the session into the ticket instead costs more
 * than the key exchange: OpenSSL 3.5 looks up every encoder it has to
 * write down the peer's raw public key.
 */
static bool tickets_init(SSL_CTX *server, uint32_t session_cap)
{
	SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(server,
				       SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(server, cache_session);
	/* A new session is counted before room is made for it. */
	SSL_CTX_sess_set_cache_size(server, (long)session_cap + 1);
	/* One ticket: a peer uses it once and gets the next one with it. */
	return SSL_CTX_set_num_tickets(server, 1) &&
	       SSL_CTX_set_session_id_context(server, alpn_wire, ALPN_WIRE_LEN);
}

static bool contexts_init(struct tls *tls, EVP_PKEY *key, uint32_t session_cap)
{
	X509 *cert = make_certificate(key);

	if (!cert)
		return false;
	tls->server = make_context(key, cert);
	tls->client = make_context(key, cert);
	X509_free(cert);
	if (!tls->server || !tls->client || !tickets_init(tls->server, session_cap))
		return false;
	memcpy(tls->alpns, alpn_wire, ALPN_WIRE_LEN);
	tls->alpns_len = ALPN_WIRE_LEN;
	SSL_CTX_set_alpn_select_cb(tls->server, select_alpn, tls);
	SSL_CTX_set_session_cache_mode(tls->client,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	return SSL_CTX_set_alpn_protos(tls->client, alpn_wire, ALPN_WIRE_LEN) == 0;
}

static void sign_by_node_key(const void *key, const void *data, size_t len,
			     uint8_t out_signature[static TLS_SIGNATURE_LEN])
{
	node_key_sign(key, data, len, out_signature);
}

int tls_init(struct tls *tls, struct arena *arena, const struct node_key *key, uint32_t session_cap,
	     const uint64_t secret[2])
{
	struct tls_signer signer = {.sign = sign_by_node_key, .ctx = key};
	EVP_PKEY *pkey;
	bool is_ok;

	tls_openssl_init();
	memset(tls, 0, sizeof(*tls));
	if (pool_init(&tls->sessions, arena, sizeof(struct tls_session), session_cap) < 0 ||
	    map_init(&tls->session_by_key, arena, TRANSPORT_KEY_LEN, session_cap, secret) < 0)
		return WEFT_EFULL;
	memcpy(signer.public_key, node_key_public(key), sizeof(signer.public_key));
	pkey = tls_signer_key(&signer);
	is_ok = pkey && contexts_init(tls, pkey, session_cap);
	EVP_PKEY_free(pkey);
	return is_ok ? 0 : WEFT_EFULL;
}

static void session_unlink(struct tls *tls, struct tls_session *entry)
{
	*(entry->newer ? &entry->newer->older : &tls->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &tls->oldest) = entry->newer;
}

/* session_forget gives the caller the ticket that was in entry. */
static SSL_SESSION *session_forget(struct tls *tls, struct tls_session *entry)
{
	SSL_SESSION *session = entry->session;

	session_unlink(tls, entry);
	map_delete(&tls->session_by_key, entry->peer_key);
	pool_release(&tls->sessions, entry);
	return session;
}

void tls_fini(struct tls *tls)
{
	while (tls->oldest)
		SSL_SESSION_free(session_forget(tls, tls->oldest));
	SSL_CTX_free(tls->server);
	SSL_CTX_free(tls->client);
	tls->server = tls->client = NULL;
}

SSL *tls_accept(struct tls *tls)
{
	SSL *ssl = SSL_new(tls->server);

	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}

SSL *tls_dial(struct tls *tls, const uint8_t peer_key[static TRANSPORT_KEY_LEN])
{
	struct tls_session *entry = map_lookup(&tls->session_by_key, peer_key);
	SSL *ssl = SSL_new(tls->client);
	SSL_SESSION *session;

	if (!ssl)
		return NULL;
	SSL_set_connect_state(ssl);
	if (!SSL_set_tlsext_host_name(ssl, TLS_SNI)) {
		SSL_free(ssl);
		return NULL;
	}
	if (entry) {
		session = session_forget(tls, entry);
		/* A refused ticket only means a full handshake. */
		(void)SSL_set_session(ssl, session);
		SSL_SESSION_free(session);
	}
	return ssl;
}

static bool raw_key_of(EVP_PKEY *pkey, uint8_t out_key[static TRANSPORT_KEY_LEN])
{
	uint8_t raw[TRANSPORT_KEY_LEN];
	size_t len = sizeof(raw);

	if (!pkey || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(pkey, raw, &len) != 1 || len != sizeof(raw) ||
	    !node_key_is_sound(raw))
		return false;
	memcpy(out_key, raw, sizeof(raw));
	return true;
}

bool tls_peer_key(SSL *ssl, uint8_t out_key[static TRANSPORT_KEY_LEN])
{
	EVP_PKEY *rpk = SSL_get0_peer_rpk(ssl);
	X509 *cert;

	if (rpk)
		return raw_key_of(rpk, out_key);
	cert = SSL_get0_peer_certificate(ssl);
	return cert && raw_key_of(X509_get0_pubkey(cert), out_key);
}

bool tls_has(SSL *ssl, const char *alpn)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &name, &len);
	return len == strlen(alpn) && memcmp(name, alpn, len) == 0;
}

bool tls_has_alpn(SSL *ssl)
{
	return tls_has(ssl, TLS_ALPN);
}

int tls_offer(struct tls *tls, const char *alpn)
{
	size_t len = strlen(alpn);

	if (len > ALPN_LEN_MAX || tls->alpns_len + 1 + len > sizeof(tls->alpns))
		return WEFT_EFULL;
	tls->alpns[tls->alpns_len++] = (uint8_t)len;
	memcpy(tls->alpns + tls->alpns_len, alpn, len);
	tls->alpns_len += (unsigned)len;
	return 0;
}

void tls_offer_http(struct tls *tls)
{
	/* Of two protocols at most, which fit. */
	(void)!tls_offer(tls, ALPN_HTTP);
}

bool tls_has_http(SSL *ssl)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &name, &len);
	return !len || (len == strlen(ALPN_HTTP) && memcmp(name, ALPN_HTTP, len) == 0);
}

void tls_keep_session(struct tls *tls, const uint8_t peer_key[static TRANSPORT_KEY_LEN],
		      SSL_SESSION *session)
{
	struct tls_session *entry = map_lookup(&tls->session_by_key, peer_key);

	if (entry)
		SSL_SESSION_free(session_forget(tls, entry));
	else if (tls->sessions.used_cnt == tls->sessions.cap_cnt)
		SSL_SESSION_free(session_forget(tls, tls->oldest));
	entry = pool_acquire(&tls->sessions);
	memcpy(entry->peer_key, peer_key, TRANSPORT_KEY_LEN);
	if (map_put(&tls->session_by_key, peer_key, entry) < 0) {
		pool_release(&tls->sessions, entry);
		SSL_SESSION_free(session);
		return;
	}
	entry->session = session;
	entry->older = tls->newest;
	*(tls->newest ? &tls->newest->newer : &tls->oldest) = entry;
	tls->newest = entry;
}

SSL_CTX *tls_web_new(const char *ca_file)
{
	static const uint8_t alpn[] = "\x08" ALPN_HTTP;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    (*ca_file ? SSL_CTX_load_verify_file(ctx, ca_file)
		      : SSL_CTX_set_default_verify_paths(ctx)) == 1 &&
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL *tls_web_dial(SSL_CTX *web, const char *name)
{
	const char *asked = name ? name : TLS_SNI;
	SSL *ssl = SSL_new(web);

	if (!ssl)
		return NULL;
	SSL_set_connect_state(ssl);
	SSL_set_verify(ssl, name ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if ((!name || SSL_set1_host(ssl, name) == 1) && SSL_set_tlsext_host_name(ssl, asked) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

int tls_derive(const struct node_key *key, const char *label, uint8_t out[static 32])
{
	node_key_derive(key, label, out);
	return 0;
}
