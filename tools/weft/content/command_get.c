/* SPDX-License-Identifier: Apache-2.0 */
/* weft get: fetch, follow, list, cancel, pause, resume, set, sources. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_path.h"
#include "print/progress.h"
#include "print/output_table.h"
#include "print/text.h"

#define PRIORITY_MAX 4

struct following {
	struct invocation *inv;
	struct progress progress;
	uint64_t get_id;
	bool is_detached;
	json_t *last;
};

/* A state in words for people; the daemon's word where none is better. */
static const char *state_verb(const char *state)
{
	static const char *const verbs[][2] = {
		{"queued", "waiting"},
		{"manifest", "asking for the list of files"},
		{"verifying", "verifying what is on disk"},
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i][0], state) == 0)
			return verbs[i][1];
	}
	return state;
}

static bool follow_reply(void *arg, json_t *reply, bool is_last)
{
	struct following *following = arg;
	json_t *transfer = json_object_get(reply, "transfer");
	char verb[64];
	struct progress_state state = {
		.verb = text_clean(state_verb(field_text(transfer, "state")), verb, sizeof(verb)),
		.done = field_uint(transfer, "bytes_done"),
		.cnt = field_uint(transfer, "bytes"),
		.item_done = field_uint(transfer, "items_done"),
		.item_cnt = field_uint(transfer, "items"),
	};

	following->get_id = field_uint(transfer, "get_id");
	json_decref(following->last);
	following->last = json_incref(reply);
	if (following->is_detached)
		return false;
	if (!is_last)
		progress_show(&following->progress, &state);
	return true;
}

static void follow_failed(void *arg)
{
	progress_clear(&((struct following *)arg)->progress);
}

static void tell_finished(const json_t *transfer)
{
	uint64_t elapsed_ms = field_uint(transfer, "elapsed_ms");
	uint64_t received = field_uint(transfer, "bytes_received");
	uint64_t reused = field_uint(transfer, "bytes_reused");
	uint64_t bad = field_uint(transfer, "bad_chunks");
	char bytes[TEXT_SHORT_CAP], rate[TEXT_SHORT_CAP], elapsed[TEXT_SHORT_CAP];
	char count[TEXT_COUNT_CAP], clean[2][PATH_MAX];

	fprintf(stderr, "Fetched \"%s\" into %s: %s, %s in %s",
		text_clean(field_text(transfer, "title"), clean[0], sizeof(clean[0])),
		text_clean(field_text(transfer, "target"), clean[1], sizeof(clean[1])),
		text_count(field_uint(transfer, "items"), "file", "files", count),
		text_bytes(field_uint(transfer, "bytes"), bytes),
		text_elapsed(elapsed_ms, elapsed));
	if (elapsed_ms && received)
		fprintf(stderr, " (%s/s)", text_bytes(received * 1000 / elapsed_ms, rate));
	if (reused)
		fprintf(stderr, ", %s were there already", text_bytes(reused, bytes));
	if (bad)
		fprintf(stderr, ", %s refused", text_count(bad, "bad chunk", "bad chunks", count));
	fprintf(stderr, ".\n");
}

static void tell_detached(const struct following *following)
{
	if (following->inv->is_json)
		return;
	if (!following->inv->has_terminal_out)
		printf("%" PRIu64 "\n", following->get_id);
	else
		printf("Get number %" PRIu64 " runs in the daemon.\n  weft get watch %" PRIu64
		       "\n  weft get cancel %" PRIu64 "\n",
		       following->get_id, following->get_id, following->get_id);
}

static int follow_interrupted(const struct following *following)
{
	uint64_t id = following->get_id;

	if (!id)
		fprintf(stderr, "weft: interrupted; weft get list shows whether the get began\n");
	else
		fprintf(stderr,
			"weft: the get goes on in the daemon as number %" PRIu64
			"\n  weft get watch %" PRIu64 "   follows it\n  weft get cancel %" PRIu64
			"  stops it\n",
			id, id, id);
	return STATUS_INTERRUPTED;
}

/* follow makes a call that reports a get's progress, and shows it to its end. */
static int follow(struct invocation *inv, const char *method, json_t *parameters, bool is_detached)
{
	struct following following = {.inv = inv, .is_detached = is_detached};
	struct client_call call = {.method = method,
				   .parameters = parameters,
				   .wants_more = !is_detached,
				   .reply = follow_reply,
				   .on_error = follow_failed,
				   .arg = &following};
	int status;

	progress_init(&following.progress, inv->has_terminal_err);
	client_catch_interrupt();
	status = client_call(inv, &call);
	progress_clear(&following.progress);
	if (status == STATUS_INTERRUPTED)
		status = follow_interrupted(&following);
	if (status == STATUS_OK && following.last) {
		if (inv->is_json)
			text_print_json(following.last);
		if (is_detached)
			tell_detached(&following);
		else if (strcmp(field_text(json_object_get(following.last, "transfer"), "state"),
				"paused") == 0)
			fprintf(stderr, "Get number %" PRIu64 " was paused.\n", following.get_id);
		else
			tell_finished(json_object_get(following.last, "transfer"));
	}
	json_decref(following.last);
	return status;
}

