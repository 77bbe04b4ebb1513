/* SPDX-License-Identifier: Apache-2.0 */
/* What a key, and a network of unknown keys, has in a day without a grant. */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/relay_rig.h"

#define SECOND	1000000000ull
#define OPENS	1024u /* of a key a day, by default */
#define NETWORK 16u   /* keys' worth of a network, by default */
#define MIB	1048576ull

static struct relay_rig rig;

static struct relay_flow_terms terms_of(const uint8_t *key, const struct addr *addr)
{
	return (struct relay_flow_terms){
		.owner = key, .addr = addr, .class = FAIR_UNKNOWN, .mtu = RELAY_RIG_MTU};
}

/* As relay_flow_open; the flow is closed again, so that three are never open. */
static int open_close(unsigned owner, unsigned network, enum fair_class class)
{
	const uint8_t key[RELAY_KEY_LEN] = {(uint8_t)owner, (uint8_t)(owner >> 8), 1};
	const struct addr addr = relay_rig_addr(network, owner & 0xff);
	struct relay_flow_terms terms = terms_of(key, &addr);
	struct relay_flow_id id;
	int err;

	terms.class = class;
	err = relay_flow_open(rig.relay, &terms, &id);
	if (err == 0)
		relay_flow_close(rig.relay, id);
	return err;
}

static unsigned opened(unsigned owner, unsigned network, enum fair_class class, unsigned most)
{
	unsigned cnt = 0;

	while (cnt < most && open_close(owner, network, class) == 0)
		cnt++;
	return cnt;
}

static void test_a_key_opens_so_many_flows_a_day_and_not_one_more(void)
{
	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	CHECK_EQ(relay_stats(rig.relay)->spent_cnt, 2);
	/* From elsewhere it is the same key; another key is another. */
	CHECK_EQ(open_close(1, 2, FAIR_UNKNOWN), WEFT_EBUSY);
	CHECK_EQ(open_close(2, 1, FAIR_UNKNOWN), 0);
	/* What was refused costs nothing: the next day has as many. */
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	relay_rig_end(&rig);
}

static void test_the_day_is_that_of_utc(void)
{
	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(relay_day_left_s(rig.relay), 16 * 3600); /* it is 08:00 */
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS), OPENS);
	rig.wall_s += 16 * 3600 - 2;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(relay_day_left_s(rig.relay), 1);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), 0);
	/* A clock that is put back gives no second day. */
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS), OPENS - 1);
	rig.wall_s -= RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

/* Keys are free: a host that takes a new one for each flow has what sixteen keys have. */
static void test_unknown_keys_of_a_network_share_a_bound(void)
{
	unsigned cnt = 0;

	relay_rig_begin(&rig, NULL, 0);
	while (cnt <= NETWORK * OPENS && open_close(cnt, 1, FAIR_UNKNOWN) == 0)
		cnt++;
	CHECK_EQ(cnt, NETWORK * OPENS);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	/* Neither another network nor a key of there that is known here pays for it. */
	CHECK_EQ(open_close(60001, 2, FAIR_UNKNOWN), 0);
	CHECK_EQ(opened(60002, 1, FAIR_KNOWN, OPENS + 1), OPENS);
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), 0);
	relay_rig_end(&rig);
}

