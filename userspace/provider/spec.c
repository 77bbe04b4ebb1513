/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as it is published: its rules, its record and its copy. Pure. */
#include "provider/spec.h"

#include <stdio.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/text/utf8.h"
#include "provider/http/upstream.h"
#include "codec/text/semver.h"

#define RECORD_VERSION		    1
#define RECORD_VERSION_GRANTS	    2
#define RECORD_VERSION_CAPABILITIES 3

static const char *const kind_names[PROVIDER_KIND_CNT] = {
	[PROVIDER_HTTP] = "http",
	[PROVIDER_SOCKET] = "socket",
	[PROVIDER_EXEC] = "exec",
};

const char *provider_kind_name(enum provider_kind kind)
{
	return kind_names[kind];
}

bool provider_kind_parse(const char *name, enum provider_kind *out_kind)
{
	for (unsigned i = 0; i < PROVIDER_KIND_CNT; i++) {
		if (strcmp(name, kind_names[i]) != 0)
			continue;
		*out_kind = (enum provider_kind)i;
		return true;
	}
	return false;
}

static bool text_is_sound(const char *text, size_t len_max)
{
	size_t len = strnlen(text, len_max + 1);

	return len > 0 && len <= len_max && utf8_is_valid(text, len);
}

static const char *target_fault(const struct provider_spec *view)
{
	struct upstream_addr addr;

	if (!text_is_sound(view->target, PROVIDER_TARGET_LEN_MAX))
		return "the target is empty or too long";
	if (view->kind == PROVIDER_HTTP && provider_upstream_addr_parse(view->target, &addr) < 0)
		return "the target is no address and port of this form: 127.0.0.1:8080, "
		       "[::1]:8080, unix:/path";
	if (view->kind != PROVIDER_HTTP && view->target[0] != '/')
		return "the target is no absolute path";
	return NULL;
}

static const char *health_fault(const struct provider_spec *view)
{
	if (!view->health_path)
		return NULL;
	if (view->kind != PROVIDER_HTTP)
		return "only services of HTTP have a health path";
	if (view->health_path[0] != '/' || !text_is_sound(view->health_path, PROVIDER_PATH_LEN_MAX))
		return "the health path does not begin with '/' or is too long";
	for (const char *at = view->health_path; *at; at++)
		if (*at <= 0x20 || *at >= 0x7f || *at == '#')
			return "the health path has letters that need %-escapes";
	return NULL;
}

static const char *args_fault(const struct provider_spec *view)
{
	size_t len = 0;

	if (view->args_cnt && view->kind != PROVIDER_EXEC)
		return "only programs that are run have arguments";
	if (view->args_cnt > PROVIDER_ARGS_MAX)
		return "too many arguments";
	for (unsigned i = 0; i < view->args_cnt; i++) {
		len += strnlen(view->args[i], PROVIDER_ARGS_LEN_MAX) + 1;
		if (len > PROVIDER_ARGS_LEN_MAX)
			return "the arguments are too long";
		if (!utf8_is_valid(view->args[i], strlen(view->args[i])))
			return "an argument is no UTF-8";
	}
	return NULL;
}

