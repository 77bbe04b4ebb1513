/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random words about a few offers, with the process killed in between, against a model that keeps
 * the newest word of each.
 */
#include "offer_store_rig.h"

#define PROVIDERS 10u
#define OFFERS	  4u
#define NAMES	  (PROVIDERS * OFFERS)
#define OPS	  60000u
#define RENTS	  20u

struct model_offer {
	bool is_there, is_tombstone, has_update;
	uint64_t sequence, at_s, base, expires_s;
	unsigned rent;
};

static struct model_offer model[NAMES], durable[NAMES];

static enum offer_verdict model_put(const struct rig_word *word, unsigned name, unsigned rent)
{
	struct model_offer *offer = &model[name];
	uint64_t expires_s = word->at_s + word->ttl_hours * 3600;
	bool is_newer;

	if (offer->is_there && offer->expires_s <= rig.now_s)
		offer->is_there = false;
	if (expires_s <= rig.now_s)
		return OFFER_EXPIRED;
	is_newer = !offer->is_there || word->sequence > offer->sequence ||
		   (word->sequence == offer->sequence && word->at_s > offer->at_s);
	if (!is_newer && word->type == SERVICE_MESSAGE_REVOKE && !offer->is_tombstone &&
	    word->sequence == offer->sequence && word->at_s == offer->at_s)
		is_newer = true;
	if (!is_newer && offer->is_tombstone && word->type != SERVICE_MESSAGE_REVOKE)
		return OFFER_GONE;
	if (!is_newer)
		return word->sequence == offer->sequence && word->at_s == offer->at_s
			       ? OFFER_DUPLICATE
			       : OFFER_OLDER;
	if (word->type == SERVICE_MESSAGE_UPDATE) {
		if (!offer->is_there || offer->is_tombstone || word->base != offer->base)
			return OFFER_NO_BASE;
		offer->has_update = true;
		offer->rent = rent;
	} else {
		bool was_there = offer->is_there;

		if (word->type == SERVICE_MESSAGE_REVOKE && was_there &&
		    offer->expires_s > expires_s)
			expires_s = offer->expires_s;
		*offer = (struct model_offer){.is_there = true,
					      .is_tombstone = word->type == SERVICE_MESSAGE_REVOKE,
					      .base = word->sequence,
					      .expires_s = expires_s,
					      .rent = rent};
		offer->sequence = word->sequence;
		offer->at_s = word->at_s;
		if (word->type == SERVICE_MESSAGE_REVOKE)
			return OFFER_REVOKED;
		return was_there ? OFFER_REPLACED : OFFER_STORED;
	}
	offer->sequence = word->sequence;
	offer->at_s = word->at_s;
	return OFFER_REPLACED;
}

static bool word_agrees(void)
{
	static const uint8_t types[] = {SERVICE_MESSAGE_ANNOUNCE, SERVICE_MESSAGE_ANNOUNCE,
					SERVICE_MESSAGE_UPDATE, SERVICE_MESSAGE_UPDATE,
					SERVICE_MESSAGE_REVOKE};
	unsigned name = (unsigned)random_below(&rig.dice, NAMES);
	unsigned rent = (unsigned)random_below(&rig.dice, RENTS);
	/* Sequences stay near what the offer has. */
	uint64_t sequence = 1 + model[name].sequence + random_below(&rig.dice, 4);
	char field[16];
	struct rig_word word = {.type = types[random_below(&rig.dice, 5)],
				.provider = name / OFFERS,
				.offer = name % OFFERS,
				.sequence = sequence > 2 ? sequence - 2 : 1,
				.at_s = rig.now_s - random_below(&rig.dice, 3),
				.ttl_hours = 1 + (unsigned)random_below(&rig.dice, 5),
				.network = 1 + name};

	snprintf(field, sizeof(field), "rent=%u", rent);
	if (word.type == SERVICE_MESSAGE_UPDATE) {
		word.base = model[name].base ? model[name].base : 1;
		if (word.base >= word.sequence)
			word.sequence = word.base + 1;
		word.fields[0] = field;
	} else if (word.type == SERVICE_MESSAGE_ANNOUNCE) {
		word.fields[0] = "kind=flat";
		word.fields[1] = field;
	}
	return rig_put(&word) == model_put(&word, name, rent);
}

static bool store_agrees(void)
{
	unsigned found = 0, want = 0, most = (unsigned)random_below(&rig.dice, RENTS);
	char filter[24];

	for (unsigned i = 0; i < NAMES; i++) {
		struct model_offer *offer = &model[i];
		bool is_there =
			rig_get(i / OFFERS, i % OFFERS) && rig_seen.view.expires_s > rig.now_s;

		if (is_there != (offer->is_there && offer->expires_s > rig.now_s))
			return false;
		if (!is_there)
			continue;
		if (rig_seen.view.is_tombstone != offer->is_tombstone ||
		    rig_seen.view.expires_s != offer->expires_s ||
		    (rig_seen.view.update != NULL) != offer->has_update)
			return false;
		want += !offer->is_tombstone && offer->rent <= most;
	}
	snprintf(filter, sizeof(filter), "max_rent=%u", most);
	found = RIG_FIND(filter);
	return found == want;
}

static void test_random_words_and_crashes_agree_with_a_model(void)
{
	rig_begin(4096);
	memset(model, 0, sizeof(model));
	memset(durable, 0, sizeof(durable));
	for (unsigned i = 0; i < (seed_is_small() ? OPS / 10 : OPS); i++) {
		CHECK(word_agrees());
		switch (random_below(&rig.dice, 200)) {
		case 0:
			rig_pass(0);
			memcpy(durable, model, sizeof(model));
			break;
		case 1:
			rig.now_s += random_below(&rig.dice, 2000);
			break;
		case 2:
			CHECK(store_agrees());
			break;
		case 3:
			/* What was not durable by then never was. */
			rig_crash();
			memcpy(model, durable, sizeof(model));
			CHECK(store_agrees());
			break;
		}
	}
	rig_end();
}

int main(void)
{
	RUN(test_random_words_and_crashes_agree_with_a_model);
	return check_done();
}
