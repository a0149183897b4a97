"""Label and field selectors with Kubernetes' grammar, checks and wording.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and .../field-selectors/
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from engine._object cimport Object, labels_of, value_in
from engine._views cimport MapView
from engine._path cimport Path

import re

cdef enum:
    MAX_PARSED = 512  # selectors kept by their text
    MAX_NAME = 63  # bytes of a label's name or value
    MAX_PREFIX = 253  # bytes of a label key's DNS prefix

cdef str NAME_FORMAT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
cdef str VALUE_FORMAT = f"({NAME_FORMAT})?"
cdef str LABEL_FORMAT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
cdef str SUBDOMAIN_FORMAT = f"{LABEL_FORMAT}(\\.{LABEL_FORMAT})*"
cdef str CHARACTERS = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. {}, "
    "regex used for validation is '{}')"
)
cdef str NAME_RULE = "must consist of " + CHARACTERS.format("'MyName',  or 'my.name',  or '123-abc'", NAME_FORMAT)
cdef str VALUE_RULE = "a valid label must be an empty string or consist of " + CHARACTERS.format(
    "'MyValue',  or 'my_value',  or '12345'", VALUE_FORMAT
)
cdef str SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN_FORMAT}')"
)
cdef str KEY_RULE = (
    f"a valid label key {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)

cdef object is_name = re.compile(NAME_FORMAT).fullmatch
cdef object is_value = re.compile(VALUE_FORMAT).fullmatch
cdef object is_subdomain = re.compile(SUBDOMAIN_FORMAT).fullmatch

cdef dict OPERATORS = {
    "in": IN, "=": IN, "==": IN, "notin": NOT_IN, "!=": NOT_IN, "exists": EXISTS, "!": ABSENT, "gt": GREATER,
    "lt": LESS,
}
cdef dict NORMAL = {"==": "=", ">": "gt", "<": "lt"}
cdef str BINARY = "in, notin, =, ==, !=, gt, lt"


# --- What a label may look like ---------------------------------------------------------------------------------------


cdef list key_faults(str key):
    cdef list faults = []
    cdef list parts = key.split("/")
    cdef str name = parts[len(parts) - 1]
    if len(parts) > 2:
        return [KEY_RULE]
    if len(parts) == 2:
        if not parts[0]:
            faults.append("prefix part must be non-empty")
        else:
            if len(parts[0].encode()) > MAX_PREFIX:
                faults.append(f"prefix part must be no more than {MAX_PREFIX} bytes")
            if not is_subdomain(parts[0]):
                faults.append("prefix part " + SUBDOMAIN_RULE)
    if not name:
        faults.append("name part must be non-empty")
    elif len(name.encode()) > MAX_NAME:
        faults.append(f"name part must be no more than {MAX_NAME} bytes")
    if not is_name(name):
        faults.append("name part " + NAME_RULE)
    return faults


cdef list value_faults(str value):
    cdef list faults = []
    if len(value.encode()) > MAX_NAME:
        faults.append(f"must be no more than {MAX_NAME} bytes")
    if not is_value(value):
        faults.append(VALUE_RULE)
    return faults


cdef str quoted(str text):
    """Double quotes, with escapes for what cannot be printed."""
    cdef list out = []
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character.isprintable():
            out.append(character)
        else:
            out.append({"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\x{ord(character):02x}"))
    return '"' + "".join(out) + '"'


cdef bint parse_integer(str text, long long *number) except -1:
    """A signed 64-bit decimal; false when it is none."""
    cdef str digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits.isdecimal():
        return False
    value = int(text) if len(digits) < 100 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        return False
    number[0] = value
    return True


# --- What a column is asked for ---------------------------------------------------------------------------------------


cdef bytes term_of(TermKind kind, bytes text):
    return bytes((<int>kind,)) + text


cdef bytes label_term(bytes key, bytes value):
    return bytes((<int>LABEL,)) + key + bytes((<int>BETWEEN,)) + value


# --- Label selectors --------------------------------------------------------------------------------------------------


@cython.final
cdef class Requirement:
    cdef bint holds(self, dict labels) except -1:
        cdef PyObject *found = PyDict_GetItemWithError(labels, self.key)
        cdef long long number = 0
        if self.operator == IN:
            return found != NULL and <object>found in self.values
        if self.operator == NOT_IN:
            return found == NULL or <object>found not in self.values
        if self.operator == EXISTS:
            return found != NULL
        if self.operator == ABSENT:
            return found == NULL
        if found == NULL or type(<object>found) is not str or not parse_integer(<str>found, &number):
            return False
        return number > self.number if self.operator == GREATER else number < self.number


cdef Requirement requirement(str key, str operator, tuple values):
    """Checked as the API checks it."""
    cdef Requirement made = Requirement.__new__(Requirement)
    cdef list faults = []
    cdef Py_ssize_t i
    if operator not in OPERATORS:
        raise ValueError(f'operator: Unsupported value: {quoted(operator)}: supported values: {BINARY}, exists, !')
    made.key = key
    made.values = values
    made.operator = OPERATORS[operator]
    problems = key_faults(key)
    if problems:
        faults.append(f"key: Invalid value: {quoted(key)}: {'; '.join(problems)}")
    shown = "[" + ",".join(map(quoted, values)) + "]"
    if operator in ("in", "notin") and not values:
        faults.append(f"values: Invalid value: {shown}: for 'in', 'notin' operators, values set can't be empty")
    elif operator in ("=", "==", "!=") and len(values) != 1:
        faults.append(f"values: Invalid value: {shown}: exact-match compatibility requires one single value")
    elif operator in ("exists", "!") and values:
        faults.append(f"values: Invalid value: {shown}: values set must be empty for exists and does not exist")
    elif operator in ("gt", "lt"):
        if len(values) != 1:
            faults.append(f"values: Invalid value: {shown}: for 'Gt', 'Lt' operators, exactly one value is required")
        for i, value in enumerate(values):
            if not parse_integer(value, &made.number):
                fault = "for 'Gt', 'Lt' operators, the value must be an integer"
                faults.append(f"values[{i}]: Invalid value: {quoted(value)}: {fault}")
    for i, value in enumerate(values):
        problems = value_faults(value)
        if problems:
            faults.append(f"values[{i}][{key}]: Invalid value: {quoted(value)}: {'; '.join(problems)}")
    if faults:
        faults = list(dict.fromkeys(faults))
        raise ValueError(faults[0] if len(faults) == 1 else "[" + ", ".join(faults) + "]")
    made.presence = term_of(HAS_LABEL, key.encode())
    made.alternatives = tuple([label_term(key.encode(), value.encode()) for value in dict.fromkeys(values)])
    return made


# A token is a symbol, a word, or the end. "in" and "notin" are words; where they are operators the parser knows.
cdef object tokens_of = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+|\Z)").match


cdef class _LabelParser:
    """Recursive descent over the tokens of one selector."""

    cdef list tokens
    cdef Py_ssize_t at

    def __cinit__(self, str text):
        cdef Py_ssize_t position = 0
        self.tokens = []
        while True:
            match = tokens_of(text, position)
            self.tokens.append(match[1])
            if not match[1]:
                break
            position = match.end()

    cdef str look(self):
        return <str>(<object>self.tokens)[self.at]

    cdef str take(self):
        token = self.look()
        if token:  # the end is never passed
            self.at += 1
        return token

    cdef list selector(self):
        cdef list found = []
        while True:
            token = self.look()
            if not token:
                return found
            if token != "!" and is_symbol(token):
                raise ValueError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            token = self.take()
            if not token:
                return found
            if token != ",":
                raise ValueError(f"found '{token}', expected: ',' or 'end of string'")
            token = self.look()
            if not token or (token != "!" and is_symbol(token)):
                raise ValueError(f"found '{token}', expected: identifier after ','")

    cdef tuple requirement(self):
        key = self.take()
        absent = key == "!"
        if absent:
            key = self.take()
        if not key or is_symbol(key):
            raise ValueError(f"found '{key}', expected: identifier")
        problems = key_faults(key)
        if problems:
            raise ValueError(f"<nil>: Invalid value: {quoted(key)}: {'; '.join(problems)}")
        if absent:
            return (key, "!", ())
        if self.look() in ("", ","):
            return (key, "exists", ())
        operator = self.take()
        if operator in ("in", "notin"):
            values = self.values()
        elif operator in ("=", "==", "!=", ">", "<"):
            values = (self.value(),)
        else:
            raise ValueError(f"found '{operator}', expected: {BINARY}")
        operator = NORMAL.get(operator, operator)
        requirement(key, operator, values)
        return (key, operator, values)

    cdef str value(self):
        if self.look() in ("", ","):
            return ""
        token = self.take()
        if is_symbol(token):
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    cdef tuple values(self):
        cdef set found = set()
        token = self.take()
        if token != "(":
            raise ValueError(f"found '{token}' expected: '('")
        token = self.look()
        if token == ")":
            self.take()
            return ("",)
        if token != "," and (not token or is_symbol(token)):
            raise ValueError(f"found '{token}', expected: ',', ')' or identifier")
        while True:
            token = self.take()
            if token == ",":
                # Nothing between two commas, or between a comma and a bracket, is the empty value.
                if not found or self.look() in (",", ")"):
                    found.add("")
            elif not token or is_symbol(token):
                raise ValueError(f"found '{token}', expected: ',', or identifier")
            else:
                found.add(token)
                if self.look() not in (",", ")"):
                    raise ValueError(f"found '{self.look()}', expected: ',' or ')'")
            if self.look() == ")":
                self.take()
                return tuple(sorted(found))


cdef inline bint is_symbol(str token):
    return token in ("==", "!=", "=", "!", "(", ")", ",", "<", ">")


@cython.final
cdef class LabelSelector:
    """A parsed label selector, with Kubernetes' whole grammar."""

    def __init__(self):
        raise TypeError("use LabelSelector.parse or LabelSelector.of")

    @staticmethod
    def parse(str text not None):
        return label_selector(_LabelParser(text).selector())

    @staticmethod
    def of(tuple requirements not None):
        return label_selector([(key, NORMAL.get(operator, operator), tuple(values))
                               for key, operator, values in requirements])

    cdef bint selects(self, Object obj) except -1:
        return not self.terms or holds_all(self.terms, labels_of(obj))

    def matches(self, labels):
        if type(labels) is MapView:
            labels = (<MapView>labels).data
        elif type(labels) is not dict:
            labels = dict(labels)
        return holds_all(self.terms, <dict>labels)

    def __str__(self):
        return ",".join([requirement_text(key, operator, values) for key, operator, values in self.requirements])

    def __repr__(self):
        return f"LabelSelector.parse({str(self)!r})"

    def __eq__(self, other):
        if not isinstance(other, LabelSelector):
            return NotImplemented
        return self.requirements == (<LabelSelector>other).requirements

    def __hash__(self):
        return hash(self.requirements)


