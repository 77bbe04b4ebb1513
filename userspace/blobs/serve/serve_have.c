/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which contents are here (499). The whole contents of a share of this node or a finished get
 * are known without looking. The items of a manifest that is being fetched are looked up one by
 * one, a few in a turn. So are contents that are asked for one by one.
 *
 *	asked -> load_run in a job: the ids of a manifest
 *	      -> look, some ids in a turn
 *	      -> answer: copied by the mesh if it is short, else lent until the
 *		 peer has acknowledged it
 *
 * A peer has one such question in hand, all together HAVES_MAX; each has its ids in memory that
 * is laid out at start. Any peer with a session may fill that table, and one that acknowledges
 * nothing keeps what it was lent for a minute. So an address may hold three times what is free,
 * a network seven times (base/fair/fair.h); the others get BUSY and ask again. And only
 * HAVES_LONG_MAX at a time may get a long answer. Others get parts of files in runs that are so
 * long that their answer is short.
 */
#include <string.h>

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "blobs/content_message_have.h"
#include "served_index.h"
#include "serve_state.h"
#include "store/store.h"

#define HAVES_MAX      8u
#define HAVES_LONG_MAX 4u
#define HAVE_COPY_MAX  1024u /* what the mesh copies (mesh/seam.h) */
/* Bits of a short answer, and what each file in part costs beside its bits. */
#define HAVE_SHORT_LEN	      960u
#define HAVE_IN_PROGRESS_HEAD 16u
/* Half a millisecond's work in a turn, then as much time for others. */
#define LOOKS_PER_TURN 64u
#define LOOK_EVERY_NS  (NS_PER_MS)
#define HAVE_BUSY_MS   200u
#define HAVE_ALL_CAP   8u /* an answer that says that all is here */

struct have {
	struct job job; /* first */
	struct timer timer;
	struct serve *serve;
	struct fair_item slot; /* while is_used */
	struct addr asker_addr;
	bool is_used;
	bool is_lent;
	bool is_long; /* its answer may have to be lent */
	bool has_job;
	struct mesh_incoming *incoming; /* NULL: the asker left, or was answered */
	uint8_t peer_key[MESH_KEY_LEN];
	uint8_t manifest_id[OBJECT_ID_LEN];
	struct serve_name asked_by;
	bool is_of_parts; /* ids are a root's parts */
	int err;
	uint32_t id_cnt, at;
	uint8_t ids[HAVE_ITEMS_MAX][OBJECT_ID_LEN];
	struct message_have_answer answer; /* its bits lie in bits */
	size_t bits_len;
	uint8_t bits[HAVE_LEN_MAX];
	uint8_t bytes[HAVE_ANSWER_CAP];
};

_Static_assert(HAVE_IDS_MAX <= HAVE_ITEMS_MAX, "room for the ids of a question");

struct have_table {
	struct fair slots;
	struct have haves[HAVES_MAX];
};

static void have_free(struct have *have)
{
	fair_release(&have->serve->haves->slots, &have->slot, have->serve->now_ns);
	have->is_used = have->is_long = false;
}

static void have_refuse(struct have *have, enum mesh_code code, const char *text)
{
	if (have->incoming)
		serve_mesh(have->serve)->answer_error(have->incoming, code, text, 0);
	have_free(have);
}

static void have_given_back(void *arg)
{
	struct have *have = arg;

	struct serve *serve = have->serve;

	have->is_lent = false;
	have_free(have);
	blobs_serve_try_destroy(serve);
}

static void have_send(struct have *have)
{
	struct writer w = writer_of(have->bytes, sizeof(have->bytes));
	struct transport_span tail = {.data = have->bytes, .done = have_given_back, .arg = have};
	struct mesh_incoming *incoming = have->incoming;

	blobs_message_have_answer_write(&w, &have->answer);
	tail.len = writer_len(&w);
	have->incoming = NULL;
	if (tail.len <= HAVE_COPY_MAX) {
		(void)serve_mesh(have->serve)
			->answer(incoming, MESH_HAVE_CONTENT, have->bytes, tail.len, NULL);
		have_free(have);
		return;
	}
	have->is_lent = true;
	if (serve_mesh(have->serve)->answer(incoming, MESH_HAVE_CONTENT, NULL, 0, &tail) < 0)
		have_given_back(have);
}

/* --- one id after the other --- */

