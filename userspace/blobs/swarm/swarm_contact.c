/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks members what they have, and which holders they know. A found member is first asked what
 * it has, a few members at a time: nine in ten may be forged. A hint is asked when there is a
 * choice, or when it lacked something. A member with a part is asked again: often while its part
 * grows, ever less often while it does not. This node asks for others as soon as it serves what
 * it fetches, for they are to know it, too. A node that does not serve asks after a moment: what
 * it wants is mostly here by then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "blobs/blobs_state.h"
#include "blobs/content_message_holders.h"
#include "swarm_state.h"

#define HAVE_EVERY_NS	     (400 * NS_PER_MS)
#define HAVE_EVERY_MAX_NS    (15 * NS_PER_S)
#define HOLDERS_FIRST_NS     (250 * NS_PER_MS)
#define HOLDERS_EVERY_NS     NS_PER_S
#define HOLDERS_EVERY_MAX_NS (60 * NS_PER_S)
#define BUSY_NS		     (50 * NS_PER_MS)
#define RETRY_NS	     (10 * NS_PER_MS)
#define GUESS_NS	     (5 * NS_PER_S) /* for a guess to answer, dialling included */
#define HAVE_REPLY_CAP	     (HAVE_ANSWER_CAP + MESH_FRAME_OVERHEAD)
#define HOLDERS_REPLY_CAP    (HOLDERS_ANSWER_CAP + MESH_FRAME_OVERHEAD)

void blobs_swarm_contacts_init(struct swarm_member *member)
{
	struct swarm *swarm = member->swarm;
	uint64_t now_ns = swarm->swarms->now_ns;

	member->have_contact = (struct contact){
		.member = member,
		.due_ns = member->is_hint ? TIMER_NEVER : now_ns,
		.every_ns = HAVE_EVERY_NS,
	};
	member->holders_contact = (struct contact){
		.member = member,
		.due_ns = swarm->is_serving ? now_ns : now_ns + HOLDERS_FIRST_NS,
		.every_ns = HOLDERS_EVERY_NS,
	};
}

bool blobs_swarm_contacts_are_out(const struct swarm_member *member)
{
	return member->have_contact.request != NULL;
}

void blobs_swarm_contact_again(struct swarm_member *member, uint64_t at_ns)
{
	struct contact *contact = &member->have_contact;

	if (member->is_mute)
		return;
	contact->every_ns = HAVE_EVERY_NS;
	if (contact->due_ns > at_ns)
		contact->due_ns = at_ns;
	blobs_swarm_tend_at(member->swarm, at_ns);
}

static void contact_end(struct contact *contact)
{
	if (contact->request)
		contact->member->swarm->swarms->content->params.mesh.ops->cancel(contact->request);
	contact->request = NULL;
	free(contact->buf);
	contact->buf = NULL;
}

void blobs_swarm_contacts_end(struct swarm_member *member)
{
	contact_end(&member->have_contact);
	contact_end(&member->holders_contact);
}

void blobs_swarm_contact_as_server(struct swarm_member *member, uint64_t now_ns)
{
	struct contact *contact = &member->holders_contact;

	/* One that is out says otherwise. */
	contact_end(contact);
	contact->due_ns = now_ns;
	blobs_swarm_tend_at(member->swarm, now_ns);
}

static void contact_again_after(struct contact *contact, uint64_t now_ns, uint64_t max_ns)
{
	contact->due_ns = now_ns + contact->every_ns;
	contact->every_ns = 2 * contact->every_ns < max_ns ? 2 * contact->every_ns : max_ns;
}

/* The reply is the caller's to read until it frees buf. */
static struct swarm_member *contact_take(struct contact *contact, const struct mesh_reply *reply,
					 uint64_t now_ns)
{
	struct swarm_member *member = contact->member;
	struct swarm *swarm = member->swarm;

	swarm->swarms->now_ns = now_ns;
	contact->request = NULL;
	/* How fast it sends, and whether it sends at all, is for asks to find out. */
	member->was_reached |= !reply->err;
	blobs_swarm_changed(swarm);
	return member;
}

static void contact_free(struct contact *contact)
{
	free(contact->buf);
	contact->buf = NULL;
}

/* 0, or an error; the next try comes when it may. */
static int contact_send(struct contact *contact, struct mesh_ask *ask, uint64_t now_ns)
{
	struct swarm_member *member = contact->member;
	int err;

	contact->buf = malloc(ask->reply_cap);
	if (!contact->buf) {
		contact->due_ns = now_ns + RETRY_NS;
		return WEFT_EFULL;
	}
	ask->reply_buf = contact->buf;
	ask->arg = contact;
	err = blobs_swarm_send(member, ask, now_ns, &contact->request);
	if (err) {
		contact_free(contact);
		contact->due_ns = now_ns + RETRY_NS;
		return err;
	}
	contact->due_ns = TIMER_NEVER;
	return 0;
}

