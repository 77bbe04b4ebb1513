/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 633 and 634, on both sides. Each two minutes the node that asked for a slot sends what changed of
 * its N1. The answer has what changed on the other side. Where one side does not know the version
 * that the other one counts from, both send all of it once.
 */
#include <string.h>

#include "base/assert.h"
#include "social_slots_state.h"

/* --- what is sent --- */

static uint32_t own_flags(const struct slots *slots)
{
	return (slots->config.is_light ? SLOT_FLAG_LIGHT : 0u) |
	       (slots->links.is_anchor(slots->links.ctx) ? SLOT_FLAG_ANCHOR : 0u);
}

static struct slot_digest digest_for(const struct slots *slots, const struct slot *slot)
{
	if (slot->digest_told == slots->own.edition)
		return (struct slot_digest){.bits = NULL};
	return social_slots_digest(slots);
}

/* The edition that slot's node has after a message to it: one without the digest brings none. */
static uint32_t edition_after(const struct slots *slots, const struct slot *slot)
{
	return social_slots_digest(slots).bits ? slots->own.edition : slot->digest_told;
}

/* Up to SLOT_ANCHORS_MAX anchors among the nodes with slots, drawn by chance. */
static unsigned anchors_draw(struct slots *slots, const struct slot *to,
			     const struct slot *out_anchors[static SLOT_ANCHORS_MAX])
{
	const struct slot *slot = NULL;
	unsigned cnt = 0, seen_cnt = 0;

	while ((slot = pool_next(&slots->pool, slot))) {
		uint64_t at = cnt;

		if (!slot->is_anchor || slot == to)
			continue;
		seen_cnt++;
		if (cnt == SLOT_ANCHORS_MAX)
			at = random_below(slots->ground->random, seen_cnt);
		else
			cnt++;
		if (at < SLOT_ANCHORS_MAX)
			out_anchors[at] = slot;
	}
	return cnt;
}

/* Gossip: anchors that have a session with this node, as they signed where they are. No others. */
static void anchors_fill(struct slots *slots, const struct slot *to, struct slot_diff *diff,
			 uint8_t (*records)[SLOT_RECORD_LEN_MAX])
{
	const struct slot *anchors[SLOT_ANCHORS_MAX];
	unsigned cnt = anchors_draw(slots, to, anchors);

	for (unsigned i = 0; i < cnt; i++) {
		struct slot_anchor *anchor = &diff->anchors[diff->anchor_cnt];

		anchor->key = anchors[i]->key;
		anchor->record = records[i];
		anchor->record_len = social_slots_record_of(slots, anchor->key, records[i]);
		diff->anchor_cnt += anchor->record_len > 0;
	}
}

/* The difference since from, in slots->bytes; returns its length. */
static size_t diff_write(struct slots *slots, const struct slot *slot, uint64_t from)
{
	uint8_t records[SLOT_ANCHORS_MAX][SLOT_RECORD_LEN_MAX];
	struct writer w = writer_of(slots->bytes, SLOT_DIFF_LEN_MAX);
	struct slot_diff *diff = slots->diff;
	bool is_known = social_slots_own_diff(slots, from, diff);

	diff->held = slot->heard;
	diff->room = (uint8_t)social_slots_room(slots);
	diff->flags = own_flags(slots) | (is_known ? 0u : SLOT_FLAG_LOST);
	diff->digest = digest_for(slots, slot);
	anchors_fill(slots, slot, diff, records);
	social_slot_diff_write(&w, diff);
	weft_assert(!w.bad);
	slots->stats.diff_cnt++;
	slots->stats.diff_bytes += writer_len(&w);
	return writer_len(&w);
}

static size_t share_write(struct slots *slots)
{
	struct writer w = writer_of(slots->bytes, SLOT_DIFF_LEN_MAX);
	struct slot_share *share = slots->list;

	social_slots_own_share(slots, share);
	share->room = (uint8_t)social_slots_room(slots);
	share->flags = own_flags(slots);
	social_slot_share_write(&w, share);
	weft_assert(!w.bad);
	slots->stats.share_cnt++;
	return writer_len(&w);
}

/* --- what is heard --- */

static void heard_common(struct slot *slot, uint8_t room, uint32_t flags, uint64_t now_ns)
{
	slot->room = room;
	slot->is_anchor = flags & SLOT_FLAG_ANCHOR;
	slot->heard_ns = now_ns;
}

static void share_take(struct slots *slots, struct slot *slot, const struct slot_share *share,
		       uint64_t now_ns)
{
	social_slots_unreport_all(slots, slot);
	for (unsigned i = 0; i < share->cnt; i++)
		(void)social_slots_report(slots, slot, share->nodes[i]);
	if (share->digest.bits)
		social_slots_digest_set(slots, slot, &share->digest);
	slot->heard = share->version;
	heard_common(slot, share->room, share->flags, now_ns);
}

/* false: it counts from a version that is not here. */
static bool diff_take(struct slots *slots, struct slot *slot, const struct slot_diff *diff,
		      uint64_t now_ns)
{
	heard_common(slot, diff->room, diff->flags, now_ns);
	for (unsigned i = 0; i < diff->anchor_cnt; i++)
		social_slots_record_heard(slots, slot->key, &diff->anchors[i], now_ns);
	if (diff->digest.bits)
		social_slots_digest_set(slots, slot, &diff->digest);
	if (diff->flags & SLOT_FLAG_LOST || !slot->heard || diff->from != slot->heard) {
		slot->heard = 0;
		return false;
	}
	for (unsigned i = 0; i < diff->removed_cnt; i++)
		social_slots_unreport(slots, slot, diff->removed[i]);
	for (unsigned i = 0; i < diff->added_cnt; i++)
		(void)social_slots_report(slots, slot, diff->added[i]);
	slot->heard = diff->to;
	return true;
}

