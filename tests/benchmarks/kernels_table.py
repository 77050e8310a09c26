"""The table of `kernels_compiled`, from its file: times, ratios and shares with goals, and causes of what is missed."""

from typing import Any

RIVALS = 32  # units at which the slower ways are run too
OWN_CELL = "irnn"  # one of a user's lines, for the time to its first update
FASTER = {"one": 8.0, "several": 6.0}  # times stepwise at T = 500, by the stages of products in a step
SHARE = {32: 0.40, 64: 0.55, 128: 0.70}  # of the peak, for cells of one stage, by units
SHARES = ((32, 500), (32, 100), (64, 100), (128, 100))  # units, steps
COLD = 15.0  # seconds to the first update of a cell that is new

Row = dict[str, Any]


def share(row: Row) -> float | None:
    """Return the share of the peak; None where nothing is multiplied by a matrix."""
    return row["operations"] / row["generated"] / row["peak"] if row.get("operations") else None


def faster(row: Row) -> float | None:
    return row["stepwise"] / row["beside generated"] if "beside generated" in row else None


def claims(rows: list[Row]) -> list[Row]:
    """Return every goal with what was measured, and the cause where it is missed."""
    found = []
    for row in rows:
        about = {"cell": row["cell"], "hidden": row["hidden"], "length": row["length"]}
        if "generated" not in row:
            if row["length"] == 500:
                found.append(
                    {**about, "what": "x stepwise", "goal": FASTER["one"], "measured": 0, "cause": row["reason"]}
                )
            continue
        if row["length"] == 500 and (times := faster(row)) is not None:
            goal = FASTER["one" if row["stages"] == 1 else "several"]
            found.append({**about, "what": "x stepwise", "goal": goal, "measured": times, "cause": cause(row)})
        if row["stages"] == 1 and (of_peak := share(row)) is not None:
            goal = SHARE[row["hidden"]]
            found.append({**about, "what": "share of peak", "goal": goal, "measured": of_peak, "cause": cause(row)})
    return [each if each["measured"] < each["goal"] else {**each, "cause": None} for each in found]


def cause(row: Row) -> str:
    """Return what a step does besides products."""
    count = f"{row['functions']:.0f} functions a unit and step, {row['dear']:.0f} of them exp, log or the like"
    return f"{count}, for {row['multiplications']:.0f} multiplications"


def table(rows: list[Row]) -> list[list[str]]:
    """Return a line for each cell, after the names of the columns."""
    lines = [["cell", "stages", "ms T=100", "ms T=500", "× stepwise T=100", "T=500 (goal)", "replayed × stepwise"]]
    lines[0] += [f"share of peak H={hidden} T={length} (goal)" for hidden, length in SHARES]
    for name in dict.fromkeys(row["cell"] for row in rows):
        at = {(row["hidden"], row["length"]): row for row in rows if row["cell"] == name}
        lines.append(_line(name, at))
    return lines


def _line(name: str, at: dict[tuple[int, int], Row]) -> list[str]:
    short, long = at.get((RIVALS, 100), {}), at.get((RIVALS, 500), {})
    if not any("generated" in row for row in at.values()):
        replayed = f"{long['stepwise'] / long['replayed']:.1f}" if "replayed" in long else ""
        return [name, "", "", "", "", str(long.get("reason")), replayed, *("" for _ in SHARES)]
    stages = next(row["stages"] for row in at.values() if "stages" in row)
    cells = [name, str(stages)]
    cells += [f"{1e3 * row['generated']:.1f}" if row else "" for row in (short, long)]
    cells.append(f"{faster(short):.1f}" if short else "")
    cells.append(_held(faster(long) if long else None, FASTER["one" if stages == 1 else "several"], ".1f"))
    cells.append(f"{long['stepwise'] / long['replayed']:.1f}" if "replayed" in long else "")
    for size in SHARES:
        row = at.get(size, {})
        cells.append(_held(share(row) if row else None, SHARE[size[0]] if stages == 1 else None, ".0%"))
    return cells


def _held(measured: float | None, goal: float | None, form: str) -> str:
    if measured is None:
        return ""
    if goal is None:
        return f"{measured:{form}}"
    return f"{measured:{form}} ({goal:{form.replace('.1f', 'g')}}){' **no**' * (measured < goal)}"


def show(report: Row) -> None:
    lines = table(report["rows"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    missed = [claim for claim in report["claims"] if claim["cause"]]
    print(f"goals reached: {len(report['claims']) - len(missed)} of {len(report['claims'])}")
    for claim in missed:
        size = f"{claim['cell']} H={claim['hidden']} T={claim['length']}"
        print(f"{size}: {claim['measured']:.2f} of {claim['goal']:g} {claim['what']}: {claim['cause']}")
    for name, states in report.get("starts", {}).items():
        for state, took in states.items():
            goal = f" (goal {COLD:g})" if name == OWN_CELL and state == "cold" else ""
            seconds = f"{took['wall']:.1f} s{goal}, {took['processor']:.1f} s of processor time"
            print(f"{name}, to the first update, {state}: {seconds}")
    own = [row for row in report["rows"] if row["cell"] == OWN_CELL and row["length"] == 500]
    print(*(f"{OWN_CELL}, then, T=500: {faster(row):.1f} x stepwise (goal {FASTER['one']:g})" for row in own), sep="\n")
