/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "social/bundle/bundle_record.h"
#include "social/groups/groups.h"
#include "social/intake/post_intake.h"
#include "social/people/person_profiles.h"
#include "social/read/custom_feeds.h"
#include "social/write/post_drafts.h"

#define LOAD_CNT    512u /* records of a slice */
#define LOAD_LEN    (4u << 20)
#define APPLY_CNT   8u	 /* of a turn: 1.2 ms of signatures */
#define PENDING_MAX 256u /* on their way to the disk */
/* Marks that no other node's posts get by what they are. */
#define KEPT_MARKS (POST_READ | POST_FETCHED_BY_OTHERS)

struct bundle_import {
	struct bundle_import_params params;
	char *path, *passphrase;
	int fd;
	struct bundle_reader *reader;
	bool is_judged;
	/* Loaded and not applied: kind u8 | length u32be | bytes. */
	uint8_t *loaded;
	size_t loaded_len, at;
	struct bundle_import_count count;
	/* What members and states are of: */
	uint8_t circle[SOCIAL_CIRCLE_ID_LEN];
	bool has_circle;
	uint8_t group[64 + SOCIAL_NAME_MAX];
	size_t group_len;
	unsigned pending_cnt;
	uint64_t now_ns;
	bool is_orphan, is_calling, is_busy, has_failed;
};

/* A post or deletion on its way to the disk. */
struct bundle_wait {
	struct bundle_import *import;
	bool is_post, is_pinned;
};

int social_bundle_import_new(const struct bundle_import_params *params,
			     struct bundle_import **out_import)
{
	struct bundle_import *import = calloc(1, sizeof(*import));

	if (!import)
		return -ENOMEM;
	import->params = *params;
	import->fd = -1;
	import->path = strdup(params->path);
	import->passphrase = params->passphrase ? strdup(params->passphrase) : NULL;
	import->loaded = malloc(LOAD_LEN + BUNDLE_RECORD_MAX + 5);
	if (!import->path || !import->loaded || (params->passphrase && !import->passphrase)) {
		social_bundle_import_free(import);
		return -ENOMEM;
	}
	*out_import = import;
	return 0;
}

static void import_free(struct bundle_import *import)
{
	if (import->passphrase)
		explicit_bzero(import->passphrase, strlen(import->passphrase));
	free(import->passphrase);
	free(import->path);
	if (import->loaded)
		explicit_bzero(import->loaded, import->loaded_len);
	free(import->loaded);
	free(import);
}

void social_bundle_import_free(struct bundle_import *import)
{
	if (!import)
		return;
	social_bundle_reader_close(import->reader);
	import->reader = NULL;
	if (import->fd >= 0)
		close(import->fd);
	import->fd = -1;
	if (import->pending_cnt)
		import->is_orphan = true;
	else
		import_free(import);
}

void social_bundle_import_count(const struct bundle_import *import,
				struct bundle_import_count *out_count)
{
	*out_count = import->count;
	out_count->is_judged = import->is_judged;
}

/* --- in a job --- */

