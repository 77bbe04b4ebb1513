/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GATEWAY_H
#define WEFT_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/figure.h"
#include "weft/err.h"

struct poller;
struct timer_wheel;

/*
 * HTTP/1.1 (RFC 9110, 9112) and WebSocket (RFC 6455) for programs that speak nothing else. It
 * serves the routes that node/ hands over; here are sockets, the parser, access, limits and
 * time-outs. Home worker only; a slow client is pushed back, then dropped, never waited for.
 *
 *     in   gateway_server.c accepts and reads -> http_conn_state.c parses (llhttp, http_conn_head.c) -> guard.c
 *	    -> the route's handler; after an upgrade websocket_server.c takes the frames apart
 *     out  gateway_reply... -> reply.c writes head and body -> output.c -> gateway_server.c sends
 *
 * Left out: TLS (a proxy's), HTTP/2, codings beside chunked, extensions of WebSocket.
 */
struct gateway;
struct gateway_exchange; /* one request that waits for its reply, or a WebSocket */
struct gateway_conn;

enum gateway_method {
	GATEWAY_GET = 1 << 0,
	GATEWAY_HEAD = 1 << 1, /* allowed wherever GET is; the body is left away here */
	GATEWAY_PUT = 1 << 2,
	GATEWAY_OPTIONS = 1 << 3, /* answered here, from the route's row */
	GATEWAY_POST = 1 << 4,
	GATEWAY_DELETE = 1 << 5,
	GATEWAY_PATCH = 1 << 6,
};

/* The evidence in a request of its right to act as this node. */
enum gateway_proof {
	GATEWAY_PROOF_NONE,
	GATEWAY_PROOF_BEARER, /* a bearer that is not this gateway's token: the service's, or wrong */
	GATEWAY_PROOF_WRONG,  /* X-Weft-Token is not the token; no handler sees one */
	GATEWAY_PROOF_COOKIE, /* of gateway_pass_issue, at the origin that it was issued for */
	GATEWAY_PROOF_TOKEN,
};
#define GATEWAY_SITE_CAP 128

#define GATEWAY_LEN_UNKNOWN UINT64_MAX

/* A request as its handler sees it; all borrowed for the call. */
struct gateway_request {
	enum gateway_method method; /* never HEAD; OPTIONS where the route has it */
	bool is_head;		    /* GET stands for HEAD */
	enum gateway_proof proof;
	const char *site;  /* "NAME" of the host NAME.localhost, in lower case; else "" */
	const char *path;  /* begins with '/'; not decoded */
	const char *query; /* behind the '?', else "" */
	const uint8_t *body;
	size_t body_len;   /* at most the route's body_len_max */
	bool has_body;	   /* of a streamed route: pieces follow */
	uint64_t said_len; /* of the body, or GATEWAY_LEN_UNKNOWN */
	struct addr remote;
	const struct gateway_conn *conn; /* for gateway_header */
};

/* gateway_header: a header field's value, the first of that name in any case, or NULL. */
const char *gateway_header(const struct gateway_request *request, const char *name);
/* gateway_header_at gives the fields as they came, idx from 0; false: there are no more. */
bool gateway_header_at(const struct gateway_request *request, unsigned idx, const char **out_name,
		       const char **out_value);

/* gateway_header_is_secret: the field shows this gateway's token, which no service may see. */
bool gateway_header_is_secret(const struct gateway_request *request, const char *name,
			      const char *value);

/* gateway_token_is: text is this gateway's token; compared in constant time. */
bool gateway_token_is(const struct gateway_request *request, const char *text);

/*
 * gateway_cookies_write copies the value of a field Cookie without the gateway's own, for the
 * service behind it. Returns its length, below cap; 0: nothing is left.
 */
size_t gateway_cookies_write(const char *cookies, char *out, size_t cap);
/* gateway_cookie_is_own: NAME=VALUE, of len letters, is the cookie of a gateway, whatever its port. */
bool gateway_cookie_is_own(const char *cookie, size_t len);

/* An answer that says why not: a JSON object of error and message. */
struct gateway_error {
	unsigned status;	/* 400 to 599 */
	const char *name;	/* "host_not_allowed", for programs */
	const char *message;	/* a sentence for people */
	unsigned retry_after_s; /* 0: unknown */
};

