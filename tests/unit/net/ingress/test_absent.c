/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy over tables that are not all there, a case that in the kernel
 * only the verifier believes in. Nothing is read, and no peer is harmed.
 */
#include "support/check.h"
#include "weft/facts.h"
#include "weft/xdp_maps.h"
#include "weft/krpc_tables.h"
#include "weft/relay_tables.h"
#include "weft/reason.h"
#include "weft/token.h"

enum absent {
	NOTHING,
	CONFIG,
	LOCALS,
	CID_KEYS,
	TOKEN_KEYS,
	DEVICE,
	PLACES,
	MARKS,
	TOTALS,
	DRAWS,
	PROVEN,
	KRPC_TEXT,
	KRPC_QUERY,
	KRPC_SELF,
	KRPC_HELD,
	KRPC_KEYS,
	KRPC_TAIL,
	STUN_HEAD,
	RELAY_KEYS,
	RELAY_FLOWS,
	RELAY_GRANTS,
	RELAY_WAY,
};

struct weft_tables {
	enum absent absent;
	struct weft_config config;
	struct weft_locals locals;
	struct weft_cid_keys cid_keys;
	struct weft_token_keys token_keys;
	struct weft_device device;
	struct weft_krpc_reply_keys reply_keys;
	__u64 mark;
	struct weft_place place;
	struct weft_random_drop draw;
	struct weft_validated_set validated;
	struct weft_krpc_self krpc_self;
	struct weft_krpc_query krpc_query;
	__u64 krpc_held;
	struct weft_relay_keys relay_keys;
	struct weft_relay_flow relay_flow;
	struct weft_relay_grant relay_grant;
	struct weft_relay_way relay_way;
	uint8_t payload[1500];
};

#define THERE(tables, what, value) ((tables)->absent == (what) ? NULL : (value))

static inline const struct weft_config *weft_table_config(struct weft_tables *tables)
{
	return THERE(tables, CONFIG, &tables->config);
}

static inline const struct weft_locals *weft_table_locals(struct weft_tables *tables)
{
	return THERE(tables, LOCALS, &tables->locals);
}

static inline const struct weft_cid_keys *weft_table_cid_keys(struct weft_tables *tables)
{
	return THERE(tables, CID_KEYS, &tables->cid_keys);
}

static inline const struct weft_token_keys *weft_table_token_keys(struct weft_tables *tables)
{
	return THERE(tables, TOKEN_KEYS, &tables->token_keys);
}

static inline struct weft_place *weft_table_place(struct weft_tables *tables, __u32 class,
						  __u32 level, __u32 idx)
{
	(void)class, (void)level, (void)idx;
	return THERE(tables, PLACES, &tables->place);
}

static inline __u64 *weft_table_mark(struct weft_tables *tables, __u32 class, __u32 level,
				     __u32 idx)
{
	(void)class, (void)level, (void)idx;
	return THERE(tables, MARKS, &tables->mark);
}

static inline __u64 *weft_table_total(struct weft_tables *tables, enum weft_total total)
{
	(void)total;
	return THERE(tables, TOTALS, &tables->mark);
}

static inline const struct weft_device *weft_table_device(struct weft_tables *tables)
{
	return THERE(tables, DEVICE, &tables->device);
}

static inline const struct weft_krpc_reply_keys *
weft_table_krpc_reply_keys(struct weft_tables *tables)
{
	return THERE(tables, KRPC_KEYS, &tables->reply_keys);
}

static inline const __u8 *weft_table_krpc_tail(struct weft_tables *tables,
					       const struct weft_facts *facts)
{
	return THERE(tables, KRPC_TAIL, tables->payload + facts->len - WEFT_KRPC_TAIL_LEN);
}

static inline const struct weft_krpc_text *weft_table_krpc_text(struct weft_tables *tables,
								const struct weft_facts *facts)
{
	(void)facts;
	return THERE(tables, KRPC_TEXT, (const struct weft_krpc_text *)tables->payload);
}

