/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_PRESSURE_H
#define WEFT_FIREWALL_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/xdp_maps.h"

/*
 * The mode of the fast path, chosen by the pressure of unvalidated sources. In
 * normal they are limited. In pressured they prove their address by a Retry first.
 * In flood they also get a fraction of their rates. A mode is entered as soon as
 * its threshold is reached, and left, one step at a time, after PRESSURE_CALM_NS
 * below half of it. Sans-I/O.
 *
 * Initials of the last second count beside the handshakes under way. Junk ends
 * without a handshake and costs a decryption all the same. Handshakes never pass
 * the number from which the engine demands a Retry, and the program's Retries
 * empty them. While Initials go on coming, the mode stays.
 */
#define PRESSURE_CALM_NS (10ull * 1000 * 1000 * 1000)

struct pressure_config {
	/* Handshakes under way whose key is not proved, and Initials of the last second; reached. */
	uint32_t pressured_from;
	uint32_t
		flood_above; /* datagrams of unvalidated sources per second, refused ones included */
};

struct pressure_load {
	uint32_t handshake_cnt;
	uint64_t unvalidated_cnt; /* datagrams since the start: firewall_pressure_unvalidated_cnt */
	uint64_t initial_cnt;	  /* and those of them that are Initials, delivered or answered */
};

struct pressure {
	struct pressure_config config;
	enum weft_mode mode;
	bool is_forced;
	uint64_t calm_since_ns; /* 0: not calm */
	uint64_t measured_ns;	/* when the counts were taken */
	uint64_t unvalidated_cnt;
	uint64_t initial_cnt;
	uint64_t unvalidated_rate; /* per second, of the last measure */
	uint64_t half_open_cnt;	   /* likewise: handshakes under way and Initials of a second */
	uint32_t handshake_cnt;	   /* likewise */
};

/*
 * firewall_pressure_unvalidated_cnt: of what was counted, the datagrams of sources that
 * proved nothing by then, in every class that has a limit, whatever became
 * of them. Junk that costs less than a look-up does not count: no mode makes
 * it cheaper.
 */
uint64_t
firewall_pressure_unvalidated_cnt(const struct weft_counter counters[static WEFT_REASON_CNT]);

void firewall_pressure_init(struct pressure *pressure, const struct pressure_config *config);
/* firewall_pressure_measure takes the load of now and returns the mode. Once a second or so. */
enum weft_mode firewall_pressure_measure(struct pressure *pressure,
					 const struct pressure_load *load, uint64_t now_ns);
/* firewall_pressure_force holds mode until firewall_pressure_release. */
void firewall_pressure_force(struct pressure *pressure, enum weft_mode mode);
void firewall_pressure_release(struct pressure *pressure);
/* "normal", "pressured", "flood". */
const char *firewall_pressure_mode_name(enum weft_mode mode);

#endif
