/* SPDX-License-Identifier: Apache-2.0 */
/* Votes on this node's address. Home worker. */
#include "observed.h"

#include <string.h>

void reachability_observed_add(struct observed *observed, const struct observation *row)
{
	unsigned at = 0;

	while (at < observed->cnt && observed->rows[at].network != row->network)
		at++;
	if (at == OBSERVED_CNT)
		at = 0; /* the oldest */
	else if (at == observed->cnt)
		observed->cnt++;
	else if (addr_equal(&observed->rows[at].voter, &row->voter) &&
		 !addr_equal(&observed->rows[at].seen, &row->seen))
		observed->changed_ns = observed->round_ns;
	memmove(&observed->rows[at], &observed->rows[at + 1],
		(observed->cnt - 1 - at) * sizeof(observed->rows[0]));
	observed->rows[observed->cnt - 1] = *row;
}

static bool is_fresh(const struct observation *row, uint64_t now_ns)
{
	return now_ns < row->at_ns + OBSERVED_LIFE_NS;
}

static bool ip_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* How many fresh rows name addr; with_port: and its port. */
static unsigned same_count(const struct observed *observed, const struct addr *addr, bool with_port,
			   uint64_t now_ns)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < observed->cnt; i++) {
		const struct observation *row = &observed->rows[i];

		cnt += is_fresh(row, now_ns) && ip_equal(&row->seen, addr) &&
		       (!with_port || row->seen.port == addr->port);
	}
	return cnt;
}

/* Two votes of the mapping there is name addr with another port each. */
static bool ports_differ(const struct observed *observed, const struct addr *addr, uint64_t now_ns)
{
	const struct observation *first = NULL;

	for (unsigned i = 0; i < observed->cnt; i++) {
		const struct observation *row = &observed->rows[i];

		if (!is_fresh(row, now_ns) || row->at_ns < observed->changed_ns ||
		    !ip_equal(&row->seen, addr))
			continue;
		if (first && first->seen.port != row->seen.port)
			return true;
		first = row;
	}
	return false;
}

/* The port that most networks name, of those that name addr. */
static void ports_judge(const struct observed *observed, uint64_t now_ns,
			struct observed_view *view)
{
	view->ports = ports_differ(observed, &view->addr, now_ns) ? OBSERVED_PORTS_DIFFER
								  : OBSERVED_PORTS_UNKNOWN;
	view->addr.port = 0;
	for (unsigned i = 0; i < observed->cnt; i++) {
		const struct observation *row = &observed->rows[i];
		unsigned cnt;

		if (!is_fresh(row, now_ns) || !ip_equal(&row->seen, &view->addr))
			continue;
		cnt = same_count(observed, &row->seen, true, now_ns);
		if (cnt >= OBSERVED_ENOUGH && 2 * cnt > view->same_cnt) {
			view->ports = OBSERVED_PORTS_ALIKE;
			view->addr.port = row->seen.port;
		}
	}
}

void reachability_observed_judge(const struct observed *observed, uint64_t now_ns,
				 struct observed_view *out_view)
{
	struct observed_view view = {.ports = OBSERVED_PORTS_UNKNOWN};

	for (unsigned i = 0; i < observed->cnt; i++)
		view.voter_cnt += is_fresh(&observed->rows[i], now_ns);
	for (unsigned i = 0; i < observed->cnt && !view.same_cnt; i++) {
		const struct observation *row = &observed->rows[i];
		unsigned cnt = same_count(observed, &row->seen, false, now_ns);

		if (!is_fresh(row, now_ns) || cnt < OBSERVED_ENOUGH || 2 * cnt <= view.voter_cnt)
			continue;
		view.addr = row->seen;
		view.same_cnt = cnt;
		ports_judge(observed, now_ns, &view);
	}
	*out_view = view;
}

void reachability_observed_clear(struct observed *observed)
{
	observed->cnt = 0;
	observed->changed_ns = 0;
}
