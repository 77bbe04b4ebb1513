/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListPeerPaths, and the reason why a session is relayed in ShowWhy and ShowPeer. Two nodes are behind
 * NATs; the test asks the one that dialled, or the other one.
 *
 *     asked 192.168.1.2 -- NAT 5.1.0.1 -- relay 5.9.0.1 -- NAT 5.2.0.1 -- peer 192.168.2.2
 */
#include <string.h>

#include "codec/text/zbase32.h"
#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/fake_relay.h"
#include "support/mem_nat.h"
#include "support/method_rig.h"
#include "support/sim_ask.h"

static const struct mem_nat_rule symmetric = {.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT,
					      .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};
static const struct mem_nat_rule restricted = {.mapping = NAT_ENDPOINT_INDEPENDENT,
					       .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};

static struct method_rig rig;
static struct fake_relay relay;
static bool slows; /* the relay says that the volume of flows ended */
static struct mem_nats nats;
static struct mem_nat nat[2];
static struct sim_node *ends[2], *middle, *third, *others[2]; /* which see the ends, too */
static char peer_id[ZBASE32_KEY_TEXT_CAP], relay_id[ZBASE32_KEY_TEXT_CAP];

static void place(struct sim_node *node, const uint8_t ip[4])
{
	memcpy(node->addr.ip, ip, 4);
	node->config.udp.listen[0] = node->addr;
	node->asks_address = true;
}

/* Behind the NAT of index at; hosts: how many are behind the first one. */
static void place_end(unsigned at, unsigned nat_at, const struct mem_nat_rule *rule)
{
	struct addr outside = {.ip = {5, (uint8_t)(nat_at + 1), 0, 1}, .family = ADDR_IPV4};

	place(ends[at], (const uint8_t[]){192, 168, (uint8_t)(at + 1), 2});
	if (!nat[nat_at].inside_cnt)
		mem_nat_add(&nats, &nat[nat_at], rule, &outside, rig.sim.seed + nat_at);
	CHECK_EQ(mem_nat_place(&nat[nat_at], &ends[at]->addr), 0);
}

static void make_nodes(uint64_t seed)
{
	memset(&relay, 0, sizeof(relay));
	memset(nat, 0, sizeof(nat));
	method_rig_init(&rig, seed);
	mem_nats_init(&nats, rig.sim.net);
	ends[0] = method_rig_add(&rig);
	ends[1] = method_rig_add(&rig);
	middle = method_rig_add(&rig);
	place(middle, (const uint8_t[]){5, 9, 0, 1});
	third = method_rig_add(&rig);
	place(third, (const uint8_t[]){5, 6, 0, 1});
	for (unsigned i = 0; i < 2; i++) {
		others[i] = method_rig_add(&rig);
		place(others[i], (const uint8_t[]){5, (uint8_t)(7 + i), 0, 1});
	}
	zbase32_write(node_key_public(ends[1]->key), NODE_KEY_LEN, peer_id);
	zbase32_write(node_key_public(middle->key), NODE_KEY_LEN, relay_id);
}

/* dialler: the end that opens the session. */
static void meet(unsigned dialler)
{
	method_rig_start(&rig);
	fake_relay_attach(&relay, middle);
	relay.slows = slows;
	/* One that was dialled by the others is the third node that writes to the ends. */
	for (unsigned at = 0; at < 2; at++)
		CHECK_EQ(sim_reach(others[at], third, true)->err, 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(sim_reach(ends[i], middle, true)->err, 0);
		for (unsigned at = 0; at < 2; at++)
			CHECK_EQ(sim_reach(ends[i], others[at], true)->err, 0);
	}
	sim_run(&rig.sim, 30 * NS_PER_S, NULL, NULL);
	CHECK_EQ(sim_reach(ends[dialler], ends[!dialler], false)->err, 0);
}

static void begin(uint64_t seed, const struct mem_nat_rule *own, const struct mem_nat_rule *peers)
{
	make_nodes(seed);
	place_end(0, 0, own);
	place_end(1, 1, peers);
}

static void wait_s(unsigned s)
{
	sim_run(&rig.sim, s * NS_PER_S, NULL, NULL);
}

static const char *ask(const char *method, const char *name)
{
	char parameters[128];

	snprintf(parameters, sizeof(parameters), "{'%s':'%s'}", name, peer_id);
	return method_ask(&rig, method, parameters);
}

