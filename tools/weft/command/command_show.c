/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show what the daemon knows of itself, and end it. */
#include "command/command_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/node.h"
#include "command/daemon_client.h"
#include "print/text.h"

static void call_print(const struct invocation *inv, const json_t *reply)
{
	const struct command_call *call = &inv->command->call;
	const json_t *shown = call->member ? json_object_get(reply, call->member) : reply;

	if (call->print)
		call->print(inv, reply);
	else if (call->columns)
		table_print(inv, shown, call->columns, call->empty);
	else if (call->fields)
		fields_print(inv, shown, call->fields);
	else if (call->line)
		printf("%s\n", field_text(reply, call->line));
	else if (call->done && inv->has_terminal_out)
		printf("%s\n", call->done);
}

/* The parameter that an option is: its name with - for _. */
static const struct api_field *field_of(const char *method, const char *option)
{
	const struct api_type *type = api_node_method(method)->in;

	for (size_t i = 0; i < type->cnt; i++) {
		const char *at = type->fields[i].name, *of = option;

		while (*at && (*at == *of || (*at == '_' && *of == '-')))
			at++, of++;
		if (!*at && !*of)
			return &type->fields[i];
	}
	return NULL;
}

static json_t *lines_json(const char *lines)
{
	json_t *json = json_array();

	for (;;) {
		size_t len = strcspn(lines, "\n");

		(void)json_array_append_new(json, json_stringn(lines, len));
		if (!lines[len])
			return json;
		lines += len + 1;
	}
}

json_t *command_parameters(const struct invocation *inv, const char *method, const char *first)
{
	const struct command_option *options = inv->command->options;
	json_t *parameters = json_object();

	if (first && inv->arg_cnt)
		(void)json_object_set_new(parameters, first, json_string(inv->args[0]));
	for (unsigned i = 0; i < COMMAND_OPTION_MAX && options[i].name; i++) {
		const struct api_field *field =
			inv->values[i] ? field_of(method, options[i].name) : NULL;
		enum api_kind kind = field ? field->type->kind : API_KIND_INT;

		if (kind == API_KIND_STRING || kind == API_KIND_ENUM)
			(void)json_object_set_new(parameters, field->name,
						  json_string(inv->values[i]));
		else if (kind == API_KIND_BOOL)
			(void)json_object_set_new(parameters, field->name, json_true());
		else if (kind == API_KIND_LIST)
			(void)json_object_set_new(parameters, field->name,
						  lines_json(inv->values[i]));
	}
	return parameters;
}

int command_call_run(const struct invocation *inv)
{
	const struct command *command = inv->command;
	struct client_call call = {
		.method = command->call.method,
		.parameters = command_parameters(inv, command->call.method, command->call.takes[0]),
		.is_setting = command->call.is_setting};

	for (unsigned i = 1; i < inv->arg_cnt; i++)
		(void)json_object_set_new(call.parameters, command->call.takes[i],
					  json_string(inv->args[i]));
	return client_show_call(inv, &call, call_print);
}

