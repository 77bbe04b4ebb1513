/* SPDX-License-Identifier: Apache-2.0 */
#include "json_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/monotonic.h"
#include "codec/bencode.h"
#include "codec/text/hex.h"
#include "dht/items/item.h"
#include "address_record.h"
#include "locate.h"

#define SALT	     "tom-addr-v1"
#define PUT_AGAIN_NS (30 * 60 * NS_PER_S)
/* The period of the check for something else to say, or for a node to say it to. */
#define LOOK_AGAIN_NS (10 * NS_PER_S)

struct json_record {
	struct locate *locate;
	struct timer timer;
	dht_handle handle; /* of the put under way; 0: none */
	json_t *said;	   /* what was put last, without its time; NULL: nothing */
	uint64_t put_ns;
};

static json_t *json_of(const struct json_record *record, const struct pkarr_record *said)
{
	char id[HEX_TEXT_CAP(NODE_KEY_LEN)], text[ADDR_TEXT_CAP];
	json_t *relays = json_array(), *addrs = json_array();

	for (unsigned i = 0; i < said->relay_cnt; i++)
		json_array_append_new(relays, json_string(said->relays[i]));
	for (unsigned i = 0; i < said->addr_cnt; i++)
		json_array_append_new(addrs, json_string(addr_format(&said->addrs[i], text)));
	return json_pack("{s:s, s:o, s:o}", "node_id",
			 hex_write(record->locate->own_key, NODE_KEY_LEN, id), "relay_urls", relays,
			 "direct_addrs", addrs);
}

/* The longest record has 8 addresses of 47 letters and 2 relays of 128: below what a value may have. */
static size_t value_write(const struct json_record *record, json_t *said,
			  uint8_t value[static DHT_VALUE_LEN_MAX])
{
	struct writer w = writer_of(value, DHT_VALUE_LEN_MAX);
	json_t *json = json_copy(said);
	char *text;

	json_object_set_new(json, "timestamp",
			    json_integer((json_int_t)(locate_wall_us(record->locate) / 1000)));
	text = json_dumps(json, JSON_COMPACT);
	if (text)
		bencode_write_text(&w, text);
	free(text);
	json_decref(json);
	return text && !w.bad ? writer_len(&w) : 0;
}

static void put_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct json_record *record = ctx;

	dht_leave(record->locate->dht, record->handle);
	record->handle = 0;
	if (outcome->stored_cnt)
		return;
	json_decref(record->said);
	record->said = NULL;
}

static dht_handle record_put(struct json_record *record, json_t *said, uint64_t now_ns)
{
	struct dht_asker asker = {.ended = put_ended, .ctx = record};
	uint8_t value[DHT_VALUE_LEN_MAX], sig[NODE_KEY_SIG_LEN];
	struct dht_item item = {.key = record->locate->own_key,
				.sig = sig,
				.salt = (const uint8_t *)SALT,
				.salt_len = strlen(SALT),
				.value = value,
				.value_len = value_write(record, said, value),
				.seq = (int64_t)locate_publish_next_seq(record->locate->publish)};
	const struct dht_put_params put = {.item = &item};

	if (!item.value_len)
		return 0;
	dht_item_sign(&item, record->locate->params.key, sig);
	return dht_put(record->locate->dht, &put, &asker, now_ns);
}

static void record_due(struct timer *timer, uint64_t now_ns)
{
	struct json_record *record = container_of(timer, struct json_record, timer);
	struct locate *locate = record->locate;
	struct publish_state state;
	json_t *said;

	timer_set(locate->params.timers, timer, now_ns + LOOK_AGAIN_NS);
	locate_publish_state(locate->publish, &state);
	if (state.err < 0 || !locate->dht || record->handle)
		return;
	said = json_of(record, &state.record);
	if (json_equal(said, record->said) && now_ns - record->put_ns < PUT_AGAIN_NS) {
		json_decref(said);
		return;
	}
	record->handle = record_put(record, said, now_ns);
	record->put_ns = now_ns;
	json_decref(record->said);
	record->said = record->handle ? said : NULL;
	if (!record->handle)
		json_decref(said);
}

int locate_json_record_open(struct locate *locate)
{
	struct json_record *record;

	if (!locate->params.publish->is_json)
		return 0;
	record = calloc(1, sizeof(*record));
	if (!record)
		return -ENOMEM;
	record->locate = locate;
	timer_init(&record->timer, record_due);
	timer_set(locate->params.timers, &record->timer, locate_now_ns(locate));
	locate->json_record = record;
	return 0;
}

void locate_json_record_close(struct json_record *record)
{
	struct locate *locate;

	if (!record)
		return;
	locate = record->locate;
	timer_cancel(locate->params.timers, &record->timer);
	if (record->handle && locate->dht)
		dht_cancel(locate->dht, record->handle);
	locate->json_record = NULL;
	json_decref(record->said);
	free(record);
}
