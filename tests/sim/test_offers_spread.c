/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service messages among hundreds of nodes, each a service relay with one offer of its own. How many
 * of the nodes near enough answer a query, how soon, and what does a message cost? Links take 20 to
 * 100 ms. Nothing is lost on them, as nothing is within sessions. Seeds are fixed; SEED=n plays another run.
 * SPREAD_NODES=2000 is a larger network, where no message comes to all nodes, so fewer answer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "offers/message/service_query.h"
#include "offers/spread/offer_spread.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/seed.h"

#define NODES_USUAL  200u
#define NODES_MAX    2000u
#define DIALS	     4u /* sessions that each node begins, so it has about twice as many */
#define QUERIES	     100u
#define ANNOUNCES    50u
#define NEAR_HOPS    3u
#define NEAR_PERCENT (place_cnt <= NODES_USUAL ? 99u : 90u) /* of near nodes answer, or keep */
#define WITHIN_NS    (2 * NS_PER_S)
#define FAR_AWAY     255u
#define SERVICE	     2u

struct place {
	struct mesh *node;
	struct offer_spread *spread;
	struct timer_wheel timers;
	unsigned neighbours[64], neighbour_cnt;
	unsigned asked_cnt, heard_cnt, kept_cnt;
	uint8_t hops; /* from the one that asks */
	bool is_met;  /* it answered the query, or keeps the announce */
};

static const struct mem_link link = {
	.delay_ns = 20 * NS_PER_MS, .jitter_ns = 80 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};
static struct mesh_lab lab;
static struct random dice;
static struct place *places;
static unsigned place_cnt;
static struct spread_config config;
static unsigned answered_cnt;
static uint64_t asked_ns, slowest_ns;

static uint64_t on_wall_s(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&lab);
}

static void message_make(struct writer *w, struct service_message message, const void *payload,
			 size_t len)
{
	message.service = SERVICE;
	message.version = 1;
	message.hop_max = 4;
	message.ttl_hours = 72;
	message.timestamp_s = mesh_lab_wall_s(&lab);
	message.payload = payload;
	message.payload_len = len;
	offers_message_write(w, &message);
}

/* --- what a node does --- */

static enum spread_verdict on_keep(void *ctx, const struct spread_message *message,
				   const char **out_why)
{
	struct place *place = ctx;

	(void)message, (void)out_why;
	place->kept_cnt++;
	if (place->is_met)
		return SPREAD_KNOWN;
	place->is_met = true;
	return SPREAD_NEW;
}

static void on_answer(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	static struct service_response response;
	static uint8_t payload[256], bytes[512];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct place *place = ctx;
	const uint32_t number = (uint32_t)(place - places);

	place->asked_cnt++;
	offers_response_init(&response, token);
	(void)offers_response_add_endorsement(&response, (const uint8_t *)&number, sizeof(number));
	offers_response_write(&p, &response);
	message_make(&w, (struct service_message){.type = SERVICE_MESSAGE_RESPONSE}, payload,
		     writer_len(&p));
	(void)offers_spread_respond(place->spread, token, bytes, writer_len(&w), query->now_ns);
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	struct place *place = ctx;
	uint32_t number;

	(void)message;
	place->heard_cnt++;
	if (response->endorsement_cnt != 1 || response->endorsements[0].len != sizeof(number))
		abort();
	memcpy(&number, response->endorsements[0].bytes, sizeof(number));
	if (number >= place_cnt || places[number].is_met || lab.now_ns > asked_ns + WITHIN_NS)
		return;
	places[number].is_met = true;
	answered_cnt++;
	if (lab.now_ns - asked_ns > slowest_ns)
		slowest_ns = lab.now_ns - asked_ns;
}

