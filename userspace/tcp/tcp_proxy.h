/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_PROXY_H
#define WEFT_TCP_TCP_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/monotonic.h"
#include "weft/err.h"

/*
 * An HTTP proxy that opens TCP connections by CONNECT (RFC 9110, 9.3.6), for networks that let
 * nothing else out. What is asked of it and what it answers, without I/O. TLS passes through it
 * end to end, so it learns addresses and sizes.
 */
#define TCP_PROXY_USER_MAX    255 /* bytes of user:password (RFC 7617) */
#define TCP_PROXY_REQUEST_CAP 1024
#define TCP_PROXY_ANSWER_MAX  4096 /* bytes of its answer, interim ones (1xx) among them */
#define TCP_PROXY_FIELD_CAP   512
/* From the dial to its answer: less than a caller of weft peer connect waits, so it hears why. */
#define TCP_PROXY_ANSWER_NS (5 * NS_PER_S)

/*
 * Why a connection through the proxy was not opened. As the code of a transport_close whose err is
 * WEFT_EUNREACHABLE it says that the proxy failed, and not the peer. TCP_PROXY_OK: nothing did.
 */
enum tcp_proxy_fault {
	TCP_PROXY_OK,
	TCP_PROXY_ABSENT = 1, /* its address takes no connection */
	TCP_PROXY_SILENT,     /* it did not answer in time */
	TCP_PROXY_FOREIGN,    /* what it said is no answer of HTTP */
	TCP_PROXY_CUT,	      /* it ended the connection before it had answered */
	TCP_PROXY_STATUS_MIN = 100,
	TCP_PROXY_STATUS_MAX = 999, /* its answer's status, which is not 2xx */
};

/*
 * tcp_proxy_is_of_destination: the proxy answered that it does not connect there, so the proxy itself
 * works. 500 is what tinyproxy says of an address that takes no connection.
 */
bool tcp_proxy_is_of_destination(unsigned fault);

/* How the last connections through it went: when one did so last; 0: never. */
struct tcp_proxy_view {
	struct addr addr; /* ADDR_NONE: there is no proxy */
	unsigned fault;	  /* enum tcp_proxy_fault, of the newest for which the proxy is to blame */
	unsigned refused; /* likewise, of the newest destination that it did not connect to */
	uint64_t failed_ns, refused_ns, opened_ns;
};

/* tcp_proxy_parse reads http://ADDRESS:PORT; 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int tcp_proxy_parse(const char *text, struct addr *out_addr);
/* tcp_proxy_serves: an address of the Internet is dialled through the proxy, others directly. */
bool tcp_proxy_serves(const struct addr *remote);
/*
 * tcp_proxy_field_write writes the field of a request that has user, "user:password", and a NUL.
 * 0, or WEFT_EMALFORMED: user has no colon, a control character or too many bytes.
 */
WEFT_MUST_CHECK
int tcp_proxy_field_write(const char *user, char field[static TCP_PROXY_FIELD_CAP]);
/* tcp_proxy_request_write: field may be empty. The length, below TCP_PROXY_REQUEST_CAP. */
size_t tcp_proxy_request_write(const struct addr *remote, const char *field,
			       char request[static TCP_PROXY_REQUEST_CAP]);
/*
 * tcp_proxy_read reads an answer in pieces; reader is zero before the first. 1: it is whole, with
 * reader->status, which is not 1xx; bytes of data behind the first *out_used are the peer's. 0: more
 * are needed. WEFT_EMALFORMED: it is none, or has no end within TCP_PROXY_ANSWER_MAX.
 */
struct tcp_proxy_reader {
	uint16_t len;	  /* bytes of all answers */
	uint16_t status;  /* digits of the newest */
	uint8_t line_len; /* bytes of its first line, as far as they are looked at */
	uint8_t end_len;  /* bytes of the empty line at its end */
};
WEFT_MUST_CHECK
int tcp_proxy_read(struct tcp_proxy_reader *reader, const char *data, size_t len, size_t *out_used);

#endif
