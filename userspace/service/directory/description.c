/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of services: read from their owners, and from peers that answered one. */
#include "description.h"

#include <errno.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/text/utf8.h"
#include "service/directory/read_only.h"
#include "service/topic_event.h"

/* A reading of JSON, and its first fault. */
struct reading {
	const char *why; /* NULL: nothing */
	bool has_no_memory;
	bool had_lost; /* the note of lost bytes was set before this reading */
};

static void fail(struct reading *reading, const char *why)
{
	if (!reading->why)
		reading->why = why;
}

static void put(struct reading *reading, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		reading->has_no_memory = true;
}

static bool text_is_sound(const json_t *text, size_t len_max)
{
	const char *at = json_string_value(text);
	size_t len = json_string_length(text);

	return at && len <= len_max && utf8_is_plain(at, len);
}

/* method_is_sound: a name as calls have it; the router's own begin with '$'. */
static bool method_is_sound(const json_t *name)
{
	const char *at = json_string_value(name);

	if (!text_is_sound(name, SERVICE_METHOD_LEN_MAX) || !*at || *at == '$')
		return false;
	return strspn(at, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
			  "abcdefghijklmnopqrstuvwxyz{|}~") == strlen(at);
}

/* about_take: a missing sentence becomes an empty one. */
static void about_take(struct reading *reading, const json_t *from, json_t *to)
{
	json_t *about = json_object_get(from, "about");

	if (about && !text_is_sound(about, SERVICE_DESCRIBED_TEXT_MAX))
		fail(reading, "\"about\" is no text of at most 500 bytes in one line");
	put(reading, to, "about", about ? json_incref(about) : json_string(""));
}

static json_t *field_take(struct reading *reading, const json_t *from)
{
	json_t *name = json_object_get(from, "name"), *type = json_object_get(from, "type");
	json_t *field = json_object();

	if (!text_is_sound(name, SERVICE_DESCRIBED_NAME_MAX) || !json_string_length(name))
		fail(reading, "a field has no name of at most 64 bytes");
	else if (!text_is_sound(type, SERVICE_DESCRIBED_TEXT_MAX) || !json_string_length(type))
		fail(reading, "a field has no type of at most 500 bytes");
	put(reading, field, "name", json_incref(name));
	put(reading, field, "type", json_incref(type));
	about_take(reading, from, field);
	return field;
}

static void fields_take(struct reading *reading, const json_t *from, json_t *to, const char *key)
{
	const json_t *list = json_object_get(from, key);
	json_t *fields = json_array();

	if (list && !json_is_array(list))
		fail(reading, "\"takes\" or \"gives\" is no list");
	if (json_array_size(list) > SERVICE_DESCRIBED_FIELDS_MAX)
		fail(reading, "a method has more than 32 fields");
	for (size_t i = 0; i < json_array_size(list) && !reading->why; i++)
		if (json_array_append_new(fields, field_take(reading, json_array_get(list, i))) < 0)
			reading->has_no_memory = true;
	put(reading, to, key, fields);
}

static json_t *method_take(struct reading *reading, const json_t *from)
{
	json_t *name = json_object_get(from, "name"), *stream = json_object_get(from, "stream");
	json_t *example = json_object_get(from, "example"), *method = json_object();
	json_t *read_only = json_object_get(from, "read_only");

	if (!method_is_sound(name))
		fail(reading, "a method has no name of 1 to 64 printable letters, \"$\" not first");
	if (stream && !json_is_boolean(stream))
		fail(reading, "\"stream\" is neither true nor false");
	if (example && !json_is_object(example))
		fail(reading, "an example is no JSON object");
	put(reading, method, "name", json_incref(name));
	about_take(reading, from, method);
	put(reading, method, "stream", json_boolean(json_is_true(stream)));
	fields_take(reading, from, method, "takes");
	fields_take(reading, from, method, "gives");
	if (read_only && !json_is_boolean(read_only))
		fail(reading, "\"read_only\" is neither true nor false");
	if (read_only)
		put(reading, method, "read_only", json_incref(read_only));
	if (example)
		put(reading, method, "example", json_incref(example));
	return method;
}

static const json_t *method_named(const json_t *methods, const char *name)
{
	for (size_t i = 0; i < json_array_size(methods); i++) {
		const json_t *method = json_array_get(methods, i);
		const char *own = json_string_value(json_object_get(method, "name"));

		if (own && strcmp(own, name) == 0)
			return method;
	}
	return NULL;
}

static void methods_take(struct reading *reading, const json_t *from, json_t *to)
{
	const json_t *list = json_object_get(from, "methods");
	json_t *methods = json_array();

	if (!json_is_array(list))
		fail(reading, "there is no list of \"methods\"");
	if (json_array_size(list) > SERVICE_DESCRIBED_METHODS_MAX)
		fail(reading, "more than 64 methods");
	for (size_t i = 0; i < json_array_size(list) && !reading->why; i++) {
		json_t *method = method_take(reading, json_array_get(list, i));
		const char *name = json_string_value(json_object_get(method, "name"));

		if (name && method_named(methods, name))
			fail(reading, "a method is there twice");
		if (json_array_append_new(methods, method) < 0)
			reading->has_no_memory = true;
	}
	put(reading, to, "methods", methods);
}

static json_t *topic_take(struct reading *reading, const json_t *from)
{
	json_t *name = json_object_get(from, "name"), *topic = json_object();

	if (!json_is_string(name) ||
	    !service_topic_is_valid(json_string_value(name), json_string_length(name)))
		fail(reading, "a topic has no name of 1 to 96 letters, digits and . _ : / -");
	put(reading, topic, "name", json_incref(name));
	about_take(reading, from, topic);
	fields_take(reading, from, topic, "gives");
	return topic;
}

