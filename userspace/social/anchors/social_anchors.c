/* SPDX-License-Identifier: Apache-2.0 */
#include "social/anchors/social_anchors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "social/anchors/anchors_state.h"
#include "store/store.h"

#define CHECK_IN_TIMEOUT_NS (20 * NS_PER_S)
#define AGAIN_MIN_NS	    (60 * NS_PER_S)
/* This node itself keeps an address for a while: it moves by DHCP, and is asked at once. */
#define MOVED_NS (2 * NS_PER_S)

void social_anchors_config_defaults(struct social_anchors_config *config)
{
	*config = (struct social_anchors_config){.role = ANCHOR_ROLE_AUTO, .keep_s = 24 * 3600};
}

int social_last_resort_parse(const char *text, uint8_t out_key[static NODE_KEY_LEN],
			     struct addr *out_addr)
{
	const char *at = strchr(text, '@');

	if (!at || zbase32_parse(text, (size_t)(at - text), out_key, NODE_KEY_LEN) != NODE_KEY_LEN)
		return WEFT_EMALFORMED;
	return addr_parse(at + 1, out_addr);
}

/* --- the role --- */

bool social_anchors_is_anchor(const struct social_anchors *anchors)
{
	switch (anchors->params.config.role) {
	case ANCHOR_ROLE_NO:
		return false;
	case ANCHOR_ROLE_YES:
		return true;
	default:
		return anchors->is_direct;
	}
}

static void role_tell(const struct social_anchors *anchors)
{
	const struct social_ground *ground = anchors->params.ground;

	ground->neighbours->announce(ground->mesh.mesh, MESH_CAP_ANCHOR,
				     social_anchors_is_anchor(anchors));
}

void social_anchors_set_direct(struct social_anchors *anchors, bool is_direct)
{
	anchors->is_direct = is_direct;
	role_tell(anchors);
}

/* --- checking in --- */

bool social_anchors_write_record(struct social_anchors *anchors, struct writer *w)
{
	const struct social_anchors_params *params = &anchors->params;
	struct social_address address = {.caps = social_anchors_is_anchor(anchors) ? MESH_CAP_ANCHOR
										   : 0};
	uint64_t now_ms = social_wall_ms(params->ground);

	params->places(params->ctx, &address.places);
	if (!address.places.addr_cnt && !address.places.via_cnt)
		return false;
	/* Of two the later one counts, also where the clock was set back. */
	address.time_ms = now_ms > anchors->record_ms ? now_ms : anchors->record_ms + 1;
	anchors->record_ms = address.time_ms;
	social_address_write(w, &address, params->ground->key);
	return !w->bad;
}

static void check_in_ended(struct anchor_entry *entry, int err, uint32_t keep_s, uint64_t now_ns)
{
	struct social_anchors *anchors = entry->anchors;
	uint64_t pause_ns = ANCHOR_CHECK_IN_NS;

	entry->shown.err = err;
	if (err == 0) {
		entry->shown.checked_in_ms = social_wall_ms(anchors->params.ground);
		anchors->stats.checked_in_cnt++;
		entry->pause_ns = 0;
		if (keep_s && keep_s * NS_PER_S / 2 < pause_ns)
			pause_ns = keep_s * NS_PER_S / 2;
		if (pause_ns < AGAIN_MIN_NS)
			pause_ns = AGAIN_MIN_NS;
	} else {
		anchors->stats.check_in_failed_cnt++;
		entry->pause_ns = entry->pause_ns ? 2 * entry->pause_ns : AGAIN_MIN_NS;
		if (entry->pause_ns > ANCHOR_CHECK_IN_NS)
			entry->pause_ns = ANCHOR_CHECK_IN_NS;
		pause_ns = entry->pause_ns;
	}
	entry->due_ns = now_ns + pause_ns;
	social_anchors_due(anchors, now_ns);
}

/* Where the anchor is, as it says. Another node's record is not for it to give here. */
static void record_take(const struct anchor_entry *entry, const struct check_in_answer *answer,
			uint64_t now_ns)
{
	const struct social_record record = {.bytes = answer->record, .len = answer->record_len};
	struct social_address address;

	if (social_address_read(record.bytes, record.len, &address) == 0 &&
	    memcmp(address.node, entry->shown.key, NODE_KEY_LEN) == 0)
		(void)!social_route_take_record(entry->anchors->params.routes, &record, &address,
						now_ns);
}

static void on_checked_in(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct anchor_entry *entry = arg;
	struct check_in_answer answer = {.record = NULL};
	int err = reply->err;

	entry->request = NULL;
	if (err == 0)
		err = social_check_in_answer_parse(reply->payload, reply->payload_len, &answer);
	if (err == 0 && answer.record)
		record_take(entry, &answer, now_ns);
	check_in_ended(entry, err, answer.keep_s, now_ns);
}

