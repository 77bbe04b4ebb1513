/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocklist of a revision: a file of one chunk, so its content id proves it. A blocklist
 * that cannot be fetched now is asked for in the next sync, and until then the former one holds.
 * A file that is no list is reported, and then none holds. Lines that are no entries are
 * reported, too, and the others hold.
 */
#include <string.h>

#include "follow_sync.h"

static void list_take(struct sync *sync, const struct sync_ask *ask)
{
	int err = shares_blocklist_parse(ask->bytes, ask->len, &sync->blocklist);

	if (err < 0 && err != WEFT_EMALFORMED) {
		shares_sync_fail(sync, err, "no memory for its blocklist");
		return;
	}
	sync->followed->view.fault = sync->blocklist.fault;
	if (sync->blocklist.fault.line_cnt)
		shares_followed_tell(sync->followed, FOLLOW_BAD_BLOCKLIST,
				     sync->blocklist.fault.first_line, NULL, err);
	if (err == WEFT_EMALFORMED) {
		sync->has_blocklist = false;
		return;
	}
	sync->is_blocklist_here = true;
	shares_sync_save(sync, ask);
}

static void list_got(struct sync_ask *ask, uint64_t now_ns)
{
	struct sync *sync = ask->sync;

	if (ask->err == 0)
		list_take(sync, ask);
	shares_sync_step_done(sync, now_ns);
}

void shares_sync_blocklist_begin(struct sync *sync, uint64_t now_ns)
{
	const struct followed *followed = sync->followed;
	struct sync_ask *ask = &sync->asks[0];

	sync->step = SYNC_BLOCKLIST;
	if (!sync->has_blocklist)
		sync->followed->view.fault = (struct blocklist_fault){0};
	if (sync->has_blocklist && sync->blocklist_len > BLOCKLIST_LEN_MAX) {
		sync->has_blocklist = false;
		shares_followed_tell(sync->followed, FOLLOW_BAD_BLOCKLIST, 0, NULL, WEFT_ETOOLARGE);
	}
	if (!sync->has_blocklist || (followed->view.has_blocklist &&
				     memcmp(followed->blocklist_id, sync->blocklist_id, 32) == 0)) {
		shares_sync_step_done(sync, now_ns);
		return;
	}
	blobs_swarm_set_manifest(sync->swarm, sync->blocklist_stored, false);
	memcpy(ask->id, sync->blocklist_id, 32);
	if (shares_sync_ask_start(ask, MESH_GET_CHUNK, list_got, now_ns) < 0)
		shares_sync_step_done(sync, now_ns);
}
