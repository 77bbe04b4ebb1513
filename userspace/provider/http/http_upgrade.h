/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_UPGRADE_H
#define WEFT_PROVIDER_HTTP_HTTP_UPGRADE_H

#include "http_stream.h"

/*
 * Private to provider/: streams of HttpUpgrade, WebSockets to an HTTP server. Until the server
 * answers 101 a stream is a request like others. After that bytes go both ways, unread here.
 *
 * A WebSocket may be silent for days, so their number is bounded. They take places of a pool of
 * fair shares, by the caller's family, network, address and key. A full pool takes the youngest
 * place of the holder with most. A caller with no more than any other keeps its places. Local
 * programs have a quarter for themselves.
 *
 * A WebSocket ends in four ways. Either side ends it, or the mesh session is lost. A side loses
 * it that takes none of its waiting bytes for stall_ns, or that ends so much later than the
 * other. TCP's keep-alive ends it when the server's machine is gone.
 */
WEFT_MUST_CHECK
int provider_http_upgrade_init(struct provider *provider);

/* provider_http_upgrade_enter takes a place for stream. False: there is none, which was counted. */
WEFT_MUST_CHECK
bool provider_http_upgrade_enter(struct http_stream *stream, const struct service_caller *caller,
				 uint64_t now_ns);
/* provider_http_upgrade_leave gives the place back, if stream has one. */
void provider_http_upgrade_leave(struct http_stream *stream);
/*
 * provider_http_upgrade_begin: the server answered 101. From now on the offer's limit of calls does
 * not count it.
 */
void provider_http_upgrade_begin(struct http_stream *stream);
/*
 * provider_http_upgrade_write passes the caller's end to the server, once all bytes before it are
 * sent.
 */
void provider_http_upgrade_write(struct http_stream *stream);
/* provider_http_upgrade_deadline_ns: when it is ended unless a byte moves; UINT64_MAX: never. */
uint64_t provider_http_upgrade_deadline_ns(const struct http_stream *stream);

#endif