cdef bint holds_all(list terms, dict labels) except -1:
    for term in terms:
        if not (<Requirement>term).holds(labels):
            return False
    return True


cdef LabelSelector label_selector(list requirements):
    cdef LabelSelector made = LabelSelector.__new__(LabelSelector)
    requirements.sort(key=lambda item: item[0])
    made.requirements = tuple(requirements)
    made.terms = [requirement(key, operator, values) for key, operator, values in requirements]
    return made


cdef str requirement_text(str key, str operator, tuple values):
    if operator == "exists":
        return key
    if operator == "!":
        return "!" + key
    if operator in ("in", "notin"):
        return f"{key} {operator} ({','.join(sorted(values))})"
    return f"{key}{ {'gt': '>', 'lt': '<'}.get(operator, operator) }{values[0]}"


# --- Field selectors --------------------------------------------------------------------------------------------------

cdef object split_terms = re.compile(r"((?:[^,\\]|\\.|\\\Z)*)(?:,|\Z)", re.DOTALL).finditer
cdef object split_term = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL).fullmatch


cdef str unescaped(str text):
    cdef list out = []
    cdef bint escape = False
    for character in text:
        if escape:
            if character not in "\\,=":
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{character}")
            out.append(character)
            escape = False
        elif character == "\\":
            escape = True
        elif character in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            out.append(character)
    if escape:
        raise ValueError("invalid field selector: invalid escape sequence: \\")
    return "".join(out)


