/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_KNOWN_RELAYS_H
#define WEFT_RELAY_FIND_KNOWN_RELAYS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "announcement.h"
#include "base/fair/fair_path.h"
#include "base/map.h"
#include "relay_score.h"

struct random;

/*
 * The relays that this node knows of: verified announcements, each with a score. They leave when
 * they expire.
 *
 * A key costs nothing, and an announcement may name any address, so neither is proof. A relay that
 * has not served this node takes a place of its teller. That is one of the overlay's names, or the
 * network of the relay that listed it. A relay that has served takes a place of the network where it
 * was reached. Those have a class of their own, with half of the table. So a flood of keys fills the
 * shares of its own tellers. An honest relay that is left out meanwhile is named at a second name,
 * and again in the next hour. Pure.
 */
struct relay_known;

enum relay_teller_kind {
	RELAY_TOLD_BY_OVERLAY,
	RELAY_TOLD_BY_RELAY,
	RELAY_TOLD_CNT,
};
/* relay_teller_word: "overlay", "relay"; for people and programs, stable. */
const char *relay_teller_word(enum relay_teller_kind kind);

/* What named a relay. */
struct relay_teller {
	enum relay_teller_kind kind;
	unsigned place;	  /* of the overlay */
	struct addr addr; /* of the relay that listed it */
};

struct relay_known_row {
	struct relay_announcement announcement;
	struct relay_score score;
	enum relay_teller_kind teller;
	bool has_served;
	uint64_t asked_ns; /* for its list; 0: never */
	uint16_t len;
	uint8_t bytes[RELAY_ANNOUNCEMENT_LEN_MAX]; /* the announcement as it was signed */
	/* Private to known_relays.c. */
	struct fair_item share;
	unsigned rank; /* as of ranked_ns; RELAY_UNRANKED: it was never asked for */
	uint64_t ranked_ns;
	unsigned drawn_as; /* rank in the latest draw; RELAY_UNRANKED: it takes no part any more */
};

/*
 * rank says in which order relays are drawn: those of 0 first. It costs a look into the store. So a
 * relay is ranked once a minute, and at most RELAY_RANKS_MAX of them in a draw. A relay that it
 * was never asked for is not drawn by rank. NULL: all are of rank 0.
 */
#define RELAY_UNRANKED	UINT_MAX
#define RELAY_RANKS_MAX 256u
#define RELAY_RANKED_NS 60000000000ull
struct relay_known_config {
	uint32_t cap; /* at least 16 */
	struct fair_site site;
	unsigned (*rank)(void *ctx, const uint8_t *key);
	void *ctx;
};

enum relay_known_verdict {
	RELAY_KNOWN_ADDED,
	RELAY_KNOWN_RENEWED, /* a later announcement of a relay that is there */
	RELAY_KNOWN_OLD,     /* one as late is there */
	RELAY_KNOWN_FULL,    /* its teller has its share */
};

/* relay_known_new: 0, WEFT_EFULL (arena), or WEFT_ETOOSMALL (cap). */
WEFT_MUST_CHECK
int relay_known_new(struct arena *arena, const struct relay_known_config *config,
		    struct random *random, struct relay_known **out_known);

/* relay_known_put: bytes are announcement's, verified, and not expired. */
struct relay_known_entry {
	const struct relay_announcement *announcement;
	const uint8_t *bytes;
	size_t len;
	struct relay_teller teller;
};
enum relay_known_verdict relay_known_put(struct relay_known *known,
					 const struct relay_known_entry *entry, uint64_t now_ns);
/* relay_known_expire forgets what has expired at wall_s. */
void relay_known_expire(struct relay_known *known, uint64_t wall_s, uint64_t now_ns);

/* relay_known_{find,next}: borrowed until the next put or expire; NULL: none, or no more. */
const struct relay_known_row *relay_known_find(const struct relay_known *known, const uint8_t *key);
const struct relay_known_row *relay_known_next(const struct relay_known *known,
					       const struct relay_known_row *after);

/* What happened with the relay of key, which may have been forgotten. at: where it was reached. */
void relay_known_succeeded(struct relay_known *known, const uint8_t *key, const struct addr *at,
			   uint64_t latency_ns, uint64_t now_ns);
void relay_known_failed(struct relay_known *known, const uint8_t *key, uint64_t now_ns);

/*
 * relay_known_draw draws relays by weight, without giving one twice. Those that are paused come
 * last. Where ranks are wanted, lower ones come first, of the others and of those. Returns how many of
 * out[0, cap) were set; borrowed as of find.
 */
struct relay_want {
	uint32_t caps;				  /* that a relay must have */
	const uint8_t (*skip)[PEER_ADDR_KEY_LEN]; /* not these */
	unsigned skip_cnt;
	unsigned rank_min, rank_end; /* of ranks in [min, end); end 0: all alike */
};
unsigned relay_known_draw(struct relay_known *known, const struct relay_want *want, uint64_t now_ns,
			  const struct relay_known_row **out, unsigned cap);

/*
 * relay_known_to_ask: the relay to ask for its list now, noted as asked; NULL: none. That is a live
 * one that was not asked for keep_ns. If is_hungry it is else one drawn from those that are not live
 * and not paused.
 */
const struct relay_known_row *relay_known_to_ask(struct relay_known *known, bool is_hungry,
						 uint64_t keep_ns, uint64_t now_ns);

/* relay_known_is_live: it has served, and its latest use did not fail. */
bool relay_known_is_live(const struct relay_known_row *row);
unsigned relay_known_live_cnt(const struct relay_known *known);
unsigned relay_known_cnt(const struct relay_known *known);
void relay_known_view(const struct relay_known *known, struct fair_view *out);

#endif
