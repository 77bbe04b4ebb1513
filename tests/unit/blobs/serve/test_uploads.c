/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/uploads.h"

#include "base/monotonic.h"
#include "support/check.h"

#define CHUNK 262144u
#define S     NS_PER_S

static struct arena arena;
static struct uploads uploads;
static uint64_t wait_ns;

static void configure(uint64_t per_s, uint64_t peer_per_s, uint32_t slot_cnt, uint64_t now_ns)
{
	const struct upload_limits limits = {per_s, per_s, peer_per_s, slot_cnt};

	blobs_uploads_configure(&uploads, &limits, now_ns);
}

static bool begin(uint64_t per_s, uint64_t peer_per_s, uint32_t slot_cnt)
{
	static const uint64_t secret[2] = {1, 2};

	if (arena_open(&arena, ARENA_GROWS) < 0)
		return false;
	memset(&uploads, 0, sizeof(uploads));
	if (blobs_uploads_init(&uploads, &arena, secret) < 0)
		return false;
	configure(per_s, peer_per_s, slot_cnt, 0);
	return true;
}

static void end(void)
{
	arena_close(&arena);
}

static unsigned price_asked;

static unsigned price_given(const struct upload *upload)
{
	(void)upload;
	return price_asked;
}

static enum upload_verdict admit_at(struct upload *upload, uint8_t peer, unsigned price,
				    uint64_t now_ns)
{
	uint8_t key[UPLOAD_KEY_LEN] = {peer};

	price_asked = price;
	uploads.price_of = price_given;
	upload->len = CHUNK;
	return blobs_uploads_admit(&uploads, upload, key, now_ns, &wait_ns);
}

static enum upload_verdict admit(struct upload *upload, uint8_t peer, uint64_t now_ns)
{
	return admit_at(upload, peer, 10, now_ns);
}

static void sent(struct upload *upload, uint64_t now_ns)
{
	blobs_uploads_sent(&uploads, upload, CHUNK, now_ns);
	blobs_uploads_end(&uploads, upload, now_ns);
}

static void test_without_limits_all_goes_at_once(void)
{
	static struct upload many[100];

	CHECK(begin(0, 0, 0));
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(admit(&many[i], (uint8_t)(i % 7), S), UPLOAD_GO);
	CHECK_EQ(blobs_uploads_due_ns(&uploads), UPLOAD_NEVER);
	for (unsigned i = 0; i < 100; i++)
		sent(&many[i], S);
	CHECK_EQ(uploads.refused_cnt, 0);
	end();
}

/*
 * Peers that keep depth requests each under way for span; what was refused
 * comes back when it was told to. Bytes that went, by peer.
 */
struct getter {
	struct upload uploads[4];
	enum upload_verdict at[4];
	uint64_t again_ns[4];
	uint64_t sent_len;
	unsigned price;
};

static void getters_run(struct getter *getters, uint8_t cnt, unsigned depth, uint64_t span_ns)
{
	for (uint64_t now_ns = S; now_ns < S + span_ns; now_ns += NS_PER_MS) {
		struct upload *next;

		for (uint8_t i = 0; i < cnt; i++) {
			struct getter *getter = &getters[i];

			for (unsigned j = 0; j < depth; j++) {
				if (getter->uploads[j].peer || now_ns < getter->again_ns[j])
					continue;
				getter->at[j] =
					admit_at(&getter->uploads[j], i, getter->price, now_ns);
				getter->again_ns[j] =
					getter->at[j] == UPLOAD_BUSY ? now_ns + wait_ns : 0;
				if (getter->at[j] != UPLOAD_GO)
					continue;
				sent(&getter->uploads[j], now_ns);
				getter->sent_len += CHUNK;
			}
		}
		while ((next = blobs_uploads_next(&uploads, now_ns))) {
			for (uint8_t i = 0; i < cnt; i++)
				if (next >= getters[i].uploads && next < getters[i].uploads + 4)
					getters[i].sent_len += CHUNK;
			sent(next, now_ns);
		}
	}
}

static bool is_within(uint64_t got, uint64_t want, unsigned percent)
{
	bool is_near = got * 100 >= want * (100 - percent) && got * 100 <= want * (100 + percent);

	if (!is_near)
		printf("# %llu, want %llu\n", (unsigned long long)got, (unsigned long long)want);
	return is_near;
}

static void test_limit_of_all_holds_and_is_shared_evenly(void)
{
	static struct getter getters[5];
	const uint64_t per_s = 12500000; /* 100 Mbit/s */
	uint64_t sum = 0;

	memset(getters, 0, sizeof(getters));
	CHECK(begin(per_s, 0, 0));
	for (unsigned i = 0; i < 5; i++)
		getters[i].price = 10;
	getters_run(getters, 5, 4, 20 * S);
	for (unsigned i = 0; i < 5; i++) {
		sum += getters[i].sent_len;
		CHECK(is_within(getters[i].sent_len, per_s * 20 / 5, 10));
	}
	CHECK(is_within(sum, per_s * 20, 5));
	end();
}

