/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_REQUEST_H
#define WEFT_PROVIDER_HTTP_HTTP_REQUEST_H

#include "provider/provider.h"
#include "service/http_envelope.h"

/* More than the text of any parsed request with the added fields. */
#define HTTP_REQUEST_CAP (SERVICE_HTTP_HEAD_LEN_MAX + 1024)

/*
 * provider_http_request_is_safe: it can be sent again, and on a used connection: it has no body,
 * and a method that changes nothing (RFC 9110 9.2.1).
 *
 * A server that forgets to read a body takes it for the next request, whose head, X-Mesh-Peer with
 * it, would be the caller's invention. So a request with a body asks for the end of its connection.
 */
bool provider_http_request_is_safe(const struct service_http_request *request);

/* provider_http_request_host: the host in requests to target (of a spec). */
const char *provider_http_request_host(const char *target);

/*
 * provider_http_request_write writes the head as HTTP/1.1, of a server at target (of a spec). It
 * adds Host, X-Mesh-Peer (the caller's key in z-base-32), X-Mesh-Correlation (hexadecimal) and
 * the body's framing: Content-Length, or chunks.
 */
void provider_http_request_write(struct writer *w, const struct service_http_request *request,
				 const char *target, const struct service_caller *caller);

/*
 * provider_http_request_write_upgrade is provider_http_request_write of a request that asks for a
 * WebSocket. Origin, which the caller's gateway compared with its own name, becomes the server's
 * own address: it knows no other.
 */
void provider_http_request_write_upgrade(struct writer *w,
					 const struct service_http_request *request,
					 const char *target, const struct service_caller *caller);

#endif
