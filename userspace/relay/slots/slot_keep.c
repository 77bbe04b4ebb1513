/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's slots at the relays that it keeps sessions with, and what it asks of slots of others. A
 * slot is registered again each third of its life, so two requests may fail.
 */
#include <string.h>

#include "base/monotonic.h"
#include "slots_state.h"

#define LOOK_NS	       (60 * NS_PER_S) /* at the relays that are kept, besides relay_slots_kept */
#define ASK_TIMEOUT_NS (10 * NS_PER_S)
#define RETRY_NS       (30 * NS_PER_S)
#define LIFE_MIN_S     30u

/* --- own slots --- */

static void own_drop(struct own_slot *own)
{
	if (own->request)
		own->slots->params.mesh.ops->cancel(own->request);
	*own = (struct own_slot){.slots = own->slots};
}

static void on_registered(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct own_slot *own = arg;
	struct relay_slots *slots = own->slots;
	struct relay_registered_message message;

	own->request = NULL;
	if (now_ns > slots->now_ns)
		slots->now_ns = now_ns;
	slots->next_ns = slots->now_ns;
	if (reply->err < 0 ||
	    relay_message_registered_parse(reply->payload, reply->payload_len, &message) < 0) {
		slots->stats.failed_cnt++;
		own->next_ns = slots->now_ns + RETRY_NS;
		if (reply->err < 0 && reply->not_before_ns > own->next_ns)
			own->next_ns = reply->not_before_ns;
		return;
	}
	own->slot = message.slot;
	own->expires_ns = slots->now_ns + message.life_s * NS_PER_S;
	own->next_ns = slots->now_ns +
		       (message.life_s > LIFE_MIN_S ? message.life_s : LIFE_MIN_S) / 3 * NS_PER_S;
}

static void own_register(struct own_slot *own)
{
	struct relay_slots *slots = own->slots;
	const struct relay_register_message message = {.nonce = slots->nonce};
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_RELAY_REGISTER,
		.payload = payload,
		.reply_buf = own->reply,
		.reply_cap = sizeof(own->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_registered,
		.arg = own,
	};

	memcpy(ask.peer.key, own->relay, MESH_KEY_LEN);
	relay_message_register_write(&w, &message);
	ask.payload_len = writer_len(&w);
	slots->stats.asked_cnt++;
	if (slots->params.mesh.ops->ask(slots->params.mesh.mesh, &ask, slots->now_ns,
					&own->request) == 0)
		return;
	own->request = NULL;
	slots->stats.failed_cnt++;
	own->next_ns = slots->now_ns + RETRY_NS;
}

static bool is_kept(const struct own_slot *own, const struct peer_via *vias, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		if (memcmp(vias[i].key, own->relay, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static void own_add(struct relay_slots *slots, const uint8_t *relay)
{
	struct own_slot *spare = NULL;

	for (unsigned i = 0; i < PEER_VIAS_MAX; i++) {
		struct own_slot *own = &slots->own[i];

		if (own->is_used && memcmp(own->relay, relay, MESH_KEY_LEN) == 0)
			return;
		if (!own->is_used)
			spare = own;
	}
	if (!spare)
		return;
	*spare = (struct own_slot){.slots = slots, .is_used = true, .next_ns = slots->now_ns};
	memcpy(spare->relay, relay, MESH_KEY_LEN);
}

static void kept_look(struct relay_slots *slots)
{
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned cnt = slots->params.kept(slots->params.ctx, vias);

	slots->looked_ns = slots->now_ns;
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++)
		if (slots->own[i].is_used && !is_kept(&slots->own[i], vias, cnt))
			own_drop(&slots->own[i]);
	for (unsigned i = 0; i < cnt; i++)
		own_add(slots, vias[i].key);
}

void relay_slots_keep_turn(struct relay_slots *slots)
{
	if (!slots->params.kept)
		return;
	if (!slots->looked_ns || slots->now_ns >= slots->looked_ns + LOOK_NS)
		kept_look(slots);
	if (slots->looked_ns + LOOK_NS < slots->next_ns)
		slots->next_ns = slots->looked_ns + LOOK_NS;
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++) {
		struct own_slot *own = &slots->own[i];

		if (!own->is_used || own->request)
			continue;
		if (own->next_ns <= slots->now_ns)
			own_register(own);
		if (!own->request && own->next_ns < slots->next_ns)
			slots->next_ns = own->next_ns;
	}
}

void relay_slots_session(struct relay_slots *slots, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; slots && i < PEER_VIAS_MAX; i++) {
		struct own_slot *own = &slots->own[i];

		if (!own->is_used || memcmp(own->relay, key, MESH_KEY_LEN) != 0)
			continue;
		own->next_ns = now_ns;
		slots->next_ns = now_ns;
	}
}

void relay_slots_kept(struct relay_slots *slots, uint64_t now_ns)
{
	if (!slots)
		return;
	slots->looked_ns = 0;
	slots->next_ns = now_ns;
}

/* --- slots of others --- */

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_ask *ask = arg;
	struct relay_registered_message message;
	int err = reply->err;

	(void)now_ns;
	ask->request = NULL;
	if (err == 0 &&
	    (relay_message_registered_parse(reply->payload, reply->payload_len, &message) < 0 ||
	     !message.has_key || message.slot != ask->slot))
		err = WEFT_EMALFORMED;
	ask->done(ask->arg, err, err == 0 ? message.key : NULL);
}

int relay_slots_ask(struct relay_slots *slots, const struct relay_slot_question *question,
		    uint64_t now_ns)
{
	const struct relay_connect_message message = {.slot = question->slot};
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask request = {
		.peer = *question->relay,
		.type = MESH_RELAY_CONNECT,
		.payload = payload,
		.reply_cap = SLOT_REPLY_CAP,
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_answer,
	};
	struct slot_ask *ask = NULL;
	int err;

	for (unsigned i = 0; i < SLOT_ASK_CAP && !ask; i++)
		if (!slots->asks[i].request)
			ask = &slots->asks[i];
	if (!ask)
		return WEFT_EFULL;
	ask->slots = slots;
	ask->slot = question->slot;
	ask->done = question->done;
	ask->arg = question->arg;
	relay_message_connect_write(&w, &message);
	request.payload_len = writer_len(&w);
	request.reply_buf = ask->reply;
	request.arg = ask;
	err = slots->params.mesh.ops->ask(slots->params.mesh.mesh, &request, now_ns, &ask->request);
	if (err < 0)
		ask->request = NULL;
	return err;
}

void relay_slots_cancel(struct relay_slots *slots, const void *arg)
{
	for (unsigned i = 0; i < SLOT_ASK_CAP; i++) {
		struct slot_ask *ask = &slots->asks[i];

		if (!ask->request || ask->arg != arg)
			continue;
		slots->params.mesh.ops->cancel(ask->request);
		ask->request = NULL;
	}
}

void relay_slots_keep_stop(struct relay_slots *slots)
{
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++)
		if (slots->own[i].is_used)
			own_drop(&slots->own[i]);
	for (unsigned i = 0; i < SLOT_ASK_CAP; i++) {
		if (slots->asks[i].request)
			slots->params.mesh.ops->cancel(slots->asks[i].request);
		slots->asks[i].request = NULL;
	}
}
