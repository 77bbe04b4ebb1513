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
 * Each service that the node relays is a subtype, a PTR of _NAME._sub._mesh._udp.local. Some ask for
 * _NAME._mesh._udp.local, which is no legal type. Its PTR is sent to those alone. Pure.
 */
#define DNSSD_LABEL_LEN	 8 /* hexadecimal letters */
#define DNSSD_TTL_S	 120u
#define DNSSD_TTL_LONG_S 4500u /* RFC 6762, 10: of records that name no host */
/* RFC 6762, 17: longer messages are no mDNS. */
#define DNSSD_LEN_MAX 9000u
/* Instances of one message that are looked at. */
#define DNSSD_INSTANCES_MAX 16u

struct dnssd_self {
	char label[DNSSD_LABEL_LEN + 1];
	const uint8_t *key;
	uint16_t port;
	uint32_t caps;
	const struct lan_services *services;
};

/*
 * All of lan_dnssd_write return the length, within LAN_PACKET_LEN_MAX.
 *
 * lan_dnssd_write_query asks for nodes, if *at is 0. It also asks for those that relay services, from
 * service *at on, as far as there is room. Then *at is the next one.
 */
size_t lan_dnssd_write_query(const struct lan_services *services, unsigned *at, uint8_t *out,
			     size_t cap);
/* lan_dnssd_write_answer announces self at an interface; ttl_s 0: it goes. */
size_t lan_dnssd_write_answer(const struct dnssd_self *self, const struct lan_interface *interface,
			      uint32_t ttl_s, uint8_t *out, size_t cap);

/* lan_dnssd_write_services: PTRs of services whose bits are set, from *at on, likewise. */
struct dnssd_services {
	uint64_t subtypes, literals;
	uint32_t ttl_s;
};
size_t lan_dnssd_write_services(const struct dnssd_self *self, const struct dnssd_services *which,
				unsigned *at, uint8_t *out, size_t cap);

struct dnssd_instance {
	char label[LAN_INSTANCE_CAP];
	bool has_srv, has_txt, has_key;
	uint16_t port;
	uint32_t ttl_s; /* of SRV or TXT, the shorter */
	uint8_t key[MESH_KEY_LEN];
	uint32_t caps;
	uint64_t gained, lost; /* services of this node that it relays, or relays no longer */
};

struct dnssd_message {
	/* It asks for this node: the service, its enumeration, the instance, or what follows. */
	bool is_query;
	uint64_t subtypes, literals; /* services that are asked for */
	unsigned instance_cnt;
	struct dnssd_instance instances[DNSSD_INSTANCES_MAX];
};

/*
 * lan_dnssd_parse reads label and services of self. 0 or WEFT_EMALFORMED; what is of other services
 * is stepped over.
 */
WEFT_MUST_CHECK
int lan_dnssd_parse(const void *bytes, size_t len, const struct dnssd_self *self,
		    struct dnssd_message *out);

#endif