static int reader_open(struct bundle_import *import, struct bundle_import_fault *fault)
{
	struct bundle_fault of_file;
	struct stat st;
	int err;

	social_bundle_reader_close(import->reader);
	import->reader = NULL;
	if (import->fd < 0)
		import->fd = open(import->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (import->fd < 0 || fstat(import->fd, &st) < 0) {
		fault->why = "it cannot be read";
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		fault->why = "it is no file";
		return WEFT_EMALFORMED;
	}
	err = social_bundle_reader_open(import->fd, import->passphrase, &import->reader, &of_file);
	if (err < 0) {
		fault->why = err == WEFT_ESEALED ? "another passphrase seals it" : of_file.what;
		if (err == WEFT_EMALFORMED && !import->passphrase)
			fault->why = "it is no bundle of posts, or a passphrase seals it";
		fault->off = of_file.off;
	}
	return err;
}

static void record_keep(struct bundle_import *import, const struct bundle_record *record)
{
	struct writer w = writer_of(import->loaded + import->loaded_len, 5 + record->len);

	writer_u8(&w, (uint8_t)record->kind);
	writer_be32(&w, (uint32_t)record->len);
	writer_bytes(&w, record->bytes, record->len);
	import->loaded_len += writer_len(&w);
}

/* A slice of the first run over the file: nothing is kept of it. */
static int records_judge(struct bundle_import *import, struct bundle_import_fault *fault)
{
	struct bundle_record record;
	int err = 1;

	for (unsigned i = 0; i < LOAD_CNT; i++) {
		if ((err = social_bundle_next(import->reader, &record)) <= 0)
			break;
		import->count.record_cnt++;
		if ((err = social_bundle_judge(&record, fault->id, &fault->why)) < 0)
			break;
	}
	fault->off = social_bundle_off(import->reader);
	import->count.at_cnt = import->count.record_cnt;
	if (err != 0)
		return err < 0 ? err : 1;
	import->is_judged = true;
	import->count.at_cnt = 0;
	return (err = reader_open(import, fault)) < 0 ? err : 1;
}

static int records_load(struct bundle_import *import)
{
	struct bundle_record record;
	int more = 1;

	import->at = import->loaded_len = 0;
	for (unsigned i = 0; i < LOAD_CNT && import->loaded_len < LOAD_LEN; i++) {
		if ((more = social_bundle_next(import->reader, &record)) <= 0)
			break;
		record_keep(import, &record);
	}
	return more < 0 ? more : import->loaded_len ? 1 : 0;
}

int social_bundle_load(struct bundle_import *import, struct bundle_import_fault *out_fault)
{
	int err;

	*out_fault = (struct bundle_import_fault){.why = "it changed while it was read"};
	if (!import->reader && (err = reader_open(import, out_fault)) < 0)
		return err;
	return import->is_judged ? records_load(import) : records_judge(import, out_fault);
}

/* --- on the home worker --- */

static void left_note(struct bundle_import *import, const uint8_t *id, const char *why)
{
	if (import->count.left_cnt++ || import->count.first_why)
		return;
	import->count.first_why = why;
	if (id)
		memcpy(import->count.first_left, id, sizeof(import->count.first_left));
}

static void verdict_note(struct bundle_import *import, const struct bundle_wait *wait,
			 enum intake_verdict verdict, const uint8_t *id)
{
	struct bundle_import_count *count = &import->count;

	if (verdict == INTAKE_TAKEN && wait->is_post)
		count->post_cnt++;
	else if (verdict == INTAKE_TAKEN)
		count->other_cnt++;
	else if (verdict == INTAKE_KNOWN || verdict == INTAKE_OLD)
		count->known_cnt++;
	else if (verdict == INTAKE_FAILED)
		import->has_failed = true;
	else
		left_note(import, id, social_intake_text(verdict));
}

static void pin_set(struct bundle_import *import, const uint8_t *id)
{
	const struct post_marking marking = {.id = id, .set = POST_PINNED};
	struct post_view view;

	if (social_posts_look(import->params.posts, id, &view) == 0 && view.share != POST_OWN &&
	    !(view.flags & POST_PINNED) &&
	    social_posts_mark(import->params.posts, &marking, (struct post_change_done){0},
			      import->now_ns) < 0)
		left_note(import, id, "it is here, but there is no room for the pin");
}

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct bundle_wait wait = *(struct bundle_wait *)arg;
	struct bundle_import *import = wait.import;

	free(arg);
	import->pending_cnt--;
	if (import->is_orphan) {
		if (!import->pending_cnt)
			import_free(import);
		return;
	}
	if (verdict == INTAKE_BUSY && import->is_calling) {
		import->is_busy = true;
		return;
	}
	verdict_note(import, &wait, verdict, id);
	if (wait.is_pinned && (verdict == INTAKE_TAKEN || verdict == INTAKE_KNOWN))
		pin_set(import, id);
}

