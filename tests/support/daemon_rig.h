/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DAEMON_RIG_H
#define WEFT_TESTS_DAEMON_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#include "support/scratch.h"

/*
 * weftd itself in a child of the test program: its options, sockets, threads and sandbox. Tests
 * read its state over the control socket and over HTTP. Only system tests are linked with weftd's
 * main. Each wait has a deadline, behind which the answer is "no answer".
 */
struct daemon_rig {
	char dir[SCRATCH_CAP]; /* holds weft.conf, control.sock, state/, log */
	pid_t pid;	       /* 0: it does not run */
	struct weft_client *client;
	/* The last answer of the control socket. */
	char error[64]; /* its last name, "" for none */
	json_t *answer;
	/* Of the gateway, when it is on. */
	unsigned short web_port;
	char token[160];
	/* The last answer over HTTP. */
	int status;
	char *head, *body; /* NUL-terminated */
	size_t body_len;
};

/*
 * daemon_start runs weftd with the lines of config, to which those of a private
 * node are added, and waits until it answers. Without an answer the program
 * ends. daemon_again starts it once more after daemon_stop. more: further words
 * of its command line, up to a NULL; NULL: none.
 */
void daemon_start(struct daemon_rig *rig, const char *config);
void daemon_again(struct daemon_rig *rig, const char *const *more);
/* daemon_stop ends it by SIGTERM; its exit status, or -1 when it had to be killed. */
int daemon_stop(struct daemon_rig *rig);
/* daemon_fini stops it and removes its folder. */
void daemon_fini(struct daemon_rig *rig);

/*
 * daemon_run runs weftd in a child with these words, up to a NULL, to its end.
 * Returns its exit status, or -1; what it wrote is in out.
 */
int daemon_run(const char *const *words, char *out, size_t cap);

/* daemon_pause waits a moment, for a loop that asks until something is so. */
void daemon_pause(void);
/* daemon_path writes DIR/NAME; daemon_file makes that file, and folders up to it. */
const char *daemon_path(struct daemon_rig *rig, const char *name);
const char *daemon_file(struct daemon_rig *rig, const char *name, const void *data, size_t len);
/* daemon_logged: its log has that text, now or soon. */
bool daemon_logged(struct daemon_rig *rig, const char *text);

/*
 * daemon_ask calls a method; in parameters ' stands for ", and
 * %s for the daemon's folder. Returns the error's last name, or "".
 * daemon_until asks until text (number, with text NULL) stands at path,
 * daemon_ask_until without parameters.
 */
const char *daemon_ask(struct daemon_rig *rig, const char *method, const char *parameters);
/* daemon_askf: with parameters as printf writes them. */
__attribute__((format(printf, 3, 4))) const char *
daemon_askf(struct daemon_rig *rig, const char *method, const char *fmt, ...);
bool daemon_until(struct daemon_rig *rig, const char *method, const char *parameters,
		  const char *path, const char *text, long long number);
bool daemon_ask_until(struct daemon_rig *rig, const char *method, const char *path,
		      const char *text, long long number);
/* daemon_ask_more takes every reply of a method that gives several: "replies.0". */
const char *daemon_ask_more(struct daemon_rig *rig, const char *method, const char *parameters);
/* The value at a path of the answer, as "bans.0.target". */
const json_t *daemon_at(const struct daemon_rig *rig, const char *path);
const char *daemon_text(const struct daemon_rig *rig, const char *path);
long long daemon_number(const struct daemon_rig *rig, const char *path);
size_t daemon_cnt(const struct daemon_rig *rig, const char *path);
/* daemon_print prints the last answers as TAP comments. */
void daemon_print(const struct daemon_rig *rig);

/*
 * daemon_http sends METHOD PATH with further header lines, each with its CRLF,
 * and a body; it reads to the end of the connection. Returns the status, 0: none.
 */
int daemon_http(struct daemon_rig *rig, const char *method, const char *path, const char *headers,
		const char *body);
int daemon_http_get(struct daemon_rig *rig, const char *path, const char *headers);
/* daemon_http_error: the name that an error's body gives, or "". Borrowed till the next call. */
const char *daemon_http_error(struct daemon_rig *rig);
/* daemon_header: a field's value, or ""; as above. */
const char *daemon_header(struct daemon_rig *rig, const char *name);
/* daemon_connect: a socket to the gateway that waits ten seconds at most for bytes; -1: none. */
int daemon_connect(const struct daemon_rig *rig);

#endif
