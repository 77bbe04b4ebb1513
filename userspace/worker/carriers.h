/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_CARRIERS_H
#define WEFT_WORKER_CARRIERS_H

#include "base/fair/fair.h"
#include "base/transport.h"

struct tcp_config;
struct worker;
struct worker_params;

/*
 * The carriers of a worker as one transport for its mesh. A dial goes to the carrier that the
 * address names, and every other call to the one that made the connection or stream.
 */
struct carriers {
	struct transport transport; /* first: the mesh's pointer is this one */
	struct transport *quic;
	struct transport *tcp;	/* NULL: none */
	struct transport *line; /* tcp's engine, where this node has lines; else NULL */
	bool is_held; /* a device has no link: what asked for it would delay all behind it */
};

/* worker_carriers_init: of worker's engines. Returns what the mesh speaks over. */
struct transport *worker_carriers_init(struct worker *worker, const struct tcp_config *config);

/* worker_carriers_key_class: what a key is to the worker ctx, for shares of its tables. */
enum fair_class worker_carriers_key_class(void *ctx, const uint8_t *key);
/*
 * worker_carriers_open_tcp makes the engine, and worker_carriers_listen its sockets once there is a
 * poller. As worker_open.
 */
WEFT_MUST_CHECK
int worker_carriers_open_tcp(struct worker *worker, const struct worker_params *params, char *what);
WEFT_MUST_CHECK
int worker_carriers_listen(struct worker *worker, const struct worker_params *params, char *what);

#endif
