/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reach of service messages with what relays keep. Providers announce, each node keeps what it gets,
 * and consumers ask for a class of offers. A pair is a query and an offer that fits, which a relay
 * within three hops of the consumer keeps. How many of the pairs are answered within two seconds?
 *
 * Four more networks. A third of all datagrams is lost, so sessions send them again later. Two parts
 * meet after they were apart. A tenth of the nodes lie. Providers are offline when they are asked for.
 *
 * SPREAD_NODES=2000 is a large network. Links take 20 to 100 ms. SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "codec/cbor.h"
#include "offers/message/service_query.h"
#include "offers/spread/offer_spread.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/seed.h"
#include "weft/bytes.h"

#define NODES_USUAL 200u
#define NODES_MAX   2000u
#define OFFERS_MAX  200u
#define CLASSES	    20u /* so ten offers fit a query */
#define DIALS	    4u	/* sessions that each node begins, so it has about twice as many */
#define QUERIES	    100u
#define NEAR_HOPS   3u
#define WITHIN_NS   (2 * NS_PER_S)
#define FAR_AWAY    255u
#define SERVICE	    2u
#define GAP_NS	    (50 * NS_PER_MS) /* between two announces */
#define SECRET	    0x5eedc0dea11f00dull
#define LOST_OF_100 30u
/* What a session needs to notice a loss and to send again, doubled with each further loss. */
#define AGAIN_NS (150 * NS_PER_MS)

enum role { HONEST, LIAR };

struct place {
	struct mesh *node;
	struct offer_spread *spread;
	struct timer_wheel timers;
	unsigned neighbours[64], neighbour_cnt;
	uint8_t held[OFFERS_MAX]; /* offers that it keeps */
	unsigned forged_cnt;
	enum role role;
	uint8_t hops, part;
};

static const struct mem_link link = {
	.delay_ns = 20 * NS_PER_MS, .jitter_ns = 80 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};
static struct mesh_lab lab;
static struct random dice;
static struct place *places;
static unsigned place_cnt, offer_cnt;
static struct spread_config config;
static uint64_t asked_ns, slowest_ns, announced_ns[OFFERS_MAX];
static bool answered[OFFERS_MAX];
static uint32_t delays_ms[OFFERS_MAX][NODES_MAX]; /* of each announce, until a node had it */
static unsigned reached_cnts[OFFERS_MAX];

static uint64_t on_wall_s(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&lab);
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

/* --- what a node does --- */

static enum spread_verdict keep_lying(struct place *place, const struct spread_message *message)
{
	uint32_t number = announce_read(message->parsed);
	uint8_t bytes[256];
	size_t len;

	if (number == OFFERS_MAX || place->held[number])
		return SPREAD_KNOWN;
	place->held[number] = true;
	/* It sends on another offer, the same one as if it came from here, and one that came too far. */
	len = announce_make(bytes, number, sign(number) ^ 1);
	(void)offers_spread_announce(place->spread, bytes, len, message->now_ns);
	len = announce_make(bytes, number, sign(number));
	(void)offers_spread_announce(place->spread, bytes, len, message->now_ns);
	bytes[SERVICE_MESSAGE_HOP_AT] = 3;
	(void)offers_spread_announce(place->spread, bytes, len, message->now_ns);
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
	if (place->held[number])
		return SPREAD_KNOWN;
	place->held[number] = true;
	delays_ms[number][reached_cnts[number]++] =
		(uint32_t)((lab.now_ns - announced_ns[number]) / NS_PER_MS);
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

		if (!place->held[number])
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
		place->spread, token, bytes,
		message_make(bytes, sizeof(bytes),
			     (struct service_message){.type = SERVICE_MESSAGE_RESPONSE}, &p),
		query->now_ns);
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	(void)ctx, (void)message;
	if (lab.now_ns > asked_ns + WITHIN_NS)
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
		if (lab.now_ns - asked_ns > slowest_ns)
			slowest_ns = lab.now_ns - asked_ns;
	}
}