cdef str text_of_field(object value):
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value) if isinstance(value, (int, float)) else ""


def field_text(value):
    return text_of_field(value)


@cython.final
cdef class Term:
    pass


@cython.final
cdef class FieldSelector:
    """A parsed field selector: metadata.name=x,status.phase!=Running."""

    def __init__(self):
        raise TypeError("use FieldSelector.parse")

    @staticmethod
    def parse(str text not None):
        cdef FieldSelector made = FieldSelector.__new__(FieldSelector)
        cdef list requirements = []
        for part in [match[1] for match in split_terms(text)]:
            if not part:
                continue
            term = split_term(part)
            if term is None:
                raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
            requirements.append((term[1], "!=" if term[2] == "!=" else "=", unescaped(term[3])))
        made.requirements = tuple(sorted(set(requirements)))
        made.terms = [field_term(path, operator, value) for path, operator, value in made.requirements]
        return made

    cdef bint selects(self, Object obj) except -1:
        cdef Term term
        for item in self.terms:
            term = <Term>item
            if (text_of_field(value_in(obj, term.path)) == term.value) != term.equal:
                return False
        return True

    def matches(self, Object obj not None):
        return self.selects(obj)

    def __str__(self):
        return ",".join([f"{path}{operator}{escaped(value)}" for path, operator, value in self.requirements])

    def __repr__(self):
        return f"FieldSelector.parse({str(self)!r})"

    def __eq__(self, other):
        if not isinstance(other, FieldSelector):
            return NotImplemented
        return self.requirements == (<FieldSelector>other).requirements

    def __hash__(self):
        return hash(self.requirements)


