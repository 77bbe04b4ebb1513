/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_SERVER_H
#define WEFT_CONTROL_CONTROL_SERVER_H

#include <sys/types.h>

#include "varlink/type.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "control/control.h"
#include "control/control_place.h"
#include "control/control_request.h"

/*
 * Private to control/: the objects behind the socket. One connection runs
 * one call without an id at a time, in the order of the requests, as
 * varlink demands. Requests behind it wait in the splitter and the kernel.
 * Calls with an id run beside each other, and hold back no request.
 *
 * Replies may come from anywhere on the home worker, also from inside a
 * handler, so nothing is closed there. The client is marked and its turn
 * timer does the rest.
 */
enum client_state {
	CLIENT_OPEN,
	CLIENT_UPGRADED, /* to what a method makes of it; see control_pipe */
	CLIENT_DRAINING, /* an error was sent; what still comes is thrown away */
	CLIENT_BROKEN,	 /* closed at the next turn */
};

/* An upgraded connection's owner; upgrade.c. */
struct control_pipe {
	const struct control_pipe_events *events;
	void *arg;
	bool is_held; /* input left bytes: nothing is read until resume */
	bool is_full; /* writable is owed */
	bool is_eof_told;
};

struct control_client {
	struct control *control;
	struct fair_item place; /* rests while a call runs */
	struct place_peer peer;
	struct poller_watch watch;
	struct timer turn_timer;  /* runs the next requests, or closes */
	struct timer stall_timer; /* the peer neither reads nor finishes its request */
	enum client_state state;
	unsigned interest;	   /* what the poller was asked for */
	bool is_running;	   /* inside client_run: replies are flushed by it */
	bool is_eof;		   /* the peer sends nothing more */
	bool is_hung;		   /* nor does it read */
	bool is_shut;		   /* our direction was shut down */
	struct control_call *call; /* without an id */
	struct list_node pending;  /* calls with one */
	unsigned watching_cnt;	   /* of these, with those that hear when it has read */
	struct control_pipe pipe;
	struct request_splitter splitter;
	uint64_t credit_ns; /* of the request rate; see client_has_credit */
	uint64_t credit_at_ns;
	uint64_t progress_ns; /* when a byte last moved */
	uint64_t drain_until_ns;
	size_t drained_len;
	char *out;
	size_t out_begin, out_end, out_cap;
	bool has_fd; /* fd goes with the byte at out_begin + fd_off */
	int fd;
	size_t fd_off;
};

struct control_call {
	struct control_call *next, *prev; /* among all calls of the server */
	struct control *control;
	struct control_client *client;	     /* NULL: it left, the reply goes nowhere */
	const struct varlink_method *method; /* NULL: not of this daemon */
	struct varlink_blocks blocks;
	enum control_role role;
	/* For a call from within: gets the answer. NULL: the client does, if any. */
	void (*answered)(void *arg, const char *error, const json_t *parameters);
	void *answered_arg;
	bool wants_more;
	bool is_oneway;
	bool wants_upgrade;
	bool is_asked; /* from within, also when the asker left */
	bool is_torn;  /* a part of the answer was lost for want of memory */
	bool is_watching;
	bool has_id;
	uint64_t id;
	struct list_node of_client; /* with an id, until its client leaves or cancels it */
	struct fair_item share;	    /* with an id, until it is freed */
	uint64_t next_seq;	    /* of a watcher */
	void (*gone)(void *arg);
	void *gone_arg;
	void (*drained)(void *arg); /* NULL: none; as a watcher it has a part in each turn */
	void *drained_arg;
};

/* The reply to a watcher is the event between these. */
#define EVENT_OPENING "{\"parameters\":{\"event\":"
#define EVENT_CLOSING "},\"continues\":true}"

struct event_entry {
	char *text; /* the whole reply, without its NUL; NULL: lost for want of memory */
	size_t len;
	char *view_text; /* the same for the role view; redact.h */
	size_t view_len;
};

struct control {
	struct control_config config;
	const struct control_method *methods;
	const char *const *upgrades;
	void *ctx;
	struct poller *poller;
	struct timer_wheel *timers;
	struct load *load; /* may be NULL */
	pid_t (*barred_ancestor)(void *ctx);
	uint64_t now_ns; /* of the last entry from outside */
	struct poller_watch listener;
	struct timer accept_timer; /* listening again after the system ran out of something */
	int spare_fd;		   /* given up to refuse a client when descriptors ran out */
	uint64_t bound_ino;	   /* of the socket file, to remove only our own */
	char *path;
	json_t *torn; /* replaces a torn answer of a call from within */
	struct arena arena;
	struct pool clients; /* one more than there are places: for a newcomer when all are taken */
	struct fair_places places;  /* of connections */
	struct fair_places pending; /* of calls with an id */
	struct pool call_pool;
	struct control_call *calls;
	unsigned asked_cnt;	    /* of these, from within */
	uint32_t plain_cnt;	    /* of these, without an id */
	struct event_entry *events; /* ring, event seq at [seq % event_cap] */
	uint64_t last_seq;
	size_t out_len; /* bytes that wait for all clients */
	void (*event_told)(void *arg);
	void *event_told_arg;
	struct control_stats stats;
};

