/* SPDX-License-Identifier: Apache-2.0 */
/* What is bound to communities is given to their members alone, by every message that asks for it. */
#include <sys/stat.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/scope.h"
#include "blobs/blobs_state.h"
#include "blobs/content_message.h"
#include "blobs/content_message_have.h"
#include "blobs/content_message_holders.h"
#include "blobs/serve/in_progress.h"
#include "blobs/serve/servers.h"
#include "blobs/serve/served_index.h"
#include "blobs/serve/serve.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

#define BIG_LEN	  (2u * BLAKE3_CHUNK_LEN + 12345)
#define REPLY_CAP (BLAKE3_CHUNK_LEN + 8192)

static struct duo duo;
static struct link shared;
static uint8_t bytes[BIG_LEN], big_id[32], reply[REPLY_CAP];
static const uint8_t community[32] = {'c'};

static bool is_blinded; /* what is asked for is named blindly, by blinder */
static struct blind_key blinder;

static bool is_member; /* the asker, as the holder sees it */
static unsigned asked_cnt;

static bool admits(struct store *store, const uint8_t id[static 32],
		   const uint8_t key[static MESH_KEY_LEN], uint64_t wall_s)
{
	(void)store, (void)wall_s;
	asked_cnt++;
	return is_member && id[0] == 'c' && key[0] == duo.nodes[DUO_B].key[0];
}