static const char *metadata_fault(const struct provider_spec *view)
{
	unsigned told = (view->kind == PROVIDER_HTTP ? 1u : 0) + (view->body_len_max ? 1u : 0);
	unsigned cnt_max = PROVIDER_METADATA_MAX - told;
	size_t len = 0;

	if (view->metadata_cnt > cnt_max)
		return "too many entries of metadata";
	for (unsigned i = 0; i < view->metadata_cnt; i++) {
		const struct service_metadata *pair = &view->metadata[i];

		if (!text_is_sound(pair->key, PROVIDER_METADATA_LEN_MAX))
			return "a key of the metadata is empty, too long or no UTF-8";
		if (strnlen(pair->value, PROVIDER_METADATA_LEN_MAX + 1) >
			    PROVIDER_METADATA_LEN_MAX ||
		    !utf8_is_valid(pair->value, strlen(pair->value)))
			return "a value of the metadata is too long or no UTF-8";
		if (strcmp(pair->key, "kind") == 0)
			return "the key kind of the metadata is told by weft";
		if (view->kind == PROVIDER_HTTP && strcmp(pair->key, "body-max") == 0)
			return "the key body-max of the metadata is told by weft: --body-max does "
			       "it";
		for (unsigned j = 0; j < i; j++)
			if (strcmp(pair->key, view->metadata[j].key) == 0)
				return "a key of the metadata is there twice";
		len += strlen(pair->key) + strlen(pair->value);
	}
	return len > PROVIDER_METADATA_LEN_MAX ? "the metadata is too long" : NULL;
}

static const char *read_only_fault(const struct provider_spec *view)
{
	if (view->read_only_cnt && view->kind == PROVIDER_HTTP)
		return "HTTP says itself which of its methods are read-only";
	if (view->read_only_cnt > PROVIDER_READ_ONLY_MAX)
		return "more than 32 read-only methods";
	for (unsigned i = 0; i < view->read_only_cnt; i++)
		if (!text_is_sound(view->read_only[i], SERVICE_METHOD_LEN_MAX))
			return "a read-only method is empty or too long";
	return NULL;
}

static const char *grants_fault(const struct provider_spec *view)
{
	if (view->grant_cnt > PROVIDER_GRANT_MAX)
		return "more than 32 rules of methods, groups and communities";
	for (unsigned i = 0; i < view->grant_cnt; i++) {
		const struct service_grant *grant = &view->grants[i];

		if (grant->method[0] && !text_is_sound(grant->method, SERVICE_METHOD_LEN_MAX))
			return "a method that is allowed is too long";
		if (grant->kind == SERVICE_GRANT_GROUP
			    ? !service_group_name_is_valid(grant->group, strlen(grant->group))
			    : grant->group[0] != '\0')
			return "a group that is allowed has no name of 1 to 32 of a-z, 0-9, - and "
			       "_";
	}
	return NULL;
}

static bool user_is_sound(const char *user)
{
	size_t len = strnlen(user, PROVIDER_USER_LEN_MAX + 1);

	if (len == 0 || len > PROVIDER_USER_LEN_MAX || user[0] == '-')
		return false;
	for (; *user; user++)
		if (*user <= 0x20 || *user >= 0x7f || *user == ':' || *user == '/')
			return false;
	return true;
}

static const char *program_fault(const struct provider_spec *view)
{
	if (view->kind != PROVIDER_EXEC && view->memory_len_max)
		return "only programs that are run have a memory limit";
	if (view->kind != PROVIDER_EXEC && (view->user || view->is_unconfined))
		return "only programs that are run have a user, or are unconfined";
	if (view->user && !user_is_sound(view->user))
		return "the user is no name of a user";
	return NULL;
}

static const char *body_fault(const struct provider_spec *view)
{
	if (view->body_len_max && view->kind != PROVIDER_HTTP)
		return "only services of HTTP have bodies";
	if (view->body_len_max > PROVIDER_BODY_LEN_MAX)
		return "a body has at most 1 TiB";
	return NULL;
}

static const char *description_fault(const struct provider_spec *view)
{
	if (view->description && !text_is_sound(view->description, SERVICE_DESCRIPTION_LEN_MAX))
		return "the description is empty, no UTF-8 or longer than 16 KiB";
	return NULL;
}

