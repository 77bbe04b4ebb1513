/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowPublished, PublishRoute: what everybody may learn by our key.
 */
#include <errno.h>
#include <stdlib.h>

#include "codec/zbase32.h"
#include "node/methods/methods.h"
#include "node/discovery/publish.h"

json_t *method_json_record(const uint8_t *key, const struct pkarr_record *record)
{
	json_t *addresses = json_array(), *relays = json_array(), *json;
	char text[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < record->addr_cnt; i++)
		json_array_append_new(addresses, json_string(addr_format(&record->addrs[i], text)));
	for (unsigned i = 0; i < record->relay_cnt; i++)
		json_array_append_new(relays, json_string(record->relays[i]));
	json = json_pack("{s:o, s:o, s:o, s:i}", "node_id", method_json_id(key), "addresses",
			 addresses, "relays", relays, "bytes", 0);
	if (record->caps)
		json_object_set_new(json, "capabilities", json_integer(record->caps));
	return json;
}

void method_json_record_packet(json_t *json, const struct pkarr_packet *packet)
{
	json_object_set_new(json, "bytes", json_integer(packet->value_len - packet->dns_off));
	json_object_set_new(json, "record_s", method_json_uint(packet->seq / 1000000));
}

static const char *skipped_text(const struct node *node, int err)
{
	if (!publish_has_place(node->publish))
		return "the DHT is switched off (dht.enabled), and pkarr.relays names nobody";
	if (err == WEFT_EREFUSED)
		return "dht.publish is off";
	if (node->config->publish.policy.publish == PKARR_RELAY_ONLY)
		return "dht.publish is relay-only, and this node has no relay; direct publishes "
		       "its own addresses";
	return "no address that means this node everywhere is known yet";
}

static json_t *json_published(const struct node *node)
{
	struct publish_state state;
	json_t *json;

	publish_state(node->publish, &state);
	json = method_json_record(node->own_key, &state.record);
	if (state.err < 0 || !publish_has_place(node->publish)) {
		json_object_set_new(json, "skipped", json_string(skipped_text(node, state.err)));
		return json_pack("{s:o}", "record", json);
	}
	if (state.packet)
		method_json_record_packet(json, state.packet);
	json_object_set_new(json, "nodes", json_integer(state.stored_cnt));
	return json_pack("{s:o}", "record", json);
}

void method_show_published(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	control_reply(call, json_published(ctx));
}

/* Who waits for a record to be out. */
struct publish_call {
	struct node *node;
	struct control_call *call;
};

static void publish_caller_left(void *arg)
{
	struct publish_call *waiting = arg;

	publish_forget(waiting->node->publish, waiting);
	free(waiting);
}

static void published(void *arg, int err)
{
	struct publish_call *waiting = arg;

	control_on_gone(waiting->call, NULL, NULL);
	if (err < 0)
		control_fail(waiting->call, err, "the address record",
			     err == WEFT_EUNREACHABLE ? "nobody is known to put it to"
						      : weft_err_text(err),
			     "it is tried again; weft dht status shows who is known");
	else
		control_reply(waiting->call, json_published(waiting->node));
	free(waiting);
}

void method_publish_route(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	struct publish_call *waiting;
	int err = -ENOMEM;

	(void)parameters;
	if (!method_dht_is_on(node, call))
		return;
	waiting = malloc(sizeof(*waiting));
	if (waiting) {
		*waiting = (struct publish_call){node, call};
		err = publish_now(node->publish, published, waiting, now_ns);
	}
	if (err == 0) {
		control_on_gone(call, publish_caller_left, waiting);
		return;
	}
	free(waiting);
	if (err == WEFT_EREFUSED || err == WEFT_EABSENT)
		control_fail(call, err, "the address record", skipped_text(node, err),
			     "set dht.publish = direct in weft.conf to publish addresses");
	else
		control_fail(call, err, "the address record", weft_err_text(err), "try again");
}
