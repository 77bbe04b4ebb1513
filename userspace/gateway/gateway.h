/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GATEWAY_H
#define WEFT_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct poller;
struct timer_wheel;

/*
 * HTTP/1.1 (RFC 9110, 9112) for programs that speak nothing else. What is
 * served are the routes that node/ hands over; here are sockets, the
 * parser, limits and time-outs. Home worker only; a slow client is pushed
 * back, then dropped, never waited for.
 *
 *     in   server.c accepts and reads -> conn.c parses (llhttp) -> the route's handler
 *     out  gateway_reply -> conn.c writes head and body -> server.c sends
 *
 * Left out: TLS (a proxy's), HTTP/2, upgrades, answers longer than
 * GATEWAY_REPLY_LEN_MAX.
 */
struct gateway;
struct gateway_exchange; /* one request that waits for its reply */

enum gateway_method {
	GATEWAY_GET = 1 << 0,
	GATEWAY_HEAD = 1 << 1, /* allowed wherever GET is; the body is left away here */
	GATEWAY_PUT = 1 << 2,
	GATEWAY_OPTIONS = 1 << 3, /* answered here, from the route's row */
	GATEWAY_POST = 1 << 4,
	GATEWAY_DELETE = 1 << 5,
};

/* A request as its handler sees it; all borrowed for the call. */
struct gateway_request {
	enum gateway_method method; /* never HEAD nor OPTIONS */
	const char *path;	    /* begins with '/'; not decoded */
	const char *query;	    /* behind the '?', else "" */
	const uint8_t *body;
	size_t body_len; /* at most the route's body_len_max */
	struct addr remote;
	const struct gateway_conn *conn; /* for gateway_header */
};

/* gateway_header: a header field's value, the first of that name in any case, or NULL. */
const char *gateway_header(const struct gateway_request *request, const char *name);

/*
 * Who answers what. The first row whose path is the request's answers; a
 * path that ends in '/' stands for everything below it. A method that is
 * not in methods is answered by 405. The handler replies in the call or later, once.
 */
struct gateway_route {
	const char *path;
	unsigned methods; /* enum gateway_method, or-ed */
	size_t body_len_max;
	bool is_public; /* scripts of any web page may call it (CORS) */
	void (*handle)(void *ctx, struct gateway_exchange *exchange,
		       const struct gateway_request *request, uint64_t now_ns);
	void *ctx;
};

/*
 * gateway_reply ends the exchange. headers are whole lines, each with its
 * CRLF, or NULL. What is longer than GATEWAY_REPLY_LEN_MAX with its head is answered by 500.
 *
 * gateway_on_gone: gone is called if the client leaves before the reply;
 * nobody may reply then.
 */
#define GATEWAY_REPLY_LEN_MAX 16384

struct gateway_reply {
	unsigned status;  /* 200 to 599 */
	const char *type; /* of the body; NULL: it has none */
	const char *headers;
	const void *body;
	size_t body_len;
};
void gateway_reply(struct gateway_exchange *exchange, const struct gateway_reply *reply,
		   uint64_t now_ns);
/* gateway_reply_text replies with one line of plain text for people. */
void gateway_reply_text(struct gateway_exchange *exchange, unsigned status, const char *text,
			uint64_t now_ns);
void gateway_on_gone(struct gateway_exchange *exchange, void (*gone)(void *arg), void *arg);

struct gateway_config {
	bool is_on;
	struct addr listen;
	unsigned conn_cap;	     /* connections in all */
	unsigned conn_addr_max;	     /* of one client address (IPv6: /64) */
	unsigned request_rate_per_s; /* of one client address, over all its connections */
	unsigned request_burst;
};
void gateway_config_defaults(struct gateway_config *config);
/* gateway_footprint: bytes laid out in gateway_open; body_len_max is the greatest of all routes. */
size_t gateway_footprint(const struct gateway_config *config, size_t body_len_max);

struct gateway_params {
	struct gateway_config config;
	const struct gateway_route *routes; /* ends with path NULL; borrowed for life */
	uint64_t (*wall_s)(void);	    /* for the Date field */
	struct poller *poller;
	struct timer_wheel *timers;
	uint64_t now_ns;
};
/* gateway_open binds and listens. 0, WEFT_EBUSY (the port is taken), WEFT_EFULL, -errno. */
WEFT_MUST_CHECK
int gateway_open(const struct gateway_params *params, struct gateway **out_gateway);
/* gateway_close drops clients; gone is called for exchanges that wait. NULL is nothing. */
void gateway_close(struct gateway *gateway);
/* gateway_addr: where it listens, with the port that the system chose for port 0. */
struct addr gateway_addr(const struct gateway *gateway);

struct gateway_stats {
	uint32_t conn_cnt, conn_peak_cnt, conn_cap;
	uint64_t request_cnt;
	uint64_t malformed_cnt; /* requests that were none: 400, 431, 505, ... */
	uint64_t limited_cnt;	/* answered by 429 */
	uint64_t refused_cnt;	/* connections above conn_cap or conn_addr_max */
	uint64_t slow_cnt;	/* connections closed for want of progress */
};
void gateway_stats(const struct gateway *gateway, struct gateway_stats *out_stats);

#endif
