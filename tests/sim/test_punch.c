/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes behind NATs whose session goes through a relay. Each pair of NATs that can be punched is
 * direct soon, by the same session, and the relay carries nothing more. The others stay relayed.
 *
 *     end 192.168.1.2 -- NAT 5.1.0.1 -- relay 5.9.0.1 -- NAT 5.2.0.1 -- end 192.168.2.2
 */
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/fake_relay.h"
#include "support/mem_nat.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_ports.h"

#define DIRECT_NS (15 * NS_PER_S)

static const struct mem_link even = {.delay_ns = 20 * NS_PER_MS};
static const struct mem_link lossy = {.delay_ns = 20 * NS_PER_MS, .loss_per_1000 = 50};

struct kind {
	const char *name;
	bool is_open; /* no NAT at all */
	struct mem_nat_rule rule;
	const struct mem_nat_rule *carrier; /* of a second NAT beyond; NULL: there is none */
};
/* What RFC 6888 asks of a carrier, and what it forbids. */
static const struct mem_nat_rule cone = {.mapping = NAT_ENDPOINT_INDEPENDENT,
					 .filtering = NAT_ENDPOINT_INDEPENDENT};
static const struct mem_nat_rule hairpinning = {.mapping = NAT_ENDPOINT_INDEPENDENT,
						.filtering = NAT_ENDPOINT_INDEPENDENT,
						.hairpins = true};
static const struct mem_nat_rule narrow = {.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT,
					   .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};
#define PORT_RESTRICTED_RULE                                                                       \
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT}
static const struct kind kinds[] = {
	{"open", true, {.blocks_udp = false}, NULL},
	{"full cone",
	 false,
	 {.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ENDPOINT_INDEPENDENT},
	 NULL},
	{"restricted",
	 false,
	 {.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ADDRESS_DEPENDENT},
	 NULL},
	{"port-restricted",
	 false,
	 {.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT},
	 NULL},
	{"address-dependent",
	 false,
	 {.mapping = NAT_ADDRESS_DEPENDENT, .filtering = NAT_ADDRESS_DEPENDENT},
	 NULL},
	{"symmetric",
	 false,
	 {.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT, .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT},
	 NULL},
	{"carrier, cone", false, PORT_RESTRICTED_RULE, &cone},
	{"carrier", false, PORT_RESTRICTED_RULE, &narrow},
};
#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))
enum { OPEN, FULL_CONE, RESTRICTED, PORT_RESTRICTED, ADDRESS_DEPENDENT, SYMMETRIC, CARRIER_CONE };

static struct sim sim;
static struct fake_relay relay;
static struct mem_nats nats;
static struct mem_nat nat[2], carrier[2];
static struct sim_node *ends[2], *middle, *second; /* second sees the ends as middle does */
static struct sim_ports sockets[2];

/* A request of end `from` to the other one is answered, with a refusal at least. */
static bool answers(unsigned from)
{
	int err = sim_ask(ends[from], ends[!from], MESH_OBSERVED_ADDR, 5 * NS_PER_S)->err;

	return err == 0 || err == WEFT_EABSENT;
}

static struct sim_node *place(const uint8_t ip[4])
{
	struct sim_node *placed = sim_add(&sim);

	memcpy(placed->addr.ip, ip, 4);
	placed->config.udp.listen[0] = placed->addr;
	placed->asks_address = true;
	return placed;
}

/* The home's NAT of index at has another one beyond it, that of index carrier_at. */
static void place_home(unsigned at, unsigned carrier_at, const struct mem_nat_rule *rule)
{
	const struct addr outside = {.ip = {5, (uint8_t)(carrier_at + 1), 0, 1},
				     .family = ADDR_IPV4};

	if (!carrier[carrier_at].inside_cnt)
		mem_nat_add(&nats, &carrier[carrier_at], rule, &outside, sim.seed + 2 + at);
	if (mem_nat_place(&carrier[carrier_at], &nat[at].outside) < 0)
		abort();
}