cdef Term field_term(str path, str operator, str value):
    cdef Term term = Term.__new__(Term)
    try:
        term.path = Path(path)
    except ValueError:
        raise ValueError(f"field label not supported: {path}") from None
    term.equal = operator == "="
    term.value = value
    return term


cdef str escaped(str value):
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


# --- Either form ------------------------------------------------------------------------------------------------------

cdef dict LABEL_SELECTORS = {}
cdef dict FIELD_SELECTORS = {}


cdef object parsed_once(dict known, object parse, str text):
    found = known.get(text)
    if found is None:
        found = parse(text)
        if len(known) >= MAX_PARSED:
            known.clear()
        known[text] = found
    return found


cdef LabelSelector label_selector_of(object selector):
    """None for one that selects everything."""
    if selector is None or type(selector) is LabelSelector:
        return <LabelSelector>selector if selector is not None and (<LabelSelector>selector).terms else None
    selector = parsed_once(LABEL_SELECTORS, LabelSelector.parse, selector)
    return <LabelSelector>selector if (<LabelSelector>selector).terms else None


cdef FieldSelector field_selector_of(object selector):
    """None for one that selects everything."""
    if selector is None or type(selector) is FieldSelector:
        return <FieldSelector>selector if selector is not None and (<FieldSelector>selector).terms else None
    selector = parsed_once(FIELD_SELECTORS, FieldSelector.parse, selector)
    return <FieldSelector>selector if (<FieldSelector>selector).terms else None


def as_label_selector(selector):
    return label_selector_of(selector)


def as_field_selector(selector):
    return field_selector_of(selector)
