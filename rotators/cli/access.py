"""`rotators access`: who can read, write and rotate secrets, and policies that permit only that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from rotators.cli.access_suggest import suggest
from rotators.cli.output import (
    Cell,
    Screen,
    console,
    counted,
    format_option,
    json_option,
    print_error,
    print_json_stream,
    print_rows,
    styled,
    table,
)
from rotators.cli.selecting import not_empty, require_conditions, selector_options
from rotators.cli.stopping import exit_unless
from rotators.manage.access import (
    CAPABILITIES,
    NOT_CONSIDERED,
    SESSION_POLICIES,
    Access,
    AccessAnswer,
    AccessVerdict,
    access_to,
)
from rotators.manage.guards import Guarded, Guards
from rotators.manage.inventory import Entry, described
from rotators.manage.principals import Principal, read_account, read_policies
from rotators.manage.selector import Selection, Selector

_DEFAULT = "of"
_STYLES = {AccessAnswer.YES: "green", AccessAnswer.CONDITIONAL: "yellow", AccessAnswer.NO: ""}
_COLUMNS = 6  # largest number of secrets in the table of the matrix
_LONGEST = 500  # largest number of characters of a reason in a table


class _Group(click.Group):
    """A group that runs the command `of` if the first argument is not the name of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        named = args if args[0] in self.commands else [_DEFAULT, *args]
        return super().resolve_command(ctx, named)


scp_option = click.option(
    "--scp",
    "scps",
    multiple=True,
    metavar="FILE",
    help="SCPs of one level of the organisation. May be repeated.",
)


@click.group(cls=_Group, context_settings={"ignore_unknown_options": True})
def access() -> None:
    """Show who can read, write and rotate secrets.

    `rotators access SECRET` and `rotators access role/NAME` are short for `rotators access of`.
    """


@dataclass
class _Question:
    """The data that is read from AWS once and shared by all answers.

    Args:
        scps: files with SCPs.
        session: file with the policies of a role's session.
    """

    scps: Sequence[str]
    session: str | None = None
    guards: Guards = field(default_factory=Guards)

    def __post_init__(self) -> None:
        self._session = None if self.session is None else read_policies(self.session, "session policy")
        self.account = read_account([read_policies(path, "SCP") for path in self.scps])

    def asked(self, name: str) -> Principal:
        """Return the principal of the question, with its session."""
        principal = self.account.find(name)
        if self._session is not None and not principal.is_role:
            raise click.UsageError("--session-policy needs a role: only a role has sessions.")
        return replace(principal, session=self._session)

    def label(self, principal: Principal) -> str:
        """Return the name of a principal in a table: of a user or role of the account without its account."""
        owner, _, name = principal.name.rpartition(":")
        return name if owner.endswith(f":iam::{self.account.id}") else principal.name

    def everybody(self, guarded: Guarded) -> Iterator[Access]:
        """Yield the access of each principal to a secret."""
        for principal in [*self.account.principals, *guarded.outsiders(self.account.id)]:
            yield access_to(guarded, principal)

    @property
    def notes(self) -> dict[str, Any]:
        """The parts that the answer leaves out."""
        unread = [{"what": what, "code": None} for what in self.account.unread]
        unread += [{"what": what, "code": error.full_code} for what, error in self.guards.unread.items()]
        scps = () if self.scps else ("SCPs (give them with --scp)",)
        given = set() if self.session is None else {SESSION_POLICIES}
        left_out = [*scps, *(each for each in NOT_CONSIDERED if each not in given)]
        return {"complete": not unread, "unread": unread, "not_considered": left_out}


@access.command(
    _DEFAULT, short_help="Show who has access to a secret, or which secrets a principal has access to."
)
@click.argument("secret", metavar="SECRET|PRINCIPAL")
@scp_option
@click.option(
    "--session-policy",
    "session",
    metavar="FILE",
    help="Policies of a session of the role (a policy or a list).",
)
@json_option
def of(secret: str, scps: tuple[str, ...], session: str | None) -> None:
    """Show who has access to a SECRET, or which secrets a PRINCIPAL has access to.

    A principal is role/NAME, user/NAME or an ARN of IAM or STS. Give a secret with such a name by its ARN.
    Exit status 1 means that the answer is incomplete, because something could not be read.
    """
    of_principal = _is_principal(secret)
    if session is not None and not of_principal:
        raise click.UsageError("--session-policy needs a role: give role/NAME.")
    with console().status("reading policies …"):
        question = _Question(scps, session)
        (_of_principal if of_principal else _of_secret)(secret, question)
    exit_unless(question.notes["complete"])


