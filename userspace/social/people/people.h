/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PEOPLE_H
#define WEFT_SOCIAL_PEOPLE_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/figure.h"
#include "base/list.h"
#include "crypto/node_key.h"
#include "weft/err.h"

struct social_ground;

/*
 * The people that a node knows, and its own personas (docs/social.md).
 *
 *	people.c		life, time, watchers
 *	people_keep.c		changes on their way to the disk, and what was durable at the start
 *	personas.h		keys of this node's own
 *	person_follows.h	follows, petnames, blocks, and the audience
 *	circles.h		lists of people, and what a circle sees of a profile
 *	person_requests.h	first words of people that are not followed
 *	person_profiles.h	what people say of themselves, and successors of their keys
 *
 * Tables, and what fills them:
 *
 *	personas, follows, blocks,	the person at this node; a full one refuses
 *	circles, accepted
 *	audience			peers that say in their HELLO that they follow a persona.
 *					Shares are those of network and key.
 *	requests			authors of first words; likewise
 *	profiles			of people that are followed or accepted: a place each. Of
 *					others: shares of network and key.
 *	refused				a ring: the oldest is forgotten
 *
 * So a flood of fresh keys takes from its own network's share. The tables that it fills hold nothing
 * of a person that is followed or accepted.
 *
 * A change counts at once. It is durable when done is called with 0. If the disk does not take it, done
 * gets the error, and the change is written again until the disk takes it. A crash before that
 * has what the disk had.
 *
 * Home worker only; nothing blocks. Times are the wall's in ms where they are kept.
 */
struct people;

#define SOCIAL_NAME_MAX 64u /* bytes, of people, circles and labels */
#define SOCIAL_NAME_CAP (SOCIAL_NAME_MAX + 1)
/* Nothing of a person is taken whose time is further ahead. */
#define SOCIAL_AHEAD_MS (24 * 3600000ull)

/* Called once if the call that it was given to returned 0: 0, it is durable; else not yet. */
struct people_done {
	void (*fn)(void *arg, int err); /* NULL: not wanted */
	void *arg;
};

/* Where something of an unknown peer came from: what pays for its place. Borrowed for the call. */
struct people_source {
	const struct addr *addr; /* of the session that it came by; NULL: not by a session */
	enum fair_class class;
};

/* A person, and since when something is so of it. false ends the walk. */
typedef bool (*people_mark_fn)(void *arg, const uint8_t *person, uint64_t since_ms);

struct people_params {
	const struct social_ground *ground; /* borrowed until close */
	uint64_t now_ns;
};
/*
 * social_people_open reads what is durable: 0, WEFT_EFULL or -errno. social_people_stop writes what
 * waits, and calls nothing any more. social_people_close frees. Both take NULL.
 */
WEFT_MUST_CHECK
int social_people_open(const struct people_params *params, struct people **out_people);
void social_people_stop(struct people *people);
void social_people_close(struct people *people);
/* social_people_footprint: bytes that open lays out, touched as they are used. */
size_t social_people_footprint(void);

/* What changed; person is borrowed for the call, and NULL where it is none. */
enum people_change_kind {
	PEOPLE_FOLLOWED,   /* by a persona, or in another way than before */
	PEOPLE_UNFOLLOWED, /* by the last persona */
	PEOPLE_BLOCKED,	   /* from now on */
	PEOPLE_UNBLOCKED,
	PEOPLE_CIRCLE,	     /* person came into a circle or left it; NULL: another change of one */
	PEOPLE_REQUESTED,    /* first words are there */
	PEOPLE_REQUEST_GONE, /* its share was full, or it was refused: its words may go */
	PEOPLE_ACCEPTED,
	PEOPLE_PROFILE,	    /* a newer profile of person is kept */
	PEOPLE_OWN_PROFILE, /* of the persona person: peers in session may be given it */
	PEOPLE_PERSONA,	    /* one was added, removed or succeeded */
	PEOPLE_SUCCEEDED,   /* person's follows and circles are now those of its next key */
	PEOPLE_FROZEN,	    /* two keys claim to succeed person */
};
struct people_change {
	enum people_change_kind kind;
	const uint8_t *person;
	const uint8_t *other; /* the next key of PEOPLE_SUCCEEDED; the post of a request; or NULL */
};
/* changed calls nothing that changes people. */
struct people_watch {
	struct list_node node; /* of people, from watch to unwatch */
	void (*changed)(void *ctx, const struct people_change *change, uint64_t now_ns);
	void *ctx;
};
void social_people_watch(struct people *people, struct people_watch *watch);
void social_people_unwatch(struct people_watch *watch);

struct people_stats {
#define FIGURE FIGURE_FIELD
#include "social/people/social_people_counters.def"
};
void social_people_stats(const struct people *people, struct people_stats *out_stats);
/* The pools that unknown peers fill, by the class of their network. */
void social_requests_view(const struct people *people, struct fair_view *out_view);
void social_audience_view(const struct people *people, struct fair_view *out_view);
void social_profiles_view(const struct people *people, struct fair_view *out_view);

#endif
