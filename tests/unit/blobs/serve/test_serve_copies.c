/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy of a content is served: changed ones, others, and those of gets and shares. */
#include "base/byte_cursor.h"
#include "blobs/object.h"
#include "blobs/serve/serve_file.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/serve_state.h"
#include "store/store.h"
#include "serve_rig.h"

static struct question q;

static void check_change(const char *command_text)
{
	char command[2 * SCRATCH_CAP];
	struct blobs_stats stats;

	CHECK(duo_begin());
	/* Once before, so that the file is open already. */
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	snprintf(command, sizeof(command), "cd %s && %s", duo_path(&duo, "in"), command_text);
	CHECK_EQ(system(command), 0);
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.code, MESH_CODE_CHANGED);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.changed_cnt, 1);
	CHECK_EQ(duo.nodes[DUO_A].event_cnt[BLOBS_FILE_CHANGED], 1);
	/* Its record goes soon, the reason is told all the same, and the other file is served. */
	for (unsigned i = 0; i < 20; i++)
		(void)duo_turn(&duo);
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.code, MESH_CODE_CHANGED);
	ask(&q, MESH_GET_CHUNK, big_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	duo_fini(&duo);
}

static void test_changed_file_is_never_served(void)
{
	static const char *const changes[] = {
		"printf X | dd of=small bs=1 conv=notrunc status=none",
		"printf X | dd of=small bs=1 conv=notrunc status=none && touch -d @1700000000 "
		"small",
		"echo more >> small",
		"truncate -s 10 small",
		"touch small",
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]) && !check_failed; i++) {
		check_change(changes[i]);
		if (check_failed)
			printf("# after %s\n", changes[i]);
	}
}

static void record_read(const char *name, struct object_file *out_file)
{
	struct store_snapshot *snapshot;

	CHECK_EQ(store_snapshot_open(duo.nodes[DUO_A].store, &snapshot), 0);
	CHECK_EQ(blobs_object_file_get(snapshot, duo_path(&duo, name), out_file), 0);
	store_snapshot_close(snapshot);
}

static int chunk_ask(uint64_t idx)
{
	ask(&q, MESH_GET_CHUNK, big_id, idx, 0);
	return answered(&q) ? q.err : 1;
}

static bool big_is_racy(void)
{
	struct object_file file;

	for (unsigned i = 0; i < 20; i++)
		(void)duo_turn(&duo);
	record_read("in/big", &file);
	return file.is_racy;
}

/* The ctime of a test's file is always fresh: its record is racy. */
static void test_fresh_file_is_trusted_when_all_of_it_was_verified_later(void)
{
	struct object_file file;
	uint64_t written_s;

	CHECK(duo_begin());
	CHECK(big_is_racy());
	record_read("in/big", &file);
	written_s = (uint64_t)file.stamp.ctime_ns / NS_PER_S;
	duo.nodes[DUO_A].wall_s = written_s + 2;
	for (uint64_t idx = 0; idx < 4; idx++)
		CHECK_EQ(chunk_ask(idx), 0);
	CHECK(big_is_racy());
	duo.nodes[DUO_A].wall_s = written_s + 3;
	for (uint64_t idx = 0; idx < 3; idx++)
		CHECK_EQ(chunk_ask(idx), 0);
	CHECK_EQ(chunk_ask(0), 0);
	CHECK(big_is_racy());
	CHECK_EQ(chunk_ask(3), 0);
	CHECK(!big_is_racy());
	CHECK_EQ(chunk_ask(3), 0);
	duo_fini(&duo);
}

/* The last chunk changes and the stamp does not, as within one tick of a file system's clock. */
static void test_change_without_a_new_stamp_is_never_served(void)
{
	struct object_file file;
	char command[2 * SCRATCH_CAP];
	struct store_batch *batch;
	struct stat st;

	CHECK(duo_begin());
	snprintf(command, sizeof(command),
		 "printf X | dd of=%s bs=1 seek=%u conv=notrunc status=none",
		 duo_path(&duo, "in/big"), BIG_LEN - 1);
	CHECK_EQ(system(command), 0);
	CHECK_EQ(stat(duo_path(&duo, "in/big"), &st), 0);
	record_read("in/big", &file);
	blobs_object_stamp_of(&st, &file.stamp);
	batch = store_batch_new(duo.nodes[DUO_A].store);
	blobs_object_file_put(batch, &file, &file);
	CHECK_EQ(store_submit(duo.nodes[DUO_A].store, batch, NULL, NULL), 0);
	store_flush(duo.nodes[DUO_A].store);
	duo.nodes[DUO_A].wall_s = (uint64_t)st.st_ctim.tv_sec + 3;
	for (uint64_t idx = 0; idx < 3; idx++)
		CHECK_EQ(chunk_ask(idx), 0);
	CHECK(chunk_ask(3) != 0);
	CHECK_EQ(q.code, MESH_CODE_CHANGED);
	duo_fini(&duo);
}