/* --- requests of this node --- */

static struct slot *talk_slot(const struct slot_talk *talk)
{
	return social_slots_lookup(talk->slots, talk->key);
}

/* The other side has no slot for this node any more, or does not answer; or it has no time now. */
static void talk_fail(struct slot_talk *talk, int err, uint64_t now_ns)
{
	struct slot *slot = talk_slot(talk);

	if (slot && err != WEFT_EREFUSED && err != WEFT_EBUSY && err != WEFT_EFULL) {
		social_slots_drop(talk->slots, slot, now_ns);
		return;
	}
	if (slot)
		slot->due_ns = now_ns + SLOTS_AGAIN_NS;
	social_slots_talk_free(talk);
}

static void talk_told(struct slot_talk *talk, struct slot *slot, uint64_t now_ns)
{
	slot->told = talk->version;
	slot->digest_told = talk->edition;
	slot->due_ns = now_ns + SLOTS_DIFF_NS;
	social_slots_talk_free(talk);
}

static void on_share_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_talk *talk = arg;
	struct slots *slots = talk->slots;
	struct slot *slot = talk_slot(talk);

	talk->request = NULL;
	if (!slot || reply->err < 0 ||
	    social_slot_share_parse(reply->payload, reply->payload_len, slots->list) < 0) {
		talk_fail(talk, reply->err, now_ns);
		return;
	}
	share_take(slots, slot, slots->list, now_ns);
	talk_told(talk, slot, now_ns);
}

static void on_diff_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_talk *talk = arg;
	struct slots *slots = talk->slots;
	struct slot *slot = talk_slot(talk);

	talk->request = NULL;
	if (!slot || reply->err < 0 ||
	    social_slot_diff_parse(reply->payload, reply->payload_len, slots->diff) < 0) {
		talk_fail(talk, reply->err, now_ns);
		return;
	}
	if (diff_take(slots, slot, slots->diff, now_ns) && slots->diff->held == talk->version) {
		talk_told(talk, slot, now_ns);
		return;
	}
	social_slots_talk_free(talk);
	slot->told = slot->heard = 0;
	slot->due_ns = now_ns;
	social_slots_wake(slots, now_ns);
}

void social_slots_exchange(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	bool is_whole = !slot->told || !slot->heard;
	struct slot_sending sending = {.payload = slots->bytes};
	struct slot_talk *talk = social_slots_talk_make(slots, slot->key);
	int err;

	if (!talk)
		return; /* with the next step */
	social_slots_own_refresh(slots);
	social_slots_digest_refresh(slots, now_ns);
	slot->talk = talk;
	talk->version = slots->own.version;
	talk->edition = edition_after(slots, slot);
	talk->state = is_whole ? TALK_SHARES : TALK_DIFFERS;
	sending.type = is_whole ? MESH_N1_SHARE : MESH_N1_DIFF;
	sending.reply = is_whole ? on_share_answer : on_diff_answer;
	sending.len = is_whole ? share_write(slots) : diff_write(slots, slot, slot->told);
	if ((err = social_slots_talk_send(talk, &sending, now_ns)) < 0)
		talk_fail(talk, err, now_ns);
}

/* --- requests of peers --- */

/* NULL: call was answered. A node without a slot hears nothing of N1. */
static struct slot *call_slot(struct slots *slots, const struct mesh_call *call, uint64_t now_ns)
{
	struct slot *slot;

	if (!social_slots_admit(slots, &slots->messages, call, now_ns))
		return NULL;
	slot = social_slots_lookup(slots, call->peer_key);
	if (!slot)
		social_slots_refuse(slots, call, MESH_CODE_ABSENT, "you have no slot here");
	else
		social_slots_own_refresh(slots);
	return slot;
}

static void on_share(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct slots *slots = ctx;
	struct slot *slot = call_slot(slots, call, now_ns);

	if (!slot)
		return;
	if (social_slot_share_parse(call->payload, call->payload_len, slots->list) < 0) {
		social_slots_refuse(slots, call, MESH_CODE_MALFORMED, "no list of nodes");
		return;
	}
	share_take(slots, slot, slots->list, now_ns);
	social_slots_digest_refresh(slots, now_ns);
	if (!social_slots_answer(slots, call, MESH_N1_SHARE, slots->bytes, share_write(slots)))
		return;
	slot->told = slots->own.version;
	slot->digest_told = edition_after(slots, slot);
}

static void on_diff(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct slots *slots = ctx;
	struct slot *slot = call_slot(slots, call, now_ns);
	uint64_t held;

	if (!slot)
		return;
	if (social_slot_diff_parse(call->payload, call->payload_len, slots->diff) < 0) {
		social_slots_refuse(slots, call, MESH_CODE_MALFORMED, "no difference of nodes");
		return;
	}
	held = slots->diff->held;
	(void)diff_take(slots, slot, slots->diff, now_ns);
	social_slots_digest_refresh(slots, now_ns);
	if (!social_slots_answer(slots, call, MESH_N1_DIFF, slots->bytes,
				 diff_write(slots, slot, held)))
		return;
	slot->told = slots->own.version;
	slot->digest_told = edition_after(slots, slot);
}

int social_slots_exchange_init(struct slots *slots)
{
	const struct mesh_seam *mesh = &slots->ground->mesh;
	int err = mesh->ops->handle(mesh->mesh, MESH_N1_SHARE, on_share, slots);

	return err < 0 ? err : mesh->ops->handle(mesh->mesh, MESH_N1_DIFF, on_diff, slots);
}