static void test_limit_of_each_peer_holds(void)
{
	static struct getter getters[3];

	memset(getters, 0, sizeof(getters));
	CHECK(begin(0, 1250000, 0));
	for (unsigned i = 0; i < 3; i++)
		getters[i].price = 10;
	getters_run(getters, 3, 4, 30 * S);
	for (unsigned i = 0; i < 3; i++)
		CHECK(is_within(getters[i].sent_len, 1250000 * 30, 5));
	end();
}

/* Traffic that is free takes nothing of the limit, and is not held by it. */
static void test_free_peer_is_not_limited(void)
{
	static struct upload many[50];
	struct upload dear;

	CHECK(begin(CHUNK, 0, 0));
	CHECK_EQ(admit_at(&dear, 1, 10, S), UPLOAD_GO);
	for (unsigned i = 0; i < 50; i++)
		CHECK_EQ(admit_at(&many[i], 2, 0, S), UPLOAD_GO);
	for (unsigned i = 0; i < 50; i++)
		sent(&many[i], S);
	sent(&dear, S);
	CHECK_EQ(admit_at(&dear, 1, 10, 2 * S), UPLOAD_GO);
	end();
}

/* Of two that wait the cheaper goes first, though it came later. */
static void test_cheaper_peer_comes_first(void)
{
	struct upload first, dear, cheap;

	CHECK(begin(CHUNK, 0, 0));
	CHECK_EQ(admit_at(&first, 1, 10, S), UPLOAD_GO);
	CHECK_EQ(admit_at(&dear, 2, 20, S), UPLOAD_WAIT);
	CHECK_EQ(admit_at(&cheap, 3, 5, S), UPLOAD_WAIT);
	CHECK(!blobs_uploads_next(&uploads, S));
	CHECK(blobs_uploads_due_ns(&uploads) > S && blobs_uploads_due_ns(&uploads) <= 2 * S);
	CHECK(blobs_uploads_next(&uploads, 2 * S) == &cheap);
	CHECK(!blobs_uploads_next(&uploads, 2 * S));
	CHECK(blobs_uploads_next(&uploads, 3 * S) == &dear);
	end();
}

/* At a chunk a second: one waits for each peer, up to eight seconds; more come back later. */
static void test_waiting_is_bounded(void)
{
	static struct upload many[20], second;
	unsigned waiting_cnt = 0;

	CHECK(begin(CHUNK, 0, 0));
	for (uint8_t i = 0; i < 20; i++) {
		enum upload_verdict verdict = admit(&many[i], i, S);

		CHECK_EQ(verdict == UPLOAD_GO, i == 0);
		waiting_cnt += verdict == UPLOAD_WAIT;
		if (verdict == UPLOAD_BUSY)
			CHECK(wait_ns > UPLOAD_FIRST_WAIT_NS && wait_ns < 20 * S);
	}
	CHECK(waiting_cnt >= 7 && waiting_cnt <= 9);
	CHECK_EQ(uploads.waiting_cnt, waiting_cnt);
	CHECK_EQ(uploads.refused_cnt, 19 - waiting_cnt);
	CHECK_EQ(admit(&second, 1, S), UPLOAD_BUSY);
	end();
}

static void test_one_more_than_there_are_slots_is_refused(void)
{
	struct upload many[3];

	CHECK(begin(0, 0, 2));
	CHECK_EQ(admit(&many[0], 1, S), UPLOAD_GO);
	CHECK_EQ(admit(&many[1], 2, S), UPLOAD_GO);
	CHECK_EQ(admit(&many[2], 3, S), UPLOAD_BUSY);
	CHECK_EQ(wait_ns, S);
	/* Its holders go on. */
	sent(&many[0], S);
	CHECK_EQ(admit(&many[0], 1, S + UPLOAD_IDLE_NS - 1), UPLOAD_GO);
	end();
}

static void test_unused_slot_is_given_away(void)
{
	struct upload first, second;

	CHECK(begin(0, 0, 1));
	CHECK_EQ(admit(&first, 1, S), UPLOAD_GO);
	sent(&first, S);
	CHECK_EQ(admit(&second, 2, S + UPLOAD_IDLE_NS - 1), UPLOAD_BUSY);
	CHECK_EQ(admit(&second, 2, S + UPLOAD_IDLE_NS), UPLOAD_GO);
	end();
}

