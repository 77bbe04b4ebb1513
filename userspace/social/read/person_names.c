/* SPDX-License-Identifier: Apache-2.0 */
/* A person by what the person at this node calls it, or by what it calls itself. */
#include <string.h>

#include "codec/text/zbase32.h"
#include "social/read/social_read_state.h"

struct name_look {
	struct people *people;
	const char *name;
	size_t len;
	uint8_t *key;
	unsigned found_cnt;
};

static bool name_is(const struct name_look *look, const char *name)
{
	return name && strlen(name) == look->len && strncasecmp(name, look->name, look->len) == 0;
}

static void person_look(struct name_look *look, const uint8_t *key)
{
	const struct person *person = social_person(look->people, key);

	if (!person || (!name_is(look, person->petname) && !name_is(look, person->own_name)) ||
	    (look->found_cnt && memcmp(look->key, key, NODE_KEY_LEN) == 0))
		return;
	memcpy(look->key, key, NODE_KEY_LEN);
	look->found_cnt++;
}

static bool follow_look(void *arg, const struct follow_view *view)
{
	person_look(arg, view->person);
	return true;
}

static bool audience_look(void *arg, const uint8_t *person, uint32_t personas)
{
	(void)personas;
	person_look(arg, person);
	return true;
}

int social_read_name(struct social_read *read, const char *name, size_t len,
		     uint8_t out_key[static NODE_KEY_LEN])
{
	struct people *people = read->params.people;
	struct name_look look = {.people = people, .key = out_key};

	if (len && *name == '@') {
		name++;
		len--;
	}
	if (len == ZBASE32_TEXT_LEN(NODE_KEY_LEN) &&
	    zbase32_parse(name, len, out_key, NODE_KEY_LEN) == NODE_KEY_LEN)
		return 0;
	look.name = name;
	look.len = len;
	social_follows_each(people, SOCIAL_EACH_PERSONA, follow_look, &look);
	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		person_look(&look, node_key_public(social_persona(people, i)));
	/* A person that is followed is meant, where another one took the same name. */
	if (!look.found_cnt)
		social_audience_each(people, audience_look, &look);
	return look.found_cnt == 1 ? 0 : look.found_cnt ? WEFT_EEXISTS : WEFT_EABSENT;
}

const char *social_read_called(struct social_read *read, const uint8_t key[static NODE_KEY_LEN])
{
	const struct person *person = social_person(read->params.people, key);

	return person && person->name ? person->name : "";
}
