/* SPDX-License-Identifier: Apache-2.0 */
/* Pings of addresses that a caller checks by hand. */
#include "base/monotonic.h"
#include "support/check.h"
#include "support/dht_rig.h"

static struct dht_rig rig;
static unsigned told_cnt;
static int told_err;
static uint64_t told_ns;

static void pinged(void *arg, int err, uint64_t took_ns)
{
	(void)arg;
	told_cnt++;
	told_err = err;
	told_ns = took_ns;
}

static void begin(void)
{
	dht_rig_init(&rig);
	dht_rig_start(&rig);
	dht_rig_forget(&rig);
	told_cnt = 0;
}

static void wait(uint64_t for_ns)
{
	rig.now_ns += for_ns;
	dht_expire(rig.dht, rig.now_ns);
}

static int ping(unsigned number)
{
	char text[32];
	struct addr addr;

	snprintf(text, sizeof(text), "198.51.%u.7:6881", number);
	addr = dht_rig_addr(text);
	return dht_ping(rig.dht, &addr, pinged, &rig, rig.now_ns);
}

static void test_an_answer_is_reported_with_its_time(void)
{
	struct addr addr = dht_rig_addr("198.51.1.7:6881");
	uint8_t answer[128];
	struct writer w = writer_of(answer, sizeof(answer));
	struct krpc_message query;

	begin();
	CHECK_EQ(ping(1), 0);
	CHECK_EQ(rig.sent_cnt, 1);
	CHECK_EQ(dht_krpc_parse(rig.sent[0].data, rig.sent[0].len, &query), 0);
	writer_bytes(&w, "d1:rd2:id20:abcdefghij0123456789e1:t", 36);
	writer_u8(&w, (uint8_t)('0' + query.transaction.len));
	writer_u8(&w, ':');
	writer_bytes(&w, query.transaction.data, query.transaction.len);
	writer_bytes(&w, "1:y1:re", 7);
	rig.now_ns += 30 * NS_PER_MS;
	dht_rig_input(&rig, &addr, answer, writer_len(&w));
	CHECK_EQ(told_cnt, 1);
	CHECK_EQ(told_err, 0);
	CHECK_EQ(told_ns, 30 * NS_PER_MS);
	wait(60 * NS_PER_S);
	CHECK_EQ(told_cnt, 1);
	dht_rig_fini(&rig);
}

static void test_silence_is_reported_once(void)
{
	begin();
	CHECK_EQ(ping(1), 0);
	wait(60 * NS_PER_S);
	CHECK_EQ(told_cnt, 1);
	CHECK_EQ(told_err, WEFT_ETIMEOUT);
	dht_rig_fini(&rig);
}

static void test_a_forgotten_ping_is_neither_reported_nor_taken_for_the_next(void)
{
	begin();
	CHECK_EQ(ping(1), 0);
	dht_ping_forget(rig.dht, &rig);
	wait(NS_PER_MS);
	CHECK_EQ(ping(2), 0);
	CHECK_EQ(told_cnt, 0);
	wait(60 * NS_PER_S);
	CHECK_EQ(told_cnt, 1);
	dht_rig_fini(&rig);
}

static void test_so_many_are_under_way_and_no_more(void)
{
	unsigned begun_cnt = 0;
	int err = 0;

	begin();
	for (unsigned i = 0; i < 2 * DHT_PINGS_MAX && err != WEFT_EFULL; i++) {
		err = ping(i);
		begun_cnt += err == 0;
		dht_flush(rig.dht, rig.now_ns);
	}
	CHECK_EQ(err, WEFT_EFULL);
	CHECK_EQ(begun_cnt, DHT_PINGS_MAX);
	dht_rig_fini(&rig);
}

int main(void)
{
	RUN(test_an_answer_is_reported_with_its_time);
	RUN(test_silence_is_reported_once);
	RUN(test_a_forgotten_ping_is_neither_reported_nor_taken_for_the_next);
	RUN(test_so_many_are_under_way_and_no_more);
	return check_done();
}
