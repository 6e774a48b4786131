"""Alerts, dashboard and scrape, by the real Prometheus."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

from deploy.conftest import free_port, program, replaced, running
from places import ROOT
from served import is_ready, serving, wait_until

DEPLOY = ROOT / "deploy"
FOLDER = DEPLOY / "prometheus"
NAME = re.compile(r"\b(?:pairdex|process)_[a-z_]+\b")


def promtool(*arguments, **options):
    return subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False, **options
    )


def test_the_alerts_are_rules_that_prometheus_knows():
    ran = promtool("check", "rules", FOLDER / "rules.yml")
    assert ran.returncode == 0, ran.stderr
    assert "7 rules found" in ran.stdout


def test_the_alerts_fire_when_they_should_and_only_then():
    ran = promtool("test", "rules", FOLDER / "rules_test.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def panels():
    return json.loads((DEPLOY / "grafana" / "pairdex.json").read_text())["panels"]


def expressions():
    """Every expression of the dashboard and of the alerts."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    rules = (FOLDER / "rules.yml").read_text()
    return [*found, *re.findall(r"expr: (?:\|\n)?((?:.|\n)*?)\n {8}(?:for|labels)", rules)]


def metric_names(text):
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[:1] != "#"}


@pytest.fixture(scope="module")
def scraped(drawn, tmp_path_factory):
    """A function that asks a Prometheus that scrapes a service of two workers with a token."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "token").write_text("SECRET\n")
    (folder / "rules.yml").write_bytes((FOLDER / "rules.yml").read_bytes())
    options = ("--workers", "2", "--token-file", str(folder / "token"))
    with serving(folder / "service.log", drawn, options=options) as url:
        changes = {
            "/run/secrets/pairdex-token": str(folder / "token"),
            "pairdex:8420": urllib.parse.urlsplit(url).netloc,
            "scrape_interval: 15s": "scrape_interval: 1s",
        }
        (folder / "prometheus.yml").write_text(
            replaced((FOLDER / "prometheus.yml").read_text(), changes)
        )
        assert promtool("check", "config", folder / "prometheus.yml").returncode == 0
        port = free_port()
        command = [
            program("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(command, port, folder / "log"):
            wait_until(lambda: is_ready(f"http://127.0.0.1:{port}", "/-/ready"))
            yield lambda expression: answered(port, expression), url


def answered(port, expression):
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}") as response:
        return json.load(response)["data"]["result"]


def test_prometheus_scrapes_a_service_with_a_token_and_its_workers(scraped):
    ask, url = scraped
    assert is_ready(url)
    wait_until(lambda: [one["value"][1] for one in ask("pairdex_workers")] == ["2"])
    assert [one["value"][1] for one in ask('up{job="pairdex"}')] == ["1"]
    workers = ask("process_resident_memory_bytes")
    assert sorted(one["metric"]["worker"] for one in workers) == ["0", "1"]
    assert [one["value"][1] for one in ask("pairdex_rows")] == ["300"]


def test_every_expression_is_understood_and_names_metrics_that_exist(scraped):
    ask, url = scraped
    searching = urllib.request.Request(
        f"{url}/api/search",
        b'{"text": "a red car"}',
        {"Content-Type": "application/json", "Authorization": "Bearer SECRET"},
    )
    urllib.request.urlopen(searching).close()
    shown = urllib.request.Request(f"{url}/metrics", headers={"Authorization": "Bearer SECRET"})
    with urllib.request.urlopen(shown) as response:
        known = metric_names(response.read().decode())
    for expression in expressions():
        plain = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        ask(plain)  # raises if it is not understood
        assert set(NAME.findall(plain)) <= known | {"pairdex_errors_total"}, expression


def test_the_metrics_follow_prometheus_own_rules(scraped):
    _, url = scraped
    shown = urllib.request.Request(f"{url}/metrics", headers={"Authorization": "Bearer SECRET"})
    with urllib.request.urlopen(shown) as response:
        text = response.read().decode()
    ran = promtool("check", "metrics", input=text)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_the_panels_of_the_dashboard_lie_side_by_side():
    places = [panel["gridPos"] for panel in panels()]
    cells = [(p["x"] + x, p["y"] + y) for p in places for x in range(p["w"]) for y in range(p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
