/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/frame.h"

static void test_request_is_answered(void)
{
	struct rig rig;
	struct rig_ask ask;
	struct mesh_stats stats;

	rig_init(&rig, 2);
	CHECK_EQ(rig.nodes[1].seam.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_echo,
					       &rig.nodes[1]),
		 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(ask.reply.type, MESH_CHUNK_DATA);
	CHECK_EQ(ask.reply.payload_len, 4);
	CHECK_MEM(ask.reply.payload, "Habc", 4);
	mesh_stats(rig.nodes[1].mesh, &stats);
	CHECK_EQ(stats.incoming_cnt, 0);
	CHECK_EQ(stats.session_cnt, 1);
	CHECK_EQ(stats.hello_cnt, 1);
	mesh_stats(rig.nodes[0].mesh, &stats);
	CHECK_EQ(stats.request_cnt, 0);
	CHECK_EQ(stats.session_cnt, 1);
	CHECK_EQ(stats.hello_cnt, 1);
	CHECK_EQ(rig.nodes[0].up_cnt, 1);
	CHECK_EQ(rig.nodes[1].up_cnt, 1);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_request_is_answered);
	return check_done();
}
