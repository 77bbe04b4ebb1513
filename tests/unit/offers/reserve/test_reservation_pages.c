/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of reservations. */
#include "reservations_rig.h"

static uint8_t id[RESERVATION_ID_LEN];

struct paged {
	uint64_t made_s[8];
	unsigned cnt;
};

static void on_paged(void *arg, const struct reservation_view *view)
{
	struct paged *paged = arg;

	paged->made_s[paged->cnt++] = view->record->made_s;
}

static void test_pages_have_all_of_them_once_the_newest_first(void)
{
	struct paged paged = {.cnt = 0};
	struct reservation_page_ask ask = {.limit = 2, .fn = on_paged, .arg = &paged};
	struct reservation_place last;

	rig_begin();
	ask.after.made_s = UINT64_MAX;
	CHECK(!offers_reservations_page(rig.consumer.reservations, &ask, &last));
	CHECK_EQ(paged.cnt, 0);
	/* Two are of one second. */
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
		if (i != 2)
			rig_pass(1);
	}
	for (unsigned page = 0; page < 3; page++) {
		CHECK_EQ(offers_reservations_page(rig.consumer.reservations, &ask, &last),
			 page < 2);
		CHECK_EQ(paged.cnt, page < 2 ? 2 * page + 2 : 5);
		ask.after = last;
	}
	for (unsigned i = 1; i < 5; i++)
		CHECK(paged.made_s[i - 1] > paged.made_s[i] - (i == 2));
	ask.after.made_s = UINT64_MAX;
	ask.limit = 5;
	paged.cnt = 0;
	CHECK(!offers_reservations_page(rig.consumer.reservations, &ask, &last));
	CHECK_EQ(paged.cnt, 5);
	rig_end();
}

int main(void)
{
	RUN(test_pages_have_all_of_them_once_the_newest_first);
	return check_done();
}
