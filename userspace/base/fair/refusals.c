/* SPDX-License-Identifier: Apache-2.0 */
/* Which pool refused which account: rows in sets, found by a keyed hash of the account. */
#include "refusals.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/siphash_bytes.h"

#define SET_CNT (REFUSALS_CNT / REFUSALS_WAYS)

int refusals_init(struct refusals *refusals, struct arena *arena, const uint64_t secret[2])
{
	*refusals = (struct refusals){.secret = {secret[0], secret[1]}};
	refusals->rows = arena_alloc(arena, REFUSALS_CNT * sizeof(struct refusal));
	return refusals->rows ? 0 : WEFT_EFULL;
}

struct refused refused_of_key(const uint8_t key[static REFUSALS_KEY_LEN])
{
	struct refused who = {.kind = REFUSED_KEY};

	memcpy(who.key, key, sizeof(who.key));
	return who;
}

struct refused refused_of_addr(const struct addr *addr)
{
	return (struct refused){.kind = REFUSED_ADDR,
				.addr = addr_prefix_key(addr, addr->family == ADDR_IPV6 ? 64 : 32)};
}

struct refused refused_of_user(uint32_t uid)
{
	return (struct refused){.kind = REFUSED_USER, .uid = uid};
}

bool refused_equal(const struct refused *a, const struct refused *b)
{
	return a->kind == b->kind && a->uid == b->uid && addr_equal(&a->addr, &b->addr) &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

static struct refusal *set_of(const struct refusals *refusals, const struct refused *who)
{
	uint8_t data[sizeof(who->uid) + sizeof(who->addr.ip) + sizeof(who->key)];

	memcpy(data, &who->uid, sizeof(who->uid));
	memcpy(data + sizeof(who->uid), who->addr.ip, sizeof(who->addr.ip));
	memcpy(data + sizeof(who->uid) + sizeof(who->addr.ip), who->key, sizeof(who->key));
	return &refusals->rows[siphash(refusals->secret, data, sizeof(data)) % SET_CNT *
			       REFUSALS_WAYS];
}

static bool row_is(const struct refusal *row, const struct refused *who, const char *pool)
{
	return row->who.kind != REFUSED_NONE && strcmp(row->pool, pool) == 0 &&
	       refused_equal(&row->who, who);
}

void refusals_note(struct refusals *refusals, const struct refused *who, const char *pool,
		   uint32_t wait_ms, uint64_t now_ns)
{
	struct refusal *set = set_of(refusals, who);
	struct refusal *row = &set[0];

	if (now_ns > refusals->now_ns)
		refusals->now_ns = now_ns;
	for (unsigned i = 0; i < REFUSALS_WAYS; i++) {
		if (row_is(&set[i], who, pool)) {
			row = &set[i];
			break;
		}
		/* A free one was refused never. */
		if (set[i].last_ns < row->last_ns)
			row = &set[i];
	}
	if (!row_is(row, who, pool))
		*row = (struct refusal){.who = *who, .pool = pool};
	row->cnt++;
	row->last_ns = refusals->now_ns;
	row->until_ns = refusals->now_ns + wait_ms * 1000000ull;
}

const struct refusal *refusals_next(const struct refusals *refusals, const struct refusal *row)
{
	for (row = row ? row + 1 : refusals->rows; row < refusals->rows + REFUSALS_CNT; row++)
		if (row->who.kind != REFUSED_NONE)
			return row;
	return NULL;
}

/* Of those of one moment the one that was refused more often: an address goes before its keys. */
static bool is_before(const struct refusal *row, const struct refusal *other)
{
	return row->last_ns != other->last_ns ? row->last_ns > other->last_ns
					      : row->cnt > other->cnt;
}

unsigned refusals_newest(const struct refusals *refusals,
			 struct refusal out[static REFUSALS_NEWER_CNT])
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < REFUSALS_CNT; i++) {
		const struct refusal *row = &refusals->rows[i];
		unsigned at = cnt;

		if (row->who.kind == REFUSED_NONE)
			continue;
		while (at > 0 && is_before(row, &out[at - 1]))
			at--;
		if (at == REFUSALS_NEWER_CNT)
			continue;
		cnt += cnt < REFUSALS_NEWER_CNT;
		memmove(&out[at + 1], &out[at], (cnt - at - 1) * sizeof(*out));
		out[at] = *row;
	}
	return cnt;
}
