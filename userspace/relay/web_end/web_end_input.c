/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a relay says: the answer of HTTP, then frames of WebSocket (RFC 6455), whose heads may be cut
 * anywhere. Their messages are frames of the relay. A server masks nothing, and nothing but binary
 * messages is understood. Home.
 */
#include "relay/web_end/web_end_state.h"

#include <string.h>

#include "base/monotonic.h"

/* A relay that asks for a longer pause, or longer trials, gets this. */
#define RESTART_NS_MAX (60 * NS_PER_S)

/* --- frames of the relay --- */

/* Letters that print, and no others: the text is shown on a terminal. */
static void said_keep(struct web_end_relay *relay, const uint8_t *text, size_t len)
{
	if (len >= sizeof(relay->said))
		len = sizeof(relay->said) - 1;
	for (size_t i = 0; i < len; i++)
		relay->said[i] = text[i] >= ' ' && text[i] <= '~' ? (char)text[i] : '?';
	relay->said[len] = '\0';
}

/*
 * A relay may pass on another relay's challenge, to be this node there. mesh-relay-v1 names the relay
 * in the answer. The iroh versions do not, so there the configuration decides.
 */
static void challenge_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	struct relay_web_end *end = relay->end;
	bool is_mesh = relay->version == RELAY_WEB_MESH_V1;

	if (!is_mesh && !end->params.config.answers_challenges) {
		end->stats.unanswered_cnt++;
		relay->pause_ns = RELAY_WEB_END_REFUSED_NS;
		relay_web_end_cut(relay,
				  "it does not take the proof by TLS, and a challenge is not "
				  "answered; relay.websocket_challenge");
		return;
	}
	end->stats.challenged_cnt++;
	memcpy(relay->challenge, frame->data, sizeof(relay->challenge));
	relay->is_auth_due = relay->has_answered = true;
}

static void denied_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	relay->end->stats.refused_cnt++;
	said_keep(relay, frame->data, frame->len);
	relay->pause_ns = RELAY_WEB_END_REFUSED_NS;
	relay_web_end_cut(relay, "it refused this node's key");
}

static void proving_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	if (frame->type == RELAY_WEB_CHALLENGE && !relay->has_answered)
		challenge_heard(relay, frame);
	else if (frame->type == RELAY_WEB_CONFIRMED)
		relay_web_end_enter(relay, RELAY_WEB_END_OPEN);
	else if (frame->type == RELAY_WEB_DENIED)
		denied_heard(relay, frame);
	else
		relay_web_end_break(relay);
}

static void dgram_heard(struct web_end_relay *relay, const struct relay_web_frame *frame,
			size_t off, size_t len)
{
	struct relay_web_end *end = relay->end;
	struct relay_web_end_dgram dgram = {
		.peer = frame->key,
		.data = relay->message + (frame->data - relay->message) + off,
		.len = len,
		.ecn = frame->ecn & 3,
	};

	if (!len || len > RELAY_WEB_DGRAM_MAX) {
		end->stats.too_large_cnt += len > 0;
		return;
	}
	end->stats.received_cnt++;
	end->params.input(end->params.ctx, relay->place.key, &dgram, end->now_ns);
}

static void packets_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	size_t step = frame->type == RELAY_WEB_RECV_BATCH ? frame->segment_len : frame->len;

	for (size_t off = 0; off < frame->len; off += step)
		dgram_heard(relay, frame, off, frame->len - off < step ? frame->len - off : step);
}

static uint64_t bounded_ns(uint32_t ms)
{
	uint64_t ns = ms * NS_PER_MS;

	return ns < RESTART_NS_MAX ? ns : RESTART_NS_MAX;
}

static void restarting_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	struct relay_web_end *end = relay->end;

	end->stats.restarted_cnt++;
	relay->pause_ns = bounded_ns(frame->reconnect_ms);
	relay->try_ns = end->now_ns + relay->pause_ns + bounded_ns(frame->try_ms);
	relay->fail_cnt = 0;
	relay_web_end_cut(relay, "it restarts");
}

