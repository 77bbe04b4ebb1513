/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SWARM_SWARM_SOURCE_H
#define WEFT_BLOBS_SWARM_SWARM_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/rates/byte_bucket.h"
#include "mesh/seam.h"

/*
 * Nodes that swarms ask, each once however many swarms have it. An entry knows where the node
 * is, how fast it answers, and how much may be asked of it at once. It also knows when it may be
 * asked again, and whether it is to be asked at all. No I/O; time is an argument. Home worker.
 *
 * The window of a source is the number of requests that keep it busy for half a second. It grows
 * by one with each answer up to that. So a slow source has one or two requests and a fast one as
 * many as a get may have.
 */
#define SOURCES_MAX	    1024u /* remembered; more while more are in use: one per member at most */
#define SOURCE_WINDOW_BEGIN 8u
#define SOURCE_BAD_MAX	    3u /* answers that do not verify, then it is refused for good */

struct source {
	struct source *next; /* of its place in the table */
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned addr_cnt;
	struct peer_via vias[PEER_VIAS_MAX]; /* relays at which it may be, as last named */
	unsigned via_cnt;
	unsigned hint_cnt; /* the first of them are of a link, the rest of unknown peers */
	unsigned use_cnt;  /* swarms it is a member of */
	uint64_t used_ns;
	bool is_refused; /* sent what is not right, too often */
	unsigned bad_cnt;
	unsigned fail_cnt; /* of the way, in a row */
	uint64_t not_before_ns;
	uint64_t away_until_ns; /* no node was there: it is no guess worth a try before */

	unsigned zone;	/* enum blobs_zone; LAN only if all its addresses are there */
	unsigned price; /* of traffic with it (blobs/rates/zones.h), of its cheapest address */
	struct byte_bucket bucket; /* the limit of what is asked of each source */
	unsigned asked_cnt;	   /* in flight */
	unsigned window;
	uint64_t rate;	      /* bytes/s, smoothed; 0: not measured */
	uint64_t answer_rate; /* answers in 1000 s, smoothed */
	uint64_t meter_ns;    /* begin of the measurement under way; 0: none */
	uint64_t meter_len;
	unsigned meter_cnt;
};

struct sources {
	struct source *places[SOURCES_MAX]; /* by the key's first bytes, chained */
	unsigned cnt;
};

/*
 * blobs_sources_acquire: a use of the source of key, made if there is none; when
 * there are too many, the one longest unused makes room. NULL: no memory.
 * Refused ones are kept as long as there is room. blobs_source_release: the source
 * may be gone when no other swarm uses it.
 */
struct source *blobs_sources_acquire(struct sources *sources,
				     const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
void blobs_source_release(struct sources *sources, struct source *source, uint64_t now_ns);
struct source *blobs_sources_lookup(const struct sources *sources,
				    const uint8_t key[static MESH_KEY_LEN]);
void blobs_sources_fini(struct sources *sources);
/* blobs_source_learn keeps addresses it does not have yet, as far as there is room. */
void blobs_source_learn(struct source *source, const struct addr *addrs, unsigned cnt);
/* blobs_source_prefer puts addresses that are no guess first; the last make room for them. */
void blobs_source_prefer(struct source *source, const struct addr *addrs, unsigned cnt);
/* blobs_source_relayed: it is at these relays, too; none says nothing. */
void blobs_source_relayed(struct source *source, const struct peer_via *vias, unsigned cnt);

/* The outcome of a request; window_max is the limit of requests at once. */
void blobs_source_asked(struct source *source, uint64_t now_ns);
void blobs_source_answered(struct source *source, size_t len, unsigned window_max, uint64_t now_ns);
/* blobs_source_dropped: taken back by us, or refused with a reason that says nothing of the way. */
void blobs_source_dropped(struct source *source);
/*
 * blobs_source_way_failed: no answer came. Many requests fail at once when a session goes, and
 * count as one failure. Returns true for the first of them: the source is paused, longer each
 * time.
 */
bool blobs_source_way_failed(struct source *source, bool is_timeout, uint64_t now_ns);
/* blobs_source_wait: it said when to come back (0: soon). */
void blobs_source_wait(struct source *source, uint64_t not_before_ns, uint64_t now_ns);
/* blobs_source_bad: what it sent is not right. True when that was once too often. */
bool blobs_source_bad(struct source *source);
/* blobs_source_pardon: the operator asks for it by name. */
void blobs_source_pardon(struct source *source);

/*
 * blobs_source_limit: len bytes are asked of it; of per_s (0: any number) in a second, so it may
 * have to wait.
 */
void blobs_source_limit(struct source *source, uint64_t per_s, size_t len, uint64_t now_ns);
/* blobs_source_limit_give_back: so many of them did not come. */
void blobs_source_limit_give_back(struct source *source, size_t len);

/* blobs_source_is_ready: it may be asked now, if it has room. */
bool blobs_source_is_ready(const struct source *source, uint64_t now_ns);
bool blobs_source_has_room(const struct source *source, unsigned window_max, uint64_t now_ns);
/* blobs_source_cost: when a request made now is expected to be answered, from now, in ns. */
uint64_t blobs_source_cost(const struct source *source);
/*
 * blobs_source_rank: of two sources that could be asked, the one of lower rank is. The rank is
 * the source's cost: half as much when traffic with it is free, and the more the dearer it is.
 */
uint64_t blobs_source_rank(const struct source *source);

#endif
