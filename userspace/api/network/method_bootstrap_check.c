/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CheckBootstrap: every entry of one list, or of all, is dialled, and the outcomes come
 * in one reply. Nodes of the mesh have to prove the key of their entry, those of Mainline to answer
 * a ping. Entries of one key are dialled one after the other: mesh/ would make one dial of them.
 * Home worker; a check ends with its last entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "dht/dht.h"
#include "locate/bootstrap.h"
#include "method_bootstrap.h"
#include "api/methods.h"

#define DIAL_TIMEOUT_NS (5 * NS_PER_S)
#define DIALS_MAX	8 /* under way at once */
#define CHECKS_MAX	(BOOTSTRAP_LISTS_MAX * BOOTSTRAP_ENTRIES_MAX)

struct bootstrap_check {
	struct bootstrap_check *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	struct varlink_blocks blocks;
	struct api_bootstrap_check_list checks;
	unsigned out_cnt, entry_cnt;
	struct check_entry {
		struct bootstrap_check *check;
		uint8_t issuer[32];
		struct bootstrap_entry entry;
		uint64_t began_ns;
		bool is_begun, is_out;
	} entries[CHECKS_MAX];
};

static void check_free(struct bootstrap_check *check)
{
	struct bootstrap_check **at = &check->api->bootstrap_checks;

	while (*at != check)
		at = &(*at)->next;
	*at = check->next;
	varlink_blocks_free(&check->blocks);
	free(check);
}

void api_bootstrap_checks_forget(struct api *api)
{
	struct bootstrap_check *check;

	while ((check = api->bootstrap_checks)) {
		for (unsigned i = 0; i < check->entry_cnt && api->locate->dht; i++)
			dht_ping_forget(api->locate->dht, &check->entries[i]);
		check_free(check);
	}
}

static void caller_left(void *arg)
{
	((struct bootstrap_check *)arg)->call = NULL;
}

static const char *why_of(int err)
{
	if (err == WEFT_EWRONGKEY)
		return "another node answers there";
	if (err == WEFT_EUNREACHABLE || err == WEFT_ETIMEOUT)
		return "no answer";
	if (err == WEFT_EREFUSED)
		return "it refuses sessions with this node";
	return weft_err_text(err);
}

static void check_go_on(struct bootstrap_check *check);

static void entry_tell(const struct check_entry *entry, bool has_answered, const char *why,
		       const uint8_t *actual_key)
{
	struct bootstrap_check *check = entry->check;
	struct varlink_blocks *blocks = &check->blocks;
	uint64_t now_ns = check->api->home->now_ns;
	uint64_t took_ns = now_ns > entry->began_ns ? now_ns - entry->began_ns : 0;
	char text[METHOD_BOOTSTRAP_ENTRY_CAP];

	varlink_push(blocks, &check->checks,
		     {.issuer = api_id(blocks, entry->issuer),
		      .entry = varlink_text(blocks, api_bootstrap_entry(&entry->entry, text)),
		      .answered = has_answered,
		      API_IF(matched, entry->entry.has_key, has_answered && !why),
		      .took_ms = api_uint(took_ns / NS_PER_MS),
		      .why = why,
		      .actual_key = actual_key ? api_id(blocks, actual_key) : NULL});
}

static void entry_dialled(void *arg, int err, const uint8_t *actual_key)
{
	struct check_entry *entry = arg;
	struct bootstrap_check *check = entry->check;

	entry_tell(entry, err == 0 || err == WEFT_EWRONGKEY || err == WEFT_EREFUSED,
		   err < 0 ? why_of(err) : NULL, err == WEFT_EWRONGKEY ? actual_key : NULL);
	entry->is_out = false;
	check->out_cnt--;
	check_go_on(check);
}

/* A node that is silent at this address may have been found at another. */
static void entry_connected(void *arg, int err, const uint8_t *actual_key)
{
	const struct check_entry *entry = arg;
	struct mesh_peer_info peer;
	char id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(entry->entry.key, sizeof(entry->entry.key), id);
	if (err == 0 && api_peer_lookup(entry->check->api, id, &peer) == 1 && peer.is_connected &&
	    !addr_equal(&peer.conn.remote, &entry->entry.addr))
		err = WEFT_EUNREACHABLE;
	entry_dialled(arg, err, actual_key);
}

