/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "social/bundle/bundle_record.h"
#include "social/groups/groups.h"
#include "social/keep/post_export.h"
#include "social/people/person_profiles.h"
#include "social/read/custom_feeds.h"
#include "social/write/post_drafts.h"
#include "store/store.h"

#define PART_SUFFIX  ".weft-part"
#define SLICE_CNT    4096u
#define SLICE_LEN    (4u << 20)
#define PROFILES_LEN (1u << 20) /* of profiles that are gathered at once */

/* Deletions before posts: what was deleted does not come again for a moment. */
enum stage { STAGE_PEOPLE, STAGE_DRAFTS, STAGE_GONE, STAGE_OWN, STAGE_OTHERS, STAGE_END };

struct bundle_export {
	struct bundle_export_params params;
	char path[BUNDLE_PATH_CAP], part[BUNDLE_PATH_CAP + sizeof(PART_SUFFIX)];
	char *passphrase; /* a copy, until the file is open */
	enum stage stage;
	int fd; /* -1: not open */
	struct bundle_writer *writer;
	bool is_gathered, has_part;
	unsigned profile_at; /* follows whose profiles were gathered */
	/* Gathered and not written: kind u8 | length u32be | bytes. */
	uint8_t *notes;
	size_t notes_len, notes_cap;
	int err; /* -ENOMEM of the gathering */
	struct posts_export slice;
	struct bundle_export_count count;
	uint8_t made[PROFILE_LEN_MAX], record[BUNDLE_RECORD_MAX];
};

int social_bundle_export_new(const struct bundle_export_params *params,
			     struct bundle_export **out_export)
{
	struct bundle_export *export;

	if (strlen(params->path) >= BUNDLE_PATH_CAP)
		return WEFT_ETOOLARGE;
	export = calloc(1, sizeof(*export));
	if (!export)
		return -ENOMEM;
	export->params = *params;
	export->fd = -1;
	snprintf(export->path, sizeof(export->path), "%s", params->path);
	snprintf(export->part, sizeof(export->part), "%s%s", params->path, PART_SUFFIX);
	export->count.is_sealed = params->passphrase != NULL;
	if (params->passphrase && !(export->passphrase = strdup(params->passphrase))) {
		free(export);
		return -ENOMEM;
	}
	*out_export = export;
	return 0;
}

static void passphrase_wipe(struct bundle_export *export)
{
	if (export->passphrase)
		explicit_bzero(export->passphrase, strlen(export->passphrase));
	free(export->passphrase);
	export->passphrase = NULL;
}

static void notes_wipe(struct bundle_export *export)
{
	if (export->notes)
		explicit_bzero(export->notes, export->notes_len);
	export->notes_len = 0;
}

void social_bundle_export_free(struct bundle_export *export)
{
	if (!export)
		return;
	passphrase_wipe(export);
	notes_wipe(export);
	free(export->notes);
	social_bundle_writer_close(export->writer);
	if (export->fd >= 0)
		close(export->fd);
	if (export->has_part)
		(void)unlink(export->part);
	explicit_bzero(export->made, sizeof(export->made));
	free(export);
}

/* --- what is in memory --- */

static void notes_wipe_old(struct bundle_export *export)
{
	if (export->notes)
		explicit_bzero(export->notes, export->notes_len);
	free(export->notes);
}

static void note(struct bundle_export *export, enum bundle_kind kind, const void *bytes, size_t len)
{
	size_t need = export->notes_len + 5 + len, cap = export->notes_cap;
	struct writer w;
	uint8_t *notes;

	if (need > cap) {
		cap = need > 2 * cap ? need : 2 * cap;
		if (!(notes = malloc(cap))) {
			export->err = -ENOMEM;
			return;
		}
		if (export->notes)
			memcpy(notes, export->notes, export->notes_len);
		notes_wipe_old(export);
		export->notes = notes;
		export->notes_cap = cap;
	}
	w = writer_of(export->notes + export->notes_len, 5 + len);
	writer_u8(&w, (uint8_t)kind);
	writer_be32(&w, (uint32_t)len);
	writer_bytes(&w, bytes, len);
	export->notes_len = need;
}

