/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink's interface definition language: a recursive descent parser whose
 * depth is limited. Home worker. See varlink.org/Interface-Definition.
 */
#include "control/idl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDL_DEPTH_MAX 16 /* of types within types; ours need 3 */

/* All allocations, in one list for control_idl_free. */
struct idl_node {
	struct idl_node *next;
	union {
		struct idl_type type;
		struct idl_field field;
		struct idl_member member;
	};
};

struct idl {
	struct idl_node *nodes;
	const struct idl_member *members;
};

struct idl_parser {
	struct idl *idl;
	const char *pos;
	unsigned line;
	unsigned depth;
	int err; /* sticky; while set, nothing is read */
};

static void parser_fail(struct idl_parser *p, int err)
{
	if (p->err == 0)
		p->err = err;
}

static struct idl_node *node_new(struct idl_parser *p)
{
	struct idl_node *node = calloc(1, sizeof(*node));

	if (!node) {
		parser_fail(p, -ENOMEM);
		return NULL;
	}
	node->next = p->idl->nodes;
	p->idl->nodes = node;
	return node;
}

static void skip_space(struct idl_parser *p)
{
	for (;; p->pos++) {
		if (*p->pos == '#')
			p->pos += strcspn(p->pos, "\n");
		if (*p->pos == '\n')
			p->line++;
		else if (*p->pos != ' ' && *p->pos != '\t' && *p->pos != '\r')
			return;
	}
}

/* accept_token steps over token when it stands here. */
static bool accept_token(struct idl_parser *p, const char *token)
{
	skip_space(p);
	if (p->err || strncmp(p->pos, token, strlen(token)) != 0)
		return false;
	p->pos += strlen(token);
	return true;
}

