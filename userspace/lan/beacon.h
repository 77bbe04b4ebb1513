/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_BEACON_H
#define WEFT_LAN_BEACON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "mesh/seam.h"

/*
 * The datagram that nodes of SCP2P broadcast to port 46123: a CBOR map with text keys in
 * no order. "version", "instance_id" (16 numbers) and "tcp_port" are there in version 1, version
 * 2 adds "capabilities", a map of words to booleans or null, and "quic_port". This program adds
 * "key", 32 bytes; a reader that does not know that skips it. Pure.
 */
#define BEACON_VERSION	    2
#define BEACON_INSTANCE_LEN 16
#define BEACON_LEN_MAX	    1024u

/* Words of capabilities, as bits of HELLO's. */
#define BEACON_CAP_RELAY	0x1u
#define BEACON_CAP_STORE	0x2u
#define BEACON_CAP_DHT		0x8u
#define BEACON_CAP_CONTENT_SEED 0x10u
#define BEACON_CAP_MOBILE_LIGHT 0x20u

struct beacon {
	uint64_t version;
	uint8_t instance[BEACON_INSTANCE_LEN];
	uint16_t tcp_port; /* 0: none */
	uint16_t quic_port;
	uint32_t caps;
	bool has_key;
	uint8_t key[MESH_KEY_LEN];
};

void lan_beacon_write(struct writer *w, const struct beacon *beacon);
/* lan_beacon_parse takes versions 1 and later. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int lan_beacon_parse(const void *bytes, size_t len, struct beacon *out_beacon);

#endif
