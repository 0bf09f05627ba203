"""Which changes of a JSON Schema break somebody, by the rules of docs/compatibility.md.

Covers the keywords that our contracts use; another one is itself a finding, until it has a rule.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
NOTES = {"$schema", "$id", "$defs", "title", "description", "examples", "default"}
LOWEST, HIGHEST = {"minimum", "minLength"}, {"maximum", "maxLength"}
EXACT = {"format", "pattern", "if", "then", "else", "not"}
NESTED = {"items", "propertyNames"}
RULED = {"type", "const", "enum", "required", "properties", "additionalProperties", "$ref"}
BRANCHES = {"oneOf", "anyOf"}
KNOWN = NOTES | LOWEST | HIGHEST | EXACT | NESTED | RULED | BRANCHES
ANY = {"string", "number", "integer", "boolean", "null", "object", "array"}


def breaks(old: Schema, new: Schema, *, published: bool, open_sets: frozenset[str]) -> list[str]:
    """What is wrong with `new` in place of `old`; nothing where it may take its place.

    published: Driftline writes these events, so whatever `new` allows, `old` must have allowed;
    else it reads them, and whatever `old` allowed, `new` must. In neither may a property go.
    open_sets: properties whose enum may grow, although published.
    """
    wide, narrow = (old, new) if published else (new, old)
    rules = Rules(wide, narrow, open_sets)
    return [*lost(old, new, old, new, ""), *rules.check(wide, narrow, "")]


def lost(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    """Properties that were named and are no longer, or were not required and are."""
    old, new = resolved(old, old_root), resolved(new, new_root)
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}/{name}: records of before have it not"
    for name, schema in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}/{name}: the property is gone"
        else:
            inner = new["properties"][name]
            yield from lost(schema, inner, old_root, new_root, f"{path}/{name}")
    if "items" in old and "items" in new:
        yield from lost(old["items"], new["items"], old_root, new_root, f"{path}[]")


def resolved(schema: Schema, root: Schema) -> Schema:
    """The schema itself, or the definition that it refers to."""
    if "$ref" not in schema:
        return schema
    found: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return found


class Rules:
    """Whether all that one schema allows is allowed by another one."""

    def __init__(self, wide: Schema, narrow: Schema, open_sets: frozenset[str]) -> None:
        self.wide, self.narrow, self.open_sets = wide, narrow, open_sets

    def check(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        """What `narrow` may allow that `wide` does not."""
        wide, narrow = resolved(wide, self.wide), resolved(narrow, self.narrow)
        for keyword in sorted((set(wide) | set(narrow)) - KNOWN):
            yield f"{path}: no rule for {keyword}"
        if not types(narrow) <= types(wide):
            yield f"{path}: type {sorted(types(narrow))} in place of {sorted(types(wide))}"
        yield from self._values(wide, narrow, path)
        yield from _bounds(wide, narrow, path)
        yield from self._inner(wide, narrow, path)
        yield from self._branches(wide, narrow, path)

    def _values(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        allowed, found = values(wide), values(narrow)
        if allowed is not None and path.rpartition("/")[2] not in self.open_sets:
            if found is None:
                yield f"{path}: any value in place of {sorted(allowed)}"
            elif not found <= allowed:
                yield f"{path}: {sorted(found - allowed)} is not in {sorted(allowed)}"
        needed = set(wide.get("required", ())) - set(narrow.get("required", ()))
        yield from (f"{path}/{name}: is required by one side alone" for name in sorted(needed))

    def _inner(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        known = narrow.get("properties", {})
        for name, schema in wide.get("properties", {}).items():
            if name in known:  # one that is new in an input nobody used before: that is the rule
                yield from self.check(schema, known[name], f"{path}/{name}")
        for keyword in NESTED:
            if keyword in wide:
                yield from self.check(wide[keyword], narrow.get(keyword, {}), f"{path}/{keyword}")
        others = wide.get("additionalProperties", True)
        if others is False and narrow.get("additionalProperties", True) is not False:
            yield f"{path}: unknown properties are refused by one side alone"
        elif isinstance(others, dict):
            found = narrow.get("additionalProperties", {})
            yield from self.check(others, found if isinstance(found, dict) else {}, f"{path}/*")

    def _branches(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        for keyword in BRANCHES & set(wide):
            offered: list[Schema] = wide[keyword]
            for number, branch in enumerate(narrow.get(keyword, [narrow])):
                if not any(not list(self.check(one, branch, path)) for one in offered):
                    yield f"{path}/{keyword}/{number}: fits no branch of the other side"


def _bounds(wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
    for keyword in LOWEST & set(wide):
        if narrow.get(keyword, float("-inf")) < wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} below {wide[keyword]}"
    for keyword in HIGHEST & set(wide):
        if narrow.get(keyword, float("inf")) > wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} above {wide[keyword]}"
    for keyword in EXACT & set(wide):
        if narrow.get(keyword) != wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)!r} in place of {wide[keyword]!r}"


def types(schema: Schema) -> set[str]:
    """The JSON types that a schema allows; each number may be whole."""
    kind = schema.get("type", sorted(ANY))
    found = {kind} if isinstance(kind, str) else set(kind)
    return found | {"integer"} if "number" in found else found


def values(schema: Schema) -> set[Any] | None:
    """The values that a schema lists, None where it lists none."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None
