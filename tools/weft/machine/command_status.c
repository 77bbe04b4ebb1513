/* SPDX-License-Identifier: Apache-2.0 */
/* weft status, limits show, memory show, daemon reload: what the daemon says of itself. */
#include <inttypes.h>
#include <stdio.h>

#include "command/command.h"
#include "print/output_table.h"
#include "print/text.h"

/* --- status --- */

static void print_side(const char *side, const struct api_packet_side *packets)
{
	char bytes[TEXT_SHORT_CAP], cnt[TEXT_COUNT_CAP], reason[128];

	printf("%-*s  %s, %s in %s; %s\n", FIELD_TITLE_WIDTH, side, packets->backend,
	       text_bytes((uint64_t)packets->bytes, bytes),
	       text_count((uint64_t)packets->datagrams, "datagram", "datagrams", cnt),
	       text_clean(packets->reason, reason, sizeof(reason)));
}

/* Which queues of attached devices each worker serves; none: no line. */
static void print_queues(const struct invocation *inv, const struct api_worker_list *workers)
{
	for (size_t i = 0; i < workers->cnt; i++) {
		const struct api_string_list *queues = &workers->rows[i].queues;
		char title[32];

		if (!queues->cnt)
			continue;
		snprintf(title, sizeof(title),
			 inv->has_terminal_out ? "queues of worker %zu" : "worker %zu", i);
		if (inv->has_terminal_out)
			printf("%-*s ", FIELD_TITLE_WIDTH, title);
		else
			printf("%s\t", title);
		for (size_t j = 0; j < queues->cnt; j++)
			printf("%s%s", j || inv->has_terminal_out ? " " : "", queues->rows[j]);
		printf("\n");
	}
}

/* The present entries of timetables, and their ends. */
static void print_rates(const struct invocation *inv, const struct api_traffic_limit_list *rates)
{
	for (size_t i = 0; i < rates->cnt; i++) {
		const struct api_traffic_limit *rate = &rates->rows[i];
		char next[TEXT_SHORT_CAP];

		printf(inv->has_terminal_out ? "%-*s  %s until %s\n" : "%.*s\t%s\t%s\n",
		       inv->has_terminal_out ? FIELD_TITLE_WIDTH : 64, rate->name,
		       rate->in_force ? rate->in_force : "",
		       rate->next_at ? text_time((uint64_t)rate->next_at, next) : "further notice");
	}
}

/* By which transports other nodes are dialled. */
static void print_transports(const struct invocation *inv,
			     const struct api_transport_policy_list *transports)
{
	for (size_t i = 0; i < transports->cnt; i++) {
		const struct api_transport_policy *row = &transports->rows[i];
		const char *network = api_transport_policy_network_type.words[row->network];

		if (inv->has_terminal_out)
			printf("%-*s  %s: %s\n", FIELD_TITLE_WIDTH, i ? "" : "dials on", network,
			       row->dialled);
		else
			printf("dials\t%s\t%s\n", network, row->dialled);
	}
}

/* The verdict, what is wrong, and what to do about it. */
static void print_verdict(const struct invocation *inv, const struct api_health *health)
{
	printf(inv->has_terminal_out ? "%-*s  %s\n" : "%.*s\t%s\n",
	       inv->has_terminal_out ? FIELD_TITLE_WIDTH : 7, "verdict",
	       health->healthy ? "healthy" : "needs attention");
	for (size_t i = 0; i < health->problems.cnt; i++) {
		char what[1024], next[1024];

		text_clean(health->problems.rows[i].what, what, sizeof(what));
		text_clean(health->problems.rows[i].next, next, sizeof(next));
		if (inv->has_terminal_out)
			printf("%-*s  %s\n%-*s  -> %s\n", FIELD_TITLE_WIDTH, "", what,
			       FIELD_TITLE_WIDTH, "", next);
		else
			printf("problem\t%s\t%s\n", what, next);
	}
}

void print_node_status(const struct invocation *inv, const void *reply)
{
	const struct api_status_out *status = reply;

	print_verdict(inv, &status->health);
	fields_print(inv, &status->health, api_view_health_show);
	fields_print(inv, status, api_view_status_out_show);
	texts_print(inv, "listening on", "listen", TABLE_ROWS(status->listen));
	print_transports(inv, &status->transports);
	print_queues(inv, &status->workers);
	print_rates(inv, &status->rates);
	fields_print(inv, &status->sandbox, api_view_sandbox_show);
	if (status->last_crash && !inv->has_terminal_out)
		printf("last_crash\t%s\n", status->last_crash->text);
	if (inv->has_terminal_out) {
		print_side("receive", &status->receive);
		print_side("send", &status->send);
	}
}

/* --- limits, memory, reload --- */

/* A class of a pool, with what it says of the whole pool. */
struct pool_row {
	struct api_pool pool;
	struct api_pool_class class;
};

static void pools_print(const struct invocation *inv, const struct api_pool_list *pools)
{
	static const struct column columns[] = {
		COLUMN_OF("POOL", pool_row, pool.name, string, TEXT),
		COLUMN_OF("CLASS", pool_row, class.class, string, TEXT),
		COLUMN_OF("USED", pool_row, class.used, int, COUNT),
		COLUMN_OF("FLOOR", pool_row, class.floor, int, COUNT),
		COLUMN_OF("EVICTED", pool_row, class.evicted, int, COUNT),
		COLUMN_OF("REFUSED", pool_row, class.refused, int, COUNT),
		COLUMN_OF("SHARE", pool_row, pool.share, int, COUNT),
		COLUMN_OF("LARGEST", pool_row, pool.largest, int, COUNT),
		COLUMN_OF("OF NETWORK", pool_row, pool.largest_network, string, TEXT),
		{0},
	};
	struct {
		struct pool_row *rows;
		size_t cnt, cap;
	} list = {0};

	for (size_t i = 0; i < pools->cnt; i++)
		for (size_t j = 0; j < pools->rows[i].classes.cnt; j++)
			varlink_push(inv->blocks, &list,
				     {pools->rows[i], pools->rows[i].classes.rows[j]});
	table_print(inv, TABLE_ROWS(list), columns, "");
}

void print_limits_show(const struct invocation *inv, const void *reply)
{
	const struct api_show_limits_out *out = reply;

	table_print(inv, TABLE_ROWS(out->limits), api_view_limit_list, "no limits");
	pools_print(inv, &out->pools);
}

void print_memory_show(const struct invocation *inv, const void *reply)
{
	const struct api_show_memory_out *out = reply;
	char rss[TEXT_SHORT_CAP];

	table_print(inv, TABLE_ROWS(out->regions), api_view_memory_list, "no tables");
	if (inv->has_terminal_out)
		printf("In memory now: %s\n", text_bytes((uint64_t)out->rss_bytes, rss));
	else
		printf("resident\t-\t%" PRId64 "\t-\n", out->rss_bytes);
}

static void print_names(const struct api_string_list *names, const char *text)
{
	for (size_t i = 0; i < names->cnt; i++)
		printf("%s\t%s\n", names->rows[i], text);
}

void print_daemon_reload(const struct invocation *inv, const void *reply)
{
	const struct api_reload_out *out = reply;

	print_names(&out->applied, "applied");
	print_names(&out->pending, "waits for a restart");
	if (inv->has_terminal_out && !out->applied.cnt && !out->pending.cnt)
		printf("Nothing changed.\n");
}
