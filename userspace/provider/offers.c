/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offers of a node: made, kept in the store, made again at start, and withdrawn. Their calls
 * are in the files of the kinds (http.c program_socket.c exec.c).
 *
 * An offer begins at the request and is acknowledged when it is durable; it ends when its
 * withdrawal is durable. So no acknowledged change is lost, and no failed one is half done.
 */
#include "provider/provider.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "provider/exec/exec.h"
#include "provider/exec/exec_launch.h"
#include "provider/http/http.h"
#include "provider/http/http_conn.h"
#include "provider/program_offer.h"
#include "provider/socket/program_socket.h"
#include "provider/tenant/tenant.h"
#include "provider/waiting.h"
#include "store/store.h"

#define CHECK_LOOK_NS (2 * NS_PER_MS)

static const struct service_handler *handler_of(enum provider_kind kind)
{
	static const struct service_handler *const handlers[PROVIDER_KIND_CNT] = {
		[PROVIDER_HTTP] = &provider_http_handler,
		[PROVIDER_SOCKET] = &provider_socket_handler,
		[PROVIDER_EXEC] = &provider_exec_handler,
	};

	return handlers[kind];
}

/*
 * Callers learn from the metadata that a service takes HttpInvoke; RFC 9110 9.2.1 names the safe
 * methods.
 */
static int offer_to_service(struct offer *offer, uint64_t now_ns, const char **out_why)
{
	static const char *const safe[] = {"GET", "HEAD"};
	const struct provider_spec *view = &offer->spec.view;
	bool is_http = view->kind == PROVIDER_HTTP;
	char body_len_max[24];
	struct service_metadata metadata[PROVIDER_METADATA_MAX];
	unsigned metadata_cnt = view->metadata_cnt;
	struct service_offering offering = {
		.name = view->name,
		.version = view->version,
		.metadata = metadata,
		.read_only = is_http ? safe : view->read_only,
		.read_only_cnt = is_http ? 2 : view->read_only_cnt,
		.description = view->description,
		.calls_per_min = view->calls_per_min,
		.payload_len_max = view->payload_len_max,
		.timeout_ns = view->timeout_ns,
		.allow = view->allow,
		.allow_cnt = view->allow_cnt,
		.grants = view->grants,
		.grant_cnt = view->grant_cnt,
		.is_published = !view->is_hidden,
		.needs_signature = view->needs_signature,
		.is_of_program = true,
		.handler = handler_of(view->kind),
		.ctx = offer,
	};

	memcpy(metadata, view->metadata, metadata_cnt * sizeof(metadata[0]));
	if (is_http)
		metadata[metadata_cnt++] = (struct service_metadata){"kind", "http"};
	snprintf(body_len_max, sizeof(body_len_max), "%" PRIu64, view->body_len_max);
	if (view->body_len_max)
		metadata[metadata_cnt++] = (struct service_metadata){"body-max", body_len_max};
	offering.metadata_cnt = metadata_cnt;
	return service_offer(offer->provider->service, &offering, now_ns, &offer->handle, out_why);
}

static int offer_addr(struct offer *offer)
{
	const struct provider_spec *view = &offer->spec.view;

	if (view->kind == PROVIDER_HTTP)
		return provider_upstream_addr_parse(view->target, &offer->addr);
	return provider_upstream_addr_of_path(view->target, &offer->addr);
}

/* offer_to_tenants: an offer that declared capabilities is a tenant of the node. */
static int offer_to_tenants(struct offer *offer, const char **out_why)
{
	const struct provider_spec *view = &offer->spec.view;
	struct provider_declaration declared = provider_capabilities_declare(
		&view->capabilities, view->name, provider_spec_major(view));
	int err;

	if (provider_capabilities_are_none(&view->capabilities))
		return 0;
	*out_why = "this node keeps nothing for programs";
	if (!offer->provider->tenants)
		return WEFT_EREFUSED;
	declared.is_restored = offer->provider->is_restoring;
	err = provider_tenant_open(offer->provider->tenants, &declared, &offer->tenant);
	*out_why = err == WEFT_EFULL ? "as many services have capabilities as there may be, or its "
				       "user has its share of them"
				     : "its capabilities are not as they must be, or its rows "
				       "cannot be read";
	return err;
}

static int offer_new(struct provider *provider, const struct store_item *item, uint64_t now_ns,
		     struct offer **out_offer, const char **out_why)
{
	struct offer *offer = pool_acquire(&provider->offers);
	int err;

