/* SPDX-License-Identifier: Apache-2.0 */
#include "lan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "lan_state.h"

/* SCP2P's: a node that missed five beacons in a row is gone. */
#define BEACON_LIFE_NS (15 * NS_PER_S)
/* A cap on the time that a node states: addresses on a LAN move. */
#define LIFE_MAX_S 4500u

struct entry {
	struct lan_node node;
	uint32_t interface;
	uint64_t until_ns, again_ns;
	uint64_t said_services; /* all that it ever said to relay */
};

/* --- nodes --- */

static void entry_drop(struct lan *lan, struct entry *entry)
{
	pool_release(&lan->entries, entry);
}

static bool ips_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope_id == b->scope_id &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct entry *entry_find(const struct lan *lan, const struct lan_node *node,
				uint32_t interface)
{
	struct entry *entry = NULL;

	while ((entry = pool_next(&lan->entries, entry)))
		if (entry->node.way == node->way && entry->interface == interface &&
		    entry->node.addr.family == node->addr.family &&
		    strcmp(entry->node.instance, node->instance) == 0)
			return entry;
	return NULL;
}

static bool source_is_full(const struct lan *lan, const struct addr *source)
{
	const struct entry *entry = NULL;
	uint32_t cnt = 0;

	while ((entry = pool_next(&lan->entries, entry)))
		cnt += ips_equal(&entry->node.addr, source);
	return cnt >= lan->params.source_max;
}

static bool nodes_differ(const struct lan_node *a, const struct lan_node *b)
{
	return !addr_equal(&a->addr, &b->addr) || a->has_key != b->has_key ||
	       memcmp(a->key, b->key, sizeof(a->key)) != 0;
}

/* What was heard of a node: how long it counts, and services that it relays, or relays no longer. */
struct hearing {
	uint64_t life_ns, gained, lost;
};

static void node_find(struct lan *lan, struct entry *entry, uint64_t now_ns)
{
	entry->again_ns = now_ns + LAN_RELAY_AGAIN_NS;
	lan->params.found(lan->params.ctx, &entry->node, now_ns);
}

static void services_note(struct lan *lan, struct entry *entry, const struct hearing *hearing,
			  uint64_t now_ns)
{
	uint64_t services = (entry->node.services | hearing->gained) & ~hearing->lost;
	bool is_news = services & ~entry->said_services;

	entry->node.services = services;
	entry->said_services |= services;
	/* A service that goes and comes is no news, so it causes no dial. */
	if (is_news || (services && now_ns >= entry->again_ns))
		node_find(lan, entry, now_ns);
}

/* A node beyond its address's share, or beyond all places, is neither remembered nor reported. */
static void node_note(struct lan *lan, const struct lan_link *link, struct lan_node *node,
		      const struct hearing *hearing, uint64_t now_ns)
{
	struct entry *entry = entry_find(lan, node, link->interface.index);
	bool is_news = !entry || nodes_differ(&entry->node, node);

	lan->stats.heard_cnt++;
	if (!entry && !source_is_full(lan, &node->addr))
		entry = pool_acquire(&lan->entries);
	if (!entry) {
		lan->stats.full_cnt++;
		return;
	}
	node->interface = link->interface.name;
	node->heard_ns = now_ns;
	/* What relays services at another place may be another node. */
	node->services = is_news ? 0 : entry->node.services;
	entry->node = *node;
	entry->interface = link->interface.index;
	entry->until_ns = now_ns + hearing->life_ns;
	if (is_news) {
		entry->node.services = hearing->gained & ~hearing->lost;
		node_find(lan, entry, now_ns);
	} else {
		services_note(lan, entry, hearing, now_ns);
	}
}

/* --- hearing --- */

static struct lan_link *link_find(struct lan *lan, uint32_t index)
{
	for (unsigned i = 0; i < lan->link_cnt; i++)
		if (lan->links[i].interface.index == index)
			return &lan->links[i];
	return NULL;
}

/* The kinds of a datagram. */
enum lan_verdict {
	LAN_HEARD,     /* it announced a node */
	LAN_OWN,       /* of this node */
	LAN_FOREIGN,   /* not on a LAN that is on, or not for us */
	LAN_MALFORMED, /* neither */
};

