/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LookupDht, GetDhtItem, PutDhtItem, FindDhtPeers, AnnounceDht: what others
 * on the Mainline DHT are asked. Home worker; a search ends with its
 * caller. An item or announce that is kept goes on after it, until
 * the daemon ends or it is put anew.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/bencode.h"
#include "codec/text/hex.h"
#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "dht/dht.h"
#include "dht/items/item.h"
#include "api/methods.h"
#include "locate/address_record.h"
#include "social/social.h"

struct dht_run {
	struct dht_run *next;
	struct api *api;
	struct control_call *call;
	dht_handle handle;
	json_t *(*reply)(const struct dht_run *run, const struct api_dht_outcome *outcome);
	struct varlink_blocks blocks; /* of what was found */
	struct api_dht_contact_list nodes;
	struct api_string_list peers;
	const struct api_dht_item *item;
	const struct api_address_record *record;
	bool is_list;  /* none found is an answer, too */
	bool is_write; /* what is found was ours before */
	uint8_t key[NODE_KEY_LEN];
	uint8_t salt[DHT_SALT_LEN_MAX];
	size_t salt_len;
};

static void run_free(struct dht_run *run)
{
	struct dht_run **at = &run->api->dht_runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
	varlink_blocks_free(&run->blocks);
	free(run);
}

void api_dht_runs_forget(struct api *api)
{
	while (api->dht_runs)
		run_free(api->dht_runs);
}

static void run_caller_left(void *arg)
{
	struct dht_run *run = arg;

	dht_leave(run->api->locate->dht, run->handle);
	run_free(run);
}

static struct api_dht_outcome outcome_of(const struct dht_outcome *outcome)
{
	struct api_dht_outcome row = {
		.asked = outcome->asked_cnt,
		.answered = outcome->answered_cnt,
		.stored = outcome->stored_cnt,
		.holders = outcome->holder_cnt,
		.took_us = api_uint((outcome->ended_ns - outcome->began_ns) / NS_PER_US),
	};

	if (outcome->seq_max >= 0)
		API_SET(&row, seq_max, outcome->seq_max);
	return row;
}

static json_t *lookup_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_lookup_dht_out out = {
		.has_nodes = true, .nodes = run->nodes, .outcome = outcome};

	return api_lookup_dht_out_write(&out);
}

static json_t *get_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_get_dht_item_out out = {.item = run->item, .outcome = outcome};

	return api_get_dht_item_out_write(&out);
}

static json_t *put_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_put_dht_item_out out = {.item = *run->item, .outcome = *outcome};

	return api_put_dht_item_out_write(&out);
}

static json_t *peers_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_find_dht_peers_out out = {.peers = run->peers, .outcome = *outcome};

	return api_find_dht_peers_out_write(&out);
}

static json_t *announce_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_announce_dht_out out = {.outcome = *outcome};

	(void)run;
	return api_announce_dht_out_write(&out);
}

static json_t *route_reply(const struct dht_run *run, const struct api_dht_outcome *outcome)
{
	const struct api_find_route_out out = {.record = run->record, .outcome = outcome};

	return api_find_route_out_write(&out);
}

static void run_fail(struct dht_run *run, const struct dht_outcome *outcome)
{
	const struct api_dht_outcome row = outcome_of(outcome);
	char why[128];
	const char *next = "weft dht status shows the known nodes";

	switch (outcome->err) {
	case WEFT_EABSENT:
		snprintf(why, sizeof(why),
			 "none of the %u nodes nearest to it that answered has it",
			 outcome->answered_cnt);
		next = "nodes forget what is not put again for two hours";
		break;
	case WEFT_EUNREACHABLE:
		snprintf(why, sizeof(why), "none of %u nodes answered", outcome->asked_cnt);
		next = "check that this machine may send UDP, and dht.bootstrap in weft.conf";
		break;
	case WEFT_EREFUSED:
		snprintf(why, sizeof(why), "none of the %u nodes nearest to it took it",
			 outcome->answered_cnt);
		next = "with --cas: another sequence number may be there, see weft dht get KEY";
		break;
	case WEFT_ESTALE:
		snprintf(why, sizeof(why), "it is there under a higher sequence number, %lld",
			 (long long)outcome->seq_max);
		next = "the same key is used elsewhere; put once more to get above it";
		break;
	default:
		snprintf(why, sizeof(why), "%s", weft_err_text(outcome->err));
	}
	control_fail_with(run->call, outcome->err,
			  &(struct api_failure){
				  .what = "the DHT", .why = why, .next = next, .outcome = &row});
}

