"""probe.py: does the repository from which Maven fetches answer? One HEAD request, the way Maven goes: to the mirror and
through the proxy of its settings.xml (the user's, then the installation's), not through those of the environment.
Exit code 0: it answers; 1: it does not (also a proxy or server that refuses, and one in trouble). Says what it asked."""
import os
import re
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

CENTRAL = "https://repo.maven.apache.org/maven2"
FILE = "org/apache/kafka/kafka_2.13/3.9.1/kafka_2.13-3.9.1.pom"
SECONDS = 20


def settings():
    """The root elements of Maven's settings, without name spaces."""
    home = os.environ.get("MAVEN_HOME") or "/usr/share/maven"
    for path in (Path("~/.m2/settings.xml").expanduser(), Path(home) / "conf/settings.xml"):
        try:
            yield xml.fromstring(re.sub(r'\sxmlns="[^"]*"', "", path.read_text(), count=1))
        except OSError:
            continue
        except xml.ParseError as e:
            print(f"{path}: {e}", file=sys.stderr)


def text(element, name, default=""):
    return (element.findtext(name) or default).strip()


def stands_for_central(mirror):
    patterns = [p.strip() for p in text(mirror, "mirrorOf").split(",")]
    return "!central" not in patterns and any(p in ("*", "central", "external:*") for p in patterns)


def mirror_url(roots):
    for root in roots:
        for mirror in root.iterfind("mirrors/mirror"):
            if stands_for_central(mirror) and text(mirror, "blocked") != "true":
                return text(mirror, "url").rstrip("/")
    return CENTRAL


def proxy(roots):
    for root in roots:
        for entry in root.iterfind("proxies/proxy"):
            if text(entry, "active", "true") == "true":
                return f"http://{text(entry, 'host')}:{text(entry, 'port', '8080')}"
    options = dict(re.findall(r"-Dhttps?\.proxy(Host|Port)=(\S+)", os.environ.get("MAVEN_OPTS", "")))
    return f"http://{options['Host']}:{options.get('Port', '80')}" if "Host" in options else None


def main():
    roots = list(settings())
    url, way = f"{mirror_url(roots)}/{FILE}", proxy(roots)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": way, "https": way} if way else {}))
    try:
        with opener.open(urllib.request.Request(url, method="HEAD"), timeout=SECONDS) as answer:
            result, good = str(answer.status), True
    except urllib.error.HTTPError as e:
        result, good = str(e.code), e.code == 404  # it answers, and misses a file
    except (OSError, ValueError) as e:
        result, good = str(e), False
    print(f"HEAD {url}: {result}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
