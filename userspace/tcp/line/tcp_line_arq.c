/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/line/tcp_line_arq.h"

#include <string.h>

#include "base/monotonic.h"

/*
 * A frame and its acknowledgement take 0.25 s at 9,600 baud, and 3.5 s while both windows are full.
 * Before the first measurement the longer one is assumed.
 */
#define RTO_FIRST_NS (4 * NS_PER_S)
#define RTO_MIN_NS   (1 * NS_PER_S)
#define RTO_MAX_NS   (16 * NS_PER_S)
#define OPEN_NS	     (2 * NS_PER_S)
#define OPEN_MAX_NS  (8 * NS_PER_S)

static uint8_t distance(uint8_t from, uint8_t to)
{
	return (uint8_t)(to - from);
}

static struct tcp_line_slot *slot_of(struct tcp_line_arq *arq, uint8_t seq)
{
	return &arq->slots[seq % TCP_LINE_WINDOW];
}

void tcp_line_arq_init(struct tcp_line_arq *arq, struct tcp_line_stats *stats)
{
	*arq = (struct tcp_line_arq){.stats = stats, .due_ns = UINT64_MAX};
}

/* What the peer is to hear of an earlier connection stays due. */
static void arq_begin(struct tcp_line_arq *arq, enum tcp_line_state state, uint16_t id)
{
	struct tcp_line_arq fresh = {
		.state = state,
		.stats = arq->stats,
		.id = id,
		.unknown_id = arq->unknown_id,
		.is_end_due = arq->is_end_due,
		.is_unknown_opener = arq->is_unknown_opener,
		.due_ns = UINT64_MAX,
		.rto_ns = RTO_FIRST_NS,
	};

	*arq = fresh;
}

void tcp_line_arq_open(struct tcp_line_arq *arq, uint16_t id)
{
	arq_begin(arq, TCP_LINE_OPENING, id);
	arq->is_opener = arq->is_open_due = true;
	arq->rto_ns = OPEN_NS;
}

void tcp_line_arq_accept(struct tcp_line_arq *arq, uint16_t id, uint64_t now_ns)
{
	arq_begin(arq, TCP_LINE_UP, id);
	arq->progress_ns = now_ns;
	arq->is_accept_due = true;
}

static void end_due(struct tcp_line_arq *arq, uint16_t id, bool is_opener)
{
	arq->is_end_due = true;
	arq->unknown_id = id;
	arq->is_unknown_opener = is_opener;
}

void tcp_line_arq_refuse(struct tcp_line_arq *arq, uint16_t id)
{
	end_due(arq, id, false);
}

void tcp_line_arq_end(struct tcp_line_arq *arq, bool is_told)
{
	bool was_up = arq->state != TCP_LINE_CLOSED;
	uint16_t id = arq->id;
	bool is_opener = arq->is_opener;

	arq_begin(arq, TCP_LINE_CLOSED, 0);
	if (was_up && is_told)
		end_due(arq, id, is_opener);
}

/* --- input --- */

static void rtt_take(struct tcp_line_arq *arq, uint64_t rtt_ns)
{
	uint64_t off_ns = rtt_ns > arq->rtt_ns ? rtt_ns - arq->rtt_ns : arq->rtt_ns - rtt_ns;

	/* RFC 6298 2 */
	if (arq->rtt_ns) {
		arq->rttvar_ns = (3 * arq->rttvar_ns + off_ns) / 4;
		arq->rtt_ns = (7 * arq->rtt_ns + rtt_ns) / 8;
	} else {
		arq->rtt_ns = rtt_ns;
		arq->rttvar_ns = rtt_ns / 2;
	}
}

/* What was acknowledged ends the doubling: on a line that damages much, most frames are repeated. */
static void rto_reset(struct tcp_line_arq *arq)
{
	arq->rto_ns = arq->rtt_ns ? arq->rtt_ns + 4 * arq->rttvar_ns : RTO_FIRST_NS;
	if (arq->rto_ns < RTO_MIN_NS)
		arq->rto_ns = RTO_MIN_NS;
	if (arq->rto_ns > RTO_MAX_NS)
		arq->rto_ns = RTO_MAX_NS;
}

static void fin_queue(struct tcp_line_arq *arq)
{
	if (!arq->is_fin_wanted || arq->is_fin_queued ||
	    distance(arq->base, arq->end) == TCP_LINE_WINDOW)
		return;
	*slot_of(arq, arq->end) = (struct tcp_line_slot){.len = 0};
	arq->end++;
	arq->is_fin_queued = true;
}