/* control_client.c */
int control_client_open(struct control *control, int fd, const struct place_peer *peer,
			uint32_t *out_wait_ms);
void control_client_close(struct control_client *client);
/* control_client_write queues text with its NUL; a client too far behind is marked broken. */
void control_client_write(struct control_client *client, const char *text, size_t len);
/*
 * control_client_has_room: len bytes more may wait for client. Any client may have
 * that many. Answers to calls with an id may also take the rest of the half that all
 * have in common. control_client_write_answer queues one that has room.
 */
bool control_client_has_room(const struct control_client *client, size_t len);
void control_client_write_answer(struct control_client *client, const char *text, size_t len);
/* control_client_append queues bytes, and breaks the client when there is no memory for them. */
void control_client_append(struct control_client *client, const void *data, size_t len);
/*
 * control_client_pass: fd goes with the next byte that is queued, and is taken. False: one is on its
 * way already, and fd is still the caller's.
 */
bool control_client_pass(struct control_client *client, int fd);
/* control_client_schedule: the next requests, or the end, at the next expiry of timers. */
void control_client_schedule(struct control_client *client);
/* control_client_recv reads once into the splitter, or throws away what is not wanted. */
ssize_t control_client_recv(struct control_client *client);
/* control_client_drain sends what waits and throws away what comes, both at most so long. */
void control_client_drain(struct control_client *client, uint64_t patience_ns);
/* control_client_break closes the connection at its next turn. */
void control_client_break(struct control_client *client);
size_t control_client_backlog_len(const struct control_client *client);
/* control_client_call_ended: call is answered; without an id, the next request may run. */
void control_client_call_ended(struct control_client *client, const struct control_call *call);
/* control_client_is_waiting: a call is under way. */
bool control_client_is_waiting(const struct control_client *client);

/* Nothing is read or written for so long: the client is given up. */
#define CLIENT_STALL_NS (30 * NS_PER_S)
#define CLIENT_READ_MAX (256 * 1024) /* bytes of one turn */

/* upgrade.c */
/* control_pipe_read hands on what came. True: more bytes are wanted. */
bool control_pipe_read(struct control_client *client);
/* control_pipe_tell tells what became of the connection since: writable, eof. */
void control_pipe_tell(struct control_client *client);
/* control_pipe_gone: the connection is closed. */
void control_pipe_gone(struct control_client *client);

/* control_call.c */
/* Calls for each client that may be there: its own, and one of a client that left. */
#define CALLS_PER_CLIENT 2
/*
 * control_call_dispatch runs one request to its handler; it takes what request owns.
 * 0, or WEFT_EFULL when too many calls are under way, and none was begun.
 */
WEFT_MUST_CHECK
int control_call_dispatch(struct control_client *client, struct request *request);
/* control_call_abandon: the client left. */
void control_call_abandon(struct control_call *call);
void control_call_free(struct control_call *call);
/* control_call_end frees a call that was answered; its client goes on. */
void control_call_end(struct control_call *call);
/* control_call_reply_last sends the reply and leaves the call to its caller; parameters is taken. */
void control_call_reply_last(struct control_call *call, json_t *parameters);
/* control_call_fail_standard ends a call with an error of org.varlink.service; failure NULL: it says no more. */
struct api_failure;
void control_call_fail_standard(struct control_call *call, const char *error,
				const struct api_failure *failure);
/* control_error_torn is what control_fail sends of an answer that is not whole. */
json_t *control_error_torn(void);
/*
 * control_message_new is {"error", "parameters", "continues", "id"}; error NULL: a
 * reply, id NULL: none. parameters is taken.
 */
char *control_message_new(const char *error, json_t *parameters, bool continues, const uint64_t *id,
			  size_t *out_len);
/*
 * control_message_scarce_write writes the error that replaces a lost answer, without
 * memory; of is the method's name, or "request". Returns its length without the NUL.
 */
#define MESSAGE_SCARCE_CAP 512
enum message_loss { LOSS_MEMORY, LOSS_UNREAD };
size_t control_message_scarce_write(char text[static MESSAGE_SCARCE_CAP], const char *of,
				    enum message_loss loss, const uint64_t *id);
/* control_error_parameters is what control_fail_with sends; out_error is the error's full name. */
json_t *control_error_parameters(int err, const struct api_failure *more, const char **out_error);
/* control_error_new is the message of that, as control_message_new. */
char *control_error_new(int err, const struct api_failure *more, const uint64_t *id,
			size_t *out_len);

/* control_call_id: NULL: it has none. */
const uint64_t *control_call_id(const struct control_call *call);
/* control_call_new: NULL when too many are under way. */
struct control_call *control_call_new(struct control *control, enum control_role role, bool has_id);
/* control_call_run runs a call of a method of varlink/node.h; name without interface. */
void control_call_run(struct control_call *call, const char *name, json_t *parameters);

/* varlink_service.c */
/* control_interface_lookup gives the description of an interface, or NULL. */
const struct varlink_interface *control_interface_lookup(const char *name);
/* control_service_dispatch answers org.varlink.service's own methods; name without interface. */
void control_service_dispatch(struct control_call *call, const char *name, json_t *parameters);

/* control_event.c */
void control_event_pump(struct control_call *call);
void control_events_free(struct control *control);

#endif
