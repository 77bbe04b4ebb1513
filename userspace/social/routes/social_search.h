/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ROUTES_SOCIAL_SEARCH_H
#define WEFT_SOCIAL_ROUTES_SOCIAL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/routes/social_routes.h"

/*
 * Finding the node of a person, stage by stage. A stage begins when the one before has come to
 * nothing, and races inside itself alone. The first session with the key ends the search:
 *
 *	session		one is there
 *	lan		where this LAN announces it
 *	stored		by its route
 *	their-anchors	their anchors are asked (620), and it is dialled where its record says
 *	contacts	likewise mutual contacts, then
 *	contact-anchors	their anchors; neither for a person followed in private
 *	own-anchors	this node's anchors
 *	last-resort	the entry that the package set, if it is not disabled
 *	relay		through the relays that its record names
 *
 * A stage asks SEARCH_HELPERS_MAX nodes at most. What they answer is signed by the node looked for, so
 * the worst that a helper can do is to say nothing, or something old. No stage tells the key to any
 * other node: no locator, and no relay but those of the record.
 *
 * Home worker only; nothing blocks.
 */
struct social_searches;

#define SOCIAL_SEARCHES_MAX 32u /* under way; one more is refused */
#define SEARCH_HELPERS_MAX  8u
#define SEARCH_WAITERS_MAX  8u /* for one key */

enum social_stage {
	SOCIAL_STAGE_SESSION,
	SOCIAL_STAGE_LAN,
	SOCIAL_STAGE_STORED,
	SOCIAL_STAGE_THEIR_ANCHORS,
	SOCIAL_STAGE_CONTACTS,
	SOCIAL_STAGE_CONTACT_ANCHORS,
	SOCIAL_STAGE_OWN_ANCHORS,
	SOCIAL_STAGE_LAST_RESORT,
	SOCIAL_STAGE_RELAY,
	SOCIAL_STAGE_CNT,
};
/* social_stage_word: "own-anchors", for people and programs; stable. */
const char *social_stage_word(enum social_stage stage);

struct social_searches_params {
	struct social_routes *routes;
	const struct social_ground *ground;
	/* Where a LAN announces key; how many. May be NULL. */
	unsigned (*lan)(void *ctx, const uint8_t *key, struct addr out[static MESH_PEER_ADDRS_MAX]);
	/* The nodes that a stage between their-anchors and last-resort asks for key; how many of cap. */
	unsigned (*helpers)(void *ctx, enum social_stage stage, const uint8_t *key,
			    uint8_t (*out)[NODE_KEY_LEN], unsigned cap);
	void *ctx;
};
WEFT_MUST_CHECK
int social_searches_open(const struct social_searches_params *params,
			 struct social_searches **out_reaches);
/* social_searches_stop ends all with WEFT_ECLOSED; both take NULL. */
void social_searches_stop(struct social_searches *searches);
void social_searches_close(struct social_searches *searches);

/* What a stage came to. */
struct social_step {
	enum social_stage stage;
	int err; /* 0: it found the node; WEFT_EABSENT: there was nothing to try */
	unsigned asked_cnt, answered_cnt; /* helpers, and records that they gave */
	uint64_t took_ns;
};
/* err 0: a session is there, by stage. Borrowed for the call. */
struct social_found {
	const uint8_t *key;
	int err;
	enum social_stage stage;
	const struct social_step *steps;
	unsigned step_cnt;
};
typedef void (*social_found_fn)(void *arg, const struct social_found *found, uint64_t now_ns);

/*
 * What is looked for, and what hears of it. done is called once, never inside the call of social_search.
 * stepped (may be NULL) is called after each stage that came to its end, with all steps so far.
 */
struct social_search_ask {
	const uint8_t *key; /* borrowed for the call */
	social_found_fn done;
	void (*stepped)(void *arg, const struct social_step *steps, unsigned step_cnt,
			uint64_t now_ns);
	void *arg;
};
/*
 * social_search looks for the node of a key. 0,
 * WEFT_EMALFORMED (this node's own key), or WEFT_EBUSY (too many searches, or too many that wait for this
 * one). forget: what was asked with arg is not called any more.
 */
WEFT_MUST_CHECK
int social_search(struct social_searches *searches, const struct social_search_ask *ask,
		  uint64_t now_ns);
void social_search_forget(struct social_searches *searches, const void *arg);

struct social_search_stats {
#define FIGURE FIGURE_FIELD
#include "social/routes/social_search_counters.def"
};
void social_searches_stats(const struct social_searches *searches,
			   struct social_search_stats *out_stats);

#endif
