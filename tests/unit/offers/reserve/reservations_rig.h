/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RESERVATIONS_RIG_H
#define WEFT_TESTS_RESERVATIONS_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "offers/reserve/reservations.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/*
 * A provider and a consumer, each with a store in a scratch directory. What is sent arrives at once,
 * and boxes are an array. The offers are a table of this rig.
 */
#define RIG_NOON_S  1800000000ull
#define RIG_SERVICE 2u
#define RIG_OFFERS  4u
#define RIG_BOXED   64u

struct rig_side {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct node_key *key;
	struct timer_wheel timers;
	struct reservations *reservations;
	unsigned happened[RESERVATION_EVENT_CNT];
	bool is_cut; /* nothing that it sends arrives */
};

struct rig_boxed {
	uint8_t recipient[NODE_KEY_LEN], receipt[16], bytes[RESERVATION_MESSAGE_MAX];
	size_t len;
	bool is_there;
};

struct rig {
	struct rig_side provider, consumer;
	struct random dice;
	uint64_t now_s, now_ns;
	uint8_t box[NODE_KEY_LEN]; /* the STORE node */
	struct rig_boxed boxed[RIG_BOXED];
	unsigned put_cnt, sent_cnt, settled_cnt, done_cnt, failed_cnt;
	uint8_t sent[RESERVATION_MESSAGE_MAX]; /* the latest one */
	size_t sent_len;
	uint8_t neighbour; /* that brings what is sent */
	enum reservation_verdict verdict;
	/* offers */
	uint32_t units[RIG_OFFERS];
	uint64_t expires_s, slot_s;
	bool is_withdrawn, has_image; /* the offer's key is the image of the provider's */
};

static struct rig rig;

static inline struct rig_side *rig_other(struct rig_side *side)
{
	return side == &rig.provider ? &rig.consumer : &rig.provider;
}

static inline void rig_name(unsigned offer, struct offer_name *name)
{
	memset(name, 0, sizeof(*name));
	name->service = RIG_SERVICE;
	offers_address(node_key_public(rig.provider.key), name->provider);
	name->offer_id[0] = (uint8_t)(offer + 1);
}

static inline int rig_offer(void *ctx, const struct offer_name *name, struct reservation_offer *out)
{
	unsigned offer = name->offer_id[0] - 1u;
	uint8_t secret[AGREED_KEY_LEN];

	if (offer >= RIG_OFFERS || name->service != RIG_SERVICE)
		return WEFT_EABSENT;
	if (rig.is_withdrawn || rig.now_s >= rig.expires_s)
		return WEFT_ESTALE;
	*out = (struct reservation_offer){.is_own = ctx == &rig.provider,
					  .version = 1,
					  .units = rig.units[offer],
					  .expires_s = rig.expires_s,
					  .slot_s = rig.slot_s};
	memcpy(out->provider_key, node_key_public(rig.provider.key), NODE_KEY_LEN);
	offers_reserve_secret(rig.provider.key, RIG_SERVICE, name->offer_id, secret);
	agreed_public(secret, out->reserve_key);
	if (rig.has_image && agreed_public_of_node(out->provider_key, out->reserve_key) < 0)
		abort();
	return 0;
}

static inline enum reservation_verdict rig_bring(const uint8_t *bytes, size_t len)
{
	const struct addr source = {.ip = {20, 0, rig.neighbour, 1}, .family = ADDR_IPV4};
	const uint8_t neighbour[NODE_KEY_LEN] = {1, rig.neighbour};
	struct service_message message;
	const struct reservation_heard heard = {.message = &message,
						.neighbour = neighbour,
						.source = &source,
						.now_ns = rig.now_ns};

	if (offers_message_parse(bytes, len, &message) < 0)
		return RESERVATION_NOT_FOR;
	return offers_reservations_hear(rig.provider.reservations, &heard);
}

static inline bool rig_send(void *ctx, const struct reservation_sent *sent, uint64_t now_ns)
{
	struct rig_side *side = ctx;

	(void)now_ns;
	rig.sent_cnt++;
	memcpy(rig.sent, sent->bytes, sent->len);
	rig.sent_len = sent->len;
	if (memcmp(sent->store, rig.box, NODE_KEY_LEN) != 0)
		abort();
	if (!side->is_cut && rig.provider.reservations)
		rig.verdict = rig_bring(sent->bytes, sent->len);
	return !side->is_cut;
}

static inline void rig_happened(void *ctx, enum reservation_event_kind kind,
				const struct reservation_view *view)
{
	(void)view;
	((struct rig_side *)ctx)->happened[kind]++;
}

static inline uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return rig.now_s;
}

static inline int rig_put(void *ctx, const struct offers_deposit *deposit,
			  void (*done)(void *arg, int err), void *arg, uint64_t now_ns)
{
	struct rig_side *side = ctx;
	struct rig_boxed *boxed;

	(void)now_ns;
	if (side->is_cut)
		return WEFT_EBUSY;
	if (memcmp(deposit->store, rig.box, NODE_KEY_LEN) != 0 || rig.put_cnt == RIG_BOXED)
		abort();
	boxed = &rig.boxed[rig.put_cnt++];
	memcpy(boxed->recipient, deposit->recipient, NODE_KEY_LEN);
	memcpy(boxed->receipt, deposit->receipt, sizeof(boxed->receipt));
	memcpy(boxed->bytes, deposit->bytes, deposit->len);
	boxed->len = deposit->len;
	boxed->is_there = true;
	done(arg, 0);
	return 0;
}

