/* SPDX-License-Identifier: Apache-2.0 */
#include "support/quic_peer.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/assert.h"

#define DGRAM_MAX     65535
#define PAYLOAD_MAX   1180 /* an Initial of more than 1200 bytes */
#define FRAME_CRYPTO  0x06
#define FRAME_ACK_ECN 0x03
#define CRYPTO_HEAD   9 /* type, offset and length, at most here */
#define KEY_PHASE     0x04
#define OUR_CID	      0x5c

void quic_peer_init(struct quic_peer *peer, const struct quic_peer_config *config)
{
	memset(peer, 0, sizeof(*peer));
	peer->config = *config;
	memset(peer->cid, OUR_CID, sizeof(peer->cid));
	quic_peer_tls_init(peer);
}

void quic_peer_fini(struct quic_peer *peer)
{
	quic_peer_tls_fini(peer);
	for (unsigned i = 0; i < QUIC_PEER_LEVELS; i++) {
		quic_keys_fini(&peer->tx[i]);
		quic_keys_fini(&peer->rx[i]);
	}
}

void quic_peer_start(struct quic_peer *peer)
{
	peer->original_len = peer->remote_len = 8;
	memset(peer->original, 0xd1, 8);
	memset(peer->remote, 0xd1, 8);
	quic_keys_initial(&peer->tx[QUIC_PEER_INITIAL], &peer->rx[QUIC_PEER_INITIAL],
			  peer->original, peer->original_len);
	quic_peer_tls_start(peer);
	quic_peer_flush(peer);
}

void quic_peer_say(struct quic_peer *peer, struct quic_peer_said *said)
{
	struct quic_peer_bytes *out;

	said->cnt = 1;
	if (peer->config.edit)
		peer->config.edit(peer->config.arg, said);
	for (unsigned i = 0; i < said->cnt; i++) {
		out = &peer->out[said->level];
		if (said->len > sizeof(peer->transcript) - peer->transcript_len ||
		    said->len > sizeof(out->data) - out->len) {
			peer->is_over = true;
			return;
		}
		memcpy(peer->transcript + peer->transcript_len, said->data, said->len);
		peer->transcript_len += said->len;
		memcpy(out->data + out->len, said->data, said->len);
		out->len += said->len;
	}
}

void quic_peer_send(struct quic_peer *peer, enum quic_peer_level level, const uint8_t *payload,
		    size_t len, uint8_t first_bits)
{
	static const enum quic_seal_type types[QUIC_PEER_LEVELS] = {
		QUIC_SEAL_INITIAL, QUIC_SEAL_HANDSHAKE, QUIC_SEAL_SHORT};
	static uint8_t dgram[DGRAM_MAX];
	struct quic_packet packet = {.type = types[level],
				     .dcid = peer->remote,
				     .dcid_len = peer->remote_len,
				     .scid = peer->cid,
				     .scid_len = sizeof(peer->cid),
				     .first_bits = level == QUIC_PEER_APP ? first_bits ^ peer->phase
									  : first_bits,
				     .number = peer->next_number[level]++,
				     .payload = payload,
				     .payload_len = len};

	if (!peer->tx[level].seal || len < 4)
		return;
	peer->config.send(peer->config.arg, dgram, quic_seal(&peer->tx[level], &packet, dgram));
}

void quic_peer_update_keys(struct quic_peer *peer)
{
	if (!peer->tx[QUIC_PEER_APP].seal)
		return;
	quic_keys_update(&peer->tx[QUIC_PEER_APP]);
	peer->phase ^= KEY_PHASE;
}

size_t quic_peer_ack(const struct quic_peer *peer, enum quic_peer_level level, uint8_t *dst)
{
	size_t len = 1;

	if (!peer->has_heard[level])
		return 0;
	dst[0] = 0x02;
	len += quic_varint_write(dst + len, peer->heard_number[level]);
	dst[len++] = 0; /* delay */
	dst[len++] = 0; /* further ranges */
	return len + quic_varint_write(dst + len, peer->heard_number[level]);
}

/* A CRYPTO frame of data[begin, end) at the front of what payload has. */
static size_t crypto_write(const struct quic_peer_bytes *out, size_t begin, size_t end,
			   uint8_t *dst)
{
	size_t len = 1;

	dst[0] = FRAME_CRYPTO;
	len += quic_varint_write(dst + len, out->off + begin);
	len += quic_varint_write(dst + len, end - begin);
	memcpy(dst + len, out->data + begin, end - begin);
	return len + end - begin;
}

