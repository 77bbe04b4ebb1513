/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 630 to 632, on both sides. The asker finds a node, asks for a slot, and takes what it is given. A
 * refusal names other nodes, which it asks next: SLOTS_CHAIN_MAX of them in a row, none twice. The
 * asker alone knows the chain.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "social_slots_state.h"

/* --- requests of this node --- */

struct slot_talk *social_slots_talk_make(struct slots *slots, const uint8_t *key)
{
	struct slot_talk *talk = pool_acquire(&slots->talks);
	int err;

	if (!talk)
		return NULL;
	talk->slots = slots;
	memcpy(talk->key, key, MESH_KEY_LEN);
	err = map_put(&slots->by_talk, talk->key, talk);
	weft_assert(err == 0);
	return talk;
}

/* Its reporter may have another node asked. */
static void talk_leave_reporter(struct slot_talk *talk)
{
	struct slot *reporter = social_slots_lookup(talk->slots, talk->reporter);

	if (talk->has_reporter && !talk->is_redirected && reporter && reporter->trying_cnt > 0)
		reporter->trying_cnt--;
	talk->has_reporter = false;
}

void social_slots_talk_free(struct slot_talk *talk)
{
	struct slots *slots = talk->slots;
	struct slot *slot = social_slots_lookup(slots, talk->key);

	if (talk->request)
		slots->ground->mesh.ops->cancel(talk->request);
	if (slot && slot->talk == talk)
		slot->talk = NULL;
	talk_leave_reporter(talk);
	slots->grown_cnt -= talk->is_grown;
	map_delete(&slots->by_talk, talk->key);
	pool_release(&slots->talks, talk);
}

int social_slots_talk_send(struct slot_talk *talk, const struct slot_sending *sending,
			   uint64_t now_ns)
{
	const struct slots_links *links = &talk->slots->links;
	struct mesh_ask ask = {
		.type = sending->type,
		.payload = sending->payload,
		.payload_len = sending->len,
		.reply_buf = talk->reply,
		.reply_cap = sizeof(talk->reply),
		.timeout_ns = SLOTS_TIMEOUT_NS,
		.reply = sending->reply,
		.arg = talk,
	};
	int err;

	if (sending->places)
		ask.peer = mesh_peer_at(talk->key, sending->places);
	else
		memcpy(ask.peer.key, talk->key, MESH_KEY_LEN);
	err = links->ask(links->ctx, &ask, now_ns, &talk->request);
	if (err < 0)
		talk->request = NULL;
	return err;
}

static void hail_fill(struct slots *slots, struct slot_hail *hail, uint8_t *record)
{
	const struct slots_links *links = &slots->links;

	hail->flags = (slots->config.is_light ? SLOT_FLAG_LIGHT : 0u) |
		      (links->is_anchor(links->ctx) ? SLOT_FLAG_ANCHOR : 0u);
	hail->room = (uint8_t)social_slots_room(slots);
	hail->record_len =
		links->record(links->ctx, social_slots_own_key(slots), record, SLOT_RECORD_LEN_MAX);
	hail->record = hail->record_len ? record : NULL;
}

static void hail_heard(struct slots *slots, const uint8_t *key, const struct slot_hail *hail,
		       uint64_t now_ns)
{
	struct slot *slot = social_slots_lookup(slots, key);

	if (hail->record)
		social_slots_record_heard(
			slots, key, &(struct slot_anchor){key, hail->record, hail->record_len},
			now_ns);
	if (!slot)
		return;
	slot->is_anchor = hail->flags & SLOT_FLAG_ANCHOR;
	slot->room = hail->room;
	slot->heard_ns = now_ns;
}

static void talk_end(struct slot_talk *talk, int err, uint64_t now_ns)
{
	struct slots *slots = talk->slots;

	if (talk->is_grown)
		social_slots_tried(slots, talk, err, now_ns);
	social_slots_talk_free(talk);
	(void)social_slots_grow(slots, now_ns);
}

static void on_located(void *arg, uint64_t ticket, const struct peer_places *places,
		       uint64_t now_ns);

