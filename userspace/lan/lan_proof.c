/* SPDX-License-Identifier: Apache-2.0 */
#include "lan_proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum suspect_state {
	SUSPECT_NONE,
	SUSPECT_WAITING,
	SUSPECT_DIALLED,
	SUSPECT_PROVEN,
	SUSPECT_FAILED
};

/* One that has not proved its key yet. */
struct suspect {
	enum suspect_state state;
	uint8_t key[MESH_KEY_LEN];
	struct addr addr;
	bool is_moved; /* since it was dialled: */
	struct addr moved_to;
	unsigned try_cnt;
	uint64_t due_ns; /* of the next dial, while waiting */
	int err;	 /* of the last, when it failed */
};

struct proof_dial {
	struct lan_proof *proof;
	struct suspect *suspect; /* NULL: the node is forgotten */
	bool is_out;
};

struct lan_proof {
	struct lan_proof_params params;
	struct suspect *suspects;
	struct proof_dial dials[LAN_PROOF_DIALS_MAX];
	unsigned dial_cnt; /* out */
	uint64_t next_ns;
};

int lan_proof_new(const struct lan_proof_params *params, struct lan_proof **out_proof)
{
	struct lan_proof *proof = calloc(1, sizeof(*proof));

	if (proof)
		proof->suspects = calloc(params->node_cap, sizeof(*proof->suspects));
	if (!proof || !proof->suspects) {
		lan_proof_free(proof);
		return -ENOMEM;
	}
	proof->params = *params;
	proof->next_ns = UINT64_MAX;
	for (unsigned i = 0; i < LAN_PROOF_DIALS_MAX; i++)
		proof->dials[i].proof = proof;
	*out_proof = proof;
	return 0;
}

void lan_proof_free(struct lan_proof *proof)
{
	if (!proof)
		return;
	free(proof->suspects);
	free(proof);
}

/* The one of key, else a place for it; NULL: there is none. */
static struct suspect *suspect_place(struct lan_proof *proof, const uint8_t *key)
{
	struct suspect *place = NULL;

	for (uint32_t i = 0; i < proof->params.node_cap; i++) {
		struct suspect *suspect = &proof->suspects[i];

		if (suspect->state == SUSPECT_NONE)
			place = place ? place : suspect;
		else if (memcmp(suspect->key, key, MESH_KEY_LEN) == 0)
			return suspect;
	}
	return place;
}

bool lan_proof_add(struct lan_proof *proof, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct suspect *suspect = suspect_place(proof, peer->key);

	if (!suspect)
		return false;
	if (suspect->state == SUSPECT_DIALLED) {
		suspect->is_moved = true;
		suspect->moved_to = peer->addrs[0];
		return true;
	}
	suspect->addr = peer->addrs[0];
	memcpy(suspect->key, peer->key, sizeof(suspect->key));
	suspect->state = SUSPECT_WAITING;
	suspect->is_moved = false;
	suspect->try_cnt = 0;
	suspect->due_ns = now_ns;
	proof->next_ns = 0;
	return true;
}

void lan_proof_clear(struct lan_proof *proof)
{
	if (!proof)
		return;
	memset(proof->suspects, 0, proof->params.node_cap * sizeof(*proof->suspects));
	for (unsigned i = 0; i < LAN_PROOF_DIALS_MAX; i++)
		proof->dials[i].suspect = NULL;
	proof->next_ns = UINT64_MAX;
}

/* --- dials --- */

static void suspect_end(struct suspect *suspect, int err)
{
	suspect->err = err;
	suspect->state = err == 0 ? SUSPECT_PROVEN : SUSPECT_FAILED;
}

static void dial_ended(void *arg, int err, const uint8_t *actual_key)
{
	struct proof_dial *dial = arg;

	(void)actual_key;
	dial->is_out = false;
	dial->proof->dial_cnt--;
	dial->proof->next_ns = 0;
	if (dial->suspect)
		suspect_end(dial->suspect, err);
	dial->suspect = NULL;
}

static void suspect_dial(struct lan_proof *proof, struct suspect *suspect)
{
	const struct lan_proof_params *params = &proof->params;
	struct mesh_peer peer = {.addrs = &suspect->addr, .addr_cnt = 1};
	struct proof_dial *dial = proof->dials;
	int err;

	while (dial->is_out)
		dial++;
	memcpy(peer.key, suspect->key, sizeof(peer.key));
	suspect->state = SUSPECT_DIALLED;
	suspect->try_cnt++;
	err = params->dial(params->ctx, &peer, LAN_PROOF_TIMEOUT_NS, dial_ended, dial);
	if (err < 0) {
		suspect_end(suspect, err);
		return;
	}
	dial->is_out = true;
	dial->suspect = suspect;
	proof->dial_cnt++;
}

/* --- what they led to --- */

static void suspect_judge(struct lan_proof *proof, struct suspect *suspect, uint64_t now_ns)
{
	uint64_t wait_ns;

	if (suspect->is_moved) {
		suspect->is_moved = false;
		suspect->addr = suspect->moved_to;
		suspect->try_cnt = 0;
		suspect->due_ns = now_ns;
		suspect->state = SUSPECT_WAITING;
		return;
	}
	/* A lie does not get truer, nor does our own key become another's. */
	if (suspect->err == WEFT_EWRONGKEY || suspect->err == WEFT_EMALFORMED ||
	    suspect->try_cnt == LAN_PROOF_TRIES_MAX) {
		suspect->state = SUSPECT_NONE;
		return;
	}
	wait_ns = LAN_PROOF_RETRY_NS << (suspect->try_cnt - 1);
	/* All that heard it at one time do not dial it again at one time. */
	suspect->due_ns = now_ns + wait_ns + random_below(proof->params.random, wait_ns / 2);
	suspect->state = SUSPECT_WAITING;
}

static void suspect_tell(struct lan_proof *proof, struct suspect *suspect, uint64_t now_ns)
{
	struct addr addr = suspect->addr;
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1};

	memcpy(peer.key, suspect->key, sizeof(peer.key));
	suspect->state = SUSPECT_NONE;
	proof->params.proven(proof->params.ctx, &peer, now_ns);
}

static void suspect_expire(struct lan_proof *proof, struct suspect *suspect, uint64_t now_ns)
{
	if (suspect->state == SUSPECT_PROVEN)
		suspect_tell(proof, suspect, now_ns);
	if (suspect->state == SUSPECT_FAILED)
		suspect_judge(proof, suspect, now_ns);
	if (suspect->state == SUSPECT_WAITING && suspect->due_ns <= now_ns &&
	    proof->dial_cnt < LAN_PROOF_DIALS_MAX)
		suspect_dial(proof, suspect);
	/* One that could not be dialled waits, too. */
	if (suspect->state == SUSPECT_FAILED)
		suspect_judge(proof, suspect, now_ns);
}

void lan_proof_expire(struct lan_proof *proof, uint64_t now_ns)
{
	if (now_ns < proof->next_ns)
		return;
	proof->next_ns = UINT64_MAX;
	for (uint32_t i = 0; i < proof->params.node_cap; i++)
		suspect_expire(proof, &proof->suspects[i], now_ns);
	/* A node without a place among the dials gets one when a dial ends. */
	for (uint32_t i = 0; i < proof->params.node_cap; i++) {
		const struct suspect *suspect = &proof->suspects[i];

		if (suspect->state == SUSPECT_WAITING && suspect->due_ns > now_ns &&
		    suspect->due_ns < proof->next_ns)
			proof->next_ns = suspect->due_ns;
	}
}

uint64_t lan_proof_next_ns(const struct lan_proof *proof)
{
	return proof->next_ns;
}