/* As many frames as fit one packet; returns where the next begins. */
static size_t pieces_write(const struct quic_peer *peer, const struct quic_peer_bytes *out,
			   size_t begin, uint8_t payload[static PAYLOAD_MAX], size_t *len)
{
	size_t piece_max = peer->config.piece_len ? peer->config.piece_len : PAYLOAD_MAX;
	uint8_t frame[PAYLOAD_MAX + CRYPTO_HEAD];
	size_t end, frame_len;

	while (begin < out->len && *len + CRYPTO_HEAD + 1 < PAYLOAD_MAX) {
		end = out->len - begin < piece_max ? out->len : begin + piece_max;
		if (end - begin > PAYLOAD_MAX - CRYPTO_HEAD - *len)
			end = begin + PAYLOAD_MAX - CRYPTO_HEAD - *len;
		frame_len = crypto_write(out, begin, end, frame);
		if (peer->config.is_reversed) {
			memmove(payload + frame_len, payload, *len);
			memcpy(payload, frame, frame_len);
		} else {
			memcpy(payload + *len, frame, frame_len);
		}
		*len += frame_len;
		begin = end;
	}
	return begin;
}

void quic_peer_flush(struct quic_peer *peer)
{
	for (unsigned level = 0; level < QUIC_PEER_LEVELS; level++) {
		struct quic_peer_bytes *out = &peer->out[level];

		for (size_t begin = 0; begin < out->len;) {
			uint8_t payload[PAYLOAD_MAX] = {0};
			size_t len = 0;

			begin = pieces_write(peer, out, begin, payload, &len);
			/* An Initial is padded, and the rest has enough to sample. */
			if (level == QUIC_PEER_INITIAL)
				len = PAYLOAD_MAX;
			quic_peer_send(peer, level, payload, len < 4 ? 4 : len, 0);
		}
		out->off += out->len;
		out->len = 0;
	}
}

/* ngtcp2 cuts a ClientHello into frames and mixes them. */
static void crypto_take(struct quic_peer *peer, enum quic_peer_level level, uint64_t off,
			const uint8_t *data, size_t len)
{
	struct quic_peer_bytes *in = &peer->in[level];
	size_t skipped = off < in->off ? in->off - (size_t)off : 0, at;

	if (skipped >= len)
		return;
	at = (size_t)off + skipped - in->off;
	if (off > UINT32_MAX || at + len - skipped > sizeof(in->data)) {
		peer->is_over = true;
		return;
	}
	memcpy(in->data + at, data + skipped, len - skipped);
	memset(in->has + at, true, len - skipped);
	while (in->len < sizeof(in->data) && in->has[in->len])
		in->len++;
	quic_peer_tls_read(peer, level);
}

static const char *const fields[0x1f] = {
	[0x00] = "",   [0x01] = "",    [0x04] = "vvv",	[0x05] = "vv",	[0x06] = "vs",
	[0x07] = "s",  [0x08] = "v",   [0x0a] = "vs",	[0x0c] = "vv",	[0x0e] = "vvs",
	[0x09] = "v",  [0x0b] = "vs",  [0x0d] = "vv",	[0x0f] = "vvs", [0x10] = "v",
	[0x11] = "vv", [0x12] = "v",   [0x13] = "v",	[0x14] = "v",	[0x15] = "vv",
	[0x16] = "v",  [0x17] = "v",   [0x18] = "vvct", [0x19] = "v",	[0x1a] = "8",
	[0x1b] = "8",  [0x1c] = "vvs", [0x1d] = "vs",	[0x1e] = ""};

const char *quic_peer_fields(uint8_t type)
{
	return type < sizeof(fields) / sizeof(fields[0]) && fields[type] ? fields[type] : "";
}

struct frame {
	uint8_t type;
	uint64_t numbers[3];
	const uint8_t *bytes;
	size_t bytes_len;
};

/* Returns the frame's length; 0: it is none that is read here, or the packet ends in it. */
static size_t frame_read(const uint8_t *data, size_t len, struct frame *frame)
{
	const char *field;
	size_t off = 1, taken, number_cnt = 0;
	uint64_t number;

	frame->type = data[0];
	if (data[0] >= sizeof(fields) / sizeof(fields[0]) || !fields[data[0]])
		return 0;
	for (field = fields[data[0]]; *field; field++) {
		number = *field == '8' ? 8 : 16;
		if (*field == 'c' && off < len) {
			number = data[off++];
		} else if (*field == 'v' || *field == 's') {
			taken = quic_varint_read(data + off, len - off, &number);
			if (!taken)
				return 0;
			off += taken;
		}
		if (*field == 'v') {
			frame->numbers[number_cnt++] = number;
			continue;
		}
		if (number > len - off)
			return 0;
		frame->bytes = data + off;
		frame->bytes_len = (size_t)number;
		off += (size_t)number;
	}
	return off;
}

