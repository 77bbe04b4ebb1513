/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's turn: receive a batch, dispatch it, drain mailboxes, run timers,
 * flush. Everything between receive and flush is sans-I/O and takes now_ns.
 *
 * A batch of each receive side is judged, then given to its protocol, handed
 * over, or forwarded to the other leg of a relayed flow. The only switch on
 * flow class stands here.
 */
#include "base/dgram.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "net/packet_io.h"
#include "net/udp/handover.h"
#include "net/xdp/xdp.h"
#include "quic/quic.h"
#include "relay/forward.h"
#include "tcp/tcp.h"
#include "tcp_legs.h"
#include "worker.h"
#include "worker_lines.h"

/* Bursts of the socket before a ring's, at most: about as much as its buffer holds. */
#define SOCKET_BURSTS_MAX 64

/*
 * A datagram that another worker owns goes there: the queue it came by, or
 * an id that the kernel's steering cannot read, led it here. Returns
 * whether it went.
 */
static bool worker_hand_over(struct worker *worker, const struct dgram *dgram)
{
	int owner = dgram->judged.owner;

	if (owner < 0 || (unsigned)owner == worker->idx ||
	    (unsigned)owner >= net_handover_worker_cnt(worker->handover))
		return false;
	(void)net_handover_give(worker->handover, worker->idx, (unsigned)owner, dgram);
	return true;
}

/*
 * The XDP program judged a ring's datagrams but relayed ones, and a giver those handed over. Of
 * these the reason is not known here, and WEFT_REASON_CNT is returned.
 */
static enum weft_reason worker_judge(struct worker *worker, const struct packet_rx *rx,
				     struct dgram *dgram)
{
	if (worker->judge && (rx == worker->rx || dgram->judged.flow == WEFT_FLOW_RELAY))
		return net_ingress_judge_dgram(worker->judge, dgram);
	net_ingress_find_owner(dgram, quic_engine_cid_keys(worker->quic));
	return WEFT_REASON_CNT;
}

static bool worker_relay(struct worker *worker, const struct dgram *dgram, enum weft_reason reason)
{
	return reason != WEFT_REASON_CNT && dgram->judged.flow == WEFT_FLOW_RELAY &&
	       relay_forward_input(&worker->relay, dgram, &worker->judge->tables->relay_way,
				   reason);
}

void worker_input_relayed(struct worker *worker, struct dgram *dgram)
{
	(void)net_ingress_classify(dgram);
	net_ingress_find_owner(dgram, quic_engine_cid_keys(worker->quic));
	if (dgram->judged.flow >= WEFT_FLOW_QUIC_LONG)
		quic_engine_input(worker->quic, dgram, worker->now_ns);
	else
		worker->unknown_flow_cnt++;
}

void worker_input_label(struct worker *worker, struct dgram *dgram)
{
	if (!worker->relay_end)
		worker->unknown_flow_cnt++;
	else if (worker->relay_end->input(worker->relay_end_ctx, dgram, worker->now_ns))
		worker_input_relayed(worker, dgram);
}

static void worker_input_quic(struct worker *worker, struct dgram *dgram)
{
	/* Labels are this node's own: no host is at one. */
	if (addr_has_relay_prefix(&dgram->remote))
		worker->unknown_flow_cnt++;
	else
		quic_engine_input(worker->quic, dgram, worker->now_ns);
}

static void worker_dispatch(struct worker *worker, const struct packet_rx *rx, struct dgram *dgrams,
			    unsigned cnt)
{
	bool is_handed = worker->handover && rx == net_handover_rx(worker->handover, worker->idx);

	for (unsigned i = 0; i < cnt; i++) {
		struct dgram *dgram = &dgrams[i];
		enum weft_reason reason;

		if (is_handed && worker_leg_take(worker, dgram))
			continue;
		reason = worker_judge(worker, rx, dgram);
		if (dgram->judged.verdict == WEFT_DROP ||
		    (worker->handover && !is_handed && worker_hand_over(worker, dgram)))
			continue;
		if (worker_relay(worker, dgram, reason))
			continue;
		relay_forward_flush(&worker->relay);
		switch (dgram->judged.flow) {
		case WEFT_FLOW_QUIC_LONG:
		case WEFT_FLOW_QUIC_SHORT:
			worker_input_quic(worker, dgram);
			break;
		case WEFT_FLOW_RELAY:
			worker_input_label(worker, dgram);
			break;
		case WEFT_FLOW_KRPC:
			if (worker->krpc) {
				worker->krpc->input(worker->krpc_ctx, dgram, worker->now_ns);
				break;
			}
			worker->unknown_flow_cnt++;
			break;
		case WEFT_FLOW_STUN:
		case WEFT_FLOW_PROBE:
			if (worker->reachability) {
				worker->reachability->input(worker->reachability_ctx, dgram,
							    worker->now_ns);
				break;
			}
			/* fallthrough */
		default:
			worker->unknown_flow_cnt++;
			break;
		}
	}
	relay_forward_flush(&worker->relay);
}

/* Returns how many there were: of a whole batch, more are probably waiting. */
static unsigned worker_receive_from(struct worker *worker, struct packet_rx *rx)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);

	worker_dispatch(worker, rx, dgrams, cnt);
	return cnt;
}