static bool duo_begin(void)
{
	struct random random;

	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	random_init_seeded(&random, 1);
	random_fill(&random, bytes, BIG_LEN);
	blake3_hash(bytes, BIG_LEN, big_id);
	scratch_write(duo_path(&duo, "in/big"), bytes, BIG_LEN);
	duo.nodes[DUO_A].content->params.admits = admits;
	is_member = is_blinded = false;
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

/* What A's share would make reachable, within scope; and openly, too. */
static void served_index_set(const struct scope *scope, bool is_open_too)
{
	struct served_index *served_index = blobs_served_index_new();
	struct scope open = {0};

	if (!served_index || blobs_served_index_set_scope(served_index, scope) < 0 ||
	    blobs_served_index_add_whole(served_index, shared.manifest_id) < 0 ||
	    blobs_served_index_add_share(served_index, duo_path(&duo, "in"), shared.manifest_id) <
		    0 ||
	    (is_open_too &&
	     (blobs_served_index_set_scope(served_index, &open) < 0 ||
	      blobs_served_index_add_share(served_index, duo_path(&duo, "in/big"), community) < 0)))
		abort();
	blobs_served_index_seal(served_index);
	blobs_take_served(duo.nodes[DUO_A].content, served_index);
	duo.nodes[DUO_A].content->is_served_stale = false;
}

static struct scope members_only(void)
{
	struct scope scope = {.cnt = 1};

	memcpy(scope.ids[0], community, sizeof(scope.ids[0]));
	return scope;
}

/* --- asking --- */

static struct {
	bool is_answered;
	int err;
	enum mesh_code code;
	size_t len;
} got;

static void on_reply(void *arg, const struct mesh_reply *answer, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	got.is_answered = true;
	got.err = answer->err;
	got.code = answer->code;
	got.len = answer->payload_len;
}

static bool asked(unsigned type, const uint8_t *payload, size_t len)
{
	struct mesh_request *request;
	struct mesh_ask ask = {.type = type,
			       .payload = payload,
			       .payload_len = len,
			       .reply_buf = reply,
			       .reply_cap = sizeof(reply),
			       .timeout_ns = 60 * NS_PER_S,
			       .reply = on_reply};

	got.is_answered = false;
	(void)!duo_ops()->ask(&duo.nodes[DUO_B].mesh, &ask, duo.now_ns, &request);
	for (unsigned i = 0; i < 2000 && !got.is_answered; i++)
		if (!duo_turn(&duo))
			duo.now_ns += NS_PER_MS;
	return got.is_answered;
}

static size_t name_write(const uint8_t *id, uint8_t name[static BLIND_ID_LEN])
{
	memcpy(name, id, 32);
	if (is_blinded)
		blobs_blind_id_write(&blinder, id, name);
	return is_blinded ? BLIND_ID_LEN : 32;
}

static bool bytes_asked(unsigned type)
{
	struct message_request request = {.first = 0, .cnt = 1, .is_blind = is_blinded};
	uint8_t payload[128], name[BLIND_ID_LEN];

	(void)name_write(type == MESH_GET_MANIFEST ? shared.manifest_id : big_id, name);
	memcpy(request.id, name, 32);
	memcpy(request.veiled, name + 32, 32);
	return asked(type, payload, blobs_message_request_write(type, &request, payload));
}

static bool have_asked(bool is_of_manifest)
{
	static uint8_t payload[HAVE_REQUEST_CAP], name[BLIND_ID_LEN];
	struct writer w = writer_of(payload, sizeof(payload));

	if (is_of_manifest)
		blobs_message_have_ask_manifest(&w, name, name_write(shared.manifest_id, name));
	else
		blobs_message_have_ask_ids(&w, (const uint8_t(*)[32])big_id, 1);
	return asked(MESH_HAVE_CONTENT, payload, writer_len(&w));
}

static bool holders_asked(const uint8_t *id)
{
	struct message_holders_request request = {.is_serving = true, .is_blind = is_blinded};
	static uint8_t payload[HOLDERS_REQUEST_CAP];
	uint8_t name[BLIND_ID_LEN];
	struct writer w = writer_of(payload, sizeof(payload));

	(void)name_write(id, name);
	memcpy(request.id, name, 32);
	memcpy(request.veiled, name + 32, 32);
	blobs_message_holders_request_write(&w, &request);
	return asked(MESH_HOLDERS, payload, writer_len(&w));
}

static bool has_big(void)
{
	struct message_have_answer answer;

	return have_asked(false) && got.err == 0 &&
	       blobs_message_have_answer_parse(reply, got.len, &answer) == 0 &&
	       (answer.in_progress_cnt > 0 || blobs_message_have_has_item(&answer, 0));
}

static const unsigned of_bytes[] = {MESH_GET_MANIFEST, MESH_GET_CHUNK, MESH_GET_CHUNK_HASHES,
				    MESH_RANGE_PROOF};
#define OF_BYTES_CNT (sizeof(of_bytes) / sizeof(of_bytes[0]))

/* Everything there is to ask says what it says of a thing that is not here. */
static void check_absent(void)
{
	for (size_t i = 0; i < OF_BYTES_CNT; i++) {
		CHECK(bytes_asked(of_bytes[i]));
		CHECK_EQ(got.code, MESH_CODE_ABSENT);
	}
	CHECK(have_asked(true));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
	CHECK(!has_big());
	CHECK(holders_asked(shared.manifest_id));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
	CHECK(holders_asked(big_id));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
}

static void check_given(void)
{
	for (size_t i = 0; i < OF_BYTES_CNT; i++) {
		CHECK(bytes_asked(of_bytes[i]));
		CHECK_EQ(got.err, 0);
	}
	CHECK(have_asked(true));
	CHECK_EQ(got.err, 0);
	CHECK(has_big());
	CHECK(holders_asked(shared.manifest_id));
	CHECK_EQ(got.err, 0);
}

static void test_a_peer_outside_the_community_hears_that_it_is_not_here(void)
{
	struct scope scope = members_only();

	CHECK(duo_begin());
	served_index_set(&scope, false);
	check_absent();
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, shared.manifest_id), 0);
	is_member = true;
	check_given();
	/* Nothing that was opened or read for a member helps another. */
	is_member = false;
	check_absent();
	duo_fini(&duo);
}

static void test_member_of_another_community_is_none(void)
{
	struct scope scope = {.cnt = 2, .ids = {{'a'}, {'b'}}};

	CHECK(duo_begin());
	is_member = true;
	served_index_set(&scope, false);
	check_absent();
	duo_fini(&duo);
}

static void test_unknown_scope_admits_no_peer(void)
{
	struct scope scope = members_only();

	CHECK(duo_begin());
	scope.is_closed = true;
	is_member = true;
	served_index_set(&scope, false);
	check_absent();
	duo_fini(&duo);
}

