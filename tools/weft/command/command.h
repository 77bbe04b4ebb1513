/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_H
#define WEFT_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

struct invocation;

/* What the command ends with; weft(1) lists them. */
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

struct command_option {
	const char *name; /* without its dashes */
	const char *arg;  /* NULL: a flag; ending in "...": it may be given several times */
	const char *doc;
};
#define COMMAND_OPTION_MAX 24

/*
 * A command that is one call with one reply: its arguments and options are the
 * parameters of the method, and one of the rest says how the reply is shown.
 */
typedef void client_print_fn(const struct invocation *inv, const json_t *reply);
struct command_call {
	const char *method; /* without interface; NULL: the command has a function */
	const char *
		takes[2]; /* the parameters that its arguments are; an option is that of its name */
	const char *member; /* of the reply, of which columns or fields are shown */
	const struct column *columns;
	const struct field *fields;
	const char *empty;	/* of a list */
	const char *line;	/* a member that is printed alone */
	const char *done;	/* printed for people when there is nothing to show */
	client_print_fn *print; /* all else */
	bool is_setting;	/* an invalid value is STATUS_USAGE */
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
	int (*run)(struct invocation *inv); /* NULL: call */
	unsigned arg_min, arg_max;
	struct command_option options[COMMAND_OPTION_MAX]; /* until name NULL */
	struct command_call call;
	const struct command *table; /* of a row without object, the last: the table that follows */
};

extern const struct command commands_of_content[], commands_of_services[], commands_of_node[];
/* command_next: all of them in turn; the first after NULL, NULL after the last. */
const struct command *command_next(const struct command *before);

/* One run of one command, as it was typed. */
#define INVOCATION_ARG_MAX 16
struct invocation {
	const struct command *command;
	const char *args[INVOCATION_ARG_MAX];
	unsigned arg_cnt;
	const char *values[COMMAND_OPTION_MAX]; /* of its options; NULL: not given */
	const char *socket;			/* NULL: where it usually is */
	bool is_json;
	bool is_help;
	uint64_t timeout_ms; /* for the daemon to answer */
	bool is_version;
	bool has_terminal_out; /* stdout */
	bool has_terminal_err; /* stderr */
};

/* invocation_option: the value of an option, "" of a flag, NULL when it was not given. */
const char *invocation_option(const struct invocation *inv, const char *name);
/*
 * invocation_parse reads the command line. Returns STATUS_OK, or
 * STATUS_USAGE after saying what is wrong and what may have been meant.
 */
int invocation_parse(int argc, char **argv, struct invocation *out_inv);

/* command_lookup: NULL when there is none of that name. */
const struct command *command_lookup(const char *object, const char *verb);
/*
 * command_parameters has an option of the command for each parameter of method that has its
 * name: a text, a flag, or the lines of an option that may be given several times. Numbers
 * are left to the command, which says what is wrong with one. first: the parameter that the
 * first argument is; NULL: none.
 */
json_t *command_parameters(const struct invocation *inv, const char *method, const char *first);
/* command_call_run: of a command that is one call. */
int command_call_run(const struct invocation *inv);
int run_version(struct invocation *inv);

/* help.c */
void help_print(const struct invocation *inv, FILE *out);
void help_print_completion(void);
bool command_takes_option(const struct command *command, const char *name, unsigned *out_idx);
extern const struct command_option global_options[];
extern const unsigned global_option_cnt;

/* Output that no view has alone. */
client_print_fn print_announce_status;
client_print_fn print_bootstrap_list;
client_print_fn print_community_create;
client_print_fn print_community_expel;
client_print_fn print_community_leave;
client_print_fn print_community_list;
client_print_fn print_daemon_reload;
client_print_fn print_dht_status;
client_print_fn print_limits_list;
client_print_fn print_limits_set;
client_print_fn print_limits_show;
client_print_fn print_memory_show;
client_print_fn print_overlay_status;
client_print_fn print_seed_list;
client_print_fn print_seed_top;
client_print_fn print_service_list;
client_print_fn print_service_reset;
client_print_fn print_service_top;
client_print_fn print_share_show;
client_print_fn print_node_status;
client_print_fn print_sub_show;
client_print_fn print_why;
client_print_fn print_xdp_status;

