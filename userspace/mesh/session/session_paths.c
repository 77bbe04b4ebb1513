/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to a peer, for people: sessions with it, and addresses that a dial tries. Home worker. */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define IN_USE_NS (15 * NS_PER_S)

bool mesh_session_is_used(const struct mesh_session *session)
{
	return mesh_session_is_waited_on(session) || session->stream_cnts[MESH_ROLE_INCOMING] ||
	       (session->used_ns && session->mesh->now_ns < session->used_ns + IN_USE_NS);
}

bool mesh_session_release(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN])
{
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);

	if (!session || !session->is_dialler || session->is_chosen || session->is_wanted ||
	    session->is_leaving || mesh_session_is_used(session) ||
	    (session->peer && session->peer->record.choices))
		return false;
	mesh_session_close(session, MESH_BYE_DONE, "done");
	return true;
}

bool mesh_session_path(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       unsigned idx, struct mesh_session_path *out_path)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct timer *search;

	while (session && idx--)
		session = session->twin;
	if (!session)
		return false;
	search = &session->upgrade.timer;
	*out_path = (struct mesh_session_path){
		.since_ns = session->moved_ns ? session->moved_ns : session->ready_ns,
		.is_retired = session->is_retired,
		.is_silent = mesh_redial_is_on(session),
	};
	if (session->upgrade.session && timer_is_set(search))
		out_path->search_ns = search->at_ns;
	session->conn->ops->info(session->conn, &out_path->conn);
	return true;
}

static enum mesh_trial_state trial_state(const struct mesh_dial *dial, unsigned idx)
{
	if (dial->attempts[idx].conn)
		return MESH_TRIAL_RUNS;
	return idx < dial->next_idx ? MESH_TRIAL_FAILED : MESH_TRIAL_WAITS;
}

bool mesh_trial(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], unsigned idx,
		struct mesh_trial *out_trial)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, key);
	const struct transport_conn *upgrade = NULL;
	struct transport_conn_info info;

	while (session && (upgrade = mesh_upgrade_next(session, upgrade))) {
		if (idx--)
			continue;
		upgrade->ops->info(upgrade, &info);
		*out_trial = (struct mesh_trial){.addr = info.remote, .state = MESH_TRIAL_RUNS};
		return true;
	}
	if (!dial || idx >= dial->addr_cnt)
		return false;
	*out_trial = (struct mesh_trial){dial->addrs[idx], trial_state(dial, idx)};
	return true;
}
