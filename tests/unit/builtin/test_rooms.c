/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of rooms: own ones that are sealed, and others' that are kept, over a mesh of the test's. */
#include "crypto/blake3/blake3.h"
#include "builtin_rig.h"
#include "builtin/pods/pod_chat.h"

#define CHAT(who, method, ...) rig_call(BUILTIN_POD_CHAT, who, method, json_pack(__VA_ARGS__))
#define HOST_ID		       "pod:00112233445566778899aabbccddeeff"

static char pod[POD_ID_LEN + 1];

/* ---- the mesh ---- */

static struct {
	mesh_handler_fn handlers[512];
	void *ctx[512];
	struct mesh_ask ask; /* the one under way */
	bool is_asked;
	uint8_t payload[256];
	uint8_t answer[ROOM_SEGMENT_LEN_MAX + 2048]; /* of this node */
	size_t answer_len;
	enum mesh_code code; /* 0: it was an answer */
	void (*lent[64])(void *arg);
	void *lent_arg[64];
	unsigned lent_cnt;
	unsigned asker; /* of the call that is handed in */
} fake;

static int fake_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	(void)mesh, (void)now_ns;
	fake.ask = *ask;
	fake.is_asked = true;
	memcpy(fake.payload, ask->payload, ask->payload_len);
	*out_request = (struct mesh_request *)&fake;
	return 0;
}

static void fake_cancel(struct mesh_request *request)
{
	(void)request;
	fake.is_asked = false;
}

static int fake_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh;
	fake.handlers[type] = handler;
	fake.ctx[type] = ctx;
	return 0;
}

static int fake_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		       size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)type, (void)head, (void)head_len;
	memcpy(fake.answer, tail->data, tail->len);
	fake.answer_len = tail->len;
	fake.code = 0;
	fake.lent[fake.lent_cnt] = tail->done;
	fake.lent_arg[fake.lent_cnt++] = tail->arg;
	return 0;
}

static void fake_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			      uint64_t not_before_ms)
{
	(void)incoming, (void)text, (void)not_before_ms;
	fake.code = code;
	fake.answer_len = 0;
}

static void fake_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	(void)incoming;
	rig_path(fake.asker, out_path);
}

static const struct mesh_ops fake_ops = {.ask = fake_ask,
					 .asker_path = fake_asker_path,
					 .cancel = fake_cancel,
					 .handle = fake_handle,
					 .answer = fake_answer,
					 .answer_error = fake_answer_error};

/* All that was lent is acknowledged. */
static void lent_give_back(void)
{
	while (fake.lent_cnt) {
		fake.lent_cnt--;
		fake.lent[fake.lent_cnt](fake.lent_arg[fake.lent_cnt]);
	}
}

static void start(void)
{
	memset(&fake, 0, sizeof(fake));
	rig_start();
	rig.mesh.ops = &fake_ops;
	rig_up();
}

static void stop(void)
{
	rig_stop();
	lent_give_back();
	rig.mesh.ops = NULL;
}

static void start_with_pod(const char *visibility)
{
	start();
	snprintf(pod, sizeof(pod), "%s",
		 rig_text(CHAT(RIG_LOCAL, "Create", "{s:s, s:s, s:i}", "name", "tea", "visibility",
			       visibility, "days", 60),
			  "pod"));
}

/* Ten a minute are what one may say. */
static void say(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		CHAT(RIG_LOCAL, "PostMessage", "{s:s, s:s, s:s}", "pod", pod, "channel", "general",
		     "body", "hello");
		CHECK_EQ(rig.call.status, SERVICE_OK);
		rig_pass_s(7);
	}
}

/* What a peer asks of this node, and the answer. */
static struct room_answer asked(unsigned who, unsigned type, const struct room_ask *ask)
{
	uint8_t payload[256], key[MESH_KEY_LEN];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.peer_key = key, .type = type, .payload = payload};
	struct room_answer told = {.bytes = NULL};

	rig_key(who, key);
	fake.asker = who;
	builtin_room_ask_write(&w, ask, type == MESH_GET_ROOM_SEGMENT);
	call.payload_len = writer_len(&w);
	fake.handlers[type](fake.ctx[type], &call, rig.now_ns);
	if (fake.code == 0 && builtin_room_answer_parse(fake.answer, fake.answer_len,
							type == MESH_ASK_ROOM, &told) < 0)
		abort();
	return told;
}