/* Behind the NAT of index at, whose address is 5.1.0.1 or 5.2.0.1; or at that address. */
static struct sim_node *place_end(unsigned at, uint8_t number, const struct kind *kind)
{
	struct addr outside = {.ip = {5, (uint8_t)(at + 1), 0, 1}, .family = ADDR_IPV4};
	struct sim_node *node =
		place(kind->is_open ? outside.ip
				    : (const uint8_t[]){192, 168, (uint8_t)(at + 1), number});

	if (kind->is_open)
		return node;
	if (kind->carrier) /* in the shared space of RFC 6598 */
		memcpy(outside.ip, (const uint8_t[]){100, 64, 0, (uint8_t)(at + 2)}, 4);
	if (!nat[at].inside_cnt)
		mem_nat_add(&nats, &nat[at], &kind->rule, &outside, sim.seed + at);
	if (mem_nat_place(&nat[at], &node->addr) < 0)
		abort();
	return node;
}

static struct sim_node *place_kind(unsigned at, const struct kind *kind)
{
	struct sim_node *node = place_end(at, 2, kind);

	if (kind->carrier)
		place_home(at, at, kind->carrier);
	return node;
}

static void world_open(uint64_t seed, const struct mem_link *link)
{
	sim_init(&sim, sim_seed(seed), link);
	memset(&relay, 0, sizeof(relay));
	memset(nat, 0, sizeof(nat));
	memset(carrier, 0, sizeof(carrier));
	mem_nats_init(&nats, sim.net);
	middle = place((const uint8_t[]){5, 9, 0, 1});
	second = place((const uint8_t[]){5, 8, 0, 1});
}

static void world_begin(void)
{
	sim_start(middle);
	sim_start(second);
	fake_relay_attach(&relay, middle);
	for (unsigned i = 0; i < 2; i++) {
		memset(&sockets[i], 0, sizeof(sockets[i]));
		ends[i]->ports = &sockets[i];
		sim_start(ends[i]);
		CHECK_EQ(sim_reach(ends[i], middle, true)->err, 0);
		CHECK_EQ(sim_reach(ends[i], second, true)->err, 0);
	}
	sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
	CHECK_EQ(sim_reach(ends[0], ends[1], false)->err, 0);
}

static bool path_of(unsigned of, struct mesh_path *out_path)
{
	return mesh_neighbour_ops.path(node_mesh(ends[of]->node), node_key_public(ends[!of]->key),
				       out_path);
}

static bool is_direct(void *arg)
{
	struct mesh_path path;

	(void)arg;
	for (unsigned i = 0; i < 2; i++)
		if (!path_of(i, &path) || addr_is_relayed(&path.remote))
			return false;
	return true;
}

static void session_id(uint8_t id[static MESH_SESSION_ID_LEN])
{
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), id), 0);
}

/* Of two NATs the narrower of each behaviour. */
static struct mem_nat_rule both(const struct kind *kind)
{
	struct mem_nat_rule rule = kind->rule;

	if (kind->carrier && kind->carrier->mapping > rule.mapping)
		rule.mapping = kind->carrier->mapping;
	if (kind->carrier && kind->carrier->filtering > rule.filtering)
		rule.filtering = kind->carrier->filtering;
	return rule;
}

/* A probe of from to what others see of to arrives, if to has written there. */
static bool passes(const struct kind *from, const struct kind *to)
{
	bool has_port = from->is_open || both(from).mapping == NAT_ENDPOINT_INDEPENDENT;

	if (to->is_open)
		return true;
	if (both(to).mapping != NAT_ENDPOINT_INDEPENDENT)
		return false;
	return both(to).filtering != NAT_ADDRESS_AND_PORT_DEPENDENT || has_port;
}

/* One of both has one port for all remotes, so the other one's ports can be searched. */
static bool is_searched(const struct kind *from, const struct kind *to)
{
	return !from->is_open && !to->is_open &&
	       (both(from).mapping == NAT_ENDPOINT_INDEPENDENT) !=
		       (both(to).mapping == NAT_ENDPOINT_INDEPENDENT);
}

