/* SPDX-License-Identifier: Apache-2.0 */
/* Callers, what they have used, and the order of the limits. */
#include "callers.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "service/limits/access.h"
#include "service/service_registry.h"
#include "service/service_state.h"

/* A peer has few services at a time; how many pairs there are to each caller. */
#define PAIRS_PER_CALLER 4
/* When to come back where only others' leaving makes room. */
#define ROOM_WAIT_NS NS_PER_S
static uint32_t entry_cap(const struct service_limits *limits)
{
	return (uint32_t)limits->peer_cnt + 1;
}

static uint32_t pair_cap(const struct service_limits *limits)
{
	return (uint32_t)limits->peer_cnt * PAIRS_PER_CALLER;
}

uint32_t service_callers_peer_cnt(const struct service_callers *callers)
{
	return callers->entries.used_cnt - (callers->own != NULL);
}

int service_callers_init(struct service_callers *callers, struct arena *arena,
			 const struct service_limits *limits, const uint64_t secret[2])
{
	uint32_t cap = entry_cap(limits);
	int err;

	list_init(&callers->entries_by_age);
	list_init(&callers->pairs_by_age);
	if ((err = pool_init(&callers->entries, arena, sizeof(struct service_caller_entry), cap)) <
		    0 ||
	    (err = map_init(&callers->entries_by_key, arena, MESH_KEY_LEN, cap, secret)) < 0 ||
	    (err = pool_init(&callers->pairs, arena, sizeof(struct service_caller_pair),
			     pair_cap(limits))) < 0)
		return err;
	return map_init(&callers->pairs_by_key, arena,
			sizeof(((struct service_caller_pair *)0)->key), pair_cap(limits), secret);
}

static void pair_release(struct service_callers *callers, struct service_caller_pair *pair)
{
	map_delete(&callers->pairs_by_key, &pair->key);
	list_unlink(&pair->node);
	pool_release(&callers->pairs, pair);
}

void service_callers_forget(struct service_callers *callers, const struct service_offer *offer)
{
	pool_handle handle = pool_handle_of(&offer->service->registry.offers, offer);
	struct service_caller_pair *pair = NULL;

	while ((pair = pool_next(&callers->pairs, pair)))
		if (pair->key.offer == handle)
			pair_release(callers, pair);
}

/* Drops the oldest caller with nothing in hand; false: all have. */
static bool entry_make_room(struct service_callers *callers)
{
	for (struct list_node *at = callers->entries_by_age.next; at != &callers->entries_by_age;
	     at = at->next) {
		struct service_caller_entry *entry =
			container_of(at, struct service_caller_entry, node);

		if (entry->in_hand_cnt)
			continue;
		map_delete(&callers->entries_by_key, entry->key);
		list_unlink(&entry->node);
		pool_release(&callers->entries, entry);
		return true;
	}
	return false;
}

static bool pair_make_room(struct service_callers *callers)
{
	for (struct list_node *at = callers->pairs_by_age.next; at != &callers->pairs_by_age;
	     at = at->next) {
		struct service_caller_pair *pair =
			container_of(at, struct service_caller_pair, node);

		if (pair->in_hand_cnt)
			continue;
		pair_release(callers, pair);
		return true;
	}
	return false;
}

static void list_touch(struct list_node *list, struct list_node *node)
{
	if (list->prev == node)
		return;
	list_unlink(node);
	list_push_back(list, node);
}

static struct service_caller_entry *entry_make(struct service_callers *callers, const uint8_t *key)
{
	struct service_caller_entry *entry = pool_acquire(&callers->entries);

	weft_assert(entry); /* room was made, and this node's own has a place of its own */
	memcpy(entry->key, key, MESH_KEY_LEN);
	list_init(&entry->node);
	return entry;
}

/* The caller of key, made if need be; NULL: the table is full of peers with calls in hand. */
static struct service_caller_entry *entry_of_peer(struct service_callers *callers,
						  const uint8_t *key)
{
	struct service_caller_entry *entry = map_lookup(&callers->entries_by_key, key);

	if (entry) {
		list_touch(&callers->entries_by_age, &entry->node);
		return entry;
	}
	if (service_callers_peer_cnt(callers) == callers->entries.cap_cnt - 1 &&
	    !entry_make_room(callers))
		return NULL;
	entry = entry_make(callers, key);
	list_push_back(&callers->entries_by_age, &entry->node);
	if (map_put(&callers->entries_by_key, key, entry) < 0)
		return NULL;
	return entry;
}