static struct bundle_wait *wait_new(struct bundle_import *import, bool is_post, bool is_pinned)
{
	struct bundle_wait *wait = malloc(sizeof(*wait));

	if (!wait)
		return NULL;
	*wait = (struct bundle_wait){import, is_post, is_pinned};
	import->pending_cnt++;
	import->is_busy = false;
	return wait;
}

/* The verdict of what is said inside the call is seen before it returns. */
static int called(struct bundle_import *import)
{
	import->is_calling = false;
	return import->is_busy ? WEFT_EBUSY : 0;
}

static int post_take(struct bundle_import *import, const struct bundle_record *record,
		     uint64_t now_ns)
{
	struct bundle_post of;
	struct post post;
	struct bundle_wait *wait;
	struct intake_ask ask = {.source = INTAKE_IMPORT, .done = on_taken};
	bool is_own;

	if (social_bundle_post_parse(record, &of) < 0 ||
	    social_post_parse(of.post, of.post_len, &post) < 0)
		return WEFT_EMALFORMED;
	is_own = social_own_key(import->params.people, post.author) != NULL;
	ask.parts = (struct post_parts){.post = of.post,
					.claim = of.claim,
					.visibility = of.visibility,
					.post_len = of.post_len,
					.claim_len = of.claim_len,
					.visibility_len = of.visibility_len};
	ask.marks = of.marks & (is_own ? KEPT_MARKS | POST_FORKED | POST_DIRECT : KEPT_MARKS);
	if (!(wait = wait_new(import, true, of.marks & POST_PINNED)))
		return WEFT_EBUSY;
	ask.arg = wait;
	import->is_calling = true;
	social_intake_post(import->params.intake, &ask, now_ns);
	return called(import);
}

static int deletion_take(struct bundle_import *import, const struct bundle_record *record,
			 uint64_t now_ns)
{
	struct bundle_wait *wait = wait_new(import, false, false);
	const struct intake_object object = {.bytes = record->bytes,
					     .len = record->len,
					     .source = INTAKE_IMPORT,
					     .done = on_taken,
					     .arg = wait};

	if (!wait)
		return WEFT_EBUSY;
	import->is_calling = true;
	social_intake_deletion(import->params.intake, &object, now_ns);
	return called(import);
}

static void on_kept(void *arg, int err)
{
	struct bundle_import *import = arg;

	import->pending_cnt--;
	import->has_failed |= err < 0;
	if (import->is_orphan && !import->pending_cnt)
		import_free(import);
}

static struct people_done kept(struct bundle_import *import)
{
	return (struct people_done){on_kept, import};
}

/* A change that was taken is waited for. */
static int waited(struct bundle_import *import, int err)
{
	import->pending_cnt += err == 0;
	return err;
}

/* The persona of a key; one whose key is not here, the node's own. */
static unsigned persona_of(const struct bundle_import *import, const uint8_t *key)
{
	unsigned idx = social_persona_of(import->params.people, key);

	return idx == SOCIAL_PERSONA_NONE ? 0 : idx;
}

static int persona_take(struct bundle_import *import, const struct bundle_record *record,
			uint64_t now_ns)
{
	const struct people_done done = kept(import);
	struct bundle_persona of;
	struct persona_restore restore;

	if (social_bundle_persona_parse(record, &of) < 0)
		return WEFT_EMALFORMED;
	restore = (struct persona_restore){
		.seed = of.seed,
		.draft = {.label = of.label,
			  .is_via_anchors = of.flags & BUNDLE_PERSONA_VIA_ANCHORS},
		.next_seed = of.next_seed,
		.committed_ms = of.committed_ms,
		.shows_follows = of.flags & BUNDLE_PERSONA_SHOWS_FOLLOWS,
		.is_former = of.flags & BUNDLE_PERSONA_FORMER};
	return waited(import,
		      social_persona_restore(import->params.people, &restore, &done, now_ns));
}

