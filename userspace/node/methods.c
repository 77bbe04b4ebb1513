/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method table of net.weft.Node. Roles and parameters are described in
 * include/weft/net.weft.Node.varlink, which control/ checks this table
 * against at start.
 */
#include "node/methods.h"

#include "codec/zbase32.h"

const struct control_method node_methods[] = {
	{"Status", CONTROL_VIEW, method_status},
	{"GetNodeId", CONTROL_VIEW, method_get_node_id},
	{"ListPeers", CONTROL_VIEW, method_list_peers},
	{"ShowPeer", CONTROL_VIEW, method_show_peer},
	{"ConnectPeer", CONTROL_OPERATE, method_connect_peer},
	{"AddShare", CONTROL_OPERATE, method_add_share},
	{"ListShares", CONTROL_VIEW, method_list_shares},
	{"RemoveShare", CONTROL_OPERATE, method_remove_share},
	{"CancelImport", CONTROL_OPERATE, method_cancel_import},
	{"Get", CONTROL_OPERATE, method_get},
	{"WatchGet", CONTROL_VIEW, method_watch_get},
	{"ListGets", CONTROL_VIEW, method_list_gets},
	{"CancelGet", CONTROL_OPERATE, method_cancel_get},
	{"ResumeGet", CONTROL_OPERATE, method_resume_get},
	{"WatchEvents", CONTROL_VIEW, method_watch_events},
	{"ShowLimits", CONTROL_VIEW, method_show_limits},
	{"ShowConfig", CONTROL_VIEW, method_show_config},
	{"ShowMemory", CONTROL_VIEW, method_show_memory},
	{"PlanGc", CONTROL_VIEW, method_plan_gc},
	{"RunGc", CONTROL_ADMIN, method_run_gc},
	{"CheckStore", CONTROL_ADMIN, method_check_store},
	{"Reload", CONTROL_ADMIN, method_reload},
	{"Shutdown", CONTROL_ADMIN, method_shutdown},
	{NULL, CONTROL_ADMIN, NULL},
};

json_t *method_json_id(const uint8_t id[static 32])
{
	char text[ZBASE32_KEY_TEXT_CAP];

	return json_string(zbase32_write(id, 32, text));
}

json_t *method_json_uint(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}
