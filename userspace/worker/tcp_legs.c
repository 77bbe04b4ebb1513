/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the TCP engine and the two users of datagrams in it: the relay's forwarding, and the ends
 * of this node's own flows. Inbound: worker_leg_input, for home perhaps by worker_leg_take. Outbound:
 * worker_leg_send, for another worker by its worker_leg_take. In the handover a datagram out has a
 * leg for its remote address alone, and one in has the leg for both.
 */
#include "tcp_legs.h"

#include "base/dgram.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "net/udp/handover.h"
#include "tcp/tcp.h"
#include "worker.h"

static void leg_write(struct worker *worker, const struct addr *leg, const struct dgram *dgram)
{
	const struct tcp_dgram out = {.data = dgram->data, .len = dgram->len, .ecn = dgram->ecn};

	if (addr_leg_worker(leg) == ADDR_LEG_GUEST) {
		if (worker->on_guest)
			worker->on_guest(worker->guest_ctx, dgram);
		return;
	}
	/* What fails is counted there. */
	if (worker->tcp &&
	    tcp_engine_send_dgram(worker->tcp, addr_leg_name(leg), &out, worker->now_ns) < 0)
		return;
}

static void leg_hand_over(struct worker *worker, unsigned to, const struct dgram *dgram)
{
	if (!worker->handover || to >= net_handover_worker_cnt(worker->handover))
		return;
	(void)net_handover_give(worker->handover, worker->idx, to, dgram);
	worker->has_handed = true;
}

void worker_leg_send(void *ctx, const struct addr *leg, const struct dgram *dgram)
{
	struct worker *worker = ctx;
	struct dgram out = {
		.data = dgram->data, .len = dgram->len, .ecn = dgram->ecn, .remote = *leg};

	/* Guests are home's. */
	unsigned to = addr_leg_worker(leg) == ADDR_LEG_GUEST ? 0 : addr_leg_worker(leg);

	if (to == worker->idx)
		leg_write(worker, leg, dgram);
	else
		leg_hand_over(worker, to, &out);
}

/* From an end, to this relay. */
static void leg_relay(struct worker *worker, struct dgram *dgram)
{
	enum weft_reason reason;

	firewall_ingress_turn(worker->ingress, worker->now_ns);
	reason = net_ingress_judge_leg(worker->judge, dgram);
	if (dgram->judged.verdict == WEFT_DROP)
		return;
	(void)relay_forward_input(&worker->relay, dgram, &worker->judge->tables->relay_way, reason);
	/* The run holds a slot of the sink, which others use before the next batch. */
	relay_forward_flush(&worker->relay);
}

void worker_leg_input(void *ctx, const uint8_t *key, const struct tcp_dgram *in, uint64_t now_ns)
{
	struct worker *worker = ctx;
	const struct addr leg = addr_of_leg(key, worker->idx);
	struct dgram dgram = {
		.data = in->data, .len = in->len, .ecn = in->ecn, .local = leg, .remote = leg};
	bool is_to_relay = in->len > 1 && (in->data[1] & 3) == WEFT_RELAY_TO_RELAY;

	/* Bytes come between turns, perhaps long after the last one. */
	if (now_ns > worker->now_ns)
		worker->now_ns = now_ns;
	if (in->data[0] != WEFT_RELAY_FIRST_BYTE)
		worker->unknown_flow_cnt++;
	else if (is_to_relay && worker->ingress)
		leg_relay(worker, &dgram);
	else if (worker->idx == 0)
		worker_input_label(worker, &dgram);
	else
		leg_hand_over(worker, 0, &dgram);
}

void worker_guest_input(struct worker *worker, const uint8_t *key, const struct tcp_dgram *in)
{
	const struct addr leg = addr_of_leg(key, ADDR_LEG_GUEST);
	struct dgram dgram = {
		.data = in->data, .len = in->len, .ecn = in->ecn, .local = leg, .remote = leg};

	if (worker->ingress)
		leg_relay(worker, &dgram);
}

bool worker_leg_take(struct worker *worker, struct dgram *dgram)
{
	if (!addr_is_leg(&dgram->remote))
		return false;
	if (addr_is_leg(&dgram->local))
		worker_input_label(worker, dgram);
	else
		leg_write(worker, &dgram->remote, dgram);
	return true;
}
