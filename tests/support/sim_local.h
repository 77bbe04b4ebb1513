/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_LOCAL_H
#define WEFT_TESTS_SIM_LOCAL_H

#include "support/sim.h"

/*
 * The programs beside a simulated node on its machine: programs behind its services, and clients of
 * its gateway and control socket. Their sockets are the kernel's, within this one process. Written
 * bytes are there at once, in order, so a run is still a function of its seed. The time that a
 * program takes to answer passes in virtual time.
 */
#define SIM_PROGRAM_CALLS 64
#define SIM_TEXT_CAP	  512

/* sim_has_locals: before sim_start; the gateway serves calls of services, a list of names. */
void sim_has_locals(struct sim_node *node, const char *services);

struct sim_program;

/* A connection to a program, on which one call comes. */
struct sim_program_call {
	struct sim_program *program;
	struct poller_watch watch; /* fd -1: free */
	struct timer timer;	   /* of the reply */
	char reply[SIM_TEXT_CAP];
	char request[SIM_TEXT_CAP];
	size_t len;
};

/*
 * A program on a unix socket that speaks net.weft.Service. serve writes the reply's parameters (a
 * JSON object) and says after how many nanoseconds the program gives it; UINT64_MAX: never.
 */
struct sim_program {
	struct sim *sim;
	char path[2 * SCRATCH_CAP];
	struct poller_watch listener; /* fd -1: it does not run */
	struct sim_program_call calls[SIM_PROGRAM_CALLS];
	uint64_t (*serve)(void *arg, const char *parameters, char reply[static SIM_TEXT_CAP]);
	void *arg;
};

/* sim_program_init: name is that of its socket. It does not run yet. */
void sim_program_init(struct sim_program *program, struct sim *sim, const char *name);
void sim_program_start(struct sim_program *program);
/* sim_program_kill: callers of the program hear nothing more. */
void sim_program_kill(struct sim_program *program);
/* sim_program_offer has node offer it as name 1.0.0; offers outlive their node. */
void sim_program_offer(const struct sim_program *program, struct sim_node *node, const char *name);

/* One request at a node's gateway. */
struct sim_web {
	struct sim *sim;
	struct poller_watch watch;
	char text[2 * SIM_TEXT_CAP]; /* of the answer */
	size_t len;
	bool is_over;	 /* the connection ended */
	unsigned status; /* then: of the answer; 0: there was none */
	const char *body;
	void (*done)(struct sim_web *web);
};

/* sim_web_get asks for path at node's gateway; done is called at the end of the connection. */
void sim_web_get(struct sim_web *web, struct sim_node *node, const char *path);

#endif