static inline struct weft_krpc_query *weft_table_krpc_query(struct weft_tables *tables)
{
	return THERE(tables, KRPC_QUERY, &tables->krpc_query);
}

static inline const struct weft_krpc_self *weft_table_krpc_self(struct weft_tables *tables,
								__u32 family)
{
	(void)family;
	return THERE(tables, KRPC_SELF, &tables->krpc_self);
}

static inline const __u64 *weft_table_krpc_held(struct weft_tables *tables, __u32 idx)
{
	(void)idx;
	return THERE(tables, KRPC_HELD, &tables->krpc_held);
}

static inline const __u8 *weft_table_stun_head(struct weft_tables *tables,
					       const struct weft_facts *facts)
{
	(void)facts;
	return THERE(tables, STUN_HEAD, tables->payload);
}

static inline __u64 weft_table_now(struct weft_tables *tables)
{
	(void)tables;
	return 1000;
}

static inline __u64 weft_table_tick(struct weft_tables *tables)
{
	(void)tables;
	return 1;
}

static inline __u32 weft_table_frame_len(struct weft_tables *tables)
{
	(void)tables;
	return 1500;
}

static inline const struct weft_ban *weft_table_ban(struct weft_tables *tables,
						    const struct weft_endpoint *source)
{
	(void)tables, (void)source;
	return NULL;
}

static inline struct weft_session *weft_table_session(struct weft_tables *tables,
						      const struct weft_endpoint *source)
{
	(void)tables, (void)source;
	return NULL;
}

static inline struct weft_validated_set *weft_table_validated_set(struct weft_tables *tables,
								  __u32 idx)
{
	(void)idx;
	return THERE(tables, PROVEN, &tables->validated);
}

static inline struct weft_random_drop *weft_table_random_drop(struct weft_tables *tables,
							      enum weft_answer answer)
{
	(void)answer;
	return THERE(tables, DRAWS, &tables->draw);
}

static inline struct weft_relay_keys *weft_table_relay_keys(struct weft_tables *tables)
{
	return THERE(tables, RELAY_KEYS, &tables->relay_keys);
}

static inline struct weft_relay_flow *weft_table_relay_flow(struct weft_tables *tables, __u32 idx)
{
	(void)idx;
	return THERE(tables, RELAY_FLOWS, &tables->relay_flow);
}

static inline struct weft_relay_grant *weft_table_relay_grant(struct weft_tables *tables, __u32 idx)
{
	(void)idx;
	return THERE(tables, RELAY_GRANTS, &tables->relay_grant);
}

static inline struct weft_relay_way *weft_table_relay_way(struct weft_tables *tables)
{
	return THERE(tables, RELAY_WAY, &tables->relay_way);
}

static inline const struct weft_frame *weft_table_relay_frame(struct weft_tables *tables)
{
	(void)tables;
	return NULL;
}

static inline __u32 weft_table_relay_ifindex(struct weft_tables *tables)
{
	(void)tables;
	return 0;
}

static inline _Bool weft_table_relay_has_device(struct weft_tables *tables, __u32 ifindex)
{
	(void)tables, (void)ifindex;
	return 0;
}

#include "weft/limit.h"
#define weft_call_admit weft_limit_admit
#include "weft/validated.h"
#define weft_call_validated_way	   weft_validated_way
#define weft_call_validated_victim weft_validated_victim
#include "weft/unvalidated.h"

static inline enum weft_reason weft_call_initial(struct weft_tables *tables,
						 const struct weft_view *view,
						 struct weft_facts *facts)
{
	return weft_policy_initial(tables, view->data, facts);
}

#include "weft/krpc_policy.h"
#define weft_call_query	  weft_policy_query
#define weft_call_reply	  weft_policy_is_reply
#define weft_call_receive weft_policy_receive
#include "weft/stun_policy.h"
#define weft_call_stun weft_policy_stun
#include "weft/receive.h"
#include "weft/relay_judge.h"

