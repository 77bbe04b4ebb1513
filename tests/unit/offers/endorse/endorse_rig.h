/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_ENDORSE_RIG_H
#define WEFT_TESTS_ENDORSE_RIG_H

#include "offers/endorse/endorse.h"
#include <stdlib.h>
#include <string.h>
#include "base/monotonic.h"
#include "base/random.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/* A book of endorsements over a store in a scratch directory, and words of numbered keys. */
#define NOON_S	 1800000000ull
#define SERVICE	 2u
#define OTHER	 3u
#define CAP	 64u
#define LIFE_S	 86400u
#define KEYS_MAX 400u

static struct {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct endorse_book *book;
	struct random dice;
	uint64_t now_s, now_ns;
	unsigned done_cnt, failed_cnt;
} rig;

static struct node_key *keys[KEYS_MAX];

static inline const struct node_key *key_of(unsigned n)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)n, (uint8_t)(n >> 8), 9};

	if (!keys[n] && node_key_from_seed(seed, &keys[n]) < 0)
		abort();
	return keys[n];
}

static inline const uint8_t *public_of(unsigned n)
{
	return node_key_public(key_of(n));
}

static inline const uint8_t *address_of(unsigned n)
{
	static uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(public_of(n), address);
	return address;
}

/* This node's key is that of 0. */
static inline void book_open(void)
{
	const struct endorse_params params = {.store = rig.store = scratch_store(rig.dir, true),
					      .random = &rig.dice,
					      .own_key = public_of(0),
					      .cap = CAP,
					      .now_s = rig.now_s,
					      .now_ns = rig.now_ns};

	CHECK_EQ(offers_endorse_open(&params, &rig.book), 0);
}

static inline void rig_begin(void)
{
	memset(&rig, 0, sizeof(rig));
	scratch_make(rig.dir);
	random_init_seeded(&rig.dice, seed_of_run(5));
	rig.now_s = NOON_S;
	rig.now_ns = NS_PER_S;
	book_open();
}

static inline void rig_end(void)
{
	offers_endorse_close(rig.book);
	store_close(rig.store);
	scratch_remove(rig.dir);
}

static inline void on_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt += err == 0;
	rig.failed_cnt += err < 0;
}

struct word {
	unsigned endorser, provider, level;
	uint32_t service; /* 0: SERVICE */
	int64_t ago_s;
	uint64_t life_s;  /* 0: LIFE_S */
	unsigned network; /* 0: 1 */
	bool is_seed_form;
	bool hides_key;	 /* of the seed form */
	bool is_mine;	 /* the operator gives it */
	unsigned sender; /* 0: some node */
};

struct bytes {
	uint8_t at[ENDORSEMENT_LEN_MAX];
	size_t len;
};

static inline struct bytes write_word(const struct word *word)
{
	uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN];
	struct endorsement said = {.is_seed_form = word->is_seed_form,
				   .provider = provider,
				   .service = word->service ? word->service : SERVICE,
				   .level = (uint8_t)word->level,
				   .made_s = (uint64_t)((int64_t)rig.now_s - word->ago_s)};
	struct bytes bytes;
	struct writer w = writer_of(bytes.at, sizeof(bytes.at));

	memcpy(provider, address_of(word->provider), sizeof(provider));
	said.expires_s = said.made_s + (word->life_s ? word->life_s : LIFE_S);
	offers_endorsement_write(&w, &said, key_of(word->endorser));
	if (w.bad)
		abort();
	bytes.len = writer_len(&w);
	/* Key 8 is the last: its head and 32 bytes, and one field fewer in the map. */
	if (word->hides_key) {
		bytes.len -= 1 + 2 + NODE_KEY_LEN;
		bytes.at[0]--;
	}
	return bytes;
}

static inline enum endorse_verdict put_bytes(const struct word *word, const struct bytes *bytes)
{
	unsigned network = word->network ? word->network : 1;
	struct addr source = {.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, 1},
			      .family = ADDR_IPV4};
	const struct endorse_put put = {.bytes = bytes->at,
					.len = bytes->len,
					.source = word->is_mine ? NULL : &source,
					.sender = public_of(word->sender ? word->sender : 399),
					.now_s = rig.now_s,
					.now_ns = rig.now_ns += 1000,
					.done = on_done};

	return offers_endorse_put(rig.book, &put);
}

static inline enum endorse_verdict put(struct word word)
{
	struct bytes bytes = write_word(&word);

	return put_bytes(&word, &bytes);
}
#define PUT(...) put((struct word){__VA_ARGS__})

static inline bool settle(void)
{
	return offers_endorse_settle(rig.book, rig.now_s, rig.now_ns);
}

/* What waits for the disk is on it, or was refused. */
static inline void save(void)
{
	rig.now_ns += 10 * NS_PER_MS;
	(void)settle();
	store_flush(rig.store);
}

static inline unsigned level_in(uint32_t service, unsigned provider)
{
	(void)settle();
	return offers_endorse_level(rig.book, service, address_of(provider));
}

static inline unsigned level(unsigned provider)
{
	return level_in(SERVICE, provider);
}

static inline int trust_in(uint32_t service, unsigned endorser, unsigned level_max)
{
	struct endorse_trust trust = {.service = service, .level_max = (uint8_t)level_max};

	memcpy(trust.key, public_of(endorser), NODE_KEY_LEN);
	return level_max ? offers_endorse_trust(rig.book, &trust, on_done, NULL)
			 : offers_endorse_distrust(rig.book, &trust, on_done, NULL);
}

static inline bool on_cnt(void *arg, const struct endorse_view *view)
{
	(void)view;
	++*(unsigned *)arg;
	return true;
}

static inline unsigned kept_of(unsigned provider)
{
	unsigned cnt = 0;

	offers_endorse_each_of(rig.book, SERVICE, address_of(provider), on_cnt, &cnt);
	return cnt;
}

#endif