static void run_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct dht_run *run = ctx;
	const struct api_dht_outcome row = outcome_of(outcome);
	bool has_found = run->is_list || run->item || run->record;

	control_on_gone(run->call, NULL, NULL);
	dht_leave(run->api->locate->dht, run->handle);
	if (outcome->err < 0 && (run->is_write || !has_found))
		run_fail(run, outcome);
	else if (run->reply == route_reply && !run->record)
		control_fail_with(
			run->call, WEFT_EABSENT,
			&(struct api_failure){
				.what = "its record",
				.why = "it is there and names no address that this node may use",
				.next = "addresses of a private network count where dht.private = "
					"yes",
				.outcome = &row});
	else
		control_reply(run->call, run->reply(run, &row));
	run_free(run);
}

static const char *const step_names[] = {
	[KAD_STEP_ASKED] = "asked",
	[KAD_STEP_ANSWERED] = "answered",
	[KAD_STEP_SLOW] = "slow",
	[KAD_STEP_FAILED] = "silent",
};

static void run_step(void *ctx, const struct kad_step *step)
{
	struct dht_run *run = ctx;
	struct varlink_blocks *blocks = control_blocks(run->call);
	struct api_dht_step row = {
		.what = step_names[step->kind],
		.place = step->slot,
		.id = api_kad_id(blocks, &step->contact->id),
		.address = api_addr(blocks, &step->contact->addr),
		.common_bits = step->common_bits,
		.told_of = step->told_cnt,
		.after_us = api_uint(step->after_ns / NS_PER_US),
	};

	if (step->teller != KAD_NO_SLOT)
		API_SET(&row, told_by, step->teller);
	/* Replies of all searches have it under the same name. */
	control_reply_more(run->call,
			   api_lookup_dht_out_write(&(struct api_lookup_dht_out){.step = &row}));
}

static void run_nodes(void *ctx, const struct kad_contact *contacts, unsigned cnt)
{
	struct dht_run *run = ctx;

	for (unsigned i = 0; i < cnt; i++)
		varlink_push(&run->blocks, &run->nodes,
			     {.id = api_kad_id(&run->blocks, &contacts[i].id),
			      .address = api_addr(&run->blocks, &contacts[i].addr),
			      .proven_id = contacts[i].is_proven});
}

static void run_peers(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct dht_run *run = ctx;

	for (unsigned i = 0; i < cnt; i++)
		varlink_push(&run->blocks, &run->peers, api_addr(&run->blocks, &addrs[i]));
}

/* The bytes of a value that is a string; data is NULL for others. */
static struct bencode_span value_text(const struct dht_item *item)
{
	struct bencode_reader r;
	struct bencode_span text;

	bencode_reader_init(&r, item->value, item->value_len);
	text = bencode_read_bytes(&r);
	return bencode_reader_finish(&r) == 0 ? text : (struct bencode_span){0};
}

/* Without its NUL, or NULL. */
static char *bytes_copy(struct varlink_blocks *blocks, const void *data, size_t len)
{
	char *copy = varlink_alloc(blocks, len + 1);

	return copy ? memcpy(copy, data, len) : NULL;
}

/* A byte string that is text is shown as such; anything also as it lies there. */
static void run_item(void *ctx, const struct dht_item *item)
{
	struct dht_run *run = ctx;
	char hex[HEX_TEXT_CAP(DHT_VALUE_LEN_MAX)];
	struct bencode_span text = value_text(item);
	struct api_dht_item *row = varlink_alloc(&run->blocks, sizeof(*row));
	struct kad_id target;

	if (!row)
		return;
	dht_item_target(item, &target);
	row->target = api_kad_id(&run->blocks, &target);
	row->value_hex = varlink_text(&run->blocks, hex_write(item->value, item->value_len, hex));
	/* Readers of JSON take no NUL, and would drop the whole answer. */
	if (text.data && utf8_is_valid((const char *)text.data, text.len) &&
	    !memchr(text.data, '\0', text.len))
		row->text = bytes_copy(&run->blocks, text.data, text.len);
	if (item->key) {
		row->key = api_id(&run->blocks, item->key);
		API_SET(row, seq, item->seq);
	}
	run->item = row;
}

/* NULL: call was failed. */
static struct dht_run *run_new(struct api *api, struct control_call *call,
			       json_t *(*reply)(const struct dht_run *run,
						const struct api_dht_outcome *outcome))
{
	struct dht_run *run = calloc(1, sizeof(*run));

	if (!run) {
		control_fail(call, -ENOMEM, "the DHT", "no memory", "free some and try again");
		return NULL;
	}
	run->api = api;
	run->call = call;
	run->reply = reply;
	run->next = api->dht_runs;
	api->dht_runs = run;
	return run;
}