/* This node's own programs are one caller, which never makes room. */
static struct service_caller_entry *entry_of_own(struct service_callers *callers,
						 const uint8_t *key)
{
	if (!callers->own)
		callers->own = entry_make(callers, key);
	return callers->own;
}

static struct service_caller_pair *pair_of(struct service_callers *callers,
					   const struct service_caller_entry *entry,
					   const struct service_offer *offer)
{
	struct service_caller_pair made = {
		.key = {pool_handle_of(&callers->entries, entry),
			pool_handle_of(&offer->service->registry.offers, offer)},
	};
	struct service_caller_pair *pair = map_lookup(&callers->pairs_by_key, &made.key);

	if (pair) {
		list_touch(&callers->pairs_by_age, &pair->node);
		return pair;
	}
	if (callers->pairs.used_cnt == callers->pairs.cap_cnt && !pair_make_room(callers))
		return NULL;
	pair = pool_acquire(&callers->pairs);
	pair->key = made.key;
	list_init(&pair->node);
	list_push_back(&callers->pairs_by_age, &pair->node);
	if (map_put(&callers->pairs_by_key, &pair->key, pair) < 0)
		return NULL;
	return pair;
}

static int refuse(struct service_refusal *refusal, enum service_refusal_reason reason,
		  enum service_status status, const char *text)
{
	refusal->reason = reason;
	refusal->status = status;
	refusal->text = text;
	return WEFT_EREFUSED;
}

/*
 * A caller that does not wait as asked, for as many calls as are admitted at once, breaks the
 * rules.
 */
static void note_ignored(struct service *service, struct service_caller_entry *entry,
			 uint64_t now_ns)
{
	uint64_t cap = service_limits_of(service)->peer_calls_per_min, wait_ns;

	service_window_take(&entry->ignored, 1, now_ns);
	if (service_window_has_room(&entry->ignored, cap, 1, now_ns, &wait_ns))
		return;
	entry->ignored = (struct service_window){.start_ns = now_ns};
	service_tell_violation(service, entry->key, "went on calling when told to wait", now_ns);
}

/* Steps of one caller, whatever it calls. */
static int admit_caller(struct service *service, struct service_caller_entry *entry,
			uint64_t now_ns, struct service_refusal *refusal)
{
	uint64_t cap = service_limits_of(service)->peer_calls_per_min;

	if (service_window_has_room(&entry->calls, cap, 1, now_ns, &refusal->wait_ns))
		return 0;
	note_ignored(service, entry, now_ns);
	return refuse(refusal, SERVICE_REFUSED_PEER_CALLS, SERVICE_RATE_LIMITED,
		      "too many calls from this peer in a minute");
}

/* Steps that need to know the offer and no state of it. */
static int admit_call(struct service *service, const struct service_caller_call *call,
		      const struct service_offer *offer, uint64_t now_ns,
		      struct service_refusal *refusal)
{
	const struct service_call_head *head = call->head;
	uint64_t len_max = call->is_stream ? service_limits_of(service)->head_len
					   : service_offer_payload_len_max(offer);

	enum service_access access =
		call->is_local ? SERVICE_ACCESS_GIVEN
			       : service_access_of(offer, call->key, head->method, call->is_stream);

	if (access == SERVICE_ACCESS_NONE || access == SERVICE_ACCESS_NOT_METHOD)
		return refuse(refusal, SERVICE_REFUSED_ALLOW, SERVICE_FORBIDDEN,
			      service_access_text(access));
	if (head->body_len > len_max) {
		if (!call->is_local)
			service_tell_violation(service, call->key, "sent too large a payload",
					       now_ns);
		return refuse(refusal, SERVICE_REFUSED_PAYLOAD, SERVICE_PAYLOAD_TOO_LARGE,
			      "the payload is larger than this service takes");
	}
	return 0;
}