static inline enum reservation_verdict rig_deliver(const uint8_t *recipient, const uint8_t *bytes,
						   size_t len)
{
	struct service_message message;
	const struct reservation_heard heard = {
		.message = &message, .ticket = 7, .now_ns = rig.now_ns};

	if (offers_message_parse(bytes, len, &message) < 0)
		return RESERVATION_NOT_FOR;
	return offers_reservations_answer(rig.consumer.reservations, recipient, &heard);
}

static inline int rig_pull(void *ctx, const struct offers_pull *pull, uint64_t now_ns)
{
	(void)ctx;
	if (memcmp(pull->store, rig.box, NODE_KEY_LEN) != 0)
		abort();
	for (unsigned i = 0; i < rig.put_cnt; i++) {
		struct rig_boxed *boxed = &rig.boxed[i];

		if (!boxed->is_there ||
		    memcmp(boxed->recipient, node_key_public(pull->key), NODE_KEY_LEN) != 0)
			continue;
		rig.verdict = rig_deliver(boxed->recipient, boxed->bytes, boxed->len);
		boxed->is_there = rig.verdict == RESERVATION_LAGS;
	}
	pull->done(pull->arg, 0, 0, now_ns);
	return 0;
}

static inline void rig_settle(void *ctx, uint64_t ticket, int err, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	CHECK_EQ(ticket, 7);
	rig.settled_cnt += err == 0;
}

static inline void rig_open(struct rig_side *side)
{
	struct reservations_params params = {
		.key = side->key,
		.timers = &side->timers,
		.random = &rig.dice,
		.around = {.offer = rig_offer,
			   .send = rig_send,
			   .happened = rig_happened,
			   .wall_s = rig_wall_s,
			   .ctx = side},
		.boxes = {.put = rig_put, .pull = rig_pull, .settle = rig_settle, .ctx = side},
		.now_ns = rig.now_ns,
	};

	side->store = params.store = scratch_store(side->dir, true);
	timer_wheel_init(&side->timers, rig.now_ns);
	if (offers_reservations_open(&params, &side->reservations) < 0)
		abort();
}

static inline void rig_side_begin(struct rig_side *side, uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number};

	scratch_make(side->dir);
	if (node_key_from_seed(seed, &side->key) < 0)
		abort();
}

static inline void rig_begin(void)
{
	memset(&rig, 0, sizeof(rig));
	random_init_seeded(&rig.dice, seed_of_run(11));
	rig.now_s = RIG_NOON_S;
	rig.now_ns = NS_PER_S;
	rig.expires_s = RIG_NOON_S + 30 * 86400;
	rig.box[0] = 9;
	for (unsigned i = 0; i < RIG_OFFERS; i++)
		rig.units[i] = i + 1;
	rig_side_begin(&rig.provider, 1);
	rig_side_begin(&rig.consumer, 2);
	/* No point of small order. */
	memcpy(rig.box, node_key_public(rig.consumer.key), NODE_KEY_LEN);
	rig_open(&rig.provider);
	rig_open(&rig.consumer);
}

static inline void rig_close(struct rig_side *side)
{
	offers_reservations_close(side->reservations);
	side->reservations = NULL;
	store_close(side->store);
}

static inline void rig_end(void)
{
	struct rig_side *sides[] = {&rig.provider, &rig.consumer};

	for (unsigned i = 0; i < 2; i++) {
		rig_close(sides[i]);
		node_key_free(sides[i]->key);
		scratch_remove(sides[i]->dir);
	}
}

/* What is not durable is gone, as with kill -9. */
static inline void rig_crash(struct rig_side *side)
{
	store_freeze(side->store);
	offers_reservations_close(side->reservations);
	side->reservations = NULL;
	store_crash(side->store);
	rig_open(side);
}

static inline void rig_turn(uint64_t ns)
{
	rig.now_ns += ns;
	timer_wheel_expire(&rig.provider.timers, rig.now_ns);
	timer_wheel_expire(&rig.consumer.timers, rig.now_ns);
	(void)store_reap(rig.provider.store);
	(void)store_reap(rig.consumer.store);
}

/* Time passes, in steps that the timers notice. */
static inline void rig_pass(uint64_t s)
{
	for (uint64_t i = 0; i < s; i++) {
		rig.now_s++;
		for (unsigned k = 0; k < 10; k++)
			rig_turn(NS_PER_S / 10);
	}
}
/* The same for long times, where nothing happens often. */
static inline void rig_skip(uint64_t s)
{
	rig.now_s += s;
	rig_turn(s * NS_PER_S);
	rig_pass(2);
}

static inline void rig_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt += err == 0;
	rig.failed_cnt += err < 0;
}

