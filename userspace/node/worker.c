/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's loop: receive a batch, dispatch, drain mailboxes, run
 * timers, flush, wait. Everything between is sans-I/O and takes now_ns.
 * The only switch on flow class stands here.
 */
#include "base/clock.h"
#include "base/jobs.h"
#include "content/content.h"
#include "demux/demux.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "store/store.h"

/* GOODBYE reason: the daemon is shutting down (docs/wire/frames.md). */
#define GOODBYE_SHUTDOWN 1
/* Peers may redial a restarted daemon after this. */
#define GOODBYE_NOT_BEFORE_MS 2000

/* Returns true when the batch was full: more is probably waiting. */
static bool node_receive(struct node *node, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(node->rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		switch (demux_classify(&dgrams[i])) {
		case WEFT_FLOW_QUIC_LONG:
		case WEFT_FLOW_QUIC_SHORT:
			quic_engine_input(node->quic, &dgrams[i], now_ns);
			break;
		default:
			node->unknown_flow_cnt++;
			break;
		}
	}
	return cnt == PACKET_BURST_MAX;
}

static bool node_drain_mailboxes(struct node *node, uint64_t now_ns)
{
	unsigned cnt = store_reap(node->store);

	cnt += jobs_reap(node->jobs);
	content_reap(node->content, now_ns);
	return cnt > 0;
}

static void node_flush(struct node *node, uint64_t now_ns)
{
	quic_engine_flush(node->quic, now_ns);
	node->is_tx_waiting = packet_tx_flush(node->tx) == WEFT_EBUSY;
}

bool node_turn(struct node *node, uint64_t now_ns)
{
	bool is_busy;

	node->now_ns = now_ns;
	node->turn_cnt++;
	is_busy = node_receive(node, now_ns);
	is_busy |= node_drain_mailboxes(node, now_ns);
	timer_wheel_expire(&node->timers, now_ns);
	quic_engine_expire(node->quic, now_ns);
	node_flush(node, now_ns);
	return is_busy;
}

uint64_t node_next_ns(const struct node *node)
{
	uint64_t timers_ns = timer_wheel_next_ns(&node->timers);
	uint64_t quic_ns = quic_engine_next_ns(node->quic);
	uint64_t next_ns = timers_ns < quic_ns ? timers_ns : quic_ns;

	/* Without threads, jobs and commits run in the next turn. */
	if (!node->poller && (jobs_in_flight(node->jobs) || store_is_pending(node->store) ||
			      content_is_hashing(node->content)))
		return node->now_ns;
	/* A full socket has no descriptor event here: look again soon. */
	if (node->is_tx_waiting && next_ns > node->now_ns + NS_PER_MS)
		return node->now_ns + NS_PER_MS;
	return next_ns;
}

/* Bounded: what the disks do not finish in time is found again at start. */
static void node_drain(struct node *node)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + node->config->drain_timeout_ns;

	quic_engine_drain(node->quic);
	mesh_goodbye(node->mesh, GOODBYE_SHUTDOWN, GOODBYE_NOT_BEFORE_MS, now_ns);
	do {
		(void)node_turn(node, now_ns);
		if (poller_wait(node->poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns && (jobs_in_flight(node->jobs) ||
					  store_is_pending(node->store) || node->is_tx_waiting));
	store_flush(node->store);
}

int node_run(struct node *node)
{
	while (!node->is_stopping) {
		bool is_busy = node_turn(node, clock_monotonic_ns());
		int err = poller_wait(node->poller, is_busy ? 0 : node_next_ns(node));

		if (err < 0)
			return err;
	}
	node_drain(node);
	return 0;
}

void node_stop(struct node *node)
{
	node->is_stopping = true;
}
