/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MakeBootstrap, ReadBootstrap, AddBootstrap, ListBootstraps, RemoveBootstrap.
 */
#include "method_bootstrap.h"

#include <stdio.h>
#include <string.h>

#include "codec/text/utf8.h"
#include "locate/bootstrap.h"
#include "api/durable_reply.h"
#include "api/methods.h"

#define DAY_S	     86400
#define DAYS_DEFAULT 90
#define DAYS_MAX     (BOOTSTRAP_LIFE_S_MAX / DAY_S)
#define WHAT	     "bootstrap list"
/* The store refused the change. */
#define SET_AGAIN "it holds until the daemon ends: mend the store and set it again"

char *api_bootstrap_entry(const struct bootstrap_entry *entry,
			  char text[static METHOD_BOOTSTRAP_ENTRY_CAP])
{
	char addr[ADDR_TEXT_CAP], id[ZBASE32_KEY_TEXT_CAP];

	addr_format(&entry->addr, addr);
	if (entry->has_key)
		snprintf(text, METHOD_BOOTSTRAP_ENTRY_CAP, "%s@%s",
			 zbase32_write(entry->key, sizeof(entry->key), id), addr);
	else
		snprintf(text, METHOD_BOOTSTRAP_ENTRY_CAP, "%s", addr);
	return text;
}

static uint64_t wall_s(const struct api *api)
{
	return api->wall_us(api->ctx) / 1000000;
}

static enum api_bootstrap_state state_of(const struct api *api, const struct bootstrap_list *list)
{
	if (!list->entry_cnt)
		return API_BOOTSTRAP_STATE_RETIRED;
	return list->expires_s <= wall_s(api) ? API_BOOTSTRAP_STATE_EXPIRED
					      : API_BOOTSTRAP_STATE_IN_USE;
}

static struct api_bootstrap bootstrap_of(struct varlink_blocks *blocks, const struct api *api,
					 const struct bootstrap_list *list)
{
	struct api_bootstrap bootstrap = {
		.issuer = api_id(blocks, list->issuer),
		.serial = api_uint(list->serial),
		.made_s = api_uint(list->made_s),
		.expires_s = api_uint(list->expires_s),
		.title = list->title[0] ? list->title : NULL,
		.state = state_of(api, list),
	};
	char text[METHOD_BOOTSTRAP_ENTRY_CAP];

	for (unsigned i = 0; i < list->entry_cnt; i++)
		varlink_push(blocks, &bootstrap.entries,
			     varlink_text(blocks, api_bootstrap_entry(&list->entries[i], text)));
	return bootstrap;
}

/* --- making --- */

static bool entry_read(struct control_call *call, const char *text, struct bootstrap_entry *entry)
{
	const char *at = strchr(text, '@'), *addr = at ? at + 1 : text;

	memset(entry, 0, sizeof(*entry));
	entry->has_key = at != NULL;
	if (at && zbase32_parse(text, (size_t)(at - text), entry->key, sizeof(entry->key)) !=
			  sizeof(entry->key)) {
		control_fail(call, WEFT_EMALFORMED, text, "no node id in front of the @",
			     "weft node id prints it on that node, 52 letters");
		return false;
	}
	if (addr_parse(addr, &entry->addr) == 0 && entry->addr.port)
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "not an address with a port",
		     "write it like NODE@192.0.2.1:7000 or [2001:db8::1]:6881");
	return false;
}

static bool entries_read(struct control_call *call, const struct api_string_list *entries,
			 struct bootstrap_list *list)
{
	if (entries->cnt > BOOTSTRAP_ENTRIES_MAX) {
		control_fail(call, WEFT_ETOOLARGE, WHAT, "more than 32 entries",
			     "name those that are likely to answer for long");
		return false;
	}
	for (size_t i = 0; i < entries->cnt; i++)
		if (!entry_read(call, entries->rows[i], &list->entries[list->entry_cnt++]))
			return false;
	return true;
}

