/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_join.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "overlay_query.h"
#include "run.h"
#include "overlay_serve.h"

/* A join without an answer is tried again after a pause that doubles. */
#define RETRY_MIN_NS (1 * NS_PER_S)
#define RETRY_MAX_NS (60 * NS_PER_S)
/* Is there something to refresh? Asked so often. */
#define LOOK_NS (5 * NS_PER_S)
/* A node that knows fewer than K may be early: it looks again, ever more rarely. */
#define THIN_MIN_NS (10 * NS_PER_S)
#define THIN_MAX_NS (300 * NS_PER_S)
/* Pings may be dials: a few at a time. */
#define PINGS_PER_TURN 4
#define PING_PAUSE_NS  (100 * NS_PER_MS)
/* Neighbours that a lookup begins with when the table knows too few. */
#define ENTRIES_MAX OVERLAY_NODES_MAX

void overlay_join_init(struct overlay *overlay)
{
	overlay->join.retry_ns = RETRY_MIN_NS;
	overlay->join.thin_pause_ns = THIN_MIN_NS;
}

/*
 * --- is this node of use to others? ---
 *
 * Reach is relative: on a mesh that is one machine or one site, being dialled from there is
 * enough. As soon as a peer is farther away, a peer must have dialled this node from as far.
 */

/* False: connected neighbours come first, and this is none. */
static bool look_at(struct overlay *overlay, const struct mesh_neighbour *neighbour)
{
	enum kad_addr_scope addr_scope = kad_addr_scope_of(&neighbour->remote);

	if (!neighbour->is_connected)
		return false;
	if (addr_scope > overlay->farthest_scope)
		overlay->farthest_scope = addr_scope;
	if (!neighbour->is_dialled && addr_scope > overlay->dialled_scope)
		overlay->dialled_scope = addr_scope;
	return true;
}

static bool is_reachable(struct overlay *overlay)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};

	while (overlay->neighbours->next(overlay->mesh.mesh, &walk, &neighbour) &&
	       look_at(overlay, &neighbour))
		;
	return overlay->dialled_scope != KAD_ADDR_SCOPE_NONE &&
	       overlay->dialled_scope >= overlay->farthest_scope;
}

void overlay_reachable_look(struct overlay *overlay, uint64_t now_ns)
{
	const struct overlay_config *config = &overlay->config;
	bool is_serving = config->serve == OVERLAY_SERVE_ON;

	if (config->serve == OVERLAY_SERVE_AUTO)
		is_serving = config->is_public || is_reachable(overlay);
	overlay->join.reachable_ns = now_ns + OVERLAY_REACHABLE_EVERY_NS;
	if (is_serving == overlay->is_serving)
		return;
	overlay->is_serving = is_serving;
	overlay->neighbours->announce(overlay->mesh.mesh, MESH_CAP_DHT, is_serving);
}

void overlay_reachable_note(struct overlay *overlay, const struct mesh_neighbour *asker,
			    uint64_t now_ns)
{
	if (!asker->is_connected || asker->is_dialled ||
	    kad_addr_scope_of(&asker->remote) <= overlay->dialled_scope)
		return;
	/* Its session may be another worker's, which is seen here alone. */
	(void)look_at(overlay, asker);
	overlay_reachable_look(overlay, now_ns);
}

/* --- nodes to begin with --- */

struct entries {
	struct overlay_node nodes[ENTRIES_MAX];
	unsigned cnt, seen_cnt;
};

/*
 * Connected peers are asked whatever their HELLO said, for they may serve since. Other known
 * peers are asked if they said so, each as likely as any other.
 */
static void entry_take(struct overlay *overlay, struct entries *entries,
		       const struct mesh_neighbour *neighbour)
{
	struct overlay_node node;
	uint64_t at = entries->cnt;

	if ((!neighbour->is_connected && !(neighbour->caps & MESH_CAP_DHT)) ||
	    !overlay_node_of(neighbour, &node))
		return;
	entries->seen_cnt++;
	if (entries->cnt < ENTRIES_MAX)
		entries->cnt++;
	else
		at = random_below(overlay->random, entries->seen_cnt);
	if (at < ENTRIES_MAX)
		entries->nodes[at] = node;
}

static void entries_tell(struct overlay *overlay, const struct overlay_node *nodes, unsigned cnt,
			 void (*fn)(void *arg, const struct kad_contact *contact), void *arg)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct kad_contact contact;

		overlay_book_contacts(&overlay->book, &nodes[i], 1, &contact);
		fn(arg, &contact);
	}
}

void overlay_join_entries(struct overlay *overlay,
			  void (*fn)(void *arg, const struct kad_contact *contact), void *arg)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	struct entries entries;

	entries.cnt = entries.seen_cnt = 0;
	while (overlay->neighbours->next(overlay->mesh.mesh, &walk, &neighbour))
		entry_take(overlay, &entries, &neighbour);
	entries_tell(overlay, entries.nodes, entries.cnt, fn, arg);
	entries_tell(overlay, overlay->join.known, overlay->join.known_cnt, fn, arg);
}

