/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_SIDE_PORTS_H
#define WEFT_WORKER_SIDE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/dgram.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "net/packet_io.h"

struct worker;

/*
 * UDP ports of home beside its own. A search of ports (punch/) finds a path that leads to one of them,
 * and the session stays there. What QUIC and hole punching send goes by the sink here. It looks at the
 * local port of each datagram: one of a side port leaves by that port's own socket, all else as before.
 *
 * Peers can fill the table, one place for a session of theirs. Unknown peers may have half of it, and the
 * peers of one network a quarter; unknown ones of one network have an eighth. Where none is free no search
 * begins, and the session stays relayed.
 */
#define SIDE_PORT_CAP		      16
#define SIDE_PORT_UNKNOWN_MAX	      (SIDE_PORT_CAP / 2)
#define SIDE_PORT_NETWORK_MAX	      (SIDE_PORT_CAP / 4)
#define SIDE_PORT_UNKNOWN_NETWORK_MAX (SIDE_PORT_CAP / 8)

/* For which peer a place is. */
struct side_port_owner {
	bool is_unknown;
	uint64_t network; /* where it is (fair_network_of_addr); 0: that is not known yet */
};

struct side_port {
	struct packet_rx *rx; /* NULL: free */
	struct packet_tx *tx;
	struct addr bound;
	struct side_port_owner owner;
	struct poller_watch watch;
	uint64_t used_ns; /* it is looked at as not used since then */
};

struct side_ports {
	struct dgram_sink sink; /* first */
	struct dgram_sink *inner;
	struct side_port rows[SIDE_PORT_CAP];
	unsigned cnt;
	uint64_t lost_cnt;    /* datagrams for which a port's socket had no room */
	struct udp_hold hold; /* a port that opens has it, too */
	struct timer timer;
};

/* worker_ports_init: inner sends what is of no side port; worker_ports_sink changes it. */
void worker_ports_init(struct side_ports *ports, struct dgram_sink *inner);
struct dgram_sink *worker_ports_sink(struct side_ports *ports, struct dgram_sink *inner);
/* worker_ports_flush: false: some of it waits for room. */
bool worker_ports_flush(struct side_ports *ports);
void worker_ports_hold(struct side_ports *ports, const struct udp_hold *hold);
void worker_ports_close(struct worker *worker);

#endif
