/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of connection ids and the keys of their tags.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/assert.h"
#include "base/siphash_bytes.h"

size_t quic_cids_footprint(uint32_t conn_cap)
{
	return map_footprint(WEFT_CID_LEN, conn_cap * QUIC_CONN_CID_CAP) +
	       map_footprint(sizeof(struct cid_origin), conn_cap) +
	       map_footprint(CID_RESET_TOKEN_LEN, conn_cap * QUIC_CONN_TOKEN_CAP);
}

int quic_cids_init(struct quic_cids *cids, struct arena *arena,
		   const struct quic_cids_params *params)
{
	uint32_t cap = params->conn_cap;

	memset(cids, 0, sizeof(*cids));
	memcpy(cids->secret, params->secret, sizeof(cids->secret));
	cids->worker = params->worker;
	cids->epoch = params->epoch - WEFT_CID_KEY_CNT;
	cids->keys.current_generation = cids->epoch & 0xff;
	for (unsigned i = 0; i < WEFT_CID_KEY_CNT; i++)
		quic_cids_rotate(cids);
	if (map_init(&cids->ours, arena, WEFT_CID_LEN, cap * QUIC_CONN_CID_CAP,
		     params->map_secret) < 0 ||
	    map_init(&cids->origins, arena, sizeof(struct cid_origin), cap, params->map_secret) <
		    0 ||
	    map_init(&cids->reset_tokens, arena, CID_RESET_TOKEN_LEN, cap * QUIC_CONN_TOKEN_CAP,
		     params->map_secret) < 0)
		return WEFT_EFULL;
	return 0;
}

bool quic_cids_can_rotate(const struct quic_cids *cids)
{
	return cids->live_cnt[(cids->keys.current_generation + 1) % WEFT_CID_KEY_CNT] == 0;
}

void quic_cids_rotate(struct quic_cids *cids)
{
	__u64 key[2];

	weft_assert(quic_cids_can_rotate(cids));
	cids->epoch++;
	for (uint32_t half = 0; half < 2; half++) {
		const uint32_t input[2] = {cids->epoch, half};

		key[half] = siphash(cids->secret, input, sizeof(input));
	}
	weft_cid_keys_rotate(&cids->keys, key);
}

int quic_cids_issue(struct quic_cids *cids, struct random *random, void *conn,
		    uint8_t out_cid[static WEFT_CID_LEN])
{
	uint8_t noise[WEFT_CID_RANDOM_LEN], cid[WEFT_CID_LEN];

	do {
		random_fill(random, noise, sizeof(noise));
		weft_cid_write(&cids->keys, cids->worker, noise, cid);
	} while (map_lookup(&cids->ours, cid));
	if (map_put(&cids->ours, cid, conn) < 0)
		return WEFT_EFULL;
	cids->live_cnt[cid[1] % WEFT_CID_KEY_CNT]++;
	memcpy(out_cid, cid, sizeof(cid));
	return 0;
}

void quic_cids_retire(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN])
{
	if (cids->last_conn && memcmp(cids->last_cid, cid, WEFT_CID_LEN) == 0)
		cids->last_conn = NULL;
	if (map_delete(&cids->ours, cid))
		cids->live_cnt[cid[1] % WEFT_CID_KEY_CNT]--;
}

void *quic_cids_lookup(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN])
{
	void *conn;

	if (cids->last_conn && memcmp(cids->last_cid, cid, WEFT_CID_LEN) == 0)
		return cids->last_conn;
	if (!quic_cids_is_ours(cids, cid))
		return NULL;
	conn = map_lookup(&cids->ours, cid);
	if (conn) {
		memcpy(cids->last_cid, cid, WEFT_CID_LEN);
		cids->last_conn = conn;
	}
	return conn;
}

bool quic_cids_is_ours(const struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN])
{
	return weft_cid_is_ours(&cids->keys, cid);
}
