/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_PORT_PROBE_H
#define WEFT_NET_PORT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct addr;
struct poller;
struct port_probes;
struct random;
struct timer_wheel;

/* Probes that wait for an answer at once; the oldest makes room for one more. */
#define PORT_PROBE_CNT 8

struct port_probes_params {
	struct poller *poller;
	struct timer_wheel *timers;
	struct random *random;
	const uint64_t *now_ns;
	/*
	 * The answer, as far as there is one: a server listens at remote, or
	 * its host says that none does.
	 */
	void (*answered)(void *ctx, const struct addr *remote, bool is_there, uint64_t now_ns);
	void *ctx;
};
/* net_port_probes_new: NULL: no memory. net_port_probes_free takes NULL. */
struct port_probes *net_port_probes_new(const struct port_probes_params *params);
void net_port_probes_free(struct port_probes *port_probes);
/* net_port_probe asks whether a server listens at remote. */
void net_port_probe(struct port_probes *port_probes, const struct addr *remote);

/*
 * A port probe, as bytes: the start of a connection in a version that no server has. Any
 * server answers it by naming its own versions (RFC 9000 6.1, 15).
 * net_port_probe_is_answer: answer is such an answer, and repeats the ids of port_probe.
 */
#define PORT_PROBE_LEN 1200
void net_port_probe_write(uint8_t out_probe[static PORT_PROBE_LEN], struct random *random);
bool net_port_probe_is_answer(const uint8_t port_probe[static PORT_PROBE_LEN],
			      const uint8_t *answer, size_t len);

#endif
