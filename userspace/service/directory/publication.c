/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publication's way:
 *
 *	due (timer) -> a sequence number is stored -> signed -> put twice -> due again
 *
 * A change while it is on its way is published by the next round at once.
 */
#include <errno.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "publisher_state.h"
#include "descriptor_rules.h"
#include "store/store.h"

#define SEQ_KEY	    "service.seq"
#define SEQ_KEY_LEN (sizeof(SEQ_KEY) - 1)

static uint64_t wall_now_s(const struct service_publisher *publisher)
{
	return publisher->params.wall_s(publisher->params.ctx);
}

static uint64_t ttl_s(const struct service_publisher *publisher)
{
	uint32_t ttl = publisher->params.config.ttl_s;

	if (ttl < SERVICE_DESCRIPTOR_TTL_S_MIN)
		return SERVICE_DESCRIPTOR_TTL_S_MIN;
	return ttl < SERVICE_DESCRIPTOR_TTL_S_MAX ? ttl : SERVICE_DESCRIPTOR_TTL_S_MAX;
}

static bool has_runs(const struct service_publication *publication)
{
	return publication->runs[RUN_BY_NAME] || publication->runs[RUN_BY_ID];
}

void service_publication_release(struct service_publication *publication)
{
	struct service_publisher *publisher = publication->publisher;

	timer_cancel(publisher->params.timers, &publication->timer);
	pool_release(&publisher->publications, publication);
}

static void publication_set(struct service_publication *publication, uint64_t at_ns)
{
	timer_set(publication->publisher->params.timers, &publication->timer, at_ns);
}

/* --- putting --- */

/* A withdrawal has no use once all earlier descriptors have expired. */
static bool is_finished(const struct service_publication *publication)
{
	return publication->descriptor.is_gone &&
	       (publication->err == 0 ||
		publication->held_until_s <= wall_now_s(publication->publisher));
}

/* Both puts are over, or could not begin. */
static void round_end(struct service_publication *publication, uint64_t now_ns)
{
	uint64_t life_s = publication->descriptor.expires_s - publication->descriptor.created_s;

	publication->phase = PUBLICATION_DUE;
	if (publication->err < 0)
		publication->publisher->stats.failed_cnt++;
	if (publication->is_changed)
		publication_set(publication, now_ns);
	else if (is_finished(publication))
		service_publication_release(publication);
	else if (publication->err < 0)
		publication_set(publication, now_ns + SERVICE_PUBLISH_RETRY_NS);
	else
		publication_set(publication, now_ns + life_s * NS_PER_S / 2);
}

static void run_done(struct service_publication *publication, unsigned which,
		     const struct overlay_result *result, uint64_t now_ns)
{
	publication->runs[which] = NULL;
	if (result->err < 0)
		publication->err = result->err;
	else if (result->stored_cnt == 0)
		publication->err = WEFT_EUNREACHABLE;
	else if (result->stored_cnt > publication->stored_cnt)
		publication->stored_cnt = result->stored_cnt;
	if (!has_runs(publication))
		round_end(publication, now_ns);
}

static void by_name_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	run_done(arg, RUN_BY_NAME, result, now_ns);
}

static void by_id_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	run_done(arg, RUN_BY_ID, result, now_ns);
}

static void put(struct service_publication *publication, unsigned which, uint8_t *value, size_t len,
		uint64_t now_ns)
{
	const struct service_publisher *publisher = publication->publisher;
	const struct overlay_seam *overlay = &publisher->params.overlay;
	char name[SERVICE_VALUE_NAME_CAP];
	size_t name_len;
	int err;

	if (which == RUN_BY_NAME) {
		value[0] = SERVICE_TAG_BY_NAME;
		name_len = service_value_name(publication->descriptor.name, name);
	} else {
		value[0] = SERVICE_TAG_BY_ID;
		name_len = service_value_id(publication->descriptor.id, name);
	}
	err = overlay->ops->put(overlay->overlay,
				&(struct overlay_put_params){
					.value = {name, name_len, value, len},
					.done = which == RUN_BY_NAME ? by_name_done : by_id_done,
					.arg = publication},
				now_ns, &publication->runs[which]);
	if (err < 0) {
		publication->runs[which] = NULL;
		publication->err = err;
	}
}

/* A descriptor that says gone lives as long as any node may hold the one before. */
static void times_set(struct service_publication *publication)
{
	struct service_descriptor *descriptor = &publication->descriptor;
	uint64_t now_s = wall_now_s(publication->publisher);

	descriptor->created_s = now_s;
	if (!descriptor->is_gone)
		publication->held_until_s = now_s + ttl_s(publication->publisher);
	descriptor->expires_s = now_s + SERVICE_DESCRIPTOR_TTL_S_MIN;
	if (descriptor->expires_s < publication->held_until_s)
		descriptor->expires_s = publication->held_until_s;
}