static void test_file_that_is_open_elsewhere_is_given_to_all(void)
{
	struct scope scope = members_only();

	CHECK(duo_begin());
	served_index_set(&scope, true);
	CHECK(bytes_asked(MESH_GET_CHUNK));
	CHECK_EQ(got.err, 0);
	CHECK(has_big());
	CHECK(bytes_asked(MESH_GET_MANIFEST));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
	duo_fini(&duo);
}

/* A get that seeds while it runs: the same rule. */
static void test_file_being_fetched_has_the_scope_of_its_get(void)
{
	struct scope scope = members_only();
	uint8_t rare_id[32] = {9}, hashes[3 * 32] = {0};
	struct message_request request = {.first = 0, .cnt = 1};
	struct in_progress *in_progress;
	struct in_progress_file *partial;
	uint8_t payload[128];
	size_t len;

	CHECK(duo_begin());
	served_index_set(&scope, false);
	in_progress = blobs_serve_in_progress(duo.nodes[DUO_A].content->serve);
	partial = blobs_in_progress_add(in_progress, rare_id, BIG_LEN, 0, hashes);
	CHECK(partial);
	memcpy(request.id, rare_id, 32);
	len = blobs_message_request_write(MESH_GET_CHUNK_HASHES, &request, payload);
	is_member = true; /* no peer may have a file that no get names */
	CHECK(asked(MESH_GET_CHUNK_HASHES, payload, len));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
	blobs_in_progress_file_set_manifest(partial, shared.manifest_id);
	CHECK(asked(MESH_GET_CHUNK_HASHES, payload, len));
	CHECK_EQ(got.err, 0);
	is_member = false;
	CHECK(asked(MESH_GET_CHUNK_HASHES, payload, len));
	CHECK_EQ(got.code, MESH_CODE_ABSENT);
	blobs_in_progress_drop(in_progress, partial);
	duo_fini(&duo);
}

/* The look into the store is made for what is bound alone. */
static void test_what_is_open_asks_for_no_membership(void)
{
	CHECK(duo_begin());
	asked_cnt = 0;
	check_given();
	CHECK_EQ(asked_cnt, 0);
	duo_fini(&duo);
}

/* --- blinded names --- */

static struct blind_key holder_keys[2]; /* the current one and the one before */
static unsigned holder_key_cnt;

static int keys_of_holder(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			  struct blind_keys *keys)
{
	(void)store, (void)seal, (void)wall_s;
	blobs_blind_keys_clear(keys);
	for (unsigned i = 0; i < holder_key_cnt; i++)
		*blobs_blind_keys_add(keys) = holder_keys[i];
	return 0;
}

static struct blind_key key_of(uint8_t seed, uint8_t community_name)
{
	struct blind_key made = {.community = {community_name}};

	memset(made.blind, seed, sizeof(made.blind));
	memset(made.veil, seed + 1, sizeof(made.veil));
	return made;
}

/* The holder looks again after a moment. */
static void keys_set(unsigned cnt, const struct blind_key *keys)
{
	holder_key_cnt = cnt;
	memcpy(holder_keys, keys, cnt * sizeof(*keys));
	duo.now_ns += NS_PER_S;
}

/* What A's share would make reachable, and of which A has keys. */
static bool blind_begin(unsigned cnt, const struct blind_key *keys)
{
	struct scope scope = members_only();

	if (!duo_begin())
		return false;
	duo.nodes[DUO_A].content->params.blind_keys = keys_of_holder;
	keys_set(cnt, keys);
	served_index_set(&scope, false);
	return true;
}

static void check_blind_given(void)
{
	for (size_t i = 0; i < OF_BYTES_CNT; i++) {
		struct message_answer answer;

		CHECK(bytes_asked(of_bytes[i]));
		CHECK_EQ(got.err, 0);
		CHECK_EQ(blobs_message_answer_parse(of_bytes[i] == MESH_RANGE_PROOF
							    ? MESH_RANGE_PROOF
							    : of_bytes[i] + 1,
						    reply, got.len, &answer),
			 0);
		CHECK(memcmp(answer.id, big_id, 32) != 0);
		CHECK(memcmp(answer.id, shared.manifest_id, 32) != 0);
	}
	CHECK(have_asked(true));
	CHECK_EQ(got.err, 0);
	CHECK(holders_asked(shared.manifest_id));
	CHECK_EQ(got.err, 0);
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, shared.manifest_id), 1);
}