/* Access. Everything but what is public demands a Host and an Origin of the lists. */
enum gateway_access {
	GATEWAY_GUARDED, /* never without the token */
	GATEWAY_OPEN,	/* GET and HEAD need no token, unless all is guarded or another site asks */
	GATEWAY_STATIC, /* the same everywhere, and says nothing of this node: they never need one */
	GATEWAY_PUBLIC, /* scripts of any web page may call it (CORS), under any Host */
};

/*
 * The routes. The first row whose path is the request's answers; a path that ends in '/' stands for
 * everything below it. A method that is not in methods is answered by 405. The handler replies in
 * the call or later, once. A row of sites makes the names below localhost hosts of this gateway,
 * while it listens on loopback.
 *
 * A streamed row's handler is called when the head is there, and gets the body in pieces
 * (gateway_watch). A handler that ends its side ends the exchange.
 */
struct gateway_route {
	const char *path;
	unsigned methods; /* enum gateway_method, or-ed */
	enum gateway_access access;
	bool is_streamed;
	bool is_site;		   /* of the hosts NAME.localhost, where no other row answers */
	bool passes_authorization; /* a bearer that is not the token may be for the service */
	/* A POST of an HTML form passes without the token: the handler looks for it in the form. */
	bool takes_form_token;
	bool is_busy; /* its requests have the rate of the busy routes */
	bool is_file; /* or that of files: a folder of pictures, a player that seeks */
	const struct gateway_error
		*instead;    /* answered before anything else is looked at, or NULL */
	size_t body_len_max; /* also of a WebSocket's message */
	bool judges_body; /* a streamed row's handler says by gateway_body_max how long a body may be */
	void (*handle)(void *ctx, struct gateway_exchange *exchange,
		       const struct gateway_request *request, uint64_t now_ns);
	void *ctx;
};

/* A piece of a body, or of a WebSocket's message. */
struct gateway_piece {
	const uint8_t *data;
	size_t len;
	bool is_text; /* of the whole message */
	bool is_last; /* ends the message, not the body */
};

/*
 * The events of a handler's exchange; each may be NULL. piece: false: not now, it comes
 * again after gateway_resume. finished: the body is whole. drained: at most
 * GATEWAY_BACKLOG_LOW bytes wait to be sent. gone: the client left, broke the rules or
 * closed the WebSocket; the exchange is no more.
 */
#define GATEWAY_BACKLOG_LOW 65536
struct gateway_events {
	bool (*piece)(void *arg, const struct gateway_piece *piece, uint64_t now_ns);
	void (*finished)(void *arg, uint64_t now_ns);
	void (*drained)(void *arg, uint64_t now_ns);
	void (*gone)(void *arg);
};
void gateway_watch(struct gateway_exchange *exchange, const struct gateway_events *events,
		   void *arg);
void gateway_resume(struct gateway_exchange *exchange);
/*
 * gateway_body_max: the request's body has at most len_max bytes; a longer one is answered by 413 as it
 * turns out. False: what was said or came is longer already, and the handler is to refuse it.
 */
WEFT_MUST_CHECK
bool gateway_body_max(struct gateway_exchange *exchange, size_t len_max);

/*
 * gateway_reply ends the exchange. headers are whole lines, each with its
 * CRLF, or NULL. A reply without room in the gateway's memory is answered by
 * 503.
 */
struct gateway_reply {
	unsigned status;  /* 200 to 599 */
	const char *type; /* of the body; NULL: it has none, or headers tell it */
	const char *headers;
	const void *body;
	size_t body_len;
	/*
	 * The body is a file of another node. Shown in a page of its own it may play and
	 * draw, run nothing, and reach nothing of this gateway.
	 */
	bool is_foreign;
	/* A page of a site says itself what it may do: no other page is at its origin. */
	bool is_site_page;
	/* A page of this gateway's own with forms. It loads a style sheet from here, and no more. */
	bool is_own_page;
	/* One that is a program of this gateway: it runs its own script, and asks this gateway alone. */
	bool is_program_page;
};
void gateway_reply(struct gateway_exchange *exchange, const struct gateway_reply *reply,
		   uint64_t now_ns);
