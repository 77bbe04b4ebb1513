/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of handshakes' crypto. A search for the first or the last
 * goes over all waiting datagrams. The last is remembered, so a datagram
 * that finds the backlog full and is not lighter costs one comparison.
 */
#include "quic/limits/backlog.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/fair/load.h"

#define DROPPED_BY "handshake datagrams that wait"

int quic_backlog_init(struct backlog *backlog, struct arena *arena)
{
	*backlog = (struct backlog){0};
	backlog->slots = arena_alloc(arena, BACKLOG_CAP * sizeof(struct backlog_slot));
	return backlog->slots ? 0 : WEFT_EFULL;
}

/* a is served before b. */
static bool is_before(const struct load *load, const struct backlog_slot *a,
		      const struct backlog_slot *b, uint64_t now_ns)
{
	int order = load_compare(load, &a->path, &b->path, now_ns);

	return order ? order < 0 : a->seq < b->seq;
}

static struct backlog_slot *slot_worst(struct backlog *backlog, const struct load *load,
				       uint64_t now_ns)
{
	if (!backlog->has_worst) {
		backlog->worst_idx = 0;
		for (uint32_t i = 1; i < backlog->cnt; i++)
			if (is_before(load, &backlog->slots[backlog->worst_idx], &backlog->slots[i],
				      now_ns))
				backlog->worst_idx = i;
		backlog->has_worst = true;
	}
	return &backlog->slots[backlog->worst_idx];
}

static void drop_note(struct backlog *backlog, struct load *load, const struct addr *addr,
		      uint64_t now_ns)
{
	backlog->dropped_cnt++;
	load_refuse(load, &(struct load_who){.addr = addr}, DROPPED_BY, 0, now_ns);
}

/* A place for a datagram with path, or NULL: it costs no less than what is here. */
static struct backlog_slot *slot_for(struct backlog *backlog, struct load *load,
				     const struct fair_path *path, uint64_t now_ns)
{
	struct backlog_slot *slot;

	if (backlog->cnt < BACKLOG_CAP) {
		slot = &backlog->slots[backlog->cnt++];
		if (backlog->cnt > backlog->peak_cnt)
			backlog->peak_cnt = backlog->cnt;
		return slot;
	}
	slot = slot_worst(backlog, load, now_ns);
	if (load_compare(load, path, &slot->path, now_ns) >= 0)
		return NULL;
	drop_note(backlog, load, &slot->dgram.remote, now_ns);
	return slot;
}

void quic_backlog_put(struct backlog *backlog, struct load *load, const struct dgram *dgram,
		      uint64_t now_ns)
{
	const struct load_who who = {.addr = &dgram->remote};
	struct backlog_slot *slot;
	struct fair_path path;

	weft_assert(dgram->len <= BACKLOG_DGRAM_MAX);
	load_charge(load, &who, LOAD_PRICE_REFUSED, now_ns);
	load_path(load, &who, &path);
	slot = slot_for(backlog, load, &path, now_ns);
	if (!slot) {
		drop_note(backlog, load, &dgram->remote, now_ns);
		return;
	}
	backlog->has_worst = false;
	slot->dgram = *dgram;
	slot->dgram.data = slot->data;
	memcpy(slot->data, dgram->data, dgram->len);
	slot->path = path;
	slot->seq = backlog->seq++;
}

struct backlog_slot *quic_backlog_first(struct backlog *backlog, const struct load *load,
					uint64_t now_ns)
{
	struct backlog_slot *first = &backlog->slots[0];

	if (backlog->cnt == 0)
		return NULL;
	for (uint32_t i = 1; i < backlog->cnt; i++)
		if (is_before(load, &backlog->slots[i], first, now_ns))
			first = &backlog->slots[i];
	return first;
}

void quic_backlog_remove(struct backlog *backlog, struct backlog_slot *slot)
{
	struct backlog_slot *last = &backlog->slots[--backlog->cnt];

	backlog->has_worst = false;
	if (slot == last)
		return;
	*slot = *last;
	slot->dgram.data = slot->data;
}