static void expect_token(struct idl_parser *p, const char *token)
{
	if (!accept_token(p, token))
		parser_fail(p, WEFT_EMALFORMED);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_char(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

static struct idl_name parse_name(struct idl_parser *p)
{
	struct idl_name name = {0};

	skip_space(p);
	if (p->err || !is_letter(*p->pos)) {
		parser_fail(p, WEFT_EMALFORMED);
		return name;
	}
	name.text = p->pos;
	while (is_name_char(*p->pos))
		p->pos++;
	name.len = (size_t)(p->pos - name.text);
	return name;
}

/* accept_word steps over a keyword that ends here, not inside a longer name. */
static bool accept_word(struct idl_parser *p, const char *word)
{
	size_t len = strlen(word);

	skip_space(p);
	return strncmp(p->pos, word, len) == 0 && !is_name_char(p->pos[len]) &&
	       accept_token(p, word);
}

static const struct idl_type *parse_type(struct idl_parser *p);

/*
 * parse_fields reads "(a: type, b: type)" or "(a, b)"; the first field
 * decides which. The opening parenthesis was read.
 */
static void parse_fields(struct idl_parser *p, struct idl_type *type)
{
	const struct idl_field **link = &type->fields;
	bool is_first = true;

	type->kind = IDL_STRUCT;
	if (accept_token(p, ")"))
		return;
	do {
		struct idl_node *node = node_new(p);
		bool is_typed;

		if (!node)
			return;
		node->field.name = parse_name(p);
		is_typed = accept_token(p, ":");
		if (is_first && !is_typed)
			type->kind = IDL_ENUM;
		if (is_typed != (type->kind == IDL_STRUCT))
			parser_fail(p, WEFT_EMALFORMED);
		if (is_typed)
			node->field.type = parse_type(p);
		if (p->err)
			return;
		*link = &node->field;
		link = &node->field.next;
		is_first = false;
	} while (accept_token(p, ","));
	expect_token(p, ")");
}

static bool parse_basic(struct idl_parser *p, struct idl_type *type)
{
	static const struct {
		const char *word;
		enum idl_kind kind;
	} basics[] = {
		{"bool", IDL_BOOL},	{"int", IDL_INT},	{"float", IDL_FLOAT},
		{"string", IDL_STRING}, {"object", IDL_OBJECT},
	};

	for (size_t i = 0; i < sizeof(basics) / sizeof(basics[0]); i++) {
		if (accept_word(p, basics[i].word)) {
			type->kind = basics[i].kind;
			return true;
		}
	}
	return false;
}

static void parse_type_into(struct idl_parser *p, struct idl_type *type)
{
	type->is_nullable = accept_token(p, "?");
	if (accept_token(p, "[]")) {
		type->kind = IDL_ARRAY;
		type->item = parse_type(p);
	} else if (accept_token(p, "[string]")) {
		type->kind = IDL_MAP;
		type->item = parse_type(p);
	} else if (accept_token(p, "(")) {
		parse_fields(p, type);
	} else if (!parse_basic(p, type)) {
		type->kind = IDL_NAMED;
		type->name = parse_name(p);
	}
}

static const struct idl_type *parse_type(struct idl_parser *p)
{
	struct idl_node *node = node_new(p);

	if (!node)
		return NULL;
	if (++p->depth > IDL_DEPTH_MAX)
		parser_fail(p, WEFT_EMALFORMED);
	else
		parse_type_into(p, &node->type);
	p->depth--;
	return &node->type;
}

static const struct idl_type *parse_struct(struct idl_parser *p)
{
	const struct idl_type *type = parse_type(p);

	if (type && !p->err && type->kind != IDL_STRUCT)
		parser_fail(p, WEFT_EMALFORMED);
	return type;
}

static void parse_member(struct idl_parser *p, struct idl_member *member)
{
	if (accept_word(p, "type")) {
		member->kind = IDL_TYPE;
	} else if (accept_word(p, "method")) {
		member->kind = IDL_METHOD;
	} else {
		expect_token(p, "error");
		member->kind = IDL_ERROR;
	}
	member->name = parse_name(p);
	if (member->kind == IDL_TYPE) {
		member->input = parse_type(p);
		return;
	}
	member->input = parse_struct(p);
	if (member->kind == IDL_METHOD) {
		expect_token(p, "->");
		member->output = parse_struct(p);
	}
}

static bool name_equal(const struct idl_name *a, const struct idl_name *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static const struct idl_member *member_of_name(const struct idl *idl, const struct idl_name *name)
{
	for (const struct idl_member *m = idl->members; m; m = m->next) {
		if (name_equal(&m->name, name))
			return m;
	}
	return NULL;
}

static void parse_interface(struct idl_parser *p)
{
	const struct idl_member **link = &p->idl->members;

	expect_token(p, "interface");
	(void)parse_name(p);
	while (!p->err && accept_token(p, "."))
		(void)parse_name(p);
	for (skip_space(p); !p->err && *p->pos; skip_space(p)) {
		struct idl_node *node = node_new(p);

		if (!node)
			return;
		parse_member(p, &node->member);
		if (!p->err && member_of_name(p->idl, &node->member.name))
			parser_fail(p, WEFT_EMALFORMED);
		if (p->err)
			return;
		*link = &node->member;
		link = &node->member.next;
	}
}

const struct idl_type *control_idl_type_resolve(const struct idl *idl, const struct idl_type *type)
{
	const struct idl_member *member;

	/* A chain of names no longer than the list of members is no cycle. */
	for (unsigned i = 0; i < IDL_DEPTH_MAX; i++) {
		if (type->kind != IDL_NAMED)
			return type;
		member = member_of_name(idl, &type->name);
		if (!member || member->kind != IDL_TYPE)
			return NULL;
		type = member->input;
	}
	return NULL;
}

static bool type_is_defined(const struct idl *idl, const struct idl_type *type)
{
	const struct idl_field *field;

	switch (type->kind) {
	case IDL_NAMED:
		return control_idl_type_resolve(idl, type) != NULL;
	case IDL_ARRAY:
	case IDL_MAP:
		return type_is_defined(idl, type->item);
	case IDL_STRUCT:
		for (field = type->fields; field; field = field->next) {
			if (!type_is_defined(idl, field->type))
				return false;
		}
		return true;
	default:
		return true;
	}
}

static void check_names(struct idl_parser *p)
{
	for (const struct idl_member *m = p->idl->members; m; m = m->next) {
		if (!type_is_defined(p->idl, m->input) ||
		    (m->output && !type_is_defined(p->idl, m->output)))
			parser_fail(p, WEFT_EMALFORMED);
	}
}

int control_idl_parse(const char *text, struct idl **out_idl, unsigned *out_line)
{
	struct idl_parser p = {.pos = text, .line = 1};

	p.idl = calloc(1, sizeof(*p.idl));
	if (!p.idl)
		return -ENOMEM;
	parse_interface(&p);
	if (!p.err)
		check_names(&p);
	if (p.err) {
		*out_line = p.line;
		control_idl_free(p.idl);
		return p.err;
	}
	*out_idl = p.idl;
	return 0;
}

void control_idl_free(struct idl *idl)
{
	if (!idl)
		return;
	while (idl->nodes) {
		struct idl_node *node = idl->nodes;

		idl->nodes = node->next;
		free(node);
	}
	free(idl);
}

const struct idl_member *control_idl_members(const struct idl *idl)
{
	return idl->members;
}
