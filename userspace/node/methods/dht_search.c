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

#include "base/clock.h"
#include "codec/bencode.h"
#include "codec/hex.h"
#include "codec/utf8.h"
#include "codec/zbase32.h"
#include "crypto/node_key.h"
#include "dht/dht.h"
#include "dht/item.h"
#include "node/methods/methods.h"
#include "node/discovery/publish.h"

struct dht_run {
	struct dht_run *next;
	struct node *node;
	struct control_call *call;
	dht_handle handle;
	json_t *found; /* what the last reply carries beside the outcome, or NULL */
	const char *found_name;
	bool is_write; /* what is found was ours before */
	uint8_t key[NODE_KEY_LEN];
	uint8_t salt[DHT_SALT_LEN_MAX];
	size_t salt_len;
};

static void run_free(struct dht_run *run)
{
	struct dht_run **at = &run->node->dht_runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
	json_decref(run->found);
	free(run);
}

void method_dht_runs_forget(struct node *node)
{
	while (node->dht_runs)
		run_free(node->dht_runs);
}

static void run_caller_left(void *arg)
{
	struct dht_run *run = arg;

	dht_leave(run->node->home.dht, run->handle);
	run_free(run);
}

static json_t *json_outcome(const struct dht_outcome *outcome)
{
	json_t *json =
		json_pack("{s:i, s:i, s:i, s:i, s:o}", "asked", outcome->asked_cnt, "answered",
			  outcome->answered_cnt, "stored", outcome->stored_cnt, "holders",
			  outcome->holder_cnt, "took_us",
			  method_json_uint((outcome->ended_ns - outcome->began_ns) / NS_PER_US));

	if (outcome->seq_max >= 0)
		json_object_set_new(json, "seq_max", json_integer(outcome->seq_max));
	return json;
}

static void run_fail(struct dht_run *run, const struct dht_outcome *outcome)
{
	char why[128];
	const char *next = "weft dht status shows who is known";

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
	control_fail_with(run->call, outcome->err, "the DHT", why, next,
			  json_pack("{s:o}", "outcome", json_outcome(outcome)));
}

static void run_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct dht_run *run = ctx;
	json_t *reply;

	control_on_gone(run->call, NULL, NULL);
	dht_leave(run->node->home.dht, run->handle);
	if (outcome->err < 0 && (run->is_write || !run->found)) {
		run_fail(run, outcome);
	} else if (run->found_name && !run->found) {
		control_fail_with(run->call, WEFT_EABSENT, "its record",
				  "it is there and names no address that this node may use",
				  "addresses of a private network count where dht.private = yes",
				  json_pack("{s:o}", "outcome", json_outcome(outcome)));
	} else {
		reply = json_pack("{s:o}", "outcome", json_outcome(outcome));
		if (run->found)
			json_object_set(reply, run->found_name, run->found);
		control_reply(run->call, reply);
	}
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
	char addr[ADDR_TEXT_CAP];
	json_t *json;

	json = json_pack("{s:s, s:i, s:o, s:s, s:i, s:i, s:o}", "what", step_names[step->kind],
			 "place", step->slot, "id", method_json_kad_id(&step->contact->id),
			 "address", addr_format(&step->contact->addr, addr), "common_bits",
			 (int)step->common_bits, "told_of", (int)step->told_cnt, "after_us",
			 method_json_uint(step->after_ns / NS_PER_US));
	if (step->teller != KAD_NO_SLOT)
		json_object_set_new(json, "told_by", json_integer(step->teller));
	control_reply_more(run->call, json_pack("{s:o}", "step", json));
}

