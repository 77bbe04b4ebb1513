/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_END_FLOWS_H
#define WEFT_TESTS_END_FLOWS_H

#include "support/relay_end_rig.h"

/* One flow through relay 0, from either side. */

#define PEER 100

static struct relay_end_rig rig;

/* Opens a flow to PEER at relay 0; the relay's message about it. */
static inline struct relay_flow_message flow_open(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);

	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), 0, &told);
	return told;
}

/* Accepts a flow of PEER at relay 0. */
static inline struct relay_flow_message flow_accept(unsigned relay, unsigned peer, unsigned number)
{
	struct relay_flow_message told = relay_end_rig_told(relay, peer, number);

	relay_end_rig_offer(&rig, relay, peer, 1200);
	if (rig.code == 0)
		relay_end_rig_flow(&rig, relay, &told);
	return told;
}

#endif
