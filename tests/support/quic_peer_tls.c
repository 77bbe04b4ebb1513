/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS half of quic_peer: messages and key schedule of RFC 8446, for one
 * suite, one group and one kind of key.
 */
#include "support/quic_peer.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/assert.h"

enum message_type {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	NEW_SESSION_TICKET = 4,
	ENCRYPTED_EXTENSIONS = 8,
	CERTIFICATE = 11,
	CERTIFICATE_REQUEST = 13,
	CERTIFICATE_VERIFY = 15,
	FINISHED = 20,
	MESSAGE_HASH = 254,
};

enum extension_type {
	SUPPORTED_GROUPS = 10,
	SIGNATURE_ALGORITHMS = 13,
	ALPN = 16,
	CLIENT_CERT_TYPE = 19,
	SERVER_CERT_TYPE = 20,
	SUPPORTED_VERSIONS = 43,
	COOKIE = 44,
	PSK_MODES = 45,
	KEY_SHARE = 51,
	QUIC_PARAMS = 57,
};

#define HASH_LEN  32
#define SHARE_LEN 32
#define X25519	  "\x00\x1d"
#define ED25519	  "\x08\x07"
#define SUITE	  "\x13\x01"

/* SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3). */
static const uint8_t retry_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
					 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
					 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
					 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
/* SubjectPublicKeyInfo of an Ed25519 key, up to the key. */
static const uint8_t spki_head[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
				      0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

void quic_peer_tls_init(struct quic_peer *peer)
{
	static const uint8_t share[SHARE_LEN] = {0x77, 1, 2, 3};

	peer->identity = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, peer->config.seed,
						      sizeof(peer->config.seed));
	peer->share = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, share, sizeof(share));
	weft_assert(peer->identity && peer->share);
}

void quic_peer_tls_fini(struct quic_peer *peer)
{
	EVP_PKEY_free(peer->identity);
	EVP_PKEY_free(peer->share);
}

/* Writing a message. Room was made for the largest. */

static void put(struct quic_peer_said *said, const void *data, size_t len)
{
	weft_assert(len <= sizeof(said->data) - said->len);
	memcpy(said->data + said->len, data, len);
	said->len += len;
}

