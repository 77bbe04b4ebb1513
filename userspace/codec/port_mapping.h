/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_PORT_MAPPING_H
#define WEFT_CODEC_PORT_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * How a host has its router pass a UDP port on: PCP (RFC 6887), MAP alone, and its forerunner
 * NAT-PMP (RFC 6886). Both speak to UDP port 5351 of the router.
 */
#define PORT_MAPPING_PORT      5351
#define PORT_MAPPING_LEN_MAX   1100 /* RFC 6887 7 */
#define PORT_MAPPING_WRITE_CAP 60
#define PORT_MAPPING_NONCE_LEN 12

enum port_mapping_protocol { PORT_MAPPING_NAT_PMP = 0, PORT_MAPPING_PCP = 2 };

enum port_mapping_kind {
	PORT_MAPPING_MAPPED,  /* of MAP, or of NAT-PMP's mapping of UDP */
	PORT_MAPPING_ADDRESS, /* NAT-PMP: the router's address outside */
	PORT_MAPPING_REFUSED, /* result says why */
};

/* A request: lifetime_s 0 takes the mapping back. */
struct port_mapping_request {
	struct addr client;		       /* PCP: this host's address towards the router */
	uint8_t nonce[PORT_MAPPING_NONCE_LEN]; /* PCP: the same while the mapping lasts */
	uint16_t internal_port;
	struct addr external; /* suggested; family ADDR_NONE and port 0: any */
	uint32_t lifetime_s;
};

struct port_mapping_answer {
	enum port_mapping_protocol protocol;
	enum port_mapping_kind kind;
	unsigned result; /* 0: done */
	uint32_t epoch_s;
	uint32_t lifetime_s; /* of the mapping, or until another try is welcome (PCP) */
	uint8_t nonce[PORT_MAPPING_NONCE_LEN]; /* PCP */
	uint16_t internal_port;
	struct addr external; /* NAT-PMP: ADDRESS has the address, MAPPED the port */
};

/* Results: PCP's and NAT-PMP's first ones agree. */
#define PORT_MAPPING_UNSUPPORTED_VERSION 1

/* port_mapping_write_{pcp,nat_pmp,address} return how many bytes of out were written. */
size_t port_mapping_write_pcp(const struct port_mapping_request *request,
			      uint8_t out[static PORT_MAPPING_WRITE_CAP]);
size_t port_mapping_write_nat_pmp(const struct port_mapping_request *request,
				  uint8_t out[static PORT_MAPPING_WRITE_CAP]);
size_t port_mapping_write_address(uint8_t out[static PORT_MAPPING_WRITE_CAP]);

/* port_mapping_read: 0 or WEFT_EMALFORMED; requests and answers of other kinds are malformed. */
WEFT_MUST_CHECK
int port_mapping_read(const void *data, size_t len, struct port_mapping_answer *out_answer);

#endif
