/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the database, whole, cut, and of other layouts. */
#include "offers/store/offer_record.h"

#include "offer_store_rig.h"

static const struct offer_record full = {.source = {.ip = {20, 1, 2, 3}, .family = ADDR_IPV4},
					 .class = FAIR_KNOWN,
					 .is_own = true,
					 .hop_cnt = 3,
					 .expires_s = RIG_NOON_S + 3600,
					 .announce = (const uint8_t *)"announce",
					 .announce_len = 8,
					 .update = (const uint8_t *)"update",
					 .update_len = 6};

static uint8_t bytes[300];

static size_t written(const struct offer_record *record)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_record_write(&w, record);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_record_is_read_as_written(void)
{
	struct offer_record heard;
	size_t len = written(&full);

	CHECK_EQ(len, offers_record_len(&full));
	CHECK_EQ(offers_record_parse(bytes, len, &heard), 0);
	CHECK_MEM(&heard.source, &full.source, sizeof(full.source));
	CHECK_EQ(heard.class, FAIR_KNOWN);
	CHECK(heard.is_own && !heard.is_tombstone);
	CHECK_EQ(heard.hop_cnt, 3);
	CHECK_EQ(heard.expires_s, RIG_NOON_S + 3600);
	CHECK_EQ(heard.announce_len, 8);
	CHECK_MEM(heard.announce, "announce", 8);
	CHECK_EQ(heard.update_len, 6);
	CHECK_MEM(heard.update, "update", 6);
}

/* So the answers of all relays are the same, byte for byte. */
static void test_hop_counts_of_messages_are_not_kept(void)
{
	struct offer_record two = full, heard;
	uint8_t messages[2][120];

	memset(messages, 7, sizeof(messages));
	two.announce = messages[0];
	two.update = messages[1];
	two.announce_len = two.update_len = 100;
	CHECK_EQ(offers_record_parse(bytes, written(&two), &heard), 0);
	messages[0][SERVICE_MESSAGE_HOP_AT] = messages[1][SERVICE_MESSAGE_HOP_AT] = 0;
	CHECK_MEM(heard.announce, messages[0], 100);
	CHECK_MEM(heard.update, messages[1], 100);
}

/* A cut within the Update is a shorter Update; its message is parsed, and refused, later. */
static void test_every_cut_before_the_update_is_refused(void)
{
	size_t len = written(&full) - full.update_len;
	struct offer_record heard;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(offers_record_parse(exact, cut, &heard), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(offers_record_parse(bytes, len, &heard), 0);
	CHECK(!heard.update);
}

static void test_what_no_store_writes_is_refused(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 0}, {0, 1}, {2, 4}, {2, 3}, {3, FAIR_CLASS_CNT}, {4, 5}, {29, 0xff}};
	struct offer_record heard;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = written(&full);

		bytes[rows[i].at] = rows[i].value;
		CHECK_EQ(offers_record_parse(bytes, len, &heard), WEFT_EMALFORMED);
	}
}

/* As another version of the program, or an operator, could leave there. */
static void test_rows_that_are_no_offers_are_deleted_at_the_start(void)
{
	static const uint8_t keys[3][OFFER_RECORD_KEY_LEN] = {{0}, {[7] = 9}, {[7] = 10}};
	struct store_batch *batch;

	rig_begin(64);
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 1}), OFFER_STORED);
	rig_pass(0);
	batch = store_batch_new(rig.store);
	for (unsigned i = 0; i < 3; i++)
		store_batch_put(batch, STORE_SERVICE_OFFERS, store_key(keys[i], sizeof(keys[i])),
				bytes, i < 2 ? written(&full) : 5);
	CHECK_EQ(store_submit(rig.store, batch, NULL, NULL), 0);
	(void)store_reap(rig.store);
	rig_crash();
	CHECK_EQ(rig_counts().damaged_cnt, 3);
	CHECK_EQ(rig_counts().offer_cnt, 1);
	/* Orders of what was there are not given again. */
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 2}), OFFER_STORED);
	CHECK(rig_get(2, 0));
	CHECK_EQ(rig_seen.view.order, 11);
	rig_pass(0);
	rig_crash();
	CHECK_EQ(rig_counts().damaged_cnt, 0);
	CHECK_EQ(rig_counts().offer_cnt, 2);
	rig_end();
}

int main(void)
{
	RUN(test_a_record_is_read_as_written);
	RUN(test_hop_counts_of_messages_are_not_kept);
	RUN(test_every_cut_before_the_update_is_refused);
	RUN(test_what_no_store_writes_is_refused);
	RUN(test_rows_that_are_no_offers_are_deleted_at_the_start);
	return check_done();
}
