/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TLS_TLS_H
#define WEFT_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/map.h"
#include "base/memory/pool.h"
#include "base/transport.h"
#include "weft/err.h"

struct arena;
struct node_key;
struct tls_session;

/* The alerts of this protocol, on QUIC and on TCP. */
#define TLS_ALPN "mesh/1"
#define TLS_SNI	 "mesh.invalid"

/*
 * The common part of all TLS connections of one engine, of QUIC or of TCP. It has two
 * contexts with the node's key (as raw public key and as self-signed X.509). It also has
 * the tickets that dialled peers gave us, at most one per peer.
 */
struct tls {
	SSL_CTX *server;
	SSL_CTX *client;
	struct pool sessions;
	struct map session_by_key;
	struct tls_session *newest, *oldest;
	uint8_t alpns[48]; /* what clients may choose, the preferred one first, as on the wire */
	unsigned alpns_len;
};

/* TLS alert numbers (RFC 8446 6) that become QUIC codes 0x100 + alert. */
#define TLS_ALERT_BAD_CERTIFICATE	  42
#define TLS_ALERT_UNSUPPORTED_CERTIFICATE 43
#define TLS_ALERT_MISSING_EXTENSION	  109
#define TLS_ALERT_NO_APPLICATION_PROTOCOL 120

/*
 * tls_init. key is borrowed until fini: TLS signs with it.
 * Returns 0, or WEFT_EFULL when OpenSSL or the arena refuses.
 * Owns: tls_fini takes a half-built one.
 */
WEFT_MUST_CHECK
int tls_init(struct tls *tls, struct arena *arena, const struct node_key *key, uint32_t session_cap,
	     const uint64_t secret[2]);
void tls_fini(struct tls *tls);

/*
 * tls_{accept,dial} make the TLS side of one connection, or NULL.
 * dial offers the ticket of peer_key, which is used once (RFC 8446 C.4).
 */
SSL *tls_accept(struct tls *tls);
SSL *tls_dial(struct tls *tls, const uint8_t peer_key[static TRANSPORT_KEY_LEN]);

/*
 * tls_peer_key copies the Ed25519 key the peer proved, from a raw public
 * key, a certificate or the resumed session's memory of either. Returns
 * false when it has none, one of another kind, or one that is not sound
 * (node_key.h): anyone can make signatures for such a key.
 */
bool tls_peer_key(SSL *ssl, uint8_t out_key[static TRANSPORT_KEY_LEN]);
/* tls_has_alpn: both sides agreed on TLS_ALPN. */
bool tls_has_alpn(SSL *ssl);
/*
 * tls_offer: from now on a client without TLS_ALPN may have the protocol of that name, of at most 16
 * letters; 0 or WEFT_EFULL. tls_has: it has that one.
 */
WEFT_MUST_CHECK
int tls_offer(struct tls *tls, const char *alpn);
bool tls_has(SSL *ssl, const char *alpn);
/* tls_offer_http: the same of HTTP/1.1, by ALPN or without. tls_has_http: it has. */
void tls_offer_http(struct tls *tls);
bool tls_has_http(SSL *ssl);
/*
 * tls_keep_session stores a ticket for the next dial to peer_key;
 * the oldest one makes room. Takes session.
 */
void tls_keep_session(struct tls *tls, const uint8_t peer_key[static TRANSPORT_KEY_LEN],
		      SSL_SESSION *session);
/*
 * TLS 1.3 of a client of HTTP, which shows no key. tls_web_new: NULL: OpenSSL refuses, or ca_file
 * ("": the machine's authorities) has none. Before the node gives up what it may read.
 * tls_web_dial: the certificate has to be of the host name, by those authorities. NULL: any
 * certificate does, and the caller asks tls_peer_key.
 */
SSL_CTX *tls_web_new(const char *ca_file);
SSL *tls_web_dial(SSL_CTX *web, const char *name);
/* tls_derive: 32 bytes bound to the node's key and a label, for secrets that outlive us. */
WEFT_MUST_CHECK
int tls_derive(const struct node_key *key, const char *label, uint8_t out[static 32]);

#endif