/* Again from the oldest. */
static void go_back(struct tcp_line_arq *arq, uint64_t now_ns)
{
	arq->next = arq->base;
	arq->is_recovering = true;
	arq->due_ns = now_ns + arq->rto_ns;
}

/* An acknowledgement of what was never sent counts for nothing. Returns whether there is room. */
static bool ack_take(struct tcp_line_arq *arq, const struct tcp_line_frame *frame, uint64_t now_ns)
{
	uint8_t cnt = distance(arq->base, frame->ack);

	if (cnt > distance(arq->base, arq->sent))
		return false;
	if (!cnt) {
		if (frame->kind == TCP_LINE_ACK && arq->base != arq->next && !arq->is_recovering)
			go_back(arq, now_ns);
		return false;
	}
	for (; cnt; cnt--) {
		struct tcp_line_slot *slot = slot_of(arq, arq->base);

		if (arq->next == arq->base)
			arq->next++;
		if (cnt == 1 && !slot->is_repeated)
			rtt_take(arq, now_ns - slot->sent_ns);
		arq->acked_len += slot->len;
		arq->base++;
	}
	rto_reset(arq);
	arq->is_recovering = false;
	arq->progress_ns = now_ns;
	arq->due_ns = arq->base == arq->end ? UINT64_MAX : now_ns + arq->rto_ns;
	fin_queue(arq);
	return true;
}

static unsigned data_take(struct tcp_line_arq *arq, const struct tcp_line_frame *frame)
{
	arq->is_ack_due = true;
	if (frame->seq != arq->expected) {
		arq->stats->missed_cnt++;
		return 0;
	}
	if (arq->is_peer_finished)
		return TCP_LINE_NEWS_ENDED;
	arq->expected++;
	arq->is_peer_finished = !frame->len;
	return frame->len ? TCP_LINE_NEWS_DATA : TCP_LINE_NEWS_FINISHED;
}

static unsigned input_open(struct tcp_line_arq *arq, const struct tcp_line_frame *frame)
{
	if (arq->state == TCP_LINE_UP && !arq->is_opener && arq->id == frame->id) {
		arq->is_accept_due = true;
		return 0;
	}
	/* Both ask at once: the smaller number stands. The same number is this end's own echo. */
	if (arq->state == TCP_LINE_OPENING && frame->id >= arq->id)
		return 0;
	return TCP_LINE_NEWS_ASKED;
}

static unsigned input_accept(struct tcp_line_arq *arq, uint64_t now_ns)
{
	if (arq->state != TCP_LINE_OPENING)
		return 0;
	arq->state = TCP_LINE_UP;
	arq->is_open_due = false;
	arq->due_ns = UINT64_MAX;
	arq->progress_ns = now_ns;
	arq->rto_ns = RTO_FIRST_NS;
	return TCP_LINE_NEWS_OPENED;
}

unsigned tcp_line_arq_input(struct tcp_line_arq *arq, const struct tcp_line_frame *frame,
			    uint64_t now_ns)
{
	bool is_of_conn = arq->state != TCP_LINE_CLOSED && arq->id == frame->id &&
			  arq->is_opener != frame->is_of_opener;
	unsigned news = 0;

	if (frame->kind == TCP_LINE_OPEN)
		return frame->is_of_opener ? input_open(arq, frame) : 0;
	if (!is_of_conn) {
		arq->stats->stray_cnt++;
		/* An END for an END would go on for ever. */
		if (frame->kind != TCP_LINE_END &&
		    (arq->state == TCP_LINE_CLOSED || arq->id != frame->id))
			end_due(arq, frame->id, !frame->is_of_opener);
		return 0;
	}
	arq->heard_cnt++;
	if (frame->kind == TCP_LINE_ACCEPT)
		return input_accept(arq, now_ns);
	if (frame->kind == TCP_LINE_END)
		return TCP_LINE_NEWS_ENDED;
	if (arq->state != TCP_LINE_UP)
		return 0;
	if (ack_take(arq, frame, now_ns))
		news |= TCP_LINE_NEWS_ROOM;
	if (frame->kind == TCP_LINE_DATA)
		news |= data_take(arq, frame);
	return news;
}

/* --- output --- */

static size_t slot_fill(struct tcp_line_slot *slot, const uint8_t *data, size_t len)
{
	size_t room = sizeof(slot->data) - slot->len;

	if (len > room)
		len = room;
	memcpy(slot->data + slot->len, data, len);
	slot->len = (uint8_t)(slot->len + len);
	return len;
}