static enum lan_verdict beacon_input(struct lan *lan, const struct lan_link *link,
				     const struct lan_packet *packet, uint64_t now_ns)
{
	struct lan_node node = {.way = LAN_BEACON, .addr = packet->source};
	struct beacon beacon;

	if (lan_beacon_parse(packet->bytes, packet->len, &beacon) < 0)
		return LAN_MALFORMED;
	if (memcmp(beacon.instance, lan->instance, sizeof(beacon.instance)) == 0 ||
	    (beacon.has_key && memcmp(beacon.key, lan->params.own_key, MESH_KEY_LEN) == 0))
		return LAN_OWN;
	hex_write(beacon.instance, sizeof(beacon.instance), node.instance);
	node.has_key = beacon.has_key;
	memcpy(node.key, beacon.key, sizeof(node.key));
	node.addr.port = beacon.quic_port;
	node.caps = beacon.caps;
	node_note(lan, link, &node, &(struct hearing){.life_ns = BEACON_LIFE_NS}, now_ns);
	return LAN_HEARD;
}

static void label_draw(struct lan *lan)
{
	uint8_t bytes[DNSSD_LABEL_LEN / 2];

	random_fill(lan->params.random, bytes, sizeof(bytes));
	hex_write(bytes, sizeof(bytes), lan->self.label);
}

/* Another node has this node's name: this one takes another, at most once a second. */
static void conflict_resolve(struct lan *lan, uint64_t now_ns)
{
	if (lan->renamed_ns && now_ns < lan->renamed_ns + NS_PER_S)
		return;
	lan->renamed_ns = now_ns;
	label_draw(lan);
	lan_tell_again(lan, now_ns);
}

static enum lan_verdict instance_note(struct lan *lan, const struct lan_link *link,
				      const struct addr *source,
				      const struct dnssd_instance *instance, uint64_t now_ns)
{
	struct lan_node node = {.way = LAN_DNSSD, .has_key = instance->has_key, .addr = *source};
	uint32_t life_s = instance->ttl_s < LIFE_MAX_S ? instance->ttl_s : LIFE_MAX_S;
	struct hearing hearing = {.gained = instance->gained, .lost = instance->lost};
	struct entry *entry;

	if (instance->has_key && memcmp(instance->key, lan->params.own_key, MESH_KEY_LEN) == 0)
		return LAN_OWN;
	if (strcasecmp(instance->label, lan->self.label) == 0) {
		/* Services alone have no key to tell this node's own words by. */
		if (!instance->has_srv && !instance->has_txt)
			return LAN_OWN;
		conflict_resolve(lan, now_ns);
		return LAN_FOREIGN;
	}
	memcpy(node.instance, instance->label, sizeof(node.instance));
	memcpy(node.key, instance->key, sizeof(node.key));
	node.addr.port = instance->port;
	node.caps = instance->caps;
	hearing.life_ns = life_s * NS_PER_S;
	if (life_s && instance->has_srv && instance->has_txt) {
		node_note(lan, link, &node, &hearing, now_ns);
		return LAN_HEARD;
	}
	entry = entry_find(lan, &node, link->interface.index);
	if (!entry || !ips_equal(&entry->node.addr, source))
		return LAN_FOREIGN;
	/* Services alone; an answer that says less than all of the rest is asked for again. */
	if (life_s)
		services_note(lan, entry, &hearing, now_ns);
	else
		entry_drop(lan, entry);
	return LAN_HEARD;
}

static enum lan_verdict dnssd_input(struct lan *lan, struct lan_link *link,
				    const struct lan_packet *packet, uint64_t now_ns)
{
	struct dnssd_message *message = &lan->message;
	enum lan_verdict verdict = LAN_FOREIGN;

	/* What is malformed is so for both. */
	if (lan->browses_foreign &&
	    lan_foreign_input(&lan->foreign, packet, link->interface.name, now_ns) < 0)
		return LAN_MALFORMED;
	if (lan_dnssd_parse(packet->bytes, packet->len, &lan->self, message) < 0)
		return LAN_MALFORMED;
	if (message->is_query)
		lan_link_asked(lan, link, message, now_ns);
	for (unsigned i = 0; i < message->instance_cnt; i++) {
		enum lan_verdict one =
			instance_note(lan, link, &packet->source, &message->instances[i], now_ns);

		verdict = one == LAN_FOREIGN ? verdict : one;
	}
	return verdict;
}

