/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mesh_lab_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/packet_io.h"

#define PIECE_LEN 8000

void mesh_lab_die(const char *what)
{
	printf("# mesh_lab: %s\n", what);
	exit(1);
}

void *mesh_lab_take(size_t cnt, size_t len)
{
	void *memory = calloc(cnt ? cnt : 1, len ? len : 1);

	if (!memory)
		mesh_lab_die("no memory");
	return memory;
}

static void send_bytes(struct mesh *node, const struct addr *to, const void *data, size_t len)
{
	const struct dgram_route route = {.remote = *to};
	struct dgram_sink *sink = &node->tx->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot)) {
		packet_tx_flush(node->tx);
		if (!sink->ops->reserve(sink, len, &slot))
			mesh_lab_die("no room to send");
	}
	memcpy(slot.data, data, len);
	sink->ops->commit(sink, &slot, len, &route);
}

static struct writer head_begin(const struct mesh *node, enum kind kind, uint32_t id, uint8_t *buf,
				size_t cap)
{
	struct writer w = writer_of(buf, cap);

	writer_u8(&w, (uint8_t)kind);
	writer_bytes(&w, node->key, sizeof(node->key));
	writer_be32(&w, id);
	return w;
}

void mesh_lab_send_short(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id)
{
	uint8_t buf[64];
	struct writer w = head_begin(node, kind, id, buf, sizeof(buf));

	writer_be32(&w, node->caps);
	send_bytes(node, to, buf, writer_len(&w));
}

void mesh_lab_send_long(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id,
			unsigned type, const uint8_t *payload, size_t len)
{
	unsigned cnt = (unsigned)(len / PIECE_LEN) + 1;

	for (unsigned i = 0; i < cnt; i++) {
		uint8_t buf[PIECE_LEN + 64];
		struct writer w = head_begin(node, kind, id, buf, sizeof(buf));
		size_t off = (size_t)i * PIECE_LEN;

		writer_be16(&w, (uint16_t)type);
		writer_be16(&w, (uint16_t)i);
		writer_be16(&w, (uint16_t)cnt);
		writer_bytes(&w, payload + off, len - off < PIECE_LEN ? len - off : PIECE_LEN);
		send_bytes(node, to, buf, writer_len(&w));
	}
}

/* True: whole. */
bool mesh_lab_assemble(struct assembly *a, struct cursor *c)
{
	unsigned idx = cursor_be16(c), cnt = cursor_be16(c);
	size_t len = cursor_left(c);

	if (!a->bytes)
		a->bytes = mesh_lab_take(cnt, PIECE_LEN);
	a->piece_cnt = cnt;
	memcpy(a->bytes + (size_t)idx * PIECE_LEN, c->pos, len);
	if (idx == cnt - 1)
		a->len = (size_t)idx * PIECE_LEN + len;
	return ++a->got_cnt == cnt;
}
