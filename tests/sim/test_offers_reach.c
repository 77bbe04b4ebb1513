/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reach of service messages with what relays keep. Providers announce, each node keeps what it gets,
 * and consumers ask for a class of offers. A pair is a query and an offer that fits, which a relay
 * within three hops of the consumer keeps. How many of the pairs are answered within two seconds?
 *
 * Four more networks. A third of all datagrams is lost, so sessions send them again later. Two parts
 * meet after they were apart. A tenth of the nodes lie. Providers are offline when they are asked for.
 *
 * SPREAD_NODES=2000 is a large network. SPREAD_DIALS=6 gives nodes twelve neighbours in place of eight.
 * Links take 20 to 100 ms. SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/cbor.h"
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/spread_net.h"
#include "weft/bytes.h"

#define OFFERS_MAX  200u /* at most SPREAD_NET_OFFERS_MAX */
#define CLASSES	    20u	 /* so ten offers fit a query */
#define DIALS	    4u	 /* sessions that each node begins, so it has about twice as many */
#define QUERIES	    100u
#define NEAR_HOPS   3u
#define WITHIN_NS   (2 * NS_PER_S)
#define SERVICE	    2u
#define SETTLE_NS   (8 * NS_PER_S)
#define GAP_NS	    (50 * NS_PER_MS) /* between two announces */
#define SECRET	    0x5eedc0dea11f00dull
#define LOST_OF_100 30u
/* What a session needs to notice a loss and to send again, doubled with each further loss. */
#define AGAIN_NS (150 * NS_PER_MS)

enum role { HONEST, LIAR };

struct place {
	struct spread_place at; /* first */
	unsigned forged_cnt;
	enum role role;
};

static struct spread_net net;
static unsigned offer_cnt;
static uint64_t asked_ns, slowest_ns, announced_ns[OFFERS_MAX];
static bool answered[OFFERS_MAX];
static uint32_t delays_ms[OFFERS_MAX]
			 [SPREAD_NET_NODES_MAX]; /* of each announce, until a node had it */
static unsigned reached_cnts[OFFERS_MAX];

static struct place *place_of(unsigned number)
{
	return (struct place *)(void *)spread_net_place(&net, number);
}

/* --- messages --- */

/* An offer is its number and what stands for a signature of it. */
static uint64_t sign(uint32_t number)
{
	uint64_t sum = SECRET + number;

	sum ^= sum >> 33;
	sum *= 0xff51afd7ed558ccdull;
	return sum ^ sum >> 29;
}

static size_t message_make(uint8_t *bytes, size_t cap, struct service_message message,
			   const struct writer *payload)
{
	struct writer w = writer_of(bytes, cap);

	message.service = SERVICE;
	message.version = 1;
	message.hop_max = 4;
	message.ttl_hours = 72;
	message.timestamp_s = MESH_LAB_WALL_S;
	message.payload = payload->start;
	message.payload_len = writer_len(payload);
	offers_message_write(&w, &message);
	if (w.bad)
		abort();
	return writer_len(&w);
}

/* 200 bytes, about what an offer of housing has. */
static size_t announce_make(uint8_t bytes[static 256], uint32_t number, uint64_t signature)
{
	static const uint8_t signed_by[NODE_KEY_SIG_LEN] = {1};
	uint8_t payload[100] = {0}, provider[SERVICE_MESSAGE_ADDRESS_LEN] = {1};
	struct writer p = writer_of(payload, sizeof(payload));

	writer_be32(&p, number);
	writer_be64(&p, signature);
	(void)writer_reserve(&p, sizeof(payload) - writer_len(&p));
	weft_store_be32(provider + 4, number);
	return message_make(bytes, 256,
			    (struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						     .provider = provider,
						     .signature = signed_by},
			    &p);
}

/* The number of a sound announce, or OFFERS_MAX. */
static uint32_t announce_read(const struct service_message *message)
{
	struct cursor c = cursor_of(message->payload, message->payload_len);
	uint32_t number = cursor_be32(&c);

	return cursor_be64(&c) == sign(number) && !c.bad && number < offer_cnt ? number
									       : OFFERS_MAX;
}

