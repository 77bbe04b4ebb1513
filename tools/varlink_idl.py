# SPDX-License-Identifier: Apache-2.0
"""The members, types and fields of .varlink files, for tools/varlink-c, which says what comments mean."""
import re

TOKEN = re.compile(r"(?P<space>[ \t\r]+)|(?P<line>\n)|(?P<comment>#[^\n]*)|(?P<mark>->|\[\]|"
                   r"\[string\]|[?(),:])|(?P<word>[A-Za-z][A-Za-z0-9_.]*)")
EVENT = re.compile(r"\bEvent: ([a-z_., -]+)\.$")
ROLE = re.compile(r"\bRole: (view|operate|admin)\b")
NOTE = re.compile(r"(\w+)(?:@(\d+))?: (.+)")
BASIC = {"bool": "bool", "int": "int64_t", "float": "double", "string": "const char *",
         "object": "json_t *"}
KEYWORDS = set("auto break case char const continue default do double else enum extern float for goto if "
               "inline int long register restrict return short signed sizeof static struct switch typedef "
               "union unsigned void volatile while bool true false linux unix".split())


class Fault(Exception):
    pass


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Type:
    """kind: a basic type, "struct", "enum", "list", "map" or, until it is resolved, "named"."""

    def __init__(self, kind, name=None, item=None, fields=None):
        self.kind, self.name, self.item, self.fields = kind, name, item, fields or []


class Field:
    def __init__(self, name, kind, is_optional):
        self.name, self.type, self.is_optional, self.notes = name, kind, is_optional, []
        self.c_name = name + "_" if name in KEYWORDS else name

    @property
    def has_flag(self):
        return self.is_optional and self.type.kind not in ("string", "object", "struct")


class Member:
    def __init__(self, word, name, area, about):
        self.word, self.name, self.area, self.about = word, name, area, about
        self.input = self.output = self.role = None
        self.uses, self.text = [], ""


class Reader:
    """One file: its members, and its text without what is said to this program alone."""

    def __init__(self, path, prefix=""):
        self.path, self.text, self.prefix = path, path.read_text(), prefix
        self.area, self.at, self.number = path.stem, 0, 1
        self.tokens, self.position = [], 0
        self.cuts, self.uses = [], []
        while self.at < len(self.text):
            found = TOKEN.match(self.text, self.at)
            if not found:
                raise Fault(f"{path}:{self.number}: a character that varlink does not have")
            if found.lastgroup != "space":
                self.tokens.append((found.lastgroup, found.group(), self.number, self.at))
            self.number += found.lastgroup == "line"
            self.at = found.end()
        self.tokens.append(("end", "", self.number, self.at))

    def fail(self, why):
        raise Fault(f"{self.path}:{self.tokens[self.position][2]}: {why}")

    def peek(self):
        """The next token that is neither a line's end nor a comment."""
        while self.tokens[self.position][0] in ("line", "comment"):
            self.position += 1
        return self.tokens[self.position][1]

    def take(self, wanted=None):
        text = self.peek()
        if wanted and text != wanted:
            self.fail(f"'{wanted}' expected in place of '{text}'")
        self.position += 1
        return text

    def accept(self, wanted):
        is_there = self.peek() == wanted
        self.position += is_there
        return is_there

    def name(self):
        text = self.take()
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text):
            self.fail(f"a name expected in place of '{text}'")
        return text

    def note(self, field):
        """A comment on the field's own line: what it says of views."""
        kind, text, _, at = self.tokens[self.position]
        if kind != "comment":
            return
        for part in text[1:].strip().split("; "):
            found = NOTE.fullmatch(part)
            if not found:
                self.fail(f"'{part}' is not VIEW: HEADING unit")
            field.notes.append((found.group(1), int(found.group(2) or 0), found.group(3)))
        self.cuts.append((at, at + len(text)))
        self.position += 1

    def fields(self, owner):
        """Behind the opening parenthesis: a struct, or the words of an enum."""
        fields = []
        if self.accept(")"):
            return Type("struct", owner, fields=fields)
        first = self.name()
        if self.peek() != ":":
            words = [first]
            while self.accept(","):
                words.append(self.name())
            self.take(")")
            return Type("enum", owner, fields=words)
        while True:
            self.take(":")
            kind, is_optional = self.type(f"{owner}_{first}")
            field = Field(first, kind, is_optional)
            fields.append(field)
            has_more = self.tokens[self.position][1] == ","
            self.position += has_more
            self.note(field)
            if not has_more and self.accept(")"):
                return Type("struct", owner, fields=fields)
            if not has_more:
                self.take(",")
            first = self.name()

    def type(self, owner):
        is_optional = self.accept("?")
        if self.accept("[]"):
            return Type("list", item=self.item(owner)), is_optional
        if self.accept("[string]"):
            return Type("map", item=self.item(owner)), is_optional
        if self.accept("("):
            return self.fields(owner), is_optional
        word = self.name()
        if word not in BASIC:
            self.uses.append(word)
        return Type(word if word in BASIC else "named", word), is_optional

    def item(self, owner):
        item, is_optional = self.type(owner)
        if is_optional or item.kind in ("list", "map"):
            self.fail("items are neither optional nor lists themselves")
        return item

    def about(self):
        """The comment that ends right above the next member, where self.begin is."""
        lines, blank = [], 0
        self.begin = None
        while self.tokens[self.position][0] in ("line", "comment"):
            kind, text, _, _ = self.tokens[self.position]
            blank = blank + 1 if kind == "line" else 0
            if blank > 1:
                lines, self.begin = [], None
            if kind == "comment":
                lines.append(text[1:].strip())
                self.begin = self.begin or self.tokens[self.position][3]
            self.position += 1
        self.begin = self.begin or self.tokens[self.position][3]
        return lines

    def members(self):
        self.heading = self.about()
        self.take("interface")
        self.interface = self.take()
        while True:
            about = self.about()
            if self.tokens[self.position][0] == "end":
                return
            begin, self.uses = self.begin, []
            member = self.member(about)
            member.interface, member.uses = self.interface, self.uses
            member.text = self.without_notes(begin, self.tokens[self.position - 1][3] + 1)
            if member.word == "error" or self.prefix or not self.is_foreign:
                yield member

    @property
    def is_foreign(self):
        return self.interface.startswith("org.varlink.")

    def member(self, about):
        word = self.take()
        if word not in ("type", "method", "error"):
            self.fail(f"type, method or error expected in place of '{word}'")
        member = Member(word, self.name(), self.area, about)
        base = self.prefix + snake(member.name)
        if word == "type":
            self.take("(")
            member.input = self.fields(base)
            return member
        self.take("(")
        member.input = self.fields(f"{base}_{'in' if word == 'method' else 'error'}")
        if word == "method":
            self.take("->")
            self.take("(")
            member.output = self.fields(f"{base}_out")
            role = ROLE.search(" ".join(about))
            if not role and not self.prefix and not self.is_foreign:
                self.fail(f"{member.name}: its comment names no role")
            member.role = role and role.group(1)
        return member

    def without_notes(self, begin, end):
        """The text of [begin, end) without what is said to this program alone."""
        text = ""
        for cut, behind in self.cuts:
            if begin <= cut < end:
                text += self.text[begin:cut].rstrip(" \t")
                begin = behind
        return text + self.text[begin:end]


