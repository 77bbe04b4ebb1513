/* SPDX-License-Identifier: Apache-2.0 */
/* What offers take at most: the plan of memory that the daemon says at its start counts on it. */
#include "offers/service_offers_state.h"
#include "support/check.h"

static uint32_t book_cap(const struct service_offers_config *config)
{
	return (uint32_t)(config->room_len / OFFERS_ROOM_AN_ENDORSEMENT);
}

static void test_the_footprint_has_each_table(void)
{
	struct service_offers_config config;

	offers_config_defaults(&config);
	CHECK(offers_footprint(&config) >=
	      offers_store_footprint((uint32_t)(config.room_len / OFFER_UNIT_LEN)) +
		      offers_spread_footprint(&config.spread) +
		      offers_endorse_footprint(book_cap(&config)) + offers_relays_footprint() +
		      offers_reservations_footprint());
}

static void test_a_table_takes_its_rows_at_least(void)
{
	size_t len = offers_endorse_footprint(1024);

	CHECK(len >= 1024 * ENDORSEMENT_LEN_MAX);
	CHECK(offers_endorse_footprint(2048) >= len + 1024 * ENDORSEMENT_LEN_MAX);
	CHECK(offers_relays_footprint() >= RELAYS_PEER_CAP * sizeof(struct service_caps));
	/* Each with the message that it sends. */
	CHECK(offers_reservations_footprint() >=
	      (RESERVATIONS_RECEIVED_MAX + RESERVATIONS_OVER_MAX + RESERVATIONS_MADE_MAX) *
		      RESERVATION_MESSAGE_MAX);
}

int main(void)
{
	RUN(test_the_footprint_has_each_table);
	RUN(test_a_table_takes_its_rows_at_least);
	return check_done();
}
