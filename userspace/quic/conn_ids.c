/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of connection ids, the keys of their tags, and what one connection has in the
 * tables. The connection keeps the list, so that its end takes out exactly what it put in, long
 * after ngtcp2's own list is gone.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/assert.h"
#include "base/siphash_bytes.h"

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
	conn = map_lookup(&cids->ours, cid);
	if (conn) {
		memcpy(cids->last_cid, cid, WEFT_CID_LEN);
		cids->last_conn = conn;
	}
	return conn;
}

int quic_conn_issue_cid(struct quic_conn *conn, uint8_t out_cid[static WEFT_CID_LEN])
{
	struct quic_engine *engine = conn->engine;
	int err;

	if (conn->cid_cnt == QUIC_CONN_CID_CAP)
		return WEFT_EFULL;
	err = quic_cids_issue(&engine->cids, engine->random, conn, out_cid);
	if (err < 0)
		return err;
	memcpy(conn->cids[conn->cid_cnt++], out_cid, WEFT_CID_LEN);
	return 0;
}

void quic_conn_retire_cid(struct quic_conn *conn, const uint8_t cid[static WEFT_CID_LEN])
{
	for (unsigned i = 0; i < conn->cid_cnt; i++) {
		if (memcmp(conn->cids[i], cid, WEFT_CID_LEN) != 0)
			continue;
		quic_cids_retire(&conn->engine->cids, cid);
		memmove(conn->cids[i], conn->cids[--conn->cid_cnt], WEFT_CID_LEN);
		return;
	}
}

void quic_conn_retire_cids(struct quic_conn *conn)
{
	while (conn->cid_cnt)
		quic_cids_retire(&conn->engine->cids, conn->cids[--conn->cid_cnt]);
	if (conn->origin.len)
		(void)map_delete(&conn->engine->cids.origins, &conn->origin);
	conn->origin.len = 0;
}

int quic_conn_set_origin(struct quic_conn *conn, const ngtcp2_cid *cid)
{
	struct cid_origin origin = {.len = (uint8_t)cid->datalen};
	int err;

	memcpy(origin.data, cid->data, cid->datalen);
	err = map_put(&conn->engine->cids.origins, &origin, conn);
	if (err == 0)
		conn->origin = origin;
	return err;
}

void quic_conn_learn_reset_token(struct quic_conn *conn, const uint8_t *token)
{
	/* Full or not, resets are a courtesy: without one the idle timer ends it. */
	if (conn->reset_token_cnt == QUIC_CONN_TOKEN_CAP ||
	    map_put(&conn->engine->cids.reset_tokens, token, conn) < 0)
		return;
	memcpy(conn->reset_tokens[conn->reset_token_cnt++], token, CID_RESET_TOKEN_LEN);
}

void quic_conn_forget_reset_token(struct quic_conn *conn, const uint8_t *token)
{
	for (unsigned i = 0; i < conn->reset_token_cnt; i++) {
		if (memcmp(conn->reset_tokens[i], token, CID_RESET_TOKEN_LEN) != 0)
			continue;
		if (map_lookup(&conn->engine->cids.reset_tokens, token) == conn)
			(void)map_delete(&conn->engine->cids.reset_tokens, token);
		memmove(conn->reset_tokens[i], conn->reset_tokens[--conn->reset_token_cnt],
			CID_RESET_TOKEN_LEN);
		return;
	}
}

void quic_conn_forget_reset_tokens(struct quic_conn *conn)
{
	while (conn->reset_token_cnt)
		quic_conn_forget_reset_token(conn, conn->reset_tokens[0]);
}