size_t tcp_line_arq_write(struct tcp_line_arq *arq, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t done_len = 0;

	if (arq->state != TCP_LINE_UP || arq->is_fin_wanted)
		return 0;
	/* The last frame has room while it has not left. */
	if (arq->end != arq->sent)
		done_len = slot_fill(slot_of(arq, (uint8_t)(arq->end - 1)), at, len);
	while (done_len < len && distance(arq->base, arq->end) < TCP_LINE_WINDOW) {
		struct tcp_line_slot *slot = slot_of(arq, arq->end++);

		slot->len = 0;
		slot->is_repeated = false;
		done_len += slot_fill(slot, at + done_len, len - done_len);
	}
	return done_len;
}

void tcp_line_arq_finish(struct tcp_line_arq *arq)
{
	arq->is_fin_wanted = true;
	fin_queue(arq);
}

bool tcp_line_arq_is_drained(const struct tcp_line_arq *arq)
{
	return arq->base == arq->end && (!arq->is_fin_wanted || arq->is_fin_queued);
}

static bool frame_give(const struct tcp_line_arq *arq, enum tcp_line_kind kind,
		       struct tcp_line_frame *out_frame)
{
	*out_frame = (struct tcp_line_frame){
		.kind = kind,
		.is_of_opener = arq->is_opener,
		.id = arq->id,
		.ack = arq->expected,
	};
	arq->stats->sent_cnt++;
	return true;
}

static bool data_give(struct tcp_line_arq *arq, uint64_t now_ns, struct tcp_line_frame *out_frame)
{
	struct tcp_line_slot *slot = slot_of(arq, arq->next);

	(void)frame_give(arq, TCP_LINE_DATA, out_frame);
	out_frame->seq = arq->next;
	out_frame->data = slot->data;
	out_frame->len = slot->len;
	arq->is_ack_due = false;
	if (arq->base == arq->sent)
		arq->progress_ns = now_ns;
	if (arq->next == arq->sent) {
		arq->sent++;
		slot->sent_ns = now_ns;
	} else {
		slot->is_repeated = true;
		arq->repeated_cnt++;
		arq->stats->repeated_cnt++;
	}
	arq->next++;
	if (arq->due_ns == UINT64_MAX)
		arq->due_ns = now_ns + arq->rto_ns;
	return true;
}

bool tcp_line_arq_next(struct tcp_line_arq *arq, uint64_t now_ns, struct tcp_line_frame *out_frame)
{
	if (arq->is_end_due) {
		arq->is_end_due = false;
		(void)frame_give(arq, TCP_LINE_END, out_frame);
		out_frame->id = arq->unknown_id;
		out_frame->is_of_opener = arq->is_unknown_opener;
		return true;
	}
	if (arq->is_open_due) {
		arq->is_open_due = false;
		arq->due_ns = now_ns + arq->rto_ns;
		return frame_give(arq, TCP_LINE_OPEN, out_frame);
	}
	if (arq->is_accept_due) {
		arq->is_accept_due = false;
		return frame_give(arq, TCP_LINE_ACCEPT, out_frame);
	}
	if (arq->state == TCP_LINE_UP && arq->next != arq->end)
		return data_give(arq, now_ns, out_frame);
	if (!arq->is_ack_due)
		return false;
	arq->is_ack_due = false;
	return frame_give(arq, TCP_LINE_ACK, out_frame);
}

/* --- time --- */

bool tcp_line_arq_expire(struct tcp_line_arq *arq, uint64_t now_ns)
{
	if (arq->state == TCP_LINE_CLOSED || now_ns < arq->due_ns)
		return true;
	if (arq->state == TCP_LINE_OPENING) {
		arq->is_open_due = true;
		arq->rto_ns = arq->rto_ns * 2 < OPEN_MAX_NS ? arq->rto_ns * 2 : OPEN_MAX_NS;
		arq->due_ns = UINT64_MAX; /* until it has left */
		return true;
	}
	if (now_ns >= arq->progress_ns + TCP_LINE_GIVE_UP_NS) {
		arq->stats->given_up_cnt++;
		return false;
	}
	arq->rto_ns = arq->rto_ns * 2 < RTO_MAX_NS ? arq->rto_ns * 2 : RTO_MAX_NS;
	go_back(arq, now_ns);
	return true;
}

uint64_t tcp_line_arq_next_ns(const struct tcp_line_arq *arq)
{
	return arq->state == TCP_LINE_CLOSED ? UINT64_MAX : arq->due_ns;
}
