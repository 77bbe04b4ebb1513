/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PKTGEN_RUN_H
#define PKTGEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* The two things pktgen does. Both print one JSON object on stdout and return an exit code. */

struct send_request {
	const char *device;
	unsigned ifindex;
	struct frame frame;
	struct pktgen_config config; /* its gap_ns and cnt make the rate and the end */
	const struct pktgen_id *ids; /* config.id_cnt of them */
	uint64_t cnt;		     /* frames; 0: until seconds are over */
	uint32_t batch;		     /* frames per round of the kernel, 1 to 256 */
	double seconds;		     /* 0: until cnt is reached or a signal comes */
};

/*
 * send_run sends through the driver of the device. A veth takes the frames
 * only while its other end has an XDP program (the sink's, or any).
 */
int send_run(const struct send_request *request);

struct sink_request {
	const char *device;
	unsigned ifindex;
	double seconds; /* 0: until a signal comes */
	bool is_generic;
	bool is_quiet; /* no line per second on stderr */
};
/* sink_run counts and drops everything that the device receives. */
int sink_run(const struct sink_request *request);

/* stop_wanted: SIGINT, SIGTERM or SIGALRM has come; stop_on_signals makes it so. */
void stop_on_signals(void);
bool stop_wanted(void);
uint64_t monotonic_ns(void);

#endif
