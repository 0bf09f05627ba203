"""Documents that are no JSON, of every kind that we know of, made by rule.

Each is a value gone wrong: on its own it is no JSON text, and neither is a text that has it where
a value should stand.
"""

from collections.abc import Iterator

PLAIN = '{"a":[1,-2.5e+3,true,null,"x\\u00e9\\n\\"y"],"b":{"c":false,"d":[]},"é":0}'
LITERALS = ("true", "false", "null")
ESCAPES = '"\\/bfnrtu'
DEEP = 50_000


def _cut() -> Iterator[str | bytes]:
    """A document that ends too early, after each of its bytes."""
    whole = PLAIN.encode()
    yield from (whole[:length] for length in range(1, len(whole)))
    yield from (f"{text}"[:-1] for text in ('"abc"', '""', '"a\\""', '"a\\\\"', "[[]]", '{"a":{}}'))


def _literals() -> Iterator[str | bytes]:
    """Words that are not true, false or null."""
    for word in LITERALS:
        yield from (word[:length] for length in range(1, len(word)))
        yield from (word.upper(), word.capitalize(), word[::-1], f"{word}x", f"{word}{word}")
        yield from (
            f"{word}1",
            f'{word}""',
            f"{word[:2]} {word[2:]}",
            f"-{word}",
            f"{word[0]}{word}",
        )
    yield from (
        "None",
        "nil",
        "undefined",
        "yes",
        "no",
        "on",
        "off",
        "NA",
        "N/A",
        "nul",
        "x",
        "_",
        "@",
    )


def _no_numbers() -> Iterator[str | bytes]:
    """What other languages call a number, and what nobody does."""
    for word in ("NaN", "nan", "Infinity", "inf", "Inf", "INF", "infinity"):
        yield from (word, f"-{word}", f"+{word}")
    yield from ("1.#INF", "1.#QNAN", "∞", "-∞")


def _numbers() -> Iterator[str | bytes]:
    """Numbers that nearly are."""
    for digits in ("1", "0", "12"):
        yield from (f"{sign}{digits}" for sign in ("+", "--", "-+", "+-", "- ", "−", "±"))
        yield from (f"{digits}{end}" for end in (".", ".e1", ".E+1", "e", "E", "e+", "e-", "e+-1"))
        yield from (
            f"{digits}{end}" for end in ("..1", ".1.1", "e1.5", "e1e1", "ee1", "e 1", " e1", ". 5")
        )
        yield from (
            f"{digits}{end}" for end in ("f", "L", "n", "m", "j", "%", "€", "/2", "*2", "_0", "'0")
        )
        yield from (
            f"0{digits}",
            f"-0{digits}",
            f"00{digits}",
            f"0{digits}.5",
            f".{digits}",
            f"-.{digits}",
        )
    yield from (
        "0x1F",
        "0X1f",
        "-0x1",
        "0x",
        "0b101",
        "0o17",
        "-",
        "+",
        ".",
        "-.",
        "e1",
        "-e1",
        ".e1",
    )
    yield from (
        "１",
        "٣",
        "1٣",
        "1.٣",
        "1e٣",
        "½",
        "1e１",
        "1,5",
        "1 000",
        "1;0",
        "1:0",
        "1-1",
        "1+1",
    )


def _strings() -> Iterator[str | bytes]:
    """Strings with quotes of other languages, or too few, or too many."""
    yield from (
        "'a'",
        "'a\"",
        "\"a'",
        "`a`",
        "“a”",
        "«a»",
        "''",
        "'",
        '"',
        '"""',
        '"a"b"',
        '"a""b"',
    )
    yield from (
        'a"',
        'a"b"',
        '"a" "b"',
        '"a"+"b"',
        'u"a"',
        'b"a"',
        'r"a"',
        '"""a"""',
        "&quot;a&quot;",
    )
    yield from ('\\"a"', '"a\\"', '"\\', '"\\\\\\"', '"a\n', '"a"\\', "\\u0022a\\u0022")