static inline enum weft_reason
weft_call_relay(struct weft_tables *tables, const struct weft_view *view, struct weft_facts *facts)
{
	struct weft_relay_way spare;

	if (!weft_relay_parse(view, tables->absent == RELAY_WAY ? &spare : &tables->relay_way))
		return WEFT_REASON_RELAY_BAD;
	return weft_relay_judge(tables, facts);
}

#include "weft/policy.h"

static const struct weft_endpoint source = {.addr = {0x20, 1}, .port_be = 1};

static struct weft_tables tables_without(enum absent absent)
{
	struct weft_tables tables = {.absent = absent};
	const __u64 key[2] = {1, 2};

	weft_cid_keys_rotate(&tables.cid_keys, key);
	weft_token_keys_set(&tables.token_keys, 0, key);
	return tables;
}

static enum weft_reason judge(struct weft_tables *tables, uint32_t len, uint32_t readable_len)
{
	struct weft_view view = {tables->payload, tables->payload + readable_len};
	struct weft_facts facts = {.source = source, .len = len};

	return weft_policy_judge(tables, &view, &facts);
}

static void test_absent_table_leaves_datagrams_to_the_kernel(void)
{
	static const struct {
		enum absent absent;
		const char *head;
		enum weft_reason want;
	} rows[] = {
		{NOTHING, "\xc3\0\0\0\1\x08", WEFT_REASON_INITIAL},
		{CONFIG, "\xc3\0\0\0\1\x08", WEFT_REASON_NO_TABLES},
		{PLACES, "\xc3\0\0\0\1\x08", WEFT_REASON_RETRY_SENT},
		{MARKS, "\xc3\0\0\0\1\x08", WEFT_REASON_RETRY_SENT},
		{CID_KEYS, "\x41\x80\1\2\3\4", WEFT_REASON_BAD_ID},
		{DRAWS, "\xc3\0\0\0\2\x08", WEFT_REASON_ANSWER_LIMIT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_tables tables = tables_without(rows[i].absent);

		memcpy(tables.payload, rows[i].head, 6);
		CHECK_EQ(judge(&tables, 1200, 1200), rows[i].want);
	}
}

static void test_absent_table_leaves_stun_requests_to_userspace(void)
{
	static const struct {
		enum absent absent;
		enum weft_reason want;
	} rows[] = {
		{NOTHING, WEFT_REASON_STUN_SENT}, {CONFIG, WEFT_REASON_NO_TABLES},
		{PLACES, WEFT_REASON_STUN_LIMIT}, {TOTALS, WEFT_REASON_STUN_BUDGET},
		{STUN_HEAD, WEFT_REASON_STUN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_tables tables = tables_without(rows[i].absent);
		struct weft_facts facts = {.source = source, .len = WEFT_STUN_LEN_MIN};

		memcpy(tables.payload, "\0\1\0\0\x21\x12\xa4\x42", 8);
		CHECK_EQ(judge(&tables, WEFT_STUN_LEN_MIN, WEFT_STUN_LEN_MIN), rows[i].want);
		if (rows[i].absent == CONFIG)
			CHECK_EQ(weft_policy_stun(&tables, &facts), rows[i].want);
	}
}

static void test_absent_table_leaves_dht_questions_to_userspace(void)
{
	static const char get[] = "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456"
				  "e1:q3:get2:roi1e1:t2:aa1:y1:qe";
	static const struct {
		enum absent absent;
		enum weft_reason want;
	} rows[] = {
		{NOTHING, WEFT_REASON_KRPC_SENT}, {CONFIG, WEFT_REASON_NO_TABLES},
		{PLACES, WEFT_REASON_KRPC_LIMIT}, {TOTALS, WEFT_REASON_KRPC_BUDGET},
		{KRPC_TEXT, WEFT_REASON_KRPC},	  {KRPC_QUERY, WEFT_REASON_KRPC},
		{KRPC_SELF, WEFT_REASON_KRPC},	  {KRPC_HELD, WEFT_REASON_KRPC},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_tables tables = tables_without(rows[i].absent);
		struct weft_facts facts = {.source = source, .len = sizeof(get) - 1};

		tables.krpc_self.live_id = WEFT_KRPC_SECOND;
		memcpy(tables.payload, get, sizeof(get));
		CHECK_EQ(judge(&tables, sizeof(get) - 1, sizeof(get) - 1), rows[i].want);
		if (rows[i].absent == CONFIG)
			CHECK_EQ(weft_policy_query(&tables, &facts, false), rows[i].want);
	}
}

/* A flow with a grant, and a datagram of its first leg. */
static void relay_one(struct weft_tables *tables)
{
	const struct weft_endpoint other = {.addr = {0x20, 1, 1}, .port_be = 2};
	struct weft_siphash_key *key = &tables->relay_keys.slots[0];

	*key = (struct weft_siphash_key){.key = {1, 2}, .generation = 4, .is_set = 1};
	tables->relay_flow = (struct weft_relay_flow){
		.state = WEFT_RELAY_OPEN,
		.grant = 1,
		.mtu = 1500,
		.legs = {{.remote = source}, {.remote = other}},
	};
	tables->relay_grant.volume_left = 10000;
	if (weft_relay_label_make(&tables->relay_keys, 4, 0, &tables->relay_way.label))
		memcpy(tables->payload, &tables->relay_way.label, WEFT_RELAY_LABEL_LEN);
	tables->payload[WEFT_RELAY_LABEL_LEN] = 0x40;
}

static void test_absent_table_forwards_nothing(void)
{
	static const struct {
		enum absent absent;
		enum weft_reason want;
	} rows[] = {
		{NOTHING, WEFT_REASON_RELAYED},
		{RELAY_KEYS, WEFT_REASON_RELAY_TAG},
		{RELAY_FLOWS, WEFT_REASON_ANSWER_LIMIT}, /* the clock has only begun */
		{RELAY_GRANTS, WEFT_REASON_RELAY_GRANT_LIMIT},
		{RELAY_WAY, WEFT_REASON_NO_TABLES},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_tables tables = tables_without(rows[i].absent);

		relay_one(&tables);
		CHECK_EQ(judge(&tables, 1200, 1200), rows[i].want);
	}
}

static void test_absent_table_makes_a_reply_an_unvalidated_source(void)
{
	static const struct {
		enum absent absent;
		enum weft_reason want;
	} rows[] = {
		{NOTHING, WEFT_REASON_KRPC_REPLY},
		{KRPC_KEYS, WEFT_REASON_KRPC},
		{KRPC_TAIL, WEFT_REASON_KRPC},
		{TOTALS, WEFT_REASON_KRPC_REPLY},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const char reply[] = "d1:rd2:id20:abcdefghij0123456789e1:t8:........1:y1:re";
		struct weft_tables tables = tables_without(rows[i].absent);
		__u64 transaction;

		tables.reply_keys.keys[1][0] = 7;
		transaction = weft_krpc_transaction(tables.reply_keys.keys[1], &source, 5);
		memcpy(tables.payload, reply, sizeof(reply));
		memcpy(tables.payload + 38, &transaction, sizeof(transaction));
		CHECK_EQ(judge(&tables, sizeof(reply) - 1, sizeof(reply) - 1), rows[i].want);
	}
}

static void test_without_addresses_or_a_device_everything_passes(void)
{
	static const enum absent absents[] = {LOCALS, DEVICE};

	for (size_t i = 0; i < sizeof(absents) / sizeof(absents[0]); i++) {
		struct weft_tables tables = tables_without(absents[i]);
		struct weft_view view = {tables.payload, tables.payload + 1500};
		struct weft_facts facts = {.len = 0};
		struct weft_frame frame;

		CHECK_EQ(weft_verdict(weft_policy_judge_frame(&tables, &view, &frame, &facts)),
			 WEFT_PASS);
		CHECK_EQ(weft_policy_receive(&tables, &frame, &facts), WEFT_REASON_NO_TABLES);
	}
}

static void write_token(struct weft_tables *tables, uint8_t kind)
{
	struct weft_token token = {.client = source, .kind = kind};

	memcpy(tables->payload, "\xc3\0\0\0\1\x10", 6);
	tables->payload[23] = WEFT_TOKEN_LEN;
	(void)weft_token_write(&tables->token_keys, &token, tables->payload + 24);
}

static void test_token_needs_keys_alone(void)
{
	struct weft_tables tables = tables_without(TOKEN_KEYS);

	write_token(&tables, WEFT_TOKEN_RETRY);
	CHECK_EQ(judge(&tables, 1200, 1200), WEFT_REASON_NO_TABLES);
	/* Nothing is remembered, and nothing refused for it. */
	tables.absent = PROVEN;
	CHECK_EQ(judge(&tables, 1200, 1200), WEFT_REASON_RETRIED);
	write_token(&tables, WEFT_TOKEN_KNOWN);
	CHECK_EQ(judge(&tables, 1200, 1200), WEFT_REASON_KNOWN);
	tables.absent = PLACES;
	CHECK_EQ(judge(&tables, 1200, 1200), WEFT_REASON_RETRY_SENT);
	/* The first makes an entry, which has no credit here. */
	tables.absent = NOTHING;
	write_token(&tables, WEFT_TOKEN_RETRY);
	CHECK_EQ(judge(&tables, 1200, 1200), WEFT_REASON_RETRIED);
}

/* What can be read ends earlier than the length says: nothing beyond is touched. */
static void test_nothing_is_read_beyond_the_view(void)
{
	struct weft_tables tables = tables_without(NOTHING);
	uint8_t *cid = tables.payload + 1;
	const __u8 noise[WEFT_CID_RANDOM_LEN] = {0};

	tables.payload[0] = 0x41;
	weft_cid_write(&tables.cid_keys, 0, noise, cid);
	CHECK_EQ(judge(&tables, 100, 17), WEFT_REASON_NEW_PATH);
	CHECK_EQ(judge(&tables, 100, 16), WEFT_REASON_BAD_ID);
	CHECK_EQ(judge(&tables, 100, 7), WEFT_REASON_NO_PROTOCOL);
	memmove(tables.payload + 6, cid, WEFT_CID_LEN);
	memcpy(tables.payload, "\xe3\0\0\0\1\x10", 6);
	CHECK_EQ(judge(&tables, 100, 22), WEFT_REASON_NEW_PATH);
	CHECK_EQ(judge(&tables, 100, 21), WEFT_REASON_BAD_ID);
}

static void test_classes_beyond_the_last_are_refused(void)
{
	struct weft_tables tables = tables_without(NOTHING);

	CHECK(weft_limit_admit(&tables, &source, WEFT_CLASS_ALL_CNT - 1, 1));
	CHECK(!weft_limit_admit(&tables, &source, WEFT_CLASS_ALL_CNT, 1));
	tables.absent = CONFIG;
	CHECK(!weft_limit_admit(&tables, &source, 0, 1));
}

static void test_weight_of_a_sample_does_not_wrap(void)
{
	struct weft_tables tables = tables_without(NOTHING);
	struct weft_sampler sampler = {.weight = 1ull << 32};
	struct weft_facts facts = {.now_ns = 0};

	CHECK_EQ(weft_policy_weigh(&tables, &tables.config, &sampler, &facts), ~0u);
	CHECK_EQ(sampler.weight, 0);
}

int main(void)
{
	RUN(test_absent_table_leaves_datagrams_to_the_kernel);
	RUN(test_absent_table_leaves_stun_requests_to_userspace);
	RUN(test_absent_table_leaves_dht_questions_to_userspace);
	RUN(test_absent_table_forwards_nothing);
	RUN(test_absent_table_makes_a_reply_an_unvalidated_source);
	RUN(test_without_addresses_or_a_device_everything_passes);
	RUN(test_token_needs_keys_alone);
	RUN(test_nothing_is_read_beyond_the_view);
	RUN(test_classes_beyond_the_last_are_refused);
	RUN(test_weight_of_a_sample_does_not_wrap);
	return check_done();
}