static struct room_ask own_ask(uint64_t number)
{
	struct room_ask ask = {.host = node_key_public(rig.key), .number = number};

	memcpy(ask.id, pod, sizeof(ask.id));
	return ask;
}

static void test_200_messages_become_a_segment(void)
{
	struct room_ask ask;
	struct room_place place;
	struct room_segment segment;
	struct room_answer told;
	struct room_head head;
	uint8_t hash[ROOM_HASH_LEN], zeros[ROOM_HASH_LEN] = {0};
	uint64_t after;

	start_with_pod("listed");
	ask = own_ask(0);
	place = (struct room_place){.id = pod, .host = ask.host, .previous = zeros};
	say(199);
	told = asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(builtin_room_head_check(told.bytes, told.len, pod, ask.host, &head), 0);
	CHECK_EQ(head.sealed_cnt, 0);
	told = asked(1, MESH_GET_ROOM_SEGMENT, &ask);
	CHECK_EQ(builtin_room_segment_check(told.bytes, told.len, &place, &segment), 0);
	CHECK_EQ(segment.event_cnt, 199);
	lent_give_back();
	say(2);
	told = asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(builtin_room_head_check(told.bytes, told.len, pod, ask.host, &head), 0);
	CHECK_EQ(head.sealed_cnt, 1);
	CHECK_EQ(told.first, 0);
	told = asked(1, MESH_GET_ROOM_SEGMENT, &ask);
	blake3_hash(told.bytes, told.len, hash);
	CHECK_MEM(hash, head.last, sizeof(hash));
	CHECK_EQ(builtin_room_segment_check(told.bytes, told.len, &place, &segment), 0);
	CHECK_EQ(segment.event_cnt, 200);
	after = segment.last_sequence;
	ask.number = 1;
	told = asked(1, MESH_GET_ROOM_SEGMENT, &ask);
	blake3_hash(told.bytes, told.len, hash);
	CHECK_MEM(hash, head.tail, sizeof(hash));
	place = (struct room_place){.id = pod,
				    .host = ask.host,
				    .number = 1,
				    .previous = head.last,
				    .after_sequence = after};
	CHECK_EQ(builtin_room_segment_check(told.bytes, told.len, &place, &segment), 0);
	CHECK_EQ(segment.event_cnt, 1);
	ask.number = 2;
	(void)asked(1, MESH_GET_ROOM_SEGMENT, &ask);
	CHECK_EQ(fake.code, MESH_CODE_ABSENT);
	lent_give_back();
	stop();
}

static void test_a_crash_changes_no_segment(void)
{
	uint8_t before[ROOM_HASH_LEN];
	struct room_ask ask;
	struct room_answer told;
	struct room_head head;

	start_with_pod("listed");
	ask = own_ask(0);
	say(401);
	told = asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(builtin_room_head_parse(told.bytes, told.len, &head), 0);
	CHECK_EQ(head.sealed_cnt, 2);
	memcpy(before, head.last, sizeof(before));
	lent_give_back();
	rig_crash();
	told = asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(builtin_room_head_parse(told.bytes, told.len, &head), 0);
	CHECK_EQ(head.sealed_cnt, 2);
	CHECK_MEM(head.last, before, sizeof(before));
	lent_give_back();
	CHECK_EQ(json_array_size(
			 json_object_get(CHAT(1, "History", "{s:s}", "pod", pod), "messages")),
		 POD_CHAT_PAGE_MAX);
	stop();
}

