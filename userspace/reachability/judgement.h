/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_JUDGEMENT_H
#define WEFT_REACHABILITY_JUDGEMENT_H

#include "observed.h"
#include "reachability/reachability.h"

/* So many servers and peers in a row that do not answer by STUN show that UDP is blocked. */
#define REACHABILITY_SILENT_ENOUGH 2 /* two servers, or one twice: no accident */

/* The findings of a round of questions. */
struct reachability_findings {
	bool has_arrived; /* a probe, from an address that this node had not written to */
	struct addr arrived_from;
	struct addr arrived_at; /* where the asked peer sent it: this node, as that peer sees it */
	bool is_own;		/* arrived_at is an address of this machine */
	unsigned known_cnt;	/* probes that arrived from where this node had written to */
	unsigned lost_cnt;	/* probes that peers say were sent and that did not arrive */
	struct observed_view observed; /* of the family with an address, IPv4 first */
	unsigned silent_cnt; /* servers and peers asked by STUN in a row that did not answer */
	bool has_sessions;   /* over UDP */
};

/* reachability_judge names the state that findings show, and writes the reason for people. */
enum reachability_kind reachability_judge(const struct reachability_findings *findings,
					  char out_evidence[static REACHABILITY_EVIDENCE_CAP]);

#endif
