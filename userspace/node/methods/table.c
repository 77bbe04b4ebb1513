/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method table of net.weft.Node. Roles and parameters are described in
 * include/weft/net.weft.Node.varlink, which control/ checks this table
 * against at start.
 */
#include "node/methods/methods.h"

#include <stdio.h>
#include <string.h>

#include "codec/zbase32.h"

#define LINK_WHY_CAP 128
/* Enough of a foreign text to know it again. */
#define LINK_SHOWN_LEN 24

const struct control_method node_methods[] = {
	{"Status", CONTROL_VIEW, method_status},
	{"GetNodeId", CONTROL_VIEW, method_get_node_id},
	{"ListPeers", CONTROL_VIEW, method_list_peers},
	{"ShowPeer", CONTROL_VIEW, method_show_peer},
	{"SetPeer", CONTROL_OPERATE, method_set_peer},
	{"ConnectPeer", CONTROL_OPERATE, method_connect_peer},
	{"PingPeer", CONTROL_OPERATE, method_ping_peer},
	{"CheckPeer", CONTROL_OPERATE, method_check_peer},
	{"ShowOverlay", CONTROL_VIEW, method_show_overlay},
	{"ListLanNodes", CONTROL_VIEW, method_list_lan_nodes},
	{"ShowAnnounce", CONTROL_VIEW, method_show_announce},
	{"Search", CONTROL_VIEW, method_search},
	{"ShowSearch", CONTROL_VIEW, method_show_search},
	{"ShowDht", CONTROL_VIEW, method_show_dht},
	{"ListDhtNodes", CONTROL_OPERATE, method_list_dht_nodes},
	{"LookupDht", CONTROL_OPERATE, method_lookup_dht},
	{"GetDhtItem", CONTROL_OPERATE, method_get_dht_item},
	{"PutDhtItem", CONTROL_OPERATE, method_put_dht_item},
	{"FindDhtPeers", CONTROL_OPERATE, method_find_dht_peers},
	{"AnnounceDht", CONTROL_OPERATE, method_announce_dht},
	{"FindRoute", CONTROL_OPERATE, method_find_route},
	{"ShowPublished", CONTROL_OPERATE, method_show_published},
	{"PublishRoute", CONTROL_OPERATE, method_publish_route},
	{"AddShare", CONTROL_OPERATE, method_add_share},
	{"ListShares", CONTROL_VIEW, method_list_shares},
	{"ListNodeShares", CONTROL_OPERATE, method_list_node_shares},
	{"RemoveShare", CONTROL_OPERATE, method_remove_share},
	{"NewShare", CONTROL_OPERATE, method_new_share},
	{"PublishShare", CONTROL_OPERATE, method_publish_share},
	{"SetShare", CONTROL_OPERATE, method_set_share},
	{"ShowShare", CONTROL_VIEW, method_show_share},
	{"DiffShare", CONTROL_VIEW, method_diff_share},
	{"RevokeShare", CONTROL_ADMIN, method_revoke_share},
	{"RotateShare", CONTROL_ADMIN, method_rotate_share},
	{"RetireShare", CONTROL_ADMIN, method_retire_share},
	{"WatchShare", CONTROL_OPERATE, method_watch_share},
	{"ExportShareKey", CONTROL_ADMIN, method_export_share_key},
	{"CancelCall", CONTROL_VIEW, method_cancel_call},
	{"CancelImport", CONTROL_OPERATE, method_cancel_import},
	{"ListShareItems", CONTROL_VIEW, method_list_share_items},
	{"ShowSeeding", CONTROL_OPERATE, method_show_seeding},
	{"ListTrafficLimits", CONTROL_VIEW, method_list_traffic_limits},
	{"SetTrafficLimit", CONTROL_OPERATE, method_set_traffic_limit},
	{"Get", CONTROL_OPERATE, method_get},
	{"WatchGet", CONTROL_VIEW, method_watch_get},
	{"ListGets", CONTROL_VIEW, method_list_gets},
	{"CancelGet", CONTROL_OPERATE, method_cancel_get},
	{"PauseGet", CONTROL_OPERATE, method_pause_get},
	{"ResumeGet", CONTROL_OPERATE, method_resume_get},
	{"SetGet", CONTROL_OPERATE, method_set_get},
	{"ForgetGet", CONTROL_OPERATE, method_forget_get},
	{"SetSeeding", CONTROL_OPERATE, method_set_seeding},
	{"ListGetSources", CONTROL_VIEW, method_list_get_sources},
	{"AddFollow", CONTROL_OPERATE, method_add_follow},
	{"ListFollows", CONTROL_VIEW, method_list_follows},
	{"ShowFollow", CONTROL_VIEW, method_show_follow},
	{"SetFollow", CONTROL_OPERATE, method_set_follow},
	{"RemoveFollow", CONTROL_OPERATE, method_remove_follow},
	{"SyncFollows", CONTROL_OPERATE, method_sync_follows},
	{"CreateCommunity", CONTROL_OPERATE, method_create_community},
	{"JoinCommunity", CONTROL_OPERATE, method_join_community},
	{"LeaveCommunity", CONTROL_OPERATE, method_leave_community},
	{"ListCommunities", CONTROL_VIEW, method_list_communities},
	{"LinkCommunity", CONTROL_OPERATE, method_link_community},
	{"MakeCommunityToken", CONTROL_OPERATE, method_make_community_token},
	{"ExpelCommunityMember", CONTROL_OPERATE, method_expel_community_member},
	{"ListCommunityMembers", CONTROL_VIEW, method_list_community_members},
	{"ListCommunityShares", CONTROL_VIEW, method_list_community_shares},
	{"SearchCommunity", CONTROL_VIEW, method_search_community},
	{"WatchEvents", CONTROL_VIEW, method_watch_events},
	{"WatchLoad", CONTROL_VIEW, method_watch_load},
	{"ShowLimits", CONTROL_VIEW, method_show_limits},
	{"ShowConfig", CONTROL_VIEW, method_show_config},
	{"ShowMemory", CONTROL_VIEW, method_show_memory},
	{"PlanGc", CONTROL_VIEW, method_plan_gc},
	{"RunGc", CONTROL_ADMIN, method_run_gc},
	{"CheckStore", CONTROL_ADMIN, method_check_store},
	{"CheckFiles", CONTROL_ADMIN, method_check_files},
	{"BackupStore", CONTROL_ADMIN, method_backup_store},
	{"BackupKeys", CONTROL_ADMIN, method_backup_keys},
	{"PlanXdp", CONTROL_VIEW, method_plan_xdp},
	{"AttachXdp", CONTROL_ADMIN, method_attach_xdp},
	{"KeepXdp", CONTROL_ADMIN, method_keep_xdp},
	{"DetachXdp", CONTROL_ADMIN, method_detach_xdp},
	{"ShowXdp", CONTROL_VIEW, method_show_xdp},
	{"SetXdpMode", CONTROL_ADMIN, method_set_xdp_mode},
	{"ListXdpCounters", CONTROL_VIEW, method_list_xdp_counters},
	{"AddBan", CONTROL_ADMIN, method_add_ban},
	{"ListBans", CONTROL_OPERATE, method_list_bans},
	{"RemoveBan", CONTROL_ADMIN, method_remove_ban},
	{"ShowWhy", CONTROL_ADMIN, method_show_why},
	{"ShowPolicy", CONTROL_VIEW, method_show_policy},
	{"TestPolicy", CONTROL_VIEW, method_test_policy},
	{"PublishService", CONTROL_OPERATE, method_publish_service},
	{"ListServiceMethods", CONTROL_VIEW, method_list_service_methods},
	{"SetServiceAccess", CONTROL_OPERATE, method_set_service_access},
	{"WithdrawService", CONTROL_OPERATE, method_withdraw_service},
	{"ResetService", CONTROL_OPERATE, method_reset_service},
	{"ListServices", CONTROL_VIEW, method_list_services},
	{"FindService", CONTROL_OPERATE, method_find_service},
	{"OpenService", CONTROL_OPERATE, method_open_service},
	{"CallService", CONTROL_OPERATE, method_call_service},
	{"DescribeService", CONTROL_OPERATE, method_describe_service},
	{"OpenServiceStream", CONTROL_OPERATE, method_open_service_stream},
	{"ShowServiceLimits", CONTROL_VIEW, method_show_service_limits},
	{"ListDrops", CONTROL_VIEW, method_list_drops},
	{"ListDropSources", CONTROL_VIEW, method_list_drop_sources},
	{"Reload", CONTROL_ADMIN, method_reload},
	{"Shutdown", CONTROL_ADMIN, method_shutdown},
	{NULL, CONTROL_ADMIN, NULL},
};

