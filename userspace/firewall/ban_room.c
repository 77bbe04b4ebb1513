/* SPDX-License-Identifier: Apache-2.0 */
#include "ban_room.h"

#include "base/siphash_bytes.h"

/* The bans that may go, fewer at each level. */
struct room {
	const struct ban *bans[BAN_LIST_AUTO_CAP];
	uint64_t accounts[BAN_LIST_AUTO_CAP]; /* the account of each at this level */
	unsigned cnt;
};

static uint64_t account_of(const struct ban *ban, bool is_network)
{
	/* Two accounts with one number pay together: no harm, so the hash needs no secret. */
	static const uint64_t secret[2] = {0x726f6f6d, 0x62616e};
	const struct addr *source = &ban->source;
	struct addr prefix = {.family = ADDR_NONE};

	if (source->family == ADDR_IPV4)
		prefix = addr_prefix_key(source, is_network ? 24 : 32);
	else if (source->family == ADDR_IPV6)
		prefix = addr_prefix_key(source, is_network ? 48 : 64);
	return siphash(secret, &prefix, sizeof(prefix));
}

static unsigned room_held(const struct room *room, uint64_t account)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < room->cnt; i++)
		cnt += room->accounts[i] == account;
	return cnt;
}

/*
 * Leaves the bans of the account that pays. That is the one that holds most, if
 * that is two more than the newcomer's own, else the newcomer's own.
 */
static void room_narrow(struct room *room, const struct ban *newcomer, bool is_network)
{
	uint64_t own = account_of(newcomer, is_network), payer = own;
	unsigned own_cnt, most_cnt, kept_cnt = 0;

	for (unsigned i = 0; i < room->cnt; i++)
		room->accounts[i] = account_of(room->bans[i], is_network);
	own_cnt = room_held(room, own);
	most_cnt = own_cnt ? own_cnt + 1 : 0;
	for (unsigned i = 0; i < room->cnt; i++) {
		unsigned cnt = room_held(room, room->accounts[i]);

		if (cnt <= most_cnt)
			continue;
		most_cnt = cnt;
		payer = room->accounts[i];
	}
	for (unsigned i = 0; i < room->cnt; i++)
		if (room->accounts[i] == payer)
			room->bans[kept_cnt++] = room->bans[i];
	room->cnt = kept_cnt;
}

const struct ban *firewall_ban_room_victim(const struct ban_list *list, const struct ban *newcomer)
{
	const struct ban *victim = NULL, *ban = NULL;
	struct room room;

	room.cnt = 0;
	while ((ban = firewall_ban_list_next(list, ban)) && room.cnt < BAN_LIST_AUTO_CAP)
		if (ban->is_automatic)
			room.bans[room.cnt++] = ban;
	room_narrow(&room, newcomer, true);
	room_narrow(&room, newcomer, false);
	for (unsigned i = 0; i < room.cnt; i++)
		if (!victim || room.bans[i]->expires_s < victim->expires_s)
			victim = room.bans[i];
	return victim;
}