static void note_made(struct bundle_export *export, enum bundle_kind kind, const struct writer *w)
{
	if (w->bad)
		export->err = WEFT_ETOOLARGE;
	else
		note(export, kind, export->made, writer_len(w));
	explicit_bzero(export->made, writer_len(w));
}

static void persona_note(struct bundle_export *export, const struct bundle_persona *persona)
{
	struct writer w = writer_of(export->made, sizeof(export->made));

	social_bundle_persona_write(&w, persona);
	note_made(export, BUNDLE_PERSONA, &w);
}

/* The key that is to follow is in no other place: without it no reader accepts a successor by itself. */
static void persona_gather(struct bundle_export *export, unsigned idx)
{
	struct bundle_persona persona = {0};
	struct persona_view view;

	social_persona_view(export->params.people, idx, &view);
	persona.seed = node_key_seed(social_persona(export->params.people, idx));
	if (view.is_via_anchors)
		persona.flags |= BUNDLE_PERSONA_VIA_ANCHORS;
	if (view.shows_follows)
		persona.flags |= BUNDLE_PERSONA_SHOWS_FOLLOWS;
	if (view.next) {
		persona.flags |= BUNDLE_PERSONA_HAS_NEXT;
		persona.next_seed = node_key_seed(view.next);
		persona.committed_ms = view.committed_ms;
	}
	snprintf(persona.label, sizeof(persona.label), "%s", view.label);
	persona_note(export, &persona);
}

static void keys_gather(struct bundle_export *export)
{
	struct people *people = export->params.people;
	const struct node_key *key;

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		persona_gather(export, i);
	for (unsigned i = 0; (key = social_former_key(people, i)); i++) {
		const struct bundle_persona former = {.seed = node_key_seed(key),
						      .flags = BUNDLE_PERSONA_FORMER};

		persona_note(export, &former);
	}
}

struct gathering {
	struct bundle_export *export;
	unsigned persona, at;
};

static bool follow_note(void *arg, const struct follow_view *view)
{
	struct gathering *gathering = arg;
	struct bundle_export *export = gathering->export;
	struct writer w = writer_of(export->made, sizeof(export->made));
	struct bundle_follow follow = {.persona = node_key_public(social_persona(
					       export->params.people, gathering->persona)),
				       .person = view->person,
				       .kind = view->kind};

	if (view->kind == FOLLOW_NONE)
		return true;
	snprintf(follow.petname, sizeof(follow.petname), "%s", view->petname);
	social_bundle_follow_write(&w, &follow);
	note_made(export, BUNDLE_FOLLOW, &w);
	export->count.person_cnt++;
	return true;
}

static bool block_note(void *arg, const uint8_t *person, uint64_t since_ms)
{
	(void)since_ms;
	note(arg, BUNDLE_BLOCK, person, NODE_KEY_LEN);
	return true;
}

static void answer_note(struct bundle_export *export, const struct request_answer *answer)
{
	struct writer w = writer_of(export->made, sizeof(export->made));

	social_bundle_answer_write(&w, answer);
	note_made(export, BUNDLE_ANSWER, &w);
}

static bool accepted_note(void *arg, const uint8_t *person, uint64_t since_ms)
{
	const struct request_answer answer = {person, since_ms, true};

	answer_note(arg, &answer);
	return true;
}

static bool refused_note(void *arg, const uint8_t *person, uint64_t since_ms)
{
	const struct request_answer answer = {person, since_ms, false};

	answer_note(arg, &answer);
	return true;
}

static bool member_note(void *arg, const uint8_t *person)
{
	note(arg, BUNDLE_MEMBER, person, NODE_KEY_LEN);
	return true;
}

