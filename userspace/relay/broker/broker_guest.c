/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of guests: clients of the relay over WebSocket, which know no flows. A datagram of one to a
 * key with a session opens a flow, as if the guest had asked for it; the label stays here. A key
 * with a session opens a flow to a guest as to any end. The guest is not asked: it hears from each
 * client of the relay anyway. A key that has a session of its own is an ordinary end.
 */
#include <string.h>

#include "base/container_of.h"
#include "broker_state.h"

bool relay_broker_end_look(const struct relay_broker *broker, const uint8_t *key,
			   struct mesh_path *out_path, bool *out_is_guest)
{
	const struct relay_broker_params *params = &broker->params;
	struct mesh_path path = {0};

	*out_is_guest = false;
	if (relay_broker_session_look(broker, key, out_path))
		return true;
	if (!params->guest || !params->guest(params->ctx, key, &path.remote))
		return false;
	path.local = path.remote;
	*out_path = path;
	*out_is_guest = true;
	return true;
}

/*
 * The guest's flow to peer, with the leg that is the guest's. Of two the newest: its opener may be a
 * client of QUIC, which hears by the path that it writes to alone.
 * But not except.
 */
static struct broker_flow *flow_between(const struct relay_broker *broker,
					const struct broker_end *end, const uint8_t *peer,
					const struct broker_flow *except, unsigned *out_leg)
{
	for (const struct list_node *at = end->legs.prev; at != &end->legs; at = at->prev) {
		struct broker_flow *flow = relay_broker_flow_at(
			broker, container_of(at, struct broker_leg, by_end), out_leg);

		if (flow != except &&
		    memcmp(flow->legs[*out_leg ^ 1].end->key, peer, RELAY_KEY_LEN) == 0)
			return flow;
	}
	return NULL;
}

void relay_broker_guest_refuse(struct relay_broker *broker, const uint8_t *guest,
			       const uint8_t *peer, const struct broker_flow *ended)
{
	const struct broker_end *end = relay_broker_end_find(broker, guest);
	unsigned leg;

	if (end && flow_between(broker, end, peer, ended, &leg))
		return;
	if (broker->params.guest_refused)
		broker->params.guest_refused(broker->params.ctx, guest, peer);
}

void relay_broker_guest_deliver(struct relay_broker *broker, const uint8_t *guest,
				const uint8_t *peer, const struct relay_first *first)
{
	for (unsigned i = 0; broker->params.guest_deliver && i < first->cnt; i++)
		broker->params.guest_deliver(broker->params.ctx,
					     &(struct relay_guest_dgram){
						     .guest = guest,
						     .peer = peer,
						     .data = first->dgrams[i].data,
						     .len = first->dgrams[i].len,
					     });
}

/* A request for a flow is a message to this relay, by whatever way it comes. */
static bool guest_admit(struct relay_broker *broker, const uint8_t *guest)
{
	const struct relay_broker_params *params = &broker->params;
	struct fair_path path;
	struct addr remote;

	/* One that has left is refused for that. */
	if (!params->messages || !params->guest || !params->guest(params->ctx, guest, &remote))
		return true;
	params->neighbours->account(params->mesh.mesh, guest, &remote, &path);
	return relay_messages_admit_key(params->messages, guest, &path, broker->now_ns);
}