/* Steps of a caller with an offer. */
static int admit_pair(struct service *service, const struct service_admission *admission,
		      uint64_t now_ns, struct service_refusal *refusal)
{
	const struct service_limits *limits = service_limits_of(service);
	const struct service_offer *offer = admission->offer;
	struct service_caller_entry *entry = admission->caller;
	struct service_caller_pair *pair = admission->pair;

	if (!service_window_has_room(&pair->calls, service_offer_calls_per_min(offer), 1, now_ns,
				     &refusal->wait_ns)) {
		note_ignored(service, entry, now_ns);
		return refuse(refusal, SERVICE_REFUSED_CALLS, SERVICE_RATE_LIMITED,
			      "too many calls of this service from this peer in a minute");
	}
	refusal->wait_ns = ROOM_WAIT_NS;
	if (entry->in_hand_cnt >= limits->in_hand_per_peer)
		return refuse(refusal, SERVICE_REFUSED_IN_HAND, SERVICE_RATE_LIMITED,
			      "too many calls from this peer at once");
	if (offer->has_spent && !service_window_has_room(&entry->work, limits->work_per_min, 1,
							 now_ns, &refusal->wait_ns))
		return refuse(refusal, SERVICE_REFUSED_WORK, SERVICE_RATE_LIMITED,
			      "calls from this peer caused too much work in a minute");
	if (!service_circuit_admits(&pair->circuit, limits, now_ns, &refusal->wait_ns))
		return refuse(refusal, SERVICE_REFUSED_CIRCUIT, SERVICE_UNAVAILABLE,
			      "the service failed several times and rests");
	return 0;
}

/* The offer's own checks, after the limits. */
static int admit_offer(const struct service_caller_call *call, const struct service_offer *offer,
		       struct service_refusal *refusal)
{
	const struct service_handler *handler = offer->offering.handler;

	refusal->wait_ns = ROOM_WAIT_NS;
	if (!offer->is_ready)
		return refuse(refusal, SERVICE_REFUSED_NOT_READY, SERVICE_UNAVAILABLE,
			      "the program that provides this service does not answer");
	refusal->wait_ns = 0;
	/* The router answers it, of whatever kind the service is. */
	if (!call->is_stream && strcmp(call->head->method, SERVICE_DESCRIBE) == 0)
		return 0;
	if (call->is_stream ? !handler->stream && strcmp(call->head->method, SERVICE_SUBSCRIBE) != 0
			    : !handler->call)
		return refuse(refusal, SERVICE_REFUSED_METHOD, SERVICE_METHOD_NOT_FOUND,
			      call->is_stream ? "this service takes no streams"
					      : "this service takes no calls");
	if (offer->offering.needs_signature && !call->is_local && !call->head->has_signature)
		return refuse(refusal, SERVICE_REFUSED_SIGNATURE, SERVICE_UNAUTHORIZED,
			      "this service takes signed calls only");
	return 0;
}

static void admission_begin(struct service *service, struct service_admission *admission,
			    uint64_t now_ns)
{
	struct service_caller_pair *pair = admission->pair;

	service_window_take(&pair->calls, 1, now_ns);
	admission->caller->in_hand_cnt++;
	pair->in_hand_cnt++;
	admission->offer->in_hand_cnt++;
	admission->is_probe = service_circuit_pass(&pair->circuit, service_limits_of(service));
	admission->began_ns = now_ns;
}

int service_admit(struct service *service, const struct service_caller_call *call, uint64_t now_ns,
		  struct service_admission *out_admission, struct service_refusal *out_refusal)
{
	const struct service_call_head *head = call->head;
	struct service_callers *callers = &service->callers;
	struct service_caller_entry *entry = call->is_local ? entry_of_own(callers, call->key)
							    : entry_of_peer(callers, call->key);
	struct service_admission admission = {.caller = entry};
	struct service_offer *offer;
	int err;