static size_t ack_skip(const uint8_t *data, size_t len)
{
	uint64_t number = 0, range_cnt = 0;
	size_t off = 1, taken;

	for (uint64_t i = 0; i < 4 + 2 * range_cnt + (data[0] == FRAME_ACK_ECN ? 3 : 0); i++) {
		taken = quic_varint_read(data + off, len - off, &number);
		if (!taken || number > UINT32_MAX)
			return 0;
		off += taken;
		if (i == 2)
			range_cnt = number;
	}
	return off;
}

static void frames_take(struct quic_peer *peer, enum quic_peer_level level, const uint8_t *data,
			size_t len)
{
	struct frame frame = {0};
	size_t taken;

	for (size_t off = 0; off < len; off += taken) {
		if (data[off] == 0x02 || data[off] == FRAME_ACK_ECN) {
			taken = ack_skip(data + off, len - off);
		} else {
			taken = frame_read(data + off, len - off, &frame);
			if (taken && frame.type == FRAME_CRYPTO)
				crypto_take(peer, level, frame.numbers[0], frame.bytes,
					    frame.bytes_len);
			if (taken && (frame.type == 0x1c || frame.type == 0x1d)) {
				peer->is_closed = true;
				peer->close_code = frame.numbers[0];
			}
		}
		if (!taken)
			return;
	}
}

static void packet_take(struct quic_peer *peer, const struct quic_packet *packet,
			enum quic_peer_level level)
{
	if (packet->type != QUIC_SEAL_SHORT) {
		peer->remote_len = packet->scid_len;
		memcpy(peer->remote, packet->scid, packet->scid_len);
	}
	if (!peer->has_heard[level] || packet->number > peer->heard_number[level])
		peer->heard_number[level] = packet->number;
	peer->has_heard[level] = true;
	frames_take(peer, level, packet->payload, packet->payload_len);
}

/* A server takes the ids, and the keys of Initials, from the first datagram. */
static void server_begin(struct quic_peer *peer, const struct quic_packet *packet)
{
	memcpy(peer->original, packet->dcid, packet->dcid_len);
	peer->original_len = packet->dcid_len;
	memcpy(peer->remote, packet->scid, packet->scid_len);
	peer->remote_len = packet->scid_len;
	quic_keys_initial(&peer->rx[QUIC_PEER_INITIAL], &peer->tx[QUIC_PEER_INITIAL], packet->dcid,
			  packet->dcid_len);
}

static enum quic_peer_level level_of(enum quic_seal_type type)
{
	return type == QUIC_SEAL_INITIAL     ? QUIC_PEER_INITIAL
	       : type == QUIC_SEAL_HANDSHAKE ? QUIC_PEER_HANDSHAKE
					     : QUIC_PEER_APP;
}

/* With the keys of now, or of the next generation, which it follows to. */
static bool app_open(struct quic_peer *peer, const uint8_t *dgram, size_t len,
		     struct quic_packet *packet, uint8_t *out)
{
	struct quic_keys *keys = &peer->rx[QUIC_PEER_APP], next = {.iv = {0}};

	if (!keys->open || quic_open(keys, dgram, len, packet, out))
		return keys->open;
	quic_keys_init(&next, keys->secret);
	quic_keys_update(&next);
	EVP_CIPHER_CTX_free(next.mask);
	next.mask = keys->mask;
	if (!quic_open(&next, dgram, len, packet, out)) {
		next.mask = NULL;
		quic_keys_fini(&next);
		return false;
	}
	keys->mask = NULL;
	quic_keys_fini(keys);
	*keys = next;
	return true;
}

static bool packet_open(struct quic_peer *peer, const uint8_t *dgram, size_t len,
			struct quic_packet *packet, uint8_t *out)
{
	if (packet->type == QUIC_SEAL_SHORT)
		return app_open(peer, dgram, len, packet, out);
	return quic_open(&peer->rx[level_of(packet->type)], dgram, len, packet, out);
}

void quic_peer_input(struct quic_peer *peer, const uint8_t *dgram, size_t len)
{
	uint8_t plain[DGRAM_MAX];
	struct quic_packet packet;
	size_t packet_len;

	while (len && !peer->is_over &&
	       quic_next(dgram, len, sizeof(peer->cid), &packet, &packet_len)) {
		if (peer->config.is_server && !peer->original_len &&
		    packet.type == QUIC_SEAL_INITIAL)
			server_begin(peer, &packet);
		if (packet_open(peer, dgram, packet_len, &packet, plain))
			packet_take(peer, &packet, level_of(packet.type));
		dgram += packet_len;
		len -= packet_len;
	}
	quic_peer_flush(peer);
}