static void talk_locate(struct slot_talk *talk, const struct slot_hailing *hailing, uint64_t now_ns)
{
	struct slots *slots = talk->slots;
	struct slots_locate locate = {
		.key = talk->key,
		.reporter = talk->has_reporter ? talk->reporter : NULL,
		.addrs = hailing->addrs,
		.addr_cnt = hailing->addr_cnt,
		.done = on_located,
		.arg = slots,
		.ticket = pool_handle_of(&slots->talks, talk),
	};
	int err;

	talk->state = TALK_LOCATES;
	err = slots->links.locate(slots->links.ctx, &locate, now_ns);
	if (err < 0)
		on_located(slots, locate.ticket, NULL, now_ns);
}

/* --- the answer --- */

/* The next node of a redirect: none that sent this talk here, and none with a slot. */
static const uint8_t *redirect_next(const struct slot_talk *talk,
				    const struct slot_redirect *redirect)
{
	struct slots *slots = talk->slots;

	for (unsigned i = 0; i < redirect->cnt; i++) {
		const uint8_t *node = redirect->nodes[i];
		bool is_past = memcmp(node, social_slots_own_key(slots), MESH_KEY_LEN) == 0 ||
			       slots->links.is_blocked(slots->links.ctx, node) ||
			       social_slots_lookup(slots, node) ||
			       map_lookup(&slots->by_talk, node);

		for (unsigned k = 0; k < talk->chain_cnt; k++)
			is_past |= memcmp(node, talk->chain[k], MESH_KEY_LEN) == 0;
		if (!is_past)
			return node;
	}
	return NULL;
}

/*
 * The node says that it has no slot for this one. The slot that the talk is for ends, and growth goes
 * on with the talk. A slot that came meanwhile, as the node asked for it, is another one and stays.
 */
static void talk_leave_slot(struct slot_talk *talk, uint64_t now_ns)
{
	struct slots *slots = talk->slots;
	struct slot *slot = social_slots_lookup(slots, talk->key);

	if (!slot || slot->talk != talk)
		return;
	slot->talk = NULL;
	social_slots_drop(slots, slot, now_ns);
	talk->is_grown = true;
	slots->grown_cnt++;
}

/* false: the talk ends here. */
static bool talk_follow(struct slot_talk *talk, const struct slot_redirect *redirect,
			uint64_t now_ns)
{
	const struct slot_hailing nowhere = {.addr_cnt = 0};
	struct slots *slots = talk->slots;
	const uint8_t *next;
	int err;

	if (redirect->cnt == 0)
		return false;
	if (talk->chain_cnt < SLOTS_CHAIN_MAX)
		memcpy(talk->chain[talk->chain_cnt++], talk->key, MESH_KEY_LEN);
	next = redirect_next(talk, redirect);
	if (!next || talk->chain_cnt == SLOTS_CHAIN_MAX) {
		slots->stats.redirect_loop_cnt++;
		return false;
	}
	slots->stats.followed_cnt++;
	if (talk->is_grown)
		social_slots_tried(slots, talk, WEFT_EREFUSED, now_ns);
	talk_leave_reporter(talk);
	/* The node that sent it on knows where the next one is. */
	map_delete(&slots->by_talk, talk->key);
	memcpy(talk->reporter, talk->key, MESH_KEY_LEN);
	talk->has_reporter = talk->is_redirected = true;
	memcpy(talk->key, next, MESH_KEY_LEN);
	err = map_put(&slots->by_talk, talk->key, talk);
	weft_assert(err == 0);
	talk_locate(talk, &nowhere, now_ns);
	return true;
}

static void talk_granted(struct slot_talk *talk, const struct slot_hail *hail, uint64_t now_ns)
{
	struct slots *slots = talk->slots;
	struct slot_claim claim = {.key = talk->key, .is_own = true};
	struct slot *slot;

	claim.is_preferred = talk->wants_preferred && hail->flags & SLOT_FLAG_PREFERRED;
	slot = social_slots_lookup(slots, talk->key);
	/* Both asked: the lower key is the asker. */
	if (slot && !slot->is_own)
		slot->is_own = memcmp(social_slots_own_key(slots), talk->key, MESH_KEY_LEN) < 0;
	slot = social_slots_take(slots, &claim, now_ns);
	if (slot) {
		slots->stats.gained_cnt++;
		hail_heard(slots, talk->key, hail, now_ns);
		slot->due_ns = now_ns;
		social_slots_wake(slots, now_ns);
	}
	talk_end(talk, 0, now_ns);
}

