/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to a request's head and body: llhttp calls back as it goes
 * through the bytes; what it says is collected in the conn. It is paused
 * where the conn has to act. That is behind the head of a streamed
 * request, behind a piece that is not taken, and at a message's end. So
 * the next request waits in `in` until this one is answered.
 */
#include <string.h>
#include <strings.h>

#include "base/memory/heap.h"
#include "gateway/http_conn_state.h"
#include "gateway/refusal.h"
#include "gateway/reply.h"

static struct gateway_conn *conn_of(llhttp_t *parser)
{
	return parser->data;
}

/* refuse_in_parser ends the parse; http_conn_state.c answers and closes. */
static int refuse_in_parser(struct gateway_conn *conn, const struct gateway_error *refusal)
{
	conn->refusal = refusal;
	return HPE_USER;
}

static int head_append(struct gateway_conn *conn, const char *at, size_t len,
		       const struct gateway_error *refusal)
{
	if (len >= sizeof(conn->head) - conn->head_len)
		return refuse_in_parser(conn, refusal);
	memcpy(conn->head + conn->head_len, at, len);
	conn->head_len += len;
	return 0;
}

static int head_end_string(struct gateway_conn *conn)
{
	if (conn->head_len >= sizeof(conn->head))
		return refuse_in_parser(conn, &gateway_refusal_head);
	conn->head[conn->head_len++] = '\0';
	return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	return conn->head_len + len > CONN_TARGET_MAX
		       ? refuse_in_parser(conn, &gateway_refusal_target)
		       : head_append(conn, at, len, &gateway_refusal_target);
}

static int on_url_complete(llhttp_t *parser)
{
	return head_end_string(conn_of(parser));
}

/* on_unread: a chunk's extension, or a trailer. Its sender may not go on with it for ever. */
static int on_unread(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	(void)at;
	conn->unread_len += len;
	return conn->unread_len > CONN_UNREAD_MAX ? refuse_in_parser(conn, &gateway_refusal_unread)
						  : 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	return conn->is_head_done ? on_unread(parser, at, len)
				  : head_append(conn, at, len, &gateway_refusal_head);
}

static int on_header_field_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	if (conn->is_head_done)
		return 0;
	if (conn->header_cnt == CONN_HEADERS_MAX || head_end_string(conn) != 0)
		return refuse_in_parser(conn, &gateway_refusal_head);
	conn->headers[conn->header_cnt].value_off = (uint16_t)conn->head_len;
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	const char *value;

	if (conn->is_head_done)
		return 0;
	value = conn->head + conn->headers[conn->header_cnt].value_off;
	while (conn->head + conn->head_len > value && strchr(" \t", conn->head[conn->head_len - 1]))
		conn->head_len--;
	if (head_end_string(conn) != 0)
		return HPE_USER;
	conn->header_cnt++;
	if (conn->header_cnt < CONN_HEADERS_MAX)
		conn->headers[conn->header_cnt].name_off = (uint16_t)conn->head_len;
	return 0;
}

static int on_version_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	conn->headers[0].name_off = (uint16_t)conn->head_len;
	return llhttp_get_http_major(parser) == 1
		       ? 0
		       : refuse_in_parser(conn, &gateway_refusal_version);
}

const char *gateway_conn_header(const struct gateway_conn *conn, const char *name,
				unsigned *out_cnt)
{
	const char *value = NULL;

	*out_cnt = 0;
	for (unsigned i = 0; i < conn->header_cnt; i++) {
		if (strcasecmp(conn->head + conn->headers[i].name_off, name) != 0)
			continue;
		if (!value)
			value = conn->head + conn->headers[i].value_off;
		++*out_cnt;
	}
	return value;
}

const char *gateway_header(const struct gateway_request *request, const char *name)
{
	unsigned cnt;

	return gateway_conn_header(request->conn, name, &cnt);
}

bool gateway_conn_header_at(const struct gateway_conn *conn, unsigned idx, const char **out_name,
			    const char **out_value)
{
	if (idx >= conn->header_cnt)
		return false;
	*out_name = conn->head + conn->headers[idx].name_off;
	*out_value = conn->head + conn->headers[idx].value_off;
	return true;
}

