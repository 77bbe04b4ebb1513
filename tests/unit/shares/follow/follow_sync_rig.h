/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FOLLOW_SYNC_RIG_H
#define WEFT_TESTS_FOLLOW_SYNC_RIG_H

#include "follow_publisher.h"

/* What test_follow_sync.c and test_follow_keys.c share. */

static struct frig rig;
static struct frig_share share;

static inline void begin(void)
{
	frig_init(&rig);
	frig_share_init(&share, 1);
}

static inline void end(void)
{
	frig_share_fini(&share);
	frig_fini(&rig);
}

static inline const struct follow *shown(void)
{
	return shares_follow_lookup(rig.follows, share.id);
}

static inline void publish(uint64_t seq)
{
	frig_publish(&rig, &share, &(struct frig_revision){.seq = seq});
}

/* The share is followed, of one node, and revision seq is here. */
static inline bool follow_at(uint64_t seq)
{
	publish(seq);
	frig_head_at(&rig, 0, &share);
	return frig_follow(&rig, &share, 1, FOLLOW_NORMAL) == 0 && shown()->revision_cnt == 1 &&
	       shown()->revisions[0].seq == seq;
}

static struct {
	unsigned cnt;
	struct follow_synced last;
} synced;

static inline void synced_note(void *arg, const struct follow_synced *told, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	synced.cnt++;
	synced.last = *told;
}

static const struct follow_caller noted = {synced_note, NULL};

static inline void sync_now(void)
{
	struct follow_sync *sync;

	memset(&synced, 0, sizeof(synced));
	if (shares_follow_sync_start(rig.follows, share.id, noted, rig.now_ns, &sync) < 0)
		abort();
	frig_run(&rig, 30 * NS_PER_S);
}

static inline size_t head_in_overlay_cnt(void)
{
	size_t cnt = 0;

	for (size_t i = 0; i < rig.overlay.value_cnt; i++)
		cnt += rig.overlay.values[i].len == 1 + share.len &&
		       memcmp(rig.overlay.values[i].bytes + 1, share.bytes, share.len) == 0;
	return cnt;
}

#endif
