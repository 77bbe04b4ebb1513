/* SPDX-License-Identifier: Apache-2.0 */
#include "unverified.h"

/* The n-th newest dial, from 0. */
static const struct mesh_unverified_dial *
unverified_newest(const struct mesh_unverified *unverified, uint32_t n)
{
	return &unverified->dials[(unverified->next_idx + MESH_UNVERIFIED_CAP - 1 - n) %
				  MESH_UNVERIFIED_CAP];
}

static uint64_t age_ns(const struct mesh_unverified_dial *dial, uint64_t now_ns)
{
	return now_ns > dial->at_ns ? now_ns - dial->at_ns : 0;
}

static struct addr host_of(const struct addr *addr)
{
	return addr_is_global(addr) ? addr_prefix_key(addr, 128) : *addr;
}

static bool is_of_network(const struct addr *a, const struct addr *b)
{
	unsigned len = a->family == ADDR_IPV4 ? 24 : 56;
	const struct addr network_a = addr_prefix_key(a, len);
	const struct addr network_b = addr_prefix_key(b, len);

	return addr_equal(&network_a, &network_b);
}

uint32_t mesh_unverified_recent(const struct mesh_unverified *unverified, uint64_t now_ns)
{
	uint32_t cnt = 0;

	while (cnt < unverified->cnt &&
	       age_ns(unverified_newest(unverified, cnt), now_ns) < MESH_UNVERIFIED_MIN_NS)
		cnt++;
	return cnt;
}

/* Another dial of the minute has its place. */
static bool minute_has_room(const struct mesh_unverified *unverified, const struct addr *addr,
			    uint64_t now_ns)
{
	uint32_t recent_cnt = mesh_unverified_recent(unverified, now_ns), network_cnt = 0;

	if (recent_cnt >= MESH_UNVERIFIED_PER_MIN)
		return false;
	for (uint32_t i = 0; i < recent_cnt; i++)
		network_cnt += is_of_network(&unverified_newest(unverified, i)->addr, addr);
	return network_cnt < MESH_UNVERIFIED_NETWORK_PER_MIN || !addr_is_global(addr);
}

/* What the last hour says of an address. */
struct past {
	bool is_silent; /* some address of its host was dialled, and did not answer */
	bool is_there;	/* it is asked by STUN and answered, since each dial there */
	uint32_t dial_cnt;
};

static void past_read(const struct mesh_unverified *unverified, const struct addr *addr,
		      uint64_t now_ns, struct past *out_past)
{
	const struct addr host = host_of(addr);
	struct past past = {.is_there = true};
	unsigned row_cnt = 0;

	for (uint32_t i = 0; i < unverified->cnt; i++) {
		const struct mesh_unverified_dial *dial = unverified_newest(unverified, i);
		const struct addr other = host_of(&dial->addr);

		if (age_ns(dial, now_ns) >= MESH_UNVERIFIED_HOUR_NS)
			break;
		if (!addr_equal(&other, &host) || dial->is_answered)
			continue;
		past.is_silent |= !dial->is_question;
		if (!addr_equal(&dial->addr, addr))
			continue;
		row_cnt++;
		past.dial_cnt += !dial->is_question;
		/* It may be dialled again, but not at once and not often. */
		past.is_there &=
			dial->there_ns &&
			(dial->is_question || age_ns(dial, now_ns) >= MESH_UNVERIFIED_AGAIN_NS);
	}
	past.is_there &= row_cnt > 0;
	*out_past = past;
}

static bool unverified_may(const struct mesh_unverified *unverified, const struct addr *addr,
			   uint64_t now_ns)
{
	struct past past;

	if (!minute_has_room(unverified, addr, now_ns))
		return false;
	past_read(unverified, addr, now_ns, &past);
	return !past.is_silent || (past.is_there && past.dial_cnt < MESH_UNVERIFIED_AGAIN_MAX);
}

