/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_H
#define WEFT_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "varlink/node_client.h"
#include "varlink/node_views.h"
#include "command/invocation.h"

/* The exit status of a command; weft(1) lists them. */
enum weft_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_UNREACHABLE = 3, /* no daemon answers */
	STATUS_NOT_FOUND = 4,
	STATUS_REFUSED = 5,
	STATUS_TIMEOUT = 6,
	STATUS_NOT_VERIFIED = 7,
	STATUS_INTERRUPTED = 130, /* 128 + SIGINT, as shells have it */
};

/*
 * How a word becomes a parameter, where the parameter's type alone does not say it. It is a
 * number of [min, max], times factor (0: 1). why and next are the error for any other word.
 */
enum word_kind {
	WORD_BY_TYPE, /* text, a flag, one of an enum's words, the lines of a list */
	WORD_LINES,   /* a list; empty lines are left out */
	WORD_COUNT,
	WORD_SIZE,    /* 10K, 5M */
	WORD_SECONDS, /* 90s, 7d */
	WORD_YES_NO,
	WORD_PATH,	/* made absolute; nothing need be there */
	WORD_PATH_HERE, /* of what is there */
};
struct command_word {
	enum word_kind kind;
	uint64_t min, max, factor;
	const char *what; /* NULL: the option; "": the word itself */
	const char *why, *next;
};
#define WORD(...)                                                                                  \
	&(const struct command_word)                                                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

struct command_option {
	const char *name; /* without its dashes */
	const char *arg;  /* NULL: a flag; ending in "...": it may be given several times */
	const char *doc;
};
#define COMMAND_OPTION_MAX INVOCATION_OPTION_MAX

/* An option that is not the parameter of its name, or is more than a word by its type. */
struct command_rule {
	const char *option;
	const char *parameter; /* NULL: that of its name, with _ for - */
	const struct command_word *word;
};
#define COMMAND_RULE_MAX 10

