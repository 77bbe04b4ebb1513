/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsements from neighbour to neighbour; where messages of a service go, how often, and when. */
#include "offers/spread/offer_spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "offers/message/endorsement_message.h"
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/spread_node.h"

#define NODES	 12u
#define LAPSE_NS (2 * NS_PER_S)
#define SERVICE	 2u
/* Of the network, which looks at its nodes so often. */
#define LAB_STEP_NS (2 * NS_PER_MS)

struct place {
	struct spread_node at;
	uint8_t seen[64]; /* names of endorsements */
	unsigned seen_cnt, handed_cnt;
	enum spread_rank rank; /* of this one, to others */
	bool refuses;
	uint32_t announces_per_min, queries_per_min; /* as a schema says; 0: nothing */
	uint64_t asked_ns;			     /* when a query came */
	uint8_t answers_with;			     /* names an offer; 0: it answers nothing */
	unsigned heard_cnt;
};

static struct mesh_lab lab;
static struct random dice;
static struct place places[NODES];
static unsigned place_cnt;
static struct spread_config config;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

struct bytes {
	uint8_t at[ENDORSEMENT_MESSAGE_LEN_MAX];
	size_t len;
};

/* Of a provider whose address begins with name. */
static struct bytes endorsement_of(uint8_t name)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {3};
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {name, 1};
	const struct endorsement said = {.provider = provider,
					 .service = SERVICE,
					 .level = 1,
					 .made_s = mesh_lab_wall_s(&lab),
					 .expires_s = mesh_lab_wall_s(&lab) + 3600};
	struct bytes out;
	struct writer w = writer_of(out.at, sizeof(out.at));
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	offers_endorsement_write(&w, &said, key);
	node_key_free(key);
	out.len = writer_len(&w);
	return out;
}

static struct bytes message_of(uint8_t name, uint8_t hop_cnt)
{
	struct bytes said = endorsement_of(name), out;
	const struct endorsement_message message = {hop_cnt, said.at, said.len};
	struct writer w = writer_of(out.at, sizeof(out.at));

	offers_endorsement_message_write(&w, &message);
	out.len = writer_len(&w);
	return out;
}

/* --- nodes --- */

static enum spread_verdict on_keep(void *ctx, const struct spread_message *heard,
				   const char **out_why)
{
	struct place *place = ctx;

	(void)heard, (void)out_why;
	place->seen_cnt++;
	return SPREAD_NEW;
}

static enum spread_verdict on_endorse(void *ctx, const struct spread_endorsement *heard,
				      const char **out_why)
{
	struct place *place = ctx;
	struct endorsement said;

	place->handed_cnt++;
	if (offers_endorsement_parse(heard->bytes, heard->len, &said) < 0)
		abort();
	*out_why = "not here";
	if (place->refuses)
		return SPREAD_REFUSED;
	for (unsigned i = 0; i < place->seen_cnt; i++)
		if (place->seen[i] == said.provider[0])
			return SPREAD_KNOWN;
	place->seen[place->seen_cnt++] = said.provider[0];
	return SPREAD_NEW;
}

static uint32_t on_rate(void *ctx, const struct service_message *message)
{
	const struct place *place = ctx;

	return message->type == SERVICE_MESSAGE_QUERY ? place->queries_per_min
						      : place->announces_per_min;
}

static size_t service_message_of(uint8_t bytes[static 512], struct service_message message,
				 const struct writer *payload)
{
	struct writer w = writer_of(bytes, 512);

	message.service = SERVICE;
	message.hop_max = 4;
	message.ttl_hours = 1;
	message.timestamp_s = mesh_lab_wall_s(&lab);
	message.payload = payload->start;
	message.payload_len = writer_len(payload);
	offers_message_write(&w, &message);
	return writer_len(&w);
}