static void publication_put(struct service_publication *publication, uint64_t now_ns)
{
	struct service_publisher *publisher = publication->publisher;
	struct service_descriptor *descriptor = &publication->descriptor;
	uint8_t value[SERVICE_VALUE_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	enum service_fault fault;

	times_set(publication);
	descriptor->places = descriptor->is_gone ? (struct peer_places){0} : publisher->places;
	publication->phase = PUBLICATION_PUTTING;
	publication->is_changed = false;
	publication->stored_cnt = 0;
	writer_u8(&w, 0); /* the tag */
	fault = service_descriptor_write(&w, publisher->params.key, descriptor);
	if (fault || w.bad) {
		publication->err = fault ? service_faults[fault].code : WEFT_ETOOLARGE;
		round_end(publication, now_ns);
		return;
	}
	publisher->stats.publish_cnt++;
	publication->was_put = true;
	put(publication, RUN_BY_NAME, value, writer_len(&w), now_ns);
	put(publication, RUN_BY_ID, value, writer_len(&w), now_ns);
	if (!has_runs(publication))
		round_end(publication, now_ns);
}

/* --- sequence numbers --- */

/*
 * The wall clock's second, unless that was used: so numbers ascend even when the store is
 * lost. They cannot run ahead of the clock for long, at less than 60 a minute.
 */
static uint64_t seq_next(struct service_publisher *publisher)
{
	uint64_t now_s = wall_now_s(publisher);

	publisher->seq = now_s > publisher->seq ? now_s : publisher->seq + 1;
	return publisher->seq;
}

int service_publisher_load_seq(struct service_publisher *publisher)
{
	struct store_snapshot *snapshot;
	const void *data;
	size_t len;
	int err;

	if (!publisher->params.store)
		return 0;
	if ((err = store_snapshot_open(publisher->params.store, &snapshot)) < 0)
		return err;
	err = store_get(snapshot, STORE_META, store_key(SEQ_KEY, SEQ_KEY_LEN), &data, &len);
	if (err == 0) {
		struct cursor c = cursor_of(data, len);

		publisher->seq = cursor_be64(&c);
	}
	store_snapshot_close(snapshot);
	return err == WEFT_EABSENT ? 0 : err;
}

/* The store does not say when it is: the timer does, at once. */
static void seq_saved(void *arg, int err)
{
	struct service_publication *publication = arg;

	publication->phase = PUBLICATION_SAVED;
	publication->err = err;
	publication_set(publication, 0);
}

static int seq_save(struct service_publication *publication)
{
	struct store *store = publication->publisher->params.store;
	struct store_batch *batch = store_batch_new(store);
	uint8_t value[8];
	struct writer w = writer_of(value, sizeof(value));
	int err;

	if (!batch)
		return -ENOMEM;
	writer_be64(&w, publication->descriptor.seq);
	store_batch_put(batch, STORE_META, store_key(SEQ_KEY, SEQ_KEY_LEN), value, sizeof(value));
	publication->phase = PUBLICATION_SAVING;
	err = store_submit(store, batch, seq_saved, publication);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

/* --- a round --- */

static bool publisher_admits(struct service_publication *publication, uint64_t now_ns)
{
	struct service_publisher *publisher = publication->publisher;
	uint64_t wait_ns;

	publication->is_held_back = !service_window_has_room(
		&publisher->published, publisher->params.config.publishes_per_min, 1, now_ns,
		&wait_ns);
	if (publication->is_held_back) {
		publisher->stats.refused_cnt++;
		publication_set(publication, now_ns + wait_ns);
		return false;
	}
	service_window_take(&publisher->published, 1, now_ns);
	return true;
}

static void round_begin(struct service_publication *publication, uint64_t now_ns)
{
	struct service_publisher *publisher = publication->publisher;

	if (!publisher->params.overlay.ops || !publisher_admits(publication, now_ns))
		return;
	publication->descriptor.seq = seq_next(publisher);
	publication->err = 0;
	if (!publisher->params.store) {
		publication_put(publication, now_ns);
		return;
	}
	publication->err = seq_save(publication);
	if (publication->err < 0)
		round_end(publication, now_ns);
}

static void publication_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_publication *publication =
		container_of(timer, struct service_publication, timer);

	if (publication->phase == PUBLICATION_DUE)
		round_begin(publication, now_ns);
	else if (publication->err < 0)
		round_end(publication, now_ns);
	else
		publication_put(publication, now_ns);
}

void service_publication_change(struct service_publication *publication, uint64_t at_ns)
{
	uint64_t first_ns = publication->publisher->first_ns;

	if (at_ns < first_ns)
		at_ns = first_ns;
	publication->is_changed = true;
	if (publication->phase == PUBLICATION_DUE &&
	    (!timer_is_set(&publication->timer) || at_ns < publication->timer.at_ns))
		publication_set(publication, at_ns);
}

void service_publication_hurry(struct service_publication *publication, uint64_t now_ns)
{
	bool is_safe = publication->err == 0 && publication->stored_cnt > 1;

	if (publication->phase == PUBLICATION_DUE && !is_safe && !publication->is_held_back &&
	    timer_is_set(&publication->timer))
		publication_set(publication, now_ns);
}

/* Less than the clock difference at which other nodes hide the descriptor (SERVICE_SKEW_S). */
#define CLOCK_SET_S 60

void service_publication_date(struct service_publication *publication, uint64_t now_ns)
{
	const struct service_descriptor *descriptor = &publication->descriptor;
	uint64_t now_s = wall_now_s(publication->publisher);

	if (publication->was_put && (descriptor->created_s > now_s + CLOCK_SET_S ||
				     descriptor->expires_s < now_s + CLOCK_SET_S))
		service_publication_change(publication, now_ns);
}

/* --- life --- */

void service_publication_init(struct service_publication *publication,
			      struct service_publisher *publisher, uint32_t major)
{
	publication->publisher = publisher;
	publication->descriptor.major = major;
	timer_init(&publication->timer, publication_expire);
}

void service_publication_stop(struct service_publication *publication)
{
	struct service_publisher *publisher = publication->publisher;

	/* Otherwise the number's save would complete after its owner is gone. */
	if (publication->phase == PUBLICATION_SAVING)
		store_flush(publisher->params.store);
	for (unsigned i = 0; i < RUN_CNT; i++)
		if (publication->runs[i])
			publisher->params.overlay.ops->cancel(publication->runs[i]);
	timer_cancel(publisher->params.timers, &publication->timer);
}
