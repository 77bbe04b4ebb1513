/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_MEMBERS_H
#define WEFT_BLOBS_SERVE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "blobs/blobs.h"
#include "blobs/content_message_holders.h"

/*
 * Peers that lately said that they serve what they have of a manifest or a content. Each id has
 * a few, all together a fixed number, each for ten minutes. Only the key that said it and its
 * network are proven. So no network of the Internet has more than a few places of an id. When
 * there is no room, the member with the oldest report is removed.
 */
#define MEMBERS_OF_ID_MAX      64u
#define MEMBERS_OF_NETWORK_MAX 4u
#define MEMBERS_MAX	       4096u
#define MEMBERS_LIFE_NS	       (600ull * 1000000000ull)

struct members {
	struct pool pool;
	struct pool ids;
	struct map by_id;      /* id -> struct member_id */
	struct map by_id_key;  /* id | key -> struct member */
	struct list_node seen; /* all, longest ago first */
	uint64_t evicted_cnt;  /* for want of room in all; those of one id or network not counted */
};

WEFT_MUST_CHECK
int blobs_members_init(struct members *members, struct arena *arena, const uint64_t secret[2]);

/* blobs_members_note records a report of member at now_ns. */
void blobs_members_note(struct members *members, const struct blobs_member *member,
			uint64_t now_ns);
/* blobs_members_expire removes members without a report for MEMBERS_LIFE_NS. */
void blobs_members_expire(struct members *members, uint64_t now_ns);
/* blobs_members_cnt: of id. */
unsigned blobs_members_cnt(const struct members *members, const uint8_t id[static 32]);
/*
 * blobs_members_list writes at most HOLDERS_MAX members of id into out, without the one of
 * key but_key. Members of the last list come after the others. Returns how many.
 */
unsigned blobs_members_list(struct members *members, const uint8_t id[static 32],
			    const uint8_t but_key[static 32],
			    struct message_holder out[static HOLDERS_MAX]);

#endif
