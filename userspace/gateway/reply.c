/* SPDX-License-Identifier: Apache-2.0 */
/* From replies to bytes: status line, our own fields, the route's, the body. */
#include "gateway/reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/text/utf8.h"
#include "gateway/date.h"
#include "gateway/http_conn_state.h"
#include "gateway/refusal.h"

/* Fields of a service's answer take up to 16 KiB; ours stand beside them. */
#define HEAD_CAP 20480

/* Rights that no page needs of a gateway, and that would help a harmful one (docs/gateway.md). */
#define SECURITY_FIELDS                                                                            \
	"X-Content-Type-Options: nosniff\r\n"                                                      \
	"X-Frame-Options: DENY\r\n"                                                                \
	"Referrer-Policy: no-referrer\r\n"
/* A page without a referrer says "null" for the Origin of its own forms. */
#define SITE_FIELDS                                                                                \
	"X-Content-Type-Options: nosniff\r\n"                                                      \
	"X-Frame-Options: SAMEORIGIN\r\n"                                                          \
	"Referrer-Policy: same-origin\r\n"
/*
 * Pages of services share this origin: a password that a browser fills in for it leads nowhere.
 * default-src does not bound forms.
 */
#define POLICY_FIELD                                                                               \
	"Content-Security-Policy: default-src 'none'; form-action 'none'; "                        \
	"frame-ancestors 'none'\r\n"
#define FOREIGN_POLICY_FIELD                                                                       \
	"Content-Security-Policy: sandbox; default-src 'none'; img-src 'self'; "                   \
	"media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n"

/* Forms lead here alone. Behind no-referrer they would say "null" for their Origin, as above. */
#define OWN_FIELDS                                                                                 \
	"X-Content-Type-Options: nosniff\r\n"                                                      \
	"X-Frame-Options: DENY\r\n"                                                                \
	"Referrer-Policy: same-origin\r\n"                                                         \
	"Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; "      \
	"base-uri 'none'; frame-ancestors 'none'\r\n"

/* Its script takes text for text: a text never becomes markup or a script (trusted types). */
#define PROGRAM_POLICY_FIELD                                                                       \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "       \
	"connect-src 'self'; img-src 'self' data: blob:; media-src blob:; form-action 'none'; "    \
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'\r\n"          \
	"Cross-Origin-Opener-Policy: same-origin\r\n"

