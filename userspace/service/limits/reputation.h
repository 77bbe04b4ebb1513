/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_REPUTATION_H
#define WEFT_SERVICE_LIMITS_REPUTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "mesh/seam.h"

struct random;
struct store;
struct timer_wheel;

/*
 * How peers behave, as this node observed it. A score of 0 to 100 orders providers. Violations ban
 * a peer: five within an hour are a ban of a minute, the next five of two, up to an hour. Such a
 * ban always ends; only an operator bans for ever. It concerns the key alone: firewall/offences.h
 * holds the consequences for its address. After 90 days an observation counts a tenth for the
 * score, and no longer for the length of a ban. No other node ever learns any of this.
 *
 * A violation is durable soon after note returns, and so is the ban it leads to; other changes of a
 * score are written within seconds. Any node with a key takes a place here. A full table forgets
 * unknown peers first, then the peer of least note; when all are banned, the ban that ends first.
 * So a flood of keys pushes out its own, and an honest peer notices nothing.
 *
 * Home worker.
 */
#define SERVICE_REPUTATION_BASE		 50u
#define SERVICE_REPUTATION_MAX		 100u
#define SERVICE_REPUTATION_UNTRUSTED_MAX 20u
#define SERVICE_REPUTATION_TRUSTED_MIN	 70u
#define SERVICE_OBSERVATIONS_PER_HOUR	 100u /* of a peer; more do not count */
#define SERVICE_VIOLATIONS_TO_BAN	 5u
#define SERVICE_VIOLATION_WINDOW_S	 3600u
#define SERVICE_BAN_S			 60u /* the first one */
#define SERVICE_BAN_S_MAX		 3600u
#define SERVICE_REPUTATION_FORGIVEN_S	 (90u * 86400u)
#define SERVICE_VIOLATION_WHY_CAP	 64u

enum service_observation {
#define SERVICE_OBSERVATION(name, points, is_violation, word) SERVICE_OBSERVATION_##name,
#include "observations.def"
#undef SERVICE_OBSERVATION
	SERVICE_OBSERVATION_CNT,
};
const char *service_observation_word(enum service_observation observation);

struct service_reputation;

struct service_reputation_params {
	uint32_t peer_cap;
	struct store *store; /* NULL: nothing is kept */
	struct timer_wheel *timers;
	struct random *random;
	uint64_t (*wall_s)(void *ctx);
	/* The worth of key to this node, 0: unknown; more is forgotten later. NULL: all are 0. */
	unsigned (*worth)(void *ctx, const uint8_t key[MESH_KEY_LEN]);
	/*
	 * key is banned until until_s, for reason (borrowed). Called inside note, so the session
	 * that it ends, which may be the caller of note, has to end with the next turn. May be
	 * NULL.
	 */
	void (*on_ban)(void *ctx, const uint8_t key[MESH_KEY_LEN], uint64_t until_s,
		       const char *reason, uint64_t now_ns);
	void *ctx;
};

size_t service_reputation_footprint(uint32_t peer_cap);
/* service_reputation_new reads the stored rows. 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int service_reputation_new(const struct service_reputation_params *params,
			   struct service_reputation **out_reputation);
/* service_reputation_free submits the changes. Takes NULL. */
void service_reputation_free(struct service_reputation *reputation);

/*
 * service_reputation_note: why, of a violation, is for people; cut to its CAP - 1 bytes. NULL:
 * none.
 */
void service_reputation_note(struct service_reputation *reputation, const uint8_t key[MESH_KEY_LEN],
			     enum service_observation observation, const char *why,
			     uint64_t now_ns);
/*
 * service_reputation_pardon: an operator lifts a ban. It removes key's violations and bans, and
 * restores the points they took. A key without other observations is forgotten.
 */
void service_reputation_pardon(struct service_reputation *reputation,
			       const uint8_t key[MESH_KEY_LEN], uint64_t now_ns);

/*
 * service_reputation_set: an operator sets key's score, at most SERVICE_REPUTATION_MAX. Later
 * observations change it from there. Its violations and bans stay; a later pardon gives back only
 * the points that violations took since. The store has it before the function returns. 0 or
 * WEFT_EFULL: all places are bans'.
 */
WEFT_MUST_CHECK
int service_reputation_set(struct service_reputation *reputation, const uint8_t key[MESH_KEY_LEN],
			   unsigned score, uint64_t now_ns);

/* service_reputation_score: of an unknown peer, SERVICE_REPUTATION_BASE. */
unsigned service_reputation_score(const struct service_reputation *reputation,
				  const uint8_t key[MESH_KEY_LEN]);
bool service_reputation_is_banned(const struct service_reputation *reputation,
				  const uint8_t key[MESH_KEY_LEN]);

struct service_violation_record {
	uint64_t at_s;
	enum service_observation observation;
	char why[SERVICE_VIOLATION_WHY_CAP];
};
struct service_reputation_state {
	uint8_t key[MESH_KEY_LEN];
	unsigned score;
	uint64_t heard_s;	 /* of its last observation */
	unsigned ban_cnt;	 /* automatic ones, not forgiven yet */
	uint64_t banned_until_s; /* maybe in the past; 0: never */
	unsigned violation_cnt;	 /* last ones, newest first */
	struct service_violation_record violations[SERVICE_VIOLATIONS_TO_BAN];
};
/* service_reputation_look: false when nothing is known of key. */
bool service_reputation_look(const struct service_reputation *reputation,
			     const uint8_t key[MESH_KEY_LEN],
			     struct service_reputation_state *out_state);
/* service_reputation_level: "untrusted", "normal" or "trusted". */
const char *service_reputation_level(unsigned score);
/*
 * service_reputation_explain writes what is known of key, for users, with times from now; "" when
 * nothing is known. Returns text.
 */
#define SERVICE_REPUTATION_TEXT_CAP 512
const char *service_reputation_explain(const struct service_reputation *reputation,
				       const uint8_t key[MESH_KEY_LEN],
				       char text[static SERVICE_REPUTATION_TEXT_CAP]);

struct service_reputation_stats {
#define FIGURE FIGURE_FIELD
#include "service/limits/reputation_counters.def"
	uint64_t observations[SERVICE_OBSERVATION_CNT];
};
void service_reputation_stats(const struct service_reputation *reputation,
			      struct service_reputation_stats *out_stats);

#endif
