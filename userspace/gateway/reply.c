/* SPDX-License-Identifier: Apache-2.0 */
/* From replies to bytes: status line, our own fields, the route's, the body. */
#include "gateway/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/date.h"

static const struct status {
	unsigned code;
	const char *reason;
	const char *sentence; /* of those that are told without a route */
} statuses[] = {
	{200, "OK", NULL},
	{204, "No Content", NULL},
	{304, "Not Modified", NULL},
	{400, "Bad Request", "This is no HTTP/1.1 request that can be understood."},
	{404, "Not Found", "Nothing is served at this path."},
	{405, "Method Not Allowed", "This path does not know the method; see the field Allow."},
	{408, "Request Timeout", "The request was not complete within 10 seconds."},
	{409, "Conflict", NULL},
	{413, "Content Too Large", "The body is longer than this path takes."},
	{414, "URI Too Long", "The target is longer than 2048 bytes."},
	{417, "Expectation Failed", "The only expectation that can be met is 100-continue."},
	{429, "Too Many Requests", "This address asks too often; wait a second."},
	{431, "Request Header Fields Too Large",
	 "The header is longer than 8 KiB or has more than 64 fields."},
	{500, "Internal Server Error", "The reply is longer than can be sent."},
	{502, "Bad Gateway", NULL},
	{503, "Service Unavailable", "As many clients are connected as are served."},
	{504, "Gateway Timeout", NULL},
	{505, "HTTP Version Not Supported", "The version is not 1.0 or 1.1."},
};

static const struct status *status_lookup(unsigned code)
{
	static const struct status unnamed = {0, "", ""};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return &unnamed;
}

/* Text appended to the output; false once it does not fit. */
struct out {
	struct gateway_conn *conn;
	size_t end;
	bool fits;
};

__attribute__((format(printf, 2, 3))) static void out_add(struct out *out, const char *fmt, ...)
{
	size_t room = sizeof(out->conn->out) - out->end;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(out->conn->out + out->end, room, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room)
		out->fits = false;
	else if (out->fits)
		out->end += (size_t)len;
}

static void out_add_bytes(struct out *out, const void *data, size_t len)
{
	if (len > sizeof(out->conn->out) - out->end)
		out->fits = false;
	if (!out->fits || !len)
		return;
	memcpy(out->conn->out + out->end, data, len);
	out->end += len;
}

static void out_add_methods(struct out *out, unsigned methods)
{
	static const struct {
		enum gateway_method method;
		const char *name;
	} names[] = {
		{GATEWAY_GET, "GET, HEAD, "},
		{GATEWAY_PUT, "PUT, "},
		{GATEWAY_POST, "POST, "},
		{GATEWAY_DELETE, "DELETE, "},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (methods & names[i].method)
			out_add(out, "%s", names[i].name);
	out_add(out, "OPTIONS\r\n");
}

/* out_add_own_fields: those that follow from connection, route and status. */
static void out_add_own_fields(struct out *out, unsigned status)
{
	const struct gateway_conn *conn = out->conn;
	char date[HTTP_DATE_CAP];

	out_add(out, "Date: %s\r\n", http_date_write(conn->shared->wall_s(), date));
	if (!conn->keeps_alive)
		out_add(out, "Connection: close\r\n");
	else if (conn->parser.http_minor == 0)
		out_add(out, "Connection: keep-alive\r\n");
	if (status == 429)
		out_add(out, "Retry-After: 1\r\n");
	if (!conn->route)
		return;
	if (conn->route->is_public)
		out_add(out, "Access-Control-Allow-Origin: *\r\n");
	if (conn->route->is_public && conn->method == GATEWAY_OPTIONS) {
		out_add(out, "Access-Control-Allow-Methods: ");
		out_add_methods(out, conn->route->methods);
		out_add(out,
			"Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n");
	}
	if (status == 405 || conn->method == GATEWAY_OPTIONS) {
		out_add(out, "Allow: ");
		out_add_methods(out, conn->route->methods);
	}
}

static bool reply_write(struct gateway_conn *conn, const struct gateway_reply *reply)
{
	struct out out = {conn, conn->out_end, true};

	out_add(&out, "HTTP/1.1 %u %s\r\n", reply->status, status_lookup(reply->status)->reason);
	out_add_own_fields(&out, reply->status);
	if (reply->type)
		out_add(&out, "Content-Type: %s\r\n", reply->type);
	if (reply->status != 204 && reply->status != 304)
		out_add(&out, "Content-Length: %zu\r\n", reply->body_len);
	out_add(&out, "%s\r\n", reply->headers ? reply->headers : "");
	if (conn->method != GATEWAY_HEAD)
		out_add_bytes(&out, reply->body, reply->body_len);
	if (out.fits)
		conn->out_end = out.end;
	return out.fits;
}

static void refusal_write(struct gateway_conn *conn, unsigned status)
{
	const char *sentence = status_lookup(status)->sentence;
	char body[128];
	int len = snprintf(body, sizeof(body), "%s\n", sentence ? sentence : "");
	struct gateway_reply reply = {
		.status = status,
		.type = "text/plain; charset=utf-8",
		.body = body,
		.body_len = (size_t)len,
	};

	/* The output was empty when the request was parsed: a sentence fits. */
	(void)reply_write(conn, &reply);
}

/* conn_replied: the reply is in the output; the next request may follow, or nothing more. */
static void conn_replied(struct gateway_conn *conn, uint64_t now_ns)
{
	conn->progress_ns = now_ns;
	conn->state = conn->keeps_alive ? CONN_READING : CONN_DRAINING;
	conn_start_request(conn);
	if (!conn->is_parsing && conn->shared->replied)
		conn->shared->replied(conn->shared, conn);
}

void reply_continue(struct gateway_conn *conn)
{
	struct out out = {conn, conn->out_end, true};

	out_add(&out, "HTTP/1.1 100 Continue\r\n\r\n");
	if (out.fits)
		conn->out_end = out.end;
}

void reply_refusal(struct gateway_conn *conn, unsigned status, uint64_t now_ns)
{
	refusal_write(conn, status);
	conn_replied(conn, now_ns);
}

void reply_options(struct gateway_conn *conn, uint64_t now_ns)
{
	struct gateway_reply reply = {.status = 204};

	(void)reply_write(conn, &reply);
	conn_replied(conn, now_ns);
}

void gateway_reply(struct gateway_exchange *exchange, const struct gateway_reply *reply,
		   uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	if (!reply_write(conn, reply))
		refusal_write(conn, 500);
	conn_replied(conn, now_ns);
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

void gateway_on_gone(struct gateway_exchange *exchange, void (*gone)(void *arg), void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}