/* A liar gives what is none. */
static void on_give(struct spread_place *at, const uint8_t *peer, uint32_t number)
{
	const struct place *place = (const struct place *)(const void *)at;
	uint8_t bytes[256];
	struct spread_gift gift = {.bytes = bytes, .hop_cnt = at->shelf.hops[number]};

	gift.len = announce_make(bytes, number, sign(number) ^ (place->role == LIAR));
	offers_spread_give(at->node.spread, peer, &gift, net.lab.now_ns);
}

/* --- what a node does --- */

static enum spread_verdict keep_lying(struct place *place, const struct spread_message *message)
{
	uint32_t number = announce_read(message->parsed);
	uint8_t bytes[256];
	size_t len;

	if (number == OFFERS_MAX || place->at.shelf.held[number])
		return SPREAD_KNOWN;
	place->at.shelf.held[number] = true;
	/* It sends on another offer, the same one as if it came from here, and one that came too far. */
	len = announce_make(bytes, number, sign(number) ^ 1);
	(void)offers_spread_announce(place->at.node.spread, bytes, len, message->now_ns);
	len = announce_make(bytes, number, sign(number));
	(void)offers_spread_announce(place->at.node.spread, bytes, len, message->now_ns);
	bytes[SERVICE_MESSAGE_HOP_AT] = 3;
	(void)offers_spread_announce(place->at.node.spread, bytes, len, message->now_ns);
	return SPREAD_KNOWN;
}

static enum spread_verdict on_keep(void *ctx, const struct spread_message *message,
				   const char **out_why)
{
	struct place *place = ctx;
	uint32_t number = announce_read(message->parsed);

	if (place->role == LIAR)
		return keep_lying(place, message);
	*out_why = "forged";
	if (number == OFFERS_MAX) {
		place->forged_cnt++;
		return SPREAD_REFUSED;
	}
	if (place->at.shelf.held[number]) {
		spread_net_nearer(&place->at, number, (uint8_t)(message->parsed->hop_cnt + 1),
				  message->peer);
		return SPREAD_KNOWN;
	}
	spread_net_hold(&place->at, number, (uint8_t)(message->parsed->hop_cnt + 1));
	delays_ms[number][reached_cnts[number]++] =
		(uint32_t)((net.lab.now_ns - announced_ns[number]) / NS_PER_MS);
	return SPREAD_NEW;
}

static unsigned class_asked(const struct spread_message *query)
{
	struct service_query parsed;
	struct cbor_reader r;
	uint64_t key;

	if (offers_query_parse(query->parsed, &parsed) < 0)
		abort();
	cbor_reader_init(&r, parsed.parts[0].filters, parsed.parts[0].filters_len);
	cbor_enter_map(&r);
	return cbor_next_key(&r, &key) ? (unsigned)cbor_read_uint(&r) : 0;
}

static void on_answer(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	static struct service_response response;
	static uint8_t announces[OFFERS_MAX][256], payload[8192], bytes[8192];
	struct writer p = writer_of(payload, sizeof(payload));
	struct place *place = ctx;
	unsigned class = class_asked(query);

	offers_response_init(&response, token);
	for (uint32_t number = class; number < offer_cnt; number += CLASSES) {
		struct service_response_entry entry = {.announce = announces[number]};

		if (!place->at.shelf.held[number])
			continue;
		entry.announce_len =
			announce_make(announces[number], number,
				      place->role == LIAR ? sign(number) ^ 1 : sign(number));
		(void)offers_response_add_entry(&response, &entry);
	}
	if (response.entry_cnt == 0)
		return;
	offers_response_write(&p, &response);
	(void)offers_spread_respond(
		place->at.node.spread, token, bytes,
		message_make(bytes, sizeof(bytes),
			     (struct service_message){.type = SERVICE_MESSAGE_RESPONSE}, &p),
		query->now_ns);
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	(void)ctx, (void)message;
	if (net.lab.now_ns > asked_ns + WITHIN_NS)
		return;
	for (unsigned i = 0; i < response->entry_cnt; i++) {
		struct service_message announce;
		uint32_t number = OFFERS_MAX;

		if (offers_message_parse(response->entries[i].announce,
					 response->entries[i].announce_len, &announce) == 0)
			number = announce_read(&announce);
		if (number == OFFERS_MAX || answered[number])
			continue;
		answered[number] = true;
		if (net.lab.now_ns - asked_ns > slowest_ns)
			slowest_ns = net.lab.now_ns - asked_ns;
	}
}