static void on_turn(void *ctx, uint64_t now_ns)
{
	timer_wheel_expire(&((struct place *)ctx)->timers, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	return timer_wheel_next_ns(&((struct place *)ctx)->timers);
}

static void place_add(void)
{
	struct place *place = &places[place_cnt++];
	struct spread_params params = {
		.config = config,
		.handler = {.keep = on_keep, .answer = on_answer, .hear = on_hear, .ctx = place},
		.neighbours = &mesh_lab_neighbours,
		.timers = &place->timers,
		.random = &dice,
		.wall_s = on_wall_s,
	};

	place->node = mesh_lab_add(&lab);
	mesh_lab_up(place->node);
	place->node->caps = MESH_CAP_SERVICE_RELAY;
	timer_wheel_init(&place->timers, lab.now_ns);
	params.mesh = mesh_lab_seam_of(place->node);
	if (offers_spread_new(&params, &place->spread) < 0)
		abort();
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
}

/* --- the network --- */

static struct mesh_lab_ask asked;

/* A session between two; both are then neighbours. */
static void meet(unsigned from, unsigned to)
{
	static const uint8_t nothing[1];
	struct place *a = &places[from], *b = &places[to];

	for (unsigned i = 0; i < a->neighbour_cnt; i++)
		if (a->neighbours[i] == to)
			return;
	if (from == to || a->neighbour_cnt == 64 || b->neighbour_cnt == 64)
		return;
	do
		mesh_lab_ask(a->node, b->node, MESH_SERVICE_MESSAGE, nothing, sizeof(nothing),
			     &asked);
	while (asked.reply.err != WEFT_EMALFORMED);
	a->neighbours[a->neighbour_cnt++] = to;
	b->neighbours[b->neighbour_cnt++] = from;
}

static void network_begin(void)
{
	const char *cnt = getenv("SPREAD_NODES");
	unsigned wanted = cnt ? (unsigned)strtoul(cnt, NULL, 10) : NODES_USUAL;

	if (wanted < 10 || wanted > NODES_MAX)
		abort();
	random_init_seeded(&dice, seed_of_run(3));
	mesh_lab_init(&lab, seed_of_run(3), wanted, &link);
	lab.idle_ns = 1000000 * NS_PER_S;
	offers_spread_config_defaults(&config);
	config.announces_per_min = config.queries_per_min = config.relayed_per_min = 1000000;
	places = calloc(wanted, sizeof(*places));
	place_cnt = 0;
	while (place_cnt < wanted)
		place_add();
	for (unsigned i = 0; i < wanted; i++)
		for (unsigned dial = 0; dial < DIALS; dial++)
			meet(i, (unsigned)random_below(&lab.dice, wanted));
}

static void network_end(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		offers_spread_free(places[i].spread);
	mesh_lab_fini(&lab);
	free(places);
}

/* The hops of all nodes from one, by the shortest way. */
static void hops_count(unsigned from)
{
	static unsigned queue[NODES_MAX];
	unsigned head = 0, tail = 0;

	for (unsigned i = 0; i < place_cnt; i++)
		places[i].hops = FAR_AWAY;
	places[from].hops = 0;
	queue[tail++] = from;
	while (head < tail) {
		const struct place *place = &places[queue[head++]];

		for (unsigned i = 0; i < place->neighbour_cnt; i++) {
			struct place *next = &places[place->neighbours[i]];

			if (next->hops != FAR_AWAY)
				continue;
			next->hops = (uint8_t)(place->hops + 1);
			queue[tail++] = place->neighbours[i];
		}
	}
}

static uint64_t sent_cnt(void)
{
	struct spread_stats stats;
	uint64_t cnt = 0;

	for (unsigned i = 0; i < place_cnt; i++) {
		offers_spread_stats(places[i].spread, &stats);
		cnt += stats.sent_cnt + stats.unsent_cnt;
	}
	return cnt;
}

/* How many of the nodes near a query or an announce it met, and how many of all. */
struct tally {
	uint64_t near_cnt, near_met_cnt, met_cnt;
};

static void tally_add(struct tally *tally, unsigned from)
{
	for (unsigned i = 0; i < place_cnt; i++) {
		bool is_near = i != from && places[i].hops <= NEAR_HOPS;

		tally->near_cnt += is_near;
		tally->near_met_cnt += is_near && places[i].is_met;
		tally->met_cnt += i != from && places[i].is_met;
	}
}

static double tally_near(const struct tally *tally)
{
	return 100.0 * (double)tally->near_met_cnt / (double)tally->near_cnt;
}

/* --- queries --- */

static void ask(unsigned from)
{
	struct service_query query = {.part_cnt = 1, .result_max = 20};
	uint8_t token[SPREAD_TOKEN_LEN], payload[64], bytes[256];
	static const uint8_t no_filter[] = {0xa0};
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, sizeof(bytes));

	random_fill(&lab.dice, token, sizeof(token));
	query.token = token;
	query.parts[0] = (struct service_query_part){
		.service = SERVICE, .filters = no_filter, .filters_len = sizeof(no_filter)};
	offers_query_write(&p, SERVICE, &query);
	message_make(&w, (struct service_message){.type = SERVICE_MESSAGE_QUERY}, payload,
		     writer_len(&p));
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].is_met = false;
	asked_ns = lab.now_ns;
	if (offers_spread_query(places[from].spread, bytes, writer_len(&w), lab.now_ns) < 1)
		abort();
	places[from].node->due_ns = 0; /* it did something outside of its turn */
	(void)mesh_lab_run(&lab, WITHIN_NS + 10 * NS_PER_MS, NULL, NULL);
	offers_spread_query_end(places[from].spread, token);
}

