/* SPDX-License-Identifier: Apache-2.0 */
#include "latencies.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define CNT_MAX	 (16u << 20)

void latencies_start(struct latencies *latencies, unsigned seconds, uint64_t now_ns)
{
	*latencies = (struct latencies){
		.first_ns = now_ns,
		.last_ns = now_ns,
		.stop_ns = now_ns + LATENCIES_WARM_UP_NS + seconds * NS_PER_S,
		.cap = CNT_MAX,
	};
	/* Touched as it fills. */
	latencies->took_ns = malloc(CNT_MAX * sizeof(*latencies->took_ns));
	if (!latencies->took_ns) {
		fprintf(stderr, "latencies: no memory\n");
		exit(1);
	}
}

int latencies_add(struct latencies *latencies, uint64_t began_ns, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - began_ns;

	latencies->call_cnt++;
	latencies->last_ns = now_ns;
	if (began_ns >= latencies->first_ns + LATENCIES_WARM_UP_NS &&
	    latencies->cnt < latencies->cap)
		latencies->took_ns[latencies->cnt++] =
			took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
	return now_ns < latencies->stop_ns;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void latencies_print(struct latencies *latencies, const char *more)
{
	uint32_t cnt = latencies->cnt;

	if (!cnt) {
		fprintf(stderr, "latencies: no call ended\n");
		exit(1);
	}
	qsort(latencies->took_ns, cnt, sizeof(*latencies->took_ns), compare);
	printf("{\"calls\": %llu, \"ns\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f%s}\n",
	       (unsigned long long)latencies->call_cnt,
	       (unsigned long long)(latencies->last_ns - latencies->first_ns),
	       latencies->took_ns[cnt / 2] / 1e3,
	       latencies->took_ns[(uint64_t)cnt * 99 / 100] / 1e3, more ? more : "");
	free(latencies->took_ns);
}
