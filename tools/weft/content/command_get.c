/* SPDX-License-Identifier: Apache-2.0 */
/* weft get: fetch, follow, cancel, forget, pause, resume, set. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/progress.h"
#include "print/text.h"

#define PRIORITY_MAX 4

/* --- a get to its end --- */

struct following {
	const struct invocation *inv;
	struct progress progress;
	int64_t get_id;
	bool is_detached;
};

/* A state in words for people; the daemon's word where none is better. */
static const char *state_verb(enum api_get_state state)
{
	switch (state) {
	case API_GET_STATE_QUEUED:
		return "waiting";
	case API_GET_STATE_MANIFEST:
		return "asking for the list of files";
	case API_GET_STATE_VERIFYING:
		return "verifying what is on disk";
	default:
		return api_get_state_type.words[state];
	}
}

/* Get, WatchGet and ResumeGet reply alike. */
static const struct api_get_info *get_of(const void *reply)
{
	return &((const struct api_get_out *)reply)->get;
}

static bool follow_reply(void *arg, const struct client_reply *reply)
{
	struct following *following = arg;
	const struct api_get_info *get = get_of(reply->out);
	const struct progress_state state = {
		.verb = state_verb(get->state),
		.done = (uint64_t)get->bytes_done,
		.cnt = (uint64_t)get->bytes,
		.item_done = (uint64_t)get->items_done,
		.item_cnt = (uint64_t)get->items,
	};

	following->get_id = get->get_id;
	if (following->is_detached)
		return false;
	if (!reply->is_last)
		progress_show(&following->progress, &state);
	return true;
}

static void follow_failed(void *arg)
{
	progress_clear(&((struct following *)arg)->progress);
}

static void tell_finished(const struct api_get_info *get)
{
	uint64_t elapsed_ms = (uint64_t)get->elapsed_ms;
	uint64_t received = (uint64_t)get->bytes_received;
	char bytes[TEXT_SHORT_CAP], rate[TEXT_SHORT_CAP], elapsed[TEXT_SHORT_CAP];
	char count[TEXT_COUNT_CAP], clean[2][PATH_MAX];

	fprintf(stderr, "Fetched \"%s\" into %s: %s, %s in %s",
		text_clean(get->title, clean[0], sizeof(clean[0])),
		text_clean(get->target, clean[1], sizeof(clean[1])),
		text_count((uint64_t)get->items, "file", "files", count),
		text_bytes((uint64_t)get->bytes, bytes), text_elapsed(elapsed_ms, elapsed));
	if (elapsed_ms && received)
		fprintf(stderr, " (%s/s)", text_bytes(received * 1000 / elapsed_ms, rate));
	if (get->bytes_reused)
		fprintf(stderr, ", %s were there already",
			text_bytes((uint64_t)get->bytes_reused, bytes));
	if (get->bad_chunks)
		fprintf(stderr, ", %s refused",
			text_count((uint64_t)get->bad_chunks, "bad chunk", "bad chunks", count));
	fprintf(stderr, ".\n");
}

static void tell_detached(const struct following *following)
{
	int64_t id = following->get_id;

	if (following->inv->is_json)
		return;
	if (!following->inv->has_terminal_out)
		printf("%" PRId64 "\n", id);
	else
		printf("Get number %" PRId64 " runs in the daemon.\n  weft get watch %" PRId64
		       "\n  weft get cancel %" PRId64 "\n",
		       id, id, id);
}

static int follow_interrupted(const struct following *following)
{
	int64_t id = following->get_id;

	if (!id)
		fprintf(stderr, "weft: interrupted; weft get list shows whether the get began\n");
	else
		fprintf(stderr,
			"weft: the get goes on in the daemon as number %" PRId64
			"\n  weft get watch %" PRId64 "   follows it\n  weft get cancel %" PRId64
			"  stops it\n",
			id, id, id);
	return STATUS_INTERRUPTED;
}

/* follow makes a call that reports a get's progress, and shows it to its end. */
static int follow(const struct invocation *inv, struct varlink_request request)
{
	struct following following = {.inv = inv,
				      .is_detached = invocation_option(inv, "detach") != NULL};
	struct client_call call = {.request = request,
				   .wants_more = !following.is_detached,
				   .reply = follow_reply,
				   .on_error = follow_failed,
				   .arg = &following};
	int status;

	progress_init(&following.progress, inv->has_terminal_err);
	client_catch_interrupt();
	status = client_call(inv, &call);
	progress_clear(&following.progress);
	if (status == STATUS_INTERRUPTED)
		return follow_interrupted(&following);
	if (status != STATUS_OK || !call.last.out)
		return status;
	if (inv->is_json)
		text_print_json(call.last.json);
	if (following.is_detached)
		tell_detached(&following);
	else if (get_of(call.last.out)->state == API_GET_STATE_PAUSED)
		fprintf(stderr, "Get number %" PRId64 " was paused.\n", following.get_id);
	else
		tell_finished(get_of(call.last.out));
	return STATUS_OK;
}

