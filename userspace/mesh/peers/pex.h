/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_PEX_H
#define WEFT_MESH_PEERS_PEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "mesh/seam_neighbours.h"
#include "weft/err.h"
#include "weft/reason_table.h"

struct random;

/*
 * Peer exchange: a node asks one of its neighbours, now and then, which others it has
 * met (101). The answer (100) names some, drawn at random, with what they do for others.
 * No node is named unasked, nor one that this node has not itself dialled lately.
 *
 * The names that a neighbour gives are hints. An address where no host can be is refused, and so
 * is one that the neighbour cannot know. A node that proves another key when dialled does not
 * count.
 *
 * Home worker; nothing blocks.
 */
struct mesh_pex;

#define MESH_PEX_OFFER_MAX 64
#define MESH_PEX_ADDRS_MAX 4

/* The outcome of a request for nodes, or of an offered node; no code. */
enum mesh_pex_reason {
#define REASON WEFT_REASON_NAME
#include "mesh/pex_reasons.def"
	MESH_PEX_REASON_CNT,
};
extern const struct weft_reason_row mesh_pex_reasons[MESH_PEX_REASON_CNT];

struct mesh_pex_config {
	uint32_t requests_per_min; /* of one neighbour */
	uint32_t asker_cap;	   /* neighbours whose requests are counted */
	uint64_t fresh_s;	   /* a node seen longer ago is neither named nor believed */
	uint64_t every_ns;	   /* a neighbour is asked so often, */
	uint64_t hungry_ns;	   /* or so often as long as there are fewer than hungry_cnt */
	uint32_t hungry_cnt;
};
void mesh_pex_config_defaults(struct mesh_pex_config *config);
size_t mesh_pex_footprint(const struct mesh_pex_config *config);

/* A node that was met, or named. */
struct mesh_pex_node {
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[MESH_PEX_ADDRS_MAX];
	unsigned addr_cnt; /* at least 1 */
	uint32_t caps;
	uint64_t age_s; /* since the peer that names it met it */
};

/* All borrowed. found: a neighbour named node, which can be; never inside a call. */
struct mesh_pex_params {
	struct mesh_pex_config config;
	const uint8_t *own_key;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	uint64_t now_ns, wall_s;
	void (*found)(void *ctx, const struct mesh_pex_node *node, uint64_t now_ns);
	void *ctx;
};
/* mesh_pex_new registers the handler of 101. 0, WEFT_EFULL, WEFT_EEXISTS, -errno. */
WEFT_MUST_CHECK
int mesh_pex_new(const struct mesh_pex_params *params, struct mesh_pex **out_pex);
/* mesh_pex_stop while the mesh is there; mesh_pex_free when its transport is gone, as of the overlay. Both take NULL. */
void mesh_pex_stop(struct mesh_pex *pex);
void mesh_pex_free(struct mesh_pex *pex);
void mesh_pex_expire(struct mesh_pex *pex, uint64_t now_ns);
uint64_t mesh_pex_next_ns(const struct mesh_pex *pex);
void mesh_pex_set_wall(struct mesh_pex *pex, uint64_t wall_s, uint64_t now_ns);
/* mesh_pex_stats fills a counter for each reason. */
void mesh_pex_stats(const struct mesh_pex *pex, uint64_t out_reasons[static MESH_PEX_REASON_CNT]);

/*
 * The payloads (docs/wire/overlay.md). REQUEST: {0: how many are wanted}. OFFER:
 * {0: [[key, [PeerAddr], caps, age]]}. Unknown fields are skipped.
 */
#define MESH_PEX_REQUEST_LEN_MAX 16
#define MESH_PEX_OFFER_LEN_MAX	 (16 * 1024)
void mesh_pex_request_write(struct writer *w, unsigned wanted_cnt);
WEFT_MUST_CHECK
int mesh_pex_request_parse(const uint8_t *data, size_t len, unsigned *out_wanted_cnt);
void mesh_pex_offer_write(struct writer *w, const struct mesh_pex_node *nodes, unsigned cnt);
/* mesh_pex_offer_parse: how many nodes, some maybe without an address, or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int mesh_pex_offer_parse(const uint8_t *data, size_t len,
			 struct mesh_pex_node out_nodes[static MESH_PEX_OFFER_MAX]);

#endif