static void test_a_private_history_is_its_members_alone(void)
{
	struct room_ask ask;

	start_with_pod("private");
	ask = own_ask(0);
	CHAT(RIG_LOCAL, "Admit", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(1));
	say(1);
	(void)asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(fake.code, 0);
	(void)asked(2, MESH_ASK_ROOM, &ask);
	CHECK_EQ(fake.code, MESH_CODE_ABSENT);
	(void)asked(2, MESH_GET_ROOM_SEGMENT, &ask);
	CHECK_EQ(fake.code, MESH_CODE_ABSENT);
	CHAT(2, "History", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	(void)asked(1, MESH_ASK_ROOM, &ask);
	CHECK_EQ(fake.code, MESH_CODE_ABSENT);
	CHAT(RIG_LOCAL, "Dissolve", "{s:s}", "pod", pod);
	CHAT(RIG_LOCAL, "History", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	lent_give_back();
	stop();
}

static unsigned answers_get(unsigned who, const struct room_ask *ask)
{
	unsigned cnt = 0;

	for (;;) {
		(void)asked(who, MESH_ASK_ROOM, ask);
		if (fake.code)
			return cnt;
		cnt++;
	}
}

static void test_answers_are_bounded_by_peer_by_network_and_in_all(void)
{
	struct builtin_rooms fill;
	struct room_ask ask;

	start_with_pod("listed");
	ask = own_ask(0);
	for (unsigned i = 1; i <= 3; i++)
		CHECK_EQ(answers_get(RIG_OF_NETWORK(1, i), &ask), ROOMS_PEER_ANSWERS_MAX);
	/* However many keys it has, a network leaves a quarter to others. */
	CHECK_EQ(answers_get(RIG_OF_NETWORK(1, 4), &ask), 0);
	CHECK_EQ(fake.code, MESH_CODE_BUSY);
	CHECK_EQ(answers_get(RIG_OF_NETWORK(2, 5), &ask), 3);
	CHECK_EQ(answers_get(RIG_OF_NETWORK(3, 6), &ask), 1);
	CHECK_EQ(answers_get(RIG_OF_NETWORK(4, 7), &ask), 0);
	builtin_rooms(rig.builtin, &fill);
	CHECK_EQ(fill.answer_cnt, ROOMS_ANSWERS_MAX);
	/* The node stops while its answers are under way. */
	stop();
	CHECK_EQ(fake.lent_cnt, 0);
}

/* ---- a history of another host, kept here ---- */

static struct node_key *host_key;
static uint8_t bytes[3][ROOM_SEGMENT_LEN_MAX], body[ROOM_SEGMENT_LEN_MAX];
static size_t lens[3];
static uint8_t hashes[3][ROOM_HASH_LEN];

/* Segment number of a chain of the host's: 200 events, or the 3 of a tail. */
static void segment_make(unsigned number, unsigned cnt)
{
	struct room_segment segment = {.id = HOST_ID, .number = number, .event_cnt = cnt};
	struct writer b = writer_of(body, sizeof(body));
	struct writer w = writer_of(bytes[number], sizeof(bytes[number]));
	uint8_t key[MESH_KEY_LEN] = {1}, id[ROOM_EVENT_ID_LEN] = {2};

	if (number)
		memcpy(segment.previous, hashes[number - 1], ROOM_HASH_LEN);
	builtin_room_segment_begin(&b, &segment);
	for (unsigned i = 0; i < cnt; i++) {
		struct room_event event = {.sequence = rig.wall_ms + number * 1000 + i,
					   .at_ms = 1,
					   .sender = key,
					   .id = id,
					   .channel = "general",
					   .channel_len = 7,
					   .body = "hello",
					   .body_len = 5};

		builtin_room_event_write(&b, &event);
	}
	builtin_room_segment_sign(&w, host_key, &b);
	lens[number] = writer_len(&w);
	blake3_hash(bytes[number], lens[number], hashes[number]);
}

static void keep_start(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {77};
	char host[ZBASE32_KEY_TEXT_CAP];

	start();
	if (node_key_from_seed(seed, &host_key) < 0)
		abort();
	segment_make(0, 200);
	segment_make(1, 200);
	segment_make(2, 3);
	CHAT(RIG_LOCAL, "Keep", "{s:s, s:s}", "pod", HOST_ID, "host",
	     zbase32_write(node_key_public(host_key), MESH_KEY_LEN, host));
	CHECK_EQ(rig.call.status, SERVICE_OK);
}

static void keep_stop(void)
{
	stop();
	node_key_free(host_key);
}

/* Time passes until this node asks for type; then it is told what. */
static bool is_asking(unsigned type)
{
	for (unsigned i = 0; i < 60 && !fake.is_asked; i++)
		rig_pass_s(1);
	return fake.is_asked && fake.ask.type == type;
}

static void tell(unsigned type, const uint8_t *what, size_t len, uint64_t first)
{
	const struct room_answer told = {.bytes = what, .len = len, .first = first};
	struct writer w = writer_of(fake.ask.reply_buf, fake.ask.reply_cap);
	struct mesh_reply reply = {.type = type, .payload = fake.ask.reply_buf};

	builtin_room_answer_write(&w, &told, type == MESH_ROOM_HEAD);
	reply.payload_len = writer_len(&w);
	fake.is_asked = false;
	fake.ask.reply(fake.ask.arg, &reply, rig.now_ns);
	store_flush(rig.store);
}

static void tell_head(const struct node_key *by, uint64_t first, uint64_t updated_ms)
{
	struct room_head head = {.id = HOST_ID, .sealed_cnt = 2, .updated_ms = updated_ms};
	uint8_t text[ROOM_HEAD_LEN_MAX];
	struct writer w = writer_of(text, sizeof(text));

	memcpy(head.last, hashes[1], ROOM_HASH_LEN);
	memcpy(head.tail, hashes[2], ROOM_HASH_LEN);
	builtin_room_head_write(&w, by, &head);
	tell(MESH_ROOM_HEAD, text, writer_len(&w), first);
}

static unsigned history_cnt(void)
{
	json_int_t since = 0;
	unsigned cnt = 0;
	bool has_more = true;

	while (has_more) {
		json_t *page =
			CHAT(RIG_LOCAL, "History", "{s:s, s:I}", "pod", HOST_ID, "since", since);

		cnt += (unsigned)json_array_size(json_object_get(page, "messages"));
		since = json_integer_value(json_object_get(page, "next"));
		has_more = json_is_true(json_object_get(page, "has_more"));
	}
	return cnt;
}

static const char *fault(void)
{
	json_t *rooms = json_object_get(CHAT(RIG_LOCAL, "Kept", "{}"), "rooms");

	return rig_text(json_array_get(rooms, 0), "fault");
}

static void test_a_history_is_fetched_and_outlives_a_crash(void)
{
	keep_start();
	CHECK(is_asking(MESH_ASK_ROOM));
	CHECK_MEM(fake.ask.peer.key, node_key_public(host_key), MESH_KEY_LEN);
	tell_head(host_key, 0, 5);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
		tell(MESH_ROOM_SEGMENT, bytes[i], lens[i], 0);
	}
	CHECK_STR(fault(), "(none)");
	CHECK_EQ(history_cnt(), 403);
	rig_crash();
	CHECK_EQ(history_cnt(), 403);
	/* What is no newer is not asked for again. */
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 5);
	CHECK(!fake.is_asked);
	keep_stop();
}

