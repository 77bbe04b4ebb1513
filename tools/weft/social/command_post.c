/* SPDX-License-Identifier: Apache-2.0 */
/* weft post, weft feed, weft dm: what takes more than one call, and texts of many lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/command_path.h"
#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

/* --- texts --- */

/* More than any post may have, so that the daemon says what is wrong with a longer one. */
#define TEXT_LEN_MAX (512u * 1024)

/* The whole of the standard input. */
static int input_read(const struct invocation *inv, const char **out_text)
{
	char *text = varlink_alloc(inv->blocks, TEXT_LEN_MAX + 1);
	size_t len = text ? fread(text, 1, TEXT_LEN_MAX, stdin) : 0;

	if (!text || ferror(stdin))
		return client_say_error(STATUS_FAILED, "standard input", strerror(errno), NULL);
	/* A line feed that ends the input is not part of the text, as echo writes one. */
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	*out_text = text;
	return STATUS_OK;
}

static int text_read(const struct invocation *inv, unsigned arg, const char **out_text)
{
	*out_text = inv->args[arg];
	return strcmp(*out_text, "-") == 0 ? input_read(inv, out_text) : STATUS_OK;
}

/* Readers that the options name; the first kind that is named. */
struct audience_words {
	const char *circle, *group;
	size_t person_cnt;
	bool is_public;
};

static int audience_judge(const struct audience_words *words)
{
	int cnt = words->is_public + (words->circle != NULL) + (words->group != NULL) +
		  (words->person_cnt != 0);

	if (cnt <= 1)
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, "readers", "two kinds of readers are named",
				"give one of --public, --circle, --group and --to");
}

/* Of files, by their full paths: the daemon is in another folder. */
static int files_find(const struct invocation *inv, struct api_string_list *files)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < files->cnt; i++) {
		if (!path_existing(files->rows[i], path))
			return client_say_error(STATUS_USAGE, files->rows[i], path,
						"give files that are there");
		files->rows[i] = varlink_text(inv->blocks, path);
	}
	return STATUS_OK;
}

int fill_post_write(const struct invocation *inv, void *parameters)
{
	struct api_write_post_in *in = parameters;
	const struct audience_words words = {in->circle, in->group, in->people.cnt,
					     invocation_option(inv, "public") != NULL};
	int status = audience_judge(&words);

	in->to = words.is_public    ? API_WRITE_POST_IN_TO_PUBLIC
		 : words.circle	    ? API_WRITE_POST_IN_TO_CIRCLE
		 : words.group	    ? API_WRITE_POST_IN_TO_GROUP
		 : words.person_cnt ? API_WRITE_POST_IN_TO_PEOPLE
				    : API_WRITE_POST_IN_TO_FRIENDS;
	if (status == STATUS_OK)
		status = files_find(inv, &in->attachments);
	return status == STATUS_OK ? text_read(inv, 0, &in->text) : status;
}

int fill_post_edit(const struct invocation *inv, void *parameters)
{
	struct api_edit_post_in *in = parameters;
	int status = files_find(inv, &in->attachments);

	if (invocation_option(inv, "no-attachments"))
		in->has_attachments = true;
	return status == STATUS_OK ? text_read(inv, 1, &in->text) : status;
}

int fill_post_draft(const struct invocation *inv, void *parameters)
{
	struct api_save_draft_in *in = parameters;
	const struct audience_words words = {in->circle, in->group, in->people.cnt,
					     invocation_option(inv, "public") != NULL};
	int status = audience_judge(&words);

	in->to = words.is_public    ? API_SAVE_DRAFT_IN_TO_PUBLIC
		 : words.circle	    ? API_SAVE_DRAFT_IN_TO_CIRCLE
		 : words.group	    ? API_SAVE_DRAFT_IN_TO_GROUP
		 : words.person_cnt ? API_SAVE_DRAFT_IN_TO_PEOPLE
				    : API_SAVE_DRAFT_IN_TO_FRIENDS;
	return status == STATUS_OK ? text_read(inv, 0, &in->text) : status;
}

int fill_post_mark(const struct invocation *inv, void *parameters)
{
	((struct api_mark_posts_in *)parameters)->read = !invocation_option(inv, "unread");
	return STATUS_OK;
}

/* weft dm send NAME... TEXT */
int fill_dm_send(const struct invocation *inv, void *parameters)
{
	struct api_send_direct_in *in = parameters;

	for (unsigned i = 0; i + 1 < inv->arg_cnt; i++)
		varlink_push(inv->blocks, &in->people, inv->args[i]);
	return text_read(inv, inv->arg_cnt - 1, &in->text);
}

int fill_feed_new(const struct invocation *inv, void *parameters)
{
	struct api_add_feed_in *in = parameters;

	in->filter = inv->args[1];
	for (unsigned i = 2; i < inv->arg_cnt; i++)
		in->filter = varlink_format(inv->blocks, "%s %s", in->filter, inv->args[i]);
	return STATUS_OK;
}

