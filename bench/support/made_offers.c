/* SPDX-License-Identifier: Apache-2.0 */
#include "made_offers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "crypto/node_key.h"

const char *const made_words[MADE_WORDS] = {"balcony", "lift",	 "kitchen", "cellar",
					    "parking", "garden", "bath",    "terrace",
					    "oven",    "stairs", "fibre",   "sauna"};

static struct schema_record record;
static char field_texts[16][200];

static void die(const char *what)
{
	fprintf(stderr, "made offers: %s\n", what);
	exit(1);
}

void made_offer(uint32_t number, struct made_offer *out)
{
	struct random dice;

	random_init_seeded(&dice, 77 + number);
	out->provider = (unsigned)random_below(&dice, 1 + number / 2);
	out->kind = 1 + (unsigned)random_below(&dice, 3);
	out->size = 10 + (unsigned)(random_below(&dice, 100) + random_below(&dice, 100));
	out->rent = out->size * (8 + (unsigned)random_below(&dice, 12));
	out->rooms = 10 + 5 * (out->size / 30);
	out->deposit = 3 * out->rent;
	out->stay = 1 + (unsigned)random_below(&dice, 24);
	out->from_s = MADE_NOON_S + random_below(&dice, 180) * 86400;
	snprintf(out->postcode, sizeof(out->postcode), "%05u",
		 (unsigned)(random_below(&dice, 99) * 1000 + random_below(&dice, 60)));
	out->word_mask = 0;
	for (unsigned i = 0; i < 4; i++)
		out->word_mask |= 1u
				  << (random_below(&dice, MADE_WORDS) * random_below(&dice, 4) / 3);
	out->is_furnished = random_below(&dice, 4) == 0;
	out->has_pets = random_below(&dice, 3) == 0;
}

static void field_set(const struct schema *schema, unsigned at, const char *text)
{
	struct schema_fault fault;

	snprintf(field_texts[at], sizeof(field_texts[at]), "%s", text);
	if (offers_schema_value_from_text(schema, field_texts[at], &record, &fault) < 0)
		die(fault.what);
}

static void fields_make(const struct schema *schema, uint32_t number, const struct made_offer *made)
{
	static const char *const kinds[] = {"shared-flat", "apartment", "house"};
	char text[200], *at = text + 10;
	unsigned cnt = 0;

	offers_schema_record_init(&record, false);
#define FIELD(...) (snprintf(text, sizeof(text), __VA_ARGS__), field_set(schema, cnt++, text))
	FIELD("room_type=%s", kinds[made->kind - 1]);
	FIELD("size=%u", made->size);
	FIELD("rent=%u", made->rent);
	FIELD("postcode=%s", made->postcode);
	FIELD("rooms=%u.%u", made->rooms / 10, made->rooms % 10);
	FIELD("deposit=%u", made->deposit);
	FIELD("min_stay=%u", made->stay);
	FIELD("furnished=%s", made->is_furnished ? "yes" : "no");
	FIELD("pets=%s", made->has_pets ? "yes" : "no");
	FIELD("title=A quiet home near the park, number %u", number);
	FIELD("url=https://homes.example/offers/%u", number);
	FIELD("description=Bright rooms to the yard, five minutes from the tram. Shops, a school "
	      "and a playground are in the same street. Please write when you could come.");
	memcpy(text, "amenities=", 10);
	for (unsigned i = 0; i < MADE_WORDS; i++)
		if (made->word_mask & 1u << i)
			at += snprintf(at, 20, "%s%s", at > text + 10 ? "," : "", made_words[i]);
	field_set(schema, cnt, text);
#undef FIELD
}

/* The time a home is free from is put in as it is sent: its words depend on the zone. */
void made_message(const struct schema *schema, uint32_t number, const struct made_offer *made,
		  struct made_message *out)
{
	static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};
	static struct schema_item from;
	struct writer w = writer_of(out->pairs, sizeof(out->pairs));
	int at = offers_schema_field_named(schema, "available_from", strlen("available_from"));

	fields_make(schema, number, made);
	from.number = (int64_t)made->from_s;
	record.values[at] = (struct schema_value){SCHEMA_PRESENT, 1, &from};
	offers_schema_fields_write(schema, &record, &w);
	out->fields = (struct offer_fields){.bytes = out->pairs,
					    .len = writer_len(&w),
					    .cnt = offers_schema_fields_cnt(&record)};
	memset(out->key, 9, sizeof(out->key));
	memcpy(out->key, &made->provider, sizeof(made->provider));
	offers_address(out->key, out->address);
	out->terms = (struct offer_terms){
		.provider_key = out->key, .has_sequence = true, .sequence = 1, .units = 1};
	memcpy(out->terms.offer_id, &number, sizeof(number));
	w = writer_of(out->payload, sizeof(out->payload));
	offer_terms_write(&w, SERVICE_MESSAGE_ANNOUNCE, &out->terms, &out->fields);
	out->msg = (struct service_message){.service = schema->id,
					    .type = SERVICE_MESSAGE_ANNOUNCE,
					    .is_full_cover = true,
					    .version = schema->version,
					    .provider = out->address,
					    .signature = signature,
					    .hop_max = 4,
					    .ttl_hours = 720,
					    .timestamp_s = MADE_NOON_S,
					    .payload = out->payload,
					    .payload_len = writer_len(&w)};
	w = writer_of(out->bytes, sizeof(out->bytes));
	offers_message_write(&w, &out->msg);
	out->len = writer_len(&w);
	if (w.bad || offer_terms_read(&out->msg, &out->terms) < 0)
		die("a message cannot be written");
}

void made_message_sign(struct made_message *out, const struct node_key *signer)
{
	struct writer w = writer_of(out->payload, sizeof(out->payload));

	memcpy(out->key, node_key_public(signer), sizeof(out->key));
	out->terms.provider_key = out->key;
	offer_terms_write(&w, SERVICE_MESSAGE_ANNOUNCE, &out->terms, &out->fields);
	out->msg.payload_len = writer_len(&w);
	w = writer_of(out->bytes, sizeof(out->bytes));
	offers_message_sign(&w, &out->msg, signer);
	out->len = writer_len(&w);
	if (w.bad || offers_message_parse(out->bytes, out->len, &out->msg) < 0)
		die("a message cannot be signed");
	memcpy(out->address, out->msg.provider, sizeof(out->address));
}