static bool title_read(struct control_call *call, const char *title, struct bootstrap_list *list)
{
	size_t len = title ? strlen(title) : 0;

	if (len >= sizeof(list->title) || !utf8_is_plain(title ? title : "", len)) {
		control_fail(call, WEFT_ETOOLARGE, title,
			     "a title has at most 64 bytes, of one line", "choose a shorter one");
		return false;
	}
	memcpy(list->title, title ? title : "", len + 1);
	return true;
}

static bool times_read(const struct api *api, struct control_call *call,
		       const struct api_make_bootstrap_in *in, struct bootstrap_list *list)
{
	int64_t day_cnt = in->has_days ? in->days : DAYS_DEFAULT;

	if (day_cnt < 1 || day_cnt > DAYS_MAX) {
		control_fail(call, WEFT_EMALFORMED, "days", "a list lasts 1 to 400 days",
			     "for example: --days 90");
		return false;
	}
	/* The moment is a number that only grows, as long as the clock does. */
	list->made_s = list->serial = wall_s(api);
	if (in->above > 0 && (uint64_t)in->above >= list->serial)
		list->serial = (uint64_t)in->above + 1;
	list->expires_s = list->made_s + (uint64_t)day_cnt * DAY_S;
	return true;
}

void api_make_bootstrap(struct api *api, struct control_call *call,
			const struct api_make_bootstrap_in *in, uint64_t now_ns)
{
	struct bootstrap_list list;
	uint8_t bytes[BOOTSTRAP_LEN_MAX];
	char text[BOOTSTRAP_TEXT_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	memset(&list, 0, sizeof(list));
	if (!entries_read(call, &in->entries, &list) || !title_read(call, in->title, &list) ||
	    !times_read(api, call, in, &list))
		return;
	locate_bootstrap_list_write(&w, api->key, &list);
	if (w.bad) {
		control_fail(call, WEFT_ETOOLARGE, WHAT, "more than 4,096 bytes",
			     "name fewer nodes");
		return;
	}
	api_reply(call, make_bootstrap,
		  .list = locate_bootstrap_text_write(bytes, writer_len(&w), text),
		  .bootstrap = bootstrap_of(control_blocks(call), api, &list));
}

/* --- reading --- */

bool api_bootstrap_read(struct control_call *call, const char *text,
			uint8_t bytes[static BOOTSTRAP_LEN_MAX], size_t *out_len,
			struct bootstrap_list *out_list)
{
	int err = locate_bootstrap_text_read(text, bytes, out_len);
	const char *why = "no bootstrap list: it was cut, or is something else";

	if (err == 0)
		err = locate_bootstrap_list_parse(bytes, *out_len, out_list);
	if (err == 0)
		return true;
	if (err == WEFT_ETOOLARGE)
		why = "it has more than 32 entries or 4,096 bytes";
	else if (err == WEFT_EDAMAGED)
		why = "its signature is not good: it was forged or changed";
	control_fail(call, err, WHAT, why, "ask its issuer for the list again");
	return false;
}

void api_read_bootstrap(struct api *api, struct control_call *call,
			const struct api_read_bootstrap_in *in, uint64_t now_ns)
{
	uint8_t bytes[BOOTSTRAP_LEN_MAX];
	struct bootstrap_list list;
	size_t len;

	(void)now_ns;
	if (api_bootstrap_read(call, in->list, bytes, &len, &list))
		api_reply(call, read_bootstrap,
			  .bootstrap = bootstrap_of(control_blocks(call), api, &list));
}

void api_list_bootstraps(struct api *api, struct control_call *call,
			 const struct api_list_bootstraps_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_bootstrap_list rows = {0};
	const struct bootstrap_list *list;

	(void)in, (void)now_ns;
	for (unsigned i = 0; (list = locate_bootstrap_list_at(api->locate->bootstrap, i)); i++)
		varlink_push(blocks, &rows, bootstrap_of(blocks, api, list));
	api_reply(call, list_bootstraps, .bootstraps = rows);
}

/* --- keeping --- */

static void setting_refuse(struct control_call *call, int err)
{
	const char *why = weft_err_text(err), *next = "try again";

	if (err == WEFT_EEXISTS) {
		why = "this very list is kept already";
		next = "weft bootstrap list shows it";
	} else if (err == WEFT_ESTALE) {
		why = "its serial is not above that of the list which is kept of this issuer";
		next = "ask the issuer for the newest list";
	} else if (err == WEFT_EFULL) {
		why = "lists of 8 issuers are kept already";
		next = "weft bootstrap remove ISSUER makes room";
	} else if (err == WEFT_EABSENT) {
		why = "no list of that issuer is kept";
		next = "weft bootstrap list shows those that are";
	}
	control_fail(call, err, WHAT, why, next);
}

static bool is_trusted(const struct api *api, const struct bootstrap_list *list, const char *trust)
{
	uint8_t key[32];
	size_t len = trust ? strlen(trust) : 0;

	if (trust)
		return zbase32_parse(trust, len, key, sizeof(key)) == sizeof(key) &&
		       memcmp(key, list->issuer, sizeof(key)) == 0;
	return locate_bootstrap_list_of(api->locate->bootstrap, list->issuer) ||
	       memcmp(list->issuer, api->own_key, sizeof(list->issuer)) == 0;
}

/* False: call was failed. */
static bool may_be_added(const struct api *api, struct control_call *call,
			 const struct bootstrap_list *list, const char *trust)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(list->issuer, sizeof(list->issuer), id);
	if (!is_trusted(api, list, trust)) {
		control_fail(call, WEFT_EREFUSED, id,
			     trust ? "another node signed this list"
				   : "this node does not trust the issuer of the list",
			     "if the issuer is the one you mean: --trust and its whole id");
		return false;
	}
	if (list->expires_s <= wall_s(api)) {
		control_fail(call, WEFT_EREFUSED, id, "the list has expired",
			     "ask its issuer for a newer one");
		return false;
	}
	if (list->made_s > wall_s(api) + BOOTSTRAP_SKEW_S) {
		control_fail(call, WEFT_EREFUSED, id, "the list was made in the future",
			     "set the clock of this machine, or that of the issuer");
		return false;
	}
	return true;
}

