/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/hello.h"
#include "mesh/neighbours.h"

static struct rig rig;

static void key_of(unsigned idx, uint8_t key[MESH_KEY_LEN])
{
	memset(key, (int)idx + 1, MESH_KEY_LEN);
}

static bool find(unsigned of, unsigned idx, struct mesh_neighbour *out)
{
	uint8_t key[MESH_KEY_LEN];

	key_of(idx, key);
	return mesh_neighbour_ops.find(rig.nodes[of].mesh, key, out);
}

static void test_session_shows_which_side_dialled(void)
{
	struct mesh_neighbour neighbour;
	struct addr addr = pair_addr(2);

	rig_init(&rig, 2);
	CHECK(!find(0, 1, &neighbour));
	mesh_neighbour_ops.announce(rig.nodes[1].mesh, MESH_CAP_DHT, true);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK(find(0, 1, &neighbour));
	CHECK(neighbour.is_connected && neighbour.is_dialled);
	CHECK_EQ(neighbour.caps, MESH_CAP_DHT | MESH_CAP_CONTENT_SEED);
	CHECK(addr_equal(&neighbour.remote, &addr));
	CHECK(find(1, 0, &neighbour));
	CHECK(neighbour.is_connected && !neighbour.is_dialled);
	CHECK_EQ(neighbour.caps, MESH_CAP_CONTENT_SEED);
	rig_fini(&rig);
}

static void test_who_left_is_remembered(void)
{
	struct mesh_neighbour neighbour;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK(find(0, 1, &neighbour));
	CHECK(!neighbour.is_connected && !neighbour.is_dialled);
	CHECK_EQ(neighbour.caps, MESH_CAP_CONTENT_SEED);
	rig_fini(&rig);
}

static void test_caps_are_announced_and_taken_back(void)
{
	struct mesh_neighbour neighbour;

	rig_init(&rig, 3);
	mesh_neighbour_ops.announce(rig.nodes[2].mesh, MESH_CAP_DHT, true);
	CHECK(rig_connected(&rig, 0, 2));
	mesh_neighbour_ops.announce(rig.nodes[2].mesh, MESH_CAP_DHT, false);
	CHECK(rig_connected(&rig, 1, 2));
	CHECK(find(0, 2, &neighbour));
	CHECK(neighbour.caps & MESH_CAP_DHT);
	CHECK(find(1, 2, &neighbour));
	CHECK(!(neighbour.caps & MESH_CAP_DHT));
	rig_fini(&rig);
}

struct walk {
	unsigned cnt, cnt_max;
	bool is_connected[4];
};

static bool walk_step(void *arg, const struct mesh_neighbour *neighbour)
{
	struct walk *walk = arg;

	walk->is_connected[walk->cnt++] = neighbour->is_connected;
	return walk->cnt < walk->cnt_max;
}

static void test_connected_ones_come_first_and_each_once(void)
{
	struct walk walk = {.cnt_max = 4};

	rig_init(&rig, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	mesh_neighbour_ops.each(rig.nodes[0].mesh, walk_step, &walk);
	CHECK_EQ(walk.cnt, 3);
	CHECK(walk.is_connected[0] && walk.is_connected[1] && !walk.is_connected[2]);
	walk = (struct walk){.cnt_max = 1};
	mesh_neighbour_ops.each(rig.nodes[0].mesh, walk_step, &walk);
	CHECK_EQ(walk.cnt, 1);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_session_shows_which_side_dialled);
	RUN(test_who_left_is_remembered);
	RUN(test_caps_are_announced_and_taken_back);
	RUN(test_connected_ones_come_first_and_each_once);
	return check_done();
}
