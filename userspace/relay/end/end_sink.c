/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams out and in. A run that QUIC made for the kernel to cut (GSO) gets a label before each
 * segment. The segments move apart in the slot, the last one first, so nothing is copied elsewhere.
 * The slot is asked for with room for that.
 */
#include <string.h>

#include "base/container_of.h"
#include "relay_end_state.h"

#define END_KIND_MASK 3u

/* QUIC's shortest full packet: a run has no more segments than that. */
static size_t headroom_of(size_t len)
{
	return (len / RELAY_MTU_MIN + 1) * RELAY_MESSAGE_LABEL_LEN;
}

static struct relay_end *end_of(struct dgram_sink *sink)
{
	return container_of(sink, struct relay_end, sink);
}

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct relay_end *end = end_of(sink);
	size_t max = end->inner->batch_len_max, want = len + headroom_of(len);

	/* A run as long as the sink takes is no relayed one. */
	if (want > max)
		want = len > max ? len : max;
	return end->inner->ops->reserve(end->inner, want, out_slot);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	struct relay_end *end = end_of(sink);

	end->inner->ops->cancel(end->inner, slot);
}

bool relay_end_queue_put(struct end_queue *queue, const uint8_t *data, size_t len, uint8_t ecn)
{
	struct end_queued *queued = &queue->dgrams[queue->cnt];

	if (queue->cnt == END_QUEUE_CNT || len > sizeof(queued->bytes) || !len)
		return false;
	queued->len = (uint16_t)len;
	queued->ecn = ecn;
	memcpy(queued->bytes, data, len);
	queue->cnt++;
	return true;
}

void relay_end_queue_drop(struct end_queue *queue, unsigned cnt)
{
	if (cnt > queue->cnt)
		cnt = queue->cnt;
	queue->cnt -= cnt;
	memmove(queue->dgrams, queue->dgrams + cnt, queue->cnt * sizeof(queue->dgrams[0]));
}

/* They wait for the flow; the next turn asks for it. */
static void flow_queue(struct end_flow *flow, const struct dgram_slot *slot, size_t len,
		       const struct dgram_route *route)
{
	struct relay_end *end = flow->end;
	size_t segment_len = route->segment_len ? route->segment_len : len;

	for (size_t off = 0; off < len; off += segment_len) {
		size_t part = len - off < segment_len ? len - off : segment_len;

		end->stats.unsent_cnt +=
			!relay_end_queue_put(&flow->out, slot->data + off, part, route->ecn);
	}
	relay_end_hurry(end, end->now_ns);
}

/* Returns the length with labels: the segments that fit, which are all that QUIC makes. */
static size_t label_segments(const struct end_flow *flow, const struct dgram_slot *slot, size_t len,
			     size_t segment_len)
{
	size_t cnt = (len + segment_len - 1) / segment_len, total;

	while (cnt && len + cnt * RELAY_MESSAGE_LABEL_LEN > slot->cap) {
		cnt--;
		len = cnt * segment_len;
		flow->end->stats.unsent_cnt++;
	}
	total = len + cnt * RELAY_MESSAGE_LABEL_LEN;
	while (cnt--) {
		size_t off = cnt * segment_len;
		uint8_t *at = slot->data + off + cnt * RELAY_MESSAGE_LABEL_LEN;

		memmove(at + RELAY_MESSAGE_LABEL_LEN, slot->data + off,
			len - off < segment_len ? len - off : segment_len);
		memcpy(at, flow->label, RELAY_MESSAGE_LABEL_LEN);
		flow->end->stats.sent_cnt++;
	}
	return total;
}

/* By TCP each datagram goes alone: what the slot has is copied. */
static void leg_commit(const struct end_flow *flow, const struct dgram_slot *slot, size_t total,
		       const struct dgram_route *labelled)
{
	struct relay_end *end = flow->end;
	size_t segment_len = labelled->segment_len ? labelled->segment_len : total;

	for (size_t off = 0; off < total; off += segment_len) {
		const struct dgram dgram = {
			.data = slot->data + off,
			.len = total - off < segment_len ? total - off : segment_len,
			.ecn = labelled->ecn,
		};

		end->params.leg_send(end->params.ctx, &flow->relay->leg, &dgram);
	}
	end->inner->ops->cancel(end->inner, slot);
}

static void flow_commit(struct end_flow *flow, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct relay_end *end = flow->end;
	size_t segment_len = route->segment_len ? route->segment_len : len;
	const struct dgram_route labelled = {
		.local = flow->relay->path.local,
		.remote = flow->relay->leg,
		.segment_len =
			route->segment_len ? route->segment_len + RELAY_MESSAGE_LABEL_LEN : 0,
		.ecn = route->ecn,
	};
	size_t total;

	flow->sent_cnt += (len + segment_len - 1) / segment_len;
	if (flow->relay->place.is_web) {
		relay_end_web_commit(flow, slot, len, route);
		end->inner->ops->cancel(end->inner, slot);
		return;
	}
	total = label_segments(flow, slot, len, segment_len);
	flow->used_sent_len += len;
	if (total && addr_is_leg(&labelled.remote))
		leg_commit(flow, slot, total, &labelled);
	else if (total)
		end->inner->ops->commit(end->inner, slot, total, &labelled);
	else
		end->inner->ops->cancel(end->inner, slot);
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct relay_end *end = end_of(sink);
	struct end_flow *flow;

	if (!addr_is_relayed(&route->remote)) {
		end->inner->ops->commit(end->inner, slot, len, route);
		return;
	}
	flow = len ? map_lookup(&end->flows_by_addr, &route->remote) : NULL;
	if (flow)
		flow->sent_ns = end->now_ns;
	/* Longer ones are probes for the path's MTU: QUIC takes them for lost, as behind the relay. */
	if (flow && flow->is_open && (route->segment_len ? route->segment_len : len) > flow->mtu) {
		end->stats.too_big_cnt++;
		end->inner->ops->cancel(end->inner, slot);
		return;
	}
	if (flow && flow->is_open && flow->relay->is_up) {
		flow_commit(flow, slot, len, route);
		return;
	}
	if (flow)
		flow_queue(flow, slot, len, route);
	else
		end->stats.unsent_cnt++;
	end->inner->ops->cancel(end->inner, slot);
}