static int follow_take(struct bundle_import *import, const struct bundle_record *record,
		       uint64_t now_ns)
{
	const struct people_done done = kept(import);
	struct people *people = import->params.people;
	struct bundle_follow of;
	struct person_follow change;
	int err;

	if (social_bundle_follow_parse(record, &of) < 0)
		return WEFT_EMALFORMED;
	change = (struct person_follow){persona_of(import, of.persona), of.person, of.kind};
	/* How this node follows a person counts. */
	if (social_follow_of(people, change.persona, of.person) != FOLLOW_NONE)
		return WEFT_EEXISTS;
	err = waited(import, social_follow_set(people, &change, &done, now_ns));
	if (err == 0 && *of.petname)
		err = waited(import,
			     social_petname_set(people, of.person, of.petname, &done, now_ns));
	return err;
}

static int answer_take(struct bundle_import *import, const struct bundle_record *record,
		       uint64_t now_ns)
{
	const struct people_done done = kept(import);
	struct request_answer answer;

	if (social_bundle_answer_parse(record, &answer) < 0)
		return WEFT_EMALFORMED;
	return waited(import, social_answer_restore(import->params.people, &answer, &done, now_ns));
}

static int circle_take(struct bundle_import *import, const struct bundle_record *record,
		       uint64_t now_ns)
{
	const struct people_done done = kept(import);
	struct people *people = import->params.people;
	struct bundle_circle of;
	struct circle_draft draft;
	struct profile_change change;
	struct circle_view view;
	int err;

	import->has_circle = false;
	if (social_bundle_circle_parse(record, &of) < 0)
		return WEFT_EMALFORMED;
	draft = (struct circle_draft){persona_of(import, of.persona), of.name, of.rank};
	if (social_circle_find(people, draft.persona, of.name, &view)) {
		memcpy(import->circle, view.id, sizeof(import->circle));
		import->has_circle = true;
		return WEFT_EEXISTS;
	}
	err = waited(import, social_circle_create(people, &draft, &done, now_ns, import->circle));
	if (err < 0)
		return err;
	import->has_circle = true;
	if (!of.has_profile)
		return 0;
	change = (struct profile_change){.persona = draft.persona,
					 .circle = import->circle,
					 .name = of.profile_name,
					 .text = of.profile_text,
					 .picture = of.picture};
	return waited(import, social_profile_set(people, &change, &done, now_ns));
}

static int member_take(struct bundle_import *import, const struct bundle_record *record,
		       uint64_t now_ns)
{
	const struct circle_member member = {import->circle, record->bytes};
	const struct people_done done = kept(import);

	if (!import->has_circle)
		return WEFT_EABSENT;
	return waited(import, social_circle_add(import->params.people, &member, &done, now_ns));
}

static int profile_take(struct bundle_import *import, const struct bundle_record *record,
			uint64_t now_ns)
{
	const struct profile_put put = {
		.bytes = record->bytes, .len = record->len, .done = kept(import)};

	return waited(import, social_profile_put(import->params.people, &put, now_ns));
}

static int feed_take(struct bundle_import *import, const struct bundle_record *record)
{
	struct custom_feed feed = {.made_ms = 0}, former;
	struct bundle_feed of;

	if (social_bundle_feed_parse(record, &of) < 0 || of.name_len >= sizeof(feed.name) ||
	    of.filter_len >= sizeof(feed.filter))
		return WEFT_EMALFORMED;
	memcpy(feed.name, of.name, of.name_len);
	memcpy(feed.filter, of.filter, of.filter_len);
	if (social_feeds_find(import->params.read, feed.name, &former) == 0)
		return WEFT_EEXISTS;
	return social_feeds_put(import->params.read, &feed, (struct post_change_done){0});
}

