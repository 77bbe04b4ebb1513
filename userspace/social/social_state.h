/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SOCIAL_STATE_H
#define WEFT_SOCIAL_SOCIAL_STATE_H

#include "social/groups/groups.h"
#include "social/mail/social_mail.h"
#include "social/reach/follow_rounds.h"
#include "social/replicas/replicas.h"
#include "social/revoke/revoke.h"
#include "social/people/people.h"
#include "social/anchors/social_anchors.h"
#include "social/routes/social_search.h"
#include "social/routes/social_routes.h"
#include "social/social.h"
#include "social/sync/sync.h"

/* Private to this folder: the parts, each NULL until it is open. */
struct social {
	struct social_config config;
	struct social_ground ground;
	struct people *people;
	struct groups *groups;
	struct post_watch hidden_watch; /* posts that come after they were hidden */
	struct social_ways ways;
	struct social_routes *routes;
	struct social_anchors *anchors;
	struct social_searches *searches;
	struct people_watch places_watch; /* social_places.c */
	struct social_rounds *rounds;
	struct social_link_posts *link_posts;
	struct people_watch reach_watch; /* social_finding.c */
	struct post_store *posts;
	struct intake *intake;
	struct people_watch watch;
	struct post_holders *holders;
	struct replicas *replicas;
	struct revocations *revocations;
	struct social_read *read;
	struct social_write *write;
	struct attachments *attachments;
	struct jobs *jobs;
	struct mail *mail;
	bool is_stopped;
	struct slots *slots;
	struct first_nodes bootstrap;
	struct sync *sync;
	struct post_watch post_watch; /* sync_ways.c */
	struct people_watch people_watch;
	struct slot_links *slot_links;
};

/* social_copies.c: replicas and revocations, behind the holders. stop and close take what was not opened. */
WEFT_MUST_CHECK
int social_copies_open(struct social *social, uint64_t now_ns);
void social_copies_stop(struct social *social);
void social_copies_close(struct social *social);
/* social_writing.c: read/ and write/, behind all that they borrow. */
WEFT_MUST_CHECK
int social_writing_open(struct social *social, uint64_t now_ns);
/* Also there: what is left at anchors, behind all that it takes from. */
WEFT_MUST_CHECK
int social_posting_open(struct social *social, const struct mail_boxes *boxes, uint64_t now_ns);
/* social_files.c: attachments, behind the posts and their sync. */
WEFT_MUST_CHECK
int social_files_open(struct social *social, uint64_t now_ns);
/* Where what came of key comes from; addr is for the answer to point to. */
struct people_source social_source_of(const struct social *social, const uint8_t *key,
				      struct addr *addr);
/* sync_ways.c: sync/ with what it needs of the parts below it. */
WEFT_MUST_CHECK
int social_sync_ways_open(struct social *social, uint64_t now_ns);
void social_sync_ways_stop(struct social *social);
/* The node of key is asked for posts; ctx is a struct social. */
bool social_is_related(void *ctx, const uint8_t *key);
/* social_is_fellow: the node of key is of a group that this one is a member of. */
bool social_is_fellow(void *ctx, const uint8_t *key);
/* What a node gave, for the intake. */
struct intake_ask social_take_ask(const struct sync_take *take);
/* social_places.c: routes, anchors and searches. */
WEFT_MUST_CHECK
int social_places_open(struct social *social, uint64_t now_ns);
void social_places_stop(struct social *social);
/* social_own_anchors.c: the anchors that profiles of this node name are those that anchors/ has. */
void social_own_anchors_read(struct social *social, uint64_t now_ns);
void social_places_close(struct social *social);
/* social_finding.c: rounds and posts of links, behind sync, searches and slots. close: behind the intake's. */
WEFT_MUST_CHECK
int social_finding_open(struct social *social, uint64_t now_ns);
void social_finding_stop(struct social *social);
void social_finding_close(struct social *social);
/* slot_links.c: opens the slots behind all that they take from; closes them. */
WEFT_MUST_CHECK
int social_slot_links_open(struct social *social, const struct slots_config *config,
			   uint64_t now_ns);
void social_slot_links_close(struct social *social);

#endif
