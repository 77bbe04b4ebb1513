/* SPDX-License-Identifier: Apache-2.0 */
/* The PeerAddr codec: of HELLO, of stored peer records, of what is signed. */
#include "codec/peer_addr.h"

#include <string.h>

static void hop_read_ip(struct cbor_reader *r, struct addr *addr)
{
	size_t len;
	const uint8_t *ip = cbor_read_bytes(r, &len);

	if (!ip)
		return;
	if (len != 4 && len != 16) {
		cbor_fail(r);
		return;
	}
	addr->family = len == 4 ? ADDR_IPV4 : ADDR_IPV6;
	memcpy(addr->ip, ip, len);
}

static void hop_check(struct cbor_reader *r, const struct peer_addr_hop *hop)
{
	bool has_ip = hop->addr.family != ADDR_NONE;
	bool is_url = hop->transport == PEER_ADDR_RELAY_URL;

	if (is_url ? has_ip || hop->addr.port || !hop->url[0]
		   : !has_ip || !hop->addr.port || hop->url[0])
		cbor_fail(r);
}

/* relayed is NULL for the relay itself: there field 4 is refused. */
static void hop_read(struct cbor_reader *r, struct peer_addr_hop *hop, struct peer_addr *relayed);

static void relay_read(struct cbor_reader *r, struct peer_addr *relayed)
{
	unsigned seen = 0;
	uint64_t key;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		if (key > 1) {
			cbor_skip(r);
			continue;
		}
		seen |= 1u << key;
		if (key == 0)
			hop_read(r, &relayed->relay, NULL);
		else
			relayed->relay_slot = cbor_read_uint(r);
	}
	if (seen != 3)
		cbor_fail(r);
	relayed->has_relay = true;
}

static void hop_read(struct cbor_reader *r, struct peer_addr_hop *hop, struct peer_addr *relayed)
{
	uint64_t key;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		switch (key) {
		case 0:
			hop_read_ip(r, &hop->addr);
			break;
		case 1:
			hop->addr.port = (uint16_t)cbor_read_uint_max(r, UINT16_MAX);
			break;
		case 2:
			hop->transport = (enum peer_addr_transport)cbor_read_uint_max(
				r, PEER_ADDR_RELAY_URL);
			break;
		case 3:
			cbor_read_fixed(r, hop->key, sizeof(hop->key));
			hop->has_key = true;
			break;
		case 4:
			if (relayed)
				relay_read(r, relayed);
			else
				cbor_fail(r);
			break;
		case 5:
			cbor_read_text_copy(r, hop->url, sizeof(hop->url));
			break;
		default:
			cbor_skip(r);
		}
	}
	if (hop->transport == PEER_ADDR_TCP)
		hop->addr.transport = ADDR_TCP;
	hop_check(r, hop);
}

void peer_addr_read(struct cbor_reader *r, struct peer_addr *out_addr)
{
	struct peer_addr addr = {0};

	hop_read(r, &addr.peer, &addr);
	if (!cbor_is_bad(r))
		*out_addr = addr;
}

static void hop_write(struct writer *w, const struct peer_addr_hop *hop,
		      const struct peer_addr *relayed)
{
	bool is_url = hop->transport == PEER_ADDR_RELAY_URL;
	bool has_relay = relayed && relayed->has_relay;

	cbor_write_map(w, (is_url ? 2 : 3) + (uint64_t)hop->has_key + (uint64_t)has_relay);
	if (!is_url) {
		cbor_field_bytes(w, 0, hop->addr.ip, hop->addr.family == ADDR_IPV4 ? 4 : 16);
		cbor_field_uint(w, 1, hop->addr.port);
	}
	cbor_field_uint(w, 2, hop->transport);
	if (hop->has_key)
		cbor_field_bytes(w, 3, hop->key, sizeof(hop->key));
	if (has_relay) {
		cbor_write_uint(w, 4);
		cbor_write_map(w, 2);
		cbor_write_uint(w, 0);
		hop_write(w, &relayed->relay, NULL);
		cbor_field_uint(w, 1, relayed->relay_slot);
	}
	if (is_url)
		cbor_field_text(w, 5, hop->url, strlen(hop->url));
}

void peer_addr_write(struct writer *w, const struct peer_addr *addr)
{
	hop_write(w, &addr->peer, addr);
}