/* More keys than rows: the longest idle go, but no network does, whatever keys come. */
static void test_a_flood_of_keys_does_not_forget_a_network(void)
{
	unsigned cnt;

	relay_rig_begin(&rig, NULL, 64);
	for (cnt = 0; cnt < NETWORK * OPENS; cnt++)
		CHECK_EQ(open_close(cnt, 1, FAIR_UNKNOWN), 0);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(open_close(20000 + i, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(open_close(30000 + i, 2, FAIR_UNKNOWN), 0);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

static void test_a_grant_is_not_charged(void)
{
	struct relay_flow_id id;
	unsigned grant;

	relay_rig_begin(&rig, NULL, 0);
	grant = relay_rig_grant(&rig, 1, 0, 0);
	CHECK_EQ(opened(1, 0, FAIR_UNKNOWN, OPENS), OPENS);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(relay_rig_open(&rig, 1, grant, &id), 0);
		relay_flow_close(rig.relay, id);
	}
	CHECK_EQ(open_close(1, 0, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

/* --- volume --- */

/* A flow whose legs are known, of content or control. */
static struct relay_flow_id open_of(unsigned owner, unsigned network, enum relay_class traffic)
{
	const uint8_t key[RELAY_KEY_LEN] = {(uint8_t)owner, (uint8_t)(owner >> 8), 1};
	const struct addr addr = relay_rig_addr(network, owner & 0xff);
	const struct addr first = relay_rig_addr(1, 1), second = relay_rig_addr(2, 1);
	struct relay_flow_terms terms = terms_of(key, &addr);
	struct relay_flow_id id = {0};

	terms.traffic = traffic;
	if (relay_flow_open(rig.relay, &terms, &id) < 0 ||
	    relay_flow_set_leg(rig.relay, id, 0, &first, &rig.own) < 0 ||
	    relay_flow_set_leg(rig.relay, id, 1, &second, &rig.own) < 0)
		abort();
	return id;
}

/* As the tables count it: what a datagram adds, without waiting for the rate to let it pass. */
static void carry(struct relay_flow_id id, uint64_t len)
{
	struct weft_relay_flow *row = &relay_tables(rig.relay)->flows[id.idx];

	row->bytes[0] += len;
	row->packets[0]++;
	relay_rig_pass(&rig, 5 * SECOND);
}

static bool is_slow(struct relay_flow_id id)
{
	struct relay_flow_view view;

	if (relay_flow_read(rig.relay, id, &view) < 0)
		abort();
	return view.is_slow;
}

static void test_content_has_four_mib_a_day_apart_from_control(void)
{
	struct relay_flow_id content, control;

	relay_rig_begin(&rig, NULL, 0);
	content = open_of(1, 1, RELAY_CONTENT);
	control = open_of(1, 1, RELAY_CONTROL);
	carry(content, 4 * MIB);
	CHECK(!is_slow(content));
	carry(content, 1);
	CHECK(is_slow(content) && !is_slow(control));
	carry(control, 16 * MIB);
	CHECK(!is_slow(control));
	carry(control, 1);
	CHECK(is_slow(control));
	/* Another flow of the day begins slow; it is opened all the same. */
	CHECK(is_slow(open_of(1, 1, RELAY_CONTENT)));
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, 5 * SECOND);
	CHECK(!is_slow(content) && !is_slow(control));
	relay_rig_end(&rig);
}

static void test_a_network_has_the_volume_of_sixteen_keys(void)
{
	struct relay_flow_id flows[NETWORK], other;

	relay_rig_begin(&rig, NULL, 0);
	for (unsigned i = 0; i < NETWORK; i++) {
		flows[i] = open_of(i, 1, RELAY_CONTROL);
		carry(flows[i], 16 * MIB);
		CHECK(!is_slow(flows[i]));
	}
	other = open_of(500, 2, RELAY_CONTROL);
	/* One byte of a key that has used nothing. */
	flows[0] = open_of(100, 1, RELAY_CONTROL);
	CHECK(!is_slow(flows[0]));
	carry(flows[0], 1);
	CHECK(is_slow(flows[0]) && is_slow(flows[1]) && !is_slow(other));
	CHECK(!is_slow(open_of(101, 1, RELAY_CONTENT)));
	relay_rig_end(&rig);
}

static void test_the_day_of_an_owner_is_shown(void)
{
	struct relay_flow_view view;
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(opened(1, 0, FAIR_UNKNOWN, 5), 5);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &id), 0);
	CHECK_EQ(relay_flow_read(rig.relay, id, &view), 0);
	CHECK_EQ(view.opened_today, 6);
	relay_rig_end(&rig);
}

int main(void)
{
	RUN(test_a_key_opens_so_many_flows_a_day_and_not_one_more);
	RUN(test_the_day_is_that_of_utc);
	RUN(test_unknown_keys_of_a_network_share_a_bound);
	RUN(test_a_flood_of_keys_does_not_forget_a_network);
	RUN(test_a_grant_is_not_charged);
	RUN(test_content_has_four_mib_a_day_apart_from_control);
	RUN(test_a_network_has_the_volume_of_sixteen_keys);
	RUN(test_the_day_of_an_owner_is_shown);
	return check_done();
}
