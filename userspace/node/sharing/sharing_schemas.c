/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas that followed shares bring: their files go from the shares to the offers. */
#include "api/api.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"
#include "shares/follow/follow.h"
#include "shares/texts/share_texts.h"

_Static_assert(TEXTS_SHARES_MAX == SCHEMA_SHARES_MAX && TEXTS_NAME_CAP == SCHEMA_NAME_CAP &&
		       TEXTS_FILES_MAX == SCHEMA_SHARE_FILES_MAX &&
		       SHARE_ID_LEN == SCHEMA_SHARE_ID_LEN,
	       "what is read is what is taken");

static void on_came(void *ctx, const struct share_texts_revision *came)
{
	const struct sharing *sharing = ctx;
	struct schema_file files[SCHEMA_SHARE_FILES_MAX];
	const struct schema_revision revision = {
		.share_id = came->share_id,
		.revision = came->seq,
		.files = files,
		.file_cnt = came->file_cnt,
		.has_more = came->has_more,
	};

	for (unsigned i = 0; i < came->file_cnt; i++) {
		memcpy(files[i].name, came->files[i].name, sizeof(files[i].name));
		files[i].text = came->files[i].bytes;
		files[i].len = came->files[i].len;
	}
	if (sharing->node->offers)
		offers_schema_shares_take(offers_schema_shares(sharing->node->offers), &revision);
}

static void follow_read(struct sharing *sharing, const struct follow *follow, uint64_t now_ns)
{
	struct share_texts_ask ask = {.seq = follow->revisions[0].seq,
				      .hints = follow->hints,
				      .hint_cnt = follow->hint_cnt};

	memcpy(ask.share_id, follow->share_id, SHARE_ID_LEN);
	memcpy(ask.manifest_id, follow->revisions[0].manifest_id, sizeof(ask.manifest_id));
	/* As many may be wanted as offers follow; without memory the next revision is read. */
	if (shares_texts_want(sharing->texts, &ask, now_ns) < 0)
		return;
}

static bool is_wanted(const struct node *node, const uint8_t *share_id)
{
	return node->offers &&
	       offers_schema_shares_lookup(offers_schema_shares(node->offers), share_id);
}

void node_sharing_schemas_changed(struct sharing *sharing, const struct follow *follow)
{
	struct node *node = sharing->node;
	const uint64_t now_ns = node->home->now_ns;
	uint8_t successor_id[SHARE_ID_LEN];

	if (!sharing->texts || !is_wanted(node, follow->share_id))
		return;
	if (follow->is_used) {
		follow_read(sharing, follow, now_ns);
	} else if (follow->head.has_successor) {
		share_id_of(follow->head.successor, successor_id);
		shares_texts_forget(sharing->texts, follow->share_id);
		offers_schema_shares_move(offers_schema_shares(node->offers), follow->share_id,
					  successor_id);
	} else if (follow->state == FOLLOW_REVOKED || follow->state == FOLLOW_BLOCKED) {
		const struct schema_revision nothing = {.share_id = follow->share_id};

		shares_texts_forget(sharing->texts, follow->share_id);
		offers_schema_shares_take(offers_schema_shares(node->offers), &nothing);
	}
}

void node_sharing_read_schemas(struct sharing *sharing, const uint8_t share_id[static 32],
			       uint64_t now_ns)
{
	const struct follow *follow;

	if (!sharing || !sharing->texts)
		return;
	follow = shares_follow_lookup(sharing->follows, share_id);
	if (!follow || !is_wanted(sharing->node, share_id))
		shares_texts_forget(sharing->texts, share_id);
	else if (follow->is_used)
		follow_read(sharing, follow, now_ns);
}

static int texts_open(struct sharing *sharing)
{
	const struct node *node = sharing->node;
	const struct share_texts_params params = {
		.content = node->home->content,
		.store = node->store,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.ending = ".ini",
		.len_max = SCHEMA_TEXT_LEN_MAX,
		.came = on_came,
		.ctx = sharing,
	};

	return shares_texts_new(&params, &sharing->texts);
}

int node_sharing_open_schemas(struct sharing *sharing)
{
	const struct follow *follow = NULL;
	int err = sharing ? texts_open(sharing) : 0;

	while (sharing && err == 0 && (follow = shares_follows_next(sharing->follows, follow)))
		node_sharing_schemas_changed(sharing, follow);
	return err;
}