def _is_principal(name: str) -> bool:
    return name.startswith(("role/", "user/")) or name.split(":")[2:3] in (["iam"], ["sts"])


def _asking(entry: Entry) -> str:
    """Return the command that asks about a secret, with its ARN if its name means something else there."""
    means_other = entry.name in access.commands or _is_principal(entry.name)
    return f"rotators access {entry.arn if means_other else entry.id}"


def _of_secret(name: str, question: _Question) -> None:
    guarded = question.guards.of(described(name))
    found = sorted(question.everybody(guarded), key=_order)
    entry, out = guarded.entry, console()
    principals = [{"principal": each.principal.name, **_document(each)} for each in found]
    about = {"secret": entry.name, "arn": entry.arn, "deleted": entry.deleted is not None}
    out.document({**about, "principals": principals, **question.notes})
    shown = [each for each in found if each.any]
    if shown:
        _print_access(out, "principal", [(question.label(each.principal), each) for each in shown])
    out.print(f"{counted(len(shown), 'principal')} of {len(found)} with access to {entry.name}.")
    next_ = (
        f"`rotators access suggest {name} --for ROLE` prints a policy with only the necessary permissions."
    )
    if entry.deleted:
        out.print("It is scheduled for deletion, so no one can read it now.")
        next_ = f"`rotators restore {name}` restores it."
    _print_end(question.notes, out, next_)


def _of_principal(name: str, question: _Question) -> None:
    principal, out = question.asked(name), console()
    rows = []
    for entry in Selector(everything=True).select(dt.datetime.now(dt.UTC)):
        found = access_to(question.guards.of(entry), principal)
        if out.quiet or found.any:
            rows.append((entry, found))
    rows.sort(key=lambda row: (_order(row[1])[:-1], row[0].name))
    secrets = [{"secret": entry.name, **_document(found)} for entry, found in rows]
    out.document({"principal": principal.name, "secrets": secrets, **question.notes})
    if rows:
        _print_access(out, "secret", [(entry.name, found) for entry, found in rows])
    out.print(f"{counted(len(rows), 'secret')} that {principal.name} has access to.")
    next_ = f"`{_asking(rows[0][0])}` shows who else has access." if rows else "nothing needs to be done."
    _print_end(question.notes, out, next_)


@access.command(short_help="Show who has access to many secrets.")
@selector_options
@scp_option
@format_option("table", "json", "csv")
def matrix(selector: Selector, scps: tuple[str, ...], output: str) -> None:
    """Show who can read, write and rotate the secrets that are named or meet the conditions.

    The table has a column for each of the first secrets; json and csv have a row for each principal and each
    secret that it has access to. Exit status 1 means that something could not be read: the answer is
    incomplete then.
    """
    require_conditions(selector)
    with console().status("reading policies …"):
        question = _Question(scps)
        selection = selector.select(dt.datetime.now(dt.UTC))
        guarded = not_empty(map(question.guards.of, selection), selection)
        found = _Matrix(question, guarded, selection)
        _PRINTERS[output](found)
    exit_unless(found.notes["complete"])


@dataclass
class _Matrix:
    """The pairs of secrets and principals with access, as they are found.

    Attributes:
        question: data that was read from AWS.
        secrets: the secrets.
        selection: their source, with the names of those that may not be read.
        count: number of the secrets; complete after the iteration.
    """

    question: _Question
    secrets: Iterator[Guarded]
    selection: Selection
    count: int = 0

    def __iter__(self) -> Iterator[tuple[Entry, Access]]:
        for guarded in self.secrets:
            self.count += 1
            able = (each for each in self.question.everybody(guarded) if each.any)
            for found in sorted(able, key=_order):
                yield guarded.entry, found

    @property
    def notes(self) -> dict[str, Any]:
        """The parts that the answer leaves out, with the secrets."""
        notes = self.question.notes
        unread = notes["unread"]
        unread += [{"what": name, "code": error.full_code} for name, error in self.selection.unread]
        return {**notes, "complete": not unread}


