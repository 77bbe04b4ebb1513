/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair shares of the slots and buffers that peers' requests hold. A request takes its slot when
 * its stream brings the first bytes. It takes a medium or large buffer when the first bytes of
 * its payload are there. Home worker, and each other worker for its own sessions.
 */
#include "slots.h"

#include <string.h>

#include "base/monotonic.h"
#include "mesh/mesh_state.h"

#define IDLE_NS (30 * NS_PER_S)
#define BUSY_NS (2 * NS_PER_S)
/* Fewer streams than this are shared without parts for classes. */
#define PARTED_CNT_MIN 8u
#define PATH_NS	       NS_PER_S /* a path is made anew so often: its peer moves, and becomes known */

static void pool_configs(const struct mesh_config *config,
			 struct fair_config configs[static MESH_POOL_CNT])
{
	const uint32_t caps[MESH_POOL_STREAMS] = {
		[MESH_POOL_INCOMING] = config->incoming_cap,
		[MESH_POOL_MEDIUM] = config->medium_buffer_cnt,
		[MESH_POOL_LARGE] = config->large_buffer_cnt,
	};
	static const char *const names[MESH_POOL_STREAMS] = {
		[MESH_POOL_INCOMING] = "mesh.incoming_cap",
		[MESH_POOL_MEDIUM] = "mesh.medium_buffers",
		[MESH_POOL_LARGE] = "mesh.large_buffers",
	};

	for (unsigned i = 0; i < MESH_POOL_STREAMS; i++)
		configs[i] = (struct fair_config){.name = names[i],
						  .cap_cnt = caps[i],
						  .kind = FAIR_WORK,
						  .level_cnt = FAIR_PEER_LEVELS,
						  .parts = FAIR_PEER_PARTS,
						  .idle_ns = IDLE_NS,
						  .busy_ns = BUSY_NS};
	/* A stream may stay open and say nothing: the youngest of its peer goes, and none expires. */
	configs[MESH_POOL_STREAMS] = (struct fair_config){.name = "mesh.stream_cap",
							  .cap_cnt = config->stream_cap,
							  .kind = FAIR_LASTING,
							  .level_cnt = FAIR_PEER_LEVELS,
							  .parts = FAIR_PEER_PARTS};
	if (config->stream_cap < PARTED_CNT_MIN)
		memset(configs[MESH_POOL_STREAMS].parts, 0,
		       sizeof(configs[MESH_POOL_STREAMS].parts));
}

/* The incoming that item of pool is in. */
static struct mesh_incoming *item_incoming(enum mesh_pool pool, struct fair_item *item)
{
	if (pool == MESH_POOL_INCOMING)
		return container_of(item, struct mesh_incoming, stream.slot);
	return container_of(item, struct mesh_incoming, buffer_slot);
}

static void item_evict(enum mesh_pool pool, struct fair_item *item)
{
	if (pool == MESH_POOL_STREAMS)
		mesh_frame_stream_evict(container_of(item, struct mesh_stream, slot));
	else
		mesh_incoming_evict(item_incoming(pool, item));
}

static bool slot_poll(struct fair_item *item, uint64_t now_ns)
{
	(void)now_ns;
	return mesh_incoming_poll(item_incoming(MESH_POOL_INCOMING, item));
}

static void slots_arm(struct mesh *mesh)
{
	uint64_t first_ns = TIMER_NEVER;

	for (unsigned i = 0; i < MESH_POOL_CNT; i++) {
		uint64_t next_ns;

		if (fair_overdue(&mesh->slots.pools[i], mesh->now_ns, &next_ns))
			next_ns = mesh->now_ns;
		if (next_ns < first_ns)
			first_ns = next_ns;
	}
	if (first_ns == TIMER_NEVER)
		timer_cancel(mesh->timers, &mesh->slots.timer);
	else
		timer_set(mesh->timers, &mesh->slots.timer, first_ns);
}

