/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that have a direct path: when they move to another one, and what a row costs that is kept. */
#include "punch_rig.h"

/* An answer to the last probe that went to remote. */
static void answer_probe(const struct addr *remote)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE_ANSWER};
	uint8_t data[WEFT_PROBE_LEN];
	const struct dgram dgram = {.data = data,
				    .len = sizeof(data),
				    .local = addr_of("198.51.100.1:7000"),
				    .remote = *remote};
	struct punch_candidates own;
	unsigned i = sent.cnt;

	CHECK_EQ(punch_candidates_parse(asked_first, asked_first_len, &own), 0);
	while (i && !addr_equal(&sent.remotes[i - 1], remote))
		i--;
	CHECK(i);
	memcpy(probe.handle, own.handle, sizeof(probe.handle));
	memcpy(probe.nonce, sent.probes[i - 1].nonce, sizeof(probe.nonce));
	punch_probe_write(&probe, probe_key, data);
	CHECK(punch_input(punch, &dgram, now_ns));
}

/* A turn of 15 s, whose probes to the path in use and to the other take so many milliseconds. */
static void turn(const struct addr *other, uint64_t used_ms, uint64_t other_ms)
{
	uint64_t at_ns = now_ns;

	now_ns = at_ns + other_ms * NS_PER_MS;
	answer_probe(other);
	now_ns = at_ns + used_ms * NS_PER_MS;
	answer_probe(&mesh.asker);
	now_ns = at_ns + 15 * NS_PER_S + NS_PER_MS;
	timer_wheel_expire(&timers, now_ns);
}

/* After how many turns the session moves; 0: it does not in ten. */
static unsigned moves_after(const char *used, const char *other, uint64_t used_ms,
			    uint64_t other_ms)
{
	const struct addr addr = addr_of(other);
	unsigned cnt = 0;

	rig_open();
	mesh.asker = addr_of(used);
	moved_to.family = ADDR_NONE;
	punch_begin(punch, peer_key, now_ns);
	answer_candidates(&addr, 1);
	answer_probe(&addr);
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EABSENT}, now_ns);
	now_ns += 15 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	while (cnt < 10 && moved_to.family == ADDR_NONE) {
		turn(&addr, used_ms, other_ms);
		cnt++;
	}
	if (stats().better_cnt != addr_equal(&moved_to, &addr))
		cnt = UINT32_MAX;
	rig_close();
	return moved_to.family == ADDR_NONE ? 0 : cnt;
}

static void test_a_session_moves_by_the_thresholds(void)
{
	static const char v4[] = "203.0.113.9:7000", other_v4[] = "203.0.114.9:7000",
			  v6[] = "[2001:db8::9]:7000";
	static const struct {
		const char *used, *other;
		unsigned used_ms, other_ms, turns;
	} rows[] = {
		{v4, other_v4, 40, 35, 3}, {v4, other_v4, 40, 36, 0}, {v4, v6, 40, 38, 3},
		{v4, v6, 40, 39, 0},	   {v6, v4, 40, 32, 3},	      {v6, v4, 40, 33, 0},
		{v4, other_v4, 11, 1, 3},  {v4, other_v4, 10, 1, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(
			moves_after(rows[i].used, rows[i].other, rows[i].used_ms, rows[i].other_ms),
			rows[i].turns);
}

/* It lasts 45 s after the last probe, and answers 16 in ten seconds, to addresses of its round alone. */
static void test_a_row_that_is_kept_answers_little(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];
	struct fair_view view;
	unsigned before;

	rig_open();
	mesh.asker = addr_of("203.0.113.8:7000");
	round_begin(0, "203.0.113.9:7000", handle);
	now_ns += 2 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	before = sent.cnt;
	for (unsigned i = 0; i < 100; i++)
		input(handle, (uint8_t)i, true, "203.0.113.10:7000");
	CHECK_EQ(sent.cnt, before);
	for (unsigned i = 0; i < 100; i++)
		input(handle, (uint8_t)i, true, "203.0.113.9:7000");
	CHECK(sent.cnt - before <= 17);
	for (unsigned i = 0; i < 3; i++) {
		now_ns += 40 * NS_PER_S;
		timer_wheel_expire(&timers, now_ns);
		before = sent.cnt;
		input(handle, 1, true, "203.0.113.9:7000");
		CHECK_EQ(sent.cnt, before + 1);
	}
	now_ns += 46 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	punch_fair_view(punch, &view);
	CHECK_EQ(view.held_cnt, 0);
	rig_close();
}

int main(void)
{
	RUN(test_a_session_moves_by_the_thresholds);
	RUN(test_a_row_that_is_kept_answers_little);
	return check_done();
}