/* range_parse reads OFF-END, the end not included, or OFF+LEN. */
static json_t *range_parse(const char *text)
{
	size_t split = strcspn(text, "-+");
	uint64_t off, second;

	if (!text[split] || !text_parse_size(text, split, &off) ||
	    !text_parse_size(text + split + 1, strlen(text + split + 1), &second))
		return NULL;
	if (text[split] == '-' && second <= off)
		return NULL;
	if (text[split] == '-')
		second -= off;
	return second ? json_pack("{s:I, s:I}", "offset", (json_int_t)off, "length",
				  (json_int_t)second)
		      : NULL;
}

/* An array of what parse makes of each line of an option's values; NULL when one is wrong. */
static json_t *lines_parse(const char *lines, json_t *(*parse)(const char *line))
{
	char *copy = strdup(lines), *rest = copy, *line;
	json_t *array = copy ? json_array() : NULL;

	while (array && (line = strsep(&rest, "\n")))
		if (json_array_append_new(array, parse(line)) < 0) {
			json_decref(array);
			array = NULL;
		}
	free(copy);
	return array;
}

/* The patterns of an option; one that is empty: none. */
static void patterns_add(const struct invocation *inv, const char *name, json_t *parameters)
{
	const char *lines = invocation_option(inv, name);

	if (lines)
		(void)json_object_set_new(parameters, name,
					  lines[0] ? lines_parse(lines, json_string)
						   : json_array());
}

int run_get(struct invocation *inv)
{
	const char *to = invocation_option(inv, "to");
	const char *range = invocation_option(inv, "range");
	const char *prio = invocation_option(inv, "priority");
	json_t *parameters, *ranges = NULL;
	uint64_t priority = 0;
	char target[PATH_MAX];

	if (!to)
		return client_say_error(STATUS_USAGE, "get", "--to DIR is missing",
					"for example: weft get 'mesh:...' --to ~/Downloads");
	if (!path_absolute(to, target))
		return client_say_error(STATUS_USAGE, to, "not a usable path", NULL);
	if (range && (ranges = lines_parse(range, range_parse)) == NULL)
		return client_say_error(STATUS_USAGE, range, "not a range",
					"Write --range 0-1M (the end not included) or --range "
					"1M+64K.");
	if (prio && (!text_parse_count(prio, &priority) || priority > PRIORITY_MAX)) {
		json_decref(ranges);
		return client_say_error(STATUS_USAGE, prio, "not a priority",
					"0 to 4; a get without one has 2.");
	}
	parameters = json_pack("{s:s, s:s, s:b}", "link", inv->args[0], "target", target, "replace",
			       invocation_option(inv, "replace") != NULL);
	if (!parameters) {
		json_decref(ranges);
		return client_say_error(STATUS_USAGE, "get", "the link or the path is not UTF-8",
					NULL);
	}
	if (ranges)
		(void)json_object_set_new(parameters, "ranges", ranges);
	patterns_add(inv, "only", parameters);
	patterns_add(inv, "exclude", parameters);
	patterns_add(inv, "first", parameters);
	if (invocation_option(inv, "sequential"))
		(void)json_object_set_new(parameters, "sequential", json_true());
	if (prio)
		(void)json_object_set_new(parameters, "priority",
					  json_integer((json_int_t)priority));
	return follow(inv, "Get", parameters, invocation_option(inv, "detach") != NULL);
}

static int id_parse(const struct invocation *inv, json_t **out_parameters)
{
	uint64_t id;

	if (!text_parse_count(inv->args[0], &id))
		return client_say_error(STATUS_USAGE, inv->args[0], "not the number of a get",
					"weft get list shows the numbers.");
	*out_parameters = json_pack("{s:I}", "get_id", (json_int_t)id);
	return STATUS_OK;
}

int run_get_watch(struct invocation *inv)
{
	json_t *parameters = NULL;
	int status = id_parse(inv, &parameters);

	return status == STATUS_OK ? follow(inv, "WatchGet", parameters, false) : status;
}

int run_get_resume(struct invocation *inv)
{
	json_t *parameters = NULL;
	int status = id_parse(inv, &parameters);

	if (status != STATUS_OK)
		return status;
	return follow(inv, "ResumeGet", parameters, invocation_option(inv, "detach") != NULL);
}