	*out_why = "too many services are offered by programs of this machine";
	if (!offer)
		return WEFT_EFULL;
	offer->provider = provider;
	list_init(&offer->link);
	list_init(&offer->actives);
	list_init(&offer->idle_conns);
	*out_why = "its record in the store is not one of this version";
	err = provider_spec_parse(item->value, item->value_len, &offer->spec);
	if (err == 0)
		provider_waiting_init(offer, handler_of(offer->spec.view.kind));
	if (err == 0)
		err = offer_addr(offer);
	if (err == 0)
		err = offer_to_service(offer, now_ns, out_why);
	if (err == WEFT_EEXISTS)
		*out_why = "a service of that name and major version is offered already";
	if (err == WEFT_EFULL)
		*out_why = "as many services are offered as there may be";
	if (err == 0 && (err = offer_to_tenants(offer, out_why)) < 0)
		service_withdraw(offer->handle, now_ns);
	if (err < 0) {
		pool_release(&provider->offers, offer);
		return err;
	}
	list_push_back(&provider->offer_list, &offer->link);
	provider->stats.offer_cnt++;
	provider_health_start(offer, now_ns);
	*out_offer = offer;
	return 0;
}

static bool offer_matches(const struct offer *offer, const char *name, uint32_t major)
{
	return strcmp(offer->spec.view.name, name) == 0 &&
	       (major == PROVIDER_MAJOR_ANY || provider_spec_major(&offer->spec.view) == major);
}

/* offer_find: the first of that name and major version; is_leaving: that the store is to forget. */
static struct offer *offer_find(const struct provider *provider, const char *name, uint32_t major,
				bool is_leaving)
{
	const struct list_node *node = provider->offer_list.next;

	for (; node != &provider->offer_list; node = node->next) {
		struct offer *offer = container_of(node, struct offer, link);

		if (offer_matches(offer, name, major) && offer->is_leaving == is_leaving)
			return offer;
	}
	return NULL;
}

/* offer_end ends the calls and streams under way, and the offer with them. */
static void offer_end(struct offer *offer, uint64_t now_ns)
{
	struct list_node *node = offer->actives.next, *next;

	provider_health_stop(offer);
	provider_waiting_end(offer, now_ns);
	for (; node != &offer->actives; node = next) {
		struct active *active = container_of(node, struct active, link);

		next = node->next;
		active->kind->abandon(active, "the service is withdrawn", now_ns);
	}
	provider_http_conns_close_idle(offer);
	provider_tenant_leave(offer->tenant, now_ns);
	offer->tenant = NULL;
	service_withdraw(offer->handle, now_ns);
	list_unlink(&offer->link);
	offer->provider->stats.offer_cnt--;
	offer->is_gone = true;
	if (provider_offer_is_idle(offer))
		pool_release(&offer->provider->offers, offer);
}

/* A publish or a withdrawal on its way to the disk. */
struct change {
	struct provider *provider;
	struct provider_waiter waiter; /* done NULL: no callback is wanted any more */
	pool_handle published; /* the offer that a publish made; 0: it was there, or a withdrawal */
	char name[SERVICE_NAME_LEN_MAX + 1]; /* of a withdrawal */
	uint32_t major;
	bool is_withdrawal;
	struct timer timer;
	int err; /* the store's result */
};

size_t provider_change_len(void)
{
	return sizeof(struct change);
}

/* The offer of a spec as the store has it. */
struct record {
	char key[SPEC_KEY_CAP];
	uint8_t value[SPEC_RECORD_CAP];
	struct store_item item; /* of key and value */
};

static void record_write(struct record *record, const struct provider_spec *spec)
{
	struct writer w = writer_of(record->value, sizeof(record->value));

	provider_spec_write(&w, spec);
	record->item = (struct store_item){
		.key = (uint8_t *)record->key,
		.key_len =
			provider_spec_key_write(record->key, spec->name, provider_spec_major(spec)),
		.value = record->value,
		.value_len = writer_len(&w),
	};
}

static bool offer_is(const struct offer *offer, const struct record *record)
{
	struct record own;

	record_write(&own, &offer->spec.view);
	return own.item.value_len == record->item.value_len &&
	       memcmp(own.value, record->value, own.item.value_len) == 0;
}

static void change_undo(struct change *change, uint64_t now_ns)
{
	struct provider *provider = change->provider;
	struct offer *offer = pool_lookup(&provider->offers, change->published);

	if (offer && !offer->is_gone)
		offer_end(offer, now_ns);
	while (change->is_withdrawal &&
	       (offer = offer_find(provider, change->name, change->major, true)))
		offer->is_leaving = false;
}

