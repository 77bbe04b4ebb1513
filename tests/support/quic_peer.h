/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_QUIC_PEER_H
#define WEFT_TESTS_QUIC_PEER_H

#include "support/quic_seal.h"

/*
 * A peer of a QUIC engine that keeps to no rule: TLS 1.3 and packets made by
 * hand (RFC 8446, 9000, 9001; X25519, Ed25519 raw public keys,
 * TLS_AES_128_GCM_SHA256), apart from ngtcp2 and OpenSSL's TLS. Each TLS
 * message passes edit before it is hashed and sealed, so that the keys of
 * both sides stay the same however it was changed. Whatever the engine says
 * is believed. Nothing is sent again.
 */
#define QUIC_PEER_MESSAGE_MAX 4096
#define QUIC_PEER_CID_LEN     8

enum quic_peer_level {
	QUIC_PEER_INITIAL,
	QUIC_PEER_HANDSHAKE,
	QUIC_PEER_APP,
	QUIC_PEER_LEVELS,
};

enum quic_peer_message {
	QUIC_PEER_CLIENT_HELLO,
	QUIC_PEER_SECOND_HELLO, /* after HelloRetryRequest */
	QUIC_PEER_RETRY_REQUEST,
	QUIC_PEER_SERVER_HELLO,
	QUIC_PEER_EXTENSIONS,
	QUIC_PEER_CERT_REQUEST,
	QUIC_PEER_CERT,
	QUIC_PEER_CERT_VERIFY,
	QUIC_PEER_FINISHED,
	QUIC_PEER_TICKET,
	QUIC_PEER_MESSAGES,
};

struct quic_peer_said {
	enum quic_peer_message which;
	enum quic_peer_level level;
	unsigned cnt; /* how often it is said: 1 */
	size_t len;
	uint8_t data[QUIC_PEER_MESSAGE_MAX];
};

/* Of data, len bytes from off of the stream on are whole; beyond them has says which came. */
struct quic_peer_bytes {
	size_t len;
	size_t off;
	uint8_t data[2 * QUIC_PEER_MESSAGE_MAX];
	bool has[2 * QUIC_PEER_MESSAGE_MAX];
};

struct quic_peer_config {
	bool is_server;
	bool asks_retry;   /* a server sends HelloRetryRequest with a cookie first */
	bool is_anonymous; /* a client that shows no key */
	size_t piece_len;  /* of CRYPTO frames; 0: as long as fits */
	bool is_reversed;  /* CRYPTO frames of a packet, last first */
	uint8_t seed[32];  /* of its node key */
	/* edit may change all but which; NULL: nothing. send takes a datagram. */
	void (*edit)(void *arg, struct quic_peer_said *said);
	void (*send)(void *arg, const uint8_t *dgram, size_t len);
	void *arg;
};

struct quic_peer {
	struct quic_peer_config config;
	struct quic_keys tx[QUIC_PEER_LEVELS], rx[QUIC_PEER_LEVELS];
	uint8_t cid[QUIC_PEER_CID_LEN]; /* this side's */
	uint8_t original[QUIC_SEAL_CID_MAX], remote[QUIC_SEAL_CID_MAX];
	size_t original_len, remote_len;
	uint64_t next_number[QUIC_PEER_LEVELS];
	uint64_t heard_number[QUIC_PEER_LEVELS]; /* largest */
	bool has_heard[QUIC_PEER_LEVELS];
	struct quic_peer_bytes in[QUIC_PEER_LEVELS], out[QUIC_PEER_LEVELS];
	uint8_t transcript[4 * QUIC_PEER_MESSAGE_MAX];
	size_t transcript_len;
	void *identity, *share; /* EVP_PKEY */
	uint8_t secret[32];	/* handshake secret, then master secret */
	uint8_t client_secret[32], server_secret[32];
	uint8_t phase; /* bit of the first byte of this side's 1-RTT packets */
	bool has_retried;
	bool wants_cert;
	bool is_over;	/* something it cannot follow */
	bool is_done;	/* said and heard all of a handshake */
	bool is_closed; /* by the engine, with close_code */
	uint64_t close_code;
};

void quic_peer_init(struct quic_peer *peer, const struct quic_peer_config *config);
void quic_peer_fini(struct quic_peer *peer);
/* quic_peer_start: a client sends its hello to an engine, whose id it invents. */
void quic_peer_start(struct quic_peer *peer);
void quic_peer_input(struct quic_peer *peer, const uint8_t *dgram, size_t len);
/* quic_peer_say adds a message at its level, after edit; flush sends what was added. */
void quic_peer_say(struct quic_peer *peer, struct quic_peer_said *said);
void quic_peer_flush(struct quic_peer *peer);
/* quic_peer_send seals one packet of payload; first_bits go into its first byte. */
void quic_peer_send(struct quic_peer *peer, enum quic_peer_level level, const uint8_t *payload,
		    size_t len, uint8_t first_bits);
/* quic_peer_update_keys: 1-RTT packets are sealed with the next keys from now on. */
void quic_peer_update_keys(struct quic_peer *peer);
/* quic_peer_ack writes an ACK of all up to the largest packet of level that came; 0: none did. */
size_t quic_peer_ack(const struct quic_peer *peer, enum quic_peer_level level, uint8_t *dst);
/*
 * quic_peer_fields gives the fields of a frame (RFC 9000 19). v is a number,
 * s a number of bytes that follow, c an id after its length, 8 and t are
 * eight and sixteen bytes. "" for PADDING, PING, HANDSHAKE_DONE, ACK, and
 * what is none.
 */
const char *quic_peer_fields(uint8_t type);

/*
 * quic_peer_tls.c: the messages of RFC 8446. start says ClientHello, read
 * takes what came in order at level.
 */
void quic_peer_tls_init(struct quic_peer *peer);
void quic_peer_tls_fini(struct quic_peer *peer);
void quic_peer_tls_start(struct quic_peer *peer);
void quic_peer_tls_read(struct quic_peer *peer, enum quic_peer_level level);

/* Where the two bytes of the length of a message's extensions are; 0: it has none. */
size_t quic_peer_extensions(const uint8_t *message, size_t len);

#endif