static void slots_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh *mesh = container_of(timer, struct mesh, slots.timer);

	now_ns = mesh_turn(mesh, now_ns);
	for (unsigned i = 0; i < MESH_POOL_STREAMS; i++) {
		struct fair_item *item;
		uint64_t next_ns;

		while ((item = fair_overdue(&mesh->slots.pools[i], now_ns, &next_ns))) {
			mesh->stats.timeout_cnt++;
			mesh_stream_give_up(&item_incoming(i, item)->stream, WEFT_ETIMEOUT,
					    MESH_CODE_TIMEOUT);
		}
	}
	slots_arm(mesh);
}

int mesh_slots_init(struct mesh *mesh, const uint64_t secret[2])
{
	struct mesh_slots *slots = &mesh->slots;
	struct fair_config configs[MESH_POOL_CNT];

	pool_configs(&mesh->config, configs);
	slots->paths =
		(struct fair_paths){.secret = {secret[0], secret[1]}, .site = mesh->config.site};
	for (unsigned i = 0; i < MESH_POOL_CNT; i++) {
		int err = fair_init(&slots->pools[i], &mesh->arena, &configs[i], secret);

		if (err < 0)
			return err;
	}
	fair_set_poll(&slots->pools[MESH_POOL_INCOMING], slot_poll);
	timer_init(&slots->timer, slots_expire);
	return 0;
}

enum fair_class mesh_peer_class(const struct mesh *mesh, const uint8_t *key)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, key);

	/*
	 * Unknown peers make this node dial addresses, so a dial alone makes no peer chosen. A
	 * person or a program of this node has to ask for it.
	 */
	if ((session && session->is_wanted) || (dial && dial->is_wanted))
		return FAIR_CHOSEN;
	return mesh_peers_class(mesh_peers_lookup(&mesh->peers, key));
}

void mesh_slots_key_path(const struct mesh *mesh, const uint8_t *key, const struct addr *addr,
			 struct fair_path *out)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	fair_path_of_addr(&mesh->slots.paths, addr, mesh_peer_class(mesh, key), out);
	fair_path_add(&mesh->slots.paths, out, key, MESH_KEY_LEN);
	if (entry)
		out->share_cnt = entry->record.share_cnt;
}

const struct fair_path *mesh_slots_session_path(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct transport_conn_info info;

	if (session->path.level_cnt && mesh->now_ns - session->path_at_ns < PATH_NS)
		return &session->path;
	mesh->transport->ops->info(session->conn, &info);
	mesh_slots_key_path(mesh, session->key, &info.remote, &session->path);
	session->path_at_ns = mesh->now_ns;
	return &session->path;
}

bool mesh_slots_take(struct mesh *mesh, enum mesh_pool pool, const struct fair_path *path,
		     struct fair_item *item)
{
	struct fair_item *victim;

	switch (fair_take(&mesh->slots.pools[pool], path, item, mesh->now_ns, &victim)) {
	case FAIR_TAKEN:
		if (!timer_is_set(&mesh->slots.timer))
			slots_arm(mesh);
		return true;
	case FAIR_TAKEN_FROM:
		item_evict(pool, victim);
		slots_arm(mesh);
		return true;
	case FAIR_BUSY:
		slots_arm(mesh);
		break;
	}
	return false;
}

void mesh_slots_largest(const struct mesh *mesh, enum mesh_pool pool, struct addr *out_addr)
{
	const struct fair_item *item = fair_largest(&mesh->slots.pools[pool]);

	*out_addr = (struct addr){.family = ADDR_NONE};
	if (!item)
		return;
	/* Only read, though the entry is not const. */
	if (pool == MESH_POOL_STREAMS)
		mesh_stream_peer_addr(
			container_of((struct fair_item *)item, struct mesh_stream, slot), out_addr);
	else
		mesh_incoming_asker_addr(item_incoming(pool, (struct fair_item *)item), out_addr);
}

void mesh_slots_wait_peer(struct mesh_incoming *incoming)
{
	struct mesh *mesh = incoming->stream.mesh;

	fair_wait_peer(&mesh->slots.pools[MESH_POOL_INCOMING], &incoming->stream.slot,
		       mesh->now_ns);
	if (!timer_is_set(&mesh->slots.timer))
		slots_arm(mesh);
}

void mesh_slots_hurry(struct mesh *mesh)
{
	fair_press(&mesh->slots.pools[MESH_POOL_INCOMING], mesh->now_ns);
	slots_arm(mesh);
}