static void run_pair(const struct kind *from, const struct kind *to)
{
	bool can = passes(from, to) || passes(to, from) || is_searched(from, to), is;
	uint8_t ids[2][MESH_SESSION_ID_LEN];
	uint64_t began_ns, forwarded_cnt;

	world_open(1, &even);
	ends[0] = place_kind(0, from);
	ends[1] = place_kind(1, to);
	world_begin();
	session_id(ids[0]);
	began_ns = sim.now_ns;
	is = sim_run(&sim, DIRECT_NS, is_direct, NULL);
	printf("# %17s -> %-17s %s after %u ms\n", from->name, to->name, is ? "direct" : "relayed",
	       (unsigned)((sim.now_ns - began_ns) / NS_PER_MS));
	CHECK_EQ(is, can);
	for (unsigned i = 0; i < 2; i++)
		CHECK(answers(i));
	session_id(ids[1]);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	sim_run(&sim, NS_PER_S, NULL, NULL);
	forwarded_cnt = relay.forwarded_cnt;
	for (unsigned i = 0; i < 2; i++)
		CHECK(answers(i));
	CHECK(!is || relay.forwarded_cnt == forwarded_cnt);
	sim_fini(&sim);
}

static void test_each_pair_of_nats_that_can_be_punched_is_direct(void)
{
	for (size_t from = 0; from < KIND_CNT; from++)
		for (size_t to = 0; to < KIND_CNT; to++)
			run_pair(&kinds[from], &kinds[to]);
}

static void begin_pair(uint64_t seed, const struct mem_link *link, unsigned from, unsigned to)
{
	world_open(seed, link);
	ends[0] = place_kind(0, &kinds[from]);
	ends[1] = place_kind(1, &kinds[to]);
	world_begin();
}

static void punch_figures(unsigned of, struct punch_stats *out_stats)
{
	punch_stats(ends[of]->node->punch, out_stats);
}

/* Nodes of one network name their own addresses to each other, and need no NAT to let them in. */
static void test_nodes_behind_one_nat_meet_inside(void)
{
	struct mesh_path path;

	world_open(2, &even);
	ends[0] = place_end(0, 2, &kinds[SYMMETRIC]);
	ends[1] = place_end(0, 3, &kinds[SYMMETRIC]);
	world_begin();
	CHECK(sim_run(&sim, DIRECT_NS, is_direct, NULL));
	CHECK(path_of(0, &path));
	CHECK(addr_equal(&path.remote, &ends[1]->addr));
	sim_fini(&sim);
}

/* Two homes of one carrier; by its outside address alone, as each home has its own network. */
static bool homes_of_one_carrier_are_direct(const struct mem_nat_rule *rule)
{
	bool is;

	world_open(7, &even);
	for (unsigned i = 0; i < 2; i++) {
		ends[i] = place_end(i, 2, &kinds[CARRIER_CONE]);
		place_home(i, 0, rule);
	}
	world_begin();
	is = sim_run(&sim, DIRECT_NS, is_direct, NULL);
	for (unsigned i = 0; i < 2; i++)
		is = answers(i) && is;
	sim_fini(&sim);
	return is;
}

static void test_homes_of_one_carrier_are_direct_where_it_hairpins(void)
{
	CHECK(homes_of_one_carrier_are_direct(&hairpinning));
	CHECK(!homes_of_one_carrier_are_direct(&cone));
}

/* The answering node sends each probe once in a round, so a lost one may cost a round. */
static void test_lost_probes_cost_rounds(void)
{
	unsigned direct_cnt = 0;

	for (uint64_t seed = 10; seed < 20; seed++) {
		begin_pair(seed, &lossy, PORT_RESTRICTED, PORT_RESTRICTED);
		direct_cnt += sim_run(&sim, DIRECT_NS, is_direct, NULL);
		sim_fini(&sim);
	}
	CHECK_EQ(direct_cnt, 10);
}