/* --- the network --- */

/* liars of 100; parts that do not know each other. */
static void network_begin(unsigned liars, unsigned parts)
{
	const char *wanted = getenv("SPREAD_DIALS");
	unsigned dials = wanted ? (unsigned)strtoul(wanted, NULL, 10) : DIALS;

	net.handler =
		(struct spread_handler){.keep = on_keep, .answer = on_answer, .hear = on_hear};
	net.place_len = sizeof(struct place);
	net.give = on_give;
	spread_net_begin(&net, &(struct spread_net_params){.dials = dials, .parts = parts});
	offer_cnt = net.offer_cnt = OFFERS_MAX < net.cnt ? OFFERS_MAX : net.cnt;
	slowest_ns = 0;
	memset(reached_cnts, 0, sizeof(reached_cnts));
	for (unsigned i = 0; i < net.cnt; i++) {
		place_of(i)->role = i % 100 < liars ? LIAR : HONEST;
		place_of(i)->at.shelf.is_lying = place_of(i)->role == LIAR;
	}
}

/* The provider of an offer is honest. */
static unsigned provider_of(uint32_t number)
{
	unsigned place = number * (net.cnt / offer_cnt);

	while (place_of(place)->role != HONEST)
		place = (place + 1) % net.cnt;
	return place;
}

static int delay_compare(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b   ? -1
	       : *(const uint32_t *)a > *(const uint32_t *)b ? 1
							     : 0;
}

/* The share of nodes within four hops of its provider that keep an offer, in percent. */
static double near_share(void)
{
	uint64_t near_cnt = 0, held_cnt = 0;

	for (uint32_t number = 0; number < offer_cnt; number++) {
		spread_net_hops(&net, provider_of(number));
		for (unsigned i = 0; i < net.cnt; i++) {
			bool is_near = place_of(i)->at.hops <= SPREAD_NET_HOPS_MAX;

			near_cnt += is_near;
			held_cnt += is_near && place_of(i)->at.shelf.held[number];
		}
	}
	return 100.0 * (double)held_cnt / (double)near_cnt;
}

/* Returns the share of nodes near enough that have an announce, in percent. */
static double announce_all(const char *what)
{
	struct spread_traffic before = spread_net_traffic(&net), after;
	uint64_t reached = 0, late_ms = 0, wide_cnt = 0;
	unsigned wanted = (net.cnt - 1) - (net.cnt - 1) / 100;
	double near;

	for (uint32_t number = 0; number < offer_cnt; number++) {
		struct place *place = place_of(provider_of(number));
		uint8_t bytes[256];
		size_t len = announce_make(bytes, number, sign(number));

		spread_net_hold(&place->at, number, 0);
		announced_ns[number] = net.lab.now_ns;
		(void)offers_spread_announce(place->at.node.spread, bytes, len, net.lab.now_ns);
		spread_net_wake(&place->at);
		(void)mesh_lab_run(&net.lab, GAP_NS, NULL, NULL);
	}
	(void)mesh_lab_run(&net.lab, SETTLE_NS, NULL, NULL);
	after = spread_net_traffic(&net);
	near = near_share();
	for (uint32_t number = 0; number < offer_cnt; number++) {
		unsigned cnt = reached_cnts[number];

		qsort(delays_ms[number], cnt, sizeof(uint32_t), delay_compare);
		reached += cnt;
		wide_cnt += cnt >= wanted;
		if (cnt >= wanted && delays_ms[number][wanted - 1] > late_ms)
			late_ms = delays_ms[number][wanted - 1];
	}
	printf("# %s, %u nodes: an announce comes to %.2f %% of the nodes, and to %.2f %% of those "
	       "within four hops. %llu of %u come to 99 %%, the slowest in %llu ms. Each takes "
	       "%.0f messages of %.0f bytes in all, and %.0f of "
	       "%.0f bytes that say what is kept\n",
	       what, net.cnt, 100.0 * (double)reached / offer_cnt / (net.cnt - 1), near,
	       (unsigned long long)wide_cnt, offer_cnt, (unsigned long long)late_ms,
	       (double)(after.cnt - before.cnt) / offer_cnt,
	       (double)(after.len - before.len) / offer_cnt,
	       (double)(after.told_cnt - before.told_cnt) / offer_cnt,
	       (double)(after.told_len - before.told_len) / offer_cnt);
	return near;
}

