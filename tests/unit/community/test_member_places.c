/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a member name the relays through which it is reached. */
#include <string.h>

#include "base/monotonic.h"
#include "community/community_state.h"
#include "support/check.h"
#include "support/community_lab.h"

#define MINUTE (60 * NS_PER_S)

static struct community_lab lab;
static struct community_lab_node *home, *member;
static uint8_t id[COMMUNITY_ID_LEN];

static struct peer_places places_at(unsigned first, unsigned second)
{
	struct peer_places places = {.via_cnt = second ? 2 : first ? 1 : 0};

	for (unsigned i = 0; i < places.via_cnt; i++) {
		unsigned number = i ? second : first;

		places.vias[i].key[0] = (uint8_t)number;
		places.vias[i].addr = (struct addr){
			.family = ADDR_IPV4, .ip = {192, 0, 2, (uint8_t)number}, .port = 7000};
	}
	return places;
}

static struct community_lab_node *node_up(void)
{
	struct community_lab_node *node = community_lab_add(&lab);

	community_lab_start(node);
	return node;
}

static bool both_joined(void *arg)
{
	(void)arg;
	return community_lab_info(home, id).member_cnt == 2;
}

static void club_open(void)
{
	struct link link;

	community_lab_init(&lab, 31, 2);
	home = node_up(), member = node_up();
	CHECK_EQ(community_lab_create(home, "club", false, id), 0);
	CHECK_EQ(community_link(home->communities, id, &link), 0);
	CHECK_EQ(community_lab_join(member, "club", &link, NULL, 0), 0);
	CHECK(community_lab_run(&lab, 5 * MINUTE, both_joined, NULL));
}

static void set_places(unsigned first, unsigned second)
{
	const struct peer_places places = places_at(first, second);

	communities_set_places(member->communities, &places, lab.mesh.now_ns);
	(void)community_lab_run(&lab, 5 * MINUTE, NULL, NULL);
}

static uint64_t record_seq(void)
{
	return community_lookup(member->communities, id)->seq;
}

static void test_a_member_is_asked_through_the_relays_of_its_record(void)
{
	struct peer_places places;
	struct mesh_peer peer;

	club_open();
	set_places(1, 2);
	CHECK_EQ(
		community_peer(home->communities, id, node_key_public(member->key), &peer, &places),
		0);
	CHECK_EQ(peer.addr_cnt, 0);
	CHECK_EQ(peer.via_cnt, 2);
	CHECK_EQ(peer.vias[0].key[0], 1);
	CHECK_EQ(peer.vias[1].addr.ip[3], 2);
	community_lab_fini(&lab);
}

/* A relay that goes for a while would else be signed into each community, and sent to all. */
static void test_a_record_is_signed_anew_when_none_of_its_relays_is_left(void)
{
	uint64_t seq;

	club_open();
	set_places(1, 2);
	seq = record_seq();
	set_places(2, 3);
	CHECK_EQ(record_seq(), seq);
	set_places(1, 0);
	CHECK_EQ(record_seq(), seq);
	set_places(3, 4);
	CHECK(record_seq() > seq);
	seq = record_seq();
	set_places(0, 0);
	CHECK(record_seq() > seq);
	seq = record_seq();
	set_places(0, 0);
	CHECK_EQ(record_seq(), seq);
	community_lab_fini(&lab);
}

static void test_a_link_names_the_relays_of_a_node_without_an_address(void)
{
	const struct peer_places places = places_at(1, 2);
	struct link link;

	club_open();
	communities_set_places(member->communities, &places, lab.mesh.now_ns);
	CHECK_EQ(community_link(member->communities, id, &link), 0);
	CHECK_EQ(link.node_cnt, 1);
	CHECK(peer_places_equal(&link.nodes[0].places, &places));
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_a_member_is_asked_through_the_relays_of_its_record);
	RUN(test_a_record_is_signed_anew_when_none_of_its_relays_is_left);
	RUN(test_a_link_names_the_relays_of_a_node_without_an_address);
	return check_done();
}