static const char *status_reason(unsigned code)
{
	static const struct {
		unsigned code;
		const char *reason;
	} statuses[] = {
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{416, "Range Not Satisfiable"},
		{417, "Expectation Failed"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == code)
			return statuses[i].reason;
	return "";
}

/* A head under construction. */
struct head {
	char text[HEAD_CAP];
	size_t len;
	bool fits;
};

__attribute__((format(printf, 2, 3))) static void head_add(struct head *head, const char *fmt, ...)
{
	size_t room = sizeof(head->text) - head->len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(head->text + head->len, room, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room)
		head->fits = false;
	else if (head->fits)
		head->len += (size_t)len;
}

static void head_add_methods(struct head *head, unsigned methods)
{
	static const struct {
		enum gateway_method method;
		const char *name;
	} names[] = {
		{GATEWAY_GET, "GET, HEAD, "}, {GATEWAY_PUT, "PUT, "},	  {GATEWAY_POST, "POST, "},
		{GATEWAY_DELETE, "DELETE, "}, {GATEWAY_PATCH, "PATCH, "},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (methods & names[i].method)
			head_add(head, "%s", names[i].name);
	head_add(head, "OPTIONS\r\n");
}

static void head_add_public_fields(struct head *head, const struct gateway_conn *conn)
{
	head_add(head, "Access-Control-Allow-Origin: *\r\n");
	if (conn->method != GATEWAY_OPTIONS)
		return;
	head_add(head, "Access-Control-Allow-Methods: ");
	head_add_methods(head, conn->route->methods);
	head_add(head, "Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n");
}

/* head_add_own_fields: those that follow from connection, route and status. */
static void head_add_own_fields(struct head *head, const struct gateway_conn *conn,
				const struct gateway_reply *reply)
{
	unsigned status = reply->status;
	bool is_public = conn->route && conn->route->access == GATEWAY_PUBLIC;
	char date[HTTP_DATE_CAP];

	head_add(head, "Date: %s\r\n", gateway_http_date_write(conn->shared->wall_s(), date));
	if (!conn->keeps_alive)
		head_add(head, "Connection: close\r\n");
	else if (conn->parser.http_minor == 0)
		head_add(head, "Connection: keep-alive\r\n");
	if (reply->is_site_page) {
		head_add(head, SITE_FIELDS);
	} else if (reply->is_own_page) {
		head_add(head, OWN_FIELDS);
	} else {
		head_add(head, SECURITY_FIELDS);
		head_add(head, reply->is_foreign	? FOREIGN_POLICY_FIELD
			       : reply->is_program_page ? PROGRAM_POLICY_FIELD
							: POLICY_FIELD);
	}
	if (is_public)
		head_add_public_fields(head, conn);
	else
		head_add(head, "Cross-Origin-Resource-Policy: same-origin\r\n");
	if (status == 401)
		head_add(head, "WWW-Authenticate: Bearer\r\n");
	if (conn->route && (status == 405 || conn->method == GATEWAY_OPTIONS)) {
		head_add(head, "Allow: ");
		head_add_methods(head, conn->allowed ? conn->allowed : conn->route->methods);
	}
}

static bool status_has_body(unsigned status)
{
	return status != 204 && status != 304;
}

/* framing_choose: how the client finds the end of a body of len bytes. */
static enum reply_state framing_choose(struct gateway_conn *conn, unsigned status, uint64_t len)
{
	if (!status_has_body(status) || len != GATEWAY_LEN_UNKNOWN)
		return REPLY_COUNTED;
	if (conn->parser.http_minor >= 1)
		return REPLY_CHUNKED;
	conn->keeps_alive = false;
	return REPLY_TO_THE_END;
}

static int head_write(struct gateway_conn *conn, const struct gateway_reply *reply, uint64_t len)
{
	enum reply_state framing;
	struct head head;

	head.len = 0;
	head.fits = true;
	/* The rest of the request is not waited for. */
	if (conn->is_body_due && len != GATEWAY_LEN_UNKNOWN)
		conn->keeps_alive = false;
	framing = framing_choose(conn, reply->status, len);
	head_add(&head, "HTTP/1.1 %u %s\r\n", reply->status, status_reason(reply->status));
	head_add_own_fields(&head, conn, reply);
	if (reply->type)
		head_add(&head, "Content-Type: %s\r\n", reply->type);
	if (framing == REPLY_CHUNKED)
		head_add(&head, "Transfer-Encoding: chunked\r\n");
	else if (framing == REPLY_COUNTED && status_has_body(reply->status))
		head_add(&head, "Content-Length: %" PRIu64 "\r\n", len);
	head_add(&head, "%s\r\n", reply->headers ? reply->headers : "");
	if (!head.fits || gateway_conn_write(conn, head.text, head.len) < 0)
		return WEFT_EFULL;
	conn->reply = framing;
	conn->reply_left = status_has_body(reply->status) && conn->method != GATEWAY_HEAD ? len : 0;
	conn->shared->stats.class_cnt[reply->status / 100]++;
	return 0;
}

void gateway_reply_continue(struct gateway_conn *conn)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	conn->wants_continue = false;
	if (gateway_conn_write(conn, text, sizeof(text) - 1) < 0)
		gateway_conn_over(conn);
	gateway_conn_wake(conn);
}

void gateway_reply_options(struct gateway_conn *conn)
{
	struct gateway_reply reply = {.status = 204};

	gateway_reply(&conn->exchange, &reply, conn->now_ns);
}

static void switch_write(struct gateway_conn *conn, const struct head *head)
{
	if (!head->fits || gateway_conn_write(conn, head->text, head->len) < 0)
		gateway_conn_over(conn);
	conn->shared->stats.class_cnt[1]++;
}

void gateway_reply_switch(struct gateway_conn *conn, const char *accept)
{
	struct head head;

	head.len = 0;
	head.fits = true;
	head_add(&head,
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\n\r\n",
		 accept);
	switch_write(conn, &head);
}

void gateway_reply_switch_as(struct gateway_conn *conn, const char *headers)
{
	struct head head;

	head.len = 0;
	head.fits = true;
	head_add(&head,
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "%s\r\n",
		 headers);
	switch_write(conn, &head);
}

void gateway_reply_begin(struct gateway_exchange *exchange, const struct gateway_reply *reply,
			 uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	conn->now_ns = now_ns;
	if (conn->state != CONN_WAITING)
		return;
	if (head_write(conn, reply, reply->body_len) < 0)
		gateway_conn_over(conn);
	gateway_conn_wake(conn);
}

static int chunk_write(struct gateway_conn *conn, const void *data, size_t len)
{
	char size[24];
	int size_len = snprintf(size, sizeof(size), "%zx\r\n", len);

	if (gateway_conn_write(conn, size, (size_t)size_len) == 0 &&
	    gateway_conn_write(conn, data, len) == 0 && gateway_conn_write(conn, "\r\n", 2) == 0)
		return 0;
	/* A chunk that is cut off in the middle can only be ended with the connection. */
	gateway_conn_over(conn);
	return WEFT_EFULL;
}

int gateway_reply_more(struct gateway_exchange *exchange, const void *data, size_t len,
		       uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	int err = 0;

	conn->now_ns = now_ns;
	if (conn->state != CONN_WAITING || !len || conn->method == GATEWAY_HEAD)
		return 0;
	if (conn->reply == REPLY_COUNTED && len > conn->reply_left) {
		gateway_conn_over(conn);
		return 0;
	}
	if (conn->reply == REPLY_CHUNKED)
		err = chunk_write(conn, data, len);
	else
		err = gateway_conn_write(conn, data, len);
	if (err == 0 && conn->reply == REPLY_COUNTED)
		conn->reply_left -= len;
	gateway_conn_wake(conn);
	return err;
}

void gateway_reply_end(struct gateway_exchange *exchange, uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	bool is_whole = conn->reply != REPLY_COUNTED || !conn->reply_left;

	conn->now_ns = now_ns;
	if (conn->state != CONN_WAITING) {
		gateway_conn_detach(conn);
		return;
	}
	if (conn->reply == REPLY_CHUNKED && conn->method != GATEWAY_HEAD)
		is_whole = gateway_conn_write(conn, "0\r\n\r\n", 5) == 0;
	if (!is_whole) {
		gateway_abort(exchange, now_ns);
		return;
	}
	conn->reply = REPLY_DONE;
	gateway_conn_next(conn);
}

void gateway_abort(struct gateway_exchange *exchange, uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	conn->now_ns = now_ns;
	gateway_conn_detach(conn);
	gateway_conn_over(conn);
	gateway_conn_wake(conn);
}

void gateway_reply(struct gateway_exchange *exchange, const struct gateway_reply *reply,
		   uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	bool is_first = !conn->output.len;

	gateway_conn_detach(conn);
	gateway_reply_begin(exchange, reply, now_ns);
	if (gateway_reply_more(exchange, reply->body, reply->body_len, now_ns) == 0) {
		gateway_reply_end(exchange, now_ns);
	} else if (is_first) {
		gateway_output_clear(&conn->output, conn->shared->heap);
		gateway_reply_error(exchange, &gateway_refusal_memory, now_ns);
	} else {
		gateway_abort(exchange, now_ns);
	}
}

void gateway_reply_text(struct gateway_exchange *exchange, unsigned status, const char *text,
			uint64_t now_ns)
{
	char body[512];
	int len = snprintf(body, sizeof(body), "%s\n", text);
	struct gateway_reply reply = {
		.status = status,
		.type = "text/plain; charset=utf-8",
		.body = body,
		.body_len = (size_t)len < sizeof(body) ? (size_t)len : sizeof(body) - 1,
	};

	gateway_reply(exchange, &reply, now_ns);
}

/* json_write writes text as a JSON string; what is no UTF-8 or does not fit is left away. */
static void json_write(char *out, size_t cap, const char *text)
{
	size_t at = 0;

	if (!utf8_is_valid(text, strlen(text)))
		text = "";
	out[at++] = '"';
	for (; *text && at + 8 < cap; text++) {
		uint8_t byte = (uint8_t)*text;

		if (byte == '"' || byte == '\\')
			out[at++] = '\\';
		out[at++] = byte < ' ' ? ' ' : *text;
	}
	/* Not in the middle of a character. */
	while (*text && at > 1 && (*text & 0xc0) == 0x80)
		text--, at--;
	out[at++] = '"';
	out[at] = '\0';
}

void gateway_reply_error(struct gateway_exchange *exchange, const struct gateway_error *error,
			 uint64_t now_ns)
{
	char body[768], message[600], headers[80] = "Cache-Control: no-store\r\n";
	struct gateway_reply reply = {
		.status = error->status,
		.type = "application/json",
		.headers = headers,
		.body = body,
	};

	json_write(message, sizeof(message), error->message);
	reply.body_len = (size_t)snprintf(body, sizeof(body), "{\"error\":\"%s\",\"message\":%s}\n",
					  error->name, message);
	if (error->retry_after_s)
		snprintf(headers, sizeof(headers), "Cache-Control: no-store\r\nRetry-After: %u\r\n",
			 error->retry_after_s);
	gateway_reply(exchange, &reply, now_ns);
}
