/* SPDX-License-Identifier: Apache-2.0 */
/* Which callers may call which method of an offer. */
#include "service/limits/access.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/text/zbase32.h"
#include "service/http_envelope.h"
#include "service/service_registry.h"
#include "service/service_state.h"
#include "support/check.h"

static const uint8_t ann[MESH_KEY_LEN] = {1}, bob[MESH_KEY_LEN] = {2}, eve[MESH_KEY_LEN] = {3};
static const uint8_t choir[SERVICE_COMMUNITY_LEN] = {9};

static struct service service;
static struct service_offer offer = {.service = &service};

/* bob sings. */
static bool is_member(void *ctx, const uint8_t *community, const uint8_t *key)
{
	(void)ctx;
	return memcmp(community, choir, sizeof(choir)) == 0 && memcmp(key, bob, sizeof(bob)) == 0;
}

static struct service_grant grant_of(const char *method, const uint8_t *key)
{
	struct service_grant grant = {.method = method, .group = ""};

	memcpy(grant.id, key, sizeof(grant.id));
	return grant;
}

static void offer_begin(const struct service_grant *grants, unsigned cnt)
{
	offer.offering = (struct service_offering){.grants = grants, .grant_cnt = cnt};
	service.params.is_member = is_member;
	service.config.groups[0] = '\0';
}

static bool may(const uint8_t *key, const char *method)
{
	return service_access_of(&offer, key, method, false) == SERVICE_ACCESS_GIVEN;
}

static void test_an_offer_without_names_is_for_every_caller(void)
{
	offer_begin(NULL, 0);
	CHECK(may(eve, "Any"));
}

static void test_a_method_with_names_is_for_the_named_callers_alone(void)
{
	struct service_grant grants[] = {grant_of("Delete", ann), grant_of("Delete", bob)};

	offer_begin(grants, 2);
	CHECK(may(ann, "Delete") && may(bob, "Delete"));
	CHECK_EQ(service_access_of(&offer, eve, "Delete", false), SERVICE_ACCESS_NOT_METHOD);
	CHECK(may(eve, "Read"));
	CHECK(may(eve, "delete")); /* another method, where it is no verb of HTTP */
}

static void test_other_methods_are_for_those_of_all_methods(void)
{
	const uint8_t allow[][MESH_KEY_LEN] = {{2}};
	struct service_grant grants[] = {grant_of("Delete", ann)};

	offer_begin(grants, 1);
	offer.offering.allow = allow;
	offer.offering.allow_cnt = 1;
	CHECK(may(bob, "Read") && !may(bob, "Delete"));
	CHECK(may(ann, "Delete") && !may(ann, "Read"));
	CHECK_EQ(service_access_of(&offer, eve, "Read", false), SERVICE_ACCESS_NONE);
}

static void test_communities_and_groups_are_asked_when_a_call_comes(void)
{
	struct service_grant grants[] = {grant_of("", choir), grant_of("Write", ann)};
	char id[ZBASE32_KEY_TEXT_CAP];

	grants[0].kind = SERVICE_GRANT_COMMUNITY;
	grants[1].kind = SERVICE_GRANT_GROUP;
	grants[1].group = "staff";
	offer_begin(grants, 2);
	CHECK(may(bob, "Read") && !may(ann, "Read"));
	CHECK(!may(ann, "Write"));
	snprintf(service.config.groups, sizeof(service.config.groups), "staff2:%s",
		 zbase32_write(ann, sizeof(ann), id));
	CHECK(!may(ann, "Write"));
	snprintf(service.config.groups, sizeof(service.config.groups), "staff:%s", id);
	CHECK(may(ann, "Write") && !may(bob, "Write"));
	service.params.is_member = NULL;
	CHECK(!may(bob, "Read"));
}

static enum service_access may_ask(const uint8_t *key, const char *verb)
{
	return service_access_of_verb(&offer, key, verb);
}

static void test_of_http_the_request_says_the_method(void)
{
	static const struct service_metadata kind = {"kind", "http"};
	struct service_grant grants[] = {grant_of("DELETE", ann), grant_of("GET", bob)};

	offer_begin(grants, 2);
	CHECK(may(eve, SERVICE_HTTP_METHOD)); /* of a program on a socket it is a name as any */
	offer.offering.metadata = &kind;
	offer.offering.metadata_cnt = 1;
	CHECK_EQ(service_access_of(&offer, eve, SERVICE_HTTP_METHOD, true), SERVICE_ACCESS_LATER);
	CHECK_EQ(may_ask(ann, "DELETE"), SERVICE_ACCESS_GIVEN);
	CHECK_EQ(may_ask(eve, "DELETE"), SERVICE_ACCESS_NOT_METHOD);
	CHECK_EQ(may_ask(eve, "delete"), SERVICE_ACCESS_NOT_METHOD);
	CHECK_EQ(may_ask(eve, "HEAD"), SERVICE_ACCESS_NOT_METHOD);
	CHECK_EQ(may_ask(bob, "HEAD"), SERVICE_ACCESS_GIVEN);
	CHECK_EQ(may_ask(eve, "POST"), SERVICE_ACCESS_GIVEN);
	CHECK_EQ(may_ask(eve, ""), SERVICE_ACCESS_GIVEN);
}

static void test_a_list_of_groups(void)
{
	char id[ZBASE32_KEY_TEXT_CAP], text[512];

	zbase32_write(ann, sizeof(ann), id);
	CHECK(service_groups_are_valid(""));
	snprintf(text, sizeof(text), " staff:%s,%s  lab-2:%s ", id, id, id);
	CHECK(service_groups_are_valid(text));
	snprintf(text, sizeof(text), "staff:%s,", id);
	CHECK(!service_groups_are_valid(text));
	snprintf(text, sizeof(text), "staff:%.51s", id);
	CHECK(!service_groups_are_valid(text));
	snprintf(text, sizeof(text), "Staff:%s", id);
	CHECK(!service_groups_are_valid(text));
	CHECK(!service_groups_are_valid("staff"));
	CHECK(!service_groups_are_valid("staff:"));
	CHECK(service_group_name_is_valid("abcdefghijklmnopqrstuvwxyz012345", 32));
	CHECK(!service_group_name_is_valid("abcdefghijklmnopqrstuvwxyz0123456", 33));
}

int main(void)
{
	RUN(test_an_offer_without_names_is_for_every_caller);
	RUN(test_a_method_with_names_is_for_the_named_callers_alone);
	RUN(test_other_methods_are_for_those_of_all_methods);
	RUN(test_communities_and_groups_are_asked_when_a_call_comes);
	RUN(test_of_http_the_request_says_the_method);
	RUN(test_a_list_of_groups);
	return check_done();
}