/* The pauses grow, so a pair that cannot be punched costs little. */
static void test_a_pair_that_cannot_is_asked_ever_more_seldom(void)
{
	struct punch_stats first, last;
	struct punch_view view;

	begin_pair(3, &even, SYMMETRIC, SYMMETRIC);
	sim_run(&sim, 60 * NS_PER_S, NULL, NULL);
	punch_figures(0, &first);
	CHECK(first.asked_cnt >= 8 && first.asked_cnt <= 13);
	CHECK(first.asked_cnt - first.silent_cnt <= 1); /* the last one may be under way */
	sim_run(&sim, 600 * NS_PER_S, NULL, NULL);
	punch_figures(0, &last);
	CHECK(last.asked_cnt - first.asked_cnt <= 11);
	CHECK(punch_show(ends[0]->node->punch, node_key_public(ends[1]->key), &view));
	CHECK_EQ(view.outcome, PUNCH_SILENT);
	CHECK(last.asked_cnt - view.round_cnt <= 1);
	sim_fini(&sim);
}

/* The NAT of the asking node becomes one that lets the peer in: the next round finds that. */
static void test_another_nat_is_found_out(void)
{
	begin_pair(4, &even, SYMMETRIC, SYMMETRIC);
	CHECK(!sim_run(&sim, DIRECT_NS, is_direct, NULL));
	mem_nat_change(&nat[0], &kinds[FULL_CONE].rule, sim.now_ns);
	CHECK(sim_run(&sim, 120 * NS_PER_S, is_direct, NULL));
	sim_fini(&sim);
}

/* Requests go on, one after the other, while the session moves. */
static void test_no_request_is_lost_in_the_move(void)
{
	unsigned answered_cnt = 0, cnt = 0;

	begin_pair(5, &even, PORT_RESTRICTED, PORT_RESTRICTED);
	for (uint64_t end_ns = sim.now_ns + 4 * NS_PER_S; sim.now_ns < end_ns; cnt++)
		answered_cnt += answers(cnt & 1);
	CHECK(is_direct(NULL));
	CHECK(cnt > 50);
	CHECK_EQ(answered_cnt, cnt);
	sim_fini(&sim);
}

static bool is_relayed(void *arg)
{
	struct mesh_path path;

	(void)arg;
	return path_of(0, &path) && addr_is_relayed(&path.remote);
}

static bool is_cut, is_relay_gone;
static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	if (addr_equal(from, &middle->addr) || addr_equal(to, &middle->addr))
		return is_relay_gone ? MEM_LOST : 0;
	return is_cut ? MEM_LOST : 0;
}

/* A pair that is direct; what it says by that path is lost from now on. */
static void begin_cut_pair_by(uint64_t seed, const struct mem_link *link, uint64_t idle_ns)
{
	begin_pair(seed, link, PORT_RESTRICTED, PORT_RESTRICTED);
	is_cut = is_relay_gone = false;
	net_mem_net_set_fate(sim.net, on_fate, NULL);
	CHECK(sim_run(&sim, DIRECT_NS, is_direct, NULL));
	sim_run(&sim, idle_ns, NULL, NULL);
	is_cut = true;
}

static void begin_cut_pair(uint64_t seed, uint64_t idle_ns)
{
	begin_cut_pair_by(seed, &even, idle_ns);
}

/* How long a request of `from` takes that is asked now, in milliseconds. */
static unsigned answer_ms(unsigned from)
{
	uint64_t asked_ns = sim.now_ns;

	return !answers(from) ? UINT32_MAX : (unsigned)((sim.now_ns - asked_ns) / NS_PER_MS);
}

/*
 * A direct path that breaks is left for the relay by the same session, and found again. It does not
 * matter which node asks: one that did not dial has its peer move. Nor does an hour of silence before.
 */
