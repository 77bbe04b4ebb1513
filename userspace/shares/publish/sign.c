/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing a revision: what an import has collected, or what is there already with
 * something else said of it. Both end in one batch.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "blobs/blobs.h"
#include "blobs/retainer.h"
#include "publish_state.h"
#include "blobs/scope.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "store/store.h"

static struct manifest_revision revision_of(const struct publication *publication,
					    const struct publish_settings *settings)
{
	const struct publisher *publisher = publication->publisher;
	uint64_t now_s = publisher_wall_s(publisher);

	return (struct manifest_revision){
		.key = publication->key,
		.seq = shares_revise_seq_next(publication),
		.created_s = now_s,
		.expires_s = now_s + publisher->params.config.life_ns / NS_PER_S,
		.title = settings->title[0] ? settings->title : settings->name,
		.description = settings->description,
		.is_public = settings->is_public,
		.communities = settings->communities,
		.community_cnt = settings->community_cnt,
		.recommended = settings->recommended,
		.recommended_cnt = settings->recommended_cnt,
	};
}

/*
 * It says what the newest revision says, and that is an own one. One that was made while this
 * node's clock was ahead is signed again, as followers refuse its date.
 */
static bool is_unchanged(struct publication *publication, struct import_sealed *sealed,
			 const struct manifest_revision *revision)
{
	struct revise *revise = publication->revise;
	uint32_t cnt = publication->view.revision_cnt;

	blobs_manifest_builder_digest(sealed->builder, sealed->shape, revision,
				      revise->parts.digest);
	shares_publication_refresh(publication);
	return publication->view.state == PUBLISH_CURRENT && !publication->view.ahead_s &&
	       memcmp(publication->parts[cnt - 1].digest, revise->parts.digest, 32) == 0;
}

static int parts_copy(struct revise *revise, const uint8_t *ids, size_t cnt)
{
	if (!cnt)
		return 0;
	revise->parts.ids = malloc(cnt * 32);
	if (!revise->parts.ids)
		return -ENOMEM;
	memcpy(revise->parts.ids, ids, cnt * 32);
	revise->parts.cnt = cnt;
	return 0;
}

/* rows_put: all that makes it a revision, in the batch that has its manifest. */
static void rows_put(struct publication *publication, struct store_batch *batch)
{
	struct revise *revise = publication->revise;

	shares_record_put_settings(batch, publication, &revise->settings);
	shares_record_put_revision(batch, publication, &revise->revision, &revise->parts);
	if (publication->view.revision_cnt == publication->revision_cap)
		shares_record_delete_revision(batch, publication, publication->revisions[0].seq);
	shares_head_seen_put(batch, &revise->head);
}

int shares_sign_seal(void *ctx, struct import_sealed *io_sealed)
{
	struct publication *publication = ctx;
	struct revise *revise = publication->revise;
	const struct publish_revision *own = shares_publication_own(publication);
	struct manifest_revision revision = revision_of(publication, &revise->settings);
	struct share_head head = {.seq = revision.seq, .updated_s = revision.created_s};
	int err;

	if (!revision.seq) {
		shares_revise_fail(revise, WEFT_EREFUSED,
				   "the share's key was revoked or is used up");
		return revise->err;
	}
	if (revise->kind == REVISE_IMPORT && is_unchanged(publication, io_sealed, &revision)) {
		revise->is_unchanged = true;
		shares_record_put_settings(io_sealed->batch, publication, &revise->settings);
		return 1;
	}
	if (revise->kind == REVISE_SIGN)
		blobs_manifest_builder_digest(io_sealed->builder, io_sealed->shape, &revision,
					      revise->parts.digest);
	err = parts_copy(revise, io_sealed->part_ids, io_sealed->part_cnt);
	if (err == 0)
		err = blobs_manifest_builder_sign(io_sealed->builder, io_sealed->shape, &revision,
						  &io_sealed->bytes, &io_sealed->len);
	if (err < 0)
		return err;
	blake3_hash(io_sealed->bytes, io_sealed->len, head.manifest_id);
	shares_head_seen_write(publication->key, &head, &revise->head);
	revise->revision = (struct publish_revision){
		.seq = revision.seq,
		.created_s = revision.created_s,
		.expires_s = revision.expires_s,
		.item_cnt = io_sealed->item_cnt,
		.byte_cnt = io_sealed->byte_cnt,
	};
	memcpy(revise->revision.manifest_id, head.manifest_id, 32);
	rows_put(publication, io_sealed->batch);
	io_sealed->replaced_id = own ? own->manifest_id : NULL;
	return 0;
}

/* --- signing again --- */

static int builder_fill(struct manifest_builder *builder, const struct manifest *manifest)
{
	int err = 0;

	for (uint32_t i = 0; i < manifest->item_cnt && err == 0; i++)
		err = blobs_manifest_builder_add_item(builder, &manifest->items[i]);
	for (uint32_t i = 0; i < manifest->dir_cnt && err == 0; i++)
		err = blobs_manifest_builder_add_dir(builder, manifest->dirs[i].path,
						     manifest->dirs[i].path_len);
	for (uint32_t i = 0; i < manifest->part_cnt && err == 0; i++)
		err = blobs_manifest_builder_add_part(builder, &manifest->parts[i]);
	return err;
}

