/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_SOCKETS_H
#define WEFT_TCP_TCP_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct poller;
struct tcp_engine;
struct tcp_links;
struct tcp_sockets;
struct timer_wheel;

/*
 * The links of an engine as sockets of the kernel, on a worker's poller: listening, accepting,
 * dialling, and bytes. The engine's tables bound all that a peer can fill: a connection that the
 * engine does not want is closed at once.
 */
#define TCP_LISTEN_MAX 8

struct tcp_sockets_params {
	struct tcp_engine *engine; /* freed before the sockets are closed */
	struct poller *poller;
	struct timer_wheel *timers;
	const struct addr *listen; /* port 0: the kernel's choice */
	unsigned listen_cnt;
	unsigned link_cap;	/* tcp_config_link_cap */
	bool is_shared;		/* other workers listen on the same ports */
	struct addr proxy;	/* as the engine's config has it */
	const char *proxy_user; /* user:password there, copied; NULL: none */
};
/*
 * tcp_sockets_open: 0 with *out_sockets, WEFT_EFULL, WEFT_EMALFORMED (proxy_user), or -errno. An address that cannot be bound,
 * since another program has its port, is left out, and tcp_sockets_failed names it and says why.
 */
WEFT_MUST_CHECK
int tcp_sockets_open(const struct tcp_sockets_params *params, struct tcp_sockets **out_sockets);
int tcp_sockets_failed(const struct tcp_sockets *sockets, struct addr *out_addr);
/* tcp_sockets_close takes NULL. */
void tcp_sockets_close(struct tcp_sockets *sockets);
/* tcp_sockets_bound: what they listen on, ports filled in. How many. */
unsigned tcp_sockets_bound(const struct tcp_sockets *sockets,
			   struct addr out_bound[static TCP_LISTEN_MAX]);

#endif
