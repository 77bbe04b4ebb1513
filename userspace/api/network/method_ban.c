/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddBan, ListBans, RemoveBan.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "api/methods.h"
#include "service/limits/reputation.h"

/* A ban for longer is meant for ever. */
#define DURATION_S_MAX (100ull * 366 * 86400)

struct api_ban api_method_ban(struct varlink_blocks *blocks, const struct ban *ban)
{
	char text[BAN_TARGET_TEXT_CAP];
	struct api_ban row = {
		.target = varlink_text(blocks, firewall_ban_target_format(&ban->target, text)),
		.kind = ban->target.kind == BAN_KEY ? API_BAN_KIND_KEY : API_BAN_KIND_ADDRESS,
		.scope = ban->is_limit ? API_BAN_SCOPE_LIMIT : API_BAN_SCOPE_ALL,
		.reason = ban->reason,
		.added_s = api_uint(ban->added_s),
	};

	if (ban->expires_s)
		API_SET(&row, expires_s, api_uint(ban->expires_s));
	return row;
}

static void fail_unsafe(struct control_call *call, const char *text, const struct ban_target *meant)
{
	char prefix[BAN_TARGET_TEXT_CAP], next[128];

	snprintf(next, sizeof(next), "weft ban add %s bans the whole prefix",
		 firewall_ban_target_format(meant, prefix));
	control_fail(call, WEFT_EMALFORMED, text, "it has bits beyond the length of its prefix",
		     next);
}

bool api_target_read(struct api *api, struct control_call *call, const char *text,
		     struct ban_target *out_target)
{
	struct ban_target target = {.kind = BAN_KEY};
	int err = firewall_ban_target_parse(text, &target);

	if (err == WEFT_EMALFORMED && (strchr(text, ':') || strchr(text, '.'))) {
		control_fail(call, err, text, "not an address, a prefix or a node id",
			     "write it like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48; there is "
			     "no port");
	} else if (err == WEFT_EMALFORMED) {
		target = (struct ban_target){.kind = BAN_KEY};
		if (!api_node_id_read(api, call, text, target.key))
			return false;
		err = 0;
	} else if (err == WEFT_EUNSAFE) {
		fail_unsafe(call, text, &target);
	} else if (err < 0) {
		control_fail(call, WEFT_EMALFORMED, text,
			     "the length of an IPv4 prefix is 1 to 32, of an IPv6 prefix 1 to 128",
			     "to keep all peers out, stop the daemon or close its port");
	}
	if (err == 0)
		*out_target = target;
	return err == 0;
}

/* A call that waits for a change to be durable. */
struct ban_call {
	struct api *api;
	struct control_call *call; /* NULL: it left */
	struct ban ban;
	enum incident_kind kind;
};

static void ban_caller_left(void *arg)
{
	((struct ban_call *)arg)->call = NULL;
}

static void ban_reply(struct control_call *call, const struct ban_call *change)
{
	const struct api_ban row = api_method_ban(control_blocks(call), &change->ban);

	if (change->kind == INCIDENT_BANNED)
		api_reply(call, add_ban, .ban = row);
	else
		api_reply(call, remove_ban, .ban = row);
}

static void ban_done(void *arg, int err)
{
	struct ban_call *change = arg;
	struct api *api = change->api;
	char text[BAN_TARGET_TEXT_CAP];

	firewall_ban_target_format(&change->ban.target, text);
	if (err < 0)
		firewall_bans_changed(api->bans, &change->ban.target, api->home->now_ns); /* back */
	if (err < 0 && change->call)
		control_fail(change->call, err, text, "the store did not take it",
			     "look at free space, and at weft store check");
	else if (change->call)
		ban_reply(change->call, change);
	if (err == 0)
		firewall_bans_tell(api->bans, change->kind, &change->ban);
	free(change);
}

static void fail_change(struct control_call *call, int err, const char *text)
{
	if (err == WEFT_EABSENT)
		control_fail(call, err, text, "there is no such ban",
			     "weft ban list shows all; name one as it is there");
	else if (err == WEFT_EFULL)
		control_fail(call, err, text, "there are as many bans as there may be, 16384",
			     "ban prefixes in place of addresses: weft ban list");
	else
		control_fail(call, err, text, weft_err_text(err), "try again");
}

