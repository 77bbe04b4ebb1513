/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC frames of a peer that holds the keys, in both roles of the engine,
 * after a handshake that ended well. The input is a script of packets: raw
 * payloads, or frames built from a table, so that each is well formed
 * unless it says otherwise.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "support/quic_duel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PACKET_MAX  24
#define PAYLOAD_MAX 1300
#define FRAME_MAX   (16 + 8 * 8 + 256)

/* Options, the first byte of the input. */
#define OPTION_SERVER	   0x01
#define OPTION_UNCONFIRMED 0x02 /* a server keeps HANDSHAKE_DONE back */
#define OPTION_SILENT	   0x04 /* packets of the engine are not acknowledged */

/* How a packet is sent, its first byte. */
#define PACKET_LEVEL_MASK 0x03 /* 0 1-RTT, 1 Handshake, 2 Initial, 3 1-RTT with new keys */
#define PACKET_UPDATES	  0x03
#define PACKET_IS_RAW	  0x04
#define PACKET_WAITS	  0x08 /* a while passes after it */
#define PACKET_MOVES	  0x10 /* from another address */
#define PACKET_HAS_BITS	  0x20 /* a byte follows: bits of the first byte to turn over */
#define PACKET_NUMBERED	  0x40 /* a byte follows: the number goes so far on, or back */

static struct quic_duel duel;

/* A byte below 192 is that number, above it names one at some edge. */
static uint64_t number_read(struct cursor *c)
{
	static const uint64_t edges[] = {255,
					 256,
					 16383,
					 16384,
					 65535,
					 65536,
					 (1 << 20) - 1,
					 1 << 20,
					 1 << 21,
					 (1u << 30) - 1,
					 1u << 30,
					 UINT32_MAX,
					 1ull << 32,
					 (1ull << 60) - 1,
					 1ull << 60,
					 (1ull << 60) + 1,
					 (1ull << 62) - 2,
					 (1ull << 62) - 1};
	const size_t edge_cnt = sizeof(edges) / sizeof(edges[0]);
	uint64_t heard = duel.peer.heard_number[QUIC_PEER_APP];
	uint8_t byte = cursor_u8(c);

	if (byte < 192)
		return byte;
	if ((size_t)byte - 192 < edge_cnt)
		return edges[byte - 192];
	/* About the packets that the engine sent. */
	return heard + byte - 248 > heard + 64 ? 0 : heard + byte - 248;
}

/* A length and that many bytes; from 240 on, a length and fewer. */
static size_t bytes_write(struct cursor *c, uint8_t *dst)
{
	uint8_t len = cursor_u8(c);
	size_t taken;

	if (len < 240) {
		taken = quic_varint_write(dst, len);
		memset(dst + taken, 0x33, len);
		return taken + len;
	}
	taken = quic_varint_write(dst, number_read(c));
	memset(dst + taken, 0x33, 8);
	return taken + 8;
}

static size_t ack_write(struct cursor *c, bool has_ecn, uint8_t *dst)
{
	uint8_t range_cnt;
	size_t len = quic_varint_write(dst, number_read(c));

	len += quic_varint_write(dst + len, number_read(c));
	range_cnt = cursor_u8(c);
	/* Above 8 there are fewer than it says. */
	len += quic_varint_write(dst + len, range_cnt);
	len += quic_varint_write(dst + len, number_read(c));
	for (unsigned i = 0; i < range_cnt && i < 8; i++) {
		len += quic_varint_write(dst + len, number_read(c));
		len += quic_varint_write(dst + len, number_read(c));
	}
	for (unsigned i = 0; has_ecn && i < 3; i++)
		len += quic_varint_write(dst + len, number_read(c));
	return len;
}

