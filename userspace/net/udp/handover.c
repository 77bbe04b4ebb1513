/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pair's slots go round two rings: idle ones towards the giver, filled
 * ones towards the taker. A slot is with the giver while it is being
 * filled, in a ring, or lent by the taker until its next burst.
 */
#include "handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/thread/ring.h"

struct handover_slot {
	struct handover_pair *pair;
	struct dgram dgram; /* data points at bytes */
	uint8_t bytes[HANDOVER_DGRAM_LEN_MAX];
};

struct handover_pair {
	struct ring *filled;
	struct ring *idle;
	struct handover_slot *slots;
	bool is_given; /* since the giver's last flush; the giver's */
};

struct handover_end {
	struct packet_rx rx;
	struct handover *handover;
	unsigned worker;
	unsigned next_from; /* the worker that is looked at first, so that none starves */
	unsigned lent_cnt;
	struct handover_slot *lent[PACKET_BURST_MAX];
	uint64_t dropped_cnt; /* of what this worker wanted to give */
};

struct handover {
	unsigned worker_cnt;
	struct handover_end *ends;
	struct handover_pair *pairs; /* [from * worker_cnt + to] */
};

#define PAIR_SLOTS_LEN (HANDOVER_CAP_CNT * sizeof(struct handover_slot))

static struct handover_pair *pair_of(struct handover *handover, unsigned from, unsigned to)
{
	return &handover->pairs[from * handover->worker_cnt + to];
}

static int pair_init(struct handover_pair *pair)
{
	pair->filled = ring_new(HANDOVER_CAP_CNT);
	pair->idle = ring_new(HANDOVER_CAP_CNT);
	/* Mapped, so that what is never used is never touched. */
	pair->slots = mmap(NULL, PAIR_SLOTS_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pair->slots == MAP_FAILED)
		pair->slots = NULL;
	if (!pair->filled || !pair->idle || !pair->slots)
		return -ENOMEM;
	for (unsigned i = 0; i < HANDOVER_CAP_CNT; i++) {
		int err;

		pair->slots[i].pair = pair;
		pair->slots[i].dgram.data = pair->slots[i].bytes;
		err = ring_push(pair->idle, &pair->slots[i]);
		weft_assert(err == 0);
	}
	return 0;
}

static void pair_fini(struct handover_pair *pair)
{
	ring_free(pair->filled);
	ring_free(pair->idle);
	if (pair->slots)
		munmap(pair->slots, PAIR_SLOTS_LEN);
}

static void end_return_lent(struct handover_end *end)
{
	for (unsigned i = 0; i < end->lent_cnt; i++) {
		int err = ring_push(end->lent[i]->pair->idle, end->lent[i]);

		weft_assert(err == 0);
	}
	end->lent_cnt = 0;
}

static unsigned end_take(struct handover_end *end, struct dgram *out_dgrams, unsigned cap)
{
	struct handover *handover = end->handover;
	unsigned cnt = 0;

	weft_assert_hot(handover->worker_cnt > 0);
	for (unsigned i = 0; i < handover->worker_cnt && cnt < cap; i++) {
		unsigned from = (end->next_from + i) % handover->worker_cnt;
		struct handover_slot *slot;

		if (from == end->worker)
			continue;
		while (cnt < cap &&
		       (slot = ring_pop(pair_of(handover, from, end->worker)->filled))) {
			end->lent[end->lent_cnt++] = slot;
			out_dgrams[cnt++] = slot->dgram;
			end->rx.counters.byte_cnt += slot->dgram.len;
		}
	}
	end->next_from = (end->next_from + 1) % handover->worker_cnt;
	return cnt;
}

static unsigned handover_burst(struct packet_rx *rx, struct dgram *out_dgrams, unsigned cap)
{
	struct handover_end *end = (struct handover_end *)rx;
	uint64_t wakes;
	unsigned cnt;

	end_return_lent(end);
	cnt = end_take(end, out_dgrams, cap < PACKET_BURST_MAX ? cap : PACKET_BURST_MAX);
	/* On the way to sleep the wake-up is cleared, before the last look. */
	if (cnt == 0 && read(rx->fd, &wakes, sizeof(wakes)) > 0) {
		rx->counters.call_cnt++;
		cnt = end_take(end, out_dgrams, cap < PACKET_BURST_MAX ? cap : PACKET_BURST_MAX);
	}
	rx->counters.dgram_cnt += cnt;
	return cnt;
}

