/* SPDX-License-Identifier: Apache-2.0 */
/* FollowSchemas, UnfollowSchemas, ListSchemaFiles: shares that are followed for their schemas. */
#include <string.h>

#include "api/content/method_share_target.h"
#include "api/durable_reply.h"
#include "api/methods.h"
#include "api/schema_use.h"
#include "api/services/method_offer.h"
#include "shares/follow/follow.h"

static void share_fail(struct control_call *call, int err, const char *share)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "16 shares are followed for their schemas, and no more may be",
		 "weft schema unfollow one of them"},
		{WEFT_EABSENT, "it is not followed for its schemas",
		 "weft schema files lists those that are"},
		{0, NULL, "try again in some seconds"},
	};

	control_fail_of(call, err, share, rows);
}

void api_follow_schemas(struct api *api, struct control_call *call,
			const struct api_follow_schemas_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	const struct follow *follow = offers ? api_follow_named(api, call, in->share) : NULL;
	struct schema_share_change change = {.may_replace = in->has_replace && in->replace,
					     .done = api_durable_reply_send};
	struct api_follow_schemas_out out;
	int err;

	if (!follow)
		return;
	out.share_id = api_id(control_blocks(call), follow->share_id);
	change.share_id = follow->share_id;
	change.arg = api_durable_reply_new(call, "share", "follow it again",
					   api_follow_schemas_out_write(&out));
	if (!change.arg)
		return;
	err = offers_schema_shares_follow(offers_schema_shares(offers), &change);
	if (err == 0) {
		api->read_schemas(api->ctx, follow->share_id, now_ns);
		return;
	}
	api_durable_reply_cancel(change.arg);
	share_fail(call, err, in->share);
}

void api_unfollow_schemas(struct api *api, struct control_call *call,
			  const struct api_unfollow_schemas_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	const struct follow *follow = offers ? api_follow_named(api, call, in->share) : NULL;
	struct schema_share_change change = {.done = api_durable_reply_send};
	int err;

	if (!follow || !api_schemas_of_share_check(offers, call, follow->share_id))
		return;
	change.share_id = follow->share_id;
	change.arg = api_durable_reply_new(
		call, "share", "do it again",
		api_unfollow_schemas_out_write(&(struct api_unfollow_schemas_out){0}));
	if (!change.arg)
		return;
	err = offers_schema_shares_unfollow(offers_schema_shares(offers), &change);
	if (err == 0) {
		api->read_schemas(api->ctx, follow->share_id, now_ns);
		return;
	}
	api_durable_reply_cancel(change.arg);
	share_fail(call, err, in->share);
}

/* --- files --- */

static const char *share_name(const struct api *api, struct varlink_blocks *blocks,
			      const struct schema_share *share)
{
	const struct follow *follow =
		api->follows ? shares_follow_lookup(api->follows, share->share_id) : NULL;

	return follow && *follow->name ? varlink_text(blocks, follow->name)
				       : api_id(blocks, share->share_id);
}

static const char *why_text(struct varlink_blocks *blocks, const struct schema_fault *fault)
{
	if (fault->line)
		return varlink_format(blocks, "line %u: %s%s%s", fault->line, fault->field,
				      *fault->field ? ": " : "", fault->what);
	return varlink_format(blocks, "%s%s%s", fault->field, *fault->field ? ": " : "",
			      fault->what);
}

static void files_push(const struct api *api, struct varlink_blocks *blocks,
		       const struct schema_share *share, struct api_schema_file_list *list)
{
	struct api_schema_file row = {.share = share_name(api, blocks, share),
				      .revision = api_uint(share->revision),
				      .used = true,
				      .why = ""};

	for (unsigned i = 0; i < share->used_cnt; i++) {
		row.file = varlink_format(blocks, "%s.ini", share->used[i]);
		varlink_push(blocks, list, row);
	}
	row.used = false;
	for (unsigned i = 0; i < share->refusal_cnt; i++) {
		const struct schema_refusal *refusal = &share->refusals[i];

		row.file = *refusal->name ? varlink_format(blocks, "%s.ini", refusal->name) : NULL;
		row.why = why_text(blocks, &refusal->fault);
		varlink_push(blocks, list, row);
	}
	if (share->used_cnt || share->refusal_cnt)
		return;
	row.file = NULL;
	row.why = share->revision ? "it has no file NAME.ini at its top"
				  : "its files were not read yet";
	varlink_push(blocks, list, row);
}

void api_list_schema_files(struct api *api, struct control_call *call,
			   const struct api_list_schema_files_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct api_schema_file_list list = {0};
	const struct schema_share *share;

	(void)in, (void)now_ns;
	if (!offers)
		return;
	for (unsigned i = 0; (share = offers_schema_shares_at(offers_schema_shares(offers), i));
	     i++)
		files_push(api, control_blocks(call), share, &list);
	api_reply(call, list_schema_files, .files = list);
}