static void test_cheaper_peer_takes_the_slot_of_a_dearer_one_at_rest(void)
{
	struct upload dear, cheap;

	CHECK(begin(0, 0, 1));
	CHECK_EQ(admit_at(&dear, 1, 20, S), UPLOAD_GO);
	CHECK_EQ(admit_at(&cheap, 2, 5, S), UPLOAD_BUSY);
	sent(&dear, S);
	CHECK_EQ(admit_at(&cheap, 2, 5, S), UPLOAD_GO);
	CHECK_EQ(admit_at(&dear, 1, 20, S), UPLOAD_BUSY);
	end();
}

/* One that asks again and again has had its turn after a minute. */
static void test_slots_take_turns(void)
{
	struct upload first, second;

	CHECK(begin(0, 0, 1));
	for (uint64_t now_ns = S; now_ns < S + UPLOAD_TURN_NS; now_ns += S) {
		CHECK_EQ(admit(&first, 1, now_ns), UPLOAD_GO);
		sent(&first, now_ns);
		CHECK_EQ(admit(&second, 2, now_ns), UPLOAD_BUSY);
	}
	CHECK_EQ(admit(&second, 2, S + UPLOAD_TURN_NS), UPLOAD_GO);
	end();
}

/* An asker that leaves while it waits leaves nothing behind; what did not go is not owed. */
static void test_a_peer_that_leaves_is_forgotten(void)
{
	struct upload first, second, third;

	CHECK(begin(CHUNK, 0, 0));
	CHECK_EQ(admit(&first, 1, S), UPLOAD_GO);
	CHECK_EQ(admit(&second, 2, S), UPLOAD_WAIT);
	blobs_uploads_end(&uploads, &second, S);
	CHECK_EQ(uploads.waiting_cnt, 0);
	CHECK_EQ(blobs_uploads_due_ns(&uploads), UPLOAD_NEVER);
	blobs_uploads_end(&uploads, &first, S); /* refused after all */
	CHECK_EQ(admit(&third, 3, S), UPLOAD_GO);
	blobs_uploads_end(&uploads, &third, S);
	blobs_uploads_end(&uploads, &third, S); /* once more is nothing */
	end();
}

static void test_short_answer_takes_what_it_is_long(void)
{
	struct upload upload;

	CHECK(begin(CHUNK, 0, 0));
	for (unsigned i = 0; i < 256; i++) {
		CHECK_EQ(admit(&upload, 1, S), UPLOAD_GO);
		blobs_uploads_sent(&uploads, &upload, CHUNK / 16384, S);
		blobs_uploads_end(&uploads, &upload, S);
	}
	end();
}

static void test_new_limit_applies_to_waiting_peers(void)
{
	struct upload first, second;

	CHECK(begin(CHUNK / 4, 0, 0));
	CHECK_EQ(admit(&first, 1, S), UPLOAD_GO);
	CHECK_EQ(admit(&second, 2, S), UPLOAD_WAIT);
	CHECK(!blobs_uploads_next(&uploads, S + NS_PER_MS));
	configure(0, 0, 0, S + NS_PER_MS);
	CHECK(blobs_uploads_next(&uploads, S + NS_PER_MS) == &second);
	end();
}

/*
 * A worker at rest has little of the limit, for the moment: a newcomer waits, and is not sent away.
 */
static void test_small_part_of_a_large_limit_makes_no_peer_leave(void)
{
	const struct upload_limits small = {CHUNK / 100, 20 * CHUNK, 0, 0};
	const struct upload_limits large = {20 * CHUNK, 20 * CHUNK, 0, 0};
	struct upload first, second, third;

	CHECK(begin(0, 0, 0));
	blobs_uploads_configure(&uploads, &small, S);
	CHECK_EQ(admit(&first, 1, S), UPLOAD_GO);
	CHECK_EQ(admit(&second, 1, S), UPLOAD_WAIT);
	CHECK_EQ(admit(&third, 1, S), UPLOAD_WAIT);
	CHECK(!blobs_uploads_next(&uploads, 2 * S));
	blobs_uploads_configure(&uploads, &large, 2 * S);
	CHECK(blobs_uploads_next(&uploads, 3 * S) == &second);
	end();
}

int main(void)
{
	RUN(test_small_part_of_a_large_limit_makes_no_peer_leave);
	RUN(test_without_limits_all_goes_at_once);
	RUN(test_limit_of_all_holds_and_is_shared_evenly);
	RUN(test_limit_of_each_peer_holds);
	RUN(test_free_peer_is_not_limited);
	RUN(test_cheaper_peer_comes_first);
	RUN(test_waiting_is_bounded);
	RUN(test_one_more_than_there_are_slots_is_refused);
	RUN(test_unused_slot_is_given_away);
	RUN(test_cheaper_peer_takes_the_slot_of_a_dearer_one_at_rest);
	RUN(test_slots_take_turns);
	RUN(test_a_peer_that_leaves_is_forgotten);
	RUN(test_short_answer_takes_what_it_is_long);
	RUN(test_new_limit_applies_to_waiting_peers);
	return check_done();
}