/* topics_take: the field is optional; many services have no topics. */
static void topics_take(struct reading *reading, const json_t *from, json_t *to)
{
	const json_t *list = json_object_get(from, "topics");
	json_t *topics;

	if (!list)
		return;
	if (!json_is_array(list))
		fail(reading, "\"topics\" is no list");
	if (json_array_size(list) > SERVICE_TOPICS_PER_OFFER)
		fail(reading, "more than 64 topics");
	topics = json_array();
	for (size_t i = 0; i < json_array_size(list) && !reading->why; i++)
		if (json_array_append_new(topics, topic_take(reading, json_array_get(list, i))) < 0)
			reading->has_no_memory = true;
	put(reading, to, "topics", topics);
}

static json_t *description_take(struct reading *reading, const json_t *from)
{
	json_t *description = json_object();

	if (!json_is_object(from))
		fail(reading, "no JSON object");
	about_take(reading, from, description);
	methods_take(reading, from, description);
	topics_take(reading, from, description);
	return description;
}

/* reading_end hands json on when all is well, and releases it otherwise. */
static int reading_end(struct reading *reading, json_t *json, json_t **out_json,
		       const char **out_why)
{
	bool is_lost = json_heap_swap_lost(reading->had_lost);

	if (!reading->why && !reading->has_no_memory && !is_lost && json) {
		*out_json = json;
		return 0;
	}
	json_decref(json);
	*out_why = reading->why ? reading->why : "no memory";
	return reading->why ? WEFT_EMALFORMED : -ENOMEM;
}

static int text_load(const char *text, size_t len, size_t len_max, json_t **out_json,
		     const char **out_why)
{
	int err;

	*out_why = "longer than a description may be: 16 KiB";
	if (len > len_max)
		return WEFT_EMALFORMED;
	*out_why = "no JSON object";
	err = json_heap_load(text, len, JSON_REJECT_DUPLICATES, out_json);
	return err;
}

int service_description_load(const char *text, size_t len, json_t **out_description,
			     const char **out_why)
{
	struct reading reading = {.had_lost = json_heap_swap_lost(false)};
	json_t *json, *description;
	int err = text_load(text, len, SERVICE_DESCRIPTION_LEN_MAX, &json, out_why);

	if (err < 0) {
		(void)json_heap_swap_lost(reading.had_lost);
		return err;
	}
	description = description_take(&reading, json);
	json_decref(json);
	return reading_end(&reading, description, out_description, out_why);
}

static bool list_has(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *one = json_string_value(json_array_get(list, i));

		if (strcmp(one, name) == 0 || strcmp(one, "*") == 0)
			return true;
	}
	return false;
}

/*
 * read_only_set: marks each method as read-only or not, and adds the methods without a description.
 */
static void read_only_set(struct reading *reading, const json_t *list, json_t *methods)
{
	if ((list && !json_is_array(list)) || json_array_size(list) > SERVICE_READ_ONLY_MAX)
		fail(reading, "\"read_only\" is no list of at most 32 methods");
	for (size_t i = 0; i < json_array_size(list) && !reading->why; i++) {
		json_t *name = json_array_get(list, i), *method;

		if (!method_is_sound(name)) {
			fail(reading, "\"read_only\" has what is no name of a method");
			return;
		}
		if (strcmp(json_string_value(name), "*") == 0 ||
		    method_named(methods, json_string_value(name)))
			continue;
		method = json_pack("{s:O, s:s, s:b, s:[], s:[]}", "name", name, "about", "",
				   "stream", 0, "takes", "gives");
		if (json_array_append_new(methods, method) < 0)
			reading->has_no_memory = true;
	}
	for (size_t i = 0; i < json_array_size(methods) && !reading->why; i++) {
		json_t *method = json_array_get(methods, i);
		const char *name = json_string_value(json_object_get(method, "name"));

		put(reading, method, "read_only", json_boolean(list_has(list, name)));
	}
}

/* envelope_take: the fields of the offer. */
static json_t *envelope_take(struct reading *reading, const json_t *from)
{
	json_t *name = json_object_get(from, "name"), *version = json_object_get(from, "version");
	const json_t *description = json_object_get(from, "description");
	json_t *described = description ? description_take(reading, description)
					: json_pack("{s:s, s:[]}", "about", "", "methods");

	if (!json_is_object(from))
		fail(reading, "no JSON object");
	if (!text_is_sound(name, SERVICE_NAME_LEN_MAX) ||
	    !text_is_sound(version, SERVICE_VERSION_LEN_MAX))
		fail(reading, "no name and version of a service");
	put(reading, described, "name", json_incref(name));
	put(reading, described, "version", json_incref(version));
	put(reading, described, "needs_signature",
	    json_boolean(json_is_true(json_object_get(from, "needs_signature"))));
	put(reading, described, "http", json_boolean(json_is_true(json_object_get(from, "http"))));
	if (!json_object_get(described, "topics"))
		put(reading, described, "topics", json_array());
	read_only_set(reading, json_object_get(from, "read_only"),
		      json_object_get(described, "methods"));
	return described;
}

int service_described_load(const char *text, size_t len, json_t **out_described,
			   const char **out_why)
{
	struct reading reading = {.had_lost = json_heap_swap_lost(false)};
	json_t *json, *described;
	int err = text_load(text, len, SERVICE_DESCRIBED_LEN_MAX, &json, out_why);

	if (err < 0) {
		(void)json_heap_swap_lost(reading.had_lost);
		return err;
	}
	described = envelope_take(&reading, json);
	json_decref(json);
	return reading_end(&reading, described, out_described, out_why);
}
