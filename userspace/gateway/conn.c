/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to requests. llhttp calls back as it goes through the bytes;
 * what it says is collected in the conn, and at the end of a message it is
 * paused, so that the next request waits in `in` until this one is answered.
 */
#include "gateway/conn.h"

#include <string.h>
#include <strings.h>

#include "gateway/reply.h"

static struct gateway_conn *conn_of(llhttp_t *parser)
{
	return parser->data;
}

/* refuse_in_parser ends the parse; conn_parse answers with status and closes. */
static int refuse_in_parser(struct gateway_conn *conn, unsigned status)
{
	conn->refusal = status;
	return HPE_USER;
}

static int head_append(struct gateway_conn *conn, const char *at, size_t len, unsigned status)
{
	if (len >= sizeof(conn->head) - conn->head_len)
		return refuse_in_parser(conn, status);
	memcpy(conn->head + conn->head_len, at, len);
	conn->head_len += len;
	return 0;
}

static int head_end_string(struct gateway_conn *conn)
{
	if (conn->head_len >= sizeof(conn->head))
		return refuse_in_parser(conn, 431);
	conn->head[conn->head_len++] = '\0';
	return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	return conn->head_len + len > CONN_TARGET_MAX ? refuse_in_parser(conn, 414)
						      : head_append(conn, at, len, 414);
}

static int on_url_complete(llhttp_t *parser)
{
	return head_end_string(conn_of(parser));
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	return conn->is_head_done ? 0 : head_append(conn, at, len, 431);
}

static int on_header_field_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	if (conn->is_head_done)
		return 0;
	if (conn->header_cnt == CONN_HEADERS_MAX || head_end_string(conn) != 0)
		return refuse_in_parser(conn, 431);
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
	return llhttp_get_http_major(parser) == 1 ? 0 : refuse_in_parser(conn, 505);
}

static const char *header_lookup(const struct gateway_conn *conn, const char *name,
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

	return header_lookup(request->conn, name, &cnt);
}

/*
 * target_split leaves the path in conn->target and the query in
 * conn->query. A proxy's form with scheme and host is taken as well (RFC
 * 9112, 3.2.2). False: it is neither.
 */
static bool target_split(struct gateway_conn *conn)
{
	char *target = conn->head;
	char *query;

	if (strncasecmp(target, "http://", 7) == 0) {
		target += 7 + strcspn(target + 7, "/?");
		if (*target != '/')
			return false;
	}
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	conn->target = target;
	conn->query = query ? query : "";
	return target[0] == '/' && !strchr(target, '#');
}

static const struct gateway_route *route_lookup(const struct conn_shared *shared, const char *path)
{
	for (const struct gateway_route *route = shared->routes; route->path; route++) {
		size_t len = strlen(route->path);
		bool is_tree = route->path[len - 1] == '/';

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
	default:
		return 0;
	}
}

/* head_judge: the status by which the request is refused, or 0. */
static unsigned head_judge(struct gateway_conn *conn)
{
	unsigned host_cnt, expect_cnt, allowed;
	const char *expect = header_lookup(conn, "Expect", &expect_cnt);

	conn->method = method_of(llhttp_get_method(&conn->parser));
	header_lookup(conn, "Host", &host_cnt);
	if (host_cnt > 1 || (host_cnt == 0 && conn->parser.http_minor >= 1))
		return 400;
	if (!target_split(conn))
		return 400;
	conn->route = route_lookup(conn->shared, conn->target);
	if (!conn->route)
		return 404;
	allowed = conn->route->methods | GATEWAY_OPTIONS;
	if (conn->route->methods & GATEWAY_GET)
		allowed |= GATEWAY_HEAD;
	if (!(conn->method & allowed))
		return 405;
	if (conn->parser.content_length > conn->route->body_len_max)
		return 413;
	if (expect && (expect_cnt > 1 || strcasecmp(expect, "100-continue") != 0))
		return 417;
	conn->wants_continue = expect && conn->parser.http_minor >= 1;
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);
	bool has_body = parser->flags & F_CHUNKED || parser->content_length;
	unsigned status = head_judge(conn);

	conn->is_head_done = true;
	/* An upgrade is an offer, and staying with HTTP/1.1 declines it; CONNECT has no route. */
	parser->upgrade = 0;
	conn->refusal = status;
	/* Nobody will look at a body: the connection ends here. */
	if (status && (has_body || status == 400))
		return HPE_USER;
	if (conn->wants_continue && has_body)
		reply_continue(conn);
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct gateway_conn *conn = conn_of(parser);

	if (!conn->route || len > conn->route->body_len_max - conn->body_len)
		return refuse_in_parser(conn, 413);
	memcpy(conn->body + conn->body_len, at, len);
	conn->body_len += len;
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct gateway_conn *conn = conn_of(parser);

	conn->keeps_alive = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_url_complete = on_url_complete,
	.on_version_complete = on_version_complete,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_field,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

/* conn_start_request forgets the request before. */
void conn_start_request(struct gateway_conn *conn)
{
	conn->exchange = (struct gateway_exchange){.conn = conn};
	conn->route = NULL;
	conn->method = 0;
	conn->refusal = 0;
	conn->is_begun = conn->is_head_done = conn->wants_continue = false;
	conn->raw_len = conn->head_len = conn->body_len = 0;
	conn->header_cnt = 0;
}

void conn_init(struct gateway_conn *conn, struct conn_shared *shared, const struct addr *remote,
	       uint8_t *body, uint64_t now_ns)
{
	conn->shared = shared;
	conn->remote = *remote;
	conn->body = body;
	conn->progress_ns = now_ns;
	llhttp_init(&conn->parser, HTTP_REQUEST, &settings);
	conn->parser.data = conn;
	conn_start_request(conn);
}

