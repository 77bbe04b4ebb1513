/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_METHOD_RIG_H
#define WEFT_TESTS_METHOD_RIG_H

#include <jansson.h>

#include "control/control.h"
#include "support/sim.h"

/*
 * The methods of the control socket, called without a client. The first of
 * the simulated nodes has a method table, which control_ask asks as the
 * gateway does. Checks of roles and parameters, redaction and the order of
 * replies are the daemon's own. Time is the simulation's.
 */
struct method_rig {
	struct sim sim;
	struct sim_node *node;
	struct node_config *config; /* what its weft.conf makes */
	enum control_role role;	    /* of the next asker; admin at first */
	/* The last answer. */
	bool is_answered;
	char error[64]; /* its last name, "" for none */
	int code;	/* of the error; 0: none, or it has no code */
	json_t *answer;
};

/* method_rig_add makes the next node, down; its config may change before method_rig_start. */
void method_rig_init(struct method_rig *rig, uint64_t seed);
struct sim_node *method_rig_add(struct method_rig *rig);
/* method_rig_start starts all nodes; all of them were added. */
void method_rig_start(struct method_rig *rig);
void method_rig_fini(struct method_rig *rig);

/*
 * method_ask calls method with parameters, JSON in which ' stands for ", and lets
 * time pass until the answer is there. The error's last name as "NotFound", or "";
 * "no answer" after a minute.
 */
const char *method_ask(struct method_rig *rig, const char *method, const char *parameters);
/* method_at: what stands at a path of the answer, as "bans.0.target"; NULL: nothing. Borrowed. */
const json_t *method_at(const struct method_rig *rig, const char *path);
/* method_text: the text there, or "" ; method_number: the number there, or -1. */
const char *method_text(const struct method_rig *rig, const char *path);
long long method_number(const struct method_rig *rig, const char *path);
/* method_cnt: how many the list there holds. */
size_t method_cnt(const struct method_rig *rig, const char *path);
/* method_print prints the answer as a TAP comment. */
void method_print(const struct method_rig *rig);

/* One question and its answer: text (or, with text NULL, number) at path. */
struct method_row {
	const char *method, *parameters;
	const char *error;
	const char *path, *text;
	long long number;
};

/* method_rows asks all and prints the first that is answered otherwise; false then. */
bool method_rows(struct method_rig *rig, const struct method_row *rows, size_t cnt);
#define METHOD_ROWS(rig, rows) method_rows(rig, rows, sizeof(rows) / sizeof((rows)[0]))

#endif
