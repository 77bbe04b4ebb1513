/* SPDX-License-Identifier: Apache-2.0 */
#include "node/methods/share_target.h"

#include <string.h>
#include <strings.h>

#include "node/sharing/sharing_state.h"

bool method_sharing_is_on(const struct node *node, struct control_call *call)
{
	if (node->sharing)
		return true;
	control_fail(call, WEFT_EREFUSED, "shares", "they are switched off",
		     "set sharing.enabled = yes in weft.conf and start weftd again");
	return false;
}

static const struct follow *follow_of_link(struct node *node, struct control_call *call,
					   const char *text)
{
	uint8_t share_id[SHARE_ID_LEN];
	const struct follow *follow;
	struct link link;
	int err = link_parse(text, &link);

	if (err < 0) {
		method_fail_link(call, err, text);
		return NULL;
	}
	share_id_of(link.public_key, share_id);
	follow = link.kind == LINK_SHARE ? follow_lookup(node->sharing->follows, share_id) : NULL;
	if (!follow)
		control_fail(call, WEFT_EABSENT, "link", "it is of no share that is followed",
			     "weft sub list shows those that are");
	return follow;
}

const struct follow *method_follow_named(struct node *node, struct control_call *call,
					 const char *name)
{
	const struct follow *follow;
	int err;

	if (!method_sharing_is_on(node, call))
		return NULL;
	if (strncasecmp(name, "mesh:", 5) == 0)
		return follow_of_link(node, call, name);
	err = follow_find(node->sharing->follows, name, &follow);
	if (err == 0)
		return follow;
	control_fail(call, err == WEFT_EEXISTS ? WEFT_EMALFORMED : err, name,
		     err == WEFT_EEXISTS ? "several followed shares are called so"
					 : "no followed share is called so",
		     "weft sub list shows names and ids; 8 letters of an id are enough");
	return NULL;
}