int show_list(const struct invocation *inv, const char *method, const char *member,
	      const struct column *columns, const char *empty)
{
	json_t *reply;
	int status = client_ask(inv, method, NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		table_print(inv, json_object_get(reply, member), columns, empty);
	json_decref(reply);
	return STATUS_OK;
}

int show_fields(const struct invocation *inv, const char *method, json_t *parameters,
		const char *member, const struct field *fields)
{
	json_t *reply;
	int status = client_ask(inv, method, parameters, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		fields_print(inv, json_object_get(reply, member), fields);
	json_decref(reply);
	return STATUS_OK;
}

void show_part(const struct invocation *inv, const char *kind, const json_t *rows,
	       const struct column *columns)
{
	if (!json_array_size(rows))
		return;
	table_print_part(inv, kind, rows, columns);
	if (inv->has_terminal_out)
		printf("\n");
}

static void print_side(const json_t *status, const char *side)
{
	const json_t *packets = json_object_get(status, side);
	char bytes[TEXT_SHORT_CAP], cnt[TEXT_COUNT_CAP], reason[128];

	printf("%-*s  %s, %s in %s; %s\n", FIELD_TITLE_WIDTH, side, field_text(packets, "backend"),
	       text_bytes(field_uint(packets, "bytes"), bytes),
	       text_count(field_uint(packets, "datagrams"), "datagram", "datagrams", cnt),
	       text_clean(field_text(packets, "reason"), reason, sizeof(reason)));
}

/* Which queues of attached devices each worker serves; none: no line. */
static void print_queues(const struct invocation *inv, const json_t *workers)
{
	const json_t *worker, *queue;
	size_t i, j;

	json_array_foreach(workers, i, worker)
	{
		const json_t *queues = json_object_get(worker, "queues");
		char title[32];

		if (!json_array_size(queues))
			continue;
		snprintf(title, sizeof(title),
			 inv->has_terminal_out ? "queues of worker %zu" : "worker %zu", i);
		if (inv->has_terminal_out)
			printf("%-*s ", FIELD_TITLE_WIDTH, title);
		else
			printf("%s\t", title);
		json_array_foreach(queues, j, queue) printf(
			"%s%s", j || inv->has_terminal_out ? " " : "", json_string_value(queue));
		printf("\n");
	}
}

static void print_sandbox(const struct invocation *inv, const json_t *sandbox)
{
	if (sandbox)
		fields_print(inv, sandbox, api_view_sandbox_show);
}

static void print_crash(const struct invocation *inv, const json_t *crash)
{
	const char *text = json_string_value(json_object_get(crash, "text"));

	if (text && !inv->has_terminal_out)
		printf("last_crash\t%s\n", text);
}

/* The present entries of timetables, and their ends. */
static void print_rates(const struct invocation *inv, const json_t *rates)
{
	const json_t *rate;
	size_t idx;

	json_array_foreach(rates, idx, rate)
	{
		uint64_t next_s = field_uint(rate, "next_at");
		char next[TEXT_SHORT_CAP];

		printf(inv->has_terminal_out ? "%-*s  %s until %s\n" : "%.*s\t%s\t%s\n",
		       inv->has_terminal_out ? FIELD_TITLE_WIDTH : 64, field_text(rate, "name"),
		       field_text(rate, "in_force"),
		       next_s ? text_time(next_s, next) : "further notice");
	}
}

/* By which transports other nodes are dialled. */
static void print_transports(const struct invocation *inv, const json_t *transports)
{
	const json_t *row;
	size_t idx;

	json_array_foreach(transports, idx, row)
	{
		if (inv->has_terminal_out)
			printf("%-*s  %s: %s\n", FIELD_TITLE_WIDTH, idx ? "" : "dials on",
			       field_text(row, "network"), field_text(row, "dialled"));
		else
			printf("dials\t%s\t%s\n", field_text(row, "network"),
			       field_text(row, "dialled"));
	}
}

/* The verdict, what is wrong, and what to do about it. */
static void print_verdict(const struct invocation *inv, const json_t *health)
{
	const json_t *problems = json_object_get(health, "problems"), *problem;
	size_t idx;

	printf(inv->has_terminal_out ? "%-*s  %s\n" : "%.*s\t%s\n",
	       inv->has_terminal_out ? FIELD_TITLE_WIDTH : 7, "verdict",
	       json_is_true(json_object_get(health, "healthy")) ? "healthy" : "needs attention");
	json_array_foreach(problems, idx, problem)
	{
		char what[1024], next[1024];

		text_clean(field_text(problem, "what"), what, sizeof(what));
		text_clean(field_text(problem, "next"), next, sizeof(next));
		if (inv->has_terminal_out)
			printf("%-*s  %s\n%-*s  -> %s\n", FIELD_TITLE_WIDTH, "", what,
			       FIELD_TITLE_WIDTH, "", next);
		else
			printf("problem\t%s\t%s\n", what, next);
	}
}

void print_node_status(const struct invocation *inv, const json_t *status)
{
	json_t *address;
	size_t idx;

	print_verdict(inv, json_object_get(status, "health"));
	fields_print(inv, json_object_get(status, "health"), api_view_health_show);
	fields_print(inv, status, api_view_status_out_show);
	json_array_foreach(json_object_get(status, "listen"), idx, address)
	{
		if (inv->has_terminal_out)
			printf("%-*s  %s\n", FIELD_TITLE_WIDTH, idx ? "" : "listening on",
			       json_string_value(address));
		else
			printf("listen\t%s\n", json_string_value(address));
	}
	print_transports(inv, json_object_get(status, "transports"));
	print_queues(inv, json_object_get(status, "workers"));
	print_rates(inv, json_object_get(status, "rates"));
	print_sandbox(inv, json_object_get(status, "sandbox"));
	print_crash(inv, json_object_get(status, "last_crash"));
	if (inv->has_terminal_out) {
		print_side(status, "receive");
		print_side(status, "send");
	}
}

/* pools_print: a row for each class of each pool. */
static void pools_print(const struct invocation *inv, const json_t *pools)
{
	static const struct column columns[] = {
		{"POOL", "name", COLUMN_TEXT},
		{"CLASS", "class", COLUMN_TEXT},
		{"USED", "used", COLUMN_COUNT},
		{"FLOOR", "floor", COLUMN_COUNT},
		{"EVICTED", "evicted", COLUMN_COUNT},
		{"REFUSED", "refused", COLUMN_COUNT},
		{"SHARE", "share", COLUMN_COUNT},
		{"LARGEST", "largest", COLUMN_COUNT},
		{"OF NETWORK", "largest_network", COLUMN_TEXT},
		{0},
	};
	json_t *rows = json_array();
	const json_t *pool, *class;
	size_t i, j;

	json_array_foreach(pools, i, pool)
		json_array_foreach(json_object_get(pool, "classes"), j, class)
	{
		json_t *row = json_copy((json_t *)class);

		json_object_set(row, "name", json_object_get(pool, "name"));
		json_object_set(row, "share", json_object_get(pool, "share"));
		json_object_set(row, "largest", json_object_get(pool, "largest"));
		json_object_set(row, "largest_network", json_object_get(pool, "largest_network"));
		json_array_append_new(rows, row);
	}
	table_print(inv, rows, columns, "");
	json_decref(rows);
}

static void accounts_print(const struct invocation *inv, const json_t *reply)
{
	show_part(inv, "drop", json_object_get(reply, "drops"), api_view_drop_limits);
	show_part(inv, "network", json_object_get(reply, "networks"), api_view_network_cost_list);
	show_part(inv, "refusal", json_object_get(reply, "refusals"), api_view_refusal_list);
}

void print_limits_show(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "limits"), api_view_limit_list, "no limits");
	pools_print(inv, json_object_get(reply, "pools"));
	accounts_print(inv, reply);
}

void print_memory_show(const struct invocation *inv, const json_t *reply)
{
	char rss[TEXT_SHORT_CAP];

	table_print(inv, json_object_get(reply, "regions"), api_view_memory_list, "no tables");
	if (inv->has_terminal_out)
		printf("In memory now: %s\n", text_bytes(field_uint(reply, "rss_bytes"), rss));
	else
		printf("resident\t-\t%" PRIu64 "\t-\n", field_uint(reply, "rss_bytes"));
}

static void print_names(const json_t *names, const char *text)
{
	json_t *name;
	size_t idx;

	json_array_foreach(names, idx, name) printf("%s\t%s\n", json_string_value(name), text);
}

void print_daemon_reload(const struct invocation *inv, const json_t *reply)
{
	const json_t *applied = json_object_get(reply, "applied");
	const json_t *pending = json_object_get(reply, "pending");

	print_names(applied, "applied");
	print_names(pending, "waits for a restart");
	if (inv->has_terminal_out && !json_array_size(applied) && !json_array_size(pending))
		printf("Nothing changed.\n");
}
