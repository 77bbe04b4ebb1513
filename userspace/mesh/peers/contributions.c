/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers did for this node, and took, kept with their records. Unknown peers make rows in the peer table
 * alone, so theirs are forgotten with it, and after a restart. Home worker.
 */
#include "mesh/mesh_state.h"

static void contribution_note(struct contribution *contribution, enum mesh_work work, uint64_t len,
			      uint64_t wall_s)
{
	switch (work) {
	case MESH_WORK_ANSWERED:
	case MESH_WORK_FAILED:
		contribution_answered(contribution, work == MESH_WORK_ANSWERED, wall_s);
		break;
	case MESH_WORK_GAVE:
		contribution_given(contribution, len, wall_s);
		break;
	case MESH_WORK_TOOK:
		contribution_taken(contribution, len, wall_s);
		break;
	case MESH_WORK_RELAYED:
		contribution_relayed(contribution, 0, len, wall_s);
		break;
	case MESH_WORK_OPENED:
		contribution_relayed(contribution, 1, len, wall_s);
		break;
	}
}

/* A batch each time would write all day: a crash forgets a minute. */
void mesh_note_work(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], enum mesh_work work,
		    uint64_t len)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);
	uint64_t wall_s = mesh_wall_now_s(mesh);

	mesh->stats.answered_cnt += work == MESH_WORK_ANSWERED;
	mesh->stats.unanswered_cnt += work == MESH_WORK_FAILED;
	if (!entry)
		return;
	contribution_note(&entry->record.contribution, work, len, wall_s);
	if (entry->work_min == wall_s / 60)
		return;
	entry->work_min = wall_s / 60;
	mesh_peers_changed(&mesh->peers, entry, mesh->now_ns);
}

bool mesh_contribution(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       struct contribution *out_contribution)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	*out_contribution = entry ? entry->record.contribution : (struct contribution){0};
	contribution_age(out_contribution, mesh_wall_now_s(mesh));
	return entry != NULL;
}
