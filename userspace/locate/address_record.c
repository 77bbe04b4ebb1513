/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of this node's address record. From the node's facts policy picks the public ones. They
 * are signed, above every sequence number used before, then stored on disk, then put on the DHT,
 * which keeps them fresh. Home worker.
 *
 * On disk first: if the machine dies after others took the record, the next life must not sign
 * below it.
 */
#include "address_record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "crypto/node_key.h"
#include "locate.h"
#include "store/store.h"

/* Half of a record's life: one round may fail for half a day. */
#define SIGN_AGAIN_NS (12 * 3600 * NS_PER_S)
#define CLOCKS_US     (300 * 1000000ull)  /* by so much clocks may differ, as in share heads */
#define TIME_MIN_US   1000000000000000ull /* in 2001: others number their packets from one, too */
/* The period in which addresses are read again, in case no event came. */
#define LOOK_AGAIN_NS (60 * NS_PER_S)
/* No place for the record is known: the DHT has just begun, or the network is down. */
#define RETRY_MIN_NS (NS_PER_S)
#define RETRY_MAX_NS (60 * NS_PER_S)

#define RECORD_KEY "address-record"

struct publish {
	struct locate *locate;
	struct pkarr_policy policy;
	struct pkarr_packet packet; /* the newest that was signed */
	struct pkarr_record record; /* what it says */
	bool has_packet;
	bool is_stored; /* on disk, so it may be put */
	bool is_storing;
	uint64_t newest_seq; /* that this key was ever seen with */
	uint64_t signed_ns;
	dht_handle handle; /* of the put that is kept; 0: none */
	unsigned stored_cnt;
	uint64_t retry_ns;
	struct timer timer;
	publish_done_fn done; /* may be NULL */
	void *done_arg;
};

static uint64_t wall_us(const struct publish *publish)
{
	return locate_wall_us(publish->locate);
}

static void all_add(struct pkarr_record *all, const struct addr *addr)
{
	for (unsigned i = 0; i < all->addr_cnt; i++)
		if (addr_equal(&all->addrs[i], addr))
			return;
	if (all->addr_cnt < PKARR_ADDRS_MAX)
		all->addrs[all->addr_cnt++] = *addr;
}

/*
 * Addresses of the configuration are the only ones. Else those that third nodes proved and routers
 * mapped come first, then the one that others see, then the machine's own.
 */
static int record_make(const struct publish *publish, struct pkarr_record *out_record)
{
	const struct locate *locate = publish->locate;
	const struct locate_params *params = &locate->params;
	struct addr own[MESH_PEER_ADDRS_MAX];
	unsigned own_cnt = params->outer_addrs(params->ctx, own);
	struct pkarr_record all = {.caps = params->caps};
	struct addr external;

	for (unsigned i = 0; i < own_cnt; i++)
		all_add(&all, &own[i]);
	for (unsigned net = 0; net < DHT_FAMILY_CNT && !params->has_given_addrs; net++)
		if (locate->dht && dht_external(locate->dht, (enum dht_net)net, &external))
			all_add(&all, &external);
	own_cnt = params->own_addrs(params->ctx, own);
	for (unsigned i = 0; i < own_cnt; i++)
		all_add(&all, &own[i]);
	all.via_cnt = params->vias(params->ctx, all.vias);
	return dht_pkarr_record_select(&all, &publish->policy, out_record);
}

static void publish_tell(struct publish *publish, int err)
{
	publish_done_fn done = publish->done;

	publish->done = NULL;
	if (done)
		done(publish->done_arg, err);
}

static void publish_sign(struct publish *publish, const struct pkarr_record *record);

static void put_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct publish *publish = ctx;
	const struct locate_params *params = &publish->locate->params;
	const struct locate_event event = {.kind = LOCATE_DHT_PUBLISHED,
					   .node_cnt = outcome->stored_cnt,
					   .took_ns = outcome->ended_ns - outcome->began_ns};
	struct pkarr_record record;
	int err;

	publish->stored_cnt = outcome->stored_cnt;
	if (outcome->stored_cnt) {
		publish->locate->stats.dht_publish_cnt++;
		params->on_event(params->ctx, &event);
	} else {
		publish->locate->stats.publish_failed_cnt++;
	}
	if (outcome->err != WEFT_ESTALE) {
		publish_tell(publish, outcome->err);
		return;
	}
	log_warn("this node's key was used elsewhere: an address record with a higher sequence "
		 "number is on the DHT; ours is signed above it");
	if (outcome->seq_max > 0 && (uint64_t)outcome->seq_max > publish->newest_seq)
		publish->newest_seq = (uint64_t)outcome->seq_max;
	err = record_make(publish, &record);
	if (err == 0)
		publish_sign(publish, &record);
	else
		publish_tell(publish, err);
}