/* An answer of one offer, which its name alone tells from others. */
static void respond(struct place *place, const uint8_t *token, uint64_t now_ns)
{
	static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};
	static struct service_response response;
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {place->answers_with};
	uint8_t payload[300], announce[512], bytes[512];
	struct writer p = writer_of(payload, 1);
	struct service_response_entry entry = {.announce = announce};

	writer_u8(&p, 0xa0);
	entry.announce_len =
		service_message_of(announce,
				   (struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
							    .provider = provider,
							    .signature = signature},
				   &p);
	offers_response_init(&response, token);
	CHECK(offers_response_add_entry(&response, &entry));
	p = writer_of(payload, sizeof(payload));
	offers_response_write(&p, &response);
	CHECK(offers_spread_respond(
		place->at.spread, token, bytes,
		service_message_of(bytes,
				   (struct service_message){.type = SERVICE_MESSAGE_RESPONSE}, &p),
		now_ns));
}

static void on_query(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	struct place *place = ctx;

	place->asked_ns = query->now_ns;
	if (place->answers_with)
		respond(place, token, query->now_ns);
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	struct place *place = ctx;

	(void)message;
	place->heard_cnt += response->entry_cnt;
}

static enum spread_rank on_rank(void *ctx, uint32_t service, const uint8_t *peer)
{
	(void)ctx;
	if (service != SERVICE)
		abort();
	for (unsigned i = 0; i < place_cnt; i++)
		if (memcmp(places[i].at.node->key, peer, MESH_KEY_LEN) == 0)
			return places[i].rank;
	return SPREAD_RANK_USUAL;
}

static void place_add(void)
{
	struct place *place = &places[place_cnt++];
	const struct spread_params params = {
		.config = config,
		.handler = {.keep = on_keep,
			    .endorse = on_endorse,
			    .rank = on_rank,
			    .rate = on_rate,
			    .answer = on_query,
			    .hear = on_hear,
			    .ctx = place},
		.random = &dice,
	};

	*place = (struct place){.rank = SPREAD_RANK_USUAL};
	spread_node_add(&lab, &params, &place->at);
}

static void begin(unsigned cnt)
{
	random_init_seeded(&dice, 7);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	place_cnt = 0;
	offers_spread_config_defaults(&config);
	while (place_cnt < cnt)
		place_add();
}

static void end_all(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		spread_node_free(&places[i].at);
	mesh_lab_fini(&lab);
}

static struct mesh_lab_ask asked;

static int tell(struct place *from, const struct place *to, const void *bytes, size_t len)
{
	mesh_lab_ask(from->at.node, to->at.node, MESH_ENDORSE, bytes, len, &asked);
	return asked.reply.err;
}

static void meet(struct place *from, const struct place *to)
{
	static const uint8_t nothing[1];

	CHECK_EQ(tell(from, to, nothing, sizeof(nothing)), WEFT_EMALFORMED);
}

static void settle(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].at.node->due_ns = 0;
	(void)mesh_lab_run(&lab, LAPSE_NS, NULL, NULL);
}

static void say(struct place *place, uint8_t name)
{
	struct bytes said = endorsement_of(name);

	(void)offers_spread_endorse(
		place->at.spread, NULL, SERVICE,
		&(const struct spread_endorsement){said.at, said.len, NULL, lab.now_ns});
	settle();
}

/* --- tests --- */

static void test_in_a_line_of_ten_an_endorsement_reaches_four_nodes(void)
{
	begin(10);
	for (unsigned i = 1; i < 10; i++)
		meet(&places[i - 1], &places[i]);
	say(&places[0], 1);
	for (unsigned i = 1; i < 10; i++)
		CHECK_EQ(places[i].seen_cnt, i <= 4);
	end_all();
}

static void test_in_a_ring_of_six_each_node_keeps_an_endorsement_once(void)
{
	begin(6);
	for (unsigned i = 0; i < 6; i++)
		meet(&places[i], &places[(i + 1) % 6]);
	places[0].seen[places[0].seen_cnt++] = 1; /* its own */
	say(&places[0], 1);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(places[i].seen_cnt, 1);
		CHECK(places[i].handed_cnt <= 2);
	}
	end_all();
}