static void change_apply(struct change *change, uint64_t now_ns)
{
	struct offer *offer;

	while (change->is_withdrawal &&
	       (offer = offer_find(change->provider, change->name, change->major, true)))
		offer_end(offer, now_ns);
}

/* A publish is acknowledged after the launcher's answer, so that a call may follow at once. */
static bool change_waits(const struct change *change)
{
	const struct offer *offer = pool_lookup(&change->provider->offers, change->published);

	return change->err == 0 && offer && !offer->is_gone &&
	       offer->spec.view.kind == PROVIDER_EXEC && offer->health.state == PROVIDER_CHECKING;
}

static void change_fire(struct timer *timer, uint64_t now_ns)
{
	struct change *change = container_of(timer, struct change, timer);
	struct provider *provider = change->provider;
	const struct provider_waiter waiter = change->waiter;
	int err = change->err;

	if (change_waits(change)) {
		timer_set(provider->timers, timer, now_ns + CHECK_LOOK_NS);
		return;
	}
	if (err < 0)
		change_undo(change, now_ns);
	else
		change_apply(change, now_ns);
	pool_release(&provider->changes, change);
	if (waiter.done)
		waiter.done(waiter.arg, err, now_ns);
}

/* The store does not give the time; the next expiry of timers does. */
static void change_stored(void *arg, int err)
{
	struct change *change = arg;

	change->err = err;
	timer_set(change->provider->timers, &change->timer, 0);
}

static struct change *change_new(struct provider *provider, const struct provider_waiter *waiter)
{
	struct change *change = pool_acquire(&provider->changes);

	if (!change)
		return NULL;
	change->provider = provider;
	change->waiter = *waiter;
	timer_init(&change->timer, change_fire);
	return change;
}

/* change_submit takes batch in any case. */
static int change_submit(struct change *change, struct store_batch *batch)
{
	int err = store_submit(change->provider->store, batch, change_stored, change);

	if (err < 0)
		store_batch_free(batch);
	return err;
}

static int change_store(struct change *change, const struct store_item *item)
{
	struct store_batch *batch = store_batch_new(change->provider->store);

	store_batch_put(batch, STORE_OFFERS, store_key(item->key, item->key_len), item->value,
			item->value_len);
	return change_submit(change, batch);
}

int provider_publish(struct provider *provider, const struct provider_spec *spec,
		     const struct provider_waiter *waiter, uint64_t now_ns, const char **out_why)
{
	struct record record;
	struct offer *offer, *made = NULL;
	struct change *change;
	int err = provider_spec_check(spec, out_why);

	if (err < 0)
		return err;
	record_write(&record, spec);
	*out_why = "it is being withdrawn: publish it again after that";
	if (offer_find(provider, spec->name, provider_spec_major(spec), true))
		return WEFT_EEXISTS;
	if (spec->kind == PROVIDER_EXEC && (*out_why = provider_exec_confine_fault(provider, spec)))
		return WEFT_EREFUSED;
	offer = offer_find(provider, spec->name, provider_spec_major(spec), false);
	*out_why = "it is offered already and differs: withdraw it first";
	if (offer && !offer_is(offer, &record))
		return WEFT_EEXISTS;
	change = change_new(provider, waiter);
	*out_why = "too many changes wait for the disk";
	if (!change)
		return WEFT_EFULL;
	if (!offer) {
		err = offer_new(provider, &record.item, now_ns, &made, out_why);
		if (err < 0)
			goto release_change;
		change->published = pool_handle_of(&provider->offers, made);
	}
	*out_why = "the store takes no changes now";
	err = change_store(change, &record.item);
	if (err == 0)
		return 0;
	if (made)
		offer_end(made, now_ns);
release_change:
	pool_release(&provider->changes, change);
	return err;
}

static struct service_offering access_of(const struct provider_spec *spec)
{
	return (struct service_offering){.allow = spec->allow,
					 .allow_cnt = spec->allow_cnt,
					 .grants = spec->grants,
					 .grant_cnt = spec->grant_cnt};
}

/* change_access: the offer's permitted callers become those of spec, whose record is stored. */
static int change_access(struct change *change, struct offer *offer,
			 const struct provider_spec *spec)
{
	const struct service_offering now = access_of(&offer->spec.view), next = access_of(spec);
	struct record record;
	int err = service_set_access(offer->handle, &next);

	if (err < 0)
		return err;
	record_write(&record, spec);
	err = change_store(change, &record.item);
	if (err == 0) {
		err = provider_spec_parse(record.value, record.item.value_len, &offer->spec);
		weft_assert(err == 0); /* it was written from a spec that was checked */
	} else if (service_set_access(offer->handle, &now) < 0) {
		service_set_ready(offer->handle, false, 0);
	}
	return err;
}

