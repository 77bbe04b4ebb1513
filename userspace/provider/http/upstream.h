/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_UPSTREAM_H
#define WEFT_PROVIDER_HTTP_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "weft/err.h"

/* Where a local program listens, and connecting to it without waiting. */
struct upstream_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/*
 * provider_upstream_addr_parse: "127.0.0.1:8080", "[::1]:8080", "unix:/path". 0 or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int provider_upstream_addr_parse(const char *text, struct upstream_addr *out_addr);
/*
 * provider_upstream_addr_of_path: of a unix socket. 0 or WEFT_EMALFORMED (empty, not absolute, too
 * long).
 */
WEFT_MUST_CHECK
int provider_upstream_addr_of_path(const char *path, struct upstream_addr *out_addr);

/*
 * provider_upstream_connect begins to connect: a descriptor, yours, that does not
 * block and is not inherited, or -errno. It can be written to when it is
 * there: ask provider_upstream_connect_result then: 0 or -errno.
 */
WEFT_MUST_CHECK
int provider_upstream_connect(const struct upstream_addr *addr);
WEFT_MUST_CHECK
int provider_upstream_connect_result(int fd);

struct poller;
struct poller_watch;
/*
 * provider_upstream_watch waits for interest: POLLER_IN, POLLER_OUT, both or 0. *io_interest is the
 * interest until now. With 0 the poller forgets the connection: otherwise it would report the
 * connection's end again and again to an owner not ready for it. 0, WEFT_EFULL or -errno.
 */
WEFT_MUST_CHECK
int provider_upstream_watch(struct poller *poller, struct poller_watch *watch,
			    unsigned *io_interest, unsigned interest);

/*
 * provider_upstream_err_text: the meaning of a connection's -errno for the program, in a few words.
 */
const char *provider_upstream_err_text(int err);

#endif