bool gateway_header_at(const struct gateway_request *request, unsigned idx, const char **out_name,
		       const char **out_value)
{
	return gateway_conn_header_at(request->conn, idx, out_name, out_value);
}

/*
 * authority_take leaves the authority of a target with scheme and host in
 * conn->authority, and returns the text behind it. NULL: it has none, or a user's name
 * and password. The field Host counts for nothing then (RFC 9112, 3.2.2).
 */
static char *authority_take(struct gateway_conn *conn, char *target)
{
	char *authority = target + 7;
	size_t len = strcspn(authority, "/?");

	if (!len || authority[len] != '/' || memchr(authority, '@', len))
		return NULL;
	/* Its end takes the place of the scheme's last letter. */
	memmove(authority - 1, authority, len);
	authority[len - 1] = '\0';
	conn->authority = authority - 1;
	return authority + len;
}

/* target_split leaves the path in conn->target and the query in conn->query. */
static bool target_split(struct gateway_conn *conn)
{
	char *target = conn->head;
	char *query;

	if (strncasecmp(target, "http://", 7) == 0 && !(target = authority_take(conn, target)))
		return false;
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	conn->target = target;
	conn->query = query ? query : "";
	return target[0] == '/' && !strchr(target, '#');
}

static const struct gateway_route *route_lookup(const struct gateway_conn *conn)
{
	const char *path = conn->target;

	for (const struct gateway_route *route = conn->shared->routes; route->path; route++) {
		size_t len = strlen(route->path);
		bool is_tree = route->path[len - 1] == '/';

		if (route->is_site != (conn->site[0] != '\0'))
			continue;
		if (is_tree ? strncmp(path, route->path, len) == 0 : strcmp(path, route->path) == 0)
			return route;
	}
	return NULL;
}

static enum gateway_method method_of(uint8_t method)
{
	switch (method) {
	case HTTP_GET:
		return GATEWAY_GET;
	case HTTP_HEAD:
		return GATEWAY_HEAD;
	case HTTP_PUT:
		return GATEWAY_PUT;
	case HTTP_OPTIONS:
		return GATEWAY_OPTIONS;
	case HTTP_POST:
		return GATEWAY_POST;
	case HTTP_DELETE:
		return GATEWAY_DELETE;
	case HTTP_PATCH:
		return GATEWAY_PATCH;
	default:
		return 0;
	}
}

static bool has_body(const llhttp_t *parser)
{
	return parser->flags & F_CHUNKED || parser->content_length;
}

/*
 * framing_judge refuses what a proxy in front might read otherwise (RFC 9112, 6.1 and 6.3), and a
 * coding that no part of the node undoes.
 */
static const struct gateway_error *framing_judge(const struct gateway_conn *conn)
{
	unsigned coding_cnt, length_cnt;
	const char *coding = gateway_conn_header(conn, "Transfer-Encoding", &coding_cnt);

	gateway_conn_header(conn, "Content-Length", &length_cnt);
	if (length_cnt > 1 || coding_cnt > 1 || (length_cnt && coding_cnt))
		return &gateway_refusal_malformed;
	if (!coding)
		return NULL;
	if (conn->parser.http_minor == 0)
		return &gateway_refusal_malformed;
	return strcasecmp(coding, "chunked") == 0 ? NULL : &gateway_refusal_coding;
}

static const struct gateway_error *expectation_judge(struct gateway_conn *conn)
{
	unsigned cnt;
	const char *expect = gateway_conn_header(conn, "Expect", &cnt);

	if (expect && (cnt > 1 || strcasecmp(expect, "100-continue") != 0))
		return &gateway_refusal_expectation;
	conn->wants_continue = expect && conn->parser.http_minor >= 1 && has_body(&conn->parser);
	return NULL;
}