/* A part of a reply, and how it is shown. */
struct command_part {
	bool is_shown;
	const char *kind; /* NULL: the only table; else one that is left out without rows */
	size_t off;	  /* in the struct of the reply */
	size_t row_len;	  /* of a table; 0: fields, or a line */
	const struct column *columns;
	const struct field *fields; /* NULL and no columns: a text on a line */
	const char *empty;	    /* of the only table */
};
#define COMMAND_PART_MAX  6
#define PART_AT(call, at) .is_shown = true, .off = offsetof(struct api_##call##_out, at)
#define PART_ROWS(call, at)                                                                        \
	PART_AT(call, at), .row_len = sizeof(*((struct api_##call##_out *)0)->at.rows)
#define SHOW_TABLE(call, at, view, text)                                                           \
	{PART_ROWS(call, at), .columns = api_view_##view, .empty = (text)}
#define SHOW_PART(name, call, at, view)                                                            \
	{PART_ROWS(call, at), .columns = api_view_##view, .kind = (name)}
#define SHOW_FIELDS(call, at, view) {PART_AT(call, at), .fields = api_view_##view}
#define SHOW_LINE(call, at)	    {PART_AT(call, at)}

/* An argument that is a parameter; one of a list takes those that follow, too. */
struct command_take {
	bool is_taken;
	size_t off; /* in the struct of the parameters */
	const struct command_word *word;
};
#define TAKE(call, at, ...) {true, offsetof(struct api_##call##_in, at), ##__VA_ARGS__}

/*
 * A command that is one call with one reply. Its arguments and options are the
 * parameters of the method, and one of the rest says how the reply is shown.
 */
typedef void client_print_fn(const struct invocation *inv, const void *reply);
typedef int command_fill_fn(const struct invocation *inv, void *in);
typedef int command_judge_fn(const struct invocation *inv, const void *reply);
typedef int command_run_fn(struct invocation *inv);
struct command_call {
	const struct varlink_method *method; /* NULL: the command has a function */
	struct command_take takes[3];
	struct command_rule words[COMMAND_RULE_MAX]; /* of options; until option NULL */
	struct command_part parts[COMMAND_PART_MAX];
	const char *done;	/* printed for people when there is nothing to show */
	client_print_fn *print; /* all else */
	/* For parameters that take more than a word; returns a status, and says what is wrong. */
	command_fill_fn *fill;
	/* The status of a command whose reply is not all that was wanted. */
	command_judge_fn *judge;
	bool is_setting; /* an invalid value is STATUS_USAGE */
	bool is_long;	 /* only the daemon's beginning has a time limit */
};

/*
 * One command. Help, the manual's test, completion and the search for
 * what a typing error meant all read the same table.
 */
struct command {
	const char *object;
	const char *verb; /* "": what the object does without one */
	const char *args; /* "LINK" */
	const char *doc;
	const char *more; /* further lines of help, or NULL */
	const char *example;
	command_run_fn *run; /* NULL: call */
	unsigned arg_min, arg_max;
	struct command_option options[COMMAND_OPTION_MAX]; /* until name NULL */
	struct command_call call; /* of a command with a function, what of it the function uses */
	const struct command *table; /* of a row without object, the last: the table that follows */
};

extern const struct command commands_of_content[], commands_of_services[], commands_of_offers[],
	commands_of_posts[], commands_of_people[], commands_of_persons[], commands_of_groups[],
	commands_of_node[];
/* command_next: all of them in turn; the first after NULL, NULL after the last. */
const struct command *command_next(const struct command *before);
/* command_lookup: NULL when there is none of that name. */
const struct command *command_lookup(const char *object, const char *verb);

/*
 * command_fill reads the parameters of method off the command line into its struct, all zero,
 * by the takes, options and hook of the row. STATUS_OK, or it was said what is wrong.
 */
int command_fill(const struct invocation *inv, const struct varlink_method *method, void *in);
/* command_call_run: of a command that is one call. */
int command_call_run(const struct invocation *inv);
/* command_show prints a reply of the row's method as the row has it. */
void command_show(const struct invocation *inv, const void *reply);

/* help.c */
void help_print(const struct invocation *inv, FILE *out);
bool command_takes_option(const struct command *command, const char *name, unsigned *out_idx);
extern const struct command_option global_options[];
extern const unsigned global_option_cnt;

/* Named by the rows: output that no view has alone, */
client_print_fn print_bootstrap_list, print_community_create, print_community_expel,
	print_community_found, print_community_joined, print_community_leave,
	print_community_members, print_community_shares, print_community_token, print_daemon_reload,
	print_dht_item, print_dht_peers, print_dht_status, print_gc, print_get_cancelled,
	print_get_forgotten, print_get_paused, print_get_set, print_limits_list, print_limits_set,
	print_limits_show, print_memory_show, print_node_status, print_offer_list, print_pins,
	print_overlay_status, print_peer_paths, print_policy, print_policy_test, print_dm,
	print_dm_list, print_dm_sent, print_post, print_post_edited, print_post_opened,
	print_post_published, print_post_written, print_thread, print_reservations, print_route,
	print_schema, print_seed_list, print_seed_set, print_service_emitted, print_service_found,
	print_service_forgotten, print_service_reset, print_service_top, print_share_diff,
	print_share_exported, print_share_items, print_share_new, print_share_rotated,
	print_share_show, print_sub_show, print_why, print_xdp_mode, print_xdp_plan,
	print_xdp_status;
/* command_why.c: why a session is relayed; NULL: it is not. */
void print_relayed(const struct invocation *inv, const struct api_relayed_reason *relayed);
/* parameters that take more than a word, statuses by the reply, */
command_fill_fn fill_anchor_disable, fill_anchor_enable, fill_bootstrap_add, fill_bootstrap_check,
	fill_community_join, fill_dht_lookup, fill_endorse_make, fill_dm_send, fill_feed_new,
	fill_post_draft, fill_post_edit, fill_post_mark, fill_post_write, fill_get_set,
	fill_offer_publish, fill_offer_update, fill_peer_connect, fill_peer_set, fill_policy_test,
	fill_relay_connect, fill_relay_grant_use, fill_relay_revoke, fill_relay_role,
	fill_schema_add, fill_seed_set, fill_seed_switch, fill_service_allow, fill_service_emit,
	fill_service_find, fill_share_final, fill_share_set, fill_sub_add, fill_sub_set,
	fill_sub_sync, fill_xdp_attach;
command_judge_fn judge_bootstrap_check, judge_service_find, judge_sub_add, judge_xdp_attach;
/* and commands that are more than one call. */
command_run_fn run_backup_create, run_backup_restore, run_bootstrap_make, run_bootstrap_retire,
	run_bootstrap_sign, run_check, run_community_bind, run_completion, run_conns,
	run_dht_lookup, run_dht_survey, run_drops, run_event_watch, run_feed, run_post_save,
	run_post_search, run_forward, run_get, run_get_resume, run_get_watch, run_help,
	run_offer_find, run_peer_ping, run_pipe, run_relay_grant_lend, run_relay_grant_list,
	run_relay_grant_new, run_relay_grant_revoke, run_relay_grant_show, run_relay_receipt_verify,
	run_relay_operator_new, run_relay_operator_show, run_route_publish, run_search,
	run_service_call, run_service_publish, run_service_show, run_service_stream,
	run_service_subscribe, run_share_add, run_share_link, run_share_list, run_share_publish,
	run_share_update, run_share_watch, run_store_check, run_store_salvage, run_top, run_version,
	run_post_revoke, run_social_export, run_social_import, run_social_reach, run_schema_export,
	run_schema_test;

#endif
