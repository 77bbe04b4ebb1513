/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_PORT_PROBE_H
#define WEFT_NODE_PORT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct addr;
struct port_probes;
struct random;

/* Probes that wait for an answer at once; the oldest makes room for one more. */
#define PORT_PROBE_CNT 8

/*
 * node_port_probe asks whether anybody is at remote; mesh_knocked of the node that
 * is ctx is told, if there is an answer at all. Nobody is asked while a link is down.
 */
void node_port_probe(void *ctx, const struct addr *remote);
/* node_port_probes_close takes NULL. */
void node_port_probes_close(struct port_probes *port_probes);

/*
 * A port probe, as bytes: the start of a connection of a version that nobody has,
 * which any server answers by naming its own (RFC 9000 6.1, 15). node_port_probe_is_answer:
 * that is what answer is, and it repeats the ids of port probe.
 */
#define PORT_PROBE_LEN 1200
void node_port_probe_write(uint8_t out_probe[static PORT_PROBE_LEN], struct random *random);
bool node_port_probe_is_answer(const uint8_t port_probe[static PORT_PROBE_LEN],
			       const uint8_t *answer, size_t len);

#endif