int provider_spec_check(const struct provider_spec *view, const char **out_why)
{
	const char *fault = NULL;
	struct semver version;

	if (!text_is_sound(view->name, SERVICE_NAME_LEN_MAX))
		fault = "the name is empty or too long";
	else if (semver_parse(view->version, strnlen(view->version, SERVICE_VERSION_LEN_MAX + 1),
			      &version) < 0)
		fault = "the version is not of the form 1.2.3";
	else if (view->allow_cnt > PROVIDER_ALLOW_MAX)
		fault = "too many callers are allowed by name";
	if (!fault)
		fault = program_fault(view);
	if (!fault)
		fault = target_fault(view);
	if (!fault)
		fault = health_fault(view);
	if (!fault)
		fault = args_fault(view);
	if (!fault)
		fault = metadata_fault(view);
	if (!fault)
		fault = read_only_fault(view);
	if (!fault)
		fault = grants_fault(view);
	if (!fault)
		fault = description_fault(view);
	if (!fault)
		fault = body_fault(view);
	if (!fault)
		fault = provider_capabilities_fault(&view->capabilities, view->kind);
	if (!fault)
		return 0;
	*out_why = fault;
	return WEFT_EMALFORMED;
}

uint32_t provider_spec_major(const struct provider_spec *view)
{
	struct semver version;

	if (semver_parse(view->version, strlen(view->version), &version) < 0)
		return 0;
	return version.major;
}

size_t provider_spec_key_write(char key[static SPEC_KEY_CAP], const char *name, uint32_t major)
{
	return (size_t)snprintf(key, SPEC_KEY_CAP, "%.*s@%u", SERVICE_NAME_LEN_MAX, name, major);
}

static void text_write(struct writer *w, unsigned field, const char *text)
{
	cbor_write_uint(w, field);
	cbor_write_text(w, text, strlen(text));
}

static void number_write(struct writer *w, unsigned field, uint64_t number)
{
	cbor_write_uint(w, field);
	cbor_write_uint(w, number);
}

/* Deterministic order of text keys (RFC 8949 4.2.1): shorter first, then by bytes. */
static int key_order(const struct service_metadata *a, const struct service_metadata *b)
{
	size_t a_len = strlen(a->key), b_len = strlen(b->key);

	return a_len != b_len ? (a_len < b_len ? -1 : 1) : memcmp(a->key, b->key, a_len);
}

static void metadata_write(struct writer *w, const struct provider_spec *view)
{
	const struct service_metadata *last = NULL;

	cbor_write_uint(w, 7);
	cbor_write_map(w, view->metadata_cnt);
	for (unsigned i = 0; i < view->metadata_cnt; i++) {
		const struct service_metadata *next = NULL;

		for (unsigned j = 0; j < view->metadata_cnt; j++) {
			const struct service_metadata *pair = &view->metadata[j];

			if ((!last || key_order(last, pair) < 0) &&
			    (!next || key_order(pair, next) < 0))
				next = pair;
		}
		cbor_write_text(w, next->key, strlen(next->key));
		cbor_write_text(w, next->value, strlen(next->value));
		last = next;
	}
}

static void grants_write(struct writer *w, const struct provider_spec *view)
{
	cbor_write_uint(w, 19);
	cbor_write_array(w, view->grant_cnt);
	for (unsigned i = 0; i < view->grant_cnt; i++) {
		const struct service_grant *grant = &view->grants[i];

		cbor_write_array(w, 3);
		cbor_write_text(w, grant->method, strlen(grant->method));
		cbor_write_uint(w, grant->kind);
		if (grant->kind == SERVICE_GRANT_GROUP)
			cbor_write_text(w, grant->group, strlen(grant->group));
		else
			cbor_write_bytes(w, grant->id, sizeof(grant->id));
	}
}

static uint64_t record_version(const struct provider_spec *view)
{
	if (!provider_capabilities_are_none(&view->capabilities))
		return RECORD_VERSION_CAPABILITIES;
	return view->grant_cnt ? RECORD_VERSION_GRANTS : RECORD_VERSION;
}