	*out_refusal = (struct service_refusal){.wait_ns = ROOM_WAIT_NS};
	if (!entry)
		return refuse(out_refusal, SERVICE_REFUSED_MEMORY, SERVICE_UNAVAILABLE,
			      "too many peers call at once");
	if ((err = admit_caller(service, entry, now_ns, out_refusal)) < 0)
		return err;
	service_window_take(&entry->calls, 1, now_ns);
	out_refusal->wait_ns = 0;
	offer = service_registry_lookup(&service->registry, head->service_id,
					head->has_major ? &head->major : NULL);
	if (!offer)
		return refuse(out_refusal, SERVICE_REFUSED_UNKNOWN, SERVICE_NOT_FOUND,
			      "no such service here");
	if ((err = admit_call(service, call, offer, now_ns, out_refusal)) < 0)
		return err;
	admission.offer = offer;
	admission.pair = pair_of(callers, entry, offer);
	if (!admission.pair)
		return refuse(out_refusal, SERVICE_REFUSED_MEMORY, SERVICE_UNAVAILABLE,
			      "too many peers call at once");
	if ((err = admit_pair(service, &admission, now_ns, out_refusal)) < 0 ||
	    (err = admit_offer(call, offer, out_refusal)) < 0)
		return err;
	admission_begin(service, &admission, now_ns);
	*out_admission = admission;
	return 0;
}

bool service_admission_hold(struct service *service, struct service_admission *admission,
			    const struct fair_path *path, size_t len)
{
	struct service_caller_entry *entry = admission->caller;

	if (!service_memory_hold(&service->memory, path, entry->held_len, len, &admission->memory))
		return false;
	entry->held_len += len;
	admission->held_len += len;
	return true;
}

void service_admission_end(struct service *service, struct service_admission *admission, bool ran,
			   enum service_status status, uint64_t now_ns)
{
	struct service_caller_pair *pair = admission->pair;
	const struct service_circuit_end end = {
		.is_probe = admission->is_probe,
		.is_failure = service_verdict_of(status) == SERVICE_VERDICT_FAILED,
		.began_ns = admission->began_ns,
	};

	if (!pair)
		return;
	if (!ran)
		service_circuit_forget(&pair->circuit, admission->is_probe);
	else if (service_circuit_note(&pair->circuit, service_limits_of(service), &end, now_ns))
		service_tell(service,
			     &(struct service_event){
				     .kind = SERVICE_EVENT_CIRCUIT_OPENED,
				     .peer_key = admission->caller->key,
				     .service_id = admission->offer->id,
			     },
			     now_ns);
	service_memory_release(&service->memory, &admission->memory);
	admission->caller->held_len -= admission->held_len;
	admission->caller->in_hand_cnt--;
	pair->in_hand_cnt--;
	admission->offer->in_hand_cnt--;
	*admission = (struct service_admission){.caller = NULL};
}

bool service_admission_spend(struct service *service, struct service_admission *admission,
			     uint64_t units, uint64_t now_ns)
{
	const struct service_limits *limits = service_limits_of(service);
	struct service_caller_entry *entry = admission->caller;
	uint64_t wait_ns;

	admission->offer->has_spent = true;
	if (units > limits->work_per_call - admission->work_spent || units > limits->work_per_min ||
	    !service_window_has_room(&entry->work, limits->work_per_min, units, now_ns, &wait_ns))
		return false;
	service_window_take(&entry->work, units, now_ns);
	admission->work_spent += units;
	return true;
}

static uint64_t entry_used(const struct service_caller_entry *entry, enum service_limit which,
			   uint64_t now_ns)
{
	if (which == SERVICE_LIMIT_peer_calls_per_min)
		return service_window_used(&entry->calls, now_ns);
	if (which == SERVICE_LIMIT_work_per_min)
		return service_window_used(&entry->work, now_ns);
	return entry->in_hand_cnt;
}

bool service_callers_used(const struct service_callers *callers, enum service_limit which,
			  uint64_t now_ns, uint64_t *out_used)
{
	const struct service_caller_entry *entry = NULL;
	const struct service_caller_pair *pair = NULL;
	uint64_t used, most = 0;

	switch (which) {
	case SERVICE_LIMIT_peer_calls_per_min:
	case SERVICE_LIMIT_in_hand_per_peer:
	case SERVICE_LIMIT_work_per_min:
		while ((entry = pool_next(&callers->entries, entry))) {
			used = entry_used(entry, which, now_ns);
			most = used > most ? used : most;
		}
		break;
	case SERVICE_LIMIT_calls_per_min:
		while ((pair = pool_next(&callers->pairs, pair))) {
			used = service_window_used(&pair->calls, now_ns);
			most = used > most ? used : most;
		}
		break;
	default:
		return false;
	}
	*out_used = most;
	return true;
}
