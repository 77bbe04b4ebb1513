/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_ANNOUNCE_RIG_H
#define WEFT_TESTS_ANNOUNCE_RIG_H

#include "base/thread/jobs.h"
#include "base/timer.h"
#include "codec/peer_addr.h"
#include "shares/announce/announce.h"
#include "blobs/held_manifests.h"
#include "shares/announce/announce_rules.h"
#include "crypto/node_key.h"
#include "store/store.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"

/*
 * An announcer of made-up manifests and files over a fake overlay: time is virtual, jobs and
 * the store run inline.
 */
#define RIG_WALL_S 1700000000ull

struct rig_manifest {
	uint8_t id[32];
	bool is_signed, is_public;
	uint64_t item_cnt;   /* that it states; 0: as many as it has */
	uint32_t first, cnt; /* of the rig's ids: its files */
	bool is_gone;
};

struct announce_rig {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel timers;
	struct fake_overlay fake;
	struct node_key *key;
	struct blobs_held held;
	struct announce_config config;
	struct announce *announce;
	struct rig_manifest manifests[64];
	unsigned manifest_cnt;
	uint8_t (*ids)[32]; /* ascending within a manifest */
	uint32_t id_cnt;
	uint64_t now_ns;
	struct peer_places places;
	unsigned list_cnt; /* views opened */
};

void announce_rig_init(struct announce_rig *rig);
void announce_rig_fini(struct announce_rig *rig);
/* announce_rig_open begins an announcer on what is stored; close ends it, as a restart does. */
void announce_rig_open(struct announce_rig *rig);
void announce_rig_close(struct announce_rig *rig);
/* announce_rig_add makes a manifest with cnt files of random ids; borrowed until the end. */
struct rig_manifest *announce_rig_add(struct announce_rig *rig, uint32_t cnt);
/* announce_rig_run lets for_ns pass, all that is due on the way. */
void announce_rig_run(struct announce_rig *rig, uint64_t for_ns);
/* announce_rig_record: the record put under id's name; NULL: none. */
const struct fake_value *announce_rig_record(const struct announce_rig *rig, enum announce_tag tag,
					     const uint8_t id[static 32]);
/* announce_rig_set: the set that was put for id's region at depth; NULL: none. */
const struct fake_value *announce_rig_set(const struct announce_rig *rig, unsigned depth,
					  const uint8_t id[static 32]);
struct announce_stats announce_rig_stats(const struct announce_rig *rig);

#endif