static void test_what_came_too_far_or_is_none_is_refused(void)
{
	struct bytes message;

	begin(2);
	message = message_of(1, 3);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), 0);
	CHECK_EQ(places[1].seen_cnt, 1);
	message = message_of(2, 4);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), WEFT_EREFUSED);
	for (size_t cut = 0; cut < message.len; cut++)
		CHECK_EQ(tell(&places[0], &places[1], message.at, cut), WEFT_EMALFORMED);
	places[1].refuses = true;
	message = message_of(2, 3);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), WEFT_EREFUSED);
	CHECK_EQ(places[1].seen_cnt, 1);
	end_all();
}

static void test_a_neighbour_may_send_ten_of_an_endorser_in_a_minute_and_no_more(void)
{
	struct bytes message;

	begin(2);
	for (uint8_t name = 0; name < 10; name++) {
		message = message_of(name, 0);
		CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), 0);
	}
	message = message_of(10, 0);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), WEFT_EREFUSED);
	CHECK_EQ(places[1].seen_cnt, 10);
	(void)mesh_lab_run(&lab, 120 * NS_PER_S, NULL, NULL);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), 0);
	end_all();
}

static void test_messages_go_to_those_of_the_first_rank_and_to_none_that_is_left_out(void)
{
	struct spread_endorsement one;
	struct bytes said;

	begin(0);
	config.fan_out = 4;
	while (place_cnt < 11)
		place_add();
	for (unsigned i = 1; i < 11; i++)
		meet(&places[0], &places[i]);
	for (unsigned i = 1; i < 11; i++)
		places[i].rank = i <= 2	  ? SPREAD_RANK_FIRST
				 : i <= 3 ? SPREAD_RANK_USUAL
				 : i <= 9 ? SPREAD_RANK_LAST
					  : SPREAD_RANK_NEVER;
	for (uint8_t name = 1; name <= 5; name++)
		say(&places[0], name);
	for (unsigned i = 1; i <= 3; i++)
		CHECK_EQ(places[i].seen_cnt, 5);
	CHECK_EQ(places[4].seen_cnt + places[5].seen_cnt + places[6].seen_cnt + places[7].seen_cnt +
			 places[8].seen_cnt + places[9].seen_cnt,
		 5);
	CHECK_EQ(places[10].seen_cnt, 0);
	/* Nor does it get what is for it alone, as when its session begins. */
	said = endorsement_of(9);
	one = (struct spread_endorsement){said.at, said.len, NULL, lab.now_ns};
	CHECK_EQ(offers_spread_endorse(places[0].at.spread, places[10].at.node->key, SERVICE, &one),
		 0);
	CHECK_EQ(offers_spread_endorse(places[0].at.spread, places[9].at.node->key, SERVICE, &one),
		 1);
	end_all();
}

/* --- rates and times --- */

static size_t query_make(uint8_t bytes[static 512], uint32_t name)
{
	static const uint8_t no_filter[] = {0xa0};
	uint8_t token[SPREAD_TOKEN_LEN] = {1}, payload[128];
	const struct service_query query = {
		.token = token,
		.parts = {{.service = SERVICE, .filters = no_filter, .filters_len = 1}},
		.part_cnt = 1,
		.result_max = 20,
	};
	struct writer p = writer_of(payload, sizeof(payload));

	memcpy(token + 4, &name, sizeof(name));
	offers_query_write(&p, SERVICE, &query);
	return service_message_of(bytes, (struct service_message){.type = SERVICE_MESSAGE_QUERY},
				  &p);
}

static int ask(struct place *from, const struct place *to, uint32_t name)
{
	uint8_t bytes[512];
	size_t len = query_make(bytes, name);

	mesh_lab_ask(from->at.node, to->at.node, MESH_SERVICE_MESSAGE, bytes, len, &asked);
	return asked.reply.err;
}