static void change_begin(struct api *api, struct control_call *call, const struct ban *ban,
			 bool is_added)
{
	struct ban_call *change = malloc(sizeof(*change));
	bool is_key = ban->target.kind == BAN_KEY;
	struct weft_endpoint source = addr_endpoint(&ban->target.addr);
	char text[BAN_TARGET_TEXT_CAP], name[DROPS_PSEUDONYM_CAP];
	int err = -ENOMEM;

	firewall_ban_target_format(&ban->target, text);
	if (change) {
		*change = (struct ban_call){.api = api, .call = call, .ban = *ban};
		change->kind = is_added ? INCIDENT_BANNED : INCIDENT_BAN_REMOVED;
		err = is_added ? firewall_ban_list_put(api->bans->list, ban, ban_done, change)
			       : firewall_ban_list_delete(api->bans->list, &ban->target, ban_done,
							  change);
	}
	if (err < 0) {
		free(change);
		fail_change(call, err, text);
		return;
	}
	control_on_gone(call, ban_caller_left, change);
	log_notice("%s %s was %s by hand%s%s", is_key ? "peer" : "source",
		   is_key ? text : firewall_drops_pseudonym(api->drops, &source, name),
		   is_added ? "banned" : "let in again", ban->reason[0] ? ": " : "", ban->reason);
	firewall_bans_changed(api->bans, &ban->target, api->home->now_ns);
	if (!is_added)
		firewall_bans_undo(api->bans, ban);
	/* Or its next broken rule would ban it again at once. */
	if (!is_added && ban->target.kind == BAN_KEY && api->reputation)
		service_reputation_pardon(api->reputation, ban->target.key, api->home->now_ns);
}

/* reason_read: text may be NULL. False: call was failed. */
static bool reason_read(struct control_call *call, const char *text,
			char reason[static BAN_REASON_CAP])
{
	size_t len = text ? strlen(text) : 0;

	if (len >= BAN_REASON_CAP) {
		control_fail(call, WEFT_ETOOLARGE, "reason", "longer than 127 bytes",
			     "say it shorter");
		return false;
	}
	snprintf(reason, BAN_REASON_CAP, "%s", text ? text : "");
	return true;
}

void api_add_ban(struct api *api, struct control_call *call, const struct api_add_ban_in *in,
		 uint64_t now_ns)
{
	struct ban ban = {.added_s = api->wall_us(api->ctx) / 1000000};

	(void)now_ns;
	if (in->has_duration_s &&
	    (in->duration_s <= 0 || (uint64_t)in->duration_s > DURATION_S_MAX)) {
		control_fail(call, WEFT_EMALFORMED, "duration_s",
			     "not from a second to a hundred years",
			     "without a duration the ban stays until it is removed");
		return;
	}
	if (!reason_read(call, in->reason, ban.reason) ||
	    !api_target_read(api, call, in->target, &ban.target))
		return;
	if (in->has_duration_s)
		ban.expires_s = ban.added_s + (uint64_t)in->duration_s;
	change_begin(api, call, &ban, true);
}

void api_remove_ban(struct api *api, struct control_call *call, const struct api_remove_ban_in *in,
		    uint64_t now_ns)
{
	const struct ban *there;
	struct ban ban = {0};

	(void)now_ns;
	if (!api_target_read(api, call, in->target, &ban.target))
		return;
	there = firewall_ban_list_lookup(api->bans->list, &ban.target);
	if (there)
		ban = *there;
	change_begin(api, call, &ban, false);
}

void api_list_bans(struct api *api, struct control_call *call, const struct api_list_bans_in *in,
		   uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_list_bans_out out = {.bans = {0}};
	const struct ban *ban = NULL;

	(void)in, (void)now_ns;
	while ((ban = firewall_ban_list_next(api->bans->list, ban)))
		varlink_push(blocks, &out.bans, api_method_ban(blocks, ban));
	control_reply(call, api_list_bans_out_write(&out));
}