static void test_near_nodes_answer_a_query_in_two_seconds(void)
{
	struct tally tally = {0};
	uint64_t before_cnt;

	network_begin();
	before_cnt = sent_cnt();
	for (unsigned n = 0; n < QUERIES; n++) {
		unsigned from = (unsigned)random_below(&lab.dice, place_cnt);

		hops_count(from);
		ask(from);
		tally_add(&tally, from);
	}
	printf("# %u nodes, %u queries: %.2f %% of the nodes within %u hops answered, %.1f %% of "
	       "all; the slowest answer took %llu ms; %.0f messages a query, answers among them\n",
	       place_cnt, QUERIES, tally_near(&tally), NEAR_HOPS,
	       100.0 * (double)tally.met_cnt / (double)(QUERIES * (place_cnt - 1)),
	       (unsigned long long)(slowest_ns / NS_PER_MS),
	       (double)(sent_cnt() - before_cnt) / QUERIES);
	CHECK(tally.near_met_cnt * 100 >= tally.near_cnt * NEAR_PERCENT);
	network_end();
}

/* --- announces --- */

static void test_an_announce_reaches_near_nodes_and_each_keeps_it_once(void)
{
	static const uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {1}, signature[64] = {1};
	struct tally tally = {0};
	uint64_t before_cnt;

	network_begin();
	before_cnt = sent_cnt();
	for (unsigned n = 0; n < ANNOUNCES; n++) {
		unsigned from = (unsigned)random_below(&lab.dice, place_cnt);
		uint8_t bytes[256];
		struct writer w = writer_of(bytes, sizeof(bytes));

		message_make(&w,
			     (struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						      .provider = address,
						      .signature = signature},
			     &n, sizeof(n));
		hops_count(from);
		for (unsigned i = 0; i < place_cnt; i++)
			places[i].is_met = i == from;
		(void)offers_spread_announce(places[from].spread, bytes, writer_len(&w),
					     lab.now_ns);
		places[from].node->due_ns = 0;
		(void)mesh_lab_run(&lab, WITHIN_NS, NULL, NULL);
		tally_add(&tally, from);
	}
	printf("# %u nodes, %u announces: %.2f %% of the nodes within %u hops keep them, %.1f %% "
	       "of all; %.0f messages an announce\n",
	       place_cnt, ANNOUNCES, tally_near(&tally), NEAR_HOPS,
	       100.0 * (double)tally.met_cnt / (double)(ANNOUNCES * (place_cnt - 1)),
	       (double)(sent_cnt() - before_cnt) / ANNOUNCES);
	CHECK(tally.near_met_cnt * 100 >= tally.near_cnt * NEAR_PERCENT);
	network_end();
}

int main(void)
{
	RUN(test_near_nodes_answer_a_query_in_two_seconds);
	RUN(test_an_announce_reaches_near_nodes_and_each_keeps_it_once);
	return check_done();
}
