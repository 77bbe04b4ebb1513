/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_CONN_H
#define WEFT_PROVIDER_HTTP_HTTP_CONN_H

#include "base/list.h"
#include "base/thread/poller.h"
#include "base/timer.h"

struct offer;

/*
 * Private to provider/: a connection to an HTTP server. Those that carried a whole
 * exchange wait for the next one, the youngest first, until the server closes
 * them or HTTP_CONN_IDLE_NS is over.
 */
#define HTTP_CONN_IDLE_NS (30ull * 1000000000)

struct http_conn {
	struct poller_watch watch;
	struct list_node link; /* among its offer's idle ones */
	struct timer timer;    /* of an idle one */
	struct offer *offer;
	unsigned interest;  /* 0: not watched */
	bool is_connecting; /* until it can first be written to */
	bool is_reused;
	/* Called for events of the connection; NULL while it is idle. */
	void (*ready)(void *user, unsigned events, uint64_t now_ns);
	void *user;
};

/* provider_http_conn_take gives an idle one of the offer, or NULL. */
struct http_conn *provider_http_conn_take(struct offer *offer);
/* provider_http_conn_open connects anew. 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int provider_http_conn_open(struct offer *offer, struct http_conn **out_conn);
/* provider_http_conn_keep lays conn by; it is closed when there is no room. */
void provider_http_conn_keep(struct http_conn *conn, uint64_t now_ns);
void provider_http_conn_close(struct http_conn *conn);
/* provider_http_conn_watch: as provider_upstream_watch. */
WEFT_MUST_CHECK
int provider_http_conn_watch(struct http_conn *conn, unsigned interest);
/* provider_http_conns_close_idle closes all that are laid by for offer. */
void provider_http_conns_close_idle(struct offer *offer);

#endif