void provider_spec_write(struct writer *w, const struct provider_spec *view)
{
	bool has_capabilities = !provider_capabilities_are_none(&view->capabilities);

	cbor_write_map(w, 16u + (view->health_path != NULL) + (view->user != NULL) +
				  (view->read_only_cnt > 0) + (view->grant_cnt > 0) +
				  (view->description != NULL) + (view->body_len_max > 0) +
				  has_capabilities);
	number_write(w, 0, record_version(view));
	text_write(w, 1, view->name);
	text_write(w, 2, view->version);
	number_write(w, 3, view->kind);
	text_write(w, 4, view->target);
	cbor_write_uint(w, 5);
	cbor_write_array(w, view->args_cnt);
	for (unsigned i = 0; i < view->args_cnt; i++)
		cbor_write_text(w, view->args[i], strlen(view->args[i]));
	if (view->health_path)
		text_write(w, 6, view->health_path);
	metadata_write(w, view);
	number_write(w, 8, view->calls_per_min);
	number_write(w, 9, view->payload_len_max);
	number_write(w, 10, view->timeout_ns);
	number_write(w, 11, view->concurrency_max);
	number_write(w, 12, view->memory_len_max);
	cbor_write_uint(w, 13);
	cbor_write_array(w, view->allow_cnt);
	for (unsigned i = 0; i < view->allow_cnt; i++)
		cbor_write_bytes(w, view->allow[i], MESH_KEY_LEN);
	cbor_field_bool(w, 14, view->is_hidden);
	cbor_field_bool(w, 15, view->needs_signature);
	if (view->user)
		text_write(w, 16, view->user);
	cbor_field_bool(w, 17, view->is_unconfined);
	if (view->read_only_cnt) {
		cbor_write_uint(w, 18);
		cbor_write_array(w, view->read_only_cnt);
	}
	for (unsigned i = 0; i < view->read_only_cnt; i++)
		cbor_write_text(w, view->read_only[i], strlen(view->read_only[i]));
	if (view->grant_cnt)
		grants_write(w, view);
	if (view->description)
		text_write(w, 20, view->description);
	if (view->body_len_max)
		number_write(w, 21, view->body_len_max);
	if (has_capabilities) {
		cbor_write_uint(w, 22);
		provider_capabilities_write(w, &view->capabilities);
	}
}

/* text_keep copies text of the record, which has no room for more than it holds itself. */
static const char *text_keep(struct cbor_reader *r, struct spec *spec, const char *text, size_t len)
{
	char *kept = spec->text + spec->text_len;

	if (cbor_is_bad(r) || memchr(text, '\0', len) ||
	    len >= sizeof(spec->text) - spec->text_len) {
		cbor_fail(r);
		return "";
	}
	memcpy(kept, text, len);
	kept[len] = '\0';
	spec->text_len += len + 1;
	return kept;
}

static const char *text_read(struct cbor_reader *r, struct spec *spec)
{
	size_t len;
	const char *text = cbor_read_text(r, &len);

	return text_keep(r, spec, text, len);
}

