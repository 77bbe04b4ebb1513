/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and nodes as KRPC packs them (BEP-5, BEP-32). */
#include <string.h>

#include "krpc_message.h"

static size_t ip_len(enum addr_family family)
{
	return family == ADDR_IPV4 ? 4 : 16;
}

size_t dht_krpc_peer_len(enum addr_family family)
{
	return ip_len(family) + 2;
}

size_t dht_krpc_node_len(enum addr_family family)
{
	return KAD_ID_LEN + dht_krpc_peer_len(family);
}

static void addr_read(struct cursor *c, enum addr_family family, struct addr *out_addr)
{
	memset(out_addr, 0, sizeof(*out_addr));
	out_addr->family = (uint8_t)family;
	cursor_copy(c, out_addr->ip, ip_len(family));
	out_addr->port = cursor_be16(c);
}

bool dht_krpc_node_read(struct cursor *c, enum addr_family family, struct kad_id *out_id,
			struct addr *out_addr)
{
	cursor_copy(c, out_id->bytes, KAD_ID_LEN);
	addr_read(c, family, out_addr);
	return !c->bad;
}

bool dht_krpc_peer_read(const struct bencode_span *span, struct addr *out_addr)
{
	struct cursor c = cursor_of(span->data, span->len);

	if (span->len != KRPC_PEER_LEN_IPV4 && span->len != KRPC_PEER_LEN_IPV6)
		return false;
	addr_read(&c, span->len == KRPC_PEER_LEN_IPV4 ? ADDR_IPV4 : ADDR_IPV6, out_addr);
	return true;
}

void dht_krpc_peers_begin(const struct krpc_message *message, struct bencode_reader *iter)
{
	bencode_reader_init(iter, message->peers.data, message->peers.len);
	bencode_enter_list(iter);
}

bool dht_krpc_peers_next(struct bencode_reader *iter, struct addr *out_addr)
{
	while (bencode_next(iter)) {
		struct bencode_span span;

		if (bencode_peek(iter) != BENCODE_BYTES) {
			bencode_skip(iter);
			continue;
		}
		span = bencode_read_bytes(iter);
		if (dht_krpc_peer_read(&span, out_addr))
			return true;
	}
	return false;
}

void dht_krpc_peer_write(struct writer *w, const struct addr *addr)
{
	writer_bytes(w, addr->ip, ip_len(addr->family));
	writer_be16(w, addr->port);
}

void dht_krpc_node_write(struct writer *w, const struct kad_id *id, const struct addr *addr)
{
	writer_bytes(w, id->bytes, KAD_ID_LEN);
	dht_krpc_peer_write(w, addr);
}