void api_add_bootstrap(struct api *api, struct control_call *call,
		       const struct api_add_bootstrap_in *in, uint64_t now_ns)
{
	struct api_add_bootstrap_out out;
	struct api_durable_reply *waiting;
	uint8_t bytes[BOOTSTRAP_LEN_MAX];
	struct bootstrap_list list;
	size_t len;
	int err;

	(void)now_ns;
	if (!api_bootstrap_read(call, in->list, bytes, &len, &list) ||
	    !may_be_added(api, call, &list, in->trust))
		return;
	out.bootstrap = bootstrap_of(control_blocks(call), api, &list);
	waiting = api_durable_reply_new(call, WHAT, SET_AGAIN, api_add_bootstrap_out_write(&out));
	if (!waiting)
		return;
	err = locate_bootstrap_put(api->locate->bootstrap, &list, bytes, len,
				   (struct bootstrap_write){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		setting_refuse(call, err);
	}
}

void api_remove_bootstrap(struct api *api, struct control_call *call,
			  const struct api_remove_bootstrap_in *in, uint64_t now_ns)
{
	struct api_remove_bootstrap_out out = {0};
	const struct bootstrap_list *list;
	struct api_durable_reply *waiting;
	uint8_t key[32];
	int err;

	(void)now_ns;
	if (zbase32_parse(in->issuer, strlen(in->issuer), key, sizeof(key)) != sizeof(key)) {
		control_fail(call, WEFT_EMALFORMED, in->issuer,
			     "not a node id: that has 52 letters",
			     "weft bootstrap list shows the issuers");
		return;
	}
	list = locate_bootstrap_list_of(api->locate->bootstrap, key);
	if (list)
		out.bootstrap = bootstrap_of(control_blocks(call), api, list);
	waiting =
		api_durable_reply_new(call, WHAT, SET_AGAIN, api_remove_bootstrap_out_write(&out));
	if (!waiting)
		return;
	err = locate_bootstrap_remove(api->locate->bootstrap, key,
				      (struct bootstrap_write){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		setting_refuse(call, err);
	}
}
