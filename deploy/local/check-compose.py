"""Checks docker-compose.yml where no engine and no compose command is at hand: its syntax, the words it may use,
what refers to what, and that its ports are those of deploy/local/ports. Prints each problem; exit code 1 if there is one."""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOP = {"services", "volumes", "networks", "secrets", "configs"}
SERVICE = {
    "image", "build", "profiles", "ports", "volumes", "environment", "env_file", "healthcheck", "entrypoint", "command",
    "depends_on", "network_mode", "read_only", "cap_drop", "security_opt", "stop_grace_period", "restart", "tmpfs", "user",
}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")

problems = []


class Strict(yaml.SafeLoader):
    """YAML takes the last of two equal keys without a word."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                problems.append(f"line {key.start_mark.line + 1}: {key.value} is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def text_list(where, value):
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.append(f"{where} is not a list of texts")
        return []
    return value


def known(where, found, allowed):
    for word in sorted(set(found) - allowed):
        problems.append(f"{where}: {word} is not a word that this check knows")


def check_service(name, service, services, volumes, ports):
    where = f"services.{name}"
    if not isinstance(service, dict):
        problems.append(f"{where} is not a mapping")
        return
    known(where, service, SERVICE)
    if not ("image" in service or "build" in service):
        problems.append(f"{where} has neither image nor build")
    if ":latest" in service.get("image", "") or ("build" not in service and ":" not in service.get("image", ":")):
        problems.append(f"{where}.image names no version")
    for word in ("profiles", "cap_drop", "security_opt", "entrypoint", "command"):
        if word in service:
            text_list(f"{where}.{word}", service[word])

    build = service.get("build")
    if build is not None:
        context = ROOT / build.get("context", ".")
        if not (context / build.get("dockerfile", "Dockerfile")).is_file():
            problems.append(f"{where}.build: its Dockerfile is missing")
    if "env_file" in service and not (ROOT / service["env_file"]).is_file():
        problems.append(f"{where}.env_file is missing")
    for key, value in service.get("environment", {}).items():
        if not isinstance(value, str):
            problems.append(f"{where}.environment.{key} is not a text: quote it")

    for published in text_list(f"{where}.ports", service.get("ports", [])):
        match = re.fullmatch(r"127\.0\.0\.1:(\d+):\d+", published)
        if not match:
            problems.append(f"{where}.ports: {published} is not on loopback")
        elif ports.get(name, [None])[0] != match[1]:
            problems.append(f"{where}.ports: {match[1]} is not the port of {name} in deploy/local/ports")
    for mounted in text_list(f"{where}.volumes", service.get("volumes", [])):
        source = mounted.split(":")[0]
        if source.startswith("."):
            if not (ROOT / source).exists():
                problems.append(f"{where}.volumes: {source} is missing")
        elif source not in volumes:
            problems.append(f"{where}.volumes: {source} is not declared")

    health = service.get("healthcheck")
    if health is not None:
        known(f"{where}.healthcheck", health, HEALTHCHECK)
        test = text_list(f"{where}.healthcheck.test", health.get("test"))
        if test[:1] not in (["CMD"], ["CMD-SHELL"], ["NONE"]):
            problems.append(f"{where}.healthcheck.test does not begin with CMD")
        for word in ("interval", "timeout"):
            if word in health and not DURATION.fullmatch(str(health[word])):
                problems.append(f"{where}.healthcheck.{word} is not a duration")

    for other, how in service.get("depends_on", {}).items():
        condition = how.get("condition") if isinstance(how, dict) else None
        if other not in services:
            problems.append(f"{where}.depends_on: there is no {other}")
        elif condition not in CONDITIONS:
            problems.append(f"{where}.depends_on.{other}: {condition} is not a condition")
        elif condition == "service_healthy" and "healthcheck" not in services[other]:
            problems.append(f"{where}.depends_on.{other}: {other} has no healthcheck")
    mode = service.get("network_mode", "")
    if mode.startswith("service:") and mode.removeprefix("service:") not in services:
        problems.append(f"{where}.network_mode: there is no {mode}")

    # addresses inside the file name ports of the table too
    numbers = {number for row in ports.values() for number in row}
    for key, value in service.get("environment", {}).items():
        for number in re.findall(r"127\.0\.0\.1:(\d+)", str(value)):
            if number not in numbers:
                problems.append(f"{where}.environment.{key}: {number} is not in deploy/local/ports")


def main():
    rows = (line.split() for line in (ROOT / "deploy/local/ports").read_text().splitlines())
    table = [row for row in rows if row and row[0] != "#" and not row[0].startswith("#")]
    ports = {row[0]: row[2:4] for row in table}
    try:
        document = yaml.load((ROOT / "docker-compose.yml").read_text(), Strict)
    except yaml.YAMLError as error:
        sys.exit(f"docker-compose.yml is not YAML: {error}")
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        sys.exit("docker-compose.yml has no services")
    known("the top", document, TOP)
    services, volumes = document["services"], document.get("volumes") or {}
    for name, service in services.items():
        check_service(name, service, services, volumes, ports)
    for row in table:
        if row[1] == "server" and "healthcheck" not in services.get(row[0], {}):
            problems.append(f"{row[0]} of deploy/local/ports has no service with a healthcheck")
    for problem in problems:
        print(f"docker-compose.yml: {problem}")
    sys.exit(1 if problems else 0)


main()
