/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes without a direct way, and a relay between them. One gets files of the other: with a grant
 * of content the chunks pass, without one they do not. The link alone names the relay.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "relay/grants/grant_record.h"
#include "support/check.h"
#include "support/fake_relay.h"
#include "support/scratch.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define DELAY_NS (20 * NS_PER_MS)
#define FILE_LEN (3u << 20)

static const struct mem_link even = {.delay_ns = DELAY_NS};

static struct sim sim;
static struct fake_relay relay;
static struct sim_node *asker, *holder, *middle;
static struct link share;

static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	return addr_equal(from, &middle->addr) || addr_equal(to, &middle->addr) ? 0 : MEM_LOST;
}

/* A file of one grant, for the asker. */
static void grant_give(bool is_content)
{
	static const uint8_t seed[32] = {0x41};
	struct relay_grant_record grant = {.serial = 1,
					   .flow_max = 8,
					   .is_content = is_content,
					   .not_before_s = SIM_WALL_S,
					   .expires_s = SIM_WALL_S + 86400};
	uint8_t bytes[RELAY_GRANT_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct node_key *key;
	char text[RELAY_GRANT_TEXT_CAP];
	const char *path = sim_path(&sim, "grants");

	if (node_key_from_seed(seed, &key) < 0)
		abort();

	memcpy(grant.holder, node_key_public(asker->key), sizeof(grant.holder));
	relay_grant_record_write(&w, key, &grant);
	relay_grant_text_write(bytes, writer_len(&w), text);
	scratch_write(path, text, strlen(text));
	snprintf(asker->config.relay_grants, sizeof(asker->config.relay_grants), "%s", path);
	node_key_free(key);
}

static void world_init(uint64_t seed)
{
	sim_init(&sim, sim_seed(seed), &even);
	memset(&relay, 0, sizeof(relay));
	middle = sim_add(&sim);
	asker = sim_add(&sim);
	holder = sim_add(&sim);
	holder->config.relay_end.use = RELAY_USE_ALWAYS;
	net_mem_net_set_fate(sim.net, on_fate, NULL);
}

static void file_share(void)
{
	uint8_t *bytes = malloc(FILE_LEN);
	const char *path = sim_path(&sim, "file");

	for (size_t i = 0; bytes && i < FILE_LEN; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 12));
	scratch_write(path, bytes, FILE_LEN);
	free(bytes);
	sim_file_date(path, 1);
	sim_share(holder, path, &share);
}

/* The asker knows the relay only if it is told. */
static void world_start(bool asker_knows)
{
	sim_start(middle);
	fake_relay_attach(&relay, middle);
	sim_start(asker);
	sim_start(holder);
	CHECK_EQ(sim_reach(holder, middle, true)->err, 0);
	if (asker_knows)
		CHECK_EQ(sim_reach(asker, middle, true)->err, 0);
	sim_run(&sim, 2 * NS_PER_S, NULL, NULL);
	file_share();
}

static const struct blobs_get *get(uint64_t for_ns)
{
	uint64_t id = sim_get_start(asker, &share, sim_path(&sim, "got"));

	return sim_get_run(asker, id, for_ns);
}

static bool session_is_of_content(const struct sim_node *of, const struct sim_node *peer)
{
	struct mesh_path path;

	return mesh_neighbour_ops.path(node_mesh(of->node), node_key_public(peer->key), &path) &&
	       addr_is_relayed(&path.remote) && !addr_is_relayed_control(&path.remote);
}

static void test_a_file_comes_through_a_flow_with_a_grant(void)
{
	const struct blobs_get *got;
	uint64_t began_ns;

	world_init(31);
	grant_give(true);
	world_start(true);
	began_ns = sim.now_ns;
	got = get(60 * NS_PER_S);
	CHECK(got && got->state == BLOBS_GET_FINISHED);
	printf("# 3 MiB after %u ms\n", (unsigned)((sim.now_ns - began_ns) / NS_PER_MS));
	CHECK(session_is_of_content(asker, holder));
	CHECK(session_is_of_content(holder, asker));
	CHECK(relay.forwarded_cnt > FILE_LEN / 1436);
	sim_report(&sim, "content by a relay");
	sim_fini(&sim);
}

static uint64_t pmtu_of(const struct sim_node *of)
{
	struct mesh_walk walk = {0};
	struct mesh_peer_info peer;

	while (mesh_peers_next(node_mesh(of->node), &walk, &peer))
		if (memcmp(peer.key, node_key_public(asker->key), MESH_KEY_LEN) == 0)
			return peer.conn.pmtu_len;
	return 0;
}