/* The number of the first row of kind with address, or with address NULL of any; -1: there is none. */
static int row_of(const char *kind, const char *address)
{
	char path[64];

	for (unsigned i = 0; i < method_cnt(&rig, "paths"); i++) {
		snprintf(path, sizeof(path), "paths.%u.kind", i);
		if (strcmp(method_text(&rig, path), kind) != 0)
			continue;
		snprintf(path, sizeof(path), "paths.%u.address", i);
		if (!address || strcmp(method_text(&rig, path), address) == 0)
			return (int)i;
	}
	return -1;
}

static const char *row_text(int row, const char *field)
{
	char path[64];

	snprintf(path, sizeof(path), "paths.%d.%s", row, field);
	return method_text(&rig, path);
}

static bool names_label(void)
{
	char *text = json_dumps(rig.answer, 0);
	bool has = strstr(text, "fd6d:6573") != NULL;

	free(text);
	return has;
}

static void test_a_relayed_session_is_shown_by_its_relay_and_says_why(void)
{
	int row;

	begin(1, &symmetric, &symmetric);
	meet(0);
	wait_s(20);
	CHECK_STR(ask("ListPeerPaths", "node_id"), "");
	CHECK_STR(method_text(&rig, "paths.0.kind"), "session");
	CHECK_EQ(method_number(&rig, "paths.0.used"), 1);
	CHECK_STR(method_text(&rig, "paths.0.transport"), "relay");
	CHECK_STR(method_text(&rig, "paths.0.relay"), relay_id);
	CHECK_STR(method_text(&rig, "paths.0.address"), "");
	CHECK(method_number(&rig, "paths.0.rtt_us") >= 10000);
	CHECK_EQ(method_number(&rig, "paths.0.lost_packets"), 0);
	CHECK(method_number(&rig, "paths.0.since_s") >= (long long)SIM_WALL_S);
	row = row_of("candidate", "192.168.2.2:7000");
	CHECK(row > 0);
	CHECK_STR(row_text(row, "network"), "lan");
	CHECK_STR(row_text(row, "why"), "no probe there was answered");
	CHECK_STR(method_text(&rig, "relayed.reason"),
		  "both routers give each destination another port");
	CHECK_STR(method_text(&rig, "relayed.relay"), relay_id);
	CHECK(method_number(&rig, "relayed.rounds") >= 3);
	CHECK(!method_at(&rig, "relayed.slowed_s"));
	CHECK(method_number(&rig, "relayed.next_round_s") >= (long long)SIM_WALL_S);
	CHECK(!names_label());
	CHECK_STR(ask("ShowWhy", "who"), "");
	CHECK_STR(method_text(&rig, "relayed.reason"),
		  "both routers give each destination another port");
	CHECK(!names_label());
	CHECK_STR(ask("ShowPeer", "node_id"), "");
	CHECK(strstr(method_text(&rig, "peer.punching"), "no probe was answered"));
	CHECK(!names_label());
	CHECK_STR(ask("PingPeer", "node_id"), "");
	CHECK(!names_label());
	method_rig_fini(&rig);
}

static void test_a_direct_session_has_its_address_and_no_reason(void)
{
	int row;

	begin(2, &restricted, &restricted);
	meet(0);
	wait_s(15);
	CHECK_STR(ask("ListPeerPaths", "node_id"), "");
	CHECK_STR(method_text(&rig, "paths.0.kind"), "session");
	CHECK_STR(method_text(&rig, "paths.0.transport"), "quic4");
	CHECK(strncmp(method_text(&rig, "paths.0.address"), "5.2.0.1:", 8) == 0);
	CHECK_STR(method_text(&rig, "paths.0.relay"), "");
	CHECK(!method_at(&rig, "relayed"));
	row = row_of("flow", NULL);
	CHECK(row > 0);
	CHECK_STR(row_text(row, "relay"), relay_id);
	CHECK(strncmp(row_text(row, "why"), "open", 4) == 0);
	CHECK(!names_label());
	CHECK_STR(ask("ShowPeer", "node_id"), "");
	CHECK(strstr(method_text(&rig, "peer.punching"), "found a direct path"));
	CHECK_STR(ask("ShowWhy", "who"), "");
	CHECK(!method_at(&rig, "relayed"));
	method_rig_fini(&rig);
}

/* Of the control socket's events, the last of this kind; NULL: there is none. */
static json_t *last_event(const char *kind)
{
	struct control *control = ends[0]->node->api->control;
	uint64_t seq = 0, next;
	json_t *last = NULL, *event;
	const char *text;
	size_t len;

	while ((next = control_event_next(control, CONTROL_ADMIN, seq, &text, &len))) {
		seq = next;
		event = json_loadb(text, len, 0, NULL);
		if (strcmp(json_string_value(json_object_get(event, "kind")), kind) == 0) {
			json_decref(last);
			last = json_incref(event);
		}
		json_decref(event);
	}
	return last;
}

