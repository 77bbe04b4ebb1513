/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PORT_MAPPING_UPNP_H
#define WEFT_PORT_MAPPING_UPNP_H

#include "base/random.h"
#include "base/thread/jobs.h"
#include "mapper.h"
#include "upnp_text.h"

#define UPNP_ANSWER_CAP 32768 /* of a description; the largest seen are a fifth of it */

/*
 * One round with the router by UPnP-IGD, on a thread that waits. It finds the description, maps each
 * port and asks for the address outside. libminiupnpc reads the XML. Requests have limits of
 * time and length and end at jobs_stop_fd, which the library's own have not
 * (docs/decisions/0030).
 */
struct upnp {
	struct job job; /* first */

	/* What is asked: set before the job is submitted. */
	struct addr router, client; /* IPv4 */
	struct port_mapping_port ports[PORT_MAPPING_PORTS_MAX];
	uint16_t
		external_ports[PORT_MAPPING_PORTS_MAX]; /* suggested, or to be withdrawn; 0: none */
	unsigned port_cnt;
	uint32_t lifetime_s;
	bool is_withdrawal;
	int stop_fd;

	/* What came of it. */
	struct mapper_upnp_end end;

	/* The job's own; the service is kept from one round to the next. */
	char control_url[UPNP_URL_CAP]; /* "": not known */
	char service[UPNP_SERVICE_CAP];
	struct random random;
	char call[UPNP_CALL_CAP];
	uint8_t answer[UPNP_ANSWER_CAP];
	size_t answer_len;
};

/* upnp_run is the job's run. A router that answers nothing holds it for some seconds. */
void port_mapping_upnp_run(struct job *job);

#endif