/* Each datagram of more than 1,280 bytes of IPv4 is lost from then on. Directly as well. */
static void test_a_download_goes_on_when_its_path_carries_less(void)
{
	static const struct mem_link less = {.delay_ns = DELAY_NS, .mtu_len = 1280 - 28};

	for (unsigned is_direct = 0; is_direct < 2; is_direct++) {
		const struct blobs_get *got;
		uint64_t id, began_ns;

		world_init(36);
		if (is_direct)
			net_mem_net_set_fate(sim.net, NULL, NULL);
		else
			grant_give(true);
		world_start(true);
		id = sim_get_start(asker, &share, sim_path(&sim, "got"));
		do
			got = sim_get_run(asker, id, 20 * NS_PER_MS);
		while (got && got->state != BLOBS_GET_FINISHED &&
		       got->byte_done_cnt < FILE_LEN / 4);
		CHECK(got && got->state != BLOBS_GET_FINISHED);
		CHECK(pmtu_of(holder) > less.mtu_len);
		net_mem_net_set_default_link(sim.net, &less);
		began_ns = sim.now_ns;
		got = sim_get_run(asker, id, 60 * NS_PER_S);
		printf("# the rest after %u ms\n", (unsigned)((sim.now_ns - began_ns) / NS_PER_MS));
		CHECK(got && got->state == BLOBS_GET_FINISHED);
		CHECK(sim.now_ns - began_ns < 3 * NS_PER_S);
		CHECK(pmtu_of(holder) <= less.mtu_len);
		CHECK(is_direct || session_is_of_content(asker, holder));
		sim_fini(&sim);
	}
}

static void test_no_chunk_passes_without_a_grant_of_content(void)
{
	for (unsigned has_grant = 0; has_grant < 2; has_grant++) {
		const struct blobs_get *got;

		world_init(32);
		if (has_grant)
			grant_give(false);
		world_start(true);
		got = get(60 * NS_PER_S);
		CHECK(got && got->state != BLOBS_GET_FINISHED);
		CHECK(got && got->byte_done_cnt == 0);
		CHECK(!session_is_of_content(asker, holder));
		CHECK(relay.forwarded_cnt < 1000);
		sim_fini(&sim);
	}
}

static void test_a_relay_that_honours_no_grant_still_carries_control(void)
{
	world_init(33);
	grant_give(true);
	world_start(true);
	relay.refuses_grants = true;
	CHECK_EQ(sim_reach(asker, holder, false)->err, 0);
	CHECK(!session_is_of_content(asker, holder));
	CHECK(sim_is_answered(sim_ask(asker, holder, MESH_OBSERVED_ADDR, 10 * NS_PER_S)));
	sim_fini(&sim);
}

/* The asker learns of the relay by the link alone. */
static void test_the_link_alone_names_the_relay(void)
{
	struct mesh_neighbour neighbour;
	const struct blobs_get *got;

	world_init(34);
	grant_give(true);
	world_start(false);
	share.places = (struct peer_places){.vias = {{.addr = middle->addr}}, .via_cnt = 1};
	memcpy(share.places.vias[0].key, node_key_public(middle->key), MESH_KEY_LEN);
	CHECK(!mesh_neighbour_ops.find(node_mesh(asker->node), node_key_public(middle->key),
				       &neighbour));
	got = get(60 * NS_PER_S);
	CHECK(got && got->state == BLOBS_GET_FINISHED);
	CHECK(session_is_of_content(asker, holder));
	sim_fini(&sim);
}

/*
 * The holder dialled, through a flow of its own that has no grant. The asker's grant opens one of content, and
 * the holder moves the same session there.
 */
static void test_a_session_on_the_peer_s_control_flow_moves_to_content(void)
{
	const struct blobs_get *got;

	world_init(35);
	grant_give(true);
	world_start(true);
	CHECK_EQ(sim_reach(holder, asker, false)->err, 0);
	sim_run(&sim, 2 * NS_PER_S, NULL, NULL);
	CHECK(!session_is_of_content(holder, asker));
	CHECK(!session_is_of_content(asker, holder));
	got = get(60 * NS_PER_S);
	CHECK(got && got->state == BLOBS_GET_FINISHED);
	CHECK(session_is_of_content(asker, holder));
	CHECK(session_is_of_content(holder, asker));
	CHECK(relay.forwarded_cnt > FILE_LEN / 1436);
	sim_fini(&sim);
}

/* A grant of control alone opens nothing, and no flow is opened for each request that is refused. */
static void test_without_a_grant_of_content_no_flow_is_opened_for_it(void)
{
	const struct blobs_get *got;

	world_init(36);
	grant_give(false);
	world_start(true);
	CHECK_EQ(sim_reach(holder, asker, false)->err, 0);
	got = get(60 * NS_PER_S);
	CHECK(got && got->state != BLOBS_GET_FINISHED);
	CHECK(!session_is_of_content(holder, asker));
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_file_comes_through_a_flow_with_a_grant);
	RUN(test_a_download_goes_on_when_its_path_carries_less);
	RUN(test_no_chunk_passes_without_a_grant_of_content);
	RUN(test_a_relay_that_honours_no_grant_still_carries_control);
	RUN(test_the_link_alone_names_the_relay);
	RUN(test_a_session_on_the_peer_s_control_flow_moves_to_content);
	RUN(test_without_a_grant_of_content_no_flow_is_opened_for_it);
	return check_done();
}