static int group_take(struct bundle_import *import, const struct bundle_record *record)
{
	struct group_part_view part = {.bytes = record->bytes, .len = record->len};

	if (record->kind == BUNDLE_GROUP) {
		if (record->len > sizeof(import->group))
			return WEFT_EMALFORMED;
		memcpy(import->group, record->bytes, record->len);
		import->group_len = record->len;
		part.part = GROUP_PART_GROUP;
	} else {
		part.part = record->kind == BUNDLE_STATE ? GROUP_PART_STATE : GROUP_PART_SECRET;
		part.of = import->group;
		part.of_len = import->group_len;
	}
	return social_groups_restore(import->params.groups, &part);
}

static int draft_take(struct bundle_import *import, const struct bundle_record *record)
{
	return social_drafts_restore(import->params.write, record->bytes,
				     record->bytes + DRAFT_ID_LEN, record->len - DRAFT_ID_LEN);
}

static int small_take(struct bundle_import *import, const struct bundle_record *record,
		      uint64_t now_ns)
{
	const struct people_done done = kept(import);

	switch (record->kind) {
	case BUNDLE_PERSONA:
		return persona_take(import, record, now_ns);
	case BUNDLE_FOLLOW:
		return follow_take(import, record, now_ns);
	case BUNDLE_CIRCLE:
		return circle_take(import, record, now_ns);
	case BUNDLE_MEMBER:
		return member_take(import, record, now_ns);
	case BUNDLE_BLOCK:
		return waited(import, social_block_set(import->params.people, record->bytes, true,
						       &done, now_ns));
	case BUNDLE_ANSWER:
		return answer_take(import, record, now_ns);
	case BUNDLE_PROFILE:
		return profile_take(import, record, now_ns);
	case BUNDLE_DRAFT:
		return draft_take(import, record);
	case BUNDLE_FEED:
		return feed_take(import, record);
	default:
		return group_take(import, record);
	}
}

static const char *small_why(int err)
{
	switch (err) {
	case WEFT_EFULL:
		return "there is no room for it";
	case WEFT_EREFUSED:
		return "it is blocked, of this node itself, or of a person that is not here";
	case WEFT_EABSENT:
		return "what it belongs to is not here";
	case WEFT_ESTALE:
		return "its time is ahead";
	default:
		return "it follows no format";
	}
}

/* WEFT_EBUSY: the same once more, in a moment. */
static int record_take(struct bundle_import *import, const struct bundle_record *record,
		       uint64_t now_ns)
{
	int err;

	if (record->kind == BUNDLE_POST)
		return post_take(import, record, now_ns);
	if (record->kind == BUNDLE_DELETION)
		return deletion_take(import, record, now_ns);
	err = small_take(import, record, now_ns);
	if (err == WEFT_EBUSY || err == -ENOMEM)
		return WEFT_EBUSY;
	if (err == 0)
		import->count.other_cnt++;
	else if (err == WEFT_EEXISTS)
		import->count.known_cnt++;
	else
		left_note(import, NULL, small_why(err));
	return 0;
}

int social_bundle_apply(struct bundle_import *import, uint64_t now_ns)
{
	import->now_ns = now_ns;
	for (unsigned i = 0; i < APPLY_CNT && import->at < import->loaded_len; i++) {
		struct cursor c =
			cursor_of(import->loaded + import->at, import->loaded_len - import->at);
		struct bundle_record record = {.kind = cursor_u8(&c)};

		record.len = cursor_be32(&c);
		record.bytes = cursor_bytes(&c, record.len);
		if (import->has_failed)
			return -EIO;
		if (import->pending_cnt >= PENDING_MAX ||
		    record_take(import, &record, now_ns) == WEFT_EBUSY)
			return 1;
		import->at += 5 + record.len;
		import->count.at_cnt++;
	}
	if (import->at < import->loaded_len)
		return 1;
	/* What was taken is durable before more of the file is read, and before it ends. */
	return import->pending_cnt ? 1 : import->has_failed ? -EIO : 0;
}
