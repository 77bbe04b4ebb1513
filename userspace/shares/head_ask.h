/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_HEAD_ASK_H
#define WEFT_SHARES_HEAD_ASK_H

#include "head_seen.h"
#include "share_list.h"
#include "mesh/seam.h"

/*
 * One node is asked for the newest head of one share that it ever saw (402). Its answer is a
 * head that the share's key signed, or nothing: which head is the newest is for the caller,
 * which asks several.
 *
 * The caller keeps it where it is until done or shares_head_ask_cancel.
 */
struct head_ask {
	uint8_t share_id[SHARE_ID_LEN];
	uint64_t latest_s;   /* a head that was updated later is false */
	uint64_t timeout_ns; /* for the answer, dialling included */
	/*
	 * err 0: seen is what the node knows. WEFT_EABSENT: it knows none. WEFT_EDAMAGED: what it
	 * says is no head of that share. Else as struct mesh_reply.
	 */
	void (*done)(struct head_ask *ask, int err, uint64_t now_ns);
	struct head_seen seen; /* seq 0: none */
	/* With WEFT_EDAMAGED: the share's own head, but dated later than latest_s; seq 0: not so. */
	struct share_head future;

	/* its own */
	struct mesh_request *request; /* NULL: not under way */
	uint8_t buf[HEAD_LEN_MAX + LIST_CURSOR_LEN + 64u + MESH_FRAME_OVERHEAD];
};

/* shares_head_ask_start: 0, or as mesh_ops.ask; done is never called from within. */
WEFT_MUST_CHECK
int shares_head_ask_start(struct head_ask *ask, const struct mesh_seam *mesh,
			  const struct mesh_peer *peer, uint64_t now_ns);
/* shares_head_ask_cancel: also of one that is not under way. */
void shares_head_ask_cancel(struct head_ask *ask, const struct mesh_seam *mesh);

#endif
