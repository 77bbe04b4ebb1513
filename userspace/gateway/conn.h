/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_CONN_H
#define WEFT_GATEWAY_CONN_H

#include <llhttp.h>

#include "gateway/gateway.h"

/*
 * Private to gateway/: one HTTP connection without I/O. Bytes and the time
 * go in; requests go to their routes one at a time, in the order they
 * came; bytes to send come out. While a request waits for its reply or a
 * reply to be sent, nothing more is parsed and soon nothing more is wanted.
 *
 *	room = conn_reserve() ... conn_commit() ... conn_output() ... conn_sent()
 *
 * After each call ask conn_is_over and conn_deadline_ns.
 */
#define CONN_IN_CAP	 4096
#define CONN_HEAD_CAP	 8192 /* target and header fields, each with its NUL */
#define CONN_TARGET_MAX	 2048
#define CONN_HEADERS_MAX 64
/* What framing may cost beyond head and body: chunk sizes and extensions, trailers, names we skip. */
#define CONN_FRAMING_MAX 8192

#define CONN_IDLE_NS	(60ull * 1000000000) /* between requests */
#define CONN_REQUEST_NS (10ull * 1000000000) /* from a request's first byte to its last */
#define CONN_SEND_NS	(30ull * 1000000000) /* without a byte taken */
#define CONN_DRAIN_NS	(2ull * 1000000000)  /* after the last reply, so that it is read */

/* What all connections of a gateway share. */
struct conn_shared {
	const struct gateway_route *routes;
	uint64_t (*wall_s)(void);
	/* True: the client may ask now. */
	bool (*admits)(struct conn_shared *shared, const struct addr *remote, uint64_t now_ns);
	/* A reply was written outside the connection's own calls: there is something to send. */
	void (*replied)(struct conn_shared *shared, struct gateway_conn *conn);
	size_t body_cap; /* the greatest body_len_max of all routes */
	struct gateway_stats stats;
};

enum conn_state {
	CONN_READING,  /* between requests, or in one */
	CONN_WAITING,  /* a handler owes a reply */
	CONN_DRAINING, /* the last reply is out or on its way; input is thrown away */
	CONN_OVER,
};

struct gateway_exchange {
	struct gateway_conn *conn;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct conn_header {
	uint16_t name_off, value_off; /* into head */
};

struct gateway_conn {
	struct conn_shared *shared;
	struct addr remote;
	enum conn_state state;
	llhttp_t parser;
	struct gateway_exchange exchange;
	const struct gateway_route *route; /* of the request, once its head is there */
	enum gateway_method method;
	unsigned refusal;  /* status that the parser's callbacks decided on; 0: none */
	bool is_begun;	   /* a byte of the request came */
	bool is_head_done; /* so trailers are not taken for headers */
	bool is_parsing;   /* replies from within a handler do not parse on */
	bool is_eof;	   /* the client sends nothing more */
	bool keeps_alive;
	bool wants_continue;
	uint64_t began_ns;    /* of the request */
	uint64_t progress_ns; /* when the state changed, or a byte was taken */
	size_t raw_len;	      /* of the request so far, with its framing */
	char *target;	      /* in head, set when the head is there */
	const char *query;
	char head[CONN_HEAD_CAP];
	size_t head_len;
	struct conn_header headers[CONN_HEADERS_MAX];
	unsigned header_cnt;
	uint8_t *body; /* shared->body_cap bytes */
	size_t body_len;
	size_t in_begin, in_end;
	size_t out_begin, out_end;
	char in[CONN_IN_CAP];
	char out[GATEWAY_REPLY_LEN_MAX];
};

/* conn_init: body has room for shared->body_cap bytes; the conn is zeroed before. */
void conn_init(struct gateway_conn *conn, struct conn_shared *shared, const struct addr *remote,
	       uint8_t *body, uint64_t now_ns);
/* conn_fini tells an exchange that the client is gone. */
void conn_fini(struct gateway_conn *conn);

/* conn_reserve: where the next bytes go, and how many are wanted; 0: none for now. */
size_t conn_reserve(struct gateway_conn *conn, char **out_room);
void conn_commit(struct gateway_conn *conn, size_t len, uint64_t now_ns);
/* conn_eof: the client sends nothing more; what it asked is still answered. */
void conn_eof(struct gateway_conn *conn);
size_t conn_output(const struct gateway_conn *conn, const char **out_data);
void conn_sent(struct gateway_conn *conn, size_t len, uint64_t now_ns);

/* conn_is_idle: between two requests, nothing lost when it closes. */
bool conn_is_idle(const struct gateway_conn *conn);
bool conn_is_over(const struct gateway_conn *conn);
/* conn_deadline_ns: when conn_expire is due; UINT64_MAX: never. */
uint64_t conn_deadline_ns(const struct gateway_conn *conn);
/* conn_expire answers by 408 what did not come in time, and ends what does not move. */
void conn_expire(struct gateway_conn *conn, uint64_t now_ns);

#endif
