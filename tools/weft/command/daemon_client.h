/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_DAEMON_CLIENT_H
#define WEFT_TOOLS_DAEMON_CLIENT_H

#include <jansson.h>
#include <signal.h>

#include "command/command.h"

/* A reply: its struct, and the JSON that its texts are in. */
struct client_reply {
	const void *out; /* NULL: there is none */
	json_t *json;
	bool is_last;
};

/*
 * A call of the daemon. reply is called for each reply, which lasts until it returns; the last one
 * lasts until the program ends. False ends the call early.
 */
struct client_call {
	struct varlink_request request;
	bool wants_more; /* replies may be far apart, so only its beginning has a time limit */
	bool is_long;	 /* likewise, for one reply */
	bool is_setting; /* takes values of the command line: an invalid one is STATUS_USAGE */
	bool (*reply)(void *arg, const struct client_reply *reply); /* NULL: the last is enough */
	void (*on_error)(void *arg); /* called before one is said; NULL: nothing is in its way */
	void *arg;
	struct client_reply last; /* after STATUS_OK */
};

/*
 * client_call speaks to the daemon of inv. Every failure was said on stderr
 * (and with --json on stdout) when it returns; STATUS_INTERRUPTED when a
 * signal came.
 */
int client_call(const struct invocation *inv, struct client_call *call);

/*
 * client_ask is a call with one reply. out_reply: where the pointer to its struct is put on
 * STATUS_OK; it lasts until the program ends.
 */
int client_ask(const struct invocation *inv, struct varlink_request request, void *out_reply);
/*
 * client_show asks and prints the reply: as JSON where that is wanted, else by
 * print (NULL: nothing is said). client_show_call: the same of a call that says more.
 */
int client_show(const struct invocation *inv, struct varlink_request request,
		client_print_fn *print);
int client_show_call(const struct invocation *inv, struct client_call *call,
		     client_print_fn *print);
/* client_replies_free frees the replies that last. */
void client_replies_free(struct client_replies *kept);

/*
 * control_client_open is for more than one call at a time; failures were said.
 * client_timeout_ms: of inv.
 */
struct weft_client;
int control_client_open(const struct invocation *inv, struct weft_client **out_client);
int client_timeout_ms(const struct invocation *inv);

/*
 * client_catch_interrupt makes SIGINT and SIGTERM end a call instead of the program.
 * client_is_interrupted: one came, or q was pressed.
 */
void client_catch_interrupt(void);
bool client_is_interrupted(void);

/* client_say_error writes "weft: WHAT: WHY" and what to do next, for errors found here. */
int client_say_error(int status, const char *what, const char *why, const char *next);

#endif
