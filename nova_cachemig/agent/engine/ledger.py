"""The wanted and the known entries of HAProxy's maps, and the next edits. No I/O.

Several tasks want entries at the same time. A later wish for a key replaces an earlier one, so the
end does not depend on which tasks were cancelled. The owner of the maps (:mod:`writer`) takes the
edits in batches.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from nova_cachemig.agent.engine.admin import AdminError, command

_TURN: Final = 32
"""Edits of one group in a row, while others wait."""

_TRIES: Final = 3
"""Times that HAProxy may refuse an edit. After each refusal its map is read."""


class Priority(enum.IntEnum):
    """Whose edits come first."""

    FLIP = 0  # the guest is silent, or is back
    RELEASE = 1  # the edge holds writes until this edit
    MARK = 2  # pending reads and epochs of writes
    ARM = 3
    ROUTE = 4


class MapLedger:
    """One map. ``wanted``: its entries, as the agent wants them.

    ``shared``: HAProxy adds and changes entries itself.
    """

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.path = path
        self.shared = shared
        self.wanted: dict[str, str] = {}
        self.absent = False  # a running HAProxy of an earlier version does not know the map
        self._known: dict[str, str] | None = {}  # None: it must be read first

    @property
    def is_known(self) -> bool:
        """Whether HAProxy's entries are known."""
        return self._known is not None

    def forget(self) -> None:
        """It is not known which of the edits in flight HAProxy has made."""
        self._known = None

    def assume(self, entries: Mapping[str, str]) -> None:
        """HAProxy has read a file with these entries."""
        self._known, self.absent = dict(entries), False

    def read(self, output: str) -> list[str]:
        """Learn from the output of ``show map``; return the keys to correct."""
        self.absent = output.startswith("Unknown map")
        rows = (line.split(" ") for line in output.splitlines())
        known = self._known = {row[1]: row[2] for row in rows if len(row) == 3}
        if self.shared:
            return [key for key in self.wanted if key not in known]
        keys = self.wanted.keys() | known.keys()
        return [key for key in keys if self.wanted.get(key) != known.get(key)]

    def adopt(self) -> None:
        """Want what HAProxy has."""
        self.wanted = dict(self._known or {})

    def learn(self, key: str, output: str) -> None:
        """Learn from the output of ``get map`` for one key."""
        if self._known is None:
            return
        if "found=yes" in output:
            self._known[key] = output.partition(' value="')[2].partition('"')[0]
        else:
            self._known.pop(key, None)

    def present(self, key: str) -> str | None:
        """HAProxy's entry, as far as it is known."""
        return None if self._known is None else self._known.get(key)

    def command(self, key: str, *, absent: bool = True) -> tuple[str | None, str | None]:
        """Return the command that makes HAProxy's entry the wanted one, if any, and the value.

        ``absent``: HAProxy has no entry that it has added itself.
        """
        value, present = self.wanted.get(key), self.present(key)
        if value == present:
            return None, value
        if value is None:
            return command("del", "map", self.path, key), None
        verb = "add" if present is None and (absent or not self.shared) else "set"
        return command(verb, "map", self.path, key, value), value

    def differing(self, former: Iterable[str]) -> list[str]:
        """Return the keys whose entry HAProxy does not have as wanted.

        ``former``: keys that were wanted before. Where HAProxy's entries are not known, all count.
        """
        known = self._known
        if known is None:
            return list(dict.fromkeys((*self.wanted, *former)))
        changed = [key for key, value in self.wanted.items() if known.get(key) != value]
        return changed + [key for key in known if key not in self.wanted]

    def done(self, key: str, value: str | None) -> None:
        """HAProxy has made this edit."""
        if self._known is None:
            return
        if value is None:
            self._known.pop(key, None)
        else:
            self._known[key] = value

    def cleared(self) -> None:
        """HAProxy has removed all entries."""
        self._known = {}


class Ticket:
    """One caller's wait for several edits. ``report`` gets None, or the first error, once."""

    def __init__(self, edits: int, report: Callable[[AdminError | None], None]) -> None:
        self._left = edits
        self._report = report

    def done(self) -> None:
        """One of the edits is in force."""
        self._left -= 1
        if not self._left:
            self._report(None)

    def fail(self, error: AdminError) -> None:
        """One of the edits is not in force."""
        if self._left > 0:
            self._left = -1
            self._report(error)


@dataclasses.dataclass(slots=True)
class Edit:
    """A key whose entry may have to change."""

    ledger: MapLedger
    key: str
    priority: Priority
    group: str
    tickets: list[Ticket] = dataclasses.field(default_factory=list)
    refused: int = 0
    absent: bool = False  # HAProxy has said so: a second entry of the key would have no effect


_Key = tuple[str, str]  # the map's path, the key