static bool circle_note(void *arg, const struct circle_view *view)
{
	static const uint8_t none[BLAKE3_HASH_LEN];
	struct bundle_export *export = arg;
	struct people *people = export->params.people;
	struct writer w = writer_of(export->made, sizeof(export->made));
	struct bundle_circle circle = {
		.persona = node_key_public(social_persona(people, view->persona)),
		.rank = view->rank,
		.has_profile = view->has_profile,
		.picture =
			view->has_profile && view->profile_picture ? view->profile_picture : none};

	snprintf(circle.name, sizeof(circle.name), "%s", view->name);
	if (view->has_profile) {
		snprintf(circle.profile_name, sizeof(circle.profile_name), "%s",
			 view->profile_name);
		snprintf(circle.profile_text, sizeof(circle.profile_text), "%s",
			 view->profile_text);
	}
	social_bundle_circle_write(&w, &circle);
	note_made(export, BUNDLE_CIRCLE, &w);
	social_circle_members(people, view->id, member_note, export);
	return true;
}

static void feed_note(void *arg, const struct custom_feed *feed)
{
	struct bundle_export *export = arg;
	struct writer w = writer_of(export->made, sizeof(export->made));
	const struct bundle_feed row = {.name = feed->name,
					.filter = feed->filter,
					.name_len = strlen(feed->name),
					.filter_len = strlen(feed->filter)};

	social_bundle_feed_write(&w, &row);
	note_made(export, BUNDLE_FEED, &w);
}

static void profile_note(struct bundle_export *export, const uint8_t *person)
{
	struct writer w = writer_of(export->made, sizeof(export->made));

	if (social_profile_bytes(export->params.people, person, &w) < 0)
		return;
	note_made(export, BUNDLE_PROFILE, &w);
	export->count.profile_cnt++;
}

static void group_note(void *arg, enum group_part part, const void *bytes, size_t len)
{
	static const enum bundle_kind kinds[] = {[GROUP_PART_GROUP] = BUNDLE_GROUP,
						 [GROUP_PART_STATE] = BUNDLE_STATE,
						 [GROUP_PART_SECRET] = BUNDLE_SECRET};
	struct bundle_export *export = arg;

	if (part != GROUP_PART_SECRET || export->params.has_keys)
		note(export, kinds[part], bytes, len);
}

static int people_gather(struct bundle_export *export)
{
	struct people *people = export->params.people;
	int err;

	if (export->params.has_keys)
		keys_gather(export);
	for (unsigned i = 0; i < social_persona_cnt(people); i++) {
		struct gathering gathering = {export, i, 0};

		social_follows_each(people, i, follow_note, &gathering);
		profile_note(export, node_key_public(social_persona(people, i)));
	}
	social_blocks_each(people, block_note, export);
	social_answers_each(people, true, accepted_note, export);
	social_answers_each(people, false, refused_note, export);
	social_circles_each(people, SOCIAL_EACH_PERSONA, circle_note, export);
	if ((err = social_feeds_each(export->params.read, feed_note, export)) < 0)
		return err;
	social_groups_export(export->params.groups, group_note, export);
	export->is_gathered = true;
	return export->err;
}

/* A page of profiles of people that are followed. */
static bool followed_note(void *arg, const struct follow_view *view)
{
	struct gathering *gathering = arg;
	struct bundle_export *export = gathering->export;

	if (gathering->at++ < export->profile_at)
		return true;
	profile_note(export, view->person);
	export->profile_at++;
	return export->notes_len < PROFILES_LEN;
}

int social_bundle_gather(struct bundle_export *export)
{
	struct gathering gathering = {.export = export};

	if (!export->is_gathered)
		return people_gather(export);
	if (export->stage == STAGE_PEOPLE)
		social_follows_each(export->params.people, SOCIAL_EACH_PERSONA, followed_note,
				    &gathering);
	return export->err;
}

/* --- in a job --- */

