/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From findings to a state. Only a probe from a third node shows that others can write first.
 * Neither an address of one's own nor the address that others see shows it. Any thread.
 */
#include "judgement.h"

#include <stdio.h>

static const char *const words[REACHABILITY_KIND_CNT] = {
	[REACHABILITY_UNKNOWN] = "unknown",	[REACHABILITY_DIRECT] = "direct",
	[REACHABILITY_MAPPED] = "mapped",	[REACHABILITY_OUTBOUND] = "outbound-only",
	[REACHABILITY_PUNCHABLE] = "punchable", [REACHABILITY_HARD] = "hard",
	[REACHABILITY_BLOCKED] = "blocked",
};

const char *reachability_word(enum reachability_kind kind)
{
	return words[kind];
}

static enum reachability_kind judge_arrived(const struct reachability_findings *findings,
					    char out_evidence[static REACHABILITY_EVIDENCE_CAP])
{
	char from[ADDR_TEXT_CAP], at[ADDR_TEXT_CAP];

	snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
		 "a probe to %s arrived from %s, to which nothing was sent%s",
		 addr_format(&findings->arrived_at, at), addr_format(&findings->arrived_from, from),
		 findings->is_own ? "" : "; the address is a router's");
	return findings->is_own ? REACHABILITY_DIRECT : REACHABILITY_MAPPED;
}

static enum reachability_kind judge_lost(const struct reachability_findings *findings,
					 char out_evidence[static REACHABILITY_EVIDENCE_CAP])
{
	const struct observed_view *seen = &findings->observed;
	const char *plural = findings->lost_cnt == 1 ? "" : "s";
	char addr[ADDR_TEXT_CAP];

	if (seen->ports == OBSERVED_PORTS_UNKNOWN) {
		snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
			 "%u probe%s did not arrive; fewer than two networks agree on the %s",
			 findings->lost_cnt, plural,
			 seen->addr.family == ADDR_NONE ? "address" : "port since it changed");
		return REACHABILITY_OUTBOUND;
	}
	snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
		 "%u probe%s did not arrive; %u of %u networks see %s, %s", findings->lost_cnt,
		 plural, seen->same_cnt, seen->voter_cnt, addr_format(&seen->addr, addr),
		 seen->ports == OBSERVED_PORTS_ALIKE ? "most of them the same port"
						     : "each another port");
	return seen->ports == OBSERVED_PORTS_ALIKE ? REACHABILITY_PUNCHABLE : REACHABILITY_HARD;
}

enum reachability_kind reachability_judge(const struct reachability_findings *findings,
					  char out_evidence[static REACHABILITY_EVIDENCE_CAP])
{
	char addr[ADDR_TEXT_CAP];

	if (findings->has_arrived)
		return judge_arrived(findings, out_evidence);
	if (findings->lost_cnt)
		return judge_lost(findings, out_evidence);
	if (findings->silent_cnt >= REACHABILITY_SILENT_ENOUGH && !findings->has_sessions) {
		snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
			 "%u STUN requests in a row brought no answer, and no session is over UDP",
			 findings->silent_cnt);
		return REACHABILITY_BLOCKED;
	}
	if (findings->known_cnt)
		snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
			 "%u probe%s came from where this node had written to, which shows nothing",
			 findings->known_cnt, findings->known_cnt == 1 ? "" : "s");
	else if (findings->observed.addr.family == ADDR_NONE)
		snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
			 "no other node has been asked with success yet");
	else
		snprintf(out_evidence, REACHABILITY_EVIDENCE_CAP,
			 "%u of %u networks see %s; no third node could be had for a probe",
			 findings->observed.same_cnt, findings->observed.voter_cnt,
			 addr_format(&findings->observed.addr, addr));
	return REACHABILITY_UNKNOWN;
}