static void test_leaked_hash_asks_nothing_even_of_a_member(void)
{
	struct blind_key keys[] = {key_of(1, 'c')};

	CHECK(blind_begin(1, keys));
	is_member = true;
	check_absent();
	/* Nor does the epoch key to one that is no member. */
	blinder = keys[0];
	is_blinded = true;
	is_member = false;
	check_absent();
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, shared.manifest_id), 0);
	is_member = true;
	check_blind_given();
	duo_fini(&duo);
}

static void test_blinded_names_of_the_epoch_before_end_with_the_grace(void)
{
	struct blind_key keys[] = {key_of(3, 'c'), key_of(1, 'c')};

	CHECK(blind_begin(2, keys));
	is_member = is_blinded = true;
	blinder = keys[1];
	check_blind_given();
	keys_set(1, keys);
	check_absent();
	blinder = keys[0];
	check_blind_given();
	duo_fini(&duo);
}

static void test_epoch_key_of_another_community_names_nothing(void)
{
	struct blind_key keys[] = {key_of(1, 'c'), key_of(5, 'd')};

	CHECK(blind_begin(2, keys));
	is_member = is_blinded = true;
	blinder = keys[1];
	check_absent();
	duo_fini(&duo);
}

/* The roll is here and its key is not yet: a plain id says nothing all the same. */
static void test_epoch_without_a_key_takes_no_plain_ids(void)
{
	struct blind_key keys[] = {{.community = {'c'}, .is_missing = true}};

	CHECK(blind_begin(1, keys));
	is_member = true;
	check_absent();
	is_blinded = true;
	blinder = keys[0]; /* of zeros */
	check_absent();
	duo_fini(&duo);
}

/* A member fetches: by the right name at once, and by that of the epoch before where the holder is behind. */
static void check_gets(unsigned key_cnt, const struct blind_key *keys, bool is_got)
{
	struct blind_key asker_keys[] = {key_of(3, 'c'), key_of(1, 'c')};
	struct blobs_ways ways;
	uint8_t name[BLIND_ID_LEN];
	struct scope scope = members_only();
	bool is_found = false;

	CHECK(blind_begin(2, asker_keys));
	blobs_ways_to(duo.nodes[DUO_A].content, &scope, duo.nodes[DUO_B].key, duo.now_ns, &ways);
	CHECK_EQ(ways.cnt, 2);
	keys_set(key_cnt, keys);
	is_member = is_blinded = true;
	for (unsigned i = 0; i < ways.cnt; i++) {
		CHECK_EQ(blobs_name(&ways, i, big_id, name), BLIND_ID_LEN);
		blinder = asker_keys[i];
		CHECK(bytes_asked(MESH_GET_CHUNK));
		is_found |= got.err == 0;
	}
	CHECK_EQ(is_found, is_got);
	duo_fini(&duo);
}

static void test_asker_has_a_name_of_each_epoch_and_none_that_is_plain(void)
{
	struct blind_key newest[] = {key_of(3, 'c')}, older[] = {key_of(1, 'c')},
			 other[] = {key_of(9, 'c')};

	check_gets(1, newest, true);
	check_gets(1, older, true);
	check_gets(1, other, false);
}

int main(void)
{
	RUN(test_leaked_hash_asks_nothing_even_of_a_member);
	RUN(test_blinded_names_of_the_epoch_before_end_with_the_grace);
	RUN(test_epoch_key_of_another_community_names_nothing);
	RUN(test_epoch_without_a_key_takes_no_plain_ids);
	RUN(test_asker_has_a_name_of_each_epoch_and_none_that_is_plain);
	RUN(test_a_peer_outside_the_community_hears_that_it_is_not_here);
	RUN(test_member_of_another_community_is_none);
	RUN(test_unknown_scope_admits_no_peer);
	RUN(test_file_that_is_open_elsewhere_is_given_to_all);
	RUN(test_file_being_fetched_has_the_scope_of_its_get);
	RUN(test_what_is_open_asks_for_no_membership);
	return check_done();
}