static void status_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	relay->is_limited = frame->status == RELAY_WEB_LIMITED;
	if (frame->status != RELAY_WEB_SAME_KEY)
		return;
	relay->end->stats.replaced_cnt++;
	relay->pause_ns = RELAY_WEB_END_REFUSED_NS;
	relay_web_end_cut(relay, "a newer connection has this node's key");
}

static void open_heard(struct web_end_relay *relay, const struct relay_web_frame *frame)
{
	struct relay_web_end *end = relay->end;

	switch (frame->type) {
	case RELAY_WEB_RECV:
	case RELAY_WEB_RECV_BATCH:
		packets_heard(relay, frame);
		break;
	case RELAY_WEB_GONE:
		end->stats.absent_cnt++;
		end->params.gone(end->params.ctx, relay->place.key, frame->key, end->now_ns);
		break;
	case RELAY_WEB_PING:
		memcpy(relay->pong, frame->data, sizeof(relay->pong));
		relay->is_pong_due = true;
		break;
	case RELAY_WEB_PONG:
		break;
	case RELAY_WEB_HEALTH:
		said_keep(relay, frame->data, frame->len);
		break;
	case RELAY_WEB_RESTARTING:
		restarting_heard(relay, frame);
		break;
	case RELAY_WEB_STATUS:
		status_heard(relay, frame);
		break;
	default:
		/* A client's frames are not a relay's. */
		relay_web_end_break(relay);
		break;
	}
}

static void message_heard(struct web_end_relay *relay)
{
	struct cursor c = cursor_of(relay->message, relay->got_len);
	struct relay_web_frame frame;
	int err = relay_web_frame_parse(&c, relay->version, &frame);

	if (err == WEFT_ETOOLARGE)
		relay->end->stats.too_large_cnt++;
	else if (err < 0)
		relay_web_end_break(relay);
	else if (relay->state == RELAY_WEB_END_PROVING)
		proving_heard(relay, &frame);
	else
		open_heard(relay, &frame);
}

/* --- frames of WebSocket --- */

static void control_heard(struct web_end_relay *relay)
{
	if (relay->frame.opcode == WEBSOCKET_CLOSE) {
		relay_web_end_cut(relay, relay->said[0] ? NULL : "it ended the connection");
	} else if (relay->frame.opcode == WEBSOCKET_PING) {
		memcpy(relay->ws_pong, relay->control, relay->control_len);
		relay->ws_pong_len = (uint8_t)relay->control_len;
		relay->is_ws_pong_due = true;
	}
}

/* A frame's place among the others; false: it broke the rules, and the connection is gone. */
static bool frame_begin(struct web_end_relay *relay, const struct websocket_head *head)
{
	bool is_data = head->opcode < WEBSOCKET_CLOSE;

	if (is_data && !relay->is_in_message)
		relay->message_len = relay->got_len = 0;
	if (head->is_masked || head->opcode == WEBSOCKET_TEXT ||
	    (is_data && (head->opcode == WEBSOCKET_CONTINUATION) != relay->is_in_message) ||
	    (is_data && head->len > RELAY_WEB_MESSAGE_MAX - relay->message_len)) {
		relay_web_end_break(relay);
		return false;
	}
	relay->frame = *head;
	relay->left = head->len;
	relay->is_in_frame = true;
	relay->control_len = 0;
	if (!is_data)
		return true;
	relay->message_len += head->len;
	relay->is_in_message = !head->is_final;
	return true;
}

/* How many bytes of data were used for a head; 0: the connection is gone. */
static size_t head_heard(struct web_end_relay *relay, const uint8_t *data, size_t len)
{
	struct websocket_head head;
	size_t used = 0;
	int rv = 0;

	while (rv == 0 && used < len) {
		relay->in[relay->in_len++] = data[used++];
		rv = http_websocket_head_parse(relay->in, relay->in_len, &head);
	}
	if (rv == 0)
		return used;
	relay->in_len = 0;
	if (rv < 0) {
		relay_web_end_break(relay);
		return 0;
	}
	return frame_begin(relay, &head) ? used : 0;
}

