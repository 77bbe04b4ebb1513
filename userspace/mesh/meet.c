/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/meet.h"

#include "mesh/mesh_state.h"

int mesh_meet(struct mesh *mesh, const struct addr *addr, mesh_met_fn met, void *arg,
	      uint64_t now_ns)
{
	struct transport_dial dial = {.remote = *addr}; /* for the key of zeros, which nobody has */
	struct mesh_meeting *meeting = mesh->meetings;
	int err;

	if (mesh->is_leaving || !mesh_ways_rank(mesh->config.ways, addr))
		return WEFT_EREFUSED;
	while (meeting < mesh->meetings + MESH_MEETING_CAP && meeting->conn)
		meeting++;
	if (meeting == mesh->meetings + MESH_MEETING_CAP)
		return WEFT_EFULL;
	mesh->now_ns = now_ns;
	if (mesh_told_recent(&mesh->told, now_ns) >= MESH_TOLD_PER_MIN)
		return WEFT_EFULL;
	if (!mesh_told_take(&mesh->told, addr, now_ns))
		return WEFT_EREFUSED;
	dial.unheard_max = MESH_TOLD_DGRAM_MAX;
	dial.user = meeting;
	err = mesh->transport->ops->dial(mesh->transport, &dial, now_ns, &meeting->conn);
	if (err < 0) {
		meeting->conn = NULL;
		return WEFT_EFULL;
	}
	meeting->kind = MESH_CONN_MEETING;
	meeting->addr = *addr;
	meeting->met = met;
	meeting->arg = arg;
	return 0;
}

void mesh_meet_forget(struct mesh *mesh, const void *arg)
{
	for (unsigned i = 0; i < MESH_MEETING_CAP; i++)
		if (mesh->meetings[i].arg == arg)
			mesh->meetings[i].met = NULL;
}

void mesh_meeting_ended(struct mesh *mesh, struct mesh_meeting *meeting,
			const struct transport_close *close)
{
	struct mesh_meeting told = *meeting;
	bool is_met = close->err == WEFT_EWRONGKEY && close->has_key;

	*meeting = (struct mesh_meeting){0};
	if (is_met)
		mesh_told_answered(&mesh->told, &told.addr);
	if (told.met)
		told.met(told.arg, &told.addr, is_met ? 0 : close->err ?: WEFT_ECLOSED,
			 is_met ? close->actual_key : NULL, mesh->now_ns);
}
