"""Draws the results of a full run as SVG, and writes them into bench/README.md.

    python3 bench/plot.py [RESULTS]     again, from bench/results.jsonl

What stands in the README between the two marks is made here.
"""
import datetime
import html
import os
import platform
import sys

import lab

FOLDER = os.path.join(lab.ROOT, "bench")
BEGIN, END = "<!-- results: bench/run --full -->", "<!-- end of results -->"
WIDTH, BAR, GAP, LEFT, RIGHT = 720, 22, 8, 230, 90


def bars(title, rows, unit):
    """A bar for each (name, value)."""
    height = 40 + len(rows) * (BAR + GAP)
    most = max(value for _, value in rows) or 1
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
             f'<text x="8" y="22" font-weight="bold">{html.escape(title)}</text>']
    for i, (name, value) in enumerate(rows):
        top = 36 + i * (BAR + GAP)
        width = max(1, (WIDTH - LEFT - RIGHT) * value / most)
        parts += [f'<text x="{LEFT - 8}" y="{top + 16}" text-anchor="end">'
                  f'{html.escape(name)}</text>',
                  f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" '
                  f'fill="#3572b0"/>',
                  f'<text x="{LEFT + width + 6:.1f}" y="{top + 16}">'
                  f'{lab.figure(float(value))} {unit}</text>']
    return "\n".join(parts) + "\n</svg>\n"


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown CPU")
    with open("/proc/meminfo") as file:
        gib = int(file.readline().split()[1]) / 1024 / 1024
    return f"{model}, {os.cpu_count()} CPUs, {gib:.0f} GiB, Linux {platform.release()}"


def section(lines):
    """The Markdown of the results."""
    text = [BEGIN, "", f"Drawn on {datetime.date.today()} from what `bench/run --full` measured on {machine()}.",
            "Of each row's runs the one in the middle, by its ratio to the floor of its own round.", "", "![server CPU](cpu.svg)", "", "![p99 of latency](latency.svg)", "",
            "| run | connections | server CPU, us | x floor | a second | p50 ms | p99 ms | missed |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for run in lines:
        cost = cost_of(run)
        cells = [run["name"], run["connections"], "" if cost is None else cost,
                 run.get("floors", "")]
        cells += [run.get("per_second", ""), *(run[key] / 1000 if key in run else ""
                                               for key in ("p50_us", "p99_us"))]
        cells.append(run.get("missed", ""))
        text.append("| " + " | ".join(lab.figure(cell) for cell in cells) + " |")
    return "\n".join([*text, "", END])


def cost_of(run):
    """CPU time of one unit of work, in us; None: it is not a matter of time."""
    if "cpu_s_per_million" in run:
        return run["cpu_s_per_million"]
    if "server_cpu_s_per_million" in run:
        return run["server_cpu_s_per_million"]
    if "server_cpu_s_per_10000" in run:
        return run["server_cpu_s_per_10000"] * 100
    return None


def in_floors(lines):
    """Each run with its cost in floors: those of one send() in the same round, which came before it."""
    floor = None
    for run in lines:
        if run.get("frames") == 1:
            floor = run["cpu_s_per_million_sends"]
        cost = cost_of(run)
        yield run if floor is None or cost is None else {**run, "floors": cost / floor}


def middle(lines):
    """Of the runs of each name the one in the middle, by its cost or what else there is."""
    runs = {}
    for run in in_floors(lines):
        runs.setdefault(run["name"], []).append(run)

    def rank(run):
        values = (run.get("floors"), cost_of(run), run.get("p99_us"),
                  run.get("bytes_per_connection"))
        return next((value for value in values if value is not None), 0)

    return [sorted(group, key=rank)[(len(group) - 1) // 2] for group in runs.values()]


def write(lines):
    lines = middle(lines)
    costs = [(run["name"], cost_of(run)) for run in lines if cost_of(run) is not None]
    late = [(run["name"], run["p99_us"] / 1000) for run in lines if "p99_us" in run]
    for name, drawing in (("cpu.svg", bars("Server CPU time of one delivery", costs, "us")),
                          ("latency.svg", bars("99th percentile of latency", late, "ms"))):
        with open(os.path.join(FOLDER, name), "w") as file:
            file.write(drawing)
    path = os.path.join(FOLDER, "README.md")
    with open(path) as file:
        text = file.read()
    before, rest = text.split(BEGIN, 1)
    with open(path, "w") as file:
        file.write(before + section(lines) + rest.split(END, 1)[1])


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else os.path.join(FOLDER, "results.jsonl")
    write(lab.Results(given).lines())
