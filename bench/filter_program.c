/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft's XDP program on one device in a fixed state. It sends every frame
 * of bench/filter down one branch to a drop, or every Initial of
 * bench/retry to a Retry.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/barriers.h"
#include "support/fast_path.h"
#include "weft/token.h"

#define NS_PER_HOUR 3600000000000ULL
#define OTHER_BANS  1000 /* a list of ordinary size, beside the ban that hits */

/*
 * Every level is looked at and the widest refuses: the longest way through
 * the buckets that ends in a drop.
 */
static void limit_everybody(struct fast_path *path)
{
	const struct weft_bucket_rate rate = {.cost_ns = NS_PER_HOUR, .credit_max_ns = NS_PER_HOUR};

	path->policy.rates[WEFT_CLASS_KRPC][1] = rate;
	path->policy.rates[WEFT_CLASS_INITIAL][1] = rate;
}

static void ban(struct fast_path *path, const char *text, unsigned prefix_len)
{
	const struct weft_ban forever = {.expires_ns = 0};
	struct addr addr;

	if (addr_parse(text, &addr) < 0 ||
	    net_xdp_ban_put(path->xdp, &addr, prefix_len, &forever) < 0)
		fast_path_fail(text, "cannot be banned");
	path->policy.ban_ipv4_cnt++;
}

static void ban_sources(struct fast_path *path)
{
	char text[32];

	ban(path, "198.18.0.0:0", 15);
	for (unsigned i = 0; i < OTHER_BANS; i++) {
		snprintf(text, sizeof(text), "100.64.%u.%u:0", i / 250, i % 250);
		ban(path, text, 32);
	}
}

/* Mode pressured, and keys for the tokens of today and of the days about it. */
static void answer_retries(struct fast_path *path)
{
	static const __u64 key[2] = {3, 4};
	struct weft_token_keys keys = {0};
	__u32 today = weft_token_day((__u32)clock_wall_s());

	for (__u32 day = today - 1; day <= today + 1; day++)
		weft_token_keys_set(&keys, day, key);
	path->policy.mode = WEFT_MODE_PRESSURED;
	path->policy.wall_offset_ns = clock_wall_s() * NS_PER_S - clock_monotonic_ns();
	if (net_xdp_set_token_keys(path->xdp, &keys) < 0)
		fast_path_fail("token keys", "the program takes none");
}

static void print_counters(struct fast_path *path)
{
	struct weft_counter counters[WEFT_REASON_CNT];
	const char *separator = "";

	net_xdp_counters(path->xdp, counters);
	printf("{");
	for (int i = 0; i < WEFT_REASON_CNT; i++) {
		if (!counters[i].packet_cnt)
			continue;
		printf("%s\"%s\": %llu", separator, weft_reason_word((enum weft_reason)i),
		       counters[i].packet_cnt);
		separator = ", ";
	}
	printf("}\n");
}

int main(int argc, char **argv)
{
	struct fast_path path;
	sigset_t ends;
	int number;

	if (argc < 4)
		fast_path_fail("filter_program",
			       "DEVICE ADDRESS:PORT junk|bucket|id|ban|retry [barriers]");
	if (argc > 4)
		barriers_ask_for();
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	fast_path_open(&path, argv[1], argv[2], XDP_SEND_AUTO);
	if (strcmp(argv[3], "bucket") == 0)
		limit_everybody(&path);
	else if (strcmp(argv[3], "ban") == 0)
		ban_sources(&path);
	else if (strcmp(argv[3], "retry") == 0)
		answer_retries(&path);
	fast_path_apply(&path);
	printf("ready\n");
	fflush(stdout);
	sigwait(&ends, &number);
	print_counters(&path);
	fast_path_close(&path);
	return 0;
}
