/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS messages of a peer whose packets are rightly sealed, in both roles of
 * the engine. The input is a script: a byte of options, then changes, each
 * to one message of a handshake as it is said. Keys follow what was said, so
 * that the engine reads what comes after a change that it took.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "support/quic_duel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHANGE_MAX 16

enum change_op {
	SET_BYTE,	/* at a: b */
	SET_TYPE,	/* of the message: b */
	SET_LENGTH,	/* of the message: b, a lie mostly */
	CUT,		/* at a, and its length with it */
	CUT_SHORT,	/* at a, its length stays */
	SET_BODY,	/* the bytes */
	INSERT,		/* the bytes at a, and its length with it */
	APPEND,		/* behind it a message of type b and the bytes */
	REPEAT,		/* b times; 0: not at all */
	SET_LEVEL,	/* b */
	EXTENSION_DROP, /* the a-th, as below */
	EXTENSION_DOUBLE,
	EXTENSION_SWAP,	  /* with the b-th */
	EXTENSION_RETYPE, /* as b */
	EXTENSION_BODY,	  /* the bytes */
	EXTENSION_ADD,	  /* type b, the bytes */
	EXTENSION_LENGTH, /* b, a lie mostly */
	CHANGE_OPS,
};

struct change {
	enum quic_peer_message which;
	enum change_op op;
	size_t a, b;
	const uint8_t *bytes;
	size_t bytes_len;
};

struct script {
	struct quic_peer_config config;
	struct change changes[CHANGE_MAX];
	unsigned change_cnt;
};

static struct script script;
static struct quic_duel duel;

