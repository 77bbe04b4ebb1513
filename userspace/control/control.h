/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_H
#define WEFT_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/figure.h"
#include "varlink/blocks.h"
#include "weft/err.h"

struct poller;
struct timer_wheel;

/*
 * The control socket: varlink (JSON objects ended by NUL on a unix stream
 * socket). One method table serves it and later the gateway's /api/v1.
 * Runs on the home worker; a slow client is pushed back and then dropped,
 * never waited for.
 */
struct control;
struct control_call; /* one method call waiting for its reply */

enum control_role { CONTROL_VIEW, CONTROL_OPERATE, CONTROL_ADMIN };

/*
 * A method: name without interface ("AddShare"), the role it needs, and
 * its handler, which replies now or later. The handler is run or handle.
 * The in of run is the struct that tools/varlink-c makes of the method's
 * parameters. The parameters of handle are a JSON object that was checked
 * against the interface. A parameter not marked ? there is present and has
 * its type, and a marked one may be missing or null. Nothing else is in
 * the object. Both are borrowed until the handler returns.
 */
struct control_method {
	const char *name;
	enum control_role role;
	void (*handle)(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns);
	void (*run)(void *ctx, struct control_call *call, const void *in, uint64_t now_ns);
};

struct control_config {
	const char *path;	     /* of the socket */
	unsigned mode;		     /* of the socket file: 0600, 0660, or 0666 with a view group */
	unsigned client_cap;	     /* connections in all */
	size_t request_len_max;	     /* bytes of one request */
	size_t output_len_max;	     /* bytes waiting for one client before it is dropped */
	unsigned request_rate_per_s; /* per client */
	uint32_t operate_gid;	     /* members may operate; UINT32_MAX: none */
	uint32_t view_gid;	     /* members may look */
	uint32_t event_cap;	     /* events kept for late watchers */
	uint32_t call_cap;	     /* calls with an id under way, of all programs */
};
void control_config_defaults(struct control_config *config);
/* control_footprint: bytes at worst, every client holding all it may. */
size_t control_footprint(const struct control_config *config);
#define CONTROL_EVENT_LEN_TYPICAL                                                                  \
	512 /* what an event is reckoned with there, for each of two readers */

struct control_params {
	struct control_config config;
	const struct control_method *methods; /* ends with name NULL; borrowed */
	const char *const *upgrades; /* names of those that take the connection; ends with NULL */
	void *ctx;		     /* for handlers */
	struct poller *poller;
	struct timer_wheel *timers;
	struct load *load; /* counts refusals by account (base/fair/load.h); NULL: none are kept */
	uint64_t now_ns;
	/*
	 * The process whose descendants may not call, whatever their user; 0: none yet.
	 * NULL: there is no such process.
	 */
	pid_t (*barred_ancestor)(void *ctx);
};
/*
 * control_open binds the socket, making the last folder of its path if
 * need be and replacing a socket file on which no daemon answers.
 * Returns 0, WEFT_EBUSY (another daemon answers there), -EEXIST (something
 * else is at path), -ENAMETOOLONG, -errno.
 */
WEFT_MUST_CHECK
int control_open(const struct control_params *params, struct control **out_control);
/* control_close drops clients and forgets calls: no handler may reply to one afterwards. */
void control_close(struct control *control);
/* control_configure takes what can change at run time: request_rate, output and request lengths. */
void control_configure(struct control *control, const struct control_config *config);

/*
 * Replies. control_reply and control_fail end the call; control_reply_more
 * sends one of several when the caller asked with more (control_wants_more).
 * parameters is taken (NULL: empty object). All are safe after the client
 * left: they do nothing but free. on_gone is called if the client leaves
 * before the last reply; the call is gone then.
 *
 * control_fail names one of the interface's errors. err is a WEFT_E code or
 * -errno and becomes {"code", "name", "what", "why", "next"}: the object,
 * why it failed, and what to do next.
 */
void control_reply(struct control_call *call, json_t *parameters);
/*
 * control_reply_fd is control_reply that hands a descriptor to the program, as SCM_RIGHTS with the
 * first byte of the reply. fd is taken in any case. A connection has one on its way at a time.
 * A program that does not read its replies gets WEFT_EBUSY, as does a call from within.
 */
void control_reply_fd(struct control_call *call, json_t *parameters, int fd);
/* control_blocks: memory for what the next reply is made of, freed when that is sent. */
struct varlink_blocks *control_blocks(struct control_call *call);
void control_reply_more(struct control_call *call, json_t *parameters);
bool control_wants_more(const struct control_call *call);
/*
 * Calls with an id (docs/wire/control.md): a connection may have many of them
 * under way, and each of their replies carries the id. control_cancel ends
 * those of the caller's own connection with this id as if their caller had
 * left: no reply follows. Returns how many there were.
 */
unsigned control_cancel(struct control_call *call, uint64_t id);
/* control_caller: the user and the process behind call; false: the call comes from within. */
struct control_caller {
	uint32_t uid;
	int32_t pid;
};
bool control_caller(const struct control_call *call, struct control_caller *out_caller);
/*
 * control_role_of: of the caller; what is shown may depend on it. Links, and
 * all but the first letters of ids and keys, are taken out of every reply to
 * the role view (redact.h), by whatever method.
 */
enum control_role control_role_of(const struct control_call *call);
void control_fail(struct control_call *call, int err, const char *what, const char *why,
		  const char *next);
