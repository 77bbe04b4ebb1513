/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_HTTP_GET_H
#define WEFT_HTTP_HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * One HTTP request to another machine, over TLS or not, waited for. Name look-up, connection,
 * request and answer are within one time limit, on a connection of its own. Redirects are not
 * followed: a caller here asks one configured host. Certificates are verified by host name against
 * the machine's authorities, or those in ca_file.
 */
struct http_get {
	/* The request; borrowed while it runs. */
	const char *url;
	const char *method; /* "GET", "PUT", "POST" */
	const void *body;
	size_t body_len;
	const char *body_type; /* NULL: no body */
	const char *field;     /* one more of the head, "Name: value"; NULL: none */
	const char *ca_file;   /* PEM; NULL: the machine's own */
	bool is_foreign; /* url is another's word: no address of loopback or of a link counts */
	uint64_t timeout_ns;
	int stop_fd;	 /* readable: give up (jobs_stop_fd); -1: never */
	uint8_t *answer; /* room for answer_cap bytes; NULL: the body is not wanted */
	size_t answer_cap;

	/* The result. */
	unsigned status; /* of HTTP, 200 to 599; 0: no answer */
	size_t answer_len;
};

/*
 * http_get_run returns 0 when an answer came, whatever its status, or:
 *   WEFT_EMALFORMED   url is none, or the answer is no HTTP
 *   WEFT_EABSENT      the host's name has no address
 *   WEFT_EUNREACHABLE none of its addresses takes a connection, or it broke off
 *   WEFT_EWRONGKEY    the certificate is not the host's, or no trusted authority vouches for it
 *   WEFT_ETIMEOUT     timeout_ns is over
 *   WEFT_ECANCELLED   stop_fd is readable
 *   WEFT_ETOOLARGE    the answer is longer than answer_cap
 *   -errno
 * Context: a job thread; it reads the clock itself.
 */
WEFT_MUST_CHECK
int http_get_run(struct http_get *fetch);

#endif