int relay_broker_guest_send(struct relay_broker *broker, const struct relay_guest_dgram *dgram,
			    uint64_t now_ns, uint8_t label[static RELAY_MESSAGE_LABEL_LEN])
{
	struct relay_open_message message = {.class = RELAY_CONTROL, .mtu = BROKER_GUEST_MTU};
	const struct broker_end *end = relay_broker_end_find(broker, dgram->guest);
	struct weft_relay_label bytes;
	struct broker_flow *flow;
	unsigned leg;

	broker->now_ns = now_ns;
	flow = end ? flow_between(broker, end, dgram->peer, NULL, &leg) : NULL;
	if (flow) {
		if (relay_flow_label(broker->params.relay, flow->id, leg, &bytes) < 0)
			return WEFT_EABSENT;
		memcpy(label, &bytes, sizeof(bytes));
		return 0;
	}
	/* One request at a time: a peer hears no more of them than it answers. */
	if (end && end->pending_cnt)
		return WEFT_EBUSY;
	if (!guest_admit(broker, dgram->guest))
		return WEFT_EBUSY;
	memcpy(message.peer, dgram->peer, sizeof(message.peer));
	if (dgram->len >= WEFT_RELAY_INNER_LEN_MIN && dgram->len <= RELAY_FIRST_LEN_MAX) {
		message.first.dgrams[0].data = dgram->data;
		message.first.dgrams[0].len = (uint16_t)dgram->len;
		message.first.cnt = 1;
	}
	return relay_broker_guest_open(broker, dgram->guest, &message) ? WEFT_EBUSY : WEFT_EABSENT;
}

bool relay_broker_guest_of(const struct relay_broker *broker, const uint8_t *data, size_t len,
			   struct relay_guest_dgram *out)
{
	struct weft_relay_label label;
	const struct broker_flow *flow;
	struct relay_flow_id id;
	unsigned leg;

	if (len <= sizeof(label))
		return false;
	memcpy(&label, data, sizeof(label));
	/* Words of the relay to an end are not the peer's. */
	if (weft_relay_kind(label.head) != WEFT_RELAY_TO_END)
		return false;
	id = (struct relay_flow_id){.idx = weft_relay_index(label.head),
				    .salt = weft_relay_salt(label.head)};
	leg = weft_relay_leg(label.head);
	flow = relay_broker_flow_of(broker, id);
	if (!flow || !flow->legs[leg].end->is_guest)
		return false;
	*out = (struct relay_guest_dgram){.guest = flow->legs[leg].end->key,
					  .peer = flow->legs[leg ^ 1].end->key,
					  .data = data + sizeof(label),
					  .len = len - sizeof(label)};
	return true;
}

/* Flows to guest from openers in the network of remote, without a grant; *out_oldest is one of them. */
static unsigned near_cnt(const struct relay_broker *broker, const struct broker_end *guest,
			 const struct addr *remote, struct broker_flow **out_oldest)
{
	unsigned len = remote->family == ADDR_IPV4 ? 24 : 48, cnt = 0, leg;
	const struct addr network = addr_prefix_key(remote, len);

	for (const struct list_node *at = guest->legs.next; at != &guest->legs; at = at->next) {
		struct broker_flow *flow = relay_broker_flow_at(
			broker, container_of(at, struct broker_leg, by_end), &leg);
		struct addr other;

		if (leg != 1 || !flow->is_free)
			continue;
		other = addr_prefix_key(&flow->legs[0].end->remote, len);
		if (!addr_equal(&other, &network))
			continue;
		if (!cnt++)
			*out_oldest = flow;
	}
	return cnt;
}

bool relay_broker_guest_room(struct relay_broker *broker, const struct broker_end *guest,
			     const struct addr *opener)
{
	struct broker_flow *victim = NULL, *oldest = NULL;
	unsigned own = near_cnt(broker, guest, opener, &oldest), most = 0, leg;

	for (const struct list_node *at = guest->legs.next; at != &guest->legs; at = at->next) {
		const struct broker_flow *flow = relay_broker_flow_at(
			broker, container_of(at, struct broker_leg, by_end), &leg);
		unsigned cnt =
			leg == 1 ? near_cnt(broker, guest, &flow->legs[0].end->remote, &oldest) : 0;

		if (cnt > most) {
			most = cnt;
			victim = oldest;
		}
	}
	if (!victim || most < own + 2)
		return false;
	relay_broker_close_tell(broker, victim, 1, RELAY_END_EVICTED);
	relay_broker_flow_end(broker, victim, 0, RELAY_END_EVICTED);
	return true;
}
