/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <string.h>

#include "weft/reason.h"

void relay_forward_init(struct relay_forward *forward, struct dgram_sink *sink)
{
	*forward = (struct relay_forward){.sink = sink};
}

void relay_forward_flush(struct relay_forward *forward)
{
	if (!forward->len)
		return;
	forward->sink->ops->commit(forward->sink, &forward->slot, forward->len, &forward->route);
	forward->forwarded_cnt += forward->cnt;
	forward->run_cnt++;
	forward->len = 0;
}

/* The run goes on with a datagram of the same leg, length and ECN; a shorter one is its last. */
static bool run_takes(const struct relay_forward *forward, const struct dgram *dgram,
		      const struct weft_relay_way *way)
{
	return forward->len && forward->label_head == way->out.label.head &&
	       forward->route.ecn == dgram->ecn && dgram->len <= forward->route.segment_len &&
	       forward->len == forward->cnt * forward->route.segment_len &&
	       forward->len + dgram->len <= forward->slot.cap && forward->cnt < RELAY_RUN_CNT_MAX;
}

static bool run_begin(struct relay_forward *forward, const struct dgram *dgram,
		      const struct weft_relay_way *way)
{
	relay_forward_flush(forward);
	if (!forward->sink->ops->reserve(forward->sink, dgram->len, &forward->slot)) {
		forward->full_cnt++;
		return false;
	}
	forward->cnt = 0;
	forward->label_head = way->out.label.head;
	forward->route = (struct dgram_route){
		.local = addr_of_endpoint(&way->out.local),
		.remote = addr_of_endpoint(&way->out.remote),
		.segment_len = dgram->len,
		.ecn = dgram->ecn,
	};
	return true;
}

/* Its label is written where the datagram lies: nothing reads that again. */
static void relayed_on_tcp(struct relay_forward *forward, const struct dgram *dgram,
			   const struct weft_relay_way *way)
{
	const struct addr leg = addr_of_endpoint(&way->out.remote);
	struct dgram out = *dgram;

	memcpy(out.data, &way->out.label, WEFT_RELAY_LABEL_LEN);
	forward->send_leg(forward->leg_ctx, &leg, &out);
	forward->leg_cnt++;
}

static void relayed(struct relay_forward *forward, const struct dgram *dgram,
		    const struct weft_relay_way *way)
{
	uint8_t *at;

	if (weft_relay_is_on_tcp(&way->out)) {
		relayed_on_tcp(forward, dgram, way);
		return;
	}
	if (!run_takes(forward, dgram, way) && !run_begin(forward, dgram, way))
		return;
	at = forward->slot.data + forward->len;
	memcpy(at, &way->out.label, WEFT_RELAY_LABEL_LEN);
	memcpy(at + WEFT_RELAY_LABEL_LEN, dgram->data + WEFT_RELAY_LABEL_LEN,
	       dgram->len - WEFT_RELAY_LABEL_LEN);
	forward->len += dgram->len;
	forward->cnt++;
}

static void answered(struct relay_forward *forward, const struct dgram *dgram,
		     const struct weft_relay_way *way, enum weft_relay_kind kind)
{
	const struct dgram_route route = {.local = dgram->local, .remote = dgram->remote};
	uint8_t answer[WEFT_RELAY_TOO_BIG_LEN];
	struct dgram_slot slot;
	size_t len;

	if (addr_is_leg(&dgram->remote)) {
		const struct dgram out = {.data = answer,
					  .len = weft_relay_answer(way, kind, answer)};

		forward->send_leg(forward->leg_ctx, &dgram->remote, &out);
		return;
	}
	relay_forward_flush(forward);
	if (!forward->sink->ops->reserve(forward->sink, WEFT_RELAY_TOO_BIG_LEN, &slot)) {
		forward->full_cnt++;
		return;
	}
	len = weft_relay_answer(way, kind, slot.data);
	forward->sink->ops->commit(forward->sink, &slot, len, &route);
}

bool relay_forward_input(struct relay_forward *forward, const struct dgram *dgram,
			 const struct weft_relay_way *way, enum weft_reason reason)
{
	switch (reason) {
	case WEFT_REASON_RELAYED:
		relayed(forward, dgram, way);
		return true;
	case WEFT_REASON_RELAY_UNKNOWN:
		answered(forward, dgram, way, WEFT_RELAY_UNKNOWN);
		return true;
	case WEFT_REASON_RELAY_TOO_BIG:
		answered(forward, dgram, way, WEFT_RELAY_TOO_BIG);
		return true;
	default:
		return false;
	}
}

void relay_forward_set_sink(struct relay_forward *forward, struct dgram_sink *sink)
{
	relay_forward_flush(forward);
	forward->sink = sink;
}
