/* SPDX-License-Identifier: Apache-2.0 */
/* Which relays this node uses, by how far it trusts them (relay/trust/). Home worker. */
#include <stdio.h>
#include <string.h>

#include "community/access/community_access.h"
#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"
#include "relay/trust/relay_choice.h"

/* --- trust --- */

static bool on_is_granted(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;
	const struct relay_held *held = node->relay_held;
	uint64_t wall_s = node_wall_us(node) / 1000000;

	for (unsigned i = 0; held && i < held->cnt; i++) {
		const struct relay_grant_record *grant = &held->grants[i].shown.grant;

		if (relay_grant_times_judge(grant, wall_s) != RELAY_GRANT_FINE)
			continue;
		for (uint32_t k = 0; k < grant->relay_cnt; k++)
			if (memcmp(grant->relays[k], key, MESH_KEY_LEN) == 0)
				return true;
	}
	return false;
}

static bool on_is_member(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->sharing && node_sharing_is_member(node->sharing, key);
}

static bool on_is_contact(void *ctx, const uint8_t *key)
{
	struct node *node = ctx;

	return node_choices(node, key) || mesh_peer_class(node->home->mesh, key) == FAIR_CHOSEN;
}

bool node_refuses_key(void *ctx, const uint8_t *key)
{
	static const struct addr nowhere;
	struct ingress *ingress = ((const struct node *)ctx)->home->ingress;

	/* A simulated node has none. */
	return ingress && firewall_ingress_refuses(ingress, key, &nowhere);
}

unsigned node_relay_trust(void *ctx, const uint8_t *relay, const uint8_t *by)
{
	const struct node *node = ctx;
	enum relay_trust trust = relay_trust_of(&node->relay_trust, relay, by);
	bool is_refused = trust == RELAY_TRUST_REFUSED || node_refuses_key(ctx, relay);

	return is_refused ? RELAY_END_REFUSED : trust;
}

unsigned node_relay_rank(void *ctx, const uint8_t *relay)
{
	return relay_trust_of(&((const struct node *)ctx)->relay_trust, relay, NULL);
}

int node_open_relay_trust(struct node *node, char *what)
{
	const uint8_t *own_key = node_key_public(node->key);
	struct relay_trust_rule *rule = &node->relay_trust;

	*rule = (struct relay_trust_rule){
		.lets_unknown = node->config->relay_trust.lets_unknown,
		.is_granted = on_is_granted,
		.is_member = on_is_member,
		.is_contact = on_is_contact,
		.ctx = node,
	};
	snprintf(what, NODE_WHAT_CAP,
		 "relay.own: KEY or KEY@ADDRESS:PORT, apart by commas, 16 at most");
	if (relay_trust_own(rule, node->config->relay_trust.own, own_key) < 0)
		return WEFT_EMALFORMED;
	snprintf(what, NODE_WHAT_CAP, "relay.pool: KEY or KEY@ADDRESS:PORT, apart by commas");
	return relay_trust_own(rule, node->config->relay_pool, own_key) < 0 ? WEFT_EMALFORMED : 0;
}

/* --- choice --- */

static void choice_add(struct node *node, struct relay_choice *choice,
		       const struct relay_end_place *place, enum relay_choice_source source)
{
	if (node_refuses_key(node, place->key))
		return;
	relay_choice_add(choice, place, relay_trust_of(&node->relay_trust, place->key, NULL),
			 source);
}

/* Where it was reached last goes before what is written. */
static bool place_find(struct node *node, struct relay_end_place *place)
{
	struct mesh_neighbour neighbour;

	if (!mesh_neighbour_ops.find(node->home->mesh, place->key, &neighbour) ||
	    !(neighbour.is_connected || neighbour.is_proved) ||
	    neighbour.remote.family == ADDR_NONE)
		return false;
	place->addrs[place->addr_cnt++] = neighbour.remote;
	return true;
}

static void add_named(struct node *node, struct relay_choice *choice)
{
	const struct relay_trust_rule *rule = &node->relay_trust;

	for (unsigned i = 0; i < rule->own_cnt; i++) {
		struct relay_end_place place = {.addr_cnt = 0};

		memcpy(place.key, rule->own[i].key, sizeof(place.key));
		if (!place_find(node, &place) && rule->own[i].addr.family != ADDR_NONE)
			place.addrs[place.addr_cnt++] = rule->own[i].addr;
		choice_add(node, choice, &place, RELAY_CHOICE_MET);
	}
}

