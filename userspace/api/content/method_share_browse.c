/* SPDX-License-Identifier: Apache-2.0 */
/* ListNodeShares: what another node shares with everybody, as that node says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "shares/follow/follow.h"
#include "api/methods.h"
#include "method_share_target.h"
#include "node/sharing/sharing_state.h"

#define CURSOR_TEXT_CAP (ZBASE32_TEXT_LEN(FOLLOW_LIST_CURSOR_LEN) + 1)

struct browsing {
	struct node *node;
	struct control_call *call;
	struct follow_listing *listing;
	struct link_node asked; /* as a link names it */
	char name[ZBASE32_KEY_TEXT_CAP];
};

static json_t *head_json(const struct browsing *browsing, const struct share_head *head)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = 1, .nodes = {browsing->asked}};
	char text[LINK_TEXT_CAP];
	json_t *json;

	memcpy(link.public_key, head->share_key, sizeof(link.public_key));
	json = json_pack(
		"{s:o, s:s, s:o, s:b, s:b}", "share_id", api_json_id(head->share_id), "link",
		blobs_link_write(&link, text), "updated_s", api_json_uint(head->updated_s),
		"revoked", shares_head_is_revoked(head), "followed",
		shares_follow_lookup(browsing->node->sharing->follows, head->share_id) != NULL);
	if (!shares_head_is_revoked(head))
		json_object_update_new(json,
				       json_pack("{s:o, s:o}", "revision", api_json_uint(head->seq),
						 "collection_id", api_json_id(head->manifest_id)));
	return json;
}

static json_t *page_json(const struct browsing *browsing, const struct follow_list *list)
{
	json_t *shares = json_array(), *json;
	char text[CURSOR_TEXT_CAP];

	for (unsigned i = 0; i < list->head_cnt; i++)
		json_array_append_new(shares, head_json(browsing, &list->heads[i]));
	json = json_pack("{s:o, s:i}", "shares", shares, "false_heads", (int)list->false_cnt);
	if (list->has_cursor)
		json_object_set_new(
			json, "cursor",
			json_string(zbase32_write(list->cursor, sizeof(list->cursor), text)));
	return json;
}

static void browsing_fail(struct control_call *call, const char *name, int err)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EFULL, "as many nodes are asked as may be at once", "try again in a moment"},
		{WEFT_EUNREACHABLE, "it cannot be reached", "weft check NODE says where it fails"},
		{WEFT_ETIMEOUT, "it did not answer", "weft check NODE says where it fails"},
		{WEFT_EUNKNOWN, "it does not know such lists",
		 "its shares can be followed by their links: weft sub add LINK"},
		{WEFT_EMALFORMED, "what it answered is no list of shares",
		 "use a newer weftd there"},
		{0, NULL, "try again"},
	};
	size_t i = 0;

	while (rows[i].err && rows[i].err != err)
		i++;
	control_fail(call, err, name, rows[i].why ? rows[i].why : weft_err_text(err), rows[i].next);
}

static void browsing_listed(void *arg, const struct follow_list *list, uint64_t now_ns)
{
	struct browsing *browsing = arg;

	(void)now_ns;
	control_on_gone(browsing->call, NULL, NULL);
	if (list->err < 0)
		browsing_fail(browsing->call, browsing->name, list->err);
	else
		control_reply(browsing->call, page_json(browsing, list));
	free(browsing);
}

static void browsing_caller_left(void *arg)
{
	struct browsing *browsing = arg;

	shares_follow_list_cancel(browsing->listing);
	free(browsing);
}

/* Where it is known to be, so that the links lead there. */
static void asked_describe(struct browsing *browsing)
{
	struct mesh_peer_info peer;

	zbase32_write(browsing->asked.key, sizeof(browsing->asked.key), browsing->name);
	if (api_peer_lookup(browsing->node, browsing->name, &peer) != 1 ||
	    peer.last_addr.family == ADDR_NONE || addr_is_link_local(&peer.last_addr))
		return;
	browsing->asked.addrs[0] = peer.last_addr;
	browsing->asked.addr_cnt = 1;
}

void api_list_node_shares(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	const char *cursor = json_string_value(json_object_get(parameters, "cursor"));
	uint8_t cursor_bytes[FOLLOW_LIST_CURSOR_LEN];
	struct follow_list_ask ask = {.listed = browsing_listed};
	struct browsing *browsing;
	int err;

	if (!api_sharing_is_on(node, call))
		return;
	if (cursor && zbase32_parse(cursor, strlen(cursor), cursor_bytes, sizeof(cursor_bytes)) !=
			      sizeof(cursor_bytes)) {
		control_fail(call, WEFT_EMALFORMED, "cursor", "no page has said that",
			     "begin without a cursor");
		return;
	}
	browsing = calloc(1, sizeof(*browsing));
	if (!browsing) {
		browsing_fail(call, name, -ENOMEM);
		return;
	}
	if (!api_node_id_read(node, call, name, browsing->asked.key)) {
		free(browsing);
		return;
	}
	browsing->node = node;
	browsing->call = call;
	asked_describe(browsing);
	ask.key = browsing->asked.key;
	ask.cursor = cursor ? cursor_bytes : NULL;
	ask.arg = browsing;
	err = shares_follow_list_start(node->sharing->follows, &ask, now_ns, &browsing->listing);
	if (err < 0) {
		browsing_fail(call, browsing->name, err);
		free(browsing);
		return;
	}
	control_on_gone(call, browsing_caller_left, browsing);
}