static int part_open(struct bundle_export *export)
{
	int err;

	if (!export->params.replaces && access(export->path, F_OK) == 0)
		return -EEXIST;
	export->fd = open(export->part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (export->fd < 0)
		return -errno;
	export->has_part = true;
	err = social_bundle_writer_open(export->fd, export->passphrase, &export->writer);
	passphrase_wipe(export);
	return err;
}

static void notes_write(struct bundle_export *export)
{
	struct cursor c = cursor_of(export->notes, export->notes_len);

	while (cursor_left(&c)) {
		uint8_t kind = cursor_u8(&c);
		uint32_t len = cursor_be32(&c);
		const uint8_t *bytes = cursor_bytes(&c, len);

		if (c.bad)
			break;
		social_bundle_add(export->writer, kind, bytes, len);
	}
	notes_wipe(export);
}

static void post_add(void *arg, const struct post_view *view, const struct post_parts *parts)
{
	struct bundle_export *export = arg;
	struct writer w = writer_of(export->record, sizeof(export->record));
	const struct bundle_post post = {.marks = view->flags & POST_MARKS,
					 .post = parts->post,
					 .claim = parts->claim,
					 .visibility = parts->visibility,
					 .post_len = parts->post_len,
					 .claim_len = parts->claim_len,
					 .visibility_len = parts->visibility_len};

	social_bundle_post_write(&w, &post);
	social_bundle_add(export->writer, BUNDLE_POST, export->record, writer_len(&w));
	export->count.post_cnt++;
}

static void deletion_add(void *arg, const uint8_t *post, const void *bytes, size_t len)
{
	struct bundle_export *export = arg;

	(void)post;
	social_bundle_add(export->writer, BUNDLE_DELETION, bytes, len);
	export->count.deletion_cnt++;
}

/* At most DRAFTS_MAX rows of half a MiB, and few in fact. */
static int drafts_add(struct bundle_export *export)
{
	struct store_iter iter = store_iter_fresh(export->params.store, STORE_DRAFTS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		struct writer w = writer_of(export->record, sizeof(export->record));

		if (item.value_len == 0 || item.value[0] != POST_DRAFT_ROW)
			continue;
		writer_bytes(&w, item.key, DRAFT_ID_LEN);
		writer_bytes(&w, item.value, item.value_len);
		if (!w.bad)
			social_bundle_add(export->writer, BUNDLE_DRAFT, export->record,
					  writer_len(&w));
	}
	return store_iter_end(&iter);
}

static int posts_add(struct bundle_export *export, unsigned shares)
{
	export->slice.shares = shares;
	export->slice.has_pinned = export->stage == STAGE_OTHERS;
	export->slice.cnt_max = SLICE_CNT;
	export->slice.len_max = SLICE_LEN;
	return social_posts_export(export->params.store, &export->slice, post_add, export);
}

static int stage_write(struct bundle_export *export)
{
	const struct bundle_export_params *params = &export->params;
	unsigned others = (params->has_others ? 1u << POST_WANTED | 1u << POST_ADDRESSED : 0) |
			  (params->has_hosted ? 1u << POST_HOSTED : 0);
	bool is_over;

	switch (export->stage) {
	case STAGE_PEOPLE:
		/* Until a page brings nothing. */
		is_over = export->notes_len == 0;
		notes_write(export);
		return !is_over;
	case STAGE_DRAFTS:
		return drafts_add(export);
	case STAGE_GONE:
		export->slice.cnt_max = SLICE_CNT;
		export->slice.len_max = SLICE_LEN;
		return social_posts_export_gone(params->store, &export->slice, deletion_add,
						export);
	case STAGE_OWN:
		return posts_add(export, 1u << POST_OWN);
	default:
		return others ? posts_add(export, others) : 0;
	}
}

static int file_settle(struct bundle_export *export)
{
	struct stat st;
	int err = social_bundle_finish(export->writer);

	if (err == 0 && fstat(export->fd, &st) < 0)
		err = -errno;
	if (err == 0 && renameat2(AT_FDCWD, export->part, AT_FDCWD, export->path,
				  export->params.replaces ? 0 : RENAME_NOREPLACE) < 0)
		err = -errno;
	if (err < 0)
		return err;
	export->has_part = false;
	export->count.byte_cnt = (uint64_t)st.st_size;
	return folder_sync_parent(export->path);
}

int social_bundle_slice(struct bundle_export *export)
{
	int more = export->fd < 0 ? part_open(export) : 0;

	if (more < 0)
		return more;
	if (export->stage == STAGE_END)
		return file_settle(export);
	if ((more = stage_write(export)) < 0)
		return more;
	if (!more) {
		export->stage++;
		export->slice = (struct posts_export){0};
	}
	return 1;
}

void social_bundle_export_count(const struct bundle_export *export,
				struct bundle_export_count *out_count)
{
	*out_count = export->count;
}