static void entry_pinged(void *arg, int err, uint64_t took_ns)
{
	(void)took_ns;
	entry_dialled(arg, err, NULL);
}

/* False: its outcome is known already. */
static bool entry_begin(struct check_entry *entry)
{
	struct api *api = entry->check->api;
	struct mesh_peer peer = {.addrs = &entry->entry.addr, .addr_cnt = 1, .is_wanted = true};
	int err;

	entry->began_ns = api->home->now_ns;
	if (!entry->entry.has_key && !api->locate->dht) {
		entry_tell(entry, false, "the DHT is off here", NULL);
		return false;
	}
	memcpy(peer.key, entry->entry.key, sizeof(peer.key));
	if (entry->entry.has_key && memcmp(peer.key, api->own_key, sizeof(peer.key)) == 0) {
		entry_tell(entry, true, NULL, NULL);
		return false;
	}
	err = entry->entry.has_key
		      ? mesh_connect(api->home->mesh,
				     &(struct mesh_connect){.peer = &peer,
							    .timeout_ns = DIAL_TIMEOUT_NS,
							    .done = entry_connected,
							    .arg = entry},
				     entry->began_ns)
		      : dht_ping(api->locate->dht, &entry->entry.addr, entry_pinged, entry,
				 entry->began_ns);
	if (err < 0)
		entry_tell(entry, false, why_of(err), NULL);
	return err == 0;
}

static bool may_begin(const struct bootstrap_check *check, const struct check_entry *entry)
{
	for (unsigned i = 0; i < check->entry_cnt; i++) {
		const struct check_entry *other = &check->entries[i];

		if (other->is_out && other->entry.has_key && entry->entry.has_key &&
		    memcmp(other->entry.key, entry->entry.key, sizeof(entry->entry.key)) == 0)
			return false;
	}
	return !entry->is_begun;
}

static void check_go_on(struct bootstrap_check *check)
{
	for (unsigned i = 0; i < check->entry_cnt && check->out_cnt < DIALS_MAX; i++) {
		struct check_entry *entry = &check->entries[i];

		if (!may_begin(check, entry))
			continue;
		entry->is_begun = true;
		entry->is_out = entry_begin(entry);
		check->out_cnt += entry->is_out;
	}
	if (check->out_cnt)
		return;
	if (check->call) {
		control_on_gone(check->call, NULL, NULL);
		api_reply(check->call, check_bootstrap, .checks = check->checks);
	}
	check_free(check);
}

static void check_add(struct bootstrap_check *check, const struct bootstrap_list *list)
{
	for (unsigned i = 0; i < list->entry_cnt && check->entry_cnt < CHECKS_MAX; i++) {
		struct check_entry *entry = &check->entries[check->entry_cnt++];

		entry->check = check;
		entry->entry = list->entries[i];
		memcpy(entry->issuer, list->issuer, sizeof(entry->issuer));
	}
}

void api_check_bootstrap(struct api *api, struct control_call *call,
			 const struct api_check_bootstrap_in *in, uint64_t now_ns)
{
	const struct bootstrap_list *kept;
	struct bootstrap_check *check;
	uint8_t bytes[BOOTSTRAP_LEN_MAX];
	struct bootstrap_list list;
	size_t len;

	(void)now_ns;
	if (in->list && !api_bootstrap_read(call, in->list, bytes, &len, &list))
		return;
	check = calloc(1, sizeof(*check));
	if (!check) {
		control_fail(call, -ENOMEM, "check", "no memory", "free some and try again");
		return;
	}
	check->api = api;
	check->call = call;
	check->next = api->bootstrap_checks;
	api->bootstrap_checks = check;
	if (in->list)
		check_add(check, &list);
	for (unsigned i = 0;
	     !in->list && (kept = locate_bootstrap_list_at(api->locate->bootstrap, i)); i++)
		check_add(check, kept);
	control_on_gone(call, caller_left, check);
	check_go_on(check);
}