static void test_a_move_is_an_event(void)
{
	json_t *event, *fields;

	begin(8, &restricted, &restricted);
	meet(0);
	CHECK(!last_event("peer.moved"));
	wait_s(15);
	event = last_event("peer.moved");
	fields = json_object_get(event, "fields");
	CHECK(fields);
	CHECK_STR(json_string_value(json_object_get(fields, "peer")), peer_id);
	CHECK_STR(json_string_value(json_object_get(fields, "transport")), "quic4");
	CHECK(!json_object_get(fields, "relayed_by"));
	json_decref(event);
	method_rig_fini(&rig);
}

static void test_a_viewer_sees_no_address_of_a_path(void)
{
	begin(3, &restricted, &restricted);
	meet(0);
	wait_s(15);
	rig.role = CONTROL_VIEW;
	CHECK_STR(ask("ListPeerPaths", "node_id"), "");
	for (unsigned i = 0; i < method_cnt(&rig, "paths"); i++)
		CHECK(!strchr(row_text((int)i, "address"), ':'));
	method_rig_fini(&rig);
}

/* The reason after 20 s of a session that end dialler opened. */
static void check_reason(unsigned dialler, const char *want)
{
	meet(dialler);
	wait_s(20);
	CHECK_STR(ask("ShowWhy", "who"), "");
	CHECK_STR(method_text(&rig, "relayed.reason"), want);
	CHECK(method_text(&rig, "relayed.next")[0]);
	method_rig_fini(&rig);
}

static void test_the_kinds_of_both_routers_are_named(void)
{
	begin(4, &symmetric, &restricted);
	check_reason(
		0, "this node's router gives each destination another port, and the peer's lets in "
		   "only a port that was written to");
	begin(5, &restricted, &symmetric);
	check_reason(
		0, "the peer's router gives each destination another port, and this node's lets in "
		   "only a port that was written to");
}

static void test_the_node_that_was_dialled_names_the_other_one(void)
{
	begin(6, &symmetric, &symmetric);
	check_reason(1, "the peer dialled, so it is the one that looks for a direct path");
}

static void test_addresses_that_may_not_be_dialled_are_named(void)
{
	struct mesh_config config;
	int row;

	begin(10, &restricted, &restricted);
	meet(0);
	/* As a reload of transport.internet and transport.lan has it. */
	config = ends[0]->config.mesh;
	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		config.ways[i].ranks[MESH_WAY_QUIC4] = 0;
	mesh_configure(node_mesh(ends[0]->node), &config);
	wait_s(5);
	CHECK_STR(ask("ListPeerPaths", "node_id"), "");
	CHECK_STR(method_text(&rig, "relayed.reason"),
		  "no address that the peer names may be dialled from here");
	row = row_of("candidate", "192.168.2.2:7000");
	CHECK(row > 0);
	CHECK(strncmp(row_text(row, "why"), "not probed", 10) == 0);
	method_rig_fini(&rig);
}

static void test_the_end_of_a_flows_volume_is_shown(void)
{
	json_t *event;

	slows = true;
	begin(9, &symmetric, &symmetric);
	meet(0);
	slows = false;
	wait_s(5);
	CHECK_STR(ask("ShowWhy", "who"), "");
	CHECK(method_number(&rig, "relayed.slowed_s") >= (long long)SIM_WALL_S);
	event = last_event("relay_flow.slowed");
	CHECK(event);
	CHECK_STR(json_string_value(json_object_get(json_object_get(event, "fields"), "relay")),
		  relay_id);
	json_decref(event);
	method_rig_fini(&rig);
}

static void test_an_unknown_peer_has_no_paths(void)
{
	begin(7, &restricted, &restricted);
	method_rig_start(&rig);
	CHECK_STR(ask("ListPeerPaths", "node_id"), "NotFound");
	CHECK_STR(method_ask(&rig, "ListPeerPaths", "{'node_id':'short'}"), "Invalid");
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_relayed_session_is_shown_by_its_relay_and_says_why);
	RUN(test_a_direct_session_has_its_address_and_no_reason);
	RUN(test_a_move_is_an_event);
	RUN(test_a_viewer_sees_no_address_of_a_path);
	RUN(test_the_kinds_of_both_routers_are_named);
	RUN(test_the_node_that_was_dialled_names_the_other_one);
	RUN(test_addresses_that_may_not_be_dialled_are_named);
	RUN(test_the_end_of_a_flows_volume_is_shown);
	RUN(test_an_unknown_peer_has_no_paths);
	return check_done();
}
