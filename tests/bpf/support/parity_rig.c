/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/parity_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "bpf/support/packet.h"
#include "net/ingress/krpc_table_writer.h"
#include "net/ingress/ingress_policy.h"
#include "weft/ghash.h"
#include "weft/relay_headers.h"

static const struct demux_tables_params params = {
	.ban_cap = PARITY_RIG_BAN_CAP,
	.session_cap = PARITY_RIG_SESSION_CAP,
	.secret = {1, 2},
};
static const uint32_t only;

const char *parity_rig_open(struct parity_rig *rig)
{
	struct weft_ghash *ghash = malloc(sizeof(*ghash));
	struct weft_krpc_tables *krpc = &rig->native.krpc;
	struct weft_device device;
	const char *reason;

	memset(rig, 0, sizeof(*rig));
	if (!ghash || arena_open(&rig->arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(&rig->native, &rig->arena, &params) < 0)
		abort();
	krpc->selves = calloc(WEFT_KRPC_FAMILY_CNT, sizeof(krpc->selves[0]));
	krpc->buckets = calloc(WEFT_KRPC_BUCKETS_CNT, sizeof(krpc->buckets[0]));
	krpc->held = calloc(WEFT_KRPC_HELD_WORD_CNT, sizeof(krpc->held[0]));
	krpc->reply_keys = &rig->native.reply_keys;
	if (!krpc->selves || !krpc->buckets || !krpc->held)
		abort();
	rig->native.relay = (struct weft_relay_tables){
		.keys = calloc(1, sizeof(struct weft_relay_keys)),
		.flows = calloc(PROGRAM_RELAY_FLOW_CNT, sizeof(struct weft_relay_flow)),
		.grants = calloc(WEFT_RELAY_GRANT_CNT, sizeof(struct weft_relay_grant)),
		.flow_cnt = PROGRAM_RELAY_FLOW_CNT,
	};
	rig->native.relay_devices = 1ull << PARITY_RIG_IFINDEX;
	if (!rig->native.relay.keys || !rig->native.relay.flows || !rig->native.relay.grants)
		abort();
	reason = program_open(&rig->program, PARITY_RIG_SESSION_CAP);
	rig->has_program = !reason;
	device = packet_device();
	parity_rig_set_device(rig, &device);
	weft_ghash_fill(ghash);
	if (rig->has_program) {
		const uint32_t ifindex = PARITY_RIG_IFINDEX;

		program_put(&rig->program, "weft_ghash", &only, ghash);
		program_put(&rig->program, "weft_relay_devices", &ifindex, &ifindex);
	}
	free(ghash);
	return reason;
}

void parity_rig_close(struct parity_rig *rig)
{
	if (rig->has_program)
		program_close(&rig->program);
	free(rig->native.krpc.selves);
	free(rig->native.krpc.buckets);
	free(rig->native.krpc.held);
	free(rig->native.relay.keys);
	free(rig->native.relay.flows);
	free(rig->native.relay.grants);
	arena_close(&rig->arena);
}

static void put(struct parity_rig *rig, const char *map, const void *key, const void *value)
{
	if (rig->has_program)
		program_put(&rig->program, map, key, value);
}

/* On every CPU. */
static void put_set(struct parity_rig *rig, uint32_t idx, const struct weft_validated_set *set)
{
	struct weft_validated_set *sets;

	if (!rig->has_program)
		return;
	sets = calloc((size_t)rig->program.cpu_cnt, sizeof(*sets));
	if (!sets)
		abort();
	for (int cpu = 0; cpu < rig->program.cpu_cnt; cpu++)
		sets[cpu] = *set;
	program_put(&rig->program, "weft_validated", &idx, sets);
	free(sets);
}

void parity_rig_reset(struct parity_rig *rig)
{
	struct weft_tables *native = &rig->native;
	static const struct weft_validated_set empty;
	struct weft_tables kept = *native;

	/* Those of the program that are not empty. */
	for (uint32_t i = 0; i < WEFT_VALIDATED_SET_CNT; i++)
		if (memcmp(&native->validated[i], &empty, sizeof(empty)) != 0)
			put_set(rig, i, &empty);
	arena_close(&rig->arena);
	if (arena_open(&rig->arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(native, &rig->arena, &params) < 0)
		abort();
	native->krpc = kept.krpc;
	native->relay = kept.relay;
	native->relay_devices = kept.relay_devices;
	native->locals = kept.locals;
	native->device = kept.device;
	native->reply_keys = kept.reply_keys;
	native->cid_keys = kept.cid_keys;
	native->token_keys = kept.token_keys;
	kept.config.ban_ipv4_cnt = kept.config.ban_ipv6_cnt = 0;
	native->config = kept.config;
	native->now_ns = kept.now_ns;
	if (!rig->has_program)
		return;
	program_clear(&rig->program);
	put(rig, "weft_config", &only, &native->config);
}

void parity_rig_set_config(struct parity_rig *rig, const struct weft_config *config)
{
	net_ingress_tables_set_config(&rig->native, config);
	put(rig, "weft_config", &only, &rig->native.config);
}

void parity_rig_set_cid_keys(struct parity_rig *rig, const struct weft_cid_keys *keys)
{
	rig->native.cid_keys = *keys;
	put(rig, "weft_cid_keys", &only, keys);
}

void parity_rig_set_token_keys(struct parity_rig *rig, const struct weft_token_keys *keys)
{
	rig->native.token_keys = *keys;
	put(rig, "weft_token_keys", &only, keys);
}

void parity_rig_set_device(struct parity_rig *rig, const struct weft_device *device)
{
	rig->native.device = *device;
	put(rig, "weft_device", &only, device);
}

void parity_rig_set_locals(struct parity_rig *rig, const struct weft_locals *locals)
{
	rig->native.locals = *locals;
	put(rig, "weft_locals", &only, locals);
}

void parity_rig_set_now(struct parity_rig *rig, uint64_t now_ns)
{
	rig->native.now_ns = now_ns;
	if (rig->has_program)
		program_set_now(&rig->program, now_ns);
}

void parity_rig_ban(struct parity_rig *rig, const struct weft_endpoint *addr, unsigned prefix_len,
		    uint64_t expires_ns)
{
	struct weft_ban_key_ipv6 ipv6 = {.prefix_len = prefix_len};
	struct weft_ban_key_ipv4 ipv4 = {.prefix_len = prefix_len};
	const struct weft_ban ban = {.expires_ns = expires_ns};

	if (net_ingress_ban_put(&rig->native, addr, prefix_len, &ban) < 0)
		abort();
	memcpy(ipv4.addr, addr->addr + 12, sizeof(ipv4.addr));
	memcpy(ipv6.addr, addr->addr, sizeof(ipv6.addr));
	if (weft_endpoint_is_ipv4(addr))
		put(rig, "weft_bans_ipv4", &ipv4, &ban);
	else
		put(rig, "weft_bans_ipv6", &ipv6, &ban);
	put(rig, "weft_config", &only, &rig->native.config);
}

void parity_rig_put_session(struct parity_rig *rig, const struct weft_endpoint *source,
			    uint64_t expires_ns)
{
	const struct weft_session entry = {.expires_ns = expires_ns};

	if (net_ingress_session_put(&rig->native, source, &entry) < 0)
		abort();
	put(rig, "weft_sessions", source, &entry);
}

void parity_rig_prove(struct parity_rig *rig, const struct weft_endpoint *source)
{
	struct weft_validated_set *set = weft_validated_set(&rig->native, source);

	weft_validated_put(&rig->native, source, weft_validated_victim(&rig->native, source),
			   rig->native.now_ns + rig->native.config.token_life_ns);
	put_set(rig, (uint32_t)(set - rig->native.validated), set);
}

/* Of each that is there. */
static const struct weft_krpc_tables *krpc_next(const struct parity_rig *rig,
						const struct weft_krpc_tables *last)
{
	if (!last)
		return &rig->native.krpc;
	return rig->has_program && last == &rig->native.krpc ? &rig->program.krpc : NULL;
}

void parity_rig_set_krpc_id(struct parity_rig *rig, enum weft_krpc_family family, const uint8_t *id)
{
	for (const struct weft_krpc_tables *at = NULL; (at = krpc_next(rig, at));)
		net_krpc_tables_set_id(at, family, id);
}

void parity_rig_set_krpc_token_key(struct parity_rig *rig, const uint64_t key[2])
{
	for (const struct weft_krpc_tables *at = NULL; (at = krpc_next(rig, at));)
		net_krpc_tables_set_token_key(at, key);
}

void parity_rig_set_krpc_nodes(struct parity_rig *rig, enum weft_krpc_family family,
			       unsigned bucket, const uint8_t *compact, unsigned cnt)
{
	for (const struct weft_krpc_tables *at = NULL; (at = krpc_next(rig, at));)
		net_krpc_tables_set_nodes(at, family, bucket, compact, cnt);
}

void parity_rig_set_krpc_held(struct parity_rig *rig, const uint8_t *key, bool is_held)
{
	struct weft_krpc_id id = {.words = {0, 0, 0}};
	uint64_t bits, mask;
	uint32_t bit;

	memcpy(id.bytes, key, WEFT_KRPC_ID_LEN);
	bit = weft_krpc_held_bit(&id);
	mask = 1ull << bit % 64;
	bits = rig->native.krpc.held[bit / 64];
	for (const struct weft_krpc_tables *at = NULL; (at = krpc_next(rig, at));)
		net_krpc_tables_set_held_word(at, bit / 64, is_held ? bits | mask : bits & ~mask);
}

void parity_rig_set_reply_keys(struct parity_rig *rig, const struct weft_krpc_reply_keys *keys)
{
	for (const struct weft_krpc_tables *at = NULL; (at = krpc_next(rig, at));)
		net_krpc_tables_set_reply_keys(at, keys);
}

void parity_rig_set_relay_keys(struct parity_rig *rig, const struct weft_relay_keys *keys)
{
	*rig->native.relay.keys = *keys;
	if (rig->has_program)
		*rig->program.relay.keys = *keys;
}

void parity_rig_set_relay_flow(struct parity_rig *rig, unsigned idx,
			       const struct weft_relay_flow *flow)
{
	rig->native.relay.flows[idx] = *flow;
	if (rig->has_program)
		rig->program.relay.flows[idx] = *flow;
}

void parity_rig_set_relay_grant(struct parity_rig *rig, unsigned idx,
				const struct weft_relay_grant *grant)
{
	rig->native.relay.grants[idx] = *grant;
	if (rig->has_program)
		rig->program.relay.grants[idx] = *grant;
}

/* Of the bytes behind the label, word by word and the last one alone. */
static uint16_t inner_sum(const struct weft_frame *frame, const uint8_t *payload)
{
	uint64_t sum = 0;
	uint16_t word = 0;

	for (size_t off = WEFT_RELAY_LABEL_LEN; off < frame->payload_len; off += 2) {
		word = 0;
		memcpy(&word, payload + off, frame->payload_len - off > 1 ? 2 : 1);
		sum += word;
	}
	return weft_sum_fold(sum);
}

size_t parity_rig_relayed(struct parity_rig *rig, const uint8_t *frame, size_t len, uint8_t *out)
{
	struct weft_relay_way *way = &rig->native.relay_way;
	struct weft_view view = {frame, frame + len};
	uint8_t draft[WEFT_RELAY_DRAFT_LEN];
	struct weft_frame parsed;
	enum weft_reason reason;
	size_t begin, new_len, rest_len;
	uint16_t csum;

	if (!weft_frame_parse(&view, &parsed, &reason))
		abort();
	csum = rig->native.device.has_partial_sums && weft_relay_has_partial_sum(&parsed)
		       ? weft_relay_whole_sum(&parsed, way, inner_sum(&parsed, view.data))
		       : weft_relay_patched_sum(&parsed, way);
	begin = weft_relay_draft(&parsed, way, csum, draft);
	new_len = sizeof(draft) - begin;
	rest_len = len - parsed.payload_off - WEFT_RELAY_LABEL_LEN;
	memcpy(out, draft + begin, new_len);
	memcpy(out + new_len, view.data + WEFT_RELAY_LABEL_LEN, rest_len);
	return new_len + rest_len;
}

void parity_rig_krpc_answer(struct parity_rig *rig, const struct weft_endpoint *asker,
			    struct weft_krpc_draft *out_draft)
{
	const struct weft_krpc_tables *krpc = &rig->native.krpc;
	const struct weft_krpc_query *query = &rig->native.krpc_query;
	const struct weft_krpc_self *self = &krpc->selves[weft_krpc_family_of(asker)];
	const struct weft_krpc_id *near = weft_krpc_live_id(&krpc->selves[query->family]);
	uint32_t idx = weft_krpc_bucket_idx(query->family, weft_krpc_bucket(near, &query->target));

	weft_krpc_answer_write(
		query, asker, weft_krpc_live_id(self),
		weft_krpc_has_nodes(query) ? weft_krpc_live_nodes(&krpc->buckets[idx]) : NULL,
		weft_krpc_token(weft_krpc_live_token_key(self), asker), out_draft);
}

enum weft_reason parity_rig_judge_native(struct parity_rig *rig, const uint8_t *frame, size_t len)
{
	struct weft_tables *native = &rig->native;
	struct weft_view view = {frame, frame + len};
	struct weft_facts facts = {.now_ns = 0};
	struct weft_frame parsed = {.said_len = 0};
	enum weft_reason reason;

	native->frame_len = (uint32_t)len;
	/* The payload is judged where the frame says that it is. */
	native->payload = frame;
	if (weft_frame_parse(&view, &parsed, &reason))
		native->payload = view.data;
	view = (struct weft_view){frame, frame + len};
	native->relay_frame = &parsed;
	native->relay_ifindex = PARITY_RIG_IFINDEX;
	reason = weft_policy_judge_frame(native, &view, &parsed, &facts);
	native->relay_frame = NULL;
	native->counters[reason].packet_cnt++;
	native->counters[reason].byte_cnt += facts.len;
	if (weft_verdict(reason) == WEFT_DROP)
		(void)weft_policy_weigh(native, &native->config, &native->samplers[reason], &facts);
	return reason;
}

static uint32_t action_of(enum weft_verdict verdict)
{
	switch (verdict) {
	case WEFT_DROP:
		return XDP_DROP;
	case WEFT_ANSWER_VERSION:
	case WEFT_ANSWER_RETRY:
	case WEFT_ANSWER_KRPC:
	case WEFT_ANSWER_STUN:
	case WEFT_ANSWER_RELAY:
	case WEFT_FORWARD: /* by the device that it came by */
		return XDP_TX;
	case WEFT_PASS:
	case WEFT_DELIVER: /* no socket is there */
		break;
	}
	return XDP_PASS;
}

const char *parity_rig_judge(struct parity_rig *rig, const uint8_t *frame, size_t len,
			     struct parity_rig_verdict *out_verdict)
{
	out_verdict->reason = parity_rig_judge_native(rig, frame, len);
	if (!rig->has_program)
		return NULL;
	program_run(&rig->program, frame, len, &out_verdict->result);
	if (out_verdict->result.action != action_of(weft_verdict(out_verdict->reason)))
		return "action";
	return NULL;
}

static bool places_differ(struct parity_rig *rig)
{
	static struct weft_place_block block;

	for (uint32_t i = 0; i < WEFT_CLASS_ALL_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS; i++) {
		program_get_own(&rig->program, "weft_places", i, &block, sizeof(block));
		if (memcmp(&block, rig->native.places + (size_t)i * WEFT_PLACE_BLOCK_CNT,
			   sizeof(block)) != 0)
			return true;
	}
	return false;
}

static bool counters_differ(struct parity_rig *rig)
{
	struct weft_counter counter;

	for (uint32_t i = 0; i < WEFT_REASON_CNT; i++) {
		program_get_own(&rig->program, "weft_counters", i, &counter, sizeof(counter));
		if (memcmp(&counter, &rig->native.counters[i], sizeof(counter)) != 0) {
			printf("# %s: the program has %llu frames, the native build %llu\n",
			       weft_reason_word(i), counter.packet_cnt,
			       rig->native.counters[i].packet_cnt);
			return true;
		}
	}
	return false;
}

static bool totals_differ(struct parity_rig *rig)
{
	__u64 mark;

	for (uint32_t i = 0; i < WEFT_TOTAL_CNT; i++) {
		program_get(&rig->program, "weft_totals", i, &mark);
		if (mark != rig->native.totals[i])
			return true;
	}
	return false;
}

static bool marks_differ(struct parity_rig *rig)
{
	static struct weft_mark_block block;

	for (uint32_t i = 0; i < WEFT_CLASS_ALL_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS; i++) {
		program_get(&rig->program, "weft_marks", i, &block);
		if (memcmp(&block, rig->native.marks + (size_t)i * WEFT_PLACE_BLOCK_CNT,
			   sizeof(block)) != 0)
			return true;
	}
	return false;
}

static bool draws_differ(struct parity_rig *rig)
{
	struct weft_random_drop draw;

	for (uint32_t i = 0; i < WEFT_ANSWERS_CNT; i++) {
		program_get_own(&rig->program, "weft_random_drops", i, &draw, sizeof(draw));
		if (memcmp(&draw, &rig->native.draws[i], sizeof(draw)) != 0)
			return true;
	}
	return false;
}

static bool proven_differ(struct parity_rig *rig)
{
	struct weft_validated_set set;

	for (uint32_t i = 0; i < WEFT_VALIDATED_SET_CNT; i++) {
		program_get_own(&rig->program, "weft_validated", i, &set, sizeof(set));
		if (memcmp(&set, &rig->native.validated[i], sizeof(set)) != 0)
			return true;
	}
	return false;
}

static bool samplers_differ(struct parity_rig *rig)
{
	struct weft_sampler sampler;

	for (uint32_t i = 0; i < WEFT_REASON_CNT; i++) {
		program_get_own(&rig->program, "weft_samplers", i, &sampler, sizeof(sampler));
		if (memcmp(&sampler, &rig->native.samplers[i], sizeof(sampler)) != 0)
			return true;
	}
	return false;
}

static bool sessions_differ(struct parity_rig *rig)
{
	struct weft_endpoint key;
	struct weft_session entry;
	const struct weft_session *native;
	uint32_t cnt = 0;
	bool more = program_first(&rig->program, "weft_sessions", &key, &entry);

	for (; more; more = program_next(&rig->program, "weft_sessions", &key, &entry)) {
		native = net_ingress_session_lookup(&rig->native, &key);
		if (!native || memcmp(&entry, native, sizeof(entry)) != 0)
			return true;
		cnt++;
	}
	return cnt != rig->native.sessions.used_cnt;
}

const char *parity_rig_compare_relay(struct parity_rig *rig)
{
	const struct weft_relay_tables *native = &rig->native.relay, *program = &rig->program.relay;

	if (!rig->has_program)
		return NULL;
	if (memcmp(native->keys, program->keys, sizeof(*native->keys)) != 0)
		return "relay keys";
	if (memcmp(native->flows, program->flows, native->flow_cnt * sizeof(native->flows[0])) != 0)
		return "relay flows";
	return memcmp(native->grants, program->grants,
		      WEFT_RELAY_GRANT_CNT * sizeof(native->grants[0])) != 0
		       ? "relay grants"
		       : NULL;
}

const char *parity_rig_compare_tables(struct parity_rig *rig)
{
	if (!rig->has_program)
		return NULL;
	if (counters_differ(rig))
		return "counters";
	if (marks_differ(rig))
		return "credit of places";
	if (places_differ(rig))
		return "buckets";
	if (samplers_differ(rig))
		return "samplers";
	if (totals_differ(rig))
		return "buckets of all unvalidated sources";
	if (draws_differ(rig))
		return "lots of answers";
	if (parity_rig_compare_relay(rig))
		return parity_rig_compare_relay(rig);
	if (proven_differ(rig))
		return "proven addresses";
	return sessions_differ(rig) ? "paths of sessions" : NULL;
}

struct weft_config parity_rig_config(void)
{
	const struct weft_bucket_rate rate = {.cost_ns = 1000, .credit_max_ns = 1000000};
	struct weft_config config = {
		.flood_shift = 3,
		.wall_offset_ns = PARITY_RIG_WALL_S * 1000000000,
		.salt = {0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179},
		.validated = rate,
		.samples = {.cost_ns = 10000000, .credit_max_ns = 100000000},
		.token_life_ns = 60000000000,
	};

	for (unsigned total = 0; total < WEFT_TOTAL_CNT; total++)
		config.totals[total] = rate;
	for (unsigned answer = 0; answer < WEFT_ANSWERS_CNT; answer++)
		config.answers[answer] = rate;
	for (unsigned class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[class][level] = rate;
	return config;
}
