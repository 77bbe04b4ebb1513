/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publication's way (publisher.h):
 *
 *	due (timer) -> a sequence number is stored -> signed -> put twice -> due again
 *
 * What changes while it is on its way is published by the next round at once.
 */
#include "service/publisher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/timer.h"
#include "service/metadata.h"
#include "service/rules.h"
#include "service/version.h"
#include "service/window.h"
#include "store/store.h"

#define SEQ_KEY	    "service.seq"
#define SEQ_KEY_LEN (sizeof(SEQ_KEY) - 1)
/* Addresses come and go together: one publication for all of them. */
#define ENDPOINTS_DELAY_NS (10 * NS_PER_S)

enum { RUN_BY_NAME, RUN_BY_ID, RUN_CNT };

enum publication_phase {
	PUBLICATION_DUE,    /* timer: it is published */
	PUBLICATION_SAVING, /* its sequence number is being stored */
	PUBLICATION_SAVED,  /* timer, at once: it is put, or err says why not */
	PUBLICATION_PUTTING,
};

struct service_publication {
	struct service_publisher *publisher;
	enum publication_phase phase;
	struct timer timer;
	struct service_descriptor descriptor; /* as it is or will be put; metadata is in text */
	char text[SERVICE_METADATA_LEN_MAX];
	bool is_changed; /* since it was signed */
	bool is_held_back;
	bool was_put;	       /* somebody may hold a descriptor of it */
	uint64_t held_until_s; /* when the last such that is not gone is over; wall clock */
	struct overlay_run *runs[RUN_CNT];
	int err; /* of the last round */
	unsigned stored_cnt;
};

struct service_publisher {
	struct service_publisher_params params;
	struct arena arena;
	struct pool publications;
	struct service_window published;
	struct addr endpoints[PEER_ADDRS_MAX];
	unsigned endpoint_cnt;
	uint64_t start_ns;
	uint64_t seq; /* the last one used */
	struct service_publisher_stats stats;
};

void service_publisher_config_defaults(struct service_publisher_config *config)
{
	*config = (struct service_publisher_config){
		.publication_cap = 128,
		.publishes_per_min = 20,
		.ttl_s = SERVICE_DESCRIPTOR_TTL_S_MAX,
	};
}

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

static void publication_release(struct service_publication *publication)
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

/* That something is gone is no news once all that was put before is over. */
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
		publication_release(publication);
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
	err = overlay->ops->put(overlay->overlay, name, name_len, value, len,
				which == RUN_BY_NAME ? by_name_done : by_id_done, publication,
				now_ns, &publication->runs[which]);
	if (err < 0) {
		publication->runs[which] = NULL;
		publication->err = err;
	}
}

/* What is gone is told for as long as somebody may hold what was there before. */
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
	descriptor->endpoint_cnt = descriptor->is_gone ? 0 : publisher->endpoint_cnt;
	memcpy(descriptor->endpoints, publisher->endpoints, sizeof(descriptor->endpoints));
	publication->phase = PUBLICATION_PUTTING;
	publication->is_changed = false;
	publication->stored_cnt = 0;
	writer_u8(&w, 0); /* the tag */
	fault = service_descriptor_write(&w, publisher->params.key, descriptor);
	if (fault || w.bad) {
		publication->err = fault ? service_fault_err(fault) : WEFT_ETOOLARGE;
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

static int seq_load(struct service_publisher *publisher)
{
	struct store_snapshot *snapshot;
	const void *data;
	size_t len;
	int err;

	if (!publisher->params.store)
		return 0;
	if ((err = store_snapshot_open(publisher->params.store, &snapshot)) < 0)
		return err;
	err = store_get(snapshot, STORE_META, SEQ_KEY, SEQ_KEY_LEN, &data, &len);
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
	store_batch_put(batch, STORE_META, SEQ_KEY, SEQ_KEY_LEN, value, sizeof(value));
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
		list_entry(timer, struct service_publication, timer);

	if (publication->phase == PUBLICATION_DUE)
		round_begin(publication, now_ns);
	else if (publication->err < 0)
		round_end(publication, now_ns);
	else
		publication_put(publication, now_ns);
}

/* Published at at_ns or before; what is on its way is followed by another round. */
static void publication_change(struct service_publication *publication, uint64_t at_ns)
{
	uint64_t first_ns = publication->publisher->start_ns + SERVICE_PUBLISH_FIRST_NS;

	if (at_ns < first_ns)
		at_ns = first_ns;
	publication->is_changed = true;
	if (publication->phase == PUBLICATION_DUE &&
	    (!timer_is_set(&publication->timer) || at_ns < publication->timer.at_ns))
		publication_set(publication, at_ns);
}

/* --- offers --- */

static struct service_publication *publication_lookup(const struct service_publisher *publisher,
						      const char *name, uint32_t major)
{
	struct service_publication *publication = NULL;

	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->descriptor.major == major &&
		    strcmp(publication->descriptor.name, name) == 0)
			return publication;
	return NULL;
}

