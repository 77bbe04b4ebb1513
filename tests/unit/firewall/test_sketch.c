/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/sketch.h"

#include "base/monotonic.h"
#include "support/check.h"

static struct sketch sketch;

#define MINUTE_NS (SKETCH_SLOT_S * NS_PER_S)

static void second_at(uint64_t now_ns)
{
	const struct sketch_second second = {.mode = WEFT_MODE_PRESSURED, .unvalidated_cnt = 7};

	firewall_sketch_tell_second(&sketch, &second, now_ns);
}

static void tell(uint64_t prefix, uint32_t cnt)
{
	const struct sketch_source source = {.prefix = prefix, .class = WEFT_CLASS_KRPC};

	firewall_sketch_tell(&sketch, &source, cnt, 1000);
}

static void begin(void)
{
	memset(&sketch, 0, sizeof(sketch));
}

static void test_a_count_is_kept_within_its_error(void)
{
	uint64_t last = 0;

	for (uint32_t cnt = 0; cnt < 16; cnt++)
		CHECK_EQ(firewall_sketch_cnt_of(firewall_sketch_cnt_byte(cnt)), cnt);
	for (uint32_t cnt = 16; cnt < 507904; cnt += cnt / 50 + 1) {
		uint32_t kept = firewall_sketch_cnt_of(firewall_sketch_cnt_byte(cnt));
		uint64_t error = kept > cnt ? kept - cnt : cnt - kept;

		CHECK(error * 100 <= (uint64_t)cnt * SKETCH_ERROR_PERCENT);
		CHECK(kept >= last);
		last = kept;
	}
	CHECK_EQ(firewall_sketch_cnt_of(firewall_sketch_cnt_byte(UINT32_MAX)), 507904);
	for (unsigned byte = 0; byte < 256; byte++)
		CHECK_EQ(firewall_sketch_cnt_byte(firewall_sketch_cnt_of((uint8_t)byte)), byte);
}

static void test_seconds_and_rows_are_found_again(void)
{
	const struct sketch_slot *slot;

	begin();
	tell(43, 1); /* no second was begun */
	second_at(5 * MINUTE_NS + 3 * NS_PER_S);
	tell(42, 10);
	second_at(5 * MINUTE_NS + 4 * NS_PER_S);
	tell(42, 5);
	tell(42, 1);
	firewall_sketch_settle(&sketch);
	firewall_sketch_settle(&sketch);
	slot = firewall_sketch_slot_at(&sketch, firewall_sketch_minute(5 * MINUTE_NS));
	CHECK(slot != NULL);
	CHECK_EQ(slot->row_cnt, 1);
	CHECK_EQ(slot->rows[0].source.prefix, 42);
	CHECK_EQ(firewall_sketch_cnt_of(slot->rows[0].cnts[3]), 10);
	CHECK_EQ(firewall_sketch_cnt_of(slot->rows[0].cnts[4]), 6);
	CHECK(slot->seconds[3].is_known);
	CHECK_EQ(slot->seconds[3].mode, WEFT_MODE_PRESSURED);
	CHECK(!slot->seconds[5].is_known);
	CHECK(!firewall_sketch_slot_at(&sketch, firewall_sketch_minute(6 * MINUTE_NS)));
}

static uint64_t bins_sum(const struct sketch_slot *slot)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SKETCH_BIN_CNT; i++)
		sum += slot->bins[WEFT_CLASS_KRPC][i].dgram_cnt;
	return sum;
}

/* One more than there are rows, drafts: nothing is lost, only put together. */
static void test_a_source_without_a_row_is_merged_and_the_nearest_stay(void)
{
	static const unsigned cnts[] = {SKETCH_ROW_CNT, SKETCH_ROW_CNT + 1, SKETCH_DRAFT_CNT + 1,
					10 * SKETCH_DRAFT_CNT};

	for (size_t k = 0; k < sizeof(cnts) / sizeof(cnts[0]); k++) {
		const struct sketch_slot *slot;
		uint64_t sum = 0, rows_sum = 0;

		begin();
		second_at(NS_PER_S);
		/* The loud ones come last, when all places are taken. */
		for (unsigned i = 0; i < cnts[k]; i++) {
			uint32_t cnt = i + SKETCH_ROW_CNT >= cnts[k] ? 14 : 3;

			tell(i + 1, cnt);
			sum += cnt;
		}
		firewall_sketch_settle(&sketch);
		slot = firewall_sketch_slot_at(&sketch, 1);
		CHECK_EQ(slot->row_cnt, SKETCH_ROW_CNT);
		for (unsigned i = 0; i < slot->row_cnt; i++) {
			CHECK_EQ(firewall_sketch_cnt_of(slot->rows[i].cnts[1]), 14);
			rows_sum += firewall_sketch_cnt_of(slot->rows[i].cnts[1]);
		}
		CHECK_EQ(bins_sum(slot), sum - rows_sum);
		if (cnts[k] > SKETCH_ROW_CNT)
			CHECK_EQ(slot->bins[WEFT_CLASS_KRPC][1].second_cnt,
				 cnts[k] - SKETCH_ROW_CNT);
	}
}

static void test_a_day_is_kept_and_no_more(void)
{
	begin();
	for (uint64_t minute = 0; minute < SKETCH_SLOT_CNT + 1; minute++) {
		second_at(minute * MINUTE_NS);
		tell(minute + 1, 1);
	}
	firewall_sketch_settle(&sketch);
	CHECK(!firewall_sketch_slot_at(&sketch, 1));
	CHECK(firewall_sketch_slot_at(&sketch, 2) != NULL);
	CHECK_EQ(firewall_sketch_slot_at(&sketch, 2)->rows[0].source.prefix, 2);
	CHECK(firewall_sketch_slot_at(&sketch, SKETCH_SLOT_CNT + 1) != NULL);
	/* A clock that went back changes nothing. */
	second_at(0);
	tell(9, 1);
	CHECK(!firewall_sketch_slot_at(&sketch, 1));
}

int main(void)
{
	RUN(test_a_count_is_kept_within_its_error);
	RUN(test_seconds_and_rows_are_found_again);
	RUN(test_a_source_without_a_row_is_merged_and_the_nearest_stay);
	RUN(test_a_day_is_kept_and_no_more);
	return check_done();
}
