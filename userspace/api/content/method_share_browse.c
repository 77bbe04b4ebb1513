/* SPDX-License-Identifier: Apache-2.0 */
/* ListNodeShares: the public shares of another node, as that node lists them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "shares/follow/follow.h"
#include "api/methods.h"
#include "method_share_target.h"

#define CURSOR_TEXT_CAP (ZBASE32_TEXT_LEN(FOLLOW_LIST_CURSOR_LEN) + 1)

struct browsing {
	struct api *api;
	struct control_call *call;
	struct follow_listing *listing;
	struct link_node asked; /* as a link names it */
	char name[ZBASE32_KEY_TEXT_CAP];
};

static void head_add(struct varlink_blocks *blocks, const struct browsing *browsing,
		     const struct share_head *head, struct api_node_share_list *shares)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = 1, .nodes = {browsing->asked}};
	bool is_revoked = shares_head_is_revoked(head);
	char text[LINK_TEXT_CAP];

	memcpy(link.public_key, head->share_key, sizeof(link.public_key));
	varlink_push(
		blocks, shares,
		{.share_id = api_id(blocks, head->share_id),
		 .link = varlink_text(blocks, blobs_link_write(&link, text)),
		 .updated_s = api_uint(head->updated_s),
		 .revoked = is_revoked,
		 .followed = shares_follow_lookup(browsing->api->follows, head->share_id) != NULL,
		 API_IF(revision, !is_revoked, api_uint(head->seq)),
		 .collection_id = is_revoked ? NULL : api_id(blocks, head->manifest_id)});
}

static void page_reply(const struct browsing *browsing, const struct follow_list *list)
{
	struct api_node_share_list shares = {0};
	char text[CURSOR_TEXT_CAP];
	const char *cursor = NULL;

	for (unsigned i = 0; i < list->head_cnt; i++)
		head_add(control_blocks(browsing->call), browsing, &list->heads[i], &shares);
	if (list->has_cursor)
		cursor = zbase32_write(list->cursor, sizeof(list->cursor), text);
	api_reply(browsing->call, list_node_shares, .shares = shares, .cursor = cursor,
		  .false_heads = list->false_cnt);
}

static void browsing_fail(struct control_call *call, const char *name, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "as many nodes are asked as may be at once", "try again in a moment"},
		{WEFT_EUNREACHABLE, "it cannot be reached", "weft check NODE says where it fails"},
		{WEFT_ETIMEOUT, "it did not answer", "weft check NODE says where it fails"},
		{WEFT_EUNKNOWN, "it does not know such lists",
		 "its shares can be followed by their links: weft sub add LINK"},
		{WEFT_EMALFORMED, "what it answered is no list of shares",
		 "use a newer weftd there"},
		{0, NULL, "try again"},
	};

	control_fail_of(call, err, name, rows);
}

static void browsing_listed(void *arg, const struct follow_list *list, uint64_t now_ns)
{
	struct browsing *browsing = arg;

	(void)now_ns;
	if (list->err < 0)
		browsing_fail(browsing->call, browsing->name, list->err);
	else
		page_reply(browsing, list);
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
	if (api_peer_lookup(browsing->api, browsing->name, &peer) != 1 ||
	    peer.last_addr.family == ADDR_NONE || addr_is_link_local(&peer.last_addr))
		return;
	browsing->asked.places.addrs[0] = peer.last_addr;
	browsing->asked.places.addr_cnt = 1;
}

void api_list_node_shares(struct api *api, struct control_call *call,
			  const struct api_list_node_shares_in *in, uint64_t now_ns)
{
	const char *name = in->node_id, *cursor = in->cursor;
	uint8_t cursor_bytes[FOLLOW_LIST_CURSOR_LEN];
	struct follow_list_ask ask = {.listed = browsing_listed};
	struct browsing *browsing;
	int err;

	if (!api_sharing_is_on(api, call))
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
	if (!api_node_id_read(api, call, name, browsing->asked.key)) {
		free(browsing);
		return;
	}
	browsing->api = api;
	browsing->call = call;
	asked_describe(browsing);
	ask.key = browsing->asked.key;
	ask.cursor = cursor ? cursor_bytes : NULL;
	ask.arg = browsing;
	err = shares_follow_list_start(api->follows, &ask, now_ns, &browsing->listing);
	if (err < 0) {
		browsing_fail(call, browsing->name, err);
		free(browsing);
		return;
	}
	control_on_gone(call, browsing_caller_left, browsing);
}
