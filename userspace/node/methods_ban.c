/* SPDX-License-Identifier: Apache-2.0 */
/* AddBan, ListBans, RemoveBan. */
#include <string.h>

#include "base/clock.h"
#include "node/methods.h"

static json_t *ban_json(const struct ban *ban)
{
	uint64_t now_ns = clock_monotonic_ns();
	char text[BAN_TEXT_CAP];
	json_t *json = json_pack("{s:s, s:o, s:o, s:s}", "prefix", ban_format(ban, text), "rule",
				 method_json_uint(ban->rule), "added_s",
				 method_json_uint(ban->added_s), "reason", ban->reason);

	if (ban->expires_ns)
		json_object_set_new(json, "expires_in_s",
				    method_json_uint(ban->expires_ns > now_ns
							     ? (ban->expires_ns - now_ns) / NS_PER_S
							     : 0));
	return json;
}

static bool prefix_of(struct control_call *call, const json_t *parameters, struct ban *ban)
{
	const char *text = json_string_value(json_object_get(parameters, "prefix"));

	if (ban_parse(text, &ban->prefix, &ban->prefix_len) == 0)
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "neither an address nor a network",
		     "such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32");
	return false;
}

void method_add_ban(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	json_int_t expires_s = json_integer_value(json_object_get(parameters, "expires_in_s"));
	const char *reason = json_string_value(json_object_get(parameters, "reason"));
	struct ban ban = {.added_s = clock_wall_s()};
	int err;

	if (!prefix_of(call, parameters, &ban))
		return;
	if (expires_s < 0 || (uint64_t)expires_s > UINT64_MAX / NS_PER_S / 2) {
		control_fail_parameter(call, "expires_in_s");
		return;
	}
	ban.expires_ns = expires_s ? now_ns + (uint64_t)expires_s * NS_PER_S : 0;
	snprintf(ban.reason, sizeof(ban.reason), "%s", reason ? reason : "");
	err = fastpath_ban(&node->fastpath, &ban);
	if (err < 0)
		control_fail(call, err, "bans", "the list is full",
			     "remove some, or ban a network in their place");
	else
		control_reply(call, json_pack("{s:o}", "ban", ban_json(&ban)));
}

void method_list_bans(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const struct bans *bans = &node->fastpath.bans;
	json_t *list = json_array();

	(void)parameters, (void)now_ns;
	for (unsigned i = 0; i < bans->cnt; i++)
		json_array_append_new(list, ban_json(&bans->list[i]));
	control_reply(call, json_pack("{s:o}", "bans", list));
}

void method_remove_ban(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	struct ban ban = {0};

	(void)now_ns;
	if (!prefix_of(call, parameters, &ban))
		return;
	if (!fastpath_unban(&node->fastpath, &ban))
		control_fail(call, WEFT_EABSENT,
			     json_string_value(json_object_get(parameters, "prefix")), "not banned",
			     "the list shows what is");
	else
		control_reply(call, json_pack("{s:o}", "ban", ban_json(&ban)));
}