/* --- queries --- */

static void ask(unsigned from, unsigned class)
{
	struct service_query query = {.part_cnt = 1, .result_max = 20};
	uint8_t token[SPREAD_TOKEN_LEN], filters[16], payload[64], bytes[256];
	struct writer f = writer_of(filters, sizeof(filters));
	struct writer p = writer_of(payload, sizeof(payload));
	size_t len;

	cbor_write_map(&f, 1);
	cbor_field_uint(&f, 1, class);
	random_fill(&net.lab.dice, token, sizeof(token));
	query.token = token;
	query.parts[0] = (struct service_query_part){
		.service = SERVICE, .filters = filters, .filters_len = writer_len(&f)};
	offers_query_write(&p, SERVICE, &query);
	len = message_make(bytes, sizeof(bytes),
			   (struct service_message){.type = SERVICE_MESSAGE_QUERY}, &p);
	memset(answered, 0, sizeof(answered));
	asked_ns = net.lab.now_ns;
	if (offers_spread_query(place_of(from)->at.node.spread, bytes, len, net.lab.now_ns) < 1)
		abort();
	spread_net_wake(&place_of(from)->at);
	(void)mesh_lab_run(&net.lab, WITHIN_NS + 10 * NS_PER_MS, NULL, NULL);
	offers_spread_query_end(place_of(from)->at.node.spread, token);
}

/* An honest relay near the consumer keeps it. The consumer's own store does not count. */
static bool lies_near(uint32_t number, unsigned from)
{
	for (unsigned i = 0; i < net.cnt; i++)
		if (i != from && place_of(i)->at.hops <= NEAR_HOPS && place_of(i)->role == HONEST &&
		    place_of(i)->at.shelf.held[number])
			return true;
	return false;
}

/* A node may have no session, where another part has all that it would have. */
static bool may_ask(const struct place *place)
{
	if (place->role != HONEST || !place->at.node.node->is_up)
		return false;
	for (unsigned i = 0; i < place->at.neighbour_cnt; i++)
		if (place_of(place->at.neighbours[i])->at.node.node->is_up)
			return true;
	return false;
}

/* Returns the share of pairs that were answered, in percent. */
static double ask_all(const char *what)
{
	struct spread_traffic before = spread_net_traffic(&net), after;
	uint64_t pair_cnt = 0, answered_cnt = 0;

	for (unsigned n = 0; n < QUERIES; n++) {
		unsigned from = spread_net_any(&net), class = n % CLASSES;

		while (!may_ask(place_of(from)))
			from = spread_net_any(&net);
		spread_net_hops(&net, from);
		ask(from, class);
		for (uint32_t number = class; number < offer_cnt; number += CLASSES) {
			bool is_pair = lies_near(number, from);

			pair_cnt += is_pair;
			answered_cnt += is_pair && answered[number];
		}
	}
	after = spread_net_traffic(&net);
	printf("# %s, %u nodes: %.2f %% of %llu pairs of a query and an offer near it are answered "
	       "in 2 s, the slowest after %llu ms; %.0f messages a query, of %.0f bytes in all, "
	       "answers among them\n",
	       what, net.cnt, 100.0 * (double)answered_cnt / (double)pair_cnt,
	       (unsigned long long)pair_cnt, (unsigned long long)(slowest_ns / NS_PER_MS),
	       (double)(after.cnt - before.cnt) / QUERIES,
	       (double)(after.len - before.len) / QUERIES);
	return 100.0 * (double)answered_cnt / (double)pair_cnt;
}

