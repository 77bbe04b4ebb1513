/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in order, each with the schema that ships, the one that the operator added and the one of a
 * followed share. Additions are rare, and are checked whole before anything changes.
 */
#include "offers/schema/schema_registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "offers/schema/schema_export.h"
#include "offers/schema/schema_shipped.h"
#include "offers/schema/schema_type.h"

#define PREFIX	   "service-schema:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* A compiled schema with its text; schema NULL: none. */
struct source {
	struct schema *schema;
	char *text;
	size_t text_len;
};

struct service {
	struct source shipped, own, shared;
	uint8_t share_id[SCHEMA_SHARE_ID_LEN]; /* of shared */
};

struct schema_registry {
	schema_change_fn *on_change;
	void *ctx;
	struct service services[SCHEMA_REGISTRY_MAX]; /* by ascending names */
	unsigned cnt;
};

struct schema_registry *offers_schema_registry_new(schema_change_fn *on_change, void *ctx)
{
	struct schema_registry *registry = calloc(1, sizeof(*registry));

	if (registry) {
		registry->on_change = on_change;
		registry->ctx = ctx;
	}
	return registry;
}

static void source_free(struct source *source)
{
	offers_schema_free(source->schema);
	free(source->text);
	*source = (struct source){.schema = NULL};
}

void offers_schema_registry_free(struct schema_registry *registry)
{
	if (!registry)
		return;
	for (unsigned i = 0; i < registry->cnt; i++) {
		source_free(&registry->services[i].shipped);
		source_free(&registry->services[i].own);
		source_free(&registry->services[i].shared);
	}
	free(registry);
}

static const struct source *later_of(const struct source *source, const struct source *other)
{
	if (!source->schema)
		return other;
	return other->schema && other->schema->version > source->schema->version ? other : source;
}

/*
 * The latest one, and of two alike that of the operator. After an upgrade of weft that may be the
 * shipped one again.
 */
static const struct source *source_now(const struct service *service)
{
	return later_of(later_of(&service->own, &service->shared), &service->shipped);
}

/* FAPP, HOUSING and REPAIR need no switch. */
static bool is_core(const struct schema *schema)
{
	return schema && schema->id >= 1 && schema->id <= SCHEMA_ID_CORE_MAX;
}

static bool service_is_on(const struct service *service)
{
	return service->own.schema || service->shared.schema || is_core(service->shipped.schema);
}

/* Also of one that is off. */
static const struct schema *schema_now(const struct service *service)
{
	return source_now(service)->schema;
}

static const struct schema *schema_on(const struct service *service)
{
	return service_is_on(service) ? schema_now(service) : NULL;
}

static int source_make(const char *text, size_t len, struct source *out, struct schema_fault *fault)
{
	int err = offers_schema_parse(text, len, &out->schema, fault);

	if (err < 0)
		return err;
	out->text = malloc(len + 1);
	if (!out->text) {
		source_free(out);
		return -ENOMEM;
	}
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	out->text_len = len;
	return 0;
}

/* Where the name is, or would be. */
static unsigned place_of(const struct schema_registry *registry, const char *name)
{
	unsigned at = 0;

	while (at < registry->cnt && strcmp(schema_now(&registry->services[at])->name, name) < 0)
		at++;
	return at;
}

static struct service *service_named(struct schema_registry *registry, const char *name)
{
	unsigned at = place_of(registry, name);

	if (at == registry->cnt || strcmp(schema_now(&registry->services[at])->name, name) != 0)
		return NULL;
	return &registry->services[at];
}

/* Room for a name that is not there, with nothing in it yet. */
static struct service *service_insert(struct schema_registry *registry, const char *name)
{
	unsigned at = place_of(registry, name);
	struct service *service = &registry->services[at];

	memmove(service + 1, service, (registry->cnt - at) * sizeof(*service));
	*service = (struct service){.own.schema = NULL};
	registry->cnt++;
	return service;
}

static void changed(struct schema_registry *registry, const struct schema *before,
		    const struct schema *after)
{
	if (registry->on_change && before != after)
		registry->on_change(registry->ctx, before, after);
}

