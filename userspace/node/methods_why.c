/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowWhy: what the last day knows of one peer or address.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "mesh/hello.h"
#include "node/methods.h"

#define INCIDENTS_TOLD_MAX 200

static const char *const kinds[] = {
	[INCIDENT_SESSION_OPENED] = "session_opened",
	[INCIDENT_SESSION_CLOSED] = "session_closed",
	[INCIDENT_BANNED] = "banned",
	[INCIDENT_BAN_REMOVED] = "ban_removed",
	[INCIDENT_BAN_ENDED] = "ban_ended",
	[INCIDENT_WRONG_KEY] = "wrong_key",
};

/* docs/wire/session.md has the codes. */
static const char *const bye_texts[] = {
	[MESH_BYE_DONE] = "done",
	[MESH_BYE_SHUTDOWN] = "shutting down",
	[MESH_BYE_PROTOCOL] = "the rules of the control stream were broken",
	[MESH_BYE_VERSION] = "another version of the protocol",
	[MESH_BYE_NO_KEY] = "no usable key",
	[MESH_BYE_NO_HELLO] = "no hello in time",
	[MESH_BYE_DUPLICATE] = "another session is used",
	[MESH_BYE_FULL] = "too many sessions",
	[MESH_BYE_REFUSED] = "banned",
};

static const char *close_text(const struct incident *incident)
{
	bool is_told = !incident->err || incident->err == WEFT_ECLOSED;

	if (is_told && incident->code < sizeof(bye_texts) / sizeof(bye_texts[0]))
		return bye_texts[incident->code];
	if (is_told)
		return "the connection ended";
	return weft_err_text(incident->err);
}

static json_t *incident_json(const struct incident *incident)
{
	char text[BAN_TARGET_TEXT_CAP], addr[ADDR_TEXT_CAP];
	json_t *json =
		json_pack("{s:o, s:s, s:s}", "at_s", method_json_uint(incident->at_s), "kind",
			  kinds[incident->kind], "who", ban_target_format(&incident->who, text));

	if (incident->addr.family != ADDR_NONE)
		json_object_set_new(json, "address",
				    json_string(addr_format(&incident->addr, addr)));
	if (incident->kind == INCIDENT_SESSION_CLOSED) {
		json_object_set_new(json, "why", json_string(close_text(incident)));
		json_object_set_new(json, "by_peer", json_boolean(incident->by_peer));
	}
	if (incident->kind == INCIDENT_WRONG_KEY)
		json_object_set_new(json, "actual_key", method_json_id(incident->other_key));
	return json;
}

/* Where a peer was last; its drops are those of that address. */
static void target_of_peer(struct node *node, const uint8_t *key, struct ban_target *out_target)
{
	char id[ZBASE32_KEY_TEXT_CAP];
	struct mesh_peer_info peer;

	zbase32_write(key, BAN_KEY_LEN, id);
	if (method_peer_lookup(node, id, &peer) != 1 || peer.last_addr.family == ADDR_NONE)
		return;
	*out_target = ban_target_of(&peer.last_addr);
}

/* What a table of sources has of IPv6 is a /64. */
static bool offender_is_in(const struct offender *offender, const struct ban_target *where)
{
	struct ban_target cut = *where;
	struct addr addr = {.family = ADDR_IPV6};

	if (where->kind == BAN_KEY)
		return false;
	if (weft_endpoint_is_ipv4(&offender->source)) {
		addr.family = ADDR_IPV4;
		memcpy(addr.ip, offender->source.addr + 12, 4);
	} else {
		memcpy(addr.ip, offender->source.addr, 16);
	}
	if (where->kind == BAN_IPV6 && where->prefix_len > 64) {
		cut.prefix_len = 64;
		cut.addr = addr_prefix_key(&where->addr, 64);
	}
	return ban_target_has(&cut, &addr);
}

static json_t *drops_json(struct node *node, const struct ban_target *where)
{
	const unsigned cap = OFFENDERS_HOUR_CNT * OFFENDERS_CAP;
	struct offender *all = malloc(cap * sizeof(*all));
	json_t *list = json_array();
	unsigned cnt = all ? offenders_top(&node->drops.offenders, node->home.now_ns, all, cap) : 0;

	for (unsigned i = 0; i < cnt; i++)
		if (offender_is_in(&all[i], where))
			json_array_append_new(list, method_json_drop_source(&node->drops, &all[i],
									    CONTROL_ADMIN));
	free(all);
	return list;
}

static json_t *incidents_json(struct node *node, const struct ban_target *who,
			      uint64_t *out_lost_cnt)
{
	struct incident *found = malloc(INCIDENTS_TOLD_MAX * sizeof(*found));
	json_t *list = json_array();
	unsigned cnt = 0;

	*out_lost_cnt = 0;
	if (found)
		cnt = incidents_find(&node->incidents, node->home.now_ns, who, found,
				     INCIDENTS_TOLD_MAX, out_lost_cnt);
	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(list, incident_json(&found[i]));
	free(found);
	return list;
}

void method_show_why(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	struct ban_target who, where = {.kind = BAN_KEY};
	const struct ban *ban;
	char text[BAN_TARGET_TEXT_CAP];
	uint64_t lost_cnt;
	json_t *json;

	(void)now_ns;
	if (!method_target_read(node, call, json_string_value(json_object_get(parameters, "who")),
				&who))
		return;
	drops_fetch(&node->drops);
	if (who.kind == BAN_KEY)
		target_of_peer(node, who.key, &where);
	else
		where = who;
	ban = ban_list_lookup(node->bans.list, &who);
	if (!ban && where.kind != BAN_KEY)
		ban = ban_list_match(node->bans.list, &where.addr);
	json = json_pack("{s:s, s:o, s:o}", "who", ban_target_format(&who, text), "incidents",
			 incidents_json(node, &who, &lost_cnt), "drops", drops_json(node, &where));
	json_object_set_new(json, "lost", method_json_uint(lost_cnt));
	if (ban)
		json_object_set_new(json, "ban", method_json_ban(ban));
	control_reply(call, json);
}
