# SPDX-License-Identifier: Apache-2.0
"""sites finds the places of a C file where tools/mutate can change it.

The text is cut into tokens and functions into statements; nothing is compiled.
A slot is an expression or statement that can be chosen at run time: mutants of
one slot become one chain of WEFT_MUTANT(id) ? changed : original. What that
breaks (a size, a constant initialiser) the compiler refuses, and tools/mutate
leaves such mutants out. At the begin of each function stands a mark, WEFT_ENTERED(id).
"""
import bisect
import collections
import re

Token = collections.namedtuple("Token", "kind text start end line")
# kind: "value" is an expression with a value, "statement" has none; edit is [start, end) -> text.
Slot = collections.namedtuple("Slot", "kind start end line")
Mutant = collections.namedtuple("Mutant", "file line slot start end text what")

LEX = re.compile(r"""
    (?P<skip>\s+|/\*.*?\*/|//[^\n]*)
  | (?P<directive>(?m:^)[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
  | (?P<string>L?"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<number>\.?[0-9](?:[eEpP][+-]|[\w.])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL)
OPENS, CLOSES = "([{", ")]}"
TYPE_WORDS = {"struct", "union", "enum", "const", "static", "unsigned", "signed", "int", "char", "bool",
              "long", "short", "void", "float", "double", "volatile", "extern", "register", "_Atomic"}
KEYWORDS = {"return", "sizeof", "case", "else", "goto", "do", "_Alignof", "__alignof__"}
# Their arguments are types, constants or beliefs.
UNTOUCHED_CALLS = {"sizeof", "offsetof", "_Alignof", "_Static_assert", "__builtin_offsetof", "_Generic", "__asm__",
                   "weft_assert", "weft_assert_hot", "va_arg", "WEFT_CONTAINER_OF"}
# Whole statements without a claim that a test could hold.
UNTOUCHED_STATEMENTS = re.compile(r"weft_assert|log_\w+$|weft_log\w*$|va_(start|end|copy)$")

SWAPS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
         "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("*",), "<<": (">>",), ">>": ("<<",),
         "&": ("|",), "|": ("&",), "^": ("&",), "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",),
         "++": ("--",), "--": ("++",), "&&": ("||",), "||": ("&&",), "!": ("!!",)}
EITHER = {"+", "-", "*", "&"}	# with one operand or two; only the latter is changed


def tokens_of(text):
    line_starts = [0] + [m.end() for m in re.finditer("\n", text)]
    tokens = []
    for found in LEX.finditer(text):
        if found.lastgroup not in ("skip", "directive"):
            tokens.append(Token(found.lastgroup, found.group(), found.start(), found.end(),
                                bisect.bisect(line_starts, found.start())))
    return tokens


class Unbalanced(Exception):
    pass


class File:
    def __init__(self, path, text):
        self.path, self.text = path, text
        self.tokens = tokens_of(text)
        self.match = {}
        self.mutants = []
        self.functions = []	# where the body of each begins
        self.is_bool = False

    # close returns the index of what closes the bracket at i.
    def close(self, i):
        return self.match[i]

    def find_mutants(self):
        try:
            self.match_brackets()
            self.walk_file()
        except (Unbalanced, KeyError, IndexError):
            pass	# a directive cuts a bracket in two; what was found so far stays
        return self.mutants

    def match_brackets(self):
        stack = []
        for i, token in enumerate(self.tokens):
            if token.kind == "op" and token.text in OPENS:
                stack.append(i)
            elif token.kind == "op" and token.text in CLOSES:
                if not stack or OPENS.index(self.tokens[stack[-1]].text) != CLOSES.index(token.text):
                    raise Unbalanced
                self.match[stack[-1]] = i
                self.match[i] = stack.pop()

    def walk_file(self):
        i = begin = 0
        while i < len(self.tokens):
            text = self.tokens[i].text
            if text == "{":
                if i and self.tokens[i - 1].text == ")":
                    before = [t.text for t in self.tokens[begin:self.close(i - 1)]]
                    self.is_bool = "bool" in before and "*" not in before
                    if "=" not in before:
                        self.functions.append(self.tokens[i].end)
                    self.walk_block(i)
                i = self.close(i)
            elif text in "([":
                i = self.close(i)
            if self.tokens[i].text in ("}", ";"):
                begin = i + 1
            i += 1

    def walk_block(self, i):
        end = self.close(i)
        i += 1
        while i < end:
            i = self.walk_statement(i)

    # upto returns the index of the first such token at this depth.
    def upto(self, i, wanted):
        while self.tokens[i].text not in wanted:
            i = self.close(i) if self.tokens[i].text in OPENS else i
            i += 1
        return i

    def walk_statement(self, i):
        text, after = self.tokens[i].text, self.tokens[i + 1].text
        if text == "{":
            self.walk_block(i)
            return self.close(i) + 1
        if text == ";":
            return i + 1
        if text in ("if", "while", "switch"):
            end = self.close(i + 1)
            self.slot("value", i + 2, end, negated=text != "switch")
            if text == "while" and self.tokens[end + 1].text == ";":
                return end + 2
            return self.walk_statement(end + 1)
        if text in ("else", "do"):
            return self.walk_statement(i + 1)
        if text == "for":
            return self.walk_for(i)
        if text == "case":
            return self.upto(i, ":") + 1
        if after == ":" and self.tokens[i].kind == "name":
            return i + 2
        end = self.upto(i, ";")
        if text == "return":
            self.slot("value", i + 1, end, returned=True)
        elif text in ("break", "continue"):
            self.add(Slot("statement", self.tokens[i].start, self.tokens[end].end, self.tokens[i].line), i, end + 1,
                     "", "statement removed")
        elif text in ("goto", "_Static_assert", "__asm__", "typedef"):
            pass
        elif self.is_declaration(i):
            self.walk_declaration(i, end)
        elif after == "(" and self.tokens[self.close(i + 1) + 1].text == "{":
            return self.walk_statement(self.close(i + 1) + 1)	# a macro that loops
        elif not UNTOUCHED_STATEMENTS.match(text):
            self.slot("statement", i, end)
        return end + 1

    def walk_for(self, i):
        end = self.close(i + 1)
        first = self.upto(i + 2, ";")
        second = self.upto(first + 1, ";")
        if first > i + 2 and self.is_declaration(i + 2):
            self.walk_declaration(i + 2, first)
        else:
            self.slot("value", i + 2, first)
        self.slot("value", first + 1, second)
        self.slot("value", second + 1, end)
        return self.walk_statement(end + 1)

    def is_declaration(self, i):
        token, after = self.tokens[i], self.tokens[i + 1]
        if token.kind != "name":
            return False
        return token.text in TYPE_WORDS or token.text.startswith("__attribute") or after.kind == "name" or (
            after.text == "*" and self.tokens[i + 2].text not in ("(",))

    def walk_declaration(self, i, end):
        if self.tokens[i].text in ("static", "extern"):
            return
        while i < end:
            i = self.upto(i, ("=", ",", ";"))
            if self.tokens[i].text == "=":
                stop = self.upto(i + 1, (",", ";"))
                self.initialiser(i + 1, stop)
                i = stop
            i += 1

    # initialiser: { .field = value, ... } has a slot for each field.
    def initialiser(self, i, end):
        if self.tokens[i].text != "{":
            self.slot("value", i, end)
            return
        inner_end = self.close(i)
        i += 1
        while i < inner_end:
            stop = i
            while stop < inner_end and self.tokens[stop].text != ",":
                stop = (self.close(stop) if self.tokens[stop].text in OPENS else stop) + 1
            if self.tokens[i].text == "." and self.tokens[i + 2].text == "=":
                self.initialiser(i + 3, stop)
            i = stop + 1

    def add(self, slot, i, end, text, what):
        if "\n#" not in self.text[slot.start:slot.end]:
            self.mutants.append(Mutant(self.path, self.tokens[i].line, slot, self.tokens[i].start,
                                       self.tokens[end - 1].end, text, what))

    # slot adds the mutants of the tokens [i, end).
    def slot(self, kind, i, end, negated=False, returned=False):
        if i >= end:
            return
        whole = self.text[self.tokens[i].start:self.tokens[end - 1].end]
        last = end if kind == "statement" else end - 1	# with its semicolon
        slot = Slot(kind, self.tokens[i].start, self.tokens[last].end, self.tokens[i].line)
        is_literal = end == i + 1 and self.tokens[i].kind != "name" or whole in ("true", "false", "NULL")
        if kind == "statement" and not (whole.startswith("(void)") and end == i + 4):
            self.add(slot, i, end + 1, "", "statement removed")
        if negated:
            self.add(slot, i, end, f"!({whole})", "condition negated")
        if returned and not is_literal:
            if self.is_bool:
                self.add(slot, i, end, f"!({whole})", "result negated")
            else:
                self.add(slot, i, end, "0", "returns 0")
        j = i
        while j < end:
            token = self.tokens[j]
            if token.text in UNTOUCHED_CALLS and j + 1 < end and self.tokens[j + 1].text == "(":
                j = self.close(j + 1)
            else:
                for text in self.changes(j):
                    self.add(slot, j, j + 1, text, f"{token.text} became {text}")
            j += 1

    def changes(self, j):
        token, before, after = self.tokens[j], self.tokens[j - 1], self.tokens[j + 1]
        if token.kind == "number":
            if before.text == "{" and after.text == "}" or not re.fullmatch(r"(0[xX][\da-fA-F]+|\d+)[uUlL]*", token.text):
                return ()
            is_zero = int(token.text.rstrip("uUlL"), 0 if token.text[:2].lower() == "0x" else 10) == 0
            return (f"({token.text} + 1)",) if is_zero else (f"({token.text} + 1)", f"({token.text} - 1)")
        if token.text in ("true", "false"):
            return ("false" if token.text == "true" else "true",)
        if token.kind != "op" or token.text not in SWAPS:
            return ()
        if token.text in EITHER and not self.is_between_operands(j):
            return ()
        return SWAPS[token.text]

    def is_between_operands(self, j):
        before, after = self.tokens[j - 1], self.tokens[j + 1]
        if after.text in (")", ",", "*") or before.text in KEYWORDS:
            return False
        if before.text == ")" and self.is_type(self.close(j - 1) + 1):
            return False
        return before.kind in ("name", "number", "string") or before.text in (")", "]")

    # is_type says whether a parenthesis that begins with the token at i is a cast.
    def is_type(self, i):
        text = self.tokens[i].text
        return text in TYPE_WORDS or re.fullmatch(r"\w+_t|__(be|le|u|s)\d+", text) is not None


def places_of(path, text):
    """Returns the mutants of a file and where the body of each of its functions begins, in order."""
    file = File(path, text)
    return file.find_mutants(), file.functions


def function_of(mutant, functions):
    """Returns which of functions, a list of places_of, contains mutant."""
    return bisect.bisect(functions, mutant.slot.start) - 1


def changed_slot(whole, slot, mutants):
    variants = [(number, whole[:m.start - slot.start] + m.text + whole[m.end - slot.start:]) for number, m in mutants]
    if slot.kind == "value":
        return "(" + "".join(f"WEFT_MUTANT({n}) ? ({v}) : " for n, v in variants) + f"({whole}))"
    return "{ " + "".join(f"if (WEFT_MUTANT({n})) {{ {v} }} else " for n, v in variants) + f"{{ {whole} }} }}"


def changed(text, mutants, marks):
    """Returns text with mutants, {id: Mutant}, behind their switches, and marks, {place: id}."""
    slots = collections.defaultdict(list)
    for number, mutant in sorted(mutants.items()):
        slots[mutant.slot].append((number, mutant))
    edits = [(s.start, s.end, changed_slot(text[s.start:s.end], s, slots[s])) for s in slots]
    edits += [(place, place, f" WEFT_ENTERED({number});") for place, number in marks.items()]
    # They do not overlap; from the last to the first, positions stay true.
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text
