/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_WEB_STATE_H
#define WEFT_RELAY_WEB_WEB_STATE_H

#include "base/fair/fair.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "http/request_head.h"
#include "http/websocket.h"
#include "relay/web/web.h"
#include "relay/web/web_frame.h"

/* Private to relay/web/: a connection, its frames, and what its files call in each other. */

#define RELAY_WEB_BLOCK_LEN  2048
#define RELAY_WEB_ANSWER_CAP 512

struct relay_web_conn;

/* A part of a frame. A datagram of QUIC with its head fits one. */
struct relay_web_block {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* message->blocks */
	struct relay_web_message *message;
	uint32_t len;
	uint8_t data[RELAY_WEB_BLOCK_LEN - sizeof(struct fair_item) - sizeof(struct list_node) -
		     sizeof(void *) - sizeof(uint64_t)];
};
_Static_assert(sizeof(struct relay_web_block) == RELAY_WEB_BLOCK_LEN, "what is counted");

/* A frame, as it arrives from conn and then as it waits for conn. */
struct relay_web_message {
	struct list_node link; /* conn->queue */
	struct list_node blocks;
	struct relay_web_conn *conn;
	uint32_t len;
	uint32_t sent_len;
};

/* Bytes that one address sends. */
struct relay_web_rate {
	struct addr prefix;
	uint32_t conn_cnt;
	uint64_t paid_ns; /* until then all credit is used */
};

enum relay_web_state {
	RELAY_WEB_CONN_HEAD,	/* the request has not come */
	RELAY_WEB_CONN_PROVING, /* a challenge was sent */
	RELAY_WEB_CONN_OPEN,
	RELAY_WEB_CONN_CLOSING, /* the last words are on their way; input is thrown away */
};

struct relay_web_conn {
	struct relay_web *web;
	struct byte_channel *channel;
	enum relay_web_state state;
	enum relay_web_version version;
	struct addr remote;
	enum fair_class class;
	struct fair_item share;	     /* of the connections; first of none */
	struct fair_path path;	     /* of the key, or of what proved none */
	struct relay_web_rate *rate; /* NULL: there is no limit */
	struct timer timer;
	struct list_node ready_link; /* web->ready */
	uint64_t began_ns, heard_ns, pinged_ns, blocked_ns, closing_ns;
	uint8_t key[RELAY_WEB_KEY_LEN];
	uint8_t challenge[RELAY_WEB_CHALLENGE_LEN];

	/* Input: the request, then the head of a frame of WebSocket that is not complete. */
	uint8_t in[RELAY_WEB_HEAD_LEN_MAX];
	size_t in_len;
	struct websocket_head frame; /* its payload is coming */
	uint64_t left;		     /* of it */
	uint64_t message_len;	     /* so far, with the frame's */
	uint8_t control[WEBSOCKET_CONTROL_LEN_MAX];
	size_t control_len;
	struct relay_web_message *incoming; /* NULL: none, or is_skipping */

	/* Output, in this order. */
	struct list_node queue;
	uint32_t queue_cnt;
	uint8_t answer[RELAY_WEB_ANSWER_CAP]; /* of HTTP */
	size_t answer_len;
	uint8_t pong[RELAY_WEB_PING_LEN];
	uint8_t ws_pong[WEBSOCKET_CONTROL_LEN_MAX];
	uint8_t ws_pong_len;
	uint8_t gone_key[RELAY_WEB_KEY_LEN];
	uint8_t status;
	uint32_t reconnect_ms;
	uint16_t close_code;
	const char *denied; /* NULL: it is not */

	bool is_ready, is_blocked, is_limited, is_cut;
	bool is_in_frame, is_in_message, is_skipping;
	bool is_upgraded; /* it speaks frames of WebSocket */
	bool is_challenge_due, is_confirm_due, is_pong_due, is_ws_pong_due, is_ping_due;
	bool is_gone_due, is_status_due, is_restart_due, is_close_due;
	bool is_shut; /* the channel knows that nothing follows */
};