static void test_a_late_member_gets_what_is_still_there(void)
{
	keep_start();
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 1, 5);
	CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
	tell(MESH_ROOM_SEGMENT, bytes[1], lens[1], 0);
	CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
	tell(MESH_ROOM_SEGMENT, bytes[2], lens[2], 0);
	CHECK_EQ(history_cnt(), 203);
	keep_stop();
}

static void test_what_is_forged_or_in_another_order_is_not_taken(void)
{
	keep_start();
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(rig.key, 0, 5);
	CHECK_STR(fault(), "a node gave a head that its host did not sign");
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 5);
	CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
	tell(MESH_ROOM_SEGMENT, bytes[1], lens[1], 0);
	CHECK(strstr(fault(), "a segment that its host did not sign"));
	CHECK_EQ(history_cnt(), 0);
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 5);
	CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
	bytes[0][lens[0] / 2] ^= 1;
	tell(MESH_ROOM_SEGMENT, bytes[0], lens[0], 0);
	CHECK(strstr(fault(), "a segment that its host did not sign"));
	CHECK_EQ(history_cnt(), 0);
	bytes[0][lens[0] / 2] ^= 1;
	/* A tail that its host signed, and that the head does not name. */
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 5);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
		tell(MESH_ROOM_SEGMENT, bytes[i], lens[i], 0);
	}
	segment_make(2, 2);
	CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
	tell(MESH_ROOM_SEGMENT, bytes[2], lens[2], 0);
	CHECK(strstr(fault(), "a segment that its host did not sign"));
	CHECK_EQ(history_cnt(), 400);
	keep_stop();
}

static void test_two_histories_of_one_host_are_noticed(void)
{
	keep_start();
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 5);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(is_asking(MESH_GET_ROOM_SEGMENT));
		tell(MESH_ROOM_SEGMENT, bytes[i], lens[i], 0);
	}
	segment_make(1, 201);
	CHECK(is_asking(MESH_ASK_ROOM));
	tell_head(host_key, 0, 6);
	CHECK_STR(fault(), "its host signed two histories that differ");
	CHECK_EQ(history_cnt(), 403);
	keep_stop();
}