class EditQueue:
    """Edits by priority. Within one priority, groups (services) take turns.

    At most one edit per key waits, so the queue is no longer than the maps together.
    """

    def __init__(self) -> None:
        self._groups: dict[Priority, dict[str, dict[_Key, Edit]]] = {one: {} for one in Priority}
        self._edits: dict[_Key, Edit] = {}

    def __len__(self) -> int:
        return len(self._edits)

    def add(self, edit: Edit) -> None:
        """Queue an edit behind the others of its group. It replaces a waiting one of its key.

        Its place is the last one: the edits of a group that were wanted before come before it.
        """
        key = (edit.ledger.path, edit.key)
        former = self._remove(key)
        if former is not None:
            edit.tickets = former.tickets + edit.tickets
            edit.priority = min(former.priority, edit.priority)
            edit.refused = max(former.refused, edit.refused)
        self._edits[key] = edit
        self._groups[edit.priority].setdefault(edit.group, {})[key] = edit

    def take(self, size: int, cost: Callable[[Edit], int]) -> list[Edit]:
        """Remove and return the next edits, whose costs are ``size`` together, at least one."""
        taken: list[Edit] = []
        for groups in self._groups.values():
            while groups and size > 0:
                name = next(iter(groups))
                group = groups.pop(name)
                for key in list(group)[:_TURN]:
                    edit = group.pop(key)
                    del self._edits[key]
                    taken.append(edit)
                    size -= cost(edit)
                    if size <= 0:
                        break
                if group:
                    groups[name] = group  # behind the others
        return taken

    def take_map(self, ledger: MapLedger) -> list[Edit]:
        """Remove and return all edits of one map."""
        keys = [key for key, edit in self._edits.items() if edit.ledger is ledger]
        return [edit for key in keys if (edit := self._remove(key)) is not None]

    def _remove(self, key: _Key) -> Edit | None:
        edit = self._edits.pop(key, None)
        if edit is not None:
            groups = self._groups[edit.priority]
            del groups[edit.group][key]
            if not groups[edit.group]:
                del groups[edit.group]
        return edit


def cost(edit: Edit) -> int:
    """Return about how many bytes the command of an edit has."""
    value = edit.ledger.wanted.get(edit.key, "")
    return len(edit.ledger.path) + len(edit.key) + len(value) + 12


class Batch:
    """The edits of one exchange."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits = list(edits)
        self._sent: list[tuple[Edit, str | None]] = []
        self.refused = False  # HAProxy has refused an edit again and again

    @property
    def ledgers(self) -> list[MapLedger]:
        """The maps that the batch edits."""
        return list({edit.ledger.path: edit.ledger for edit in self._edits}.values())

    def commands(self) -> list[str]:
        """Return the commands for HAProxy, as of now; fail the edits of absent maps."""
        commands, self._sent, kept = [], [], []
        for edit in self._edits:
            if edit.ledger.absent:
                _fail(edit, AdminError(f"HAProxy has no map {edit.ledger.path} yet"))
                continue
            text, value = edit.ledger.command(edit.key, absent=edit.absent)
            kept.append(edit)
            if text is not None:
                commands.append(text)
                self._sent.append((edit, value))
        self._edits = kept
        return commands

    def finish(self, outputs: Iterable[str]) -> list[Edit]:
        """HAProxy has responded; return the refused edits to try again."""
        again: dict[int, Edit] = {}
        for (edit, value), output in zip(self._sent, outputs, strict=True):
            if not output:
                edit.ledger.done(edit.key, value)
                continue
            again[id(edit)] = edit
            if self._is_new(edit):
                edit.absent = True
                continue
            edit.refused += 1
            edit.ledger.forget()
            if edit.refused >= _TRIES:
                self.refused, reason = True, output.splitlines()[0]
                _fail(edit, AdminError(f"HAProxy refused a command: {reason}"))
        for edit in self._edits:
            if id(edit) not in again:
                for ticket in edit.tickets:
                    ticket.done()
        return [edit for edit in again.values() if edit.refused < _TRIES]

    @staticmethod
    def _is_new(edit: Edit) -> bool:
        """Whether the refusal only says that HAProxy has not added the entry itself."""
        ledger = edit.ledger
        return ledger.shared and not edit.absent and ledger.present(edit.key) is None

    def lost(self) -> None:
        """The connection broke: it is unknown which edits HAProxy has made."""
        for ledger in self.ledgers:
            ledger.forget()

    def fail(self, error: AdminError) -> list[Edit]:
        """HAProxy does not respond: tell the callers; return the edits, which stay wanted."""
        self.lost()
        for edit in self._edits:
            _fail(edit, error)
        return self._edits


def _fail(edit: Edit, error: AdminError) -> None:
    tickets, edit.tickets = edit.tickets, []
    for ticket in tickets:
        ticket.fail(error)


def check(entries: Mapping[str, str | None]) -> None:
    """Raise AdminError for a key or a value that is not one word."""
    for key, value in entries.items():
        command(key, *([] if value is None else [value]))