static int check_in(struct anchor_entry *entry, uint64_t now_ns)
{
	struct social_anchors *anchors = entry->anchors;
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX], payload[SOCIAL_ADDRESS_LEN_MAX + 16];
	struct writer r = writer_of(record, sizeof(record)),
		      w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_CHECK_IN,
		.payload = payload,
		.reply_buf = entry->reply,
		.reply_cap = sizeof(entry->reply),
		.timeout_ns = CHECK_IN_TIMEOUT_NS,
		.reply = on_checked_in,
		.arg = entry,
	};

	if (!social_anchors_write_record(anchors, &r))
		return WEFT_EABSENT;
	social_check_in_write(&w, &(struct check_in){record, writer_len(&r)});
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, entry->shown.key, sizeof(ask.peer.key));
	return social_ask(anchors->params.routes, &ask, now_ns, &entry->request);
}

void social_anchors_due(struct social_anchors *anchors, uint64_t now_ns)
{
	uint64_t next_ns = TIMER_NEVER;

	for (unsigned i = 0; i < anchors->entry_cnt; i++) {
		const struct anchor_entry *entry = &anchors->entries[i];

		if (entry->shown.is_enabled && !entry->request && entry->due_ns < next_ns)
			next_ns = entry->due_ns;
	}
	if (!anchors->is_stopped)
		timer_set(anchors->params.ground->timers, &anchors->timer,
			  next_ns > now_ns ? next_ns : now_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct social_anchors *anchors = container_of(timer, struct social_anchors, timer);

	for (unsigned i = 0; i < anchors->entry_cnt; i++) {
		struct anchor_entry *entry = &anchors->entries[i];
		int err;

		if (!entry->shown.is_enabled || entry->request || entry->due_ns > now_ns)
			continue;
		if ((err = check_in(entry, now_ns)) < 0) {
			entry->request = NULL;
			check_in_ended(entry, err, 0, now_ns);
		}
	}
	social_anchors_due(anchors, now_ns);
}

static void entry_hurry(struct anchor_entry *entry, uint64_t due_ns)
{
	if (!entry->request && entry->due_ns > due_ns)
		entry->due_ns = due_ns;
}

void social_anchors_moved(struct social_anchors *anchors, uint64_t now_ns)
{
	for (unsigned i = 0; i < anchors->entry_cnt; i++)
		entry_hurry(&anchors->entries[i], now_ns + MOVED_NS);
	social_anchors_due(anchors, now_ns);
}

/* One that took a check-in lately has the same record still. */
void social_anchors_session_up(struct social_anchors *anchors, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; i < anchors->entry_cnt; i++)
		if (memcmp(anchors->entries[i].shown.key, key, NODE_KEY_LEN) == 0 &&
		    (anchors->entries[i].shown.err < 0 || !anchors->entries[i].shown.checked_in_ms))
			entry_hurry(&anchors->entries[i], now_ns);
	social_anchors_due(anchors, now_ns);
}

/* --- life --- */

static int lay_out(struct social_anchors *anchors, const uint64_t secret[2])
{
	int err = arena_open(&anchors->arena, ARENA_GROWS);

	if (err == 0)
		err = social_check_ins_init(anchors, secret);
	arena_fit(&anchors->arena);
	return err;
}

size_t social_anchors_footprint(void)
{
	struct social_anchors *anchors = calloc(1, sizeof(*anchors));
	const uint64_t secret[2] = {0};
	size_t len = 0;

	if (!anchors)
		return 0;
	if (lay_out(anchors, secret) == 0)
		len = sizeof(*anchors) + anchors->arena.used_len;
	arena_close(&anchors->arena);
	free(anchors);
	return len;
}

int social_anchors_open(const struct social_anchors_params *params,
			struct social_anchors **out_anchors)
{
	struct social_anchors *anchors = calloc(1, sizeof(*anchors));
	uint64_t secret[2];
	int err;

	if (!anchors)
		return -ENOMEM;
	anchors->params = *params;
	timer_init(&anchors->timer, on_due);
	random_fill(params->ground->random, secret, sizeof(secret));
	if ((err = lay_out(anchors, secret)) < 0 ||
	    (err = social_own_anchors_load(anchors, params->now_ns)) < 0 ||
	    (err = social_check_ins_handle(anchors)) < 0) {
		social_anchors_close(anchors);
		return err;
	}
	role_tell(anchors);
	social_anchors_due(anchors, params->now_ns);
	*out_anchors = anchors;
	return 0;
}

void social_anchors_stop(struct social_anchors *anchors)
{
	if (!anchors || anchors->is_stopped)
		return;
	anchors->is_stopped = true;
	store_flush(anchors->params.ground->store);
	timer_cancel(anchors->params.ground->timers, &anchors->timer);
	for (unsigned i = 0; i < anchors->entry_cnt; i++) {
		if (anchors->entries[i].request)
			anchors->params.ground->mesh.ops->cancel(anchors->entries[i].request);
		anchors->entries[i].request = NULL;
	}
}

void social_anchors_close(struct social_anchors *anchors)
{
	if (!anchors)
		return;
	social_anchors_stop(anchors);
	arena_close(&anchors->arena);
	free(anchors);
}

void social_anchors_stats(const struct social_anchors *anchors,
			  struct social_anchors_stats *out_stats)
{
	*out_stats = anchors->stats;
	out_stats->own_cnt = anchors->entry_cnt;
	out_stats->is_anchor = social_anchors_is_anchor(anchors);
}

void social_anchors_view(const struct social_anchors *anchors, struct fair_view *out_view)
{
	fair_read(&anchors->places.fair, out_view);
}