/* A file that was put elsewhere is still served to a peer that has it open, if it is the same. */
static void test_replaced_or_removed_file_is_noticed_when_opened(void)
{
	static const char *const changes[] = {
		"rm small",
		"rm small && mkdir small",
		"cp small other && mv other small",
		"mv small gone && ln -s gone small",
		"rm small && mkfifo small",
	};
	char command[2 * SCRATCH_CAP];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		CHECK(duo_begin());
		snprintf(command, sizeof(command), "cd %s && %s", duo_path(&duo, "in"), changes[i]);
		CHECK_EQ(system(command), 0);
		ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
		CHECK(answered(&q));
		if (q.code != MESH_CODE_CHANGED)
			printf("# after %s\n", changes[i]);
		CHECK_EQ(q.code, MESH_CODE_CHANGED);
		duo_fini(&duo);
	}
}

static void test_other_copy_is_served_when_one_changed(void)
{
	uint8_t id[32];

	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	file_make("in/copy1", 1000, 1, small_id);
	file_make("in/copy2", 1000, 1, small_id);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &shared));
	for (unsigned i = 1; i <= 2; i++) {
		ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
		CHECK(answered(&q));
		CHECK_EQ(q.err, 0);
		file_make(i == 1 ? "in/copy1" : "in/copy2", 1000, 2, id);
	}
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK(q.code == MESH_CODE_CHANGED || q.code == MESH_CODE_ABSENT);
	duo_fini(&duo);
}

/* The name of the copy that is looked at last: in the order of their paths' keys. */
static unsigned last_copy(unsigned cnt)
{
	uint8_t key[32], last[32] = {0};
	unsigned found = 0;
	char name[32];

	for (unsigned i = 0; i < cnt; i++) {
		snprintf(name, sizeof(name), "in/copy%u", i);
		blobs_object_path_key(duo_path(&duo, name), key);
		if (memcmp(key, last, sizeof(key)) <= 0)
			continue;
		memcpy(last, key, sizeof(key));
		found = i;
	}
	return found;
}

/* Those before it are forgotten one by one, while the question looks at the next. */
static void test_last_copy_is_served_when_those_before_it_changed(void)
{
	uint8_t id[32];
	char name[32];

	for (unsigned cnt = 2; cnt <= 14; cnt++) {
		unsigned kept;

		duo_init(&duo);
		mkdir(duo_path(&duo, "in"), 0755);
		for (unsigned i = 0; i < cnt; i++) {
			snprintf(name, sizeof(name), "in/copy%u", i);
			file_make(name, 1000, 1, small_id);
		}
		CHECK(duo_share(&duo, duo_path(&duo, "in"), &shared));
		kept = last_copy(cnt);
		for (unsigned i = 0; i < cnt; i++) {
			snprintf(name, sizeof(name), "in/copy%u", i);
			if (i != kept)
				file_make(name, 1000, 2, id);
		}
		ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
		CHECK(answered(&q));
		CHECK_EQ(q.err, 0);
		duo_fini(&duo);
	}
}

/* More files than are kept open at once. */
static void test_many_files_are_served_in_turn(void)
{
	static uint8_t ids[SERVE_FILES_MAX + 5][32];
	char name[32];

	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	for (unsigned i = 0; i < SERVE_FILES_MAX + 5; i++) {
		snprintf(name, sizeof(name), "in/%u", i);
		file_make(name, 100 + i, 100 + i, ids[i]);
	}
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &shared));
	for (unsigned i = 0; i < 3 * SERVE_FILES_MAX; i++) {
		ask(&q, MESH_GET_CHUNK, ids[i % (SERVE_FILES_MAX + 5)], 0, 0);
		CHECK(answered(&q));
		CHECK_EQ(q.err, 0);
	}
	duo_fini(&duo);
}

/* As it is long after, behind a boot: the device of the same file has another number. */
static void device_renumber(const char *path)
{
	struct store *store = duo.nodes[DUO_A].store;
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *snapshot;
	static struct object_file file;

	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	CHECK_EQ(blobs_object_file_get(snapshot, path, &file), 0);
	store_snapshot_close(snapshot);
	file.is_racy = false;
	file.stamp.dev++;
	blobs_object_file_put(batch, &file, NULL);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
}

static void test_file_is_served_when_its_device_has_another_number(void)
{
	struct blobs_stats stats;

	CHECK(duo_begin());
	device_renumber(duo_path(&duo, "in/small"));
	/* Sharing again finds nothing to do, as the file is the same. */
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &shared));
	CHECK_EQ(duo.import.reused_cnt, 1);
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.changed_cnt, 0);
	duo_fini(&duo);
}

