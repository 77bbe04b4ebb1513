/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_RESOLVER_H
#define WEFT_NET_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * Host names to addresses, by the machine's own resolv.conf and hosts file
 * (c-ares; docs/decisions/0003). It waits, so it is called on job threads
 * alone; there it reads the monotonic clock itself.
 */
#define RESOLVER_HOST_CAP 254 /* 253 characters are the longest name (RFC 1035, 2.3.4) */

struct resolver_target {
	char host[RESOLVER_HOST_CAP]; /* a name, or an address without brackets */
	uint16_t port;
};

/*
 * net_resolver_target_parse reads "relay.example:6881", "192.0.2.1:6881" or
 * "[2001:db8::1]:6881"; a name is letters, digits, '-', '_' and dots.
 * 0, or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int net_resolver_target_parse(const char *text, struct resolver_target *out_target);

/*
 * net_resolver_lookup gives at most cap addresses of target, in the order in which they should be
 * tried (RFC 6724). It gives up as soon as stop_fd is readable (-1: never). Silent name servers
 * must not hold up a caller that waits for the job thread to end.
 *
 * Returns how many, at least 1, or:
 *   WEFT_EABSENT      the name has no address
 *   WEFT_ETIMEOUT     no answer by deadline_ns (CLOCK_MONOTONIC)
 *   WEFT_ECANCELLED   stop_fd is readable
 *   WEFT_EUNREACHABLE no name server to ask, or none that answers properly
 *   -errno
 */
WEFT_MUST_CHECK
int net_resolver_lookup(const struct resolver_target *target, uint64_t deadline_ns, int stop_fd,
			struct addr *out_addrs, unsigned cap);

/* net_resolver_is_name: letters, digits, '-', '_' and dots, as long as a name may be. */
bool net_resolver_is_name(const char *text);
/*
 * net_resolver_texts calls fn with each TXT record of a name, its strings together, up to
 * RESOLVER_TEXTS_MAX of them; longer ones than RESOLVER_TEXT_LEN_MAX are left out. As
 * net_resolver_lookup, but 0: also for a name without a record.
 */
#define RESOLVER_TEXTS_MAX    16u
#define RESOLVER_TEXT_LEN_MAX 1024u
WEFT_MUST_CHECK
int net_resolver_texts(const char *name, uint64_t deadline_ns, int stop_fd,
		       void (*fn)(void *arg, const char *text, size_t len), void *arg);

#endif