/* gateway_reply_text replies with one line of plain text for people. */
void gateway_reply_text(struct gateway_exchange *exchange, unsigned status, const char *text,
			uint64_t now_ns);
void gateway_reply_error(struct gateway_exchange *exchange, const struct gateway_error *error,
			 uint64_t now_ns);

/* gateway_allow: what the field Allow says beside 405 when it is less than the route's methods. */
void gateway_allow(struct gateway_exchange *exchange, unsigned methods);

/*
 * A reply in pieces. gateway_reply_begin sends the head; body_len of reply is the whole
 * body's, or GATEWAY_LEN_UNKNOWN; its body is not looked at. gateway_reply_more copies a
 * piece: 0, or WEFT_EFULL, the memory is used up: nothing was taken. gateway_reply_end ends
 * the exchange. The connection is cut when fewer bytes came than were announced, or by
 * gateway_abort, so no client takes a part for the whole.
 */
void gateway_reply_begin(struct gateway_exchange *exchange, const struct gateway_reply *reply,
			 uint64_t now_ns);
WEFT_MUST_CHECK
int gateway_reply_more(struct gateway_exchange *exchange, const void *data, size_t len,
		       uint64_t now_ns);
void gateway_reply_end(struct gateway_exchange *exchange, uint64_t now_ns);
void gateway_abort(struct gateway_exchange *exchange, uint64_t now_ns);
/*
 * gateway_client: a number for the client behind the connection: a user of this machine or a
 * network of addresses. By it a route shares what it has. 0: it is not known.
 */
uint64_t gateway_client(const struct gateway_exchange *exchange);
/* gateway_backlog_len: bytes that wait to be sent. */
size_t gateway_backlog_len(const struct gateway_exchange *exchange);

/*
 * gateway_socket_reserve: NULL when the request asks for a WebSocket and may
 * have one, else what it is answered by. The place is held from then on, until the
 * exchange is answered otherwise or its connection ends. gateway_socket_accept makes
 * the exchange one: messages go both ways until gateway_socket_close, or gone. send's errors are
 * gateway_reply_more's. close says code (RFC 6455, 7.4) and a text of at most 123 bytes, and ends
 * the exchange.
 */
WEFT_MUST_CHECK
const struct gateway_error *gateway_socket_reserve(struct gateway_exchange *exchange,
						   const struct gateway_request *request);
void gateway_socket_accept(struct gateway_exchange *exchange, uint64_t now_ns);
WEFT_MUST_CHECK
int gateway_socket_send(struct gateway_exchange *exchange, const struct gateway_piece *piece,
			uint64_t now_ns);
void gateway_socket_close(struct gateway_exchange *exchange, unsigned code, const char *text,
			  uint64_t now_ns);

/*
 * gateway_tunnel_begin answers a request that gateway_socket_reserve found good by 101 with
 * headers, as the service behind the gateway did. Its connection is a tunnel from then on (RFC
 * 9110, 3.7). pieces are bytes as they come, finished is the client's end, drained and gone are as
 * ever. gateway_tunnel_end ends it when all that was sent is out, gateway_abort at once. send's
 * errors are gateway_reply_more's. gateway_tunnel_accepts: accept is what the client expects as
 * Sec-WebSocket-Accept.
 */
bool gateway_tunnel_accepts(const struct gateway_exchange *exchange, const char *accept,
			    size_t len);
void gateway_tunnel_begin(struct gateway_exchange *exchange, const char *headers, uint64_t now_ns);
WEFT_MUST_CHECK
int gateway_tunnel_send(struct gateway_exchange *exchange, const void *data, size_t len,
			uint64_t now_ns);
void gateway_tunnel_end(struct gateway_exchange *exchange, uint64_t now_ns);