bool blobs_serve_has_content(struct serve *serve, struct store_snapshot *snapshot,
			     const uint8_t *id, const struct served_reader *reader,
			     bool counts_changed)
{
	const struct served_index *served_index = blobs_served_index(serve->content);
	const struct object_file *file;
	struct object_locations locations;
	bool is_here = false;

	blobs_object_locations_begin(&locations, snapshot, id);
	while (!is_here && (file = blobs_object_locations_next(&locations)))
		is_here = blobs_served_index_gives_file(served_index, file, reader) &&
			  (counts_changed || !blobs_serve_files_has_changed(&serve->files, file));
	return blobs_object_locations_end(&locations) == 0 && is_here;
}

static bool content_is_here(struct serve *serve, struct store_snapshot *snapshot, const uint8_t *id,
			    const struct served_reader *reader)
{
	return blobs_serve_has_content(serve, snapshot, id, reader, false);
}

bool blobs_serve_gives(struct serve *serve, const uint8_t content_id[static 32],
		       const uint8_t key[static 32])
{
	const struct serve_name name = {.is_blind = false};
	struct served_reader reader = blobs_serve_reader(serve, key, &name);
	struct store_snapshot *snapshot;
	bool is_here;

	if (store_snapshot_open(serve->content->params.store, &snapshot) < 0)
		return false;
	is_here = content_is_here(serve, snapshot, content_id, &reader);
	store_snapshot_close(snapshot);
	return is_here;
}

static bool run_is_here(const struct in_progress_file *partial, uint64_t run, unsigned log2)
{
	uint64_t end = (run + 1) << log2;

	end = end < partial->chunk_cnt ? end : partial->chunk_cnt;
	for (uint64_t chunk = run << log2; chunk < end; chunk++)
		if (!blobs_in_progress_file_has(partial, chunk))
			return false;
	return true;
}

/* For the bits of one more file in part. */
static size_t bits_room(const struct have *have)
{
	size_t len = have->is_long ? HAVE_LEN_MAX : HAVE_SHORT_LEN;
	size_t used = have->bits_len;

	if (!have->is_long)
		used += (have->answer.in_progress_cnt + 1) * HAVE_IN_PROGRESS_HEAD;
	if (used >= len)
		return 0;
	return len - used < HAVE_BITS_LEN_MAX ? len - used : HAVE_BITS_LEN_MAX;
}

/* A file with more chunks than there is room for is listed in longer runs. */
static void in_progress_file_tell(struct have *have, const struct in_progress_file *partial)
{
	struct message_have_file *told = &have->answer.in_progress[have->answer.in_progress_cnt];
	size_t room = bits_room(have);
	unsigned log2 = 0;
	uint64_t run_cnt;

	if (room == 0 || have->answer.in_progress_cnt == HAVE_IN_PROGRESS_MAX ||
	    partial->have_cnt == 0)
		return;
	while ((partial->chunk_cnt - 1) >> log2 >= room * 8)
		log2++;
	run_cnt = ((partial->chunk_cnt - 1) >> log2) + 1;
	*told = (struct message_have_file){.item = have->at,
					   .chunks_log2 = log2,
					   .bits = have->bits + have->bits_len,
					   .bits_len = (size_t)(run_cnt + 7) / 8};
	memset(have->bits + have->bits_len, 0, told->bits_len);
	for (uint64_t run = 0; run < run_cnt; run++)
		if (run_is_here(partial, run, log2))
			have->bits[have->bits_len + run / 8] |= (uint8_t)(1u << run % 8);
	have->bits_len += told->bits_len;
	have->answer.in_progress_cnt++;
}

static void id_look(struct have *have, struct store_snapshot *snapshot)
{
	struct serve *serve = have->serve;
	const uint8_t *id = have->ids[have->at];
	struct served_reader reader = blobs_serve_reader(serve, have->peer_key, &have->asked_by);
	const struct in_progress_file *partial;

	if (have->is_of_parts ? blobs_served_index_gives_whole(blobs_served_index(serve->content),
							       id, &reader)
			      : content_is_here(serve, snapshot, id, &reader)) {
		have->bits[have->at / 8] |= (uint8_t)(1u << have->at % 8);
	} else if (!have->is_of_parts &&
		   (partial = blobs_serve_in_progress_find(serve, id, &reader))) {
		have->answer.is_growing = true;
		in_progress_file_tell(have, partial);
	}
}