static void publish_retry(struct publish *publish)
{
	publish->retry_ns = publish->retry_ns ? 2 * publish->retry_ns : RETRY_MIN_NS;
	if (publish->retry_ns > RETRY_MAX_NS)
		publish->retry_ns = RETRY_MAX_NS;
	timer_set(publish->locate->params.timers, &publish->timer,
		  locate_now_ns(publish->locate) + publish->retry_ns);
}

/* Publishes packet besides the DHT; NULL: withdraws it there. */
static void publish_elsewhere(struct publish *publish, const struct pkarr_packet *packet)
{
	const struct locate *locate = publish->locate;

	locate_pkarr_relay_publish(locate->pkarr_client, packet, locate_now_ns(locate));
	locate_signaling_publish(locate->signaling, packet, locate_now_ns(locate));
}

static void publish_put(struct publish *publish)
{
	struct locate *locate = publish->locate;
	struct dht_asker asker = {.ended = put_ended, .ctx = publish};
	struct dht_item item;
	/* The next life signs or puts it itself, if it may be public then. */
	struct dht_put_params put = {.item = &item, .is_kept = true, .is_unsaved = true};

	publish_elsewhere(publish, &publish->packet);
	if (!locate->dht) {
		publish_tell(publish, 0);
		return;
	}
	dht_pkarr_packet_item(&publish->packet, &item);
	dht_cancel(locate->dht, publish->handle);
	publish->handle = dht_put(locate->dht, &put, &asker, locate_now_ns(locate));
	if (!publish->handle)
		publish_retry(publish);
	else
		publish->retry_ns = 0;
}

static void record_stored(void *arg, int err)
{
	struct publish *publish = arg;

	publish->is_storing = false;
	publish->is_stored = err == 0;
	if (err == 0) {
		publish_put(publish);
		return;
	}
	log_warn("the address record was not published: it could not be stored: %s",
		 weft_err_text(err));
	publish_tell(publish, err);
	publish_retry(publish);
}

static void publish_store(struct publish *publish)
{
	struct locate *locate = publish->locate;
	struct store_batch *batch = store_batch_new(locate->params.store);
	uint8_t body[PKARR_BODY_LEN_MAX];

	publish->is_storing = true;
	store_batch_put(batch, STORE_META, store_key(RECORD_KEY, strlen(RECORD_KEY)), body,
			dht_pkarr_packet_write_body(&publish->packet, body));
	if (batch && store_submit(locate->params.store, batch, record_stored, publish) == 0)
		return;
	store_batch_free(batch);
	publish->is_storing = false;
	publish_retry(publish);
}

static void publish_sign(struct publish *publish, const struct pkarr_record *record)
{
	const struct locate *locate = publish->locate;

	publish->newest_seq = dht_pkarr_next_seq(wall_us(publish), publish->newest_seq);
	dht_pkarr_packet_sign(record, locate->params.key, publish->newest_seq, &publish->packet);
	publish->record = *record;
	publish->has_packet = true;
	publish->is_stored = false;
	publish->signed_ns = locate_now_ns(locate);
	publish_store(publish);
}