/*
 * control_fail_of fails call as the row of err says, else as the last row, whose err is 0.
 * why NULL: the text of err.
 */
struct control_failure_row {
	int err;
	const char *why, *next;
};
void control_fail_of(struct control_call *call, int err, const char *what,
		     const struct control_failure_row *rows);
/* control_fail_with: more has what, why and next as control_fail, and what else the error says (varlink/node.h). */
struct api_failure;
void control_fail_with(struct control_call *call, int err, const struct api_failure *more);
/* control_fail_parameter: standard org.varlink.service.InvalidParameter. */
void control_fail_parameter(struct control_call *call, const char *parameter);
void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg);
/* control_hold sets *held to call, and to NULL when the client leaves: in place of control_on_gone. */
void control_hold(struct control_call *call, struct control_call **held);
/*
 * Replies of control_reply_more have to be taken as they come. control_backlog_len: bytes that wait for
 * the client, 0 for one that left. control_on_drained: drained is called, from the loop, whenever less than
 * CONTROL_PIPE_LOW wait; for a call without end, once.
 */
size_t control_backlog_len(const struct control_call *call);
void control_on_drained(struct control_call *call, void (*drained)(void *arg), void *arg);

/*
 * Upgrades, for the methods in params->upgrades and no others. The call asks for
 * one, and the reply is the last of varlink on the connection. The method defines
 * the bytes that follow, both ways. control_upgrade replies (parameters is
 * taken), ends the call and gives the connection, or NULL when the caller has
 * left. A program that does not read for 30 seconds is dropped, as on any
 * connection. The method bounds how much may wait, by backlog_len and writable.
 *
 * Events come from the loop, never inside the functions below.
 * input: len bytes, of which the result were used, [0, len]. What was not comes
 *     again after control_pipe_resume, and until then nothing is read.
 * eof: the other side sends no more, and all of it was used.
 * writable: less than CONTROL_PIPE_LOW waits again after it was at least as much.
 * gone: the connection ended by itself; the last event.
 */
struct control_pipe;
struct control_pipe_events {
	size_t (*input)(void *arg, const uint8_t *data, size_t len, uint64_t now_ns);
	void (*eof)(void *arg, uint64_t now_ns);
	void (*writable)(void *arg, uint64_t now_ns);
	void (*gone)(void *arg);
};
#define CONTROL_PIPE_LOW (64 * 1024) /* bytes */

struct control_pipe *control_upgrade(struct control_call *call, json_t *parameters,
				     const struct control_pipe_events *events, void *arg);
/* control_pipe_write copies. 0, or WEFT_ECLOSED (gone follows). */
WEFT_MUST_CHECK
int control_pipe_write(struct control_pipe *pipe, const void *data, size_t len, uint64_t now_ns);
size_t control_pipe_backlog_len(const struct control_pipe *pipe);
void control_pipe_resume(struct control_pipe *pipe);
/* control_pipe_close ends it when what was written is read; no event follows. */
void control_pipe_close(struct control_pipe *pipe, uint64_t now_ns);

/*
 * Calls from within the daemon, for programs that come by another way
 * (HTTP): the same methods, checks and roles, with one reply each.
 * answered comes once, perhaps inside control_ask: parameters, borrowed, are
 * the reply's, or with error, its full name, those of the error.
 *
 * control_ask: 0 with *out_call, NULL when it was answered already, or
 * WEFT_EFULL: too many calls are under way, answered does not come.
 * parameters is an object, borrowed; method is a name without interface.
 * control_ask_leave: answered does not come any more.
 */
struct control_ask {
	enum control_role role;
	const char *method;
	json_t *parameters;
	void (*answered)(void *arg, const char *error, const json_t *parameters);
	void *arg;
};
WEFT_MUST_CHECK
int control_ask(struct control *control, const struct control_ask *ask, uint64_t now_ns,
		struct control_call **out_call);
void control_ask_leave(struct control_call *call);

/*
 * Events: numbered from 1 without holes while the daemon runs. A watcher that falls behind gets the
 * number of events that it missed ({"gap": n}). fields is taken.
 */
void control_event(struct control *control, const char *kind, json_t *fields, uint64_t now_ns);
/* control_watch makes call a watcher from sequence number since (0: new ones only). */
void control_watch(struct control *control, struct control_call *call, uint64_t since);

/*
 * The same for a caller that reads by itself. control_event_next gives the first event
 * that is kept with a number above after, as role may see it (JSON text). It is borrowed
 * until the next event. Returns its number, or 0 when there is none; numbers in between
 * are lost. control_event_last: the last one's, 0 before the first. control_on_event:
 * told is called after each event; NULL ends that.
 */
uint64_t control_event_next(const struct control *control, enum control_role role, uint64_t after,
			    const char **out_text, size_t *out_len);
uint64_t control_event_last(const struct control *control);
void control_on_event(struct control *control, void (*told)(void *arg), void *arg);

struct control_stats {
#define FIGURE FIGURE_FIELD
#include "control/control_counters.def"
};
void control_stats(const struct control *control, struct control_stats *out_stats);
/* control_places: the holders of places of connections, by role. */
struct fair_view;
void control_places(const struct control *control, struct fair_view *out);
/* control_pending: the holders of calls with an id that are under way. */
void control_pending(const struct control *control, struct fair_view *out);

#endif
