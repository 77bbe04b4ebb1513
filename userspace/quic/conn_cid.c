/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one connection has in the id tables. The connection keeps the list,
 * so that its end takes out exactly what it put in, long after ngtcp2's
 * own list is gone.
 */
#include "quic/engine.h"

#include <string.h>

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