def _print_matrix_json(found: _Matrix) -> None:
    rows = (
        {"secret": entry.name, "arn": entry.arn, "principal": each.principal.name, **_document(each)}
        for entry, each in found
    )
    print_json_stream("access", rows, lambda: {"secrets": found.count, **found.notes})


def _print_matrix_csv(found: _Matrix) -> None:
    print_rows([("secret", "principal", *CAPABILITIES, "why", "arn")])
    for entry, each in found:
        answers = (str(one.answer) for one in each.verdicts.values())
        print_rows([(entry.name, each.principal.name, *answers, _why(each), entry.arn)])
    for note in found.notes["unread"]:
        print_error(f"could not be read: {_unread_words(note)}")


def _print_matrix_table(found: _Matrix) -> None:
    cells: dict[str, dict[str, Cell]] = {}
    shown: dict[str, Entry] = {}  # by ARN, because secrets of two Regions may have one name
    for entry, each in found:
        if entry.arn in shown or len(shown) < _COLUMNS:
            shown[entry.arn] = entry
            cells.setdefault(found.question.label(each.principal), {})[entry.arn] = _cell(each)
    out = console()
    if shown:
        columns = ["principal", *(entry.id for entry in shown.values())]
        rows = [(principal, *(row.get(arn, "") for arn in shown)) for principal, row in sorted(cells.items())]
        out.print(table(columns, rows))
    out.print(
        f"{len(shown)} of {counted(found.count, 'secret')}. A ? marks access that depends on a condition."
    )
    asking = [_asking(entry) for entry in shown.values()]
    next_ = f"`{asking[0]}` shows the reasons." if asking else "nothing needs to be done."
    _print_end(found.notes, out, next_)


_PRINTERS: dict[str, Callable[[_Matrix], None]] = {
    "table": _print_matrix_table,
    "json": _print_matrix_json,
    "csv": _print_matrix_csv,
}


def _order(found: Access) -> tuple[int, int, int, str]:
    """Return the sort key: principals with more access come first."""
    read, write, rotate = (list(AccessAnswer).index(each.answer) for each in found.verdicts.values())
    return read, write, rotate, found.principal.name


def _document(found: Access) -> dict[str, Any]:
    return {
        name: {"access": each.answer, "why": each.why, "conditions": list(each.conditions)}
        for name, each in found.verdicts.items()
    }


def _print_access(out: Screen, first: str, rows: Sequence[tuple[str, Access]]) -> None:
    out.print(table((first, *CAPABILITIES, "why"), [(name, *_cells(found)) for name, found in rows]))


def _cells(found: Access) -> Iterator[Cell]:
    for each in found.verdicts.values():
        yield styled(each.answer, _STYLES[each.answer])
    why = _why(found)
    yield why if len(why) <= _LONGEST else f"{why[:_LONGEST]} … (--json shows all)"


def _why(found: Access) -> str:
    """Return the reasons; equal reasons of several capabilities appear once."""
    words: dict[str, list[str]] = {}
    for name, verdict in found.verdicts.items():
        if verdict.answer is not AccessAnswer.NO:
            words.setdefault(_reason(verdict), []).append(name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in words.items())


def _reason(verdict: AccessVerdict) -> str:
    return f"{verdict.why} if {', '.join(verdict.conditions)}" if verdict.conditions else verdict.why


def _cell(found: Access) -> Cell:
    marks = {AccessAnswer.YES: "", AccessAnswer.CONDITIONAL: "?"}
    words = [f"{name}{marks[each.answer]}" for name, each in found.verdicts.items() if each.answer in marks]
    return styled(" ".join(words), "")


def _unread_words(note: dict[str, Any]) -> str:
    return f"{note['what']} [{note['code']}]" if note["code"] else str(note["what"])


def _print_end(notes: dict[str, Any], out: Screen, next_: str) -> None:
    out.print(f"Not considered: {', '.join(notes['not_considered'])}.")
    for note in notes["unread"]:
        out.print(f"Incomplete, because this could not be read: {_unread_words(note)}.")
    out.next(next_)


access.add_command(suggest)
