/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's own announcement, while it is a relay that can be dialled. It is signed and stored anew
 * each hour, some minutes after the hour began: all relays would else store at once. Nothing takes
 * it back. It expires two hours after it was issued.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "place_rule.h"
#include "relay_find_state.h"

#define LIFE_S	  7200u
#define SPREAD_S  300u
#define RETRY_NS  (60 * NS_PER_S)
#define SETTLE_NS (10 * NS_PER_S) /* addresses often change more than once */
#define NEVER_NS  UINT64_MAX

static bool has_runs(const struct find_publish *publish)
{
	for (unsigned i = 0; i < RELAY_PLACES_OF_KEY; i++)
		if (publish->runs[i])
			return true;
	return false;
}

static bool announcement_sign(struct relay_find *find, uint64_t wall_s)
{
	struct find_publish *publish = &find->publish;
	struct relay_announcement *announcement = &publish->announcement;
	struct writer w = writer_of(publish->value, sizeof(publish->value));

	*announcement = (struct relay_announcement){
		.addr_cnt = publish->offer.addr_cnt,
		.caps = publish->offer.caps | RELAY_ANNOUNCEMENT_CAP,
		.capacity = publish->offer.capacity,
		.issued_s = wall_s,
		.expires_s = wall_s + LIFE_S,
	};
	memcpy(announcement->addrs, publish->offer.addrs, sizeof(announcement->addrs));
	writer_u8(&w, RELAY_PLACE_TAG);
	relay_announcement_write(&w, find->params.key, announcement);
	publish->len = w.bad ? 0 : writer_len(&w);
	return !w.bad;
}

static void round_end(struct relay_find *find, uint64_t now_ns)
{
	struct find_publish *publish = &find->publish;
	uint64_t wall_s = relay_find_wall_s(find, now_ns);
	uint64_t left_s = RELAY_HOUR_S - wall_s % RELAY_HOUR_S;

	if (publish->stored_cnt)
		find->stats.announced_cnt++;
	else
		find->stats.unannounced_cnt++;
	if (publish->is_changed)
		publish->next_ns = now_ns + SETTLE_NS;
	else if (publish->stored_cnt)
		publish->next_ns =
			now_ns + (left_s + random_below(find->params.random, SPREAD_S)) * NS_PER_S;
	else
		publish->next_ns = now_ns + RETRY_NS;
}

static void run_done(struct relay_find *find, unsigned which, const struct overlay_result *result,
		     uint64_t now_ns)
{
	struct find_publish *publish = &find->publish;

	publish->runs[which] = NULL;
	publish->stored_cnt += result->stored_cnt;
	if (!has_runs(publish))
		round_end(find, now_ns);
}

static void first_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	run_done(arg, 0, result, now_ns);
}

static void second_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	run_done(arg, 1, result, now_ns);
}

static void put(struct relay_find *find, unsigned which, uint64_t hour, unsigned place,
		uint64_t now_ns)
{
	static const overlay_done_fn done[RELAY_PLACES_OF_KEY] = {first_done, second_done};
	const struct overlay_seam *overlay = &find->params.overlay;
	struct find_publish *publish = &find->publish;
	uint8_t name[RELAY_PLACE_NAME_LEN];
	struct overlay_put_params params = {
		.value = {name, sizeof(name), publish->value, publish->len},
		.done = done[which],
		.arg = find,
	};

	relay_place_name(hour, place, name);
	if (overlay->ops->put(overlay->overlay, &params, now_ns, &publish->runs[which]) < 0)
		publish->runs[which] = NULL;
}

void relay_find_publish_turn(struct relay_find *find, uint64_t now_ns)
{
	const uint8_t *key = node_key_public(find->params.key);
	struct find_publish *publish = &find->publish;
	uint64_t wall_s = relay_find_wall_s(find, now_ns), hour = wall_s / RELAY_HOUR_S;
	unsigned places[RELAY_PLACES_OF_KEY];

	if (now_ns < publish->next_ns)
		return;
	publish->next_ns = NEVER_NS;
	publish->is_changed = false;
	publish->stored_cnt = 0;
	for (unsigned i = 0; i < RELAY_PLACES_OF_KEY; i++)
		places[i] = relay_place_of(key, hour, i);
	if (announcement_sign(find, wall_s)) {
		put(find, 0, hour, places[0], now_ns);
		if (places[1] != places[0])
			put(find, 1, hour, places[1], now_ns);
	}
	if (!has_runs(publish))
		round_end(find, now_ns);
}

void relay_find_offer(struct relay_find *find, const struct relay_offer *offer, uint64_t now_ns)
{
	struct find_publish *publish = &find->publish;
	bool was_relay = publish->offer.addr_cnt > 0;

	publish->offer = *offer;
	if (!offer->addr_cnt) {
		relay_find_publish_stop(find);
		publish->next_ns = NEVER_NS;
		publish->len = 0;
	} else if (has_runs(publish)) {
		publish->is_changed = true;
	} else {
		publish->next_ns = was_relay ? now_ns + SETTLE_NS : now_ns;
	}
}

void relay_find_publish_hurry(struct relay_find *find, uint64_t now_ns)
{
	struct find_publish *publish = &find->publish;

	if (publish->offer.addr_cnt && has_runs(publish))
		publish->is_changed = true;
	else if (publish->offer.addr_cnt)
		publish->next_ns = now_ns;
}

void relay_find_publish_stop(struct relay_find *find)
{
	for (unsigned i = 0; i < RELAY_PLACES_OF_KEY; i++) {
		if (find->publish.runs[i])
			find->params.overlay.ops->cancel(find->publish.runs[i]);
		find->publish.runs[i] = NULL;
	}
}