/* --- printing --- */

/* Each line by itself: a text of another person cannot steer the terminal. */
static void lines_print(const char *indent, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = strndup(text, len), *clean = malloc(len + 1);

		if (line && clean)
			printf("%s%s\n", indent, text_clean(line, clean, len + 1));
		free(line);
		free(clean);
		text += len + (text[len] == '\n');
	}
}

static void post_print(const struct invocation *inv, const struct api_social_post *post)
{
	fields_print(inv, post, api_view_social_post_show);
	if (!inv->has_terminal_out) {
		char *clean = malloc(strlen(post->text) + 1);

		if (clean)
			printf("text\t%s\n", text_clean(post->text, clean, strlen(post->text) + 1));
		free(clean);
		return;
	}
	printf("\n");
	lines_print("  ", post->text);
}

void print_post_written(const struct invocation *inv, const void *reply)
{
	post_print(inv, &((const struct api_write_post_out *)reply)->post);
}

void print_post_edited(const struct invocation *inv, const void *reply)
{
	post_print(inv, &((const struct api_edit_post_out *)reply)->post);
}

void print_post_published(const struct invocation *inv, const void *reply)
{
	post_print(inv, &((const struct api_publish_draft_out *)reply)->post);
}

void print_dm_sent(const struct invocation *inv, const void *reply)
{
	const struct api_send_direct_out *out = reply;

	post_print(inv, &out->post);
	show_part(inv, "delivery", TABLE_ROWS(out->delivery), api_view_direct_delivery_list);
}

void print_post_opened(const struct invocation *inv, const void *reply)
{
	post_print(inv, &((const struct api_open_post_out *)reply)->post);
}

void print_post(const struct invocation *inv, const void *reply)
{
	const struct api_show_post_out *out = reply;

	post_print(inv, &out->post);
	fields_print(inv, &out->redundancy, api_view_post_redundancy_show);
	show_part(inv, "attachment", TABLE_ROWS(out->post.attachments),
		  api_view_post_attachment_list);
	show_part(inv, "delivery", TABLE_ROWS(out->delivery), api_view_direct_delivery_list);
	if (out->readers.cnt)
		texts_print(inv, "readers", "reader", TABLE_ROWS(out->readers));
}

void print_pins(const struct invocation *inv, const void *reply)
{
	const struct api_list_pins_out *out = reply;

	table_print(inv, TABLE_ROWS(out->pins), api_view_social_pin_list,
		    "Nothing is pinned: weft post pin POST keeps a post");
	table_tell_more(out->cursor);
}

void print_thread(const struct invocation *inv, const void *reply)
{
	const struct api_show_thread_out *out = reply;

	for (size_t i = 0; i < out->posts.cnt; i++) {
		const struct api_thread_post *row = &out->posts.rows[i];
		char when[TEXT_SHORT_CAP], name[96], indent[48];
		const char *author =
			*row->post.author_name ? row->post.author_name : row->post.author;

		if (!inv->has_terminal_out) {
			printf("%lld\t", (long long)row->depth);
			table_print(inv, TABLE_ROW(&row->post), api_view_social_post_list, "");
			continue;
		}
		snprintf(indent, sizeof(indent), "%*s", row->depth < 20 ? (int)row->depth * 2 : 40,
			 "");
		printf("%s%.8s  %.24s  %s\n", indent, row->post.post_id,
		       text_clean(author, name, sizeof(name)),
		       text_time((uint64_t)row->post.time_s, when));
		lines_print(indent, row->post.text);
	}
}

/* A message as a row: what was said of it by its readers. */
struct message_row {
	const char *post_id, *name, *text, *receipts, *delivery;
	int64_t time_s;
};

static const char *receipts_text(const struct invocation *inv,
				 const struct api_direct_receipt_list *receipts)
{
	unsigned read_cnt = 0;

	for (size_t i = 0; i < receipts->cnt; i++)
		read_cnt += receipts->rows[i].read;
	if (!receipts->cnt)
		return "";
	if (receipts->cnt == 1)
		return read_cnt ? "read" : "delivered";
	return varlink_format(inv->blocks, "read by %u of %zu", read_cnt, receipts->cnt);
}

/* "given", or "left for 1, waits for 2" of several readers. */
static const char *delivery_text(const struct invocation *inv,
				 const struct api_direct_delivery_list *delivery)
{
	static const char *const words[] = {
		[API_DIRECT_DELIVERY_STATE_GIVEN] = "given",
		[API_DIRECT_DELIVERY_STATE_LEFT] = "left",
		[API_DIRECT_DELIVERY_STATE_WAITS] = "waits",
	};
	size_t cnts[] = {0, 0, 0};
	const char *text = "";

	for (size_t i = 0; i < delivery->cnt; i++)
		cnts[delivery->rows[i].state]++;
	if (delivery->cnt == 1)
		return words[delivery->rows[0].state];
	for (unsigned i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++)
		if (cnts[i])
			text = varlink_format(inv->blocks, "%s%s%s for %zu", text,
					      *text ? ", " : "", words[i], cnts[i]);
	return text;
}

