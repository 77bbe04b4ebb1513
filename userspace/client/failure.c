/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in words: those of the daemon as it tells them, ours as it would. */
#include "client/failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "varlink/node.h"
#include "client/varlink.h"

int client_failure_set(struct weft_error *error, int err, const char *what, const char *why,
		       const char *next)
{
	if (!error)
		return err;
	error->err = err;
	snprintf(error->what, sizeof(error->what), "%s", what);
	snprintf(error->why, sizeof(error->why), "%s", why ? why : weft_err_text(err));
	snprintf(error->next, sizeof(error->next), "%s", next ? next : "");
	return err;
}

int client_failure_memory(struct weft_error *error)
{
	return client_failure_set(error, -ENOMEM, "this program", NULL, NULL);
}

int client_failure_connect(struct weft_error *error, const char *path, int err)
{
	bool is_usual = strcmp(path, VARLINK_PATH_SYSTEM) == 0;
	char what[sizeof(error->what)], next[sizeof(error->next)];

	snprintf(what, sizeof(what), "no daemon answers at %s", path);
	if (err == -EACCES)
		return client_failure_set(
			error, err, what, NULL,
			"Run as the daemon's user, or join its operate or view group "
			"(weft.conf(5), [control]).");
	snprintf(next, sizeof(next),
		 "Start one with: weftd%s%s; or name its socket with -s PATH or $WEFT_SOCKET.",
		 is_usual ? "" : " --control ", is_usual ? "" : path);
	return client_failure_set(error, err, what, NULL, next);
}

int client_failure_lost(struct weft_error *error, int err)
{
	if (err == WEFT_EMALFORMED)
		return client_failure_set(error, err, "reply",
					  "the daemon sent something that is no JSON", NULL);
	if (err == WEFT_ETOOLARGE || err == -ENOMEM)
		return client_failure_set(error, err, "reply", "too long to be held", NULL);
	return client_failure_set(error, WEFT_ECLOSED, "daemon", "it closed the connection",
				  "It may have been stopped; see its log.");
}

int client_failure_silence(struct weft_error *error, const char *path, int timeout_ms)
{
	char what[sizeof(error->what)], why[64];

	snprintf(what, sizeof(what), "daemon at %s", path);
	if (timeout_ms % 1000)
		snprintf(why, sizeof(why), "no answer within %d ms", timeout_ms);
	else
		snprintf(why, sizeof(why), "no answer within %d s", timeout_ms / 1000);
	return client_failure_set(
		error, WEFT_ETIMEOUT, what, why,
		"It may be stopped or overloaded: see its log and state (ps), or wait "
		"longer (weft: --timeout SECONDS).");
}

static int failure_take(const char *name, const struct api_failure *failure,
			struct weft_error *error)
{
	const char *dot = strrchr(name, '.');
	int64_t code = failure->code;

	if (strcmp(name, API_PERMISSION_DENIED_ERROR) == 0)
		return client_failure_set(error, WEFT_EREFUSED, "daemon", "you may not do this",
					  "Run as the daemon's user, or join its operate group "
					  "(weft.conf(5), [control]).");
	if (failure->parameter)
		return client_failure_set(error, WEFT_EMALFORMED, failure->parameter,
					  "the daemon does not take this value",
					  "weft and weftd may be of different versions.");
	return client_failure_set(error, code < 0 && code > INT32_MIN ? (int)code : WEFT_EUNKNOWN,
				  failure->what ? failure->what : "daemon",
				  failure->why ? failure->why
				  : dot	       ? dot + 1
					       : name,
				  failure->next);
}

int client_failure_of_reply(const json_t *message, struct weft_error *error)
{
	static const struct api_failure unread;
	const char *name = json_string_value(json_object_get(message, "error"));
	struct varlink_blocks blocks = {0};
	const struct api_failure *failure;
	int err;

	if (!name)
		return 0;
	failure = varlink_read(&api_failure_type, json_object_get(message, "parameters"), &blocks,
			       NULL);
	err = failure_take(name, failure ? failure : &unread, error);
	varlink_blocks_free(&blocks);
	return err;
}
