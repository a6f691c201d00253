"""The page 手机一卡通 on a terminal: card face, balance, validity bar, last trips."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from apdu.show import money
from reader.trips import EP_ADJUST, EP_ENTRY, EP_EXIT, EP_SINGLE

Json = dict[str, Any]

_WIDTH = 60
_STATES = {
    "opening": ("正在开通", "being opened"),
    "active": ("正常使用", "in use"),
    "lost": ("已挂失", "lost"),
    "returned": ("已退卡", "returned"),
    "refunded": ("已退资", "refunded"),
    "void": ("未开通", "never opened"),
}
_KINDS = {
    EP_ENTRY: "进站 entry",
    EP_EXIT: "出站 exit",
    EP_SINGLE: "乘车 ride",
    EP_ADJUST: "补登 adjusted",
}
_MARKS = {
    "ok": Text("✓", "green"),
    "failed": Text("✗", "bold red"),
    "unknown": Text("?", "yellow"),
    "not_applicable": Text("–", "dim"),
}


def card_page(page: Json) -> RenderableType:
    """The page as the service or the office tells it (`issuer.status.CardPage`)."""
    parts: list[RenderableType] = [_face(page), _days(page)]
    parts.append(_trips(page["trips"]) if page["trips"] else Text("最近没有行程 · no trips yet"))
    return Panel(Group(*parts), title="手机一卡通", width=_WIDTH + 8, border_style="cyan")


def findings_table(found: Iterable[Json]) -> Table:
    """What the rules say, those that fail in red."""
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    for one in found:
        style = "bold red" if one["status"] == "failed" else ""
        table.add_row(_MARKS[one["status"]], one["rule"], Text(f"{one['zh']}\n{one['en']}", style))
    return table


def _face(page: Json) -> Panel:
    card = page["card"]
    number = card["serial"].lstrip("0")
    shown = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    zh, en = _STATES[card["state"]]
    face = Table.grid(expand=True)
    face.add_column()
    face.add_column(justify="right")
    face.add_row(Text("北京市学生交通卡", "bold"), Text(f"{zh} · {en}"))
    face.add_row(page["school_zh"], Text(page["school_en"], "dim"))
    face.add_row("", "")
    face.add_row(Text(shown, "bold"), "")
    known = _moment(page["known_at"])
    face.add_row(
        Text(f"¥ {money(page['balance'])}", "bold green"), Text(f"截至 as of {known}", "dim")
    )
    return Panel(face, width=_WIDTH, style="on grey11")


def _days(page: Json) -> RenderableType:
    card, left = page["card"], page["days_left"]
    begin, end = date.fromisoformat(card["issued_on"]), date.fromisoformat(card["end_date"])
    whole = max((end - begin).days + 1, 1)
    bar = ProgressBar(total=whole, completed=min(left, whole), width=_WIDTH)
    if page["renews_to"]:
        renews = f"现可延期至 renewable to {page['renews_to']}"
    else:
        renews = f"可延期自 renewable from {page['renewable_from']}"
    rows = Table.grid()
    rows.add_row(f"有效期 {begin} 至 {end} · valid to {end}")
    rows.add_row(bar)
    rows.add_row(Text(f"剩 {left} 天 · {left} days left; {renews}", "dim"))
    rows.add_row("")
    return rows


def _trips(trips: Iterable[Json]) -> Table:
    table = Table(box=None, width=_WIDTH, pad_edge=False)
    for title in ("时间", "", "地点"):
        table.add_column(title)
    for title in ("元", "余额"):
        table.add_column(title, justify="right")
    for trip in trips:
        place = f"{trip['origin']} → {trip['place']}" if trip["origin"] else trip["place"]
        kind = _KINDS.get(trip["kind"], f"{trip['kind']:02X}")
        table.add_row(
            _moment(trip["at"]), kind, place, money(trip["amount"]), money(trip["balance"])
        )
    return table


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%m-%d %H:%M}"