static void look(struct timer *timer, uint64_t now_ns)
{
	struct have *have = container_of(timer, struct have, timer);
	uint32_t end = have->at + LOOKS_PER_TURN;
	struct store_snapshot *snapshot;

	if (!have->incoming) {
		have_free(have);
		return;
	}
	if (store_snapshot_open(have->serve->content->params.store, &snapshot) < 0) {
		have_refuse(have, MESH_CODE_INTERNAL, "cannot read");
		return;
	}
	for (; have->at < end && have->at < have->id_cnt; have->at++)
		id_look(have, snapshot);
	store_snapshot_close(snapshot);
	if (have->at < have->id_cnt)
		timer_set(have->serve->content->params.timers, timer, now_ns + LOOK_EVERY_NS);
	else
		have_send(have);
}

static void look_begin(struct have *have, uint64_t at_ns)
{
	have->answer.whole = have->bits;
	have->answer.whole_len = have->bits_len = (have->id_cnt + 7) / 8;
	memset(have->bits, 0, have->bits_len);
	timer_set(have->serve->content->params.timers, &have->timer, at_ns);
}

/* --- the ids of a manifest, in a job --- */

static int ids_of_manifest(struct have *have, const struct manifest *manifest)
{
	uint32_t cnt = manifest->item_cnt ? manifest->item_cnt : manifest->part_cnt;

	have->is_of_parts = !manifest->item_cnt && manifest->part_cnt;
	if (cnt > HAVE_ITEMS_MAX)
		return WEFT_EDAMAGED;
	for (uint32_t i = 0; i < cnt; i++)
		memcpy(have->ids[i],
		       have->is_of_parts ? manifest->parts[i].manifest_id
					 : manifest->items[i].content_id,
		       OBJECT_ID_LEN);
	have->id_cnt = cnt;
	return 0;
}

static void load_run(struct job *job)
{
	struct have *have = (struct have *)job;
	struct stored_manifest stored;

	have->err = blobs_stored_manifest_load(have->serve->content->params.store,
					       have->manifest_id, &stored);
	if (have->err)
		return;
	have->err = ids_of_manifest(have, stored.manifest);
	blobs_stored_manifest_fini(&stored);
}

static void load_done(struct job *job)
{
	struct have *have = (struct have *)job;

	have->has_job = false;
	if (have->err == WEFT_EABSENT)
		have_refuse(have, MESH_CODE_ABSENT, "no such collection here yet");
	else if (have->err || !have->incoming)
		have_refuse(have, MESH_CODE_INTERNAL, "cannot read");
	else
		look_begin(have, 0);
}

static void have_abandoned(void *arg)
{
	((struct have *)arg)->incoming = NULL;
}

static void load_begin(struct have *have)
{
	have->job.run = load_run;
	have->job.done = load_done;
	if (jobs_submit(have->serve->content->params.jobs, &have->job) < 0)
		have_refuse(have, MESH_CODE_BUSY, "busy");
	else
		have->has_job = true;
}

/* --- the question --- */

static struct have *have_find(struct have_table *table, const uint8_t *peer_key)
{
	struct have *unused = NULL;

	for (unsigned i = 0; i < HAVES_MAX; i++) {
		struct have *have = &table->haves[i];

		if (!have->is_used)
			unused = have;
		else if (memcmp(have->peer_key, peer_key, MESH_KEY_LEN) == 0)
			return NULL;
	}
	return unused;
}

/* A place for what is asked, which cannot be taken back; NULL: none for this asker. */
static struct have *have_acquire(struct serve *serve, const struct mesh_call *asked)
{
	struct have_table *table = serve->haves;
	struct have *have = have_find(table, asked->peer_key);
	struct fair_path path;
	struct fair_item *victim;
	enum fair_verdict verdict;

	if (!have)
		return NULL;
	serve_mesh(serve)->asker_path(asked->incoming, &path);
	if (!fair_may_hold(&table->slots, &path, HAVES_MAX - table->slots.held_cnt))
		return NULL;
	verdict = fair_take(&table->slots, &path, &have->slot, serve->now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN); /* there are as many slots as places */
	serve_mesh(serve)->asker_addr(asked->incoming, &have->asker_addr);
	return have;
}

static bool long_is_free(const struct have_table *table)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < HAVES_MAX; i++)
		cnt += table->haves[i].is_long;
	return cnt < HAVES_LONG_MAX;
}

static void ids_take(struct have *have, const struct message_have_request *request)
{
	have->id_cnt = request->id_cnt;
	for (uint32_t i = 0; i < request->id_cnt; i++)
		memcpy(have->ids[i], blobs_message_have_id(request, i), OBJECT_ID_LEN);
}

static void all_tell(struct serve *serve, const struct mesh_call *asked)
{
	static const struct message_have_answer all = {.has_all = true, .whole = (const void *)""};
	uint8_t head[HAVE_ALL_CAP];
	struct writer w = writer_of(head, sizeof(head));

	blobs_message_have_answer_write(&w, &all);
	(void)serve_mesh(serve)->answer(asked->incoming, MESH_HAVE_CONTENT, head, writer_len(&w),
					NULL);
}

