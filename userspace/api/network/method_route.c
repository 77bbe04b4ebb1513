/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowPublished, PublishRoute: the record that any node may look up by
 * our key.
 */
#include <errno.h>
#include <stdlib.h>

#include "codec/text/zbase32.h"
#include "api/methods.h"
#include "locate/address_record.h"

const struct api_address_record *api_record(struct varlink_blocks *blocks, const uint8_t *key,
					    const struct pkarr_record *record,
					    const struct pkarr_packet *packet)
{
	struct api_address_record *row = varlink_alloc(blocks, sizeof(*row));

	if (!row)
		return NULL;
	row->node_id = api_id(blocks, key);
	for (unsigned i = 0; i < record->addr_cnt; i++)
		varlink_push(blocks, &row->addresses, api_addr(blocks, &record->addrs[i]));
	for (unsigned i = 0; i < record->relay_cnt; i++)
		varlink_push(blocks, &row->relays, varlink_text(blocks, record->relays[i]));
	for (unsigned i = 0; i < record->via_cnt; i++)
		varlink_push(blocks, &row->relays,
			     varlink_format(blocks, "%s@%s", api_id(blocks, record->vias[i].key),
					    api_addr(blocks, &record->vias[i].addr)));
	if (record->caps)
		API_SET(row, capabilities, record->caps);
	if (packet) {
		row->bytes = api_uint(packet->value_len - packet->dns_off);
		API_SET(row, record_s, api_uint(packet->seq / 1000000));
	}
	return row;
}

static const char *skipped_text(const struct api *api, int err)
{
	if (!locate_publish_has_place(api->locate->publish))
		return "the DHT is switched off (dht.enabled), and pkarr.relays is empty";
	if (err == WEFT_EREFUSED)
		return "dht.publish is off";
	if (api->config->publish.policy.publish == PKARR_RELAY_ONLY)
		return "dht.publish is relay-only, and this node has no relay; direct publishes "
		       "its own addresses";
	return "no address that means this node everywhere is known yet";
}

static void published_reply(const struct api *api, struct control_call *call)
{
	struct api_show_published_out out = {.record = {0}};
	const struct api_address_record *record;
	struct publish_state state;
	bool is_out;

	locate_publish_state(api->locate->publish, &state);
	is_out = state.err >= 0 && locate_publish_has_place(api->locate->publish);
	record = api_record(control_blocks(call), api->own_key, &state.record,
			    is_out ? state.packet : NULL);
	if (record)
		out.record = *record;
	if (is_out)
		API_SET(&out.record, nodes, state.stored_cnt);
	else
		out.record.skipped = skipped_text(api, state.err);
	control_reply(call, api_show_published_out_write(&out));
}

void api_show_published(struct api *api, struct control_call *call,
			const struct api_show_published_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	published_reply(api, call);
}

/* A call that waits for a record to be out. */
struct publish_call {
	struct api *api;
	struct control_call *call;
};

static void publish_caller_left(void *arg)
{
	struct publish_call *waiting = arg;

	locate_publish_forget(waiting->api->locate->publish, waiting);
	free(waiting);
}

static void published(void *arg, int err)
{
	struct publish_call *waiting = arg;

	control_on_gone(waiting->call, NULL, NULL);
	if (err < 0)
		control_fail(waiting->call, err, "the address record",
			     err == WEFT_EUNREACHABLE ? "no node is known to put it to"
						      : weft_err_text(err),
			     "it is tried again; weft dht status shows the known nodes");
	else
		published_reply(waiting->api, waiting->call);
	free(waiting);
}

void api_publish_route(struct api *api, struct control_call *call,
		       const struct api_publish_route_in *in, uint64_t now_ns)
{
	struct publish_call *waiting;
	int err = -ENOMEM;

	(void)in;
	if (!api_dht_is_on(api, call))
		return;
	waiting = malloc(sizeof(*waiting));
	if (waiting) {
		*waiting = (struct publish_call){api, call};
		err = locate_publish_now(api->locate->publish, published, waiting, now_ns);
	}
	if (err == 0) {
		control_on_gone(call, publish_caller_left, waiting);
		return;
	}
	free(waiting);
	if (err == WEFT_EREFUSED || err == WEFT_EABSENT)
		control_fail(call, err, "the address record", skipped_text(api, err),
			     "set dht.publish = direct in weft.conf to publish addresses");
	else
		control_fail(call, err, "the address record", weft_err_text(err), "try again");
}
