/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a WebSocket's message to a frame and back. Any thread. */
#include "relay/web/web_frame.h"

const char *relay_web_protocol(enum relay_web_version version)
{
	static const char *const names[RELAY_WEB_VERSION_CNT] = {
		[RELAY_WEB_IROH_V1] = "iroh-relay-v1",
		[RELAY_WEB_IROH_V2] = "iroh-relay-v2",
		[RELAY_WEB_MESH_V1] = "mesh-relay-v1",
	};

	return names[version];
}

/* RFC 9000, 16; only the shortest way to write a number is one. */
static uint64_t varint_read(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	unsigned more = (1u << (first >> 6)) - 1;
	uint64_t value = first & 0x3f;

	for (unsigned i = 0; i < more; i++)
		value = value << 8 | cursor_u8(c);
	if (more && value >> (more == 1 ? 6 : more == 3 ? 14 : 30) == 0)
		c->bad = true;
	return value;
}

static void data_rest(struct cursor *c, struct relay_web_frame *frame)
{
	frame->len = cursor_left(c);
	frame->data = cursor_bytes(c, frame->len);
}

static void data_exact(struct cursor *c, struct relay_web_frame *frame, size_t len)
{
	frame->len = len;
	frame->data = cursor_bytes(c, len);
}

/* Lengths are varints of LEB128; these two fit one byte. */
static void data_counted(struct cursor *c, struct relay_web_frame *frame)
{
	uint8_t len = cursor_u8(c);

	if (len > RELAY_WEB_TEXT_MAX)
		c->bad = true;
	data_exact(c, frame, len);
}

static void packet_read(struct cursor *c, struct relay_web_frame *frame)
{
	frame->key = cursor_bytes(c, RELAY_WEB_KEY_LEN);
	frame->ecn = cursor_u8(c);
	if (frame->type == RELAY_WEB_SEND_BATCH || frame->type == RELAY_WEB_RECV_BATCH) {
		frame->segment_len = cursor_be16(c);
		if (!frame->segment_len)
			c->bad = true;
	}
	data_rest(c, frame);
}

/* A client has to read what says why it is refused, so a version knows its own frames alone. */
static bool version_has(enum relay_web_version version, uint64_t type)
{
	if (type == RELAY_WEB_HEALTH)
		return version == RELAY_WEB_IROH_V1;
	if (type == RELAY_WEB_STATUS)
		return version != RELAY_WEB_IROH_V1;
	return type < RELAY_WEB_STATUS;
}

static void body_read(struct cursor *c, struct relay_web_frame *frame)
{
	switch (frame->type) {
	case RELAY_WEB_CHALLENGE:
		data_exact(c, frame, RELAY_WEB_CHALLENGE_LEN);
		break;
	case RELAY_WEB_AUTH:
		frame->key = cursor_bytes(c, RELAY_WEB_KEY_LEN);
		data_counted(c, frame);
		if (frame->len != RELAY_WEB_SIGNATURE_LEN)
			c->bad = true;
		break;
	case RELAY_WEB_CONFIRMED:
		break;
	case RELAY_WEB_DENIED:
		data_counted(c, frame);
		break;
	case RELAY_WEB_SEND:
	case RELAY_WEB_SEND_BATCH:
	case RELAY_WEB_RECV:
	case RELAY_WEB_RECV_BATCH:
		packet_read(c, frame);
		break;
	case RELAY_WEB_GONE:
		frame->key = cursor_bytes(c, RELAY_WEB_KEY_LEN);
		break;
	case RELAY_WEB_PING:
	case RELAY_WEB_PONG:
		data_exact(c, frame, RELAY_WEB_PING_LEN);
		break;
	case RELAY_WEB_HEALTH:
		data_rest(c, frame);
		break;
	case RELAY_WEB_RESTARTING:
		frame->reconnect_ms = cursor_be32(c);
		frame->try_ms = cursor_be32(c);
		break;
	case RELAY_WEB_STATUS:
		frame->status = cursor_u8(c);
		if (frame->status >= RELAY_WEB_STATUS_CNT)
			c->bad = true;
		break;
	}
}

int relay_web_frame_parse(struct cursor *c, enum relay_web_version version,
			  struct relay_web_frame *out_frame)
{
	struct relay_web_frame frame = {0};
	uint64_t type = varint_read(c);

	if (c->bad || !version_has(version, type))
		return WEFT_EMALFORMED;
	frame.type = (enum relay_web_type)type;
	body_read(c, &frame);
	if (c->bad || cursor_left(c))
		return WEFT_EMALFORMED;
	if (frame.len > RELAY_WEB_PACKET_MAX)
		return WEFT_ETOOLARGE;
	*out_frame = frame;
	return 0;
}

void relay_web_frame_write(struct writer *w, const struct relay_web_frame *frame)
{
	writer_u8(w, (uint8_t)frame->type);
	if (frame->key)
		writer_bytes(w, frame->key, RELAY_WEB_KEY_LEN);
	switch (frame->type) {
	case RELAY_WEB_AUTH:
	case RELAY_WEB_DENIED:
		writer_u8(w, (uint8_t)frame->len);
		break;
	case RELAY_WEB_SEND:
	case RELAY_WEB_RECV:
		writer_u8(w, frame->ecn);
		break;
	case RELAY_WEB_SEND_BATCH:
	case RELAY_WEB_RECV_BATCH:
		writer_u8(w, frame->ecn);
		writer_be16(w, frame->segment_len);
		break;
	case RELAY_WEB_RESTARTING:
		writer_be32(w, frame->reconnect_ms);
		writer_be32(w, frame->try_ms);
		break;
	case RELAY_WEB_STATUS:
		writer_u8(w, frame->status);
		break;
	default:
		break;
	}
	writer_bytes(w, frame->data, frame->len);
}