static void run_nodes(void *ctx, const struct kad_contact *contacts, unsigned cnt)
{
	struct dht_run *run = ctx;
	char addr[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(run->found,
				      json_pack("{s:o, s:s, s:b}", "id",
						method_json_kad_id(&contacts[i].id), "address",
						addr_format(&contacts[i].addr, addr), "proven_id",
						contacts[i].is_proven));
}

static void run_peers(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct dht_run *run = ctx;
	char addr[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(run->found, json_string(addr_format(&addrs[i], addr)));
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

/* A byte string that is text is shown as such; anything also as it lies there. */
static json_t *json_item(const struct dht_item *item)
{
	char hex[HEX_TEXT_CAP(DHT_VALUE_LEN_MAX)], key[ZBASE32_KEY_TEXT_CAP];
	struct bencode_span text;
	struct kad_id target;
	json_t *json;

	dht_item_target(item, &target);
	json = json_pack("{s:o, s:s}", "target", method_json_kad_id(&target), "value_hex",
			 hex_write(item->value, item->value_len, hex));
	text = value_text(item);
	/* Readers of JSON take no NUL, and would drop the whole answer. */
	if (text.data && utf8_is_valid((const char *)text.data, text.len) &&
	    !memchr(text.data, '\0', text.len))
		json_object_set_new(json, "text", json_stringn((const char *)text.data, text.len));
	if (item->key) {
		json_object_set_new(json, "key", json_string(zbase32_write(item->key, 32, key)));
		json_object_set_new(json, "seq", json_integer(item->seq));
	}
	return json;
}

static void run_item(void *ctx, const struct dht_item *item)
{
	struct dht_run *run = ctx;

	json_decref(run->found);
	run->found = json_item(item);
}

/* NULL: call was failed. */
static struct dht_run *run_new(struct node *node, struct control_call *call, const char *found_name,
			       json_t *found)
{
	struct dht_run *run = calloc(1, sizeof(*run));

	if (!run) {
		json_decref(found);
		control_fail(call, -ENOMEM, "the DHT", "no memory", "free some and try again");
		return NULL;
	}
	run->node = node;
	run->call = call;
	run->found_name = found_name;
	run->found = found;
	run->next = node->dht_runs;
	node->dht_runs = run;
	return run;
}

static void run_begun(struct dht_run *run, dht_handle handle)
{
	struct node *node = run->node;
	struct dht_stats stats;

	run->handle = handle;
	if (handle) {
		control_on_gone(run->call, run_caller_left, run);
		return;
	}
	dht_stats(node->home.dht, node->home.now_ns, &stats);
	if (stats.search_cnt >= node->config->mainline.dht.search_cap)
		control_fail(run->call, WEFT_EFULL, "the DHT", "too many searches are under way",
			     "wait for one to end, or raise dht.search_cap in weft.conf");
	else
		control_fail(run->call, WEFT_EUNREACHABLE, "the DHT", "nobody is known to ask",
			     "weft dht status shows who is known; dht.bootstrap in weft.conf is "
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

void method_lookup_dht(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const char *network = json_string_value(json_object_get(parameters, "network"));
	enum dht_net net;
	struct dht_asker asker = {.nodes = run_nodes, .ended = run_ended};
	struct dht_run *run;
	struct kad_id target;

	if (!method_dht_is_on(node, call) || !network_read(call, network, &net) ||
	    !target_read(call, json_string_value(json_object_get(parameters, "target")), &target) ||
	    !(run = run_new(node, call, "nodes", json_array())))
		return;
	asker.ctx = run;
	if (control_wants_more(call))
		asker.step = run_step;
	run_begun(run, dht_lookup(node->home.dht, net, &target, &asker, now_ns));
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

static bool salt_read(struct control_call *call, const json_t *parameters, struct dht_run *run)
{
	const json_t *salt = json_object_get(parameters, "salt");

	if (!json_is_string(salt))
		return true;
	if (json_string_length(salt) > DHT_SALT_LEN_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "salt", "longer than 64 bytes",
			     "BEP 44 allows no longer one");
		return false;
	}
	run->salt_len = json_string_length(salt);
	memcpy(run->salt, json_string_value(salt), run->salt_len);
	return true;
}

void method_get_dht_item(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "key"));
	struct dht_get_params get = {.is_survey =
					     json_is_true(json_object_get(parameters, "survey"))};
	struct dht_asker asker = {.item = run_item, .ended = run_ended};
	struct dht_run *run;

	if (!method_dht_is_on(node, call) || !(run = run_new(node, call, "item", NULL)))
		return;
	if (!hex_read(name, get.target.bytes, sizeof(get.target.bytes))) {
		if (!key_read(call, name, run->key) || !salt_read(call, parameters, run)) {
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
	run_begun(run, dht_get(node->home.dht, &get, &asker, now_ns));
}

static void run_record(void *ctx, const struct dht_item *item)
{
	struct dht_run *run = ctx;
	struct pkarr_packet packet;
	struct pkarr_record record;

	if (pkarr_packet_of_item(item, &packet) < 0 ||
	    pkarr_record_read(&packet, run->node->config->publish.policy.allows_private, &record) <
		    0)
		return;
	json_decref(run->found);
	run->found = method_json_record(run->key, &record);
	method_json_record_packet(run->found, &packet);
}

void method_find_route(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	struct dht_get_params get = {0};
	struct dht_asker asker = {.item = run_record, .ended = run_ended};
	struct dht_run *run;

	if (!method_dht_is_on(node, call) || !(run = run_new(node, call, "record", NULL)))
		return;
	if (!method_node_id_read(node, call, name, run->key)) {
		run_free(run);
		return;
	}
	get.key = run->key;
	dht_item_target_of_key(run->key, NULL, 0, &get.target);
	asker.ctx = run;
	if (control_wants_more(call))
		asker.step = run_step;
	run_begun(run, dht_get(node->home.dht, &get, &asker, now_ns));
}

void method_find_dht_peers(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	struct node *node = ctx;
	struct dht_asker asker = {.peers = run_peers, .ended = run_ended};
	struct dht_run *run;
	struct kad_id hash;

	if (!method_dht_is_on(node, call) ||
	    !target_read(call, json_string_value(json_object_get(parameters, "info_hash")),
			 &hash) ||
	    !(run = run_new(node, call, "peers", json_array())))
		return;
	asker.ctx = run;
	run_begun(run, dht_peers(node->home.dht, &hash, &asker, now_ns));
}

void method_announce_dht(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	json_int_t port = json_integer_value(json_object_get(parameters, "port"));
	struct dht_announce_params announce = {0};
	struct dht_asker asker = {.ended = run_ended};
	struct dht_run *run;

	if (!method_dht_is_on(node, call) ||
	    !target_read(call, json_string_value(json_object_get(parameters, "info_hash")),
			 &announce.info_hash))
		return;
	if (port < 0 || port > UINT16_MAX) {
		control_fail(
			call, WEFT_EMALFORMED, "port", "not 1 to 65535",
			"without a port, the one that this node's datagrams come from is told");
		return;
	}
	announce.port = (uint16_t)port;
	run = run_new(node, call, NULL, NULL);
	if (!run)
		return;
	asker.ctx = run;
	run_begun(run, dht_announce(node->home.dht, &announce, &asker, now_ns));
}

/* Text becomes a byte string. NULL: call was failed. */
static uint8_t *value_make(struct control_call *call, const json_t *parameters, size_t *out_len)
{
	const json_t *text = json_object_get(parameters, "text");
	size_t cap = json_string_length(text) + 24;
	uint8_t *value = malloc(cap);
	struct writer w = writer_of(value, value ? cap : 0);

	bencode_write_bytes(&w, json_string_value(text), json_string_length(text));
	if (!w.bad && writer_len(&w) <= DHT_VALUE_LEN_MAX) {
		*out_len = writer_len(&w);
		return value;
	}
	control_fail(call, WEFT_ETOOLARGE, "text", "longer than 996 bytes",
		     "an item of the DHT has at most 1000 bytes with its length (BEP 44)");
	free(value);
	return NULL;
}

void method_put_dht_item(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	const json_t *cas = json_object_get(parameters, "cas");
	struct dht_item item = {0};
	struct dht_put_params put = {
		.item = &item, .has_cas = json_is_integer(cas), .cas = json_integer_value(cas)};
	struct dht_asker asker = {.ended = run_ended};
	uint8_t sig[NODE_KEY_SIG_LEN];
	struct dht_run *run;
	uint8_t *value;

	if (!method_dht_is_on(node, call) ||
	    !(value = value_make(call, parameters, &item.value_len)))
		return;
	item.value = value;
	run = run_new(node, call, "item", NULL);
	if (!run || !salt_read(call, parameters, run)) {
		if (run)
			run_free(run);
		free(value);
		return;
	}
	/* Without a salt the key's own place is its address record: publish.c. */
	if (run->salt_len) {
		item.salt = run->salt;
		item.salt_len = run->salt_len;
		item.seq = (int64_t)publish_next_seq(node->publish);
		dht_item_sign(&item, node->key, sig);
		item.key = node->own_key;
		item.sig = sig;
	}
	run->found = json_item(&item);
	run->is_write = true;
	put.is_kept = json_is_true(json_object_get(parameters, "keep"));
	asker.ctx = run;
	run_begun(run, dht_put(node->home.dht, &put, &asker, now_ns));
	free(value);
}