/* Offered again as it is, it need not be signed anew. */
static bool publication_says(const struct service_publication *publication,
			     const struct service_offering *offering)
{
	const struct service_descriptor *descriptor = &publication->descriptor;

	if (descriptor->is_gone || strcmp(descriptor->version, offering->version) != 0 ||
	    descriptor->metadata_cnt != offering->metadata_cnt)
		return false;
	for (unsigned i = 0; i < offering->metadata_cnt; i++)
		if (!service_descriptor_says(descriptor, offering->metadata[i].key,
					     offering->metadata[i].value))
			return false;
	return true;
}

static const char *text_add(struct writer *w, const char *text, size_t len)
{
	char *at = (char *)w->pos;

	writer_bytes(w, text, len);
	return at;
}

/* offering keeps the limits, so that its metadata fits. */
static void publication_take(struct service_publication *publication,
			     const struct service_offering *offering)
{
	struct service_descriptor *descriptor = &publication->descriptor;
	struct writer w = writer_of(publication->text, sizeof(publication->text));

	memcpy(descriptor->name, offering->name, strlen(offering->name) + 1);
	memcpy(descriptor->version, offering->version, strlen(offering->version) + 1);
	descriptor->is_gone = false;
	descriptor->metadata_cnt = offering->metadata_cnt;
	for (unsigned i = 0; i < offering->metadata_cnt; i++) {
		const struct service_metadata *pair = &offering->metadata[i];
		size_t key_len = strlen(pair->key), value_len = strlen(pair->value);

		descriptor->metadata[i] = (struct service_pair){
			.key_len = key_len,
			.key = text_add(&w, pair->key, key_len),
			.value_len = value_len,
			.value = text_add(&w, pair->value, value_len),
		};
	}
}

int service_publisher_offer(struct service_publisher *publisher,
			    const struct service_offering *offering, uint64_t now_ns,
			    enum service_fault *out_fault)
{
	enum service_fault fault = service_descriptor_check(offering);
	struct service_publication *publication;
	struct service_version version;

	*out_fault = fault;
	if (fault)
		return service_fault_err(fault);
	if (service_version_parse(offering->version, strlen(offering->version), &version) < 0)
		return WEFT_EMALFORMED;
	publication = publication_lookup(publisher, offering->name, version.major);
	if (publication && publication_says(publication, offering))
		return 0;
	if (!publication) {
		publication = pool_acquire(&publisher->publications);
		if (!publication)
			return WEFT_EFULL;
		publication->publisher = publisher;
		publication->descriptor.major = version.major;
		timer_init(&publication->timer, publication_expire);
	}
	publication_take(publication, offering);
	publication_change(publication, now_ns);
	return 0;
}

void service_publisher_withdraw(struct service_publisher *publisher, const char *name,
				uint32_t major, uint64_t now_ns)
{
	struct service_publication *publication = publication_lookup(publisher, name, major);

	if (!publication || publication->descriptor.is_gone)
		return;
	publisher->stats.withdrawn_cnt++;
	if (!publication->was_put && publication->phase == PUBLICATION_DUE) {
		publication_release(publication);
		return;
	}
	publication->descriptor.is_gone = true;
	publication->descriptor.metadata_cnt = 0;
	publication_change(publication, now_ns);
}