/* The peer is there and says when to ask again, now or in an earlier answer. */
static bool is_busy(const struct mesh_reply *reply)
{
	return reply->code == MESH_CODE_BUSY || reply->code == MESH_CODE_REFUSED ||
	       (!reply->code && (reply->err == WEFT_EBUSY || reply->err == WEFT_EREFUSED) &&
		reply->not_before_ns);
}

static uint64_t busy_until(const struct mesh_reply *reply, uint64_t now_ns)
{
	return reply->not_before_ns > now_ns ? reply->not_before_ns : now_ns + BUSY_NS;
}

/* Why there was no answer, and when to ask again. */
static void contact_failed(struct contact *contact, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct swarm_member *member = contact->member;

	if (is_busy(reply)) {
		contact->due_ns = busy_until(reply, now_ns);
		return;
	}
	if (reply->err == WEFT_EWRONGKEY)
		blobs_swarm_member_lose(member, now_ns);
	else
		blobs_swarm_way_failed(member, reply, now_ns);
	contact->due_ns = member->source->not_before_ns;
}

/* Absent by that name; true: it is asked again by another, at once. */
static bool contact_other_way(struct contact *contact, uint64_t now_ns)
{
	struct blobs_ways ways;

	blobs_swarm_ways(contact->member, now_ns, &ways);
	contact->way_cnt++;
	if (contact->way_cnt < ways.cnt) {
		contact->due_ns = now_ns;
		return true;
	}
	contact->way_cnt = 0;
	return false;
}

/* The name it answered to is the one to begin with. */
static void contact_way_found(struct contact *contact)
{
	contact->member->way += contact->way_cnt;
	contact->way_cnt = 0;
}

/* --- what it has --- */

static void have_told(struct swarm_member *member, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct contact *contact = &member->have_contact;
	int is_other = blobs_have_take(&member->have, reply->payload, reply->payload_len);

	contact_way_found(contact);
	if (is_other == WEFT_EMALFORMED) {
		blobs_swarm_member_blame(member, now_ns);
		if (member->state == MEMBER_FOUND)
			blobs_swarm_member_lose(member, now_ns);
		return;
	}
	if (is_other > 0)
		contact->every_ns = HAVE_EVERY_NS;
	member->has_everything = member->have.kind == HAVE_ALL &&
				 memcmp(contact->id, member->swarm->id, sizeof(contact->id)) == 0;
	if (member->have.kind != HAVE_ALL)
		contact_again_after(contact, now_ns, HAVE_EVERY_MAX_NS);
	blobs_swarm_member_open(member, now_ns);
}

static void have_refused(struct swarm_member *member, const struct mesh_reply *reply,
			 uint64_t now_ns)
{
	struct contact *contact = &member->have_contact;

	switch (reply->code) {
	case MESH_CODE_ABSENT:
		if (contact_other_way(contact, now_ns))
			break;
		/* A node found by a guess is none; a hint may be fetching it itself. */
		member->was_reached = true;
		blobs_have_set(&member->have, HAVE_SOME);
		contact_again_after(contact, now_ns, HAVE_EVERY_MAX_NS);
		if (member->state == MEMBER_FOUND)
			blobs_swarm_member_lose(member, now_ns);
		break;
	case MESH_CODE_UNKNOWN:
	case MESH_CODE_MALFORMED:
		/* It does not tell; asking it for something does. */
		member->was_reached = true;
		member->is_mute = true;
		blobs_swarm_member_open(member, now_ns);
		break;
	default:
		contact_failed(contact, reply, now_ns);
	}
}

static void on_have(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct contact *contact = arg;
	struct swarm_member *member = contact_take(contact, reply, now_ns);

	/* Its chunks of a manifest that is not at hand any more say nothing. */
	if (memcmp(contact->id, member->swarm->part_id, sizeof(contact->id)) != 0)
		contact->due_ns = now_ns;
	else if (reply->err)
		have_refused(member, reply, now_ns);
	else
		have_told(member, reply, now_ns);
	contact_free(contact);
}

static void have_ask(struct swarm_member *member, uint64_t now_ns)
{
	uint8_t payload[96], name[BLIND_ID_LEN];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_HAVE_CONTENT,
		.payload = payload,
		.reply_cap = HAVE_REPLY_CAP,
		.reply = on_have,
	};
	struct blobs_ways ways;
	size_t len;

	blobs_swarm_ways(member, now_ns, &ways);
	if (member->swarm->kind == FINDER_CONTENT && ways.cnt > 1) {
		/* For a single file no answer says that it is absent: a request shows that. */
		member->is_mute = true;
		member->have_contact.due_ns = TIMER_NEVER;
		blobs_swarm_member_open(member, now_ns);
		return;
	}
	if (member->state == MEMBER_FOUND)
		ask.timeout_ns = GUESS_NS;
	memcpy(member->have_contact.id, member->swarm->part_id, sizeof(member->have_contact.id));
	len = blobs_name(&ways, member->way + member->have_contact.way_cnt, member->have_contact.id,
			 name);
	if (member->swarm->kind == FINDER_CONTENT)
		blobs_message_have_ask_ids(&w, &member->swarm->id, 1);
	else
		blobs_message_have_ask_manifest(&w, name, len);
	ask.payload_len = writer_len(&w);
	(void)!contact_send(&member->have_contact, &ask, now_ns);
}