static void put_number(struct quic_peer_said *said, size_t value, unsigned size)
{
	for (unsigned i = size; i-- > 0;)
		put(said, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void fill_length(struct quic_peer_said *said, size_t at, unsigned size)
{
	size_t value = said->len - at - size;

	for (unsigned i = 0; i < size; i++)
		said->data[at + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void put_extension(struct quic_peer_said *said, enum extension_type type, const void *data,
			  size_t len)
{
	put_number(said, type, 2);
	put_number(said, len, 2);
	put(said, data, len);
}

static struct quic_peer_said begin(enum quic_peer_message which, enum quic_peer_level level,
				   enum message_type type)
{
	struct quic_peer_said said;

	said.which = which;
	said.level = level;
	said.len = 0;
	put_number(&said, type, 1);
	put_number(&said, 0, 3);
	return said;
}

static void end(struct quic_peer *peer, struct quic_peer_said *said)
{
	fill_length(said, 1, 3);
	quic_peer_say(peer, said);
}

static void put_share(const struct quic_peer *peer, struct quic_peer_said *said, bool is_list)
{
	uint8_t body[2 + 4 + SHARE_LEN] = {0, 4 + SHARE_LEN, 0, 0x1d, 0, SHARE_LEN};
	size_t len = SHARE_LEN;

	weft_assert(EVP_PKEY_get_raw_public_key(peer->share, body + 6, &len));
	put_extension(said, KEY_SHARE, body + (is_list ? 0 : 2), sizeof(body) - (is_list ? 0 : 2));
}

static size_t param_put(uint8_t *dst, uint64_t id, const void *data, size_t len)
{
	size_t off = quic_varint_write(dst, id);

	off += quic_varint_write(dst + off, len);
	memcpy(dst + off, data, len);
	return off + len;
}

static size_t param_put_number(uint8_t *dst, uint64_t id, uint64_t value)
{
	uint8_t body[8];

	return param_put(dst, id, body, quic_varint_write(body, value));
}

/* RFC 9000 18.2: the parameters that let the engine send to this side, and those of 7.3. */
static void put_params(const struct quic_peer *peer, struct quic_peer_said *said)
{
	static const uint64_t numbers[][2] = {{0x01, 30000},   {0x04, 1 << 20}, {0x05, 1 << 18},
					      {0x06, 1 << 18}, {0x07, 1 << 18}, {0x08, 16},
					      {0x09, 16},      {0x0e, 8}};
	uint8_t body[256];
	size_t len = 0;

	if (peer->config.is_server) {
		len += param_put(body + len, 0x00, peer->original, peer->original_len);
		len += param_put(body + len, 0x02, "0123456789abcdef", 16);
	}
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		len += param_put_number(body + len, numbers[i][0], numbers[i][1]);
	len += param_put(body + len, 0x0f, peer->cid, sizeof(peer->cid));
	put_extension(said, QUIC_PARAMS, body, len);
}

/* Keys. */

static void transcript_hash(const struct quic_peer *peer, uint8_t out[static HASH_LEN])
{
	weft_assert(
		EVP_Digest(peer->transcript, peer->transcript_len, out, NULL, EVP_sha256(), NULL));
}

static void secret_step(const uint8_t secret[static HASH_LEN], const uint8_t *input,
			uint8_t out[static HASH_LEN])
{
	uint8_t empty[HASH_LEN], salt[HASH_LEN];

	weft_assert(EVP_Digest("", 0, empty, NULL, EVP_sha256(), NULL));
	quic_hkdf_label(secret, "derived", empty, sizeof(empty), salt, sizeof(salt));
	quic_hmac(salt, sizeof(salt), input, HASH_LEN, out);
}

static void traffic_secrets(struct quic_peer *peer, const char *client, const char *server)
{
	uint8_t hash[HASH_LEN];

	transcript_hash(peer, hash);
	quic_hkdf_label(peer->secret, client, hash, sizeof(hash), peer->client_secret, HASH_LEN);
	quic_hkdf_label(peer->secret, server, hash, sizeof(hash), peer->server_secret, HASH_LEN);
}

static void keys_install(struct quic_peer *peer, enum quic_peer_level level)
{
	bool is_server = peer->config.is_server;

	if (peer->tx[level].seal)
		return;
	quic_keys_init(&peer->tx[level], is_server ? peer->server_secret : peer->client_secret);
	quic_keys_init(&peer->rx[level], is_server ? peer->client_secret : peer->server_secret);
}

static bool shared_secret(const struct quic_peer *peer, const uint8_t *theirs,
			  uint8_t out[static SHARE_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, SHARE_LEN);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer->share, NULL);
	size_t len = SHARE_LEN;
	bool is_ok = key && ctx && EVP_PKEY_derive_init(ctx) > 0 &&
		     EVP_PKEY_derive_set_peer(ctx, key) > 0 && EVP_PKEY_derive(ctx, out, &len) > 0;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return is_ok;
}

/* Handshake keys, over all up to ServerHello. */
static void handshake_keys(struct quic_peer *peer, const uint8_t *theirs)
{
	static const uint8_t zero[HASH_LEN];
	uint8_t early[HASH_LEN], shared[SHARE_LEN];

	if (!shared_secret(peer, theirs, shared)) {
		peer->is_over = true;
		return;
	}
	quic_hmac(zero, sizeof(zero), zero, sizeof(zero), early);
	secret_step(early, shared, peer->secret);
	traffic_secrets(peer, "c hs traffic", "s hs traffic");
	keys_install(peer, QUIC_PEER_HANDSHAKE);
}

/* 1-RTT keys, over all up to the server's Finished; the handshake's secrets stay in keys. */
static void app_keys(struct quic_peer *peer)
{
	static const uint8_t zero[HASH_LEN];
	uint8_t master[HASH_LEN];

	secret_step(peer->secret, zero, master);
	memcpy(peer->secret, master, sizeof(master));
	traffic_secrets(peer, "c ap traffic", "s ap traffic");
	keys_install(peer, QUIC_PEER_APP);
}

/* Messages. */

static void say_client_hello(struct quic_peer *peer, enum quic_peer_message which)
{
	static const uint8_t random[32] = {0x5e};
	struct quic_peer_said said = begin(which, QUIC_PEER_INITIAL, CLIENT_HELLO);
	size_t list;

	put(&said, "\x03\x03", 2);
	put(&said, random, sizeof(random));
	put(&said, "\0\0\x02" SUITE "\x01\0", 7); /* no session id, one suite, no compression */
	list = said.len;
	put_number(&said, 0, 2);
	put_extension(&said, SUPPORTED_GROUPS, "\0\x02" X25519, 4);
	put_extension(&said, SIGNATURE_ALGORITHMS, "\0\x02" ED25519, 4);
	put_extension(&said, SUPPORTED_VERSIONS, "\x02\x03\x04", 3);
	put_extension(&said, ALPN, "\0\x07\x06mesh/1", 9);
	put_extension(&said, SERVER_CERT_TYPE, "\x01\x02", 2);
	put_extension(&said, CLIENT_CERT_TYPE, "\x01\x02", 2);
	put_extension(&said, PSK_MODES, "\x01\x01", 2);
	put_share(peer, &said, true);
	put_params(peer, &said);
	fill_length(&said, list, 2);
	end(peer, &said);
}

static void say_server_hello(struct quic_peer *peer, enum quic_peer_message which)
{
	static const uint8_t random[32] = {0x5f};
	bool is_retry = which == QUIC_PEER_RETRY_REQUEST;
	struct quic_peer_said said = begin(which, QUIC_PEER_INITIAL, SERVER_HELLO);
	size_t list;

	put(&said, "\x03\x03", 2);
	put(&said, is_retry ? retry_random : random, sizeof(random));
	put(&said, "\0" SUITE "\0", 4);
	list = said.len;
	put_number(&said, 0, 2);
	put_extension(&said, SUPPORTED_VERSIONS, "\x03\x04", 2);
	if (is_retry)
		put_extension(&said, COOKIE,
			      "\0\x04"
			      "cook",
			      6);
	else
		put_share(peer, &said, false);
	fill_length(&said, list, 2);
	end(peer, &said);
}

static void say_extensions(struct quic_peer *peer)
{
	struct quic_peer_said said =
		begin(QUIC_PEER_EXTENSIONS, QUIC_PEER_HANDSHAKE, ENCRYPTED_EXTENSIONS);
	size_t list = said.len;

	put_number(&said, 0, 2);
	put_extension(&said, ALPN, "\0\x07\x06mesh/1", 9);
	put_extension(&said, SERVER_CERT_TYPE, "\x02", 1);
	put_extension(&said, CLIENT_CERT_TYPE, "\x02", 1);
	put_params(peer, &said);
	fill_length(&said, list, 2);
	end(peer, &said);
}

static void say_cert_request(struct quic_peer *peer)
{
	struct quic_peer_said said =
		begin(QUIC_PEER_CERT_REQUEST, QUIC_PEER_HANDSHAKE, CERTIFICATE_REQUEST);
	size_t list;

	put_number(&said, 0, 1); /* context */
	list = said.len;
	put_number(&said, 0, 2);
	put_extension(&said, SIGNATURE_ALGORITHMS, "\0\x02" ED25519, 4);
	fill_length(&said, list, 2);
	end(peer, &said);
}

static void say_cert(struct quic_peer *peer)
{
	struct quic_peer_said said = begin(QUIC_PEER_CERT, QUIC_PEER_HANDSHAKE, CERTIFICATE);
	uint8_t key[32];
	size_t len = sizeof(key), list;

	put_number(&said, 0, 1); /* context */
	list = said.len;
	put_number(&said, 0, 3);
	if (!peer->config.is_anonymous) {
		weft_assert(EVP_PKEY_get_raw_public_key(peer->identity, key, &len));
		put_number(&said, sizeof(spki_head) + sizeof(key), 3);
		put(&said, spki_head, sizeof(spki_head));
		put(&said, key, sizeof(key));
		put_number(&said, 0, 2); /* extensions */
	}
	fill_length(&said, list, 3);
	end(peer, &said);
}

static void say_cert_verify(struct quic_peer *peer)
{
	struct quic_peer_said said =
		begin(QUIC_PEER_CERT_VERIFY, QUIC_PEER_HANDSHAKE, CERTIFICATE_VERIFY);
	uint8_t text[64 + 34 + HASH_LEN], signature[64];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sizeof(signature);

	memset(text, 0x20, 64);
	memcpy(text + 64,
	       peer->config.is_server ? "TLS 1.3, server CertificateVerify"
				      : "TLS 1.3, client CertificateVerify",
	       34); /* with the zero that ends it */
	transcript_hash(peer, text + 64 + 34);
	weft_assert(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, peer->identity) > 0 &&
		    EVP_DigestSign(ctx, signature, &len, text, sizeof(text)) > 0);
	EVP_MD_CTX_free(ctx);
	put(&said, ED25519, 2);
	put_number(&said, len, 2);
	put(&said, signature, len);
	end(peer, &said);
}

static void say_finished(struct quic_peer *peer)
{
	struct quic_peer_said said = begin(QUIC_PEER_FINISHED, QUIC_PEER_HANDSHAKE, FINISHED);
	uint8_t key[HASH_LEN], hash[HASH_LEN], mac[HASH_LEN];

	quic_hkdf_label(peer->tx[QUIC_PEER_HANDSHAKE].secret, "finished", NULL, 0, key,
			sizeof(key));
	transcript_hash(peer, hash);
	quic_hmac(key, sizeof(key), hash, sizeof(hash), mac);
	put(&said, mac, sizeof(mac));
	end(peer, &said);
}

static void say_ticket(struct quic_peer *peer)
{
	struct quic_peer_said said = begin(QUIC_PEER_TICKET, QUIC_PEER_APP, NEW_SESSION_TICKET);

	put_number(&said, 3600, 4);
	put_number(&said, 0x01020304, 4);
	put_number(&said, 1, 1); /* nonce */
	put_number(&said, 0, 1);
	put_number(&said, 16, 2);
	put(&said, "0123456789abcdef", 16);
	put_number(&said, 0, 2); /* extensions */
	end(peer, &said);
}

/* The hash of the first hello takes its place (RFC 8446 4.4.1). */
static void transcript_fold(struct quic_peer *peer)
{
	uint8_t hash[HASH_LEN];

	transcript_hash(peer, hash);
	memcpy(peer->transcript, (uint8_t[]){MESSAGE_HASH, 0, 0, HASH_LEN}, 4);
	memcpy(peer->transcript + 4, hash, sizeof(hash));
	peer->transcript_len = 4 + sizeof(hash);
}

void quic_peer_tls_start(struct quic_peer *peer)
{
	say_client_hello(peer, QUIC_PEER_CLIENT_HELLO);
}

/* Reading. */

size_t quic_peer_extensions(const uint8_t *message, size_t len)
{
	size_t off = 4;

	switch (len >= 4 ? message[0] : 0) {
	case CLIENT_HELLO:
		off += 2 + 32;
		off += off < len ? 1u + message[off] : 0;
		off += off + 1 < len ? 2 + ((size_t)message[off] << 8 | message[off + 1]) : 0;
		off += off < len ? 1u + message[off] : 0;
		break;
	case SERVER_HELLO:
		off += 2 + 32;
		off += off < len ? 1u + message[off] : 0;
		off += 3;
		break;
	case ENCRYPTED_EXTENSIONS:
		break;
	case CERTIFICATE_REQUEST:
		off += off < len ? 1u + message[off] : 0;
		break;
	case NEW_SESSION_TICKET:
		off = len - 2; /* this side's has none */
		break;
	default:
		return 0;
	}
	return off + 2 <= len ? off : 0;
}

/* The last share in an extension of a hello: that of X25519, since nothing else is spoken. */
static const uint8_t *share_find(const uint8_t *message, size_t len)
{
	size_t off = quic_peer_extensions(message, len), body;

	for (off += off ? 2 : len; off + 4 <= len; off += 4 + body) {
		body = (size_t)message[off + 2] << 8 | message[off + 3];
		if (message[off] == 0 && message[off + 1] == KEY_SHARE && body >= SHARE_LEN &&
		    body <= len - off - 4)
			return message + off + 4 + body - SHARE_LEN;
	}
	return NULL;
}

static void heard_server_hello(struct quic_peer *peer, const uint8_t *message, size_t len)
{
	const uint8_t *theirs = share_find(message, len);

	if (len >= 38 && memcmp(message + 6, retry_random, 32) == 0 && !peer->has_retried) {
		peer->has_retried = true;
		say_client_hello(peer, QUIC_PEER_SECOND_HELLO);
	} else if (theirs) {
		handshake_keys(peer, theirs);
	} else {
		peer->is_over = true;
	}
}

static void heard_client_hello(struct quic_peer *peer, const uint8_t *message, size_t len)
{
	const uint8_t *theirs = share_find(message, len);

	if (peer->config.asks_retry && !peer->has_retried) {
		peer->has_retried = true;
		transcript_fold(peer);
		say_server_hello(peer, QUIC_PEER_RETRY_REQUEST);
		return;
	}
	if (!theirs) {
		peer->is_over = true;
		return;
	}
	say_server_hello(peer, QUIC_PEER_SERVER_HELLO);
	handshake_keys(peer, theirs);
	if (peer->is_over)
		return;
	say_extensions(peer);
	say_cert_request(peer);
	say_cert(peer);
	say_cert_verify(peer);
	say_finished(peer);
	app_keys(peer);
}

static void heard_finished(struct quic_peer *peer)
{
	if (peer->config.is_server) {
		peer->is_done = true;
		say_ticket(peer);
		return;
	}
	app_keys(peer);
	if (peer->wants_cert) {
		say_cert(peer);
		if (!peer->config.is_anonymous)
			say_cert_verify(peer);
	}
	say_finished(peer);
	peer->is_done = true;
}

static void message_take(struct quic_peer *peer, const uint8_t *message, size_t len)
{
	bool is_retry = message[0] == SERVER_HELLO && len >= 38 &&
			memcmp(message + 6, retry_random, 32) == 0;

	if (len > sizeof(peer->transcript) - peer->transcript_len) {
		peer->is_over = true;
		return;
	}
	if (is_retry)
		transcript_fold(peer);
	memcpy(peer->transcript + peer->transcript_len, message, len);
	peer->transcript_len += len;
	if (message[0] == CLIENT_HELLO)
		heard_client_hello(peer, message, len);
	else if (message[0] == SERVER_HELLO)
		heard_server_hello(peer, message, len);
	else if (message[0] == CERTIFICATE_REQUEST)
		peer->wants_cert = true;
	else if (message[0] == FINISHED && !peer->is_done)
		heard_finished(peer);
}

void quic_peer_tls_read(struct quic_peer *peer, enum quic_peer_level level)
{
	static struct quic_peer_bytes taken; /* what is said meanwhile may move in */
	struct quic_peer_bytes *in = &peer->in[level];
	size_t len;

	while (in->len >= 4 && !peer->is_over) {
		len = 4 + ((size_t)in->data[1] << 16 | (size_t)in->data[2] << 8 | in->data[3]);
		if (len > in->len)
			return;
		memcpy(taken.data, in->data, len);
		memmove(in->data, in->data + len, sizeof(in->data) - len);
		memmove(in->has, in->has + len, sizeof(in->has) - len);
		memset(in->has + sizeof(in->has) - len, false, len);
		in->off += len;
		in->len -= len;
		message_take(peer, taken.data, len);
	}
}