/* range_parse reads OFF-END, the end not included, or OFF+LEN. */
static bool range_parse(const char *text, size_t len, struct api_range *out_range)
{
	size_t split = strcspn(text, "-+");
	uint64_t off, second;

	if (split >= len || !text_parse_size(text, split, &off) ||
	    !text_parse_size(text + split + 1, len - split - 1, &second))
		return false;
	if (text[split] == '-' && second <= off)
		return false;
	if (text[split] == '-')
		second -= off;
	*out_range = (struct api_range){.offset = (int64_t)off, .length = (int64_t)second};
	return second != 0;
}

int run_get(struct invocation *inv)
{
	const char *ranges = invocation_option(inv, "range");
	struct api_get_in in = {.has_ranges = ranges != NULL};
	int status;

	if (!invocation_option(inv, "to"))
		return client_say_error(STATUS_USAGE, "get", "--to DIR is missing",
					"for example: weft get 'mesh:...' --to ~/Downloads");
	for (const char *line = ranges; line;) {
		size_t len = strcspn(line, "\n");
		struct api_range range;

		if (!range_parse(line, len, &range))
			return client_say_error(STATUS_USAGE, ranges, "not a range",
						"Write --range 0-1M (the end not included) or "
						"--range 1M+64K.");
		varlink_push(inv->blocks, &in.ranges, range);
		line = line[len] ? line + len + 1 : NULL;
	}
	status = command_fill(inv, API_GET, &in);
	return status == STATUS_OK ? follow(inv, api_get_request(&in)) : status;
}

int run_get_watch(struct invocation *inv)
{
	struct api_watch_get_in in = {0};
	int status = command_fill(inv, API_WATCH_GET, &in);

	return status == STATUS_OK ? follow(inv, api_watch_get_request(&in)) : status;
}

int run_get_resume(struct invocation *inv)
{
	struct api_resume_get_in in = {0};
	int status = command_fill(inv, API_RESUME_GET, &in);

	return status == STATUS_OK ? follow(inv, api_resume_get_request(&in)) : status;
}

/* --- one call --- */

void print_get_cancelled(const struct invocation *inv, const void *reply)
{
	const struct api_cancel_get_out *out = reply;

	if (inv->has_terminal_out)
		printf("%s Files that were whole stay where they are.%s\n",
		       out->get.state == API_GET_STATE_FINISHED ? "It had finished before."
								: "Cancelled.",
		       invocation_option(inv, "discard")
			       ? ""
			       : " weft get resume goes on with the rest.");
}

void print_get_forgotten(const struct invocation *inv, const void *reply)
{
	const struct api_forget_get_out *out = reply;
	char count[TEXT_COUNT_CAP], clean[PATH_MAX];

	if (invocation_option(inv, "delete"))
		printf("Given up; %s removed",
		       text_count((uint64_t)out->removed, "file", "files", count));
	else
		printf("Given up; its files stay");
	if (out->kept)
		printf(", %s kept that weft did not write or that changed since, as %s",
		       text_count((uint64_t)out->kept, "file", "files", count),
		       text_clean(out->first_kept, clean, sizeof(clean)));
	printf(".\n");
}

void print_get_paused(const struct invocation *inv, const void *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Paused. weft get resume %s goes on.\n", inv->args[0]);
}

int fill_get_set(const struct invocation *inv, void *parameters)
{
	const struct api_set_get_in *in = parameters;

	if (in->has_priority || in->has_sequential || in->has_only || in->has_exclude ||
	    in->has_first)
		return STATUS_OK;
	(void)inv;
	return client_say_error(STATUS_USAGE, "get set",
				"--priority, --only, --exclude, --first or --sequential is missing",
				"for example: weft get set 1 --only '*.flac'");
}

static void selection_print(const char *name, const struct api_string_list *patterns)
{
	for (size_t i = 0; i < patterns->cnt; i++)
		printf("%s %s\n", name, patterns->rows[i]);
}

void print_get_set(const struct invocation *inv, const void *reply)
{
	const struct api_get_info *get = &((const struct api_set_get_out *)reply)->get;

	if (!inv->has_terminal_out)
		return;
	printf("Get %s has priority %" PRId64 " of %d%s.\n", inv->args[0], get->priority,
	       PRIORITY_MAX, get->sequential ? ", in sequence" : "");
	selection_print("Only:   ", &get->only);
	selection_print("Exclude:", &get->exclude);
	selection_print("First:  ", &get->first);
}