const struct dgram_sink_ops relay_end_sink_ops = {
	.reserve = sink_reserve, .commit = sink_commit, .cancel = sink_cancel};

struct dgram_sink *relay_end_sink(struct relay_end *end, struct dgram_sink *inner)
{
	end->inner = inner;
	end->sink.batch_len_max = inner->batch_len_max;
	return &end->sink;
}

void relay_end_queue_send(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	struct end_queue *queue = &flow->out;

	if (!end->inner || !flow->relay->is_up)
		return;
	for (unsigned i = 0; i < queue->cnt; i++) {
		const struct end_queued *queued = &queue->dgrams[i];
		const struct dgram_route route = {.ecn = queued->ecn};
		struct dgram_slot slot;

		if (!end->inner->ops->reserve(end->inner, queued->len + RELAY_MESSAGE_LABEL_LEN,
					      &slot)) {
			end->stats.unsent_cnt++;
			continue;
		}
		memcpy(slot.data, queued->bytes, queued->len);
		flow_commit(flow, &slot, queued->len, &route);
	}
	queue->cnt = 0;
}

bool relay_end_flow_send(struct end_flow *flow, const uint8_t *data, size_t len)
{
	struct relay_end *end = flow->end;
	const struct dgram_route route = {.segment_len = 0};
	struct dgram_slot slot;

	if (!end->inner || !flow->is_open || !flow->relay->is_up ||
	    !end->inner->ops->reserve(end->inner, len + RELAY_MESSAGE_LABEL_LEN, &slot)) {
		end->stats.unsent_cnt++;
		return false;
	}
	memcpy(slot.data, data, len);
	flow_commit(flow, &slot, len, &route);
	return true;
}

/* --- in --- */

/* The flow of a labelled datagram from its relay; NULL: it is of none. */
static struct end_flow *flow_of_label(struct relay_end *end, const struct dgram *dgram)
{
	uint8_t heard[RELAY_MESSAGE_LABEL_LEN];
	struct end_flow *flow;

	if (dgram->len < sizeof(heard) || dgram->data[0] != WEFT_RELAY_FIRST_BYTE)
		return NULL;
	memcpy(heard, dgram->data, sizeof(heard));
	heard[1] = (uint8_t)((heard[1] & ~END_KIND_MASK) | WEFT_RELAY_TO_END);
	flow = map_lookup(&end->flows_by_heard, heard);
	if (!flow || !flow->relay->is_up || !addr_equal(&dgram->remote, &flow->relay->leg))
		return NULL;
	return flow;
}

static bool inner_is_quic(const struct dgram *dgram)
{
	return dgram->len >= WEFT_RELAY_LEN_MIN && dgram->data[RELAY_MESSAGE_LABEL_LEN] & 0x40;
}

void relay_end_flow_heard(struct end_flow *flow, size_t len, uint64_t now_ns)
{
	flow->heard_ns = flow->relay->heard_ns = now_ns;
	flow->heard_cnt++;
	flow->heard_len += len;
	flow->end->stats.heard_cnt++;
	if (now_ns >= flow->noted_ns + END_NOTE_NS)
		relay_end_hurry(flow->end, now_ns);
	relay_end_spare_relabel(flow);
}

static bool flow_input(struct end_flow *flow, struct dgram *dgram, uint64_t now_ns)
{
	relay_end_flow_heard(flow, dgram->len, now_ns);
	flow->used_heard_len += dgram->len - RELAY_MESSAGE_LABEL_LEN;
	dgram->data += RELAY_MESSAGE_LABEL_LEN;
	dgram->len -= RELAY_MESSAGE_LABEL_LEN;
	dgram->local = dgram->remote = flow->addr;
	return true;
}

bool relay_end_input(struct relay_end *end, struct dgram *dgram, uint64_t now_ns)
{
	struct end_flow *flow;
	unsigned kind;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	flow = flow_of_label(end, dgram);
	kind = flow ? dgram->data[1] & END_KIND_MASK : WEFT_RELAY_TO_RELAY;
	if (kind == WEFT_RELAY_TO_END && inner_is_quic(dgram))
		return flow_input(flow, dgram, now_ns);
	if (kind == WEFT_RELAY_TO_END &&
	    relay_end_spare_heard(flow, dgram->data + RELAY_MESSAGE_LABEL_LEN,
				  dgram->len - RELAY_MESSAGE_LABEL_LEN))
		return false;
	if (kind == WEFT_RELAY_UNKNOWN && dgram->len == RELAY_MESSAGE_LABEL_LEN) {
		end->stats.unknown_cnt++;
		relay_end_flow_lose(flow);
	} else if (kind == WEFT_RELAY_TOO_BIG && dgram->len == WEFT_RELAY_TOO_BIG_LEN) {
		/* QUIC's own probes for the path's MTU find less than that. */
		end->stats.too_big_cnt++;
	} else {
		end->stats.stray_cnt++;
	}
	return false;
}
