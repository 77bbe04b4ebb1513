/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request as an HTTP/1.1 server wants it. Pure. */
#include "http_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/byte_cursor.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"

static bool has_body(const struct service_http_request *request)
{
	return request->body_len != 0;
}

static bool verb_is(const struct service_http_request *request, const char *verb)
{
	return request->verb_len == strlen(verb) &&
	       memcmp(request->verb, verb, request->verb_len) == 0;
}

bool provider_http_request_is_safe(const struct service_http_request *request)
{
	return !has_body(request) &&
	       (verb_is(request, "GET") || verb_is(request, "HEAD") || verb_is(request, "OPTIONS"));
}

static void text_write(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

static void field_write(struct writer *w, const char *name, const char *value)
{
	text_write(w, name);
	text_write(w, ": ");
	text_write(w, value);
	text_write(w, "\r\n");
}

static void caller_write(struct writer *w, const struct service_caller *caller)
{
	char key[ZBASE32_TEXT_LEN(MESH_KEY_LEN) + 1];
	char correlation[2 * SERVICE_KEY_LEN + 1];

	field_write(w, "X-Mesh-Peer", zbase32_write(caller->key, MESH_KEY_LEN, key));
	field_write(w, "X-Mesh-Correlation",
		    hex_write(caller->correlation, SERVICE_KEY_LEN, correlation));
}

static void framing_write(struct writer *w, const struct service_http_request *request)
{
	char digits[24];

	if (!provider_http_request_is_safe(request))
		field_write(w, "Connection", "close");
	if (request->body_len == SERVICE_HTTP_BODY_LEN_UNTOLD) {
		field_write(w, "Transfer-Encoding", "chunked");
	} else if (!provider_http_request_is_safe(request)) {
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)request->body_len);
		field_write(w, "Content-Length", digits);
	}
}

/* A path is no host, nor is a zone of an address (RFC 6874). */
const char *provider_http_request_host(const char *target)
{
	return strncmp(target, "unix:", 5) != 0 && !strchr(target, '%') ? target : "localhost";
}

static void header_write(struct writer *w, const struct service_http_header *header)
{
	writer_bytes(w, header->name, header->name_len);
	text_write(w, ": ");
	writer_bytes(w, header->value, header->value_len);
	text_write(w, "\r\n");
}

static void line_write(struct writer *w, const struct service_http_request *request,
		       const char *target, const struct service_caller *caller)
{
	writer_bytes(w, request->verb, request->verb_len);
	text_write(w, " ");
	writer_bytes(w, request->target, request->target_len);
	text_write(w, " HTTP/1.1\r\n");
	field_write(w, "Host", provider_http_request_host(target));
	caller_write(w, caller);
}

/*
 * The asker's gateway compared Origin with the name that the page was loaded from. The server does
 * not know that name, so Origin becomes the server's own, as Host does.
 */
static void headers_write(struct writer *w, const struct service_http_request *request,
			  const char *target)
{
	bool has_origin = false;

	for (unsigned i = 0; i < request->headers.cnt; i++) {
		const struct service_http_header *header = &request->headers.list[i];

		if (header->name_len == 6 && strncasecmp(header->name, "Origin", 6) == 0)
			has_origin = true;
		else
			header_write(w, header);
	}
	if (!has_origin)
		return;
	text_write(w, "Origin: http://");
	text_write(w, provider_http_request_host(target));
	text_write(w, "\r\n");
}

void provider_http_request_write(struct writer *w, const struct service_http_request *request,
				 const char *target, const struct service_caller *caller)
{
	line_write(w, request, target, caller);
	headers_write(w, request, target);
	framing_write(w, request);
	text_write(w, "\r\n");
}

void provider_http_request_write_upgrade(struct writer *w,
					 const struct service_http_request *request,
					 const char *target, const struct service_caller *caller)
{
	line_write(w, request, target, caller);
	headers_write(w, request, target);
	field_write(w, "Connection", "Upgrade");
	field_write(w, "Upgrade", "websocket");
	text_write(w, "\r\n");
}