static void test_a_broken_path_is_left_for_the_relay_and_back(void)
{
	static const uint64_t idle_ns[] = {5 * NS_PER_S, 3600 * NS_PER_S};
	uint8_t ids[2][MESH_SESSION_ID_LEN];
	struct mesh_path path;
	unsigned took_ms;

	for (unsigned i = 0; i < 4; i++) {
		begin_cut_pair(6 + i, idle_ns[i / 2]);
		session_id(ids[0]);
		took_ms = answer_ms(i & 1);
		printf("# end %u answered by the relay after %u ms\n", i & 1, took_ms);
		CHECK(took_ms <= 800);
		CHECK(is_relayed(NULL));
		CHECK(path_of(0, &path) && addr_equal(&path.local, &path.remote));
		session_id(ids[1]);
		CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
		is_cut = false;
		CHECK(sim_run(&sim, 30 * NS_PER_S, is_direct, NULL));
		for (unsigned of = 0; of < 2; of++)
			CHECK(answers(of));
		sim_fini(&sim);
	}
}

static const struct mem_link near = {.delay_ns = NS_PER_MS / 4};

/*
 * A moment after the move the round trip of the path is known at both ends, so its break is noticed as
 * soon as later. The other end validates the path that it came from for three seconds meanwhile.
 */
static void test_a_path_that_breaks_soon_after_the_move_is_left_as_soon(void)
{
	unsigned took_ms, most_ms = 0;

	for (unsigned from = 0; from < 2; from++)
		for (uint64_t idle_ms = 50; idle_ms < 4000; idle_ms += 550) {
			begin_cut_pair_by(30 + from, &near, idle_ms * NS_PER_MS);
			took_ms = answer_ms(from);
			if (took_ms > most_ms)
				most_ms = took_ms;
			CHECK(is_relayed(NULL));
			sim_fini(&sim);
		}
	printf("# answered by the relay after %u ms at most\n", most_ms);
	CHECK(most_ms <= 600);
}

static const struct side_ports *side_ports(unsigned of)
{
	return &ends[of]->node->home->ports;
}

/*
 * A pair that is searched is direct by sockets of their own, in either order of NATs. No request is lost
 * in the move. The ports are closed when the session leaves them.
 */
static void test_a_searched_path_carries_the_session_by_sockets_of_its_own(void)
{
	for (unsigned i = 0; i < 2; i++) {
		unsigned answered_cnt = 0, cnt = 0, kept_cnt = 0;
		struct mesh_path path;
		bool differ = false;

		begin_pair(20 + i, &even, i ? SYMMETRIC : PORT_RESTRICTED,
			   i ? PORT_RESTRICTED : SYMMETRIC);
		is_cut = is_relay_gone = false;
		net_mem_net_set_fate(sim.net, on_fate, NULL);
		for (uint64_t end_ns = sim.now_ns + 12 * NS_PER_S; sim.now_ns < end_ns; cnt++)
			answered_cnt += answers(cnt & 1);
		CHECK(is_direct(NULL));
		CHECK_EQ(answered_cnt, cnt);
		for (unsigned of = 0; of < 2; of++) {
			CHECK(path_of(of, &path));
			for (unsigned row = 0; row < SIDE_PORT_CAP; row++)
				kept_cnt += side_ports(of)->rows[row].rx &&
					    side_ports(of)->rows[row].bound.port == path.local.port;
		}
		CHECK_EQ(kept_cnt, 2);
		sim_run(&sim, 300 * NS_PER_S, NULL, NULL);
		CHECK(is_direct(NULL));
		CHECK_EQ(side_ports(0)->cnt, 1);
		CHECK_EQ(side_ports(1)->cnt, 1);
		/* Sessions on such sockets are no votes on the node's own port. */
		for (unsigned of = 0; of < 2; of++) {
			CHECK(reachability_ports(node_reachability(ends[of]->node), sim.now_ns,
						 &differ));
			CHECK_EQ(differ, of != i);
		}
		/* The session goes back to the relay, and its sockets are closed. */
		is_cut = true;
		CHECK(answers(i));
		CHECK(is_relayed(NULL));
		sim_run(&sim, 45 * NS_PER_S, NULL, NULL);
		CHECK_EQ(side_ports(0)->cnt + side_ports(1)->cnt, 0);
		CHECK(answers(0));
		sim_fini(&sim);
	}
}

