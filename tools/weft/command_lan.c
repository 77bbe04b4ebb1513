/* SPDX-License-Identifier: Apache-2.0 */
/* weft lan: list. */
#include "daemon_client.h"
#include "command_show.h"

int run_lan_list(struct invocation *inv)
{
	return show_list(
		inv, "ListLanNodes", "nodes", api_view_lan_node_list,
		"nobody was heard; lan.interfaces in weft.conf says where this node listens");
}
