/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SPREAD_ROUTE_RIG_H
#define WEFT_TESTS_SPREAD_ROUTE_RIG_H

/* Nodes of a mesh lab with ways to providers. What their handlers are asked is counted. */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "offers/message/service_query.h"
#include "offers/spread/spread_state.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/spread_node.h"

#define NODES	 20u
#define LAPSE_NS (2 * NS_PER_S)
#define LONG_NS	 (30 * NS_PER_S)

struct place {
	struct spread_node at;
	unsigned kept_cnt, reserved_cnt, stranded_cnt;
	char dir[SCRATCH_CAP]; /* of store */
	struct store *store;   /* NULL: it has none */
	uint8_t stranded_from[MESH_KEY_LEN];
	uint64_t reserved_ns; /* when the last one came */
	bool refuses, keeps, has_copy;
	enum spread_verdict kept;
};

static struct mesh_lab lab;
static struct random dice;
static struct place places[NODES];
static unsigned place_cnt;
static struct spread_config config;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

struct bytes {
	uint8_t at[512];
	size_t len;
};

static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};

static inline struct bytes message_of(struct service_message message, const uint8_t *provider)
{
	static const uint8_t payload[16] = {1};
	struct bytes out;
	struct writer w = writer_of(out.at, sizeof(out.at));

	message.service = 2;
	message.version = 1;
	message.ttl_hours = 72;
	message.provider = provider;
	message.timestamp_s = mesh_lab_wall_s(&lab);
	message.payload = payload;
	message.payload_len = sizeof(payload);
	offers_message_write(&w, &message);
	out.len = writer_len(&w);
	return out;
}

static inline struct bytes announce_of(const struct place *place)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(place->at.node->key, address);
	return message_of((struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						   .signature = signature,
						   .hop_max = 16},
			  address);
}

static inline struct bytes reserve_of(const struct place *provider, uint8_t hop_cnt)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(provider->at.node->key, address);
	return message_of((struct service_message){.type = SERVICE_MESSAGE_RESERVE,
						   .hop_cnt = hop_cnt,
						   .hop_max = UINT8_MAX},
			  address);
}

static inline enum spread_verdict on_keep(void *ctx, const struct spread_message *heard,
					  const char **out_why)
{
	struct place *place = ctx;

	(void)heard, (void)out_why;
	return place->kept_cnt++ ? SPREAD_KNOWN : place->kept;
}

static inline bool on_compare(void *ctx, const struct spread_message *heard)
{
	(void)heard;
	return ((struct place *)ctx)->has_copy;
}

static inline void on_query(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	(void)ctx, (void)query, (void)token;
}

static inline void on_hear(void *ctx, const struct spread_message *message,
			   const struct service_response *response)
{
	(void)ctx, (void)message, (void)response;
}

static inline enum spread_verdict on_reserve(void *ctx, const struct spread_message *message,
					     const char **out_why)
{
	struct place *place = ctx;

	(void)message;
	place->reserved_cnt++;
	place->reserved_ns = lab.now_ns;
	*out_why = "it is not wanted";
	return place->refuses ? SPREAD_REFUSED : SPREAD_NEW;
}

static inline enum spread_verdict on_strand(void *ctx, const struct spread_message *message,
					    const char **out_why)
{
	struct place *place = ctx;

	(void)out_why;
	place->stranded_cnt++;
	memcpy(place->stranded_from, message->peer, MESH_KEY_LEN);
	return place->keeps ? SPREAD_NEW : SPREAD_REFUSED;
}

static inline void place_add(void)
{
	struct place *place = &places[place_cnt++];
	const struct spread_params params = {
		.config = config,
		.handler = {.keep = on_keep,
			    .is_kept = on_compare,
			    .answer = on_query,
			    .hear = on_hear,
			    .reserve = on_reserve,
			    .strand = on_strand,
			    .ctx = place},
		.random = &dice,
	};

	*place = (struct place){.keeps = true, .kept = SPREAD_NEW};
	spread_node_add(&lab, &params, &place->at);
}

static struct mesh_lab_ask asked;

static inline int tell(const struct place *from, const struct place *to,
		       const struct bytes *message)
{
	mesh_lab_ask(from->at.node, to->at.node, MESH_SERVICE_MESSAGE, message->at, message->len,
		     &asked);
	return asked.reply.err;
}

/* A session, by a message that is none. */
static inline void meet(const struct place *from, const struct place *to)
{
	static const struct bytes none = {.len = 1};

	CHECK_EQ(tell(from, to, &none), WEFT_EMALFORMED);
}

static inline void settle(uint64_t ns)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].at.node->due_ns = 0;
	(void)mesh_lab_run(&lab, ns, NULL, NULL);
}

/* A line of nodes, of which the first one announces an offer. */
static inline void begin(unsigned cnt)
{
	random_init_seeded(&dice, 7);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	place_cnt = 0;
	offers_spread_config_defaults(&config);
	config.hops_max = 16;
	for (unsigned i = 0; i < cnt; i++)
		place_add();
	for (unsigned i = 1; i < cnt; i++)
		meet(&places[i], &places[i - 1]);
}

static inline void announce(struct place *place)
{
	const struct bytes bytes = announce_of(place);

	(void)offers_spread_announce(place->at.spread, bytes.at, bytes.len, lab.now_ns);
	settle(LAPSE_NS);
}

static const uint8_t *avoided; /* by what is reserved */

static inline bool reserve(struct place *consumer, const struct place *provider)
{
	const struct bytes bytes = reserve_of(provider, 1);
	const struct spread_walk walk = {.bytes = bytes.at, .len = bytes.len, .avoid = avoided};
	bool is_sent = offers_spread_walk(consumer->at.spread, &walk, lab.now_ns);

	settle(LAPSE_NS);
	return is_sent;
}

static inline void end_all(void)
{
	for (unsigned i = 0; i < place_cnt; i++) {
		spread_node_free(&places[i].at);
		if (!places[i].store)
			continue;
		store_close(places[i].store);
		scratch_remove(places[i].dir);
	}
	mesh_lab_fini(&lab);
}

static inline struct spread_stats stats_of(const struct place *place)
{
	struct spread_stats stats;

	offers_spread_stats(place->at.spread, &stats);
	return stats;
}

#endif