static bool record_is_equal(const struct pkarr_record *a, const struct pkarr_record *b)
{
	if (a->addr_cnt != b->addr_cnt || a->relay_cnt != b->relay_cnt || a->caps != b->caps)
		return false;
	for (unsigned i = 0; i < a->addr_cnt; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	if (!peer_vias_equal(a->vias, a->via_cnt, b->vias, b->via_cnt))
		return false;
	for (unsigned i = 0; i < a->relay_cnt; i++)
		if (strcmp(a->relays[i], b->relays[i]) != 0)
			return false;
	return true;
}

/* Nothing may be said any more: what is out there ends with its own time. */
static void publish_withdraw(struct publish *publish, int err)
{
	publish_elsewhere(publish, NULL);
	if (publish->locate->dht)
		dht_cancel(publish->locate->dht, publish->handle);
	publish->handle = 0;
	publish->stored_cnt = 0;
	publish_tell(publish, err);
}

static void publish_look(struct timer *timer, uint64_t now_ns)
{
	struct publish *publish = container_of(timer, struct publish, timer);
	struct pkarr_record record;
	int err;

	timer_set(publish->locate->params.timers, timer, now_ns + LOOK_AGAIN_NS);
	if (publish->is_storing)
		return;
	if ((err = record_make(publish, &record)) < 0) {
		publish_withdraw(publish, err);
		return;
	}
	if (!publish->has_packet || !record_is_equal(&record, &publish->record) ||
	    now_ns - publish->signed_ns >= SIGN_AGAIN_NS)
		publish_sign(publish, &record);
	else if (!publish->is_stored)
		publish_store(publish);
	else if (!publish->handle)
		publish_put(publish);
}

bool locate_publish_record_is_over(const struct locate *locate, uint64_t seq)
{
	uint64_t now_us = locate_wall_us(locate);

	return seq >= TIME_MIN_US && now_us > seq &&
	       now_us - seq > PUBLISH_RECORD_LIFE_S * 1000000ull + CLOCKS_US;
}

bool locate_publish_has_place(const struct publish *publish)
{
	const struct locate *locate = publish->locate;

	return locate->dht || locate->pkarr_client || locate->signaling;
}

void locate_publish_changed(struct publish *publish, uint64_t now_ns)
{
	if (publish && locate_publish_has_place(publish))
		timer_set(publish->locate->params.timers, &publish->timer, now_ns);
}

int locate_publish_now(struct publish *publish, publish_done_fn done, void *arg, uint64_t now_ns)
{
	struct pkarr_record record;
	int err = record_make(publish, &record);

	(void)now_ns;
	if (err < 0)
		return err;
	if (publish->done || publish->is_storing)
		return WEFT_EBUSY;
	publish->done = done;
	publish->done_arg = arg;
	publish_sign(publish, &record);
	return 0;
}

void locate_publish_forget(struct publish *publish, const void *arg)
{
	if (publish->done_arg == arg)
		publish->done = NULL;
}

uint64_t locate_publish_next_seq(struct publish *publish)
{
	publish->newest_seq = dht_pkarr_next_seq(wall_us(publish), publish->newest_seq);
	return publish->newest_seq;
}

void locate_publish_state(const struct publish *publish, struct publish_state *out_state)
{
	struct publish_state state = {.stored_cnt = publish->stored_cnt};

	state.err = record_make(publish, &state.record);
	if (publish->has_packet)
		state.packet = &publish->packet;
	*out_state = state;
}

/* A record of an earlier life that is still right is put as it is. */
static void publish_load(struct publish *publish)
{
	struct store_snapshot *snapshot;
	uint64_t signed_s, now_s = wall_us(publish) / 1000000;
	const void *body;
	size_t len;

	if (store_snapshot_open(publish->locate->params.store, &snapshot) < 0)
		return;
	if (store_get(snapshot, STORE_META, store_key(RECORD_KEY, strlen(RECORD_KEY)), &body,
		      &len) == 0 &&
	    dht_pkarr_packet_parse_body(publish->locate->own_key, body, len, &publish->packet) ==
		    0) {
		signed_s = publish->packet.seq / 1000000;
		publish->newest_seq = publish->packet.seq;
		publish->has_packet =
			dht_pkarr_record_read(&publish->packet, publish->policy.allows_private,
					      &publish->record) == 0 &&
			signed_s <= now_s && now_s - signed_s < SIGN_AGAIN_NS / NS_PER_S;
		publish->is_stored = true;
		/* Before this clock began, maybe: only differences of it are looked at. */
		publish->signed_ns = locate_now_ns(publish->locate) - (now_s - signed_s) * NS_PER_S;
	}
	store_snapshot_close(snapshot);
}

int locate_publish_open(struct locate *locate)
{
	struct publish *publish = calloc(1, sizeof(*publish));

	if (!publish)
		return -ENOMEM;
	locate->publish = publish;
	publish->locate = locate;
	publish->policy = locate->params.publish->policy;
	timer_init(&publish->timer, publish_look);
	publish_load(publish);
	locate_publish_changed(publish, locate_now_ns(locate));
	return 0;
}

void locate_publish_close(struct publish *publish)
{
	if (!publish)
		return;
	timer_cancel(publish->locate->params.timers, &publish->timer);
	if (publish->locate->dht)
		dht_cancel(publish->locate->dht, publish->handle);
	publish->locate->publish = NULL;
	free(publish);
}