int offers_schema_registry_ship(struct schema_registry *registry)
{
	for (const struct schema_shipped *row = offers_schema_shipped; row->name; row++) {
		struct source source = {.schema = NULL};
		struct schema_fault fault;
		int err = source_make(row->text, row->len, &source, &fault);
		struct service *service;

		if (err == -ENOMEM)
			return err;
		/* They are compiled in, and tests compile each. */
		weft_assert(err == 0);
		service = service_named(registry, source.schema->name);
		if (!service)
			service = service_insert(registry, source.schema->name);
		source_free(&service->shipped);
		service->shipped = source;
		changed(registry, NULL, schema_on(service));
	}
	return 0;
}

static int refuse(struct schema_fault *fault, int err, const char *next, const char *what,
		  const struct schema *other)
{
	(void)offers_schema_fault_set(fault, "", next, "%s %s (version %u)", what, other->name,
				      other->version);
	return err;
}

/* Nothing else has the id: it is made of a name, and names can be chosen so that ids are alike. */
static int id_check(const struct schema_registry *registry, const struct schema *schema,
		    struct schema_fault *fault)
{
	for (unsigned i = 0; i < registry->cnt; i++) {
		const struct schema *other = schema_now(&registry->services[i]);
		bool is_named_so = strcmp(other->name, schema->name) == 0;

		if (is_named_so && other->id != schema->id)
			return refuse(fault, WEFT_EEXISTS, "choose another name",
				      "the name is that of the service", other);
		if (!is_named_so && other->id == schema->id && schema->id != SCHEMA_ID_CUSTOM)
			return refuse(fault, WEFT_EEXISTS, "choose another name",
				      "the id is that of the service", other);
	}
	return 0;
}

/* They compile to the same, whatever their texts say beside: comments, or that they were records. */
static bool schema_is_alike(const struct schema *schema, const struct schema *other)
{
	uint8_t *records = malloc(2 * SCHEMA_TEXT_LEN_MAX);
	struct writer a, b;
	bool is_alike = false;

	if (!records)
		return false;
	a = writer_of(records, SCHEMA_TEXT_LEN_MAX);
	b = writer_of(records + SCHEMA_TEXT_LEN_MAX, SCHEMA_TEXT_LEN_MAX);
	offers_schema_export(schema, &a);
	offers_schema_export(other, &b);
	if (!a.bad && !b.bad && writer_len(&a) == writer_len(&b))
		is_alike = memcmp(a.start, b.start, writer_len(&a)) == 0;
	free(records);
	return is_alike;
}

static int version_check(const struct source *now, const struct source *added,
			 struct schema_fault *fault)
{
	const struct schema *former = now->schema, *later = added->schema;

	if (later->version < former->version)
		return refuse(fault, WEFT_ESTALE, "raise version", "there is a later version of",
			      former);
	if (later->version > former->version)
		return offers_schema_is_successor(former, later, fault);
	if (!schema_is_alike(former, later))
		return refuse(fault, WEFT_EEXISTS, "raise version, or remove it first",
			      "it differs from what is here as", former);
	return 0;
}

static bool source_is_same(const struct source *source, const struct source *other)
{
	return source->schema && source->text_len == other->text_len &&
	       memcmp(source->text, other->text, other->text_len) == 0;
}

static unsigned shared_cnt(const struct schema_registry *registry)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < registry->cnt; i++)
		cnt += registry->services[i].shared.schema != NULL;
	return cnt;
}

static int room_check(const struct schema_registry *registry, struct schema_fault *fault)
{
	if (registry->cnt < SCHEMA_REGISTRY_MAX)
		return 0;
	(void)offers_schema_fault_set(fault, "", "remove one", "there are %u schemas",
				      registry->cnt);
	return WEFT_EFULL;
}

/* Shares have a part of the room at most. */
static int shared_room_check(const struct schema_registry *registry, struct schema_fault *fault)
{
	if (shared_cnt(registry) < SCHEMA_SHARED_MAX)
		return 0;
	(void)offers_schema_fault_set(fault, "", "follow fewer shares for schemas",
				      "shares bring %u schemas", SCHEMA_SHARED_MAX);
	return WEFT_EFULL;
}

/* Of a share: whether it may have this name. */
static int share_check(const struct service *service, const struct schema_shared *shared,
		       struct schema_fault *fault)
{
	if (service->shipped.schema && !shared->may_replace)
		return refuse(
			fault, WEFT_EREFUSED, "follow the share with --replace",
			"the share has a name that weft has itself:", service->shipped.schema);
	if (service->shared.schema &&
	    memcmp(service->share_id, shared->share_id, sizeof(service->share_id)) != 0)
		return refuse(fault, WEFT_EEXISTS, "follow one of the shares",
			      "another followed share has", service->shared.schema);
	return 0;
}