static void have_begin(struct have *have, const struct mesh_call *asked,
		       const struct message_have_request *request, const struct serve_name *name)
{
	have->is_used = true;
	have->is_long = long_is_free(have->serve->haves);
	have->is_of_parts = false;
	have->incoming = asked->incoming;
	have->id_cnt = have->at = 0;
	have->answer.has_all = false;
	have->answer.is_growing =
		request->has_manifest &&
		blobs_served_index_is_growing(blobs_served_index(have->serve->content),
					      request->manifest_id);
	have->answer.in_progress_cnt = 0;
	have->asked_by = *name;
	memcpy(have->peer_key, asked->peer_key, MESH_KEY_LEN);
	serve_mesh(have->serve)->abandoned(have->incoming, have_abandoned, have);
	if (request->has_manifest) {
		memcpy(have->manifest_id, request->manifest_id, OBJECT_ID_LEN);
		load_begin(have);
	} else {
		ids_take(have, request);
		look_begin(have, 0);
	}
}

void blobs_serve_have_asked(void *ctx, const struct mesh_call *asked, uint64_t now_ns)
{
	struct serve *serve = ctx;
	const struct served_index *served_index = blobs_served_index(serve->content);
	struct serve_name name = {.is_blind = false};
	struct message_have_request request;
	uint8_t manifest_id[OBJECT_ID_LEN];
	struct served_reader reader;
	struct have *have;

	serve->now_ns = now_ns;
	if (blobs_message_have_request_parse(asked->payload, asked->payload_len, &request) < 0) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_MALFORMED, "malformed",
						0);
		return;
	}
	if (request.veiled) {
		memcpy(manifest_id, request.manifest_id, sizeof(manifest_id));
		blobs_serve_unblind(serve, manifest_id, request.veiled, &name);
		request.manifest_id = manifest_id;
	}
	reader = blobs_serve_reader(serve, asked->peer_key, &name);
	if (request.has_manifest &&
	    !blobs_served_index_gives_manifest(served_index, request.manifest_id, &reader)) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_ABSENT,
						"no such collection here", 0);
		return;
	}
	if (request.has_manifest &&
	    blobs_served_index_gives_whole(served_index, request.manifest_id, &reader)) {
		all_tell(serve, asked);
		return;
	}
	have = have_acquire(serve, asked);
	if (have) {
		have_begin(have, asked, &request, &name);
	} else {
		serve->refused_busy_cnt++;
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_BUSY, "busy",
						HAVE_BUSY_MS);
	}
}

int blobs_have_table_init(struct serve *serve, const uint64_t secret[2])
{
	const struct fair_config slots = {.name = "questions which contents are here",
					  .kind = FAIR_WORK,
					  .cap_cnt = HAVES_MAX,
					  .level_cnt = FAIR_PEER_LEVELS};
	struct have_table *haves = arena_alloc(&serve->arena, sizeof(*haves));

	if (!haves)
		return WEFT_EFULL;
	for (unsigned i = 0; i < HAVES_MAX; i++) {
		haves->haves[i].serve = serve;
		timer_init(&haves->haves[i].timer, look);
	}
	serve->haves = haves;
	return fair_init(&haves->slots, &serve->arena, &slots, secret);
}

void blobs_have_table_read(const struct have_table *haves, struct fair_view *out_view,
			   struct addr *out_largest)
{
	const struct fair_item *item = fair_largest(&haves->slots);

	fair_read(&haves->slots, out_view);
	*out_largest = item ? container_of(item, struct have, slot)->asker_addr
			    : (struct addr){.family = ADDR_NONE};
}

bool blobs_have_table_has_jobs(const struct have_table *haves)
{
	for (unsigned i = 0; haves && i < HAVES_MAX; i++)
		if (haves->haves[i].has_job)
			return true;
	return false;
}

bool blobs_have_table_is_lent(const struct have_table *haves)
{
	for (unsigned i = 0; haves && i < HAVES_MAX; i++)
		if (haves->haves[i].is_lent)
			return true;
	return false;
}

void blobs_have_table_stop(struct have_table *haves)
{
	for (unsigned i = 0; haves && i < HAVES_MAX; i++) {
		struct have *have = &haves->haves[i];

		timer_cancel(have->serve->content->params.timers, &have->timer);
		if (have->is_used && !have->is_lent)
			have_free(have);
	}
}
