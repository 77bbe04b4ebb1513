/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of QUIC and TCP in a dial. Home worker.
 *
 * Silence of UDP counts only at an address that this node has reached before, or that its asker
 * named. An unknown peer that names a dead address changes nothing.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define UDP_PATIENCE_NS NS_PER_S
#define UDP_SILENT_NS	(3600 * NS_PER_S)

static uint64_t *silent_since(struct mesh *mesh, const struct addr *addr)
{
	return &mesh->udp_silent_ns[mesh_network_of(addr)][addr->family == ADDR_IPV6];
}

static bool since_is_silent(const struct mesh *mesh, uint64_t since_ns)
{
	return since_ns && mesh->now_ns - since_ns < UDP_SILENT_NS;
}

static bool is_silent(const struct mesh *mesh, const struct addr *addr)
{
	return since_is_silent(
		mesh, mesh->udp_silent_ns[mesh_network_of(addr)][addr->family == ADDR_IPV6]);
}

unsigned mesh_udp_rank(const struct mesh_dial *dial, unsigned idx)
{
	const struct addr *addr = &dial->addrs[idx];
	unsigned rank = mesh_ways_rank(dial->mesh->config.ways, addr);

	if (rank && addr->transport == ADDR_UDP && is_silent(dial->mesh, addr))
		rank += MESH_WAY_CNT;
	/* Behind QUIC where QUIC is silent, too: a relay's rates are low. */
	if (rank && addr_is_relayed(addr))
		rank += 2 * MESH_WAY_CNT;
	return rank;
}

bool mesh_udp_is_awaited(const struct mesh_dial *dial, unsigned idx)
{
	unsigned rank = mesh_udp_rank(dial, idx);

	if (dial->addrs[idx].transport != ADDR_TCP ||
	    dial->mesh->now_ns >= dial->began_ns + UDP_PATIENCE_NS)
		return false;
	for (unsigned i = 0; i < dial->next_idx; i++)
		if (dial->attempts[i].conn && dial->addrs[i].transport == ADDR_UDP &&
		    mesh_udp_rank(dial, i) < rank)
			return true;
	return false;
}

void mesh_udp_note(struct mesh *mesh, const struct mesh_attempt *attempt,
		   const struct transport_conn_info *info)
{
	const struct mesh_dial *dial = attempt ? attempt->dial : NULL;

	if (addr_is_relayed(&info->remote))
		return;
	if (info->remote.transport == ADDR_UDP) {
		*silent_since(mesh, &info->remote) = 0;
		return;
	}
	if (info->is_dialler)
		mesh_unverified_answered(&mesh->unverified, &info->remote);
	for (unsigned i = 0; dial && i < dial->next_idx; i++) {
		if (!dial->attempts[i].conn || dial->addrs[i].transport != ADDR_UDP ||
		    dial->unverified & 1u << i || mesh->now_ns < dial->began_ns + UDP_PATIENCE_NS)
			continue;
		*silent_since(mesh, &dial->addrs[i]) = mesh->now_ns;
	}
}

bool mesh_udp_is_silent(const struct mesh *mesh)
{
	const struct mesh_session *session = NULL;

	/* Where another session is on UDP, a peer was silent, and not the network. */
	while ((session = pool_next(&mesh->sessions, session)))
		if (session->remote.transport == ADDR_UDP && !session->is_leaving)
			return false;
	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		for (unsigned k = 0; k < 2; k++)
			if (since_is_silent(mesh, mesh->udp_silent_ns[i][k]))
				return true;
	return false;
}

void mesh_udp_fell_silent(struct mesh *mesh, const struct addr *addr)
{
	*silent_since(mesh, addr) = mesh->now_ns;
}

void mesh_udp_forget(struct mesh *mesh)
{
	memset(mesh->udp_silent_ns, 0, sizeof(mesh->udp_silent_ns));
}

void mesh_peer_place(struct addr *kept, const struct addr *addr, bool is_dialler)
{
	bool is_quic_kept = kept->family != ADDR_NONE && kept->transport == ADDR_UDP;

	/* Neither means anything elsewhere, or after the configuration has changed. */
	if (addr_is_relayed(addr) || addr_is_line(addr))
		return;
	if (addr->transport == ADDR_UDP || (is_dialler && !is_quic_kept))
		*kept = *addr;
}
