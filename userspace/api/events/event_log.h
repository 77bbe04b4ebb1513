/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_EVENTS_EVENT_LOG_H
#define WEFT_API_EVENTS_EVENT_LOG_H

#include <jansson.h>
#include <stdint.h>

/*
 * The log's line of an event: "get: done id=3 manifest=y1m8ijze", the
 * subsystem, what happened, fields. Peers can make events, so in a second at
 * most EVENT_LOG_PER_S lines of each level are written. The next line that is
 * written says how many were left out.
 */
#define EVENT_LOG_PER_S 20

struct event_log {
	struct event_log_window {
		uint64_t second;
		uint32_t line_cnt;
		uint64_t left_out_cnt;
	} info, debug;
};

/*
 * api_event_log_write; fields hold no addresses, as events never do; of links and
 * ids of 32 bytes the first letters are written (control/redact.h).
 */
void api_event_log_write(struct event_log *log, const char *kind, const json_t *fields,
			 uint64_t now_ns);

#endif