int run_get_cancel(struct invocation *inv)
{
	json_t *parameters = NULL, *reply;
	int status = id_parse(inv, &parameters);

	if (status != STATUS_OK)
		return status;
	if (invocation_option(inv, "discard"))
		json_object_set_new(parameters, "discard", json_true());
	status = client_ask(inv, "CancelGet", parameters, &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else if (inv->has_terminal_out)
		printf("%s Files that were whole stay where they are.%s\n",
		       strcmp(field_text(json_object_get(reply, "transfer"), "state"),
			      "finished") == 0
			       ? "It had finished before."
			       : "Cancelled.",
		       invocation_option(inv, "discard")
			       ? ""
			       : " weft get resume goes on with the rest.");
	json_decref(reply);
	return STATUS_OK;
}

static void print_forgotten(const struct invocation *inv, const json_t *reply)
{
	uint64_t removed = field_uint(reply, "removed"), kept = field_uint(reply, "kept");
	char count[TEXT_COUNT_CAP], clean[PATH_MAX];

	if (invocation_option(inv, "delete"))
		printf("Given up; %s removed", text_count(removed, "file", "files", count));
	else
		printf("Given up; its files stay");
	if (kept)
		printf(", %s kept that weft did not write or that changed since, as %s",
		       text_count(kept, "file", "files", count),
		       text_clean(field_text(reply, "first_kept"), clean, sizeof(clean)));
	printf(".\n");
}

int run_get_forget(struct invocation *inv)
{
	json_t *parameters = NULL;
	int status = id_parse(inv, &parameters);

	if (status != STATUS_OK)
		return status;
	json_object_set_new(parameters, "delete",
			    json_boolean(invocation_option(inv, "delete") != NULL));
	return client_show(inv, "ForgetGet", parameters, print_forgotten);
}

int run_get_pause(struct invocation *inv)
{
	json_t *parameters = NULL, *reply;
	int status = id_parse(inv, &parameters);

	if (status == STATUS_OK)
		status = client_ask(inv, "PauseGet", parameters, &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else if (inv->has_terminal_out)
		printf("Paused. weft get resume %s goes on.\n", inv->args[0]);
	json_decref(reply);
	return STATUS_OK;
}

/* What is to be changed, into parameters; STATUS_USAGE after saying what is wrong. */
static int changes_add(const struct invocation *inv, json_t *parameters)
{
	const char *prio = invocation_option(inv, "priority");
	const char *sequential = invocation_option(inv, "sequential");
	uint64_t priority;

	if (prio && (!text_parse_count(prio, &priority) || priority > PRIORITY_MAX))
		return client_say_error(STATUS_USAGE, "get set", "--priority takes 0 to 4",
					"for example: weft get set 1 --priority 4");
	if (sequential && strcmp(sequential, "yes") != 0 && strcmp(sequential, "no") != 0)
		return client_say_error(STATUS_USAGE, "get set", "--sequential takes yes or no",
					NULL);
	if (prio)
		(void)json_object_set_new(parameters, "priority",
					  json_integer((json_int_t)priority));
	if (sequential)
		(void)json_object_set_new(parameters, "sequential",
					  json_boolean(strcmp(sequential, "yes") == 0));
	patterns_add(inv, "only", parameters);
	patterns_add(inv, "exclude", parameters);
	patterns_add(inv, "first", parameters);
	if (json_object_size(parameters) > 1)
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, "get set",
				"--priority, --only, --exclude, --first or --sequential is missing",
				"for example: weft get set 1 --only '*.flac'");
}

static void selection_print(const char *name, const json_t *transfer, const char *member)
{
	const json_t *pattern;
	size_t i;

	json_array_foreach(json_object_get(transfer, member), i, pattern)
		printf("%s %s\n", name, json_string_value(pattern));
}

int run_get_set(struct invocation *inv)
{
	json_t *parameters = NULL, *reply, *transfer;
	int status = id_parse(inv, &parameters);

	if (status == STATUS_OK && (status = changes_add(inv, parameters)) != STATUS_OK)
		json_decref(parameters);
	if (status != STATUS_OK)
		return status;
	status = client_ask(inv, "SetGet", parameters, &reply);
	if (status != STATUS_OK)
		return status;
	transfer = json_object_get(reply, "transfer");
	if (inv->is_json) {
		text_print_json(reply);
	} else if (inv->has_terminal_out) {
		printf("Get %s has priority %lld of %d%s.\n", inv->args[0],
		       (long long)json_integer_value(json_object_get(transfer, "priority")),
		       PRIORITY_MAX,
		       json_is_true(json_object_get(transfer, "sequential")) ? ", in sequence"
									     : "");
		selection_print("Only:   ", transfer, "only");
		selection_print("Exclude:", transfer, "exclude");
		selection_print("First:  ", transfer, "first");
	}
	json_decref(reply);
	return STATUS_OK;
}

int run_get_sources(struct invocation *inv)
{
	json_t *parameters = NULL, *reply;
	int status = id_parse(inv, &parameters);

	if (status == STATUS_OK)
		status = client_ask(inv, "ListGetSources", parameters, &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		table_print(inv, json_object_get(reply, "sources"), api_view_get_source_list,
			    "nobody: the get does not run, or nobody is known yet");
	json_decref(reply);
	return STATUS_OK;
}