static void run_begun(struct dht_run *run, dht_handle handle)
{
	struct api *api = run->api;
	struct dht_stats stats;

	run->handle = handle;
	if (handle) {
		control_on_gone(run->call, run_caller_left, run);
		return;
	}
	dht_stats(api->locate->dht, api->home->now_ns, &stats);
	if (stats.lookup_cnt >= api->config->mainline.dht.lookup_cap)
		control_fail(run->call, WEFT_EFULL, "the DHT", "too many searches are under way",
			     "wait for one to end, or raise dht.lookup_cap in weft.conf");
	else
		control_fail(run->call, WEFT_EUNREACHABLE, "the DHT", "no node is known to ask",
			     "weft dht status shows the known nodes; dht.bootstrap in weft.conf is "
			     "the way in");
	run_free(run);
}

/* 40 hexadecimal letters. False: call was failed. */
static bool target_read(struct control_call *call, const char *text, struct kad_id *out_target)
{
	if (hex_read(text, out_target->bytes, sizeof(out_target->bytes)))
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "not 40 hexadecimal letters",
		     "ids, targets and info-hashes of the DHT are written like "
		     "e5f96f6f38320f0f33959cb4d3d656452117aadb");
	return false;
}

/* text NULL: ipv4. False: call was failed. */
static bool network_read(struct control_call *call, const char *text, enum dht_net *out_net)
{
	*out_net = text && strcmp(text, "ipv6") == 0 ? DHT_NET_IPV6 : DHT_NET_IPV4;
	if (!text || *out_net == DHT_NET_IPV6 || strcmp(text, "ipv4") == 0)
		return true;
	control_fail(call, WEFT_EMALFORMED, "network", "neither ipv4 nor ipv6",
		     "name one of them, or none for ipv4");
	return false;
}

void api_lookup_dht(struct api *api, struct control_call *call, const struct api_lookup_dht_in *in,
		    uint64_t now_ns)
{
	struct dht_asker asker = {.nodes = run_nodes, .ended = run_ended};
	enum dht_net net;
	struct dht_run *run;
	struct kad_id target;

	if (!api_dht_is_on(api, call) || !network_read(call, in->network, &net) ||
	    !target_read(call, in->target, &target) || !(run = run_new(api, call, lookup_reply)))
		return;
	run->is_list = true;
	asker.ctx = run;
	if (control_wants_more(call))
		asker.step = run_step;
	run_begun(run, dht_lookup(api->locate->dht, net, &target, &asker, now_ns));
}

/* key: a node's id or 64 hexadecimal letters. False: call was failed. */
static bool key_read(struct control_call *call, const char *text, uint8_t key[static NODE_KEY_LEN])
{
	if (hex_read(text, key, NODE_KEY_LEN) ||
	    zbase32_parse(text, strlen(text), key, NODE_KEY_LEN) == NODE_KEY_LEN)
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "neither a target nor a key",
		     "a target has 40 hexadecimal letters; a key has 64, or 52 as a node's id");
	return false;
}

/* No DHT is asked for what a person of this node follows. False: call was failed. */
static bool key_may_go(const struct api *api, struct control_call *call, const char *name,
		       const uint8_t key[static NODE_KEY_LEN])
{
	if (!social_is_unsought(api->social, key))
		return true;
	control_fail(call, WEFT_EREFUSED, name,
		     "a person here follows it, or it is an anchor, and no DHT is to hear that",
		     "weft social reach NODE asks its anchors and contacts");
	return false;
}

/* salt may be NULL. False: call was failed. */
static bool salt_read(struct control_call *call, const char *salt, struct dht_run *run)
{
	size_t len = salt ? strlen(salt) : 0;

	if (len > DHT_SALT_LEN_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "salt", "longer than 64 bytes",
			     "BEP 44 allows no longer one");
		return false;
	}
	run->salt_len = len;
	if (len)
		memcpy(run->salt, salt, len);
	return true;
}

void api_get_dht_item(struct api *api, struct control_call *call,
		      const struct api_get_dht_item_in *in, uint64_t now_ns)
{
	struct dht_get_params get = {.is_survey = in->survey};
	struct dht_asker asker = {.item = run_item, .ended = run_ended};
	struct dht_run *run;

	if (!api_dht_is_on(api, call) || !(run = run_new(api, call, get_reply)))
		return;
	if (!hex_read(in->key, get.target.bytes, sizeof(get.target.bytes))) {
		if (!key_read(call, in->key, run->key) ||
		    !key_may_go(api, call, in->key, run->key) || !salt_read(call, in->salt, run)) {
			run_free(run);
			return;
		}
		get.key = run->key;
		get.salt = run->salt;
		get.salt_len = run->salt_len;
		dht_item_target_of_key(run->key, run->salt, run->salt_len, &get.target);
	}
	asker.ctx = run;
	if (control_wants_more(call))
		asker.step = run_step;
	run_begun(run, dht_get(api->locate->dht, &get, &asker, now_ns));
}

