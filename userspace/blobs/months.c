/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caps of a month. months_look runs several times a second while there is a cap. It finds which
 * month it is, has leases made durable, and grants this worker the bytes that it may send and
 * ask for.
 */
#include "months.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "codec/cbor.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/serve.h"
#include "store/store.h"

#define LOOK_NS	      (250 * NS_PER_MS)
#define WAIT_MAX_NS   (60 * NS_PER_S) /* then a peer may look whether the cap is another */
#define WAIT_LEASE_NS (500 * NS_PER_MS)

/* In STORE_META: the map of direction * BLOBS_ZONE_CNT + zone to [month, leased, month before, spent then]. */
static const char ledger_key[] = "content-months";
#define LEDGER_CAP 256

#define EACH_QUOTA(d, z)                                                                           \
	for (unsigned d = 0; d < BLOBS_DIRECTION_CNT; d++)                                         \
		for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++)

/* --- credits --- */

bool blobs_credit_has(const struct blobs_credit *credit, uint64_t len)
{
	return !credit->is_capped || credit->granted >= credit->taken + len;
}

void blobs_credit_take(struct blobs_credit *credit, uint64_t len)
{
	credit->taken += len;
}

void blobs_credit_give_back(struct blobs_credit *credit, uint64_t len)
{
	credit->taken -= len < credit->taken ? len : credit->taken;
}

uint64_t blobs_credit_wait_ns(const struct blobs_credit *credit, uint64_t len)
{
	uint64_t short_len =
		credit->taken + len > credit->granted ? credit->taken + len - credit->granted : 0;
	double wait_ns;

	if (blobs_credit_has(credit, len))
		return 0;
	if (credit->is_reached)
		return WAIT_MAX_NS;
	if (!credit->per_s)
		return WAIT_LEASE_NS;
	wait_ns = (double)short_len * (double)NS_PER_S / (double)credit->per_s;
	return wait_ns < (double)WAIT_MAX_NS ? (uint64_t)wait_ns : WAIT_MAX_NS;
}

/* --- the ledger --- */

int blobs_months_load(struct months *months, struct store_snapshot *snapshot)
{
	struct months got = *months;
	struct cbor_reader r;
	const void *record;
	uint64_t key;
	size_t len;
	int err = store_get(snapshot, STORE_META, store_key(ledger_key, sizeof(ledger_key) - 1),
			    &record, &len);

	if (err < 0)
		return err == WEFT_EABSENT ? 0 : err;
	cbor_reader_init(&r, record, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		uint64_t values[4] = {0};

		if (key >= BLOBS_DIRECTION_CNT * BLOBS_ZONE_CNT) {
			cbor_skip(&r);
			continue;
		}
		(void)cbor_enter_array(&r);
		for (unsigned i = 0; cbor_next(&r); i++) {
			uint64_t value = cbor_read_uint_max(&r, BLOBS_MONTH_MAX);

			values[i % 4] = value;
		}
		got.quotas[key / BLOBS_ZONE_CNT][key % BLOBS_ZONE_CNT] =
			(struct quota){.month = values[0],
				       .spent = values[1],
				       .leased = values[1],
				       .before_month = values[2],
				       .before_spent = values[3]};
	}
	if (cbor_reader_finish(&r) == 0)
		*months = got;
	return 0;
}