def _escapes() -> Iterator[str | bytes]:
    """A backslash before what it may not stand before."""
    wrong = [chr(c) for c in range(0x20, 0x7F) if chr(c) not in ESCAPES]
    yield from (f'"\\{c}"' for c in [*wrong, "é", "☂", "\u00a0"])
    yield from (
        f'"\\u{digits}"' for digits in ("", "0", "00", "00e", "00g9", "g000", "-0e9", "+0e9")
    )
    yield from (
        f'"\\u{digits}"'
        for digits in ("{e9}", " 0e9", "0 e9", "0x9a", "00e\\u00e9", "٣٣٣٣", "１２３４")
    )
    yield from ('"\\U000000e9"', '"\\x41"', '"\\012"', '"\\\n"', '"\\\r\n"', '"\\\0"', '"\\\\\\"')


def _surrogates() -> Iterator[str | bytes]:
    """Halves of surrogate pairs, which are no characters."""
    for high in ("\\ud800", "\\uDBFF"):
        for low in ("\\udc00", "\\uDFFF"):
            yield f'"{low}{high}"'
            yield f'"{low}"'
            yield f'"a{low}b"'
            yield f'"{high}{low}{low}"'
        yield from (
            f'"{high}{after}"' for after in ("", "a", " ", "\\n", "\\u0041", "\\\\", "é", "\\ue000")
        )
        yield from (f'"{high}{high}"', f'"a{high}"', f'"{high}\\ud7ff"', f'{{"{high}":1}}')


def _control() -> Iterator[str | bytes]:
    """Control characters, which a string may hold only as escapes, and white space elsewhere."""
    yield from (f'"a{chr(c)}b"' for c in range(0x20))
    yield from (f"[{chr(c)}1]" for c in range(0x20) if chr(c) not in "\t\n\r")
    yield from (
        f"{{{c}}}"
        for c in ("\x7f", "\x85", "\u00a0", "\u2028", "\u2029", "\u3000", "\u2060", "\u200b")
    )
    yield from (f'{{"a"{c}:1}}' for c in ("\0", "\f", "\v", "\u00a0", "\u2028"))


def _lists() -> Iterator[str | bytes]:
    """Lists with too many or too few of their signs."""
    for one in ("1", '"a"', "null", "[]", "{}"):
        yield from (
            f"[{one}",
            f"{one}]",
            f"[,{one}]",
            f"[{one},]",
            f"[{one},,{one}]",
            f"[{one} {one}]",
        )
        yield from (f"[{one}}}", f"({one})", f"<{one}>", f"[{one}]]", f"[[{one}]", f"[{one};{one}]")
        yield from (f"[{one}:{one}]", f"[{one},", f"[{one},\n", f"[{one},{one}", f"{one},{one}")
    yield from (
        "[",
        "]",
        "[,]",
        "[,,]",
        "[-]",
        "[...]",
        "[*]",
        "][",
        "[1,*]",
        "[a]",
        '["":1]',
        "[1..3]",
    )


def _objects() -> Iterator[str | bytes]:
    """Objects with too many or too few of their signs, and keys that are none."""
    for one in ("1", '"a"', "null", "[]", "{}"):
        yield from (
            f'{{"a"{sign}{one}}}' for sign in ("", " ", "::", "=", "=>", ",", ";", ":,", ":::")
        )
        yield from (
            f'{{"a":{one}{end}' for end in ("", ",", "]", ",}", ",,}", ";}", "}}", ":1}", ' "b":1}')
        )
        yield from (
            f'{{,"a":{one}}}',
            f'{{"a":{one},,"b":1}}',
            f'{{"a":{one};"b":1}}',
            f'"a":{one}',
        )
        yield from (f"{{{one}}}", f'{{"a":{one},"b"}}', f'{{"a":{one},"b":}}', f'{{"a":{one},1}}')
    keys = (
        "a",
        "'a'",
        "1",
        "-1",
        "null",
        "true",
        "[1]",
        "{}",
        "",
        "“a”",
        "a-b",
        '"a',
        'a"',
        "`a`",
        "/a/",
    )
    yield from (f"{{{key}:1}}" for key in keys)
    yield from (
        "{",
        "}",
        "{,}",
        "{:}",
        '{"a"}',
        '{"a":}',
        "}{",
        '{{"a":1}}',
        '{"a"}:1',
        '{"a":1"b":2}',
    )


