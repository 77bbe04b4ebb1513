/* SPDX-License-Identifier: Apache-2.0 */
#include "social/replicas/replica_message.h"

#include "support/check.h"

static uint8_t bytes[2 * REPLICA_PIECE_LEN_MAX], piece[REPLICA_PIECE_LEN_MAX + 1];
static struct replica_status status, heard_status;

typedef int (*parse_fn)(const uint8_t *bytes, size_t len);

static int check_parse(const uint8_t *data, size_t len)
{
	struct replica_check check;

	return social_check_parse(data, len, &check);
}

static int status_parse(const uint8_t *data, size_t len)
{
	return social_status_parse(data, len, &heard_status);
}

static int offer_parse(const uint8_t *data, size_t len)
{
	struct replica_offer offer;

	return social_offer_parse(data, len, &offer);
}

static int accept_parse(const uint8_t *data, size_t len)
{
	struct replica_accept accept;

	return social_accept_parse(data, len, &accept);
}

static int refuse_parse(const uint8_t *data, size_t len)
{
	struct replica_refuse refuse;

	return social_refuse_parse(data, len, &refuse);
}

/* Whether the whole is read, and no part of it is. */
static bool is_read_whole_alone(parse_fn parse, size_t len)
{
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		int err;

		memcpy(exact, bytes, cut);
		err = parse(exact, cut);
		free(exact);
		if (err != WEFT_EMALFORMED)
			return false;
	}
	return parse(bytes, len) == 0;
}

static struct replica_offer offer_of(size_t len)
{
	struct replica_offer offer = {
		.lens = {.post = 4000, .claim = 200, .visibility = VISIBILITY_LEN_MAX},
		.off = 100,
		.bytes = len ? piece : NULL,
		.len = len};

	memset(offer.post, 9, sizeof(offer.post));
	return offer;
}

static void test_each_message_is_read_as_written_and_no_part_of_it_is_one(void)
{
	struct replica_check check = {.posts = {{1}, {2}}, .post_cnt = 2};
	struct replica_offer offer = offer_of(3);
	struct replica_accept accept = {.post = {4}, .off = 77};
	struct replica_refuse refuse = {.post = {5}, .reason = REPLICA_NO_ROOM, .room_len = 9};
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_check_write(&w, &check);
	CHECK(is_read_whole_alone(check_parse, writer_len(&w)));
	status.row_cnt = 1;
	status.rows[0] = (struct replica_row){.post = {3}, .note = piece, .note_len = 2};
	w = writer_of(bytes, sizeof(bytes));
	social_status_write(&w, &status);
	CHECK(is_read_whole_alone(status_parse, writer_len(&w)));
	CHECK_EQ(heard_status.row_cnt, 1);
	CHECK_EQ(heard_status.rows[0].note_len, 2);
	w = writer_of(bytes, sizeof(bytes));
	social_offer_write(&w, &offer);
	CHECK(is_read_whole_alone(offer_parse, writer_len(&w)));
	w = writer_of(bytes, sizeof(bytes));
	social_accept_write(&w, &accept);
	CHECK(is_read_whole_alone(accept_parse, writer_len(&w)));
	w = writer_of(bytes, sizeof(bytes));
	social_refuse_write(&w, &refuse);
	CHECK(is_read_whole_alone(refuse_parse, writer_len(&w)));
}

static int offered(const struct replica_offer *offer)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_offer_write(&w, offer);
	return w.bad ? WEFT_ETOOLARGE : offer_parse(bytes, writer_len(&w));
}

static void test_a_piece_lies_within_what_is_offered(void)
{
	struct replica_offer offer = offer_of(5);

	offer.lens.visibility = 10;
	offer.off = 4000 + 200 + 10 - 5;
	CHECK_EQ(offered(&offer), 0);
	offer.off++;
	CHECK_EQ(offered(&offer), WEFT_EMALFORMED);
	offer.off = UINT32_MAX;
	CHECK_EQ(offered(&offer), WEFT_EMALFORMED);
	offer = offer_of(0);
	CHECK_EQ(offered(&offer), WEFT_EMALFORMED);
	offer.off = 0;
	CHECK_EQ(offered(&offer), 0);
}

static void test_each_bound_is_exceeded_by_one(void)
{
	static struct replica_check check;
	struct replica_offer offer = offer_of(REPLICA_PIECE_LEN_MAX);
	struct replica_refuse refuse = {.reason = REPLICA_BUSY};
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(offered(&offer), 0);
	offer.len++;
	CHECK(offered(&offer) < 0);
	offer = offer_of(1);
	offer.lens.visibility++;
	CHECK(offered(&offer) < 0);
	offer = offer_of(1);
	offer.lens.claim = 0;
	CHECK(offered(&offer) < 0);
	check.post_cnt = REPLICA_CHECK_MAX;
	social_check_write(&w, &check);
	CHECK_EQ(check_parse(bytes, writer_len(&w)), 0);
	/* One id more: the head of the array says so, and an id follows. */
	CHECK_EQ(bytes[2], 0x98);
	bytes[3]++;
	memcpy(bytes + writer_len(&w), bytes + 4, 2 + POST_ID_LEN);
	CHECK_EQ(check_parse(bytes, writer_len(&w) + 2 + POST_ID_LEN), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	refuse.reason = 0;
	social_refuse_write(&w, &refuse);
	CHECK_EQ(refuse_parse(bytes, writer_len(&w)), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_each_message_is_read_as_written_and_no_part_of_it_is_one);
	RUN(test_a_piece_lies_within_what_is_offered);
	RUN(test_each_bound_is_exceeded_by_one);
	return check_done();
}
