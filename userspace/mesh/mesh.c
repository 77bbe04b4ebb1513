/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions between keys, over streams that a transport carries.
 *
 * Inbound: mesh_transport_events -> session.c (connections), mesh_stream.c (streams). By their
 * kinds, streams go to control_stream.c (HELLO and its kin), incoming.c (peers' requests ->
 * handlers), mesh_request.c (answers), or frame_stream.c (any number of frames).
 *
 * Outbound: mesh_ops.ask -> mesh_request.c -> stream_wait.c. From there dial.c when there is no
 * session, or redial.c when there is one and it owes an answer; mesh_ops.answer -> incoming.c.
 *
 * discovery.c asks other sources where a key is. mesh_frame.c reads and writes the bytes on a
 * stream, and registry.def lists the types of frames. peers.c keeps the peers met. All on the
 * home worker; nothing here reads a clock, waits or logs.
 */
#include "mesh/mesh.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "mesh/mesh_state.h"

/* How often it is decided which peers are useful, and which part of the table may be. */
#define RANK_EVERY_S 60
#define USEFUL_PART  8

void mesh_config_defaults(struct mesh_config *config)
{
	*config = (struct mesh_config){
		.session_cap = 1024,
		.request_cap = 4096,
		.request_per_session_cap = 256,
		.incoming_cap = 4096,
		.incoming_per_session_cap = 128,
		/* Requests larger than a datagram are rare; announcements and calls come in tens. */
		.medium_buffer_cnt = 128,
		.large_buffer_cnt = 8,
		.stream_cap = 4096,
		.stream_per_session_cap =
			128, /* what QUIC grants, which the router's limits are below */
		.peer_cap = 4096,
		.dial_stagger_ns = 250 * NS_PER_MS, /* RFC 8305, 8 */
		/* QUIC as the addresses are given, then TCP, and on the Internet then a relay. */
		.ways = {[MESH_NETWORK_INTERNET] = {{1, 1, 2, 2, 3, 4}},
			 [MESH_NETWORK_LAN] = {{1, 1, 2, 2}}},
		.skew_max_s = 300,
		.caps = MESH_CAP_CONTENT_SEED,
		.agent = "weft",
	};
}

uint32_t mesh_config_caps(const struct mesh_config *config)
{
	return config->is_light
		       ? (config->caps & ~(uint32_t)MESH_CAP_CONTENT_SEED) | MESH_CAP_MOBILE_LIGHT
		       : config->caps;
}

/* A session may have a dial beside it, and a dial may become a session. */
static uint32_t dial_cap(const struct mesh_config *config)
{
	return 2 * config->session_cap;
}

/*
 * Every request and every incoming may hold a small buffer, every session two. One more is the
 * place where an answer is written while its request is there.
 */
static void buffer_cnts(const struct mesh_config *config, uint32_t cnts[MESH_BUFFER_SIZE_CNT])
{
	cnts[MESH_BUFFER_SMALL] =
		config->request_cap + config->incoming_cap + 2 * config->session_cap + 1;
	cnts[MESH_BUFFER_MEDIUM] = config->medium_buffer_cnt;
	cnts[MESH_BUFFER_LARGE] = config->large_buffer_cnt;
	cnts[MESH_BUFFER_OWN] = config->medium_buffer_cnt;
}

static int mesh_lay_out(struct mesh *mesh, struct random *random)
{
	const struct mesh_config *config = &mesh->config;
	uint32_t cnts[MESH_BUFFER_SIZE_CNT];
	uint64_t secret[2];
	int err;

	buffer_cnts(config, cnts);
	random_fill(random, mesh->deferrals.secret, sizeof(mesh->deferrals.secret));
	random_fill(random, secret, sizeof(secret));
	if ((err = arena_open(&mesh->arena, ARENA_GROWS)) < 0 ||
	    (err = pool_init(&mesh->sessions, &mesh->arena, sizeof(struct mesh_session),
			     config->session_cap)) < 0 ||
	    (err = pool_init(&mesh->requests, &mesh->arena, sizeof(struct mesh_request),
			     config->request_cap + MESH_REQUEST_SPARE_CNT)) < 0 ||
	    (err = pool_init(&mesh->incoming, &mesh->arena, sizeof(struct mesh_incoming),
			     config->incoming_cap + config->session_cap)) < 0 ||
	    (err = pool_init(&mesh->dials, &mesh->arena, sizeof(struct mesh_dial),
			     dial_cap(config))) < 0 ||
	    (err = pool_init(&mesh->streams, &mesh->arena, sizeof(struct mesh_frame_stream),
			     2 * config->stream_cap + MESH_STREAM_SPARE_CNT)) < 0 ||
	    (err = map_init(&mesh->sessions_by_key, &mesh->arena, MESH_KEY_LEN, config->session_cap,
			    secret)) < 0 ||
	    (err = map_init(&mesh->dials_by_key, &mesh->arena, MESH_KEY_LEN, dial_cap(config),
			    secret)) < 0 ||
	    (err = mesh_buffers_init(&mesh->buffers, &mesh->arena, cnts)) < 0 ||
	    (err = mesh_slots_init(mesh, secret)) < 0)
		return err;
	err = mesh_peers_init(&mesh->peers, &mesh->arena, config->peer_cap, config->session_cap,
			      secret);
	arena_fit(&mesh->arena);
	return err;
}