void conn_fini(struct gateway_conn *conn)
{
	struct gateway_exchange exchange = conn->exchange;

	conn->state = CONN_OVER;
	conn->exchange.gone = NULL;
	if (exchange.gone)
		exchange.gone(exchange.gone_arg);
}

/* conn_run hands the whole request to its route, or answers for it. */
static void conn_run(struct gateway_conn *conn, uint64_t now_ns)
{
	struct conn_shared *shared = conn->shared;
	struct gateway_request request = {
		.method = conn->method == GATEWAY_HEAD ? GATEWAY_GET : conn->method,
		.path = conn->target,
		.query = conn->query,
		.body = conn->body,
		.body_len = conn->body_len,
		.remote = conn->remote,
		.conn = conn,
	};

	conn->state = CONN_WAITING;
	shared->stats.request_cnt++;
	if (conn->refusal) {
		reply_refusal(conn, conn->refusal, now_ns);
	} else if (!shared->admits(shared, &conn->remote, now_ns)) {
		shared->stats.limited_cnt++;
		reply_refusal(conn, 429, now_ns);
	} else if (conn->method == GATEWAY_OPTIONS) {
		reply_options(conn, now_ns);
	} else {
		conn->route->handle(conn->route->ctx, &conn->exchange, &request, now_ns);
	}
}

static void conn_refuse(struct gateway_conn *conn, unsigned status, uint64_t now_ns)
{
	conn->shared->stats.malformed_cnt++;
	conn->keeps_alive = false;
	conn->state = CONN_WAITING;
	reply_refusal(conn, status, now_ns);
}

static size_t raw_len_max(const struct gateway_conn *conn)
{
	return CONN_HEAD_CAP + CONN_FRAMING_MAX +
	       (conn->is_head_done && conn->route ? 2 * conn->route->body_len_max : 0);
}

/* conn_parse goes on until a request waits, a reply is to be sent or the bytes are used up. */
static void conn_parse(struct gateway_conn *conn, uint64_t now_ns)
{
	conn->is_parsing = true;
	while (conn->state == CONN_READING && conn->in_begin < conn->in_end &&
	       conn->out_begin == conn->out_end) {
		const char *begin = conn->in + conn->in_begin;
		size_t len = conn->in_end - conn->in_begin;
		llhttp_errno_t err;

		if (!conn->is_begun)
			conn->began_ns = now_ns;
		conn->is_begun = true;
		err = llhttp_execute(&conn->parser, begin, len);
		if (err == HPE_PAUSED) {
			len = (size_t)(llhttp_get_error_pos(&conn->parser) - begin);
			llhttp_resume(&conn->parser);
		}
		conn->in_begin += len;
		conn->raw_len += len;
		if (err == HPE_PAUSED)
			conn_run(conn, now_ns);
		else if (err != HPE_OK)
			conn_refuse(conn, conn->refusal ? conn->refusal : 400, now_ns);
		else if (conn->raw_len > raw_len_max(conn))
			conn_refuse(conn, conn->is_head_done ? 413 : 431, now_ns);
	}
	conn->is_parsing = false;
}

size_t conn_reserve(struct gateway_conn *conn, char **out_room)
{
	if (conn->state == CONN_DRAINING || conn->in_begin == conn->in_end)
		conn->in_begin = conn->in_end = 0;
	*out_room = conn->in + conn->in_end;
	return conn->state == CONN_OVER ? 0 : sizeof(conn->in) - conn->in_end;
}

void conn_commit(struct gateway_conn *conn, size_t len, uint64_t now_ns)
{
	conn->in_end += len;
	conn_parse(conn, now_ns);
}

void conn_eof(struct gateway_conn *conn)
{
	conn->is_eof = true;
}

size_t conn_output(const struct gateway_conn *conn, const char **out_data)
{
	*out_data = conn->out + conn->out_begin;
	return conn->out_end - conn->out_begin;
}

void conn_sent(struct gateway_conn *conn, size_t len, uint64_t now_ns)
{
	conn->out_begin += len;
	conn->progress_ns = now_ns;
	if (conn->out_begin < conn->out_end)
		return;
	conn->out_begin = conn->out_end = 0;
	conn_parse(conn, now_ns);
}

bool conn_is_idle(const struct gateway_conn *conn)
{
	return conn->state == CONN_READING && !conn->is_begun && conn->out_begin == conn->out_end;
}

bool conn_is_over(const struct gateway_conn *conn)
{
	return conn->state == CONN_OVER ||
	       (conn->is_eof && conn->state != CONN_WAITING && conn->out_begin == conn->out_end);
}

uint64_t conn_deadline_ns(const struct gateway_conn *conn)
{
	if (conn->out_begin < conn->out_end)
		return conn->progress_ns + CONN_SEND_NS;
	switch (conn->state) {
	case CONN_READING:
		return conn->is_begun ? conn->began_ns + CONN_REQUEST_NS
				      : conn->progress_ns + CONN_IDLE_NS;
	case CONN_DRAINING:
		return conn->progress_ns + CONN_DRAIN_NS;
	default:
		return UINT64_MAX;
	}
}

void conn_expire(struct gateway_conn *conn, uint64_t now_ns)
{
	bool is_sending = conn->out_begin < conn->out_end;

	if (now_ns < conn_deadline_ns(conn))
		return;
	if (conn->state == CONN_READING && conn->is_begun && !is_sending) {
		conn->shared->stats.slow_cnt++;
		conn_refuse(conn, 408, now_ns);
		return;
	}
	conn->shared->stats.slow_cnt += is_sending;
	conn->state = CONN_OVER;
}
