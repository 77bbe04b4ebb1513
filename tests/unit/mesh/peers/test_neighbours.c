/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/session/hello.h"
#include "mesh/seam_neighbours.h"

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
	CHECK(neighbour.is_connected && neighbour.is_dialled && neighbour.is_proved);
	CHECK_EQ(neighbour.caps, MESH_CAP_DHT | MESH_CAP_CONTENT_SEED);
	CHECK(addr_equal(&neighbour.remote, &addr));
	CHECK(find(1, 0, &neighbour));
	CHECK(neighbour.is_connected && !neighbour.is_dialled && !neighbour.is_proved);
	CHECK_EQ(neighbour.caps, MESH_CAP_CONTENT_SEED);
	rig_fini(&rig);
}

static void test_a_peer_that_left_is_remembered(void)
{
	struct mesh_neighbour neighbour;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK(find(0, 1, &neighbour));
	CHECK(!neighbour.is_connected && !neighbour.is_dialled && neighbour.is_proved);
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
	/* A session that is there hears it as well. */
	pair_net_run(&rig.net, PAIR_S);
	CHECK(find(0, 2, &neighbour));
	CHECK(!(neighbour.caps & MESH_CAP_DHT) && neighbour.is_connected);
	mesh_neighbour_ops.announce(rig.nodes[2].mesh, MESH_CAP_RELAY, true);
	mesh_neighbour_ops.announce(rig.nodes[2].mesh, MESH_CAP_RELAY, true);
	pair_net_run(&rig.net, PAIR_S);
	CHECK(find(0, 2, &neighbour));
	CHECK(neighbour.caps & MESH_CAP_RELAY);
	CHECK(find(1, 2, &neighbour));
	CHECK(!(neighbour.caps & MESH_CAP_DHT));
	rig_fini(&rig);
}

struct walk {
	unsigned cnt, cnt_max;
	bool is_connected[4];
};

static void walk_on(struct walk *walk)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk place = {0};

	while (walk->cnt < walk->cnt_max &&
	       mesh_neighbour_ops.next(rig.nodes[0].mesh, &place, &neighbour))
		walk->is_connected[walk->cnt++] = neighbour.is_connected;
}

static void test_connected_ones_come_first_and_each_once(void)
{
	struct walk walk = {.cnt_max = 4};

	rig_init(&rig, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	walk_on(&walk);
	CHECK_EQ(walk.cnt, 3);
	CHECK(walk.is_connected[0] && walk.is_connected[1] && !walk.is_connected[2]);
	walk = (struct walk){.cnt_max = 1};
	walk_on(&walk);
	CHECK_EQ(walk.cnt, 1);
	rig_fini(&rig);
}

static void test_a_peer_of_another_worker_is_a_neighbour(void)
{
	struct mesh_peer_info info = {.is_connected = true, .caps = MESH_CAP_DHT};
	struct walk walk = {.cnt_max = 4};
	struct mesh_neighbour neighbour;

	rig_init(&rig, 3);
	CHECK(rig_connected(&rig, 0, 1));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	key_of(2, info.key);
	info.last_addr = pair_addr(77);
	mesh_note_peer(rig.nodes[0].mesh, &info, rig.net.now_ns);
	CHECK(find(0, 2, &neighbour));
	CHECK(neighbour.is_connected && !neighbour.is_dialled && !neighbour.is_proved);
	CHECK(addr_equal(&neighbour.remote, &info.last_addr));
	CHECK_EQ(neighbour.caps, MESH_CAP_DHT);
	/* That causes no dial for it. */
	walk_on(&walk);
	CHECK_EQ(walk.cnt, 2);
	CHECK(!walk.is_connected[0] && !walk.is_connected[1]);
	/* A session of its own is what it knows better. */
	CHECK(rig_connected(&rig, 0, 2));
	CHECK(find(0, 2, &neighbour));
	CHECK(neighbour.is_dialled);
	walk = (struct walk){.cnt_max = 4};
	walk_on(&walk);
	CHECK_EQ(walk.cnt, 2);
	mesh_goodbye(rig.nodes[2].mesh, MESH_BYE_SHUTDOWN, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK(find(0, 2, &neighbour));
	CHECK(neighbour.is_connected && !neighbour.is_dialled);
	info.is_connected = false;
	mesh_note_peer(rig.nodes[0].mesh, &info, rig.net.now_ns);
	CHECK(find(0, 2, &neighbour));
	CHECK(!neighbour.is_connected);
	rig_fini(&rig);
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void test_the_address_of_its_session_comes_first_and_impossible_ones_never(void)
{
	struct mesh_neighbour neighbour = {.addr_cnt = 4, .is_proved = true};
	struct addr out[MESH_PEER_ADDRS_MAX], remote = addr_of("20.0.0.1:7000"),
					      announced = addr_of("20.0.0.2:7000");

	neighbour.remote = remote;
	neighbour.addrs[0] = announced;
	neighbour.addrs[1] =
		addr_of("10.0.0.1:7000"); /* its own network's, as seen from the Internet */
	neighbour.addrs[2] = addr_of("0.0.0.0:7000");
	neighbour.addrs[3] = remote;
	CHECK_EQ(mesh_neighbour_addrs(&neighbour, out, MESH_PEER_ADDRS_MAX), 2);
	CHECK(addr_equal(&out[0], &remote) && addr_equal(&out[1], &announced));
	neighbour.is_proved = false; /* it has dialled us, from behind what we do not know */
	CHECK_EQ(mesh_neighbour_addrs(&neighbour, out, MESH_PEER_ADDRS_MAX), 2);
	/* Its place is more than its claim, which may name any host. */
	CHECK(addr_equal(&out[0], &remote) && addr_equal(&out[1], &announced));
	CHECK_EQ(mesh_neighbour_addrs(&neighbour, out, 1), 1);
	neighbour.remote = addr_of("10.0.0.9:7000"); /* one network with us: so is the other */
	CHECK_EQ(mesh_neighbour_addrs(&neighbour, out, MESH_PEER_ADDRS_MAX), 4);
	neighbour = (struct mesh_neighbour){0};
	CHECK_EQ(mesh_neighbour_addrs(&neighbour, out, MESH_PEER_ADDRS_MAX), 0);
}

int main(void)
{
	RUN(test_session_shows_which_side_dialled);
	RUN(test_a_peer_that_left_is_remembered);
	RUN(test_caps_are_announced_and_taken_back);
	RUN(test_connected_ones_come_first_and_each_once);
	RUN(test_a_peer_of_another_worker_is_a_neighbour);
	RUN(test_the_address_of_its_session_comes_first_and_impossible_ones_never);
	return check_done();
}