void service_publisher_set_endpoints(struct service_publisher *publisher, const struct addr *addrs,
				     unsigned cnt, uint64_t now_ns)
{
	struct service_publication *publication = NULL;

	if (cnt > PEER_ADDRS_MAX)
		cnt = PEER_ADDRS_MAX;
	if (cnt == publisher->endpoint_cnt &&
	    memcmp(addrs, publisher->endpoints, cnt * sizeof(*addrs)) == 0)
		return;
	memset(publisher->endpoints, 0, sizeof(publisher->endpoints));
	if (cnt)
		memcpy(publisher->endpoints, addrs, cnt * sizeof(*addrs));
	publisher->endpoint_cnt = cnt;
	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->was_put && !publication->descriptor.is_gone)
			publication_change(publication, now_ns + ENDPOINTS_DELAY_NS);
}

void service_publisher_each(const struct service_publisher *publisher,
			    bool (*fn)(void *arg, const struct service_publication_state *state),
			    void *arg)
{
	const struct service_publication *publication = NULL;

	while ((publication = pool_next(&publisher->publications, publication))) {
		const struct service_descriptor *descriptor = &publication->descriptor;
		const struct service_publication_state state = {
			.name = descriptor->name,
			.version = descriptor->version,
			.is_gone = descriptor->is_gone,
			.is_held_back = publication->is_held_back,
			.err = publication->err,
			.stored_cnt = publication->stored_cnt,
			.seq = publication->was_put ? descriptor->seq : 0,
			.created_s = descriptor->created_s,
			.expires_s = descriptor->expires_s,
			.next_ns = timer_is_set(&publication->timer) ? publication->timer.at_ns
								     : TIMER_NEVER,
		};

		if (!fn(arg, &state))
			return;
	}
}

void service_publisher_stats(const struct service_publisher *publisher,
			     struct service_publisher_stats *out_stats)
{
	*out_stats = publisher->stats;
	out_stats->publication_cnt = publisher->publications.used_cnt;
	out_stats->publication_cap = publisher->publications.cap_cnt;
}

/* --- life --- */

size_t service_publisher_footprint(const struct service_publisher_config *config)
{
	return pool_footprint(sizeof(struct service_publication), config->publication_cap);
}

int service_publisher_new(const struct service_publisher_params *params,
			  struct service_publisher **out_publisher)
{
	struct service_publisher *publisher = calloc(1, sizeof(*publisher));
	int err;

	if (!publisher)
		return -ENOMEM;
	publisher->params = *params;
	publisher->start_ns = params->now_ns;
	if ((err = arena_open(&publisher->arena, service_publisher_footprint(&params->config))) <
		    0 ||
	    (err = pool_init(&publisher->publications, &publisher->arena,
			     sizeof(struct service_publication), params->config.publication_cap)) <
		    0 ||
	    (err = seq_load(publisher)) < 0) {
		service_publisher_free(publisher);
		return err;
	}
	*out_publisher = publisher;
	return 0;
}

void service_publisher_free(struct service_publisher *publisher)
{
	struct service_publication *publication = NULL;

	if (!publisher)
		return;
	/* Or a number would be told to nobody. */
	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->phase == PUBLICATION_SAVING)
			store_flush(publisher->params.store);
	while ((publication = pool_next(&publisher->publications, publication))) {
		timer_cancel(publisher->params.timers, &publication->timer);
		for (unsigned i = 0; i < RUN_CNT; i++)
			if (publication->runs[i])
				publisher->params.overlay.ops->cancel(publication->runs[i]);
	}
	arena_close(&publisher->arena);
	free(publisher);
}

void service_publisher_configure(struct service_publisher *publisher,
				 const struct service_publisher_config *config)
{
	publisher->params.config.publishes_per_min = config->publishes_per_min;
	publisher->params.config.ttl_s = config->ttl_s;
}
