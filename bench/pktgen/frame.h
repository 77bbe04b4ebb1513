/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PKTGEN_FRAME_H
#define PKTGEN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pktgen.bpf.h"

/* The template of a run, and what of it varies. */

#define FRAME_LEN_MAX 2000

enum kind {
	KIND_INITIAL,	  /* QUIC Initial without a token; its payload is noise */
	KIND_SHORT_JUNK,  /* QUIC short header, an id of noise */
	KIND_SHORT_VALID, /* QUIC short header, ids made under a key */
	KIND_KRPC,	  /* DHT ping */
	KIND_FIND_NODE,	  /* DHT find_node of any target */
	KIND_GET_PEERS,	  /* DHT get_peers of any info-hash */
	KIND_JUNK,	  /* a datagram of no protocol */
	KIND_GIVEN,	  /* a datagram of the caller's */
	KIND_CNT,
};

struct frame_request {
	enum kind kind;
	uint8_t dst_mac[6], src_mac[6];
	bool is_ipv6;
	uint8_t dst[16]; /* IPv4: the first 4 bytes */
	uint16_t dst_port;
	size_t payload_len;
	const uint8_t *given; /* payload_len bytes of KIND_GIVEN */
};

struct frame {
	uint8_t bytes[FRAME_LEN_MAX + PKTGEN_TAIL_LEN];
	size_t len;
};

/* frame_payload_len_min tells the shortest UDP payload of a kind, frame_payload_len its usual one. */
size_t frame_payload_len_min(enum kind kind);
size_t frame_payload_len(enum kind kind);
size_t frame_payload_len_max(bool is_ipv6);

/*
 * frame_write makes the template and fills in config's offsets and sums;
 * sources, ports and the count of ids stay the caller's. payload_len lies
 * between the minimum of the kind and the maximum of the family.
 */
void frame_write(const struct frame_request *request, struct frame *out_frame,
		 struct pktgen_config *config);

#endif
