"""Rulesets and transactions as nft text.

`render` prints what `nft list table inet corral` prints (nft 1.0.6) for a table whose objects were made in the
order of their names and whose counters are zero; `nft -f` loads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteCounter,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Operation,
    Transaction,
)
from corral.nft.values import (
    DYNAMIC_SIZE,
    Chain,
    Count,
    Dispatch,
    Element,
    Equals,
    Expression,
    Field,
    Hook,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    State,
    Verdict,
)
from corral.types import Address, Subnet

TABLE = "inet corral"

_ELEMENT_INDENT = ",\n\t\t\t     "  # below the first element of `\t\telements = { `
_ELEMENTS_PER_LINE = 2  # what nft puts on one line for addresses
_SHOWN_ELEMENTS = 4
_SET_LINES: Mapping[SetType, tuple[str, ...]] = {
    SetType.ADDRESSES: (),
    SetType.SUBNETS: ("flags interval",),
    SetType.DYNAMIC: (f"size {DYNAMIC_SIZE}", "flags dynamic,timeout"),
}
_SECONDS_OF = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))

# The priorities that nft has names for, where each is known, and how far from one it still counts from it.
_NAMED_PRIORITIES: tuple[tuple[str, int, str], ...] = (
    ("raw", -300, ""),
    ("mangle", -150, ""),
    ("dstnat", -100, "prerouting"),
    ("filter", 0, ""),
    ("security", 50, ""),
    ("srcnat", 100, "postrouting"),
)
_PRIORITY_REACH = 10


def render(ruleset: Ruleset) -> str:
    """The table as `nft list table inet corral` prints it; sorted by name within each kind of object."""
    blocks = [
        *(_block("counter", name, ["packets 0 bytes 0"]) for name in sorted(ruleset.counters)),
        *(_set_block(ruleset.sets[name], ruleset.elements.get(name, ())) for name in sorted(ruleset.sets)),
        *(_map_block(ruleset.maps[name], ruleset.verdicts.get(name, {})) for name in sorted(ruleset.maps)),
        *(_chain_block(ruleset.chains[name]) for name in sorted(ruleset.chains)),
    ]
    return f"table {TABLE} {{\n" + "\n".join(blocks) + "}\n"


def render_transaction(transaction: Transaction) -> str:
    """The operations as nft commands, one a line."""
    return "".join(f"{command}\n" for command in map(render_operation, transaction.operations))


def render_rule(rule: NftRule) -> str:
    """One line of a chain."""
    words = [*map(render_expression, rule.expressions)]
    if rule.comment:
        words.append(f'comment "{rule.comment}"')
    return " ".join(words)


def render_expression(expression: Expression) -> str:
    """One part of a rule."""
    match expression:
        case InSet(field, name, negated):
            return f"{field} != @{name}" if negated else f"{field} @{name}"
        case Equals(Field.INPUT_INTERFACE | Field.OUTPUT_INTERFACE as field, value):
            return f'{field} "{value}"'
        case Equals(field, value):
            return f"{field} {value}"
        case InRange(field, first, last):
            return f"{field} {first}" if first == last else f"{field} {first}-{last}"
        case State(states):
            return f"ct state {','.join(states)}"
        case Count(counter):
            return f'counter name "{counter}"'
        case Dispatch(field, name):
            return f"{field} vmap @{name}"
        case Limit() | LimitEach() | Log():
            return _render_statement(expression)
        case Verdict():
            return str(expression)


def _render_statement(expression: Limit | LimitEach | Log) -> str:
    match expression:
        case Limit(per_second, burst):
            return f"limit rate {per_second}/second burst {burst} packets"
        case LimitEach(field, name, timeout, limit):
            return f"update @{name} {{ {field} timeout {_duration(timeout)} {render_expression(limit)} }}"
        case Log(prefix, group, length):
            return f'log prefix "{prefix}" group {group} snaplen {length}'


def _duration(seconds: int) -> str:
    text, rest = "", seconds
    for unit, size in _SECONDS_OF:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text


def render_operation(operation: Operation, *, shown: int | None = None) -> str:
    """One operation as an nft command; `shown` limits how many elements are spelled out."""
    match operation:
        case AddTable():
            return f"add table {TABLE}"
        case DeleteTable():
            return f"delete table {TABLE}"
        case AddElements(name, _, elements) | DeleteElements(name, _, elements):
            return _element_command(operation, name, _sorted_texts(elements), shown)
        case AddVerdicts(name, verdicts):
            return _element_command(operation, name, _verdict_texts(verdicts), shown)
        case DeleteVerdicts(name, verdicts):
            return _element_command(operation, name, [str(address) for address in sorted(verdicts)], shown)
        case AddChain() | FlushChain() | DeleteChain() | AddRule():
            return _chain_command(operation)
        case AddCounter() | DeleteCounter() | AddSet() | DeleteSet():
            return _object_command(operation)


def summary(operation: Operation) -> str:
    """The operation as a command of bounded length, for error messages."""
    return render_operation(operation, shown=_SHOWN_ELEMENTS)


def _element_command(operation: Operation, name: str, elements: list[str], shown: int | None) -> str:
    verb = "add" if isinstance(operation, AddElements | AddVerdicts) else "delete"
    if shown is not None and len(elements) > shown:
        elements = [*elements[:shown], f"… {len(elements)} in all"]
    return f"{verb} element {TABLE} {name} {{ {', '.join(elements)} }}"


def _chain_command(operation: AddChain | FlushChain | DeleteChain | AddRule) -> str:
    match operation:
        case AddChain(chain):
            return f"add chain {TABLE} {chain.name}{_braced(_chain_head(chain))}"
        case FlushChain(name):
            return f"flush chain {TABLE} {name}"
        case DeleteChain(name):
            return f"delete chain {TABLE} {name}"
        case AddRule(name, rule):
            return f"add rule {TABLE} {name} {render_rule(rule)}"


def _object_command(operation: AddCounter | DeleteCounter | AddSet | DeleteSet) -> str:
    match operation:
        case AddCounter(name):
            return f"add counter {TABLE} {name}"
        case DeleteCounter(name):
            return f"delete counter {TABLE} {name}"
        case AddSet(declared):
            kind, head = ("map", _map_head(declared)) if isinstance(declared, NftMap) else ("set", _set_head(declared))
            return f"add {kind} {TABLE} {declared.name}{_braced(head)}"
        case DeleteSet(name):
            return f"delete set {TABLE} {name}"


def _braced(lines: list[str]) -> str:
    return f" {{ {' '.join(line if line.endswith(';') else line + ';' for line in lines)} }}" if lines else ""


def _block(kind: str, name: str, lines: Iterable[str]) -> str:
    return f"\t{kind} {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _set_block(declared: NftSet, elements: Iterable[Element]) -> str:
    return _block("set", declared.name, [*_set_head(declared), *_element_lines(_sorted_texts(elements))])


def _set_head(declared: NftSet) -> list[str]:
    return ["type ipv4_addr", *_SET_LINES[declared.type], *_comment_line(declared.comment)]


def _map_block(declared: NftMap, verdicts: Mapping[Address, Verdict]) -> str:
    return _block("map", declared.name, [*_map_head(declared), *_element_lines(_verdict_texts(verdicts))])


def _map_head(declared: NftMap) -> list[str]:
    return ["type ipv4_addr : verdict", *_comment_line(declared.comment)]


def _chain_block(chain: Chain) -> str:
    return _block("chain", chain.name, [*_chain_head(chain), *map(render_rule, chain.rules)])


def _chain_head(chain: Chain) -> list[str]:
    return [*_comment_line(chain.comment), *([_hook_line(chain.hook)] if chain.hook else [])]


def _hook_line(hook: Hook) -> str:
    return f"type filter hook {hook.hook} priority {_priority(hook)}; policy accept;"


def _priority(hook: Hook) -> str:
    for name, base, only_in in _NAMED_PRIORITIES:
        distance = hook.priority - base
        if abs(distance) <= _PRIORITY_REACH and only_in in ("", hook.hook):
            sign = "-" if distance < 0 else "+"
            return f"{name} {sign} {abs(distance)}" if distance else name
    return str(hook.priority)


def _comment_line(comment: str) -> list[str]:
    return [f'comment "{comment}"'] if comment else []


def _element_lines(texts: list[str]) -> Iterator[str]:
    if texts:
        lines = (", ".join(texts[at : at + _ELEMENTS_PER_LINE]) for at in range(0, len(texts), _ELEMENTS_PER_LINE))
        yield f"elements = {{ {_ELEMENT_INDENT.join(lines)} }}"


def _sorted_texts(elements: Iterable[Element]) -> list[str]:
    return [_element_text(element) for element in sorted(elements, key=_first_address)]


def _first_address(element: Element) -> int:
    return element.first if isinstance(element, Subnet) else element


def _element_text(element: Element) -> str:
    if isinstance(element, Subnet) and element.prefix_length == 32:
        return str(element.first)
    return str(element)


def _verdict_texts(verdicts: Mapping[Address, Verdict]) -> list[str]:
    return [f"{address} : {verdicts[address]}" for address in sorted(verdicts)]