void lan_input(struct lan *lan, const struct lan_packet *packet, uint64_t now_ns)
{
	struct lan_link *link = link_find(lan, packet->interface);
	enum lan_verdict verdict = LAN_FOREIGN;

	if (link && addr_is_unicast(&packet->source))
		verdict = packet->way == LAN_BEACON ? beacon_input(lan, link, packet, now_ns)
						    : dnssd_input(lan, link, packet, now_ns);
	/* node_note has counted what was heard. */
	lan->stats.own_cnt += verdict == LAN_OWN;
	lan->stats.foreign_cnt += verdict == LAN_FOREIGN;
	lan->stats.malformed_cnt += verdict == LAN_MALFORMED;
}

/* --- time --- */

void lan_expire(struct lan *lan, uint64_t now_ns)
{
	struct entry *entry = NULL;

	while ((entry = pool_next(&lan->entries, entry)))
		if (now_ns >= entry->until_ns)
			entry_drop(lan, entry);
	lan_foreign_expire(&lan->foreign, now_ns);
	for (unsigned i = 0; i < lan->link_cnt; i++)
		lan_link_expire(lan, &lan->links[i], now_ns);
}

uint64_t lan_next_ns(const struct lan *lan)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < lan->link_cnt; i++)
		if (lan_link_next_ns(&lan->links[i]) < next_ns)
			next_ns = lan_link_next_ns(&lan->links[i]);
	return next_ns;
}

/* --- interfaces --- */

static void link_end(struct lan *lan, const struct lan_link *link, uint64_t now_ns)
{
	struct entry *entry = NULL;

	lan_link_goodbye(lan, link);
	lan_foreign_forget(&lan->foreign, link->interface.name, now_ns);
	while ((entry = pool_next(&lan->entries, entry)))
		if (entry->interface == link->interface.index)
			entry_drop(lan, entry);
}

static const struct lan_interface *interface_find(const struct lan_interface *interfaces,
						  unsigned cnt, uint32_t index)
{
	for (unsigned i = 0; i < cnt; i++)
		if (interfaces[i].index == index)
			return &interfaces[i];
	return NULL;
}