struct peer_addr peer_addr_of(const struct addr *addr)
{
	struct peer_addr of = {.peer = {.addr = *addr, .transport = PEER_ADDR_QUIC}};

	if (addr->transport == ADDR_TCP)
		of.peer.transport = PEER_ADDR_TCP;
	return of;
}

bool peer_addr_is_direct(const struct peer_addr *addr)
{
	return addr->peer.transport != PEER_ADDR_RELAY_URL && !addr->has_relay;
}

bool peer_vias_equal(const struct peer_via *a, unsigned a_cnt, const struct peer_via *b,
		     unsigned b_cnt)
{
	if (a_cnt != b_cnt)
		return false;
	for (unsigned i = 0; i < a_cnt; i++)
		if (memcmp(a[i].key, b[i].key, sizeof(a[i].key)) != 0 ||
		    !addr_equal(&a[i].addr, &b[i].addr))
			return false;
	return true;
}

bool peer_places_equal(const struct peer_places *a, const struct peer_places *b)
{
	if (a->addr_cnt != b->addr_cnt)
		return false;
	for (unsigned i = 0; i < a->addr_cnt; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return peer_vias_equal(a->vias, a->via_cnt, b->vias, b->via_cnt);
}

bool peer_places_hold(const struct peer_places *said, const struct peer_places *now)
{
	if (said->addr_cnt != now->addr_cnt)
		return false;
	for (unsigned i = 0; i < now->addr_cnt; i++)
		if (!addr_equal(&said->addrs[i], &now->addrs[i]))
			return false;
	for (unsigned i = 0; i < said->via_cnt; i++)
		for (unsigned k = 0; k < now->via_cnt; k++)
			if (peer_vias_equal(&said->vias[i], 1, &now->vias[k], 1))
				return true;
	return !said->via_cnt && !now->via_cnt;
}

/* Flows are by key and over QUIC: an address of another kind, or without one, is stepped over. */
static void via_take(struct peer_places *places, const struct peer_addr *addr)
{
	const struct peer_addr_hop *relay = &addr->relay;
	struct peer_via *via;

	if (places->via_cnt == PEER_VIAS_MAX || relay->transport != PEER_ADDR_QUIC ||
	    !relay->has_key)
		return;
	via = &places->vias[places->via_cnt++];
	via->addr = relay->addr;
	memcpy(via->key, relay->key, sizeof(via->key));
}

void peer_places_read(struct cbor_reader *r, struct peer_places *out_places)
{
	struct peer_places places = {0};

	if (cbor_enter_array(r) > PEER_ADDRS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct peer_addr addr = {0};

		peer_addr_read(r, &addr);
		if (cbor_is_bad(r))
			break;
		if (peer_addr_is_direct(&addr))
			places.addrs[places.addr_cnt++] = addr.peer.addr;
		else if (addr.has_relay)
			via_take(&places, &addr);
	}
	*out_places = places;
}

unsigned peer_addrs_read(struct cbor_reader *r, struct addr addrs[static PEER_ADDRS_MAX])
{
	struct peer_places places = {0};

	peer_places_read(r, &places);
	memcpy(addrs, places.addrs, places.addr_cnt * sizeof(addrs[0]));
	return places.addr_cnt;
}

void peer_addrs_write(struct writer *w, const struct addr *addrs, unsigned cnt)
{
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		struct peer_addr addr = peer_addr_of(&addrs[i]);

		peer_addr_write(w, &addr);
	}
}

static void via_write(struct writer *w, const struct peer_via *via)
{
	struct peer_addr addr = peer_addr_of(&via->addr);

	addr.has_relay = true;
	addr.relay = addr.peer;
	addr.relay.has_key = true;
	memcpy(addr.relay.key, via->key, sizeof(via->key));
	peer_addr_write(w, &addr);
}

void peer_places_write(struct writer *w, const struct peer_places *places)
{
	unsigned cnt = places->addr_cnt;

	if (cnt > PEER_ADDRS_MAX - places->via_cnt)
		cnt = PEER_ADDRS_MAX - places->via_cnt;
	cbor_write_array(w, cnt + places->via_cnt);
	for (unsigned i = 0; i < cnt; i++) {
		struct peer_addr addr = peer_addr_of(&places->addrs[i]);

		peer_addr_write(w, &addr);
	}
	for (unsigned i = 0; i < places->via_cnt; i++)
		via_write(w, &places->vias[i]);
}