size_t mesh_footprint(const struct mesh_config *config)
{
	struct mesh *mesh = calloc(1, sizeof(*mesh));
	struct random random;
	size_t len = 0;

	if (!mesh)
		return 0;
	random_init_seeded(&random, 0);
	mesh->config = *config;
	if (mesh_lay_out(mesh, &random) == 0)
		len = mesh->arena.used_len;
	arena_close(&mesh->arena);
	free(mesh);
	return len;
}

int mesh_new(const struct mesh_params *params, struct mesh **out_mesh)
{
	struct mesh *mesh = calloc(1, sizeof(*mesh));
	int err;

	if (!mesh)
		return -ENOMEM;
	mesh->params = *params;
	mesh->config = params->config;
	memcpy(mesh->own_key, params->own_key, sizeof(mesh->own_key));
	mesh->config.caps = mesh_config_caps(&mesh->config);
	mesh->timers = params->timers;
	mesh->now_ns = params->now_ns;
	list_init(&mesh->share_changes);
	list_init(&mesh->foreign_sources);
	mesh_set_wall(mesh, params->wall_s, params->now_ns);
	if ((err = mesh_lay_out(mesh, params->random)) < 0 ||
	    (err = mesh_peers_load(&mesh->peers, params->store, params->timers)) < 0) {
		mesh_free(mesh);
		return err;
	}
	*out_mesh = mesh;
	return 0;
}

/* The timer wheel outlives the mesh: none of its timers may stay there. */
static void mesh_cancel_timers(struct mesh *mesh)
{
	struct pool *pools[] = {&mesh->requests, &mesh->incoming, &mesh->streams};
	struct mesh_session *session = NULL;
	struct mesh_dial *dial = NULL;

	while ((session = pool_next(&mesh->sessions, session))) {
		timer_cancel(mesh->timers, &session->timer);
		timer_cancel(mesh->timers, &session->liveness);
		timer_cancel(mesh->timers, &session->ping.timer);
		timer_cancel(mesh->timers, &session->upgrade.timer);
	}
	for (unsigned i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		struct mesh_stream *stream = NULL; /* what each of them begins with */

		while ((stream = pool_next(pools[i], stream)))
			timer_cancel(mesh->timers, &stream->timer);
	}
	timer_cancel(mesh->timers, &mesh->slots.timer);
	mesh_forget_locators(mesh);
	while ((dial = pool_next(&mesh->dials, dial))) {
		timer_cancel(mesh->timers, &dial->timer);
		timer_cancel(mesh->timers, &dial->renewal);
	}
	mesh_peers_stop(&mesh->peers);
}

void mesh_free(struct mesh *mesh)
{
	if (!mesh)
		return;
	mesh_cancel_timers(mesh);
	mesh_shares_detach(mesh);
	arena_close(&mesh->arena);
	free(mesh);
}

void mesh_set_transport(struct mesh *mesh, struct transport *transport)
{
	mesh->transport = transport;
}

uint32_t mesh_caps(const struct mesh *mesh)
{
	return mesh->config.caps;
}

void mesh_set_caps(struct mesh *mesh, uint32_t caps)
{
	mesh->config.caps = caps;
}

void mesh_set_addrs(struct mesh *mesh, const struct addr *addrs, unsigned cnt)
{
	struct mesh_config *config = &mesh->config;

	weft_assert(cnt <= MESH_PEER_ADDRS_MAX);
	memset(config->addrs, 0, sizeof(config->addrs));
	if (cnt)
		memcpy(config->addrs, addrs, cnt * sizeof(addrs[0]));
	config->addr_cnt = cnt;
}

void mesh_configure(struct mesh *mesh, const struct mesh_config *config)
{
	struct mesh_config *own = &mesh->config;

	own->request_per_session_cap = config->request_per_session_cap;
	own->incoming_per_session_cap = config->incoming_per_session_cap;
	own->stream_per_session_cap = config->stream_per_session_cap;
	own->dial_stagger_ns = config->dial_stagger_ns;
	memcpy(own->ways, config->ways, sizeof(own->ways));
	own->skew_max_s = config->skew_max_s;
}