def _comments() -> Iterator[str | bytes]:
    """Comments, which JSON has not."""
    for comment in (
        "/* c */",
        "// c\n",
        "# c\n",
        "<!-- c -->",
        "; c\n",
        "-- c\n",
        "% c\n",
        "/**/",
        "//",
        "#",
    ):
        yield from (
            f"{comment}1",
            f"1{comment}",
            f"[1,{comment}2]",
            f'{{"a":{comment}1}}',
            f"[{comment}]",
        )
    yield from ("/", "/*", "*/", "1 /", "1/*", "1 /* c", "/* c */")


def _garbage() -> Iterator[str | bytes]:
    """A document, and something after or before it."""
    ends = (
        "x",
        ",",
        ":",
        ";",
        "]",
        "}",
        '"',
        "1 1",
        "\\",
        "null",
        "{}",
        "[]",
        "\0",
        "\x01",
        "é",
        "☂",
        "&",
        "=",
    )
    for end in ends:
        yield from (f"{{}}{end}", f"[] {end}", f'"a"{end}', f"null{end}", f"{{}}\n{end}")
    yield from (
        "\\n{}",
        ")]}',\n{}",
        "while(1);{}",
        "var a = {};",
        "a({})",
        "<a/>",
        "---\na: 1",
        "a=1&b=2",
    )
    yield from (
        "%7B%7D",
        "&#123;&#125;",
        "\\{}",
        "{}EOF",
        "data: {}",
        "HTTP/1.1 200 OK",
        "\x1e{}",
        "\x1b[0m{}",
    )


def _marks() -> Iterator[str | bytes]:
    """Byte order marks."""
    yield from (f"\ufeff{one}" for one in ("", "{}", "[]", '"a"', "1", "\ufeff{}"))
    yield from ("[\ufeff]", "{\ufeff}", "{}\ufeff", '{"a"\ufeff:1}', "\ufffe{}")


def _encodings() -> Iterator[bytes]:
    """Text that is no UTF-8."""
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1", "cp1252"):
        yield '{"ä":"Ü€"}'.replace("€", "" if name == "latin-1" else "€").encode(name)
    yield '{"é":1}'.encode("cp437")
    for wrong in BAD_UTF8:
        yield from (b'"' + wrong + b'"', b'{"' + wrong + b'":1}', b'["a' + wrong + b'b"]', wrong)


BAD_UTF8 = (
    *(b"\x80", b"\xbf", b"\xfe", b"\xff", b"\xfe\xff", b"\xff\xfe"),  # never first, or never
    *(b"\xc0\xaf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf"),  # too long
    *(b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xc0\xa2", b"\xe0\x80\xa2"),
    *(b"\xed\xa0\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf"),  # surrogates
    *(b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf"),
    *(b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"),  # five and six bytes
    *(b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xe2", b"\xf0", b"\xf0\x9f"),  # cut off
    *(b"\xc3\xc3", b"\xe2\xe2\x82", b"\xc3\xa9\xa9", b"\xe2\x82\xac\x82"),  # one byte too many
)  # fmt: skip


def _deep() -> Iterator[str | bytes]:
    """More levels than anybody can want."""
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ("[0,", "]")):
        yield opening * DEEP
        yield f"{opening * DEEP}1{closing * DEEP}"


def _nothing() -> Iterator[str | bytes]:
    """No value at all."""
    yield from (
        " ",
        "\n",
        "\t\r\n ",
        "\f",
        "\v",
        "\0",
        "\0\0\0\0",
        "\u00a0",
        "\u2003",
        ",",
        ":",
        "\\",
    )


KINDS = {
    "cut": _cut, "literals": _literals, "no numbers": _no_numbers, "numbers": _numbers,
    "strings": _strings, "escapes": _escapes, "surrogates": _surrogates, "control": _control,
    "lists": _lists, "objects": _objects, "comments": _comments, "garbage": _garbage,
    "marks": _marks, "encodings": _encodings, "deep": _deep, "nothing": _nothing,
}  # fmt: skip


def cases() -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of every one, none twice."""
    seen = set()
    for kind, made in KINDS.items():
        for text in made():
            value = text.encode() if isinstance(text, str) else text
            if value not in seen:
                seen.add(value)
                yield kind, value