/* Takes added, unless it fails. into: own or shared of a service. */
static void source_put(struct schema_registry *registry, struct service *service,
		       struct source *into, const struct source *added)
{
	const struct schema *before = schema_on(service);
	struct source former = *into;

	*into = *added;
	changed(registry, before, schema_on(service));
	source_free(&former);
}

int offers_schema_registry_add(struct schema_registry *registry, const char *text, size_t len,
			       struct schema_fault *fault)
{
	struct source added = {.schema = NULL};
	struct service *service;
	int err = source_make(text, len, &added, fault);

	if (err < 0)
		return err;
	err = id_check(registry, added.schema, fault);
	service = service_named(registry, added.schema->name);
	if (err == 0 && service)
		err = version_check(source_now(service), &added, fault);
	if (err == 0 && !service)
		err = room_check(registry, fault);
	if (err < 0 || (service && (source_is_same(&service->own, &added) ||
				    (is_core(service->shipped.schema) &&
				     schema_is_alike(service->shipped.schema, added.schema))))) {
		source_free(&added);
		return err;
	}
	if (!service)
		service = service_insert(registry, added.schema->name);
	source_put(registry, service, &service->own, &added);
	return 0;
}

int offers_schema_registry_share(struct schema_registry *registry,
				 const struct schema_shared *shared, struct schema_fault *fault)
{
	struct source added = {.schema = NULL};
	struct service *service;
	int err = source_make(shared->text, shared->len, &added, fault);

	if (err < 0)
		return err;
	if (strcasecmp(added.schema->name, shared->name) != 0)
		err = offers_schema_fault_set(fault, "name", "name the file as the service",
					      "the file %s.ini has the service %s", shared->name,
					      added.schema->name);
	if (err == 0)
		err = id_check(registry, added.schema, fault);
	service = service_named(registry, added.schema->name);
	if (err == 0 && service)
		err = share_check(service, shared, fault);
	if (err == 0 && service && !shared->is_kept)
		err = version_check(source_now(service), &added, fault);
	if (err == 0 && !(service && service->shared.schema))
		err = shared_room_check(registry, fault);
	if (err == 0 && !service)
		err = room_check(registry, fault);
	if (err < 0 || (service && source_is_same(&service->shared, &added))) {
		source_free(&added);
		return err;
	}
	if (!service)
		service = service_insert(registry, added.schema->name);
	memcpy(service->share_id, shared->share_id, sizeof(service->share_id));
	source_put(registry, service, &service->shared, &added);
	return 0;
}

static void source_remove(struct schema_registry *registry, struct service *service,
			  struct source *from)
{
	const struct schema *before = schema_on(service);
	struct source removed = *from;

	*from = (struct source){.schema = NULL};
	changed(registry, before, schema_on(service));
	if (!schema_now(service)) {
		registry->cnt--;
		memmove(service, service + 1,
			(size_t)(&registry->services[registry->cnt] - service) * sizeof(*service));
	}
	source_free(&removed);
}

int offers_schema_registry_remove(struct schema_registry *registry, const char *name)
{
	struct service *service = service_named(registry, name);

	if (!service || !service_is_on(service))
		return WEFT_EABSENT;
	if (!service->own.schema)
		return WEFT_EREFUSED;
	source_remove(registry, service, &service->own);
	return 0;
}

void offers_schema_registry_unshare(struct schema_registry *registry,
				    const uint8_t share_id[static SCHEMA_SHARE_ID_LEN],
				    const char *name)
{
	struct service *service = service_named(registry, name);

	if (service && service->shared.schema &&
	    memcmp(service->share_id, share_id, sizeof(service->share_id)) == 0)
		source_remove(registry, service, &service->shared);
}

const char *offers_schema_registry_reshare(struct schema_registry *registry, const uint8_t *was_id,
					   const uint8_t *is_id, const char *name, size_t *out_len)
{
	struct service *service = service_named(registry, name);

	if (!service || !service->shared.schema ||
	    memcmp(service->share_id, was_id, sizeof(service->share_id)) != 0)
		return NULL;
	memcpy(service->share_id, is_id, sizeof(service->share_id));
	*out_len = service->shared.text_len;
	return service->shared.text;
}