static bool interfaces_equal(const struct lan_interface *a, const struct lan_interface *b)
{
	if (strcmp(a->name, b->name) != 0 || a->addr_cnt != b->addr_cnt)
		return false;
	for (unsigned i = 0; i < a->addr_cnt; i++)
		if (!ips_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return true;
}

/* Entries show names that lie in the links, which move: they are looked up anew. */
static void entries_rename(struct lan *lan)
{
	struct entry *entry = NULL;

	while ((entry = pool_next(&lan->entries, entry)))
		entry->node.interface = link_find(lan, entry->interface)->interface.name;
}

void lan_set_interfaces(struct lan *lan, const struct lan_interface *interfaces, unsigned cnt,
			uint64_t now_ns)
{
	struct lan_link links[LAN_INTERFACE_CAP];

	if (cnt > LAN_INTERFACE_CAP)
		cnt = LAN_INTERFACE_CAP;
	for (unsigned i = 0; i < lan->link_cnt; i++)
		if (!interface_find(interfaces, cnt, lan->links[i].interface.index))
			link_end(lan, &lan->links[i], now_ns);
	for (unsigned i = 0; i < cnt; i++) {
		const struct lan_link *known = link_find(lan, interfaces[i].index);

		links[i] = known ? *known : (struct lan_link){0};
		if (!known || !interfaces_equal(&known->interface, &interfaces[i]))
			lan_link_begin(lan, &links[i], now_ns);
		links[i].interface = interfaces[i];
	}
	if (cnt)
		memcpy(lan->links, links, cnt * sizeof(links[0]));
	lan->link_cnt = cnt;
	entries_rename(lan);
}

void lan_set_self(struct lan *lan, uint16_t port, uint32_t caps, uint64_t now_ns)
{
	if (port == lan->params.port && caps == lan->params.caps)
		return;
	lan->params.port = lan->self.port = port;
	lan->params.caps = lan->self.caps = caps;
	lan_tell_again(lan, now_ns);
}

/* --- services --- */

static bool services_equal(const struct lan_services *a, const struct lan_services *b)
{
	if (a->cnt != b->cnt)
		return false;
	for (unsigned i = 0; i < a->cnt; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return true;
}

/* The place in to of service idx of from, as a bit; 0: it has none. */
static uint64_t service_moved(const struct lan_services *from, const struct lan_services *to,
			      unsigned idx)
{
	for (unsigned i = 0; i < to->cnt; i++)
		if (strcmp(to->names[i], from->names[idx]) == 0)
			return UINT64_C(1) << i;
	return 0;
}

void lan_set_services(struct lan *lan, const struct lan_services *services, uint64_t now_ns)
{
	uint64_t moved[LAN_SERVICES_MAX], gone = 0;
	struct entry *entry = NULL;

	if (services_equal(&lan->services, services))
		return;
	for (unsigned i = 0; i < lan->services.cnt; i++) {
		moved[i] = service_moved(&lan->services, services, i);
		gone |= moved[i] ? 0 : UINT64_C(1) << i;
	}
	lan_withdraw(lan, gone);
	while ((entry = pool_next(&lan->entries, entry))) {
		uint64_t before = entry->node.services;

		entry->node.services = 0;
		for (unsigned i = 0; i < lan->services.cnt; i++)
			entry->node.services |= before >> i & 1 ? moved[i] : 0;
	}
	lan->services = *services;
	lan_tell_again(lan, now_ns);
}

const struct lan_services *lan_services(const struct lan *lan)
{
	return &lan->services;
}

/* --- other programs --- */

void lan_set_foreign(struct lan *lan, bool is_on, uint64_t now_ns)
{
	if (is_on == lan->browses_foreign)
		return;
	lan->browses_foreign = is_on;
	if (is_on)
		lan_ask_again(lan, now_ns);
	else
		lan_foreign_forget(&lan->foreign, NULL, now_ns);
}

const struct lan_foreign_node *lan_next_foreign(const struct lan *lan,
						const struct lan_foreign_node *node)
{
	return lan_foreign_next(&lan->foreign, node);
}

void lan_foreign_places(const struct lan *lan, struct fair_view *out_view)
{
	fair_read(&lan->foreign.places.fair, out_view);
}

/* --- for people --- */

const struct lan_node *lan_next(const struct lan *lan, const struct lan_node *node)
{
	const struct entry *entry = node ? container_of(node, struct entry, node) : NULL;

	entry = pool_next(&lan->entries, entry);
	return entry ? &entry->node : NULL;
}

void lan_stats(const struct lan *lan, struct lan_stats *out_stats)
{
	*out_stats = lan->stats;
	out_stats->node_cnt = lan->entries.used_cnt;
	out_stats->node_cap = lan->params.node_cap;
	out_stats->other_cnt = lan->foreign.entries.used_cnt;
	out_stats->other_full_cnt = lan->foreign.full_cnt;
}

/* --- life --- */

static int lan_lay_out(struct lan *lan, uint32_t node_cap)
{
	int err = arena_open(&lan->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&lan->entries, &lan->arena, sizeof(struct entry), node_cap);
	if (err == 0)
		err = lan_foreign_init(&lan->foreign, &lan->arena);
	arena_fit(&lan->arena);
	return err;
}

size_t lan_footprint(uint32_t node_cap)
{
	struct lan *lan = calloc(1, sizeof(*lan));
	size_t len = 0;

	if (lan && lan_lay_out(lan, node_cap) == 0)
		len = sizeof(*lan) + lan->arena.used_len;
	if (lan)
		arena_close(&lan->arena);
	free(lan);
	return len;
}

int lan_new(const struct lan_params *params, struct lan **out_lan)
{
	struct lan *lan = calloc(1, sizeof(*lan));
	int err;

	if (!lan)
		return -ENOMEM;
	lan->params = *params;
	lan->self = (struct dnssd_self){
		.key = params->own_key,
		.port = params->port,
		.caps = params->caps,
		.services = &lan->services,
	};
	random_fill(params->random, lan->instance, sizeof(lan->instance));
	label_draw(lan);
	err = lan_lay_out(lan, params->node_cap);
	if (err < 0) {
		lan_free(lan);
		return err;
	}
	*out_lan = lan;
	return 0;
}

void lan_free(struct lan *lan)
{
	if (!lan)
		return;
	for (unsigned i = 0; i < lan->link_cnt; i++)
		lan_link_goodbye(lan, &lan->links[i]);
	arena_close(&lan->arena);
	free(lan);
}