/* The getter is asked for a chunk, as a node of its own. */
static void getter_ask(const uint8_t *id, uint64_t first)
{
	struct message_request request = {.first = first};
	uint8_t payload[MESSAGE_REQUEST_CAP];
	struct mesh_ask raw = {.type = MESH_GET_CHUNK,
			       .payload = payload,
			       .timeout_ns = NS_PER_S,
			       .reply = on_reply,
			       .arg = &q,
			       .reply_buf = q.buf,
			       .reply_cap = sizeof(q.buf)};

	memcpy(request.id, id, sizeof(request.id));
	raw.payload_len = blobs_message_request_write(MESH_GET_CHUNK, &request, payload);
	q.is_answered = false;
	CHECK_EQ(duo_ops()->ask(&duo.nodes[DUO_A].mesh, &raw, duo.now_ns, &q.request), 0);
	CHECK(answered(&q));
}

static void getter_get(const struct link *link, const char *target)
{
	uint64_t id = duo_get_start(&duo, link, target);

	CHECK(id);
	CHECK_EQ(duo_run(&duo, id, 100000)->state, BLOBS_GET_FINISHED);
}

static void test_getter_serves_what_it_got(void)
{
	CHECK(duo_begin());
	getter_get(&shared, "out");
	getter_ask(big_id, 1);
	CHECK_EQ(q.err, 0);
	hash_of(BIG_LEN, 2, big_id);
	CHECK_MEM(q.buf + q.len - BLAKE3_CHUNK_LEN, bytes + BLAKE3_CHUNK_LEN, BLAKE3_CHUNK_LEN);
	duo_fini(&duo);
}

static void on_shared(void *arg, int err, const struct blobs_import *import, const char *detail)
{
	(void)detail;
	CHECK_EQ(err, 0);
	memcpy(arg, import->manifest_id, 32);
}

static void turns(void)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!duo_turn(&duo))
			duo.now_ns += NS_PER_MS;
}

/* The getter shares a folder of its own, lets it be known, and takes the share back. */
static void getter_share_and_remove(const char *name)
{
	struct blobs *content = duo.nodes[DUO_B].content;
	uint8_t manifest_id[32] = {0};
	struct blobs_share_ask share = {
		.path = duo_path(&duo, name), .done = on_shared, .arg = manifest_id};
	uint64_t id;

	CHECK_EQ(blobs_share_add(content, &share, duo.now_ns, &id), 0);
	turns();
	CHECK_EQ(blobs_share_remove(content, manifest_id, NULL, NULL), 0);
	turns();
}

/* A get brings its files into a folder that holds others, once shared. */
static void test_removed_share_below_a_target_is_not_served(void)
{
	CHECK(duo_begin());
	mkdir(duo_path(&duo, "out"), 0755);
	mkdir(duo_path(&duo, "out/own"), 0755);
	file_make("out/own/x", 700, 9, private_id);
	getter_share_and_remove("out/own");
	getter_get(&shared, "out");
	getter_ask(private_id, 0);
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	getter_ask(small_id, 0);
	CHECK_EQ(q.err, 0);
	duo_fini(&duo);
}

/* What a share knew already is the get's too, and stays it when that share goes. */
static void test_file_of_a_get_is_served_after_a_share_of_it_went(void)
{
	CHECK(duo_begin());
	getter_get(&shared, "out");
	getter_share_and_remove("out");
	getter_ask(small_id, 0);
	CHECK_EQ(q.err, 0);
	mkdir(duo_path(&duo, "out2"), 0755);
	file_make("out2/small", 1000, 1, small_id);
	file_make("out2/big", BIG_LEN, 2, big_id);
	getter_share_and_remove("out2");
	CHECK_EQ(unlink(duo_path(&duo, "out/small")), 0);
	getter_ask(small_id, 0);
	CHECK_EQ(q.code, MESH_CODE_CHANGED);
	getter_get(&shared, "out2");
	getter_ask(small_id, 0);
	CHECK_EQ(q.err, 0);
	duo_fini(&duo);
}

/* Other bytes under the same name are no part of what was got. */
static void test_changed_file_of_a_get_goes_with_its_share(void)
{
	CHECK(duo_begin());
	getter_get(&shared, "out");
	file_make("out/small", 800, 11, private_id);
	getter_share_and_remove("out");
	getter_ask(private_id, 0);
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_changed_file_is_never_served);
	RUN(test_fresh_file_is_trusted_when_all_of_it_was_verified_later);
	RUN(test_change_without_a_new_stamp_is_never_served);
	RUN(test_replaced_or_removed_file_is_noticed_when_opened);
	RUN(test_other_copy_is_served_when_one_changed);
	RUN(test_last_copy_is_served_when_those_before_it_changed);
	RUN(test_many_files_are_served_in_turn);
	RUN(test_file_is_served_when_its_device_has_another_number);
	RUN(test_getter_serves_what_it_got);
	RUN(test_removed_share_below_a_target_is_not_served);
	RUN(test_file_of_a_get_is_served_after_a_share_of_it_went);
	RUN(test_changed_file_of_a_get_goes_with_its_share);
	return check_done();
}