const struct schema *offers_schema_registry_named(const struct schema_registry *registry,
						  const char *name)
{
	for (unsigned i = 0; i < registry->cnt; i++) {
		const struct schema *schema = schema_on(&registry->services[i]);

		if (schema && strcasecmp(schema->name, name) == 0)
			return schema;
	}
	return NULL;
}

const struct schema *offers_schema_registry_lookup(const struct schema_registry *registry,
						   uint32_t id, const char *name, size_t len)
{
	if (!name) {
		name = "custom";
		len = strlen(name);
	}
	for (unsigned i = 0; i < registry->cnt; i++) {
		const struct schema *schema = schema_on(&registry->services[i]);

		if (!schema || schema->id != id)
			continue;
		if (id != SCHEMA_ID_CUSTOM ||
		    (strlen(schema->name) == len && memcmp(schema->name, name, len) == 0))
			return schema;
	}
	return NULL;
}

static enum schema_origin origin_of(const struct service *service, const struct source *source)
{
	if (source == &service->shared)
		return SCHEMA_OF_SHARE;
	if (source == &service->shipped)
		return is_core(source->schema) ? SCHEMA_OF_CORE : SCHEMA_SHIPPED;
	return source_is_same(&service->shipped, source) ? SCHEMA_SHIPPED : SCHEMA_ADDED;
}

/* The entry at idx of those that are on, or of those that are off. */
static bool entry_at(const struct schema_registry *registry, unsigned idx, bool is_on,
		     struct schema_entry *out)
{
	const struct service *service = registry->services;
	const struct service *end = service + registry->cnt;
	const struct source *source;

	while (service < end && (service_is_on(service) != is_on || idx-- > 0))
		service++;
	if (service == end)
		return false;
	source = source_now(service);
	*out = (struct schema_entry){
		.schema = source->schema,
		.text = source->text,
		.text_len = source->text_len,
		.origin = origin_of(service, source),
		.share_id = source == &service->shared ? service->share_id : NULL,
	};
	return true;
}

bool offers_schema_registry_at(const struct schema_registry *registry, unsigned idx,
			       struct schema_entry *out)
{
	return entry_at(registry, idx, true, out);
}

bool offers_schema_registry_off_at(const struct schema_registry *registry, unsigned idx,
				   struct schema_entry *out)
{
	return entry_at(registry, idx, false, out);
}

/* The key of a name's row, as text. */
struct row_key {
	char text[PREFIX_LEN + SCHEMA_NAME_CAP];
};

static struct store_key key_of(struct row_key *key, const char *name)
{
	snprintf(key->text, sizeof(key->text), PREFIX "%s", name);
	return store_key(key->text, strlen(key->text));
}

/* Weft brings a later version than the one that was added: that is the one which is on. */
static bool shipped_takes_over(struct schema_registry *registry, const char *name)
{
	struct service *service = service_named(registry, name);
	struct schema_fault fault;

	return service && service->shipped.schema &&
	       offers_schema_registry_add(registry, service->shipped.text,
					  service->shipped.text_len, &fault) == 0;
}

int offers_schema_rows_load(struct store *store, struct schema_registry *registry,
			    schema_refused_fn *on_refused, void *ctx)
{
	struct store_iter iter = store_iter_fresh(store, STORE_META, store_key(PREFIX, PREFIX_LEN));
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		struct schema_fault fault;
		char name[SCHEMA_NAME_CAP];
		int err;

		if (item.key_len < PREFIX_LEN || memcmp(item.key, PREFIX, PREFIX_LEN) != 0)
			break;
		snprintf(name, sizeof(name), "%.*s", (int)(item.key_len - PREFIX_LEN),
			 (const char *)item.key + PREFIX_LEN);
		err = offers_schema_registry_add(registry, (const char *)item.value, item.value_len,
						 &fault);
		if (err < 0 && !(err == WEFT_ESTALE && shipped_takes_over(registry, name)))
			on_refused(ctx, name, &fault);
	}
	return store_iter_end(&iter);
}

void offers_schema_rows_put(struct store_batch *batch, const char *name, const char *text,
			    size_t len)
{
	struct row_key key;

	store_batch_put(batch, STORE_META, key_of(&key, name), text, len);
}

void offers_schema_rows_delete(struct store_batch *batch, const char *name)
{
	struct row_key key;

	store_batch_delete(batch, STORE_META, key_of(&key, name));
}
