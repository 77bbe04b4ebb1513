/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/seam_neighbours.h"

#include "kad/kad_contact.h"
#include "mesh/mesh_state.h"

/* One right answer makes a peer useful for an hour: that proves nothing of the host at an address. */
static bool entry_is_known(const struct mesh_peer_entry *entry)
{
	enum fair_class class = mesh_peers_class(entry);

	return class == FAIR_KNOWN || class == FAIR_CHOSEN;
}

static struct mesh_neighbour entry_describe(const struct mesh_peer_entry *entry)
{
	const struct mesh_peer_record *record = &entry->record;
	struct mesh_neighbour neighbour = {
		.caps = record->caps,
		.remote = record->last_addr,
		.is_proved = record->good_addr.family != ADDR_NONE,
		.addr_cnt = record->addr_cnt,
		.last_seen_s = record->last_seen_s,
		.is_known = entry_is_known(entry),
	};

	memcpy(neighbour.key, entry->key, sizeof(neighbour.key));
	memcpy(neighbour.addrs, record->addrs, sizeof(neighbour.addrs));
	if (neighbour.is_proved)
		neighbour.remote = record->good_addr;
	return neighbour;
}

/* Other workers never dial: the peer has dialled them. */
static struct mesh_neighbour foreign_describe(const struct mesh_peer_entry *entry)
{
	struct mesh_neighbour neighbour = entry_describe(entry);

	neighbour.is_proved =
		neighbour.is_proved && addr_equal(&neighbour.remote, &entry->foreign_at);
	neighbour.remote = entry->foreign_at;
	neighbour.is_connected = true;
	return neighbour;
}

static struct mesh_neighbour session_describe(const struct mesh_session *session)
{
	struct mesh_neighbour neighbour = {0};

	if (session->peer)
		neighbour = entry_describe(session->peer);
	memcpy(neighbour.key, session->key, sizeof(neighbour.key));
	/* A label or a line is no address for others: what is known from before stays. */
	if (!addr_is_relayed(&session->remote) && !addr_is_line(&session->remote)) {
		neighbour.is_proved =
			(session->is_dialler && !session->has_moved) ||
			(neighbour.is_proved && addr_equal(&neighbour.remote, &session->remote));
		neighbour.remote = session->remote;
	}
	neighbour.last_seen_s = mesh_wall_now_s(session->mesh);
	neighbour.is_connected = true;
	neighbour.is_dialled = session->is_dialler;
	neighbour.is_relayed = addr_is_relayed(&session->remote);
	return neighbour;
}

static bool neighbour_find(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_neighbour *out_neighbour)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	if (session)
		*out_neighbour = session_describe(session);
	else if (entry && entry->foreign_at.family != ADDR_NONE)
		*out_neighbour = foreign_describe(entry);
	else if (entry)
		*out_neighbour = entry_describe(entry);
	return session || entry;
}

static bool neighbours_next(struct mesh *mesh, struct mesh_walk *walk,
			    struct mesh_neighbour *out_neighbour)
{
	if (!mesh_walk_next(mesh, walk))
		return false;
	*out_neighbour =
		walk->entry ? entry_describe(walk->entry) : session_describe(walk->session);
	return true;
}

static uint64_t session_number(const struct mesh_session *session)
{
	uint64_t number;

	memcpy(&number, session->id, sizeof(number));
	return number ? number : 1;
}

static bool neighbour_path(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_path *out_path)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);
	struct transport_conn_info info;

	if (session) {
		session->conn->ops->info(session->conn, &info);
		*out_path = (struct mesh_path){.remote = info.remote,
					       .local = info.local,
					       .received_len = info.received_len,
					       .is_used = mesh_session_is_used(session),
					       .is_dialled = session->is_dialler,
					       .session = session_number(session)};
		return true;
	}
	if (!entry || entry->foreign_at.family == ADDR_NONE)
		return false;
	*out_path = (struct mesh_path){.remote = entry->foreign_at};
	return true;
}

static void neighbours_announce(struct mesh *mesh, uint32_t caps, bool is_on)
{
	struct mesh_session *session = NULL;
	uint32_t before = mesh->config.caps;

	if (is_on)
		mesh->config.caps |= caps;
	else
		mesh->config.caps &= ~caps;
	if (mesh->config.caps == before)
		return;
	/* One that has not said it yet says it with these. */
	while ((session = pool_next(&mesh->sessions, session))) {
		if (!session->control.is_hello_sent)
			continue;
		session->control.is_hello_sent = false; /* a full stream says it later */
		mesh_control_say_hello(session);
	}
}

static unsigned addr_add(struct addr *out, unsigned cnt, unsigned cap, const struct addr *addr,
			 const struct addr *teller)
{
	if (cnt == cap || !kad_addr_scope_is_credible(addr, teller))
		return cnt;
	for (unsigned i = 0; i < cnt; i++)
		if (addr_equal(&out[i], addr))
			return cnt;
	out[cnt] = *addr;
	return cnt + 1;
}

unsigned mesh_neighbour_addrs(const struct mesh_neighbour *neighbour, struct addr *out,
			      unsigned cap)
{
	const struct addr *remote = &neighbour->remote;
	unsigned cnt = 0;

	/* A peer that dialled this node sends from where it listens, unless a NAT translates that. */
	cnt = addr_add(out, cnt, cap, remote, remote);
	for (unsigned i = 0; i < neighbour->addr_cnt; i++)
		cnt = addr_add(out, cnt, cap, &neighbour->addrs[i], remote);
	return cnt;
}

static void neighbour_account(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			      const struct addr *remote, struct fair_path *out_path)
{
	mesh_slots_key_path(mesh, key, remote, out_path);
}

const struct mesh_neighbour_ops mesh_neighbour_ops = {
	.find = neighbour_find,
	.next = neighbours_next,
	.path = neighbour_path,
	.account = neighbour_account,
	.announce = neighbours_announce,
};