static int signed_submit(struct publication *publication, struct import_sealed *sealed)
{
	struct revise *revise = publication->revise;
	const struct share_ask ask = {
		.manifest_id = revise->revision.manifest_id,
		.path = revise->settings.path,
		.title = revise->settings.title[0] ? revise->settings.title : revise->settings.name,
		.only = revise->settings.only,
		.added_s = revise->revision.created_s,
		.item_cnt = sealed->item_cnt,
		.byte_cnt = sealed->byte_cnt,
		.part_ids = sealed->part_ids,
		.part_cnt = sealed->part_cnt,
		.is_published = true,
		.replaced_id = sealed->replaced_id,
	};

	store_batch_put_blob(sealed->batch, ask.manifest_id, sealed->bytes, sealed->len);
	blobs_scope_put(sealed->batch, ask.manifest_id, sealed->bytes, sealed->len);
	return blobs_shares_add(publication->publisher->params.content, sealed->batch, &ask,
				shares_revise_stored, publication);
}

/* The same lists, with what is said of the share now. */
static int sign_again(struct publication *publication, const struct manifest *manifest,
		      struct manifest_builder *builder)
{
	const struct publish_revision *own = shares_publication_own(publication);
	uint32_t last = publication->view.revision_cnt - 1;
	struct import_sealed sealed = {
		.builder = builder,
		.shape = manifest->shape,
		.item_cnt = own->item_cnt,
		.byte_cnt = own->byte_cnt,
		.part_ids = publication->parts[last].ids,
		.part_cnt = publication->parts[last].cnt,
		.batch = store_batch_new(publication->publisher->params.store),
	};
	int err = builder_fill(builder, manifest);

	if (err == 0)
		err = shares_sign_seal(publication, &sealed);
	if (err == 0)
		err = signed_submit(publication, &sealed);
	if (err < 0)
		store_batch_free(sealed.batch);
	return err;
}

static int parse_and_sign(struct publication *publication)
{
	struct revise *revise = publication->revise;
	struct manifest_builder *builder = NULL;
	struct manifest *manifest;
	int err = blobs_manifest_parse(revise->bytes, revise->len, &manifest);

	if (err < 0)
		return err;
	err = blobs_manifest_builder_new(&builder);
	if (err == 0)
		err = sign_again(publication, manifest, builder);
	blobs_manifest_builder_free(builder);
	blobs_manifest_free(manifest);
	return err;
}

static struct revise *revise_of_job(struct job *job)
{
	return container_of(job, struct revise, job);
}

/* On a pool thread: touches what the revision owns, and reads the store. */
static void read_run(struct job *job)
{
	struct revise *revise = revise_of_job(job);

	revise->read_err =
		store_blob_load(revise->publication->publisher->params.store, revise->read_id,
				MANIFEST_LEN_MAX, &revise->bytes, &revise->len);
}

static void read_done(struct job *job)
{
	struct revise *revise = revise_of_job(job);
	struct publication *publication = revise->publication;
	int err = revise->read_err;

	if (publication->publisher->is_stopped)
		return;
	if (err == 0)
		err = parse_and_sign(publication);
	if (err < 0) {
		shares_revise_fail(revise, err, "cannot sign what is there: %s",
				   weft_err_text(err));
		shares_revise_end(publication, NULL);
	}
}

static int settings_submit(struct publication *publication)
{
	struct store *store = publication->publisher->params.store;
	struct store_batch *batch = store_batch_new(store);
	int err;

	shares_record_put_settings(batch, publication, &publication->revise->settings);
	err = store_submit(store, batch, shares_revise_stored, publication);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

void shares_sign_begin(struct publication *publication)
{
	const struct publish_revision *own = shares_publication_own(publication);
	struct revise *revise = publication->revise;
	int err;

	if (publication->view.state == PUBLISH_BEHIND) {
		shares_revise_fail(revise, WEFT_ESTALE,
				   "another holder of its key published revision %" PRIu64
				   ", which is not here",
				   publication->newest.head.seq);
		return;
	}
	if (!own) {
		err = settings_submit(publication);
	} else if ((err = blobs_holder_begin(publication->publisher->params.content)) == 0) {
		revise->is_held = true;
		memcpy(revise->read_id, own->manifest_id, 32);
		revise->job = (struct job){.run = read_run, .done = read_done};
		err = jobs_submit(publication->publisher->params.jobs, &revise->job);
	}
	if (err < 0)
		shares_revise_fail(revise, err, "cannot begin: %s", weft_err_text(err));
}

/* --- keys --- */

const struct node_key *shares_publisher_key(const struct publisher *publisher,
					    const uint8_t share_id[static SHARE_ID_LEN])
{
	const struct publication *publication = shares_publication_find(publisher, share_id);

	return publication ? publication->key : NULL;
}

int shares_publisher_export_key(const struct publisher *publisher,
				const uint8_t share_id[static SHARE_ID_LEN], const char *path)
{
	const struct publication *publication = shares_publication_find(publisher, share_id);

	if (!publication)
		return WEFT_EABSENT;
	if (access(path, F_OK) == 0)
		return WEFT_EEXISTS;
	return node_key_save(publication->key, path, NULL);
}