static void on_hailed(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_talk *talk = arg;
	struct slot_redirect redirect;
	struct slot_hail hail;

	talk->request = NULL;
	if (reply->err == 0 && reply->type == MESH_SLOT_GRANT &&
	    social_slot_hail_parse(reply->payload, reply->payload_len, &hail) == 0) {
		talk_granted(talk, &hail, now_ns);
		return;
	}
	if (reply->err == 0 && reply->type == MESH_REFUSE_REDIRECT &&
	    social_slot_redirect_parse(reply->payload, reply->payload_len, &redirect) == 0) {
		talk_leave_slot(talk, now_ns);
		if (!talk_follow(talk, &redirect, now_ns))
			talk_end(talk, WEFT_EREFUSED, now_ns);
		return;
	}
	talk->slots->stats.unreached_cnt++;
	talk_end(talk, reply->err < 0 ? reply->err : WEFT_EMALFORMED, now_ns);
}

/* places NULL: by the session that is there. */
static void talk_hail(struct slot_talk *talk, const struct peer_places *places, uint64_t now_ns)
{
	uint8_t bytes[SLOT_HAIL_LEN_MAX], record[SLOT_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slot_sending sending = {.type = MESH_INITIAL_EXCHANGE,
				       .payload = bytes,
				       .places = places,
				       .reply = on_hailed};
	struct slots *slots = talk->slots;
	struct slot_hail hail;
	int err;

	talk->state = TALK_HAILS;
	hail_fill(slots, &hail, record);
	talk->wants_preferred = social_slots_may_prefer(slots, talk->key);
	hail.flags |= talk->wants_preferred ? SLOT_FLAG_PREFERRED : 0u;
	social_slot_hail_write(&w, &hail);
	weft_assert(!w.bad);
	sending.len = writer_len(&w);
	if ((err = social_slots_talk_send(talk, &sending, now_ns)) == 0)
		return;
	slots->stats.unreached_cnt++;
	talk_end(talk, err, now_ns);
}

static void on_located(void *arg, uint64_t ticket, const struct peer_places *places,
		       uint64_t now_ns)
{
	struct slots *slots = arg;
	struct slot_talk *talk = pool_lookup(&slots->talks, ticket);

	if (!talk || talk->state != TALK_LOCATES || slots->is_stopped)
		return;
	if (places && places->addr_cnt + places->via_cnt > 0) {
		talk_hail(talk, places, now_ns);
		return;
	}
	slots->stats.unreached_cnt++;
	talk_end(talk, WEFT_EUNREACHABLE, now_ns);
}

int social_slots_hail(struct slots *slots, const struct slot_hailing *hailing, uint64_t now_ns)
{
	struct slot *slot = social_slots_lookup(slots, hailing->key);
	struct mesh_neighbour neighbour;
	struct slot_talk *talk;

	if (memcmp(hailing->key, social_slots_own_key(slots), MESH_KEY_LEN) == 0 ||
	    slots->links.is_blocked(slots->links.ctx, hailing->key))
		return WEFT_EREFUSED;
	if (map_lookup(&slots->by_talk, hailing->key) ||
	    (slot && !slot->away_ns &&
	     (slot->class == SLOT_PREFERRED || !social_slots_may_prefer(slots, slot->key))))
		return WEFT_EEXISTS;
	talk = social_slots_talk_make(slots, hailing->key);
	if (!talk)
		return WEFT_EFULL;
	if (hailing->reporter) {
		memcpy(talk->reporter, hailing->reporter, MESH_KEY_LEN);
		talk->has_reporter = true;
	}
	talk->is_grown = !slot;
	slots->grown_cnt += talk->is_grown;
	if (slot)
		slot->talk = talk;
	if (slots->ground->neighbours->find(slots->ground->mesh.mesh, talk->key, &neighbour) &&
	    neighbour.is_connected)
		talk_hail(talk, NULL, now_ns);
	else
		talk_locate(talk, hailing, now_ns);
	return 0;
}

/* --- requests of peers --- */

void social_slots_refuse(struct slots *slots, const struct mesh_call *call, enum mesh_code code,
			 const char *why)
{
	slots->stats.refused_cnt++;
	slots->ground->mesh.ops->answer_error(call->incoming, code, why, 0);
}

bool social_slots_admit(struct slots *slots, struct request_quota *quota,
			const struct mesh_call *call, uint64_t now_ns)
{
	const struct social_ground *ground = slots->ground;
	uint64_t wait_ms;

	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return false;
	wait_ms = request_quota_take(quota, call->peer_key, now_ns);
	if (!wait_ms)
		return true;
	slots->stats.refused_cnt++;
	ground->mesh.ops->answer_error(call->incoming, MESH_CODE_REFUSED,
				       "too many messages of slots in this minute", wait_ms);
	return false;
}

bool social_slots_answer(struct slots *slots, const struct mesh_call *call, unsigned type,
			 const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len);
	const struct transport_span span = {copy, len, free, copy};

	if (!copy) {
		social_slots_refuse(slots, call, MESH_CODE_BUSY, "no memory");
		return false;
	}
	memcpy(copy, bytes, len);
	if (slots->ground->mesh.ops->answer(call->incoming, type, NULL, 0, &span) == 0)
		return true;
	free(copy);
	return false;
}

