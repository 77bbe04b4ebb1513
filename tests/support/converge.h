/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CONVERGE_H
#define WEFT_TESTS_CONVERGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "After the faults stop, it becomes true within a bound". It lets time pass until every part (a
 * node, a get, a record) says that it is as it should be. If some do not in time, it prints which
 * and why, and the condition.
 */
#define CONVERGE_WHY_CAP 160

struct converge {
	const char *what; /* "every node of the core knows the record" */
	unsigned part_cnt;
	const char *part_name; /* "node" */
	/*
	 * A part is as it should be; if not it may write into why what it lacks. Asked often, and each part
	 * each time, so it may begin something, or with look_ns let time pass.
	 */
	bool (*holds)(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP]);
	void *arg;
	uint64_t within_ns; /* from now */
	/* Of the world: sim_run and those of the labs; it asks done at each step, or each look_ns. */
	bool (*run)(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg);
	void *world;
	uint64_t look_ns; /* 0: at each step */
};

/* converge: true when all parts hold; out_took_ns, of virtual time, may be NULL. */
bool converge(const struct converge *ask, const uint64_t *now_ns, uint64_t *out_took_ns);

#endif