/* --- networks --- */

static void test_offers_near_a_consumer_are_found_in_two_seconds(void)
{
	network_begin(0, 1);
	CHECK(announce_all("quiet") >= 99.9);
	CHECK(ask_all("quiet") >= 99);
	spread_net_end(&net);
}

/* What a session does with a loss: it sends again, later each time. */
static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	uint64_t wait_ns = 0, again_ns = AGAIN_NS;

	(void)ctx, (void)from, (void)to, (void)now_ns;
	while (random_below(&net.dice, 100) < LOST_OF_100) {
		wait_ns += again_ns;
		again_ns *= 2;
	}
	return wait_ns;
}

static void test_offers_are_found_where_a_third_of_all_datagrams_is_lost(void)
{
	network_begin(0, 1);
	net_mem_net_set_fate(net.lab.mem, on_fate, NULL);
	CHECK(announce_all("lossy") >= 99);
	CHECK(ask_all("lossy") >= 95);
	spread_net_end(&net);
}

static void test_offers_of_one_part_are_found_from_the_other_when_they_meet(void)
{
	unsigned met_cnt = 0;

	network_begin(0, 2);
	(void)announce_all("apart");
	for (unsigned i = 0; i < net.cnt; i++)
		for (uint32_t number = 0; number < offer_cnt; number++)
			if (place_of(i)->at.shelf.held[number])
				CHECK_EQ(place_of(i)->at.part,
					 place_of(provider_of(number))->at.part);
	for (unsigned i = 0; i < net.cnt; i++)
		place_of(i)->at.part = 0;
	/* One session in ten crosses. */
	for (unsigned i = 0; i < net.cnt; i += 10, met_cnt++) {
		spread_net_meet(&net, i, (i + 1) % net.cnt);
		spread_net_tell(&net, i, (i + 1) % net.cnt);
	}
	CHECK(met_cnt > 0);
	CHECK(ask_all("met again") >= 95);
	/* By now relays have said to each other what they keep. */
	CHECK(near_share() >= 99);
	spread_net_end(&net);
}

static void test_liars_put_nothing_forged_into_a_store_and_hide_little(void)
{
	uint64_t refused_cnt = 0;

	network_begin(10, 1);
	(void)announce_all("a tenth lies");
	CHECK(ask_all("a tenth lies") >= 99);
	for (unsigned i = 0; i < net.cnt; i++)
		refused_cnt += place_of(i)->forged_cnt;
	printf("# %llu forged announces were refused\n", (unsigned long long)refused_cnt);
	CHECK(refused_cnt > 0);

	spread_net_end(&net);
}

static void test_offers_of_providers_that_are_offline_are_found(void)
{
	network_begin(0, 1);
	(void)announce_all("providers go");
	/* Half of all providers, so that others are left to ask. */
	for (uint32_t number = 0; number < offer_cnt; number += 2) {
		struct place *place = place_of(provider_of(number));

		if (place->at.node.node->is_up)
			mesh_lab_down(place->at.node.node);
	}
	CHECK(ask_all("providers offline") >= 95);
	spread_net_end(&net);
}

int main(void)
{
	RUN(test_offers_near_a_consumer_are_found_in_two_seconds);
	RUN(test_offers_are_found_where_a_third_of_all_datagrams_is_lost);
	RUN(test_offers_of_one_part_are_found_from_the_other_when_they_meet);
	RUN(test_liars_put_nothing_forged_into_a_store_and_hide_little);
	RUN(test_offers_of_providers_that_are_offline_are_found);
	return check_done();
}