/*
 * Nodes with slots that say they have room, drawn by chance. A blocked asker is sent nowhere: it sees
 * a full node.
 */
static void redirect_fill(struct slots *slots, const uint8_t *asker, struct slot_redirect *redirect)
{
	const struct slot *slot = NULL;
	uint64_t seen_cnt = 0;

	if (slots->links.is_blocked(slots->links.ctx, asker))
		return;
	while ((slot = pool_next(&slots->pool, slot))) {
		unsigned at = redirect->cnt;

		if (slot->room == 0 || memcmp(slot->key, asker, MESH_KEY_LEN) == 0)
			continue;
		seen_cnt++;
		if (at == SLOT_REDIRECTS_MAX) {
			uint64_t draw = random_below(slots->ground->random, seen_cnt);

			if (draw >= SLOT_REDIRECTS_MAX)
				continue;
			at = (unsigned)draw;
		} else {
			redirect->cnt++;
		}
		memcpy(redirect->nodes[at], slot->key, MESH_KEY_LEN);
	}
}

static void answer_redirect(struct slots *slots, const struct mesh_call *call)
{
	uint8_t bytes[SLOT_REDIRECT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slot_redirect redirect = {.cnt = 0};

	redirect_fill(slots, call->peer_key, &redirect);
	social_slot_redirect_write(&w, &redirect);
	weft_assert(!w.bad);
	slots->stats.redirected_cnt++;
	(void)slots->ground->mesh.ops->answer(call->incoming, MESH_REFUSE_REDIRECT, bytes,
					      writer_len(&w), NULL);
}

static void answer_grant(struct slots *slots, const struct mesh_call *call, const struct slot *slot)
{
	uint8_t bytes[SLOT_HAIL_LEN_MAX], record[SLOT_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slot_hail hail;

	hail_fill(slots, &hail, record);
	hail.flags |= slot->class == SLOT_PREFERRED ? SLOT_FLAG_PREFERRED : 0u;
	social_slot_hail_write(&w, &hail);
	weft_assert(!w.bad);
	slots->stats.granted_cnt++;
	(void)social_slots_answer(slots, call, MESH_SLOT_GRANT, bytes, writer_len(&w));
}

static void on_hail(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct slots *slots = ctx;
	struct slot_claim claim = {.key = call->peer_key};
	struct slot_hail hail;
	struct slot *slot = NULL;

	if (!social_slots_admit(slots, &slots->messages, call, now_ns))
		return;
	if (social_slot_hail_parse(call->payload, call->payload_len, &hail) < 0) {
		social_slots_refuse(slots, call, MESH_CODE_MALFORMED, "no request for a slot");
		return;
	}
	claim.is_preferred = hail.flags & SLOT_FLAG_PREFERRED;
	if (!slots->links.is_blocked(slots->links.ctx, call->peer_key))
		slot = social_slots_take(slots, &claim, now_ns);
	if (!slot) {
		answer_redirect(slots, call);
		return;
	}
	/* It may have lost what it had. */
	slot->told = 0;
	slot->digest_told = 0;
	if (slot->away_ns)
		slots->own.is_stale = true;
	slot->away_ns = 0;
	hail_heard(slots, call->peer_key, &hail, now_ns);
	answer_grant(slots, call, slot);
}

int social_slots_talk_init(struct slots *slots)
{
	const struct mesh_seam *mesh = &slots->ground->mesh;

	return mesh->ops->handle(mesh->mesh, MESH_INITIAL_EXCHANGE, on_hail, slots);
}
