/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REPLICAS_REPLICA_RESTORE_H
#define WEFT_SOCIAL_REPLICAS_REPLICA_RESTORE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Which node gets the next copy of a post that has too few. A node that reads it comes first, since it
 * keeps the post for itself. Then, for a public post, one that follows its author. Then any peer that
 * says it has room. If there is none, the person at this node is told, and nothing is held up.
 *
 * Pure, and thread-safe.
 */
enum restore_step { RESTORE_READER, RESTORE_FOLLOWER, RESTORE_PEER, RESTORE_NOWHERE };

/* A node in session. */
struct restore_candidate {
	bool is_reader;	  /* of a post that is not public */
	bool is_follower; /* of its author */
	bool has_copy;	  /* it says so */
	bool is_resting;  /* it refused lately, or has no such messages */
};
/* social_restore_choose: *out_idx is of the first of the best ones; nothing of RESTORE_NOWHERE. */
enum restore_step social_restore_choose(const struct restore_candidate *candidates, size_t cnt,
					bool is_public, size_t *out_idx);

#endif