int provider_set_access(struct provider *provider, const struct provider_spec *spec, uint32_t major,
			const struct provider_waiter *waiter, const char **out_why)
{
	struct offer *offer = offer_find(provider, spec->name, major, false);
	struct provider_spec changed;
	struct change *change;
	int err;

	*out_why = "no program of this machine offers such a service";
	if (!offer)
		return WEFT_EABSENT;
	changed = offer->spec.view;
	changed.allow = spec->allow;
	changed.allow_cnt = spec->allow_cnt;
	changed.grants = spec->grants;
	changed.grant_cnt = spec->grant_cnt;
	if ((err = provider_spec_check(&changed, out_why)) < 0)
		return err;
	*out_why = "too many changes wait for the disk";
	change = change_new(provider, waiter);
	if (!change)
		return WEFT_EFULL;
	*out_why = "the store takes no changes now, or there is no memory";
	err = change_access(change, offer, &changed);
	if (err < 0)
		pool_release(&provider->changes, change);
	return err;
}

static void leaving_mark(struct provider *provider, struct store_batch *batch,
			 const struct change *change)
{
	struct offer *offer;
	char key[SPEC_KEY_CAP];

	while ((offer = offer_find(provider, change->name, change->major, false))) {
		size_t len = provider_spec_key_write(key, change->name,
						     provider_spec_major(&offer->spec.view));

		store_batch_delete(batch, STORE_OFFERS, store_key(key, len));
		offer->is_leaving = true;
	}
}

int provider_withdraw(struct provider *provider, const char *name, uint32_t major,
		      const struct provider_waiter *waiter, uint64_t now_ns)
{
	struct store_batch *batch;
	struct change *change;
	int err;

	if (!offer_find(provider, name, major, false))
		return WEFT_EABSENT;
	change = change_new(provider, waiter);
	if (!change)
		return WEFT_EFULL;
	/* It is a name of an offer, so it fits. */
	strncpy(change->name, name, sizeof(change->name) - 1);
	change->major = major;
	change->is_withdrawal = true;
	batch = store_batch_new(provider->store);
	leaving_mark(provider, batch, change);
	err = change_submit(change, batch);
	if (err == 0)
		return 0;
	change_undo(change, now_ns);
	pool_release(&provider->changes, change);
	return err;
}

void provider_forget(struct provider *provider, void *arg)
{
	struct change *change = NULL;

	while ((change = pool_next(&provider->changes, change)))
		if (change->waiter.arg == arg)
			change->waiter.done = NULL;
}

static void restore_dropped(struct provider *provider, const struct store_item *item,
			    const char *why, uint64_t now_ns)
{
	char name[SPEC_KEY_CAP];
	size_t len = item->key_len < sizeof(name) - 1 ? item->key_len : sizeof(name) - 1;
	const struct provider_event event = {
		.kind = PROVIDER_EVENT_DROPPED,
		.name = name,
		.version = "",
		.text = why,
	};

	memcpy(name, item->key, len);
	name[len] = '\0';
	provider->event(provider->ctx, &event, now_ns);
}

int provider_restore(struct provider *provider, uint64_t now_ns)
{
	struct store_iter iter = store_iter_fresh(provider->store, STORE_OFFERS, STORE_ALL);
	struct store_item item;
	struct offer *offer;
	const char *why;

	provider->is_restoring = true;
	while (store_iter_next(&iter, &item))
		if (offer_new(provider, &item, now_ns, &offer, &why) < 0)
			restore_dropped(provider, &item, why, now_ns);
	provider->is_restoring = false;
	return store_iter_end(&iter);
}

/* The store refers to waiting changes, and its answers reach no caller any more. */
static void changes_end(struct provider *provider)
{
	struct change *change = NULL;

	if (provider->changes.used_cnt)
		store_flush(provider->store);
	while ((change = pool_next(&provider->changes, change))) {
		timer_cancel(provider->timers, &change->timer);
		pool_release(&provider->changes, change);
	}
}

void provider_offers_end(struct provider *provider, uint64_t now_ns)
{
	changes_end(provider);
	while (!list_is_empty(&provider->offer_list))
		offer_end(container_of(provider->offer_list.next, struct offer, link), now_ns);
}
