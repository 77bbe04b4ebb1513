/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_HTTP_CONN_STATE_H
#define WEFT_GATEWAY_HTTP_CONN_STATE_H

#include <llhttp.h>

#include "codec/text/utf8.h"
#include "gateway/gateway.h"
#include "gateway/guard.h"
#include "gateway/output.h"
#include "http/websocket.h"

struct heap;

/*
 * Private to gateway/: one HTTP connection without I/O. Bytes and the time
 * go in; requests go to their routes one at a time, in the order they
 * came; bytes to send come out. While a request waits for its reply or a
 * reply to be sent, nothing more is parsed and soon nothing more is wanted.
 *
 *	room = gateway_conn_reserve() ... gateway_conn_commit() ... gateway_conn_output() ... gateway_conn_sent()
 *
 * gateway_conn_turn does what became possible since. After each call ask
 * gateway_conn_is_over and gateway_conn_deadline_ns.
 */
#define CONN_IN_CAP	 16000 /* a piece of it is one that a service's stream copies */
#define CONN_HEAD_CAP	 8192  /* target and header fields, each with its NUL */
#define CONN_TARGET_MAX	 2048
#define CONN_HEADERS_MAX 64
/*
 * The cost of framing beyond head and body, at most: chunk sizes and
 * extensions, trailers, names we skip.
 */
#define CONN_FRAMING_MAX 8192
/* Its part of chunk extensions and trailers, which no route reads. */
#define CONN_UNREAD_MAX 2048

#define CONN_IDLE_NS	 (60ull * 1000000000) /* between requests */
#define CONN_HEAD_NS	 (3ull * 1000000000) /* from a request's first byte to the end of its head */
#define CONN_REQUEST_NS	 (10ull * 1000000000) /* from a request's first byte to its handler */
#define CONN_PROGRESS_NS (30ull * 1000000000) /* in which CONN_PROGRESS_LEN bytes have to move */
#define CONN_DRAIN_NS	 (2ull * 1000000000)  /* after the last reply, so that it is read */
#define CONN_PING_NS	 (30ull * 1000000000) /* of silence of a WebSocket, before it is asked */
#define CONN_CLOSE_NS	 (5ull * 1000000000)  /* for the other side's close */

#define CONN_PROGRESS_LEN 4096
/* While more waits to be sent, nothing more is asked: pings, pipelined requests. */
#define CONN_BACKLOG_MAX OUTPUT_BLOCK_LEN

/* Shared by all connections of a gateway. */
struct conn_shared {
	const struct gateway_route *routes;
	const struct guard *guard;
	struct pass_book *passes;	 /* NULL: there are none */
	struct page_tokens *page_tokens; /* likewise */
	struct heap *heap;
	uint64_t (*wall_s)(void);
	/* True: the client may ask now. */
	bool (*admits)(struct conn_shared *shared, const struct gateway_conn *conn,
		       uint64_t now_ns);
	/* Memory is used up: true when a connection that reads more slowly than conn gave some back. */
	bool (*make_room)(struct conn_shared *shared, const struct gateway_conn *conn);
	/* The place of a WebSocket: false: there is none for this client; NULL: they are counted alone. */
	bool (*socket_enters)(struct conn_shared *shared, struct gateway_conn *conn);
	void (*socket_leaves)(struct conn_shared *shared, struct gateway_conn *conn);
	/* Something was done outside the connection's own calls: it needs a turn. */
	void (*woken)(struct conn_shared *shared, struct gateway_conn *conn);
	struct gateway_stats stats;
};

enum conn_state {
	CONN_READING,  /* between requests, or in one */
	CONN_WAITING,  /* a handler has the exchange */
	CONN_SOCKET,   /* upgraded */
	CONN_TUNNEL,   /* upgraded by the service; the gateway does not know what it carries */
	CONN_CLOSING,  /* the WebSocket's close was sent; the client's is waited for */
	CONN_DRAINING, /* the last reply is out or on its way; input is thrown away */
	CONN_OVER,
};

enum reply_state {
	REPLY_OWED,
	REPLY_COUNTED, /* Content-Length was said */
	REPLY_CHUNKED,
	REPLY_TO_THE_END, /* of the connection: HTTP/1.0 */
	REPLY_DONE,
};

struct gateway_exchange {
	struct gateway_conn *conn;
	const struct gateway_events *events; /* NULL: no listener */
	void *arg;
};

struct conn_header {
	uint16_t name_off, value_off; /* into head */
};

/* A WebSocket's place in the frames that come. */
struct conn_socket {
	struct websocket_head frame; /* its payload is coming */
	uint64_t left;		     /* of it */
	uint64_t message_len;	     /* so far, with the frame's */
	bool is_in_frame;
	bool is_in_message;
	bool is_text;
	bool is_sending_message; /* a piece that did not end one went out */
	bool is_pinged;
	struct utf8_stream utf8;
	uint64_t heard_ns;
	uint8_t control[WEBSOCKET_CONTROL_LEN_MAX]; /* a control frame's payload */
	size_t control_len;
};