const char *const node_upgrades[] = {"OpenServiceStream", NULL};

json_t *method_json_id(const uint8_t id[static 32])
{
	char text[ZBASE32_KEY_TEXT_CAP];

	return json_string(zbase32_write(id, 32, text));
}

json_t *method_json_uint(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* The first letter that occurs in no link, '\0' when its letters are not what is wrong. */
static char link_foreign_letter(const char *text)
{
	const char *at = strchr(text, ':');

	if (!at)
		return '\0';
	for (at++; zbase32_is_letter(*at); at++)
		;
	/* White space at the end is not part of it. */
	if (!at[strspn(at, " \t\r\n")])
		return '\0';
	return *at;
}

static void link_describe_letter(const char *text, char why[static LINK_WHY_CAP])
{
	char letter = link_foreign_letter(text);

	if (letter > ' ' && letter <= '~')
		snprintf(why, LINK_WHY_CAP, "'%c' occurs in no link", letter);
	else if (letter)
		snprintf(why, LINK_WHY_CAP, "white space or a foreign letter is in it");
	else
		snprintf(why, LINK_WHY_CAP, "it is not a mesh link");
}

static void link_describe_scheme(const char *text, char why[static LINK_WHY_CAP])
{
	size_t len = strlen(text);
	bool is_long = len > LINK_SHOWN_LEN;

	/* Not in the middle of a letter: JSON would not take it. */
	for (len = is_long ? LINK_SHOWN_LEN : len; is_long && (text[len] & 0xc0) == 0x80; len--)
		;
	snprintf(why, LINK_WHY_CAP, "\"%.*s%s\" does not begin with mesh:", (int)len, text,
		 is_long ? "..." : "");
}

void method_fail_link(struct control_call *call, int err, const char *text, const char *wanted)
{
	const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EABSENT, "it is empty", wanted},
		{WEFT_EUNKNOWN, NULL, wanted},
		{WEFT_ETOOSMALL, "it is cut short",
		 "copy the whole link, from mesh: to its last letter"},
		{WEFT_ETOOLARGE, "something is appended to it",
		 "copy the link alone, without what follows it"},
		{WEFT_EDAMAGED, "a letter of it is wrong or missing: its check does not match",
		 "copy it again from where it was printed"},
		{WEFT_ENEWER, "it is of a kind that this version does not know",
		 "use a newer weftd"},
		{0, NULL, "copy it again from where it was printed"},
	};
	char why[LINK_WHY_CAP];
	size_t i = 0;

	while (rows[i].err && rows[i].err != err)
		i++;
	if (rows[i].why)
		snprintf(why, sizeof(why), "%s", rows[i].why);
	else if (err == WEFT_EUNKNOWN)
		link_describe_scheme(text, why);
	else
		link_describe_letter(text, why);
	control_fail(call, WEFT_EMALFORMED, "link", why, rows[i].next);
}
