/* SPDX-License-Identifier: Apache-2.0 */
#include "head_ask.h"

#include <string.h>

static int answer_read(struct head_ask *ask, const struct mesh_reply *reply)
{
	struct head_seen *seen = &ask->seen;
	struct list_answer answer;
	struct share_head head;

	if (reply->type != MESH_SHARE_LIST ||
	    shares_list_answer_parse(reply->payload, reply->payload_len, &answer) < 0)
		return WEFT_EDAMAGED;
	if (answer.head_cnt == 0)
		return WEFT_EABSENT;
	if (shares_head_parse(answer.heads[0].bytes, answer.heads[0].len, &head) < 0 ||
	    memcmp(head.share_id, ask->share_id, SHARE_ID_LEN) != 0)
		return WEFT_EDAMAGED;
	/* One from the future would make our clock the publisher's. */
	if (head.updated_s > ask->latest_s) {
		ask->future = head;
		return WEFT_EDAMAGED;
	}
	seen->head = head;
	seen->len = answer.heads[0].len;
	memcpy(seen->bytes, answer.heads[0].bytes, seen->len);
	return 0;
}

static void answered(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct head_ask *ask = arg;

	ask->request = NULL;
	ask->done(ask, reply->err < 0 ? reply->err : answer_read(ask, reply), now_ns);
}

int shares_head_ask_start(struct head_ask *ask, const struct mesh_seam *mesh,
			  const struct mesh_peer *peer, uint64_t now_ns)
{
	struct list_request request = {.has_share = true};
	uint8_t payload[LIST_REQUEST_CAP];
	struct mesh_ask asked = {
		.peer = *peer,
		.type = MESH_LIST_SHARES,
		.payload = payload,
		.reply_buf = ask->buf,
		.reply_cap = sizeof(ask->buf),
		.timeout_ns = ask->timeout_ns,
		.reply = answered,
		.arg = ask,
	};

	ask->seen.head.seq = ask->future.seq = 0;
	memcpy(request.share_id, ask->share_id, SHARE_ID_LEN);
	asked.payload_len = shares_list_request_write(&request, payload);
	return mesh->ops->ask(mesh->mesh, &asked, now_ns, &ask->request);
}

void shares_head_ask_cancel(struct head_ask *ask, const struct mesh_seam *mesh)
{
	if (ask->request)
		mesh->ops->cancel(ask->request);
	ask->request = NULL;
}