bool mesh_refuses(const struct mesh *mesh, const uint8_t *key, const struct addr *remote)
{
	return mesh->params.refuses && mesh->params.refuses(mesh->params.refuses_ctx, key, remote);
}

uint32_t mesh_limits(const struct mesh_session *session, uint32_t cap)
{
	const struct mesh *mesh = session->mesh;

	if (!mesh->params.is_limited || session->is_dialler || mesh_peers_is_known(session->peer) ||
	    !mesh->params.is_limited(mesh->params.refuses_ctx, &session->remote))
		return cap;
	return cap < 1 ? cap : 1;
}

static struct mesh_session *refused_session(const struct mesh *mesh)
{
	struct mesh_session *session = NULL;
	struct transport_conn_info info;

	while ((session = pool_next(&mesh->sessions, session))) {
		mesh->transport->ops->info(session->conn, &info);
		if (mesh_refuses(mesh, session->key, &info.remote))
			return session;
	}
	return NULL;
}

static struct mesh_dial *refused_dial(const struct mesh *mesh)
{
	static const struct addr nowhere;
	struct mesh_dial *dial = NULL;

	while ((dial = pool_next(&mesh->dials, dial)))
		if (mesh_refuses(mesh, dial->key, &nowhere))
			return dial;
	return NULL;
}

/* Closing one may end others with it, so the walk begins anew each time. */
unsigned mesh_expel(struct mesh *mesh, uint64_t now_ns)
{
	struct mesh_session *session;
	struct mesh_dial *dial;
	unsigned cnt = 0;

	mesh_turn(mesh, now_ns);
	/* A user that learns of it and asks again is refused at once (stream_wait.c). */
	while ((dial = refused_dial(mesh)))
		mesh_dial_fail(dial, WEFT_EREFUSED);
	for (; (session = refused_session(mesh)); cnt++)
		mesh_session_close(session, MESH_BYE_REFUSED, "not welcome");
	return cnt;
}

/* A clock that is set here changes by how much each peer's clock is ahead of it. */
#define WALL_JUMP_S 2

static void skews_shift(struct mesh *mesh, int64_t jump_s)
{
	struct mesh_peer_entry *entry = NULL;

	while ((entry = pool_next(&mesh->peers.pool, entry))) {
		int64_t *skew_s = &entry->record.skew_s;

		/* A peer may have said any time at all. */
		if (__builtin_sub_overflow(*skew_s, jump_s, skew_s))
			*skew_s = jump_s < 0 ? INT64_MAX : -INT64_MAX;
	}
}

void mesh_set_wall(struct mesh *mesh, uint64_t wall_s, uint64_t now_ns)
{
	int64_t passed_s, jump_s;

	/* Time is reckoned from here, so it may not be behind. */
	now_ns = mesh_turn(mesh, now_ns);
	passed_s = (int64_t)((now_ns - mesh->wall_at_ns) / NS_PER_S);
	jump_s = (int64_t)wall_s - (int64_t)mesh->wall_s - passed_s;
	if (mesh->wall_s && (jump_s >= WALL_JUMP_S || jump_s <= -WALL_JUMP_S))
		skews_shift(mesh, jump_s);
	mesh->wall_s = wall_s;
	mesh->wall_at_ns = now_ns;
}

uint64_t mesh_wall_now_s(const struct mesh *mesh)
{
	return mesh->wall_s + (mesh->now_ns - mesh->wall_at_ns) / NS_PER_S;
}

/* Not all at once: each comes at a moment of its own in the second half. */
static uint64_t spread(const struct mesh_session *session, uint64_t not_before_ms)
{
	return not_before_ms - not_before_ms / 2 * session->key[0] / UINT8_MAX;
}

void mesh_goodbye(struct mesh *mesh, unsigned reason, uint64_t not_before_ms, uint64_t now_ns)
{
	struct mesh_session *session = NULL;
	struct mesh_dial *dial;

	now_ns = mesh_turn(mesh, now_ns);
	mesh->is_leaving = true;
	while ((dial = pool_next(&mesh->dials, NULL)))
		mesh_dial_fail(dial, WEFT_ECLOSED);
	while ((session = pool_next(&mesh->sessions, session))) {
		mesh_session_leave(session, reason, spread(session, not_before_ms));
		if (!session->peer)
			continue;
		session->peer->record.last_seen_s = mesh_wall_now_s(mesh);
		mesh_peers_changed(&mesh->peers, session->peer, now_ns);
	}
	mesh_peers_flush(&mesh->peers);
}

