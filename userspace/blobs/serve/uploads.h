/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_UPLOADS_H
#define WEFT_BLOBS_SERVE_UPLOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "blobs/rates/byte_bucket.h"

/*
 * Which peers are served, and when. A peer that asks for bytes takes an upload slot and keeps it
 * while it goes on asking. Its request goes at once as long as no limit of bytes holds it. Else
 * it waits, a few seconds at most, or the peer gets a time to come back. The cheapest of the
 * peers that wait come first, and these in turn. Peers of price 0 take nothing of the limit of
 * all.
 *
 * When all slots are taken, one that is not used for UPLOAD_IDLE_NS is given
 * away. So is a resting slot of a peer that is dearer than the new peer, or that
 * has had its turn of UPLOAD_TURN_NS.
 *
 * No I/O, no timers: the owner asks blobs_uploads_next when blobs_uploads_due_ns has come.
 */
#define UPLOAD_PEERS_MAX 1024u /* BLOBS_SLOTS_MAX */
#define UPLOAD_KEY_LEN	 32u
#define UPLOAD_IDLE_NS	 (5ull * 1000000000ull)
#define UPLOAD_TURN_NS	 (60ull * 1000000000ull)
/* A getter takes an answer that does not begin for ten seconds as lost. */
#define UPLOAD_FIRST_WAIT_NS (8ull * 1000000000ull)
#define UPLOAD_WAIT_NS	     (2ull * 1000000000ull)
#define UPLOAD_NEVER	     UINT64_MAX

struct blobs_credit;
struct upload_peer;

/* The request, embedded in the owner's own object. */
struct upload {
	struct list_node node;	  /* of its peer's that wait */
	struct upload_peer *peer; /* NULL: not admitted, or over */
	size_t len;		  /* of the owner: bytes that are taken of the limits for it */
	size_t credit_len;	  /* and of a month's credit, of zone */
	unsigned zone;
	bool is_waiting;
};

struct uploads {
	struct pool peers;
	struct map by_key;
	struct list_node idle;	  /* peers of which nothing is under way, longest ago first */
	struct list_node waiting; /* peers of which something waits, in turn */
	struct byte_bucket rate;  /* of all that is not free; of this worker */
	uint64_t whole_per_s;	  /* of all workers: what rate may grow to within a second */
	struct byte_meter meter;
	/* Of the owner: what traffic with the peer of an upload costs. */
	unsigned (*price_of)(const struct upload *upload);
	/* Of the owner: by zone, what may go of a month's cap, and its zone; NULL: no cap. */
	struct blobs_credit *credits;
	unsigned (*zone_of)(const struct upload *upload);
	uint64_t peer_per_s; /* limit of each; 0: none */
	uint32_t slot_cnt;   /* at most UPLOAD_PEERS_MAX */
	uint32_t waiting_peer_cnt, waiting_cnt;
	uint64_t refused_cnt; /* deferred */
	uint64_t charged_len; /* bytes that went and were not free */
};

WEFT_MUST_CHECK
int blobs_uploads_init(struct uploads *uploads, struct arena *arena, const uint64_t secret[2]);
/*
 * Bytes per second, 0: no limit. per_s is this worker's part of whole_per_s, which all together
 * may send: it is divided anew several times a second. So it sets when something is sent, but not
 * how long a new peer would wait. slot_cnt 0: all.
 */
struct upload_limits {
	uint64_t per_s, whole_per_s;
	uint64_t peer_per_s;
	uint32_t slot_cnt;
};
void blobs_uploads_configure(struct uploads *uploads, const struct upload_limits *limits,
			     uint64_t now_ns);

enum upload_verdict {
	UPLOAD_GO,   /* now */
	UPLOAD_WAIT, /* blobs_uploads_next will give it */
	UPLOAD_BUSY, /* not; come back after *out_wait_ns */
};
/*
 * blobs_uploads_admit: the peer of key asks for about upload->len bytes.
 */
enum upload_verdict blobs_uploads_admit(struct uploads *uploads, struct upload *upload,
					const uint8_t key[static UPLOAD_KEY_LEN], uint64_t now_ns,
					uint64_t *out_wait_ns);
/*
 * blobs_uploads_next: one that waited and goes now, or NULL. blobs_uploads_due_ns: when to ask, or
 * UPLOAD_NEVER.
 */
struct upload *blobs_uploads_next(struct uploads *uploads, uint64_t now_ns);
uint64_t blobs_uploads_due_ns(const struct uploads *uploads);
/* blobs_uploads_sent: len bytes went, once at most for each that was admitted. */
void blobs_uploads_sent(struct uploads *uploads, struct upload *upload, size_t len,
			uint64_t now_ns);
/* blobs_uploads_end: it is over, answered or not; one that is not admitted is nothing. */
void blobs_uploads_end(struct uploads *uploads, struct upload *upload, uint64_t now_ns);

/* An upload_view_iter walks the peers with a slot, for people, in no order; false: behind the last. */
struct upload_view {
	uint64_t per_s; /* bytes */
	uint32_t waiting_cnt, going_cnt;
};
struct upload_view_iter {
	const struct uploads *uploads;
	uint64_t now_ns;
	const struct upload_peer *peer; /* NULL: before the first */
};
bool blobs_uploads_view_next(struct upload_view_iter *iter, struct upload_view *out_view);

#endif