/* --- the holders it knows --- */

static void holders_received(struct swarm_member *member, const struct mesh_reply *reply,
			     uint64_t now_ns)
{
	struct message_holder *holders = calloc(HOLDERS_MAX, sizeof(*holders));
	int cnt = holders ? blobs_message_holders_parse(reply->payload, reply->payload_len, holders)
			  : 0;

	if (cnt == WEFT_EMALFORMED)
		blobs_swarm_member_blame(member, now_ns);
	for (int i = 0; i < cnt; i++) {
		struct mesh_peer peer = {.addrs = holders[i].addrs,
					 .addr_cnt = holders[i].addr_cnt};

		memcpy(peer.key, holders[i].key, sizeof(peer.key));
		(void)blobs_swarm_member_add(member->swarm, &peer, false);
	}
	free(holders);
}

static void on_holders(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct contact *contact = arg;
	struct swarm_member *member = contact_take(contact, reply, now_ns);

	if (!reply->err) {
		contact_again_after(contact, now_ns, HOLDERS_EVERY_MAX_NS);
		contact_way_found(contact);
		holders_received(member, reply, now_ns);
	} else if (reply->code == MESH_CODE_UNKNOWN || reply->code == MESH_CODE_MALFORMED) {
		contact->due_ns = TIMER_NEVER;
	} else if (is_busy(reply)) {
		contact->due_ns = busy_until(reply, now_ns);
	} else if (reply->code != MESH_CODE_ABSENT || !contact_other_way(contact, now_ns)) {
		contact_again_after(contact, now_ns, HOLDERS_EVERY_MAX_NS);
	}
	contact_free(contact);
}

static void holders_ask(struct swarm_member *member, uint64_t now_ns)
{
	const struct swarm *swarm = member->swarm;
	const struct blobs_params *params = &swarm->swarms->content->params;
	struct message_holders_request request = {.is_serving = swarm->is_serving};
	uint8_t payload[HOLDERS_REQUEST_CAP], name[BLIND_ID_LEN];
	struct blobs_ways ways;
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_HOLDERS,
		.payload = payload,
		.reply_cap = HOLDERS_REPLY_CAP,
		.reply = on_holders,
	};

	blobs_swarm_ways(member, now_ns, &ways);
	request.is_blind = blobs_name(&ways, member->way + member->holders_contact.way_cnt,
				      swarm->id, name) == BLIND_ID_LEN;
	memcpy(request.id, name, sizeof(request.id));
	if (request.is_blind)
		memcpy(request.veiled, name + sizeof(request.id), sizeof(request.veiled));
	if (params->own_addrs)
		request.addr_cnt = params->own_addrs(params->ctx, request.addrs);
	blobs_message_holders_request_write(&w, &request);
	ask.payload_len = writer_len(&w);
	(void)!contact_send(&member->holders_contact, &ask, now_ns);
}

/* --- when --- */

static bool contact_is_due(const struct contact *contact, uint64_t now_ns)
{
	return !contact->request && contact->due_ns <= now_ns &&
	       contact->member->source->not_before_ns <= now_ns;
}

static unsigned contacting_cnt(const struct swarm *swarm)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++)
		cnt += swarm->members[i].state == MEMBER_FOUND &&
		       swarm->members[i].have_contact.request;
	return cnt;
}

/* Where there is a choice, what each has is worth knowing. */
static void hint_consider(struct swarm_member *member, uint64_t now_ns)
{
	if (member->is_hint && !member->is_mute && member->have.kind == HAVE_GUESSED &&
	    member->have_contact.due_ns == TIMER_NEVER && !member->have_contact.request &&
	    member->swarm->open_cnt > 1)
		member->have_contact.due_ns = now_ns;
}

void blobs_swarm_contacts_run(struct swarm *swarm, uint64_t now_ns)
{
	unsigned cnt = contacting_cnt(swarm);

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		if (!member->source || member->is_going)
			continue;
		hint_consider(member, now_ns);
		if (contact_is_due(&member->have_contact, now_ns)) {
			if (member->state == MEMBER_OPEN) {
				have_ask(member, now_ns);
			} else if (cnt < SWARM_CONTACTS_MAX &&
				   swarm->open_cnt + cnt < SWARM_OPEN_MAX) {
				have_ask(member, now_ns);
				cnt++;
			}
		}
		if (member->state == MEMBER_OPEN && member->was_reached &&
		    contact_is_due(&member->holders_contact, now_ns))
			holders_ask(member, now_ns);
	}
}
