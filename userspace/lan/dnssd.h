/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_DNSSD_H
#define WEFT_LAN_DNSSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lan.h"

/*
 * Messages of DNS-SD over multicast DNS for the service _mesh._udp.local: an instance has a
 * name that says nothing, SRV with its port, and TXT with
 *	id=	 the node's key, z-base-32
 *	v=1
 *	caps=	 capabilities, hexadecimal
 *	qp=	 the port for QUIC
 * Pure.
 */
#define DNSSD_LABEL_LEN 8 /* hexadecimal letters */
#define DNSSD_TTL_S	120u
/* RFC 6762, 17: longer messages are no mDNS. */
#define DNSSD_LEN_MAX 9000u
/* Instances of one message that are looked at. */
#define DNSSD_INSTANCES_MAX 16u

struct dnssd_self {
	char label[DNSSD_LABEL_LEN + 1];
	const uint8_t *key;
	uint16_t port;
	uint32_t caps;
};

/* lan_dnssd_write_query asks for nodes. Both return the length, within LAN_PACKET_LEN_MAX. */
size_t lan_dnssd_write_query(uint8_t *out, size_t cap);
/* lan_dnssd_write_answer announces self at an interface; ttl_s 0: it goes. */
size_t lan_dnssd_write_answer(const struct dnssd_self *self, const struct lan_interface *interface,
			      uint32_t ttl_s, uint8_t *out, size_t cap);

struct dnssd_instance {
	char label[LAN_INSTANCE_CAP];
	bool has_srv, has_txt, has_key;
	uint16_t port;
	uint32_t ttl_s; /* of SRV or TXT, the shorter */
	uint8_t key[MESH_KEY_LEN];
	uint32_t caps;
};

struct dnssd_message {
	bool is_query; /* it asks for us: the service, its enumeration, or our instance */
	unsigned instance_cnt;
	struct dnssd_instance instances[DNSSD_INSTANCES_MAX];
};

/* lan_dnssd_parse: label is our own. 0 or WEFT_EMALFORMED; what is of other services is stepped over. */
WEFT_MUST_CHECK
int lan_dnssd_parse(const void *bytes, size_t len, const char *label, struct dnssd_message *out);

#endif