uint64_t mesh_deferred_until(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN])
{
	return mesh_deferrals_until(&mesh->deferrals, key, MESH_DEFER_ALL, mesh->now_ns);
}

void mesh_undefer(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], unsigned type)
{
	mesh_deferrals_forget(&mesh->deferrals, key, type);
}

void mesh_session_probe(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN])
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);

	if (session && mesh->transport->ops->probe)
		mesh->transport->ops->probe(session->conn);
}

int mesh_session_id(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		    uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);

	if (!session)
		return WEFT_EABSENT;
	memcpy(out_id, session->id, MESH_SESSION_ID_LEN);
	return 0;
}

int mesh_session_export(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			const char *label, uint8_t *out, size_t len)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);

	if (!session || session->conn->ops->exporter(session->conn, label, out, len) < 0)
		return WEFT_EABSENT;
	return 0;
}

bool mesh_may_not_dial(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       const struct addr *addr)
{
	return !mesh_ways_rank(mesh->config.ways, addr) || mesh_refuses(mesh, key, addr);
}

void mesh_stats(const struct mesh *mesh, struct mesh_stats *out_stats)
{
	const struct mesh_peers *peers = &mesh->peers;

	*out_stats = mesh->stats;
	out_stats->session_cnt = mesh->sessions.used_cnt;
	out_stats->request_cnt = mesh->stream_cnts[MESH_ROLE_REQUEST];
	out_stats->incoming_cnt = mesh->incoming.used_cnt;
	out_stats->stream_cnt = mesh->streams.used_cnt;
	out_stats->peer_cnt = mesh->peers.pool.used_cnt;
	out_stats->told_cnt = mesh_unverified_recent(&mesh->unverified, mesh->now_ns);
	out_stats->deferral_cnt = mesh_deferrals_cnt(&mesh->deferrals, mesh->now_ns);
	out_stats->unverified_refused_cnt = mesh->unverified.refused_cnt;
	out_stats->unknown =
		(struct mesh_peer_part){peers->unknown_cnt, peers->bucket_cnt * peers->bucket_cap,
					peers->evicted_cnts[FAIR_UNKNOWN]};
	out_stats->known = (struct mesh_peer_part){peers->known_cnt, peers->known_cap,
						   peers->evicted_cnts[FAIR_KNOWN] +
							   peers->evicted_cnts[FAIR_USEFUL]};
	out_stats->chosen = (struct mesh_peer_part){peers->chosen_cnt, peers->chosen_cap,
						    peers->evicted_cnts[FAIR_CHOSEN]};
	for (unsigned i = 0; i < MESH_POOL_CNT; i++) {
		fair_read(&mesh->slots.pools[i], &out_stats->pools[i]);
		mesh_slots_largest(mesh, i, &out_stats->pools_largest[i]);
	}
}

static void entry_fill_info(const struct mesh_peer_entry *entry, struct mesh_peer_info *out_info)
{
	const struct mesh_peer_record *record = &entry->record;
	struct mesh_peer_info info = {
		.caps = record->caps,
		.last_addr = record->last_addr,
		.first_seen_s = record->first_seen_s,
		.last_seen_s = record->last_seen_s,
		.skew_s = record->skew_s,
		.share_cnt = record->share_cnt > 1 ? record->share_cnt : 1,
	};

	memcpy(info.key, entry->key, sizeof(info.key));
	memcpy(info.agent, record->agent, sizeof(info.agent));
	memcpy(info.vias, entry->vias, sizeof(info.vias));
	info.via_cnt = entry->via_cnt;
	*out_info = info;
}

bool mesh_walk_next(struct mesh *mesh, struct mesh_walk *walk)
{
	while (!walk->is_past && (walk->session = pool_next(&mesh->sessions, walk->session)))
		if (map_lookup(&mesh->sessions_by_key, walk->session->key) == walk->session)
			return true;
	walk->is_past = true;
	while ((walk->entry = pool_next(&mesh->peers.pool, walk->entry)))
		if (!map_lookup(&mesh->sessions_by_key, walk->entry->key))
			return true;
	return false;
}

bool mesh_peers_next(struct mesh *mesh, struct mesh_walk *walk, struct mesh_peer_info *out_peer)
{
	if (!mesh_walk_next(mesh, walk))
		return false;
	if (walk->entry)
		entry_fill_info(walk->entry, out_peer);
	else
		mesh_session_fill_info(walk->session, out_peer);
	return true;
}

