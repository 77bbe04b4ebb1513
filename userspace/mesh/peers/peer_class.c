/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The class of a peer: unknown, known, useful or chosen. It follows from the record and from
 * what the last hour brought, and is read each time.
 */
#include <string.h>

#include "peers.h"

#define HOUR_S		   3600
#define USEFUL_NETWORK_MAX 2

enum fair_class mesh_peers_class(const struct mesh_peer_entry *entry)
{
	const struct mesh_peer_record *record;

	if (!entry)
		return FAIR_UNKNOWN;
	record = &entry->record;
	if (record->choices || record->share_cnt > 1)
		return FAIR_CHOSEN;
	if (entry->is_useful)
		return FAIR_USEFUL;
	if (record->useful_hour_cnt == MESH_PEER_USEFUL_HOURS &&
	    record->last_seen_s >= record->first_seen_s + MESH_PEER_KNOWN_S)
		return FAIR_KNOWN;
	return FAIR_UNKNOWN;
}

bool mesh_peers_is_known(const struct mesh_peer_entry *entry)
{
	return mesh_peers_class(entry) != FAIR_UNKNOWN;
}

void mesh_peers_note_useful(struct mesh_peer_entry *entry, uint64_t units, uint64_t wall_s)
{
	struct mesh_peer_record *record = &entry->record;
	uint64_t hour = wall_s / HOUR_S;

	if (entry->useful_hour != hour)
		entry->useful_units = 0;
	entry->useful_hour = hour;
	entry->useful_units += units;
	record->last_seen_s = wall_s;
	if (record->useful_hour_cnt && record->useful_hours[record->useful_hour_cnt - 1] == hour)
		return;
	if (record->useful_hour_cnt == MESH_PEER_USEFUL_HOURS)
		memmove(record->useful_hours, record->useful_hours + 1,
			(MESH_PEER_USEFUL_HOURS - 1) * sizeof(record->useful_hours[0]));
	else
		record->useful_hour_cnt++;
	record->useful_hours[record->useful_hour_cnt - 1] = hour;
}

void mesh_peers_note_false(struct mesh_peer_entry *entry, uint64_t wall_s)
{
	struct mesh_peer_record *record = &entry->record;

	entry->useful_units = 0;
	entry->is_useful = false;
	if (record->useful_hour_cnt &&
	    record->useful_hours[record->useful_hour_cnt - 1] == wall_s / HOUR_S)
		record->useful_hours[--record->useful_hour_cnt] = 0;
}

static bool entry_was_useful(const struct mesh_peer_entry *entry, uint64_t wall_s)
{
	return entry->useful_units && entry->useful_hour + 1 >= wall_s / HOUR_S;
}

static struct addr network_of(const struct mesh_peer_entry *entry)
{
	const struct addr *addr = &entry->record.last_addr;

	return addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 48);
}

/* The best so far, most units first; of a network that has its two the lesser makes room. */
struct ranking {
	struct mesh_peer_entry *best[MESH_PEERS_USEFUL_CAP];
	struct addr networks[MESH_PEERS_USEFUL_CAP];
	uint32_t cnt, cap;
};

static void ranking_shift(struct ranking *ranking, uint32_t to, uint32_t from)
{
	memmove(&ranking->best[to], &ranking->best[from],
		(ranking->cnt - from) * sizeof(ranking->best[0]));
	memmove(&ranking->networks[to], &ranking->networks[from],
		(ranking->cnt - from) * sizeof(ranking->networks[0]));
	ranking->cnt = ranking->cnt + to - from;
}

/* False: the network has its two before position at. Else there is one place less, or its own. */
static bool ranking_make_room(struct ranking *ranking, uint32_t at, const struct addr *network)
{
	uint32_t of_network_cnt = 0;

	for (uint32_t i = 0; i < ranking->cnt; i++) {
		of_network_cnt += addr_equal(&ranking->networks[i], network);
		if (of_network_cnt < USEFUL_NETWORK_MAX)
			continue;
		if (i < at)
			return false;
		ranking_shift(ranking, i, i + 1);
		break;
	}
	if (ranking->cnt == ranking->cap)
		ranking->cnt--;
	return true;
}

static void ranking_add(struct ranking *ranking, struct mesh_peer_entry *entry)
{
	const struct addr network = network_of(entry);
	uint32_t at = ranking->cnt;

	while (at > 0 && ranking->best[at - 1]->useful_units < entry->useful_units)
		at--;
	if (at == ranking->cap || !ranking_make_room(ranking, at, &network))
		return;
	ranking_shift(ranking, at + 1, at);
	ranking->best[at] = entry;
	ranking->networks[at] = network;
}

void mesh_peers_rank(struct mesh_peers *peers, uint32_t cnt, uint64_t wall_s)
{
	struct ranking ranking;
	struct mesh_peer_entry *entry = NULL;

	ranking.cnt = 0;
	ranking.cap = cnt < MESH_PEERS_USEFUL_CAP ? cnt : MESH_PEERS_USEFUL_CAP;
	while ((entry = pool_next(&peers->pool, entry))) {
		entry->is_useful = false;
		if (ranking.cap && entry_was_useful(entry, wall_s))
			ranking_add(&ranking, entry);
	}
	for (uint32_t i = 0; i < ranking.cnt; i++)
		ranking.best[i]->is_useful = true;
	/*
	 * A useful peer that is an unknown peer again moves to the unknown peers, and the other way
	 * round.
	 */
	while ((entry = pool_next(&peers->pool, entry)))
		if (mesh_peers_is_known(entry) != (entry->placed_as != FAIR_UNKNOWN))
			mesh_peers_settle(peers, entry);
}
