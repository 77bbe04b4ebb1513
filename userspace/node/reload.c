/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload: what may change while the daemon runs goes from the
 * configuration to the modules, each of which takes its own part. Home worker.
 */
#include "blobs/blobs.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"

int node_reload(struct node *node, config_change_fn changed, void *arg,
		char message[static CONFIG_MESSAGE_CAP])
{
	const struct node_config *live = config_live(node->config);
	int err = config_reload(node->config, changed, arg, message);

	if (err < 0)
		return err;
	quic_engine_configure(node->home->quic, &live->quic);
	mesh_configure(node->home->mesh, &live->mesh);
	blobs_configure(node->home->content, &live->content);
	control_configure(node->api->control, &live->control);
	node_configure_fastpath(node, live);
	node_fabric_configure(node->fabric, &live->fabric, node->home->now_ns);
	node_sharing_configure(node->sharing, &live->sharing, node->home->now_ns);
	node->threads->is_config_due = node->threads->workers != NULL;
	return 0;
}
