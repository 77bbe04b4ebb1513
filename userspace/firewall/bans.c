/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings the list of bans to its enforcers, and takes bans back when they end. Enforcers compare
 * times of the monotonic clock, so a change of the wall clock sends them the bans again.
 */
#include "bans.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "ban_room.h"
#include "firewall.h"
#include "store/store.h"

/* How late a wall clock that was set is noticed: while a ban is to end, and else. */
#define LOOK_S	      1
#define LOOK_SELDOM_S 30

static uint64_t wall_now_s(const struct bans *bans)
{
	return bans->params->wall_us(bans->params->ctx) / 1000000;
}

static uint64_t wall_offset_s(const struct bans *bans, uint64_t now_ns)
{
	return wall_now_s(bans) - now_ns / NS_PER_S;
}

static void timer_arm(struct bans *bans, uint64_t now_ns)
{
	uint64_t next_s = firewall_ban_list_next_s(bans->list), wall_s = wall_now_s(bans);
	uint64_t in_s = next_s == UINT64_MAX ? LOOK_SELDOM_S : LOOK_S;

	if (next_s <= wall_s)
		in_s = 0;
	timer_set(bans->params->timers, &bans->timer, now_ns + in_s * NS_PER_S);
}

static void spread(struct bans *bans, uint64_t now_ns)
{
	const struct firewall_params *params = bans->params;

	bans->wall_offset_s = wall_offset_s(bans, now_ns);
	bans->is_spread_due = false;
	params->enforce(params->ctx, firewall_ban_list_copy(bans->list, wall_now_s(bans), now_ns),
			now_ns);
}

void firewall_bans_tell(struct bans *bans, enum incident_kind kind, const struct ban *ban)
{
	const struct firewall_params *params = bans->params;
	const struct incident incident = {.at_ns = *params->now_ns,
					  .at_s = wall_now_s(bans),
					  .kind = kind,
					  .who = ban->target};

	firewall_incidents_add(params->incidents, &incident);
	params->on_ban(params->ctx, kind, ban);
}

static void ban_ended(void *arg, const struct ban *ban)
{
	struct bans *bans = arg;

	bans->params->ban_changed(bans->params->ctx, &ban->target);
	firewall_bans_tell(bans, INCIDENT_BAN_ENDED, ban);
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct bans *bans = container_of(timer, struct bans, timer);
	uint64_t offset_s = wall_offset_s(bans, now_ns);
	bool was_set = offset_s > bans->wall_offset_s + 1 || offset_s + 1 < bans->wall_offset_s;

	if (was_set)
		bans->params->bans_push(bans->params->ctx);
	if (firewall_ban_list_expire(bans->list, wall_now_s(bans), ban_ended, bans) || was_set ||
	    bans->is_spread_due)
		spread(bans, now_ns);
	timer_arm(bans, now_ns);
}

/* A worker is in the middle of a datagram when this becomes known: its tables wait for the turn. */
static void spread_soon(struct bans *bans)
{
	bans->is_spread_due = true;
	timer_set(bans->params->timers, &bans->timer, *bans->params->now_ns);
}

/* Not on the disk, so not in the list; the driver's entry ends by itself. */
static void added(void *arg, int err)
{
	if (err < 0)
		spread_soon(arg);
}

static void drop(struct bans *bans, const struct ban *ban, enum incident_kind kind)
{
	const struct ban dropped = *ban;

	firewall_ban_list_drop(bans->list, &dropped.target);
	bans->params->ban_changed(bans->params->ctx, &dropped.target);
	spread_soon(bans);
	firewall_bans_tell(bans, kind, &dropped);
}

static void make_room(struct bans *bans, const struct ban *ban)
{
	const struct ban *victim;

	if (!ban->is_automatic || firewall_ban_list_lookup(bans->list, &ban->target) ||
	    firewall_ban_list_auto_cnt(bans->list) < BAN_LIST_AUTO_CAP)
		return;
	victim = firewall_ban_room_victim(bans->list, ban);
	if (!victim)
		return;
	bans->pushed_out_cnt++;
	drop(bans, victim, INCIDENT_BAN_ENDED);
}

/* add is in force with the next turn: it may end the session of the caller. False: no room. */
static bool add(struct bans *bans, const struct ban *ban)
{
	make_room(bans, ban);
	if (firewall_ban_list_put(bans->list, ban, added, bans) < 0)
		return false;
	bans->params->ban_changed(bans->params->ctx, &ban->target);
	spread_soon(bans);
	firewall_bans_tell(bans, INCIDENT_BANNED, ban);
	return true;
}