/* Names of hosts and origins, compared byte by byte after lowering. */
#define GATEWAY_NAME_CAP  128
#define GATEWAY_NAMES_MAX 32
struct gateway_names {
	char names[GATEWAY_NAMES_MAX][GATEWAY_NAME_CAP];
	unsigned cnt;
};
/* gateway_names_parse reads a list separated by commas. 0, WEFT_EFULL or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int gateway_names_parse(const char *text, struct gateway_names *out_names);

#define GATEWAY_TOKEN_LEN_MIN 32
#define GATEWAY_TOKEN_CAP     129

struct gateway_config {
	bool is_on;
	struct addr listen;
	unsigned conn_cap;	     /* connections in all */
	unsigned conn_addr_max;	     /* of one client address (IPv6: /64) */
	unsigned socket_cap;	     /* of these, WebSockets */
	unsigned request_rate_per_s; /* of one client address, over all its connections; 0: any */
	unsigned request_burst;
	unsigned busy_rate_per_min; /* the same for busy routes */
	unsigned busy_burst;
	unsigned file_rate_per_s; /* the same for files */
	unsigned file_burst;
	size_t memory_cap; /* bodies that are collected, and what waits to be sent */
};
void gateway_config_defaults(struct gateway_config *config);
/* gateway_footprint: bytes laid out in gateway_open. */
size_t gateway_footprint(const struct gateway_config *config);

struct gateway_params {
	struct gateway_config config;
	const struct gateway_route *routes; /* ends with path NULL; borrowed for life */
	struct gateway_names hosts;	    /* beside those that follow from where it listens */
	struct gateway_names origins;	    /* beside those of the hosts */
	char token[GATEWAY_TOKEN_CAP];
	bool is_token_always;	  /* open routes, too, are guarded */
	uint64_t (*wall_s)(void); /* for the Date field */
	struct poller *poller;
	struct timer_wheel *timers;
	struct load *load; /* counts refusals by account (base/fair/load.h); NULL: none are kept */
	bool is_deaf;	   /* it listens nowhere: only what gateway_adopt gives it comes */
	uint64_t now_ns;
};
/* gateway_open binds and listens. 0, WEFT_EBUSY (the port is taken), WEFT_EFULL, -errno. */
WEFT_MUST_CHECK
int gateway_open(const struct gateway_params *params, struct gateway **out_gateway);
/* gateway_adopt admits or refuses fd, which is taken, as if remote had connected. */
void gateway_adopt(struct gateway *gateway, int fd, const struct addr *remote, uint64_t now_ns);
/* gateway_close drops clients; gone is called for exchanges that wait. NULL is nothing. */
void gateway_close(struct gateway *gateway);
/* gateway_addr: where it listens, with the port that the system chose for port 0. */
struct addr gateway_addr(const struct gateway *gateway);

/*
 * gateway_pass_issue writes an address that can be opened once, within two minutes. It lets the
 * browser act as this node at the origin of site, NAME or NAME.NODE. WEFT_EMALFORMED: no host can
 * be called so; WEFT_EREFUSED: services have no hosts here.
 */
#define GATEWAY_PASS_URL_CAP 256
WEFT_MUST_CHECK
int gateway_pass_issue(struct gateway *gateway, const char *site, uint64_t now_ns,
		       char out_url[static GATEWAY_PASS_URL_CAP]);

/*
 * gateway_page_issue writes an address of a page of this gateway. Behind its '#' it has a code that is
 * good once, within two minutes. gateway_page_redeem, called by the page's handler, gives a token for
 * it. That counts as this gateway's own for eight hours. gateway_page_leave ends the token that a
 * request shows, gateway_page_end_all those of all pages; false: there was none.
 */
#define GATEWAY_PAGE_URL_CAP 256
void gateway_page_issue(struct gateway *gateway, const char *path, uint64_t now_ns,
			char out_url[static GATEWAY_PAGE_URL_CAP]);
WEFT_MUST_CHECK
bool gateway_page_redeem(const struct gateway_request *request, const char *code,
			 char out_token[static GATEWAY_TOKEN_CAP]);
bool gateway_page_leave(const struct gateway_request *request);
bool gateway_page_end_all(struct gateway *gateway);

struct gateway_stats {
#define FIGURE FIGURE_FIELD
#include "gateway/gateway_counters.def"
	uint64_t class_cnt[6]; /* replies by the first digit of their status */
};
void gateway_stats(const struct gateway *gateway, struct gateway_stats *out_stats);
/* gateway_places: the holders of places of connections. */
struct fair_view;
void gateway_places(const struct gateway *gateway, struct fair_view *out);
/* gateway_sockets: the holders of places of WebSockets. False: there are none. */
bool gateway_sockets(const struct gateway *gateway, struct fair_view *out);

#endif
