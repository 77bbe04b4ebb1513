/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_HTTP_ENVELOPE_H
#define WEFT_SERVICE_HTTP_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * HTTP over a stream of a service (RFC 9110 semantics, without the framing of RFC 9112). A
 * request opens a stream with SERVICE_HTTP_METHOD and its head as the opening's head. Its body
 * is the messages that follow, until finish. The answer's first message is its head, the rest
 * its body, until finish.
 *
 *	request {0: method, 1: path with query, 2: [[name text, value bytes], ...]}
 *	answer  {0: status, 2: [[name text, value bytes], ...]}
 *
 * Values are bytes because RFC 9110 5.5 allows values that are not UTF-8.
 *
 * Fields that must not cross are left out when a head is written. They are left out again when
 * one is read, so that neither side relies on the other. Names are compared in any case and with
 * '_' as '-', because CGI and WSGI see no difference between the two.
 *
 * Both leave out the fields of one connection (Connection and the fields it names, Keep-Alive,
 * Proxy*, TE, Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings), and
 *	X-Mesh-*	set by weft alone
 *	Content-Length	is body_len, so that no sender can give two lengths
 * Requests leave out:
 *	Host, Forwarded, X-Forwarded-*, X-Real-IP, X-Client-IP, True-Client-IP
 *			programs believe these from connections of this machine
 *	X-Original-URL, X-Rewrite-URL
 *			some programs serve them in place of the path that was checked
 *	X-HTTP-Method, X-HTTP-Method-Override, X-Method-Override
 *			some programs take them for the method that was checked
 *	Expect		the caller's own side lets it go on
 *	Cookie2		obsolete (RFC 6265), as is Set-Cookie2 of answers
 * Answers leave out, as all services share the one origin of a gateway:
 *	Service-Worker-Allowed, Clear-Site-Data, Alt-Svc, Access-Control-*
 *			apply to the whole origin
 *	X-Accel-*, X-Sendfile
 *			orders to a web server in front of the gateway
 *
 * Authorization is passed: it names its one reader, the service, and travels on an encrypted
 * session to the key that was asked for. A gateway that reads one itself, as its own token, leaves
 * it out of the head it writes here. Cookie, Set-Cookie and WWW-Authenticate are passed, too: they
 * are the service's own where it has an origin of its own. A gateway leaves them out at an origin
 * that services share.
 *
 * SERVICE_HTTP_UPGRADE is the method of a request that wants to go on as a WebSocket (RFC 6455):
 * a GET without a body. Behind an answer of status 101 come the connection's bytes, both ways,
 * in messages whose bounds mean nothing. Any other answer is as above. The asker sends nothing
 * before it has the answer: the server would take early bytes for its next request.
 */
#define SERVICE_HTTP_METHOD	     "HttpInvoke"
#define SERVICE_HTTP_UPGRADE	     "HttpUpgrade"
#define SERVICE_HTTP_SWITCHED	     101
#define SERVICE_HTTP_HEAD_LEN_MAX    16384 /* as it travels */
#define SERVICE_HTTP_HEADERS_MAX     64
#define SERVICE_HTTP_VERB_LEN_MAX    24
#define SERVICE_HTTP_TARGET_LEN_MAX  8192
#define SERVICE_HTTP_BODY_LEN_UNTOLD UINT64_MAX

/* All pointers are borrowed and not NUL-terminated. */
struct service_http_header {
	const char *name;  /* a token (RFC 9110 5.6.2) */
	const char *value; /* no byte below 0x20 but tab, no 0x7f */
	size_t name_len, value_len;
};

struct service_http_headers {
	struct service_http_header list[SERVICE_HTTP_HEADERS_MAX];
	unsigned cnt;
};

/* verb: a token, neither CONNECT nor TRACE. target: from '/', visible ASCII without '#'. */
struct service_http_request {
	const char *verb, *target;
	size_t verb_len, target_len;
	uint64_t body_len;
	struct service_http_headers headers;
};

/* body_len of an answer to HEAD, and of a 304, is that of the body that is left away. */
struct service_http_answer {
	unsigned status; /* [200, 599] */
	uint64_t body_len;
	struct service_http_headers headers;
};

/*
 * service_http_{request,answer}_write leaves out the fields that must not cross. WEFT_EMALFORMED: a
 * part is not as described above; WEFT_ETOOLARGE: the target or the head are longer than they may
 * be, or w has no room.
 */
WEFT_MUST_CHECK
int service_http_request_write(struct writer *w, const struct service_http_request *request);
WEFT_MUST_CHECK
int service_http_answer_write(struct writer *w, const struct service_http_answer *answer);
/* service_http_{request,answer}_parse: the outcome borrows from data. Errors as write. */
WEFT_MUST_CHECK
int service_http_request_parse(const uint8_t *data, size_t len,
			       struct service_http_request *out_request);
WEFT_MUST_CHECK
int service_http_answer_parse(const uint8_t *data, size_t len,
			      struct service_http_answer *out_answer);
/*
 * service_http_switch_{write,parse}: of an answer to SERVICE_HTTP_UPGRADE, whose status may also be
 * 101.
 */
WEFT_MUST_CHECK
int service_http_switch_write(struct writer *w, const struct service_http_answer *answer);
WEFT_MUST_CHECK
int service_http_switch_parse(const uint8_t *data, size_t len,
			      struct service_http_answer *out_answer);
/* service_http_is_method: a stream of method begins with the head of a request of HTTP. */
bool service_http_is_method(const char *method);
/*
 * service_http_wants_socket: the request asks for a WebSocket as RFC 6455, 4.1 says: a GET without
 * a body, and a key.
 */
bool service_http_wants_socket(const struct service_http_request *request);

/* service_http_header_lookup: the first of that name in any case, or NULL. */
const struct service_http_header *
service_http_header_lookup(const struct service_http_headers *headers, const char *name);

#endif