static struct mesh_unverified_dial *row_add(struct mesh_unverified *unverified,
					    const struct addr *addr, uint64_t now_ns)
{
	struct mesh_unverified_dial *row = &unverified->dials[unverified->next_idx];

	*row = (struct mesh_unverified_dial){.addr = *addr, .at_ns = now_ns};
	unverified->next_idx = (unverified->next_idx + 1) % MESH_UNVERIFIED_CAP;
	unverified->cnt += unverified->cnt < MESH_UNVERIFIED_CAP;
	return row;
}

bool mesh_unverified_take(struct mesh_unverified *unverified, const struct addr *addr,
			  uint64_t now_ns)
{
	if (!unverified_may(unverified, addr, now_ns)) {
		unverified->refused_cnt++;
		return false;
	}
	(void)row_add(unverified, addr, now_ns);
	return true;
}

bool mesh_unverified_take_web(struct mesh_unverified *unverified, const struct addr *addr,
			      uint64_t now_ns)
{
	const struct addr host = host_of(addr);
	bool may = minute_has_room(unverified, addr, now_ns);

	for (uint32_t i = 0; may && i < unverified->cnt; i++) {
		const struct mesh_unverified_dial *row = unverified_newest(unverified, i);
		const struct addr other = host_of(&row->addr);

		if (age_ns(row, now_ns) >= MESH_UNVERIFIED_HOUR_NS)
			break;
		may = row->is_answered || row->addr.transport != ADDR_TCP ||
		      !addr_equal(&other, &host);
	}
	if (!may) {
		unverified->refused_cnt++;
		return false;
	}
	row_add(unverified, addr, now_ns)->is_question = true;
	return true;
}

/* The last dial or question at addr, within the hour; NULL: there was none. */
static struct mesh_unverified_dial *unverified_last(struct mesh_unverified *unverified,
						    const struct addr *addr, uint64_t now_ns)
{
	for (uint32_t i = 0; i < unverified->cnt; i++) {
		uint32_t idx =
			(unverified->next_idx + MESH_UNVERIFIED_CAP - 1 - i) % MESH_UNVERIFIED_CAP;
		struct mesh_unverified_dial *dial = &unverified->dials[idx];

		if (age_ns(dial, now_ns) >= MESH_UNVERIFIED_HOUR_NS)
			break;
		if (addr_equal(&dial->addr, addr))
			return dial;
	}
	return NULL;
}

/* Another address of its host was silent, and the minute has room for one dial more. */
static bool is_worth_asking(const struct mesh_unverified *unverified, const struct addr *addr,
			    uint64_t now_ns)
{
	struct past past;

	past_read(unverified, addr, now_ns, &past);
	return past.is_silent && minute_has_room(unverified, addr, now_ns);
}

bool mesh_unverified_ask(struct mesh_unverified *unverified, const struct addr *addr,
			 uint64_t now_ns)
{
	struct mesh_unverified_dial *row = unverified_last(unverified, addr, now_ns);

	if ((!row || row->is_answered) && is_worth_asking(unverified, addr, now_ns)) {
		row = row_add(unverified, addr, now_ns);
		row->is_question = true;
	}
	if (!row || row->is_answered ||
	    (row->asked_ns && now_ns < row->asked_ns + MESH_UNVERIFIED_ASK_NS) ||
	    (row->is_question && row->asked_cnt == MESH_UNVERIFIED_ASKS_MAX))
		return false;
	row->asked_cnt += row->is_question;
	row->asked_ns = now_ns;
	return true;
}

void mesh_unverified_there(struct mesh_unverified *unverified, const struct addr *addr,
			   uint64_t now_ns)
{
	struct mesh_unverified_dial *row = unverified_last(unverified, addr, now_ns);

	if (row && !row->is_answered)
		row->there_ns = now_ns;
}

void mesh_unverified_answered(struct mesh_unverified *unverified, const struct addr *addr)
{
	for (uint32_t i = 0; i < unverified->cnt; i++)
		if (addr_equal(&unverified->dials[i].addr, addr))
			unverified->dials[i].is_answered = true;
}