static void message_piece(struct web_end_relay *relay, const uint8_t *data, size_t len)
{
	bool is_end = relay->frame.is_final && !relay->left, is_whole;

	if (len > RELAY_WEB_FRAME_MAX - relay->got_len)
		relay->is_skipping = true;
	if (!relay->is_skipping && len)
		memcpy(relay->message + relay->got_len, data, len);
	relay->got_len += relay->is_skipping ? 0 : len;
	if (!is_end)
		return;
	is_whole = !relay->is_skipping;
	relay->is_skipping = false;
	if (is_whole)
		message_heard(relay);
	else
		relay->end->stats.too_large_cnt++;
}

static size_t payload_heard(struct web_end_relay *relay, const uint8_t *data, size_t len)
{
	if (len > relay->left)
		len = (size_t)relay->left;
	relay->left -= len;
	relay->is_in_frame = relay->left > 0;
	if (relay->frame.opcode < WEBSOCKET_CLOSE) {
		message_piece(relay, data, len);
		return len;
	}
	if (len)
		memcpy(relay->control + relay->control_len, data, len);
	relay->control_len += len;
	if (!relay->is_in_frame)
		control_heard(relay);
	return len;
}

/* --- HTTP's answer --- */

/* One that was offered. */
static bool version_of(const struct web_end_relay *relay, const char *protocol,
		       enum relay_web_version *out_version)
{
	for (unsigned version = 0; version < RELAY_WEB_VERSION_CNT; version++)
		if (strcmp(protocol, relay_web_protocol((enum relay_web_version)version)) == 0) {
			*out_version = (enum relay_web_version)version;
			return relay_web_end_offers(relay, *out_version);
		}
	return false;
}

static void answer_heard(struct web_end_relay *relay, const struct websocket_answer *answer)
{
	char accept[WEBSOCKET_ACCEPT_CAP];

	if (answer->status != WEBSOCKET_SWITCHED) {
		relay->status = answer->status;
		relay_web_end_cut(relay, "it refused the WebSocket");
		return;
	}
	http_websocket_accept(relay->nonce, accept);
	if (!answer->is_upgraded || strcmp(answer->accept, accept) != 0 ||
	    !version_of(relay, answer->protocol, &relay->version)) {
		relay_web_end_break(relay);
		return;
	}
	relay_web_end_enter(relay, RELAY_WEB_END_PROVING);
}

/* How many bytes of data the answer used. */
static size_t answer_piece(struct web_end_relay *relay, const uint8_t *data, size_t len)
{
	size_t had_len = relay->in_len, room = sizeof(relay->in) - had_len;
	struct websocket_answer answer;
	int rv;

	if (len > room)
		len = room;
	memcpy(relay->in + had_len, data, len);
	relay->in_len += len;
	rv = http_websocket_answer_parse(relay->in, relay->in_len, &answer);
	if (rv == 0 && relay->in_len < sizeof(relay->in))
		return len;
	relay->in_len = 0;
	if (rv <= 0) {
		relay_web_end_break(relay);
		return len;
	}
	answer_heard(relay, &answer);
	return (size_t)rv - had_len;
}

void relay_web_end_hear(struct web_end_relay *relay, uint8_t *data, size_t len)
{
	struct byte_channel *channel = relay->channel;

	/* A frame without a payload ends where its head does. */
	while (relay->channel == channel && (len || (relay->is_in_frame && !relay->left))) {
		size_t used;

		if (relay->state == RELAY_WEB_END_ASKED)
			used = answer_piece(relay, data, len);
		else if (relay->is_in_frame)
			used = payload_heard(relay, data, len);
		else
			used = head_heard(relay, data, len);
		data += used;
		len -= used;
	}
}