static void args_read(struct cbor_reader *r, struct spec *spec)
{
	if (cbor_enter_array(r) > PROVIDER_ARGS_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		spec->args[spec->view.args_cnt++] = text_read(r, spec);
}

static void metadata_read(struct cbor_reader *r, struct spec *spec)
{
	const char *key;
	size_t len;

	if (cbor_enter_map(r) > PROVIDER_METADATA_MAX)
		cbor_fail(r);
	while (cbor_next_text_key(r, &key, &len)) {
		struct service_metadata *pair = &spec->metadata[spec->view.metadata_cnt++];

		pair->key = text_keep(r, spec, key, len);
		pair->value = text_read(r, spec);
	}
}

static void allow_read(struct cbor_reader *r, struct spec *spec)
{
	if (cbor_enter_array(r) > PROVIDER_ALLOW_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		cbor_read_fixed(r, spec->allow[spec->view.allow_cnt++], MESH_KEY_LEN);
}

static void read_only_read(struct cbor_reader *r, struct spec *spec)
{
	if (cbor_enter_array(r) > PROVIDER_READ_ONLY_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		spec->read_only[spec->view.read_only_cnt++] = text_read(r, spec);
}

static void grant_read(struct cbor_reader *r, struct spec *spec, struct service_grant *grant)
{
	if (cbor_enter_array(r) != 3)
		cbor_fail(r);
	grant->group = "";
	grant->method = text_read(r, spec);
	grant->kind = (enum service_grant_kind)cbor_read_uint_max(r, SERVICE_GRANT_KIND_CNT - 1);
	if (grant->kind == SERVICE_GRANT_GROUP)
		grant->group = text_read(r, spec);
	else
		cbor_read_fixed(r, grant->id, sizeof(grant->id));
	if (cbor_next(r))
		cbor_fail(r);
}

static void grants_read(struct cbor_reader *r, struct spec *spec)
{
	if (cbor_enter_array(r) > PROVIDER_GRANT_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		grant_read(r, spec, &spec->grants[spec->view.grant_cnt++]);
}

/* NULL: the field is no text. */
static const char **text_of(struct provider_spec *view, uint64_t field)
{
	switch (field) {
	case 1:
		return &view->name;
	case 2:
		return &view->version;
	case 4:
		return &view->target;
	case 6:
		return &view->health_path;
	case 16:
		return &view->user;
	case 20:
		return &view->description;
	default:
		return NULL;
	}
}

static void field_read(struct cbor_reader *r, uint64_t field, struct spec *spec)
{
	struct provider_spec *view = &spec->view;
	const char **text = text_of(view, field);

	if (text) {
		*text = text_read(r, spec);
		return;
	}
	switch (field) {
	case 3:
		view->kind = (enum provider_kind)cbor_read_uint_max(r, PROVIDER_KIND_CNT - 1);
		break;
	case 5:
		args_read(r, spec);
		break;
	case 7:
		metadata_read(r, spec);
		break;
	case 8:
		view->calls_per_min = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 9:
		view->payload_len_max = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 10:
		view->timeout_ns = cbor_read_uint(r);
		break;
	case 11:
		view->concurrency_max = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 12:
		view->memory_len_max = cbor_read_uint(r);
		break;
	case 13:
		allow_read(r, spec);
		break;
	case 14:
		view->is_hidden = cbor_read_bool(r);
		break;
	case 15:
		view->needs_signature = cbor_read_bool(r);
		break;
	case 17:
		view->is_unconfined = cbor_read_bool(r);
		break;
	case 18:
		read_only_read(r, spec);
		break;
	case 19:
		grants_read(r, spec);
		break;
	case 21:
		view->body_len_max = cbor_read_uint(r);
		break;
	case 22:
		provider_capabilities_read(r, &spec->capabilities);
		view->capabilities = spec->capabilities.view;
		break;
	default:
		cbor_skip(r);
	}
}

int provider_spec_parse(const uint8_t *record, size_t len, struct spec *spec)
{
	uint64_t version = 0, field;
	struct cbor_reader r;
	const char *why;

	memset(spec, 0, sizeof(*spec));
	spec->view.name = spec->view.version = spec->view.target = "";
	cbor_reader_init(&r, record, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &field)) {
		if (field == 0)
			version = cbor_read_uint(&r);
		else
			field_read(&r, field, spec);
		/* This version cannot judge the fields of a later one. */
		if (field == 0 && version > RECORD_VERSION_CAPABILITIES)
			return WEFT_EUNKNOWN;
	}
	spec->view.args = spec->args;
	spec->view.metadata = spec->metadata;
	spec->view.read_only = spec->read_only;
	spec->view.grants = spec->grants;
	spec->view.allow = (const uint8_t(*)[MESH_KEY_LEN])spec->allow;
	if (cbor_reader_finish(&r) < 0 || version != record_version(&spec->view))
		return WEFT_EMALFORMED;
	return provider_spec_check(&spec->view, &why);
}