static void on_turn(void *ctx, uint64_t now_ns)
{
	timer_wheel_expire(&((struct place *)ctx)->timers, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	return timer_wheel_next_ns(&((struct place *)ctx)->timers);
}

/* --- the network --- */

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

static struct mesh_lab_ask asked;

static void meet(unsigned from, unsigned to)
{
	static const uint8_t nothing[1];
	struct place *a = &places[from], *b = &places[to];

	for (unsigned i = 0; i < a->neighbour_cnt; i++)
		if (a->neighbours[i] == to)
			return;
	if (from == to || a->part != b->part || a->neighbour_cnt == 64 || b->neighbour_cnt == 64)
		return;
	do
		mesh_lab_ask(a->node, b->node, MESH_SERVICE_MESSAGE, nothing, sizeof(nothing),
			     &asked);
	while (asked.reply.err != WEFT_EMALFORMED);
	a->neighbours[a->neighbour_cnt++] = to;
	b->neighbours[b->neighbour_cnt++] = from;
}

static unsigned any_place(void)
{
	return (unsigned)random_below(&lab.dice, place_cnt);
}

/* liars of 100; parts that do not know each other. */
static void network_begin(unsigned liars, unsigned parts)
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
	offer_cnt = OFFERS_MAX < wanted ? OFFERS_MAX : wanted;
	slowest_ns = 0;
	memset(reached_cnts, 0, sizeof(reached_cnts));
	while (place_cnt < wanted)
		place_add();
	for (unsigned i = 0; i < wanted; i++) {
		places[i].role = i % 100 < liars ? LIAR : HONEST;
		places[i].part = (uint8_t)(i % parts);
	}
	for (unsigned i = 0; i < wanted; i++)
		for (unsigned dial = 0; dial < DIALS; dial++)
			meet(i, any_place());
}

static void network_end(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		offers_spread_free(places[i].spread);
	mesh_lab_fini(&lab);
	free(places);
}

/* The hops of nodes from one, by the shortest way over nodes that are up. */
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

			if (next->hops != FAR_AWAY || !next->node->is_up)
				continue;
			next->hops = (uint8_t)(place->hops + 1);
			queue[tail++] = place->neighbours[i];
		}
	}
}

struct traffic {
	uint64_t cnt, len;
};

static struct traffic traffic_now(void)
{
	struct traffic traffic = {0};
	struct spread_stats stats;

	for (unsigned i = 0; i < place_cnt; i++) {
		offers_spread_stats(places[i].spread, &stats);
		traffic.cnt += stats.sent_cnt + stats.unsent_cnt;
		traffic.len += stats.sent_len;
	}
	return traffic;
}

/* The provider of an offer is honest. */
static unsigned provider_of(uint32_t number)
{
	unsigned place = number * (place_cnt / offer_cnt);

	while (places[place].role != HONEST)
		place = (place + 1) % place_cnt;
	return place;
}

static int delay_compare(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b   ? -1
	       : *(const uint32_t *)a > *(const uint32_t *)b ? 1
							     : 0;
}

static void announce_all(const char *what)
{
	struct traffic before = traffic_now(), after;
	uint64_t reached = 0, late_ms = 0;

	for (uint32_t number = 0; number < offer_cnt; number++) {
		struct place *place = &places[provider_of(number)];
		uint8_t bytes[256];
		size_t len = announce_make(bytes, number, sign(number));

		place->held[number] = true;
		announced_ns[number] = lab.now_ns;
		(void)offers_spread_announce(place->spread, bytes, len, lab.now_ns);
		place->node->due_ns = 0;
		(void)mesh_lab_run(&lab, GAP_NS, NULL, NULL);
	}
	(void)mesh_lab_run(&lab, 4 * NS_PER_S, NULL, NULL);
	after = traffic_now();
	for (uint32_t number = 0; number < offer_cnt; number++) {
		unsigned cnt = reached_cnts[number];

		qsort(delays_ms[number], cnt, sizeof(uint32_t), delay_compare);
		reached += cnt;
		late_ms += cnt ? delays_ms[number][cnt - 1 - cnt / 100] : 0;
	}
	printf("# %s, %u nodes: an announce comes to %.1f %% of the nodes, to 99 %% of those "
	       "within %llu ms, by %.0f messages of %.0f bytes in all\n",
	       what, place_cnt, 100.0 * (double)reached / offer_cnt / (place_cnt - 1),
	       (unsigned long long)(late_ms / offer_cnt),
	       (double)(after.cnt - before.cnt) / offer_cnt,
	       (double)(after.len - before.len) / offer_cnt);
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
	random_fill(&lab.dice, token, sizeof(token));
	query.token = token;
	query.parts[0] = (struct service_query_part){
		.service = SERVICE, .filters = filters, .filters_len = writer_len(&f)};
	offers_query_write(&p, SERVICE, &query);
	len = message_make(bytes, sizeof(bytes),
			   (struct service_message){.type = SERVICE_MESSAGE_QUERY}, &p);
	memset(answered, 0, sizeof(answered));
	asked_ns = lab.now_ns;
	if (offers_spread_query(places[from].spread, bytes, len, lab.now_ns) < 1)
		abort();
	places[from].node->due_ns = 0;
	(void)mesh_lab_run(&lab, WITHIN_NS + 10 * NS_PER_MS, NULL, NULL);
	offers_spread_query_end(places[from].spread, token);
}