static void handover_rx_close(struct packet_rx *rx)
{
	(void)rx; /* net_handover_free closes all of them */
}

static const struct packet_rx_ops handover_rx_ops = {.burst = handover_burst,
						     .close = handover_rx_close};

static int end_init(struct handover *handover, unsigned worker)
{
	struct handover_end *end = &handover->ends[worker];

	end->handover = handover;
	end->worker = worker;
	end->rx.ops = &handover_rx_ops;
	end->rx.backend = "handover";
	end->rx.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return end->rx.fd < 0 ? -errno : 0;
}

int net_handover_new(unsigned worker_cnt, struct handover **out_handover)
{
	struct handover *handover = calloc(1, sizeof(*handover));
	int err = 0;

	if (!handover)
		return -ENOMEM;
	handover->ends = calloc(worker_cnt, sizeof(*handover->ends));
	handover->pairs = calloc((size_t)worker_cnt * worker_cnt, sizeof(*handover->pairs));
	handover->worker_cnt = handover->ends && handover->pairs ? worker_cnt : 0;
	if (!handover->worker_cnt)
		err = -ENOMEM;
	for (unsigned i = 0; i < handover->worker_cnt; i++)
		handover->ends[i].rx.fd = -1;
	for (unsigned i = 0; i < handover->worker_cnt && !err; i++)
		err = end_init(handover, i);
	for (unsigned i = 0; i < handover->worker_cnt * handover->worker_cnt && !err; i++)
		if (i / worker_cnt != i % worker_cnt)
			err = pair_init(&handover->pairs[i]);
	if (err < 0) {
		net_handover_free(handover);
		return err;
	}
	*out_handover = handover;
	return 0;
}

void net_handover_free(struct handover *handover)
{
	if (!handover)
		return;
	for (unsigned i = 0; i < handover->worker_cnt; i++)
		if (handover->ends[i].rx.fd >= 0)
			close(handover->ends[i].rx.fd);
	for (unsigned i = 0; i < handover->worker_cnt * handover->worker_cnt; i++)
		pair_fini(&handover->pairs[i]);
	free(handover->pairs);
	free(handover->ends);
	free(handover);
}

unsigned net_handover_worker_cnt(const struct handover *handover)
{
	return handover->worker_cnt;
}

int net_handover_give(struct handover *handover, unsigned from, unsigned to,
		      const struct dgram *dgram)
{
	struct handover_pair *pair = pair_of(handover, from, to);
	struct handover_slot *slot = NULL;
	int err = dgram->len > HANDOVER_DGRAM_LEN_MAX ? WEFT_ETOOLARGE : 0;

	if (!err) {
		slot = ring_pop(pair->idle);
		err = slot ? 0 : WEFT_EFULL;
	}
	if (err < 0) {
		handover->ends[from].dropped_cnt++;
		return err;
	}
	memcpy(slot->bytes, dgram->data, dgram->len);
	slot->dgram = *dgram;
	slot->dgram.data = slot->bytes;
	err = ring_push(pair->filled, slot);
	weft_assert(err == 0); /* it has room for every slot there is */
	pair->is_given = true;
	return 0;
}

void net_handover_flush(struct handover *handover, unsigned from)
{
	const uint64_t one = 1;

	for (unsigned to = 0; to < handover->worker_cnt; to++) {
		struct handover_pair *pair = pair_of(handover, from, to);

		if (!pair->is_given)
			continue;
		pair->is_given = false;
		(void)!write(handover->ends[to].rx.fd, &one, sizeof(one));
	}
}

struct packet_rx *net_handover_rx(struct handover *handover, unsigned worker)
{
	return &handover->ends[worker].rx;
}

uint64_t net_handover_dropped_cnt(const struct handover *handover, unsigned from)
{
	return handover->ends[from].dropped_cnt;
}
