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
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/spread_net.h"

#define DIALS	  4u /* sessions that each node begins, so it has about twice as many */
#define QUERIES	  100u
#define ANNOUNCES 50u
#define NEAR_HOPS 3u
#define NEAR_PERCENT                                                                               \
	(net.cnt <= SPREAD_NET_NODES_USUAL ? 99u : 90u) /* of near nodes answer, or keep */
#define WITHIN_NS (2 * NS_PER_S)
#define SERVICE	  2u

struct place {
	struct spread_place at; /* first */
	unsigned asked_cnt, heard_cnt, kept_cnt;
	bool is_met; /* it answered the query, or keeps the announce */
};

static struct spread_net net;
static unsigned answered_cnt;
static uint64_t asked_ns, slowest_ns;

static struct place *place_of(unsigned number)
{
	return (struct place *)(void *)spread_net_place(&net, number);
}

static void message_make(struct writer *w, struct service_message message, const void *payload,
			 size_t len)
{
	message.service = SERVICE;
	message.version = 1;
	message.hop_max = 4;
	message.ttl_hours = 72;
	message.timestamp_s = mesh_lab_wall_s(&net.lab);
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
	const uint32_t number = spread_net_number(&net, place);

	place->asked_cnt++;
	offers_response_init(&response, token);
	(void)offers_response_add_endorsement(&response, (const uint8_t *)&number, sizeof(number));
	offers_response_write(&p, &response);
	message_make(&w, (struct service_message){.type = SERVICE_MESSAGE_RESPONSE}, payload,
		     writer_len(&p));
	(void)offers_spread_respond(place->at.node.spread, token, bytes, writer_len(&w),
				    query->now_ns);
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
	if (number >= net.cnt || place_of(number)->is_met || net.lab.now_ns > asked_ns + WITHIN_NS)
		return;
	place_of(number)->is_met = true;
	answered_cnt++;
	if (net.lab.now_ns - asked_ns > slowest_ns)
		slowest_ns = net.lab.now_ns - asked_ns;
}

static void network_begin(void)
{
	net.handler =
		(struct spread_handler){.keep = on_keep, .answer = on_answer, .hear = on_hear};
	net.place_len = sizeof(struct place);
	spread_net_begin(&net, &(struct spread_net_params){.dials = DIALS});
}

/* How many of the nodes near a query or an announce it met, and how many of all. */
struct tally {
	uint64_t near_cnt, near_met_cnt, met_cnt;
};

static void tally_add(struct tally *tally, unsigned from)
{
	for (unsigned i = 0; i < net.cnt; i++) {
		bool is_near = i != from && place_of(i)->at.hops <= NEAR_HOPS;

		tally->near_cnt += is_near;
		tally->near_met_cnt += is_near && place_of(i)->is_met;
		tally->met_cnt += i != from && place_of(i)->is_met;
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

	random_fill(&net.lab.dice, token, sizeof(token));
	query.token = token;
	query.parts[0] = (struct service_query_part){
		.service = SERVICE, .filters = no_filter, .filters_len = sizeof(no_filter)};
	offers_query_write(&p, SERVICE, &query);
	message_make(&w, (struct service_message){.type = SERVICE_MESSAGE_QUERY}, payload,
		     writer_len(&p));
	for (unsigned i = 0; i < net.cnt; i++)
		place_of(i)->is_met = false;
	asked_ns = net.lab.now_ns;
	if (offers_spread_query(place_of(from)->at.node.spread, bytes, writer_len(&w),
				net.lab.now_ns) < 1)
		abort();
	spread_net_wake(&place_of(from)->at); /* it did something outside of its turn */
	(void)mesh_lab_run(&net.lab, WITHIN_NS + 10 * NS_PER_MS, NULL, NULL);
	offers_spread_query_end(place_of(from)->at.node.spread, token);
}

static void test_near_nodes_answer_a_query_in_two_seconds(void)
{
	struct tally tally = {0};
	uint64_t before_cnt;

	network_begin();
	before_cnt = spread_net_traffic(&net).cnt;
	for (unsigned n = 0; n < QUERIES; n++) {
		unsigned from = spread_net_any(&net);

		spread_net_hops(&net, from);
		ask(from);
		tally_add(&tally, from);
	}
	printf("# %u nodes, %u queries: %.2f %% of the nodes within %u hops answered, %.1f %% of "
	       "all; the slowest answer took %llu ms; %.0f messages a query, answers among them\n",
	       net.cnt, QUERIES, tally_near(&tally), NEAR_HOPS,
	       100.0 * (double)tally.met_cnt / (double)(QUERIES * (net.cnt - 1)),
	       (unsigned long long)(slowest_ns / NS_PER_MS),
	       (double)(spread_net_traffic(&net).cnt - before_cnt) / QUERIES);
	CHECK(tally.near_met_cnt * 100 >= tally.near_cnt * NEAR_PERCENT);
	spread_net_end(&net);
}

/* --- announces --- */

static void test_an_announce_reaches_near_nodes_and_each_keeps_it_once(void)
{
	static const uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {1}, signature[64] = {1};
	struct tally tally = {0};
	uint64_t before_cnt;

	network_begin();
	before_cnt = spread_net_traffic(&net).cnt;
	for (unsigned n = 0; n < ANNOUNCES; n++) {
		unsigned from = spread_net_any(&net);
		uint8_t bytes[256];
		struct writer w = writer_of(bytes, sizeof(bytes));

		message_make(&w,
			     (struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						      .provider = address,
						      .signature = signature},
			     &n, sizeof(n));
		spread_net_hops(&net, from);
		for (unsigned i = 0; i < net.cnt; i++)
			place_of(i)->is_met = i == from;
		(void)offers_spread_announce(place_of(from)->at.node.spread, bytes, writer_len(&w),
					     net.lab.now_ns);
		spread_net_wake(&place_of(from)->at);
		(void)mesh_lab_run(&net.lab, WITHIN_NS, NULL, NULL);
		tally_add(&tally, from);
	}
	printf("# %u nodes, %u announces: %.2f %% of the nodes within %u hops keep them, %.1f %% "
	       "of all; %.0f messages an announce\n",
	       net.cnt, ANNOUNCES, tally_near(&tally), NEAR_HOPS,
	       100.0 * (double)tally.met_cnt / (double)(ANNOUNCES * (net.cnt - 1)),
	       (double)(spread_net_traffic(&net).cnt - before_cnt) / ANNOUNCES);
	CHECK(tally.near_met_cnt * 100 >= tally.near_cnt * NEAR_PERCENT);
	spread_net_end(&net);
}

int main(void)
{
	RUN(test_near_nodes_answer_a_query_in_two_seconds);
	RUN(test_an_announce_reaches_near_nodes_and_each_keeps_it_once);
	return check_done();
}