/* Relays that the grants of this node name. One whose address is not known is looked for by its key. */
static void add_granted(struct node *node, struct relay_choice *choice)
{
	const struct relay_held *held = node->relay_held;
	uint64_t wall_s = node_wall_us(node) / 1000000;

	for (unsigned i = 0; held && i < held->cnt; i++) {
		const struct relay_grant_record *grant = &held->grants[i].shown.grant;
		bool is_valid = relay_grant_times_judge(grant, wall_s) == RELAY_GRANT_FINE;

		for (uint32_t k = 0; is_valid && k < grant->relay_cnt; k++) {
			struct relay_end_place place = {.addr_cnt = 0};

			memcpy(place.key, grant->relays[k], sizeof(place.key));
			(void)place_find(node, &place);
			choice_add(node, choice, &place, RELAY_CHOICE_MET);
		}
	}
}

static struct relay_find *find_of(const struct node *node)
{
	return node->fabric ? node->fabric->relay_find : NULL;
}

static enum relay_choice_source source_of(const struct node *node,
					  const struct mesh_neighbour *neighbour)
{
	const struct relay_find *find = find_of(node);

	if (!neighbour->is_connected)
		return RELAY_CHOICE_MET;
	if (neighbour->is_dialled || neighbour->is_proved ||
	    (find && relay_find_is_live(find, neighbour->key)))
		return RELAY_CHOICE_SERVING;
	return RELAY_CHOICE_CLAIMED;
}

/* Trust may cost a look into the store, and any number of peers may dial and claim. */
#define CLAIMED_MAX 64u

/* A relay says so in HELLO. Those without a session count where this node has dialled them. */
static void add_neighbours(struct node *node, struct relay_choice *choice)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	unsigned claimed_cnt = 0;

	while (mesh_neighbour_ops.next(node->home->mesh, &walk, &neighbour)) {
		struct relay_end_place place = {.addr_cnt = 0};
		enum relay_choice_source source;

		if (!(neighbour.caps & MESH_CAP_RELAY) || neighbour.remote.family == ADDR_NONE ||
		    (!neighbour.is_connected && !neighbour.is_proved))
			continue;
		source = source_of(node, &neighbour);
		if (source == RELAY_CHOICE_CLAIMED && claimed_cnt++ >= CLAIMED_MAX)
			continue;
		memcpy(place.key, neighbour.key, sizeof(place.key));
		place.addrs[place.addr_cnt++] = neighbour.remote;
		/* Beside TCP its address of QUIC, which the address record names, and the other way round. */
		for (unsigned i = 0; i < neighbour.addr_cnt && place.addr_cnt < 2; i++)
			if (addr_is_same_host(&neighbour.addrs[i], &neighbour.remote) &&
			    neighbour.addrs[i].transport != neighbour.remote.transport)
				place.addrs[place.addr_cnt++] = neighbour.addrs[i];
		choice_add(node, choice, &place, source);
	}
}

static void add_found(struct node *node, struct relay_choice *choice, unsigned rank_min,
		      unsigned rank_end)
{
	const struct relay_want want = {
		.caps = MESH_CAP_RELAY, .rank_min = rank_min, .rank_end = rank_end};
	struct relay_find *find = find_of(node);
	struct relay_found found[RELAY_END_PLACES_MAX];
	unsigned cnt =
		find ? relay_find_best(find, &want, node->home->now_ns, found, RELAY_END_PLACES_MAX)
		     : 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct relay_end_place place = {.addr_cnt = found[i].addr_cnt};

		memcpy(place.key, found[i].key, sizeof(place.key));
		memcpy(place.addrs, found[i].addrs, sizeof(place.addrs));
		choice_add(node, choice, &place, RELAY_CHOICE_DRAWN);
	}
}

unsigned node_choose_relays(void *ctx, struct relay_end_place out[static RELAY_END_PLACES_MAX])
{
	struct node *node = ctx;
	struct relay_choice choice = {.refused_cnt = 0};

	add_granted(node, &choice);
	add_named(node, &choice);
	add_neighbours(node, &choice);
	add_found(node, &choice, RELAY_TRUST_OWN, RELAY_TRUST_UNKNOWN);
	add_found(node, &choice, RELAY_TRUST_UNKNOWN, RELAY_TRUST_REFUSED);
	return relay_choice_take(&choice, out);
}