def events_of(member):
    """The kinds of events that the comment of a type names."""
    found = EVENT.search(" ".join(member.about))
    return found.group(1).split(", ") if found else []


class Interfaces:
    def __init__(self, paths, prefix=""):
        readers = [Reader(path, prefix) for path in paths]
        self.members, self.structs, self.enums = [], [], []
        for reader in readers:
            self.members += reader.members()
        self.name = readers[0].interface
        self.types = {}
        for member in self.members:
            if member.name in self.types:
                raise Fault(f"{member.name} is there twice")
            self.types[member.name] = member.input
        self.named = {m.name: m.input for m in self.members if m.word == "type"}
        for member in self.members:
            for kind in filter(None, (member.input, member.output)):
                self.resolve(kind, member)
                self.place(kind, member, ())
        self.events = sorted(((kind, member) for member in self.members if member.word == "type"
                              for kind in events_of(member)), key=lambda row: row[0])
        for (kind, one), (other, two) in zip(self.events, self.events[1:]):
            if kind == other:
                raise Fault(f"event {kind} is of {one.name} and of {two.name}")
        self.errors = [member for member in self.members if member.word == "error"]
        if self.errors and not prefix:
            self.structs.append(self.failure())
        self.texts = {reader.interface: self.description(reader.interface, readers) for reader in readers}

    def description(self, name, readers):
        """The text of one interface: its areas, and the types of others that they use."""
        areas = [reader for reader in readers if reader.interface == name]
        if name.startswith("org.varlink."):
            return areas[0].text
        own = [member for member in self.members if member.interface == name]
        types = {member.name: member for member in self.members if member.word == "type"}
        used, wanted = {}, [word for member in own for word in member.uses]
        while wanted:
            member = types[wanted.pop()]
            if member.interface != name and member.name not in used:
                used[member.name] = member
                wanted += member.uses
        heading = areas[0].heading if name == self.name else \
            areas[0].heading[:1] + [line for area in areas for line in area.heading[1:]] + \
            [f"Names, roles and errors are as in {self.name}."]
        parts = ["\n".join(f"# {line}".rstrip() for line in heading) + f"\ninterface {name}"]
        parts += [member.text for member in own]
        if used:
            parts += ["# Types of other interfaces of this node."]
        return "\n\n".join(parts + [used[key].text for key in sorted(used)]) + "\n"

    def failure(self):
        """The struct of what any error says."""
        found = {}
        for error in self.errors:
            for field in error.input.fields:
                known = found.setdefault(field.name, Field(field.name, field.type, False))
                if known.type.kind != field.type.kind or known.type.name != field.type.name:
                    raise Fault(f"{error.name}: {field.name} is another type in another error")
                known.is_optional |= field.is_optional
        for field in found.values():
            field.is_optional |= not all(field.name in (one.name for one in error.input.fields)
                                         for error in self.errors)
        return Type("struct", "failure", fields=list(found.values()))

    def resolve(self, kind, member):
        if kind.kind == "enum":
            return
        for field in kind.fields:
            for holder, name in ((field, "type"), (field.type, "item")):
                inner = getattr(holder, name)
                if inner is None or inner.kind not in ("named", "struct"):
                    continue
                if inner.kind == "named":
                    if inner.name not in self.named:
                        raise Fault(f"{member.name}: there is no type {inner.name}")
                    setattr(holder, name, self.named[inner.name])
                else:
                    self.resolve(inner, member)

    def place(self, kind, member, above):
        """Puts kind behind what it holds, so that C may read it in this order."""
        if kind.kind in ("list", "map"):
            self.place(kind.item, member, above)
        elif kind.kind == "enum":
            if kind not in self.enums:
                self.enums.append(kind)
        elif kind.kind == "struct" and kind not in self.structs:
            if kind in above:
                raise Fault(f"{member.name} holds itself")
            for field in kind.fields:
                self.place(field.type, member, above + (kind,))
            self.structs.append(kind)