struct gateway_conn {
	struct conn_shared *shared;
	struct addr remote;
	enum conn_state state;
	llhttp_t parser;
	struct gateway_exchange exchange;
	const struct gateway_route *route; /* of the request, once its head is there */
	enum gateway_method method;
	const struct gateway_error *refusal; /* what the parser's callbacks decided on */
	enum reply_state reply;
	uint64_t reply_left; /* of a counted one */
	bool is_begun;	     /* a byte of the request came */
	bool is_head_done;   /* so trailers are not taken for headers */
	bool is_body_due;    /* of a streamed request */
	bool is_message_end; /* why the parser paused */
	bool is_paused;	     /* the parser, elsewhere: it goes on without more bytes */
	bool is_held;	     /* held was refused by the handler */
	bool is_parsing;     /* replies from within a handler do not parse on */
	bool is_eof;	     /* the client sends nothing more */
	uint64_t client_id;  /* as gateway_client; 0: none is known */
	bool is_finished;    /* of a tunnel, and its handler knows */
	bool is_counted;     /* among the WebSockets */
	bool keeps_alive;
	bool wants_continue;
	uint64_t now_ns;      /* of the call under way */
	uint64_t began_ns;    /* of the request */
	uint64_t progress_ns; /* when the state changed, or enough bytes moved */
	size_t moved_len;     /* since */
	size_t raw_len;	      /* of the request so far, with its framing */
	size_t unread_len;    /* of it, chunk extensions and trailers */
	char *target;	      /* in head, set when the head is there */
	const char *query;
	const char *authority; /* of the target, else the field Host; NULL: neither */
	char site[GATEWAY_SITE_CAP];
	enum gateway_proof proof;
	unsigned allowed; /* methods; 0: those of the route */
	char head[CONN_HEAD_CAP];
	size_t head_len;
	struct conn_header headers[CONN_HEADERS_MAX];
	unsigned header_cnt;
	uint8_t *body; /* of the heap, body_cap bytes; NULL: none */
	size_t body_cap;
	size_t body_len;	   /* so far */
	size_t body_len_max;	   /* of the request, once its route is known */
	struct gateway_piece held; /* in `in`, NULL: none */
	struct conn_socket socket;
	size_t in_begin, in_end;
	char in[CONN_IN_CAP];
	struct output output;
};

/* gateway_conn_init: the conn is zeroed before. */
void gateway_conn_init(struct gateway_conn *conn, struct conn_shared *shared,
		       const struct addr *remote, uint64_t now_ns);
/* gateway_conn_fini tells an exchange that the client is gone. */
void gateway_conn_fini(struct gateway_conn *conn);

/* gateway_conn_reserve: where the next bytes go, and how many are wanted; 0: none for now. */
size_t gateway_conn_reserve(struct gateway_conn *conn, char **out_room);
void gateway_conn_commit(struct gateway_conn *conn, size_t len, uint64_t now_ns);
/* gateway_conn_eof: the client sends nothing more; what it asked is still answered, unless it is streamed. */
void gateway_conn_eof(struct gateway_conn *conn);
size_t gateway_conn_output(const struct gateway_conn *conn, const char **out_data);
void gateway_conn_sent(struct gateway_conn *conn, size_t len, uint64_t now_ns);
void gateway_conn_turn(struct gateway_conn *conn, uint64_t now_ns);

/* gateway_conn_is_idle: between two requests, nothing lost when it closes. */
bool gateway_conn_is_idle(const struct gateway_conn *conn);
bool gateway_conn_is_over(const struct gateway_conn *conn);
/* gateway_conn_deadline_ns: when gateway_conn_expire is due; UINT64_MAX: never. */
uint64_t gateway_conn_deadline_ns(const struct gateway_conn *conn);
/* gateway_conn_expire answers by 408 what did not come in time, and ends what does not move. */
void gateway_conn_expire(struct gateway_conn *conn, uint64_t now_ns);

/*
 * The parts of a connection to each other.
 *
 * gateway_conn_over ends it at once. gateway_conn_detach: the handler hears no more.
 * gateway_conn_tell_gone detaches and tells it so. gateway_conn_next: the reply is done;
 * the next request may come. gateway_conn_wake asks for a turn. gateway_conn_write
 * appends to what is to be sent: 0 or WEFT_EFULL. gateway_conn_deliver gives a
 * piece to the handler: false: it is held, and the parser has to pause.
 */
void gateway_conn_over(struct gateway_conn *conn);
/* gateway_conn_evict ends it for want of memory, and gives its own back at once. */
void gateway_conn_evict(struct gateway_conn *conn);
/* gateway_conn_uncount gives back the place among the WebSockets that the request at hand was promised, or had. */
void gateway_conn_uncount(struct gateway_conn *conn);
void gateway_conn_detach(struct gateway_conn *conn);
void gateway_conn_tell_gone(struct gateway_conn *conn);
void gateway_conn_next(struct gateway_conn *conn);
void gateway_conn_wake(struct gateway_conn *conn);
WEFT_MUST_CHECK
int gateway_conn_write(struct gateway_conn *conn, const void *data, size_t len);
bool gateway_conn_deliver(struct gateway_conn *conn, const struct gateway_piece *piece);

/* http_conn_head.c: llhttp's callbacks. */
extern const llhttp_settings_t gateway_conn_parser_settings;
const char *gateway_conn_header(const struct gateway_conn *conn, const char *name,
				unsigned *out_cnt);
bool gateway_conn_header_at(const struct gateway_conn *conn, unsigned idx, const char **out_name,
			    const char **out_value);

/* websocket_server.c: gateway_socket_input takes what lies in `in`; gateway_socket_expire is due after silence. */
void gateway_socket_input(struct gateway_conn *conn);
void gateway_socket_expire(struct gateway_conn *conn);
/* gateway_socket_yield ends a WebSocket, or what is to become one: its place is another client's. */
void gateway_socket_yield(struct gateway_conn *conn);
/* tunnel.c: gateway_tunnel_input hands on what lies in `in`, and then the client's end. */
void gateway_tunnel_input(struct gateway_conn *conn);

#endif
