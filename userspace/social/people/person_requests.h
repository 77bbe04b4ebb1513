/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PERSON_REQUESTS_H
#define WEFT_SOCIAL_PEOPLE_PERSON_REQUESTS_H

#include "people.h"

/*
 * Requests: a direct message of a person that no persona follows, and that was not accepted. It waits
 * here, apart from other messages, until the person at this node accepts or refuses it. A person has
 * one request; what it writes meanwhile belongs to the same one.
 */
#define SOCIAL_REQUESTS_MAX 1024u
#define SOCIAL_REFUSED_MAX  1024u /* the oldest is forgotten */
#define SOCIAL_ACCEPTED_MAX 4096u

enum request_verdict {
	REQUEST_NOTED,
	REQUEST_KNOWN,	  /* the person's request is there already */
	REQUEST_NEEDLESS, /* the person is acquainted: it is no request */
	REQUEST_REFUSED,  /* blocked, or refused before */
	REQUEST_FULL,	  /* the share of its network or key */
	REQUEST_LAGS,	  /* the disk does not keep up */
};
struct request_note {
	const uint8_t *person; /* the author */
	const uint8_t *to;     /* the persona's key */
	const uint8_t *post;   /* the first words, 32 */
	struct people_source source;
};
enum request_verdict social_request_note(struct people *people, const struct request_note *note,
					 uint64_t now_ns);

/* Borrowed for the call. */
struct request_view {
	const uint8_t *person, *to, *post;
	uint64_t came_ms;
};
/* social_requests_each: in no order. social_request_of: false: there is none. */
void social_requests_each(const struct people *people,
			  bool (*fn)(void *arg, const struct request_view *view), void *arg);
bool social_request_of(const struct people *people, const uint8_t person[static NODE_KEY_LEN],
		       struct request_view *out_view);
/*
 * social_request_accept: what the person writes is like that of a person that is followed. 0,
 * WEFT_EABSENT, WEFT_EFULL (SOCIAL_ACCEPTED_MAX) or WEFT_EBUSY. social_request_refuse: further words of the
 * person make no request. 0, WEFT_EABSENT or WEFT_EBUSY.
 */
WEFT_MUST_CHECK
int social_request_accept(struct people *people, const uint8_t person[static NODE_KEY_LEN],
			  const struct people_done *done, uint64_t now_ns);
WEFT_MUST_CHECK
int social_request_refuse(struct people *people, const uint8_t person[static NODE_KEY_LEN],
			  const struct people_done *done, uint64_t now_ns);
/* social_is_refused: the person's request was. So further words of it are not wanted. */
bool social_is_refused(const struct people *people, const uint8_t person[static NODE_KEY_LEN]);
/* social_is_accepted: and not followed for that alone. */
bool social_is_accepted(const struct people *people, const uint8_t person[static NODE_KEY_LEN]);

/* social_answers_each: people that were accepted, or those that were refused; the earliest first. */
void social_answers_each(const struct people *people, bool is_accepted, people_mark_fn fn,
			 void *arg);
/*
 * social_answer_restore: one that was given on another machine. 0, WEFT_EEXISTS (the person is
 * followed, or answered here), WEFT_EREFUSED (own or blocked), WEFT_EFULL (SOCIAL_ACCEPTED_MAX) or
 * WEFT_EBUSY.
 */
struct request_answer {
	const uint8_t *person;
	uint64_t since_ms;
	bool is_accepted;
};
WEFT_MUST_CHECK
int social_answer_restore(struct people *people, const struct request_answer *answer,
			  const struct people_done *done, uint64_t now_ns);

#endif
