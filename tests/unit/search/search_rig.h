/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SEARCH_RIG_H
#define WEFT_TESTS_SEARCH_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/random.h"
#include "base/timer.h"
#include "blobs/manifest/manifest.h"
#include "search/search.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"

/* A search with a store of its own, all inline: search_rig_turn does what a worker's turn does. */
struct search_rig {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel timers;
	struct random random;
	struct search *search;
	struct node_key *key;
	struct store_batch *batch; /* of manifests that search_rig_commit keeps */
	uint64_t now_ns;
	unsigned events[SEARCH_SHARE_FAILED + 1];
	struct search_event last;
	uint64_t index_len_max;
};

static inline void search_rig_event(void *ctx, const struct search_event *event)
{
	struct search_rig *rig = ctx;

	rig->events[event->kind]++;
	rig->last = *event;
}

static inline int search_rig_open(struct search_rig *rig)
{
	struct search_params params = {.state_dir = rig->dir,
				       .timers = &rig->timers,
				       .random = &rig->random,
				       .on_event = search_rig_event,
				       .ctx = rig};
	struct store_config config;
	int err;

	memset(rig->events, 0, sizeof(rig->events));
	store_config_defaults(&config);
	config.dir = rig->dir;
	config.is_inline = true;
	config.map_len_max = 1ull << 30;
	timer_wheel_init(&rig->timers, rig->now_ns);
	random_init_seeded(&rig->random, 7);
	err = store_open(&config, &rig->store);
	if (err == 0)
		err = jobs_new(0, 64, &rig->jobs);
	if (err < 0)
		return err;
	search_config_defaults(&params.config);
	params.config.query_cap = 4;
	if (rig->index_len_max)
		params.config.index_len_max = rig->index_len_max;
	params.store = rig->store;
	params.jobs = rig->jobs;
	return search_new(&params, &rig->search);
}

static inline void search_rig_close(struct search_rig *rig)
{
	search_stop(rig->search);
	jobs_free(rig->jobs);
	search_free(rig->search);
	store_close(rig->store);
}

static inline bool search_rig_begin(struct search_rig *rig)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {3};

	memset(rig, 0, sizeof(*rig));
	rig->now_ns = 1000;
	scratch_make(rig->dir);
	return node_key_from_seed(seed, &rig->key) == 0 && search_rig_open(rig) == 0;
}

static inline void search_rig_end(struct search_rig *rig)
{
	search_rig_close(rig);
	node_key_free(rig->key);
	scratch_remove(rig->dir);
}

static inline void search_rig_turn(struct search_rig *rig)
{
	rig->now_ns += NS_PER_S;
	(void)jobs_reap(rig->jobs);
	(void)store_reap(rig->store);
	timer_wheel_expire(&rig->timers, rig->now_ns);
}

/* search_rig_settle turns until nothing is under way. */
static inline void search_rig_settle(struct search_rig *rig)
{
	do
		search_rig_turn(rig);
	while (jobs_in_flight(rig->jobs));
}

/* An item by its path; its content id is the BLAKE3 of that, and a .pdf's type is stated. */
struct search_rig_item {
	const char *path;
	const char *tags[4];
};

static inline void search_rig_content_id(const char *path, uint8_t id[static 32])
{
	blake3_hash(path, strlen(path), id);
}

/* search_rig_keep is for search_rig_commit to make durable. */
static inline void search_rig_keep(struct search_rig *rig, const void *bytes, size_t len,
				   uint8_t id[static 32])
{
	blake3_hash(bytes, len, id);
	if (!rig->batch)
		rig->batch = store_batch_new(rig->store);
	store_batch_put_blob(rig->batch, id, bytes, len);
}

static inline int search_rig_commit(struct search_rig *rig)
{
	int err = store_submit(rig->store, rig->batch, NULL, NULL);

	rig->batch = NULL;
	store_flush(rig->store);
	return err;
}

static inline int search_rig_add(struct manifest_builder *builder,
				 const struct search_rig_item *item)
{
	struct manifest_tag tags[4];
	struct manifest_item added = {
		.path = item->path, .path_len = strlen(item->path), .size = strlen(item->path)};
	uint8_t content_id[32];

	for (; added.tag_cnt < 4 && item->tags[added.tag_cnt]; added.tag_cnt++)
		tags[added.tag_cnt] = (struct manifest_tag){item->tags[added.tag_cnt],
							    strlen(item->tags[added.tag_cnt])};
	added.tags = added.tag_cnt ? tags : NULL;
	added.mime = strstr(item->path, ".pdf") ? "application/pdf" : NULL;
	added.mime_len = added.mime ? strlen(added.mime) : 0;
	search_rig_content_id(item->path, content_id);
	added.content_id = content_id;
	return blobs_manifest_builder_add_item(builder, &added);
}