/* One frame of at most FRAME_MAX bytes: its type, then its fields. */
static size_t frame_write(struct cursor *c, uint8_t dst[static FRAME_MAX])
{
	uint8_t type = cursor_u8(c) & 0x3f, n;
	size_t len = quic_varint_write(dst, type);

	if (type == 2 || type == 3)
		return len + ack_write(c, type == 3, dst + len);
	for (const char *field = quic_peer_fields(type); *field; field++) {
		switch (*field) {
		case 'v':
			len += quic_varint_write(dst + len, number_read(c));
			break;
		case 's':
			len += bytes_write(c, dst + len);
			break;
		case 'c': /* the lower five bits are the length; the whole byte fills the id */
			n = cursor_u8(c);
			dst[len++] = n & 0x1f;
			memset(dst + len, n, n & 0x1f);
			len += n & 0x1f;
			break;
		default:
			memset(dst + len, cursor_u8(c), *field == '8' ? 8 : 16);
			len += *field == '8' ? 8 : 16;
		}
	}
	return len;
}

static size_t payload_write(struct cursor *c, bool is_raw, uint8_t dst[static PAYLOAD_MAX])
{
	size_t len = 0, cnt;

	if (is_raw) {
		len = cursor_be16(c);
		len = len < cursor_left(c) ? len : cursor_left(c);
		len = len < PAYLOAD_MAX ? len : PAYLOAD_MAX;
		cursor_copy(c, dst, len);
		return len;
	}
	cnt = cursor_u8(c) % 8 + 1u;
	for (size_t i = 0; i < cnt && cursor_left(c) && len + FRAME_MAX <= PAYLOAD_MAX; i++)
		len += frame_write(c, dst + len);
	return len;
}

static void ack_send(void)
{
	uint8_t ack[32] = {0};

	if (quic_peer_ack(&duel.peer, QUIC_PEER_APP, ack))
		quic_peer_send(&duel.peer, QUIC_PEER_APP, ack, sizeof(ack), 0);
}

static void packet_send(struct cursor *c)
{
	static const enum quic_peer_level levels[] = {QUIC_PEER_APP, QUIC_PEER_HANDSHAKE,
						      QUIC_PEER_INITIAL, QUIC_PEER_APP};
	uint8_t how = cursor_u8(c), bits = 0, payload[PAYLOAD_MAX] = {0};
	enum quic_peer_level level = levels[how & PACKET_LEVEL_MASK];
	size_t len;

	if ((how & PACKET_LEVEL_MASK) == PACKET_UPDATES)
		quic_peer_update_keys(&duel.peer);
	if (how & PACKET_HAS_BITS)
		bits = cursor_u8(c) & 0x7f;
	if (how & PACKET_NUMBERED)
		duel.peer.next_number[level] =
			(uint64_t)((int64_t)duel.peer.next_number[level] + (int8_t)cursor_u8(c));
	duel.peer.next_number[level] &= UINT32_MAX;
	if (how & PACKET_MOVES)
		duel.port++;
	len = payload_write(c, how & PACKET_IS_RAW, payload);
	quic_peer_send(&duel.peer, level, payload, len < 4 ? 4 : len, bits);
	quic_duel_run(&duel);
	if (how & PACKET_WAITS)
		quic_duel_wait(&duel, NS_PER_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t done[4] = {0x1e};
	struct cursor c = cursor_of(data, len);
	uint8_t options = cursor_u8(&c);
	struct quic_peer_config config = {.is_server = options & OPTION_SERVER};

	quic_duel_begin(&duel, &config);
	quic_duel_run(&duel);
	if (config.is_server && !(options & OPTION_UNCONFIRMED))
		quic_peer_send(&duel.peer, QUIC_PEER_APP, done, sizeof(done), 0);
	for (unsigned i = 0; i < PACKET_MAX && cursor_left(&c) && !duel.peer.is_closed; i++) {
		if (!(options & OPTION_SILENT))
			ack_send();
		packet_send(&c);
	}
	quic_duel_wait(&duel, NS_PER_S);
	quic_duel_end(&duel);
	return 0;
}
