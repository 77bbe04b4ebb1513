/* SPDX-License-Identifier: Apache-2.0 */
#include "identify.h"

#include "mesh/mesh_state.h"

int mesh_identify_addr(struct mesh *mesh, const struct addr *addr, mesh_identified_fn met,
		       void *arg, uint64_t now_ns)
{
	struct transport_dial dial = {.remote =
					      *addr}; /* for the key of zeros, which no node has */
	struct mesh_identify *identify = mesh->identifies;
	int err;

	if (mesh->is_leaving || !mesh_ways_rank(mesh->config.ways, addr))
		return WEFT_EREFUSED;
	while (identify < mesh->identifies + MESH_IDENTIFY_CAP && identify->conn)
		identify++;
	if (identify == mesh->identifies + MESH_IDENTIFY_CAP)
		return WEFT_EFULL;
	now_ns = mesh_turn(mesh, now_ns);
	if (mesh_unverified_recent(&mesh->unverified, now_ns) >= MESH_UNVERIFIED_PER_MIN)
		return WEFT_EFULL;
	if (!mesh_unverified_take(&mesh->unverified, addr, now_ns))
		return WEFT_EREFUSED;
	dial.unheard_max = MESH_UNVERIFIED_DGRAM_MAX;
	dial.user = identify;
	err = mesh->transport->ops->dial(mesh->transport, &dial, now_ns, &identify->conn);
	if (err < 0) {
		identify->conn = NULL;
		return WEFT_EFULL;
	}
	identify->kind = MESH_CONN_IDENTIFY;
	identify->addr = *addr;
	identify->met = met;
	identify->arg = arg;
	return 0;
}

void mesh_identify_forget(struct mesh *mesh, const void *arg)
{
	for (unsigned i = 0; i < MESH_IDENTIFY_CAP; i++)
		if (mesh->identifies[i].arg == arg)
			mesh->identifies[i].met = NULL;
}

void mesh_identify_ended(struct mesh *mesh, struct mesh_identify *identify,
			 const struct transport_close *close)
{
	struct mesh_identify unverified = *identify;
	bool is_met = close->err == WEFT_EWRONGKEY && close->has_key;

	*identify = (struct mesh_identify){0};
	if (is_met)
		mesh_unverified_answered(&mesh->unverified, &unverified.addr);
	if (unverified.met)
		unverified.met(unverified.arg, &unverified.addr, is_met ? 0 : close->err ?: WEFT_ECLOSED,
			 is_met ? close->actual_key : NULL, mesh->now_ns);
}