/*
 * Frames that fit no AF_XDP socket come by the kernel's: generic mode sees
 * frames that a sender's offloads have not cut yet. The small frames
 * between them come by the ring, where nothing waits. A peer takes packets
 * that a hundred others overtook for lost and sends them again. So the
 * datagrams in the socket when the ring was looked at go first. Within a
 * turn the order is nothing: acknowledgements leave after it.
 */
bool worker_receive_queue(struct worker *worker, struct packet_rx *rx)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);
	unsigned before_cnt = cnt;

	for (unsigned i = 0; before_cnt && i < SOCKET_BURSTS_MAX; i++)
		before_cnt = worker_receive_from(worker, worker->rx);
	worker_dispatch(worker, rx, dgrams, cnt);
	return cnt == PACKET_BURST_MAX;
}

/* They are the kernel's sockets as well, and judged like the node's own. */
static bool worker_receive_ports(struct worker *worker)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	bool is_full = false;

	for (unsigned i = 0; worker->ports.cnt && i < SIDE_PORT_CAP; i++) {
		struct packet_rx *rx = worker->ports.rows[i].rx;
		unsigned cnt = rx ? packet_rx_burst(rx, dgrams, PACKET_BURST_MAX) : 0;

		worker_dispatch(worker, worker->rx, dgrams, cnt);
		is_full |= cnt == PACKET_BURST_MAX;
	}
	return is_full;
}

static bool worker_receive(struct worker *worker)
{
	bool is_full = false;

	for (unsigned i = 0; i < worker->queue_cap; i++)
		if (worker->queues[i].queue)
			is_full |= worker_receive_queue(worker, worker->queues[i].queue->rx);
	is_full |= worker_receive_from(worker, worker->rx) == PACKET_BURST_MAX;
	is_full |= worker_receive_ports(worker);
	if (!worker->handover)
		return is_full;
	net_handover_flush(worker->handover, worker->idx);
	return worker_receive_from(worker, net_handover_rx(worker->handover, worker->idx)) ==
		       PACKET_BURST_MAX ||
	       is_full;
}

static bool worker_drain_mailboxes(struct worker *worker, uint64_t now_ns)
{
	unsigned cnt = jobs_reap(worker->jobs);

	worker->content_ops->reap(worker->content, now_ns);
	return cnt > 0;
}

static void worker_flush(struct worker *worker, uint64_t now_ns)
{
	quic_engine_flush(worker->quic, now_ns);
	if (worker->tcp)
		tcp_engine_flush(worker->tcp, now_ns);
	if (worker->krpc)
		worker->krpc->flush(worker->krpc_ctx, now_ns);
	if (worker->has_handed)
		net_handover_flush(worker->handover, worker->idx);
	worker->has_handed = false;
	worker->is_tx_waiting =
		packet_tx_flush(worker->fast_tx ? worker->fast_tx : worker->tx) == WEFT_EBUSY;
	worker->is_tx_waiting |= !worker_ports_flush(&worker->ports);
}

bool worker_turn(struct worker *worker, uint64_t now_ns)
{
	bool is_busy;

	worker->now_ns = now_ns;
	worker->turn_cnt++;
	if (worker->ingress)
		firewall_ingress_turn(worker->ingress, now_ns);
	if (worker->xdp_worker)
		net_xdp_worker_turn(worker->xdp_worker, now_ns);
	is_busy = worker_receive(worker);
	is_busy |= worker_drain_mailboxes(worker, now_ns);
	timer_wheel_expire(&worker->timers, now_ns);
	quic_engine_expire(worker->quic, now_ns);
	if (worker->tcp)
		tcp_engine_expire(worker->tcp, now_ns);
	worker_lines_expire(worker->lines, now_ns);
	if (worker->krpc)
		worker->krpc->expire(worker->krpc_ctx, now_ns);
	worker_flush(worker, now_ns);
	return is_busy;
}

uint64_t worker_next_ns(const struct worker *worker)
{
	uint64_t timers_ns = timer_wheel_next_ns(&worker->timers);
	uint64_t quic_ns = quic_engine_next_ns(worker->quic);
	uint64_t dht_ns = worker->krpc ? worker->krpc->next_ns(worker->krpc_ctx) : UINT64_MAX;
	uint64_t next_ns = timers_ns < quic_ns ? timers_ns : quic_ns;

	if (dht_ns < next_ns)
		next_ns = dht_ns;
	if (worker->tcp && tcp_engine_next_ns(worker->tcp) < next_ns)
		next_ns = tcp_engine_next_ns(worker->tcp);
	if (worker_lines_next_ns(worker->lines) < next_ns)
		next_ns = worker_lines_next_ns(worker->lines);
	/* Without threads, jobs run in the next turn. */
	if (worker->is_simulated &&
	    (jobs_in_flight(worker->jobs) || worker->content_ops->is_busy(worker->content)))
		return worker->now_ns;
	/* A full socket has no descriptor event here: look again soon. */
	if (worker->is_tx_waiting && next_ns > worker->now_ns + NS_PER_MS)
		return worker->now_ns + NS_PER_MS;
	return next_ns;
}