static const struct gateway_error *route_judge(struct gateway_conn *conn)
{
	const struct gateway_route *route;
	const struct gateway_error *refusal;
	unsigned allowed;

	gateway_guard_site(conn->shared->guard, conn->authority, conn->site);
	conn->route = route = route_lookup(conn);
	conn->body_len_max = route ? route->body_len_max : 0;
	/* Twice that is still a number. */
	if (route && route->judges_body)
		conn->body_len_max = SIZE_MAX / 4;
	if (route && route->instead)
		return route->instead;
	conn->proof = gateway_guard_proof(conn);
	refusal = gateway_guard_judge(conn->shared->guard, conn);
	if (refusal) {
		conn->shared->stats.forbidden_cnt += refusal != &gateway_refusal_path;
		return refusal;
	}
	allowed = route->methods | GATEWAY_OPTIONS;
	if (route->methods & GATEWAY_GET)
		allowed |= GATEWAY_HEAD;
	if (!(conn->method & allowed))
		return &gateway_refusal_method;
	return conn->parser.content_length > conn->body_len_max ? &gateway_refusal_body : NULL;
}

/* head_judge: what the request is answered by without its route, or NULL. */
static const struct gateway_error *head_judge(struct gateway_conn *conn)
{
	const struct gateway_error *refusal;
	unsigned host_cnt;

	conn->method = method_of(llhttp_get_method(&conn->parser));
	conn->authority = gateway_conn_header(conn, "Host", &host_cnt);
	if (host_cnt > 1 || (host_cnt == 0 && conn->parser.http_minor >= 1) || !target_split(conn))
		return &gateway_refusal_malformed;
	refusal = framing_judge(conn);
	if (!refusal)
		refusal = route_judge(conn);
	return refusal ? refusal : expectation_judge(conn);
}

static int on_headers_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	conn->refusal = head_judge(conn);
	conn->is_head_done = true;
	conn->keeps_alive = llhttp_should_keep_alive(parser);
	/* llhttp goes on as with HTTP; an upgrade is taken behind the message. */
	parser->upgrade = 0;
	/* No route reads a body: the connection ends here. */
	if (conn->refusal && (has_body(parser) || conn->refusal->status == 400))
		return HPE_USER;
	if (conn->refusal || !has_body(parser))
		return 0;
	conn->is_body_due = conn->route->is_streamed;
	if (conn->is_body_due)
		return HPE_PAUSED;
	if (conn->wants_continue)
		gateway_reply_continue(conn);
	return 0;
}

/* body_room: whole bodies are collected in the heap, of just the size if it was said. */
static bool body_room(struct gateway_conn *conn, size_t len)
{
	size_t cap = conn->body_cap ? 2 * conn->body_cap : (size_t)conn->parser.content_length;
	uint8_t *body;

	if (conn->parser.flags & F_CHUNKED && !conn->body_cap)
		cap = 1024;
	if (cap < conn->body_len + len)
		cap = conn->body_len + len;
	if (cap > conn->body_len_max)
		cap = conn->body_len_max;
	body = heap_resize(conn->shared->heap, conn->body, cap);
	if (!body)
		return false;
	conn->body = body;
	conn->body_cap = cap;
	return true;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);
	struct gateway_piece piece = {.data = (const uint8_t *)at, .len = len};

	if (conn->refusal || !conn->route || len > conn->body_len_max - conn->body_len)
		return refuse_in_parser(conn, &gateway_refusal_body);
	if (conn->is_body_due) {
		conn->body_len += len;
		/* The handler may have ended the exchange, and the request with it. */
		return gateway_conn_deliver(conn, &piece) && conn->state == CONN_WAITING
			       ? 0
			       : HPE_PAUSED;
	}
	if (len > conn->body_cap - conn->body_len && !body_room(conn, len))
		return refuse_in_parser(conn, &gateway_refusal_memory);
	memcpy(conn->body + conn->body_len, at, len);
	conn->body_len += len;
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	conn_of(parser)->is_message_end = true;
	return HPE_PAUSED;
}

const llhttp_settings_t gateway_conn_parser_settings = {
	.on_url = on_url,
	.on_url_complete = on_url_complete,
	.on_version_complete = on_version_complete,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_field,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_chunk_extension_name = on_unread,
	.on_chunk_extension_value = on_unread,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};