/* ---- bounds ---- */

static void test_each_bound_drops_the_oldest_segments(void)
{
	static const struct {
		unsigned part_cnt;
		uint32_t event_cnt, len; /* of each */
		unsigned days;
		uint64_t age_ms; /* of the oldest; the others come 1 s later each */
		unsigned left_cnt;
		const char *why;
	} rows[] = {
		{50, 100, 1000, 0, 0, 50, "5,000 events"},
		{50, 101, 1000, 0, 0, 49, "5,001 to 5,050 events"},
		{50, 10, 1000000, 0, 0, 50, "50 MB"},
		{50, 10, 1000001, 0, 0, 49, "50 MB and 50 bytes"},
		{3, 200, 1000, 0, ROOM_AGE_MS, 3, "30 days"},
		{3, 200, 1000, 0, ROOM_AGE_MS + 1, 2, "and a millisecond"},
		{3, 200, 1000, 7, 7 * 24 * 3600 * 1000ull, 3, "7 days of the room"},
		{3, 200, 1000, 7, 7 * 24 * 3600 * 1000ull + 1, 2, "and a millisecond of these"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct room room;

		memset(&room, 0, sizeof(room));
		room.part_cnt = rows[i].part_cnt;
		for (unsigned j = 0; j < room.part_cnt; j++)
			room.parts[j] = (struct room_part){
				.number = j,
				.len = rows[i].len,
				.event_cnt = rows[i].event_cnt,
				.last_sequence = RIG_WALL_S * 1000ull - rows[i].age_ms + j * 1000};
		builtin_room_trim(&room, rows[i].days, RIG_WALL_S * 1000ull, NULL);
		CHECK_EQ(room.part_cnt, rows[i].left_cnt);
		CHECK_EQ(room.parts[0].number, rows[i].part_cnt - rows[i].left_cnt);
	}
}

static void test_the_51st_segment_drops_the_first(void)
{
	static struct room room;
	static const uint8_t nothing[1];

	start();
	for (uint64_t i = 0; i <= ROOM_SEGMENTS_MAX; i++) {
		struct room_part part = {.number = i, .len = 1, .last_sequence = i + 1};
		struct provider_write *write =
			provider_write_new(provider_tenant_find(rig.tenants, "pod-chat", 1));

		builtin_room_take_part(&room, &part, nothing, write);
		provider_write_free(write);
		CHECK_EQ(room.part_cnt, i < ROOM_SEGMENTS_MAX ? i + 1 : ROOM_SEGMENTS_MAX);
	}
	CHECK_EQ(room.parts[0].number, 1);
	CHECK_EQ(room.sealed_cnt, ROOM_SEGMENTS_MAX + 1);
	stop();
}

static void test_eight_nodes_are_named_for_a_room(void)
{
	char host[ZBASE32_KEY_TEXT_CAP];

	keep_start();
	zbase32_write(node_key_public(host_key), MESH_KEY_LEN, host);
	for (unsigned i = 1; i <= ROOM_VIA_MAX + 1; i++) {
		CHAT(RIG_LOCAL, "Keep", "{s:s, s:s, s:s}", "pod", HOST_ID, "host", host, "from",
		     rig_key_text(i));
		CHECK_EQ(rig.call.status, i <= ROOM_VIA_MAX ? SERVICE_OK : SERVICE_UNAVAILABLE);
	}
	keep_stop();
}

int main(void)
{
	RUN(test_200_messages_become_a_segment);
	RUN(test_a_crash_changes_no_segment);
	RUN(test_a_private_history_is_its_members_alone);
	RUN(test_answers_are_bounded_by_peer_by_network_and_in_all);
	RUN(test_a_history_is_fetched_and_outlives_a_crash);
	RUN(test_a_late_member_gets_what_is_still_there);
	RUN(test_what_is_forged_or_in_another_order_is_not_taken);
	RUN(test_two_histories_of_one_host_are_noticed);
	RUN(test_each_bound_drops_the_oldest_segments);
	RUN(test_the_51st_segment_drops_the_first);
	RUN(test_eight_nodes_are_named_for_a_room);
	return check_done();
}