void mesh_note_peer(struct mesh *mesh, const struct mesh_peer_info *info, uint64_t now_ns)
{
	struct mesh_peer_entry *entry = mesh_peers_acquire_foreign(&mesh->peers, info->key);
	struct mesh_peer_record *record;

	if (!entry)
		return;
	record = &entry->record;
	record->caps = info->caps;
	mesh_peer_place(&record->last_addr, &info->last_addr, info->conn.is_dialler);
	record->last_seen_s = info->last_seen_s;
	if (info->is_connected && info->conn.is_dialler) {
		mesh_peer_place(&record->good_addr, &info->last_addr, true);
		record->good_s = info->last_seen_s;
	}
	if (!record->first_seen_s)
		record->first_seen_s = info->last_seen_s;
	record->skew_s = info->skew_s;
	memcpy(record->agent, info->agent, sizeof(record->agent));
	if (mesh->params.choices)
		record->choices = (record->choices & MESH_CHOICE_DIALLED) |
				  mesh->params.choices(mesh->params.ctx, info->key);
	mesh_peers_changed(&mesh->peers, entry, now_ns);
	mesh_peers_set_foreign(&mesh->peers, entry, info->is_connected ? &info->last_addr : NULL);
}

void mesh_choose(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], uint32_t choices,
		 bool is_on, uint64_t now_ns)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	if (!entry)
		return;
	now_ns = mesh_turn(mesh, now_ns);
	if (is_on)
		entry->record.choices |= choices;
	else
		entry->record.choices &= ~choices;
	mesh_peers_changed(&mesh->peers, entry, now_ns);
	mesh_peers_settle(&mesh->peers, entry);
}

void mesh_note_useful(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], uint64_t units)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);
	uint64_t wall_s = mesh_wall_now_s(mesh);

	if (!entry)
		return;
	mesh_peers_note_useful(entry, units, wall_s);
	mesh_peers_changed(&mesh->peers, entry, mesh->now_ns);
	if (wall_s - mesh->ranked_s < RANK_EVERY_S)
		return;
	mesh->ranked_s = wall_s;
	mesh_peers_rank(&mesh->peers, mesh->config.peer_cap / USEFUL_PART, wall_s);
}

bool mesh_may_dial_web(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       const struct addr *addr, uint64_t now_ns)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	now_ns = mesh_turn(mesh, now_ns);
	return (entry && (addr_is_same_host(&entry->record.good_addr, addr) ||
			  addr_is_same_host(&entry->record.last_addr, addr))) ||
	       mesh_unverified_take_web(&mesh->unverified, addr, now_ns);
}

void mesh_web_answered(struct mesh *mesh, const struct addr *addr)
{
	mesh_unverified_answered(&mesh->unverified, addr);
}

void mesh_note_false(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN])
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	if (!entry)
		return;
	mesh_peers_note_false(entry, mesh_wall_now_s(mesh));
	mesh_peers_settle(&mesh->peers, entry);
}

struct mesh_handler *mesh_handler_slot(struct mesh *mesh, unsigned type)
{
	const struct mesh_message_info *info = mesh_registry_lookup(type);

	if (!info || info->request_class == MESH_CLASS_NONE ||
	    info->request_class == MESH_CLASS_SESSION)
		return NULL;
	return &mesh->handlers[mesh_registry_idx(info)];
}

int mesh_handler_set(struct mesh *mesh, unsigned type, const struct mesh_handler *handler)
{
	struct mesh_handler *slot = mesh_handler_slot(mesh, type);

	if (!slot)
		return WEFT_EUNKNOWN;
	if (slot->fn || slot->accept)
		return WEFT_EEXISTS;
	*slot = *handler;
	return 0;
}

static int mesh_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	return mesh_handler_set(mesh, type, &(struct mesh_handler){.fn = handler, .ctx = ctx});
}

static const struct mesh_ops mesh_ops = {
	.ask = mesh_request_ask,
	.cancel = mesh_request_cancel,
	.handle = mesh_handle,
	.answer = mesh_incoming_answer,
	.answer_error = mesh_incoming_answer_error,
	.abandoned = mesh_incoming_abandoned,
	.asker_addr = mesh_incoming_asker_addr,
	.asker_path = mesh_incoming_path,
	.asker_session = mesh_incoming_session,
	.session = mesh_session_id,
	.received = mesh_request_received,
	.connect = mesh_request_connect,
	.release = mesh_session_release,
	.note_refused = mesh_incoming_note_refused,
	.hurry = mesh_slots_hurry,
	.recall = mesh_incoming_recall,
};

struct mesh_seam mesh_seam_of(struct mesh *mesh)
{
	return (struct mesh_seam){&mesh_ops, mesh};
}