/* A ledger on its way into the store. */
struct ledger {
	struct blobs *content;
	uint64_t months[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	uint64_t leased[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
};

static void ledger_write(const struct months *months, const struct ledger *ledger,
			 struct store_batch *batch)
{
	uint8_t record[LEDGER_CAP];
	struct writer w = writer_of(record, sizeof(record));

	cbor_write_map(&w, BLOBS_DIRECTION_CNT * BLOBS_ZONE_CNT);
	EACH_QUOTA(d, z)
	{
		cbor_write_uint(&w, d * BLOBS_ZONE_CNT + z);
		cbor_write_array(&w, 4);
		cbor_write_uint(&w, ledger->months[d][z]);
		cbor_write_uint(&w, ledger->leased[d][z]);
		cbor_write_uint(&w, months->quotas[d][z].before_month);
		cbor_write_uint(&w, months->quotas[d][z].before_spent);
	}
	store_batch_put(batch, STORE_META, store_key(ledger_key, sizeof(ledger_key) - 1), record,
			writer_len(&w));
}

static void months_look(struct blobs *content, uint64_t now_ns);

static void ledger_done(void *arg, int err)
{
	struct ledger *ledger = arg;
	struct blobs *content = ledger->content;
	struct months *months = &content->months;

	months->is_storing = false;
	EACH_QUOTA(d, z)
	{
		if (err == 0)
			blobs_quota_leased(&months->quotas[d][z], ledger->months[d][z],
					   ledger->leased[d][z]);
	}
	free(ledger);
	/* One that failed is tried again by the timer: nothing goes until then. */
	if (err == 0 && !months->is_stopped)
		months_look(content, blobs_serve_now_ns(content->serve));
}

static void leases_renew(struct blobs *content)
{
	struct months *months = &content->months;
	struct ledger *ledger;
	struct store_batch *batch;
	bool is_due = false;

	EACH_QUOTA(d, z)
	{
		is_due |= blobs_quota_lease(&months->quotas[d][z], months->per_s[d][z]) != 0;
	}
	if (!is_due || months->is_storing)
		return;
	ledger = malloc(sizeof(*ledger));
	if (!ledger)
		return;
	ledger->content = content;
	EACH_QUOTA(d, z)
	{
		const struct quota *quota = &months->quotas[d][z];
		uint64_t lease = blobs_quota_lease(quota, months->per_s[d][z]);
		uint64_t least = quota->leased > quota->spent ? quota->leased : quota->spent;

		ledger->months[d][z] = quota->month;
		ledger->leased[d][z] = lease ? lease : least;
	}
	batch = store_batch_new(content->params.store);
	ledger_write(months, ledger, batch);
	months->is_storing = true;
	if (store_submit(content->params.store, batch, ledger_done, ledger) == 0)
		return;
	months->is_storing = false;
	store_batch_free(batch);
	free(ledger);
}

/* --- grants --- */

uint64_t blobs_credit_lack(const struct blobs_credit *credit, uint64_t rate)
{
	uint64_t until = credit->taken + (rate > QUOTA_BURST_LEN ? rate : QUOTA_BURST_LEN);

	return credit->granted < until ? until - credit->granted : 0;
}

uint64_t blobs_month_grant(struct blobs *content, enum blobs_direction direction,
			   enum blobs_zone zone, uint64_t lack, uint64_t now_ns)
{
	struct quota *quota = &content->months.quotas[direction][zone];

	return quota->cap && lack ? blobs_quota_grant(quota, lack, blobs_wall_s(content), now_ns)
				  : 0;
}

static void state_tell(struct blobs *content, unsigned d, unsigned z)
{
	const struct quota *quota = &content->months.quotas[d][z];
	enum month_state *told = &content->months.told[d][z], now;
	char text[160];

	now = blobs_quota_is_reached(quota)   ? MONTH_REACHED
	      : blobs_quota_is_gliding(quota) ? MONTH_GLIDING
					      : MONTH_FREE;
	if (now == *told)
		return;
	*told = now;
	if (now == MONTH_FREE)
		return;
	snprintf(text, sizeof(text), "%s: %llu of %llu bytes of the month",
		 blobs_limit_name(blobs_month_limit((enum blobs_direction)d, (enum blobs_zone)z)),
		 (unsigned long long)quota->spent, (unsigned long long)quota->cap);
	blobs_tell(content,
		   &(struct blobs_event){.kind = now == MONTH_REACHED ? BLOBS_QUOTA_REACHED
								      : BLOBS_QUOTA_GLIDING,
					 .text = text});
}

static void month_enter(struct blobs *content, uint64_t wall_s)
{
	int64_t offset_s = blobs_utc_offset_s(content, wall_s);
	uint64_t day = content->params.config.month_reset_day, end_s;
	uint64_t month = blobs_quota_month((uint64_t)((int64_t)wall_s + offset_s),
					   day ? (unsigned)day : 1, &end_s);

	EACH_QUOTA(d, z)
	{
		if (blobs_quota_enter(&content->months.quotas[d][z], month,
				      (uint64_t)((int64_t)end_s - offset_s)))
			content->months.spent_before[d][z] = content->months.quotas[d][z].spent;
	}
}

static uint64_t per_second(uint64_t len, uint64_t span_ns)
{
	return (uint64_t)((double)len * (double)NS_PER_S / (double)span_ns);
}

static void rates_measure(struct blobs *content, uint64_t now_ns)
{
	struct months *months = &content->months;
	uint64_t span_ns = now_ns - months->looked_ns;

	if (span_ns < LOOK_NS / 2)
		return;
	EACH_QUOTA(d, z)
	{
		uint64_t spent = months->quotas[d][z].spent, before = months->spent_before[d][z];
		uint64_t taken = content->credits[d][z].taken;
		uint64_t own = months->taken_before[d][z];

		months->per_s[d][z] = spent > before ? per_second(spent - before, span_ns) : 0;
		months->own_per_s[d][z] = taken > own ? per_second(taken - own, span_ns) : 0;
		months->spent_before[d][z] = spent;
		months->taken_before[d][z] = taken;
	}
	months->looked_ns = now_ns;
}

static void months_look(struct blobs *content, uint64_t now_ns)
{
	struct months *months = &content->months;
	uint64_t wall_s = blobs_wall_s(content);

	if (wall_s)
		month_enter(content, wall_s);
	rates_measure(content, now_ns);
	leases_renew(content);
	EACH_QUOTA(d, z)
	{
		struct blobs_credit *credit = &content->credits[d][z];

		if (!credit->is_capped)
			continue;
		credit->granted += blobs_month_grant(
			content, (enum blobs_direction)d, (enum blobs_zone)z,
			blobs_credit_lack(credit, months->own_per_s[d][z]), now_ns);
		credit->per_s = blobs_quota_glide(&months->quotas[d][z], wall_s);
		credit->is_reached = blobs_quota_is_reached(&months->quotas[d][z]);
		state_tell(content, d, z);
	}
	blobs_serve_credits_changed(content->serve);
}

static void months_due(struct timer *timer, uint64_t now_ns)
{
	struct blobs *content = container_of(timer, struct blobs, months.timer);

	timer_set(content->params.timers, timer, now_ns + LOOK_NS);
	months_look(content, now_ns);
}

void blobs_months_apply(struct blobs *content, uint64_t now_ns)
{
	struct months *months = &content->months;
	bool has_cap = false;

	EACH_QUOTA(d, z)
	{
		enum blobs_limit which =
			blobs_month_limit((enum blobs_direction)d, (enum blobs_zone)z);
		struct blobs_credit *credit = &content->credits[d][z];
		struct quota *quota = &months->quotas[d][z];

		quota->cap = blobs_limit(content, which);
		quota->glide_percent = (unsigned)content->params.config.month_glide_percent;
		if (quota->cap && !credit->is_capped)
			credit->granted = months->taken_before[d][z] = credit->taken;
		credit->is_capped = quota->cap != 0;
		has_cap |= credit->is_capped;
	}
	if (!has_cap || months->is_stopped) {
		timer_cancel(content->params.timers, &months->timer);
		return;
	}
	timer_set(content->params.timers, &months->timer, now_ns + LOOK_NS);
	months_look(content, now_ns);
}

void blobs_months_init(struct blobs *content, uint64_t now_ns)
{
	timer_init(&content->months.timer, months_due);
	content->months.looked_ns = now_ns;
	EACH_QUOTA(d, z)
	{
		content->months.spent_before[d][z] = content->months.quotas[d][z].spent;
	}
}

void blobs_months_fini(struct blobs *content)
{
	content->months.is_stopped = true;
	timer_cancel(content->params.timers, &content->months.timer);
}

/* --- for people and for other workers --- */

enum blobs_limit blobs_month_limit(enum blobs_direction direction, enum blobs_zone zone)
{
	static const enum blobs_limit limits[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT] = {
		[BLOBS_UPLOADS] = {BLOBS_LIMIT_UPLOAD_MONTH_LAN, BLOBS_LIMIT_UPLOAD_MONTH},
		[BLOBS_DOWNLOADS] = {BLOBS_LIMIT_DOWNLOAD_MONTH_LAN, BLOBS_LIMIT_DOWNLOAD_MONTH},
	};

	return limits[direction][zone];
}

void blobs_month_show(const struct blobs *content, enum blobs_direction direction,
		      enum blobs_zone zone, struct blobs_month_view *out_view)
{
	const struct quota *quota = &content->months.quotas[direction][zone];

	*out_view = (struct blobs_month_view){
		.used = quota->spent,
		.glide_per_s = blobs_quota_glide(quota, blobs_wall_s(content)),
		.is_reached = blobs_quota_is_reached(quota),
		.end_s = quota->end_s};
}

void blobs_credits_get(const struct blobs *content,
		       struct blobs_credit out_credits[static BLOBS_ZONE_CNT])
{
	memcpy(out_credits, content->credits[BLOBS_UPLOADS], sizeof(content->credits[0]));
}

void blobs_credits_take(struct blobs *content,
			const struct blobs_credit credits[static BLOBS_ZONE_CNT])
{
	for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++) {
		struct blobs_credit *own = &content->credits[BLOBS_UPLOADS][z];
		uint64_t taken = own->taken;

		*own = credits[z];
		own->taken = taken;
	}
	blobs_serve_credits_changed(content->serve);
}

enum blobs_zone blobs_zone_of(const struct blobs *content, const struct addr *addr)
{
	return addr_is_global(addr) && blobs_price(content, addr) ? BLOBS_INTERNET : BLOBS_LAN;
}