/* An honest relay near the consumer keeps it. The consumer's own store does not count. */
static bool lies_near(uint32_t number, unsigned from)
{
	for (unsigned i = 0; i < place_cnt; i++)
		if (i != from && places[i].hops <= NEAR_HOPS && places[i].role == HONEST &&
		    places[i].held[number])
			return true;
	return false;
}

/* A node may have no session, where another part has all that it would have. */
static bool may_ask(const struct place *place)
{
	if (place->role != HONEST || !place->node->is_up)
		return false;
	for (unsigned i = 0; i < place->neighbour_cnt; i++)
		if (places[place->neighbours[i]].node->is_up)
			return true;
	return false;
}

/* Returns the share of pairs that were answered, in percent. */
static double ask_all(const char *what)
{
	struct traffic before = traffic_now(), after;
	uint64_t pair_cnt = 0, answered_cnt = 0;

	for (unsigned n = 0; n < QUERIES; n++) {
		unsigned from = any_place(), class = n % CLASSES;

		while (!may_ask(&places[from]))
			from = any_place();
		hops_count(from);
		ask(from, class);
		for (uint32_t number = class; number < offer_cnt; number += CLASSES) {
			bool is_pair = lies_near(number, from);

			pair_cnt += is_pair;
			answered_cnt += is_pair && answered[number];
		}
	}
	after = traffic_now();
	printf("# %s, %u nodes: %.2f %% of %llu pairs of a query and an offer near it are answered "
	       "in 2 s, the slowest after %llu ms; %.0f messages a query, of %.0f bytes in all, "
	       "answers among them\n",
	       what, place_cnt, 100.0 * (double)answered_cnt / (double)pair_cnt,
	       (unsigned long long)pair_cnt, (unsigned long long)(slowest_ns / NS_PER_MS),
	       (double)(after.cnt - before.cnt) / QUERIES,
	       (double)(after.len - before.len) / QUERIES);
	return 100.0 * (double)answered_cnt / (double)pair_cnt;
}

/* --- networks --- */

static void test_offers_near_a_consumer_are_found_in_two_seconds(void)
{
	network_begin(0, 1);
	announce_all("quiet");
	CHECK(ask_all("quiet") >= 99);
	network_end();
}

/* What a session does with a loss: it sends again, later each time. */
static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	uint64_t wait_ns = 0, again_ns = AGAIN_NS;

	(void)ctx, (void)from, (void)to, (void)now_ns;
	while (random_below(&dice, 100) < LOST_OF_100) {
		wait_ns += again_ns;
		again_ns *= 2;
	}
	return wait_ns;
}

static void test_offers_are_found_where_a_third_of_all_datagrams_is_lost(void)
{
	network_begin(0, 1);
	net_mem_net_set_fate(lab.mem, on_fate, NULL);
	announce_all("lossy");
	CHECK(ask_all("lossy") >= 95);
	network_end();
}

static void test_offers_of_one_part_are_found_from_the_other_when_they_meet(void)
{
	unsigned met_cnt = 0;

	network_begin(0, 2);
	announce_all("apart");
	for (unsigned i = 0; i < place_cnt; i++)
		for (uint32_t number = 0; number < offer_cnt; number++)
			if (places[i].held[number])
				CHECK_EQ(places[i].part, places[provider_of(number)].part);
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].part = 0;
	/* One session in ten crosses. */
	for (unsigned i = 0; i < place_cnt; i += 10, met_cnt++)
		meet(i, (i + 1) % place_cnt);
	CHECK(met_cnt > 0);
	CHECK(ask_all("met again") >= 95);
	network_end();
}

static void test_liars_put_nothing_forged_into_a_store_and_hide_little(void)
{
	uint64_t refused_cnt = 0;

	network_begin(10, 1);
	announce_all("a tenth lies");
	CHECK(ask_all("a tenth lies") >= 99);
	for (unsigned i = 0; i < place_cnt; i++)
		refused_cnt += places[i].forged_cnt;
	printf("# %llu forged announces were refused\n", (unsigned long long)refused_cnt);
	CHECK(refused_cnt > 0);

	network_end();
}

static void test_offers_of_providers_that_are_offline_are_found(void)
{
	network_begin(0, 1);
	announce_all("providers go");
	/* Half of all providers, so that others are left to ask. */
	for (uint32_t number = 0; number < offer_cnt; number += 2) {
		struct place *place = &places[provider_of(number)];

		if (place->node->is_up)
			mesh_lab_down(place->node);
	}
	CHECK(ask_all("providers offline") >= 95);
	network_end();
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
