/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SWARM_FINDER_H
#define WEFT_BLOBS_SWARM_FINDER_H

#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct mesh_peer;

/*
 * A finder looks for nodes that may have a collection or a file: in the overlay, on the LAN,
 * among those a followed share names. Its results are guesses that may be forged. A swarm asks
 * each node for itself what it has, so many at a time and so many in all. It forgets those that
 * do not answer. Home worker.
 */
#define SWARM_FINDERS_MAX 8

enum finder_kind { FINDER_MANIFEST, FINDER_CONTENT };

struct swarm_find {
	enum finder_kind kind;
	const uint8_t *id; /* 32 bytes, borrowed for the call of find */
	/* found, also from within find; peer is borrowed for the call. The caller's own key is skipped. */
	void (*found)(void *arg, const struct mesh_peer *peer);
	/* done once, after the last found; never from within find or cancel. */
	void (*done)(void *arg, uint64_t now_ns);
	void *arg;
};

/*
 * find begins a lookup: 0 with *out_run, or WEFT_EFULL (too many at once), WEFT_EABSENT (it does
 * not look for that kind) or -errno. On an error the swarm goes on without it and asks again
 * after a minute. cancel takes a lookup back: neither found nor done is called any more. run is
 * gone after either.
 */
struct swarm_finder_ops {
	int (*find)(void *ctx, const struct swarm_find *find, uint64_t now_ns, void **out_run);
	void (*cancel)(void *run);
};

struct swarm_finder {
	const struct swarm_finder_ops *ops;
	void *ctx;
};

/*
 * blobs_add_finder, at start: finder is copied and stays for content's
 * life; its ctx outlives content's swarms. 0 or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int blobs_add_finder(struct blobs *content, const struct swarm_finder *finder);

#endif