/* Those that are functions, by file. */
int run_top(struct invocation *inv);
int run_conns(struct invocation *inv);
int run_peer_connect(struct invocation *inv);
int run_peer_ping(struct invocation *inv);
int run_peer_set(struct invocation *inv);
int run_check(struct invocation *inv);
int run_share_add(struct invocation *inv);
int run_share_list(struct invocation *inv);
int run_share_cancel(struct invocation *inv);
int run_share_new(struct invocation *inv);
int run_share_publish(struct invocation *inv);
int run_share_update(struct invocation *inv);
int run_share_set(struct invocation *inv);
int run_share_diff(struct invocation *inv);
int run_share_link(struct invocation *inv);
int run_share_revoke(struct invocation *inv);
int run_share_rotate(struct invocation *inv);
int run_share_retire(struct invocation *inv);
int run_share_export_key(struct invocation *inv);
int run_sub_add(struct invocation *inv);
int run_sub_set(struct invocation *inv);
int run_sub_sync(struct invocation *inv);
int run_search(struct invocation *inv);
int run_community_join(struct invocation *inv);
int run_community_token(struct invocation *inv);
int run_community_members(struct invocation *inv);
int run_community_shares(struct invocation *inv);
int run_community_search(struct invocation *inv);
int run_community_bind(struct invocation *inv);
int run_community_unbind(struct invocation *inv);
int run_get(struct invocation *inv);
int run_get_watch(struct invocation *inv);
int run_get_pause(struct invocation *inv);
int run_get_set(struct invocation *inv);
int run_get_sources(struct invocation *inv);
int run_share_watch(struct invocation *inv);
int run_get_cancel(struct invocation *inv);
int run_get_forget(struct invocation *inv);
int run_get_resume(struct invocation *inv);
int run_dht_get(struct invocation *inv);
int run_dht_put(struct invocation *inv);
int run_dht_lookup(struct invocation *inv);
int run_dht_announce(struct invocation *inv);
int run_dht_peers(struct invocation *inv);
int run_dht_survey(struct invocation *inv);
int run_route_find(struct invocation *inv);
int run_route_publish(struct invocation *inv);
int run_xdp_plan(struct invocation *inv);
int run_xdp_attach(struct invocation *inv);
int run_xdp_mode(struct invocation *inv);
int run_event_watch(struct invocation *inv);
int run_ban_add(struct invocation *inv);
int run_bootstrap_make(struct invocation *inv);
int run_bootstrap_sign(struct invocation *inv);
int run_bootstrap_retire(struct invocation *inv);
int run_bootstrap_add(struct invocation *inv);
int run_bootstrap_check(struct invocation *inv);
int run_policy_show(struct invocation *inv);
int run_policy_test(struct invocation *inv);
int run_service_publish(struct invocation *inv);
int run_service_allow(struct invocation *inv);
int run_service_show(struct invocation *inv);
int run_service_find(struct invocation *inv);
int run_service_call(struct invocation *inv);
int run_service_stream(struct invocation *inv);
int run_service_subscribe(struct invocation *inv);
int run_service_emit(struct invocation *inv);
int run_drops(struct invocation *inv);
int run_gc_plan(struct invocation *inv);
int run_seed_stop(struct invocation *inv);
int run_seed_start(struct invocation *inv);
int run_seed_set(struct invocation *inv);
int run_share_items(struct invocation *inv);
int run_gc_run(struct invocation *inv);
int run_store_check(struct invocation *inv);
int run_store_salvage(struct invocation *inv);
int run_backup_create(struct invocation *inv);
int run_backup_restore(struct invocation *inv);
int run_help(struct invocation *inv);
int run_completion(struct invocation *inv);

#endif
