/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method table of the daemon, made of the lists that tools/varlink-c makes of
 * include/varlink/: a method without a handler does not link.
 */
#include "methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"

#define LINK_WHY_CAP 128
/* Enough of a foreign text to know it again. */
#define LINK_SHOWN_LEN 24

#define METHOD_RUN(name, word, needed)                                                             \
	static void run_##word(void *ctx, struct control_call *call, const void *in,               \
			       uint64_t now_ns)                                                    \
	{                                                                                          \
		api_##word(ctx, call, in, now_ns);                                                 \
	}
API_METHODS(METHOD_RUN)

#define METHOD_ROW(name, word, needed) {#name, CONTROL_##needed, .run = run_##word},
const struct control_method api_methods[] = {API_METHODS(METHOD_ROW){NULL}};

const char *const api_upgrades[] = {"OpenServiceStream", NULL};

struct api *api_new(void)
{
	return calloc(1, sizeof(struct api));
}

void api_free(struct api *api)
{
	free(api);
}

void api_forget(struct api *api)
{
	api_imports_forget(api);
	api_files_check_forget(api);
	api_get_watches_forget(api);
	api_pings_forget(api);
	api_load_watches_forget(api);
	api_checks_forget(api);
	api_dht_runs_forget(api);
	api_bootstrap_checks_forget(api);
	api_idempotency_forget(api);
	api_joinings_forget(api);
	api_group_calls_forget(api);
	api_rows_forgettings_forget(api);
	api_offer_sayings_forget(api);
	api_schema_looks_forget(api);
	api_reservings_forget(api);
	api_post_writings_forget(api);
	api_bundle_forget(api);
}

const char *api_id(struct varlink_blocks *blocks, const uint8_t id[static 32])
{
	char text[ZBASE32_KEY_TEXT_CAP];

	return varlink_text(blocks, zbase32_write(id, 32, text));
}

/* The first letter that occurs in no link, '\0' when its letters are not what is wrong. */
static char link_foreign_message(const char *text)
{
	const char *at = strchr(text, ':');

	if (!at)
		return '\0';
	for (at++; zbase32_is_letter(*at); at++)
		;
	/* White space at the end is not part of it. */
	if (!at[strspn(at, " \t\r\n")])
		return '\0';
	return *at;
}

static void link_describe_message(const char *text, char why[static LINK_WHY_CAP])
{
	char letter = link_foreign_message(text);

	if (letter > ' ' && letter <= '~')
		snprintf(why, LINK_WHY_CAP, "'%c' occurs in no link", letter);
	else if (letter)
		snprintf(why, LINK_WHY_CAP, "white space or a foreign letter is in it");
	else
		snprintf(why, LINK_WHY_CAP, "it is not a mesh link");
}

static void link_describe_scheme(const char *text, char why[static LINK_WHY_CAP])
{
	size_t len = strlen(text);
	bool is_long = len > LINK_SHOWN_LEN;

	/* Not in the middle of a letter: JSON would not take it. */
	for (len = is_long ? LINK_SHOWN_LEN : len; is_long && (text[len] & 0xc0) == 0x80; len--)
		;
	snprintf(why, LINK_WHY_CAP, "\"%.*s%s\" does not begin with mesh:", (int)len, text,
		 is_long ? "..." : "");
}

void api_fail_link(struct control_call *call, int err, const char *text, const char *wanted)
{
	const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EABSENT, "it is empty", wanted},
		{WEFT_EUNKNOWN, NULL, wanted},
		{WEFT_ETOOSMALL, "it is cut short",
		 "copy the whole link, from mesh: to its last letter"},
		{WEFT_ETOOLARGE, "something is appended to it",
		 "copy the link alone, without what follows it"},
		{WEFT_EDAMAGED, "a letter of it is wrong or missing: its check does not match",
		 "copy it again from where it was printed"},
		{WEFT_ENEWER, "it is of a kind that this version does not know",
		 "use a newer weftd"},
		{0, NULL, "copy it again from where it was printed"},
	};
	char why[LINK_WHY_CAP];
	size_t i = 0;

	while (rows[i].err && rows[i].err != err)
		i++;
	if (rows[i].why)
		snprintf(why, sizeof(why), "%s", rows[i].why);
	else if (err == WEFT_EUNKNOWN)
		link_describe_scheme(text, why);
	else
		link_describe_message(text, why);
	control_fail(call, WEFT_EMALFORMED, "link", why, rows[i].next);
}
