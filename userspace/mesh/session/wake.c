/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of the mesh when the machine has a link, an address or a route that it had not. Open
 * sessions are the transport's (quic_engine_wake); here are those that it has given up
 * meanwhile, and those that are not there yet. For that it remembers which of its own sessions
 * ended in silence. Worker of the mesh.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

/* After a longer silence the link need not be its cause. */
#define LOST_NS (600 * NS_PER_S)
/* The rounds of quic_engine_wake, and a round trip. */
#define RENEWAL_NS (600 * NS_PER_MS)
/* As long as `peer connect` waits. */
#define REDIAL_NS (30 * NS_PER_S)

void mesh_lost_note(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct mesh_lost *lost = &mesh->lost[mesh->lost_idx];

	if (!session->is_dialler || session->is_retired || session->end.err != WEFT_ETIMEOUT)
		return;
	mesh->lost_idx = (mesh->lost_idx + 1) % MESH_LOST_CAP;
	*lost = (struct mesh_lost){.is_chosen = session->is_chosen,
				   .is_wanted = session->is_wanted,
				   .is_unsought = session->is_unsought,
				   .at_ns = mesh->now_ns ? mesh->now_ns : 1};
	memcpy(lost->key, session->key, sizeof(lost->key));
}

static void redialled(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg;
	(void)err;
	(void)actual_key;
}

/* At the addresses that it is known by. Without one, or without room, it is asked when needed. */
static void redial(struct mesh *mesh, const struct mesh_lost *lost)
{
	struct mesh_peer peer = {.is_chosen = lost->is_chosen,
				 .is_wanted = lost->is_wanted,
				 .is_unsought = lost->is_unsought};
	struct mesh_connect connect = {.peer = &peer, .timeout_ns = REDIAL_NS, .done = redialled};

	memcpy(peer.key, lost->key, sizeof(peer.key));
	if (mesh_connect(mesh, &connect, mesh->now_ns) < 0)
		mesh->stats.refused_cnt++;
}

/*
 * The session that a dial is beside is asked, too. If it answers, no other
 * is needed, so its own dial waits for that.
 */
static void dials_renew(struct mesh *mesh)
{
	struct mesh_dial *dial = NULL;

	while ((dial = pool_next(&mesh->dials, dial))) {
		if (!dial->beside)
			mesh_dial_renew(dial);
		else if (timer_is_set(&dial->renewal))
			timer_set(mesh->timers, &dial->renewal, mesh->now_ns + RENEWAL_NS);
	}
}

void mesh_wake(struct mesh *mesh, uint64_t now_ns)
{
	now_ns = mesh_turn(mesh, now_ns);
	if (mesh->is_leaving)
		return;
	mesh_udp_forget(mesh);
	dials_renew(mesh);
	for (unsigned i = 0; i < MESH_LOST_CAP; i++) {
		struct mesh_lost lost = mesh->lost[i];

		mesh->lost[i].at_ns = 0;
		if (lost.at_ns && now_ns - lost.at_ns < LOST_NS &&
		    !map_lookup(&mesh->sessions_by_key, lost.key))
			redial(mesh, &lost);
	}
}