/* Three relays have the same offer and the last one another: the first passes each back once. */
static void test_an_offer_goes_back_to_a_query_once(void)
{
	uint8_t bytes[512];
	size_t len;

	begin(5);
	meet(&places[0], &places[1]);
	for (unsigned i = 2; i < 5; i++)
		meet(&places[1], &places[i]);
	for (unsigned i = 1; i < 5; i++)
		places[i].answers_with = i < 4 ? 7 : 8;
	len = query_make(bytes, 1);
	CHECK_EQ(offers_spread_query(places[0].at.spread, bytes, len, lab.now_ns), 1);
	settle();
	CHECK_EQ(places[0].heard_cnt, 2);
	/* Another query gets them again. */
	len = query_make(bytes, 2);
	CHECK_EQ(offers_spread_query(places[0].at.spread, bytes, len, lab.now_ns), 1);
	settle();
	CHECK_EQ(places[0].heard_cnt, 4);
	end_all();
}

static void test_a_schemas_own_rates_go_before_what_is_configured(void)
{
	struct bytes message;

	begin(2);
	places[0].at.node->caps = 0; /* one that asks for itself */
	places[1].announces_per_min = 12;
	places[1].queries_per_min = 2;
	for (uint8_t name = 0; name < 12; name++) {
		message = message_of(name, 0);
		CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), 0);
	}
	message = message_of(12, 0);
	CHECK_EQ(tell(&places[0], &places[1], message.at, message.len), WEFT_EREFUSED);
	CHECK_EQ(ask(&places[0], &places[1], 1), 0);
	CHECK_EQ(ask(&places[0], &places[1], 2), 0);
	CHECK_EQ(ask(&places[0], &places[1], 3), WEFT_EREFUSED);
	end_all();
}

/* Links take 10 ms, always. What comes on top of that is the wait. */
static void test_a_query_waits_for_a_random_time_within_the_bound(void)
{
	uint64_t least_ns = UINT64_MAX, most_ns = 0;
	unsigned first_half_cnt = 0;

	begin(3);
	for (unsigned i = 0; i < 3; i++)
		places[i].queries_per_min = 1000000;
	meet(&places[0], &places[1]);
	meet(&places[1], &places[2]);
	for (uint32_t name = 1; name <= 200; name++) {
		uint64_t wait_ns;

		CHECK_EQ(ask(&places[0], &places[1], name), 0);
		(void)mesh_lab_run(&lab, NS_PER_S, NULL, NULL);
		CHECK(places[2].asked_ns > places[1].asked_ns);
		wait_ns = places[2].asked_ns - places[1].asked_ns - calm.delay_ns;
		CHECK(wait_ns <= SPREAD_JITTER_NS + LAB_STEP_NS);
		least_ns = wait_ns < least_ns ? wait_ns : least_ns;
		most_ns = wait_ns > most_ns ? wait_ns : most_ns;
		first_half_cnt += wait_ns < SPREAD_JITTER_NS / 2;
	}
	CHECK(least_ns < SPREAD_JITTER_NS / 10);
	CHECK(most_ns > SPREAD_JITTER_NS / 10 * 9);
	CHECK(first_half_cnt > 70 && first_half_cnt < 130);
	end_all();
}

int main(void)
{
	RUN(test_in_a_line_of_ten_an_endorsement_reaches_four_nodes);
	RUN(test_in_a_ring_of_six_each_node_keeps_an_endorsement_once);
	RUN(test_what_came_too_far_or_is_none_is_refused);
	RUN(test_a_neighbour_may_send_ten_of_an_endorser_in_a_minute_and_no_more);
	RUN(test_messages_go_to_those_of_the_first_rank_and_to_none_that_is_left_out);
	RUN(test_a_schemas_own_rates_go_before_what_is_configured);
	RUN(test_an_offer_goes_back_to_a_query_once);
	RUN(test_a_query_waits_for_a_random_time_within_the_bound);
	return check_done();
}