/* No request is needed: a session that was used a moment ago finds it out by its heartbeat. */
static void test_a_path_that_breaks_in_use_is_left_before_the_next_request(void)
{
	begin_cut_pair(13, 0);
	CHECK(sim_run(&sim, 6 * NS_PER_S, is_relayed, NULL));
	CHECK(answer_ms(0) <= 200);
	sim_fini(&sim);
}

/* Nothing waits for the relay if it has gone as well: the path is used again as soon as it is back. */
static void test_a_path_that_is_back_is_used_though_the_relay_is_gone(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN];

	begin_cut_pair(10, 5 * NS_PER_S);
	session_id(ids[0]);
	is_relay_gone = true;
	CHECK(sim_ask(ends[0], ends[1], MESH_OBSERVED_ADDR, 2 * NS_PER_S)->err < 0);
	is_cut = false;
	CHECK(answer_ms(0) <= 1500);
	CHECK(is_direct(NULL));
	session_id(ids[1]);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	sim_fini(&sim);
}

/* A path that breaks again and again is tried more and more seldom. */
static void test_a_path_that_does_not_last_is_left_alone(void)
{
	uint64_t began_ns, pause_ns = 0;

	begin_cut_pair(11, 5 * NS_PER_S);
	for (unsigned i = 0; i < 5; i++) {
		(void)answer_ms(0);
		CHECK(is_relayed(NULL));
		is_cut = false;
		began_ns = sim.now_ns;
		CHECK(sim_run(&sim, 90 * NS_PER_S, is_direct, NULL));
		CHECK(sim.now_ns - began_ns > pause_ns);
		pause_ns = sim.now_ns - began_ns;
		sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
		is_cut = true;
	}
	printf("# tried after %u ms\n", (unsigned)(pause_ns / NS_PER_MS));
	CHECK(pause_ns >= 8 * NS_PER_S);
	sim_fini(&sim);
}

/* A direct session came first: the search for another path begins like any. */
static void test_a_relayed_session_soon_after_a_direct_one_searches_in_pauses(void)
{
	struct punch_stats stats;
	unsigned before;

	world_open(12, &even);
	is_cut = is_relay_gone = false;
	net_mem_net_set_fate(sim.net, on_fate, NULL);
	for (unsigned i = 0; i < 2; i++)
		ends[i] = place_end(i, 2, &kinds[OPEN]);
	sim_start(middle);
	fake_relay_attach(&relay, middle);
	for (unsigned i = 0; i < 2; i++) {
		sim_start(ends[i]);
		CHECK_EQ(sim_reach(ends[i], middle, true)->err, 0);
	}
	CHECK_EQ(sim_reach(ends[0], ends[1], true)->err, 0);
	is_cut = true;
	for (unsigned i = 0; i < 6 && !answers(0); i++)
		;
	CHECK(is_relayed(NULL));
	punch_figures(0, &stats);
	before = (unsigned)stats.asked_cnt;
	sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
	punch_figures(0, &stats);
	CHECK(stats.asked_cnt - before >= 1 && stats.asked_cnt - before <= 5);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_each_pair_of_nats_that_can_be_punched_is_direct);
	RUN(test_nodes_behind_one_nat_meet_inside);
	RUN(test_homes_of_one_carrier_are_direct_where_it_hairpins);
	RUN(test_lost_probes_cost_rounds);
	RUN(test_a_pair_that_cannot_is_asked_ever_more_seldom);
	RUN(test_another_nat_is_found_out);
	RUN(test_no_request_is_lost_in_the_move);
	RUN(test_a_broken_path_is_left_for_the_relay_and_back);
	RUN(test_a_path_that_breaks_soon_after_the_move_is_left_as_soon);
	RUN(test_a_searched_path_carries_the_session_by_sockets_of_its_own);
	RUN(test_a_path_that_breaks_in_use_is_left_before_the_next_request);
	RUN(test_a_path_that_is_back_is_used_though_the_relay_is_gone);
	RUN(test_a_path_that_does_not_last_is_left_alone);
	RUN(test_a_relayed_session_soon_after_a_direct_one_searches_in_pauses);
	return check_done();
}
