/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection whose request a service answered by 101: bytes go both ways, and the gateway reads
 * none of them. Each side may end for itself. A side that takes nothing is dropped as everywhere;
 * silence is no reason (docs/wire/http.md says what ends one).
 */
#include <string.h>

#include "gateway/http_conn_state.h"
#include "gateway/reply.h"

bool gateway_tunnel_accepts(const struct gateway_exchange *exchange, const char *accept, size_t len)
{
	char wanted[WEBSOCKET_ACCEPT_CAP];
	unsigned cnt;
	const char *key = gateway_conn_header(exchange->conn, "Sec-WebSocket-Key", &cnt);

	if (cnt != 1)
		return false;
	http_websocket_accept(key, wanted);
	return len == strlen(wanted) && memcmp(accept, wanted, len) == 0;
}

void gateway_tunnel_begin(struct gateway_exchange *exchange, const char *headers, uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	conn->now_ns = now_ns;
	if (conn->state != CONN_WAITING)
		return;
	conn->state = CONN_TUNNEL;
	conn->reply = REPLY_DONE;
	conn->keeps_alive = false;
	gateway_reply_switch_as(conn, headers);
	gateway_conn_wake(conn);
}

int gateway_tunnel_send(struct gateway_exchange *exchange, const void *data, size_t len,
			uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	int err;

	conn->now_ns = now_ns;
	if (conn->state != CONN_TUNNEL || !len)
		return 0;
	err = gateway_conn_write(conn, data, len);
	gateway_conn_wake(conn);
	return err;
}

void gateway_tunnel_end(struct gateway_exchange *exchange, uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	conn->now_ns = now_ns;
	gateway_conn_detach(conn);
	if (conn->state == CONN_TUNNEL)
		conn->state = CONN_DRAINING;
	conn->progress_ns = now_ns;
	gateway_conn_wake(conn);
}

/* tunnel_finish: the client's last byte is delivered. */
static void tunnel_finish(struct gateway_conn *conn)
{
	const struct gateway_exchange *exchange = &conn->exchange;

	if (conn->is_finished)
		return;
	conn->is_finished = true;
	if (exchange->events && exchange->events->finished)
		exchange->events->finished(exchange->arg, conn->now_ns);
}

void gateway_tunnel_input(struct gateway_conn *conn)
{
	struct gateway_piece piece = {.data = (const uint8_t *)conn->in + conn->in_begin,
				      .len = conn->in_end - conn->in_begin,
				      .is_last = true};

	if (conn->held.data)
		return;
	conn->in_begin = conn->in_end;
	if (piece.len && !gateway_conn_deliver(conn, &piece))
		return;
	if (conn->is_eof && conn->state == CONN_TUNNEL)
		tunnel_finish(conn);
}
