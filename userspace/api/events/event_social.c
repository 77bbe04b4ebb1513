/* SPDX-License-Identifier: Apache-2.0 */
/* Events of people and posts. Home worker. */
#include "api/api.h"
#include "api/events/events.h"
#include "social/social.h"

void api_tell_social(struct api *api, const struct social_event *event)
{
	static const char *const kinds[SOCIAL_EVENT_CNT] = {
		[SOCIAL_POST_NEW] = "post.new",
		[SOCIAL_POST_CHANGED] = "post.changed",
		[SOCIAL_POST_GONE] = "post.gone",
		[SOCIAL_POST_MENTION] = "post.mention",
		[SOCIAL_DM_NEW] = "dm.new",
		[SOCIAL_PERSON_PROFILE] = "person.profile",
		[SOCIAL_PERSON_REQUEST] = "person.request",
		[SOCIAL_PERSON_FOLLOWED] = "person.followed",
		[SOCIAL_PERSON_SUCCESSOR] = "person.successor",
		[SOCIAL_COPIES_LOW] = "copies.low",
		[SOCIAL_GROUP_INVITED] = "group.invited",
		[SOCIAL_GROUP_ROLE] = "group.role",
	};
	char person[ZBASE32_KEY_TEXT_CAP], post[ZBASE32_KEY_TEXT_CAP];

	api_tell(api, kinds[event->kind], social, .person = api_event_key(event->person, person),
		 .post = api_event_key(event->post, post), .text = event->text);
}