void print_dm(const struct invocation *inv, const void *reply)
{
	static const struct column columns[] = {
		COLUMN_OF("POST", message_row, post_id, string, ID),
		COLUMN_OF("FROM", message_row, name, string, TEXT),
		COLUMN_OF("WRITTEN", message_row, time_s, int, TIME),
		COLUMN_OF("DELIVERY", message_row, delivery, string, TEXT),
		COLUMN_OF("RECEIPTS", message_row, receipts, string, TEXT),
		COLUMN_OF("TEXT", message_row, text, string, TEXT),
		{.heading = NULL},
	};
	const struct api_show_directs_out *out = reply;
	size_t cnt = out->messages.cnt;
	struct message_row *rows = varlink_alloc(inv->blocks, (cnt + 1) * sizeof(*rows));

	for (size_t i = 0; rows && i < cnt; i++) {
		const struct api_direct_message *message = &out->messages.rows[i];
		const struct api_social_post *post = &message->post;

		rows[i] = (struct message_row){
			.post_id = post->post_id,
			.name = *post->author_name
					? post->author_name
					: varlink_format(inv->blocks, "%.8s", post->author),
			.text = post->text,
			.delivery = delivery_text(inv, &message->delivery),
			.receipts = receipts_text(inv, &message->receipts),
			.time_s = post->time_s,
		};
	}
	if (rows)
		table_print(inv, (struct table_rows){rows, cnt, sizeof(*rows)}, columns,
			    "No message: weft dm send NAME TEXT writes one");
	table_tell_more(out->cursor);
}

void print_dm_list(const struct invocation *inv, const void *reply)
{
	const struct api_list_directs_out *out = reply;

	table_print(inv, TABLE_ROWS(out->threads), api_view_direct_thread_list,
		    "No message: weft dm send NAME TEXT writes one");
	table_tell_more(out->cursor);
}

/* --- feeds --- */

/* Pages that look at many posts and find none have a cursor; the next ones may have some. */
static int feed_read(const struct invocation *inv, struct api_read_feed_in *in)
{
	const struct api_read_feed_out *out = NULL;
	struct client_call call;
	int status;

	do {
		if (out)
			in->cursor = out->cursor;
		call = (struct client_call){.request = api_read_feed_request(in)};
		status = client_call(inv, &call);
		out = call.last.out;
	} while (status == STATUS_OK && !out->posts.cnt && out->cursor);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json) {
		text_print_json(call.last.json);
		return STATUS_OK;
	}
	table_print(inv, TABLE_ROWS(out->posts), api_view_social_post_list,
		    "No post. weft follow add NODE brings those of a person.");
	table_tell_more(out->cursor);
	return STATUS_OK;
}

static bool watch_reply(void *arg, const struct client_reply *reply)
{
	const struct invocation *inv = arg;
	const struct api_watch_feed_out *out = reply->out;
	char cnt[TEXT_COUNT_CAP];

	if (inv->is_json) {
		text_print_json_line(reply->json);
		return fflush(stdout) == 0;
	}
	if (out->lost)
		fprintf(stderr, "weft: left out %s\n",
			text_count((uint64_t)out->lost, "post", "posts", cnt));
	if (out->post && inv->has_terminal_out) {
		char name[96];
		const char *author =
			*out->post->author_name ? out->post->author_name : out->post->author;

		printf("%.8s  %.24s\n", out->post->post_id, text_clean(author, name, sizeof(name)));
		lines_print("  ", out->post->text);
	} else if (out->post) {
		table_print(inv, TABLE_ROW(out->post), api_view_social_post_list, "");
	}
	/* Each as it comes, also into a pipe; a reader that left ends the watch. */
	return fflush(stdout) == 0;
}

int run_feed(struct invocation *inv)
{
	struct api_read_feed_in in = {0};
	int status = command_fill(inv, API_READ_FEED, &in);
	const struct api_watch_feed_in watched = {.feed = in.feed, .filter = in.filter};
	struct client_call call = {.request = api_watch_feed_request(&watched),
				   .wants_more = true,
				   .reply = watch_reply,
				   .arg = inv};

	if (status != STATUS_OK)
		return status;
	return invocation_option(inv, "watch") ? client_call(inv, &call) : feed_read(inv, &in);
}

/* weft post search: the words are the filter of a page. */
int run_post_search(struct invocation *inv)
{
	struct api_read_feed_in in = {.filter = inv->args[0]};
	int status = command_fill(inv, API_READ_FEED, &in);

	for (unsigned i = 1; i < inv->arg_cnt; i++)
		in.filter = varlink_format(inv->blocks, "%s %s", in.filter, inv->args[i]);
	return status == STATUS_OK ? feed_read(inv, &in) : status;
}