struct relay_web {
	struct relay_web_params params;
	struct arena arena;
	struct pool conns, blocks, messages, rates;
	struct map conn_by_key, rate_by_prefix;
	struct fair_places places; /* of connections */
	struct fair_places memory; /* of blocks */
	struct timer_wheel wheel;
	struct list_node ready;
	struct relay_web_stats stats;
	uint64_t now_ns;
	uint8_t plain[BYTE_CHANNEL_WRITE_MAX];
};

/*
 * web_conn.c. release ends conn at once. rearm: a deadline came nearer. set_path: its class or key
 * changed.
 */
void relay_web_conn_release(struct relay_web_conn *conn);
void relay_web_conn_rearm(struct relay_web_conn *conn);
void relay_web_conn_set_path(struct relay_web_conn *conn);
void relay_web_conn_expire(struct timer *timer, uint64_t now_ns);
/* relay_web_rate_enter: NULL: there is no room. charge: conn sent len bytes. leave takes NULL. */
struct relay_web_rate *relay_web_rate_enter(struct relay_web *web, const struct addr *remote);
void relay_web_rate_charge(struct relay_web_conn *conn, size_t len);
void relay_web_rate_leave(struct relay_web *web, struct relay_web_rate *rate);
void relay_web_conn_want_write(struct relay_web_conn *conn);
/*
 * relay_web_conn_prove: conn has key from now on; the client that had it is replaced. A banned key
 * is denied, and replaces none.
 */
void relay_web_conn_prove(struct relay_web_conn *conn, const uint8_t key[static RELAY_WEB_KEY_LEN]);
/* relay_web_conn_close: what is due goes, then a close of WebSocket with code, and the end. */
void relay_web_conn_close(struct relay_web_conn *conn, uint16_t code);
void relay_web_conn_break(struct relay_web_conn *conn, uint16_t code);
void relay_web_conn_deny(struct relay_web_conn *conn, const char *text);
/* relay_web_conn_is_banned: by its address, or by key, which may be NULL. */
bool relay_web_conn_is_banned(const struct relay_web_conn *conn, const uint8_t *key);
void relay_web_conn_set_status(struct relay_web_conn *conn, enum relay_web_status status);
/* RFC 6455, 7.4.1. */
#define RELAY_WEB_CLOSE_NORMAL	  1000
#define RELAY_WEB_CLOSE_AWAY	  1001
#define RELAY_WEB_CLOSE_PROTOCOL  1002
#define RELAY_WEB_CLOSE_BINARY	  1003
#define RELAY_WEB_CLOSE_TOO_LARGE 1009
#define RELAY_WEB_CLOSE_POLICY	  1008
#define RELAY_WEB_CLOSE_LATER	  1013

/* web_upgrade.c: the request is in conn->in. How many bytes of it were used; 0: more are needed. */
size_t relay_web_upgrade(struct relay_web_conn *conn);

/* web_socket.c: frames of WebSocket. */
void relay_web_socket_input(struct relay_web_conn *conn, uint8_t *data, size_t len);

/* web_forward.c: a message of conn has come whole. */
void relay_web_message_arrived(struct relay_web_conn *conn, struct relay_web_message *message);

/*
 * web_message.c: memory of frames. new: NULL: none is left. append: false: conn's account has its
 * part, or message was the one to go. move: conn has it from now on. drop forgets it.
 */
struct relay_web_message *relay_web_message_new(struct relay_web_conn *conn);
WEFT_MUST_CHECK
bool relay_web_message_append(struct relay_web_message *message, const uint8_t *data, size_t len);
void relay_web_message_move(struct relay_web_message *message, struct relay_web_conn *conn);
void relay_web_message_drop(struct relay_web_message *message);
/* first: the bytes that stand together at its beginning, at least RELAY_WEB_SHORT_CAP if it has as many. */
uint8_t *relay_web_message_first(const struct relay_web_message *message, size_t *out_len);
/* take copies up to cap bytes behind those that were taken before; the message stays. */
size_t relay_web_message_take(struct relay_web_message *message, uint8_t *dst, size_t cap);

/* web_output.c: bytes for one write into web->plain. 0: there is nothing to say. */
size_t relay_web_output_fill(struct relay_web_conn *conn);

#endif
