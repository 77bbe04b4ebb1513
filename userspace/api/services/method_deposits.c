/* SPDX-License-Identifier: Apache-2.0 */
/* ListDeposits, ShowDeposits. */
#include "api/methods.h"
#include "codec/text/hex.h"

#define LIST_MAX 500u

static struct deposits *api_deposits(struct api *api, struct control_call *call)
{
	if (!api->deposits)
		control_fail(call, WEFT_EREFUSED, "deposits", "they are switched off",
			     "set deposits.enabled = yes in weft.conf and start weftd again");
	return api->deposits;
}

struct listing {
	struct varlink_blocks *blocks;
	struct api_deposit_list list;
	uint32_t more;
};

static void on_out(void *arg, const struct deposit_progress *progress, unsigned try_cnt)
{
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;
	char id[2 * DEPOSIT_ID_LEN + 1];

	if (listing->list.cnt == LIST_MAX) {
		listing->more++;
		return;
	}
	hex_write(progress->id, DEPOSIT_ID_LEN, id);
	varlink_push(blocks, &listing->list,
		     ((struct api_deposit){
			     .deposit_id = varlink_text(blocks, id),
			     .recipient = api_id(blocks, progress->recipient),
			     .store = api_id(blocks, progress->store),
			     .state = progress->state == DEPOSIT_KEPT ? API_DEPOSIT_STATE_KEPT
								      : API_DEPOSIT_STATE_WAITING,
			     .tries = try_cnt,
			     .expires_s = (int64_t)progress->expires_s,
			     .why = progress->why,
		     }));
}

void api_list_deposits(struct api *api, struct control_call *call,
		       const struct api_list_deposits_in *in, uint64_t now_ns)
{
	struct deposits *deposits = api_deposits(api, call);
	struct listing listing = {.blocks = control_blocks(call)};

	(void)in, (void)now_ns;
	if (!deposits)
		return;
	deposits_each_out(deposits, on_out, &listing);
	api_reply(call, list_deposits, .deposits = listing.list, .more = listing.more);
}

void api_show_deposits(struct api *api, struct control_call *call,
		       const struct api_show_deposits_in *in, uint64_t now_ns)
{
	struct deposits *deposits = api_deposits(api, call);
	struct deposits_stats stats;

	(void)in, (void)now_ns;
	if (!deposits)
		return;
	deposits_stats(deposits, &stats);
	api_reply(call, show_deposits,
		  .room = {
			  .store_node = (deposits_is_store(deposits)),
			  .room_bytes = (int64_t)stats.unit_cap * DEPOSIT_UNIT_LEN,
			  .used_bytes = (int64_t)stats.unit_cnt * DEPOSIT_UNIT_LEN,
			  .kept = stats.held_cnt,
			  .marks = stats.tombstone_cnt,
			  .refused = (int64_t)stats.refused_cnt,
			  .evicted = (int64_t)stats.evicted_cnt,
			  .out = stats.out_cnt,
			  .arrived = (int64_t)stats.arrived_cnt,
			  .lost = (int64_t)stats.lost_cnt,
			  .taken = (int64_t)stats.delivered_cnt,
		  });
}