static void number_put(uint8_t *dst, size_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		dst[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

/* Makes the gap_len bytes at off into len, and every length around them right. */
static void said_splice(struct quic_peer_said *said, size_t off, size_t gap_len,
			const uint8_t *bytes, size_t len)
{
	size_t list = quic_peer_extensions(said->data, said->len);

	if (off > said->len || gap_len > said->len - off ||
	    said->len - gap_len > sizeof(said->data) - len)
		return;
	memmove(said->data + off + len, said->data + off + gap_len, said->len - off - gap_len);
	if (len)
		memcpy(said->data + off, bytes, len);
	said->len += len - gap_len;
	if (said->len >= 4)
		number_put(said->data + 1, said->len - 4, 3);
	if (list && off > list && said->len >= list + 2)
		number_put(said->data + list, said->len - list - 2, 2);
}

/* The idx-th extension, counted round. False: the message has none. */
static bool extension_at(const struct quic_peer_said *said, size_t idx, size_t *out_off,
			 size_t *out_len)
{
	size_t list = quic_peer_extensions(said->data, said->len), offs[64], lens[64], cnt = 0, len;

	for (size_t off = list + 2; list && off + 4 <= said->len && cnt < 64; off += len) {
		len = 4 + ((size_t)said->data[off + 2] << 8 | said->data[off + 3]);
		if (len > said->len - off)
			break;
		offs[cnt] = off;
		lens[cnt++] = len;
	}
	if (!cnt)
		return false;
	*out_off = offs[idx % cnt];
	*out_len = lens[idx % cnt];
	return true;
}

static void extension_swap(struct quic_peer_said *said, const struct change *change)
{
	uint8_t first[QUIC_PEER_MESSAGE_MAX], second[QUIC_PEER_MESSAGE_MAX];
	size_t off, len, other_off, other_len;

	if (!extension_at(said, change->a, &off, &len) ||
	    !extension_at(said, change->b, &other_off, &other_len) || off >= other_off)
		return;
	memcpy(first, said->data + off, len);
	memcpy(second, said->data + other_off, other_len);
	said_splice(said, other_off, other_len, first, len);
	said_splice(said, off, len, second, other_len);
}

static void extension_set_body(struct quic_peer_said *said, const struct change *change, size_t off,
			       size_t len)
{
	uint8_t body[4 + 256];

	memcpy(body, said->data + off, 2);
	number_put(body + 2, change->bytes_len, 2);
	memcpy(body + 4, change->bytes, change->bytes_len);
	said_splice(said, off, len, body, 4 + change->bytes_len);
}

static void extension_add(struct quic_peer_said *said, const struct change *change)
{
	uint8_t body[4 + 256];

	if (!quic_peer_extensions(said->data, said->len))
		return;
	number_put(body, change->b, 2);
	number_put(body + 2, change->bytes_len, 2);
	memcpy(body + 4, change->bytes, change->bytes_len);
	said_splice(said, said->len, 0, body, 4 + change->bytes_len);
}

static void extension_change(struct quic_peer_said *said, const struct change *change)
{
	uint8_t copy[QUIC_PEER_MESSAGE_MAX];
	size_t off, len;

	if (change->op == EXTENSION_ADD) {
		extension_add(said, change);
		return;
	}
	if (!extension_at(said, change->a, &off, &len))
		return;
	memcpy(copy, said->data + off, len);
	if (change->op == EXTENSION_DROP)
		said_splice(said, off, len, NULL, 0);
	else if (change->op == EXTENSION_DOUBLE)
		said_splice(said, off + len, 0, copy, len);
	else if (change->op == EXTENSION_SWAP)
		extension_swap(said, change);
	else if (change->op == EXTENSION_RETYPE)
		number_put(said->data + off, change->b, 2);
	else if (change->op == EXTENSION_BODY)
		extension_set_body(said, change, off, len);
	else
		number_put(said->data + off + 2, change->b, 2);
}

static void message_append(struct quic_peer_said *said, const struct change *change)
{
	if (said->len + 4 + change->bytes_len > sizeof(said->data))
		return;
	said->data[said->len] = (uint8_t)change->b;
	number_put(said->data + said->len + 1, change->bytes_len, 3);
	memcpy(said->data + said->len + 4, change->bytes, change->bytes_len);
	said->len += 4 + change->bytes_len;
}

static void message_change(struct quic_peer_said *said, const struct change *change)
{
	size_t at = said->len ? change->a % said->len : 0;

	switch (change->op) {
	case SET_BYTE:
		said->data[at] = (uint8_t)change->b;
		break;
	case SET_TYPE:
		said->data[0] = (uint8_t)change->b;
		break;
	case SET_LENGTH:
		number_put(said->data + 1, change->b, 3);
		break;
	case CUT:
		said_splice(said, at, said->len - at, NULL, 0);
		break;
	case CUT_SHORT:
		said->len = at;
		break;
	case SET_BODY:
		if (said->len >= 4)
			said_splice(said, 4, said->len - 4, change->bytes, change->bytes_len);
		break;
	case INSERT:
		said_splice(said, at, 0, change->bytes, change->bytes_len);
		break;
	case APPEND:
		message_append(said, change);
		break;
	case REPEAT:
		said->cnt = change->b % 4;
		break;
	case SET_LEVEL:
		said->level = (enum quic_peer_level)(change->b % QUIC_PEER_LEVELS);
		break;
	default:
		extension_change(said, change);
	}
}

static void edit(void *arg, struct quic_peer_said *said)
{
	(void)arg;
	for (unsigned i = 0; i < script.change_cnt; i++)
		if (script.changes[i].which == said->which)
			message_change(said, &script.changes[i]);
}

static void script_read(struct cursor *c)
{
	static const size_t piece_lens[] = {0, 1000, 100, 17};
	uint8_t options = cursor_u8(c);

	memset(&script, 0, sizeof(script));
	script.config.is_server = options & 1;
	script.config.asks_retry = options & 2;
	script.config.is_anonymous = options & 2;
	script.config.is_reversed = options & 4;
	script.config.piece_len = piece_lens[options >> 3 & 3];
	script.config.edit = edit;
	while (cursor_left(c) && script.change_cnt < CHANGE_MAX) {
		struct change *change = &script.changes[script.change_cnt];

		change->which = (enum quic_peer_message)(cursor_u8(c) % QUIC_PEER_MESSAGES);
		change->op = (enum change_op)(cursor_u8(c) % CHANGE_OPS);
		change->a = cursor_be16(c);
		change->b = cursor_be16(c);
		change->bytes_len = cursor_u8(c);
		if (change->bytes_len > cursor_left(c))
			change->bytes_len = cursor_left(c);
		change->bytes = cursor_bytes(c, change->bytes_len);
		if (c->bad)
			return;
		script.change_cnt++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t ping[4] = {1};
	struct cursor c = cursor_of(data, len);

	script_read(&c);
	quic_duel_begin(&duel, &script.config);
	quic_duel_run(&duel);
	/* Whatever it thinks of the handshake, it hears a packet and a timer after it. */
	quic_peer_send(&duel.peer, QUIC_PEER_APP, ping, sizeof(ping), 0);
	quic_duel_wait(&duel, NS_PER_S);
	quic_duel_end(&duel);
	return 0;
}