static inline int rig_ask(unsigned offer, uint32_t units, const char *text,
			  uint8_t id[static RESERVATION_ID_LEN])
{
	struct reservation_offer known;
	struct offer_name name;
	const struct reservation_ask ask = {.name = &name,
					    .offer = &known,
					    .store = rig.box,
					    .units = units,
					    .text = text,
					    .text_len = text ? strlen(text) : 0,
					    .now_ns = rig.now_ns,
					    .done = rig_done};

	rig_name(offer, &name);
	if (rig_offer(&rig.consumer, &name, &known) < 0)
		return WEFT_ESTALE;
	return offers_reservations_make(rig.consumer.reservations, &ask, id);
}

static inline int rig_decide(struct rig_side *side, const uint8_t *id,
			     enum reservation_decision decision, const char *text)
{
	char name[RESERVATION_REF_TEXT_CAP];
	uint8_t out[RESERVATION_ID_LEN];
	struct reservation_change change = {.decision = decision,
					    .text = text,
					    .text_len = text ? strlen(text) : 0,
					    .now_ns = rig.now_ns,
					    .done = rig_done};

	change.name = zbase32_write(id, RESERVATION_ID_LEN, name);
	return offers_reservations_decide(side->reservations, &change, out);
}

/* The latest record that was looked at, and its texts. */
static struct reservation_record rig_record;
static char rig_text[2001], rig_answer[2001];

static inline void rig_see(void *arg, const struct reservation_view *view)
{
	(void)arg;
	rig_record = *view->record;
	snprintf(rig_text, sizeof(rig_text), "%.*s", (int)rig_record.text_len,
		 rig_record.text ? rig_record.text : "");
	snprintf(rig_answer, sizeof(rig_answer), "%.*s", (int)rig_record.answer_len,
		 rig_record.answer ? rig_record.answer : "");
}

/* The state of a reservation; 0: it is not there. */
static inline unsigned rig_state(const struct rig_side *side, const uint8_t *id)
{
	char name[RESERVATION_REF_TEXT_CAP];

	zbase32_write(id, RESERVATION_ID_LEN, name);
	return offers_reservations_show(side->reservations, name, rig_see, NULL) == 0
		       ? rig_record.state
		       : 0;
}

static inline struct reservations_stats rig_stats(const struct rig_side *side)
{
	struct reservations_stats stats;

	offers_reservations_stats(side->reservations, &stats);
	return stats;
}

/* A message of a consumer that looks for no answer. */
struct rig_stranger {
	uint8_t type; /* 0: a Reserve */
	uint8_t neighbour;
	unsigned number; /* another one has another key */
	uint16_t hours;	 /* 0: it is not dated under its seal */
};
static inline enum reservation_verdict rig_stranger(const struct rig_stranger *said)
{
	static uint8_t payload[RESERVATION_LEN_MAX], bytes[RESERVATION_MESSAGE_MAX];
	static const uint8_t nonce[AGREED_NONCE_LEN] = {1};
	const uint8_t *key = rig.box; /* no point of small order */
	const uint64_t expires_s = rig.expires_s;
	const uint8_t type = said->type ? said->type : SERVICE_MESSAGE_RESERVE;
	const bool is_reserve = type == SERVICE_MESSAGE_RESERVE;
	const struct reservation_draft draft = {.type = type,
						.nonce = nonce,
						.content = {.consumer = is_reserve ? key : NULL,
							    .store = is_reserve ? key : NULL,
							    .units = 1,
							    .time_s = said->hours ? rig.now_s : 0,
							    .ttl_hours = said->hours}};
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reservation_seal seal = {.service = RIG_SERVICE};
	uint8_t secret[AGREED_KEY_LEN] = {(uint8_t)(said->neighbour << 3), 1};
	struct reservation_offer offer;
	struct service_message message;
	struct offer_name name;

	memcpy(secret + 2, &said->number, sizeof(said->number));
	rig_name(0, &name);
	rig.expires_s = UINT64_MAX;
	if (rig_offer(&rig.provider, &name, &offer) < 0)
		abort();
	rig.expires_s = expires_s;
	memcpy(seal.provider, name.provider, sizeof(seal.provider));
	memcpy(seal.token, secret, sizeof(seal.token));
	memcpy(seal.offer_id, name.offer_id, sizeof(seal.offer_id));
	if (offers_reservation_begin(&seal, offer.reserve_key, secret) < 0)
		abort();
	offers_reservation_write(&p, &seal, &draft);
	message = (struct service_message){.service = RIG_SERVICE,
					   .type = type,
					   .version = 1,
					   .provider = seal.provider,
					   .hop_max = 4,
					   .ttl_hours = said->hours ? said->hours : 72,
					   .timestamp_s = rig.now_s,
					   .payload = payload,
					   .payload_len = writer_len(&p)};
	offers_message_write(&w, &message);
	rig.neighbour = said->neighbour;
	return rig_bring(bytes, writer_len(&w));
}
static inline enum reservation_verdict rig_stranger_ask(unsigned number, uint8_t neighbour)
{
	return rig_stranger(
		&(struct rig_stranger){.neighbour = neighbour, .number = number, .hours = 72});
}

#endif
