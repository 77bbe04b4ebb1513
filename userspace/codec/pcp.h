/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_PCP_H
#define WEFT_CODEC_PCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * A host has its router forward a port to it: by PCP (RFC 6887), MAP alone, and by its forerunner
 * NAT-PMP (RFC 6886). Both speak to UDP port 5351 of the router.
 */
#define PCP_PORT 5351
/* Where servers of both tell hosts of the link that they have begun again, by multicast 224.0.0.1. */
#define PCP_CLIENT_PORT 5350
#define PCP_LEN_MAX	1100 /* RFC 6887 7 */
#define PCP_WRITE_CAP	60
#define PCP_NONCE_LEN	12

enum pcp_version { PCP_VERSION_NAT_PMP = 0, PCP_VERSION = 2 };

enum pcp_kind {
	PCP_MAPPED,    /* of MAP, or of NAT-PMP's mapping */
	PCP_ADDRESS,   /* NAT-PMP: the router's address outside */
	PCP_REFUSED,   /* result says why */
	PCP_ANNOUNCED, /* of ANNOUNCE: the server's epoch, and no more */
};

/* A request: lifetime_s 0 takes the mapping back. */
struct pcp_request {
	struct addr client;	      /* PCP: this host's address towards the router */
	uint8_t nonce[PCP_NONCE_LEN]; /* PCP: the same while the mapping lasts */
	enum addr_transport transport;
	uint16_t internal_port;
	struct addr external; /* suggested; family ADDR_NONE and port 0: any */
	uint32_t lifetime_s;
};

struct pcp_answer {
	enum pcp_version version;
	enum pcp_kind kind;
	unsigned result; /* 0: done */
	uint32_t epoch_s;
	uint32_t lifetime_s;	      /* of the mapping, or until another try is welcome (PCP) */
	uint8_t nonce[PCP_NONCE_LEN]; /* PCP */
	enum addr_transport transport;
	uint16_t internal_port;
	struct addr external; /* NAT-PMP: ADDRESS has the address, MAPPED the port */
};

/* Results: PCP's and NAT-PMP's first ones agree. */
#define PCP_UNSUPPORTED_VERSION 1

/* pcp_write_{map,nat_pmp_map,nat_pmp_address} return how many bytes of out were written. */
size_t pcp_write_map(const struct pcp_request *request, uint8_t out[static PCP_WRITE_CAP]);
size_t pcp_write_nat_pmp_map(const struct pcp_request *request, uint8_t out[static PCP_WRITE_CAP]);
size_t pcp_write_nat_pmp_address(uint8_t out[static PCP_WRITE_CAP]);

/* pcp_read: 0 or WEFT_EMALFORMED; requests and answers of other kinds are malformed. */
WEFT_MUST_CHECK
int pcp_read(const void *data, size_t len, struct pcp_answer *out_answer);

#endif