void overlay_join_know(struct overlay *overlay, const struct overlay_node *node, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;

	for (unsigned i = 0; i < join->known_cnt; i++)
		if (memcmp(join->known[i].key, node->key, sizeof(node->key)) == 0)
			return;
	join->known[join->known_idx] = *node;
	join->known_idx = (join->known_idx + 1) % OVERLAY_KNOWN_MAX;
	if (join->known_cnt < OVERLAY_KNOWN_MAX)
		join->known_cnt++;
	if (!join->is_joined && !join->run)
		join->next_ns = now_ns;
}

/* --- joining --- */

static void begin_anew(struct overlay_join *join, uint64_t now_ns)
{
	join->is_joined = false;
	join->retry_ns = RETRY_MIN_NS;
	join->next_ns = now_ns;
}

void overlay_join_hurry(struct overlay *overlay, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;

	if (!join->is_joined && !join->run)
		begin_anew(join, now_ns);
}

static void retry_later(struct overlay_join *join, uint64_t now_ns)
{
	join->next_ns = now_ns + join->retry_ns;
	join->retry_ns = 2 * join->retry_ns < RETRY_MAX_NS ? 2 * join->retry_ns : RETRY_MAX_NS;
}

static void join_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct overlay *overlay = arg;
	struct overlay_join *join = &overlay->join;

	join->run = NULL;
	join->is_joined = result->err == 0;
	if (!join->is_joined) {
		retry_later(join, now_ns);
		return;
	}
	join->fill_idx = 0;
	join->next_ns = now_ns;
	join->retry_ns = RETRY_MIN_NS;
}

static void refresh_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct overlay *overlay = arg;

	(void)result;
	overlay->join.run = NULL;
	overlay->join.next_ns = now_ns;
}

static void join_start(struct overlay *overlay, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;

	join->run = overlay_run_nodes(overlay, &overlay->own_id, join_done, overlay, now_ns);
	if (!join->run)
		retry_later(join, now_ns);
}

/* True: too few are known, and it was a while ago that more were looked for. */
static bool is_thin(struct overlay *overlay, const struct kad_table_counts *counts, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;

	if (counts->good >= overlay->config.table.k) {
		join->thin_pause_ns = THIN_MIN_NS;
		return false;
	}
	if (now_ns < join->thin_ns)
		return false;
	join->thin_ns = now_ns + join->thin_pause_ns;
	join->thin_pause_ns =
		2 * join->thin_pause_ns < THIN_MAX_NS ? 2 * join->thin_pause_ns : THIN_MAX_NS;
	return true;
}

/* The next lookup that fills or refreshes a bucket, if there is one to make. */
static void refresh_start(struct overlay *overlay, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;
	struct kad_table_counts counts;
	struct kad_id target;

	kad_table_count(overlay->table, now_ns, &counts);
	if (!counts.good) {
		begin_anew(join, now_ns);
		join_start(overlay, now_ns);
		return;
	}
	join->next_ns = now_ns + LOOK_NS;
	if (join->fill_idx < counts.buckets)
		target = kad_id_random_in(&overlay->own_id, join->fill_idx++, overlay->random);
	else if (is_thin(overlay, &counts, now_ns))
		target = overlay->own_id;
	else if (!kad_table_next_refresh(overlay->table, now_ns, &target))
		return;
	join->run = overlay_run_nodes(overlay, &target, refresh_done, overlay, now_ns);
}

/* --- upkeep --- */

static void pings_send(struct overlay *overlay, uint64_t now_ns)
{
	struct kad_contact contact;

	for (unsigned i = 0; i < PINGS_PER_TURN; i++) {
		if (overlay->queries.used_cnt == overlay->queries.cap_cnt ||
		    !kad_table_next_ping(overlay->table, now_ns, &contact))
			return;
		if (overlay_query_ping(overlay, &contact, now_ns) < 0)
			return;
	}
}

void overlay_join_expire(struct overlay *overlay, uint64_t now_ns)
{
	struct overlay_join *join = &overlay->join;

	if (now_ns >= join->reachable_ns)
		overlay_reachable_look(overlay, now_ns);
	if (now_ns >= join->ping_ns) {
		pings_send(overlay, now_ns);
		join->ping_ns = now_ns + PING_PAUSE_NS;
	}
	if (join->run || now_ns < join->next_ns)
		return;
	if (join->is_joined)
		refresh_start(overlay, now_ns);
	else
		join_start(overlay, now_ns);
}

uint64_t overlay_join_next_ns(const struct overlay *overlay)
{
	const struct overlay_join *join = &overlay->join;
	uint64_t next_ns = kad_table_next_ping_ns(overlay->table);

	if (next_ns < join->ping_ns)
		next_ns = join->ping_ns;
	if (join->reachable_ns < next_ns)
		next_ns = join->reachable_ns;
	return !join->run && join->next_ns < next_ns ? join->next_ns : next_ns;
}