/* search_rig_revision keeps a signed manifest of cnt items, whose paths ascend. */
static inline int search_rig_revision(struct search_rig *rig, const char *title,
				      const char *description, const struct search_rig_item *items,
				      size_t cnt, uint8_t manifest_id[static 32])
{
	struct manifest_revision revision = {.key = rig->key,
					     .seq = 1,
					     .created_s = 5,
					     .title = title,
					     .description = description};
	struct manifest_builder *builder;
	const uint8_t *bytes;
	size_t len;
	int err = blobs_manifest_builder_new(&builder);

	for (size_t i = 0; i < cnt && err == 0; i++)
		err = search_rig_add(builder, &items[i]);
	if (err == 0)
		err = blobs_manifest_builder_sign(builder, MANIFEST_WHOLE, &revision, &bytes, &len);
	if (err == 0) {
		search_rig_keep(rig, bytes, len, manifest_id);
		err = search_rig_commit(rig);
	}
	blobs_manifest_builder_free(builder);
	return err;
}

static inline int search_rig_put(struct search_rig *rig, uint8_t share, enum search_tier tier,
				 uint32_t weight, const uint8_t manifest_id[static 32])
{
	uint8_t id[32];

	memset(id, share, sizeof(id));
	return search_put_share(
		rig->search, &(struct search_revision){id, manifest_id, tier, weight}, rig->now_ns);
}

/* The outcome of a query as lines "PATH SCORE\n", of a page. */
struct search_rig_answer {
	char lines[4096];
	struct search_result result;
	struct search_hit first;
	char first_path[64], first_tags[64], second_tag[64], first_mime[64];
	unsigned done_cnt;
};

static inline void search_rig_done(void *arg, const struct search_result *result)
{
	struct search_rig_answer *answer = arg;

	answer->done_cnt++;
	answer->result = *result;
	for (uint32_t i = 0; i < result->hit_cnt; i++) {
		size_t at = strlen(answer->lines);

		snprintf(answer->lines + at, sizeof(answer->lines) - at, "%s %u\n",
			 result->hits[i].path, result->hits[i].score);
	}
	if (result->hit_cnt) {
		answer->first = result->hits[0];
		snprintf(answer->first_tags, sizeof(answer->first_tags), "%s",
			 result->hits[0].tags);
		/* Behind the empty tag, which is the last, there is none. */
		if (result->hits[0].tags[0])
			snprintf(answer->second_tag, sizeof(answer->second_tag), "%s",
				 result->hits[0].tags + strlen(result->hits[0].tags) + 1);
		snprintf(answer->first_path, sizeof(answer->first_path), "%s",
			 result->hits[0].path);
		snprintf(answer->first_mime, sizeof(answer->first_mime), "%s",
			 result->hits[0].mime);
	}
}

#define SEARCH_RIG_TIERS (1u << SEARCH_TRUSTED | 1u << SEARCH_NORMAL)

static inline int search_rig_page(struct search_rig *rig, const char *text, unsigned tiers,
				  uint32_t page, uint32_t page_len,
				  struct search_rig_answer *answer)
{
	struct search_ask ask = {.text = text,
				 .text_len = strlen(text),
				 .tiers = tiers,
				 .page = page,
				 .page_len = page_len,
				 .done = search_rig_done,
				 .arg = answer};
	struct search_run *run;
	int err;

	memset(answer, 0, sizeof(*answer));
	err = search_query(rig->search, &ask, &run);
	if (err < 0)
		return err;
	search_rig_settle(rig);
	return answer->done_cnt == 1 ? answer->result.err : -1;
}

static inline const char *search_rig_ask(struct search_rig *rig, const char *text)
{
	static struct search_rig_answer answer;
	int err = search_rig_page(rig, text, SEARCH_RIG_TIERS, 0, SEARCH_PAGE, &answer);

	if (err < 0)
		snprintf(answer.lines, sizeof(answer.lines), "error %d", err);
	return answer.lines;
}

#endif