static void run_record(void *ctx, const struct dht_item *item)
{
	struct dht_run *run = ctx;
	struct pkarr_packet packet;
	struct pkarr_record record;

	if (dht_pkarr_packet_of_item(item, &packet) < 0 ||
	    dht_pkarr_record_read(&packet, run->api->config->publish.policy.allows_private,
				  &record) < 0)
		return;
	run->record = api_record(&run->blocks, run->key, &record, &packet);
}

void api_find_route(struct api *api, struct control_call *call, const struct api_find_route_in *in,
		    uint64_t now_ns)
{
	struct dht_get_params get = {0};
	struct dht_asker asker = {.item = run_record, .ended = run_ended};
	struct dht_run *run;

	if (!api_dht_is_on(api, call) || !(run = run_new(api, call, route_reply)))
		return;
	if (!api_node_id_read(api, call, in->node_id, run->key) ||
	    !key_may_go(api, call, in->node_id, run->key)) {
		run_free(run);
		return;
	}
	get.key = run->key;
	dht_item_target_of_key(run->key, NULL, 0, &get.target);
	asker.ctx = run;
	if (control_wants_more(call))
		asker.step = run_step;
	run_begun(run, dht_get(api->locate->dht, &get, &asker, now_ns));
}

void api_find_dht_peers(struct api *api, struct control_call *call,
			const struct api_find_dht_peers_in *in, uint64_t now_ns)
{
	struct dht_asker asker = {.peers = run_peers, .ended = run_ended};
	struct dht_run *run;
	struct kad_id hash;

	if (!api_dht_is_on(api, call) || !target_read(call, in->info_hash, &hash) ||
	    !(run = run_new(api, call, peers_reply)))
		return;
	run->is_list = true;
	asker.ctx = run;
	run_begun(run, dht_peers(api->locate->dht, &hash, &asker, now_ns));
}

void api_announce_dht(struct api *api, struct control_call *call,
		      const struct api_announce_dht_in *in, uint64_t now_ns)
{
	struct dht_announce_params announce = {0};
	struct dht_asker asker = {.ended = run_ended};
	struct dht_run *run;

	if (!api_dht_is_on(api, call) || !target_read(call, in->info_hash, &announce.info_hash))
		return;
	if (in->port < 0 || in->port > UINT16_MAX) {
		control_fail(
			call, WEFT_EMALFORMED, "port", "not 1 to 65535",
			"without a port, the source port of this node's datagrams is announced");
		return;
	}
	announce.port = (uint16_t)in->port;
	run = run_new(api, call, announce_reply);
	if (!run)
		return;
	asker.ctx = run;
	run_begun(run, dht_announce(api->locate->dht, &announce, &asker, now_ns));
}

/* Text becomes a byte string. NULL: call was failed. */
static uint8_t *value_make(struct control_call *call, const char *text, size_t *out_len)
{
	size_t len = strlen(text), cap = len + 24;
	uint8_t *value = malloc(cap);
	struct writer w = writer_of(value, value ? cap : 0);

	bencode_write_bytes(&w, text, len);
	if (!w.bad && writer_len(&w) <= DHT_VALUE_LEN_MAX) {
		*out_len = writer_len(&w);
		return value;
	}
	control_fail(call, WEFT_ETOOLARGE, "text", "longer than 996 bytes",
		     "an item of the DHT has at most 1000 bytes with its length (BEP 44)");
	free(value);
	return NULL;
}

void api_put_dht_item(struct api *api, struct control_call *call,
		      const struct api_put_dht_item_in *in, uint64_t now_ns)
{
	struct dht_item item = {0};
	struct dht_put_params put = {
		.item = &item, .has_cas = in->has_cas, .cas = in->cas, .is_kept = in->keep};
	struct dht_asker asker = {.ended = run_ended};
	uint8_t sig[NODE_KEY_SIG_LEN];
	struct dht_run *run;
	uint8_t *value;

	if (!api_dht_is_on(api, call) || !(value = value_make(call, in->text, &item.value_len)))
		return;
	item.value = value;
	run = run_new(api, call, put_reply);
	if (!run || !salt_read(call, in->salt, run)) {
		if (run)
			run_free(run);
		free(value);
		return;
	}
	/* Without a salt the key's own place is its address record: method_publish.c. */
	if (run->salt_len) {
		item.salt = run->salt;
		item.salt_len = run->salt_len;
		item.seq = (int64_t)locate_publish_next_seq(api->locate->publish);
		dht_item_sign(&item, api->key, sig);
		item.key = api->own_key;
		item.sig = sig;
	}
	run_item(run, &item);
	run->is_write = true;
	asker.ctx = run;
	if (run->item) {
		run_begun(run, dht_put(api->locate->dht, &put, &asker, now_ns));
	} else {
		control_fail(call, -ENOMEM, "the DHT", "no memory", "free some and try again");
		run_free(run);
	}
	free(value);
}