/* add_longer keeps what an operator said, and what an earlier ban said for longer. */
static bool add_longer(struct bans *bans, const struct ban *ban)
{
	const struct ban *there = firewall_ban_list_lookup(bans->list, &ban->target);

	if (there && (!there->is_automatic || there->expires_s >= ban->expires_s))
		return true;
	return add(bans, ban);
}

static struct ban_target place_target(const struct addr *place)
{
	return firewall_ban_target_cut(
		&(struct ban_target){.kind = place->family == ADDR_IPV4 ? BAN_IPV4 : BAN_IPV6,
				     .addr = *place},
		place->family == ADDR_IPV4 ? 32 : 64);
}

static void limit_place(struct bans *bans, const struct addr *place, uint64_t cause)
{
	struct ban ban = {.target = place_target(place),
			  .added_s = wall_now_s(bans),
			  .is_automatic = true,
			  .is_limit = true,
			  .cause = cause,
			  .source = *place};

	ban.expires_s = firewall_offences_limit_until_s(&bans->offences, place, ban.added_s);
	if (!ban.expires_s)
		return;
	snprintf(ban.reason, sizeof(ban.reason), "%u keys from there were banned within an hour",
		 OFFENCES_KEYS_MIN);
	(void)add_longer(bans, &ban);
}

bool firewall_bans_add_peer(struct bans *bans, const struct ban_offender *offender,
			    uint64_t until_s, const char *reason)
{
	struct ban ban = {.target = {.kind = BAN_KEY},
			  .added_s = wall_now_s(bans),
			  .expires_s = until_s,
			  .is_automatic = true};
	struct offence offence = {.at_s = ban.added_s};

	if (!bans->list)
		return false;
	if (offender->at.family != ADDR_NONE)
		offence.place = firewall_offences_place(&offender->at);
	memcpy(offence.key, offender->key, BAN_KEY_LEN);
	offence.cause = firewall_offences_cause(&bans->offences, offence.key,
						random_u64(bans->params->random) | 1);
	memcpy(ban.target.key, offender->key, BAN_KEY_LEN);
	ban.cause = offence.cause;
	ban.source = offence.place;
	snprintf(ban.reason, sizeof(ban.reason), "%s", reason);
	if (!add_longer(bans, &ban))
		return false;
	firewall_offences_note(&bans->offences, &offence);
	if (offence.place.family != ADDR_NONE && !offender->is_known_there)
		limit_place(bans, &offence.place, offence.cause);
	return true;
}

/* place has lost an offence: what it deserved, it may deserve no longer. */
static void place_review(void *arg, const struct addr *place)
{
	struct bans *bans = arg;
	const struct ban_target target = place_target(place);
	const struct ban *limit = firewall_ban_list_lookup(bans->list, &target);

	if (limit && limit->is_limit &&
	    !firewall_offences_limit_until_s(&bans->offences, place, wall_now_s(bans)))
		drop(bans, limit, INCIDENT_BAN_REMOVED);
}

void firewall_bans_undo(struct bans *bans, const struct ban *removed)
{
	if (!removed->is_automatic)
		return;
	if (removed->is_limit)
		firewall_offences_forget_place(&bans->offences, &removed->source);
	else
		firewall_offences_forget_cause(&bans->offences, removed->cause, place_review, bans);
}

int firewall_bans_open(struct bans *bans, const struct firewall_params *params)
{
	uint64_t now_ns = *params->now_ns;
	int err;

	bans->params = params;
	timer_init(&bans->timer, timer_fire);
	err = firewall_ban_list_open(params->store, wall_now_s(bans), &bans->list);
	if (err < 0)
		return err;
	if (firewall_ban_list_cnt(bans->list))
		log_info("bans in force: %u", firewall_ban_list_cnt(bans->list));
	spread(bans, now_ns);
	timer_arm(bans, now_ns);
	return 0;
}

void firewall_bans_close(struct bans *bans)
{
	if (!bans->list)
		return;
	timer_cancel(bans->params->timers, &bans->timer);
	firewall_ban_list_free(bans->list);
	bans->list = NULL;
}

void firewall_bans_changed(struct bans *bans, const struct ban_target *target, uint64_t now_ns)
{
	bans->params->ban_changed(bans->params->ctx, target);
	spread(bans, now_ns);
	timer_arm(bans, now_ns);
}
