/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SESSION_DISCOVERY_H
#define WEFT_MESH_SESSION_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"
#include "weft/err.h"

/*
 * Sources of addresses for a key: other nodes, the DHT, a relay of records, a rendezvous. They
 * are asked when no program answers at the addresses at hand. Each is a locator, and mesh knows
 * no more of it than this. A dial asks the locators in the order in which they were added. Each
 * is asked stagger_ns after the one before, or at once when that has ended without an address.
 * The addresses found are dialled as they come, and the first whose key is proved wins.
 *
 * An unsought key is told to no locator: a dial of it goes to the addresses at hand, and through
 * relays that its owner named. So no node that keeps a table learns that this node wants it. A key is
 * unsought as long as mesh_params.is_unsought says so, whatever asks for it, or while all that wait for
 * the dial say so (mesh_peer.is_unsought).
 *
 * Home worker; nothing blocks.
 */
#define MESH_LOCATORS_MAX 5

struct mesh;

/* A locator's knowledge of a key; borrowed. */
struct mesh_found {
	const struct addr *addrs;
	unsigned addr_cnt;
	const struct peer_via *vias; /* relays that the key's owner names */
	unsigned via_cnt;
	uint64_t seq; /* of the signed record it is from; 0: of none */
	bool is_over; /* the record is older than records are believed */
};

/*
 * One locator looking for one key, embedded by the asker. found is called any number of times,
 * ended once and last. found returns 0, or WEFT_ESTALE for a record that was refused. Such a
 * record is over, or older than one that this key's owner published before, so it is a replay.
 */
struct mesh_look {
	int (*found)(struct mesh_look *look, const struct mesh_found *found, uint64_t now_ns);
	void (*ended)(struct mesh_look *look, int err, uint64_t now_ns);
	bool is_unsought; /* the key is told to no node but those of a hint */
};

/*
 * look starts looking for key. 0 with what names the search in *out_run, or
 *     WEFT_EFULL, WEFT_EUNREACHABLE (no source to ask): it has ended then.
 *     Neither found nor ended is called inside the call.
 * cancel takes a search back: neither is called any more.
 * hint: a signed record names relays of the key that run looks for. A locator with a hint is asked
 *     at once when such a record is found, and once more if it had ended. NULL: it has no use for it.
 */
struct mesh_locator {
	const char *name; /* a word; lives as long as the mesh */
	uint64_t stagger_ns;
	uint64_t budget_ns; /* it is taken back after this: WEFT_ETIMEOUT */
	int (*look)(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
		    uint64_t now_ns, void **out_run);
	void (*cancel)(void *ctx, void *run);
	void (*hint)(void *ctx, void *run, const struct peer_via *vias, unsigned cnt,
		     uint64_t now_ns);
	bool keeps_unsought; /* it heeds mesh_look.is_unsought; else it is not asked for such keys */
	void *ctx;
};

/*
 * A step of looking for a key, reported when it ends. err: 0, also when nothing
 * was found; WEFT_ESTALE: only records that were refused; WEFT_ETIMEOUT;
 * WEFT_ECANCELLED: another step was faster.
 */
struct mesh_step {
	uint8_t key[MESH_KEY_LEN];
	const char *name; /* a locator's, or "cache": the addresses of earlier sessions */
	int err;
	unsigned addr_cnt;
	uint64_t started_ns, ended_ns;
};
typedef void (*mesh_step_fn)(void *ctx, const struct mesh_step *step);

/* mesh_add_locator copies locator; at start. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int mesh_add_locator(struct mesh *mesh, const struct mesh_locator *locator);
/* mesh_forget_locators cancels every search and asks no more; before they go. Takes NULL. */
void mesh_forget_locators(struct mesh *mesh);

#endif
